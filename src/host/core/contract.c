/* Sums of products: matrix products and einsum, as contractions over an iteration space (index_map.h), and their
 * gradient, a contraction again with the roles exchanged. */
#include "graph.h"

#include <string.h>

/* ---------------------------------------------------------------- nodes */

/* An operand over the axes of the result. *within: u8, 1 where it is read and 0 outside; poisoned if it is read
 * everywhere. */
static clg_var over_result(clg_var x, const affine *axis, clg_shape shape, clg_var *within)
{
    index_map map = {0};
    clg_shape from = clg_shape_of(x);
    bool inside = true;
    for (int k = 0; k < from.rank; k++) {
        int64_t least, most;
        affine_range(&axis[k], shape.rank, shape.dim, &least, &most);
        inside &= least >= 0 && most < from.dim[k];
        map.axis[k] = axis[k];
    }
    *within = inside ? POISON(x.graph)
                     : views_map(OP_VIEW, ops_constant(x.graph, CLG_U8, graph_at(x)->shape, 1), shape, &map);
    return views_map(OP_VIEW, x, shape, &map);
}

/* Without a sum: the product of the two, element by element, which fuses with whatever uses it. */
static clg_var elementwise(clg_var a, clg_var b, const contraction *c, clg_shape shape)
{
    clg_var within[2], x = over_result(a, c->axis[0], shape, &within[0]),
                       y = over_result(b, c->axis[1], shape, &within[1]), product = ops_map(OP_MUL, x, y, x);
    for (int o = 0; o < 2 && product.id >= 0; o++)
        if (within[o].id >= 0)
            product = clg_where(within[o], product, ops_like(product, 0));
    return product;
}

clg_var contract_node(clg_var a, clg_var b, const contraction *c)
{
    clg_graph *g = a.graph;
    contraction own = *c;
    clg_shape shape = {.rank = c->result_rank}, from[2] = {clg_shape_of(a), clg_shape_of(b)};
    bool empty = false;
    int64_t summed = 1;
    if (a.id < 0 || b.id < 0)
        return POISON(g);
    memcpy(shape.dim, c->extent, sizeof shape.dim);
    for (int d = c->result_rank; d < c->rank; d++) {
        empty |= c->extent[d] == 0;
        summed *= c->extent[d];
    }
    for (int d = c->rank; d < CLG_MAX_DIMS; d++)
        own.extent[d] = 0;
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < CLG_MAX_DIMS; k++)
            for (int d = 0; d < CLG_MAX_DIMS; d++)
                if (k >= from[o].rank || d >= c->rank || c->extent[d] == 1)
                    own.axis[o][k].coef[d] = 0;
    int32_t id = graph_shape(g, shape);
    clg_dtype dtype = (clg_dtype)graph_at(a)->dtype;
    if (empty || clg_shape_count(from[0]) == 0 || clg_shape_count(from[1]) == 0 || clg_shape_count(shape) == 0)
        return ops_constant(g, dtype, id, 0);
    if (summed == 1)
        return elementwise(a, b, &own, shape);
    int32_t index = graph_contraction(g, &own);
    return index < 0 || id < 0 ? POISON(g)
                               : graph_node(g, OP_CONTRACT, dtype, id, (int32_t[]){a.id, b.id, -1},
                                            (graph_record){.attr.integer = index});
}

bool contract_dtype(const char *op, clg_var *a, clg_var *b)
{
    if (!graph_check(op, (clg_var[]){*a, *b}, 2))
        return false;
    clg_dtype dtype = clg_dtype_of(*a) == CLG_F64 || clg_dtype_of(*b) == CLG_F64 ? CLG_F64 : CLG_F32;
    *a = clg_cast(*a, dtype);
    *b = clg_cast(*b, dtype);
    return a->id >= 0 && b->id >= 0;
}

/* ---------------------------------------------------------------- the gradient */

static bool is_dimension(const affine *f, int rank, int d)
{
    bool same = f->offset == 0;
    for (int e = 0; e < rank; e++)
        same &= f->coef[e] == (e == d);
    return same;
}

