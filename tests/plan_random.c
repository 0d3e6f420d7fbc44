/* Random steps: random bodies over random dimensions, in all three kinds of sections, with and without splits. */
#include "support_plan.h"

#include "core/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MOST_POSITIONS 60000
#define MOST_ELEMENTS 60000
#define ROWS 7 /* of tables that are read by row */

/* A step while it is being made. */
typedef struct draft {
    plan_builder *b;
    plan_step *s;
    clg_dtype real;
    int visible[MAX_INSTRS], count; /* registers of dtype real that may be read */
    int unbounded;    /* a register of that dtype with -INFINITY among its values: for maxima and stores; -1: none */
    int row;          /* an i32 register that all inner positions share, -1: none yet */
    int first_buffer; /* of the step */
    int stores;
} draft;

/* ---------------------------------------------------------------- positions */

static plan_step *draw_space(plan_builder *b)
{
    static const int64_t extents[] = {1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 100, 130, 600};
    bool many = plan_below(16) == 0; /* dimensions, which are short */
    int outer = many ? plan_below(PLAN_MAX_DIMS + 1) : plan_below(4);
    int inner = many ? plan_below(PLAN_MAX_DIMS + 1 - outer) : plan_below(3);
    int64_t extent[PLAN_MAX_DIMS], total = 1;
    for (int d = 0; d < outer + inner; d++) {
        extent[d] = many ? 1 + plan_below(3) : extents[plan_below((int)(sizeof extents / sizeof *extents))];
        if (total * extent[d] > MOST_POSITIONS)
            extent[d] = total * 2 > MOST_POSITIONS ? 1 : 2;
        total *= extent[d];
    }
    if (outer + inner > 0 && plan_below(40) == 0)
        extent[plan_below(outer + inner)] = 0;
    plan_step *s = plan_add_step(b, outer, inner, extent);
    if (inner > 0 && s->inner_count > 4 && plan_below(4) == 0) {
        s->inner_piece = 1 + plan_below((int)s->inner_count - 1);
        if (s->inner_count / s->inner_piece >= 50)
            s->inner_piece = s->inner_count / 2;
        s->splits = (s->inner_count + s->inner_piece - 1) / s->inner_piece;
    }
    return s;
}

/* How many dimensions a section's instructions may look at. */
static int dims_of(const plan_step *s, plan_section_kind kind)
{
    return kind == SECTION_ONCE ? 0 : kind == SECTION_OUTER ? s->outer_rank : s->outer_rank + s->inner_rank;
}

/* ---------------------------------------------------------------- accesses */

static int64_t draw_coefficient(void)
{
    int64_t c = 1 + plan_below(3);
    return plan_below(2) ? c : -c;
}

/* Dimension d by itself, forwards or backwards; with sums also strided, or one or two other dimensions added, as the
 * windows of a convolution do. The bound holds everywhere. */
static plan_bound draw_form(const plan_step *s, int dims, int d, bool sums)
{
    plan_bound form = {.hi = 1};
    form.coef[d] = sums && plan_below(3) == 0 ? draw_coefficient() : plan_below(8) ? 1 : -1;
    for (int more = sums && plan_below(3) ? 1 + plan_below(2) : 0; more > 0; more--) {
        int other = plan_below(dims);
        if (other != d)
            form.coef[other] = draw_coefficient();
    }
    for (int k = 0; k < dims; k++) {
        int64_t far = form.coef[k] * (s->extent[k] > 0 ? s->extent[k] - 1 : 0);
        form.lo += far < 0 ? far : 0;
        form.hi += far > 0 ? far : 0;
    }
    return form;
}

/* Fewer positions: without a border, as where there is padding, or any range, seldom an empty one. */
static void clip(plan_bound *form)
{
    int width = (int)(form->hi - form->lo), border = width < 5 ? width : 5;
    if (plan_below(12) == 0) {
        form->lo += plan_below(width);
        form->hi = form->lo;
    } else if (plan_below(3) == 0) {
        form->lo += plan_below(width);
        form->hi -= plan_below((int)(form->hi - form->lo));
    } else {
        form->lo += plan_below(border);
        form->hi -= plan_below(form->hi - form->lo < border ? (int)(form->hi - form->lo) : border);
    }
}

