/* Activations, softmax, normalisation, attention. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------- activations */

static clg_var with_number(call *c, clg_var (*function)(clg_var, double), const char *name, double otherwise)
{
    clg_var x = arg_var(c, 0, NULL);
    arg(c, -1, "inplace");
    return function(x, arg_number(c, 1, name, otherwise));
}

static clg_var celu(call *c) { return with_number(c, clg_celu, "alpha", 1); }
static clg_var elu(call *c) { return with_number(c, clg_elu, "alpha", 1); }
static clg_var hard_shrink(call *c) { return with_number(c, clg_hard_shrink, "lambd", 0.5); }
static clg_var leaky_relu(call *c) { return with_number(c, clg_leaky_relu, "negative_slope", 0.01); }
static clg_var soft_shrink(call *c) { return with_number(c, clg_soft_shrink, "lambd", 0.5); }

static clg_var gelu(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return strcmp(arg_string(c, -1, "approximate", "none"), "tanh") == 0 ? clg_gelu_tanh(x) : clg_gelu(x);
}

static clg_var hard_tanh(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_clip(x, arg_number(c, 1, "min_val", -1), arg_number(c, 2, "max_val", 1));
}

static clg_var glu(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_glu(x, arg_axis(c, 1, "dim", -1));
}

/* One slope, or one for each channel, axis 1. */
static clg_var prelu(call *c)
{
    clg_var x = arg_var(c, 0, NULL), slope = arg_var(c, 1, "weight");
    clg_shape shape = {.rank = rank_of(x)};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = i == 1 ? clg_shape_count(clg_shape_of(slope)) : 1;
    if (shape.rank == 1 && clg_shape_count(clg_shape_of(slope)) > 1)
        return clg_prelu(x, slope);
    return clg_prelu(x, clg_reshape(slope, shape));
}

/* Without training, when nothing is drawn. */
static clg_var rrelu(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const double lower = arg_number(c, 1, "lower", 1.0 / 8), upper = arg_number(c, 2, "upper", 1.0 / 3);
    if (arg_bool(c, 3, "training", false))
        return skip_sample(c, "random numbers");
    return clg_leaky_relu(x, (lower + upper) / 2);
}

/* log(1 + exp(beta x)) / beta; x itself where beta x is above a threshold. */
static clg_var softplus(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const double beta = arg_number(c, 1, "beta", 1), threshold = arg_number(c, 2, "threshold", 20);
    clg_var scaled = clg_mul(x, number(c, beta));
    return clg_where(clg_greater(scaled, number(c, threshold)), x, clg_div(clg_softplus(scaled), number(c, beta)));
}

static clg_var threshold(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const double bound = arg_number(c, 1, "threshold", 0), value = arg_number(c, 2, "value", 0);
    return clg_where(clg_less_equal(x, number(c, bound)), number(c, value), x);
}

/* ---------------------------------------------------------------- softmax */

static clg_var softmax_of(call *c, clg_var (*function)(clg_var, int), bool negated)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", -1);
    const clg_dtype dtype = arg_dtype(c, -1, "dtype", clg_dtype_of(x));
    x = dtype == clg_dtype_of(x) ? x : clg_cast(x, dtype);
    x = negated ? clg_neg(x) : x;
    return rank_of(x) ? function(x, axis) : clg_reshape(function(clg_reshape(x, CLG_SHAPE(1)), 0), CLG_SCALAR);
}

static clg_var softmax(call *c) { return softmax_of(c, clg_softmax, false); }
static clg_var log_softmax(call *c) { return softmax_of(c, clg_log_softmax, false); }
static clg_var softmin(call *c) { return softmax_of(c, clg_softmax, true); }

/* 0 instead of NaN where all of a row are -infinity. */
static clg_var safe_softmax(call *c)
{
    clg_var x = arg_var(c, 0, NULL), lowest = number(c, -INFINITY);
    const int axis = arg_axis(c, 1, "dim", -1);
    if (rank_of(x) == 0)
        return skip_sample(c, "a softmax of one number");
    clg_var hidden = clg_equal(clg_max(x, CLG_AXES(axis), true), lowest);
    return clg_where(hidden, number(c, 0), clg_softmax(clg_where(hidden, number(c, 0), x), axis));
}

