/* Loops made by hand whose accesses have bounds: padding, windows, masks. */
#include "plan_cases.h"
#include "support_dtype.h"

#include "core/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_real(int dtype) { return clg_dtype_is_real((clg_dtype)dtype); }

/* lo <= dimension d < hi. */
static plan_bound range(int d, int64_t lo, int64_t hi)
{
    plan_bound bound = {.lo = lo, .hi = hi};
    bound.coef[d] = 1;
    return bound;
}

static void store_new(plan_builder *b, plan_step *s, int x)
{
    bool inner = s->sections[s->section_count - 1].kind == SECTION_INNER;
    plan_emit_store(b, s,
                    plan_add_output(b, (clg_dtype)s->instrs[x].dtype, s->outer_count * (inner ? s->inner_count : 1)),
                    inner ? plan_dense_all(s) : plan_dense_outer(s), x);
}

/* ---------------------------------------------------------------- pads */

/* (rows, columns) elements in the middle of more, another value around them; the same of places. */
static void add_pad(plan_builder *b, clg_dtype dtype, int64_t rows, int64_t columns, int64_t border, double value)
{
    plan_step *s = plan_add_step(b, 2, 0, (int64_t[]){rows + 2 * border, columns + border});
    plan_access access = {.offset = -border * columns, .stride = {columns, 1}};
    plan_begin_section(s, SECTION_OUTER);
    plan_add_bound(s, &access, range(0, border, border + rows));
    plan_add_bound(s, &access, range(1, 0, columns));
    store_new(b, s, plan_emit_load_or(b, s, plan_add_leaf(b, dtype, rows * columns, 0, 100), access, value));
    store_new(b, s, plan_emit_iota(s, dtype, access, value));
}

/* Two parts side by side: each is 0 where the other is. */
static void add_joined(plan_builder *b, int64_t rows, int64_t left, int64_t right)
{
    plan_step *s = plan_add_step(b, 2, 0, (int64_t[]){rows, left + right});
    plan_access access[2] = {{.stride = {left, 1}}, {.offset = -left, .stride = {right, 1}}};
    plan_begin_section(s, SECTION_OUTER);
    plan_add_bound(s, &access[0], range(1, 0, left));
    plan_add_bound(s, &access[1], range(1, left, left + right));
    int x = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, rows * left, -1, 1), access[0]);
    int y = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, rows * right, -1, 1), access[1]);
    store_new(b, s, plan_emit_op(s, OP_ADD, CLG_F32, x, y, -1));
}

/* Bounds that hold everywhere, some far from any position, and that hold nowhere, where the access is far outside. */
static void add_constant_bounds(plan_builder *b)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){21, 50});
    plan_access everywhere = plan_dense_all(s), nowhere = everywhere, empty = everywhere;
    nowhere.offset = (int64_t)1 << 28;
    int x = plan_add_leaf(b, CLG_F32, 21 * 50, -1, 1);
    plan_add_bound(s, &everywhere, range(0, 0, 21));
    plan_add_bound(s, &everywhere, range(1, -5, 1000));
    plan_add_bound(s, &everywhere, (plan_bound){.coef = {2, -1}, .lo = -49, .hi = 41});
    plan_add_bound(s, &nowhere, range(1, 50, 60));
    plan_add_bound(s, &empty, range(0, 7, 7));
    plan_begin_section(s, SECTION_INNER);
    int sum[3];
    sum[0] = plan_emit_reduce(s, OP_SUM, plan_emit_load(b, s, x, everywhere));
    sum[1] = plan_emit_reduce(s, OP_SUM, plan_emit_load_or(b, s, x, nowhere, 0.5));
    sum[2] = plan_emit_reduce(s, OP_MAX, plan_emit_load_or(b, s, x, empty, -INFINITY));
    plan_begin_section(s, SECTION_OUTER);
    for (int i = 0; i < 3; i++)
        store_new(b, s, sum[i]);
}

void plan_case_pads(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++) {
        if ((dtype == CLG_F64 && !t->has_f64) || !support_computes((clg_dtype)dtype))
            continue;
        add_pad(b, (clg_dtype)dtype, 9, 40, 2, 7);
        if (is_real(dtype))
            add_pad(b, (clg_dtype)dtype, 5, 130, 3, -INFINITY);
        if (t->compiles)
            continue;
        add_pad(b, (clg_dtype)dtype, 3, 7, 1, 0);
        add_pad(b, (clg_dtype)dtype, 70, 600, 1, is_real(dtype) ? -1.25 : 1);
    }
    add_joined(b, 30, 17, 40);
    add_joined(b, 300, 1, 2);
    add_constant_bounds(b);
    plan_check(t, b, 1e-6, 0);
}

