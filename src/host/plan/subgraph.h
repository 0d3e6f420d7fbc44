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

typedef struct subgraph {
    sub_node *nodes;
    int32_t count;
    const clg_shape *shapes;         /* the graph's */
    const index_map *maps;           /* the graph's */
    const contraction *contractions; /* the graph's */
    int32_t *outputs;                /* subgraph node that holds each requested output */
    int32_t output_count;
    int32_t binding_count;
    int32_t *leaves; /* graph ids of the bindings of leaves, in order */
    int32_t leaf_count;
} subgraph;

/* realised(context, id): the node's value is in memory already and serves as a leaf; NULL: only leaves are. */
clg_status subgraph_collect(const clg_graph *g, const int32_t *outputs, int32_t count,
                            bool (*realised)(void *, int32_t), void *context, subgraph *s);
void subgraph_free(subgraph *s);
/* Bytes that are equal for two subgraphs with the same structure (then a program of one serves the other).
 * malloc'ed. */
clg_status subgraph_key(const subgraph *s, char **key, size_t *size);
#endif
