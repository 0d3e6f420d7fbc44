/* Entries that factor and solve. */
#include "opinfo.h"

/* Whether PyTorch's factorization succeeded has no counterpart. */
static clg_var with_info(call *c, clg_var y)
{
    put(c, y);
    put(c, CLG_NONE);
    arg(c, -1, "check_errors");
    return CLG_NONE;
}

static clg_var cholesky(call *c)
{
    clg_var l = clg_cholesky(arg_var(c, 0, NULL));
    return arg_bool(c, 1, "upper", false) ? clg_transpose(l) : l;
}

static clg_var cholesky_ex(call *c) { return with_info(c, cholesky(c)); }

/* The matrix of a factor. */
static clg_var product(call *c, int position)
{
    clg_var l = arg_var(c, position, NULL);
    const bool upper = arg_bool(c, position + 1, "upper", false);
    return upper ? clg_matmul(clg_transpose(l), l) : clg_matmul(l, clg_transpose(l));
}

static clg_var cholesky_inverse(call *c) { return clg_inverse(product(c, 0)); }

static clg_var cholesky_solve(call *c)
{
    clg_var b = arg_var(c, 0, NULL);
    return clg_solve(product(c, 1), b);
}

static clg_var unit_diagonal(clg_var a)
{
    return clg_where(clg_eye(a.graph, CLG_U8, extent(a, -1), extent(a, -1)), clg_scalar_like(a, 1), a);
}

static clg_var solve_triangular(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    const bool upper = arg_bool(c, -1, "upper", false);
    if (arg_bool(c, -1, "unitriangular", false))
        a = unit_diagonal(a);
    if (arg_bool(c, -1, "left", true))
        return clg_solve_triangular(a, b, upper);
    return clg_transpose(clg_solve_triangular(clg_transpose(a), clg_transpose(b), !upper));
}

static clg_var triangular_solve(call *c)
{
    clg_var b = arg_var(c, 0, NULL), given = arg_var(c, 1, NULL), a = given;
    const bool upper = arg_bool(c, 2, "upper", true), transpose = arg_bool(c, 3, "transpose", false);
    if (arg_bool(c, 4, "unitriangular", false))
        a = unit_diagonal(a);
    put(c, clg_solve_triangular(transpose ? clg_transpose(a) : a, b, upper != transpose));
    put(c, given);
    return CLG_NONE;
}

/* b is a vector for each matrix where its shape says so. */
static clg_var solve(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    bool vectors = rank_of(b) == rank_of(a) - 1;
    for (int i = 0; vectors && i < rank_of(b); i++)
        vectors = extent(a, i) == extent(b, i);
    vectors |= rank_of(b) == 1;
    if (!arg_bool(c, -1, "left", true))
        return clg_transpose(clg_solve(clg_transpose(a), clg_transpose(b)));
    return vectors ? clg_squeeze(clg_solve(a, clg_expand_dims(b, CLG_AXES(-1))), CLG_AXES(-1)) : clg_solve(a, b);
}

static clg_var solve_ex(call *c) { return with_info(c, solve(c)); }
static clg_var inverse_ex(call *c) { return with_info(c, clg_inverse(arg_var(c, 0, NULL))); }

static clg_var slogdet(call *c)
{
    clg_var sign, size = clg_log_determinant(arg_var(c, 0, NULL), &sign);
    put(c, sign);
    put(c, size);
    return CLG_NONE;
}

static clg_var logdet(clg_var a)
{
    clg_var sign, size = clg_log_determinant(a, &sign);
    return clg_add(size, clg_log(sign));
}

/* The first axes as rows, the others as columns, and back. */
static clg_var tensorinv(call *c)
{
    clg_var a = arg_var(c, 0, NULL);
    const int rows = (int)arg_int(c, 1, "ind", 2), rank = rank_of(a);
    clg_shape shape = {.rank = rank};
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        shape.dim[i] = extent(a, (i + rows) % rank);
        n *= i < rows ? extent(a, i) : 1;
    }
    return clg_reshape(clg_inverse(clg_reshape(a, CLG_SHAPE(n, n))), shape);
}

