/* Einstein summation: the equation read, then operands contracted pair by pair from the left. */
#include "build.h"

#include <string.h>

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
        left.x = views_reshape(build_reduce(OP_SUM, t->x, mask), shape);
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

/* ---------------------------------------------------------------- pair by pair */

typedef bool label_set[LETTERS + CLG_MAX_DIMS];

static void add_labels(bool *set, const term *t)
{
    for (int k = 0; k < t->rank; k++)
        set[t->label[k]] = true;
}

/* The axes of a and b that are wanted, in their order. */
static term wanted_axes(const term *a, const term *b, const bool *wanted)
{
    const term *terms[2] = {a, b};
    term result = {0};
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < terms[o]->rank; k++) {
            int8_t label = terms[o]->label[k];
            if (wanted[label] && find_label(&result, label) < 0 && result.rank < CLG_MAX_DIMS)
                result.label[result.rank++] = label;
        }
    return result;
}

/* a and b, the first two of count terms, become one, in place of b. false: they have too many axes together. */
static bool contract_pair(term *terms, int count, const term *out)
{
    label_set wanted = {false}, keep;
    add_labels(wanted, out);
    for (int i = 2; i < count; i++)
        add_labels(wanted, &terms[i]);
    term next = count == 2 ? *out : wanted_axes(&terms[0], &terms[1], wanted);
    for (int o = 0; o < 2; o++) { /* what only one of them has and nobody wants */
        memcpy(keep, wanted, sizeof keep);
        add_labels(keep, &terms[1 - o]);
        sum_unwanted(&terms[o], keep);
    }
    return contract_terms(&terms[0], &terms[1], &next, &terms[1]);
}

/* NULL, or what is wrong with the equation for these operands. */
static const char *prepare(const char *equation, term *terms, int count, term *out)
{
    const char *wrong = read_equation(equation, terms, count, out);
    if (!wrong && !extents_agree(terms, count))
        wrong = "axes with one letter have different extents";
    if (!wrong && out->rank > CLG_MAX_RANK)
        wrong = "the result has more axes than an array can have";
    for (int i = 0; i < count && !wrong; i++)
        if (!take_diagonals(&terms[i]))
            wrong = "axes with one letter in one operand have different extents";
    return wrong;
}

clg_var clg_einsum(const char *equation, const clg_var *operands, int count)
{
    term terms[MOST_OPERANDS], out = {0};
    clg_graph *g = count > 0 && operands ? operands[0].graph : NULL;
    if (!equation || !g || count > MOST_OPERANDS)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "einsum: \"%s\" of %d operands; right are an equation and 1 to %d",
                          equation ? equation : "(NULL)", count, MOST_OPERANDS);
    if (!graph_check("einsum", operands, count))
        return POISON(g);
    const clg_dtype dtype = build_common_dtype(operands, count, true);
    for (int i = 0; i < count; i++)
        terms[i] = (term){clg_cast(operands[i], clg_dtypes[dtype].arithmetic), 0, {0}};
    const char *wrong = prepare(equation, terms, count, &out);
    for (int first = 0; first + 1 < count && !wrong; first++)
        if (!contract_pair(&terms[first], count - first, &out))
            wrong = "two operands have too many axes together";
    if (wrong)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "einsum: \"%s\": %s", equation, wrong);
    if (count > 1)
        return clg_cast(terms[count - 1].x, dtype);
    label_set wanted = {false};
    add_labels(wanted, &out);
    sum_unwanted(&terms[0], wanted);
    return clg_cast(arrange(&terms[0], &out), dtype);
}
