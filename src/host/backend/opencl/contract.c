/* A CONTRACT step as an OpenCL C kernel, set into kernels/loop.cl. A unit is a run of columns by a few rows: vectors
 * along the last dimension, an accumulator a row, one chain of fused multiply-adds over the summed dimensions for each
 * element, in their order, as on the CPU path. Operands are read where they lie. */
#include "loop.h"

#include <stdlib.h>

enum { MOST_ROWS = 8, WORK_OF_SHARE = 1 << 16, MOST_SHARES = 8 /* for a compute unit */ };

typedef struct contract {
    loop l;
    plan_step reads; /* the step's dimensions, with two loads as its body */
    plan_instr instrs[2];
    bool uniform[2], crossing[2];
    int row, rows; /* the dimension of which rows are taken together, and how many; -1: none */
} contract;

static bool depends(const plan_step *step, int32_t access, int d)
{
    const plan_access *a = &step->accesses[access];
    bool result = a->stride[d] != 0;
    for (int32_t i = 0; i < a->bound_count; i++)
        result |= step->bounds[a->first_bound + i].coef[d] != 0;
    return result;
}

/* The last dimension of operand 0 alone; rows that divide its extent, so that no row is in two units. */
static void choose_rows(contract *c, const plan_step *step)
{
    c->row = -1;
    c->rows = 1;
    for (int d = 0; d < step->outer_rank && d != c->l.last; d++)
        if (depends(step, step->operand[0].access, d) && !depends(step, step->operand[1].access, d))
            c->row = d;
    for (int rows = 2; c->row >= 0 && rows <= MOST_ROWS; rows++)
        if (step->extent[c->row] % rows == 0)
            c->rows = rows;
}

static void print_positions(contract *c, const char *from, int skip)
{
    const plan_step *step = c->l.step;
    loop *l = &c->l;
    body_line(&l->p, "%s q = %s;", l->p.index, from);
    for (int d = step->outer_rank - 1; d >= 0; d--) {
        int64_t extent = step->extent[d];
        if (d == skip || extent <= 1)
            continue;
        if (d == c->row)
            body_line(&l->p, "const %s row = q %% %lld * %d; q /= %lld;", l->p.index, (long long)(extent / c->rows),
                      c->rows, (long long)(extent / c->rows));
        else
            body_line(&l->p, "const %s p%d = q %% %lld; q /= %lld;", l->p.index, d, (long long)extent,
                      (long long)extent);
    }
}

/* A block in which the position of the rows' dimension is that of row number i. */
static void open_row(contract *c, int i)
{
    loop_open(&c->l, "");
    if (c->row >= 0 && c->l.step->extent[c->row] > 1)
        body_line(&c->l.p, "const %s p%d = row + %d;", c->l.p.index, c->row, i);
}

/* Whether a bound narrows the loop over summed dimension d: it depends on no other one, and is the same for all lanes
 * and rows. One that depends on none narrows the first one. */
static bool narrows(const contract *c, const plan_bound *bound, int d)
{
    const plan_step *step = c->l.step;
    bool result = (bound->coef[d] > 0 || (d == step->outer_rank && bound->coef[d] == 0)) &&
                  (c->l.last < 0 || bound->coef[c->l.last] == 0) && (c->row < 0 || bound->coef[c->row] == 0);
    for (int e = step->outer_rank; e < step->outer_rank + step->inner_rank; e++)
        result &= e == d || bound->coef[e] == 0;
    return result;
}

/* Opens the loop over summed dimension d, over the positions where no operand is outside for all of the block: what is
 * left out would add 0. */
static void open_sum(contract *c, int d)
{
    loop *l = &c->l;
    const plan_step *step = l->step;
    char head[96];
    body_line(&l->p, "%s from%d = 0, to%d = %lld;", l->p.index, d, d, (long long)step->extent[d]);
    for (int o = 0; o < 2; o++) {
        const plan_access *at = &step->accesses[step->operand[o].access];
        for (int32_t i = 0; i < at->bound_count; i++) {
            const plan_bound *bound = &step->bounds[at->first_bound + i];
            if (!narrows(c, bound, d))
                continue;
            const long long by = (long long)bound->coef[d];
            plan_access rest = {0};
            for (int e = 0; e < step->outer_rank; e++)
                rest.stride[e] = bound->coef[e];
            text form = {0};
            body_add_address(&l->p, &form, &rest);
            if (by == 0) {
                body_line(&l->p, "to%d = %s >= %lld && %s < %lld ? to%d : 0;", d, form.data ? form.data : "0",
                          (long long)bound->lo, form.data ? form.data : "0", (long long)bound->hi, d);
                text_free(&form);
                continue;
            }
            body_line(&l->p, "from%d = max(from%d, (%s)(%lld - (%s)) / %lld);", d, d, l->p.index,
                      (long long)bound->lo + by - 1, form.data ? form.data : "0", by);
            body_line(&l->p, "to%d = min(to%d, (%s)(%lld - (%s)) / %lld);", d, d, l->p.index,
                      (long long)bound->hi + by - 1, form.data ? form.data : "0", by);
            l->p.out->failed |= form.failed;
            text_free(&form);
        }
    }
    body_line(&l->p, "ROLLED");
    snprintf(head, sizeof head, "for (%s p%d = from%d; p%d < to%d; p%d++)", l->p.index, d, d, d, d, d);
    loop_open(l, head);
}

