/* INNER sections of a LOOP step: loops over inner positions and the reductions that they feed. Long sums are added in
 * blocks whose sums are then added, in f64 where the device has it. */
#include "loop.h"

#include <string.h>

#define CHAIN 512 /* elements that one lane, or one work-item of a GPU, sums before they join the total */

/* ---------------------------------------------------------------- sums */

static int reductions(const loop *l, const plan_section *section)
{
    int count = 0;
    for (int32_t i = section->first; i < section->first + section->count; i++)
        count += l->step->instrs[i].kind == INSTR_REDUCE;
    return count;
}

#define FOR_EACH_REDUCTION(l, section, i)                                                                              \
    for (int32_t i = (section)->first; i < (section)->first + (section)->count; i++)                                   \
        if ((l)->step->instrs[i].kind == INSTR_REDUCE)

static bool wide_total(const loop *l, const plan_instr *instr, bool blocks)
{
    bool rounds = clg_ops[instr->op].repeat != OP_SAME; /* else the result is one of the elements */
    return blocks && rounds && instr->dtype == CLG_F32 && l->device->has_f64;
}

static int total_dtype(const loop *l, const plan_instr *instr, bool blocks)
{
    return wide_total(l, instr, blocks) ? CLG_F64 : instr->dtype;
}

static int accumulator_width(const loop *l, int32_t reg)
{
    return l->lanes_inner ? l->p.width : body_register_width(&l->p, reg);
}

