/* Views: random chains of them, with a function or a join in between at times, against plain index arithmetic, bit for
 * bit; their gradients against the same arithmetic backwards; each function's documented example; errors. */
#include "support_views.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2000, OPENCL_ROUNDS = 16, MAX_STEPS = 8 }; /* there each round is kernels to be built */

static clg_device *device; /* of the group that runs now */

/* ---------------------------------------------------------------- steps of a chain that are no views */

/* A part that goes with x along an axis: x, a piece of it, or another array, of another dtype perhaps. */
static clg_var random_part(chain *c, int axis, bool stack, host *part)
{
    clg_shape shape = c->now->shape;
    if (views_chance(c, 3)) {
        if (!stack)
            shape.dim[axis] = views_below(c, 4);
        if (!views_fit(shape))
            shape.dim[axis] = 0;
        return views_other(c, views_dtype(c), shape, part);
    }
    *part = *c->now;
    if (stack || !views_chance(c, 3))
        return c->x;
    int64_t at[CLG_MAX_DIMS] = {0};
    part->shape.dim[axis] = (shape.dim[axis] + 1) / 2; /* every other element */
    for (int64_t i = 0; i < clg_shape_count(part->shape); i++) {
        views_unflat(part->shape, i, at);
        at[axis] *= 2;
        int64_t j = views_flat(shape, at);
        part->bits[i] = c->now->bits[j];
        part->origin[i] = c->now->origin[j];
        part->slope[i] = c->now->slope[j];
    }
    return clg_slice(c->x, axis, 0, INT64_MAX, 2);
}

/* Writes a part from an element of the result's axis on. */
static void put_part(host *to, const host *part, int axis, bool stack, int64_t start)
{
    int64_t at[CLG_MAX_DIMS] = {0};
    for (int64_t i = 0; i < clg_shape_count(part->shape); i++) {
        views_unflat(part->shape, i, at);
        for (int d = part->shape.rank; d > axis && stack; d--)
            at[d] = at[d - 1];
        at[axis] = start + (stack ? 0 : at[axis]);
        int64_t j = views_flat(to->shape, at);
        to->bits[j] = part->bits[i];
        to->origin[j] = part->origin[i];
        to->slope[j] = part->slope[i];
    }
}

static void join_step(chain *c, bool stack)
{
    clg_var vars[VIEWS_MAX_PARTS];
    clg_shape shape = c->now->shape;
    if (stack ? shape.rank == CLG_MAX_RANK : shape.rank == 0)
        return;
    int axis = (int)views_below(c, (uint32_t)(shape.rank + stack)), count = 1 + (int)views_below(c, VIEWS_MAX_PARTS);
    clg_dtype dtype = CLG_BOOL;
    int64_t length = 0;
    for (int i = 0; i < count; i++) {
        vars[i] = random_part(c, axis, stack, &c->parts[i]);
        dtype = clg_dtype_promote(c->parts[i].dtype, dtype); /* test_dtypes.c has the table */
        length += stack ? 1 : c->parts[i].shape.dim[axis];
    }
    if (stack) {
        for (int d = shape.rank++; d > axis; d--)
            shape.dim[d] = shape.dim[d - 1];
    }
    shape.dim[axis] = length;
    if (!views_fit(shape))
        return;
    views_note(c, "; %s axis %d:", stack ? "stack" : "concat", axis);
    c->next->shape = shape;
    c->next->dtype = dtype;
    for (int64_t i = 0, start = 0; i < count; i++) {
        c->lenient |= dtype == CLG_F64 && c->parts[i].dtype == CLG_F32;
        views_note(c, " %s%s %s", vars[i].id == c->x.id ? "x " : "", clg_dtype_name(c->parts[i].dtype),
                   views_text(c->parts[i].shape));
        int64_t extent = stack ? 1 : c->parts[i].shape.dim[axis];
        views_cast(&c->parts[i], dtype);
        put_part(c->next, &c->parts[i], axis, stack, start);
        start += extent;
    }
    views_take(c, stack ? clg_stack(vars, count, axis) : clg_concat(vars, count, axis - shape.rank));
}

