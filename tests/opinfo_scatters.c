/* Entries that gather and scatter single elements, and sums and extremes of those that go to one place. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

static const char *const overwritten = "PyTorch's of updates that were overwritten are not 0";

/* A scalar is an axis of one element. */
static clg_var lined(clg_var x) { return rank_of(x) ? x : clg_reshape(x, CLG_SHAPE(1)); }
static clg_var flat(clg_var x) { return clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))); }

static clg_var every(clg_var like, clg_dtype dtype, double value)
{
    return clg_full(like.graph, dtype, clg_shape_of(like), value);
}

/* Whether a tensor names one of `size` places twice along an axis; axis -2: all axes behind the first two are one, -1:
 * all axes. */
static bool repeats(call *c, const cJSON *given, int axis, int64_t size)
{
    const cJSON *number_of = cJSON_GetObjectItem(given, "tensor");
    if (!number_of)
        return false;
    const opinfo_tensor *t = &c->sample->tensors[number_of->valueint];
    int64_t outer = 1, n = 1, inner = 1;
    for (int i = 0; i < t->shape.rank; i++) {
        const bool along = axis == -1 || (axis == -2 ? i >= 2 : i == axis);
        *(along ? &n : axis == -2 || i < axis ? &outer : &inner) *= t->shape.dim[i];
    }
    for (int64_t o = 0; o < outer * inner; o++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < i; k++) {
                const int64_t line = o / inner * n * inner + o % inner;
                const double a = opinfo_element(t, line + i * inner), b = opinfo_element(t, line + k * inner);
                if (a == b || fabs(a - b) == (double)size)
                    return true;
            }
    return false;
}

static clg_var gather(call *c)
{
    clg_var x = lined(arg_var(c, 0, NULL)), given = arg_var(c, 2, "index"), index = lined(given);
    const int axis = axis_in(x, arg_axis(c, 1, "dim", 0));
    if (rank_of(x) != rank_of(index))
        return skip_sample(c, "no indices, of another rank than x");
    return clg_reshape(clg_gather_elements(x, index, axis), clg_shape_of(given));
}

/* Axes but one broadcast. */
static clg_var take_along(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = arg_var(c, 1, "indices");
    if (!has_arg(c, 2, "dim"))
        return clg_gather_elements(flat(x), flat(index), 0);
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    clg_shape wide = clg_shape_of(x), places = clg_shape_of(index);
    for (int i = 0; i < wide.rank; i++)
        if (i != axis)
            wide.dim[i] = places.dim[i] = extent(x, i) == 1 ? extent(index, i) : extent(x, i);
    return clg_gather_elements(clg_broadcast_to(x, wide), clg_broadcast_to(index, places), axis);
}

/* The updates for which there are indices; a number is one for each of them. */
static clg_var updates_for(clg_var index, clg_var updates)
{
    if (rank_of(updates) == 0)
        return clg_broadcast_to(updates, clg_shape_of(index));
    for (int i = 0; i < rank_of(index); i++)
        updates = clg_slice(updates, i, 0, extent(index, i), 1);
    return updates;
}

static clg_var scatter(call *c)
{
    clg_var x = arg_var(c, 0, NULL), to = lined(x), index = lined(arg_var(c, 2, "index"));
    const int axis = axis_in(to, arg_axis(c, 1, "dim", 0));
    clg_var updates = has_arg(c, 3, "src") ? arg_var(c, 3, "src") : arg_var(c, 3, "value");
    const char *how = arg_string(c, -1, "reduce", "set");
    if (strcmp(how, "multiply") == 0)
        return skip_sample(c, "products");
    const bool set = strcmp(how, "set") == 0;
    if (set && repeats(c, arg(c, 2, "index"), axis, extent(to, axis)))
        skip_gradients(c, overwritten);
    clg_var y =
        clg_scatter_elements(to, index, updates_for(index, updates), axis, set ? CLG_SCATTER_SET : CLG_SCATTER_ADD);
    return clg_reshape(y, clg_shape_of(x));
}

