/* Matrix products of the CPU path: each table of gemm.c that the machine can run, bit for bit against the sequential
 * chain of multiply-adds and in value against f64 loops; then products of programs, whose bits must not depend on the
 * number of threads. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/host/backend/cpu/gemm.h"
#include "../src/host/backend/cpu/isa.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static uint32_t random_u32(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}
static int64_t random_in(int64_t lo, int64_t hi) { return lo + (int64_t)(random_u32() % (uint32_t)(hi - lo + 1)); }
static double random_value(void) { return (double)random_u32() / 4294967296.0 - 0.5; }

/* ---------------------------------------------------------------- tables */

/* An operand in exactly as much memory as it needs, so that sanitizers see a read beyond it. */
typedef struct operand {
    void *data;
    int64_t count, stride[2];
} operand;

static double get(const void *data, clg_dtype dtype, int64_t i)
{
    return dtype == CLG_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static operand new_operand(clg_dtype dtype, int64_t rows, int64_t columns, bool transposed, int64_t extra)
{
    operand x = {.stride = {columns + extra, 1}};
    if (transposed)
        x.stride[0] = 1, x.stride[1] = rows + extra;
    x.count = (rows - 1) * x.stride[0] + (columns - 1) * x.stride[1] + 1;
    x.data = malloc((size_t)(x.count * (dtype == CLG_F32 ? 4 : 8)));
    assert_non_null(x.data);
    for (int64_t i = 0; i < x.count; i++) {
        double value = random_value();
        if (dtype == CLG_F32)
            ((float *)x.data)[i] = (float)value;
        else
            ((double *)x.data)[i] = value;
    }
    return x;
}

typedef struct coverage {
    uint8_t *times;
    int64_t n;
} coverage;

static void count_block(void *context, int64_t row, int64_t m, int64_t column, int64_t n)
{
    coverage *c = context;
    for (int64_t i = row; i < row + m; i++)
        for (int64_t j = column; j < column + n; j++)
            c->times[i * c->n + j]++;
}

/* One element by the chain; *exact by f64, *size the sum of absolute products. */
static double chain(const gemm_product *g, clg_dtype dtype, bool fused, int64_t i, int64_t j, double *exact,
                    double *size)
{
    float f = 0;
    double d = 0;
    *exact = *size = 0;
    for (int64_t p = 0; p < g->k; p++) {
        double a = get(g->a, dtype, i * g->a_stride[0] + p * g->a_stride[1]);
        double b = get(g->b, dtype, p * g->b_stride[0] + j * g->b_stride[1]);
        if (dtype == CLG_F32)
            f = fused ? fmaf((float)a, (float)b, f) : (float)a * (float)b + f;
        else
            d = fused ? fma(a, b, d) : a * b + d;
        *exact += a * b;
        *size += fabs(a * b);
    }
    return dtype == CLG_F32 ? (double)f : d;
}

static void check_product(const gemm_product *g, clg_dtype dtype, bool fused, const uint8_t *times)
{
    double unit = dtype == CLG_F32 ? 6e-8 : 1.2e-16;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->ldc; j++) {
            double got = get(g->c, dtype, i * g->ldc + j), exact, size;
            if (j >= g->n) {
                assert_true(got == 77); /* beyond the row: not ours */
                continue;
            }
            double want = chain(g, dtype, fused, i, j, &exact, &size);
            if (!(got == want && signbit(got) == signbit(want)))
                fail_msg("%s, m %d, n %d, k %d: element (%d, %d) is %.9g, the chain gives %.9g",
                         dtype == CLG_F32 ? "f32" : "f64", (int)g->m, (int)g->n, (int)g->k, (int)i, (int)j, got, want);
            assert_true(fabs(got - exact) <= unit * (double)(g->k + 1) * size);
            assert_int_equal(times[i * g->n + j], 1);
        }
}

