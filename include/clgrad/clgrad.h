/* clgrad: gradients by backpropagation on any OpenCL device, or on the plain CPU.
 *
 * This header is the manual of the core: devices, graphs, variables, operations, gradients, programs.
 * Layers and losses are in nn.h, optimizers in optim.h, data sets in data.h, files in io.h, tuning in tune.h.
 *
 * Errors. No function here prints, exits or aborts. A function that can fail returns a clg_status, or a
 * pointer that is NULL on failure. A bad operation returns a poisoned variable; operations on a poisoned
 * variable are poisoned too, and the first message stays with the graph (clg_graph_error). The message of
 * the last failure on the calling thread is clg_last_error().
 *
 * Threads. One graph, with its programs, belongs to one thread at a time. Different graphs may be used
 * from different threads if they were made on different devices (clg_device_open called twice). */
#ifndef CLGRAD_CLGRAD_H
#define CLGRAD_CLGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define CLG_API
#else
#define CLG_API __attribute__((visibility("default")))
#endif

/* ---------------------------------------------------------------- status and errors */

typedef enum clg_status {
    CLG_OK = 0,
    CLG_ERROR_ARGUMENT,      /* a bad value, shape, dtype or handle was passed */
    CLG_ERROR_MEMORY,        /* host memory ran out */
    CLG_ERROR_DEVICE,        /* no such device, or the device or its driver failed */
    CLG_ERROR_DEVICE_MEMORY, /* the device cannot hold what was asked for */
    CLG_ERROR_IO,            /* a file could not be opened, read or written */
    CLG_ERROR_FORMAT,        /* a file's content is not what its format says */
    CLG_ERROR_UNSUPPORTED    /* a legal request that this build or device cannot serve */
} clg_status;

/* A short name for a status: "ok", "invalid argument", ... Never NULL. */
CLG_API const char *clg_status_name(clg_status status);

/* The message of the last failed call on this thread; "" when none failed. Valid until the next failure
 * on this thread. */
CLG_API const char *clg_last_error(void);

/* "MAJOR.MINOR.PATCH" of the library. */
CLG_API const char *clg_version(void);

/* ---------------------------------------------------------------- devices */

typedef struct clg_device clg_device;

typedef struct clg_device_info {
    char spec[32];      /* what to pass to clg_device_open: "cpu", "opencl:0", ... */
    char name[256];     /* device name */
    char platform[256]; /* OpenCL platform name and version; "clgrad CPU path" for the CPU path */
    char driver[128];   /* driver version */
    char type[16];      /* "gpu", "cpu", "accelerator", "host" (the CPU path) */
    unsigned compute_units;
    uint64_t global_memory;  /* bytes */
    uint64_t max_allocation; /* bytes */
    bool has_f64;
    bool is_auto; /* the one that "auto" takes */
} clg_device_info;

/* Opens a device. spec: NULL or "" (the environment variable CLGRAD_DEVICE, else "auto"), "auto" (the
 * first GPU of any OpenCL platform, else its other OpenCL devices, else the CPU path), "cpu" (the CPU
 * path), "opencl" (the best OpenCL device), "opencl:N" (the N-th as `clgrad devices` lists them), or
 * "opencl:SUBSTRING" (first whose platform or device name contains it, ignoring case). */
CLG_API clg_status clg_device_open(const char *spec, clg_device **device);

/* Waits for pending work and releases everything. Graphs on the device must have been freed. NULL is allowed. */
CLG_API void clg_device_close(clg_device *device);

/* Facts about an open device. Valid while the device is open. */
CLG_API const clg_device_info *clg_device_get_info(const clg_device *device);

/* A remark that the user should see once, such as "no OpenCL device found: running on the CPU path";
 * NULL when there is none. Valid while the device is open. */
CLG_API const char *clg_device_notice(const clg_device *device);

/* All devices, the CPU path last. The array is freed with free(). */
CLG_API clg_status clg_device_list(clg_device_info **infos, size_t *count);

/* Why a device may be missing: one line for each OpenCL driver that is registered on this machine and cannot be loaded,
 * "/etc/OpenCL/vendors/x.icd: libx.so: cannot open shared object file: ...". NULL: there is none. Freed with free(). */
CLG_API char *clg_driver_problems(void);

