/* Values of a row that a later INNER section computes again (the exponentials of a softmax): a plan repeats them, since
 * in general they would have to go through memory. Where a unit is one row that fits the first cache, an array keeps
 * those that cost more than a store and a load. */
#include "opencl.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES 16384 /* of a row, all its arrays together */
#define KEEP_COST 6      /* operations from which on a value is kept */
#define FUNCTION_COST 5  /* of exp, log, ...: a polynomial */

/* Whether instructions first < second have equal values; same: of each register the first with its value. */
static bool same_value(const body_printer *p, const int32_t *same, int32_t first, int32_t second)
{
    const plan_instr *a = &p->step->instrs[first], *b = &p->step->instrs[second];
    if (a->kind != b->kind || a->dtype != b->dtype)
        return false;
    for (int k = 0; k < 3; k++)
        if (a->src[k] != b->src[k] && (a->src[k] < 0 || b->src[k] < 0 || same[a->src[k]] != same[b->src[k]]))
            return false;
    switch ((plan_instr_kind)a->kind) {
    case INSTR_CONST:
        return memcmp(&a->value, &b->value, sizeof a->value) == 0;
    case INSTR_IOTA:
        return a->map == b->map;
    case INSTR_LOAD:
        return a->buffer == b->buffer && a->map == b->map && a->row_stride == b->row_stride &&
               a->row_count == b->row_count;
    case INSTR_MAP:
        return a->op == b->op;
    default:
        return false;
    }
}

/* Operations that computing a register takes in its section. */
static int32_t own_cost(const plan_instr *instr)
{
    if (instr->kind != INSTR_MAP)
        return 0;
    return clg_ops[instr->op].types == TYPES_FLOATING ? FUNCTION_COST : 1;
}

static void find_same(const body_printer *p, const plan_section *section, int32_t *same, int32_t *cost)
{
    const plan_step *step = p->step;
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        cost[i] = own_cost(&step->instrs[i]);
        for (int k = 0; k < 3; k++)
            if (step->instrs[i].src[k] >= section->first && cost[i] < KEEP_COST)
                cost[i] += cost[step->instrs[i].src[k]];
        for (int32_t e = 0; e < i && same[i] == i; e++)
            if (same[e] == e && same_value(p, same, e, i))
                same[i] = e;
    }
}

/* Replaces what an earlier INNER section computed, as long as there is room: values that others in the section use. */
static void keep_section(const body_printer *p, const plan_section *section, const int32_t *same, const int32_t *cost,
                         int64_t *room)
{
    const plan_step *step = p->step;
    for (int32_t i = section->first + section->count - 1; i >= section->first; i--) {
        int32_t e = same[i];
        if (e >= section->first || cost[i] < KEEP_COST || p->uniform[i])
            continue;
        bool used = false;
        for (int32_t u = i + 1; u < section->first + section->count; u++)
            for (int k = 0; k < 3; k++)
                used |= step->instrs[u].src[k] == i && (p->kept[u] < 0 || p->kept[u] == u);
        int64_t bytes = step->inner_count * (int64_t)clg_dtype_size((clg_dtype)step->instrs[i].dtype);
        if (!used || (p->kept[e] != e && bytes > *room))
            continue;
        *room -= p->kept[e] == e ? 0 : bytes;
        p->kept[e] = e;
        p->kept[i] = e;
    }
}

clg_status body_keep(body_printer *p)
{
    const plan_step *step = p->step;
    size_t n = (size_t)step->instr_count + 1;
    int64_t room = KEEP_BYTES;
    if (step->inner_rank != 1 || step->splits > 1)
        return CLG_OK;
    int32_t *same = malloc(2 * n * sizeof *same);
    p->kept = malloc(n * sizeof *p->kept);
    if (!same || !p->kept) {
        free(same);
        return clg_fail_memory();
    }
    int32_t *cost = same + n;
    for (size_t i = 0; i < n; i++) {
        same[i] = (int32_t)i;
        p->kept[i] = -1;
    }
    for (int32_t s = 0; s < step->section_count; s++)
        if (step->sections[s].kind == SECTION_INNER)
            find_same(p, &step->sections[s], same, cost);
    for (int32_t s = 0; s < step->section_count; s++)
        if (step->sections[s].kind == SECTION_INNER)
            keep_section(p, &step->sections[s], same, cost, &room);
    free(same);
    return CLG_OK;
}

void body_declare_kept(const body_printer *p)
{
    for (int32_t i = 0; p->kept && i < p->step->instr_count; i++)
        if (p->kept[i] == i)
            body_line(p, "%s_t k%d[%lld] __attribute__((aligned(64)));", body_suffix(p->step->instrs[i].dtype, 1).s, i,
                      (long long)p->step->inner_count);
}
