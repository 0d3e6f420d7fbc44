/* What the operations that move, multiply and add up elements give: literal numbers, on every device, with NaN,
 * infinities, signed zeros, indices out of range, repeated ones and empty arrays. test_literals.c has the elementwise
 * operations, casts and reductions. A row of ops.def of these other kinds without a case here fails. */
#include "support.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 15 };
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define LEAF(dtype, shape, ...) support_leaf(g, dtype, shape, (const double[]){__VA_ARGS__})
#define EMPTY(dtype, shape) LEAF(dtype, shape, 0)

/* ---------------------------------------------------------------- leaves */

static clg_var input(clg_graph *g) { return LEAF(CLG_F32, CLG_SHAPE(4), NAN, -0.0, INFINITY, -INFINITY); }
static clg_var input_u8(clg_graph *g) { return LEAF(CLG_U8, CLG_SHAPE(3), 0, 128, 255); }
static clg_var input_empty(clg_graph *g) { return EMPTY(CLG_F32, CLG_SHAPE(2, 0)); }
static clg_var constant_zero(clg_graph *g) { return clg_full(g, CLG_F32, CLG_SHAPE(2, 2), -0.0); }
static clg_var constant_nan(clg_graph *g) { return clg_full(g, CLG_F32, CLG_SHAPE(2), NAN); }
static clg_var constant_u8(clg_graph *g) { return clg_full(g, CLG_U8, CLG_SHAPE(3), 200); }
static clg_var constant_empty(clg_graph *g) { return clg_full(g, CLG_I32, CLG_SHAPE(0), 7); }
static clg_var arange(clg_graph *g) { return clg_arange(g, CLG_I32, 4); }
static clg_var arange_f32(clg_graph *g) { return clg_arange(g, CLG_F32, 3); }
static clg_var arange_u8(clg_graph *g) { return clg_arange(g, CLG_U8, 3); }
static clg_var arange_empty(clg_graph *g) { return clg_arange(g, CLG_F32, 0); }

/* ---------------------------------------------------------------- views */

static clg_var special(clg_graph *g) { return LEAF(CLG_F32, CLG_SHAPE(2, 3), NAN, -0.0, 1, INFINITY, -INFINITY, 0); }
static clg_var bytes(clg_graph *g) { return LEAF(CLG_U8, CLG_SHAPE(2, 3), 250, 251, 252, 253, 254, 255); }

