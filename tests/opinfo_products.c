/* Entries of vectors and matrices. */
#include "opinfo.h"

#include <stdio.h>

static clg_var dot(clg_var a, clg_var b) { return clg_sum(clg_mul(a, b), CLG_ALL_AXES, false); }

/* Over the last axes. */
static clg_var inner(clg_var a, clg_var b)
{
    if (rank_of(a) == 0 || rank_of(b) == 0)
        return clg_mul(a, b);
    clg_shape shape = {0};
    for (int i = 0; i + 1 < rank_of(a); i++)
        shape.dim[shape.rank++] = extent(a, i);
    for (int i = 0; i + 1 < rank_of(b); i++)
        shape.dim[shape.rank++] = extent(b, i);
    const int64_t k = extent(a, -1), m = clg_shape_count(clg_shape_of(a)), n = clg_shape_count(clg_shape_of(b));
    if (!k || !m || !n)
        return clg_reshape(clg_sum(clg_mul(a, b), CLG_AXES(-1), false), shape);
    a = clg_reshape(a, CLG_SHAPE(m / k, k));
    b = clg_reshape(b, CLG_SHAPE(n / k, k));
    return clg_reshape(clg_matmul(a, clg_transpose(b)), shape);
}

static clg_var scaled(clg_var x, double factor) { return factor == 1 ? x : clg_mul(x, clg_scalar_like(x, factor)); }

/* beta x + alpha y; where beta is 0, x does not count. */
static clg_var combined(call *c, clg_var y)
{
    clg_var x = arg_var(c, 0, NULL);
    const double beta = arg_number(c, -1, "beta", 1), alpha = arg_number(c, -1, "alpha", 1);
    return beta == 0 ? scaled(y, alpha) : clg_add(scaled(x, beta), scaled(y, alpha));
}

static clg_var addmm(call *c) { return combined(c, clg_matmul(arg_var(c, 1, NULL), arg_var(c, 2, NULL))); }
static clg_var addr(call *c) { return combined(c, clg_outer(arg_var(c, 1, NULL), arg_var(c, 2, NULL))); }

static clg_var addbmm(call *c)
{
    return combined(c, clg_sum(clg_matmul(arg_var(c, 1, NULL), arg_var(c, 2, NULL)), CLG_AXES(0), false));
}

static clg_var einsum(call *c)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    const char *equation = arg_string(c, 1, NULL, NULL);
    return equation ? clg_einsum(equation, xs, count) : skip_sample(c, "an equation that is no text");
}

/* The axes of each that are summed, as the letters of an equation. */
static clg_var tensordot(call *c)
{
    const clg_var xs[] = {arg_var(c, 0, NULL), arg_var(c, 1, NULL)};
    const cJSON *dims = arg(c, -1, "dims"), *lists[2] = {cJSON_GetArrayItem(dims, 0), cJSON_GetArrayItem(dims, 1)};
    const int count = lists[0] ? cJSON_GetArraySize(lists[0]) : dims->valueint;
    char letters[2][CLG_MAX_RANK + 1] = {{0}}, equation[64], *end = equation;
    for (int o = 0; o < 2; o++) {
        for (int i = 0; i < rank_of(xs[o]); i++)
            letters[o][i] = (char)('a' + 10 * o + i);
        for (int i = 0; i < count; i++) {
            const int given = lists[o] ? cJSON_GetArrayItem(lists[o], i)->valueint : o ? i : i - count;
            letters[o][axis_in(xs[o], given)] = (char)('A' + i);
        }
    }
    end += sprintf(end, "%s,%s->", letters[0], letters[1]);
    for (int o = 0; o < 2; o++)
        for (const char *l = letters[o]; *l; l++)
            if (*l >= 'a')
                *end++ = *l;
    *end = 0;
    return clg_einsum(equation, xs, 2);
}

static clg_var multi_dot(call *c)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    clg_var product = xs[0];
    for (int i = 1; i < count; i++)
        product = clg_matmul(product, xs[i]);
    return product;
}

static clg_var identity_like(clg_var x)
{
    return clg_broadcast_to(clg_eye(x.graph, clg_dtype_of(x), extent(x, -2), extent(x, -1)), clg_shape_of(x));
}

