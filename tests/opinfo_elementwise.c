/* Entries that work element by element. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

static clg_var same(clg_var x) { return x; }
static clg_var frac(clg_var x) { return clg_sub(x, clg_trunc(x)); }
static clg_var of_ints(clg_var x, clg_dtype dtype) { return clg_cast(x, dtype); }
static clg_var to_bool(clg_var x) { return clg_not_equal(x, clg_scalar_like(x, 0)); }
static clg_var to_int(clg_var x) { return of_ints(x, CLG_I32); }
static clg_var to_byte(clg_var x) { return of_ints(to_int(x), CLG_U8); }
static clg_var to_float(clg_var x) { return clg_cast(x, CLG_F32); }
static clg_var to_double(clg_var x) { return clg_cast(x, CLG_F64); }
static clg_var bit_not(clg_var x) { return clg_bit_xor(x, clg_full(x.graph, CLG_I32, CLG_SCALAR, -1)); }
static clg_var is_pos_inf(clg_var x) { return clg_equal(x, clg_scalar_like(x, INFINITY)); }
static clg_var is_neg_inf(clg_var x) { return clg_equal(x, clg_scalar_like(x, -INFINITY)); }
/* Every element of the dtypes that clgrad has is. */
static clg_var is_real_number(clg_var x) { return clg_full(x.graph, CLG_U8, clg_shape_of(x), 1); }

/* -1 of -0, too. */
static clg_var sign_bit(clg_var x) { return clg_less(clg_copysign(clg_scalar_like(x, 1), x), clg_scalar_like(x, 0)); }

/* pi below 0. */
static clg_var angle(clg_var x)
{
    clg_var zero = clg_scalar_like(x, 0), pi = clg_scalar_like(x, 3.14159265358979323846);
    return clg_where(clg_is_nan(x), x, clg_where(clg_less(x, zero), pi, zero));
}

/* sin(pi x) / (pi x), 1 at 0. */
static clg_var sinc(clg_var x)
{
    clg_var t = clg_mul(x, clg_scalar_like(x, 3.14159265358979323846)), at_0 = clg_equal(t, clg_scalar_like(t, 0));
    clg_var safe = clg_where(at_0, clg_scalar_like(t, 1), t);
    return clg_where(at_0, clg_scalar_like(t, 1), clg_div(clg_sin(safe), safe));
}

static clg_var floor_div(clg_var a, clg_var b)
{
    return clg_div(clg_sub(clg_stop_gradient(a), clg_remainder(clg_stop_gradient(a), clg_stop_gradient(b))),
                   clg_stop_gradient(b));
}

static clg_var true_floor_div(clg_var a, clg_var b)
{
    return is_real(a) || is_real(b) ? clg_round(floor_div(a, b)) : floor_div(a, b);
}

static clg_var reverse_sub(clg_var a, clg_var b) { return clg_sub(b, a); }
static clg_var reverse_div(clg_var a, clg_var b) { return clg_div(b, a); }
static clg_var reverse_pow(clg_var a, clg_var b) { return clg_pow(b, a); }
static clg_var reverse_mod(clg_var a, clg_var b) { return clg_remainder(b, a); }
static clg_var reverse_matmul(clg_var a, clg_var b) { return clg_matmul(b, a); }
static clg_var ldexp_2(clg_var a, clg_var b) { return clg_mul(a, clg_exp2(b)); }

static clg_var logaddexp2(clg_var a, clg_var b)
{
    clg_var ln2 = clg_scalar_like(a, 0.69314718055994530942);
    return clg_div(clg_logaddexp(clg_mul(a, ln2), clg_mul(b, ln2)), ln2);
}

/* The other one where one is NaN. */
static clg_var fmax_2(clg_var a, clg_var b)
{
    return clg_where(clg_is_nan(a), b, clg_where(clg_is_nan(b), a, clg_maximum(a, b)));
}
static clg_var fmin_2(clg_var a, clg_var b)
{
    return clg_where(clg_is_nan(a), b, clg_where(clg_is_nan(b), a, clg_minimum(a, b)));
}

static clg_var heaviside(clg_var x, clg_var at_0)
{
    clg_var zero_of = clg_scalar_like(x, 0);
    return clg_where(clg_equal(x, zero_of), at_0, clg_cast(clg_greater(x, zero_of), clg_dtype_of(x)));
}

