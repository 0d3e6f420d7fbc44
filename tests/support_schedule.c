/* What the schedule of a program says. */
#define _POSIX_C_SOURCE 200809L
#include "support_schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *schedule_text(const clg_var *outputs, int count, int *steps)
{
    char *text = NULL;
    size_t size;
    clg_program *p = clg_compile(outputs[0].graph, outputs, count);
    FILE *out = open_memstream(&text, &size);
    if (!p)
        fail_msg("compile: %s", clg_last_error());
    assert_non_null(out);
    assert_int_equal(clg_program_print(p, out, CLG_PRINT_SCHEDULE), CLG_OK);
    fclose(out);
    *steps = clg_program_get_info(p).steps;
    clg_program_free(p);
    return text;
}

/* Loops whose instructions are all loads, masks and stores. */
static int copying_steps(const char *schedule)
{
    int copies = 0;
    for (const char *step = strstr(schedule, "step "); step;) {
        const char *next = strstr(step + 1, "\nstep "), *end = next ? next + 1 : step + strlen(step);
        bool computes = false;
        for (const char *line = strchr(step, '\n'); line && line < end; line = strchr(line + 1, '\n')) {
            const char *is = strstr(line, " = ");
            if (strncmp(line, "\n      r", 8) == 0 && is && is < end)
                computes |= strncmp(is, " = load ", 8) != 0 && !(is[3] == 'r' && strspn(is + 4, "0123456789") > 0);
        }
        copies += !computes;
        step = next ? next + 1 : NULL;
    }
    return copies;
}

void schedule_expect(const clg_var *outputs, int count, int most, const char *what)
{
    int steps;
    char *text = schedule_text(outputs, count, &steps);
    if (steps > most || copying_steps(text))
        fail_msg("%s: %d steps, not %d, of which %d copy:\n%s", what, steps, most, copying_steps(text), text);
    free(text);
}
