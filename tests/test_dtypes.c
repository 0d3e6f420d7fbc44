/* Dtypes: promotion, halves against their definition, i64 beyond what f64 has, bool, indices, sums of integers. */
#include "support.h"
#include "support_dtype.h"

#include <clgrad/functions.h>
#include <clgrad/io.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---------------------------------------------------------------- promotion */

static void test_promotion(void **state)
{
    (void)state;
    static const clg_dtype order[] = {CLG_BOOL, CLG_U8, CLG_I32, CLG_I64, CLG_F16, CLG_BF16, CLG_F32, CLG_F64};
    static const char *const want[8][8] = {
        {"bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"},
        {"u8", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"},
        {"i32", "i32", "i32", "i64", "f16", "bf16", "f32", "f64"},
        {"i64", "i64", "i64", "i64", "f16", "bf16", "f32", "f64"},
        {"f16", "f16", "f16", "f16", "f16", "f32", "f32", "f64"},
        {"bf16", "bf16", "bf16", "bf16", "f32", "bf16", "f32", "f64"},
        {"f32", "f32", "f32", "f32", "f32", "f32", "f32", "f64"},
        {"f64", "f64", "f64", "f64", "f64", "f64", "f64", "f64"},
    };
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++) {
            clg_var a = clg_input(g, order[i], CLG_SHAPE(2, 1)), b = clg_input(g, order[k], CLG_SHAPE(3));
            const bool integers = i < 4 && k < 4;
            assert_string_equal(clg_dtype_name(clg_dtype_promote(order[i], order[k])), want[i][k]);
            const clg_var same[] = {clg_add(a, b), clg_maximum(a, b), clg_where(clg_less(a, b), a, b)};
            for (int n = 0; n < COUNT(same); n++)
                assert_string_equal(clg_dtype_name(clg_dtype_of(same[n])), want[i][k]);
            const clg_var parts[] = {clg_broadcast_to(a, CLG_SHAPE(2, 3)), clg_broadcast_to(b, CLG_SHAPE(2, 3))};
            assert_string_equal(clg_dtype_name(clg_dtype_of(clg_concat(parts, 2, 0))), want[i][k]);
            const clg_var real[] = {clg_div(a, b), clg_matmul(a, clg_reshape(b, CLG_SHAPE(1, 3)))};
            for (int n = 0; n < COUNT(real); n++)
                assert_string_equal(clg_dtype_name(clg_dtype_of(real[n])), integers ? "f32" : want[i][k]);
            assert_int_equal(clg_dtype_of(clg_equal(a, b)), CLG_BOOL);
        }
    for (int i = 0; i < 8; i++) {
        clg_var x = clg_input(g, order[i], CLG_SHAPE(2, 3));
        const clg_var sums[] = {clg_sum(x, CLG_ALL_AXES, false), clg_prod(x, CLG_AXES(0), true), clg_cumsum(x, 0, 0),
                                clg_cumprod(x, 1, 0)};
        const clg_var own[] = {clg_max(x, CLG_AXES(1), true), clg_cummax(x, 1, 0), clg_sort(x, 1, false), clg_abs(x)};
        const clg_var real[] = {clg_mean(x, CLG_ALL_AXES, false), clg_exp(x), clg_softmax(x, 1),
                                clg_variance(x, CLG_AXES(0), 0, false)};
        for (int n = 0; n < 4; n++) {
            assert_int_equal(clg_dtype_of(sums[n]), i < 4 ? CLG_I64 : order[i]);
            assert_int_equal(clg_dtype_of(own[n]), order[i]);
            assert_int_equal(clg_dtype_of(real[n]), i < 4 ? CLG_F32 : order[i]);
        }
    }
    assert_int_equal(clg_dtype_promote(CLG_F32, CLG_DTYPE_COUNT), CLG_DTYPE_COUNT);
    clg_var real = clg_input(g, CLG_F32, CLG_SHAPE(2));
    support_expect_error(clg_bit_and(real, real), "bit_and: operands must be integers or bool, not f32");
    clg_graph_free(g);
    clg_device_close(device);
}

/* ---------------------------------------------------------------- halves */

static const clg_dtype halves[] = {CLG_F16, CLG_BF16};

