/* Collects the nodes that outputs need. One descending pass marks, one ascending pass copies. */
#include "subgraph.h"

#include <stdlib.h>
#include <string.h>

bool subgraph_is_alias(uint8_t op) { return ops_keep_order((clg_op)op) || op == OP_AFTER; }

static void mark(const clg_graph *g, uint8_t *needed, int32_t top, bool (*realised)(void *, int32_t), void *context)
{
    for (int32_t i = top; i >= 0; i--) {
        if (!needed[i])
            continue;
        if (g->nodes[i].op != OP_INPUT && realised && realised(context, i)) {
            needed[i] = 2;
            continue;
        }
        for (int s = 0; s < 3; s++)
            if (g->nodes[i].src[s] >= 0)
                needed[g->nodes[i].src[s]] = 1;
    }
}

/* local[i]: subgraph id of graph node i. */
static void copy(const clg_graph *g, const uint8_t *needed, int32_t top, int32_t *local, subgraph *s)
{
    for (int32_t i = 0; i <= top; i++) {
        if (!needed[i])
            continue;
        const graph_record *n = &g->nodes[i];
        if (subgraph_is_alias(n->op) && needed[i] == 1) {
            local[i] = local[n->src[0]];
            continue;
        }
        sub_node *t = &s->nodes[s->count];
        *t = (sub_node){.op = n->op, .dtype = n->dtype, .shape = n->shape, .id = i, .binding = -1};
        t->count = clg_shape_count(g->shapes[n->shape]);
        t->attr.integer = n->attr.integer;
        for (int k = 0; k < 3; k++)
            t->src[k] = n->src[k] < 0 ? -1 : local[n->src[k]];
        for (int k = 0; k < 2; k++)
            t->in_shape[k] = n->src[k] < 0 ? -1 : g->nodes[n->src[k]].shape;
        if (n->op == OP_INPUT || needed[i] == 2) {
            t->op = OP_INPUT;
            t->src[0] = t->src[1] = t->src[2] = -1;
            t->attr.integer = 0;
            t->binding = s->leaf_count;
            s->leaves[s->leaf_count++] = i;
        }
        local[i] = s->count++;
    }
}

clg_status subgraph_collect(const clg_graph *g, const int32_t *outputs, int32_t count,
                            bool (*realised)(void *, int32_t), void *context, subgraph *s)
{
    int32_t top = -1, total = 0;
    *s = (subgraph){.shapes = g->shapes,
                    .maps = g->maps,
                    .contractions = g->contractions,
                    .shape_count = g->shape_table.count,
                    .map_count = g->map_table.count,
                    .contraction_count = g->contraction_table.count};
    for (int32_t i = 0; i < count; i++)
        top = outputs[i] > top ? outputs[i] : top;
    uint8_t *needed = calloc((size_t)top + 2, 1);
    int32_t *local = malloc(((size_t)top + 2) * sizeof *local);
    s->outputs = malloc(((size_t)count + 1) * sizeof *s->outputs);
    if (!needed || !local || !s->outputs)
        goto memory;
    for (int32_t i = 0; i < count; i++)
        needed[outputs[i]] = 1;
    mark(g, needed, top, realised, context);
    for (int32_t i = 0; i <= top; i++)
        total += needed[i] != 0;
    s->nodes = malloc(((size_t)total + 1) * sizeof *s->nodes);
    s->leaves = malloc(((size_t)total + 1) * sizeof *s->leaves);
    if (!s->nodes || !s->leaves)
        goto memory;
    copy(g, needed, top, local, s);
    s->binding_count = s->leaf_count;
    for (int32_t i = 0; i < count; i++) {
        int32_t id = outputs[i];
        while (g->nodes[id].op == OP_ASSIGN) /* reads as the assigned value */
            id = g->nodes[id].src[1];
        s->outputs[i] = local[id];
        sub_node *n = &s->nodes[s->outputs[i]];
        n->output = true;
        if (n->binding < 0)
            n->binding = s->binding_count++;
    }
    s->output_count = count;
    free(needed);
    free(local);
    return CLG_OK;
memory:
    free(needed);
    free(local);
    subgraph_free(s);
    return clg_fail_memory();
}

