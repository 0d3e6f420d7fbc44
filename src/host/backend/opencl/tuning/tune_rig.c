/* What measures a product: a program of one step, product + bias on random data, prepared for a choice, checked, timed.
 *
 * The check is Freivalds' (R. Freivalds, Probabilistic machines can use less running time, 1977): C x = A (B x) + bias
 * x for a random x, in f64. It sees every element of C and takes no more than reading the matrices. */
#define _POSIX_C_SOURCE 200809L
#include "tuning.h"

#include "../../../core/ops.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double sample_seconds = 0.004, slow_seconds = 0.25;

double tune_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* -1 .. 1, a function of the index (SplitMix64's finaliser), so that no run depends on another. */
static double number(uint64_t index)
{
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 40) / (double)(1 << 23) - 1;
}

static double element(clg_dtype dtype, const void *data, int64_t i)
{
    return dtype == CLG_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static plan_matrix matrix(int buffer, int64_t rows, int64_t columns, bool transposed)
{
    return (plan_matrix){.buffer = buffer,
                         .batch_stride = rows * columns,
                         .row_stride = transposed ? 1 : columns,
                         .column_stride = transposed ? rows : 1};
}

static void describe_buffers(tune_rig *r, const clg_tune_shape *s)
{
    const int64_t counts[RIG_BUFFERS] = {s->batch * s->m * s->k, s->batch * s->k * s->n, s->n, s->batch * s->m * s->n,
                                         s->batch * s->m * s->n};
    for (int i = 0; i < RIG_BUFFERS; i++)
        r->buffers[i] = (plan_buffer){.kind = i == BUFFER_PRODUCT ? BUFFER_ARENA
                                              : i == BUFFER_C     ? BUFFER_OUTPUT
                                                                  : BUFFER_LEAF,
                                      .dtype = s->dtype,
                                      .count = counts[i],
                                      .bytes = counts[i] * (int64_t)clg_dtype_size(s->dtype),
                                      .binding = i == BUFFER_PRODUCT ? -1 : i};
    bool library = r->device->matmul == MATMUL_CLBLAST;
    r->plan = (plan){.steps = &r->step,
                     .step_count = 1,
                     .buffers = r->buffers,
                     .buffer_count = library ? RIG_BUFFERS : BUFFER_PRODUCT,
                     .binding_count = BUFFER_PRODUCT,
                     .arena_bytes = library ? r->buffers[BUFFER_PRODUCT].bytes : 0};
    r->step.product = library ? BUFFER_PRODUCT : -1;
}

static void describe_step(tune_rig *r, const clg_tune_shape *s)
{
    const uint8_t dtype = (uint8_t)s->dtype;
    const plan_matmul product = {s->dtype,
                                 s->batch,
                                 s->m,
                                 s->n,
                                 s->k,
                                 matrix(BUFFER_A, s->m, s->k, s->transpose_a),
                                 matrix(BUFFER_B, s->k, s->n, s->transpose_b)};
    r->step = (plan_step){.kind = STEP_CONTRACT,
                          .dtype = s->dtype,
                          .outer_rank = 3,
                          .inner_rank = 1,
                          .extent = {s->batch, s->m, s->n, s->k},
                          .outer_count = s->batch * s->m * s->n,
                          .inner_count = s->k,
                          .splits = 1,
                          .inner_piece = s->k,
                          .instrs = r->instrs,
                          .instr_count = 4,
                          .sections = &r->section,
                          .section_count = 1,
                          .accesses = r->accesses,
                          .access_count = 4,
                          .operand = {{.buffer = BUFFER_A, .access = 2}, {.buffer = BUFFER_B, .access = 3}},
                          .is_matmul = true};
    r->instrs[0] = (plan_instr){.kind = INSTR_PRODUCT, .dtype = dtype, .src = {-1, -1, -1}, .buffer = -1, .access = -1};
    r->instrs[1] = (plan_instr){.kind = INSTR_LOAD, .dtype = dtype, .src = {-1, -1, -1}, .buffer = BUFFER_BIAS};
    r->instrs[2] =
        (plan_instr){.kind = INSTR_MAP, .op = OP_ADD, .dtype = dtype, .src = {0, 1, -1}, .buffer = -1, .access = -1};
    r->instrs[3] =
        (plan_instr){.kind = INSTR_STORE, .dtype = dtype, .src = {2, -1, -1}, .buffer = BUFFER_C, .access = 1};
    r->section = (plan_section){SECTION_OUTER, 0, 4};
    r->accesses[0] = (plan_access){.stride = {0, 0, 1}};
    r->accesses[1] = (plan_access){.stride = {s->m * s->n, s->n, 1}};
    for (int o = 0; o < 2; o++)
        r->accesses[2 + o] = plan_matmul_access(&product, o);
}

/* expected = A (B x) + bias x. bx: room for k. */
static void expect(tune_rig *r, void *const *host, double *bx)
{
    const plan_matmul product = plan_step_matmul(&r->step), *s = &product;
    double bias = 0;
    for (int64_t j = 0; j < s->n; j++) {
        double size = 1 + number(((uint64_t)1 << 40) + (uint64_t)j) / 2; /* none is small, so that no error is */
        r->x[j] = number(((uint64_t)2 << 40) + (uint64_t)j) < 0 ? -size : size;
        bias += element(s->dtype, host[BUFFER_BIAS], j) * r->x[j];
    }
    for (int64_t b = 0; b < s->batch; b++) {
        memset(bx, 0, (size_t)s->k * sizeof *bx);
        for (int64_t l = 0; l < s->k; l++)
            for (int64_t j = 0; j < s->n; j++)
                bx[l] += element(s->dtype, host[BUFFER_B],
                                 b * s->b.batch_stride + l * s->b.row_stride + j * s->b.column_stride) *
                         r->x[j];
        for (int64_t i = 0; i < s->m; i++) {
            double sum = bias;
            for (int64_t l = 0; l < s->k; l++)
                sum += element(s->dtype, host[BUFFER_A],
                               b * s->a.batch_stride + i * s->a.row_stride + l * s->a.column_stride) *
                       bx[l];
            r->expected[b * s->m + i] = sum;
        }
    }
    /* rounding errors of k terms an element, summed with random signs over a row */
    r->tolerance = 8 * (s->dtype == CLG_F64 ? DBL_EPSILON : FLT_EPSILON) * (double)(s->k + s->n) * sqrt((double)s->n);
}

void rig_free(tune_rig *r)
{
    for (int i = 0; i < BUFFER_PRODUCT; i++)
        if (r->bindings[i])
            memory_free(r->device, r->bindings[i]);
    free(r->x);
    free(r->expected);
    free(r->image);
    free(r->plan.facts);
}

/* Random operands, on the device and, while the check is prepared, on the host. */
static clg_status fill(tune_rig *r)
{
    void *host[BUFFER_C] = {NULL};
    double *bx = malloc(((size_t)r->step.inner_count + 1) * sizeof *bx);
    r->x = malloc(((size_t)r->step.extent[2] + 1) * sizeof *r->x);
    r->expected = malloc((size_t)(r->step.extent[0] * r->step.extent[1] + 1) * sizeof *r->expected);
    r->image = malloc((size_t)r->buffers[BUFFER_C].bytes + 1);
    clg_status status = bx && r->x && r->expected && r->image ? CLG_OK : clg_fail_memory();
    for (int i = 0; i < BUFFER_PRODUCT && status == CLG_OK; i++)
        status = memory_allocate(r->device, r->buffers[i].bytes, &r->bindings[i]);
    for (int i = 0; i < BUFFER_C && status == CLG_OK; i++) {
        const plan_buffer *buffer = &r->buffers[i];
        host[i] = malloc((size_t)buffer->bytes + 1);
        if (!host[i]) {
            status = clg_fail_memory();
            break;
        }
        for (int64_t e = 0; e < buffer->count; e++) {
            double value = number((uint64_t)e * 3 + (uint64_t)i);
            if (buffer->dtype == CLG_F64)
                ((double *)host[i])[e] = value;
            else
                ((float *)host[i])[e] = (float)value;
        }
        status = memory_write(r->device, r->bindings[i], 0, host[i], buffer->bytes);
    }
    if (status == CLG_OK)
        expect(r, host, bx);
    for (int i = 0; i < BUFFER_C; i++)
        free(host[i]);
    free(bx);
    return status;
}

clg_status rig_new(backend_device *device, const clg_tune_shape *shape, tune_rig *r)
{
    *r = (tune_rig){.device = device};
    describe_step(r, shape);
    describe_buffers(r, shape);
    clg_status status = plan_analyse(&r->plan);
    if (status == CLG_OK)
        status = fill(r);
    if (status != CLG_OK)
        rig_free(r);
    return status;
}

/* ---------------------------------------------------------------- one candidate */

/* Runs once and compares; every element of C is written, and rightly. */
clg_status rig_check(tune_rig *r, backend_program *program)
{
    const plan_buffer *c = &r->buffers[BUFFER_C];
    const int64_t n = r->step.extent[2];
    memset(r->image, 0xff, (size_t)c->bytes); /* NaN */
    clg_status status = memory_write(r->device, r->bindings[BUFFER_C], 0, r->image, c->bytes);
    if (status == CLG_OK)
        status = program_run(program);
    if (status == CLG_OK)
        status = memory_read(r->device, r->bindings[BUFFER_C], 0, r->image, c->bytes);
    if (status != CLG_OK)
        return status;
    for (int64_t i = 0; i < r->step.extent[0] * r->step.extent[1]; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += element(r->step.dtype, r->image, i * n + j) * r->x[j];
        if (!(fabs(sum - r->expected[i]) <= r->tolerance))
            return clg_fail(CLG_ERROR_DEVICE, "row %lld of the product is wrong", (long long)i);
    }
    return CLG_OK;
}

clg_status rig_time(const tune_rig *r, backend_program *program, int runs, double *seconds)
{
    double start = tune_now();
    clg_status status = CLG_OK;
    for (int i = 0; i < runs && status == CLG_OK; i++)
        status = program_run(program);
    if (status == CLG_OK)
        status = device_sync(r->device);
    *seconds = (tune_now() - start) / runs;
    return status;
}

clg_status contender_prepare(tune_rig *r, contender *c)
{
    return tuning_prepare(r->device, &r->plan, &c->choice, r->bindings, &c->program);
}

void contender_release(contender *c)
{
    if (c->program)
        program_release(c->program);
    c->program = NULL;
}

/* Prepares, checks and times roughly. */
clg_status contender_begin(tune_rig *r, contender *c)
{
    clg_status status = contender_prepare(r, c);
    if (status == CLG_OK)
        status = rig_check(r, c->program);
    if (status == CLG_OK)
        status = rig_time(r, c->program, 1, &c->quick);
    c->runs = status == CLG_OK && c->quick < sample_seconds ? 1 + (int)(sample_seconds / (c->quick + 1e-7)) : 1;
    for (int i = 0; i < 2 && status == CLG_OK && c->quick < slow_seconds; i++) {
        double seconds = 0;
        status = rig_time(r, c->program, c->runs, &seconds);
        c->quick = seconds < c->quick ? seconds : c->quick;
    }
    return status;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double tune_median(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, compare_doubles);
    return samples[count / 2];
}
