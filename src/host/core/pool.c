/* Pooling: windows along the spatial axes, as trailing axes, reduced. */
#include "build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPATIAL = 3 };

/* The spatial axes of x, and an extent for each of them. */
typedef struct pooling {
    const char *op;
    clg_axes axes;
    clg_shape size, stride, dilation, before, after;
} pooling;

/* The axes of x that a layout, one letter an axis, does not call N or C. */
static bool spatial_axes(const char *op, clg_var x, const char *layout, clg_axes *axes)
{
    static const char *const usual[MAX_SPATIAL] = {"NCW", "NCHW", "NCDHW"};
    if (!graph_check(op, &x, 1))
        return false;
    clg_shape shape = clg_shape_of(x);
    *axes = (clg_axes){0};
    if (shape.rank < 3 || shape.rank > 2 + MAX_SPATIAL) {
        graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                   "%s: x %s must have axes for batch and channels and one to three others", op, shape_text(shape));
        return false;
    }
    layout = layout ? layout : usual[shape.rank - 3];
    bool good = strlen(layout) == (size_t)shape.rank && strchr(layout, 'N') && strchr(layout, 'C');
    for (int d = 0; d < shape.rank && good; d++) {
        good = layout[d] >= 'A' && layout[d] <= 'Z' && !strchr(layout + d + 1, layout[d]);
        if (layout[d] != 'N' && layout[d] != 'C')
            axes->axis[axes->count++] = d;
    }
    if (!good)
        graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                   "%s: layout \"%s\" must be N, C and other capital letters, each once, for the %d axes of %s", op,
                   layout, shape.rank, shape_text(shape));
    return good;
}

/* An option's extents for the spatial axes; fallback where it has rank 0 (NULL: it may not). */
static bool take_extents(clg_graph *g, const pooling *p, const char *name, clg_shape given, const clg_shape *fallback,
                         int64_t least, clg_shape *extents)
{
    *extents = given.rank == 0 && fallback ? *fallback : given;
    bool good = extents->rank == p->axes.count;
    for (int i = 0; i < p->axes.count && good; i++)
        good = extents->dim[i] >= least && extents->dim[i] <= INT32_MAX;
    if (!good)
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: %s %s must have an extent, %d or more, for each of %d spatial axes",
                   p->op, name, shape_text(given), (int)least, p->axes.count);
    return good;
}

/* Elements from the first to the last of a window along the i-th spatial axis. */
static int64_t window_span(const pooling *p, int i) { return p->dilation.dim[i] * (p->size.dim[i] - 1) + 1; }

/* As much padding as gives ceil(extent / stride) windows, an odd element behind. */
static void pad_same(pooling *p, clg_shape shape)
{
    for (int i = 0; i < p->axes.count; i++) {
        int64_t n = shape.dim[p->axes.axis[i]], stride = p->stride.dim[i], count = (n + stride - 1) / stride;
        int64_t missing = (count - 1) * stride + window_span(p, i) - n;
        p->before.dim[i] = missing > 0 ? missing / 2 : 0;
        p->after.dim[i] = missing > 0 ? missing - missing / 2 : 0;
    }
}

static bool take_options(pooling *p, clg_var x, const clg_pool_options *options)
{
    clg_graph *g = x.graph;
    if (!spatial_axes(p->op, x, options->layout, &p->axes))
        return false;
    clg_shape ones = {.rank = p->axes.count}, zeros = ones, shape = clg_shape_of(x);
    for (int i = 0; i < ones.rank; i++)
        ones.dim[i] = 1;
    if (!take_extents(g, p, "size", options->size, NULL, 1, &p->size) ||
        !take_extents(g, p, "stride", options->stride, &p->size, 1, &p->stride) ||
        !take_extents(g, p, "dilation", options->dilation, &ones, 1, &p->dilation) ||
        !take_extents(g, p, "before", options->before, &zeros, 0, &p->before) ||
        !take_extents(g, p, "after", options->after, &zeros, 0, &p->after))
        return false;
    if (options->same && (options->before.rank || options->after.rank)) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: same chooses the padding: before %s and after %s must have rank 0",
                   p->op, shape_text(options->before), shape_text(options->after));
        return false;
    }
    if (options->same)
        pad_same(p, shape);
    for (int i = 0; i < p->axes.count; i++) {
        int64_t n = shape.dim[p->axes.axis[i]], before = p->before.dim[i], after = p->after.dim[i];
        if (n > 0 && window_span(p, i) <= n + before + after)
            continue;
        graph_fail(g, CLG_ERROR_ARGUMENT,
                   "%s: a window of %lld elements does not fit axis %d of %s, padded by %lld and %lld", p->op,
                   (long long)window_span(p, i), p->axes.axis[i], shape_text(shape), (long long)before,
                   (long long)after);
        return false;
    }
    return true;
}

