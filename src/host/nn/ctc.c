/* Connectionist temporal classification, unrolled over time. */
#include "helpers.h"

#include <math.h>
#include <stdlib.h>

/* What does not change over time, of so many elements of the batch and so many places in a row of labels with a blank
 * before, between and behind them: places = 2 s + 1. */
typedef struct paths {
    int64_t time, batch, classes, labels, places;
    clg_var emitted; /* (t, n, places): the logarithm of the probability of each place's label */
    clg_var leaps;   /* u8 (n, places): whether a path gets there past the blank before it */
} paths;

/* log(sum(exp)) of a few, -infinity if all are, without a slope there. */
static clg_var log_of_sum(const clg_var *x, int count)
{
    clg_var most = x[0], sum = {0};
    for (int i = 1; i < count; i++)
        most = clg_maximum(most, x[i]);
    most = clg_stop_gradient(clg_where(clg_is_finite(most), most, zero_like(most)));
    for (int i = 0; i < count; i++) {
        clg_var term = clg_exp(clg_sub(x[i], most));
        sum = i ? clg_add(sum, term) : term;
    }
    clg_var none = clg_equal(sum, zero_like(sum)), safe = clg_where(none, clg_scalar_like(sum, 1), sum);
    return clg_where(none, clg_scalar_like(sum, -INFINITY), clg_add(clg_log(safe), most));
}

static clg_var integer(clg_var like, int64_t value) { return clg_full(like.graph, CLG_I32, CLG_SCALAR, (double)value); }

static clg_var numbers(clg_var like, int64_t count, clg_shape shape)
{
    return clg_reshape(clg_arange(like.graph, CLG_I32, count), shape);
}

/* bool: whether low <= x <= high, of integers. */
static clg_var within(clg_var x, int64_t low, int64_t high)
{
    return clg_logical_and(clg_less_equal(integer(x, low), x), clg_less_equal(x, integer(x, high)));
}

/* ---------------------------------------------------------------- labels */

/* Labels with blanks before, between and behind them, (n, places). */
static clg_var with_blanks(clg_var labels, const paths *p, int32_t blank)
{
    clg_var none = clg_full(labels.graph, CLG_I32, clg_shape_of(labels), blank);
    clg_var pairs = clg_reshape(clg_stack((clg_var[]){none, labels}, 2, 2), CLG_SHAPE(p->batch, 2 * p->labels));
    return clg_pad(pairs, CLG_SCALAR, CLG_SHAPE(0, 1), CLG_PAD_CONSTANT, blank);
}

/* A path may leave a blank out between two labels that differ. */
static clg_var leaps_of(clg_var places, const paths *p)
{
    if (p->labels == 0)
        return clg_full(places.graph, CLG_BOOL, CLG_SHAPE(p->batch, 1), 0);
    clg_var later = clg_slice(places, 1, 2, p->places, 1), earlier = clg_slice(places, 1, 0, p->places - 2, 1);
    return clg_pad(clg_not_equal(later, earlier), CLG_SHAPE(0, 2), CLG_SCALAR, CLG_PAD_CONSTANT, 0);
}

/* The probabilities of the labels (n, s), all of which are classes; 1 beyond a row's steps. */
static void emit(paths *p, clg_var log_probability, clg_var labels, clg_var input_lengths, int32_t blank)
{
    clg_var places = with_blanks(labels, p, blank);
    clg_var row = numbers(labels, p->time * p->batch, CLG_SHAPE(p->time, p->batch, 1));
    clg_var at = clg_add(clg_mul(row, integer(labels, p->classes)), places);
    clg_var live = clg_less(numbers(labels, p->time, CLG_SHAPE(p->time, 1, 1)),
                            clg_reshape(input_lengths, CLG_SHAPE(p->batch, 1)));
    p->emitted = clg_gather(clg_reshape(log_probability, CLG_SHAPE(-1)), at);
    p->emitted = clg_where(live, p->emitted, zero_like(p->emitted)); /* what is beyond a row's steps may be NaN */
    p->leaps = leaps_of(places, p);
}

