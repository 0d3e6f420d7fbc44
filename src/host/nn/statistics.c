/* Reductions made of others. */
#include "helpers.h"

#include <math.h>

/* Reduced axes, which y has with extent 1, dropped unless they are to be kept. */
static clg_var kept(clg_var y, clg_axes axes, bool keepdims) { return keepdims ? y : clg_squeeze(y, axes); }

/* Elements of x for each one of its reduction y. */
static double reduced_count(clg_var x, clg_var y)
{
    return (double)clg_shape_count(clg_shape_of(x)) / (double)clg_shape_count(clg_shape_of(y));
}

/* y ^ p where y is not 0, else 0, without the infinite slope that roots have there. */
static clg_var power_off_zero(clg_var y, double p)
{
    clg_var none = clg_equal(y, zero_like(y)), safe = clg_where(none, clg_scalar_like(y, 1), y);
    clg_var power = p == 0.5 ? clg_sqrt(safe) : clg_pow(safe, clg_scalar_like(y, p));
    return clg_where(none, zero_like(y), power);
}

clg_var clg_variance(clg_var x, clg_axes axes, double correction, bool keepdims)
{
    clg_var wide = as_wide(x), mean = clg_mean(wide, axes, true);
    clg_var total = clg_sum(clg_square(clg_sub(wide, mean)), axes, true);
    const double freedom = reduced_count(x, mean) - correction;
    return as_given(kept(times(total, freedom > 0 ? 1 / freedom : NAN), axes, keepdims), x);
}

clg_var clg_std(clg_var x, clg_axes axes, double correction, bool keepdims)
{
    return as_given(power_off_zero(clg_variance(as_wide(x), axes, correction, keepdims), 0.5), x);
}

clg_var clg_logsumexp(clg_var x, clg_axes axes, bool keepdims)
{
    clg_var wide = as_wide(x), most = clg_stop_gradient(clg_max(wide, axes, true));
    most = clg_where(clg_is_finite(most), most, zero_like(most));
    clg_var total = clg_sum(clg_exp(clg_sub(wide, most)), axes, true);
    return as_given(kept(clg_add(clg_log(total), most), axes, keepdims), x);
}

/* 0 where one element is, or so small that its power overflows; those beside it are taken as 1 there, so that their
 * slopes are finite. */
static clg_var negative_norm(clg_var size, double p, clg_axes axes, bool keepdims)
{
    clg_var power = clg_scalar_like(size, p), root = clg_scalar_like(size, 1 / p);
    clg_var none = clg_is_inf(clg_sum(clg_pow(clg_stop_gradient(size), power), axes, true));
    clg_var total = clg_sum(clg_pow(clg_where(none, clg_scalar_like(size, 1), size), power), axes, true);
    return kept(clg_where(none, zero_like(size), clg_pow(total, root)), axes, keepdims);
}

static clg_var norm(clg_var x, double p, clg_axes axes, bool keepdims)
{
    if (isinf(p) && clg_shape_count(clg_shape_of(x)) > 0)
        return p > 0 ? clg_max(clg_abs(x), axes, keepdims) : clg_min(clg_abs(x), axes, keepdims);
    if (p == 0)
        return clg_cast(clg_count_nonzero(x, axes, keepdims), clg_dtype_of(x));
    if (p == 1 || isinf(p))
        return clg_sum(clg_abs(x), axes, keepdims);
    if (p < 0)
        return negative_norm(clg_abs(x), p, axes, keepdims);
    clg_var powers = p == 2 ? clg_square(x) : power_off_zero(clg_abs(x), p);
    return power_off_zero(clg_sum(powers, axes, keepdims), 1 / p);
}

clg_var clg_norm(clg_var x, double p, clg_axes axes, bool keepdims)
{
    return as_given(norm(as_wide(x), p, axes, keepdims), x);
}

/* Reduced axes last, as one. */
static clg_var rows_of(clg_var x, clg_axes axes)
{
    const clg_shape shape = clg_shape_of(x), kept_shape = clg_shape_of(clg_max(x, axes, true));
    clg_axes order = {0};
    int64_t rows = 1;
    for (int pass = 0; pass < 2; pass++)
        for (int d = 0; d < shape.rank; d++) {
            const bool reduced = kept_shape.dim[d] != shape.dim[d];
            if (reduced == (pass == 1))
                order.axis[order.count++] = d;
            rows *= pass == 0 && !reduced ? shape.dim[d] : 1;
        }
    return clg_reshape(clg_permute(x, order), CLG_SHAPE(rows, rows ? clg_shape_count(shape) / rows : 0));
}

clg_var clg_prod(clg_var x, clg_axes axes, bool keepdims)
{
    const clg_var given = x, whole = clg_max(x, axes, true);
    if (!clg_is_valid(whole))
        return whole;
    x = clg_dtype_is_real(clg_dtype_of(x)) ? as_wide(x) : clg_cast(x, CLG_I64);
    const clg_shape shape = clg_shape_of(whole);
    clg_var y = rows_of(x, axes), one = clg_scalar_like(x, 1);
    for (int64_t n = clg_shape_of(y).dim[1]; n > 1; n = clg_shape_of(y).dim[1]) {
        const int64_t half = (n + 1) / 2;
        if (n % 2)
            y = clg_pad(y, CLG_SHAPE(0, 0), CLG_SHAPE(0, 1), CLG_PAD_CONSTANT, 1);
        y = clg_mul(clg_slice(y, 1, 0, half, 1), clg_slice(y, 1, half, 2 * half, 1));
    }
    const bool empty = clg_shape_count(shape) != clg_shape_count(clg_shape_of(y));
    return as_given(kept(empty ? clg_broadcast_to(one, shape) : clg_reshape(y, shape), axes, keepdims), given);
}

clg_var clg_count_nonzero(clg_var x, clg_axes axes, bool keepdims)
{
    return clg_sum(clg_not_equal(x, zero_like(x)), axes, keepdims);
}

clg_var clg_any(clg_var x, clg_axes axes, bool keepdims)
{
    return clg_max(clg_not_equal(x, zero_like(x)), axes, keepdims);
}

/* None is 0: of nothing, too. */
clg_var clg_all(clg_var x, clg_axes axes, bool keepdims)
{
    return clg_logical_not(clg_max(clg_equal(x, zero_like(x)), axes, keepdims));
}

/* Of the values in the reverse order: -1 - x of integers, which does not overflow. */
clg_var clg_argmin(clg_var x, int axis)
{
    const clg_dtype dtype = clg_dtype_of(x);
    clg_var turned = clg_dtype_is_real(dtype) ? clg_neg(x)
                     : dtype == CLG_BOOL      ? clg_logical_not(x)
                                              : clg_sub(clg_scalar_like(x, dtype == CLG_U8 ? 255 : -1), x);
    return clg_argmax(turned, axis);
}
