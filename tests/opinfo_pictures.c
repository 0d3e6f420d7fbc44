/* Convolutions, pooling, padding, rearrangements of pictures. */
#include "opinfo.h"

#include <string.h>

/* One integer, or one for each spatial axis. */
static clg_shape spatial(call *c, int position, const char *name, int axes, int64_t otherwise)
{
    int64_t values[OPINFO_LIST];
    const int count = arg_ints(c, position, name, values);
    clg_shape shape = {.rank = axes};
    for (int i = 0; i < axes; i++)
        shape.dim[i] = count <= 0 ? otherwise : values[count == 1 ? 0 : i];
    return shape;
}

static clg_var with_batch(clg_var x, bool single) { return single ? clg_expand_dims(x, CLG_AXES(0)) : x; }

static clg_var without_batch(clg_var x, bool single) { return single ? clg_squeeze(x, CLG_AXES(0)) : x; }

/* One number for each channel, axis 1. */
static clg_var plus_bias(clg_var y, clg_var bias)
{
    if (bias.id == CLG_NONE.id)
        return y;
    clg_shape shape = {.rank = rank_of(y)};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = i == 1 ? extent(bias, 0) : 1;
    return clg_add(y, clg_reshape(bias, shape));
}

static clg_var conv(call *c)
{
    clg_var x = arg_var(c, 0, NULL), w = arg_var(c, 1, "weight"), bias = arg_var(c, 2, "bias");
    const int axes = rank_of(w) - 2;
    const bool single = rank_of(x) == axes + 1;
    const char *padding = arg_string(c, 4, "padding", NULL);
    clg_conv_options options = {.stride = spatial(c, 3, "stride", axes, 1),
                                .dilation = spatial(c, 5, "dilation", axes, 1),
                                .groups = arg_int(c, 6, "groups", 1),
                                .same = padding && strcmp(padding, "same") == 0};
    if (!padding)
        options.before = options.after = spatial(c, 4, "padding", axes, 0);
    return without_batch(plus_bias(clg_conv(with_batch(x, single), w, options), bias), single);
}

static clg_var conv_transpose(call *c)
{
    clg_var x = arg_var(c, 0, NULL), w = arg_var(c, 1, "weight"), bias = arg_var(c, 2, "bias");
    const int axes = rank_of(w) - 2;
    const bool single = rank_of(x) == axes + 1;
    clg_conv_options options = {.stride = spatial(c, 3, "stride", axes, 1),
                                .before = spatial(c, 4, "padding", axes, 0),
                                .after = spatial(c, 4, "padding", axes, 0),
                                .output_padding = spatial(c, 5, "output_padding", axes, 0),
                                .groups = arg_int(c, 6, "groups", 1),
                                .dilation = spatial(c, 7, "dilation", axes, 1)};
    return without_batch(plus_bias(clg_conv_transpose(with_batch(x, single), w, options), bias), single);
}

/* ---------------------------------------------------------------- pooling */

/* ceil_mode: a last window that starts within x or the padding before it may reach beyond the padding behind: there is
 * more of that, then. Whether there is. */
static bool round_up(clg_pool_options *options, clg_var x, int axes)
{
    bool more = false;
    for (int i = 0; i < axes; i++) {
        const int64_t n = extent(x, i - axes), before = options->before.dim[i], stride = options->stride.dim[i];
        const int64_t reach = options->dilation.dim[i] * (options->size.dim[i] - 1) + 1;
        const int64_t left = n + 2 * before - reach;
        int64_t count = (left + stride - 1) / stride + 1;
        if ((count - 1) * stride >= n + before)
            count--;
        const int64_t beyond = (count - 1) * stride + reach - (n + 2 * before);
        if (beyond > 0) {
            options->after.dim[i] += beyond;
            more = true;
        }
    }
    return more;
}

/* Where the places of the maxima are asked for, too, only the maxima are compared. */
static clg_var maxima(call *c, int position, clg_var y)
{
    put(c, y);
    if (arg_bool(c, position, "return_indices", false))
        put(c, CLG_NONE);
    return CLG_NONE;
}

static clg_var max_pool(call *c, int axes)
{
    clg_var x = arg_var(c, 0, NULL);
    const bool single = rank_of(x) == axes + 1;
    clg_pool_options options = {.size = spatial(c, 1, "kernel_size", axes, 1)};
    options.stride = spatial(c, 2, "stride", axes, 0);
    for (int i = 0; i < axes; i++)
        options.stride.dim[i] = options.stride.dim[i] ? options.stride.dim[i] : options.size.dim[i];
    options.before = options.after = spatial(c, 3, "padding", axes, 0);
    options.dilation = spatial(c, 4, "dilation", axes, 1);
    if (arg_bool(c, 5, "ceil_mode", false))
        round_up(&options, x, axes);
    return maxima(c, 6, without_batch(clg_max_pool(with_batch(x, single), options), single));
}

