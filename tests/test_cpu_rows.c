/* How the CPU path evaluates rows: operations with one value for all lanes as operand, in each table that the machine
 * can run, and steps whose sections share what they compute, against plain loops. */
#define _POSIX_C_SOURCE 200809L
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <clgrad/clgrad.h>

#include "../src/host/backend/cpu/cpu.h"
#include "support_dtype.h"
#include "../src/host/backend/cpu/isa.h"

static uint64_t random_state = 0x2545f4914f6cdd1du;
static uint32_t random_u32(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}
static double random_value(void) { return 6.0 * (double)random_u32() / 4294967296.0 - 3.0; }

/* ---------------------------------------------------------------- forms of operations */

enum { MOST = CPU_CHUNK + 16 };
typedef union lanes {
    double aligned[MOST];
    char bytes[MOST * sizeof(double)];
} lanes;

static void put(lanes *x, clg_dtype dtype, int i, double value)
{
    const double whole = dtype == CLG_U8 ? fabs(value) : value;
    support_encode(dtype, whole, x->bytes + (size_t)i * clg_dtype_size(dtype));
}

static lanes random_lanes(clg_dtype dtype)
{
    lanes x;
    memset(&x, 0xa5, sizeof x);
    for (int i = 0; i < MOST; i++)
        put(&x, dtype, i, random_u32() % 16 == 0 ? 0 : random_value());
    return x;
}

static lanes spread(const lanes *x, size_t size)
{
    lanes y;
    for (int i = 0; i < MOST; i++)
        memcpy((char *)&y + i * (int)size, x, size);
    return y;
}

/* One form against the form that has lanes only, for n lanes, with guard bytes behind them. */
static void check_form(cpu_fn plain, cpu_fn form, uint32_t mask, int arity, const clg_dtype *in, size_t out, int64_t n)
{
    lanes operand[3], filled[3], want, got;
    memset(&want, 0x5a, sizeof want);
    memset(&got, 0x5a, sizeof got);
    void *slots[4] = {&want}, *mixed[4] = {&got};
    for (int k = 0; k < arity; k++) {
        operand[k] = random_lanes(in[k]);
        filled[k] = mask >> k & 1 ? spread(&operand[k], clg_dtype_size(in[k])) : operand[k];
        slots[k + 1] = &filled[k];
        mixed[k + 1] = &operand[k];
    }
    cpu_runner r = {.slot = slots}, s = {.slot = mixed};
    const cpu_entry e = {plain, 0, 1, 2, 3, -1};
    bool one = mask == (1u << arity) - 1;
    plain(&r, &e, one ? 1 : n);
    form(&s, &e, n);
    if (memcmp(&want, &got, sizeof got) != 0)
        fail_msg("form %u differs from lanes (result of %zu bytes, %d lanes)", (unsigned)mask, out, (int)n);
}

static void test_forms(void **state)
{
    static const int64_t sizes[] = {1, 3, 16, 65, 130, CPU_CHUNK};
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list), checked = 0;
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int op = 0; op < OP_COUNT; op++)
            for (int d = 0; d < CLG_DTYPE_COUNT; d++)
                for (uint32_t mask = 1; mask < CPU_FORMS; mask++) {
                    const cpu_fn *forms = list[t]->vectors->map[op][d];
                    if (!forms[mask])
                        continue;
                    assert_non_null(forms[0]);
                    clg_dtype in[3] = {clg_ops[op].types == TYPES_SELECT ? CLG_BOOL : (clg_dtype)d, (clg_dtype)d,
                                       (clg_dtype)d};
                    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
                        check_form(forms[0], forms[mask], mask, clg_ops[op].arity, in,
                                   clg_ops[op].types == TYPES_COMPARE ? 1 : clg_dtype_size((clg_dtype)d), sizes[k]);
                    checked++;
                }
    assert_true(checked > 100 * count);
}

static void test_cast_forms(void **state)
{
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int from = 0; from < CLG_DTYPE_COUNT; from++)
            for (int to = 0; to < CLG_DTYPE_COUNT; to++) {
                clg_dtype in = (clg_dtype)from;
                if (!list[t]->vectors->cast[from][to][0])
                    continue;
                check_form(list[t]->vectors->cast[from][to][0], list[t]->vectors->cast[from][to][1], 1, 1, &in,
                           clg_dtype_size((clg_dtype)to), 17);
            }
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

static double most_of(const float *x, int64_t n)
{
    double most = -INFINITY;
    for (int64_t i = 0; i < n; i++) /* not fmax: gcc 12.2 for aarch64 crashes on it as a reduction */
        most = (double)x[i] > most ? (double)x[i] : most;
    return most;
}

