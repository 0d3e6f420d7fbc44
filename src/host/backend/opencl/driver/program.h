/* Programs: the launches of a plan's steps, their memory, their runs. */
#ifndef CLG_OPENCL_PROGRAM_H
#define CLG_OPENCL_PROGRAM_H

#include "driver.h"

typedef enum launch_kind { LAUNCH_KERNEL, LAUNCH_CLBLAST } launch_kind;

/* One thing that a run enqueues. */
typedef struct launch {
    launch_kind kind;
    int32_t step;
    /* LAUNCH_KERNEL: */
    kernel_launch made;    /* its source until it is built */
    program_kernel *built; /* then the same in the device's table */
    program_entry *entry;
    cl_kernel kernel;
} launch;

typedef struct launch_list {
    launch *items;
    int32_t count, capacity;
    int64_t scratch_bytes; /* the most that any launch needs */
} launch_list;

struct backend_program {
    backend_device *device;
    const plan *plan;
    launch_list launches;
    cl_mem *memory; /* of each buffer of the plan */
    bool *owned;    /* memory[i] is this program's to release */
    cl_mem arena;   /* parent of the sub-buffers; NULL if each range has memory of its own */
    cl_mem scratch;
};

/* ---------------------------------------------------------------- launches.c */

/* Fills an empty list; choices: of each step, how it is computed if it is a product. The list is to be freed also on
 * failure. */
clg_status launches_make(backend_device *device, const plan *schedule, const product_choice *choices,
                         launch_list *list);
void launches_free(launch_list *list);

/* ---------------------------------------------------------------- program.c */

clg_status program_prepare(backend_device *device, const plan *schedule, const product_choice *choices,
                           backend_buffer *const *bindings, backend_program **prepared);
/* As backend.h has them. */
clg_status program_bind(backend_program *program, backend_buffer *const *bindings);
clg_status program_run(backend_program *program);
void program_release(backend_program *program);
int32_t program_launches(const backend_program *program);
clg_status program_print(const backend_program *program, FILE *out);
/* Enqueues one launch. event: NULL, or what gets a kernel's event (a library's launch leaves it alone). */
clg_status program_enqueue(const backend_program *program, const launch *l, cl_event *event);

/* ---------------------------------------------------------------- profile.c */

clg_status program_profile(backend_program *program, backend_span *spans);

#endif
