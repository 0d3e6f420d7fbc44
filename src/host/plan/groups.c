/* Groups: their spaces, and which values they keep in memory or read from it. */
#include "schedule.h"

#include <stdlib.h>

enum {
    SPLIT_ELEMENTS = 1 << 18, /* reductions over fewer elements are never split, */
    SPLIT_INNER = 512         /* nor are those that add up fewer */
};

space group_space(clg_shape shape, uint32_t inner)
{
    space sp = {0};
    for (int d = 0; d < shape.rank; d++) {
        if (shape.dim[d] == 1)
            continue;
        sp.inner |= (inner >> d & 1) << sp.rank;
        sp.extent[sp.rank++] = shape.dim[d];
    }
    return sp;
}

int64_t group_workers(const group *g)
{
    enum { LANE_BLOCK = 128 }; /* outer positions that a worker takes at once when lanes run over them */
    bool rows = g->sp.inner >> (g->sp.rank - 1) & 1;
    return rows ? g->outer_count : g->outer_count / LANE_BLOCK + 1;
}

/* Space of a group that a node opens, and what follows from it. Matrix products keep all three dimensions. */
bool group_fill(scheduler *f, group *g, plan_step_kind kind, space sp)
{
    *g = (group){
        .kind = kind, .sp = sp, .full_count = 1, .outer_count = 1, .node = -1, .first_store = -1, .first_walked = -1};
    g->copy_from = g->copy_to = -1;
    for (int d = 0; d < sp.rank; d++) {
        g->full_count *= sp.extent[d];
        g->outer_count *= sp.inner >> d & 1 ? 1 : sp.extent[d];
    }
    node_access full = access_identity(&sp, false), outer = access_identity(&sp, true);
    g->full_access = access_intern(&f->accesses, &full);
    g->outer_access = access_intern(&f->accesses, &outer);
    g->copy_access = g->copy_to_access = g->full_access;
    if (sp.inner && kind == STEP_LOOP) {
        g->split = g->full_count >= SPLIT_ELEMENTS && g->full_count >= SPLIT_INNER * g->outer_count &&
                   group_workers(g) < f->traits.units;
    }
    return g->full_access >= 0 && g->outer_access >= 0;
}

bool group_canonical(const scheduler *f, const group *g, int32_t node, int32_t access)
{
    int64_t count = f->s->nodes[node].count;
    return (access == g->full_access && count == g->full_count) ||
           (access == g->outer_access && count == g->outer_count);
}

int32_t *group_latest(scheduler *f, int64_t count)
{
    return &f->latest[(uint64_t)count * 0x9e3779b97f4a7c15u >> 54 & (uint64_t)(f->latest_capacity - 1)];
}

int32_t group_append(scheduler *f, const group *g)
{
    if (!ARRAY_ROOM(f->groups, f->group_count, f->group_capacity))
        return -1;
    f->groups[f->group_count] = *g;
    *group_latest(f, g->full_count) = f->group_count;
    *group_latest(f, g->outer_count) = f->group_count;
    return f->group_count++;
}

/* ---------------------------------------------------------------- storing */

clg_status group_store(scheduler *f, int32_t node, int32_t group_index, int32_t buffer, int32_t access)
{
    if (buffer < 0 || !ARRAY_ROOM(f->stores, f->store_count, f->store_capacity))
        return CLG_ERROR_MEMORY;
    f->stores[f->store_count] = (store){node, f->groups[group_index].first_store, buffer, access};
    f->groups[group_index].first_store = f->store_count++;
    return CLG_OK;
}

bool group_buffer(scheduler *f, int32_t node)
{
    node_state *state = &f->state[node];
    const sub_node *n = &f->s->nodes[node];
    state->stored = true;
    state->buffer = schedule_buffer(f, (plan_buffer){.kind = n->output ? BUFFER_OUTPUT : BUFFER_ARENA,
                                                     .dtype = (clg_dtype)n->dtype,
                                                     .count = n->count,
                                                     .binding = n->output ? n->binding : -1,
                                                     .node = n->id});
    return state->buffer >= 0;
}

/* Keeps the value of a placed node in memory. */
clg_status group_keep(scheduler *f, int32_t node)
{
    const node_state *state = &f->state[node];
    if (state->stored)
        return CLG_OK;
    if (!group_buffer(f, node))
        return CLG_ERROR_MEMORY;
    return group_store(f, node, state->group, state->buffer, -1);
}

/* Records that a group reads a node's buffer; stray: at another access than the group's own. */
void group_read(scheduler *f, int32_t node, int32_t index, bool stray)
{
    node_state *state = &f->state[node];
    state->reader = index > state->reader ? index : state->reader;
    if (stray)
        state->strays = index > state->strays ? index : state->strays;
}

uint32_t group_row(const scheduler *f, const space *sp, uint32_t outer, int64_t *row)
{
    enum { LEAST = 64 }; /* elements that make a loop over a row worth its start */
    int64_t positions = 1;
    uint32_t inner = 0;
    for (int d = 0; d < sp->rank; d++)
        positions *= sp->extent[d];
    *row = 1;
    for (int d = sp->rank; positions > 0 && d-- > 0 && !(outer >> d & 1);) {
        if (positions / (*row * sp->extent[d]) < f->traits.units)
            break;
        *row *= sp->extent[d];
        inner |= 1u << d;
    }
    return *row < LEAST ? 0 : inner;
}
