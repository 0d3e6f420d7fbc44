/* Profiles for people: a table, and a trace in Chrome's format, which Perfetto opens too. */
#define _GNU_SOURCE
#include "engine.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---------------------------------------------------------------- the table */

typedef struct row {
    int step;
    double seconds; /* median of the runs */
} row;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_seconds(const void *a, const void *b)
{
    const row *x = a, *y = b;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : x->step - y->step;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* The least seconds that a step can take; 0 if neither rate is known. */
static double least_seconds(const clg_step_profile *p, double flop_rate, double byte_rate)
{
    double compute = flop_rate > 0 ? (double)p->flops / flop_rate : 0;
    double move = byte_rate > 0 ? (double)p->bytes / byte_rate : 0;
    return compute > move ? compute : move;
}

static void print_row(const char *number, const clg_step_profile *p, double seconds, double total, double least,
                      FILE *out)
{
    char rate[32] = "-", peak[16] = "-";
    if (p->flops > 0 && seconds > 0)
        snprintf(rate, sizeof rate, "%.1f GFLOP/s", 1e-9 * (double)p->flops / seconds);
    else if (p->bytes > 0 && seconds > 0)
        snprintf(rate, sizeof rate, "%.1f GB/s", 1e-9 * (double)p->bytes / seconds);
    if (least > 0 && seconds > 0)
        snprintf(peak, sizeof peak, "%.2f", least / seconds);
    fprintf(out, "%5s  %-11s %11.1f %6.1f%% %8d %9.3f %9.2f %15s %7s  %s\n", number, p->kind, 1e6 * seconds,
            total > 0 ? 100 * seconds / total : 0, (int)p->launches, 1e-6 * (double)p->bytes, 1e-6 * (double)p->flops,
            rate, peak, p->name);
}

static void print_rows(const clg_step_profile *steps, const row *rows, int count, double flop_rate, double byte_rate,
                       FILE *out)
{
    clg_step_profile all = {.kind = ""};
    double total = 0, least = 0;
    char number[16];
    for (int i = 0; i < count; i++)
        total += rows[i].seconds;
    fprintf(out, "%5s  %-11s %11s %7s %8s %9s %9s %15s %7s  %s\n", "step", "kind", "median us", "share", "launches",
            "MB", "MFLOP", "rate", "of peak", "what");
    for (int i = 0; i < count; i++) {
        const clg_step_profile *p = &steps[rows[i].step];
        double step_least = least_seconds(p, flop_rate, byte_rate);
        snprintf(number, sizeof number, "%d", rows[i].step);
        print_row(number, p, rows[i].seconds, total, step_least, out);
        all.launches += p->launches;
        all.bytes += p->bytes;
        all.flops += p->flops;
        least += step_least;
    }
    snprintf(all.name, sizeof all.name, "%d steps", count);
    print_row("all", &all, total, total, least, out);
}

static clg_status check(const char *function, const clg_step_profile *steps, int count, int runs)
{
    if (count < 0 || runs < 1 || (count > 0 && !steps))
        return clg_fail(CLG_ERROR_ARGUMENT, "%s: %d runs of %d steps%s; right is at least one run, and an array of all",
                        function, runs, count, steps ? "" : " at NULL");
    return CLG_OK;
}

clg_status clg_profile_print(const clg_step_profile *steps, int count, int runs, double flop_rate, double byte_rate,
                             FILE *out)
{
    clg_status status = check("profile_print", steps, count, runs);
    if (status != CLG_OK)
        return status;
    if (!out)
        return clg_fail(CLG_ERROR_ARGUMENT, "profile_print: out is NULL");
    row *rows = malloc(((size_t)count + 1) * sizeof *rows);
    double *samples = malloc((size_t)runs * sizeof *samples);
    if (rows && samples) {
        for (int s = 0; s < count; s++) {
            for (int r = 0; r < runs; r++) {
                const clg_step_profile *p = &steps[(size_t)r * (size_t)count + (size_t)s];
                samples[r] = p->end - p->begin;
            }
            rows[s] = (row){s, median(samples, runs)};
        }
        qsort(rows, (size_t)count, sizeof *rows, by_seconds);
        print_rows(steps, rows, count, flop_rate, byte_rate, out);
        if (ferror(out))
            status = clg_fail(CLG_ERROR_IO, "profile_print: cannot write");
    } else {
        status = clg_fail_memory();
    }
    free(rows);
    free(samples);
    return status;
}

/* ---------------------------------------------------------------- the trace */

/* An event of a kind of the format: a new object with what all have. It belongs to events. NULL: no memory. */
static cJSON *add_event(cJSON *events, const char *phase, const char *name, int track)
{
    cJSON *event = cJSON_CreateObject();
    if (!event || !cJSON_AddItemToArray(events, event)) {
        cJSON_Delete(event);
        return NULL;
    }
    bool good = cJSON_AddStringToObject(event, "ph", phase) && cJSON_AddStringToObject(event, "name", name) &&
                cJSON_AddNumberToObject(event, "pid", (double)getpid()) && cJSON_AddNumberToObject(event, "tid", track);
    return good ? event : NULL;
}

static bool add_title(cJSON *events, const char *title, int track)
{
    cJSON *event = add_event(events, "M", "thread_name", track);
    cJSON *arguments = event ? cJSON_AddObjectToObject(event, "args") : NULL;
    return arguments && cJSON_AddStringToObject(arguments, "name", title);
}

/* A step of a run that began at start seconds. */
static bool add_step(cJSON *events, const clg_step_profile *p, int step, int run, double start, int track)
{
    cJSON *event = add_event(events, "X", p->name, track);
    cJSON *arguments = event ? cJSON_AddObjectToObject(event, "args") : NULL;
    return arguments && cJSON_AddStringToObject(event, "cat", p->kind) &&
           cJSON_AddNumberToObject(event, "ts", 1e6 * (start + p->begin)) &&
           cJSON_AddNumberToObject(event, "dur", 1e6 * (p->end - p->begin)) &&
           cJSON_AddNumberToObject(arguments, "step", step) && cJSON_AddNumberToObject(arguments, "run", run) &&
           cJSON_AddNumberToObject(arguments, "launches", p->launches) &&
           cJSON_AddNumberToObject(arguments, "bytes", (double)p->bytes) &&
           cJSON_AddNumberToObject(arguments, "flops", (double)p->flops);
}

/* starts: of the runs; NULL: one after the other, with small gaps. */
static bool add_runs(cJSON *events, const char *title, const clg_step_profile *steps, int count, int runs,
                     const double *starts, int track)
{
    double start = 0;
    bool good = add_title(events, title, track);
    for (int r = 0; good && r < runs; r++) {
        const clg_step_profile *run = steps + (size_t)r * (size_t)count;
        for (int s = 0; good && s < count; s++)
            good = add_step(events, &run[s], s, r, starts ? starts[r] : start, track);
        start += count ? 1.05 * run[count - 1].end : 0;
    }
    return good;
}

/* {"traceEvents": []}; *events is the array in it. NULL: no memory. */
static cJSON *new_trace(cJSON **events)
{
    cJSON *trace = cJSON_CreateObject();
    *events = trace ? cJSON_AddArrayToObject(trace, "traceEvents") : NULL;
    if (*events)
        return trace;
    cJSON_Delete(trace);
    return NULL;
}

/* ---------------------------------------------------------------- files */

/* Writes beside the file and renames, so that readers see all of it or none. */
static clg_status write_file(const char *path, const char *text)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return clg_fail_memory();
    FILE *file = fopen(temporary, "w");
    bool good = file && fputs(text, file) >= 0;
    if (file && fclose(file) != 0)
        good = false;
    good = good && rename(temporary, path) == 0;
    clg_status status = good ? CLG_OK : clg_fail(CLG_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    if (file && !good)
        unlink(temporary);
    free(temporary);
    return status;
}

static clg_status write_trace(const cJSON *trace, const char *path)
{
    char *text = cJSON_PrintUnformatted(trace);
    clg_status status = text ? write_file(path, text) : clg_fail_memory();
    cJSON_free(text);
    return status;
}

clg_status clg_profile_save(const clg_step_profile *steps, int count, int runs, const char *path)
{
    clg_status status = check("profile_save", steps, count, runs);
    if (status != CLG_OK)
        return status;
    if (!path || !*path)
        return clg_fail(CLG_ERROR_ARGUMENT, "profile_save: no path");
    cJSON *events, *trace = new_trace(&events);
    status =
        trace && add_runs(events, "clgrad", steps, count, runs, NULL, 1) ? write_trace(trace, path) : clg_fail_memory();
    cJSON_Delete(trace);
    return status;
}

/* ---------------------------------------------------------------- CLGRAD_PROFILE */

/* What the process has written so far, to be written again with more. It lives as long as the process: nobody knows
 * which program is the last. */
static struct {
    pthread_mutex_t lock;
    char *path; /* NULL: nothing yet */
    cJSON *trace, *events;
    char *tables;
    int programs;
} written = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Starts anew if the files have other names now. */
static clg_status open_log(const char *path)
{
    if (written.path && !strcmp(written.path, path))
        return CLG_OK;
    free(written.path);
    free(written.tables);
    cJSON_Delete(written.trace);
    written.programs = 0;
    written.path = strdup(path);
    written.tables = strdup("");
    written.trace = new_trace(&written.events);
    if (written.path && written.tables && written.trace)
        return CLG_OK;
    free(written.path);
    written.path = NULL; /* the next program tries again */
    return clg_fail_memory();
}

static clg_status add_table(const char *title, const clg_step_profile *steps, int count, int runs)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return clg_fail_memory();
    fprintf(out, "%s%s%s, %d runs\n", written.tables, *written.tables ? "\n" : "", title, runs);
    clg_status status = clg_profile_print(steps, count, runs, 0, 0, out);
    if (fclose(out) != 0 && status == CLG_OK)
        status = clg_fail_memory();
    if (status != CLG_OK) {
        free(text);
        return status;
    }
    free(written.tables);
    written.tables = text;
    return CLG_OK;
}

static clg_status write_log(void)
{
    char *table = NULL;
    if (asprintf(&table, "%s.txt", written.path) < 0)
        return clg_fail_memory();
    clg_status status = write_file(table, written.tables);
    free(table);
    return status == CLG_OK ? write_trace(written.trace, written.path) : status;
}

clg_status profile_log(const char *path, const char *title, const clg_step_profile *steps, int count, int runs,
                       const double *starts)
{
    char numbered[440];
    pthread_mutex_lock(&written.lock);
    clg_status status = open_log(path);
    if (status == CLG_OK) {
        written.programs++;
        snprintf(numbered, sizeof numbered, "program %d, %s", written.programs, title);
        if (!add_runs(written.events, numbered, steps, count, runs, starts, written.programs))
            status = clg_fail_memory();
    }
    if (status == CLG_OK)
        status = add_table(numbered, steps, count, runs);
    if (status == CLG_OK)
        status = write_log();
    pthread_mutex_unlock(&written.lock);
    return status;
}
