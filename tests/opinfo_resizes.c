/* Entries that resize and sample pictures, and the loss of sequences. */
#include "opinfo.h"

#include <math.h>
#include <string.h>

static clg_interpolation interpolation(const char *mode)
{
    return strcmp(mode, "nearest") == 0         ? CLG_INTERPOLATE_NEAREST
           : strcmp(mode, "nearest-exact") == 0 ? CLG_INTERPOLATE_NEAREST_EXACT
           : strcmp(mode, "bicubic") == 0       ? CLG_INTERPOLATE_CUBIC
                                                : CLG_INTERPOLATE_LINEAR;
}

/* To a size, or by a factor: elements lie at places of that factor then, where clgrad has them at places of the ratio
 * of the extents, which is another one where the new extent was rounded. */
static clg_var resized(call *c, const char *mode, bool corners)
{
    clg_var x = arg_var(c, 0, NULL);
    const int axes = rank_of(x) - 2;
    const cJSON *given = arg(c, 1, "size"), *factors = arg(c, 2, "scale_factor");
    const bool ratio = arg_bool(c, -1, "recompute_scale_factor", false) || corners;
    clg_shape size = {.rank = axes};
    for (int i = 0; i < axes; i++) {
        const cJSON *list = cJSON_IsNull(given) || !given ? factors : given;
        const cJSON *item = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, i) : list;
        const double value = cJSON_IsNumber(item) ? item->valuedouble : 1;
        const double exact = list == factors ? (double)extent(x, i - axes) * value : value;
        if (exact != floor(exact) && !ratio)
            return skip_sample(c, "places by a factor that is not the ratio of the extents");
        size.dim[i] = (int64_t)floor(exact);
    }
    return clg_interpolate(x, size, interpolation(mode), corners);
}

static clg_var interpolate(call *c)
{
    const char *mode = arg_string(c, 3, "mode", "nearest");
    const bool corners = arg_bool(c, 4, "align_corners", false);
    return arg_bool(c, -1, "antialias", false) ? skip_sample(c, "smoothing") : resized(c, mode, corners);
}

static clg_var upsample_nearest(call *c) { return resized(c, "nearest", false); }
static clg_var upsample_bilinear(call *c) { return resized(c, "bilinear", true); }

static clg_var grid_sample(call *c)
{
    clg_var x = arg_var(c, 0, NULL), grid = arg_var(c, 1, "grid");
    const char *mode = arg_string(c, 2, "mode", "bilinear"), *padding = arg_string(c, 3, "padding_mode", "zeros");
    const clg_grid_padding outside = strcmp(padding, "zeros") == 0    ? CLG_GRID_ZEROS
                                     : strcmp(padding, "border") == 0 ? CLG_GRID_BORDER
                                                                      : CLG_GRID_REFLECTION;
    const bool corners = arg_bool(c, 4, "align_corners", false);
    return rank_of(x) == 4 ? clg_grid_sample(x, grid, interpolation(mode), outside, corners)
                           : skip_sample(c, "three axes");
}

static clg_var grid_sampler(call *c)
{
    static const clg_interpolation modes[] = {CLG_INTERPOLATE_LINEAR, CLG_INTERPOLATE_NEAREST, CLG_INTERPOLATE_CUBIC};
    static const clg_grid_padding paddings[] = {CLG_GRID_ZEROS, CLG_GRID_BORDER, CLG_GRID_REFLECTION};
    clg_var x = arg_var(c, 0, NULL), grid = arg_var(c, 1, NULL);
    const int64_t mode = arg_int(c, 2, NULL, 0), padding = arg_int(c, 3, NULL, 0);
    return clg_grid_sample(x, grid, modes[mode % 3], paddings[padding % 3], arg_bool(c, 4, NULL, false));
}

/* Lengths as an array or a list. */
static clg_var lengths_of(call *c, int position, const char *name)
{
    int64_t values[OPINFO_LIST];
    int32_t narrow[OPINFO_LIST];
    if (!cJSON_IsArray(arg(c, position, name)))
        return arg_var(c, position, name);
    const int count = arg_ints(c, position, name, values);
    for (int i = 0; i < count; i++)
        narrow[i] = (int32_t)values[i];
    return clg_array(c->graph, CLG_I32, CLG_SHAPE(count), narrow);
}

/* PyTorch's gradient is that in front of log_softmax, which changes nothing about logarithms of probabilities. */
static clg_var ctc_loss(call *c)
{
    clg_var x = clg_log_softmax(arg_var(c, 0, NULL), -1), labels = arg_var(c, 1, NULL);
    const char *reduction = arg_string(c, -1, "reduction", "mean");
    const clg_ctc_options options = {
        .blank = (int32_t)arg_int(c, 4, "blank", 0),
        .zero_infinity = arg_bool(c, -1, "zero_infinity", false),
        .reduction = strcmp(reduction, "none") == 0  ? CLG_REDUCE_NONE
                     : strcmp(reduction, "sum") == 0 ? CLG_REDUCE_SUM
                                                     : CLG_REDUCE_MEAN,
    };
    if (rank_of(x) != 3 || rank_of(labels) != 2)
        return skip_sample(c, "no batch, or labels one behind the other");
    return clg_ctc_loss(x, labels, lengths_of(c, 2, NULL), lengths_of(c, 3, NULL), &options);
}

const opinfo_row opinfo_resizes[] = {
    BUILD("grid_sampler_2d", grid_sampler),
    BUILD("nn.functional.ctc_loss", ctc_loss),
    BUILD("nn.functional.grid_sample", grid_sample),
    BUILD("nn.functional.interpolate.bicubic", interpolate),
    BUILD("nn.functional.interpolate.bilinear", interpolate),
    BUILD("nn.functional.interpolate.linear", interpolate),
    BUILD("nn.functional.interpolate.nearest", interpolate),
    BUILD("nn.functional.interpolate.nearest-exact", interpolate),
    BUILD("nn.functional.interpolate.trilinear", interpolate),
    BUILD("nn.functional.upsample_bilinear", upsample_bilinear),
    BUILD("nn.functional.upsample_nearest", upsample_nearest),
    {0},
};
