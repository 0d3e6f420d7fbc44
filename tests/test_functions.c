/* Functions made of operations, against plain C in f64, at special values, and their gradients against central
 * differences. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static bool has_f64(void) { return clg_device_get_info(device)->has_f64; }

/* Runs outputs as one program, so that a driver compiles once. */
static clg_program *run(clg_graph *g, const clg_var *outputs, int count)
{
    clg_program *p = clg_compile(g, outputs, count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    return p;
}

/* ---------------------------------------------------------------- of one variable */

static clg_var clipped(clg_var x) { return clg_clip(x, -1, 1.5); }
static clg_var leaky(clg_var x) { return clg_leaky_relu(x, 0.1); }
static clg_var elu(clg_var x) { return clg_elu(x, 1.3); }
static clg_var celu(clg_var x) { return clg_celu(x, 0.7); }
static clg_var soft_shrink(clg_var x) { return clg_soft_shrink(x, 0.5); }
static clg_var hard_shrink(clg_var x) { return clg_hard_shrink(x, 0.5); }
static clg_var to_numbers(clg_var x) { return clg_nan_to_num(x, 1, 2, 3); }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double limited(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }
static double ref_reciprocal(double x) { return 1 / x; }
static double ref_rsqrt(double x) { return pow(x, -0.5); }
static double ref_clipped(double x) { return limited(x, -1, 1.5); }
static double ref_logit(double x) { return log(x / (1 - x)); }
static double ref_radians(double x) { return x * acos(-1) / 180; }
static double ref_degrees(double x) { return x * 180 / acos(-1); }
static double ref_not(double x) { return x == 0; }
static double ref_is_nan(double x) { return isnan(x) != 0; }
static double ref_is_inf(double x) { return isinf(x) != 0; }
static double ref_is_finite(double x) { return isfinite(x) != 0; }
static double ref_to_numbers(double x) { return isnan(x) ? 1 : x == INFINITY ? 2 : x == -INFINITY ? 3 : x; }
static double ref_leaky(double x) { return x > 0 ? x : 0.1 * x; }
static double ref_elu(double x) { return x > 0 ? x : 1.3 * expm1(x); }
static double ref_celu(double x) { return x > 0 ? x : 0.7 * expm1(x / 0.7); }
static double ref_selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)); }
static double ref_relu6(double x) { return limited(x, 0, 6); }
static double ref_hard_tanh(double x) { return limited(x, -1, 1); }
static double ref_hard_sigmoid(double x) { return limited(x + 3, 0, 6) / 6; }
static double ref_hard_swish(double x) { return x * limited(x + 3, 0, 6) / 6; }
static double ref_silu(double x) { return x * sigmoid(x); }
static double ref_mish(double x) { return x * tanh(log1p(exp(x))); }
static double ref_gelu_tanh(double x) { return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x))); }
static double ref_log_sigmoid(double x) { return x < -40 ? x : -log1p(exp(-x)); }
static double ref_softsign(double x) { return x / (1 + fabs(x)); }
static double ref_tanh_shrink(double x) { return x - tanh(x); }
static double ref_soft_shrink(double x) { return x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0; }
static double ref_hard_shrink(double x) { return fabs(x) > 0.5 ? x : 0; }

typedef struct unary {
    const char *name;
    clg_var (*build)(clg_var);
    double (*want)(double);
    double lo, hi; /* the domain that is tried */
    bool flat;     /* it has no gradient, or one too steep for differences of its sine */
} unary;

