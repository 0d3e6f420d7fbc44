/* Builders of gather and of the scatters. */
#include "build.h"

bool gather_bound_input(clg_var indices, int64_t classes, const char *op)
{
    while (clg_ops[graph_at(indices)->op].kind == KIND_VIEW)
        indices.id = graph_at(indices)->src[0];
    if (graph_at(indices)->op != OP_INPUT)
        return true;
    leaf_record *l = graph_leaf_of(indices.graph, indices.id);
    if (!l->assigned && l->most >= l->least && (l->least < 0 || l->most >= classes)) {
        graph_fail(indices.graph, CLG_ERROR_ARGUMENT, "%s: index %lld of input %%%d %s is out of range: 0..%lld", op,
                   (long long)(l->least < 0 ? l->least : l->most), (int)indices.id, shape_text(clg_shape_of(indices)),
                   (long long)classes - 1);
        return false;
    }
    if (!l->classes || classes < l->classes) {
        l->classes = classes;
        l->classes_of = op;
    }
    return true;
}

bool gather_takes(const char *op, const char *called, clg_var indices)
{
    const clg_dtype dtype = clg_dtype_of(indices);
    if (!clg_dtype_is_real(dtype) && dtype != CLG_BOOL)
        return true;
    graph_fail(indices.graph, CLG_ERROR_ARGUMENT, "%s: %s must be i32, i64 or u8, not %s", op, called,
               clg_dtype_name(dtype));
    return false;
}

clg_var clg_gather(clg_var table, clg_var indices)
{
    if (!graph_check("gather", (clg_var[]){table, indices}, 2) || !gather_takes("gather", "indices", indices))
        return POISON(table.graph);
    clg_shape t = clg_shape_of(table), shape = clg_shape_of(indices);
    if (t.rank < 1 || shape.rank + t.rank - 1 > CLG_MAX_RANK)
        return graph_fail(table.graph, CLG_ERROR_ARGUMENT, "gather: cannot take rows %s of a table %s",
                          shape_text(shape), shape_text(t));
    if (!gather_bound_input(indices, t.dim[0], "gather"))
        return POISON(table.graph);
    indices = build_index(indices);
    for (int d = 1; d < t.rank; d++)
        shape.dim[shape.rank++] = t.dim[d];
    return graph_node(table.graph, OP_GATHER, clg_dtype_of(table), graph_shape(table.graph, "gather", shape),
                      (int32_t[]){table.id, indices.id, -1}, (graph_record){0});
}

static clg_var scatter(clg_op op, clg_var indices, clg_var updates, int64_t rows)
{
    const char *name = clg_ops[op].name;
    if (!graph_check(name, (clg_var[]){indices, updates}, 2) || !gather_takes(name, "indices", indices))
        return POISON(indices.graph);
    clg_shape i = clg_shape_of(indices), u = clg_shape_of(updates), shape = {.rank = 1, .dim = {rows}};
    bool good = rows >= 0 && u.rank >= i.rank && u.rank - i.rank + 1 <= CLG_MAX_RANK;
    for (int d = 0; good && d < i.rank; d++)
        good = u.dim[d] == i.dim[d];
    if (!good)
        return graph_fail(indices.graph, CLG_ERROR_ARGUMENT,
                          "%s: updates %s must begin with the axes of indices %s (rows %lld)", name, shape_text(u),
                          shape_text(i), (long long)rows);
    for (int d = i.rank; d < u.rank; d++)
        shape.dim[shape.rank++] = u.dim[d];
    if (!gather_bound_input(indices, rows, name))
        return POISON(indices.graph);
    indices = build_index(indices);
    const clg_dtype dtype = clg_dtype_of(updates), own = clg_dtypes[dtype].arithmetic;
    updates = clg_cast(updates, own);
    return clg_cast(graph_node(indices.graph, op, own, graph_shape(indices.graph, name, shape),
                               (int32_t[]){indices.id, updates.id, -1}, (graph_record){0}),
                    dtype);
}

#define SCATTER(ID, name, ...)                                                                                         \
    clg_var clg_##name(clg_var indices, clg_var updates, int64_t rows)                                                 \
    {                                                                                                                  \
        return scatter(OP_##ID, indices, updates, rows);                                                               \
    }
#include "ops.def"
