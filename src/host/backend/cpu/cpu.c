/* The CPU backend: the device, its buffers and prepared programs. tape.c compiles steps; run.c, sweep.c, dot.c,
 * matmul.c, contract.c and scatter.c execute them. Everything is done when a call returns, so sync has nothing to wait
 * for. */
#define _GNU_SOURCE
#include "cpu.h"
#include "isa.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct backend_device {
    const cpu_isa *isa;
    cpu_pool *pool;
    int threads;
    int64_t memory; /* bytes of the machine */
};

struct backend_buffer {
    char *data;
    int64_t bytes;
};

struct backend_program {
    backend_device *device;
    const plan *plan;
    backend_buffer **bindings;
    char **address;  /* of the plan's buffers */
    cpu_tape *tapes; /* of the steps */
    char *arena;
    char **scratch; /* of the threads */
    int32_t steps;  /* tapes that exist */
};

/* ---------------------------------------------------------------- device */

/* The processor's name, as the system has it; where it has none (ARM's), its family. */
static void read_name(char *name, size_t size)
{
    struct utsname system;
    snprintf(name, size, "%s", uname(&system) >= 0 ? system.machine : "CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%.*s", (int)size - 1, colon + 1 + strspn(colon + 1, " "));
        break;
    }
    fclose(file);
}

clg_status backend_cpu_open(backend_device **result, backend_traits *traits, clg_device_info *info)
{
    enum { UNITS = 64 };
    backend_device *device = malloc(sizeof *device);
    if (!device)
        return clg_fail_memory();
    device->threads = cpu_pool_default_threads();
    clg_status status = cpu_isa_choose(&device->isa);
    if (status == CLG_OK)
        status = cpu_pool_new(device->threads, &device->pool);
    if (status != CLG_OK) {
        free(device);
        return status;
    }
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    device->memory = pages > 0 && page > 0 ? (int64_t)pages * page : (int64_t)1 << 32;
    if (device->memory > PTRDIFF_MAX) /* what a 32-bit process can have of it */
        device->memory = PTRDIFF_MAX;
    cpu_matmul_open();
    *traits = (backend_traits){.fuses_epilogue = true,
                               .evaluates_all = true,
                               .prologues = PROLOGUES_ALL,
                               .window_columns = true,
                               .max_body = 1 << 24,
                               .units = UNITS,
                               .contract_block = 32};
    *info = (clg_device_info){.spec = "cpu",
                              .platform = "clgrad CPU path",
                              .type = "host",
                              .compute_units = (unsigned)device->threads,
                              .global_memory = (uint64_t)device->memory,
                              .max_allocation = (uint64_t)device->memory,
                              .has_f64 = true};
    read_name(info->name, sizeof info->name);
    snprintf(info->driver, sizeof info->driver, "%s, %d threads", device->isa->name, device->threads);
    *result = device;
    return CLG_OK;
}

static void close_device(backend_device *device)
{
    cpu_pool_free(device->pool);
    free(device);
}

static clg_status sync_device(backend_device *device)
{
    (void)device;
    return CLG_OK;
}

/* ---------------------------------------------------------------- memory */

/* 64-byte aligned memory that is there: pages are touched now, so that no run pays for them. Large pieces ask for
 * large pages. NULL when there is none. */
static char *take_memory(int64_t bytes)
{
    const int64_t huge = 2 << 20;
    void *data;
    if (posix_memalign(&data, bytes >= 2 * huge ? (size_t)huge : 64, bytes > 0 ? (size_t)bytes : 1) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= 2 * huge)
        madvise(data, (size_t)bytes, MADV_HUGEPAGE); /* a wish: failure costs only speed */
#endif
    for (int64_t i = 0; i < bytes; i += 4096)
        ((volatile char *)data)[i] = 0;
    return data;
}

static clg_status no_memory(const backend_device *device, const char *what, int64_t bytes)
{
    return clg_fail(CLG_ERROR_DEVICE_MEMORY, "%s of %" PRId64 " bytes does not fit: the machine has %" PRId64 " bytes",
                    what, bytes, device->memory);
}

static clg_status allocate_buffer(backend_device *device, int64_t bytes, backend_buffer **result)
{
    if (bytes < 0)
        return clg_fail(CLG_ERROR_ARGUMENT, "a buffer of %" PRId64 " bytes: the size must not be negative", bytes);
    if (bytes > device->memory)
        return no_memory(device, "a buffer", bytes);
    backend_buffer *buffer = malloc(sizeof *buffer);
    if (!buffer)
        return clg_fail_memory();
    *buffer = (backend_buffer){take_memory(bytes), bytes};
    if (!buffer->data) {
        free(buffer);
        return no_memory(device, "a buffer", bytes);
    }
    *result = buffer;
    return CLG_OK;
}

static void free_buffer(backend_device *device, backend_buffer *buffer)
{
    (void)device;
    if (buffer)
        free(buffer->data);
    free(buffer);
}

