/* Elements chosen by index along any axis, put there by index, sorted: by clg_gather and the scatters over rows of a
 * table, whose numbers are computed from the indices. */
#include "helpers.h"

#include <math.h>

/* The axes of an array at an axis: those before it together, it, those behind it together. */
typedef struct parts {
    int64_t outer, length, inner;
} parts;

static parts parts_of(clg_shape shape, int axis)
{
    parts p = {1, shape.dim[axis], 1};
    for (int d = 0; d < shape.rank; d++)
        if (d != axis)
            *(d < axis ? &p.outer : &p.inner) *= shape.dim[d];
    return p;
}

/* An axis counted from the front; -1 (refused) if x has none such. */
static int axis_of(const char *op, clg_var x, int axis)
{
    const int rank = clg_shape_of(x).rank;
    if (axis >= -rank && axis < rank)
        return axis < 0 ? axis + rank : axis;
    clg_refuse(x.graph, "%s: axis %d is not an axis of shape %s", op, axis, words_of(clg_shape_of(x)).text);
    return -1;
}

/* Whether indices are integers, and rows can be counted in them. */
static bool can_index(const char *op, clg_var indices, int64_t rows)
{
    if (!is_index(indices))
        clg_refuse(indices.graph, "%s: indices must be i32, i64 or u8, not %s", op,
                   clg_dtype_name(clg_dtype_of(indices)));
    else if (rows > INT32_MAX)
        clg_refuse(indices.graph, "%s: %lld elements are more than i32 indices count", op, (long long)rows);
    else
        return true;
    return false;
}

static clg_var number(clg_var like, int64_t value) { return clg_scalar_like(like, (double)value); }

/* Numbers of rows: start + index * step, -1 (none) for an index outside -length..length-1; negative ones count from the
 * end. */
static clg_var rows_at(clg_var indices, int64_t length, int64_t step, clg_var start)
{
    indices = as_index(indices);
    clg_var zero = number(indices, 0), end = number(indices, length);
    clg_var index = clg_where(clg_less(indices, zero), clg_add(indices, end), indices);
    clg_var inside = clg_logical_and(clg_less_equal(zero, index), clg_less(index, end));
    return clg_where(inside, clg_add(start, clg_mul(index, number(indices, step))), number(indices, -1));
}

/* 0, step, 2 step, ... of shape (count, 1, ...), with so many axes. */
static clg_var multiples(clg_graph *graph, int64_t count, int64_t step, int rank)
{
    clg_var i = clg_arange(graph, CLG_I32, count);
    clg_shape shape = {.rank = rank, .dim = {count}};
    for (int d = 1; d < rank; d++)
        shape.dim[d] = 1;
    return clg_reshape(clg_mul(i, number(i, step)), shape);
}

/* ---------------------------------------------------------------- taking */

clg_var clg_take(clg_var x, clg_var indices, int axis)
{
    if (!are_operands("take", (clg_var[]){x, indices}, 2) || (axis = axis_of("take", x, axis)) < 0)
        return poisoned(x.graph);
    const clg_shape shape = clg_shape_of(x), many = clg_shape_of(indices);
    const parts p = parts_of(shape, axis);
    if (!can_index("take", indices, p.outer * p.length))
        return poisoned(x.graph);
    clg_shape result = {.rank = axis};
    if (shape.rank - 1 + many.rank > CLG_MAX_RANK)
        return clg_refuse(x.graph, "take: indices %s along axis %d of shape %s give more than %d axes",
                          words_of(many).text, axis, words_of(shape).text, CLG_MAX_RANK);
    for (int d = 0; d < axis; d++)
        result.dim[d] = shape.dim[d];
    for (int d = 0; d < many.rank; d++)
        result.dim[result.rank++] = many.dim[d];
    for (int d = axis + 1; d < shape.rank; d++)
        result.dim[result.rank++] = shape.dim[d];
    clg_var flat = clg_reshape(indices, CLG_SHAPE(1, clg_shape_count(many)));
    clg_var rows = rows_at(flat, p.length, 1, multiples(x.graph, p.outer, p.length, 2));
    return clg_reshape(clg_gather(clg_reshape(x, CLG_SHAPE(p.outer * p.length, p.inner)), rows), result);
}