static clg_var matrix_power(call *c)
{
    clg_var x = arg_var(c, 0, NULL), power = identity_like(x);
    const int64_t n = arg_int(c, 1, "n", 1);
    clg_var factor = n < 0 ? clg_inverse(x) : x;
    for (int64_t i = 0; i < (n < 0 ? -n : n); i++)
        power = clg_matmul(power, factor);
    return power;
}

static clg_var vecdot(call *c)
{
    clg_var product = clg_mul(arg_var(c, 0, NULL), arg_var(c, 1, NULL));
    return clg_sum(product, CLG_AXES(arg_axis(c, 2, "dim", -1)), false);
}

static clg_var cross(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    return clg_cross(a, b, arg_axis(c, 2, "dim", -1));
}

static clg_var linear(call *c)
{
    clg_var x = arg_var(c, 0, NULL), w = arg_var(c, 1, "weight"), bias = arg_var(c, 2, "bias");
    clg_var y = rank_of(w) == 1 ? clg_matmul(x, w) : clg_matmul(x, clg_transpose(w));
    return bias.id == CLG_NONE.id ? y : clg_add(y, bias);
}

static clg_var bilinear(call *c)
{
    const clg_var xs[] = {arg_var(c, 0, NULL), arg_var(c, 2, NULL), arg_var(c, 1, NULL)};
    clg_var y = clg_einsum("...i,oij,...j->...o", xs, 3), bias = arg_var(c, 3, "bias");
    return bias.id == CLG_NONE.id ? y : clg_add(y, bias);
}

/* ---------------------------------------------------------------- diagonals */

/* Axes first and second moved to the end, or back. */
static clg_var to_the_end(clg_var x, int first, int second, bool back)
{
    clg_axes order = {0}, inverse = {0};
    for (int i = 0; i < rank_of(x); i++)
        if (i != first && i != second)
            order.axis[order.count++] = i;
    order.axis[order.count++] = first;
    order.axis[order.count++] = second;
    inverse.count = order.count;
    for (int i = 0; i < order.count; i++)
        inverse.axis[order.axis[i]] = i;
    return clg_permute(x, back ? inverse : order);
}

/* Of the last two axes. */
static clg_var diagonal_at(clg_var x, int64_t offset)
{
    x = offset > 0 ? clg_slice(x, -1, offset, INT64_MAX, 1) : clg_slice(x, -2, -offset, INT64_MAX, 1);
    const int64_t n = extent(x, -1) < extent(x, -2) ? extent(x, -1) : extent(x, -2);
    return clg_diagonal(clg_slice(clg_slice(x, -1, 0, n, 1), -2, 0, n, 1));
}

static clg_var diagonal_of(call *c, int dim1, int dim2)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t offset = arg_int(c, 1, "offset", 0);
    const int a = axis_in(x, arg_axis(c, 2, "dim1", dim1)), b = axis_in(x, arg_axis(c, 3, "dim2", dim2));
    return diagonal_at(to_the_end(x, a, b, false), offset);
}

static clg_var diagonal(call *c) { return diagonal_of(c, 0, 1); }

static clg_var linalg_diagonal(call *c)
{
    clg_var x = arg_var(c, 0, "A");
    const int64_t offset = arg_int(c, -1, "offset", 0);
    const int a = axis_in(x, arg_axis(c, -1, "dim1", -2)), b = axis_in(x, arg_axis(c, -1, "dim2", -1));
    return diagonal_at(to_the_end(x, a, b, false), offset);
}

/* (..., n) to (..., n + |k|, n + |k|). */
static clg_var embedded(clg_var x, int64_t offset)
{
    const int64_t n = extent(x, -1), size = n + (offset < 0 ? -offset : offset);
    clg_var main = clg_where(clg_eye(x.graph, CLG_U8, n, n), clg_expand_dims(x, CLG_AXES(-1)), clg_scalar_like(x, 0));
    clg_shape before = {.rank = rank_of(main)}, after = {.rank = rank_of(main)};
    before.dim[before.rank - (offset < 0 ? 2 : 1)] = size - n;
    after.dim[before.rank - (offset < 0 ? 1 : 2)] = size - n;
    return clg_pad(main, before, after, CLG_PAD_CONSTANT, 0);
}

