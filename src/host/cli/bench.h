/* clgrad bench: what its files share. bench.c is the command, bench_output.c the table and the JSON, bench_measure.c
 * the timing, bench_cases.c the table of cases and the simple ones, bench_conv.c convolutions and pools, bench_models.c
 * attention and models, bench_host.c the host's own cost, bench_ceilings.c what the machine itself can do. */
#ifndef CLG_CLI_BENCH_H
#define CLG_CLI_BENCH_H

#include <clgrad/clgrad.h>

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
    bool references; /* measure what the cases are compared with, too */
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

/* Cases of bench_host.c. */
bool bench_launch(bench_context *c, const bench_case *which, bench_result *r);
bool bench_chain(bench_context *c, const bench_case *which, bench_result *r);
bool bench_start(bench_context *c, const bench_case *which, bench_result *r);

/* Cases of bench_conv.c. bench_conv: m is a bench_conv_shape; n is 1 for the channels last; variant 0: forward, 1: the
 * gradient of sum(y gy) for x alone, 2: for the weights alone. bench_max_pool: variant 1 has the gradient, too. */
enum bench_conv_shape {
    BENCH_CONV_3X3_C16_32,
    BENCH_CONV_3X3_C64_56,
    BENCH_CONV_1X1_C256_14,
    BENCH_CONV_3X3S2_C32_32,
    BENCH_CONV_7X7S2_C3_224,
    BENCH_CONV_DW3X3_C128_28,
};
bool bench_conv(bench_context *c, const bench_case *which, bench_result *r);
bool bench_max_pool(bench_context *c, const bench_case *which, bench_result *r);

/* Cases of bench_models.c; m is the batch. bench_cnn: variant 1 computes in bf16, with f32 parameters. */
bool bench_attention(bench_context *c, const bench_case *which, bench_result *r);
bool bench_cnn(bench_context *c, const bench_case *which, bench_result *r);
bool bench_resnet(bench_context *c, const bench_case *which, bench_result *r);
bool bench_gpt(bench_context *c, const bench_case *which, bench_result *r);
bool bench_lstm(bench_context *c, const bench_case *which, bench_result *r);

/* The end of a case: if it went wrong, the graph's first error, else the library's last, to c->error. Frees the graph
 * (NULL is allowed) and returns good. */
bool bench_end(bench_context *c, clg_graph *g, bool good);
/* An f32 leaf with random values in [-1, 1). */
clg_var bench_random_leaf(clg_graph *g, clg_shape shape);
/* An i32 leaf of which element i is i * step modulo classes. */
clg_var bench_label_leaf(clg_graph *g, clg_shape shape, int64_t step, int64_t classes);
/* One training step of the 784-512-512-10 network, batch 128, in a process of its own, for the start cases. */
bool bench_first_step(clg_device *device);

/* ---------------------------------------------------------------- timing */

enum { BENCH_MAX_SAMPLES = 31 };

/* Sorts the samples, and puts their median, least and greatest, times scale, into r. */
void bench_summarise(double *samples, int count, double scale, bench_result *r);

/* What a case is compared with; runs in turn with it, so that a change of the machine's speed hits both. */
typedef struct bench_reference {
    void (*run)(void *); /* NULL: nothing */
    void *argument;
    double seconds; /* out: of one run, median */
} bench_reference;

/* Compiles the outputs and times the program's runs: seconds of one to r. */
bool bench_time_program(bench_context *c, clg_graph *g, const clg_var *outputs, int count, bench_reference *reference,
                        bench_result *r);

/* Both compile the outputs and time the program's runs to r, in turn with what is their ceiling: the library's matrix
 * product, 2048 x 2048 x 2048; the triad. flops, bytes: needed for a run. */
bool bench_against_sgemm(bench_context *c, clg_graph *g, const clg_var *outputs, int count, double flops,
                         bench_result *r);
bool bench_against_triad(bench_context *c, clg_graph *g, const clg_var *outputs, int count, double bytes,
                         bench_result *r);

/* ---------------------------------------------------------------- ceilings of the host */

bool bench_ceilings_begin(char *error, size_t size); /* allocates; false on error */
void bench_ceilings_end(void);
/* c = a b + a over 16 M floats with all cores: one run. */
void bench_triad(void *unused);
double bench_triad_bytes(void);
/* Best rates of a few runs: byte/s of triad; byte/s (read + written) of copying 64 MB; flop/s of independent fused
 * multiply-adds in registers; flop/s of the library's matrix product, 2048 x 2048 x 2048 (0: no library). */
double bench_triad_rate(void);
double bench_copy_rate(void);
double bench_fma_rate(void);
double bench_sgemm_rate(void);

/* The best library matrix product of the host: OpenBLAS with all the threads. */
typedef struct bench_gemm {
    int m, n, k;
    bool transpose_a, transpose_b;
    float *a, *b, *c;
} bench_gemm;
bool bench_blas_available(void);
const char *bench_blas_name(void);
/* The value of OPENBLAS_CORETYPE that makes OpenBLAS take faster kernels than it took for this processor; NULL if
 * its choice is right. An older OpenBLAS takes its slowest kernels for a processor that it does not know. */
const char *bench_blas_better_core(void);
bool bench_gemm_begin(bench_gemm *g, int m, int n, int k, bool transpose_a, bool transpose_b);
void bench_gemm_run(void *gemm);
void bench_gemm_end(bench_gemm *g);

/* ---------------------------------------------------------------- output */

typedef struct bench_report bench_report;

/* NULL when memory runs out. */
bench_report *bench_report_new(const clg_device_info *info);
void bench_report_free(bench_report *report);
/* Each prints its line and keeps it for the JSON. */
void bench_report_ceiling(bench_report *report, const char *name, double value, const char *unit);
void bench_report_heading(void);
void bench_report_result(bench_report *report, const bench_result *r);
/* Writes the file whole or not at all. False with errno set. */
bool bench_report_write(const bench_report *report, const char *path);
#endif
