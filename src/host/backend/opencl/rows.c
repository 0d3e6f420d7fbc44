/* Rows on CPU devices, one a unit: what keeps them near.
 *
 * Values that a later INNER section computes again (the exponentials of a softmax): a plan repeats them, since in
 * general they would have to go through memory. Where a row fits the first cache an array keeps those that cost more
 * than a store and a load.
 *
 * The next row: processors fetch ahead only within a page, so each row would begin with a wait for memory. The section
 * that computes the most asks for the next row's lines as it goes. */
#include "opencl.h"

#include <stdlib.h>

#define KEEP_BYTES 16384 /* of a row, all its arrays together */
#define KEEP_COST 6      /* operations from which on a value is kept */

#define AHEAD_LEAST 1024     /* bytes of a row: shorter ones are on the same page as the next */
#define AHEAD_MOST 65536     /* and longer ones wait for less of their time */
#define AHEAD_FROM (1 << 20) /* bytes of all rows: fewer stay in a cache */

/* Whether instructions first < second have equal values; same: of each register the first with its value. */
static bool same_value(const body_printer *p, const int32_t *same, int32_t first, int32_t second)
{
    const plan_instr *a = &p->step->instrs[first], *b = &p->step->instrs[second];
    for (int k = 0; k < 3; k++)
        if (a->src[k] != b->src[k] && (a->src[k] < 0 || b->src[k] < 0 || same[a->src[k]] != same[b->src[k]]))
            return false;
    return plan_same_function(p->step, a, b);
}

/* Operations that computing a register takes in its section. */
static int32_t own_cost(const plan_instr *instr) { return instr->kind == INSTR_MAP ? clg_ops[instr->op].cost : 0; }

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

static clg_status find_kept(body_printer *p)
{
    const plan_step *step = p->step;
    size_t n = (size_t)step->instr_count + 1;
    int64_t room = KEEP_BYTES;
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

/* ---------------------------------------------------------------- the next row */

/* Elements from a row that instruction i reads or writes to the next one; 0: it has no row of its own. */
static int64_t row_step(const body_printer *p, int32_t i)
{
    const plan_step *step = p->step;
    const plan_instr *instr = &step->instrs[i];
    if ((instr->kind != INSTR_LOAD && instr->kind != INSTR_STORE) || instr->src[instr->kind == INSTR_LOAD ? 0 : 1] >= 0)
        return 0;
    const plan_access *access = &step->accesses[instr->access];
    return step->outer_rank > 0 && access->stride[p->lane] == 1 ? access->stride[step->outer_rank - 1] : 0;
}

/* Whether an earlier instruction fetches the same line. */
static bool fetched(const body_printer *p, int32_t i)
{
    const plan_instr *instrs = p->step->instrs;
    for (int32_t e = 0; e < i; e++)
        if (row_step(p, e) && instrs[e].buffer == instrs[i].buffer && instrs[e].access == instrs[i].access)
            return true;
    return false;
}

static const plan_section *find_ahead(const body_printer *p)
{
    const plan_step *step = p->step;
    const plan_section *best = NULL;
    int32_t most = 0;
    int64_t bytes = step->inner_count * 4;
    if (bytes < AHEAD_LEAST || bytes > AHEAD_MOST || bytes * step->outer_count < AHEAD_FROM)
        return NULL;
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        int32_t cost = 1;
        for (int32_t i = section->first; i < section->first + section->count; i++)
            if (!p->kept || p->kept[i] < 0 || p->kept[i] == i)
                cost += own_cost(&step->instrs[i]);
        if (section->kind == SECTION_INNER && cost > most) {
            most = cost;
            best = section;
        }
    }
    return best;
}

void body_print_ahead(const body_printer *p)
{
    for (int32_t i = 0; i < p->step->instr_count; i++) {
        const plan_instr *instr = &p->step->instrs[i];
        int64_t step = row_step(p, i);
        if (!step || fetched(p, i))
            continue;
        text address = {0};
        body_add_address(p, &address, &p->step->accesses[instr->access]);
        body_line(p, "FETCH(b%d + (%s + %lld), %d);", body_argument(p, instr->buffer),
                  address.data ? address.data : "0", (long long)step, instr->kind == INSTR_STORE);
        p->out->failed |= address.failed;
        text_free(&address);
    }
}

clg_status body_plan_rows(body_printer *p)
{
    if (p->step->inner_rank != 1 || p->step->splits > 1)
        return CLG_OK;
    clg_status status = find_kept(p);
    if (status == CLG_OK)
        p->ahead = find_ahead(p);
    return status;
}
