/* Pooling against plain loops in f64: shapes, strides, dilations, padding, layouts, ties; gradients against closed
 * forms and central differences; errors. */
#include "support_gradients.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 300, OPENCL_ROUNDS = 4, SPATIAL = 3 };

static clg_device *device; /* of the group that runs now */

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

static int rounds(void)
{
    bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    return support_rounds(cpu ? ROUNDS : OPENCL_ROUNDS);
}

static double *new_values(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

/* ---------------------------------------------------------------- pooling as plain loops */

/* Along a spatial axis: n elements, of which window o of count has those from start[o] on, every dilation-th, up to
 * stop[o]. */
typedef struct windows {
    int64_t n, count, dilation, size, start[128], stop[128];
} windows;

typedef struct pool_case {
    clg_pool_options options;
    char layout[8];
    clg_shape from, to;
    int spatial, axis[2 + SPATIAL]; /* number of each axis of x among N, C and the spatial ones, in this order */
    windows along[SPATIAL];         /* (1 element in one window where there are fewer axes) */
    clg_dtype dtype;
    bool given_layout;
    double *x;
} pool_case;

/* Element (n, c, s) of an array that has the case's axes. */
static int64_t element(const pool_case *c, clg_shape shape, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < shape.rank; d++)
        i = i * shape.dim[d] + at[c->axis[d]];
    return i;
}

/* Calls visit with the elements of x in each window, and the window's number in the result. */
typedef void visitor(const pool_case *c, int64_t to, const int64_t *from, int64_t count, void *data);

static void each_window(const pool_case *c, visitor *visit, void *data)
{
    int64_t from[8 * 8 * 70], extent[2 + SPATIAL] = {0}, at[2 + SPATIAL], to[2 + SPATIAL];
    const windows *w = c->along;
    for (int d = 0; d < c->from.rank; d++)
        extent[c->axis[d]] = c->from.dim[d];
    for (to[0] = 0; to[0] < extent[0]; to[0]++)
        for (to[1] = 0; to[1] < extent[1]; to[1]++)
            for (to[2] = 0; to[2] < w[0].count; to[2]++)
                for (to[3] = 0; to[3] < w[1].count; to[3]++)
                    for (to[4] = 0; to[4] < w[2].count; to[4]++) {
                        int64_t count = 0;
                        at[0] = to[0];
                        at[1] = to[1];
                        for (at[2] = w[0].start[to[2]]; at[2] < w[0].stop[to[2]]; at[2] += w[0].dilation)
                            for (at[3] = w[1].start[to[3]]; at[3] < w[1].stop[to[3]]; at[3] += w[1].dilation)
                                for (at[4] = w[2].start[to[4]]; at[4] < w[2].stop[to[4]]; at[4] += w[2].dilation) {
                                    bool inside = true;
                                    for (int i = 0; i < SPATIAL; i++)
                                        inside &= at[2 + i] >= 0 && at[2 + i] < w[i].n;
                                    if (inside)
                                        from[count++] = element(c, c->from, at);
                                }
                        visit(c, element(c, c->to, to), from, count, data);
                    }
}

/* What a visitor makes: the result, or from gradients of the result those of x. */
typedef struct reference {
    double *y, *gx;
    const double *weight;
    bool max, count_padding;
} reference;

static void reduce_window(const pool_case *c, int64_t to, const int64_t *from, int64_t count, void *data)
{
    reference *r = data;
    double top = c->dtype == CLG_U8 ? 0 : c->dtype == CLG_I32 ? INT32_MIN : -INFINITY, sum = 0, ties = 0, size = 1;
    for (int64_t i = 0; i < count; i++) {
        top = c->x[from[i]] > top ? c->x[from[i]] : top;
        sum += c->x[from[i]];
    }
    for (int i = 0; i < SPATIAL; i++)
        size *= (double)c->along[i].size;
    if (!r->count_padding)
        size = (double)count;
    r->y[to] = r->max ? top : sum / size;
    for (int64_t i = 0; i < count; i++)
        ties += c->x[from[i]] == top;
    for (int64_t i = 0; i < count; i++)
        r->gx[from[i]] += r->max ? (c->x[from[i]] == top ? r->weight[to] / ties : 0) : r->weight[to] / size;
}

