/* Plans made by hand for tests of a backend, and a plain interpreter of plan.h in f64 to compare with. Leaves are
 * bindings whose first and last GUARD elements are guard words, which must survive a run. Include it once, from the
 * test program. */
#ifndef CLG_TESTS_PLAN_RIG_H
#define CLG_TESTS_PLAN_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../src/host/backend/backend.h"
#include "../src/host/core/ops.h"

#define MATH_DTYPE 1
#include "kernels/math.h"
#define MATH_DTYPE 2
#include "kernels/math.h"
#define MATH_DTYPE 3
#include "kernels/math.h"

#define GUARD 5 /* elements; odd, so that stores are not aligned */
#define MAX_BUFFERS 16
#define MAX_STEPS 4
#define MAX_INSTRS 64
#define MAX_SECTIONS 8

static const backend *backend_under_test;
static backend_device *device; /* both set by the test program */

static uint64_t random_state = 88172645463325252u;
static uint32_t random_u32(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}
static int random_below(int bound) { return (int)(random_u32() % (uint32_t)bound); }

/* ---------------------------------------------------------------- plans by hand */

typedef struct rig {
    plan p;
    plan_step steps[MAX_STEPS];
    plan_instr instrs[MAX_STEPS][MAX_INSTRS];
    plan_section sections[MAX_STEPS][MAX_SECTIONS];
    plan_map maps[MAX_STEPS][MAX_INSTRS];
    plan_buffer buffers[MAX_BUFFERS];
    backend_buffer *bindings[MAX_BUFFERS];
    double *want[MAX_BUFFERS]; /* the reference's contents, guards included */
    void *before[MAX_BUFFERS]; /* initial bytes */
} rig;

static int element_size(clg_dtype dtype) { return dtype == CLG_F64 ? 8 : dtype == CLG_U8 ? 1 : 4; }

