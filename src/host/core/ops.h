/* The table of operations (ops.def) as C data. */
#ifndef CLG_OPS_H
#define CLG_OPS_H

#include "dtypes.h"

#include <clgrad/clgrad.h>

typedef enum clg_op {
#define MAP(ID, ...) OP_##ID,
#define REDUCE(ID, ...) OP_##ID,
#define SCAN(ID, ...) OP_##ID,
#define SCATTER(ID, ...) OP_##ID,
#define VIEW(ID, ...) OP_##ID,
#define OTHER(ID, ...) OP_##ID,
#define INTERNAL(ID, ...) OP_##ID,
#include "ops.def"
    OP_COUNT,
    OP_SAME = OP_COUNT
} clg_op;

typedef enum op_kind {
    KIND_LEAF,
    KIND_MAP,
    KIND_REDUCE,
    KIND_VIEW,
    KIND_CONTRACT,
    KIND_GATHER,
    KIND_SORT,
    KIND_MATRIX,
    KIND_SCAN,
    KIND_SCATTER,
    KIND_EFFECT,
    KIND_JOIN /* plan/join.c */
} op_kind;

typedef enum op_types {
    TYPES_NONE,
    TYPES_NUMERIC,
    TYPES_FLOATING,
    TYPES_INTEGER,
    TYPES_WORD,
    TYPES_COMPARE,
    TYPES_SELECT,
    TYPES_CAST
} op_types;

typedef enum op_identity { IDENTITY_ZERO, IDENTITY_ONE, IDENTITY_LOWEST, IDENTITY_HIGHEST } op_identity;

/* What of a determinant DETERMINANT gives: its attribute. */
enum { DETERMINANT_VALUE, DETERMINANT_LOG, DETERMINANT_SIGN };

typedef struct op_row {
    const char *name;
    op_kind kind;
    int arity;
    op_types types;       /* MAP, SCAN */
    const char *expr;     /* MAP, REDUCE, SCAN: text of the expression */
    double lo, hi;        /* MAP, REDUCE, SCAN: where tests draw operands */
    const char *gradient; /* name of the rule, "NONE" or "REFUSE" */
    const char *formula;
    int cost;             /* MAP: of an element, in additions, about */
    clg_op repeat;        /* REDUCE: n equal elements a give a REPEAT n; OP_SAME: a */
    clg_op combine;       /* SCATTER: the reduction */
    op_identity identity; /* REDUCE, SCAN */
} op_row;

extern const op_row clg_ops[OP_COUNT];

/* Whether an operation gives its operand's elements in their order; an index map has every other view. */
bool ops_keep_order(clg_op op);
bool ops_have_map(clg_op op);
/* A REDUCE or SCAN row's identity for a dtype: as text for C and OpenCL C, and as a number. */
const char *ops_identity(clg_op op, clg_dtype dtype);
double ops_identity_value(clg_op op, clg_dtype dtype);
/* A MAP row's function in f64, NaN of one of integers alone; unused operands: any. */
double ops_evaluate(clg_op op, double a, double b, double c);
#endif
