/* Regions of the graph whose values gradients do not keep: the rules of their nodes get copies as operands, made from
 * what the region reads when the reverse sweep comes to it, and so computed then (Chen et al. 2016, "Training deep nets
 * with sublinear memory cost"). A copy reads through nodes AGAIN, or it would be the same node. */
#include "checkpoint.h"

#include "array.h"

#include <stdlib.h>
#include <string.h>

clg_status clg_checkpoint(clg_graph *graph, int32_t mark)
{
    const int32_t before = graph->region_count ? graph->regions[graph->region_count - 1].last + 1 : 0;
    if (mark < 0 || mark > graph->count || mark < before) {
        graph_fail(graph, CLG_ERROR_ARGUMENT,
                   "checkpoint: mark %d; the graph has %d nodes, of which the first %d are in regions already",
                   (int)mark, (int)graph->count, (int)before);
        return CLG_ERROR_ARGUMENT;
    }
    if (mark == graph->count)
        return CLG_OK;
    if (!ARRAY_ROOM(graph->regions, graph->region_count, graph->region_capacity))
        return CLG_ERROR_MEMORY;
    graph->regions[graph->region_count++] = (graph_region){mark, graph->count - 1};
    return CLG_OK;
}

bool checkpoint_begin(const clg_graph *g, int32_t count, checkpoint *c)
{
    *c = (checkpoint){.region = g->region_count, .count = count};
    if (g->region_count == 0)
        return true;
    c->copy = malloc(((size_t)count + 1) * sizeof *c->copy);
    return c->copy != NULL;
}

void checkpoint_end(checkpoint *c) { free(c->copy); }

/* What stands for a node in the copies of a region. */
static int32_t source(clg_graph *g, checkpoint *c, int32_t region, int32_t id)
{
    const graph_record n = g->nodes[id];
    if (c->copy[id] >= 0)
        return c->copy[id];
    if (n.op == OP_CONST || n.op == OP_IOTA)
        return id;
    const graph_record attr = {.attr.integer = region}; /* each region reads it again by itself */
    c->copy[id] = graph_node(g, OP_AGAIN, (clg_dtype)n.dtype, n.shape, (int32_t[]){id, -1, -1}, attr).id;
    return c->copy[id];
}

/* Copies of a region's nodes up to one. */
static bool copy_region(clg_graph *g, checkpoint *c, int32_t number, int32_t top)
{
    const graph_region region = g->regions[number];
    memset(c->copy, 0xff, (size_t)c->count * sizeof *c->copy);
    for (int32_t i = region.first; i <= top; i++) {
        const graph_record n = g->nodes[i];
        int32_t src[3];
        if (clg_ops[n.op].kind == KIND_LEAF || clg_ops[n.op].kind == KIND_EFFECT) {
            c->copy[i] = i;
            continue;
        }
        for (int s = 0; s < 3; s++)
            src[s] = n.src[s] < 0 ? -1 : source(g, c, number, n.src[s]);
        c->copy[i] = graph_node(g, (clg_op)n.op, (clg_dtype)n.dtype, n.shape, src, n).id;
        if (c->copy[i] < 0)
            return false;
    }
    return true;
}

bool checkpoint_reach(clg_graph *g, checkpoint *c, int32_t node)
{
    while (c->region > 0 && g->regions[c->region - 1].first > node)
        c->region--;
    c->inside = c->region > 0 && node <= g->regions[c->region - 1].last;
    if (!c->inside || c->made == c->region)
        return true;
    c->made = c->region;
    return copy_region(g, c, c->region - 1, node);
}

int32_t checkpoint_value(const clg_graph *g, const checkpoint *c, int32_t node)
{
    const bool own = c->inside && node >= g->regions[c->region - 1].first && node <= g->regions[c->region - 1].last;
    return own ? c->copy[node] : node;
}
