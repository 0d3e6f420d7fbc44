/* Arrays cut, joined, padded and repeated: views, and choices between views. */
#include "build.h"

/* ---------------------------------------------------------------- axes */

/* Without the axes of a mask, at this index of each. */
static clg_var drop_axes(clg_op op, clg_var x, uint32_t mask, int64_t index)
{
    clg_shape from = clg_shape_of(x), shape = {0};
    index_map map = {0};
    for (int d = 0; d < from.rank; d++) {
        if (mask >> d & 1) {
            map.axis[d].offset = index;
            continue;
        }
        map.axis[d] = affine_of(shape.rank);
        shape.dim[shape.rank++] = from.dim[d];
    }
    return views_map(op, x, shape, &map);
}

clg_var clg_index(clg_var x, int axis, int64_t index)
{
    int d = graph_axis("index", x, axis);
    if (d < 0)
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    int64_t n = shape.dim[d];
    if (index < -n || index >= n)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "index: axis %d of shape %s has no element %lld", axis,
                          shape_text(shape), (long long)index);
    return drop_axes(OP_SLICE, x, 1u << d, index < 0 ? index + n : index);
}

clg_var clg_flip(clg_var x, clg_axes axes)
{
    uint32_t mask;
    if (!graph_axes("flip", x, axes, &mask))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    index_map map = index_map_identity(shape.rank);
    for (int d = 0; d < shape.rank; d++)
        if (mask >> d & 1 && shape.dim[d] > 0) {
            map.axis[d].offset = shape.dim[d] - 1;
            map.axis[d].coef[d] = -1;
        }
    return views_map(OP_SLICE, x, shape, &map);
}

clg_var clg_swap_axes(clg_var x, int a, int b)
{
    int first = graph_axis("swap_axes", x, a), second = first < 0 ? -1 : graph_axis("swap_axes", x, b);
    if (second < 0)
        return POISON(x.graph);
    clg_axes order = {.count = clg_shape_of(x).rank};
    for (int i = 0; i < order.count; i++)
        order.axis[i] = i == first ? second : i == second ? first : i;
    return clg_permute(x, order);
}

clg_var clg_squeeze(clg_var x, clg_axes axes)
{
    uint32_t mask;
    if (!graph_axes("squeeze", x, axes, &mask))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    for (int d = 0; d < shape.rank; d++) {
        if (!(mask >> d & 1) || shape.dim[d] == 1)
            continue;
        if (axes.count >= 0)
            return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "squeeze: axis %d of shape %s has extent %lld, not 1", d,
                              shape_text(shape), (long long)shape.dim[d]);
        mask &= ~(1u << d);
    }
    return mask ? drop_axes(OP_VIEW, x, mask, 0) : x;
}

clg_var clg_expand_dims(clg_var x, clg_axes axes)
{
    uint32_t mask;
    if (!graph_check("expand_dims", &x, 1))
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x), shape = {.rank = from.rank + axes.count};
    if (axes.count < 0 || axes.count > CLG_MAX_RANK - from.rank)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "expand_dims: 0 to %d axes can be added to shape %s, not %d",
                          CLG_MAX_RANK - from.rank, shape_text(from), axes.count);
    if (!axes_mask(axes, shape.rank, &mask))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                          "expand_dims: an axis is repeated or not in -%d..%d of the result, which has %d axes more "
                          "than shape %s",
                          shape.rank, shape.rank - 1, axes.count, shape_text(from));
    index_map map = {0};
    for (int d = 0, k = 0; d < shape.rank; d++) {
        shape.dim[d] = mask >> d & 1 ? 1 : from.dim[k];
        if (!(mask >> d & 1))
            map.axis[k++] = affine_of(d);
    }
    return views_map(OP_VIEW, x, shape, &map);
}

/* ---------------------------------------------------------------- joining */

/* Parts to be joined along an axis, which stack adds to them. shape: the result's. */
typedef struct joining {
    const clg_var *parts;
    int axis;
    bool stack;
    clg_dtype dtype;
    clg_shape shape;
} joining;

/* How long some parts are together along the axis. */
static int64_t joined_extent(const joining *j, int first, int count)
{
    int64_t extent = j->stack ? count : 0;
    for (int i = first; i < first + count && !j->stack; i++)
        if (__builtin_add_overflow(extent, clg_shape_of(j->parts[i]).dim[j->axis], &extent))
            return -1;
    return extent;
}

