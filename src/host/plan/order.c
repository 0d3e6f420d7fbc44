/* The memory order of intermediates (design, 16): channels last, where convolutions make and read them, for devices
 * whose kernels run fastest over neighbouring channels. Users see logical axes alone; leaves and outputs stay as they
 * are.
 *
 * Axes of different nodes that are one and the same (an operand's axis that a map reads by one dimension of the result)
 * form a class. Convolutions say which classes are channels and which are spatial. A node with channels before a
 * spatial axis is then rewritten with its channels behind: its shape, and the maps of views and contractions that make
 * or read it. Maps and reductions have no such map: what they read is in their own order, or nothing is changed. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST_CHANNELS = 8, /* fewer make no vector */
    CHANNEL = 1,        /* labels of classes; with both there is no telling */
    SPATIAL = 2
};

typedef struct orderer {
    const subgraph *s;
    int32_t *first;  /* class of each node's axis 0 (a contraction's: dimension 0); the others follow */
    int32_t *parent; /* of classes: union-find */
    uint8_t *label;
    bool *last; /* the node has its channels last */
} orderer;

/* ---------------------------------------------------------------- classes of axes */

static int32_t class_of(orderer *o, int32_t node, int axis)
{
    int32_t at = o->first[node] + axis;
    while (o->parent[at] != at)
        at = o->parent[at] = o->parent[o->parent[at]];
    return at;
}

static void unite(orderer *o, int32_t a, int axis_a, int32_t b, int axis_b)
{
    o->parent[class_of(o, a, axis_a)] = class_of(o, b, axis_b);
}

/* The only dimension that a form depends on; -1: none or several. */
static int only_dimension(const affine *form, int rank)
{
    int found = -1, terms = 0;
    for (int d = 0; d < rank; d++)
        if (form->coef[d])
            found = d, terms++;
    return terms == 1 ? found : -1;
}

/* The shape under which a node reads operand k. */
static clg_shape seen_shape(const subgraph *s, const sub_node *n, int k)
{
    return k < 2 && n->in_shape[k] >= 0 ? s->shapes[n->in_shape[k]] : s->shapes[n->shape];
}

/* How an operand's own axes, and those that a node sees of it, belong together: in runs of as many elements, numbered
 * from 0; -1: of extent 1. */
typedef struct runs {
    int own[CLG_MAX_DIMS], seen[CLG_MAX_DIMS];
    int own_count[CLG_MAX_DIMS], seen_count[CLG_MAX_DIMS]; /* axes in each run */
} runs;

static runs find_runs(const subgraph *s, const sub_node *n, int k)
{
    const clg_shape own = *subgraph_shape(s, n->src[k]), seen = seen_shape(s, n, k);
    runs r = {{0}, {0}, {0}, {0}};
    int64_t have = 1, want = 1;
    for (int i = 0, j = 0, run = 0; i < own.rank || j < seen.rank;) {
        const bool from_own = i < own.rank && (j == seen.rank || have <= want);
        const int64_t extent = from_own ? own.dim[i] : seen.dim[j];
        *(from_own ? &r.own[i] : &r.seen[j]) = extent == 1 ? -1 : run;
        if (extent > 1) {
            *(from_own ? &have : &want) *= extent;
            *(from_own ? &r.own_count[run] : &r.seen_count[run]) += 1;
        }
        from_own ? i++ : j++;
        if (have == want && have > 1) {
            run++;
            have = want = 1;
        }
    }
    return r;
}

/* The operand's own axis that an axis is which a node sees; -1: it is a part of one, or several. */
static int own_axis(const runs *r, int seen)
{
    const int run = r->seen[seen];
    if (run < 0 || r->seen_count[run] != 1 || r->own_count[run] != 1)
        return -1;
    int a = 0;
    while (r->own[a] != run)
        a++;
    return a;
}

static void unite_axes(orderer *o, int32_t node)
{
    const sub_node *n = &o->s->nodes[node];
    const op_kind kind = clg_ops[n->op].kind;
    const int rank = subgraph_shape(o->s, node)->rank;
    for (int k = 0; k < 3; k++) {
        if (n->src[k] < 0 || n->count == 0)
            continue;
        const runs r = find_runs(o->s, n, k);
        for (int a = 0; a < seen_shape(o->s, n, k).rank; a++) {
            const int axis = own_axis(&r, a);
            int d = -1;
            if (axis < 0)
                continue;
            if (kind == KIND_MAP)
                d = a;
            else if (kind == KIND_REDUCE)
                d = n->attr.integer >> a & 1 ? -1 : a;
            else if (ops_have_map((clg_op)n->op))
                d = only_dimension(&o->s->maps[n->attr.integer].axis[a], rank);
            else if (kind == KIND_CONTRACT)
                d = only_dimension(&subgraph_contraction(o->s, node)->axis[k][a],
                                   subgraph_contraction(o->s, node)->rank);
            if (d >= 0)
                unite(o, n->src[k], axis, node, d);
        }
    }
}