/* All that there are, to f32 and back; and numbers of f32 with their neighbours of a half, and between them. */
static void check_conversions(clg_device *device)
{
    enum { ALL = 65536, MANY = 40000 };
    clg_random random = clg_random_new(support_seed(), 1);
    for (int h = 0; h < 2; h++) {
        clg_graph *g = clg_graph_new(device);
        uint16_t *bits = malloc(ALL * sizeof *bits), *back = malloc(ALL * sizeof *back);
        float *numbers = malloc(MANY * sizeof *numbers);
        double *want = malloc(ALL * sizeof *want);
        assert_true(bits && back && numbers && want);
        for (int i = 0; i < ALL; i++) {
            bits[i] = (uint16_t)i;
            want[i] = support_decode(halves[h], &bits[i]);
        }
        clg_var x = clg_array(g, halves[h], CLG_SHAPE(ALL), bits), wide = clg_cast(x, CLG_F32);
        support_expect(wide, want, 0, "half to f32");
        clg_var copy = clg_cast(clg_neg(clg_neg(wide)), halves[h]);
        assert_int_equal(clg_read(clg_cast(clg_add(wide, clg_scalar_like(wide, -0.0)), halves[h]), back, ALL * 2), 0);
        support_expect(copy, want, 0, "half to f32 and back");
        for (int i = 0; i < ALL; i++)
            if (!isnan(want[i]) && back[i] != bits[i] && want[i] != 0)
                fail_msg("%s %04x comes back as %04x", clg_dtype_name(halves[h]), bits[i], back[i]);
        for (int i = 0; i < MANY; i++) {
            uint16_t some = (uint16_t)clg_random_below(&random, ALL), next = (uint16_t)(some + 1);
            const double a = support_decode(halves[h], &some), b = support_decode(halves[h], &next);
            const uint32_t word = clg_random_below(&random, UINT32_MAX);
            memcpy(&numbers[i], &word, sizeof word);
            if (i % 2)
                numbers[i] = (float)(a + (b - a) * (i % 4 == 1 ? 0.5 : clg_random_uniform(&random)));
            want[i] = support_cast(CLG_F32, halves[h], (double)numbers[i]);
        }
        clg_var y = clg_cast(clg_array(g, CLG_F32, CLG_SHAPE(MANY), numbers), halves[h]);
        support_expect(y, want, 0, "f32 to half");
        clg_dtype_convert(CLG_F32, numbers, halves[h], back, MANY);
        for (int i = 0; i < MANY; i++)
            if (!support_close(support_decode(halves[h], &back[i]), want[i], 0))
                fail_msg("%a on the host", (double)numbers[i]);
        free(bits), free(back), free(numbers), free(want);
        clg_graph_free(g);
    }
}

static void test_conversions(void **state)
{
    (void)state;
    support_each_device(check_conversions);
}

static double *random_halves(clg_dtype dtype, int count, clg_random *random)
{
    double *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < count; i++)
        x[i] = support_cast(CLG_F32, dtype, 4 * clg_random_uniform(random) - 2);
    return x;
}

/* What an operation gives for halves is what it gives for the same numbers in f32, rounded once. */
static void check_rounded_once(clg_device *device)
{
    enum { N = 5, M = 37 };
    clg_random random = clg_random_new(support_seed(), 2);
    for (int h = 0; h < 2; h++) {
        const clg_dtype dtype = halves[h];
        clg_graph *g = clg_graph_new(device);
        double *a = random_halves(dtype, N * M, &random), *b = random_halves(dtype, N * M, &random);
        const clg_shape shape = CLG_SHAPE(N, M);
        clg_var x[2][2] = {{support_leaf(g, dtype, shape, a), support_leaf(g, dtype, shape, b)},
                           {support_leaf(g, CLG_F32, shape, a), support_leaf(g, CLG_F32, shape, b)}};
        clg_var y[2][24];
        int count = 0;
        for (int k = 0; k < 2; k++) {
            const clg_var p = x[k][0], q = x[k][1];
            const clg_var made[] = {
                clg_add(p, q),
                clg_mul(p, q),
                clg_div(p, q),
                clg_exp(p),
                clg_tanh(p),
                clg_gelu(p),
                clg_maximum(p, q),
                clg_abs(p),
                clg_where(clg_less(p, q), p, q),
                clg_sum(p, CLG_AXES(1), false),
                clg_max(p, CLG_AXES(0), true),
                clg_mean(p, CLG_ALL_AXES, false),
                clg_cumsum(p, 1, 0),
                clg_softmax(p, -1),
                clg_log_softmax(p, 0),
                clg_layer_norm(p, CLG_NONE, CLG_NONE, 1e-5),
                clg_logsumexp(p, CLG_AXES(1), false),
                clg_std(p, CLG_AXES(1), 1, false),
                clg_sort(p, 1, true),
                clg_matmul(p, clg_transpose(q)),
                clg_pad(p, CLG_SHAPE(1, 2), CLG_SHAPE(0, 1), CLG_PAD_CONSTANT, -1.5),
                clg_scatter_add(clg_array(g, CLG_I32, CLG_SHAPE(N), (int32_t[N]){0, 1, 0, 2, 1}), p, 3)};
            count = COUNT(made);
            memcpy(y[k], made, sizeof made);
        }
        clg_program *program = clg_compile(g, y[0], count), *other = clg_compile(g, y[1], count);
        if (!program || !other || clg_run(program) != CLG_OK || clg_run(other) != CLG_OK)
            fail_msg("%s", clg_last_error());
        for (int i = 0; i < count; i++) {
            assert_int_equal(clg_dtype_of(y[0][i]), dtype);
            double *want = support_values(y[1][i]);
            for (int64_t k = 0; k < clg_shape_count(clg_shape_of(y[1][i])); k++)
                want[k] = support_cast(CLG_F32, dtype, want[k]);
            /* kernels that differ may add in another order: then a number may be rounded to the next one */
            support_expect(y[0][i], want, i == 19 || (i > 8 && i < 18) ? ldexp(1, h ? -8 : -11) * 1.01 : 0,
                           clg_creator(y[1][i]));
            free(want);
        }
        clg_program_free(program);
        clg_program_free(other);
        clg_graph_free(g);
        free(a), free(b);
    }
}