static clg_var max_pool_1(call *c) { return max_pool(c, 1); }
static clg_var max_pool_2(call *c) { return max_pool(c, 2); }
static clg_var max_pool_3(call *c) { return max_pool(c, 3); }

static clg_var avg_pool(call *c, int axes)
{
    clg_var x = arg_var(c, 0, NULL);
    const bool single = rank_of(x) == axes + 1, counts = arg_bool(c, 5, "count_include_pad", true);
    clg_pool_options options = {.size = spatial(c, 1, "kernel_size", axes, 1), .count_padding = counts};
    options.stride = spatial(c, 2, "stride", axes, 0);
    for (int i = 0; i < axes; i++)
        options.stride.dim[i] = options.stride.dim[i] ? options.stride.dim[i] : options.size.dim[i];
    options.before = options.after = spatial(c, 3, "padding", axes, 0);
    options.dilation = spatial(c, -1, "dilation", axes, 1);
    const bool more = arg_bool(c, 4, "ceil_mode", false) && round_up(&options, x, axes);
    const double divisor = arg_number(c, 6, "divisor_override", 0);
    if (more && counts && divisor == 0)
        return skip_sample(c, "windows beyond the padding that count a part of it");
    options.count_padding |= divisor != 0;
    clg_var y = without_batch(clg_avg_pool(with_batch(x, single), options), single);
    return divisor == 0 ? y : clg_mul(y, number(c, (double)clg_shape_count(options.size) / divisor));
}

static clg_var avg_pool_1(call *c) { return avg_pool(c, 1); }
static clg_var avg_pool_2(call *c) { return avg_pool(c, 2); }
static clg_var avg_pool_3(call *c) { return avg_pool(c, 3); }

/* None in a size: the extent that there is. */
static clg_var adaptive(call *c, int axes, clg_var (*pool)(clg_var, clg_shape, const char *))
{
    clg_var x = arg_var(c, 0, NULL);
    const bool single = rank_of(x) == axes + 1;
    const cJSON *size = arg(c, 1, "output_size");
    clg_shape shape = {.rank = axes};
    for (int i = 0; i < axes; i++) {
        const cJSON *given =
            cJSON_IsArray(size) ? cJSON_GetArrayItem(size, cJSON_GetArraySize(size) == 1 ? 0 : i) : size;
        shape.dim[i] = cJSON_IsNumber(given) ? given->valueint : extent(x, i - axes);
    }
    return maxima(c, 2, without_batch(pool(with_batch(x, single), shape, NULL), single));
}

static clg_var adaptive_avg_1(call *c) { return adaptive(c, 1, clg_adaptive_avg_pool); }
static clg_var adaptive_avg_2(call *c) { return adaptive(c, 2, clg_adaptive_avg_pool); }
static clg_var adaptive_avg_3(call *c) { return adaptive(c, 3, clg_adaptive_avg_pool); }
static clg_var adaptive_max_1(call *c) { return adaptive(c, 1, clg_adaptive_max_pool); }
static clg_var adaptive_max_2(call *c) { return adaptive(c, 2, clg_adaptive_max_pool); }
static clg_var adaptive_max_3(call *c) { return adaptive(c, 3, clg_adaptive_max_pool); }

/* Resizing by areas is adaptive pooling. */
static clg_var area(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axes = rank_of(x) - 2;
    const bool sized = has_arg(c, 1, "size");
    const double scale = arg_number(c, 2, "scale_factor", 1);
    clg_shape size = spatial(c, 1, "size", axes, 1);
    arg(c, -1, "mode");
    arg(c, -1, "recompute_scale_factor");
    for (int i = 0; i < axes && !sized; i++)
        size.dim[i] = (int64_t)((double)extent(x, i - axes) * scale);
    return clg_adaptive_avg_pool(x, size, NULL);
}

/* ---------------------------------------------------------------- padding and rearrangement */

/* As much off the last axis, the one before it, ... as is below 0. */
static clg_var cut(clg_var x, const int64_t *widths, int count)
{
    for (int i = 0; 2 * i + 1 < count; i++) {
        const int64_t front = widths[2 * i] < 0 ? -widths[2 * i] : 0;
        const int64_t behind = widths[2 * i + 1] < 0 ? -widths[2 * i + 1] : 0;
        if (front || behind)
            x = clg_slice(x, -1 - i, front, extent(x, -1 - i) - behind, 1);
    }
    return x;
}

