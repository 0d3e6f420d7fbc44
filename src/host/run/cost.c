/* What a step of a plan costs at least: bytes and operations. */
#include "engine.h"

/* Of a buffer that is read at an access: at most the whole. */
static int64_t touched_bytes(const plan *p, const plan_step *step, int32_t access, int32_t buffer)
{
    int64_t touched = (int64_t)clg_dtype_size(p->buffers[buffer].dtype);
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        touched *= step->accesses[access].stride[d] ? step->extent[d] : 1;
    return smaller(touched, p->buffers[buffer].bytes);
}

/* Bytes that the step must move: each distinct buffer element range once; loads count their buffer at most once. */
int64_t cost_step_bytes(const plan *p, const plan_step *step)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *in = &step->instrs[i];
        bool first = in->kind == INSTR_LOAD || in->kind == INSTR_STORE;
        for (int32_t k = 0; first && in->kind == INSTR_LOAD && k < i && i < 4096; k++)
            first = step->instrs[k].kind != INSTR_LOAD || step->instrs[k].buffer != in->buffer;
        if (first)
            bytes +=
                in->kind == INSTR_LOAD ? touched_bytes(p, step, in->access, in->buffer) : p->buffers[in->buffer].bytes;
    }
    for (int o = 0; step->kind == STEP_CONTRACT && o < 2; o++)
        bytes += touched_bytes(p, step, step->operand[o].access, step->operand[o].buffer);
    if (step->kind == STEP_ARRAY) {
        const int32_t buffers[] = {step->array.operand[0], step->array.operand[1], step->array.result};
        for (int i = 0; i < 3; i++)
            bytes += buffers[i] < 0 ? 0 : p->buffers[buffers[i]].bytes;
    }
    return bytes;
}

int64_t cost_step_flops(const plan_step *step)
{
    return step->kind == STEP_CONTRACT ? 2 * step->outer_count * step->inner_count : 0;
}