static void test_rounded_once(void **state)
{
    (void)state;
    support_each_device(check_rounded_once);
}

/* The gradient of a half is a half, near that of the same numbers in f32; losses of halves are f32. */
static void check_gradients(clg_device *device)
{
    enum { N = 6, M = 9, K = 4 };
    clg_random random = clg_random_new(support_seed(), 3);
    for (int h = 0; h < 2; h++) {
        clg_graph *g = clg_graph_new(device);
        double *a = random_halves(halves[h], N * M, &random), *b = random_halves(halves[h], M * K, &random);
        double *want[2] = {NULL, NULL};
        const int32_t labels[N] = {0, 3, 1, 2, 0, 1};
        for (int k = 1; k >= 0; k--) {
            const clg_dtype dtype = k ? CLG_F32 : halves[h];
            clg_var x[2] = {support_leaf(g, dtype, CLG_SHAPE(N, M), a), support_leaf(g, dtype, CLG_SHAPE(M, K), b)};
            clg_var gx[2], logits = clg_matmul(clg_relu(x[0]), x[1]);
            clg_var loss = clg_softmax_cross_entropy(logits, clg_array(g, CLG_I32, CLG_SHAPE(N), labels));
            assert_true(clg_dtype_of(logits) == dtype && clg_dtype_of(loss) == CLG_F32);
            assert_int_equal(clg_gradients(loss, x, 2, gx), CLG_OK);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(clg_dtype_of(gx[i]), dtype);
                if (k)
                    want[i] = support_values(gx[i]);
                else
                    support_expect(gx[i], want[i], h ? 0.02 : 0.003, "gradient of halves");
            }
        }
        free(want[0]), free(want[1]), free(a), free(b);
        clg_graph_free(g);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    support_each_device(check_gradients);
}

/* ---------------------------------------------------------------- integers */

static void expect_longs(clg_var y, const int64_t *want, int count, const char *what)
{
    int64_t got[16];
    assert_int_equal(clg_dtype_of(y), CLG_I64);
    if (clg_read(y, got, (size_t)count * sizeof *got) != CLG_OK)
        fail_msg("%s: %s", what, clg_last_error());
    for (int i = 0; i < count; i++)
        if (got[i] != want[i])
            fail_msg("%s: element %d is %lld, not %lld", what, i, (long long)got[i], (long long)want[i]);
}

