/* The cases of `clgrad bench` that measure the host's own cost: launches, graph building, the start of the program. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <errno.h>
#include <ftw.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---------------------------------------------------------------- launches */

/* A program of which.m tiny steps that cannot be fused: each sums its predecessor's rows, or its columns, in turn. The
 * time is that of queueing a run, divided by its launches. */
bool bench_launch(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, CLG_SHAPE(8, 8));
    for (int64_t i = 0; i < which->m; i++)
        x = clg_sub(x, clg_mean(x, CLG_AXES((int)i % 2), true));
    clg_program *p = clg_compile(g, &x, 1);
    bool good = p && clg_run(p) == CLG_OK && clg_device_sync(c->device) == CLG_OK; /* warm up */
    double samples[BENCH_MAX_SAMPLES];
    int count = c->quick ? 7 : BENCH_MAX_SAMPLES;
    for (int i = 0; i < count && good; i++) {
        double start = cli_now();
        good = clg_run(p) == CLG_OK;
        samples[i] = cli_now() - start;
        good = clg_device_sync(c->device) == CLG_OK && good;
    }
    r->unit = "us";
    if (good)
        bench_summarise(samples, count, 1e6 / clg_program_get_info(p).launches, r);
    clg_program_free(p);
    return bench_end(c, g, good);
}

/* ---------------------------------------------------------------- a chain of scalar operations */

enum { CHAIN_REPLAYS = 20 };

/* Nanoseconds a node for building, differentiating and compiling the chain, or for replaying it. */
static bool time_chain(clg_graph *g, int64_t length, bool replay, double *sample)
{
    double start = cli_now();
    clg_var x = clg_scalar(g, 0.5), y = x, factor = clg_full(g, CLG_F32, CLG_SCALAR, 0.999), gx;
    for (int64_t i = 0; i < length / 2; i++)
        y = clg_mul(clg_add(y, x), factor);
    clg_program *p = clg_gradients(y, &x, 1, &gx) == CLG_OK ? clg_compile(g, (clg_var[]){y, gx}, 2) : NULL;
    double seconds = cli_now() - start;
    bool good = p && clg_run(p) == CLG_OK;
    if (replay) {
        start = cli_now();
        for (int i = 0; i < CHAIN_REPLAYS && good; i++)
            good = clg_run(p) == CLG_OK;
        seconds = (cli_now() - start) / CHAIN_REPLAYS;
    }
    *sample = 1e9 * seconds / clg_graph_size(g);
    clg_program_free(p);
    return good;
}

/* On the CPU path, whatever the device. variant 0: building; 1: replay. */
bool bench_chain(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_device *cpu;
    double samples[9];
    int count = c->quick ? 3 : 9;
    r->unit = "ns";
    if (clg_device_open("cpu", &cpu) != CLG_OK)
        return bench_end(c, NULL, false);
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        clg_graph *g = clg_graph_new(cpu);
        good = g && time_chain(g, which->m, which->variant == 1, &samples[i]);
        good = bench_end(c, g, good);
    }
    clg_device_close(cpu);
    if (good)
        bench_summarise(samples, count, 1, r);
    return good;
}

/* ---------------------------------------------------------------- start */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static bool start_error(bench_context *c, const char *what, int error)
{
    snprintf(c->error, sizeof c->error, "%s: %s", what, error ? strerror(error) : "it failed");
    return false;
}

/* Seconds from starting the program, with its kernel caches in the folder, to the end of its first training step. */
static bool start_once(bench_context *c, const char *cache, double *seconds)
{
    char option[256];
    snprintf(option, sizeof option, "--first-step=%s", cache);
    char *argv[] = {"clgrad", "bench", option, "--device", (char *)c->device_spec, NULL};
    pid_t child;
    int status;
    if (mkdir(cache, 0700) != 0 && errno != EEXIST)
        return start_error(c, "cannot make a folder for kernel caches", errno);
    double start = cli_now();
    int error = posix_spawnp(&child, cli_program_path(), NULL, NULL, argv, environ);
    if (error)
        return start_error(c, "cannot start the program", error);
    if (waitpid(child, &status, 0) != child)
        return start_error(c, "cannot wait for the program", errno);
    *seconds = cli_now() - start;
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return start_error(c, "the first training step in a program of its own", 0);
    return true;
}

/* variant 0: empty caches each time; 1: filled ones. */
bool bench_start(bench_context *c, const bench_case *which, bench_result *r)
{
    double samples[5];
    int count = c->quick ? 1 : 5;
    char folder[] = "/tmp/clgrad-bench-XXXXXX", cache[64];
    r->unit = "s";
    if (!mkdtemp(folder))
        return start_error(c, "cannot make a folder under /tmp", errno);
    snprintf(cache, sizeof cache, "%s/warm", folder);
    bool good = which->variant == 0 || start_once(c, cache, &samples[0]); /* fills the caches */
    for (int i = 0; i < count && good; i++) {
        if (which->variant == 0)
            snprintf(cache, sizeof cache, "%s/%d", folder, i);
        good = start_once(c, cache, &samples[i]);
    }
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    if (good)
        bench_summarise(samples, count, 1, r);
    return good;
}
