/* Values in memory: the buffers of leaves, and of nodes that were computed. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

clg_status engine_leaf(clg_graph *g, int32_t node, backend_buffer **buffer)
{
    leaf_record *l = graph_leaf_of(g, node);
    if (!l->storage) {
        backend_buffer *made;
        clg_status status = g->device->b->allocate(g->device->d, engine_bytes(graph_var(g, node)), &made);
        if (status != CLG_OK)
            return status;
        l->storage = made;
    }
    *buffer = l->storage;
    return CLG_OK;
}

/* ---------------------------------------------------------------- realised values */

realised *engine_value(const clg_graph *g, int32_t node)
{
    engine *e = engine_of(g);
    int32_t i = node < e->index_capacity ? e->index_of[node] - 1 : -1;
    return i >= 0 && (e->values[i].epoch == e->epoch || e->values[i].epoch == ALWAYS) ? &e->values[i] : NULL;
}

static void release(clg_graph *g, int32_t i)
{
    engine *e = engine_of(g);
    if (!e->values[i].owner)
        g->device->b->free(g->device->d, e->values[i].buffer);
    e->index_of[e->values[i].node] = 0;
    e->values[i] = e->values[--e->count];
    if (i < e->count)
        e->index_of[e->values[i].node] = i + 1;
}

void engine_forget(clg_graph *g, int32_t mark, const clg_program *owner)
{
    engine *e = engine_of(g);
    for (int32_t i = e->count; i-- > 0;)
        if (owner ? e->values[i].owner == owner : e->values[i].node >= mark)
            release(g, i);
}

/* Frees the values of past epochs: they can never be read again. */
static void sweep_stale(clg_graph *g)
{
    engine *e = engine_of(g);
    for (int32_t i = e->count; i-- > 0;)
        if (e->values[i].epoch != e->epoch && e->values[i].epoch != ALWAYS)
            release(g, i);
}

void engine_keep(const clg_graph *g, int32_t node)
{
    realised *value = engine_value(g, node);
    if (value && !value->owner)
        value->epoch = ALWAYS;
}

clg_status engine_remember(clg_graph *g, int32_t node, backend_buffer *buffer, const clg_program *owner)
{
    engine *e = engine_of(g);
    if (node >= e->index_capacity) {
        int32_t larger = g->capacity > node ? g->capacity : node + 1;
        int32_t *moved = realloc(e->index_of, (size_t)larger * sizeof *moved);
        if (!moved)
            return clg_fail_memory();
        memset(moved + e->index_capacity, 0, (size_t)(larger - e->index_capacity) * sizeof *moved);
        e->index_of = moved;
        e->index_capacity = larger;
    }
    int32_t i = e->index_of[node] - 1;
    if (i >= 0 && e->values[i].owner == owner && e->values[i].buffer == buffer) {
        e->values[i].epoch = e->epoch;
        return CLG_OK;
    }
    if (i >= 0)
        release(g, i);
    if (e->count >= 64 && (e->count & (e->count - 1)) == 0)
        sweep_stale(g);
    if (!ARRAY_ROOM(e->values, e->count, e->capacity))
        return CLG_ERROR_MEMORY;
    e->values[e->count] = (realised){node, e->epoch, buffer, owner};
    e->index_of[node] = ++e->count;
    return CLG_OK;
}

/* ---------------------------------------------------------------- the leaves of a subgraph */

clg_status engine_bind_leaves(clg_graph *g, const subgraph *s, backend_buffer **bindings)
{
    for (int32_t i = 0; i < s->leaf_count; i++) {
        int32_t node = s->leaves[i];
        const realised *value = g->nodes[node].op == OP_INPUT ? NULL : engine_value(g, node);
        clg_status status = CLG_OK;
        if (value)
            bindings[i] = value->buffer;
        else
            status = engine_leaf(g, node, &bindings[i]);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

clg_status engine_check_written(const clg_graph *g, const subgraph *s)
{
    for (int32_t i = 0; i < s->leaf_count; i++) {
        const graph_record *n = &g->nodes[s->leaves[i]];
        if (n->op == OP_INPUT && !graph_leaf_of(g, s->leaves[i])->written)
            return clg_fail(CLG_ERROR_ARGUMENT, "run: input %%%d %s %s has never been written", (int)s->leaves[i],
                            clg_dtype_name((clg_dtype)n->dtype), shape_text(g->shapes[n->shape]));
    }
    return CLG_OK;
}
