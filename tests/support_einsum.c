/* Random equations of einsum, and matrix products. */
#include "support_einsum.h"

#include <stdio.h>
#include <string.h>

enum { MOST_POSITIONS = 6000 };

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

/* An array's axes: labels, in order. dots: where "..." stands among the letters, -1: nowhere. */
typedef struct axes {
    int rank, label[EINSUM_LABELS], letters, letter[EINSUM_LETTERS], dots_at;
} axes;

typedef struct maker {
    clg_random *random;
    int letters;
    char name[EINSUM_LETTERS];
    int64_t extent[EINSUM_LABELS]; /* as drawn */
    int64_t whole[EINSUM_LABELS];  /* what operands have: 1 if all are broadcast */
    int dots;                      /* axes that "..." stands for */
    axes axes[FORM_ARRAYS];        /* of the result and the operands */
    char *at, *end;                /* the equation being written */
} maker;

static void put(maker *m, char c)
{
    if (m->at < m->end)
        *m->at++ = c;
    if (below(m->random, 8) == 0 && m->at < m->end && c != '-' && c != '.')
        *m->at++ = ' ';
}

/* Letters with the axes of "..." between them, of which there are `own`; written unless the result is implied. */
static void lay_out(maker *m, axes *a, int own, bool write)
{
    a->rank = 0;
    for (int i = 0; i <= a->letters; i++) {
        if (i == a->dots_at) {
            for (int k = own; k-- > 0;)
                a->label[a->rank++] = EINSUM_LETTERS + k;
            for (int k = 0; k < 3 && write; k++)
                put(m, '.');
        }
        if (i == a->letters)
            break;
        a->label[a->rank++] = a->letter[i];
        if (write)
            put(m, m->name[a->letter[i]]);
    }
}

static void choose_letters(maker *m)
{
    char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    m->letters = 1 + (int)below(m->random, EINSUM_LETTERS);
    for (int i = 0; i < m->letters; i++) {
        int j = i + (int)below(m->random, (uint32_t)(52 - i));
        m->name[i] = all[j];
        all[j] = all[i];
    }
    int64_t positions = 1;
    for (int i = 0; i < EINSUM_LABELS; i++) {
        m->extent[i] = 1 + below(m->random, 5);
        positions *= i < m->letters || i >= EINSUM_LETTERS ? m->extent[i] : 1;
    }
    for (int i = 0; positions > MOST_POSITIONS; i = (i + 1) % EINSUM_LABELS)
        if ((i < m->letters || i >= EINSUM_LETTERS) && m->extent[i] > 1) {
            positions = positions / m->extent[i] * (m->extent[i] - 1);
            m->extent[i]--;
        }
    if (below(m->random, 30) == 0)
        m->extent[0] = 0;
}

static void choose_operand(maker *m, axes *a, clg_shape *shape, bool ellipsis)
{
    bool one[EINSUM_LABELS];
    int own = ellipsis && below(m->random, 4) ? (int)below(m->random, (uint32_t)m->dots + 1) : 0;
    a->letters = (int)below(m->random, 5);
    for (int i = 0; i < a->letters; i++)
        a->letter[i] = (int)below(m->random, (uint32_t)m->letters);
    a->dots_at = ellipsis ? (int)below(m->random, (uint32_t)a->letters + 1) : -1;
    lay_out(m, a, own, true);
    for (int i = 0; i < EINSUM_LABELS; i++)
        one[i] = below(m->random, 6) == 0;
    shape->rank = a->rank;
    for (int k = 0; k < a->rank; k++)
        shape->dim[k] = one[a->label[k]] ? 1 : m->extent[a->label[k]];
}

/* Letters that occur once, in the order of characters. */
static void imply_result(maker *m, int operands)
{
    axes *out = &m->axes[0];
    out->dots_at = 0;
    for (char c = 'A'; c <= 'z'; c++)
        for (int i = 0; i < m->letters; i++) {
            int times = 0;
            for (int o = 1; o <= operands; o++)
                for (int k = 0; k < m->axes[o].letters; k++)
                    times += m->axes[o].letter[k] == i;
            if (m->name[i] == c && times == 1)
                out->letter[out->letters++] = i;
        }
}

static void choose_result(maker *m, bool ellipsis, const bool *used)
{
    axes *out = &m->axes[0];
    int32_t order[EINSUM_LETTERS] = {0, 1, 2, 3, 4, 5};
    clg_random_shuffle(m->random, order, (size_t)m->letters);
    for (int i = 0; i < m->letters; i++)
        if (used[order[i]] && below(m->random, 5) < 3)
            out->letter[out->letters++] = order[i];
    out->dots_at = ellipsis ? (int)below(m->random, (uint32_t)out->letters + 1) : -1;
    put(m, '-');
    put(m, '>');
}

/* Every label's positions; an array's axis of extent 1 stands still. */
static void add_terms(const maker *m, form *f)
{
    int64_t at[EINSUM_LABELS] = {0}, positions = 1, element[FORM_ARRAYS];
    for (int i = 0; i < EINSUM_LABELS; i++)
        positions *= m->whole[i];
    for (int64_t p = 0; p < positions; p++) {
        for (int a = 0; a < f->arrays; a++) {
            element[a] = 0;
            for (int k = 0; k < f->shape[a].rank; k++) {
                int64_t n = f->shape[a].dim[k];
                element[a] = element[a] * n + (n == 1 ? 0 : at[m->axes[a].label[k]]);
            }
        }
        form_add(f, element);
        for (int i = EINSUM_LABELS; i-- > 0 && ++at[i] == m->whole[i];)
            at[i] = 0;
    }
}

