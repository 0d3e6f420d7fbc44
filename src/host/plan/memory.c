/* The memory plan: lifetimes of intermediate buffers, in-place reuse, offsets in one arena.
 *
 * A buffer whose last reader is an elementwise step may give its place to a result of that step. Buffers joined that
 * way form a unit. Units are placed by two strategies, both deterministic, and the smaller arena wins: in time
 * order with a constant-time allocator, and, for plans of moderate size, largest first at the lowest free offset
 * ("greedy by size", Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference", section 5).
 */
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
        if (step->kind == STEP_CONTRACT) {
            touch(p, step->operand[0].buffer, i);
            touch(p, step->operand[1].buffer, i);
            touch(p, step->product, i);
        } else if (step->kind == STEP_ARRAY) {
            touch(p, step->array.operand[0], i);
            touch(p, step->array.operand[1], i);
            touch(p, step->array.result, i);
        }
    }
}

/* ---------------------------------------------------------------- in place */

/* How one step reads a buffer that dies there. */
typedef struct dying_buffer {
    int32_t buffer;
    int32_t access, section; /* of its loads; section -1: they differ, so the buffer cannot be taken over */
} dying_buffer;

static bool may_take_over(const plan *p, int32_t step, int32_t buffer)
{
    const plan_buffer *b = &p->buffers[buffer];
    return b->kind == BUFFER_ARENA && b->last == step && b->first != step;
}

/* Buffers that die in the step, with the access and section of their loads. index_of: scratch, -1 for every buffer. */
static int32_t list_dying(const plan *p, int32_t i, dying_buffer *list, int32_t *index_of)
{
    const plan_step *step = &p->steps[i];
    int32_t count = 0;
    for (int32_t s = 0; s < step->section_count; s++)
        for (int32_t k = step->sections[s].first; k < step->sections[s].first + step->sections[s].count; k++) {
            const plan_instr *in = &step->instrs[k];
            if (in->kind != INSTR_LOAD || !may_take_over(p, i, in->buffer))
                continue;
            /* a load hoisted out of the loops, or of a computed row, sees other elements than those written */
            bool elementwise = step->sections[s].kind != SECTION_ONCE && in->src[0] < 0;
            if (index_of[in->buffer] < 0) {
                index_of[in->buffer] = count;
                list[count++] = (dying_buffer){in->buffer, in->access, elementwise ? s : -1};
            } else {
                dying_buffer *seen = &list[index_of[in->buffer]];
                if (!elementwise || seen->access != in->access || seen->section != s)
                    seen->section = -1;
            }
        }
    for (int32_t k = 0; k < count; k++)
        index_of[list[k].buffer] = -1;
    return count;
}

/* Results of an elementwise step take the place of operands that die there, if all loads of the operand are at the
 * access and in the section of the store: then each element is read before it is overwritten, by whoever overwrites it.
 */
static void join_step(plan *p, int32_t i, dying_buffer *list, int32_t *index_of, int32_t *unit_of)
{
    enum { TRIES = 32 }; /* keeps the pass linear */
    const plan_step *step = &p->steps[i];
    int32_t count = list_dying(p, i, list, index_of), first = 0;
    for (int32_t s = 0; s < step->section_count && count; s++)
        for (int32_t k = step->sections[s].first; k < step->sections[s].first + step->sections[s].count; k++) {
            const plan_instr *in = &step->instrs[k];
            if (in->kind != INSTR_STORE)
                continue;
            const plan_buffer *b = &p->buffers[in->buffer];
            if (b->kind != BUFFER_ARENA || b->first != i || unit_of[in->buffer] != in->buffer)
                continue;
            while (first < count && list[first].section < 0)
                first++;
            for (int32_t c = first; c < count && c < first + TRIES; c++) {
                const plan_buffer *x = &p->buffers[list[c].buffer];
                if (list[c].section != s || list[c].access != in->access || x->bytes != b->bytes ||
                    x->dtype != b->dtype)
                    continue;
                unit_of[in->buffer] = unit_of[list[c].buffer];
                list[c].section = -1; /* taken */
                break;
            }
        }
}

static clg_status join_in_place(plan *p, int32_t *unit_of)
{
    dying_buffer *list = malloc(((size_t)p->buffer_count + 1) * sizeof *list);
    int32_t *index_of = malloc(((size_t)p->buffer_count + 1) * sizeof *index_of);
    clg_status status = list && index_of ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK) {
        memset(index_of, 0xff, ((size_t)p->buffer_count + 1) * sizeof *index_of);
        for (int32_t i = 0; i < p->step_count; i++)
            if (p->steps[i].kind == STEP_LOOP && p->steps[i].splits == 1)
                join_step(p, i, list, index_of, unit_of);
    }
    free(list);
    free(index_of);
    return status;
}

/* ---------------------------------------------------------------- placement in time order */

/* A constant-time allocator for offsets: blocks in a list by address, free ones also in lists by size class, eight
 * classes for each power of two ("TLSF", Masmano et al. 2004). */
enum { CLASSES = 64 * 8, CLASS_TRIES = 8 };

typedef struct block {
    int64_t offset, bytes;
    int32_t before, after;            /* by address; -1: none */
    int32_t previous_free, next_free; /* in its class */
    bool free;
} block;

typedef struct heap {
    block *blocks;
    int32_t count, capacity, spare; /* spare: list of unused entries, by next_free */
    int32_t last;                   /* by address */
    int32_t classes[CLASSES];
} heap;

static int class_of(int64_t bytes)
{
    int log = 63 - __builtin_clzll((unsigned long long)bytes);
    return log * 8 + (int)(log >= 3 ? bytes >> (log - 3) & 7 : 0);
}

