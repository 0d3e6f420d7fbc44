/* The rows of `clgrad check`. An operation of the library's table that has no row here is reported as a failure. */
#include "check_ops.h"

#include <string.h>

/* ---------------------------------------------------------------- builders */

#define UNARY(name, expression)                                                                                        \
    static clg_var build_##name(const clg_var *x)                                                                      \
    {                                                                                                                  \
        clg_var a = x[0];                                                                                              \
        return expression;                                                                                             \
    }
#define BINARY(name, expression)                                                                                       \
    static clg_var build_##name(const clg_var *x)                                                                      \
    {                                                                                                                  \
        clg_var a = x[0], b = x[1];                                                                                    \
        (void)a, (void)b;                                                                                              \
        return expression;                                                                                             \
    }

UNARY(cast_i32, clg_cast(a, CLG_I32))
UNARY(cast_f64, clg_cast(clg_square(clg_cast(a, CLG_F64)), CLG_F32))

UNARY(sum_nothing, clg_sum(a, CLG_AXES(-1), true))

UNARY(reshape, clg_reshape(a, CLG_SHAPE(-1)))
UNARY(permute, clg_permute(a, CLG_AXES(2, 0, 1)))
UNARY(expand, clg_broadcast_to(a, CLG_SHAPE(4, 3, 7)))
UNARY(slice, clg_slice(clg_slice(a, -1, -2, INT64_MIN, -2), 0, 1, INT64_MAX, 1))
/* The gradient of x^3 for x, which is made of x again. */
static clg_var build_again(const clg_var *x)
{
    const int32_t mark = clg_graph_mark(x[0].graph);
    clg_var cube = clg_mul(clg_square(x[0]), x[0]), slope;
    if (clg_checkpoint(x[0].graph, mark) != CLG_OK || clg_gradients(cube, x, 1, &slope) != CLG_OK)
        return (clg_var){x[0].graph, -1};
    return slope;
}
UNARY(stop, clg_stop_gradient(a))

UNARY(pad, clg_pad(a, CLG_SHAPE(1, 2), CLG_SHAPE(0, 3), CLG_PAD_CONSTANT, 0.5))
UNARY(window, clg_window(a, CLG_AXES(0), CLG_SHAPE(3), CLG_SHAPE(2), CLG_SHAPE(2)))

/* A view without a builder of its own: what the gradient of windows reads, here weighted by x[1]. */
static clg_var build_view(const clg_var *x)
{
    clg_var windows = clg_window(x[0], CLG_AXES(0), CLG_SHAPE(3), CLG_SHAPE(2), CLG_SCALAR), spread;
    if (clg_gradients(clg_mul(windows, x[1]), &x[0], 1, &spread) != CLG_OK)
        return (clg_var){x[0].graph, -1};
    return spread;
}