/* Waits until all work queued on the device has finished. */
CLG_API clg_status clg_device_sync(clg_device *device);

/* ---------------------------------------------------------------- dtypes and shapes */

typedef enum clg_dtype { CLG_F32 = 0, CLG_F64, CLG_I32, CLG_U8, CLG_DTYPE_COUNT } clg_dtype;

CLG_API size_t clg_dtype_size(clg_dtype dtype);      /* bytes an element */
CLG_API const char *clg_dtype_name(clg_dtype dtype); /* "f32", "f64", "i32", "u8" */

#define CLG_MAX_RANK 8

/* The extents of an array, outermost first (row-major). Rank 0 is a scalar. An extent may be 0. */
typedef struct clg_shape {
    int rank;
    int64_t dim[CLG_MAX_RANK];
} clg_shape;

/* CLG_SHAPE(2, 3) is the shape (2, 3); CLG_SCALAR is the shape (). */
#define CLG_SHAPE(...) ((clg_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define CLG_SCALAR ((clg_shape){0, {0}})

/* Number of elements: the product of the extents. */
CLG_API int64_t clg_shape_count(clg_shape shape);
CLG_API bool clg_shape_equal(clg_shape a, clg_shape b);
/* Writes "(2, 3)" into text (always terminated) and returns text. */
CLG_API char *clg_shape_format(clg_shape shape, char *text, size_t size);

/* A set of axes to reduce over; negative axes count from the end. CLG_AXES(0, -1); CLG_ALL_AXES. */
typedef struct clg_axes {
    int count; /* -1: all axes */
    int axis[CLG_MAX_RANK];
} clg_axes;

#define CLG_AXES(...) ((clg_axes){(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}})
#define CLG_ALL_AXES ((clg_axes){-1, {0}})

/* ---------------------------------------------------------------- graphs and variables */

typedef struct clg_graph clg_graph;

/* A variable: a node of a graph. A small value that nobody frees; the graph owns everything. */
typedef struct clg_var {
    clg_graph *graph;
    int32_t id; /* -1: poisoned */
} clg_var;

/* In place of an optional operand: there is none. Not a poisoned variable, nor a clg_var of zeros. */
#define CLG_NONE ((clg_var){NULL, -2})

/* A new graph bound to a device, which must stay open while the graph lives. NULL when memory runs out. */
CLG_API clg_graph *clg_graph_new(clg_device *device);
/* Frees the graph, its variables' memory and what clg_read cached. Its programs must have been freed. */
CLG_API void clg_graph_free(clg_graph *graph);
CLG_API clg_device *clg_graph_device(const clg_graph *graph);

/* The first error of the graph, naming the operation, the shapes and what would be right; NULL if none. */
CLG_API const char *clg_graph_error(const clg_graph *graph);
CLG_API void clg_graph_clear_error(clg_graph *graph);

/* mark returns a position in the graph; rewind releases every node made since then (variables made since
 * are invalid afterwards), so that a define-by-run loop does not grow. Gradients that were accumulated
 * from released nodes are cleared. */
CLG_API int32_t clg_graph_mark(const clg_graph *graph);
CLG_API clg_status clg_graph_rewind(clg_graph *graph, int32_t mark);
/* Number of nodes in the graph. */
CLG_API int32_t clg_graph_size(const clg_graph *graph);
/* Prints the graph, one node a line: id, op, dtype, shape, operands. */
CLG_API clg_status clg_graph_print(const clg_graph *graph, FILE *out);

CLG_API bool clg_is_valid(clg_var x);
CLG_API clg_shape clg_shape_of(clg_var x); /* rank 0 for a poisoned variable */
CLG_API clg_dtype clg_dtype_of(clg_var x); /* CLG_F32 for a poisoned variable */
/* The operation that created the variable ("multiply", "input", ...); "poisoned" if it is. */
CLG_API const char *clg_creator(clg_var x);
/* The variable's n-th operand: the variables that its creator read. Poisoned if there is no such operand. */
CLG_API clg_var clg_operand(clg_var x, int n);

