/* Gradients: one rule an operation, each of which returns nodes of the same graph, and the reverse sweep that uses
 * them. Summing over broadcast axes is the rule of broadcast_to; adding up several uses of a variable is the sweep's.
 * In the rules x are the operands, y the result, gy the gradient of y; gx[i] is left alone where nothing flows. */
#include "build.h"
#include "checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One an operation, by the name in ops.def. */
typedef void gradient_rule(clg_var y, const clg_var *x, clg_var gy, clg_var *gx);

#define RULE(name)                                                                                                     \
    static void gradient_##name(clg_var y __attribute__((unused)), const clg_var *x __attribute__((unused)),           \
                                clg_var gy, clg_var *gx)

static clg_var times(clg_var x, double factor) { return clg_mul(x, graph_like(x, factor)); }
static clg_var zeros(clg_var x) { return graph_like(x, 0); }

/* ---------------------------------------------------------------- maps */

RULE(neg) { gx[0] = clg_neg(gy); }
RULE(add) { gx[0] = gx[1] = gy; }
RULE(sub)
{
    gx[0] = gy;
    gx[1] = clg_neg(gy);
}
RULE(mul)
{
    gx[0] = clg_mul(gy, x[1]);
    gx[1] = clg_mul(gy, x[0]);
}
/* y / b, not gy / b times y: 0 stays 0 where gy / b is infinite */
RULE(div)
{
    gx[0] = clg_div(gy, x[1]);
    gx[1] = clg_neg(clg_mul(gy, clg_div(y, x[1])));
}
/* Of comparisons. */
static clg_var both(clg_var a, clg_var b) { return clg_where(a, b, graph_like(b, 0)); }
static clg_var either(clg_var a, clg_var b) { return clg_where(a, graph_like(a, 1), b); }

/* d a^b = b a^(b-1) da + a^b log(a) db. The first is taken as 0 where b is 0, the second where a^b is, and where a is
 * and b is not negative: there it is the limit along b, and the logarithm, whose slope is infinite, of another number.
 */
