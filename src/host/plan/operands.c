/* What a node that is evaluated in place reads, and at which accesses: asked by fusion and by lowering. */
#include "schedule.h"

#include <string.h>

/* What an elementwise function gives outside its operands' bounds, where they have the value fill. */
static double outside(const subgraph *s, const sub_node *n, double fill)
{
    double x[3] = {fill, fill, fill};
    for (int k = 0; k < 3; k++) {
        if (n->src[k] < 0)
            continue;
        x[k] = fold_round((clg_dtype)s->nodes[n->src[k]].dtype, fill);
        if (s->nodes[n->src[k]].op == OP_CONST)
            x[k] = s->nodes[n->src[k]].attr.value;
    }
    return fold_round((clg_dtype)n->dtype, fold_evaluate((clg_op)n->op, x[0], x[1], x[2]));
}

static access_outcome read_at(scheduler *f, int32_t node, const node_access *a, located *out)
{
    *out = (located){node, access_intern(&f->accesses, a)};
    return ACCESS_DONE;
}

access_outcome schedule_operands(scheduler *f, const space *sp, int32_t node, int32_t at, located out[3],
                                 node_access *row)
{
    const subgraph *s = f->s;
    const sub_node *n = &s->nodes[node];
    const node_access *own = &f->accesses.items[at]; /* until something is interned */
    node_access next;
    access_outcome outcome = ACCESS_DONE;
    out[0].node = out[1].node = out[2].node = -1;
    switch (clg_ops[n->op].kind) {
    case KIND_VIEW:
        outcome = access_through_view(s, n, sp, own, &next);
        if (outcome != ACCESS_BLOCKED)
            read_at(f, n->src[0], &next, &out[0]);
        return outcome;
    case KIND_GATHER:
        if (!access_split_row(sp, own, s->shapes[n->shape], s->shapes[n->in_shape[1]].rank, &next, row))
            return ACCESS_BLOCKED;
        return read_at(f, n->src[1], &next, &out[0]);
    case KIND_CONTRACT: {
        node_access both[2];
        for (int o = 0; o < 2; o++)
            if (!contract_access(f, node, o, sp, &both[o]))
                return ACCESS_BLOCKED;
        for (int o = 0; o < 2; o++) { /* 0 where either is outside, not 0 times what the other has there */
            next = both[o];
            for (int i = 0; i < both[1 - o].bound_count; i++) {
                if (next.bound_count == ACCESS_BOUNDS)
                    return ACCESS_BLOCKED;
                next.bound[next.bound_count++] = both[1 - o].bound[i];
            }
            read_at(f, n->src[o], &next, &out[o]);
        }
        return ACCESS_DONE;
    }
    default:
        break;
    }
    for (int k = 0; k < 3; k++)
        if (n->src[k] >= 0)
            out[k] = (located){n->src[k], at};
    if (own->bound_count == 0)
        return ACCESS_DONE;
    double given = outside(s, n, own->fill);
    outcome = memcmp(&given, &own->fill, sizeof given) ? ACCESS_OTHER_FILL : ACCESS_DONE;
    next = access_unbounded(own); /* constants are what they are everywhere */
    for (int k = 0; k < 3; k++)
        if (n->src[k] >= 0 && s->nodes[n->src[k]].op == OP_CONST)
            read_at(f, n->src[k], &next, &out[k]);
    return outcome;
}
