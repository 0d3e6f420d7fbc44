/* Entries that sort, and statistics of sorted values. */
#include "opinfo.h"

#include <string.h>

/* A scalar is an axis of one element. */
static clg_var lined(clg_var x) { return rank_of(x) ? x : clg_reshape(x, CLG_SHAPE(1)); }
static clg_var flat(clg_var x) { return clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))); }
static clg_var whole(clg_var x, double value) { return clg_full(x.graph, CLG_I32, CLG_SCALAR, value); }

static clg_var argsort(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", -1);
    arg_bool(c, -1, "stable", false); /* clgrad's is, always */
    return clg_reshape(clg_argsort(lined(x), axis, arg_bool(c, 2, "descending", false), -1), clg_shape_of(x));
}

static clg_var sort(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", -1);
    put(c, clg_reshape(clg_sort(lined(x), axis, arg_bool(c, 2, "descending", false)), clg_shape_of(x)));
    put(c, argsort(c));
    return CLG_NONE;
}

static clg_var msort(clg_var x) { return clg_sort(x, 0, false); }

static clg_var topk(call *c)
{
    clg_var x = arg_var(c, 0, NULL), places;
    const int64_t k = arg_int(c, 1, "k", 1);
    const int axis = arg_axis(c, 2, "dim", -1);
    const bool largest = arg_bool(c, 3, "largest", true);
    if (!arg_bool(c, 4, "sorted", true))
        return skip_sample(c, "any order of what is taken");
    clg_var values = clg_topk(lined(x), k, axis, largest, &places);
    put(c, rank_of(x) ? values : clg_reshape(values, CLG_SCALAR));
    put(c, rank_of(x) ? places : clg_reshape(places, CLG_SCALAR));
    return CLG_NONE;
}

/* ---------------------------------------------------------------- order statistics */

/* What an entry takes of each line of elements: all of them are one line where no axis is given. */
typedef struct lines {
    clg_var x, order;        /* the lines along the last axis; what sorts them */
    clg_shape kept, dropped; /* of a result with one element for each line */
    bool keep;
} lines;

static lines lines_of(clg_var x, bool all, int axis, bool keep)
{
    const int rank = rank_of(x);
    lines l = {.keep = keep, .kept = {.rank = rank}};
    axis = rank ? axis_in(x, axis) : 0;
    clg_axes order = {0};
    for (int i = 0; i < rank; i++) {
        const bool gone = all || i == axis;
        l.kept.dim[i] = gone ? 1 : extent(x, i);
        if (!gone)
            l.dropped.dim[l.dropped.rank++] = extent(x, i);
        if (i != axis)
            order.axis[order.count++] = i;
    }
    order.axis[order.count++] = axis;
    l.x = all || !rank ? flat(x) : clg_permute(x, order);
    l.order = clg_argsort(l.x, -1, false, -1);
    return l;
}

/* The elements of sorted lines at places (..., 1), and where in x they are. */
static void put_taken(call *c, lines l, clg_var places, bool with_index)
{
    const clg_shape shape = l.keep ? l.kept : l.dropped;
    clg_var at = clg_gather_elements(l.order, places, -1);
    put(c, clg_reshape(clg_gather_elements(l.x, at, -1), shape));
    if (with_index)
        put(c, clg_reshape(at, shape));
}

/* How many elements of each line (..., 1) are not NaN. */
static clg_var numbers_in(lines l) { return clg_count_nonzero(clg_equal(l.x, l.x), CLG_AXES(-1), true); }

static clg_var kthvalue(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t k = arg_int(c, 1, "k", 1);
    lines l = lines_of(x, false, arg_axis(c, 2, "dim", -1), arg_bool(c, 3, "keepdim", false));
    clg_var places = clg_broadcast_to(whole(x, (double)(k - 1)), shape_with(l.x, -1, 1));
    return put_taken(c, l, places, true), CLG_NONE;
}

/* Of an even number of elements the lower one; NaN, which is sorted to the end, where there is one. */
static clg_var median_of(call *c, bool among_numbers)
{
    clg_var x = arg_var(c, 0, NULL);
    const bool all = !has_arg(c, 1, "dim");
    lines l = lines_of(x, all, arg_axis(c, 1, "dim", 0), arg_bool(c, 2, "keepdim", false));
    clg_var n = whole(x, (double)extent(l.x, -1)), numbers = numbers_in(l);
    clg_var middle = clg_shift_right(clg_maximum(clg_sub(numbers, whole(x, 1)), whole(x, 0)), whole(x, 1));
    clg_var end = clg_sub(n, whole(x, 1));
    clg_var places = among_numbers ? middle : clg_where(clg_equal(numbers, n), middle, end);
    return put_taken(c, l, places, !all), CLG_NONE;
}

