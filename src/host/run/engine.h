/* The engine: devices, what of a graph is in memory, and what was compiled. It stands between the graph (core/), the
 * scheduler (plan/) and the backends. */
#ifndef CLG_ENGINE_H
#define CLG_ENGINE_H

#include "../backend/backend.h"
#include "../core/graph.h"
#include "../plan/schedule.h"

struct clg_device {
    const backend *b;
    backend_device *d;
    backend_traits traits;
    clg_device_info info;
    char notice[256];
    clg_device *next; /* fork.c's */
};

/* A value in memory: valid while the epoch is the engine's (any write to a leaf begins a new epoch). */
#define ALWAYS UINT64_MAX /* the epoch of what depends on constants alone */
typedef struct realised {
    int32_t node;
    uint64_t epoch;
    backend_buffer *buffer;
    const clg_program *owner; /* NULL: the engine frees the buffer */
} realised;

typedef struct cached cached; /* eager.c's */

typedef struct engine {
    uint64_t epoch;
    realised *values;
    int32_t count, capacity;
    int32_t *index_of; /* node -> index into values + 1; 0: none. Grown as needed, zeroed. */
    int32_t index_capacity;
    cached *cache; /* what clg_read compiled, newest first */
    int32_t cached;
} engine;

typedef struct profile_record profile_record; /* profile.c's */

/* What computes the outputs of a subgraph, or of another with the same structure. The buffers are not its own: whoever
 * runs it has them, and says which. Once it is prepared, nothing in it changes but the record. */
typedef struct compiled {
    clg_graph *graph;
    subgraph s;
    plan *p;
    backend_program *prepared; /* NULL: not yet */
    bool has_effects;
    profile_record *record; /* of its first runs; NULL: not asked for */
} compiled;

struct clg_program {
    clg_graph *graph;
    compiled compiled;
    backend_buffer **bindings; /* of leaves, which belong to the graph; then of outputs, which belong to the program */
    int32_t *output_nodes;     /* graph node of each requested output */
    bool checked;              /* all of its leaves have been written */
};

static inline engine *engine_of(const clg_graph *g) { return g->engine; }
static inline int64_t engine_bytes(clg_var x)
{
    return clg_shape_count(clg_shape_of(x)) * (int64_t)clg_dtype_size(clg_dtype_of(x));
}

/* Files call only what stands above them here. */

/* fork.c: an open device, which a child process must not use. */
clg_status fork_watch(clg_device *device);
void fork_forget(const clg_device *device);
/* Says that an OpenCL driver is about to be used: an error in a child of a process that has used one. */
clg_status fork_use_drivers(void);

/* value.c */
/* The buffer of a leaf, allocated on first use. */
clg_status engine_leaf(clg_graph *g, int32_t node, backend_buffer **buffer);
/* The valid realised value of a node, NULL if there is none. */
realised *engine_value(const clg_graph *g, int32_t node);
/* A node's value is in a buffer, which is the owner's; NULL: the engine's from now on, unless this fails. */
clg_status engine_remember(clg_graph *g, int32_t node, backend_buffer *buffer, const clg_program *owner);
/* A value that the engine has is valid from now on, whatever is written. */
void engine_keep(const clg_graph *g, int32_t node);
/* Forgets (and frees, where owned) values of nodes >= mark, and all of a program's if owner is not NULL. */
void engine_forget(clg_graph *g, int32_t mark, const clg_program *owner);
/* The buffers of a subgraph's leaves: of values in memory, or of inputs. */
clg_status engine_bind_leaves(clg_graph *g, const subgraph *s, backend_buffer **bindings);
/* An error if an input among a subgraph's leaves has never been written. */
clg_status engine_check_written(const clg_graph *g, const subgraph *s);

/* cost.c: of one step and run, bytes loaded and stored, operations of products. */
int64_t cost_step_bytes(const plan *p, const plan_step *step);
int64_t cost_step_flops(const plan_step *step);

/* profile_output.c: adds runs of a program, which began at starts[run] seconds, to the files of CLGRAD_PROFILE. */
clg_status profile_log(const char *path, const char *title, const clg_step_profile *steps, int count, int runs,
                       const double *starts);

/* profile.c. What goes wrong with a record, clg_last_error tells and nothing else. */
/* What a span says of a step. */
clg_step_profile profile_step(const compiled *c, int32_t index, const backend_span *span);
/* A record of a plan's first runs; NULL unless CLGRAD_PROFILE is set. */
profile_record *profile_begin(const plan *p);
/* Where the spans of the run that begins belong; NULL: it is not recorded. Once it has run well: profile_ran. */
backend_span *profile_next(profile_record *record);
void profile_ran(profile_record *record);
/* Writes a record, and frees it. */
void profile_end(profile_record *record, const compiled *c);
void profile_drop(profile_record *record);

/* compiled.c */
/* Plans a subgraph, which becomes the compiled one's. On failure, too, compiled_free frees what there is. */
clg_status compiled_plan(compiled *c, clg_graph *g, subgraph *s);
/* The buffers that it runs on from now on; the first ones make it ready to run. */
clg_status compiled_bind(compiled *c, backend_buffer *const *bindings);
/* Adds to the message of an allocation for the subgraph which tensors are the largest. */
clg_status compiled_explain(const compiled *c, clg_status status);
clg_status compiled_run(compiled *c);
/* Runs and gets the time of each step, on the terms of backend.profile. spans NULL: runs only. */
clg_status compiled_profile(compiled *c, backend_span *spans);
void compiled_free(compiled *c);

/* eager.c: computes a variable, whose value the engine then remembers; what it has compiled. */
clg_status eager_compute(clg_var x);
void eager_free_cache(clg_graph *g);

/* constants.c: computes and keeps what the outputs need that depends on constant arrays alone; whether it is kept. */
clg_status constants_compute(clg_graph *g, const int32_t *outputs, int count);
bool constants_has(const clg_graph *g, int32_t node);
bool constants_is_leaf(void *graph, int32_t node); /* the same, for subgraph_collect */

/* print.c: prints the stages that the environment variable CLGRAD_DEBUG names. */
void debug_print(const clg_program *program);
#endif
