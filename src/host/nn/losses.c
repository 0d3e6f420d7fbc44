/* Losses made of other functions. */
#include "helpers.h"

#include <math.h>

static clg_var reduced(clg_var loss, clg_reduction reduction)
{
    if (reduction == CLG_REDUCE_NONE)
        return loss;
    return (reduction == CLG_REDUCE_SUM ? clg_sum : clg_mean)(loss, CLG_ALL_AXES, false);
}

/* Of reals: u8 differences would be taken modulo 256. */
static clg_var difference(clg_var a, clg_var b) { return clg_sub(as_wide(a), as_wide(b)); }

clg_var clg_l1_loss(clg_var prediction, clg_var target, clg_reduction reduction)
{
    return reduced(clg_abs(difference(prediction, target)), reduction);
}

clg_var clg_l2_loss(clg_var prediction, clg_var target, clg_reduction reduction)
{
    return reduced(clg_square(difference(prediction, target)), reduction);
}

clg_var clg_mean_squared_error(clg_var prediction, clg_var target)
{
    return clg_l2_loss(prediction, target, CLG_REDUCE_MEAN);
}

static clg_var huber(clg_var prediction, clg_var target, double delta)
{
    clg_var d = clg_abs(difference(prediction, target));
    if (isinf(delta))
        return times(clg_square(d), 0.5);
    clg_var is_near = clg_less(d, clg_scalar_like(d, delta));
    clg_var near = times(clg_square(clg_where(is_near, d, zero_like(d))), 0.5),
            far = affine(d, delta, -delta * delta / 2);
    return clg_where(is_near, near, far);
}

clg_var clg_huber_loss(clg_var prediction, clg_var target, double delta, clg_reduction reduction)
{
    if (!(delta > 0))
        return clg_refuse(prediction.graph, "huber_loss: delta is %g; it must be above 0", delta);
    return reduced(huber(prediction, target, delta), reduction);
}

clg_var clg_smooth_l1_loss(clg_var prediction, clg_var target, double beta, clg_reduction reduction)
{
    if (!(beta >= 0))
        return clg_refuse(prediction.graph, "smooth_l1_loss: beta is %g; it must be at least 0", beta);
    if (beta == 0)
        return clg_l1_loss(prediction, target, reduction);
    return reduced(times(huber(prediction, target, beta), 1 / beta), reduction);
}

/* log(p), -100 at least. */
static clg_var bounded_log(clg_var p)
{
    clg_var low = clg_less(p, clg_scalar_like(p, exp(-100)));
    return clg_where(low, clg_scalar_like(p, -100), clg_log(clg_where(low, clg_scalar_like(p, 1), p)));
}

clg_var clg_binary_cross_entropy(clg_var probability, clg_var target, clg_reduction reduction)
{
    clg_var p = as_wide(probability), t = as_wide(target);
    clg_var hit = clg_mul(t, bounded_log(p)), missed = clg_mul(one_minus(t), bounded_log(one_minus(p)));
    return reduced(clg_neg(clg_add(hit, missed)), reduction);
}

clg_var clg_binary_cross_entropy_with_logits(clg_var x, clg_var target, clg_reduction reduction)
{
    x = as_wide(x);
    clg_var t = as_wide(target);
    clg_var hit = clg_mul(t, clg_softplus(clg_neg(x))), missed = clg_mul(one_minus(t), clg_softplus(x));
    return reduced(clg_add(hit, missed), reduction);
}

/* t x, and 0 where t is, though x be infinite. */
static clg_var weighted(clg_var t, clg_var x)
{
    x = as_wide(x);
    return clg_mul(t, clg_where(clg_equal(t, zero_like(t)), zero_like(x), x));
}

clg_var clg_kl_divergence(clg_var log_probability, clg_var target, clg_reduction reduction)
{
    clg_var t = as_wide(target);
    return reduced(clg_sub(clg_xlogy(t, t), weighted(t, log_probability)), reduction);
}

clg_var clg_poisson_nll_loss(clg_var log_rate, clg_var target, clg_reduction reduction)
{
    clg_var x = as_wide(log_rate);
    return reduced(clg_sub(clg_exp(x), clg_mul(as_wide(target), x)), reduction);
}

clg_var clg_gaussian_nll_loss(clg_var prediction, clg_var target, clg_var variance, clg_reduction reduction)
{
    clg_var v = as_wide(variance), least = clg_scalar_like(v, 1e-6);
    clg_var moves = clg_where(clg_is_finite(v), clg_sub(v, clg_stop_gradient(v)), zero_like(v)); /* 0, of slope 1 */
    v = clg_add(clg_stop_gradient(clg_maximum(v, least)), moves);
    clg_var distance = clg_div(clg_square(difference(prediction, target)), v);
    return reduced(times(clg_add(clg_log(v), distance), 0.5), reduction);
}

clg_var clg_hinge_loss(clg_var prediction, clg_var target, clg_reduction reduction)
{
    return reduced(clg_relu(one_minus(clg_mul(as_wide(prediction), as_wide(target)))), reduction);
}

/* ---------------------------------------------------------------- of vectors */

static clg_var product(clg_var a, clg_var b, int axis) { return clg_sum(clg_mul(a, b), CLG_AXES(axis), false); }

