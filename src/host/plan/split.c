/* A loop that reduces over few outer positions, rewritten as two steps: the first reduces each of several pieces of the
 * inner range into partial results of shape (pieces, outer positions); the second reduces those and evaluates what
 * follows. */
#include "lower.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_PIECE = 256, VECTOR = 16 }; /* inner positions of a piece: at least; a multiple of */

/* One of the two steps while it is made of the whole one. */
typedef struct part {
    const plan_step *whole;
    plan_step *step;
    bool *wanted;      /* instructions of the whole that the part evaluates */
    int32_t *reg;      /* their registers in the part */
    int32_t *accesses; /* of the whole's accesses: those in the part, -1: not yet */
} part;

static void part_free(part *x)
{
    free(x->wanted);
    free(x->reg);
    free(x->accesses);
}

/* A part has at most a load or a store more for each reduction, and one access more. */
static bool part_begin(part *x, const plan_step *whole, plan_step *step)
{
    size_t instrs = (size_t)whole->instr_count, accesses = (size_t)whole->access_count + 1;
    *step = (plan_step){.outer_rank = whole->outer_rank,
                        .inner_rank = whole->inner_rank,
                        .outer_count = whole->outer_count,
                        .inner_count = whole->inner_count,
                        .splits = 1,
                        .inner_piece = whole->inner_count,
                        .product = -1,
                        .name_node = whole->name_node};
    memcpy(step->extent, whole->extent, sizeof step->extent);
    step->instrs = malloc(2 * instrs * sizeof *step->instrs);
    step->sections = malloc(((size_t)whole->section_count + 1) * sizeof *step->sections);
    step->accesses = malloc(accesses * sizeof *step->accesses);
    step->bounds = malloc(((size_t)whole->bound_count + 1) * sizeof *step->bounds);
    *x = (part){.whole = whole, .step = step};
    x->wanted = calloc(instrs, sizeof *x->wanted);
    x->reg = malloc(instrs * sizeof *x->reg);
    x->accesses = malloc(accesses * sizeof *x->accesses);
    if (!step->instrs || !step->sections || !step->accesses || !step->bounds || !x->wanted || !x->reg || !x->accesses)
        return false;
    memset(x->accesses, 0xff, accesses * sizeof *x->accesses); /* all -1 */
    return true;
}

/* Wants all instructions of a kind and what they read; nothing below a reduction unless that is the kind. */
static void want(part *x, plan_instr_kind kind)
{
    for (int32_t i = x->whole->instr_count; i-- > 0;) {
        const plan_instr *in = &x->whole->instrs[i];
        x->wanted[i] |= in->kind == kind;
        for (int s = 0; s < 3 && x->wanted[i] && (in->kind != INSTR_REDUCE || kind == INSTR_REDUCE); s++)
            if (in->src[s] >= 0)
                x->wanted[in->src[s]] = true;
    }
}

static int32_t add(part *x, plan_instr in)
{
    x->step->instrs[x->step->instr_count] = in;
    return x->step->instr_count++;
}

static int32_t add_access(part *x, plan_access access)
{
    const plan_bound *bounds = x->whole->bounds + access.first_bound;
    plan_step *step = x->step;
    if (access.bound_count)
        memcpy(step->bounds + step->bound_count, bounds, (size_t)access.bound_count * sizeof *bounds);
    access.first_bound = step->bound_count;
    step->bound_count += access.bound_count;
    step->accesses[step->access_count] = access;
    return step->access_count++;
}

/* An instruction of the whole, with what it reads where that is in the part. */
static void take(part *x, int32_t i)
{
    plan_instr in = x->whole->instrs[i];
    for (int s = 0; s < 3; s++)
        in.src[s] = in.src[s] >= 0 ? x->reg[in.src[s]] : -1;
    if (in.access >= 0) {
        if (x->accesses[in.access] < 0)
            x->accesses[in.access] = add_access(x, x->whole->accesses[in.access]);
        in.access = x->accesses[in.access];
    }
    x->reg[i] = add(x, in);
}

/* The reduction of partial results. */
static void combine(part *x, int32_t i, int32_t buffer, int32_t access)
{
    plan_instr in = x->whole->instrs[i];
    plan_instr load = {.kind = INSTR_LOAD, .dtype = in.dtype, .src = {-1, -1, -1}, .buffer = buffer, .access = access};
    in.src[0] = add(x, load);
    x->reg[i] = add(x, in);
}