RULE(pow)
{
    clg_var slope = clg_mul(x[1], clg_pow(x[0], clg_sub(x[1], graph_like(x[1], 1))));
    gx[0] = clg_mul(gy, clg_where(clg_equal(x[1], zeros(x[1])), zeros(y), slope));
    clg_var base = both(clg_equal(x[0], zeros(x[0])), clg_less_equal(zeros(x[1]), x[1]));
    clg_var none = either(base, clg_equal(y, zeros(y)));
    clg_var logarithm = clg_log(clg_where(none, graph_like(x[0], 1), x[0]));
    gx[1] = clg_mul(gy, clg_mul(y, logarithm));
}
RULE(square) { gx[0] = clg_mul(gy, times(x[0], 2)); }
RULE(sqrt) { gx[0] = clg_div(times(gy, 0.5), y); }
RULE(exp) { gx[0] = clg_mul(gy, y); }
RULE(log) { gx[0] = clg_div(gy, x[0]); }
RULE(exp2) { gx[0] = times(clg_mul(gy, y), log(2)); }
RULE(expm1) { gx[0] = clg_mul(gy, clg_add(y, graph_like(y, 1))); }
RULE(log2) { gx[0] = clg_div(times(gy, 1 / log(2)), x[0]); }
RULE(log10) { gx[0] = clg_div(times(gy, 1 / log(10)), x[0]); }
RULE(log1p) { gx[0] = clg_div(gy, clg_add(x[0], graph_like(x[0], 1))); }
RULE(cbrt) { gx[0] = clg_div(gy, times(clg_square(y), 3)); }
/* x / y; 0 at the origin, as of other norms */
RULE(hypot)
{
    clg_var far = clg_where(clg_equal(y, zeros(y)), graph_like(y, 1), y);
    for (int i = 0; i < 2; i++)
        gx[i] = clg_mul(gy, clg_div(x[i], far));
}
RULE(tan) { gx[0] = clg_mul(gy, clg_add(clg_square(y), graph_like(y, 1))); }
/* 1 - x^2, without cancellation near 1 */
static clg_var below_one(clg_var x)
{
    clg_var one = graph_like(x, 1);
    return clg_mul(clg_sub(one, x), clg_add(one, x));
}
RULE(asin) { gx[0] = clg_div(gy, clg_sqrt(below_one(x[0]))); }
RULE(acos) { gx[0] = clg_neg(clg_div(gy, clg_sqrt(below_one(x[0])))); }
RULE(atan) { gx[0] = clg_div(gy, clg_add(clg_square(x[0]), graph_like(y, 1))); }
/* (b, -a) / (a^2 + b^2), where nothing overflows; 0 at the origin */
RULE(atan2)
{
    clg_var far = clg_hypot(x[0], x[1]), origin = clg_equal(far, zeros(far)), one = graph_like(far, 1);
    far = clg_where(origin, one, far);
    gx[0] = clg_mul(gy, clg_div(clg_div(x[1], far), far));
    gx[1] = clg_neg(clg_mul(gy, clg_div(clg_div(x[0], far), far)));
}
RULE(sinh) { gx[0] = clg_mul(gy, clg_cosh(x[0])); }
RULE(cosh) { gx[0] = clg_mul(gy, clg_sinh(x[0])); }
RULE(asinh) { gx[0] = clg_div(gy, clg_hypot(x[0], graph_like(x[0], 1))); }
RULE(acosh)
{
    clg_var one = graph_like(x[0], 1);
    gx[0] = clg_div(gy, clg_mul(clg_sqrt(clg_sub(x[0], one)), clg_sqrt(clg_add(x[0], one))));
}
RULE(atanh) { gx[0] = clg_div(gy, below_one(x[0])); }
RULE(sin) { gx[0] = clg_mul(gy, clg_cos(x[0])); }
RULE(cos) { gx[0] = clg_neg(clg_mul(gy, clg_sin(x[0]))); }
RULE(tanh) { gx[0] = clg_mul(gy, clg_sub(graph_like(y, 1), clg_square(y))); }
/* x drawn to where exp(-x^2 / 2) is 0 already: further out its slope would be 0 times infinity */
static clg_var within_bell(clg_var x)
{
    clg_var least = graph_like(x, -64), most = graph_like(x, 64);
    return clg_where(clg_less(x, least), least, clg_where(clg_less(most, x), most, x));
}
/* exp(-x^2) */
static clg_var bell(clg_var x) { return clg_exp(clg_neg(clg_square(within_bell(x)))); }
RULE(erf) { gx[0] = clg_mul(gy, times(bell(x[0]), 2 / sqrt(acos(-1)))); }
RULE(erfc) { gx[0] = clg_neg(clg_mul(gy, times(bell(x[0]), 2 / sqrt(acos(-1))))); }
RULE(erfinv) { gx[0] = clg_mul(gy, times(clg_exp(clg_square(y)), sqrt(acos(-1)) / 2)); }
RULE(lgamma) { gx[0] = clg_mul(gy, clg_digamma(x[0])); }
RULE(digamma) { gx[0] = clg_mul(gy, clg_polygamma(graph_like(x[0], 1), x[0])); }
/* none flows to the order, an integer */
RULE(polygamma) { gx[1] = clg_mul(gy, clg_polygamma(clg_add(x[0], graph_like(x[0], 1)), x[1])); }
/* Phi(x) + x phi(x), the normal distribution and its density */
RULE(gelu)
{
    clg_var near = within_bell(x[0]);
    clg_var phi = times(clg_exp(times(clg_square(near), -0.5)), 1 / sqrt(2 * acos(-1)));
    clg_var below = times(clg_add(clg_erf(times(near, sqrt(0.5))), graph_like(near, 1)), 0.5);
    gx[0] = clg_mul(gy, clg_add(below, clg_mul(near, phi)));
}
/* by the mask of the result, so that the operand need not be kept; 0 at 0 */
RULE(relu) { gx[0] = clg_where(clg_less(zeros(y), y), gy, zeros(gy)); }
RULE(sigmoid) { gx[0] = clg_mul(gy, clg_mul(y, clg_sub(graph_like(y, 1), y))); }
/* The n of y = a - b n, which stands still; a / b may be rounded to another whole number */
static clg_var whole_quotient(clg_var y, const clg_var *x) { return clg_round(clg_div(clg_sub(x[0], y), x[1])); }
RULE(fmod)
{
    gx[0] = gy;
    gx[1] = clg_neg(clg_mul(gy, whole_quotient(y, x)));
}
RULE(remainder)
{
    gx[0] = gy;
    gx[1] = clg_neg(clg_mul(gy, whole_quotient(y, x)));
}
/* 0 at 0, as of |a| */
RULE(copysign)
{
    clg_var one = graph_like(x[0], 1);
    gx[0] = clg_mul(gy, clg_mul(clg_sign(x[0]), clg_copysign(one, x[1])));
}
RULE(softplus) { gx[0] = clg_mul(gy, clg_sigmoid(x[0])); }
RULE(abs) { gx[0] = clg_mul(gy, clg_sign(x[0])); }
/* Where neither is beyond the other, since one is NaN, both get it all. */
static void extremum(clg_var beyond[2], const clg_var *x, clg_var gy, clg_var *gx)
{
    clg_var shared = clg_where(clg_equal(x[0], x[1]), times(gy, 0.5), gy);
    for (int i = 0; i < 2; i++)
        gx[i] = clg_where(beyond[1 - i], zeros(gy), shared);
}
RULE(maximum) { extremum((clg_var[]){clg_less(x[1], x[0]), clg_less(x[0], x[1])}, x, gy, gx); }
RULE(minimum) { extremum((clg_var[]){clg_less(x[0], x[1]), clg_less(x[1], x[0])}, x, gy, gx); }
RULE(where)
{
    gx[1] = clg_where(x[0], gy, zeros(gy));
    gx[2] = clg_where(x[0], zeros(gy), gy);
}
RULE(cast) { gx[0] = clg_cast(gy, clg_dtype_of(x[0])); }

