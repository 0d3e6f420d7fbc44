/* What code generation makes of a step, as plain data: the text of kernels, what their arguments are, and how many
 * work-items run them; and what it must know of a device for that. It knows no OpenCL objects: the driver makes them.
 */
#ifndef CLG_OPENCL_KERNELS_H
#define CLG_OPENCL_KERNELS_H

#include "text.h"

#include "../../../core/array.h"
#include "../../../plan/plan.h"

typedef enum device_strategy { STRATEGY_CPU, STRATEGY_GPU } device_strategy;

/* The device that kernels are made for. */
typedef struct kernel_target {
    device_strategy strategy;
    int64_t compute_units; /* at least 1 */
    int64_t local_memory;  /* bytes */
    int vector_bytes;      /* of a register: 16, 32 or 64 */
    size_t group_limit;    /* work-items in a group */
    bool has_f64;
} kernel_target;

/* A step all of whose index arithmetic stays below this counts in int: 31 bits, with room to spare. A test build lowers
 * it (CMakeLists.txt), so that small arrays run what is made for large ones. */
#ifdef CLGRAD_INDEX32_LIMIT
#define INDEX32_LIMIT ((int64_t)CLGRAD_INDEX32_LIMIT)
#else
#define INDEX32_LIMIT ((int64_t)1 << 30)
#endif

#define SHARE_STEP 16 /* ints from a counter of shares to the next: a cache line */

/* Arguments that are no buffers of the plan. */
#define ARGUMENT_SCRATCH (-1)
#define ARGUMENT_SHARES (-2) /* the counters of the shares that work-groups draw (kernels/prelude.cl) */

/* Numbers are arguments of a kernel, and not in its text, where steps differ in them that could share it. kind: a
 * clg_dtype, of a constant of that; or what an index is for; or NUMBER_IDLE, of C type int: where it is not 0 the
 * kernel does nothing, so that a driver that compiles at the first launch has one at once. */
enum { NUMBER_OFFSET = CLG_DTYPE_COUNT, NUMBER_STRIDE, NUMBER_SIZE, NUMBER_IDLE };
typedef struct kernel_number {
    int kind;
    int64_t index; /* of the kernel's index type */
    double constant;
    int64_t of; /* what has it: otherwise steps whose numbers happen to be equal would get a kernel of their own */
} kernel_number;

#define MAX_NUMBERS 80 /* of a kernel: a device takes arguments of 1024 bytes at least */

typedef struct kernel_numbers {
    kernel_number items[MAX_NUMBERS];
    int count;
    bool wide; /* indices are of C type long, else int */
} kernel_numbers;

/* A kernel, and how it is launched. */
typedef struct kernel_launch {
    char *source;       /* in which the macro KERNEL is its name */
    int32_t *arguments; /* buffers of the plan, or ARGUMENT_* */
    int argument_count;
    kernel_number *numbers; /* the arguments after the buffers */
    int number_count;
    bool wide; /* see kernel_numbers */
    int dimensions;
    size_t global[3], local[3];
} kernel_launch;

/* The kernels of a step, in the order in which they run. */
typedef struct kernel_list {
    kernel_launch *items;
    int32_t count, capacity;
    int64_t scratch_bytes; /* the most that any of them needs */
} kernel_list;

/* Appends a kernel of one work-item. Its arguments are the leading ones, then those of a body, then numbers (NULL:
 * none); all are copied. Takes over the source's memory (also on failure). */
clg_status kernel_add(kernel_list *list, text *source, const int32_t *leading, int leading_count,
                      const int32_t *arguments, int argument_count, const kernel_numbers *numbers,
                      kernel_launch **added);
void kernel_free(kernel_launch *k);
/* Work-groups of a kernel on a CPU device that draw so many shares. */
int64_t kernel_groups(const kernel_target *target, int64_t shares);
/* Work-items of a group on a GPU where nothing speaks for fewer; 1 on a CPU device. */
int kernel_group(const kernel_target *target);

#endif
