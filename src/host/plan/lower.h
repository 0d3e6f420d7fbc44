/* What lower.c and values.c share: the body of a step while it is being made. Internal to plan/.
 *
 * A value depends on some of the group's dimensions; that gives its level: ONCE (none), OUTER (outer ones only) or
 * INNER. A value that depends on a reduction made in the same step belongs to a later stage: stage p of a step is its
 * OUTER section p followed by its INNER section p, and a reduction over stage p may be read from stage p + 1 on. An
 * INNER value that several stages need is evaluated in each. */
#ifndef CLG_LOWER_H
#define CLG_LOWER_H

#include "schedule.h"

typedef enum level { LEVEL_ONCE, LEVEL_OUTER, LEVEL_INNER } level;

/* One value of the body: a node at an access. Operands precede it. */
typedef struct value {
    int32_t node, access;
    int32_t src[3];
    uint8_t kind;  /* plan_instr_kind */
    uint8_t op;    /* MAP, REDUCE */
    uint8_t level; /* where it is evaluated; for INSTR_REDUCE where its result lives */
    uint16_t stage;
    uint32_t dims;         /* of the group, on which it depends (REDUCE: or its operand does) */
    int32_t operand_stage; /* REDUCE: the stage whose INNER section accumulates it */
    int32_t reg;           /* instruction, once emitted (INNER values: in this stage) */
    int32_t needed;        /* stamp of the emission that wants it */
    int64_t row_stride, row_count;
    int32_t buffer; /* LOAD */
} value;

typedef struct lowering {
    scheduler *f;
    const group *g;
    int32_t index; /* of the group */
    value *values;
    int32_t count, capacity;
    int32_t *entry_of; /* per node: what was walked of it, at its first access in the step */
    plan_step *step;
    int32_t instr_capacity, section_capacity, access_capacity, bound_capacity;
    int32_t *access_of; /* interned access -> access of the step + 1 */
    int32_t access_of_capacity;
    int32_t constants[16]; /* nodes of the step's first distinct constants */
    int constant_count;
    clg_status status;
} lowering;

/* Begins a step of the group. */
void values_begin(lowering *l);
/* The value of (node, access) with all that it needs; -1 (and l->status) on failure. */
int32_t values_build(lowering *l, int32_t root, int32_t root_access);
/* The level of what depends on a group's dimensions, of which some are inner. */
level values_level(uint32_t dims, uint32_t inner);

/* step.c. The dimensions of a space in the step's order: the outer ones, then the inner ones. Returns how many. */
int lower_dimensions(const space *sp, int order[PLAN_MAX_DIMS]);
/* The step's access for one over a space; for an interned one of the group. */
int32_t lower_access_over(lowering *l, const space *sp, const node_access *from);
int32_t lower_access(lowering *l, int32_t interned);
int32_t lower_add_access(lowering *l, plan_access access);
/* The axes of an operand with windows or bounds, if each bound is one of an axis. */
void lower_operand_axes(const space *sp, const node_access *from, plan_operand *to);
/* Merges adjacent dimensions where every access walks through both as through one. */
void lower_coalesce(plan_step *step);

/* split.c. Rewrites the plan's last step, a loop whose reductions need nothing of each other, as two: each of several
 * pieces of its inner range, then what the pieces give. nodes: of the graph, one for each reduction; workers: as many
 * as its outer positions keep busy. */
clg_status split_step(scheduler *f, const int32_t *nodes, int64_t workers);
#endif
