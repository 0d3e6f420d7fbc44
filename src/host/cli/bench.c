/* clgrad bench: the machine's ceilings, then the cases, as a table for people and JSON for programs. */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

bool bench_first_step(clg_device *device);

typedef struct bench_options {
    const char *device, *json;
    bool quick, first_step;
    char **names;
    int name_count;
} bench_options;

/* ---------------------------------------------------------------- measuring */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool bench_measure(bench_context *c, bool (*run)(void *), void *argument, void (*reference_run)(void *),
                   void *reference_argument, bench_result *r, double *reference)
{
    enum { MOST = 15 };
    double ours[MOST], theirs[MOST];
    int count = c->quick ? 3 : MOST;
    if (!run(argument)) /* warm up */
        return false;
    if (reference_run)
        reference_run(reference_argument);
    for (int i = 0; i < count; i++) {
        double start = cli_now();
        if (!run(argument))
            return false;
        ours[i] = cli_now() - start;
        if (!reference_run)
            continue;
        /* a reference as short as a few microseconds needs several runs */
        int repeats = 0;
        start = cli_now();
        do {
            reference_run(reference_argument);
            repeats++;
        } while (cli_now() - start < 0.01 && repeats < 2000);
        theirs[i] = (cli_now() - start) / repeats;
    }
    qsort(ours, (size_t)count, sizeof *ours, compare_doubles);
    r->value = ours[count / 2];
    r->min = ours[0];
    r->max = ours[count - 1];
    if (reference_run) {
        qsort(theirs, (size_t)count, sizeof *theirs, compare_doubles);
        *reference = theirs[count / 2];
    }
    return true;
}

/* ---------------------------------------------------------------- output */

static void add_result(cJSON *list, const bench_result *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", r->name);
    cJSON_AddNumberToObject(o, "value", r->value);
    cJSON_AddStringToObject(o, "unit", r->unit);
    cJSON_AddNumberToObject(o, "min", r->min);
    cJSON_AddNumberToObject(o, "max", r->max);
    cJSON_AddNumberToObject(o, "flops", r->flops);
    cJSON_AddNumberToObject(o, "bytes", r->bytes);
    cJSON_AddNumberToObject(o, "ceiling", r->ceiling);
    if (r->ceiling_name)
        cJSON_AddStringToObject(o, "ceiling_name", r->ceiling_name);
    cJSON_AddNumberToObject(o, "fraction", r->fraction);
    cJSON_AddItemToArray(list, o);
}

static void format_value(char *text, size_t size, double value, const char *unit)
{
    if (!strcmp(unit, "s"))
        snprintf(text, size,
                 value >= 1      ? "%.3f s"
                 : value >= 1e-3 ? "%.3f ms"
                                 : "%.2f us",
                 value >= 1      ? value
                 : value >= 1e-3 ? value * 1e3
                                 : value * 1e6);
    else if (!strcmp(unit, "bytes"))
        snprintf(text, size, "%.2f MB", value / 1e6);
    else
        snprintf(text, size, "%.2f %s", value, unit);
}

static void print_result(const bench_result *r)
{
    char value[40], low[40], high[40], rate[40] = "";
    format_value(value, sizeof value, r->value, r->unit);
    format_value(low, sizeof low, r->min, r->unit);
    format_value(high, sizeof high, r->max, r->unit);
    if (r->flops > 0)
        snprintf(rate, sizeof rate, "%.1f GFLOP/s", r->flops / r->value / 1e9);
    else if (r->bytes > 0)
        snprintf(rate, sizeof rate, "%.1f GB/s", r->bytes / r->value / 1e9);
    printf("%-30s %12s  %12s -%12s %15s", r->name, value, low, high, rate);
    if (r->ceiling_name)
        printf("  %5.2f of %s", r->fraction, r->ceiling_name);
    putchar('\n');
    fflush(stdout);
}

