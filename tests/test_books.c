/* Worked examples of the three "Deep Learning from Scratch" books, whose numbers readers know, by the functions that
 * docs/dezero.md names for theirs. */
#include "support.h"

#include <clgrad/functions.h>
#include <clgrad/nn.h>
#include <clgrad/optim.h>
#include <clgrad/transforms.h>

#include <math.h>
#include <string.h>

static clg_device *device;
static clg_graph *g;

#define VALUES(...) ((const double[]){__VA_ARGS__})
#define LEAF(shape, ...) support_leaf(g, CLG_F32, shape, VALUES(__VA_ARGS__))
#define SCALAR(x) support_leaf(g, CLG_F32, CLG_SCALAR, VALUES(x))
#define EXPECT(x, ...) support_expect(x, VALUES(__VA_ARGS__), 1e-5, #x)

static clg_var plus(clg_var x, double value) { return clg_add(x, clg_scalar_like(x, value)); }
static clg_var times(clg_var x, double value) { return clg_mul(x, clg_scalar_like(x, value)); }
static clg_var gradient(clg_var y, clg_var x)
{
    clg_var gx;
    assert_int_equal(clg_gradients(y, &x, 1, &gx), CLG_OK);
    return gx;
}

/* ---------------------------------------------------------------- book 1 */

static void buying_fruit(void)
{
    clg_var apple = SCALAR(100), apples = SCALAR(2), orange = SCALAR(150), oranges = SCALAR(3), tax = SCALAR(1.1);
    clg_var price = clg_mul(clg_add(clg_mul(apple, apples), clg_mul(orange, oranges)), tax);
    EXPECT(price, 715);
    assert_int_equal(clg_backward(price), CLG_OK);
    EXPECT(clg_grad(apple), 2.2);
    EXPECT(clg_grad(apples), 110);
    EXPECT(clg_grad(orange), 3.3);
    EXPECT(clg_grad(oranges), 165);
    EXPECT(clg_grad(tax), 650);
}

static void layers(void)
{
    clg_var x = LEAF(CLG_SHAPE(2, 2), 1, -0.5, -2, 3);
    EXPECT(clg_relu(x), 1, 0, 0, 3);
    EXPECT(gradient(clg_relu(x), x), 1, 0, 0, 1);
    clg_var z = SCALAR(0), y = clg_sigmoid(z);
    EXPECT(y, 0.5);
    EXPECT(gradient(y, z), 0.25); /* y (1 - y) */
    EXPECT(clg_softmax(LEAF(CLG_SHAPE(3), 0.3, 2.9, 4), 0), 0.01821127, 0.24519181, 0.73659691);
    EXPECT(clg_softmax(LEAF(CLG_SHAPE(3), 1010, 1000, 990), 0), 9.99954600e-01, 4.53978686e-05, 2.06106005e-09);
    clg_var weights = LEAF(CLG_SHAPE(2, 3), 0, 0, 0, 10, 10, 10), bias = LEAF(CLG_SHAPE(3), 1, 2, 3);
    const clg_linear affine = {LEAF(CLG_SHAPE(3, 2), 1, 0, 0, 1, 1, 1), LEAF(CLG_SHAPE(2), 1, 2)};
    EXPECT(clg_add(weights, bias), 1, 2, 3, 11, 12, 13);
    EXPECT(
        gradient(clg_sum(clg_mul(clg_add(weights, bias), LEAF(CLG_SHAPE(2, 3), 1, 2, 3, 4, 5, 6)), CLG_ALL_AXES, false),
                 bias),
        5, 7, 9);
    EXPECT(clg_linear_apply(affine, LEAF(CLG_SHAPE(1, 3), 1, 2, 3)), 5, 7);
}

