/* Rearrangements of pictures, made of views. */
#include "helpers.h"

clg_var clg_pixel_shuffle(clg_var x, int64_t r)
{
    const clg_shape s = clg_shape_of(x);
    const int64_t square = r > 0 ? r * r : 1;
    clg_var cells = clg_reshape(x, CLG_SHAPE(s.dim[0], s.dim[1] / square, r, r, s.dim[2], s.dim[3]));
    clg_var rows = clg_permute(cells, CLG_AXES(0, 1, 4, 2, 5, 3));
    return clg_reshape(rows, CLG_SHAPE(s.dim[0], s.dim[1] / square, s.dim[2] * r, s.dim[3] * r));
}

clg_var clg_pixel_unshuffle(clg_var x, int64_t r)
{
    const clg_shape s = clg_shape_of(x);
    const int64_t least = r > 0 ? r : 1;
    clg_var cells = clg_reshape(x, CLG_SHAPE(s.dim[0], s.dim[1], s.dim[2] / least, r, s.dim[3] / least, r));
    clg_var rows = clg_permute(cells, CLG_AXES(0, 1, 3, 5, 2, 4));
    return clg_reshape(rows, CLG_SHAPE(s.dim[0], s.dim[1] * r * r, s.dim[2] / least, s.dim[3] / least));
}

/* ---------------------------------------------------------------- windows as columns */

/* A pair of an option's extents; otherwise where it has rank 0. */
static clg_shape pair(clg_shape given, int64_t otherwise)
{
    return given.rank == 0 ? CLG_SHAPE(otherwise, otherwise) : given;
}

clg_var clg_unfold(clg_var x, clg_shape size, clg_shape stride, clg_shape dilation, clg_shape padding)
{
    const clg_shape around = pair(padding, 0);
    const clg_shape border = {.rank = 4, .dim = {0, 0, around.dim[0], around.dim[1]}};
    clg_var padded = clg_pad(x, border, border, CLG_PAD_CONSTANT, 0);
    clg_var windows = clg_window(padded, CLG_AXES(2, 3), size, pair(stride, 1), pair(dilation, 1));
    const clg_shape s = clg_shape_of(windows);
    clg_var cells = clg_permute(windows, CLG_AXES(0, 1, 4, 5, 2, 3));
    return clg_reshape(cells, CLG_SHAPE(s.dim[0], s.dim[1] * s.dim[4] * s.dim[5], s.dim[2] * s.dim[3]));
}

/* The adjoint of unfold, which is linear: its gradient by any picture of that shape. */
clg_var clg_fold(clg_var x, clg_shape picture, clg_shape size, clg_shape stride, clg_shape dilation, clg_shape padding)
{
    const clg_shape s = clg_shape_of(x);
    const int64_t cells = size.rank == 2 ? size.dim[0] * size.dim[1] : 0;
    clg_var result = {x.graph, -1};
    if (!clg_is_valid(x))
        return x;
    x = as_float(x);
    clg_var any = clg_sum(x, CLG_ALL_AXES, false);
    any = clg_broadcast_to(any, CLG_SHAPE(s.dim[0], cells > 0 ? s.dim[1] / cells : 0, picture.dim[0], picture.dim[1]));
    clg_var columns = clg_unfold(any, size, stride, dilation, padding);
    clg_var same = clg_reshape(x, clg_shape_of(columns)); /* refuses what is of another shape */
    clg_gradients(clg_mul(columns, same), &any, 1, &result);
    return result;
}