/* -x, 1 - x (1 at what was filled with 0) or exp(x) of every element. */
static void function_step(chain *c)
{
    host *h = c->now;
    int which = (int)views_below(c, c->approximate ? 2 : 3);
    clg_dtype dtype = h->dtype;
    bool real = clg_dtype_is_real(dtype);
    if (which == 2)
        views_cast(h, real ? dtype : CLG_F32);
    for (int64_t i = 0; i < clg_shape_count(h->shape); i++) {
        double x = views_from_bits(h->dtype, h->bits[i]), y = which == 0 ? -x : which == 1 ? 1 - x : exp(x);
        uint64_t wrapped = (uint64_t)(which == 1) - h->bits[i];
        h->bits[i] = real || which == 2  ? views_to_bits(h->dtype, y)
                     : dtype == CLG_I32  ? (uint32_t)wrapped
                     : dtype == CLG_I64  ? wrapped
                     : dtype == CLG_BOOL ? (wrapped & 255) != 0
                                         : (uint8_t)wrapped;
        h->slope[i] = -h->slope[i];
    }
    clg_var one = clg_full(c->g, dtype, CLG_SCALAR, 1);
    c->x = which == 0 ? clg_neg(c->x) : which == 1 ? clg_sub(one, c->x) : clg_exp(c->x);
    c->lenient = true;
    c->approximate |= which == 2;
    views_note(c, "; %s", which == 0 ? "-x" : which == 1 ? "1 - x" : "exp");
}

/* ---------------------------------------------------------------- random chains */

static void expect_elements(chain *c, int round)
{
    const host *h = c->now;
    size_t size = clg_dtype_size(h->dtype);
    int64_t count = clg_shape_count(h->shape);
    char data[VIEWS_MAX_ELEMENTS * 8];
    if (!clg_is_valid(c->x) || clg_read(c->x, data, (size_t)count * size) != CLG_OK)
        fail_msg("round %d: %s: %s", round, c->log, clg_last_error());
    if (!clg_shape_equal(clg_shape_of(c->x), h->shape) || clg_dtype_of(c->x) != h->dtype)
        fail_msg("round %d: %s: %s %s", round, c->log, clg_dtype_name(clg_dtype_of(c->x)),
                 views_text(clg_shape_of(c->x)));
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = views_get(data + (size_t)i * size, size);
        double got = views_from_bits(h->dtype, bits), want = views_from_bits(h->dtype, h->bits[i]);
        if (bits != h->bits[i] && !(c->lenient && isnan(got) && isnan(want)) &&
            !(c->approximate && support_close(got, want, 1e-5)))
            fail_msg("round %d: %s: element %" PRId64 " is %.9g (%" PRIx64 "), not %.9g (%" PRIx64 ")", round, c->log,
                     i, got, bits, want, h->bits[i]);
    }
}

/* An array of small integers, whose sums are exact. */
static clg_var weights(chain *c, clg_dtype dtype, clg_shape shape, double *values)
{
    for (int64_t i = 0; i < clg_shape_count(shape); i++)
        values[i] = (double)views_below(c, 17) - 8;
    return support_leaf(c->g, dtype, shape, values);
}

static void expect_gradient(const chain *c, int round, const char *what, clg_var gradient, const double *want)
{
    double *got = support_values(gradient);
    const clg_dtype dtypes[] = {clg_dtype_of(c->leaf), c->now->dtype};
    const bool half = clg_dtype_size(dtypes[0]) == 2 || clg_dtype_size(dtypes[1]) == 2; /* sums of many are rounded */
    for (int64_t i = 0; i < clg_shape_count(clg_shape_of(gradient)); i++)
        if (!support_close(got[i], want[i], half ? 0.02 : 1e-6))
            fail_msg("round %d: %s: %s %" PRId64 " is %.9g, not %.9g", round, c->log, what, i, got[i], want[i]);
    free(got);
}

/* Of sum(w x) with respect to the leaf: each weight where its element came from. And of the sum of that, weighted by v,
 * with respect to w: each v where its element went to. */
