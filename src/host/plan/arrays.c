/* Operations on whole arrays: scans, sorts, rows brought together by index. Each is a step of its own over dense
 * operands in memory; here is what it is told. */
#include "schedule.h"

bool arrays_is_one(clg_op op)
{
    const op_kind kind = clg_ops[op].kind;
    return kind == KIND_SORT || kind == KIND_MATRIX || kind == KIND_SCAN || kind == KIND_SCATTER;
}

/* Lines too few for the device are scanned in pieces. */
static void cut(const scheduler *f, plan_array *a)
{
    enum { SHORTEST = 4096 };
    const int64_t lines = a->outer * a->inner, wanted = divide_up(f->traits.units, lines);
    a->pieces = 1;
    a->piece = a->length;
    if (wanted < 2 || a->length < 2 * SHORTEST)
        return;
    a->piece = larger(divide_up(a->length, wanted), SHORTEST);
    a->pieces = divide_up(a->length, a->piece);
}

void arrays_fill(const scheduler *f, int32_t node, plan_step *step)
{
    const sub_node *n = &f->s->nodes[node];
    const clg_shape shape = f->s->shapes[n->in_shape[0]];
    plan_array *a = &step->array;
    *a = (plan_array){.op = n->op, .operand = {-1, -1}, .outer = 1, .length = 1, .inner = 1, .pieces = 1};
    for (int i = 0; i < clg_ops[n->op].arity; i++)
        a->operand[i] = f->state[n->src[i]].buffer;
    a->result = f->state[node].buffer;
    const op_kind kind = clg_ops[n->op].kind;
    step->dtype = (clg_dtype)f->s->nodes[n->src[kind == KIND_SCATTER]].dtype;
    if (kind == KIND_SCATTER) {
        a->length = clg_shape_count(shape);
        a->results = f->s->shapes[n->shape].dim[0];
        a->inner = a->results ? n->count / a->results : 0;
        return;
    }
    if (kind == KIND_MATRIX) {
        const clg_shape last = f->s->shapes[n->in_shape[n->src[1] >= 0]];
        a->length = a->results = shape.dim[shape.rank - 1];
        a->inner = last.dim[last.rank - 1];
        for (int d = 0; d < shape.rank - 2; d++)
            a->outer *= shape.dim[d];
        a->mode = (uint8_t)n->attr.integer;
        return;
    }
    const int axis = kind == KIND_SORT ? shape.rank - 1 : (int)(n->attr.integer & SCAN_AXIS);
    for (int d = 0; d < shape.rank; d++)
        *(d < axis ? &a->outer : d == axis ? &a->length : &a->inner) *= shape.dim[d];
    a->reverse = n->attr.integer & (kind == KIND_SORT ? 1 : SCAN_REVERSED);
    a->results = f->s->shapes[n->shape].dim[axis];
    if (kind == KIND_SCAN)
        cut(f, a);
}
