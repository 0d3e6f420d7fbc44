/* Entries that reduce axes. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

/* What an entry reduces over and how: "dim" may be one axis or several. A scalar has axes 0 and -1 for PyTorch. */
typedef struct over {
    clg_var x;
    clg_axes axes;
    bool keep;
} over;

static over reduced(call *c, int dim, int keep)
{
    over o = {.x = arg_var(c, 0, NULL), .axes = arg_axes(c, dim, "dim"), .keep = arg_bool(c, keep, "keepdim", false)};
    const clg_dtype dtype = arg_dtype(c, -1, "dtype", clg_dtype_of(o.x));
    if (dtype != clg_dtype_of(o.x))
        o.x = clg_cast(o.x, dtype);
    if (rank_of(o.x) == 0)
        o.axes = CLG_ALL_AXES;
    return o;
}

#define REDUCTION(name, expression)                                                                                    \
    static clg_var name(call *c)                                                                                       \
    {                                                                                                                  \
        over o = reduced(c, 1, 2);                                                                                     \
        return expression;                                                                                             \
    }

/* Numbers in place of NaN, and whether they were numbers. */
static clg_var numbers(clg_var x) { return clg_where(clg_is_nan(x), clg_scalar_like(x, 0), x); }
static clg_var are_numbers(clg_var x)
{
    return clg_sub(clg_scalar_like(x, 1), clg_cast(clg_is_nan(x), clg_dtype_of(x)));
}

REDUCTION(sum, clg_sum(o.x, o.axes, o.keep))
REDUCTION(mean, clg_mean(o.x, o.axes, o.keep))
REDUCTION(amax, clg_max(o.x, o.axes, o.keep))
REDUCTION(amin, clg_min(o.x, o.axes, o.keep))
REDUCTION(all, clg_all(o.x, o.axes, o.keep))
REDUCTION(any, clg_any(o.x, o.axes, o.keep))
REDUCTION(count_nonzero, clg_count_nonzero(o.x, o.axes, o.keep))
REDUCTION(logsumexp, clg_logsumexp(o.x, o.axes, o.keep))
REDUCTION(prod, clg_prod(o.x, o.axes, o.keep))
REDUCTION(nansum, clg_sum(numbers(o.x), o.axes, o.keep))
REDUCTION(nanmean, clg_div(clg_sum(numbers(o.x), o.axes, o.keep), clg_sum(are_numbers(o.x), o.axes, o.keep)))

static clg_var argument(call *c, bool largest)
{
    over o = reduced(c, 1, 2);
    const int rank = rank_of(o.x), axis = o.axes.count < 0 ? 0 : axis_in(o.x, o.axes.axis[0]);
    clg_var flat = o.axes.count < 0 ? clg_reshape(o.x, CLG_SHAPE(-1)) : o.x;
    clg_var found = largest ? clg_argmax(flat, axis) : clg_argmin(flat, axis);
    if (!o.keep || rank == 0)
        return found;
    clg_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = o.axes.count < 0 || i == axis ? 1 : extent(o.x, i);
    return clg_reshape(found, shape);
}

static clg_var argmax(call *c) { return argument(c, true); }
static clg_var argmin(call *c) { return argument(c, false); }

/* Values and the index of the first one. */
static clg_var extreme_with_index(call *c, bool largest)
{
    over o = reduced(c, 1, 2);
    const bool scalar = rank_of(o.x) == 0;
    put(c, largest ? clg_max(o.x, o.axes, o.keep) : clg_min(o.x, o.axes, o.keep));
    return put(c, scalar ? clg_full(c->graph, CLG_I32, CLG_SCALAR, 0) : argument(c, largest)), CLG_NONE;
}

static clg_var max_with_index(call *c) { return extreme_with_index(c, true); }
static clg_var min_with_index(call *c) { return extreme_with_index(c, false); }

static clg_var aminmax(call *c)
{
    over o = reduced(c, -1, -1);
    put(c, clg_min(o.x, o.axes, o.keep));
    put(c, clg_max(o.x, o.axes, o.keep));
    return CLG_NONE;
}

static clg_var largest_of_all(clg_var x) { return clg_max(x, CLG_ALL_AXES, false); }
static clg_var smallest_of_all(clg_var x) { return clg_min(x, CLG_ALL_AXES, false); }

/* ---------------------------------------------------------------- variances */

