/* What loop.c and sums.c share: a LOOP step being printed. */
#ifndef CLG_OPENCL_LOOP_H
#define CLG_OPENCL_LOOP_H

#include "opencl.h"

typedef struct loop {
    body_printer p;
    const backend_device *device;
    const plan_step *step;
    text once, unit;
    bool lanes_inner;
    bool has_inner; /* an INNER section */
    bool gpu;
    bool scratch[CLG_DTYPE_COUNT]; /* group folds need local memory of this dtype */
    int last;                      /* the dimension along which vectors run; -1: none */
    int64_t units;
    int group; /* work-items of a group */
} loop;

/* "HEAD {" and the matching "}", with the lines between indented. */
void loop_open(loop *l, const char *head);
void loop_close(loop *l);
/* Declares the positions of dimensions first..end-1, except skip, from a flattened index, the last fastest; what is
 * left is the piece of a split step. */
void loop_print_positions(loop *l, const char *from, int first, int end, int skip, bool with_piece);
/* A loop over the vectors of a tile, if it has several; loop_open_vectors leaves out their position. */
void loop_open_tile(loop *l, bool unrolled);
void loop_open_vectors(loop *l);
void loop_close_tile(loop *l);
/* The widest vector that an extent fills. */
int loop_vector_width(int64_t extent);
/* The kernel around once and unit. shared: work-groups draw their parts, of so many. */
void loop_print_kernel(loop *l, text *out, int64_t parts, bool shared);
/* sums.c: an INNER section with its loops and reductions. */
void loop_print_inner(loop *l, const plan_section *section);

#endif
