/* Training with f16 and bf16: the scale of the loss, steps that are left out, and a network that learns as in f32. */
#include "support.h"

#include <clgrad/functions.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static clg_program *compile(const clg_var *outputs, int count)
{
    clg_program *p = clg_compile(outputs[0].graph, outputs, count);
    if (!p)
        fail_msg("%s", clg_graph_error(outputs[0].graph) ? clg_graph_error(outputs[0].graph) : clg_last_error());
    return p;
}

static void run(clg_program *p)
{
    if (clg_run(p) != CLG_OK)
        fail_msg("%s", clg_last_error());
}

/* ---------------------------------------------------------------- the scale */

enum { WIDTH = 3 };

/* The loss is sum(w x): its gradient is x. */
typedef struct linear_case {
    clg_graph *g;
    clg_var w, x, loss;
    clg_optimizer *optimizer;
    clg_program *step;
} linear_case;

static linear_case linear_begin(bool adam)
{
    linear_case c = {.g = clg_graph_new(device)};
    c.w = clg_array(c.g, CLG_F32, CLG_SHAPE(WIDTH), (float[]){1, -2, 0.5F});
    c.x = clg_input(c.g, CLG_F32, CLG_SHAPE(WIDTH));
    c.loss = clg_sum(clg_mul(c.w, c.x), CLG_ALL_AXES, false);
    c.optimizer = adam ? clg_adam(&c.w, 1, NULL)
                       : clg_sgd(&c.w, 1, &(clg_sgd_options){.lr = 0.1, .momentum = 0.5, .weight_decay = 0.1});
    assert_non_null(c.optimizer);
    return c;
}

static void linear_end(linear_case *c)
{
    clg_program_free(c->step);
    clg_optimizer_free(c->optimizer);
    clg_graph_free(c->g);
}

static void step_on(const linear_case *c, float a, float b, float third)
{
    assert_int_equal(clg_write(c->x, (float[]){a, b, third}, WIDTH * sizeof(float)), CLG_OK);
    run(c->step);
}

static void expect_scale(clg_loss_scale s, double scale, double steps)
{
    support_expect(s.scale, &scale, 0, "the scale");
    support_expect(s.good_steps, &steps, 0, "good steps");
}

/* Steps that are not finite change nothing but the scale; the others are, bit for bit, those of an optimizer that never
 * saw such steps, nor a scale. */
static void test_steps(void **state)
{
    (void)state;
    const clg_loss_scale_options options = {.initial = 8, .growth = 4, .backoff = 0.5, .interval = 3};
    for (int adam = 0; adam <= 1; adam++) {
        linear_case c = linear_begin(adam), plain = linear_begin(adam);
        clg_loss_scale s = clg_loss_scale_new(c.g, &options);
        clg_var outputs[] = {clg_minimize_scaled(c.optimizer, c.loss, &s)};
        c.step = compile(outputs, 1);
        plain.step = compile((clg_var[]){clg_minimize(plain.optimizer, plain.loss)}, 1);
        expect_scale(s, 8, 0);
        static const struct {
            float x[WIDTH];
            double scale, steps;
        } runs[] = {{{1, 2, 3}, 8, 1},         {{INFINITY, 2, 3}, 4, 0}, {{1, 2, NAN}, 2, 0}, {{0.25F, -1, 7}, 2, 1},
                    {{1, 1, -1}, 2, 2},        {{0, 0, 0}, 8, 0},        {{5, 6, 7}, 8, 1},   {{3e38F, 0, 0}, 4, 0},
                    {{0, -INFINITY, 0}, 2, 0}, {{2, 2, -2}, 2, 1}};
        for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
            step_on(&c, runs[i].x[0], runs[i].x[1], runs[i].x[2]);
            if (runs[i].steps > 0 || runs[i].scale == 8)
                step_on(&plain, runs[i].x[0], runs[i].x[1], runs[i].x[2]);
            expect_scale(s, runs[i].scale, runs[i].steps);
            double *want = support_values(plain.w);
            support_expect(c.w, want, 0, adam ? "a parameter of Adam" : "a parameter of SGD");
            free(want);
            if (i == 0) /* the value is the loss of before the step, without the scale */
                support_expect(outputs[0], (double[]){-1.5}, 1e-6, "the loss");
        }
        linear_end(&c);
        linear_end(&plain);
    }
}

/* It neither becomes infinite nor 0. */
static void test_range(void **state)
{
    (void)state;
    linear_case c = linear_begin(false);
    clg_loss_scale s = clg_loss_scale_new(c.g, &(clg_loss_scale_options){ldexp(1, 127), 2, 0.25, 1});
    c.step = compile((clg_var[]){clg_minimize_scaled(c.optimizer, c.loss, &s)}, 1);
    step_on(&c, 0.5F, 0.25F, 0);
    expect_scale(s, ldexp(1, 127), 0);
    const float small = FLT_MIN * 2;
    assert_int_equal(clg_write(s.scale, &small, sizeof small), CLG_OK);
    step_on(&c, INFINITY, 0, 0);
    expect_scale(s, FLT_MIN, 0);
    linear_end(&c);
}

