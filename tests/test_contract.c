/* Matrix products, einsum and convolutions against plain loops: random cases with their first and second gradients;
 * literal examples; layers as programs; infinities, NaN and errors. */
#include "support_conv.h"
#include "support_einsum.h"
#include "support_gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPENCL_ROUNDS = 4 };

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
    for (int round = 0, last = rounds(usual) / (special == 0 || on_cpu_path() ? 1 : 2); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), stream + (uint64_t)round);
        conv_case c;
        conv_random(&c, transposed, &random);
        form f = conv_form(&c);
        form_options o = random_options(&f, conv_text(&c, round), &random);
        o.special = special;
        o.marked = 1;
        o.result_only = special != 0 && transposed; /* that of w is of zeros outside a window and of x */
        form_check(&f, device, conv_build, &c, &o, &random);
        form_free(&f);
    }
}

/* Those that have been wrong. */
static void test_known_convs(void **state)
{
    (void)state;
    static const struct {
        const char *layout;
        int64_t channels[4]; /* batch, groups, outputs and inputs of a group */
        conv_axis axes[CONV_SPATIAL];
    } known[] = {
        {"NWC,OWI->NWC", {1, 1, 4, 4}, {{4, 2, 2, 1, 0, 0}}}, /* gradient of w: a matrix whose rows were reordered */
        {"NWC,OIW->NWC", {1, 1, 16, 16}, {{5, 2, 3, 1, 0, 0}}},
        {"NHWC,HWIO->NHWC", {1, 1, 3, 16}, {{5, 3, 1, 1, 1, 1}, {9, 3, 1, 1, 1, 1}}}, /* threads began within a row */
        {"NHWC,HWIO->NHWC", {1, 1, 4, 16}, {{5, 3, 1, 1, 1, 1}, {15, 3, 1, 1, 1, 1}}},
        {"NCG,OIG->NCG", {2, 2, 2, 2}, {{2, 2, 1, 1, 0, 0}}}, /* G is a letter like any other */
        {"NGC,GIO->NGC", {1, 1, 2, 2}, {{2, 2, 1, 1, 0, 0}}},
        {"NCHW,OIHW->NCHW",
         {4, 1, 4, 4},
         {{31, 3, 1, 1, 1, 1}, {29, 3, 1, 1, 1, 1}}}, /* gradient of w: summed in pieces */
        {"NCHW,OIHW->NCHW",
         {1, 1, 5, 3},
         {{53, 3, 1, 1, 1, 1}, {47, 2, 1, 1, 0, 1}}}, /* ... that are not all as long */
        {"NHWC,HWIO->NHWC", {1, 1, 4, 6}, {{107, 3, 2, 1, 1, 1}, {97, 3, 2, 1, 1, 1}}},
        {"NCDHW,OIDHW->NCDHW", {1, 2, 1, 1}, {{4, 2, 2, 2, 0, 0}, {3, 1, 2, 1, 0, 0}, {3, 1, 2, 1, 0, 0}}}, /* 9 axes */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        clg_random random = clg_random_new(support_seed(), i);
        conv_case c;
        conv_given(&c, false, known[i].layout, known[i].channels, known[i].axes);
        form f = conv_form(&c);
        form_options o = {.whole = true, .what = conv_text(&c, (int)i)};
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

/* What is not finite in x stays where its terms are: padding adds nothing, and no 0 is multiplied by it. */
static void test_special_values(void **state)
{
    (void)state;
    check_convs(false, 60, 20000, INFINITY);
    check_convs(false, 60, 21000, (double)NAN);
}

static void test_special_values_transposed(void **state)
{
    (void)state;
    check_convs(true, 60, 22000, -INFINITY);
    check_convs(true, 60, 23000, (double)NAN);
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
        form_check(&f, device, matmul_build, NULL, &o, &random);
        form_free(&f);
    }
}

/* ---------------------------------------------------------------- not linear */

/* Of the gradient of sum(y y) with respect to x, times s: y y is not linear, so both parts of a product's rule count.
 */
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
    for (int round = 0, last = on_cpu_path() ? support_rounds(40) : 1; round < last;
         round++) { /* else kernels are built */
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

/* 1, 2, 3, ... */
static clg_var counting(clg_graph *g, clg_shape shape)
{
    clg_var one = clg_full(g, CLG_F32, CLG_SCALAR, 1);
    return clg_reshape(clg_add(clg_arange(g, CLG_F32, clg_shape_count(shape)), one), shape);
}

#define EXPECT(x, shape, ...) form_expect(x, shape, (const double[]){__VA_ARGS__}, __LINE__)
#define EINSUM(equation, ...)                                                                                          \
    clg_einsum(equation, (clg_var[]){__VA_ARGS__}, (int)(sizeof((clg_var[]){__VA_ARGS__}) / sizeof(clg_var)))

static void test_einsum_examples(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var a = counting(g, CLG_SHAPE(2, 2)), v = counting(g, CLG_SHAPE(2)), w = counting(g, CLG_SHAPE(3)),
            row = counting(g, CLG_SHAPE(1, 3)), m = clg_add(a, clg_full(g, CLG_F32, CLG_SCALAR, 4)),
            x = clg_array(g, CLG_F32, CLG_SHAPE(2, 2), (const float[]){1, -2, 3, 4}), gx;
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
    EXPECT(EINSUM("bthd,bshd->bhts", counting(g, CLG_SHAPE(1, 2, 2, 2)), counting(g, CLG_SHAPE(1, 1, 2, 2))),
           CLG_SHAPE(1, 2, 2, 1), 5, 17, 25, 53);
    EXPECT(EINSUM("...ij,...jk->...ik", counting(g, CLG_SHAPE(2, 1, 2)), counting(g, CLG_SHAPE(2, 1))),
           CLG_SHAPE(2, 1, 1), 5, 11);
    EXPECT(EINSUM("...ij,...jk", counting(g, CLG_SHAPE(2, 1, 2)), counting(g, CLG_SHAPE(1, 2, 1))), CLG_SHAPE(2, 1, 1),
           5, 11);
    EXPECT(clg_matmul(v, v), CLG_SCALAR, 5);
    clg_gradients(EINSUM("ij,ij->", x, x), &x, 1, &gx); /* one variable twice */
    EXPECT(gx, CLG_SHAPE(2, 2), 2, -4, 6, 8);
    clg_gradients(EINSUM("ii", x), &x, 1, &gx);
    EXPECT(gx, CLG_SHAPE(2, 2), 1, 0, 0, 1);
    EXPECT(EINSUM("i,i->", clg_arange(g, CLG_I32, 3), clg_arange(g, CLG_I32, 3)), CLG_SCALAR, 5); /* as f32 */
    if (clg_graph_error(g))
        fail_msg("%s", clg_graph_error(g));
    clg_graph_free(g);
}

/* An extent of 0 is wider than one of 1. */
static void test_einsum_empty(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var none = clg_input(g, CLG_F32, CLG_SHAPE(0)), one = clg_input(g, CLG_F32, CLG_SHAPE(1));
    assert_true(clg_shape_equal(clg_shape_of(EINSUM("j,j->j", one, none)), CLG_SHAPE(0)));
    EXPECT(EINSUM("j,j->", none, one), CLG_SCALAR, 0);
    assert_true(clg_shape_equal(clg_shape_of(EINSUM("j,j->j", none, one)), CLG_SHAPE(0)));
    clg_graph_free(g);
}

static void test_conv_examples(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(1, 1, 5)), w = counting(g, CLG_SHAPE(1, 1, 3)), image, y;
    const clg_conv_options two = {.stride = CLG_SHAPE(2)}, padded = {.before = CLG_SHAPE(1), .after = CLG_SHAPE(1)},
                           same = {.same = true, .stride = CLG_SHAPE(2)}, apart = {.dilation = CLG_SHAPE(2)};
    EXPECT(clg_conv(x, w, (clg_conv_options){0}), CLG_SHAPE(1, 1, 3), 14, 20, 26);
    EXPECT(clg_conv(x, w, two), CLG_SHAPE(1, 1, 2), 14, 26);
    EXPECT(clg_conv(x, w, padded), CLG_SHAPE(1, 1, 5), 8, 14, 20, 26, 14);
    EXPECT(clg_conv(x, w, same), CLG_SHAPE(1, 1, 3), 8, 20, 14);
    EXPECT(clg_conv(x, w, apart), CLG_SHAPE(1, 1, 1), 22);
    EXPECT(clg_conv_transpose(w, w, two), CLG_SHAPE(1, 1, 7), 1, 2, 5, 4, 9, 6, 9);
    EXPECT(clg_conv_transpose(w, clg_slice(w, 2, 1, 2, 1), same), CLG_SHAPE(1, 1, 6), 2, 0, 4, 0, 6, 0);
    EXPECT(clg_conv(clg_reshape(clg_arange(g, CLG_I32, 3), CLG_SHAPE(1, 1, 3)), w, (clg_conv_options){0}),
           CLG_SHAPE(1, 1, 1), 8); /* as f32 */
    /* PyTorch's documentation of ConvTranspose2d: down and up again */
    image = clg_full(g, CLG_F32, CLG_SHAPE(1, 16, 12, 12), 1);
    clg_conv_options down = {.stride = CLG_SHAPE(2, 2), .before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)}, up = down;
    y = clg_conv(image, clg_full(g, CLG_F32, CLG_SHAPE(16, 16, 3, 3), 1), down);
    assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(1, 16, 6, 6)));
    up.output_padding = CLG_SHAPE(1, 1);
    y = clg_conv_transpose(y, clg_full(g, CLG_F32, CLG_SHAPE(16, 16, 3, 3), 1), up);
    assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(1, 16, 12, 12)));
    up = (clg_conv_options){.stride = CLG_SHAPE(2, 1), .before = CLG_SHAPE(4, 2), .after = CLG_SHAPE(4, 2)};
    y = clg_conv_transpose(clg_full(g, CLG_F32, CLG_SHAPE(20, 16, 50, 100), 1),
                           clg_full(g, CLG_F32, CLG_SHAPE(16, 33, 3, 5), 1), up);
    assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(20, 33, 93, 100)));
    if (clg_graph_error(g))
        fail_msg("%s", clg_graph_error(g));
    clg_graph_free(g);
}

