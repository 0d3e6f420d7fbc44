/* Constant arrays fold: what depends on nothing else is computed once, when a program that needs it is compiled, and is
 * a leaf of the program then. */
#include "engine.h"

#include <stdlib.h>

typedef struct folds {
    clg_graph *graph;
    int64_t
        *weight; /* of each node: elements of the largest constant array it is made of; -1: not of constants alone */
} folds;

/* Whether a node's value is worth keeping: it is computed, of an array, and not much larger than that. */
static bool is_kept(const folds *f, int32_t node)
{
    enum { LARGER = 2 };
    const graph_record *n = &f->graph->nodes[node];
    const op_kind kind = clg_ops[n->op].kind;
    return f->weight[node] > 0 && kind != KIND_LEAF && kind != KIND_VIEW &&
           clg_shape_count(f->graph->shapes[n->shape]) <= LARGER * f->weight[node];
}

static void weigh(folds *f, int32_t top)
{
    const clg_graph *g = f->graph;
    for (int32_t i = 0; i <= top; i++) {
        const graph_record *n = &g->nodes[i];
        f->weight[i] = 0;
        if (n->op == OP_INPUT)
            f->weight[i] = graph_leaf_of(g, i)->constant ? clg_shape_count(g->shapes[n->shape]) : -1;
        if (clg_ops[n->op].kind == KIND_EFFECT || n->op == OP_AGAIN)
            f->weight[i] = -1; /* the value of a run, at a time */
        for (int s = 0; s < 3 && f->weight[i] >= 0; s++)
            if (n->src[s] >= 0)
                f->weight[i] = f->weight[n->src[s]] < 0 ? -1 : larger(f->weight[i], f->weight[n->src[s]]);
    }
}

static clg_status keep_all(const folds *f, const int32_t *outputs, int count, int32_t top)
{
    clg_graph *g = f->graph;
    uint8_t *needed = calloc((size_t)top + 1, 1);
    clg_status status = needed ? CLG_OK : clg_fail_memory();
    for (int i = 0; i < count && needed; i++)
        needed[outputs[i]] = 1;
    for (int32_t i = top; i >= 0 && status == CLG_OK; i--) {
        if (!needed[i])
            continue;
        if (is_kept(f, i)) {
            if (!constants_has(f->graph, i))
                status = eager_compute(graph_var(g, i));
            if (status == CLG_OK)
                engine_keep(g, i);
            continue;
        }
        for (int s = 0; s < 3; s++)
            if (g->nodes[i].src[s] >= 0)
                needed[g->nodes[i].src[s]] = 1;
    }
    free(needed);
    return status;
}

clg_status constants_compute(clg_graph *g, const int32_t *outputs, int count)
{
    folds f = {.graph = g};
    int32_t top = -1;
    bool any = false;
    for (int32_t i = 0; i < g->leaf_count; i++)
        any |= g->leaves[i].constant;
    if (!any)
        return CLG_OK;
    for (int i = 0; i < count; i++)
        top = outputs[i] > top ? outputs[i] : top;
    f.weight = malloc(((size_t)top + 1) * sizeof *f.weight);
    if (!f.weight)
        return clg_fail_memory();
    weigh(&f, top);
    const clg_status status = keep_all(&f, outputs, count, top);
    free(f.weight);
    return status;
}

bool constants_has(const clg_graph *g, int32_t node)
{
    const realised *value = engine_value(g, node);
    return value && value->epoch == ALWAYS;
}

bool constants_is_leaf(void *graph, int32_t node) { return constants_has(graph, node); }
