/* What every elementwise operation, cast and reduction gives at values that are special: literal numbers, on every
 * device. The other tests' oracles are made from the rows of ops.def and share their faults; these are not. A row
 * without a line here fails. */
#include "literals_elementwise.h"
#include "support.h"

#include "core/ops.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 37 }; /* whole vectors, and a rest */

typedef struct cast_case {
    clg_dtype from, to;
    double x, want;
} cast_case;

/* Toward zero, to the nearest that there is, NaN to 0; between integers modulo the width. */
static const cast_case casts[] = {
    {CLG_F32, CLG_I32, 2.75, 2},
    {CLG_F32, CLG_I32, -2.75, -2},
    {CLG_F32, CLG_I32, NAN, 0},
    {CLG_F32, CLG_I32, 1e10, HIGH},
    {CLG_F32, CLG_I32, -1e10, LOW},
    {CLG_F32, CLG_I32, INFINITY, HIGH},
    {CLG_F32, CLG_U8, -5, 0},
    {CLG_F32, CLG_U8, 300, 255},
    {CLG_F32, CLG_U8, NAN, 0},
    {CLG_F32, CLG_U8, 7.9, 7},
    {CLG_I32, CLG_U8, 300, 44},
    {CLG_I32, CLG_U8, -1, 255},
    {CLG_I32, CLG_F32, LOW, LOW},
    {CLG_I32, CLG_F32, HIGH, 0x1p31},
    {CLG_U8, CLG_I32, 255, 255},
    {CLG_U8, CLG_F32, 255, 255},
    {CLG_I32, CLG_F32, 16777217, 16777216},
};

typedef struct reduce_case {
    const char *op;
    clg_dtype dtype;
    int count;
    double x[3], want;
} reduce_case;

