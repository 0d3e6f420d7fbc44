/* Sorts against the C library's, made stable by index: lengths at which other methods are chosen, ties, NaN, both
 * directions, the first few of many; their gradients, which follow the elements. */
#define _POSIX_C_SOURCE 200809L
#include "support_gradients.h"
#include "support_dtype.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }

/* ---------------------------------------------------------------- the order of a line */

static const double *values;
static bool down;

/* NaN is the largest; of equals the first one comes first, in either direction. */
static int compare(const void *p, const void *q)
{
    const int i = *(const int *)p, j = *(const int *)q;
    const double a = values[i], b = values[j];
    int order = isnan(a) || isnan(b) ? !!isnan(a) - !!isnan(b) : (a > b) - (a < b);
    order = down ? -order : order;
    return order ? order : (i > j) - (i < j);
}

static void plain_order(const double *line, int length, bool descending, int *order)
{
    for (int i = 0; i < length; i++)
        order[i] = i;
    values = line;
    down = descending;
    qsort(order, (size_t)length, sizeof *order, compare);
}

/* Of all values of a dtype, or of so few that most have equals. */
static void fill(double *x, int count, clg_dtype dtype, clg_random *random)
{
    static const double few[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2.5, -1e30, 1e-30};
    const bool real = clg_dtype_is_real(dtype), ties = clg_random_below(random, 2);
    for (int i = 0; i < count; i++) {
        const double wide = ldexp(2 * clg_random_uniform(random) - 1, (int)clg_random_below(random, 60) - 30);
        const uint32_t word = clg_random_below(random, UINT32_MAX);
        if (real)
            x[i] = support_cast(CLG_F32, dtype, (double)(float)(ties ? few[clg_random_below(random, 10)] : wide));
        else if (dtype == CLG_BOOL)
            x[i] = word % 2;
        else if (dtype == CLG_I32 || dtype == CLG_I64)
            x[i] = ties ? (double)(word % 7) - 3 : (int32_t)word * (dtype == CLG_I64 ? 1048576.0 : 1.0);
        else
            x[i] = ties ? word % 3 + 126 : word % 256;
    }
}

enum { LINES = 2 };

/* Lines of one length, `count` results of each, along the last or the first axis. */
static void expect_sorted(clg_dtype dtype, int length, int count, bool descending, bool rows, clg_random *random)
{
    const int all = LINES * length, results = LINES * count;
    double *x = malloc((size_t)all * sizeof *x), *turned = malloc((size_t)all * sizeof *turned);
    double *want = malloc((size_t)results * sizeof *want + 1), *index = malloc((size_t)results * sizeof *index + 1);
    int *order = malloc((size_t)length * sizeof *order);
    assert_true(x && turned && want && index && order);
    fill(x, all, dtype, random);
    for (int line = 0; line < LINES; line++) {
        plain_order(x + line * length, length, descending, order);
        for (int i = 0; i < length; i++)
            turned[rows ? line * length + i : i * LINES + line] = x[line * length + i];
        for (int i = 0; i < count; i++) {
            const int at = rows ? line * count + i : i * LINES + line;
            index[at] = order[i];
            want[at] = x[line * length + order[i]];
        }
    }
    clg_graph *g = clg_graph_new(device);
    clg_var leaf = support_leaf(g, dtype, rows ? CLG_SHAPE(LINES, length) : CLG_SHAPE(length, LINES), turned);
    clg_var y[2];
    if (count == length) {
        y[0] = clg_sort(leaf, rows ? 1 : 0, descending);
        y[1] = clg_argsort(leaf, rows ? -1 : -2, descending, -1);
    } else {
        y[0] = clg_topk(leaf, count, rows ? -1 : 0, descending, &y[1]);
    }
    clg_program *p = clg_compile(g, y, 2);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    char what[96];
    snprintf(what, sizeof what, "%d of %d %s, %s", count, length, clg_dtype_name(dtype), descending ? "down" : "up");
    assert_true(clg_dtype_of(y[0]) == dtype && clg_dtype_of(y[1]) == CLG_I32);
    support_expect(y[1], index, 0, what);
    support_expect(y[0], want, 0, what);
    clg_program_free(p);
    clg_graph_free(g);
    double *const arrays[] = {x, turned, want, index};
    for (int i = 0; i < 4; i++)
        free(arrays[i]);
    free(order);
}

static bool has(clg_dtype dtype) { return dtype != CLG_F64 || clg_device_get_info(device)->has_f64; }

static void test_sort(void **state)
{
    (void)state;
    static const int lengths[] = {1, 2, 23, 24, 25, 127, 128, 129, 1000, 2999, 3000, 3001, 20000};
    static const int few[CLG_DTYPE_COUNT] = {2, 25, 3001, 257, 300, 40, 50, 129};
    clg_random random = clg_random_new(support_seed(), 1);
    for (int d = 0; d < CLG_DTYPE_COUNT; d++) {
        const clg_dtype dtype = (clg_dtype)d;
        if (!has(dtype))
            continue;
        if (!on_the_cpu())
            expect_sorted(dtype, few[d], few[d], d % 2, d < 2, &random);
        for (int i = 0; i < 13 * 6 && on_the_cpu(); i++)
            expect_sorted(dtype, lengths[i % 13], lengths[i % 13], i / 13 % 2, i % 3 != 0, &random);
    }
}