/* Infinities at the border: a window beyond it does not make 0 times infinity. */
static void test_infinite_borders(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float edge[] = {INFINITY, 1, 1, INFINITY}, gap[] = {1, NAN, 1, NAN};
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(1, 1, 4), edge), nan = clg_array(g, CLG_F32, CLG_SHAPE(1, 1, 4), gap),
            one = clg_full(g, CLG_F32, CLG_SHAPE(1, 1, 3), 1), w = counting(g, CLG_SHAPE(1, 1, 3)), gx;
    const clg_conv_options padded = {.before = CLG_SHAPE(1), .after = CLG_SHAPE(1)},
                           wide = {.before = CLG_SHAPE(3), .after = CLG_SHAPE(3)}, skipping = {.stride = CLG_SHAPE(2)};
    EXPECT(clg_conv(x, one, padded), CLG_SHAPE(1, 1, 4), INFINITY, INFINITY, INFINITY, INFINITY);
    EXPECT(clg_conv(x, one, wide), CLG_SHAPE(1, 1, 8), 0, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY,
           0);
    EXPECT(clg_conv(nan, clg_full(g, CLG_F32, CLG_SHAPE(1, 1, 1), 2), skipping), CLG_SHAPE(1, 1, 2), 2, 2);
    EXPECT(clg_conv(nan, one, padded), CLG_SHAPE(1, 1, 4), NAN, NAN, NAN, NAN);
    clg_gradients(clg_conv(x, w, padded), &w, 1, &gx);
    EXPECT(gx, CLG_SHAPE(1, 1, 3), INFINITY, INFINITY, INFINITY);
    clg_gradients(clg_conv(x, w, padded), &x, 1, &gx); /* of w alone */
    EXPECT(gx, CLG_SHAPE(1, 1, 4), 3, 6, 6, 5);
    clg_gradients(clg_conv(x, w, skipping), &x, 1, &gx); /* one window */
    EXPECT(gx, CLG_SHAPE(1, 1, 4), 1, 2, 3, 0);
    /* Phases of a strided window: two of three rows have a tap less, which is not 0 times infinity. */
    float rows[10 * 8];
    for (int i = 0; i < 10 * 8; i++)
        rows[i] = i / 8 == 2 ? INFINITY : 1;
    clg_var y = clg_conv_transpose(clg_array(g, CLG_F32, CLG_SHAPE(1, 1, 10, 8), rows),
                                   clg_full(g, CLG_F32, CLG_SHAPE(1, 1, 4, 1), 1),
                                   (clg_conv_options){.stride = CLG_SHAPE(3, 1)});
    EXPECT(clg_max(y, CLG_AXES(-1), false), CLG_SHAPE(1, 1, 31), 1, 1, 1, 2, 1, 1, INFINITY, INFINITY, INFINITY,
           INFINITY, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- programs */

/* relu(conv + r) - r and its gradients as one program, in whole numbers and halves, so that every result is exact and
 * no sum is 0. */
static void test_conv_layers(void **state)
{
    (void)state;
    static const clg_dtype dtypes[FORM_ARRAYS] = {0};
    for (int round = 0, last = rounds(60); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 70000 + (uint64_t)round);
        conv_case c;
        double *values[FORM_ARRAYS];
        clg_var leaf[FORM_ARRAYS], out[5];
        conv_random(&c, round % 3 == 0, &random);
        form f = conv_form(&c);
        clg_graph *g = clg_graph_new(device);
        form_values(&f, dtypes, true, &random, values);
        double *r = values[0], *linear = form_sum(&f, 0, values);
        int64_t count = clg_shape_count(f.shape[0]);
        for (int64_t i = 0; i < count; i++)
            r[i] += 0.5;
        for (int k = 0; k < 3; k++)
            leaf[k] = support_leaf(g, CLG_F32, f.shape[k], values[k]);
        out[4] = conv_build(leaf + 1, &c);
        out[0] = clg_sub(clg_relu(clg_add(out[4], leaf[0])), leaf[0]);
        clg_gradients(clg_mul(out[0], leaf[0]), leaf, 3, out + 1);
        clg_program *p = clg_compile(g, out, below(&random, 2) ? 5 : 4);
        if (!p || clg_run(p) != CLG_OK)
            fail_msg("%s: %s", conv_text(&c, round), clg_last_error());
        for (int k = 0; k < 4; k++) {
            double *got = support_values(out[k]), *want = k > 1 ? form_sum(&f, k - 1, values) : NULL;
            for (int64_t i = 0; i < clg_shape_count(clg_shape_of(out[k])); i++) {
                double sum = k < 2 ? linear[i] + r[i] : 0, act = fmax(0, sum), mask = sum > 0;
                double right = k == 0 ? act - r[i] : k == 1 ? act - r[i] + (mask - 1) * r[i] : want[i];
                if (!(got[i] == right))
                    fail_msg("%s: layer, result %d, element %lld is %.9g, not %.9g", conv_text(&c, round), k,
                             (long long)i, got[i], right);
            }
            for (int64_t i = 0; k == 1 && i < count; i++) /* what relu lets through */
                r[i] = linear[i] + r[i] > 0 ? r[i] : 0;
            free(got);
            free(want);
        }
        clg_program_free(p);
        clg_graph_free(g);
        for (int k = 0; k < 3; k++)
            free(values[k]);
        free(linear);
        form_free(&f);
    }
}

