/* First and second gradients of a result against central differences. */
#include "support_gradients.h"

#include <stdlib.h>

/* A scalar that depends on every element of x with its own weight, and not linearly. */
static clg_var weighted(clg_var x, clg_random *random)
{
    int64_t count = clg_shape_count(clg_shape_of(x));
    double *w = malloc((size_t)(count + 1) * sizeof *w);
    assert_non_null(w);
    for (int64_t i = 0; i < count; i++)
        w[i] = 0.5 + clg_random_uniform(random);
    clg_var y = clg_sum(clg_mul(clg_sin(x), support_leaf(x.graph, CLG_F64, clg_shape_of(x), w)), CLG_ALL_AXES, false);
    free(w);
    return y;
}

void support_expect_gradients(clg_var y, const clg_var *leaves, int count, clg_random *random, const char *what)
{
    enum { SAMPLES = 12, MAX_LEAVES = 5 };
    clg_var first[MAX_LEAVES], second[MAX_LEAVES];
    clg_var loss = weighted(y, random), again = clg_full(y.graph, CLG_F64, CLG_SCALAR, 0);
    clg_gradients(loss, leaves, count, first);
    for (int i = 0; i < count; i++)
        again = clg_add(again, weighted(first[i], random));
    clg_gradients(again, leaves, count, second);
    if (clg_graph_error(y.graph))
        fail_msg("%s: %s", what, clg_graph_error(y.graph));
    int errors = support_gradient_errors(loss, leaves, first, count, SAMPLES, random);
    int more = support_gradient_errors(again, leaves, second, count, SAMPLES, random);
    if (errors + more)
        fail_msg("%s: %d wrong gradients, %d wrong second gradients", what, errors, more);
}