/* y (g - sum(g y)), the gradient of softmax. */
static clg_var softmax_backward(call *c)
{
    clg_var g = arg_var(c, 0, NULL), y = arg_var(c, 1, NULL);
    const int axis = arg_axis(c, 2, NULL, -1);
    arg_dtype(c, 3, NULL, CLG_F64);
    if (rank_of(g) == 0)
        return clg_mul(y, clg_sub(g, clg_mul(g, y)));
    return clg_mul(y, clg_sub(g, clg_sum(clg_mul(g, y), CLG_AXES(axis), true)));
}

/* ---------------------------------------------------------------- normalisation */

/* The running statistics that a layer would have afterwards are no outputs. */
static clg_var batch_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), mean = arg_var(c, 1, "running_mean"), variance = arg_var(c, 2, "running_var");
    clg_var gain = arg_var(c, 3, "weight"), bias = arg_var(c, 4, "bias");
    const bool training = arg_bool(c, 5, "training", false);
    const double eps = arg_number(c, 7, "eps", 1e-5);
    arg_number(c, 6, "momentum", 0.1);
    if (rank_of(x) < 2)
        return skip_sample(c, "an array without axis 1");
    return training ? clg_batch_norm(x, gain, bias, 1, eps, NULL, NULL)
                    : clg_batch_norm_inference(x, gain, bias, mean, variance, 1, eps);
}

/* Outputs also the mean and 1 / sqrt(variance + eps) in training, else arrays without elements. */
static clg_var native_batch_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 1, NULL), bias = arg_var(c, 2, NULL), mean, variance;
    clg_var running = arg_var(c, 3, NULL), running_variance = arg_var(c, 4, NULL);
    const bool training = arg_bool(c, 5, NULL, false);
    const double eps = arg_number(c, 7, NULL, 1e-5);
    arg_number(c, 6, NULL, 0.1);
    if (training) {
        put(c, clg_batch_norm(x, gain, bias, 1, eps, &mean, &variance));
        put(c, mean);
        put(c, clg_rsqrt(clg_add(variance, number(c, eps))));
    } else {
        put(c, clg_batch_norm_inference(x, gain, bias, running, running_variance, 1, eps));
        put(c, clg_full(c->graph, CLG_F64, CLG_SHAPE(0), 0));
        put(c, clg_full(c->graph, CLG_F64, CLG_SHAPE(0), 0));
    }
    return CLG_NONE;
}

/* The same in training, with what a backward pass of PyTorch keeps as the last output: nothing. */
static clg_var batch_norm_with_update(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 1, NULL), bias = arg_var(c, 2, NULL), mean, variance;
    const double eps = arg_number(c, 6, NULL, 1e-5);
    for (int i = 3; i < 6; i++)
        arg(c, i, NULL); /* running statistics, which are no outputs, and their momentum */
    put(c, clg_batch_norm(x, gain, bias, 1, eps, &mean, &variance));
    put(c, mean);
    put(c, clg_rsqrt(clg_add(variance, number(c, eps))));
    put(c, clg_full(c->graph, CLG_U8, CLG_SHAPE(0), 0));
    return CLG_NONE;
}

static clg_var instance_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, -1, "weight"), bias = arg_var(c, -1, "bias");
    clg_var mean = arg_var(c, -1, "running_mean"), variance = arg_var(c, -1, "running_var");
    const double eps = arg_number(c, -1, "eps", 1e-5);
    arg_number(c, -1, "momentum", 0.1);
    if (!arg_bool(c, -1, "use_input_stats", true))
        return clg_batch_norm_inference(x, gain, bias, mean, variance, 1, eps);
    return clg_instance_norm(x, gain, bias, 1, eps);
}

static clg_var group_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 2, "weight"), bias = arg_var(c, 3, "bias");
    const double eps = arg_number(c, 4, "eps", 1e-5);
    if (eps <= 0)
        return skip_sample(c, "an epsilon that is not positive");
    return clg_group_norm(x, gain, bias, arg_int(c, 1, "num_groups", 1), 1, eps);
}

/* Over the last axes, as many as the given shape has, joined into one. */
static clg_var flat_tail(clg_var x, int tail)
{
    clg_shape shape = clg_shape_of(x);
    int64_t joined = 1;
    for (int i = shape.rank - tail; i < shape.rank; i++)
        joined *= shape.dim[i];
    shape.rank += 1 - tail;
    shape.dim[shape.rank - 1] = joined;
    return clg_reshape(x, shape);
}

