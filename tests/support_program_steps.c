/* Random programs: elementwise functions, reductions, rows of tables, composites. Each keeps values near 1 and has a
 * derivative near 1 at most, so that roundings stay comparable over long chains. */
#include "support_programs.h"

#include "support_program_source.h"

static clg_var constant(clg_var x, double value) { return clg_full(x.graph, clg_dtype_of(x), CLG_SCALAR, value); }

/* In (0.5, 2.5). */
static clg_var positive(clg_var x) { return clg_add(clg_tanh(x), constant(x, 1.5)); }

static clg_var smooth(random_program *p)
{
    clg_var x = programs_pick(p);
    switch (programs_below(p, 12)) {
    case 0:
        return clg_sin(x);
    case 1:
        return clg_cos(x);
    case 2:
        return clg_sigmoid(x);
    case 3:
        return clg_erf(x);
    case 4:
        return clg_gelu(x);
    case 5:
        return programs_scaled(clg_exp(clg_tanh(x)), 0.5);
    case 6:
        return clg_log(positive(x));
    case 7:
        return clg_sqrt(positive(x));
    case 8:
        return clg_square(clg_sin(x));
    case 9:
        return clg_stop_gradient(programs_scaled(x, 0.75));
    default:
        return clg_tanh(x);
    }
}

/* Functions that jump, or have a kink. */
static clg_var kinked(random_program *p)
{
    clg_var x = programs_pick(p);
    x = programs_apart(p, x);
    switch (programs_below(p, 4)) {
    case 0:
        return clg_relu(x);
    case 1:
        return clg_abs(x);
    case 2:
        return clg_sign(x);
    default:
        return clg_neg(x);
    }
}

/* An operand that broadcasts with x: some axes of extent 1, or without the first ones. */
static clg_var partner(random_program *p, clg_var x)
{
    clg_shape from = clg_shape_of(x), to = {0};
    int first = programs_chance(p, 3) ? (int)programs_below(p, (uint32_t)from.rank + 1) : 0;
    for (int d = first; d < from.rank; d++)
        to.dim[to.rank++] = programs_chance(p, 4) ? 1 : from.dim[d];
    return programs_operand(p, to);
}

static clg_var binary(random_program *p)
{
    clg_var a = programs_pick(p), b = partner(p, a);
    switch (programs_below(p, 6)) {
    case 0:
        return programs_scaled(clg_add(a, b), 0.5);
    case 1:
        return programs_scaled(clg_sub(b, a), 0.5);
    case 2:
        return clg_mul(clg_tanh(a), clg_sin(b));
    case 3:
        return clg_div(clg_sin(a), positive(b));
    case 4:
        return clg_pow(positive(a), clg_tanh(b));
    default:
        return clg_mul(clg_tanh(a), clg_tanh(a));
    }
}

/* Both of one operand apart: where both were exact they may be equal. */
static clg_var chosen(random_program *p)
{
    clg_var a = programs_pick(p), b = partner(p, a);
    a = programs_apart(p, a);
    if (!p->pure && p->real != CLG_F64)
        b = programs_apart(p, b);
    switch (programs_below(p, 3)) {
    case 0:
        return clg_maximum(a, b);
    case 1:
        return clg_minimum(a, b);
    default:
        return clg_where(programs_chance(p, 2) ? clg_less(a, b) : clg_greater_equal(a, b), a, b);
    }
}

static clg_axes some_axes(random_program *p, clg_var x)
{
    clg_axes axes = {0};
    int rank = clg_shape_of(x).rank;
    for (int d = 0; d < rank; d++)
        if (programs_chance(p, 2))
            axes.axis[axes.count++] = programs_chance(p, 2) ? d : d - rank;
    return axes.count ? axes : CLG_ALL_AXES;
}

static clg_var sum(random_program *p)
{
    clg_var x = programs_pick(p);
    bool keep = programs_chance(p, 2);
    clg_axes axes = some_axes(p, x);
    if (programs_chance(p, 2))
        return clg_mean(x, axes, keep);
    clg_var y = clg_sum(x, axes, keep);
    int64_t terms = clg_shape_count(clg_shape_of(x)) / clg_shape_count(clg_shape_of(y));
    return programs_scaled(y, 1.0 / (double)terms);
}