static void expect_gradients(chain *c, int round)
{
    static double w[VIEWS_MAX_ELEMENTS], v[VIEWS_MAX_ELEMENTS], want[VIEWS_MAX_ELEMENTS];
    const host *h = c->now;
    clg_shape from = clg_shape_of(c->leaf);
    int64_t count = clg_shape_count(h->shape);
    clg_var gx, gw, by = weights(c, h->dtype, h->shape, w), with = weights(c, clg_dtype_of(c->leaf), from, v);
    clg_gradients(clg_sum(clg_mul(c->x, by), CLG_ALL_AXES, false), &c->leaf, 1, &gx);
    clg_gradients(clg_sum(clg_mul(gx, with), CLG_ALL_AXES, false), &by, 1, &gw);
    if (clg_graph_error(c->g))
        fail_msg("round %d: %s: %s", round, c->log, clg_graph_error(c->g));
    memset(want, 0, sizeof want);
    for (int64_t i = 0; i < count; i++)
        if (h->origin[i] >= 0)
            want[h->origin[i]] += w[i] * h->slope[i];
    expect_gradient(c, round, "gradient", gx, want);
    for (int64_t i = 0; i < count; i++)
        want[i] = h->origin[i] >= 0 ? v[h->origin[i]] * h->slope[i] : 0;
    expect_gradient(c, round, "second gradient", gw, want);
}

static void test_random_chains(void **state)
{
    (void)state;
    bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    for (int round = 0, rounds = support_rounds(cpu ? ROUNDS : OPENCL_ROUNDS); round < rounds; round++) {
        clg_random random = clg_random_new(support_seed(), (uint64_t)round);
        chain *c = views_chain(device, &random);
        for (int steps = 1 + (int)views_below(c, MAX_STEPS); steps > 0; steps--) {
            uint32_t kind = views_below(c, 12);
            if (kind < 2)
                join_step(c, kind);
            else if (kind == 2)
                function_step(c);
            else
                views_step(c);
        }
        expect_elements(c, round);
        if (clg_dtype_is_real(clg_dtype_of(c->leaf)) && clg_dtype_is_real(c->now->dtype) && !c->approximate)
            expect_gradients(c, round);
        clg_graph_free(c->g);
        free(c);
    }
}

/* ---------------------------------------------------------------- examples */

static void expect_array(clg_var x, clg_shape shape, const double *want)
{
    if (!clg_is_valid(x))
        fail_msg("%s", clg_last_error());
    if (!clg_shape_equal(clg_shape_of(x), shape))
        fail_msg("the shape is %s, not %s", views_text(clg_shape_of(x)), views_text(shape));
    double *got = support_values(x);
    for (int64_t i = 0; i < clg_shape_count(shape); i++)
        if (got[i] != want[i] || !signbit(got[i]) != !signbit(want[i]))
            fail_msg("element %" PRId64 " is %g, not %g", i, got[i], want[i]);
    free(got);
}

#define EXPECT(x, shape, ...) expect_array(x, shape, (const double[]){__VA_ARGS__})

/* 0, 1, 2, ... in a shape. */
static clg_var counting(clg_graph *g, clg_shape shape)
{
    double values[64];
    for (int i = 0; i < 64; i++)
        values[i] = i;
    return support_leaf(g, CLG_F32, shape, values);
}

static void test_axes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 3)), column = clg_reshape(x, CLG_SHAPE(1, 6, 1)), scalar = clg_scalar(g, 5);
    EXPECT(clg_index(x, 1, 0), CLG_SHAPE(2), 0, 3);
    EXPECT(clg_index(x, -2, -1), CLG_SHAPE(3), 3, 4, 5);
    EXPECT(clg_index(clg_index(x, 0, 1), 0, 2), CLG_SCALAR, 5);
    EXPECT(clg_flip(x, CLG_AXES(1)), CLG_SHAPE(2, 3), 2, 1, 0, 5, 4, 3);
    EXPECT(clg_flip(x, CLG_ALL_AXES), CLG_SHAPE(2, 3), 5, 4, 3, 2, 1, 0);
    assert_int_equal(clg_flip(clg_flip(x, CLG_AXES(0)), CLG_AXES(0)).id, x.id);
    EXPECT(clg_flip(scalar, CLG_ALL_AXES), CLG_SCALAR, 5);
    EXPECT(clg_swap_axes(x, 0, -1), CLG_SHAPE(3, 2), 0, 3, 1, 4, 2, 5);
    EXPECT(clg_squeeze(column, CLG_AXES(-1)), CLG_SHAPE(1, 6), 0, 1, 2, 3, 4, 5);
    EXPECT(clg_squeeze(column, CLG_ALL_AXES), CLG_SHAPE(6), 0, 1, 2, 3, 4, 5);
    EXPECT(clg_squeeze(clg_index(column, 1, 4), CLG_ALL_AXES), CLG_SCALAR, 4);
    EXPECT(clg_expand_dims(x, CLG_AXES(-1, 0)), CLG_SHAPE(1, 2, 3, 1), 0, 1, 2, 3, 4, 5);
    EXPECT(clg_expand_dims(scalar, CLG_AXES(0)), CLG_SHAPE(1), 5);
    clg_graph_free(g);
}