void einsum_random(einsum_case *c, int round, clg_random *random)
{
    *c = (einsum_case){0};
    maker m = {.random = random, .at = c->equation, .end = c->equation + sizeof c->equation - 1};
    int operands = 1 + (int)below(random, FORM_ARRAYS - 1), own = 0;
    bool dotted = below(random, 3) == 0, used[EINSUM_LABELS] = {false}, implied = below(random, 4) == 0, any = false;
    form *f = &c->form;
    f->arrays = operands + 1;
    m.dots = dotted ? (int)below(random, EINSUM_DOTS + 1) : 0;
    choose_letters(&m);
    for (int i = 0; i < EINSUM_LABELS; i++)
        m.whole[i] = 1;
    for (int o = 1; o <= operands; o++) {
        bool ellipsis = dotted && below(random, 3);
        if (o > 1)
            put(&m, ',');
        choose_operand(&m, &m.axes[o], &f->shape[o], ellipsis);
        any |= ellipsis;
        for (int k = 0; k < m.axes[o].rank; k++) {
            int label = m.axes[o].label[k];
            used[label] = true;
            own = label >= EINSUM_LETTERS && label - EINSUM_LETTERS + 1 > own ? label - EINSUM_LETTERS + 1 : own;
            m.whole[label] = f->shape[o].dim[k] == 1 ? m.whole[label] : f->shape[o].dim[k];
        }
    }
    if (implied)
        imply_result(&m, operands);
    else
        choose_result(&m, any, used);
    lay_out(&m, &m.axes[0], own, !implied);
    f->shape[0].rank = m.axes[0].rank;
    for (int k = 0; k < m.axes[0].rank; k++)
        f->shape[0].dim[k] = m.whole[m.axes[0].label[k]];
    add_terms(&m, f);
    size_t length = (size_t)snprintf(c->text, sizeof c->text, "round %d: einsum \"%s\"", round, c->equation);
    for (int o = 1; o <= operands && length < sizeof c->text; o++) {
        char text[128];
        length += (size_t)snprintf(c->text + length, sizeof c->text - length, " %s",
                                   clg_shape_format(f->shape[o], text, sizeof text));
    }
}

clg_var einsum_build(const clg_var *operands, const void *data)
{
    const einsum_case *c = data;
    return clg_einsum(c->equation, operands, c->form.arrays - 1);
}

/* ---------------------------------------------------------------- matmul */

clg_var matmul_build(const clg_var *operands, const void *data)
{
    (void)data;
    return clg_matmul(operands[0], operands[1]);
}

/* Batch axes of extent 1 or of e, the last ones of two; then the matrix's. */
static clg_shape matrix_shape(int rank, const int64_t *e, int64_t rows, int64_t columns, bool left, clg_random *random)
{
    clg_shape shape = {.rank = rank};
    for (int k = 0; k < rank - 2; k++)
        shape.dim[k] = below(random, 3) ? e[2 - (rank - 2) + k] : 1;
    if (rank > 1)
        shape.dim[rank - 2] = rows;
    shape.dim[rank - 1] = rank > 1 || left ? columns : rows;
    return shape;
}

/* The element of an operand at a batch position of the last two axes. */
static int64_t matrix_element(clg_shape shape, const int64_t *batch, int64_t row, int64_t column, bool vector)
{
    int64_t i = 0;
    int leading = shape.rank - 2 > 0 ? shape.rank - 2 : 0;
    for (int k = 0; k < leading; k++)
        i = i * shape.dim[k] + (shape.dim[k] == 1 ? 0 : batch[2 - leading + k]);
    if (vector)
        return row + column; /* one of them is 0 */
    return (i * shape.dim[shape.rank - 2] + row) * shape.dim[shape.rank - 1] + column;
}

form matmul_form(int left, int right, clg_random *random)
{
    const int64_t e[2] = {1 + below(random, 3), 1 + below(random, 3)};
    int64_t m = left > 1 ? 1 + below(random, 9) : 1, n = right > 1 ? 1 + below(random, 9) : 1;
    int64_t depth = below(random, 12) ? 1 + below(random, 9) : 0, b[2], both[2] = {1, 1};
    form f = {.arrays = 3};
    f.shape[1] = matrix_shape(left, e, m, depth, true, random);
    f.shape[2] = matrix_shape(right, e, depth, n, false, random);
    clg_shape *y = &f.shape[0];
    for (int o = 1; o < 3; o++)
        for (int k = 0; k < f.shape[o].rank - 2; k++)
            if (f.shape[o].dim[k] != 1)
                both[2 - (f.shape[o].rank - 2) + k] = f.shape[o].dim[k];
    int leading = (left > right ? left : right) - 2;
    for (int k = 2 - leading; k < 2; k++)
        y->dim[y->rank++] = both[k];
    if (leading < 0)
        y->rank = 0;
    if (left > 1)
        y->dim[y->rank++] = m;
    if (right > 1)
        y->dim[y->rank++] = n;
    int64_t result = 0;
    for (b[0] = 0; b[0] < both[0]; b[0]++)
        for (b[1] = 0; b[1] < both[1]; b[1]++)
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++, result++)
                    for (int64_t k = 0; k < depth; k++)
                        form_add(&f, (int64_t[]){result, matrix_element(f.shape[1], b, i, k, left == 1),
                                                 matrix_element(f.shape[2], b, k, j, right == 1)});
    return f;
}