static double get(const void *data, clg_dtype dtype, int64_t i)
{
    switch (dtype) {
    case CLG_F32:
        return ((const float *)data)[i];
    case CLG_F64:
        return ((const double *)data)[i];
    case CLG_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

static void put(void *data, clg_dtype dtype, int64_t i, double value)
{
    if (dtype == CLG_F32)
        ((float *)data)[i] = (float)value;
    else if (dtype == CLG_F64)
        ((double *)data)[i] = value;
    else if (dtype == CLG_I32)
        ((int32_t *)data)[i] = i32_from_f64(value);
    else
        ((uint8_t *)data)[i] = u8_from_f64(value);
}

static rig *rig_new(void)
{
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->p.steps = r->steps;
    r->p.buffers = r->buffers;
    for (int i = 0; i < MAX_STEPS; i++) {
        r->steps[i].instrs = r->instrs[i];
        r->steps[i].sections = r->sections[i];
        r->steps[i].maps = r->maps[i];
    }
    return r;
}

/* A leaf of count random elements in [lo, hi] between guards. */
static int32_t leaf(rig *r, clg_dtype dtype, int64_t count, double lo, double hi)
{
    int32_t id = r->p.buffer_count++;
    int64_t all = count + 2 * GUARD, bytes = all * element_size(dtype);
    r->buffers[id] = (plan_buffer){BUFFER_LEAF, dtype, all, bytes, 0, r->p.binding_count++, -1, 0, 0};
    r->before[id] = malloc((size_t)bytes);
    r->want[id] = malloc((size_t)all * sizeof(double));
    assert_non_null(r->before[id]);
    for (int64_t i = 0; i < all; i++) {
        put(r->before[id], dtype, i, lo + (hi - lo) * (random_u32() / 4294967296.0));
        r->want[id][i] = get(r->before[id], dtype, i);
    }
    assert_int_equal(backend_under_test->allocate(device, bytes, &r->bindings[r->buffers[id].binding]), CLG_OK);
    return id;
}

static int32_t arena(rig *r, clg_dtype dtype, int64_t count, int64_t offset)
{
    int32_t id = r->p.buffer_count++;
    int64_t all = count + 2 * GUARD, bytes = all * element_size(dtype);
    r->buffers[id] = (plan_buffer){BUFFER_ARENA, dtype, all, bytes, offset, -1, -1, 0, 0};
    r->want[id] = calloc((size_t)all, sizeof(double));
    if (offset + bytes > r->p.arena_bytes)
        r->p.arena_bytes = offset + bytes;
    return id;
}

static plan_step *step_new(rig *r, int outer_rank, int inner_rank, const int64_t *extent)
{
    plan_step *s = &r->steps[r->p.step_count++];
    s->kind = STEP_LOOP;
    s->outer_rank = outer_rank;
    s->inner_rank = inner_rank;
    s->outer_count = s->inner_count = 1;
    for (int i = 0; i < outer_rank + inner_rank; i++) {
        s->extent[i] = extent[i];
        *(i < outer_rank ? &s->outer_count : &s->inner_count) *= extent[i];
    }
    s->splits = 1;
    s->inner_piece = s->inner_count;
    s->product = -1;
    return s;
}

static void section(plan_step *s, plan_section_kind kind)
{
    s->sections[s->section_count++] = (plan_section){kind, s->instr_count, 0};
}

static int32_t emit(plan_step *s, plan_instr instr)
{
    assert_true(s->instr_count < MAX_INSTRS);
    s->instrs[s->instr_count] = instr;
    s->sections[s->section_count - 1].count++;
    return s->instr_count++;
}

/* A dense row-major map over the dimensions of which bits are set in used; others have stride 0. */
static plan_map dense(const plan_step *s, unsigned used)
{
    plan_map map = {.offset = GUARD};
    int64_t stride = 1;
    for (int d = s->outer_rank + s->inner_rank - 1; d >= 0; d--)
        if (used >> d & 1) {
            map.stride[d] = stride;
            stride *= s->extent[d];
        }
    return map;
}

static unsigned outer_bits(const plan_step *s) { return (1u << s->outer_rank) - 1; }
static unsigned all_bits(const plan_step *s) { return (1u << (s->outer_rank + s->inner_rank)) - 1; }

static int32_t add_map(plan_step *s, plan_map map)
{
    s->maps[s->map_count] = map;
    return s->map_count++;
}

static int32_t load(const rig *r, plan_step *s, int32_t buffer, plan_map map)
{
    return emit(
        s,
        (plan_instr){INSTR_LOAD, 0, (uint8_t)r->buffers[buffer].dtype, {-1, -1, -1}, buffer, add_map(s, map), 0, 0, 0});
}

static int32_t load_rows(const rig *r, plan_step *s, int32_t buffer, plan_map map, int32_t row, int64_t stride,
                         int64_t count)
{
    return emit(s, (plan_instr){INSTR_LOAD,
                                0,
                                (uint8_t)r->buffers[buffer].dtype,
                                {row, -1, -1},
                                buffer,
                                add_map(s, map),
                                0,
                                stride,
                                count});
}

static int32_t constant(plan_step *s, clg_dtype dtype, double value)
{
    return emit(s, (plan_instr){INSTR_CONST, 0, (uint8_t)dtype, {-1, -1, -1}, -1, -1, value, 0, 0});
}

static int32_t apply(plan_step *s, clg_op op, clg_dtype dtype, int32_t a, int32_t b, int32_t c)
{
    return emit(s, (plan_instr){INSTR_MAP, (uint8_t)op, (uint8_t)dtype, {a, b, c}, -1, -1, 0, 0, 0});
}

static int32_t reduce(plan_step *s, clg_op op, int32_t a)
{
    return emit(s, (plan_instr){INSTR_REDUCE, (uint8_t)op, s->instrs[a].dtype, {a, -1, -1}, -1, -1, 0, 0, 0});
}

static void store(plan_step *s, int32_t reg, int32_t buffer, plan_map map)
{
    emit(s, (plan_instr){INSTR_STORE, 0, s->instrs[reg].dtype, {reg, -1, -1}, buffer, add_map(s, map), 0, 0, 0});
}

/* ---------------------------------------------------------------- the reference */

static double as_dtype(clg_dtype dtype, double x)
{
    if (dtype == CLG_F32)
        return (float)x;
    if (dtype == CLG_I32)
        return (int32_t)(uint32_t)(int64_t)x;
    if (dtype == CLG_U8)
        return (uint8_t)(int64_t)x;
    return x;
}

#define S f64
static double evaluate(int op, double a, double b, double c)
{
    switch (op) {
#define MAP(ID, name, arity, types, expr, ...)                                                                         \
    case OP_##ID:                                                                                                      \
        return expr;
#define REDUCE(ID, name, expr, ...)                                                                                    \
    case OP_##ID:                                                                                                      \
        return expr;
#include "../src/host/core/ops.def"
    default:
        fail_msg("not an operation: %d", op);
        return c;
    }
}
#undef S

static double reduce_start(int op, clg_dtype dtype)
{
#define REDUCE(ID, name, expr, real, i32, u8, ...)                                                                     \
    if (op == OP_##ID)                                                                                                 \
        return dtype <= CLG_F64 ? (double)(real) : dtype == CLG_I32 ? (double)(i32) : (double)(u8);
#include "../src/host/core/ops.def"
    return 0;
}

static double cast(clg_dtype from, clg_dtype to, double x)
{
    if (to == CLG_I32)
        return i32_from_f64(x);
    if (to == CLG_U8)
        return from == CLG_I32 ? u8_from_i32((int32_t)x) : u8_from_f64(x);
    return as_dtype(to, x);
}

static bool locate(const plan_step *s, int32_t map_index, const int64_t *at, int64_t *place)
{
    const plan_map *map = &s->maps[map_index];
    bool valid = true;
    *place = map->offset;
    for (int d = 0; d < s->outer_rank + s->inner_rank; d++) {
        *place += map->stride[d] * at[d];
        valid &= !map->masked || (at[d] >= map->lo[d] && at[d] < map->hi[d]);
    }
    return valid;
}

static void reference_instr(rig *r, const plan_step *s, int32_t i, const int64_t *at, int64_t shift, double product,
                            double *reg)
{
    const plan_instr *x = &s->instrs[i];
    clg_dtype dtype = (clg_dtype)x->dtype;
    double a = x->src[0] >= 0 ? reg[x->src[0]] : 0, b = x->src[1] >= 0 ? reg[x->src[1]] : 0;
    double c = x->src[2] >= 0 ? reg[x->src[2]] : 0;
    int64_t place = 0;
    bool valid = x->map < 0 || locate(s, x->map, at, &place);
    switch ((plan_instr_kind)x->kind) {
    case INSTR_CONST:
        reg[i] = as_dtype(dtype, x->value);
        break;
    case INSTR_IOTA:
        reg[i] = as_dtype(dtype, (double)place);
        break;
    case INSTR_LOAD:
        if (x->src[0] >= 0 && (a < 0 || a >= (double)x->row_count))
            reg[i] = valid ? (dtype <= CLG_F64 ? NAN : 0) : 0;
        else
            reg[i] = valid ? r->want[x->buffer][place + (x->src[0] >= 0 ? (int64_t)a * x->row_stride : 0)] : 0;
        break;
    case INSTR_PRODUCT:
        reg[i] = product;
        break;
    case INSTR_MAP:
        reg[i] = x->op == OP_CAST ? cast((clg_dtype)s->instrs[x->src[0]].dtype, dtype, a)
                                  : as_dtype(dtype, evaluate(x->op, a, b, c));
        break;
    case INSTR_REDUCE: /* the f32 total is kept in f64 */
        reg[i] = dtype == CLG_F32 ? evaluate(x->op, reg[i], a, 0) : as_dtype(dtype, evaluate(x->op, reg[i], a, 0));
        break;
    case INSTR_STORE:
        r->want[x->buffer][place + shift] = a;
        break;
    }
}

static void seek(const int64_t *extent, int rank, int64_t position, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = position % extent[d];
        position /= extent[d];
    }
}

static void reference_loop(rig *r, const plan_step *s, const double *product)
{
    double reg[MAX_INSTRS] = {0};
    int64_t at[CLG_MAX_RANK] = {0};
    for (int64_t o = 0; o < s->outer_count * s->splits; o++) {
        int64_t piece = o / s->outer_count, begin = piece * s->inner_piece, end = begin + s->inner_piece;
        seek(s->extent, s->outer_rank, o % s->outer_count, at);
        end = end < s->inner_count ? end : s->inner_count;
        for (int k = 0; k < s->section_count; k++) {
            const plan_section *x = &s->sections[k];
            bool inner = x->kind == SECTION_INNER;
            for (int32_t i = x->first; inner && i < x->first + x->count; i++)
                if (s->instrs[i].kind == INSTR_REDUCE)
                    reg[i] = reduce_start(s->instrs[i].op, (clg_dtype)s->instrs[i].dtype);
            for (int64_t q = inner ? begin : 0; q < (inner ? end : 1); q++) {
                if (inner)
                    seek(s->extent + s->outer_rank, s->inner_rank, q, at + s->outer_rank);
                else
                    memset(at + s->outer_rank, 0, (size_t)s->inner_rank * sizeof *at);
                for (int32_t i = x->first; i < x->first + x->count; i++)
                    reference_instr(r, s, i, at, piece * s->outer_count, product ? product[o] : 0, reg);
            }
            for (int32_t i = x->first; inner && i < x->first + x->count; i++)
                if (s->instrs[i].kind == INSTR_REDUCE)
                    reg[i] = as_dtype((clg_dtype)s->instrs[i].dtype, reg[i]);
        }
    }
}

static double matrix_at(const rig *r, const plan_matrix *x, int64_t b, int64_t i, int64_t j)
{
    return r->want[x->buffer][x->offset + b * x->batch_stride + i * x->row_stride + j * x->column_stride];
}

static void reference_matmul(rig *r, const plan_step *s)
{
    double *product = calloc((size_t)(s->batch * s->m * s->n) + 1, sizeof *product);
    assert_non_null(product);
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t i = 0; i < s->m; i++)
            for (int64_t j = 0; j < s->n; j++)
                for (int64_t k = 0; k < s->k; k++)
                    product[(b * s->m + i) * s->n + j] += matrix_at(r, &s->a, b, i, k) * matrix_at(r, &s->b, b, k, j);
    reference_loop(r, s, product);
    free(product);
}

static void reference_scatter(rig *r, const plan_step *s)
{
    double *result = r->want[s->result];
    memset(result, 0, (size_t)(s->rows * s->columns) * sizeof *result);
    for (int64_t i = 0; i < s->count; i++) {
        double row = r->want[s->indices][i];
        for (int64_t c = 0; row >= 0 && row < (double)s->rows && c < s->columns; c++) {
            double *d = &result[(int64_t)row * s->columns + c];
            *d = as_dtype(s->dtype, *d + r->want[s->updates][i * s->columns + c]);
        }
    }
}

/* Runs the plan on the backend twice over (from the same contents) and compares all leaves with the reference. */
static void check(rig *r, double tolerance)
{
    backend_program *program = NULL;
    if (backend_under_test->prepare(device, &r->p, r->bindings, &program) != CLG_OK)
        fail_msg("prepare: %s", clg_last_error());
    for (int s = 0; s < r->p.step_count; s++) {
        plan_step *step = &r->steps[s];
        if (step->kind == STEP_LOOP)
            reference_loop(r, step, NULL);
        else if (step->kind == STEP_MATMUL)
            reference_matmul(r, step);
        else
            reference_scatter(r, step);
    }
    void *first[MAX_BUFFERS] = {NULL};
    for (int time = 0; time < 2; time++) {
        for (int i = 0; i < r->p.buffer_count; i++)
            if (r->before[i])
                assert_int_equal(backend_under_test->write(device, r->bindings[r->buffers[i].binding], 0, r->before[i],
                                                           r->buffers[i].bytes),
                                 CLG_OK);
        assert_int_equal(backend_under_test->run(program), CLG_OK);
        for (int i = 0; i < r->p.buffer_count; i++) {
            const plan_buffer *x = &r->buffers[i];
            if (!r->before[i])
                continue;
            void *got = malloc((size_t)x->bytes);
            assert_non_null(got);
            assert_int_equal(backend_under_test->read(device, r->bindings[x->binding], 0, got, x->bytes), CLG_OK);
            for (int64_t k = 0; k < x->count && time == 0; k++) {
                double g = get(got, x->dtype, k), w = r->want[i][k];
                bool inside = k >= GUARD && k < x->count - GUARD;
                double bound = inside && x->dtype <= CLG_F64 ? tolerance * (1 + fabs(w)) : 0;
                if (isnan(w) ? !isnan(g) : !(g == w || fabs(g - w) <= bound))
                    fail_msg("buffer %d element %d of %d: got %.9g, want %.9g", i, (int)(k - GUARD),
                             (int)(x->count - 2 * GUARD), g, w);
            }
            if (time == 0)
                first[i] = got;
            else
                assert_memory_equal(first[i], got, (size_t)x->bytes); /* the same bits, run after run */
            if (time == 1)
                free(got);
        }
    }
    for (int i = 0; i < MAX_BUFFERS; i++)
        free(first[i]);
    backend_under_test->release(program);
    for (int i = 0; i < r->p.buffer_count; i++) {
        if (r->before[i])
            backend_under_test->free(device, r->bindings[r->buffers[i].binding]);
        free(r->before[i]);
        free(r->want[i]);
    }
    free(r);
}
#endif
