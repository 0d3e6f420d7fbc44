/* Entries of torch.masked: reductions over the elements where a mask says so. */
#include "opinfo.h"

#include <math.h>

typedef struct masked {
    clg_var x, mask; /* mask: of x's shape, 1 where an element counts */
    clg_axes axes;
    bool keep;
} masked;

static clg_var mask_of(call *c, const char *name, clg_var x)
{
    clg_var mask = arg_var(c, -1, name);
    if (mask.id == CLG_NONE.id)
        mask = clg_full(c->graph, CLG_U8, CLG_SCALAR, 1);
    return clg_broadcast_to(mask, clg_shape_of(x));
}

static masked masked_of(call *c, int dim)
{
    masked m = {.x = arg_var(c, 0, NULL), .axes = arg_axes(c, dim, "dim"), .keep = arg_bool(c, -1, "keepdim", false)};
    m.mask = mask_of(c, "mask", m.x);
    if (rank_of(m.x) == 0)
        m.axes = CLG_ALL_AXES;
    return m;
}

/* x, and something else where it does not count. */
static clg_var filled(masked m, double other) { return clg_where(m.mask, m.x, clg_scalar_like(m.x, other)); }

static clg_var counts(masked m, bool keep) { return clg_sum(clg_cast(m.mask, clg_dtype_of(m.x)), m.axes, keep); }

static clg_var sum(call *c)
{
    masked m = masked_of(c, 1);
    return clg_sum(filled(m, 0), m.axes, m.keep);
}

static clg_var prod(call *c)
{
    masked m = masked_of(c, 1);
    return clg_prod(filled(m, 1), m.axes, m.keep);
}

static clg_var amax(call *c)
{
    masked m = masked_of(c, 1);
    return clg_max(filled(m, -INFINITY), m.axes, m.keep);
}

static clg_var amin(call *c)
{
    masked m = masked_of(c, 1);
    return clg_min(filled(m, INFINITY), m.axes, m.keep);
}

static clg_var mean(call *c)
{
    masked m = masked_of(c, 1);
    return clg_div(clg_sum(filled(m, 0), m.axes, m.keep), counts(m, m.keep));
}

static clg_var logsumexp(call *c)
{
    masked m = masked_of(c, 1);
    return clg_logsumexp(filled(m, -INFINITY), m.axes, m.keep);
}

static clg_var norm(call *c)
{
    masked m = masked_of(c, 2);
    const double p = arg_number(c, 1, "ord", 2);
    if (p == -INFINITY)
        return clg_min(clg_abs(filled(m, INFINITY)), m.axes, m.keep);
    return p < 0 ? skip_sample(c, "a mask that counts as infinite") : clg_norm(filled(m, 0), p, m.axes, m.keep);
}

/* The square distances from the mean, each 0 where it does not count. */
static clg_var variance_of(call *c)
{
    masked m = masked_of(c, 1);
    const double unbiased = arg_bool(c, 2, "unbiased", true);
    const double correction = arg_number(c, -1, "correction", unbiased);
    clg_var mean_of = clg_div(clg_sum(filled(m, 0), m.axes, true), counts(m, true));
    m.x = clg_square(clg_sub(m.x, mean_of));
    clg_var n = clg_sub(counts(m, m.keep), number(c, correction));
    return clg_div(clg_sum(filled(m, 0), m.axes, m.keep), clg_maximum(n, number(c, 0)));
}

static clg_var var(call *c) { return variance_of(c); }
static clg_var std(call *c) { return clg_sqrt(variance_of(c)); }

/* The index of the first one, in x's dtype; of all elements in a row where no axis is given. */
static clg_var argument(call *c, clg_var (*function)(clg_var, int), double other)
{
    masked m = masked_of(c, 1);
    clg_var x = filled(m, other);
    if (m.axes.count < 0) {
        clg_shape ones = {.rank = m.keep ? rank_of(m.x) : 0};
        for (int i = 0; i < ones.rank; i++)
            ones.dim[i] = 1;
        return clg_reshape(clg_cast(function(clg_reshape(x, CLG_SHAPE(-1)), 0), c->dtype), ones);
    }
    clg_var found = clg_cast(function(x, m.axes.axis[0]), c->dtype);
    return m.keep ? clg_expand_dims(found, CLG_AXES(axis_in(x, m.axes.axis[0]))) : found;
}

