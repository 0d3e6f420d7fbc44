/* clgrad: gradients by backpropagation on any OpenCL device, or on the plain CPU.
 *
 * This header is the manual of the core: devices, graphs, variables, operations, gradients, programs.
 * Types of elements and their promotion are in dtypes.h, layers and losses in nn.h, optimizers in optim.h, data sets in
 * data.h, files in io.h, tuning in tune.h.
 *
 * Errors. No function here prints, exits or aborts. A function that can fail returns a clg_status, or a
 * pointer that is NULL on failure. A bad operation returns a poisoned variable; operations on a poisoned
 * variable are poisoned too, and the first message stays with the graph (clg_graph_error). The message of
 * the last failure on the calling thread is clg_last_error().
 *
 * Threads. One graph, with its programs, belongs to one thread at a time. Different graphs may be used
 * from different threads if they were made on different devices (clg_device_open called twice).
 *
 * Processes. After fork, a child cannot use the devices that its parent opened: calls on them fail
 * (CLG_ERROR_DEVICE), and freeing what is on them is allowed. It may open the CPU path for itself; an OpenCL
 * device only if its parent had not used OpenCL before (clg_device_list uses it, too). */
#ifndef CLGRAD_CLGRAD_H
#define CLGRAD_CLGRAD_H

#include <clgrad/dtypes.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
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

/* Kernels are built while a program is compiled (or a value is read for the first time). Where that takes more than a
 * second, the callback is told how far it is, whenever some of it is done: done of total, at the end total of total. It
 * is called by the thread that compiles, and must not call the library. NULL: nobody is told. The CPU path builds
 * nothing. */
typedef void (*clg_build_watch)(void *context, int done, int total);
CLG_API void clg_device_on_build(clg_device *device, clg_build_watch watch, void *context);

/* Waits until all work queued on the device has finished. */
CLG_API clg_status clg_device_sync(clg_device *device);

/* ---------------------------------------------------------------- shapes */

#define CLG_MAX_RANK 8
#define CLG_MAX_DIMS 12 /* room in a shape: gradients of windows have more axes than a user's array may have */