static void free_push(heap *h, int32_t i)
{
    int32_t *head = &h->classes[class_of(h->blocks[i].bytes)];
    h->blocks[i].free = true;
    h->blocks[i].previous_free = -1;
    h->blocks[i].next_free = *head;
    if (*head >= 0)
        h->blocks[*head].previous_free = i;
    *head = i;
}

static void free_remove(heap *h, int32_t i)
{
    block *b = &h->blocks[i];
    b->free = false;
    if (b->next_free >= 0)
        h->blocks[b->next_free].previous_free = b->previous_free;
    if (b->previous_free >= 0)
        h->blocks[b->previous_free].next_free = b->next_free;
    else
        h->classes[class_of(b->bytes)] = b->next_free;
}

/* A new block behind block i (-1: the first). -1: out of memory. */
static int32_t insert_after(heap *h, int32_t i, int64_t offset, int64_t bytes)
{
    int32_t made = h->spare;
    if (made >= 0)
        h->spare = h->blocks[made].next_free;
    else if (ARRAY_ROOM(h->blocks, h->count, h->capacity))
        made = h->count++;
    else
        return -1;
    int32_t after = i >= 0 ? h->blocks[i].after : -1;
    h->blocks[made] = (block){offset, bytes, i, after, -1, -1, false};
    if (i >= 0)
        h->blocks[i].after = made;
    if (after >= 0)
        h->blocks[after].before = made;
    else
        h->last = made;
    return made;
}

/* Joins block i with the one behind it. */
static void absorb_next(heap *h, int32_t i)
{
    int32_t gone = h->blocks[i].after;
    h->blocks[i].bytes += h->blocks[gone].bytes;
    h->blocks[i].after = h->blocks[gone].after;
    if (h->blocks[gone].after >= 0)
        h->blocks[h->blocks[gone].after].before = i;
    else
        h->last = i;
    h->blocks[gone].next_free = h->spare;
    h->spare = gone;
}

static int32_t find_free(const heap *h, int64_t bytes)
{
    int c = class_of(bytes), tries = 0;
    int32_t best = -1;
    for (int32_t i = h->classes[c]; i >= 0 && tries++ < CLASS_TRIES; i = h->blocks[i].next_free)
        if (h->blocks[i].bytes >= bytes && (best < 0 || h->blocks[i].bytes < h->blocks[best].bytes))
            best = i;
    for (c++; best < 0 && c < CLASSES; c++)
        best = h->classes[c];
    return best;
}

/* Returns the block, -1 if memory runs out. */
static int32_t heap_take(heap *h, int64_t bytes)
{
    int32_t i = find_free(h, bytes);
    if (i < 0 && h->last >= 0 && h->blocks[h->last].free) { /* the arena grows at its end */
        i = h->last;
        free_remove(h, i);
        h->blocks[i].bytes = bytes;
        return i;
    }
    if (i < 0)
        return insert_after(h, h->last, h->last < 0 ? 0 : h->blocks[h->last].offset + h->blocks[h->last].bytes, bytes);
    free_remove(h, i);
    if (h->blocks[i].bytes > bytes) {
        int32_t rest = insert_after(h, i, h->blocks[i].offset + bytes, h->blocks[i].bytes - bytes);
        if (rest < 0)
            return -1;
        h->blocks[i].bytes = bytes;
        free_push(h, rest);
    }
    return i;
}

static void heap_give(heap *h, int32_t i)
{
    int32_t after = h->blocks[i].after, before = h->blocks[i].before;
    if (after >= 0 && h->blocks[after].free) {
        free_remove(h, after);
        absorb_next(h, i);
    }
    if (before >= 0 && h->blocks[before].free) {
        free_remove(h, before);
        absorb_next(h, before);
        i = before;
    }
    free_push(h, i);
}

/* Offsets in time order. Returns the arena's size, -1 if memory runs out. */
static int64_t place_in_time(unit *units, int32_t count, int32_t steps)
{
    heap h = {.spare = -1, .last = -1};
    memset(h.classes, 0xff, sizeof h.classes);
    int32_t *heads = malloc(((size_t)steps + 1) * 2 * sizeof *heads), *ending = heads + steps + 1;
    int32_t *block_of = malloc(((size_t)count + 1) * sizeof *block_of);
    bool good = heads && block_of;
    if (good)
        memset(heads, 0xff, ((size_t)steps + 1) * 2 * sizeof *heads);
    for (int32_t u = count; u-- > 0 && good;) {
        units[u].next = heads[units[u].first];
        heads[units[u].first] = u;
    }
    for (int32_t step = 0; step < steps && good; step++) {
        for (int32_t u = heads[step], next; u >= 0 && good; u = next) {
            next = units[u].next;
            block_of[u] = heap_take(&h, units[u].bytes);
            good = block_of[u] >= 0;
            units[u].offset = good ? h.blocks[block_of[u]].offset : 0;
            units[u].next = ending[units[u].last];
            ending[units[u].last] = u;
        }
        for (int32_t u = ending[step]; u >= 0 && good; u = units[u].next)
            heap_give(&h, block_of[u]);
    }
    int64_t top = h.last < 0 ? 0 : h.blocks[h.last].offset + h.blocks[h.last].bytes;
    free(h.blocks);
    free(heads);
    free(block_of);
    return good ? top : -1;
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
    for (int32_t b = 0; b < p->buffer_count && status == CLG_OK; b++)
        unit_of[b] = b;
    if (status == CLG_OK) {
        lifetimes(p);
        status = join_in_place(p, unit_of);
    }
    if (status == CLG_OK) {
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