/* The sum, then the body on each row's. */
static void print_block(contract *c)
{
    loop *l = &c->l;
    const plan_step *step = l->step;
    body_printer reads = l->p;
    reads.step = &c->reads;
    reads.uniform = c->uniform;
    reads.crossing = c->crossing;
    const body_suffix_text s = body_suffix(step->dtype, l->p.width);
    char name[32];
    for (int i = 0; i < c->rows; i++)
        body_line(&l->p, "%s_t s%d = (%s_t)(0);", s.s, i, s.s);
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++)
        open_sum(c, d);
    reads.indent = l->p.indent;
    body_print_load(&reads, 1);
    for (int i = 0; i < c->rows; i++) {
        open_row(c, i);
        reads.indent = l->p.indent;
        body_print_load(&reads, 0);
        body_line(&l->p, "s%d = fma((%s_t)(r0), (%s_t)(r1), s%d);", i, s.s, s.s, i);
        loop_close(l);
    }
    for (int d = 0; d < step->inner_rank; d++)
        loop_close(l);
    for (int i = 0; i < c->rows; i++) {
        open_row(c, i);
        snprintf(name, sizeof name, "s%d", i);
        l->p.product = name;
        body_print_sections(&l->p, SECTION_OUTER);
        loop_close(l);
    }
}

/* On a GPU a unit is one column; else a run of them: vectors, then those that are left. */
static void print_unit(contract *c)
{
    loop *l = &c->l;
    const plan_step *step = l->step;
    int width = l->p.width, last = l->last;
    int64_t extent = last >= 0 ? step->extent[last] : 1, positions = step->outer_count / c->rows;
    if (l->gpu || last < 0) {
        l->units = positions;
        print_positions(c, "unit", -1);
        print_block(c);
        return;
    }
    char head[96];
    l->units = positions / extent;
    print_positions(c, "unit", last);
    body_line(&l->p, "%s p%d = 0;", l->p.index, last);
    snprintf(head, sizeof head, "for (; p%d + %d <= %lld; p%d += %d)", last, width, (long long)extent, last, width);
    body_line(&l->p, "ROLLED");
    loop_open(l, head);
    print_block(c);
    loop_close(l);
    if (extent % width == 0)
        return;
    l->p.width = 1;
    body_line(&l->p, "ROLLED");
    snprintf(head, sizeof head, "for (; p%d < %lld; p%d++)", last, (long long)extent, last);
    loop_open(l, head);
    print_block(c);
    loop_close(l);
    l->p.width = width;
}

/* The operands as loads of a step without a body of its own. */
static void make_reads(contract *c, const plan_step *step)
{
    c->reads = *step;
    c->reads.instrs = c->instrs;
    c->reads.instr_count = 2;
    for (int o = 0; o < 2; o++) {
        c->instrs[o] = (plan_instr){.kind = INSTR_LOAD,
                                    .dtype = (uint8_t)step->dtype,
                                    .src = {-1, -1, -1},
                                    .buffer = step->operand[o].buffer,
                                    .access = step->operand[o].access};
        c->uniform[o] = c->l.p.lane < 0 || !depends(step, step->operand[o].access, c->l.p.lane);
    }
}

static clg_status print(contract *c, launch_list *list, int32_t number, int32_t *arguments)
{
    loop *l = &c->l;
    const plan_step *step = l->step;
    text source = {0};
    arguments[0] = ARGUMENT_SHARES;
    l->p.arguments = arguments + 1;
    l->p.argument_count = body_buffers(step, arguments + 1);
    body_printer once = l->p;
    once.out = &l->once;
    once.width = 1;
    body_print_sections(&once, SECTION_ONCE);
    l->p.out = &l->unit;
    l->p.indent = 8;
    print_unit(c);
    int64_t parts = smaller(smaller(l->units, (int64_t)MOST_SHARES * list->device->info.compute_units),
                            1 + step->outer_count * step->inner_count / WORK_OF_SHARE);
    if (l->gpu)
        parts = smaller(divide_up(l->units, l->group), (int64_t)list->device->info.compute_units * 32);
    bool shared = !l->gpu && parts > 1;
    loop_print_kernel(l, &source, parts, shared);
    launch *added = NULL;
    clg_status status = launch_add(list, number, &source, arguments + !shared, l->p.argument_count + shared, &added);
    if (status == CLG_OK) {
        added->dimensions = 1;
        added->local[0] = (size_t)l->group;
        added->global[0] = (size_t)(l->gpu ? parts * l->group : launch_groups(list->device, parts));
    }
    return status;
}

clg_status contract_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->outer_count == 0)
        return CLG_OK;
    contract c = {.l = {.device = list->device, .step = step, .group = 1}};
    loop *l = &c.l;
    l->gpu = list->device->strategy == STRATEGY_GPU;
    while (l->gpu && l->group * 2 <= 256 && (size_t)l->group * 2 <= list->device->group_limit)
        l->group *= 2;
    l->last = step->outer_rank - 1;
    if (l->last >= 0 && depends(step, step->operand[0].access, l->last)) /* no columns */
        l->last = -1;
    l->p = (body_printer){.plan = list->plan, .step = step, .tile = 1, .accumulator = "", .indent = 4};
    l->p.lane = l->gpu ? -1 : l->last;
    l->p.width = l->p.lane < 0 ? 1 : loop_vector_width(step->extent[l->last]);
    l->p.index = body_index_type(list->plan, step);
    choose_rows(&c, step);
    make_reads(&c, step);
    int32_t *arguments = malloc(((size_t)step->instr_count + 5) * sizeof *arguments);
    clg_status status = arguments ? body_analyse(&l->p) : clg_fail_memory();
    if (status == CLG_OK)
        status = print(&c, list, number, arguments);
    text_free(&l->once);
    text_free(&l->unit);
    body_free(&l->p);
    free(arguments);
    return status;
}