/* Leaves. An input's values are undefined until clg_write. data: shape's element count of dtype, copied. */
CLG_API clg_var clg_input(clg_graph *graph, clg_dtype dtype, clg_shape shape);
CLG_API clg_var clg_array(clg_graph *graph, clg_dtype dtype, clg_shape shape, const void *data);
CLG_API clg_var clg_scalar(clg_graph *graph, double value); /* f32 leaf of shape () */
/* Constants: cannot be written; folded into what uses them. */
CLG_API clg_var clg_full(clg_graph *graph, clg_dtype dtype, clg_shape shape, double value);
CLG_API clg_var clg_arange(clg_graph *graph, clg_dtype dtype, int64_t count); /* 0, 1, ..., count-1 */

/* Replaces a leaf's values. bytes must be its size. The data are copied before the call returns. */
CLG_API clg_status clg_write(clg_var leaf, const void *data, size_t bytes);
/* Reads a variable's values, row-major. Computes what has not been computed. bytes must be its size. */
CLG_API clg_status clg_read(clg_var x, void *data, size_t bytes);
/* The value of a one-element variable of any dtype; NaN on error (see clg_last_error). */
CLG_API double clg_item(clg_var x);

/* ---------------------------------------------------------------- operations
 *
 * Operands broadcast as in NumPy. Operands of different dtypes are cast to the larger of u8 < i32 < f32 <
 * f64; functions of a real variable (exp, divide, mean, ...) cast integers to f32. */

CLG_API clg_var clg_neg(clg_var x);
CLG_API clg_var clg_add(clg_var a, clg_var b);
CLG_API clg_var clg_sub(clg_var a, clg_var b);
CLG_API clg_var clg_mul(clg_var a, clg_var b);
CLG_API clg_var clg_div(clg_var a, clg_var b); /* true division: integers are cast to f32 */
CLG_API clg_var clg_pow(clg_var a, clg_var b);
CLG_API clg_var clg_square(clg_var x);
CLG_API clg_var clg_sqrt(clg_var x);
CLG_API clg_var clg_exp(clg_var x);
CLG_API clg_var clg_log(clg_var x);
CLG_API clg_var clg_sin(clg_var x);
CLG_API clg_var clg_cos(clg_var x);
CLG_API clg_var clg_tanh(clg_var x);
CLG_API clg_var clg_erf(clg_var x);
CLG_API clg_var clg_gelu(clg_var x);    /* x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016); -0 at -infinity */
CLG_API clg_var clg_relu(clg_var x);    /* derivative at 0 is 0; passes NaN through */
CLG_API clg_var clg_sigmoid(clg_var x); /* 1/(1+exp(-x)); gradient y(1-y) */
CLG_API clg_var clg_abs(clg_var x);
CLG_API clg_var clg_sign(clg_var x);               /* -1, 0 or 1; NaN for NaN; gradient 0 */
CLG_API clg_var clg_maximum(clg_var a, clg_var b); /* NaN if either is; where equal, each gets half the gradient */
CLG_API clg_var clg_minimum(clg_var a, clg_var b);
/* Comparisons give u8: 1 where true, 0 where false. They have no gradient. */
CLG_API clg_var clg_less(clg_var a, clg_var b);
CLG_API clg_var clg_less_equal(clg_var a, clg_var b);
CLG_API clg_var clg_greater(clg_var a, clg_var b);
CLG_API clg_var clg_greater_equal(clg_var a, clg_var b);
CLG_API clg_var clg_equal(clg_var a, clg_var b);
CLG_API clg_var clg_not_equal(clg_var a, clg_var b);
/* a where condition is nonzero, else b. condition: u8 (other dtypes are compared with 0). */
CLG_API clg_var clg_where(clg_var condition, clg_var a, clg_var b);
/* Floats to integers truncate toward zero and saturate; NaN becomes 0. i32 to u8 keeps the low 8 bits. */
CLG_API clg_var clg_cast(clg_var x, clg_dtype dtype);

/* Reductions. keepdims keeps the reduced axes with extent 1. Sum and max of nothing: 0 and -infinity
 * (for integers the smallest value). */
CLG_API clg_var clg_sum(clg_var x, clg_axes axes, bool keepdims);
CLG_API clg_var clg_mean(clg_var x, clg_axes axes, bool keepdims);
CLG_API clg_var clg_max(clg_var x, clg_axes axes, bool keepdims); /* equal maxima share the gradient evenly */
CLG_API clg_var clg_argmax(clg_var x, int axis); /* i32 index of the first maximum along axis; axis is dropped */

