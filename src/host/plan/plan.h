/* A plan: what backends see of a program. Made by schedule.c from a graph, placed in memory by memory.c,
 * printed by print.c, executed by src/host/backend/. It knows operations (ops.def) but no graph and no device.
 *
 * A step is a loop nest over outer x inner dimensions with a straight-line body. The body is an array of
 * instructions; the index of an instruction is its register. Sections cut the array into runs:
 *
 *   SECTION_ONCE   does not depend on the position; evaluated once before the loops
 *   SECTION_OUTER  evaluated for each outer position
 *   SECTION_INNER  evaluated for each inner position of each outer position; its INSTR_REDUCE registers
 *                  accumulate over the inner positions and may be read by later OUTER and INNER sections
 *
 * Registers of an INNER section are read only in that section, except INSTR_REDUCE. Registers of ONCE and
 * OUTER sections may be read by any later section. So a plain elementwise step is one OUTER section; a softmax over the
 * last axis is INNER (max), INNER (sum of exp), OUTER (reciprocal), INNER (store).
 *
 * A step with splits > 1 cuts the flattened inner range into that many pieces of inner_piece positions (the last may
 * be shorter) which are computed independently as further outermost positions: its stores are at
 * piece * outer_count + outer position (OUTER stores only: partial results). */
#ifndef CLG_PLAN_H
#define CLG_PLAN_H

#include <clgrad/clgrad.h>

#define PLAN_MAX_DIMS CLG_MAX_DIMS /* dimensions of a step: axes of its result, and what it reduces */

/* Holds where lo <= sum over d of coef[d] * position[d] < hi. */
typedef struct plan_bound {
    int64_t coef[PLAN_MAX_DIMS];
    int64_t lo, hi;
} plan_bound;

/* What a position of the step reads or writes: element offset + sum over d of stride[d] * position[d] of a buffer (for
 * INSTR_IOTA: that value), over outer dimensions then inner ones, where all of the bounds hold; nothing elsewhere. */
typedef struct plan_access {
    int64_t offset;
    int64_t stride[PLAN_MAX_DIMS];
    int32_t first_bound, bound_count; /* of step.bounds */
} plan_access;

typedef enum plan_instr_kind {
    INSTR_CONST,   /* value */
    INSTR_IOTA,    /* the access's address as dtype; value where its bounds do not hold */
    INSTR_LOAD,    /* element of buffer at the access, as it was before the step; value where the bounds do not hold.
                      src[0] >= 0: an i32 register, the row: the element is at access + row * row_stride; a row outside
                      0..row_count-1 gives NaN (0 for integers) and reads nothing */
    INSTR_MASK,    /* register src[0] where the access's bounds hold, else value */
    INSTR_PRODUCT, /* CONTRACT: the sum of products at this position */
    INSTR_MAP,     /* op applied to registers src */
    INSTR_REDUCE,  /* op (a reduction of ops.def) accumulates register src[0] over the inner positions */
    INSTR_STORE    /* register src[0] to buffer at the access (which has no bounds) */
} plan_instr_kind;

typedef struct plan_instr {
    uint8_t kind;                  /* plan_instr_kind */
    uint8_t op;                    /* MAP, REDUCE: an op of ops.def */
    uint8_t dtype;                 /* of the register (of the buffer, for STORE) */
    int32_t src[3];                /* registers, -1: none */
    int32_t buffer;                /* LOAD, STORE: index into plan.buffers */
    int32_t access;                /* IOTA, LOAD, MASK, STORE: index into step.accesses */
    double value;                  /* CONST; IOTA, LOAD, MASK: outside the bounds */
    int64_t row_stride, row_count; /* LOAD with a row register */
} plan_instr;

typedef enum plan_section_kind { SECTION_ONCE, SECTION_OUTER, SECTION_INNER } plan_section_kind;

typedef struct plan_section {
    plan_section_kind kind;
    int32_t first, count; /* instructions */
} plan_section;

typedef enum plan_step_kind { STEP_LOOP, STEP_CONTRACT, STEP_ARRAY } plan_step_kind;