static clg_status check_range(const backend_buffer *buffer, int64_t offset, int64_t bytes)
{
    if (offset >= 0 && bytes >= 0 && offset <= buffer->bytes && bytes <= buffer->bytes - offset)
        return CLG_OK;
    return clg_fail(CLG_ERROR_ARGUMENT,
                    "bytes %" PRId64 " to %" PRId64 " are outside the buffer, which has %" PRId64 " bytes", offset,
                    offset + bytes, buffer->bytes);
}

static clg_status write_buffer(backend_device *device, backend_buffer *buffer, int64_t offset, const void *data,
                               int64_t bytes)
{
    (void)device;
    clg_status status = check_range(buffer, offset, bytes);
    if (status == CLG_OK && bytes > 0)
        memcpy(buffer->data + offset, data, (size_t)bytes);
    return status;
}

static clg_status read_buffer(backend_device *device, backend_buffer *buffer, int64_t offset, void *data, int64_t bytes)
{
    (void)device;
    clg_status status = check_range(buffer, offset, bytes);
    if (status == CLG_OK && bytes > 0)
        memcpy(data, buffer->data + offset, (size_t)bytes);
    return status;
}

/* ---------------------------------------------------------------- programs */

static void free_prologues(cpu_tape *contraction)
{
    for (int o = 0; o < 2; o++) {
        if (contraction->prologue[o])
            cpu_tape_free(contraction->prologue[o]);
        free(contraction->prologue[o]);
        contraction->prologue[o] = NULL;
    }
}

static void release_program(backend_program *program)
{
    if (!program)
        return;
    for (int32_t i = 0; program->tapes && i < program->plan->step_count; i++) {
        free_prologues(&program->tapes[i]);
        cpu_tape_free(&program->tapes[i]);
    }
    for (int i = 0; program->scratch && i < program->device->threads; i++)
        free(program->scratch[i]);
    free(program->scratch);
    free(program->tapes);
    free(program->arena);
    free(program->address);
    free(program->bindings);
    free(program);
}

static clg_status set_bindings(backend_program *program, backend_buffer *const *bindings)
{
    const plan *p = program->plan;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const plan_buffer *buffer = &p->buffers[i];
        if (buffer->kind != BUFFER_ARENA && bindings[buffer->binding]->bytes < buffer->bytes)
            return clg_fail(CLG_ERROR_ARGUMENT,
                            "binding %d has %" PRId64 " bytes, the program needs %" PRId64 " bytes there",
                            (int)buffer->binding, bindings[buffer->binding]->bytes, buffer->bytes);
    }
    for (int32_t i = 0; i < p->binding_count; i++)
        program->bindings[i] = bindings[i];
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const plan_buffer *buffer = &p->buffers[i];
        program->address[i] =
            buffer->kind == BUFFER_ARENA ? program->arena + buffer->offset : bindings[buffer->binding]->data;
    }
    return CLG_OK;
}

