/* Helpers of the engine's tests. */
#include "support.h"

#include "support_dtype.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

clg_device *support_open(const char *spec)
{
    clg_device *device;
    if (clg_device_open(spec, &device) != CLG_OK)
        fail_msg("cannot open device %s: %s", spec, clg_last_error());
    return device;
}

static bool opencl_available(void)
{
    clg_device *device;
    if (clg_device_open("opencl", &device) != CLG_OK)
        return false;
    clg_device_close(device);
    return true;
}

static bool opencl_required(void)
{
    const char *required = getenv("CLGRAD_REQUIRE_OPENCL");
    return required && strcmp(required, "1") == 0;
}

bool support_has_opencl(const char *test, int *status)
{
    clg_device_info *infos = NULL;
    size_t count = 0;
    bool found = false;
    *status = opencl_required();
    if (clg_device_list(&infos, &count) == CLG_OK)
        for (size_t i = 0; i < count; i++)
            found |= strncmp(infos[i].spec, "opencl", 6) == 0;
    free(infos);
    if (!found)
        printf("%s: skipped: no OpenCL device%s\n", test, *status ? ", and CLGRAD_REQUIRE_OPENCL=1" : "");
    return found;
}

const char *const *support_devices(void)
{
    static const char *const both[] = {"cpu", "opencl", NULL}, *const cpu[] = {"cpu", NULL};
    bool available = opencl_available();
    if (opencl_required() && !available)
        fail_msg("CLGRAD_REQUIRE_OPENCL=1 but there is no OpenCL device: %s", clg_last_error());
    return available ? both : cpu;
}

int support_run_on_devices(clg_device **device, const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    for (const char *const *spec = support_devices(); *spec; spec++) {
        if (clg_device_open(*spec, device) != CLG_OK) {
            fprintf(stderr, "cannot open %s: %s\n", *spec, clg_last_error());
            return 1;
        }
        printf("device %s\n", *spec);
        failed += _cmocka_run_group_tests(*spec, tests, count, NULL, NULL);
        clg_device_close(*device);
    }
    return failed;
}

void support_expect_error(clg_var x, const char *message)
{
    assert_false(clg_is_valid(x));
    const char *error = x.graph ? clg_graph_error(x.graph) : clg_last_error();
    assert_non_null(error);
    if (!strstr(error, message))
        fail_msg("message \"%s\" does not contain \"%s\"", error, message);
    if (x.graph)
        clg_graph_clear_error(x.graph);
}

void support_each_device(void (*body)(clg_device *))
{
    for (const char *const *spec = support_devices(); *spec; spec++) {
        clg_device *device = support_open(*spec);
        body(device);
        clg_device_close(device);
    }
}

uint64_t support_seed(void)
{
    static uint64_t seed;
    const char *given = getenv("CLGRAD_TEST_SEED");
    if (!seed) {
        struct timespec now;
        timespec_get(&now, TIME_UTC);
        seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
        seed = seed ? seed : 1;
        printf("CLGRAD_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

int support_rounds(int usual)
{
    const char *effort = getenv("CLGRAD_TEST_EFFORT");
    int64_t rounds = effort ? (int64_t)usual * atoi(effort) / 100 : usual;
    return rounds < 1 ? 1 : (int)rounds;
}

bool support_close(double got, double want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return got == want;
    return fabs(got - want) <= tolerance * fmax(1, fabs(want));
}

double *support_values(clg_var x)
{
    size_t count = (size_t)clg_shape_count(clg_shape_of(x)), size = clg_dtype_size(clg_dtype_of(x));
    char *data = malloc(count * size + 1);
    double *values = malloc((count + 1) * sizeof *values);
    assert_true(data && values);
    if (clg_read(x, data, count * size) != CLG_OK)
        fail_msg("read: %s", clg_last_error());
    for (size_t i = 0; i < count; i++)
        values[i] = support_decode(clg_dtype_of(x), data + i * size);
    free(data);
    return values;
}

void support_expect(clg_var x, const double *want, double tolerance, const char *what)
{
    const int64_t count = clg_shape_count(clg_shape_of(x));
    double *got = support_values(x);
    for (int64_t i = 0; i < count; i++)
        if (!support_close(got[i], want[i], tolerance))
            fail_msg("%s: element %lld of %lld is %.9g, not %.9g", what, (long long)i, (long long)count, got[i],
                     want[i]);
    free(got);
}

double *support_spread(int64_t count, double lo, double hi, clg_random *random)
{
    double *values = malloc((size_t)(count + 1) * sizeof *values), width = (hi - lo) / (double)(count ? count : 1);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = lo + width * ((double)i + 0.3 + 0.4 * clg_random_uniform(random));
        if (fabs(values[i]) < width * 0.05)
            values[i] = width * 0.05;
    }
    for (int64_t i = count; i > 1; i--) {
        int64_t j = clg_random_below(random, (uint32_t)i);
        double swap = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swap;
    }
    return values;
}

clg_var support_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape, const double *values)
{
    size_t count = (size_t)clg_shape_count(shape), size = clg_dtype_size(dtype);
    char *data = malloc(count * size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++)
        support_encode(dtype, values[i], data + i * size);
    clg_var x = clg_array(g, dtype, shape, data);
    free(data);
    return x;
}

/* ---------------------------------------------------------------- central differences */

static double evaluate_at(clg_program *program, clg_var loss, clg_var leaf, double *values, int64_t i, double x)
{
    double before = values[i];
    values[i] = x;
    size_t bytes = (size_t)clg_shape_count(clg_shape_of(leaf)) * sizeof *values;
    assert_int_equal(clg_write(leaf, values, bytes), CLG_OK);
    assert_int_equal(clg_run(program), CLG_OK);
    values[i] = before;
    return clg_item(loss);
}

int support_gradient_errors(clg_var loss, const clg_var *leaves, const clg_var *grads, int count, int samples,
                            clg_random *random)
{
    int errors = 0;
    clg_program *program = clg_compile(loss.graph, &loss, 1);
    if (!program)
        fail_msg("compile: %s", clg_last_error());
    for (int k = 0; k < count; k++) {
        int64_t n = clg_shape_count(clg_shape_of(leaves[k]));
        double *values = support_values(leaves[k]), *got = support_values(grads[k]), scale = 0;
        assert_true(clg_shape_equal(clg_shape_of(leaves[k]), clg_shape_of(grads[k])));
        for (int64_t i = 0; i < n; i++)
            scale = fmax(scale, fabs(got[i]));
        for (int s = 0; s < samples && s < n; s++) {
            int64_t i = n <= samples ? s : (int64_t)clg_random_below(random, (uint32_t)n);
            double h = 1e-6 * fmax(1, fabs(values[i]));
            double up = evaluate_at(program, loss, leaves[k], values, i, values[i] + h);
            double down = evaluate_at(program, loss, leaves[k], values, i, values[i] - h);
            double want = (up - down) / (2 * h), unit = fmax(fmax(1e-3, scale), fabs(want));
            /* rounding of the loss, divided by h, limits the comparison */
            double allowed = 2e-6 * unit + 1e-9 * fmax(fabs(up), fabs(down)) + 1e-8;
            if (!(fabs(got[i] - want) <= allowed)) {
                if (errors < 3)
                    print_message("gradient of leaf %d at %lld: %.9g, differences say %.9g\n", k, (long long)i, got[i],
                                  want);
                errors++;
            }
        }
        assert_int_equal(clg_write(leaves[k], values, (size_t)n * sizeof *values), CLG_OK);
        free(values);
        free(got);
    }
    clg_program_free(program);
    return errors;
}
