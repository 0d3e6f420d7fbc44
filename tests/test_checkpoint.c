/* Blocks that the backward pass computes again: the same values and gradients, of two orders, in less memory. */
#include "support_gradients.h"

#include <clgrad/functions.h>
#include <clgrad/random.h>

#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(void) { return real() == CLG_F64 ? 1e-11 : 1e-4; }

enum { BLOCKS = 6, MOST_WIDTH = 128 };

typedef struct net {
    clg_graph *g;
    clg_var weights[BLOCKS], loss, gradients[BLOCKS], second;
} net;

/* every: blocks that are marked together; 0: none. Dropout draws its mask again. */
static net build(int64_t width, int every, uint64_t seed)
{
    net n = {.g = clg_graph_new(device)};
    clg_random random = clg_random_new(seed, 1);
    clg_generator draws = clg_generator_new(n.g, 3);
    const int64_t count = width * width;
    double *values = malloc((size_t)count * sizeof *values);
    clg_var h = CLG_NONE, slopes = CLG_NONE;
    for (int i = 0; i <= BLOCKS; i++) {
        for (int64_t k = 0; k < count; k++)
            values[k] = (2 * clg_random_uniform(&random) - 1) / 4;
        clg_var leaf = support_leaf(n.g, real(), CLG_SHAPE(width, width), values);
        i ? (n.weights[i - 1] = leaf) : (h = leaf);
    }
    int32_t mark = clg_graph_mark(n.g);
    for (int i = 0; i < BLOCKS; i++) {
        clg_var inner = clg_gelu(clg_matmul(clg_layer_norm(h, CLG_NONE, CLG_NONE, 1e-3), n.weights[i]));
        inner = clg_dropout(&draws, clg_cumsum(inner, 1, 0), 0.25);
        h = clg_add(h, clg_tanh(clg_matmul(inner, clg_transpose(n.weights[i]))));
        if (every && i % every == every - 1) {
            assert_int_equal(clg_checkpoint(n.g, mark), CLG_OK);
            mark = clg_graph_mark(n.g);
        }
    }
    n.loss = clg_mean(clg_square(h), CLG_ALL_AXES, false);
    assert_int_equal(clg_gradients(n.loss, n.weights, BLOCKS, n.gradients), CLG_OK);
    for (int i = 0; i < BLOCKS; i++) {
        clg_var norm = clg_sum(clg_square(n.gradients[i]), CLG_ALL_AXES, false);
        slopes = i ? clg_add(slopes, norm) : norm;
    }
    assert_int_equal(clg_gradients(slopes, &n.weights[0], 1, &n.second), CLG_OK);
    free(values);
    return n;
}

static void test_values(void **state)
{
    (void)state;
    const uint64_t seed = support_seed();
    const bool compiles = strcmp(clg_device_get_info(device)->spec, "cpu") != 0;
    double *want[BLOCKS + 2];
    for (int every = 0; every <= (compiles ? 1 : 4); every++) {
        net n = build(5, every, seed);
        clg_var got[BLOCKS + 2] = {n.loss, n.second};
        memcpy(got + 2, n.gradients, sizeof n.gradients);
        clg_program *p = clg_compile(n.g, got, BLOCKS + 2); /* one run, one mask */
        if (!p || clg_run(p) != CLG_OK)
            fail_msg("%s", clg_last_error());
        for (int i = 0; i < BLOCKS + 2; i++) {
            if (every == 0)
                want[i] = support_values(got[i]);
            else
                support_expect(got[i], want[i], tolerance(), "a block computed again");
        }
        clg_program_free(p);
        clg_graph_free(n.g);
    }
    for (int i = 0; i < BLOCKS + 2; i++)
        free(want[i]);
}

static int64_t arena_of(int every, int64_t *flops)
{
    net n = build(MOST_WIDTH, every, 1);
    clg_var outputs[BLOCKS + 1] = {n.loss};
    memcpy(outputs + 1, n.gradients, sizeof n.gradients);
    clg_program *p = clg_compile(n.g, outputs, BLOCKS + 1);
    if (!p)
        fail_msg("%s", clg_last_error());
    const clg_program_info info = clg_program_get_info(p);
    *flops = info.flops;
    clg_program_free(p);
    clg_graph_free(n.g);
    return info.arena_bytes;
}

/* Each block's products once more, and its arrays live only while it is worked on. */
static void test_memory(void **state)
{
    (void)state;
    int64_t flops, more;
    const int64_t kept = arena_of(0, &flops), again = arena_of(1, &more);
    if (again * 10 > kept * 7 || more <= flops || more > flops * 3 / 2)
        fail_msg("%lld bytes instead of %lld, %lld operations instead of %lld", (long long)again, (long long)kept,
                 (long long)more, (long long)flops);
}

static void test_marks(void **state)
{
    (void)state;
    const double one = 1;
    clg_graph *g = clg_graph_new(device);
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(1), &one);
    const int32_t mark = clg_graph_mark(g);
    assert_int_equal(clg_checkpoint(g, mark), CLG_OK); /* of nothing */
    clg_var y = clg_exp(clg_sin(x)), gx;
    assert_int_equal(clg_checkpoint(g, mark), CLG_OK);
    assert_int_equal(clg_checkpoint(g, mark), CLG_ERROR_ARGUMENT);
    support_expect_error((clg_var){g, -1}, "checkpoint: mark 1; the graph has 3 nodes, of which the first 3 are in");
    assert_int_equal(clg_checkpoint(g, 9), CLG_ERROR_ARGUMENT);
    support_expect_error((clg_var){g, -1}, "checkpoint: mark 9");
    assert_int_equal(clg_graph_rewind(g, mark), CLG_OK); /* the region goes, too */
    y = clg_exp(clg_sin(x));
    assert_int_equal(clg_checkpoint(g, mark), CLG_OK);
    assert_int_equal(clg_gradients(y, &x, 1, &gx), CLG_OK);
    support_expect(gx, (double[]){1.253380767493447}, 1e-5, "exp(sin(1)) cos(1)");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_marks)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
