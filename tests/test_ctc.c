/* Connectionist temporal classification against PyTorch 2.15 in f64, all paths one by one, and differences. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(void) { return real() == CLG_F64 ? 1e-9 : 1e-4; }

enum { T = 5, N = 6, C = 4, S = 3 };

static const int32_t input_lengths[N] = {5, 4, 5, 4, 3, 2}, label_lengths[N] = {3, 3, 2, 3, 0, 1};
/* What is beyond a row's length is no class. The fourth row does not fit into its steps with the blank 0. */
static const int32_t labels_0[N * S] = {1, 2, 3, 2, 2, 1, 3, 1, 99, 1, 1, 1, -7, 0, 99, 2, 4, -1};
static const int32_t labels_3[N * S] = {1, 2, 0, 2, 2, 1, 0, 1, 99, 1, 1, 2, -7, 0, 99, 2, 4, -1};

static clg_var logits(clg_graph *g, clg_dtype dtype)
{
    double values[T * N * C];
    for (int i = 0; i < T * N * C; i++)
        values[i] = 1.5 * sin(1.7 * i + 0.1 * i * i);
    return support_leaf(g, dtype, CLG_SHAPE(T, N, C), values);
}

static clg_var lengths(clg_graph *g, const int32_t *values) { return clg_array(g, CLG_I32, CLG_SHAPE(N), values); }

static clg_var loss_of(clg_var x, const int32_t *labels, const clg_ctc_options *o)
{
    clg_graph *g = x.graph;
    return clg_ctc_loss(clg_log_softmax(x, -1), clg_array(g, CLG_I32, CLG_SHAPE(N, S), labels),
                        lengths(g, input_lengths), lengths(g, label_lengths), o);
}

/* ---------------------------------------------------------------- against PyTorch */

typedef struct wanted {
    const int32_t *labels;
    clg_ctc_options options;
    double loss[N];
    double slope; /* the gradient for the logits, times sin(2.3 i + 1), added up */
} wanted;

static const wanted cases[] = {
    {labels_0,
     {.zero_infinity = true, .reduction = CLG_REDUCE_NONE},
     {4.48236458071, 4.34299118782, 4.49590019295, 0, 3.67488066188, 1.38472619895},
     -2.81790627055},
    {labels_0, {.zero_infinity = true}, {1.70822370225}, 0.0671353571278},
    {labels_0, {.zero_infinity = true, .reduction = CLG_REDUCE_SUM}, {18.3808628223}, -0.315077941923},
    {labels_0, /* PyTorch's gradient is NaN in the row whose loss is infinite */
     {.reduction = CLG_REDUCE_NONE},
     {4.48236458071, 4.34299118782, 4.49590019295, INFINITY, 3.67488066188, 1.38472619895},
     -2.81790627055},
    {labels_3,
     {.blank = 3, .reduction = CLG_REDUCE_NONE},
     {3.68714725492, 6.20413257678, 3.35235235474, 8.72130873593, 7.00680645467, 1.22437122906},
     1.42408160481},
    {labels_3, {.blank = 3}, {2.68525834172}, 0.0637437933718},
};

