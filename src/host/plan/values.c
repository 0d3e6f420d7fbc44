/* The values of a step's body: what the walk found under its stores, without the views, operands first. */
#include "lower.h"

#include <stdlib.h>
#include <string.h>

/* The group's dimensions that an access depends on. */
static uint32_t dims_of_access(const lowering *l, int32_t at)
{
    const node_access *a = &l->f->accesses.items[at];
    affine address = access_address(a);
    uint32_t dims = access_bound_dims(a, l->g->sp.rank);
    for (int d = 0; d < l->g->sp.rank; d++)
        dims |= address.coef[d] ? 1u << d : 0;
    return dims;
}

level values_level(uint32_t dims, uint32_t inner)
{
    return dims & inner ? LEVEL_INNER : dims ? LEVEL_OUTER : LEVEL_ONCE;
}

static int32_t new_value(lowering *l, value v)
{
    if (!ARRAY_ROOM(l->values, l->count, l->capacity)) {
        l->status = CLG_ERROR_MEMORY;
        return -1;
    }
    v.reg = v.needed = -1;
    l->values[l->count] = v;
    return l->count++;
}

/* Where the number of the entry of (node, access) is kept in this step. */
static int32_t *slot_of(lowering *l, located at, bool *found)
{
    node_state *state = &l->f->state[at.node];
    if (at.access == l->g->outer_access && l->g->outer_count == l->g->full_count)
        at.access = l->g->full_access;
    *found = state->seen == l->f->stamp && state->seen_access == at.access;
    if (state->seen == l->f->stamp && !*found) {
        int32_t *slot = schedule_seen(l->f, at.node, at.access, found);
        if (!slot)
            l->status = CLG_ERROR_MEMORY;
        return slot;
    }
    state->seen = l->f->stamp;
    state->seen_access = at.access;
    return &l->entry_of[at.node];
}

/* What the walk found of a node at an access; an empty entry where it had no need to look further. */
static int32_t entry(lowering *l, located at)
{
    scheduler *f = l->f;
    const located none = {-1, -1};
    bool found;
    int32_t *slot = slot_of(l, at, &found);
    if (slot && found)
        return *slot;
    if (!slot || !ARRAY_ROOM(f->walked, f->walked_count, f->walked_capacity)) {
        l->status = CLG_ERROR_MEMORY;
        return -1;
    }
    f->walked[f->walked_count] = (walked){at, {none, none, none}, -1, false, -1, -1};
    return *slot = f->walked_count++;
}

void values_begin(lowering *l)
{
    schedule_new_stamp(l->f);
    l->constant_count = l->count = 0;
    for (int32_t i = l->g->first_walked; i >= 0 && l->status == CLG_OK; i = l->f->walked[i].next) {
        bool found;
        int32_t *slot = slot_of(l, l->f->walked[i].at, &found);
        if (slot && !found)
            *slot = i;
    }
}

/* Equal constants of any shape are one value: the first seen stands for all, at one access. */
static void merge_constant(lowering *l, int32_t *node, int32_t *access)
{
    const sub_node *n = &l->f->s->nodes[*node];
    *access = l->g->full_access;
    for (int i = 0; i < l->constant_count; i++) {
        const sub_node *other = &l->f->s->nodes[l->constants[i]];
        if (other->dtype == n->dtype && !memcmp(&other->attr, &n->attr, sizeof n->attr)) {
            *node = l->constants[i];
            return;
        }
    }
    if (l->constant_count < (int)(sizeof l->constants / sizeof l->constants[0]))
        l->constants[l->constant_count++] = *node;
}

static bool from_memory(const lowering *l, int32_t node)
{
    const node_state *state = &l->f->state[node];
    return schedule_is_given(&l->f->s->nodes[node]) || (state->stored && state->group < l->index);
}

/* The product that a step of another kind makes. */
static bool is_product(const lowering *l, int32_t node)
{
    return l->f->s->nodes[node].op == OP_CONTRACT && l->g->kind != STEP_LOOP;
}

/* The entry of what is really read at an access, beyond views. */
static int32_t resolve(lowering *l, located at)
{
    for (;;) {
        const sub_node *n = &l->f->s->nodes[at.node];
        if (at.access < 0) {
            l->status = CLG_ERROR_MEMORY;
            return -1;
        }
        if (n->op == OP_CONST && !l->f->state[at.node].stored && l->f->accesses.items[at.access].bound_count == 0)
            merge_constant(l, &at.node, &at.access);
        int32_t number = entry(l, at);
        if (number < 0 || clg_ops[n->op].kind != KIND_VIEW || from_memory(l, at.node) || l->f->walked[number].masked)
            return number;
        at = l->f->walked[number].operand[0];
        if (at.node < 0) { /* cannot be: what is not in memory was walked */
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: %s was not walked", clg_ops[n->op].name);
            return -1;
        }
    }
}

/* The entries of what an entry reads, -1 where none. masked: what they give outside is to be replaced. */
static void operands(lowering *l, int32_t number, int32_t src[3], bool *masked)
{
    const walked at = l->f->walked[number];
    const sub_node *n = &l->f->s->nodes[at.at.node];
    src[0] = src[1] = src[2] = -1;
    *masked = at.masked;
    if (from_memory(l, at.at.node) || is_product(l, at.at.node)) {
        *masked = false;
    } else if (n->op == OP_CONST && l->f->accesses.items[at.at.access].bound_count > 0) {
        *masked = true;
        src[0] = resolve(l, (located){at.at.node, l->g->full_access});
    } else if (clg_ops[n->op].kind != KIND_LEAF && at.operand[0].node < 0) { /* cannot be */
        l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: %s was not walked", clg_ops[n->op].name);
    } else {
        for (int s = 0; s < 3 && l->status == CLG_OK; s++)
            if (at.operand[s].node >= 0)
                src[s] = resolve(l, at.operand[s]);
    }
}

