/* Prologues: what is done with the elements of a contraction's operand as they are read. An operand that is elementwise
 * functions of one array in memory, and of constants, is not stored then; nor is one that is cast from a dtype for
 * storage alone, whatever gives that. */
#include "schedule.h"

#include <stdlib.h>

enum {
    MOST_COST = 8, /* an element is read, and what is done with it is done, more than once */
    MOST_NODES = 8,
    LINE = 256 /* elements of the plan's step */
};

/* The nodes under an operand down to what is in memory, in topological order: that, constants, functions. */
typedef struct chain {
    int32_t node[MOST_NODES];
    int count, cost;
    int32_t source; /* what is in memory, -1: nothing is */
} chain;

/* Adds a node unless it is there, behind those before it; false: too many. */
static bool insert(chain *c, int32_t node)
{
    int at = c->count;
    for (int i = 0; i < c->count; i++)
        if (c->node[i] == node)
            return true;
    if (c->count == MOST_NODES)
        return false;
    for (; at > 0 && c->node[at - 1] > node; at--)
        c->node[at] = c->node[at - 1];
    c->node[at] = node;
    c->count++;
    return true;
}

/* Whether node base is such a function, down to a source that is chosen already, -1: that is in memory. Views and sizes
 * in between, that is, broadcasts, are none. */
static bool find_chain(const scheduler *f, int32_t base, int32_t source, chain *c)
{
    const sub_node *nodes = f->s->nodes;
    *c = (chain){.node = {base}, .count = 1, .source = -1};
    for (int last = 0; last < c->count;) {
        const int32_t node = c->node[c->count - 1 - last]; /* operands come before */
        const sub_node *n = &nodes[node];
        last++;
        if (n->op == OP_CONST)
            continue;
        if (n->count != nodes[base].count)
            return false;
        const bool kept = f->dense[node] || schedule_rounds(f->s, node);
        if (source >= 0 ? node == source : n->op == OP_INPUT || (node != base && kept)) {
            if (c->source >= 0)
                return false;
            c->source = node;
            continue;
        }
        c->cost += schedule_widens(f->s, node) ? 0 : clg_ops[n->op].cost;
        if (clg_ops[n->op].kind != KIND_MAP || c->cost > MOST_COST)
            return false;
        for (int k = 0; k < 3; k++)
            if (n->src[k] >= 0 && !insert(c, n->src[k]))
                return false;
    }
    return c->source >= 0;
}

/* What a node is cast to f32 from, if that is of a dtype for storage alone: it is kept in memory itself then, which
 * takes less than its cast. -1: the node is no such cast. */
static int32_t cast_source(const scheduler *f, int32_t node)
{
    return schedule_widens(f->s, node) ? f->s->nodes[node].src[0] : -1;
}

void prologue_find(scheduler *f)
{
    for (int32_t i = f->s->count; i-- > 0;)
        if (f->dense[i] == DENSE_OPERAND && schedule_widens(f->s, i))
            f->dense[f->s->nodes[i].src[0]] |= DENSE_OPERAND;
    for (int32_t i = 0; i < f->s->count; i++) {
        chain c;
        int32_t source = -1;
        if (f->dense[i] != DENSE_OPERAND || f->s->nodes[i].count == 0 || clg_ops[f->s->nodes[i].op].kind != KIND_MAP)
            continue;
        if (f->traits.prologues == PROLOGUES_ALL && find_chain(f, i, -1, &c))
            source = c.source;
        else if (f->traits.prologues != PROLOGUES_NONE)
            source = cast_source(f, i);
        if (source < 0)
            continue;
        f->dense[i] = 0;
        f->dense[source] |= DENSE_OTHER;
        f->state[i].source = source;
    }
}

/* ---------------------------------------------------------------- as a plan */

static void add_instr(plan_step *step, plan_instr in) { step->instrs[step->instr_count++] = in; }

static int32_t number_of(const chain *c, const int32_t *reg, int32_t node)
{
    for (int i = 0; node >= 0 && i < c->count; i++)
        if (c->node[i] == node)
            return reg[i];
    return -1;
}

/* Constants, the element, functions, the result. */
static void fill_step(const scheduler *f, const chain *c, plan_step *step)
{
    const sub_node *nodes = f->s->nodes;
    int32_t reg[MOST_NODES];
    for (int pass = 0; pass < 3; pass++) {
        const int32_t first = step->instr_count;
        for (int i = 0; i < c->count; i++) {
            const sub_node *n = &nodes[c->node[i]];
            const int own = n->op == OP_CONST ? 0 : c->node[i] == c->source ? 1 : 2;
            if (own != pass)
                continue;
            plan_instr in = {.dtype = n->dtype, .op = n->op, .src = {-1, -1, -1}, .buffer = -1, .access = -1};
            in.kind = own == 0 ? INSTR_CONST : own == 1 ? INSTR_LOAD : INSTR_MAP;
            in.value = own == 0 ? n->attr.value : 0;
            if (own == 1)
                in.buffer = in.access = in.op = 0;
            for (int k = 0; own == 2 && k < 3; k++)
                in.src[k] = number_of(c, reg, n->src[k]);
            reg[i] = step->instr_count;
            add_instr(step, in);
        }
        if (pass == 0 && step->instr_count > first)
            step->sections[step->section_count++] = (plan_section){SECTION_ONCE, first, step->instr_count - first};
    }
    const sub_node *result = &nodes[c->node[c->count - 1]];
    add_instr(
        step,
        (plan_instr){
            .kind = INSTR_STORE, .dtype = result->dtype, .src = {reg[c->count - 1], -1, -1}, .buffer = 1, .access = 0});
    const int32_t first = step->section_count > 0 ? step->sections[0].count : 0;
    step->sections[step->section_count++] = (plan_section){SECTION_OUTER, first, step->instr_count - first};
}

clg_status prologue_plan(const scheduler *f, int32_t node, plan **out)
{
    chain c;
    if (!find_chain(f, node, f->state[node].source, &c))
        return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: %s is no prologue", clg_ops[f->s->nodes[node].op].name);
    plan *p = calloc(1, sizeof *p);
    if (!p)
        return clg_fail_memory();
    p->steps = calloc(1, sizeof *p->steps);
    p->buffers = calloc(2, sizeof *p->buffers);
    *out = p;
    if (!p->steps || !p->buffers)
        return clg_fail_memory();
    p->step_count = p->step_capacity = 1;
    p->buffer_count = p->buffer_capacity = 2;
    for (int i = 0; i < 2; i++) {
        const clg_dtype dtype = (clg_dtype)f->s->nodes[i ? node : c.source].dtype;
        p->buffers[i] = (plan_buffer){.kind = BUFFER_ARENA,
                                      .dtype = dtype,
                                      .count = LINE,
                                      .bytes = LINE * (int64_t)clg_dtype_size(dtype),
                                      .node = f->s->nodes[i ? node : c.source].id};
    }
    plan_step *step = p->steps;
    *step = (plan_step){.product = -1, .name_node = f->s->nodes[node].id};
    step->outer_rank = 1;
    step->extent[0] = step->outer_count = LINE;
    step->inner_count = step->inner_piece = step->splits = 1;
    step->instrs = calloc(MOST_NODES + 1, sizeof *step->instrs);
    step->sections = calloc(2, sizeof *step->sections);
    step->accesses = calloc(1, sizeof *step->accesses);
    if (!step->instrs || !step->sections || !step->accesses)
        return clg_fail_memory();
    step->accesses[step->access_count++].stride[0] = 1;
    fill_step(f, &c, step);
    return plan_analyse(p);
}
