/* The graph: an append-only array of nodes. A node refers to operands by smaller ids, so id order is topological
 * order. Equal pure nodes are made once (hash-consing), so common subexpressions never exist.
 * Internal: builders (build.h), gradients (grad.c), the scheduler (plan/) and the engine (run/) use it. */
#ifndef CLG_GRAPH_H
#define CLG_GRAPH_H

#include "error.h"
#include "index_map.h"
#include "intern.h"
#include "ops.h"

/* SCAN's attribute. */
enum { SCAN_AXIS = 0xff, SCAN_REVERSED = 0x100 };

typedef struct graph_record {
    uint8_t op, dtype;
    int32_t src[3]; /* operands, -1: none */
    int32_t shape;  /* index into graph.shapes */
    int32_t next;   /* older node in the same hash bucket, -1: none */
    union {
        double value;    /* CONST */
        int64_t integer; /* REDUCE: mask of axes; SCAN: its axis, and SCAN_REVERSED; ARGSORT:
                            whether the largest come first; SOLVE_TRIANGULAR: whether the upper triangle is read;
                            DETERMINANT: DETERMINANT_*; INPUT: index into graph.leaves; views but RESHAPE: index
                            into graph.maps; CONTRACT: index into graph.contractions */
    } attr;
} graph_record;

typedef struct leaf_record {
    int32_t node;
    int32_t grad;    /* accumulated gradient: a node, -1: none */
    int64_t classes; /* > 0: clg_write accepts only 0..classes-1, for the sake of: */
    const char *classes_of;
    int64_t least, most; /* of the integers last written; 0, -1: none */
    bool assigned;       /* programs may give it other ones */
    bool constant;       /* nobody may, once it is written */
    void *storage;       /* the engine's: backend buffer, NULL until needed */
    bool written;
} leaf_record;

/* Nodes that gradients compute again instead of keeping their values: checkpoint.c. */
typedef struct graph_region {
    int32_t first, last;
} graph_region;

struct clg_graph {
    clg_device *device;
    graph_record *nodes;
    int32_t count, capacity;
    int32_t *buckets; /* heads of hash chains: newest node first, so that rewind pops heads */
    int32_t bucket_count;
    clg_shape *shapes;
    index_map *maps;
    contraction *contractions;
    intern_table shape_table, map_table, contraction_table;
    leaf_record *leaves;
    int32_t leaf_count, leaf_capacity;
    graph_region *regions; /* in order, apart from each other */
    int32_t region_count, region_capacity;
    bool in_gradient; /* gradient rules run: structural zeros are folded away (fold.h) */
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
/* Index of a shape in graph.shapes; -1 (with an error naming op) if it is not one: every node's shape comes through
 * here. */
int32_t graph_shape(clg_graph *g, const char *op, clg_shape shape);
/* Index of an attribute in graph.maps or graph.contractions; -1 if memory runs out (recorded). */
int32_t graph_map(clg_graph *g, const index_map *map);
int32_t graph_contraction(clg_graph *g, const contraction *c);
/* False (with an error naming op) for a shape with too many axes, a negative extent or too many elements. */
bool graph_check_count(clg_graph *g, const char *op, clg_shape shape);
/* False (with an error naming op) for what cannot be a leaf's dtype or shape. */
bool graph_check_leaf(clg_graph *g, const char *op, clg_dtype dtype, clg_shape shape);
/* A new leaf node. */
clg_var graph_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape);
/* A node with one value, rounded to the dtype. shape: an index into graph.shapes. */
clg_var graph_constant(clg_graph *g, clg_dtype dtype, int32_t shape, double value);
/* A constant like x: same graph, dtype and shape. */
clg_var graph_like(clg_var x, double value);

static inline clg_var graph_var(clg_graph *g, int32_t id) { return (clg_var){g, id}; }
static inline graph_record *graph_at(clg_var x) { return &x.graph->nodes[x.id]; }
static inline const clg_shape *graph_shape_of(const clg_graph *g, int32_t id) { return &g->shapes[g->nodes[id].shape]; }
static inline leaf_record *graph_leaf_of(const clg_graph *g, int32_t id)
{
    return &g->leaves[g->nodes[id].attr.integer];
}
static inline const index_map *graph_map_of(clg_var x) { return &x.graph->maps[graph_at(x)->attr.integer]; }

/* Records the graph's first error, keeps it for clg_last_error too, and returns a poisoned variable. */
clg_var graph_fail(clg_graph *g, clg_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* True if all are variables of one graph; otherwise an error naming op is recorded. */
bool graph_check(const char *op, const clg_var *vars, int count);
/* An axis counted from the front; -1 (with an error naming op) if x has none such. */
int graph_axis(const char *op, clg_var x, int axis);
/* Axes of x as a mask of bits; false (with an error naming op) if they are not some. */
bool graph_axes(const char *op, clg_var x, clg_axes axes, uint32_t *mask);
#define POISON(g) ((clg_var){(g), -1})

/* shape.c */
/* NumPy broadcasting of two shapes; false if they do not fit. */
bool shape_broadcast(clg_shape a, clg_shape b, clg_shape *out);
/* "(2, 3)" of a shape id or variable in one of a few rotating static thread buffers, for messages. */
const char *shape_text(clg_shape shape);
/* Axes as a mask of bits for a rank; false if an axis is out of range or repeated. */
bool axes_mask(clg_axes axes, int rank, uint32_t *mask);
#endif