static const unary unaries[] = {
    {"reciprocal", clg_reciprocal, ref_reciprocal, 0.5, 3, false},
    {"rsqrt", clg_rsqrt, ref_rsqrt, 0.5, 3, false},
    {"clip", clipped, ref_clipped, -3, 3, false},
    {"logit", clg_logit, ref_logit, 0.1, 0.9, false},
    {"radians", clg_radians, ref_radians, -360, 360, false},
    {"degrees", clg_degrees, ref_degrees, -3, 3, true},
    {"logical_not", clg_logical_not, ref_not, -3, 3, true},
    {"is_nan", clg_is_nan, ref_is_nan, -3, 3, true},
    {"is_inf", clg_is_inf, ref_is_inf, -3, 3, true},
    {"is_finite", clg_is_finite, ref_is_finite, -3, 3, true},
    {"nan_to_num", to_numbers, ref_to_numbers, -3, 3, false},
    {"leaky_relu", leaky, ref_leaky, -3, 3, false},
    {"elu", elu, ref_elu, -3, 3, false},
    {"celu", celu, ref_celu, -3, 3, false},
    {"selu", clg_selu, ref_selu, -3, 3, false},
    {"relu6", clg_relu6, ref_relu6, -3, 9, false},
    {"hard_tanh", clg_hard_tanh, ref_hard_tanh, -3, 3, false},
    {"hard_sigmoid", clg_hard_sigmoid, ref_hard_sigmoid, -5, 5, false},
    {"hard_swish", clg_hard_swish, ref_hard_swish, -5, 5, false},
    {"silu", clg_silu, ref_silu, -6, 6, false},
    {"mish", clg_mish, ref_mish, -6, 6, false},
    {"gelu_tanh", clg_gelu_tanh, ref_gelu_tanh, -4, 4, false},
    {"log_sigmoid", clg_log_sigmoid, ref_log_sigmoid, -6, 6, false},
    {"softsign", clg_softsign, ref_softsign, -3, 3, false},
    {"tanh_shrink", clg_tanh_shrink, ref_tanh_shrink, -3, 3, false},
    {"soft_shrink", soft_shrink, ref_soft_shrink, -3, 3, false},
    {"hard_shrink", hard_shrink, ref_hard_shrink, -3, 3, false},
};
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void check_unaries(clg_dtype dtype, double tolerance, clg_random *random)
{
    enum { N = 101 };
    clg_graph *g = clg_graph_new(device);
    clg_var y[COUNT(unaries)];
    double *x[COUNT(unaries)];
    for (int i = 0; i < COUNT(unaries); i++) {
        x[i] = support_spread(N, unaries[i].lo, unaries[i].hi, random);
        for (int k = 0; k < N && dtype == CLG_F32; k++)
            x[i][k] = (double)(float)x[i][k];
        y[i] = unaries[i].build(support_leaf(g, dtype, CLG_SHAPE(N), x[i]));
    }
    clg_program *p = run(g, y, COUNT(unaries));
    for (int i = 0; i < COUNT(unaries); i++) {
        for (int k = 0; k < N; k++)
            x[i][k] = unaries[i].want(x[i][k]);
        support_expect(y[i], x[i], tolerance, unaries[i].name);
        free(x[i]);
    }
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_of_one_variable(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    check_unaries(CLG_F32, 4e-6, &random);
    if (has_f64())
        check_unaries(CLG_F64, 1e-13, &random);
}

static void test_gradients_of_one_variable(void **state)
{
    (void)state;
    enum { N = 23 };
    if (!on_the_cpu())
        skip(); /* these are the same operations */
    clg_random random = clg_random_new(support_seed(), 2);
    for (int i = 0; i < COUNT(unaries); i++) {
        if (unaries[i].flat)
            continue;
        clg_graph *g = clg_graph_new(device);
        double *values = support_spread(N, unaries[i].lo, unaries[i].hi, &random);
        clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(N), values);
        support_expect_gradients(unaries[i].build(x), &x, 1, &random, unaries[i].name);
        free(values);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- special values */

typedef struct special {
    clg_var (*build)(clg_var);
    const char *name;
    double x, want, slope; /* slope: the derivative there; NAN: not looked at */
} special;

static const special specials[] = {
    {clipped, "clip", 1.5, 1.5, 0},
    {clipped, "clip", -1, -1, 0},
    {clipped, "clip", 1.625, 1.5, 0},
    {clipped, "clip", NAN, NAN, 1},
    {clg_relu6, "relu6", 0, 0, 0},
    {clg_relu6, "relu6", 6, 6, 0},
    {clg_relu6, "relu6", NAN, NAN, 1},
    {clg_hard_tanh, "hard_tanh", 1, 1, 0},
    {clg_hard_sigmoid, "hard_sigmoid", -3, 0, 0},
    {clg_hard_sigmoid, "hard_sigmoid", INFINITY, 1, 0},
    {clg_hard_swish, "hard_swish", -INFINITY, 0, 0},
    {clg_hard_swish, "hard_swish", INFINITY, INFINITY, NAN},
    {leaky, "leaky_relu", 0, 0, 0.1},
    {elu, "elu", 0, 0, 1.3},
    {elu, "elu", INFINITY, INFINITY, 1},
    {elu, "elu", 1000, 1000, 1},
    {elu, "elu", -INFINITY, -1.3, 0},
    {clg_selu, "selu", 1000, 1050.7009873554805, 1.0507009873554805},
    {celu, "celu", -INFINITY, -0.7, 0},
    {clg_log_sigmoid, "log_sigmoid", -1000, -1000, 1},
    {clg_log_sigmoid, "log_sigmoid", INFINITY, 0, 0},
    {clg_mish, "mish", 1000, 1000, 1},
    {clg_silu, "silu", -1000, 0, 0},
    {clg_softsign, "softsign", 0, 0, 1},
    {soft_shrink, "soft_shrink", 0.5, 0, 0},
    {soft_shrink, "soft_shrink", NAN, NAN, NAN},
    {hard_shrink, "hard_shrink", -0.5, 0, 0},
    {hard_shrink, "hard_shrink", NAN, NAN, 1},
    {to_numbers, "nan_to_num", NAN, 1, 0},
    {to_numbers, "nan_to_num", INFINITY, 2, 0},
    {to_numbers, "nan_to_num", -INFINITY, 3, 0},
    {clg_is_nan, "is_nan", NAN, 1, NAN},
    {clg_is_inf, "is_inf", -INFINITY, 1, NAN},
    {clg_is_finite, "is_finite", NAN, 0, NAN},
    {clg_is_finite, "is_finite", INFINITY, 0, NAN},
    {clg_logical_not, "logical_not", NAN, 0, NAN},
};

static void test_special_values(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var outputs[2 * COUNT(specials)], slopes[COUNT(specials)];
    int count = 0;
    for (int i = 0; i < COUNT(specials); i++) {
        clg_var x = support_leaf(g, CLG_F32, CLG_SCALAR, &specials[i].x);
        outputs[count++] = specials[i].build(x);
        if (!isnan(specials[i].slope)) {
            clg_gradients(outputs[count - 1], &x, 1, &slopes[i]);
            outputs[count++] = slopes[i];
        }
    }
    clg_program *p = run(g, outputs, count);
    for (int i = 0, k = 0; i < COUNT(specials); i++) {
        support_expect(outputs[k++], &specials[i].want, 1e-6, specials[i].name);
        if (!isnan(specials[i].slope))
            support_expect(outputs[k++], &specials[i].slope, 1e-6, specials[i].name);
    }
    clg_program_free(p);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- of two variables */

static double ref_logaddexp(double a, double b) { return fmax(a, b) + log1p(exp(-fabs(a - b))); }
static double ref_xlogy(double a, double b) { return a * log(b); }
static double ref_and(double a, double b) { return a != 0 && b != 0; }
static double ref_or(double a, double b) { return a != 0 || b != 0; }
static double ref_xor(double a, double b) { return (a != 0) != (b != 0); }

typedef struct binary {
    const char *name;
    clg_var (*build)(clg_var, clg_var);
    double (*want)(double, double);
    bool flat;
} binary;

static const binary binaries[] = {
    {"logaddexp", clg_logaddexp, ref_logaddexp, false}, {"xlogy", clg_xlogy, ref_xlogy, false},
    {"logical_and", clg_logical_and, ref_and, true},    {"logical_or", clg_logical_or, ref_or, true},
    {"logical_xor", clg_logical_xor, ref_xor, true},
};

static void test_of_two_variables(void **state)
{
    (void)state;
    enum { M = 7, N = 5 };
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    double *a = support_spread(M, 0.5, 3, &random), *b = support_spread(N, 0.5, 3, &random), want[M * N];
    a[2] = b[3] = 0;
    for (int i = 0; i < M; i++)
        a[i] = (double)(float)a[i], b[i % N] = (double)(float)b[i % N];
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(M, 1), a), y = support_leaf(g, CLG_F32, CLG_SHAPE(N), b);
    for (int k = 0; k < COUNT(binaries); k++) {
        for (int i = 0; i < M * N; i++)
            want[i] = binaries[k].want(a[i / N], b[i % N]);
        for (int i = 0; i < M && binaries[k].want == ref_xlogy; i++)
            want[2 * N + i % N] = 0, want[i * N + 3] = a[i] == 0 ? 0 : -INFINITY;
        support_expect(binaries[k].build(x, y), want, 1e-5, binaries[k].name);
    }
    a[2] = b[3] = 1.25;
    for (int k = 0; k < COUNT(binaries) && on_the_cpu(); k++) {
        clg_var leaves[] = {support_leaf(g, CLG_F64, CLG_SHAPE(M, 1), a), support_leaf(g, CLG_F64, CLG_SHAPE(N), b)};
        if (!binaries[k].flat)
            support_expect_gradients(binaries[k].build(leaves[0], leaves[1]), leaves, 2, &random, binaries[k].name);
    }
    /* of equal infinities; gradients of both at a tie */
    const double inf = INFINITY, minus = -INFINITY, two = 2, half = 0.5, one = 1, low = -1e9;
    clg_var near = support_leaf(g, CLG_F32, CLG_SCALAR, &one), away = support_leaf(g, CLG_F32, CLG_SCALAR, &low);
    support_expect(clg_logaddexp(near, away), &one, 0, "logaddexp of what is far below");
    support_expect(clg_logaddexp(away, near), &one, 0, "logaddexp of what is far above");
    const uint8_t bytes[] = {200, 100};
    clg_var b0 = clg_array(g, CLG_U8, CLG_SCALAR, bytes), b1 = clg_array(g, CLG_U8, CLG_SCALAR, bytes + 1);
    assert_true(clg_item(clg_lerp(b0, b1, clg_full(g, CLG_F32, CLG_SCALAR, 0.5))) == 150);
    clg_var up = support_leaf(g, CLG_F32, CLG_SCALAR, &inf), down = support_leaf(g, CLG_F32, CLG_SCALAR, &minus);
    clg_var tie[2] = {support_leaf(g, CLG_F32, CLG_SCALAR, &two), support_leaf(g, CLG_F32, CLG_SCALAR, &two)}, slope[2];
    support_expect(clg_logaddexp(up, up), &inf, 0, "logaddexp of infinities");
    support_expect(clg_logaddexp(down, down), &minus, 0, "logaddexp of minus infinities");
    support_expect(clg_logaddexp(up, down), &inf, 0, "logaddexp of both");
    clg_gradients(clg_logaddexp(tie[0], tie[1]), tie, 2, slope);
    for (int i = 0; i < 2; i++)
        support_expect(slope[i], &half, 1e-6, "logaddexp's gradient at a tie");
    free(a);
    free(b);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- reductions */

static void test_reductions(void **state)
{
    (void)state;
    enum { M = 4, N = 9 };
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(M * N, -3, 3, &random), want[8][M];
    x[5] = 0;
    for (int i = 0; i < M * N; i++)
        x[i] = (double)(float)x[i];
    for (int i = 0; i < M; i++) {
        double mean = 0, square = 0, exps = 0, p3 = 0, ones = 0, most = 0, count = 0;
        int least = 0;
        for (int j = 0; j < N; j++) {
            const double v = x[i * N + j];
            mean += v / N, exps += exp(v), p3 += pow(fabs(v), 3), ones += fabs(v), count += v != 0;
            most = fmax(most, fabs(v)), least = v < x[i * N + least] ? j : least;
        }
        for (int j = 0; j < N; j++)
            square += pow(x[i * N + j] - mean, 2);
        want[0][i] = square / (N - 1), want[1][i] = sqrt(square / N), want[2][i] = log(exps), want[3][i] = cbrt(p3);
        want[4][i] = ones, want[5][i] = most, want[6][i] = count, want[7][i] = least;
    }
    clg_var v = support_leaf(g, CLG_F32, CLG_SHAPE(M, N), x);
    const clg_axes last = CLG_AXES(-1);
    const clg_var y[] = {clg_variance(v, last, 1, false),   clg_std(v, last, 0, false),
                         clg_logsumexp(v, last, false),     clg_norm(v, 3, last, false),
                         clg_norm(v, 1, last, false),       clg_norm(v, INFINITY, last, false),
                         clg_count_nonzero(v, last, false), clg_argmin(v, -1)};
    static const char *const names[] = {"variance", "std",      "logsumexp",     "norm 3",
                                        "norm 1",   "norm inf", "count_nonzero", "argmin"};
    clg_program *p = run(g, y, COUNT(y));
    for (int i = 0; i < COUNT(y); i++)
        support_expect(y[i], want[i], 1e-5, names[i]);
    clg_program_free(p);
    clg_shape kept = clg_shape_of(clg_variance(v, CLG_AXES(0), 0, true)),
              one = clg_shape_of(clg_norm(v, 2, CLG_ALL_AXES, false));
    assert_true(kept.rank == 2 && kept.dim[0] == 1 && kept.dim[1] == N && one.rank == 0);
    x[5] = 0.125;
    if (on_the_cpu()) {
        clg_var d = support_leaf(g, CLG_F64, CLG_SHAPE(M, N), x);
        support_expect_gradients(clg_variance(d, last, 1, false), &d, 1, &random, "variance");
        support_expect_gradients(clg_std(d, CLG_ALL_AXES, 0, false), &d, 1, &random, "std");
        support_expect_gradients(clg_logsumexp(d, CLG_AXES(0), true), &d, 1, &random, "logsumexp");
        support_expect_gradients(clg_norm(d, 2, last, false), &d, 1, &random, "norm 2");
        support_expect_gradients(clg_norm(d, 3.5, last, false), &d, 1, &random, "norm 3.5");
        support_expect_gradients(clg_min(d, last, false), &d, 1, &random, "min");
    }
    free(x);
    clg_graph_free(g);
}

static void test_reductions_of_special_values(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float inf[] = {-INFINITY, -INFINITY, INFINITY, 1, NAN, 2}, zeros[4] = {0};
    const uint8_t bytes[] = {0, 7, 0, 255};
    const int32_t ends[] = {INT32_MIN, 3, INT32_MIN, INT32_MAX};
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(3, 2), inf), z = clg_array(g, CLG_F32, CLG_SHAPE(4), zeros), slope,
            empty;
    clg_var u = clg_array(g, CLG_U8, CLG_SHAPE(2, 2), bytes), e = clg_array(g, CLG_I32, CLG_SHAPE(4), ends);
    empty = clg_slice(z, 0, 0, 0, 1);
    clg_gradients(clg_norm(z, 2, CLG_ALL_AXES, false), &z, 1, &slope);
    support_expect(clg_logsumexp(x, CLG_AXES(1), false), (double[]){-INFINITY, INFINITY, NAN}, 0, "logsumexp");
    support_expect(slope, (double[4]){0}, 0, "the gradient of a norm at 0");
    support_expect(clg_argmax(x, 1), (double[]){0, 0, 0}, 0, "argmax of NaN");
    support_expect(clg_argmax(clg_reshape(x, CLG_SHAPE(6)), 0), (double[]){4}, 0, "argmax of NaN after others");
    support_expect(clg_argmin(e, 0), (double[]){0}, 0, "argmin of i32");
    support_expect(clg_argmin(u, 1), (double[]){0, 0}, 0, "argmin of u8");
    support_expect(clg_argmin(x, 1), (double[]){0, 1, 0}, 0, "argmin of NaN");
    support_expect(clg_any(u, CLG_AXES(1), false), (double[]){1, 1}, 0, "any");
    support_expect(clg_all(u, CLG_AXES(1), false), (double[]){0, 0}, 0, "all");
    support_expect(clg_all(u, CLG_AXES(0), true), (double[]){0, 1}, 0, "all");
    support_expect(clg_any(empty, CLG_ALL_AXES, false), (double[]){0}, 0, "any of nothing");
    support_expect(clg_all(empty, CLG_ALL_AXES, false), (double[]){1}, 0, "all of nothing");
    clg_gradients(clg_std(z, CLG_ALL_AXES, 0, false), &z, 1, &slope);
    support_expect(slope, (double[4]){0}, 0, "the gradient of a deviation of 0");
    support_expect(clg_norm(clg_array(g, CLG_F32, CLG_SHAPE(2), (float[]){0, 1}), -1, CLG_ALL_AXES, false),
                   (double[]){0}, 0, "a norm of negative order");
    /* no gradient flows to a row that has a 0; as in PyTorch */
    const double rows[] = {1, 0, 3, 1, 2, 4}, norms[] = {0, 0.5714285714285714};
    const double slopes[] = {0, 0, 0, 0.32653061224489793, 0.08163265306122448, 0.02040816326530612};
    const double small[] = {1e-30, 2};
    clg_var r = support_leaf(g, CLG_F32, CLG_SHAPE(2, 3), rows), tiny = support_leaf(g, CLG_F32, CLG_SHAPE(2), small);
    clg_var norm = clg_norm(r, -1, CLG_AXES(1), false), gradient[3];
    clg_gradients(norm, &r, 1, &gradient[0]);
    clg_gradients(clg_norm(z, -0.5, CLG_ALL_AXES, true), &z, 1, &gradient[1]);
    clg_gradients(clg_norm(tiny, -2, CLG_ALL_AXES, true), &tiny, 1, &gradient[2]);
    support_expect(norm, norms, 1e-6, "norms of negative order");
    support_expect(gradient[0], slopes, 1e-6, "the gradient of a norm of negative order");
    support_expect(gradient[1], (double[4]){0}, 0, "the same where all is 0");
    support_expect(gradient[2], (double[2]){0}, 0, "the same where powers overflow");
    support_expect(clg_norm(empty, INFINITY, CLG_ALL_AXES, false), (double[]){0}, 0, "the largest of nothing");
    support_expect(clg_variance(z, CLG_ALL_AXES, 4, false), (double[]){NAN}, 0, "variance without freedom");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- parameters */

static void test_parameters(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double values[] = {-1, NAN, 0.5, 3};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(4), values);
    support_expect_error(clg_celu(x, 0), "celu: alpha is 0; it must be above 0");
    support_expect_error(clg_celu(x, -1), "celu: alpha is -1");
    support_expect_error(clg_soft_shrink(x, -0.5), "soft_shrink: bound is -0.5; it must be at least 0");
    support_expect_error(clg_soft_shrink(x, NAN), "soft_shrink: bound is");
    support_expect(clg_soft_shrink(x, 0), values, 0, "soft_shrink with bound 0");
    support_expect(clg_hard_shrink(x, -1), values, 0, "hard_shrink with a bound below 0");
    support_expect(clg_elu(x, 0), (double[]){0, NAN, 0.5, 3}, 0, "elu with alpha 0");
    support_expect(clg_clip(x, 2, 1), (double[]){1, NAN, 1, 1}, 0, "clip with bounds in the wrong order");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_one_variable), cmocka_unit_test(test_gradients_of_one_variable),
        cmocka_unit_test(test_special_values),  cmocka_unit_test(test_of_two_variables),
        cmocka_unit_test(test_reductions),      cmocka_unit_test(test_reductions_of_special_values),
        cmocka_unit_test(test_parameters),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
