/* Arrays of a pattern, parts and products of matrices: literal values, shapes, gradients. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static void expect(clg_var x, clg_shape shape, const double *want, const char *what)
{
    const clg_shape got = clg_shape_of(x);
    if (got.rank != shape.rank || memcmp(got.dim, shape.dim, (size_t)got.rank * sizeof *got.dim))
        fail_msg("%s: a wrong shape", what);
    support_expect(x, want, 1e-6, what);
}

static void test_patterns(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t labels[] = {2, 0, -1, 3};
    expect(clg_linspace(g, CLG_F32, -1, 2, 4), CLG_SHAPE(4), (double[]){-1, 0, 1, 2}, "linspace");
    expect(clg_linspace(g, CLG_F32, 3, 9, 1), CLG_SHAPE(1), (double[]){3}, "linspace of one");
    clg_var hundred = clg_linspace(g, CLG_F32, 0.1, 0.7, 100);
    assert_true((float)clg_item(clg_index(hundred, 0, 0)) == 0.1f &&
                (float)clg_item(clg_index(hundred, 0, -1)) == 0.7f);
    support_expect_error(clg_linspace(g, CLG_U8, 0, 1, 3), "linspace: dtype must be f32 or f64, not u8");
    expect(clg_eye(g, CLG_F32, 2, 3), CLG_SHAPE(2, 3), (double[]){1, 0, 0, 0, 1, 0}, "eye");
    assert_true(clg_dtype_of(clg_eye(g, CLG_U8, 1, 1)) == CLG_U8);
    clg_var hot = clg_one_hot(clg_array(g, CLG_I32, CLG_SHAPE(2, 2), labels), 3, CLG_F32);
    expect(hot, CLG_SHAPE(2, 2, 3), (double[]){0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "one_hot");
    clg_graph_free(g);
}

static void test_parts(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(3, 3), values), wide = clg_slice(x, 0, 0, 2, 1);
    expect(clg_tril(x, 0), CLG_SHAPE(3, 3), (double[]){1, 0, 0, 4, 5, 0, 7, 8, 9}, "tril");
    expect(clg_tril(wide, 1), CLG_SHAPE(2, 3), (double[]){1, 2, 0, 4, 5, 6}, "tril 1");
    expect(clg_tril(x, -1), CLG_SHAPE(3, 3), (double[]){0, 0, 0, 4, 0, 0, 7, 8, 0}, "tril -1");
    expect(clg_triu(x, 0), CLG_SHAPE(3, 3), (double[]){1, 2, 3, 0, 5, 6, 0, 0, 9}, "triu");
    expect(clg_triu(wide, 2), CLG_SHAPE(2, 3), (double[]){0, 0, 3, 0, 0, 0}, "triu 2");
    expect(clg_triu(x, -1), CLG_SHAPE(3, 3), (double[]){1, 2, 3, 4, 5, 6, 0, 8, 9}, "triu -1");
    expect(clg_diagonal(x), CLG_SHAPE(3), (double[]){1, 5, 9}, "diagonal");
    expect(clg_trace(clg_reshape(x, CLG_SHAPE(1, 3, 3))), CLG_SHAPE(1), (double[]){15}, "trace");
    support_expect_error(clg_tril(clg_index(x, 0, 0), 0), "tril: x (3) must be of rank 2 or more");
    clg_graph_free(g);
}

static void test_products(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double values[] = {1, 2, 3, 4, 5, 6};
    clg_var a = support_leaf(g, CLG_F32, CLG_SHAPE(2), values), b = support_leaf(g, CLG_F32, CLG_SHAPE(3), values);
    expect(clg_outer(a, b), CLG_SHAPE(2, 3), (double[]){1, 2, 3, 2, 4, 6}, "outer");
    clg_var m = support_leaf(g, CLG_F32, CLG_SHAPE(1, 2), values),
            n = support_leaf(g, CLG_F32, CLG_SHAPE(2, 2), values);
    expect(clg_kron(m, n), CLG_SHAPE(2, 4), (double[]){1, 2, 2, 4, 3, 4, 6, 8}, "kron");
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(2, 3), values), flipped = clg_flip(x, CLG_AXES(1));
    support_expect_error(clg_cross(a, a, 0), "cross: axis 0 of (2) and of (2) must be of extent 3");
    support_expect_error(clg_outer(m, a), "outer: operands (1, 2) and (2) must be of rank 1");
    support_expect_error(clg_kron(m, a), "must be of rank 2");
    support_expect_error(clg_one_hot(CLG_NONE, 3, CLG_F32), "one_hot: operand 0 is not a variable");
    support_expect_error(clg_cross(x, CLG_NONE, 1), "cross: operand 1 is not a variable of the graph of operand 0");
    support_expect_error(clg_one_hot(a, 3, CLG_F32), "one_hot: labels must be i32, i64 or u8, not f32");
    expect(clg_cross(x, flipped, 1), CLG_SHAPE(2, 3),
           (double[]){2 * 1 - 3 * 2, 3 * 3 - 1 * 1, 1 * 2 - 2 * 3, 5 * 4 - 6 * 5, 6 * 6 - 4 * 4, 4 * 5 - 5 * 6},
           "cross");
    clg_graph_free(g);
}

static void test_gradients(void **state)
{
    (void)state;
    if (strcmp(clg_device_get_info(device)->type, "host") != 0)
        skip(); /* these are the same operations */
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    double *v = support_spread(9, -2, 2, &random), *w = support_spread(9, -2, 2, &random);
    clg_var x[] = {support_leaf(g, CLG_F64, CLG_SHAPE(3, 3), v), support_leaf(g, CLG_F64, CLG_SHAPE(3, 3), w)};
    support_expect_gradients(clg_tril(x[0], 1), x, 1, &random, "tril");
    support_expect_gradients(clg_triu(x[0], 1), x, 1, &random, "triu");
    support_expect_gradients(clg_diagonal(x[0]), x, 1, &random, "diagonal");
    support_expect_gradients(clg_trace(x[0]), x, 1, &random, "trace");
    support_expect_gradients(clg_kron(x[0], x[1]), x, 2, &random, "kron");
    support_expect_gradients(clg_cross(x[0], x[1], -1), x, 2, &random, "cross");
    free(v);
    free(w);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patterns), cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_products), cmocka_unit_test(test_gradients)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
