/* Factorisation, systems, inverses and determinants: residuals and determinants by plain loops, sizes of one block and
 * of several, batches that broadcast, gradients of both orders, what singular matrices give. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
/* Of a sum of n products of numbers about 1. */
static double bound(clg_dtype dtype, int n) { return (dtype == CLG_F64 ? 1e-14 : 1e-5) * (10 + n); }

enum { MOST = 150 };
static const int sizes[] = {1, 5, 64, 65, MOST}, few_sizes[] = {5, 65};
static int size_count(void) { return on_the_cpu() ? 5 : 2; }
static int size_at(int i) { return on_the_cpu() ? sizes[i] : few_sizes[i]; }

/* ---------------------------------------------------------------- matrices */

static double *random_values(int64_t count, clg_random *random)
{
    double *x = malloc((size_t)(count + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(2 * clg_random_uniform(random) - 1);
    return x;
}

/* Well-conditioned ones, n x n, whose large elements are not on the diagonal: in row i at column (i + turn) mod n. */
static double *random_matrices(int batch, int n, int turn, clg_random *random)
{
    double *a = random_values((int64_t)batch * n * n, random);
    for (int k = 0; k < batch * n; k++)
        a[(int64_t)k * n + (k + turn) % n] += (float)(2 + 0.6 * n) * (k % 3 ? 1 : -1);
    for (int64_t k = 0; k < (int64_t)batch * n * n; k++)
        a[k] = (float)(a[k] / (1 + 0.5 * n));
    return a;
}

/* Nearly the identity: positive definite, not symmetric. */
static double *definite_matrices(int batch, int n, clg_random *random)
{
    double *a = random_values((int64_t)batch * n * n, random);
    for (int64_t k = 0; k < (int64_t)batch * n * n; k++)
        a[k] = (float)(a[k] / n + (k % (n * n) % (n + 1) == 0));
    return a;
}

/* a (n, n) times b (n, m). */
static void multiply(const double *a, const double *b, int n, int m, double *c)
{
    memset(c, 0, (size_t)n * (size_t)m * sizeof *c);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (int j = 0; j < m; j++)
                c[i * m + j] += a[i * n + k] * b[k * m + j];
}

static void expect_near(const double *got, const double *want, int64_t count, double allowed, const char *what, int n)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= allowed))
            fail_msg("%s of %d rows: element %lld is %.12g, not %.12g", what, n, (long long)i, got[i], want[i]);
}

/* ---------------------------------------------------------------- residuals */

static void expect_cholesky(clg_dtype dtype, int n, clg_random *random)
{
    enum { BATCH = 2 };
    clg_graph *g = clg_graph_new(device);
    double *a = definite_matrices(BATCH, n, random), *half = malloc(2 * (size_t)(n * n) * sizeof *half),
           *back = half + n * n;
    assert_non_null(half);
    double *l = support_values(clg_cholesky(support_leaf(g, dtype, CLG_SHAPE(BATCH, n, n), a)));
    for (int k = 0; k < BATCH; k++) {
        const double *of = l + k * n * n, *from = a + k * n * n;
        for (int i = 0; i < n * n; i++) {
            half[i] = (from[i] + from[i % n * n + i / n]) / 2;
            back[i] = of[i % n * n + i / n];
            assert_true(i / n >= i % n || of[i] == 0);
        }
        double *square = malloc((size_t)(n * n) * sizeof *square);
        assert_non_null(square);
        multiply(of, back, n, n, square);
        expect_near(square, half, n * n, bound(dtype, n), "cholesky", n);
        free(square);
    }
    free(l);
    free(half);
    free(a);
    clg_graph_free(g);
}

static void test_cholesky(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    for (int i = 0; i < size_count(); i++)
        expect_cholesky(real(), size_at(i), &random);
    expect_cholesky(CLG_F32, on_the_cpu() ? 130 : 6, &random);
}