static clg_var reshape(clg_graph *g) { return clg_reshape(special(g), CLG_SHAPE(3, 2)); }
static clg_var reshape_empty(clg_graph *g) { return clg_reshape(EMPTY(CLG_F32, CLG_SHAPE(0, 3)), CLG_SHAPE(2, 0)); }
static clg_var permute(clg_graph *g) { return clg_permute(special(g), CLG_AXES(1, 0)); }
static clg_var permute_u8(clg_graph *g) { return clg_permute(bytes(g), CLG_AXES(1, 0)); }
static clg_var broadcast(clg_graph *g)
{
    return clg_broadcast_to(LEAF(CLG_F32, CLG_SHAPE(2, 1), -0.0, NAN), CLG_SHAPE(2, 3));
}
static clg_var broadcast_empty(clg_graph *g)
{
    return clg_broadcast_to(LEAF(CLG_F32, CLG_SHAPE(1, 1), 3), CLG_SHAPE(2, 0));
}
static clg_var slice(clg_graph *g) { return clg_slice(special(g), 1, INT64_MAX, INT64_MIN, -2); }
static clg_var slice_u8(clg_graph *g) { return clg_slice(bytes(g), 1, 1, INT64_MAX, 1); }
static clg_var slice_empty(clg_graph *g) { return clg_slice(special(g), 1, 2, 1, 1); }
static clg_var pad(clg_graph *g)
{
    return clg_pad(LEAF(CLG_F32, CLG_SHAPE(2), NAN, -0.0), CLG_SHAPE(1), CLG_SHAPE(2), CLG_PAD_CONSTANT, -INFINITY);
}
static clg_var pad_zero(clg_graph *g)
{
    return clg_pad(LEAF(CLG_F32, CLG_SHAPE(1), INFINITY), CLG_SHAPE(1), CLG_SHAPE(1), CLG_PAD_CONSTANT, -0.0);
}
static clg_var pad_u8(clg_graph *g)
{
    return clg_pad(LEAF(CLG_U8, CLG_SHAPE(1), 7), CLG_SHAPE(1), CLG_SHAPE(0), CLG_PAD_CONSTANT, 255);
}
static clg_var pad_empty(clg_graph *g)
{
    return clg_pad(EMPTY(CLG_F32, CLG_SHAPE(0)), CLG_SHAPE(1), CLG_SHAPE(1), CLG_PAD_CONSTANT, NAN);
}
static clg_var window(clg_graph *g)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(5), 1, NAN, -0.0, INFINITY, 5);
    return clg_window(x, CLG_AXES(0), CLG_SHAPE(2), CLG_SHAPE(1), CLG_SHAPE(2));
}
static clg_var window_u8(clg_graph *g)
{
    clg_var x = LEAF(CLG_U8, CLG_SHAPE(4), 1, 2, 3, 255);
    return clg_window(x, CLG_AXES(0), CLG_SHAPE(2), CLG_SHAPE(2), CLG_SCALAR);
}
static clg_var diagonal(clg_graph *g)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(3, 3), NAN, 2, 3, 4, -0.0, 6, 7, 8, INFINITY);
    return clg_einsum("ii->i", &x, 1);
}
static clg_var part_of_transpose(clg_graph *g) { return clg_slice(clg_transpose(bytes(g)), 0, 1, 3, 1); }
static clg_var stopped(clg_graph *g) { return clg_stop_gradient(special(g)); }
static clg_var stopped_gradient(clg_graph *g)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(2), 3, -5), gx; /* of x stop(x): stop(x) alone */
    clg_gradients(clg_mul(x, clg_stop_gradient(x)), &x, 1, &gx);
    return gx;
}

static clg_var again(clg_graph *g)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(3), 3, NAN, -0.0), gx;
    const int32_t mark = clg_graph_mark(g);
    clg_var y = clg_square(x);
    clg_checkpoint(g, mark);
    clg_gradients(y, &x, 1, &gx); /* 2 x, of x again */
    return gx;
}

/* ---------------------------------------------------------------- contractions, rows of tables */

static clg_var product_by(clg_graph *g, clg_dtype dtype, double first)
{
    return clg_matmul(LEAF(dtype, CLG_SHAPE(2, 2), first, 2, 3, 4), LEAF(dtype, CLG_SHAPE(2, 2), 5, 6, 7, 8));
}
static clg_var product(clg_graph *g) { return product_by(g, CLG_F32, 1); }
static clg_var product_of_nan(clg_graph *g) { return product_by(g, CLG_F32, NAN); }
static clg_var product_of_infinity(clg_graph *g)
{
    clg_var a = LEAF(CLG_F32, CLG_SHAPE(2, 2), INFINITY, 1, INFINITY, -INFINITY);
    return clg_matmul(a, LEAF(CLG_F32, CLG_SHAPE(2, 2), 1, 0, 1, 1)); /* inf 0 and inf - inf are NaN */
}
static clg_var product_of_zeros(clg_graph *g)
{
    return clg_matmul(LEAF(CLG_F32, CLG_SHAPE(1, 2), 0, 1), LEAF(CLG_F32, CLG_SHAPE(2, 1), NAN, 1)); /* 0 NaN: NaN */
}
static clg_var product_of_nothing(clg_graph *g)
{
    return clg_matmul(EMPTY(CLG_F32, CLG_SHAPE(2, 0)), EMPTY(CLG_F32, CLG_SHAPE(0, 3)));
}
static clg_var product_without_rows(clg_graph *g)
{
    return clg_matmul(EMPTY(CLG_F32, CLG_SHAPE(0, 2)), LEAF(CLG_F32, CLG_SHAPE(2, 2), 1, 2, 3, 4));
}
static clg_var convolution(clg_graph *g)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(1, 1, 4), 1, 2, NAN, 4), w = LEAF(CLG_F32, CLG_SHAPE(1, 1, 2), 10, 1);
    return clg_conv(x, w, (clg_conv_options){.before = CLG_SHAPE(1), .after = CLG_SHAPE(1)});
}

