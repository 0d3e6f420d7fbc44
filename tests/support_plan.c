/* Plans made by hand or at random. */
#include "support_plan.h"

#include "core/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------- random numbers */

static uint64_t random_state = 1;

void plan_seed(uint64_t seed) { random_state = seed; }

static uint32_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

int plan_below(int bound) { return (int)(next_random() % (uint32_t)bound); }
double plan_uniform(double lo, double hi) { return lo + (hi - lo) * (double)next_random() / 2147483648.0; }

/* ---------------------------------------------------------------- building plans */

plan_builder *plan_new_builder(void)
{
    plan_builder *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->plan.steps = b->steps;
    b->plan.buffers = b->buffers;
    return b;
}

int plan_add_buffer(plan_builder *b, clg_dtype dtype, int64_t count, bool output, double range)
{
    int i = b->plan.buffer_count++;
    assert_true(i < MAX_BUFFERS);
    b->buffers[i] = (plan_buffer){.kind = output ? BUFFER_OUTPUT : BUFFER_LEAF,
                                  .dtype = dtype,
                                  .count = count,
                                  .bytes = count * (int64_t)clg_dtype_size(dtype),
                                  .binding = b->plan.binding_count++};
    b->outputs[i] = output;
    b->range[i] = range;
    return i;
}

int plan_add_arena(plan_builder *b, clg_dtype dtype, int64_t count, int64_t offset)
{
    int i = plan_add_buffer(b, dtype, count, false, 0);
    b->plan.binding_count--;
    b->buffers[i].kind = BUFFER_ARENA;
    b->buffers[i].offset = offset;
    int64_t end = offset + (b->buffers[i].bytes + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
    if (end > b->plan.arena_bytes)
        b->plan.arena_bytes = end;
    return i;
}

plan_step *plan_add_step(plan_builder *b, int outer_rank, int inner_rank, const int64_t *extent)
{
    int i = b->plan.step_count++;
    assert_true(i < MAX_STEPS);
    plan_step *s = &b->steps[i];
    *s = (plan_step){.kind = STEP_LOOP,
                     .outer_rank = outer_rank,
                     .inner_rank = inner_rank,
                     .outer_count = 1,
                     .inner_count = 1,
                     .splits = 1,
                     .instrs = b->instrs[i],
                     .sections = b->sections[i],
                     .maps = b->maps[i],
                     .product = -1};
    for (int d = 0; d < outer_rank + inner_rank; d++) {
        s->extent[d] = extent[d];
        if (d < outer_rank)
            s->outer_count *= extent[d];
        else
            s->inner_count *= extent[d];
    }
    s->inner_piece = s->inner_count;
    return s;
}

void plan_begin_section(plan_step *s, plan_section_kind kind)
{
    assert_true(s->section_count < 8);
    s->sections[s->section_count++] = (plan_section){kind, s->instr_count, 0};
}

int plan_add_instr(plan_step *s, plan_instr instr)
{
    assert_true(s->instr_count < MAX_INSTRS);
    s->instrs[s->instr_count] = instr;
    s->sections[s->section_count - 1].count++;
    return s->instr_count++;
}

static int add_map(plan_step *s, plan_map map)
{
    s->maps[s->map_count] = map;
    return s->map_count++;
}

int plan_emit_constant(plan_step *s, clg_dtype dtype, double value)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_CONST, .dtype = (uint8_t)dtype, .src = {-1, -1, -1}, .value = value});
}

int plan_emit_op(plan_step *s, int op, clg_dtype dtype, int x, int y, int z)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_MAP, .op = (uint8_t)op, .dtype = (uint8_t)dtype, .src = {x, y, z}});
}

int plan_emit_reduce(plan_step *s, int op, int x)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_REDUCE, .op = (uint8_t)op, .dtype = s->instrs[x].dtype, .src = {x, -1, -1}});
}

int plan_emit_load(plan_builder *b, plan_step *s, int buffer, plan_map map)
{
    return plan_add_instr(s, (plan_instr){.kind = INSTR_LOAD,
                                          .dtype = (uint8_t)b->buffers[buffer].dtype,
                                          .src = {-1, -1, -1},
                                          .buffer = buffer,
                                          .map = add_map(s, map)});
}

void plan_emit_store(plan_builder *b, plan_step *s, int buffer, plan_map map, int x)
{
    plan_add_instr(s, (plan_instr){.kind = INSTR_STORE,
                                   .dtype = (uint8_t)b->buffers[buffer].dtype,
                                   .src = {x, -1, -1},
                                   .buffer = buffer,
                                   .map = add_map(s, map)});
}

