/* Reading a variable that has not been computed: compile what it needs, run it, remember the value. Programs are
 * cached by the structure of what they compute, so a define-by-run loop compiles once. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_LIMIT = 256 };

typedef struct cached_program {
    struct cached_program *next;
    char *key;
    size_t size;
    clg_program *program;
} cached_program;

static bool is_realised(void *context, int32_t node) { return engine_value(context, node) != NULL; }

static void drop(cached_program *entry)
{
    clg_program_free(entry->program);
    free(entry->key);
    free(entry);
}

void eager_free_cache(clg_graph *g)
{
    engine *e = engine_of(g);
    while (e->cache) {
        cached_program *next = e->cache->next;
        drop(e->cache);
        e->cache = next;
    }
    e->cached = 0;
}

/* Finds a program for the key and moves it to the front. */
static clg_program *find(engine *e, const char *key, size_t size)
{
    for (cached_program **link = &e->cache; *link; link = &(*link)->next) {
        cached_program *entry = *link;
        if (entry->size != size || memcmp(entry->key, key, size))
            continue;
        *link = entry->next;
        entry->next = e->cache;
        e->cache = entry;
        return entry->program;
    }
    return NULL;
}

/* On failure key and program are freed. */
static clg_status keep(engine *e, char *key, size_t size, clg_program *program)
{
    cached_program *entry = malloc(sizeof *entry);
    if (!entry) {
        free(key);
        clg_program_free(program);
        return clg_fail_memory();
    }
    *entry = (cached_program){e->cache, key, size, program};
    e->cache = entry;
    if (++e->cached <= CACHE_LIMIT)
        return CLG_OK;
    cached_program **link = &e->cache; /* drop the one unused for longest */
    while ((*link)->next)
        link = &(*link)->next;
    drop(*link);
    *link = NULL;
    e->cached--;
    return CLG_OK;
}

/* Points a cached program at this subgraph's leaves and a fresh output. */
static clg_status rebind(clg_program *program, const subgraph *s, int32_t node)
{
    clg_graph *g = program->graph;
    const clg_device *device = g->device;
    if (program->s.binding_count > program->s.leaf_count)
        program->bindings[program->s.leaf_count] = NULL; /* the last output belongs to the node that it was made for */
    for (int32_t i = 0; i < s->leaf_count; i++) {
        int32_t id = s->leaves[i];
        realised *value = g->nodes[id].op == OP_INPUT ? NULL : engine_value(g, id);
        program->s.leaves[i] = id;
        if (value)
            program->bindings[i] = value->buffer;
        else if (engine_leaf(g, id, &program->bindings[i]) != CLG_OK)
            return CLG_ERROR_DEVICE;
    }
    program->output_nodes[0] = node;
    program->checked = false;
    const sub_node *n = &s->nodes[s->outputs[0]];
    if (n->op != OP_INPUT) {
        clg_status status = device->b->allocate(device->d, n->count * (int64_t)clg_dtype_size((clg_dtype)n->dtype),
                                                &program->bindings[n->binding]);
        if (status != CLG_OK)
            return status;
    }
    return device->b->bind(program->prepared, program->bindings);
}

/* After a failure: an output that no node remembers must not leak. */
static void drop_output(clg_program *program, int32_t node)
{
    clg_graph *g = program->graph;
    if (program->s.binding_count <= program->s.leaf_count)
        return;
    backend_buffer **output = &program->bindings[program->s.leaf_count];
    if (*output && !engine_value(g, node))
        g->device->b->free(g->device->d, *output);
    *output = NULL;
}

clg_status eager_compute(clg_var x)
{
    clg_graph *g = x.graph;
    engine *e = engine_of(g);
    subgraph s;
    char *key;
    size_t size;
    clg_status status = subgraph_collect(g, &x.id, 1, is_realised, g, &s);
    if (status != CLG_OK)
        return status;
    status = subgraph_key(&s, &key, &size);
    if (status != CLG_OK) {
        subgraph_free(&s);
        return status;
    }
    clg_program *program = find(e, key, size);
    if (program) {
        free(key);
        status = rebind(program, &s, x.id);
    } else if ((program = program_compile(g, &x, 1, true)) != NULL) {
        status = keep(e, key, size, program);
        if (status == CLG_OK)
            program->owns_outputs = false; /* from now on the engine's values own them */
        else
            program = NULL; /* it is gone */
    } else {
        free(key);
        status = CLG_ERROR_DEVICE;
    }
    if (status == CLG_OK)
        status = clg_run(program);
    if (status != CLG_OK && program)
        drop_output(program, x.id);
    subgraph_free(&s);
    return status;
}
