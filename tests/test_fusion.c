/* Random graphs, fused and not. The reference reads every node in order, so that each operation runs alone on values
 * already in memory; the programs compute several outputs and their gradients at once, however the scheduler fuses
 * them. In f64 both must agree to rounding. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 24, OUTPUTS = 4, MAX_LEAVES = 3 };

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

static clg_var leaf(clg_graph *g, clg_dtype dtype, clg_shape shape, clg_random *random)
{
    int64_t count = clg_shape_count(shape);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = 2 * clg_random_uniform(random) - 1;
    clg_var x = support_leaf(g, dtype, shape, values);
    free(values);
    return x;
}

/* Keeps magnitudes near one, so that rounding stays comparable over long chains. */
static clg_var tame(clg_var x) { return clg_tanh(x); }

/* A random node over matrices of shape (n, n); the result has that shape again. What is largest is asked of a leaf:
 * computed values that are equal but for rounding would answer as it turns out. */
static clg_var grow(clg_var a, clg_var b, clg_var leaf, clg_random *random)
{
    clg_shape shape = clg_shape_of(a);
    int64_t n = shape.dim[0];
    int axis = (int)below(random, 2);
    clg_graph *g = a.graph;
    clg_var half = clg_full(g, clg_dtype_of(a), CLG_SCALAR, 0.5);
    switch (below(random, 16)) {
    case 0:
        return clg_add(a, b);
    case 1:
        return clg_mul(a, clg_sub(b, half));
    case 2:
        return clg_add(clg_transpose(a), b);
    case 3:
        return clg_softmax(clg_mul(a, b), axis);
    case 4:
        return clg_sub(a, clg_mean(b, CLG_AXES(axis), true));
    case 5:
        return tame(clg_matmul(a, b));
    case 6:
        return tame(clg_matmul(clg_transpose(a), clg_sigmoid(b)));
    case 7:
        return clg_where(clg_less(a, b), clg_sin(a), b);
    case 8: /* a flipped, and a part of b twice */
        return clg_add(clg_slice(a, axis, -1, INT64_MIN, -1),
                       clg_broadcast_to(clg_slice(b, axis, n / 2, n / 2 + 1, 1), shape));
    case 9:
        return clg_reshape(clg_add(clg_reshape(a, CLG_SHAPE(n * n)), clg_reshape(b, CLG_SHAPE(n * n))), shape);
    case 10:
        return clg_add(a, clg_sum(clg_mul(b, half), CLG_ALL_AXES, true));
    case 11:
        return clg_sub(a, clg_max(b, CLG_AXES(axis), true));
    case 12: { /* rows chosen by what is largest where */
        clg_var rows = clg_argmax(leaf, axis);
        return clg_mul(clg_gather(a, rows), half);
    }
    case 13: { /* zeros around every second row: the adjoint of a slice */
        clg_var picked = clg_slice(a, 0, 0, n, 2), adjoint;
        clg_gradients(clg_mul(picked, clg_slice(b, 0, 0, n, 2)), &a, 1, &adjoint);
        return adjoint;
    }
    case 14:
        return tame(clg_scatter_add(clg_argmax(leaf, axis), b, n));
    default:
        return clg_mul(clg_exp(tame(a)), half);
    }
}

typedef struct sample {
    clg_graph *g;
    clg_var outputs[OUTPUTS + MAX_LEAVES];
    int count;
} sample;

/* The same seed makes the same graph. */
static sample make(clg_device *device, clg_dtype dtype, uint64_t seed)
{
    sample s = {.g = clg_graph_new(device)};
    clg_random random = clg_random_new(seed, 77);
    clg_var vars[NODES], leaves[MAX_LEAVES], grads[MAX_LEAVES];
    int64_t n = (int64_t[]){1, 3, 8, 17}[below(&random, 4)];
    int count = 0;
    for (; count < MAX_LEAVES; count++)
        vars[count] = leaves[count] = leaf(s.g, dtype, CLG_SHAPE(n, n), &random);
    for (; count < NODES; count++) {
        clg_var a = vars[below(&random, (uint32_t)count)], b = vars[count - 1 - (int)below(&random, 3)];
        vars[count] = below(&random, 2) ? grow(a, b, leaves[count % MAX_LEAVES], &random)
                                        : grow(b, a, leaves[count % MAX_LEAVES], &random);
    }
    for (int i = 0; i < OUTPUTS; i++)
        s.outputs[s.count++] = vars[NODES - 1 - (int)below(&random, NODES / 2)];
    clg_gradients(vars[NODES - 1], leaves, MAX_LEAVES, grads);
    for (int i = 0; i < MAX_LEAVES; i++)
        s.outputs[s.count++] = grads[i];
    if (clg_graph_error(s.g))
        fail_msg("seed %llu: %s", (unsigned long long)seed, clg_graph_error(s.g));
    return s;
}

/* Reads every node in order: each runs alone. */
static void run_apart(sample *s)
{
    for (int32_t i = 0; i < clg_graph_size(s->g); i++)
        free(support_values((clg_var){s->g, i}));
}

static void compare(const sample *fused, const sample *apart, double tolerance, uint64_t seed)
{
    for (int i = 0; i < fused->count; i++) {
        double *got = support_values(fused->outputs[i]), *want = support_values(apart->outputs[i]), scale = 1;
        int64_t count = clg_shape_count(clg_shape_of(fused->outputs[i]));
        for (int64_t k = 0; k < count; k++)
            scale = fmax(scale, fabs(want[k]));
        for (int64_t k = 0; k < count; k++)
            if (!(fabs(got[k] - want[k]) <= tolerance * scale))
                fail_msg("seed %llu, output %d, element %lld: fused %.12g, apart %.12g", (unsigned long long)seed, i,
                         (long long)k, got[k], want[k]);
        free(got);
        free(want);
    }
}

static void check(clg_device *device, clg_dtype dtype, clg_device *reference, uint64_t seed, double tolerance)
{
    sample fused = make(device, dtype, seed), apart = make(reference, CLG_F64, seed);
    clg_program *p = clg_compile(fused.g, fused.outputs, fused.count);
    if (!p)
        fail_msg("seed %llu: %s", (unsigned long long)seed, clg_last_error());
    for (int i = 0; i < 2; i++) /* a replay must not depend on what the first run left behind */
        if (clg_run(p) != CLG_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, clg_last_error());
    run_apart(&apart);
    compare(&fused, &apart, tolerance, seed);
    clg_program_free(p);
    clg_graph_free(fused.g);
    clg_graph_free(apart.g);
}

static void test_random_graphs_on_the_cpu_path(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    uint64_t seed = support_seed();
    for (int i = 0, rounds = support_rounds(300); i < rounds; i++)
        check(device, CLG_F64, device, seed + (uint64_t)i, 1e-9);
    clg_device_close(device);
}

/* In f64 too: comparisons and argmax would turn on the rounding of f32. Few, since each graph has kernels of its own.
 */
static void test_random_graphs_on_opencl(void **state)
{
    (void)state;
    bool opencl = false;
    for (const char *const *spec = support_devices(); *spec; spec++)
        opencl |= !strcmp(*spec, "opencl");
    if (!opencl)
        skip();
    clg_device *device = support_open("opencl"), *cpu = support_open("cpu");
    if (clg_device_get_info(device)->has_f64)
        for (int i = 0; i < 6; i++)
            check(device, CLG_F64, cpu, support_seed() + 1000003u + (uint64_t)i, 1e-9);
    clg_device_close(device);
    clg_device_close(cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_graphs_on_the_cpu_path),
                                       cmocka_unit_test(test_random_graphs_on_opencl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