/* a and b one behind the other, in an array of a shape: each element is one of a or of b, whose bits it keeps. */
static clg_var join_two(clg_var a, clg_var b, int axis, clg_shape shape)
{
    if (a.id < 0 || b.id < 0)
        return POISON(a.graph);
    int64_t before[CLG_MAX_DIMS] = {0}, length = clg_shape_of(a).dim[axis];
    clg_shape ones = {.rank = shape.rank}, row = ones;
    for (int d = 0; d < shape.rank; d++) {
        ones.dim[d] = d == axis ? length : 1;
        row.dim[d] = d == axis ? shape.dim[axis] : 1;
    }
    clg_var first = graph_constant(a.graph, CLG_BOOL, graph_shape(a.graph, "concat", ones), 1);
    clg_var mask = views_broadcast(views_place(first, row, before, 0), shape);
    a = views_place(a, shape, before, 0);
    before[axis] = length;
    return clg_where(mask, a, views_place(b, shape, before, 0));
}

/* A balanced tree, so that the last of many parts is not behind as many choices. */
static clg_var join(const joining *j, int first, int count)
{
    clg_shape shape = j->shape;
    if (count == 1) {
        clg_var x = clg_cast(j->parts[first], j->dtype);
        return j->stack ? clg_expand_dims(x, CLG_AXES(j->axis)) : x;
    }
    int half = count / 2;
    int64_t left = joined_extent(j, first, half), right = joined_extent(j, first + half, count - half);
    if (left == 0)
        return join(j, first + half, count - half);
    if (right == 0)
        return join(j, first, half);
    shape.dim[j->axis] = left + right;
    return join_two(join(j, first, half), join(j, first + half, count - half), j->axis, shape);
}

static clg_var join_all(const char *op, joining *j, int count)
{
    clg_graph *g = j->parts[0].graph;
    j->dtype = build_common_dtype(j->parts, count, false);
    j->shape.dim[j->axis] = joined_extent(j, 0, count);
    if (!graph_check_leaf(g, op, j->dtype, j->shape))
        return POISON(g);
    if (clg_shape_count(j->shape) == 0)
        return graph_constant(g, j->dtype, graph_shape(g, op, j->shape), 0);
    return join(j, 0, count);
}

/* Whether there are parts, all of them variables of one graph. */
static bool check_parts(const char *op, const clg_var *parts, int count)
{
    if (count >= 1)
        return graph_check(op, parts, count);
    graph_fail(NULL, CLG_ERROR_ARGUMENT, "%s: needs at least one part, not %d", op, count);
    return false;
}

clg_var clg_concat(const clg_var *parts, int count, int axis)
{
    if (!check_parts("concat", parts, count))
        return POISON(count >= 1 ? parts[0].graph : NULL);
    clg_graph *g = parts[0].graph;
    int d = graph_axis("concat", parts[0], axis);
    if (d < 0)
        return POISON(g);
    joining j = {.parts = parts, .axis = d, .shape = clg_shape_of(parts[0])};
    for (int i = 1; i < count; i++) {
        clg_shape shape = clg_shape_of(parts[i]), want = j.shape;
        if (shape.rank == want.rank)
            want.dim[d] = shape.dim[d];
        if (!clg_shape_equal(shape, want))
            return graph_fail(g, CLG_ERROR_ARGUMENT,
                              "concat: part %d %s does not fit part 0 %s: only axis %d may differ", i,
                              shape_text(shape), shape_text(j.shape), d);
    }
    return join_all("concat", &j, count);
}

clg_var clg_stack(const clg_var *parts, int count, int axis)
{
    if (!check_parts("stack", parts, count))
        return POISON(count >= 1 ? parts[0].graph : NULL);
    clg_graph *g = parts[0].graph;
    clg_shape from = clg_shape_of(parts[0]);
    joining j = {.parts = parts, .stack = true, .shape = {.rank = from.rank + 1}};
    if (from.rank == CLG_MAX_RANK)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "stack: shape %s has %d axes already: there cannot be more",
                          shape_text(from), CLG_MAX_RANK);
    j.axis = axis < 0 ? axis + j.shape.rank : axis;
    if (j.axis < 0 || j.axis > from.rank)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "stack: axis %d is not in -%d..%d of the result of parts %s", axis,
                          j.shape.rank, from.rank, shape_text(from));
    for (int i = 1; i < count; i++)
        if (!clg_shape_equal(clg_shape_of(parts[i]), from))
            return graph_fail(g, CLG_ERROR_ARGUMENT, "stack: part %d %s does not have the shape of part 0, %s", i,
                              shape_text(clg_shape_of(parts[i])), shape_text(from));
    for (int d = 0; d < from.rank; d++)
        j.shape.dim[d < j.axis ? d : d + 1] = from.dim[d];
    return join_all("stack", &j, count);
}

