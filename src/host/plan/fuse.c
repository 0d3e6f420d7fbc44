/* Fusion: which nodes share a step.
 *
 * Nodes are visited in topological order. Elementwise nodes and views wait until something demands them; reductions,
 * matrix products and operations on whole arrays are placed into a group when visited, and pull the elementwise nodes
 * and views under them into it. A value that a matrix product, the caller or an assignment needs in memory is placed
 * likewise. A group runs after the groups with smaller indices, so a node may join a group if every value it reads from
 * memory was made by an earlier one; it joins the latest such group of the same iteration space, else it opens a new
 * one. That is greedy and linear.
 *
 * An elementwise node that several groups read is evaluated again in each if that is cheap, else stored by the first.
 */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

static uint16_t saturate(int64_t value) { return value > 30000 ? 30000 : (uint16_t)value; }

/* ---------------------------------------------------------------- placing */

/* Tries to put root into an existing group; on success *changed is the group as it is to become. */
static bool joins(scheduler *f, int32_t root, int32_t index, int32_t least, const space *own, group *changed, walk *w)
{
    const sub_node *n = &f->s->nodes[root];
    if (index < 0 || index < least || index >= f->group_count)
        return false;
    *changed = f->groups[index];
    if (changed->kind == STEP_ARRAY || changed->copy_from >= 0)
        return false;
    bool reduces = walk_is_reduction(n);
    int32_t access = changed->full_access;
    if (reduces) {
        space sp = changed->sp;
        sp.inner = own->inner;
        if (changed->kind != STEP_LOOP || memcmp(&sp, own, sizeof sp) ||
            (changed->sp.inner && changed->sp.inner != own->inner))
            return false;
        if (!changed->sp.inner) { /* an elementwise group begins to reduce */
            group wider;
            if (!group_fill(f, &wider, STEP_LOOP, *own) || wider.split)
                return false;
            wider.first_store = changed->first_store;
            wider.first_walked = changed->first_walked;
            wider.cost = changed->cost;
            *changed = wider;
        }
    } else if (n->count == changed->outer_count && changed->sp.inner) {
        access = changed->outer_access;
    } else if (n->count != changed->full_count || changed->split) {
        return false;
    }
    *w = (walk){.g = changed, .index = index};
    walk_tree(f, w, root, access);
    bool good = w->status == CLG_OK && w->fits && f->blockers.count == 0 && w->latest < index &&
                changed->cost + w->cost <= f->traits.max_body;
    if (changed->split && w->inside_outer && access == changed->full_access)
        return false;
    /* an elementwise node that shares nothing with a reduction or matrix product gains nothing from its loops */
    if (!reduces && (changed->sp.inner || changed->kind != STEP_LOOP) && !w->inside)
        return false;
    return good;
}

static clg_status commit(scheduler *f, int32_t root, int32_t index, const group *g)
{
    int32_t access = g->full_access;
    if (!walk_is_reduction(&f->s->nodes[root]) && f->s->nodes[root].count != g->full_count)
        access = g->outer_access;
    group copy = *g; /* group_keep() may move or change the array's groups, not this one's stores */
    walk w = {.g = &copy, .index = index, .commit = true};
    walk_tree(f, &w, root, access);
    f->groups[index].cost += w.cost;
    f->state[root].group = index;
    f->state[root].cost = f->state[root].loads = 1;
    if (w.status == CLG_OK && (!w.fits || f->blockers.count > 0)) /* cannot be: it was tried before */
        return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: %s does not fit its group",
                        clg_ops[f->s->nodes[root].op].name);
    return w.status;
}

/* Puts root, which nothing blocks, into the latest group that takes it, or a new one. */
static clg_status place_in_group(scheduler *f, int32_t root, int32_t least, const space *own, const group *fresh,
                                 const walk *alone)
{
    const sub_node *n = &f->s->nodes[root];
    int32_t candidates[2] = {*group_latest(f, walk_is_reduction(n) ? fresh->full_count : n->count), alone->latest};
    if (alone->cost <= f->traits.max_body) /* else it is alone anyway */
        for (int i = 0; i < 2; i++) {
            group changed;
            walk attempt;
            if (i && candidates[1] == candidates[0])
                continue;
            if (joins(f, root, candidates[i], least, own, &changed, &attempt)) {
                f->groups[candidates[i]] = changed;
                return commit(f, root, candidates[i], &changed);
            }
        }
    int32_t index = group_append(f, fresh);
    return index < 0 ? CLG_ERROR_MEMORY : commit(f, root, index, fresh);
}

