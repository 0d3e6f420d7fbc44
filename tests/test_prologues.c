/* Operands of contractions that are functions of what is in memory: computed as they are read, where the device takes
 * that, and never where they have to be stored anyway. */
#include "support.h"
#include "support_schedule.h"

#include "run/engine.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static void expect_steps(const clg_var *outputs, int count, int want, const char *what)
{
    int steps;
    char *text = schedule_text(outputs, count, &steps);
    if (steps != want)
        fail_msg("%s: %d steps, not %d:\n%s", what, steps, want, text);
    free(text);
}

/* Bytes as numbers from 0 to 1: a layer, and its weights' gradient, which reads them by columns. */
static void test_layer_of_bytes(void **state)
{
    enum { ROWS = 37, DEPTH = 300, COLUMNS = 21 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread((int64_t)ROWS * DEPTH, 0, 255.9, &random),
           *w = support_spread((int64_t)DEPTH * COLUMNS, -1, 1, &random), want[ROWS * COLUMNS] = {0},
           want_w[DEPTH] = {0};
    clg_var bytes = support_leaf(g, CLG_U8, CLG_SHAPE(ROWS, DEPTH), x);
    clg_var weights = support_leaf(g, CLG_F32, CLG_SHAPE(DEPTH, COLUMNS), w);
    clg_var scaled = clg_mul(clg_cast(bytes, CLG_F32), clg_full(g, CLG_F32, CLG_SCALAR, 1 / 255.0));
    clg_var outputs[] = {clg_matmul(scaled, weights), CLG_NONE};
    clg_gradients(clg_sum(outputs[0], CLG_ALL_AXES, false), &weights, 1, &outputs[1]);
    expect_steps(outputs, 1, device->traits.prologues == PROLOGUES_ALL ? 1 : 2, "a layer of bytes");
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < DEPTH; k++) {
            const double element = floor(x[i * DEPTH + k]) / 255;
            for (int j = 0; j < COLUMNS; j++)
                want[i * COLUMNS + j] += element * (double)(float)w[k * COLUMNS + j];
            want_w[k] += element;
        }
    support_expect(outputs[0], want, 1e-5, "a layer of bytes");
    for (int j = 0; j < COLUMNS; j += COLUMNS - 1)
        support_expect(clg_index(outputs[1], 1, j), want_w, 1e-5, "its gradient");
    free(x);
    free(w);
    clg_graph_free(g);
}

/* Around the picture there are zeros, not the function of 0. */
static void test_padded_convolution(void **state)
{
    enum { SIZE = 9, FILTERS = 20, BATCH = 3 };
    (void)state;
    clg_random random = clg_random_new(support_seed(), 2);
    clg_graph *g = clg_graph_new(device);
    const int64_t pictures = (int64_t)BATCH * SIZE * SIZE;
    double *x = support_spread(pictures, -1, 1, &random), *w = support_spread((int64_t)FILTERS * 9, -1, 1, &random),
           *want = calloc((size_t)(pictures * FILTERS), sizeof *want);
    assert_non_null(want);
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(BATCH, 1, SIZE, SIZE), x);
    clg_var filters = support_leaf(g, CLG_F32, CLG_SHAPE(FILTERS, 1, 3, 3), w),
            shift = clg_full(g, CLG_F32, CLG_SCALAR, 3);
    clg_var y = clg_conv(clg_add(leaf, shift), filters, (clg_conv_options){.same = true});
    if (device->traits.prologues == PROLOGUES_ALL)
        expect_steps(&y, 1, 1, "a padded convolution");
    for (int n = 0; n < BATCH; n++)
        for (int f = 0; f < FILTERS; f++)
            for (int i = 0; i < SIZE * SIZE; i++)
                for (int k = 0; k < 9; k++) {
                    const int row = i / SIZE + k / 3 - 1, column = i % SIZE + k % 3 - 1;
                    if (row < 0 || row >= SIZE || column < 0 || column >= SIZE)
                        continue;
                    want[(n * FILTERS + f) * SIZE * SIZE + i] +=
                        ((double)(float)x[(n * SIZE + row) * SIZE + column] + 3) * (double)(float)w[f * 9 + k];
                }
    support_expect(y, want, 1e-5, "a padded convolution");
    free(x);
    free(w);
    free(want);
    clg_graph_free(g);
}

/* What is stored for others is read from there; so is what costs much, or has two arrays. */
static void test_stored_operands(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(40, 30)), y = clg_input(g, CLG_F32, CLG_SHAPE(40, 30));
    clg_var w = clg_input(g, CLG_F32, CLG_SHAPE(30, 20)), relu = clg_relu(x);
    clg_var both[] = {clg_matmul(relu, w), relu}, costly = clg_matmul(clg_pow(clg_exp(x), clg_sin(x)), w),
            two = clg_matmul(clg_mul(x, y), w), once = clg_matmul(relu, w);
    expect_steps(both, 2, 2, "an operand that is an output");
    expect_steps(&costly, 1, 2, "an operand that costs much");
    expect_steps(&two, 1, 2, "an operand of two arrays");
    expect_steps(&once, 1, device->traits.prologues == PROLOGUES_ALL ? 1 : 2, "relu");
    clg_graph_free(g);
}

/* Halves of a network are read as they are, where the device takes casts: each layer is one step, and what the backward
 * pass needs takes less memory than that of f32. */
static int64_t arena_of(clg_dtype dtype, int64_t rows)
{
    enum { LAYERS = 4, WIDTH = 64 };
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, dtype, CLG_SHAPE(rows, WIDTH)), h = x, weights[LAYERS], outputs[LAYERS + 1];
    for (int i = 0; i < LAYERS; i++) {
        weights[i] = clg_input(g, dtype, CLG_SHAPE(WIDTH, WIDTH));
        h = clg_relu(clg_matmul(h, weights[i]));
    }
    expect_steps(&h, 1, device->traits.prologues == PROLOGUES_NONE && dtype != CLG_F32 ? 2 * LAYERS + 1 : LAYERS,
                 clg_dtype_name(dtype));
    outputs[LAYERS] = clg_mean(clg_square(h), CLG_ALL_AXES, false);
    assert_int_equal(clg_gradients(outputs[LAYERS], weights, LAYERS, outputs), CLG_OK);
    clg_program *p = clg_compile(g, outputs, LAYERS + 1);
    if (!p)
        fail_msg("%s", clg_last_error());
    const int64_t bytes = clg_program_get_info(p).arena_bytes;
    clg_program_free(p);
    clg_graph_free(g);
    return bytes;
}

static void test_halves(void **state)
{
    enum { ROWS = 2000 };
    (void)state;
    const int64_t whole = arena_of(CLG_F32, ROWS), halves[] = {arena_of(CLG_F16, ROWS), arena_of(CLG_BF16, ROWS)};
    for (int i = 0; i < 2 && device->traits.prologues != PROLOGUES_NONE; i++)
        if (halves[i] * 10 > whole * 9)
            fail_msg("%lld bytes of halves, %lld of f32", (long long)halves[i], (long long)whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_layer_of_bytes),
        cmocka_unit_test(test_padded_convolution),
        cmocka_unit_test(test_stored_operands),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
