/* Losses and their gradients against those of PyTorch 2.15 in f64, to ten digits. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(void) { return real() == CLG_F64 ? 2e-9 : 1e-5; }

typedef struct wanted {
    const char *name;
    double value[12], slope[12]; /* slope: of the sum of the values */
} wanted;

/* Gradients follow their values in outputs. */
static void expect_all(clg_graph *g, clg_var *outputs, const wanted *want, int count)
{
    clg_program *p = clg_compile(g, outputs, 2 * count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    for (int i = 0; i < count; i++) {
        support_expect(outputs[2 * i], want[i].value, tolerance(), want[i].name);
        support_expect(outputs[2 * i + 1], want[i].slope, tolerance() * 100, want[i].name);
    }
    clg_program_free(p);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- elementwise */

static const double p[] = {-0.73, -0.91, -0.84, 1, -0.3, 2.91}, t[] = {-1.4, -0.76, 0.63, -0.9, -0.56, 0.69};
static const double probability[] = {0, 1, 0.11, 0.33, 0.35, 0.37}, target[] = {0, 1, 0, 0.4, 0.04, 0.35};
static const double sign[] = {1, -1, 1, 1, -1, -1}, variances[] = {0.5, 1, 2, 0.25, 1e-9, 3};

/* Of the binary cross entropy's slopes the first two are not PyTorch's, which has 0 for both. */
static const wanted elementwise[] = {
    {"l1", {0.67, 0.15, 1.47, 1.9, 0.26, 2.22}, {1, -1, -1, 1, 1, 1}},
    {"l2", {0.4489, 0.0225, 2.1609, 3.61, 0.0676, 4.9284}, {1.34, -0.3, -2.94, 3.8, 0.52, 4.44}},
    {"huber", {0.22445, 0.01125, 0.856, 1.2, 0.0338, 1.456}, {0.67, -0.15, -0.8, 0.8, 0.26, 0.8}},
    {"smooth_l1", {0.2805625, 0.0140625, 1.07, 1.5, 0.04225, 1.82}, {0.8375, -0.1875, -1, 1, 0.325, 1}},
    {"binary_cross_entropy",
     {0, 0, 0.1165338163, 0.6837515898, 0.4555444844, 0.6483113444},
     {1, -1, 1.123595506, -0.3165988241, 1.362637363, 0.0858000858}},
    {"binary_cross_entropy_with_logits",
     {0.3933311148, 1.24827363, 0.3588698997, 0.9132616875, 0.5663552445, 1.944543705},
     {0.3251947274, -0.7130001628, 0.301534784, 0.3310585786, 0.3855574832, 0.5983385645}},
    {"kl_divergence", {0, 0.91, 0, -0.7665162927, -0.116755033, -1.385937744}, {0, -1, 0, -0.4, -0.04, -0.35}},
    {"poisson_nll",
     {0.4819089901, 1.312524224, 0.4317105234, 2.318281828, 0.7528182207, 17.33829857},
     {0.4819089901, -0.597475776, 0.4317105234, 2.318281828, 0.7008182207, 18.00679857}},
    {"gaussian_nll",
     {0.1023264097, 0.01125, 0.8867985903, 6.526852819, 33793.09224, 1.370706144},
     {1.34, -0.15, -0.735, 7.6, 260000, 0.74}},
    {"hinge", {1.73, 0.09, 1.84, 0, 0.7, 3.91}, {-1, 1, -1, 0, 1, 1}},
};

static void test_elementwise(void **state)
{
    (void)state;
    enum { N = 6, COUNT = sizeof elementwise / sizeof *elementwise };
    clg_graph *g = clg_graph_new(device);
    const clg_shape shape = CLG_SHAPE(N);
    const clg_reduction none = CLG_REDUCE_NONE;
    clg_var x = support_leaf(g, real(), shape, p), y = support_leaf(g, real(), shape, t);
    clg_var q = support_leaf(g, real(), shape, probability), w = support_leaf(g, real(), shape, target);
    clg_var s = support_leaf(g, real(), shape, sign), v = support_leaf(g, real(), shape, variances);
    const clg_var losses[COUNT] = {clg_l1_loss(x, y, none),
                                   clg_l2_loss(x, y, none),
                                   clg_huber_loss(x, y, 0.8, none),
                                   clg_smooth_l1_loss(x, y, 0.8, none),
                                   clg_binary_cross_entropy(q, w, none),
                                   clg_binary_cross_entropy_with_logits(x, w, none),
                                   clg_kl_divergence(x, w, none),
                                   clg_poisson_nll_loss(x, w, none),
                                   clg_gaussian_nll_loss(x, y, v, none),
                                   clg_hinge_loss(x, s, none)};
    clg_var outputs[2 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        outputs[2 * i] = losses[i];
        clg_gradients(losses[i], strcmp(elementwise[i].name, "binary_cross_entropy") ? &x : &q, 1, &outputs[2 * i + 1]);
    }
    expect_all(g, outputs, elementwise, COUNT);
}

static void test_reductions(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    /* what is far on the right side keeps its digits; nothing of nothing is nothing */
    const double far = 15, none[] = {0, 0}, logs[] = {-INFINITY, 0}, small = 3.0590222692562472e-07;
    clg_var sure = clg_binary_cross_entropy_with_logits(support_leaf(g, CLG_F32, CLG_SCALAR, &far),
                                                        clg_full(g, CLG_F32, CLG_SCALAR, 1), CLG_REDUCE_NONE);
    assert_true(support_close(clg_item(sure) / small, 1, 1e-5));
    clg_var absent = support_leaf(g, CLG_F32, CLG_SHAPE(2), none), log = support_leaf(g, CLG_F32, CLG_SHAPE(2), logs);
    support_expect(clg_kl_divergence(log, absent, CLG_REDUCE_NONE), none, 0, "kl_divergence");
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(2, 3), p), y = support_leaf(g, CLG_F32, CLG_SHAPE(2, 3), t);
    const double mean = 6.67 / 6, sum = 6.67;
    support_expect(clg_l1_loss(x, y, CLG_REDUCE_MEAN), &mean, 1e-6, "mean");
    support_expect(clg_l1_loss(x, y, CLG_REDUCE_SUM), &sum, 1e-6, "sum");
    /* differences of integers are not taken modulo 256 */
    const uint8_t bytes[] = {200, 0};
    clg_var a = clg_array(g, CLG_U8, CLG_SCALAR, bytes), b = clg_array(g, CLG_U8, CLG_SCALAR, bytes + 1);
    assert_true(clg_item(clg_mean_squared_error(b, a)) == 40000);
    assert_true(clg_item(clg_l1_loss(b, a, CLG_REDUCE_MEAN)) == 200);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- of classes */

static const double logits[] = {0.45, -0.61, 0.24, 0.47, -1.95, -0.56, 0.43, -2.26, -0.2, 1.07, 0.32, -0.07};
static const double soft[] = {0.09, 0.75, 0.16, 0.8, 0.11, 0.1, 0.67, 0.12, 0.21, 0.24, 0.41, 0.34};
static const double images[] = {-0.55, -0.08, -0.14, -0.53, -0.49, -0.46, -0.06, 1.26, 1.19, 1.57, -0.9, -0.11};

static const wanted classes[] = {
    {"plain",
     {1.557805896},
     {0.115899563, 0.04015407703, -0.1560536401, -0.07710072697, 0.01537448302, 0.06172624395, 0.1562038476,
      -0.2393967361, 0.08319288851, 0.1394944829, 0.06589252802, -0.2053870109}},
    {"weights",
     {1.976537993},
     {0.115899563, 0.04015407703, -0.1560536401, -0.03084029079, 0.006149793206, 0.02469049758, 0.2499261561,
      -0.3830347777, 0.1331086216, 0.1394944829, 0.06589252802, -0.2053870109}},
    {"weights, smoothing, sum",
     {9.755073918},
     {0.5628311486, 0.1341037185, -0.6969348671, -0.06899833869, -0.03130535573, 0.1003036944, 1.18610296, -1.785021535,
      0.5989185749, 0.6808057479, 0.2627959734, -0.9436017213}},
    {"ignored",
     {1.764525389},
     {0, 0, 0, -0.1542014539, 0.03074896603, 0.1234524879, 0.3124076952, -0.4787934722, 0.166385777, 0, 0, 0}},
    {"weights, smoothing, ignored",
     {2.075287038},
     {0.1250735886, 0.02980082633, -0.1548744149, 0, 0, 0, 0.2635784355, -0.3966714521, 0.1330930166, 0.1512901662,
      0.05839910521, -0.2096892714}},
    {"nll", {-0.3, -0.235, 4.52, 0.0875}, {0, 0, -1.25, -0.5, 0, 0, 0, -2, 0, 0, 0, -1.25}},
    {"probabilities",
     {1.134269185},
     {0.09339956305, -0.147345923, 0.05394635992, -0.02537173424, -0.01197177215, 0.03734350639, -0.01129615242,
      -0.01939673609, 0.03069288851, 0.07809953808, -0.03726639726, -0.04083314082}},
    {"more axes",
     {4.330355353},
     {0.2802176695, 0.4307579137, -0.5777630319, 0.2746633723, 0.2975453624, -0.7054212861, -0.7968327642, 0.3820392537,
      0.7091233305, -0.4791180869, 0.0877094337, 0.09707883319}},
};

static void test_cross_entropy(void **state)
{
    (void)state;
    enum { COUNT = sizeof classes / sizeof *classes };
    clg_graph *g = clg_graph_new(device);
    const int32_t numbers[] = {2, 0, 1, 2}, pixels[] = {1, 2, 0, 1};
    const double weights[] = {0.5, 2, 1.25};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(4, 3), logits),
            z = support_leaf(g, real(), CLG_SHAPE(2, 3, 2), images);
    clg_var label = clg_array(g, CLG_I32, CLG_SHAPE(4), numbers), more = clg_array(g, CLG_I32, CLG_SHAPE(2, 2), pixels);
    clg_var w = support_leaf(g, real(), CLG_SHAPE(3), weights);
    const clg_cross_entropy_options weighted = {.weight = w}, ignored = {.ignores = true, .ignored = 2},
                                    sum = {.weight = w, .label_smoothing = 0.1, .reduction = CLG_REDUCE_SUM},
                                    all = {.weight = w, .label_smoothing = 0.1, .ignores = true},
                                    rows = {.weight = w, .reduction = CLG_REDUCE_NONE},
                                    plain_sum = {.weight = CLG_NONE, .reduction = CLG_REDUCE_SUM};
    const clg_var losses[COUNT] = {
        clg_cross_entropy(x, label, NULL),
        clg_cross_entropy(x, label, &weighted),
        clg_cross_entropy(x, label, &sum),
        clg_cross_entropy(x, label, &ignored),
        clg_cross_entropy(x, label, &all),
        clg_nll_loss(x, label, &rows),
        clg_cross_entropy_soft(x, support_leaf(g, real(), CLG_SHAPE(4, 3), soft), CLG_REDUCE_MEAN),
        clg_cross_entropy(z, more, &plain_sum)};
    clg_var outputs[2 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        outputs[2 * i] = losses[i];
        clg_gradients(losses[i], i + 1 < COUNT ? &x : &z, 1, &outputs[2 * i + 1]);
    }
    expect_all(g, outputs, classes, COUNT);
}

static void test_labels(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t numbers[] = {2, -1, 3, 0};
    const double want[] = {-0.24, NAN, NAN, -1.07};
    const clg_cross_entropy_options rows = {.reduction = CLG_REDUCE_NONE};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(4, 3), logits), label = clg_array(g, CLG_I32, CLG_SHAPE(4), numbers);
    support_expect(clg_nll_loss(x, label, &rows), want, 1e-6, "labels out of range");
    support_expect_error(clg_nll_loss(clg_reshape(x, CLG_SHAPE(12)), label, NULL), "cross_entropy: labels i32 (4)");
    support_expect_error(clg_cross_entropy(x, clg_reshape(label, CLG_SHAPE(4, 1)), NULL), "of the shape of (4, 3)");
    support_expect_error(clg_cross_entropy(x, clg_index(label, 0, 0), NULL), "without axis 1");
    support_expect_error(clg_cross_entropy(x, clg_cast(label, CLG_F32), NULL), "labels f32 (4)");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- of vectors */

static const double a[] = {0.44, 1.67, 0.2, -0.29, 0.54, 2.23, -1.44, 0.71, 1.1, -0.42, -0.06, -0.99};
static const double b[] = {-0.86, 0.01, -0.23, 0.37, -1.06, 0.57, 1.52, 0.07, -1.13, 1.21, -1.19, -0.87};
static const double c[] = {-0.71, 0.03, 0.25, 0.88, 0.56, -0.7, -0.54, -1.15, -1.09, -1.29, 0.59, 1.33};

static const wanted vectors[] = {
    {"cosine_similarity",
     {-0.3030678465, -0.2651251253, -0.2398378777},
     {-0.4631691862, 0.1688035352, -0.1158394645, 0.1894467893, -0.1768513076, 0.1803069291, 0.2310937926,
      0.03688776828, -0.2198015295, 0.312054568, -0.3547668539, -0.3551096867}},
    {"cosine_embedding",
     {1.303067847, 0, 0},
     {0.4631691862, -0.1688035352, 0.1158394645, -0.1894467893, 0, 0, 0, 0, 0, 0, 0, 0}},
    {"triplet_margin",
     {0.9305633372, 1.220779018, 0.6166732002},
     {0.08193329084, 0.03069108997, 0.212592623, 0.2110297514, 0.4259501454, -0.3810731203, -0.5266682832,
      -0.3506255498, 0.09679007699, -0.8038794526, 0.5711984733, 0.6482205382}},
};

static void test_vectors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double same[] = {1, -1, -1};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(3, 4), a), y = support_leaf(g, real(), CLG_SHAPE(3, 4), b);
    clg_var z = support_leaf(g, real(), CLG_SHAPE(3, 4), c), s = support_leaf(g, real(), CLG_SHAPE(3), same);
    clg_var outputs[6] = {clg_cosine_similarity(x, y, 1),
                          x,
                          clg_cosine_embedding_loss(x, y, s, -0.2, CLG_REDUCE_NONE),
                          x,
                          clg_triplet_margin_loss(x, y, z, 1, CLG_REDUCE_NONE),
                          x};
    for (int i = 0; i < 6; i += 2)
        clg_gradients(outputs[i], &x, 1, &outputs[i + 1]);
    expect_all(g, outputs, vectors, 3);
}