/* Whether dimension d of c is always within its extent where the new space's operands are within theirs. */
static bool is_bounded(const contraction *c, int other, clg_shape shape, const inverse_map *inverse, int d)
{
    int64_t least, most;
    affine_range(&inverse->position[d], inverse->rank, inverse->extent, &least, &most);
    bool bounded = (least >= 0 && most < c->extent[d]) || d < c->result_rank;
    for (int k = 0; k < shape.rank; k++)
        bounded |= shape.dim[k] == c->extent[d] && is_dimension(&c->axis[other][k], c->rank, d);
    return bounded;
}

/* Without an inverse: through the operand's windows as an array. */
static clg_var adjoint_through_view(const contraction *c, clg_var x, clg_var with, int which, clg_var gy)
{
    clg_shape from = clg_shape_of(x), shape = {0};
    contraction direct = *c;
    index_map map = {0};
    memset(direct.axis[which], 0, sizeof direct.axis[which]);
    for (int d = 0; d < c->rank; d++) {
        bool used = false;
        for (int k = 0; k < from.rank; k++)
            used |= c->axis[which][k].coef[d] != 0;
        if (!used)
            continue;
        for (int k = 0; k < from.rank; k++)
            map.axis[k].coef[shape.rank] = c->axis[which][k].coef[d];
        direct.axis[which][shape.rank] = affine_of(d);
        shape.dim[shape.rank++] = c->extent[d];
    }
    for (int k = 0; k < from.rank; k++)
        map.axis[k].offset = c->axis[which][k].offset;
    clg_var windows = views_map(OP_VIEW, x, shape, &map);
    return windows.id < 0 ? windows : views_adjoint(x, contract_adjoint(&direct, windows, with, which, gy), &map);
}

clg_var contract_adjoint(const contraction *c, clg_var x, clg_var with, int which, clg_var gy)
{
    clg_graph *g = x.graph;
    clg_shape from = clg_shape_of(x), other = clg_shape_of(with);
    inverse_map inverse;
    if (clg_shape_count(from) == 0 || clg_shape_count(clg_shape_of(gy)) == 0)
        return ops_constant(g, clg_dtype_of(gy), graph_shape(g, from), 0);
    if (!index_map_solve(c->axis[which], c->rank, c->extent, from, &inverse))
        return adjoint_through_view(c, x, with, which, gy);
    contraction back = {.rank = inverse.rank, .result_rank = inverse.part_rank};
    index_map of_gy = {0};
    memcpy(back.extent, inverse.extent, sizeof back.extent);
    for (int d = 0; d < c->result_rank; d++)
        of_gy.axis[d] = inverse.position[d];
    for (int k = 0; k < other.rank; k++)
        back.axis[1 - which][k] = affine_compose(&c->axis[1 - which][k], c->rank, inverse.position);
    gy = views_with_conditions(gy, &inverse, &of_gy);
    for (int d = c->result_rank; d < c->rank && gy.id >= 0; d++) {
        if (is_bounded(c, 1 - which, other, &inverse, d))
            continue;
        clg_shape wide = clg_shape_of(gy); /* an axis of that extent, along which nothing changes */
        if (wide.rank == CLG_MAX_DIMS)
            return adjoint_through_view(c, x, with, which, gy);
        of_gy.axis[wide.rank] = inverse.position[d];
        wide.dim[wide.rank++] = 1;
        gy = ops_reshape(gy, wide);
        wide.dim[wide.rank - 1] = c->extent[d];
        gy = clg_broadcast_to(gy, wide);
    }
    memcpy(back.axis[which], of_gy.axis, sizeof of_gy.axis);
    clg_var parts = which == 0 ? contract_node(gy, with, &back) : contract_node(with, gy, &back);
    return views_assemble(parts, &inverse, from);
}

/* ---------------------------------------------------------------- matrix products */

/* The axes of an operand of matmul: its leading ones are the result's last batch axes. matrix: the dimensions of its
 * last axes. */
static void matrix_axes(affine *axis, clg_shape shape, int batch_rank, const int *matrix, int matrix_rank)
{
    int leading = shape.rank - matrix_rank;
    for (int k = 0; k < shape.rank; k++) {
        int d = k < leading ? batch_rank - leading + k : matrix[k - leading];
        axis[k] = shape.dim[k] == 1 ? (affine){0} : affine_of(d);
    }
}