/* ---------------------------------------------------------------- windows */

/* Positions stride o + dilation k - padding, of n. */
typedef struct window {
    int64_t n, size, stride, dilation, padding;
} window;

static int64_t count_of(const window *w)
{
    return (w->n + 2 * w->padding - w->dilation * (w->size - 1) - 1) / w->stride + 1;
}

/* Adds a window over dimensions o and k to an access, along an axis with a stride. */
static void add_window(plan_step *s, plan_access *access, const window *w, int o, int k, int64_t axis_stride)
{
    plan_bound bound = {.lo = w->padding, .hi = w->padding + w->n};
    bound.coef[o] = w->stride;
    bound.coef[k] = w->dilation;
    access->offset -= w->padding * axis_stride;
    access->stride[o] += w->stride * axis_stride;
    access->stride[k] += w->dilation * axis_stride;
    plan_add_bound(s, access, bound);
}

/* A convolution of one axis, or its gradient with respect to the weights: o and k in turn the outer dimension. */
static void add_convolution(plan_builder *b, const window *w, bool of_weights)
{
    int64_t count = count_of(w);
    int o = of_weights, k = !of_weights;
    plan_step *s = plan_add_step(b, 1, 1, of_weights ? (int64_t[]){w->size, count} : (int64_t[]){count, w->size});
    plan_access access = {0}, other = {0};
    add_window(s, &access, w, o, k, 1);
    other.stride[1] = 1; /* along what is summed */
    plan_begin_section(s, SECTION_INNER);
    int x = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, w->n, -1, 1), access);
    int y = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, s->extent[1], -1, 1), other);
    int sum = plan_emit_reduce(s, OP_SUM, plan_emit_op(s, OP_MUL, CLG_F32, x, y, -1));
    int top = plan_emit_reduce(s, OP_MAX, x);
    plan_begin_section(s, SECTION_OUTER);
    store_new(b, s, sum);
    store_new(b, s, top);
}

/* The gradient with respect to x, of stride 1: x's element i is in window i + padding - dilation k. */
static void add_backward_convolution(plan_builder *b, const window *w)
{
    int64_t count = count_of(w);
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){w->n, w->size});
    plan_access access = {.offset = w->padding, .stride = {1, -w->dilation}};
    plan_add_bound(s, &access, (plan_bound){.coef = {1, -w->dilation}, .lo = -w->padding, .hi = count - w->padding});
    plan_begin_section(s, SECTION_INNER);
    int g = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, count, -1, 1), access);
    int y = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, w->size, -1, 1), plan_dense(s, 2));
    int sum = plan_emit_reduce(s, OP_SUM, plan_emit_op(s, OP_MUL, CLG_F32, g, y, -1));
    plan_begin_section(s, SECTION_OUTER);
    store_new(b, s, sum);
}

/* Over two axes of images: their sums, their maxima (outside: -INFINITY) and, with copies, the windows themselves. */
static void add_pooling(plan_builder *b, int64_t images, const window *rows, const window *columns, bool copies)
{
    int64_t extent[] = {images, count_of(rows), count_of(columns), rows->size, columns->size};
    plan_step *s = plan_add_step(b, copies ? 5 : 3, copies ? 0 : 2, extent);
    int x = plan_add_leaf(b, CLG_F32, images * rows->n * columns->n, -1, 1);
    plan_access access[2] = {{.stride = {rows->n * columns->n}}, {.stride = {rows->n * columns->n}}};
    for (int i = 0; i < (copies ? 1 : 2); i++) {
        add_window(s, &access[i], rows, 1, 3, columns->n);
        add_window(s, &access[i], columns, 2, 4, 1);
    }
    plan_begin_section(s, copies ? SECTION_OUTER : SECTION_INNER);
    int first = plan_emit_load_or(b, s, x, access[0], copies ? 7 : 0);
    if (copies) {
        store_new(b, s, first);
        return;
    }
    int sum = plan_emit_reduce(s, OP_SUM, first);
    int top = plan_emit_reduce(s, OP_MAX, plan_emit_load_or(b, s, x, access[1], -INFINITY));
    plan_begin_section(s, SECTION_OUTER);
    store_new(b, s, sum);
    store_new(b, s, top);
}

