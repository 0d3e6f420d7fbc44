/* Attention, rotary embedding, root-mean-square normalisation, products: against plain loops in f64,
 * and gradients against differences. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }

/* ---------------------------------------------------------------- attention */

enum { B = 2, T = 4, S = 5, H = 4, G = 2, D = 3, E = 2 };

typedef enum mask_kind { NO_MASK, CONDITION, ADDED } mask_kind;

/* mask: (h, t, s), or of one head (t, s). */
static void attend(const double *q, const double *k, const double *v, const double *mask, bool per_head, mask_kind kind,
                   bool causal, double *y)
{
    for (int b = 0; b < B; b++)
        for (int h = 0; h < H; h++)
            for (int t = 0; t < T; t++) {
                const int g = h / (H / G);
                double weight[S], sum = 0;
                for (int s = 0; s < S; s++) {
                    double score = 0, m = mask[((per_head ? h : 0) * T + t) * S + s];
                    for (int d = 0; d < D; d++)
                        score += q[((b * T + t) * H + h) * D + d] * k[((b * S + s) * G + g) * D + d];
                    score = score / sqrt(D) + (kind == ADDED ? m : 0);
                    const bool hidden = (causal && s > t + S - T) || (kind == CONDITION && m == 0);
                    weight[s] = hidden ? 0 : exp(score);
                    sum += weight[s];
                }
                for (int e = 0; e < E; e++) {
                    double *to = &y[((b * T + t) * H + h) * E + e];
                    *to = 0;
                    for (int s = 0; s < S; s++)
                        *to += weight[s] / sum * v[((b * S + s) * G + g) * E + e];
                }
            }
}

static void test_attention(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    double *q = support_spread(B * T * H * D, -2, 2, &random), *k = support_spread(B * S * G * D, -2, 2, &random);
    double *v = support_spread(B * S * G * E, -2, 2, &random), *m = support_spread(H * T * S, -1, 1, &random);
    double condition[H * T * S], want[B * T * H * E];
    for (int i = 0; i < H * T * S; i++)
        condition[i] = i % S == 0 || m[i] > 0; /* the first key is looked at by all */
    clg_var x[] = {support_leaf(g, CLG_F32, CLG_SHAPE(B, T, H, D), q),
                   support_leaf(g, CLG_F32, CLG_SHAPE(B, S, G, D), k),
                   support_leaf(g, CLG_F32, CLG_SHAPE(B, S, G, E), v)};
    for (int i = 0; i < 8; i++) {
        const mask_kind kind = i % 4 == 0 ? NO_MASK : i % 4 == 1 ? ADDED : CONDITION;
        const bool causal = i >= 4, per_head = i % 4 != 3;
        const double *mask = kind == CONDITION ? condition : m;
        const clg_shape shape = per_head ? CLG_SHAPE(1, H, T, S) : CLG_SHAPE(T, S);
        clg_attention_options o = {.causal = causal};
        if (kind != NO_MASK)
            o.mask = support_leaf(g, kind == CONDITION ? CLG_U8 : CLG_F32, shape, mask);
        attend(q, k, v, mask, per_head, kind, causal, want);
        clg_var y = clg_attention(x[0], x[1], x[2], &o);
        assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(B, T, H, E)));
        support_expect(y, want, 1e-5, "attention");
    }
    support_expect_error(clg_attention(x[0], clg_index(x[1], 0, 0), x[2], NULL),
                         "attention: q (2, 4, 4, 3), k (5, 2, 3)");
    support_expect_error(clg_attention(clg_slice(x[0], 2, 0, 1, 1), x[1], x[2], NULL), "a multiple of g");
    support_expect_error(clg_attention(x[0], x[1], CLG_NONE, NULL), "attention: operand 2 is not a variable");
    const clg_attention_options odd = {.mask = support_leaf(g, CLG_F32, CLG_SHAPE(2, T, S), m)};
    support_expect_error(clg_attention(x[0], x[1], x[2], &odd),
                         "attention: mask f32 (2, 4, 5) must be bool, u8 or real");
    support_expect_error(clg_attention(x[0], x[1], clg_slice(x[2], 1, 0, 1, 1), NULL), "attention: q ");
    if (on_the_cpu()) {
        clg_var d[] = {support_leaf(g, CLG_F64, CLG_SHAPE(B, T, H, D), q),
                       support_leaf(g, CLG_F64, CLG_SHAPE(B, S, G, D), k),
                       support_leaf(g, CLG_F64, CLG_SHAPE(B, S, G, E), v)};
        const clg_attention_options causal = {.causal = true};
        support_expect_gradients(clg_attention(d[0], d[1], d[2], &causal), d, 3, &random, "attention");
    }
    free(q);
    free(k);
    free(v);
    free(m);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- rotary embedding, normalisation */

