/* Rearrangements of pictures, made of views. */
#include "helpers.h"

/* Whether r cuts an extent of pictures; else an error. */
static bool cuts(const char *op, clg_var x, int64_t r, bool back)
{
    const clg_shape s = clg_shape_of(x);
    const bool near = r >= 1 && r <= 1 << 20;
    const bool good = near && s.rank == 4 && (back ? s.dim[2] % r == 0 && s.dim[3] % r == 0 : s.dim[1] % (r * r) == 0);
    if (!are_operands(op, &x, 1))
        return false;
    if (!good)
        clg_refuse(x.graph, "%s: %lld does not fit x %s, which must be (n, c, h, w), %s", op, (long long)r,
                   words_of(s).text, back ? "h and w multiples of it" : "c a multiple of its square");
    return good;
}

clg_var clg_pixel_shuffle(clg_var x, int64_t r)
{
    const clg_shape s = clg_shape_of(x);
    if (!cuts("pixel_shuffle", x, r, false))
        return poisoned(x.graph);
    const int64_t square = r * r;
    clg_var cells = clg_reshape(x, CLG_SHAPE(s.dim[0], s.dim[1] / square, r, r, s.dim[2], s.dim[3]));
    clg_var rows = clg_permute(cells, CLG_AXES(0, 1, 4, 2, 5, 3));
    return clg_reshape(rows, CLG_SHAPE(s.dim[0], s.dim[1] / square, s.dim[2] * r, s.dim[3] * r));
}

clg_var clg_pixel_unshuffle(clg_var x, int64_t r)
{
    const clg_shape s = clg_shape_of(x);
    if (!cuts("pixel_unshuffle", x, r, true))
        return poisoned(x.graph);
    clg_var cells = clg_reshape(x, CLG_SHAPE(s.dim[0], s.dim[1], s.dim[2] / r, r, s.dim[3] / r, r));
    clg_var rows = clg_permute(cells, CLG_AXES(0, 1, 3, 5, 2, 4));
    return clg_reshape(rows, CLG_SHAPE(s.dim[0], s.dim[1] * r * r, s.dim[2] / r, s.dim[3] / r));
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
    if (!are_operands("unfold", &x, 1))
        return poisoned(x.graph);
    if (around.rank != 2 || clg_shape_of(x).rank != 4)
        return clg_refuse(x.graph, "unfold: x %s must be (n, c, h, w), padding %s of rank 2 or 0",
                          words_of(clg_shape_of(x)).text, words_of(padding).text);
    const clg_shape border = {.rank = 4, .dim = {0, 0, around.dim[0], around.dim[1]}};
    clg_var padded = clg_pad(x, border, border, CLG_PAD_CONSTANT, 0);
    clg_var windows = clg_window(padded, CLG_AXES(2, 3), size, pair(stride, 1), pair(dilation, 1));
    const clg_shape s = clg_shape_of(windows);
    clg_var cells = clg_permute(windows, CLG_AXES(0, 1, 4, 5, 2, 3));
    return clg_reshape(cells, CLG_SHAPE(s.dim[0], s.dim[1] * s.dim[4] * s.dim[5], s.dim[2] * s.dim[3]));
}

/* The adjoint of unfold, which is linear: its gradient by any pictures of that shape, whose values are never read. */
clg_var clg_fold(clg_var x, clg_shape picture, clg_shape size, clg_shape stride, clg_shape dilation, clg_shape padding)
{
    const clg_shape s = clg_shape_of(x);
    clg_var result = poisoned(x.graph);
    if (!are_operands("fold", &x, 1))
        return result;
    x = as_float(x);
    const bool good = s.rank == 3 && picture.rank == 2 && size.rank == 2 && size.dim[0] > 0 && size.dim[1] > 0 &&
                      size.dim[1] <= s.dim[1] / size.dim[0];
    const int64_t cells = good ? size.dim[0] * size.dim[1] : 1;
    if (!good || s.dim[1] % cells)
        return clg_refuse(x.graph, "fold: x %s must be (n, c p q, l) for a size %s of windows in pictures of %s",
                          words_of(s).text, words_of(size).text, words_of(picture).text);
    clg_var any =
        clg_input(x.graph, clg_dtype_of(x), CLG_SHAPE(s.dim[0], s.dim[1] / cells, picture.dim[0], picture.dim[1]));
    clg_var columns = clg_unfold(any, size, stride, dilation, padding);
    clg_var same = clg_reshape(x, clg_shape_of(columns)); /* refuses what is of another shape */
    clg_gradients(clg_mul(columns, same), &any, 1, &result);
    return result;
}
