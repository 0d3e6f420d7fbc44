/* Entries that rearrange elements. */
#include "opinfo.h"

#include <string.h>

static clg_var reshape(call *c) { return clg_reshape(arg_var(c, 0, NULL), arg_shape(c, 1, NULL)); }

static clg_var reshape_as(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_reshape(x, clg_shape_of(arg_var(c, 1, NULL)));
}

static clg_var ravel(clg_var x) { return clg_reshape(x, CLG_SHAPE(clg_shape_count(clg_shape_of(x)))); }

/* Axes first to last as one. */
static clg_var join_axes(clg_var x, int first, int last)
{
    clg_shape old = clg_shape_of(x), shape = {0};
    int64_t joined = 1;
    if (old.rank == 0)
        return clg_reshape(x, CLG_SHAPE(1));
    for (int i = 0; i < old.rank; i++) {
        if (i >= first && i <= last)
            joined *= old.dim[i];
        if (i < first || i > last)
            shape.dim[shape.rank++] = old.dim[i];
        else if (i == last)
            shape.dim[shape.rank++] = joined;
    }
    return clg_reshape(x, shape);
}

static clg_var flatten(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return join_axes(x, axis_in(x, arg_axis(c, 1, "start_dim", 0)), axis_in(x, arg_axis(c, 2, "end_dim", -1)));
}

static clg_var unflatten(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = axis_in(x, arg_axis(c, 1, "dim", 0));
    const clg_shape sizes = arg_shape(c, 2, "sizes"), old = clg_shape_of(x);
    clg_shape shape = {0};
    for (int i = 0; i < old.rank; i++)
        if (i != axis)
            shape.dim[shape.rank++] = old.dim[i];
        else
            for (int k = 0; k < sizes.rank; k++)
                shape.dim[shape.rank++] = sizes.dim[k];
    return clg_reshape(x, shape);
}

static clg_var permute(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t order[OPINFO_LIST];
    const int count = arg_ints(c, 1, NULL, order);
    for (int i = 0; i < count; i++)
        order[i] = axis_in(x, order[i]);
    return clg_permute(x, axes_of(order, count));
}

static clg_var reversed(clg_var x)
{
    clg_axes order = {.count = rank_of(x)};
    for (int i = 0; i < order.count; i++)
        order.axis[i] = order.count - 1 - i;
    return clg_permute(x, order);
}

static clg_var last_swapped(clg_var x) { return rank_of(x) < 2 ? x : clg_transpose(x); }

static clg_var transpose(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int a = arg_axis(c, 1, "dim0", 0), b = arg_axis(c, 2, "dim1", 0);
    return rank_of(x) == 0 ? x : clg_swap_axes(x, a, b);
}

static clg_var movedim(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t from[OPINFO_LIST], to[OPINFO_LIST];
    const int count = arg_ints(c, 1, "source", from), rank = rank_of(x);
    arg_ints(c, 2, "destination", to);
    clg_axes order = {.count = rank};
    bool taken[CLG_MAX_RANK] = {0}, set[CLG_MAX_RANK] = {0};
    for (int i = 0; i < count; i++) {
        order.axis[axis_in(x, to[i])] = axis_in(x, from[i]);
        set[axis_in(x, to[i])] = taken[axis_in(x, from[i])] = true;
    }
    for (int i = 0, next = 0; i < rank; i++)
        if (!set[i]) {
            while (taken[next])
                next++;
            order.axis[i] = next++;
        }
    return clg_permute(x, order);
}

/* -1: the extent that there is. */
static clg_var expand(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    clg_shape shape = arg_shape(c, 1, NULL);
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 0)
            shape.dim[i] = extent(x, i - shape.rank + rank_of(x));
    return clg_broadcast_to(x, shape);
}

static clg_var expand_as(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_broadcast_to(x, clg_shape_of(arg_var(c, 1, NULL)));
}

static clg_var squeeze(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t axes[OPINFO_LIST];
    int count = arg_ints(c, 1, "dim", axes), kept = 0;
    if (count < 0)
        return clg_squeeze(x, CLG_ALL_AXES);
    for (int i = 0; i < count; i++)
        if (rank_of(x) && extent(x, (int)axes[i]) == 1)
            axes[kept++] = axes[i];
    return kept ? clg_squeeze(x, axes_of(axes, kept)) : x;
}