static bool room_for_bounds(const plan_step *s, int count) { return s->bound_count + count <= MAX_BOUNDS; }

/* Onto a fresh buffer, whose axes are dimensions or sums of them: permuted, repeated, reversed, strided, overlapping,
 * with a border outside the buffer. *size becomes the elements that the buffer needs. */
static plan_access draw_access(const draft *f, int dims, int64_t *size)
{
    plan_step *s = f->s;
    plan_access access = {0};
    int order[PLAN_MAX_DIMS];
    for (int d = 0; d < dims; d++)
        order[d] = d;
    if (plan_below(3) == 0)
        for (int i = dims - 1; i > 0; i--) {
            int j = plan_below(i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
    bool sums = plan_below(3) == 0, bounded = plan_below(2) && room_for_bounds(s, dims + 1);
    int64_t stride = plan_below(8) ? 1 : 2;
    for (int i = dims - 1; i >= 0; i--) {
        plan_bound axis = draw_form(s, dims, order[i], sums);
        if (plan_below(4) == 0 || stride * (axis.hi - axis.lo) > MOST_ELEMENTS)
            continue; /* repeated along this dimension */
        if (bounded && plan_below(2)) {
            if (plan_below(8))
                clip(&axis); /* or a bound that always holds */
            plan_add_bound(s, &access, axis);
        }
        access.offset -= stride * axis.lo;
        for (int d = 0; d < dims; d++)
            access.stride[d] += stride * axis.coef[d];
        stride *= axis.hi > axis.lo ? axis.hi - axis.lo : 1;
    }
    if (bounded && dims > 0 && plan_below(4) == 0) { /* of no axis */
        plan_bound other = draw_form(s, dims, plan_below(dims), true);
        clip(&other);
        plan_add_bound(s, &access, other);
    }
    *size = stride;
    return access;
}

/* Outside bounds. */
static double draw_value(void)
{
    static const double values[] = {0, 0, 7, -1.25, 0.5, 3};
    return values[plan_below((int)(sizeof values / sizeof *values))];
}

/* ---------------------------------------------------------------- sources */

static void see(draft *f, int x) { f->visible[f->count++] = x; }
static bool room_for_instrs(const draft *f) { return f->s->instr_count < MAX_INSTRS - 40; }
static bool room_for_buffers(const draft *f) { return f->b->plan.buffer_count - f->first_buffer < 10; }

/* A register from one that may be -INFINITY at some positions, but is no NaN. */
static int bounded_below(draft *f, int x)
{
    static const int ops[] = {OP_RELU, OP_TANH, OP_SIGMOID};
    int op = plan_below(4);
    if (op < 3)
        return plan_emit_op(f->s, ops[op], f->real, x, -1, -1);
    return plan_emit_op(f->s, OP_MAXIMUM, f->real, x, plan_emit_constant(f->s, f->real, -2), -1);
}

/* Rows of a table, by an index of each position or of each outer one. */
static void draw_rows(draft *f, plan_section_kind kind, plan_access access, int64_t size)
{
    int row = f->row, table = plan_add_leaf(f->b, f->real, size * ROWS, -1, 1);
    if (kind != SECTION_INNER || row < 0 || plan_below(2)) {
        int64_t count;
        plan_access index = draw_access(f, dims_of(f->s, kind), &count);
        bool outside = plan_below(4) == 0; /* seldom: NaN hides what else is wrong */
        int indices = plan_add_leaf(f->b, CLG_I32, count, outside ? -1.5 : 0, ROWS - (outside ? -0.99 : 0.01));
        row = plan_emit_load_or(f->b, f->s, indices, index, plan_below(ROWS));
    }
    if (kind != SECTION_INNER)
        f->row = row;
    see(f, plan_emit_load_row(f->b, f->s, table, access, draw_value(), row, size, ROWS));
}

static void draw_places(draft *f, plan_access access)
{
    static const clg_dtype integers[] = {CLG_I32, CLG_I32, CLG_U8};
    int kind = plan_below(4);
    clg_dtype dtype = kind < 3 ? integers[kind] : f->real;
    access.offset += plan_below(200) - 100;
    int x = plan_emit_iota(f->s, dtype, access, plan_below(3) ? 0 : 7);
    if (dtype != f->real)
        x = plan_emit_op(f->s, OP_CAST, f->real, x, -1, -1);
    see(f, plan_emit_op(f->s, OP_MUL, f->real, x, plan_emit_constant(f->s, f->real, 1e-5), -1));
}

static void draw_source(draft *f, plan_section_kind kind)
{
    int what = plan_below(10);
    if (what == 0) {
        see(f, plan_emit_constant(f->s, f->real, (double)(float)plan_uniform(-2, 2)));
        return;
    }
    int64_t size;
    plan_access access = draw_access(f, dims_of(f->s, kind), &size);
    if (what == 1) {
        draw_places(f, access);
    } else if (what == 2) {
        draw_rows(f, kind, access, size);
    } else if (what == 3) {
        clg_dtype dtype = plan_below(2) ? CLG_U8 : CLG_I32;
        int x = plan_add_leaf(f->b, dtype, size, dtype == CLG_U8 ? 0 : -2, 2.99);
        x = plan_emit_load_or(f->b, f->s, x, access, plan_below(2) ? 0 : 7);
        see(f, plan_emit_op(f->s, OP_CAST, f->real, x, -1, -1));
    } else {
        int x = plan_add_leaf(f->b, f->real, size, -2, 2);
        bool infinite = access.bound_count > 0 && plan_below(3) == 0;
        x = plan_emit_load_or(f->b, f->s, x, access, infinite ? -INFINITY : draw_value());
        if (infinite)
            f->unbounded = x;
        see(f, infinite ? bounded_below(f, x) : x);
    }
}

/* ---------------------------------------------------------------- operations */

static int draw_visible(const draft *f) { return f->visible[plan_below(f->count)]; }

/* x at some positions, a value at others. */
static int draw_mask(const draft *f, int dims, int x, double outside)
{
    plan_access access = {0};
    for (int i = 1 + plan_below(2); i > 0; i--) {
        plan_bound bound = draw_form(f->s, dims, plan_below(dims), true);
        clip(&bound);
        plan_add_bound(f->s, &access, bound);
    }
    return plan_emit_mask(f->s, x, access, outside);
}

static void draw_operation(draft *f, plan_section_kind kind)
{
    static const int binary[] = {OP_ADD, OP_SUB, OP_MUL, OP_MAXIMUM, OP_MINIMUM};
    static const int unary[] = {OP_NEG, OP_RELU, OP_TANH, OP_SIGMOID, OP_ABS, OP_SIN};
    plan_step *s = f->s;
    int dims = dims_of(s, kind), x = draw_visible(f), y = draw_visible(f);
    int what = plan_below(12), op = what < 6 ? binary[plan_below(5)] : unary[plan_below(6)];
    bool masks = dims > 0 && room_for_bounds(s, 2);
    if (what < 2 && masks) {
        bool infinite = plan_below(3) == 0;
        x = draw_mask(f, dims, x, infinite ? -INFINITY : draw_value());
        if (infinite)
            f->unbounded = x;
        see(f, infinite ? bounded_below(f, x) : x);
        return;
    }
    if (op == OP_MUL || op == OP_SIN) /* or values, and with them rounding errors, grow */
        x = plan_emit_op(s, OP_TANH, f->real, x, -1, -1);
    see(f, plan_emit_op(s, op, f->real, x, clg_ops[op].arity > 1 ? y : -1, -1));
    if (plan_below(5) == 0) { /* through u8 and a choice: the larger, where masked y; no jump to magnify rounding */
        int less = plan_emit_op(s, plan_below(2) ? OP_LESS : OP_LESS_EQUAL, CLG_BOOL, x, y, -1);
        if (masks && plan_below(2) && room_for_bounds(s, 2))
            less = draw_mask(f, dims, less, 1);
        see(f, plan_emit_op(s, OP_WHERE, f->real, less, y, x));
    }
}

/* ---------------------------------------------------------------- sections */

static void draw_store(draft *f, bool inner, int x)
{
    const plan_step *s = f->s;
    int64_t size = inner ? s->outer_count * s->inner_count : s->outer_count * s->splits;
    plan_emit_store(f->b, f->s, plan_add_output(f->b, f->real, size), inner ? plan_dense_all(s) : plan_dense_outer(s),
                    x);
    f->stores++;
}

/* What a section stores: mostly with a source of it added, for of an operation's results many are of one value. */
static int draw_result(const draft *f, int first, int source)
{
    if (f->unbounded >= 0 && plan_below(4) == 0)
        return f->unbounded;
    int x = f->visible[f->count - 1 - plan_below(2) * (f->count > first + 1)];
    return source >= 0 && plan_below(4) ? plan_emit_op(f->s, OP_ADD, f->real, x, source, -1) : x;
}

static void draw_section(draft *f, plan_section_kind kind, bool last)
{
    plan_step *s = f->s;
    bool inner = kind == SECTION_INNER;
    int first = f->count, before = f->unbounded, source = -1;
    int reduced[2] = {-1, -1}, reductions = inner && !last ? 1 + plan_below(2) : 0;
    plan_begin_section(s, kind);
    if (f->unbounded >= 0)
        see(f, bounded_below(f, f->unbounded));
    for (int i = kind == SECTION_ONCE ? 1 : 1 + plan_below(3); i > 0 && room_for_buffers(f); i--) {
        draw_source(f, kind);
        source = f->visible[f->count - 1];
    }
    for (int i = f->count ? 1 + plan_below(6) : 0; i > 0 && room_for_instrs(f); i--)
        draw_operation(f, kind);
    if (f->count == 0)
        see(f, plan_emit_constant(s, f->real, 0.75));
    bool maximum = f->unbounded >= 0 && plan_below(2);
    if (kind != SECTION_ONCE && (f->stores < 3 || last) && !(s->splits > 1 && inner))
        draw_store(f, inner, draw_result(f, first, source));
    for (int i = 0; i < reductions; i++)
        reduced[i] = i == 0 && maximum ? plan_emit_reduce(s, OP_MAX, f->unbounded)
                                       : plan_emit_reduce(s, plan_below(2) ? OP_SUM : OP_MAX, draw_visible(f));
    if (inner) { /* only reductions are seen outside */
        f->count = first;
        f->unbounded = reductions && maximum ? reduced[0] : before;
        for (int i = maximum; i < reductions; i++)
            see(f, reduced[i]);
    }
}

void plan_random_step(plan_builder *b, uint64_t seed, clg_dtype real)
{
    static const plan_section_kind orders[][5] = {
        {SECTION_ONCE, SECTION_OUTER, SECTION_INNER, SECTION_OUTER, SECTION_INNER},
        {SECTION_ONCE, SECTION_INNER, SECTION_INNER, SECTION_OUTER, SECTION_INNER},
        {SECTION_INNER, SECTION_OUTER, SECTION_INNER, SECTION_OUTER, SECTION_INNER}};
    plan_seed(seed * 2654435761u + 88172645463325252u);
    for (int i = 0; i < 8; i++)
        plan_below(1);
    uint64_t kept = b->next_seed;
    b->step_seed = seed;
    b->next_seed = seed * 1000;
    draft f = {.b = b, .s = draw_space(b), .real = real, .unbounded = -1, .row = -1};
    plan_step *s = f.s;
    f.first_buffer = b->plan.buffer_count;
    int order = plan_below(3), sections = s->splits > 1 || plan_below(2) ? 4 : 5;
    for (int k = 0; k < sections; k++) {
        plan_section_kind kind = orders[order][k];
        bool again = k > 0 && kind == SECTION_INNER && orders[order][k - 1] == SECTION_INNER;
        if (kind != SECTION_INNER || (s->inner_rank > 0 && !(s->splits > 1 && again)))
            draw_section(&f, kind, k == sections - 1);
    }
    for (int32_t i = 0; i < s->instr_count; i++) /* of nothing: -inf and nan arise; only that it runs is of interest */
        if ((s->inner_count == 0 || s->outer_count == 0) && s->instrs[i].kind == INSTR_REDUCE)
            s->instrs[i].op = OP_SUM;
    b->step_seed = 0;
    b->next_seed = kept;
}