/* The example of the header: (n, c, i, j, p, q) = x(n, c, 2 i + p, 2 j + q). */
static void test_window(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(1, 2, 5, 6)), row = counting(g, CLG_SHAPE(7));
    clg_var y = clg_window(x, CLG_AXES(2, 3), CLG_SHAPE(3, 3), CLG_SHAPE(2, 2), CLG_SCALAR);
    assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(1, 2, 2, 2, 3, 3)));
    EXPECT(clg_index(clg_index(clg_index(clg_index(y, 0, 0), 0, 1), 0, 1), 0, 1), CLG_SHAPE(3, 3), 44, 45, 46, 50, 51,
           52, 56, 57, 58);
    EXPECT(clg_window(row, CLG_AXES(0), CLG_SHAPE(3), CLG_SCALAR, CLG_SHAPE(2)), CLG_SHAPE(3, 3), 0, 2, 4, 1, 3, 5, 2,
           4, 6);
    clg_graph_free(g);
}

/* An index has other digits where it runs further: the first row of (2, 3), then all six elements, in one program. */
static void test_digits(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 3)), row = clg_neg(clg_index(x, 0, 0));
    clg_var back = clg_reshape(clg_flip(clg_neg(clg_reshape(counting(g, CLG_SHAPE(6)), CLG_SHAPE(2, 3))), CLG_AXES(1)),
                               CLG_SHAPE(6));
    clg_var y = clg_sub(back, clg_reshape(x, CLG_SHAPE(6)));
    clg_program *p = clg_compile(g, (clg_var[]){row, y}, 2);
    assert_non_null(p);
    assert_int_equal(clg_run(p), CLG_OK);
    EXPECT(row, CLG_SHAPE(3), -0.0, -1, -2);
    EXPECT(y, CLG_SHAPE(6), -2, -2, -2, -8, -8, -8);
    clg_program_free(p);
    clg_graph_free(g);
}

/* NumPy's results. */
static void test_pad(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(3)), y = counting(g, CLG_SHAPE(2, 2)), u = clg_cast(x, CLG_U8);
    const clg_shape two = CLG_SHAPE(2), none = CLG_SCALAR, wide = CLG_SHAPE(4), seven = CLG_SHAPE(7);
    EXPECT(clg_pad(x, two, CLG_SHAPE(1), CLG_PAD_CONSTANT, -7), CLG_SHAPE(6), -7, -7, 0, 1, 2, -7);
    EXPECT(clg_pad(x, none, CLG_SHAPE(1), CLG_PAD_CONSTANT, -0.0), CLG_SHAPE(4), 0, 1, 2, -0.0);
    EXPECT(clg_pad(u, none, CLG_SHAPE(1), CLG_PAD_CONSTANT, 300), CLG_SHAPE(4), 0, 1, 2, 255);
    EXPECT(clg_pad(x, two, two, CLG_PAD_EDGE, 0), seven, 0, 0, 0, 1, 2, 2, 2);
    EXPECT(clg_pad(x, two, two, CLG_PAD_REFLECT, 0), seven, 2, 1, 0, 1, 2, 1, 0);
    EXPECT(clg_pad(x, two, two, CLG_PAD_WRAP, 0), seven, 1, 2, 0, 1, 2, 0, 1);
    EXPECT(clg_pad(x, wide, wide, CLG_PAD_WRAP, 0), CLG_SHAPE(11), 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0);
    EXPECT(clg_pad(y, CLG_SHAPE(1, 0), CLG_SHAPE(0, 1), CLG_PAD_REFLECT, 0), CLG_SHAPE(3, 3), 2, 3, 2, 0, 1, 0, 2, 3,
           2);
    clg_var filled =
        clg_pad(clg_exp(clg_mul(x, clg_full(g, CLG_F32, CLG_SCALAR, 0))), none, CLG_SHAPE(1), CLG_PAD_CONSTANT, 0);
    EXPECT(filled, CLG_SHAPE(4), 1, 1, 1, 0);
    EXPECT(clg_pad(clg_array(g, CLG_F32, CLG_SHAPE(0), ""), two, none, CLG_PAD_CONSTANT, 3), CLG_SHAPE(2), 3, 3);
    clg_graph_free(g);
}

