/* Builders of views. */
#include "build.h"

#include <string.h>

static clg_var unary_node(clg_op op, clg_var x, int32_t shape, graph_record attr)
{
    return graph_node(x.graph, op, (clg_dtype)graph_at(x)->dtype, shape, (int32_t[]){x.id, -1, -1}, attr);
}

/* ---------------------------------------------------------------- reshape */

clg_var views_reshape(clg_var x, clg_shape shape)
{
    clg_graph *g = x.graph;
    while (x.id >= 0 && graph_at(x)->op == OP_RESHAPE)
        x.id = graph_at(x)->src[0];
    if (x.id < 0 || clg_shape_equal(clg_shape_of(x), shape))
        return x;
    int32_t id = graph_shape(g, "reshape", shape);
    if (graph_at(x)->op == OP_CONST && id >= 0)
        return graph_constant(g, (clg_dtype)graph_at(x)->dtype, id, graph_at(x)->attr.value);
    return id < 0 ? POISON(g) : unary_node(OP_RESHAPE, x, id, (graph_record){0});
}

clg_var clg_reshape(clg_var x, clg_shape shape)
{
    if (!graph_check("reshape", &x, 1))
        return POISON(x.graph);
    const clg_shape from = clg_shape_of(x), asked = shape;
    const int64_t count = clg_shape_count(from);
    int inferred = -1;
    bool fits = true;
    if (shape.rank < 0 || shape.rank > CLG_MAX_RANK)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "reshape: rank %d is not in 0..%d", shape.rank, CLG_MAX_RANK);
    for (int d = 0; d < shape.rank; d++) {
        if (shape.dim[d] == -1 && inferred < 0)
            shape.dim[inferred = d] = 1;
        fits &= shape.dim[d] >= 0;
    }
    const int64_t known = clg_shape_count(shape);
    if (fits && inferred >= 0 && known == 0 && count == 0)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "reshape: axis %d of %s could be anything, since %s is empty",
                          inferred, shape_text(asked), shape_text(from));
    if (inferred >= 0)
        shape.dim[inferred] = known > 0 ? count / known : 0;
    if (!fits || clg_shape_count(shape) != count)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "reshape: %s has %lld elements and does not fit %s",
                          shape_text(from), (long long)count, shape_text(asked));
    return views_reshape(x, shape);
}

/* ---------------------------------------------------------------- index maps */

/* Whether no position of a result reads outside the operand. */
static bool within(const index_map *map, clg_shape result, clg_shape operand)
{
    for (int k = 0; k < operand.rank; k++) {
        int64_t least, most;
        affine_range(&map->axis[k], result.rank, result.dim, &least, &most);
        if (least < 0 || most >= operand.dim[k])
            return false;
    }
    return true;
}

static bool is_identity(const index_map *map, clg_shape result, clg_shape operand)
{
    if (!clg_shape_equal(result, operand))
        return false;
    for (int k = 0; k < operand.rank; k++)
        for (int d = 0; d < result.rank; d++)
            if (map->axis[k].offset || (result.dim[d] > 1 && map->axis[k].coef[d] != (k == d)))
                return false;
    return true;
}