/* Values, and gradients with respect to x of the sum of the result's elements by weights. */
static void expect_pool(const pool_case *c, clg_var leaf, clg_var y, bool max, bool count_padding, const char *what)
{
    int64_t n = clg_shape_count(c->from), m = clg_shape_count(c->to);
    double *weight = new_values(m);
    for (int64_t i = 0; i < m; i++)
        weight[i] = (double)(i % 11) - 4;
    reference r = {new_values(m), new_values(n), weight, max, count_padding};
    each_window(c, reduce_window, &r);
    if (!clg_is_valid(y) || !clg_shape_equal(clg_shape_of(y), c->to))
        fail_msg("%s: rank %d: %s", what, clg_shape_of(y).rank, clg_last_error());
    double *got = support_values(y), tolerance = c->dtype == CLG_F64 ? 1e-12 : 1e-5;
    for (int64_t i = 0; i < m; i++)
        if (!support_close(got[i], r.y[i], max ? 0 : tolerance))
            fail_msg("%s of %s: element %lld is %.9g, not %.9g", what, c->layout, (long long)i, got[i], r.y[i]);
    free(got);
    if (c->dtype == CLG_F32 || c->dtype == CLG_F64) {
        clg_var gx, by = support_leaf(y.graph, c->dtype, c->to, weight);
        assert_int_equal(clg_gradients(clg_mul(y, by), &leaf, 1, &gx), CLG_OK);
        got = support_values(gx);
        for (int64_t i = 0; i < n; i++)
            if (!support_close(got[i], r.gx[i], tolerance))
                fail_msg("%s of %s: gradient %lld is %.9g, not %.9g", what, c->layout, (long long)i, got[i], r.gx[i]);
        free(got);
    }
    free(r.y);
    free(r.gx);
    free(weight);
}

/* ---------------------------------------------------------------- random cases */

static clg_dtype random_dtype(clg_random *random)
{
    static const clg_dtype dtypes[] = {CLG_F32, CLG_F64, CLG_F32, CLG_F64, CLG_I32, CLG_U8};
    clg_dtype dtype = dtypes[below(random, 6)];
    return dtype == CLG_F64 && !clg_device_get_info(device)->has_f64 ? CLG_F32 : dtype;
}

/* Axes in any order or in the usual one, and small whole numbers, of which many are equal. */
static pool_case random_case(clg_random *random)
{
    static const char letters[][6] = {"NCW", "NCHW", "NCDHW"};
    pool_case c = {.spatial = 1 + (int)below(random, SPATIAL), .dtype = random_dtype(random)};
    int32_t order[2 + SPATIAL] = {0, 1, 2, 3, 4};
    c.given_layout = below(random, 2);
    c.from.rank = c.spatial + 2;
    if (c.given_layout)
        clg_random_shuffle(random, order, (size_t)c.from.rank);
    for (int d = 0; d < c.from.rank; d++) {
        const uint32_t wide = d + 1 == c.from.rank && below(random, 3) == 0 ? 70 : 8; /* rows of several vectors */
        c.layout[d] = letters[c.spatial - 1][order[d]];
        c.axis[d] = order[d];
        c.from.dim[d] = order[d] < 2 ? below(random, 12) ? 1 + below(random, 3) : 0 : 1 + below(random, wide);
    }
    for (int i = 0, next = 2; i < c.from.rank; i++) /* options have the spatial axes in the order of x */
        if (c.axis[i] >= 2)
            c.axis[i] = next++;
    c.x = new_values(clg_shape_count(c.from));
    for (int64_t i = 0; i < clg_shape_count(c.from); i++)
        c.x[i] = (double)below(random, 5) - (c.dtype == CLG_U8 ? 0 : 2);
    for (int i = 0; i < SPATIAL; i++)
        c.along[i] = (windows){.n = 1, .count = 1, .dilation = 1, .size = 1, .stop = {1}};
    c.to = c.from;
    return c;
}

