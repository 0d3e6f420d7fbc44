/* The tree under a node that is to be evaluated in a group: what it reads, at which accesses, through views, down to
 * what is in memory. It is walked to see whether it fits, and, once it does, to record what was found: lowering makes
 * values of that. */
#include "schedule.h"

#include <string.h>

enum {
    CHEAP_COST = 8, /* recompute a value rather than store it up to this many instructions ... */
    CHEAP_LOADS = 1 /* ... and this many full-size loads: then it costs no more memory traffic */
};

static bool is_inline(const sub_node *n)
{
    op_kind kind = clg_ops[n->op].kind;
    return kind == KIND_MAP || kind == KIND_VIEW || kind == KIND_GATHER;
}

bool walk_is_reduction(const sub_node *n) { return clg_ops[n->op].kind == KIND_REDUCE || n->op == OP_CONTRACT; }

/* ---------------------------------------------------------------- operands */

/* What an elementwise function gives outside its operands' bounds, where they have the value fill. */
static double outside(const subgraph *s, const sub_node *n, double fill)
{
    double x[3] = {fill, fill, fill};
    for (int k = 0; k < 3; k++) {
        if (n->src[k] < 0)
            continue;
        x[k] = dtype_round((clg_dtype)s->nodes[n->src[k]].dtype, fill);
        if (s->nodes[n->src[k]].op == OP_CONST)
            x[k] = s->nodes[n->src[k]].attr.value;
    }
    return dtype_round((clg_dtype)n->dtype, ops_evaluate((clg_op)n->op, x[0], x[1], x[2]));
}

static access_outcome read_at(scheduler *f, int32_t node, const node_access *a, located *out)
{
    *out = (located){node, access_intern(&f->accesses, a)};
    return ACCESS_DONE;
}

/* What a node that is evaluated in place reads, at which accesses: up to three operands, node -1 where none. row: of a
 * gather, the access of the element in its row. BLOCKED: the node must be materialised; OTHER_FILL: what lies outside
 * the access's bounds is not what the operands give there. */
static access_outcome find_operands(scheduler *f, const space *sp, int32_t node, int32_t at, located out[3],
                                    node_access *row)
{
    const subgraph *s = f->s;
    const sub_node *n = &s->nodes[node];
    const node_access *own = &f->accesses.items[at]; /* until something is interned */
    node_access next;
    access_outcome outcome = ACCESS_DONE;
    out[0].node = out[1].node = out[2].node = -1;
    switch (clg_ops[n->op].kind) {
    case KIND_VIEW:
        outcome = access_through_view(s, n, sp, own, &next);
        if (outcome != ACCESS_BLOCKED)
            read_at(f, n->src[0], &next, &out[0]);
        return outcome;
    case KIND_GATHER:
        if (!access_split_row(sp, own, s->shapes[n->shape], s->shapes[n->in_shape[1]].rank, &next, row))
            return ACCESS_BLOCKED;
        return read_at(f, n->src[1], &next, &out[0]);
    case KIND_CONTRACT: {
        node_access both[2];
        for (int o = 0; o < 2; o++)
            if (!contract_access(f, node, o, sp, &both[o]))
                return ACCESS_BLOCKED;
        for (int o = 0; o < 2; o++) { /* 0 where either is outside, not 0 times what the other has there */
            next = both[o];
            for (int i = 0; i < both[1 - o].bound_count; i++) {
                if (next.bound_count == ACCESS_BOUNDS)
                    return ACCESS_BLOCKED;
                next.bound[next.bound_count++] = both[1 - o].bound[i];
            }
            read_at(f, n->src[o], &next, &out[o]);
        }
        return ACCESS_DONE;
    }
    default:
        break;
    }
    for (int k = 0; k < 3; k++)
        if (n->src[k] >= 0)
            out[k] = (located){n->src[k], at};
    if (own->bound_count == 0)
        return ACCESS_DONE;
    double given = outside(s, n, own->fill);
    outcome = memcmp(&given, &own->fill, sizeof given) ? ACCESS_OTHER_FILL : ACCESS_DONE;
    next = access_unbounded(own); /* constants are what they are everywhere */
    for (int k = 0; k < 3; k++)
        if (n->src[k] >= 0 && s->nodes[n->src[k]].op == OP_CONST)
            read_at(f, n->src[k], &next, &out[k]);
    return outcome;
}

