/* Normalisation: less the mean, times the reciprocal of the deviation, over rows, over channels, over groups of them.
 */
#include "build.h"

#include <math.h>

static bool is_none(clg_var x) { return !x.graph && x.id == CLG_NONE.id; }

/* Whether x and those of others that are not CLG_NONE are variables of one graph. */
static bool check_operands(const char *op, clg_var x, const clg_var *others, int count)
{
    clg_var all[5] = {x};
    for (int i = 0; i < count; i++)
        all[i + 1] = is_none(others[i]) ? x : others[i];
    return graph_check(op, all, count + 1);
}

/* Whether a gain or the like, a variable of x's graph, is CLG_NONE or has an element for each along an axis of x, which
 * messages call so. */
static bool check_row(const char *op, const char *name, clg_var row, clg_var x, int axis, const char *called)
{
    clg_shape s = clg_shape_of(x);
    if (is_none(row) || clg_shape_equal(clg_shape_of(row), CLG_SHAPE(s.dim[axis])))
        return true;
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: %s %s must be (%lld,), as long as %s of %s", op, name,
               shape_text(clg_shape_of(row)), (long long)s.dim[axis], called, shape_text(s));
    return false;
}

static bool check_epsilon(const char *op, clg_var x, double epsilon)
{
    double rounded = dtype_round(clg_dtype_of(x), epsilon);
    if (rounded > 0 && rounded < INFINITY)
        return true;
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: epsilon %g must be positive and finite in %s", op, epsilon,
               clg_dtype_name(clg_dtype_of(x)));
    return false;
}

/* A division a mean, not one an element, in the gradients too. */
static clg_var scaled(clg_var centred, clg_var variance, double epsilon)
{
    clg_var deviation = clg_sqrt(clg_add(variance, graph_like(variance, epsilon)));
    return clg_mul(centred, clg_div(graph_like(deviation, 1), deviation));
}

static clg_var with_gain(clg_var y, clg_var gain, clg_var bias)
{
    y = is_none(gain) ? y : clg_mul(y, gain);
    return is_none(bias) ? y : clg_add(y, bias);
}

clg_var clg_layer_norm(clg_var x, clg_var gain, clg_var bias, double epsilon)
{
    const char *op = "layer_norm";
    if (!check_operands(op, x, (clg_var[]){gain, bias}, 2))
        return POISON(x.graph);
    int last = clg_shape_of(x).rank - 1;
    if (last < 0)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: x () must have an axis to normalise over", op);
    if (!check_row(op, "gain", gain, x, last, "the last axis") ||
        !check_row(op, "bias", bias, x, last, "the last axis"))
        return POISON(x.graph);
    const clg_var wide = build_wide(x);
    if (!check_epsilon(op, wide, epsilon))
        return POISON(x.graph);
    clg_var centred = clg_sub(wide, clg_mean(wide, CLG_AXES(-1), true));
    clg_var variance = clg_mean(clg_square(centred), CLG_AXES(-1), true);
    return build_back(with_gain(scaled(centred, variance, epsilon), gain, bias), x);
}

/* ---------------------------------------------------------------- channels */

/* What normalises along the channels of x takes: NULL-terminated names of rows, which have an element for each channel.
 * The axis, counted from the front; -1 (with an error) if something is wrong. x is cast to f32 or f64. */
static int take_channels(const char *op, clg_var *x, int axis, double epsilon, const clg_var *rows,
                         const char *const *names)
{
    char called[32];
    int count = 0;
    while (names[count])
        count++;
    if (!check_operands(op, *x, rows, count))
        return -1;
    axis = graph_axis(op, *x, axis);
    snprintf(called, sizeof called, "axis %d", axis);
    for (int i = 0; i < count && axis >= 0; i++)
        if (!check_row(op, names[i], rows[i], *x, axis, called))
            return -1;
    *x = build_wide(*x);
    return axis >= 0 && check_epsilon(op, *x, epsilon) ? axis : -1;
}

/* A row of one element a channel, so that it broadcasts against x. */
static clg_var along(clg_var row, clg_var x, int axis)
{
    clg_shape shape = clg_shape_of(x);
    for (int d = 0; d < shape.rank; d++)
        shape.dim[d] = d == axis ? shape.dim[d] : 1;
    return is_none(row) ? row : clg_reshape(row, shape);
}

