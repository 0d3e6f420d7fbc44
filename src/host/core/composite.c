/* Operations made of other operations: they need no gradient rule and no kernel of their own. */
#include "build.h"

#include <math.h>

/* x - max(x) along the axis: exp of it cannot overflow. The maximum cancels from every result, and so does its
 * gradient. */
static clg_var shifted(clg_var x, int axis) { return clg_sub(x, clg_stop_gradient(clg_max(x, CLG_AXES(axis), true))); }

clg_var clg_softmax(clg_var x, int axis)
{
    axis = graph_axis("softmax", x, axis);
    if (axis < 0)
        return POISON(x.graph);
    clg_var e = clg_exp(shifted(build_wide(x), axis));
    return build_back(clg_div(e, clg_sum(e, CLG_AXES(axis), true)), x);
}

clg_var clg_log_softmax(clg_var x, int axis)
{
    axis = graph_axis("log_softmax", x, axis);
    if (axis < 0)
        return POISON(x.graph);
    clg_var s = shifted(build_wide(x), axis);
    return build_back(clg_sub(s, clg_log(clg_sum(clg_exp(s), CLG_AXES(axis), true))), x);
}

/* One where column j is the row's label, (n, classes). labels: (n, 1) i32. */
static clg_var one_hot(clg_var labels, int64_t classes)
{
    return clg_equal(labels, clg_arange(labels.graph, CLG_I32, classes));
}

clg_var clg_softmax_cross_entropy(clg_var logits, clg_var labels)
{
    if (!graph_check("softmax_cross_entropy", (clg_var[]){logits, labels}, 2))
        return POISON(logits.graph);
    clg_graph *g = logits.graph;
    clg_shape s = clg_shape_of(logits), t = clg_shape_of(labels);
    if (s.rank != 2 || t.rank != 1 || s.dim[0] != t.dim[0])
        return graph_fail(g, CLG_ERROR_ARGUMENT,
                          "softmax_cross_entropy: logits %s must be (n, classes) and labels %s must be (n,)",
                          shape_text(s), shape_text(t));
    if (!gather_takes("softmax_cross_entropy", "labels", labels))
        return POISON(g);
    if (!gather_bound_input(labels, s.dim[1], "softmax_cross_entropy"))
        return POISON(labels.graph);
    labels = clg_reshape(build_index(labels), CLG_SHAPE(t.dim[0], 1));
    clg_var x = shifted(build_wide(logits), 1);
    clg_var picked = clg_sum(clg_where(one_hot(labels, s.dim[1]), x, graph_like(x, 0)), CLG_AXES(1), true);
    clg_var rows = clg_sub(clg_log(clg_sum(clg_exp(x), CLG_AXES(1), true)), picked);
    clg_var none = graph_like(rows, NAN);
    rows = clg_where(clg_less(labels, graph_like(labels, 0)), none, rows);
    rows = clg_where(clg_less(labels, graph_like(labels, (double)s.dim[1])), rows, none);
    return clg_mean(rows, CLG_ALL_AXES, false);
}

/* The least index at which x equals its maximum; a NaN counts as the maximum, as in NumPy. */
clg_var clg_argmax(clg_var x, int axis)
{
    axis = graph_axis("argmax", x, axis);
    if (axis < 0)
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x), along = {.rank = shape.rank}, dropped = {0};
    for (int d = 0; d < shape.rank; d++) {
        along.dim[d] = d == axis ? shape.dim[d] : 1;
        if (d != axis)
            dropped.dim[dropped.rank++] = shape.dim[d];
    }
    if (shape.dim[axis] == 0)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "argmax: axis %d of shape %s is empty", axis, shape_text(shape));
    if (shape.dim[axis] > INT32_MAX)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT,
                          "argmax: axis %d of shape %s has more elements than an i32 index counts, %d", axis,
                          shape_text(shape), INT32_MAX);
    clg_var top = clg_max(x, CLG_AXES(axis), true);
    clg_var is_top = clg_equal(x, top), chosen = clg_where(is_top, graph_like(is_top, 1), clg_not_equal(x, x));
    clg_var negated = clg_reshape(clg_neg(clg_arange(x.graph, CLG_I32, shape.dim[axis])), along);
    clg_var least = clg_full(x.graph, CLG_I32, CLG_SCALAR, -(double)shape.dim[axis]);
    return clg_reshape(clg_neg(clg_max(clg_where(chosen, negated, least), CLG_AXES(axis), true)), dropped);
}
