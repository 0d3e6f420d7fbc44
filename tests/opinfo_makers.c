/* Entries that make arrays out of numbers. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

static clg_dtype dtype_wanted(call *c) { return arg_dtype(c, -1, "dtype", CLG_F64); }

static clg_var full(call *c)
{
    const clg_shape shape = arg_shape(c, 0, "size");
    return clg_full(c->graph, dtype_wanted(c), shape, arg_number(c, 1, "fill_value", 0));
}

static clg_var ones(call *c) { return clg_full(c->graph, dtype_wanted(c), arg_shape(c, 0, "size"), 1); }
static clg_var zeros(call *c) { return clg_full(c->graph, dtype_wanted(c), arg_shape(c, 0, "size"), 0); }

static clg_var like(call *c, double value)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_full(c->graph, arg_dtype(c, -1, "dtype", clg_dtype_of(x)), clg_shape_of(x), value);
}

static clg_var full_like(call *c) { return like(c, arg_number(c, 1, "fill_value", 0)); }
static clg_var ones_like(call *c) { return like(c, 1); }
static clg_var zeros_like(call *c) { return like(c, 0); }

/* Of another array's dtype, but not of its shape. */
static clg_var new_one(call *c, double value)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_full(c->graph, arg_dtype(c, -1, "dtype", clg_dtype_of(x)), arg_shape(c, 1, "size"), value);
}

static clg_var new_full(call *c) { return new_one(c, arg_number(c, 2, "fill_value", 0)); }
static clg_var new_ones(call *c) { return new_one(c, 1); }
static clg_var new_zeros(call *c) { return new_one(c, 0); }

static clg_var scalar_tensor(call *c)
{
    return clg_full(c->graph, dtype_wanted(c), CLG_SCALAR, arg_number(c, 0, NULL, 0));
}

static clg_var eye(call *c)
{
    const int64_t rows = arg_int(c, 0, "n", 0);
    return clg_eye(c->graph, dtype_wanted(c), rows, arg_int(c, 1, "m", rows));
}

static clg_var arange(call *c)
{
    const bool two = has_arg(c, 1, "end");
    const double start = two ? arg_number(c, 0, NULL, 0) : 0, step = arg_number(c, 2, "step", 1);
    const double end = two ? arg_number(c, 1, "end", 0) : arg_number(c, 0, NULL, 0);
    const double count = ceil((end - start) / step);
    const bool whole = start == trunc(start) && end == trunc(end) && step == trunc(step);
    clg_var i =
        clg_arange(c->graph, arg_dtype(c, -1, "dtype", whole ? CLG_I32 : CLG_F32), count > 0 ? (int64_t)count : 0);
    return clg_add(clg_mul(i, clg_scalar_like(i, step)), clg_scalar_like(i, start));
}

static clg_var linspace(call *c)
{
    const double start = arg_number(c, 0, "start", 0), stop = arg_number(c, 1, "end", 0);
    return clg_linspace(c->graph, dtype_wanted(c), start, stop, arg_int(c, 2, "steps", 0));
}

static clg_var logspace(call *c)
{
    clg_var exponent = linspace(c);
    return clg_pow(clg_scalar_like(exponent, arg_number(c, 3, "base", 10)), exponent);
}

/* ---------------------------------------------------------------- windows of signals */

static const double pi = 3.14159265358979323846;

/* 0 ... count - 1; *last: the number that ends a period. */
static clg_var places(call *c, double *last, bool *single)
{
    const int64_t count = arg_int(c, 0, "M", 0);
    *last = (double)(arg_bool(c, -1, "sym", true) ? count - 1 : count);
    *single = count == 1;
    return clg_arange(c->graph, dtype_wanted(c), count);
}

/* Sum of (-1)^k a[k] cos(2 pi k i / last). */
static clg_var cosines(call *c, const double *a, int count)
{
    double last;
    bool single;
    clg_var i = places(c, &last, &single), w = clg_mul(i, clg_scalar_like(i, 0));
    if (single)
        return clg_add(w, clg_scalar_like(w, 1));
    for (int k = 0; k < count; k++) {
        clg_var angle = clg_mul(i, clg_scalar_like(i, 2 * pi * k / last));
        w = clg_add(w, clg_mul(clg_cos(angle), clg_scalar_like(i, k % 2 ? -a[k] : a[k])));
    }
    return w;
}

