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

const opinfo_row opinfo_solvers[] = {
    BUILD("cholesky_inverse", cholesky_inverse),
    BUILD("cholesky_solve", cholesky_solve),
    BUILD("linalg.cholesky", cholesky),
    BUILD("linalg.cholesky_ex", cholesky_ex),
    UNARY("linalg.det", clg_determinant),
    UNARY("linalg.inv", clg_inverse),
    BUILD("linalg.inv_ex", inverse_ex),
    BUILD("linalg.slogdet", slogdet),
    BUILD("linalg.solve", solve),
    BUILD("linalg.solve_ex", solve_ex),
    BUILD("linalg.solve_triangular", solve_triangular),
    BUILD("linalg.tensorinv", tensorinv),
    BUILD("linalg.tensorsolve", tensorsolve),
    UNARY("logdet", logdet),
    BUILD("triangular_solve", triangular_solve),
    {0},
};
