/* Constant arrays: what is made of them alone is computed when a program is compiled, once. */
#include "support_gradients.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

enum { N = 300 };

static clg_var constant(clg_graph *g, double base)
{
    float values[N];
    for (int i = 0; i < N; i++)
        values[i] = (float)(base + i % 7);
    return clg_constant(g, CLG_F32, CLG_SHAPE(N), values);
}

static clg_program *compile(clg_graph *g, const clg_var *outputs, int count)
{
    clg_program *p = clg_compile(g, outputs, count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_last_error());
    return p;
}

static void test_folding(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double ones[N] = {0};
    clg_var a = constant(g, 1), b = constant(g, 2), x = support_leaf(g, CLG_F32, CLG_SHAPE(N), ones);
    clg_var table = clg_cumsum(clg_exp(clg_sin(clg_mul(a, b))), 0, 0), scale = clg_sum(table, CLG_ALL_AXES, false);
    clg_var y = clg_add(clg_mul(x, table), scale), plain = clg_add(clg_mul(x, a), b);
    clg_program *p = compile(g, &y, 1), *q = compile(g, &plain, 1), *own = compile(g, (clg_var[]){table, x}, 2);
    /* one step of leaves, as of the arrays themselves; a constant output costs nothing at all */
    assert_int_equal(clg_program_get_info(p).steps, clg_program_get_info(q).steps);
    assert_int_equal(clg_program_get_info(own).steps, 0);
    double want[N], sum = 0, total = 0;
    for (int i = 0; i < N; i++) {
        const float product = (float)(1 + i % 7) * (float)(2 + i % 7);
        want[i] = sum += exp(sin((double)product));
        total += sum;
    }
    support_expect(table, want, 1e-4, "a constant output");
    for (int i = 0; i < N; i++)
        want[i] = total;
    support_expect(y, want, 1e-4, "of constants and an input that is 0");
    /* other values of the input change nothing of the constants, and nothing is computed again */
    float twos[N];
    for (int i = 0; i < N; i++)
        twos[i] = 2;
    assert_int_equal(clg_write(x, twos, sizeof twos), CLG_OK);
    assert_int_equal(clg_run(p), CLG_OK);
    sum = 0;
    for (int i = 0; i < N; i++) {
        sum += exp(sin((double)((float)(1 + i % 7) * (float)(2 + i % 7))));
        want[i] = total + 2 * sum;
    }
    support_expect(y, want, 1e-4, "of constants and an input that is 2");
    clg_program_free(p);
    clg_program_free(q);
    clg_program_free(own);
    clg_graph_free(g);
}

/* An outer product of constants is larger than they are: computed where it is used; its sum is kept. */
static void test_large_ones_are_not_kept(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var a = constant(g, 1), b = clg_reshape(constant(g, 2), CLG_SHAPE(N, 1)), outer = clg_mul(a, b);
    const double zeros[N] = {0};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(N), zeros);
    clg_var y = clg_add(outer, x), z = clg_add(clg_sum(outer, CLG_AXES(0), false), x);
    clg_program *p = compile(g, &y, 1), *q = compile(g, &z, 1);
    const clg_program_info info = clg_program_get_info(p);
    if (info.parameter_bytes > 3 * N * 4)
        fail_msg("%lld bytes of leaves", (long long)info.parameter_bytes);
    assert_int_equal(clg_program_get_info(q).steps, 1);
    clg_program_free(p);
    clg_program_free(q);
    clg_graph_free(g);
}

static void test_rules(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double three = 3;
    float one = 1;
    clg_var a = clg_constant(g, CLG_F32, CLG_SCALAR, &one), x = support_leaf(g, CLG_F32, CLG_SCALAR, &three), gx;
    assert_int_equal(clg_write(a, &one, sizeof one), CLG_ERROR_ARGUMENT);
    assert_non_null(strstr(clg_last_error(), "write: %0 () is a constant"));
    support_expect_error(clg_assign(a, x), "assign: %0 () is a constant");
    assert_int_equal(clg_backward(clg_mul(a, x)), CLG_OK);
    support_expect(clg_grad(x), (double[]){1}, 0, "the input's gradient");
    support_expect_error(clg_grad(a), "grad: %0 has no gradient");
    assert_int_equal(clg_gradients(clg_mul(a, x), &a, 1, &gx), CLG_OK); /* where it is asked for */
    support_expect(gx, &three, 0, "the constant's gradient");
    const int32_t mark = clg_graph_mark(g);
    clg_var folded = clg_exp(clg_add(clg_constant(g, CLG_F32, CLG_SCALAR, &one), a));
    clg_program *p = compile(g, &folded, 1);
    assert_true(support_close(clg_item(folded), exp(2), 1e-6));
    clg_program_free(p);
    assert_int_equal(clg_graph_rewind(g, mark), CLG_OK);
    one = 2;
    folded = clg_exp(clg_add(clg_constant(g, CLG_F32, CLG_SCALAR, &one), a)); /* the same nodes, other values */
    p = compile(g, &folded, 1);
    assert_true(support_close(clg_item(folded), exp(3), 1e-6));
    clg_program_free(p);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folding), cmocka_unit_test(test_large_ones_are_not_kept),
                                       cmocka_unit_test(test_rules)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
