/* The cases of `clgrad bench`, and their table. Each builds a program with the public interface, times it, and says
 * what it needs at the least: operations of its matrix products, or bytes with each input read once and each output
 * written once. */
#include "bench.h"

#include <clgrad/functions.h>
#include <clgrad/nn.h>
#include <clgrad/optim.h>
#include <clgrad/random.h>

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- helpers */

bool bench_end(bench_context *c, clg_graph *g, bool good)
{
    const char *first = g ? clg_graph_error(g) : NULL;
    if (!good)
        snprintf(c->error, sizeof c->error, "%s", first ? first : clg_last_error());
    clg_graph_free(g);
    return good;
}

clg_var bench_random_leaf(clg_graph *g, clg_shape shape)
{
    enum { PERIOD = 1021 }; /* generating 16 M numbers would take longer than the case */
    float block[PERIOD], *values;
    int64_t count = clg_shape_count(shape);
    if (!g || !(values = malloc((size_t)count * sizeof *values)))
        return (clg_var){g, -1};
    clg_random random = clg_random_new(1, (uint64_t)clg_graph_size(g));
    for (int i = 0; i < PERIOD; i++)
        block[i] = (float)(2 * clg_random_uniform(&random) - 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = block[i % PERIOD];
    clg_var x = clg_array(g, CLG_F32, shape, values);
    free(values);
    return x;
}

clg_var bench_label_leaf(clg_graph *g, clg_shape shape, int64_t step, int64_t classes)
{
    int64_t count = clg_shape_count(shape);
    int32_t *values = g ? malloc((size_t)count * sizeof *values) : NULL;
    if (!values)
        return (clg_var){g, -1};
    for (int64_t i = 0; i < count; i++)
        values[i] = (int32_t)(i * step % classes);
    clg_var labels = clg_array(g, CLG_I32, shape, values);
    free(values);
    return labels;
}

/* The rate of r against that of the reference, if there was one. */
static void rate_against(bench_result *r, double needed, double reference_rate, const char *name)
{
    if (!isfinite(reference_rate))
        return;
    r->ceiling = reference_rate;
    r->ceiling_name = name;
    r->fraction = needed / r->value / reference_rate;
}

/* The library's matrix product as a reference; nothing where there is no library. */
static bench_reference gemm_reference(bench_gemm *gemm)
{
    return (bench_reference){.run = bench_blas_available() ? bench_gemm_run : NULL, .argument = gemm};
}

bool bench_against_sgemm(bench_context *c, clg_graph *g, const clg_var *outputs, int count, double flops,
                         bench_result *r)
{
    enum { N = 2048 };
    bench_gemm gemm;
    bench_reference reference = gemm_reference(&gemm);
    r->flops = flops;
    bool good =
        bench_gemm_begin(&gemm, N, N, N, false, false) && bench_time_program(c, g, outputs, count, &reference, r);
    if (good)
        rate_against(r, flops, 2.0 * N * N * N / reference.seconds, "OpenBLAS sgemm 2048");
    bench_gemm_end(&gemm);
    return good;
}

bool bench_against_triad(bench_context *c, clg_graph *g, const clg_var *outputs, int count, double bytes,
                         bench_result *r)
{
    bench_reference reference = {.run = bench_triad};
    r->bytes = bytes;
    bool good = bench_time_program(c, g, outputs, count, &reference, r);
    if (good)
        rate_against(r, bytes, bench_triad_bytes() / reference.seconds, "triad");
    return good;
}

/* ---------------------------------------------------------------- training steps */

typedef struct mlp_step {
    clg_graph *graph;
    clg_mlp *mlp;
    clg_optimizer *optimizer;
    clg_var output;
} mlp_step;

/* 784-512-512-10, relu, then sigmoid, cross-entropy, SGD: the step that the peers' scripts in bench/ time, too. */
static bool build_mlp(clg_device *device, int64_t batch, mlp_step *s)
{
    clg_random random = clg_random_new(1, 0);
    int count;
    *s = (mlp_step){.graph = clg_graph_new(device)};
    if (!s->graph)
        return false;
    clg_var x = bench_random_leaf(s->graph, CLG_SHAPE(batch, 784));
    clg_var labels = bench_label_leaf(s->graph, CLG_SHAPE(batch), 7, 10);
    s->mlp = clg_mlp_new(s->graph, (int64_t[]){784, 512, 512, 10}, 4, &random);
    if (!s->mlp)
        return false;
    const clg_var *p = clg_mlp_parameters(s->mlp, &count);
    clg_var h = clg_relu(clg_add(clg_matmul(x, p[0]), p[1]));
    h = clg_sigmoid(clg_add(clg_matmul(h, p[2]), p[3]));
    clg_var loss = clg_softmax_cross_entropy(clg_add(clg_matmul(h, p[4]), p[5]), labels);
    s->optimizer = clg_sgd(p, count, NULL);
    if (!s->optimizer)
        return false;
    s->output = clg_minimize(s->optimizer, loss);
    return clg_is_valid(s->output);
}

static bool end_mlp(bench_context *c, mlp_step *s, bool good)
{
    clg_optimizer_free(s->optimizer);
    clg_mlp_free(s->mlp);
    return bench_end(c, s->graph, good);
}

static bool bench_mlp(bench_context *c, const bench_case *which, bench_result *r)
{
    mlp_step s;
    /* forward 2 (784 512 + 512 512 + 512 10), weight gradients the same, input gradients without the first layer */
    double flops = (double)which->m * 2 * (2 * (784.0 * 512 + 512 * 512 + 512 * 10) + 512 * 512 + 512 * 10);
    bool good = build_mlp(c->device, which->m, &s) && bench_against_sgemm(c, s.graph, &s.output, 1, flops, r);
    return end_mlp(c, &s, good);
}

static bool bench_memory(bench_context *c, const bench_case *which, bench_result *r)
{
    mlp_step s;
    clg_program *p = build_mlp(c->device, which->m, &s) ? clg_compile(s.graph, &s.output, 1) : NULL;
    bool good = p != NULL;
    if (good) {
        clg_program_info info = clg_program_get_info(p);
        r->value = r->min = r->max = (double)info.arena_bytes;
        r->unit = "bytes";
        r->ceiling = (double)info.arena_lower_bound;
        r->ceiling_name = "lifetime lower bound";
        r->fraction = r->value > 0 ? r->ceiling / r->value : 1;
    }
    clg_program_free(p);
    return end_mlp(c, &s, good);
}

bool bench_first_step(clg_device *device)
{
    mlp_step s;
    bench_context c;
    clg_program *p = build_mlp(device, 128, &s) ? clg_compile(s.graph, &s.output, 1) : NULL;
    bool good = p && clg_run(p) == CLG_OK && clg_item(s.output) > 0;
    clg_program_free(p);
    return end_mlp(&c, &s, good);
}

/* ---------------------------------------------------------------- matrix products */

/* variant 0: A B; 1: its gradient for A, G B^T; 2: for B, A^T G. m, n, k are the forward product's. */
static bool bench_matmul(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    int m = (int)which->m, n = (int)which->n, k = (int)which->k;
    clg_var y;
    bench_gemm gemm;
    bench_reference reference = gemm_reference(&gemm);
    bool good;
    if (which->variant == 0) {
        y = clg_matmul(bench_random_leaf(g, CLG_SHAPE(m, k)), bench_random_leaf(g, CLG_SHAPE(k, n)));
        good = bench_gemm_begin(&gemm, m, n, k, false, false);
    } else if (which->variant == 1) {
        y = clg_matmul(bench_random_leaf(g, CLG_SHAPE(m, n)), clg_transpose(bench_random_leaf(g, CLG_SHAPE(k, n))));
        good = bench_gemm_begin(&gemm, m, k, n, false, true);
    } else {
        y = clg_matmul(clg_transpose(bench_random_leaf(g, CLG_SHAPE(m, k))), bench_random_leaf(g, CLG_SHAPE(m, n)));
        good = bench_gemm_begin(&gemm, k, n, m, true, false);
    }
    r->flops = 2.0 * m * n * k;
    good = good && bench_time_program(c, g, &y, 1, &reference, r);
    if (good)
        rate_against(r, r->flops, r->flops / reference.seconds, "OpenBLAS at this shape");
    bench_gemm_end(&gemm);
    return bench_end(c, g, good);
}

/* m products of (n, k) and (k, k). */
static bool bench_batched(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n, which->k));
    clg_var y = clg_matmul(x, bench_random_leaf(g, CLG_SHAPE(which->m, which->k, which->k)));
    double flops = 2.0 * (double)(which->m * which->n * which->k * which->k);
    return bench_end(c, g, bench_against_sgemm(c, g, &y, 1, flops, r));
}

