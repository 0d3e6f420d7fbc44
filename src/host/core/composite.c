/* Operations made of other operations: they need no gradient rule and no kernel of their own. */
#include "graph.h"

#include <math.h>

/* The axis counted from the front; -1 (with an error) if x has none such. */
static int check_axis(const char *op, clg_var x, int axis)
{
    if (!graph_check(op, &x, 1))
        return -1;
    int rank = clg_shape_of(x).rank;
    if (axis >= -rank && axis < rank)
        return axis < 0 ? axis + rank : axis;
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: axis %d is not an axis of shape %s", op, axis,
               shape_text(clg_shape_of(x)));
    return -1;
}

static clg_var as_float(clg_var x)
{
    bool integer = clg_dtype_of(x) == CLG_I32 || clg_dtype_of(x) == CLG_U8;
    return integer ? clg_cast(x, CLG_F32) : x;
}

/* x - max(x) along the axis: exp of it cannot overflow. The maximum cancels from every result, and so does its
 * gradient. */
static clg_var shifted(clg_var x, int axis) { return clg_sub(x, clg_stop_gradient(clg_max(x, CLG_AXES(axis), true))); }

clg_var clg_softmax(clg_var x, int axis)
{
    axis = check_axis("softmax", x, axis);
    if (axis < 0)
        return POISON(x.graph);
    clg_var e = clg_exp(shifted(as_float(x), axis));
    return clg_div(e, clg_sum(e, CLG_AXES(axis), true));
}

clg_var clg_log_softmax(clg_var x, int axis)
{
    axis = check_axis("log_softmax", x, axis);
    if (axis < 0)
        return POISON(x.graph);
    clg_var s = shifted(as_float(x), axis);
    return clg_sub(s, clg_log(clg_sum(clg_exp(s), CLG_AXES(axis), true)));
}

static bool is_none(clg_var x) { return !x.graph && x.id == CLG_NONE.id; }

/* Whether a gain or bias, a variable of x's graph, is CLG_NONE or fits the rows of x. */
static bool check_row(const char *op, const char *name, clg_var row, clg_var x)
{
    if (is_none(row))
        return true;
    clg_shape s = clg_shape_of(x);
    if (clg_shape_equal(clg_shape_of(row), CLG_SHAPE(s.dim[s.rank - 1])))
        return true;
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: %s %s must be (%lld,), as long as the last axis of %s", op, name,
               shape_text(clg_shape_of(row)), (long long)s.dim[s.rank - 1], shape_text(s));
    return false;
}

/* Times the reciprocal of the deviation: a division a row, not one an element, in the gradients too. */
clg_var clg_layer_norm(clg_var x, clg_var gain, clg_var bias, double epsilon)
{
    const char *op = "layer_norm";
    if (!graph_check(op, (clg_var[]){x, is_none(gain) ? x : gain, is_none(bias) ? x : bias}, 3))
        return POISON(x.graph);
    clg_graph *g = x.graph;
    if (clg_shape_of(x).rank == 0)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "%s: x () must have an axis to normalise over", op);
    if (!check_row(op, "gain", gain, x) || !check_row(op, "bias", bias, x))
        return POISON(g);
    x = as_float(x);
    double rounded = fold_round(clg_dtype_of(x), epsilon);
    if (!(rounded > 0 && rounded < INFINITY))
        return graph_fail(g, CLG_ERROR_ARGUMENT, "%s: epsilon %g must be positive and finite in %s", op, epsilon,
                          clg_dtype_name(clg_dtype_of(x)));
    clg_var centred = clg_sub(x, clg_mean(x, CLG_AXES(-1), true));
    clg_var variance = clg_mean(clg_square(centred), CLG_AXES(-1), true);
    clg_var deviation = clg_sqrt(clg_add(variance, ops_like(variance, epsilon)));
    clg_var y = clg_mul(centred, clg_div(ops_like(deviation, 1), deviation));
    y = is_none(gain) ? y : clg_mul(y, gain);
    return is_none(bias) ? y : clg_add(y, bias);
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
    if (clg_dtype_of(labels) != CLG_I32 && clg_dtype_of(labels) != CLG_U8)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "softmax_cross_entropy: labels must be i32 or u8, not %s",
                          clg_dtype_name(clg_dtype_of(labels)));
    ops_bound_input(labels, s.dim[1], "softmax_cross_entropy");
    labels = clg_reshape(clg_cast(labels, CLG_I32), CLG_SHAPE(t.dim[0], 1));
    clg_var x = shifted(as_float(logits), 1);
    clg_var picked = clg_sum(clg_where(one_hot(labels, s.dim[1]), x, ops_like(x, 0)), CLG_AXES(1), true);
    clg_var rows = clg_sub(clg_log(clg_sum(clg_exp(x), CLG_AXES(1), true)), picked);
    clg_var inside =
        clg_mul(clg_less_equal(ops_like(labels, 0), labels), clg_less(labels, ops_like(labels, (double)s.dim[1])));
    return clg_mean(clg_where(inside, rows, ops_like(rows, NAN)), CLG_ALL_AXES, false);
}

clg_var clg_mean_squared_error(clg_var prediction, clg_var target)
{
    return clg_mean(clg_square(clg_sub(prediction, target)), CLG_ALL_AXES, false);
}

/* The least index at which x equals its maximum; a NaN counts as the maximum, as in NumPy. */
clg_var clg_argmax(clg_var x, int axis)
{
    axis = check_axis("argmax", x, axis);
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
    clg_var top = clg_max(x, CLG_AXES(axis), true);
    clg_var chosen = clg_maximum(clg_equal(x, top), clg_not_equal(x, x));
    clg_var negated = clg_reshape(clg_neg(clg_arange(x.graph, CLG_I32, shape.dim[axis])), along);
    clg_var least = clg_full(x.graph, CLG_I32, CLG_SCALAR, -(double)shape.dim[axis]);
    return clg_reshape(clg_neg(clg_max(clg_where(chosen, negated, least), CLG_AXES(axis), true)), dropped);
}
