/* Losses. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

static clg_reduction reduction(call *c)
{
    const char *name = arg_string(c, -1, "reduction", "mean");
    return strcmp(name, "sum") == 0 ? CLG_REDUCE_SUM : strcmp(name, "none") == 0 ? CLG_REDUCE_NONE : CLG_REDUCE_MEAN;
}

static clg_var reduce(clg_var x, clg_reduction how)
{
    return how == CLG_REDUCE_NONE  ? x
           : how == CLG_REDUCE_SUM ? clg_sum(x, CLG_ALL_AXES, false)
                                   : clg_mean(x, CLG_ALL_AXES, false);
}

static clg_var plain(call *c, clg_var (*loss)(clg_var, clg_var, clg_reduction))
{
    clg_var prediction = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL);
    return loss(prediction, target, reduction(c));
}

static clg_var l1(call *c) { return plain(c, clg_l1_loss); }
static clg_var l2(call *c) { return plain(c, clg_l2_loss); }

static clg_var huber(call *c)
{
    clg_var prediction = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL);
    return clg_huber_loss(prediction, target, arg_number(c, -1, "delta", 1), reduction(c));
}

static clg_var smooth_l1(call *c)
{
    clg_var prediction = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL);
    const double beta = arg_number(c, -1, "beta", 1);
    return beta == 0 ? clg_l1_loss(prediction, target, reduction(c))
                     : clg_smooth_l1_loss(prediction, target, beta, reduction(c));
}

/* Each element times a weight that broadcasts. */
static clg_var weighted(call *c, clg_var elements)
{
    clg_var weight = arg_var(c, -1, "weight");
    return reduce(weight.id == CLG_NONE.id ? elements : clg_mul(elements, weight), reduction(c));
}

static clg_var binary(call *c)
{
    clg_var p = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL);
    return weighted(c, clg_binary_cross_entropy(p, target, CLG_REDUCE_NONE));
}

static clg_var binary_with_logits(call *c)
{
    clg_var x = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL), positive = arg_var(c, -1, "pos_weight");
    clg_var elements = clg_binary_cross_entropy_with_logits(x, target, CLG_REDUCE_NONE);
    if (positive.id != CLG_NONE.id) /* -w t log(p) - (1 - t) log(1 - p) */
        elements = clg_sub(elements, clg_mul(clg_mul(clg_sub(positive, number(c, 1)), target), clg_log_sigmoid(x)));
    return weighted(c, elements);
}

static clg_var kl_div(call *c)
{
    clg_var p = arg_var(c, 0, NULL), target = arg_var(c, 1, NULL);
    const bool batch = strcmp(arg_string(c, -1, "reduction", "mean"), "batchmean") == 0;
    clg_var elements = arg_bool(c, -1, "log_target", false) ? clg_mul(clg_exp(target), clg_sub(target, p))
                                                            : clg_kl_divergence(p, target, CLG_REDUCE_NONE);
    if (!batch)
        return reduce(elements, reduction(c));
    return clg_div(clg_sum(elements, CLG_ALL_AXES, false), number(c, (double)extent(p, 0)));
}

/* full: with Stirling's approximation of log(t!) for t above 1. */
static clg_var poisson(call *c)
{
    clg_var x = arg_var(c, 0, NULL), t = arg_var(c, 1, NULL);
    const double eps = arg_number(c, -1, "eps", 1e-8);
    clg_var loss = arg_bool(c, -1, "log_input", true) ? clg_poisson_nll_loss(x, t, CLG_REDUCE_NONE)
                                                      : clg_sub(x, clg_mul(t, clg_log(clg_add(x, number(c, eps)))));
    if (arg_bool(c, -1, "full", false)) {
        clg_var above = clg_greater(t, number(c, 1)), safe = clg_where(above, t, number(c, 2));
        clg_var stirling =
            clg_add(clg_sub(clg_mul(safe, clg_log(safe)), safe),
                    clg_mul(clg_log(clg_mul(safe, number(c, 2 * 3.14159265358979323846))), number(c, 0.5)));
        loss = clg_add(loss, clg_where(above, stirling, number(c, 0)));
    }
    return reduce(loss, reduction(c));
}

static clg_var gaussian(call *c)
{
    clg_var x = arg_var(c, 0, NULL), t = arg_var(c, 1, NULL), v = arg_var(c, 2, NULL);
    if (has_arg(c, -1, "eps"))
        return skip_sample(c, "another bound of the variance");
    if (rank_of(v) && rank_of(v) + 1 == rank_of(x))
        v = clg_expand_dims(v, CLG_AXES(-1));
    clg_var loss = clg_gaussian_nll_loss(x, t, v, CLG_REDUCE_NONE);
    if (arg_bool(c, -1, "full", false))
        loss = clg_add(loss, number(c, 0.91893853320467274178));
    return reduce(loss, reduction(c));
}

