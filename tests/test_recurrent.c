/* Recurrent networks and their gradients against PyTorch 2.15 in f64, and against differences. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(clg_dtype dtype) { return dtype == CLG_F64 ? 1e-9 : 1e-5; }

enum { T = 3, B = 3, I = 2, H = 2, MOST_VALUES = 128, MOST_OUTPUTS = 24, MOST_SETS = 4 };

typedef clg_recurrent network(clg_var, const clg_recurrent_weights *, const clg_recurrent_options *);

/* ---------------------------------------------------------------- against PyTorch */

/* Every operand is sin(1.7 i + phase) at its elements i; what is wanted of an array are its elements times
 * sin(2.3 i + 1), added up. */
static clg_var wave(clg_graph *g, clg_dtype dtype, clg_shape shape, double phase)
{
    double values[MOST_VALUES];
    const int count = (int)clg_shape_count(shape);
    assert_true(count <= MOST_VALUES);
    for (int i = 0; i < count; i++)
        values[i] = sin(1.7 * i + phase);
    return support_leaf(g, dtype, shape, values);
}

static double mixed(clg_var x)
{
    double *values = support_values(x), sum = 0;
    for (int i = 0; i < clg_shape_count(clg_shape_of(x)); i++)
        sum += values[i] * sin(2.3 * i + 1);
    free(values);
    return sum;
}

/* Of y, h, c (of a cell), then of the gradients for x, the states at the start, and the weights in their order, of
 * sum(y sin(1.7 i + 0.4)) + sum(h h) + sum(c c). */
typedef struct wanted {
    const char *name;
    network *apply;
    bool cell;
    int layers;
    bool both_ways, relu, states, bias;
    int32_t lengths[B]; /* the first one 0: none */
    double want[MOST_OUTPUTS];
} wanted;

static const wanted cases[] = {
    {"rnn",
     clg_rnn,
     false,
     1,
     false,
     false,
     false,
     true,
     {0},
     {0.617445884698, -0.906304471157, 0.66362109513, 2.59194170818, 1.40353509874, 4.15087449298, 4.15087449298}},
    {"rnn, relu",
     clg_rnn,
     false,
     1,
     true,
     true,
     true,
     true,
     {0},
     {16.9883567461, 0.971564619469, -2.10839928274, -1.09624031211, 1.18412241014, 12.9631133655, 16.5823114768,
      16.5823114768, -13.6479285379, -15.4113749336, 8.22936658108, 8.22936658108}},
    {"rnn, lengths",
     clg_rnn,
     false,
     2,
     true,
     false,
     true,
     false,
     {3, 1, 2},
     {3.80702408945, 0.715354068172, -0.34786205725, 3.50014253045, -2.24837672504, 0.751851630469, 0.783351812876,
      -2.05220383505, -0.660415652064, -0.688289036951, 1.52148184884, 1.18063944931}},
    {"lstm",
     clg_lstm,
     true,
     1,
     false,
     false,
     false,
     true,
     {0},
     {-0.186820672348, -0.0517954822921, 0.101644724354, -0.12655211469, 0.35173747027, -0.140192098742,
      -0.0039152828275, -0.0039152828275}},
    {"lstm, layers",
     clg_lstm,
     true,
     2,
     true,
     false,
     true,
     true,
     {0},
     {0.556866640681,  -0.552278084064, -0.0675197645901, -1.22623539678,  0.951583550738, -2.45525066675,
      -1.34651044067,  -0.24163349034,  2.61485827388,    2.61485827388,   -1.0208341517,  -0.150257970619,
      -0.291731686723, -0.291731686723, 0.407209665773,   -0.233841879257, 0.486825130984, 0.486825130984,
      -0.725635594738, -0.486224207801, 2.39851370024,    2.39851370024}},
    {"lstm, lengths",
     clg_lstm,
     true,
     2,
     true,
     false,
     true,
     true,
     {3, 1, 2},
     {1.60165215173,   -0.36385817665,  -0.312676975337, -0.185902599821, 0.816736559848,  -2.94837133003,
      -0.666612465579, -0.329626701691, 1.85173418478,   1.85173418478,   -0.567404136849, -0.0876785809036,
      0.211817069633,  0.211817069633,  0.173179038945,  -0.318940091051, -0.369478230243, -0.369478230243,
      -0.412877218379, -0.571498984284, 2.55129825226,   2.55129825226}},
    {"gru",
     clg_gru,
     false,
     1,
     false,
     false,
     false,
     true,
     {0},
     {-0.427249074615, 0.00843505995019, -0.351583611499, -0.120031261281, -0.0516377630743, 0.528046838865,
      0.227981487741}},
    {"gru, no bias",
     clg_gru,
     false,
     1,
     false,
     false,
     false,
     false,
     {2, 3, 1},
     {-0.990009323244, -0.303346282132, -2.25417414113, 1.68743087014, -0.104301091981}},
    {"gru, lengths", clg_gru, false, 2, true, false, true, true, {3, 1, 2}, {2.71186740886,   0.0291249373805,
                                                                             0.987377878651,  -4.07315530072,
                                                                             0.0850755359385, -0.319174262309,
                                                                             2.15777291842,   1.75247946431,
                                                                             -0.652673393699, -0.0843535064547,
                                                                             0.0356791980354, 0.204740823545,
                                                                             -0.727679688065, -0.159854328059,
                                                                             -1.27103519702,  -0.841786555195,
                                                                             -0.183969209084, -1.02048847416,
                                                                             3.09075272845,   2.81453640927}},
};

