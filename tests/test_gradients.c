/* Every operation of the table: first and second gradients in f64 against central differences, on fresh random data;
 * and the check itself is checked with planted faults. */
#include "support.h"

#include "cli/check_ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REALS = 3, SAMPLES = 6 };

typedef struct built {
    clg_var y, reals[MAX_REALS];
    int count;
} built;

static clg_var view_of(clg_var leaf, check_view view)
{
    return view == CHECK_TRANSPOSED ? clg_transpose(leaf)
           : view == CHECK_SLICED   ? clg_slice(leaf, -1, 1, INT64_MAX, 2)
                                    : leaf;
}

static clg_shape leaf_shape(check_operand operand)
{
    clg_shape shape = operand.shape;
    if (operand.view == CHECK_TRANSPOSED) {
        shape.dim[shape.rank - 1] = operand.shape.dim[shape.rank - 2];
        shape.dim[shape.rank - 2] = operand.shape.dim[shape.rank - 1];
    } else if (operand.view == CHECK_SLICED) {
        shape.dim[shape.rank - 1] = 2 * shape.dim[shape.rank - 1] + 1;
    }
    return shape;
}

static built build(clg_graph *g, const check_row *row, const check_case *which, clg_random *random)
{
    built b = {.count = 0};
    clg_var operands[CHECK_MAX_OPERANDS];
    int64_t total = 0, used = 0;
    for (int i = 0; row->operands[i]; i++)
        total += clg_shape_count(leaf_shape(which->operands[i]));
    double *spread = support_spread(total, row->lo, row->hi, random);
    for (int i = 0; row->operands[i]; i++) {
        clg_shape shape = leaf_shape(which->operands[i]);
        int64_t count = clg_shape_count(shape);
        double *values = spread + used;
        used += count;
        for (int64_t k = 0; k < count && row->operands[i] != 'r'; k++)
            values[k] = clg_random_below(random, row->operands[i] == 'c' ? 2 : CHECK_TABLE_ROWS);
        clg_dtype dtype = row->operands[i] == 'r' ? CLG_F64 : row->operands[i] == 'c' ? CLG_U8 : CLG_I32;
        clg_var leaf = support_leaf(g, dtype, shape, values);
        if (row->operands[i] == 'r')
            b.reals[b.count++] = leaf;
        operands[i] = view_of(leaf, which->operands[i].view);
    }
    free(spread);
    b.y = check_build(row, operands);
    return b;
}

/* A scalar that depends on every element of x with its own weight. */
static clg_var weighted(clg_var x, clg_random *random)
{
    int64_t count = clg_shape_count(clg_shape_of(x));
    double *w = malloc((size_t)(count + 1) * sizeof *w);
    assert_non_null(w);
    for (int64_t i = 0; i < count; i++)
        w[i] = 0.5 + clg_random_uniform(random);
    clg_var y = clg_sum(clg_mul(x, support_leaf(x.graph, CLG_F64, clg_shape_of(x), w)), CLG_ALL_AXES, false);
    free(w);
    return y;
}

static void expect_valid(clg_graph *g, const check_row *row)
{
    if (clg_graph_error(g))
        fail_msg("%s %s: %s", row->op, row->variant, clg_graph_error(g));
}

static void check_case_of(clg_device *device, const check_row *row, const check_case *which, clg_random *random)
{
    clg_graph *g = clg_graph_new(device);
    clg_var first[MAX_REALS], second[MAX_REALS];
    built b = build(g, row, which, random);
    clg_var loss = weighted(b.y, random);
    clg_gradients(loss, b.reals, b.count, first);
    expect_valid(g, row);
    int errors = support_gradient_errors(loss, b.reals, first, b.count, SAMPLES, random);
    if (errors)
        fail_msg("%s %s: %d wrong gradients, shape %lld elements", row->op, row->variant, errors,
                 (long long)clg_shape_count(clg_shape_of(b.y)));
    clg_var again = clg_full(g, CLG_F64, CLG_SCALAR, 0);
    for (int i = 0; i < b.count; i++)
        again = clg_add(again, weighted(first[i], random));
    clg_gradients(again, b.reals, b.count, second);
    expect_valid(g, row);
    errors = support_gradient_errors(again, b.reals, second, b.count, SAMPLES, random);
    if (errors)
        fail_msg("%s %s: %d wrong second gradients", row->op, row->variant, errors);
    clg_graph_free(g);
}

static void test_every_operation(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 1);
    int count;
    const check_row *rows = check_table(&count);
    for (int r = 0; r < count; r++) {
        const check_row *row = &rows[r];
        if (row->flags & (CHECK_NO_GRADIENT | CHECK_F64)) /* CHECK_F64: its result is f32, too coarse here */
            continue;
        for (int c = 0; c < row->shapes->count; c++)
            check_case_of(device, row, &row->shapes->cases[c], &random);
    }
    clg_device_close(device);
}

static void test_composites(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 2);
    for (int which = 0; which < 7; which++) {
        clg_graph *g = clg_graph_new(device);
        double *values = support_spread(35, -2, 2, &random);
        const double labels[5] = {0, 6, 3, 3, 1};
        clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(5, 7), values), gx, ggx;
        clg_var t = support_leaf(g, CLG_I32, CLG_SHAPE(5), labels);
        clg_var y = which == 0   ? clg_softmax(x, 1)
                    : which == 1 ? clg_softmax(x, 0)
                    : which == 2 ? clg_log_softmax(x, -1)
                    : which == 3 ? clg_softmax_cross_entropy(x, t)
                    : which == 4 ? clg_mean_squared_error(x, clg_exp(clg_transpose(clg_reshape(x, CLG_SHAPE(7, 5)))))
                    : which == 5 ? clg_mean(clg_exp(x), CLG_AXES(0), false)
                                 : clg_slice(clg_slice(clg_exp(x), 1, 6, INT64_MIN, -3), 0, 4, 0, -2);
        clg_var loss = weighted(y, &random);
        clg_gradients(loss, &x, 1, &gx);
        clg_var again = weighted(gx, &random);
        clg_gradients(again, &x, 1, &ggx);
        assert_null(clg_graph_error(g));
        assert_int_equal(support_gradient_errors(loss, &x, &gx, 1, 35, &random), 0);
        assert_int_equal(support_gradient_errors(again, &x, &ggx, 1, 35, &random), 0);
        free(values);
        clg_graph_free(g);
    }
    clg_device_close(device);
}

