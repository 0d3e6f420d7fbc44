/* Contractions over an iteration space (index_map.h): their nodes, their gradient, which is a contraction again with
 * the roles exchanged, and matrix products. */
#include "build.h"

#include <string.h>

/* ---------------------------------------------------------------- nodes */

/* An operand over the axes of the result. *within: bool, 1 where it is read and 0 outside; poisoned if it is read
 * everywhere. */
static clg_var over_result(clg_var x, const affine *axis, clg_shape shape, clg_var *within)
{
    index_map map = {0};
    clg_shape from = clg_shape_of(x);
    bool inside = true;
    for (int k = 0; k < from.rank; k++) {
        int64_t least, most;
        affine_range(&axis[k], shape.rank, shape.dim, &least, &most);
        inside &= least >= 0 && most < from.dim[k];
        map.axis[k] = axis[k];
    }
    *within = inside ? POISON(x.graph)
                     : views_map(OP_VIEW, graph_constant(x.graph, CLG_BOOL, graph_at(x)->shape, 1), shape, &map);
    return views_map(OP_VIEW, x, shape, &map);
}

/* Without a sum: the product of the two, element by element, which fuses with whatever uses it. */
static clg_var elementwise(clg_var a, clg_var b, const contraction *c, clg_shape shape)
{
    clg_var within[2], x = over_result(a, c->axis[0], shape, &within[0]),
                       y = over_result(b, c->axis[1], shape, &within[1]), product = build_map(OP_MUL, x, y, x);
    for (int o = 0; o < 2 && product.id >= 0; o++)
        if (within[o].id >= 0)
            product = clg_where(within[o], product, graph_like(product, 0));
    return product;
}

clg_var contract_node(clg_var a, clg_var b, const contraction *c)
{
    clg_graph *g = a.graph;
    contraction own = *c;
    clg_shape shape = {.rank = c->result_rank}, from[2] = {clg_shape_of(a), clg_shape_of(b)};
    bool empty = false;
    int64_t summed = 1;
    if (a.id < 0 || b.id < 0)
        return POISON(g);
    memcpy(shape.dim, c->extent, sizeof shape.dim);
    for (int d = c->result_rank; d < c->rank; d++) {
        empty |= c->extent[d] == 0;
        summed *= c->extent[d];
    }
    for (int d = c->rank; d < CLG_MAX_DIMS; d++)
        own.extent[d] = 0;
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < CLG_MAX_DIMS; k++)
            for (int d = 0; d < CLG_MAX_DIMS; d++)
                if (k >= from[o].rank || d >= c->rank || c->extent[d] == 1)
                    own.axis[o][k].coef[d] = 0;
    clg_dtype dtype = (clg_dtype)graph_at(a)->dtype;
    int32_t id = graph_shape(g, "contraction", shape);
    if (id < 0)
        return POISON(g);
    if (empty || clg_shape_count(from[0]) == 0 || clg_shape_count(from[1]) == 0 || clg_shape_count(shape) == 0)
        return graph_constant(g, dtype, id, 0);
    if (summed == 1)
        return elementwise(a, b, &own, shape);
    int32_t index = graph_contraction(g, &own);
    return index < 0 ? POISON(g)
                     : graph_node(g, OP_CONTRACT, dtype, id, (int32_t[]){a.id, b.id, -1},
                                  (graph_record){.attr.integer = index});
}

bool contract_operands(const char *op, clg_var *a, clg_var *b, clg_dtype *result)
{
    clg_var x[2] = {*a, *b};
    if (!graph_check(op, x, 2))
        return false;
    *result = build_common_dtype(x, 2, true);
    *a = clg_cast(*a, clg_dtypes[*result].arithmetic);
    *b = clg_cast(*b, clg_dtypes[*result].arithmetic);
    return a->id >= 0 && b->id >= 0;
}

/* ---------------------------------------------------------------- the gradient */

static bool is_dimension(const affine *f, int rank, int d)
{
    bool same = f->offset == 0;
    for (int e = 0; e < rank; e++)
        same &= f->coef[e] == (e == d);
    return same;
}

/* Whether dimension d of c is always within its extent where the new space's operands are within theirs. */
static bool is_bounded(const contraction *c, int other, clg_shape shape, const inverse_map *inverse, int d)
{
    int64_t least, most;
    affine_range(&inverse->position[d], inverse->rank, inverse->extent, &least, &most);
    bool bounded = (least >= 0 && most < c->extent[d]) || d < c->result_rank;
    for (int k = 0; k < shape.rank; k++)
        bounded |= shape.dim[k] == c->extent[d] && is_dimension(&c->axis[other][k], c->rank, d);
    return bounded;
}