static int gates_of(network *apply) { return apply == clg_lstm ? 4 : apply == clg_gru ? 3 : 1; }

/* Weights of so many sets; those that there are also one behind the other in leaves. Returns how many. */
static int make_weights(clg_graph *g, clg_dtype dtype, const wanted *w, clg_recurrent_weights *sets, clg_var *leaves)
{
    const int directions = w->both_ways ? 2 : 1, rows = gates_of(w->apply) * H;
    int count = 0;
    for (int k = 0; k < w->layers * directions; k++) {
        const clg_shape in = CLG_SHAPE(rows, k < directions ? I : directions * H);
        sets[k] = (clg_recurrent_weights){wave(g, dtype, in, 4 * k + 0.5),
                                          wave(g, dtype, CLG_SHAPE(rows, H), 4 * k + 1.5), CLG_NONE, CLG_NONE};
        leaves[count++] = sets[k].weight_ih;
        leaves[count++] = sets[k].weight_hh;
        if (w->bias) {
            leaves[count++] = sets[k].bias_ih = wave(g, dtype, CLG_SHAPE(rows), 4 * k + 2.5);
            leaves[count++] = sets[k].bias_hh = wave(g, dtype, CLG_SHAPE(rows), 4 * k + 3.5);
        }
    }
    return count;
}

/* x, with NaN beyond the lengths, which nobody may read. */
static clg_var inputs(clg_graph *g, clg_dtype dtype, const int32_t *lengths)
{
    double values[T * B * I];
    for (int i = 0; i < T * B * I; i++)
        values[i] = lengths[0] && i / (B * I) >= lengths[i / I % B] ? NAN : sin(1.7 * i + 0.1);
    return support_leaf(g, dtype, CLG_SHAPE(T, B, I), values);
}

static clg_var total(clg_var x) { return clg_sum(x, CLG_ALL_AXES, false); }

