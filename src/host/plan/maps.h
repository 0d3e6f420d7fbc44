/* Index maps: from a position of an iteration space to an element of a row-major array, affine in the flat index.
 * Views are functions on them (design, decision 8). Maps are interned: a map is a small number. */
#ifndef CLG_MAPS_H
#define CLG_MAPS_H

#include "plan.h"
#include "subgraph.h"

/* An iteration space: extents, and which dimensions are reduced (inner). */
typedef struct space {
    int rank;
    int64_t extent[CLG_MAX_RANK];
    uint32_t inner;
} space;

typedef struct map_table {
    plan_map *maps;
    int32_t count, capacity;
    int32_t *buckets;
    int32_t bucket_count;
} map_table;

clg_status maps_init(map_table *t);
void maps_free(map_table *t);
bool maps_equal(const plan_map *a, const plan_map *b);
/* The number of a map; -1 if memory runs out. */
int32_t maps_intern(map_table *t, const plan_map *map);

/* The identity of the space: its row-major order; with outer true that of the outer dimensions alone (the same for all
 * inner positions). Strides of dimensions of extent 1 are 0, here and in all interned maps. */
plan_map maps_identity(const space *sp, bool outer);
/* The map over the operand of view node v, given one over v's result. False if it is not affine: then v must be
 * materialised. */
bool maps_through_view(const subgraph *s, const sub_node *v, const space *sp, const plan_map *map, plan_map *result);
/* Splits a map over an array of shape (rows, row) into one over rows and one over the elements of a row. */
bool maps_split_row(const space *sp, const plan_map *map, int64_t rows, int64_t row, plan_map *row_map, plan_map *rest);
#endif