clg_var views_map(clg_op op, clg_var x, clg_shape shape, const index_map *map)
{
    clg_graph *g = x.graph;
    const int32_t id = x.id < 0 ? -1 : graph_shape(g, clg_ops[op].name, shape);
    if (id < 0)
        return POISON(g);
    clg_shape from = clg_shape_of(x);
    index_map own = *map;
    for (int k = 0; k < CLG_MAX_DIMS; k++)
        for (int d = 0; d < CLG_MAX_DIMS; d++)
            if (k >= from.rank || d >= shape.rank || shape.dim[d] == 1)
                own.axis[k].coef[d] = 0;
    for (int k = from.rank; k < CLG_MAX_DIMS; k++)
        own.axis[k].offset = 0;
    bool empty = clg_shape_count(shape) == 0, inside = !empty && within(&own, shape, from);
    if (inside || empty)
        own.fill = 0;
    if (!empty && is_identity(&own, shape, from))
        return x;
    clg_dtype dtype = (clg_dtype)graph_at(x)->dtype;
    if (!empty && clg_shape_count(from) == 0)
        return graph_constant(g, dtype, id, own.fill);
    const double value = graph_at(x)->attr.value;
    if (graph_at(x)->op == OP_CONST && (inside || empty || memcmp(&value, &own.fill, sizeof value) == 0))
        return graph_constant(g, dtype, id, graph_at(x)->attr.value);
    if (inside && ops_have_map((clg_op)graph_at(x)->op)) { /* a view of a view: one */
        const index_map *inner = graph_map_of(x);
        clg_var base = clg_operand(x, 0);
        index_map both = {.fill = inner->fill};
        for (int k = 0; k < clg_shape_of(base).rank; k++)
            both.axis[k] = affine_compose(&inner->axis[k], from.rank, own.axis);
        return views_map((clg_op)graph_at(x)->op == op ? op : OP_VIEW, base, shape, &both);
    }
    int32_t index = graph_map(g, &own);
    return index < 0 ? POISON(g) : unary_node(op, x, id, (graph_record){.attr.integer = index});
}

clg_var views_place(clg_var x, clg_shape shape, const int64_t *before, double fill)
{
    index_map map = index_map_identity(shape.rank);
    map.fill = fill;
    for (int d = 0; d < shape.rank; d++)
        map.axis[d].offset = -before[d];
    return views_map(OP_PAD, x, shape, &map);
}

/* ---------------------------------------------------------------- permute, broadcast */

clg_var clg_permute(clg_var x, clg_axes order)
{
    uint32_t seen = 0;
    index_map map = {0};
    if (!graph_check("permute", &x, 1))
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x), shape = {.rank = from.rank};
    bool good = order.count == from.rank;
    for (int i = 0; good && i < from.rank; i++) {
        int axis = order.axis[i] < 0 ? order.axis[i] + from.rank : order.axis[i];
        good = axis >= 0 && axis < from.rank && !(seen >> axis & 1);
        if (good) {
            seen |= 1u << axis;
            map.axis[axis] = affine_of(i);
            shape.dim[i] = from.dim[axis];
        }
    }
    if (!good)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "permute: the order must name each of the %d axes of %s once",
                          from.rank, shape_text(from));
    return views_map(OP_PERMUTE, x, shape, &map);
}

clg_var clg_transpose(clg_var x)
{
    if (!graph_check("transpose", &x, 1))
        return POISON(x.graph);
    int rank = clg_shape_of(x).rank;
    if (rank < 2)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "transpose: needs rank 2 or more, not shape %s",
                          shape_text(clg_shape_of(x)));
    clg_axes order = {.count = rank};
    for (int i = 0; i < rank; i++)
        order.axis[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return clg_permute(x, order);
}

/* limit: of the result's axes. */
static clg_var broadcast(clg_var x, clg_shape shape, int limit)
{
    clg_shape all;
    if (!graph_check("broadcast_to", &x, 1))
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x);
    if (clg_shape_equal(from, shape))
        return x;
    if (shape.rank > limit || !shape_broadcast(from, shape, &all) || !clg_shape_equal(all, shape))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "broadcast_to: %s does not broadcast to %s", shape_text(from),
                          shape_text(shape));
    index_map map = {0};
    for (int k = 0; k < from.rank; k++)
        if (from.dim[k] != 1)
            map.axis[k] = affine_of(k + shape.rank - from.rank);
    return views_map(OP_EXPAND, x, shape, &map);
}

clg_var views_broadcast(clg_var x, clg_shape shape) { return broadcast(x, shape, CLG_MAX_DIMS); }
clg_var clg_broadcast_to(clg_var x, clg_shape shape) { return broadcast(x, shape, CLG_MAX_RANK); }

/* ---------------------------------------------------------------- slices and windows */

static int64_t clip(int64_t value, int64_t lo, int64_t hi) { return value < lo ? lo : value > hi ? hi : value; }

