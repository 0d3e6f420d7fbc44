/* Arrays that are 0 but for a part, and choices between such ones: what join.c makes JOIN nodes of. */
#include "parts.h"

#include "../core/array.h"

#include <string.h>

/* Whether a node's operand has its shape, and not another one of as many elements. */
bool parts_same_shape(const subgraph *s, int32_t node, int32_t operand)
{
    return clg_shape_equal(*subgraph_shape(s, node), *subgraph_shape(s, operand));
}

/* Whether a node is 0 but for all elements of its operand, in their order: the operand's part of it. */
bool parts_is_padded(const subgraph *s, int32_t node, sub_part *part)
{
    const sub_node *n = &s->nodes[node];
    if (!ops_have_map((clg_op)n->op))
        return false;
    const index_map *map = &s->maps[n->attr.integer];
    const clg_shape from = s->shapes[n->in_shape[0]], to = *subgraph_shape(s, node);
    const double zero = 0;
    if (from.rank != to.rank || memcmp(&map->fill, &zero, sizeof zero) != 0)
        return false;
    *part = (sub_part){.node = n->src[0], .shape = n->in_shape[0]};
    for (int d = 0; d < to.rank; d++) {
        affine form = to.dim[d] == 1 ? (affine){0} : affine_of(d);
        part->before[d] = -map->axis[d].offset;
        form.offset = map->axis[d].offset;
        if (memcmp(&form, &map->axis[d], sizeof form) != 0 || part->before[d] < 0 ||
            part->before[d] + from.dim[d] > to.dim[d])
            return false;
    }
    return true;
}

bool parts_is_zero(const subgraph *s, int32_t node)
{
    const double zero = 0;
    const sub_node *n = &s->nodes[node];
    return n->op == OP_CONST && memcmp(&n->attr.value, &zero, sizeof zero) == 0;
}

/* Whether a node is 1 in a box, and 0 around it: the condition of a concatenation. */
static bool is_indicator(const subgraph *s, int32_t node, int64_t *lo, int64_t *hi)
{
    const sub_node *n = &s->nodes[node];
    if (!ops_have_map((clg_op)n->op))
        return false;
    const index_map *map = &s->maps[n->attr.integer];
    const sub_node *one = &s->nodes[n->src[0]];
    const clg_shape from = s->shapes[n->in_shape[0]], to = *subgraph_shape(s, node);
    if (one->op != OP_CONST || one->attr.value == 0 || map->fill != 0)
        return false;
    for (int d = 0; d < to.rank; d++)
        lo[d] = 0, hi[d] = to.dim[d];
    for (int k = 0; k < from.rank; k++) {
        const affine *form = &map->axis[k];
        int along = -1, terms = 0;
        for (int d = 0; d < to.rank; d++)
            if (form->coef[d])
                terms++, along = d;
        if (terms == 0 && form->offset >= 0 && form->offset < from.dim[k])
            continue;
        if (terms != 1 || form->coef[along] != 1)
            return false;
        lo[along] = larger(lo[along], -form->offset);
        hi[along] = smaller(hi[along], from.dim[k] - form->offset);
    }
    return true;
}

/* Whether an operand is 0 outside a box (inside: in it). */
static bool is_zero_there(const subgraph *s, int32_t node, const int64_t *lo, const int64_t *hi, bool inside)
{
    sub_part part;
    if (parts_is_zero(s, node))
        return true;
    if (!parts_is_padded(s, node, &part))
        return false;
    const clg_shape to = *subgraph_shape(s, node), own = s->shapes[part.shape];
    bool within = true, apart = false;
    for (int d = 0; d < to.rank; d++) {
        const int64_t first = part.before[d], end = first + own.dim[d];
        within &= first >= lo[d] && end <= hi[d];
        apart |= end <= lo[d] || first >= hi[d];
    }
    return inside ? apart : within;
}

/* A choice between two parts, each of which is 0 where the other is chosen. */
bool parts_is_choice(const subgraph *s, int32_t node)
{
    const sub_node *n = &s->nodes[node];
    int64_t lo[CLG_MAX_DIMS], hi[CLG_MAX_DIMS];
    return n->op == OP_WHERE && parts_same_shape(s, node, n->src[0]) && parts_same_shape(s, node, n->src[1]) &&
           parts_same_shape(s, node, n->src[2]) && is_indicator(s, n->src[0], lo, hi) &&
           is_zero_there(s, n->src[1], lo, hi, false) && is_zero_there(s, n->src[2], lo, hi, true);
}
