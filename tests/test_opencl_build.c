/* How kernels are built: shared by steps that differ in numbers, all of it while a program is compiled, and told of. */
#define _XOPEN_SOURCE 700
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The kernels of a program that are its own, not an earlier step's. */
static int kernel_texts(const clg_program *program)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int count = 0;
    assert_non_null(out);
    assert_int_equal(clg_program_print(program, out, CLG_PRINT_KERNELS), CLG_OK);
    fclose(out);
    for (const char *at = text; (at = strstr(at, "#define KERNEL ")); at++)
        count++;
    free(text);
    return count;
}

/* A recurrent cell, step after step: each reads its slice of the input and of the weights, and differs from the others
 * in where these are, and in a number. */
static clg_program *recurrent(clg_graph *g, int steps, clg_var *out)
{
    enum { BATCH = 4, WIDTH = 24 };
    clg_random random = clg_random_new(support_seed(), 1);
    double *x = support_spread((int64_t)steps * BATCH * WIDTH, -1, 1, &random);
    double *w = support_spread((int64_t)WIDTH * WIDTH + WIDTH, -0.2, 0.2, &random);
    clg_var input = support_leaf(g, CLG_F32, CLG_SHAPE(steps, BATCH, WIDTH), x);
    clg_var vector = support_leaf(g, CLG_F32, CLG_SHAPE(WIDTH * WIDTH + WIDTH), w), gradient;
    clg_var weights = clg_reshape(clg_slice(vector, 0, 0, WIDTH * WIDTH, 1), CLG_SHAPE(WIDTH, WIDTH));
    clg_var bias = clg_slice(vector, 0, WIDTH * WIDTH, WIDTH * WIDTH + WIDTH, 1), h = clg_index(input, 0, 0);
    for (int t = 0; t < steps; t++) {
        clg_var scale = clg_full(g, CLG_F32, CLG_SCALAR, 0.3 + 0.01 * t);
        clg_var sum = clg_add(clg_matmul(h, weights), clg_mul(clg_index(input, 0, t), scale));
        h = clg_tanh(clg_add(sum, bias));
    }
    clg_gradients(clg_sum(h, CLG_ALL_AXES, false), &vector, 1, &gradient);
    free(x);
    free(w);
    *out = gradient;
    return clg_compile(g, (clg_var[]){h, gradient}, 2);
}

static void test_steps_share_kernels(void **state)
{
    (void)state;
    clg_device *device = support_open("opencl");
    int count[2];
    for (int i = 0; i < 2; i++) {
        clg_graph *g = clg_graph_new(device);
        clg_var out;
        clg_program *p = recurrent(g, i ? 60 : 15, &out);
        assert_non_null(p);
        count[i] = kernel_texts(p);
        clg_program_free(p);
        clg_graph_free(g);
    }
    if (count[1] > count[0] + 4 || count[0] > 24) /* sums over the steps are longer */
        fail_msg("15 steps have %d kernels, 60 steps %d", count[0], count[1]);
    clg_device_close(device);
}

/* Programs that differ in a constant, a slice's place: values are those of the CPU path, bit for bit. */
static void test_numbers_are_arguments(void **state)
{
    (void)state;
    clg_device *devices[2] = {support_open("opencl"), support_open("cpu")};
    clg_random random = clg_random_new(support_seed(), 2);
    double *values = support_spread(300, -3, 3, &random);
    for (int round = 0; round < 40; round++) {
        const clg_dtype dtype = round % 3 == 2 ? CLG_I32 : CLG_F32;
        const double constant = dtype == CLG_I32 ? round * 7 - 90 : clg_random_uniform(&random) * 4 - 2;
        const int64_t first = (int64_t)clg_random_below(&random, 200), step = 1 + (round & 1);
        char *bits[2];
        for (int d = 0; d < 2; d++) {
            clg_graph *g = clg_graph_new(devices[d]);
            clg_var x = support_leaf(g, dtype, CLG_SHAPE(300), values);
            clg_var part = clg_slice(x, 0, first, first + 50 * step, step);
            clg_var y = clg_mul(clg_add(part, clg_full(g, dtype, CLG_SCALAR, constant)), part);
            bits[d] = malloc(50 * clg_dtype_size(dtype));
            assert_non_null(bits[d]);
            assert_int_equal(clg_read(y, bits[d], 50 * clg_dtype_size(dtype)), CLG_OK);
            clg_graph_free(g);
        }
        assert_memory_equal(bits[0], bits[1], 50 * clg_dtype_size(dtype));
        free(bits[0]);
        free(bits[1]);
    }
    free(values);
    clg_device_close(devices[0]);
    clg_device_close(devices[1]);
}

typedef struct told {
    int calls, done, total;
} told;

static void watch(void *context, int done, int total)
{
    told *t = context;
    assert_true(done > t->done && done <= total && (t->total == 0 || total == t->total));
    *t = (told){t->calls + 1, done, total};
}

/* With nothing built before: a compilation that takes long says how far it is, to the end. */
static void test_builds_are_told(void **state)
{
    (void)state;
    clg_device *device = support_open("opencl");
    clg_graph *g = clg_graph_new(device);
    clg_var out;
    told t = {0};
    clg_device_on_build(device, watch, &t);
    const double begin = seconds();
    clg_program *p = recurrent(g, 3, &out);
    assert_non_null(p);
    const double took = seconds() - begin;
    if (took > 3 && t.calls < 2)
        fail_msg("a build of %.1f seconds was told of %d times", took, t.calls);
    assert_int_equal(t.done, t.total);
    clg_program_free(p);
    clg_graph_free(g);
    clg_device_close(device);
}

int main(void)
{
    int status;
    char folder[] = "/tmp/clgrad-build-XXXXXX", command[64];
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    setenv("POCL_CACHE_DIR", folder, 1); /* before the driver is loaded */
    setenv("CLGRAD_CACHE_DIR", "off", 1);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builds_are_told), /* first: nothing is built yet */
        cmocka_unit_test(test_steps_share_kernels),
        cmocka_unit_test(test_numbers_are_arguments),
    };
    status = support_has_opencl("test_opencl_build", &status) ? cmocka_run_group_tests(tests, NULL, NULL) : status;
    return system(command) == 0 ? status : EXIT_FAILURE;
}
