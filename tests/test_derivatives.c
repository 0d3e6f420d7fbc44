/* First and second derivatives where they are delicate: at zeros, ties, infinities, and where parts of them overflow.
 * Literal numbers: the limits, or what is said in clgrad.h. */
#include "support.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>

static clg_device *device; /* of the group that runs now */

typedef clg_var (*binary)(clg_var, clg_var);

static clg_var scaled_quotient(clg_var a, clg_var b)
{
    return clg_mul(clg_full(a.graph, clg_dtype_of(a), CLG_SCALAR, 1e20), clg_div(a, b));
}

static clg_var first(clg_var (*f)(clg_var), clg_var a, clg_var b) { return clg_add(f(a), clg_mul(b, clg_sub(a, a))); }
static clg_var erf_of(clg_var a, clg_var b) { return first(clg_erf, a, b); }
static clg_var erfc_of(clg_var a, clg_var b) { return first(clg_erfc, a, b); }
static clg_var gelu_of(clg_var a, clg_var b) { return first(clg_gelu, a, b); }
static clg_var softplus_of(clg_var a, clg_var b) { return first(clg_softplus, a, b); }

static clg_var relu_of(clg_var a, clg_var b) { return first(clg_relu, a, b); }
static clg_var abs_of(clg_var a, clg_var b) { return first(clg_abs, a, b); }
static clg_var sqrt_of(clg_var a, clg_var b) { return first(clg_sqrt, a, b); }
/* the largest of a, 1 and b */
static clg_var largest_of(clg_var a, clg_var b)
{
    clg_var parts[] = {a, clg_scalar_like(a, 1), b};
    return clg_max(clg_stack(parts, 3, 0), CLG_ALL_AXES, false);
}

#define ANY 12345.0 /* not looked at */

/* da, db, d2a, d2ab (both ways), d2b of f(a, b) */
typedef struct derivatives {
    const char *name;
    binary f;
    double a, b, want[5];
} derivatives;

static const derivatives cases[] = {
    {"power", clg_pow, 0, 2, {0, 0, 2, 0, 0}},
    {"power", clg_pow, 0, 3, {0, 0, 0, 0, 0}},
    {"power", clg_pow, 0, 0, {0, 0, ANY, ANY, 0}},
    {"power", clg_pow, 0, 1, {1, 0, ANY, ANY, 0}},
    {"power", clg_pow, 2, 3, {12, 5.5451774444795623, 12, 12.317766166719343, 3.8436240869449893}},
    {"power", clg_pow, -2, 2, {-4, NAN, 2, NAN, NAN}},
    {"divide", clg_div, 0, 4, {0.25, 0, 0, -0.0625, 0}},
    {"scaled quotient", scaled_quotient, 0, 1e-20, {INFINITY, 0, ANY, ANY, ANY}},
    {"maximum", clg_maximum, NAN, 1, {1, 1, 0, 0, 0}},
    {"maximum", clg_maximum, 1, 1, {0.5, 0.5, 0, 0, 0}},
    {"maximum", clg_maximum, 1, INFINITY, {0, 1, 0, 0, 0}},
    {"minimum", clg_minimum, 1, NAN, {1, 1, 0, 0, 0}},
    {"minimum", clg_minimum, 2, 1, {0, 1, 0, 0, 0}},
    {"hypot", clg_hypot, 0, 0, {0, 0, ANY, ANY, ANY}},
    {"hypot", clg_hypot, 3e30, 4e30, {0.6, 0.8, ANY, ANY, ANY}},
    {"atan2", clg_atan2, 3e30, -4e30, {-1.6e-31, -1.2e-31, ANY, ANY, ANY}},
    {"atan2", clg_atan2, 0, 0, {0, 0, ANY, ANY, ANY}},
    {"xlogy", clg_xlogy, 0, 0, {0, 0, ANY, ANY, ANY}},
    {"logaddexp", clg_logaddexp, -INFINITY, -INFINITY, {0.5, 0.5, ANY, ANY, ANY}},
    {"relu", relu_of, 0, 1, {0, 0, 0, 0, 0}},
    {"abs", abs_of, 0, 1, {0, 0, 0, 0, 0}},
    {"sqrt", sqrt_of, 0, 1, {INFINITY, 0, ANY, 0, 0}},
    {"max", largest_of, 3, 3, {0.5, 0.5, 0, 0, 0}},
    {"remainder", clg_remainder, -7, 3, {1, 3, 0, 0, 0}},
    {"remainder", clg_remainder, 0.5, 0.1, {1, -4, 0, 0, 0}}, /* 0.5 / 0.1 is rounded to 5 */
    {"fmod", clg_fmod, 1, 0.2, {1, -4, 0, 0, 0}},
    {"xlogy", clg_xlogy, 0, 2, {0.69314718055994531, 0, 0, 0.5, 0}},
    {"logaddexp", clg_logaddexp, 1, -1e30, {1, 0, 0, 0, 0}},
    {"fmod", clg_fmod, -7, 3, {1, 2, 0, 0, 0}},
    {"copysign", clg_copysign, -2, 3, {-1, 0, 0, 0, 0}},
    {"copysign", clg_copysign, 0, 3, {0, 0, 0, 0, 0}},
    {"erf", erf_of, 3e38, 1, {0, 0, 0, 0, 0}},
    {"erf", erf_of, -3e38, 1, {0, 0, 0, 0, 0}},
    {"erfc", erfc_of, 3e38, 1, {0, 0, 0, 0, 0}},
    {"gelu", gelu_of, 3e38, 1, {1, 0, 0, 0, 0}},
    {"gelu", gelu_of, -3e38, 1, {0, 0, 0, 0, 0}},
    {"softplus", softplus_of, 0, 1, {0.5, 0, 0.25, 0, 0}},
    {"softplus", softplus_of, 3e38, 1, {1, 0, 0, 0, 0}},
};