/* Widths of the last axis, of the one before it, ...; negative ones cut. */
static clg_var pad(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    int64_t widths[OPINFO_LIST];
    const int count = arg_ints(c, 1, "pad", widths);
    const cJSON *third = arg(c, 2, "mode");
    const char *name = cJSON_IsString(third) ? cJSON_GetStringValue(third) : "constant";
    const double value = cJSON_IsNumber(third) ? third->valuedouble : arg_number(c, 3, "value", 0);
    const clg_pad_mode mode = strcmp(name, "reflect") == 0     ? CLG_PAD_REFLECT
                              : strcmp(name, "replicate") == 0 ? CLG_PAD_EDGE
                              : strcmp(name, "circular") == 0  ? CLG_PAD_WRAP
                                                               : CLG_PAD_CONSTANT;
    clg_shape before = {.rank = rank_of(x)}, after = before;
    for (int i = 0; 2 * i + 1 < count; i++) {
        const int axis = rank_of(x) - 1 - i;
        before.dim[axis] = widths[2 * i] > 0 ? widths[2 * i] : 0;
        after.dim[axis] = widths[2 * i + 1] > 0 ? widths[2 * i + 1] : 0;
    }
    /* What is cut off does not come back on the other side, but is the edge that is repeated. */
    if (mode == CLG_PAD_WRAP)
        return clg_pad(cut(x, widths, count), before, after, mode, value);
    return cut(clg_pad(x, before, after, mode, value), widths, count);
}

static clg_var unfold(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    return clg_unfold(x, spatial(c, 1, "kernel_size", 2, 1), spatial(c, 4, "stride", 2, 1),
                      spatial(c, 2, "dilation", 2, 1), spatial(c, 3, "padding", 2, 0));
}

/* Axes in front are one batch for the time being. */
static clg_var shuffled(call *c, const char *name, clg_var (*function)(clg_var, int64_t))
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t r = arg_int(c, 1, name, 1);
    const clg_shape shape = clg_shape_of(x);
    if (shape.rank == 4)
        return function(x, r);
    clg_shape flat = {.rank = 4, .dim = {1}}, result = {.rank = shape.rank};
    for (int i = 0; i < shape.rank; i++)
        if (i < shape.rank - 3)
            flat.dim[0] *= result.dim[i] = shape.dim[i];
        else
            flat.dim[i - shape.rank + 4] = shape.dim[i];
    clg_var y = function(clg_reshape(x, flat), r);
    for (int i = 1; i < 4; i++)
        result.dim[shape.rank - 4 + i] = extent(y, i);
    return clg_reshape(y, result);
}

static clg_var pixel_shuffle(call *c) { return shuffled(c, "upscale_factor", clg_pixel_shuffle); }
static clg_var pixel_unshuffle(call *c) { return shuffled(c, "downscale_factor", clg_pixel_unshuffle); }

static clg_var channel_shuffle(call *c)
{
    clg_var x = arg_var(c, 0, NULL);
    const int64_t groups = arg_int(c, 1, "groups", 1);
    const clg_shape shape = clg_shape_of(x);
    clg_var cut = clg_reshape(x, CLG_SHAPE(shape.dim[0], groups, shape.dim[1] / groups, -1));
    return clg_reshape(clg_swap_axes(cut, 1, 2), shape);
}

const opinfo_row opinfo_pictures[] = {
    BUILD("constant_pad_nd", pad),
    BUILD("nn.functional.adaptive_avg_pool1d", adaptive_avg_1),
    BUILD("nn.functional.adaptive_avg_pool2d", adaptive_avg_2),
    BUILD("nn.functional.adaptive_avg_pool3d", adaptive_avg_3),
    BUILD("nn.functional.adaptive_max_pool1d", adaptive_max_1),
    BUILD("nn.functional.adaptive_max_pool2d", adaptive_max_2),
    BUILD("nn.functional.adaptive_max_pool3d", adaptive_max_3),
    BUILD("nn.functional.avg_pool1d", avg_pool_1),
    BUILD("nn.functional.avg_pool2d", avg_pool_2),
    BUILD("nn.functional.avg_pool3d", avg_pool_3),
    BUILD("nn.functional.channel_shuffle", channel_shuffle),
    BUILD("nn.functional.conv1d", conv),
    BUILD("nn.functional.conv2d", conv),
    BUILD("nn.functional.conv3d", conv),
    BUILD("nn.functional.conv_transpose1d", conv_transpose),
    BUILD("nn.functional.conv_transpose2d", conv_transpose),
    BUILD("nn.functional.conv_transpose3d", conv_transpose),
    BUILD("nn.functional.interpolate.area", area),
    BUILD("nn.functional.max_pool1d", max_pool_1),
    BUILD("nn.functional.max_pool2d", max_pool_2),
    BUILD("nn.functional.max_pool3d", max_pool_3),
    BUILD("nn.functional.pad.circular", pad),
    BUILD("nn.functional.pad.constant", pad),
    BUILD("nn.functional.pad.reflect", pad),
    BUILD("nn.functional.pad.replicate", pad),
    BUILD("nn.functional.pad.replicate_negative", pad),
    BUILD("nn.functional.pixel_shuffle", pixel_shuffle),
    BUILD("nn.functional.pixel_unshuffle", pixel_unshuffle),
    BUILD("nn.functional.unfold", unfold),
    {0},
};