/* Options of which some are left out. */
static void choose_windows(pool_case *c, clg_random *random)
{
    clg_pool_options *o = &c->options;
    bool dilated = below(random, 2), strided = below(random, 2);
    int padding = (int)below(random, 3);
    o->same = padding == 1;
    o->layout = c->given_layout ? c->layout : NULL;
    o->size.rank = c->spatial;
    o->dilation.rank = dilated ? c->spatial : 0;
    o->stride.rank = strided ? c->spatial : 0;
    o->before.rank = padding == 2 ? c->spatial : 0;
    o->after.rank = padding == 2 ? c->spatial : 0;
    for (int d = 0; d < c->from.rank; d++) {
        int i = c->axis[d] - 2;
        if (i < 0)
            continue;
        int64_t n = c->from.dim[d], dilation = dilated ? 1 + below(random, 2) : 1, before = 0, after = 0;
        int64_t size = 1 + below(random, (uint32_t)((n - 1) / dilation + 1 < 4 ? (n - 1) / dilation + 1 : 4));
        int64_t stride = strided ? 1 + below(random, 3) : size, span = dilation * (size - 1) + 1;
        if (padding == 2) {
            before = below(random, (uint32_t)span);
            after = below(random, (uint32_t)span);
        } else if (padding == 1) {
            int64_t missing = ((n + stride - 1) / stride - 1) * stride + span - n;
            before = missing > 0 ? missing / 2 : 0;
            after = missing > 0 ? missing - before : 0;
        }
        o->size.dim[i] = size;
        o->dilation.dim[i] = dilation;
        o->stride.dim[i] = stride;
        o->before.dim[i] = before;
        o->after.dim[i] = after;
        windows *w = &c->along[i];
        *w = (windows){.n = n, .dilation = dilation, .size = size};
        for (int64_t at = -before; at + span <= n + after; at += stride) {
            w->start[w->count] = at;
            w->stop[w->count++] = at + span;
        }
        if (padding == 1)
            assert_int_equal(w->count, (n + stride - 1) / stride);
        c->to.dim[d] = w->count;
    }
}

static void test_windows(void **state)
{
    (void)state;
    for (int round = 0, last = rounds(); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 100 + (uint64_t)round);
        pool_case c = random_case(&random);
        choose_windows(&c, &random);
        clg_graph *g = clg_graph_new(device);
        clg_var x = support_leaf(g, c.dtype, c.from, c.x);
        expect_pool(&c, x, clg_max_pool(x, c.options), true, false, "max_pool");
        expect_pool(&c, x, clg_avg_pool(x, c.options), false, false, "avg_pool");
        c.options.count_padding = true;
        expect_pool(&c, x, clg_avg_pool(x, c.options), false, true, "avg_pool with padding");
        clg_graph_free(g);
        free(c.x);
    }
}

static void choose_bins(pool_case *c, clg_random *random, bool whole)
{
    c->options.size.rank = c->spatial;
    for (int d = 0; d < c->from.rank; d++) {
        int i = c->axis[d] - 2;
        if (i < 0)
            continue;
        int64_t n = c->from.dim[d], count = whole ? 1 : 1 + below(random, 9);
        c->along[i] = (windows){.n = n, .count = count, .dilation = 1, .size = n};
        for (int64_t o = 0; o < count; o++) {
            c->along[i].start[o] = (int64_t)floor((double)(o * n) / (double)count);
            c->along[i].stop[o] = (int64_t)ceil((double)((o + 1) * n) / (double)count);
        }
        c->options.size.dim[i] = count;
        c->to.dim[d] = count;
    }
}

/* Where bins are not equal, equal maxima share gradients in another way than evenly: none are equal then. */
static void separate(const pool_case *c, clg_random *random)
{
    bool equal = true;
    for (int i = 0; i < c->spatial; i++)
        equal &= c->along[i].n % c->along[i].count == 0;
    for (int64_t i = 0; i < clg_shape_count(c->from) && !equal && c->dtype != CLG_U8; i++) {
        int64_t j = (int64_t)below(random, (uint32_t)i + 1);
        c->x[i] = c->x[j];
        c->x[j] = (double)i - 100;
    }
}