static clg_var scatter_add(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = lined(arg_var(c, 2, "index"));
    clg_var updates = updates_for(index, arg_var(c, 3, "src"));
    return clg_reshape(clg_scatter_elements(lined(x), index, updates, arg_axis(c, 1, "dim", 0), CLG_SCATTER_ADD),
                       clg_shape_of(x));
}

/* ---------------------------------------------------------------- reductions of what goes to one place */

typedef clg_var (*scattering)(clg_var, clg_var, clg_var, int, clg_scatter_mode);

/* For each element of x's axis the product of its updates, by comparing all places with all indices. */
static clg_var products(clg_var x, clg_var index, clg_var updates, int axis)
{
    clg_var places = clg_reshape(clg_arange(x.graph, CLG_I32, extent(x, axis)), CLG_SHAPE(-1, 1));
    index = clg_expand_dims(clg_swap_axes(index, axis, -1), CLG_AXES(-2));
    updates = clg_expand_dims(clg_swap_axes(updates, axis, -1), CLG_AXES(-2));
    clg_var factors = clg_where(clg_equal(index, places), updates, clg_scalar_like(updates, 1));
    clg_var product = clg_swap_axes(clg_prod(factors, CLG_AXES(-1), false), axis, -1);
    clg_shape none = {.rank = rank_of(x)}, more = none;
    for (int i = 0; i < none.rank; i++)
        more.dim[i] = extent(x, i) - extent(product, i);
    return clg_pad(product, none, more, CLG_PAD_CONSTANT, 1);
}

/* index: as `into` takes it. self: x counts as an update; else it does not where there are some. */
static clg_var combined(clg_var x, clg_var index, clg_var updates, int axis, const char *how, bool self,
                        scattering into)
{
    clg_var once = every(updates, CLG_F64, 1);
    clg_var hit = into(every(x, CLG_U8, 0), index, every(updates, CLG_U8, 1), axis, CLG_SCATTER_SET);
    const bool most = strcmp(how, "amax") == 0, least = strcmp(how, "amin") == 0, product = strcmp(how, "prod") == 0;
    const double start = most ? -INFINITY : least ? INFINITY : product;
    clg_var base = self ? x : clg_where(hit, clg_scalar_like(x, start), x);
    if (most || least)
        return into(base, index, updates, axis, most ? CLG_SCATTER_MAX : CLG_SCATTER_MIN);
    if (product) {
        clg_shape along = {.rank = rank_of(x)};
        for (int i = 0; i < along.rank; i++)
            along.dim[i] = i == axis ? -1 : 1;
        if (into == clg_scatter)
            index = clg_broadcast_to(clg_reshape(index, along), clg_shape_of(updates));
        return clg_mul(base, products(x, index, updates, axis));
    }
    clg_var sum = into(base, index, updates, axis, CLG_SCATTER_ADD);
    if (strcmp(how, "sum") == 0)
        return sum;
    clg_var count =
        into(self ? every(x, CLG_F64, 1) : clg_cast(clg_logical_not(hit), CLG_F64), index, once, axis, CLG_SCATTER_ADD);
    return clg_div(sum, count);
}

static clg_var scatter_reduce(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = lined(arg_var(c, 2, "index")), updates = lined(arg_var(c, 3, "src"));
    const int axis = axis_in(lined(x), arg_axis(c, 1, "dim", 0));
    const char *how = arg_string(c, 4, "reduce", "sum");
    clg_var y = combined(lined(x), index, updates_for(index, updates), axis, how, arg_bool(c, -1, "include_self", true),
                         clg_scatter_elements);
    return clg_reshape(y, clg_shape_of(x));
}

static clg_var index_reduce(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = lined(arg_var(c, 2, "index")), updates = lined(arg_var(c, 3, "source"));
    const int axis = axis_in(lined(x), arg_axis(c, 1, "dim", 0));
    const char *how = arg_string(c, 4, "reduce", "mean");
    clg_var y = combined(lined(x), index, updates, axis, how, arg_bool(c, -1, "include_self", true), clg_scatter);
    return clg_reshape(y, clg_shape_of(x));
}

