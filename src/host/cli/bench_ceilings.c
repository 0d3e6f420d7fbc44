/* What the host can do: memory bandwidth, fused multiply-adds, the best library's matrix product. Measured in the same
 * run as the cases, because machines are shared and change speed from minute to minute. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef CLG_WITH_BLAS
#include <cblas.h>
#endif

enum { TRIAD_COUNT = 1 << 24, COPY_BYTES = 1 << 26, COPY_PARTS = 64, SGEMM_SIZE = 2048 };

static float *triad_a, *triad_b, *triad_c;

static int thread_count(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

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

/* The best rate of several runs, each of which does the given amount of work. */
static double best_rate(void (*run)(void *), void *argument, int runs, double work)
{
    double best = 0;
    for (int i = 0; i < runs; i++) {
        double start = cli_now();
        run(argument);
        double rate = work / (cli_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---------------------------------------------------------------- memory */

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

double bench_triad_rate(void) { return best_rate(bench_triad, NULL, 7, bench_triad_bytes()); }

static void copy(void *unused)
{
    const size_t part = COPY_BYTES / COPY_PARTS;
    (void)unused;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < COPY_PARTS; i++)
        memcpy((char *)triad_c + (size_t)i * part, (const char *)triad_a + (size_t)i * part, part);
}

double bench_copy_rate(void) { return best_rate(copy, NULL, 7, 2.0 * COPY_BYTES); }

/* ---------------------------------------------------------------- fused multiply-adds */

/* Twelve independent accumulators: enough to cover the latency of two units of four cycles each, and few enough for
 * 16 registers. They have names because compilers leave an array of them in memory. */
enum { FMA_ACCUMULATORS = 12, FMA_ROUNDS = 2000000 };

/* A function that does FMA_ROUNDS rounds of x = x * 0.999 + 0.001 on all accumulators, each a VECTOR of floats;
 * FMA(x, y, z) is x * y + z. It returns something of each, so that none can be left out. */
#define MULTIPLY_ADDS(NAME, VECTOR, FMA)                                                                               \
    static float NAME(float start)                                                                                     \
    {                                                                                                                  \
        const VECTOR zero = {0}, y = zero + 0.999f, z = zero + 0.001f;                                                 \
        VECTOR a = zero + start, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5;                                \
        VECTOR g = a + 6, h = a + 7, i = a + 8, j = a + 9, k = a + 10, l = a + 11;                                     \
        for (int round = 0; round < FMA_ROUNDS; round++) {                                                             \
            a = FMA(a, y, z), b = FMA(b, y, z), c = FMA(c, y, z), d = FMA(d, y, z);                                    \
            e = FMA(e, y, z), f = FMA(f, y, z), g = FMA(g, y, z), h = FMA(h, y, z);                                    \
            i = FMA(i, y, z), j = FMA(j, y, z), k = FMA(k, y, z), l = FMA(l, y, z);                                    \
        }                                                                                                              \
        VECTOR sum = a + b + c + d + e + f + g + h + i + j + k + l;                                                    \
        return sum[0];                                                                                                 \
    }

typedef struct fma_job {
    float (*run)(float start);
    int threads, lanes;
} fma_job;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) MULTIPLY_ADDS(multiply_adds_avx512, __m512, _mm512_fmadd_ps)
    __attribute__((target("avx2,fma"))) MULTIPLY_ADDS(multiply_adds_avx2, __m256, _mm256_fmadd_ps)
#endif
#if defined(__aarch64__)
#define FMA_PLAIN(x, y, z) vfmaq_f32(z, x, y)
#else
#define FMA_PLAIN(x, y, z) ((x) * (y) + (z))
#endif
        typedef float plain_vector __attribute__((vector_size(16)));
MULTIPLY_ADDS(multiply_adds_plain, plain_vector, FMA_PLAIN)

static fma_job fastest_multiply_adds(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (fma_job){multiply_adds_avx512, thread_count(), 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (fma_job){multiply_adds_avx2, thread_count(), 8};
#endif
    return (fma_job){multiply_adds_plain, thread_count(), 4};
}

static volatile float fma_sum; /* somewhere for the results to go */

static void multiply_adds(void *argument)
{
    const fma_job *job = argument;
    float sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
    for (int t = 0; t < job->threads; t++)
        sum += job->run((float)t);
    fma_sum = sum;
}

double bench_fma_rate(void)
{
    fma_job job = fastest_multiply_adds();
    return best_rate(multiply_adds, &job, 7, 2.0 * FMA_ACCUMULATORS * FMA_ROUNDS * job.lanes * job.threads);
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
/* Weak: other libraries do not have these. */
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int) __attribute__((weak));
#endif

const char *bench_blas_name(void)
{
    static char name[200] = "no BLAS";
#ifdef CLG_WITH_BLAS
    if (openblas_get_config && openblas_get_corename)
        snprintf(name, sizeof name, "%s (kernels for %s)", openblas_get_config(), openblas_get_corename());
    else
        snprintf(name, sizeof name, "CBLAS");
#endif
    return name;
}

#if defined(CLG_WITH_BLAS) && defined(__x86_64__)
/* The vector instructions of the kernels: 0 older than AVX2, 1 AVX2, 2 AVX-512, 3 with bf16 products. */
static int core_level(const char *name)
{
    static const struct {
        const char *name;
        int level;
    } cores[] = {{"Haswell", 1}, {"Zen", 1}, {"SkylakeX", 2}, {"Cooperlake", 3}, {"SapphireRapids", 3}};
    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++)
        if (!strcasecmp(name, cores[i].name))
            return cores[i].level;
    return 0;
}

const char *bench_blas_better_core(void)
{
    if (!openblas_get_corename)
        return NULL;
    const char *best = __builtin_cpu_supports("avx512bf16") ? "Cooperlake"
                       : __builtin_cpu_supports("avx512f")  ? "SkylakeX"
                       : __builtin_cpu_supports("avx2")     ? "Haswell"
                                                            : "";
    return core_level(openblas_get_corename()) < core_level(best) ? best : NULL;
}
#else
const char *bench_blas_better_core(void) { return NULL; }
#endif

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
    if (openblas_set_num_threads)
        openblas_set_num_threads(thread_count()); /* the CPU path sets it to 1 for its own use */
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

double bench_sgemm_rate(void)
{
    bench_gemm gemm;
    double best = 0;
    if (bench_gemm_begin(&gemm, SGEMM_SIZE, SGEMM_SIZE, SGEMM_SIZE, false, false) && bench_blas_available())
        best = best_rate(bench_gemm_run, &gemm, 4, 2.0 * SGEMM_SIZE * SGEMM_SIZE * SGEMM_SIZE);
    bench_gemm_end(&gemm);
    return best;
}