static clg_var unsqueeze(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_expand_dims(x, CLG_AXES(arg_axis(c, 1, "dim", 0)));
}

static clg_var at_least(clg_var x, int rank)
{
    if (rank_of(x) == 2 && rank == 3)
        return clg_expand_dims(x, CLG_AXES(2));
    if (rank_of(x) == 1 && rank == 3)
        return clg_expand_dims(x, CLG_AXES(0, 2));
    while (clg_is_valid(x) && rank_of(x) < rank)
        x = clg_expand_dims(x, CLG_AXES(0));
    return x;
}

static clg_var at_least_n(call *c, int rank)
{
    clg_var xs[OPINFO_LIST];
    const int count = arg_vars(c, 0, NULL, xs);
    for (int i = 0; i < count; i++)
        put(c, at_least(xs[i], rank));
    return CLG_NONE;
}

static clg_var at_least_1(call *c) { return at_least_n(c, 1); }
static clg_var at_least_2(call *c) { return at_least_n(c, 2); }
static clg_var at_least_3(call *c) { return at_least_n(c, 3); }

/* ---------------------------------------------------------------- orders of elements */

static clg_var flip(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t axes[OPINFO_LIST];
    const int count = arg_ints(c, 1, "dims", axes);
    return count <= 0 ? x : clg_flip(x, axes_of(axes, count));
}

static clg_var flip_columns(clg_var x) { return clg_flip(x, CLG_AXES(1)); }
static clg_var flip_rows(clg_var x) { return clg_flip(x, CLG_AXES(0)); }

static clg_var rolled(clg_var x, int axis, int64_t shift)
{
    const int64_t n = extent(x, axis), cut = n ? ((-shift % n) + n) % n : 0;
    if (!cut)
        return x;
    const clg_var parts[] = {clg_slice(x, axis, cut, INT64_MAX, 1), clg_slice(x, axis, 0, cut, 1)};
    return clg_concat(parts, 2, axis);
}

static clg_var roll(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const clg_shape shape = clg_shape_of(x);
    int64_t shifts[OPINFO_LIST], axes[OPINFO_LIST];
    const int count = arg_ints(c, 1, "shifts", shifts), axis_count = arg_ints(c, 2, "dims", axes);
    if (axis_count <= 0)
        return clg_reshape(rolled(ravel(x), 0, shifts[0]), shape);
    for (int i = 0; i < count; i++)
        x = rolled(x, (int)axes[i], shifts[i]);
    return x;
}

/* Half of each axis forward (or, for the inverse, back). */
static clg_var half_roll(call *c, bool inverse)
{
    clg_var x = arg_var(c, 0, NULL);
    const clg_axes axes = arg_axes(c, 1, "dim");
    for (int i = 0; i < (axes.count < 0 ? rank_of(x) : axes.count); i++) {
        const int axis = axes.count < 0 ? i : axes.axis[i];
        const int64_t n = extent(x, axis);
        x = rolled(x, axis, inverse ? (n + 1) / 2 : n / 2);
    }
    return x;
}

static clg_var fftshift(call *c) { return half_roll(c, false); }
static clg_var ifftshift(call *c) { return half_roll(c, true); }

static clg_var rot90(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t axes[OPINFO_LIST] = {0, 1};
    const int64_t k = ((arg_int(c, 1, "k", 1) % 4) + 4) % 4;
    arg_ints(c, 2, "dims", axes);
    const int a = (int)axes[0], b = (int)axes[1];
    return k == 0   ? x
           : k == 1 ? clg_swap_axes(clg_flip(x, CLG_AXES(b)), a, b)
           : k == 2 ? clg_flip(x, CLG_AXES(a, b))
                    : clg_flip(clg_swap_axes(x, a, b), CLG_AXES(b));
}

static clg_var repeat(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    clg_shape repeats = arg_shape(c, 1, NULL);
    repeats.rank = repeats.rank < 0 ? 0 : repeats.rank;
    while (clg_is_valid(x) && rank_of(x) < repeats.rank)
        x = clg_expand_dims(x, CLG_AXES(0));
    clg_shape all = {.rank = rank_of(x)};
    for (int i = 0; i < all.rank; i++) {
        const int at = i - all.rank + repeats.rank;
        all.dim[i] = at < 0 ? 1 : repeats.dim[at];
    }
    return clg_tile(x, all);
}

