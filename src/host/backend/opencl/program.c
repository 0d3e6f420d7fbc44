/* Programs: a plan's steps become launches, their kernels are built together, the arena is laid out as sub-buffers,
 * arguments are set once. A run only enqueues. */
#include "opencl.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_KEEP 256 /* built programs kept for later ones although no program uses them */

struct backend_program {
    backend_device *device;
    const plan *plan;
    launch *launches;
    int launch_count;
    cl_mem *memory; /* of each buffer of the plan */
    bool *owned;    /* memory[i] is this program's to release */
    cl_mem arena;   /* parent of the sub-buffers; NULL if each range has memory of its own */
    cl_mem scratch;
    int64_t scratch_bytes;
};

/* ---------------------------------------------------------------- launches */

clg_status launch_add(launch_list *list, int32_t step, text *source, const int32_t *arguments, int argument_count,
                      launch **added)
{
    char *text_data = source ? source->data : NULL;
    bool failed = source && (source->failed || !text_data);
    if (source)
        *source = (text){0};
    failed = failed || !ARRAY_ROOM(list->launches, list->count, list->capacity);
    int32_t *copy = failed ? NULL : malloc(((size_t)argument_count + 1) * sizeof *copy);
    if (!copy) {
        free(text_data);
        return clg_fail_memory();
    }
    if (argument_count)
        memcpy(copy, arguments, (size_t)argument_count * sizeof *copy);
    *added = &list->launches[list->count++];
    **added = (launch){.kind = source ? LAUNCH_KERNEL : LAUNCH_CLBLAST,
                       .step = step,
                       .source = text_data,
                       .arguments = copy,
                       .argument_count = argument_count,
                       .dimensions = 1,
                       .global = {1, 1, 1},
                       .local = {1, 1, 1}};
    return CLG_OK;
}

