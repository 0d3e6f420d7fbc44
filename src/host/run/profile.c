/* Profiles: what the times of a run's steps say, and the record of the first runs of every program when CLGRAD_PROFILE
 * is set. The backends have the clocks; here steps get names, and profile_output.c writes. */
#define _POSIX_C_SOURCE 200809L
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_RUNS = 20 };

/* What CLGRAD_PROFILE asks for of one program. */
struct profile_record {
    char *path;
    bool warm; /* has run: the first run, which pays for what drivers put off, is not recorded */
    int runs;
    double starts[RECORD_RUNS];
    int32_t steps;
    backend_span *spans; /* of run r: from r * steps on */
};

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
        snprintf(text, size, "%s", step->kind == STEP_ARRAY ? clg_ops[step->array.op].name : "copy");
}

/* The shape of a graph's node behind a space, found in what was compiled: the graph may have been rewound since. Its
 * shapes stay. */
static void format_node(const compiled *c, int32_t node, char *text, size_t size)
{
    text[0] = 0;
    for (int32_t i = c->s.count; i-- > 0;)
        if (c->s.nodes[i].id == node) {
            text[0] = ' ';
            clg_shape_format(c->graph->shapes[c->s.nodes[i].shape], text + 1, size - 1);
            return;
        }
}

clg_step_profile profile_step(const compiled *c, int32_t index, const backend_span *span)
{
    const plan_step *step = &c->p->steps[index];
    clg_step_profile profile = {.kind = plan_step_name(step),
                                .launches = span->launches,
                                .begin = span->begin,
                                .end = span->end,
                                .flops = cost_step_flops(step),
                                .bytes = cost_step_bytes(c->p, step)};
    char shape[30], over[24] = "", operations[sizeof profile.name];
    format_node(c, step->name_node, shape, sizeof shape);
    if (step->kind == STEP_CONTRACT)
        snprintf(over, sizeof over, " over %lld", (long long)step->inner_count);
    list_operations(step, operations, sizeof operations - strlen(shape) - strlen(over));
    if (snprintf(profile.name, sizeof profile.name, "%s%s%s", operations, shape, over) < 0)
        profile.name[0] = '\0';
    return profile;
}

/* ---------------------------------------------------------------- CLGRAD_PROFILE */

void profile_drop(profile_record *record)
{
    if (!record)
        return;
    free(record->spans);
    free(record->path);
    free(record);
}

profile_record *profile_begin(const plan *p)
{
    const char *path = getenv("CLGRAD_PROFILE");
    if (!path || !*path)
        return NULL;
    profile_record *record = calloc(1, sizeof *record);
    if (record) {
        record->steps = p->step_count;
        record->path = strdup(path);
        record->spans = calloc((size_t)p->step_count * RECORD_RUNS + 1, sizeof *record->spans);
        if (record->path && record->spans)
            return record;
    }
    profile_drop(record);
    clg_fail_memory();
    return NULL;
}

backend_span *profile_next(profile_record *record)
{
    struct timespec now;
    if (!record->warm || record->runs == RECORD_RUNS) {
        record->warm = true;
        return NULL;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    record->starts[record->runs] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    return record->spans + (size_t)record->runs * (size_t)record->steps;
}

void profile_ran(profile_record *record) { record->runs++; }

static clg_status write_record(const profile_record *record, const compiled *c)
{
    const clg_device_info *device = &c->graph->device->info;
    size_t count = (size_t)record->steps, total = count * (size_t)record->runs;
    clg_step_profile *steps = malloc((total + 1) * sizeof *steps);
    if (!steps)
        return clg_fail_memory();
    for (size_t i = 0; i < total; i++) {
        steps[i] = i < count ? profile_step(c, (int32_t)i, &record->spans[i]) : steps[i - count];
        steps[i].begin = record->spans[i].begin;
        steps[i].end = record->spans[i].end;
    }
    char title[400];
    snprintf(title, sizeof title, "%d nodes in %d steps on %s: %s", (int)c->s.count, (int)count, device->spec,
             device->name);
    clg_status status = profile_log(record->path, title, steps, (int)count, record->runs, record->starts);
    free(steps);
    return status;
}

void profile_end(profile_record *record, const compiled *c)
{
    if (record->runs && record->steps)
        write_record(record, c);
    profile_drop(record);
}
