/* The memory plan: lifetimes of intermediate buffers, in-place reuse, offsets in one arena.
 *
 * A buffer whose last reader is an elementwise step may give its place to a result of that step. Buffers joined that
 * way form a unit. Units are placed by two strategies, both deterministic, and the smaller arena wins: in time
 * order with a best-fit free list (linear for practical graphs), and, for plans of moderate size, largest first at
 * the lowest free offset ("greedy by size", Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
 * inference", section 5). */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum { GREEDY_UNITS = 2048 };

typedef struct unit {
    int32_t first, last;
    int64_t bytes, offset;
    int32_t next; /* in a list by first or last step */
} unit;

/* ---------------------------------------------------------------- lifetimes */

static void touch(plan *p, int32_t buffer, int32_t step)
{
    if (buffer < 0)
        return;
    plan_buffer *b = &p->buffers[buffer];
    if (b->first < 0)
        b->first = step;
    b->last = step;
}

static void lifetimes(plan *p)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        const plan_step *step = &p->steps[i];
        for (int32_t k = 0; k < step->instr_count; k++)
            if (step->instrs[k].kind == INSTR_LOAD || step->instrs[k].kind == INSTR_STORE)
                touch(p, step->instrs[k].buffer, i);
        if (step->kind == STEP_MATMUL) {
            touch(p, step->a.buffer, i);
            touch(p, step->b.buffer, i);
            touch(p, step->product, i);
        } else if (step->kind == STEP_SCATTER_ADD) {
            touch(p, step->indices, i);
            touch(p, step->updates, i);
            touch(p, step->result, i);
        }
    }
}

/* ---------------------------------------------------------------- in place */

/* All loads of buffer x in the step are at the map of the store, in its section or before: then each element is read
 * before it is overwritten, by whoever overwrites it. */
static bool reads_before_write(const plan_step *step, int32_t x, int32_t store_index)
{
    const plan_instr *write = &step->instrs[store_index];
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        bool store_here = store_index >= section->first && store_index < section->first + section->count;
        bool after = store_index < section->first;
        for (int32_t i = section->first; i < section->first + section->count; i++) {
            const plan_instr *in = &step->instrs[i];
            if (in->kind != INSTR_LOAD || in->buffer != x)
                continue;
            /* a load hoisted out of the loops, or at another map, sees other elements */
            if (in->map != write->map || in->src[0] >= 0 || after || section->kind == SECTION_ONCE)
                return false;
            /* an OUTER load and an INNER store (or the reverse) do not meet element by element */
            if (!store_here)
                return false;
        }
    }
    return true;
}

/* Gives results of elementwise steps the place of an operand that dies there. */
static void join_in_place(plan *p, int32_t *unit_of)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        const plan_step *step = &p->steps[i];
        if (step->kind != STEP_LOOP || step->splits > 1)
            continue;
        for (int32_t k = 0; k < step->instr_count; k++) {
            const plan_instr *write = &step->instrs[k];
            if (write->kind != INSTR_STORE || p->buffers[write->buffer].kind != BUFFER_ARENA ||
                unit_of[write->buffer] != write->buffer || p->buffers[write->buffer].first != i)
                continue;
            for (int32_t j = 0; j < k; j++) {
                int32_t x = step->instrs[j].buffer;
                if (step->instrs[j].kind != INSTR_LOAD || p->buffers[x].kind != BUFFER_ARENA ||
                    p->buffers[x].last != i || p->buffers[x].first == i ||
                    p->buffers[x].bytes != p->buffers[write->buffer].bytes ||
                    p->buffers[x].dtype != p->buffers[write->buffer].dtype || !reads_before_write(step, x, k))
                    continue;
                int32_t root = unit_of[x];
                p->buffers[x].last = i; /* taken: nobody else may */
                unit_of[write->buffer] = root;
                p->buffers[x].first = i;
                break;
            }
        }
    }
}

/* ---------------------------------------------------------------- placement in time order */

typedef struct hole {
    int64_t offset, bytes;
} hole;

typedef struct holes {
    hole *list; /* by offset; never adjacent */
    int32_t count, capacity;
    int64_t top; /* end of the arena so far */
} holes;