/* A row's sum and largest value do not depend on how it is cut into blocks of whole pieces. */
static void test_row_pieces(void **state)
{
    enum { N = 5 * CPU_PIECE + 77 };
    float *x = malloc(N * sizeof *x);
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    (void)state;
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = (float)random_value();
    for (size_t t = 0; t < count; t++)
        for (int op = OP_SUM; op <= OP_MAX; op += OP_MAX - OP_SUM) {
            const cpu_reducer *reducer = &list[t]->vectors->reduce[op][CLG_F32];
            float results[3];
            for (int k = 0; k < 3; k++) {
                int64_t block = k == 0 ? N : k * CPU_PIECE;
                double total;
                void *slots[] = {&results[k], &total, x};
                cpu_runner r = {.slot = slots};
                const cpu_entry e = {NULL, 0, 1, 2, -1, -1};
                reducer->row_init(&r, &e, 1);
                for (int64_t i = 0; i < N; i += block) {
                    slots[2] = x + i;
                    reducer->row_add(&r, &e, N - i < block ? N - i : block);
                }
                reducer->row_finish(&r, &e, 1);
            }
            assert_memory_equal(&results[0], &results[1], sizeof(float));
            assert_memory_equal(&results[0], &results[2], sizeof(float));
            double want = op == OP_SUM ? sum_of(x, N) : most_of(x, N);
            assert_true(fabs((double)results[0] - want) <= (op == OP_SUM ? 1e-3 : 0));
        }
    free(x);
}

/* ---------------------------------------------------------------- rows whose sections share values */

/* One row of softmax(x) * x + centred x, in f64. */
static void reference_row(const float *x, int64_t n, double *y)
{
    double most = -INFINITY, total = 0, mean = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, (double)x[i]);
        mean += (double)x[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        total += exp((double)x[i] - most);
    for (int64_t i = 0; i < n; i++)
        y[i] = exp((double)x[i] - most) / total * (double)x[i] + ((double)x[i] - mean);
}

/* The same as a graph. in_place: the result becomes the operand's new value, so that the step stores where it loads,
 * and a second run starts from it. */
static void check_rows(clg_device *device, int64_t rows, int64_t n, bool in_place)
{
    clg_graph *g = clg_graph_new(device);
    size_t count = (size_t)(rows * n);
    float *x = malloc(count * sizeof *x), *got = malloc(count * sizeof *got);
    double *want = malloc((size_t)n * sizeof *want);
    assert_true(g && x && got && want);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_value();
    clg_var a = clg_array(g, CLG_F32, CLG_SHAPE(rows, n), x);
    clg_var e = clg_exp(clg_sub(a, clg_max(a, CLG_AXES(1), true)));
    clg_var y = clg_mul(clg_div(e, clg_sum(e, CLG_AXES(1), true)), a);
    y = clg_add(y, clg_sub(a, clg_mean(a, CLG_AXES(1), true)));
    clg_var out = in_place ? clg_assign(a, y) : y;
    clg_program *p = clg_compile(g, &out, 1);
    assert_non_null(p);
    for (int run = 0; run < 2; run++) {
        assert_int_equal(clg_run(p), CLG_OK);
        assert_int_equal(clg_read(in_place ? a : y, got, count * sizeof *got), CLG_OK);
        for (int64_t r = 0; r < rows; r++) {
            reference_row(x + r * n, n, want);
            for (int64_t i = 0; i < n; i++)
                if (!(fabs((double)got[r * n + i] - want[i]) <= 1e-5 * (1 + fabs(want[i]))))
                    fail_msg("row %d of %d, run %d: %.9g instead of %.9g", (int)r, (int)n, run, (double)got[r * n + i],
                             want[i]);
        }
        if (in_place)
            memcpy(x, got, count * sizeof *x);
    }
    clg_program_free(p);
    clg_graph_free(g);
    free(x);
    free(got);
    free(want);
}

static void test_rows(void **state)
{
    /* one block, several pieces, more scratch than a row may have, more memory than the caches */
    static const int64_t sizes[][2] = {{3, 1}, {40, 7}, {5, 1023}, {5, 1024}, {9, 2600}, {2, 40000}, {600, 700}};
    clg_device *device;
    (void)state;
    assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int in_place = 0; in_place < 2; in_place++)
            check_rows(device, sizes[i][0], sizes[i][1], in_place);
    clg_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_cast_forms),
        cmocka_unit_test(test_row_pieces),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
