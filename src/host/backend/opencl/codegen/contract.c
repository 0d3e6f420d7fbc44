/* A CONTRACT step that is no matrix product, on a CPU device, as an OpenCL C kernel, set into kernels/loop.cl. A unit
 * is a run of columns by a few rows: vectors along the last dimension, an accumulator a row, one chain of fused
 * multiply-adds over the summed dimensions for each element, in their order, as on the CPU path. Operands are read
 * where they lie. */
#include "codegen.h"
#include "contract.h"

#include <stdlib.h>

enum { MOST_ROWS = 8, WORK_OF_SHARE = 1 << 16, MOST_SHARES = 8 /* for a compute unit */ };

/* The operands as two loads, the body of a step with the same dimensions. */
typedef struct reading {
    plan_step step;
    plan_access accesses[2];
    plan_instr instrs[2];
    bool uniform[2], crossing[2];
    body body;
} reading;

typedef struct contract {
    nest n;
    const plan_step *step;
    reading masked, inside; /* with the bounds that no loop is narrowed to, and where they hold for a whole unit */
    plan_bound *bounds;     /* those, of both operands */
    int bound_count;
    int column;    /* the dimension along which runs of columns lie; -1: none */
    int row, rows; /* the dimension of which rows are taken together, and how many; -1: none */
} contract;

bool contract_depends(const plan_step *step, int operand, int d) { return step->operand[operand].dims >> d & 1; }

static int choose_column(const plan_step *step)
{
    int last = step->outer_rank - 1;
    return last >= 0 && contract_depends(step, 0, last) ? -1 : last;
}

/* The last dimension of operand 0 alone; rows that divide its extent, so that no row is in two units. */
static void choose_rows(contract *c)
{
    const plan_step *step = c->step;
    const int vector = c->column < 0 ? 1 : nest_vector_width(step->extent[c->column]);
    const int64_t registers = divide_up(vector * (int64_t)clg_dtype_size(step->dtype), c->n.target->vector_bytes);
    const int64_t most = smaller(MOST_ROWS, (c->n.target->vector_bytes >= 64 ? 24 : 12) / registers);
    c->row = -1;
    c->rows = 1;
    for (int d = 0; d < step->outer_rank && d != c->column; d++)
        if (contract_depends(step, 0, d) && !contract_depends(step, 1, d))
            c->row = d;
    for (int rows = 2; c->row >= 0 && rows <= most; rows++)
        if (step->extent[c->row] % rows == 0)
            c->rows = rows;
}

static void print_positions(const contract *c, text *out, int skip)
{
    const char *index = c->n.body.index;
    text_line(out, "%s q = unit;", index);
    for (int d = c->step->outer_rank - 1; d >= 0; d--) {
        long long extent = (long long)c->step->extent[d], tiles = extent / c->rows;
        if (d == skip || extent <= 1)
            continue;
        if (d == c->row)
            text_line(out, "const %s row = q %% %lld * %d; q /= %lld;", index, tiles, c->rows, tiles);
        else
            text_line(out, "const %s p%d = q %% %lld; q /= %lld;", index, d, extent, extent);
    }
}

/* A block in which the position of the rows' dimension is that of row number i. */
static void open_row(const contract *c, text *out, int i)
{
    text_open(out, "");
    if (c->row >= 0 && c->step->extent[c->row] > 1)
        text_line(out, "const %s p%d = row + %d;", c->n.body.index, c->row, i);
}

/* Whether a bound narrows the loop over summed dimension d: it depends on no other one, and is the same for all lanes
 * and rows. One that depends on none narrows the first one. */
static bool narrows(const contract *c, const plan_bound *bound, int d)
{
    const plan_step *step = c->step;
    bool result = (bound->coef[d] != 0 || d == step->outer_rank) && (c->column < 0 || bound->coef[c->column] == 0) &&
                  (c->row < 0 || bound->coef[c->row] == 0);
    for (int e = step->outer_rank; e < step->outer_rank + step->inner_rank; e++)
        result &= e == d || bound->coef[e] == 0;
    return result;
}

void contract_print_bound(const body_printer *p, const plan_bound *bound, int d)
{
    const long long by = (long long)bound->coef[d], lo = (long long)bound->lo, hi = (long long)bound->hi;
    const char *index = p->body->index;
    plan_access rest = {0};
    for (int e = 0; e < p->body->step->outer_rank + p->body->step->inner_rank; e++)
        rest.stride[e] = e == d ? 0 : bound->coef[e];
    text form = {0};
    body_add_address(p, &form, &rest);
    const char *at = form.data ? form.data : "0";
    if (by == 0) {
        text_line(p->out, "to%d = %s >= %lld && %s < %lld ? to%d : 0;", d, at, lo, at, hi, d);
    } else if (by > 0) {
        text_line(p->out, "from%d = max(from%d, (%s)(%lld - (%s)) / %lld);", d, d, index, lo + by - 1, at, by);
        text_line(p->out, "to%d = min(to%d, (%s)(%lld - (%s)) / %lld);", d, d, index, hi + by - 1, at, by);
    } else {
        text_line(p->out, "from%d = max(from%d, (%s)((%s) - %lld) / %lld);", d, d, index, at, hi + by, -by);
        text_line(p->out, "to%d = min(to%d, (%s)((%s) - %lld) / %lld);", d, d, index, at, lo + by, -by);
    }
    p->out->failed |= form.failed;
    text_free(&form);
}

