/* Simplification when a node is made: constant folding and the algebra that gradient graphs need. Nothing that
 * changes a value a user could see: x + 0 and 0 x are folded only while gradient rules run, where a constant zero
 * is structural (a branch that was not taken) and 0 x NaN must stay 0. */
#include "graph.h"

#include <math.h>

/* ---------------------------------------------------------------- evaluating a row in f64 */

static double fold_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double fold_gelu(double x)
{
    double a = fmin(fabs(x), 40); /* beyond, the tail is 0 */
    return copysign((x < 0 ? 0 : x) - a * erfc(a * sqrt(0.5)) / 2, x);
}
static double fold_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

#define FN(S, f) FOLD_##f
#define FOLD_t double
#define FOLD_pow pow
#define FOLD_sqrt sqrt
#define FOLD_exp exp
#define FOLD_log log
#define FOLD_sin sin
#define FOLD_cos cos
#define FOLD_tanh tanh
#define FOLD_erf erf
#define FOLD_gelu fold_gelu
#define FOLD_sigmoid fold_sigmoid
#define FOLD_abs fabs
#define FOLD_sign fold_sign
#define SEL(S, cond, x, y) ((cond) ? (x) : (y))
#define BOOL(S, comparison) ((double)(comparison))
#define COND(S, u8) ((u8) != 0)

/* One function a row: the table is the only place that names operations. */
#define MAP(ID, name, builder, arity, types, expr, ...)                                                                \
    static double evaluate_##ID(double a, double b, double c)                                                          \
    {                                                                                                                  \
        (void)a, (void)b, (void)c;                                                                                     \
        return (double)(expr);                                                                                         \
    }
#include "ops.def"

static double (*const evaluate[OP_COUNT])(double, double, double) = {
#define MAP(ID, ...) [OP_##ID] = evaluate_##ID,
#include "ops.def"
};

double fold_evaluate(clg_op op, double a, double b, double c) { return evaluate[op](a, b, c); }

double fold_round(clg_dtype dtype, double value)
{
    switch (dtype) {
    case CLG_F32:
        return (double)(float)value;
    case CLG_I32:
        return isnan(value) ? 0 : trunc(fmin(fmax(value, INT32_MIN), INT32_MAX)) + 0.0;
    case CLG_U8:
        return isnan(value) ? 0 : trunc(fmin(fmax(value, 0), 255)) + 0.0;
    default:
        return value;
    }
}

/* ---------------------------------------------------------------- rules */

static bool is_const(const clg_graph *g, int32_t id, double *value)
{
    if (id < 0 || g->nodes[id].op != OP_CONST)
        return false;
    *value = g->nodes[id].attr.value;
    return true;
}

/* Folding integers through f64 is exact unless the result leaves the range (where devices wrap): leave those. */
static bool exact(clg_dtype dtype, double value)
{
    return dtype == CLG_F32 || dtype == CLG_F64 || fold_round(dtype, value) == value;
}

/* What a simplification sees: the node that is about to be made. */
typedef struct candidate {
    clg_graph *g;
    clg_dtype dtype;
    int32_t shape;
    clg_var x[3];
    bool structural; /* constant zeros may be taken for structure: in gradients, and for integers, which have no NaN */
} candidate;

static bool equals(const candidate *c, int i, double value)
{
    double v;
    return is_const(c->g, c->x[i].id, &v) && v == value;
}

static clg_var zero(const candidate *c) { return ops_constant(c->g, c->dtype, c->shape, 0); }
static clg_var negated(clg_var x) { return ops_map(OP_NEG, x, x, x); }
static clg_op op_of(clg_var x) { return (clg_op)graph_at(x)->op; }

static clg_var simplify_neg(const candidate *c)
{
    return op_of(c->x[0]) == OP_NEG ? clg_operand(c->x[0], 0) : POISON(c->g);
}

static clg_var simplify_add(const candidate *c)
{
    for (int i = 0; i < 2 && c->structural; i++)
        if (equals(c, i, 0))
            return c->x[1 - i];
    if (c->g->in_gradient && op_of(c->x[1]) == OP_NEG)
        return ops_map(OP_SUB, c->x[0], clg_operand(c->x[1], 0), c->x[0]);
    return POISON(c->g);
}

static clg_var simplify_sub(const candidate *c) { return equals(c, 1, 0) ? c->x[0] : POISON(c->g); }

