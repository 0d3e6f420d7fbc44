/* Sums of arrays that are 0 but for a part (the gradients of slices), and choices between such arrays (concatenations),
 * as nodes of their own kind: JOIN, whose parts do not overlap and are stored where they lie. So an element is
 * evaluated once, by whoever makes its part, however many parts there are.
 *
 * A tree of additions and choices is flattened into parts. Those of choices alone do not overlap; those of sums that do
 * go to different layers, each a JOIN, of which the sum is taken; what is no part is added as it was. Few parts that
 * nobody needs in memory stay as they are: the steps that read them choose by masks. */
#include "parts.h"
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
    FEW_PARTS = 4,  /* stay choices where they are read */
    MOST_LAYERS = 4 /* of parts that overlap */
};

/* A part of a tree's result, and the node that has zeros around it; -1: there is none. */
typedef struct tree_part {
    sub_part part;
    int32_t padded;
    int layer;
} tree_part;

typedef struct branch { /* a node of the tree, and where its elements lie in the result */
    int32_t node;
    bool moved, /* in a part of the result */
        opaque; /* a term, whatever it is: its shape is another one */
    int64_t before[CLG_MAX_DIMS];
} branch;

/* What becomes of a node: layers of JOINs, and other terms. */
typedef struct tree {
    int32_t first_part, part_count; /* by layer, those without one behind */
    int32_t first_term, term_count;
    bool sums; /* it has additions */
    int axis;  /* along which parts lie one behind the other */
} tree;

typedef struct joiner {
    const subgraph *s;
    int32_t *uses;    /* of each node */
    int32_t *under;   /* parts in a sum or choice, about; 0 once another one has it */
    bool *whole;      /* a sum or choice of parts alone */
    bool *live;       /* wanted */
    uint8_t *dense;   /* see fuse_mark_dense */
    int32_t *tree_of; /* a node's tree, -1: none */
    tree *trees;
    int32_t tree_count, tree_capacity;
    tree_part *parts;
    int32_t part_count, part_capacity;
    node_list terms;
    branch *stack;
    int32_t stack_count, stack_capacity;
    sub_part *boxes; /* of the copy: parts of JOINs, filled up with zeros */
    int32_t box_count, box_capacity;
    sub_join *joins;
    int32_t join_count, join_capacity;
} joiner;

/* ---------------------------------------------------------------- how many parts there are */

/* Whether an operand of a sum is made of parts alone. */
static bool is_of_parts(const joiner *j, int32_t sum, int32_t node)
{
    sub_part part;
    return parts_is_zero(j->s, node) || (parts_same_shape(j->s, sum, node) && parts_is_padded(j->s, node, &part)) ||
           (parts_same_shape(j->s, sum, node) && j->whole[node] && j->uses[node] == 1 && !j->s->nodes[node].output);
}

static int32_t parts_under(const joiner *j, int32_t node)
{
    sub_part part;
    if (!parts_is_padded(j->s, node, &part))
        return j->uses[node] == 1 ? j->under[node] : 0;
    return (int32_t)larger(1, j->uses[part.node] == 1 ? j->under[part.node] : 0);
}

static void classify(joiner *j)
{
    const subgraph *s = j->s;
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        for (int k = 0; k < 3; k++)
            if (n->src[k] >= 0)
                j->uses[n->src[k]]++;
    }
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        if (n->count == 0)
            continue;
        j->whole[i] =
            n->op == OP_ADD ? is_of_parts(j, i, n->src[0]) && is_of_parts(j, i, n->src[1]) : parts_is_choice(j->s, i);
        for (int k = 0; k < 3 && (n->op == OP_ADD || j->whole[i]); k++)
            if (n->src[k] >= 0)
                j->under[i] = (int32_t)smaller((int64_t)j->under[i] + parts_under(j, n->src[k]), INT32_MAX);
    }
}

/* ---------------------------------------------------------------- trees flattened */

static bool push(joiner *j, branch b)
{
    if (!ARRAY_ROOM(j->stack, j->stack_count, j->stack_capacity))
        return false;
    j->stack[j->stack_count++] = b;
    return true;
}

