/* A graph's life with its engine state: creation, rewinding, the end. */
#include "engine.h"

#include <stdlib.h>

clg_graph *clg_graph_new(clg_device *device)
{
    if (!device) {
        clg_fail(CLG_ERROR_ARGUMENT, "graph_new: device is NULL");
        return NULL;
    }
    clg_graph *g = malloc(sizeof *g);
    engine *e = calloc(1, sizeof *e);
    if (!g || !e || graph_init(g, device) != CLG_OK) {
        free(g);
        free(e);
        clg_fail_memory();
        return NULL;
    }
    e->epoch = 1;
    g->engine = e;
    return g;
}

static void free_leaves(clg_graph *g, int32_t mark)
{
    for (int32_t i = g->leaf_count; i-- > 0 && g->leaves[i].node >= mark;) {
        if (g->leaves[i].storage)
            g->device->b->free(g->device->d, g->leaves[i].storage);
        g->leaves[i].storage = NULL;
    }
}

clg_status clg_graph_rewind(clg_graph *graph, int32_t mark)
{
    if (mark < 0 || mark > graph->count)
        return clg_fail(CLG_ERROR_ARGUMENT, "graph_rewind: mark %d is not in 0..%d", (int)mark, (int)graph->count);
    engine_forget(graph, mark, NULL);
    free_leaves(graph, mark);
    graph_truncate(graph, mark);
    return CLG_OK;
}

void clg_graph_free(clg_graph *graph)
{
    if (!graph)
        return;
    engine *e = engine_of(graph);
    graph->device->b->sync(graph->device->d);
    engine_forget(graph, 0, NULL);
    eager_free_cache(graph);
    free_leaves(graph, 0);
    free(e->values);
    free(e->index_of);
    free(e);
    graph_destroy(graph);
    free(graph);
}