static clg_var simplify_mul(const candidate *c)
{
    for (int i = 0; i < 2; i++) {
        if (equals(c, i, 1))
            return c->x[1 - i];
        if (equals(c, i, -1))
            return negated(c->x[1 - i]);
        if (equals(c, i, 0) && c->structural)
            return zero(c);
    }
    return POISON(c->g);
}

static clg_var simplify_div(const candidate *c)
{
    if (equals(c, 1, 1))
        return c->x[0];
    return equals(c, 0, 0) && c->structural ? zero(c) : POISON(c->g);
}

/* Keeps powers differentiable to any order without 0 x**-1. */
static clg_var simplify_pow(const candidate *c)
{
    if (equals(c, 1, 0))
        return ops_constant(c->g, c->dtype, c->shape, 1);
    if (equals(c, 1, 1))
        return c->x[0];
    return equals(c, 1, 2) ? ops_map(OP_SQUARE, c->x[0], c->x[0], c->x[0]) : POISON(c->g);
}

static clg_var simplify_where(const candidate *c)
{
    double v;
    if (is_const(c->g, c->x[0].id, &v))
        return c->x[v != 0 ? 1 : 2];
    return c->x[1].id == c->x[2].id ? c->x[1] : POISON(c->g);
}

static clg_var simplify_cast(const candidate *c)
{
    return graph_at(c->x[0])->dtype == c->dtype ? c->x[0] : POISON(c->g);
}

static clg_var (*const simplify[OP_COUNT])(const candidate *) = {
    [OP_NEG] = simplify_neg, [OP_ADD] = simplify_add, [OP_SUB] = simplify_sub,     [OP_MUL] = simplify_mul,
    [OP_DIV] = simplify_div, [OP_POW] = simplify_pow, [OP_WHERE] = simplify_where, [OP_CAST] = simplify_cast,
};

clg_var fold_map(clg_graph *g, clg_op op, clg_dtype dtype, int32_t shape, const int32_t src[3])
{
    double v[3] = {0, 0, 0};
    bool all = true;
    for (int i = 0; i < clg_ops[op].arity && all; i++)
        all = is_const(g, src[i], &v[i]);
    if (all) {
        double value = evaluate[op](v[0], v[1], v[2]);
        if (op == OP_CAST || exact(dtype, value))
            return ops_constant(g, dtype, shape, value);
    }
    if (!simplify[op])
        return POISON(g);
    candidate c = {g, dtype, shape, {graph_var(g, src[0]), graph_var(g, src[1]), graph_var(g, src[2])}, false};
    c.structural = g->in_gradient || dtype == CLG_I32 || dtype == CLG_U8;
    return simplify[op](&c);
}

/* A reduction of equal elements: of a constant it is one, of a broadcast the row's `repeat` (a sum is a product). */
clg_var fold_reduce(clg_var x, clg_op op, uint32_t mask, int32_t shape)
{
    clg_graph *g = x.graph;
    const graph_record *n = graph_at(x);
    const clg_shape *from = &g->shapes[n->shape];
    int64_t count = 1;
    for (int d = 0; d < from->rank; d++)
        count *= mask >> d & 1 ? from->dim[d] : 1;
    clg_dtype dtype = (clg_dtype)n->dtype;
    clg_op repeat = clg_ops[op].repeat;
    bool floating = dtype == CLG_F32 || dtype == CLG_F64;
    if (count == 0)
        return POISON(g);
    if (n->op == OP_CONST) {
        double value = repeat == OP_SAME ? n->attr.value : evaluate[repeat](n->attr.value, (double)count, 0);
        return exact(dtype, value) ? ops_constant(g, dtype, shape, value) : POISON(g);
    }
    if (!views_are_mapped((clg_op)n->op))
        return POISON(g);
    const index_map map = g->maps[n->attr.integer];
    for (int k = 0; k < CLG_MAX_DIMS; k++)
        for (int d = 0; d < from->rank; d++)
            if (mask >> d & 1 && map.axis[k].coef[d])
                return POISON(g);
    clg_var inner = views_map((clg_op)n->op, graph_var(g, n->src[0]), g->shapes[shape], &map);
    if (repeat == OP_SAME)
        return inner;
    clg_var times = ops_like(inner, (double)count);
    return clg_ops[repeat].types == TYPES_FLOATING && !floating ? POISON(g) : ops_map(repeat, inner, times, inner);
}