static bool push_operand(joiner *j, const branch *of, int32_t operand)
{
    branch b = *of;
    b.node = operand;
    b.opaque = !parts_same_shape(j->s, of->node, operand);
    return push(j, b);
}

static bool add_part(joiner *j, tree *t, const sub_part *part, int32_t padded)
{
    if (clg_shape_count(j->s->shapes[part->shape]) == 0)
        return true;
    if (!ARRAY_ROOM(j->parts, j->part_count, j->part_capacity))
        return false;
    j->parts[j->part_count++] = (tree_part){*part, padded, -1};
    t->part_count++;
    return true;
}

/* A padded operand is a part, or what its own operand is made of. */
static bool flatten_padded(joiner *j, tree *t, const branch *b, sub_part part)
{
    const int32_t under = part.node;
    for (int d = 0; d < CLG_MAX_DIMS; d++)
        part.before[d] += b->before[d];
    if (j->whole[under] && j->uses[under] == 1 && !j->s->nodes[under].output &&
        clg_shape_equal(*subgraph_shape(j->s, under), j->s->shapes[part.shape])) {
        branch below = {.node = under, .moved = true};
        memcpy(below.before, part.before, sizeof below.before);
        return push(j, below);
    }
    return add_part(j, t, &part, b->moved ? -1 : b->node);
}

/* Finds the parts and terms of a sum or choice. false: out of memory. */
static bool flatten(joiner *j, int32_t root, tree *t)
{
    *t = (tree){.first_part = j->part_count, .first_term = j->terms.count};
    j->stack_count = 0;
    bool good = push(j, (branch){.node = root});
    while (good && j->stack_count > 0) {
        const branch b = j->stack[--j->stack_count];
        const sub_node *n = &j->s->nodes[b.node];
        const bool inner = b.node == root || (j->uses[b.node] == 1 && !n->output && !b.opaque);
        sub_part part;
        if (parts_is_zero(j->s, b.node))
            continue;
        if (inner)
            j->under[b.node] = 0;
        if (!b.opaque && parts_is_padded(j->s, b.node, &part))
            good = flatten_padded(j, t, &b, part);
        else if (inner && n->op == OP_ADD)
            good = push_operand(j, &b, n->src[0]) && push_operand(j, &b, n->src[1]), t->sums = true;
        else if (inner && j->whole[b.node])
            good = push_operand(j, &b, n->src[1]) && push_operand(j, &b, n->src[2]);
        else
            good = schedule_add(&j->terms, b.node), t->term_count++;
    }
    return good;
}

/* ---------------------------------------------------------------- layers */

/* The axis along which parts are shortest beside the whole. */
static int joined_axis(const joiner *j, const tree *t, clg_shape shape)
{
    int axis = 0;
    double least = 0;
    for (int d = 0; d < shape.rank; d++) {
        double covered = 0;
        for (int32_t i = 0; i < t->part_count; i++)
            covered += (double)j->s->shapes[j->parts[t->first_part + i].part.shape].dim[d] / (double)shape.dim[d];
        if (d == 0 || covered < least)
            least = covered, axis = d;
    }
    return axis;
}