/* ---------------------------------------------------------------- with more arguments */

static clg_var scaled(call *c, clg_var x, int position, const char *name)
{
    double factor = arg_number(c, position, name, 1);
    return factor == 1 ? x : clg_mul(x, clg_scalar_like(x, factor));
}

static clg_var add(call *c) { return clg_add(arg_var(c, 0, NULL), scaled(c, arg_var(c, 1, "other"), -1, "alpha")); }
static clg_var sub(call *c) { return clg_sub(arg_var(c, 0, NULL), scaled(c, arg_var(c, 1, "other"), -1, "alpha")); }
static clg_var rsub(call *c) { return clg_sub(arg_var(c, 1, "other"), scaled(c, arg_var(c, 0, NULL), -1, "alpha")); }

static clg_var divide(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, "other");
    const char *mode = arg_string(c, -1, "rounding_mode", "");
    return strcmp(mode, "floor") == 0   ? true_floor_div(a, b)
           : strcmp(mode, "trunc") == 0 ? clg_trunc(clg_div(a, b))
                                        : clg_div(a, b);
}

static clg_var clamp(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const bool low = has_arg(c, 1, "min"), high = has_arg(c, 2, "max");
    clg_var min = low ? arg_var(c, 1, "min") : CLG_NONE, max = high ? arg_var(c, 2, "max") : CLG_NONE;
    x = low ? clg_maximum(x, min) : x;
    return high ? clg_minimum(x, max) : x;
}

static clg_var clamp_max(call *c) { return clg_minimum(arg_var(c, 0, NULL), arg_var(c, 1, "max")); }
static clg_var clamp_min(call *c) { return clg_maximum(arg_var(c, 0, NULL), arg_var(c, 1, "min")); }

static clg_var addcmul(call *c)
{
    clg_var product = clg_mul(arg_var(c, 1, NULL), arg_var(c, 2, NULL));
    return clg_add(arg_var(c, 0, NULL), scaled(c, product, -1, "value"));
}

static clg_var addcdiv(call *c)
{
    clg_var quotient = clg_div(arg_var(c, 1, NULL), arg_var(c, 2, NULL));
    return clg_add(arg_var(c, 0, NULL), scaled(c, quotient, -1, "value"));
}

static clg_var lerp(call *c) { return clg_lerp(arg_var(c, 0, NULL), arg_var(c, 1, "end"), arg_var(c, 2, "weight")); }

static clg_var where(call *c)
{
    /* the condition is torch.where's first argument, but the sample's second one */
    return clg_where(arg_var(c, 1, NULL), arg_var(c, 0, NULL), arg_var(c, 2, NULL));
}

static clg_var nan_to_num(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_nan_to_num(x, arg_number(c, 1, "nan", 0), arg_number(c, 2, "posinf", 1.7976931348623157e308),
                          arg_number(c, 3, "neginf", -1.7976931348623157e308));
}

static clg_var round_to(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t decimals = arg_int(c, 1, "decimals", 0);
    clg_var scale = clg_scalar_like(x, pow(10, fabs((double)decimals)));
    return decimals == 0  ? clg_round(x)
           : decimals > 0 ? clg_div(clg_round(clg_mul(x, scale)), scale)
                          : clg_mul(clg_round(clg_div(x, scale)), scale);
}

static clg_var logit(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    if (!has_arg(c, 1, "eps"))
        return clg_logit(x);
    const double eps = arg_number(c, 1, "eps", 0);
    /* the lower bound wins where they are in the wrong order, other than for clamp */
    clg_var least = clg_scalar_like(x, eps);
    return clg_logit(clg_where(clg_less(x, least), least, clg_clip(x, eps, 1 - eps)));
}

/* |a - b| <= atol + rtol |b|, or equal. */
static clg_var close_to(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, "other");
    clg_var rtol = number(c, arg_number(c, 2, "rtol", 1e-5)), atol = number(c, arg_number(c, 3, "atol", 1e-8));
    clg_var near = clg_less_equal(clg_abs(clg_sub(a, b)), clg_add(atol, clg_mul(rtol, clg_abs(b))));
    clg_var is = clg_logical_or(clg_equal(a, b), clg_logical_and(clg_is_finite(b), near));
    return arg_bool(c, 4, "equal_nan", false) ? clg_logical_or(is, clg_logical_and(clg_is_nan(a), clg_is_nan(b))) : is;
}