/* Indices that are computed: those of an input may not lie outside. */
static clg_var indices(clg_graph *g)
{
    return clg_neg(LEAF(CLG_I32, CLG_SHAPE(5), -1, 1, -2, 0, -1)); /* 1, -1, 2, 0, 1 */
}
static clg_var gather(clg_graph *g) { return clg_gather(special(g), indices(g)); }
static clg_var gather_u8(clg_graph *g) { return clg_gather(clg_slice(bytes(g), 1, 0, 2, 1), indices(g)); }
static clg_var gather_nothing(clg_graph *g) { return clg_gather(special(g), EMPTY(CLG_I32, CLG_SHAPE(0))); }
static clg_var scatter(clg_graph *g)
{
    return clg_scatter_add(indices(g), LEAF(CLG_F32, CLG_SHAPE(5), 1, 100, 200, NAN, 4), 2);
}
static clg_var scatter_infinities(clg_graph *g)
{
    clg_var rows = LEAF(CLG_I32, CLG_SHAPE(4), 0, 2, 2, 3);
    return clg_scatter_add(rows, LEAF(CLG_F32, CLG_SHAPE(4), INFINITY, INFINITY, -INFINITY, -0.0), 4);
}
static clg_var scatter_u8(clg_graph *g)
{
    return clg_scatter_add(LEAF(CLG_U8, CLG_SHAPE(2), 1, 1), LEAF(CLG_U8, CLG_SHAPE(2), 200, 100), 2);
}
static clg_var scatter_nothing(clg_graph *g)
{
    return clg_scatter_add(EMPTY(CLG_I32, CLG_SHAPE(0)), EMPTY(CLG_F32, CLG_SHAPE(0, 2)), 2);
}
static clg_var scatter_max(clg_graph *g)
{
    return clg_scatter_max(indices(g), LEAF(CLG_F32, CLG_SHAPE(5), 1, 100, 200, -INFINITY, 4), 4);
}
static clg_var scatter_max_nan(clg_graph *g)
{
    return clg_scatter_max(indices(g), LEAF(CLG_F32, CLG_SHAPE(5), NAN, 100, 200, 3, 4), 2);
}
static clg_var scatter_max_u8(clg_graph *g)
{
    return clg_scatter_max(LEAF(CLG_U8, CLG_SHAPE(2), 1, 1), LEAF(CLG_U8, CLG_SHAPE(2), 200, 100), 2);
}
/* Elements of x without updates keep the whole gradient, also where they are what the extreme of nothing is. */
static clg_var put_slope(clg_graph *g, clg_scatter_mode mode, double edge)
{
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(4), edge, 1, edge, 3), gx = CLG_NONE;
    clg_var updates = LEAF(CLG_F32, CLG_SHAPE(2), mode == CLG_SCATTER_MAX ? 5 : -5, 3);
    clg_var y = clg_scatter(x, LEAF(CLG_I32, CLG_SHAPE(2), 1, 3), updates, 0, mode);
    clg_gradients(y, &x, 1, &gx);
    return gx;
}
static clg_var put_max_slope(clg_graph *g) { return put_slope(g, CLG_SCATTER_MAX, -INFINITY); }
static clg_var put_min_slope(clg_graph *g) { return put_slope(g, CLG_SCATTER_MIN, INFINITY); }
static clg_var scatter_min(clg_graph *g)
{
    return clg_scatter_min(indices(g), LEAF(CLG_F32, CLG_SHAPE(5), 1, 100, 200, NAN, 4), 3);
}
static clg_var scatter_min_i32(clg_graph *g)
{
    return clg_scatter_min(LEAF(CLG_U8, CLG_SHAPE(2), 1, 1), LEAF(CLG_I32, CLG_SHAPE(2), 200, -100), 2);
}

