/* Plans made by hand or at random, and runs of them on a backend, compared with the interpreter of plan_reference.h. */
#ifndef SUPPORT_PLAN_H
#define SUPPORT_PLAN_H

#include "backend/backend.h"
#include "plan/plan.h"

#define MAX_BUFFERS 512
#define MAX_STEPS 64
#define MAX_INSTRS 128
#define MAX_SECTIONS 8
#define MAX_BOUNDS 96
#define MAX_FUNCTION 8

/* An operand's prologue in fixed storage. */
typedef struct plan_function {
    plan plan;
    plan_step step;
    plan_buffer buffers[2];
    plan_instr instrs[MAX_FUNCTION];
    plan_section sections[2];
    plan_access access;
} plan_function;

/* A plan in fixed storage. */
typedef struct plan_builder {
    plan plan;
    plan_step steps[MAX_STEPS];
    plan_buffer buffers[MAX_BUFFERS];
    plan_instr instrs[MAX_STEPS][MAX_INSTRS];
    plan_section sections[MAX_STEPS][MAX_SECTIONS];
    plan_access accesses[MAX_STEPS][MAX_INSTRS];
    plan_bound bounds[MAX_STEPS][MAX_BOUNDS];
    plan_function functions[MAX_STEPS][2];
    double lo[MAX_BUFFERS], hi[MAX_BUFFERS]; /* from where a buffer's elements are drawn */
    uint64_t seeds[MAX_BUFFERS];             /* from which they are drawn */
    int64_t order[MAX_BUFFERS];              /* > 0: they are matrices of that order, with a larger diagonal ... */
    double raised[MAX_BUFFERS];              /* ... by this */
    int guards[MAX_BUFFERS];                 /* a buffer's guard elements, before its first and behind its last one */
    uint64_t steps_seeds[MAX_BUFFERS];       /* of the random step that it belongs to, 0: made by hand */
    int guard;                               /* of buffers that are added from now on */
    uint64_t step_seed, next_seed;           /* the same of buffers that are added from now on */
} plan_builder;

/* The plan as a program of a backend, for which it is analysed. */
clg_status plan_prepare(const backend *of, backend_device *device, plan_builder *b, backend_buffer *const *bindings,
                        backend_program **program);

/* The random numbers from which plans and data are drawn start again here. */
void plan_seed(uint64_t seed);
int plan_below(int bound);
double plan_uniform(double lo, double hi);

/* Making a plan: buffers, then steps, each with sections of instructions. plan_emit_* return the register. The guard
 * elements of buffers are invisible here: accesses and counts are of the elements between them. */
plan_builder *plan_new_builder(void);
void plan_free_builder(plan_builder *b);
/* A leaf with elements in lo..hi, and an output, of which it does not matter what it holds; both may be stored to. */
int plan_add_leaf(plan_builder *b, clg_dtype dtype, int64_t count, double lo, double hi);
/* Makes the leaf's elements square matrices of an order, and adds to their diagonals. */
void plan_raise_diagonals(plan_builder *b, int leaf, int64_t order, double by);
int plan_add_output(plan_builder *b, clg_dtype dtype, int64_t count);
int plan_add_arena(plan_builder *b, clg_dtype dtype, int64_t count, int64_t offset);
plan_step *plan_add_step(plan_builder *b, int outer_rank, int inner_rank, const int64_t *extent);
/* Of a CONTRACT step. */
void plan_set_operand(const plan_builder *b, plan_step *s, int which, int buffer, plan_access access);
/* Gives it a prologue: scale * x + shift, converted from the buffer's dtype; with 1 and 0 the conversion alone. */
void plan_set_prologue(plan_builder *b, plan_step *s, int which, double scale, double shift);
void plan_begin_section(plan_step *s, plan_section_kind kind);
int plan_add_instr(plan_step *s, plan_instr instr);
int plan_emit_constant(plan_step *s, clg_dtype dtype, double value);
int plan_emit_op(plan_step *s, int op, clg_dtype dtype, int x, int y, int z);
int plan_emit_reduce(plan_step *s, int op, int x);
int plan_emit_iota(plan_step *s, clg_dtype dtype, plan_access access, double outside);
int plan_emit_load(plan_builder *b, plan_step *s, int buffer, plan_access access); /* 0 outside the bounds */
int plan_emit_load_or(plan_builder *b, plan_step *s, int buffer, plan_access access, double outside);
/* Of rows, by an i32 register. */
int plan_emit_load_row(plan_builder *b, plan_step *s, int buffer, plan_access access, double outside, int row,
                       int64_t stride, int64_t count);
int plan_emit_mask(plan_step *s, int x, plan_access bounds, double outside);
int plan_emit_product(plan_step *s);
void plan_emit_store(plan_builder *b, plan_step *s, int buffer, plan_access access, int x);
/* Row-major over the outer dimensions, over all, and over those of which bits are set. */
plan_access plan_dense_outer(const plan_step *s);
plan_access plan_dense_all(const plan_step *s);
plan_access plan_dense(const plan_step *s, unsigned dims);
/* One bound more for an access to which no instruction has been given yet; no other access may get bounds between. */
void plan_add_bound(plan_step *s, plan_access *access, plan_bound bound);

/* plan_random.c: a step of f32 or f64 with fresh buffers, for a seed the same one whatever has been drawn before. */
void plan_random_step(plan_builder *b, uint64_t seed, clg_dtype real);

/* What plans run on. */
typedef struct plan_target {
    const backend *backend;
    backend_device *device;
    backend_traits traits;
    bool has_f64;
    bool compiles;         /* each step costs a compilation: fewer of them */
    double long_sum_error; /* allowed in a sum of millions of f32 of one sign */
} plan_target;

/* What a run needs: the bindings with their first contents, and doubles for plan_reference_run. */
typedef struct plan_memory {
    double *values[MAX_BUFFERS];
    backend_buffer *bindings[MAX_BUFFERS];
    uint8_t *image[MAX_BUFFERS]; /* of each buffer that is bound, with what is behind it in its binding */
} plan_memory;

void plan_check_status(clg_status status);
/* Bindings are allocated and written; in values, guard elements are what the target's are not. */
void plan_set_up(const plan_target *t, const plan_builder *b, plan_memory *m);
/* Compares each binding with values; f32 and f64 may differ by tolerance * (1 + |value|), others and guards not. */
void plan_compare(const plan_target *t, const plan_builder *b, const plan_memory *m, double f32, double f64);
void plan_tear_down(const plan_target *t, const plan_builder *b, plan_memory *m);
/* Runs the plan in the interpreter and twice on the target, from the same contents, with equal bits; frees it.
 * CLGRAD_TEST_PRINT in the environment prints the generated source. */
void plan_check(const plan_target *t, plan_builder *b, double f32, double f64);

#endif