static void end_section(plan_step *step, plan_section_kind kind, int32_t first)
{
    if (step->instr_count > first)
        step->sections[step->section_count++] = (plan_section){kind, first, step->instr_count - first};
}

/* The wanted instructions, section by section. partials: what the whole's reductions are instead, in their order;
 * NULL: what they are. */
static void take_sections(part *x, const int32_t *partials, int32_t access)
{
    for (int32_t k = 0; k < x->whole->section_count; k++) {
        const plan_section *section = &x->whole->sections[k];
        int32_t first = x->step->instr_count;
        for (int32_t i = section->first; i < section->first + section->count; i++)
            if (x->wanted[i] && partials && x->whole->instrs[i].kind == INSTR_REDUCE)
                combine(x, i, *partials++, access);
            else if (x->wanted[i])
                take(x, i);
        end_section(x->step, section->kind, first);
    }
}

/* The access of dense results of the outer positions. */
static plan_access outer_access(const plan_step *step)
{
    plan_access access = {0};
    int64_t stride = 1;
    for (int d = step->outer_rank; d-- > 0; stride *= step->extent[d])
        access.stride[d] = step->extent[d] == 1 ? 0 : stride;
    return access;
}

/* Cuts the inner range into whole vectors, for as many workers as there are. */
static void cut(plan_step *step, int64_t units, int64_t workers)
{
    int64_t pieces = larger(smaller(divide_up(units, workers), step->inner_count / LEAST_PIECE), 2);
    step->inner_piece = round_up(divide_up(step->inner_count, pieces), VECTOR);
    step->splits = divide_up(step->inner_count, step->inner_piece);
}

static bool make_partials(scheduler *f, const plan_step *whole, const int32_t *nodes, int64_t pieces, int32_t *buffers)
{
    for (int32_t i = 0, k = 0; i < whole->instr_count; i++)
        if (whole->instrs[i].kind == INSTR_REDUCE) {
            buffers[k] = schedule_buffer(f, (plan_buffer){.kind = BUFFER_ARENA,
                                                          .dtype = (clg_dtype)whole->instrs[i].dtype,
                                                          .count = pieces * whole->outer_count,
                                                          .node = nodes[k]});
            if (buffers[k++] < 0)
                return false;
        }
    return true;
}

static void first_step(part *x, const int32_t *partials, const int32_t *nodes)
{
    want(x, INSTR_REDUCE);
    take_sections(x, NULL, -1);
    int32_t access = add_access(x, outer_access(x->whole)), first = x->step->instr_count;
    for (int32_t i = 0, k = 0; i < x->whole->instr_count; i++) {
        const plan_instr *in = &x->whole->instrs[i];
        if (in->kind != INSTR_REDUCE)
            continue;
        plan_instr result = {.kind = INSTR_STORE, .dtype = in->dtype, .src = {x->reg[i], -1, -1}, .access = access};
        result.buffer = partials[k];
        add(x, result);
        x->step->name_node = nodes[k++];
    }
    end_section(x->step, SECTION_OUTER, first);
    lower_coalesce(x->step);
}

static void second_step(part *x, const int32_t *partials, int64_t pieces)
{
    plan_step *step = x->step;
    plan_access access = outer_access(x->whole);
    access.stride[step->outer_rank] = step->outer_count;
    step->inner_rank = 1;
    step->extent[step->outer_rank] = step->inner_count = step->inner_piece = pieces;
    want(x, INSTR_STORE);
    take_sections(x, partials, add_access(x, access));
    lower_coalesce(step);
}

clg_status split_step(scheduler *f, const int32_t *nodes, int64_t workers)
{
    plan *p = f->p;
    const plan_step whole = p->steps[p->step_count - 1];
    int32_t *partials = malloc((size_t)whole.instr_count * sizeof *partials);
    if (!ARRAY_ROOM(p->steps, p->step_count, p->step_capacity) || !partials) {
        free(partials);
        return clg_fail_memory();
    }
    plan_step *first = &p->steps[p->step_count - 1], *second = &p->steps[p->step_count++];
    part one = {0}, two = {0};
    bool good = part_begin(&one, &whole, first); /* both are begun, so that the plan can be freed */
    good = part_begin(&two, &whole, second) && good;
    if (good) {
        cut(first, f->traits.units, workers);
        good = make_partials(f, &whole, nodes, first->splits, partials);
    }
    if (good) {
        first_step(&one, partials, nodes);
        second_step(&two, partials, first->splits);
    }
    part_free(&one);
    part_free(&two);
    free(partials);
    plan_step_free(&whole);
    return good ? CLG_OK : clg_fail_memory();
}