/* ---------------------------------------------------------------- matrices */

static clg_var lower(clg_graph *g) { return LEAF(CLG_F32, CLG_SHAPE(2, 2), 2, NAN, 1, -4); }
static clg_var cholesky(clg_graph *g) { return clg_cholesky(LEAF(CLG_F32, CLG_SHAPE(2, 2), 4, 3, 1, 5)); }
static clg_var cholesky_none(clg_graph *g) { return clg_cholesky(LEAF(CLG_F32, CLG_SHAPE(2, 2), 1, 2, 2, 3)); }
static clg_var cholesky_empty(clg_graph *g) { return clg_cholesky(EMPTY(CLG_F32, CLG_SHAPE(2, 0, 0))); }
static clg_var triangular(clg_graph *g)
{
    return clg_solve_triangular(lower(g), LEAF(CLG_I32, CLG_SHAPE(2, 1), 6, -1), false);
}
static clg_var triangular_upper(clg_graph *g)
{
    return clg_solve_triangular(clg_transpose(lower(g)), LEAF(CLG_I32, CLG_SHAPE(2, 1), 6, -8), true);
}
static clg_var triangular_singular(clg_graph *g)
{
    clg_var a = LEAF(CLG_F32, CLG_SHAPE(2, 2), 0, 0, 0, 1);
    return clg_solve_triangular(a, LEAF(CLG_F32, CLG_SHAPE(2, 2), 0, 1, 2, -3), false);
}
static clg_var solve(clg_graph *g)
{
    clg_var a = LEAF(CLG_F32, CLG_SHAPE(2, 2), 0, 2, 4, -1); /* the first pivot is in the second row */
    return clg_solve(a, LEAF(CLG_F32, CLG_SHAPE(2, 2), 6, 2, 5, -1));
}
static clg_var determinant(clg_graph *g)
{
    return clg_determinant(LEAF(CLG_F32, CLG_SHAPE(3, 2, 2), 0, 2, 4, -1, 1, 2, 2, 4, NAN, 0, 0, 1));
}
static clg_var determinant_log(clg_graph *g)
{
    return clg_log_determinant(LEAF(CLG_F32, CLG_SHAPE(2, 1, 1), -1, 0), NULL);
}
static clg_var determinant_sign(clg_graph *g)
{
    clg_var sign;
    clg_log_determinant(LEAF(CLG_F32, CLG_SHAPE(3, 2, 2), 0, 2, 4, -1, 1, 2, 2, 4, 1, NAN, 0, 1), &sign);
    return sign;
}
static clg_var determinant_empty(clg_graph *g) { return clg_determinant(EMPTY(CLG_F32, CLG_SHAPE(2, 0, 0))); }

/* ---------------------------------------------------------------- along an axis */