static void test_joins(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 2)), y = clg_neg(counting(g, CLG_SHAPE(2, 1))), parts[3];
    clg_var row = counting(g, CLG_SHAPE(2)), other = clg_cast(clg_neg(row), CLG_I32), bytes = clg_cast(row, CLG_U8);
    EXPECT(clg_concat((clg_var[]){x, y}, 2, 1), CLG_SHAPE(2, 3), 0, 1, -0.0, 2, 3, -1);
    EXPECT(clg_concat((clg_var[]){y, x, y}, 3, -1), CLG_SHAPE(2, 4), -0.0, 0, 1, -0.0, -1, 2, 3, -1);
    assert_int_equal(clg_concat(&x, 1, 0).id, x.id);
    EXPECT(clg_stack((clg_var[]){row, other}, 2, 0), CLG_SHAPE(2, 2), 0, 1, 0, -1);
    EXPECT(clg_stack((clg_var[]){row, other}, 2, -1), CLG_SHAPE(2, 2), 0, 0, 1, -1);
    EXPECT(clg_stack(&row, 1, 1), CLG_SHAPE(2, 1), 0, 1);
    assert_int_equal(clg_dtype_of(clg_concat((clg_var[]){bytes, other}, 2, 0)), CLG_I32);
    assert_int_equal(clg_dtype_of(clg_concat((clg_var[]){bytes, other, row}, 3, 0)), CLG_F32);
    assert_int_equal(clg_split(clg_arange(g, CLG_I32, 6), 0, (const int64_t[]){2, 0, 4}, 3, parts), CLG_OK);
    EXPECT(parts[0], CLG_SHAPE(2), 0, 1);
    EXPECT(parts[1], CLG_SHAPE(0), 0);
    EXPECT(parts[2], CLG_SHAPE(4), 2, 3, 4, 5);
    clg_var empty = clg_array(g, CLG_F32, CLG_SHAPE(0, 2), ""), narrow = clg_array(g, CLG_F32, CLG_SHAPE(2, 0), "");
    EXPECT(clg_concat((clg_var[]){empty, x, empty}, 3, 0), CLG_SHAPE(2, 2), 0, 1, 2, 3);
    EXPECT(clg_concat((clg_var[]){empty, empty}, 2, 1), CLG_SHAPE(0, 4), 0);
    EXPECT(clg_stack((clg_var[]){narrow, narrow}, 2, 1), CLG_SHAPE(2, 2, 0), 0);
    EXPECT(clg_tile(row, CLG_SHAPE(3)), CLG_SHAPE(6), 0, 1, 0, 1, 0, 1);
    EXPECT(clg_tile(x, CLG_SHAPE(1, 2)), CLG_SHAPE(2, 4), 0, 1, 0, 1, 2, 3, 2, 3);
    EXPECT(clg_tile(x, CLG_SHAPE(2, 0)), CLG_SHAPE(4, 0), 0);
    EXPECT(clg_repeat(row, 0, 3), CLG_SHAPE(6), 0, 0, 0, 1, 1, 1);
    EXPECT(clg_repeat(x, 0, 2), CLG_SHAPE(4, 2), 0, 1, 0, 1, 2, 3, 2, 3);
    assert_null(clg_graph_error(g));
    clg_graph_free(g);
}