/* Both operands are broadcast before their norms are taken, though the axis is 1 long in one of them. */
static void test_broadcast_cosine(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double want[] = {-0.20127429834951427, 0.8903621085291625,  -0.7674441062533119,
                           0.20127429834951432,  -0.8903621085291625, 0.7674441062533119};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(1, 2, 3), a), y = support_leaf(g, real(), CLG_SHAPE(2, 1, 3), b);
    clg_var like = clg_cosine_similarity(x, y, -2);
    assert_true(clg_shape_equal(clg_shape_of(like), CLG_SHAPE(2, 3)));
    support_expect(like, want, tolerance(), "cosine_similarity");
    support_expect_error(clg_cosine_similarity(x, clg_reshape(y, CLG_SHAPE(3, 2)), 0), "(3, 2)");
    support_expect_error(clg_cosine_similarity(x, CLG_NONE, 0), "sub");
    clg_random random = clg_random_new(support_seed(), 1);
    const clg_var of[] = {x, support_leaf(g, real(), CLG_SHAPE(2, 1, 3), logits)};
    if (!strcmp(clg_device_get_info(device)->type, "host"))
        support_expect_gradients(clg_cosine_similarity(of[0], of[1], -2), of, 2, &random, "cosine_similarity");
    clg_graph_free(g);
}