/* Whether indices have the axes of x, and at most its extents beside the axis. */
static bool along(const char *op, clg_shape x, clg_var indices, int axis)
{
    const clg_shape i = clg_shape_of(indices);
    bool good = i.rank == x.rank;
    for (int d = 0; good && d < x.rank; d++)
        good = d == axis || i.dim[d] <= x.dim[d];
    if (!good)
        clg_refuse(indices.graph, "%s: indices %s must have the axes of %s, and no more elements but along axis %d", op,
                   words_of(i).text, words_of(x).text, axis);
    return good;
}

/* The part of x within the extents of indices, but for the axis. */
static clg_var beside(clg_var x, clg_shape indices, int axis)
{
    const clg_shape shape = clg_shape_of(x);
    for (int d = 0; d < shape.rank; d++)
        if (d != axis && indices.dim[d] < shape.dim[d])
            x = clg_slice(x, d, 0, indices.dim[d], 1);
    return x;
}

/* The numbers of the elements that indices choose of an array in parts. */
static clg_var elements_at(clg_var indices, parts p, int64_t count)
{
    clg_graph *g = indices.graph;
    clg_var start = clg_add(multiples(g, p.outer, p.length * p.inner, 3), clg_arange(g, CLG_I32, p.inner));
    return rows_at(clg_reshape(indices, CLG_SHAPE(p.outer, count, p.inner)), p.length, p.inner, start);
}

clg_var clg_gather_elements(clg_var x, clg_var indices, int axis)
{
    const char *op = "gather_elements";
    if (!are_operands(op, (clg_var[]){x, indices}, 2) || (axis = axis_of(op, x, axis)) < 0 ||
        !along(op, clg_shape_of(x), indices, axis))
        return poisoned(x.graph);
    const clg_shape many = clg_shape_of(indices);
    x = beside(x, many, axis);
    const parts p = parts_of(clg_shape_of(x), axis);
    const int64_t count = p.outer * p.length * p.inner;
    if (!can_index(op, indices, count))
        return poisoned(x.graph);
    clg_var rows = elements_at(indices, p, many.dim[axis]);
    return clg_reshape(clg_gather(clg_reshape(x, CLG_SHAPE(count)), rows), many);
}

/* Of indices (..., k) into the first axes of a shape: numbers of rows, (...). */
static clg_var rows_nd(clg_var indices, clg_shape shape, int first)
{
    const clg_shape many = clg_shape_of(indices);
    const int64_t depth = many.dim[many.rank - 1];
    clg_var rows = number(as_index(indices), 0), none = rows;
    clg_shape left = many;
    left.rank--;
    rows = clg_broadcast_to(rows, left);
    int64_t step = 1;
    for (int64_t k = depth; k-- > 0; step *= shape.dim[first + k]) {
        clg_var index = clg_index(indices, -1, k);
        clg_var part = rows_at(index, shape.dim[first + k], step, number(rows, 0));
        clg_var outside = clg_logical_or(clg_less(part, none), clg_less(rows, none));
        rows = clg_where(outside, number(rows, -1), clg_add(rows, part));
    }
    return rows;
}

clg_var clg_gather_nd(clg_var x, clg_var indices, int batch)
{
    const char *op = "gather_nd";
    if (!are_operands(op, (clg_var[]){x, indices}, 2))
        return poisoned(x.graph);
    const clg_shape shape = clg_shape_of(x), many = clg_shape_of(indices);
    const int64_t depth = many.rank > 0 ? many.dim[many.rank - 1] : 0;
    bool good = batch >= 0 && many.rank > batch && depth >= 1 && batch + depth <= shape.rank;
    for (int d = 0; good && d < batch; d++)
        good = shape.dim[d] == many.dim[d];
    if (!good || many.rank - 1 + shape.rank - batch - depth > CLG_MAX_RANK)
        return clg_refuse(x.graph, "%s: indices %s cannot choose of %s behind %d common axes", op, words_of(many).text,
                          words_of(shape).text, batch);
    int64_t batches = 1, rows = 1, inner = 1;
    clg_shape result = many;
    result.rank--;
    for (int d = 0; d < shape.rank; d++)
        *(d < batch ? &batches : d < batch + depth ? &rows : &inner) *= shape.dim[d];
    for (int d = batch + (int)depth; d < shape.rank; d++)
        result.dim[result.rank++] = shape.dim[d];
    if (!can_index(op, indices, batches * rows))
        return poisoned(x.graph);
    clg_var at = rows_nd(indices, shape, batch);
    if (batch > 0) {
        at = clg_reshape(at, CLG_SHAPE(batches, batches ? clg_shape_count(clg_shape_of(at)) / batches : 0));
        clg_var there = clg_add(at, multiples(x.graph, batches, rows, 2));
        at = clg_where(clg_less(at, number(at, 0)), number(at, -1), there);
    }
    return clg_reshape(clg_gather(clg_reshape(x, CLG_SHAPE(batches * rows, inner)), at), result);
}

