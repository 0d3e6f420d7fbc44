/* The interface between the engine (src/host/run) and the backends. A backend sees plans, never graphs.
 * Every function that can fail returns a status and leaves a message with clg_fail (core/error.h). */
#ifndef CLG_BACKEND_H
#define CLG_BACKEND_H

#include "../plan/plan.h"

#include <clgrad/tune.h>

typedef struct backend_device backend_device; /* each backend completes these for itself */
typedef struct backend_buffer backend_buffer;
typedef struct backend_program backend_program;

/* When a step ran, in seconds from the first step's start; begin = end if it launched nothing. */
typedef struct backend_span {
    double begin, end;
    int32_t launches;
} backend_span;

/* What the scheduler must know of a device. */
typedef struct backend_traits {
    bool fuses_epilogue;    /* matmul steps run their body on the product while it is in registers or cache, and need
                               no product buffer */
    bool evaluates_all;     /* a section evaluates each instruction at all its positions, also where it is the same at
                               many (except what is the same at all of them) */
    bool window_columns;    /* products read vectors of an operand's windows where they lie, if they are its columns */
    bool dense_columns;     /* contractions read operands where they lie, the second one fast only if its columns are
                               neighbours */
    bool channels_last;     /* convolutions run fastest where channels are neighbours */
    int32_t max_body;       /* most instructions in a step that the device likes (CPU path: practically unlimited) */
    int32_t units;          /* independent workers worth having: reductions are split until there are that many. The
                               same for all devices of a kind, since results' bits depend on it */
    int32_t contract_block; /* results of a contraction that keep one of them busy */
    /* Of operands that contractions take (plan_operand). */
    plan_prologues prologues;
} backend_traits;

/* What clgrad/tune.h says, for a device of the backend. */
typedef struct backend_tuner {
    clg_status (*product)(backend_device *, const clg_tune_shape *, clg_tune_watch, void *context, clg_tune_result *);
    const char *(*clblast_kernel)(const backend_device *, int kernel);
    clg_status (*clblast)(backend_device *, clg_dtype, int kernel, double seconds, uint64_t seed, clg_tune_watch,
                          void *context, clg_tune_result *);
    const char *(*file)(const backend_device *);
    const char *(*file_state)(const backend_device *);
    int (*print)(const backend_device *, FILE *);
    clg_status (*reset)(backend_device *);
} backend_tuner;

typedef struct backend {
    const char *name; /* "cpu", "opencl" */
    void (*close)(backend_device *);
    clg_status (*sync)(backend_device *);
    void (*on_build)(backend_device *, clg_build_watch, void *context); /* NULL: it builds nothing */
    /* bytes >= 0; a buffer of 0 bytes is legal. Contents undefined. The error for too large an allocation names
     * both sizes. */
    clg_status (*allocate)(backend_device *, int64_t bytes, backend_buffer **);
    void (*free)(backend_device *, backend_buffer *);
    /* write copies data before it returns and is ordered after work already queued; read waits for it. */
    clg_status (*write)(backend_device *, backend_buffer *, int64_t offset, const void *data, int64_t bytes);
    clg_status (*read)(backend_device *, backend_buffer *, int64_t offset, void *data, int64_t bytes);
    /* Makes a plan runnable: kernels built, arguments set, arena allocated. bindings[i] serves the buffers whose
     * binding is i; the plan and the bindings outlive the program. */
    clg_status (*prepare)(backend_device *, const plan *, backend_buffer *const *bindings, backend_program **);
    /* Replaces the bindings of a prepared program (same sizes and dtypes). */
    clg_status (*bind)(backend_program *, backend_buffer *const *bindings);
    clg_status (*run)(backend_program *);
    /* Runs once, waits until that is done, and tells when each step of the plan ran. CLG_ERROR_UNSUPPORTED: the device
     * cannot tell, and nothing was run. */
    clg_status (*profile)(backend_program *, backend_span *spans);
    void (*release)(backend_program *);
    /* Kernel launches (or CPU equivalents) a run. */
    int32_t (*launches)(const backend_program *);
    /* Prints the generated source, if the backend generates any. */
    clg_status (*print)(const backend_program *, FILE *);
    const backend_tuner *tuner; /* NULL: nothing to tune */
} backend;

/* Opens: fills traits, info and returns the device. notice: NULL or a static or device-owned remark. */
clg_status backend_cpu_open(backend_device **, backend_traits *, clg_device_info *);
extern const backend backend_cpu;

#ifdef CLG_WITH_OPENCL
/* selector: "" best device, "N", or a substring. *found is false (with CLG_OK) if there is no OpenCL device at all
 * (or no loader); a selector that matches none is an error that lists what there is. */
clg_status backend_opencl_open(const char *selector, backend_device **, backend_traits *, clg_device_info *,
                               bool *found);
/* Appends the OpenCL devices to a malloc'ed array. */
clg_status backend_opencl_list(clg_device_info **infos, size_t *count);
/* One line for each driver that the OpenCL loader is told of and cannot load, with the reason; NULL: there is none. The
 * caller frees it. */
char *backend_opencl_problems(void);
extern const backend backend_opencl;
#endif
#endif
