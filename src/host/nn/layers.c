/* Initialisers, the dense layer, the multi-layer perceptron, accuracy. */
#include <clgrad/nn.h>

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- initialisers */

static clg_var filled(clg_graph *graph, clg_shape shape, double (*draw)(clg_random *), double scale, double shift,
                      clg_random *random)
{
    int64_t count = clg_shape_count(shape);
    float *values = malloc((size_t)(count > 0 ? count : 1) * sizeof *values);
    if (!values) /* let the graph report it: a leaf of this shape cannot be made either */
        return clg_array(graph, CLG_F32, shape, NULL);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(scale * draw(random) + shift);
    clg_var x = clg_array(graph, CLG_F32, shape, values);
    free(values);
    return x;
}

clg_var clg_uniform_init(clg_graph *graph, clg_shape shape, double bound, clg_random *random)
{
    return filled(graph, shape, clg_random_uniform, 2 * bound, -bound, random);
}

clg_var clg_he_init(clg_graph *graph, clg_shape shape, int64_t fan_in, clg_random *random)
{
    return filled(graph, shape, clg_random_normal, sqrt(2.0 / (double)(fan_in > 0 ? fan_in : 1)), 0, random);
}

static double zero(clg_random *random)
{
    (void)random;
    return 0;
}

/* ---------------------------------------------------------------- layers */

clg_linear clg_linear_new(clg_graph *graph, int64_t in, int64_t out, clg_random *random)
{
    return (clg_linear){clg_he_init(graph, CLG_SHAPE(in, out), in, random),
                        filled(graph, CLG_SHAPE(out), zero, 0, 0, random)};
}

clg_var clg_linear_apply(clg_linear layer, clg_var x)
{
    const clg_dtype dtype = clg_dtype_of(x);
    if (dtype == CLG_F16 || dtype == CLG_BF16)
        layer = (clg_linear){clg_cast(layer.weight, dtype), clg_cast(layer.bias, dtype)};
    return clg_add(clg_matmul(x, layer.weight), layer.bias);
}

struct clg_mlp {
    int layers;
    clg_var *parameters; /* weight, bias, weight, bias, ... */
};

clg_mlp *clg_mlp_new(clg_graph *graph, const int64_t *widths, int count, clg_random *random)
{
    clg_mlp *mlp = malloc(sizeof *mlp);
    if (!mlp || count < 2) {
        free(mlp);
        return NULL;
    }
    mlp->layers = count - 1;
    mlp->parameters = malloc((size_t)mlp->layers * 2 * sizeof *mlp->parameters);
    if (!mlp->parameters) {
        free(mlp);
        return NULL;
    }
    for (int i = 0; i < mlp->layers; i++) {
        clg_linear layer = clg_linear_new(graph, widths[i], widths[i + 1], random);
        mlp->parameters[2 * i] = layer.weight;
        mlp->parameters[2 * i + 1] = layer.bias;
        if (!clg_is_valid(layer.weight) || !clg_is_valid(layer.bias)) {
            clg_mlp_free(mlp);
            return NULL;
        }
    }
    return mlp;
}

void clg_mlp_free(clg_mlp *mlp)
{
    if (mlp)
        free(mlp->parameters);
    free(mlp);
}

clg_var clg_mlp_apply(const clg_mlp *mlp, clg_var x)
{
    for (int i = 0; i < mlp->layers; i++) {
        x = clg_linear_apply((clg_linear){mlp->parameters[2 * i], mlp->parameters[2 * i + 1]}, x);
        if (i + 1 < mlp->layers)
            x = clg_relu(x);
    }
    return x;
}

const clg_var *clg_mlp_parameters(const clg_mlp *mlp, int *count)
{
    *count = 2 * mlp->layers;
    return mlp->parameters;
}

clg_var clg_accuracy(clg_var logits, clg_var labels)
{
    return clg_mean(clg_cast(clg_equal(clg_argmax(logits, 1), labels), CLG_F32), CLG_ALL_AXES, false);
}
