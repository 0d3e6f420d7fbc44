/* Rows on CPU devices, one a unit: what keeps them near.
 *
 * Values that a later INNER section computes again (the exponentials of a softmax): a plan repeats them, since in
 * general they would have to go through memory. Where a row fits the first cache an array keeps those that cost more
 * than a store and a load.
 *
 * The next row: processors fetch ahead only within a page, so each row would begin with a wait for memory. The section
 * that computes the most asks for the next row's lines as it goes. */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES 16384 /* of a row, all its arrays together */
#define KEEP_COST 6      /* operations from which on a value is kept */

#define AHEAD_LEAST 1024     /* bytes of a row: shorter ones are on the same page as the next */
#define AHEAD_MOST 65536     /* and longer ones wait for less of their time */
#define AHEAD_FROM (1 << 20) /* bytes of all rows: fewer stay in a cache */

/* Operations that computing a register takes in its section. */
static int32_t own_cost(const plan_instr *instr) { return instr->kind == INSTR_MAP ? clg_ops[instr->op].cost : 0; }

static void find_costs(const body *b, const plan_section *section, int32_t *cost)
{
    const plan_step *step = b->step;
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        cost[i] = own_cost(&step->instrs[i]);
        for (int k = 0; k < 3; k++)
            if (step->instrs[i].src[k] >= section->first && cost[i] < KEEP_COST)
                cost[i] += cost[step->instrs[i].src[k]];
    }
}

/* Replaces what an earlier INNER section computed, as long as there is room: values that others in the section use. */
static void keep_section(const body *b, const plan_section *section, const int32_t *cost, int64_t *room)
{
    const plan_step *step = b->step;
    for (int32_t i = section->first + section->count - 1; i >= section->first; i--) {
        int32_t e = step->facts[i].same;
        if (e >= section->first || cost[i] < KEEP_COST || b->uniform[i])
            continue;
        bool used = false;
        for (int32_t u = i + 1; u < section->first + section->count; u++)
            for (int k = 0; k < 3; k++)
                used |= step->instrs[u].src[k] == i && (b->kept[u] < 0 || b->kept[u] == u);
        int64_t bytes = step->inner_count * (int64_t)clg_dtype_size((clg_dtype)step->instrs[i].dtype);
        if (!used || (b->kept[e] != e && bytes > *room))
            continue;
        *room -= b->kept[e] == e ? 0 : bytes;
        b->kept[e] = e;
        b->kept[i] = e;
    }
}

static clg_status find_kept(body *b)
{
    const plan_step *step = b->step;
    size_t n = (size_t)step->instr_count + 1;
    int64_t room = KEEP_BYTES;
    int32_t *cost = malloc(n * sizeof *cost);
    b->kept = malloc(n * sizeof *b->kept);
    if (!cost || !b->kept) {
        free(cost);
        return clg_fail_memory();
    }
    memset(b->kept, -1, n * sizeof *b->kept);
    for (int32_t s = 0; s < step->section_count; s++)
        if (step->sections[s].kind == SECTION_INNER)
            find_costs(b, &step->sections[s], cost);
    for (int32_t s = 0; s < step->section_count; s++)
        if (step->sections[s].kind == SECTION_INNER)
            keep_section(b, &step->sections[s], cost, &room);
    free(cost);
    return CLG_OK;
}

void body_declare_kept(const body *b, text *out)
{
    for (int32_t i = 0; b->kept && i < b->step->instr_count; i++)
        if (b->kept[i] == i)
            text_line(out, "%s_t k%d[%lld] __attribute__((aligned(64)));", body_suffix(b->step->instrs[i].dtype, 1).s,
                      i, (long long)b->step->inner_count);
}

/* ---------------------------------------------------------------- the next row */

static const plan_section *find_ahead(const body *b)
{
    const plan_step *step = b->step;
    const plan_section *best = NULL;
    int32_t most = 0;
    int64_t bytes = step->inner_count * 4;
    if (bytes < AHEAD_LEAST || bytes > AHEAD_MOST || bytes * step->outer_count < AHEAD_FROM)
        return NULL;
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        int32_t cost = 1;
        for (int32_t i = section->first; i < section->first + section->count; i++)
            if (!b->kept || b->kept[i] < 0 || b->kept[i] == i)
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
    for (int32_t i = 0; i < p->body->step->instr_count; i++) {
        const plan_instr *instr = &p->body->step->instrs[i];
        if (!p->body->step->facts[i].fetch)
            continue;
        const int64_t step = p->body->step->accesses[instr->access].stride[p->body->step->outer_rank - 1];
        text address = {0};
        body_add_address(p, &address, &p->body->step->accesses[instr->access]);
        text_line(p->out, "FETCH(b%d + (%s + %lld), %d);", body_argument(p->body, instr->buffer),
                  address.data ? address.data : "0", (long long)step, instr->kind == INSTR_STORE);
        p->out->failed |= address.failed;
        text_free(&address);
    }
}

clg_status body_plan_rows(body *b)
{
    if (b->step->inner_rank != 1 || b->step->splits > 1)
        return CLG_OK;
    clg_status status = find_kept(b);
    if (status == CLG_OK)
        b->ahead = find_ahead(b);
    return status;
}
