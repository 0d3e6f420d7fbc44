/* The output of `clgrad bench`: a table for people, line by line as it is measured, and JSON for programs. */
#define _GNU_SOURCE
#include "bench.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct bench_report {
    cJSON *root, *ceilings, *cases; /* the latter two belong to the first */
};

static void add_machine(cJSON *root)
{
    struct utsname system;
    char date[32] = "";
    time_t now = time(NULL);
    const char *core = getenv("OPENBLAS_CORETYPE");
    cJSON *machine = cJSON_AddObjectToObject(root, "machine");
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    if (uname(&system) == 0) {
        cJSON_AddStringToObject(machine, "system", system.sysname);
        cJSON_AddStringToObject(machine, "release", system.release);
        cJSON_AddStringToObject(machine, "architecture", system.machine);
    }
    cJSON_AddNumberToObject(machine, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_AddStringToObject(machine, "blas", bench_blas_name());
    if (core)
        cJSON_AddStringToObject(machine, "openblas_coretype", core);
    cJSON_AddStringToObject(machine, "clgrad", clg_version());
    cJSON_AddStringToObject(machine, "date", date);
}

static void add_device(cJSON *root, const clg_device_info *info)
{
    cJSON *device = cJSON_AddObjectToObject(root, "device");
    cJSON_AddStringToObject(device, "spec", info->spec);
    cJSON_AddStringToObject(device, "name", info->name);
    cJSON_AddStringToObject(device, "platform", info->platform);
    cJSON_AddStringToObject(device, "driver", info->driver);
}

bench_report *bench_report_new(const clg_device_info *info)
{
    bench_report *report = calloc(1, sizeof *report);
    if (!report)
        return NULL;
    report->root = cJSON_CreateObject();
    add_machine(report->root);
    add_device(report->root, info);
    report->ceilings = cJSON_AddObjectToObject(report->root, "ceilings");
    report->cases = cJSON_AddArrayToObject(report->root, "cases");
    if (!report->cases) {
        bench_report_free(report);
        return NULL;
    }
    return report;
}

void bench_report_free(bench_report *report)
{
    if (!report)
        return;
    cJSON_Delete(report->root);
    free(report);
}

void bench_report_ceiling(bench_report *report, const char *name, double value, const char *unit)
{
    cJSON *o = cJSON_AddObjectToObject(report->ceilings, name);
    cJSON_AddNumberToObject(o, "value", value);
    cJSON_AddStringToObject(o, "unit", unit);
    printf("%-30s %12.1f G%s\n", name, value / 1e9, unit);
    fflush(stdout);
}

static void format_value(char *text, size_t size, double value, const char *unit)
{
    if (!strcmp(unit, "bytes"))
        snprintf(text, size, "%.2f MB", value / 1e6);
    else if (strcmp(unit, "s"))
        snprintf(text, size, "%.2f %s", value, unit);
    else if (value >= 1)
        snprintf(text, size, "%.3f s", value);
    else if (value >= 1e-3)
        snprintf(text, size, "%.3f ms", value * 1e3);
    else
        snprintf(text, size, "%.2f us", value * 1e6);
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

void bench_report_heading(void) { printf("%-30s %12s  %27s %15s  fraction\n", "case", "median", "min - max", "rate"); }

void bench_report_result(bench_report *report, const bench_result *r)
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
    cJSON_AddItemToArray(report->cases, o);
    print_result(r);
}

bool bench_report_write(const bench_report *report, const char *path)
{
    char *text = cJSON_Print(report->root), *temporary = NULL;
    if (!text || asprintf(&temporary, "%s.tmp", path) < 0) {
        free(text);
        errno = ENOMEM;
        return false;
    }
    FILE *out = fopen(temporary, "w");
    bool good = out && fprintf(out, "%s\n", text) > 0;
    if (out)
        good = fclose(out) == 0 && good;
    good = good && rename(temporary, path) == 0;
    int error = errno;
    if (out && !good)
        unlink(temporary);
    free(temporary);
    free(text);
    errno = error;
    return good;
}
