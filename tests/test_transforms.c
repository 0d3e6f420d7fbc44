/* Products with Jacobians and Hessians, matrices of derivatives, and the check of gradients: against closed forms and
 * differences; the check finds what is planted. */
#include "support_gradients.h"

#include <clgrad/functions.h>
#include <clgrad/transforms.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(void) { return real() == CLG_F64 ? 1e-12 : 1e-5; }

/* y[i] = sin(x[i]) z, x (3), z (): its derivatives are cos(x[i]) z on the diagonal, and sin(x[i]). */
static void test_products(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double x[] = {0.3, -1.1, 2}, z = 1.7, v[] = {0.5, -2, 3}, w = 0.25;
    double jvp[3], vjp[3], of_z = 0, hvp[3], hvp_z = 0;
    for (int i = 0; i < 3; i++) {
        jvp[i] = cos(x[i]) * z * v[i] + sin(x[i]) * w;
        vjp[i] = cos(x[i]) * z * v[i];
        of_z += sin(x[i]) * v[i];
        hvp[i] = -sin(x[i]) * z * v[i] + cos(x[i]) * w;
        hvp_z += cos(x[i]) * v[i];
    }
    clg_var xs[] = {support_leaf(g, real(), CLG_SHAPE(3), x), support_leaf(g, real(), CLG_SCALAR, &z)};
    clg_var vs[] = {support_leaf(g, real(), CLG_SHAPE(3), v), support_leaf(g, real(), CLG_SCALAR, &w)};
    clg_var y = clg_mul(clg_sin(xs[0]), xs[1]), out[2];
    support_expect(clg_jvp(y, xs, vs, 2), jvp, tolerance(), "jvp");
    assert_int_equal(clg_vjp(&y, vs, 1, xs, 2, out), CLG_OK);
    support_expect(out[0], vjp, tolerance(), "vjp");
    support_expect(out[1], &of_z, tolerance(), "vjp of a scalar");
    assert_int_equal(clg_hvp(y, xs, vs, 2, out), CLG_OK);
    support_expect(out[0], hvp, tolerance(), "hvp");
    support_expect(out[1], &hvp_z, tolerance(), "hvp of a scalar");
    /* the same by other ways: of what is linear the product is itself; a product's product is a second derivative */
    support_expect(clg_jvp(clg_mul(xs[0], xs[1]), &xs[1], &vs[1], 1), (double[]){0.3 * w, -1.1 * w, 2 * w}, tolerance(),
                   "jvp of a product");
    clg_var one = clg_full(g, real(), CLG_SHAPE(3), 1),
            twice = clg_jvp(clg_jvp(clg_exp(xs[0]), xs, &one, 1), xs, &one, 1);
    support_expect(twice, (double[]){exp(0.3), exp(-1.1), exp(2)}, tolerance(), "jvp of jvp");
    assert_int_not_equal(clg_hvp(y, xs, (clg_var[]){vs[1], vs[0]}, 2, out), CLG_OK);
    support_expect_error(out[0], "hvp: variable 0 is (3), its vector ()");
    assert_int_not_equal(clg_vjp(&y, vs, 0, xs, 2, out), CLG_OK);
    support_expect_error(clg_jvp(y, xs, vs, 0), "jvp: there must be one variable or more, not 0");
    support_expect_error(clg_jacobian(clg_slice(y, 0, 0, 0, 1), xs[0]), "jacobian: of (0) by (3)");
    clg_graph_free(g);
}

static void test_matrices(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double x[] = {0.5, -1, 2, 3}, a[] = {1, 2, 3, 4, 5, 6};
    clg_var v = support_leaf(g, real(), CLG_SHAPE(2), x), m = support_leaf(g, real(), CLG_SHAPE(3, 2), a);
    clg_var j = clg_jacobian(clg_matmul(m, v), v), n = support_leaf(g, real(), CLG_SHAPE(2, 2), x);
    support_expect(j, a, tolerance(), "the Jacobian of a matrix product");
    assert_true(clg_shape_of(j).rank == 2 && clg_shape_of(j).dim[0] == 3 && clg_shape_of(j).dim[1] == 2);
    clg_var h = clg_hessian(clg_mul(clg_square(clg_index(v, 0, 0)), clg_index(v, 0, 1)), v);
    support_expect(h, (double[]){-2, 1, 1, 0}, tolerance(), "a Hessian");
    clg_var wide = clg_jacobian(clg_transpose(n), n);
    assert_true(clg_shape_of(wide).rank == 4);
    support_expect(wide, (double[]){1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}, 0, "of a transposed matrix");
    clg_graph_free(g);
}

/* A function that is not what its gradient says: the second factor is taken for constant. */
static clg_var planted(clg_var x) { return clg_mul(x, clg_stop_gradient(x)); }

static void test_check(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_random random = clg_random_new(support_seed(), 1);
    double *a = support_spread(50, -2, 2, &random), *b = support_spread(5, -2, 2, &random), *after;
    clg_var xs[] = {support_leaf(g, real(), CLG_SHAPE(10, 5), a), support_leaf(g, real(), CLG_SHAPE(5), b)};
    clg_var good = clg_tanh(clg_mul(xs[0], clg_exp(xs[1]))), bad = clg_add(good, planted(xs[1]));
    clg_check_result result;
    char report[400], little[10];
    assert_int_equal(clg_check_gradient(good, xs, 2, NULL, &result, report, sizeof report), CLG_OK);
    if (result.wrong || result.checked != 37 || !(result.error < 1e-2) || !strstr(report, "leaf 1, 5 of f"))
        fail_msg("%d wrong of %d, worst %g: %s", result.wrong, result.checked, result.error, report);
    assert_int_equal(clg_check_gradient(bad, xs, 2, &(clg_check_options){.samples = 3}, &result, little, sizeof little),
                     CLG_OK);
    assert_true(result.wrong == 3 && result.checked == 6 && result.leaf == 1 && strlen(little) == 9);
    assert_true(support_close(result.difference - result.gradient, 10 * b[result.element], 2e-2));
    after = support_values(xs[0]); /* as they were */
    for (int i = 0; i < 50; i++)
        assert_true(after[i] == (real() == CLG_F64 ? a[i] : (double)(float)a[i]));
    assert_int_not_equal(clg_check_gradient(good, &good, 1, NULL, NULL, NULL, 0), CLG_OK);
    free(a);
    free(b);
    free(after);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_matrices),
                                       cmocka_unit_test(test_check)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
