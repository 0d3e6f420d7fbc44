/* Entries that choose elements by indices. */
#include "opinfo.h"

#include <string.h>

static clg_var flat(clg_var x) { return clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))); }

/* The axis in front, where rows are chosen; a scalar is one row. */
static clg_var in_front(clg_var x, int axis)
{
    return rank_of(x) == 0 ? clg_reshape(x, CLG_SHAPE(1)) : axis ? clg_swap_axes(x, 0, axis) : x;
}

static clg_var back(clg_var x, int axis, int rank)
{
    return rank == 0 ? clg_reshape(x, CLG_SCALAR) : axis ? clg_swap_axes(x, 0, axis) : x;
}

static clg_var index_select(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = rank_of(x) ? axis_in(x, arg_axis(c, 1, "dim", 0)) : (arg_axis(c, 1, "dim", 0), 0);
    return back(clg_gather(in_front(x, axis), flat(arg_var(c, 2, "index"))), axis, rank_of(x));
}

static clg_var index_add(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = flat(arg_var(c, 2, "index")), source = arg_var(c, 3, "source");
    const int axis = rank_of(x) ? axis_in(x, arg_axis(c, 1, "dim", 0)) : (arg_axis(c, 1, "dim", 0), 0);
    clg_var rows = in_front(x, axis), added = clg_scatter_add(index, in_front(source, axis), extent(rows, 0));
    added = clg_mul(added, number(c, arg_number(c, -1, "alpha", 1)));
    return back(clg_add(rows, added), axis, rank_of(x));
}

/* 1 for the rows that indices name, of as many axes as rows has. */
static clg_var named(clg_var rows, clg_var index)
{
    clg_var hit = clg_any(clg_one_hot(index, extent(rows, 0), CLG_U8), CLG_AXES(0), false);
    clg_shape shape = {.rank = rank_of(rows)};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = i ? 1 : extent(rows, 0);
    return clg_reshape(hit, shape);
}

static clg_var index_fill(call *c)
{
    clg_var x = arg_var(c, 0, NULL), value = arg_var(c, 3, "value");
    const int axis = rank_of(x) ? axis_in(x, arg_axis(c, 1, "dim", 0)) : (arg_axis(c, 1, "dim", 0), 0);
    clg_var rows = in_front(x, axis);
    return back(clg_where(named(rows, flat(arg_var(c, 2, "index"))), value, rows), axis, rank_of(x));
}

/* Of indices that name no row twice. */
static clg_var index_copy(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = flat(arg_var(c, 2, "index")), source = arg_var(c, 3, "source");
    const int axis = rank_of(x) ? axis_in(x, arg_axis(c, 1, "dim", 0)) : (arg_axis(c, 1, "dim", 0), 0);
    clg_var rows = in_front(x, axis), set = clg_scatter_add(index, in_front(source, axis), extent(rows, 0));
    return back(clg_where(named(rows, index), set, rows), axis, rank_of(x));
}

/* Of all elements in a row; negative indices count from the end. */
static clg_var take(call *c)
{
    clg_var x = flat(arg_var(c, 0, NULL)), index = arg_var(c, 1, "index");
    clg_var zero = clg_full(c->graph, CLG_I32, CLG_SCALAR, 0);
    clg_var count = clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)extent(x, 0));
    return clg_gather(x, clg_where(clg_less(index, zero), clg_add(index, count), index));
}

static clg_var embedding(call *c)
{
    clg_var table = arg_var(c, 0, NULL), index = arg_var(c, 1, NULL);
    if (has_arg(c, -1, "padding_idx") || has_arg(c, -1, "max_norm") || arg_bool(c, -1, "scale_grad_by_freq", false))
        return skip_sample(c, "rows without gradient, or scaled in place");
    return clg_gather(table, index);
}

static clg_var one_hot(call *c)
{
    clg_var labels = arg_var(c, 0, NULL);
    const int64_t classes = arg_int(c, 1, "num_classes", -1);
    return classes < 0 ? skip_sample(c, "a shape that depends on the labels") : clg_one_hot(labels, classes, CLG_I32);
}

/* Number i of what is in brackets; count: how many there are. */
static const cJSON *in_brackets(const cJSON *given, int i, int *count)
{
    const cJSON *several = cJSON_GetObjectItem(given, "tuple");
    *count = several ? cJSON_GetArraySize(several) : 1;
    return several ? cJSON_GetArrayItem(several, i) : given;
}

static int64_t bound(const cJSON *slice, int i, int64_t otherwise)
{
    const cJSON *given = cJSON_GetArrayItem(slice, i);
    return cJSON_IsNumber(given) ? (int64_t)given->valuedouble : otherwise;
}

/* Rows along an axis by a list of integers. */
static clg_var rows_listed(clg_var x, int axis, const cJSON *list)
{
    int32_t places[OPINFO_LIST];
    const cJSON *item;
    int count = 0;
    cJSON_ArrayForEach(item, list) if (count < OPINFO_LIST) places[count++] = item->valueint;
    clg_var index = clg_array(x.graph, CLG_I32, CLG_SHAPE(count), places);
    return back(clg_gather(in_front(x, axis), index), axis, rank_of(x));
}