static void test_adaptive(void **state)
{
    (void)state;
    for (int round = 0, last = rounds(); round < last; round++) {
        clg_random random = clg_random_new(support_seed(), 10000 + (uint64_t)round);
        pool_case c = random_case(&random);
        bool whole = below(&random, 3) == 0;
        choose_bins(&c, &random, whole);
        separate(&c, &random);
        clg_graph *g = clg_graph_new(device);
        clg_var x = support_leaf(g, c.dtype, c.from, c.x);
        clg_shape size = c.options.size;
        const char *layout = c.given_layout ? c.layout : NULL;
        expect_pool(&c, x, clg_adaptive_max_pool(x, size, layout), true, false, "adaptive_max_pool");
        expect_pool(&c, x, clg_adaptive_avg_pool(x, size, layout), false, false, "adaptive_avg_pool");
        if (whole) {
            expect_pool(&c, x, clg_global_max_pool(x, layout), true, false, "global_max_pool");
            expect_pool(&c, x, clg_global_avg_pool(x, layout), false, false, "global_avg_pool");
        }
        clg_graph_free(g);
        free(c.x);
    }
}

/* ---------------------------------------------------------------- pooling: examples and second gradients */

static void expect_row(clg_var x, const double *want)
{
    double *got = support_values(x);
    for (int64_t i = 0; i < clg_shape_count(clg_shape_of(x)); i++)
        if (!support_close(got[i], want[i], 1e-6))
            fail_msg("element %lld is %g, not %g", (long long)i, got[i], want[i]);
    free(got);
}

#define EXPECT(x, ...) expect_row(x, (const double[]){__VA_ARGS__})

static void test_pool_examples(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float data[] = {1, 3, 3, 2, 5}, lowest[] = {-INFINITY, NAN, 1};
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(1, 1, 5), data), y = clg_array(g, CLG_F32, CLG_SHAPE(1, 1, 3), lowest),
            gx;
    clg_pool_options two = {.size = CLG_SHAPE(2)}, next = {.size = CLG_SHAPE(2), .stride = CLG_SHAPE(1), .same = true};
    EXPECT(clg_max_pool(x, two), 3, 3);
    EXPECT(clg_avg_pool(x, two), 2, 2.5);
    EXPECT(clg_max_pool(x, next), 3, 3, 3, 5, 5);
    EXPECT(clg_avg_pool(x, next), 2, 3, 2.5, 3.5, 5);
    next.count_padding = true;
    EXPECT(clg_avg_pool(x, next), 2, 3, 2.5, 3.5, 2.5);
    clg_gradients(clg_max_pool(x, next), &x, 1, &gx); /* the window of both 3s gives each a half */
    EXPECT(gx, 0, 1.5, 1.5, 0, 2);
    EXPECT(clg_adaptive_avg_pool(x, CLG_SHAPE(2), NULL), 7.0 / 3, 10.0 / 3);
    EXPECT(clg_adaptive_max_pool(x, CLG_SHAPE(3), NULL), 3, 3, 5);
    EXPECT(clg_global_avg_pool(x, "NCW"), 2.8);
    EXPECT(clg_max_pool(y, two), NAN);
    EXPECT(clg_max_pool(y, (clg_pool_options){.size = CLG_SHAPE(1), .before = CLG_SHAPE(1)}), -INFINITY, -INFINITY, NAN,
           1);
    EXPECT(clg_avg_pool(x, (clg_pool_options){.size = CLG_SHAPE(1), .stride = CLG_SHAPE(5), .before = CLG_SHAPE(1)}),
           NAN, 5);
    assert_null(clg_graph_error(g));
    clg_graph_free(g);
}

