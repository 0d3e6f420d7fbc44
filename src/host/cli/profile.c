/* clgrad train --profile: some more runs of the training step, as a table and a trace. */
#define _POSIX_C_SOURCE 200809L
#include "profile.h"
#include "bench.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 20, SGEMM_SIZE = 2048, SGEMM_RUNS = 3 };

static const double sgemm_seconds = 0.25; /* no more runs after this time */

/* What the machine can do; 0: not known. */
typedef struct ceilings {
    double flop_rate, byte_rate; /* a second: in large matrix products or registers, in memory */
    const char *flop_name;
} ceilings;

/* flop/s of the host's best matrix product; 0 if there is no memory for it. */
static double sgemm_rate(void)
{
    bench_gemm gemm;
    double best = 0, first = cli_now(), start = first, end;
    bool good = bench_gemm_begin(&gemm, SGEMM_SIZE, SGEMM_SIZE, SGEMM_SIZE, false, false);
    for (int i = 0; good && i < SGEMM_RUNS && start - first < sgemm_seconds; i++, start = end) {
        bench_gemm_run(&gemm);
        end = cli_now();
        double rate = 2.0 * SGEMM_SIZE * SGEMM_SIZE * SGEMM_SIZE / (end - start);
        best = rate > best ? rate : best;
    }
    bench_gemm_end(&gemm);
    return best;
}

/* Measured here and not before the training: a shared machine's speed changes from minute to minute. The host's rates
 * are no ceilings of a GPU, for which all stay 0. */
static bool measure_ceilings(const clg_device *device, ceilings *c)
{
    char error[128];
    const char *type = clg_device_get_info(device)->type;
    *c = (ceilings){0};
    if (strcmp(type, "host") && strcmp(type, "cpu"))
        return true;
    /* A BLAS that is missing, or took kernels for an older processor, is no ceiling. */
    bool blas = bench_blas_available() && !bench_blas_better_core();
    c->flop_name = blas ? "sgemm_2048" : "fma";
    c->flop_rate = blas ? sgemm_rate() : bench_fma_rate();
    bool good = bench_ceilings_begin(error, sizeof error);
    if (good)
        c->byte_rate = bench_triad_rate();
    else
        cli_error("train", "%s", error);
    bench_ceilings_end();
    /* the threads of those wait for more by spinning */
    nanosleep(&(struct timespec){.tv_nsec = 40 * 1000 * 1000}, NULL);
    return good;
}

/* Runs and keeps the profiles: steps[run * count + step]. */
static clg_status take_profiles(clg_program *program, clg_step_profile *steps, int count)
{
    clg_status status = clg_run(program); /* brings caches and drivers to where a training has them */
    for (int r = 0; status == CLG_OK && r < RUNS; r++)
        status = clg_program_profile(program, steps + (size_t)r * (size_t)count, count, NULL);
    return status;
}

int profile_program(clg_device *device, clg_program *program, const char *path)
{
    ceilings c;
    int count = clg_program_get_info(program).steps, status = EXIT_SUCCESS;
    if (!measure_ceilings(device, &c))
        return EXIT_FAILURE;
    clg_step_profile *steps = malloc(((size_t)count * RUNS + 1) * sizeof *steps);
    if (!steps)
        return cli_error("train", "out of memory");
    printf("\nWhere the time of a training step goes: median of %d", RUNS);
    if (c.byte_rate > 0)
        printf("; peaks are triad, %.1f GB/s, and %s, %.1f GFLOP/s", 1e-9 * c.byte_rate, c.flop_name,
               1e-9 * c.flop_rate);
    printf("\n\n");
    if (take_profiles(program, steps, count) != CLG_OK ||
        clg_profile_print(steps, count, RUNS, c.flop_rate, c.byte_rate, stdout) != CLG_OK ||
        clg_profile_save(steps, count, RUNS, path) != CLG_OK)
        status = cli_library_error("train");
    free(steps);
    return status;
}
