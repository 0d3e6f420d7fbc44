/* Matrix products, einsum and convolutions against plain loops: random cases with their first and second gradients;
 * literal examples; how many steps programs of them have; infinities, NaN and errors. */
#define _POSIX_C_SOURCE 200809L
#include "support_conv.h"
#include "support_einsum.h"
#include "support_gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPENCL_ROUNDS = 4 }; /* there each round is kernels to be built */

static clg_device *device; /* of the group that runs now */

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

static bool on_cpu_path(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }

static int rounds(int usual) { return support_rounds(on_cpu_path() ? usual : OPENCL_ROUNDS); }

/* Both one dtype, or one of each. */
static form_options random_options(const form *f, const char *what, clg_random *random)
{
    form_options o = {.whole = below(random, 3) == 0, .what = what};
    clg_dtype usual = below(random, 2) ? CLG_F32 : CLG_F64;
    for (int k = 1; k < f->arrays; k++)
        o.dtype[k] = below(random, 12) ? usual : CLG_F32;
    for (int k = 1; k < f->arrays && !clg_device_get_info(device)->has_f64; k++)
        o.dtype[k] = CLG_F32;
    return o;
}

/* ---------------------------------------------------------------- random cases */

static void check_convs(bool transposed, int usual, uint64_t stream, double special)
{
    for (int round = 0, last = rounds(usual); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), stream + (uint64_t)round);
        conv_case c;
        conv_random(&c, transposed, &random);
        form f = conv_form(&c);
        form_options o = random_options(&f, conv_text(&c, round), &random);
        o.special = special;
        form_check(&f, device, conv_build, &c, &o, &random);
        form_free(&f);
    }
}

static void test_conv(void **state)
{
    (void)state;
    check_convs(false, 400, 100, 0);
}

static void test_conv_transpose(void **state)
{
    (void)state;
    check_convs(true, 250, 10000, 0);
}

/* What is not finite stays where its terms are: padding adds nothing, and not 0 times infinity. */
static void test_special_values(void **state)
{
    (void)state;
    check_convs(false, 60, 20000, INFINITY);
    check_convs(false, 60, 21000, (double)NAN);
    check_convs(true, 40, 22000, -INFINITY);
    check_convs(true, 40, 23000, (double)NAN);
}

static void test_einsum(void **state)
{
    (void)state;
    for (int round = 0, last = rounds(500); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 30000 + (uint64_t)round);
        einsum_case c;
        einsum_random(&c, round, &random);
        form_options o = random_options(&c.form, c.text, &random);
        form_check(&c.form, device, einsum_build, &c, &o, &random);
        form_free(&c.form);
    }
}

/* ---------------------------------------------------------------- matmul */

static clg_var build_matmul(const clg_var *operands, const void *data)
{
    (void)data;
    return clg_matmul(operands[0], operands[1]);
}

/* Batch axes of extent 1 or of e, the last ones of two; then the matrix's. */
static clg_shape matrix_shape(int rank, const int64_t *e, int64_t rows, int64_t columns, bool left, clg_random *random)
{
    clg_shape shape = {.rank = rank};
    for (int k = 0; k < rank - 2; k++)
        shape.dim[k] = below(random, 3) ? e[2 - (rank - 2) + k] : 1;
    if (rank > 1)
        shape.dim[rank - 2] = rows;
    shape.dim[rank - 1] = rank > 1 || left ? columns : rows;
    return shape;
}

/* The element of an operand at a batch position of the last two axes. */
static int64_t matrix_element(clg_shape shape, const int64_t *batch, int64_t row, int64_t column, bool vector)
{
    int64_t i = 0;
    int leading = shape.rank - 2 > 0 ? shape.rank - 2 : 0;
    for (int k = 0; k < leading; k++)
        i = i * shape.dim[k] + (shape.dim[k] == 1 ? 0 : batch[2 - leading + k]);
    if (vector)
        return row + column; /* one of them is 0 */
    return (i * shape.dim[shape.rank - 2] + row) * shape.dim[shape.rank - 1] + column;
}