static clg_var median(call *c) { return median_of(c, false); }
static clg_var nanmedian(call *c) { return median_of(c, true); }

/* The smallest of the values that are there most often, and where it is for the last time. */
static clg_var mode(call *c)
{
    clg_var x = arg_var(c, 0, NULL), one = whole(x, 1);
    lines l = lines_of(x, false, arg_axis(c, 1, "dim", -1), arg_bool(c, 2, "keepdim", false));
    clg_var sorted = clg_sort(l.x, -1, false);
    clg_var pairs = clg_equal(clg_expand_dims(sorted, CLG_AXES(-1)), clg_expand_dims(sorted, CLG_AXES(-2)));
    clg_var often = clg_count_nonzero(pairs, CLG_AXES(-1), false);
    clg_var first = clg_expand_dims(clg_argmax(often, -1), CLG_AXES(-1));
    clg_var places = clg_sub(clg_add(first, clg_max(often, CLG_AXES(-1), true)), one);
    return put_taken(c, l, places, true), CLG_NONE;
}

/* Sorted lines at the fractional places q (n - 1), n of elements that are numbers; q's axis goes to the front. */
static clg_var quantile_of(call *c, bool among_numbers)
{
    clg_var x = arg_var(c, 0, NULL), q = arg_var(c, 1, "q");
    const char *how = arg_string(c, -1, "interpolation", "linear");
    const bool all = !has_arg(c, 2, "dim");
    lines l = lines_of(x, all, arg_axis(c, 2, "dim", 0), arg_bool(c, 3, "keepdim", false));
    clg_var numbers = numbers_in(l), n = whole(x, (double)extent(l.x, -1)), one = whole(x, 1);
    clg_var last = clg_cast(clg_maximum(clg_sub(numbers, one), whole(x, 0)), CLG_F64);
    clg_var place = clg_mul(lined(q), last);
    if (!among_numbers) /* NaN is at the end */
        place = clg_where(clg_equal(numbers, n), place, clg_cast(clg_sub(n, one), CLG_F64));
    clg_var below = strcmp(how, "nearest") == 0  ? clg_round(place)
                    : strcmp(how, "higher") == 0 ? clg_ceil(place)
                                                 : clg_floor(place);
    clg_var sorted = clg_sort(l.x, -1, false), y = clg_gather_elements(sorted, clg_cast(below, CLG_I32), -1);
    if (strcmp(how, "linear") == 0 || strcmp(how, "midpoint") == 0) {
        clg_var above = clg_gather_elements(sorted, clg_cast(clg_ceil(place), CLG_I32), -1);
        y = clg_lerp(y, above, *how == 'l' ? clg_sub(place, below) : number(c, 0.5));
    }
    clg_shape shape = l.keep ? l.kept : l.dropped;
    clg_axes front = {.count = rank_of(y), .axis = {rank_of(y) - 1}};
    for (int i = 1; i < front.count; i++)
        front.axis[i] = i - 1;
    if (rank_of(q)) {
        for (int i = shape.rank++; i > 0; i--)
            shape.dim[i] = shape.dim[i - 1];
        shape.dim[0] = extent(q, 0);
    }
    return clg_reshape(clg_permute(y, front), shape);
}

static clg_var quantile(call *c) { return quantile_of(c, false); }
static clg_var nanquantile(call *c) { return quantile_of(c, true); }

/* ---------------------------------------------------------------- places among bounds */

/* How many bounds (..., n), sorted or in the order of a sorter, are below values (..., m). */
static clg_var searchsorted(call *c)
{
    clg_var bounds = arg_var(c, 0, NULL), values = arg_var(c, 1, NULL), sorter = arg_var(c, -1, "sorter");
    const bool right = arg_bool(c, -1, "right", false) || strcmp(arg_string(c, -1, "side", "left"), "right") == 0;
    arg(c, -1, "out_int32");
    if (sorter.id != CLG_NONE.id)
        bounds = clg_gather_elements(bounds, sorter, -1);
    bounds = rank_of(values) ? clg_expand_dims(bounds, CLG_AXES(-2)) : bounds;
    values = rank_of(values) ? clg_expand_dims(values, CLG_AXES(-1)) : values;
    clg_var below = right ? clg_less_equal(bounds, values) : clg_less(bounds, values);
    return clg_count_nonzero(clg_logical_or(below, clg_is_nan(values)), CLG_AXES(-1), false); /* NaN is the largest */
}

/* The bins of elements of x, of which those that are not within low..high get number `bins`; the last one has high. */
static clg_var within(clg_var x, clg_var bin, clg_var low, clg_var high, int64_t bins)
{
    clg_var in = clg_mul(clg_greater_equal(x, low), clg_less_equal(x, high));
    return clg_where(in, clg_minimum(bin, whole(x, (double)(bins - 1))), whole(x, (double)bins));
}