/* ---------------------------------------------------------------- memory-bound cases */

static bool bench_elementwise(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var a = bench_random_leaf(g, CLG_SHAPE(which->m)), b = bench_random_leaf(g, CLG_SHAPE(which->m)), gx[2];
    clg_var y = clg_sigmoid(clg_mul(clg_relu(clg_add(clg_mul(a, b), a)), b));
    clg_gradients(y, (clg_var[]){a, b}, 2, gx);
    double bytes = 5.0 * (double)which->m * 4;
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){y, gx[0], gx[1]}, 3, bytes, r));
}

/* With its gradient, of which the mask is drawn again rather than kept. */
static bool bench_dropout(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_generator random = clg_generator_new(g, 1);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m)), y = clg_dropout(&random, x, 0.1), gx;
    clg_gradients(y, &x, 1, &gx);
    double bytes = 3.0 * (double)which->m * 4;
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){y, gx}, 2, bytes, r));
}

/* A function of x with its gradient; so many elements are moved at least. */
static bool bench_with_gradient(bench_context *c, clg_graph *g, clg_var y, clg_var x, double elements, bench_result *r)
{
    clg_var gy = clg_is_valid(y) ? bench_random_leaf(g, clg_shape_of(y)) : y, gx;
    clg_gradients(clg_mul(y, gy), &x, 1, &gx);
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){y, gx}, 2, 4 * elements, r));
}

