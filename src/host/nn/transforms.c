/* Derivatives in other forms, by reverse sweeps. */
#include "helpers.h"

#include <clgrad/transforms.h>

#include <stdlib.h>

/* The sum of all elements of x times a constant. */
static clg_var product(clg_var x, clg_var constant)
{
    return clg_sum(clg_mul(x, clg_stop_gradient(constant)), CLG_ALL_AXES, false);
}

/* The sum of such products; of what is of other shapes a poisoned variable, not a broadcast one. */
static clg_var products(const clg_var *xs, const clg_var *constants, int count)
{
    clg_var total = {xs[0].graph, -1};
    for (int i = 0; i < count; i++) {
        clg_var same = clg_reshape(constants[i], clg_shape_of(xs[i])), term = product(xs[i], same);
        total = i == 0 ? term : clg_add(total, term);
    }
    return total;
}

clg_status clg_vjp(const clg_var *ys, const clg_var *vs, int y_count, const clg_var *xs, int x_count, clg_var *gxs)
{
    return clg_gradients(products(ys, vs, y_count), xs, x_count, gxs);
}

/* The product of y's gradients with the vectors is linear in the vector u that they are taken with: its derivative by u
 * is the result, whatever u is. */
clg_var clg_jvp(clg_var y, const clg_var *xs, const clg_var *vs, int count)
{
    clg_var result = {y.graph, -1}, u = times(clg_stop_gradient(y), 0.7071067811865476);
    clg_var *gxs = malloc((size_t)(count > 0 ? count : 1) * sizeof *gxs);
    if (gxs && clg_gradients(clg_sum(clg_mul(y, u), CLG_ALL_AXES, false), xs, count, gxs) == CLG_OK)
        clg_gradients(products(gxs, vs, count), &u, 1, &result);
    free(gxs);
    return result;
}

clg_status clg_hvp(clg_var y, const clg_var *xs, const clg_var *vs, int count, clg_var *hvs)
{
    clg_status status = clg_gradients(y, xs, count, hvs);
    return status == CLG_OK ? clg_gradients(products(hvs, vs, count), xs, count, hvs) : status;
}

clg_var clg_jacobian(clg_var y, clg_var x)
{
    clg_shape rows = clg_shape_of(y), shape = clg_shape_of(x), whole = rows;
    const int64_t count = clg_shape_count(rows);
    clg_var flat = clg_reshape(y, CLG_SHAPE(count)), *row = malloc((size_t)(count > 0 ? count : 1) * sizeof *row);
    clg_var result = {y.graph, -1};
    bool good = row && clg_is_valid(flat) && clg_is_valid(x);
    for (int64_t i = 0; i < count && good; i++)
        good = clg_gradients(clg_index(flat, 0, i), &x, 1, &row[i]) == CLG_OK;
    for (int d = 0; d < shape.rank && whole.rank < CLG_MAX_RANK; d++)
        whole.dim[whole.rank++] = shape.dim[d];
    if (good && count > 0) /* a rank that is too high is one that does not fit its elements */
        result = clg_reshape(clg_stack(row, (int)count, 0), whole);
    free(row);
    return result;
}

clg_var clg_hessian(clg_var y, clg_var x)
{
    clg_var slope;
    clg_gradients(y, &x, 1, &slope);
    return clg_jacobian(slope, x);
}