/* Level and stage follow from the operands and the value's own access. */
static void classify(const lowering *l, value *v)
{
    bool has_access = v->kind == INSTR_LOAD || v->kind == INSTR_IOTA || v->kind == INSTR_PRODUCT;
    v->dims = has_access ? dims_of_access(l, v->access) : 0;
    if (v->kind == INSTR_MASK)
        v->dims = access_bound_dims(&l->f->accesses.items[v->access], l->g->sp.rank);
    level own = values_level(v->dims, l->g->sp.inner);
    if (v->kind == INSTR_PRODUCT)
        own = LEVEL_OUTER; /* even of one element: it exists only once the product is made */
    int stage = 0;
    for (int s = 0; s < 3; s++) {
        if (v->src[s] < 0)
            continue;
        const value *from = &l->values[v->src[s]];
        v->dims |= from->dims;
        own = from->level > own ? (level)from->level : own;
        stage = from->stage > stage ? from->stage : stage;
    }
    v->level = (uint8_t)own;
    v->stage = (uint16_t)stage;
    if (v->kind == INSTR_REDUCE) {
        v->operand_stage = stage;
        v->stage = (uint16_t)(stage + 1);
        v->level = LEVEL_OUTER;
    }
}

static int32_t classified(lowering *l, value v)
{
    if (v.access < 0)
        l->status = CLG_ERROR_MEMORY;
    else
        classify(l, &v);
    return new_value(l, v);
}

/* src: values. */
static int32_t make_value(lowering *l, int32_t number, const int32_t src[3], bool masked)
{
    const int32_t node = l->f->walked[number].at.node, at = l->f->walked[number].at.access;
    const sub_node *n = &l->f->s->nodes[node];
    op_kind kind = clg_ops[n->op].kind;
    value v = {.node = node, .access = at, .src = {src[0], src[1], src[2]}, .buffer = -1}, mask = v;
    mask.kind = INSTR_MASK;
    mask.src[1] = mask.src[2] = -1;
    if (from_memory(l, node)) {
        v.kind = INSTR_LOAD;
        v.buffer = l->f->state[node].buffer;
    } else if (masked && (n->op == OP_CONST || kind == KIND_VIEW)) {
        return classified(l, mask);
    } else if (n->op == OP_CONST) {
        v.kind = INSTR_CONST;
    } else if (n->op == OP_IOTA) {
        v.kind = INSTR_IOTA;
    } else if (kind == KIND_GATHER) {
        int64_t rows = l->f->s->nodes[n->src[1]].count;
        v.kind = INSTR_LOAD;
        v.buffer = l->f->state[n->src[0]].buffer;
        v.row_stride = rows ? n->count / rows : 0;
        v.row_count = v.row_stride ? l->f->s->nodes[n->src[0]].count / v.row_stride : 0;
        v.access = l->f->walked[number].row;
    } else if (is_product(l, node)) {
        v.kind = INSTR_PRODUCT;
        masked = l->g->operands.mask != NO_MASK;
        mask.access = masked ? l->g->operands.mask : mask.access;
    } else if (kind == KIND_REDUCE) {
        v.kind = INSTR_REDUCE;
    } else if (n->op == OP_CONTRACT) { /* the sum of the operands' products */
        value product = v;
        product.kind = INSTR_MAP;
        product.op = OP_MUL;
        v.kind = INSTR_REDUCE;
        v.op = OP_SUM;
        v.src[0] = classified(l, product);
        v.src[1] = -1;
        return classified(l, v);
    } else {
        v.kind = INSTR_MAP;
    }
    v.op = n->op;
    int32_t made = classified(l, v);
    if (!masked || l->status != CLG_OK)
        return made;
    mask.src[0] = made;
    return classified(l, mask);
}

/* Makes the values under (node, access), operands first, without recursion: bodies can be very deep. */
int32_t values_build(lowering *l, int32_t node, int32_t access)
{
    scheduler *f = l->f;
    const int32_t root = resolve(l, (located){node, access});
    f->stack.count = 0;
    if (l->status == CLG_OK && !schedule_push(f, root, 0))
        l->status = CLG_ERROR_MEMORY;
    while (f->stack.count && l->status == CLG_OK) {
        int32_t number = f->stack.items[f->stack.count - 1].node, src[3], missing = 0;
        bool masked;
        if (f->walked[number].value >= 0) {
            f->stack.count--;
            continue;
        }
        operands(l, number, src, &masked);
        for (int s = 0; s < 3 && l->status == CLG_OK; s++) {
            if (src[s] < 0)
                continue;
            int32_t made = f->walked[src[s]].value;
            if (made < 0) {
                missing++;
                if (!schedule_push(f, src[s], 0))
                    l->status = CLG_ERROR_MEMORY;
            }
            src[s] = made;
        }
        if (missing || l->status != CLG_OK)
            continue;
        f->stack.count--;
        f->walked[number].value = make_value(l, number, src, masked);
    }
    return l->status == CLG_OK ? f->walked[root].value : -1;
}