/* a x = b for a (2, 1, n, n) and b (3, n, m), by one of the functions; the other triangle holds NaN. */
enum { GENERAL, LOWER, UPPER };
static void expect_solution(clg_dtype dtype, int how, int n, int m, clg_random *random)
{
    static const char *const names[] = {"solve", "solve_triangular, lower", "solve_triangular, upper"};
    clg_graph *g = clg_graph_new(device);
    double *a = random_matrices(2, n, how == GENERAL ? n / 2 : 0, random), *b = random_values(3 * n * m, random);
    for (int i = 0; i < 2 * n * n && how != GENERAL; i++)
        if (how == LOWER ? i / n % n < i % n : i / n % n > i % n)
            a[i] = NAN;
    clg_var left = support_leaf(g, dtype, CLG_SHAPE(2, 1, n, n), a),
            right = support_leaf(g, dtype, CLG_SHAPE(3, n, m), b);
    clg_var x = how == GENERAL ? clg_solve(left, right) : clg_solve_triangular(left, right, how == UPPER);
    assert_true(clg_shape_equal(clg_shape_of(x), CLG_SHAPE(2, 3, n, m)) && clg_dtype_of(x) == dtype);
    double *got = support_values(x), *c = malloc((size_t)(n * m) * sizeof *c);
    assert_non_null(c);
    for (int i = 0; i < 2 * n * n; i++)
        a[i] = isnan(a[i]) ? 0 : a[i];
    for (int k = 0; k < 6; k++) {
        multiply(a + k / 3 * n * n, got + k * n * m, n, m, c);
        expect_near(c, b + k % 3 * n * m, n * m, 4 * bound(dtype, n), names[how], n);
    }
    free(c);
    free(got);
    free(a);
    free(b);
    clg_graph_free(g);
}

static void test_solutions(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 2);
    for (int how = GENERAL; how <= UPPER; how++) {
        for (int i = 0; i < size_count(); i++)
            expect_solution(real(), how, size_at(i), i % 2 ? 7 : 1, &random);
        if (on_the_cpu())
            expect_solution(CLG_F32, how, 100, 70, &random);
    }
}

/* Determinant by elimination with row pivoting: its logarithm and sign. */
static double plain_determinant(const double *from, int n, double *sign)
{
    double *a = malloc((size_t)(n * n) * sizeof *a), sum = 0;
    assert_non_null(a);
    memcpy(a, from, (size_t)(n * n) * sizeof *a);
    *sign = 1;
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++)
            best = fabs(a[i * n + k]) > fabs(a[best * n + k]) ? i : best;
        *sign = best == k ? *sign : -*sign;
        for (int j = 0; j < n; j++) {
            const double swap = a[k * n + j];
            a[k * n + j] = a[best * n + j];
            a[best * n + j] = swap;
        }
        *sign = a[k * n + k] < 0 ? -*sign : *sign;
        sum += log(fabs(a[k * n + k]));
        for (int i = k + 1; i < n; i++)
            for (int j = n - 1; j >= k; j--)
                a[i * n + j] -= a[i * n + k] / a[k * n + k] * a[k * n + j];
    }
    free(a);
    return sum;
}