/* Without an inverse: through the operand's windows as an array. */
static clg_var adjoint_through_view(const contraction *c, clg_var x, clg_var with, int which, clg_var gy)
{
    clg_shape from = clg_shape_of(x), shape = {0};
    contraction direct = *c;
    index_map map = {0};
    memset(direct.axis[which], 0, sizeof direct.axis[which]);
    for (int d = 0; d < c->rank; d++) {
        bool used = false;
        for (int k = 0; k < from.rank; k++)
            used |= c->axis[which][k].coef[d] != 0;
        if (!used)
            continue;
        for (int k = 0; k < from.rank; k++)
            map.axis[k].coef[shape.rank] = c->axis[which][k].coef[d];
        direct.axis[which][shape.rank] = affine_of(d);
        shape.dim[shape.rank++] = c->extent[d];
    }
    for (int k = 0; k < from.rank; k++)
        map.axis[k].offset = c->axis[which][k].offset;
    clg_var windows = views_map(OP_VIEW, x, shape, &map);
    return windows.id < 0 ? windows : views_adjoint(x, contract_adjoint(&direct, windows, with, which, gy), &map);
}

clg_var contract_adjoint(const contraction *c, clg_var x, clg_var with, int which, clg_var gy)
{
    clg_graph *g = x.graph;
    clg_shape from = clg_shape_of(x), other = clg_shape_of(with);
    inverse_map inverse;
    if (clg_shape_count(from) == 0 || clg_shape_count(clg_shape_of(gy)) == 0)
        return graph_constant(g, clg_dtype_of(gy), graph_shape(g, "gradient", from), 0);
    if (!index_map_solve(c->axis[which], c->rank, c->extent, from, &inverse))
        return adjoint_through_view(c, x, with, which, gy);
    contraction back = {.rank = inverse.rank, .result_rank = inverse.part_rank};
    index_map of_gy = {0};
    memcpy(back.extent, inverse.extent, sizeof back.extent);
    for (int d = 0; d < c->result_rank; d++)
        of_gy.axis[d] = inverse.position[d];
    for (int k = 0; k < other.rank; k++)
        back.axis[1 - which][k] = affine_compose(&c->axis[1 - which][k], c->rank, inverse.position);
    gy = views_with_conditions(gy, &inverse, &of_gy);
    for (int d = c->result_rank; d < c->rank && gy.id >= 0; d++) {
        if (is_bounded(c, 1 - which, other, &inverse, d))
            continue;
        clg_shape wide = clg_shape_of(gy); /* an axis of that extent, along which nothing changes */
        if (wide.rank == CLG_MAX_DIMS)
            return adjoint_through_view(c, x, with, which, gy);
        of_gy.axis[wide.rank] = inverse.position[d];
        wide.dim[wide.rank++] = 1;
        gy = views_reshape(gy, wide);
        wide.dim[wide.rank - 1] = c->extent[d];
        gy = views_broadcast(gy, wide);
    }
    memcpy(back.axis[which], of_gy.axis, sizeof of_gy.axis);
    clg_var parts = which == 0 ? contract_node(gy, with, &back) : contract_node(with, gy, &back);
    return views_assemble(parts, &inverse, from);
}

/* ---------------------------------------------------------------- matrix products */

/* The axes of an operand of matmul: its leading ones are the result's last batch axes. matrix: the dimensions of its
 * last axes. */
static void matrix_axes(affine *axis, clg_shape shape, int batch_rank, const int *matrix, int matrix_rank)
{
    int leading = shape.rank - matrix_rank;
    for (int k = 0; k < shape.rank; k++) {
        int d = k < leading ? batch_rank - leading + k : matrix[k - leading];
        axis[k] = shape.dim[k] == 1 ? (affine){0} : affine_of(d);
    }
}

clg_var clg_matmul(clg_var a, clg_var b)
{
    if (!graph_check("matmul", (clg_var[]){a, b}, 2))
        return POISON(a.graph);
    clg_graph *g = a.graph;
    clg_shape s = clg_shape_of(a), t = clg_shape_of(b), batch, left = s, right = t;
    if (s.rank < 1 || t.rank < 1)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: operands need rank 1 or more: %s x %s", shape_text(s),
                          shape_text(t));
    int rows = s.rank > 1, columns = t.rank > 1;
    int64_t k = s.dim[s.rank - 1];
    if (k != t.dim[t.rank - 1 - columns])
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: inner dimensions differ: %s x %s", shape_text(s),
                          shape_text(t));
    left.rank -= 1 + rows;
    right.rank -= 1 + columns;
    if (!shape_broadcast(left, right, &batch))
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: batch dimensions do not broadcast: %s x %s", shape_text(s),
                          shape_text(t));
    clg_dtype result;
    if (!contract_operands("matmul", &a, &b, &result))
        return POISON(g);
    contraction c = {.result_rank = batch.rank + rows + columns};
    memcpy(c.extent, batch.dim, sizeof c.extent);
    int row = batch.rank, column = row + rows, depth = column + columns;
    if (rows)
        c.extent[row] = s.dim[s.rank - 2];
    if (columns)
        c.extent[column] = t.dim[t.rank - 1];
    c.extent[depth] = k;
    c.rank = depth + 1;
    matrix_axes(c.axis[0], s, batch.rank, rows ? (int[]){row, depth} : (int[]){depth}, 1 + rows);
    matrix_axes(c.axis[1], t, batch.rank, columns ? (int[]){depth, column} : (int[]){depth}, 1 + columns);
    return clg_cast(contract_node(a, b, &c), result);
}
