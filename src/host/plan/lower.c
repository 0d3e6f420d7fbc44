/* From groups to steps: values (values.c) cut into sections, dimensions merged. */
#include "lower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- instructions */

static int32_t emit(lowering *l, plan_instr in)
{
    if (!ARRAY_ROOM(l->step->instrs, l->step->instr_count, l->instr_capacity)) {
        l->status = CLG_ERROR_MEMORY;
        return -1;
    }
    l->step->instrs[l->step->instr_count] = in;
    return l->step->instr_count++;
}

static void emit_value(lowering *l, value *v)
{
    const sub_node *n = &l->f->s->nodes[v->node];
    plan_instr in = {.kind = v->kind, .op = v->op, .dtype = n->dtype, .buffer = v->buffer, .access = -1};
    for (int s = 0; s < 3; s++)
        in.src[s] = v->src[s] < 0 ? -1 : l->values[v->src[s]].reg;
    if (v->kind == INSTR_CONST)
        in.value = n->attr.value;
    if (v->kind == INSTR_LOAD || v->kind == INSTR_IOTA || v->kind == INSTR_MASK) {
        in.access = lower_access(l, v->access);
        in.value = l->f->accesses.items[v->access].fill;
    }
    in.row_stride = v->row_stride;
    in.row_count = v->row_count;
    v->reg = emit(l, in);
}

static void emit_store(lowering *l, const value *v, int32_t buffer, int32_t access)
{
    plan_instr in = {.kind = INSTR_STORE,
                     .dtype = (uint8_t)l->f->p->buffers[buffer].dtype,
                     .src = {v->reg, -1, -1},
                     .buffer = buffer,
                     .access = access};
    emit(l, in);
}

/* Ends a section that began at instruction first; empty ones vanish. */
static void end_section(lowering *l, plan_section_kind kind, int32_t first)
{
    plan_step *step = l->step;
    if (step->instr_count == first)
        return;
    if (!ARRAY_ROOM(step->sections, step->section_count, l->section_capacity)) {
        l->status = CLG_ERROR_MEMORY;
        return;
    }
    step->sections[step->section_count++] = (plan_section){kind, first, step->instr_count - first};
}

/* ---------------------------------------------------------------- stores and sections */

typedef struct target { /* a store to be emitted */
    int32_t value, buffer, access;
    bool inner;
} target;

/* Marks the INNER values that the roots of a stage need. Values are in topological order. */
static void want_inner(lowering *l, int stage, const target *targets, int32_t count)
{
    for (int32_t t = 0; t < count; t++)
        if (targets[t].inner && l->values[targets[t].value].stage == stage)
            l->values[targets[t].value].needed = stage;
    for (int32_t i = l->count; i-- > 0;) {
        value *v = &l->values[i];
        bool reduce_here = v->kind == INSTR_REDUCE && v->operand_stage == stage;
        if (v->needed != stage && !reduce_here)
            continue;
        if (v->level != LEVEL_INNER && !reduce_here)
            continue;
        for (int s = 0; s < 3; s++)
            if (v->src[s] >= 0 && l->values[v->src[s]].level == LEVEL_INNER)
                l->values[v->src[s]].needed = stage;
    }
}

/* Results of outer level are stored at the very end: the work-items of a group that share an outer position have then
 * all read what a store may overwrite. */
static void emit_stage(lowering *l, int stage, bool last, const target *targets, int32_t count)
{
    int32_t first = l->step->instr_count;
    for (int32_t i = 0; i < l->count && l->status == CLG_OK; i++) {
        value *v = &l->values[i];
        if (v->level == LEVEL_OUTER && v->kind != INSTR_REDUCE && v->stage == stage)
            emit_value(l, v);
    }
    for (int32_t t = 0; t < count && l->status == CLG_OK; t++)
        if (!targets[t].inner && last)
            emit_store(l, &l->values[targets[t].value], targets[t].buffer, targets[t].access);
    end_section(l, SECTION_OUTER, first);
    if (!l->g->sp.inner)
        return;
    first = l->step->instr_count;
    want_inner(l, stage, targets, count);
    for (int32_t i = 0; i < l->count && l->status == CLG_OK; i++) {
        value *v = &l->values[i];
        if ((v->level == LEVEL_INNER && v->needed == stage) || (v->kind == INSTR_REDUCE && v->operand_stage == stage))
            emit_value(l, v);
    }
    for (int32_t t = 0; t < count && l->status == CLG_OK; t++)
        if (targets[t].inner && l->values[targets[t].value].stage == stage)
            emit_store(l, &l->values[targets[t].value], targets[t].buffer, targets[t].access);
    end_section(l, SECTION_INNER, first);
}

