/* What do two apples at 100 cost with a tax of 10 percent, and how much does the price move with each number? Then
 * the same with three oranges at 150.
 * Prints:
 *   price 220: apple 2.2, count 110, tax 200
 *   price 715: apple 2.2, apples 110, orange 3.3, oranges 165, tax 650 */
#include <clgrad/clgrad.h>

static double grad(clg_var x) { return clg_item(clg_grad(x)); }

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);
    clg_var apple = clg_scalar(g, 100), apples = clg_scalar(g, 2), tax = clg_scalar(g, 1.1);
    clg_var price = clg_mul(clg_mul(apple, apples), tax);
    clg_backward(price);
    printf("price %g: apple %g, count %g, tax %g\n", clg_item(price), grad(apple), grad(apples), grad(tax));

    clg_cleargrads(g);
    clg_var orange = clg_scalar(g, 150), oranges = clg_scalar(g, 3);
    price = clg_mul(clg_add(clg_mul(apple, apples), clg_mul(orange, oranges)), tax);
    clg_backward(price);
    printf("price %g: apple %g, apples %g, orange %g, oranges %g, tax %g\n", clg_item(price), grad(apple), grad(apples),
           grad(orange), grad(oranges), grad(tax));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
