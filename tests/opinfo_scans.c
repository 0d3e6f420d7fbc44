/* Entries that scan an axis. */
#include "opinfo.h"

/* A scalar is an axis of one element. */
static clg_var lined(clg_var x) { return rank_of(x) ? x : clg_reshape(x, CLG_SHAPE(1)); }

static clg_var scanned(call *c, clg_var (*scan)(clg_var, int, int))
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", 0);
    const clg_dtype dtype = arg_dtype(c, -1, "dtype", clg_dtype_of(x));
    return clg_reshape(scan(clg_cast(lined(x), dtype), axis, 0), clg_shape_of(x));
}

static clg_var cumsum(call *c) { return scanned(c, clg_cumsum); }
static clg_var cumprod(call *c) { return scanned(c, clg_cumprod); }
static clg_var logcumsumexp(call *c) { return scanned(c, clg_logcumsumexp); }

/* Beside the extremes, where the last one of them is: the largest place so far at which an element is the extreme. */
static clg_var with_places(call *c, clg_var (*scan)(clg_var, int, int))
{
    clg_var y = scanned(c, scan), x = lined(arg_var(c, 0, NULL));
    const int axis = axis_in(x, arg_axis(c, 1, "dim", 0));
    clg_shape along = {.rank = rank_of(x)};
    for (int i = 0; i < along.rank; i++)
        along.dim[i] = i == axis ? extent(x, i) : 1;
    clg_var places = clg_reshape(clg_arange(c->graph, CLG_I32, extent(x, axis)), along);
    clg_var none = clg_full(c->graph, CLG_I32, CLG_SCALAR, -1);
    put(c, y);
    y = clg_reshape(y, clg_shape_of(x));
    clg_var here = clg_logical_or(clg_equal(x, y), clg_is_nan(x));
    put(c, clg_reshape(clg_cummax(clg_where(here, places, none), axis, 0), clg_shape_of(c->outputs[0])));
    return CLG_NONE;
}

static clg_var cummax(call *c) { return with_places(c, clg_cummax); }
static clg_var cummin(call *c) { return with_places(c, clg_cummin); }

const opinfo_row opinfo_scans[] = {
    BUILD("cummax", cummax),
    BUILD("cummin", cummin),
    BUILD("cumprod", cumprod),
    BUILD("cumsum", cumsum),
    BUILD("logcumsumexp", logcumsumexp),
    {0},
};