/* ---------------------------------------------------------------- the walk */

static void read_leaf(scheduler *f, walk *w, int32_t node, int32_t access)
{
    if (!w->commit)
        return;
    group_read(f, node, w->index, !group_canonical(f, w->g, node, access));
}

static void push(scheduler *f, walk *w, int32_t node, int32_t access)
{
    if (access < 0 || !schedule_push(f, node, access))
        w->status = CLG_ERROR_MEMORY;
}

/* The node must be in memory: the walk goes on, to find all such ones at once. */
static void block(scheduler *f, walk *w, int32_t node)
{
    if (!schedule_add(&f->blockers, node))
        w->status = CLG_ERROR_MEMORY;
}

/* Records a value of the group, if it is to stay there. */
static void record(scheduler *f, walk *w, walked found)
{
    if (!w->commit)
        return;
    if (!ARRAY_ROOM(f->walked, f->walked_count, f->walked_capacity)) {
        w->status = CLG_ERROR_MEMORY;
        return;
    }
    found.next = f->groups[w->index].first_walked;
    f->groups[w->index].first_walked = f->walked_count;
    f->walked[f->walked_count++] = found;
}

/* What lies under an inline node at an access. false: it must be in memory. */
static bool push_operands(scheduler *f, walk *w, int32_t node, int32_t at)
{
    walked found = {.at = {node, at}, .row = -1, .value = -1};
    node_access row;
    access_outcome outcome = find_operands(f, &w->g->sp, node, at, found.operand, &row);
    found.masked = outcome == ACCESS_OTHER_FILL;
    w->cost += outcome == ACCESS_OTHER_FILL ? 2 : 1;
    if (outcome == ACCESS_BLOCKED)
        return false;
    if (clg_ops[f->s->nodes[node].op].kind == KIND_GATHER) {
        int32_t table = f->s->nodes[node].src[0], group_index = f->state[table].group;
        if (schedule_is_given(&f->s->nodes[table])) {
            if (w->commit)
                group_read(f, table, w->index, true);
        } else if (group_index >= w->index) {
            w->fits = false;
        } else if (group_index > w->latest) {
            w->latest = group_index;
        }
        if (w->commit && (found.row = access_intern(&f->accesses, &row)) < 0)
            w->status = CLG_ERROR_MEMORY;
    }
    for (int s = 0; s < 3; s++)
        if (found.operand[s].node >= 0)
            push(f, w, found.operand[s].node, found.operand[s].access);
    record(f, w, found);
    return true;
}

/* Of a reduction, whose value lives at outer positions. */
static void push_reduced(scheduler *f, walk *w, int32_t node)
{
    const located under = {f->s->nodes[node].src[0], w->g->full_access}, none = {-1, -1};
    push(f, w, under.node, under.access);
    record(f, w, (walked){{node, w->g->outer_access}, {under, none, none}, -1, false, -1, -1});
}

/* Counts an evaluation of a function: whether it is better kept in memory than computed anew at each of its accesses,
 * in each of the windows that overlap there. */
static bool too_often(scheduler *f, const walk *w, int32_t node, int32_t at)
{
    enum { MOST_COST = 16 };
    const sub_node *n = &f->s->nodes[node];
    const node_access *a = &f->accesses.items[at];
    affine address = access_address(a);
    uint32_t dims = access_bound_dims(a, w->g->sp.rank);
    double times = 1;
    if (clg_ops[n->op].kind != KIND_MAP || n->count == 0 || schedule_widens(f->s, node))
        return false;
    for (int d = 0; d < w->g->sp.rank; d++)
        if (address.coef[d] || dims >> d & 1)
            times *= (double)w->g->sp.extent[d];
    times = f->state[node].times += times / (double)n->count;
    return times >= 2 && times * f->state[node].cost > MOST_COST;
}

/* Whether a device that evaluates a function at all positions of its section would do that many times more often than
 * it has elements: the gradient of a row's sum, say, for each element of the row. Better stored, and only loaded then.
 */
