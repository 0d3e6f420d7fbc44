/* Fusion: which nodes share a step.
 *
 * Nodes are visited in topological order. Elementwise nodes and views wait until something demands them; reductions,
 * matrix products and scatter-adds are placed into a group when visited, and pull the elementwise nodes and views under
 * them into it. A value that a matrix product, the caller or an assignment needs in memory is placed likewise. A group
 * runs after the groups with smaller indices, so a node may join a group if every value it reads from memory was made
 * by an earlier one; it joins the latest such group of the same iteration space, else it opens a new one. That is
 * greedy and linear.
 *
 * An elementwise node that several groups read is evaluated again in each if that is cheap, else stored by the first.
 */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHEAP_COST = 8,           /* recompute a value rather than store it up to this many instructions ... */
    CHEAP_LOADS = 1,          /* ... and this many full-size loads: then it costs no more memory traffic */
    SPLIT_ELEMENTS = 1 << 18, /* reductions over fewer elements are never split */
    MAX_DEPTH = 200           /* nested materialisations */
};

static bool is_inline(const sub_node *n)
{
    op_kind kind = clg_ops[n->op].kind;
    return kind == KIND_MAP || kind == KIND_VIEW || kind == KIND_GATHER;
}

static uint16_t saturate(int64_t value) { return value > 30000 ? 30000 : (uint16_t)value; }

/* ---------------------------------------------------------------- groups */

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
    *g = (group){.kind = kind, .sp = sp, .full_count = 1, .outer_count = 1, .node = -1, .first_store = -1};
    g->copy_from = g->copy_to = -1;
    for (int d = 0; d < sp.rank; d++) {
        g->full_count *= sp.extent[d];
        g->outer_count *= sp.inner >> d & 1 ? 1 : sp.extent[d];
    }
    node_access full = access_identity(&sp, false), outer = access_identity(&sp, true);
    g->full_access = access_intern(&f->accesses, &full);
    g->outer_access = access_intern(&f->accesses, &outer);
    if (sp.inner && kind == STEP_LOOP) {
        g->split = g->full_count >= SPLIT_ELEMENTS && group_workers(g) < f->traits.units;
    }
    return g->full_access >= 0 && g->outer_access >= 0;
}

bool group_canonical(const scheduler *f, const group *g, int32_t node, int32_t access)
{
    int64_t count = f->s->nodes[node].count;
    return (access == g->full_access && count == g->full_count) ||
           (access == g->outer_access && count == g->outer_count);
}

static int32_t *latest_slot(scheduler *f, int64_t count)
{
    return &f->latest[(uint64_t)count * 0x9e3779b97f4a7c15u >> 54 & (uint64_t)(f->latest_capacity - 1)];
}

int32_t group_append(scheduler *f, const group *g)
{
    if (!ARRAY_ROOM(f->groups, f->group_count, f->group_capacity))
        return -1;
    f->groups[f->group_count] = *g;
    *latest_slot(f, g->full_count) = f->group_count;
    *latest_slot(f, g->outer_count) = f->group_count;
    return f->group_count++;
}

/* ---------------------------------------------------------------- storing */

clg_status fuse_store(scheduler *f, int32_t node, int32_t group_index, int32_t buffer)
{
    if (buffer < 0 || !ARRAY_ROOM(f->stores, f->store_count, f->store_capacity))
        return CLG_ERROR_MEMORY;
    f->stores[f->store_count] = (store){node, f->groups[group_index].first_store, buffer};
    f->groups[group_index].first_store = f->store_count++;
    return CLG_OK;
}

/* Keeps the value of a placed node in memory. */
clg_status fuse_keep(scheduler *f, int32_t node)
{
    node_state *state = &f->state[node];
    const sub_node *n = &f->s->nodes[node];
    if (state->stored)
        return CLG_OK;
    state->stored = true;
    state->buffer = schedule_buffer(f, (plan_buffer){.kind = n->output ? BUFFER_OUTPUT : BUFFER_ARENA,
                                                     .dtype = (clg_dtype)n->dtype,
                                                     .count = n->count,
                                                     .binding = n->output ? n->binding : -1,
                                                     .node = n->id});
    return fuse_store(f, node, state->group, state->buffer);
}

/* ---------------------------------------------------------------- walking the tree under a node */

typedef struct walk {
    const group *g; /* the space to evaluate in */
    int32_t index;  /* the group's index; the number of groups if it is a new one */
    bool commit;    /* record what was found */
    bool fits;
    int32_t blocker;   /* a node that must be materialised first, -1: none */
    int32_t latest;    /* latest group among what is read */
    bool inside;       /* reads a value that the group itself makes */
    bool inside_outer; /* ... one that is the same for all inner positions */
    int32_t cost;      /* new instructions */
    clg_status status;
} walk;