BINARY(matmul, clg_matmul(a, b))
BINARY(einsum, clg_einsum("bthd,bshd->bhts", x, 2))
BINARY(conv, clg_conv(a, b, (clg_conv_options){.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)}))
BINARY(conv_groups, clg_conv(a, b, (clg_conv_options){.stride = CLG_SHAPE(2, 2), .same = true, .groups = 2}))
BINARY(conv_last, clg_conv(a, b, (clg_conv_options){.dilation = CLG_SHAPE(2), .layout = "NWC,WIO->NWC"}))
BINARY(gather, clg_gather(a, b))
BINARY(scatter_add, clg_scatter_add(a, b, CHECK_TABLE_ROWS))
/* Rows without updates are infinite. */
static clg_var bounded(clg_var x)
{
    return clg_maximum(clg_minimum(x, clg_full(x.graph, CLG_F32, CLG_SCALAR, 9)),
                       clg_full(x.graph, CLG_F32, CLG_SCALAR, -9));
}
BINARY(scatter_max, bounded(clg_scatter_max(a, b, CHECK_TABLE_ROWS)))
BINARY(scatter_min, bounded(clg_scatter_min(a, b, CHECK_TABLE_ROWS)))
/* Well-conditioned matrices: x + 6 I, and x x^T + I. */
static clg_var dominant(clg_var x)
{
    const clg_shape shape = clg_shape_of(x);
    const int64_t n = shape.dim[shape.rank - 1];
    clg_var i = clg_arange(x.graph, CLG_I32, n), on = clg_equal(clg_reshape(i, CLG_SHAPE(n, 1)), i);
    return clg_add(x, clg_where(on, clg_full(x.graph, clg_dtype_of(x), CLG_SCALAR, 6),
                                clg_full(x.graph, clg_dtype_of(x), CLG_SCALAR, 0)));
}
UNARY(cholesky, clg_cholesky(dominant(clg_matmul(a, clg_transpose(a)))))
BINARY(solve_lower, clg_solve_triangular(dominant(a), b, false))
BINARY(solve_upper, clg_solve_triangular(dominant(a), b, true))
BINARY(solve, clg_solve(dominant(a), b))
UNARY(inverse, clg_inverse(dominant(a)))
UNARY(determinant, clg_determinant(dominant(a)))
UNARY(log_determinant, clg_log_determinant(dominant(a), NULL))
UNARY(argsort, clg_argsort(a, 0, true, -1))
UNARY(cumsum_back, clg_cumsum(a, 0, CLG_SCAN_REVERSE | CLG_SCAN_EXCLUSIVE))
UNARY(cumprod_back, clg_cumprod(a, -1, CLG_SCAN_REVERSE | CLG_SCAN_EXCLUSIVE))
BINARY(recurrence_back, clg_recurrence(a, b, -1, CLG_SCAN_REVERSE))

/* ---------------------------------------------------------------- shapes */

#define P(...)                                                                                                         \
    {                                                                                                                  \
        {sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}}, CHECK_PLAIN                               \
    }
#define T(...)                                                                                                         \
    {                                                                                                                  \
        {sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}}, CHECK_TRANSPOSED                          \
    }
#define S(...)                                                                                                         \
    {                                                                                                                  \
        {sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}}, CHECK_SLICED                              \
    }
#define SCALAR                                                                                                         \
    {                                                                                                                  \
        {0, {0}}, CHECK_PLAIN                                                                                          \
    }

static const check_shapes one = {5, {{{SCALAR}}, {{P(1031)}}, {{T(13, 7)}}, {{S(3, 5, 9)}}, {{P(0, 4)}}}};
static const check_shapes two = {
    5, {{{SCALAR, SCALAR}}, {{P(1031), P(1031)}}, {{P(7, 1, 3), P(5, 1)}}, {{T(6, 11), S(11)}}, {{P(0, 4), P(4)}}}};
static const check_shapes three = {
    4, {{{SCALAR, SCALAR, SCALAR}}, {{P(1031), P(1031), P(1)}}, {{P(5, 1), T(5, 9), S(9)}}, {{P(3), P(0, 3), P(3)}}}};