enum { BACK = CLG_SCAN_REVERSE, WITHOUT = CLG_SCAN_EXCLUSIVE };
static clg_var line(clg_graph *g) { return LEAF(CLG_F32, CLG_SHAPE(5), 3, -1, 0.5, INFINITY, -INFINITY); }
static clg_var words(clg_graph *g) { return LEAF(CLG_I32, CLG_SHAPE(2, 2), 2147483647, 1, -5, 2); }
static clg_var cumsum(clg_graph *g) { return clg_cumsum(line(g), 0, 0); }
static clg_var cumsum_back(clg_graph *g) { return clg_cumsum(words(g), 1, BACK | WITHOUT); }
static clg_var cumsum_u8(clg_graph *g) { return clg_cumsum(bytes(g), 0, 0); }
static clg_var cumsum_words(clg_graph *g) { return clg_cumsum(words(g), 1, 0); }
static clg_var cumsum_nan(clg_graph *g) { return clg_cumsum(special(g), 1, WITHOUT); }
static clg_var cumsum_empty(clg_graph *g) { return clg_cumsum(EMPTY(CLG_F32, CLG_SHAPE(2, 0)), 1, WITHOUT); }
static clg_var cumprod(clg_graph *g) { return clg_cumprod(LEAF(CLG_F32, CLG_SHAPE(4), 2, 0, -3, INFINITY), 0, 0); }
static clg_var cumprod_back(clg_graph *g) { return clg_cumprod(words(g), 0, BACK | WITHOUT); }
static clg_var cummax(clg_graph *g) { return clg_cummax(line(g), -1, WITHOUT); }
static clg_var cummax_nan(clg_graph *g) { return clg_cummax(special(g), 1, BACK); }
static clg_var cummin(clg_graph *g) { return clg_cummin(line(g), 0, 0); }
static clg_var cummin_u8(clg_graph *g) { return clg_cummin(bytes(g), 0, BACK | WITHOUT); }
static clg_var logcumsumexp(clg_graph *g)
{
    return clg_logcumsumexp(LEAF(CLG_F32, CLG_SHAPE(5), -INFINITY, 1000, -1000, INFINITY, NAN), 0, 0);
}
static clg_var recurrence(clg_graph *g)
{
    return clg_recurrence(LEAF(CLG_F32, CLG_SHAPE(4), 1, 2, 3, 4), LEAF(CLG_F32, CLG_SHAPE(4), 9, 0.5, -1, 0), 0, 0);
}
static clg_var recurrence_back(clg_graph *g)
{
    return clg_recurrence(LEAF(CLG_I32, CLG_SHAPE(3), 1, 2, 3), LEAF(CLG_F32, CLG_SHAPE(1), 2), 0, BACK | WITHOUT);
}
static clg_var argsort(clg_graph *g)
{
    return clg_argsort(LEAF(CLG_F32, CLG_SHAPE(7), 0, NAN, -0.0, INFINITY, -INFINITY, NAN, 1), 0, false, -1);
}
static clg_var argsort_down(clg_graph *g)
{
    return clg_argsort(LEAF(CLG_F32, CLG_SHAPE(7), 0, NAN, -0.0, INFINITY, -INFINITY, NAN, 1), 0, true, 6);
}
static clg_var argsort_of_conventions(clg_graph *g) /* docs/conventions.md */
{
    return clg_argsort(LEAF(CLG_F32, CLG_SHAPE(6), 0, NAN, -0.0, INFINITY, NAN, 1), 0, true, -1);
}
static clg_var argsort_words(clg_graph *g) { return clg_argsort(words(g), 0, false, -1); }
static clg_var argsort_u8(clg_graph *g) { return clg_argsort(bytes(g), 1, true, 1); }
static clg_var argsort_none(clg_graph *g) { return clg_argsort(line(g), 0, true, 0); }

/* ---------------------------------------------------------------- the table */

typedef struct array_case {
    const char *op; /* a node of the case's graph has this creator, or all is a constant */
    clg_var (*build)(clg_graph *);
    clg_dtype dtype;
    clg_shape shape;
    double want[MOST];
} array_case;

#define S(...)                                                                                                         \
    {                                                                                                                  \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), { __VA_ARGS__ }                                     \
    }