clg_var clg_cosine_similarity(clg_var a, clg_var b, int axis)
{
    /* a norm is of all that a product is of, though one operand has it from broadcasting */
    const clg_var both = difference(a, b);
    if (!clg_is_valid(both))
        return both;
    const clg_shape shape = clg_shape_of(both);
    a = clg_broadcast_to(as_wide(a), shape);
    b = clg_broadcast_to(as_wide(b), shape);
    clg_var least = clg_scalar_like(a, 1e-8), far_a = clg_norm(a, 2, CLG_AXES(axis), false);
    clg_var far_b = clg_norm(b, 2, CLG_AXES(axis), false);
    return clg_div(product(a, b, axis), clg_mul(clg_maximum(far_a, least), clg_maximum(far_b, least)));
}

clg_var clg_cosine_embedding_loss(clg_var a, clg_var b, clg_var target, double margin, clg_reduction reduction)
{
    clg_var like = clg_cosine_similarity(a, b, -1), same = clg_equal(target, clg_scalar_like(target, 1));
    return reduced(clg_where(same, one_minus(like), clg_relu(affine(like, 1, -margin))), reduction);
}

static clg_var distance(clg_var a, clg_var b)
{
    return clg_norm(affine(difference(a, b), 1, 1e-6), 2, CLG_AXES(-1), false);
}

clg_var clg_triplet_margin_loss(clg_var anchor, clg_var positive, clg_var negative, double margin,
                                clg_reduction reduction)
{
    clg_var more = clg_sub(distance(anchor, positive), distance(anchor, negative));
    return reduced(clg_relu(affine(more, 1, margin)), reduction);
}

/* ---------------------------------------------------------------- of classes */

/* The classes along axis 1 of an array of a rank. */
static clg_var class_numbers(clg_graph *graph, int64_t classes, int rank)
{
    clg_shape along = {.rank = rank};
    for (int d = 0; d < rank; d++)
        along.dim[d] = d == 1 ? classes : 1;
    return clg_reshape(clg_arange(graph, CLG_I32, classes), along);
}

/* Whether labels are of the shape that logits have without axis 1; else an error. */
static bool are_labels(clg_var logits, clg_var labels)
{
    const clg_shape s = clg_shape_of(logits), t = clg_shape_of(labels);
    if (!are_operands("cross_entropy", (clg_var[]){logits, labels}, 2))
        return false;
    bool good = s.rank >= 2 && t.rank == s.rank - 1 && is_index(labels);
    for (int d = 0; d < t.rank && good; d++)
        good = t.dim[d] == s.dim[d < 1 ? d : d + 1];
    if (!good)
        clg_refuse(logits.graph,
                   "cross_entropy: labels %s %s must be i32, i64 or u8, of the shape of %s without axis 1",
                   clg_dtype_name(clg_dtype_of(labels)), words_of(t).text, words_of(s).text);
    return good;
}

clg_var clg_nll_loss(clg_var log_probability, clg_var labels, const clg_cross_entropy_options *options)
{
    static const clg_cross_entropy_options none = {0};
    const clg_cross_entropy_options *o = options ? options : &none;
    const clg_shape shape = clg_shape_of(log_probability);
    if (!are_labels(log_probability, labels))
        return poisoned(log_probability.graph);
    if (!(o->label_smoothing >= 0 && o->label_smoothing <= 1))
        return clg_refuse(labels.graph, "cross_entropy: label_smoothing %g is not in 0..1", o->label_smoothing);
    const int64_t classes = shape.dim[1];
    clg_var x = as_wide(log_probability), label = clg_expand_dims(as_index(labels), CLG_AXES(1));
    clg_var number = class_numbers(x.graph, classes, shape.rank), chosen = clg_equal(label, number);
    clg_var weight = o->weight.graph ? clg_reshape(as_wide(o->weight), clg_shape_of(number)) : clg_scalar_like(x, 1);
    clg_var weights = clg_sum(clg_where(chosen, weight, zero_like(x)), CLG_AXES(1), false);
    clg_var loss = clg_sum(clg_where(chosen, clg_mul(x, weight), zero_like(x)), CLG_AXES(1), false);
    if (o->label_smoothing != 0) {
        clg_var all = clg_sum(clg_mul(x, weight), CLG_AXES(1), false);
        loss = clg_add(times(loss, 1 - o->label_smoothing), times(all, o->label_smoothing / (double)classes));
    }
    clg_var bare = clg_squeeze(label, CLG_AXES(1));
    clg_var inside = clg_logical_and(clg_less_equal(clg_scalar_like(bare, 0), bare),
                                     clg_less(bare, clg_scalar_like(bare, (double)classes)));
    loss = clg_where(inside, clg_neg(loss), clg_scalar_like(loss, NAN));
    if (o->ignores) {
        clg_var ignored = clg_equal(bare, clg_scalar_like(bare, o->ignored));
        loss = clg_where(ignored, zero_like(loss), loss);
        weights = clg_where(ignored, zero_like(weights), weights);
    }
    if (o->reduction != CLG_REDUCE_MEAN)
        return reduced(loss, o->reduction);
    return clg_div(clg_sum(loss, CLG_ALL_AXES, false), clg_sum(weights, CLG_ALL_AXES, false));
}

clg_var clg_cross_entropy(clg_var logits, clg_var labels, const clg_cross_entropy_options *options)
{
    return clg_nll_loss(clg_log_softmax(as_wide(logits), 1), labels, options);
}

clg_var clg_cross_entropy_soft(clg_var logits, clg_var target, clg_reduction reduction)
{
    clg_var terms = weighted(as_wide(target), clg_log_softmax(as_wide(logits), 1));
    return reduced(clg_neg(clg_sum(terms, CLG_AXES(1), false)), reduction);
}
