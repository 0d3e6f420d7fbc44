/* Fetching what the next task will touch while this one computes. A row or a product's block is read in bursts, between
 * which the entries work in the first-level cache; the processor's own prefetchers see only the bursts. So a few lines
 * of the next task are asked for before each entry. Maps alone do without: their blocks are so short that those
 * prefetchers reach into the next ones, and asking costs more than it brings (run.c). */
#include "cpu.h"

#define LINE 64

/* Whether the body has inner positions: a contraction has them in its operands alone. */
static bool has_inner(const plan_step *step) { return step->kind == STEP_LOOP && step->inner_rank > 0; }

void cpu_ahead_find(cpu_tape *t)
{
    const plan_step *step = t->step;
    int64_t positions = step->outer_count * (has_inner(step) ? step->inner_count : 1);
    bool maps = step->kind == STEP_LOOP && !has_inner(step);
    t->ahead_count = 0;
    for (int32_t i = 0; i < t->access_count; i++) {
        const cpu_access *x = &t->accesses[i];
        if (maps && x->lane_rank > 0)
            t->touched += positions * x->size;
        if (!x->fetch || t->ahead_count == PLAN_MOST_FETCHES)
            continue;
        t->ahead[t->ahead_count++] = i;
        t->touched += maps ? 0 : positions * x->size;
    }
    if (maps || step->kind == STEP_ARRAY || step->splits > 1 || (t->lanes_inner && !t->straight) ||
        (step->kind == STEP_LOOP && t->touched <= CPU_CACHED))
        t->ahead_count = 0;
}

void cpu_ahead_begin(cpu_runner *r, const int64_t *coord, int64_t lane, int64_t n, int32_t entries)
{
    const cpu_tape *t = r->tape;
    int64_t lines = 0;
    for (int k = 0; k < t->ahead_count; k++) {
        const cpu_access *x = &t->accesses[t->ahead[k]];
        const cpu_dim *dims = t->dims + x->loop_first;
        int64_t offset = x->offset + lane, bytes = n * x->size;
        for (int i = 0; i < x->loop_rank; i++)
            offset += dims[i].stride * coord[i];
        const char *at = r->address[x->buffer] + offset * x->size;
        r->ahead[k] = (cpu_ahead){at, at + bytes};
        lines += (bytes + LINE - 1) / LINE;
    }
    r->ahead_count = t->ahead_count;
    r->ahead_lines = (lines + entries - 1) / (entries > 0 ? entries : 1);
}

void cpu_ahead_fetch(cpu_runner *r)
{
    for (int64_t left = r->ahead_lines; left > 0 && r->ahead_count > 0;) {
        cpu_ahead *a = &r->ahead[r->ahead_count - 1];
        int64_t lines = smaller(left, (a->end - a->at + LINE - 1) / LINE);
        for (int64_t i = 0; i < lines; i++)
            __builtin_prefetch(a->at + i * LINE, 0, 2);
        a->at += lines * LINE;
        left -= lines;
        if (a->at >= a->end)
            r->ahead_count--;
    }
}