static void emit_all(lowering *l, const target *targets, int32_t count)
{
    int stages = 1;
    int32_t first = l->step->instr_count;
    for (int32_t i = 0; i < l->count; i++)
        stages = l->values[i].stage + 1 > stages ? l->values[i].stage + 1 : stages;
    for (int32_t i = 0; i < l->count && l->status == CLG_OK; i++)
        if (l->values[i].level == LEVEL_ONCE)
            emit_value(l, &l->values[i]);
    end_section(l, SECTION_ONCE, first);
    for (int stage = 0; stage < stages && l->status == CLG_OK; stage++)
        emit_stage(l, stage, stage + 1 == stages, targets, count);
}

/* ---------------------------------------------------------------- dimensions */

static void fill_extents(lowering *l)
{
    plan_step *step = l->step;
    int order[PLAN_MAX_DIMS], count = lower_dimensions(&l->g->sp, order);
    step->outer_count = step->inner_count = 1;
    for (int i = 0; i < count; i++) {
        bool inner = l->g->sp.inner >> order[i] & 1;
        step->extent[i] = l->g->sp.extent[order[i]];
        *(inner ? &step->inner_rank : &step->outer_rank) += 1;
        *(inner ? &step->inner_count : &step->outer_count) *= step->extent[i];
    }
    step->splits = 1;
    step->inner_piece = step->inner_count;
}

/* ---------------------------------------------------------------- groups to steps */

static plan_step *append_step(scheduler *f)
{
    plan *p = f->p;
    if (!ARRAY_ROOM(p->steps, p->step_count, p->step_capacity))
        return NULL;
    plan_step *step = &p->steps[p->step_count++];
    *step = (plan_step){.product = -1, .name_node = -1};
    return step;
}

static void start(lowering *l)
{
    l->step = append_step(l->f);
    l->instr_capacity = l->section_capacity = l->access_capacity = l->bound_capacity = 0;
    if (!l->step) {
        l->status = CLG_ERROR_MEMORY;
        return;
    }
    if (l->access_of)
        memset(l->access_of, 0, (size_t)l->access_of_capacity * sizeof *l->access_of);
    values_begin(l);
}

/* Builds the values of all stores of the group; returns their targets (malloc'ed). */
static target *gather_targets(lowering *l, int32_t *count)
{
    scheduler *f = l->f;
    *count = 0;
    for (int32_t i = l->g->first_store; i >= 0; i = f->stores[i].next)
        ++*count;
    target *targets = malloc(((size_t)*count + 1) * sizeof *targets);
    if (!targets) {
        l->status = clg_fail_memory();
        return NULL;
    }
    int32_t t = *count;
    for (int32_t i = l->g->first_store; i >= 0 && l->status == CLG_OK; i = f->stores[i].next) {
        bool full = f->s->nodes[f->stores[i].node].count == l->g->full_count;
        int32_t access = full ? l->g->full_access : l->g->outer_access;
        targets[--t] = (target){.value = values_build(l, f->stores[i].node, access),
                                .buffer = f->stores[i].buffer,
                                .access = f->stores[i].access < 0 ? access : f->stores[i].access,
                                .inner = full && l->g->sp.inner && l->g->full_count != l->g->outer_count};
    }
    return targets;
}

static void finish_targets(lowering *l, target *targets, int32_t count)
{
    for (int32_t t = 0; t < count && l->status == CLG_OK; t++) {
        targets[t].access = lower_access(l, targets[t].access);
        l->step->name_node = l->f->p->buffers[targets[t].buffer].node;
    }
}