static form matmul_form(int left, int right, clg_random *random)
{
    const int64_t e[2] = {1 + below(random, 3), 1 + below(random, 3)};
    int64_t m = left > 1 ? 1 + below(random, 9) : 1, n = right > 1 ? 1 + below(random, 9) : 1;
    int64_t depth = below(random, 12) ? 1 + below(random, 9) : 0, b[2], both[2] = {1, 1};
    form f = {.arrays = 3};
    f.shape[1] = matrix_shape(left, e, m, depth, true, random);
    f.shape[2] = matrix_shape(right, e, depth, n, false, random);
    clg_shape *y = &f.shape[0];
    for (int o = 1; o < 3; o++)
        for (int k = 0; k < f.shape[o].rank - 2; k++)
            if (f.shape[o].dim[k] != 1)
                both[2 - (f.shape[o].rank - 2) + k] = f.shape[o].dim[k];
    int leading = (left > right ? left : right) - 2;
    for (int k = 2 - leading; k < 2; k++)
        y->dim[y->rank++] = both[k];
    if (leading < 0)
        y->rank = 0;
    if (left > 1)
        y->dim[y->rank++] = m;
    if (right > 1)
        y->dim[y->rank++] = n;
    int64_t result = 0;
    for (b[0] = 0; b[0] < both[0]; b[0]++)
        for (b[1] = 0; b[1] < both[1]; b[1]++)
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++, result++)
                    for (int64_t k = 0; k < depth; k++)
                        form_add(&f, (int64_t[]){result, matrix_element(f.shape[1], b, i, k, left == 1),
                                                 matrix_element(f.shape[2], b, k, j, right == 1)});
    return f;
}

static void test_matmul(void **state)
{
    (void)state;
    for (int round = 0, last = on_cpu_path() ? 16 * support_rounds(8) : support_rounds(6); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 40000 + (uint64_t)round);
        int pair = on_cpu_path() ? round % 16 : (int)below(&random, 16);
        form f = matmul_form(1 + pair / 4, 1 + pair % 4, &random);
        char text[100], shape[2][40];
        snprintf(text, sizeof text, "round %d: matmul %s x %s", round,
                 clg_shape_format(f.shape[1], shape[0], sizeof shape[0]),
                 clg_shape_format(f.shape[2], shape[1], sizeof shape[1]));
        form_options o = random_options(&f, text, &random);
        form_check(&f, device, build_matmul, NULL, &o, &random);
        form_free(&f);
    }
}

/* ---------------------------------------------------------------- not linear */

/* Of the gradient of sum(y y) with respect to x, times s: y y is not linear, so both parts of a product's rule count. */
static void test_squares(void **state)
{
    (void)state;
    if (!clg_device_get_info(device)->has_f64)
        skip();
    for (int round = 0, last = rounds(60) / (on_cpu_path() ? 1 : 2); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 50000 + (uint64_t)round);
        static const clg_dtype dtypes[FORM_ARRAYS] = {0, CLG_F64, CLG_F64};
        conv_case c;
        double *values[FORM_ARRAYS], *s[FORM_ARRAYS], *got[3];
        conv_random(&c, round % 2, &random);
        form f = conv_form(&c);
        form_values(&f, dtypes, true, &random, values);
        form_values(&f, dtypes, true, &random, s);
        clg_graph *g = clg_graph_new(device);
        clg_var leaf[2] = {support_leaf(g, CLG_F64, f.shape[1], values[1]),
                           support_leaf(g, CLG_F64, f.shape[2], values[2])},
                by = support_leaf(g, CLG_F64, f.shape[1], s[1]), gx, again[2];
        clg_gradients(clg_square(conv_build(leaf, &c)), leaf, 1, &gx);
        clg_gradients(clg_mul(gx, by), leaf, 2, again);
        /* L = sum(y y), y linear in x and in w: dL/dx = 2 adjoint(y), and so on */
        free(values[0]);
        free(s[0]);
        values[0] = form_sum(&f, 0, values);
        s[0] = form_sum(&f, 0, (double *[]){NULL, s[1], values[2]});
        double *want[3] = {form_sum(&f, 1, values), form_sum(&f, 1, (double *[]){s[0], NULL, values[2]}),
                           form_sum(&f, 2, (double *[]){values[0], s[1], NULL})};
        double *second = form_sum(&f, 2, (double *[]){s[0], values[1], NULL});
        for (int64_t i = 0; i < clg_shape_count(f.shape[2]); i++)
            want[2][i] += second[i];
        const clg_var results[] = {gx, again[0], again[1]};
        for (int k = 0; k < 3; k++) {
            got[k] = support_values(results[k]);
            for (int64_t i = 0; i < clg_shape_count(f.shape[k < 2 ? 1 : 2]); i++)
                if (!(got[k][i] == 2 * want[k][i])) /* whole numbers */
                    fail_msg("%s: squares, result %d, element %lld: %.9g, not %.9g", conv_text(&c, round), k,
                             (long long)i, got[k][i], 2 * want[k][i]);
            free(got[k]);
            free(want[k]);
            free(values[k]);
            free(s[k]);
        }
        free(second);
        clg_graph_free(g);
        form_free(&f);
    }
}