/* Row-major over dimensions first..end-1. */
static plan_map dense(const plan_step *s, int first, int end)
{
    plan_map map = {0};
    int64_t stride = 1;
    for (int d = end - 1; d >= first; d--) {
        map.stride[d] = stride;
        stride *= s->extent[d];
    }
    return map;
}

plan_map plan_dense_outer(const plan_step *s) { return dense(s, 0, s->outer_rank); }
plan_map plan_dense_all(const plan_step *s) { return dense(s, 0, s->outer_rank + s->inner_rank); }

/* ---------------------------------------------------------------- random steps */

static int64_t random_extent(void)
{
    static const int64_t extents[] = {1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 31, 33, 64, 100, 150};
    return extents[plan_below((int)(sizeof extents / sizeof *extents))];
}

/* A map onto a fresh buffer: dimensions permuted, repeated or reversed, an offset, sometimes a mask. *count becomes
 * the elements that the buffer needs. */
static plan_map random_map(const plan_step *s, bool inner, int64_t *count)
{
    plan_map map = {0};
    int rank = s->outer_rank + (inner ? s->inner_rank : 0), order[CLG_MAX_RANK];
    for (int d = 0; d < rank; d++)
        order[d] = d;
    for (int d = rank - 1; d > 0 && plan_below(3) == 0; d--) {
        int other = plan_below(d + 1), kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
    int64_t stride = plan_below(8) == 0 ? 2 : 1, last = 0;
    map.masked = plan_below(4) == 0;
    for (int d = 0; d < CLG_MAX_RANK; d++)
        map.hi[d] = d < s->outer_rank + s->inner_rank ? s->extent[d] : 1;
    for (int k = rank - 1; k >= 0; k--) {
        int d = order[k];
        int64_t extent = s->extent[d];
        if (plan_below(5) == 0)
            continue; /* repeated along d */
        if (map.masked && plan_below(2)) {
            map.lo[d] = plan_below((int)extent + 1);
            map.hi[d] = map.lo[d] + plan_below((int)(extent - map.lo[d]) + 1);
        }
        int64_t valid = map.hi[d] - map.lo[d];
        bool reversed = plan_below(6) == 0;
        map.stride[d] = reversed ? -stride : stride;
        map.offset += reversed ? stride * (map.hi[d] - 1) : -stride * map.lo[d];
        if (valid > 0) {
            last += stride * (valid - 1);
            stride *= valid;
        }
    }
    int64_t shift = plan_below(3);
    map.offset += shift;
    *count = last + 1 + shift;
    return map;
}

static int random_load(plan_builder *b, plan_step *s, clg_dtype real, bool inner)
{
    int64_t count;
    plan_map map = random_map(s, inner, &count);
    int kind = plan_below(10);
    if (kind == 0) { /* through a row register */
        int64_t rows = 1 + plan_below(6), index_count;
        plan_map index_map = random_map(s, inner, &index_count);
        int row = plan_emit_load(b, s, plan_add_buffer(b, CLG_I32, index_count, false, (double)rows), index_map);
        int table = plan_add_buffer(b, real, count * rows, false, 2);
        int x = plan_emit_load(b, s, table, map);
        s->instrs[x].src[0] = row;
        s->instrs[x].row_stride = count;
        s->instrs[x].row_count = rows;
        return x;
    }
    if (kind == 1) {
        plan_map values = map;
        int x = plan_add_instr(
            s, (plan_instr){.kind = INSTR_IOTA, .dtype = CLG_I32, .src = {-1, -1, -1}, .map = add_map(s, values)});
        return plan_emit_op(s, OP_CAST, real, x, -1, -1);
    }
    if (kind == 2) {
        int x = plan_emit_load(b, s, plan_add_buffer(b, CLG_U8, count, false, 1), map);
        return plan_emit_op(s, OP_CAST, real, x, -1, -1);
    }
    return plan_emit_load(b, s, plan_add_buffer(b, real, count, false, 2), map);
}

/* A few random operations; the result is bounded. */
static int random_body(plan_builder *b, plan_step *s, clg_dtype real, bool inner, const int *known, int known_count)
{
    static const int ops[] = {OP_ADD,  OP_SUB,  OP_MUL,     OP_MAXIMUM, OP_MINIMUM, OP_NEG,  OP_ABS,
                              OP_RELU, OP_TANH, OP_SIGMOID, OP_SIGN,    OP_SIN,     OP_WHERE};
    int pool[16], count = 0;
    for (int i = 0; i < known_count; i++)
        pool[count++] = known[i];
    for (int i = 1 + plan_below(2); i > 0; i--)
        pool[count++] = random_load(b, s, real, inner);
    if (plan_below(3) == 0)
        pool[count++] = plan_emit_constant(s, real, (double)(float)plan_uniform(-2, 2));
    for (int i = 1 + plan_below(4); i > 0; i--) {
        int op = ops[plan_below((int)(sizeof ops / sizeof *ops))];
        int x = pool[plan_below(count)], y = pool[plan_below(count)];
        if (op == OP_WHERE) {
            int z = plan_emit_op(s, OP_LESS_EQUAL, CLG_U8, x, y, -1);
            pool[count++] = plan_emit_op(s, op, real, z, x, y);
        } else if (op == OP_MUL || op == OP_SIN) { /* bounded operands, or rounding errors grow */
            x = plan_emit_op(s, OP_TANH, real, x, -1, -1);
            pool[count++] = plan_emit_op(s, op, real, x, op == OP_MUL ? y : -1, -1);
        } else {
            pool[count++] = plan_emit_op(s, op, real, x, clg_ops[op].arity > 1 ? y : -1, -1);
        }
    }
    return pool[count - 1];
}

void plan_random_step(plan_builder *b, clg_dtype real)
{
    int64_t extent[CLG_MAX_RANK], total = 1;
    int outer_rank = plan_below(4), inner_rank = plan_below(3) == 0 ? 0 : 1 + plan_below(2);
    for (int d = 0; d < outer_rank + inner_rank; d++) {
        extent[d] = random_extent();
        while (total * extent[d] > 20000)
            extent[d] = 1 + extent[d] / 4;
        total *= extent[d];
    }
    plan_step *s = plan_add_step(b, outer_rank, inner_rank, extent);
    int known[4], known_count = 0;
    if (plan_below(3) == 0) {
        plan_begin_section(s, SECTION_ONCE);
        known[known_count++] = plan_emit_op(s, OP_TANH, real, plan_emit_constant(s, real, plan_uniform(-1, 1)), -1, -1);
    }
    if (inner_rank == 0 || plan_below(4) == 0) {
        plan_begin_section(s, SECTION_OUTER);
        int x = random_body(b, s, real, false, known, known_count);
        plan_emit_store(b, s, plan_add_buffer(b, real, s->outer_count, true, 0), plan_dense_outer(s), x);
        if (inner_rank == 0)
            return;
        known[known_count++] = plan_emit_op(s, OP_TANH, real, x, -1, -1);
    }
    for (int i = 1 + plan_below(2); i > 0; i--) {
        plan_begin_section(s, SECTION_INNER);
        int x = random_body(b, s, real, true, known, known_count);
        int y = plan_emit_reduce(s, plan_below(3) ? OP_SUM : OP_MAX, x);
        plan_begin_section(s, SECTION_OUTER);
        plan_emit_store(b, s, plan_add_buffer(b, real, s->outer_count, true, 0), plan_dense_outer(s), y);
        known[known_count++] = plan_emit_op(s, OP_TANH, real, y, -1, -1);
    }
    if (plan_below(2)) {
        plan_begin_section(s, SECTION_INNER);
        int x = random_body(b, s, real, true, known, known_count);
        plan_emit_store(b, s, plan_add_buffer(b, real, s->outer_count * s->inner_count, true, 0), plan_dense_all(s), x);
    }
}

/* A reduction cut into pieces, and the step that adds the pieces. */
void plan_random_split(plan_builder *b)
{
    int64_t extent[3] = {1 + plan_below(40), random_extent(), random_extent()};
    plan_step *s = plan_add_step(b, 1, 2, extent);
    s->splits = 2 + plan_below(4);
    s->inner_piece = (s->inner_count + s->splits - 1) / s->splits;
    s->splits = (s->inner_count + s->inner_piece - 1) / s->inner_piece;
    plan_begin_section(s, SECTION_INNER);
    int op = plan_below(2) ? OP_SUM : OP_MAX;
    int x = plan_emit_reduce(s, op, random_body(b, s, CLG_F32, true, NULL, 0));
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, s->outer_count * s->splits, true, 0), plan_dense_outer(s), x);
}