/* ---------------------------------------------------------------- planted faults */

static void test_planted_faults(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        clg_random random = clg_random_new(support_seed(), 80000 + (uint64_t)round);
        static const clg_dtype dtypes[FORM_ARRAYS] = {0};
        conv_case c;
        form f = {0};
        double *values[FORM_ARRAYS];
        bool whole = round % 2;
        do { /* one with a result */
            form_free(&f);
            conv_random(&c, round % 4 > 1, &random);
            f = conv_form(&c);
        } while (f.count == 0);
        form_values(&f, dtypes, whole, &random, values);
        for (int which = 0; which < 3; which++) {
            double *got = form_sum(&f, which, values);
            int64_t i = 0;
            assert_int_equal(form_compare(&f, which, values, got, CLG_F32, whole).count, 0);
            for (int64_t k = 0; k < clg_shape_count(f.shape[which]); k++)
                i = fabs(got[k]) > fabs(got[i]) ? k : i;
            const double right = got[i], wrong[] = {-right, (double)NAN, INFINITY};
            for (int k = right == 0; k < 3; k++) {
                got[i] = wrong[k];
                assert_int_equal(form_compare(&f, which, values, got, CLG_F32, whole).count, 1);
            }
            free(got);
        }
        /* windows that are one element off */
        conv_case off = c;
        off.before[0]++;
        form moved = conv_form(&off);
        double *got = form_sum(&moved, 0, values), *here = form_sum(&f, 0, values);
        bool differ = memcmp(got, here, (size_t)clg_shape_count(f.shape[0]) * sizeof *got) != 0;
        assert_int_equal(form_compare(&f, 0, values, got, CLG_F32, whole).count > 0, differ);
        assert_true(differ || whole || clg_shape_count(f.shape[0]) == 0);
        free(got);
        free(here);
        form_free(&moved);
        form_free(&f);
        for (int k = 0; k < 3; k++)
            free(values[k]);
    }
}