/* ---------------------------------------------------------------- paths */

/* The logarithms of the probabilities of all paths that have come to each place, (n, places), one step later (Graves
 * et al. 2006, eq. 6 to 8). */
static clg_var step(const paths *p, clg_var alpha, int64_t t)
{
    clg_var wide = clg_pad(alpha, CLG_SHAPE(0, 2), CLG_SCALAR, CLG_PAD_CONSTANT, -INFINITY);
    clg_var leaped = clg_where(p->leaps, clg_slice(wide, 1, 0, p->places, 1), clg_scalar_like(alpha, -INFINITY));
    clg_var from[] = {alpha, clg_slice(wide, 1, 1, p->places + 1, 1), leaped};
    return clg_add(clg_index(p->emitted, 0, t), log_of_sum(from, 3));
}

/* Where all paths start: at the first blank, from which the first step goes to it and to the first label. */
static clg_var before_all(const paths *p)
{
    clg_var first = clg_equal(numbers(p->emitted, p->places, CLG_SHAPE(1, p->places)), integer(p->emitted, 0));
    clg_var alpha = clg_where(first, zero_like(p->emitted), clg_scalar_like(p->emitted, -INFINITY));
    return clg_broadcast_to(alpha, CLG_SHAPE(p->batch, p->places));
}

/* (t + 1, n, places): before the first step and after each one. Poisoned if memory runs out. A row's go on beyond its
 * steps, as if all that came there were sure: that each step chose by itself whether it counts would be a chain of
 * choices, of which every step would have to look at all. */
static clg_var all_steps(const paths *p)
{
    clg_var *alpha = malloc((size_t)(p->time + 1) * sizeof *alpha);
    if (!alpha)
        return clg_refuse(p->emitted.graph, "ctc_loss: no memory for %lld steps", (long long)p->time);
    alpha[0] = before_all(p);
    for (int64_t t = 0; t < p->time; t++)
        alpha[t + 1] = step(p, alpha[t], t);
    clg_var all = clg_stack(alpha, (int)(p->time + 1), 0);
    free(alpha);
    return all;
}

/* -log of the probability of all paths, (n); lengths are in their ranges. */
static clg_var losses(const paths *p, clg_var input_lengths, clg_var label_lengths)
{
    clg_var table = clg_reshape(all_steps(p), CLG_SHAPE(-1)); /* at the last step two places are where paths end */
    clg_var row = clg_add(clg_mul(input_lengths, integer(table, p->batch)), numbers(table, p->batch, CLG_SHAPE(-1)));
    clg_var blank = clg_mul(label_lengths, integer(table, 2)); /* the one behind the last label */
    clg_var at = clg_add(clg_mul(row, integer(table, p->places)), blank);
    clg_var any = clg_less(integer(table, 0), label_lengths);
    clg_var label = clg_gather(table, clg_sub(at, clg_cast(any, CLG_I32)));
    label = clg_where(any, label, clg_scalar_like(table, -INFINITY));
    return clg_neg(log_of_sum((clg_var[]){clg_gather(table, at), label}, 2));
}

/* ---------------------------------------------------------------- the loss */

static bool lengths_fit(const paths *p, const char *name, clg_var lengths)
{
    if (is_index(lengths) && clg_shape_equal(clg_shape_of(lengths), CLG_SHAPE(p->batch)))
        return true;
    clg_refuse(lengths.graph, "ctc_loss: %s %s %s must be i32 or u8 (%lld), one for each row of labels", name,
               clg_dtype_name(clg_dtype_of(lengths)), words_of(clg_shape_of(lengths)).text, (long long)p->batch);
    return false;
}

