/* Sums of parts and concatenations: that what is stored is right, and that no element chooses between parts. */
#include "support.h"
#include "support_schedule.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

/* f64 where there is. */
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }

/* Fails where a step of the program has a bound: 0<=... */
static void expect_no_bounds(const clg_var *outputs, int count, const char *what)
{
    int steps;
    char *text = schedule_text(outputs, count, &steps);
    const bool bounds = strstr(text, "<=") != NULL;
    if (bounds)
        fail_msg("%s: elements choose between parts:\n%s", what, text);
    free(text);
}

/* The gradient of a function of many slices. Rows 0 to 2 and the last one are in no slice: zeros. */
static void test_gradients_of_slices(void **state)
{
    enum { ROWS = 40, COLUMNS = 6, FIRST = 3 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread((int64_t)ROWS * COLUMNS, -1, 1, &random), want[ROWS * COLUMNS] = {0};
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(ROWS, COLUMNS), x), sum = clg_full(g, CLG_F32, CLG_SCALAR, 0), gx;
    for (int i = FIRST; i < ROWS - 1; i++) {
        clg_var row = clg_index(leaf, 0, i), scaled = clg_mul(row, clg_full(g, CLG_F32, CLG_SCALAR, i));
        sum = clg_add(sum, clg_sum(clg_sin(scaled), CLG_ALL_AXES, false));
        for (int k = 0; k < COLUMNS; k++)
            want[i * COLUMNS + k] = i * cos((double)(float)x[i * COLUMNS + k] * i);
    }
    clg_gradients(sum, &leaf, 1, &gx);
    expect_no_bounds(&gx, 1, "gradient of slices");
    support_expect(gx, want, 1e-4, "gradient of slices");
    free(x);
    clg_graph_free(g);
}

/* A few elements of a long array, read many times: their gradient adds up what reads them, not that for each element.
 */
static void test_gradients_of_short_slices(void **state)
{
    enum { LONG = 1000, FIRST = 17, COUNT = 4, TIMES = 300 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 5);
    clg_graph *g = clg_graph_new(device);
    for (int64_t step = -2; step <= 2; step += 1 + (step == -1)) {
        double *w = support_spread((int64_t)TIMES * COUNT, -1, 1, &random), want[LONG] = {0};
        clg_var x = clg_input(g, real(), CLG_SHAPE(LONG)), rows = support_leaf(g, real(), CLG_SHAPE(TIMES, COUNT), w),
                gx;
        clg_var part = clg_slice(x, 0, FIRST, FIRST + step * COUNT, step), sum = clg_mul(rows, part);
        int steps;
        clg_gradients(clg_sum(sum, CLG_ALL_AXES, false), &x, 1, &gx);
        char *text = schedule_text(&gx, 1, &steps);
        if (strstr(text, "1000 |"))
            fail_msg("each element of the long array adds up:\n%s", text);
        free(text);
        for (int i = 0; i < TIMES * COUNT; i++)
            want[FIRST + step * (i % COUNT)] += w[i];
        support_expect(gx, want, 1e-4, "gradient of a short slice");
        free(w);
    }
    clg_graph_free(g);
}

/* Slices that overlap: each element is in three of them. */
static void test_gradients_of_overlapping_slices(void **state)
{
    enum { COUNT = 50, LENGTH = 3 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 2);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(COUNT, -1, 1, &random), want[COUNT] = {0};
    clg_var leaf = support_leaf(g, real(), CLG_SHAPE(COUNT), x), sum = clg_full(g, real(), CLG_SCALAR, 0), gx;
    for (int i = 0; i + LENGTH <= COUNT; i++) {
        clg_var part = clg_slice(leaf, 0, i, i + LENGTH, 1), square = clg_square(part);
        sum = clg_add(sum, clg_sum(clg_mul(square, clg_full(g, real(), CLG_SCALAR, i)), CLG_ALL_AXES, false));
        for (int k = 0; k < LENGTH; k++)
            want[i + k] += 2 * x[i + k] * i;
    }
    clg_gradients(sum, &leaf, 1, &gx);
    expect_no_bounds(&gx, 1, "gradient of overlapping slices");
    support_expect(gx, want, 1e-4, "gradient of overlapping slices");
    free(x);
    clg_graph_free(g);
}

/* Four gates beside each other, as a recurrent cell's gradient has them, that a product reads: one step makes all
 * gates, one the product. And a concatenation of a concatenation along the other axis, whose bits are kept. */