/* ---------------------------------------------------------------- putting */

/* The larger, or smaller, of a table's elements and their updates. */
static clg_var extreme(clg_var table, clg_var rows, clg_var updates, bool largest)
{
    const int64_t count = clg_shape_of(table).dim[0];
    clg_var of_updates = largest ? clg_scatter_max(rows, updates, count) : clg_scatter_min(rows, updates, count);
    clg_var of_both = largest ? clg_maximum(table, of_updates) : clg_minimum(table, of_updates);
    if (!clg_dtype_is_real(clg_dtype_of(table)))
        return of_both;
    /* an infinity in the table shares no gradient with updates that there are not */
    return clg_where(clg_equal(of_updates, clg_scalar_like(table, largest ? -INFINITY : INFINITY)), table, of_both);
}

/* Updates (n, columns) put into the rows of a table by numbers (n). */
static clg_var put(clg_var table, clg_var rows, clg_var updates, clg_scatter_mode mode)
{
    const int64_t count = clg_shape_of(table).dim[0], many = clg_shape_of(rows).dim[0];
    updates = clg_cast(updates, clg_dtype_of(table));
    if (mode == CLG_SCATTER_ADD)
        return clg_add(table, clg_scatter_add(rows, updates, count));
    if (mode == CLG_SCATTER_MAX || mode == CLG_SCATTER_MIN)
        return extreme(table, rows, updates, mode == CLG_SCATTER_MAX);
    if (many == 0)
        return table;
    clg_var last = clg_scatter_max(rows, clg_arange(table.graph, CLG_I32, many), count);
    clg_var set = clg_reshape(clg_less_equal(number(last, 0), last), CLG_SHAPE(count, 1));
    return clg_where(set, clg_gather(updates, clg_maximum(last, number(last, 0))), table);
}

static bool is_mode(const char *op, clg_var x, clg_scatter_mode mode)
{
    if ((unsigned)mode <= CLG_SCATTER_MIN)
        return true;
    clg_refuse(x.graph, "%s: mode is %d, not one of clg_scatter_mode", op, (int)mode);
    return false;
}

clg_var clg_scatter(clg_var x, clg_var indices, clg_var updates, int axis, clg_scatter_mode mode)
{
    const char *op = "scatter";
    if (!are_operands(op, (clg_var[]){x, indices, updates}, 3) || (axis = axis_of(op, x, axis)) < 0 ||
        !is_mode(op, x, mode))
        return poisoned(x.graph);
    const clg_shape shape = clg_shape_of(x), many = clg_shape_of(indices);
    clg_shape wanted = shape;
    wanted.dim[axis] = clg_shape_count(many);
    if (many.rank != 1 || !clg_shape_equal(clg_shape_of(updates), wanted))
        return clg_refuse(x.graph, "%s: indices %s and updates %s; there must be one axis of indices, and updates %s",
                          op, words_of(many).text, words_of(clg_shape_of(updates)).text, words_of(wanted).text);
    const parts p = parts_of(shape, axis);
    if (!can_index(op, indices, p.outer * p.length))
        return poisoned(x.graph);
    clg_var rows =
        rows_at(clg_reshape(indices, CLG_SHAPE(1, many.dim[0])), p.length, 1, multiples(x.graph, p.outer, p.length, 2));
    const int64_t count = p.outer * many.dim[0];
    return clg_reshape(put(clg_reshape(x, CLG_SHAPE(p.outer * p.length, p.inner)), clg_reshape(rows, CLG_SHAPE(count)),
                           clg_reshape(updates, CLG_SHAPE(count, p.inner)), mode),
                       shape);
}