static clg_var largest(random_program *p)
{
    clg_var x = programs_pick(p);
    x = programs_apart(p, x);
    return clg_max(x, some_axes(p, x), programs_chance(p, 2));
}

/* Integers, of i32 or u8: indices, comparisons, sums, and back. */
static clg_var integers(random_program *p)
{
    clg_shape shape = clg_shape_of(programs_pick(p));
    clg_var i = programs_indices(p, shape, 9), j = programs_indices(p, shape, 5), k;
    if (programs_chance(p, 2))
        i = clg_cast(i, CLG_U8);
    switch (programs_below(p, 6)) {
    case 0:
        k = clg_sub(i, j);
        break;
    case 1:
        k = clg_maximum(clg_neg(i), clg_mul(j, j));
        break;
    case 2:
        k = clg_add(clg_equal(i, j), clg_less_equal(j, i));
        break;
    case 3:
        k = clg_sum(clg_not_equal(i, j), some_axes(p, i), true);
        break;
    case 4:
        k = clg_max(i, some_axes(p, i), false);
        break;
    default:
        if (shape.rank == 0)
            return CLG_NONE;
        k = clg_argmax(i, (int)programs_axis(p, i));
    }
    return programs_scaled(clg_cast(k, p->real), 1.0 / 256);
}

/* Through another dtype. In f64, of what is exact alone: where f32 rounds a computed value may turn on its last bit. */
static clg_var casts(random_program *p)
{
    clg_var x = programs_pick(p);
    if (p->real == CLG_F64)
        return p->pure ? clg_cast(clg_cast(x, CLG_F32), CLG_F64) : CLG_NONE;
    if (!clg_device_get_info(clg_graph_device(p->g))->has_f64)
        return CLG_NONE;
    return clg_cast(clg_cast(x, CLG_F64), CLG_F32);
}

/* Through what is stored and not computed with, and through long integers: of what is exact alone, and without a
 * gradient, which would be rounded to few digits after a computation. */
static clg_var stored(random_program *p)
{
    static const clg_dtype dtypes[] = {CLG_F16, CLG_BF16, CLG_I64, CLG_BOOL};
    const clg_dtype dtype = dtypes[programs_below(p, 4)];
    clg_var x = programs_pick(p);
    if (!p->pure)
        return CLG_NONE;
    const bool turned = clg_shape_of(x).rank > 0 && programs_chance(p, 2);
    x = clg_stop_gradient(x);
    x = clg_cast(dtype == CLG_I64 ? programs_scaled(x, 1000) : x, dtype);
    clg_var y = turned ? clg_flip(x, CLG_ALL_AXES) : x;
    switch (programs_below(p, 4)) {
    case 0:
        y = clg_maximum(x, y);
        break;
    case 1:
        y = clg_where(clg_less(x, y), y, clg_neg(x));
        break;
    case 2:
        y = clg_max(y, some_axes(p, y), true);
        break;
    default:
        y = clg_abs(y);
    }
    y = clg_cast(y, p->real);
    return dtype == CLG_I64 ? programs_scaled(y, 0.0009765625) : y;
}

static clg_var rows_of_table(random_program *p)
{
    clg_var table = programs_ranked(p, 1 + (int)programs_below(p, 3));
    clg_shape shape = {.rank = (int)programs_below(p, 3)}, from = clg_shape_of(table);
    for (int d = 0; d < shape.rank; d++)
        shape.dim[d] = 1 + programs_below(p, 6);
    if (clg_shape_count(shape) * (clg_shape_count(from) / from.dim[0]) > PROGRAM_ELEMENTS)
        return CLG_NONE;
    return clg_gather(table, programs_indices(p, shape, from.dim[0]));
}

/* Some indices lie behind the last row. */
static clg_var rows_added(random_program *p)
{
    clg_var updates = programs_ranked(p, 1 + (int)programs_below(p, 3));
    clg_shape shape = clg_shape_of(updates);
    int64_t n = shape.dim[0], rows = 1 + programs_below(p, 7);
    if (rows * (clg_shape_count(shape) / n) > PROGRAM_ELEMENTS)
        return CLG_NONE;
    clg_var y = clg_scatter_add(programs_indices(p, CLG_SHAPE(n), rows + 1), updates, rows);
    return programs_scaled(y, 1.0 / (double)n);
}

