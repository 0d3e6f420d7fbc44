/* Entries that join arrays, repeat them against each other or put one into another. */
#include "opinfo.h"

#include <string.h>

/* PyTorch leaves arrays of shape (0) out. */
static clg_var joined(clg_var *parts, int count, int axis)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (rank_of(parts[i]) != 1 || extent(parts[i], 0) || count == 1)
            parts[kept++] = parts[i];
    return kept ? clg_concat(parts, kept, axis) : parts[0];
}

static clg_var cat(call *c)
{
    clg_var parts[OPINFO_LIST];
    const int count = arg_vars(c, 0, "tensors", parts);
    return joined(parts, count, arg_axis(c, 1, "dim", 0));
}

static clg_var stack(call *c)
{
    clg_var parts[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, parts);
    return clg_stack(parts, count, arg_axis(c, 1, "dim", 0));
}

static clg_var with_rank(clg_var x, int rank)
{
    if (rank == 3 && rank_of(x) == 2)
        return clg_expand_dims(x, CLG_AXES(2));
    if (rank == 3 && rank_of(x) == 1)
        return clg_expand_dims(x, CLG_AXES(0, 2));
    while (clg_is_valid(x) && rank_of(x) < rank)
        x = clg_expand_dims(x, CLG_AXES(0));
    return x;
}

static clg_var stack_along(call *c, int rank, int axis)
{
    clg_var parts[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, parts);
    for (int i = 0; i < count; i++)
        parts[i] = with_rank(parts[i], rank);
    return clg_concat(parts, count, rank_of(parts[0]) == 1 ? 0 : axis);
}

static clg_var hstack(call *c) { return stack_along(c, 1, 1); }
static clg_var vstack(call *c) { return stack_along(c, 2, 0); }
static clg_var dstack(call *c) { return stack_along(c, 3, 2); }

static clg_var column_stack(call *c)
{
    clg_var parts[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, parts);
    for (int i = 0; i < count; i++)
        if (rank_of(parts[i]) < 2)
            parts[i] = clg_reshape(parts[i], CLG_SHAPE(-1, 1));
    return clg_concat(parts, count, 1);
}

static clg_var block_diag(call *c)
{
    clg_var parts[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, parts);
    int64_t columns = 0, before = 0;
    for (int i = 0; i < count; i++) {
        parts[i] = with_rank(parts[i], 2);
        columns += extent(parts[i], 1);
    }
    for (int i = 0; i < count; i++) {
        const int64_t width = extent(parts[i], 1);
        parts[i] = clg_pad(parts[i], CLG_SHAPE(0, before), CLG_SHAPE(0, columns - before - width), CLG_PAD_CONSTANT, 0);
        before += width;
    }
    return clg_concat(parts, count, 0);
}

/* ---------------------------------------------------------------- against each other */

/* The shape to which all broadcast. */
static clg_shape common(const clg_var *xs, int count)
{
    clg_shape shape = {0};
    for (int i = 0; i < count; i++)
        shape.rank = rank_of(xs[i]) > shape.rank ? rank_of(xs[i]) : shape.rank;
    for (int k = 0; k < shape.rank; k++) {
        shape.dim[k] = 1;
        for (int i = 0; i < count; i++) {
            const int at = k - shape.rank + rank_of(xs[i]);
            if (at >= 0 && extent(xs[i], at) != 1)
                shape.dim[k] = extent(xs[i], at);
        }
    }
    return shape;
}

static clg_var broadcast_tensors(call *c)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    const clg_shape shape = common(xs, count);
    for (int i = 0; i < count; i++)
        put(c, clg_broadcast_to(xs[i], shape));
    return CLG_NONE;
}

/* Vectors along one axis each; "xy" swaps the first two axes. */
static int mesh(clg_var *xs, int count, bool swapped)
{
    for (int i = 0; i < count; i++) {
        clg_shape shape = {.rank = count};
        for (int k = 0; k < count; k++)
            shape.dim[k] = 1;
        shape.dim[swapped && count > 1 && i < 2 ? 1 - i : i] = clg_shape_count(clg_shape_of(xs[i]));
        xs[i] = clg_reshape(xs[i], shape);
    }
    const clg_shape all = common(xs, count);
    for (int i = 0; i < count; i++)
        xs[i] = clg_broadcast_to(xs[i], all);
    return count;
}

