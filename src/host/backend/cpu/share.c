/* Rows that fit one block: every section then runs once for a row, its registers stay where they are, and what one
 * INNER section computed the later ones need not compute again. A plan repeats such values (the exponentials of a
 * softmax, the centred row of a normalisation), since in general they would have to go through memory. */
#include "cpu.h"

#include <stdlib.h>

typedef struct sharer {
    const plan_step *step;
    plan_step *out;
    plan_fact *facts; /* of out */
    int32_t *renamed; /* old register to new one */
} sharer;

static void share_section(sharer *s, const plan_section *section, plan_section *out)
{
    plan_step *to = s->out;
    *out = (plan_section){section->kind, to->instr_count, 0};
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        plan_instr in = s->step->instrs[i];
        const plan_fact *fact = &s->step->facts[i];
        if (fact->same != i) {
            s->renamed[i] = s->renamed[fact->same];
            continue;
        }
        for (int k = 0; k < 3; k++)
            in.src[k] = in.src[k] >= 0 && in.src[k] < i ? s->renamed[in.src[k]] : in.src[k];
        s->renamed[i] = to->instr_count;
        s->facts[to->instr_count] = *fact;
        s->facts[to->instr_count].same = to->instr_count;
        to->instrs[to->instr_count++] = in;
    }
    out->count = to->instr_count - out->first;
}

clg_status cpu_share_sections(const plan_step *step, plan_step **result)
{
    const size_t count = (size_t)step->instr_count + 1, sections = (size_t)step->section_count;
    plan_step *out =
        malloc(sizeof *out + count * (sizeof *out->instrs + sizeof(plan_fact)) + sections * sizeof *out->sections);
    int32_t *renamed = malloc(count * sizeof *renamed);
    if (!out || !renamed) {
        free(out);
        free(renamed);
        return clg_fail_memory();
    }
    *out = *step;
    out->instrs = (plan_instr *)(out + 1);
    plan_fact *facts = (plan_fact *)(out->instrs + count);
    out->facts = facts;
    out->sections = (plan_section *)(facts + count);
    out->instr_count = 0;
    sharer s = {.step = step, .out = out, .facts = facts, .renamed = renamed};
    for (int32_t k = 0; k < step->section_count; k++)
        share_section(&s, &step->sections[k], &out->sections[k]);
    free(renamed);
    *result = out;
    return CLG_OK;
}