/* Records that a group reads a node's buffer; stray: at another access than the group's own. */
void fuse_read(scheduler *f, int32_t node, int32_t index, bool stray)
{
    node_state *state = &f->state[node];
    state->reader = index > state->reader ? index : state->reader;
    if (stray)
        state->strays = index > state->strays ? index : state->strays;
}

static void read_leaf(scheduler *f, walk *w, int32_t node, int32_t access)
{
    if (!w->commit)
        return;
    fuse_read(f, node, w->index, !group_canonical(f, w->g, node, access));
}

static void push(scheduler *f, walk *w, int32_t node, int32_t access)
{
    if (access < 0 || !schedule_push(f, node, access))
        w->status = CLG_ERROR_MEMORY;
}

/* What lies under an inline node at an access. */
static void push_operands(scheduler *f, walk *w, int32_t node, int32_t at)
{
    located operand[3];
    node_access row;
    access_outcome outcome = schedule_operands(f, &w->g->sp, node, at, operand, &row);
    w->cost += outcome == ACCESS_OTHER_FILL ? 2 : 1;
    if (outcome == ACCESS_BLOCKED) {
        w->blocker = node;
        return;
    }
    if (clg_ops[f->s->nodes[node].op].kind == KIND_GATHER) {
        int32_t table = f->s->nodes[node].src[0], group_index = f->state[table].group;
        if (f->s->nodes[table].op == OP_INPUT) {
            if (w->commit)
                fuse_read(f, table, w->index, true);
        } else if (group_index >= w->index) {
            w->fits = false;
        } else if (group_index > w->latest) {
            w->latest = group_index;
        }
    }
    for (int s = 0; s < 3; s++)
        if (operand[s].node >= 0)
            push(f, w, operand[s].node, operand[s].access);
}

/* Whether a function is better kept in memory than computed anew in each of the windows that overlap there. */
static bool is_repeated(const scheduler *f, const walk *w, int32_t node, int32_t at)
{
    enum { MOST_COST = 16 };
    const sub_node *n = &f->s->nodes[node];
    const node_access *a = &f->accesses.items[at];
    affine address = access_address(a);
    uint32_t dims = access_bound_dims(a, w->g->sp.rank);
    double times = 1;
    if (clg_ops[n->op].kind != KIND_MAP || n->count == 0)
        return false;
    for (int d = 0; d < w->g->sp.rank; d++)
        if (address.coef[d] || dims >> d & 1)
            times *= (double)w->g->sp.extent[d];
    times /= (double)n->count;
    return times >= 2 && times * f->state[node].cost > MOST_COST;
}

/* One value at one access: read from memory, made in the group already, or evaluated here (then go deeper). */
static void visit(scheduler *f, walk *w, int32_t node, int32_t access)
{
    const sub_node *n = &f->s->nodes[node];
    node_state *state = &f->state[node];
    if (n->op == OP_INPUT) {
        read_leaf(f, w, node, access);
        w->cost++;
        return;
    }
    if (n->op == OP_CONST || n->op == OP_IOTA) {
        w->cost++;
        return;
    }
    if (state->group == w->index && group_canonical(f, w->g, node, access)) {
        w->inside = true;
        w->inside_outer |= access == w->g->outer_access && n->count != w->g->full_count;
        return;
    }
    if (state->group >= w->index) { /* made later, or here at another access: evaluated again, if it can be */
        if (is_inline(n))
            push_operands(f, w, node, access);
        else
            w->fits = false;
        return;
    }
    if (state->group >= 0) {
        /* storing a value much smaller than the space costs next to nothing */
        int most = n->count * 4 >= w->g->full_count ? CHEAP_COST : 2;
        bool again = !state->stored && is_inline(n) && state->cost <= most && state->loads <= CHEAP_LOADS;
        if (again) {
            push_operands(f, w, node, access);
            return;
        }
        w->latest = state->group > w->latest ? state->group : w->latest;
        w->cost++;
        if (w->commit && fuse_keep(f, node) != CLG_OK)
            w->status = CLG_ERROR_MEMORY;
        return;
    }
    if (!is_inline(n)) { /* cannot be: those were placed when visited */
        w->status = clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: %s used before it was placed", clg_ops[n->op].name);
        return;
    }
    if (is_repeated(f, w, node, access)) {
        w->blocker = node;
        return;
    }
    push_operands(f, w, node, access);
    /* in a split group full-size values exist only piecewise: they are nobody else's */
    if (w->commit && group_canonical(f, w->g, node, access) && !(w->g->split && n->count == w->g->full_count))
        state->group = w->index;
}

