/* Elements taken and put by index, and their gradients, against plain loops: indices repeated, negative and out of
 * range, of both dtypes. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }

/* ---------------------------------------------------------------- plain loops
 *
 * Of taking and of putting the same place is asked: which element of x belongs to an element of the result, or of the
 * updates. */

typedef enum way { SLICES, ELEMENTS, ND } way;

typedef struct place {
    way way;
    clg_shape x, indices;
    int axis; /* ND: the number of axes of batches */
} place;

enum { MOST = 128 }; /* elements of each array */

static clg_shape shape_of_result(const place *p)
{
    clg_shape shape = p->indices;
    const int depth = p->way == ND ? (int)shape.dim[shape.rank - 1] : 1;
    if (p->way == SLICES) {
        shape = (clg_shape){.rank = 0};
        for (int d = 0; d < p->axis; d++)
            shape.dim[shape.rank++] = p->x.dim[d];
        for (int d = 0; d < p->indices.rank; d++)
            shape.dim[shape.rank++] = p->indices.dim[d];
    }
    if (p->way == ND)
        shape.rank--;
    for (int d = p->axis + depth; d < p->x.rank && p->way != ELEMENTS; d++)
        shape.dim[shape.rank++] = p->x.dim[d];
    return shape;
}

/* Where an index is of an axis; -1: nowhere. */
static int64_t counted(double index, int64_t length)
{
    const int64_t i = (int64_t)index, from_front = i < 0 ? i + length : i;
    return from_front >= 0 && from_front < length ? from_front : -1;
}

static int64_t product(clg_shape shape, int from, int to)
{
    int64_t count = 1;
    for (int d = from; d < to; d++)
        count *= shape.dim[d];
    return count;
}

/* Number of the element of x that belongs to element o; -1: none. */
static int64_t source(const place *p, const double *indices, int64_t o)
{
    const int rank = p->x.rank, many = p->indices.rank;
    if (p->way == SLICES) {
        const int64_t inner = product(p->x, p->axis + 1, rank), count = clg_shape_count(p->indices);
        const int64_t length = p->x.dim[p->axis], at = counted(indices[o / inner % count], length);
        return at < 0 ? -1 : (o / inner / count * length + at) * inner + o % inner;
    }
    if (p->way == ELEMENTS) {
        int64_t number = 0, step = 1;
        for (int64_t d = rank, left = o; d-- > 0; left /= p->indices.dim[d], step *= p->x.dim[d]) {
            const int64_t at = d == p->axis ? counted(indices[o], p->x.dim[d]) : left % p->indices.dim[d];
            if (at < 0)
                return -1;
            number += at * step;
        }
        return number;
    }
    const int64_t depth = p->indices.dim[many - 1], inner = product(p->x, p->axis + (int)depth, rank);
    const int64_t row = o / inner, rows_of_batch = product(p->indices, p->axis, many - 1);
    int64_t number = row / rows_of_batch; /* the batch */
    for (int k = 0; k < depth; k++) {
        const int64_t length = p->x.dim[p->axis + k], at = counted(indices[row * depth + k], length);
        if (at < 0)
            return -1;
        number = number * length + at;
    }
    return number * inner + o % inner;
}

/* ---------------------------------------------------------------- cases */

static const clg_dtype dtypes[] = {CLG_F32, CLG_I32, CLG_F64, CLG_U8};

typedef struct data {
    clg_graph *g;
    clg_dtype dtype;
    bool real;
    int64_t count, given; /* elements of x; of updates */
    double x[MOST], updates[MOST], indices[MOST], weights[MOST];
    clg_var leaf, update_leaf, index_leaf, weight_leaf;
} data;

