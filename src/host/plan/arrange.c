/* An operand of a contraction copied, so that its columns are neighbours: the memory order that its reader wants. For
 * devices that read operands where they lie, and an operand that is small beside the rest: a convolution's weights in
 * its gradient, say. */
#include "schedule.h"

static bool depends(const node_access *at, int d)
{
    for (int k = 0; k < at->rank; k++)
        if (at->axis[k].coef[d])
            return true;
    return false;
}

/* The last dimension of the result, along which columns lie; -1: there is none. */
static int last_column(const space *whole)
{
    int column = -1;
    for (int d = 0; d < whole->rank; d++)
        column = whole->inner >> d & 1 ? column : d;
    return column;
}

/* The dimensions that the operand depends on, columns last, and the operand's access over them; and the access of the
 * copy over all dimensions. */
static space order_dimensions(const space *whole, int column, const node_access *at, node_access *load,
                              node_access *dense)
{
    space sp = {0};
    *load = *at;
    *dense = (node_access){0};
    for (int k = 0; k < at->rank; k++)
        load->axis[k] = (affine){.offset = at->axis[k].offset};
    for (int pass = 0; pass < 2; pass++)
        for (int d = 0; d < whole->rank; d++) {
            if ((d == column) != (pass == 1) || !depends(at, d))
                continue;
            for (int k = 0; k < at->rank; k++)
                load->axis[k].coef[sp.rank] = at->axis[k].coef[d];
            dense->axis[sp.rank] = affine_of(d);
            dense->extent[sp.rank] = sp.extent[sp.rank] = whole->extent[d];
            sp.rank++;
        }
    dense->rank = sp.rank;
    return sp;
}

clg_status contract_arrange(scheduler *f, int32_t node, contract_operands *x)
{
    enum { SMALL = 4 }; /* times what is small, at least, is the rest */
    const int32_t operand = x->node[1];
    const sub_node *n = &f->s->nodes[operand];
    const node_access at = f->accesses.items[x->access[1]];
    const int column = last_column(&x->whole);
    node_access load, dense;
    group g;
    if (!f->traits.dense_columns || x->is_matmul || column < 0 || at.bound_count > 0)
        return CLG_OK;
    const int64_t stride = access_address(&at).coef[column];
    space sp = order_dimensions(&x->whole, column, &at, &load, &dense);
    if (!group_fill(f, &g, STEP_LOOP, sp))
        return CLG_ERROR_MEMORY;
    if (stride == 0 || stride == 1 || g.full_count == 0 || g.full_count > n->count ||
        g.full_count > larger(f->s->nodes[node].count, f->s->nodes[x->node[0]].count) / SMALL)
        return CLG_OK;
    g.copy_from = f->state[operand].buffer;
    g.copy_access = access_intern(&f->accesses, &load);
    g.copy_to = schedule_buffer(
        f, (plan_buffer){.kind = BUFFER_ARENA, .dtype = (clg_dtype)n->dtype, .count = g.full_count, .node = n->id});
    x->access[1] = access_intern(&f->accesses, &dense);
    x->arranged = g.copy_to;
    const int32_t index = group_append(f, &g);
    if (index < 0 || g.copy_to < 0 || g.copy_access < 0 || x->access[1] < 0)
        return CLG_ERROR_MEMORY;
    group_read(f, operand, index, true);
    return CLG_OK;
}