/* ---------------------------------------------------------------- reductions and views */

RULE(sum) { gx[0] = views_broadcast(gy, clg_shape_of(x[0])); }

/* A value for x's elements by way of x's dtype, if x is f16 or bf16, cast: that is kept in less memory. Extremes of x
 * are as they were; shares of a gradient, which comes from that dtype too, but for ties of three. */
static clg_var kept_as_given(clg_var value, clg_var x)
{
    const clg_dtype dtype = clg_dtype_of(clg_operand(x, 0));
    const bool widened = graph_at(x)->op == OP_CAST && dtype_is_half(dtype);
    return widened ? clg_cast(clg_cast(value, dtype), clg_dtype_of(value)) : value;
}

RULE(extreme)
{
    clg_var chosen = clg_cast(clg_equal(x[0], kept_as_given(y, x[0])), clg_dtype_of(y));
    uint32_t mask = (uint32_t)graph_at(y)->attr.integer;
    gx[0] = clg_mul(chosen, kept_as_given(clg_div(gy, build_reduce(OP_SUM, chosen, mask)), x[0]));
}
RULE(again) { gx[0] = gy; }
RULE(reshape) { gx[0] = views_reshape(gy, clg_shape_of(x[0])); }
RULE(view)
{
    const index_map map = *graph_map_of(y); /* the table may move */
    gx[0] = views_adjoint(x[0], gy, &map);
}

/* The sum over the axes along which it was repeated, where they are: no view before it. */
RULE(expand)
{
    const index_map map = *graph_map_of(y);
    clg_shape from = clg_shape_of(x[0]), to = clg_shape_of(y);
    uint32_t mask = (1u << to.rank) - 1;
    for (int k = 0; k < from.rank; k++)
        for (int d = 0; d < to.rank; d++)
            if (map.axis[k].coef[d])
                mask &= ~(1u << d);
    gx[0] = views_reshape(build_reduce(OP_SUM, gy, mask), from);
}

