/* Plans for every backend: test_backend_cpu.c and test_backend_opencl.c run each of these cases on their devices. */
#ifndef PLAN_CASES_H
#define PLAN_CASES_H

#include "support_plan.h"

/* X(name) for each case, a function plan_case_name(const plan_target *). */
#define PLAN_CASES(X)                                                                                                  \
    X(every_map)                                                                                                       \
    X(casts)                                                                                                           \
    X(random_steps)                                                                                                    \
    X(softmax)                                                                                                         \
    X(in_place_hazards)                                                                                                \
    X(arena_chains)                                                                                                    \
    X(row_loads)                                                                                                       \
    X(integer_reductions)                                                                                              \
    X(column_sums)                                                                                                     \
    X(long_sums)                                                                                                       \
    X(empty_steps)                                                                                                     \
    X(pads)                                                                                                            \
    X(windows)                                                                                                         \
    X(masks)                                                                                                           \
    X(many_dimensions)                                                                                                 \
    X(products)                                                                                                        \
    X(scatters)                                                                                                        \
    X(scans)                                                                                                           \
    X(matrices)                                                                                                        \
    X(sorts)                                                                                                           \
    X(bind)

#define PLAN_DECLARE_CASE(name) void plan_case_##name(const plan_target *);
PLAN_CASES(PLAN_DECLARE_CASE)
#undef PLAN_DECLARE_CASE

/* How many elements a long sum has. */
int64_t plan_long_sum(const plan_target *t);

/* Three steps through two buffers that are one place of the arena: out = (sigmoid(a exp(c)))^2. Four buffers are bound
 * or not in this order: a, c, two in the arena, out. */
void plan_add_chain(plan_builder *b, int64_t count);

/* The first of some products (1 to 4) in f32 alone, for a provider whose kernels take long to compile. */
void plan_few_products(const plan_target *t, int count);
#endif
