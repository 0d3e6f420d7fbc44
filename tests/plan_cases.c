/* Loops made by hand, and the random ones. */
#include "plan_cases.h"
#include "support_dtype.h"

#include "core/ops.h"
#include "plan_reference.h"
#include "support.h"

#include <stdlib.h>

/* The dtypes that a target has. */
static bool has_dtype(const plan_target *t, int dtype) { return dtype != CLG_F64 || t->has_f64; }

/* ---------------------------------------------------------------- operations */

#define FLUSH 20 /* steps of a plan: one that cannot be prepared is then easy to find */

/* One operation, on operands of a dtype. */
static void add_map(plan_builder *b, plan_step *s, int op, clg_dtype dtype)
{
    const op_row *row = &clg_ops[op];
    plan_access dense = plan_dense_all(s);
    int in[3] = {-1, -1, -1};
    for (int i = 0; i < row->arity; i++) {
        clg_dtype from = row->types == TYPES_SELECT && i == 0 ? CLG_BOOL : dtype;
        in[i] = plan_emit_load(b, s, plan_add_leaf(b, from, s->outer_count, row->lo, row->hi), dense);
    }
    clg_dtype to = row->types == TYPES_COMPARE ? CLG_BOOL : dtype;
    int y = plan_emit_op(s, op, to, in[0], in[1], in[2]);
    plan_emit_store(b, s, plan_add_output(b, to, s->outer_count), dense, y);
}

/* Whether operations of a kind are computed in a dtype. Shifts of i64 have more digits than the reference. */
static bool has_map(op_types types, clg_dtype dtype)
{
    return types == TYPES_SELECT || (types == TYPES_COMPARE && dtype == CLG_BOOL) ||
           (support_computes(dtype) && (types != TYPES_FLOATING || clg_dtype_is_real(dtype)) &&
            ((types != TYPES_INTEGER && types != TYPES_WORD) || dtype == CLG_I32));
}

/* A step for each operation, or where steps are compiled for a few of them. */
void plan_case_every_map(const plan_target *t)
{
    static const int64_t counts[] = {1500, 1, 7};
    plan_builder *b = plan_new_builder();
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (int k = 0; k < (t->compiles ? 1 : 3) && has_dtype(t, dtype); k++)
            for (int op = 0, most = t->compiles ? 6 : 1, left = 0; op < OP_COUNT; op++) {
                const op_row *row = &clg_ops[op];
                if (row->kind != KIND_MAP || row->types == TYPES_CAST || !has_map(row->types, (clg_dtype)dtype))
                    continue;
                if (left == 0 && b->plan.step_count == FLUSH) {
                    plan_check(t, b, 4e-6, 1e-14);
                    b = plan_new_builder();
                }
                if (left == 0) {
                    plan_begin_section(plan_add_step(b, 1, 0, &counts[k]), SECTION_OUTER);
                    left = most;
                }
                add_map(b, &b->steps[b->plan.step_count - 1], op, (clg_dtype)dtype);
                left--;
            }
    plan_check(t, b, 4e-6, 1e-14);
}

/* Dtypes of storage are cast by way of others, and nothing is cast to bool. */
static bool has_cast(clg_dtype from, clg_dtype to)
{
    const bool halves = from == CLG_F16 || from == CLG_BF16 || to == CLG_F16 || to == CLG_BF16;
    return halves ? from != to && (from == CLG_F32 || to == CLG_F32) : to != CLG_BOOL;
}

void plan_case_casts(const plan_target *t)
{
    int64_t count = 999;
    plan_builder *b = plan_new_builder();
    for (int from = 0; from < CLG_DTYPE_COUNT; from++) {
        if (!has_dtype(t, from))
            continue;
        plan_step *s = plan_add_step(b, 1, 0, &count);
        plan_access all = plan_dense_all(s);
        plan_begin_section(s, SECTION_OUTER);
        int x = plan_emit_load(b, s, plan_add_leaf(b, (clg_dtype)from, count, -400, 400), all);
        for (int to = 0; to < CLG_DTYPE_COUNT; to++)
            if (has_dtype(t, to) && has_cast((clg_dtype)from, (clg_dtype)to))
                plan_emit_store(b, s, plan_add_output(b, (clg_dtype)to, count), all,
                                plan_emit_op(s, OP_CAST, (clg_dtype)to, x, -1, -1));
    }
    plan_check(t, b, 0, 0);
}