static clg_var soft(random_program *p)
{
    clg_var x = programs_pick(p);
    if (clg_shape_of(x).rank == 0)
        return CLG_NONE;
    int axis = (int)programs_axis(p, x);
    return programs_chance(p, 2) ? clg_softmax(x, axis) : programs_scaled(clg_log_softmax(x, axis), 0.25);
}

static clg_var cross_entropy(random_program *p)
{
    clg_var logits = programs_ranked(p, 2);
    clg_shape shape = clg_shape_of(logits);
    clg_var labels = programs_indices(p, CLG_SHAPE(shape.dim[0]), shape.dim[1]);
    return programs_scaled(clg_softmax_cross_entropy(logits, labels), 0.25);
}

static clg_var normalised(random_program *p)
{
    clg_var x = programs_ranked(p, 2 + (int)programs_below(p, 3));
    clg_shape shape = clg_shape_of(x);
    int kind = (int)programs_below(p, 3), axis = kind == 0 ? shape.rank - 1 : 1;
    int64_t n = shape.dim[axis];
    clg_var gain = programs_chance(p, 3) ? CLG_NONE : programs_operand(p, CLG_SHAPE(n));
    clg_var bias = programs_chance(p, 3) ? CLG_NONE : programs_operand(p, CLG_SHAPE(n));
    clg_var y = kind == 0   ? clg_layer_norm(x, gain, bias, 0.5)
                : kind == 1 ? clg_batch_norm(x, gain, bias, axis, 0.5, NULL, NULL)
                            : clg_group_norm(x, gain, bias, n % 2 ? n : n / 2, axis, 0.5);
    return clg_tanh(y);
}

/* A gradient is a variable like others. */
static clg_var adjoint(random_program *p)
{
    clg_var y = programs_pick(p), x = p->leaves[programs_below(p, (uint32_t)p->leaf_count)], gx;
    clg_gradients(y, &x, 1, &gx);
    return clg_tanh(gx);
}

static clg_var counted(random_program *p)
{
    clg_var x = programs_pick(p);
    clg_shape shape = clg_shape_of(x);
    if (shape.rank == 0)
        return CLG_NONE;
    int64_t n = shape.dim[shape.rank - 1];
    clg_var scale = programs_scaled(clg_arange(p->g, p->real, n), 1.0 / (double)n);
    return clg_mul(clg_sin(x), scale);
}

const program_step program_steps[] = {
    {"smooth", smooth, false},
    {"smooth", smooth, false},
    {"kinked", kinked, true},
    {"binary", binary, false},
    {"binary", binary, false},
    {"chosen", chosen, true},
    {"sum", sum, false},
    {"sum", sum, false},
    {"max", largest, true},
    {"integers", integers, false},
    {"casts", casts, true},
    {"stored", stored, true},
    {"gather", rows_of_table, true},
    {"scatter_add", rows_added, false},
    {"scan", programs_scan, false},
    {"scan", programs_scan, false},
    {"sort", programs_sort, true},
    {"take", programs_take, true},
    {"put", programs_put, true},
    {"softmax", soft, false},
    {"cross_entropy", cross_entropy, false},
    {"normalised", normalised, false},
    {"adjoint", adjoint, false},
    {"arange", counted, false},
    {"view", programs_move, true},
    {"view", programs_move, true},
    {"view", programs_move, true},
    {"view", programs_move, true},
    {"view", programs_move, true},
    {"join", programs_join, true},
    {"join", programs_join, true},
    {"matmul", programs_matmul, false},
    {"matmul", programs_matmul, false},
    {"einsum", programs_einsum, false},
    {"einsum", programs_einsum, false},
    {"conv", programs_conv, false},
    {"conv", programs_conv, false},
    {"conv_transpose", programs_conv_transpose, false},
    {"max_pool", programs_max_pool, false},
    {"avg_pool", programs_avg_pool, false},
};
const int program_step_count = sizeof program_steps / sizeof program_steps[0];