/* ---------------------------------------------------------------- labels */

/* The dimensions of a contraction that an operand's windows move along, as bits. *forward: in each window fewer
 * elements are summed than there are windows, as in a convolution and unlike its gradient for the weights. */
static uint32_t window_dims(const contraction *c, int which, clg_shape shape, bool *forward)
{
    uint32_t dims = 0;
    for (int a = 0; a < shape.rank; a++) {
        const affine *form = &c->axis[which][a];
        int64_t summed = 1, windows = 1;
        if (!contract_is_windowed(c, form, shape.dim[a]))
            continue;
        for (int d = 0; d < c->rank; d++)
            if (form->coef[d]) {
                dims |= 1u << d;
                *(d < c->result_rank ? &windows : &summed) *= c->extent[d];
            }
        *forward &= summed <= windows;
    }
    return dims;
}

static bool reads(const contraction *c, int which, int rank, int d)
{
    for (int a = 0; a < rank; a++)
        if (c->axis[which][a].coef[d])
            return true;
    return false;
}

static void label_convolution(orderer *o, int32_t node)
{
    const subgraph *s = o->s;
    const sub_node *n = &s->nodes[node];
    const contraction *c = subgraph_contraction(s, node);
    for (int which = 0; which < 2; which++) {
        const clg_shape shape = s->shapes[n->in_shape[which]], other = s->shapes[n->in_shape[1 - which]];
        bool forward = true, other_forward = true;
        const uint32_t dims = window_dims(c, which, shape, &forward);
        if (!dims || !forward || window_dims(c, 1 - which, other, &other_forward))
            continue;
        for (int d = 0; d < c->rank; d++) {
            const bool summed = d >= c->result_rank, alone = !reads(c, which, shape.rank, d);
            uint8_t label = 0;
            if (dims >> d & 1)
                label = summed ? 0 : SPATIAL;
            else if (summed || (alone && reads(c, 1 - which, other.rank, d)))
                label = CHANNEL;
            o->label[class_of(o, node, d)] |= label;
        }
        const runs r = find_runs(s, n, which);
        for (int a = 0; a < shape.rank; a++)
            if (own_axis(&r, a) >= 0 && contract_is_windowed(c, &c->axis[which][a], shape.dim[a]))
                o->label[class_of(o, n->src[which], own_axis(&r, a))] |= SPATIAL;
    }
}

/* The axes of a node in its new order. Returns whether that is another one. */
static bool new_order(orderer *o, int32_t node, int order[CLG_MAX_DIMS])
{
    const clg_shape *shape = subgraph_shape(o->s, node);
    int count = 0;
    int64_t channels = 1;
    bool before = false, changed = false;
    for (int pass = 0; pass < 2; pass++)
        for (int a = 0; a < shape->rank; a++) {
            const uint8_t label = o->label[class_of(o, node, a)];
            if ((label == CHANNEL) != (pass == 1))
                continue;
            order[count++] = a;
            channels *= pass == 1 ? shape->dim[a] : 1;
        }
    for (int a = 0; a < shape->rank; a++) {
        const uint8_t label = o->label[class_of(o, node, a)];
        changed |= before && label == SPATIAL && shape->dim[a] > 1;
        before |= label == CHANNEL && shape->dim[a] > 1;
    }
    return changed && channels >= LEAST_CHANNELS;
}

/* ---------------------------------------------------------------- which nodes */

/* Whether the operand's new order keeps the runs whole that a node sees. */
static bool keeps_runs(orderer *o, const sub_node *n, int k)
{
    const runs r = find_runs(o->s, n, k);
    int order[CLG_MAX_DIMS], run = -1, left = 0, before = -1;
    new_order(o, n->src[k], order);
    for (int i = 0; i < subgraph_shape(o->s, n->src[k])->rank; i++) {
        const int own = r.own[order[i]];
        if (own < 0)
            continue;
        if (left > 0 ? own != run || order[i] < before : false)
            return false;
        if (left == 0) {
            run = own;
            left = r.own_count[run];
        }
        left--;
        before = order[i];
    }
    return true;
}