/* ---------------------------------------------------------------- random steps */

/* Rounding grows along a random body: f64 is compared closely, f32 loosely. Where a step has to be compiled, many are
 * in one plan, and only the first ones are run. */
void plan_case_random_steps(const plan_target *t)
{
    const char *only = getenv("FUZZ_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    int each = t->compiles ? 12 : 1;
    uint64_t steps = only ? 1 : (uint64_t)support_rounds(t->compiles ? 24 : 1500);
    plan_builder *b = plan_new_builder();
    for (uint64_t seed = first; seed < first + steps; seed++) {
        if (only || getenv("FUZZ_VERBOSE"))
            print_message("seed %d\n", (int)seed);
        plan_random_step(b, seed, seed % 2 && t->has_f64 ? CLG_F64 : CLG_F32);
        if (b->plan.step_count == each) {
            plan_check(t, b, 5e-4, 1e-11);
            b = plan_new_builder();
        }
    }
    plan_check(t, b, 5e-4, 1e-11);
}

/* ---------------------------------------------------------------- in place */

/* Over the last axis: max, sum of exp, reciprocal, store. */
static void add_softmax(plan_builder *b, int64_t rows, int64_t columns, bool in_place)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){rows, columns});
    int x = plan_add_leaf(b, CLG_F32, rows * columns, -4, 4);
    plan_access all = plan_dense_all(s);
    plan_begin_section(s, SECTION_INNER);
    int top = plan_emit_reduce(s, OP_MAX, plan_emit_load(b, s, x, all));
    plan_begin_section(s, SECTION_INNER);
    int e = plan_emit_op(s, OP_SUB, CLG_F32, plan_emit_load(b, s, x, all), top, -1);
    int sum = plan_emit_reduce(s, OP_SUM, plan_emit_op(s, OP_EXP, CLG_F32, e, -1, -1));
    plan_begin_section(s, SECTION_OUTER);
    int one = plan_emit_constant(s, CLG_F32, 1);
    int inverse = plan_emit_op(s, OP_DIV, CLG_F32, one, sum, -1);
    plan_begin_section(s, SECTION_INNER);
    e = plan_emit_op(s, OP_SUB, CLG_F32, plan_emit_load(b, s, x, all), top, -1);
    e = plan_emit_op(s, OP_EXP, CLG_F32, e, -1, -1);
    plan_emit_store(b, s, in_place ? x : plan_add_output(b, CLG_F32, rows * columns), all,
                    plan_emit_op(s, OP_MUL, CLG_F32, e, inverse, -1));
}

void plan_case_softmax(const plan_target *t)
{
    static const int64_t extents[][2] = {{128, 10}, {3, 5000}, {1, 1}, {4000, 3}, {2, 70000}, {7, 1000}, {3, 1}};
    plan_builder *b = plan_new_builder();
    for (int i = 0; i < 7; i++)
        for (int in_place = 0; in_place < 2; in_place++)
            if (!t->compiles || in_place == i % 2)
                add_softmax(b, extents[i][0], extents[i][1], in_place);
    plan_check(t, b, 1e-6, 0);
}