clg_status clg_split(clg_var x, int axis, const int64_t *sizes, int count, clg_var *parts)
{
    for (int i = 0; i < count; i++)
        parts[i] = POISON(x.graph);
    int d = graph_axis("split", x, axis);
    if (d < 0)
        return CLG_ERROR_ARGUMENT;
    clg_shape shape = clg_shape_of(x);
    int64_t total = 0;
    bool good = true;
    for (int i = 0; i < count && good; i++)
        good = sizes[i] >= 0 && !__builtin_add_overflow(total, sizes[i], &total);
    if (!good || total != shape.dim[d]) {
        graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                   "split: the sizes of %d parts must not be negative and must add up to %lld, axis %d of shape %s",
                   count, (long long)shape.dim[d], axis, shape_text(shape));
        return CLG_ERROR_ARGUMENT;
    }
    int64_t start = 0;
    bool made = true;
    for (int i = 0; i < count; i++) {
        parts[i] = clg_slice(x, d, start, start + sizes[i], 1);
        start += sizes[i];
        made &= parts[i].id >= 0;
    }
    for (int i = 0; i < count && !made; i++)
        parts[i] = POISON(x.graph);
    return made ? CLG_OK : CLG_ERROR_MEMORY;
}

/* ---------------------------------------------------------------- repeating */

/* Repeats as a whole along as many axes as there is room for, each of which is then two: which repetition, and where
 * in it. Their repeats become 1. */
static clg_var tile_some(clg_var x, clg_shape *repeats)
{
    clg_shape from = clg_shape_of(x), wide = {0}, shape = from;
    index_map map = {0};
    int room = CLG_MAX_DIMS - from.rank;
    for (int d = 0; d < from.rank; d++) {
        int64_t count = repeats->dim[d];
        if (count != 1 && from.dim[d] == 1) {
            wide.dim[wide.rank++] = count;
        } else {
            if (count != 1 && room-- > 0)
                wide.dim[wide.rank++] = count;
            else
                count = 1;
            map.axis[d] = affine_of(wide.rank);
            wide.dim[wide.rank++] = from.dim[d];
        }
        shape.dim[d] *= count;
        if (count != 1)
            repeats->dim[d] = 1;
    }
    return views_reshape(views_map(OP_EXPAND, x, wide, &map), shape);
}

/* The shape with axis d times as long; false (with an error) if count is negative or the shape too large. */
static bool lengthen(const char *op, clg_var x, clg_shape *shape, int d, int64_t count)
{
    if (count >= 0 && !__builtin_mul_overflow(shape->dim[d], count, &shape->dim[d]))
        return graph_check_leaf(x.graph, op, clg_dtype_of(x), *shape);
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: axis %d of shape %s cannot be repeated %lld times", op, d,
               shape_text(clg_shape_of(x)), (long long)count);
    return false;
}

clg_var clg_tile(clg_var x, clg_shape repeats)
{
    if (!graph_check("tile", &x, 1))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    if (repeats.rank != shape.rank)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "tile: repeats %s must have a number for each axis of shape %s",
                          shape_text(repeats), shape_text(shape));
    for (int d = 0; d < repeats.rank; d++)
        if (!lengthen("tile", x, &shape, d, repeats.dim[d]))
            return POISON(x.graph);
    while (x.id >= 0 && !clg_shape_equal(clg_shape_of(x), shape))
        x = tile_some(x, &repeats);
    return x;
}

clg_var clg_repeat(clg_var x, int axis, int64_t count)
{
    int d = graph_axis("repeat", x, axis);
    if (d < 0)
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x), shape = from, wide = {.rank = from.rank + 1};
    if (!lengthen("repeat", x, &shape, d, count))
        return POISON(x.graph);
    index_map map = {0};
    wide.dim[d + 1] = count;
    for (int k = 0; k < from.rank; k++) {
        map.axis[k] = affine_of(k <= d ? k : k + 1);
        wide.dim[k <= d ? k : k + 1] = from.dim[k];
    }
    return views_reshape(views_map(OP_EXPAND, x, wide, &map), shape);
}

/* ---------------------------------------------------------------- padding */