static bool is_padded(const pooling *p)
{
    for (int i = 0; i < p->axes.count; i++)
        if (p->before.dim[i] || p->after.dim[i])
            return true;
    return false;
}

/* The windows over x, padded, as trailing axes. */
static clg_var windows(const pooling *p, clg_var x, double fill)
{
    clg_shape shape = clg_shape_of(x);
    int64_t before[CLG_MAX_DIMS] = {0};
    for (int i = 0; i < p->axes.count; i++) {
        before[p->axes.axis[i]] = p->before.dim[i];
        shape.dim[p->axes.axis[i]] += p->before.dim[i] + p->after.dim[i];
    }
    if (x.id >= 0 && is_padded(p))
        x = views_place(x, shape, before, fill);
    return clg_window(x, p->axes, p->size, p->stride, p->dilation);
}

static clg_axes trailing(int count)
{
    clg_axes axes = {.count = count};
    for (int i = 0; i < count; i++)
        axes.axis[i] = -1 - i;
    return axes;
}

/* What every element is at least. */
static double least_value(clg_var x) { return dtype_round(clg_dtype_of(x), -INFINITY); }

/* Ones along the spatial axes of x: reduced as x is, they count what lies within x. */
static clg_var spatial_ones(clg_var x, clg_axes axes)
{
    clg_shape shape = clg_shape_of(x), ones = {.rank = shape.rank};
    for (int d = 0; d < shape.rank; d++)
        ones.dim[d] = 1;
    for (int i = 0; i < axes.count; i++)
        ones.dim[axes.axis[i]] = shape.dim[axes.axis[i]];
    return clg_full(x.graph, clg_dtype_of(x), ones, 1);
}

/* total / count, as mean does it; count: of one element along batch and channels. */
static clg_var divide_by_count(clg_var total, clg_var count)
{
    return clg_mul(total, clg_div(graph_like(count, 1), count));
}

clg_var clg_max_pool(clg_var x, clg_pool_options options)
{
    pooling p = {.op = "max_pool"};
    if (!take_options(&p, x, &options))
        return POISON(x.graph);
    return clg_max(windows(&p, x, least_value(x)), trailing(p.axes.count), false);
}

clg_var clg_avg_pool(clg_var x, clg_pool_options options)
{
    pooling p = {.op = "avg_pool"};
    if (!take_options(&p, x, &options))
        return POISON(x.graph);
    x = build_as_float(x);
    clg_axes behind = trailing(p.axes.count);
    clg_var total = clg_sum(windows(&p, x, 0), behind, false);
    if (is_padded(&p) && !options.count_padding)
        return divide_by_count(total, clg_sum(windows(&p, spatial_ones(x, p.axes), 0), behind, false));
    double count = 1;
    for (int i = 0; i < p.axes.count; i++)
        count *= (double)p.size.dim[i];
    return clg_mul(total, graph_like(total, 1 / count));
}

clg_var clg_global_max_pool(clg_var x, const char *layout)
{
    clg_axes axes;
    return spatial_axes("global_max_pool", x, layout, &axes) ? clg_max(x, axes, true) : POISON(x.graph);
}

clg_var clg_global_avg_pool(clg_var x, const char *layout)
{
    clg_axes axes;
    return spatial_axes("global_avg_pool", x, layout, &axes) ? clg_mean(x, axes, true) : POISON(x.graph);
}

/* ---------------------------------------------------------------- adaptive */

/* Where bin i of count begins and ends along n elements. */
static int64_t bin_start(int64_t i, int64_t n, int64_t count) { return i * n / count; }
static int64_t bin_stop(int64_t i, int64_t n, int64_t count) { return ((i + 1) * n + count - 1) / count; }