static void try_product(const gemm_table *table, clg_dtype dtype, int64_t m, int64_t n, int64_t k, int layout,
                        int64_t extra)
{
    operand a = new_operand(dtype, m, k, layout & 1, extra), b = new_operand(dtype, k, n, layout & 2, 2 * extra);
    operand c = new_operand(dtype, m, n, false, extra);
    int64_t bytes = gemm_scratch_bytes(table, dtype, m, n);
    coverage seen = {calloc((size_t)(m * n), 1), n};
    void *scratch = NULL;
    assert_int_equal(posix_memalign(&scratch, 64, (size_t)bytes), 0);
    memset(scratch, 0xff, (size_t)bytes); /* NaN */
    for (int64_t i = 0; i < c.count; i++)
        if (dtype == CLG_F32)
            ((float *)c.data)[i] = 77;
        else
            ((double *)c.data)[i] = 77;
    gemm_product g = {m,
                      n,
                      k,
                      a.data,
                      b.data,
                      {a.stride[0], a.stride[1]},
                      {b.stride[0], b.stride[1]},
                      c.data,
                      n + extra,
                      scratch,
                      count_block,
                      &seen,
                      NULL,
                      NULL,
                      NULL,
                      false};
    table->run[dtype](&g);
    if (m > 1 || extra == 0) {
        g.m = m - (extra > 0); /* the last row ends with its memory */
        check_product(&g, dtype, table->fused, seen.times);
    }
    free(a.data);
    free(b.data);
    free(c.data);
    free(scratch);
    free(seen.times);
}

static void test_small(void **state)
{
    (void)state;
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    for (size_t t = 0; t < count; t++)
        for (int round = 0; round < support_rounds(1500); round++)
            try_product(list[t]->gemm, round % 2 ? CLG_F64 : CLG_F32, random_in(1, 40), random_in(1, 40),
                        random_in(1, 40), round / 2 % 4, round % 3 == 0 ? random_in(1, 9) : 0);
}

static void test_large(void **state)
{
    (void)state;
    static const int shapes[][3] = {{1, 300, 401},  {2, 77, 800},   {15, 515, 385}, {230, 33, 391}, {300, 9, 400},
                                    {97, 1031, 31}, {460, 70, 193}, {64, 64, 1024}, {450, 1, 500},  {29, 1, 33}};
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < support_rounds(sizeof shapes / sizeof shapes[0]); i++)
            for (int layout = 0; layout < 4; layout++)
                for (int dtype = CLG_F32; dtype <= CLG_F64; dtype++)
                    try_product(list[t]->gemm, (clg_dtype)dtype, shapes[i][0], shapes[i][1], shapes[i][2], layout,
                                layout % 2 ? 3 : 0);
}

/* Strides of an extent of 1 may be anything. */
static void test_lone_strides(void **state)
{
    (void)state;
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    static const float a[3] = {1, 2, 3}, b[1] = {5};
    float *scratch, c[3];
    for (size_t t = 0; t < count; t++) {
        assert_int_equal(
            posix_memalign((void **)&scratch, 64, (size_t)gemm_scratch_bytes(list[t]->gemm, CLG_F32, 3, 1)), 0);
        gemm_product g = {3, 1, 1, a, b, {1, 50}, {0, 7}, c, 1, scratch, NULL, NULL, NULL, NULL, NULL, false};
        list[t]->gemm->run[CLG_F32](&g);
        assert_true(c[0] == 5 && c[1] == 10 && c[2] == 15);
        gemm_product row = {1, 1, 3, a, a, {9, 1}, {1, 99}, c, 1, scratch, NULL, NULL, NULL, NULL, NULL, false};
        list[t]->gemm->run[CLG_F32](&row);
        assert_true(c[0] == 14);
        free(scratch);
    }
}

/* The sign of zero and what is not finite follow the chain too; nothing leaks in from padding. */
static void test_special_values(void **state)
{
    (void)state;
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    float a[4] = {-0.0f, 1, -1, INFINITY}, b[2] = {0.0f, -0.0f}, c[8], *scratch;
    for (size_t t = 0; t < count; t++) {
        assert_int_equal(
            posix_memalign((void **)&scratch, 64, (size_t)gemm_scratch_bytes(list[t]->gemm, CLG_F32, 4, 2)), 0);
        gemm_product g = {4, 2, 1, a, b, {1, 1}, {2, 1}, c, 2, scratch, NULL, NULL, NULL, NULL, NULL, false};
        list[t]->gemm->run[CLG_F32](&g);
        for (int i = 0; i < 6; i++)
            assert_true(c[i] == 0 && !signbit(c[i]));
        assert_true(isnan(c[6]) && isnan(c[7]));
        free(scratch);
    }
}

/* ---------------------------------------------------------------- programs */

typedef struct layer {
    int64_t batch, m, n, k;
    bool a_transposed, b_transposed, a_shared, b_shared, body;
} layer;

