/* The scheduling stage as a sequence: fuse nodes into groups, lower groups to steps, place buffers in memory. Also
 * the small containers that fuse.c and lower.c share. */
#include "access.h"
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

bool schedule_push(scheduler *f, int32_t node, int32_t access)
{
    if (!ARRAY_ROOM(f->stack.items, f->stack.count, f->stack.capacity))
        return false;
    f->stack.items[f->stack.count++] = (located){node, access};
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

void plan_free(plan *p)
{
    if (!p)
        return;
    for (int32_t i = 0; i < p->step_count; i++) {
        free(p->steps[i].instrs);
        free(p->steps[i].sections);
        free(p->steps[i].accesses);
        free(p->steps[i].bounds);
    }
    free(p->steps);
    free(p->buffers);
    free(p);
}

clg_status schedule_plan(const subgraph *s, schedule_traits traits, plan **out)
{
    scheduler f = {.s = s, .traits = traits, .latest_capacity = 1024};
    f.p = calloc(1, sizeof *f.p);
    f.state = malloc(((size_t)s->count + 1) * sizeof *f.state);
    f.latest = malloc((size_t)f.latest_capacity * sizeof *f.latest);
    bool allocated = f.p && f.state && f.latest;
    clg_status status = allocated ? access_table_init(&f.accesses) : clg_fail_memory();
    if (status == CLG_OK)
        status = fuse(&f);
    if (status == CLG_OK)
        status = lower(&f);
    if (status == CLG_OK)
        status = plan_memory(f.p);
    access_table_free(&f.accesses);
    free(f.state);
    free(f.latest);
    free(f.groups);
    free(f.stores);
    free(f.stack.items);
    free(f.seen.key);
    free(f.seen.stamp);
    free(f.seen.value);
    if (status != CLG_OK) {
        plan_free(f.p);
        return status;
    }
    *out = f.p;
    return CLG_OK;
}

/* Elements that an access touches. */
static double touched(const plan_step *step, const plan_access *access)
{
    double count = 1;
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        count *= access->stride[d] ? (double)step->extent[d] : 1;
    return count;
}

/* Lanes run over inner positions if most of what is loaded and stored is contiguous there, and rows are long enough. */
bool plan_lanes_inner(const plan_step *step)
{
    if (step->kind != STEP_LOOP || step->inner_rank == 0)
        return false;
    int last_inner = step->outer_rank + step->inner_rank - 1, last_outer = step->outer_rank - 1;
    double inner = 0, outer = 0;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *in = &step->instrs[i];
        if (in->kind != INSTR_LOAD && in->kind != INSTR_STORE)
            continue;
        const plan_access *access = &step->accesses[in->access];
        if (access->stride[last_inner] == 1)
            inner += touched(step, access);
        else if (last_outer >= 0 && access->stride[last_outer] == 1)
            outer += touched(step, access);
    }
    if (outer > inner)
        return false;
    return step->inner_count >= 32 || step->outer_count < 32;
}

/* Two accesses, and what they give outside their bounds. */
static bool same_access(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    const plan_access *x = &step->accesses[a->access], *y = &step->accesses[b->access];
    if (x->offset != y->offset || memcmp(x->stride, y->stride, sizeof x->stride) || x->bound_count != y->bound_count)
        return false;
    return x->bound_count == 0 || (!memcmp(&step->bounds[x->first_bound], &step->bounds[y->first_bound],
                                           (size_t)x->bound_count * sizeof *step->bounds) &&
                                   !memcmp(&a->value, &b->value, sizeof a->value));
}

bool plan_same_function(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype)
        return false;
    switch ((plan_instr_kind)a->kind) {
    case INSTR_CONST:
        return memcmp(&a->value, &b->value, sizeof a->value) == 0;
    case INSTR_IOTA:
    case INSTR_MASK:
        return same_access(step, a, b);
    case INSTR_LOAD:
        return a->buffer == b->buffer && a->row_stride == b->row_stride && a->row_count == b->row_count &&
               same_access(step, a, b);
    case INSTR_MAP:
        return a->op == b->op;
    default:
        return false;
    }
}