/* x where the target is 1, max(0, margin - x) where it is -1, both else. */
static clg_var hinge_embedding(call *c)
{
    clg_var x = arg_var(c, 0, NULL), t = arg_var(c, 1, NULL), zero = number(c, 0);
    clg_var far = clg_relu(clg_sub(number(c, arg_number(c, -1, "margin", 1)), x));
    clg_var loss =
        clg_add(clg_where(clg_equal(t, number(c, 1)), zero, far), clg_where(clg_equal(t, number(c, -1)), zero, x));
    return reduce(loss, reduction(c));
}

static clg_var margin_ranking(call *c)
{
    clg_var d = clg_sub(arg_var(c, 0, NULL), arg_var(c, 1, NULL)), t = arg_var(c, 2, NULL);
    clg_var loss = clg_relu(clg_sub(number(c, arg_number(c, -1, "margin", 0)), clg_mul(t, d)));
    return reduce(loss, reduction(c));
}

/* log(1 + exp(-t x)) */
static clg_var soft_margin(call *c)
{
    clg_var x = arg_var(c, 0, NULL), t = arg_var(c, 1, NULL);
    return reduce(clg_softplus(clg_neg(clg_mul(t, x))), reduction(c));
}

static clg_var multilabel_soft_margin(call *c)
{
    clg_var x = arg_var(c, 0, NULL), t = arg_var(c, 1, NULL), weight = arg_var(c, -1, "weight");
    clg_var loss = clg_binary_cross_entropy_with_logits(x, t, CLG_REDUCE_NONE);
    loss = weight.id == CLG_NONE.id ? loss : clg_mul(loss, weight);
    return reduce(clg_mean(loss, CLG_AXES(-1), false), reduction(c));
}

/* Mean over the classes of max(0, margin - x[label] + x[class])^p, but for the label. */
static clg_var multi_margin(call *c)
{
    clg_var x = arg_var(c, 0, NULL), labels = arg_var(c, 1, NULL), weight = arg_var(c, -1, "weight");
    const double p = arg_number(c, -1, "p", 1), margin = arg_number(c, -1, "margin", 1);
    const bool single = rank_of(labels) == 0;
    const int64_t classes = rank_of(x) ? extent(x, -1) : 1;
    x = clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)) / classes, classes));
    labels = clg_reshape(labels, CLG_SHAPE(-1));
    clg_var at = clg_one_hot(labels, classes, CLG_F64);
    clg_var label = clg_sum(clg_mul(x, at), CLG_AXES(1), true);
    clg_var over = clg_relu(clg_add(clg_sub(x, label), number(c, margin)));
    over = p == 2 ? clg_square(over) : over;
    if (weight.id != CLG_NONE.id)
        over = clg_mul(over, clg_expand_dims(clg_gather(weight, labels), CLG_AXES(1)));
    clg_var loss = clg_mean(clg_where(clg_cast(at, CLG_U8), number(c, 0), over), CLG_AXES(1), false);
    return reduce(single ? clg_reshape(loss, CLG_SCALAR) : loss, reduction(c));
}

/* ---------------------------------------------------------------- of classes */

/* A single row gets an axis in front for the time being. */
static clg_var with_rows(clg_var x, bool single) { return single ? clg_expand_dims(x, CLG_AXES(0)) : x; }

static clg_cross_entropy_options class_options(call *c)
{
    return (clg_cross_entropy_options){.weight = arg_var(c, -1, "weight"),
                                       .ignores = has_arg(c, -1, "ignore_index"),
                                       .ignored = (int32_t)arg_int(c, -1, "ignore_index", -100),
                                       .label_smoothing = arg_number(c, -1, "label_smoothing", 0),
                                       .reduction = reduction(c)};
}

static clg_var cross_entropy_of(call *c, clg_var x, clg_var labels)
{
    const clg_cross_entropy_options options = class_options(c);
    const bool single = rank_of(x) == 1;
    x = with_rows(x, single);
    labels = with_rows(labels, single);
    if (is_real(labels) && (options.weight.id != CLG_NONE.id || options.label_smoothing != 0))
        return skip_sample(c, "probabilities with weights or smoothing");
    clg_var loss =
        is_real(labels) ? clg_cross_entropy_soft(x, labels, options.reduction) : clg_cross_entropy(x, labels, &options);
    return single && options.reduction == CLG_REDUCE_NONE ? clg_squeeze(loss, CLG_AXES(0)) : loss;
}

static clg_var cross_entropy(call *c) { return cross_entropy_of(c, arg_var(c, 0, NULL), arg_var(c, 1, NULL)); }

