/* Entries of torch.special and their like, as far as they are made of functions that clgrad has. */
#include "opinfo.h"

#include <math.h>

static clg_var scaled(clg_var x, double factor) { return clg_mul(x, clg_scalar_like(x, factor)); }

/* -x log(x); 0 at 0, -infinity below. */
static clg_var entr(clg_var x)
{
    clg_var zero = clg_scalar_like(x, 0);
    return clg_where(clg_less(x, zero), clg_scalar_like(x, -INFINITY), clg_neg(clg_xlogy(x, x)));
}

/* The normal distribution and its inverse. */
static clg_var ndtr(clg_var x) { return scaled(clg_erfc(scaled(x, -0.70710678118654752440)), 0.5); }
static clg_var ndtri(clg_var x)
{
    return scaled(clg_erfinv(clg_sub(scaled(x, 2), clg_scalar_like(x, 1))), 1.41421356237309504880);
}

/* x log(1 + y); 0 where x is 0 and the logarithm is infinite. */
static clg_var xlog1py(clg_var x, clg_var y)
{
    clg_var far = clg_logical_or(clg_less_equal(y, clg_scalar_like(y, -1)), clg_is_inf(y));
    clg_var none = clg_logical_and(clg_equal(x, clg_scalar_like(x, 0)), far);
    return clg_mul(x, clg_log1p(clg_where(none, clg_scalar_like(y, 0), y)));
}

static clg_var mvlgamma(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t p = arg_int(c, 1, "p", 1);
    clg_var sum = clg_scalar_like(x, (double)(p * (p - 1)) / 4 * 1.14472988584940017414);
    for (int64_t i = 0; i < p; i++)
        sum = clg_add(sum, clg_lgamma(clg_sub(x, clg_scalar_like(x, (double)i / 2))));
    return sum;
}

/* sin(x) / x, 1 at 0. */
static clg_var spherical_bessel_j0(clg_var x)
{
    clg_var at_0 = clg_equal(x, clg_scalar_like(x, 0)), safe = clg_where(at_0, clg_scalar_like(x, 1), x);
    return clg_where(at_0, clg_scalar_like(x, 1), clg_div(clg_sin(safe), safe));
}

static clg_var polygamma(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_polygamma(clg_scalar_like(x, (double)arg_int(c, 1, "n", 0)), x);
}

const opinfo_row opinfo_special[] = {
    BUILD("mvlgamma.mvlgamma_p_1", mvlgamma),
    BUILD("mvlgamma.mvlgamma_p_3", mvlgamma),
    BUILD("mvlgamma.mvlgamma_p_5", mvlgamma),
    BUILD("polygamma.polygamma_n_0", polygamma),
    BUILD("polygamma.polygamma_n_1", polygamma),
    BUILD("polygamma.polygamma_n_2", polygamma),
    BUILD("polygamma.polygamma_n_3", polygamma),
    BUILD("polygamma.polygamma_n_4", polygamma),
    UNARY("special.entr", entr),
    UNARY("special.ndtr", ndtr),
    UNARY("special.ndtri", ndtri),
    UNARY("special.spherical_bessel_j0", spherical_bessel_j0),
    BUILD("special.polygamma.special_polygamma_n_0", polygamma),
    BINARY("special.xlog1py", xlog1py),
    {0},
};