static bool bench_cumsum(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n));
    return bench_with_gradient(c, g, clg_cumsum(x, 1, 0), x, 4.0 * (double)(which->m * which->n), r);
}

static bool bench_sort(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n));
    return bench_with_gradient(c, g, clg_sort(x, 1, false), x, 4.0 * (double)(which->m * which->n), r);
}

static bool bench_topk(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n));
    return bench_with_gradient(c, g, clg_topk(x, which->k, 1, true, NULL), x, 2.0 * (double)(which->m * which->n), r);
}

/* k rows of a table (m, n). */
static bool bench_gather(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var table = bench_random_leaf(g, CLG_SHAPE(which->m, which->n));
    clg_var y = clg_gather(table, bench_label_leaf(g, CLG_SHAPE(which->k), 31, which->m));
    return bench_with_gradient(c, g, y, table, (double)(3 * which->k + which->m) * (double)which->n, r);
}

static bool bench_softmax_xent(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n)), gx;
    clg_var loss = clg_softmax_cross_entropy(x, bench_label_leaf(g, CLG_SHAPE(which->m), 31, which->n));
    clg_gradients(loss, &x, 1, &gx);
    double bytes = 2.0 * (double)(which->m * which->n) * 4;
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){loss, gx}, 2, bytes, r));
}

/* With gain and bias, and its gradients. */
static bool bench_layernorm(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_shape rows = CLG_SHAPE(which->m, which->n);
    clg_var x = bench_random_leaf(g, rows), gy = bench_random_leaf(g, rows), gx[3];
    clg_var gain = bench_random_leaf(g, CLG_SHAPE(which->n)), bias = bench_random_leaf(g, CLG_SHAPE(which->n));
    clg_var y = clg_layer_norm(x, gain, bias, 1e-5);
    clg_gradients(clg_mul(y, gy), (clg_var[]){x, gain, bias}, 3, gx);
    double bytes = 4.0 * (double)(which->m * which->n) * 4; /* x and gy in, y and the gradient of x out */
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){y, gx[0], gx[1], gx[2]}, 4, bytes, r));
}

/* x (m, n, k) with a short last axis: log sum over n of sum over k of exp(x), and its gradient. */
static bool bench_short_axis(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(which->m, which->n, which->k)), gx;
    clg_var mixture = clg_log(clg_sum(clg_exp(x), CLG_AXES(2), false));
    clg_var largest = clg_stop_gradient(clg_max(mixture, CLG_AXES(1), true));
    clg_var sum = clg_sum(clg_exp(clg_sub(mixture, largest)), CLG_AXES(1), true), y = clg_add(clg_log(sum), largest);
    clg_gradients(y, &x, 1, &gx);
    double bytes = 2.0 * (double)(which->m * which->n * which->k) * 4;
    return bench_end(c, g, bench_against_triad(c, g, (clg_var[]){y, gx}, 2, bytes, r));
}

static bool bench_sum(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, which->n ? CLG_SHAPE(which->m, which->n) : CLG_SHAPE(which->m));
    clg_var y = clg_sum(x, CLG_AXES(0), false);
    double bytes = (double)which->m * (double)(which->n ? which->n : 1) * 4;
    return bench_end(c, g, bench_against_triad(c, g, &y, 1, bytes, r));
}

/* ---------------------------------------------------------------- table */