/* The dimensions of what is the same for a whole row, along the last dimension: the indices of rows that are taken from
 * a table, and where the device evaluates all of a section at all its positions, what is loaded. */
static uint32_t row_dims(const lowering *l, const group *g)
{
    uint32_t dims = 0;
    for (int32_t i = 0; i < l->count; i++) {
        const value *v = &l->values[i];
        const bool load = v->kind == INSTR_LOAD && l->f->traits.evaluates_all;
        if (v->kind == INSTR_LOAD && v->src[0] >= 0)
            dims |= l->values[v->src[0]].dims | 1u << PLAN_MAX_DIMS;
        else if (load && v->dims && !(v->dims >> (g->sp.rank - 1)))
            dims |= v->dims;
    }
    return dims;
}

/* The last dimensions, on which no such thing depends, become inner ones: it is evaluated once for the row and not for
 * each of its elements. */
static void hoist_rows(lowering *l, group *g, target *targets, int32_t count)
{
    const uint32_t outer = row_dims(l, g);
    int64_t row;
    const uint32_t inner = group_row(l->f, &g->sp, outer, &row);
    if (!outer || g->sp.inner || !inner)
        return;
    g->sp.inner = inner;
    for (int32_t i = 0; i < l->count; i++)
        l->values[i].level = (uint8_t)values_level(l->values[i].dims, inner);
    for (int32_t t = 0; t < count; t++)
        targets[t].inner = true;
}

/* The reductions' graph nodes, in the order of their instructions, for people. */
static clg_status split(lowering *l)
{
    int32_t *nodes = malloc(((size_t)l->count + 1) * sizeof *nodes), count = 0;
    if (!nodes)
        return clg_fail_memory();
    for (int32_t i = 0; i < l->count; i++)
        if (l->values[i].kind == INSTR_REDUCE)
            nodes[count++] = l->f->s->nodes[l->values[i].node].id;
    clg_status status = split_step(l->f, nodes, group_workers(l->g));
    free(nodes);
    return status;
}

static void lower_loop(lowering *l)
{
    int32_t count;
    group g = *l->g;
    start(l);
    if (l->status != CLG_OK)
        return;
    target *targets = gather_targets(l, &count);
    if (targets && l->status == CLG_OK)
        hoist_rows(l, &g, targets, count);
    l->g = &g;
    fill_extents(l);
    if (targets)
        finish_targets(l, targets, count);
    if (l->status == CLG_OK)
        emit_all(l, targets, count);
    if (l->status == CLG_OK && g.split)
        l->status = split(l);
    else if (l->status == CLG_OK)
        lower_coalesce(l->step);
    free(targets);
}

/* ---------------------------------------------------------------- the other kinds */

/* The step's body: what is done with each element of the product. */
static void lower_epilogue(lowering *l)
{
    int32_t count;
    const sub_node *n = &l->f->s->nodes[l->g->node];
    start(l);
    if (l->status != CLG_OK)
        return;
    l->step->kind = l->g->kind;
    l->step->dtype = (clg_dtype)n->dtype;
    fill_extents(l);
    target *targets = gather_targets(l, &count);
    if (targets)
        finish_targets(l, targets, count);
    if (l->status == CLG_OK)
        emit_all(l, targets, count);
    free(targets);
}

/* The dimensions of the sum, and the operands' accesses over all of them. */
static void lower_matmul(lowering *l)
{
    plan_step *step = l->step;
    const contract_operands *x = &l->g->operands;
    step->is_matmul = true;
    step->extent[step->outer_rank + step->inner_rank++] = step->inner_count = x->matmul.k;
    for (int o = 0; o < 2; o++)
        step->operand[o].access = lower_add_access(l, plan_matmul_access(&x->matmul, o));
}

static void lower_windows(lowering *l)
{
    plan_step *step = l->step;
    const contract_operands *x = &l->g->operands;
    for (int d = 0; d < x->whole.rank; d++)
        if (x->whole.inner >> d & 1) {
            step->extent[step->outer_rank + step->inner_rank++] = x->whole.extent[d];
            step->inner_count *= x->whole.extent[d];
        }
    for (int o = 0; o < 2 && l->status == CLG_OK; o++) {
        const node_access at = l->f->accesses.items[x->access[o]];
        step->operand[o].access = lower_access_over(l, &x->whole, &at);
        lower_operand_axes(&x->whole, &at, &step->operand[o]);
    }
    if (l->status == CLG_OK)
        lower_coalesce(step);
}