static void losses(void)
{
    clg_var y = LEAF(CLG_SHAPE(1, 10), 0.1, 0.05, 0.6, 0, 0.05, 0.1, 0, 0.1, 0, 0);
    clg_var t = LEAF(CLG_SHAPE(1, 10), 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    EXPECT(times(clg_l2_loss(y, t, CLG_REDUCE_SUM), 0.5), 0.0975);
    clg_var label = clg_array(g, CLG_I64, CLG_SHAPE(1), (int64_t[]){2});
    EXPECT(clg_nll_loss(clg_log(plus(y, 1e-7)), label, NULL), 0.510825457099338);
    /* a net of one layer, its loss and the gradient of its weights */
    clg_var w = LEAF(CLG_SHAPE(2, 3), 0.47355232, 0.9977393, 0.84668094, 0.85557411, 0.03563661, 0.69422093);
    clg_var p = clg_matmul(LEAF(CLG_SHAPE(1, 2), 0.6, 0.9), w), loss = clg_softmax_cross_entropy(p, label);
    EXPECT(p, 1.05414809, 0.63071653, 1.1328074);
    EXPECT(loss, 0.92806853);
    EXPECT(gradient(loss, w), 0.21924763, 0.14356247, -0.36281009, 0.32887144, 0.2153437, -0.54421514);
    clg_var both = LEAF(CLG_SHAPE(2), 3, 4), squares = clg_sum(clg_square(both), CLG_ALL_AXES, false);
    EXPECT(gradient(squares, both), 6, 8);
}

static void convolutions(void)
{
    clg_var x = LEAF(CLG_SHAPE(1, 1, 4, 4), 1, 2, 3, 0, 0, 1, 2, 3, 3, 0, 1, 2, 2, 3, 0, 1);
    clg_var w = LEAF(CLG_SHAPE(1, 1, 3, 3), 2, 0, 1, 0, 1, 2, 1, 0, 2);
    EXPECT(clg_conv(x, w, (clg_conv_options){0}), 15, 16, 6, 15);
    EXPECT(plus(clg_conv(x, w, (clg_conv_options){0}), 3), 18, 19, 9, 18);
    EXPECT(clg_conv(x, w, (clg_conv_options){.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)}), 7, 12, 10, 2, 4, 15,
           16, 10, 10, 6, 15, 6, 8, 10, 4, 3);
    clg_var y = LEAF(CLG_SHAPE(1, 1, 4, 4), 1, 2, 1, 0, 0, 1, 2, 3, 3, 0, 1, 2, 2, 4, 0, 1);
    EXPECT(clg_max_pool(y, (clg_pool_options){.size = CLG_SHAPE(2, 2), .stride = CLG_SHAPE(2, 2)}), 2, 3, 4, 2);
    EXPECT(clg_avg_pool(y, (clg_pool_options){.size = CLG_SHAPE(2, 2), .stride = CLG_SHAPE(2, 2)}), 1, 1.5, 2.25, 1);
    clg_var pictures = clg_full(g, CLG_F32, CLG_SHAPE(10, 3, 7, 7), 1);
    clg_var columns = clg_unfold(pictures, CLG_SHAPE(5, 5), CLG_SCALAR, CLG_SCALAR, CLG_SCALAR);
    assert_true(clg_shape_equal(clg_shape_of(columns), CLG_SHAPE(10, 75, 9))); /* the book's rows are columns here */
    clg_var folded = clg_fold(columns, CLG_SHAPE(7, 7), CLG_SHAPE(5, 5), CLG_SCALAR, CLG_SCALAR, CLG_SCALAR);
    EXPECT(clg_max(folded, CLG_ALL_AXES, false), 9);
    clg_var full = clg_full(g, CLG_F32, CLG_SHAPE(1, 5, 15, 15), 1),
            kernel = clg_full(g, CLG_F32, CLG_SHAPE(8, 5, 3, 3), 1);
    const clg_conv_options padded = {.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)};
    assert_true(clg_shape_equal(clg_shape_of(clg_conv(full, kernel, padded)), CLG_SHAPE(1, 8, 15, 15)));
}

/* Momentum and Adam on x^2 / 20 + y^2 from (-7, 2), as the book draws their paths; here their first steps. */
static void optimizers(void)
{
    for (int kind = 0; kind < 3; kind++) {
        clg_var p = LEAF(CLG_SHAPE(2), -7, 2);
        clg_var loss = clg_sum(clg_mul(clg_square(p), LEAF(CLG_SHAPE(2), 0.05, 1)), CLG_ALL_AXES, false);
        clg_sgd_options sgd = clg_sgd_defaults();
        clg_adam_options adam = clg_adam_defaults();
        sgd.lr = kind == 0 ? 0.95 : 0.1;
        sgd.momentum = kind == 0 ? 0 : 0.9;
        adam.lr = 0.3;
        clg_optimizer *o = kind < 2 ? clg_sgd(&p, 1, &sgd) : clg_adam(&p, 1, &adam);
        clg_program *step = clg_compile(g, (clg_var[]){clg_minimize(o, loss)}, 1);
        assert_true(step && clg_run(step) == CLG_OK && clg_run(step) == CLG_OK);
        if (kind == 0)
            EXPECT(p, -5.733175, 1.62); /* each step times 1 - 0.95 (0.1, 2) */
        else if (kind == 1)
            EXPECT(p, -6.7977, 0.92);
        else
            support_expect(p, VALUES(-6.4, 1.4), 2e-3, "adam"); /* nearly the rate, each step, at first */
        clg_program_free(step);
        clg_optimizer_free(o);
    }
}