/* ---------------------------------------------------------------- several axes */

/* Arrays of indices into the first axes, broadcast, as the rows that clg_gather_nd takes; poisoned where one is a mask.
 */
static clg_var rows_of(call *c, int position)
{
    clg_var given[OPINFO_LIST], sum = clg_full(c->graph, CLG_I32, CLG_SCALAR, 0);
    const int count = arg_vars(c, position, "indices", given);
    for (int i = 0; i < count; i++) {
        if (given[i].id == CLG_NONE.id || clg_dtype_of(given[i]) != CLG_I32)
            return skip_sample(c, "indices that are masks, or none");
        sum = clg_add(sum, given[i]);
    }
    for (int i = 0; i < count; i++)
        given[i] = clg_broadcast_to(given[i], clg_shape_of(sum));
    return clg_stack(given, count, -1);
}

/* The shape of what rows name in x. */
static clg_shape named(clg_var x, clg_var rows)
{
    clg_shape shape = clg_shape_of(rows);
    const int axes = (int)shape.dim[--shape.rank];
    for (int i = axes; i < rank_of(x); i++)
        shape.dim[shape.rank++] = extent(x, i);
    return shape;
}

static clg_var index_put(call *c)
{
    clg_var x = arg_var(c, 0, NULL), values = arg_var(c, 2, "values");
    const bool add = arg_bool(c, 3, "accumulate", false);
    const cJSON *first = cJSON_GetArrayItem(arg(c, 1, "indices"), 0);
    const int several = cJSON_GetArraySize(arg(c, 1, "indices"));
    clg_var mask = json_var(c, first);
    if (several == 1 && clg_dtype_of(mask) == CLG_U8) {
        if (rank_of(values) > rank_of(x) - rank_of(mask))
            return skip_sample(c, "as many values as a mask has ones");
        for (int i = rank_of(mask); i < rank_of(x); i++)
            mask = clg_expand_dims(mask, CLG_AXES(-1));
        return clg_where(mask, add ? clg_add(x, values) : values, x);
    }
    clg_var rows = rows_of(c, 1);
    if (!add && (several > 1 || repeats(c, first, -1, extent(x, 0))))
        skip_gradients(c, overwritten);
    return clg_scatter_nd(x, rows, clg_broadcast_to(values, named(x, rows)), add ? CLG_SCATTER_ADD : CLG_SCATTER_SET);
}

/* Of all elements in a row. */
static clg_var put_elements(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = arg_var(c, 1, "index"), source = arg_var(c, 2, "source");
    const bool add = arg_bool(c, 3, "accumulate", false);
    if (!add && repeats(c, arg(c, 1, "index"), -1, clg_shape_count(clg_shape_of(x))))
        skip_gradients(c, overwritten);
    clg_var y = clg_scatter(flat(x), flat(index), flat(source), 0, add ? CLG_SCATTER_ADD : CLG_SCATTER_SET);
    return clg_reshape(y, clg_shape_of(x));
}

static clg_var masked_index(call *c)
{
    clg_var x = arg_var(c, 0, NULL), mask = arg_var(c, 1, NULL), rows = rows_of(c, 2);
    return clg_where(mask, clg_gather_nd(x, rows, 0), number(c, arg_number(c, 3, NULL, 0)));
}

static clg_var masked_index_put(call *c)
{
    clg_var x = arg_var(c, 0, NULL), mask = arg_var(c, 1, NULL), rows = rows_of(c, 2), values = arg_var(c, 3, NULL);
    return clg_scatter_nd(x, rows, clg_where(mask, values, number(c, 0)), CLG_SCATTER_ADD);
}

