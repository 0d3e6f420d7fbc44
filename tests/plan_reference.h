/* A slow, independent interpreter of plans in f64, one position at a time: what the backends are compared with. */
#ifndef PLAN_REFERENCE_H
#define PLAN_REFERENCE_H

#include "support_dtype.h"

#include "plan/plan.h"

/* values[i]: buffer i of the plan, plan->buffers[i].count doubles. Leaves are read, others are written; buffers that
 * share a place in the arena do not share values here. A step's loads see the values from before the step. Stored
 * values are rounded to the buffer's dtype. false: out of memory, or a load or store of a loop is not in its buffer. */
bool plan_reference_run(const plan *p, double **values);

#endif
