/* Column sums over windows with bounds on CPU devices, depthwise convolution and padded pooling: a unit is a row along
 * the lanes' dimension, whose results are an array. Where terms are few and their lanes neighbours, vectors of lanes
 * that all terms have are summed in registers, and the lanes at the ends one by one. Else each inner position adds to
 * the part of the row that it has; compilers make vectors of these loops. Each result takes its terms in their order,
 * as elsewhere. */
#include "contract.h"

#include <string.h>

enum {
    ROW_BYTES = 16384,
    MOST_TERMS = 128, /* as many as are added up before an accumulator rounds */
    MOST_WRITTEN = 25
};

static bool find(const plan_step *step, plan_reduction *found)
{
    const plan_section *inner = NULL;
    for (int32_t s = 0; s < step->section_count; s++) {
        if (step->sections[s].kind == SECTION_INNER && inner)
            return false;
        if (step->sections[s].kind == SECTION_INNER)
            inner = &step->sections[s];
    }
    return inner && plan_reduction_find(step, inner, found);
}

bool nest_has_sweep(const nest *n)
{
    const plan_step *step = n->body.step;
    plan_reduction found;
    if (n->gpu || n->lanes_inner || step->splits > 1 || step->outer_rank == 0 || step->inner_count < 1 ||
        step->inner_count > MOST_TERMS || !find(step, &found))
        return false;
    const int64_t extent = step->extent[step->outer_rank - 1];
    return step->accesses[found.load[0]->access].bound_count > 0 && nest_vector_width(extent) > 1 &&
           extent * (int64_t)clg_dtype_size((clg_dtype)found.reduce->dtype) <= ROW_BYTES;
}

/* "b2[e7 + p3 * 2]", a lane's element. */
static void add_element(const body_printer *p, text *t, const plan_step *step, const plan_instr *load)
{
    const int lane = p->body->lane;
    text_add(t, "b%d[e%d + p%d * %lld]", body_argument(p->body, load->buffer), (int)(load - step->instrs), lane,
             (long long)step->accesses[load->access].stride[lane]);
}

/* The row's terms at one inner position. */
static void print_term(const body_printer *p, const plan_reduction *found)
{
    const plan_step *step = p->body->step;
    const int lane = p->body->lane;
    const plan_access *first = &step->accesses[found->load[0]->access];
    const body_suffix_text s = body_suffix(found->reduce->dtype, 1);
    text_line(p->out, "%s from%d = 0, to%d = %lld;", p->body->index, lane, lane, (long long)step->extent[lane]);
    for (int32_t i = 0; i < first->bound_count; i++)
        contract_print_bound(p, &step->bounds[first->first_bound + i], lane);
    for (int k = 0; k < 2 && found->load[k]; k++) {
        plan_access rest = step->accesses[found->load[k]->access];
        rest.stride[lane] = 0;
        body_print_address(p, (int32_t)(found->load[k] - step->instrs), &rest, false);
    }
    text_indent(p->out);
    text_add(p->out, "for (%s p%d = from%d; p%d < to%d; p%d++) row[p%d] = op_%s(%s, row[p%d], ", p->body->index, lane,
             lane, lane, lane, lane, lane, clg_ops[found->reduce->op].name, s.s, lane);
    if (found->load[1])
        text_add(p->out, "op_%s(%s, ", clg_ops[OP_MUL].name, s.s);
    add_element(p, p->out, step, found->load[0]);
    if (found->load[1]) {
        text_add(p->out, ", ");
        add_element(p, p->out, step, found->load[1]);
        text_add(p->out, ")");
    }
    text_add(p->out, ");\n");
}

/* Term by term. */
static void print_terms(const body_printer *p, const plan_reduction *found)
{
    const plan_step *step = p->body->step;
    const body_suffix_text s = body_suffix(found->reduce->dtype, 1);
    char head[96];
    text_line(p->out, "for (int i = 0; i < %lld; i++) row[i] = (%s_t)(%s);", (long long)step->extent[p->body->lane],
              s.s, ops_identity((clg_op)found->reduce->op, (clg_dtype)found->reduce->dtype));
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++) {
        snprintf(head, sizeof head, "for (%s p%d = 0; p%d < %lld; p%d++)", p->body->index, d, d,
                 (long long)step->extent[d], d);
        text_line(p->out, "ROLLED");
        text_open(p->out, head);
    }
    print_term(p, found);
    for (int d = 0; d < step->inner_rank; d++)
        text_close(p->out);
}

/* ---------------------------------------------------------------- sums in registers */

/* The lanes of each term, of which there are few: they are written out. */
typedef struct few_terms {
    int count;
    int64_t from[MOST_WRITTEN], to[MOST_WRITTEN], all_from, all_to;
} few_terms;