/* Views cost nothing by themselves: they are folded into the loads of what uses them. */
CLG_API clg_var clg_reshape(clg_var x, clg_shape shape); /* one extent may be -1: inferred */
CLG_API clg_var clg_permute(clg_var x, clg_axes order);  /* result axis i is x's axis order[i] */
CLG_API clg_var clg_transpose(clg_var x);                /* swaps the last two axes (rank >= 2) */
CLG_API clg_var clg_broadcast_to(clg_var x, clg_shape shape);
/* x[start:stop:step] along one axis, with Python's rules: negative start and stop count from the end,
 * both are clipped; step is not 0. Use INT64_MAX / INT64_MIN for "to the end" / "from the start" as needed. */
CLG_API clg_var clg_slice(clg_var x, int axis, int64_t start, int64_t stop, int64_t step);

/* Matrix product over the last two axes, (..., m, k) x (..., k, n) = (..., m, n); leading axes broadcast.
 * f32 or f64. */
CLG_API clg_var clg_matmul(clg_var a, clg_var b);

/* Rows of table (r, ...) chosen by integer indices of any shape: indices.shape + table.shape[1:].
 * An index outside 0..r-1 gives NaN (0 for integer tables); clg_write refuses it when indices is an input. */
CLG_API clg_var clg_gather(clg_var table, clg_var indices);
/* The adjoint of gather: zeros of shape (rows, updates.shape after indices' axes), to which each row of
 * updates is added at its index. Deterministic. Indices outside 0..rows-1 add nothing. */
CLG_API clg_var clg_scatter_add(clg_var indices, clg_var updates, int64_t rows);

/* Composites over one axis, numerically safe. */
CLG_API clg_var clg_softmax(clg_var x, int axis);
CLG_API clg_var clg_log_softmax(clg_var x, int axis);
/* Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, eq. 3 and 4; ONNX LayerNormalization-17 with
 * axis -1): with the mean and the variance (over n, not n - 1) of each row,
 *     (x - mean) * (1 / sqrt(variance + epsilon)) * gain + bias
 * x (..., n) of rank 1 or more; gain (n) and bias (n), or CLG_NONE for none of them. epsilon: positive, usually 1e-5.
 * The result has x's shape; dtypes mix as in clg_mul and clg_add, and an integer x is cast to f32. */
CLG_API clg_var clg_layer_norm(clg_var x, clg_var gain, clg_var bias, double epsilon);
/* Mean over rows of -log softmax(logits)[label]. logits (n, classes), labels (n) integer. A label outside
 * 0..classes-1 makes the loss NaN; clg_write refuses it when labels is an input. */
CLG_API clg_var clg_softmax_cross_entropy(clg_var logits, clg_var labels);
CLG_API clg_var clg_mean_squared_error(clg_var prediction, clg_var target);

/* The same values; no gradient flows through. */
CLG_API clg_var clg_stop_gradient(clg_var x);

/* When a program containing this variable runs, leaf takes the values of value (same dtype and shape) at the
 * end of the run; all other reads in that program see the values from before. */
CLG_API clg_var clg_assign(clg_var leaf, clg_var value);
/* The values of x; a program that contains the result carries out effect (a clg_assign) too. Ties updates to an
 * output such as the loss. */
CLG_API clg_var clg_after(clg_var x, clg_var effect);

/* ---------------------------------------------------------------- gradients */

/* gxs[i] = d sum(y) / d xs[i], as variables of the same graph, which can be differentiated again. xs may be
 * any variables. A variable that y does not depend on gets zeros. On error all gxs are poisoned. */
CLG_API clg_status clg_gradients(clg_var y, const clg_var *xs, int count, clg_var *gxs);

/* Adds d sum(y)/dx to the gradient of every floating-point leaf x that y depends on. Gradients accumulate over
 * calls until cleared. Several calls on one graph are legal. */
CLG_API clg_status clg_backward(clg_var y);
/* The accumulated gradient of a leaf; poisoned if there is none. */
CLG_API clg_var clg_grad(clg_var leaf);
CLG_API void clg_cleargrad(clg_var leaf);
CLG_API void clg_cleargrads(clg_graph *graph);

/* ---------------------------------------------------------------- programs */

typedef struct clg_program clg_program;

