/* Random numbers in programs: their distributions, a fresh draw each run, the same in forward and backward, the same
 * bits on every device, a key that is written back. */
#include "support.h"

#include <clgrad/functions.h>
#include <clgrad/random.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

enum { N = 60000 };

static double *draw(clg_var x)
{
    clg_program *p = clg_compile(x.graph, &x, 1);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(x.graph) ? clg_graph_error(x.graph) : clg_last_error());
    double *values = support_values(x);
    clg_program_free(p);
    return values;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double uniform_below(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static double normal_below(double x) { return erfc(-x * sqrt(0.5)) / 2; }

/* Kolmogorov and Smirnov: the greatest distance of the distributions; sqrt(n) of it is above 2.3 once in 20,000. */
static void expect_distribution(double *values, double (*below)(double), const char *what)
{
    double most = 0;
    qsort(values, N, sizeof *values, ascending);
    for (int i = 0; i < N; i++)
        most = fmax(most, fmax(fabs(below(values[i]) - (double)i / N), fabs(below(values[i]) - (double)(i + 1) / N)));
    if (!(most * sqrt(N) < 2.3))
        fail_msg("%s: the distance from the distribution is %g", what, most);
}

/* Chi-square over count classes that are as likely: its mean is count - 1, its variance twice that. */
static void expect_even(const double *values, int n, int count, const char *what)
{
    double sum = 0, *hits = calloc((size_t)count, sizeof *hits);
    assert_non_null(hits);
    for (int i = 0; i < n; i++) {
        assert_true(values[i] >= 0 && values[i] < count && values[i] == floor(values[i]));
        hits[(int)values[i]]++;
    }
    for (int i = 0; i < count; i++)
        sum += pow(hits[i] - (double)n / count, 2) / ((double)n / count);
    if (!(fabs(sum - (count - 1)) < 8 * sqrt(2.0 * (count - 1))))
        fail_msg("%s: chi-square is %g for %d classes", what, sum, count);
    free(hits);
}

static void test_distributions(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_generator r = clg_generator_new(g, support_seed());
    const clg_shape shape = CLG_SHAPE(N / 100, 100);
    const clg_dtype most = clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32;
    for (clg_dtype dtype = CLG_F32; dtype <= most; dtype++) {
        double *u = draw(clg_draw_uniform(&r, dtype, shape)), *n = draw(clg_draw_normal(&r, dtype, shape)), next = 0;
        for (int i = 0; i + 1 < N; i++)
            next += (u[i] - 0.5) * (u[i + 1] - 0.5) * 12 / N; /* neighbours do not know of each other */
        assert_true(fabs(next) < 5 / sqrt(N));
        expect_distribution(u, uniform_below, "uniform");
        expect_distribution(n, normal_below, "normal");
        assert_true(u[0] >= 0 && u[N - 1] < 1);
        free(u);
        free(n);
    }
    double *b = draw(clg_draw_bernoulli(&r, 0.3, shape)), *k = draw(clg_draw_integers(&r, -3, 4, shape)), sum = 0;
    for (int i = 0; i < N; i++) {
        assert_true(b[i] == 0 || b[i] == 1);
        sum += b[i];
        k[i] += 3;
    }
    assert_true(fabs(sum / N - 0.3) < 5 * sqrt(0.3 * 0.7 / N));
    expect_even(k, N, 7, "integers");
    free(b);
    free(k);
    /* bits of words, each and in pairs of neighbours */
    double *w = draw(clg_bit_and(clg_draw_integers(&r, 0, 1 << 24, shape), clg_full(g, CLG_I32, CLG_SCALAR, 255)));
    expect_even(w, N, 256, "the low bits of integers");
    free(w);
    clg_graph_free(g);
}

/* In a program: fresh in each run, the same where it is used twice, and in the gradient; different from another draw.
 */
static void test_runs(void **state)
{
    (void)state;
    enum { M = 1000 };
    clg_graph *g = clg_graph_new(device);
    clg_generator r = clg_generator_new(g, 7);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(M)), gx;
    float ones[M];
    for (int i = 0; i < M; i++)
        ones[i] = 1;
    assert_int_equal(clg_write(x, ones, sizeof ones), CLG_OK);
    clg_var y = clg_dropout(&r, x, 0.25), z = clg_dropout(&r, x, 0.25), twice = clg_sub(y, y);
    clg_gradients(y, &x, 1, &gx);
    clg_var outputs[] = {y, z, twice, gx};
    clg_program *p = clg_compile(g, outputs, 4);
    double *before = NULL;
    for (int run = 0; run < 3; run++) {
        assert_int_equal(clg_run(p), CLG_OK);
        double *a = support_values(y), *b = support_values(z), *s = support_values(gx), *zero = support_values(twice);
        int kept = 0, equal = 0, same = 0;
        for (int i = 0; i < M; i++) {
            assert_true(a[i] == 0 || support_close(a[i], 1 / 0.75, 1e-6));
            assert_true(s[i] == a[i] && zero[i] == 0);
            kept += a[i] != 0, equal += a[i] == b[i], same += before && a[i] == before[i];
        }
        /* 750, 625 and 625 are expected; 70 is five deviations */
        assert_true(abs(kept - 750) < 70 && abs(equal - 625) < 80 && (!before || abs(same - 625) < 80));
        free(before);
        before = a;
        free(b);
        free(s);
        free(zero);
    }
    support_expect(r.key, (double[]){7, 0, 3}, 0, "the key counts runs");
    /* back to the run before the last: the same numbers as in the last one */
    assert_int_equal(clg_write(r.key, (int32_t[]){7, 0, 2}, 3 * sizeof(int32_t)), CLG_OK);
    assert_int_equal(clg_run(p), CLG_OK);
    support_expect(y, before, 0, "a run again");
    free(before);
    clg_program_free(p);
    p = clg_compile(g, &gx, 1); /* of gradients alone: their draws, too, are new in each run */
    assert_int_equal(clg_run(p), CLG_OK);
    support_expect(r.key, (double[]){7, 0, 4}, 0, "the key counts this run, too");
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_edges(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_generator r = clg_generator_new(g, 1), same = clg_generator_new(g, 1), other = clg_generator_new(g, 2);
    const double inf = INFINITY;
    clg_var x = support_leaf(g, CLG_F32, CLG_SCALAR, &inf), gx, all = clg_dropout(&r, x, 1),
            none = clg_dropout(&r, x, 0);
    clg_gradients(all, &x, 1, &gx);
    support_expect(all, (double[]){0}, 0, "all dropped");
    support_expect(gx, (double[]){0}, 0, "the gradient of what is dropped");
    support_expect(none, &inf, 0, "none dropped");
    support_expect(clg_draw_bernoulli(&r, 1, CLG_SHAPE(3)), (double[]){1, 1, 1}, 0, "certain");
    support_expect(clg_draw_bernoulli(&r, 0, CLG_SHAPE(3)), (double[]){0, 0, 0}, 0, "impossible");
    support_expect_error(clg_draw_integers(&r, 3, 3, CLG_SHAPE(2)),
                         "draw_integers: there must be 1 to 16777216 numbers");
    support_expect_error(clg_draw_integers(&r, INT32_MIN, INT32_MAX, CLG_SHAPE(2)), "draw_integers: ");
    support_expect_error(clg_draw_uniform(&r, CLG_I32, CLG_SHAPE(2)), "draw_uniform: dtype must be f32 or f64");
    support_expect_error(clg_dropout(&r, x, 1.5), "probability 1.5 is not in 0..1");
    assert_false(clg_is_valid(clg_draw_uniform(&(clg_generator){.key = {0}}, CLG_F32, CLG_SHAPE(2))));
    support_expect(clg_draw_integers(&r, 5, 6, CLG_SHAPE(2)), (double[]){5, 5}, 0, "one integer");
    free(support_values(clg_draw_normal(&r, CLG_F32, CLG_SHAPE(0, 3))));
    same.draws = other.draws = r.draws = 9;
    assert_int_equal(clg_write(r.key, (int32_t[]){1, 0, 0}, 3 * sizeof(int32_t)), CLG_OK);
    double *a = draw(clg_draw_uniform(&r, CLG_F32, CLG_SHAPE(4))),
           *b = draw(clg_draw_uniform(&same, CLG_F32, CLG_SHAPE(4)));
    double *c = draw(clg_draw_uniform(&other, CLG_F32, CLG_SHAPE(4)));
    for (int i = 0; i < 4; i++)
        assert_true(a[i] == b[i] && a[i] != c[i]);
    free(a);
    free(b);
    free(c);
    clg_graph_free(g);
}

/* The CPU path's bits, whatever the device. */
static void test_bits(void **state)
{
    (void)state;
    enum { M = 4096 };
    clg_device *cpu = support_open("cpu"), *devices[] = {device, cpu};
    double *values[2][3];
    for (int d = 0; d < 2; d++) {
        clg_graph *g = clg_graph_new(devices[d]);
        clg_generator r = clg_generator_new(g, 0x123456789abcdefu);
        values[d][0] = draw(clg_draw_uniform(&r, CLG_F32, CLG_SHAPE(M)));
        values[d][1] = draw(clg_draw_bernoulli(&r, 0.5, CLG_SHAPE(M)));
        values[d][2] = draw(clg_draw_integers(&r, 0, 1000, CLG_SHAPE(M)));
        clg_graph_free(g);
    }
    for (int k = 0; k < 3; k++) {
        assert_memory_equal(values[0][k], values[1][k], M * sizeof(double));
        free(values[0][k]);
        free(values[1][k]);
    }
    clg_device_close(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_distributions), cmocka_unit_test(test_runs),
                                       cmocka_unit_test(test_edges), cmocka_unit_test(test_bits)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