static void test_pytorch(void **state)
{
    (void)state;
    const double weights[N] = {1, 0.5, -1, 2, 1.5, 3};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wanted *w = &cases[i];
        clg_graph *g = clg_graph_new(device);
        clg_var x = logits(g, real()), outputs[2] = {loss_of(x, w->labels, &w->options)};
        clg_var total = outputs[0];
        if (w->options.reduction == CLG_REDUCE_NONE)
            total = clg_mul(total, support_leaf(g, real(), CLG_SHAPE(N), weights));
        clg_gradients(total, &x, 1, &outputs[1]);
        clg_program *p = clg_compile(g, outputs, 2);
        if (!p || clg_run(p) != CLG_OK)
            fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
        support_expect(outputs[0], w->loss, tolerance(), "ctc_loss");
        double *slopes = support_values(outputs[1]), slope = 0;
        for (int k = 0; k < T * N * C; k++)
            slope += slopes[k] * sin(2.3 * k + 1);
        if (!support_close(slope, w->slope, tolerance()))
            fail_msg("case %d: slope %.12g, not %.12g", (int)i, slope, w->slope);
        free(slopes);
        clg_program_free(p);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- all paths */

/* Whether a path of so many steps, number path in base C, spells labels when repetitions and then blanks (0) go. */
static bool spells(int path, int steps, const int32_t *labels, int count)
{
    int at = 0, before = 0;
    for (int t = 0; t < steps; t++, path /= C) {
        const int now = path % C;
        if (now != 0 && now != before && (at == count || labels[at++] != now))
            return false;
        before = now;
    }
    return at == count;
}

static void test_all_paths(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const clg_ctc_options o = {.reduction = CLG_REDUCE_NONE};
    clg_var x = logits(g, real());
    double *log_p = support_values(clg_log_softmax(x, -1)), want[N];
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int path = 0; path < (int)pow(C, input_lengths[n]); path++) {
            double p = 0;
            for (int t = 0, rest = path; t < input_lengths[n]; t++, rest /= C)
                p += log_p[(t * N + n) * C + rest % C];
            if (spells(path, input_lengths[n], &labels_0[n * S], label_lengths[n]))
                sum += exp(p);
        }
        want[n] = -log(sum);
    }
    support_expect(loss_of(x, labels_0, &o), want, tolerance(), "all paths");
    free(log_p);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- probabilities of 0, lengths out of range */

static void test_impossible(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    /* two steps, each the blank or class 1: three of the four paths spell 1, none spells 2 */
    const double half = log(0.5), log_p[] = {half, half, -INFINITY, half, half, -INFINITY};
    const int32_t numbers[] = {1, 2, 0};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(2, 1, 3), log_p), one = clg_array(g, CLG_I32, CLG_SHAPE(1), numbers);
    clg_var two = clg_array(g, CLG_I32, CLG_SHAPE(1), numbers + 1), slope;
    clg_var loss = clg_ctc_loss(x, clg_reshape(one, CLG_SHAPE(1, 1)), two, one, NULL);
    clg_gradients(loss, &x, 1, &slope);
    assert_true(support_close(clg_item(loss), -log(0.75), tolerance()));
    support_expect(slope, (double[]){-1.0 / 3, -2.0 / 3, 0, -1.0 / 3, -2.0 / 3, 0}, tolerance(), "slopes");
    loss = clg_ctc_loss(x, clg_reshape(two, CLG_SHAPE(1, 1)), two, one, NULL);
    clg_gradients(loss, &x, 1, &slope);
    assert_true(clg_item(loss) == INFINITY);
    support_expect(slope, (double[]){0, 0, 0, 0, 0, 0}, 0, "slopes of what cannot be");
    const clg_ctc_options zero = {.zero_infinity = true};
    assert_true(clg_item(clg_ctc_loss(x, clg_reshape(two, CLG_SHAPE(1, 1)), two, one, &zero)) == 0);
    /* no steps, and no labels at all */
    clg_var none = clg_array(g, CLG_I32, CLG_SHAPE(1), numbers + 2), nothing = clg_full(g, CLG_I32, CLG_SHAPE(1, 0), 0);
    assert_true(clg_item(clg_ctc_loss(x, clg_reshape(one, CLG_SHAPE(1, 1)), none, none, NULL)) == 0);
    assert_true(clg_item(clg_ctc_loss(x, clg_reshape(one, CLG_SHAPE(1, 1)), none, one, NULL)) == INFINITY);
    assert_true(support_close(clg_item(clg_ctc_loss(x, nothing, two, none, NULL)), -log(0.25), tolerance()));
    clg_graph_free(g);
}