static void check_i64(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    const int64_t big = INT64_C(9007199254740993); /* 2^53 + 1 */
    clg_var x = clg_array(g, CLG_I64, CLG_SHAPE(6), (int64_t[]){1, -5, big, INT64_MAX, INT64_MIN, 7});
    clg_var one = clg_scalar_like(x, 1), seven = clg_scalar_like(x, 7), three = clg_scalar_like(x, 3);
    expect_longs(clg_add(x, one), (int64_t[]){2, -4, big + 1, INT64_MIN, INT64_MIN + 1, 8}, 6, "add");
    expect_longs(clg_mul(x, three), (int64_t[]){3, -15, 3 * big, INT64_MAX - 2, INT64_MIN, 21}, 6, "multiply");
    expect_longs(clg_abs(x), (int64_t[]){1, 5, big, INT64_MAX, INT64_MIN, 7}, 6, "abs");
    expect_longs(clg_remainder(x, seven), (int64_t[]){1, 2, 5, 0, 6, 0}, 6, "remainder");
    expect_longs(clg_fmod(x, seven), (int64_t[]){1, -5, 5, 0, -1, 0}, 6, "fmod");
    expect_longs(clg_shift_left(x, three), (int64_t[]){8, -40, 8 * big, -8, 0, 56}, 6, "shift_left");
    expect_longs(clg_shift_right(x, three), (int64_t[]){0, -1, big / 8, INT64_MAX / 8, INT64_MIN / 8, 0}, 6, "shift");
    expect_longs(clg_shift_left(x, clg_scalar_like(x, 64)), (int64_t[]){0, 0, 0, 0, 0, 0}, 6, "by 64");
    expect_longs(clg_bit_xor(x, seven), (int64_t[]){6, -4, big ^ 7, INT64_MAX ^ 7, INT64_MIN ^ 7, 0}, 6, "bit_xor");
    expect_longs(clg_sort(x, 0, true), (int64_t[]){INT64_MAX, big, 7, 1, -5, INT64_MIN}, 6, "sort");
    expect_longs(clg_cumsum(x, 0, 0), (int64_t[]){1, -4, big - 4, INT64_MIN + (big - 5), big - 5, big + 2}, 6,
                 "cumsum");
    expect_longs(clg_max(x, CLG_AXES(0), true), &(int64_t){INT64_MAX}, 1, "max");
    expect_longs(clg_min(x, CLG_AXES(0), true), &(int64_t){INT64_MIN}, 1, "min");
    expect_longs(clg_max(clg_slice(x, 0, 0, 0, 1), CLG_AXES(0), true), &(int64_t){INT64_MIN}, 1, "max of none");
    expect_longs(clg_min(clg_slice(x, 0, 0, 0, 1), CLG_AXES(0), true), &(int64_t){INT64_MAX}, 1, "min of none");
    expect_longs(clg_add(clg_full(g, CLG_I64, CLG_SHAPE(1), 0x1p53), one), &(int64_t){big}, 1, "a sum of constants");
    clg_var f = clg_array(g, CLG_F32, CLG_SHAPE(6), (float[]){1.5f, -2.5f, 1e30f, -1e30f, NAN, 1e10f});
    expect_longs(clg_cast(f, CLG_I64), (int64_t[]){1, -2, INT64_MAX, INT64_MIN, 0, 10000000000}, 6, "from f32");
    support_expect(clg_cast(x, CLG_I32), (double[]){1, -5, 1, -1, 0, 7}, 0, "to i32");
    support_expect(clg_cast(x, CLG_U8), (double[]){1, 251, 1, 255, 0, 7}, 0, "to u8");
    support_expect(clg_cast(x, CLG_BOOL), (double[]){1, 1, 1, 1, 1, 1}, 0, "to bool");
    support_expect(clg_equal(x, clg_add(x, clg_scalar_like(x, 0))), (double[]){1, 1, 1, 1, 1, 1}, 0, "equal");
    support_expect(clg_less(x, clg_scalar_like(x, 0x1p53)), (double[]){1, 1, 0, 0, 1, 1}, 0, "less");
    clg_graph_free(g);
}

static void test_i64(void **state)
{
    (void)state;
    support_each_device(check_i64);
}

