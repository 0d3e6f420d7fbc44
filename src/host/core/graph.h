/* The graph: an append-only array of nodes. A node refers to operands by smaller ids, so id order is topological
 * order. Equal pure nodes are made once (hash-consing), so common subexpressions never exist.
 * Internal: builders (ops.c, views.c), gradients (grad.c), the scheduler (plan/) and the engine (run/) use it. */
#ifndef CLG_GRAPH_H
#define CLG_GRAPH_H

#include "error.h"
#include "index_map.h"
#include "intern.h"
#include "ops.h"

typedef struct graph_record {
    uint8_t op, dtype;
    int32_t src[3]; /* operands, -1: none */
    int32_t shape;  /* index into graph.shapes */
    int32_t next;   /* older node in the same hash bucket, -1: none */
    union {
        double value;    /* CONST */
        int64_t integer; /* REDUCE: mask of axes; INPUT: index into graph.leaves; views but RESHAPE: index into
                            graph.maps; CONTRACT: index into graph.contractions */
    } attr;
} graph_record;

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
    index_map *maps;
    contraction *contractions;
    intern_table shape_table, map_table, contraction_table;
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
/* Index of an attribute in graph.maps or graph.contractions; -1 if memory runs out (recorded). */
int32_t graph_map(clg_graph *g, const index_map *map);
int32_t graph_contraction(clg_graph *g, const contraction *c);
/* False (with an error naming op) for a shape with a negative extent or too many elements. */
bool graph_check_count(clg_graph *g, const char *op, clg_shape shape);
/* False (with an error naming op) for what cannot be a leaf's dtype or shape. */
bool graph_check_leaf(clg_graph *g, const char *op, clg_dtype dtype, clg_shape shape);
/* A new leaf node. */
clg_var graph_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape);

static inline clg_var graph_var(clg_graph *g, int32_t id) { return (clg_var){g, id}; }
static inline graph_record *graph_at(clg_var x) { return &x.graph->nodes[x.id]; }
static inline const clg_shape *graph_shape_of(const clg_graph *g, int32_t id) { return &g->shapes[g->nodes[id].shape]; }
static inline const index_map *graph_map_of(clg_var x) { return &x.graph->maps[graph_at(x)->attr.integer]; }

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
/* An elementwise row's function of constants, in f64; unused operands: any. */
double fold_evaluate(clg_op op, double a, double b, double c);
/* The constant's value after rounding to dtype as the devices do. */
double fold_round(clg_dtype dtype, double value);

/* ops.c */
/* The largest dtype of some variables; floating: at least f32. */
clg_dtype ops_common_dtype(const clg_var *x, int count, bool floating);
/* An axis counted from the front; -1 (with an error naming op) if x has none such. */
int ops_axis(const char *op, clg_var x, int axis);
clg_var ops_as_float(clg_var x); /* integers as f32 */
/* A MAP op over operands (unused: any), with casts and broadcasts inserted. */
clg_var ops_map(clg_op op, clg_var a, clg_var b, clg_var c);
clg_var ops_reduce(clg_op op, clg_var x, uint32_t mask); /* keeps reduced axes with extent 1 */
clg_var ops_reshape(clg_var x, clg_shape shape);         /* the same number of elements, up to CLG_MAX_DIMS axes */
clg_var ops_broadcast(clg_var x, clg_shape shape); /* the same */
clg_var ops_constant(clg_graph *g, clg_dtype dtype, int32_t shape, double value);
/* A constant like x: same graph, dtype and shape. */
clg_var ops_like(clg_var x, double value);
/* Lets clg_write refuse indices outside 0..classes-1, where the indices are an input, for the sake of op. */
void ops_bound_input(clg_var indices, int64_t classes, const char *op);

/* views.c */
/* Whether an operation's nodes have an index map: all views but reshape and stop_gradient. */
bool views_are_mapped(clg_op op);
/* A view: element p of the result is x's element map(p), or map.fill where that is outside x. */
clg_var views_map(clg_op op, clg_var x, clg_shape shape, const index_map *map);
/* x with before[d] elements more in front of axis d (negative: fewer), as part of an array of a shape; fill elsewhere.
 */
clg_var views_place(clg_var x, clg_shape shape, const int64_t *before, double fill);
/* The gradient with respect to x of sum(y * gy), y a view of x by a map: gy's elements added up where they came from.
 */
clg_var views_adjoint(clg_var x, clg_var gy, const index_map *map);
/* y with an axis of extent 1 more for each condition, whose form becomes that axis's in a map over y: so what does not
 * meet the condition is outside. */
clg_var views_with_conditions(clg_var y, const inverse_map *inverse, index_map *map);

/* The parts of an inverse's axes put together: (q, r) becomes an axis of q * r elements, of which those from base on
 * are the operand's, of a shape. */
clg_var views_assemble(clg_var y, const inverse_map *inverse, clg_shape shape);

/* contract.c */
clg_var contract_node(clg_var a, clg_var b, const contraction *c);
/* Operands as one of f32 and f64; false (with an error naming op) if they are not variables of one graph. */
bool contract_dtype(const char *op, clg_var *a, clg_var *b);
/* The gradient with respect to operand number which, x, of sum(y * gy), y the contraction of x and another variable. Of
 * x only the shape is used, if the map can be solved. */
clg_var contract_adjoint(const contraction *c, clg_var x, clg_var with, int which, clg_var gy);

/* grad.c: one row an op, made from ops.def. NULL with refuse false: no gradient flows. */
typedef void gradient_rule(clg_var y, const clg_var *x, clg_var gy, clg_var *gx);
#endif