/* Bounds that are equal are those of the data; where these are equal, 1 off them on both sides. */
static clg_var histc(call *c)
{
    clg_var x = flat(arg_var(c, 0, NULL));
    const int64_t bins = arg_int(c, 1, "bins", 100);
    clg_var low = number(c, arg_number(c, 2, "min", 0)), high = number(c, arg_number(c, 3, "max", 0));
    if (arg_number(c, 2, "min", 0) == arg_number(c, 3, "max", 0) && extent(x, 0)) {
        low = clg_min(x, CLG_ALL_AXES, false);
        high = clg_max(x, CLG_ALL_AXES, false);
        clg_var same = clg_cast(clg_equal(low, high), c->dtype);
        low = clg_sub(low, same);
        high = clg_add(high, same);
    }
    clg_var place = clg_mul(clg_sub(x, low), clg_div(number(c, (double)bins), clg_sub(high, low)));
    clg_var at = within(x, clg_cast(place, CLG_I32), low, high, bins);
    return clg_scatter_add(at, clg_broadcast_to(number(c, 1), clg_shape_of(x)), bins);
}

/* Equal distances from low to high, exactly these at the ends. */
static clg_var edges_between(call *c, clg_var low, clg_var high, int64_t bins)
{
    clg_var i = clg_arange(c->graph, CLG_F64, bins + 1), step = clg_div(clg_sub(high, low), number(c, (double)bins));
    clg_var up = clg_add(low, clg_mul(step, i));
    clg_var down = clg_sub(high, clg_mul(step, clg_sub(number(c, (double)bins), i)));
    return clg_where(clg_less(i, number(c, (double)(bins + 1) / 2)), up, down);
}

/* The edges that are given, or so many at equal distances, for x (n). */
static clg_var edges_for(call *c, clg_var x, const cJSON *given)
{
    const bool empty = extent(x, 0) == 0;
    if (!cJSON_IsNumber(given))
        return json_var(c, given);
    clg_var low = empty ? number(c, 0) : clg_min(x, CLG_ALL_AXES, false);
    clg_var high = empty ? number(c, 1) : clg_max(x, CLG_ALL_AXES, false);
    clg_var half = clg_mul(clg_cast(clg_equal(low, high), c->dtype), number(c, 0.5));
    return edges_between(c, clg_sub(low, half), clg_add(high, half), given->valueint);
}

/* The bin between edges for each of x (n). */
static clg_var bins_of(clg_var x, clg_var edges)
{
    clg_var passed = clg_less_equal(edges, clg_expand_dims(x, CLG_AXES(1)));
    clg_var bin = clg_sub(clg_count_nonzero(passed, CLG_AXES(1), false), whole(x, 1));
    return within(x, bin, clg_index(edges, 0, 0), clg_index(edges, 0, -1), extent(edges, 0) - 1);
}

/* Histograms of points x (n, axes), edges for each axis; density: over the sum and each bin's size. */
static clg_var histogram_of(call *c, clg_var x, const cJSON *bins, bool several)
{
    clg_var weights = arg_var(c, -1, "weight"), edges[CLG_MAX_RANK];
    const int axes = (int)extent(x, 1);
    int64_t all = 1;
    clg_shape shape = {.rank = axes};
    clg_var at = whole(x, 0), out = clg_full(c->graph, CLG_U8, CLG_SCALAR, 0);
    if (has_arg(c, -1, "range") || axes > CLG_MAX_RANK)
        return skip_sample(c, "a range, or many axes");
    for (int i = 0; i < axes; i++) {
        const cJSON *given = cJSON_IsArray(bins) ? cJSON_GetArrayItem(bins, i) : bins;
        clg_var column = clg_index(x, 1, i);
        edges[i] = edges_for(c, column, given);
        all *= shape.dim[i] = extent(edges[i], 0) - 1;
        clg_var bin = bins_of(column, edges[i]), count = whole(x, (double)shape.dim[i]);
        out = clg_logical_or(out, clg_equal(bin, count));
        at = clg_add(clg_mul(at, count), bin);
    }
    weights = clg_broadcast_to(weights.id == CLG_NONE.id ? number(c, 1) : flat(weights), CLG_SHAPE(extent(x, 0)));
    clg_var hist = clg_scatter_add(clg_where(out, whole(x, (double)all), at), weights, all);
    hist = clg_reshape(hist, shape);
    if (arg_bool(c, -1, "density", false)) {
        hist = clg_div(hist, clg_sum(hist, CLG_ALL_AXES, false));
        for (int i = 0; i < axes; i++) {
            clg_var width = clg_sub(clg_slice(edges[i], 0, 1, INT64_MAX, 1), clg_slice(edges[i], 0, 0, -1, 1));
            clg_shape along = {.rank = axes};
            for (int k = 0; k < axes; k++)
                along.dim[k] = k == i ? -1 : 1;
            hist = clg_div(hist, clg_reshape(width, along));
        }
    }
    put(c, hist);
    for (int i = 0; i < (several ? axes : 1); i++)
        put(c, edges[i]);
    return CLG_NONE;
}