/* Gradients of 2e-9 are 0 in f16; with a factor of 1 those of the scaled loss overflow, and it halves until they do
 * not. */
static void test_half(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var w = clg_array(g, CLG_F32, CLG_SHAPE(WIDTH), (float[]){1, -2, 0.5F}), gradient, scaled, finite;
    clg_var factor = clg_scalar(g, 1e-9);
    clg_var loss = clg_sum(clg_mul(clg_cast(clg_square(clg_cast(w, CLG_F16)), CLG_F32), factor), CLG_ALL_AXES, false);
    clg_loss_scale s = clg_loss_scale_new(g, NULL);
    assert_int_equal(clg_gradients(loss, &w, 1, &gradient), CLG_OK);
    assert_int_equal(clg_loss_scale_gradients(&s, loss, &w, 1, &scaled, &finite), CLG_OK);
    assert_int_equal(clg_dtype_of(finite), CLG_BOOL);
    assert_int_equal(clg_shape_of(finite).rank, 0);
    assert_int_equal(clg_dtype_of(scaled), CLG_F32);
    support_expect(gradient, (double[]){0, 0, 0}, 0, "a gradient without a scale");
    double *got = support_values(scaled), want[] = {2e-9, -4e-9, 1e-9};
    for (int i = 0; i < WIDTH; i++)
        if (fabs(got[i] / want[i] - 1) > 2e-3)
            fail_msg("a scaled gradient is %g, not %g", got[i], want[i]);
    free(got);
    assert_int_equal((int)clg_item(finite), 1);
    const float one = 1;
    assert_int_equal(clg_write(factor, &one, sizeof one), CLG_OK);
    assert_int_equal((int)clg_item(finite), 0);
    clg_program *p = compile((clg_var[]){clg_loss_scale_update(&s, loss, finite)}, 1);
    for (int i = 0; i < 4; i++)
        run(p);
    expect_scale(s, 8192, 1); /* 2 * -2 * 16384 is too large for f16 */
    clg_program_free(p);
    clg_graph_free(g);
}

/* Gradients that the caller made: those of the loss give what clg_minimize does. */
static void test_step(void **state)
{
    (void)state;
    linear_case c = linear_begin(true), plain = linear_begin(true);
    clg_var gradient, go = clg_array(c.g, CLG_BOOL, CLG_SCALAR, (uint8_t[]){1});
    assert_int_equal(clg_gradients(c.loss, &c.w, 1, &gradient), CLG_OK);
    c.step = compile((clg_var[]){clg_optimizer_step(c.optimizer, c.loss, &gradient, CLG_NONE)}, 1);
    clg_program *careful = compile((clg_var[]){clg_optimizer_step(c.optimizer, c.loss, &gradient, go)}, 1);
    plain.step = compile((clg_var[]){clg_minimize(plain.optimizer, plain.loss)}, 1);
    for (int i = 0; i < 3; i++) {
        step_on(&c, 1, 2, (float)i);
        step_on(&plain, 1, 2, (float)i);
    }
    assert_int_equal(clg_write(go, (uint8_t[]){0}, 1), CLG_OK);
    run(careful);
    double *want = support_values(plain.w);
    support_expect(c.w, want, 0, "a parameter");
    free(want);
    support_expect_error(clg_optimizer_step(c.optimizer, c.loss, &gradient, c.x),
                         "optimizer_step: the condition has shape (3); right is a scalar");
    clg_program_free(careful);
    linear_end(&c);
    linear_end(&plain);
}