static const check_shapes reduced = {5, {{{P(1)}}, {{P(37, 5)}}, {{P(3, 1031)}}, {{T(70, 129)}}, {{S(2, 3, 4, 5)}}}};
static const check_shapes scanned = {4, {{{P(1)}}, {{P(17, 5)}}, {{T(9, 13)}}, {{S(2, 3, 4, 5)}}}};
static const check_shapes squares = {4, {{{P(1, 1)}}, {{P(5, 5)}}, {{T(17, 17)}}, {{S(2, 3, 4, 4)}}}};
static const check_shapes small_squares = {3, {{{P(1, 1)}}, {{P(5, 5)}}, {{S(2, 3, 4, 4)}}}};
static const check_shapes systems = {3, {{{P(1, 1), P(1, 3)}}, {{T(17, 17), P(17, 5)}}, {{S(2, 1, 4, 4), P(3, 4, 2)}}}};
static const check_shapes scanned_two = {3, {{{P(1), P(1)}}, {{P(17, 5), P(5)}}, {{T(9, 13), S(9, 13)}}}};
static const check_shapes nothing = {2, {{{P(3, 0)}}, {{P(0, 4, 0)}}}};
static const check_shapes reshaped = {4, {{{P(12)}}, {{T(13, 7)}}, {{S(2, 3, 4, 5)}}, {{P(0, 4)}}}};
static const check_shapes rank3 = {3, {{{P(4, 5, 6)}}, {{T(2, 13, 7)}}, {{S(3, 1, 9)}}}};
static const check_shapes expanded = {4, {{{P(1)}}, {{P(3, 1)}}, {{T(1, 7)}}, {{S(4, 1, 7)}}}};
static const check_shapes sliced = {3, {{{P(4, 9)}}, {{T(13, 7)}}, {{P(2, 5, 8)}}}};
static const check_shapes padded = {4, {{{P(4, 9)}}, {{T(13, 7)}}, {{S(3, 5)}}, {{P(0, 4)}}}};
static const check_shapes windows = {3, {{{P(9, 4)}}, {{T(13, 7)}}, {{S(8, 5)}}}};
static const check_shapes weighted = {2, {{{P(9, 4), P(3)}}, {{T(13, 7), P(7, 3)}}}};
static const check_shapes heads = {2, {{{P(2, 5, 3, 8), P(2, 7, 3, 8)}}, {{P(1, 20, 2, 16), S(1, 20, 2, 16)}}}};
static const check_shapes images = {
    3, {{{P(2, 3, 9, 8), P(5, 3, 3, 3)}}, {{S(1, 4, 5, 17), P(16, 4, 1, 2)}}, {{P(2, 4, 6, 6), P(8, 4, 5, 3)}}}};
static const check_shapes grouped = {2, {{{P(2, 4, 9, 8), P(6, 2, 3, 3)}}, {{P(1, 2, 7, 11), P(2, 1, 3, 2)}}}};
static const check_shapes last = {2, {{{P(2, 11, 3), P(3, 3, 16)}}, {{S(1, 20, 4), P(2, 4, 5)}}}};
static const check_shapes products = {6,
                                      {{{P(1, 1), P(1, 1)}},
                                       {{P(17, 67), P(67, 35)}},
                                       {{T(33, 65), P(65, 10)}},
                                       {{P(7, 31), T(31, 19)}},
                                       {{P(2, 1, 5, 3), P(3, 3, 4)}},
                                       {{P(4, 0), P(0, 3)}}}};
static const check_shapes gathers = {3, {{{P(5, 7), P(11)}}, {{T(5, 16), P(2, 3)}}, {{P(5), P(40)}}}};
static const check_shapes scatters = {3, {{{P(11), P(11, 7)}}, {{P(2, 3), T(2, 3, 16)}}, {{P(40), P(40)}}}};

/* ---------------------------------------------------------------- rows */

#define NO_GRADIENT CHECK_NO_GRADIENT