/* An axis of extent 2, ten times over; more repeated axes than there is room for at once. */
static void test_high_ranks(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 1, 2, 2, 1, 2, 1, 2)); /* 32 elements */
    clg_var tiled = clg_tile(x, CLG_SHAPE(2, 3, 2, 2, 1, 2, 2, 2)), repeated = clg_repeat(x, 7, 2);
    assert_true(clg_shape_equal(clg_shape_of(tiled), CLG_SHAPE(4, 3, 4, 4, 1, 4, 2, 4)));
    double *got = support_values(tiled), *twice = support_values(repeated);
    for (int64_t i = 0; i < clg_shape_count(clg_shape_of(tiled)); i++) {
        int64_t at[CLG_MAX_DIMS] = {0};
        views_unflat(clg_shape_of(tiled), i, at);
        for (int d = 0; d < 8; d++)
            at[d] %= clg_shape_of(x).dim[d];
        assert_true(got[i] == (double)views_flat(clg_shape_of(x), at));
    }
    for (int i = 0; i < 64; i++)
        assert_true(twice[i] == i / 2);
    free(got);
    free(twice);
    clg_graph_free(g);
}

/* Many parts: every bit, and every part's own gradient. */
static void test_many_parts(void **state)
{
    (void)state;
    enum { PARTS = 1000 };
    static clg_var parts[PARTS];
    clg_graph *g = clg_graph_new(device);
    double values[PARTS];
    for (int i = 0; i < PARTS; i++) {
        const float data[] = {(float)i, -0.0f};
        parts[i] = clg_array(g, CLG_F32, CLG_SHAPE(1, 2), data);
        values[i] = i % 7;
    }
    clg_var y = clg_concat(parts, PARTS, 0), gx[2];
    double *got = support_values(y);
    for (int i = 0; i < PARTS; i++)
        assert_true(got[2 * i] == i && got[2 * i + 1] == 0 && signbit(got[2 * i + 1]));
    free(got);
    clg_var weight = support_leaf(g, CLG_F32, CLG_SHAPE(PARTS, 1), values);
    clg_gradients(clg_mul(y, weight), (clg_var[]){parts[0], parts[640]}, 2, gx);
    EXPECT(gx[0], CLG_SHAPE(1, 2), 0, 0);
    EXPECT(gx[1], CLG_SHAPE(1, 2), 640 % 7, 640 % 7);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- errors */

/* No shape is made that has a negative extent, or whose bytes could not be counted. */
static void test_errors_of_shapes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int64_t large = (int64_t)1 << 31, larger = (int64_t)1 << 62;
    const int32_t first = 0;
    clg_var x = counting(g, CLG_SHAPE(6)), empty = clg_input(g, CLG_F32, CLG_SHAPE(0, 3)), one = clg_scalar(g, 1),
            row = clg_array(g, CLG_I32, CLG_SHAPE(1), &first);
    support_expect_error(clg_reshape(x, CLG_SHAPE(-2, -3)), "reshape: (6,) has 6 elements and does not fit (-2, -3)");
    support_expect_error(clg_reshape(x, CLG_SHAPE(-1, 4)), "reshape: (6,) has 6 elements and does not fit (-1, 4)");
    support_expect_error(clg_reshape(x, CLG_SHAPE(-1, -1)), "does not fit (-1, -1)");
    support_expect_error(clg_reshape(x, CLG_SHAPE(larger, larger, 16)), "does not fit (4611686018427387904, ");
    support_expect_error(clg_reshape(empty, CLG_SHAPE(-1, 0)), "reshape: axis 0 of (-1, 0) could be anything");
    support_expect_error(clg_reshape(x, (clg_shape){.rank = 100}), "reshape: rank 100 is not in 0..8");
    support_expect_error(clg_reshape(x, (clg_shape){.rank = -1}), "reshape: rank -1 is not in 0..8");
    support_expect_error(clg_broadcast_to(one, CLG_SHAPE(-3)), "broadcast_to: axis 0 of shape (-3,) has a negative");
    support_expect_error(clg_broadcast_to(one, CLG_SHAPE(larger, 8)), "has too many elements");
    support_expect_error(clg_broadcast_to(one, CLG_SHAPE(large, large)), "has too many elements");
    support_expect_error(clg_broadcast_to(one, (clg_shape){.rank = 100}), "does not broadcast to (rank 100)");
    support_expect_error(clg_scatter_add(row, clg_reshape(one, CLG_SHAPE(1)), larger),
                         "scatter_add: shape (4611686018");
    support_expect_error(clg_scatter_add(row, clg_reshape(one, CLG_SHAPE(1)), -1), "(rows -1)");
    support_expect_error(clg_tile(x, CLG_SHAPE(larger)), "tile");
    clg_var long_axis = clg_broadcast_to(one, CLG_SHAPE(large)), other = clg_reshape(long_axis, CLG_SHAPE(large, 1));
    support_expect_error(clg_add(long_axis, other), "has too many elements");
    assert_true(clg_shape_equal(clg_shape_of(clg_reshape(empty, CLG_SHAPE(0, 7))), CLG_SHAPE(0, 7)));
    assert_true(clg_is_valid(clg_reshape(empty, CLG_SHAPE(larger, larger, 0)))); /* empty, whatever the others are */
    clg_graph_free(g);
}