/* unbiased is the second argument where that is a boolean, else the third one. */
static double correction(call *c, int position)
{
    return has_arg(c, -1, "correction") ? arg_number(c, -1, "correction", 1)
                                        : (double)arg_bool(c, position, "unbiased", true);
}

static over spread(call *c, double *corrected)
{
    const bool all = cJSON_IsBool(arg(c, 1, NULL));
    over o = all ? (over){.x = arg_var(c, 0, NULL), .axes = CLG_ALL_AXES} : reduced(c, 1, 3);
    *corrected = correction(c, all ? 1 : 2);
    return o;
}

static clg_var var(call *c)
{
    double corrected;
    over o = spread(c, &corrected);
    return clg_variance(o.x, o.axes, corrected, o.keep);
}

static clg_var std(call *c)
{
    double corrected;
    over o = spread(c, &corrected);
    return clg_std(o.x, o.axes, corrected, o.keep);
}

static clg_var var_mean(call *c)
{
    double corrected;
    over o = spread(c, &corrected);
    put(c, clg_variance(o.x, o.axes, corrected, o.keep));
    put(c, clg_mean(o.x, o.axes, o.keep));
    return CLG_NONE;
}

static clg_var std_mean(call *c)
{
    double corrected;
    over o = spread(c, &corrected);
    put(c, clg_std(o.x, o.axes, corrected, o.keep));
    put(c, clg_mean(o.x, o.axes, o.keep));
    return CLG_NONE;
}

/* ---------------------------------------------------------------- norms */

/* -infinity: the smallest |x|. */
static clg_var vector_norm(over o, double p)
{
    return p == -INFINITY ? clg_min(clg_abs(o.x), o.axes, o.keep) : clg_norm(o.x, p, o.axes, o.keep);
}

static clg_var linalg_vector_norm(call *c)
{
    over o = reduced(c, -1, -1);
    return vector_norm(o, arg_number(c, 1, "ord", 2));
}

/* 1, infinity: the largest sum of |x| along columns, rows; negative: the smallest. */
static clg_var matrix_sums(over o, double p)
{
    const bool rows = isinf(p);
    const int sum_over = axis_in(o.x, o.axes.axis[rows ? 1 : 0]), then_over = axis_in(o.x, o.axes.axis[rows ? 0 : 1]);
    clg_var sums = clg_sum(clg_abs(o.x), CLG_AXES(sum_over), true);
    clg_var found = p > 0 ? clg_max(sums, CLG_AXES(then_over), true) : clg_min(sums, CLG_AXES(then_over), true);
    return o.keep ? found : clg_squeeze(found, CLG_AXES(sum_over, then_over));
}

static clg_var matrix_norm_of(call *c, over o, const cJSON *order)
{
    const char *name = cJSON_GetStringValue(order);
    const char *infinite = cJSON_GetStringValue(cJSON_GetObjectItem(order, "float"));
    if (!order || cJSON_IsNull(order) || (name && strcmp(name, "fro") == 0))
        return clg_norm(o.x, 2, o.axes, o.keep);
    if (name)
        return skip_sample(c, "norms made of singular values");
    const double p = infinite ? (*infinite == '-' ? -INFINITY : INFINITY) : order->valuedouble;
    return fabs(p) == 2 ? skip_sample(c, "norms made of singular values") : matrix_sums(o, p);
}

static clg_var matrix_norm(call *c)
{
    over o = reduced(c, 2, 3);
    if (o.axes.count < 0)
        o.axes = CLG_AXES(-2, -1);
    return matrix_norm_of(c, o, arg(c, 1, "ord"));
}

/* Of vectors or, where there are two axes and an order, of matrices. */
static clg_var linalg_norm(call *c)
{
    over o = reduced(c, 2, 3);
    const cJSON *order = arg(c, 1, "ord");
    const bool given = order && !cJSON_IsNull(order);
    if (given && (o.axes.count == 2 || (o.axes.count < 0 && rank_of(o.x) == 2))) {
        o.axes = o.axes.count < 0 ? CLG_AXES(0, 1) : o.axes;
        return matrix_norm_of(c, o, order);
    }
    return vector_norm(o, arg_number(c, 1, "ord", 2));
}