static clg_var hann(call *c) { return cosines(c, (double[]){0.5, 0.5}, 2); }
static clg_var hamming(call *c) { return cosines(c, (double[]){0.54, 0.46}, 2); }
static clg_var blackman(call *c) { return cosines(c, (double[]){0.42, 0.5, 0.08}, 3); }
static clg_var nuttall(call *c) { return cosines(c, (double[]){0.3635819, 0.4891775, 0.1365995, 0.0106411}, 4); }

static clg_var general_hamming(call *c)
{
    const double alpha = arg_number(c, -1, "alpha", 0.54);
    return cosines(c, (double[]){alpha, 1 - alpha}, 2);
}

static clg_var general_cosine(call *c)
{
    const cJSON *list = arg(c, -1, "a"), *item;
    double a[OPINFO_LIST];
    int count = 0;
    cJSON_ArrayForEach(item, list) if (count < OPINFO_LIST) a[count++] = item->valuedouble;
    return cosines(c, a, count);
}

static clg_var bartlett(call *c)
{
    double last;
    bool single;
    clg_var i = places(c, &last, &single);
    if (single)
        return clg_add(i, clg_scalar_like(i, 1));
    clg_var d = clg_sub(clg_mul(i, clg_scalar_like(i, 2 / last)), clg_scalar_like(i, 1));
    return clg_sub(clg_scalar_like(i, 1), clg_abs(d));
}

/* sin(pi (i + 1/2) / M). */
static clg_var cosine(call *c)
{
    double last;
    bool single;
    clg_var i = places(c, &last, &single);
    const double size = last + 1;
    if (single)
        return clg_add(i, clg_scalar_like(i, 1));
    return clg_sin(clg_mul(clg_add(i, clg_scalar_like(i, 0.5)), clg_scalar_like(i, pi / size)));
}

/* exp(-|i - centre| / tau) */
static clg_var exponential(call *c)
{
    double last;
    bool single;
    clg_var i = places(c, &last, &single);
    const double tau = arg_number(c, -1, "tau", 1), centre = arg_number(c, -1, "center", last / 2);
    if (single)
        return clg_add(i, clg_scalar_like(i, 1));
    clg_var d = clg_abs(clg_sub(i, clg_scalar_like(i, centre)));
    return clg_exp(clg_div(d, clg_scalar_like(i, -tau)));
}

/* exp(-((i - centre) / std)^2 / 2) */
static clg_var gaussian(call *c)
{
    double last;
    bool single;
    clg_var i = places(c, &last, &single);
    const double std = arg_number(c, -1, "std", 1);
    if (single)
        return clg_add(i, clg_scalar_like(i, 1));
    clg_var d = clg_div(clg_sub(i, clg_scalar_like(i, last / 2)), clg_scalar_like(i, std));
    return clg_exp(clg_mul(clg_square(d), clg_scalar_like(i, -0.5)));
}

const opinfo_row opinfo_makers[] = {
    BUILD("arange", arange),
    BUILD("eye", eye),
    BUILD("full", full),
    BUILD("full_like", full_like),
    BUILD("linspace", linspace),
    BUILD("linspace.tensor_overload", linspace),
    BUILD("logspace", logspace),
    BUILD("logspace.tensor_overload", logspace),
    BUILD("new_full", new_full),
    BUILD("new_ones", new_ones),
    BUILD("new_zeros", new_zeros),
    BUILD("ones", ones),
    BUILD("ones_like", ones_like),
    BUILD("scalar_tensor", scalar_tensor),
    BUILD("signal.windows.bartlett", bartlett),
    BUILD("signal.windows.blackman", blackman),
    BUILD("signal.windows.cosine", cosine),
    BUILD("signal.windows.exponential", exponential),
    BUILD("signal.windows.gaussian", gaussian),
    BUILD("signal.windows.general_cosine", general_cosine),
    BUILD("signal.windows.general_hamming", general_hamming),
    BUILD("signal.windows.hamming", hamming),
    BUILD("signal.windows.hann", hann),
    BUILD("signal.windows.nuttall", nuttall),
    BUILD("zeros", zeros),
    BUILD("zeros_like", zeros_like),
    {0},
};