static void test_errors_of_axes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 3)), deep = counting(g, CLG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    clg_axes nine = {.count = 9, .axis = {0, 1, 2, 3, 4, 5, 6, 7}};
    support_expect_error(clg_index(x, 2, 0), "index: axis 2 is not an axis of shape (2, 3)");
    support_expect_error(clg_index(x, 1, 3), "index: axis 1 of shape (2, 3) has no element 3");
    support_expect_error(clg_index(x, 1, -4), "has no element -4");
    support_expect_error(clg_flip(x, CLG_AXES(0, -2)), "flip: an axis is repeated or not in -2..1 of shape (2, 3)");
    support_expect_error(clg_flip(deep, nine), "flip: 9 axes of shape (1, 1, 1, 1, 1, 1, 1, 1); there are 0 to 8");
    support_expect_error(clg_flip(x, (clg_axes){.count = -2}), "flip: -2 axes of shape (2, 3)");
    support_expect_error(clg_sum(x, (clg_axes){.count = INT_MIN}, false), "sum: -2147483648 axes of shape (2, 3)");
    support_expect_error(clg_swap_axes(x, 0, 2), "swap_axes: axis 2 is not an axis");
    support_expect_error(clg_squeeze(x, CLG_AXES(1)), "squeeze: axis 1 of shape (2, 3) has extent 3, not 1");
    support_expect_error(clg_expand_dims(x, CLG_AXES(4)),
                         "expand_dims: an axis is repeated or not in -3..2 of the result");
    support_expect_error(clg_expand_dims(deep, CLG_AXES(0)), "expand_dims: 0 to 0 axes can be added");
    support_expect_error(clg_expand_dims(x, CLG_ALL_AXES),
                         "expand_dims: 0 to 6 axes can be added to shape (2, 3), not -1");
    support_expect_error(clg_window(x, CLG_AXES(1), CLG_SHAPE(4), CLG_SCALAR, CLG_SCALAR), "window: ");
    support_expect_error(clg_window(x, CLG_AXES(1), CLG_SHAPE(2), CLG_SHAPE(0), CLG_SCALAR), "window: ");
    support_expect_error(clg_window(x, CLG_AXES(1, 1), CLG_SHAPE(1, 1), CLG_SCALAR, CLG_SCALAR),
                         "window: an axis is repeated");
    clg_graph_free(g);
}

