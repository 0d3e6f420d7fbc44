/* Gradients are ordinary graphs, so they have gradients. f(x) = x⁴ - 2x² has f''(2) = 12·4 - 4 = 44; Newton's method
 * x ← x - f'(x) / f''(x) goes from 2 to the minimum at 1. Each turn makes new nodes, and rewind releases them.
 * Prints:
 *   f''(2) = 44
 *   0 2.0000
 *   1 1.4545
 *   2 1.1510
 *   3 1.0253
 *   4 1.0009
 *   5 1.0000
 *   6 1.0000 */
#include <clgrad/clgrad.h>

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);
    clg_var x = clg_scalar(g, 2);
    clg_var two = clg_full(g, CLG_F32, CLG_SCALAR, 2), four = clg_full(g, CLG_F32, CLG_SCALAR, 4);
    for (int turn = 0; turn <= 6; turn++) {
        int32_t mark = clg_graph_mark(g);
        clg_var f = clg_sub(clg_pow(x, four), clg_mul(two, clg_square(x)));
        clg_var first, second;
        clg_gradients(f, &x, 1, &first);
        clg_gradients(first, &x, 1, &second);
        if (turn == 0)
            printf("f''(2) = %g\n", clg_item(second));
        printf("%d %.4f\n", turn, clg_item(x));
        float next = (float)(clg_item(x) - clg_item(first) / clg_item(second));
        clg_graph_rewind(g, mark);
        clg_write(x, &next, sizeof next);
    }
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