/* Nodes that stay as they are, whatever reads them: what others see, and what is read under another shape. */
static void pin(orderer *o)
{
    for (int32_t i = 0; i < o->s->count; i++) {
        const sub_node *n = &o->s->nodes[i];
        const op_kind kind = clg_ops[n->op].kind;
        const bool fixed = kind == KIND_LEAF || kind == KIND_GATHER || arrays_is_one(n->op) || kind == KIND_EFFECT;
        if ((fixed && n->op != OP_CONST) || n->output)
            o->last[i] = false;
        for (int k = 0; k < 3; k++)
            if (n->src[k] >= 0 && o->last[n->src[k]] && (fixed || !keeps_runs(o, n, k)))
                o->last[n->src[k]] = false;
    }
}

/* The order of a node's axes; of further dimensions: as they are. */
static void order_of(orderer *o, int32_t node, int order[CLG_MAX_DIMS])
{
    for (int a = 0; a < CLG_MAX_DIMS; a++)
        order[a] = a;
    if (o->last[node])
        new_order(o, node, order);
}

/* The order of the axes that a node sees of operand k; those of extent 1 come last. */
static void seen_order(orderer *o, const sub_node *n, int k, int order[CLG_MAX_DIMS])
{
    int own[CLG_MAX_DIMS], count = 0, before = -1;
    const int seen = seen_shape(o->s, n, k).rank;
    for (int a = 0; a < CLG_MAX_DIMS; a++)
        order[a] = a;
    if (!o->last[n->src[k]])
        return;
    const runs r = find_runs(o->s, n, k);
    order_of(o, n->src[k], own);
    for (int i = 0; i < subgraph_shape(o->s, n->src[k])->rank; i++) {
        const int run = r.own[own[i]];
        for (int a = 0; a < seen && run >= 0 && run != before; a++)
            if (r.seen[a] == run)
                order[count++] = a;
        before = run >= 0 ? run : before;
    }
    for (int a = 0; a < seen; a++)
        if (r.seen[a] < 0)
            order[count++] = a;
}

/* Whether two orders of a shape's axes are the same, but for those of extent 1. */
static bool is_same_order(const clg_shape *shape, const int *a, const int *b)
{
    for (int i = 0, k = 0; i < shape->rank; i++) {
        if (shape->dim[a[i]] == 1)
            continue;
        while (shape->dim[b[k]] == 1)
            k++;
        if (a[i] != b[k++])
            return false;
    }
    return true;
}

/* Maps and reductions are in the order of what they read, a reduction's as far as its axes are left. Returns whether
 * something changed. */
static bool agree(orderer *o, int32_t node)
{
    const sub_node *n = &o->s->nodes[node];
    const op_kind kind = clg_ops[n->op].kind;
    int own[CLG_MAX_DIMS], operand[CLG_MAX_DIMS];
    bool differ = false;
    order_of(o, node, own);
    for (int k = 0; k < 3 && (kind == KIND_MAP || kind == KIND_REDUCE); k++) {
        if (n->src[k] < 0 || o->s->nodes[n->src[k]].op == OP_CONST || (!o->last[node] && !o->last[n->src[k]]))
            continue;
        seen_order(o, n, k, operand);
        differ |= !is_same_order(subgraph_shape(o->s, node), own, operand);
    }
    if (!differ)
        return false;
    o->last[node] = false;
    for (int k = 0; k < 3; k++)
        if (n->src[k] >= 0)
            o->last[n->src[k]] = false;
    return true;
}

static bool choose(orderer *o)
{
    int order[CLG_MAX_DIMS];
    bool any = false, changed = true;
    for (int32_t i = 0; i < o->s->count; i++)
        if (o->s->nodes[i].op == OP_CONTRACT)
            label_convolution(o, i);
    for (int32_t i = 0; i < o->s->count; i++)
        o->last[i] = o->s->nodes[i].op != OP_CONST && o->s->nodes[i].count > 0 && new_order(o, i, order);
    pin(o);
    while (changed) {
        changed = false;
        for (int32_t i = 0; i < o->s->count; i++)
            changed |= agree(o, i);
        for (int32_t i = o->s->count; i-- > 0;)
            changed |= agree(o, i);
    }
    for (int32_t i = 0; i < o->s->count; i++)
        any |= o->last[i];
    return any;
}

/* ---------------------------------------------------------------- the copy */