static void walk_tree(scheduler *f, walk *w, int32_t root, int32_t access)
{
    schedule_new_stamp(f);
    w->fits = true;
    w->blocker = w->latest = -1;
    w->cost = 0;
    w->inside = w->inside_outer = false;
    w->status = CLG_OK;
    f->stack.count = 0;
    if (clg_ops[f->s->nodes[root].op].kind == KIND_REDUCE)
        push(f, w, f->s->nodes[root].src[0], w->g->full_access);
    else if (is_inline(&f->s->nodes[root]) || f->s->nodes[root].op == OP_CONTRACT)
        push_operands(f, w, root, access);
    else
        visit(f, w, root, access); /* a leaf or constant to be copied */
    w->cost++;
    while (f->stack.count && w->status == CLG_OK && w->fits && w->blocker < 0) {
        located top = f->stack.items[--f->stack.count];
        int32_t node = top.node, at = top.access;
        node_state *state = &f->state[node];
        bool found = state->seen == f->stamp && state->seen_access == at;
        if (state->seen != f->stamp) {
            state->seen = f->stamp;
            state->seen_access = at;
        } else if (!found && !schedule_seen(f, node, at, &found)) {
            w->status = CLG_ERROR_MEMORY;
            return;
        }
        if (!found)
            visit(f, w, node, at);
    }
}

/* ---------------------------------------------------------------- placing */

/* Whether a node is made by adding up over inner positions. */
static bool is_reduction(const sub_node *n) { return clg_ops[n->op].kind == KIND_REDUCE || n->op == OP_CONTRACT; }

/* Tries to put root into an existing group; on success *changed is the group as it is to become. */
static bool joins(scheduler *f, int32_t root, int32_t index, int32_t least, const space *own, group *changed, walk *w)
{
    const sub_node *n = &f->s->nodes[root];
    if (index < 0 || index < least || index >= f->group_count)
        return false;
    *changed = f->groups[index];
    if (changed->kind == STEP_SCATTER_ADD || changed->copy_from >= 0)
        return false;
    bool reduces = is_reduction(n);
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
    bool good = w->status == CLG_OK && w->fits && w->blocker < 0 && w->latest < index &&
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
    if (!is_reduction(&f->s->nodes[root]) && f->s->nodes[root].count != g->full_count)
        access = g->outer_access;
    group copy = *g; /* fuse_keep() may move or change the array's groups, not this one's stores */
    walk w = {.g = &copy, .index = index, .commit = true};
    walk_tree(f, &w, root, access);
    f->groups[index].cost += w.cost;
    f->state[root].group = index;
    f->state[root].cost = f->state[root].loads = 1;
    if (w.status == CLG_OK && (!w.fits || w.blocker >= 0)) /* cannot be: it was tried before */
        return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: %s does not fit its group",
                        clg_ops[f->s->nodes[root].op].name);
    return w.status;
}

static clg_status materialise(scheduler *f, int32_t node)
{
    if (f->s->nodes[node].op == OP_INPUT)
        return CLG_OK;
    clg_status status = f->state[node].group < 0 ? fuse_place(f, node, 0) : CLG_OK;
    return status == CLG_OK ? fuse_keep(f, node) : status;
}

clg_status fuse_place(scheduler *f, int32_t root, int32_t least)
{
    const sub_node *n = &f->s->nodes[root];
    bool reduces = is_reduction(n);
    space own = n->op == OP_CONTRACT ? contract_space(f, root)
                : reduces            ? group_space(f->s->shapes[n->in_shape[0]], (uint32_t)n->attr.integer)
                                     : group_space(f->s->shapes[n->shape], 0);
    if (++f->depth > MAX_DEPTH)
        return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: views nested too deeply at %s", clg_ops[n->op].name);
    for (;;) {
        group fresh;
        if (!group_fill(f, &fresh, STEP_LOOP, own))
            return CLG_ERROR_MEMORY;
        walk w = {.g = &fresh, .index = f->group_count};
        walk_tree(f, &w, root, fresh.full_access);
        if (w.status != CLG_OK)
            return w.status;
        if (w.blocker >= 0) {
            if (w.blocker == root)
                return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: cannot materialise %s", clg_ops[n->op].name);
            clg_status status = materialise(f, w.blocker);
            if (status != CLG_OK)
                return status;
            continue;
        }
        f->depth--;
        int32_t candidates[2] = {*latest_slot(f, reduces ? fresh.full_count : n->count), w.latest};
        if (w.cost <= f->traits.max_body) /* else it is alone anyway */
            for (int i = 0; i < 2; i++) {
                group changed;
                walk attempt;
                if (i && candidates[1] == candidates[0])
                    continue;
                if (joins(f, root, candidates[i], least, &own, &changed, &attempt)) {
                    f->groups[candidates[i]] = changed;
                    return commit(f, root, candidates[i], &changed);
                }
            }
        int32_t index = group_append(f, &fresh);
        return index < 0 ? CLG_ERROR_MEMORY : commit(f, root, index, &fresh);
    }
}

/* ---------------------------------------------------------------- matrix products and scatter-adds */