static void expect_case(const wanted *w, clg_dtype dtype)
{
    clg_graph *g = clg_graph_new(device);
    clg_recurrent_weights sets[MOST_SETS];
    clg_var leaves[MOST_OUTPUTS], outputs[MOST_OUTPUTS];
    const clg_shape states = CLG_SHAPE(w->layers * (w->both_ways ? 2 : 1), B, H);
    clg_recurrent_options o = {.layers = w->layers, .both_ways = w->both_ways, .relu = w->relu};
    int leaf_count = 0, count = 0;
    clg_var x = leaves[leaf_count++] = inputs(g, dtype, w->lengths);
    if (w->lengths[0])
        o.lengths = clg_array(g, CLG_I32, CLG_SHAPE(B), w->lengths);
    if (w->states)
        leaves[leaf_count++] = o.h = wave(g, dtype, states, 0.2);
    if (w->states && w->cell)
        leaves[leaf_count++] = o.c = wave(g, dtype, states, 0.3);
    leaf_count += make_weights(g, dtype, w, sets, leaves + leaf_count);
    const clg_recurrent r = w->apply(x, sets, &o);
    outputs[count++] = r.y;
    outputs[count++] = r.h;
    clg_var loss = clg_add(total(clg_mul(r.y, wave(g, dtype, clg_shape_of(r.y), 0.4))), total(clg_square(r.h)));
    if (w->cell) {
        outputs[count++] = r.c;
        loss = clg_add(loss, total(clg_square(r.c)));
    }
    clg_gradients(loss, leaves, leaf_count, outputs + count);
    count += leaf_count;
    clg_program *p = clg_compile(g, outputs, count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s: %s", w->name, clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    assert_true(clg_shape_equal(clg_shape_of(r.h), states) && clg_dtype_of(r.y) == dtype);
    for (int i = 0; i < count; i++) {
        const double got = mixed(outputs[i]);
        if (!support_close(got, w->want[i], tolerance(dtype)))
            fail_msg("%s: output %d: %.12g, not %.12g", w->name, i, got, w->want[i]);
    }
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_case(&cases[i], real());
}

static void test_f32(void **state)
{
    (void)state;
    expect_case(&cases[5], CLG_F32);
}

/* Every element of one case. */
static void test_outputs(void **state)
{
    (void)state;
    static const double want[] = {
        -0.252762521976,  -0.0603706668601, -0.189845327589,   -0.17261416927,  -0.0749500920487, -0.0519124116703,
        -0.254802887749,  -0.241845771299,  0.000467563034604, -0.161572502274, -0.221409870462,  -0.179693737063,
        -0.0386758835008, -0.163788416189,  -0.238722791428,   -0.291207174082, -0.122371112243,  -0.142772475008};
    const wanted *w = &cases[3];
    clg_graph *g = clg_graph_new(device);
    clg_recurrent_weights set;
    clg_var leaves[4];
    make_weights(g, real(), w, &set, leaves);
    const clg_recurrent r = clg_lstm(inputs(g, real(), w->lengths), &set, NULL);
    support_expect(r.y, want, tolerance(real()), "lstm");
    support_expect(r.h, want + 2 * B * H, tolerance(real()), "lstm's last state");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- lengths */

static void test_lengths(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const wanted gru = {.apply = clg_gru, .layers = 1, .both_ways = true, .bias = true};
    const int32_t lengths[] = {0, 7, -1};
    const double from[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    clg_recurrent_weights sets[2];
    clg_var leaves[8], x = wave(g, CLG_F32, CLG_SHAPE(T, B, I), 0.1);
    make_weights(g, CLG_F32, &gru, sets, leaves);
    clg_recurrent_options o = {.both_ways = true, .h = support_leaf(g, CLG_F32, CLG_SHAPE(2, B, H), from)};
    const clg_recurrent all = clg_gru(x, sets, &o);
    o.lengths = clg_array(g, CLG_I32, CLG_SHAPE(B), lengths);
    const clg_recurrent some = clg_gru(x, sets, &o);
    double *y = support_values(some.y), *whole = support_values(all.y), *h = support_values(some.h);
    for (int i = 0; i < T * B * 2 * H; i++)
        assert_true(y[i] == (i / (2 * H) % B == 1 ? whole[i] : 0));
    for (int i = 0; i < 2 * B * H; i++)
        assert_true(i / H % B == 1 || h[i] == from[i]);
    free(y);
    free(whole);
    free(h);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- gradients of both orders */

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    static network *const networks[] = {clg_rnn, clg_lstm, clg_gru};
    static const char *const names[] = {"rnn", "lstm", "gru"};
    const int32_t lengths[] = {2, 3, 1};
    clg_random random = clg_random_new(support_seed(), 1);
    for (int i = 0; i < 3; i++) {
        clg_graph *g = clg_graph_new(device);
        const wanted w = {.apply = networks[i], .layers = 1, .both_ways = true, .bias = true};
        clg_recurrent_weights sets[2];
        clg_var leaves[8], x = wave(g, CLG_F64, CLG_SHAPE(T, B, I), 0.1);
        make_weights(g, CLG_F64, &w, sets, leaves);
        clg_recurrent_options o = {.both_ways = true, .h = wave(g, CLG_F64, CLG_SHAPE(2, B, H), 0.2)};
        o.lengths = clg_array(g, CLG_I32, CLG_SHAPE(B), lengths);
        const clg_recurrent r = networks[i](x, sets, &o);
        clg_var ends = clg_concat((clg_var[]){r.h, networks[i] == clg_lstm ? r.c : r.h}, 2, 0);
        clg_var y = clg_concat((clg_var[]){clg_reshape(r.y, CLG_SHAPE(-1)), clg_reshape(ends, CLG_SHAPE(-1))}, 2, 0);
        const clg_var of[] = {x, o.h, sets[0].weight_ih, sets[1].weight_hh, sets[1].bias_hh};
        support_expect_gradients(y, of, 5, &random, names[i]);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- refusals */

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    const wanted lstm = {.apply = clg_lstm, .layers = 1, .both_ways = true, .bias = true};
    clg_recurrent_weights sets[2], wrong[2];
    clg_var leaves[8], x = wave(g, CLG_F32, CLG_SHAPE(T, B, I), 0.1), ones = clg_full(g, CLG_I32, CLG_SHAPE(B), 1);
    make_weights(g, CLG_F32, &lstm, sets, leaves);
    support_expect_error(clg_lstm(clg_index(x, 0, 0), sets, NULL).y, "lstm: x (3, 2) must be (t, b, in)");
    support_expect_error(clg_lstm(clg_slice(x, 0, 0, 0, 1), sets, NULL).y, "at least one step");
    support_expect_error(clg_lstm(x, NULL, NULL).h, "1 layers and no weights");
    support_expect_error(clg_lstm(x, sets, &(clg_recurrent_options){.layers = -1}).c, "-1 layers and their weights");
    support_expect_error(clg_gru(x, sets, NULL).y, "weights[0].weight_ih f32 (8, 2) must be f32 or f64 (6, 2)");
    memcpy(wrong, sets, sizeof sets);
    wrong[1].bias_hh = clg_slice(wrong[1].bias_hh, 0, 0, 3, 1);
    const clg_recurrent_options both = {.both_ways = true};
    support_expect_error(clg_lstm(x, wrong, &both).y, "weights[1].bias_hh f32 (3) must be f32 or f64 (8)");
    wrong[1].bias_hh = clg_cast(sets[1].bias_hh, CLG_I32);
    support_expect_error(clg_lstm(x, wrong, &both).y, "weights[1].bias_hh i32 (8) must be f32 or f64 (8)");
    wrong[0].weight_hh = wrong[0].bias_hh;
    support_expect_error(clg_lstm(x, wrong, &both).y, "weights[0].weight_hh (8) must be (4 h, h)");
    wrong[0].weight_hh = CLG_NONE;
    support_expect_error(clg_lstm(x, wrong, &both).y, "lstm: operand 1 is not a variable");
    support_expect_error(clg_lstm(clg_full(other, CLG_F32, CLG_SHAPE(T, B, I), 0), sets, NULL).y, "of the graph of");
    clg_recurrent_options o = {.both_ways = true, .h = clg_full(g, CLG_F32, CLG_SHAPE(1, B, H), 0)};
    support_expect_error(clg_lstm(x, sets, &o).y, "lstm: h f32 (1, 3, 2) must be f32 or f64 (2, 3, 2)");
    o = (clg_recurrent_options){.both_ways = true, .c = clg_full(g, CLG_F32, CLG_SHAPE(2, B, H + 1), 0)};
    support_expect_error(clg_lstm(x, sets, &o).y, "lstm: c f32 (2, 3, 3) must be f32 or f64 (2, 3, 2)");
    o = (clg_recurrent_options){.both_ways = true, .lengths = clg_cast(ones, CLG_F32)};
    support_expect_error(clg_lstm(x, sets, &o).y, "lengths f32 (3) must be i32 (3), one for each row of x (3, 3, 2)");
    o.lengths = clg_slice(ones, 0, 0, 2, 1);
    support_expect_error(clg_lstm(x, sets, &o).y, "lengths i32 (2) must be i32 (3)");
    /* integers are inputs, too */
    o.lengths = CLG_NONE;
    assert_true(clg_dtype_of(clg_lstm(clg_cast(x, CLG_I32), sets, &o).y) == CLG_F32);
    assert_null(clg_graph_error(g));
    clg_graph_free(g);
    clg_graph_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorch),   cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_outputs),   cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