/* ---------------------------------------------------------------- contractions, gather and scatter-add */

RULE(contract)
{
    const contraction c = y.graph->contractions[graph_at(y)->attr.integer];
    for (int i = 0; i < 2; i++)
        gx[i] = contract_adjoint(&c, x[i], x[1 - i], i, gy);
}
RULE(gather) { gx[0] = clg_scatter_add(x[1], gy, clg_shape_of(x[0]).dim[0]); }
/* Indices out of range took nothing, so they give nothing back. */
static clg_var gather_inside(clg_var table, clg_var indices)
{
    int64_t rows = clg_shape_of(table).dim[0];
    clg_shape wide = clg_shape_of(indices);
    clg_var first = graph_like(indices, 0), last = graph_like(indices, (double)rows - 1);
    clg_var inside = both(clg_less_equal(first, indices), clg_less_equal(indices, last));
    clg_var found = clg_gather(table, indices);
    while (wide.rank < clg_shape_of(found).rank)
        wide.dim[wide.rank++] = 1;
    return clg_where(clg_reshape(inside, wide), found, zeros(found));
}
RULE(scatter_add) { gx[1] = gather_inside(gy, x[0]); }
RULE(scatter_extreme)
{
    clg_var chosen = clg_cast(clg_equal(x[1], clg_gather(y, x[0])), clg_dtype_of(y));
    clg_var sharers = clg_gather(clg_scatter_add(x[0], chosen, clg_shape_of(y).dim[0]), x[0]);
    clg_var one = graph_like(chosen, 1);
    gx[1] = clg_mul(chosen, clg_div(gather_inside(gy, x[0]), clg_where(clg_less(zeros(chosen), chosen), sharers, one)));
}

/* ---------------------------------------------------------------- matrices
 *
 * Giles 2008, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
 * differentiation"; Murray 2016, "Differentiation of the Cholesky decomposition". */

static clg_var product_of(clg_var a, clg_var b) { return clg_matmul(a, clg_transpose(b)); }
RULE(cholesky)
{
    clg_var up = clg_transpose(y), inner = matrix_triangle(clg_matmul(up, gy), -1, 0.5);
    clg_var half = matrix_node(OP_SOLVE_TRIANGULAR, up, inner, true);
    clg_var whole = matrix_node(OP_SOLVE_TRIANGULAR, up, clg_transpose(half), true);
    gx[0] = matrix_triangle(clg_add(whole, clg_transpose(whole)), -1, 0.5);
}
RULE(solve_triangular)
{
    const bool upper = graph_at(y)->attr.integer;
    gx[1] = matrix_node(OP_SOLVE_TRIANGULAR, clg_transpose(x[0]), gy, !upper);
    gx[0] = matrix_triangle(clg_neg(product_of(gx[1], y)), upper ? 1 : -1, 1);
}
RULE(solve)
{
    gx[1] = matrix_node(OP_SOLVE, clg_transpose(x[0]), gy, 0);
    gx[0] = clg_neg(product_of(gx[1], y));
}
RULE(determinant)
{
    const int which = (int)graph_at(y)->attr.integer;
    clg_shape wide = clg_shape_of(y);
    wide.dim[wide.rank++] = 1;
    wide.dim[wide.rank++] = 1;
    clg_var scale = which == DETERMINANT_VALUE ? clg_mul(gy, y) : gy;
    if (which != DETERMINANT_SIGN)
        gx[0] = clg_mul(views_reshape(scale, wide), clg_transpose(matrix_inverse(x[0])));
}

/* ---------------------------------------------------------------- scans */

