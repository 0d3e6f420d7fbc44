/* A CONTRACT step on a CPU device whose columns lie apart in memory, a convolution's gradient for its weights above
 * all: a line of operand 1, its elements along the last summed dimension, is copied as vectors of columns, and then met
 * by many rows. The sums of all rows of a unit are an array; a few rows at a time are in registers while the line
 * passes by, over the part of it that is within the bounds. Each sum is one chain of fused multiply-adds in the order
 * of the summed dimensions, as in contract.c. */
#include "codegen.h"
#include "contract.h"

enum {
    LEAST_ROWS = 8,
    ARRAY_BYTES = 16384, /* of the sums; of the line */
    NEAR_BYTES = 131072  /* of a vector's columns, which stay near for all rows where they are neighbours */
};

typedef struct lines {
    nest n;
    const plan_step *step;
    int column, tile, last;     /* dimensions: of columns; of rows taken together, -1: none; the last summed one */
    int width, rows;            /* of a vector; rows taken together */
    int64_t block, sums;        /* positions of the tile's dimension in a unit; rows of a unit */
    bool within[PLAN_MAX_DIMS]; /* the dimension is one of rows, all of which are in a unit but for the tile's */
} lines;

static const plan_access *operand(const plan_step *step, int which)
{
    return &step->accesses[step->operand[which].access];
}

static bool is_row(const plan_step *step, int d)
{
    return d < step->outer_rank && contract_depends(step, 0, d) && !contract_depends(step, 1, d);
}

static bool is_bounded(const plan_step *step, int d)
{
    const plan_access *at = operand(step, 0);
    for (int32_t i = 0; i < at->bound_count; i++)
        if (step->bounds[at->first_bound + i].coef[d])
            return true;
    return false;
}

static int64_t largest_divisor(int64_t extent, int64_t most)
{
    int64_t best = 1;
    for (int64_t k = 2; k <= smaller(extent, most); k++)
        best = extent % k == 0 ? k : best;
    return best;
}

/* Which rows are a unit's. */
static void choose_rows(lines *c)
{
    const plan_step *step = c->step;
    const int64_t bytes = c->width * (int64_t)clg_dtype_size(step->dtype);
    const int64_t registers = divide_up(bytes, c->n.target->vector_bytes);
    c->tile = -1;
    c->sums = c->block = c->rows = 1;
    for (int d = 0; d < step->outer_rank; d++) {
        c->within[d] = is_row(step, d) && step->extent[d] > 1;
        if (c->within[d] && !is_bounded(step, d) && (c->tile < 0 || step->extent[d] > step->extent[c->tile]))
            c->tile = d;
    }
    for (int d = 0; d < step->outer_rank; d++)
        c->sums *= c->within[d] && d != c->tile ? step->extent[d] : 1;
    if (c->tile >= 0) {
        c->block = largest_divisor(step->extent[c->tile], larger(1, ARRAY_BYTES / (c->sums * bytes)));
        c->rows = (int)largest_divisor(c->block, (c->n.target->vector_bytes >= 64 ? 24 : 12) / registers);
        c->sums *= c->block;
    }
}

/* Whether the step is one for lines, and how. */
static bool choose(lines *c)
{
    const plan_step *step = c->step;
    const plan_access *b = operand(step, 1);
    const int64_t size = (int64_t)clg_dtype_size(step->dtype);
    c->column = step->outer_rank - 1;
    c->last = step->outer_rank + step->inner_rank - 1;
    if (c->column < 0 || step->inner_rank == 0 || contract_depends(step, 0, c->column) ||
        !contract_depends(step, 1, c->column) || b->bound_count > 0 || !contract_depends(step, 1, c->last))
        return false;
    c->width = nest_vector_width(step->extent[c->column]);
    if (c->width == 1 || step->extent[c->column] % c->width != 0)
        return false;
    if (b->stride[c->column] == 1 && step->inner_count * c->width * size <= NEAR_BYTES)
        return false;
    choose_rows(c);
    return c->sums >= LEAST_ROWS && c->sums * c->width * size <= ARRAY_BYTES &&
           step->extent[c->last] * c->width * size <= ARRAY_BYTES;
}