static bool take(holes *h, int64_t bytes, int64_t *offset)
{
    int32_t best = -1;
    for (int32_t i = 0; i < h->count; i++)
        if (h->list[i].bytes >= bytes && (best < 0 || h->list[i].bytes < h->list[best].bytes))
            best = i;
    if (best < 0) { /* extend the arena, using a hole at its end */
        if (h->count && h->list[h->count - 1].offset + h->list[h->count - 1].bytes == h->top) {
            h->count--;
            *offset = h->list[h->count].offset;
        } else {
            *offset = h->top;
        }
        h->top = *offset + bytes;
        return true;
    }
    *offset = h->list[best].offset;
    h->list[best].offset += bytes;
    h->list[best].bytes -= bytes;
    if (h->list[best].bytes == 0) {
        memmove(&h->list[best], &h->list[best + 1], (size_t)(h->count - best - 1) * sizeof *h->list);
        h->count--;
    }
    return true;
}

static bool give(holes *h, int64_t offset, int64_t bytes)
{
    int32_t low = 0, high = h->count;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        *(h->list[middle].offset < offset ? &low : &high) = h->list[middle].offset < offset ? middle + 1 : middle;
    }
    bool joins_left = low > 0 && h->list[low - 1].offset + h->list[low - 1].bytes == offset;
    bool joins_right = low < h->count && offset + bytes == h->list[low].offset;
    if (joins_left) {
        h->list[low - 1].bytes += bytes;
        if (joins_right) {
            h->list[low - 1].bytes += h->list[low].bytes;
            memmove(&h->list[low], &h->list[low + 1], (size_t)(h->count - low - 1) * sizeof *h->list);
            h->count--;
        }
        return true;
    }
    if (joins_right) {
        h->list[low].offset = offset;
        h->list[low].bytes += bytes;
        return true;
    }
    if (!schedule_grow((void **)&h->list, h->count, &h->capacity, sizeof *h->list))
        return false;
    memmove(&h->list[low + 1], &h->list[low], (size_t)(h->count - low) * sizeof *h->list);
    h->list[low] = (hole){offset, bytes};
    h->count++;
    return true;
}

/* Offsets in time order. Returns the arena's size, -1 if memory runs out. */
static int64_t place_in_time(unit *units, int32_t count, int32_t steps)
{
    holes h = {0};
    int32_t *heads = malloc(((size_t)steps + 1) * 2 * sizeof *heads), *dying = heads + steps + 1;
    bool good = heads;
    if (!heads)
        return -1;
    memset(heads, 0xff, ((size_t)steps + 1) * 2 * sizeof *heads);
    for (int32_t u = count; u-- > 0;) {
        units[u].next = heads[units[u].first];
        heads[units[u].first] = u;
    }
    for (int32_t step = 0; step < steps && good; step++) {
        for (int32_t u = heads[step]; u >= 0 && good;) {
            int32_t next = units[u].next;
            good = take(&h, units[u].bytes, &units[u].offset);
            units[u].next = dying[units[u].last];
            dying[units[u].last] = u;
            u = next;
        }
        for (int32_t u = dying[step]; u >= 0 && good; u = units[u].next)
            good = give(&h, units[u].offset, units[u].bytes);
    }
    free(h.list);
    free(heads);
    return good ? h.top : -1;
}

/* ---------------------------------------------------------------- placement by size */

typedef struct placed {
    int64_t offset, bytes;
    int32_t first, last, unit;
} placed;

static int larger_first(const void *x, const void *y)
{
    const placed *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    if (a->first != b->first) /* equal sizes in time order: then lowest fit is optimal (interval colouring) */
        return a->first < b->first ? -1 : 1;
    return a->unit - b->unit;
}

