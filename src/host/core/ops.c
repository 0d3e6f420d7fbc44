/* The table of operations as C data, and its elementwise rows as functions of f64. */
#include "ops.h"

#include <math.h>
#include <string.h>

#define MATH_DTYPE 1
#include "kernels/math.h"

/* ---------------------------------------------------------------- rows */

#define NUMERIC TYPES_NUMERIC
#define FLOATING TYPES_FLOATING
#define INTEGER TYPES_INTEGER
#define WORD TYPES_WORD
#define COMPARE TYPES_COMPARE
#define SELECT TYPES_SELECT
#define CAST TYPES_CAST

const op_row clg_ops[OP_COUNT] = {
#define MAP(ID, name, builder, arity, types, expr, cost, grad, lo, hi, formula)                                        \
    {#name, KIND_MAP, arity, types, #expr, lo, hi, #grad, formula, cost, OP_SAME, OP_SAME, IDENTITY_ZERO},
#define REDUCE(ID, name, builder, expr, identity, repeat, grad, lo, hi, formula)                                       \
    {#name, KIND_REDUCE, 1, TYPES_NUMERIC, #expr, lo, hi, #grad, formula, 1, OP_##repeat, OP_SAME, IDENTITY_##identity},
#define SCAN(ID, name, builder, arity, types, expr, identity, grad, lo, hi, formula)                                   \
    {#name, KIND_SCAN, arity, types, #expr, lo, hi, #grad, formula, 1, OP_SAME, OP_SAME, IDENTITY_##identity},
#define SCATTER(ID, name, combine, grad, formula)                                                                      \
    {#name, KIND_SCATTER, 2, TYPES_NONE, "", -3, 3, #grad, formula, 0, OP_SAME, OP_##combine, IDENTITY_ZERO},
#define VIEW(ID, name, grad, formula)                                                                                  \
    {#name, KIND_VIEW, 1, TYPES_NONE, "", -3, 3, #grad, formula, 0, OP_SAME, OP_SAME, IDENTITY_ZERO},
#define OTHER(ID, name, kind, arity, grad, formula)                                                                    \
    {#name, KIND_##kind, arity, TYPES_NONE, "", -3, 3, #grad, formula, 0, OP_SAME, OP_SAME, IDENTITY_ZERO},
#define INTERNAL(ID, name, kind)                                                                                       \
    {#name, KIND_##kind, 0, TYPES_NONE, "", -3, 3, "NONE", "", 0, OP_SAME, OP_SAME, IDENTITY_ZERO},
#include "ops.def"
};

enum {
#define INTERNAL(ID, name, kind) +1
    INTERNAL_COUNT = 0
#include "ops.def"
};

int clg_op_count(void) { return OP_COUNT - INTERNAL_COUNT; }

clg_op_info clg_op_get_info(int op)
{
    static const char *const kinds[] = {
        [KIND_LEAF] = "leaf",         [KIND_MAP] = "map",         [KIND_REDUCE] = "reduce", [KIND_VIEW] = "view",
        [KIND_CONTRACT] = "contract", [KIND_GATHER] = "gather",   [KIND_SORT] = "sort",     [KIND_MATRIX] = "matrix",
        [KIND_SCAN] = "scan",         [KIND_SCATTER] = "scatter", [KIND_EFFECT] = "effect"};
    if (op < 0 || op >= clg_op_count())
        return (clg_op_info){"", "", "", "", 0, 0, 0, ""};
    const op_row *row = &clg_ops[op];
    bool none = !strcmp(row->gradient, "NONE") || !strcmp(row->gradient, "REFUSE");
    clg_op_info info = {row->name,
                        kinds[row->kind],
                        row->formula,
                        none ? "" : row->gradient,
                        row->arity,
                        row->lo,
                        row->hi,
                        row->types == TYPES_SELECT                                ? "crr"
                        : row->types == TYPES_INTEGER || row->types == TYPES_WORD ? &"iii"[3 - row->arity]
                                                                                  : &"rrr"[3 - row->arity]};
    return info;
}

const char *ops_identity(clg_op op, clg_dtype dtype)
{
    const char *const texts[] = {"0", "1", clg_dtypes[dtype].lowest, clg_dtypes[dtype].highest};
    return texts[clg_ops[op].identity];
}

double ops_identity_value(clg_op op, clg_dtype dtype)
{
    const double values[] = {0, 1, dtype_round(dtype, -INFINITY), dtype_round(dtype, INFINITY)};
    return values[clg_ops[op].identity];
}

bool ops_keep_order(clg_op op) { return op == OP_RESHAPE || op == OP_AGAIN || op == OP_STOP_GRADIENT; }
bool ops_have_map(clg_op op) { return clg_ops[op].kind == KIND_VIEW && !ops_keep_order(op); }

/* ---------------------------------------------------------------- rows as functions of f64 */

/* One function a row: the table is the only place that names operations. What is of integers alone is never known. */
#define EVALUATE(name, value)                                                                                          \
    static double name(double a, double b, double c)                                                                   \
    {                                                                                                                  \
        (void)a, (void)b, (void)c;                                                                                     \
        return (double)(value);                                                                                        \
    }
#define EVALUATE_NUMERIC(name, expr) EVALUATE(name, expr)
#define EVALUATE_FLOATING(name, expr) EVALUATE(name, expr)
#define EVALUATE_COMPARE(name, expr) EVALUATE(name, expr)
#define EVALUATE_SELECT(name, expr) EVALUATE(name, expr)
#define EVALUATE_CAST(name, expr) EVALUATE(name, expr)
#define EVALUATE_INTEGER(name, expr) EVALUATE(name, NAN)
#define EVALUATE_WORD(name, expr) EVALUATE(name, NAN)
#define MAP(ID, operation, builder, arity, types, expr, ...) EVALUATE_##types(evaluate_##ID, expr)
#define S f64
#include "ops.def"
#undef S

static double (*const evaluate[OP_COUNT])(double, double, double) = {
#define MAP(ID, ...) [OP_##ID] = evaluate_##ID,
#include "ops.def"
};

double ops_evaluate(clg_op op, double a, double b, double c) { return evaluate[op](a, b, c); }
