/* Constant folding, the algebra that gradient graphs need, and reductions of equal elements. Nothing that changes a
 * value a user could see. */
#include "fold.h"

#include "build.h"

#include <math.h>

static bool is_const(clg_var x, double *value)
{
    if (x.id < 0 || graph_at(x)->op != OP_CONST)
        return false;
    *value = graph_at(x)->attr.value;
    return true;
}

/* Folding integers through f64 is exact unless the result leaves the range (where devices wrap), or that of the
 * integers that f64 has: leave those. */
static bool exact(clg_dtype dtype, double value)
{
    return clg_dtype_is_real(dtype) || (dtype_round(dtype, value) == value && fabs(value) < 0x1p53);
}

/* ---------------------------------------------------------------- forms */

static bool becomes(fold_form *form, clg_op op, clg_var a, clg_var b)
{
    *form = (fold_form){.op = op, .x = {a, b, a}};
    return true;
}

static bool becomes_operand(fold_form *form, int i) { return becomes(form, OP_SAME, form->x[i], form->x[i]); }

static bool becomes_constant(fold_form *form, double value)
{
    *form = (fold_form){.op = OP_CONST, .value = value};
    return true;
}

/* ---------------------------------------------------------------- rules of maps */

/* What rules go by, besides the form. */
typedef struct fold_terms {
    clg_dtype dtype; /* of the result */
    bool in_gradient;
    bool structural; /* constant zeros may be taken for structure: in gradients, and for integers, which have no NaN */
} fold_terms;

/* Rewrites a form as a simpler one; false: it has none. */
typedef bool fold_rule(fold_form *form, fold_terms terms);

static bool equals(const fold_form *form, int i, double value)
{
    double v;
    return is_const(form->x[i], &v) && v == value;
}

static bool is_negated(clg_var x) { return graph_at(x)->op == OP_NEG; }

static bool simplify_neg(fold_form *form, fold_terms terms)
{
    (void)terms;
    if (!is_negated(form->x[0]))
        return false;
    clg_var inner = clg_operand(form->x[0], 0);
    return becomes(form, OP_SAME, inner, inner);
}

static bool simplify_add(fold_form *form, fold_terms terms)
{
    for (int i = 0; i < 2 && terms.structural; i++)
        if (equals(form, i, 0))
            return becomes_operand(form, 1 - i);
    if (terms.in_gradient && is_negated(form->x[1]))
        return becomes(form, OP_SUB, form->x[0], clg_operand(form->x[1], 0));
    return false;
}

static bool simplify_sub(fold_form *form, fold_terms terms)
{
    double v; /* -0 is another matter: -0 - -0 is 0 */
    return is_const(form->x[1], &v) && v == 0 && (!signbit(v) || terms.structural) && becomes_operand(form, 0);
}

static bool simplify_mul(fold_form *form, fold_terms terms)
{
    for (int i = 0; i < 2; i++) {
        if (equals(form, i, 1))
            return becomes_operand(form, 1 - i);
        if (equals(form, i, -1))
            return becomes(form, OP_NEG, form->x[1 - i], form->x[1 - i]);
        if (equals(form, i, 0) && terms.structural)
            return becomes_constant(form, 0);
    }
    return false;
}

static bool simplify_div(fold_form *form, fold_terms terms)
{
    if (equals(form, 1, 1))
        return becomes_operand(form, 0);
    return equals(form, 0, 0) && terms.structural && becomes_constant(form, 0);
}

/* Keeps powers differentiable to any order without 0 x**-1. */
static bool simplify_pow(fold_form *form, fold_terms terms)
{
    (void)terms;
    if (equals(form, 1, 0))
        return becomes_constant(form, 1);
    if (equals(form, 1, 1))
        return becomes_operand(form, 0);
    return equals(form, 1, 2) && becomes(form, OP_SQUARE, form->x[0], form->x[0]);
}

static bool simplify_where(fold_form *form, fold_terms terms)
{
    (void)terms;
    double v;
    if (is_const(form->x[0], &v))
        return becomes_operand(form, v != 0 ? 1 : 2);
    return form->x[1].id == form->x[2].id && becomes_operand(form, 1);
}

