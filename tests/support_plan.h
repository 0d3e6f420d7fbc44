/* Plans made by hand or at random, to run on a backend and in the interpreter of plan_reference.h. */
#ifndef SUPPORT_PLAN_H
#define SUPPORT_PLAN_H

#include "plan/plan.h"

#define MAX_BUFFERS 200
#define MAX_STEPS 64
#define MAX_INSTRS 64

/* A plan in fixed storage. */
typedef struct plan_builder {
    plan plan;
    plan_step steps[MAX_STEPS];
    plan_buffer buffers[MAX_BUFFERS];
    plan_instr instrs[MAX_STEPS][MAX_INSTRS];
    plan_section sections[MAX_STEPS][8];
    plan_map maps[MAX_STEPS][MAX_INSTRS];
    int outputs[MAX_BUFFERS]; /* of each buffer: written by the plan */
    double range[MAX_BUFFERS];
} plan_builder;

/* The random numbers from which plans and data are drawn start again here. */
void plan_seed(uint64_t seed);
int plan_below(int bound);
double plan_uniform(double lo, double hi);

/* Making a plan: buffers, then steps, each with sections of instructions. plan_emit_* return the register. */
plan_builder *plan_new_builder(void);
int plan_add_buffer(plan_builder *b, clg_dtype dtype, int64_t count, bool output, double range);
int plan_add_arena(plan_builder *b, clg_dtype dtype, int64_t count, int64_t offset);
plan_step *plan_add_step(plan_builder *b, int outer_rank, int inner_rank, const int64_t *extent);
void plan_begin_section(plan_step *s, plan_section_kind kind);
int plan_add_instr(plan_step *s, plan_instr instr);
int plan_emit_constant(plan_step *s, clg_dtype dtype, double value);
int plan_emit_op(plan_step *s, int op, clg_dtype dtype, int x, int y, int z);
int plan_emit_reduce(plan_step *s, int op, int x);
int plan_emit_load(plan_builder *b, plan_step *s, int buffer, plan_map map);
void plan_emit_store(plan_builder *b, plan_step *s, int buffer, plan_map map, int x);
/* Row-major maps over the outer dimensions, and over all. */
plan_map plan_dense_outer(const plan_step *s);
plan_map plan_dense_all(const plan_step *s);

/* Whole steps with fresh buffers. */
void plan_random_step(plan_builder *b, clg_dtype real);
void plan_random_split(plan_builder *b);
void plan_add_softmax(plan_builder *b, int64_t rows, int64_t columns);
void plan_add_column_sum(plan_builder *b, int64_t rows, int64_t columns);
void plan_add_chain(plan_builder *b, int64_t count);
void plan_add_scatter(plan_builder *b, int64_t rows, int64_t columns, int64_t count);
void plan_add_odd_steps(plan_builder *b);

#endif