clg_var clg_matmul(clg_var a, clg_var b)
{
    if (!graph_check("matmul", (clg_var[]){a, b}, 2))
        return POISON(a.graph);
    clg_graph *g = a.graph;
    clg_shape s = clg_shape_of(a), t = clg_shape_of(b), batch, left = s, right = t;
    if (s.rank < 1 || t.rank < 1)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: operands need rank 1 or more: %s x %s", shape_text(s),
                          shape_text(t));
    int rows = s.rank > 1, columns = t.rank > 1;
    int64_t k = s.dim[s.rank - 1];
    if (k != t.dim[t.rank - 1 - columns])
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: inner dimensions differ: %s x %s", shape_text(s),
                          shape_text(t));
    left.rank -= 1 + rows;
    right.rank -= 1 + columns;
    if (!shape_broadcast(left, right, &batch))
        return graph_fail(g, CLG_ERROR_ARGUMENT, "matmul: batch dimensions do not broadcast: %s x %s", shape_text(s),
                          shape_text(t));
    if (!contract_dtype("matmul", &a, &b))
        return POISON(g);
    contraction c = {.result_rank = batch.rank + rows + columns};
    memcpy(c.extent, batch.dim, sizeof c.extent);
    int row = batch.rank, column = row + rows, depth = column + columns;
    if (rows)
        c.extent[row] = s.dim[s.rank - 2];
    if (columns)
        c.extent[column] = t.dim[t.rank - 1];
    c.extent[depth] = k;
    c.rank = depth + 1;
    matrix_axes(c.axis[0], s, batch.rank, rows ? (int[]){row, depth} : (int[]){depth}, 1 + rows);
    matrix_axes(c.axis[1], t, batch.rank, columns ? (int[]){depth, column} : (int[]){depth}, 1 + columns);
    return contract_node(a, b, &c);
}

/* ---------------------------------------------------------------- einsum */

/* Axes' names: letters, and behind them the axes that "..." stands for, counted from the last. */
enum { LETTERS = 52, MOST_OPERANDS = 26 };
typedef int8_t labels[CLG_MAX_DIMS];

typedef struct term {
    clg_var x;
    int rank;
    labels label;
} term;

static int letter_index(char c) { return c >= 'a' ? c - 'a' + 26 : c - 'A'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Reads one operand's letters up to ',', '-' or the end; the ellipsis becomes axes, of which it has `dots`. -1: not
 * readable, or too many. */
static int read_labels(const char **at, int dots, int8_t *label, bool *ellipsis)
{
    int rank = 0;
    *ellipsis = false;
    for (const char *c = *at;; c++) {
        *at = c;
        if (*c == ' ')
            continue;
        if (*c == 0 || *c == ',' || *c == '-')
            return rank;
        if (*c == '.' && c[1] == '.' && c[2] == '.' && !*ellipsis) {
            *ellipsis = true;
            for (int i = dots; i-- > 0 && rank < CLG_MAX_DIMS;)
                label[rank++] = (int8_t)(LETTERS + i);
            c += 2;
        } else if (!is_letter(*c) || rank == CLG_MAX_DIMS) {
            return -1;
        } else {
            label[rank++] = (int8_t)letter_index(*c);
        }
    }
}

static int find_label(const term *t, int label)
{
    for (int k = 0; k < t->rank; k++)
        if (t->label[k] == label)
            return k;
    return -1;
}

/* Takes diagonals: afterwards no label occurs twice. */
static bool take_diagonals(term *t)
{
    clg_shape from = clg_shape_of(t->x), shape = {0};
    term unique = {t->x, 0, {0}};
    index_map map = {0};
    for (int k = 0; k < t->rank; k++) {
        int at = find_label(&unique, t->label[k]);
        if (at < 0) {
            at = unique.rank++;
            unique.label[at] = t->label[k];
            shape.dim[shape.rank++] = from.dim[k];
        } else if (shape.dim[at] != from.dim[k]) {
            return false;
        }
        map.axis[k] = affine_of(at);
    }
    if (unique.rank < t->rank)
        unique.x = views_map(OP_VIEW, t->x, shape, &map);
    *t = unique;
    return true;
}

/* Sums over the axes whose labels are not wanted. */
static void sum_unwanted(term *t, const bool *wanted)
{
    uint32_t mask = 0;
    term left = {t->x, 0, {0}};
    clg_shape from = clg_shape_of(t->x), shape = {0};
    for (int k = 0; k < t->rank; k++) {
        if (!wanted[t->label[k]]) {
            mask |= 1u << k;
            continue;
        }
        shape.dim[shape.rank++] = from.dim[k];
        left.label[left.rank++] = t->label[k];
    }
    if (mask && t->x.id >= 0) {
        left.x = ops_reshape(ops_reduce(OP_SUM, t->x, mask), shape);
        *t = left;
    }
}

/* a and b to one term that has the labels of out, in their order. */
static bool contract_terms(const term *a, const term *b, const term *out, term *result)
{
    const term *terms[2] = {a, b};
    bool known[CLG_MAX_DIMS] = {false};
    contraction c = {.rank = out->rank, .result_rank = out->rank};
    term space = *out;
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < terms[o]->rank; k++) {
            int d = find_label(&space, terms[o]->label[k]);
            if (d < 0 && space.rank == CLG_MAX_DIMS)
                return false;
            if (d < 0) {
                d = space.rank++;
                space.label[d] = terms[o]->label[k];
            }
            int64_t extent = clg_shape_of(terms[o]->x).dim[k];
            if (!known[d] || c.extent[d] == 1)
                c.extent[d] = extent;
            known[d] = true;
            c.axis[o][k] = extent == 1 ? (affine){0} : affine_of(d);
        }
    c.rank = space.rank;
    clg_var x = contract_node(a->x, b->x, &c); /* the result may take the place of a or b */
    *result = *out;
    result->x = x;
    return true;
}