/* An operand of a matrix product: element (b, r, c) is at offset + b*batch_stride + r*row_stride + c*column_stride.
 * One of row_stride and column_stride is 1 (or its extent is 1); the other is >= the extent. batch_stride may be 0. */
typedef struct plan_matrix {
    int32_t buffer;
    int64_t offset, batch_stride, row_stride, column_stride;
} plan_matrix;

/* A batch of matrix products, (batch, m, k) x (batch, k, n). */
typedef struct plan_matmul {
    clg_dtype dtype;
    int64_t batch, m, n, k;
    plan_matrix a, b;
} plan_matmul;

/* An axis of an operand in memory: at a position its index is offset + sum over d of coef[d] * position[d]; where that
 * is not in lo..hi-1, the operand is 0 and not read. */
typedef struct plan_axis {
    int64_t coef[PLAN_MAX_DIMS];
    int64_t offset, stride, lo, hi;
} plan_axis;

/* Which operands of contractions need not be stored: none; one cast to f32 from a dtype that is for storage alone; any
 * function that is a prologue. */
typedef enum plan_prologues { PROLOGUES_NONE, PROLOGUES_CASTS, PROLOGUES_ALL } plan_prologues;

/* An operand of a contraction: what it reads at a position of outer dimensions (of the result) and inner ones (summed).
 */
typedef struct plan_operand {
    int32_t buffer, access; /* of step.accesses; outside its bounds it is 0 */
    uint32_t dims;          /* bit d: it depends on dimension d; plan_analyse finds out */
    int axis_count; /* the same as axes, where it has windows or bounds, and each bound is one of an axis; else 0 */
    plan_axis axis[PLAN_MAX_DIMS];
    /* What is done with an element within the bounds as it is read: a plan of one elementwise step over a line of them,
     * from its buffer 0, of the dtype of the operand's, to its buffer 1, of the step's. NULL: nothing. The step's own;
     * only where the device takes it (backend_traits.prologues). */
    struct plan *prologue;
} plan_operand;

/* An operation on whole dense arrays: along the middle one of the axes (outer, length, inner) of operands, of which the
 * result has `results` there.
 *
 *   SCAN      the operands are of the result's dtype
 *   ARGSORT   inner is 1; the result, i32, has the first indices of each sorted line
 *   MATRIX    of matrices (outer, length, length) and right sides (outer, length, inner); inner is length where there
 *             are none
 *   SCATTER   outer is 1; operand 0 has `length` indices (i32), operand 1 the updates, (length, inner) */
typedef struct plan_array {
    uint8_t op;                 /* of ops.def */
    bool reverse;               /* SCAN: from the end; ARGSORT: the largest first */
    uint8_t mode;               /* SOLVE_TRIANGULAR: whether the upper triangle is read; DETERMINANT: DETERMINANT_* */
    int32_t operand[2], result; /* buffers; -1: none */
    int64_t outer, length, inner, results;
    int64_t pieces, piece; /* SCAN: so many of that length (the last may be shorter) are combined apart, and then with
                              what all before them give */
} plan_array;

#define PLAN_MOST_FETCHES 12 /* in a step */

/* What is known of an instruction: plan_analyse. */
typedef struct plan_fact {
    uint32_t dims; /* bit d: its value differs along dimension d of the step */
    int32_t same; /* the first instruction of an INNER section that gives the same value: itself if there is no other */
    bool streams; /* STORE: past the caches, since all is long and nothing of it is loaded or stored elsewhere */
    bool fetch;   /* LOAD, STORE: the lanes' elements are a run in memory that no instruction before touches, worth
                     asking for before the next row or block */
} plan_fact;

