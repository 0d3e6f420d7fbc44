/* What sweep.c and dot.c share: INNER sections that add up (or take the largest of) what they load, or products of two
 * loads, and do nothing else. Internal to the CPU backend. */
#ifndef CLG_CPU_SWEEP_H
#define CLG_CPU_SWEEP_H

#include "cpu.h"

/* sweep.c. The part of a form that depends on inner position number q. */
int64_t cpu_inner_part(const plan_step *step, const int64_t *coef, int64_t q);
#endif