static clg_var repeat_interleave(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const cJSON *tensor = cJSON_GetObjectItem(arg(c, 1, "repeats"), "tensor");
    if (tensor && clg_shape_count(c->sample->tensors[tensor->valueint].shape) != 1)
        return skip_sample(c, "a number of repeats for each element");
    const int64_t count = arg_int(c, 1, "repeats", 1);
    if (!has_arg(c, 2, "dim"))
        return clg_repeat(ravel(x), 0, count);
    return clg_repeat(x, arg_axis(c, 2, "dim", 0), count);
}

/* ---------------------------------------------------------------- parts */

static clg_var narrow(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = axis_in(x, arg_axis(c, 1, "dim", 0));
    int64_t start = arg_int(c, 2, "start", 0);
    const int64_t length = arg_int(c, 3, "length", 0);
    start = start < 0 ? start + extent(x, axis) : start;
    return clg_slice(x, axis, start, start + length, 1);
}

static clg_var slice(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", 0);
    const int64_t start = arg_int(c, 2, "start", 0), stop = arg_int(c, 3, "end", INT64_MAX);
    return clg_slice(x, axis, start, stop, arg_int(c, 4, "step", 1));
}

static clg_var select_one(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dim", 0);
    return clg_index(x, axis, arg_int(c, 2, "index", 0));
}

static clg_var unbind(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = axis_in(x, arg_axis(c, 1, "dim", 0));
    for (int64_t i = 0; i < extent(x, axis); i++)
        put(c, clg_index(x, axis, i));
    return CLG_NONE;
}

static clg_var cut(call *c, clg_var x, int axis, const int64_t *sizes, int count)
{
    clg_var parts[OPINFO_LIST];
    clg_split(x, axis, sizes, count, parts);
    for (int i = 0; i < count; i++)
        put(c, parts[i]);
    return CLG_NONE;
}

/* Parts of so many elements, the last one of what is left. */
static clg_var cut_by(call *c, clg_var x, int axis, int64_t size)
{
    int64_t sizes[OPINFO_LIST], left = extent(x, axis);
    int count = 0;
    do {
        sizes[count++] = left < size ? left : size;
        left -= sizes[count - 1];
    } while (left > 0 && size > 0 && count < OPINFO_LIST);
    return cut(c, x, axis, sizes, count);
}

static clg_var split(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t sizes[OPINFO_LIST];
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    const cJSON *given = arg(c, 1, NULL);
    const int count = cJSON_IsArray(given) ? arg_ints(c, 1, NULL, sizes) : 0;
    return count ? cut(c, x, axis, sizes, count) : cut_by(c, x, axis, arg_int(c, 1, NULL, 1));
}

static clg_var chunk(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = axis_in(x, arg_axis(c, 2, "dim", 0));
    const int64_t count = arg_int(c, 1, "chunks", 1);
    return cut_by(c, x, axis, (extent(x, axis) + count - 1) / count);
}

/* Into so many parts, the first ones larger by 1, or at these places. */
static clg_var cut_at(call *c, clg_var x, int axis)
{
    int64_t places[OPINFO_LIST] = {0}, sizes[OPINFO_LIST];
    const cJSON *given = arg(c, 1, NULL), *tensor = cJSON_GetObjectItem(given, "tensor");
    const int64_t n = extent(x, axis);
    int count = 0;
    if (cJSON_IsArray(given))
        count = arg_ints(c, 1, NULL, places);
    else if (tensor && c->sample->tensors[tensor->valueint].shape.rank == 1)
        for (; count < clg_shape_count(c->sample->tensors[tensor->valueint].shape); count++)
            places[count] = (int64_t)opinfo_element(&c->sample->tensors[tensor->valueint], count);
    else {
        const int64_t parts = arg_int(c, 1, NULL, 1);
        for (int i = 0; i < parts; i++)
            sizes[i] = n / parts + (i < n % parts);
        return cut(c, x, axis, sizes, (int)parts);
    }
    for (int i = 0, from = 0; i <= count; i++) {
        int64_t to = i == count ? n : places[i] < 0 ? places[i] + n : places[i];
        to = to > n ? n : to < from ? from : to;
        sizes[i] = to - from;
        from = (int)to;
    }
    return cut(c, x, axis, sizes, count + 1);
}

static clg_var tensor_split(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return cut_at(c, x, axis_in(x, arg_axis(c, 2, "dim", 0)));
}