static void test_rotary(void **state)
{
    (void)state;
    enum { W = 6 };
    clg_random random = clg_random_new(support_seed(), 2);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(T * 2 * W, -2, 2, &random), want[T * 2 * W];
    for (int t = 0; t < T; t++)
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < W / 2; i++) {
                const double angle = (t + 7) * pow(100, -2.0 * i / W), *from = &x[(t * 2 + h) * W + i];
                want[(t * 2 + h) * W + i] = from[0] * cos(angle) - from[W / 2] * sin(angle);
                want[(t * 2 + h) * W + i + W / 2] = from[0] * sin(angle) + from[W / 2] * cos(angle);
            }
    support_expect(clg_rotary(support_leaf(g, CLG_F32, CLG_SHAPE(T, 2, W), x), 0, 100, 7), want, 1e-5, "rotary");
    clg_var odd = support_leaf(g, CLG_F32, CLG_SHAPE(T, 3), x), even = support_leaf(g, CLG_F32, CLG_SHAPE(T, W), x);
    support_expect_error(clg_rotary(odd, 0, 100, 0), "rotary: x (4, 3)");
    support_expect_error(clg_rotary(even, 0, 0, 0), "rotary: base is 0; it must be above 0");
    support_expect_error(clg_rotary(clg_slice(even, 1, 0, 4, 1), 1, 100, 0), "an axis 1 before the last one");
    if (on_the_cpu()) {
        clg_var d = support_leaf(g, CLG_F64, CLG_SHAPE(1, T, W), x);
        support_expect_gradients(clg_rotary(d, 1, 10000, 0), &d, 1, &random, "rotary");
    }
    free(x);
    clg_graph_free(g);
}

static void test_rms_norm(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(T * S, -2, 2, &random), *gain = support_spread(S, -2, 2, &random), want[T * S];
    for (int t = 0; t < T; t++) {
        double square = 0;
        for (int s = 0; s < S; s++)
            square += x[t * S + s] * x[t * S + s] / S;
        for (int s = 0; s < S; s++)
            want[t * S + s] = x[t * S + s] / sqrt(square + 1e-3) * gain[s];
    }
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(T, S), x), by = support_leaf(g, CLG_F32, CLG_SHAPE(S), gain);
    support_expect(clg_rms_norm(leaf, by, 1e-3), want, 1e-5, "rms_norm");
    if (on_the_cpu()) {
        clg_var d[] = {support_leaf(g, CLG_F64, CLG_SHAPE(T, S), x), support_leaf(g, CLG_F64, CLG_SHAPE(S), gain)};
        support_expect_gradients(clg_rms_norm(d[0], d[1], 1e-5), d, 2, &random, "rms_norm");
        support_expect_gradients(clg_rms_norm(d[0], CLG_NONE, 1e-5), d, 1, &random, "rms_norm");
    }
    free(x);
    free(gain);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- products */

static void test_prod(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(2 * 7 * 3, -2, 2, &random), all = 1, middle[6], ends[7];
    for (int i = 0; i < 42; i++)
        all *= x[i];
    for (int i = 0; i < 6; i++) {
        middle[i] = 1;
        for (int j = 0; j < 7; j++)
            middle[i] *= x[(i / 3 * 7 + j) * 3 + i % 3];
    }
    for (int j = 0; j < 7; j++) {
        ends[j] = 1;
        for (int i = 0; i < 6; i++)
            ends[j] *= x[(i / 3 * 7 + j) * 3 + i % 3];
    }
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(2, 7, 3), x), whole = clg_prod(leaf, CLG_ALL_AXES, false);
    assert_true(support_close(clg_item(whole) / all, 1, 1e-4) && clg_shape_of(whole).rank == 0);
    support_expect(clg_prod(leaf, CLG_AXES(1), true), middle, 1e-5, "prod of the middle axis");
    support_expect(clg_prod(leaf, CLG_AXES(2, 0), false), ends, 1e-5, "prod of two axes");
    assert_true(clg_shape_equal(clg_shape_of(clg_prod(leaf, CLG_AXES(1), true)), CLG_SHAPE(2, 1, 3)));
    support_expect(clg_prod(clg_slice(leaf, 1, 0, 0, 1), CLG_AXES(1), false), (double[]){1, 1, 1, 1, 1, 1}, 0,
                   "of nothing");
    const int32_t integers[] = {1 << 20, 1 << 12, 3};
    clg_var long_product = clg_prod(clg_array(g, CLG_I32, CLG_SHAPE(3), integers), CLG_ALL_AXES, false);
    assert_true(clg_item(long_product) == ldexp(3, 32) && clg_dtype_of(long_product) == CLG_I64);
    /* at zeros: the product of a, b, c has the mixed derivatives c, b, a */
    const float zeros[] = {0, 0, 5};
    clg_var z = clg_array(g, CLG_F32, CLG_SHAPE(3), zeros), first, second, third;
    clg_gradients(clg_prod(z, CLG_ALL_AXES, false), &z, 1, &first);
    clg_gradients(clg_index(first, 0, 0), &z, 1, &second);
    clg_gradients(clg_index(second, 0, 1), &z, 1, &third);
    support_expect(first, (double[]){0, 0, 0}, 0, "first derivatives");
    support_expect(second, (double[]){0, 5, 0}, 0, "second derivatives");
    support_expect(third, (double[]){0, 0, 1}, 0, "third derivatives");
    if (on_the_cpu()) {
        clg_var d = support_leaf(g, CLG_F64, CLG_SHAPE(2, 7, 3), x);
        support_expect_gradients(clg_prod(d, CLG_AXES(1), false), &d, 1, &random, "prod");
    }
    free(x);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention), cmocka_unit_test(test_rotary),
                                       cmocka_unit_test(test_rms_norm), cmocka_unit_test(test_prod)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