static clg_var histogram(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return histogram_of(c, clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)), 1)), arg(c, 1, "bins"), false);
}

static clg_var histogramdd(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t points = 1;
    for (int i = 0; i + 1 < rank_of(x); i++)
        points *= extent(x, i);
    return histogram_of(c, clg_reshape(x, CLG_SHAPE(points, extent(x, -1))), arg(c, 1, "bins"), true);
}

/* ---------------------------------------------------------------- places of what is not 0 */

/* The first `count` places of a mask's elements that are 1, in order. */
static clg_var places_in(clg_var mask, int64_t count)
{
    return clg_argsort(clg_cast(clg_logical_not(flat(mask)), CLG_U8), 0, false, count);
}

/* The digits of places in an array of a shape, an array for each axis. */
static void digits(clg_var place, clg_shape shape, clg_var *each)
{
    double below = (double)clg_shape_count(shape);
    for (int i = 0; i < shape.rank; i++) {
        clg_var above = clg_remainder(place, whole(place, below));
        below /= (double)shape.dim[i];
        clg_var unit = clg_full(place.graph, CLG_F64, CLG_SCALAR, below);
        each[i] = clg_cast(clg_floor(clg_div(clg_cast(above, CLG_F64), unit)), CLG_I32);
    }
}

/* Rows and columns of a triangle's elements, row by row. */
static clg_var triangle(call *c, bool lower)
{
    const int64_t rows = arg_int(c, 0, "row", 0), columns = arg_int(c, 1, "col", 0), k = arg_int(c, 2, "offset", 0);
    int64_t count = 0;
    arg(c, -1, "dtype");
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            count += lower ? j - i <= k : j - i >= k;
    if (!count)
        return clg_full(c->graph, CLG_I32, CLG_SHAPE(2, 0), 0);
    clg_var ones = clg_full(c->graph, CLG_U8, CLG_SHAPE(rows, columns), 1), each[2];
    digits(places_in(lower ? clg_tril(ones, k) : clg_triu(ones, k), count), CLG_SHAPE(rows, columns), each);
    return clg_stack(each, 2, 0);
}

static clg_var tril_indices(call *c) { return triangle(c, true); }
static clg_var triu_indices(call *c) { return triangle(c, false); }

/* So many rows of indices, of which those behind the last place are filled. */
static clg_var nonzero_static(call *c)
{
    clg_var x = arg_var(c, 0, NULL), each[CLG_MAX_RANK];
    const int64_t size = arg_int(c, -1, "size", 0), count = clg_shape_count(clg_shape_of(x));
    const int64_t there = size < count ? size : count;
    if (!rank_of(x) || !there)
        return skip_sample(c, "no axis, or nothing to look at");
    clg_var mask = clg_not_equal(x, clg_scalar_like(x, 0));
    digits(places_in(mask, there), clg_shape_of(x), each);
    clg_var rows = clg_stack(each, rank_of(x), 1), fill = whole(x, arg_number(c, -1, "fill_value", -1));
    rows = clg_pad(rows, CLG_SHAPE(0, 0), CLG_SHAPE(size - there, 0), CLG_PAD_CONSTANT, 0);
    clg_var found = clg_count_nonzero(mask, CLG_ALL_AXES, false);
    clg_var behind = clg_greater_equal(clg_arange(c->graph, CLG_I32, size), found);
    return clg_where(clg_expand_dims(behind, CLG_AXES(1)), fill, rows);
}

const opinfo_row opinfo_sorts[] = {
    BUILD("argsort", argsort),
    BUILD("histc", histc),
    BUILD("histogram", histogram),
    BUILD("histogramdd", histogramdd),
    BUILD("kthvalue", kthvalue),
    BUILD("median", median),
    BUILD("mode", mode),
    UNARY("msort", msort),
    BUILD("nanmedian", nanmedian),
    BUILD("nanquantile", nanquantile),
    BUILD("nonzero_static", nonzero_static),
    BUILD("quantile", quantile),
    BUILD("searchsorted", searchsorted),
    BUILD("sort", sort),
    BUILD("topk", topk),
    BUILD("tril_indices", tril_indices),
    BUILD("triu_indices", triu_indices),
    {0},
};
