/* Assignments: leaves take new values at the end of a run. The values are placed like any others; the store into the
 * leaf happens where they are made if nobody who wants the old value comes later, else by a copy at the end. */
#include "schedule.h"

#include <stdlib.h>

static clg_status add_copy(scheduler *f, int32_t from, int32_t to, int64_t count)
{
    group g;
    if (from < 0 || to < 0 || !group_fill(f, &g, STEP_LOOP, group_space(CLG_SHAPE(count), 0)))
        return CLG_ERROR_MEMORY;
    g.copy_from = from;
    g.copy_to = to;
    return group_append(f, &g) < 0 ? CLG_ERROR_MEMORY : CLG_OK;
}

/* All assigned values are evaluated before any leaf changes that a later group reads. */
static clg_status evaluate_assigned(scheduler *f, int32_t node, int32_t *buffer)
{
    const sub_node *n = &f->s->nodes[node], *value = &f->s->nodes[n->src[1]];
    *buffer = -1;
    if (value->op != OP_INPUT)
        return f->state[n->src[1]].group >= 0 ? CLG_OK : fuse_place(f, n->src[1], f->state[n->src[0]].reader);
    *buffer = schedule_buffer(
        f, (plan_buffer){.kind = BUFFER_ARENA, .dtype = (clg_dtype)value->dtype, .count = value->count, .node = n->id});
    group_read(f, n->src[1], f->group_count, true);
    return add_copy(f, f->state[n->src[1]].buffer, *buffer, value->count);
}

/* The leaf's buffer is stored to directly where no other reader can see the new value; else by a copy at the end. */
static clg_status commit_assigned(scheduler *f, int32_t node, int32_t temporary)
{
    const sub_node *n = &f->s->nodes[node];
    const node_state *target = &f->state[n->src[0]], *value = &f->state[n->src[1]];
    if (temporary >= 0)
        return add_copy(f, temporary, target->buffer, n->count);
    const group *g = &f->groups[value->group];
    bool last = value->group >= target->reader && value->group > target->strays;
    bool simple = g->kind != STEP_ARRAY && g->copy_from < 0 && f->s->nodes[n->src[1]].op != OP_JOIN &&
                  !(g->sp.inner && n->count == g->full_count && g->full_count != g->outer_count);
    if (last && simple)
        return group_store(f, n->src[1], value->group, target->buffer, -1);
    clg_status status = group_keep(f, n->src[1]);
    return status == CLG_OK ? add_copy(f, value->buffer, target->buffer, n->count) : status;
}

/* One of no elements changes nothing. */
static bool is_assignment(const sub_node *n) { return n->op == OP_ASSIGN && n->count > 0; }

clg_status fuse_assignments(scheduler *f)
{
    const subgraph *s = f->s;
    int32_t count = 0;
    for (int32_t i = 0; i < s->count; i++)
        count += is_assignment(&s->nodes[i]);
    int32_t *temporaries = malloc(((size_t)count + 1) * sizeof *temporaries);
    clg_status status = temporaries ? CLG_OK : clg_fail_memory();
    for (int32_t i = 0, k = 0; i < s->count && status == CLG_OK; i++)
        if (is_assignment(&s->nodes[i]))
            status = evaluate_assigned(f, i, &temporaries[k++]);
    for (int32_t i = 0, k = 0; i < s->count && status == CLG_OK; i++)
        if (is_assignment(&s->nodes[i]))
            status = commit_assigned(f, i, temporaries[k++]);
    free(temporaries);
    return status;
}
