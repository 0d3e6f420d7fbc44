/* Elementwise functions made of others. */
#include "helpers.h"

#include <math.h>

clg_var clg_scalar_like(clg_var x, double value)
{
    return clg_is_valid(x) ? clg_full(x.graph, clg_dtype_of(x), CLG_SCALAR, value) : x;
}

clg_var clg_reciprocal(clg_var x)
{
    x = as_float(x);
    return clg_div(clg_scalar_like(x, 1), x);
}

clg_var clg_rsqrt(clg_var x) { return clg_reciprocal(clg_sqrt(x)); }

/* By comparisons, which NaN fails, so that it passes through. */
clg_var clg_clip(clg_var x, double low, double high)
{
    low = low > high ? high : low;
    clg_var least = clg_scalar_like(x, low), most = clg_scalar_like(x, high);
    return clg_where(clg_less_equal(x, least), least, clg_where(clg_less_equal(most, x), most, x));
}

clg_var clg_lerp(clg_var a, clg_var b, clg_var weight)
{
    a = as_float(a);
    return clg_add(a, clg_mul(weight, clg_sub(as_float(b), a)));
}

/* 0 log(y) is taken as 0 where the logarithm is infinite or NaN though y is not: its operand is 1 there, so that the
 * gradient for y is 0. */
clg_var clg_xlogy(clg_var x, clg_var y)
{
    y = as_float(y);
    clg_var wild = clg_logical_or(clg_less_equal(y, zero_like(y)), clg_equal(y, clg_scalar_like(y, INFINITY)));
    clg_var none = clg_logical_and(clg_equal(x, zero_like(x)), wild);
    return clg_mul(x, clg_log(clg_where(none, clg_scalar_like(y, 1), y)));
}

/* The larger + softplus(the smaller - the larger); the larger where they are infinitely far from each other, or equal
 * and infinite. */
clg_var clg_logaddexp(clg_var a, clg_var b)
{
    a = as_float(a);
    b = as_float(b);
    clg_var less = clg_less(b, a), most = clg_where(less, a, b), least = clg_where(less, b, a);
    clg_var difference = clg_sub(least, most), near = clg_is_finite(difference);
    clg_var more = clg_softplus(clg_where(near, difference, zero_like(difference)));
    return clg_where(near, clg_add(most, more), clg_maximum(a, b));
}

clg_var clg_logit(clg_var x)
{
    x = as_float(x);
    return clg_sub(clg_log(x), clg_log1p(clg_neg(x)));
}

clg_var clg_radians(clg_var degrees) { return times(as_float(degrees), acos(-1) / 180); }
clg_var clg_degrees(clg_var radians) { return times(as_float(radians), 180 / acos(-1)); }

/* ---------------------------------------------------------------- truth */

static clg_var truth(clg_var x) { return clg_cast(x, CLG_BOOL); }

clg_var clg_logical_and(clg_var a, clg_var b)
{
    return clg_where(truth(a), truth(b), clg_full(b.graph, CLG_BOOL, CLG_SCALAR, 0));
}
clg_var clg_logical_or(clg_var a, clg_var b)
{
    return clg_where(truth(a), clg_full(a.graph, CLG_BOOL, CLG_SCALAR, 1), truth(b));
}
clg_var clg_logical_xor(clg_var a, clg_var b) { return clg_not_equal(truth(a), truth(b)); }
clg_var clg_logical_not(clg_var x) { return clg_equal(x, zero_like(x)); }

static bool is_real(clg_var x) { return clg_dtype_is_real(clg_dtype_of(x)); }

clg_var clg_is_nan(clg_var x) { return clg_not_equal(x, x); }
/* Integers, for which infinity would be rounded to one of them, never are. */
clg_var clg_is_inf(clg_var x)
{
    return is_real(x) ? clg_equal(clg_abs(x), clg_scalar_like(x, INFINITY)) : clg_not_equal(x, x);
}
clg_var clg_is_finite(clg_var x)
{
    return is_real(x) ? clg_less(clg_abs(x), clg_scalar_like(x, INFINITY)) : clg_equal(x, x);
}

clg_var clg_nan_to_num(clg_var x, double nan, double infinity, double minus_infinity)
{
    if (!is_real(x))
        return x;
    clg_var y = clg_where(clg_is_nan(x), clg_scalar_like(x, nan), x);
    y = clg_where(clg_equal(x, clg_scalar_like(x, INFINITY)), clg_scalar_like(x, infinity), y);
    return clg_where(clg_equal(x, clg_scalar_like(x, -INFINITY)), clg_scalar_like(x, minus_infinity), y);
}
