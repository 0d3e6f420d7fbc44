/* Index maps of views and contractions: for each axis of an operand an affine form of a position. Pure functions. */
#ifndef CLG_INDEX_MAP_H
#define CLG_INDEX_MAP_H

#include <clgrad/clgrad.h>

/* offset + sum over d of coef[d] * position[d]. */
typedef struct affine {
    int64_t offset, coef[CLG_MAX_DIMS];
} affine;

/* A view's: the operand's element at a position of the result; fill where an axis's form is not within its extent. */
typedef struct index_map {
    affine axis[CLG_MAX_DIMS]; /* of the operand */
    double fill;
} index_map;

/* A contraction's: the sum over all positions of an iteration space of a(map 0) * b(map 1), where both are within their
 * operands. The first result_rank dimensions of the space are the axes of the result, the others are summed. */
typedef struct contraction {
    int rank, result_rank;
    int64_t extent[CLG_MAX_DIMS];
    affine axis[2][CLG_MAX_DIMS]; /* of operands a and b */
} contraction;

/* The form of one dimension alone. */
affine affine_of(int d);
/* A view's map in which each of rank axes is read as it is. */
index_map index_map_identity(int rank);
/* f of a position whose dimension d is axis[d] of another position, over rank dimensions of each. */
affine affine_compose(const affine *f, int rank, const affine *axis);
/* The least and the greatest value over a space; rank 0: the offset. Extents are >= 1. */
void affine_range(const affine *f, int rank, const int64_t *extent, int64_t *least, int64_t *most);

/* A map solved for the operand's elements: the positions at which the map reads element i. The new space has parts of
 * the operand's axes (axis k: part_count[k] of them, row-major, which together count up from element base[k] on), then
 * free dimensions: all of their positions read the element, as far as the old position is within its own space and the
 * conditions are 0. */
typedef struct inverse_map {
    int rank, part_rank;
    int64_t extent[CLG_MAX_DIMS];
    int part_count[CLG_MAX_DIMS];
    int64_t base[CLG_MAX_DIMS];
    affine position[CLG_MAX_DIMS]; /* each dimension of the old space, over the new one */
    affine condition[CLG_MAX_DIMS];
    int condition_count;
} inverse_map;

/* Solves a map from a space of rank extents, each >= 1, to an operand of a shape. false: there is no such inverse (two
 * strides with no common measure, a diagonal, too many dimensions). */
bool index_map_solve(const affine *axis, int rank, const int64_t *extent, clg_shape operand, inverse_map *inverse);
#endif
