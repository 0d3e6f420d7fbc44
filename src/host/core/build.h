/* What builders and gradient rules make nodes with, besides the builders of clgrad.h. */
#ifndef CLG_BUILD_H
#define CLG_BUILD_H

#include "graph.h"

/* views.c */
/* The same elements in row-major order; up to CLG_MAX_DIMS axes, as the others here. */
clg_var views_reshape(clg_var x, clg_shape shape);
clg_var views_broadcast(clg_var x, clg_shape shape);
/* A view: element p of the result is x's element map(p), or map.fill where that is outside x. */
clg_var views_map(clg_op op, clg_var x, clg_shape shape, const index_map *map);
/* x with before[d] elements more in front of axis d (negative: fewer), as part of an array of a shape; fill elsewhere.
 */
clg_var views_place(clg_var x, clg_shape shape, const int64_t *before, double fill);

/* build.c */
/* The largest dtype of some variables; floating: at least f32. */
clg_dtype build_common_dtype(const clg_var *x, int count, bool floating);
/* What a REDUCE or SCAN op gives for a dtype: i64 for sums and products of integers. */
clg_dtype build_sum_dtype(clg_op op, clg_dtype dtype);
clg_var build_as_float(clg_var x); /* integers as f32 */
/* x in f32 or f64, for functions of several operations, that round once at the end; y as they give it for x:
 * rounded, if x is of a dtype of storage. */
clg_var build_wide(clg_var x);
clg_var build_back(clg_var y, clg_var x);
clg_var build_index(clg_var x); /* integers as i32, those beyond it as the nearest there is */
/* A MAP op over operands (unused: any), with casts and broadcasts inserted. */
clg_var build_map(clg_op op, clg_var a, clg_var b, clg_var c);
clg_var build_reduction(clg_op op, clg_var x, clg_axes axes, bool keepdims);
clg_var build_reduce(clg_op op, clg_var x, uint32_t mask); /* keeps reduced axes with extent 1 */

/* views_adjoint.c */
/* The gradient with respect to x of sum(y * gy), y a view of x by a map: gy's elements added up where they came from.
 */
clg_var views_adjoint(clg_var x, clg_var gy, const index_map *map);
/* y with an axis of extent 1 more for each condition, whose form becomes that axis's in a map over y: so what does not
 * meet the condition is outside. */
clg_var views_with_conditions(clg_var y, const inverse_map *inverse, index_map *map);
/* The parts of an inverse's axes put together: (q, r) becomes an axis of q * r elements, of which those from base on
 * are the operand's, of a shape. */
clg_var views_assemble(clg_var y, const inverse_map *inverse, clg_shape shape);

/* contract.c */
clg_var contract_node(clg_var a, clg_var b, const contraction *c);
/* Operands as one of f32 and f64, and the dtype to which the result is cast; false (with an error naming op) if they
 * are not variables of one graph. */
bool contract_operands(const char *op, clg_var *a, clg_var *b, clg_dtype *result);
/* The gradient with respect to operand number which, x, of sum(y * gy), y the contraction of x and another variable. Of
 * x only the shape is used, if the map can be solved. */
clg_var contract_adjoint(const contraction *c, clg_var x, clg_var with, int which, clg_var gy);

/* scan.c. A scan along an axis of operands of one dtype and shape. */
clg_var scan_node(clg_op op, clg_var x, clg_var coefficient, int axis, bool reverse);
int scan_axis(clg_var y);
bool scan_is_reversed(clg_var y);
/* y moved on by one along the axis, in a scan's direction; the value first comes in. */
clg_var scan_shift(clg_var y, int axis, bool reverse, double first);
clg_var scan_apply(clg_op op, const clg_var *x, clg_axes axes);

/* matrix.c. A node over matrices of one dtype and batch shape; the inverse; x below (side -1) or above (1) its
 * diagonal, which is multiplied by a factor, and 0 elsewhere. */
clg_var matrix_node(clg_op op, clg_var a, clg_var b, int attr);
clg_var matrix_inverse(clg_var a);
clg_var matrix_triangle(clg_var x, int side, double diagonal);

/* gather.c: whether a variable, called so in the message if not, is of integers; lets clg_write refuse indices outside
 * 0..classes-1, where the indices are an input, for the sake of op. */
bool gather_takes(const char *op, const char *called, clg_var indices);
bool gather_bound_input(clg_var indices, int64_t classes, const char *op);
#endif
