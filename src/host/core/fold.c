/* Simplification when a node is made: constant folding and the algebra that gradient graphs need. Nothing that
 * changes a value a user could see: x + 0 and 0 x are folded only while gradient rules run, where a constant zero
 * is structural (a branch that was not taken) and 0 x NaN must stay 0. */
#include "graph.h"

#include <math.h>

/* ---------------------------------------------------------------- evaluating a row in f64 */

static double fold_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double fold_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

#define FN(S, f) FOLD_##f
#define FOLD_pow pow
#define FOLD_sqrt sqrt
#define FOLD_exp exp
#define FOLD_log log
#define FOLD_sin sin
#define FOLD_cos cos
#define FOLD_tanh tanh
#define FOLD_erf erf
#define FOLD_sigmoid fold_sigmoid
#define FOLD_abs fabs
#define FOLD_sign fold_sign
#define SEL(S, cond, x, y) ((cond) ? (x) : (y))
#define BOOL(S, comparison) ((double)(comparison))
#define COND(S, u8) ((u8) != 0)

/* One function a row: the table is the only place that names operations. */
#define MAP(ID, name, arity, types, expr, ...)                                                                         \
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

double fold_round(clg_dtype dtype, double value)
{
    switch (dtype) {
    case CLG_F32:
        return (double)(float)value;
    case CLG_I32:
        return isnan(value) ? 0 : trunc(fmin(fmax(value, INT32_MIN), INT32_MAX));
    case CLG_U8:
        return isnan(value) ? 0 : trunc(fmin(fmax(value, 0), 255));
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

static clg_var algebra(clg_graph *g, clg_op op, clg_dtype dtype, int32_t shape, const int32_t src[3])
{
    double v;
    const clg_var a = graph_var(g, src[0]), b = graph_var(g, src[1]), none = POISON(g);
    bool floating = dtype == CLG_F32 || dtype == CLG_F64;
    switch (op) {
    case OP_NEG:
        return g->nodes[src[0]].op == OP_NEG ? graph_var(g, g->nodes[src[0]].src[0]) : none;
    case OP_ADD:
        if (g->in_gradient || !floating) {
            if (is_const(g, src[0], &v) && v == 0)
                return b;
            if (is_const(g, src[1], &v) && v == 0)
                return a;
        }
        if (g->in_gradient && g->nodes[src[1]].op == OP_NEG)
            return ops_map(OP_SUB, a, graph_var(g, g->nodes[src[1]].src[0]), a);
        return none;
    case OP_SUB:
        return is_const(g, src[1], &v) && v == 0 ? a : none;
    case OP_MUL:
        for (int i = 0; i < 2; i++) {
            if (!is_const(g, src[i], &v))
                continue;
            if (v == 1)
                return i ? a : b;
            if (v == -1)
                return ops_map(OP_NEG, i ? a : b, a, a);
            if (v == 0 && (g->in_gradient || !floating))
                return ops_constant(g, dtype, shape, 0);
        }
        return none;
    case OP_DIV:
        if (is_const(g, src[1], &v) && v == 1)
            return a;
        return g->in_gradient && is_const(g, src[0], &v) && v == 0 ? ops_constant(g, dtype, shape, 0) : none;
    case OP_POW: /* keeps powers differentiable to any order without 0 * x**-1 */
        if (!is_const(g, src[1], &v))
            return none;
        return v == 0 ? ops_constant(g, dtype, shape, 1) : v == 1 ? a : v == 2 ? ops_map(OP_SQUARE, a, a, a) : none;
    case OP_WHERE:
        if (is_const(g, src[0], &v))
            return graph_var(g, v != 0 ? src[1] : src[2]);
        return src[1] == src[2] ? b : none;
    case OP_CAST:
        return g->nodes[src[0]].dtype == dtype ? a : none;
    default:
        return none;
    }
}

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
    return algebra(g, op, dtype, shape, src);
}

/* The sum of a broadcast is a product; a reduction of a constant is one. */
clg_var fold_reduce(clg_var x, clg_op op, uint32_t mask, int32_t shape)
{
    clg_graph *g = x.graph;
    const graph_record *n = graph_at(x);
    const clg_shape *from = &g->shapes[n->shape];
    int64_t count = 1;
    for (int d = 0; d < from->rank; d++)
        count *= mask >> d & 1 ? from->dim[d] : 1;
    clg_dtype dtype = (clg_dtype)n->dtype;
    if (count == 0)
        return POISON(g);
    if (n->op == OP_CONST) {
        double value = op == OP_SUM ? n->attr.value * (double)count : n->attr.value;
        return exact(dtype, value) ? ops_constant(g, dtype, shape, value) : POISON(g);
    }
    if (n->op != OP_EXPAND)
        return POISON(g);
    const clg_shape *before = &g->shapes[g->nodes[n->src[0]].shape];
    for (int d = 0; d < from->rank; d++)
        if (mask >> d & 1 && before->dim[d] != 1)
            return POISON(g);
    clg_var inner = clg_broadcast_to(graph_var(g, n->src[0]), g->shapes[shape]);
    return op == OP_SUM ? clg_mul(inner, ops_like(inner, (double)count)) : inner;
}