static void test_central_differences(void **state)
{
    (void)state;
    if (!on_cpu_path()) /* each case is many kernels to be built */
        skip();
    for (int round = 0, last = support_rounds(40); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 60000 + (uint64_t)round);
        static const clg_dtype dtypes[FORM_ARRAYS] = {0, CLG_F64, CLG_F64, CLG_F64, CLG_F64};
        conv_case c;
        einsum_case e;
        double *values[FORM_ARRAYS];
        clg_var leaf[FORM_ARRAYS];
        clg_graph *g = clg_graph_new(device);
        bool conv = round % 4 == 0;
        if (conv)
            conv_random(&c, round % 8 == 0, &random);
        else
            einsum_random(&e, round, &random);
        form f = conv ? conv_form(&c) : e.form;
        form_values(&f, dtypes, false, &random, values);
        for (int k = 1; k < f.arrays; k++)
            leaf[k - 1] = support_leaf(g, CLG_F64, f.shape[k], values[k]);
        clg_var y = conv ? conv_build(leaf, &c) : einsum_build(leaf, &e);
        support_expect_gradients(y, leaf, f.arrays - 1, &random, conv ? conv_text(&c, round) : e.text);
        for (int k = 0; k < f.arrays; k++)
            free(values[k]);
        form_free(&f);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- examples */

static clg_var numbers(clg_graph *g, clg_shape shape, const float *values)
{
    return clg_array(g, CLG_F32, shape, values);
}

static clg_var counting(clg_graph *g, clg_shape shape)
{
    return clg_reshape(clg_add(clg_arange(g, CLG_F32, clg_shape_count(shape)), clg_full(g, CLG_F32, CLG_SCALAR, 1)),
                       shape);
}

static void expect_values(clg_var x, clg_shape shape, const double *want, int line)
{
    if (!clg_is_valid(x) || !clg_shape_equal(clg_shape_of(x), shape))
        fail_msg("line %d: %s, rank %d", line, clg_last_error(), clg_shape_of(x).rank);
    double *got = support_values(x);
    for (int64_t i = 0; i < clg_shape_count(shape); i++)
        if (!support_close(got[i], want[i], 0))
            fail_msg("line %d: element %lld is %.9g, not %.9g", line, (long long)i, got[i], want[i]);
    free(got);
}

#define EXPECT(x, shape, ...) expect_values(x, shape, (const double[]){__VA_ARGS__}, __LINE__)
#define EINSUM(equation, ...)                                                                                          \
    clg_einsum(equation, (clg_var[]){__VA_ARGS__}, (int)(sizeof((clg_var[]){__VA_ARGS__}) / sizeof(clg_var)))

static void test_einsum_examples(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var a = counting(g, CLG_SHAPE(2, 2)), v = counting(g, CLG_SHAPE(2)), w = counting(g, CLG_SHAPE(3)),
            m = numbers(g, CLG_SHAPE(2, 2), (const float[]){5, 6, 7, 8}), gm,
            row = counting(g, CLG_SHAPE(1, 3));
    EXPECT(EINSUM("ij,jk->ik", a, m), CLG_SHAPE(2, 2), 19, 22, 43, 50);
    EXPECT(EINSUM("ij,jk", a, m), CLG_SHAPE(2, 2), 19, 22, 43, 50);
    EXPECT(EINSUM("ii->i", m), CLG_SHAPE(2), 5, 8);
    EXPECT(EINSUM("ii", m), CLG_SCALAR, 13);
    EXPECT(EINSUM("ij->", m), CLG_SCALAR, 26);
    EXPECT(EINSUM("ij->j", m), CLG_SHAPE(2), 12, 14);
    EXPECT(EINSUM("ba", m), CLG_SHAPE(2, 2), 5, 7, 6, 8);
    EXPECT(EINSUM("aB", m), CLG_SHAPE(2, 2), 5, 7, 6, 8); /* B comes before a */
    EXPECT(EINSUM("i,j->ij", v, w), CLG_SHAPE(2, 3), 1, 2, 3, 2, 4, 6);
    EXPECT(EINSUM(" i , j -> j i ", v, w), CLG_SHAPE(3, 2), 1, 2, 2, 4, 3, 6);
    EXPECT(EINSUM("i,i", v, v), CLG_SCALAR, 5);
    EXPECT(EINSUM("i,ij,j->", v, m, v), CLG_SCALAR, 5 + 2 * 6 + 2 * 7 + 4 * 8);
    EXPECT(EINSUM("ij,ij->i", row, counting(g, CLG_SHAPE(2, 3))), CLG_SHAPE(2), 14, 32);
    EXPECT(EINSUM("ij,j->ij", row, v), CLG_SHAPE(1, 3), 0); /* 3 and 2 differ: see below */
    (void)gm;
    clg_graph_free(g);
}