/* ---------------------------------------------------------------- book 2 */

static void words(void)
{
    double rows[21];
    for (int i = 0; i < 21; i++)
        rows[i] = i;
    clg_var w = support_leaf(g, CLG_F32, CLG_SHAPE(7, 3), rows),
            index = clg_array(g, CLG_I64, CLG_SHAPE(4), (int64_t[]){1, 0, 3, 0});
    clg_var picked = clg_gather(w, index);
    EXPECT(picked, 3, 4, 5, 0, 1, 2, 9, 10, 11, 0, 1, 2);
    clg_var ones = gradient(clg_sum(picked, CLG_ALL_AXES, false), w); /* row 0 was taken twice */
    EXPECT(clg_index(ones, 1, 0), 2, 1, 0, 1, 0, 0, 0);
    /* negative sampling: scores of a word that is there and of some that are not */
    clg_var scores = clg_sum(clg_mul(clg_gather(w, clg_array(g, CLG_I32, CLG_SHAPE(2), (int32_t[]){0, 1})),
                                     LEAF(CLG_SHAPE(2, 3), 1, 0, 0, 0, 0.5, 0)),
                             CLG_AXES(1), false);
    EXPECT(scores, 0, 2);
    EXPECT(clg_binary_cross_entropy_with_logits(scores, LEAF(CLG_SHAPE(2), 1, 0), CLG_REDUCE_SUM),
           log(2) + log1p(exp(2)));
}

/* One step, by the books' formulas. */
static void recurrent(void)
{
    enum { IN = 2, H = 2 };
    const double x[] = {0.5, -1}, before[] = {0.25, -0.5};
    const double w[8][IN] = {{0.1, 0.2}, {-0.3, 0.4}, {0.5, -0.6}, {0.7, 0.8},
                             {-0.9, 1},  {0.2, -0.1}, {0.4, 0.3},  {0.6, -0.5}};
    double sums[8], h[H], c[H];
    for (int i = 0; i < 8; i++)
        sums[i] = w[i][0] * x[0] + w[i][1] * x[1] + w[i][1] * before[0] + w[i][0] * before[1] + 0.1;
    for (int i = 0; i < H; i++) {
        const double in = 1 / (1 + exp(-sums[i])), forget = 1 / (1 + exp(-sums[H + i]));
        const double out = 1 / (1 + exp(-sums[3 * H + i]));
        c[i] = forget * before[i] + in * tanh(sums[2 * H + i]);
        h[i] = out * tanh(c[i]);
    }
    double own[8][IN], turned[8][IN], bias[8];
    for (int i = 0; i < 8; i++) {
        bias[i] = 0.1;
        for (int k = 0; k < IN; k++) {
            own[i][k] = w[i][k];
            turned[i][k] = w[i][1 - k];
        }
    }
    const clg_shape step = CLG_SHAPE(1, 1, IN);
    clg_recurrent_options o = {.h = support_leaf(g, CLG_F32, step, before),
                               .c = support_leaf(g, CLG_F32, step, before)};
    clg_recurrent_weights lstm = {.weight_ih = support_leaf(g, CLG_F32, CLG_SHAPE(8, IN), &own[0][0]),
                                  .weight_hh = support_leaf(g, CLG_F32, CLG_SHAPE(8, H), &turned[0][0]),
                                  .bias_ih = support_leaf(g, CLG_F32, CLG_SHAPE(8), bias)};
    clg_recurrent_weights rnn = {.weight_ih = clg_slice(lstm.weight_ih, 0, 0, H, 1),
                                 .weight_hh = clg_slice(lstm.weight_hh, 0, 0, H, 1),
                                 .bias_ih = clg_slice(lstm.bias_ih, 0, 0, H, 1)};
    clg_var input = support_leaf(g, CLG_F32, step, x);
    clg_recurrent y = clg_lstm(input, &lstm, &o);
    support_expect(y.h, h, 1e-6, "lstm: h");
    support_expect(y.c, c, 1e-6, "lstm: c");
    o.c = CLG_NONE;
    EXPECT(clg_rnn(input, &rnn, &o).y, tanh(sums[0]), tanh(sums[1]));
}