static clg_status place_contract(scheduler *f, int32_t node)
{
    if (contract_as_loop(f, node))
        return fuse_place(f, node, 0);
    contract_operands operands;
    group g;
    clg_status status = contract_place(f, node, &operands);
    for (int o = 0; o < 2 && status == CLG_OK; o++)
        status = materialise(f, operands.node[o]);
    if (status != CLG_OK)
        return status;
    space sp = {3, {operands.batch, operands.m, operands.n}, 0};
    if (!operands.plain) {
        sp = operands.whole;
        while (sp.rank > 0 && sp.inner >> (sp.rank - 1) & 1)
            sp.rank--;
        sp.inner = 0;
    }
    if (!group_fill(f, &g, operands.plain ? STEP_MATMUL : STEP_CONTRACT, sp))
        return CLG_ERROR_MEMORY;
    g.node = node;
    g.operands = operands;
    if (!operands.plain) { /* positions may be in another order than the result's elements */
        node_access result = contract_result(f, node, &operands);
        g.full_access = g.outer_access = access_intern(&f->accesses, &result);
        if (g.full_access < 0)
            return CLG_ERROR_MEMORY;
    }
    g.cost = 1;
    f->state[node].group = group_append(f, &g);
    f->state[node].cost = f->state[node].loads = 1;
    for (int o = 0; o < 2; o++)
        fuse_read(f, operands.node[o], f->group_count - 1, true);
    return f->state[node].group < 0 ? CLG_ERROR_MEMORY : CLG_OK;
}

static clg_status place_scatter(scheduler *f, int32_t node)
{
    const sub_node *n = &f->s->nodes[node];
    group g;
    if (materialise(f, n->src[0]) != CLG_OK || materialise(f, n->src[1]) != CLG_OK ||
        !group_fill(f, &g, STEP_SCATTER_ADD, group_space(f->s->shapes[n->shape], 0)))
        return CLG_ERROR_MEMORY;
    g.node = node;
    f->state[node].group = group_append(f, &g);
    f->state[node].cost = f->state[node].loads = 1;
    for (int i = 0; i < 2; i++)
        fuse_read(f, n->src[i], f->group_count - 1, true);
    return f->state[node].group < 0 ? CLG_ERROR_MEMORY : fuse_keep(f, node);
}

/* ---------------------------------------------------------------- the pass */

/* Cost of evaluating an inline node where it is used. */
static void estimate(scheduler *f, int32_t node)
{
    const sub_node *n = &f->s->nodes[node];
    int64_t cost = clg_ops[n->op].kind == KIND_GATHER ? 1 : clg_ops[n->op].cost, loads = 0;
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
        if (f->state[i].dense) /* now, while the group that computes its operands is the one to join */
            return materialise(f, i);
        estimate(f, i);
        return f->state[i].cost > f->traits.max_body / 4 && f->state[i].cost >= 30 ? fuse_place(f, i, 0) : CLG_OK;
    case KIND_VIEW:
        estimate(f, i);
        return f->state[i].cost > f->traits.max_body / 4 && f->state[i].cost >= 30 ? fuse_place(f, i, 0) : CLG_OK;
    case KIND_REDUCE:
        return fuse_place(f, i, 0);
    case KIND_CONTRACT:
        return place_contract(f, i);
    case KIND_SCATTER:
        return place_scatter(f, i);
    default:
        return CLG_OK;
    }
}

/* Marks the elementwise nodes that steps of other kinds will read from memory. */
static void mark_dense(scheduler *f)
{
    const subgraph *s = f->s;
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        op_kind kind = clg_ops[n->op].kind;
        f->state[i].dense |= n->output;
        for (int k = 0; k < 2 && ((kind == KIND_CONTRACT && !contract_as_loop(f, i)) || kind == KIND_SCATTER ||
                                  (kind == KIND_GATHER && !k));
             k++) {
            int32_t base = n->src[k];
            while (clg_ops[s->nodes[base].op].kind == KIND_VIEW && s->nodes[base].op != OP_PAD &&
                   s->nodes[base].op != OP_VIEW)
                base = s->nodes[base].src[0];
            f->state[base].dense = true;
        }
    }
}

clg_status fuse(scheduler *f)
{
    const subgraph *s = f->s;
    clg_status status = CLG_OK;
    memset(f->latest, 0xff, (size_t)f->latest_capacity * sizeof *f->latest);
    for (int32_t i = 0; i < s->count; i++)
        f->state[i] = (node_state){.group = -1, .buffer = -1, .reader = -1, .strays = -1};
    mark_dense(f);
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
        }
        status = fuse_node(f, i);
    }
    for (int32_t i = 0; i < s->count && status == CLG_OK; i++)
        if (s->nodes[i].output && s->nodes[i].op != OP_ASSIGN)
            status = materialise(f, i);
    return status;
}
