/* Derivatives in other forms, by reverse sweeps. */
#include "helpers.h"

#include <clgrad/transforms.h>

#include <stdlib.h>

/* The sum of all elements of x times a constant. */
static clg_var product(clg_var x, clg_var constant)
{
    return clg_sum(clg_mul(x, clg_stop_gradient(constant)), CLG_ALL_AXES, false);
}

/* The sum of such products; of what is of other shapes an error, not a broadcast one. */
static clg_var products(const char *op, clg_graph *graph, const clg_var *xs, const clg_var *constants, int count)
{
    clg_var total = poisoned(graph);
    if (count < 1)
        return clg_refuse(graph, "%s: there must be one variable or more, not %d", op, count);
    for (int i = 0; i < count; i++) {
        const clg_shape s = clg_shape_of(xs[i]), t = clg_shape_of(constants[i]);
        if (clg_is_valid(xs[i]) && clg_is_valid(constants[i]) && !clg_shape_equal(s, t))
            return clg_refuse(graph, "%s: variable %d is %s, its vector %s", op, i, words_of(s).text, words_of(t).text);
        clg_var term = product(xs[i], constants[i]);
        total = i == 0 ? term : clg_add(total, term);
    }
    return total;
}

clg_status clg_vjp(const clg_var *ys, const clg_var *vs, int y_count, const clg_var *xs, int x_count, clg_var *gxs)
{
    clg_graph *graph = y_count > 0 ? ys[0].graph : NULL;
    return clg_gradients(products("vjp", graph, ys, vs, y_count), xs, x_count, gxs);
}

/* The product of y's gradients with the vectors is linear in the vector u that they are taken with: its derivative by u
 * is the result, whatever u is. */
clg_var clg_jvp(clg_var y, const clg_var *xs, const clg_var *vs, int count)
{
    if (count < 1)
        return clg_refuse(y.graph, "jvp: there must be one variable or more, not %d", count);
    clg_var result = poisoned(y.graph), u = times(clg_stop_gradient(y), 0.7071067811865476);
    clg_var *gxs = malloc((size_t)count * sizeof *gxs);
    if (gxs && clg_gradients(clg_sum(clg_mul(y, u), CLG_ALL_AXES, false), xs, count, gxs) == CLG_OK)
        clg_gradients(products("jvp", y.graph, gxs, vs, count), &u, 1, &result);
    free(gxs);
    return result;
}

clg_status clg_hvp(clg_var y, const clg_var *xs, const clg_var *vs, int count, clg_var *hvs)
{
    clg_status status = clg_gradients(y, xs, count, hvs);
    return status == CLG_OK ? clg_gradients(products("hvp", y.graph, hvs, vs, count), xs, count, hvs) : status;
}

clg_var clg_jacobian(clg_var y, clg_var x)
{
    clg_shape rows = clg_shape_of(y), shape = clg_shape_of(x), whole = rows;
    const int64_t count = clg_shape_count(rows);
    if (!are_operands("jacobian", (clg_var[]){y, x}, 2))
        return poisoned(y.graph);
    if (count < 1 || count > INT32_MAX || rows.rank + shape.rank > CLG_MAX_RANK)
        return clg_refuse(y.graph, "jacobian: of %s by %s: there must be elements, and %d axes at the most",
                          words_of(rows).text, words_of(shape).text, CLG_MAX_RANK);
    clg_var flat = clg_reshape(y, CLG_SHAPE(count)), *row = malloc((size_t)count * sizeof *row),
            result = poisoned(y.graph);
    bool good = row != NULL;
    if (!row)
        return clg_refuse(y.graph, "jacobian: out of memory");
    for (int64_t i = 0; i < count && good; i++)
        good = clg_gradients(clg_index(flat, 0, i), &x, 1, &row[i]) == CLG_OK;
    for (int d = 0; d < shape.rank; d++)
        whole.dim[whole.rank++] = shape.dim[d];
    if (good)
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