static clg_var layer_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 2, "weight"), bias = arg_var(c, 3, "bias");
    const clg_shape shape = clg_shape_of(x);
    const int tail = arg_shape(c, 1, "normalized_shape").rank;
    const double eps = arg_number(c, 4, "eps", 1e-5);
    if (eps <= 0)
        return skip_sample(c, "an epsilon that is not positive");
    gain = gain.id == CLG_NONE.id ? gain : flat_tail(gain, tail);
    bias = bias.id == CLG_NONE.id ? bias : flat_tail(bias, tail);
    return clg_reshape(clg_layer_norm(flat_tail(x, tail), gain, bias, eps), shape);
}

/* Outputs also the mean and 1 / sqrt(variance + eps). */
static clg_var native_layer_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 2, NULL), bias = arg_var(c, 3, NULL);
    const clg_shape shape = clg_shape_of(x);
    const int tail = arg_shape(c, 1, NULL).rank;
    const double eps = arg_number(c, 4, NULL, 1e-5);
    if (eps <= 0)
        return skip_sample(c, "an epsilon that is not positive");
    gain = gain.id == CLG_NONE.id ? gain : flat_tail(gain, tail);
    bias = bias.id == CLG_NONE.id ? bias : flat_tail(bias, tail);
    put(c, clg_reshape(clg_layer_norm(flat_tail(x, tail), gain, bias, eps), shape));
    clg_axes last = {.count = tail};
    for (int i = 0; i < tail; i++)
        last.axis[i] = shape.rank - tail + i;
    put(c, clg_mean(x, last, true));
    put(c, clg_rsqrt(clg_add(clg_variance(x, last, 0, true), number(c, eps))));
    return CLG_NONE;
}

/* Likewise, of each element of the batch and each group. */
static clg_var native_group_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 1, NULL), bias = arg_var(c, 2, NULL);
    const int64_t rows = arg_int(c, 3, NULL, 1), channels = arg_int(c, 4, NULL, 1), rest = arg_int(c, 5, NULL, 1);
    const int64_t groups = arg_int(c, 6, NULL, 1);
    const double eps = arg_number(c, 7, NULL, 1e-5);
    if (eps <= 0)
        return skip_sample(c, "an epsilon that is not positive");
    clg_var cut = clg_reshape(x, CLG_SHAPE(rows, groups, channels / groups * rest));
    put(c, clg_group_norm(x, gain, bias, groups, 1, eps));
    put(c, clg_mean(cut, CLG_AXES(-1), false));
    put(c, clg_rsqrt(clg_add(clg_variance(cut, CLG_AXES(-1), 0, false), number(c, eps))));
    return CLG_NONE;
}

static clg_var rms_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL), gain = arg_var(c, 2, "weight");
    const clg_shape shape = clg_shape_of(x);
    const int tail = arg_shape(c, 1, "normalized_shape").rank;
    const double eps = arg_number(c, 3, "eps", 2.220446049250313e-16);
    if (eps <= 0)
        return skip_sample(c, "an epsilon that is not positive");
    gain = gain.id == CLG_NONE.id ? gain : flat_tail(gain, tail);
    return clg_reshape(clg_rms_norm(flat_tail(x, tail), gain, eps), shape);
}

/* x / (k + alpha mean of the squares of size neighbours among channels)^beta. */
static clg_var local_response_norm(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t size = arg_int(c, 1, "size", 1);
    const double alpha = arg_number(c, 2, "alpha", 1e-4), beta = arg_number(c, 3, "beta", 0.75);
    const double k = arg_number(c, 4, "k", 1);
    if (!clg_shape_count(clg_shape_of(x)))
        return x;
    clg_shape before = {.rank = rank_of(x)}, after = before;
    before.dim[1] = size / 2;
    after.dim[1] = (size - 1) / 2;
    clg_var wide = clg_pad(clg_square(x), before, after, CLG_PAD_CONSTANT, 0);
    clg_var sums =
        clg_mean(clg_window(wide, CLG_AXES(1), CLG_SHAPE(size), CLG_SCALAR, CLG_SCALAR), CLG_AXES(-1), false);
    clg_var base = clg_add(clg_mul(sums, number(c, alpha)), number(c, k));
    return clg_div(x, clg_pow(base, number(c, beta)));
}