static void test_topk(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 7, 127, 128, 129};
    clg_random random = clg_random_new(support_seed(), 2);
    for (int d = 0; d < CLG_DTYPE_COUNT; d++) {
        const clg_dtype dtype = (clg_dtype)d;
        if (!has(dtype))
            continue;
        if (!on_the_cpu())
            expect_sorted(dtype, d < 2 ? 100 : 600, d % 2 ? 30 : 5, d / 2 == 0, d % 2, &random);
        for (int i = 0; i < 6 * 4 * 3 && on_the_cpu(); i++) {
            const int count = counts[i % 6], about[] = {count + 1, 4 * count - 1, 4 * count, 4 * count + 1, 2500};
            const int length = about[(i / 6 + i) % 5];
            expect_sorted(dtype, length > count ? length : count + 1, count, i / 6 % 2, i % 3 != 0, &random);
        }
    }
}

/* Runs in local memory, and their merges, as GPUs sort. */
static void test_runs(void **state)
{
    (void)state;
    if (on_the_cpu())
        return;
    clg_device *usual = device;
    clg_random random = clg_random_new(support_seed(), 3);
    setenv("CLGRAD_OPENCL_STRATEGY", "gpu", 1);
    device = support_open("opencl");
    expect_sorted(CLG_F32, 300, 300, false, true, &random);
    expect_sorted(CLG_F32, 3001, 17, true, false, &random);
    expect_sorted(CLG_U8, 1025, 1025, true, true, &random);
    clg_device_close(device);
    unsetenv("CLGRAD_OPENCL_STRATEGY");
    device = usual;
}

/* ---------------------------------------------------------------- literals, gradients, refusals */

static void test_literals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double x[] = {2, NAN, 2, -INFINITY, 0, -0.0, 5, 2}, w[] = {1, 2, 3, 4};
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(8), x), weight = support_leaf(g, CLG_F32, CLG_SHAPE(4), w);
    clg_var y[6];
    y[0] = clg_topk(leaf, 4, 0, true, &y[1]);
    y[2] = clg_topk(leaf, 4, 0, false, &y[3]);
    clg_gradients(clg_mul(y[0], weight), &leaf, 1, &y[4]);
    y[5] = clg_argsort(leaf, 0, true, -1);
    clg_program *p = clg_compile(g, y, 6);
    assert_true(p && clg_run(p) == CLG_OK);
    support_expect(y[0], (double[]){NAN, 5, 2, 2}, 0, "the largest");
    support_expect(y[1], (double[]){1, 6, 0, 2}, 0, "where they are");
    support_expect(y[2], (double[]){-INFINITY, 0, 0, 2}, 0, "the smallest");
    support_expect(y[3], (double[]){3, 4, 5, 0}, 0, "where they are");
    support_expect(y[4], (double[]){3, 1, 4, 0, 0, 0, 2, 0}, 0, "gradient: to the first of equals");
    support_expect(y[5], (double[]){1, 6, 0, 2, 7, 4, 5, 3}, 0, "descending");
    clg_program_free(p);
    /* nothing, and of nothing */
    clg_var indices, none = clg_topk(leaf, 0, 0, true, &indices);
    assert_true(clg_shape_equal(clg_shape_of(none), CLG_SHAPE(0)) && clg_dtype_of(indices) == CLG_I32);
    free(support_values(none));
    free(support_values(indices));
    clg_var empty = clg_sort(clg_full(g, CLG_F32, CLG_SHAPE(3, 0), 1), 1, false);
    assert_true(clg_is_valid(empty) && clg_shape_equal(clg_shape_of(empty), CLG_SHAPE(3, 0)));
    free(support_values(empty));
    clg_graph_free(g);
}

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *v = support_spread(30, -2, 2, &random);
    clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(2, 5, 3), v);
    support_expect_gradients(clg_sort(x, 1, false), &x, 1, &random, "sort");
    support_expect_gradients(clg_sort(clg_square(x), 0, true), &x, 1, &random, "sort, descending");
    support_expect_gradients(clg_topk(clg_exp(x), 2, -1, true, NULL), &x, 1, &random, "topk");
    support_expect_gradients(clg_topk(x, 4, 1, false, NULL), &x, 1, &random, "topk, the smallest");
    free(v);
    clg_graph_free(g);
}

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_full(g, CLG_F32, CLG_SHAPE(2, 3), 1), indices;
    support_expect_error(clg_sort(x, 2, false), "axis 2 is not an axis of shape (2, 3)");
    support_expect_error(clg_argsort(x, -3, false, -1), "argsort: axis -3 is not an axis of shape (2, 3)");
    support_expect_error(clg_argsort(x, 1, false, 4), "argsort: 4 of 3 elements along axis 1 of shape (2, 3)");
    support_expect_error(clg_argsort(x, 1, false, -2), "argsort: -2 of 3 elements");
    support_expect_error(clg_topk(x, -1, 1, true, &indices), "topk: k is -1; it is at least 0");
    assert_false(clg_is_valid(indices));
    support_expect_error(clg_topk(x, 3, 0, true, &indices), "3 of 2 elements along axis 0");
    assert_false(clg_is_valid(indices));
    support_expect_error(clg_sort(clg_scalar(g, 1), 0, false), "axis 0 is not an axis of shape ()");
    support_expect_error(clg_sort(CLG_NONE, 0, false), "argsort");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sort),      cmocka_unit_test(test_topk),
                                       cmocka_unit_test(test_runs),      cmocka_unit_test(test_literals),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
