/* What both backends want to know of a step, worked out once: along which dimensions values differ, which are computed
 * again, which stores go past the caches, and what is worth asking for ahead of time. */
#include "plan.h"

#include "../core/error.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a buffer that the caches would not keep until someone reads it. */
#define LONG_BUFFER (8 * 1024 * 1024)

/* ---------------------------------------------------------------- dimensions */

static uint32_t moving(const plan_step *step, const int64_t *coef)
{
    uint32_t dims = 0;
    for (int d = 0; d < PLAN_MAX_DIMS; d++) /* those that the step does not have do not move */
        dims |= coef[d] != 0 && step->extent[d] != 1 ? 1u << d : 0;
    return dims;
}

static uint32_t access_dims(const plan_step *step, const plan_access *access)
{
    uint32_t dims = moving(step, access->stride);
    for (int32_t i = 0; i < access->bound_count; i++)
        dims |= moving(step, step->bounds[access->first_bound + i].coef);
    return dims;
}

static void find_dims(const plan_step *step, plan_fact *facts, int32_t i)
{
    const plan_instr *in = &step->instrs[i];
    const uint32_t outer = (1u << step->outer_rank) - 1;
    const bool at = in->kind == INSTR_IOTA || in->kind == INSTR_LOAD || in->kind == INSTR_MASK;
    uint32_t dims = at ? access_dims(step, &step->accesses[in->access]) : 0;
    for (int k = 0; k < 3; k++)
        dims |= in->src[k] >= 0 && in->src[k] < i ? facts[in->src[k]].dims : 0;
    facts[i].dims = in->kind == INSTR_PRODUCT ? outer : in->kind == INSTR_REDUCE ? dims & outer : dims;
}

/* ---------------------------------------------------------------- values that are computed again */

typedef struct value_table {
    int32_t *items; /* instructions by hash, -1: none */
    uint32_t mask;
} value_table;

static int32_t same_operand(const plan_fact *facts, int32_t reg) { return reg < 0 ? reg : facts[reg].same; }

static bool same_value(const plan_step *step, const plan_fact *facts, int32_t first, int32_t second)
{
    const plan_instr *a = &step->instrs[first], *b = &step->instrs[second];
    for (int k = 0; k < 3; k++)
        if (same_operand(facts, a->src[k]) != same_operand(facts, b->src[k]))
            return false;
    return plan_same_function(step, a, b);
}

/* Of what same_value compares, the part that is cheap to look at. */
static uint32_t hash(const plan_step *step, const plan_fact *facts, const plan_instr *in)
{
    uint32_t h = in->kind * 31u + in->dtype;
    for (int k = 0; k < 3; k++)
        h = (h ^ (uint32_t)same_operand(facts, in->src[k])) * 0x9e3779b1u;
    if (in->kind == INSTR_MAP)
        h ^= in->op * 0x85ebca6bu;
    else if (in->kind == INSTR_LOAD)
        h ^= (uint32_t)in->buffer * 0x85ebca6bu;
    if (in->access >= 0)
        h ^= (uint32_t)step->accesses[in->access].offset * 0xc2b2ae35u;
    return h ^ h >> 15;
}

static void find_same(const plan_step *step, const plan_section *section, plan_fact *facts, value_table *table)
{
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        const plan_instr *in = &step->instrs[i];
        if (section->kind != SECTION_INNER || in->kind == INSTR_REDUCE || in->kind == INSTR_STORE)
            continue;
        uint32_t at = hash(step, facts, in) & table->mask;
        while (table->items[at] >= 0 && !same_value(step, facts, table->items[at], i))
            at = (at + 1) & table->mask;
        if (table->items[at] < 0)
            table->items[at] = i;
        else
            facts[i].same = table->items[at];
    }
}

static bool has_inner(const plan_step *step) { return step->kind == STEP_LOOP && step->inner_rank > 0; }

static clg_status find_all_same(const plan_step *step, plan_fact *facts)
{
    size_t slots = 16;
    if (!has_inner(step))
        return CLG_OK;
    while (slots < 2 * (size_t)step->instr_count)
        slots *= 2;
    value_table table = {malloc(slots * sizeof *table.items), (uint32_t)slots - 1};
    if (!table.items)
        return clg_fail_memory();
    memset(table.items, -1, slots * sizeof *table.items);
    for (int32_t s = 0; s < step->section_count; s++)
        find_same(step, &step->sections[s], facts, &table);
    free(table.items);
    return CLG_OK;
}

