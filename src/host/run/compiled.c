/* The pipeline from a subgraph to something a backend replays: planned, prepared on buffers, run. */
#include "engine.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- making it */

/* A leaf takes one value at the end of a run. */
static clg_status check_assignments(const subgraph *s)
{
    bool *assigned = calloc((size_t)s->count + 1, sizeof *assigned);
    clg_status status = assigned ? CLG_OK : clg_fail_memory();
    for (int32_t i = 0; i < s->count && status == CLG_OK; i++) {
        const sub_node *n = &s->nodes[i];
        if (n->op != OP_ASSIGN)
            continue;
        if (assigned[n->src[0]])
            status =
                clg_fail(CLG_ERROR_ARGUMENT, "compile: leaf %%%d %s is assigned two values; a program can give it one",
                         (int)s->nodes[n->src[0]].id, shape_text(s->shapes[s->nodes[n->src[0]].shape]));
        assigned[n->src[0]] = true;
    }
    free(assigned);
    return status;
}

clg_status compiled_plan(compiled *c, clg_graph *g, subgraph *s)
{
    const backend_traits *traits = &g->device->traits;
    *c = (compiled){.graph = g, .s = *s};
    *s = (subgraph){0};
    for (int32_t i = 0; i < c->s.count; i++)
        c->has_effects |= c->s.nodes[i].op == OP_ASSIGN;
    const schedule_traits wants = {.fuses_epilogue = traits->fuses_epilogue,
                                   .evaluates_all = traits->evaluates_all,
                                   .prologues = traits->prologues,
                                   .window_columns = traits->window_columns,
                                   .dense_columns = traits->dense_columns,
                                   .channels_last = traits->channels_last,
                                   .max_body = traits->max_body,
                                   .units = traits->units,
                                   .contract_block = traits->contract_block};
    clg_status status = c->has_effects ? check_assignments(&c->s) : CLG_OK;
    return status == CLG_OK ? schedule_plan(&c->s, wants, &c->p) : status;
}

clg_status compiled_bind(compiled *c, backend_buffer *const *bindings)
{
    const clg_device *device = c->graph->device;
    if (c->prepared)
        return device->b->bind(c->prepared, bindings);
    clg_status status = device->b->prepare(device->d, c->p, bindings, &c->prepared);
    if (status == CLG_OK)
        c->record = profile_begin(c->p);
    return status;
}

void compiled_free(compiled *c)
{
    if (c->record)
        profile_end(c->record, c);
    if (c->prepared)
        c->graph->device->b->release(c->prepared);
    plan_free(c->p);
    subgraph_free(&c->s);
}

/* ---------------------------------------------------------------- memory that does not fit */

static int by_bytes(const void *x, const void *y)
{
    const plan_buffer *a = *(const plan_buffer *const *)x, *b = *(const plan_buffer *const *)y;
    return a->bytes < b->bytes ? 1 : a->bytes > b->bytes ? -1 : a->node - b->node;
}

clg_status compiled_explain(const compiled *c, clg_status status)
{
    const clg_graph *g = c->graph;
    const plan *p = c->p;
    char text[600];
    size_t used = 0;
    const plan_buffer **list = malloc(((size_t)p->buffer_count + 1) * sizeof *list);
    if (status != CLG_ERROR_DEVICE_MEMORY || !list) {
        free(list);
        return status;
    }
    for (int32_t i = 0; i < p->buffer_count; i++)
        list[i] = &p->buffers[i];
    qsort(list, (size_t)p->buffer_count, sizeof *list, by_bytes);
    text[0] = 0;
    for (int32_t i = 0; i < p->buffer_count && i < 3 && used < sizeof text && list[i]->bytes >= list[0]->bytes / 100;
         i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%%%d %s %s %s (%.1f MB)", i ? ", " : "",
                                 (int)list[i]->node, clg_ops[g->nodes[list[i]->node].op].name,
                                 clg_dtype_name(list[i]->dtype), shape_text(*graph_shape_of(g, list[i]->node)),
                                 (double)list[i]->bytes / 1e6);
    free(list);
    return clg_fail(status, "%s; the program needs %.1f MB of intermediate memory; largest tensors: %s",
                    clg_last_error(), (double)p->arena_bytes / 1e6, text);
}

/* ---------------------------------------------------------------- running */

clg_status compiled_profile(compiled *c, backend_span *spans)
{
    const backend *b = c->graph->device->b;
    clg_status status = spans ? b->profile(c->prepared, spans) : b->run(c->prepared);
    if (status == CLG_OK && c->has_effects)
        engine_of(c->graph)->epoch++;
    return status;
}

clg_status compiled_run(compiled *c)
{
    backend_span *spans = c->record ? profile_next(c->record) : NULL;
    clg_status status = compiled_profile(c, spans);
    if (!spans)
        return status;
    if (status == CLG_OK)
        profile_ran(c->record);
    if (status != CLG_ERROR_UNSUPPORTED)
        return status;
    profile_drop(c->record); /* the device has no clock, and nothing was run */
    c->record = NULL;
    return compiled_profile(c, NULL);
}
