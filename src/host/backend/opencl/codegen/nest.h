/* The loops around the body of a LOOP or CONTRACT step, set into kernels/loop.cl. A kernel's work is so many units,
 * each the same code at another place. */
#ifndef CLG_OPENCL_NEST_H
#define CLG_OPENCL_NEST_H

#include "body.h"

typedef struct nest {
    const kernel_target *target;
    body body;
    bool gpu;
    bool lanes_inner; /* lanes run over inner positions: a unit is a row */
    int group;        /* work-items of a group */
    /* what is printed: */
    text unit;
    int64_t units;
    bool scratch[CLG_DTYPE_COUNT]; /* group folds need local memory of this dtype */
} nest;

/* ---------------------------------------------------------------- nest.c */

/* A nest for a device, before its body is opened; frees both. */
nest nest_new(const kernel_target *target);
void nest_close(nest *n);
/* The widest vector that an extent fills. */
int nest_vector_width(int64_t extent);
/* Declares the positions of dimensions first..end-1, except skip, from a flattened index, the last fastest; what is
 * left is the piece of a split step. */
void nest_print_positions(const body_printer *p, const char *from, int first, int end, int skip, bool with_piece);
/* A loop over the vectors of a tile, if it has several; nest_open_vectors leaves out their position. */
void nest_open_tile(const body_printer *p, bool unrolled);
void nest_open_vectors(const body_printer *p);
void nest_close_tile(const body_printer *p);
/* Adds the kernel around the unit. parts: of the work; work-groups, or shares that they draw. */
clg_status nest_add_kernel(const nest *n, int64_t parts, kernel_list *list);

/* ---------------------------------------------------------------- sweep.c */

/* Whether a step adds up few terms with bounds for each column; and its units, rows of columns. */
bool nest_has_sweep(const nest *n);
void nest_print_sweep(nest *n, const body_printer *p);

/* ---------------------------------------------------------------- sums.c */

/* An INNER section with its loops and reductions. */
void nest_print_inner(nest *n, const body_printer *p, const plan_section *section);

#endif