static clg_status generate(launch_list *list)
{
    for (int32_t i = 0; i < list->plan->step_count; i++) {
        clg_status status = CLG_OK;
        switch (list->plan->steps[i].kind) {
        case STEP_LOOP:
            status = loop_add(list, i);
            break;
        case STEP_MATMUL:
            status = matmul_add(list, i);
            break;
        case STEP_CONTRACT:
            status = contract_add(list, i);
            break;
        case STEP_SCATTER_ADD:
            status = scatter_add(list, i);
            break;
        }
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status check_dtypes(const backend_device *device, const plan *schedule)
{
    bool f64 = false;
    for (int32_t i = 0; i < schedule->buffer_count; i++)
        f64 |= schedule->buffers[i].dtype == CLG_F64;
    for (int32_t s = 0; s < schedule->step_count; s++)
        for (int32_t i = 0; i < schedule->steps[s].instr_count; i++)
            f64 |= schedule->steps[s].instrs[i].dtype == CLG_F64;
    if (f64 && !device->has_f64)
        return clg_fail(CLG_ERROR_UNSUPPORTED,
                        "the program uses f64, which %s (%s) does not have; use f32 or the CPU path", device->info.spec,
                        device->info.name);
    return CLG_OK;
}

/* ---------------------------------------------------------------- kernels */

static void use_built(launch *l, program_entry *entry, const program_kernel *kernel)
{
    l->entry = entry;
    l->built = kernel->source;
    l->name = kernel->name;
    entry->users++;
    free(l->source);
    l->source = NULL;
}

/* Sources not yet built on the device, each once. */
static int new_sources(backend_program *program, const char **sources, uint64_t *hashes)
{
    int count = 0;
    for (int i = 0; i < program->launch_count; i++) {
        launch *l = &program->launches[i];
        const program_kernel *kernel;
        program_entry *entry = l->kind == LAUNCH_KERNEL ? cache_find(program->device, l->source, &kernel) : NULL;
        if (entry)
            use_built(l, entry, kernel);
        bool known = !l->source;
        uint64_t hash = known ? 0 : cache_hash(l->source);
        for (int j = 0; j < count && !known; j++)
            known = hashes[j] == hash && strcmp(sources[j], l->source) == 0;
        if (!known) {
            hashes[count] = hash;
            sources[count++] = l->source;
        }
    }
    return count;
}

static clg_status build(backend_program *program)
{
    const char **sources = malloc(((size_t)program->launch_count + 1) * sizeof *sources);
    uint64_t *hashes = malloc(((size_t)program->launch_count + 1) * sizeof *hashes);
    clg_status status = sources && hashes ? CLG_OK : clg_fail_memory();
    int count = status == CLG_OK ? new_sources(program, sources, hashes) : 0;
    free(hashes);
    if (count) {
        text prelude = {0};
        program_entry *entry = NULL;
        source_prelude(sources, count, &prelude);
        status =
            prelude.failed ? clg_fail_memory() : cache_build(program->device, prelude.data, sources, count, &entry);
        text_free(&prelude);
        for (int i = 0; status == CLG_OK && i < program->launch_count; i++) {
            launch *l = &program->launches[i];
            const program_kernel *kernel;
            if (l->source && cache_find(program->device, l->source, &kernel) == entry)
                use_built(l, entry, kernel);
        }
    }
    free(sources);
    return status;
}

static clg_status create_kernels(backend_program *program)
{
    for (int i = 0; i < program->launch_count; i++) {
        launch *l = &program->launches[i];
        if (l->kind != LAUNCH_KERNEL)
            continue;
        cl_int code;
        cl_kernel kernel = clCreateKernel(l->entry->program, l->name, &code);
        if (code != CL_SUCCESS)
            return status_check(code, "clCreateKernel");
        l->kernel = kernel;
        opencl_count_object(1);
        size_t limit = 0, group = l->local[0] * l->local[1] * l->local[2];
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

/* One allocation for the arena where the device allows it, else one for each range. */
static clg_status create_arena(backend_program *program)
{
    const plan *schedule = program->plan;
    backend_device *device = program->device;
    bool any = false;
    for (int32_t i = 0; i < schedule->buffer_count; i++)
        any |= schedule->buffers[i].kind == BUFFER_ARENA;
    if (!any)
        return CLG_OK;
    bool aligned = device->base_alignment <= PLAN_ALIGNMENT;
    clg_status status = CLG_OK;
    if (aligned && device_create_memory(device, schedule->arena_bytes + PLAN_ALIGNMENT, &program->arena) != CLG_OK &&
        schedule->arena_bytes <= (int64_t)device->info.max_allocation)
        return CLG_ERROR_DEVICE_MEMORY;
    for (int32_t i = 0; status == CLG_OK && i < schedule->buffer_count; i++) {
        const plan_buffer *buffer = &schedule->buffers[i];
        if (buffer->kind != BUFFER_ARENA)
            continue;
        for (int32_t j = 0; j < i && !program->memory[i]; j++)
            if (schedule->buffers[j].kind == BUFFER_ARENA && schedule->buffers[j].offset == buffer->offset &&
                arena_range(&schedule->buffers[j]) == arena_range(buffer))
                program->memory[i] = program->memory[j];
        if (program->memory[i])
            continue;
        status = program->arena ? create_sub_buffer(program, buffer, &program->memory[i])
                                : device_create_memory(device, arena_range(buffer), &program->memory[i]);
        program->owned[i] = status == CLG_OK;
    }
    return status;
}

static clg_status set_argument(const launch *l, int argument, const cl_mem *memory)
{
    cl_int code = clSetKernelArg(l->kernel, (cl_uint)argument, sizeof *memory, memory);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clSetKernelArg");
}

static clg_status set_value(const launch *l, int i)
{
    cl_int narrow = (cl_int)l->values[i];
    cl_long wide = l->values[i];
    cl_int code =
        clSetKernelArg(l->kernel, (cl_uint)(l->argument_count + i), l->long_values ? sizeof wide : sizeof narrow,
                       l->long_values ? (void *)&wide : &narrow);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clSetKernelArg");
}

int64_t launch_groups(const backend_device *device, int64_t shares)
{
    int64_t units = device->info.compute_units;
    return shares < units ? shares : units;
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
    for (int i = 0; i < program->launch_count; i++) {
        const launch *l = &program->launches[i];
        for (int a = 0; l->kernel && a < l->argument_count && status == CLG_OK; a++)
            status = set_argument(l, a, argument_memory(program, l->arguments[a]));
        for (int v = 0; l->kernel && v < l->value_count && status == CLG_OK; v++)
            status = set_value(l, v);
    }
    return status;
}

clg_status program_bind(backend_program *program, backend_buffer *const *bindings)
{
    const plan *schedule = program->plan;
    for (int32_t i = 0; i < schedule->buffer_count; i++) {
        if (schedule->buffers[i].kind == BUFFER_ARENA)
            continue;
        /* always set: an equal handle may be another object, made where a freed one was */
        program->memory[i] = bindings[schedule->buffers[i].binding]->memory;
        for (int k = 0; k < program->launch_count; k++) {
            const launch *l = &program->launches[k];
            for (int a = 0; l->kernel && a < l->argument_count; a++)
                if (l->arguments[a] == i) {
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
    if (status == CLG_OK && program->scratch_bytes)
        status = device_create_memory(program->device, program->scratch_bytes, &program->scratch);
    for (int32_t i = 0; i < schedule->buffer_count; i++)
        if (schedule->buffers[i].kind != BUFFER_ARENA)
            program->memory[i] = bindings[schedule->buffers[i].binding]->memory;
    if (status == CLG_OK)
        status = device_clear_shares(program->device);
    return status == CLG_OK ? set_arguments(program) : status;
}

clg_status program_prepare(backend_device *device, const plan *schedule, backend_buffer *const *bindings,
                           backend_program **prepared)
{
    *prepared = NULL;
    clg_status status = check_dtypes(device, schedule);
    if (status != CLG_OK)
        return status;
    backend_program *program = calloc(1, sizeof *program);
    if (!program)
        return clg_fail_memory();
    program->device = device;
    program->plan = schedule;
    program->memory = calloc((size_t)schedule->buffer_count + 1, sizeof *program->memory);
    program->owned = calloc((size_t)schedule->buffer_count + 1, sizeof *program->owned);
    launch_list list = {.device = device, .plan = schedule};
    status = program->memory && program->owned ? generate(&list) : clg_fail_memory();
    program->launches = list.launches;
    program->launch_count = list.count;
    program->scratch_bytes = list.scratch_bytes;
    if (status == CLG_OK)
        status = make_ready(program, bindings);
    if (status != CLG_OK) {
        program_release(program);
        return status;
    }
    *prepared = program;
    return CLG_OK;
}

/* event: NULL, or what gets a kernel's event (a library's launch leaves it alone). */
static clg_status enqueue(const backend_program *program, const launch *l, cl_event *event)
{
    const plan_step *step = &program->plan->steps[l->step];
    if (l->kind == LAUNCH_CLBLAST)
        return clblast_run(program->device, step, program->memory[step->a.buffer], program->memory[step->b.buffer],
                           program->memory[step->product], program->scratch);
    cl_int code = clEnqueueNDRangeKernel(program->device->queue, l->kernel, l->dimensions, NULL, l->global, l->local, 0,
                                         NULL, event);
    return code == CL_SUCCESS ? CLG_OK : status_check(code, "clEnqueueNDRangeKernel");
}

clg_status program_run(backend_program *program)
{
    for (int i = 0; i < program->launch_count; i++) {
        clg_status status = enqueue(program, &program->launches[i], NULL);
        if (status != CLG_OK)
            return status;
    }
    return status_check(clFlush(program->device->queue), "clFlush");
}

/* ---------------------------------------------------------------- profiling */

/* A kernel has an event of its own; a library's launch may be several kernels, and is between two markers. */
typedef struct launch_events {
    cl_event kernel, before, after;
} launch_events;

static clg_status enqueue_marker(const backend_program *program, cl_event *event)
{
    return status_check(clEnqueueMarkerWithWaitList(program->device->queue, 0, NULL, event),
                        "clEnqueueMarkerWithWaitList");
}

static clg_status enqueue_timed(const backend_program *program, launch_events *events)
{
    for (int i = 0; i < program->launch_count; i++) {
        const launch *l = &program->launches[i];
        bool library = l->kind == LAUNCH_CLBLAST;
        clg_status status = library ? enqueue_marker(program, &events[i].before) : CLG_OK;
        if (status == CLG_OK)
            status = enqueue(program, l, &events[i].kernel);
        if (status == CLG_OK && library)
            status = enqueue_marker(program, &events[i].after);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

/* Nanoseconds of the device's clock. */
static clg_status read_times(const launch_events *e, cl_ulong *begin, cl_ulong *end)
{
    cl_event first = e->kernel ? e->kernel : e->before, last = e->kernel ? e->kernel : e->after;
    cl_int code = clGetEventProfilingInfo(first, e->kernel ? CL_PROFILING_COMMAND_START : CL_PROFILING_COMMAND_END,
                                          sizeof *begin, begin, NULL);
    if (code == CL_SUCCESS)
        code = clGetEventProfilingInfo(last, CL_PROFILING_COMMAND_END, sizeof *end, end, NULL);
    return status_check(code, "clGetEventProfilingInfo");
}

static clg_status read_spans(const backend_program *program, const launch_events *events, backend_span *spans)
{
    cl_ulong begin, end, origin = 0;
    double now = 0;
    for (int32_t s = 0, i = 0; s < program->plan->step_count; s++) {
        spans[s] = (backend_span){now, now, 0};
        for (; i < program->launch_count && program->launches[i].step == s; i++) {
            clg_status status = read_times(&events[i], &begin, &end);
            if (status != CLG_OK)
                return status;
            origin = i ? origin : begin;
            /* the queue is in order: where a driver's clock says otherwise it is imprecise */
            double from = 1e-9 * (double)(int64_t)(begin - origin), to = 1e-9 * (double)(int64_t)(end - origin);
            from = from > now ? from : now;
            now = to > from ? to : from;
            spans[s].begin = spans[s].launches++ ? spans[s].begin : from;
            spans[s].end = now;
        }
    }
    return CLG_OK;
}

static void release_event(cl_event event)
{
    if (event)
        clReleaseEvent(event);
}

clg_status program_profile(backend_program *program, backend_span *spans)
{
    backend_device *device = program->device;
    clg_status status = device_open_timed_queue(device);
    if (status == CLG_OK)
        status = status_check(clFinish(device->queue), "clFinish");
    if (status != CLG_OK)
        return status;
    launch_events *events = calloc((size_t)program->launch_count + 1, sizeof *events);
    if (!events)
        return clg_fail_memory();
    cl_command_queue plain = device->queue;
    device->queue = device->timed; /* for all that enqueues */
    status = enqueue_timed(program, events);
    device->queue = plain;
    clg_status finished = status_check(clFinish(device->timed), "clFinish");
    if (status == CLG_OK)
        status = finished;
    if (status == CLG_OK)
        status = read_spans(program, events, spans);
    for (int i = 0; i < program->launch_count; i++) {
        release_event(events[i].kernel);
        release_event(events[i].before);
        release_event(events[i].after);
    }
    free(events);
    return status;
}

void program_release(backend_program *program)
{
    if (!program)
        return;
    for (int i = 0; i < program->launch_count; i++) {
        launch *l = &program->launches[i];
        if (l->kernel) {
            clReleaseKernel(l->kernel);
            opencl_count_object(-1);
        }
        if (l->entry)
            l->entry->users--;
        free(l->source);
        free(l->arguments);
    }
    free(program->launches);
    for (int32_t i = 0; program->owned && i < program->plan->buffer_count; i++)
        if (program->owned[i])
            device_release_memory(program->memory[i]);
    device_release_memory(program->arena);
    device_release_memory(program->scratch);
    free(program->memory);
    free(program->owned);
    cache_trim(program->device, TABLE_KEEP);
    free(program);
}

int32_t program_launches(const backend_program *program) { return program->launch_count; }

clg_status program_print(const backend_program *program, FILE *out)
{
    for (int i = 0; i < program->launch_count; i++) {
        const launch *l = &program->launches[i];
        if (l->kind == LAUNCH_CLBLAST) {
            fprintf(out, "// step %d: CLBlast matrix product\n", (int)l->step);
            continue;
        }
        int first = 0;
        while (program->launches[first].built != l->built)
            first++;
        fprintf(out, "// step %d: global %zu x %zu x %zu, local %zu x %zu x %zu", (int)l->step, l->global[0],
                l->global[1], l->global[2], l->local[0], l->local[1], l->local[2]);
        if (first < i)
            fprintf(out, ", the kernel of step %d\n", (int)program->launches[first].step);
        else
            fprintf(out, "\n#define KERNEL k%d\n%s#undef KERNEL\n", i, l->built);
    }
    return ferror(out) ? clg_fail(CLG_ERROR_IO, "printing kernels: write error") : CLG_OK;
}
