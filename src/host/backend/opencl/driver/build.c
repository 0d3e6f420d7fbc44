/* The kernels of a program: those that the device does not have yet are built, and started once, since some drivers
 * compile a kernel for good when it is launched first. That should not happen during a run. */
#define _POSIX_C_SOURCE 200809L
#include "program.h"

#include "../../../core/ops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---------------------------------------------------------------- who waits */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* So many parts of the work more are done. */
static void tell(backend_program *program, int parts)
{
    const double PATIENCE = 1; /* seconds */
    build_state *s = &program->building;
    s->done += parts;
    if (!program->device->watch || now() - s->begin < PATIENCE || s->done >= s->total)
        return;
    s->told = true;
    program->device->watch(program->device->watch_context, s->done, s->total);
}

/* ---------------------------------------------------------------- kernels */

static void use_built(launch *l, program_entry *entry, program_kernel *kernel)
{
    l->entry = entry;
    l->built = kernel;
    entry->users++;
    free(l->made.source);
    l->made.source = NULL;
}

/* The number that makes a kernel idle; -1: it has none. */
static int idle_number(const launch *l)
{
    for (int n = 0; n < l->made.number_count; n++)
        if (l->made.numbers[n].kind == NUMBER_IDLE)
            return n;
    return -1;
}

/* Sources not yet built on the device, each once. Counts what is to be done: each is built, and started if it can. */
static int new_sources(backend_program *program, const char **sources, uint64_t *hashes)
{
    int count = 0;
    program->building = (build_state){.begin = now()};
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
            program->building.total += idle_number(l) >= 0 ? 2 : 1;
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

/* Builds count sources together, and gives them to the launches that wait for them. */
static clg_status build_batch(backend_program *program, const char *const *sources, int count)
{
    program_entry *entry = NULL;
    clg_status status = build_sources(program, sources, count, &entry);
    if (status != CLG_OK)
        return explain_failure(program, sources, count, status);
    for (int i = 0; i < program->launches.count; i++) {
        launch *l = &program->launches.items[i];
        program_kernel *kernel;
        if (l->made.source && cache_find(program->device, l->made.source, &kernel) == entry)
            use_built(l, entry, kernel);
    }
    return CLG_OK;
}

static clg_status build(backend_program *program)
{
    enum { BATCH = 16 }; /* sources: what a driver takes for each call is shared, and who waits hears of it */
    const char **sources = malloc(((size_t)program->launches.count + 1) * sizeof *sources);
    uint64_t *hashes = malloc(((size_t)program->launches.count + 1) * sizeof *hashes);
    clg_status status = sources && hashes ? CLG_OK : clg_fail_memory();
    const int count = status == CLG_OK ? new_sources(program, sources, hashes) : 0;
    free(hashes);
    for (int i = 0; i < count && status == CLG_OK; i += BATCH) {
        status = build_batch(program, sources + i, (int)smaller(BATCH, count - i));
        tell(program, (int)smaller(BATCH, count - i));
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

clg_status build_kernels(backend_program *program)
{
    clg_status status = build(program);
    return status == CLG_OK ? create_kernels(program) : status;
}

/* Launches a kernel, idle, where none of its text has been launched before. */
static clg_status start(backend_program *program, const launch *l)
{
    const kernel_number idle = {.kind = NUMBER_IDLE, .index = 1};
    const int n = idle_number(l);
    if (n < 0 || l->built->started)
        return CLG_OK;
    l->built->started = true;
    clg_status status = launch_set_number(l, n, &idle);
    if (status == CLG_OK)
        status = launch_enqueue(program->device, l, NULL);
    if (status == CLG_OK)
        status = device_sync(program->device);
    tell(program, 1);
    return status == CLG_OK ? launch_set_number(l, n, &l->made.numbers[n]) : status;
}

clg_status build_start(backend_program *program)
{
    clg_status status = CLG_OK;
    for (int i = 0; i < program->launches.count && status == CLG_OK; i++)
        if (program->launches.items[i].kernel)
            status = start(program, &program->launches.items[i]);
    return status;
}

void build_end(const backend_program *program)
{
    if (program->building.told)
        program->device->watch(program->device->watch_context, program->building.total, program->building.total);
}
