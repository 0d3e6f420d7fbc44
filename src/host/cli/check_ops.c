/* The rows of `clgrad check`. An operation of the library's table that has no row here is reported as a failure. */
#include "check_ops.h"

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
        return expression;                                                                                             \
    }

UNARY(neg, clg_neg(a))
BINARY(add, clg_add(a, b))
BINARY(sub, clg_sub(a, b))
BINARY(mul, clg_mul(a, b))
BINARY(div, clg_div(a, b))
BINARY(pow, clg_pow(a, b))
UNARY(square, clg_square(a))
UNARY(sqrt, clg_sqrt(a))
UNARY(exp, clg_exp(a))
UNARY(log, clg_log(a))
UNARY(sin, clg_sin(a))
UNARY(cos, clg_cos(a))
UNARY(tanh, clg_tanh(a))
UNARY(erf, clg_erf(a))
UNARY(gelu, clg_gelu(a))
UNARY(relu, clg_relu(a))
UNARY(sigmoid, clg_sigmoid(a))
UNARY(abs, clg_abs(a))
UNARY(sign, clg_sign(a))
BINARY(maximum, clg_maximum(a, b))
BINARY(minimum, clg_minimum(a, b))
BINARY(less, clg_less(a, b))
BINARY(less_equal, clg_less_equal(a, b))
BINARY(equal, clg_equal(a, b))
BINARY(not_equal, clg_not_equal(a, b))
static clg_var build_where(const clg_var *x) { return clg_where(x[0], x[1], x[2]); }
UNARY(cast_i32, clg_cast(a, CLG_I32))
UNARY(cast_f64, clg_cast(clg_square(clg_cast(a, CLG_F64)), CLG_F32))

UNARY(sum_first, clg_sum(a, CLG_AXES(0), false))
UNARY(sum_last, clg_sum(a, CLG_AXES(-1), true))
UNARY(sum_all, clg_sum(a, CLG_ALL_AXES, false))
UNARY(max_first, clg_max(a, CLG_AXES(0), false))
UNARY(max_last, clg_max(a, CLG_AXES(-1), true))
UNARY(max_all, clg_max(a, CLG_ALL_AXES, false))

UNARY(reshape, clg_reshape(a, CLG_SHAPE(-1)))
UNARY(permute, clg_permute(a, CLG_AXES(2, 0, 1)))
UNARY(expand, clg_broadcast_to(a, CLG_SHAPE(4, 3, 7)))
UNARY(slice, clg_slice(clg_slice(a, -1, -2, INT64_MIN, -2), 0, 1, INT64_MAX, 1))
UNARY(stop, clg_stop_gradient(a))

/* Padding has no builder of its own: it is the gradient of a slice, here weighted by x[1]. */
static clg_var build_pad(const clg_var *x)
{
    clg_var picked = clg_slice(x[0], -1, 1, INT64_MAX, 3), padded;
    if (clg_gradients(clg_mul(picked, x[1]), &x[0], 1, &padded) != CLG_OK)
        return (clg_var){x[0].graph, -1};
    return padded;
}

BINARY(matmul, clg_matmul(a, b))
BINARY(gather, clg_gather(a, b))
BINARY(scatter_add, clg_scatter_add(a, b, CHECK_TABLE_ROWS))

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
static const check_shapes summed = {
    6, {{{P(1)}}, {{P(37, 5)}}, {{P(3, 1031)}}, {{T(70, 129)}}, {{S(2, 3, 4, 5)}}, {{P(3, 0)}}}};
static const check_shapes reshaped = {4, {{{P(12)}}, {{T(13, 7)}}, {{S(2, 3, 4, 5)}}, {{P(0, 4)}}}};
static const check_shapes rank3 = {3, {{{P(4, 5, 6)}}, {{T(2, 13, 7)}}, {{S(3, 1, 9)}}}};
static const check_shapes expanded = {4, {{{P(1)}}, {{P(3, 1)}}, {{T(1, 7)}}, {{S(4, 1, 7)}}}};
static const check_shapes sliced = {3, {{{P(4, 9)}}, {{T(13, 7)}}, {{P(2, 5, 8)}}}};
static const check_shapes padded = {2, {{{P(3, 10), P(3, 3)}}, {{T(4, 9), P(3)}}}};
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

