/* Builders of views, matrix products, gather and scatter-add, effects. */
#include "graph.h"

#include <string.h>

static clg_var unary_node(clg_op op, clg_var x, int32_t shape, graph_record attr)
{
    return graph_node(x.graph, op, (clg_dtype)graph_at(x)->dtype, shape, (int32_t[]){x.id, -1, -1}, attr);
}

/* A view of a constant is a constant. */
static clg_var view(clg_op op, clg_var x, clg_shape shape, graph_record attr)
{
    int32_t id = graph_shape(x.graph, shape);
    if (id < 0)
        return POISON(x.graph);
    if (graph_at(x)->op == OP_CONST && op != OP_PAD)
        return ops_constant(x.graph, (clg_dtype)graph_at(x)->dtype, id, graph_at(x)->attr.value);
    return unary_node(op, x, id, attr);
}

/* ---------------------------------------------------------------- reshape, permute, broadcast */

clg_var clg_reshape(clg_var x, clg_shape shape)
{
    if (!graph_check("reshape", &x, 1))
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x);
    int64_t count = clg_shape_count(from), known = 1;
    int inferred = -1;
    if (shape.rank < 0 || shape.rank > CLG_MAX_RANK)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "reshape: rank %d is not in 0..%d", shape.rank, CLG_MAX_RANK);
    for (int d = 0; d < shape.rank; d++) {
        if (shape.dim[d] == -1 && inferred < 0)
            inferred = d;
        else
            known *= shape.dim[d];
    }
    if (inferred >= 0)
        shape.dim[inferred] = known > 0 ? count / known : 0;
    if (clg_shape_count(shape) != count)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "reshape: %s has %lld elements and does not fit %s",
                          shape_text(from), (long long)count, shape_text(shape));
    while (graph_at(x)->op == OP_RESHAPE)
        x.id = graph_at(x)->src[0];
    if (clg_shape_equal(clg_shape_of(x), shape))
        return x;
    return view(OP_RESHAPE, x, shape, (graph_record){0});
}

clg_var views_permute(clg_var x, int64_t packed)
{
    clg_shape from = clg_shape_of(x), shape = {.rank = from.rank};
    if (graph_at(x)->op == OP_PERMUTE) { /* compose */
        int64_t inner = graph_at(x)->attr.integer, both = 0;
        for (int i = 0; i < from.rank; i++)
            both |= (int64_t)permute_axis(inner, permute_axis(packed, i)) << (4 * i);
        return views_permute(graph_var(x.graph, graph_at(x)->src[0]), both);
    }
    bool identity = true;
    for (int i = 0; i < from.rank; i++) {
        shape.dim[i] = from.dim[permute_axis(packed, i)];
        identity &= permute_axis(packed, i) == i;
    }
    return identity ? x : view(OP_PERMUTE, x, shape, (graph_record){.attr.integer = packed});
}

clg_var clg_permute(clg_var x, clg_axes order)
{
    uint32_t seen = 0;
    int64_t packed = 0;
    if (!graph_check("permute", &x, 1))
        return POISON(x.graph);
    int rank = clg_shape_of(x).rank;
    bool good = order.count == rank;
    for (int i = 0; good && i < rank; i++) {
        int axis = order.axis[i] < 0 ? order.axis[i] + rank : order.axis[i];
        good = axis >= 0 && axis < rank && !(seen >> axis & 1);
        if (good) {
            seen |= 1u << axis;
            packed |= (int64_t)axis << (4 * i);
        }
    }
    if (!good)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "permute: the order must name each of the %d axes of %s once",
                          rank, shape_text(clg_shape_of(x)));
    return views_permute(x, packed);
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