typedef struct plan_step {
    plan_step_kind kind;
    clg_dtype dtype; /* CONTRACT: of the product; ARRAY: of the operand (SCATTER: of the updates) */

    /* LOOP, and CONTRACT: outer dimensions are those of the result, inner ones those of the sum; the body is what is
     * done with each sum, and has no inner section. Adjacent dimensions are already merged where all accesses allow it
     * (not in a matrix product); extents are >= 1 except in empty steps (count 0). */
    int outer_rank, inner_rank;
    int64_t extent[PLAN_MAX_DIMS]; /* outer then inner */
    int64_t outer_count, inner_count;
    int64_t splits, inner_piece; /* 1, inner_count if not split */
    plan_instr *instrs;
    int32_t instr_count;
    const plan_fact *facts; /* of each instruction; the plan's */
    plan_section *sections;
    int32_t section_count;
    plan_access *accesses;
    int32_t access_count;
    plan_bound *bounds;
    int32_t bound_count;

    /* CONTRACT: the sum over inner positions, in their order, of operand 0 times operand 1. The last of the outer
     * dimensions is one of operand 1 alone, unless no dimension is. */
    plan_operand operand[2];
    bool is_matmul; /* a batch of matrix products, plan_step_matmul: the dimensions are batch, m, n and k */
    /* A matrix product's: the buffer (dense, batch*m*n) into which a provider that cannot run the epilogue itself
     * writes the product before the body reads it as INSTR_PRODUCT; it may be the buffer of a STORE of the body. -1 if
     * the device fuses epilogues (backend_traits.fuses_epilogue). */
    int32_t product;

    plan_array array; /* ARRAY */

    int32_t name_node; /* a graph node for people: the last one the step computes */
} plan_step;

typedef enum plan_buffer_kind {
    BUFFER_LEAF,   /* a leaf of the graph: index says which binding */
    BUFFER_OUTPUT, /* an output of the program: index says which binding */
    BUFFER_ARENA   /* intermediate: at offset of the program's arena */
} plan_buffer_kind;

typedef struct plan_buffer {
    plan_buffer_kind kind;
    clg_dtype dtype;
    int64_t count; /* elements */
    int64_t bytes;
    int64_t offset;      /* ARENA: bytes from the start of the arena, a multiple of PLAN_ALIGNMENT */
    int32_t binding;     /* LEAF, OUTPUT: index into the bindings given to prepare */
    int32_t node;        /* graph node, for people */
    int32_t first, last; /* steps between which an ARENA buffer lives */
} plan_buffer;

#define PLAN_ALIGNMENT 256 /* bytes; covers CL_DEVICE_MEM_BASE_ADDR_ALIGN of known devices and a cache line */

typedef struct plan {
    plan_step *steps;
    int32_t step_count, step_capacity;
    plan_buffer *buffers;
    int32_t buffer_count, buffer_capacity;
    int32_t binding_count;
    int64_t arena_bytes, arena_lower_bound;
    plan_fact *facts; /* of the instructions of all steps */
} plan;

void plan_free(plan *p);
/* Works the facts out, once steps and memory are what they will be. */
clg_status plan_analyse(plan *p);
/* What a step owns. */
void plan_step_free(const plan_step *step);
/* "loop", "matmul" (a CONTRACT step that is one), "contract", "array". */
const char *plan_step_name(const plan_step *step);
/* A CONTRACT step that is a matrix product, and what makes its operands' accesses (which have no bounds). */
plan_matmul plan_step_matmul(const plan_step *step);
/* Whether a prologue is one cast. */
bool plan_is_cast(const struct plan *prologue);
plan_access plan_matmul_access(const plan_matmul *x, int operand);
/* Where the step's vector lanes should run: over inner positions (rows reduced one at a time) or over outer
 * positions (columns reduced side by side). true: inner. Shared by the backends so that both agree with print.c. */
bool plan_lanes_inner(const plan_step *step);
/* An INNER section that adds up (or takes the largest of) what it loads, or products of two loads, and does nothing
 * else. */
typedef struct plan_reduction {
    const plan_instr *load[2], *reduce; /* load[1] NULL: not a product */
    int32_t result;                     /* the reduction's register */
} plan_reduction;
/* Whether a section is such a one, of f32 or f64, and what is outside the bounds of its loads (the same ones for both
 * factors) changes nothing: 0 in a sum, -inf among what the largest is taken of. */
bool plan_reduction_find(const plan_step *step, const plan_section *section, plan_reduction *found);
/* Whether two instructions that compute values, not REDUCE or PRODUCT, give equal ones where their operands are equal.
 */
bool plan_same_function(const plan_step *step, const plan_instr *a, const plan_instr *b);
#endif