static clg_var tensorsolve(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    int64_t dims[OPINFO_LIST];
    const int moved = arg_ints(c, 2, "dims", dims), rank = rank_of(a);
    clg_axes order = {0};
    for (int i = 0; i < rank; i++) {
        bool behind = false;
        for (int k = 0; k < moved; k++)
            behind |= axis_in(a, dims[k]) == i;
        if (!behind)
            order.axis[order.count++] = i;
    }
    for (int k = 0; k < moved; k++)
        order.axis[order.count++] = axis_in(a, dims[k]);
    a = clg_permute(a, order);
    const int64_t n = clg_shape_count(clg_shape_of(b));
    clg_shape shape = {0};
    for (int i = rank_of(b); i < rank; i++)
        shape.dim[shape.rank++] = extent(a, i);
    return clg_reshape(clg_solve(clg_reshape(a, CLG_SHAPE(n, n)), clg_reshape(b, CLG_SHAPE(n, 1))), shape);
}

/* ---------------------------------------------------------------- of factors that are given */

static clg_var unit_lower(clg_var lu) { return unit_diagonal(clg_tril(lu, 0)); }

/* The rows of a matrix in the order of swaps, row i with row pivots[i] - 1, one after the other; back: undone. They are
 * read on the host, one matrix's behind the other's. */
static clg_var swapped(call *c, clg_var x, const cJSON *given, bool back)
{
    const cJSON *number_of = cJSON_GetObjectItem(given, "tensor");
    const opinfo_tensor *pivots = &c->sample->tensors[number_of ? number_of->valueint : 0];
    const int64_t n = extent(x, -2), swaps = pivots->shape.rank ? pivots->shape.dim[pivots->shape.rank - 1] : 0;
    int64_t matrices = 1;
    for (int i = 0; i + 1 < pivots->shape.rank; i++)
        matrices *= pivots->shape.dim[i];
    int32_t order[512];
    if (!number_of || matrices * n > 512)
        return skip_sample(c, "many rows");
    for (int64_t m = 0; m < matrices; m++) {
        int32_t *rows = order + m * n;
        for (int64_t i = 0; i < n; i++)
            rows[i] = (int32_t)i;
        for (int64_t k = 0; k < swaps; k++) {
            const int64_t i = back ? swaps - 1 - k : k, j = (int64_t)opinfo_element(pivots, m * swaps + i) - 1;
            const int32_t row = rows[i];
            rows[i] = rows[j];
            rows[j] = row;
        }
    }
    clg_shape shape = pivots->shape;
    shape.dim[shape.rank - 1] = n;
    clg_var at = clg_array(c->graph, CLG_I32, shape, order);
    clg_shape wide = clg_shape_of(x);
    for (int i = 0; i < shape.rank - 1; i++)
        wide.dim[i] = shape.dim[i];
    return clg_gather_elements(x, clg_broadcast_to(clg_expand_dims(at, CLG_AXES(-1)), wide), -2);
}

/* P L U x = b, or with the transposed product. */
static clg_var solve_by_factors(call *c, clg_var lu, const cJSON *pivots, clg_var b, bool transposed)
{
    clg_var l = unit_lower(lu);
    if (!transposed)
        return clg_solve_triangular(lu, clg_solve_triangular(l, swapped(c, b, pivots, false), false), true);
    b = clg_solve_triangular(clg_transpose(lu), b, false);
    return swapped(c, clg_solve_triangular(clg_transpose(l), b, true), pivots, true);
}

static clg_var lu_solve(call *c)
{
    clg_var b = arg_var(c, 0, NULL), lu = arg_var(c, 1, NULL);
    return solve_by_factors(c, lu, arg(c, 2, NULL), b, false);
}

static clg_var linalg_lu_solve(call *c)
{
    clg_var lu = arg_var(c, 0, NULL), b = arg_var(c, 2, NULL);
    const bool adjoint = arg_bool(c, -1, "adjoint", false), left = arg_bool(c, -1, "left", true);
    const cJSON *pivots = arg(c, 1, NULL);
    return left ? solve_by_factors(c, lu, pivots, b, adjoint)
                : clg_transpose(solve_by_factors(c, lu, pivots, clg_transpose(b), !adjoint));
}