/* The buffer for the product, where the body is another launch: that of a STORE of the product needs no second one. */
static void place_product(lowering *l)
{
    plan_step *step = l->step;
    const sub_node *n = &l->f->s->nodes[l->g->node];
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_STORE && step->instrs[step->instrs[i].src[0]].kind == INSTR_PRODUCT &&
            l->f->p->buffers[step->instrs[i].buffer].count == n->count) /* not a part of a larger array */
            step->product = step->instrs[i].buffer;
    if (step->product < 0)
        step->product = schedule_buffer(
            l->f, (plan_buffer){.kind = BUFFER_ARENA, .dtype = step->dtype, .count = n->count, .node = n->id});
    if (step->product < 0)
        l->status = CLG_ERROR_MEMORY;
}

static void lower_contract(lowering *l)
{
    const contract_operands *x = &l->g->operands;
    lower_epilogue(l);
    if (l->status != CLG_OK)
        return;
    for (int o = 0; o < 2 && l->status == CLG_OK; o++)
        if (x->function[o] >= 0)
            l->status = prologue_plan(l->f, x->function[o], &l->step->operand[o].prologue);
    for (int o = 0; o < 2; o++)
        l->step->operand[o].buffer = o == 1 && x->arranged >= 0 ? x->arranged : l->f->state[x->node[o]].buffer;
    if (x->is_matmul)
        lower_matmul(l);
    else
        lower_windows(l);
    l->step->inner_piece = l->step->inner_count;
    if (l->status == CLG_OK && x->is_matmul && !l->f->traits.fuses_epilogue)
        place_product(l);
}

static void lower_array(lowering *l)
{
    start(l);
    if (l->status != CLG_OK)
        return;
    l->step->kind = STEP_ARRAY;
    l->step->outer_count = l->step->inner_count = l->step->splits = l->step->inner_piece = 1;
    l->step->name_node = l->f->s->nodes[l->g->node].id;
    arrays_fill(l->f, l->g->node, l->step);
}

static void lower_copy(lowering *l)
{
    start(l);
    if (l->status != CLG_OK)
        return;
    fill_extents(l);
    int32_t access = lower_access(l, l->g->copy_access), first = 0;
    clg_dtype dtype = l->f->p->buffers[l->g->copy_from].dtype;
    plan_instr load = {.kind = INSTR_LOAD, .dtype = (uint8_t)dtype, .src = {-1, -1, -1}, .access = access};
    load.buffer = l->g->copy_from;
    value v = {.reg = emit(l, load)};
    emit_store(l, &v, l->g->copy_to, lower_access(l, l->g->copy_to_access));
    end_section(l, SECTION_OUTER, first);
    l->step->name_node = l->f->p->buffers[l->g->copy_to].node;
    if (l->status == CLG_OK)
        lower_coalesce(l->step);
}

clg_status lower(scheduler *f)
{
    lowering l = {.f = f, .status = CLG_OK};
    l.entry_of = malloc(((size_t)f->s->count + 1) * sizeof *l.entry_of);
    if (!l.entry_of)
        return clg_fail_memory();
    f->p->binding_count = f->s->binding_count;
    for (int32_t i = 0; i < f->group_count && l.status == CLG_OK; i++) {
        l.g = &f->groups[i];
        l.index = i;
        if (l.g->copy_from >= 0)
            lower_copy(&l);
        else if (l.g->first_store < 0)
            continue; /* everything it made was evaluated again elsewhere */
        else if (l.g->kind == STEP_CONTRACT)
            lower_contract(&l);
        else if (l.g->kind == STEP_ARRAY)
            lower_array(&l);
        else
            lower_loop(&l);
    }
    free(l.values);
    free(l.entry_of);
    free(l.access_of);
    return l.status;
}