/* ---------------------------------------------------------------- attention */

/* (..., h, t, d) to (b, t, h, d). */
static clg_var heads_inside(clg_var x)
{
    if (rank_of(x) == 3)
        x = clg_expand_dims(x, CLG_AXES(0));
    return clg_swap_axes(x, 1, 2);
}

static clg_var attention(call *c)
{
    clg_var q = arg_var(c, 0, NULL), k = arg_var(c, 1, NULL), v = arg_var(c, 2, NULL);
    clg_attention_options options = {.mask = arg_var(c, 3, "attn_mask")};
    const bool three = rank_of(q) == 3, causal = arg_bool(c, 5, "is_causal", false);
    arg_bool(c, -1, "enable_gqa", false);
    if (arg_number(c, 4, "dropout_p", 0) > 0)
        return skip_sample(c, "random numbers");
    if (has_arg(c, -1, "scale"))
        options.scale = arg_number(c, -1, "scale", 0);
    if (rank_of(q) < 3 || rank_of(q) > 4 || rank_of(k) != rank_of(q))
        return skip_sample(c, "batches of more axes");
    /* PyTorch aligns the mask at the first key, clgrad at the last one. */
    if (causal)
        options.mask = clg_tril(clg_full(c->graph, CLG_U8, CLG_SHAPE(extent(q, -2), extent(k, -2)), 1), 0);
    clg_var y = clg_attention(heads_inside(q), heads_inside(k), heads_inside(v), &options);
    y = clg_swap_axes(y, 1, 2);
    return three ? clg_squeeze(y, CLG_AXES(0)) : y;
}

const opinfo_row opinfo_layers[] = {
    BUILD("_batch_norm_with_update", batch_norm_with_update),
    BUILD("_native_batch_norm_legit", native_batch_norm),
    BUILD("_softmax_backward_data", softmax_backward),
    BUILD("log_softmax", log_softmax),
    BUILD("log_softmax.with_dtype", log_softmax),
    BUILD("native_batch_norm", native_batch_norm),
    BUILD("native_group_norm", native_group_norm),
    BUILD("native_layer_norm", native_layer_norm),
    BUILD("nn.functional.batch_norm", batch_norm),
    BUILD("nn.functional.celu", celu),
    BUILD("nn.functional.elu", elu),
    BUILD("nn.functional.gelu", gelu),
    BUILD("nn.functional.glu", glu),
    BUILD("nn.functional.group_norm", group_norm),
    BUILD("nn.functional.hardshrink", hard_shrink),
    {"nn.functional.hardsigmoid", clg_hard_sigmoid, NULL, NULL, 1e-8,
     "PyTorch multiplies by a sixth that is rounded to f32"},
    UNARY("nn.functional.hardswish", clg_hard_swish),
    BUILD("nn.functional.hardtanh", hard_tanh),
    BUILD("nn.functional.instance_norm", instance_norm),
    BUILD("nn.functional.layer_norm", layer_norm),
    BUILD("nn.functional.leaky_relu", leaky_relu),
    BUILD("nn.functional.local_response_norm", local_response_norm),
    UNARY("nn.functional.logsigmoid", clg_log_sigmoid),
    UNARY("nn.functional.mish", clg_mish),
    BUILD("nn.functional.prelu", prelu),
    UNARY("nn.functional.relu", clg_relu),
    UNARY("nn.functional.relu6", clg_relu6),
    BUILD("nn.functional.rms_norm", rms_norm),
    BUILD("nn.functional.rrelu", rrelu),
    BUILD("nn.functional.scaled_dot_product_attention", attention),
    UNARY("nn.functional.selu", clg_selu),
    UNARY("nn.functional.silu", clg_silu),
    BUILD("nn.functional.softmin", softmin),
    BUILD("nn.functional.softmin.with_dtype", softmin),
    BUILD("nn.functional.softplus", softplus),
    BUILD("nn.functional.softshrink", soft_shrink),
    UNARY("nn.functional.softsign", clg_softsign),
    UNARY("nn.functional.tanhshrink", clg_tanh_shrink),
    BUILD("nn.functional.threshold", threshold),
    BUILD("softmax", softmax),
    BUILD("softmax.with_dtype", softmax),
    BUILD("torch.ops.aten._safe_softmax.default", safe_softmax),
    {0},
};
