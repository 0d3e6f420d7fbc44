/* Derivatives in other forms than clg_gradients': products with vectors, matrices, and a check of them by differences.
 */
#ifndef CLGRAD_TRANSFORMS_H
#define CLGRAD_TRANSFORMS_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Vector-Jacobian products, reverse mode: gxs[i] = sum over k of d sum(ys[k] vs[k]) / d xs[i], vs constant and of the
 * shapes of ys. On error all gxs are poisoned, and clg_last_error says why. */
CLG_API clg_status clg_vjp(const clg_var *ys, const clg_var *vs, int y_count, const clg_var *xs, int x_count,
                           clg_var *gxs);

/* The Jacobian-vector product, forward mode: d y / d t of y(xs + t vs) at t = 0, of y's shape. It is made by two sweeps
 * in reverse (Townsend, "A new trick for calculating Jacobian vector products", 2017). vs are of the shapes of xs. */
CLG_API clg_var clg_jvp(clg_var y, const clg_var *xs, const clg_var *vs, int count);

/* Hessian-vector products of sum(y): hvs[i] = d / d xs[i] of the sum over k of d sum(y) / d xs[k] times vs[k], vs
 * constant. */
CLG_API clg_status clg_hvp(clg_var y, const clg_var *xs, const clg_var *vs, int count, clg_var *hvs);

/* All derivatives of y by x: of y's shape followed by x's, rank 8 at the most. One sweep for each element of y, and as
 * many nodes: for few of them. */
CLG_API clg_var clg_jacobian(clg_var y, clg_var x);
/* The second derivatives of sum(y): of x's shape twice. */
CLG_API clg_var clg_hessian(clg_var y, clg_var x);

/* How clg_check_gradient looks; 0 of a field: as it says there. */
typedef struct clg_check_options {
    double step;      /* of the differences, times max(1, |x|); 0: the cube root of the dtype's epsilon */
    double tolerance; /* of an error, relative to max(1, the greater of both); 0: 1e-6 for f64, 1e-2 for f32 */
    int samples;      /* elements of each leaf that are tried, drawn by the seed; 0: 32 */
    uint64_t seed;
} clg_check_options;

/* What was worst. */
typedef struct clg_check_result {
    int checked, wrong; /* elements */
    int leaf;           /* number in xs */
    int64_t element;
    double gradient, difference, error;
} clg_check_result;

/* Compares the gradients of sum(y) with central differences, by writing to the leaves xs; each gets its values back. In
 * f64 differences are right to ten digits, in f32 to two or three. y must not assign. options may be NULL. report
 * (NULL: none): a line for each leaf, cut to size bytes. CLG_OK also where gradients are wrong. */
CLG_API clg_status clg_check_gradient(clg_var y, const clg_var *xs, int count, const clg_check_options *options,
                                      clg_check_result *result, char *report, size_t size);

#ifdef __cplusplus
}
#endif
#endif