static void test_two_orders(void **state)
{
    (void)state;
    enum { COUNT = sizeof cases / sizeof *cases, OUTPUTS = 6 };
    clg_graph *g = clg_graph_new(device);
    clg_var y[COUNT * OUTPUTS];
    for (int i = 0; i < COUNT; i++) {
        clg_var x[2] = {support_leaf(g, CLG_F32, CLG_SCALAR, &cases[i].a),
                        support_leaf(g, CLG_F32, CLG_SCALAR, &cases[i].b)};
        clg_gradients(cases[i].f(x[0], x[1]), x, 2, y + OUTPUTS * i);
        clg_gradients(y[OUTPUTS * i], x, 2, y + OUTPUTS * i + 2);
        clg_gradients(y[OUTPUTS * i + 1], x, 2, y + OUTPUTS * i + 4);
    }
    clg_program *p = clg_compile(g, y, COUNT * OUTPUTS);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < OUTPUTS; k++) {
            const double want = cases[i].want[(int[]){0, 1, 2, 3, 3, 4}[k]], got = clg_item(y[OUTPUTS * i + k]);
            const bool same = isnan(want) ? isnan(got) : got == want || fabs(got - want) <= 1e-5 * fabs(want);
            if (want != ANY && !same)
                fail_msg("%s at %g, %g: derivative %d is %g, not %g", cases[i].name, cases[i].a, cases[i].b, k, got,
                         want);
        }
    clg_program_free(p);
    clg_graph_free(g);
}

/* One variable, of which the second derivative at infinities was NaN. */
static void test_bells_at_infinity(void **state)
{
    (void)state;
    static clg_var (*const functions[])(clg_var) = {clg_erf, clg_erfc, clg_gelu};
    const float ends[] = {-INFINITY, INFINITY, NAN};
    clg_graph *g = clg_graph_new(device);
    for (int i = 0; i < 3; i++) {
        clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(3), ends), slope, curve;
        clg_gradients(functions[i](x), &x, 1, &slope);
        clg_gradients(slope, &x, 1, &curve);
        support_expect(slope, (double[]){0, i == 2, NAN}, 0, "slope");
        support_expect(curve, (double[]){0, 0, NAN}, 0, "curvature");
    }
    clg_graph_free(g);
}

/* Steps of optimizers in f64 are not rounded to f32; options that are 0 are 0. */
static void test_steps(void **state)
{
    (void)state;
    if (!clg_device_get_info(device)->has_f64)
        skip();
    const double one = 1;
    for (int kind = 0; kind < 3; kind++) {
        clg_graph *g = clg_graph_new(device);
        clg_var x = support_leaf(g, CLG_F64, CLG_SCALAR, &one);
        clg_sgd_options sgd = clg_sgd_defaults();
        clg_adam_options adam = clg_adam_defaults();
        sgd.lr = kind == 0 ? 0.1 : 0;
        adam.lr = 0.1, adam.beta1 = 0, adam.epsilon = 0;
        clg_optimizer *o = kind == 2 ? clg_adam(&x, 1, &adam) : clg_sgd(&x, 1, &sgd);
        clg_item(clg_minimize(o, clg_mul(x, clg_full(g, CLG_F64, CLG_SCALAR, 3))));
        /* Adam's first step is lr times the gradient's sign, here without epsilon */
        assert_true(support_close(clg_item(x), kind == 0 ? 1 - 0.1 * 3 : kind == 1 ? 1 : 0.9, 1e-15));
        clg_optimizer_free(o);
        clg_graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_orders), cmocka_unit_test(test_bells_at_infinity),
                                       cmocka_unit_test(test_steps)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