clg_var clg_broadcast_to(clg_var x, clg_shape shape)
{
    clg_shape all;
    if (!graph_check("broadcast_to", &x, 1))
        return POISON(x.graph);
    clg_shape from = clg_shape_of(x);
    if (clg_shape_equal(from, shape))
        return x;
    if (shape.rank > CLG_MAX_RANK || !shape_broadcast(from, shape, &all) || !clg_shape_equal(all, shape))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "broadcast_to: %s does not broadcast to %s", shape_text(from),
                          shape_text(shape));
    clg_shape padded = {.rank = shape.rank}; /* leading axes of extent 1 */
    for (int d = 0; d < shape.rank; d++)
        padded.dim[d] = d < shape.rank - from.rank ? 1 : from.dim[d - (shape.rank - from.rank)];
    x = clg_reshape(x, padded);
    if (x.id < 0 || clg_shape_equal(padded, shape))
        return x;
    if (graph_at(x)->op == OP_EXPAND && clg_shape_of(graph_var(x.graph, graph_at(x)->src[0])).rank == shape.rank)
        x.id = graph_at(x)->src[0];
    return view(OP_EXPAND, x, shape, (graph_record){0});
}

/* ---------------------------------------------------------------- slice and its adjoint */

clg_var views_slice(clg_var x, clg_shape shape, const slice_attr *slice)
{
    int32_t index = graph_slice(x.graph, slice);
    return index < 0 ? POISON(x.graph) : view(OP_SLICE, x, shape, (graph_record){.attr.integer = index});
}

/* x (.., n, ..) spread along an axis: element i at i * step, zeros between; extent n * step. As a view: the axis
 * becomes (n, 1), is padded to (n, step), and merges again. */
static clg_var dilate(clg_var x, int axis, int64_t step)
{
    clg_shape shape = clg_shape_of(x), result = shape;
    slice_attr inside = {{0}, {1, 1, 1, 1, 1, 1, 1, 1}};
    int64_t before = 1, after = 1, n = shape.dim[axis];
    for (int d = 0; d < shape.rank; d++)
        *(d < axis ? &before : &after) *= d == axis ? 1 : shape.dim[d];
    result.dim[axis] = n * step;
    int32_t index = graph_slice(x.graph, &inside);
    x = clg_reshape(x, CLG_SHAPE(before * n, 1, after));
    if (x.id < 0 || index < 0)
        return POISON(x.graph);
    return clg_reshape(view(OP_PAD, x, CLG_SHAPE(before * n, step, after), (graph_record){.attr.integer = index}),
                       result);
}

/* PAD nodes have step 1 only; other steps are taken apart here, so that masks in plans are plain ranges. */
clg_var views_pad(clg_var x, clg_shape shape, const slice_attr *slice)
{
    slice_attr pad = *slice;
    if (clg_shape_count(clg_shape_of(x)) == 0)
        return ops_constant(x.graph, clg_dtype_of(x), graph_shape(x.graph, shape), 0);
    for (int d = 0; d < shape.rank && x.id >= 0; d++) {
        clg_shape now = clg_shape_of(x);
        int64_t n = now.dim[d];
        if (pad.step[d] < 0 && n > 0) { /* last element first */
            x = clg_slice(x, d, -1, INT64_MIN, -1);
            pad.start[d] += pad.step[d] * (n - 1);
            pad.step[d] = -pad.step[d];
        }
        if (pad.step[d] > 1 && n > 0 && x.id >= 0) {
            x = clg_slice(dilate(x, d, pad.step[d]), d, 0, shape.dim[d] - pad.start[d], 1);
        }
        pad.step[d] = 1;
    }
    int32_t index = graph_slice(x.graph, &pad);
    if (x.id < 0 || index < 0)
        return POISON(x.graph);
    return clg_shape_equal(clg_shape_of(x), shape) ? x : view(OP_PAD, x, shape, (graph_record){.attr.integer = index});
}

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
    if (count == n && step == 1)
        return x;
    slice_attr slice;
    memset(&slice, 0, sizeof slice);
    for (int i = 0; i < CLG_MAX_RANK; i++)
        slice.step[i] = 1;
    slice.start[d] = count ? start : 0;
    slice.step[d] = count > 1 ? step : 1;
    shape.dim[d] = count;
    return views_slice(x, shape, &slice);
}

