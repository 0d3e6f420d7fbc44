/* Entries that choose elements by indices. */
#include "opinfo.h"

#include <string.h>

static clg_var flat(clg_var x) { return clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))); }

/* A scalar is an axis of one element. */
static clg_var lined(clg_var x) { return rank_of(x) ? x : clg_reshape(x, CLG_SHAPE(1)); }

static clg_var index_select(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = flat(arg_var(c, 2, "index"));
    clg_var y = clg_take(lined(x), index, arg_axis(c, 1, "dim", 0));
    return rank_of(x) ? y : clg_reshape(y, CLG_SCALAR);
}

static clg_var index_put_along(call *c, clg_var updates, clg_scatter_mode mode)
{
    clg_var x = arg_var(c, 0, NULL), index = flat(arg_var(c, 2, "index"));
    return clg_reshape(clg_scatter(lined(x), index, updates, arg_axis(c, 1, "dim", 0), mode), clg_shape_of(x));
}

static clg_var index_add(call *c)
{
    clg_var source = lined(arg_var(c, 3, "source")), alpha = number(c, arg_number(c, -1, "alpha", 1));
    return index_put_along(c, clg_mul(source, alpha), CLG_SCATTER_ADD);
}

static clg_var index_fill(call *c)
{
    clg_var x = lined(arg_var(c, 0, NULL)), index = arg_var(c, 2, "index"), value = arg_var(c, 3, "value");
    const clg_shape shape = shape_with(x, arg_axis(c, 1, "dim", 0), clg_shape_count(clg_shape_of(index)));
    return index_put_along(c, clg_broadcast_to(value, shape), CLG_SCATTER_SET);
}

/* Of indices that name no row twice. */
static clg_var index_copy(call *c) { return index_put_along(c, lined(arg_var(c, 3, "source")), CLG_SCATTER_SET); }

/* Of all elements in a row. */
static clg_var take(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_take(flat(x), arg_var(c, 1, "index"), 0);
}

static clg_var embedding(call *c)
{
    clg_var table = arg_var(c, 0, NULL), index = arg_var(c, 1, NULL);
    if (has_arg(c, -1, "max_norm") || arg_bool(c, -1, "scale_grad_by_freq", false))
        return skip_sample(c, "rows scaled in place, or other gradients");
    clg_var y = clg_gather(table, index);
    if (!has_arg(c, -1, "padding_idx"))
        return y;
    const int64_t padding = arg_int(c, -1, "padding_idx", 0), rows = extent(table, 0);
    clg_var row = clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)(padding < 0 ? padding + rows : padding));
    return clg_where(clg_expand_dims(clg_equal(index, row), CLG_AXES(-1)), clg_stop_gradient(y), y);
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

/* Whether an item in brackets is an array of indices: a list of integers, or a tensor of them. */
static bool is_array(const cJSON *item) { return cJSON_IsArray(item) || cJSON_GetObjectItem(item, "tensor"); }

static clg_var array_of(call *c, const cJSON *item)
{
    int32_t places[OPINFO_LIST];
    const cJSON *place;
    int count = 0;
    if (!cJSON_IsArray(item))
        return json_var(c, item);
    cJSON_ArrayForEach(place, item) if (count < OPINFO_LIST) places[count++] = place->valueint;
    return clg_array(c->graph, CLG_I32, CLG_SHAPE(count), places);
}

/* x by arrays of indices into some of its axes, which go to the front; the result's are where the first of these was if
 * they are neighbours, else in front. */
static clg_var by_arrays(clg_var x, clg_var *arrays, const int *axes, int count)
{
    clg_axes order = {0}, moved = {0};
    clg_var sum = clg_full(x.graph, CLG_I32, CLG_SCALAR, 0);
    if (!count)
        return x;
    for (int i = 0; i < count; i++) {
        sum = clg_add(sum, arrays[i]);
        order.axis[order.count++] = axes[i];
    }
    for (int i = 0, k = 0; i < rank_of(x); i++)
        if (k < count && axes[k] == i)
            k++;
        else
            order.axis[order.count++] = i;
    for (int i = 0; i < count; i++)
        arrays[i] = clg_broadcast_to(arrays[i], clg_shape_of(sum));
    clg_var y = clg_gather_nd(clg_permute(x, order), clg_stack(arrays, count, -1), 0);
    const int rank = rank_of(sum), front = axes[count - 1] - axes[0] == count - 1 ? axes[0] : 0;
    for (int i = 0; i < rank_of(y); i++)
        moved.axis[moved.count++] = i < front ? rank + i : i < front + rank ? i - front : i;
    return clg_permute(y, moved);
}

/* Integers, slices, None, "..." and arrays of integers. */
static clg_var brackets(call *c)
{
    clg_var x = arg_var(c, 0, NULL), arrays[OPINFO_LIST];
    const cJSON *given = arg(c, 1, NULL);
    int axis = 0, count = 1, taken = 0, several = 0, axes[OPINFO_LIST];
    bool numbers = false;
    for (int i = 0; i < count; i++) {
        const cJSON *item = in_brackets(given, i, &count);
        taken += !cJSON_IsNull(item) && !cJSON_GetObjectItem(item, "ellipsis");
        several += is_array(item);
        numbers |= cJSON_IsNumber(item);
        if (cJSON_IsBool(item) || (is_array(item) && clg_dtype_of(array_of(c, item)) != CLG_I32))
            return skip_sample(c, "masks");
    }
    if (several && numbers)
        return skip_sample(c, "numbers, which count as arrays beside arrays");
    const int rank = rank_of(x);
    several = 0;
    for (int i = 0; i < count; i++) {
        const cJSON *item = in_brackets(given, i, &count), *slice = cJSON_GetObjectItem(item, "slice");
        if (cJSON_IsNull(item))
            x = clg_expand_dims(x, CLG_AXES(axis++));
        else if (cJSON_GetObjectItem(item, "ellipsis"))
            axis += rank - taken;
        else if (slice) {
            x = clg_slice(x, axis, bound(slice, 0, 0), bound(slice, 1, INT64_MAX), bound(slice, 2, 1));
            axis++;
        } else if (is_array(item)) {
            arrays[several] = array_of(c, item);
            axes[several++] = axis++;
        } else
            x = clg_index(x, axis, item->valueint);
    }
    return by_arrays(x, arrays, axes, several);
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
