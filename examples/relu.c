/* relu cuts the negative elements, and lets the gradient pass only where it let the value pass.
 * Prints:
 *   relu    [[1, 0], [0, 3]]
 *   dx      [[1, 0], [0, 1]] */
#include <clgrad/clgrad.h>

static void print_matrix(const char *name, clg_var x)
{
    float v[4];
    if (clg_read(x, v, sizeof v) != CLG_OK)
        fprintf(stderr, "%s\n", clg_last_error());
    else
        printf("%-7s [[%g, %g], [%g, %g]]\n", name, v[0], v[1], v[2], v[3]);
}

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(2, 2), (float[]){1, -0.5f, -2, 3});
    clg_var y = clg_relu(x);
    clg_backward(y);
    print_matrix("relu", y);
    print_matrix("dx", clg_grad(x));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