#define CONV(NAME, SHAPE, CHANNELS_LAST)                                                                               \
    {NAME, bench_conv, SHAPE, CHANNELS_LAST, 0, 0}, {NAME "_grad_x", bench_conv, SHAPE, CHANNELS_LAST, 0, 1},          \
    {                                                                                                                  \
        NAME "_grad_w", bench_conv, SHAPE, CHANNELS_LAST, 0, 2                                                         \
    }

#define MATMUL(M, N, K)                                                                                                \
    {"matmul_" #M "x" #N "x" #K, bench_matmul, M, N, K, 0},                                                            \
        {"matmul_" #M "x" #N "x" #K "_grad_a", bench_matmul, M, N, K, 1},                                              \
    {                                                                                                                  \
        "matmul_" #M "x" #N "x" #K "_grad_b", bench_matmul, M, N, K, 2                                                 \
    }

const bench_case bench_cases[] = {
    {"mlp_b1", bench_mlp, 1, 0, 0, 0},
    {"mlp_b32", bench_mlp, 32, 0, 0, 0},
    {"mlp_b128", bench_mlp, 128, 0, 0, 0},
    {"mlp_b1024", bench_mlp, 1024, 0, 0, 0},
    MATMUL(128, 512, 784),
    MATMUL(128, 10, 512),
    MATMUL(100, 100, 100),
    MATMUL(1000, 1000, 1000),
    {"matmul_50x1000x10x10", bench_batched, 50, 1000, 10, 0},
    {"elementwise_1m", bench_elementwise, 1 << 20, 0, 0, 0},
    {"elementwise_16m", bench_elementwise, 1 << 24, 0, 0, 0},
    {"dropout_16m", bench_dropout, 1 << 24, 0, 0, 0},
    {"cumsum_8192x1024", bench_cumsum, 8192, 1024, 0, 0},
    {"sort_1024x4096", bench_sort, 1024, 4096, 0, 0},
    {"topk_1024x4096_k16", bench_topk, 1024, 4096, 16, 0},
    {"gather_50k_256", bench_gather, 50000, 256, 8192, 0},
    {"softmax_xent_8192x1024", bench_softmax_xent, 8192, 1024, 0, 0},
    {"layernorm_8192x1024", bench_layernorm, 8192, 1024, 0, 0},
    {"short_axis", bench_short_axis, 1000, 50, 10, 0},
    {"colsum_8192x1024", bench_sum, 8192, 1024, 0, 0},
    {"sum_16m", bench_sum, 1 << 24, 0, 0, 0},
    CONV("conv_3x3_c16_32", BENCH_CONV_3X3_C16_32, 0),
    CONV("conv_3x3_c64_56", BENCH_CONV_3X3_C64_56, 0),
    CONV("conv_1x1_c256_14", BENCH_CONV_1X1_C256_14, 0),
    CONV("conv_3x3s2_c32_32", BENCH_CONV_3X3S2_C32_32, 0),
    CONV("conv_7x7s2_c3_224", BENCH_CONV_7X7S2_C3_224, 0),
    CONV("conv_dw3x3_c128_28", BENCH_CONV_DW3X3_C128_28, 0),
    CONV("conv_3x3_c16_32_nhwc", BENCH_CONV_3X3_C16_32, 1),
    CONV("conv_3x3_c64_56_nhwc", BENCH_CONV_3X3_C64_56, 1),
    {"maxpool_2x2_c64_56", bench_max_pool, 16, 0, 0, 0},
    {"maxpool_2x2_c64_56_grad", bench_max_pool, 16, 0, 0, 1},
    {"attention_h8_t256_d64", bench_attention, 4, 0, 0, 0},
    {"cnn_b128", bench_cnn, 128, 0, 0, 0},
    {"cnn_b128_bf16", bench_cnn, 128, 0, 0, 1},
    {"resnet20_b64", bench_resnet, 64, 0, 0, 0},
    {"gpt_b16", bench_gpt, 16, 0, 0, 0},
    {"lstm_b128", bench_lstm, 128, 0, 0, 0},
    {"launch", bench_launch, 100, 0, 0, 0},
    {"scalar_chain_build", bench_chain, 100000, 0, 0, 0},
    {"scalar_chain_replay", bench_chain, 100000, 0, 0, 1},
    {"start_cold", bench_start, 0, 0, 0, 0},
    {"start_warm", bench_start, 0, 0, 0, 1},
    {"memory_mlp_b1024", bench_memory, 1024, 0, 0, 0},
};
const int bench_case_count = sizeof bench_cases / sizeof bench_cases[0];
