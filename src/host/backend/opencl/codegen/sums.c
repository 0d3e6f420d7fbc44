/* INNER sections of a LOOP step: loops over inner positions and the reductions that they feed. Long sums are added in
 * blocks whose sums are then added, in f64 where the device has it. */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

#define CHAIN 512 /* elements that one lane, or one work-item of a GPU, sums before they join the total */

/* An INNER section and how its loops run. */
typedef struct inner {
    const nest *n;
    const body_printer *p;
    const plan_step *step;
    const plan_section *section;
    bool group;                /* a GPU's work-items share the positions */
    bool sums;                 /* it has reductions */
    bool blocks;               /* summed block by block */
    int64_t block;             /* positions of a block */
    int copies;                /* vector accumulators, taken in turn */
    bool vectors, tail;        /* which loops over lanes there are */
    const plan_access *bounds; /* what is outside these adds nothing: runs are narrowed to them. NULL: they are not */
} inner;

static const char *const copy_endings[] = {"_0", "_1"};

#define FOR_EACH_REDUCTION(in, i)                                                                                      \
    for (int32_t i = (in)->section->first; i < (in)->section->first + (in)->section->count; i++)                       \
        if ((in)->step->instrs[i].kind == INSTR_REDUCE)

/* Whether an array keeps something of the section for later ones, which want all of it. */
static bool keeps(const body *b, const plan_section *section)
{
    for (int32_t i = section->first; b->kept && i < section->first + section->count; i++)
        if (b->kept[i] >= 0)
            return true;
    return false;
}

static inner plan_inner(const nest *n, const body_printer *p, const plan_section *section)
{
    const plan_step *step = n->body.step;
    inner in = {.n = n, .p = p, .step = step, .section = section, .group = n->gpu && n->lanes_inner};
    FOR_EACH_REDUCTION(&in, i)
    in.sums = true;
    int64_t range = step->splits > 1 ? step->inner_piece : step->inner_count;
    in.block = (int64_t)CHAIN * (in.group ? n->group : n->lanes_inner ? p->width : 1);
    in.blocks = in.sums && range > in.block;
    in.copies = section->count <= 12 && in.sums ? 2 : 1;
    in.vectors = n->lanes_inner && p->width > 1;
    bool whole = in.vectors && step->extent[n->body.lane] % p->width == 0 &&
                 (step->splits == 1 || step->inner_piece % p->width == 0) && in.block % p->width == 0;
    plan_reduction found;
    if (n->lanes_inner && !in.group && step->inner_rank > 1 && !keeps(&n->body, section) &&
        plan_reduction_find(step, section, &found) && step->accesses[found.load[0]->access].bound_count > 0)
        in.bounds = &step->accesses[found.load[0]->access];
    in.tail = !whole || in.bounds;
    return in;
}

/* The section, whose accumulators have an ending, in vectors of a width. */
static void print_section(const inner *in, const char *accumulator, int width)
{
    body_printer at = *in->p;
    at.accumulator = accumulator;
    at.width = width;
    body_print_section(&at, in->section);
}

/* ---------------------------------------------------------------- sums */

static bool wide_total(const inner *in, const plan_instr *instr)
{
    bool rounds = clg_ops[instr->op].repeat != OP_SAME; /* else the result is one of the elements */
    return in->blocks && rounds && instr->dtype == CLG_F32 && in->n->target->has_f64;
}

static int total_dtype(const inner *in, const plan_instr *instr)
{
    return wide_total(in, instr) ? CLG_F64 : instr->dtype;
}

/* Lanes of a reduction's total; without folds, of its accumulators, too. */
static int total_width(const inner *in, int32_t reg)
{
    return in->n->lanes_inner ? 1 : body_register_width(in->p, reg);
}

/* "float16 a7[8]" or "float a7_s = 0": an accumulator or a total, and its initial value. */
static void declare_sum(const inner *in, const char *prefix, int32_t reg, const char *ending, int dtype, int width)
{
    const plan_instr *instr = &in->step->instrs[reg];
    body_suffix_text s = body_suffix(dtype, width);
    const char *initial = ops_identity((clg_op)instr->op, (clg_dtype)instr->dtype);
    text *out = in->p->out;
    if (in->p->tile > 1) {
        text_line(out, "%s_t %s%d%s[%d];", s.s, prefix, reg, ending, in->p->tile);
        text_line(out, "for (int t = 0; t < %d; t++) %s%d%s[t] = (%s_t)(%s);", in->p->tile, prefix, reg, ending, s.s,
                  initial);
    } else {
        text_line(out, "%s_t %s%d%s = (%s_t)(%s);", s.s, prefix, reg, ending, s.s, initial);
    }
}

/* The lanes of a vector folded by a tree: op_sum(f32, op_sum(f32, v.s0, v.s2), ...) through scalar functions. */
static void add_fold(text *t, const char *name, const plan_instr *instr, int first, int width, int stride)
{
    if (stride == width) {
        text_add(t, "%s.s%x", name, (unsigned)first);
        return;
    }
    text_add(t, "fold_%s_%s(", clg_ops[instr->op].name, body_suffix(instr->dtype, 1).s);
    add_fold(t, name, instr, first, width, stride * 2);
    text_add(t, ", ");
    add_fold(t, name, instr, first + stride, width, stride * 2);
    text_add(t, ")");
}