static clg_var argmax(call *c) { return argument(c, clg_argmax, -INFINITY); }
static clg_var argmin(call *c) { return argument(c, clg_argmin, INFINITY); }

/* ---------------------------------------------------------------- along an axis */

static clg_var along(call *c, clg_var (*function)(clg_var, int), double other, double sign)
{
    masked m = masked_of(c, -1);
    const int axis = arg_axis(c, 1, "dim", 0);
    clg_var x = filled(m, other);
    x = sign < 0 ? clg_neg(x) : x;
    return rank_of(x) ? function(x, axis) : clg_reshape(function(clg_reshape(x, CLG_SHAPE(1)), 0), CLG_SCALAR);
}

static clg_var softmax(call *c) { return along(c, clg_softmax, -INFINITY, 1); }
static clg_var log_softmax(call *c) { return along(c, clg_log_softmax, -INFINITY, 1); }
static clg_var softmin(call *c) { return along(c, clg_softmax, INFINITY, -1); }

static clg_var sums(clg_var x, int axis) { return clg_cumsum(x, axis, 0); }
static clg_var products(clg_var x, int axis) { return clg_cumprod(x, axis, 0); }
static clg_var cumsum(call *c) { return along(c, sums, 0, 1); }
static clg_var cumprod(call *c) { return along(c, products, 1, 1); }

/* Of an even number of elements the lower one; NaN, which is sorted to the end, of none. */
static clg_var median(call *c)
{
    masked m = masked_of(c, -1);
    const bool scalar = rank_of(m.x) == 0;
    int axis = arg_axis(c, 1, "dim", 0);
    axis = scalar ? 0 : axis_in(m.x, axis);
    clg_var x = scalar ? clg_reshape(filled(m, NAN), CLG_SHAPE(1)) : filled(m, NAN), sorted = clg_sort(x, axis, false);
    clg_var count = clg_count_nonzero(clg_equal(x, x), CLG_AXES(axis), true);
    clg_var one = clg_full(c->graph, CLG_I32, CLG_SCALAR, 1);
    clg_var middle = clg_shift_right(clg_sub(clg_maximum(count, one), one), one);
    clg_var y = clg_gather_elements(sorted, middle, axis);
    return arg_bool(c, 2, "keepdim", false) && !scalar ? y : clg_squeeze(y, CLG_AXES(axis));
}

static clg_var normalize(call *c)
{
    masked m = masked_of(c, -1);
    const double p = arg_number(c, 1, "ord", 2);
    const int axis = arg_axis(c, 2, "dim", 0);
    m.axes = rank_of(m.x) ? CLG_AXES(axis) : CLG_ALL_AXES;
    clg_var x = filled(m, 0);
    clg_var norm_of = p == -INFINITY ? clg_min(clg_abs(x), m.axes, true) : clg_norm(x, p, m.axes, true);
    return clg_div(x, clg_maximum(norm_of, number(c, arg_number(c, -1, "eps", 1e-12))));
}

static clg_var logaddexp(call *c)
{
    masked a = {.x = arg_var(c, 0, NULL)}, b = {.x = arg_var(c, 1, NULL)};
    a.mask = mask_of(c, "input_mask", a.x);
    b.mask = mask_of(c, "other_mask", b.x);
    skip_second(c, "0 here, NaN in PyTorch, where both are -infinity");
    return clg_logaddexp(filled(a, -INFINITY), filled(b, -INFINITY));
}

const opinfo_row opinfo_masked[] = {
    BUILD("masked.amax", amax),
    BUILD("masked.amin", amin),
    BUILD("masked.argmax", argmax),
    BUILD("masked.argmin", argmin),
    BUILD("masked.cumprod", cumprod),
    BUILD("masked.cumsum", cumsum),
    BUILD("masked.log_softmax", log_softmax),
    BUILD("masked.logaddexp", logaddexp),
    BUILD("masked.logsumexp", logsumexp),
    BUILD("masked.mean", mean),
    BUILD("masked.median", median),
    BUILD("masked.norm", norm),
    BUILD("masked.normalize", normalize),
    BUILD("masked.prod", prod),
    BUILD("masked.softmax", softmax),
    BUILD("masked.softmin", softmin),
    BUILD("masked.std", std),
    BUILD("masked.sum", sum),
    BUILD("masked.var", var),
    {0},
};
