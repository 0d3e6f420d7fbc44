/* Edges of a picture by a convolution with two kernels, and attention scores of heads that are not permuted first; each
 * is one step.
 * Prints:
 *   0 0 8 0 8 0 0 8
 *   steps 1 1 */
#include <clgrad/clgrad.h>

static int steps(clg_graph *g, clg_var y)
{
    clg_program *program = clg_compile(g, &y, 1);
    int count = program ? clg_program_get_info(program).steps : -1;
    clg_program_free(program);
    return count;
}

int main(void)
{
    clg_device *dev;
    if (clg_device_open(NULL, &dev) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    clg_graph *g = clg_graph_new(dev);
    static const float pixels[4 * 4] = {0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2}; /* dark, bright */
    static const float sobel[3 * 3 * 2] = {-1, 1, 0, 0, 1, -1, -2, 2, 0, 0, 2, -2, -1, 1, 0, 0, 1, -1};
    float edges[4 * 4 * 2];
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(1, 4, 4, 1), pixels);
    clg_var weights = clg_array(g, CLG_F32, CLG_SHAPE(3, 3, 1, 2), sobel), bias = clg_full(g, CLG_F32, CLG_SHAPE(2), 0);
    clg_conv_options same = {.same = true, .layout = "NHWC,HWIO->NHWC"};
    clg_var y = clg_relu(clg_add(clg_conv(x, weights, same), bias));
    if (clg_read(y, edges, sizeof edges) != CLG_OK) {
        fprintf(stderr, "%s\n", clg_last_error());
        return 1;
    }
    for (int i = 0; i < 4; i++) /* the second row: brighter to the right, darker to the right */
        printf("%g %g%s", (double)edges[(4 + i) * 2], (double)edges[(4 + i) * 2 + 1], i < 3 ? " " : "\n");

    clg_var q = clg_input(g, CLG_F32, CLG_SHAPE(2, 16, 4, 8)), k = clg_input(g, CLG_F32, CLG_SHAPE(2, 16, 4, 8));
    clg_var scores = clg_einsum("bthd,bshd->bhts", (clg_var[]){q, k}, 2);
    printf("steps %d %d\n", steps(g, y), steps(g, scores));
    clg_graph_free(g);
    clg_device_close(dev);
    return 0;
}
