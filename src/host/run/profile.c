/* Profiles of programs: one run asked for by the caller, or the first runs of every program when CLGRAD_PROFILE is
 * set. The backends have the clocks; here steps get names, and profile_output.c writes. */
#define _POSIX_C_SOURCE 200809L
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_RUNS = 20 };

/* What CLGRAD_PROFILE asks for of one program. */
typedef struct profile_record {
    char *path;
    bool warm; /* has run: the first run, which pays for what drivers put off, is not recorded */
    int runs;
    double starts[RECORD_RUNS];
    backend_span *spans; /* of run r: from r * steps on */
} profile_record;

/* ---------------------------------------------------------------- names */

/* What an instruction adds to a step's name; NULL: nothing. */
static const char *word_of(const plan_instr *in)
{
    switch ((plan_instr_kind)in->kind) {
    case INSTR_MAP:
    case INSTR_REDUCE:
        return clg_ops[in->op].name;
    case INSTR_PRODUCT:
        return clg_ops[OP_CONTRACT].name;
    case INSTR_LOAD:
        return in->src[0] >= 0 ? clg_ops[OP_GATHER].name : NULL;
    default:
        return NULL;
    }
}

/* The operations of a step in order, the last ones if there is no room for all: ".. sqrt divide subtract". */
static void list_operations(const plan_step *step, char *text, size_t size)
{
    const char *after = NULL;
    size_t at = size; /* the list grows from the end of text to its beginning */
    text[--at] = 0;
    for (int32_t i = step->instr_count; i-- > 0;) {
        const char *word = word_of(&step->instrs[i]);
        size_t length = word && word != after ? strlen(word) + (after != NULL) : 0;
        if (!length)
            continue;
        bool fits = at >= length + strlen(".. ");
        if (!fits) {
            word = "..";
            length = strlen(".. ");
        }
        at -= length;
        memcpy(text + at, word, strlen(word));
        if (after)
            text[at + length - 1] = ' ';
        after = word;
        if (!fits)
            break;
    }
    memmove(text, text + at, size - at);
    if (!after)
        snprintf(text, size, "%s", step->kind == STEP_SCATTER_ADD ? clg_ops[OP_SCATTER_ADD].name : "copy");
}

/* The shape of a graph's node behind a space, found in the program: the graph may have been rewound since. Its shapes
 * stay. */
static void format_node(const clg_program *program, int32_t node, char *text, size_t size)
{
    text[0] = 0;
    for (int32_t i = program->s.count; i-- > 0;)
        if (program->s.nodes[i].id == node) {
            text[0] = ' ';
            clg_shape_format(program->graph->shapes[program->s.nodes[i].shape], text + 1, size - 1);
            return;
        }
}

static clg_step_profile describe(const clg_program *program, int32_t index, const backend_span *span)
{
    const plan_step *step = &program->p->steps[index];
    clg_step_profile profile = {.kind = plan_step_name(step),
                                .launches = span->launches,
                                .begin = span->begin,
                                .end = span->end,
                                .flops = engine_step_flops(step),
                                .bytes = engine_step_bytes(program->p, step)};
    char shape[30], over[24] = "", operations[sizeof profile.name];
    format_node(program, step->name_node, shape, sizeof shape);
    if (step->kind == STEP_MATMUL || step->kind == STEP_CONTRACT)
        snprintf(over, sizeof over, " over %lld", (long long)(step->kind == STEP_MATMUL ? step->k : step->inner_count));
    list_operations(step, operations, sizeof operations - strlen(shape) - strlen(over));
    if (snprintf(profile.name, sizeof profile.name, "%s%s%s", operations, shape, over) < 0)
        profile.name[0] = '\0';
    return profile;
}

/* ---------------------------------------------------------------- one run */

clg_status clg_program_profile(clg_program *program, clg_step_profile *steps, int count, int *filled)
{
    if (filled)
        *filled = 0;
    if (!program)
        return clg_fail(CLG_ERROR_ARGUMENT, "program_profile: program is NULL (see the error of clg_compile)");
    if (count < 0 || (count > 0 && !steps))
        return clg_fail(CLG_ERROR_ARGUMENT, "program_profile: no room for %d steps; right is an array of that many",
                        count);
    backend_span *spans = malloc(((size_t)program->p->step_count + 1) * sizeof *spans);
    if (!spans)
        return clg_fail_memory();
    clg_status status = engine_run(program, spans);
    count = count < program->p->step_count ? count : program->p->step_count;
    for (int i = 0; status == CLG_OK && i < count; i++)
        steps[i] = describe(program, i, &spans[i]);
    if (status == CLG_OK && filled)
        *filled = count;
    free(spans);
    return status;
}

/* ---------------------------------------------------------------- CLGRAD_PROFILE */

static void drop(clg_program *program)
{
    free(program->record->spans);
    free(program->record->path);
    free(program->record);
    program->record = NULL;
}

void profile_begin(clg_program *program)
{
    const char *path = getenv("CLGRAD_PROFILE");
    if (!path || !*path)
        return;
    program->record = calloc(1, sizeof *program->record);
    if (!program->record) {
        clg_fail_memory();
        return;
    }
    program->record->path = strdup(path);
    program->record->spans = calloc((size_t)program->p->step_count * RECORD_RUNS + 1, sizeof(backend_span));
    if (program->record->path && program->record->spans)
        return;
    drop(program);
    clg_fail_memory();
}

clg_status profile_run(clg_program *program)
{
    profile_record *record = program->record;
    if (!record->warm || record->runs == RECORD_RUNS) {
        record->warm = true;
        return engine_run(program, NULL);
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    record->starts[record->runs] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    clg_status status = engine_run(program, record->spans + (size_t)record->runs * (size_t)program->p->step_count);
    if (status == CLG_OK)
        record->runs++;
    if (status != CLG_ERROR_UNSUPPORTED)
        return status;
    drop(program);
    return engine_run(program, NULL);
}

static clg_status write_record(const clg_program *program)
{
    const profile_record *record = program->record;
    const clg_device_info *device = &program->graph->device->info;
    size_t count = (size_t)program->p->step_count, total = count * (size_t)record->runs;
    clg_step_profile *steps = malloc((total + 1) * sizeof *steps);
    if (!steps)
        return clg_fail_memory();
    for (size_t i = 0; i < total; i++) {
        steps[i] = i < count ? describe(program, (int32_t)i, &record->spans[i]) : steps[i - count];
        steps[i].begin = record->spans[i].begin;
        steps[i].end = record->spans[i].end;
    }
    char title[400];
    snprintf(title, sizeof title, "%d nodes in %d steps on %s: %s", (int)program->s.count, (int)count, device->spec,
             device->name);
    clg_status status = profile_log(record->path, title, steps, (int)count, record->runs, record->starts);
    free(steps);
    return status;
}

void profile_end(clg_program *program)
{
    if (!program->record)
        return;
    if (program->record->runs && program->p->step_count)
        write_record(program);
    drop(program);
}
