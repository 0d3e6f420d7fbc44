/* Accesses: which element of a node a position of an iteration space reads. For each axis of the node an affine form of
 * the position, and bounds on forms, outside of which a value is given and nothing is read. Views compose accesses axis
 * by axis (design, 14). Accesses are interned: an access is a small number. */
#ifndef CLG_ACCESS_H
#define CLG_ACCESS_H

#include "plan.h"
#include "subgraph.h"

/* An iteration space: extents, and which dimensions are reduced (inner). */
typedef struct space {
    int rank;
    int64_t extent[PLAN_MAX_DIMS];
    uint32_t inner;
} space;

enum { ACCESS_BOUNDS = 8 };

/* The axes are those of some shape with as many elements as the node, in the same row-major order, without extents of
 * 1. */
typedef struct node_access {
    int rank;
    int64_t extent[PLAN_MAX_DIMS];
    affine axis[PLAN_MAX_DIMS];
    int bound_count;
    plan_bound bound[ACCESS_BOUNDS];
    double fill;                     /* outside the bounds; 0 if there are none */
    int64_t position[PLAN_MAX_DIMS]; /* the extents of the space: the axes are within their own extents there */
} node_access;

typedef struct access_table {
    node_access *items;
    int32_t count, capacity;
    int32_t *buckets;
    int32_t bucket_count;
} access_table;

clg_status access_table_init(access_table *t);
void access_table_free(access_table *t);
/* The number of an access; -1 if memory runs out. Accesses without bounds that read the same elements from the same
 * positions are one. */
int32_t access_intern(access_table *t, const node_access *a);

/* The space's positions in row-major order; with outer true those of the outer dimensions alone (the same for all inner
 * positions). */
node_access access_identity(const space *sp, bool outer);
/* Says of which space's positions an access is. */
void access_set_space(const space *sp, node_access *a);
/* Of an operand of a shape, read by a map from the space's positions: a contraction's. false: too many bounds. */
bool access_of_map(const space *sp, const affine *axis, clg_shape operand, node_access *result);
/* Of the operand of view node v, given one of v. BLOCKED: v's axes are not affine in the position, or there are too
 * many bounds: then v must be materialised. OTHER_FILL: what lies outside the result differs from what the access gives
 * outside: the value needs a mask. */
typedef enum access_outcome { ACCESS_DONE, ACCESS_OTHER_FILL, ACCESS_BLOCKED } access_outcome;
access_outcome access_through_view(const subgraph *s, const sub_node *v, const space *sp, const node_access *a,
                                   node_access *result);
/* Of an array of shape whole, given one without bounds of a part of it, from before[d] of axis d on. false: not affine.
 */
bool access_in_whole(const space *sp, const node_access *a, clg_shape part, clg_shape whole, const int64_t *before,
                     node_access *result);
/* Of an array of shape indices ++ row: the accesses of the index and of the element in its row. false: not affine. */
bool access_split_row(const space *sp, const node_access *a, clg_shape shape, int index_rank, node_access *index,
                      node_access *rest);
/* The same without bounds. */
node_access access_unbounded(const node_access *a);
/* As an address: offset and strides of a row-major array. */
affine access_address(const node_access *a);
/* The dimensions of the space on which the bounds depend. */
uint32_t access_bound_dims(const node_access *a, int rank);
#endif