static clg_var diag_embed(call *c)
{
    clg_var x = embedded(arg_var(c, 0, NULL), arg_int(c, 1, "offset", 0));
    const int a = axis_in(x, arg_axis(c, 2, "dim1", -2)), b = axis_in(x, arg_axis(c, 3, "dim2", -1));
    return to_the_end(x, a, b, true);
}

static clg_var diag(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t offset = arg_int(c, 1, "diagonal", 0);
    return rank_of(x) == 1 ? embedded(x, offset) : diagonal_at(x, offset);
}

static clg_var diagflat(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return embedded(clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))), arg_int(c, 1, "offset", 0));
}

/* part's elements on a diagonal of x. */
static clg_var diagonal_scatter(call *c)
{
    clg_var x = arg_var(c, 0, NULL), part = arg_var(c, 1, "src");
    const int64_t offset = arg_int(c, 2, "offset", 0);
    const int a = axis_in(x, arg_axis(c, 3, "dim1", 0)), b = axis_in(x, arg_axis(c, 4, "dim2", 1));
    clg_var moved = to_the_end(x, a, b, false), wide = embedded(part, offset);
    const int64_t rows = extent(moved, -2), columns = extent(moved, -1), size = extent(wide, -1);
    clg_var on = clg_full(x.graph, CLG_U8, CLG_SHAPE(extent(part, -1)), 1);
    clg_shape none = {.rank = rank_of(wide)}, more = {.rank = rank_of(wide)};
    more.dim[more.rank - 2] = rows > size ? rows - size : 0;
    more.dim[more.rank - 1] = columns > size ? columns - size : 0;
    wide = clg_slice(clg_slice(clg_pad(wide, none, more, CLG_PAD_CONSTANT, 0), -2, 0, rows, 1), -1, 0, columns, 1);
    on = clg_pad(embedded(on, offset), CLG_SCALAR, CLG_SHAPE(more.dim[more.rank - 2], more.dim[more.rank - 1]),
                 CLG_PAD_CONSTANT, 0);
    on = clg_slice(clg_slice(on, -2, 0, rows, 1), -1, 0, columns, 1);
    return to_the_end(clg_where(on, wide, moved), a, b, true);
}

static clg_var trace(clg_var x) { return clg_sum(diagonal_at(x, 0), CLG_AXES(-1), false); }
static clg_var tril(call *c) { return clg_tril(arg_var(c, 0, NULL), arg_int(c, 1, "diagonal", 0)); }
static clg_var triu(call *c) { return clg_triu(arg_var(c, 0, NULL), arg_int(c, 1, "diagonal", 0)); }

/* Powers 0 ... n - 1 along a new last axis. */
static clg_var vander(call *c)
{
    clg_var x = arg_var(c, 0, NULL), powers[OPINFO_LIST];
    x = rank_of(x) ? x : clg_reshape(x, CLG_SHAPE(1));
    const int64_t n = arg_int(c, -1, "N", extent(x, -1));
    if (n > OPINFO_LIST)
        return skip_sample(c, "many powers");
    for (int i = 0; i < n; i++)
        powers[i] = i ? clg_mul(powers[i - 1], x) : clg_broadcast_to(clg_scalar_like(x, 1), clg_shape_of(x));
    return clg_stack(powers, (int)n, -1);
}

/* ---------------------------------------------------------------- distances and covariances */

static clg_var distances(clg_var a, clg_var b, double p)
{
    clg_var d = clg_sub(clg_expand_dims(a, CLG_AXES(-2)), clg_expand_dims(b, CLG_AXES(-3)));
    return clg_norm(d, p, CLG_AXES(-1), false);
}

static clg_var cdist(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, NULL);
    arg_string(c, 3, "compute_mode", NULL); /* how it is computed, not what */
    return distances(a, b, arg_number(c, 2, "p", 2));
}

static clg_var pairwise_distance(call *c)
{
    clg_var d = clg_sub(arg_var(c, 0, NULL), arg_var(c, 1, NULL));
    d = clg_add(d, number(c, arg_number(c, 3, "eps", 1e-6)));
    return clg_norm(d, arg_number(c, 2, "p", 2), CLG_AXES(-1), arg_bool(c, 4, "keepdim", false));
}

