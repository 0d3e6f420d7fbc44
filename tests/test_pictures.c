/* Rearrangements of pictures against plain loops. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

/* ---------------------------------------------------------------- pixel shuffles */

static void test_pixel_shuffle(void **state)
{
    (void)state;
    enum { R = 3, C = 2, Y = 2, X = 5, COUNT = 2 * C * R * R * Y * X };
    clg_graph *g = clg_graph_new(device);
    double x[COUNT], want[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = i;
    for (int n = 0, i = 0; n < 2; n++)
        for (int c = 0; c < C; c++)
            for (int y = 0; y < Y * R; y++)
                for (int w = 0; w < X * R; w++)
                    want[i++] = x[(((n * C + c) * R * R + y % R * R + w % R) * Y + y / R) * X + w / R];
    clg_var leaf = support_leaf(g, CLG_F32, CLG_SHAPE(2, C * R * R, Y, X), x), big = clg_pixel_shuffle(leaf, R);
    assert_true(clg_shape_equal(clg_shape_of(big), CLG_SHAPE(2, C, Y * R, X * R)));
    support_expect(big, want, 0, "pixel_shuffle");
    support_expect(clg_pixel_unshuffle(big, R), x, 0, "pixel_unshuffle");
    support_expect_error(clg_pixel_shuffle(leaf, 4), "pixel_shuffle: 4 does not fit");
    support_expect_error(clg_pixel_shuffle(leaf, (int64_t)1 << 32), "does not fit");
    support_expect_error(clg_pixel_unshuffle(big, 4), "pixel_unshuffle: 4 does not fit");
    support_expect_error(clg_pixel_unshuffle(big, 0), "does not fit");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- windows as columns */

/* The pixel that cell (i, j) of window (y, x) has, 5 x 6 pictures; -1 in the padding. */
static int pixel(int y, int x, int i, int j)
{
    const int row = 2 * y + 2 * i - 1, column = x + j;
    return row < 0 || row >= 5 || column >= 6 ? -1 : row * 6 + column;
}

static void test_unfold_and_fold(void **state)
{
    (void)state;
    enum { N = 2, C = 3, P = 2, Q = 3, ROWS = 3, COLUMNS = 4, L = ROWS * COLUMNS, CELLS = C * P * Q };
    const clg_shape size = CLG_SHAPE(P, Q), stride = CLG_SHAPE(2, 1), dilation = CLG_SHAPE(2, 1),
                    padding = CLG_SHAPE(1, 0);
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    double *x = support_spread(N * C * 30, -2, 2, &random), *c = support_spread(N * CELLS * L, -2, 2, &random);
    double columns[N * CELLS * L], folded[N * C * 30] = {0};
    for (int n = 0, k = 0; n < N; n++)
        for (int cell = 0; cell < CELLS; cell++)
            for (int l = 0; l < L; l++, k++) {
                const int at = pixel(l / COLUMNS, l % COLUMNS, cell / Q % P, cell % Q), plane = n * C + cell / (P * Q);
                columns[k] = at < 0 ? 0 : x[plane * 30 + at];
                if (at >= 0)
                    folded[plane * 30 + at] += c[k];
            }
    clg_var picture = support_leaf(g, CLG_F32, CLG_SHAPE(N, C, 5, 6), x),
            leaf = support_leaf(g, CLG_F32, CLG_SHAPE(N, CELLS, L), c);
    clg_var y = clg_unfold(picture, size, stride, dilation, padding);
    assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(N, CELLS, L)));
    support_expect(y, columns, 1e-6, "unfold");
    support_expect(clg_fold(leaf, CLG_SHAPE(5, 6), size, stride, dilation, padding), folded, 1e-5, "fold");
    support_expect(clg_unfold(picture, CLG_SHAPE(5, 6), CLG_SCALAR, CLG_SCALAR, CLG_SCALAR), x, 1e-6, "one window");
    clg_var bare = clg_fold(clg_reshape(picture, CLG_SHAPE(N, C, 30)), CLG_SHAPE(5, 6), CLG_SHAPE(1, 1), CLG_SCALAR,
                            CLG_SCALAR, CLG_SCALAR);
    support_expect(bare, x, 1e-6, "fold without padding");
    clg_var ones = clg_fold(clg_full(g, CLG_F32, CLG_SHAPE(1, 4, 2), 1), CLG_SHAPE(2, 3), CLG_SHAPE(2, 2), CLG_SCALAR,
                            CLG_SCALAR, CLG_SCALAR);
    support_expect(ones, (double[]){1, 2, 1, 1, 2, 1}, 0, "fold of a constant");
    support_expect_error(clg_fold(leaf, CLG_SHAPE(5), size, stride, dilation, padding), "fold: x ");
    support_expect_error(clg_unfold(picture, size, stride, dilation, CLG_SHAPE(2)), "padding (2) of rank 2");
    support_expect_error(clg_unfold(picture, CLG_SHAPE(7, 6), CLG_SCALAR, CLG_SCALAR, CLG_SCALAR), "window: ");
    support_expect_error(clg_fold(leaf, CLG_SHAPE(6, 6), size, stride, dilation, CLG_SHAPE(2, 2)), "reshape: ");
    if (!strcmp(clg_device_get_info(device)->type, "host")) {
        clg_var d = support_leaf(g, CLG_F64, CLG_SHAPE(N, CELLS, L), c);
        support_expect_gradients(clg_fold(d, CLG_SHAPE(5, 6), size, stride, dilation, padding), &d, 1, &random, "fold");
    }
    free(x);
    free(c);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pixel_shuffle), cmocka_unit_test(test_unfold_and_fold)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