/* Of zeros. */
static clg_var linalg_norm_at_0(call *c)
{
    if (arg_number(c, 1, "ord", 2) < 0)
        return skip_sample(c, "the gradient of a norm of negative order is NaN at 0, as a bug");
    skip_second(c, "0 here, NaN in PyTorch, where the norm is 0");
    return linalg_norm(c);
}

/* Of all elements, whatever their order; "fro" is 2. */
static clg_var norm(call *c)
{
    over o = reduced(c, 2, 3);
    const char *name = cJSON_GetStringValue(arg(c, 1, "p"));
    if (name && strcmp(name, "nuc") == 0)
        return skip_sample(c, "norms made of singular values");
    return vector_norm(o, name ? 2 : arg_number(c, 1, "p", 2));
}

static clg_var dist(call *c)
{
    over o = {.x = clg_sub(arg_var(c, 0, NULL), arg_var(c, 1, NULL)), .axes = CLG_ALL_AXES};
    return vector_norm(o, arg_number(c, 2, "p", 2));
}

static clg_var normalize(call *c)
{
    over o = {.x = arg_var(c, 0, NULL), .keep = true};
    const double p = arg_number(c, 1, "p", 2);
    const int axis = arg_axis(c, 2, "dim", 1);
    o.axes = rank_of(o.x) ? CLG_AXES(axis) : CLG_ALL_AXES;
    return clg_div(o.x, clg_maximum(vector_norm(o, p), number(c, arg_number(c, 3, "eps", 1e-12))));
}

/* Slices along an axis whose norm is above a bound are scaled down to it. */
static clg_var renorm(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const double p = arg_number(c, 1, "p", 2), bound = arg_number(c, 3, "maxnorm", 1);
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    clg_axes others = {0};
    for (int i = 0; i < rank_of(x); i++)
        if (i != axis)
            others.axis[others.count++] = i;
    clg_var norms = clg_norm(x, p, others, true), limit = number(c, bound);
    clg_var factor = clg_div(limit, clg_add(norms, number(c, 1e-7)));
    return clg_mul(x, clg_where(clg_greater(norms, limit), factor, number(c, 1)));
}

/* ---------------------------------------------------------------- sums along an axis */

/* The mean of neighbours times their distance, dx or differences of x: the sum, or all sums from the first one on. */
static clg_var trapezoids(call *c, bool running)
{
    clg_var y = arg_var(c, 0, NULL);
    const int axis = axis_in(y, arg_axis(c, -1, "dim", -1));
    clg_var pairs = clg_add(clg_slice(y, axis, 0, -1, 1), clg_slice(y, axis, 1, INT64_MAX, 1));
    clg_var width = number(c, arg_number(c, -1, "dx", 1));
    if (has_arg(c, 1, "x")) {
        clg_var x = arg_var(c, 1, "x");
        const int along = rank_of(x) == 1 ? 0 : axis + rank_of(x) - rank_of(y);
        width = clg_sub(clg_slice(x, along, 1, INT64_MAX, 1), clg_slice(x, along, 0, -1, 1));
        if (rank_of(x) == 1)
            for (int i = axis + 1; i < rank_of(y); i++)
                width = clg_expand_dims(width, CLG_AXES(-1));
    }
    clg_var product = clg_mul(clg_mul(pairs, width), number(c, 0.5));
    const int along = axis + rank_of(product) - rank_of(y);
    return running ? clg_cumsum(product, along, 0) : clg_sum(product, CLG_AXES(along), false);
}

static clg_var trapezoid(call *c) { return trapezoids(c, false); }
static clg_var cumulative_trapezoid(call *c) { return trapezoids(c, true); }

/* ---------------------------------------------------------------- gradient */

/* Differences of y over those of places x (one for each element of an axis), of an order at the edges. */
static clg_var slope(clg_var y, int axis, clg_var x, int64_t order)
{
    const int64_t n = extent(y, axis);
    clg_var d = clg_sub(clg_slice(x, axis, 1, INT64_MAX, 1), clg_slice(x, axis, 0, -1, 1)); /* n - 1 distances */
    clg_var between = clg_div(clg_sub(clg_slice(y, axis, 1, INT64_MAX, 1), clg_slice(y, axis, 0, -1, 1)), d);
    clg_var a = clg_slice(d, axis, 0, -1, 1), b = clg_slice(d, axis, 1, INT64_MAX, 1), sum = clg_add(a, b);
    clg_var left = clg_slice(between, axis, 0, -1, 1), right = clg_slice(between, axis, 1, INT64_MAX, 1);
    clg_var inner = clg_div(clg_add(clg_mul(left, b), clg_mul(right, a)), sum);
    clg_var first = clg_slice(between, axis, 0, 1, 1), last = clg_slice(between, axis, n - 2, n - 1, 1);
    if (order == 2) { /* a parabola through the first three, the last three */
        clg_var bend = clg_div(clg_sub(right, left), sum);
        first = clg_sub(first, clg_slice(clg_mul(bend, a), axis, 0, 1, 1));
        last = clg_add(last, clg_slice(clg_mul(bend, b), axis, n - 3, n - 2, 1));
    }
    const clg_var parts[] = {first, inner, last};
    return clg_concat(parts, 3, axis);
}