/* ---------------------------------------------------------------- errors */

static void test_einsum_errors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var a = counting(g, CLG_SHAPE(2, 3)), five = counting(g, CLG_SHAPE(1, 1, 1, 1, 1)), many[27];
    static const char *const one[] = {"i",        "ijk",    "",           "ij,",     "ij,jk->ik", "i1->i",
                                      "ij->k",    "ij->ii", "ii->i",      "ij-ik",   "ij>i",      "ij--",
                                      "ij->i->j", "....ij", "..ij",       "ij->i,j", "...ijk",    "i...j.",
                                      "ij->.",    "i-j",    "...i...->i", "ij->iij", "\xc3\xa4j"};
    static const char *const two[] = {"ij",         "ij,",   ",ij",        "ij,jk->ik",
                                      "ij,ij,ij->", "ij;ij", "ij,ik->ikl", "...i,...i"};
    char text[64];
    for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
        snprintf(text, sizeof text, "einsum: \"%s\": ", one[i]);
        support_expect_error(EINSUM(one[i], a), text);
    }
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++) {
        snprintf(text, sizeof text, "einsum: \"%s\": ", two[i]);
        support_expect_error(EINSUM(two[i], a, i == 7 ? counting(g, CLG_SHAPE(3, 3)) : a), text);
    }
    support_expect_error(EINSUM("abcde,fghij->abcdefghij", five, five),
                         "einsum: \"abcde,fghij->abcdefghij\": the result has");
    for (int i = 0; i < 27; i++)
        many[i] = a;
    support_expect_error(clg_einsum("ij", many, 27), "einsum: \"ij\" of 27 operands");
    support_expect_error(clg_einsum(NULL, many, 2), "einsum: \"(NULL)\"");
    support_expect_error(clg_einsum("ij", NULL, 0), "einsum: \"ij\" of 0 operands");
    clg_var bad = clg_reshape(a, CLG_SHAPE(7));
    support_expect_error(bad, "reshape: ");
    assert_false(clg_is_valid(EINSUM("ij,i->", a, bad)));
    assert_false(clg_is_valid(clg_einsum("ij", many, 0)));
    clg_graph_free(g);
}