static void test_concatenations(void **state)
{
    enum { ROWS = 5, WIDTH = 7, GATES = 4, OUT = 9 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread((int64_t)ROWS * WIDTH, -1, 1, &random),
           *w = support_spread((int64_t)GATES * WIDTH * OUT, -1, 1, &random), want[ROWS * OUT] = {0};
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(ROWS, WIDTH), x), gates[GATES],
            weights = support_leaf(g, CLG_F32, CLG_SHAPE(GATES * WIDTH, OUT), w);
    for (int k = 0; k < GATES; k++)
        gates[k] = clg_sin(clg_mul(leaf, clg_full(g, CLG_F32, CLG_SCALAR, k + 1)));
    clg_var y = clg_matmul(clg_concat(gates, GATES, 1), weights);
    for (int i = 0; i < ROWS; i++)
        for (int o = 0; o < OUT; o++)
            for (int k = 0; k < GATES * WIDTH; k++)
                want[i * OUT + o] += sin(x[i * WIDTH + k % WIDTH] * (k / WIDTH + 1)) * w[k * OUT + o];
    schedule_expect(&y, 1, 2, "gates and their product");
    expect_no_bounds(&y, 1, "gates and their product");
    support_expect(y, want, 1e-4, "gates and their product");

    const double values[] = {-0.0, NAN, INFINITY, 1};
    clg_var part = support_leaf(g, CLG_F32, CLG_SHAPE(2, 2), values), rows[] = {part, clg_neg(part), part},
            columns[] = {clg_concat(rows, 3, 0), clg_full(g, CLG_F32, CLG_SHAPE(6, 1), -0.0)},
            both = clg_concat(columns, 2, 1);
    float got[18];
    assert_int_equal(clg_read(both, got, sizeof got), CLG_OK);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 3; k++) {
            const float element = k == 2 ? -0.0f : (float)values[i % 2 * 2 + k],
                        v = k < 2 && i / 2 == 1 ? -element : element;
            assert_true(isnan(v) ? isnan(got[i * 3 + k]) : memcmp(&v, &got[i * 3 + k], sizeof v) == 0);
        }
    expect_no_bounds(&both, 1, "concatenation of a concatenation");
    free(x);
    free(w);
    clg_graph_free(g);
}

/* Elements in another order under a reshape need a step of that order, and no array of their own. */
static void test_reshaped_transposition(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 6);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(8 * 50, -1, 1, &random), want[8 * 50];
    int steps;
    clg_var leaf = support_leaf(g, real(), CLG_SHAPE(8, 50), x),
            y = clg_exp(clg_reshape(clg_transpose(leaf), CLG_SHAPE(20, 20)));
    for (int i = 0; i < 8 * 50; i++)
        want[i] = exp(x[i % 8 * 50 + i / 8]);
    char *text = schedule_text(&y, 1, &steps);
    if (steps != 1 || strstr(text, "store") != strstr(text, "store r1 to output"))
        fail_msg("%s", text);
    support_expect(y, want, 1e-4, "exp of a reshaped transposition");
    free(text);
    free(x);
    clg_graph_free(g);
}

/* A leaf that takes the values of a concatenation of its own parts: the old ones, in another order. */
static void test_assigned_concatenation(void **state)
{
    enum { COUNT = 12 };
    (void)state;
    clg_graph *g = clg_graph_new(device);
    double values[COUNT], want[COUNT];
    for (int i = 0; i < COUNT; i++) {
        values[i] = i;
        want[i] = (i + 5) % COUNT + (i < COUNT - 5);
    }
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(COUNT), values), head = clg_slice(x, 0, 0, 5, 1),
            tail = clg_add(clg_slice(x, 0, 5, COUNT, 1), clg_full(g, CLG_F32, CLG_SCALAR, 1)),
            y = clg_assign(x, clg_concat((clg_var[]){tail, head}, 2, 0));
    clg_program *program = clg_compile(g, &y, 1);
    assert_non_null(program);
    assert_int_equal(clg_run(program), CLG_OK);
    support_expect(x, want, 1e-6, "the leaf");
    clg_program_free(program);
    clg_graph_free(g);
}

/* A value and a rotation of it, time and again: each is made once, however deep the chain. */
static void test_deep_chain(void **state)
{
    enum { COUNT = 16, DEPTH = 400 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    const bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    double *want = support_spread(COUNT, -1, 1, &random), next[COUNT];
    clg_var y = support_leaf(g, real(), CLG_SHAPE(COUNT), want);
    for (int i = 0; i < (cpu ? DEPTH : DEPTH / 50); i++) {
        clg_var parts[] = {clg_slice(y, 0, 1, COUNT, 1), clg_slice(y, 0, 0, 1, 1)};
        y = clg_sin(clg_add(y, clg_concat(parts, 2, 0)));
        for (int k = 0; k < COUNT; k++)
            next[k] = sin(want[k] + want[(k + 1) % COUNT]);
        memcpy(want, next, sizeof next);
    }
    support_expect(y, want, 1e-4, "the end of the chain");
    free(want);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_slices),
        cmocka_unit_test(test_gradients_of_short_slices),
        cmocka_unit_test(test_gradients_of_overlapping_slices),
        cmocka_unit_test(test_concatenations),
        cmocka_unit_test(test_reshaped_transposition),
        cmocka_unit_test(test_assigned_concatenation),
        cmocka_unit_test(test_deep_chain),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
