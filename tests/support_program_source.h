/* Random programs as C: calls of the library that a program is made by are noted as they are made, where notes are
 * taken. To be included behind all headers of the library, by what makes the programs: its calls are then these. */
#ifndef SUPPORT_PROGRAM_SOURCE_H
#define SUPPORT_PROGRAM_SOURCE_H

#include "support.h"

#include <clgrad/functions.h>

/* From here on (NULL: no longer) notes go to a file. The text is a C program: its main compiles what was made as a
 * whole on the device that its argument names, and compares it with what is read node by node. */
void source_begin(FILE *to);
void source_end(const clg_var *outputs, int count);

clg_var source_leaf(clg_var x, const double *values);
clg_var source_v(const char *name, clg_var (*f)(clg_var), clg_var a);
clg_var source_vv(const char *name, clg_var (*f)(clg_var, clg_var), clg_var a, clg_var b);
clg_var source_vvv(const char *name, clg_var (*f)(clg_var, clg_var, clg_var), clg_var a, clg_var b, clg_var c);
clg_var source_vi(const char *name, clg_var (*f)(clg_var, int), clg_var a, int axis);
clg_var source_vii(const char *name, clg_var (*f)(clg_var, int, int), clg_var a, int axis, int flags);
clg_var source_vib(const char *name, clg_var (*f)(clg_var, int, bool), clg_var a, int axis, bool flag);
clg_var source_vil(const char *name, clg_var (*f)(clg_var, int, int64_t), clg_var a, int axis, int64_t n);
clg_var source_vvi(const char *name, clg_var (*f)(clg_var, clg_var, int), clg_var a, clg_var b, int axis);
clg_var source_vvl(const char *name, clg_var (*f)(clg_var, clg_var, int64_t), clg_var a, clg_var b, int64_t n);
clg_var source_vs(const char *name, clg_var (*f)(clg_var, clg_shape), clg_var a, clg_shape shape);
clg_var source_va(const char *name, clg_var (*f)(clg_var, clg_axes), clg_var a, clg_axes axes);
clg_var source_vab(const char *name, clg_var (*f)(clg_var, clg_axes, bool), clg_var a, clg_axes axes, bool keep);
clg_var source_parts(const char *name, clg_var (*f)(const clg_var *, int, int), const clg_var *parts, int count,
                     int axis);
clg_var source_put(const char *name, clg_var (*f)(clg_var, clg_var, clg_var, int, clg_scatter_mode), clg_var a,
                   clg_var b, clg_var c, int axis, clg_scatter_mode mode);
clg_var source_conv(const char *name, clg_var (*f)(clg_var, clg_var, clg_conv_options), clg_var x, clg_var w,
                    clg_conv_options o);
clg_var source_pool(const char *name, clg_var (*f)(clg_var, clg_pool_options), clg_var x, clg_pool_options o);
clg_var source_global(const char *name, clg_var (*f)(clg_var, const char *), clg_var x);
clg_var source_adaptive(const char *name, clg_var (*f)(clg_var, clg_shape, const char *), clg_var x, clg_shape size);
clg_var source_cast(clg_var x, clg_dtype dtype);
clg_var source_full(clg_graph *g, clg_dtype dtype, clg_shape shape, double value);
clg_var source_arange(clg_graph *g, clg_dtype dtype, int64_t count);
clg_var source_slice(clg_var x, int axis, int64_t start, int64_t stop, int64_t step);
clg_var source_pad(clg_var x, clg_shape before, clg_shape after, clg_pad_mode mode, double value);
clg_var source_window(clg_var x, clg_axes axes, clg_shape size, clg_shape stride, clg_shape dilation);
clg_var source_recurrence(clg_var x, clg_var c, int axis, int flags);
clg_var source_topk(clg_var x, int64_t k, int axis, bool largest);
clg_var source_einsum(const char *equation, const clg_var *operands, int count);
clg_var source_norm(const char *name, clg_var y, clg_var x, clg_var gain, clg_var bias, int64_t groups, int axis,
                    double epsilon);
void source_split(clg_var x, int axis, const int64_t *lengths, int count, clg_var *parts);
clg_status source_gradients(clg_var y, const clg_var *xs, int count, clg_var *gxs);

