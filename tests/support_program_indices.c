/* Steps of random programs along one axis: scans, sorts, elements taken and put by index. */
#include "support_programs.h"

#include "support_program_source.h"

static clg_var ranked(random_program *p) { return programs_ranked(p, 1 + (int)programs_below(p, 3)); }

clg_var programs_scan(random_program *p)
{
    clg_var x = ranked(p);
    const int axis = (int)programs_axis(p, x), flags = (int)programs_below(p, 4);
    const double length = (double)clg_shape_of(x).dim[axis];
    switch (programs_below(p, 5)) {
    case 0:
        return programs_scaled(clg_cumsum(x, axis, flags), 1 / length);
    case 1: /* factors near 1 */
        return programs_scaled(clg_cumprod(clg_exp(programs_scaled(clg_tanh(x), 1 / length)), axis, flags), 0.5);
    case 2:
        return programs_scaled(clg_logcumsumexp(x, axis, flags & CLG_SCAN_REVERSE), 0.25);
    case 3:
        return programs_scaled(clg_recurrence(x, clg_sin(programs_operand(p, clg_shape_of(x))), axis, flags),
                               1 / length);
    default:
        x = programs_apart(p, x);
        flags & 1 ? (x = clg_cummax(x, axis, flags & CLG_SCAN_REVERSE)) : (x = clg_cummin(x, axis, 0));
        return x;
    }
}

clg_var programs_sort(random_program *p)
{
    clg_var x = ranked(p);
    const int axis = (int)programs_axis(p, x);
    const bool descending = programs_chance(p, 2);
    x = programs_apart(p, x);
    if (programs_chance(p, 2))
        return clg_sort(x, axis, descending);
    return clg_topk(x, 1 + (int64_t)programs_below(p, (uint32_t)clg_shape_of(x).dim[axis]), axis, descending, NULL);
}

/* Indices within the array, some of them counted from the end. */
static clg_var indices(random_program *p, clg_shape shape, int64_t length)
{
    clg_var i = programs_indices(p, shape, 2 * length);
    return clg_sub(i, clg_full(p->g, CLG_I32, CLG_SCALAR, (double)length));
}

clg_var programs_take(random_program *p)
{
    clg_var x = ranked(p);
    const int axis = (int)programs_axis(p, x);
    clg_shape shape = clg_shape_of(x), many = {.rank = (int)programs_below(p, 3)};
    const int64_t length = shape.dim[axis];
    switch (programs_below(p, 3)) {
    case 0:
        for (int d = 0; d < many.rank; d++)
            many.dim[d] = 1 + programs_below(p, 4);
        if (clg_shape_count(shape) / length * clg_shape_count(many) > PROGRAM_ELEMENTS)
            return CLG_NONE;
        return clg_take(x, indices(p, many, length), axis);
    case 1:
        shape.dim[axis] = 1 + programs_below(p, 5);
        if (clg_shape_count(shape) > PROGRAM_ELEMENTS)
            return CLG_NONE;
        for (int d = 0; d < shape.rank; d++)
            if (d != axis && programs_chance(p, 4))
                shape.dim[d] = 1 + programs_below(p, (uint32_t)shape.dim[d]);
        return clg_gather_elements(x, indices(p, shape, length), axis);
    default:
        if (programs_chance(p, 2) || shape.rank < 2)
            return clg_gather_nd(x, indices(p, CLG_SHAPE(5, 1), shape.dim[0]), 0);
        return clg_gather_nd(x, indices(p, CLG_SHAPE(shape.dim[0], 3, 1), shape.dim[1]), 1);
    }
}

clg_var programs_put(random_program *p)
{
    clg_var x = ranked(p);
    const int axis = (int)programs_axis(p, x);
    const clg_scatter_mode mode = (clg_scatter_mode)programs_below(p, 4);
    clg_shape shape = clg_shape_of(x);
    const int64_t length = shape.dim[axis];
    if (mode == CLG_SCATTER_ADD && p->pure)
        return CLG_NONE; /* the sum would be no exact element any more */
    shape.dim[axis] = 1 + programs_below(p, 6);
    if (clg_shape_count(shape) > PROGRAM_ELEMENTS)
        return CLG_NONE;
    clg_var updates = programs_operand(p, shape);
    if (mode == CLG_SCATTER_MAX || mode == CLG_SCATTER_MIN) {
        x = programs_apart(p, x);
        updates = programs_apart(p, updates);
    }
    if (programs_chance(p, 2))
        return clg_scatter(x, indices(p, CLG_SHAPE(shape.dim[axis]), length), updates, axis, mode);
    return clg_scatter_elements(x, indices(p, shape, length), updates, axis, mode);
}