static clg_var leaf(clg_graph *g, int64_t batch, int64_t rows, int64_t columns, bool transposed, uint64_t seed)
{
    random_state = seed;
    int64_t count = batch * rows * columns;
    float *data = malloc((size_t)(count ? count : 1) * sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)random_value();
    clg_shape shape = transposed ? CLG_SHAPE(batch, columns, rows) : CLG_SHAPE(batch, rows, columns);
    clg_var x = clg_array(g, CLG_F32, shape, data);
    free(data);
    return transposed ? clg_transpose(x) : x;
}

/* The layer's result, batch x m x n, computed with a provider and a number of threads. */
static float *run_layer(const layer *l, const char *provider, int threads)
{
    char number[16];
    snprintf(number, sizeof number, "%d", threads);
    assert_int_equal(setenv("CLGRAD_THREADS", number, 1), 0);
    assert_int_equal(setenv("CLGRAD_CPU_MATMUL", provider, 1), 0);
    clg_device *device;
    assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
    clg_graph *g = clg_graph_new(device);
    clg_var a = leaf(g, l->a_shared ? 1 : l->batch, l->m, l->k, l->a_transposed, 11);
    clg_var b = leaf(g, l->b_shared ? 1 : l->batch, l->k, l->n, l->b_transposed, 12);
    clg_var y = clg_matmul(a, b);
    if (l->body) { /* one result in place of the product, one beside it */
        clg_var bias = leaf(g, 1, 1, l->n, false, 13);
        y = clg_mul(clg_relu(clg_add(y, bias)), y);
    }
    size_t bytes = (size_t)(l->batch * l->m * l->n) * sizeof(float);
    float *result = malloc(bytes + 1);
    assert_non_null(result);
    assert_int_equal(clg_read(y, result, bytes), CLG_OK);
    clg_graph_free(g);
    clg_device_close(device);
    return result;
}

static const layer layers[] = {
    {1, 128, 512, 784, false, false, false, false, true}, {1, 128, 784, 512, false, true, false, false, false},
    {1, 784, 512, 128, true, false, false, false, true},  {1, 512, 10, 128, true, false, false, false, true},
    {3, 37, 130, 411, false, false, true, false, true},   {4, 61, 43, 75, true, true, false, true, true},
    {7, 5, 3, 0, false, false, false, false, true},       {1, 1, 3000, 100, false, true, false, false, true},
    {1, 3000, 1, 100, false, false, false, false, true},  {64, 12, 12, 12, false, true, false, false, true},
};

static void test_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const layer *l = &layers[i];
        size_t count = (size_t)(l->batch * l->m * l->n);
        float *one = run_layer(l, "native", 1);
        static const int threads[] = {7, 4, 3, 2};
        for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
            float *many = run_layer(l, "native", threads[t]);
            assert_memory_equal(one, many, count * sizeof *one);
            free(many);
        }
        free(one);
    }
}

static void test_providers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const layer *l = &layers[i];
        float *native = run_layer(l, "native", 2), *blas = run_layer(l, "blas", 2);
        for (int64_t e = 0; e < l->batch * l->m * l->n; e++)
            assert_true(fabsf(native[e] - blas[e]) <= 1e-4f * (1 + fabsf(blas[e])));
        free(native);
        free(blas);
    }
}

/* Whether the chain of the machine's table is what a program gives. */
static void test_program_bits(void **state)
{
    (void)state;
    const cpu_isa *isa;
    assert_int_equal(cpu_isa_choose(&isa), CLG_OK);
    layer l = {1, 33, 70, 900, false, false, false, false, false};
    float *got = run_layer(&l, "native", 2);
    float *a = malloc(33 * 900 * sizeof *a), *b = malloc(900 * 70 * sizeof *b);
    assert_true(a && b);
    random_state = 11;
    for (int i = 0; i < 33 * 900; i++)
        a[i] = (float)random_value();
    random_state = 12;
    for (int i = 0; i < 900 * 70; i++)
        b[i] = (float)random_value();
    gemm_product g = {33, 70, 900, a, b, {900, 1}, {70, 1}, got, 70, NULL, NULL, NULL, NULL, NULL, NULL, false};
    for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = 0; j < g.n; j++) {
            double exact, size;
            assert_true((double)got[i * 70 + j] == chain(&g, CLG_F32, isa->gemm->fused, i, j, &exact, &size));
        }
    free(a);
    free(b);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),          cmocka_unit_test(test_large),   cmocka_unit_test(test_lone_strides),
        cmocka_unit_test(test_special_values), cmocka_unit_test(test_threads), cmocka_unit_test(test_providers),
        cmocka_unit_test(test_program_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