static void test_inverses(void **state)
{
    (void)state;
    enum { BATCH = 3 };
    clg_random random = clg_random_new(support_seed(), 3);
    for (int s = 0; s < size_count(); s++) {
        const int n = size_at(s);
        const clg_dtype dtype = n == 5 && on_the_cpu() ? CLG_F32 : real();
        clg_graph *g = clg_graph_new(device);
        double *a = random_matrices(BATCH, n, n / 3, &random), *c = malloc((size_t)(n * n) * sizeof *c);
        double *one = calloc((size_t)(n * n), sizeof *one), want[BATCH], sign[BATCH], value[BATCH];
        assert_true(c && one);
        clg_var x = support_leaf(g, dtype, CLG_SHAPE(BATCH, n, n), a), y[4] = {clg_inverse(x), clg_determinant(x)};
        y[2] = clg_log_determinant(x, &y[3]);
        clg_program *p = clg_compile(g, y, 4);
        assert_true(p && clg_run(p) == CLG_OK);
        double *inverse = support_values(y[0]);
        for (int i = 0; i < n; i++)
            one[i * n + i] = 1;
        for (int k = 0; k < BATCH; k++) {
            multiply(a + k * n * n, inverse + k * n * n, n, n, c);
            expect_near(c, one, n * n, 4 * bound(dtype, n), "inverse", n);
            want[k] = plain_determinant(a + k * n * n, n, &sign[k]);
            value[k] = sign[k] * exp(want[k]);
        }
        support_expect(y[1], value, bound(dtype, n) * 10, "determinant");
        support_expect(y[2], want, bound(dtype, n) * 10, "log_determinant");
        support_expect(y[3], sign, 0, "sign");
        assert_true(clg_shape_equal(clg_shape_of(y[1]), CLG_SHAPE(BATCH)));
        free(inverse);
        free(one);
        free(c);
        free(a);
        clg_program_free(p);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- gradients */

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *a = random_matrices(2, 3, 0, &random), *turned = random_matrices(2, 3, 1, &random);
    double *positive = definite_matrices(2, 3, &random), *b = random_values(12, &random);
    const clg_var x[] = {support_leaf(g, CLG_F64, CLG_SHAPE(2, 3, 3), a), support_leaf(g, CLG_F64, CLG_SHAPE(3, 2), b)};
    const clg_var z[] = {support_leaf(g, CLG_F64, CLG_SHAPE(2, 1, 3, 3), turned),
                         support_leaf(g, CLG_F64, CLG_SHAPE(2, 3, 2), b)};
    clg_var s = support_leaf(g, CLG_F64, CLG_SHAPE(2, 3, 3), positive);
    support_expect_gradients(clg_cholesky(s), &s, 1, &random, "cholesky");
    support_expect_gradients(clg_solve_triangular(x[0], x[1], false), x, 2, &random, "solve_triangular, lower");
    support_expect_gradients(clg_solve_triangular(x[0], x[1], true), x, 2, &random, "solve_triangular, upper");
    support_expect_gradients(clg_solve(z[0], z[1]), z, 2, &random, "solve");
    support_expect_gradients(clg_inverse(z[0]), z, 1, &random, "inverse");
    support_expect_gradients(clg_determinant(z[0]), z, 1, &random, "determinant");
    support_expect_gradients(clg_log_determinant(z[0], NULL), z, 1, &random, "log_determinant");
    double *const arrays[] = {a, turned, positive, b};
    for (int i = 0; i < 4; i++)
        free(arrays[i]);
    clg_graph_free(g);
}

/* Matrices of several blocks, moved along a direction. */
static clg_var moved(clg_graph *g, clg_var t, double *values, clg_random *random)
{
    enum { N = 70 };
    double *way = random_values(N * N, random);
    for (int i = 0; i < N * N; i++)
        way[i] /= N;
    clg_var base = support_leaf(g, CLG_F64, CLG_SHAPE(N, N), values),
            by = support_leaf(g, CLG_F64, CLG_SHAPE(N, N), way);
    free(way);
    free(values);
    return clg_add(base, clg_mul(t, by));
}

static void test_large_gradients(void **state)
{
    (void)state;
    enum { N = 70 };
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 5);
    clg_graph *g = clg_graph_new(device);
    clg_var t = support_leaf(g, CLG_F64, CLG_SCALAR, &(double){0.3});
    clg_var a = moved(g, t, random_matrices(1, N, 0, &random), &random);
    clg_var z = moved(g, t, random_matrices(1, N, 9, &random), &random);
    clg_var s = moved(g, t, definite_matrices(1, N, &random), &random);
    clg_var b = clg_slice(moved(g, t, random_values(N * N, &random), &random), 1, 0, 3, 1);
    support_expect_gradients(clg_cholesky(s), &t, 1, &random, "cholesky");
    support_expect_gradients(clg_solve_triangular(a, b, false), &t, 1, &random, "solve_triangular, lower");
    support_expect_gradients(clg_solve_triangular(a, b, true), &t, 1, &random, "solve_triangular, upper");
    support_expect_gradients(clg_solve(z, b), &t, 1, &random, "solve");
    support_expect_gradients(clg_inverse(z), &t, 1, &random, "inverse");
    support_expect_gradients(clg_log_determinant(z, NULL), &t, 1, &random, "log_determinant");
    clg_graph_free(g);
}

