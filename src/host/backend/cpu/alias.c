/* Which memory a step both loads and stores: in-place steps. Buffers are compared by address, since two buffers of a
 * plan may share a piece of the arena, and two bindings a piece of the host's memory. */
#include "cpu.h"

#include <stdlib.h>

static int by_address(const void *a, const void *b)
{
    const cpu_span *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Sorts spans and joins those that overlap. */
static void join(cpu_spans *spans)
{
    qsort(spans->span, (size_t)spans->count, sizeof *spans->span, by_address);
    int32_t kept = 0;
    for (int32_t i = 0; i < spans->count; i++) {
        const cpu_span *next = &spans->span[i];
        cpu_span *last = kept > 0 ? &spans->span[kept - 1] : NULL;
        if (last && next->lo < last->hi) {
            last->hi = next->hi > last->hi ? next->hi : last->hi;
            last->stores += next->stores;
            last->first = next->first < last->first ? next->first : last->first;
            last->last = next->last > last->last ? next->last : last->last;
        } else {
            spans->span[kept++] = *next;
        }
    }
    spans->count = kept;
}

clg_status cpu_spans_build(const plan *p, const plan_step *step, char *const *address, cpu_spans *spans)
{
    int32_t stores = 0;
    for (int32_t i = 0; i < step->instr_count; i++)
        stores += step->instrs[i].kind == INSTR_STORE;
    *spans = (cpu_spans){NULL, 0};
    if (stores == 0)
        return CLG_OK;
    spans->span = malloc((size_t)stores * sizeof *spans->span);
    if (!spans->span)
        return clg_fail_memory();
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *instr = &step->instrs[i];
        if (instr->kind == INSTR_STORE) {
            const char *lo = address[instr->buffer];
            spans->span[spans->count++] = (cpu_span){lo, lo + p->buffers[instr->buffer].bytes, 1, i, i, -1};
        }
    }
    join(spans);
    return CLG_OK;
}

void cpu_spans_add_loads(const plan *p, const plan_step *step, char *const *address, const int32_t *last_use,
                         cpu_spans *spans)
{
    for (int32_t i = 0; i < step->instr_count; i++) {
        if (step->instrs[i].kind != INSTR_LOAD)
            continue;
        int32_t count;
        cpu_span *span = cpu_spans_find(spans, p, address, step->instrs[i].buffer, &count);
        for (; count > 0; count--, span++)
            span->load_last = last_use[i] > span->load_last ? last_use[i] : span->load_last;
    }
}

cpu_span *cpu_spans_find(const cpu_spans *spans, const plan *p, char *const *address, int32_t buffer, int32_t *count)
{
    const char *lo = address[buffer], *hi = lo + p->buffers[buffer].bytes;
    int32_t first = 0, end = spans->count; /* the first span that ends after lo */
    while (first < end) {
        int32_t middle = first + (end - first) / 2;
        if (spans->span[middle].hi <= lo)
            first = middle + 1;
        else
            end = middle;
    }
    *count = 0;
    while (first + *count < spans->count && spans->span[first + *count].lo < hi)
        ++*count;
    return spans->span + first;
}

bool cpu_spans_alone(const cpu_spans *spans, const plan *p, char *const *address, int32_t buffer)
{
    int32_t count;
    const cpu_span *span = cpu_spans_find(spans, p, address, buffer, &count);
    return count == 1 && span->stores == 1 && span->load_last < 0;
}