static clg_var gradient(call *c)
{
    clg_var y = arg_var(c, 0, NULL);
    const clg_axes axes = arg_axes(c, -1, "dim");
    const cJSON *spacing = arg(c, -1, "spacing");
    const int64_t order = arg_int(c, -1, "edge_order", 1);
    for (int i = 0; i < (axes.count < 0 ? rank_of(y) : axes.count); i++) {
        const int axis = axis_in(y, axes.count < 0 ? i : axes.axis[i]);
        const cJSON *given = cJSON_IsArray(spacing) ? cJSON_GetArrayItem(spacing, i) : spacing;
        const int64_t n = extent(y, axis);
        clg_shape shape = {.rank = rank_of(y)};
        for (int k = 0; k < shape.rank; k++)
            shape.dim[k] = k == axis ? n : 1;
        clg_var places =
            cJSON_GetObjectItem(given, "tensor")
                ? json_var(c, given)
                : clg_mul(clg_arange(c->graph, CLG_F64, n), number(c, cJSON_IsNumber(given) ? given->valuedouble : 1));
        put(c, slope(y, axis, clg_reshape(places, shape), order));
    }
    return CLG_NONE;
}

/* How many bounds lie below each element (right: or at it). */
static clg_var bucketize(call *c)
{
    clg_var x = arg_var(c, 0, NULL), bounds = arg_var(c, 1, "boundaries");
    arg(c, -1, "out_int32");
    const bool right = arg_bool(c, -1, "right", false);
    clg_var column = clg_expand_dims(x, CLG_AXES(-1));
    return clg_count_nonzero(right ? clg_less_equal(bounds, column) : clg_less(bounds, column), CLG_AXES(-1), false);
}

const opinfo_row opinfo_reductions[] = {
    BUILD("all", all),
    BUILD("amax", amax),
    BUILD("amin", amin),
    BUILD("aminmax", aminmax),
    BUILD("any", any),
    BUILD("argmax", argmax),
    BUILD("argmin", argmin),
    BUILD("bucketize", bucketize),
    BUILD("count_nonzero", count_nonzero),
    BUILD("cumulative_trapezoid", cumulative_trapezoid),
    BUILD("dist", dist),
    BUILD("gradient", gradient),
    BUILD("linalg.matrix_norm", matrix_norm),
    BUILD("linalg.norm", linalg_norm),
    BUILD("linalg.norm.subgradients_at_zero", linalg_norm_at_0),
    BUILD("linalg.vector_norm", linalg_vector_norm),
    BUILD("logsumexp", logsumexp),
    UNARY("max.reduction_no_dim", largest_of_all),
    BUILD("max.reduction_with_dim", max_with_index),
    BUILD("mean", mean),
    UNARY("min.reduction_no_dim", smallest_of_all),
    BUILD("min.reduction_with_dim", min_with_index),
    BUILD("nanmean", nanmean),
    BUILD("nansum", nansum),
    BUILD("nn.functional.normalize", normalize),
    BUILD("norm", norm),
    BUILD("norm.fro", norm),
    BUILD("norm.inf", norm),
    BUILD("prod", prod),
    BUILD("renorm", renorm),
    BUILD("std", std),
    BUILD("std.unbiased", std),
    BUILD("std_mean", std_mean),
    BUILD("std_mean.unbiased", std_mean),
    BUILD("sum", sum),
    BUILD("trapezoid", trapezoid),
    BUILD("trapz", trapezoid),
    BUILD("var", var),
    BUILD("var.unbiased", var),
    BUILD("var_mean", var_mean),
    BUILD("var_mean.unbiased", var_mean),
    {0},
};
