/* Timing of `clgrad bench`: samples of a program's runs, in turn with what it is compared with. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9, SAMPLES = 3 };

/* A sample of something short is of as many runs as take this long. */
static const double sample_seconds = 0.02, reference_seconds = 0.02, warm_seconds = 0.06;

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, compare_doubles);
    return samples[count / 2];
}

void bench_summarise(double *samples, int count, double scale, bench_result *r)
{
    r->value = median(samples, count) * scale;
    r->min = samples[0] * scale;
    r->max = samples[count - 1] * scale;
}

static bool run_program(bench_context *c, clg_program *p, int runs)
{
    for (int i = 0; i < runs; i++)
        if (clg_run(p) != CLG_OK)
            return false;
    return clg_device_sync(c->device) == CLG_OK;
}

/* Seconds of one run; below 0 on error. */
static double time_runs(bench_context *c, clg_program *p, int runs)
{
    double start = cli_now();
    return run_program(c, p, runs) ? (cli_now() - start) / runs : -1;
}

static double time_reference(const bench_reference *reference)
{
    int runs = 0;
    double start = cli_now(), end;
    do {
        reference->run(reference->argument);
        runs++;
        end = cli_now();
    } while (end - start < reference_seconds);
    return (end - start) / runs;
}

/* The threads of OpenBLAS, and those of OpenMP, wait for more work by spinning for some milliseconds: whoever runs
 * next would share the cores with them. */
static void let_threads_sleep(void) { nanosleep(&(struct timespec){.tv_nsec = 40 * 1000 * 1000}, NULL); }

/* Runs for a while without looking at the clock's result: cores that slept need some milliseconds to come back to
 * speed, and the other side has emptied the caches. */
static bool warm_up(bench_context *c, clg_program *p)
{
    double start = cli_now();
    do {
        if (!run_program(c, p, 1))
            return false;
    } while (cli_now() - start < warm_seconds);
    return true;
}

/* Rounds of ours, then theirs. The reference's time is ours by the median of the rounds' ratios: a change of the
 * machine's speed, which may be twofold where its cores are shared, meets both sides of a round, but not all rounds. */
static bool take_samples(bench_context *c, clg_program *p, bench_reference *reference, bench_result *r)
{
    double ours[ROUNDS * SAMPLES], theirs[SAMPLES], ratios[ROUNDS];
    int rounds = c->quick ? 1 : ROUNDS, count = 0;
    if (!run_program(c, p, 2))
        return false;
    double seconds = time_runs(c, p, 1);
    int runs = seconds < sample_seconds ? 1 + (int)(sample_seconds / (seconds + 1e-9)) : 1;
    bool compare = c->references && reference->run;
    for (int round = 0; round < rounds; round++) {
        if (!warm_up(c, p))
            return false;
        for (int i = 0; i < SAMPLES; i++)
            if ((ours[count + i] = time_runs(c, p, runs)) < 0)
                return false;
        if (compare) {
            (void)time_reference(reference); /* warms up */
            for (int i = 0; i < SAMPLES; i++)
                theirs[i] = time_reference(reference);
            ratios[round] = median(theirs, SAMPLES) / median(ours + count, SAMPLES);
            let_threads_sleep();
        }
        count += SAMPLES;
    }
    bench_summarise(ours, count, 1, r);
    if (compare)
        reference->seconds = median(ratios, rounds) * r->value;
    return true;
}

bool bench_time_program(bench_context *c, clg_graph *g, const clg_var *outputs, int count, bench_reference *reference,
                        bench_result *r)
{
    r->unit = "s";
    clg_program *p = g ? clg_compile(g, outputs, count) : NULL;
    bool good = p && take_samples(c, p, reference, r);
    clg_program_free(p);
    return good;
}