/* ---------------------------------------------------------------- text */

static void open_loop(const body_printer *p, int d, const char *from, const char *to, int64_t by)
{
    char head[160];
    snprintf(head, sizeof head, "for (%s p%d = %s; p%d < %s; p%d += %lld)", p->body->index, d, from, d, to, d,
             (long long)by);
    text_line(p->out, "ROLLED");
    text_open(p->out, head);
}

static void open_all(const lines *c, const body_printer *p, int d)
{
    char to[32];
    snprintf(to, sizeof to, "%lld", (long long)c->step->extent[d]);
    open_loop(p, d, "0", to, 1);
}

/* The unit's place: its columns, its part of the tile's dimension, all dimensions that are not within. */
static void print_place(lines *c, const body_printer *p)
{
    const plan_step *step = c->step;
    const char *index = p->body->index;
    const long long columns = (long long)(step->extent[c->column] / c->width);
    c->n.units = columns;
    text_line(p->out, "%s q = unit;", index);
    text_line(p->out, "const %s p%d = q %% %lld * %d; q /= %lld;", index, c->column, columns, c->width, columns);
    if (c->tile >= 0) {
        const long long blocks = (long long)(step->extent[c->tile] / c->block);
        c->n.units *= blocks;
        text_line(p->out, "const %s first = q %% %lld * %lld, behind = first + %lld; q /= %lld;", index, blocks,
                  (long long)c->block, (long long)c->block, blocks);
    }
    for (int d = step->outer_rank - 1; d >= 0; d--) {
        const long long extent = (long long)step->extent[d];
        if (d == c->column || c->within[d] || extent <= 1)
            continue;
        c->n.units *= extent;
        text_line(p->out, "const %s p%d = q %% %lld; q /= %lld;", index, d, extent, extent);
    }
}

/* "const INDEX at = ...", the place of a row's sum; rows of the tile are neighbours. */
static void print_sum_index(const lines *c, const body_printer *p)
{
    int64_t stride = c->block;
    text_indent(p->out);
    text_add(p->out, "const %s at = ", p->body->index);
    for (int d = c->step->outer_rank - 1; d >= 0; d--) {
        if (!c->within[d] || d == c->tile)
            continue;
        text_add(p->out, "p%d * %lld + ", d, (long long)stride);
        stride *= c->step->extent[d];
    }
    if (c->tile >= 0)
        text_add(p->out, "p%d - first;\n", c->tile);
    else
        text_add(p->out, "0;\n");
}

/* The elements of operand 1 along the last summed dimension, as vectors of columns. */
static void print_line(const lines *c, const body_printer *p)
{
    const plan_step *step = c->step;
    const plan_access *b = operand(step, 1);
    const body_suffix_text v = body_suffix(step->dtype, c->width);
    text address = {0};
    text_line(p->out, "%s_t line[%lld];", v.s, (long long)step->extent[c->last]);
    open_all(c, p, c->last);
    body_add_address(p, &address, b);
    text_line(p->out, "const %s e1 = %s;", p->body->index, address.data ? address.data : "0");
    const int argument = body_argument(p->body, step->operand[1].buffer);
    text_indent(p->out);
    if (b->stride[c->column] == 1) {
        text_add(p->out, "line[p%d] = VECTOR_AT(global, %s, b%d + e1);\n", c->last, v.s, argument);
    } else {
        text_add(p->out, "line[p%d] = (%s_t)(", c->last, v.s);
        for (int i = 0; i < c->width; i++)
            text_add(p->out, "%sb%d[e1 + %lld]", i ? ", " : "", argument, (long long)(b->stride[c->column] * i));
        text_add(p->out, ");\n");
    }
    text_close(p->out);
    p->out->failed |= address.failed;
    text_free(&address);
}

