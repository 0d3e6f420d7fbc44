/* Random programs with gradients (support_programs.h), compiled as a whole and node by node: fusion, memory planning
 * and kernels may change nothing but roundings. The reference reads every node in order, on the CPU path, so that each
 * operation runs alone on values that are already in memory. A program gives the same bits when it runs again, and so
 * does the same program built again.
 *
 * CLGRAD_TEST_PROGRAMS: how many programs there are on each device; CLGRAD_TEST_SEED: the seed of the first; the next
 * ones follow by 1. A program that fails is made smaller while it still fails, and
 * printed as C. */
#define _POSIX_C_SOURCE 200809L
#define SUPPORT_PROGRAM_SOURCE_PLAIN
#include "support_program_source.h"
#include "support_programs.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CPU_PROGRAMS = 500, OPENCL_PROGRAMS = 6 }; /* there each program is kernels to be built */

typedef struct verdict {
    bool failed;
    char what[200];
} verdict;

static void refuse(verdict *v, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    v->failed = true;
    vsnprintf(v->what, sizeof v->what, format, arguments);
    va_end(arguments);
}

/* ---------------------------------------------------------------- node by node */

/* What a program's roundings may add up to. */
typedef struct bounds {
    double roundings; /* of all nodes, in units of the dtype's epsilon */
    double largest;   /* of all values, at least 1 */
} bounds;

/* The elements of its operands that an element of a node is made from: at most all of one operand. */
static double terms_of(clg_var x)
{
    int64_t most = 1;
    const char *op = clg_creator(x);
    if (strcmp(op, "sum") && strcmp(op, "contract") && strcmp(op, "scatter_add") && strcmp(op, "cumsum"))
        return 1;
    for (int n = 0; n < 2; n++) {
        clg_var operand = clg_operand(x, n);
        int64_t count = clg_is_valid(operand) ? clg_shape_count(clg_shape_of(operand)) : 0;
        most = count > most ? count : most;
    }
    clg_graph_clear_error(x.graph); /* a sum has no second operand */
    return (double)most;
}

/* Reads every node in order: each runs alone. A function is within 4 units of its value; the roundings of a sum add up
 * like the steps of a random walk: twice its spread is allowed. */
static bounds run_apart(clg_graph *g)
{
    bounds b = {.largest = 1};
    for (int32_t i = 0, size = clg_graph_size(g); i < size; i++) {
        clg_var x = {g, i};
        clg_dtype dtype = clg_dtype_of(x);
        double *values = support_values(x);
        int64_t count = clg_shape_count(clg_shape_of(x));
        b.roundings += 4 + 2 * sqrt(terms_of(x));
        for (int64_t k = 0; k < count && (dtype == CLG_F32 || dtype == CLG_F64); k++)
            if (fabs(values[k]) > b.largest && !isinf(values[k]))
                b.largest = fabs(values[k]);
        free(values);
    }
    return b;
}

/* ---------------------------------------------------------------- one program */

static double tolerance_of(clg_dtype real, bounds b)
{
    return (real == CLG_F64 ? DBL_EPSILON : (double)FLT_EPSILON) * b.roundings * b.largest;
}

static void compare(verdict *v, const random_program *whole, const random_program *apart, double tolerance,
                    bool lenient)
{
    for (int i = 0; i < whole->output_count && !v->failed; i++) {
        double *got = support_values(whole->outputs[i]), *want = support_values(apart->outputs[i]);
        int64_t count = clg_shape_count(clg_shape_of(whole->outputs[i]));
        for (int64_t k = 0; k < count && !v->failed; k++)
            if (!(fabs(got[k] - want[k]) <= tolerance) && !(lenient && isnan(got[k]) && isnan(want[k])))
                refuse(v, "output %d, node %d, element %d: %.12g as a whole, %.12g node by node, tolerance %.2g", i,
                       (int)whole->outputs[i].id, (int)k, got[k], want[k], tolerance);
        free(got);
        free(want);
    }
}

static char *read_bytes(clg_var x, size_t *size)
{
    *size = (size_t)clg_shape_count(clg_shape_of(x)) * clg_dtype_size(clg_dtype_of(x));
    char *data = malloc(*size + 1);
    assert_non_null(data);
    if (clg_read(x, data, *size) != CLG_OK)
        fail_msg("read: %s", clg_last_error());
    return data;
}

/* All outputs, one behind the other. */
static char *output_bytes(const random_program *p, size_t *size)
{
    char *all = NULL;
    *size = 0;
    for (int i = 0; i < p->output_count; i++) {
        size_t bytes;
        char *data = read_bytes(p->outputs[i], &bytes);
        all = realloc(all, *size + bytes + 1);
        assert_non_null(all);
        memcpy(all + *size, data, bytes);
        *size += bytes;
        free(data);
    }
    return all;
}

static clg_program *compiled(verdict *v, const random_program *p)
{
    clg_program *program = clg_compile(p->g, p->outputs, p->output_count);
    if (!program || clg_run(program) != CLG_OK)
        refuse(v, "%s", clg_last_error());
    return program;
}

/* Run once more, and made anew. */
static void expect_same_bits(verdict *v, clg_device *device, uint64_t seed, uint32_t steps, random_program *p,
                             clg_program *program)
{
    random_program *again = malloc(sizeof *again);
    assert_non_null(again);
    programs_make(again, device, p->real, seed, steps);
    clg_program *other = compiled(v, again);
    size_t size, size_twice, size_again;
    char *first = output_bytes(p, &size);
    if (!v->failed && clg_run(program) != CLG_OK)
        refuse(v, "the second run: %s", clg_last_error());
    if (!v->failed) {
        char *twice = output_bytes(p, &size_twice), *anew = output_bytes(again, &size_again);
        if (size != size_twice || memcmp(first, twice, size))
            refuse(v, "the second run gives other bits");
        else if (size != size_again || memcmp(first, anew, size))
            refuse(v, "the program made anew gives other bits");
        free(twice);
        free(anew);
    }
    free(first);
    clg_program_free(other);
    clg_graph_free(again->g);
    free(again);
}

