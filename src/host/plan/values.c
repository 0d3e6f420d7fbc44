/* The values of a step's body: the tree under its stores, walked through views to what is really read, operands
 * first. */
#include "lower.h"

#include <stdlib.h>
#include <string.h>

/* The group's dimensions that a map depends on. */
static uint32_t dims_of_map(const lowering *l, int32_t map)
{
    const plan_map *m = &l->f->maps.maps[map];
    uint32_t dims = 0;
    for (int d = 0; d < l->g->sp.rank; d++)
        if (m->stride[d] || (m->masked && (m->lo[d] > 0 || m->hi[d] < l->g->sp.extent[d])))
            dims |= 1u << d;
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

/* Slot that remembers the value of (node, map) in this step. */
static int32_t *remember(lowering *l, int32_t node, int32_t map, bool *found)
{
    node_state *state = &l->f->state[node];
    if (state->seen != l->f->stamp) {
        state->seen = l->f->stamp;
        state->seen_map = map;
        *found = false;
        return &l->slot_of[node];
    }
    if (state->seen_map == map) {
        *found = true;
        return &l->slot_of[node];
    }
    int32_t *slot = schedule_seen(l->f, node, map, found);
    if (!slot)
        l->status = CLG_ERROR_MEMORY;
    return slot;
}

/* Equal constants of any shape are one value: the first seen stands for all, at one map. */
static void merge_constant(lowering *l, int32_t *node, int32_t *map)
{
    const sub_node *n = &l->f->s->nodes[*node];
    *map = l->g->full_map;
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

/* Walks through views to what is really read at which map. */
static void resolve(lowering *l, int32_t *node, int32_t *map)
{
    for (;;) {
        const sub_node *n = &l->f->s->nodes[*node];
        const node_state *state = &l->f->state[*node];
        plan_map result, from = l->f->maps.maps[*map];
        if (n->op == OP_CONST && !state->stored)
            merge_constant(l, node, map);
        if (clg_ops[n->op].kind != KIND_VIEW || (state->stored && state->group < l->index))
            return;
        if (!maps_through_view(l->f->s, n, &l->g->sp, &from, &result)) {
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: %s is not affine", clg_ops[n->op].name);
            return;
        }
        *node = n->src[0];
        *map = maps_intern(&l->f->maps, &result);
        if (*map < 0) {
            l->status = CLG_ERROR_MEMORY;
            return;
        }
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

/* The operands of a value, as (node, map) pairs after resolve; -1 where none. */
static void operands(lowering *l, int32_t node, int32_t map, int32_t src[3], int32_t maps[3], plan_map *rest)
{
    const sub_node *n = &l->f->s->nodes[node];
    op_kind kind = clg_ops[n->op].kind;
    for (int s = 0; s < 3; s++)
        src[s] = -1;
    if (from_memory(l, node) || kind == KIND_LEAF || kind == KIND_CONTRACT)
        return;
    if (kind == KIND_REDUCE) {
        src[0] = n->src[0];
        maps[0] = l->g->full_map;
        if (l->combine_dims)
            src[0] = -1; /* the combining step loads partial results instead */
    } else if (kind == KIND_GATHER) {
        int64_t rows = l->f->s->nodes[n->src[1]].count;
        plan_map by_row, whole = l->f->maps.maps[map];
        if (!maps_split_row(&l->g->sp, &whole, rows, rows ? n->count / rows : 0, &by_row, rest))
            l->status = clg_fail(CLG_ERROR_UNSUPPORTED, "lower: gather is not affine");
        src[0] = n->src[1];
        maps[0] = maps_intern(&l->f->maps, &by_row);
    } else {
        for (int s = 0; s < 3; s++) {
            src[s] = n->src[s];
            maps[s] = map;
        }
    }
    for (int s = 0; s < 3 && l->status == CLG_OK; s++)
        if (src[s] >= 0)
            resolve(l, &src[s], &maps[s]);
}

/* Level and stage follow from the operands and the value's own map. */
static void classify(const lowering *l, value *v)
{
    bool has_map = v->kind == INSTR_LOAD || v->kind == INSTR_IOTA || v->kind == INSTR_PRODUCT;
    v->dims = has_map ? dims_of_map(l, v->map) : 0;
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

static int32_t make_value(lowering *l, int32_t node, int32_t map, const int32_t src[3], const plan_map *rest)
{
    const sub_node *n = &l->f->s->nodes[node];
    op_kind kind = clg_ops[n->op].kind;
    value v = {.node = node, .map = map, .src = {src[0], src[1], src[2]}, .buffer = -1};
    if (from_memory(l, node)) {
        v.kind = INSTR_LOAD;
        v.buffer = l->f->state[node].buffer;
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
        v.map = maps_intern(&l->f->maps, rest);
    } else if (kind == KIND_CONTRACT) {
        v.kind = INSTR_PRODUCT;
    } else if (kind == KIND_REDUCE) {
        v.kind = INSTR_REDUCE;
    } else {
        v.kind = INSTR_MAP;
    }
    if (v.map < 0)
        l->status = CLG_ERROR_MEMORY;
    classify(l, &v);
    return new_value(l, v);
}

/* Makes the values under (node, map), operands first, without recursion: bodies can be very deep. */
int32_t values_build(lowering *l, int32_t root, int32_t root_map)
{
    scheduler *f = l->f;
    resolve(l, &root, &root_map);
    f->stack.count = 0;
    if (l->status == CLG_OK && !schedule_push(f, root, root_map))
        l->status = CLG_ERROR_MEMORY;
    while (f->stack.count && l->status == CLG_OK) {
        int32_t node = f->stack.items[f->stack.count - 1].node, map = f->stack.items[f->stack.count - 1].map;
        int32_t src[3], maps[3] = {0, 0, 0}, missing = 0;
        plan_map rest = {0};
        bool found;
        int32_t *slot = remember(l, node, map, &found);
        if (!slot)
            break;
        if (found && *slot >= 0) {
            f->stack.count--;
            continue;
        }
        *slot = -1; /* being built */
        operands(l, node, map, src, maps, &rest);
        for (int s = 0; s < 3 && l->status == CLG_OK; s++) {
            if (src[s] < 0)
                continue;
            int32_t *operand = remember(l, src[s], maps[s], &found);
            if (!operand)
                break;
            if (!found)
                *operand = -1;
            if (*operand < 0) {
                missing++;
                if (!schedule_push(f, src[s], maps[s]))
                    l->status = CLG_ERROR_MEMORY;
            } else {
                src[s] = *operand;
            }
        }
        if (missing || l->status != CLG_OK)
            continue;
        f->stack.count--;
        int32_t made = make_value(l, node, map, src, &rest);
        slot = remember(l, node, map, &found);
        if (slot)
            *slot = made;
    }
    if (l->status != CLG_OK)
        return -1;
    bool found;
    int32_t *slot = remember(l, root, root_map, &found);
    return slot ? *slot : -1;
}
