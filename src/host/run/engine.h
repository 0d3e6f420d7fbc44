/* The engine: devices, what of a graph is in memory, and compiled programs. It stands between the graph (core/), the
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
};

/* A value in memory: valid while the epoch is the engine's (any write to a leaf begins a new epoch). */
typedef struct realised {
    int32_t node;
    uint64_t epoch;
    backend_buffer *buffer;
    const clg_program *owner; /* NULL: the engine frees the buffer */
} realised;

typedef struct engine {
    uint64_t epoch;
    realised *values;
    int32_t count, capacity;
    int32_t *index_of; /* node -> index into values + 1; 0: none. Grown as needed, zeroed. */
    int32_t index_capacity;
    struct cached_program *cache; /* programs of clg_read, newest first */
    int32_t cached;
} engine;

struct clg_program {
    clg_graph *graph;
    subgraph s;
    plan *p;
    backend_program *prepared;
    backend_buffer **bindings; /* leaves, then outputs */
    int32_t *output_nodes;     /* graph node of each requested output */
    bool owns_outputs, checked, has_effects;
    struct profile_record *record; /* of its first runs, NULL: not asked for */
};

static inline engine *engine_of(const clg_graph *g) { return g->engine; }

/* The buffer of a leaf, allocated on first use. */
clg_status engine_leaf(clg_graph *g, int32_t node, backend_buffer **buffer);
/* The valid realised value of a node, NULL if there is none. */
realised *engine_value(const clg_graph *g, int32_t node);
clg_status engine_remember(clg_graph *g, int32_t node, backend_buffer *buffer, const clg_program *owner);
/* Forgets (and frees, where owned) values of nodes >= mark, and all of a program's if owner is not NULL. */
void engine_forget(clg_graph *g, int32_t mark, const clg_program *owner);

/* program.c: compiles; with eager true realised values serve as leaves and outputs are left to the caller. */
clg_program *program_compile(clg_graph *g, const clg_var *outputs, int count, bool eager);
/* Runs a program. spans: NULL, or what gets the time of each step, on the terms of backend.profile. */
clg_status engine_run(clg_program *program, backend_span *spans);
/* Of one step and run: bytes loaded and stored, operations of the matrix product. */
int64_t engine_step_bytes(const plan *p, const plan_step *step);
int64_t engine_step_flops(const plan_step *step);
/* profile.c. Begins a program's record if CLGRAD_PROFILE is set; a run, profiled if it is one of the record's; writes
 * and frees the record, if there is one. What goes wrong there, clg_last_error tells and nothing else. */
void profile_begin(clg_program *program);
clg_status profile_run(clg_program *program);
void profile_end(clg_program *program);
/* profile_output.c: adds runs of a program, which began at starts[run] seconds, to the files of CLGRAD_PROFILE. */
clg_status profile_log(const char *path, const char *title, const clg_step_profile *steps, int count, int runs,
                       const double *starts);
/* debug.c: prints the stages that the environment variable CLGRAD_DEBUG names. */
void debug_print(const clg_program *program);
/* eager.c */
clg_status eager_compute(clg_var x);
void eager_free_cache(clg_graph *g);
#endif