/* A buffer overwritten while it is still being read: every value of the old contents must be the one used. */
void plan_case_in_place_hazards(const plan_target *t)
{
    int64_t count = 5000;
    plan_builder *b = plan_new_builder();
    int x = plan_add_leaf(b, CLG_F32, count, -1, 1), y = plan_add_leaf(b, CLG_F32, count, -1, 1);
    plan_step *s = plan_add_step(b, 1, 0, &count);
    plan_access all = plan_dense_all(s);
    plan_begin_section(s, SECTION_OUTER);
    int p = plan_emit_load(b, s, x, all), q = plan_emit_load(b, s, y, all);
    int sum = plan_emit_op(s, OP_ADD, CLG_F32, p, q, -1);
    plan_emit_store(b, s, x, all, sum);
    plan_emit_store(b, s, y, all, plan_emit_op(s, OP_MUL, CLG_F32, p, sum, -1)); /* the old x after x is stored */
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, count), all, plan_emit_op(s, OP_SUB, CLG_F32, q, p, -1));
    plan_check(t, b, 1e-6, 0);

    b = plan_new_builder(); /* two buffers of the arena at one place */
    x = plan_add_leaf(b, CLG_F32, count, -1, 1);
    int first = plan_add_arena(b, CLG_F32, count, 256), second = plan_add_arena(b, CLG_F32, count, 256);
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, first, all, plan_emit_op(s, OP_SQUARE, CLG_F32, plan_emit_load(b, s, x, all), -1, -1));
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    p = plan_emit_load(b, s, first, all);
    q = plan_emit_op(s, OP_EXP, CLG_F32, p, -1, -1);
    plan_emit_store(b, s, second, all, plan_emit_op(s, OP_ADD, CLG_F32, p, q, -1));
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, count), all, plan_emit_load(b, s, second, all));
    plan_check(t, b, 1e-6, 0);
}

void plan_add_chain(plan_builder *b, int64_t count)
{
    int a = plan_add_leaf(b, CLG_F32, count, -2, 2), c = plan_add_leaf(b, CLG_F32, 1, -2, 2);
    int x = plan_add_arena(b, CLG_F32, count, 512), y = plan_add_arena(b, CLG_F32, count, 512);
    int out = plan_add_output(b, CLG_F32, count);
    plan_step *s = plan_add_step(b, 1, 0, &count);
    plan_access all = plan_dense_all(s);
    plan_begin_section(s, SECTION_ONCE);
    int scale = plan_emit_op(s, OP_EXP, CLG_F32, plan_emit_load(b, s, c, (plan_access){0}), -1, -1);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, x, all, plan_emit_op(s, OP_MUL, CLG_F32, plan_emit_load(b, s, a, all), scale, -1));
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, y, all, plan_emit_op(s, OP_SIGMOID, CLG_F32, plan_emit_load(b, s, x, all), -1, -1));
    s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, out, all, plan_emit_op(s, OP_SQUARE, CLG_F32, plan_emit_load(b, s, y, all), -1, -1));
}

void plan_case_arena_chains(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    plan_add_chain(b, 1000);
    plan_add_chain(b, 1);
    plan_check(t, b, 1e-6, 0);
}

/* ---------------------------------------------------------------- rows and reductions */

void plan_case_row_loads(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++) {
        if (!has_dtype(t, dtype))
            continue;
        plan_step *s = plan_add_step(b, 2, 0, (int64_t[]){300, 11});
        int table = plan_add_leaf(b, (clg_dtype)dtype, 20 * 11, 0, 90), rows = plan_add_leaf(b, CLG_I32, 300, -3, 23);
        plan_begin_section(s, SECTION_OUTER);
        int row = plan_emit_load(b, s, rows, plan_dense(s, 1));
        row = plan_emit_load_row(b, s, table, plan_dense(s, 2), 0, row, 11, 20);
        plan_emit_store(b, s, plan_add_output(b, (clg_dtype)dtype, 3300), plan_dense_all(s), row);
    }
    plan_check(t, b, 0, 0);
}