static int compare(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

static __thread int sorted_axis; /* qsort takes no context */

static int by_start(const void *x, const void *y)
{
    const tree_part *a = x, *b = y;
    const int order = compare(a->part.before[sorted_axis], b->part.before[sorted_axis]);
    return order ? order : compare(a->part.node, b->part.node);
}

static int by_layer(const void *x, const void *y)
{
    const tree_part *a = x, *b = y;
    return a->layer != b->layer ? compare(a->layer, b->layer) : by_start(x, y);
}

/* Whether parts that do not overlap are the whole. */
static bool cover(const joiner *j, const tree *t, int64_t count)
{
    for (int32_t i = 0; i < t->part_count; i++)
        count -= clg_shape_count(j->s->shapes[j->parts[t->first_part + i].part.shape]);
    return count == 0;
}

/* How many parts make a JOIN worth while: two, where those that read a node want it in memory. */
static int32_t least_parts(const joiner *j, int32_t node) { return j->dense[node] ? 2 : FEW_PARTS + 1; }

/* Parts into layers in which none overlap; layers of few parts, and what fits in none, stay terms of the sum. false:
 * the tree stays as it is. */
static bool find_layers(joiner *j, int32_t root, tree *t)
{
    const clg_shape shape = *subgraph_shape(j->s, root);
    const int32_t least = least_parts(j, root);
    int64_t end[MOST_LAYERS] = {0};
    int32_t count[MOST_LAYERS + 1] = {0};
    tree_part *parts = j->parts + t->first_part;
    if (t->part_count < least)
        return false;
    if (!t->sums && cover(j, t, j->s->nodes[root].count)) {
        for (int32_t i = 0; i < t->part_count; i++)
            parts[i].layer = 0;
        return true;
    }
    sorted_axis = t->axis = joined_axis(j, t, shape);
    qsort(parts, (size_t)t->part_count, sizeof *parts, by_start);
    for (int32_t i = 0; i < t->part_count; i++) {
        const int64_t first = parts[i].part.before[sorted_axis];
        int layer = 0;
        while (layer < MOST_LAYERS && end[layer] > first)
            layer++;
        if (layer < MOST_LAYERS)
            end[layer] = first + j->s->shapes[parts[i].part.shape].dim[sorted_axis];
        parts[i].layer = layer;
        count[layer]++;
    }
    if (!t->sums && count[0] < t->part_count)
        return false;
    for (int32_t i = 0; i < t->part_count; i++)
        if (parts[i].layer == MOST_LAYERS || count[parts[i].layer] < least) {
            if (parts[i].padded < 0)
                return false;
            parts[i].layer = MOST_LAYERS;
        }
    qsort(parts, (size_t)t->part_count, sizeof *parts, by_layer);
    return parts[0].layer < MOST_LAYERS;
}

/* ---------------------------------------------------------------- which nodes become what */

static void keep(joiner *j, int32_t node) { j->live[node] = true; }

/* Makes a tree of a node if there is one. false: out of memory. */
static bool find_tree(joiner *j, int32_t node)
{
    tree t;
    const int32_t parts = j->part_count, terms = j->terms.count;
    if (j->under[node] < least_parts(j, node))
        return true;
    if (!flatten(j, node, &t))
        return false;
    if (!find_layers(j, node, &t)) {
        j->part_count = parts;
        j->terms.count = terms;
        return true;
    }
    if (!ARRAY_ROOM(j->trees, j->tree_count, j->tree_capacity))
        return false;
    j->tree_of[node] = j->tree_count;
    j->trees[j->tree_count++] = t;
    for (int32_t i = 0; i < t.part_count; i++) {
        const tree_part *x = &j->parts[t.first_part + i];
        keep(j, x->layer < MOST_LAYERS ? x->part.node : x->padded);
    }
    for (int32_t i = 0; i < t.term_count; i++)
        keep(j, j->terms.items[t.first_term + i]);
    return true;
}

static bool find_trees(joiner *j)
{
    for (int32_t i = j->s->count; i-- > 0;) {
        const sub_node *n = &j->s->nodes[i];
        if (n->output || n->op == OP_ASSIGN || n->op == OP_INPUT)
            j->live[i] = true;
        if (!j->live[i])
            continue;
        if (!find_tree(j, i))
            return false;
        for (int k = 0; k < 3 && j->tree_of[i] < 0; k++)
            if (n->src[k] >= 0)
                keep(j, n->src[k]);
    }
    return true;
}

/* ---------------------------------------------------------------- the copy */

/* A part of zeros. */
static bool add_zeros(joiner *j, subgraph *to, const sub_node *whole, clg_shape shape, const int64_t *before)
{
    if (clg_shape_count(shape) == 0)
        return true;
    if (!ARRAY_ROOM(j->boxes, j->box_count, j->box_capacity))
        return false;
    sub_part *box = &j->boxes[j->box_count++];
    *box = (sub_part){.node = to->count, .shape = subgraph_copy_shape(to, shape)};
    memcpy(box->before, before, sizeof box->before);
    to->nodes[to->count++] = (sub_node){.op = OP_CONST,
                                        .dtype = whole->dtype,
                                        .src = {-1, -1, -1},
                                        .shape = box->shape,
                                        .in_shape = {-1, -1},
                                        .id = whole->id,
                                        .binding = -1,
                                        .count = clg_shape_count(shape)};
    return true;
}

/* Zeros between from and a part along an axis, and around the part in the slab that it takes along that axis. */
static bool fill_around(joiner *j, subgraph *to, const sub_node *whole, int axis, int64_t from, const sub_part *part)
{
    const clg_shape all = j->s->shapes[whole->shape], own = j->s->shapes[part->shape];
    clg_shape box = all;
    int64_t before[CLG_MAX_DIMS] = {0};
    before[axis] = from;
    box.dim[axis] = part->before[axis] - from;
    bool good = add_zeros(j, to, whole, box, before);
    before[axis] = part->before[axis];
    box.dim[axis] = own.dim[axis];
    for (int d = 0; d < all.rank && good; d++) {
        if (d == axis)
            continue;
        before[d] = 0;
        box.dim[d] = part->before[d];
        good = add_zeros(j, to, whole, box, before);
        before[d] = part->before[d] + own.dim[d];
        box.dim[d] = all.dim[d] - before[d];
        good = good && add_zeros(j, to, whole, box, before);
        before[d] = part->before[d];
        box.dim[d] = own.dim[d];
    }
    return good;
}

/* The zeros that a layer's parts leave, along an axis. */
static bool fill_up(joiner *j, subgraph *to, const sub_node *whole, int axis, const tree_part *parts, int32_t count)
{
    int64_t end = 0, before[CLG_MAX_DIMS] = {0};
    clg_shape rest = j->s->shapes[whole->shape];
    for (int32_t i = 0; i < count; i++) {
        if (!fill_around(j, to, whole, axis, end, &parts[i].part))
            return false;
        end = parts[i].part.before[axis] + j->s->shapes[parts[i].part.shape].dim[axis];
    }
    before[axis] = end;
    rest.dim[axis] -= end;
    return add_zeros(j, to, whole, rest, before);
}

/* The JOIN of a layer's parts. */
static bool add_join(joiner *j, subgraph *to, const int32_t *local, const sub_node *n, const tree *t,
                     const tree_part *parts, int32_t count)
{
    const sub_node whole = {.op = OP_JOIN,
                            .dtype = n->dtype,
                            .src = {-1, -1, -1},
                            .shape = n->shape,
                            .in_shape = {-1, -1},
                            .id = n->id,
                            .binding = -1,
                            .count = n->count,
                            .attr.integer = j->join_count};
    const int32_t first = j->box_count;
    for (int32_t i = 0; i < count; i++) {
        if (!ARRAY_ROOM(j->boxes, j->box_count, j->box_capacity))
            return false;
        j->boxes[j->box_count] = parts[i].part;
        j->boxes[j->box_count++].node = local[parts[i].part.node];
    }
    if ((t->sums || !cover(j, t, n->count)) && !fill_up(j, to, &whole, t->axis, parts, count))
        return false;
    if (!ARRAY_ROOM(j->joins, j->join_count, j->join_capacity))
        return false;
    j->joins[j->join_count++] = (sub_join){first, j->box_count - first};
    to->nodes[to->count++] = whole;
    return true;
}

/* Adds a node to the sum so far, which is the last node; total -1: there is none. */
static void add_term(subgraph *to, const sub_node *n, int32_t term, int32_t *total)
{
    if (*total >= 0) {
        sub_node sum = *n;
        sum.op = OP_ADD;
        sum.src[0] = *total;
        sum.src[1] = term;
        sum.src[2] = -1;
        sum.in_shape[0] = sum.in_shape[1] = n->shape;
        sum.output = false;
        sum.binding = -1;
        to->nodes[to->count++] = sum;
        term = to->count - 1;
    }
    *total = term;
}

static bool copy_tree(joiner *j, subgraph *to, int32_t *local, int32_t node)
{
    const sub_node *n = &j->s->nodes[node];
    const tree *t = &j->trees[j->tree_of[node]];
    const tree_part *parts = j->parts + t->first_part;
    int32_t total = -1;
    for (int32_t i = 0; i < t->term_count; i++)
        add_term(to, n, local[j->terms.items[t->first_term + i]], &total);
    for (int32_t i = 0, next; i < t->part_count; i = next) {
        next = i + 1;
        if (parts[i].layer == MOST_LAYERS) {
            add_term(to, n, local[parts[i].padded], &total);
            continue;
        }
        while (next < t->part_count && parts[next].layer == parts[i].layer)
            next++;
        if (!add_join(j, to, local, n, t, &parts[i], next - i))
            return false;
        add_term(to, n, to->count - 1, &total);
    }
    local[node] = total;
    to->nodes[total].output = n->output;
    to->nodes[total].binding = n->binding;
    return true;
}

/* The most nodes, and shapes, that trees need besides those that there are: for each part zeros before it, on both
 * sides along each other axis, and an addition; for each layer zeros behind, a JOIN and an addition. */
static int32_t room(const joiner *j)
{
    int64_t most = j->s->count;
    for (int32_t i = 0; i < j->s->count; i++) {
        if (j->tree_of[i] < 0)
            continue;
        const tree *t = &j->trees[j->tree_of[i]];
        most += (int64_t)t->part_count * 2 * (subgraph_shape(j->s, i)->rank + 1) + t->term_count + 3 * MOST_LAYERS;
    }
    return most < INT32_MAX / 2 ? (int32_t)most : -1;
}

static clg_status copy(joiner *j, subgraph *to)
{
    const subgraph *s = j->s;
    const int32_t most = room(j);
    clg_status status = most < 0 ? clg_fail_memory() : subgraph_copy_begin(s, most, most, 0, 0, to);
    if (status != CLG_OK)
        return status;
    int32_t *local = malloc(((size_t)s->count + 1) * sizeof *local);
    bool good = local != NULL;
    for (int32_t i = 0; i < s->count && good; i++) {
        if (!j->live[i])
            continue;
        if (j->tree_of[i] >= 0) {
            good = copy_tree(j, to, local, i);
            continue;
        }
        sub_node *n = &to->nodes[to->count];
        *n = s->nodes[i];
        for (int k = 0; k < 3; k++)
            n->src[k] = n->src[k] < 0 ? -1 : local[n->src[k]];
        local[i] = to->count++;
    }
    if (good)
        subgraph_copy_end(s, local, to);
    free(local);
    to->joins = j->joins;
    to->parts = j->boxes;
    j->joins = NULL;
    j->boxes = NULL;
    if (!good)
        join_free(to);
    return good ? CLG_OK : clg_fail_memory();
}

/* ---------------------------------------------------------------- the stage */

clg_status join_parts(const subgraph *s, subgraph *to)
{
    joiner j = {.s = s};
    const size_t count = (size_t)s->count + 1;
    *to = (subgraph){0};
    j.uses = calloc(count, sizeof *j.uses);
    j.under = calloc(count, sizeof *j.under);
    j.whole = calloc(count, sizeof *j.whole);
    j.live = calloc(count, sizeof *j.live);
    j.tree_of = malloc(count * sizeof *j.tree_of);
    j.dense = calloc(count, sizeof *j.dense);
    clg_status status = j.uses && j.under && j.whole && j.live && j.tree_of && j.dense ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK) {
        memset(j.tree_of, 0xff, count * sizeof *j.tree_of);
        classify(&j);
        fuse_mark_dense(s, j.dense);
        status = find_trees(&j) ? CLG_OK : clg_fail_memory();
    }
    if (status == CLG_OK && j.tree_count > 0)
        status = copy(&j, to);
    free(j.uses);
    free(j.under);
    free(j.whole);
    free(j.live);
    free(j.tree_of);
    free(j.trees);
    free(j.parts);
    free(j.terms.items);
    free(j.stack);
    free(j.boxes);
    free(j.joins);
    free(j.dense);
    return status;
}

void join_free(subgraph *to)
{
    free((void *)to->joins);
    free((void *)to->parts);
    subgraph_free_copy(to);
}
