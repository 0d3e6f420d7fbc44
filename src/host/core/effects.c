/* Builders of effects: what changes a leaf, and what waits for that. */
#include "graph.h"

clg_var clg_assign(clg_var leaf_var, clg_var value)
{
    if (!graph_check("assign", (clg_var[]){leaf_var, value}, 2))
        return POISON(leaf_var.graph);
    clg_graph *g = leaf_var.graph;
    if (graph_at(leaf_var)->op != OP_INPUT)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "assign: the target must be a leaf, not the result of %s",
                          clg_creator(leaf_var));
    if (clg_dtype_of(leaf_var) != clg_dtype_of(value) || graph_at(leaf_var)->shape != graph_at(value)->shape)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "assign: leaf %s %s and value %s %s differ",
                          clg_dtype_name(clg_dtype_of(leaf_var)), shape_text(clg_shape_of(leaf_var)),
                          clg_dtype_name(clg_dtype_of(value)), shape_text(clg_shape_of(value)));
    if (graph_leaf_of(g, leaf_var.id)->constant)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "assign: %%%d %s is a constant; an input can be assigned",
                          (int)leaf_var.id, shape_text(clg_shape_of(leaf_var)));
    graph_leaf_of(g, leaf_var.id)->assigned = true;
    return graph_node(g, OP_ASSIGN, clg_dtype_of(value), graph_at(value)->shape, (int32_t[]){leaf_var.id, value.id, -1},
                      (graph_record){0});
}

clg_var clg_after(clg_var x, clg_var effect)
{
    if (!graph_check("after", (clg_var[]){x, effect}, 2))
        return POISON(x.graph);
    return graph_node(x.graph, OP_AFTER, clg_dtype_of(x), graph_at(x)->shape, (int32_t[]){x.id, effect.id, -1},
                      (graph_record){0});
}
