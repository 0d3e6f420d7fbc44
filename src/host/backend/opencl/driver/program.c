/* Programs: a plan's steps become launches, their kernels are built, the arena is laid out as sub-buffers, arguments
 * are set once. A run only enqueues. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_KEEP 64 /* built programs kept for later ones although no program uses them */

/* ---------------------------------------------------------------- memory */

static int64_t arena_range(const plan_buffer *buffer) { return buffer->bytes > 0 ? buffer->bytes : 1; }

static clg_status create_sub_buffer(backend_program *program, const plan_buffer *buffer, cl_mem *memory)
{
    cl_buffer_region region = {(size_t)buffer->offset, (size_t)arena_range(buffer)};
    cl_int code;
    cl_mem made = clCreateSubBuffer(program->arena, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    if (code != CL_SUCCESS)
        return status_check(code, "clCreateSubBuffer");
    opencl_count_object(1);
    *memory = made;
    return CLG_OK;
}

/* A range of the arena, and a buffer that is there. */
typedef struct arena_part {
    int64_t offset, bytes;
    int32_t buffer;
} arena_part;

static int compare_parts(const void *x, const void *y)
{
    const arena_part *a = x, *b = y;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* The arena's buffers, those with the same range side by side; malloc'ed, NULL: out of memory. */
static arena_part *arena_parts(const plan *schedule, int32_t *count)
{
    arena_part *parts = malloc(((size_t)schedule->buffer_count + 1) * sizeof *parts);
    *count = 0;
    for (int32_t i = 0; parts && i < schedule->buffer_count; i++)
        if (schedule->buffers[i].kind == BUFFER_ARENA)
            parts[(*count)++] = (arena_part){schedule->buffers[i].offset, arena_range(&schedule->buffers[i]), i};
    if (parts && *count > 1)
        qsort(parts, (size_t)*count, sizeof *parts, compare_parts);
    return parts;
}

/* One allocation for the arena where the device allows it, else one for each range. */
static clg_status create_arena(backend_program *program)
{
    const plan *schedule = program->plan;
    backend_device *device = program->device;
    int32_t count;
    arena_part *parts = arena_parts(schedule, &count);
    clg_status status = parts ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK && count > 0 && device->base_alignment <= PLAN_ALIGNMENT &&
        memory_create(device, schedule->arena_bytes + PLAN_ALIGNMENT, &program->arena) != CLG_OK &&
        schedule->arena_bytes <= (int64_t)device->info.max_allocation)
        status = CLG_ERROR_DEVICE_MEMORY;
    for (int32_t i = 0; i < count && status == CLG_OK; i++) {
        const int32_t buffer = parts[i].buffer;
        if (i > 0 && compare_parts(&parts[i - 1], &parts[i]) == 0) {
            program->memory[buffer] = program->memory[parts[i - 1].buffer];
            continue;
        }
        status = program->arena ? create_sub_buffer(program, &schedule->buffers[buffer], &program->memory[buffer])
                                : memory_create(device, parts[i].bytes, &program->memory[buffer]);
        program->owned[buffer] = status == CLG_OK;
    }
    free(parts);
    return status;
}

static clg_status set_argument(const launch *l, int argument, const cl_mem *memory)
{
    cl_int code = clSetKernelArg(l->kernel, (cl_uint)argument, sizeof *memory, memory);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clSetKernelArg");
}

static const cl_mem *argument_memory(const backend_program *program, int32_t argument)
{
    return argument == ARGUMENT_SHARES    ? &program->device->shares
           : argument == ARGUMENT_SCRATCH ? &program->scratch
                                          : &program->memory[argument];
}

static clg_status set_arguments(backend_program *program)
{
    clg_status status = CLG_OK;
    for (int i = 0; i < program->launches.count; i++) {
        const launch *l = &program->launches.items[i];
        for (int a = 0; l->kernel && a < l->made.argument_count && status == CLG_OK; a++)
            status = set_argument(l, a, argument_memory(program, l->made.arguments[a]));
        for (int n = 0; l->kernel && n < l->made.number_count && status == CLG_OK; n++)
            status = launch_set_number(l, n, &l->made.numbers[n]);
    }
    return status;
}

clg_status program_enqueue(const backend_program *program, const launch *l, cl_event *event)
{
    const plan_step *step = &program->plan->steps[l->step];
    if (l->kind == LAUNCH_CLBLAST)
        return clblast_run(program->device, step, program->memory[step->operand[0].buffer],
                           program->memory[step->operand[1].buffer], program->memory[step->product], program->scratch);
    return launch_enqueue(program->device, l, event);
}

clg_status program_bind(backend_program *program, backend_buffer *const *bindings)
{
    const plan *schedule = program->plan;
    for (int32_t i = 0; i < schedule->buffer_count; i++) {
        if (schedule->buffers[i].kind == BUFFER_ARENA)
            continue;
        /* always set: an equal handle may be another object, made where a freed one was */
        program->memory[i] = bindings[schedule->buffers[i].binding]->memory;
        for (int k = 0; k < program->launches.count; k++) {
            const launch *l = &program->launches.items[k];
            for (int a = 0; l->kernel && a < l->made.argument_count; a++)
                if (l->made.arguments[a] == i) {
                    clg_status status = set_argument(l, a, &program->memory[i]);
                    if (status != CLG_OK)
                        return status;
                }
        }
    }
    return CLG_OK;
}

/* ---------------------------------------------------------------- prepare, run, release */

static clg_status make_ready(backend_program *program, backend_buffer *const *bindings)
{
    const plan *schedule = program->plan;
    clg_status status = build_kernels(program);
    if (status == CLG_OK)
        status = create_arena(program);
    if (status == CLG_OK && program->launches.scratch_bytes)
        status = memory_create(program->device, program->launches.scratch_bytes, &program->scratch);
    for (int32_t i = 0; i < schedule->buffer_count; i++)
        if (schedule->buffers[i].kind != BUFFER_ARENA)
            program->memory[i] = bindings[schedule->buffers[i].binding]->memory;
    if (status == CLG_OK)
        status = device_clear_shares(program->device);
    if (status == CLG_OK)
        status = set_arguments(program);
    return status == CLG_OK ? build_start(program) : status;
}

clg_status program_prepare(backend_device *device, const plan *schedule, const product_choice *choices,
                           backend_buffer *const *bindings, backend_program **prepared)
{
    *prepared = NULL;
    backend_program *program = calloc(1, sizeof *program);
    if (!program)
        return clg_fail_memory();
    program->device = device;
    program->plan = schedule;
    program->memory = calloc((size_t)schedule->buffer_count + 1, sizeof *program->memory);
    program->owned = calloc((size_t)schedule->buffer_count + 1, sizeof *program->owned);
    clg_status status = program->memory && program->owned ? launches_make(device, schedule, choices, &program->launches)
                                                          : clg_fail_memory();
    if (status == CLG_OK)
        status = make_ready(program, bindings);
    build_end(program);
    if (status != CLG_OK) {
        program_release(program);
        return status;
    }
    *prepared = program;
    return CLG_OK;
}

clg_status program_run(backend_program *program)
{
    for (int i = 0; i < program->launches.count; i++) {
        clg_status status = program_enqueue(program, &program->launches.items[i], NULL);
        if (status != CLG_OK)
            return status;
    }
    return status_check(clFlush(program->device->queue), "clFlush");
}

void program_release(backend_program *program)
{
    if (!program)
        return;
    launches_free(&program->launches);
    for (int32_t i = 0; program->owned && i < program->plan->buffer_count; i++)
        if (program->owned[i])
            memory_release(program->memory[i]);
    memory_release(program->arena);
    memory_release(program->scratch);
    free(program->memory);
    free(program->owned);
    cache_trim(program->device, TABLE_KEEP);
    free(program);
}

int32_t program_launches(const backend_program *program) { return program->launches.count; }

clg_status program_print(const backend_program *program, FILE *out)
{
    for (int i = 0; i < program->launches.count; i++) {
        const launch *l = &program->launches.items[i];
        if (l->kind == LAUNCH_CLBLAST) {
            fprintf(out, "// step %d: CLBlast matrix product\n", (int)l->step);
            continue;
        }
        int first = 0;
        while (program->launches.items[first].built != l->built)
            first++;
        fprintf(out, "// step %d: global %zu x %zu x %zu, local %zu x %zu x %zu", (int)l->step, l->made.global[0],
                l->made.global[1], l->made.global[2], l->made.local[0], l->made.local[1], l->made.local[2]);
        if (first < i)
            fprintf(out, ", the kernel of step %d\n", (int)program->launches.items[first].step);
        else
            fprintf(out, "\n#define KERNEL k%d\n%s#undef KERNEL\n", i, l->built->source);
    }
    return ferror(out) ? clg_fail(CLG_ERROR_IO, "printing kernels: write error") : CLG_OK;
}