/* Opens the loop over summed dimension d, over the positions where no operand is outside for all of the block: what is
 * left out would add 0. A short one, all of which is inside, is written out. */
static void open_sum(const contract *c, const body_printer *p, int d, bool inside)
{
    enum { SHORT = 4 };
    const plan_step *step = c->step;
    const char *index = p->body->index;
    const long long extent = (long long)step->extent[d];
    bool narrowed = false;
    char head[96];
    for (int o = 0; o < 2; o++) {
        const plan_access *at = &step->accesses[step->operand[o].access];
        for (int32_t i = 0; i < at->bound_count; i++) {
            if (!narrows(c, &step->bounds[at->first_bound + i], d))
                continue;
            if (!narrowed)
                text_line(p->out, "%s from%d = 0, to%d = %lld;", index, d, d, extent);
            narrowed = true;
            contract_print_bound(p, &step->bounds[at->first_bound + i], d);
        }
    }
    text_line(p->out, inside && !narrowed && extent <= SHORT ? "#pragma unroll" : "ROLLED");
    if (narrowed)
        snprintf(head, sizeof head, "for (%s p%d = from%d; p%d < to%d; p%d++)", index, d, d, d, d, d);
    else
        snprintf(head, sizeof head, "for (%s p%d = 0; p%d < %lld; p%d++)", index, d, d, extent, d);
    text_open(p->out, head);
}

/* The sum, then the body on each row's. */
static void print_block(const contract *c, const reading *from, const body_printer *p)
{
    const plan_step *step = c->step;
    const body_suffix_text s = body_suffix(step->dtype, p->width);
    body_printer reads = *p;
    reads.body = &from->body;
    for (int i = 0; i < c->rows; i++)
        text_line(p->out, "%s_t s%d = (%s_t)(0);", s.s, i, s.s);
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++)
        open_sum(c, p, d, from == &c->inside);
    body_print_load(&reads, 1);
    for (int i = 0; i < c->rows; i++) {
        open_row(c, p->out, i);
        body_print_load(&reads, 0);
        text_line(p->out, "s%d = fma((%s_t)(r0), (%s_t)(r1), s%d);", i, s.s, s.s, i);
        text_close(p->out);
    }
    for (int d = 0; d < step->inner_rank; d++)
        text_close(p->out);
    for (int i = 0; i < c->rows; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d", i);
        body_printer rest = *p;
        rest.product = name;
        open_row(c, p->out, i);
        body_print_sections(&rest, SECTION_OUTER);
        text_close(p->out);
    }
}

/* Vectors of a run of columns. */
static void print_vectors(const contract *c, const reading *from, const body_printer *p)
{
    char head[96];
    snprintf(head, sizeof head, "for (; p%d + %d <= %lld; p%d += %d)", c->column, p->width,
             (long long)c->step->extent[c->column], c->column, p->width);
    text_line(p->out, "ROLLED");
    text_open(p->out, head);
    print_block(c, from, p);
    text_close(p->out);
}

/* Whether the bounds that are left hold for all of a unit. false: lanes may differ. */
static bool print_inside(const contract *c, const body_printer *p)
{
    const plan_step *step = c->step;
    for (int i = 0; i < c->bound_count; i++)
        if (c->bounds[i].coef[c->column])
            return false;
    text_line(p->out, "bool inside = true;");
    open_row(c, p->out, 0);
    for (int i = 0; i < c->bound_count; i++) {
        const plan_bound *bound = &c->bounds[i];
        int64_t least = 0, most = 0;
        plan_access outer = {0};
        text form = {0};
        for (int d = 0; d < step->outer_rank; d++)
            outer.stride[d] = bound->coef[d];
        body_add_address(p, &form, &outer);
        for (int d = 0; d < step->outer_rank + step->inner_rank; d++) {
            const int64_t last = d == c->row ? c->rows - 1 : d < step->outer_rank ? 0 : step->extent[d] - 1;
            least += smaller(0, bound->coef[d] * last);
            most += larger(0, bound->coef[d] * last);
        }
        text_line(p->out, "inside &= %s >= %lld && %s < %lld;", form.data ? form.data : "0",
                  (long long)(bound->lo - least), form.data ? form.data : "0", (long long)(bound->hi - most));
        p->out->failed |= form.failed;
        text_free(&form);
    }
    text_close(p->out);
    return true;
}

