/* Threads: the CPU path's results have the same bits for any number of them; and callers in several threads, each with
 * a device and a graph of its own, do not disturb each other. */
#define _GNU_SOURCE
#include "support.h"

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OUTPUTS = 4 };

static clg_var random_leaf(clg_graph *g, clg_shape shape, clg_random *random)
{
    const int64_t count = clg_shape_count(shape);
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(2 * clg_random_uniform(random) - 1);
    clg_var x = clg_array(g, CLG_F32, shape, values);
    free(values);
    return x;
}

/* ---------------------------------------------------------------- programs: each returns its number of outputs */

static int sums(clg_graph *g, clg_random *random, clg_var *out)
{
    clg_var x = random_leaf(g, CLG_SHAPE(1000003), random), rows = random_leaf(g, CLG_SHAPE(9, 70001), random);
    out[0] = clg_sum(x, CLG_ALL_AXES, false);
    out[1] = clg_mean(clg_exp(rows), CLG_AXES(1), false);
    out[2] = clg_sum(clg_square(rows), CLG_AXES(0), false);
    out[3] = clg_softmax(rows, 1);
    return 4;
}

static int products(clg_graph *g, clg_random *random, clg_var *out)
{
    clg_var a = random_leaf(g, CLG_SHAPE(7, 30011), random), b = random_leaf(g, CLG_SHAPE(30011, 5), random),
            c = random_leaf(g, CLG_SHAPE(130, 257), random), d = random_leaf(g, CLG_SHAPE(257, 97), random),
            e = random_leaf(g, CLG_SHAPE(12, 33, 65), random);
    out[0] = clg_matmul(a, b);
    out[1] = clg_relu(clg_matmul(c, d));
    out[2] = clg_matmul(e, clg_transpose(e));
    out[3] = clg_matmul(clg_transpose(c), c);
    return 4;
}

static int convolution(clg_graph *g, clg_random *random, clg_var *out)
{
    const clg_conv_options padded = {.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)};
    clg_var x = random_leaf(g, CLG_SHAPE(16, 8, 28, 27), random), w = random_leaf(g, CLG_SHAPE(8, 8, 3, 3), random);
    clg_var y = clg_max_pool(clg_relu(clg_conv(x, w, padded)), (clg_pool_options){.size = CLG_SHAPE(2, 2)});
    out[0] = clg_mean(clg_square(clg_batch_norm(y, CLG_NONE, CLG_NONE, 1, 1e-3, NULL, NULL)), CLG_ALL_AXES, false);
    clg_gradients(out[0], (clg_var[]){x, w}, 2, out + 1);
    return 3;
}

static int network(clg_graph *g, clg_random *random, clg_var *out)
{
    enum { BATCH = 513, CLASSES = 10 };
    const int64_t widths[] = {100, 77, CLASSES};
    int32_t labels[BATCH];
    int count;
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int32_t)clg_random_below(random, CLASSES);
    clg_mlp *mlp = clg_mlp_new(g, widths, 3, random);
    assert_non_null(mlp);
    clg_var x = random_leaf(g, CLG_SHAPE(BATCH, 100), random), y = clg_array(g, CLG_I32, CLG_SHAPE(BATCH), labels);
    const clg_var *parameters = clg_mlp_parameters(mlp, &count);
    out[0] = clg_softmax_cross_entropy(clg_mlp_apply(mlp, x), y);
    clg_gradients(out[0], parameters, 3, out + 1);
    clg_mlp_free(mlp);
    return 4;
}

/* ---------------------------------------------------------------- the test */

