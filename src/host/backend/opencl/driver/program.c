/* Programs: a plan's steps become launches, their kernels are built together, the arena is laid out as sub-buffers,
 * arguments are set once. A run only enqueues. */
#include "program.h"

#include "../../../core/ops.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_KEEP 64 /* built programs kept for later ones although no program uses them */

/* ---------------------------------------------------------------- kernels */

static void use_built(launch *l, program_entry *entry, program_kernel *kernel)
{
    l->entry = entry;
    l->built = kernel;
    entry->users++;
    free(l->made.source);
    l->made.source = NULL;
}

/* Sources not yet built on the device, each once. */
static int new_sources(backend_program *program, const char **sources, uint64_t *hashes)
{
    int count = 0;
    for (int i = 0; i < program->launches.count; i++) {
        launch *l = &program->launches.items[i];
        program_kernel *kernel;
        program_entry *entry = l->kind == LAUNCH_KERNEL ? cache_find(program->device, l->made.source, &kernel) : NULL;
        if (entry)
            use_built(l, entry, kernel);
        bool known = !l->made.source;
        uint64_t hash = known ? 0 : cache_hash(l->made.source);
        for (int j = 0; j < count && !known; j++)
            known = hashes[j] == hash && strcmp(sources[j], l->made.source) == 0;
        if (!known) {
            hashes[count] = hash;
            sources[count++] = l->made.source;
        }
    }
    return count;
}

static clg_status build_sources(backend_program *program, const char *const *sources, int count, program_entry **entry)
{
    text prelude = {0};
    prelude_print(sources, count, &prelude);
    clg_status status =
        prelude.failed ? clg_fail_memory() : cache_build(program->device, prelude.data, sources, count, entry);
    text_free(&prelude);
    return status;
}

/* The operation by which people know a step: the last one that it evaluates. */
static const char *step_operation(const plan_step *step)
{
    const char *name = plan_step_name(step);
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_MAP || step->instrs[i].kind == INSTR_REDUCE)
            name = clg_ops[step->instrs[i].op].name;
    return name;
}

/* Which of the sources does not build, and whose it is: each by itself. The message becomes more precise, if it can. */
static clg_status explain_failure(backend_program *program, const char *const *sources, int count, clg_status status)
{
    char message[1024];
    for (int i = 0; i < count && status == CLG_ERROR_DEVICE; i++) {
        program_entry *entry;
        snprintf(message, sizeof message, "%s", clg_last_error());
        if (build_sources(program, &sources[i], 1, &entry) == CLG_OK) {
            clg_fail(status, "%s", message);
            continue;
        }
        snprintf(message, sizeof message, "%s", clg_last_error());
        int k = 0;
        while (program->launches.items[k].made.source != sources[i])
            k++;
        const plan_step *step = &program->plan->steps[program->launches.items[k].step];
        return clg_fail(status, "step %d (%s, for %%%d): %s", (int)program->launches.items[k].step,
                        step_operation(step), (int)step->name_node, message);
    }
    return status;
}

static clg_status build(backend_program *program)
{
    const char **sources = malloc(((size_t)program->launches.count + 1) * sizeof *sources);
    uint64_t *hashes = malloc(((size_t)program->launches.count + 1) * sizeof *hashes);
    clg_status status = sources && hashes ? CLG_OK : clg_fail_memory();
    int count = status == CLG_OK ? new_sources(program, sources, hashes) : 0;
    free(hashes);
    if (count) {
        program_entry *entry = NULL;
        status = build_sources(program, sources, count, &entry);
        if (status != CLG_OK)
            status = explain_failure(program, sources, count, status);
        for (int i = 0; status == CLG_OK && i < program->launches.count; i++) {
            launch *l = &program->launches.items[i];
            program_kernel *kernel;
            if (l->made.source && cache_find(program->device, l->made.source, &kernel) == entry)
                use_built(l, entry, kernel);
        }
    }
    free(sources);
    return status;
}