/* What the library's table does not say of itself: operations with parameters. */
static const check_row written[] = {
    {"cast", "to i32", build_cast_i32, "r", -300, 300, &one, NO_GRADIENT, -1, {0}},
    {"cast", "to f64", build_cast_f64, "r", -3, 3, &one, CHECK_F64, -1, {0}},
    {"sum", "of nothing", build_sum_nothing, "r", -3, 3, &nothing, 0, -1, {0}},
    {"reshape", "", build_reshape, "r", -3, 3, &reshaped, 0, -1, {0}},
    {"permute", "", build_permute, "r", -3, 3, &rank3, 0, -1, {0}},
    {"broadcast_to", "", build_expand, "r", -3, 3, &expanded, 0, -1, {0}},
    {"slice", "", build_slice, "r", -3, 3, &sliced, 0, -1, {0}},
    {"pad", "", build_pad, "r", -3, 3, &padded, 0, -1, {0}},
    {"window", "", build_window, "r", -3, 3, &windows, 0, -1, {0}},
    {"view", "", build_view, "rr", -3, 3, &weighted, 0, -1, {0}},
    {"again", "", build_again, "r", -3, 3, &one, 0, -1, {0}},
    {"stop_gradient", "", build_stop, "r", -3, 3, &one, NO_GRADIENT, -1, {0}},
    {"contract", "matmul", build_matmul, "rr", -1, 1, &products, 0, -1, {0}},
    {"contract", "einsum", build_einsum, "rr", -1, 1, &heads, 0, -1, {0}},
    {"contract", "conv", build_conv, "rr", -1, 1, &images, 0, -1, {0}},
    {"contract", "conv groups", build_conv_groups, "rr", -1, 1, &grouped, 0, -1, {0}},
    {"contract", "conv NWC", build_conv_last, "rr", -1, 1, &last, 0, -1, {0}},
    {"gather", "", build_gather, "ri", -3, 3, &gathers, 0, -1, {0}},
    {"scatter_add", "", build_scatter_add, "ir", -3, 3, &scatters, 0, -1, {0}},
    {"scatter_max", "", build_scatter_max, "ir", -3, 3, &scatters, 0, -1, {0}},
    {"scatter_min", "", build_scatter_min, "ir", -3, 3, &scatters, 0, -1, {0}},
    {"cholesky", "", build_cholesky, "r", -1, 1, &squares, 0, -1, {0}},
    {"solve_triangular", "lower", build_solve_lower, "rr", -1, 1, &systems, 0, -1, {0}},
    {"solve_triangular", "upper", build_solve_upper, "rr", -1, 1, &systems, 0, -1, {0}},
    {"solve", "", build_solve, "rr", -1, 1, &systems, 0, -1, {0}},
    {"solve", "inverse", build_inverse, "r", -1, 1, &squares, 0, -1, {0}},
    {"determinant", "", build_determinant, "r", -1, 1, &small_squares, 0, -1, {0}},
    {"determinant", "log", build_log_determinant, "r", -1, 1, &squares, 0, -1, {0}},
    {"argsort", "", build_argsort, "r", -3, 3, &scanned, NO_GRADIENT, -1, {0}},
    {"cumsum", "back", build_cumsum_back, "r", -3, 3, &scanned, 0, -1, {0}},
    {"cumprod", "back", build_cumprod_back, "r", 0.75, 1.25, &scanned, 0, -1, {0}},
    {"recurrence", "back", build_recurrence_back, "rr", -0.75, 0.75, &scanned_two, 0, -1, {0}},
};

/* Elementwise operations and reductions follow from the library's table: a new row there is a row here. */
enum { MOST_ROWS = 512, REDUCED_AXES = 3 };
static check_row rows[MOST_ROWS];
static int row_count;

static void add_row(check_row row)
{
    if (row_count < MOST_ROWS) /* else a row is missed, and `clgrad check` says of which operation */
        rows[row_count++] = row;
}

static void add_table_row(int number)
{
    static const check_shapes *const shapes[] = {&one, &one, &two, &three};
    static const check_shapes *const scans[] = {&scanned, &scanned, &scanned_two};
    static const char *const variants[REDUCED_AXES] = {"first axis", "last axis", "all axes"};
    clg_op_info info = clg_op_get_info(number);
    check_row row = {
        info.name, "", NULL, info.operands, info.lo, info.hi, shapes[info.arity], *info.gradient ? 0 : NO_GRADIENT,
        number,    {0}};
    if (strcmp(info.kind, "map") == 0 && strcmp(info.name, "cast") != 0)
        add_row(row);
    for (int i = 0; i < REDUCED_AXES && strcmp(info.kind, "reduce") == 0; i++) {
        row.variant = variants[i];
        row.shapes = &reduced;
        row.axes = i == 0 ? CLG_AXES(0) : i == 1 ? CLG_AXES(-1) : CLG_ALL_AXES;
        add_row(row);
    }
    for (int i = 0; i < REDUCED_AXES - 1 && strcmp(info.kind, "scan") == 0; i++) {
        row.variant = variants[i];
        row.shapes = scans[info.arity];
        row.axes = i == 0 ? CLG_AXES(0) : CLG_AXES(-1);
        add_row(row);
    }
}

const check_row *check_table(int *count)
{
    if (row_count == 0) {
        for (int i = 0; i < clg_op_count(); i++)
            add_table_row(i);
        for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
            add_row(written[i]);
    }
    *count = row_count;
    return rows;
}

clg_var check_build(const check_row *row, const clg_var *operands)
{
    return row->build ? row->build(operands) : clg_apply(row->number, operands, row->axes);
}
