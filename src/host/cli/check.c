/* clgrad check: every operation, forward and gradient, on a device in f32 against the CPU path in f64, with fresh
 * random data. This is how to find out whether a driver can be trusted; so the rows run in a process of their own
 * (check_worker.c), and each has its line as soon as it is done. */
#define _GNU_SOURCE
#include "cli.h"

#include "check_worker.h"

#include <stdlib.h>
#include <string.h>

typedef struct check_options {
    const char *device;
    uint64_t seed;
    bool seed_given;
    int64_t limit; /* seconds a row */
    char **names;  /* only these operations */
    int name_count;
} check_options;

/* ---------------------------------------------------------------- the command */

static error_t parse(int key, char *argument, struct argp_state *state)
{
    check_options *o = state->input;
    if (key == 'd')
        o->device = argument;
    else if (key == 'l')
        o->limit = cli_integer(state, "--limit", argument, 1, 1000000);
    else if (key == 's')
        o->seed = cli_seed(state, "--seed", argument), o->seed_given = true;
    else if (key == ARGP_KEY_ARGS) {
        o->names = state->argv + state->next;
        o->name_count = state->argc - state->next;
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static bool is_chosen(const check_options *o, const char *op)
{
    for (int i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i], op) == 0)
            return true;
    return o->name_count == 0;
}

static bool is_op(const char *name)
{
    for (int i = 0; i < clg_op_count(); i++)
        if (strcmp(clg_op_get_info(i).name, name) == 0)
            return true;
    return false;
}

static const char *format_error(char *text, size_t size, double error)
{
    if (error < 0)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.2f ULP", error);
    return text;
}

static void print_row(const check_row *row, const check_verdict *v)
{
    char name[40], forward[32], gradient[32];
    snprintf(name, sizeof name, "%s%s%s", row->op, *row->variant ? " " : "", row->variant);
    printf("%-20s %14s %14s  %s%s%s\n", name, format_error(forward, sizeof forward, v->forward),
           format_error(gradient, sizeof gradient, v->gradient), v->passed ? "PASS" : "FAIL", *v->message ? ": " : "",
           v->message);
    fflush(stdout);
}

/* Operations that no row exercises. Leaves and effects are exercised by all of them. */
static int count_missing(const check_options *o)
{
    int missing = 0, count;
    const check_row *rows = check_table(&count);
    for (int i = 0; i < clg_op_count(); i++) {
        clg_op_info op = clg_op_get_info(i);
        bool found = strcmp(op.kind, "leaf") == 0 || strcmp(op.kind, "effect") == 0 || !is_chosen(o, op.name);
        for (int r = 0; !found && r < count; r++)
            found = strcmp(rows[r].op, op.name) == 0;
        if (!found)
            printf("%-20s %14s %14s  FAIL: clgrad check has no row for it\n", op.name, "-", "-");
        missing += !found;
    }
    return missing;
}

typedef struct tally {
    int next; /* the row that is being run */
    int passed, failed;
} tally;

static void count_row(tally *t, const check_job *job, const check_verdict *v)
{
    print_row(job->rows[t->next++], v);
    t->passed += v->passed;
    t->failed += !v->passed;
}

/* Runs rows in one process until it ends. false: no device could be opened, and *status is what to exit with. */
static bool run_worker(tally *t, const check_job *job, int64_t limit, int *status)
{
    check_worker worker;
    check_verdict v;
    if ((*status = check_worker_start(&worker, job, t->next, t->next > 0)) != EXIT_SUCCESS)
        return false;
    check_event event = check_worker_wait(&worker, limit, &v, status);
    if (event != CHECK_OPENED) { /* where the library found nothing to open, the process has said so */
        if (event == CHECK_LATE || *status > EXIT_USAGE || *status == EXIT_SUCCESS)
            *status = cli_error("check", "opening the device: %s", v.message);
        return false;
    }
    if (t->next == 0)
        printf("seed %llu\n%-20s %14s %14s\n", (unsigned long long)job->seed, "operation", "forward error",
               "gradient error");
    fflush(stdout);
    while ((event = check_worker_wait(&worker, limit, &v, status)) == CHECK_ROW || event == CHECK_SKIPPED)
        if (event == CHECK_ROW)
            count_row(t, job, &v);
        else
            t->next++;
    if (t->next < job->count) {
        if (!*v.message)
            snprintf(v.message, sizeof v.message, "the driver ended the process");
        count_row(t, job, &v);
    } else if (*v.message) {
        printf("%-20s %14s %14s  FAIL: %s\n", "closing the device", "-", "-", v.message);
        t->failed++;
    }
    return true;
}

/* Runs the rows of a job, in a new process after each row that ended one. Returns an exit status. */
static int check_all(const check_options *o, const check_job *job)
{
    tally t = {0};
    int status = EXIT_SUCCESS;
    do
        if (!run_worker(&t, job, o->limit, &status))
            return status;
    while (t.next < job->count);
    t.failed += count_missing(o);
    printf("%d passed, %d failed\n", t.passed, t.failed);
    return t.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cli_check(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"device", 'd', "SPEC", 0, "auto, cpu, opencl, opencl:N or opencl:NAME ($CLGRAD_DEVICE, else auto)", 0},
        {"limit", 'l', "SECONDS", 0, "Give up on an operation that takes longer, and go on with the next (300)", 0},
        {"seed", 's', "N", 0, "Repeat the random data of an earlier check", 0},
        {0}};
    static const struct argp parser = {
        options,
        parse,
        "[OPERATION...]",
        "Compare operations, forward and gradient, on a device in f32 with the CPU path in f64, on random data. Errors "
        "are in units in the last place of an f32. Without names, all operations.",
        NULL,
        NULL,
        NULL};
    check_options o = {.limit = 300};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    for (int i = 0; i < o.name_count; i++)
        if (!is_op(o.names[i])) {
            cli_error("check", "unknown operation '%s' (clgrad ops lists them)", o.names[i]);
            return EXIT_USAGE;
        }
    if (!o.seed_given)
        o.seed = (uint64_t)(cli_now() * 1e6);
    int count;
    const check_row *table = check_table(&count), **rows = calloc((size_t)count, sizeof *rows);
    if (!rows)
        return cli_error("check", "out of memory");
    check_job job = {.rows = rows, .device = o.device, .seed = o.seed};
    for (int i = 0; i < count; i++)
        if (is_chosen(&o, table[i].op))
            rows[job.count++] = &table[i];
    int status = check_all(&o, &job);
    free(rows);
    return status;
}