static const array_case cases[] = {
    {"input", input, CLG_F32, S(4), {NAN, -0.0, INFINITY, -INFINITY}},
    {"input", input_u8, CLG_U8, S(3), {0, 128, 255}},
    {"input", input_empty, CLG_F32, S(2, 0), {0}},
    {"constant", constant_zero, CLG_F32, S(2, 2), {-0.0, -0.0, -0.0, -0.0}},
    {"constant", constant_nan, CLG_F32, S(2), {NAN, NAN}},
    {"constant", constant_u8, CLG_U8, S(3), {200, 200, 200}},
    {"constant", constant_empty, CLG_I32, S(0), {0}},
    {"arange", arange, CLG_I32, S(4), {0, 1, 2, 3}},
    {"arange", arange_f32, CLG_F32, S(3), {0, 1, 2}},
    {"arange", arange_u8, CLG_U8, S(3), {0, 1, 2}},
    {"arange", arange_empty, CLG_F32, S(0), {0}},
    {"reshape", reshape, CLG_F32, S(3, 2), {NAN, -0.0, 1, INFINITY, -INFINITY, 0}},
    {"reshape", reshape_empty, CLG_F32, S(2, 0), {0}},
    {"permute", permute, CLG_F32, S(3, 2), {NAN, INFINITY, -0.0, -INFINITY, 1, 0}},
    {"permute", permute_u8, CLG_U8, S(3, 2), {250, 253, 251, 254, 252, 255}},
    {"broadcast_to", broadcast, CLG_F32, S(2, 3), {-0.0, -0.0, -0.0, NAN, NAN, NAN}},
    {"broadcast_to", broadcast_empty, CLG_F32, S(2, 0), {0}},
    {"slice", slice, CLG_F32, S(2, 2), {1, NAN, 0, INFINITY}},
    {"slice", slice_u8, CLG_U8, S(2, 2), {251, 252, 254, 255}},
    {"slice", slice_empty, CLG_F32, S(2, 0), {0}},
    {"pad", pad, CLG_F32, S(5), {-INFINITY, NAN, -0.0, -INFINITY, -INFINITY}},
    {"pad", pad_zero, CLG_F32, S(3), {-0.0, INFINITY, -0.0}},
    {"pad", pad_u8, CLG_U8, S(2), {255, 7}},
    {"pad", pad_empty, CLG_F32, S(2), {NAN, NAN}},
    {"window", window, CLG_F32, S(3, 2), {1, -0.0, NAN, INFINITY, -0.0, 5}},
    {"window", window_u8, CLG_U8, S(2, 2), {1, 2, 3, 255}},
    {"view", diagonal, CLG_F32, S(3), {NAN, -0.0, INFINITY}},
    {"view", part_of_transpose, CLG_U8, S(2, 2), {251, 254, 252, 255}},
    {"again", again, CLG_F32, S(3), {6, NAN, -0.0}},
    {"stop_gradient", stopped, CLG_F32, S(2, 3), {NAN, -0.0, 1, INFINITY, -INFINITY, 0}},
    {"stop_gradient", stopped_gradient, CLG_F32, S(2), {3, -5}},
    {"contract", product, CLG_F32, S(2, 2), {19, 22, 43, 50}},
    {"contract", product_of_nan, CLG_F32, S(2, 2), {NAN, NAN, 43, 50}},
    {"contract", product_of_infinity, CLG_F32, S(2, 2), {INFINITY, NAN, NAN, NAN}},
    {"contract", product_of_zeros, CLG_F32, S(1, 1), {NAN}},
    {"contract", product_of_nothing, CLG_F32, S(2, 3), {0, 0, 0, 0, 0, 0}},
    {"contract", product_without_rows, CLG_F32, S(0, 2), {0}},
    {"contract", convolution, CLG_F32, S(1, 1, 5), {1, 12, NAN, NAN, 40}},
    {"gather",
     gather,
     CLG_F32,
     S(5, 3),
     {INFINITY, -INFINITY, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, -0.0, 1, INFINITY, -INFINITY, 0}},
    {"gather", gather_u8, CLG_U8, S(5, 2), {253, 254, 0, 0, 0, 0, 250, 251, 253, 254}},
    {"gather", gather_nothing, CLG_F32, S(0, 3), {0}},
    {"scatter_add", scatter, CLG_F32, S(2), {NAN, 5}},
    {"scatter_add", scatter_infinities, CLG_F32, S(4), {INFINITY, 0, NAN, 0}},
    {"scatter_add", scatter_u8, CLG_U8, S(2), {0, 44}},
    {"scatter_add", scatter_nothing, CLG_F32, S(2, 2), {0, 0, 0, 0}},
    {"scatter_max", scatter_max, CLG_F32, S(4), {-INFINITY, 4, 200, -INFINITY}},
    {"scatter_max", scatter_max_nan, CLG_F32, S(2), {3, NAN}},
    {"scatter_max", scatter_max_u8, CLG_U8, S(2), {0, 200}},
    {"scatter_max", put_max_slope, CLG_F32, S(4), {1, 0, 1, 0.5}},
    {"scatter_min", put_min_slope, CLG_F32, S(4), {1, 0, 1, 0.5}},
    {"scatter_min", scatter_min, CLG_F32, S(3), {NAN, 1, 200}},
    {"scatter_min", scatter_min_i32, CLG_I32, S(2), {INT32_MAX, -100}},
    {"cholesky", cholesky, CLG_F32, S(2, 2), {2, 0, 1, 2}},
    {"cholesky", cholesky_none, CLG_F32, S(2, 2), {1, 0, 2, NAN}},
    {"cholesky", cholesky_empty, CLG_F32, S(2, 0, 0), {0}},
    {"solve_triangular", triangular, CLG_F32, S(2, 1), {3, 1}},
    {"solve_triangular", triangular_upper, CLG_F32, S(2, 1), {2, 2}},
    {"solve_triangular", triangular_singular, CLG_F32, S(2, 2), {NAN, INFINITY, NAN, NAN}},
    {"solve", solve, CLG_F32, S(2, 2), {2, 0, 3, 1}},
    {"determinant", determinant, CLG_F32, S(3), {-8, -0.0, NAN}},
    {"determinant", determinant_log, CLG_F32, S(2), {0, -INFINITY}},
    {"determinant", determinant_sign, CLG_F32, S(3), {-1, 0, NAN}},
    {"constant", determinant_empty, CLG_F32, S(2), {1, 1}},
    {"cumsum", cumsum, CLG_F32, S(5), {3, 2, 2.5, INFINITY, NAN}},
    {"cumsum", cumsum_back, CLG_I64, S(2, 2), {1, 0, 2, 0}},
    {"cumsum", cumsum_u8, CLG_I64, S(2, 3), {250, 251, 252, 503, 505, 507}},
    {"cumsum", cumsum_words, CLG_I64, S(2, 2), {INT32_MAX, 2147483648.0, -5, -3}},
    {"cumsum", cumsum_nan, CLG_F32, S(2, 3), {0, NAN, NAN, 0, INFINITY, NAN}},
    {"input", cumsum_empty, CLG_F32, S(2, 0), {0}},
    {"cumprod", cumprod, CLG_F32, S(4), {2, 0, -0.0, NAN}},
    {"cumprod", cumprod_back, CLG_I64, S(2, 2), {-5, 2, 1, 1}},
    {"cummax", cummax, CLG_F32, S(5), {-INFINITY, 3, 3, 3, INFINITY}},
    {"cummax", cummax_nan, CLG_F32, S(2, 3), {NAN, 1, 1, INFINITY, 0, 0}},
    {"cummin", cummin, CLG_F32, S(5), {3, -1, -1, -1, -INFINITY}},
    {"cummin", cummin_u8, CLG_U8, S(2, 3), {253, 254, 255, 255, 255, 255}},
    {"logcumsumexp", logcumsumexp, CLG_F32, S(5), {-INFINITY, 1000, 1000, INFINITY, NAN}},
    {"recurrence", recurrence, CLG_F32, S(4), {1, 2.5, 0.5, 4}},
    {"recurrence", recurrence_back, CLG_F32, S(3), {8, 3, 0}},
    {"argsort", argsort, CLG_I32, S(7), {4, 0, 2, 6, 3, 1, 5}},
    {"argsort", argsort_down, CLG_I32, S(6), {1, 5, 3, 6, 0, 2}},
    {"argsort", argsort_of_conventions, CLG_I32, S(6), {1, 4, 3, 5, 0, 2}},
    {"argsort", argsort_words, CLG_I32, S(2, 2), {1, 0, 0, 1}},
    {"argsort", argsort_u8, CLG_I32, S(2, 1), {2, 2}},
    {"argsort", argsort_none, CLG_I32, S(0), {0}},
};

