/* The steps of a plan as launches: the kernels that code generation makes of a step, or a library's product. */
#include "program.h"

#include "../../../core/dtypes.h"

#include <stdlib.h>
#include <string.h>

static clg_status check_dtypes(const backend_device *device, const plan *schedule)
{
    bool f64 = false;
    for (int32_t i = 0; i < schedule->buffer_count; i++)
        f64 |= schedule->buffers[i].dtype == CLG_F64;
    for (int32_t s = 0; s < schedule->step_count; s++)
        for (int32_t i = 0; i < schedule->steps[s].instr_count; i++)
            f64 |= schedule->steps[s].instrs[i].dtype == CLG_F64;
    if (f64 && !device->target.has_f64)
        return clg_fail(CLG_ERROR_UNSUPPORTED,
                        "the program uses f64, which %s (%s) does not have; use f32 or the CPU path", device->info.spec,
                        device->info.name);
    return CLG_OK;
}

/* CLBlast's product and, unless that is all, the kernels of the body behind it. */
static clg_status add_library(const backend_device *device, const plan *schedule, int32_t number, launch_list *list,
                              kernel_list *made)
{
    const plan_step *step = &schedule->steps[number];
    if (step->extent[0] == 1) { /* a batch takes scratch of its own: no call of the library lets us plan it */
        int64_t bytes = 0;
        clg_status status = clblast_scratch(device, step, &bytes);
        if (status != CLG_OK)
            return status;
        list->scratch_bytes = larger(list->scratch_bytes, bytes);
    }
    if (!ARRAY_ROOM(list->items, list->count, list->capacity))
        return CLG_ERROR_MEMORY;
    list->items[list->count++] = (launch){.kind = LAUNCH_CLBLAST, .step = number};
    return clblast_is_all(step) ? CLG_OK : loop_kernels(&device->target, schedule, number, made);
}

/* choice: of a matrix product. */
static clg_status add_contraction(const backend_device *device, const plan *schedule, int32_t number,
                                  const product_choice *choice, launch_list *list, kernel_list *made)
{
    const plan_step *step = &schedule->steps[number];
    const bool gpu = device->target.strategy == STRATEGY_GPU;
    if (step->outer_count == 0)
        return CLG_OK;
    for (int o = 0; o < 2 && !gpu; o++)
        if (step->operand[o].prologue && !plan_is_cast(step->operand[o].prologue)) /* see describe_traits */
            return clg_fail(CLG_ERROR_UNSUPPORTED, "step %d: kernels for CPUs take no prologues but casts", number);
    if (step->is_matmul && choice->provider == MATMUL_CLBLAST)
        return add_library(device, schedule, number, list, made);
    if (step->is_matmul && !gpu)
        return matmul_kernels(&device->target, schedule, number, choice->tile, made);
    if (!gpu && (step->operand[0].prologue || step->operand[1].prologue))
        return contract_cast_kernels(&device->target, schedule, number, made);
    if (!gpu && contract_has_lines(&device->target, step))
        return contract_lines_kernels(&device->target, schedule, number, made);
    if (!gpu)
        return contract_kernels(&device->target, schedule, number, made);
    const gpu_product x = contract_gpu_product(step);
    const product_tile tile = step->is_matmul ? choice->tile : tile_gpu_choose(&device->target, step->dtype, &x);
    return contract_gpu_kernels(&device->target, schedule, number, tile, made);
}

/* Moves kernels into launches; those for which there is no room are freed. */
static clg_status take_kernels(launch_list *list, int32_t step, kernel_list *made)
{
    bool room = true;
    for (int32_t i = 0; i < made->count; i++) {
        room = room && ARRAY_ROOM(list->items, list->count, list->capacity);
        if (room)
            list->items[list->count++] = (launch){.kind = LAUNCH_KERNEL, .step = step, .made = made->items[i]};
        else
            kernel_free(&made->items[i]);
    }
    free(made->items);
    list->scratch_bytes = larger(list->scratch_bytes, made->scratch_bytes);
    return room ? CLG_OK : CLG_ERROR_MEMORY;
}

static clg_status add_step(const backend_device *device, const plan *schedule, int32_t number,
                           const product_choice *choice, launch_list *list)
{
    kernel_list made = {0};
    clg_status status = CLG_OK;
    switch (schedule->steps[number].kind) {
    case STEP_LOOP:
        status = loop_kernels(&device->target, schedule, number, &made);
        break;
    case STEP_CONTRACT:
        status = add_contraction(device, schedule, number, choice, list, &made);
        break;
    case STEP_ARRAY:
        status = array_kernels(&device->target, schedule, number, &made);
        break;
    }
    clg_status taken = take_kernels(list, number, &made);
    return status == CLG_OK ? taken : status;
}

clg_status launches_make(backend_device *device, const plan *schedule, const product_choice *choices, launch_list *list)
{
    clg_status status = check_dtypes(device, schedule);
    for (int32_t i = 0; i < schedule->step_count && status == CLG_OK; i++)
        status = add_step(device, schedule, i, &choices[i], list);
    return status;
}

void launches_free(launch_list *list)
{
    for (int32_t i = list->count; i-- > 0;) { /* the last one first: PoCL looks for it in a list from there */
        launch *l = &list->items[i];
        if (l->kernel) {
            clReleaseKernel(l->kernel);
            opencl_count_object(-1);
        }
        if (l->entry)
            l->entry->users--;
        kernel_free(&l->made);
    }
    free(list->items);
    *list = (launch_list){0};
}

/* The bytes of a number's argument; returns how many. */
static size_t encode(const launch *l, const kernel_number *number, void *to)
{
    const cl_long wide = number->index;
    const cl_int narrow = (cl_int)number->index;
    if (number->kind < CLG_DTYPE_COUNT) {
        const dtype_element element = dtype_encode((clg_dtype)number->kind, number->constant);
        const size_t size = clg_dtype_size((clg_dtype)number->kind);
        memcpy(to, element.bytes, size);
        return size;
    }
    const bool is_wide = l->made.wide && number->kind != NUMBER_IDLE;
    memcpy(to, is_wide ? (const void *)&wide : &narrow, is_wide ? sizeof wide : sizeof narrow);
    return is_wide ? sizeof wide : sizeof narrow;
}

clg_status launch_set_number(const launch *l, int n, const kernel_number *number)
{
    unsigned char value[sizeof(cl_long)];
    const size_t size = encode(l, number, value);
    cl_int code = clSetKernelArg(l->kernel, (cl_uint)(l->made.argument_count + n), size, value);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clSetKernelArg");
}

clg_status launch_enqueue(const backend_device *device, const launch *l, cl_event *event)
{
    cl_int code = clEnqueueNDRangeKernel(device->queue, l->kernel, (cl_uint)l->made.dimensions, NULL, l->made.global,
                                         l->made.local, 0, NULL, event);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clEnqueueNDRangeKernel");
}