static bool is_placed(const scheduler *f, int32_t node)
{
    return schedule_is_given(&f->s->nodes[node]) || f->state[node].group >= 0;
}

/* Places root, if nothing blocks it; else what does is in f->blockers. */
static clg_status try_to_place(scheduler *f, int32_t root, int32_t least)
{
    const sub_node *n = &f->s->nodes[root];
    space own = n->op == OP_CONTRACT   ? contract_space(f, root)
                : walk_is_reduction(n) ? group_space(f->s->shapes[n->in_shape[0]], (uint32_t)n->attr.integer)
                                       : group_space(f->s->shapes[n->shape], 0);
    group fresh;
    if (!group_fill(f, &fresh, STEP_LOOP, own))
        return CLG_ERROR_MEMORY;
    walk w = {.g = &fresh, .index = f->group_count};
    walk_tree(f, &w, root, fresh.full_access);
    if (w.status != CLG_OK || f->blockers.count > 0)
        return w.status;
    return place_in_group(f, root, least, &own, &fresh, &w);
}

static int descending(const void *x, const void *y)
{
    const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* What blocks a node is placed before it, and kept by whoever reads it: a stack, since it may be blocked in turn. Of
 * several the first in topological order is on top: what it does not need can't block it. */
clg_status fuse_place(scheduler *f, int32_t root, int32_t least)
{
    const int32_t bottom = f->pending.count;
    clg_status status = schedule_add(&f->pending, root) ? CLG_OK : CLG_ERROR_MEMORY;
    while (f->pending.count > bottom && status == CLG_OK) {
        const int32_t node = f->pending.items[f->pending.count - 1];
        f->blockers.count = 0;
        if (!is_placed(f, node))
            status = try_to_place(f, node, node == root ? least : 0);
        if (f->blockers.count == 0)
            f->pending.count--;
        if (f->blockers.count > 1)
            qsort(f->blockers.items, (size_t)f->blockers.count, sizeof *f->blockers.items, descending);
        for (int32_t i = 0; i < f->blockers.count && status == CLG_OK; i++) {
            if (f->blockers.items[i] == node)
                status = clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: cannot materialise %s",
                                  clg_ops[f->s->nodes[node].op].name);
            else if (!schedule_add(&f->pending, f->blockers.items[i]))
                status = CLG_ERROR_MEMORY;
        }
    }
    f->pending.count = bottom;
    return status;
}

static clg_status materialise(scheduler *f, int32_t node)
{
    clg_status status = is_placed(f, node) ? CLG_OK : fuse_place(f, node, 0);
    return status == CLG_OK ? group_keep(f, node) : status;
}

/* ---------------------------------------------------------------- contractions, operations on whole arrays */

static clg_status place_contract(scheduler *f, int32_t node)
{
    if (contract_as_loop(f->s, node))
        return fuse_place(f, node, 0);
    contract_operands operands;
    group g;
    clg_status status = contract_place(f, node, &operands);
    for (int o = 0; o < 2 && status == CLG_OK; o++) {
        const node_state *own = &f->state[operands.node[o]];
        operands.function[o] = own->source >= 0 && !own->stored ? operands.node[o] : -1;
        operands.node[o] = operands.function[o] >= 0 ? own->source : operands.node[o];
        status = materialise(f, operands.node[o]);
    }
    if (status == CLG_OK)
        status = contract_arrange(f, node, &operands);
    if (status != CLG_OK)
        return status;
    space sp = {3, {operands.matmul.batch, operands.matmul.m, operands.matmul.n}, 0};
    if (!operands.is_matmul) {
        sp = operands.whole;
        while (sp.rank > 0 && sp.inner >> (sp.rank - 1) & 1)
            sp.rank--;
        sp.inner = 0;
    }
    if (!group_fill(f, &g, STEP_CONTRACT, sp))
        return CLG_ERROR_MEMORY;
    g.node = node;
    g.operands = operands;
    if (!operands.is_matmul) { /* positions may be in another order than the result's elements */
        node_access result = contract_result(f, node, &operands);
        g.full_access = g.outer_access = access_intern(&f->accesses, &result);
        if (g.full_access < 0)
            return CLG_ERROR_MEMORY;
    }
    g.cost = 1;
    f->state[node].group = group_append(f, &g);
    f->state[node].cost = f->state[node].loads = 1;
    for (int o = 0; o < (operands.arranged < 0 ? 2 : 1); o++)
        group_read(f, operands.node[o], f->group_count - 1, true);
    return f->state[node].group < 0 ? CLG_ERROR_MEMORY : CLG_OK;
}