/* Integers, slices, None, "..." and at most one list of integers. */
static clg_var brackets(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const cJSON *given = arg(c, 1, NULL);
    int axis = 0, count = 1, taken = 0, lists = 0;
    for (int i = 0; i < count; i++) {
        const cJSON *item = in_brackets(given, i, &count);
        taken += !cJSON_IsNull(item) && !cJSON_GetObjectItem(item, "ellipsis");
        lists += cJSON_IsArray(item);
        if (cJSON_IsBool(item) || cJSON_GetObjectItem(item, "tensor") || lists > 1)
            return skip_sample(c, "indices that are arrays, or several lists");
    }
    const int rank = rank_of(x);
    for (int i = 0; i < count; i++) {
        const cJSON *item = in_brackets(given, i, &count), *slice = cJSON_GetObjectItem(item, "slice");
        if (cJSON_IsNull(item))
            x = clg_expand_dims(x, CLG_AXES(axis++));
        else if (cJSON_GetObjectItem(item, "ellipsis"))
            axis += rank - taken;
        else if (slice) {
            x = clg_slice(x, axis, bound(slice, 0, 0), bound(slice, 1, INT64_MAX), bound(slice, 2, 1));
            axis++;
        } else if (cJSON_IsArray(item)) {
            x = rows_listed(x, axis, item);
            axis++;
        } else
            x = clg_index(x, axis, item->valueint);
    }
    return x;
}

/* ---------------------------------------------------------------- lists of pairs, made on the host */

/* The next ascending choice of r numbers below n (again: one may be there again); false after the last one. */
static bool next_choice(int32_t *choice, int r, int n, bool again)
{
    for (int i = r - 1; i >= 0; i--)
        if (choice[i] < n - 1 - (again ? 0 : r - 1 - i)) {
            choice[i]++;
            for (int k = i + 1; k < r; k++)
                choice[k] = choice[k - 1] + !again;
            return true;
        }
    return false;
}

enum { CHOICES = 4096 };

/* All choices one behind the other, in at; how many there are. */
static int choices(int r, int n, bool again, int32_t at[CHOICES])
{
    int32_t choice[OPINFO_LIST];
    int count = 0;
    for (int i = 0; i < r; i++)
        choice[i] = again ? 0 : i;
    if (r > OPINFO_LIST || n < 1 || (!again && r > n))
        return 0;
    do {
        if ((count + 1) * r > CHOICES)
            return -1;
        memcpy(at + count++ * r, choice, (size_t)r * sizeof *choice);
    } while (next_choice(choice, r, n, again));
    return count;
}

static clg_var combinations(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int r = (int)arg_int(c, 1, "r", 2);
    int32_t at[CHOICES];
    const int count = choices(r, (int)extent(x, 0), arg_bool(c, 2, "with_replacement", false), at);
    return count < 0 ? skip_sample(c, "many combinations")
                     : clg_gather(x, clg_array(c->graph, CLG_I32, CLG_SHAPE(count, r), at));
}

/* Distances of all pairs of rows. */
static clg_var pdist(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int32_t at[CHOICES];
    const int count = choices(2, (int)extent(x, 0), false, at);
    if (count < 0)
        return skip_sample(c, "many pairs");
    clg_var pairs = clg_gather(x, clg_array(c->graph, CLG_I32, CLG_SHAPE(count, 2), at));
    clg_var d = clg_sub(clg_index(pairs, 1, 0), clg_index(pairs, 1, 1));
    return clg_norm(d, arg_number(c, 1, "p", 2), CLG_AXES(-1), false);
}

/* The digits of places in an array of a shape, an array for each axis. */
static clg_var unravel_index(call *c)
{
    clg_var place = arg_var(c, 0, NULL);
    const clg_shape shape = arg_shape(c, 1, "shape");
    double below = 1;
    for (int i = 0; i < shape.rank; i++)
        below *= (double)shape.dim[i];
    for (int i = 0; i < shape.rank; i++) {
        clg_var above = clg_remainder(place, clg_full(c->graph, CLG_I32, CLG_SCALAR, below));
        below /= (double)shape.dim[i];
        clg_var unit = clg_full(c->graph, CLG_F64, CLG_SCALAR, below);
        put(c, clg_cast(clg_floor(clg_div(clg_cast(above, CLG_F64), unit)), CLG_I32));
    }
    return CLG_NONE;
}

const opinfo_row opinfo_indices[] = {
    BUILD("__getitem__", brackets),
    BUILD("combinations", combinations),
    BUILD("index_add", index_add),
    BUILD("index_copy", index_copy),
    BUILD("index_fill", index_fill),
    BUILD("index_select", index_select),
    BUILD("nn.functional.embedding", embedding),
    BUILD("nn.functional.one_hot", one_hot),
    BUILD("nn.functional.pdist", pdist),
    BUILD("take", take),
    BUILD("unravel_index", unravel_index),
    {0},
};