/* ---------------------------------------------------------------- hand-made steps */

/* softmax over the last axis: max, sum of exp, reciprocal, store. */
void plan_add_softmax(plan_builder *b, int64_t rows, int64_t columns)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){rows, columns});
    int x = plan_add_buffer(b, CLG_F32, rows * columns, false, 4);
    plan_begin_section(s, SECTION_INNER);
    int top = plan_emit_reduce(s, OP_MAX, plan_emit_load(b, s, x, plan_dense_all(s)));
    plan_begin_section(s, SECTION_INNER);
    int e = plan_emit_op(s, OP_EXP, CLG_F32,
                         plan_emit_op(s, OP_SUB, CLG_F32, plan_emit_load(b, s, x, plan_dense_all(s)), top, -1), -1, -1);
    int sum = plan_emit_reduce(s, OP_SUM, e);
    plan_begin_section(s, SECTION_OUTER);
    int one = plan_emit_constant(s, CLG_F32, 1);
    int inverse = plan_emit_op(s, OP_DIV, CLG_F32, one, sum, -1);
    plan_begin_section(s, SECTION_INNER);
    e = plan_emit_op(s, OP_EXP, CLG_F32,
                     plan_emit_op(s, OP_SUB, CLG_F32, plan_emit_load(b, s, x, plan_dense_all(s)), top, -1), -1, -1);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, rows * columns, true, 0), plan_dense_all(s),
                    plan_emit_op(s, OP_MUL, CLG_F32, e, inverse, -1));
}