void subgraph_free(subgraph *s)
{
    free(s->nodes);
    free(s->outputs);
    free(s->leaves);
    *s = (subgraph){0};
}

/* ---------------------------------------------------------------- copies */

/* A table with room for more entries. */
static void *table_copy(const void *from, int32_t count, int32_t more, size_t size)
{
    void *to = malloc(((size_t)count + (size_t)more + 1) * size);
    if (to && count > 0)
        memcpy(to, from, (size_t)count * size);
    return to;
}

clg_status subgraph_copy_begin(const subgraph *s, int32_t nodes, int32_t shapes, int32_t maps, int32_t contractions,
                               subgraph *to)
{
    *to = *s;
    to->count = 0;
    to->nodes = malloc(((size_t)nodes + 1) * sizeof *to->nodes);
    to->outputs = malloc(((size_t)s->output_count + 1) * sizeof *to->outputs);
    to->shapes = table_copy(s->shapes, s->shape_count, shapes, sizeof *s->shapes);
    to->maps = table_copy(s->maps, s->map_count, maps, sizeof *s->maps);
    to->contractions = table_copy(s->contractions, s->contraction_count, contractions, sizeof *s->contractions);
    if (to->nodes && to->outputs && to->shapes && to->maps && to->contractions)
        return CLG_OK;
    subgraph_free_copy(to);
    return clg_fail_memory();
}

int32_t subgraph_copy_shape(subgraph *to, clg_shape shape)
{
    ((clg_shape *)to->shapes)[to->shape_count] = shape;
    return to->shape_count++;
}

int32_t subgraph_copy_map(subgraph *to, const index_map *map)
{
    ((index_map *)to->maps)[to->map_count] = *map;
    return to->map_count++;
}

int32_t subgraph_copy_contraction(subgraph *to, const contraction *c)
{
    ((contraction *)to->contractions)[to->contraction_count] = *c;
    return to->contraction_count++;
}

void subgraph_copy_end(const subgraph *s, const int32_t *local, subgraph *to)
{
    for (int32_t i = 0; i < s->output_count; i++)
        to->outputs[i] = local[s->outputs[i]];
}

void subgraph_free_copy(subgraph *to)
{
    free(to->nodes);
    free(to->outputs);
    free((void *)to->shapes);
    free((void *)to->maps);
    free((void *)to->contractions);
    *to = (subgraph){0};
}

clg_status subgraph_key(const subgraph *s, char **key, size_t *size)
{
    typedef struct record {
        int64_t op, dtype, output, attr, src[3];
        clg_shape shape, in[2];
    } record;
    size_t outputs = (size_t)s->output_count * sizeof *s->outputs, bytes = (size_t)s->count * sizeof(record) + outputs;
    for (int32_t i = 0; i < s->count; i++)
        bytes += ops_have_map(s->nodes[i].op)    ? sizeof *s->maps
                 : s->nodes[i].op == OP_CONTRACT ? sizeof *s->contractions
                                                 : 0;
    record *records = calloc(1, bytes + 1);
    if (!records)
        return clg_fail_memory();
    char *end = (char *)(records + s->count);
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        record *r = &records[i];
        r->op = n->op;
        r->dtype = n->dtype;
        r->output = n->output;
        r->attr = ops_have_map(n->op) || n->op == OP_CONTRACT ? 0 : n->attr.integer;
        r->shape = s->shapes[n->shape];
        for (int k = 0; k < 3; k++)
            r->src[k] = n->src[k];
        for (int k = 0; k < 2; k++)
            if (n->op != OP_INPUT && n->in_shape[k] >= 0)
                r->in[k] = s->shapes[n->in_shape[k]];
        if (ops_have_map(n->op)) {
            memcpy(end, &s->maps[n->attr.integer], sizeof *s->maps);
            end += sizeof *s->maps;
        } else if (n->op == OP_CONTRACT) {
            memcpy(end, &s->contractions[n->attr.integer], sizeof *s->contractions);
            end += sizeof *s->contractions;
        }
    }
    memcpy(end, s->outputs, outputs);
    *key = (char *)records;
    *size = bytes;
    return CLG_OK;
}