static clg_shape reordered(clg_shape shape, const int *order)
{
    clg_shape result = shape;
    for (int a = 0; a < shape.rank; a++)
        result.dim[a] = shape.dim[order[a]];
    return result;
}

/* Forms of an operand's axes over a result's dimensions, each in its own order. */
static void reorder_forms(affine *forms, int axes, const int *axis_order, int dims, const int *dim_order)
{
    affine from[CLG_MAX_DIMS];
    memcpy(from, forms, sizeof from);
    for (int a = 0; a < axes; a++) {
        forms[a] = from[axis_order[a]];
        for (int d = 0; d < dims; d++)
            forms[a].coef[d] = from[axis_order[a]].coef[dim_order[d]];
    }
}

static void reorder_node(orderer *o, int32_t node, subgraph *to)
{
    const sub_node *from = &o->s->nodes[node];
    sub_node *n = &to->nodes[node];
    const clg_shape shape = *subgraph_shape(o->s, node);
    bool moved = o->last[node];
    int own[CLG_MAX_DIMS], operand[2][CLG_MAX_DIMS], axes[2] = {0};
    order_of(o, node, own);
    if (moved)
        n->shape = subgraph_copy_shape(to, reordered(shape, own));
    for (int k = 0; k < 2; k++) {
        if (from->src[k] < 0)
            continue;
        seen_order(o, from, k, operand[k]);
        axes[k] = seen_shape(o->s, from, k).rank;
        if (o->last[from->src[k]])
            n->in_shape[k] = subgraph_copy_shape(to, reordered(seen_shape(o->s, from, k), operand[k]));
        moved |= o->last[from->src[k]];
    }
    if (clg_ops[n->op].kind == KIND_REDUCE && moved) {
        n->attr.integer = 0;
        for (int a = 0; a < axes[0]; a++)
            n->attr.integer |= (from->attr.integer >> operand[0][a] & 1) << a;
    } else if (ops_have_map((clg_op)n->op) && moved) {
        index_map map = o->s->maps[from->attr.integer];
        reorder_forms(map.axis, axes[0], operand[0], shape.rank, own);
        n->attr.integer = subgraph_copy_map(to, &map);
    } else if (n->op == OP_CONTRACT && moved) {
        contraction c = *subgraph_contraction(o->s, node);
        for (int d = 0; d < c.result_rank; d++)
            c.extent[d] = subgraph_contraction(o->s, node)->extent[own[d]];
        for (int k = 0; k < 2; k++)
            reorder_forms(c.axis[k], axes[k], operand[k], c.rank, own);
        n->attr.integer = subgraph_copy_contraction(to, &c);
    }
}

static clg_status copy(orderer *o, subgraph *to)
{
    const subgraph *s = o->s;
    clg_status status = subgraph_copy_begin(s, s->count, 3 * s->count, s->count, s->count, to);
    if (status != CLG_OK)
        return status;
    memcpy(to->nodes, s->nodes, (size_t)s->count * sizeof *s->nodes);
    memcpy(to->outputs, s->outputs, (size_t)s->output_count * sizeof *s->outputs);
    to->count = s->count;
    for (int32_t i = 0; i < s->count; i++)
        reorder_node(o, i, to);
    return CLG_OK;
}

/* ---------------------------------------------------------------- the stage */

clg_status order_axes(const subgraph *s, subgraph *to)
{
    orderer o = {.s = s};
    int32_t axes = 0;
    bool windows = false;
    *to = (subgraph){0};
    o.first = malloc(((size_t)s->count + 1) * sizeof *o.first);
    for (int32_t i = 0; i < s->count && o.first; i++) {
        o.first[i] = axes;
        axes += s->nodes[i].op == OP_CONTRACT ? subgraph_contraction(s, i)->rank : subgraph_shape(s, i)->rank;
        windows |= s->nodes[i].op == OP_CONTRACT && contract_has_windows(s, i);
    }
    o.parent = malloc(((size_t)axes + 1) * sizeof *o.parent);
    o.label = calloc((size_t)axes + 1, sizeof *o.label);
    o.last = calloc((size_t)s->count + 1, sizeof *o.last);
    clg_status status = o.first && o.parent && o.label && o.last ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK && windows) {
        for (int32_t i = 0; i < axes; i++)
            o.parent[i] = i;
        for (int32_t i = 0; i < s->count; i++)
            unite_axes(&o, i);
        if (choose(&o))
            status = copy(&o, to);
    }
    free(o.first);
    free(o.parent);
    free(o.label);
    free(o.last);
    return status;
}
