/* Code generation: OpenCL C from the steps of a plan. Knows plans and what is said of a device in kernels.h; calls
 * neither OpenCL nor the other rooms of the backend.
 *
 *   text.c      a growing text, skeletons           loop.c, sums.c    a LOOP step as a kernel
 *   kernels.c   what is made: kernels as data       sweep.c           one of column sums over windows, on a CPU device
 *   body.c      what is known of a step's body      matmul.c          a CONTRACT step there that is a matrix product
 *   loads.c     what a body reads, addresses        contract.c        another one
 *   instrs.c    a body's instructions               contract_lines.c  one with long sums
 *   rows.c      rows on CPUs: what keeps them near  contract_gpu.c    a CONTRACT step on a GPU
 *                                     contract_cast.c   operands that are casts
 *   nest.c      the loops around a body             tile.c            how a CPU device cuts a product up
 *                                                   tile_gpu.c        how a GPU does
 *                                                   arrays.c          an ARRAY step
 *                                                   prelude.c         what the kernels of a program share */
#ifndef CLG_OPENCL_CODEGEN_H
#define CLG_OPENCL_CODEGEN_H

#include "kernels.h"
#include "tile.h"

/* Each adds a step's kernels to a list; none where it has nothing to do.
 * loop: a LOOP step, or the body of a matrix product run on its own with the product in a buffer.
 * matmul: with the body as its epilogue, by such tiles. */
clg_status loop_kernels(const kernel_target *target, const plan *schedule, int32_t step, kernel_list *list);
clg_status matmul_kernels(const kernel_target *target, const plan *schedule, int32_t step, product_tile tile,
                          kernel_list *list);
clg_status contract_kernels(const kernel_target *target, const plan *schedule, int32_t step, kernel_list *list);
/* Of a contraction whose columns lie apart or whose sums are long, where enough rows meet each line. */
bool contract_has_lines(const kernel_target *target, const plan_step *step);
clg_status contract_lines_kernels(const kernel_target *target, const plan *schedule, int32_t step, kernel_list *list);
/* Of operands that are casts, where either of these then reads what was cast. */
clg_status contract_cast_kernels(const kernel_target *target, const plan *schedule, int32_t step, kernel_list *list);
clg_status contract_gpu_kernels(const kernel_target *target, const plan *schedule, int32_t step, product_tile tile,
                                kernel_list *list);
/* Of a CONTRACT step. */
gpu_product contract_gpu_product(const plan_step *step);
clg_status array_kernels(const kernel_target *target, const plan *schedule, int32_t step, kernel_list *list);

/* What kernels share that are built together: math for the dtypes and widths they name, operations. */
void prelude_print(const char *const *sources, int count, text *out);

#endif