clg_var clg_scatter_elements(clg_var x, clg_var indices, clg_var updates, int axis, clg_scatter_mode mode)
{
    const char *op = "scatter_elements";
    if (!are_operands(op, (clg_var[]){x, indices, updates}, 3) || (axis = axis_of(op, x, axis)) < 0 ||
        !is_mode(op, x, mode) || !along(op, clg_shape_of(x), indices, axis))
        return poisoned(x.graph);
    const clg_shape shape = clg_shape_of(x), many = clg_shape_of(indices);
    if (!clg_shape_equal(clg_shape_of(updates), many))
        return clg_refuse(x.graph, "%s: updates %s must have the shape of indices %s", op,
                          words_of(clg_shape_of(updates)).text, words_of(many).text);
    const parts p = parts_of(shape, axis);
    const int64_t count = clg_shape_count(shape), given = clg_shape_count(many);
    if (!can_index(op, indices, count))
        return poisoned(x.graph);
    /* of indices' axes the extents may be smaller: each axis has its own step */
    clg_var start = number(as_index(indices), 0);
    int64_t step = 1;
    for (int d = shape.rank; d-- > 0; step *= shape.dim[d])
        if (d != axis)
            start = clg_add(start, multiples(x.graph, many.dim[d], step, shape.rank - d));
    clg_var rows = rows_at(indices, p.length, p.inner, start);
    return clg_reshape(put(clg_reshape(x, CLG_SHAPE(count, 1)), clg_reshape(rows, CLG_SHAPE(given)),
                           clg_reshape(updates, CLG_SHAPE(given, 1)), mode),
                       shape);
}

clg_var clg_scatter_nd(clg_var x, clg_var indices, clg_var updates, clg_scatter_mode mode)
{
    const char *op = "scatter_nd";
    if (!are_operands(op, (clg_var[]){x, indices, updates}, 3) || !is_mode(op, x, mode))
        return poisoned(x.graph);
    const clg_shape shape = clg_shape_of(x), many = clg_shape_of(indices);
    const int64_t depth = many.rank > 0 ? many.dim[many.rank - 1] : 0;
    if (depth < 1 || depth > shape.rank)
        return clg_refuse(x.graph, "%s: indices %s cannot choose of %s", op, words_of(many).text, words_of(shape).text);
    clg_shape wanted = many;
    wanted.rank--;
    int64_t rows = 1, inner = 1, given = 1;
    for (int d = 0; d < wanted.rank; d++)
        given *= many.dim[d];
    for (int d = 0; d < shape.rank; d++) {
        *(d < depth ? &rows : &inner) *= shape.dim[d];
        if (d >= depth && wanted.rank < CLG_MAX_RANK)
            wanted.dim[wanted.rank++] = shape.dim[d];
    }
    if (!clg_shape_equal(clg_shape_of(updates), wanted))
        return clg_refuse(x.graph, "%s: updates %s must have the shape %s", op, words_of(clg_shape_of(updates)).text,
                          words_of(wanted).text);
    if (!can_index(op, indices, rows))
        return poisoned(x.graph);
    clg_var at = clg_reshape(rows_nd(indices, shape, 0), CLG_SHAPE(given));
    return clg_reshape(
        put(clg_reshape(x, CLG_SHAPE(rows, inner)), at, clg_reshape(updates, CLG_SHAPE(given, inner)), mode), shape);
}

/* ---------------------------------------------------------------- sorting */

clg_var clg_sort(clg_var x, int axis, bool descending)
{
    clg_var order = clg_argsort(x, axis, descending, -1);
    return clg_is_valid(order) ? clg_gather_elements(x, order, axis) : order;
}

clg_var clg_topk(clg_var x, int64_t k, int axis, bool largest, clg_var *indices)
{
    clg_var order = k < 0 ? clg_refuse(x.graph, "topk: k is %lld; it is at least 0", (long long)k)
                          : clg_argsort(x, axis, largest, k);
    if (indices)
        *indices = order;
    return clg_is_valid(order) ? clg_gather_elements(x, order, axis) : order;
}
