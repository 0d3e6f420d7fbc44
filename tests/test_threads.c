/* Threads and compute units: results have the same bits for any number of them; and callers in several threads, each
 * with a device and a graph of its own, do not disturb each other. */
#define _GNU_SOURCE
#include "support.h"

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OUTPUTS = 4 };

static const char *self; /* this program's file */

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

static int (*const programs[])(clg_graph *, clg_random *, clg_var *) = {sums, products, convolution, network};
enum { PROGRAMS = sizeof programs / sizeof *programs };

/* FNV-1a of the bytes of each program's outputs. */
static void run_programs(const char *spec, uint64_t seed, uint64_t digests[PROGRAMS])
{
    clg_device *device;
    if (clg_device_open(spec, &device) != CLG_OK)
        fail_msg("%s: %s", spec, clg_last_error());
    for (int p = 0; p < PROGRAMS; p++) {
        clg_random random = clg_random_new(seed, (uint64_t)p);
        clg_var out[MOST_OUTPUTS];
        clg_graph *g = clg_graph_new(device);
        const int count = programs[p](g, &random, out);
        clg_program *program = clg_compile(g, out, count);
        assert_non_null(program);
        assert_int_equal(clg_run(program), CLG_OK);
        digests[p] = 0xcbf29ce484222325u;
        for (int i = 0; i < count; i++) {
            const size_t bytes = (size_t)clg_shape_count(clg_shape_of(out[i])) * clg_dtype_size(clg_dtype_of(out[i]));
            unsigned char *data = malloc(bytes);
            assert_non_null(data);
            assert_int_equal(clg_read(out[i], data, bytes), CLG_OK);
            for (size_t k = 0; k < bytes; k++)
                digests[p] = (digests[p] ^ data[k]) * 0x100000001b3u;
            free(data);
        }
        clg_program_free(program);
        clg_graph_free(g);
    }
    clg_device_close(device);
}

static void expect_digests(const uint64_t *got, const uint64_t *want, const char *what, const char *number)
{
    for (int p = 0; p < PROGRAMS; p++)
        if (got[p] != want[p])
            fail_msg("program %d: %s %s give other bits than one", p, number, what);
}

static const char *const numbers[] = {"1", "2", "3", "8"};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static void test_threads_of_the_cpu_path(void **state)
{
    (void)state;
    uint64_t digests[NUMBERS][PROGRAMS];
    for (int i = 0; i < NUMBERS; i++) {
        setenv("CLGRAD_THREADS", numbers[i], 1);
        run_programs("cpu", support_seed(), digests[i]);
        expect_digests(digests[i], digests[0], "threads", numbers[i]);
    }
    unsetenv("CLGRAD_THREADS");
}

/* PoCL asks once in a process how many units there are: this program again, which prints digests. */
static void test_units_of_pocl(void **state)
{
    (void)state;
    uint64_t digests[NUMBERS][PROGRAMS];
    for (int i = 0; i < NUMBERS && support_devices()[1]; i++) {
        char command[600];
        snprintf(command, sizeof command, "HWLOC_SYNTHETIC='core:%s pu:1' '%s' digests %" PRIu64, numbers[i], self,
                 support_seed());
        FILE *child = popen(command, "r");
        assert_non_null(child);
        for (int p = 0; p < PROGRAMS; p++)
            assert_int_equal(fscanf(child, "%" SCNx64, &digests[i][p]), 1);
        assert_int_equal(pclose(child), 0);
        expect_digests(digests[i], digests[0], "units", numbers[i]);
    }
}

static int print_digests(uint64_t seed)
{
    uint64_t digests[PROGRAMS];
    run_programs("opencl", seed, digests);
    for (int p = 0; p < PROGRAMS; p++)
        printf("%" PRIx64 "\n", digests[p]);
    return 0;
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
    for (const char *const *spec = support_devices(); *spec; spec++) {
        caller callers[CALLERS];
        pthread_t threads[CALLERS];
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (caller){.device = *spec};
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_of_the_cpu_path),
                                       cmocka_unit_test(test_units_of_pocl), cmocka_unit_test(test_callers)};
    self = argv[0];
    if (argc == 3 && strcmp(argv[1], "digests") == 0)
        return print_digests(strtoull(argv[2], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
