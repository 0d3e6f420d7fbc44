/* Plans made by hand for tests of a backend, compared with the interpreter of plan_reference.h. Leaves are bindings
 * whose first and last GUARD elements are guard words, which must survive a run. Include it once, from the test
 * program. */
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
#include "plan_reference.h"

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
    int64_t all = count + 2 * GUARD, bytes = all * (int64_t)clg_dtype_size(dtype);
    r->buffers[id] = (plan_buffer){BUFFER_LEAF, dtype, all, bytes, 0, r->p.binding_count++, -1, 0, 0};
    r->before[id] = malloc((size_t)bytes);
    r->want[id] = malloc((size_t)all * sizeof(double));
    assert_non_null(r->before[id]);
    for (int64_t i = 0; i < all; i++) {
        char *element = (char *)r->before[id] + i * (int64_t)clg_dtype_size(dtype);
        plan_reference_encode(dtype, lo + (hi - lo) * (random_u32() / 4294967296.0), element);
        r->want[id][i] = plan_reference_decode(dtype, element);
    }
    assert_int_equal(backend_under_test->allocate(device, bytes, &r->bindings[r->buffers[id].binding]), CLG_OK);
    return id;
}

static int32_t arena(rig *r, clg_dtype dtype, int64_t count, int64_t offset)
{
    int32_t id = r->p.buffer_count++;
    int64_t all = count + 2 * GUARD, bytes = all * (int64_t)clg_dtype_size(dtype);
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

/* ---------------------------------------------------------------- running and comparing */

/* Runs the plan on the backend twice over (from the same contents) and compares all leaves with the reference. */
static void check(rig *r, double tolerance)
{
    backend_program *program = NULL;
    if (backend_under_test->prepare(device, &r->p, r->bindings, &program) != CLG_OK)
        fail_msg("prepare: %s", clg_last_error());
    assert_true(plan_reference_run(&r->p, r->want));
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
                double w = r->want[i][k];
                double g = plan_reference_decode(x->dtype, (char *)got + k * (int64_t)clg_dtype_size(x->dtype));
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
