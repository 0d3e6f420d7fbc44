/* Leaves with values: nodes of the graph, written through the engine. */
#include "../core/graph.h"

clg_var clg_array(clg_graph *graph, clg_dtype dtype, clg_shape shape, const void *data)
{
    clg_var x = graph_leaf(graph, dtype, shape);
    if (x.id >= 0 && clg_write(x, data, (size_t)clg_shape_count(shape) * clg_dtype_size(dtype)) != CLG_OK)
        return graph_fail(graph, CLG_ERROR_DEVICE, "array: %s", clg_last_error());
    return x;
}

clg_var clg_constant(clg_graph *graph, clg_dtype dtype, clg_shape shape, const void *data)
{
    clg_var x = clg_array(graph, dtype, shape, data);
    if (x.id >= 0)
        graph_leaf_of(graph, x.id)->constant = true;
    return x;
}

clg_var clg_scalar(clg_graph *graph, double value)
{
    float v = (float)value;
    return clg_array(graph, CLG_F32, CLG_SCALAR, &v);
}