static clg_status create_kernels(backend_program *program)
{
    for (int i = 0; i < program->launches.count; i++) {
        launch *l = &program->launches.items[i];
        if (l->kind != LAUNCH_KERNEL)
            continue;
        cl_int code;
        cl_kernel kernel = clCreateKernel(l->entry->program, l->built->name, &code);
        if (code != CL_SUCCESS)
            return status_check(code, "clCreateKernel");
        l->kernel = kernel;
        opencl_count_object(1);
        size_t limit = 0, group = l->made.local[0] * l->made.local[1] * l->made.local[2];
        code = clGetKernelWorkGroupInfo(kernel, program->device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof limit, &limit,
                                        NULL);
        if (code == CL_SUCCESS && limit && group > limit)
            return clg_fail(CLG_ERROR_UNSUPPORTED, "step %d: its kernel needs work-groups of %zu, %s allows %zu",
                            (int)l->step, group, program->device->info.spec, limit);
    }
    return CLG_OK;
}

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

static clg_status set_number(const launch *l, int i, const kernel_number *number)
{
    cl_float f32 = (cl_float)number->constant;
    cl_int i32 = (cl_int)number->constant, narrow = (cl_int)number->index;
    cl_uchar u8 = (cl_uchar)(cl_int)number->constant;
    cl_long wide = number->index;
    const void *from[CLG_DTYPE_COUNT] = {&f32, &number->constant, &i32, &u8};
    const bool is_wide = l->made.wide && number->kind != NUMBER_IDLE, constant = number->kind < CLG_DTYPE_COUNT;
    const void *value = constant ? from[number->kind] : is_wide ? (void *)&wide : &narrow;
    const size_t size = constant ? clg_dtype_size((clg_dtype)number->kind) : is_wide ? sizeof wide : sizeof narrow;
    cl_int code = clSetKernelArg(l->kernel, (cl_uint)(l->made.argument_count + i), size, value);
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
            status = set_number(l, n, &l->made.numbers[n]);
    }
    return status;
}

clg_status program_enqueue(const backend_program *program, const launch *l, cl_event *event)
{
    const plan_step *step = &program->plan->steps[l->step];
    if (l->kind == LAUNCH_CLBLAST)
        return clblast_run(program->device, step, program->memory[step->operand[0].buffer],
                           program->memory[step->operand[1].buffer], program->memory[step->product], program->scratch);
    cl_int code = clEnqueueNDRangeKernel(program->device->queue, l->kernel, (cl_uint)l->made.dimensions, NULL,
                                         l->made.global, l->made.local, 0, NULL, event);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clEnqueueNDRangeKernel");
}

/* Launches a kernel, idle, where none of its text has been launched before: then *any is true. */
static clg_status start(const backend_program *program, const launch *l, bool *any)
{
    const kernel_number idle = {.kind = NUMBER_IDLE, .index = 1};
    int n = 0;
    while (n < l->made.number_count && l->made.numbers[n].kind != NUMBER_IDLE)
        n++;
    if (n == l->made.number_count || l->built->started)
        return CLG_OK;
    clg_status status = set_number(l, n, &idle);
    if (status == CLG_OK)
        status = program_enqueue(program, l, NULL);
    *any = l->built->started = true;
    return status == CLG_OK ? set_number(l, n, &l->made.numbers[n]) : status;
}

/* Some drivers compile a kernel for good when it is launched first. That is no matter of a run. */
static clg_status start_kernels(const backend_program *program)
{
    clg_status status = CLG_OK;
    bool any = false;
    for (int i = 0; i < program->launches.count && status == CLG_OK; i++)
        if (program->launches.items[i].kernel)
            status = start(program, &program->launches.items[i], &any);
    return any && status == CLG_OK ? device_sync(program->device) : status;
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
    clg_status status = build(program);
    if (status == CLG_OK)
        status = create_kernels(program);
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
    return status == CLG_OK ? start_kernels(program) : status;
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
