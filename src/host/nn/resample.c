/* Pictures at other sizes and at other places. */
#include "helpers.h"

#include <math.h>

enum { MOST_CELLS = INT32_MAX }; /* places are counted in i32 */

/* ---------------------------------------------------------------- kernels */

/* Cubic convolution with a = -3/4 (Keys 1981, eq. 15) at distances up to 1, and from 1 to 2. */
static clg_var near_cubic(clg_var d) { return affine(clg_mul(affine(d, 1.25, -2.25), clg_square(d)), 1, 1); }

static clg_var far_cubic(clg_var d)
{
    clg_var y = affine(clg_mul(affine(d, 1, -5), d), 1, 8);
    return affine(clg_mul(y, d), -0.75, 3);
}

/* The weight of what is so far away: 1 - |d| within 1; or the cubic one within 2. */
static clg_var weight_at(clg_var distance, bool cubic)
{
    clg_var d = clg_abs(distance);
    if (!cubic)
        return clg_relu(one_minus(d));
    clg_var far = clg_where(clg_less(d, clg_scalar_like(d, 2)), far_cubic(d), zero_like(d));
    return clg_where(clg_less_equal(d, clg_scalar_like(d, 1)), near_cubic(d), far);
}

/* ---------------------------------------------------------------- other sizes */

/* One axis of in elements that gets out of them. */
typedef struct resizing {
    clg_interpolation mode;
    bool align_corners;
    int axis;
    int64_t in, out;
} resizing;

static clg_var numbers(clg_graph *graph, int64_t count, int64_t step, int64_t first)
{
    return affine(clg_arange(graph, CLG_I32, count), (double)step, (double)first);
}

/* Element o is at the place n(o) / unit among the old ones: n, in integers, so that nothing is rounded. */
static clg_var places(clg_graph *graph, const resizing *r, int64_t *unit)
{
    if (r->mode == CLG_INTERPOLATE_NEAREST) {
        *unit = r->out;
        return numbers(graph, r->out, r->in, 0);
    }
    if (r->align_corners) {
        *unit = r->out > 1 ? r->out - 1 : 1;
        return numbers(graph, r->out, r->in - 1, 0);
    }
    *unit = 2 * r->out;
    return numbers(graph, r->out, 2 * r->in, r->mode == CLG_INTERPOLATE_NEAREST_EXACT ? r->in : r->in - r->out);
}

/* (out, in): place - i for each element i from first on, times unit. */
static clg_var distances(clg_var place, int64_t unit, int64_t first, int64_t count)
{
    clg_var cell = numbers(place.graph, count, unit, first * unit);
    return clg_sub(clg_expand_dims(place, CLG_AXES(1)), cell);
}

/* Whole steps are views; elsewhere the nearest element is the last one that begins before the place or at it. */
static clg_var nearest(clg_var x, const resizing *r)
{
    if (r->out % r->in == 0)
        return clg_repeat(x, r->axis, r->out / r->in);
    if (r->in % r->out == 0) {
        const int64_t step = r->in / r->out;
        return clg_slice(x, r->axis, r->mode == CLG_INTERPOLATE_NEAREST_EXACT ? step / 2 : 0, r->in, step);
    }
    int64_t unit;
    clg_var place = places(x.graph, r, &unit);
    clg_var d = distances(place, unit, 0, r->in), begun = clg_less_equal(zero_like(d), d);
    clg_var count = clg_sum(clg_cast(begun, CLG_I32), CLG_AXES(1), false);
    return clg_swap_axes(clg_gather(clg_swap_axes(x, r->axis, 0), affine(count, 1, -1)), r->axis, 0);
}

/* By a product with a matrix (out, in) of weights. */
static clg_var weighted(clg_var x, const resizing *r)
{
    enum { BORDER = 2 }; /* elements beyond an edge that cubic weights reach: those at the edge */
    const bool cubic = r->mode == CLG_INTERPOLATE_CUBIC;
    int64_t unit, count = r->in, first = 0;
    clg_var place = places(x.graph, r, &unit);
    if (cubic) {
        clg_shape border = {.rank = clg_shape_of(x).rank};
        border.dim[r->axis] = BORDER;
        x = clg_pad(x, border, border, CLG_PAD_EDGE, 0);
        first = -BORDER;
        count += 2 * BORDER;
    } else {
        place = clg_clip(place, 0, (double)(unit * (r->in - 1)));
    }
    clg_var d = clg_cast(distances(place, unit, first, count), clg_dtype_of(x));
    clg_var weights = weight_at(clg_div(d, clg_scalar_like(d, (double)unit)), cubic);
    return clg_swap_axes(clg_matmul(clg_swap_axes(x, r->axis, -1), clg_transpose(weights)), r->axis, -1);
}