static clg_var hsplit(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return cut_at(c, x, rank_of(x) == 1 ? 0 : 1);
}

static clg_var vsplit(call *c) { return cut_at(c, arg_var(c, 0, NULL), 0); }
static clg_var dsplit(call *c) { return cut_at(c, arg_var(c, 0, NULL), 2); }

static clg_var windows(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axis = arg_axis(c, 1, "dimension", 0);
    const int64_t size = arg_int(c, 2, "size", 1), step = arg_int(c, 3, "step", 1);
    if (rank_of(x) == 0)
        return clg_reshape(x, CLG_SHAPE(1));
    return clg_window(x, CLG_AXES(axis), CLG_SHAPE(size), CLG_SHAPE(step), CLG_SCALAR);
}

/* As if x's elements lay in a row: the places of the result's are numbers. */
static clg_var as_strided(call *c)
{
    clg_var x = ravel(arg_var(c, 0, NULL));
    const clg_shape size = arg_shape(c, 1, "size"), stride = arg_shape(c, 2, "stride");
    clg_var place = clg_full(c->graph, CLG_I32, size, (double)arg_int(c, 3, "storage_offset", 0));
    for (int i = 0; i < size.rank; i++) {
        clg_shape shape = {.rank = size.rank};
        for (int k = 0; k < size.rank; k++)
            shape.dim[k] = k == i ? size.dim[k] : 1;
        clg_var step = clg_full(c->graph, CLG_I32, CLG_SCALAR, (double)stride.dim[i]);
        place = clg_add(place, clg_mul(clg_reshape(clg_arange(c->graph, CLG_I32, size.dim[i]), shape), step));
    }
    return clg_gather(x, place);
}

const opinfo_row opinfo_views[] = {
    BUILD("as_strided", as_strided),
    BUILD("as_strided_copy", as_strided),
    BUILD("atleast_1d", at_least_1),
    BUILD("atleast_2d", at_least_2),
    BUILD("atleast_3d", at_least_3),
    BUILD("broadcast_to", expand),
    BUILD("chunk", chunk),
    BUILD("dsplit", dsplit),
    BUILD("expand", expand),
    BUILD("expand_as", expand_as),
    BUILD("expand_copy", expand),
    BUILD("fft.fftshift", fftshift),
    BUILD("fft.ifftshift", ifftshift),
    BUILD("flatten", flatten),
    BUILD("flip", flip),
    UNARY("fliplr", flip_columns),
    UNARY("flipud", flip_rows),
    UNARY("H", last_swapped),
    BUILD("hsplit", hsplit),
    UNARY("mH", last_swapped),
    UNARY("mT", last_swapped),
    BUILD("movedim", movedim),
    BUILD("narrow", narrow),
    BUILD("narrow_copy", narrow),
    BUILD("permute", permute),
    BUILD("permute_copy", permute),
    UNARY("ravel", ravel),
    BUILD("repeat", repeat),
    BUILD("repeat_interleave", repeat_interleave),
    BUILD("reshape", reshape),
    BUILD("reshape_as", reshape_as),
    BUILD("roll", roll),
    BUILD("rot90", rot90),
    BUILD("select", select_one),
    BUILD("slice", slice),
    BUILD("split", split),
    BUILD("split.list_args", split),
    BUILD("split_with_sizes", split),
    BUILD("split_with_sizes_copy", split),
    BUILD("squeeze", squeeze),
    BUILD("squeeze.multiple", squeeze),
    BUILD("squeeze_copy", squeeze),
    UNARY("T", reversed),
    UNARY("t", last_swapped),
    UNARY("t_copy", last_swapped),
    BUILD("tensor_split", tensor_split),
    BUILD("tile", repeat),
    BUILD("transpose", transpose),
    BUILD("transpose_copy", transpose),
    BUILD("unbind", unbind),
    BUILD("unbind_copy", unbind),
    BUILD("unflatten", unflatten),
    BUILD("unfold", windows),
    BUILD("unfold_copy", windows),
    BUILD("unsafe_chunk", chunk),
    BUILD("unsafe_split", split),
    BUILD("unsqueeze", unsqueeze),
    BUILD("unsqueeze_copy", unsqueeze),
    BUILD("view", reshape),
    BUILD("view_as", reshape_as),
    BUILD("view_copy", reshape),
    BUILD("vsplit", vsplit),
    {0},
};