/* The source's elements in order where a mask is 1: number so many of them as there were ones before. */
static clg_var masked_scatter(call *c)
{
    clg_var x = arg_var(c, 0, NULL), mask = arg_var(c, 1, "mask"), source = arg_var(c, 2, "source");
    clg_shape shape = clg_shape_of(clg_add(x, clg_cast(mask, clg_dtype_of(x))));
    mask = clg_broadcast_to(mask, shape);
    clg_var before = clg_cumsum(clg_cast(flat(mask), CLG_I32), 0, CLG_SCAN_EXCLUSIVE);
    return clg_where(mask, clg_reshape(clg_take(flat(source), before, 0), shape), x);
}

/* ---------------------------------------------------------------- networks */

/* Rows of a table, reduced bag by bag; a row of padding is in no bag. */
static clg_var embedding_bag(call *c)
{
    const bool listed = clg_dtype_of(arg_var(c, 0, NULL)) == CLG_I32;
    clg_var index = arg_var(c, listed ? 0 : 1, NULL), table = arg_var(c, listed ? 1 : 0, NULL);
    clg_var offsets = arg_var(c, 2, "offsets"), weights = arg_var(c, -1, "per_sample_weights"), bag;
    const char *mode = arg_string(c, -1, "mode", "mean");
    int64_t bags = extent(index, 0), padding = arg_int(c, -1, "padding_idx", 0);
    if (has_arg(c, -1, "max_norm") || arg_bool(c, -1, "scale_grad_by_freq", false) || arg_bool(c, -1, "sparse", false))
        return skip_sample(c, "rows scaled in place, or other gradients");
    if (offsets.id == CLG_NONE.id)
        bag = clg_reshape(clg_arange(c->graph, CLG_I32, bags), CLG_SHAPE(bags, 1));
    else {
        clg_var place = clg_reshape(clg_arange(c->graph, CLG_I32, extent(index, 0)), CLG_SHAPE(-1, 1));
        bags = extent(offsets, 0) - arg_bool(c, -1, "include_last_offset", false);
        bag = clg_count_nonzero(clg_less_equal(clg_slice(offsets, 0, 0, bags, 1), place), CLG_AXES(-1), false);
        bag = clg_sub(bag, clg_full(c->graph, CLG_I32, CLG_SCALAR, 1));
    }
    bag = clg_broadcast_to(bag, clg_shape_of(index));
    if (has_arg(c, -1, "padding_idx")) {
        clg_var row = clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)(padding + (padding < 0) * extent(table, 0)));
        bag = clg_where(clg_equal(index, row), clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)bags), bag);
    }
    clg_var rows = clg_take(table, flat(index), 0),
            ones = clg_full(c->graph, CLG_F64, CLG_SHAPE(extent(rows, 0), 1), 1);
    bag = flat(bag);
    if (weights.id != CLG_NONE.id)
        rows = clg_mul(rows, clg_expand_dims(flat(weights), CLG_AXES(1)));
    clg_var count = clg_scatter_add(bag, ones, bags);
    if (strcmp(mode, "max") == 0)
        return clg_where(count, clg_scatter_max(bag, rows, bags), number(c, 0));
    clg_var sum = clg_scatter_add(bag, rows, bags);
    return strcmp(mode, "sum") == 0 ? sum : clg_div(sum, clg_maximum(count, number(c, 1)));
}

/* Pooled elements where they came from, zeros elsewhere. Sizes of windows say nothing where the result's is given. */
static clg_var max_unpool(call *c)
{
    clg_var x = arg_var(c, 0, NULL), index = arg_var(c, 1, "indices");
    int64_t size[OPINFO_LIST], all = 1;
    const int given = arg_ints(c, -1, "output_size", size), rank = rank_of(x);
    const char *const windows[] = {"kernel_size", "stride", "padding"};
    for (int i = 0; i < 3; i++)
        arg(c, -1, windows[i]);
    if (given < rank - 2 || rank < 3)
        return skip_sample(c, "no size");
    clg_shape shape = clg_shape_of(x);
    for (int i = 2; i < rank; i++)
        all *= shape.dim[i] = size[given - rank + i];
    if (repeats(c, arg(c, 1, "indices"), -2, all))
        skip_gradients(c, overwritten);
    const clg_shape pooled = CLG_SHAPE(shape.dim[0], shape.dim[1], -1);
    clg_var zeros = clg_full(c->graph, clg_dtype_of(x), CLG_SHAPE(shape.dim[0], shape.dim[1], all), 0);
    clg_var y = clg_scatter_elements(zeros, clg_reshape(index, pooled), clg_reshape(x, pooled), 2, CLG_SCATTER_SET);
    return clg_reshape(y, shape);
}

