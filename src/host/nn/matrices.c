/* Arrays of a pattern, and products and parts of matrices, made of other functions. */
#include "helpers.h"

clg_var clg_linspace(clg_graph *graph, clg_dtype dtype, double start, double stop, int64_t count)
{
    if (dtype != CLG_F32 && dtype != CLG_F64)
        return clg_refuse(graph, "linspace: dtype must be f32 or f64, not %s", clg_dtype_name(dtype));
    clg_var steps = clg_arange(graph, dtype, count);
    if (count < 2)
        return clg_add(steps, clg_scalar_like(steps, start));
    /* from the nearer end, so that both are met */
    clg_var up = affine(steps, (stop - start) / (double)(count - 1), start);
    clg_var down = affine(clg_flip(steps, CLG_AXES(0)), (start - stop) / (double)(count - 1), stop);
    return clg_where(clg_less(times(steps, 2), clg_scalar_like(steps, (double)count)), up, down);
}

/* Row minus column of an element of matrices, i32, (rows, columns). */
static clg_var below_diagonal(clg_graph *graph, int64_t rows, int64_t columns)
{
    clg_var row = clg_reshape(clg_arange(graph, CLG_I32, rows), CLG_SHAPE(rows, 1));
    return clg_sub(row, clg_arange(graph, CLG_I32, columns));
}

clg_var clg_eye(clg_graph *graph, clg_dtype dtype, int64_t rows, int64_t columns)
{
    clg_var distance = below_diagonal(graph, rows, columns);
    return clg_cast(clg_equal(distance, zero_like(distance)), dtype);
}

clg_var clg_one_hot(clg_var labels, int64_t classes, clg_dtype dtype)
{
    if (!are_operands("one_hot", &labels, 1))
        return poisoned(labels.graph);
    if (!is_index(labels))
        return clg_refuse(labels.graph, "one_hot: labels must be i32, i64 or u8, not %s",
                          clg_dtype_name(clg_dtype_of(labels)));
    clg_var index = clg_expand_dims(as_index(labels), CLG_AXES(-1));
    return clg_cast(clg_equal(index, clg_arange(labels.graph, CLG_I32, classes)), dtype);
}

/* x where row - column is at least, or below, some number. */
static clg_var triangle(const char *op, clg_var x, int64_t least, bool lower)
{
    const clg_shape shape = clg_shape_of(x);
    if (!are_operands(op, &x, 1))
        return poisoned(x.graph);
    if (shape.rank < 2)
        return clg_refuse(x.graph, "%s: x %s must be of rank 2 or more", op, words_of(shape).text);
    clg_var distance = below_diagonal(x.graph, shape.dim[shape.rank - 2], shape.dim[shape.rank - 1]);
    clg_var above = clg_less(distance, clg_scalar_like(distance, (double)least));
    return lower ? clg_where(above, zero_like(x), x) : clg_where(above, x, zero_like(x));
}

/* A diagonal number within those that there may be. */
static int64_t diagonal(int64_t k) { return k < INT32_MIN ? INT32_MIN : k > INT32_MAX ? INT32_MAX : k; }

clg_var clg_tril(clg_var x, int64_t k) { return triangle("tril", x, -diagonal(k), true); }
clg_var clg_triu(clg_var x, int64_t k) { return triangle("triu", x, 1 - diagonal(k), false); }

clg_var clg_diagonal(clg_var x) { return clg_einsum("...ii->...i", &x, 1); }
clg_var clg_trace(clg_var x) { return clg_sum(clg_diagonal(x), CLG_AXES(-1), false); }

/* Whether both are of a rank; else an error. */
static bool of_rank(const char *op, clg_var a, clg_var b, int rank)
{
    const clg_shape s = clg_shape_of(a), t = clg_shape_of(b);
    if (!are_operands(op, (clg_var[]){a, b}, 2))
        return false;
    if (s.rank != rank || t.rank != rank)
        clg_refuse(a.graph, "%s: operands %s and %s must be of rank %d", op, words_of(s).text, words_of(t).text, rank);
    return s.rank == rank && t.rank == rank;
}

clg_var clg_outer(clg_var a, clg_var b)
{
    return of_rank("outer", a, b, 1) ? clg_mul(clg_expand_dims(a, CLG_AXES(1)), b) : poisoned(a.graph);
}

clg_var clg_kron(clg_var a, clg_var b)
{
    const clg_shape s = clg_shape_of(a), t = clg_shape_of(b);
    if (!of_rank("kron", a, b, 2))
        return poisoned(a.graph);
    clg_var pairs = clg_mul(clg_expand_dims(a, CLG_AXES(1, 3)), clg_expand_dims(b, CLG_AXES(0, 2)));
    return clg_reshape(pairs, CLG_SHAPE(s.dim[0] * t.dim[0], s.dim[1] * t.dim[1]));
}

/* Elements i + 1 and i + 2 of three, for each i. */
static clg_var turned(clg_var x, int axis, int by)
{
    clg_var parts[2] = {clg_slice(x, axis, by, 3, 1), clg_slice(x, axis, 0, by, 1)};
    return clg_concat(parts, 2, axis);
}

clg_var clg_cross(clg_var a, clg_var b, int axis)
{
    const clg_shape s = clg_shape_of(a), t = clg_shape_of(b);
    const int i = axis < 0 ? axis + s.rank : axis, j = axis < 0 ? axis + t.rank : axis;
    if (!are_operands("cross", (clg_var[]){a, b}, 2))
        return poisoned(a.graph);
    if (i < 0 || i >= s.rank || j < 0 || j >= t.rank || s.dim[i] != 3 || t.dim[j] != 3)
        return clg_refuse(a.graph, "cross: axis %d of %s and of %s must be of extent 3", axis, words_of(s).text,
                          words_of(t).text);
    clg_var left = clg_mul(turned(a, axis, 1), turned(b, axis, 2));
    return clg_sub(left, clg_mul(turned(a, axis, 2), turned(b, axis, 1)));
}