/* One term to the result's axes. */
static clg_var arrange(const term *t, const term *out)
{
    clg_axes order = {.count = out->rank};
    for (int i = 0; i < out->rank; i++)
        order.axis[i] = find_label(t, out->label[i]);
    return t->x.id < 0 ? t->x : clg_permute(t->x, order);
}

static clg_var bad_einsum(clg_graph *g, const char *equation, const char *why)
{
    return graph_fail(g, CLG_ERROR_ARGUMENT, "einsum: \"%s\": %s", equation, why);
}

/* The result's labels, where the equation does not say: those that occur once, sorted; axes of "..." first. */
static void implicit_result(const term *terms, int count, int dots, term *out)
{
    out->rank = 0;
    for (int i = dots; i-- > 0;)
        out->label[out->rank++] = (int8_t)(LETTERS + i);
    for (int label = 0; label < LETTERS && out->rank < CLG_MAX_DIMS; label++) {
        int times = 0;
        for (int i = 0; i < count; i++)
            for (int k = 0; k < terms[i].rank; k++)
                times += terms[i].label[k] == label;
        if (times == 1)
            out->label[out->rank++] = (int8_t)label;
    }
}

/* Reads the equation. NULL, or what is wrong with it. */
static const char *read_equation(const char *equation, term *terms, int count, term *out)
{
    const char *at = equation;
    bool ellipsis;
    int dots = 0;
    for (int pass = 0; pass < 2; pass++) { /* first: how many axes "..." stands for */
        at = equation;
        for (int i = 0; i < count; i++) {
            int rank = clg_shape_of(terms[i].x).rank;
            int8_t *label = terms[i].label;
            const char *start = at;
            int read = read_labels(&at, 0, label, &ellipsis);
            if (read < 0)
                return "only letters, \"...\", ',' and \"->\" can stand there";
            int own = ellipsis ? rank - read : 0;
            if (own < 0 || (!ellipsis && read != rank))
                return "an operand has another number of axes than letters";
            dots = own > dots ? own : dots;
            if (pass == 1) {
                at = start;
                terms[i].rank = read_labels(&at, own, label, &ellipsis);
            }
            if (i + 1 < count && *at++ != ',')
                return "there are more operands than terms";
        }
        if (*at == ',')
            return "there are more terms than operands";
    }
    if (*at == 0) {
        implicit_result(terms, count, dots, out);
        return NULL;
    }
    if (at[0] != '-' || at[1] != '>')
        return "only \"->\" can stand before the result";
    at += 2;
    out->rank = read_labels(&at, dots, out->label, &ellipsis);
    if (out->rank < 0 || *at)
        return "the result has only letters and \"...\"";
    for (int k = 0; k < out->rank; k++) {
        bool found = false;
        for (int i = 0; i < count; i++)
            found |= find_label(&terms[i], out->label[k]) >= 0;
        if (!found)
            return "the result has a letter that no operand has";
        if (find_label(out, out->label[k]) != k)
            return "the result has a letter twice";
    }
    return NULL;
}