static void test_conv_errors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(1, 4, 5, 5)), w = counting(g, CLG_SHAPE(6, 4, 3, 3)),
            v = counting(g, CLG_SHAPE(3));
    const clg_shape two = CLG_SHAPE(2, 2), one = CLG_SHAPE(2);
    const char *layouts =
        "|NCHW|NCHW,OIHW|NCHW,OIHW->NCH|NCHW,OIHW->NCHD|NCHW,OIHD->NCHW|NCHH,OIHH->NCHH|nchw,oihw->nchw|"
        "NCHW,OIHW->NCHW |NCOW,OIHW->NCOW|NCIW,OIHW->NCIW|NXHW,OIHW->NXHW|NCHW, OIHW->NCHW|";
    for (char layout[32]; *layouts; layouts += strlen(layout) + 1) {
        snprintf(layout, sizeof layout, "%.*s", (int)strcspn(layouts, "|"), layouts);
        support_expect_error(clg_conv(x, w, (clg_conv_options){.layout = layout}), "conv: layout \"");
    }
    support_expect_error(clg_conv(v, w, (clg_conv_options){0}), "conv: layout \"(usual)\" does not describe x (3,)");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.stride = one}), "conv: stride (2,)");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.dilation = CLG_SHAPE(0, 1)}), "dilation (0, 1)");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.before = CLG_SHAPE(-1, 0)}), "before (-1, 0)");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.groups = 4}),
                         "conv: 4 groups do not divide the output channels");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.groups = 2}), "conv: x (1, 4, 5, 5) has 4 channels");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.dilation = CLG_SHAPE(3, 1)}), "conv: weights (6, 4, 3, 3)");
    support_expect_error(clg_conv(x, w, (clg_conv_options){.same = true, .before = two}),
                         "conv: same chooses the padding");
    const clg_shape most = CLG_SHAPE(INT32_MAX, INT32_MAX);
    support_expect_error(clg_conv(x, w, (clg_conv_options){.before = most, .after = most}), "too many elements");
    support_expect_error(clg_conv_transpose(x, w, (clg_conv_options){0}), "conv_transpose: x (1, 4, 5, 5) and weights");
    w = counting(g, CLG_SHAPE(4, 4, 3, 3));
    support_expect_error(clg_conv_transpose(x, w, (clg_conv_options){.stride = two, .output_padding = two}),
                         "conv_transpose: no result along H");
    support_expect_error(clg_conv_transpose(x, w, (clg_conv_options){.output_padding = one}), "output_padding (2,)");
    support_expect_error(clg_conv_transpose(x, w, (clg_conv_options){.before = CLG_SHAPE(9, 0)}), "no result along H");
    support_expect_error(clg_matmul(v, x), "matmul: inner dimensions differ: (3,) x (1, 4, 5, 5)");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(test_einsum_examples),
        cmocka_unit_test(test_einsum_empty),
        cmocka_unit_test(test_conv_examples),
        cmocka_unit_test(test_infinite_borders),
        cmocka_unit_test(test_einsum_errors),
        cmocka_unit_test(test_conv_errors),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_einsum),
        cmocka_unit_test(test_known_convs),
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_transpose),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_special_values_transposed),
        cmocka_unit_test(test_squares),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_conv_layers),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