/* Of blocks and of one elimination the gradients are the same. */
static void test_blocks(void **state)
{
    (void)state;
    enum { N = 130 };
    clg_random random = clg_random_new(support_seed(), 6);
    const clg_dtype dtype = real();
    clg_graph *g = clg_graph_new(device);
    double *values = random_matrices(1, N, 0, &random), *right = random_values(N * 2, &random);
    for (int upper = 0; upper < (on_the_cpu() ? 2 : 1); upper++) {
        const clg_var x[] = {support_leaf(g, dtype, CLG_SHAPE(N, N), values),
                             support_leaf(g, dtype, CLG_SHAPE(N, 2), right)};
        clg_var triangle = upper ? clg_triu(x[0], 0) : clg_tril(x[0], 0), y[6];
        y[0] = clg_solve_triangular(x[0], x[1], upper);
        y[3] = clg_solve(triangle, x[1]);
        clg_gradients(clg_square(y[0]), x, 2, y + 1);
        clg_gradients(clg_square(y[3]), x, 2, y + 4);
        clg_program *p = clg_compile(g, y, 6);
        assert_true(p && clg_run(p) == CLG_OK);
        for (int i = 0; i < 3; i++) {
            double *want = support_values(y[3 + i]);
            support_expect(y[i], want, bound(dtype, N), "by blocks");
            free(want);
        }
        clg_program_free(p);
    }
    free(values);
    free(right);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- edges */

static void test_singular(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double a[] = {1, 2, 2, 4, 0, 0, 0, 0, 1, 1, NAN, 1}, b[] = {1, 1};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(3, 2, 2), a), one = support_leaf(g, CLG_F32, CLG_SHAPE(2, 1), b),
            sign;
    clg_var flat = clg_slice(x, 0, 0, 2, 1), log_size = clg_log_determinant(x, &sign);
    clg_var y[] = {clg_solve(x, one),
                   clg_inverse(x),
                   clg_determinant(flat),
                   log_size,
                   sign,
                   clg_solve_triangular(flat, one, false),
                   clg_cholesky(clg_neg(x))};
    clg_program *p = clg_compile(g, y, 7);
    assert_true(p && clg_run(p) == CLG_OK);
    for (int i = 0; i < 2; i++) {
        double *got = support_values(y[i]);
        const int64_t each = clg_shape_count(clg_shape_of(y[i])) / 3;
        for (int k = 0; k < 3; k++) {
            bool finite = true;
            for (int64_t e = 0; e < each; e++)
                finite &= isfinite(got[k * each + e]) != 0;
            assert_false(finite);
        }
        free(got);
    }
    support_expect(y[2], (double[]){0, 0}, 0, "determinant");
    double *got = support_values(log_size), *signs = support_values(sign), *lower = support_values(y[6]);
    assert_true(got[0] == -INFINITY && got[1] == -INFINITY && isnan(got[2]));
    assert_true(signs[0] == 0 && signs[1] == 0);
    assert_true(isnan(lower[3]) && lower[1] == 0 && isnan(lower[0]));
    free(got);
    free(signs);
    free(lower);
    support_expect(clg_slice(y[5], 0, 0, 1, 1), (double[]){1, -0.25}, 0, "solve_triangular");
    double *none = support_values(clg_slice(y[5], 0, 1, 2, 1));
    assert_false(isfinite(none[0]) || isfinite(none[1]));
    free(none);
    clg_program_free(p);
    /* the block that is not positive definite, and those behind it */
    double *large = calloc(150 * 150, sizeof *large);
    assert_non_null(large);
    for (int i = 0; i < 150; i++)
        large[i * 151] = i == 100 ? -1 : 1;
    double *root = support_values(clg_cholesky(support_leaf(g, CLG_F32, CLG_SHAPE(150, 150), large)));
    assert_true(root[0] == 1 && root[99 * 151] == 1 && isnan(root[100 * 151]));
    free(root);
    free(large);
    clg_graph_free(g);
}

