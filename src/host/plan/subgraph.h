/* The part of a graph that some outputs need, copied into small arrays with ids of its own (topological, from 0).
 * Views that keep the row-major order (reshape, stop_gradient) and effects' results stand for their operand, so that
 * a program is scheduled without them. Everything after this stage reads the subgraph and not the graph. */
#ifndef CLG_SUBGRAPH_H
#define CLG_SUBGRAPH_H

#include "../core/graph.h"

typedef struct sub_node {
    uint8_t op, dtype;
    bool output;         /* must be stored for the caller */
    int32_t src[3];      /* subgraph ids; -1: none */
    int32_t shape;       /* of the result: index into shapes */
    int32_t in_shape[2]; /* of operands 0 and 1, as the operation sees them */
    int32_t id;          /* in the graph */
    int32_t binding;     /* INPUT and outputs: index of its binding, leaves first */
    int64_t count;       /* elements */
    union {
        double value;
        int64_t integer;
    } attr;
} sub_node;

/* A part of a JOIN node: all elements of a node, which has this shape, from element before[d] of axis d on. */
typedef struct sub_part {
    int32_t node, shape;
    int64_t before[CLG_MAX_DIMS];
} sub_part;

/* Parts that do not overlap, and cover the array together. */
typedef struct sub_join {
    int32_t first, count; /* of parts */
} sub_join;

typedef struct subgraph {
    sub_node *nodes;
    int32_t count;
    const clg_shape *shapes; /* the graph's, as the following */
    const index_map *maps;
    const contraction *contractions;
    int32_t shape_count, map_count, contraction_count;
    const sub_join *joins; /* join.c's */
    const sub_part *parts;
    int32_t *outputs; /* subgraph node that holds each requested output */
    int32_t output_count;
    int32_t binding_count;
    int32_t *leaves; /* graph ids of the bindings of leaves, in order */
    int32_t leaf_count;
} subgraph;

static inline const clg_shape *subgraph_shape(const subgraph *s, int32_t node)
{
    return &s->shapes[s->nodes[node].shape];
}
static inline const contraction *subgraph_contraction(const subgraph *s, int32_t node)
{
    return &s->contractions[s->nodes[node].attr.integer];
}

/* Whether a node is another one under another shape or name, that of its first source. */
bool subgraph_is_alias(uint8_t op);
/* realised(context, id): the node's value is in memory already and serves as a leaf; NULL: only leaves are. */
clg_status subgraph_collect(const clg_graph *g, const int32_t *outputs, int32_t count,
                            bool (*realised)(void *, int32_t), void *context, subgraph *s);
void subgraph_free(subgraph *s);
/* A copy of s without nodes, with room for so many nodes, and so many shapes, maps and contractions more; it shares the
 * leaves of s, and is freed, with subgraph_free_copy, before s. */
clg_status subgraph_copy_begin(const subgraph *s, int32_t nodes, int32_t shapes, int32_t maps, int32_t contractions,
                               subgraph *to);
/* Adds a shape, map or contraction to a copy; the room for it was asked for. Returns its index. */
int32_t subgraph_copy_shape(subgraph *to, clg_shape shape);
int32_t subgraph_copy_map(subgraph *to, const index_map *map);
int32_t subgraph_copy_contraction(subgraph *to, const contraction *c);
/* Ends a copy: its outputs are those of s. local: the number in the copy of each node of s. */
void subgraph_copy_end(const subgraph *s, const int32_t *local, subgraph *to);
void subgraph_free_copy(subgraph *to);
/* Bytes that are equal for two subgraphs with the same structure (then a program of one serves the other).
 * malloc'ed. */
clg_status subgraph_key(const subgraph *s, char **key, size_t *size);
#endif