/* Values that are all different and exact in every dtype; indices, a few of them out of range. */
static void make(data *d, const place *p, clg_dtype dtype, bool bytes, bool inside, clg_random *random)
{
    const clg_shape result = shape_of_result(p);
    const int depth = p->way == ND ? (int)p->indices.dim[p->indices.rank - 1] : 1;
    *d = (data){.g = clg_graph_new(device), .dtype = dtype, .real = dtype == CLG_F32 || dtype == CLG_F64};
    d->count = clg_shape_count(p->x);
    d->given = clg_shape_count(result);
    int order[2 * MOST];
    assert_true(d->count <= MOST && d->given <= MOST && clg_shape_count(p->indices) <= MOST);
    for (int i = 0; i < d->count + d->given; i++) {
        const int j = (int)clg_random_below(random, (uint32_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (int i = 0; i < MOST; i++) {
        d->x[i] = i < d->count ? order[i] : 0;
        d->updates[i] = i < d->given ? order[d->count + i] : 0;
        d->weights[i] = 1 + clg_random_below(random, 16);
        const int64_t length = p->x.dim[p->axis + i % depth], edge = inside ? 0 : 1;
        const int64_t least = bytes ? 0 : -length - edge;
        d->indices[i] = (double)(least + clg_random_below(random, (uint32_t)(length + edge - least)));
    }
    d->leaf = support_leaf(d->g, dtype, p->x, d->x);
    d->update_leaf = support_leaf(d->g, dtype, result, d->updates);
    d->index_leaf = support_leaf(d->g, bytes ? CLG_U8 : CLG_I32, p->indices, d->indices);
    d->weight_leaf = support_leaf(d->g, d->real ? dtype : CLG_F32, clg_shape_of(d->update_leaf), d->weights);
}

static clg_var take(const place *p, clg_var x, clg_var indices)
{
    if (p->way == ND)
        return clg_gather_nd(x, indices, p->axis);
    const int axis = p->x.rank % 2 ? p->axis : p->axis - p->x.rank;
    return p->way == SLICES ? clg_take(x, indices, axis) : clg_gather_elements(x, indices, axis);
}

static clg_var put(const place *p, clg_var x, clg_var indices, clg_var updates, clg_scatter_mode mode)
{
    if (p->way == ND)
        return clg_scatter_nd(x, indices, updates, mode);
    const int axis = p->x.rank % 2 ? p->axis - p->x.rank : p->axis;
    return p->way == SLICES ? clg_scatter(x, indices, updates, axis, mode)
                            : clg_scatter_elements(x, indices, updates, axis, mode);
}

static void run(clg_graph *g, const clg_var *outputs, int count)
{
    clg_program *p = clg_compile(g, outputs, count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    clg_program_free(p);
}

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), { __VA_ARGS__ }                                            \
    }
static const place places[] = {
    {SLICES, SHAPE(5, 3), SHAPE(4), 0},
    {SLICES, SHAPE(2, 5, 3), SHAPE(7), 1},
    {ELEMENTS, SHAPE(3, 5), SHAPE(2, 7), 1},
    {ELEMENTS, SHAPE(4, 3, 2), SHAPE(6, 3, 1), 0},
    {ELEMENTS, SHAPE(6), SHAPE(9), 0},
    {ND, SHAPE(3, 4, 2), SHAPE(5, 2), 0},
    {ND, SHAPE(3, 2, 4), SHAPE(2, 4, 3), 0},
    {ND, SHAPE(3, 4), SHAPE(4, 1), 0},
    /* these only take */
    {SLICES, SHAPE(2, 5, 3), SHAPE(2, 2), 1},
    {SLICES, SHAPE(4, 6), {0, {0}}, 1},
    {ND, SHAPE(3, 4, 2), SHAPE(3, 2, 1), 1},
    {ND, SHAPE(2, 3, 4, 2), SHAPE(2, 3, 2), 1},
};
enum { PLACES = sizeof places / sizeof *places, PUTS = 8 };

/* ---------------------------------------------------------------- taking */

static void test_take(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 1);
    for (int i = 0; i < PLACES * 4; i++) {
        const place *p = &places[i % PLACES];
        const clg_dtype dtype = dtypes[(i % PLACES + i / PLACES) % 4];
        if ((dtype == CLG_F64 && !clg_device_get_info(device)->has_f64) || (!on_the_cpu() && i >= PLACES))
            continue;
        data d;
        double want[MOST], back[MOST] = {0};
        make(&d, p, dtype, i % 3 == 0, false, &random);
        for (int64_t o = 0; o < d.given; o++) {
            const int64_t from = source(p, d.indices, o);
            want[o] = from >= 0 ? d.x[from] : d.real ? NAN : 0;
            if (from >= 0)
                back[from] += d.weights[o];
        }
        clg_var y[2] = {take(p, d.leaf, d.index_leaf), CLG_NONE};
        assert_true(clg_is_valid(y[0]) && clg_dtype_of(y[0]) == dtype);
        assert_true(clg_shape_equal(clg_shape_of(y[0]), shape_of_result(p)));
        if (d.real)
            clg_gradients(clg_mul(y[0], d.weight_leaf), &d.leaf, 1, &y[1]);
        run(d.g, y, d.real ? 2 : 1);
        support_expect(y[0], want, 0, clg_dtype_name(dtype));
        if (d.real)
            support_expect(y[1], back, 0, "gradient of taking");
        clg_graph_free(d.g);
    }
}

/* ---------------------------------------------------------------- putting */

/* What is there then, and whose value it is: -1: x's. Gradients for x and updates of the weighted sum. */
static void plain_put(const data *d, const place *p, clg_scatter_mode mode, double *y, double *for_x, double *for_u)
{
    int64_t owner[MOST];
    for (int64_t i = 0; i < d->count; i++) {
        y[i] = d->x[i];
        owner[i] = -1;
    }
    for (int64_t o = 0; o < d->given; o++) {
        const int64_t to = source(p, d->indices, o);
        for_u[o] = 0;
        if (to < 0)
            continue;
        if (mode == CLG_SCATTER_ADD) {
            y[to] += d->updates[o];
            y[to] = d->dtype == CLG_U8 ? fmod(y[to], 256) : y[to];
            for_u[o] = d->weights[to];
        } else if (mode == CLG_SCATTER_SET ||
                   (mode == CLG_SCATTER_MAX ? d->updates[o] > y[to] : d->updates[o] < y[to])) {
            y[to] = d->updates[o];
            owner[to] = o;
        }
    }
    for (int64_t i = 0; i < d->count; i++) {
        for_x[i] = owner[i] < 0 ? d->weights[i] : 0;
        if (owner[i] >= 0)
            for_u[owner[i]] = d->weights[i];
    }
}

static void test_put(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 2);
    for (int i = 0; i < PUTS * 16; i++) {
        const place *p = &places[i % PUTS];
        const clg_dtype dtype = dtypes[i / PUTS % 4];
        const clg_scatter_mode mode = (clg_scatter_mode)((i + i / PUTS / 4) % 4);
        /* elsewhere: each mode once, and each dtype */
        const bool chosen = i % (PUTS * 4) == 0 || i == 1 || i == PUTS + 2 || i == 2 * PUTS + 6 || i == 3 * PUTS + 7;
        if ((dtype == CLG_F64 && !clg_device_get_info(device)->has_f64) || (!on_the_cpu() && !chosen))
            continue;
        data d;
        double want[MOST], for_x[MOST], for_u[MOST];
        make(&d, p, dtype, i % 3 == 0, false, &random);
        plain_put(&d, p, mode, want, for_x, for_u);
        clg_var y[3] = {put(p, d.leaf, d.index_leaf, d.update_leaf, mode), CLG_NONE, CLG_NONE};
        assert_true(clg_is_valid(y[0]) && clg_dtype_of(y[0]) == dtype);
        assert_true(clg_shape_equal(clg_shape_of(y[0]), p->x));
        clg_var w = support_leaf(d.g, d.real ? dtype : CLG_F32, p->x, d.weights);
        if (d.real)
            clg_gradients(clg_mul(y[0], w), (clg_var[]){d.leaf, d.update_leaf}, 2, y + 1);
        run(d.g, y, d.real ? 3 : 1);
        char what[64];
        snprintf(what, sizeof what, "place %d, mode %d, %s", i % PUTS, (int)mode, clg_dtype_name(dtype));
        support_expect(y[0], want, 0, what);
        if (d.real) {
            support_expect(y[1], for_x, 0, what);
            support_expect(y[2], for_u, 0, what);
        }
        clg_graph_free(d.g);
    }
}

