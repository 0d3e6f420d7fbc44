/* The containers of scheduling: the stack of a walk, lists of nodes, the pairs that it has seen, the plan's buffers. */
#include "schedule.h"

#include <stdlib.h>

bool schedule_push(scheduler *f, int32_t node, int32_t access)
{
    if (!ARRAY_ROOM(f->stack.items, f->stack.count, f->stack.capacity))
        return false;
    f->stack.items[f->stack.count++] = (located){node, access};
    return true;
}

bool schedule_add(node_list *list, int32_t node)
{
    if (!ARRAY_ROOM(list->items, list->count, list->capacity))
        return false;
    list->items[list->count++] = node;
    return true;
}

/* ---------------------------------------------------------------- pairs seen in a walk */

void schedule_new_stamp(scheduler *f)
{
    f->stamp++;
    f->seen.count = 0;
}

static int32_t *seen_slot(scheduler *f, uint64_t key, bool *found)
{
    uint32_t mask = (uint32_t)(f->seen.capacity - 1), slot = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & mask;
    for (; f->seen.stamp[slot] == f->stamp; slot = (slot + 1) & mask)
        if (f->seen.key[slot] == key) {
            *found = true;
            return &f->seen.value[slot];
        }
    *found = false;
    f->seen.key[slot] = key;
    f->seen.stamp[slot] = f->stamp;
    f->seen.count++;
    return &f->seen.value[slot];
}

static bool seen_grow(scheduler *f)
{
    int32_t old = f->seen.capacity, larger = old ? old * 4 : 256;
    uint64_t *keys = f->seen.key;
    int32_t *stamps = f->seen.stamp, *values = f->seen.value;
    f->seen.key = malloc((size_t)larger * sizeof *keys);
    f->seen.stamp = calloc((size_t)larger, sizeof *stamps);
    f->seen.value = malloc((size_t)larger * sizeof *values);
    bool good = f->seen.key && f->seen.stamp && f->seen.value;
    f->seen.capacity = larger;
    f->seen.count = 0;
    for (int32_t i = 0; good && i < old; i++)
        if (stamps[i] == f->stamp) {
            bool found;
            *seen_slot(f, keys[i], &found) = values[i];
        }
    free(keys);
    free(stamps);
    free(values);
    if (!good)
        clg_fail_memory();
    return good;
}

int32_t *schedule_seen(scheduler *f, int32_t node, int32_t access, bool *found)
{
    if (f->seen.count * 2 >= f->seen.capacity && !seen_grow(f))
        return NULL;
    return seen_slot(f, (uint64_t)(uint32_t)node << 32 | (uint32_t)access, found);
}

/* ---------------------------------------------------------------- the plan */

int32_t schedule_buffer(scheduler *f, plan_buffer buffer)
{
    plan *p = f->p;
    if (!ARRAY_ROOM(p->buffers, p->buffer_count, p->buffer_capacity))
        return -1;
    buffer.bytes = buffer.count * (int64_t)clg_dtype_size(buffer.dtype);
    buffer.first = buffer.last = -1;
    p->buffers[p->buffer_count] = buffer;
    return p->buffer_count++;
}
