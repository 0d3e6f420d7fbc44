/* clgrad bench: the machine's ceilings, then the cases, as a table for people and JSON for programs. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 256 };

typedef struct bench_options {
    const char *device, *json;
    const char *first_step; /* NULL, or the folder for kernel caches */
    bool quick, list, only_cases;
    char **names;
    int name_count;
} bench_options;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    bench_options *o = state->input;
    if (key == 'd')
        o->device = argument;
    else if (key == 'j')
        o->json = argument;
    else if (key == 'q')
        o->quick = true;
    else if (key == 'l')
        o->list = true;
    else if (key == 'o')
        o->only_cases = true;
    else if (key == 'F')
        o->first_step = argument;
    else if (key == ARGP_KEY_ARGS) {
        o->names = state->argv + state->next;
        o->name_count = state->argc - state->next;
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const struct argp_option options[] = {
    {"device", 'd', "SPEC", 0, "auto, cpu, opencl, opencl:N or opencl:NAME ($CLGRAD_DEVICE, else auto)", 0},
    {"json", 'j', "FILE", 0, "Write the results as JSON", 0},
    {"quick", 'q', NULL, 0, "Fewer samples", 0},
    {"list", 'l', NULL, 0, "List the cases and measure nothing", 0},
    {"only-cases", 'o', NULL, 0, "Measure no ceilings and no fractions of them", 0},
    {"first-step", 'F', "FOLDER", OPTION_HIDDEN, "One training step, for the start cases", 0},
    {0}};

static const struct argp parser = {options,
                                   parse,
                                   "[CASE...]",
                                   "Measure the machine's ceilings and clgrad's fractions of them. A CASE is a name "
                                   "that --list shows, or the beginning of some.",
                                   NULL,
                                   NULL,
                                   NULL};

/* ---------------------------------------------------------------- choosing cases */

static bool is_case(const char *name)
{
    for (int i = 0; i < bench_case_count; i++)
        if (!strcmp(bench_cases[i].name, name))
            return true;
    return false;
}

/* The name of a case chooses it; anything else, the cases that begin with it. */
static bool chooses(const char *argument, const char *name)
{
    return is_case(argument) ? !strcmp(argument, name) : !strncmp(argument, name, strlen(argument));
}

static bool chosen(const bench_options *o, const char *name)
{
    for (int i = 0; i < o->name_count; i++)
        if (chooses(o->names[i], name))
            return true;
    return o->name_count == 0;
}

/* The first argument that chooses no case; NULL if there is none. */
static const char *unknown_case(const bench_options *o)
{
    for (int i = 0; i < o->name_count; i++) {
        bool known = false;
        for (int k = 0; k < bench_case_count; k++)
            known = known || chooses(o->names[i], bench_cases[k].name);
        if (!known)
            return o->names[i];
    }
    return NULL;
}

/* ---------------------------------------------------------------- OpenBLAS at its best */

/* OpenBLAS reads OPENBLAS_CORETYPE when it is loaded: to change its choice the program starts anew, once. */
static void restart_with_better_blas(int argc, char **argv)
{
    const char *self = cli_program_path();
    const char *better = getenv("OPENBLAS_CORETYPE") ? NULL : bench_blas_better_core();
    char *arguments[MAX_ARGUMENTS + 2] = {"clgrad", "bench"};
    if (!better || argc > MAX_ARGUMENTS || setenv("OPENBLAS_CORETYPE", better, 1) != 0)
        return;
    for (int i = 1; i < argc; i++)
        arguments[i + 1] = argv[i];
    fprintf(stderr,
            "OpenBLAS took slower kernels than this processor can run: starting again with "
            "OPENBLAS_CORETYPE=%s\n",
            better);
    execvp(self, arguments);
    fprintf(stderr, "cannot start %s again (%s): going on with the slower kernels\n", self, strerror(errno));
}

/* ---------------------------------------------------------------- the command */

static void measure_ceilings(bench_report *report)
{
    printf("%s\n\n", bench_blas_name());
    bench_report_ceiling(report, "copy", bench_copy_rate(), "B/s");
    bench_report_ceiling(report, "triad", bench_triad_rate(), "B/s");
    bench_report_ceiling(report, "fma", bench_fma_rate(), "FLOP/s");
    if (bench_blas_available())
        bench_report_ceiling(report, "sgemm_2048", bench_sgemm_rate(), "FLOP/s");
    putchar('\n');
}

static int run_all(const bench_options *o, bench_context *c)
{
    int status = EXIT_SUCCESS;
    bench_report *report = bench_report_new(clg_device_get_info(c->device));
    if (!report)
        return cli_error("bench", "out of memory");
    if (!o->only_cases)
        measure_ceilings(report);
    bench_report_heading();
    for (int i = 0; i < bench_case_count; i++) {
        const bench_case *which = &bench_cases[i];
        bench_result r = {.unit = ""};
        if (!chosen(o, which->name))
            continue;
        snprintf(r.name, sizeof r.name, "%s", which->name);
        if (which->run(c, which, &r))
            bench_report_result(report, &r);
        else
            status = cli_error("bench", "%s: %s", r.name, c->error);
    }
    if (o->json && !bench_report_write(report, o->json))
        status = cli_error("bench", "cannot write %s: %s", o->json, strerror(errno));
    bench_report_free(report);
    return status;
}

static int first_step(const bench_options *o)
{
    clg_device *device = NULL;
    setenv("XDG_CACHE_HOME", o->first_step, 1); /* kernels of clgrad, and of PoCL */
    bool good = clg_device_open(o->device, &device) == CLG_OK && bench_first_step(device);
    int status = good ? EXIT_SUCCESS : cli_library_error("bench");
    clg_device_close(device);
    return status;
}

static int run_bench(const bench_options *o)
{
    bench_context c = {.quick = o->quick, .device_spec = o->device ? o->device : ""};
    int status = cli_open_device("bench", o->device, &c.device);
    if (status != EXIT_SUCCESS)
        return status;
    /* What the host can do is no ceiling of a GPU. */
    const char *type = clg_device_get_info(c.device)->type;
    c.references = !o->only_cases && (!strcmp(type, "host") || !strcmp(type, "cpu"));
    status = bench_ceilings_begin(c.error, sizeof c.error) ? run_all(o, &c) : cli_error("bench", "%s", c.error);
    bench_ceilings_end();
    clg_device_close(c.device);
    return status;
}

int cli_bench(int argc, char **argv)
{
    bench_options o = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    if (o.list) {
        for (int i = 0; i < bench_case_count; i++)
            puts(bench_cases[i].name);
        return EXIT_SUCCESS;
    }
    if (o.first_step)
        return first_step(&o);
    const char *unknown = unknown_case(&o);
    if (unknown) {
        cli_error("bench", "no case is called '%s', nor begins so; 'clgrad bench --list' lists them", unknown);
        return EXIT_USAGE;
    }
    restart_with_better_blas(argc, argv);
    /* PoCL's threads stay each on its core: in turn with those of a BLAS, which are about for milliseconds after a
     * product, both were put on one at times, for half of the speed. PoCL reads this when it starts. */
    if (setenv("POCL_AFFINITY", "1", 0) != 0)
        fprintf(stderr, "cannot set POCL_AFFINITY (%s)\n", strerror(errno));
    return run_bench(&o);
}