RULE(cumsum) { gx[0] = scan_node(OP_CUMSUM, gy, gy, scan_axis(y), !scan_is_reversed(y)); }
/* b gets s[i] = gy[i] + c[i + 1] s[i + 1]; c gets s[i] y[i - 1]. */
static clg_var recurrence_adjoint(clg_var gy, clg_var coefficient, int axis, bool reversed)
{
    return scan_node(OP_RECURRENCE, gy, scan_shift(coefficient, axis, !reversed, 0), axis, !reversed);
}
RULE(recurrence)
{
    const int axis = scan_axis(y);
    const bool reversed = scan_is_reversed(y);
    gx[0] = recurrence_adjoint(gy, x[1], axis, reversed);
    gx[1] = clg_mul(gx[0], scan_shift(y, axis, reversed, 0));
}
/* Of x[k] the product of those before, times the sum over i >= k of gy[i] and the product of those between. */
RULE(cumprod)
{
    const int axis = scan_axis(y);
    const bool reversed = scan_is_reversed(y);
    gx[0] = clg_mul(scan_shift(y, axis, reversed, 1), recurrence_adjoint(gy, x[0], axis, reversed));
}
/* exp(x[i]) sum over k >= i of gy[k] exp(-y[k]), in which no exponential is larger than 1: with y growing, the sum is a
 * recurrence of coefficients exp(y[k] - y[k + 1]). Where y is still -infinity, nothing flows on. */
RULE(logcumsumexp)
{
    const int axis = scan_axis(y);
    const bool reversed = scan_is_reversed(y);
    clg_var none = graph_like(y, -INFINITY), before = scan_shift(y, axis, reversed, -INFINITY);
    clg_var gap = clg_where(clg_equal(before, y), zeros(y), clg_sub(before, y)); /* of infinities, too */
    clg_var grown = clg_exp(clg_where(clg_equal(before, none), none, gap));
    clg_var share = clg_exp(clg_where(clg_equal(x[0], y), zeros(y), clg_sub(x[0], y)));
    gx[0] = clg_mul(share, recurrence_adjoint(gy, grown, axis, reversed));
}
/* To the element that is the extreme: the last one up to here that equals its own result. */
RULE(cumulative_extreme)
{
    clg_graph *g = y.graph;
    const clg_shape shape = clg_shape_of(y);
    const int axis = scan_axis(y), last = shape.rank - 1;
    const bool reversed = scan_is_reversed(y);
    const int64_t count = clg_shape_count(shape), length = shape.dim[axis];
    gx[0] = gy;
    if (count > INT32_MAX)
        graph_fail(g, CLG_ERROR_UNSUPPORTED, "gradient: %s of shape %s has more elements than i32 indices count, %d",
                   clg_creator(y), shape_text(shape), INT32_MAX);
    if (count == 0 || count > INT32_MAX)
        return;
    clg_var sets = either(clg_equal(x[0], y), clg_not_equal(x[0], x[0]));
    clg_shape lines = clg_shape_of(clg_swap_axes(y, axis, last));
    clg_var place = clg_swap_axes(views_broadcast(clg_arange(g, CLG_I32, length), lines), axis, last);
    clg_var none = graph_like(place, reversed ? (double)length : -1);
    clg_var at = scan_node(reversed ? OP_CUMMIN : OP_CUMMAX, clg_where(sets, place, none), place, axis, reversed);
    const clg_shape flat = {2, {count / length, length}};
    clg_var line = clg_arange(g, CLG_I32, count / length);
    clg_var start = clg_reshape(clg_mul(line, graph_like(line, (double)length)), (clg_shape){2, {flat.dim[0], 1}});
    clg_var index = clg_add(clg_reshape(clg_swap_axes(at, axis, last), flat), start);
    clg_var given = clg_reshape(clg_swap_axes(gy, axis, last), flat);
    gx[0] = clg_swap_axes(clg_reshape(clg_scatter_add(index, given, count), lines), axis, last);
}
RULE(after) { gx[0] = gy; }

/* ---------------------------------------------------------------- the table of rules */

#define gradient_NONE NULL
static gradient_rule gradient_REFUSE;
static void gradient_REFUSE(clg_var y, const clg_var *x, clg_var gy, clg_var *gx)
{
    (void)x, (void)gy, (void)gx;
    graph_fail(y.graph, CLG_ERROR_UNSUPPORTED, "gradient: %s cannot be differentiated", clg_creator(y));
}

