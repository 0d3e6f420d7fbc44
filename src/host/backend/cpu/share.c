/* Rows that fit one block: every section then runs once for a row, its registers stay where they are, and what one
 * INNER section computed the later ones need not compute again. A plan repeats such values (the exponentials of a
 * softmax, the centred row of a normalisation), since in general they would have to go through memory. */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

typedef struct sharer {
    const plan_step *step;
    plan_step *out;
    int32_t *renamed; /* old register to new one */
    int32_t *table;   /* new registers by hash of their instruction, -1: none */
    uint32_t mask;
} sharer;

static bool same_value(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    return memcmp(a->src, b->src, sizeof a->src) == 0 && plan_same_function(step, a, b);
}

/* Of what same_value compares, the part that is cheap to look at. */
static uint32_t hash(const plan_instr *in)
{
    uint32_t h = in->kind * 31u + in->dtype;
    for (int k = 0; k < 3; k++)
        h = (h ^ (uint32_t)in->src[k]) * 0x9e3779b1u;
    if (in->kind == INSTR_MAP)
        h ^= in->op * 0x85ebca6bu;
    else if (in->kind == INSTR_LOAD)
        h ^= (uint32_t)in->buffer * 0x85ebca6bu;
    return h ^ h >> 15;
}

/* The place in the table of a register with this value, or of the empty entry where it belongs. */
static uint32_t find(const sharer *s, const plan_instr *in)
{
    uint32_t at = hash(in) & s->mask;
    for (; s->table[at] >= 0; at = (at + 1) & s->mask) {
        int32_t known = s->table[at];
        if (same_value(s->step, &s->out->instrs[known], in))
            break;
    }
    return at;
}

static void share_section(sharer *s, const plan_section *section, plan_section *out)
{
    plan_step *to = s->out;
    *out = (plan_section){section->kind, to->instr_count, 0};
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        plan_instr in = s->step->instrs[i];
        for (int k = 0; k < 3; k++)
            in.src[k] = in.src[k] >= 0 && in.src[k] < i ? s->renamed[in.src[k]] : in.src[k];
        if (section->kind == SECTION_INNER && in.kind != INSTR_REDUCE && in.kind != INSTR_STORE) {
            uint32_t at = find(s, &in);
            if (s->table[at] >= 0) {
                s->renamed[i] = s->table[at];
                continue;
            }
            s->table[at] = to->instr_count;
        }
        s->renamed[i] = to->instr_count;
        to->instrs[to->instr_count++] = in;
    }
    out->count = to->instr_count - out->first;
}

clg_status cpu_share_sections(const plan_step *step, plan_step **result)
{
    size_t count = step->instr_count > 0 ? (size_t)step->instr_count : 1, slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    sharer s = {.step = step, .mask = (uint32_t)slots - 1};
    size_t sections = (size_t)step->section_count;
    plan_step *out = malloc(sizeof *out + count * sizeof *out->instrs + sections * sizeof *out->sections);
    int32_t *numbers = malloc((count + slots) * sizeof *numbers);
    if (!out || !numbers) {
        free(out);
        free(numbers);
        return clg_fail_memory();
    }
    *out = *step;
    out->instrs = (plan_instr *)(out + 1);
    out->sections = (plan_section *)(out->instrs + count);
    out->instr_count = 0;
    s.out = out;
    s.renamed = numbers;
    s.table = numbers + count;
    memset(s.table, -1, slots * sizeof *s.table);
    for (int32_t k = 0; k < step->section_count; k++)
        share_section(&s, &step->sections[k], &out->sections[k]);
    free(numbers);
    *result = out;
    return CLG_OK;
}
