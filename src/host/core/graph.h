/* The graph: an append-only array of nodes. A node refers to operands by smaller ids, so id order is topological
 * order. Equal pure nodes are made once (hash-consing), so common subexpressions never exist.
 * Internal: builders (ops.c, views.c), gradients (grad.c), the scheduler (plan/) and the engine (run/) use it. */
#ifndef CLG_GRAPH_H
#define CLG_GRAPH_H

#include "error.h"
#include "ops.h"

typedef struct graph_record {
    uint8_t op, dtype;
    int32_t src[3]; /* operands, -1: none */
    int32_t shape;  /* index into graph.shapes */
    int32_t next;   /* older node in the same hash bucket, -1: none */
    union {
        double value;    /* CONST */
        int64_t integer; /* REDUCE: mask of axes; PERMUTE: four bits an axis; INPUT: index into graph.leaves;
                            SLICE, PAD: index into graph.slices */
    } attr;
} graph_record;

/* The index map of a SLICE: operand index = start + step * result index, on each axis. For a PAD the same with
 * operand and result exchanged. */
typedef struct slice_attr {
    int64_t start[CLG_MAX_RANK], step[CLG_MAX_RANK];
} slice_attr;

typedef struct leaf_record {
    int32_t node;
    int32_t grad;    /* accumulated gradient: a node, -1: none */
    int64_t classes; /* > 0: clg_write accepts only 0..classes-1, for the sake of: */
    const char *classes_of;
    void *storage; /* the engine's: backend buffer, NULL until needed */
    bool written;
} leaf_record;

struct clg_graph {
    clg_device *device;
    graph_record *nodes;
    int32_t count, capacity;
    int32_t *buckets; /* heads of hash chains: newest node first, so that rewind pops heads */
    int32_t bucket_count;
    clg_shape *shapes;
    int32_t shape_count, shape_capacity;
    int32_t *shape_buckets;
    int32_t shape_bucket_count;
    slice_attr *slices;
    int32_t slice_count, slice_capacity;
    leaf_record *leaves;
    int32_t leaf_count, leaf_capacity;
    int in_gradient; /* > 0 while gradient rules run: structural zeros are then folded away (fold.c) */
    char error[1024];
    void *engine; /* the engine's state for this graph (run/), opaque here */
};

/* Initialise and destroy all but the engine's state. */
clg_status graph_init(clg_graph *g, clg_device *device);
void graph_destroy(clg_graph *g);
/* Drops nodes with id >= mark; the engine has released what belongs to them. */
void graph_truncate(clg_graph *g, int32_t mark);

/* A node with these fields: an equal one if it exists, else a new one. Poison if memory runs out. */
clg_var graph_node(clg_graph *g, clg_op op, clg_dtype dtype, int32_t shape, const int32_t src[3], graph_record attr);
/* Index of a shape in graph.shapes; -1 if memory runs out (recorded). */
int32_t graph_shape(clg_graph *g, clg_shape shape);
int32_t graph_slice(clg_graph *g, const slice_attr *slice);
/* False (with an error naming op) for what cannot be a leaf's dtype or shape. */
bool graph_check_leaf(clg_graph *g, const char *op, clg_dtype dtype, clg_shape shape);
/* A new leaf node. */
clg_var graph_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape);

static inline clg_var graph_var(clg_graph *g, int32_t id) { return (clg_var){g, id}; }
static inline graph_record *graph_at(clg_var x) { return &x.graph->nodes[x.id]; }
static inline const clg_shape *graph_shape_of(const clg_graph *g, int32_t id) { return &g->shapes[g->nodes[id].shape]; }
static inline int permute_axis(int64_t packed, int i) { return (int)(packed >> (4 * i) & 15); }

/* Records the graph's first error, keeps it for clg_last_error too, and returns a poisoned variable. */
clg_var graph_fail(clg_graph *g, clg_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* True if all are variables of one graph; otherwise an error naming op is recorded. */
bool graph_check(const char *op, const clg_var *vars, int count);
#define POISON(g) ((clg_var){(g), -1})

/* shape.c */
/* NumPy broadcasting of two shapes; false if they do not fit. */
bool shape_broadcast(clg_shape a, clg_shape b, clg_shape *out);
/* "(2, 3)" of a shape id or variable in one of a few rotating static thread buffers, for messages. */
const char *shape_text(clg_shape shape);
/* Axes as a mask of bits for a rank; false if an axis is out of range or repeated. */
bool axes_mask(clg_axes axes, int rank, uint32_t *mask);

/* fold.c: an existing or constant variable equal to op over operands; id -1 if there is none. operands share dtype
 * and shape (as the op's types say). */
clg_var fold_map(clg_graph *g, clg_op op, clg_dtype dtype, int32_t shape, const int32_t src[3]);
clg_var fold_reduce(clg_var x, clg_op op, uint32_t mask, int32_t shape);
/* The constant's value after rounding to dtype as the devices do. */
double fold_round(clg_dtype dtype, double value);

/* ops.c */
/* A MAP op over operands (unused: any), with casts and broadcasts inserted. */
clg_var ops_map(clg_op op, clg_var a, clg_var b, clg_var c);
clg_var ops_reduce(clg_op op, clg_var x, uint32_t mask); /* keeps reduced axes with extent 1 */
clg_var ops_constant(clg_graph *g, clg_dtype dtype, int32_t shape, double value);
/* A constant like x: same graph, dtype and shape. */
clg_var ops_like(clg_var x, double value);
/* Lets clg_write refuse indices outside 0..classes-1, where the indices are an input, for the sake of op. */
void ops_bound_input(clg_var indices, int64_t classes, const char *op);

/* views.c */
clg_var views_pad(clg_var x, clg_shape shape, const slice_attr *slice); /* adjoint of a slice */
clg_var views_slice(clg_var x, clg_shape shape, const slice_attr *slice);
clg_var views_permute(clg_var x, int64_t packed);

/* grad.c: one row an op, made from ops.def. NULL with refuse false: no gradient flows. */
typedef void gradient_rule(clg_var y, const clg_var *x, clg_var gy, clg_var *gx);
#endif