static int64_t inner_position(const plan_step *step, int d, int64_t term)
{
    for (int e = step->outer_rank + step->inner_rank - 1; e > d; e--)
        term /= step->extent[e];
    return term % step->extent[d];
}

/* Narrows the lanes of a term to those of a bound; false: they differ from row to row, or count down. */
static bool narrow(const plan_step *step, const plan_bound *bound, int lane, int64_t term, int64_t *from, int64_t *to)
{
    const int64_t by = bound->coef[lane];
    int64_t part = 0;
    for (int d = 0; d < step->outer_rank; d++)
        if (by < 0 || (d != lane && by != 0 && bound->coef[d] && step->extent[d] > 1))
            return false;
    if (by == 0)
        return true;
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++)
        part += bound->coef[d] * inner_position(step, d, term);
    *from = larger(*from, bound->lo <= part ? 0 : divide_up(bound->lo - part, by));
    *to = smaller(*to, bound->hi <= part ? 0 : divide_up(bound->hi - part, by));
    return true;
}

static bool find_few(const body_printer *p, const plan_reduction *found, few_terms *few)
{
    const plan_step *step = p->body->step;
    const int lane = p->body->lane;
    const plan_access *first = &step->accesses[found->load[0]->access];
    *few = (few_terms){.count = (int)step->inner_count, .all_to = step->extent[lane]};
    if (step->inner_count > MOST_WRITTEN)
        return false;
    for (int k = 0; k < 2 && found->load[k]; k++) {
        const int64_t stride = step->accesses[found->load[k]->access].stride[lane];
        if (stride != 0 && stride != 1)
            return false;
    }
    for (int q = 0; q < few->count; q++) {
        few->to[q] = step->extent[lane];
        for (int32_t i = 0; i < first->bound_count; i++)
            if (!narrow(step, &step->bounds[first->first_bound + i], lane, q, &few->from[q], &few->to[q]))
                return false;
        few->all_from = larger(few->all_from, few->from[q]);
        few->all_to = smaller(few->all_to, few->to[q]);
    }
    return few->all_to - few->all_from >= p->width;
}

/* A block in which the inner positions are those of a term. */
static void open_term(const body_printer *p, int64_t term)
{
    const plan_step *step = p->body->step;
    text_open(p->out, "");
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++)
        if (step->extent[d] > 1)
            text_line(p->out, "const %s p%d = %lld;", p->body->index, d, (long long)inner_position(step, d, term));
}

/* Whether the row has the term, "true" if it has no bounds but those of lanes. */
static void add_row_condition(const body_printer *p, text *t, const plan_access *access)
{
    const plan_step *step = p->body->step;
    text_add(t, "true");
    for (int32_t i = 0; i < access->bound_count; i++) {
        const plan_bound *bound = &step->bounds[access->first_bound + i];
        plan_access form = {0};
        text at = {0};
        if (bound->coef[p->body->lane] != 0)
            continue;
        memcpy(form.stride, bound->coef, sizeof form.stride);
        body_add_address(p, &at, &form);
        text_add(t, " && %s >= %lld && %s < %lld", at.data ? at.data : "0", (long long)bound->lo,
                 at.data ? at.data : "0", (long long)bound->hi);
        t->failed |= at.failed;
        text_free(&at);
    }
}

/* "s = ..." of a term in its block, for the lanes from p%d on. */
static void print_sum(const body_printer *p, const plan_reduction *found)
{
    const plan_step *step = p->body->step;
    const int lane = p->body->lane;
    const body_suffix_text s = body_suffix(found->reduce->dtype, p->width);
    for (int k = 0; k < 2 && found->load[k]; k++)
        body_print_address(p, (int32_t)(found->load[k] - step->instrs), &step->accesses[found->load[k]->access], false);
    text_indent(p->out);
    text_add(p->out, "s = op_%s(%s, s, ", clg_ops[found->reduce->op].name, s.s);
    if (found->load[1])
        text_add(p->out, "op_%s(%s, ", clg_ops[OP_MUL].name, s.s);
    for (int k = 0; k < 2 && found->load[k]; k++) {
        const int argument = body_argument(p->body, found->load[k]->buffer), reg = (int)(found->load[k] - step->instrs);
        text_add(p->out, k ? ", " : "");
        if (p->width > 1 && step->accesses[found->load[k]->access].stride[lane] == 1)
            text_add(p->out, "VECTOR_AT(global, %s, b%d + e%d)", s.s, argument, reg);
        else
            text_add(p->out, "(%s_t)(b%d[e%d])", s.s, argument, reg);
    }
    text_add(p->out, found->load[1] ? "));\n" : ");\n");
}