/* Attention as the book builds it: weights of the steps by inner products, then their weighted sum. */
static void attention(void)
{
    clg_var hs = LEAF(CLG_SHAPE(3, 2), 1, 0, 0, 1, 1, 1), h = LEAF(CLG_SHAPE(2), 1, 2);
    clg_var a = clg_softmax(clg_matmul(hs, h), 0), context = clg_matmul(a, hs);
    const double e[] = {exp(1), exp(2), exp(3)}, sum = exp(1) + exp(2) + exp(3);
    EXPECT(a, e[0] / sum, e[1] / sum, e[2] / sum);
    EXPECT(context, (e[0] + e[2]) / sum, (e[1] + e[2]) / sum);
    clg_var four = clg_attention(clg_reshape(h, CLG_SHAPE(1, 1, 1, 2)), clg_reshape(hs, CLG_SHAPE(1, 3, 1, 2)),
                                 clg_reshape(hs, CLG_SHAPE(1, 3, 1, 2)), &(clg_attention_options){.scale = 1});
    EXPECT(four, (e[0] + e[2]) / sum, (e[1] + e[2]) / sum);
}

/* ---------------------------------------------------------------- book 3 */

static void functions_to_minimize(void)
{
    clg_var x = SCALAR(1), y = SCALAR(1), z = clg_add(clg_square(x), clg_square(y)); /* sphere */
    EXPECT(gradient(z, x), 2);
    z = clg_sub(times(clg_add(clg_square(x), clg_square(y)), 0.26), times(clg_mul(x, y), 0.48)); /* Matyas */
    EXPECT(gradient(z, x), 0.04);
    clg_var s = plus(clg_add(x, y), 1), d = clg_sub(times(x, 2), times(y, 3)), xx = clg_square(x), yy = clg_square(y),
            xy = clg_mul(x, y); /* Goldstein and Price */
    clg_var a =
        clg_add(clg_add(times(xx, 3), times(xy, 6)), clg_add(times(yy, 3), plus(times(clg_add(x, y), -14), 19)));
    clg_var b = clg_add(clg_add(times(xx, 12), times(xy, -36)),
                        clg_add(times(yy, 27), plus(clg_add(times(x, -32), times(y, 48)), 18)));
    z = clg_mul(plus(clg_mul(clg_square(s), a), 1), plus(clg_mul(clg_square(d), b), 30));
    EXPECT(z, 1876);
    EXPECT(gradient(z, x), -5376);
    EXPECT(gradient(z, y), 8064);
    clg_var x0 = SCALAR(0), x1 = SCALAR(2); /* Rosenbrock */
    z = clg_add(times(clg_square(clg_sub(x1, clg_square(x0))), 100), clg_square(plus(x0, -1)));
    EXPECT(gradient(z, x0), -2);
    EXPECT(gradient(z, x1), 400);
}

static void higher_orders(void)
{
    static const double newton[] = {1.4545454545454546, 1.1510467893775467, 1.0253259289766978,
                                    1.0009084519430513, 1.0000012353089454, 1.000000000002289};
    clg_var x = SCALAR(2), y = clg_sub(clg_pow(x, clg_scalar_like(x, 4)), times(clg_square(x), 2));
    clg_var gx = gradient(y, x), ggx = gradient(gx, x), next = clg_sub(x, clg_div(gx, ggx));
    EXPECT(gx, 24);
    EXPECT(ggx, 44);
    EXPECT(clg_hessian(y, x), 44);
    clg_program *step = clg_compile(g, (clg_var[]){clg_after(y, clg_assign(x, next))}, 1);
    for (int i = 0; i < 6; i++) {
        assert_true(step && clg_run(step) == CLG_OK);
        EXPECT(x, newton[i]);
    }
    clg_program_free(step);
    clg_var v = SCALAR(2), w = clg_square(v), gw = gradient(w, v); /* double backpropagation */
    EXPECT(gradient(clg_add(clg_mul(clg_square(gw), gw), w), v), 100);
    clg_var t = SCALAR(1), sine = clg_sin(t);
    for (int i = 0; i < 4; i++) {
        EXPECT(sine, i == 0 ? sin(1) : i == 1 ? cos(1) : i == 2 ? -sin(1) : -cos(1));
        sine = gradient(sine, t);
    }
    clg_var u = LEAF(CLG_SHAPE(2), 1, 2), to = LEAF(CLG_SHAPE(2), 4, 5), cubes = clg_mul(clg_square(u), u), hu;
    assert_int_equal(clg_hvp(clg_sum(cubes, CLG_ALL_AXES, false), &u, &to, 1, &hu), CLG_OK);
    EXPECT(hu, 24, 60); /* 6 u v */
}

