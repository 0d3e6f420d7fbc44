/* What the two ways share in which a CPU device computes a CONTRACT step that is no matrix product. */
#ifndef CLG_OPENCL_CONTRACT_H
#define CLG_OPENCL_CONTRACT_H

#include "nest.h"

/* ---------------------------------------------------------------- contract.c */

bool contract_depends(const plan_step *step, int operand, int d);
/* Narrows from..to of the loop over summed dimension d to what a bound allows at the other positions. */
void contract_print_bound(const body_printer *p, const plan_bound *bound, int d);
/* Parts of the work of all units. */
int64_t contract_part_count(const nest *n);

/* ---------------------------------------------------------------- contract_lines.c */

/* Whether the columns lie apart or sums are long, and enough rows meet each line. */
bool contract_has_lines(const kernel_target *target, const plan_step *step);
clg_status contract_lines_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list);
#endif