#ifndef SUPPORT_PROGRAM_SOURCE_PLAIN
#define clg_tanh(x) source_v("tanh", clg_tanh, x)
#define clg_sin(x) source_v("sin", clg_sin, x)
#define clg_cos(x) source_v("cos", clg_cos, x)
#define clg_square(x) source_v("square", clg_square, x)
#define clg_neg(x) source_v("neg", clg_neg, x)
#define clg_exp(x) source_v("exp", clg_exp, x)
#define clg_log(x) source_v("log", clg_log, x)
#define clg_abs(x) source_v("abs", clg_abs, x)
#define clg_sqrt(x) source_v("sqrt", clg_sqrt, x)
#define clg_sign(x) source_v("sign", clg_sign, x)
#define clg_sigmoid(x) source_v("sigmoid", clg_sigmoid, x)
#define clg_relu(x) source_v("relu", clg_relu, x)
#define clg_gelu(x) source_v("gelu", clg_gelu, x)
#define clg_erf(x) source_v("erf", clg_erf, x)
#define clg_stop_gradient(x) source_v("stop_gradient", clg_stop_gradient, x)
#define clg_transpose(x) source_v("transpose", clg_transpose, x)
#define clg_add(a, b) source_vv("add", clg_add, a, b)
#define clg_sub(a, b) source_vv("sub", clg_sub, a, b)
#define clg_mul(a, b) source_vv("mul", clg_mul, a, b)
#define clg_div(a, b) source_vv("div", clg_div, a, b)
#define clg_pow(a, b) source_vv("pow", clg_pow, a, b)
#define clg_maximum(a, b) source_vv("maximum", clg_maximum, a, b)
#define clg_minimum(a, b) source_vv("minimum", clg_minimum, a, b)
#define clg_matmul(a, b) source_vv("matmul", clg_matmul, a, b)
#define clg_equal(a, b) source_vv("equal", clg_equal, a, b)
#define clg_not_equal(a, b) source_vv("not_equal", clg_not_equal, a, b)
#define clg_less(a, b) source_vv("less", clg_less, a, b)
#define clg_less_equal(a, b) source_vv("less_equal", clg_less_equal, a, b)
#define clg_greater_equal(a, b) source_vv("greater_equal", clg_greater_equal, a, b)
#define clg_gather(a, b) source_vv("gather", clg_gather, a, b)
#define clg_softmax_cross_entropy(a, b) source_vv("softmax_cross_entropy", clg_softmax_cross_entropy, a, b)
#define clg_where(c, a, b) source_vvv("where", clg_where, c, a, b)
#define clg_softmax(x, axis) source_vi("softmax", clg_softmax, x, axis)
#define clg_log_softmax(x, axis) source_vi("log_softmax", clg_log_softmax, x, axis)
#define clg_argmax(x, axis) source_vi("argmax", clg_argmax, x, axis)
#define clg_cumsum(x, axis, flags) source_vii("cumsum", clg_cumsum, x, axis, flags)
#define clg_cumprod(x, axis, flags) source_vii("cumprod", clg_cumprod, x, axis, flags)
#define clg_cummax(x, axis, flags) source_vii("cummax", clg_cummax, x, axis, flags)
#define clg_cummin(x, axis, flags) source_vii("cummin", clg_cummin, x, axis, flags)
#define clg_logcumsumexp(x, axis, flags) source_vii("logcumsumexp", clg_logcumsumexp, x, axis, flags)
#define clg_sort(x, axis, down) source_vib("sort", clg_sort, x, axis, down)
#define clg_index(x, axis, i) source_vil("index", clg_index, x, axis, i)
#define clg_repeat(x, axis, n) source_vil("repeat", clg_repeat, x, axis, n)
#define clg_take(x, i, axis) source_vvi("take", clg_take, x, i, axis)
#define clg_gather_elements(x, i, axis) source_vvi("gather_elements", clg_gather_elements, x, i, axis)
#define clg_gather_nd(x, i, batch) source_vvi("gather_nd", clg_gather_nd, x, i, batch)
#define clg_scatter_add(i, u, rows) source_vvl("scatter_add", clg_scatter_add, i, u, rows)
#define clg_reshape(x, ...) source_vs("reshape", clg_reshape, x, __VA_ARGS__)
#define clg_tile(x, ...) source_vs("tile", clg_tile, x, __VA_ARGS__)
#define clg_broadcast_to(x, ...) source_vs("broadcast_to", clg_broadcast_to, x, __VA_ARGS__)
#define clg_permute(x, ...) source_va("permute", clg_permute, x, __VA_ARGS__)
#define clg_flip(x, ...) source_va("flip", clg_flip, x, __VA_ARGS__)
#define clg_squeeze(x, ...) source_va("squeeze", clg_squeeze, x, __VA_ARGS__)
#define clg_expand_dims(x, ...) source_va("expand_dims", clg_expand_dims, x, __VA_ARGS__)
#define clg_sum(x, ...) source_vab("sum", clg_sum, x, __VA_ARGS__)
#define clg_mean(x, ...) source_vab("mean", clg_mean, x, __VA_ARGS__)
#define clg_max(x, ...) source_vab("max", clg_max, x, __VA_ARGS__)
#define clg_concat(parts, count, axis) source_parts("concat", clg_concat, parts, count, axis)
#define clg_stack(parts, count, axis) source_parts("stack", clg_stack, parts, count, axis)
#define clg_scatter(x, i, u, axis, mode) source_put("scatter", clg_scatter, x, i, u, axis, mode)
#define clg_scatter_elements(x, i, u, axis, mode)                                                                      \
    source_put("scatter_elements", clg_scatter_elements, x, i, u, axis, mode)