void plan_case_windows(const plan_target *t)
{
    static const window windows[] = {{50, 3, 1, 1, 0},  {500, 3, 1, 1, 1}, {64, 7, 2, 1, 3}, {33, 5, 1, 2, 4},
                                     {100, 4, 3, 2, 2}, {17, 1, 2, 3, 0},  {5, 3, 1, 1, 60}, {9, 9, 1, 1, 0}};
    plan_builder *b = plan_new_builder();
    for (int i = 0; i < 8; i++) {
        for (int of_weights = 0; of_weights < 2; of_weights++)
            if (!t->compiles || of_weights == i % 2)
                add_convolution(b, &windows[i], of_weights);
        if (windows[i].stride == 1 && (!t->compiles || windows[i].dilation > 1))
            add_backward_convolution(b, &windows[i]);
    }
    for (int copies = 0; copies < 2; copies++) {
        add_pooling(b, 3, &windows[1], &(window){20, 3, 1, 1, 1}, copies);
        if (t->compiles && copies)
            continue;
        add_pooling(b, 2, &(window){12, 2, 2, 1, 0}, &(window){40, 3, 2, 2, 1}, copies);
        add_pooling(b, 1, &(window){7, 3, 2, 1, 1}, &(window){130, 5, 1, 1, 2}, copies);
    }
    plan_check(t, b, 1e-5, 0);
}

/* ---------------------------------------------------------------- masks */

/* Of a computed register, in positions where row - column is within bounds: a triangle or a band. */
static plan_access band(plan_step *s, int64_t lo, int64_t hi)
{
    plan_access access = {0};
    plan_add_bound(s, &access, (plan_bound){.coef = {1, -1}, .lo = lo, .hi = hi});
    return access;
}

/* Softmax of rows of which only the first elements count, as many as the row's number: -INFINITY for the others. */
static void add_causal_softmax(plan_builder *b, int64_t n)
{
    plan_step *s = plan_add_step(b, 1, 1, (int64_t[]){n, n});
    int x = plan_add_leaf(b, CLG_F32, n * n, -4, 4), half, top = -1, sum = -1, score;
    plan_begin_section(s, SECTION_ONCE);
    half = plan_emit_constant(s, CLG_F32, 0.5);
    for (int pass = 0; pass < 3; pass++) {
        plan_begin_section(s, SECTION_INNER);
        score = plan_emit_op(s, OP_MUL, CLG_F32, plan_emit_load(b, s, x, plan_dense_all(s)), half, -1);
        score = plan_emit_mask(s, score, band(s, 0, n), -INFINITY);
        if (pass == 0) {
            top = plan_emit_reduce(s, OP_MAX, score);
            continue;
        }
        score = plan_emit_op(s, OP_EXP, CLG_F32, plan_emit_op(s, OP_SUB, CLG_F32, score, top, -1), -1, -1);
        if (pass == 1)
            sum = plan_emit_reduce(s, OP_SUM, score);
        else
            store_new(b, s, plan_emit_op(s, OP_DIV, CLG_F32, score, sum, -1));
    }
}

/* Of a register of each dtype, by one bound and by two. */
static void add_masks(plan_builder *b, clg_dtype dtype, int64_t rows, int64_t columns)
{
    plan_step *s = plan_add_step(b, 2, 0, (int64_t[]){rows, columns});
    plan_begin_section(s, SECTION_OUTER);
    int x = plan_emit_load(b, s, plan_add_leaf(b, dtype, rows * columns, 0, 100), plan_dense_all(s));
    x = plan_emit_op(s, OP_ADD, dtype, x, x, -1);
    plan_access both = {0};
    plan_add_bound(s, &both, (plan_bound){.coef = {3, -2}, .lo = -20, .hi = 30});
    plan_add_bound(s, &both, range(1, 1, columns - 1));
    int y = plan_emit_mask(s, x, both, 7);
    store_new(b, s, y);
    store_new(b, s, plan_emit_mask(s, plan_emit_op(s, OP_MUL, dtype, x, y, -1), band(s, -3, 2), 0));
}