/* ---------------------------------------------------------------- gradients */

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 3);
    for (int i = 0; i < PLACES; i++) {
        data d;
        make(&d, &places[i], CLG_F64, false, true, &random);
        /* as many values, smaller, so that differences see their sines */
        for (int64_t j = 0; j < d.count; j++)
            d.x[j] = d.x[j] / 16 - 2;
        for (int64_t j = 0; j < d.given; j++)
            d.updates[j] = d.updates[j] / 16 - 2;
        const clg_var x[] = {support_leaf(d.g, CLG_F64, places[i].x, d.x),
                             support_leaf(d.g, CLG_F64, shape_of_result(&places[i]), d.updates)};
        support_expect_gradients(take(&places[i], clg_square(x[0]), d.index_leaf), x, 1, &random, "taking");
        for (int mode = 0; mode < 4 && i < PUTS; mode++)
            support_expect_gradients(
                put(&places[i], clg_sin(x[0]), d.index_leaf, clg_sin(x[1]), (clg_scatter_mode)mode), x, 2, &random,
                "putting");
        clg_graph_free(d.g);
    }
}

/* ---------------------------------------------------------------- ties */

static clg_var numbers(clg_graph *g, clg_dtype dtype, int64_t count, const double *values)
{
    return support_leaf(g, dtype, CLG_SHAPE(count), values);
}
#define NUMBERS(dtype, ...)                                                                                            \
    numbers(g, dtype, (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

/* Equal updates share the gradient evenly; what is put beside x's own element, with it. */
static void test_ties(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var at = NUMBERS(CLG_I32, 1, 0, 1, 1, 7, 3, 3, 3), w = NUMBERS(CLG_F32, 3, 6, 9, 12);
    clg_var u = NUMBERS(CLG_F32, 2, 5, 2, 1, 9, -1, -1, -1), v = NUMBERS(CLG_F32, 2, 5, 2, 4, 9, -1, -1, -1);
    clg_var one = NUMBERS(CLG_I32, 0, -1), x = NUMBERS(CLG_F32, 4, 5, 6, 7), same = NUMBERS(CLG_F32, 4, 8);
    clg_var y[8] = {clg_scatter_max(clg_minimum(at, clg_scalar_like(at, 7)), u, 4),
                    clg_scatter_min(clg_minimum(at, clg_scalar_like(at, 7)), v, 4),
                    clg_scatter(x, one, same, 0, CLG_SCATTER_MAX), clg_scatter(x, one, same, 0, CLG_SCATTER_MIN)};
    clg_gradients(clg_mul(y[0], w), &u, 1, &y[4]);
    clg_gradients(clg_mul(y[1], w), &v, 1, &y[5]);
    clg_gradients(clg_mul(y[2], w), &x, 1, &y[6]);
    clg_gradients(clg_mul(y[2], w), &same, 1, &y[7]);
    run(g, y, 8);
    support_expect(y[0], (double[]){5, 2, -INFINITY, -1}, 0, "scatter_max");
    support_expect(y[1], (double[]){5, 2, INFINITY, -1}, 0, "scatter_min");
    support_expect(y[2], (double[]){4, 5, 6, 8}, 0, "the larger");
    support_expect(y[3], (double[]){4, 5, 6, 7}, 0, "the smaller");
    support_expect(y[4], (double[]){3, 3, 3, 0, 0, 4, 4, 4}, 1e-6, "gradient of scatter_max");
    support_expect(y[5], (double[]){3, 3, 3, 0, 0, 4, 4, 4}, 1e-6, "gradient of scatter_min");
    support_expect(y[6], (double[]){1.5, 6, 9, 0}, 0, "gradient for x");
    support_expect(y[7], (double[]){1.5, 12}, 0, "gradient for an update");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- edges */

/* Infinities that were there are as others; NaN is put as it is, and wins over numbers. */
static void test_specials(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = NUMBERS(CLG_F32, -INFINITY, INFINITY, NAN, 1), at = NUMBERS(CLG_I32, 3, 3, 4, -5);
    clg_var u = NUMBERS(CLG_F32, 2, NAN, 7, 8), w = NUMBERS(CLG_F32, 1, 2, 3, 4);
    clg_var y[6] = {clg_scatter(x, at, u, 0, CLG_SCATTER_SET), clg_scatter(x, at, u, 0, CLG_SCATTER_ADD),
                    clg_scatter(x, at, u, 0, CLG_SCATTER_MAX), clg_scatter(x, at, u, 0, CLG_SCATTER_MIN)};
    clg_gradients(clg_mul(y[2], w), &x, 1, &y[4]);
    clg_gradients(clg_mul(y[3], w), &x, 1, &y[5]);
    run(g, y, 6);
    for (int mode = 0; mode < 4; mode++)
        support_expect(y[mode], (double[]){-INFINITY, INFINITY, NAN, NAN}, 0, "infinities, NaN");
    for (int i = 4; i < 6; i++) {
        double *gradient = support_values(y[i]);
        assert_true(gradient[0] == 1 && gradient[1] == 2);
        free(gradient);
    }
    clg_graph_free(g);
}

static void expect_empty(clg_var x, clg_shape shape)
{
    if (!clg_is_valid(x) || !clg_shape_equal(clg_shape_of(x), shape))
        fail_msg("%s", clg_last_error());
    free(support_values(x));
}

static void test_empty(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(2, 2), (float[]){1, 2, 3, 4}), none = clg_slice(x, 1, 0, 0, 1);
    clg_var nowhere = clg_slice(NUMBERS(CLG_I32, 0, 1), 0, 0, 0, 1), at = NUMBERS(CLG_I32, 0, -1);
    clg_var rows = clg_reshape(at, CLG_SHAPE(2, 1)), no_rows = clg_slice(rows, 0, 0, 0, 1);
    const double all[] = {1, 2, 3, 4}, nan[] = {NAN, NAN, NAN, NAN};
    expect_empty(clg_take(x, nowhere, 1), CLG_SHAPE(2, 0));
    expect_empty(clg_take(none, at, 0), CLG_SHAPE(2, 0));
    expect_empty(clg_gather_elements(x, clg_reshape(nowhere, CLG_SHAPE(0, 1)), 0), CLG_SHAPE(0, 1));
    expect_empty(clg_gather_nd(x, no_rows, 0), CLG_SHAPE(0, 2));
    expect_empty(clg_gather_nd(clg_transpose(none), clg_slice(rows, 0, 0, 0, 1), 1), CLG_SHAPE(0));
    support_expect(clg_take(none, at, 1), nan, 0, "taken of nothing");
    for (int mode = 0; mode < 4; mode++) {
        const clg_scatter_mode m = (clg_scatter_mode)mode;
        support_expect(clg_scatter(x, nowhere, none, 1, m), all, 0, "nothing put");
        support_expect(clg_scatter_elements(x, clg_reshape(nowhere, CLG_SHAPE(0, 1)),
                                            clg_transpose(clg_slice(none, 0, 0, 1, 1)), 0, m),
                       all, 0, "no element put");
        support_expect(clg_scatter_nd(x, no_rows, clg_transpose(none), m), all, 0, "no row put");
        expect_empty(clg_scatter(none, at, clg_slice(x, 0, 0, 2, 1), 1, m), CLG_SHAPE(2, 0));
        if (!on_the_cpu())
            break;
    }
    clg_graph_free(g);
}

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_full(g, CLG_F32, CLG_SHAPE(2, 3), 1), at = NUMBERS(CLG_I32, 0, 1),
            two = clg_reshape(at, CLG_SHAPE(1, 2));
    const clg_scatter_mode set = CLG_SCATTER_SET;
    support_expect_error(clg_take(x, at, 2), "take: axis 2 is not an axis of shape (2, 3)");
    support_expect_error(clg_take(x, clg_cast(at, CLG_F32), 0), "take: indices must be i32, i64 or u8, not f32");
    support_expect_error(clg_take(x, CLG_NONE, 0), "take: operand 1 is not a variable");
    clg_var many = clg_full(g, CLG_I32, CLG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1), 0);
    support_expect_error(clg_take(x, many, 0), "give more than 8 axes");
    support_expect_error(clg_gather_elements(x, at, 0), "gather_elements: indices (2) must have the axes of (2, 3)");
    support_expect_error(clg_gather_elements(x, clg_full(g, CLG_I32, CLG_SHAPE(3, 1), 0), 1), "but along axis 1");
    support_expect_error(clg_gather_elements(x, two, -3), "gather_elements: axis -3 is not an axis");
    support_expect_error(clg_gather_nd(x, clg_full(g, CLG_I32, CLG_SHAPE(3), 0), 0), "gather_nd: indices (3)");
    support_expect_error(clg_gather_nd(x, clg_scalar_like(at, 0), 0), "gather_nd: indices () cannot choose");
    support_expect_error(clg_gather_nd(x, two, 1), "behind 1 common axes");
    support_expect_error(clg_gather_nd(x, two, -1), "behind -1 common axes");
    support_expect_error(clg_scatter(x, at, x, 1, set), "updates (2, 2)");
    support_expect_error(clg_scatter(x, two, x, 0, set), "there must be one axis of indices");
    support_expect_error(clg_scatter(x, at, x, 0, (clg_scatter_mode)4), "scatter: mode is 4");
    support_expect_error(clg_scatter(x, clg_cast(at, CLG_F32), x, 0, set), "scatter: indices must be i32, i64 or u8");
    support_expect_error(clg_scatter_elements(x, two, x, 1, set),
                         "updates (2, 3) must have the shape of indices (1, 2)");
    support_expect_error(clg_scatter_elements(x, two, two, 2, set), "scatter_elements: axis 2 is not an axis");
    support_expect_error(clg_scatter_nd(x, two, x, set), "scatter_nd: updates (2, 3) must have the shape (1)");
    support_expect_error(clg_scatter_nd(x, clg_full(g, CLG_I32, CLG_SHAPE(1, 3), 0), x, set), "scatter_nd: indices");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take),      cmocka_unit_test(test_put),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_ties),
                                       cmocka_unit_test(test_specials),  cmocka_unit_test(test_empty),
                                       cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
