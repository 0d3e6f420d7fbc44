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

/* How far the building of kernels is: each is built, then started. */
typedef struct build_state {
    double begin; /* seconds of a clock */
    int done, total;
    bool told; /* the device's watch was */
} build_state;

struct backend_program {
    backend_device *device;
    const plan *plan;
    launch_list launches;
    cl_mem *memory; /* of each buffer of the plan */
    bool *owned;    /* memory[i] is this program's to release */
    cl_mem arena;   /* parent of the sub-buffers; NULL if each range has memory of its own */
    cl_mem scratch;
    build_state building;
};

/* ---------------------------------------------------------------- launches.c */

/* Fills an empty list; choices: of each step, how it is computed if it is a product. The list is to be freed also on
 * failure. */
clg_status launches_make(backend_device *device, const plan *schedule, const product_choice *choices,
                         launch_list *list);
void launches_free(launch_list *list);
/* Sets the argument that is number n of a kernel's numbers. */
clg_status launch_set_number(const launch *l, int n, const kernel_number *number);
clg_status launch_enqueue(const backend_device *device, const launch *l, cl_event *event); /* a kernel's */

/* ---------------------------------------------------------------- build.c */

clg_status build_kernels(backend_program *program); /* of all launches */
clg_status build_start(backend_program *program);   /* once their arguments are set */
void build_end(const backend_program *program);     /* also if something failed: nobody waits any more */

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