/* Of reductions, and of what is the same for all inner positions. */
static void add_masked_reductions(plan_builder *b, int64_t rows, int64_t columns, int64_t depth)
{
    plan_step *s = plan_add_step(b, 2, 1, (int64_t[]){rows, columns, depth});
    int x = plan_add_leaf(b, CLG_F32, rows * columns, -1, 1);
    int y = plan_add_leaf(b, CLG_F32, rows * columns * depth, -1, 1);
    plan_begin_section(s, SECTION_OUTER);
    int shared = plan_emit_mask(s, plan_emit_load(b, s, x, plan_dense_outer(s)), band(s, 0, rows), 0.5);
    plan_begin_section(s, SECTION_INNER);
    plan_access three = {0};
    plan_add_bound(s, &three, (plan_bound){.coef = {1, -1, 2}, .lo = 1, .hi = depth + rows});
    int z = plan_emit_op(s, OP_MUL, CLG_F32, plan_emit_load(b, s, y, plan_dense_all(s)), shared, -1);
    int sum = plan_emit_reduce(s, OP_SUM, plan_emit_mask(s, z, three, 0));
    int top = plan_emit_reduce(s, OP_MAX, plan_emit_mask(s, shared, three, -INFINITY));
    plan_begin_section(s, SECTION_OUTER);
    store_new(b, s, plan_emit_mask(s, sum, band(s, -5, 5), -1.25));
    store_new(b, s, top);
}

void plan_case_masks(const plan_target *t)
{
    plan_builder *b = plan_new_builder();
    add_causal_softmax(b, 37);
    add_causal_softmax(b, 300);
    if (!t->compiles)
        add_causal_softmax(b, 1);
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        if ((dtype != CLG_F64 || t->has_f64) && support_computes((clg_dtype)dtype)) {
            add_masks(b, (clg_dtype)dtype, 20, 45);
            if (!t->compiles)
                add_masks(b, (clg_dtype)dtype, 100, 3);
        }
    add_masked_reductions(b, 12, 30, 50);
    add_masked_reductions(b, 20, 64, 5);
    if (!t->compiles)
        add_masked_reductions(b, 1, 1, 700);
    plan_check(t, b, 1e-5, 1e-14);
}

/* ---------------------------------------------------------------- many dimensions */

/* Axes in the opposite order, with a border; places where two bounds of many dimensions hold. */
static void add_transposed(plan_builder *b, int outer, int inner, const int64_t *extent)
{
    plan_step *s = plan_add_step(b, outer, inner, extent);
    int rank = outer + inner;
    plan_access access = {0}, places = {0};
    int64_t stride = 1;
    for (int d = 0; d < rank; d++) {
        int64_t kept = s->extent[d] > 2 ? s->extent[d] - 1 : s->extent[d]; /* the first of three is outside */
        if (kept < s->extent[d])
            plan_add_bound(s, &access, range(d, 1, s->extent[d]));
        access.offset -= stride * (s->extent[d] - kept);
        access.stride[d] = stride;
        stride *= kept;
    }
    plan_bound odd = {.lo = -2, .hi = 4}, first = {.lo = 1, .hi = 9};
    for (int d = 0; d < rank; d++) {
        odd.coef[d] = d % 2 ? -1 : 1;
        first.coef[d] = d < 6;
        places.stride[d] = d + 1;
    }
    plan_add_bound(s, &places, odd);
    plan_add_bound(s, &places, first);
    plan_begin_section(s, inner ? SECTION_INNER : SECTION_OUTER);
    int x = plan_emit_load_or(b, s, plan_add_leaf(b, CLG_F32, stride, -1, 1), access, 0.25);
    int place = plan_emit_op(s, OP_CAST, CLG_F32, plan_emit_iota(s, CLG_I32, places, -1), -1, -1);
    int y = plan_emit_op(s, OP_ADD, CLG_F32, x, place, -1);
    if (!inner) {
        store_new(b, s, y);
        return;
    }
    int sum = plan_emit_reduce(s, OP_SUM, y);
    plan_begin_section(s, SECTION_OUTER);
    store_new(b, s, sum);
}

void plan_case_many_dimensions(const plan_target *t)
{
    static const int64_t twos[PLAN_MAX_DIMS] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    static const int64_t mixed[PLAN_MAX_DIMS] = {3, 1, 2, 3, 1, 2, 3, 2, 1, 2, 2, 3};
    static const int64_t few[] = {4, 3, 5, 2, 7};
    plan_builder *b = plan_new_builder();
    add_transposed(b, PLAN_MAX_DIMS, 0, mixed);
    add_transposed(b, 7, 5, twos);
    add_transposed(b, 5, 7, mixed);
    add_transposed(b, 5, 0, few);
    add_transposed(b, 3, 2, few);
    if (!t->compiles) {
        add_transposed(b, PLAN_MAX_DIMS, 0, twos);
        add_transposed(b, 0, PLAN_MAX_DIMS, mixed);
        add_transposed(b, 1, 4, few);
    }
    plan_check(t, b, 1e-6, 0);
}