static clg_status place_array(scheduler *f, int32_t node)
{
    const sub_node *n = &f->s->nodes[node];
    const int arity = clg_ops[n->op].arity;
    clg_status status = CLG_OK;
    group g;
    for (int i = 0; i < arity && status == CLG_OK; i++)
        status = materialise(f, n->src[i]);
    if (status != CLG_OK)
        return status;
    if (!group_fill(f, &g, STEP_ARRAY, group_space(f->s->shapes[n->shape], 0)))
        return CLG_ERROR_MEMORY;
    g.node = node;
    f->state[node].group = group_append(f, &g);
    f->state[node].cost = f->state[node].loads = 1;
    for (int i = 0; i < arity; i++)
        group_read(f, n->src[i], f->group_count - 1, true);
    return f->state[node].group < 0 ? CLG_ERROR_MEMORY : group_keep(f, node);
}

/* ---------------------------------------------------------------- joined parts */

/* Where a part that a group evaluates, or copies, lies in the whole. -1: it cannot be stored there by it. */
static int32_t access_of_part(scheduler *f, const group *g, const sub_part *part, clg_shape whole)
{
    const clg_shape shape = f->s->shapes[part->shape];
    const bool full = clg_shape_count(shape) == g->full_count;
    node_access to;
    if (g->kind == STEP_ARRAY || g->split || g->copy_from >= 0 ||
        !access_in_whole(&g->sp, &f->accesses.items[full ? g->full_access : g->outer_access], shape, whole,
                         part->before, &to))
        return -1;
    return access_intern(&f->accesses, &to);
}

/* By a step that only copies it. */
static clg_status copy_part(scheduler *f, const sub_part *part, clg_shape whole, int32_t buffer)
{
    group g;
    if (!group_fill(f, &g, STEP_LOOP, group_space(f->s->shapes[part->shape], 0)))
        return CLG_ERROR_MEMORY;
    g.copy_to_access = access_of_part(f, &g, part, whole);
    g.copy_from = f->state[part->node].buffer;
    g.copy_to = buffer;
    const int32_t index = group_append(f, &g);
    if (index < 0 || g.copy_to_access < 0)
        return CLG_ERROR_MEMORY;
    group_read(f, part->node, index, true);
    return CLG_OK;
}

/* Each part is stored where it lies by the group that evaluates it; leaves are copied. */
static clg_status place_join(scheduler *f, int32_t node)
{
    const sub_join *join = &f->s->joins[f->s->nodes[node].attr.integer];
    const clg_shape whole = f->s->shapes[f->s->nodes[node].shape];
    clg_status status = group_buffer(f, node) ? CLG_OK : CLG_ERROR_MEMORY;
    int32_t latest = -1;
    for (int32_t i = 0; i < join->count && status == CLG_OK; i++) {
        const sub_part *part = &f->s->parts[join->first + i];
        if (!is_placed(f, part->node))
            status = fuse_place(f, part->node, 0);
        if (status != CLG_OK)
            break;
        int32_t index = f->state[part->node].group, access = -1;
        if (index >= 0 && f->s->nodes[part->node].op != OP_JOIN)
            access = access_of_part(f, &f->groups[index], part, whole);
        if (access >= 0) {
            status = group_store(f, part->node, index, f->state[node].buffer, access);
        } else {
            status = group_keep(f, part->node);
            if (status == CLG_OK)
                status = copy_part(f, part, whole, f->state[node].buffer);
            index = f->group_count - 1;
        }
        latest = index > latest ? index : latest;
    }
    f->state[node].group = latest;
    f->state[node].cost = f->state[node].loads = 1;
    return status;
}

/* ---------------------------------------------------------------- the pass */

