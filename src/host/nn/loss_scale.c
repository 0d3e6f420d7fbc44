/* The scale of a loss for gradients in f16: it is a leaf, and a program that uses it updates it. */
#include "helpers.h"

#include <clgrad/optim.h>

#include <float.h>
#include <math.h>

clg_loss_scale_options clg_loss_scale_defaults(void) { return (clg_loss_scale_options){65536, 2, 0.5, 2000}; }

static bool is_factor(double x) { return x > 0 && x <= FLT_MAX; }

clg_loss_scale clg_loss_scale_new(clg_graph *graph, const clg_loss_scale_options *options)
{
    const clg_loss_scale_options o = options ? *options : clg_loss_scale_defaults();
    const int32_t none = 0;
    clg_loss_scale s = {poisoned(graph), poisoned(graph), o};
    if (!is_factor(o.initial) || !is_factor(o.growth) || !is_factor(o.backoff))
        clg_refuse(graph, "loss_scale: initial %g, growth %g, backoff %g; right are positive, finite numbers",
                   o.initial, o.growth, o.backoff);
    else if (o.interval < 1 || o.interval > INT32_MAX)
        clg_refuse(graph, "loss_scale: interval %lld; right is 1 to 2147483647", (long long)o.interval);
    else {
        s.scale = clg_scalar(graph, o.initial);
        s.good_steps = clg_array(graph, CLG_I32, CLG_SCALAR, &none);
    }
    return s;
}

static clg_status poison_all(clg_graph *graph, clg_var *gxs, int count, clg_var *finite)
{
    for (int i = 0; i < count; i++)
        gxs[i] = poisoned(graph);
    *finite = poisoned(graph);
    return CLG_ERROR_ARGUMENT;
}

clg_status clg_loss_scale_gradients(const clg_loss_scale *scale, clg_var loss, const clg_var *xs, int count,
                                    clg_var *gxs, clg_var *finite)
{
    clg_var scaled = clg_mul(loss, scale->scale), inverse = clg_div(clg_scalar_like(scale->scale, 1), scale->scale);
    if (count < 1)
        clg_refuse(loss.graph, "loss_scale_gradients: of %d variables; right are 1 and more", count);
    clg_status status = count > 0 ? clg_gradients(scaled, xs, count, gxs) : CLG_ERROR_ARGUMENT;
    if (status != CLG_OK) {
        poison_all(loss.graph, gxs, count, finite);
        return status;
    }
    for (int i = 0; i < count; i++) {
        gxs[i] = clg_mul(gxs[i], inverse);
        clg_var all = clg_all(clg_is_finite(gxs[i]), CLG_ALL_AXES, false);
        *finite = i == 0 ? all : clg_logical_and(*finite, all);
    }
    return clg_is_valid(*finite) ? CLG_OK : poison_all(loss.graph, gxs, count, finite);
}

clg_var clg_loss_scale_update(const clg_loss_scale *scale, clg_var x, clg_var finite)
{
    clg_var s = scale->scale, steps = scale->good_steps, zero = clg_scalar_like(steps, 0);
    clg_var count = clg_add(steps, clg_scalar_like(steps, 1));
    clg_var due = clg_less_equal(clg_scalar_like(steps, (double)scale->options.interval), count);
    /* It neither becomes infinite, nor 0, from which no factor would bring it back. */
    clg_var grown = clg_mul(s, clg_scalar_like(s, scale->options.growth));
    grown = clg_where(clg_logical_and(due, clg_is_finite(grown)), grown, s);
    clg_var smaller = clg_mul(s, clg_scalar_like(s, scale->options.backoff));
    smaller = clg_maximum(smaller, clg_scalar_like(s, FLT_MIN));
    x = clg_after(x, clg_assign(s, clg_where(finite, grown, smaller)));
    return clg_after(x, clg_assign(steps, clg_where(clg_logical_and(finite, clg_logical_not(due)), count, zero)));
}
