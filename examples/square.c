/* z = x² + y² and its gradient (2x, 2y) at (2, 3).
 * Prints:
 *   13 4 6 */
#include <clgrad/clgrad.h>

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) { /* NULL: what $CLGRAD_DEVICE says, else "auto" */
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);
    clg_var x = clg_scalar(g, 2.0), y = clg_scalar(g, 3.0);
    clg_var z = clg_add(clg_square(x), clg_square(y));
    clg_backward(z);
    printf("%g %g %g\n", clg_item(z), clg_item(clg_grad(x)), clg_item(clg_grad(y)));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