/* Compiles what the outputs need into a program that clg_run replays without allocating. The outputs can
 * be read after a run (clg_read, clg_item). NULL on error. Free it before its graph. */
CLG_API clg_program *clg_compile(clg_graph *graph, const clg_var *outputs, int count);
CLG_API void clg_program_free(clg_program *program);
/* Runs the program once. May return before the device has finished; reads wait. */
CLG_API clg_status clg_run(clg_program *program);

typedef struct clg_program_info {
    int32_t nodes;             /* graph nodes in the program */
    int32_t steps;             /* scheduled steps */
    int32_t launches;          /* kernel launches (or their CPU equivalent) a run */
    int32_t matmuls;           /* matrix products among the steps */
    int64_t arena_bytes;       /* planned memory for intermediate values */
    int64_t arena_lower_bound; /* the most bytes alive at one step: no plan can use less */
    int64_t parameter_bytes;   /* leaves that the program reads or writes */
    int64_t output_bytes;
    int64_t flops; /* floating-point operations of the matrix products a run */
    int64_t bytes; /* bytes loaded and stored a run: each input of a step once, each output once */
} clg_program_info;

CLG_API clg_program_info clg_program_get_info(const clg_program *program);

enum { CLG_PRINT_SCHEDULE = 1, CLG_PRINT_MEMORY = 2, CLG_PRINT_KERNELS = 4 };
/* Prints stages of the compiled program: any sum of CLG_PRINT_*. The environment variable
 * CLGRAD_DEBUG=graph,schedule,memory,kernels has every program printed on stderr when it is compiled. */
CLG_API clg_status clg_program_print(const clg_program *program, FILE *out, int what);

/* Profiles. A program is run, step by step on the device's clock where it has one. With the environment variable
 * CLGRAD_PROFILE=FILE that happens to each program of a process by itself: runs 2 to 21 are profiled, and when the
 * program is freed its part is added to FILE (a trace) and FILE.txt (a table). Results are the same, bit for bit. */
typedef struct clg_step_profile {
    const char *kind; /* "loop", "matmul" or "scatter_add" */
    char name[64];    /* its operations, the last ones if there are many, and the shape of what it computes last */
    int32_t launches;
    double begin, end; /* seconds from the start of the run's first step */
    int64_t flops;     /* of the matrix product */
    int64_t bytes;     /* loaded and stored: each input once, each output once */
} clg_step_profile;

/* Runs the program once, as clg_run does, and waits. Fills the first count steps; *filled (NULL is allowed): how many
 * that were, at most clg_program_info.steps. */
CLG_API clg_status clg_program_profile(clg_program *program, clg_step_profile *steps, int count, int *filled);

/* Both take the profiles of several runs of one program: steps[run * count + step].
 *
 * Prints a table, the longest steps (by the median of the runs) first. flop_rate and byte_rate are the most that the
 * machine can do in a second, in matrix products and in bytes moved; the column "of peak" is the larger fraction of
 * the two. 0: not known. */
CLG_API clg_status clg_profile_print(const clg_step_profile *steps, int count, int runs, double flop_rate,
                                     double byte_rate, FILE *out);
/* Writes a trace that Perfetto and chrome://tracing open, one run after the other; the whole file or none. */
CLG_API clg_status clg_profile_save(const clg_step_profile *steps, int count, int runs, const char *path);

/* The names, documentation and properties of the operations, as the table src/host/core/ops.def has them. */
typedef struct clg_op_info {
    const char *name;
    const char *kind;     /* "map", "reduce", "view", ... */
    const char *formula;  /* in the table's notation */
    const char *gradient; /* "" where there is none */
    int arity;
    double lo, hi;        /* elementwise operations and reductions: operands at which they are well-conditioned */
    const char *operands; /* of those, a letter each: r real, c condition (u8) */
} clg_op_info;
CLG_API int clg_op_count(void);
CLG_API clg_op_info clg_op_get_info(int op);
/* The elementwise operation (kind "map"; but cast) or the reduction with a number, over as many operands as its arity;
 * axes: a reduction's, which vanish from the shape. For bindings and tools: C programs have clg_add and the others. */
CLG_API clg_var clg_apply(int op, const clg_var *operands, clg_axes axes);

#ifdef __cplusplus
}
#endif
#endif