/* ---------------------------------------------------------------- memory */

/* Whether two buffers are at one place. Whether two bindings are is known to who binds them. */
static bool overlap(const plan *p, int32_t x, int32_t y)
{
    const plan_buffer *a = &p->buffers[x], *b = &p->buffers[y];
    if (x == y)
        return true;
    return a->kind == BUFFER_ARENA && b->kind == BUFFER_ARENA && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

/* Whether store i had better go past the caches: an ordinary one reads the line that it writes, half as much traffic
 * again. Of maps alone: the long bursts of whole rows gain nothing on the CPU path, and lose a third on PoCL. */
static bool streams(const plan *p, const plan_step *step, int32_t i)
{
    const int32_t buffer = step->instrs[i].buffer;
    if (step->kind != STEP_LOOP || has_inner(step) || p->buffers[buffer].bytes < LONG_BUFFER)
        return false;
    for (int32_t k = 0; k < step->instr_count; k++) {
        const plan_instr *in = &step->instrs[k];
        if (k != i && (in->kind == INSTR_LOAD || in->kind == INSTR_STORE) && overlap(p, in->buffer, buffer))
            return false;
    }
    return true;
}

/* Whether the lanes' positions, those of a row or all outer ones, are one run in memory, which moves with what is
 * beside them. */
static bool is_run(const plan_step *step, const plan_access *access, bool rows)
{
    const int first = rows ? step->outer_rank : 0;
    int64_t next = 1;
    for (int d = (rows ? step->outer_rank + step->inner_rank : step->outer_rank) - 1; d >= first; d--) {
        if (step->extent[d] != 1 && access->stride[d] != next)
            return false;
        next *= step->extent[d];
    }
    if (access->bound_count > 0 || next == 1)
        return false;
    const int beside = rows ? step->outer_rank - 1 : step->outer_rank + step->inner_rank - 1;
    return !has_inner(step) || (beside >= (rows ? 0 : step->outer_rank) && access->stride[beside] != 0);
}

static bool same_memory(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    const plan_access *x = &step->accesses[a->access], *y = &step->accesses[b->access];
    return a->buffer == b->buffer && x->offset == y->offset && memcmp(x->stride, y->stride, sizeof x->stride) == 0;
}

/* Marks the first few instructions that touch different runs. */
static void find_fetches(const plan_step *step, plan_fact *facts)
{
    int32_t found[PLAN_MOST_FETCHES], count = 0;
    const bool rows = plan_lanes_inner(step);
    for (int32_t i = 0; i < step->instr_count && count < PLAN_MOST_FETCHES; i++) {
        const plan_instr *in = &step->instrs[i];
        const bool memory = (in->kind == INSTR_LOAD && in->src[0] < 0) || in->kind == INSTR_STORE;
        bool known = !memory || !is_run(step, &step->accesses[in->access], rows);
        for (int32_t k = 0; k < count && !known; k++)
            known = same_memory(step, &step->instrs[found[k]], in);
        if (known)
            continue;
        facts[i].fetch = true;
        found[count++] = i;
    }
}

/* ---------------------------------------------------------------- a step */

static clg_status analyse_step(const plan *p, plan_step *step, plan_fact *facts)
{
    step->facts = facts;
    for (int o = 0; o < 2 && step->kind == STEP_CONTRACT; o++)
        step->operand[o].dims = access_dims(step, &step->accesses[step->operand[o].access]);
    for (int32_t i = 0; i < step->instr_count; i++) {
        facts[i] = (plan_fact){.same = i};
        find_dims(step, facts, i);
        facts[i].streams = step->instrs[i].kind == INSTR_STORE && streams(p, step, i);
    }
    find_fetches(step, facts);
    return find_all_same(step, facts);
}

clg_status plan_analyse(plan *p)
{
    size_t count = 1;
    for (int32_t s = 0; s < p->step_count; s++)
        count += (size_t)p->steps[s].instr_count;
    free(p->facts);
    p->facts = malloc(count * sizeof *p->facts);
    if (!p->facts)
        return clg_fail_memory();
    plan_fact *facts = p->facts;
    clg_status status = CLG_OK;
    for (int32_t s = 0; s < p->step_count && status == CLG_OK; s++) {
        status = analyse_step(p, &p->steps[s], facts);
        facts += p->steps[s].instr_count;
    }
    return status;
}
