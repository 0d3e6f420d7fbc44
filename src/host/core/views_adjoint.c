/* The gradient of a view: elements added up where they came from, by the inverse of the view's map. */
#include "build.h"

#include <string.h>

clg_var views_assemble(clg_var y, const inverse_map *inverse, clg_shape shape)
{
    clg_shape joined = {.rank = shape.rank};
    int64_t before[CLG_MAX_DIMS];
    for (int k = 0, part = 0; k < shape.rank; k++) {
        joined.dim[k] = 1;
        for (int i = 0; i < inverse->part_count[k]; i++)
            joined.dim[k] *= inverse->extent[part++];
        before[k] = inverse->base[k];
    }
    return views_place(views_reshape(y, joined), shape, before, 0);
}

/* Sums over the axes behind the first kept ones, which go. */
static clg_var sum_behind(clg_var y, int kept)
{
    clg_shape shape = clg_shape_of(y);
    uint32_t mask = 0;
    for (int d = kept; d < shape.rank; d++)
        mask |= 1u << d;
    shape.rank = kept;
    return y.id < 0 ? y : views_reshape(build_reduce(OP_SUM, y, mask), shape);
}

clg_var views_with_conditions(clg_var y, const inverse_map *inverse, index_map *map)
{
    clg_shape shape = clg_shape_of(y);
    int rank = shape.rank;
    if (rank + inverse->condition_count > CLG_MAX_DIMS)
        return graph_fail(y.graph, CLG_ERROR_UNSUPPORTED, "gradient: a view of %s needs more than %d dimensions",
                          shape_text(shape), CLG_MAX_DIMS);
    for (int c = 0; c < inverse->condition_count; c++) {
        map->axis[rank + c] = inverse->condition[c]; /* within an axis of extent 1: 0 */
        shape.dim[shape.rank++] = 1;
    }
    return views_reshape(y, shape);
}

/* Without an inverse: one dimension of the result at a time, its positions one by one. */
static clg_var adjoint_apart(clg_var x, clg_var gy, const index_map *map, int d)
{
    clg_shape shape = clg_shape_of(gy), one = shape;
    clg_var total = {x.graph, -1};
    one.dim[d] = 1;
    for (int64_t i = 0; i < shape.dim[d]; i++) {
        index_map at = *map, slice = index_map_identity(shape.rank);
        slice.axis[d].offset = i;
        for (int k = 0; k < clg_shape_of(x).rank; k++) {
            at.axis[k].offset += i * at.axis[k].coef[d];
            at.axis[k].coef[d] = 0;
        }
        clg_var part = views_adjoint(x, views_map(OP_SLICE, gy, one, &slice), &at);
        total = total.id < 0 ? part : clg_add(total, part);
    }
    return total;
}

/* y without its axes of extent 1, and its map. */
static clg_var drop_ones(clg_var y, index_map *map)
{
    clg_shape shape = clg_shape_of(y), to = {0};
    index_map from = *map;
    for (int k = 0; k < CLG_MAX_DIMS; k++)
        memset(map->axis[k].coef, 0, sizeof map->axis[k].coef);
    for (int d = 0; d < shape.rank; d++) {
        if (shape.dim[d] == 1)
            continue;
        for (int k = 0; k < CLG_MAX_DIMS; k++)
            map->axis[k].coef[to.rank] = from.axis[k].coef[d];
        to.dim[to.rank++] = shape.dim[d];
    }
    return views_reshape(y, to);
}

clg_var views_adjoint(clg_var x, clg_var gy, const index_map *given)
{
    clg_graph *g = x.graph;
    index_map own = *given, *map = &own;
    gy = drop_ones(gy, map);
    if (gy.id < 0)
        return gy;
    clg_shape from = clg_shape_of(x), to = clg_shape_of(gy);
    inverse_map inverse;
    if (clg_shape_count(from) == 0 || clg_shape_count(to) == 0)
        return graph_constant(g, clg_dtype_of(gy), graph_shape(g, "gradient", from), 0);
    if (!index_map_solve(map->axis, to.rank, to.dim, from, &inverse) ||
        to.rank + inverse.condition_count > CLG_MAX_DIMS) {
        int shortest = -1;
        for (int d = 0; d < to.rank; d++)
            if (to.dim[d] > 1 && (shortest < 0 || to.dim[d] < to.dim[shortest]))
                shortest = d;
        return adjoint_apart(x, gy, map, shortest);
    }
    index_map back = {0};
    clg_shape space = {.rank = inverse.rank};
    memcpy(space.dim, inverse.extent, sizeof space.dim);
    memcpy(back.axis, inverse.position, sizeof back.axis);
    gy = views_with_conditions(gy, &inverse, &back);
    return views_assemble(sum_behind(views_map(OP_VIEW, gy, space, &back), inverse.part_rank), &inverse, from);
}