static clg_var all_close(call *c) { return clg_all(close_to(c), CLG_ALL_AXES, false); }

static clg_var all_equal(call *c)
{
    clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, "other");
    if (!clg_shape_equal(clg_shape_of(a), clg_shape_of(b)))
        return clg_full(c->graph, CLG_U8, CLG_SCALAR, 0);
    return clg_all(clg_equal(a, b), CLG_ALL_AXES, false);
}

static clg_var masked_fill(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_where(arg_var(c, 1, "mask"), arg_var(c, 2, "value"), x);
}

static clg_var fill(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_broadcast_to(arg_var(c, 1, "value"), clg_shape_of(x));
}

/* Behind the array: a device, a dtype or an array that has the dtype; then whether it is copied. */
static clg_var cast_to(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    clg_dtype dtype = clg_dtype_of(x);
    for (int i = 1; i < arg_count(c); i++) {
        const cJSON *value = arg(c, i, NULL);
        if (cJSON_GetObjectItem(value, "tensor"))
            dtype = clg_dtype_of(json_var(c, value));
        else if (cJSON_GetObjectItem(value, "dtype"))
            dtype = arg_dtype(c, i, NULL, dtype);
    }
    arg(c, -1, "copy");
    arg(c, -1, "non_blocking");
    return dtype == clg_dtype_of(x) ? x : clg_cast(x, dtype);
}

static clg_var float_power(call *c)
{
    return clg_pow(clg_cast(arg_var(c, 0, NULL), CLG_F64), clg_cast(arg_var(c, 1, "exponent"), CLG_F64));
}

static clg_var power(call *c) { return clg_pow(arg_var(c, 0, NULL), arg_var(c, 1, "exponent")); }

static clg_var is_in(call *c)
{
    clg_var x = arg_var(c, 0, NULL), set = clg_reshape(arg_var(c, 1, NULL), CLG_SHAPE(-1));
    return clg_any(clg_equal(clg_expand_dims(x, CLG_AXES(-1)), set), CLG_AXES(-1), false);
}

static clg_var dropout_backward(call *c)
{
    clg_var g = arg_var(c, 0, NULL), mask = arg_var(c, 1, NULL);
    return clg_mul(clg_mul(g, clg_cast(mask, clg_dtype_of(g))), arg_var(c, 2, NULL));
}

static clg_var item(clg_var x) { return clg_reshape(x, CLG_SCALAR); }

