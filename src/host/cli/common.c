/* Errors, option values and devices, the same way in every command. */
#define _GNU_SOURCE
#include "cli.h"
#include "progress.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int cli_error(const char *command, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "clgrad %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return EXIT_FAILURE;
}

int cli_library_error(const char *command)
{
    const char *message = clg_last_error();
    return cli_error(command, "%s", *message ? message : "unknown error");
}

void cli_usage(struct argp_state *state, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s: ", state->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

int64_t cli_integer(struct argp_state *state, const char *option, const char *text, int64_t low, int64_t high)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        cli_usage(state, "%s is '%s'; right is a whole number from %lld to %lld", option, text, (long long)low,
                  (long long)high);
    return value;
}

uint64_t cli_seed(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    /* strtoull would take -1 for the largest seed. */
    if (end == text || *end || errno || strchr(text, '-'))
        cli_usage(state, "%s is '%s'; right is a whole number from 0 to 18446744073709551615", option, text);
    return value;
}

double cli_positive(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0) || !isfinite(value))
        cli_usage(state, "%s is '%s'; right is a number above 0", option, text);
    return value;
}

/* A line on the terminal while kernels are built. */
static void show_build(void *context, int done, int total)
{
    progress *p = context;
    if (p->start == 0) {
        progress_start(p);
        p->start -= 1; /* seconds: it is told of what takes longer */
    }
    if (done < total)
        progress_share(p, "building kernels", (double)done / total);
    else {
        progress_clear(p);
        p->start = 0;
    }
}

int cli_open_device(const char *command, const char *spec, clg_device **device)
{
    clg_status status = clg_device_open(spec, device);
    if (status != CLG_OK) {
        cli_library_error(command);
        return status == CLG_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
    }
    static progress building;
    building = progress_new();
    clg_device_on_build(*device, show_build, &building);
    const clg_device_info *info = clg_device_get_info(*device);
    const char *notice = clg_device_notice(*device);
    if (notice)
        fprintf(stderr, "clgrad %s: note: %s\n", command, notice);
    fprintf(stderr, "device %s: %s (%s)\n", info->spec, info->name, info->platform);
    return EXIT_SUCCESS;
}

static char program_path[4096];

void cli_set_program_path(const char *called)
{
    ssize_t length = readlink("/proc/self/exe", program_path, sizeof program_path - 1);
    if (length > 0)
        program_path[length] = 0;
    else
        snprintf(program_path, sizeof program_path, "%s", called);
}

const char *cli_program_path(void) { return program_path; }

double cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *cli_group_digits(char *text, double value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%.0f", value < 1e15 ? value : 1e15), n = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[n++] = ',';
        text[n++] = digits[i];
    }
    text[n] = 0;
    return text;
}