void plan_add_column_sum(plan_builder *b, int64_t rows, int64_t columns)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){columns, rows});
    plan_map map = {.stride = {1, columns}};
    plan_begin_section(s, SECTION_INNER);
    int x =
        plan_emit_reduce(s, OP_SUM, plan_emit_load(b, s, plan_add_buffer(b, CLG_F32, rows * columns, false, 1), map));
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, columns, true, 0), plan_dense_outer(s), x);
}

/* A chain through the arena: t = a + b; t = sigmoid(t) in place (two buffers, one range); out = t * t. */
void plan_add_chain(plan_builder *b, int64_t count)
{
    int a = plan_add_buffer(b, CLG_F32, count, false, 2), c = plan_add_buffer(b, CLG_F32, 1, false, 2);
    int t = plan_add_arena(b, CLG_F32, count, 512), u = plan_add_arena(b, CLG_F32, count, 512);
    int out = plan_add_buffer(b, CLG_F32, count, true, 0);
    plan_step *s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_ONCE);
    int scale = plan_emit_op(s, OP_EXP, CLG_F32, plan_emit_load(b, s, c, (plan_map){0}), -1, -1);
    plan_begin_section(s, SECTION_OUTER);
    int x = plan_emit_op(s, OP_MUL, CLG_F32, plan_emit_load(b, s, a, plan_dense_all(s)), scale, -1);
    plan_emit_store(b, s, t, plan_dense_all(s), x);
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, u, plan_dense_all(s),
                    plan_emit_op(s, OP_SIGMOID, CLG_F32, plan_emit_load(b, s, t, plan_dense_all(s)), -1, -1));
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, out, plan_dense_all(s),
                    plan_emit_op(s, OP_SQUARE, CLG_F32, plan_emit_load(b, s, u, plan_dense_all(s)), -1, -1));
}

void plan_add_scatter(plan_builder *b, int64_t rows, int64_t columns, int64_t count)
{
    plan_step *s = plan_add_step(b, 0, 0, NULL);
    s->kind = STEP_SCATTER_ADD;
    s->dtype = CLG_F32;
    s->rows = rows;
    s->columns = columns;
    s->count = count;
    s->indices = plan_add_buffer(b, CLG_I32, count, false, (double)rows);
    s->updates = plan_add_buffer(b, CLG_F32, count * columns, false, 1);
    s->result = plan_add_buffer(b, CLG_F32, rows * columns, true, 0);
}

/* Sum and maximum of nothing, a step without positions, integer sums. */
void plan_add_odd_steps(plan_builder *b)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){3, 0});
    int nothing = plan_add_buffer(b, CLG_F32, 0, false, 1);
    plan_begin_section(s, SECTION_INNER);
    int x = plan_emit_load(b, s, nothing, (plan_map){.stride = {0, 1}});
    int sum = plan_emit_reduce(s, OP_SUM, x), top = plan_emit_reduce(s, OP_MAX, x);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, 3, true, 0), plan_dense_outer(s), sum);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, 3, true, 0), plan_dense_outer(s), top);
    s = plan_add_step(b, 1, 0, (int64_t[]){0});
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_F32, 0, true, 0), plan_dense_outer(s),
                    plan_emit_constant(s, CLG_F32, 1));
    s = plan_add_step(b, 1, 1, (int64_t[]){5, 77});
    plan_begin_section(s, SECTION_INNER);
    x = plan_emit_load(b, s, plan_add_buffer(b, CLG_I32, 5 * 77, false, 1000), plan_dense_all(s));
    sum = plan_emit_reduce(s, OP_SUM, x), top = plan_emit_reduce(s, OP_MAX, x);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_I32, 5, true, 0), plan_dense_outer(s), sum);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_I32, 5, true, 0), plan_dense_outer(s), top);
    plan_emit_store(b, s, plan_add_buffer(b, CLG_U8, 5, true, 0), plan_dense_outer(s),
                    plan_emit_op(s, OP_CAST, CLG_U8, sum, -1, -1));
}