clg_var clg_stop_gradient(clg_var x)
{
    if (!graph_check("stop_gradient", &x, 1))
        return POISON(x.graph);
    if (graph_at(x)->op == OP_CONST || graph_at(x)->op == OP_STOP_GRADIENT)
        return x;
    return unary_node(OP_STOP_GRADIENT, x, graph_at(x)->shape, (graph_record){0});
}

/* ---------------------------------------------------------------- matrix product */

/* (batch..., r, c) broadcast to batch axes `to`, then flattened to (batch, r, c). */
static clg_var flatten_batch(clg_var x, clg_shape to)
{
    clg_shape from = clg_shape_of(x), full = to;
    full.dim[full.rank++] = from.dim[from.rank - 2];
    full.dim[full.rank++] = from.dim[from.rank - 1];
    x = clg_broadcast_to(x, full);
    return clg_reshape(x, CLG_SHAPE(clg_shape_count(to), from.dim[from.rank - 2], from.dim[from.rank - 1]));
}

static clg_var product(clg_var a, clg_var b)
{
    clg_shape s = clg_shape_of(a), t = clg_shape_of(b);
    s.dim[s.rank - 1] = t.dim[t.rank - 1];
    if (a.id < 0 || b.id < 0)
        return POISON(a.graph);
    return graph_node(a.graph, OP_MATMUL, (clg_dtype)graph_at(a)->dtype, graph_shape(a.graph, s),
                      (int32_t[]){a.id, b.id, -1}, (graph_record){0});
}

clg_var clg_matmul(clg_var a, clg_var b)
{
    if (!graph_check("matmul", (clg_var[]){a, b}, 2))
        return POISON(a.graph);
    clg_graph *g = a.graph;
    clg_shape s = clg_shape_of(a), t = clg_shape_of(b), batch;
    if (s.rank < 2 || t.rank < 2)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: operands need rank 2 or more: %s x %s", shape_text(s),
                          shape_text(t));
    if (s.dim[s.rank - 1] != t.dim[t.rank - 2])
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: inner dimensions differ: %s x %s", shape_text(s),
                          shape_text(t));
    clg_dtype dtype = clg_dtype_of(a) == CLG_F64 || clg_dtype_of(b) == CLG_F64 ? CLG_F64 : CLG_F32;
    a = clg_cast(a, dtype);
    b = clg_cast(b, dtype);
    if (s.rank == 2 && t.rank == 2)
        return product(a, b);
    int64_t m = s.dim[s.rank - 2], k = s.dim[s.rank - 1], n = t.dim[t.rank - 1];
    if (t.rank == 2) { /* one matrix on the right: all rows of a in one product */
        clg_shape out = s;
        out.dim[out.rank - 1] = n;
        int64_t rows = m;
        for (int d = 0; d < s.rank - 2; d++)
            rows *= s.dim[d];
        return clg_reshape(product(clg_reshape(a, CLG_SHAPE(rows, k)), b), out);
    }
    s.rank -= 2;
    t.rank -= 2;
    if (!shape_broadcast(s, t, &batch))
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: batch dimensions do not broadcast: %s x %s",
                          shape_text(clg_shape_of(a)), shape_text(clg_shape_of(b)));
    clg_var y = product(flatten_batch(a, batch), flatten_batch(b, batch));
    clg_shape out = batch;
    out.dim[out.rank++] = m;
    out.dim[out.rank++] = n;
    return clg_reshape(y, out);
}

/* ---------------------------------------------------------------- gather and scatter-add */

void ops_bound_input(clg_var indices, int64_t classes, const char *op)
{
    while (clg_ops[graph_at(indices)->op].kind == KIND_VIEW)
        indices.id = graph_at(indices)->src[0];
    if (graph_at(indices)->op != OP_INPUT)
        return;
    leaf_record *l = &indices.graph->leaves[graph_at(indices)->attr.integer];
    if (!l->classes || classes < l->classes) {
        l->classes = classes;
        l->classes_of = op;
    }
}