/* Cost of evaluating an inline node where it is used. */
static void estimate(scheduler *f, int32_t node)
{
    const sub_node *n = &f->s->nodes[node];
    int64_t cost = clg_ops[n->op].kind == KIND_GATHER ? 1 : clg_ops[n->op].cost, loads = 0;
    if (n->op == OP_CAST && (dtype_is_half((clg_dtype)n->dtype) || schedule_widens(f->s, node)))
        cost = 0; /* what it would take is less than what the memory for an f32 does */
    for (int s = 0; s < 3; s++) {
        if (n->src[s] < 0)
            continue;
        cost += f->state[n->src[s]].cost;
        loads += f->s->nodes[n->src[s]].count == n->count || n->op == OP_GATHER ? f->state[n->src[s]].loads : 0;
    }
    if (clg_ops[n->op].kind == KIND_VIEW && f->s->nodes[n->src[0]].count < n->count)
        cost =
            cost > 1 ? 1 : cost; /* small values are stored by whoever makes them: a load that many positions share */
    f->state[node].cost = saturate(cost);
    f->state[node].loads = saturate(loads);
}

static clg_status fuse_node(scheduler *f, int32_t i)
{
    const sub_node *n = &f->s->nodes[i];
    switch (clg_ops[n->op].kind) {
    case KIND_LEAF:
        f->state[i].cost = f->state[i].loads = n->op == OP_INPUT;
        return CLG_OK;
    case KIND_GATHER:
        if (materialise(f, n->src[0]) != CLG_OK)
            return CLG_ERROR_MEMORY;
        estimate(f, i);
        return CLG_OK;
    case KIND_MAP:
        if (f->dense[i]) /* now, while the group that computes its operands is the one to join */
            return materialise(f, i);
        if (schedule_rounds(f->s, i))
            return fuse_place(f, i, 0);
        estimate(f, i);
        return f->state[i].cost > f->traits.max_body / 4 && f->state[i].cost >= 30 ? fuse_place(f, i, 0) : CLG_OK;
    case KIND_VIEW:
        estimate(f, i);
        return f->state[i].cost > f->traits.max_body / 4 && f->state[i].cost >= 30 ? fuse_place(f, i, 0) : CLG_OK;
    case KIND_REDUCE:
        return fuse_place(f, i, 0);
    case KIND_CONTRACT:
        return place_contract(f, i);
    case KIND_SORT:
    case KIND_MATRIX:
    case KIND_SCAN:
    case KIND_SCATTER:
        return place_array(f, i);
    case KIND_JOIN:
        return place_join(f, i);
    default:
        return CLG_OK;
    }
}

void fuse_mark_dense(const subgraph *s, uint8_t *dense)
{
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        op_kind kind = clg_ops[n->op].kind;
        dense[i] |= n->output ? DENSE_OTHER : 0;
        for (int k = 0; k < 2 && ((kind == KIND_CONTRACT && !contract_as_loop(s, i)) || arrays_is_one(n->op) ||
                                  (kind == KIND_GATHER && !k));
             k++) {
            if (n->src[k] < 0)
                continue;
            int32_t base = n->src[k];
            while (clg_ops[s->nodes[base].op].kind == KIND_VIEW && s->nodes[base].op != OP_PAD &&
                   s->nodes[base].op != OP_VIEW)
                base = s->nodes[base].src[0];
            dense[base] |= kind == KIND_CONTRACT ? DENSE_OPERAND : DENSE_OTHER;
        }
    }
}

clg_status fuse(scheduler *f)
{
    const subgraph *s = f->s;
    clg_status status = CLG_OK;
    memset(f->latest, 0xff, (size_t)f->latest_capacity * sizeof *f->latest);
    for (int32_t i = 0; i < s->count; i++)
        f->state[i] = (node_state){.group = -1, .buffer = -1, .reader = -1, .strays = -1, .source = -1};
    fuse_mark_dense(s, f->dense);
    prologue_find(f);
    for (int32_t i = 0; i < s->count && status == CLG_OK; i++) {
        const sub_node *n = &s->nodes[i];
        if (n->op == OP_INPUT) {
            f->state[i].stored = true;
            f->state[i].buffer = schedule_buffer(f, (plan_buffer){.kind = BUFFER_LEAF,
                                                                  .dtype = (clg_dtype)n->dtype,
                                                                  .count = n->count,
                                                                  .binding = n->binding,
                                                                  .node = n->id});
            if (f->state[i].buffer < 0)
                return CLG_ERROR_MEMORY;
        } else if (n->count == 0 && n->op != OP_ASSIGN && !group_buffer(f, i))
            return CLG_ERROR_MEMORY;
        if (n->count > 0)
            status = fuse_node(f, i);
    }
    for (int32_t i = 0; i < s->count && status == CLG_OK; i++)
        if (s->nodes[i].output && s->nodes[i].op != OP_ASSIGN)
            status = materialise(f, i);
    return status;
}