/* The extents of an array, outermost first (row-major). Rank 0 is a scalar. An extent may be 0. */
typedef struct clg_shape {
    int rank;
    int64_t dim[CLG_MAX_DIMS];
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
/* What a function made of others does with bad input: keeps a message, formatted as by printf, as the graph's first
 * error and as clg_last_error, and returns a poisoned variable. graph: NULL if there is none. */
CLG_API clg_var clg_refuse(clg_graph *graph, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
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
/* An array that never changes: it cannot be written or assigned, and clg_backward gives it no gradient. What depends on
 * constants alone is computed once, when a program that needs it is compiled. */
CLG_API clg_var clg_constant(clg_graph *graph, clg_dtype dtype, clg_shape shape, const void *data);
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
 * Operands broadcast as in NumPy; those of different dtypes are cast to one (dtypes.h). */

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
CLG_API clg_var clg_exp2(clg_var x);
CLG_API clg_var clg_expm1(clg_var x); /* exp(x) - 1, near 0, too */
CLG_API clg_var clg_log2(clg_var x);
CLG_API clg_var clg_log10(clg_var x);
CLG_API clg_var clg_log1p(clg_var x);            /* log(1 + x), near 0, too */
CLG_API clg_var clg_cbrt(clg_var x);             /* of negative numbers, too */
CLG_API clg_var clg_hypot(clg_var a, clg_var b); /* sqrt(a a + b b) without overflow; gradient 0 where both are 0 */
CLG_API clg_var clg_sin(clg_var x);
CLG_API clg_var clg_cos(clg_var x);
CLG_API clg_var clg_tan(clg_var x);
CLG_API clg_var clg_asin(clg_var x);
CLG_API clg_var clg_acos(clg_var x);
CLG_API clg_var clg_atan(clg_var x);
CLG_API clg_var clg_atan2(clg_var a, clg_var b); /* the angle of the point (b, a), as C's atan2(a, b) */
CLG_API clg_var clg_sinh(clg_var x);
CLG_API clg_var clg_cosh(clg_var x);
CLG_API clg_var clg_tanh(clg_var x);
CLG_API clg_var clg_asinh(clg_var x);
CLG_API clg_var clg_acosh(clg_var x);
CLG_API clg_var clg_atanh(clg_var x);
CLG_API clg_var clg_erf(clg_var x);
CLG_API clg_var clg_erfc(clg_var x);   /* 1 - erf(x), to all digits where that is small */
CLG_API clg_var clg_erfinv(clg_var x); /* the inverse of erf; infinite at -1 and 1, NaN beyond */
CLG_API clg_var clg_lgamma(clg_var x); /* log |gamma(x)|; infinity at 0, -1, -2, ... */
/* The derivative of lgamma: -infinity at 0 (infinity at -0), NaN at -1, -2, ... */
CLG_API clg_var clg_digamma(clg_var x);
/* Its n-th derivative, n rounded: NaN where that is below 0, and for x < 0 where it is above 7. No gradient flows to n.
 */
CLG_API clg_var clg_polygamma(clg_var n, clg_var x);
CLG_API clg_var clg_gelu(clg_var x);     /* x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016); -0 at -infinity */
CLG_API clg_var clg_relu(clg_var x);     /* derivative at 0 is 0; passes NaN through */
CLG_API clg_var clg_sigmoid(clg_var x);  /* 1/(1+exp(-x)); gradient y(1-y) */
CLG_API clg_var clg_softplus(clg_var x); /* log(1 + exp(x)) without overflow; gradient sigmoid(x) */
CLG_API clg_var clg_abs(clg_var x);
CLG_API clg_var clg_sign(clg_var x); /* -1, 0 or 1; NaN for NaN; gradient 0 */
/* To integers, of the same dtype; gradient 0. */
CLG_API clg_var clg_floor(clg_var x);
CLG_API clg_var clg_ceil(clg_var x);
CLG_API clg_var clg_round(clg_var x); /* of two that are as near, the even one */
CLG_API clg_var clg_trunc(clg_var x);
/* What division by b leaves of a: with the sign of a (C, ONNX Mod with fmod = 1), with that of b (Python, PyTorch's
 * remainder). Integers by 0: 0. Gradients: 1 for a, minus the whole quotient for b. */
CLG_API clg_var clg_fmod(clg_var a, clg_var b);
CLG_API clg_var clg_remainder(clg_var a, clg_var b);
CLG_API clg_var clg_copysign(clg_var a, clg_var b); /* |a| with the sign of b, of zeros, too; gradient for a, 0 at 0 */
/* NaN if either is; where equal, each gets half the gradient, where one is NaN both all of it. */
CLG_API clg_var clg_maximum(clg_var a, clg_var b);
CLG_API clg_var clg_minimum(clg_var a, clg_var b);
/* Of the bits of integers, two's complement, and of bool. No gradient. */
CLG_API clg_var clg_bit_and(clg_var a, clg_var b);
CLG_API clg_var clg_bit_or(clg_var a, clg_var b);
CLG_API clg_var clg_bit_xor(clg_var a, clg_var b);
CLG_API clg_var clg_shift_left(clg_var a, clg_var b);  /* 0 for b outside 0..31, of i64 0..63 */
CLG_API clg_var clg_shift_right(clg_var a, clg_var b); /* with the sign: there 0 or -1 */
/* 32 bits that look random, the same on every device: the first word of Threefry 2x32-20 (Salmon et al. 2011) for the
 * counter (a, 0) and the key (b, c). clg_draw_uniform and others (random.h) make numbers of it. */
CLG_API clg_var clg_random_bits(clg_var a, clg_var b, clg_var c);
/* Comparisons give bool. They have no gradient. */
CLG_API clg_var clg_less(clg_var a, clg_var b);
CLG_API clg_var clg_less_equal(clg_var a, clg_var b);
CLG_API clg_var clg_greater(clg_var a, clg_var b);
CLG_API clg_var clg_greater_equal(clg_var a, clg_var b);
CLG_API clg_var clg_equal(clg_var a, clg_var b);
CLG_API clg_var clg_not_equal(clg_var a, clg_var b);
/* a where condition is true, or not 0, else b. */
CLG_API clg_var clg_where(clg_var condition, clg_var a, clg_var b);
/* Reals to integers truncate toward zero and saturate; NaN becomes 0. Integers keep their low bits. To bool: not 0. */
CLG_API clg_var clg_cast(clg_var x, clg_dtype dtype);

/* Reductions, in x's dtype, but sums of integers and bool are i64. keepdims keeps the reduced axes with extent 1. Sum,
 * max and min of nothing: 0, -infinity and infinity (for integers the smallest and the largest value). */
CLG_API clg_var clg_sum(clg_var x, clg_axes axes, bool keepdims);
CLG_API clg_var clg_mean(clg_var x, clg_axes axes, bool keepdims);
CLG_API clg_var clg_max(clg_var x, clg_axes axes, bool keepdims); /* equal maxima share the gradient evenly */
CLG_API clg_var clg_min(clg_var x, clg_axes axes, bool keepdims); /* so do equal minima */
/* i32 index of the first maximum along axis, which has at most 2147483647 elements; axis is dropped */
CLG_API clg_var clg_argmax(clg_var x, int axis);

/* Views cost nothing by themselves: they are folded into the loads of what uses them. */
CLG_API clg_var clg_reshape(clg_var x, clg_shape shape); /* one extent may be -1: inferred */
CLG_API clg_var clg_permute(clg_var x, clg_axes order);  /* result axis i is x's axis order[i] */
CLG_API clg_var clg_transpose(clg_var x);                /* swaps the last two axes (rank >= 2) */
CLG_API clg_var clg_broadcast_to(clg_var x, clg_shape shape);
/* x[start:stop:step] along one axis, with Python's rules: negative start and stop count from the end,
 * both are clipped; step is not 0. Use INT64_MAX / INT64_MIN for "to the end" / "from the start" as needed. */
CLG_API clg_var clg_slice(clg_var x, int axis, int64_t start, int64_t stop, int64_t step);

/* The element at index (negative: from the end) along an axis, which is dropped: NumPy's x.take(index, axis). */
CLG_API clg_var clg_index(clg_var x, int axis, int64_t index);
CLG_API clg_var clg_flip(clg_var x, clg_axes axes); /* the order of elements along these axes reversed */
CLG_API clg_var clg_swap_axes(clg_var x, int a, int b);
CLG_API clg_var clg_squeeze(clg_var x, clg_axes axes); /* drops axes, of extent 1; CLG_ALL_AXES: all of that extent */
CLG_API clg_var clg_expand_dims(clg_var x, clg_axes axes); /* new axes of extent 1, where the result has them */
/* Sliding windows along some axes, as new trailing axes, one for each in the order of axes: for x (n, c, h, w),
 * clg_window(x, CLG_AXES(2, 3), CLG_SHAPE(3, 3), CLG_SHAPE(2, 2), CLG_SCALAR) is (n, c, oh, ow, 3, 3) with element
 * (n, c, i, j, p, q) = x(n, c, 2 i + p, 2 j + q) and oh = (h - 3) / 2 + 1, rounded down. size, stride and dilation have
 * an extent for each of axes, or rank 0 for ones: element k of a window is dilation k from its first one. The windows
 * lie within x: clg_pad comes before. */
CLG_API clg_var clg_window(clg_var x, clg_axes axes, clg_shape size, clg_shape stride, clg_shape dilation);

/* How clg_pad fills: with a value; with the nearest element; mirrored at the edge, which is not repeated; periodically
 * (NumPy's modes of these names). */
typedef enum clg_pad_mode { CLG_PAD_CONSTANT, CLG_PAD_EDGE, CLG_PAD_REFLECT, CLG_PAD_WRAP } clg_pad_mode;

/* x with so many elements more before and behind on each axis; before and after have an extent for each axis, or rank 0
 * for none. value: of CLG_PAD_CONSTANT, rounded to x's dtype; it has no gradient. Negative widths are errors; REFLECT
 * widths are below the extent, WRAP and EDGE widths need an axis that is not empty. */
CLG_API clg_var clg_pad(clg_var x, clg_shape before, clg_shape after, clg_pad_mode mode, double value);
/* Parts joined along an axis; their other extents are equal, their dtypes mix as in clg_add. count >= 1. */
CLG_API clg_var clg_concat(const clg_var *parts, int count, int axis);
/* Parts of one shape joined along a new axis of extent count, the result's axis number axis. */
CLG_API clg_var clg_stack(const clg_var *parts, int count, int axis);
/* Cuts an axis into count parts of these sizes, which add up to its extent. parts: count variables, poisoned if it
 * fails. */
CLG_API clg_status clg_split(clg_var x, int axis, const int64_t *sizes, int count, clg_var *parts);
/* x repeated as a whole so many times along each axis: repeats has an extent for each axis. NumPy's tile. */
CLG_API clg_var clg_tile(clg_var x, clg_shape repeats);
CLG_API clg_var clg_repeat(clg_var x, int axis, int64_t count); /* each element count times in a row along an axis */

/* Matrix product over the last two axes, (..., m, k) x (..., k, n) = (..., m, n); leading axes broadcast. A vector
 * (k) on the left is a row, on the right a column, and its axis is not in the result. f32 or f64. */
CLG_API clg_var clg_matmul(clg_var a, clg_var b);

/* Einstein summation, "bthd,bshd->bhts": each operand's axes as letters; axes with one letter have one extent (or 1:
 * broadcast); the result's axes follow "->", and what it lacks is summed. Without "->" the result's axes are the
 * letters that occur once, in alphabetical order. A letter twice in one operand takes its diagonal. "..." stands for
 * leading axes that broadcast. As NumPy's einsum. Operands are f32 or f64; more than two are contracted from the left.
 */
CLG_API clg_var clg_einsum(const char *equation, const clg_var *operands, int count);

/* Convolution (cross-correlation, as in PyTorch and ONNX) over one to three axes:
 *     y(n, k, o) = sum over c, i of x(n, c, stride o + dilation i - before) w(k, c, i)    with x = 0 outside
 * Extents of stride, dilation, before and after are those of the spatial axes; rank 0: ones, ones, zeros, zeros.
 * same: before and after are such that the result has ceil(extent / stride) elements, an odd one behind (ONNX's
 * SAME_UPPER); before and after have rank 0 then. groups (0: 1): channels of x and y are cut into so many groups, each
 * convolved by itself; w has C / groups input channels. layout: the axes of x, w and y; N batch, C channels, O and I
 * the output and input channels of w, any other letters spatial ones. NULL: "NCW,OIW->NCW", "NCHW,OIHW->NCHW" or
 * "NCDHW,OIDHW->NCDHW" by the rank of x. */
typedef struct clg_conv_options {
    clg_shape stride, dilation, before, after;
    bool same;
    int64_t groups;
    const char *layout;
    clg_shape output_padding; /* of clg_conv_transpose */
} clg_conv_options;

CLG_API clg_var clg_conv(clg_var x, clg_var weights, clg_conv_options options);
/* The gradient of clg_conv with respect to its x, as an operation: x has the shape of the convolution's result, and the
 * result that of its operand, (in - 1) stride - before - after + dilation (size - 1) + 1 + output_padding. Weights have
 * the channels of x as O and the result's, divided by groups, as I (PyTorch's conv_transpose, ONNX's ConvTranspose).
 * same: in stride + output_padding instead. */
CLG_API clg_var clg_conv_transpose(clg_var x, clg_var weights, clg_conv_options options);

/* Pooling over the one to three spatial axes of x: for each position o of the result, over the elements x(n, c, stride
 * o + dilation i - before), 0 <= i < size. Extents of size and the others are those of the spatial axes, in the order
 * in which x has them; rank 0: stride as size, dilation of ones, no padding. same: as in clg_conv_options, with before
 * and after of rank 0. Where a window reaches beyond the padded x there is no result: extents are (n + before + after -
 * dilation (size - 1) - 1) / stride + 1, rounded down.
 * layout: a capital letter for each axis of x: N batch, C channels, any other letters spatial ones. NULL: "NCW", "NCHW"
 * or "NCDHW" by the rank of x. The result's axes are those of x. */
typedef struct clg_pool_options {
    clg_shape size, stride, dilation, before, after;
    bool same;
    bool count_padding; /* clg_avg_pool: padding counts as elements, of 0 */
    const char *layout;
} clg_pool_options;

/* The largest; padding is smaller than everything: -infinity (for integers the smallest value). It is clg_max over
 * clg_window of clg_pad: equal maxima share the gradient evenly, NaN if any is (PyTorch's max_pool2d and ONNX's
 * MaxPool, where the first maximum takes the gradient). */
CLG_API clg_var clg_max_pool(clg_var x, clg_pool_options options);
/* The mean of a window's elements within x (count_padding: the sum of them, divided by the size of the window); NaN
 * where there are none (PyTorch's avg_pool2d with count_include_pad, ONNX's AveragePool). */
CLG_API clg_var clg_avg_pool(clg_var x, clg_pool_options options);
/* Over whole spatial axes, which have extent 1 then (ONNX's GlobalMaxPool and GlobalAveragePool). layout: as above. */
CLG_API clg_var clg_global_max_pool(clg_var x, const char *layout);
CLG_API clg_var clg_global_avg_pool(clg_var x, const char *layout);
/* To size elements along the spatial axes: of n elements, number i of the result is over those from floor(i n / size)
 * up to, but not with, ceil((i + 1) n / size) (PyTorch's adaptive_max_pool2d and adaptive_avg_pool2d). Cheapest where
 * each size divides its n; elsewhere every bin is a view of its own, axis after axis, and equal maxima share the
 * gradient evenly along one axis, then along the next. */
CLG_API clg_var clg_adaptive_max_pool(clg_var x, clg_shape size, const char *layout);
CLG_API clg_var clg_adaptive_avg_pool(clg_var x, clg_shape size, const char *layout);

/* Rows of table (r, ...) chosen by integer indices of any shape: indices.shape + table.shape[1:].
 * An index outside 0..r-1 gives NaN (0 for integer tables); clg_write refuses it when indices is an input. */
CLG_API clg_var clg_gather(clg_var table, clg_var indices);
/* The adjoint of gather: zeros of shape (rows, updates.shape after indices' axes), to which each row of
 * updates is added at its index. Deterministic. Indices outside 0..rows-1 add nothing. */
CLG_API clg_var clg_scatter_add(clg_var indices, clg_var updates, int64_t rows);
/* The same with the largest, respectively the smallest, of the updates for a row (NaN if one is) in place of their sum;
 * -infinity and infinity (for integers the smallest and the largest value) in rows that get none. Equal ones share the
 * gradient evenly. */
CLG_API clg_var clg_scatter_max(clg_var indices, clg_var updates, int64_t rows);
CLG_API clg_var clg_scatter_min(clg_var indices, clg_var updates, int64_t rows);

/* Linear algebra on the last two axes; the axes before are batches, which broadcast. a: square matrices of f32 or f64
 * (integers become f32). Singular ones give infinities or NaN. */
CLG_API clg_var clg_cholesky(clg_var a); /* lower L, L L^T = (a + a^T) / 2; NaN where that is not positive definite */
/* x (..., n, m) of which a x is b; reads one triangle of a. */
CLG_API clg_var clg_solve_triangular(clg_var a, clg_var b, bool upper);
CLG_API clg_var clg_solve(clg_var a, clg_var b); /* by elimination with row pivoting */
CLG_API clg_var clg_inverse(clg_var a);
CLG_API clg_var clg_determinant(clg_var a); /* (...); its gradient is by the inverse, so NaN where that is not */
/* The logarithm of its size, and its sign: -1, 0 or 1, without gradient (NULL is allowed). */
CLG_API clg_var clg_log_determinant(clg_var a, clg_var *sign);

/* Scans: each element and those before it along an axis, combined in their order; in x's dtype and shape, so integers
 * wrap. flags: 0 or some of CLG_SCAN_*. Long axes are combined in pieces of a fixed length, so that rounding does not
 * depend on the number of threads. */
enum {
    CLG_SCAN_REVERSE = 1,  /* from the end: with those behind it */
    CLG_SCAN_EXCLUSIVE = 2 /* without the element itself: 0, 1, -infinity (integers: the least) ... at the first */
};
CLG_API clg_var clg_cumsum(clg_var x, int axis, int flags);
CLG_API clg_var clg_cumprod(clg_var x, int axis, int flags); /* derivatives are right at zeros, too */
CLG_API clg_var clg_cummax(clg_var x, int axis, int flags);  /* the gradient goes to the last of equal maxima */
CLG_API clg_var clg_cummin(clg_var x, int axis, int flags);
CLG_API clg_var clg_logcumsumexp(clg_var x, int axis, int flags); /* log(cumsum(exp(x))) without overflow */
/* y[i] = coefficient[i] y[i - 1] + x[i], 0 before the first: a linear recurrence (Blelloch 1990, section 1.4). Operands
 * broadcast. */
CLG_API clg_var clg_recurrence(clg_var x, clg_var coefficient, int axis, int flags);

/* The indices (i32) along an axis that sort x; its first `count` of them, or all for -1. Stable: the first of equal
 * elements comes first, also if descending; NaN counts as the largest. */
CLG_API clg_var clg_argsort(clg_var x, int axis, bool descending, int64_t count);

/* Composites over one axis, numerically safe. */
CLG_API clg_var clg_softmax(clg_var x, int axis);
CLG_API clg_var clg_log_softmax(clg_var x, int axis);
/* Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, eq. 3 and 4; ONNX LayerNormalization-17 with
 * axis -1): with the mean and the variance (over n, not n - 1) of each row,
 *     (x - mean) * (1 / sqrt(variance + epsilon)) * gain + bias
 * x (..., n) of rank 1 or more; gain (n) and bias (n), or CLG_NONE for none of them. epsilon: positive, usually 1e-5.
 * The result has x's shape; dtypes mix as in clg_mul and clg_add, and an integer x is cast to f32. */
CLG_API clg_var clg_layer_norm(clg_var x, clg_var gain, clg_var bias, double epsilon);
/* Batch normalisation (Ioffe and Szegedy 2015, algorithm 1; ONNX BatchNormalization-15 with training_mode): with the
 * mean and the variance (over n, not n - 1) of each channel, over all axes but channel_axis,
 *     (x - mean) * (1 / sqrt(variance + epsilon)) * gain + bias
 * gain and bias (channels), or CLG_NONE for none of them. *mean and *variance (NULL: not wanted) become these
 * statistics (channels), for running averages: clg_assign(running, 0.9 running + 0.1 clg_stop_gradient(mean)).
 * PyTorch's and the paper's running variance is n / (n - 1) of this one. */
CLG_API clg_var clg_batch_norm(clg_var x, clg_var gain, clg_var bias, int channel_axis, double epsilon, clg_var *mean,
                               clg_var *variance);
/* The same with a given mean and variance (channels) (algorithm 2 there; ONNX BatchNormalization-15 without). */
CLG_API clg_var clg_batch_norm_inference(clg_var x, clg_var gain, clg_var bias, clg_var mean, clg_var variance,
                                         int channel_axis, double epsilon);
/* Group normalisation (Wu and He 2018, eq. 1, 2, 6 and 7; ONNX GroupNormalization-21): channels are cut into so many
 * groups, one behind the other; mean and variance are those of one element of the batch (axis 0) and one group, over
 * its channels and all other axes; the formula is that of clg_batch_norm. groups divides the extent of channel_axis,
 * which is not 0. gain and bias (channels), or CLG_NONE. */
CLG_API clg_var clg_group_norm(clg_var x, clg_var gain, clg_var bias, int64_t groups, int channel_axis, double epsilon);
/* Instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016; ONNX InstanceNormalization-6): each channel a group. */
CLG_API clg_var clg_instance_norm(clg_var x, clg_var gain, clg_var bias, int channel_axis, double epsilon);
/* Mean over rows of -log softmax(logits)[label]. logits (n, classes), labels (n) integer. A label outside
 * 0..classes-1 makes the loss NaN; clg_write refuses it when labels is an input. */
CLG_API clg_var clg_softmax_cross_entropy(clg_var logits, clg_var labels);
CLG_API clg_var clg_mean_squared_error(clg_var prediction, clg_var target); /* of reals: integers are taken as f32 */

/* The same values; no gradient flows through. */
CLG_API clg_var clg_stop_gradient(clg_var x);

/* When a program containing this variable runs, leaf takes the values of value (same dtype and shape) at the
 * end of the run; all other reads in that program see the values from before. clg_read of it carries it out, too, but
 * not again before another program or clg_write has changed a leaf. */
CLG_API clg_var clg_assign(clg_var leaf, clg_var value);
/* The values of x; a program that contains the result carries out effect (a clg_assign) too. Ties updates to an
 * output such as the loss. (Of a leaf: those that it has when the effect is done.) */
CLG_API clg_var clg_after(clg_var x, clg_var effect);

/* ---------------------------------------------------------------- gradients */

/* gxs[i] = d sum(y) / d xs[i], as variables of the same graph, which can be differentiated again. xs may be
 * any variables; of a view (reshape, transpose, slice, ...) counts what reads it, but not views of it, which read what
 * it is a view of. A variable that y does not depend on gets zeros. On error all gxs are poisoned. */
CLG_API clg_status clg_gradients(clg_var y, const clg_var *xs, int count, clg_var *gxs);

/* The nodes made since the mark (clg_graph_mark), a block of a model for instance, are computed again in the backward
 * pass, from what the block reads, instead of being kept until then: less memory for one more forward pass. For calls
 * of clg_gradients and clg_backward from now on; results are the same. What the block returns is kept. Blocks follow
 * each other: a mark within an earlier one is refused. */
CLG_API clg_status clg_checkpoint(clg_graph *graph, int32_t mark);

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
    const char *kind; /* "loop", "matmul", "contract" or "array" (a scan, a sort, rows brought together by index) */
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
    const char *operands; /* of those, a letter each: r real, c condition (bool), i i32 */
} clg_op_info;
CLG_API int clg_op_count(void);
CLG_API clg_op_info clg_op_get_info(int op);
/* The elementwise operation (kind "map"; but cast), the reduction or the scan with a number, over as many operands as
 * its arity; axes: a reduction's, which vanish from the shape, or that of the scan. For bindings and tools: C programs
 * have clg_add and the others. */
CLG_API clg_var clg_apply(int op, const clg_var *operands, clg_axes axes);

#ifdef __cplusplus
}
#endif
#endif