static gradient_rule *const rules[OP_COUNT] = {
#define MAP(ID, name, builder, arity, types, expr, cost, grad, ...) gradient_##grad,
#define REDUCE(ID, name, builder, expr, identity, repeat, grad, ...) gradient_##grad,
#define SCAN(ID, name, builder, arity, types, expr, identity, grad, ...) gradient_##grad,
#define SCATTER(ID, name, combine, grad, formula) gradient_##grad,
#define VIEW(ID, name, grad, formula) gradient_##grad,
#define OTHER(ID, name, kind, arity, grad, formula) gradient_##grad,
#include "ops.def"
};

/* ---------------------------------------------------------------- the reverse sweep */

static bool is_float(const graph_record *n) { return clg_dtype_is_real((clg_dtype)n->dtype); }

/* needed[i]: node i depends on a marked node by a path along which gradients flow. */
static void spread(const clg_graph *g, int32_t count, uint8_t *needed)
{
    for (int32_t i = 0; i < count; i++) {
        const graph_record *n = &g->nodes[i];
        if (needed[i] || !is_float(n) || !rules[n->op])
            continue;
        for (int s = 0; s < 3; s++)
            needed[i] |= n->src[s] >= 0 && needed[n->src[s]];
    }
}

/* grads[i]: the gradient of sum(y) with respect to node i, or -1. Both arrays have y.id + 1 elements. */
static clg_status sweep_with(clg_var y, const uint8_t *needed, int32_t *grads, checkpoint *c)
{
    clg_graph *g = y.graph;
    grads[y.id] = graph_like(y, 1).id;
    for (int32_t i = y.id; i >= 0; i--) {
        gradient_rule *rule = rules[g->nodes[i].op];
        if (grads[i] < 0 || !needed[i] || !rule)
            continue;
        const int32_t src[3] = {g->nodes[i].src[0], g->nodes[i].src[1], g->nodes[i].src[2]};
        clg_var x[3], gx[3];
        bool had_error = g->error[0];
        if (!checkpoint_reach(g, c, i))
            return CLG_ERROR_MEMORY;
        for (int s = 0; s < 3; s++) {
            x[s] = graph_var(g, src[s] < 0 ? -1 : checkpoint_value(g, c, src[s]));
            gx[s] = POISON(g);
        }
        rule(graph_var(g, checkpoint_value(g, c, i)), x, graph_var(g, grads[i]), gx);
        if (g->error[0] && !had_error)
            return CLG_ERROR_UNSUPPORTED;
        for (int s = 0; s < 3; s++) {
            if (src[s] < 0 || !needed[src[s]] || gx[s].id < 0)
                continue;
            clg_var sum = grads[src[s]] < 0 ? gx[s] : clg_add(graph_var(g, grads[src[s]]), gx[s]);
            grads[src[s]] = sum.id;
        }
    }
    return CLG_OK;
}

static clg_status sweep(clg_var y, const uint8_t *needed, int32_t *grads)
{
    checkpoint c;
    clg_status status = checkpoint_begin(y.graph, y.id + 1, &c) ? sweep_with(y, needed, grads, &c) : clg_fail_memory();
    checkpoint_end(&c);
    return status;
}

static bool check_differentiable(const char *op, clg_var y)
{
    if (!graph_check(op, &y, 1))
        return false;
    if (is_float(graph_at(y)))
        return true;
    graph_fail(y.graph, CLG_ERROR_ARGUMENT, "%s: cannot differentiate a result of dtype %s (%s)", op,
               clg_dtype_name(clg_dtype_of(y)), clg_creator(y));
    return false;
}

