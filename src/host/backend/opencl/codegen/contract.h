/* What contract.c knows of bounds and shares, for others that print loops over them. */
#ifndef CLG_OPENCL_CONTRACT_H
#define CLG_OPENCL_CONTRACT_H

#include "nest.h"

bool contract_depends(const plan_step *step, int operand, int d);
/* Narrows from..to of the loop over summed dimension d to what a bound allows at the other positions. */
void contract_print_bound(const body_printer *p, const plan_bound *bound, int d);
/* Parts of the work of all units. */
int64_t contract_part_count(const nest *n);
#endif
