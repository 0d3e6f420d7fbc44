/* Simplification of what is about to be made. It says what is to be made instead; builders make it. */
#ifndef CLG_FOLD_H
#define CLG_FOLD_H

#include "graph.h"

/* A MAP operation over operands that have the dtypes its type asks for and one shape (unused operands: any); or
 * OP_CONST: a constant of this value; or OP_SAME: x[0] itself. */
typedef struct fold_form {
    clg_op op;
    clg_var x[3];
    double value;
} fold_form;

/* The simplest form with the same values; dtype: of the result. in_gradient: gradient rules make it, so a constant zero
 * is structural (a branch that was not taken): x + 0 is x, and 0 x NaN is 0. */
fold_form fold_map(fold_form form, clg_dtype dtype, bool in_gradient);
/* A reduction of equal elements, over the axes of a mask to a shape, in another form; false: there is none. */
bool fold_reduce(clg_op op, clg_var x, uint32_t mask, clg_shape shape, fold_form *form);
#endif
