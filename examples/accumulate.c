/* Gradients accumulate: over the uses of a variable, and over calls of clg_backward until they are cleared.
 * Prints:
 *   y = x + x: 2
 *   cleared, y = (x + x) + x: 3
 *   not cleared: 5
 *   a = 2x = 200, b = 3a = 600, db/dx = 6 */
#include <clgrad/clgrad.h>

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);

    clg_var x = clg_scalar(g, 3);
    clg_backward(clg_add(x, x));
    printf("y = x + x: %g\n", clg_item(clg_grad(x)));

    clg_cleargrad(x);
    clg_backward(clg_add(clg_add(x, x), x));
    printf("cleared, y = (x + x) + x: %g\n", clg_item(clg_grad(x)));

    clg_cleargrad(x);
    clg_backward(clg_add(x, x));
    clg_backward(clg_add(clg_add(x, x), x));
    printf("not cleared: %g\n", clg_item(clg_grad(x)));

    float hundred = 100;
    clg_write(x, &hundred, sizeof hundred);
    clg_cleargrad(x);
    clg_var two = clg_full(g, CLG_F32, CLG_SCALAR, 2), three = clg_full(g, CLG_F32, CLG_SCALAR, 3);
    clg_var a = clg_mul(two, x), b = clg_mul(three, a);
    clg_backward(b);
    printf("a = 2x = %g, b = 3a = %g, db/dx = %g\n", clg_item(a), clg_item(b), clg_item(clg_grad(x)));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