/* Whether axes with one label have one extent, or 1. */
static bool extents_agree(const term *terms, int count)
{
    int64_t extent[LETTERS + CLG_MAX_DIMS];
    for (int i = 0; i < LETTERS + CLG_MAX_DIMS; i++)
        extent[i] = 1;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < terms[i].rank; k++) {
            int64_t own = clg_shape_of(terms[i].x).dim[k], *all = &extent[terms[i].label[k]];
            if (own != 1 && *all != 1 && own != *all)
                return false;
            *all = own == 1 ? *all : own;
        }
    return true;
}

clg_var clg_einsum(const char *equation, const clg_var *operands, int count)
{
    term terms[MOST_OPERANDS], out = {0};
    if (count < 1 || count > MOST_OPERANDS)
        return count < 1 ? (clg_var){NULL, -1}
                         : graph_fail(operands[0].graph, CLG_ERROR_ARGUMENT, "einsum: %d operands are more than %d",
                                      count, MOST_OPERANDS);
    clg_graph *g = operands[0].graph;
    if (!graph_check("einsum", operands, count))
        return POISON(g);
    clg_dtype dtype = CLG_F32;
    for (int i = 0; i < count; i++)
        dtype = clg_dtype_of(operands[i]) == CLG_F64 ? CLG_F64 : dtype;
    for (int i = 0; i < count; i++)
        terms[i] = (term){clg_cast(operands[i], dtype), 0, {0}};
    const char *wrong = read_equation(equation, terms, count, &out);
    if (!wrong && !extents_agree(terms, count))
        wrong = "axes with one letter have different extents";
    if (!wrong && out.rank > CLG_MAX_RANK)
        wrong = "the result has more axes than an array can have";
    for (int i = 0; i < count && !wrong; i++)
        if (!take_diagonals(&terms[i]))
            wrong = "axes with one letter in one operand have different extents";
    if (wrong)
        return bad_einsum(g, equation, wrong);
    for (int first = 0; first < count; first++) {
        bool wanted[LETTERS + CLG_MAX_DIMS] = {false};
        term next = out;
        for (int k = 0; k < out.rank; k++)
            wanted[out.label[k]] = true;
        for (int i = first + 2; i < count; i++)
            for (int k = 0; k < terms[i].rank; k++)
                wanted[terms[i].label[k]] = true;
        if (first + 2 < count) { /* not the last pair: all that is wanted, in the order of the two */
            next.rank = 0;
            for (int o = 0; o < 2; o++)
                for (int k = 0; k < terms[first + o].rank; k++)
                    if (wanted[terms[first + o].label[k]] && find_label(&next, terms[first + o].label[k]) < 0 &&
                        next.rank < CLG_MAX_DIMS)
                        next.label[next.rank++] = terms[first + o].label[k];
        }
        if (first + 1 == count) {
            sum_unwanted(&terms[first], wanted);
            return arrange(&terms[first], &out);
        }
        for (int o = 0; o < 2; o++) { /* what only one of them has and nobody wants */
            bool keep[LETTERS + CLG_MAX_DIMS];
            memcpy(keep, wanted, sizeof keep);
            for (int k = 0; k < terms[first + 1 - o].rank; k++)
                keep[terms[first + 1 - o].label[k]] = true;
            sum_unwanted(&terms[first + o], keep);
        }
        if (!contract_terms(&terms[first], &terms[first + 1], &next, &terms[first + 1]))
            return bad_einsum(g, equation, "two operands have too many axes together");
    }
    return POISON(g);
}