static bool check_indices(const char *op, clg_var indices)
{
    if (clg_dtype_of(indices) == CLG_I32 || clg_dtype_of(indices) == CLG_U8)
        return true;
    graph_fail(indices.graph, CLG_ERROR_ARGUMENT, "%s: indices must be i32 or u8, not %s", op,
               clg_dtype_name(clg_dtype_of(indices)));
    return false;
}

clg_var clg_gather(clg_var table, clg_var indices)
{
    if (!graph_check("gather", (clg_var[]){table, indices}, 2) || !check_indices("gather", indices))
        return POISON(table.graph);
    clg_shape t = clg_shape_of(table), shape = clg_shape_of(indices);
    if (t.rank < 1 || shape.rank + t.rank - 1 > CLG_MAX_RANK)
        return graph_fail(table.graph, CLG_ERROR_ARGUMENT, "gather: cannot take rows %s of a table %s",
                          shape_text(shape), shape_text(t));
    ops_bound_input(indices, t.dim[0], "gather");
    indices = clg_cast(indices, CLG_I32);
    for (int d = 1; d < t.rank; d++)
        shape.dim[shape.rank++] = t.dim[d];
    return graph_node(table.graph, OP_GATHER, clg_dtype_of(table), graph_shape(table.graph, shape),
                      (int32_t[]){table.id, indices.id, -1}, (graph_record){0});
}

clg_var clg_scatter_add(clg_var indices, clg_var updates, int64_t rows)
{
    if (!graph_check("scatter_add", (clg_var[]){indices, updates}, 2) || !check_indices("scatter_add", indices))
        return POISON(indices.graph);
    clg_shape i = clg_shape_of(indices), u = clg_shape_of(updates), shape = {.rank = 1, .dim = {rows}};
    bool good = rows >= 0 && u.rank >= i.rank && u.rank - i.rank + 1 <= CLG_MAX_RANK;
    for (int d = 0; good && d < i.rank; d++)
        good = u.dim[d] == i.dim[d];
    if (!good)
        return graph_fail(indices.graph, CLG_ERROR_ARGUMENT,
                          "scatter_add: updates %s must begin with the axes of indices %s (rows %lld)", shape_text(u),
                          shape_text(i), (long long)rows);
    for (int d = i.rank; d < u.rank; d++)
        shape.dim[shape.rank++] = u.dim[d];
    ops_bound_input(indices, rows, "scatter_add");
    indices = clg_cast(indices, CLG_I32);
    return graph_node(indices.graph, OP_SCATTER_ADD, clg_dtype_of(updates), graph_shape(indices.graph, shape),
                      (int32_t[]){indices.id, updates.id, -1}, (graph_record){0});
}

/* ---------------------------------------------------------------- effects */

clg_var clg_assign(clg_var leaf_var, clg_var value)
{
    if (!graph_check("assign", (clg_var[]){leaf_var, value}, 2))
        return POISON(leaf_var.graph);
    clg_graph *g = leaf_var.graph;
    if (graph_at(leaf_var)->op != OP_INPUT)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "assign: the target must be a leaf, not the result of %s",
                          clg_creator(leaf_var));
    if (clg_dtype_of(leaf_var) != clg_dtype_of(value) || graph_at(leaf_var)->shape != graph_at(value)->shape)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "assign: leaf %s %s and value %s %s differ",
                          clg_dtype_name(clg_dtype_of(leaf_var)), shape_text(clg_shape_of(leaf_var)),
                          clg_dtype_name(clg_dtype_of(value)), shape_text(clg_shape_of(value)));
    return graph_node(g, OP_ASSIGN, clg_dtype_of(value), graph_at(value)->shape, (int32_t[]){leaf_var.id, value.id, -1},
                      (graph_record){0});
}

clg_var clg_after(clg_var x, clg_var effect)
{
    if (!graph_check("after", (clg_var[]){x, effect}, 2))
        return POISON(x.graph);
    return graph_node(x.graph, OP_AFTER, clg_dtype_of(x), graph_at(x)->shape, (int32_t[]){x.id, effect.id, -1},
                      (graph_record){0});
}