static void check_sums_and_bool(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var u = clg_array(g, CLG_U8, CLG_SHAPE(4), (uint8_t[]){200, 100, 0, 1}), b = clg_cast(u, CLG_BOOL);
    clg_var c = clg_greater(u, clg_scalar_like(u, 50)),
            n = clg_array(g, CLG_I32, CLG_SHAPE(2), (int32_t[]){1 << 30, 1 << 30});
    support_expect(clg_sum(u, CLG_ALL_AXES, false), &(double){301}, 0, "sum of u8");
    support_expect(clg_sum(n, CLG_ALL_AXES, false), &(double){0x1p31}, 0, "sum of i32");
    support_expect(clg_prod(n, CLG_ALL_AXES, false), &(double){0x1p60}, 0, "prod of i32");
    support_expect(clg_sum(b, CLG_ALL_AXES, false), &(double){3}, 0, "sum of bool");
    support_expect(clg_count_nonzero(u, CLG_ALL_AXES, false), &(double){3}, 0, "count");
    support_expect(b, (double[]){1, 1, 0, 1}, 0, "u8 to bool");
    support_expect(clg_sub(b, b), (double[]){0, 0, 0, 0}, 0, "true - true");
    support_expect(clg_cast(clg_array(g, CLG_F32, CLG_SHAPE(2), (float[]){65520, 65519}), CLG_F16),
                   (double[]){INFINITY, 65504}, 0, "the largest f16");
    support_expect(clg_add(b, c), (double[]){1, 1, 0, 1}, 0, "or");
    support_expect(clg_mul(b, c), (double[]){1, 1, 0, 0}, 0, "and");
    support_expect(clg_sub(b, c), (double[]){0, 0, 0, 1}, 0, "xor");
    support_expect(clg_bit_xor(b, c), (double[]){0, 0, 0, 1}, 0, "xor of bits");
    support_expect(clg_logical_and(b, c), (double[]){1, 1, 0, 0}, 0, "logical_and");
    support_expect(clg_logical_or(clg_logical_not(b), c), (double[]){1, 1, 1, 0}, 0, "logical_or");
    support_expect(clg_mul(b, clg_scalar(g, 1.5)), (double[]){1.5, 1.5, 0, 1.5}, 0, "bool times f32");
    support_expect(clg_sort(b, 0, false), (double[]){0, 1, 1, 1}, 0, "sort of bool");
    support_expect(clg_argmin(b, 0), &(double){2}, 0, "argmin of bool");
    support_expect(clg_max(c, CLG_ALL_AXES, false), &(double){1}, 0, "max of bool");
    support_expect(clg_mean(b, CLG_ALL_AXES, false), &(double){0.75}, 0, "mean of bool");
    support_expect(clg_where(b, c, clg_logical_not(b)), (double[]){1, 1, 1, 0}, 0, "where of bool");
    support_expect(clg_cast(clg_full(g, CLG_F32, CLG_SHAPE(1), NAN), CLG_BOOL), &(double){1}, 0, "NaN");
    support_expect(clg_bit_and(u, clg_scalar_like(u, 12)), (double[]){8, 4, 0, 0}, 0, "bit_and of u8");
    assert_int_equal(clg_dtype_of(clg_bit_and(u, u)), CLG_U8);
    clg_graph_free(g);
}

static void test_sums_and_bool(void **state)
{
    (void)state;
    support_each_device(check_sums_and_bool);
}

/* i64 indices: those that i32 does not have are out of range, and not what their low bits say. */
static void check_indices(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var table = clg_array(g, CLG_BF16, CLG_SHAPE(3), (uint16_t[]){0x3f80, 0x4000, 0x4040});
    clg_var x = clg_array(g, CLG_I64, CLG_SHAPE(5), (int64_t[]){0, -1, INT64_C(1) << 33, 2, -(INT64_C(1) << 40) + 1});
    support_expect(clg_take(table, x, 0), (double[]){1, 3, NAN, 3, NAN}, 0, "take");
    clg_var computed = clg_bit_and(x, clg_scalar_like(x, -1)); /* not an input, which clg_write looks at */
    support_expect(clg_gather(table, computed), (double[]){1, NAN, NAN, 3, NAN}, 0, "gather");
    clg_var ones = clg_full(g, CLG_F32, CLG_SHAPE(5), 1);
    support_expect(clg_scatter_add(computed, ones, 3), (double[]){1, 0, 1}, 0, "scatter_add");
    clg_var leaf = clg_input(g, CLG_I64, CLG_SHAPE(1));
    assert_true(clg_is_valid(clg_gather(table, leaf)));
    assert_int_equal(clg_write(leaf, &(int64_t){INT64_C(1) << 32}, 8), CLG_ERROR_ARGUMENT);
    assert_non_null(strstr(clg_last_error(), "index 4294967296"));
    support_expect_error(clg_gather(table, clg_cast(leaf, CLG_BOOL)),
                         "gather: indices must be i32, i64 or u8, not bool");
    clg_graph_free(g);
}

static void test_indices(void **state)
{
    (void)state;
    support_each_device(check_indices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promotion), cmocka_unit_test(test_conversions), cmocka_unit_test(test_rounded_once),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_i64),         cmocka_unit_test(test_sums_and_bool),
        cmocka_unit_test(test_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
