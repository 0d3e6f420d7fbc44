/* Linear algebra on the last two axes: factorisation, solutions, determinants. Large triangular matrices are cut into
 * blocks, so that most of the work is products of matrices (Golub and Van Loan, Matrix Computations, 3.1 and 4.2). */
#include "build.h"

enum { BLOCK = 64 }; /* rows that a node works on at once */

static int64_t rows_of(clg_var a)
{
    const clg_shape shape = clg_shape_of(a);
    return shape.dim[shape.rank - 2];
}

/* Operands as one of f32 and f64, square matrices; the second one (b NULL: none) with as many rows and the same batch
 * axes, broadcast. */
static bool matrices(const char *op, clg_var *a, clg_var *b)
{
    clg_var x[2] = {*a, b ? *b : *a};
    if (!graph_check(op, x, 2))
        return false;
    const clg_dtype dtype = clg_dtypes[build_common_dtype(x, 2, true)].arithmetic;
    clg_shape s = clg_shape_of(x[0]), t = clg_shape_of(x[1]), batch;
    const bool square = s.rank >= 2 && s.dim[s.rank - 1] == s.dim[s.rank - 2];
    if (!square || t.rank < 2 || t.dim[t.rank - 2] != s.dim[s.rank - 1]) {
        graph_fail(a->graph, CLG_ERROR_ARGUMENT,
                   b ? "%s: shapes %s and %s; they must be square matrices (..., n, n) and right sides (..., n, m)"
                     : "%s: shape %s; it must be square matrices (..., n, n)",
                   op, shape_text(s), shape_text(t));
        return false;
    }
    for (int i = 0; i < 2; i++)
        x[i] = clg_cast(x[i], dtype);
    if (b) {
        clg_shape outer = {.rank = s.rank - 2}, inner = {.rank = t.rank - 2};
        for (int d = 0; d < outer.rank; d++)
            outer.dim[d] = s.dim[d];
        for (int d = 0; d < inner.rank; d++)
            inner.dim[d] = t.dim[d];
        if (!shape_broadcast(outer, inner, &batch)) {
            graph_fail(a->graph, CLG_ERROR_ARGUMENT, "%s: batches do not broadcast: %s and %s", op, shape_text(s),
                       shape_text(t));
            return false;
        }
        const int64_t sizes[2][2] = {{s.dim[s.rank - 2], s.dim[s.rank - 1]}, {t.dim[t.rank - 2], t.dim[t.rank - 1]}};
        for (int i = 0; i < 2; i++) {
            clg_shape whole = batch;
            whole.dim[whole.rank++] = sizes[i][0];
            whole.dim[whole.rank++] = sizes[i][1];
            x[i] = views_broadcast(x[i], whole);
        }
        *b = x[1];
    }
    *a = x[0];
    return x[0].id >= 0 && x[1].id >= 0;
}

/* ---------------------------------------------------------------- nodes */

clg_var matrix_node(clg_op op, clg_var a, clg_var b, int attr)
{
    const int32_t second = clg_ops[op].arity > 1 ? b.id : -1;
    int32_t shape = graph_at(second >= 0 ? b : a)->shape;
    if (op == OP_DETERMINANT) {
        clg_shape batch = clg_shape_of(a);
        batch.rank -= 2;
        shape = graph_shape(a.graph, clg_ops[op].name, batch);
    }
    return graph_node(a.graph, op, clg_dtype_of(a), shape, (int32_t[]){a.id, second, -1},
                      (graph_record){.attr.integer = attr});
}

clg_var matrix_triangle(clg_var x, int side, double diagonal)
{
    clg_shape shape = clg_shape_of(x);
    const int64_t rows = shape.dim[shape.rank - 2], columns = shape.dim[shape.rank - 1];
    clg_var i = views_reshape(clg_arange(x.graph, CLG_I32, rows), (clg_shape){2, {rows, 1}});
    clg_var j = clg_arange(x.graph, CLG_I32, columns);
    clg_var inside = side < 0 ? clg_less(j, i) : clg_less(i, j), zero = graph_like(x, 0);
    clg_var on = clg_equal(i, j), middle = diagonal == 1 ? x : clg_mul(x, graph_like(x, diagonal));
    return clg_where(on, middle, clg_where(inside, x, zero));
}

/* ---------------------------------------------------------------- blocks */