/* Adds an accumulator of width lanes to the total of a register. */
static void print_join(const inner *in, int32_t reg, const char *ending, int width)
{
    const plan_instr *instr = &in->step->instrs[reg];
    const char *element = in->p->tile > 1 ? "[t]" : "";
    text *out = in->p->out;
    body_suffix_text total = body_suffix(total_dtype(in, instr), in->n->lanes_inner ? 1 : width);
    char name[40];
    snprintf(name, sizeof name, "a%d%s%s", reg, ending, element);
    text_indent(out);
    text_add(out, "w%d%s = op_%s(%s, w%d%s, ", reg, element, clg_ops[instr->op].name, total.s, reg, element);
    if (wide_total(in, instr))
        text_add(out, "FN(%s, from_f32)", total.s);
    text_add(out, "(");
    if (in->n->lanes_inner && width > 1)
        add_fold(out, name, instr, 0, width, 1);
    else
        text_add(out, "%s", name);
    text_add(out, "));\n");
}

static void declare_totals(const inner *in)
{
    FOR_EACH_REDUCTION(in, i)
    declare_sum(in, "w", i, "", total_dtype(in, &in->step->instrs[i]), total_width(in, i));
}

static void declare_accumulators(const inner *in)
{
    FOR_EACH_REDUCTION(in, i)
    {
        int dtype = in->step->instrs[i].dtype;
        if (!in->n->lanes_inner) {
            declare_sum(in, "a", i, "", dtype, total_width(in, i));
            continue;
        }
        for (int c = 0; in->vectors && c < in->copies; c++)
            declare_sum(in, "a", i, copy_endings[c], dtype, in->p->width);
        if (in->tail)
            declare_sum(in, "a", i, "_s", dtype, 1);
    }
}

static void join_accumulators(const inner *in)
{
    bool tile = !in->n->lanes_inner && in->p->tile > 1 && in->sums;
    if (tile)
        nest_open_vectors(in->p);
    FOR_EACH_REDUCTION(in, i)
    {
        if (!in->n->lanes_inner) {
            print_join(in, i, "", total_width(in, i));
            continue;
        }
        for (int c = 0; in->vectors && c < in->copies; c++)
            print_join(in, i, copy_endings[c], in->p->width);
        if (in->tail)
            print_join(in, i, "_s", 1);
    }
    if (tile)
        text_close(in->p->out);
}

/* The registers themselves, from their totals. scratch: becomes true for dtypes that groups fold. */
static void finish_reductions(const inner *in, bool *scratch)
{
    text *out = in->p->out;
    FOR_EACH_REDUCTION(in, i)
    {
        const plan_instr *instr = &in->step->instrs[i];
        body_suffix_text s = body_suffix(instr->dtype, total_width(in, i));
        body_suffix_text total = body_suffix(total_dtype(in, instr), 1);
        if (in->group) {
            scratch[total_dtype(in, instr)] = true;
            text_line(out, "GROUP_FOLD(op_%s, %s, w%d, w%d, scratch_%s);", clg_ops[instr->op].name, total.s, i, i,
                      total.s);
        }
        if (in->p->tile > 1) {
            text_line(out, "%s_t r%d[%d];", s.s, i, in->p->tile);
            text_line(out, "for (int t = 0; t < %d; t++) r%d[t] = FN(%s, from_%s)(w%d[t]);", in->p->tile, i, s.s,
                      total.s, i);
        } else {
            text_line(out, "const %s_t r%d = FN(%s, from_%s)(w%d);", s.s, i, s.s, total.s, i);
        }
    }
}

/* ---------------------------------------------------------------- loops */

/* Vectors along the last inner dimension, then what is left of it. */
static void print_lane_loops(const inner *in)
{
    const int lane = in->n->body.lane, width = in->p->width;
    text *out = in->p->out;
    char head[96];
    for (int c = in->copies; in->vectors && c > 0; c--) {
        int together = c == 2 ? 2 : 1;
        snprintf(head, sizeof head, "for (; p%d + %d <= end;)", lane, width * together);
        text_open(out, head);
        for (int k = 0; k < together; k++) {
            text_open(out, "");
            print_section(in, copy_endings[k], width);
            if (in->section == in->n->body.ahead)
                body_print_ahead(in->p);
            text_close(out);
            text_line(out, "p%d += %d;", lane, width);
        }
        text_close(out);
    }
    if (!in->tail)
        return;
    if (in->vectors)
        text_line(out, "ROLLED");
    snprintf(head, sizeof head, "for (; p%d < end; p%d++)", lane, lane);
    text_open(out, head);
    print_section(in, "_s", 1);
    text_close(out);
}