/* The widths of one side; false (with an error) if they are not as many as x has axes, or negative. */
static bool pad_widths(clg_var x, const char *side, clg_shape given, int64_t *widths)
{
    clg_shape shape = clg_shape_of(x);
    bool good = given.rank == 0 || given.rank == shape.rank;
    for (int d = 0; d < shape.rank; d++)
        widths[d] = good && given.rank ? given.dim[d] : 0;
    for (int d = 0; d < shape.rank; d++)
        good &= widths[d] >= 0;
    if (!good)
        graph_fail(x.graph, CLG_ERROR_ARGUMENT, "pad: %s %s must have a width, 0 or more, for each axis of shape %s",
                   side, shape_text(given), shape_text(shape));
    return good;
}

/* Whether there is enough to pad axis d with. */
static bool check_source(clg_var x, int d, clg_pad_mode mode, int64_t before, int64_t after)
{
    clg_shape shape = clg_shape_of(x);
    int64_t n = shape.dim[d], most = before > after ? before : after;
    if (mode == CLG_PAD_CONSTANT || most == 0)
        return true;
    if (mode == CLG_PAD_REFLECT && most >= n)
        graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                   "pad: reflecting %lld elements needs an axis longer than that, not axis %d of shape %s",
                   (long long)most, d, shape_text(shape));
    else if (n == 0)
        graph_fail(x.graph, CLG_ERROR_ARGUMENT, "pad: axis %d of shape %s is empty: there is nothing to pad it with", d,
                   shape_text(shape));
    else
        return true;
    return false;
}

/* Periodically: a part of x repeated. */
static clg_var pad_wrap(clg_var x, int d, int64_t before, int64_t after)
{
    clg_shape repeats = clg_shape_of(x);
    int64_t n = repeats.dim[d], start = (n - before % n) % n, total = before + n + after;
    for (int k = 0; k < repeats.rank; k++)
        repeats.dim[k] = k == d ? (start + total - 1) / n + 1 : 1;
    return clg_slice(clg_tile(x, repeats), d, start, start + total, 1);
}

/* The first (side 0) or the last element, so many times. */
static clg_var edge(clg_var x, int d, int side, int64_t width)
{
    clg_shape shape = clg_shape_of(x);
    int64_t at = side ? shape.dim[d] - 1 : 0;
    shape.dim[d] = width;
    return views_broadcast(clg_slice(x, d, at, at + 1, 1), shape);
}

/* The elements next to the first (side 0) or the last one, in the opposite order. */
static clg_var reflection(clg_var x, int d, int side, int64_t width)
{
    int64_t n = clg_shape_of(x).dim[d], start = side ? n - 2 : width, stop = start - width;
    return clg_slice(x, d, start, stop < 0 ? INT64_MIN : stop, -1);
}

static clg_var pad_axis(clg_var x, int d, clg_pad_mode mode, int64_t before, int64_t after)
{
    if (before == 0 && after == 0)
        return x;
    if (mode == CLG_PAD_WRAP)
        return pad_wrap(x, d, before, after);
    clg_var (*const piece)(clg_var, int, int, int64_t) = mode == CLG_PAD_EDGE ? edge : reflection;
    clg_var parts[3];
    int count = 0;
    if (before)
        parts[count++] = piece(x, d, 0, before);
    parts[count++] = x;
    if (after)
        parts[count++] = piece(x, d, 1, after);
    return clg_concat(parts, count, d);
}

clg_var clg_pad(clg_var x, clg_shape before, clg_shape after, clg_pad_mode mode, double value)
{
    int64_t front[CLG_MAX_DIMS], back[CLG_MAX_DIMS];
    if (!graph_check("pad", &x, 1))
        return POISON(x.graph);
    if ((unsigned)mode > CLG_PAD_WRAP)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "pad: %d is not a mode", (int)mode);
    if (!pad_widths(x, "before", before, front) || !pad_widths(x, "after", after, back))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    for (int d = 0; d < shape.rank; d++) {
        if (!check_source(x, d, mode, front[d], back[d]))
            return POISON(x.graph);
        if (__builtin_add_overflow(shape.dim[d], front[d], &shape.dim[d]) ||
            __builtin_add_overflow(shape.dim[d], back[d], &shape.dim[d]))
            return graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                              "pad: axis %d of shape %s is too long with %lld before and %lld after", d,
                              shape_text(clg_shape_of(x)), (long long)front[d], (long long)back[d]);
    }
    if (!graph_check_leaf(x.graph, "pad", clg_dtype_of(x), shape))
        return POISON(x.graph);
    if (mode == CLG_PAD_CONSTANT)
        return views_place(x, shape, front, dtype_round(clg_dtype_of(x), value));
    for (int d = 0; d < shape.rank && x.id >= 0; d++)
        x = pad_axis(x, d, mode, front[d], back[d]);
    return x;
}
