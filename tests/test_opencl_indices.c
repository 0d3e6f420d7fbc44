/* The width of the indices in generated kernels: 31 bits below INDEX32_LIMIT, else 64. In a build with a lowered limit
 * (-DCLGRAD_INDEX32_LIMIT=16) every kernel here must count in 64 bits: that is how such a build shows that the other
 * tests run that code. Nothing is run. Without an OpenCL device the test says that it is skipped; with
 * CLGRAD_REQUIRE_OPENCL=1 that is a failure. */
#define _GNU_SOURCE
#include "support.h"

#include "backend/backend.h"
#include "backend/opencl/codegen/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { N = 40 }; /* rows and columns */

static clg_var matrix(clg_graph *g) { return clg_input(g, CLG_F32, CLG_SHAPE(N, N)); }

static clg_var map(clg_graph *g) { return clg_exp(clg_flip(matrix(g), CLG_AXES(0))); }
static clg_var row_sums(clg_graph *g) { return clg_sum(matrix(g), CLG_AXES(1), false); }
static clg_var column_sums(clg_graph *g) { return clg_sum(matrix(g), CLG_AXES(0), false); }
static clg_var product(clg_graph *g) { return clg_matmul(matrix(g), clg_transpose(matrix(g))); }
static clg_var rows(clg_graph *g) { return clg_gather(matrix(g), clg_input(g, CLG_I32, CLG_SHAPE(N))); }
static clg_var scattered(clg_graph *g) { return clg_scatter_add(clg_input(g, CLG_I32, CLG_SHAPE(N)), matrix(g), N); }
static clg_var convolution(clg_graph *g)
{
    return clg_conv(clg_reshape(matrix(g), CLG_SHAPE(1, 1, N, N)), clg_input(g, CLG_F32, CLG_SHAPE(3, 1, 3, 3)),
                    (clg_conv_options){.same = true});
}

static const struct {
    const char *name;
    clg_var (*build)(clg_graph *);
} cases[] = {
    {"map", map},     {"sums of rows", row_sums}, {"sums of columns", column_sums}, {"matrix product", product},
    {"gather", rows}, {"scatter_add", scattered}, {"convolution", convolution}};

static int occurrences(const char *source, const char *part)
{
    int count = 0;
    for (const char *at = source; (at = strstr(at, part)); at++)
        count++;
    return count;
}

/* The kernels of a program, by the width of their indices. */
static void count_kernels(clg_var y, int *narrow, int *wide)
{
    char *source = NULL;
    size_t size = 0;
    clg_program *program = clg_compile(y.graph, &y, 1);
    FILE *out = open_memstream(&source, &size);
    if (!program || !out || clg_program_print(program, out, CLG_PRINT_KERNELS) != CLG_OK)
        fail_msg("%s", clg_last_error());
    fclose(out);
    *narrow = occurrences(source, "#define INDEX int\n");
    *wide = occurrences(source, "#define INDEX long\n");
    assert_int_equal(occurrences(source, "#define INDEX "), *narrow + *wide);
    /* of the lines that the host prints: the position along an axis, and the address of an element */
    if (*narrow == 0 && (strstr(source, " int p0 = ") || strstr(source, " int e0 = ")))
        fail_msg("a kernel mixes the widths:\n%s", source);
    clg_program_free(program);
    free(source);
}

static void check(const char *strategy)
{
    setenv("CLGRAD_OPENCL_STRATEGY", strategy, 1);
    clg_device *device = support_open("opencl");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int narrow, wide;
        clg_graph *g = clg_graph_new(device);
        count_kernels(cases[i].build(g), &narrow, &wide);
        bool large = INDEX32_LIMIT <= N; /* what combines the pieces of sums has as few elements as that */
        if (narrow + wide == 0 || (large ? narrow : wide) != 0)
            fail_msg("%s, strategy %s: %d kernels count in 31 bits and %d in 64; the limit is %lld", cases[i].name,
                     strategy, narrow, wide, (long long)INDEX32_LIMIT);
        clg_graph_free(g);
    }
    clg_device_close(device);
}

static void test_kernels_on_cpus(void **state)
{
    (void)state;
    check("cpu");
}

static void test_kernels_on_gpus(void **state)
{
    (void)state;
    check("gpu");
}

/* As many positions as the limit, and one less, without arrays of that size. */
static void test_limit(void **state)
{
    (void)state;
    clg_device *device = support_open("opencl");
    int64_t side = 1;
    while (side * side < INDEX32_LIMIT)
        side++;
    assert_int_equal(side * side, INDEX32_LIMIT); /* the tests need a limit that is a square */
    for (int less = 0; less < 2; less++) {
        int narrow, wide;
        clg_graph *g = clg_graph_new(device);
        clg_var column = clg_input(g, CLG_F32, CLG_SHAPE(side - less, 1));
        clg_var row = clg_input(g, CLG_F32, CLG_SHAPE(side + less));
        count_kernels(clg_sum(clg_exp(clg_add(column, row)), CLG_ALL_AXES, false), &narrow, &wide);
        assert_int_equal(wide > 0, !less);
        clg_graph_free(g);
    }
    clg_device_close(device);
}

int main(void)
{
    int status;
    if (!support_has_opencl("test_opencl_indices", &status))
        return status;
    setenv("CLGRAD_OPENCL_MATMUL", "generated", 1); /* CLBlast's kernels are its own */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_kernels_on_cpus),
        cmocka_unit_test(test_kernels_on_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