/* "float16 a7[8]" or "float a7_s = 0": an accumulator or a total, and its initial value. */
static void declare_sum(loop *l, const char *prefix, int32_t reg, const char *ending, int dtype, int width)
{
    const plan_instr *instr = &l->step->instrs[reg];
    body_suffix_text s = body_suffix(dtype, width);
    const char *initial = clg_ops[instr->op].identity[instr->dtype];
    if (l->p.tile > 1) {
        body_line(&l->p, "%s_t %s%d%s[%d];", s.s, prefix, reg, ending, l->p.tile);
        body_line(&l->p, "for (int t = 0; t < %d; t++) %s%d%s[t] = (%s_t)(%s);", l->p.tile, prefix, reg, ending, s.s,
                  initial);
    } else {
        body_line(&l->p, "%s_t %s%d%s = (%s_t)(%s);", s.s, prefix, reg, ending, s.s, initial);
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
static void print_join(loop *l, int32_t reg, const char *ending, int width, bool blocks)
{
    const plan_instr *instr = &l->step->instrs[reg];
    const char *element = l->p.tile > 1 ? "[t]" : "";
    bool wide = wide_total(l, instr, blocks);
    int out_width = l->lanes_inner ? 1 : width;
    body_suffix_text total = body_suffix(total_dtype(l, instr, blocks), out_width);
    char name[40];
    snprintf(name, sizeof name, "a%d%s%s", reg, ending, element);
    text value = {0};
    if (l->lanes_inner && width > 1)
        add_fold(&value, name, instr, 0, width, 1);
    else
        text_add(&value, "%s", name);
    text_add(l->p.out, "%*sw%d%s = op_%s(%s, w%d%s, ", l->p.indent, "", reg, element, clg_ops[instr->op].name, total.s,
             reg, element);
    if (wide)
        text_add(l->p.out, "FN(%s, from_f32)", total.s);
    text_add(l->p.out, "(%s));\n", value.data ? value.data : "");
    l->p.out->failed |= value.failed;
    text_free(&value);
}

/* ---------------------------------------------------------------- inner sections */

typedef struct inner {
    const plan_section *section;
    bool blocks;        /* summed block by block */
    int64_t block;      /* positions of a block */
    int copies;         /* vector accumulators, taken in turn */
    bool vectors, tail; /* which loops over lanes there are */
} inner;

static const char *const copy_endings[] = {"_0", "_1"};

static void declare_accumulators(loop *l, const inner *n)
{
    int width = l->p.width;
    FOR_EACH_REDUCTION(l, n->section, i)
    {
        int dtype = l->step->instrs[i].dtype;
        if (!l->lanes_inner) {
            declare_sum(l, "a", i, "", dtype, accumulator_width(l, i));
            continue;
        }
        for (int c = 0; n->vectors && c < n->copies; c++)
            declare_sum(l, "a", i, copy_endings[c], dtype, width);
        if (n->tail)
            declare_sum(l, "a", i, "_s", dtype, 1);
    }
}

static void join_accumulators(loop *l, const inner *n)
{
    if (!l->lanes_inner && l->p.tile > 1 && reductions(l, n->section))
        loop_open_vectors(l);
    FOR_EACH_REDUCTION(l, n->section, i)
    {
        if (!l->lanes_inner) {
            print_join(l, i, "", accumulator_width(l, i), n->blocks);
            continue;
        }
        for (int c = 0; n->vectors && c < n->copies; c++)
            print_join(l, i, copy_endings[c], l->p.width, n->blocks);
        if (n->tail)
            print_join(l, i, "_s", 1, n->blocks);
    }
    if (!l->lanes_inner && l->p.tile > 1 && reductions(l, n->section))
        loop_close(l);
}

/* The registers themselves, from their totals. */
static void finish_reductions(loop *l, const inner *n)
{
    FOR_EACH_REDUCTION(l, n->section, i)
    {
        const plan_instr *instr = &l->step->instrs[i];
        int width = l->lanes_inner ? 1 : accumulator_width(l, i);
        body_suffix_text s = body_suffix(instr->dtype, width), total = body_suffix(total_dtype(l, instr, n->blocks), 1);
        if (l->gpu && l->lanes_inner) {
            l->scratch[total_dtype(l, instr, n->blocks)] = true;
            body_line(&l->p, "GROUP_FOLD(op_%s, %s, w%d, w%d, scratch_%s);", clg_ops[instr->op].name, total.s, i, i,
                      total.s);
        }
        if (l->p.tile > 1) {
            body_line(&l->p, "%s_t r%d[%d];", s.s, i, l->p.tile);
            body_line(&l->p, "for (int t = 0; t < %d; t++) r%d[t] = FN(%s, from_%s)(w%d[t]);", l->p.tile, i, s.s,
                      total.s, i);
        } else {
            body_line(&l->p, "const %s_t r%d = FN(%s, from_%s)(w%d);", s.s, i, s.s, total.s, i);
        }
    }
}

/* Vectors along the last inner dimension, then what is left of it. */
static void print_lane_loops(loop *l, const inner *n)
{
    int width = l->p.width;
    char head[96];
    for (int c = n->copies; n->vectors && c > 0; c--) {
        int together = c == 2 ? 2 : 1;
        snprintf(head, sizeof head, "for (; p%d + %d <= end;)", l->last, width * together);
        loop_open(l, head);
        for (int k = 0; k < together; k++) {
            loop_open(l, "");
            l->p.accumulator = copy_endings[k];
            body_print_section(&l->p, n->section);
            if (n->section == l->p.ahead)
                body_print_ahead(&l->p);
            loop_close(l);
            body_line(&l->p, "p%d += %d;", l->last, width);
        }
        loop_close(l);
    }
    if (!n->tail)
        return;
    l->p.width = 1;
    l->p.accumulator = "_s";
    if (n->vectors)
        body_line(&l->p, "ROLLED");
    snprintf(head, sizeof head, "for (; p%d < end; p%d++)", l->last, l->last);
    loop_open(l, head);
    body_print_section(&l->p, n->section);
    loop_close(l);
    l->p.width = width;
}

/* The positions j..stop-1 of the flattened inner range, one run along the last inner dimension after another. */
static void print_runs(loop *l, const inner *n)
{
    const plan_step *step = l->step;
    int rank = step->outer_rank + step->inner_rank, last = rank - 1;
    char head[96];
    if (step->inner_rank == 0) { /* one position */
        body_line(&l->p, "j = stop;");
        l->p.accumulator = l->lanes_inner ? "_s" : "";
        loop_open_tile(l, true);
        body_print_section(&l->p, n->section);
        loop_close_tile(l);
        return;
    }
    loop_open(l, "while (j < stop)");
    bool several = step->inner_rank > 1;
    if (several) {
        body_line(&l->p, "%s p%d = j %% %lld;", l->p.index, last, (long long)step->extent[last]);
        snprintf(head, sizeof head, "j / %lld", (long long)step->extent[last]);
        loop_print_positions(l, head, step->outer_rank, last, -1, false);
        body_line(&l->p, "const %s end = min((%s)%lld, p%d + (stop - j));", l->p.index, l->p.index,
                  (long long)step->extent[last], last);
        body_line(&l->p, "j += end - p%d;", last);
    } else {
        body_line(&l->p, "%s p%d = j;", l->p.index, last);
        body_line(&l->p, "const %s end = stop;", l->p.index);
        body_line(&l->p, "j = stop;");
    }
    if (l->lanes_inner) {
        print_lane_loops(l, n);
    } else {
        snprintf(head, sizeof head, "for (; p%d < end; p%d++)", last, last);
        loop_open(l, head);
        l->p.accumulator = "";
        loop_open_tile(l, true);
        body_print_section(&l->p, n->section);
        loop_close_tile(l);
        loop_close(l);
    }
    loop_close(l);
}

/* The same for a GPU work-group: work-item i takes the positions i, i + group, ... */
static void print_strided(loop *l, const inner *n)
{
    const plan_step *step = l->step;
    char head[64];
    snprintf(head, sizeof head, "for (; j < stop; j += %d)", l->group);
    loop_open(l, head);
    loop_print_positions(l, "j", step->outer_rank, step->outer_rank + step->inner_rank, -1, false);
    l->p.accumulator = "_s";
    body_print_section(&l->p, n->section);
    loop_close(l);
}

static inner plan_inner(const loop *l, const plan_section *section)
{
    const plan_step *step = l->step;
    bool group = l->gpu && l->lanes_inner;
    inner n = {.section = section};
    int64_t range = step->splits > 1 ? step->inner_piece : step->inner_count;
    n.block = (int64_t)CHAIN * (group ? l->group : l->lanes_inner ? l->p.width : 1);
    n.blocks = reductions(l, section) && range > n.block;
    n.copies = section->count <= 12 && reductions(l, section) ? 2 : 1;
    n.vectors = l->lanes_inner && l->p.width > 1;
    bool whole = n.vectors && step->extent[l->last] % l->p.width == 0 &&
                 (step->splits == 1 || step->inner_piece % l->p.width == 0) && n.block % l->p.width == 0;
    n.tail = !whole;
    return n;
}

void loop_print_inner(loop *l, const plan_section *section)
{
    const plan_step *step = l->step;
    const char *index = l->p.index;
    inner n = plan_inner(l, section);
    bool group = l->gpu && l->lanes_inner;
    const char *first = group ? " + (int)get_local_id(0)" : "";
    char from[64] = "0", to[96];
    FOR_EACH_REDUCTION(l, section, i)
    {
        const plan_instr *instr = &step->instrs[i];
        declare_sum(l, "w", i, "", total_dtype(l, instr, n.blocks), l->lanes_inner ? 1 : accumulator_width(l, i));
    }
    snprintf(to, sizeof to, "%lld", (long long)step->inner_count);
    if (step->splits > 1) {
        snprintf(from, sizeof from, "piece * %lld", (long long)step->inner_piece);
        snprintf(to, sizeof to, "min((%s)%lld, (piece + 1) * (%s)%lld)", index, (long long)step->inner_count, index,
                 (long long)step->inner_piece);
    }
    if (step->inner_count > 0) {
        loop_open(l, "");
        body_line(&l->p, "const %s inner_end = %s;", index, to);
        body_line(&l->p, "%s j = %s%s;", index, from, first);
        if (n.blocks)
            loop_open(l, "while (j < inner_end)");
        body_line(&l->p, n.blocks ? "const %s stop = min(inner_end, j + %lld);" : "const %s stop = inner_end;", index,
                  (long long)n.block);
        declare_accumulators(l, &n);
        int width = l->p.width;
        if (group)
            print_strided(l, &n);
        else
            print_runs(l, &n);
        l->p.width = width;
        join_accumulators(l, &n);
        if (n.blocks)
            loop_close(l);
        loop_close(l);
    }
    finish_reductions(l, &n);
}
