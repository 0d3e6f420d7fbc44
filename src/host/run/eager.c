/* Computing a variable that is to be read: compile what it needs, run it, remember the value. What was compiled is
 * cached by the structure of what it computes, so a define-by-run loop compiles once. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_LIMIT = 256 };

struct cached {
    cached *next;
    char *key;
    size_t size;
    compiled compiled;
};

/* ---------------------------------------------------------------- the cache */

static void drop(cached *entry)
{
    compiled_free(&entry->compiled);
    free(entry->key);
    free(entry);
}

void eager_free_cache(clg_graph *g)
{
    engine *e = engine_of(g);
    while (e->cache) {
        cached *next = e->cache->next;
        drop(e->cache);
        e->cache = next;
    }
    e->cached = 0;
}

/* Finds what was compiled for a key and moves it to the front. */
static cached *find(engine *e, const char *key, size_t size)
{
    for (cached **link = &e->cache; *link; link = &(*link)->next) {
        cached *entry = *link;
        if (entry->size != size || memcmp(entry->key, key, size))
            continue;
        *link = entry->next;
        entry->next = e->cache;
        e->cache = entry;
        return entry;
    }
    return NULL;
}

static void keep(engine *e, cached *entry)
{
    entry->next = e->cache;
    e->cache = entry;
    if (++e->cached <= CACHE_LIMIT)
        return;
    cached **link = &e->cache; /* drop the one unused for longest */
    while ((*link)->next)
        link = &(*link)->next;
    drop(*link);
    *link = NULL;
    e->cached--;
}

/* ---------------------------------------------------------------- computing */

typedef struct reading {
    const clg_graph *graph;
    int32_t value; /* the node whose values the variable stands for, which effects make it compute once more */
} reading;

static reading reading_of(clg_var x)
{
    const graph_record *nodes = x.graph->nodes;
    reading r = {x.graph, x.id};
    while (nodes[r.value].op == OP_ASSIGN || subgraph_is_alias(nodes[r.value].op))
        r.value = nodes[r.value].src[nodes[r.value].op == OP_ASSIGN];
    return r;
}

static bool is_realised(void *context, int32_t node)
{
    const reading *r = context;
    return node != r->value && engine_value(r->graph, node) != NULL;
}

/* The buffers of a subgraph's bindings. *output: a new one, for the caller to free or to give away; NULL where the
 * output is a leaf. */
static clg_status take_buffers(clg_graph *g, const subgraph *s, backend_buffer **bindings, backend_buffer **output)
{
    const clg_device *device = g->device;
    const sub_node *n = &s->nodes[s->outputs[0]];
    clg_status status = engine_bind_leaves(g, s, bindings);
    if (status != CLG_OK || n->op == OP_INPUT)
        return status;
    status = device->b->allocate(device->d, n->count * (int64_t)clg_dtype_size((clg_dtype)n->dtype), output);
    bindings[n->binding] = *output;
    return status;
}

/* Runs on the leaves and for the output of a subgraph: the one that was compiled, or another of its structure. */
static clg_status compute(compiled *c, const subgraph *s, int32_t node)
{
    clg_graph *g = c->graph;
    const bool first = !c->prepared;
    backend_buffer **bindings = calloc((size_t)s->binding_count + 1, sizeof(backend_buffer *)), *output = NULL;
    if (!bindings)
        return clg_fail_memory();
    clg_status status = take_buffers(g, s, bindings, &output);
    if (status == CLG_OK)
        status = compiled_bind(c, bindings);
    if (status != CLG_OK && first)
        status = compiled_explain(c, status);
    if (status == CLG_OK)
        status = engine_check_written(g, s);
    if (status == CLG_OK)
        status = compiled_run(c);
    if (status == CLG_OK && output)
        status = engine_remember(g, node, output, NULL); /* it belongs to the engine's value now */
    if (status != CLG_OK && output)
        g->device->b->free(g->device->d, output);
    free(bindings);
    return status;
}

/* Compiles a subgraph, and keeps what has run. s and key are taken over. */
static clg_status compile_and_compute(clg_graph *g, int32_t node, subgraph *s, char *key, size_t size)
{
    cached *entry = calloc(1, sizeof *entry);
    if (!entry) {
        subgraph_free(s);
        free(key);
        return clg_fail_memory();
    }
    entry->key = key;
    entry->size = size;
    clg_status status = compiled_plan(&entry->compiled, g, s);
    if (status == CLG_OK)
        status = compute(&entry->compiled, &entry->compiled.s, node);
    if (status == CLG_OK)
        keep(engine_of(g), entry);
    else
        drop(entry);
    return status;
}

clg_status eager_compute(clg_var x)
{
    clg_graph *g = x.graph;
    subgraph s;
    char *key;
    size_t size;
    reading r = reading_of(x);
    clg_status status = subgraph_collect(g, &x.id, 1, is_realised, &r, &s);
    if (status != CLG_OK)
        return status;
    status = subgraph_key(&s, &key, &size);
    if (status != CLG_OK) {
        subgraph_free(&s);
        return status;
    }
    cached *entry = find(engine_of(g), key, size);
    if (!entry)
        return compile_and_compute(g, x.id, &s, key, size);
    free(key);
    status = compute(&entry->compiled, &s, x.id);
    subgraph_free(&s);
    return status;
}