static void test_same_bits(void **state)
{
    (void)state;
    static int (*const programs[])(clg_graph *, clg_random *, clg_var *) = {sums, products, convolution, network};
    static const char *const threads[] = {"1", "2", "3", "8"};
    const uint64_t seed = support_seed();
    for (size_t p = 0; p < sizeof programs / sizeof *programs; p++) {
        char *first[MOST_OUTPUTS] = {NULL};
        int count = 0;
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            clg_device *device;
            clg_random random = clg_random_new(seed, p);
            clg_var out[MOST_OUTPUTS];
            setenv("CLGRAD_THREADS", threads[t], 1);
            assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
            clg_graph *g = clg_graph_new(device);
            count = programs[p](g, &random, out);
            clg_program *program = clg_compile(g, out, count);
            assert_non_null(program);
            assert_int_equal(clg_run(program), CLG_OK);
            for (int i = 0; i < count; i++) {
                const size_t bytes =
                    (size_t)clg_shape_count(clg_shape_of(out[i])) * clg_dtype_size(clg_dtype_of(out[i]));
                char *data = malloc(bytes);
                assert_non_null(data);
                assert_int_equal(clg_read(out[i], data, bytes), CLG_OK);
                if (t > 0 && memcmp(data, first[i], bytes) != 0)
                    fail_msg("program %zu, output %d: %s threads give other bits than one", p, i, threads[t]);
                if (t > 0)
                    free(data);
                else
                    first[i] = data;
            }
            clg_program_free(program);
            clg_graph_free(g);
            clg_device_close(device);
        }
        for (int i = 0; i < count; i++)
            free(first[i]);
    }
    unsetenv("CLGRAD_THREADS");
}

/* ---------------------------------------------------------------- callers in several threads */

enum { CALLERS = 4, TIMES = 10, LOSSES = 8 };

typedef struct caller {
    const char *device;
    float losses[LOSSES];
    const char *failed; /* NULL: nothing */
} caller;

/* A few steps of training, and values read by themselves: no cmocka here, its failures belong to the test's thread. */
static const char *train(clg_device *device, float *losses)
{
    clg_graph *g = clg_graph_new(device);
    clg_random random = clg_random_new(11, 0);
    const int64_t widths[] = {8, 16, 3};
    float values[12 * 8];
    const int32_t labels[12] = {0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0};
    int count;
    clg_mlp *mlp = g ? clg_mlp_new(g, widths, 3, &random) : NULL;
    if (!mlp)
        return "no model";
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)clg_random_normal(&random);
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(12, 8), values), y = clg_array(g, CLG_I32, CLG_SHAPE(12), labels);
    const clg_var *parameters = clg_mlp_parameters(mlp, &count);
    clg_optimizer *sgd = clg_sgd(parameters, count, NULL);
    clg_var loss = clg_minimize(sgd, clg_softmax_cross_entropy(clg_mlp_apply(mlp, x), y));
    clg_program *program = clg_compile(g, &loss, 1);
    const char *failed = program ? NULL : "not compiled";
    for (int i = 0; i < LOSSES && !failed; i++) {
        if (clg_run(program) != CLG_OK || clg_read(loss, &losses[i], sizeof *losses) != CLG_OK)
            failed = "not run";
        else if (!(clg_item(clg_sum(clg_square(parameters[0]), CLG_ALL_AXES, false)) > 0))
            failed = "not read";
    }
    clg_program_free(program);
    clg_optimizer_free(sgd);
    clg_mlp_free(mlp);
    clg_graph_free(g);
    return failed;
}

static void *call(void *argument)
{
    caller *c = argument;
    for (int i = 0; i < TIMES && !c->failed; i++) {
        clg_device *device;
        if (clg_device_open(c->device, &device) != CLG_OK) {
            c->failed = "no device";
            break;
        }
        c->failed = train(device, c->losses);
        if (!c->failed && (clg_device_open("no such device", &(clg_device *){NULL}) == CLG_OK ||
                           !strstr(clg_last_error(), "no such device")))
            c->failed = "an error's message is the calling thread's";
        clg_device_close(device);
    }
    return NULL;
}

static void test_callers(void **state)
{
    (void)state;
    clg_device *opencl = NULL;
    const int kinds = clg_device_open("opencl", &opencl) == CLG_OK ? 2 : 1;
    clg_device_close(opencl);
    for (int kind = 0; kind < kinds; kind++) {
        caller callers[CALLERS];
        pthread_t threads[CALLERS];
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (caller){.device = kind == 0 ? "cpu" : "opencl"};
            assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
        }
        for (int i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < CALLERS; i++) {
            if (callers[i].failed)
                fail_msg("%s, caller %d: %s", callers[i].device, i, callers[i].failed);
            assert_memory_equal(callers[i].losses, callers[0].losses, sizeof callers[0].losses);
            assert_true(callers[i].losses[LOSSES - 1] < callers[i].losses[0]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_callers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