static void graphs_of_any_shape(void)
{
    clg_var x = SCALAR(2), a = clg_square(x), y = clg_add(clg_square(a), clg_square(a));
    EXPECT(y, 32);
    EXPECT(gradient(y, x), 64);
    clg_var z = SCALAR(3), twice = clg_add(z, z), thrice = clg_add(clg_add(z, z), z);
    assert_int_equal(clg_backward(twice), CLG_OK);
    EXPECT(clg_grad(z), 2);
    clg_cleargrad(z);
    assert_int_equal(clg_backward(thrice), CLG_OK);
    EXPECT(clg_grad(z), 3);
    assert_string_equal(clg_creator(thrice), "add");
}

static void functions_of_arrays(void)
{
    clg_var x = LEAF(CLG_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    EXPECT(gradient(clg_index(x, 0, 1), x), 0, 0, 0, 1, 1, 1);
    clg_var again = clg_gather(x, clg_array(g, CLG_I32, CLG_SHAPE(3), (int32_t[]){0, 0, 1}));
    EXPECT(again, 1, 2, 3, 1, 2, 3, 4, 5, 6);
    EXPECT(gradient(again, x), 2, 2, 2, 1, 1, 1);
    EXPECT(clg_reshape(x, CLG_SHAPE(6)), 1, 2, 3, 4, 5, 6);
    EXPECT(clg_transpose(x), 1, 4, 2, 5, 3, 6);
    EXPECT(clg_sum(x, CLG_AXES(0), false), 5, 7, 9);
    EXPECT(clg_broadcast_to(clg_sum(x, CLG_AXES(1), true), CLG_SHAPE(2, 3)), 6, 6, 6, 15, 15, 15);
    EXPECT(gradient(clg_max(x, CLG_AXES(1), false), x), 0, 0, 1, 0, 0, 1);
    EXPECT(gradient(clg_min(x, CLG_ALL_AXES, false), x), 1, 0, 0, 0, 0, 0);
    EXPECT(clg_clip(x, 2, 5), 2, 2, 3, 4, 5, 5);
    EXPECT(clg_leaky_relu(LEAF(CLG_SHAPE(2), -5, 5), 0.2), -1, 5);
    clg_var scores = LEAF(CLG_SHAPE(3, 3), 0.2, 0.8, 0, 0.1, 0.9, 0, 0.8, 0.1, 0.1);
    EXPECT(clg_accuracy(scores, clg_array(g, CLG_I64, CLG_SHAPE(3), (int64_t[]){1, 2, 0})), 2.0 / 3);
    EXPECT(clg_mean_squared_error(x, plus(x, 2)), 4);
}

/* ---------------------------------------------------------------- on every device */

static void (*example)(void);

static void on_device(clg_device *d)
{
    device = d;
    g = clg_graph_new(device);
    example();
    clg_graph_free(g);
}

#define TEST(name)                                                                                                     \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        example = name;                                                                                                \
        support_each_device(on_device);                                                                                \
    }
TEST(buying_fruit)
TEST(layers)
TEST(losses)
TEST(convolutions)
TEST(optimizers)
TEST(words)
TEST(recurrent)
TEST(attention)
TEST(functions_to_minimize)
TEST(higher_orders)
TEST(graphs_of_any_shape)
TEST(functions_of_arrays)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buying_fruit),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_optimizers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_recurrent),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_functions_to_minimize),
        cmocka_unit_test(test_higher_orders),
        cmocka_unit_test(test_graphs_of_any_shape),
        cmocka_unit_test(test_functions_of_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