/* Work arrays for nodes 0..y.id; freed with free(*needed). */
static bool work_arrays(clg_var y, uint8_t **needed, int32_t **grads)
{
    size_t count = (size_t)y.id + 1;
    int32_t *block = malloc(count * (sizeof **grads + 1));
    if (!block) {
        graph_fail(y.graph, CLG_ERROR_MEMORY, "gradient: out of memory");
        return false;
    }
    *grads = block;
    *needed = (uint8_t *)(block + count);
    memset(*grads, 0xff, count * sizeof **grads);
    memset(*needed, 0, count);
    return true;
}

clg_status clg_gradients(clg_var y, const clg_var *xs, int count, clg_var *gxs)
{
    uint8_t *needed;
    int32_t *grads;
    clg_graph *g = y.graph;
    for (int i = 0; i < count; i++)
        gxs[i] = POISON(g);
    if (!check_differentiable("gradients", y))
        return CLG_ERROR_ARGUMENT;
    for (int i = 0; i < count; i++) {
        if (!graph_check("gradients", (clg_var[]){y, xs[i]}, 2) || !check_differentiable("gradients", xs[i]))
            return CLG_ERROR_ARGUMENT;
    }
    if (!work_arrays(y, &needed, &grads))
        return CLG_ERROR_MEMORY;
    for (int i = 0; i < count; i++)
        if (xs[i].id <= y.id)
            needed[xs[i].id] = 1;
    spread(g, y.id + 1, needed);
    g->in_gradient = true;
    clg_status status = sweep(y, needed, grads);
    for (int i = 0; i < count && status == CLG_OK; i++) {
        bool reached = xs[i].id <= y.id && grads[xs[i].id] >= 0;
        gxs[i] = reached ? graph_var(g, grads[xs[i].id]) : graph_like(xs[i], 0);
    }
    g->in_gradient = false;
    free(grads);
    return status;
}

clg_status clg_backward(clg_var y)
{
    uint8_t *needed;
    int32_t *grads;
    clg_graph *g = y.graph;
    if (!check_differentiable("backward", y))
        return CLG_ERROR_ARGUMENT;
    if (!work_arrays(y, &needed, &grads))
        return CLG_ERROR_MEMORY;
    for (int32_t i = 0; i < g->leaf_count && g->leaves[i].node <= y.id; i++)
        needed[g->leaves[i].node] = is_float(&g->nodes[g->leaves[i].node]) && !g->leaves[i].constant;
    spread(g, y.id + 1, needed);
    g->in_gradient = true;
    clg_status status = sweep(y, needed, grads);
    for (int32_t i = 0; i < g->leaf_count && g->leaves[i].node <= y.id && status == CLG_OK; i++) {
        leaf_record *l = &g->leaves[i];
        if (!needed[l->node] || grads[l->node] < 0)
            continue;
        clg_var sum = graph_var(g, grads[l->node]);
        if (l->grad >= 0)
            sum = clg_add(graph_var(g, l->grad), sum);
        l->grad = sum.id;
    }
    g->in_gradient = false;
    free(grads);
    return status;
}

/* ---------------------------------------------------------------- accumulated gradients */

clg_var clg_grad(clg_var leaf_var)
{
    if (!graph_check("grad", &leaf_var, 1))
        return POISON(leaf_var.graph);
    clg_graph *g = leaf_var.graph;
    if (graph_at(leaf_var)->op != OP_INPUT)
        return graph_fail(g, CLG_ERROR_ARGUMENT,
                          "grad: only leaves keep gradients, not the result of %s; use clg_gradients",
                          clg_creator(leaf_var));
    int32_t grad = graph_leaf_of(g, leaf_var.id)->grad;
    if (grad < 0)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "grad: %%%d has no gradient; call clg_backward first",
                          (int)leaf_var.id);
    return graph_var(g, grad);
}

void clg_cleargrad(clg_var leaf_var)
{
    if (clg_is_valid(leaf_var) && graph_at(leaf_var)->op == OP_INPUT)
        graph_leaf_of(leaf_var.graph, leaf_var.id)->grad = -1;
}

void clg_cleargrads(clg_graph *graph)
{
    for (int32_t i = 0; i < graph->leaf_count; i++)
        graph->leaves[i].grad = -1;
}