/* Whether a dtype has every number of another. */
static bool holds(clg_dtype wide, clg_dtype narrow)
{
    const bool real = clg_dtype_is_real(wide), integer = !clg_dtype_is_real(narrow);
    if (!integer)
        return real && clg_dtypes[wide].rank > clg_dtypes[narrow].rank;
    return clg_dtype_size(wide) > clg_dtype_size(narrow) && (clg_dtypes[wide].arithmetic == wide || !real);
}

/* There and back. */
static bool simplify_cast(fold_form *form, fold_terms terms)
{
    const clg_var x = form->x[0];
    if (graph_at(x)->op != OP_CAST || !holds(clg_dtype_of(x), terms.dtype))
        return false;
    const clg_var inner = clg_operand(x, 0);
    return clg_dtype_of(inner) == terms.dtype && becomes(form, OP_SAME, inner, inner);
}

static fold_rule *const rules[OP_COUNT] = {
    [OP_NEG] = simplify_neg, [OP_ADD] = simplify_add, [OP_SUB] = simplify_sub,     [OP_MUL] = simplify_mul,
    [OP_DIV] = simplify_div, [OP_POW] = simplify_pow, [OP_WHERE] = simplify_where, [OP_CAST] = simplify_cast,
};

static bool fold_constants(fold_form *form, clg_dtype dtype)
{
    double v[3] = {0, 0, 0};
    for (int i = 0; i < clg_ops[form->op].arity; i++)
        if (!is_const(form->x[i], &v[i]))
            return false;
    if (form->op == OP_CAST)
        return becomes_constant(form, dtype_convert(clg_dtype_of(form->x[0]), dtype, v[0]));
    double value = ops_evaluate(form->op, v[0], v[1], v[2]);
    return exact(dtype, value) && becomes_constant(form, value);
}

fold_form fold_map(fold_form form, clg_dtype dtype, bool in_gradient)
{
    fold_terms terms = {dtype, in_gradient, in_gradient || !clg_dtype_is_real(dtype)};
    while (form.op != OP_SAME && form.op != OP_CONST &&
           (fold_constants(&form, dtype) || (rules[form.op] && rules[form.op](&form, terms))))
        ; /* each rule has fewer operations, or cheaper ones, than the form that it rewrites */
    return form;
}

/* ---------------------------------------------------------------- reductions */

/* Whether an index map gives one element along the axes of a mask. */
static bool repeats(const index_map *map, int rank, uint32_t mask)
{
    for (int k = 0; k < CLG_MAX_DIMS; k++)
        for (int d = 0; d < rank; d++)
            if (mask >> d & 1 && map->axis[k].coef[d])
                return false;
    return true;
}

/* Of a constant it is a constant, of a broadcast the row's `repeat` (a sum is a product). */
bool fold_reduce(clg_op op, clg_var x, uint32_t mask, clg_shape shape, fold_form *form)
{
    const clg_shape from = clg_shape_of(x);
    const clg_dtype dtype = clg_dtype_of(x);
    const clg_op repeat = clg_ops[op].repeat, of = (clg_op)graph_at(x)->op;
    bool floating = clg_dtype_is_real(dtype);
    int64_t count = 1;
    double value;
    for (int d = 0; d < from.rank; d++)
        count *= mask >> d & 1 ? from.dim[d] : 1;
    if (count == 0)
        return false;
    if (is_const(x, &value)) {
        if (repeat != OP_SAME)
            value = ops_evaluate(repeat, value, (double)count, 0);
        return exact(dtype, value) && becomes_constant(form, value);
    }
    if (!ops_have_map(of) || (repeat != OP_SAME && clg_ops[repeat].types == TYPES_FLOATING && !floating))
        return false;
    const index_map map = *graph_map_of(x); /* the table may move */
    if (!repeats(&map, from.rank, mask))
        return false;
    clg_var once = views_map(of, clg_operand(x, 0), shape, &map);
    clg_var times = repeat == OP_SAME ? once : graph_like(once, (double)count);
    return once.id >= 0 && times.id >= 0 && becomes(form, repeat, once, times);
}
