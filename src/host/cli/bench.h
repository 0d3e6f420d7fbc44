/* clgrad bench: what its files share. bench.c is the command and the output, bench_cases.c the cases,
 * bench_ceilings.c what the machine itself can do. */
#ifndef CLG_CLI_BENCH_H
#define CLG_CLI_BENCH_H

#include <clgrad/clgrad.h>

/* Times of one thing: seconds for each sample, each over several runs. */
typedef struct bench_samples {
    double *seconds;
    int count;
} bench_samples;

typedef struct bench_result {
    char name[64];
    const char *unit;
    double value, min, max; /* value is the median */
    double flops, bytes;    /* needed for one run; 0: does not apply */
    double ceiling;         /* in the unit of the rate (flop/s, byte/s) or of the value; 0: none */
    const char *ceiling_name;
    double fraction; /* of the ceiling: 1 is as fast as it */
} bench_result;

typedef struct bench_context {
    clg_device *device;
    bool quick;
    const char *self; /* path of the program, for the cold start */
    const char *device_spec;
    char error[512];
} bench_context;

typedef struct bench_case {
    const char *name;
    bool (*run)(bench_context *c, const struct bench_case *which, bench_result *r);
    int64_t m, n, k; /* sizes, as the case needs */
    int variant;
} bench_case;

extern const bench_case bench_cases[];
extern const int bench_case_count;

/* Runs both in turn, so that a change of the machine's speed hits both: medians to r->value and *reference (seconds).
 * reference_run may be NULL. Each must return false on error. */
bool bench_measure(bench_context *c, bool (*run)(void *), void *argument, void (*reference_run)(void *),
                   void *reference_argument, bench_result *r, double *reference);

/* ---------------------------------------------------------------- ceilings of the host */

/* c = a b + a over 16 M floats with all cores: one run. */
void bench_triad(void *unused);
double bench_triad_bytes(void);
bool bench_ceilings_begin(char *error, size_t size); /* allocates; false on error */
void bench_ceilings_end(void);
/* Independent fused multiply-adds on all cores: flop/s. */
double bench_fma_rate(void);
/* Copy of 64 MB: byte/s (read + written). */
double bench_copy_rate(void);

/* The best library matrix product of the host, OpenBLAS with all its threads. */
typedef struct bench_gemm {
    int m, n, k;
    bool transpose_a, transpose_b;
    float *a, *b, *c;
} bench_gemm;
bool bench_blas_available(void);
const char *bench_blas_name(void);
bool bench_gemm_begin(bench_gemm *g, int m, int n, int k, bool transpose_a, bool transpose_b);
void bench_gemm_run(void *gemm);
void bench_gemm_end(bench_gemm *g);
#endif
