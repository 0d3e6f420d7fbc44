/* Activations made of other functions. A branch that is not taken must not be infinite, or its gradient would be NaN:
 * its operand is replaced there. */
#include "helpers.h"

#include <math.h>

clg_var clg_leaky_relu(clg_var x, double slope)
{
    x = as_float(x);
    return clg_where(positive(x), x, times(x, slope));
}

clg_var clg_prelu(clg_var x, clg_var slope)
{
    x = as_float(x);
    return clg_where(positive(x), x, clg_mul(x, slope));
}

/* beta x where x > 0, else alpha (exp(x / scale) - 1) */
static clg_var exponential_below(clg_var x, double beta, double alpha, double scale)
{
    x = as_float(x);
    clg_var below = clg_where(positive(x), zero_like(x), times(x, 1 / scale));
    return clg_where(positive(x), times(x, beta), times(clg_expm1(below), alpha));
}

clg_var clg_elu(clg_var x, double alpha) { return exponential_below(x, 1, alpha, 1); }

clg_var clg_celu(clg_var x, double alpha)
{
    if (!(alpha > 0))
        return clg_refuse(x.graph, "celu: alpha is %g; it must be above 0", alpha);
    return exponential_below(x, 1, alpha, alpha);
}

clg_var clg_selu(clg_var x)
{
    const double scale = 1.0507009873554805, alpha = 1.6732632423543772; /* of the article, to 17 digits */
    return exponential_below(x, scale, scale * alpha, 1);
}

clg_var clg_relu6(clg_var x) { return clg_clip(x, 0, 6); }
clg_var clg_hard_tanh(clg_var x) { return clg_clip(x, -1, 1); }

clg_var clg_hard_sigmoid(clg_var x)
{
    x = as_float(x);
    return times(clg_clip(affine(x, 1, 3), 0, 6), 1.0 / 6);
}

/* 0 where the sigmoid is, of -infinity, too. */
clg_var clg_hard_swish(clg_var x)
{
    x = as_float(x);
    clg_var zero = zero_like(x), none = clg_less_equal(x, clg_scalar_like(x, -3));
    return clg_where(none, zero, clg_mul(clg_where(none, zero, x), clg_hard_sigmoid(x)));
}

clg_var clg_silu(clg_var x)
{
    x = as_float(x);
    return clg_mul(x, clg_sigmoid(x));
}

clg_var clg_mish(clg_var x)
{
    x = as_float(x);
    return clg_mul(x, clg_tanh(clg_softplus(x)));
}

clg_var clg_gelu_tanh(clg_var x)
{
    x = as_float(x);
    clg_var inner = clg_mul(x, affine(clg_square(x), 0.044715, 1));
    return clg_mul(times(x, 0.5), affine(clg_tanh(times(inner, sqrt(2 / acos(-1)))), 1, 1));
}

clg_var clg_log_sigmoid(clg_var x) { return clg_neg(clg_softplus(clg_neg(as_float(x)))); }

clg_var clg_softsign(clg_var x)
{
    x = as_float(x);
    return clg_div(x, affine(clg_abs(x), 1, 1));
}

clg_var clg_tanh_shrink(clg_var x)
{
    x = as_float(x);
    return clg_sub(x, clg_tanh(x));
}

clg_var clg_soft_shrink(clg_var x, double bound)
{
    if (!(bound >= 0))
        return clg_refuse(x.graph, "soft_shrink: bound is %g; it must be at least 0", bound);
    x = as_float(x);
    clg_var above = clg_scalar_like(x, bound), below = clg_scalar_like(x, -bound);
    clg_var drawn = clg_where(clg_less(x, below), clg_add(x, above), clg_mul(x, zero_like(x)));
    return clg_where(clg_less(above, x), clg_sub(x, above), drawn);
}

clg_var clg_hard_shrink(clg_var x, double bound)
{
    x = as_float(x);
    return clg_where(clg_less_equal(clg_abs(x), clg_scalar_like(x, bound)), zero_like(x), x);
}

clg_var clg_glu(clg_var x, int axis)
{
    const clg_shape shape = clg_shape_of(x);
    const int d = axis < 0 ? axis + shape.rank : axis;
    clg_var half[2] = {x, x};
    int64_t sizes[2] = {0, 0};
    if (clg_is_valid(x) && d >= 0 && d < shape.rank)
        sizes[0] = sizes[1] = shape.dim[d] / 2;
    clg_split(x, axis, sizes, 2, half); /* refuses what cannot be halved */
    return clg_mul(half[0], clg_sigmoid(half[1]));
}
