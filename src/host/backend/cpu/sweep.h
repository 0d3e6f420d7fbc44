/* What sweep.c and dot.c share: INNER sections that add up (or take the largest of) what they load, or products of two
 * loads, and do nothing else. Internal to the CPU backend. */
#ifndef CLG_CPU_SWEEP_H
#define CLG_CPU_SWEEP_H

#include "cpu.h"

typedef struct cpu_reduction {
    const plan_instr *load[2], *reduce; /* load[1] NULL: not a product */
    int32_t result;                     /* the reduction's register */
} cpu_reduction;

/* reduction.c. Whether a section is such a one, of f32 or f64, and what is outside the bounds of its loads (the same
 * ones for both factors) changes nothing: 0 in a sum, -inf among what the largest is taken of. */
bool cpu_reduction_find(const plan_step *step, const plan_section *section, cpu_reduction *found);
/* The part of a form that depends on inner position number q. */
int64_t cpu_inner_part(const plan_step *step, const int64_t *coef, int64_t q);
#endif