static clg_var nll(call *c)
{
    clg_var x = arg_var(c, 0, NULL), labels = arg_var(c, 1, NULL);
    const clg_cross_entropy_options options = class_options(c);
    const bool single = rank_of(x) == 1;
    clg_var loss = clg_nll_loss(with_rows(x, single), with_rows(labels, single), &options);
    return single && options.reduction == CLG_REDUCE_NONE ? clg_squeeze(loss, CLG_AXES(0)) : loss;
}

/* Of logits x w^T (+ bias): (n, classes), or (n, classes, ...) for weights with more axes, which lie behind. */
static clg_var linear_cross_entropy(call *c)
{
    clg_var x = arg_var(c, 0, NULL), w = arg_var(c, 1, NULL), labels = arg_var(c, 2, NULL),
            bias = arg_var(c, 3, "linear_bias");
    if (rank_of(w) != 2 || rank_of(x) > 2)
        return skip_sample(c, "classes of more axes");
    if (has_arg(c, -1, "options")) /* how many rows are computed at a time */
        skip_second(c, "PyTorch takes the first gradients of chunks as constants");
    clg_var logits = clg_matmul(x, clg_transpose(w));
    return cross_entropy_of(c, bias.id == CLG_NONE.id ? logits : clg_add(logits, bias), labels);
}

/* ---------------------------------------------------------------- of vectors */

static clg_var cosine_similarity(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    const int axis = arg_axis(c, 2, "dim", 1);
    if (has_arg(c, 3, "eps"))
        return skip_sample(c, "another bound of the norms");
    if (rank_of(a) == rank_of(b) && rank_of(a) && extent(a, axis) != extent(b, axis))
        return skip_sample(c, "a bug: norms are not those of the operands that were broadcast along the axis");
    if (rank_of(a) == 0 && rank_of(b) == 0)
        return clg_cosine_similarity(clg_reshape(a, CLG_SHAPE(1)), clg_reshape(b, CLG_SHAPE(1)), 0);
    return clg_cosine_similarity(a, b, axis);
}

static clg_var cosine_embedding(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL), t = arg_var(c, 2, NULL);
    const double margin = arg_number(c, -1, "margin", 0);
    const clg_reduction how = reduction(c);
    const bool single = rank_of(a) == 1;
    clg_var loss =
        clg_cosine_embedding_loss(with_rows(a, single), with_rows(b, single), with_rows(t, single), margin, how);
    return single && how == CLG_REDUCE_NONE ? clg_squeeze(loss, CLG_AXES(0)) : loss;
}

static clg_var triplet(call *c)
{
    clg_var a = arg_var(c, 0, NULL), p = arg_var(c, 1, NULL), n = arg_var(c, 2, NULL);
    if (arg_bool(c, -1, "swap", false) || arg_number(c, -1, "p", 2) != 2 || arg_number(c, -1, "eps", 1e-6) != 1e-6)
        return skip_sample(c, "another distance");
    arg(c, -1, "distance_function"); /* that of the 2-norm */
    return clg_triplet_margin_loss(a, p, n, arg_number(c, -1, "margin", 1), reduction(c));
}

const opinfo_row opinfo_losses[] = {
    BUILD("nn.functional.binary_cross_entropy", binary),
    BUILD("nn.functional.binary_cross_entropy_with_logits", binary_with_logits),
    BUILD("nn.functional.cosine_embedding_loss", cosine_embedding),
    BUILD("nn.functional.cosine_similarity", cosine_similarity),
    BUILD("nn.functional.cross_entropy", cross_entropy),
    BUILD("nn.functional.gaussian_nll_loss", gaussian),
    BUILD("nn.functional.hinge_embedding_loss", hinge_embedding),
    BUILD("nn.functional.huber_loss", huber),
    BUILD("nn.functional.kl_div", kl_div),
    BUILD("nn.functional.l1_loss", l1),
    BUILD("nn.functional.linear_cross_entropy", linear_cross_entropy),
    BUILD("nn.functional.linear_cross_entropy.chunked", linear_cross_entropy),
    BUILD("nn.functional.linear_cross_entropy.chunked_none", linear_cross_entropy),
    BUILD("nn.functional.margin_ranking_loss", margin_ranking),
    BUILD("nn.functional.mse_loss", l2),
    BUILD("nn.functional.multi_margin_loss", multi_margin),
    BUILD("nn.functional.multilabel_soft_margin_loss", multilabel_soft_margin),
    BUILD("nn.functional.nll_loss", nll),
    BUILD("nn.functional.poisson_nll_loss", poisson),
    BUILD("nn.functional.smooth_l1_loss", smooth_l1),
    BUILD("nn.functional.soft_margin_loss", soft_margin),
    BUILD("nn.functional.triplet_margin_loss", triplet),
    BUILD("nn.functional.triplet_margin_with_distance_loss", triplet),
    {0},
};