/* Vectors of a run of columns, then those that are left. */
static void print_columns(const contract *c, const body_printer *p)
{
    const int column = c->column, width = p->width;
    const long long extent = (long long)c->step->extent[column];
    char head[96];
    text_line(p->out, "%s p%d = 0;", p->body->index, column);
    if (c->bound_count > 0 && print_inside(c, p)) {
        text_open(p->out, "if (inside)");
        print_vectors(c, &c->inside, p);
        text_close(p->out);
    }
    print_vectors(c, &c->masked, p);
    if (extent % width == 0)
        return;
    body_printer single = *p;
    single.width = 1;
    text_line(p->out, "ROLLED");
    snprintf(head, sizeof head, "for (; p%d < %lld; p%d++)", column, extent, column);
    text_open(p->out, head);
    print_block(c, &c->masked, &single);
    text_close(p->out);
}

static void print_unit(contract *c, const body_printer *p)
{
    int64_t positions = c->step->outer_count / c->rows;
    const bool runs = c->column >= 0;
    c->n.units = runs ? positions / c->step->extent[c->column] : positions;
    print_positions(c, p->out, runs ? c->column : -1);
    if (runs)
        print_columns(c, p);
    else
        print_block(c, &c->masked, p);
}

/* Whether some loop is narrowed to a bound. */
static bool is_narrowed(const contract *c, const plan_bound *bound)
{
    for (int d = c->step->outer_rank; d < c->step->outer_rank + c->step->inner_rank; d++)
        if (narrows(c, bound, d))
            return true;
    return false;
}

static bool gather_bounds(contract *c)
{
    c->bounds = malloc(((size_t)c->step->bound_count + 1) * sizeof *c->bounds);
    for (int o = 0; o < 2 && c->bounds; o++) {
        const plan_access *at = &c->step->accesses[c->step->operand[o].access];
        c->masked.accesses[o] = *at;
        c->masked.accesses[o].first_bound = c->bound_count;
        for (int32_t i = 0; i < at->bound_count; i++)
            if (!is_narrowed(c, &c->step->bounds[at->first_bound + i]))
                c->bounds[c->bound_count++] = c->step->bounds[at->first_bound + i];
        c->masked.accesses[o].bound_count = c->bound_count - c->masked.accesses[o].first_bound;
        c->inside.accesses[o] = c->masked.accesses[o];
        c->inside.accesses[o].bound_count = 0;
    }
    return c->bounds != NULL;
}

/* The operands as loads at a reading's accesses. */
static void make_reading(const contract *c, reading *r)
{
    r->step = *c->step;
    r->step.accesses = r->accesses;
    r->step.access_count = 2;
    r->step.bounds = c->bounds;
    r->step.bound_count = c->bound_count;
    r->step.instrs = r->instrs;
    r->step.instr_count = 2;
    r->body = c->n.body;
    r->body.step = &r->step;
    r->body.uniform = r->uniform;
    r->body.crossing = r->crossing;
    for (int o = 0; o < 2; o++) {
        r->instrs[o] = (plan_instr){.kind = INSTR_LOAD,
                                    .dtype = (uint8_t)c->step->dtype,
                                    .src = {-1, -1, -1},
                                    .buffer = c->step->operand[o].buffer,
                                    .access = o};
        r->uniform[o] = body_access_uniform(&r->body, &r->accesses[o]);
    }
}

int64_t contract_part_count(const nest *n)
{
    const plan_step *step = n->body.step;
    return smaller(smaller(n->units, MOST_SHARES * n->target->compute_units),
                   1 + step->outer_count * step->inner_count / WORK_OF_SHARE);
}

clg_status contract_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    if (step->outer_count == 0)
        return CLG_OK;
    contract c = {.n = nest_new(target), .step = step, .column = choose_column(step)};
    choose_rows(&c);
    clg_status status = gather_bounds(&c) ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK)
        status = body_open(&c.n.body, schedule, step, c.column);
    if (status == CLG_OK) {
        body_add_operands(&c.n.body);
        make_reading(&c, &c.masked);
        make_reading(&c, &c.inside);
        body_printer p = body_print_to(&c.n.body, &c.n.unit);
        p.width = c.n.body.lane < 0 ? 1 : nest_vector_width(step->extent[c.column]);
        print_unit(&c, &p);
        status = nest_add_kernel(&c.n, contract_part_count(&c.n), list);
    }
    nest_close(&c.n);
    free(c.bounds);
    return status;
}