/* All terms of the lanes from p%d on, to the row. all: the row has every term, and so have the lanes. */
static void print_lanes(const body_printer *p, const plan_reduction *found, const few_terms *few, bool all)
{
    const int lane = p->body->lane;
    const body_suffix_text s = body_suffix(found->reduce->dtype, p->width);
    text_line(p->out, "%s_t s = (%s_t)(%s);", s.s, s.s,
              ops_identity((clg_op)found->reduce->op, (clg_dtype)found->reduce->dtype));
    for (int q = 0; q < few->count; q++) {
        open_term(p, q);
        if (!all) {
            text_indent(p->out);
            text_add(p->out, "if (");
            add_row_condition(p, p->out, &p->body->step->accesses[found->load[0]->access]);
            if (p->width == 1)
                text_add(p->out, " && p%d >= %lld && p%d < %lld", lane, (long long)few->from[q], lane,
                         (long long)few->to[q]);
            text_add(p->out, ") {\n");
            p->out->indent += TEXT_LEVEL;
        }
        print_sum(p, found);
        if (!all)
            text_close(p->out);
        text_close(p->out);
    }
    if (p->width > 1)
        text_line(p->out, "VECTOR_AT(private, %s, row + p%d) = s;", s.s, lane);
    else
        text_line(p->out, "row[p%d] = s;", lane);
}

/* A loop over lanes by the printer's width; the last vector may do some lanes again. */
static void print_span(const body_printer *p, const plan_reduction *found, const few_terms *few, int64_t from,
                       int64_t to, bool all)
{
    const int lane = p->body->lane;
    const char *index = p->body->index;
    char head[128];
    if (from >= to)
        return;
    snprintf(head, sizeof head, "for (%s at = %lld; at < %lld; at += %d)", index, (long long)from, (long long)to,
             p->width);
    text_line(p->out, "ROLLED");
    text_open(p->out, head);
    text_line(p->out, "const %s p%d = min(at, (%s)%lld);", index, lane, index, (long long)(to - p->width));
    print_lanes(p, found, few, all);
    text_close(p->out);
}

static void print_few(const body_printer *p, const plan_reduction *found, const few_terms *few)
{
    const plan_access *first = &p->body->step->accesses[found->load[0]->access];
    body_printer single = *p;
    single.width = 1;
    text_line(p->out, "bool all = true;");
    for (int q = 0; q < few->count; q++) {
        open_term(p, q);
        text_indent(p->out);
        text_add(p->out, "all &= ");
        add_row_condition(p, p->out, first);
        text_add(p->out, ";\n");
        text_close(p->out);
    }
    text_open(p->out, "if (all)");
    print_span(p, found, few, few->all_from, few->all_to, true);
    text_close(p->out);
    text_open(p->out, "if (!all)");
    print_span(p, found, few, few->all_from, few->all_to, false);
    text_close(p->out);
    print_span(&single, found, few, 0, few->all_from, false);
    print_span(&single, found, few, few->all_to, p->body->step->extent[p->body->lane], false);
}

/* ---------------------------------------------------------------- a unit */

/* What is done with a vector of results. */
static void print_results(const body_printer *p, const plan_reduction *found)
{
    const body_suffix_text s = body_suffix(found->reduce->dtype, p->width);
    if (p->width == 1)
        text_line(p->out, "const %s_t r%d = row[p%d];", s.s, (int)found->result, p->body->lane);
    else
        text_line(p->out, "const %s_t r%d = VECTOR_AT(private, %s, row + p%d);", s.s, (int)found->result, s.s,
                  p->body->lane);
    body_print_sections(p, SECTION_OUTER);
}

void nest_print_sweep(nest *n, const body_printer *p)
{
    const plan_step *step = n->body.step;
    const int lane = n->body.lane;
    const long long extent = (long long)step->extent[lane];
    const char *index = p->body->index;
    char head[96];
    plan_reduction found;
    (void)find(step, &found);
    const body_suffix_text s = body_suffix(found.reduce->dtype, 1);
    n->units = step->outer_count / step->extent[lane];
    nest_print_positions(p, "unit", 0, step->outer_rank, lane, false);
    text_line(p->out, "%s_t row[%lld];", s.s, extent);
    few_terms few;
    if (find_few(p, &found, &few))
        print_few(p, &found, &few);
    else
        print_terms(p, &found);
    text_line(p->out, "%s p%d = 0;", index, lane);
    for (int width = p->width; width >= 1; width = width > 1 ? 1 : 0) {
        body_printer some = *p;
        some.width = width;
        if (width == 1 && extent % p->width == 0)
            break;
        text_line(p->out, "ROLLED");
        snprintf(head, sizeof head, "for (; p%d + %d <= %lld; p%d += %d)", lane, width, extent, lane, width);
        text_open(p->out, head);
        print_results(&some, &found);
        text_close(p->out);
    }
}