/* The rows of a tile, while the line passes by. */
static void print_rows(const lines *c, const body_printer *p)
{
    const plan_step *step = c->step;
    const body_suffix_text v = body_suffix(step->dtype, c->width);
    const plan_access *a = operand(step, 0);
    const int argument = body_argument(p->body, step->operand[0].buffer);
    const int64_t apart = c->tile >= 0 ? a->stride[c->tile] : 0;
    plan_access rest = *a;
    text address = {0};
    char from[16], to[16];
    rest.stride[c->last] = 0;
    body_add_address(p, &address, &rest);
    print_sum_index(c, p);
    text_line(p->out, "const %s e0 = %s;", p->body->index, address.data ? address.data : "0");
    for (int i = 0; i < c->rows; i++)
        text_line(p->out, "%s_t s%d = sums[at + %d];", v.s, i, i);
    snprintf(from, sizeof from, "from%d", c->last);
    snprintf(to, sizeof to, "to%d", c->last);
    open_loop(p, c->last, from, to, 1);
    text_line(p->out, "const %s_t x = line[p%d];", v.s, c->last);
    text_line(p->out, "const %s e = e0 + p%d * %lld;", p->body->index, c->last, (long long)a->stride[c->last]);
    for (int i = 0; i < c->rows; i++)
        text_line(p->out, "s%d = fma((%s_t)(b%d[e + %lld]), x, s%d);", i, v.s, argument, (long long)(apart * i), i);
    text_close(p->out);
    for (int i = 0; i < c->rows; i++)
        text_line(p->out, "sums[at + %d] = s%d;", i, i);
    p->out->failed |= address.failed;
    text_free(&address);
}

/* Loops over the rows of a unit, those of the tile by so many; closes as many as it opened. */
static void open_rows(const lines *c, const body_printer *p)
{
    for (int d = 0; d < c->step->outer_rank; d++)
        if (c->within[d] && d != c->tile)
            open_all(c, p, d);
}

static void close_rows(const lines *c, const body_printer *p)
{
    for (int d = 0; d < c->step->outer_rank; d++)
        if (c->within[d] && d != c->tile)
            text_close(p->out);
}

static void print_sums(const lines *c, const body_printer *p)
{
    const plan_step *step = c->step;
    const plan_access *a = operand(step, 0);
    const body_suffix_text v = body_suffix(step->dtype, c->width);
    text_line(p->out, "%s_t sums[%lld];", v.s, (long long)c->sums);
    text_line(p->out, "ROLLED");
    text_line(p->out, "for (int i = 0; i < %lld; i++) sums[i] = (%s_t)(0);", (long long)c->sums, v.s);
    for (int d = step->outer_rank; d < c->last; d++)
        open_all(c, p, d);
    print_line(c, p);
    open_rows(c, p);
    text_line(p->out, "%s from%d = 0, to%d = %lld;", p->body->index, c->last, c->last,
              (long long)step->extent[c->last]);
    for (int32_t i = 0; i < a->bound_count; i++)
        contract_print_bound(p, &step->bounds[a->first_bound + i], c->last);
    if (c->tile >= 0)
        open_loop(p, c->tile, "first", "behind", c->rows);
    print_rows(c, p);
    if (c->tile >= 0)
        text_close(p->out);
    close_rows(c, p);
    for (int d = step->outer_rank; d < c->last; d++)
        text_close(p->out);
}

static void print_epilogue(const lines *c, const body_printer *p)
{
    body_printer rest = *p;
    rest.product = "sums[at]";
    open_rows(c, p);
    if (c->tile >= 0)
        open_loop(p, c->tile, "first", "behind", 1);
    print_sum_index(c, p);
    body_print_sections(&rest, SECTION_OUTER);
    if (c->tile >= 0)
        text_close(p->out);
    close_rows(c, p);
}

bool contract_has_lines(const kernel_target *target, const plan_step *step)
{
    lines c = {.step = step, .n.target = target};
    return choose(&c);
}

clg_status contract_lines_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    lines c = {.n = nest_new(target), .step = step};
    (void)choose(&c);
    clg_status status = body_open(&c.n.body, schedule, step, c.column);
    if (status == CLG_OK) {
        body_add_operands(&c.n.body);
        body_printer p = body_print_to(&c.n.body, &c.n.unit);
        p.width = c.width;
        print_place(&c, &p);
        print_sums(&c, &p);
        print_epilogue(&c, &p);
        status = nest_add_kernel(&c.n, contract_part_count(&c.n), list);
    }
    nest_close(&c.n);
    return status;
}