/* First and second gradients for x, gain and bias, with each of the two and without. */
static void test_layer_norm(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 5);
    for (int which = 0; which < 4; which++) {
        clg_graph *g = clg_graph_new(device);
        double *values = support_spread(2 * 3 * 7 + 14, -2, 2, &random);
        clg_var leaves[3] = {support_leaf(g, CLG_F64, CLG_SHAPE(2, 3, 7), values)}, first[3], second[3];
        int count = 1;
        clg_var gain = CLG_NONE, bias = CLG_NONE;
        if (which & 1)
            leaves[count++] = gain = support_leaf(g, CLG_F64, CLG_SHAPE(7), values + 42);
        if (which & 2)
            leaves[count++] = bias = support_leaf(g, CLG_F64, CLG_SHAPE(7), values + 49);
        /* exp: so that the second gradients do not vanish where y depends on a variable linearly */
        clg_var loss = weighted(clg_exp(clg_layer_norm(leaves[0], gain, bias, 0.1)), &random);
        clg_gradients(loss, leaves, count, first);
        clg_var again = clg_full(g, CLG_F64, CLG_SCALAR, 0);
        for (int i = 0; i < count; i++)
            again = clg_add(again, weighted(first[i], &random));
        clg_gradients(again, leaves, count, second);
        assert_null(clg_graph_error(g));
        assert_int_equal(support_gradient_errors(loss, leaves, first, count, 42, &random), 0);
        assert_int_equal(support_gradient_errors(again, leaves, second, count, 42, &random), 0);
        free(values);
        clg_graph_free(g);
    }
    clg_device_close(device);
}

static void test_third_order(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    double *values = support_spread(4, 0.5, 2, &random);
    clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(4), values), g1, g2, g3;
    clg_var loss = clg_sum(clg_mul(clg_sigmoid(clg_mul(x, x)), clg_log(clg_gelu(x))), CLG_ALL_AXES, false);
    clg_gradients(loss, &x, 1, &g1);
    clg_gradients(g1, &x, 1, &g2);
    clg_var sum = clg_sum(g2, CLG_ALL_AXES, false);
    clg_gradients(sum, &x, 1, &g3);
    assert_int_equal(support_gradient_errors(sum, &x, &g3, 1, 4, &random), 0);
    free(values);
    clg_graph_free(g);
    clg_device_close(device);
}

/* A checker that passes everything is worthless: these gradients are wrong, and must be found out. */
static void test_planted_faults(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *values = support_spread(12, 0.5, 2, &random);
    clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(3, 4), values), right, partial;
    clg_var b = support_leaf(g, CLG_F64, CLG_SHAPE(1, 4), values + 3), gb;
    clg_var loss = weighted(clg_mul(clg_exp(x), clg_add(x, b)), &random);
    clg_gradients(loss, &x, 1, &right);
    clg_gradients(loss, &b, 1, &gb);
    assert_int_equal(support_gradient_errors(loss, &x, &right, 1, 12, &random), 0);
    assert_int_equal(support_gradient_errors(loss, &b, &gb, 1, 4, &random), 0);
    print_message("the faults reported below are planted\n");
    clg_var flipped = clg_neg(right);
    assert_int_not_equal(support_gradient_errors(loss, &x, &flipped, 1, 12, &random), 0);
    clg_var scaled = clg_mul(right, clg_full(g, CLG_F64, CLG_SCALAR, 1.001));
    assert_int_not_equal(support_gradient_errors(loss, &x, &scaled, 1, 12, &random), 0);
    clg_var other = clg_sum(clg_mul(clg_exp(clg_stop_gradient(x)), clg_add(x, b)), CLG_ALL_AXES, false);
    clg_gradients(other, &x, 1, &partial); /* one of two terms */
    assert_int_not_equal(support_gradient_errors(loss, &x, &partial, 1, 12, &random), 0);
    clg_var unsummed = clg_slice(right, 0, 0, 1, 1); /* a broadcast operand's gradient without the sum */
    assert_int_not_equal(support_gradient_errors(loss, &b, &unsummed, 1, 4, &random), 0);
    clg_var undefined = clg_mul(right, clg_full(g, CLG_F64, CLG_SCALAR, __builtin_nan("")));
    assert_int_not_equal(support_gradient_errors(loss, &x, &undefined, 1, 12, &random), 0);
    free(values);
    clg_graph_free(g);
    clg_device_close(device);
}

/* Central differences say nothing there. */
static void test_gelu_at_infinity(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_array(g, CLG_F64, CLG_SHAPE(3), (double[]){-INFINITY, INFINITY, NAN}), gx;
    clg_gradients(clg_gelu(x), &x, 1, &gx);
    double *slope = support_values(gx);
    assert_true(slope[0] == 0 && slope[1] == 1 && isnan(slope[2]));
    free(slope);
    clg_graph_free(g);
    clg_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_operation), cmocka_unit_test(test_composites),
                                       cmocka_unit_test(test_layer_norm),      cmocka_unit_test(test_third_order),
                                       cmocka_unit_test(test_planted_faults),  cmocka_unit_test(test_gelu_at_infinity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