/* One position for each vector of a tile. */
static void print_position(const inner *in, const char *accumulator)
{
    nest_open_tile(in->p, true);
    print_section(in, accumulator, in->p->width);
    nest_close_tile(in->p);
}

/* The loops over a run, p%d..end-1, of which only the part within the bounds is met: no lane asks where it is. */
static void print_narrowed(const inner *in)
{
    plan_step step = *in->step;
    body within = *in->p->body;
    body_printer p = *in->p;
    inner loops = *in;
    const int lane = in->n->body.lane;
    text *out = in->p->out;
    plan_access *accesses = malloc((size_t)step.access_count * sizeof *accesses);
    if (!accesses) {
        out->failed = true;
        return;
    }
    memcpy(accesses, step.accesses, (size_t)step.access_count * sizeof *accesses);
    for (int32_t i = 0; i < step.access_count; i++)
        accesses[i].bound_count = 0;
    step.accesses = accesses;
    within.step = &step;
    p.body = &within;
    loops.p = &p;
    text_line(out, "%s from%d = p%d, to%d = end;", in->n->body.index, lane, lane, lane);
    for (int32_t i = 0; i < in->bounds->bound_count; i++)
        contract_print_bound(in->p, &in->step->bounds[in->bounds->first_bound + i], lane);
    text_open(out, "");
    text_line(out, "%s p%d = from%d;", in->n->body.index, lane, lane);
    text_line(out, "const %s end = to%d;", in->n->body.index, lane);
    print_lane_loops(&loops);
    text_close(out);
    free(accesses);
}

/* The positions j..stop-1 of the flattened inner range, one run along the last inner dimension after another. */
static void print_runs(const inner *in)
{
    const plan_step *step = in->step;
    const char *index = in->n->body.index;
    text *out = in->p->out;
    int last = step->outer_rank + step->inner_rank - 1;
    char head[96];
    if (step->inner_rank == 0) { /* one position */
        text_line(out, "j = stop;");
        print_position(in, in->n->lanes_inner ? "_s" : "");
        return;
    }
    text_open(out, "while (j < stop)");
    if (step->inner_rank > 1) {
        text_line(out, "%s p%d = j %% %lld;", index, last, (long long)step->extent[last]);
        snprintf(head, sizeof head, "j / %lld", (long long)step->extent[last]);
        nest_print_positions(in->p, head, step->outer_rank, last, -1, false);
        text_line(out, "const %s end = min((%s)%lld, p%d + (stop - j));", index, index, (long long)step->extent[last],
                  last);
        text_line(out, "j += end - p%d;", last);
    } else {
        text_line(out, "%s p%d = j;", index, last);
        text_line(out, "const %s end = stop;", index);
        text_line(out, "j = stop;");
    }
    if (in->bounds) {
        print_narrowed(in);
    } else if (in->n->lanes_inner) {
        print_lane_loops(in);
    } else {
        snprintf(head, sizeof head, "for (; p%d < end; p%d++)", last, last);
        text_open(out, head);
        print_position(in, "");
        text_close(out);
    }
    text_close(out);
}

/* The same for a GPU work-group: work-item i takes the positions i, i + group, ... */
static void print_strided(const inner *in)
{
    const plan_step *step = in->step;
    char head[64];
    snprintf(head, sizeof head, "for (; j < stop; j += %d)", in->n->group);
    text_open(in->p->out, head);
    nest_print_positions(in->p, "j", step->outer_rank, step->outer_rank + step->inner_rank, -1, false);
    print_section(in, "_s", in->p->width);
    text_close(in->p->out);
}

/* All inner positions of a piece, block by block where sums are long. */
static void print_range(const inner *in)
{
    const plan_step *step = in->step;
    const char *index = in->n->body.index;
    text *out = in->p->out;
    char from[64] = "0", to[96];
    snprintf(to, sizeof to, "%lld", (long long)step->inner_count);
    if (step->splits > 1) {
        snprintf(from, sizeof from, "piece * %lld", (long long)step->inner_piece);
        snprintf(to, sizeof to, "min((%s)%lld, (piece + 1) * (%s)%lld)", index, (long long)step->inner_count, index,
                 (long long)step->inner_piece);
    }
    text_open(out, "");
    text_line(out, "const %s inner_end = %s;", index, to);
    text_line(out, "%s j = %s%s;", index, from, in->group ? " + (int)get_local_id(0)" : "");
    if (in->blocks) {
        text_open(out, "while (j < inner_end)");
        text_line(out, "const %s stop = min(inner_end, j + %lld);", index, (long long)in->block);
    } else {
        text_line(out, "const %s stop = inner_end;", index);
    }
    declare_accumulators(in);
    if (in->group)
        print_strided(in);
    else
        print_runs(in);
    join_accumulators(in);
    if (in->blocks)
        text_close(out);
    text_close(out);
}

void nest_print_inner(nest *n, const body_printer *p, const plan_section *section)
{
    const inner in = plan_inner(n, p, section);
    declare_totals(&in);
    if (in.step->inner_count > 0)
        print_range(&in);
    finish_reductions(&in, n->scratch);
}