clg_var clg_batch_norm(clg_var x, clg_var gain, clg_var bias, int channel_axis, double epsilon, clg_var *mean,
                       clg_var *variance)
{
    static const char *const names[] = {"gain", "bias", NULL};
    const clg_var given = x;
    clg_var own_mean, own_variance;
    mean = mean ? mean : &own_mean;
    variance = variance ? variance : &own_variance;
    *mean = *variance = POISON(x.graph);
    int axis = take_channels("batch_norm", &x, channel_axis, epsilon, (clg_var[]){gain, bias}, names);
    if (axis < 0)
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    clg_axes others = {0};
    for (int d = 0; d < shape.rank; d++)
        if (d != axis)
            others.axis[others.count++] = d;
    clg_var middle = clg_mean(x, others, true), centred = clg_sub(x, middle);
    clg_var spread = clg_mean(clg_square(centred), others, true);
    *mean = clg_reshape(middle, CLG_SHAPE(shape.dim[axis]));
    *variance = clg_reshape(spread, CLG_SHAPE(shape.dim[axis]));
    clg_var y = with_gain(scaled(centred, spread, epsilon), along(gain, x, axis), along(bias, x, axis));
    return build_back(y, given);
}

clg_var clg_batch_norm_inference(clg_var x, clg_var gain, clg_var bias, clg_var mean, clg_var variance,
                                 int channel_axis, double epsilon)
{
    static const char *const names[] = {"gain", "bias", "mean", "variance", NULL};
    const char *op = "batch_norm_inference";
    const clg_var given = x;
    int axis = take_channels(op, &x, channel_axis, epsilon, (clg_var[]){gain, bias, mean, variance}, names);
    if (axis < 0)
        return POISON(x.graph);
    if (is_none(mean) || is_none(variance))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: mean and variance cannot be CLG_NONE", op);
    clg_var centred = clg_sub(x, along(mean, x, axis)), y = scaled(centred, along(variance, x, axis), epsilon);
    return build_back(with_gain(y, along(gain, x, axis), along(bias, x, axis)), given);
}

/* groups: NULL for one a channel. */
static clg_var group_norm(const char *op, clg_var x, clg_var gain, clg_var bias, const int64_t *groups,
                          int channel_axis, double epsilon)
{
    static const char *const names[] = {"gain", "bias", NULL};
    const clg_var given = x;
    int axis = take_channels(op, &x, channel_axis, epsilon, (clg_var[]){gain, bias}, names);
    if (axis < 0)
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x);
    if (axis == 0)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: axis 0 of x %s is the batch: channels have another", op,
                          shape_text(shape));
    int64_t channels = shape.dim[axis], count = groups ? *groups : channels, between = 1, behind = 1;
    if (groups && (count < 1 || channels % count != 0))
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: the %lld channels of %s cannot be cut into %lld groups", op,
                          (long long)channels, shape_text(shape), (long long)count);
    for (int d = 1; d < shape.rank; d++)
        *(d < axis ? &between : &behind) *= d == axis ? 1 : shape.dim[d];
    behind *= count ? channels / count : 1;
    clg_var grouped = clg_reshape(x, CLG_SHAPE(shape.dim[0], between, count, behind));
    clg_var centred = clg_sub(grouped, clg_mean(grouped, CLG_AXES(1, 3), true));
    clg_var y = scaled(centred, clg_mean(clg_square(centred), CLG_AXES(1, 3), true), epsilon);
    return build_back(with_gain(clg_reshape(y, shape), along(gain, x, axis), along(bias, x, axis)), given);
}

clg_var clg_group_norm(clg_var x, clg_var gain, clg_var bias, int64_t groups, int channel_axis, double epsilon)
{
    return group_norm("group_norm", x, gain, bias, &groups, channel_axis, epsilon);
}

clg_var clg_instance_norm(clg_var x, clg_var gain, clg_var bias, int channel_axis, double epsilon)
{
    return group_norm("instance_norm", x, gain, bias, NULL, channel_axis, epsilon);
}