#define clg_conv(x, w, o) source_conv("conv", clg_conv, x, w, o)
#define clg_conv_transpose(x, w, o) source_conv("conv_transpose", clg_conv_transpose, x, w, o)
#define clg_max_pool(x, o) source_pool("max_pool", clg_max_pool, x, o)
#define clg_avg_pool(x, o) source_pool("avg_pool", clg_avg_pool, x, o)
#define clg_global_max_pool(x, layout) source_global("global_max_pool", clg_global_max_pool, x)
#define clg_global_avg_pool(x, layout) source_global("global_avg_pool", clg_global_avg_pool, x)
#define clg_adaptive_max_pool(x, size, layout) source_adaptive("adaptive_max_pool", clg_adaptive_max_pool, x, size)
#define clg_adaptive_avg_pool(x, size, layout) source_adaptive("adaptive_avg_pool", clg_adaptive_avg_pool, x, size)
#define clg_cast(x, dtype) source_cast(x, dtype)
#define clg_full(g, dtype, shape, value) source_full(g, dtype, shape, value)
#define clg_arange(g, dtype, count) source_arange(g, dtype, count)
#define clg_slice(x, axis, start, stop, step) source_slice(x, axis, start, stop, step)
#define clg_pad(x, before, after, mode, value) source_pad(x, before, after, mode, value)
#define clg_window(x, axes, size, stride, dilation) source_window(x, axes, size, stride, dilation)
#define clg_recurrence(x, c, axis, flags) source_recurrence(x, c, axis, flags)
#define clg_topk(x, k, axis, largest, indices) source_topk(x, k, axis, largest)
#define clg_einsum(equation, operands, count) source_einsum(equation, operands, count)
#define clg_layer_norm(x, gain, bias, e) source_norm("layer", clg_layer_norm(x, gain, bias, e), x, gain, bias, 0, 0, e)
#define clg_batch_norm(x, gain, bias, axis, e, mean, variance)                                                         \
    source_norm("batch", clg_batch_norm(x, gain, bias, axis, e, mean, variance), x, gain, bias, 0, axis, e)
#define clg_group_norm(x, gain, bias, groups, axis, e)                                                                 \
    source_norm("group", clg_group_norm(x, gain, bias, groups, axis, e), x, gain, bias, groups, axis, e)
#define clg_split(x, ...) source_split(x, __VA_ARGS__)
#define clg_gradients(y, xs, count, gxs) source_gradients(y, xs, count, gxs)
#endif
#endif