static verdict check(clg_device *device, clg_device *reference, clg_dtype real, uint64_t seed, uint32_t steps)
{
    verdict v = {0};
    random_program *whole = malloc(sizeof *whole), *apart = malloc(sizeof *apart);
    assert_true(whole && apart);
    programs_make(whole, device, real, seed, steps);
    programs_make(apart, reference, real, seed, steps);
    clg_program *program = compiled(&v, whole);
    if (!v.failed) {
        bounds b = run_apart(apart->g);
        compare(&v, whole, apart, tolerance_of(real, b), false);
    }
    if (!v.failed)
        expect_same_bits(&v, device, seed, steps, whole, program);
    clg_program_free(program);
    clg_graph_free(whole->g);
    clg_graph_free(apart->g);
    free(whole);
    free(apart);
    return v;
}

/* Leaves out one step after the other, as long as the program still fails. Returns what is left. */
static uint32_t shrink(clg_device *device, clg_device *reference, clg_dtype real, uint64_t seed, uint32_t steps)
{
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (int i = PROGRAM_STEPS - 1; i >= 0; i--)
            if (steps >> i & 1 && check(device, reference, real, seed, steps & ~(1u << i)).failed) {
                steps &= ~(1u << i);
                smaller = true;
            }
    }
    return steps;
}

/* The first node that is another one when what it needs is compiled for it alone; -1: none is. */
static int32_t first_difference(clg_device *device, clg_device *reference, clg_dtype real, uint64_t seed,
                                uint32_t steps)
{
    random_program *whole = malloc(sizeof *whole), *apart = malloc(sizeof *apart);
    assert_true(whole && apart);
    programs_make(apart, reference, real, seed, steps);
    bounds b = run_apart(apart->g);
    int32_t found = -1;
    for (int32_t i = 0, size = clg_graph_size(apart->g); i < size && found < 0; i++) {
        verdict v = {0};
        programs_make(whole, device, real, seed, steps);
        whole->outputs[0] = (clg_var){whole->g, i};
        apart->outputs[0] = (clg_var){apart->g, i};
        whole->output_count = 1;
        clg_program *program = compiled(&v, whole);
        if (!v.failed)
            compare(&v, whole, apart, tolerance_of(real, b), true); /* constants may be NaN */
        found = v.failed ? i : -1;
        clg_program_free(program);
        clg_graph_free(whole->g);
    }
    clg_graph_free(apart->g);
    free(whole);
    free(apart);
    return found;
}

static void report(clg_device *device, clg_device *reference, clg_dtype real, uint64_t seed, uint32_t steps)
{
    verdict v = check(device, reference, real, seed, steps = shrink(device, reference, real, seed, steps));
    random_program *p = malloc(sizeof *p);
    assert_non_null(p);
    source_begin(stderr);
    programs_make(p, device, real, seed, steps);
    print_error("seed %llu, %s on %s, steps %x:%s: %s; the first node that differs alone: %d\n",
                (unsigned long long)seed, clg_dtype_name(real), clg_device_get_info(device)->spec, steps, p->log,
                v.what, (int)first_difference(device, reference, real, seed, steps));
    clg_graph_free(p->g);
    free(p);
}

static void check_programs(clg_device *device, clg_device *reference, int usual)
{
    const char *given = getenv("CLGRAD_TEST_PROGRAMS");
    int failed = 0, count = given ? atoi(given) : support_rounds(usual);
    bool has_f64 = clg_device_get_info(device)->has_f64;
    for (int i = 0; i < count && failed < 3; i++) {
        uint64_t seed = support_seed() + (uint64_t)i;
        clg_dtype real = programs_dtype(seed, has_f64);
        uint32_t steps = (1u << programs_steps(seed)) - 1;
        if (check(device, reference, real, seed, steps).failed) {
            report(device, reference, real, seed, steps);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* CLGRAD_TEST_SOURCE: a file to which the first program is written as C (tests/test_program_source.sh). */
static void test_source(void **state)
{
    (void)state;
    const char *path = getenv("CLGRAD_TEST_SOURCE");
    if (!path)
        skip();
    clg_device *device = support_open("cpu");
    random_program *p = malloc(sizeof *p);
    FILE *file = fopen(path, "w");
    assert_true(p && file);
    source_begin(file);
    programs_make(p, device, CLG_F64, support_seed(), (1u << programs_steps(support_seed())) - 1);
    assert_int_equal(fclose(file), 0);
    clg_graph_free(p->g);
    free(p);
    clg_device_close(device);
}

static void test_programs_on_the_cpu_path(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    check_programs(device, device, CPU_PROGRAMS);
    clg_device_close(device);
}

static void test_programs_on_opencl(void **state)
{
    (void)state;
    bool opencl = false;
    for (const char *const *spec = support_devices(); *spec; spec++)
        opencl |= !strcmp(*spec, "opencl");
    if (!opencl)
        skip();
    /* unless told otherwise: drivers need many seconds for each of CLBlast's kernels, in which no fusion takes part */
    setenv("CLGRAD_OPENCL_MATMUL", "generated", 0);
    clg_device *device = support_open("opencl"), *cpu = support_open("cpu");
    check_programs(device, cpu, OPENCL_PROGRAMS);
    clg_device_close(device);
    clg_device_close(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_source), cmocka_unit_test(test_programs_on_the_cpu_path),
                                       cmocka_unit_test(test_programs_on_opencl)};
    cmocka_set_test_filter(getenv("CLGRAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