/* Returns the arena's size; offsets to offsets[]. -1 if memory runs out. */
static int64_t place_by_size(const unit *units, int32_t count, int64_t *offsets)
{
    placed *list = malloc(((size_t)count + 1) * sizeof *list);
    int32_t *order = malloc(((size_t)count + 1) * sizeof *order); /* placed ones by offset */
    int64_t top = 0;
    if (!list || !order) {
        free(list);
        free(order);
        return -1;
    }
    for (int32_t u = 0; u < count; u++)
        list[u] = (placed){0, units[u].bytes, units[u].first, units[u].last, u};
    qsort(list, (size_t)count, sizeof *list, larger_first);
    for (int32_t i = 0; i < count; i++) {
        int64_t at = 0, best = -1;
        for (int32_t k = 0; k < i; k++) {
            const placed *other = &list[order[k]];
            if (other->last < list[i].first || other->first > list[i].last)
                continue;
            if (other->offset - at >= list[i].bytes) {
                best = at;
                break;
            }
            at = other->offset + other->bytes > at ? other->offset + other->bytes : at;
        }
        list[i].offset = best >= 0 ? best : at;
        int32_t k = i;
        for (; k > 0 && list[order[k - 1]].offset > list[i].offset; k--)
            order[k] = order[k - 1];
        order[k] = i;
        offsets[list[i].unit] = list[i].offset;
        top = list[i].offset + list[i].bytes > top ? list[i].offset + list[i].bytes : top;
    }
    free(list);
    free(order);
    return top;
}

/* ---------------------------------------------------------------- the stage */

static int64_t lower_bound(const unit *units, int32_t count, int32_t steps)
{
    int64_t *change = calloc((size_t)steps + 2, sizeof *change), most = 0, now = 0;
    if (!change)
        return -1;
    for (int32_t u = 0; u < count; u++) {
        change[units[u].first] += units[u].bytes;
        change[units[u].last + 1] -= units[u].bytes;
    }
    for (int32_t i = 0; i < steps; i++) {
        now += change[i];
        most = now > most ? now : most;
    }
    free(change);
    return most;
}

static clg_status place_units(plan *p, unit *units, int32_t count)
{
    p->arena_lower_bound = lower_bound(units, count, p->step_count);
    p->arena_bytes = place_in_time(units, count, p->step_count);
    if (p->arena_bytes < 0 || p->arena_lower_bound < 0)
        return clg_fail_memory();
    if (count > GREEDY_UNITS || p->arena_bytes == p->arena_lower_bound)
        return CLG_OK;
    int64_t *offsets = malloc(((size_t)count + 1) * sizeof *offsets);
    int64_t bytes = offsets ? place_by_size(units, count, offsets) : -1;
    for (int32_t u = 0; u < count && bytes >= 0 && bytes < p->arena_bytes; u++)
        units[u].offset = offsets[u];
    if (bytes >= 0 && bytes < p->arena_bytes)
        p->arena_bytes = bytes;
    free(offsets);
    return bytes < 0 ? clg_fail_memory() : CLG_OK;
}

clg_status plan_memory(plan *p)
{
    int32_t *unit_of = malloc(((size_t)p->buffer_count + 1) * 2 * sizeof *unit_of);
    int32_t *number = unit_of + p->buffer_count + 1, count = 0;
    unit *units = malloc(((size_t)p->buffer_count + 1) * sizeof *units);
    clg_status status = unit_of && units ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK) {
        lifetimes(p);
        int32_t *first = number; /* join_in_place borrows the field to mark taken operands */
        for (int32_t b = 0; b < p->buffer_count; b++) {
            unit_of[b] = b;
            first[b] = p->buffers[b].first;
        }
        join_in_place(p, unit_of);
        for (int32_t b = 0; b < p->buffer_count; b++)
            p->buffers[b].first = first[b];
        for (int32_t b = 0; b < p->buffer_count; b++) {
            plan_buffer *buffer = &p->buffers[b];
            number[b] = -1;
            if (buffer->kind != BUFFER_ARENA || buffer->first < 0 || unit_of[b] != b)
                continue;
            int64_t bytes = (buffer->bytes + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
            number[b] = count;
            units[count++] = (unit){buffer->first, buffer->last, bytes ? bytes : PLAN_ALIGNMENT, 0, -1};
        }
        for (int32_t b = 0; b < p->buffer_count; b++) {
            if (unit_of[b] == b)
                continue;
            unit *u = &units[number[b] = number[unit_of[b]]];
            u->last = p->buffers[b].last > u->last ? p->buffers[b].last : u->last;
        }
        status = place_units(p, units, count);
        for (int32_t b = 0; b < p->buffer_count && status == CLG_OK; b++)
            if (number[b] >= 0)
                p->buffers[b].offset = units[number[b]].offset;
    }
    free(unit_of);
    free(units);
    return status;
}
