/* The cases of `clgrad bench`. Each builds a program with the public interface, times it, and says what it needs at
 * the least: operations of its matrix products, or bytes with each input read once and each output written once. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---------------------------------------------------------------- helpers */

static bool fail(bench_context *c, clg_graph *g)
{
    const char *first = g ? clg_graph_error(g) : NULL;
    snprintf(c->error, sizeof c->error, "%s", first ? first : clg_last_error());
    clg_graph_free(g);
    return false;
}

static clg_var random_leaf(clg_graph *g, clg_shape shape)
{
    clg_random random = clg_random_new(1, (uint64_t)clg_graph_size(g));
    int64_t count = clg_shape_count(shape);
    float *values = malloc((size_t)count * sizeof *values);
    if (!values)
        return (clg_var){g, -1};
    float block[1021]; /* generating 16 M numbers would take longer than the case */
    for (int i = 0; i < 1021; i++)
        block[i] = (float)(2 * clg_random_uniform(&random) - 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = block[i % 1021];
    clg_var x = clg_array(g, CLG_F32, shape, values);
    free(values);
    return x;
}

typedef struct replay {
    clg_device *device;
    clg_program *program;
    int runs;
} replay;

static bool run_program(void *argument)
{
    replay *r = argument;
    for (int i = 0; i < r->runs; i++)
        if (clg_run(r->program) != CLG_OK)
            return false;
    return clg_device_sync(r->device) == CLG_OK;
}

/* Times a program; the reference runs in turn with it. r->value is the time of one run. */
static bool time_program(bench_context *c, clg_graph *g, const clg_var *outputs, int count, void (*reference)(void *),
                         void *argument, bench_result *r, double *reference_seconds)
{
    clg_program *p = clg_compile(g, outputs, count);
    if (!p)
        return fail(c, g);
    replay once = {c->device, p, 1};
    bool good = run_program(&once) && run_program(&once);
    double start = cli_now();
    good = good && run_program(&once);
    double seconds = cli_now() - start;
    once.runs = seconds > 0.02 ? 1 : (int)(0.02 / (seconds + 1e-9)) + 1;
    good = good && bench_measure(c, run_program, &once, reference, argument, r, reference_seconds);
    r->value /= once.runs;
    r->min /= once.runs;
    r->max /= once.runs;
    r->unit = "s";
    clg_program_free(p);
    if (!good)
        return fail(c, g);
    return true;
}

/* The rate of r against one of the reference. */
static void rate_against(bench_result *r, double needed, double reference_rate, const char *name)
{
    r->ceiling = reference_rate;
    r->ceiling_name = name;
    r->fraction = reference_rate > 0 ? needed / r->value / reference_rate : 0;
}

/* ---------------------------------------------------------------- training steps */

typedef struct mlp_step {
    clg_graph *graph;
    clg_mlp *mlp;
    clg_optimizer *optimizer;
    clg_var output;
} mlp_step;

/* 784-512-512-10, relu, then sigmoid, cross-entropy, SGD: the step that FIELD-NOTES and the peers' scripts time. */
static bool build_mlp(clg_device *device, int64_t batch, mlp_step *s)
{
    clg_random random = clg_random_new(1, 0);
    int count;
    s->graph = clg_graph_new(device);
    if (!s->graph)
        return false;
    clg_var x = random_leaf(s->graph, CLG_SHAPE(batch, 784)), labels = clg_input(s->graph, CLG_I32, CLG_SHAPE(batch));
    int32_t *values = malloc((size_t)batch * sizeof *values);
    for (int64_t i = 0; values && i < batch; i++)
        values[i] = (int32_t)(i * 7 % 10);
    bool good = values && clg_write(labels, values, (size_t)batch * sizeof *values) == CLG_OK;
    free(values);
    s->mlp = clg_mlp_new(s->graph, (int64_t[]){784, 512, 512, 10}, 4, &random);
    if (!good || !s->mlp)
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

static void free_mlp(mlp_step *s)
{
    clg_optimizer_free(s->optimizer);
    clg_mlp_free(s->mlp);
    clg_graph_free(s->graph);
}

static bool bench_mlp(bench_context *c, const bench_case *which, bench_result *r)
{
    mlp_step s = {0};
    bench_gemm gemm;
    double reference = 0;
    if (!build_mlp(c->device, which->m, &s) || !bench_gemm_begin(&gemm, 2048, 2048, 2048, false, false)) {
        s.graph = fail(c, s.graph) ? NULL : NULL;
        free_mlp(&s);
        return false;
    }
    /* forward 2 (784 512 + 512 512 + 512 10), weight gradients the same, input gradients without the first layer */
    r->flops = (double)which->m * 2 * (2 * (784.0 * 512 + 512 * 512 + 512 * 10) + 512 * 512 + 512 * 10);
    bool blas = bench_blas_available();
    bool good = time_program(c, s.graph, &s.output, 1, blas ? bench_gemm_run : NULL, &gemm, r, &reference);
    if (good && blas)
        rate_against(r, r->flops, 2 * 2048.0 * 2048 * 2048 / reference, "OpenBLAS sgemm 2048");
    bench_gemm_end(&gemm);
    if (!good)
        s.graph = NULL; /* freed by fail */
    free_mlp(&s);
    return good;
}

static bool bench_memory(bench_context *c, const bench_case *which, bench_result *r)
{
    mlp_step s = {0};
    clg_program *p = build_mlp(c->device, which->m, &s) ? clg_compile(s.graph, &s.output, 1) : NULL;
    if (p) {
        clg_program_info info = clg_program_get_info(p);
        r->value = r->min = r->max = (double)info.arena_bytes;
        r->unit = "bytes";
        r->ceiling = (double)info.arena_lower_bound;
        r->ceiling_name = "lifetime lower bound";
        r->fraction = r->value > 0 ? r->ceiling / r->value : 1;
        clg_program_free(p);
    } else {
        snprintf(c->error, sizeof c->error, "%s", clg_last_error());
    }
    free_mlp(&s);
    return p != NULL;
}

/* ---------------------------------------------------------------- matrix products */

/* variant 0: A B; 1: its gradient for A, G B^T; 2: for B, A^T G. m, n, k are the forward product's. */
static bool bench_matmul(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    int m = (int)which->m, n = (int)which->n, k = (int)which->k;
    clg_var y;
    bench_gemm gemm;
    bool good;
    if (which->variant == 0) {
        y = clg_matmul(random_leaf(g, CLG_SHAPE(m, k)), random_leaf(g, CLG_SHAPE(k, n)));
        good = bench_gemm_begin(&gemm, m, n, k, false, false);
    } else if (which->variant == 1) {
        y = clg_matmul(random_leaf(g, CLG_SHAPE(m, n)), clg_transpose(random_leaf(g, CLG_SHAPE(k, n))));
        good = bench_gemm_begin(&gemm, m, k, n, false, true);
    } else {
        y = clg_matmul(clg_transpose(random_leaf(g, CLG_SHAPE(m, k))), random_leaf(g, CLG_SHAPE(m, n)));
        good = bench_gemm_begin(&gemm, k, n, m, true, false);
    }
    double reference = 0;
    r->flops = 2.0 * m * n * k;
    bool blas = bench_blas_available();
    good = good && time_program(c, g, &y, 1, blas ? bench_gemm_run : NULL, &gemm, r, &reference);
    if (good) {
        if (blas)
            rate_against(r, r->flops, r->flops / reference, "OpenBLAS at this shape");
        clg_graph_free(g);
    }
    bench_gemm_end(&gemm);
    return good;
}

/* ---------------------------------------------------------------- memory-bound cases */

static bool against_triad(bench_context *c, clg_graph *g, const clg_var *outputs, int count, double bytes,
                          bench_result *r)
{
    double reference = 0;
    r->bytes = bytes;
    if (!time_program(c, g, outputs, count, bench_triad, NULL, r, &reference))
        return false;
    rate_against(r, bytes, bench_triad_bytes() / reference, "triad");
    clg_graph_free(g);
    return true;
}

static bool bench_elementwise(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var a = random_leaf(g, CLG_SHAPE(which->m)), b = random_leaf(g, CLG_SHAPE(which->m)), gx[2];
    clg_var y = clg_sigmoid(clg_mul(clg_relu(clg_add(clg_mul(a, b), a)), b));
    clg_gradients(y, (clg_var[]){a, b}, 2, gx);
    return against_triad(c, g, (clg_var[]){y, gx[0], gx[1]}, 3, 5.0 * (double)which->m * 4, r);
}

static bool bench_softmax_xent(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = random_leaf(g, CLG_SHAPE(which->m, which->n)), labels = clg_input(g, CLG_I32, CLG_SHAPE(which->m)), gx;
    int32_t *values = malloc((size_t)which->m * sizeof *values);
    for (int64_t i = 0; values && i < which->m; i++)
        values[i] = (int32_t)(i * 31 % which->n);
    bool good = values && clg_write(labels, values, (size_t)which->m * sizeof *values) == CLG_OK;
    free(values);
    if (!good)
        return fail(c, g);
    clg_var loss = clg_softmax_cross_entropy(x, labels);
    clg_gradients(loss, &x, 1, &gx);
    return against_triad(c, g, (clg_var[]){loss, gx}, 2, 2.0 * (double)(which->m * which->n) * 4, r);
}

/* Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, eq. 3) with gain and bias, and its gradients. */
static bool bench_layernorm(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = random_leaf(g, CLG_SHAPE(which->m, which->n)), gain = random_leaf(g, CLG_SHAPE(which->n));
    clg_var bias = random_leaf(g, CLG_SHAPE(which->n)), gy = random_leaf(g, CLG_SHAPE(which->m, which->n)), gx[3];
    clg_var centred = clg_sub(x, clg_mean(x, CLG_AXES(1), true));
    clg_var variance = clg_mean(clg_square(centred), CLG_AXES(1), true);
    clg_var scaled = clg_div(centred, clg_sqrt(clg_add(variance, clg_full(g, CLG_F32, CLG_SCALAR, 1e-5))));
    clg_var y = clg_add(clg_mul(scaled, gain), bias);
    clg_gradients(clg_mul(y, gy), (clg_var[]){x, gain, bias}, 3, gx);
    /* x and gy in, y and the gradient of x out */
    return against_triad(c, g, (clg_var[]){y, gx[0], gx[1], gx[2]}, 4, 4.0 * (double)(which->m * which->n) * 4, r);
}

static bool bench_sum(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = random_leaf(g, which->n ? CLG_SHAPE(which->m, which->n) : CLG_SHAPE(which->m));
    clg_var y = clg_sum(x, CLG_AXES(0), false);
    return against_triad(c, g, &y, 1, (double)which->m * (double)(which->n ? which->n : 1) * 4, r);
}

/* ---------------------------------------------------------------- host cost */

static bool run_unsynced(void *argument)
{
    replay *r = argument;
    for (int i = 0; i < r->runs; i++)
        if (clg_run(r->program) != CLG_OK)
            return false;
    return true;
}

/* A program of 100 tiny steps that cannot be fused: each reads its predecessor transposed. */
static bool bench_launch(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = random_leaf(g, CLG_SHAPE(8, 8));
    for (int64_t i = 0; i < which->m; i++)
        x = clg_add(clg_sin(clg_transpose(x)), x);
    clg_program *p = clg_compile(g, &x, 1);
    if (!p)
        return fail(c, g);
    int32_t launches = clg_program_get_info(p).launches;
    replay once = {c->device, p, 1};
    bool good = run_program(&once);
    double samples[31];
    int count = c->quick ? 7 : 31;
    for (int i = 0; i < count && good; i++) {
        double start = cli_now();
        good = run_unsynced(&once);
        samples[i] = cli_now() - start;
        good = good && clg_device_sync(c->device) == CLG_OK;
        for (int k = i; k > 0 && samples[k - 1] > samples[k]; k--) {
            double swap = samples[k];
            samples[k] = samples[k - 1];
            samples[k - 1] = swap;
        }
    }
    r->unit = "us";
    r->value = 1e6 * samples[count / 2] / launches;
    r->min = 1e6 * samples[0] / launches;
    r->max = 1e6 * samples[count - 1] / launches;
    clg_program_free(p);
    if (!good)
        return fail(c, g);
    clg_graph_free(g);
    return true;
}

/* A chain of scalar operations on the CPU path. variant 0: build, differentiate and compile, per node; 1: replay. */
static bool bench_chain(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_device *cpu;
    double samples[9];
    int count = c->quick ? 3 : 9;
    if (clg_device_open("cpu", &cpu) != CLG_OK)
        return fail(c, NULL);
    bool good = true;
    for (int s = 0; s < count && good; s++) {
        double start = cli_now();
        clg_graph *g = clg_graph_new(cpu);
        clg_var x = clg_scalar(g, 0.5), y = x, half = clg_full(g, CLG_F32, CLG_SCALAR, 0.999), gx;
        for (int64_t i = 0; i < which->m / 2; i++)
            y = clg_mul(clg_add(y, x), half);
        clg_gradients(y, &x, 1, &gx);
        clg_program *p = clg_compile(g, (clg_var[]){y, gx}, 2);
        double built = cli_now();
        good = p && clg_run(p) == CLG_OK;
        if (good && which->variant == 1) {
            built = cli_now();
            start = built;
            for (int i = 0; i < 20 && good; i++)
                good = clg_run(p) == CLG_OK;
            built = cli_now() - (cli_now() - built) * 19 / 20;
        }
        samples[s] = 1e9 * (built - start) / clg_graph_size(g);
        clg_program_free(p);
        clg_graph_free(g);
        for (int k = s; k > 0 && samples[k - 1] > samples[k]; k--) {
            double swap = samples[k];
            samples[k] = samples[k - 1];
            samples[k - 1] = swap;
        }
    }
    clg_device_close(cpu);
    r->unit = "ns";
    r->value = samples[count / 2];
    r->min = samples[0];
    r->max = samples[count - 1];
    return good || fail(c, NULL);
}

/* ---------------------------------------------------------------- start */

/* Seconds from starting the program to its first training step's end. */
static double start_once(bench_context *c, const char *cache)
{
    double start = cli_now();
    pid_t child = fork();
    if (child == 0) {
        if (cache) {
            setenv("CLGRAD_CACHE_DIR", cache, 1);
            setenv("POCL_CACHE_DIR", cache, 1);
        }
        execl(c->self, "clgrad", "bench", "--first-step", "--device", c->device_spec, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
        return -1;
    return cli_now() - start;
}

static bool bench_start(bench_context *c, const bench_case *which, bench_result *r)
{
    int count = c->quick ? 1 : 5;
    double samples[5];
    char folder[] = "/tmp/clgrad-bench-XXXXXX";
    if (!mkdtemp(folder)) {
        snprintf(c->error, sizeof c->error, "cannot make a folder under /tmp");
        return false;
    }
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        char cache[64];
        snprintf(cache, sizeof cache, "%s/%d", folder, which->variant ? 0 : i);
        if (which->variant && i == 0)
            start_once(c, cache); /* fills the caches */
        samples[i] = start_once(c, cache);
        good = samples[i] >= 0;
        for (int k = i; k > 0 && samples[k - 1] > samples[k]; k--) {
            double swap = samples[k];
            samples[k] = samples[k - 1];
            samples[k - 1] = swap;
        }
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0 || !good)
        snprintf(c->error, sizeof c->error, "the program did not finish its first step");
    r->unit = "s";
    r->value = samples[count / 2];
    r->min = samples[0];
    r->max = samples[count - 1];
    return good;
}

bool bench_first_step(clg_device *device);
bool bench_first_step(clg_device *device)
{
    mlp_step s = {0};
    clg_program *p = build_mlp(device, 128, &s) ? clg_compile(s.graph, &s.output, 1) : NULL;
    bool good = p && clg_run(p) == CLG_OK && clg_item(s.output) > 0;
    clg_program_free(p);
    free_mlp(&s);
    return good;
}

/* ---------------------------------------------------------------- table */

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
    {"elementwise_1m", bench_elementwise, 1 << 20, 0, 0, 0},
    {"elementwise_16m", bench_elementwise, 1 << 24, 0, 0, 0},
    {"softmax_xent_8192x1024", bench_softmax_xent, 8192, 1024, 0, 0},
    {"layernorm_8192x1024", bench_layernorm, 8192, 1024, 0, 0},
    {"colsum_8192x1024", bench_sum, 8192, 1024, 0, 0},
    {"sum_16m", bench_sum, 1 << 24, 0, 0, 0},
    {"launch", bench_launch, 100, 0, 0, 0},
    {"scalar_chain_build", bench_chain, 100000, 0, 0, 0},
    {"scalar_chain_replay", bench_chain, 100000, 0, 0, 1},
    {"start_cold", bench_start, 0, 0, 0, 0},
    {"start_warm", bench_start, 0, 0, 0, 1},
    {"memory_mlp_b1024", bench_memory, 1024, 0, 0, 0},
};
const int bench_case_count = sizeof bench_cases / sizeof bench_cases[0];