static void test_parameters(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const clg_reduction none = CLG_REDUCE_NONE;
    const double l1[] = {0.67, 0.15, 1.47}, squares[] = {0.22445, 0.01125, 1.08045}, slopes[] = {1, -1, -1};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(3), p), y = support_leaf(g, real(), CLG_SHAPE(3), t), slope;
    clg_var loss = clg_smooth_l1_loss(x, y, 0, none);
    clg_gradients(loss, &x, 1, &slope);
    support_expect(loss, l1, 1e-6, "smooth_l1 with beta 0");
    support_expect(slope, slopes, 0, "its slope");
    support_expect(clg_huber_loss(x, y, INFINITY, none), squares, 1e-6, "huber with delta infinite");
    support_expect_error(clg_smooth_l1_loss(x, y, -1, none), "smooth_l1_loss: beta is -1; it must be at least 0");
    support_expect_error(clg_huber_loss(x, y, 0, none), "huber_loss: delta is 0; it must be above 0");
    support_expect_error(clg_huber_loss(x, y, NAN, none), "huber_loss: delta is");
    clg_var z = support_leaf(g, CLG_F32, CLG_SHAPE(4, 3), logits), label = clg_full(g, CLG_I32, CLG_SHAPE(4), 1);
    const clg_cross_entropy_options more = {.label_smoothing = 1.5}, less = {.label_smoothing = -0.1};
    support_expect_error(clg_cross_entropy(z, label, &more), "cross_entropy: label_smoothing 1.5 is not in 0..1");
    support_expect_error(clg_nll_loss(z, label, &less), "cross_entropy: label_smoothing -0.1 is not in 0..1");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_elementwise),   cmocka_unit_test(test_reductions),
                                       cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_labels),
                                       cmocka_unit_test(test_vectors),       cmocka_unit_test(test_broadcast_cosine),
                                       cmocka_unit_test(test_parameters)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