static const reduce_case reductions[] = {
    {"sum", CLG_F32, 0, {0}, 0},
    {"sum", CLG_F32, 2, {-INFINITY, -INFINITY}, -INFINITY},
    {"sum", CLG_F32, 3, {0, 0, 0}, 0},
    {"sum", CLG_F32, 2, {INFINITY, -INFINITY}, NAN},
    {"sum", CLG_F32, 3, {1, NAN, 2}, NAN},
    {"sum", CLG_I32, 2, {HIGH, 1}, 2147483648.0},
    {"sum", CLG_I32, 0, {0}, 0},
    {"sum", CLG_U8, 2, {200, 100}, 300},
    {"sum", CLG_U8, 0, {0}, 0},
    {"max", CLG_F32, 0, {0}, -INFINITY},
    {"max", CLG_F32, 3, {1, NAN, 2}, NAN},
    {"max", CLG_F32, 3, {NAN, 1, 2}, NAN},
    {"max", CLG_F32, 3, {1, 2, NAN}, NAN},
    {"max", CLG_F32, 2, {-INFINITY, -INFINITY}, -INFINITY},
    {"max", CLG_F32, 3, {2, INFINITY, INFINITY}, INFINITY},
    {"max", CLG_F32, 3, {3, 1, 3}, 3},
    {"max", CLG_F32, 2, {-0.0, -0.0}, -0.0},
    {"max", CLG_I32, 0, {0}, LOW},
    {"max", CLG_I32, 2, {LOW, -1}, -1},
    {"max", CLG_U8, 0, {0}, 0},
    {"max", CLG_U8, 2, {100, 200}, 200},
    {"min", CLG_F32, 0, {0}, INFINITY},
    {"min", CLG_F32, 3, {1, NAN, 2}, NAN},
    {"min", CLG_F32, 3, {NAN, 1, 2}, NAN},
    {"min", CLG_F32, 2, {INFINITY, INFINITY}, INFINITY},
    {"min", CLG_F32, 3, {-INFINITY, 2, -INFINITY}, -INFINITY},
    {"min", CLG_F32, 3, {1, 3, 1}, 1},
    {"min", CLG_F32, 2, {0, 0}, 0},
    {"min", CLG_I32, 0, {0}, HIGH},
    {"min", CLG_I32, 2, {HIGH, -1}, -1},
    {"min", CLG_U8, 0, {0}, 255},
    {"min", CLG_U8, 2, {100, 200}, 100},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* NaN for NaN; of zeros the sign, too; near what f32 does not have. */
static bool same(double got, double want)
{
    if ((double)(float)want != want && fabs(want) < 1e39)
        return fabs(got - want) <= 4 * FLT_EPSILON * fabs(want);
    return isnan(want) ? isnan(got) : got == want && (want != 0 || !signbit(got) == !signbit(want));
}

static int op_number(const char *name)
{
    for (int i = 0; i < clg_op_count(); i++)
        if (strcmp(clg_op_get_info(i).name, name) == 0)
            return i;
    fail_msg("no operation is called %s", name);
    return -1;
}

static void expect(clg_device *device, clg_var y, int64_t i, double want, const char *what)
{
    double *got = support_values(y);
    if (!same(got[i], want))
        fail_msg("%s on %s, element %d: %g instead of %g", what, clg_device_get_info(device)->spec, (int)i, got[i],
                 want);
    free(got);
}

enum { TOGETHER = 4 }; /* outputs of a program: drivers take minutes for kernels of many long functions */

/* Runs outputs a few at a time, and fills programs, which the caller frees with free_all. */
static void run(clg_graph *g, const clg_var *outputs, int count, clg_program **programs)
{
    for (int i = 0; i < count; i += TOGETHER, programs++) {
        *programs = clg_compile(g, outputs + i, count - i < TOGETHER ? count - i : TOGETHER);
        if (!*programs || clg_run(*programs) != CLG_OK)
            fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    }
}

static void free_all(clg_program **programs, int count)
{
    for (int i = 0; i < count; i += TOGETHER)
        clg_program_free(*programs++);
}

/* The cases of one operation and dtype that follow each other, over and over in all lanes. */
static clg_var elementwise_group(clg_graph *g, int first, int end)
{
    double values[LANES];
    clg_var x[3];
    int op = op_number(elementwise[first].op);
    clg_op_info info = clg_op_get_info(op);
    for (int k = 0; k < info.arity; k++) {
        for (int i = 0; i < LANES; i++)
            values[i] = elementwise[first + i % (end - first)].x[k];
        x[k] = support_leaf(g, info.operands[k] == 'c' ? CLG_U8 : elementwise[first].dtype, CLG_SHAPE(LANES), values);
    }
    return clg_apply(op, x, CLG_ALL_AXES);
}

static void check_elementwise(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var y[COUNT(elementwise)];
    int from[COUNT(elementwise) + 1], groups = 0;
    for (int i = 0; i < COUNT(elementwise); i++) {
        bool begins = i == 0 || strcmp(elementwise[i].op, elementwise[i - 1].op) ||
                      elementwise[i].dtype != elementwise[i - 1].dtype;
        if (begins)
            from[groups++] = i;
    }
    from[groups] = COUNT(elementwise);
    for (int k = 0; k < groups; k++)
        y[k] = elementwise_group(g, from[k], from[k + 1]);
    clg_program *p[COUNT(elementwise)];
    run(g, y, groups, p);
    for (int k = 0; k < groups; k++)
        for (int64_t i = 0; i < LANES; i++) {
            const elementwise_case *c = &elementwise[from[k] + i % (from[k + 1] - from[k])];
            expect(device, y[k], i, c->want, c->op);
        }
    free_all(p, groups);
    clg_graph_free(g);
}

static void check_casts(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var y[COUNT(casts)];
    double values[LANES];
    for (int k = 0; k < COUNT(casts); k++) {
        for (int i = 0; i < LANES; i++)
            values[i] = casts[k].x;
        y[k] = clg_cast(support_leaf(g, casts[k].from, CLG_SHAPE(LANES), values), casts[k].to);
    }
    clg_program *p[COUNT(casts)];
    run(g, y, COUNT(casts), p);
    for (int k = 0; k < COUNT(casts); k++)
        for (int64_t i = 0; i < LANES; i++)
            expect(device, y[k], i, casts[k].want, "cast");
    free_all(p, COUNT(casts));
    clg_graph_free(g);
}

/* Along a row and down columns. */
static void check_reductions(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var y[2 * COUNT(reductions)];
    for (int k = 0; k < COUNT(reductions); k++) {
        const reduce_case *c = &reductions[k];
        double columns[3 * LANES];
        for (int i = 0; i < c->count * LANES; i++)
            columns[i] = c->x[i / LANES];
        clg_var rows = support_leaf(g, c->dtype, CLG_SHAPE(1, c->count), c->x);
        clg_var across = support_leaf(g, c->dtype, CLG_SHAPE(c->count, LANES), columns);
        y[2 * k] = clg_apply(op_number(c->op), &rows, CLG_AXES(1));
        y[2 * k + 1] = clg_apply(op_number(c->op), &across, CLG_AXES(0));
    }
    clg_program *p[2 * COUNT(reductions)];
    run(g, y, 2 * COUNT(reductions), p);
    for (int k = 0; k < COUNT(reductions); k++) {
        expect(device, y[2 * k], 0, reductions[k].want, reductions[k].op);
        for (int64_t i = 0; i < LANES; i++)
            expect(device, y[2 * k + 1], i, reductions[k].want, reductions[k].op);
    }
    free_all(p, 2 * COUNT(reductions));
    clg_graph_free(g);
}

static void test_elementwise(void **state)
{
    (void)state;
    support_each_device(check_elementwise);
}

static void test_casts(void **state)
{
    (void)state;
    support_each_device(check_casts);
}

static void test_reductions(void **state)
{
    (void)state;
    support_each_device(check_reductions);
}

/* Of arrays without elements. */
static void check_empty(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    for (int op = 0; op < clg_op_count(); op++) {
        const op_row *row = &clg_ops[op];
        if (row->kind != KIND_MAP || row->types == TYPES_CAST)
            continue;
        for (int wide = 0; wide < 2; wide++) {
            clg_shape shape = wide ? CLG_SHAPE(0, 3) : CLG_SHAPE(2, 0);
            const clg_dtype dtype = row->types == TYPES_INTEGER || row->types == TYPES_WORD ? CLG_I32 : CLG_F32;
            clg_var none = clg_array(g, dtype, shape, ""), x[] = {none, none, none}, y;
            x[0] = row->types == TYPES_SELECT ? clg_array(g, CLG_U8, shape, "") : none;
            y = clg_apply(op, x, CLG_ALL_AXES);
            assert_true(clg_shape_equal(clg_shape_of(y), shape));
            free(support_values(y)); /* fails where it cannot be computed */
        }
    }
    clg_graph_free(g);
}

static void test_empty_arrays(void **state)
{
    (void)state;
    support_each_device(check_empty);
}

/* What the cases of a row have among them. */
typedef struct coverage {
    bool dtype[CLG_DTYPE_COUNT], empty[CLG_DTYPE_COUNT];
    bool nan, infinity, zero, tie; /* in f32 */
} coverage;

static void cover(coverage *c, clg_dtype dtype, const double *x, int count)
{
    c->dtype[dtype] = true;
    c->empty[dtype] |= count == 0;
    for (int i = 0; i < count && dtype == CLG_F32; i++) {
        c->nan |= isnan(x[i]);
        c->infinity |= isinf(x[i]);
        c->zero |= x[i] == 0;
        c->tie |= i > 0 && x[i] == x[i - 1];
    }
}

static void demand(const char *op, bool has, const char *what)
{
    if (!has)
        fail_msg("%s has no literal values here %s", op, what);
}

/* Every row has cases for each kind of dtype that it takes, of NaN, of an infinity, of zero, of equal operands and of
 * nothing, where it can have them. */
static void test_no_row_is_left_out(void **state)
{
    (void)state;
    for (int op = 0; op < clg_op_count(); op++) {
        const op_row *row = &clg_ops[op];
        bool reduces = row->kind == KIND_REDUCE;
        coverage c = {0};
        if ((row->kind != KIND_MAP && !reduces) || row->types == TYPES_CAST) /* test_literals_arrays.c; casts[] */
            continue;
        for (int i = 0; i < COUNT(elementwise); i++)
            if (strcmp(elementwise[i].op, row->name) == 0)
                cover(&c, elementwise[i].dtype, elementwise[i].x, row->arity);
        for (int i = 0; i < COUNT(reductions); i++)
            if (strcmp(reductions[i].op, row->name) == 0)
                cover(&c, reductions[i].dtype, reductions[i].x, reductions[i].count);
        const bool words = row->types == TYPES_INTEGER || row->types == TYPES_WORD,
                   integers = row->types != TYPES_FLOATING;
        demand(row->name, c.dtype[CLG_F32] || words, "in f32");
        demand(row->name, c.dtype[CLG_I32] || !integers, "in i32");
        demand(row->name, c.dtype[CLG_U8] || !integers || words, "in u8");
        demand(row->name, c.nan || words, "of NaN");
        demand(row->name, c.infinity || words, "of an infinity");
        demand(row->name, c.zero || words, "of a zero");
        demand(row->name, c.tie || row->arity != 2 || words, "of equal operands");
        demand(row->name, c.tie || !reduces, "of equal elements");
        demand(row->name, (c.empty[CLG_F32] && c.empty[CLG_I32] && c.empty[CLG_U8]) || !reduces, "of nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise),        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_reductions),         cmocka_unit_test(test_empty_arrays),
        cmocka_unit_test(test_no_row_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