/* P, L and U of (m, n) matrices. */
static clg_var lu_unpack(call *c)
{
    clg_var lu = arg_var(c, 0, NULL);
    const cJSON *pivots = arg(c, 1, NULL);
    const int64_t m = extent(lu, -2), n = extent(lu, -1), k = m < n ? m : n;
    if (!arg_bool(c, 2, "unpack_data", true) || !arg_bool(c, 3, "unpack_pivots", true))
        return skip_sample(c, "parts of it");
    clg_shape square = shape_with(lu, -1, m);
    clg_var eye = clg_broadcast_to(clg_eye(c->graph, clg_dtype_of(lu), m, m), square);
    clg_var lower = clg_slice(lu, -1, 0, k, 1);
    put(c, swapped(c, eye, pivots, true));
    put(c, clg_where(clg_eye(c->graph, CLG_U8, m, k), clg_scalar_like(lu, 1), clg_tril(lower, 0)));
    put(c, clg_triu(clg_slice(lu, -2, 0, k, 1), 0));
    return CLG_NONE;
}

/* y with reflections I - tau v v^T from the left, the last one first (last: the first one first); v has 1 at its place
 * and what the columns of a have below. */
static clg_var reflected(clg_var a, clg_var tau, clg_var y, bool last)
{
    const int64_t m = extent(a, -2), count = extent(tau, -1);
    clg_var below = clg_where(clg_eye(a.graph, CLG_U8, m, extent(a, -1)), clg_scalar_like(a, 1), clg_tril(a, 0));
    for (int64_t k = 0; k < count; k++) {
        const int64_t i = last ? k : count - 1 - k;
        clg_var v = clg_slice(below, -1, i, i + 1, 1),
                factor = clg_expand_dims(clg_slice(tau, -1, i, i + 1, 1), CLG_AXES(-1));
        y = clg_sub(y, clg_mul(factor, clg_matmul(v, clg_matmul(clg_transpose(v), y))));
    }
    return y;
}

static clg_var householder_product(call *c)
{
    clg_var a = arg_var(c, 0, NULL), tau = arg_var(c, 1, NULL);
    clg_var eye = clg_eye(c->graph, clg_dtype_of(a), extent(a, -2), extent(a, -1));
    return reflected(a, tau, clg_broadcast_to(eye, clg_shape_of(a)), false);
}

static clg_var ormqr(call *c)
{
    clg_var a = arg_var(c, 0, NULL), tau = arg_var(c, 1, NULL), y = arg_var(c, 2, NULL);
    const bool left = arg_bool(c, 3, "left", true), transpose = arg_bool(c, 4, "transpose", false);
    return left ? reflected(a, tau, y, transpose) : clg_transpose(reflected(a, tau, clg_transpose(y), !transpose));
}

const opinfo_row opinfo_solvers[] = {
    BUILD("cholesky_inverse", cholesky_inverse),
    BUILD("cholesky_solve", cholesky_solve),
    BUILD("linalg.cholesky", cholesky),
    BUILD("linalg.cholesky_ex", cholesky_ex),
    UNARY("linalg.det", clg_determinant),
    BUILD("linalg.householder_product", householder_product),
    UNARY("linalg.inv", clg_inverse),
    BUILD("linalg.inv_ex", inverse_ex),
    BUILD("linalg.lu_solve", linalg_lu_solve),
    BUILD("linalg.slogdet", slogdet),
    BUILD("linalg.solve", solve),
    BUILD("linalg.solve_ex", solve_ex),
    BUILD("linalg.solve_triangular", solve_triangular),
    BUILD("linalg.tensorinv", tensorinv),
    BUILD("linalg.tensorsolve", tensorsolve),
    UNARY("logdet", logdet),
    BUILD("lu_solve", lu_solve),
    BUILD("lu_unpack", lu_unpack),
    BUILD("ormqr", ormqr),
    BUILD("triangular_solve", triangular_solve),
    {0},
};
