/* Prints the stages of a program: those that the caller names, or the environment: with
 * CLGRAD_DEBUG=graph,schedule,memory,kernels each program that clg_compile makes prints those stages on stderr. Only
 * with that variable set does the library print anything. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

clg_status clg_program_print(const clg_program *program, FILE *out, int what)
{
    if (what & CLG_PRINT_SCHEDULE)
        plan_print_schedule(program->compiled.p, out);
    if (what & CLG_PRINT_MEMORY)
        plan_print_memory(program->compiled.p, out);
    clg_status status = CLG_OK;
    if (what & CLG_PRINT_KERNELS)
        status = program->graph->device->b->print(program->compiled.prepared, out);
    if (status == CLG_OK && ferror(out))
        status = clg_fail(CLG_ERROR_IO, "program_print: cannot write");
    return status;
}

/* ---------------------------------------------------------------- CLGRAD_DEBUG */

static bool asks_for(const char *list, const char *stage)
{
    size_t length = strlen(stage);
    for (const char *at = strstr(list, stage); at; at = strstr(at + 1, stage))
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0))
            return true;
    return false;
}

void debug_print(const clg_program *program)
{
    static const struct {
        const char *name;
        int what;
    } stages[] = {{"schedule", CLG_PRINT_SCHEDULE}, {"memory", CLG_PRINT_MEMORY}, {"kernels", CLG_PRINT_KERNELS}};
    const char *list = getenv("CLGRAD_DEBUG");
    if (!list || !list[0])
        return;
    if (asks_for(list, "graph"))
        clg_graph_print(program->graph, stderr);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        if (asks_for(list, stages[i].name))
            clg_program_print(program, stderr, stages[i].what);
}