/* NaN for NaN; of zeros the sign, too. */
static bool same(double got, double want)
{
    return isnan(want) ? isnan(got) : got == want && (want != 0 || !signbit(got) == !signbit(want));
}

static void expect(const char *device, const char *op, clg_var y, const array_case *c)
{
    char shape[64];
    if (!clg_is_valid(y))
        fail_msg("%s: %s", op, clg_last_error());
    if (!clg_shape_equal(clg_shape_of(y), c->shape) || clg_dtype_of(y) != c->dtype)
        fail_msg("%s: %s %s", op, clg_dtype_name(clg_dtype_of(y)), clg_shape_format(clg_shape_of(y), shape, 64));
    double *got = support_values(y);
    for (int i = 0; i < (int)clg_shape_count(c->shape); i++)
        if (!same(got[i], c->want[i]))
            fail_msg("%s on %s, element %d: %g instead of %g", op, device, i, got[i], c->want[i]);
    free(got);
}

static bool has_node(clg_graph *g, const char *op)
{
    for (int32_t i = 0; i < clg_graph_size(g); i++)
        if (strcmp(clg_creator((clg_var){g, i}), op) == 0)
            return true;
    return false;
}

static void check_arrays(clg_device *device)
{
    for (int k = 0; k < COUNT(cases); k++) {
        clg_graph *g = clg_graph_new(device);
        clg_var y = cases[k].build(g);
        if (!has_node(g, cases[k].op) && strcmp(clg_creator(y), "constant")) /* of what is empty */
            fail_msg("case %d makes no node %s", k, cases[k].op);
        expect(clg_device_get_info(device)->spec, cases[k].op, y, &cases[k]);
        clg_graph_free(g);
    }
}

