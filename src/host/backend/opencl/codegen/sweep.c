/* Column sums over windows with bounds on CPU devices, depthwise convolution and padded pooling: a unit is a row along
 * the lanes' dimension, whose results are an array. Each inner position adds to the part of the row that it has, so
 * that no lane asks whether it is inside; compilers make vectors of these loops. Each result takes its terms in their
 * order, as elsewhere. */
#include "contract.h"

enum { ROW_BYTES = 16384, MOST_TERMS = 128 }; /* as many as are added up before an accumulator rounds */

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
    text_line(p->out, "for (int i = 0; i < %lld; i++) row[i] = (%s_t)(%s);", extent, s.s,
              clg_ops[found.reduce->op].identity[found.reduce->dtype]);
    for (int d = step->outer_rank; d < step->outer_rank + step->inner_rank; d++) {
        snprintf(head, sizeof head, "for (%s p%d = 0; p%d < %lld; p%d++)", index, d, d, (long long)step->extent[d], d);
        text_line(p->out, "ROLLED");
        text_open(p->out, head);
    }
    print_term(p, &found);
    for (int d = 0; d < step->inner_rank; d++)
        text_close(p->out);
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
