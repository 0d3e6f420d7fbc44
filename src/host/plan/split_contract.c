/* Contractions with too few results for a device, rewritten in the subgraph: the summed dimensions are cut into pieces,
 * each of which is a dimension of the result, and what the pieces give is added up by a reduction. Gradients of weights
 * are such ones: a small result, and a sum over a whole batch. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST_SUM = 2048,  /* terms of a result: fewer are not cut */
    LEAST_PIECE = 512, /* terms of a piece */
    MOST_PIECES = 64   /* which the second step adds up one by one */
};

/* How a contraction is cut: each of its summed dimensions into factor[d] pieces of length[d]. */
typedef struct cutting {
    int64_t factor[CLG_MAX_DIMS], length[CLG_MAX_DIMS];
    int count; /* dimensions that are cut */
} cutting;

/* Whether a dimension is an axis of an operand alone: what lies behind its end adds nothing. */
static bool is_axis(const subgraph *s, const sub_node *n, const contraction *c, int d)
{
    for (int o = 0; o < 2; o++) {
        const clg_shape shape = s->shapes[n->in_shape[o]];
        for (int k = 0; k < shape.rank; k++) {
            const affine alone = affine_of(d);
            if (memcmp(&c->axis[o][k], &alone, sizeof alone) == 0 && shape.dim[k] == c->extent[d])
                return true;
        }
    }
    return false;
}

/* Pieces of a dimension where so many are wanted: 1 if it can't be cut. */
static int64_t pieces_of(int64_t extent, int64_t wanted, bool uneven)
{
    if (extent <= wanted)
        return extent;
    for (int64_t pieces = wanted; pieces <= smaller(2 * wanted, extent); pieces++)
        if (extent % pieces == 0)
            return pieces;
    return uneven ? divide_up(extent, divide_up(extent, wanted)) : 1;
}

static cutting cut(const subgraph *s, const sub_node *n, const schedule_traits *traits)
{
    const contraction *c = &s->contractions[n->attr.integer];
    int64_t sum = 1;
    cutting result = {.count = 0};
    for (int d = c->result_rank; d < c->rank; d++)
        sum *= c->extent[d];
    if (n->count == 0 || sum < LEAST_SUM)
        return result;
    int64_t wanted = divide_up(traits->units, n->count / traits->contract_block + 1);
    wanted = smaller(smaller(wanted, sum / LEAST_PIECE), MOST_PIECES);
    for (int d = c->result_rank; d < c->rank && c->rank + result.count < CLG_MAX_DIMS; d++) {
        result.factor[d] = wanted > 1 ? pieces_of(c->extent[d], wanted, is_axis(s, n, c, d)) : 1;
        result.length[d] = divide_up(c->extent[d], result.factor[d]);
        wanted = divide_up(wanted, result.factor[d]);
        result.count += result.factor[d] > 1;
    }
    return result;
}

/* The contraction of pieces: their numbers are the first dimensions of its result. */
static contraction of_pieces(const contraction *c, const cutting *x)
{
    contraction result = {.result_rank = x->count + c->result_rank};
    affine position[CLG_MAX_DIMS] = {{0}};
    int pieces = 0;
    for (int d = 0; d < c->rank; d++)
        if (x->factor[d] > 1) {
            position[d].coef[pieces] = x->length[d];
            result.extent[pieces++] = x->factor[d];
        }
    result.rank = x->count;
    for (int d = 0; d < c->rank; d++) {
        if (x->factor[d] > 1 && x->length[d] == 1)
            continue;
        position[d].coef[result.rank] = 1;
        result.extent[result.rank++] = x->factor[d] > 1 ? x->length[d] : c->extent[d];
    }
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < CLG_MAX_DIMS; k++)
            result.axis[o][k] = affine_compose(&c->axis[o][k], c->rank, position);
    return result;
}

/* Adds the node of the pieces of one; the one becomes their sum. */
static void add_pieces(subgraph *to, sub_node *n, const cutting *x)
{
    const contraction c = of_pieces(&to->contractions[n->attr.integer], x);
    clg_shape result = {.rank = c.result_rank};
    memcpy(result.dim, c.extent, (size_t)c.result_rank * sizeof *c.extent);
    const int32_t shape = subgraph_copy_shape(to, result);
    sub_node *pieces = &to->nodes[to->count++];
    *pieces = *n;
    pieces->output = false;
    pieces->binding = -1;
    pieces->shape = shape;
    pieces->count = clg_shape_count(result);
    pieces->attr.integer = subgraph_copy_contraction(to, &c);
    n->op = OP_SUM;
    n->src[0] = to->count - 1;
    n->src[1] = n->src[2] = -1;
    n->in_shape[0] = shape;
    n->in_shape[1] = -1;
    n->attr.integer = ((int64_t)1 << x->count) - 1;
}

static bool is_split(const subgraph *s, int32_t node, const schedule_traits *traits, cutting *x)
{
    if (s->nodes[node].op != OP_CONTRACT || contract_as_loop(s, node))
        return false;
    *x = cut(s, &s->nodes[node], traits);
    return x->count > 0;
}

clg_status contract_split(const subgraph *s, const schedule_traits *traits, subgraph *to)
{
    int32_t more = 0;
    cutting x;
    *to = (subgraph){0};
    for (int32_t i = 0; i < s->count; i++)
        more += is_split(s, i, traits, &x);
    if (!more)
        return CLG_OK;
    clg_status status = subgraph_copy_begin(s, s->count + more, more, 0, more, to);
    if (status != CLG_OK)
        return status;
    int32_t *local = malloc((size_t)s->count * sizeof *local);
    if (!local) {
        subgraph_free_copy(to);
        return clg_fail_memory();
    }
    for (int32_t i = 0; i < s->count; i++) {
        sub_node n = s->nodes[i];
        for (int k = 0; k < 3; k++)
            n.src[k] = n.src[k] < 0 ? -1 : local[n.src[k]];
        if (is_split(s, i, traits, &x))
            add_pieces(to, &n, &x);
        local[i] = to->count;
        to->nodes[to->count++] = n;
    }
    subgraph_copy_end(s, local, to);
    free(local);
    return CLG_OK;
}
