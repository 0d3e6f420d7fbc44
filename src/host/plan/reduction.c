/* Which INNER sections only reduce what they load. */
#include "plan.h"

#include "../core/ops.h"

#include <math.h>
#include <string.h>

static bool same_bounds(const plan_step *step, const plan_instr *a, const plan_instr *b)
{
    const plan_access *x = &step->accesses[a->access], *y = &step->accesses[b->access];
    return x->bound_count == y->bound_count &&
           (x->bound_count == 0 || memcmp(&step->bounds[x->first_bound], &step->bounds[y->first_bound],
                                          (size_t)x->bound_count * sizeof *step->bounds) == 0);
}

bool plan_reduction_find(const plan_step *step, const plan_section *section, plan_reduction *found)
{
    const plan_instr *in = &step->instrs[section->first];
    const int32_t loads = section->count == 2 ? 1 : 2;
    if (section->count != 2 && section->count != 4)
        return false;
    *found = (plan_reduction){.reduce = &in[section->count - 1], .result = section->first + section->count - 1};
    for (int32_t i = 0; i < loads; i++) {
        if (in[i].kind != INSTR_LOAD || in[i].src[0] >= 0 || in[i].dtype != in[0].dtype)
            return false;
        found->load[i] = &in[i];
    }
    bool max = found->reduce->op == OP_MAX;
    double none = max ? -INFINITY : 0;
    if (found->reduce->kind != INSTR_REDUCE || (!max && found->reduce->op != OP_SUM) ||
        found->reduce->src[0] != found->result - 1 || (in[0].dtype != CLG_F32 && in[0].dtype != CLG_F64))
        return false;
    if (step->accesses[in[0].access].bound_count > 0 && memcmp(&in[0].value, &none, sizeof none) != 0)
        return false;
    if (loads == 1)
        return true;
    const plan_instr *product = &in[2];
    int32_t a = product->src[0] - section->first, b = product->src[1] - section->first;
    if (max || product->kind != INSTR_MAP || product->op != OP_MUL || a + b != 1 || a * b != 0 ||
        !same_bounds(step, &in[0], &in[1]) || memcmp(&in[0].value, &in[1].value, sizeof none) != 0)
        return false;
    return true;
}