static void test_errors_of_joins(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *foreign = clg_graph_new(device);
    clg_var x = counting(g, CLG_SHAPE(2, 3)), y = counting(g, CLG_SHAPE(2, 4)), parts[2];
    clg_var deep = counting(g, CLG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1)), empty = clg_array(g, CLG_F32, CLG_SHAPE(2, 0), "");
    const clg_shape one = CLG_SHAPE(1, 1), none = CLG_SCALAR;
    support_expect_error(clg_concat((clg_var[]){x, y}, 2, 0),
                         "concat: part 1 (2, 4) does not fit part 0 (2, 3): only axis 0 may");
    support_expect_error(clg_concat((clg_var[]){x, clg_scalar(g, 1)}, 2, 0), "concat: part 1 () does not fit");
    support_expect_error(clg_concat((clg_var[]){x, clg_scalar(foreign, 1)}, 2, 0),
                         "concat: operands 0 and 1 belong to different");
    support_expect_error(clg_concat(&x, 1, 2), "concat: axis 2 is not an axis");
    support_expect_error(clg_concat(NULL, 0, 0), "concat: needs at least one part, not 0");
    support_expect_error(clg_stack((clg_var[]){x, y}, 2, 0),
                         "stack: part 1 (2, 4) does not have the shape of part 0, (2, 3)");
    support_expect_error(clg_stack(&x, 1, 3), "stack: axis 3 is not in -3..2 of the result of parts (2, 3)");
    support_expect_error(clg_stack(&deep, 1, 0), "stack: shape (1, 1, 1, 1, 1, 1, 1, 1) has 8 axes already");
    assert_int_equal(clg_split(x, 1, (const int64_t[]){1, 1}, 2, parts), CLG_ERROR_ARGUMENT);
    support_expect_error(
        parts[1], "split: the sizes of 2 parts must not be negative and must add up to 3, axis 1 of shape (2, 3)");
    assert_int_equal(clg_split(x, 1, (const int64_t[]){4, -1}, 2, parts), CLG_ERROR_ARGUMENT);
    support_expect_error(parts[0], "split: the sizes");
    support_expect_error(clg_tile(x, CLG_SHAPE(2)),
                         "tile: repeats (2,) must have a number for each axis of shape (2, 3)");
    support_expect_error(clg_tile(x, CLG_SHAPE(2, -1)), "tile: axis 1 of shape (2, 3) cannot be repeated -1 times");
    support_expect_error(clg_repeat(x, 0, INT64_MAX),
                         "repeat: axis 0 of shape (2, 3) cannot be repeated 9223372036854775807");
    support_expect_error(clg_repeat(x, 0, INT64_MAX / 4), "too many elements");
    support_expect_error(clg_pad(x, CLG_SHAPE(1), none, CLG_PAD_EDGE, 0),
                         "pad: before (1,) must have a width, 0 or more, for each");
    support_expect_error(clg_pad(x, none, CLG_SHAPE(0, -1), CLG_PAD_EDGE, 0), "pad: after (0, -1) must have a width");
    support_expect_error(clg_pad(x, CLG_SHAPE(2, 0), none, CLG_PAD_REFLECT, 0),
                         "pad: reflecting 2 elements needs an axis longer");
    support_expect_error(clg_pad(empty, one, none, CLG_PAD_WRAP, 0), "pad: axis 1 of shape (2, 0) is empty");
    support_expect_error(clg_pad(x, none, none, (clg_pad_mode)9, 0), "pad: 9 is not a mode");
    support_expect_error(clg_pad(x, CLG_SHAPE(INT64_MAX, 0), none, CLG_PAD_CONSTANT, 0),
                         "pad: axis 0 of shape (2, 3) is too long with 9223372036854775807 before and 0 after");
    clg_var bad = clg_add(x, y); /* poison spreads, the first message stays */
    support_expect_error(clg_concat((clg_var[]){clg_flip(clg_tile(bad, one), CLG_AXES(0)), x}, 2, 0),
                         "add: shapes do not");
    clg_graph_free(g);
    clg_graph_free(foreign);
}

/* However many other views were made in between. */
static void test_equal_views_are_one(void **state)
{
    (void)state;
    enum { BETWEEN = 100 };
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(200, 3)), turned = clg_transpose(x);
    clg_var window = clg_window(x, CLG_AXES(0), CLG_SHAPE(3), CLG_SCALAR, CLG_SCALAR);
    for (int i = 1; i < BETWEEN; i++)
        assert_true(clg_is_valid(clg_slice(x, 0, i, INT64_MAX, 1)));
    assert_int_equal(clg_transpose(x).id, turned.id);
    assert_int_equal(clg_window(x, CLG_AXES(0), CLG_SHAPE(3), CLG_SCALAR, CLG_SCALAR).id, window.id);
    assert_int_not_equal(clg_window(x, CLG_AXES(0), CLG_SHAPE(3), CLG_SHAPE(2), CLG_SCALAR).id, window.id);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_high_ranks),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_errors_of_shapes),
        cmocka_unit_test(test_errors_of_axes),
        cmocka_unit_test(test_errors_of_joins),
        cmocka_unit_test(test_equal_views_are_one),
        cmocka_unit_test(test_random_chains),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
