/* Builders of scans and sorts: operations along one axis of whole arrays. */
#include "build.h"

/* ---------------------------------------------------------------- scans */

clg_var scan_node(clg_op op, clg_var x, clg_var coefficient, int axis, bool reverse)
{
    const int64_t attr = axis | (reverse ? SCAN_REVERSED : 0);
    const int32_t second = clg_ops[op].arity > 1 ? coefficient.id : -1;
    if (clg_shape_of(x).dim[axis] <= 1 && op != OP_RECURRENCE)
        return x;
    return graph_node(x.graph, op, clg_dtype_of(x), graph_at(x)->shape, (int32_t[]){x.id, second, -1},
                      (graph_record){.attr.integer = attr});
}

int scan_axis(clg_var y) { return (int)(graph_at(y)->attr.integer & SCAN_AXIS); }
bool scan_is_reversed(clg_var y) { return graph_at(y)->attr.integer & SCAN_REVERSED; }

clg_var scan_shift(clg_var y, int axis, bool reverse, double first)
{
    clg_shape shape = clg_shape_of(y), none = {.rank = shape.rank};
    if (shape.dim[axis] == 0)
        return y;
    clg_shape one = none;
    one.dim[axis] = 1;
    clg_var kept = reverse ? clg_slice(y, axis, 1, INT64_MAX, 1) : clg_slice(y, axis, 0, shape.dim[axis] - 1, 1);
    return clg_pad(kept, reverse ? none : one, reverse ? one : none, CLG_PAD_CONSTANT, first);
}

static clg_var scan(clg_op op, clg_var x, clg_var coefficient, int axis, int flags)
{
    const op_row *row = &clg_ops[op];
    clg_var operands[2] = {x, coefficient};
    if (!graph_check(row->name, operands, row->arity))
        return POISON(x.graph);
    if (flags & ~(CLG_SCAN_REVERSE | CLG_SCAN_EXCLUSIVE))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: flags are %d, not of CLG_SCAN_REVERSE, CLG_SCAN_EXCLUSIVE",
                          row->name, flags);
    const clg_dtype result =
        build_sum_dtype(op, build_common_dtype(operands, row->arity, row->types == TYPES_FLOATING));
    const clg_dtype dtype = clg_dtypes[result].arithmetic;
    x = clg_cast(x, dtype);
    if (row->arity > 1) {
        clg_shape shape;
        coefficient = clg_cast(coefficient, dtype);
        if (!shape_broadcast(clg_shape_of(x), clg_shape_of(coefficient), &shape))
            return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: shapes do not broadcast: %s and %s", row->name,
                              shape_text(clg_shape_of(x)), shape_text(clg_shape_of(coefficient)));
        x = views_broadcast(x, shape);
        coefficient = views_broadcast(coefficient, shape);
    }
    if ((axis = graph_axis(row->name, x, axis)) < 0)
        return POISON(x.graph);
    const bool reverse = flags & CLG_SCAN_REVERSE;
    clg_var y = scan_node(op, x, coefficient, axis, reverse);
    if (y.id >= 0 && flags & CLG_SCAN_EXCLUSIVE)
        y = scan_shift(y, axis, reverse, ops_identity_value(op, dtype));
    return clg_cast(y, result);
}

#define SCAN_1(builder, ID)                                                                                            \
    clg_var clg_##builder(clg_var x, int axis, int flags) { return scan(OP_##ID, x, x, axis, flags); }
#define SCAN_2(builder, ID)                                                                                            \
    clg_var clg_##builder(clg_var x, clg_var coefficient, int axis, int flags)                                         \
    {                                                                                                                  \
        return scan(OP_##ID, x, coefficient, axis, flags);                                                             \
    }
#define SCAN(ID, name, builder, arity, ...) SCAN_##arity(builder, ID)
#include "ops.def"

clg_var scan_apply(clg_op op, const clg_var *x, clg_axes axes)
{
    if (axes.count != 1)
        return graph_fail(x[0].graph, CLG_ERROR_ARGUMENT, "apply: %s needs one axis, not %d", clg_ops[op].name,
                          axes.count);
    return scan(op, x[0], x[clg_ops[op].arity - 1], axes.axis[0], 0);
}

/* ---------------------------------------------------------------- sorts */

clg_var clg_argsort(clg_var x, int axis, bool descending, int64_t count)
{
    if ((axis = graph_axis("argsort", x, axis)) < 0)
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    const int64_t length = shape.dim[axis];
    if (length > INT32_MAX)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "argsort: axis %d of shape %s has more elements than i32 counts",
                          axis, shape_text(shape));
    if (count < -1 || count > length)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "argsort: %lld of %lld elements along axis %d of shape %s",
                          (long long)count, (long long)length, axis, shape_text(shape));
    x = clg_cast(x, clg_dtypes[clg_dtype_of(x)].arithmetic);
    clg_var lines = clg_swap_axes(x, axis, -1); /* the node sorts along the last axis */
    shape = clg_shape_of(lines);
    shape.dim[shape.rank - 1] = count < 0 ? length : count;
    clg_var order = graph_node(x.graph, OP_ARGSORT, CLG_I32, graph_shape(x.graph, "argsort", shape),
                               (int32_t[]){lines.id, -1, -1}, (graph_record){.attr.integer = descending});
    return clg_swap_axes(order, axis, -1);
}
