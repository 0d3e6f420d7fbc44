/* A contraction as a batch of products of m rows by n columns over k, and how its operands are packed. Made once a
 * step; internal to the CPU backend. */
#ifndef CLG_CPU_CONTRACT_H
#define CLG_CPU_CONTRACT_H

#include "prologue.h"

enum { CONTRACT_BOUNDS = 8 };

/* Dimensions of one role, as one operand walks through them. */
typedef struct contract_dims {
    int rank;
    int64_t extent[PLAN_MAX_DIMS], stride[PLAN_MAX_DIMS];
    int64_t coef[CONTRACT_BOUNDS][PLAN_MAX_DIMS]; /* of its bounds */
    int64_t axis[PLAN_MAX_DIMS][PLAN_MAX_DIMS];   /* of its axes */
} contract_dims;

/* An operand. own: rows of a, columns of b. */
typedef struct contract_side {
    int32_t buffer;
    int64_t offset, count; /* count: of the buffer's elements */
    int64_t stored, size;  /* bytes of an element in the buffer, and as it is multiplied */
    contract_dims batch, own, depth;
    int bound_count;
    int64_t lo[CONTRACT_BOUNDS], hi[CONTRACT_BOUNDS];
    const plan_axis *axis;
    int axis_count;
    bool plain; /* a matrix: own and depth are at most one dimension each, one of them dense, without bounds; and what
                   is multiplied is what lies there */
    int64_t own_stride, depth_stride; /* if plain */
} contract_side;

struct cpu_contract {
    int64_t batch, m, n, k;
    contract_side side[2];
    contract_dims batch_lanes, row_lanes; /* stride: in lanes; columns are consecutive lanes */
    bool dense;                           /* rows are consecutive lanes, too: row_lanes is n */
    int windowed; /* the side that is read through windows, not packed; -1: none. If it is b, a's rows are packed, and
                     vectors of b are read where they lie, along its last dimension */
    int64_t run;  /* rows, or columns, that are a run of its last dimension */
};

/* malloc'ed; NULL: out of memory. */
cpu_contract *cpu_contract_new(const plan *p, const plan_step *step);

/* One operand in one batch: the part of the summed dimensions where neither is outside its bounds. */
typedef struct contract_block {
    const contract_side *side;
    cpu_prologue *prologue; /* NULL: none */
    const char *base;       /* of its buffer, at the batch */
    int64_t form[CONTRACT_BOUNDS], index[PLAN_MAX_DIMS];
    int64_t extent[PLAN_MAX_DIMS]; /* of the summed dimensions */
} contract_block;

/* Returns how many positions are summed. prologue: the thread's, of both operands. */
int64_t contract_begin(const cpu_contract *c, char *const *address, cpu_prologue *prologue, int64_t batch,
                       contract_block block[2]);
/* gemm_pack of a contract_block. */
void contract_pack(const void *block, int64_t first, int64_t count, int64_t p, int64_t k, void *to, int64_t step,
                   int64_t depth_step);
/* The value of positions' strides at a position's number. */
int64_t contract_lane(const contract_dims *dims, int64_t index);

/* window.c: an operand as windows of a copy with zeros around it, or of where it lies. */
typedef struct contract_windows {
    const cpu_contract *contract;
    const contract_block *block;
    int64_t first; /* row of the contraction that is row 0 of the product */
    char *copy;
    int64_t *row, *depth;
} contract_windows;

extern const gemm_windows contract_window_functions;
/* Scratch of a thread: the copy and the tables. 64-byte aligned parts. */
int64_t contract_windows_bytes(const cpu_contract *c);
void contract_windows_begin(contract_windows *w, const cpu_contract *c, const contract_block *block, int64_t first,
                            char *scratch);
#endif