static void run(clg_program *p)
{
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_last_error());
}

/* Two runs: each sees the values from before it. */
static void check_effects(clg_device *device)
{
    const char *spec = clg_device_get_info(device)->spec;
    static const array_case first = {"after", NULL, CLG_F32, S(3), {-0.0, NAN, -INFINITY}},
                            second = {"after", NULL, CLG_F32, S(3), {-1, NAN, -INFINITY}},
                            leaf = {"assign", NULL, CLG_F32, S(3), {2, NAN, INFINITY}},
                            bytes_after = {"assign", NULL, CLG_U8, S(2), {0, 8}};
    clg_graph *g = clg_graph_new(device);
    clg_var x = LEAF(CLG_F32, CLG_SHAPE(3), 0, NAN, INFINITY), u = LEAF(CLG_U8, CLG_SHAPE(2), 254, 6);
    clg_var next = clg_assign(x, clg_add(x, clg_full(g, CLG_F32, CLG_SCALAR, 1)));
    clg_var more = clg_assign(u, clg_add(u, clg_full(g, CLG_U8, CLG_SCALAR, 1)));
    clg_var y = clg_after(clg_neg(x), next), none = EMPTY(CLG_F32, CLG_SHAPE(0)), empty = clg_assign(none, none);
    assert_string_equal(clg_creator(next), "assign");
    assert_string_equal(clg_creator(y), "after");
    clg_program *p = clg_compile(g, (clg_var[]){y, more, empty}, 3);
    run(p);
    expect(spec, "after", y, &first);
    run(p);
    expect(spec, "after, second run", y, &second);
    expect(spec, "assign", x, &leaf);
    expect(spec, "assign", u, &bytes_after);
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_arrays(void **state)
{
    (void)state;
    support_each_device(check_arrays);
}

static void test_effects(void **state)
{
    (void)state;
    support_each_device(check_effects);
}

static void test_no_row_is_left_out(void **state)
{
    (void)state;
    for (int op = 0; op < clg_op_count(); op++) {
        clg_op_info info = clg_op_get_info(op);
        bool found = !strcmp(info.kind, "map") || !strcmp(info.kind, "reduce");       /* test_literals.c */
        found = found || !strcmp(info.name, "assign") || !strcmp(info.name, "after"); /* check_effects */
        for (int i = 0; !found && i < COUNT(cases); i++)
            found = strcmp(cases[i].op, info.name) == 0;
        if (!found)
            fail_msg("%s has no literal values here", info.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_effects),
        cmocka_unit_test(test_no_row_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