static void test_pool_second_gradients(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    const clg_pool_options options = {
        .size = CLG_SHAPE(3, 2), .stride = CLG_SHAPE(2, 1), .before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(2, 0)};
    bool cpu = strcmp(clg_device_get_info(device)->type, "host") == 0; /* else each case is kernels to be built */
    if (!clg_device_get_info(device)->has_f64)
        skip();
    for (int which = 0; which < (cpu ? 4 : 1); which++) {
        clg_graph *g = clg_graph_new(device);
        double *values = support_spread(2 * 3 * 5 * 4, -2, 2, &random);
        clg_var x = support_leaf(g, CLG_F64, CLG_SHAPE(2, 3, 5, 4), values);
        clg_var y = which == 0   ? clg_avg_pool(x, options)
                    : which == 1 ? clg_max_pool(x, options)
                    : which == 2 ? clg_adaptive_avg_pool(x, CLG_SHAPE(2, 3), NULL)
                                 : clg_adaptive_max_pool(x, CLG_SHAPE(5, 3), NULL);
        support_expect_gradients(y, &x, 1, &random, "pooling");
        free(values);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- errors */

static void test_pool_errors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(2, 3, 6, 5)), flat = clg_input(g, CLG_F32, CLG_SHAPE(2, 3));
    clg_var empty = clg_input(g, CLG_F32, CLG_SHAPE(2, 3, 0)), bad = clg_add(x, flat);
    const clg_shape two = CLG_SHAPE(2, 2);
    support_expect_error(bad, "add: ");
    support_expect_error(clg_max_pool(flat, (clg_pool_options){.size = two}),
                         "max_pool: x (2, 3) must have axes for batch and");
    support_expect_error(clg_avg_pool(x, (clg_pool_options){0}),
                         "avg_pool: size () must have an extent, 1 or more, for each of 2 spatial axes");
    support_expect_error(clg_avg_pool(x, (clg_pool_options){.size = CLG_SHAPE(2, 0)}),
                         "avg_pool: size (2, 0) must have");
    support_expect_error(clg_max_pool(x, (clg_pool_options){.size = two, .stride = CLG_SHAPE(1)}),
                         "max_pool: stride (1,) must");
    support_expect_error(clg_max_pool(x, (clg_pool_options){.size = two, .dilation = CLG_SHAPE(0, 1)}),
                         "max_pool: dilation (0, 1)");
    support_expect_error(clg_max_pool(x, (clg_pool_options){.size = two, .before = CLG_SHAPE(-1, 0)}),
                         "max_pool: before (-1, 0) must have an extent, 0 or more");
    support_expect_error(clg_max_pool(x, (clg_pool_options){.size = two, .same = true, .after = two}),
                         "max_pool: same chooses the padding");
    support_expect_error(clg_max_pool(x, (clg_pool_options){.size = CLG_SHAPE(2, 3), .dilation = CLG_SHAPE(1, 3)}),
                         "max_pool: a window of 7 elements does not fit axis 3 of (2, 3, 6, 5), padded by 0 and 0");
    static const char *const layouts[] = {"NCH", "NCHWD", "NHWH", "ABCD", "NCCW", "NC1W", "nchw", ""};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        support_expect_error(clg_global_avg_pool(x, layouts[i]), "global_avg_pool: layout \"");
    support_expect_error(clg_global_max_pool(flat, NULL), "global_max_pool: x (2, 3)");
    support_expect_error(clg_adaptive_avg_pool(x, CLG_SHAPE(3), NULL),
                         "adaptive_avg_pool: size (3,) must have an extent");
    support_expect_error(clg_adaptive_max_pool(empty, CLG_SHAPE(3), NULL),
                         "adaptive_max_pool: axis 2 of (2, 3, 0) must have 1");
    support_expect_error(clg_avg_pool(empty, (clg_pool_options){.size = CLG_SHAPE(1)}),
                         "does not fit axis 2 of (2, 3, 0)");
    assert_false(clg_is_valid(clg_max_pool(bad, (clg_pool_options){.size = two})));
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_examples), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_adaptive),      cmocka_unit_test(test_pool_second_gradients),
        cmocka_unit_test(test_pool_errors),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
