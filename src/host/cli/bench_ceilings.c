/* What the host can do: memory bandwidth, fused multiply-adds, the best library's matrix product. Measured in the same
 * run as the cases, because machines are shared and change speed from minute to minute. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef CLG_WITH_BLAS
#include <cblas.h>
#endif

enum { TRIAD_COUNT = 1 << 24, COPY_BYTES = 1 << 26 };

static float *triad_a, *triad_b, *triad_c;

static float *floats(size_t count)
{
    float *p = aligned_alloc(64, (count * sizeof *p + 63) / 64 * 64);
    if (p) { /* touched by the threads that will use it, with values that are not zero */
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++)
            p[i] = 0.5f + (float)(i % 1000) * 1e-3f;
    }
    return p;
}

bool bench_ceilings_begin(char *error, size_t size)
{
    triad_a = floats(TRIAD_COUNT);
    triad_b = floats(TRIAD_COUNT);
    triad_c = floats(TRIAD_COUNT);
    if (triad_a && triad_b && triad_c)
        return true;
    snprintf(error, size, "out of memory for the bandwidth measurement");
    return false;
}

void bench_ceilings_end(void)
{
    free(triad_a);
    free(triad_b);
    free(triad_c);
}

void bench_triad(void *unused)
{
    const float *a = triad_a, *b = triad_b;
    float *c = triad_c;
    (void)unused;
#pragma omp parallel for simd schedule(static)
    for (int i = 0; i < TRIAD_COUNT; i++)
        c[i] = a[i] * b[i] + a[i];
}

double bench_triad_bytes(void) { return 3.0 * TRIAD_COUNT * sizeof(float); }

double bench_copy_rate(void)
{
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double start = cli_now();
#pragma omp parallel for schedule(static)
        for (int part = 0; part < 64; part++)
            memcpy((char *)triad_c + (size_t)part * (COPY_BYTES / 64),
                   (char *)triad_a + (size_t)part * (COPY_BYTES / 64), COPY_BYTES / 64);
        double rate = 2.0 * COPY_BYTES / (cli_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---------------------------------------------------------------- fused multiply-adds */

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FASTEST_ISA __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FASTEST_ISA
#endif

enum { FMA_LANES = 192, FMA_ROUNDS = 200000 };

FASTEST_ISA static float multiply_adds(float start)
{
    float x[FMA_LANES], sum = 0;
    for (int i = 0; i < FMA_LANES; i++)
        x[i] = start + (float)i;
    for (int round = 0; round < FMA_ROUNDS; round++)
        for (int i = 0; i < FMA_LANES; i++)
            x[i] = x[i] * 0.999f + 0.001f;
    for (int i = 0; i < FMA_LANES; i++)
        sum += x[i];
    return sum;
}

double bench_fma_rate(void)
{
    double best = 0;
    volatile float sink = 0;
    int threads = 1;
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    for (int i = 0; i < 5; i++) {
        double start = cli_now();
        float sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
        for (int t = 0; t < threads; t++)
            sum += multiply_adds((float)t);
        sink = sink + sum;
        double rate = 2.0 * FMA_LANES * FMA_ROUNDS * threads / (cli_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---------------------------------------------------------------- matrix products */

bool bench_blas_available(void)
{
#ifdef CLG_WITH_BLAS
    return true;
#else
    return false;
#endif
}

#ifdef CLG_WITH_BLAS
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));
extern int openblas_get_num_procs(void) __attribute__((weak));
#endif

const char *bench_blas_name(void)
{
    static char name[200] = "none";
#ifdef CLG_WITH_BLAS
    if (openblas_get_config && openblas_get_corename)
        snprintf(name, sizeof name, "%s (kernels for %s)", openblas_get_config(), openblas_get_corename());
    else
        snprintf(name, sizeof name, "CBLAS");
#endif
    return name;
}

bool bench_gemm_begin(bench_gemm *g, int m, int n, int k, bool transpose_a, bool transpose_b)
{
    *g = (bench_gemm){m, n, k, transpose_a, transpose_b, NULL, NULL, NULL};
    g->a = floats((size_t)m * (size_t)k);
    g->b = floats((size_t)k * (size_t)n);
    g->c = floats((size_t)m * (size_t)n);
    return g->a && g->b && g->c;
}

void bench_gemm_run(void *gemm)
{
#ifdef CLG_WITH_BLAS
    const bench_gemm *g = gemm;
    if (openblas_set_num_threads && openblas_get_num_procs)
        openblas_set_num_threads(openblas_get_num_procs()); /* the CPU path sets it to 1 for its own use */
    cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans, g->transpose_b ? CblasTrans : CblasNoTrans,
                g->m, g->n, g->k, 1, g->a, g->transpose_a ? g->m : g->k, g->b, g->transpose_b ? g->k : g->n, 0, g->c,
                g->n);
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
#else
    (void)gemm;
#endif
}

void bench_gemm_end(bench_gemm *g)
{
    free(g->a);
    free(g->b);
    free(g->c);
}