static bool is_spread(const scheduler *f, const walk *w, int32_t node, int32_t at)
{
    enum { OFTEN = 4, LEAST = 1 << 16 }; /* times; operations that make another step worth while */
    const sub_node *n = &f->s->nodes[node];
    const node_access *a = &f->accesses.items[at];
    const affine address = access_address(a);
    uint32_t dims = 0;
    for (int d = 0; d < w->g->sp.rank; d++)
        dims |= address.coef[d] ? 1u << d : 0;
    if (!f->traits.evaluates_all || clg_ops[n->op].kind != KIND_MAP || dims == 0 || a->bound_count > 0 ||
        schedule_widens(f->s, node))
        return false;
    int64_t positions = dims & w->g->sp.inner ? w->g->full_count : w->g->outer_count, row;
    if (w->g->kind == STEP_LOOP && !w->g->sp.inner && group_row(f, &w->g->sp, dims, &row))
        positions /= row; /* lowering has it evaluated once for the row */
    return positions / OFTEN >= n->count && (positions - n->count) * clg_ops[n->op].cost >= LEAST;
}

/* One value at one access: read from memory, made in the group already, or evaluated here (then go deeper). */
static void visit(scheduler *f, walk *w, int32_t node, int32_t access)
{
    const sub_node *n = &f->s->nodes[node];
    node_state *state = &f->state[node];
    if (schedule_is_given(n)) {
        read_leaf(f, w, node, access);
        w->cost++;
        return;
    }
    if (n->op == OP_CONST || n->op == OP_IOTA) {
        w->cost++;
        return;
    }
    if (state->group == w->index && n->op != OP_JOIN && group_canonical(f, w->g, node, access)) {
        w->inside = true;
        w->inside_outer |= access == w->g->outer_access && n->count != w->g->full_count;
        return;
    }
    if (state->group >= w->index) { /* made later, or here at another access: evaluated again, if it can be */
        w->fits &= is_inline(n) && !too_often(f, w, node, access) && push_operands(f, w, node, access);
        return;
    }
    if (state->group >= 0) {
        /* storing a value much smaller than the space costs next to nothing */
        int most = n->count * 4 >= w->g->full_count ? CHEAP_COST : 2;
        const bool cheap = state->cost <= most && state->loads <= CHEAP_LOADS && !schedule_rounds(f->s, node);
        if (!state->stored && is_inline(n) && (cheap || schedule_widens(f->s, node)) &&
            !too_often(f, w, node, access) && !is_spread(f, w, node, access) && push_operands(f, w, node, access))
            return;
        w->latest = state->group > w->latest ? state->group : w->latest;
        w->cost++;
        if (w->commit && group_keep(f, node) != CLG_OK)
            w->status = CLG_ERROR_MEMORY;
        return;
    }
    if (!is_inline(n)) { /* cannot be: those were placed when visited */
        w->status = clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: %s used before it was placed", clg_ops[n->op].name);
        return;
    }
    if (too_often(f, w, node, access) || is_spread(f, w, node, access) || !push_operands(f, w, node, access)) {
        block(f, w, node);
        return;
    }
    /* in a split group full-size values exist only piecewise: they are nobody else's */
    if (w->commit && group_canonical(f, w->g, node, access) && !(w->g->split && n->count == w->g->full_count))
        state->group = w->index;
}

void walk_tree(scheduler *f, walk *w, int32_t root, int32_t access)
{
    schedule_new_stamp(f);
    w->fits = true;
    w->latest = -1;
    f->blockers.count = 0;
    w->cost = 0;
    w->inside = w->inside_outer = false;
    w->status = CLG_OK;
    f->stack.count = 0;
    const bool contracts = f->s->nodes[root].op == OP_CONTRACT;
    if (clg_ops[f->s->nodes[root].op].kind == KIND_REDUCE)
        push_reduced(f, w, root);
    else if (!contracts && !is_inline(&f->s->nodes[root]))
        visit(f, w, root, access); /* a leaf or constant to be copied */
    else if (!push_operands(f, w, root, contracts ? w->g->outer_access : access))
        block(f, w, root);
    w->cost++;
    while (f->stack.count && w->status == CLG_OK && w->fits) {
        located top = f->stack.items[--f->stack.count];
        int32_t node = top.node, at = top.access;
        node_state *state = &f->state[node];
        bool found = state->seen == f->stamp && state->seen_access == at;
        if (state->seen != f->stamp) {
            state->seen = f->stamp;
            state->seen_access = at;
            state->times = 0;
        } else if (!found && !schedule_seen(f, node, at, &found)) {
            w->status = CLG_ERROR_MEMORY;
            return;
        }
        if (!found)
            visit(f, w, node, at);
    }
}