static void test_options(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_loss_scale_options o = clg_loss_scale_defaults();
    assert_true(o.initial == 65536 && o.growth == 2 && o.backoff == 0.5 && o.interval == 2000);
    o.backoff = 0;
    support_expect_error(clg_loss_scale_new(g, &o).scale, "loss_scale: initial 65536, growth 2, backoff 0;");
    o = clg_loss_scale_defaults();
    o.initial = INFINITY;
    support_expect_error(clg_loss_scale_new(g, &o).scale, "loss_scale: initial inf");
    o = clg_loss_scale_defaults();
    o.interval = 0;
    support_expect_error(clg_loss_scale_new(g, &o).good_steps, "loss_scale: interval 0; right is 1 to 2147483647");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- a network */

enum { SIDE = 16, PIXELS = SIDE * SIDE, CLASSES = 10, BATCH = 32, EXAMPLES = 512, STEPS = 96, LAST = 16 };

typedef struct examples {
    float *pictures;
    int32_t *labels;
} examples;

/* A picture is that of its class with noise; a quarter of the labels is drawn, so that no loss goes to 0. */
static examples make_examples(void)
{
    examples e = {malloc((size_t)EXAMPLES * PIXELS * sizeof(float)), malloc(EXAMPLES * sizeof(int32_t))};
    assert_true(e.pictures && e.labels);
    clg_random random = clg_random_new(1, 0);
    float *classes = malloc((size_t)CLASSES * PIXELS * sizeof *classes);
    assert_non_null(classes);
    for (int i = 0; i < CLASSES * PIXELS; i++)
        classes[i] = (float)clg_random_normal(&random);
    for (int i = 0; i < EXAMPLES; i++) {
        const uint32_t class = clg_random_below(&random, CLASSES);
        for (int k = 0; k < PIXELS; k++)
            e.pictures[i * PIXELS + k] = 0.5F * classes[class * PIXELS + k] + (float)clg_random_normal(&random);
        e.labels[i] = (int32_t)(clg_random_below(&random, 4) ? class : clg_random_below(&random, CLASSES));
    }
    free(classes);
    return e;
}

typedef struct outcome {
    double loss; /* mean of the last steps */
    int64_t arena;
} outcome;

/* Convolution, relu, pool, twice, and a dense layer, in dtype, from f32 parameters. */
static outcome train(const examples *e, clg_dtype dtype)
{
    clg_graph *g = clg_graph_new(device);
    clg_random random = clg_random_new(2, 0);
    clg_var pictures = clg_input(g, CLG_F32, CLG_SHAPE(BATCH, 1, SIDE, SIDE)), labels, parameters[4];
    labels = clg_input(g, CLG_I32, CLG_SHAPE(BATCH));
    clg_var x = clg_cast(pictures, dtype);
    for (int i = 0; i < 2; i++) {
        const int64_t in = i == 0 ? 1 : 16, out = i == 0 ? 16 : 32;
        parameters[i] = clg_he_init(g, CLG_SHAPE(out, in, 3, 3), in * 9, &random);
        x = clg_relu(clg_conv(x, clg_cast(parameters[i], dtype), (clg_conv_options){.same = true}));
        x = clg_max_pool(x, (clg_pool_options){.size = CLG_SHAPE(2, 2)});
    }
    assert_int_equal(clg_dtype_of(x), dtype);
    const clg_linear dense = clg_linear_new(g, 32 * PIXELS / 16, CLASSES, &random);
    parameters[2] = dense.weight, parameters[3] = dense.bias;
    x = clg_linear_apply(dense, clg_reshape(x, CLG_SHAPE(BATCH, -1)));
    assert_int_equal(clg_dtype_of(x), dtype);
    clg_var loss = clg_softmax_cross_entropy(x, labels);
    assert_int_equal(clg_dtype_of(loss), CLG_F32);
    clg_optimizer *adam = clg_adam(parameters, 4, NULL);
    const clg_loss_scale scale = clg_loss_scale_new(g, NULL);
    loss = dtype == CLG_F16 ? clg_minimize_scaled(adam, loss, &scale) : clg_minimize(adam, loss);
    clg_program *p = compile(&loss, 1);
    outcome o = {.arena = clg_program_get_info(p).arena_bytes};
    for (int i = 0; i < STEPS; i++) {
        const int first = i * BATCH % EXAMPLES;
        assert_int_equal(clg_write(pictures, e->pictures + first * PIXELS, BATCH * PIXELS * sizeof(float)), CLG_OK);
        assert_int_equal(clg_write(labels, e->labels + first, BATCH * sizeof(int32_t)), CLG_OK);
        run(p);
        if (i >= STEPS - LAST)
            o.loss += clg_item(loss) / LAST;
    }
    clg_program_free(p);
    clg_optimizer_free(adam);
    clg_graph_free(g);
    return o;
}

/* 2 % is what rounding to 8 bits may change of the loss. All that is kept for the backward pass is half as large, but
 * for how many elements share the maximum of a window, and what each gets of its gradient (f32). The kernels of OpenCL
 * for CPUs read f32 copies in contractions: only the CPU path has to have the smaller arena. */
static void test_network(void **state)
{
    (void)state;
    examples e = make_examples();
    const outcome want = train(&e, CLG_F32);
    const bool is_cpu = strcmp(clg_device_get_info(device)->spec, "cpu") == 0;
    for (int i = 0; i < 2; i++) {
        const clg_dtype dtype = i == 0 ? CLG_BF16 : CLG_F16;
        const outcome got = train(&e, dtype);
        print_message("[          ] %s: loss %.5f, f32 %.5f; arena %lld, f32 %lld\n", clg_dtype_name(dtype), got.loss,
                      want.loss, (long long)got.arena, (long long)want.arena);
        if (!(want.loss > 0.5) || !support_close(got.loss / want.loss, 1, 0.02))
            fail_msg("%s: loss %g, in f32 %g", clg_dtype_name(dtype), got.loss, want.loss);
        if (is_cpu && got.arena * 3 > want.arena * 2)
            fail_msg("%s: arena of %lld bytes, in f32 %lld", clg_dtype_name(dtype), (long long)got.arena,
                     (long long)want.arena);
    }
    free(e.pictures);
    free(e.labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps),   cmocka_unit_test(test_range),
                                       cmocka_unit_test(test_half),    cmocka_unit_test(test_step),
                                       cmocka_unit_test(test_options), cmocka_unit_test(test_network)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