static void test_out_of_range(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t labels[N * S] = {1, 2, 3, 2, 4, 1, 3, -1, 1, 1, 2, 1, 1, 1, 1, 2, 3, 1};
    const int32_t steps[N] = {5, 5, 5, 6, 5, -1}, counts[N] = {3, 3, 3, 3, 4, 3};
    const clg_ctc_options rows = {.reduction = CLG_REDUCE_NONE, .zero_infinity = true};
    clg_var loss = clg_ctc_loss(clg_log_softmax(logits(g, real()), -1), clg_array(g, CLG_I32, CLG_SHAPE(N, S), labels),
                                lengths(g, steps), lengths(g, counts), &rows);
    double *values = support_values(loss);
    for (int n = 0; n < N; n++)
        assert_true(isnan(values[n]) == (n > 0));
    free(values);
    clg_graph_free(g);
}

/* What is beyond a row's steps is not read. */
static void test_beyond(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const clg_ctc_options o = {.zero_infinity = true, .reduction = CLG_REDUCE_SUM};
    double *log_p = support_values(clg_log_softmax(logits(g, real()), -1));
    clg_var loss[2], slope[2];
    for (int wild = 0; wild < 2; wild++) {
        for (int i = 0; i < T * N * C; i++)
            if (wild && i / (N * C) >= input_lengths[i / C % N])
                log_p[i] = i % 2 ? NAN : INFINITY;
        clg_var x = support_leaf(g, real(), CLG_SHAPE(T, N, C), log_p);
        loss[wild] = clg_ctc_loss(x, clg_array(g, CLG_I32, CLG_SHAPE(N, S), labels_0), lengths(g, input_lengths),
                                  lengths(g, label_lengths), &o);
        clg_gradients(loss[wild], &x, 1, &slope[wild]);
    }
    double *slopes = support_values(slope[0]);
    assert_true(clg_item(loss[1]) == clg_item(loss[0]));
    support_expect(slope[1], slopes, 0, "with NaN beyond");
    free(slopes);
    free(log_p);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- gradients of both orders, refusals */

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    const clg_ctc_options rows = {.reduction = CLG_REDUCE_NONE, .zero_infinity = true}, mean = {.blank = 3};
    clg_var x = logits(g, CLG_F64);
    support_expect_gradients(loss_of(x, labels_0, &rows), &x, 1, &random, "ctc_loss");
    support_expect_gradients(loss_of(x, labels_3, &mean), &x, 1, &random, "mean of ctc_loss");
    clg_graph_free(g);
}

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = logits(g, CLG_F32), labels = clg_array(g, CLG_I32, CLG_SHAPE(N, S), labels_0);
    clg_var steps = lengths(g, input_lengths), counts = lengths(g, label_lengths);
    support_expect_error(clg_ctc_loss(clg_index(x, 0, 0), labels, steps, counts, NULL),
                         "ctc_loss: log_probability (6, 4) and labels i32 (6, 3) must be (t, n, classes)");
    support_expect_error(clg_ctc_loss(clg_slice(x, 0, 0, 0, 1), labels, steps, counts, NULL), "(0, 6, 4)");
    support_expect_error(clg_ctc_loss(x, clg_transpose(labels), steps, counts, NULL), "labels i32 (3, 6)");
    support_expect_error(clg_ctc_loss(x, clg_cast(labels, CLG_F32), steps, counts, NULL), "labels f32 (6, 3)");
    support_expect_error(clg_ctc_loss(x, labels, clg_slice(steps, 0, 0, 2, 1), counts, NULL),
                         "input_lengths i32 (2) must be i32 or u8 (6), one for each row");
    support_expect_error(clg_ctc_loss(x, labels, steps, clg_cast(counts, CLG_F32), NULL), "label_lengths f32 (6)");
    support_expect_error(clg_ctc_loss(x, labels, steps, CLG_NONE, NULL), "ctc_loss: operand 3 is not a variable");
    const clg_ctc_options no_class = {.blank = C}, odd = {.reduction = (clg_reduction)3};
    support_expect_error(clg_ctc_loss(x, labels, steps, counts, &no_class), "blank 4 is no class: 0..3");
    support_expect_error(clg_ctc_loss(x, labels, steps, counts, &odd), "there is no reduction 3");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorch),    cmocka_unit_test(test_all_paths),
                                       cmocka_unit_test(test_impossible), cmocka_unit_test(test_out_of_range),
                                       cmocka_unit_test(test_beyond),     cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