/* Sizes, taken from the operands; false (with an error) if these do not go together. */
static bool measure(paths *p, const clg_var *operands, const clg_ctc_options *o)
{
    const clg_shape x = clg_shape_of(operands[0]), labels = clg_shape_of(operands[1]);
    if (!are_operands("ctc_loss", operands, 4))
        return false;
    bool good = x.rank == 3 && x.dim[0] > 0 && x.dim[2] > 0 && labels.rank == 2 && labels.dim[0] == x.dim[1];
    good = good && x.dim[2] <= INT32_MAX / x.dim[0] && x.dim[1] <= INT32_MAX / (x.dim[0] * x.dim[2]);
    const int64_t most = good ? INT32_MAX / (x.dim[0] + 1) / (x.dim[1] > 0 ? x.dim[1] : 1) : 0; /* places of a row */
    good = good && most > 0 && labels.dim[1] <= (most - 1) / 2;
    if (!good || !is_index(operands[1])) {
        clg_refuse(operands[0].graph,
                   "ctc_loss: log_probability %s and labels %s %s must be (t, n, classes), t and classes positive, and "
                   "i32 or u8 (n, s), with t n classes and (t + 1) n (2 s + 1) below 2^31",
                   words_of(x).text, clg_dtype_name(clg_dtype_of(operands[1])), words_of(labels).text);
        return false;
    }
    *p = (paths){.time = x.dim[0], .batch = x.dim[1], .classes = x.dim[2], .labels = labels.dim[1]};
    p->places = 2 * p->labels + 1;
    if (!lengths_fit(p, "input_lengths", operands[2]) || !lengths_fit(p, "label_lengths", operands[3]))
        return false;
    if (o->blank < 0 || o->blank >= p->classes) {
        clg_refuse(operands[0].graph, "ctc_loss: blank %d is no class: 0..%lld", (int)o->blank,
                   (long long)p->classes - 1);
        return false;
    }
    if (o->reduction < CLG_REDUCE_MEAN || o->reduction > CLG_REDUCE_NONE) {
        clg_refuse(operands[0].graph, "ctc_loss: there is no reduction %d", (int)o->reduction);
        return false;
    }
    return true;
}

clg_var clg_ctc_loss(clg_var log_probability, clg_var labels, clg_var input_lengths, clg_var label_lengths,
                     const clg_ctc_options *options)
{
    static const clg_ctc_options none = {0};
    const clg_ctc_options *o = options ? options : &none;
    paths p;
    if (!measure(&p, (clg_var[]){log_probability, labels, input_lengths, label_lengths}, o))
        return poisoned(log_probability.graph);
    labels = as_index(labels);
    input_lengths = as_index(input_lengths);
    label_lengths = as_index(label_lengths);
    /* What lies beyond a row's labels may be anything. */
    clg_var used =
        clg_less(numbers(labels, p.labels, CLG_SHAPE(1, p.labels)), clg_reshape(label_lengths, CLG_SHAPE(p.batch, 1)));
    clg_var known = within(labels, 0, p.classes - 1);
    clg_var wrong = clg_any(clg_mul(used, clg_logical_not(known)), CLG_AXES(1), false);
    labels = clg_where(clg_mul(used, known), labels, integer(labels, o->blank));
    clg_var lengths = clg_mul(within(input_lengths, 0, p.time), within(label_lengths, 0, p.labels));
    emit(&p, as_wide(log_probability), labels, input_lengths, o->blank);
    clg_var loss = losses(&p, clg_clip(input_lengths, 0, (double)p.time), clg_clip(label_lengths, 0, (double)p.labels));
    if (o->zero_infinity)
        loss = clg_where(clg_equal(loss, clg_scalar_like(loss, INFINITY)), zero_like(loss), loss);
    loss = clg_where(clg_mul(lengths, clg_logical_not(wrong)), loss, clg_scalar_like(loss, NAN));
    if (o->reduction == CLG_REDUCE_NONE)
        return loss;
    if (o->reduction == CLG_REDUCE_SUM)
        return clg_sum(loss, CLG_ALL_AXES, false);
    clg_var count = clg_maximum(label_lengths, integer(label_lengths, 1));
    return clg_mean(clg_div(loss, clg_cast(count, clg_dtype_of(loss))), CLG_ALL_AXES, false);
}