static clg_var part(clg_var x, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    return clg_slice(clg_slice(x, -2, row, row + rows, 1), -1, column, column + columns, 1);
}

static int64_t half_of(int64_t n) { return (n / 2 + BLOCK - 1) / BLOCK * BLOCK; }

static clg_var solve_triangular(clg_var a, clg_var b, bool upper)
{
    const int64_t n = rows_of(a), m = clg_shape_of(b).dim[clg_shape_of(b).rank - 1], h = half_of(n);
    if (n <= BLOCK)
        return matrix_node(OP_SOLVE_TRIANGULAR, a, b, upper);
    clg_var top = part(b, 0, h, 0, m), bottom = part(b, h, n - h, 0, m);
    clg_var first = part(a, 0, h, 0, h), last = part(a, h, n - h, h, n - h);
    if (upper) {
        bottom = solve_triangular(last, bottom, true);
        top = solve_triangular(first, clg_sub(top, clg_matmul(part(a, 0, h, h, n - h), bottom)), true);
    } else {
        top = solve_triangular(first, top, false);
        bottom = solve_triangular(last, clg_sub(bottom, clg_matmul(part(a, h, n - h, 0, h), top)), false);
    }
    return clg_concat((clg_var[]){top, bottom}, 2, -2);
}

static clg_var cholesky(clg_var a)
{
    const int64_t n = rows_of(a), h = half_of(n);
    if (n <= BLOCK)
        return matrix_node(OP_CHOLESKY, a, a, 0);
    clg_var first = cholesky(part(a, 0, h, 0, h));
    clg_var across = clg_transpose(solve_triangular(first, clg_transpose(part(a, h, n - h, 0, h)), false));
    clg_var rest = clg_sub(part(a, h, n - h, h, n - h), clg_matmul(across, clg_transpose(across)));
    clg_var zeros = graph_like(clg_transpose(across), 0);
    return clg_concat((clg_var[]){clg_concat((clg_var[]){first, zeros}, 2, -1),
                                  clg_concat((clg_var[]){across, cholesky(rest)}, 2, -1)},
                      2, -2);
}

/* ---------------------------------------------------------------- builders */

clg_var clg_cholesky(clg_var a)
{
    if (!matrices("cholesky", &a, NULL))
        return POISON(a.graph);
    return cholesky(clg_mul(clg_add(a, clg_transpose(a)), graph_like(a, 0.5)));
}

clg_var clg_solve_triangular(clg_var a, clg_var b, bool upper)
{
    return matrices("solve_triangular", &a, &b) ? solve_triangular(a, b, upper) : POISON(a.graph);
}

clg_var clg_solve(clg_var a, clg_var b)
{
    return matrices("solve", &a, &b) ? matrix_node(OP_SOLVE, a, b, 0) : POISON(a.graph);
}

clg_var matrix_inverse(clg_var a)
{
    clg_var one = graph_like(a, 1), none = graph_like(a, 0);
    const clg_shape shape = clg_shape_of(a);
    const int64_t n = rows_of(a);
    clg_var i = clg_arange(a.graph, CLG_I32, n), on = clg_equal(views_reshape(i, (clg_shape){2, {n, 1}}), i);
    return matrix_node(OP_SOLVE, a, views_broadcast(clg_where(on, one, none), shape), 0);
}

clg_var clg_inverse(clg_var a) { return matrices("inverse", &a, NULL) ? matrix_inverse(a) : POISON(a.graph); }

/* Of matrices without elements the determinant is 1. */
static clg_var determinant(clg_var a, int which)
{
    clg_shape batch = clg_shape_of(a);
    batch.rank -= 2;
    if (rows_of(a) == 0)
        return clg_full(a.graph, clg_dtype_of(a), batch, which != DETERMINANT_LOG);
    return matrix_node(OP_DETERMINANT, a, a, which);
}

clg_var clg_determinant(clg_var a)
{
    return matrices("determinant", &a, NULL) ? determinant(a, DETERMINANT_VALUE) : POISON(a.graph);
}

clg_var clg_log_determinant(clg_var a, clg_var *sign)
{
    const bool good = matrices("log_determinant", &a, NULL);
    if (sign)
        *sign = good ? determinant(a, DETERMINANT_SIGN) : POISON(a.graph);
    return good ? determinant(a, DETERMINANT_LOG) : POISON(a.graph);
}