clg_var clg_interpolate(clg_var x, clg_shape size, clg_interpolation mode, bool align_corners)
{
    const clg_shape s = clg_shape_of(x);
    if (!are_operands("interpolate", &x, 1))
        return poisoned(x.graph);
    if (mode < CLG_INTERPOLATE_NEAREST || mode > CLG_INTERPOLATE_AREA)
        return clg_refuse(x.graph, "interpolate: there is no mode %d", (int)mode);
    const bool smooth = mode == CLG_INTERPOLATE_LINEAR || mode == CLG_INTERPOLATE_CUBIC;
    if (align_corners && !smooth)
        return clg_refuse(x.graph, "interpolate: align_corners is of the modes LINEAR and CUBIC, not of mode %d",
                          (int)mode);
    bool good = s.rank >= 3 && s.rank <= 5 && size.rank == s.rank - 2;
    for (int d = 2; d < s.rank && good; d++) {
        const int64_t in = s.dim[d], out = size.dim[d - 2];
        good = in > 0 && out > 0 && in <= MOST_CELLS / 2 - 4 && out <= MOST_CELLS / 2 / (in + 4);
    }
    if (!good)
        return clg_refuse(x.graph,
                          "interpolate: x %s must be (n, c, ...) with one to three axes more, size %s have an extent "
                          "for each of these, all positive and of old and new one the product below 2^30",
                          words_of(s).text, words_of(size).text);
    x = as_float(x);
    if (mode == CLG_INTERPOLATE_AREA)
        return clg_adaptive_avg_pool(x, size, NULL);
    for (int d = 2; d < s.rank; d++) {
        const resizing r = {mode, align_corners, d, s.dim[d], size.dim[d - 2]};
        if (r.in != r.out) /* else each place is an element */
            x = smooth ? weighted(x, &r) : nearest(x, &r);
    }
    return x;
}

/* ---------------------------------------------------------------- places of a grid */

typedef struct sampling {
    clg_interpolation mode;
    clg_grid_padding padding;
    bool align_corners;
} sampling;

/* The elements along one axis of which a value is made, (taps, n, ho, wo): which ones, whether they are within the
 * picture, and how much of them; weight: CLG_NONE for all of one. */
typedef struct taps {
    clg_var index, inside, weight;
} taps;

/* -1..1 as places among extent elements; operations in PyTorch's order, for the sake of places between two. */
static clg_var place_of(clg_var coordinate, int64_t extent, bool align_corners)
{
    const double n = (double)extent;
    clg_var from_zero = affine(coordinate, 1, 1);
    return align_corners ? times(from_zero, (n - 1) / 2) : affine(from_zero, n / 2, -0.5);
}

/* Thrown back at both ends, which are the outer elements or the edges of them, as often as it takes. By quotients, as
 * these need no loop. */
static clg_var reflected(clg_var place, int64_t extent, bool align_corners)
{
    const double low = align_corners ? 0 : -0.5, span = (double)(align_corners ? extent - 1 : extent);
    if (span == 0)
        return clg_broadcast_to(zero_like(place), clg_shape_of(place));
    clg_var d = clg_abs(affine(place, 1, -low));
    clg_var turns = clg_floor(clg_div(d, clg_scalar_like(d, span))), rest = clg_sub(d, times(turns, span));
    clg_var pairs = times(clg_floor(times(turns, 0.5)), 2);
    return affine(clg_where(clg_equal(turns, pairs), rest, affine(rest, -1, span)), 1, low);
}

static clg_var padded(clg_var place, int64_t extent, const sampling *s)
{
    if (s->padding == CLG_GRID_ZEROS)
        return place;
    if (s->padding == CLG_GRID_REFLECTION)
        place = reflected(place, extent, s->align_corners);
    return clg_clip(place, 0, (double)(extent - 1));
}

static clg_var weights_of(clg_var part, clg_interpolation mode)
{
    if (mode == CLG_INTERPOLATE_NEAREST)
        return CLG_NONE;
    if (mode == CLG_INTERPOLATE_LINEAR)
        return clg_stack((clg_var[]){one_minus(part), part}, 2, 0);
    clg_var after = one_minus(part);
    return clg_stack(
        (clg_var[]){far_cubic(affine(part, 1, 1)), near_cubic(part), near_cubic(after), far_cubic(affine(after, 1, 1))},
        4, 0);
}

static taps taps_along(clg_var coordinate, int64_t extent, const sampling *s)
{
    const bool cubic = s->mode == CLG_INTERPOLATE_CUBIC, nearest = s->mode == CLG_INTERPOLATE_NEAREST;
    const int64_t count = cubic ? 4 : nearest ? 1 : 2;
    clg_var place = place_of(coordinate, extent, s->align_corners);
    if (!cubic)
        place = padded(place, extent, s);
    clg_var base = nearest ? clg_round(place) : clg_floor(place);
    clg_var step = affine(clg_arange(place.graph, clg_dtype_of(place), count), 1, cubic ? -1 : 0);
    clg_var at = clg_add(base, clg_reshape(step, CLG_SHAPE(count, 1, 1, 1)));
    if (cubic) /* the curve goes through all of its elements, of which those outside are looked for elsewhere */
        at = padded(at, extent, s);
    clg_var least = zero_like(at), most = clg_scalar_like(at, (double)(extent - 1));
    return (taps){clg_cast(clg_clip(at, 0, (double)(extent - 1)), CLG_I32),
                  clg_logical_and(clg_less_equal(least, at), clg_less_equal(at, most)),
                  weights_of(clg_sub(place, base), s->mode)};
}