const check_row check_rows[] = {
    {"negate", "", build_neg, "r", -3, 3, &one, 0},
    {"add", "", build_add, "rr", -3, 3, &two, 0},
    {"subtract", "", build_sub, "rr", -3, 3, &two, 0},
    {"multiply", "", build_mul, "rr", -3, 3, &two, 0},
    {"divide", "", build_div, "rr", 0.5, 3, &two, 0},
    {"power", "", build_pow, "rr", 0.5, 3, &two, 0},
    {"square", "", build_square, "r", -3, 3, &one, 0},
    {"sqrt", "", build_sqrt, "r", 0.25, 4, &one, 0},
    {"exp", "", build_exp, "r", -4, 4, &one, 0},
    {"log", "", build_log, "r", 0.25, 4, &one, 0},
    {"sin", "", build_sin, "r", -6, 6, &one, 0},
    {"cos", "", build_cos, "r", -6, 6, &one, 0},
    /* 1 - y in the gradients loses the digits that y near 1 does not have; test_math.c covers the functions whole */
    {"tanh", "", build_tanh, "r", -2, 2, &one, 0},
    {"erf", "", build_erf, "r", -3, 3, &one, 0},
    /* its slope is 0 near -0.75 */
    {"gelu", "", build_gelu, "r", -0.5, 4, &one, 0},
    {"relu", "", build_relu, "r", -3, 3, &one, 0},
    {"sigmoid", "", build_sigmoid, "r", -6, 3, &one, 0},
    {"abs", "", build_abs, "r", -3, 3, &one, 0},
    {"sign", "", build_sign, "r", -3, 3, &one, NO_GRADIENT},
    {"maximum", "", build_maximum, "rr", -3, 3, &two, 0},
    {"minimum", "", build_minimum, "rr", -3, 3, &two, 0},
    {"less", "", build_less, "rr", -3, 3, &two, NO_GRADIENT},
    {"less_equal", "", build_less_equal, "rr", -3, 3, &two, NO_GRADIENT},
    {"equal", "", build_equal, "rr", -3, 3, &two, NO_GRADIENT},
    {"not_equal", "", build_not_equal, "rr", -3, 3, &two, NO_GRADIENT},
    {"where", "", build_where, "crr", -3, 3, &three, 0},
    {"cast", "to i32", build_cast_i32, "r", -300, 300, &one, NO_GRADIENT},
    {"cast", "to f64", build_cast_f64, "r", -3, 3, &one, CHECK_F64},
    /* not centred on 0: the error of a sum that cancels says nothing in units of the sum */
    {"sum", "first axis", build_sum_first, "r", -1, 3, &summed, 0},
    {"sum", "last axis", build_sum_last, "r", -1, 3, &summed, 0},
    {"sum", "all axes", build_sum_all, "r", -1, 3, &summed, 0},
    {"max", "first axis", build_max_first, "r", -3, 3, &reduced, 0},
    {"max", "last axis", build_max_last, "r", -3, 3, &reduced, 0},
    {"max", "all axes", build_max_all, "r", -3, 3, &reduced, 0},
    {"reshape", "", build_reshape, "r", -3, 3, &reshaped, 0},
    {"permute", "", build_permute, "r", -3, 3, &rank3, 0},
    {"broadcast_to", "", build_expand, "r", -3, 3, &expanded, 0},
    {"slice", "", build_slice, "r", -3, 3, &sliced, 0},
    {"pad", "", build_pad, "rr", -3, 3, &padded, 0},
    {"stop_gradient", "", build_stop, "r", -3, 3, &one, NO_GRADIENT},
    {"matmul", "", build_matmul, "rr", -1, 1, &products, 0},
    {"gather", "", build_gather, "ri", -3, 3, &gathers, 0},
    {"scatter_add", "", build_scatter_add, "ir", -3, 3, &scatters, 0},
};
const int check_row_count = sizeof check_rows / sizeof check_rows[0];