void plan_case_integer_reductions(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (int order = 0; order < 2; order++) {
            if (!has_dtype(t, dtype) || !support_computes((clg_dtype)dtype) || (t->compiles && order != dtype / 2 % 2))
                continue;
            plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){37, 1111});
            plan_access access = {.stride = {order ? 1 : 1111, order ? 37 : 1}};
            plan_begin_section(s, SECTION_INNER);
            int x = plan_emit_load(b, s, plan_add_leaf(b, (clg_dtype)dtype, 37 * 1111, -100, 200), access);
            int sum = plan_emit_reduce(s, OP_SUM, x), top = plan_emit_reduce(s, OP_MAX, x);
            plan_begin_section(s, SECTION_OUTER);
            plan_emit_store(b, s, plan_add_output(b, (clg_dtype)dtype, 37), plan_dense_outer(s), sum);
            plan_emit_store(b, s, plan_add_output(b, (clg_dtype)dtype, 37), plan_dense_outer(s), top);
            if (dtype == CLG_I32)
                plan_emit_store(b, s, plan_add_output(b, CLG_U8, 37), plan_dense_outer(s),
                                plan_emit_op(s, OP_CAST, CLG_U8, sum, -1, -1));
        }
    plan_check(t, b, 1e-6, 1e-13);
}

static void add_column_sum(plan_builder *b, int64_t rows, int64_t columns, double lo, double hi)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){columns, rows});
    plan_access access = {.stride = {1, columns}};
    plan_begin_section(s, SECTION_INNER);
    int x = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, rows * columns, lo, hi), access);
    int sum = plan_emit_reduce(s, OP_SUM, x);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, columns), plan_dense_outer(s), sum);
}

void plan_case_column_sums(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    add_column_sum(b, 777, 300, -1, 1);
    add_column_sum(b, 2000, 10, -1, 1);
    add_column_sum(b, 5, 1, -1, 1);
    plan_check(t, b, 1e-5, 0);
}

int64_t plan_long_sum(const plan_target *t) { return t->compiles ? 1 << 22 : 1 << 24; }

/* Millions of ones and a bit: a plain f32 sum would stop growing. */
void plan_case_long_sums(const plan_target *t)
{
    for (int i = 0; i < 2; i++) {
        int64_t columns = i == 0 ? 1 : t->compiles ? 4 : 16;
        plan_builder *b = plan_new_builder();
        add_column_sum(b, plan_long_sum(t) / columns, columns, 0, 1.1);
        plan_check(t, b, t->long_sum_error, 0);
    }
}

/* Sum and maximum of nothing, and a step without positions. */
void plan_case_empty_steps(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    b->guard = 0;
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){3, 0});
    int nothing = plan_add_leaf(b, CLG_F32, 0, -1, 1);
    plan_begin_section(s, SECTION_INNER);
    int x = plan_emit_load(b, s, nothing, (plan_access){.stride = {0, 1}});
    int sum = plan_emit_reduce(s, OP_SUM, x), top = plan_emit_reduce(s, OP_MAX, x);
    plan_begin_section(s, SECTION_OUTER);
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, 3), plan_dense_outer(s), sum);
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, 3), plan_dense_outer(s), top);
    s = plan_add_step(b, 1, 0, (int64_t[]){0});
    plan_begin_section(s, SECTION_OUTER);
    x = plan_emit_constant(s, CLG_F32, 1);
    plan_emit_store(b, s, plan_add_output(b, CLG_F32, 0), plan_dense_outer(s), x);
    plan_check(t, b, 0, 0);
}

/* ---------------------------------------------------------------- other bindings */

void plan_case_bind(const plan_target *t)
{
    plan_memory first, second;
    plan_builder *b = plan_new_builder();
    backend_program *program;
    plan_add_chain(b, 50);
    plan_set_up(t, b, &first);
    b->seeds[0]++;
    plan_set_up(t, b, &second);
    plan_check_status(plan_prepare(t->backend, t->device, b, first.bindings, &program));
    assert_int_equal(t->backend->launches(program), 3);
    plan_check_status(t->backend->bind(program, second.bindings));
    plan_check_status(t->backend->run(program));
    plan_compare(t, b, &first, 0, 0); /* untouched */
    assert_true(plan_reference_run(&b->plan, second.values));
    plan_compare(t, b, &second, 1e-6, 0);
    t->backend->release(program);
    plan_tear_down(t, b, &first);
    plan_tear_down(t, b, &second);
    plan_free_builder(b);
}