/* Rows are variables. */
static clg_var covariance(clg_var x, double corrected)
{
    const bool single = rank_of(x) < 2;
    x = single ? clg_reshape(x, CLG_SHAPE(1, -1)) : x;
    clg_var d = clg_sub(x, clg_mean(x, CLG_AXES(1), true));
    const double n = (double)extent(x, 1) - corrected;
    clg_var cov = clg_div(clg_matmul(d, clg_transpose(d)), clg_scalar_like(d, n < 0 ? 0 : n));
    return single || extent(x, 0) == 1 ? clg_reshape(cov, CLG_SCALAR) : cov;
}

/* Weights of observations: how often each one is there, how much it counts. */
static clg_var cov(call *c)
{
    clg_var often = arg_var(c, -1, "fweights"), much = arg_var(c, -1, "aweights"), x = arg_var(c, 0, NULL);
    const double corrected = arg_number(c, 1, "correction", 1);
    if (often.id == CLG_NONE.id && much.id == CLG_NONE.id)
        return covariance(x, corrected);
    clg_var one = number(c, 1), w = clg_mul(often.id == CLG_NONE.id ? one : often, much.id == CLG_NONE.id ? one : much);
    clg_var sum = clg_sum(w, CLG_ALL_AXES, false), lost = clg_scalar_like(sum, corrected);
    if (much.id != CLG_NONE.id)
        lost = clg_mul(lost, clg_div(clg_sum(clg_mul(w, much), CLG_ALL_AXES, false), sum));
    x = rank_of(x) < 2 ? clg_reshape(x, CLG_SHAPE(1, -1)) : x;
    clg_var d = clg_sub(x, clg_div(clg_sum(clg_mul(x, w), CLG_AXES(1), true), sum));
    clg_var all = clg_matmul(clg_mul(d, w), clg_transpose(d));
    clg_var cov = clg_div(all, clg_maximum(clg_sub(sum, lost), number(c, 0)));
    return extent(x, 0) == 1 ? clg_reshape(cov, CLG_SCALAR) : cov;
}

static clg_var corrcoef(clg_var x)
{
    clg_var m = covariance(x, 1);
    if (rank_of(m) == 0)
        return clg_div(m, m);
    clg_var s = clg_sqrt(clg_diagonal(m));
    return clg_clip(clg_div(clg_div(m, clg_expand_dims(s, CLG_AXES(1))), s), -1, 1);
}

const opinfo_row opinfo_products[] = {
    BUILD("addbmm", addbmm),
    BUILD("addmm", addmm),
    BUILD("addmm.decomposed", addmm),
    BUILD("addmv", addmm),
    BUILD("addr", addr),
    BUILD("baddbmm", addmm),
    BINARY("bmm", clg_matmul),
    BINARY("bmm.triton_optimized", clg_matmul),
    BUILD("cdist", cdist),
    UNARY("corrcoef", corrcoef),
    BUILD("cov", cov),
    BUILD("cross", cross),
    BUILD("diag", diag),
    BUILD("diag_embed", diag_embed),
    BUILD("diagflat", diagflat),
    BUILD("diagonal", diagonal),
    BUILD("diagonal_copy", diagonal),
    BUILD("diagonal_scatter", diagonal_scatter),
    BINARY("dot", dot),
    BUILD("einsum", einsum),
    BINARY("inner", inner),
    BINARY("kron", clg_kron),
    BUILD("linalg.cross", cross),
    BUILD("linalg.diagonal", linalg_diagonal),
    BUILD("linalg.matrix_power", matrix_power),
    BUILD("linalg.multi_dot", multi_dot),
    BUILD("linalg.vander", vander),
    BUILD("linalg.vecdot", vecdot),
    BINARY("matmul", clg_matmul),
    BINARY("mm", clg_matmul),
    BINARY("mv", clg_matmul),
    BUILD("nn.functional.bilinear", bilinear),
    BUILD("nn.functional.linear", linear),
    BUILD("nn.functional.pairwise_distance", pairwise_distance),
    BINARY("outer", clg_outer),
    BUILD("tensordot", tensordot),
    UNARY("trace", trace),
    BUILD("tril", tril),
    BUILD("triu", triu),
    BINARY("vdot", dot),
    {0},
};
