/* The values of a step's body: the tree under its stores, walked through views to what is really read, operands
 * first. */
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

/* Slot that remembers the value of (node, access) in this step. */
static int32_t *remember(lowering *l, int32_t node, int32_t access, bool *found)
{
    node_state *state = &l->f->state[node];
    if (state->seen != l->f->stamp) {
        state->seen = l->f->stamp;
        state->seen_access = access;
        *found = false;
        return &l->slot_of[node];
    }
    if (state->seen_access == access) {
        *found = true;
        return &l->slot_of[node];
    }
    int32_t *slot = schedule_seen(l->f, node, access, found);
    if (!slot)
        l->status = CLG_ERROR_MEMORY;
    return slot;
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

/* Walks through views to what is really read at which access. */
static void resolve(lowering *l, int32_t *node, int32_t *at)
{
    for (;;) {
        const sub_node *n = &l->f->s->nodes[*node];
        const node_state *state = &l->f->state[*node];
        located operand[3];
        node_access row;
        if (*at < 0) {
            l->status = CLG_ERROR_MEMORY;
            return;
        }
        if (n->op == OP_CONST && !state->stored && l->f->accesses.items[*at].bound_count == 0)
            merge_constant(l, node, at);
        if (clg_ops[n->op].kind != KIND_VIEW || (state->stored && state->group < l->index))
            return;
        access_outcome outcome = schedule_operands(l->f, &l->g->sp, *node, *at, operand, &row);
        if (outcome == ACCESS_OTHER_FILL)
            return;
        if (outcome == ACCESS_BLOCKED) {
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: %s is not affine", clg_ops[n->op].name);
            return;
        }
        *node = operand[0].node;
        *at = operand[0].access;
    }
}

static bool from_memory(const lowering *l, int32_t node)
{
    const sub_node *n = &l->f->s->nodes[node];
    const node_state *state = &l->f->state[node];
    if (n->op == OP_INPUT)
        return true;
    if (state->stored && state->group < l->index)
        return true;
    return false;
}

/* The product that a step of another kind makes. */
static bool is_product(const lowering *l, int32_t node)
{
    return l->f->s->nodes[node].op == OP_CONTRACT && l->g->kind != STEP_LOOP;
}

/* The operands of a value after resolve; node -1 where none. masked: what they give outside is to be replaced. */
static void operands(lowering *l, int32_t node, int32_t at, located src[3], node_access *row, bool *masked)
{
    const sub_node *n = &l->f->s->nodes[node];
    op_kind kind = clg_ops[n->op].kind;
    *masked = false;
    for (int s = 0; s < 3; s++)
        src[s].node = -1;
    if (from_memory(l, node) || is_product(l, node))
        return;
    if (n->op == OP_CONST && l->f->accesses.items[at].bound_count > 0) {
        *masked = true;
        src[0] = (located){node, l->g->full_access};
    } else if (kind == KIND_REDUCE || n->op == OP_CONTRACT) {
        if (kind == KIND_REDUCE)
            src[0] = (located){n->src[0], l->g->full_access};
        else if (schedule_operands(l->f, &l->g->sp, node, at, src, row) == ACCESS_BLOCKED)
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: contraction with too many bounds");
    } else if (kind != KIND_LEAF) {
        access_outcome outcome = schedule_operands(l->f, &l->g->sp, node, at, src, row);
        if (outcome == ACCESS_BLOCKED)
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: %s is not affine", clg_ops[n->op].name);
        *masked = outcome == ACCESS_OTHER_FILL;
    }
    for (int s = 0; s < 3 && l->status == CLG_OK; s++)
        if (src[s].node >= 0)
            resolve(l, &src[s].node, &src[s].access);
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
static int32_t make_value(lowering *l, int32_t node, int32_t at, const int32_t src[3], const node_access *row,
                          bool masked)
{
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
        v.access = access_intern(&l->f->accesses, row);
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
int32_t values_build(lowering *l, int32_t root, int32_t root_access)
{
    scheduler *f = l->f;
    resolve(l, &root, &root_access);
    f->stack.count = 0;
    if (l->status == CLG_OK && !schedule_push(f, root, root_access))
        l->status = CLG_ERROR_MEMORY;
    while (f->stack.count && l->status == CLG_OK) {
        int32_t node = f->stack.items[f->stack.count - 1].node, at = f->stack.items[f->stack.count - 1].access;
        located operand[3];
        int32_t src[3] = {-1, -1, -1}, missing = 0;
        node_access row; /* large: left as it is but for a gather */
        bool found, masked;
        int32_t *slot = remember(l, node, at, &found);
        if (!slot)
            break;
        if (found && *slot >= 0) {
            f->stack.count--;
            continue;
        }
        *slot = -1; /* being built */
        operands(l, node, at, operand, &row, &masked);
        for (int s = 0; s < 3 && l->status == CLG_OK; s++) {
            src[s] = -1;
            if (operand[s].node < 0)
                continue;
            int32_t *known = remember(l, operand[s].node, operand[s].access, &found);
            if (!known)
                break;
            if (!found)
                *known = -1;
            src[s] = *known;
            if (*known < 0) {
                missing++;
                if (!schedule_push(f, operand[s].node, operand[s].access))
                    l->status = CLG_ERROR_MEMORY;
            }
        }
        if (missing || l->status != CLG_OK)
            continue;
        f->stack.count--;
        int32_t made = make_value(l, node, at, src, &row, masked);
        slot = remember(l, node, at, &found);
        if (slot)
            *slot = made;
    }
    if (l->status != CLG_OK)
        return -1;
    bool found;
    int32_t *slot = remember(l, root, root_access, &found);
    return slot ? *slot : -1;
}