static double triad_rate(void)
{
    double best = 0;
    for (int i = 0; i < 7; i++) {
        double start = cli_now();
        bench_triad(NULL);
        double rate = bench_triad_bytes() / (cli_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static double sgemm_rate(void)
{
    bench_gemm gemm;
    double best = 0;
    if (!bench_blas_available() || !bench_gemm_begin(&gemm, 2048, 2048, 2048, false, false))
        return 0;
    for (int i = 0; i < 4; i++) {
        double start = cli_now();
        bench_gemm_run(&gemm);
        double rate = 2.0 * 2048 * 2048 * 2048 / (cli_now() - start);
        best = rate > best ? rate : best;
    }
    bench_gemm_end(&gemm);
    return best;
}

static void add_ceiling(cJSON *ceilings, const char *name, double value, const char *unit)
{
    cJSON *o = cJSON_AddObjectToObject(ceilings, name);
    cJSON_AddNumberToObject(o, "value", value);
    cJSON_AddStringToObject(o, "unit", unit);
    printf("%-30s %12.1f G%s\n", name, value / 1e9, unit);
    fflush(stdout);
}

static void add_machine(cJSON *root, const clg_device_info *info)
{
    struct utsname system;
    char date[32] = "";
    time_t now = time(NULL);
    cJSON *machine = cJSON_AddObjectToObject(root, "machine"), *device = cJSON_AddObjectToObject(root, "device");
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    if (uname(&system) == 0) {
        cJSON_AddStringToObject(machine, "system", system.sysname);
        cJSON_AddStringToObject(machine, "release", system.release);
        cJSON_AddStringToObject(machine, "architecture", system.machine);
    }
    cJSON_AddNumberToObject(machine, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_AddStringToObject(machine, "blas", bench_blas_name());
    cJSON_AddStringToObject(machine, "clgrad", clg_version());
    cJSON_AddStringToObject(machine, "date", date);
    cJSON_AddStringToObject(device, "spec", info->spec);
    cJSON_AddStringToObject(device, "name", info->name);
    cJSON_AddStringToObject(device, "platform", info->platform);
    cJSON_AddStringToObject(device, "driver", info->driver);
}

/* Whole or not at all. */
static int write_json(const char *path, const cJSON *root)
{
    char temporary[4096];
    char *text = cJSON_Print(root);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *out = text ? fopen(temporary, "w") : NULL;
    bool good = out && fprintf(out, "%s\n", text) > 0;
    if (out)
        good = fclose(out) == 0 && good;
    good = good && rename(temporary, path) == 0;
    free(text);
    return good ? EXIT_SUCCESS : cli_error("bench", "cannot write %s: %s", path, strerror(errno));
}

/* ---------------------------------------------------------------- the command */

static error_t parse(int key, char *argument, struct argp_state *state)
{
    bench_options *o = state->input;
    if (key == 'd')
        o->device = argument;
    else if (key == 'j')
        o->json = argument;
    else if (key == 'q')
        o->quick = true;
    else if (key == 'F')
        o->first_step = true;
    else if (key == ARGP_KEY_ARGS) {
        o->names = state->argv + state->next;
        o->name_count = state->argc - state->next;
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* A name chooses the case of that name, or all that begin with it. */
static bool chosen(const bench_options *o, const char *name)
{
    for (int i = 0; i < o->name_count; i++)
        if (!strncmp(name, o->names[i], strlen(o->names[i])))
            return true;
    return o->name_count == 0;
}

static int run_all(const bench_options *o, bench_context *c)
{
    cJSON *root = cJSON_CreateObject();
    int status = EXIT_SUCCESS;
    add_machine(root, clg_device_get_info(c->device));
    cJSON *ceilings = cJSON_AddObjectToObject(root, "ceilings"), *cases = cJSON_AddArrayToObject(root, "cases");
    printf("%s\n\n", bench_blas_name());
    add_ceiling(ceilings, "copy", bench_copy_rate(), "B/s");
    add_ceiling(ceilings, "triad", triad_rate(), "B/s");
    add_ceiling(ceilings, "fma", bench_fma_rate(), "FLOP/s");
    if (bench_blas_available())
        add_ceiling(ceilings, "sgemm_2048", sgemm_rate(), "FLOP/s");
    printf("\n%-30s %12s  %27s %15s  fraction\n", "case", "median", "min - max", "rate");
    for (int i = 0; i < bench_case_count; i++) {
        bench_result r = {.unit = ""};
        if (!chosen(o, bench_cases[i].name))
            continue;
        snprintf(r.name, sizeof r.name, "%s", bench_cases[i].name);
        if (bench_cases[i].run(c, &bench_cases[i], &r)) {
            print_result(&r);
            add_result(cases, &r);
        } else {
            status = cli_error("bench", "%s: %s", r.name, c->error);
        }
    }
    if (o->json && write_json(o->json, root) != EXIT_SUCCESS)
        status = EXIT_FAILURE;
    cJSON_Delete(root);
    return status;
}

int cli_bench(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"device", 'd', "SPEC", 0, "auto, cpu, opencl, opencl:N or opencl:NAME ($CLGRAD_DEVICE, else auto)", 0},
        {"json", 'j', "FILE", 0, "Write the results as JSON", 0},
        {"quick", 'q', NULL, 0, "Fewer samples", 0},
        {"first-step", 'F', NULL, OPTION_HIDDEN, "One training step, for the start cases", 0},
        {0}};
    static const struct argp parser = {
        options,
        parse,
        "[CASE...]",
        "Measure the machine's ceilings and clgrad's fractions of them. A CASE is a name "
        "from the table or the beginning of some.",
        NULL,
        NULL,
        NULL};
    bench_options o = {0};
    char self[4096];
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    bench_context c = {.quick = o.quick, .self = self, .device_spec = o.device ? o.device : ""};
    int known = 0;
    for (int i = 0; i < bench_case_count; i++)
        known += chosen(&o, bench_cases[i].name);
    if (!known) {
        cli_error("bench", "no case is called '%s'; the first are mlp_b1, matmul_128x512x784, elementwise_16m",
                  o.names[0]);
        return EXIT_USAGE;
    }
    int status = EXIT_SUCCESS;
    if (o.first_step) {
        if (clg_device_open(o.device, &c.device) != CLG_OK || !bench_first_step(c.device))
            status = cli_library_error("bench");
        clg_device_close(c.device);
        return status;
    }
    status = cli_open_device("bench", o.device, &c.device);
    if (status != EXIT_SUCCESS)
        return status;
    status = bench_ceilings_begin(c.error, sizeof c.error) ? run_all(&o, &c) : cli_error("bench", "%s", c.error);
    bench_ceilings_end();
    clg_device_close(c.device);
    return status;
}