clg_var clg_slice(clg_var x, int axis, int64_t start, int64_t stop, int64_t step)
{
    if (!graph_check("slice", &x, 1))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    int d = axis < 0 ? axis + shape.rank : axis;
    if (d < 0 || d >= shape.rank)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "slice: axis %d is not an axis of shape %s", axis,
                          shape_text(shape));
    if (step == 0 || step == INT64_MIN)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "slice: step must not be %lld", (long long)step);
    int64_t n = shape.dim[d];
    /* Python's rules: INT64_MIN as stop with a negative step means past the beginning */
    if (start < 0 && start >= -n)
        start += n;
    if (stop < 0 && stop >= -n)
        stop += n;
    start = step > 0 ? clip(start, 0, n) : clip(start, -1, n - 1);
    stop = step > 0 ? clip(stop, 0, n) : clip(stop, -1, n - 1);
    int64_t span = step > 0 ? stop - start : start - stop, stride = step > 0 ? step : -step;
    int64_t count = span > 0 ? (span - 1) / stride + 1 : 0;
    index_map map = index_map_identity(shape.rank);
    map.axis[d].offset = count ? start : 0;
    map.axis[d].coef[d] = count > 1 ? step : 1;
    shape.dim[d] = count;
    return views_map(OP_SLICE, x, shape, &map);
}

/* The extents of an option for count axes: ones if its rank is 0. NULL if it has another number of them, or one below
 * 1. */
static const int64_t *window_extents(const clg_shape *option, int count)
{
    static const int64_t ones[CLG_MAX_DIMS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    bool good = option->rank == count;
    for (int i = 0; i < option->rank && good; i++)
        good = option->dim[i] >= 1;
    return option->rank == 0 ? ones : good ? option->dim : NULL;
}

clg_var clg_window(clg_var x, clg_axes axes, clg_shape size, clg_shape stride, clg_shape dilation)
{
    uint32_t mask = 0;
    if (!graph_axes("window", x, axes, &mask))
        return POISON(x.graph);
    clg_graph *g = x.graph;
    clg_shape from = clg_shape_of(x), shape = from;
    if (axes.count < 0)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "window: the axes must be named, not CLG_ALL_AXES");
    const int64_t *sizes = window_extents(&size, axes.count), *strides = window_extents(&stride, axes.count),
                  *steps = window_extents(&dilation, axes.count);
    if (!sizes || !strides || !steps || from.rank + axes.count > CLG_MAX_RANK)
        return graph_fail(g, CLG_ERROR_ARGUMENT,
                          "window: size %s, stride %s and dilation %s must have an extent of at least 1 for each of %d "
                          "axes of %s, and %d axes together",
                          shape_text(size), shape_text(stride), shape_text(dilation), axes.count, shape_text(from),
                          CLG_MAX_RANK);
    index_map map = index_map_identity(from.rank);
    for (int i = 0; i < axes.count; i++) {
        int d = axes.axis[i] < 0 ? axes.axis[i] + from.rank : axes.axis[i];
        int64_t reach, count = from.dim[d];
        if (__builtin_mul_overflow(steps[i], sizes[i] - 1, &reach) || reach >= count)
            return graph_fail(g, CLG_ERROR_ARGUMENT,
                              "window: %lld elements %lld apart do not fit axis %d of %s; clg_pad makes it longer",
                              (long long)sizes[i], (long long)steps[i], d, shape_text(from));
        map.axis[d].coef[d] = strides[i];
        map.axis[d].coef[from.rank + i] = steps[i];
        shape.dim[d] = (count - reach - 1) / strides[i] + 1;
        shape.dim[shape.rank++] = sizes[i];
    }
    return views_map(OP_WINDOW, x, shape, &map);
}

clg_var clg_stop_gradient(clg_var x)
{
    if (!graph_check("stop_gradient", &x, 1))
        return POISON(x.graph);
    if (graph_at(x)->op == OP_CONST || graph_at(x)->op == OP_STOP_GRADIENT)
        return x;
    return unary_node(OP_STOP_GRADIENT, x, graph_at(x)->shape, (graph_record){0});
}