/* For each of a row's targets, up to the first negative one, how far each class that is no target is within 1 of it. */
static clg_var multilabel_margin_loss(call *c)
{
    clg_var x = arg_var(c, 0, NULL), target = arg_var(c, 1, "target"),
            zero = clg_full(c->graph, CLG_I32, CLG_SCALAR, 0);
    const bool single = rank_of(x) < 2;
    const char *reduction = arg_string(c, -1, "reduction", "mean");
    const clg_shape shape = single ? CLG_SHAPE(1, clg_shape_count(clg_shape_of(x))) : clg_shape_of(x);
    x = clg_reshape(x, shape);
    target = clg_reshape(target, shape);
    clg_var valid = clg_cumprod(clg_cast(clg_greater_equal(target, zero), CLG_F64), 1, 0);
    clg_var scores = clg_gather_elements(x, clg_maximum(target, zero), 1),
            classes = clg_arange(c->graph, CLG_I32, shape.dim[1]);
    clg_var named_by =
        clg_mul(clg_equal(clg_expand_dims(target, CLG_AXES(2)), classes), clg_expand_dims(valid, CLG_AXES(2)));
    clg_var other = clg_logical_not(clg_any(named_by, CLG_AXES(1), true));
    clg_var short_of =
        clg_relu(clg_add(clg_sub(number(c, 1), clg_expand_dims(scores, CLG_AXES(2))), clg_expand_dims(x, CLG_AXES(1))));
    clg_var counts = clg_mul(other, clg_expand_dims(valid, CLG_AXES(2)));
    clg_var loss = clg_div(clg_sum(clg_mul(short_of, counts), CLG_AXES(1, 2), false), number(c, (double)shape.dim[1]));
    if (strcmp(reduction, "none") == 0)
        return single ? clg_reshape(loss, CLG_SCALAR) : loss;
    return strcmp(reduction, "sum") == 0 ? clg_sum(loss, CLG_ALL_AXES, false) : clg_mean(loss, CLG_ALL_AXES, false);
}

const opinfo_row opinfo_scatters[] = {
    BUILD("_unsafe_masked_index", masked_index),
    BUILD("_unsafe_masked_index_put_accumulate", masked_index_put),
    BUILD("gather", gather),
    BUILD("index_put", index_put),
    BUILD("index_reduce.amax", index_reduce),
    BUILD("index_reduce.amin", index_reduce),
    BUILD("index_reduce.mean", index_reduce),
    BUILD("index_reduce.prod", index_reduce),
    BUILD("masked_scatter", masked_scatter),
    BUILD("nn.functional.embedding_bag", embedding_bag),
    BUILD("nn.functional.max_unpool1d", max_unpool),
    BUILD("nn.functional.max_unpool1d.grad", max_unpool),
    BUILD("nn.functional.max_unpool2d", max_unpool),
    BUILD("nn.functional.max_unpool2d.grad", max_unpool),
    BUILD("nn.functional.max_unpool3d", max_unpool),
    BUILD("nn.functional.max_unpool3d.grad", max_unpool),
    BUILD("nn.functional.multilabel_margin_loss", multilabel_margin_loss),
    BUILD("put", put_elements),
    BUILD("scatter", scatter),
    BUILD("scatter_add", scatter_add),
    BUILD("scatter_reduce.amax", scatter_reduce),
    BUILD("scatter_reduce.amin", scatter_reduce),
    BUILD("scatter_reduce.mean", scatter_reduce),
    BUILD("scatter_reduce.prod", scatter_reduce),
    BUILD("scatter_reduce.sum", scatter_reduce),
    BUILD("take_along_dim", take_along),
    {0},
};