const opinfo_row opinfo_elementwise[] = {
    UNARY("abs", clg_abs),
    UNARY("acos", clg_acos),
    UNARY("acosh", clg_acosh),
    BUILD("add", add),
    BUILD("addcdiv", addcdiv),
    BUILD("addcmul", addcmul),
    BUILD("allclose", all_close),
    UNARY("angle", angle),
    UNARY("asin", clg_asin),
    UNARY("asinh", clg_asinh),
    UNARY("atan", clg_atan),
    BINARY("atan2", clg_atan2),
    UNARY("atanh", clg_atanh),
    BINARY("bitwise_and", clg_bit_and),
    BINARY("bitwise_left_shift", clg_shift_left),
    UNARY("bitwise_not", bit_not),
    BINARY("bitwise_or", clg_bit_or),
    BINARY("bitwise_right_shift", clg_shift_right),
    BINARY("bitwise_xor", clg_bit_xor),
    BINARY("__rand__", clg_bit_and),
    BINARY("__ror__", clg_bit_or),
    BINARY("__rxor__", clg_bit_xor),
    UNARY("bool", to_bool),
    UNARY("byte", to_byte),
    UNARY("ceil", clg_ceil),
    BUILD("clamp", clamp),
    BUILD("clamp_max", clamp_max),
    BUILD("clamp_min", clamp_min),
    UNARY("clone", same),
    UNARY("conj", same),
    UNARY("conj_physical", same),
    UNARY("contiguous", same),
    UNARY("alias_copy", same),
    BINARY("copysign", clg_copysign),
    UNARY("cos", clg_cos),
    UNARY("cosh", clg_cosh),
    UNARY("deg2rad", clg_radians),
    UNARY("digamma", clg_digamma),
    BUILD("div.floor_rounding", divide),
    BUILD("div.no_rounding_mode", divide),
    BUILD("div.trunc_rounding", divide),
    UNARY("double", to_double),
    BINARY("eq", clg_equal),
    BUILD("equal", all_equal),
    UNARY("erf", clg_erf),
    UNARY("erfc", clg_erfc),
    UNARY("erfinv", clg_erfinv),
    UNARY("exp", clg_exp),
    UNARY("exp2", clg_exp2),
    UNARY("expm1", clg_expm1),
    BUILD("fill", fill),
    UNARY("float", to_float),
    BUILD("float_power", float_power),
    UNARY("floor", clg_floor),
    BINARY("floor_divide", true_floor_div),
    BINARY("fmax", fmax_2),
    BINARY("fmin", fmin_2),
    BINARY("fmod", clg_fmod),
    UNARY("frac", frac),
    BINARY("ge", clg_greater_equal),
    BINARY("gt", clg_greater),
    BINARY("heaviside", heaviside),
    BINARY("hypot", clg_hypot),
    UNARY("int", to_int),
    BUILD("isclose", close_to),
    UNARY("isfinite", clg_is_finite),
    BUILD("isin", is_in),
    UNARY("isinf", clg_is_inf),
    UNARY("isnan", clg_is_nan),
    UNARY("isneginf", is_neg_inf),
    UNARY("isposinf", is_pos_inf),
    UNARY("isreal", is_real_number),
    UNARY("item", item),
    BINARY("ldexp", ldexp_2),
    BINARY("le", clg_less_equal),
    BUILD("lerp", lerp),
    UNARY("lgamma", clg_lgamma),
    UNARY("log", clg_log),
    UNARY("log10", clg_log10),
    UNARY("log1p", clg_log1p),
    UNARY("log2", clg_log2),
    BINARY("logaddexp", clg_logaddexp),
    BINARY("logaddexp2", logaddexp2),
    BINARY("logical_and", clg_logical_and),
    UNARY("logical_not", clg_logical_not),
    BINARY("logical_or", clg_logical_or),
    BINARY("logical_xor", clg_logical_xor),
    BUILD("logit", logit),
    UNARY("long", to_int),
    BINARY("lt", clg_less),
    BUILD("masked_fill", masked_fill),
    BINARY("max.binary", clg_maximum),
    BINARY("maximum", clg_maximum),
    BINARY("min.binary", clg_minimum),
    BINARY("minimum", clg_minimum),
    BINARY("mul", clg_mul),
    BUILD("nan_to_num", nan_to_num),
    BUILD("native_dropout_backward", dropout_backward),
    BINARY("ne", clg_not_equal),
    UNARY("neg", clg_neg),
    UNARY("positive", same),
    BUILD("pow", power),
    BINARY("__radd__", clg_add),
    BINARY("__rdiv__", reverse_div),
    BINARY("__rmatmul__", reverse_matmul),
    BINARY("__rmod__", reverse_mod),
    BINARY("__rmul__", clg_mul),
    BINARY("__rpow__", reverse_pow),
    BINARY("__rsub__", reverse_sub),
    UNARY("rad2deg", clg_degrees),
    UNARY("real", same),
    UNARY("reciprocal", clg_reciprocal),
    BINARY("remainder", clg_remainder),
    UNARY("resolve_conj", same),
    UNARY("resolve_neg", same),
    BUILD("round", round_to),
    BUILD("round.decimals_0", round_to),
    BUILD("round.decimals_3", round_to),
    BUILD("round.decimals_neg_3", round_to),
    UNARY("rsqrt", clg_rsqrt),
    BUILD("rsub", rsub),
    UNARY("sgn", clg_sign),
    UNARY("sigmoid", clg_sigmoid),
    UNARY("sign", clg_sign),
    UNARY("signbit", sign_bit),
    UNARY("sin", clg_sin),
    UNARY("sinc", sinc),
    UNARY("sinh", clg_sinh),
    UNARY("sqrt", clg_sqrt),
    UNARY("square", clg_square),
    BUILD("sub", sub),
    UNARY("tan", clg_tan),
    UNARY("tanh", clg_tanh),
    BUILD("to", cast_to),
    BINARY("true_divide", clg_div),
    UNARY("trunc", clg_trunc),
    BUILD("where", where),
    BINARY("xlogy", clg_xlogy),
    {0},
};
