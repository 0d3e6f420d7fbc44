/* What backends ask of a plan. */
#include "plan.h"

#include "../core/ops.h"

#include <stdlib.h>
#include <string.h>

void plan_step_free(const plan_step *step)
{
    free(step->instrs);
    free(step->sections);
    free(step->accesses);
    free(step->bounds);
    for (int o = 0; o < 2; o++)
        plan_free(step->operand[o].prologue);
}

void plan_free(plan *p)
{
    if (!p)
        return;
    for (int32_t i = 0; i < p->step_count; i++)
        plan_step_free(&p->steps[i]);
    free(p->steps);
    free(p->facts);
    free(p->buffers);
    free(p);
}

const char *plan_step_name(const plan_step *step)
{
    static const char *const names[] = {"loop", "contract", "array"};
    return step->is_matmul ? "matmul" : names[step->kind];
}

enum { MATMUL_BATCH, MATMUL_M, MATMUL_N, MATMUL_K }; /* dimensions of a matrix product */

plan_matmul plan_step_matmul(const plan_step *step)
{
    const plan_access *a = &step->accesses[step->operand[0].access], *b = &step->accesses[step->operand[1].access];
    const int64_t *extent = step->extent;
    return (plan_matmul){
        step->dtype,
        extent[MATMUL_BATCH],
        extent[MATMUL_M],
        extent[MATMUL_N],
        extent[MATMUL_K],
        {step->operand[0].buffer, a->offset, a->stride[MATMUL_BATCH], a->stride[MATMUL_M], a->stride[MATMUL_K]},
        {step->operand[1].buffer, b->offset, b->stride[MATMUL_BATCH], b->stride[MATMUL_K], b->stride[MATMUL_N]}};
}

bool plan_is_cast(const plan *prologue)
{
    const plan_step *own = prologue->steps; /* load, cast, store */
    return own->instr_count == 3 && own->instrs[1].kind == INSTR_MAP && own->instrs[1].op == OP_CAST;
}

plan_access plan_matmul_access(const plan_matmul *x, int operand)
{
    const plan_matrix *matrix = operand == 0 ? &x->a : &x->b;
    plan_access result = {.offset = matrix->offset};
    result.stride[MATMUL_BATCH] = matrix->batch_stride;
    result.stride[operand == 0 ? MATMUL_M : MATMUL_K] = matrix->row_stride;
    result.stride[operand == 0 ? MATMUL_K : MATMUL_N] = matrix->column_stride;
    return result;
}

/* Elements that an access touches. */
static double touched(const plan_step *step, const plan_access *access)
{
    double count = 1;
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        count *= access->stride[d] ? (double)step->extent[d] : 1;
    return count;
}

/* Lanes run over inner positions if most of what is loaded and stored is contiguous there, and rows are long enough. */
bool plan_lanes_inner(const plan_step *step)
{
    if (step->kind != STEP_LOOP || step->inner_rank == 0)
        return false;
    int last_inner = step->outer_rank + step->inner_rank - 1, last_outer = step->outer_rank - 1;
    double inner = 0, outer = 0;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *in = &step->instrs[i];
        if (in->kind != INSTR_LOAD && in->kind != INSTR_STORE)
            continue;
        const plan_access *access = &step->accesses[in->access];
        if (access->stride[last_inner] == 1)
            inner += touched(step, access);
        else if (last_outer >= 0 && access->stride[last_outer] == 1)
            outer += touched(step, access);
    }
    if (outer > inner)
        return false;
    return step->inner_count >= 32 || step->outer_count < 32;
}

/* Two accesses, and what they give outside their bounds. */
static bool same_access(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    const plan_access *x = &step->accesses[a->access], *y = &step->accesses[b->access];
    if (x->offset != y->offset || memcmp(x->stride, y->stride, sizeof x->stride) || x->bound_count != y->bound_count)
        return false;
    return x->bound_count == 0 || (!memcmp(&step->bounds[x->first_bound], &step->bounds[y->first_bound],
                                           (size_t)x->bound_count * sizeof *step->bounds) &&
                                   !memcmp(&a->value, &b->value, sizeof a->value));
}

bool plan_same_function(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype)
        return false;
    switch ((plan_instr_kind)a->kind) {
    case INSTR_CONST:
        return memcmp(&a->value, &b->value, sizeof a->value) == 0;
    case INSTR_IOTA:
    case INSTR_MASK:
        return same_access(step, a, b);
    case INSTR_LOAD:
        return a->buffer == b->buffer && a->row_stride == b->row_stride && a->row_count == b->row_count &&
               same_access(step, a, b);
    case INSTR_MAP:
        return a->op == b->op;
    default:
        return false;
    }
}