static void test_kinds(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t words[] = {2, 1, 1, 3};
    clg_var n = clg_array(g, CLG_I32, CLG_SHAPE(2, 2), words), empty = clg_full(g, CLG_F32, CLG_SHAPE(2, 0, 0), 1);
    clg_var none = clg_full(g, CLG_F32, CLG_SHAPE(0, 3), 1), wide = clg_full(g, CLG_F32, CLG_SHAPE(2, 0), 1);
    assert_true(clg_dtype_of(clg_determinant(n)) == CLG_F32);
    support_expect(clg_determinant(n), (double[]){5}, 1e-6, "of integers");
    support_expect(clg_inverse(n), (double[]){0.6, -0.2, -0.2, 0.4}, 1e-6, "of integers");
    support_expect(clg_determinant(empty), (double[]){1, 1}, 0, "of nothing");
    support_expect(clg_log_determinant(empty, NULL), (double[]){0, 0}, 0, "of nothing");
    const clg_var y[] = {clg_cholesky(empty),
                         clg_inverse(empty),
                         clg_solve(empty, none),
                         clg_solve(n, wide),
                         clg_solve_triangular(empty, none, true),
                         clg_solve_triangular(n, wide, false)};
    static const int64_t wants[][3] = {{2, 0, 0}, {2, 0, 0}, {2, 0, 3}, {2, 0, 0}, {2, 0, 3}, {2, 0, 0}};
    for (int i = 0; i < 6; i++) {
        const clg_shape shape = clg_shape_of(y[i]);
        assert_true(clg_is_valid(y[i]) && shape.rank == (i == 3 || i == 5 ? 2 : 3));
        assert_memory_equal(shape.dim, wants[i], (size_t)shape.rank * sizeof *shape.dim);
        free(support_values(y[i]));
    }
    clg_graph_free(g);
}

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var a = clg_full(g, CLG_F32, CLG_SHAPE(2, 2), 1), wide = clg_full(g, CLG_F32, CLG_SHAPE(2, 3), 1), sign;
    clg_var line = clg_full(g, CLG_F32, CLG_SHAPE(2), 1), three = clg_full(g, CLG_F32, CLG_SHAPE(3, 1), 1);
    clg_var batches = clg_full(g, CLG_F32, CLG_SHAPE(3, 2, 2), 1), others = clg_full(g, CLG_F32, CLG_SHAPE(2, 2, 1), 1);
    support_expect_error(clg_cholesky(wide), "cholesky: shape (2, 3); it must be square matrices (..., n, n)");
    support_expect_error(clg_inverse(line), "inverse: shape (2,); it must be square matrices");
    support_expect_error(clg_determinant(wide), "determinant: shape (2, 3)");
    support_expect_error(clg_log_determinant(wide, &sign), "log_determinant: shape (2, 3)");
    assert_false(clg_is_valid(sign));
    support_expect_error(clg_solve(a, three), "solve: shapes (2, 2) and (3, 1); they must be square matrices");
    support_expect_error(clg_solve(a, line), "right sides (..., n, m)");
    support_expect_error(clg_solve(wide, a), "solve: shapes (2, 3) and (2, 2)");
    support_expect_error(clg_solve_triangular(a, three, true), "solve_triangular: shapes (2, 2) and (3, 1)");
    support_expect_error(clg_solve(batches, others), "solve: batches do not broadcast: (3, 2, 2) and (2, 2, 1)");
    support_expect_error(clg_solve(a, CLG_NONE), "solve");
    support_expect_error(clg_cholesky(CLG_NONE), "cholesky");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cholesky),  cmocka_unit_test(test_solutions),       cmocka_unit_test(test_inverses),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_large_gradients), cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_singular),  cmocka_unit_test(test_kinds),           cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