/* The tapes of what is done with a contraction's operands as they are read. */
static clg_status build_prologues(const cpu_vectors *vectors, cpu_tape *contraction)
{
    static char lines[2][CPU_PROLOGUE_BYTES]; /* the tape is to know that they are two; nothing is written there */
    char *const address[] = {lines[0], lines[1]};
    for (int o = 0; o < 2; o++) {
        const plan *p = contraction->step->operand[o].prologue;
        if (!p)
            continue;
        if (p->buffers[0].bytes > CPU_PROLOGUE_BYTES || p->buffers[1].bytes > CPU_PROLOGUE_BYTES)
            return clg_fail(CLG_ERROR_UNSUPPORTED, "plan: a prologue's line has more than %d bytes",
                            CPU_PROLOGUE_BYTES);
        cpu_tape *tape = calloc(1, sizeof *tape);
        if (!tape)
            return clg_fail_memory();
        contraction->prologue[o] = tape;
        clg_status status = cpu_tape_build(p, p->steps, address, vectors, tape);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status build_tapes(backend_program *program)
{
    const plan *p = program->plan;
    for (; program->steps < p->step_count; program->steps++) {
        cpu_tape *tape = &program->tapes[program->steps];
        clg_status status =
            cpu_tape_build(p, &p->steps[program->steps], program->address, program->device->isa->vectors, tape);
        if (status == CLG_OK && tape->contract)
            status = build_prologues(program->device->isa->vectors, tape);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

/* Scratch for the neediest step, a piece a thread. */
static clg_status take_scratch(backend_program *program)
{
    int threads = program->device->threads;
    int64_t most = 64;
    for (int32_t i = 0; i < program->steps; i++) {
        const cpu_tape *tape = &program->tapes[i];
        int64_t bytes = (tape->scratch_bytes + 63) / 64 * 64;
        if (tape->contract)
            bytes += cpu_matmul_scratch(tape, program->device->isa->gemm);
        if (tape->step->kind == STEP_ARRAY)
            bytes = cpu_array_scratch(tape->step);
        most = bytes > most ? bytes : most;
    }
    for (int i = 0; i < threads; i++) {
        program->scratch[i] = take_memory(most);
        if (!program->scratch[i])
            return no_memory(program->device, "a thread's scratch", most);
    }
    return CLG_OK;
}

static clg_status prepare_program(backend_device *device, const plan *p, backend_buffer *const *bindings,
                                  backend_program **result)
{
    if (p->arena_bytes > device->memory)
        return no_memory(device, "the program's arena", p->arena_bytes);
    backend_program *program = calloc(1, sizeof *program);
    if (!program)
        return clg_fail_memory();
    program->device = device;
    program->plan = p;
    program->bindings = calloc((size_t)p->binding_count + 1, sizeof *program->bindings);
    program->address = calloc((size_t)p->buffer_count + 1, sizeof *program->address);
    program->tapes = calloc((size_t)p->step_count + 1, sizeof *program->tapes);
    program->scratch = calloc((size_t)device->threads, sizeof *program->scratch);
    program->arena = take_memory(p->arena_bytes);
    clg_status status = CLG_OK;
    if (!program->bindings || !program->address || !program->tapes || !program->scratch)
        status = clg_fail_memory();
    else if (!program->arena)
        status = no_memory(device, "the program's arena", p->arena_bytes);
    if (status == CLG_OK)
        status = set_bindings(program, bindings);
    if (status == CLG_OK)
        status = build_tapes(program);
    if (status == CLG_OK)
        status = take_scratch(program);
    if (status != CLG_OK) {
        release_program(program);
        return status;
    }
    *result = program;
    return CLG_OK;
}

/* Tapes hold no addresses, but they know which bindings share memory; that must stay as it was. */
static bool shares_memory(const backend_buffer *a, const backend_buffer *b)
{
    return a->bytes > 0 && b->bytes > 0 && a->data < b->data + b->bytes && b->data < a->data + a->bytes;
}

static clg_status bind_program(backend_program *program, backend_buffer *const *bindings)
{
    for (int32_t i = 0; i < program->plan->binding_count; i++) {
        if (bindings[i] == program->bindings[i])
            continue;
        for (int32_t k = 0; k < program->plan->binding_count; k++)
            if (k != i && shares_memory(bindings[i], bindings[k]) &&
                !shares_memory(program->bindings[i], program->bindings[k]))
                return clg_fail(CLG_ERROR_ARGUMENT,
                                "bindings %d and %d are the same buffer, and were not when the program was prepared",
                                (int)i, (int)k);
    }
    return set_bindings(program, bindings);
}

static void run_step(backend_program *program, int32_t i)
{
    const backend_device *device = program->device;
    const cpu_tape *tape = &program->tapes[i];
    switch (tape->step->kind) {
    case STEP_LOOP:
        cpu_run_loop(tape, program->address, program->scratch, device->pool);
        break;
    case STEP_CONTRACT:
        cpu_run_matmul(tape, program->address, program->scratch, device->pool, device->isa->gemm);
        break;
    case STEP_ARRAY:
        cpu_run_array(tape->step, program->address, program->scratch, device->pool, device->isa->vectors);
        break;
    }
}

static clg_status run_program(backend_program *program)
{
    for (int32_t i = 0; i < program->steps; i++)
        run_step(program, i);
    return CLG_OK;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* A step begins where the one before it ended: one look at the clock a step. */
static clg_status profile_program(backend_program *program, backend_span *spans)
{
    struct timespec start;
    double now = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int32_t i = 0; i < program->steps; i++) {
        run_step(program, i);
        double end = seconds_since(&start);
        spans[i] = (backend_span){now, end, 1};
        now = end;
    }
    return CLG_OK;
}

static int32_t count_launches(const backend_program *program) { return program->steps; }

/* The CPU path generates no source; what it decided for each step is worth a line. */
static clg_status print_program(const backend_program *program, FILE *out)
{
    for (int32_t i = 0; i < program->steps; i++) {
        const cpu_tape *t = &program->tapes[i];
        fprintf(out,
                "step %d: %s, %s, tape of %d + %d entries, %d slots, blocks of %" PRId64 " lanes over %s positions\n",
                (int)i, plan_step_name(t->step), program->device->isa->name, (int)t->once_count, (int)t->entry_count,
                (int)t->slot_count, t->block, t->lanes_inner ? "inner" : "outer");
    }
    return ferror(out) ? clg_fail(CLG_ERROR_IO, "printing the program failed") : CLG_OK;
}

const backend backend_cpu = {.name = "cpu",
                             .close = close_device,
                             .sync = sync_device,
                             .allocate = allocate_buffer,
                             .free = free_buffer,
                             .write = write_buffer,
                             .read = read_buffer,
                             .prepare = prepare_program,
                             .bind = bind_program,
                             .run = run_program,
                             .profile = profile_program,
                             .release = release_program,
                             .launches = count_launches,
                             .print = print_program};