/* Bin i alone: extent 1 along the axis, its elements as a trailing axis that is filled up to a length. */
static clg_var one_bin(clg_var x, int axis, int64_t start, int64_t stop, int64_t length, double fill)
{
    const int64_t before[CLG_MAX_DIMS] = {0};
    x = clg_slice(x, axis, start, stop, 1);
    x = clg_window(x, CLG_AXES(axis), CLG_SHAPE(stop - start), CLG_SCALAR, CLG_SCALAR);
    clg_shape shape = clg_shape_of(x);
    shape.dim[shape.rank - 1] = length;
    return x.id < 0 ? x : views_place(x, shape, before, fill);
}

/* x with an axis cut into count bins, whose elements become a trailing axis. */
static clg_var bins(clg_var x, int axis, int64_t count, double fill)
{
    int64_t n = clg_shape_of(x).dim[axis], longest = 0;
    if (n % count == 0)
        return clg_window(x, CLG_AXES(axis), CLG_SHAPE(n / count), CLG_SHAPE(n / count), CLG_SCALAR);
    clg_var *parts = malloc((size_t)count * sizeof *parts);
    if (!parts)
        return graph_fail(x.graph, CLG_ERROR_MEMORY, "out of memory");
    for (int64_t i = 0; i < count; i++) {
        int64_t length = bin_stop(i, n, count) - bin_start(i, n, count);
        longest = length > longest ? length : longest;
    }
    for (int64_t i = 0; i < count; i++)
        parts[i] = one_bin(x, axis, bin_start(i, n, count), bin_stop(i, n, count), longest, fill);
    clg_var result = clg_concat(parts, (int)count, axis);
    free(parts);
    return result;
}

/* Each bin reduced. Windows where all bins are equal; else one axis after the other, so that not every bin of one axis
 * is cut from every bin of another. */
static clg_var reduce_bins(const pooling *p, clg_var x, clg_var (*reduce)(clg_var, clg_axes, bool), double fill)
{
    clg_shape shape = clg_shape_of(x), length = p->size;
    bool equal = true;
    for (int i = 0; i < p->axes.count; i++) {
        int64_t n = shape.dim[p->axes.axis[i]];
        equal &= n % p->size.dim[i] == 0;
        length.dim[i] = n / p->size.dim[i];
    }
    if (equal)
        return reduce(clg_window(x, p->axes, length, length, CLG_SCALAR), trailing(p->axes.count), false);
    for (int i = 0; i < p->axes.count && x.id >= 0; i++)
        x = reduce(bins(x, p->axes.axis[i], p->size.dim[i], fill), CLG_AXES(-1), false);
    return x;
}

static bool take_bins(pooling *p, clg_var x, clg_shape size, const char *layout)
{
    if (!spatial_axes(p->op, x, layout, &p->axes) || !take_extents(x.graph, p, "size", size, NULL, 1, &p->size))
        return false;
    clg_shape shape = clg_shape_of(x);
    for (int i = 0; i < p->axes.count; i++) {
        int64_t n = shape.dim[p->axes.axis[i]];
        if (n > 0 && n <= INT32_MAX)
            continue;
        graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: axis %d of %s must have 1 to %d elements", p->op, p->axes.axis[i],
                   shape_text(shape), INT32_MAX);
        return false;
    }
    return true;
}

clg_var clg_adaptive_max_pool(clg_var x, clg_shape size, const char *layout)
{
    pooling p = {.op = "adaptive_max_pool"};
    if (!take_bins(&p, x, size, layout))
        return POISON(x.graph);
    return reduce_bins(&p, x, clg_max, least_value(x));
}

clg_var clg_adaptive_avg_pool(clg_var x, clg_shape size, const char *layout)
{
    pooling p = {.op = "adaptive_avg_pool"};
    if (!take_bins(&p, x, size, layout))
        return POISON(x.graph);
    x = build_as_float(x);
    clg_var total = reduce_bins(&p, x, clg_sum, 0);
    return divide_by_count(total, reduce_bins(&p, spatial_ones(x, p.axes), clg_sum, 0));
}