static clg_var meshgrid(call *c)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    mesh(xs, count, strcmp(arg_string(c, -1, "indexing", "ij"), "xy") == 0);
    for (int i = 0; i < count; i++)
        put(c, xs[i]);
    return CLG_NONE;
}

static clg_var cartesian_prod(call *c)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    if (count == 1)
        return xs[0];
    mesh(xs, count, false);
    for (int i = 0; i < count; i++)
        xs[i] = clg_reshape(xs[i], CLG_SHAPE(-1));
    return clg_stack(xs, count, 1);
}

/* ---------------------------------------------------------------- into another */

/* part in place of the elements from start on, along an axis. */
static clg_var replaced(clg_var x, clg_var part, int axis, int64_t start)
{
    const clg_var parts[] = {clg_slice(x, axis, 0, start, 1), part,
                             clg_slice(x, axis, start + extent(part, axis), INT64_MAX, 1)};
    return clg_concat(parts, 3, axis);
}

static clg_var select_scatter(call *c)
{
    clg_var x = arg_var(c, 0, NULL), part = arg_var(c, 1, "src");
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    const int64_t index = arg_int(c, 3, "index", 0);
    return replaced(x, clg_expand_dims(part, CLG_AXES(axis)), axis, index < 0 ? index + extent(x, axis) : index);
}

static clg_var slice_scatter(call *c)
{
    clg_var x = arg_var(c, 0, NULL), part = arg_var(c, 1, "src");
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    const int64_t n = extent(x, axis), step = arg_int(c, 5, "step", 1);
    int64_t start = arg_int(c, 3, "start", 0);
    start = start < 0 ? start + n : start;
    start = start < 0 ? 0 : start > n ? n : start;
    arg_int(c, 4, "end", n); /* the part's extent says where it ends */
    if (step == 1)
        return replaced(x, part, axis, start);
    clg_var places = clg_mul(clg_arange(c->graph, CLG_I32, extent(part, axis)),
                             clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)step));
    places = clg_add(places, clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)start));
    return clg_scatter(x, places, part, axis, CLG_SCATTER_SET);
}

/* ---------------------------------------------------------------- sums of parts */

static clg_var sum_to_size(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const clg_shape shape = arg_shape(c, 1, NULL);
    clg_axes ones = {0};
    const int lead = rank_of(x) - shape.rank;
    for (int i = 0; i < rank_of(x); i++)
        if (i < lead || shape.dim[i - lead] == 1)
            ones.axis[ones.count++] = i;
    return clg_reshape(ones.count ? clg_sum(x, ones, true) : x, shape);
}

/* Differences of neighbours, n times. */
static clg_var diff(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t n = arg_int(c, 1, "n", 1);
    const int axis = axis_in(x, arg_axis(c, 2, "dim", -1));
    clg_var before = arg_var(c, 3, "prepend"), after = arg_var(c, 4, "append"), parts[3] = {before, x, after};
    const int first = before.id == CLG_NONE.id, last = after.id == CLG_NONE.id;
    if (n && (!first || !last))
        x = clg_concat(parts + first, 3 - first - last, axis);
    for (int64_t i = 0; i < n; i++)
        x = clg_sub(clg_slice(x, axis, 1, INT64_MAX, 1), clg_slice(x, axis, 0, extent(x, axis) ? -1 : 0, 1));
    return x;
}

const opinfo_row opinfo_joins[] = {
    BUILD("block_diag", block_diag),
    BUILD("broadcast_tensors", broadcast_tensors),
    BUILD("cartesian_prod", cartesian_prod),
    BUILD("cat", cat),
    BUILD("column_stack", column_stack),
    BUILD("diff", diff),
    BUILD("dstack", dstack),
    BUILD("hstack", hstack),
    BUILD("meshgrid.list_of_tensors", meshgrid),
    BUILD("meshgrid.variadic_tensors", meshgrid),
    BUILD("select_scatter", select_scatter),
    BUILD("slice_scatter", slice_scatter),
    BUILD("stack", stack),
    BUILD("sum_to_size", sum_to_size),
    BUILD("vstack", vstack),
    {0},
};
