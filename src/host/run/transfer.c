/* Values from the host to leaves, and from variables to the host. */
#include "engine.h"

#include <math.h>

/* ---------------------------------------------------------------- host to device */

/* The least and the greatest of integers; 0, -1 where there are none. Each loop is of its own type: that many are
 * written in a training step. */
static void find_range(clg_dtype dtype, const void *data, int64_t count, int64_t *least, int64_t *most)
{
    *least = 0;
    *most = -1;
#define FIND(T)                                                                                                        \
    do {                                                                                                               \
        const T *values = data;                                                                                        \
        T low = values[0], high = low;                                                                                 \
        for (int64_t i = 1; i < count; i++) {                                                                          \
            low = values[i] < low ? values[i] : low;                                                                   \
            high = values[i] > high ? values[i] : high;                                                                \
        }                                                                                                              \
        *least = low;                                                                                                  \
        *most = high;                                                                                                  \
    } while (0)
    if (count > 0 && dtype == CLG_I32)
        FIND(int32_t);
    else if (count > 0 && dtype == CLG_I64)
        FIND(int64_t);
    else if (count > 0 && dtype == CLG_U8)
        FIND(uint8_t);
#undef FIND
}

static clg_status check_classes(const leaf_record *l, clg_dtype dtype, const void *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = dtype == CLG_I32   ? ((const int32_t *)data)[i]
                              : dtype == CLG_I64 ? ((const int64_t *)data)[i]
                                                 : ((const uint8_t *)data)[i];
        if (value < 0 || value >= l->classes)
            return clg_fail(CLG_ERROR_ARGUMENT, "write: index %lld at position %lld is out of range: %s needs 0..%lld",
                            (long long)value, (long long)i, l->classes_of, (long long)l->classes - 1);
    }
    return CLG_OK;
}

clg_status clg_write(clg_var leaf, const void *data, size_t bytes)
{
    if (!graph_check("write", &leaf, 1))
        return CLG_ERROR_ARGUMENT;
    clg_graph *g = leaf.graph;
    backend_buffer *buffer;
    if (graph_at(leaf)->op != OP_INPUT)
        return clg_fail(CLG_ERROR_ARGUMENT, "write: only leaves can be written, not the result of %s",
                        clg_creator(leaf));
    if ((int64_t)bytes != engine_bytes(leaf))
        return clg_fail(CLG_ERROR_ARGUMENT, "write: %s %s takes %lld bytes, not %zu",
                        clg_dtype_name(clg_dtype_of(leaf)), shape_text(clg_shape_of(leaf)),
                        (long long)engine_bytes(leaf), bytes);
    if (!data && bytes)
        return clg_fail(CLG_ERROR_ARGUMENT, "write: data is NULL");
    leaf_record *l = graph_leaf_of(g, leaf.id);
    if (l->constant)
        return clg_fail(CLG_ERROR_ARGUMENT, "write: %%%d %s is a constant; an input can be written again", (int)leaf.id,
                        shape_text(clg_shape_of(leaf)));
    const int64_t count = clg_shape_count(clg_shape_of(leaf));
    int64_t least, most;
    clg_status status = engine_leaf(g, leaf.id, &buffer); /* there is room for it: before all of it is read */
    if (status != CLG_OK)
        return status;
    find_range(clg_dtype_of(leaf), data, count, &least, &most);
    if (l->classes && most >= least && (least < 0 || most >= l->classes))
        status = check_classes(l, clg_dtype_of(leaf), data, count);
    if (status == CLG_OK && bytes)
        status = g->device->b->write(g->device->d, buffer, 0, data, (int64_t)bytes);
    if (status != CLG_OK)
        return status;
    l->written = true;
    l->least = least;
    l->most = most;
    engine_of(g)->epoch++;
    return CLG_OK;
}

/* ---------------------------------------------------------------- device to host */

/* The buffer that holds x's values in row-major order, computing them if need be. */
static clg_status locate(clg_var x, backend_buffer **buffer)
{
    clg_graph *g = x.graph;
    for (int tries = 0; tries < 2; tries++) {
        int32_t id = x.id;
        for (;;) {
            const graph_record *n = &g->nodes[id];
            realised *value = engine_value(g, id);
            if (value) {
                *buffer = value->buffer;
                return CLG_OK;
            }
            if (n->op == OP_INPUT) {
                if (!graph_leaf_of(g, id)->written)
                    return clg_fail(CLG_ERROR_ARGUMENT, "read: input %%%d %s has never been written", (int)id,
                                    shape_text(*graph_shape_of(g, id)));
                return engine_leaf(g, id, buffer);
            }
            /* once effects have run, their results are read from what they stand for */
            bool effect = n->op == OP_AFTER || n->op == OP_ASSIGN;
            if (!ops_keep_order((clg_op)n->op) && !(effect && tries))
                break;
            id = n->src[n->op == OP_ASSIGN];
        }
        clg_status status = tries ? CLG_OK : eager_compute(x);
        if (status != CLG_OK)
            return status;
    }
    return clg_fail(CLG_ERROR_DEVICE, "read: value was not computed");
}

clg_status clg_read(clg_var x, void *data, size_t bytes)
{
    backend_buffer *buffer;
    if (!graph_check("read", &x, 1))
        return CLG_ERROR_ARGUMENT;
    if ((int64_t)bytes != engine_bytes(x))
        return clg_fail(CLG_ERROR_ARGUMENT, "read: %s %s has %lld bytes, not %zu", clg_dtype_name(clg_dtype_of(x)),
                        shape_text(clg_shape_of(x)), (long long)engine_bytes(x), bytes);
    if (!data && bytes)
        return clg_fail(CLG_ERROR_ARGUMENT, "read: data is NULL");
    clg_status status = locate(x, &buffer);
    if (status != CLG_OK || !bytes)
        return status;
    return x.graph->device->b->read(x.graph->device->d, buffer, 0, data, (int64_t)bytes);
}

double clg_item(clg_var x)
{
    dtype_element value;
    if (!graph_check("item", &x, 1))
        return NAN;
    if (clg_shape_count(clg_shape_of(x)) != 1) {
        clg_fail(CLG_ERROR_ARGUMENT, "item: needs one element, not shape %s", shape_text(clg_shape_of(x)));
        return NAN;
    }
    if (clg_read(x, value.bytes, clg_dtype_size(clg_dtype_of(x))) != CLG_OK)
        return NAN;
    return dtype_decode(clg_dtype_of(x), value.bytes);
}