/* Of taps along y and x, (taps, n, ho, wo) each, those of both: (taps, taps, n, ho, wo). */
static clg_var both(clg_var y, clg_var x)
{
    return clg_mul(clg_expand_dims(y, CLG_AXES(1)), clg_expand_dims(x, CLG_AXES(0)));
}

static bool grid_fits(clg_var x, clg_var grid, const sampling *o)
{
    const clg_shape s = clg_shape_of(x), g = clg_shape_of(grid);
    if (!are_operands("grid_sample", (clg_var[]){x, grid}, 2))
        return false;
    bool good = s.rank == 4 && g.rank == 4 && g.dim[3] == 2 && s.dim[0] == g.dim[0] && s.dim[2] > 0 && s.dim[3] > 0;
    good = good && s.dim[2] <= MOST_CELLS / s.dim[3] && s.dim[0] <= MOST_CELLS / (s.dim[2] * s.dim[3]);
    if (!good) {
        clg_refuse(
            x.graph,
            "grid_sample: x %s and grid %s must be (n, c, h, w) and (n, ho, wo, 2), h and w positive, n h w below "
            "2^31",
            words_of(s).text, words_of(g).text);
        return false;
    }
    good = o->mode == CLG_INTERPOLATE_NEAREST || o->mode == CLG_INTERPOLATE_LINEAR || o->mode == CLG_INTERPOLATE_CUBIC;
    if (!good || o->padding < CLG_GRID_ZEROS || o->padding > CLG_GRID_REFLECTION) {
        clg_refuse(x.graph,
                   "grid_sample: mode %d must be NEAREST, LINEAR or CUBIC, padding %d be ZEROS, BORDER or REFLECTION",
                   (int)o->mode, (int)o->padding);
        return false;
    }
    return true;
}

clg_var clg_grid_sample(clg_var x, clg_var grid, clg_interpolation mode, clg_grid_padding padding, bool align_corners)
{
    const sampling o = {mode, padding, align_corners};
    const clg_shape s = clg_shape_of(x);
    if (!grid_fits(x, grid, &o))
        return poisoned(x.graph);
    const int64_t n = s.dim[0], c = s.dim[1], h = s.dim[2], w = s.dim[3];
    x = as_float(x);
    grid = as_float(grid);
    taps across = taps_along(clg_index(grid, 3, 0), w, &o), down = taps_along(clg_index(grid, 3, 1), h, &o);
    clg_var picture = clg_reshape(numbers(x.graph, n, h, 0), CLG_SHAPE(n, 1, 1)); /* the row that it begins with */
    clg_var row = clg_expand_dims(affine(clg_add(down.index, picture), (double)w, 0), CLG_AXES(1));
    clg_var index = clg_add(row, clg_expand_dims(across.index, CLG_AXES(0)));
    clg_var pixels = clg_reshape(clg_permute(x, CLG_AXES(0, 2, 3, 1)), CLG_SHAPE(n * h * w, c));
    clg_var value = clg_gather(pixels, index);
    value = clg_where(clg_expand_dims(both(down.inside, across.inside), CLG_AXES(-1)), value, zero_like(value));
    if (down.weight.graph)
        value = clg_mul(value, clg_expand_dims(both(down.weight, across.weight), CLG_AXES(-1)));
    return clg_permute(clg_sum(value, CLG_AXES(0, 1), false), CLG_AXES(0, 3, 1, 2));
}

/* n places in -1..1: the outer ones at its ends, or half a cell from them. */
static clg_var cells(clg_var like, int64_t n, bool align_corners)
{
    const double step = n < 2 ? 0 : 2 / (double)(align_corners ? n - 1 : n);
    return affine(clg_arange(like.graph, clg_dtype_of(like), n), step, -step * (double)(n - 1) / 2);
}

clg_var clg_affine_grid(clg_var theta, int64_t h, int64_t w, bool align_corners)
{
    const clg_shape s = clg_shape_of(theta);
    if (!are_operands("affine_grid", &theta, 1))
        return poisoned(theta.graph);
    if (s.rank != 3 || s.dim[1] != 2 || s.dim[2] != 3 || h < 1 || w < 1)
        return clg_refuse(theta.graph, "affine_grid: theta %s must be (n, 2, 3), h %lld and w %lld positive",
                          words_of(s).text, (long long)h, (long long)w);
    theta = as_float(theta);
    clg_var of[3];
    for (int i = 0; i < 3; i++)
        of[i] = clg_reshape(clg_index(theta, 2, i), CLG_SHAPE(s.dim[0], 1, 1, 2));
    clg_var x = clg_reshape(cells(theta, w, align_corners), CLG_SHAPE(w, 1));
    clg_var y = clg_reshape(cells(theta, h, align_corners), CLG_SHAPE(h, 1, 1));
    return clg_add(clg_add(clg_mul(of[0], x), clg_mul(of[1], y)), of[2]);
}
