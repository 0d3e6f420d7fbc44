/* A LOOP step as an OpenCL C kernel, set into kernels/loop.cl. Three shapes:
 *
 *   lanes over outer, no inner   a map: vectors along the last outer dimension
 *   lanes over outer, inner      column sums: a tile of columns side by side, the inner positions one by one
 *                                or, with bounds, rows of columns (sweep.c)
 *   lanes over inner             row sums: one outer position at a time, vectors (CPU) or a group's work-items (GPU)
 *                                along the inner dimension
 */
#include "codegen.h"
#include "nest.h"

#define SHARE_WORK 4096 /* instructions' elements that make a share worth drawing */
#define SHARES_EACH 8   /* for a compute unit */
#define TILE_VECTORS 8  /* 8 x 16 f32 columns: 512 bytes of each row */
#define TILE_INSTRS 24  /* instructions that the loop over a tile's vectors may unroll to */

static bool is_inner(const plan_section *section) { return section->kind == SECTION_INNER; }

static bool has_inner(const plan_step *step)
{
    bool inner = false;
    for (int32_t s = 0; s < step->section_count; s++)
        inner |= is_inner(&step->sections[s]);
    return inner;
}

/* ---------------------------------------------------------------- units */

/* An OUTER section where lanes run over inner positions: scalars. The work-items of a GPU group all compute it; one
 * stores it, after all have read what the store may replace. */
static void print_outer_of_rows(const nest *n, const plan_section *section, text *out)
{
    const body_printer all = body_print_to(&n->body, out);
    bool stores = false;
    for (int32_t i = section->first; i < section->first + section->count; i++)
        stores |= n->body.step->instrs[i].kind == INSTR_STORE;
    if (!n->gpu || !stores) {
        body_print_section(&all, section);
        return;
    }
    body_printer values = all, storing = all;
    values.part = PART_VALUES;
    storing.part = PART_STORES;
    body_print_section(&values, section);
    text_line(out, "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);");
    text_open(out, "if (get_local_id(0) == 0)");
    body_print_section(&storing, section);
    text_close(out);
}

static void print_row_unit(nest *n, const body_printer *p)
{
    const plan_step *step = n->body.step;
    nest_print_positions(p, "unit", 0, step->outer_rank, -1, true);
    body_declare_kept(&n->body, p->out);
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        if (section->kind == SECTION_OUTER)
            print_outer_of_rows(n, section, p->out);
        else if (is_inner(section))
            nest_print_inner(n, p, section);
    }
}

/* All sections for a tile of vectors of columns that starts at an expression (or, without lanes, for one position). */
static void print_tile(nest *n, const body_printer *p, const char *start)
{
    const body *b = &n->body;
    if (b->lane >= 0 && p->tile > 1)
        text_line(p->out, "const %s tile = %s;", b->index, start);
    else if (b->lane >= 0)
        text_line(p->out, "const %s p%d = %s;", b->index, b->lane, start);
    for (int32_t s = 0; s < b->step->section_count; s++) {
        const plan_section *section = &b->step->sections[s];
        if (is_inner(section))
            nest_print_inner(n, p, section);
        if (section->kind != SECTION_OUTER)
            continue;
        for (int32_t i = section->first; p->tile > 1 && i < section->first + section->count; i++)
            if (b->crossing[i])
                text_line(p->out, "%s_t r%d[%d];", body_suffix(b->step->instrs[i].dtype, body_register_width(p, i)).s,
                          i, p->tile);
        nest_open_tile(p, false);
        body_print_section(p, section);
        nest_close_tile(p);
    }
}

/* Whether some buffer is read in runs along the lane dimension. */
static bool loads_runs(const body *b)
{
    for (int32_t i = 0; b->lane >= 0 && i < b->step->instr_count; i++)
        if (b->step->instrs[i].kind == INSTR_LOAD && b->step->accesses[b->step->instrs[i].access].stride[b->lane] == 1)
            return true;
    return false;
}

/* Instructions of the longest INNER section. */
static int inner_length(const plan_step *step)
{
    int longest = 0;
    for (int32_t s = 0; s < step->section_count; s++)
        if (is_inner(&step->sections[s]) && step->sections[s].count > longest)
            longest = step->sections[s].count;
    return longest;
}

/* Vectors that a tile of columns has. */
static int tile_vectors(const nest *n, int width, int64_t rows, int64_t extent)
{
    int vectors = loads_runs(&n->body) ? TILE_VECTORS : 1;
    while (vectors > 1 && (rows * (extent / (vectors * width)) < n->target->compute_units ||
                           vectors * inner_length(n->body.step) > TILE_INSTRS))
        vectors /= 2;
    return vectors;
}

/* Column sums: tiles of several vectors, then one narrower tile of vectors, then one of single columns. */
static void print_column_units(nest *n, const body_printer *p, int64_t rows)
{
    const body *b = &n->body;
    const int width = p->width;
    int64_t extent = b->lane >= 0 ? b->step->extent[b->lane] : 1;
    int vectors = tile_vectors(n, width, rows, extent);
    int64_t columns[3] = {(int64_t)vectors * width, extent % (vectors * width) / width * width, extent % width};
    int64_t counts[3] = {extent / columns[0], columns[1] > 0, columns[2] > 0};
    int64_t across = counts[0] + counts[1] + counts[2], start = 0, before = 0;
    n->units = rows * across;
    char from[64], head[96], place[96];
    snprintf(from, sizeof from, "unit / %lld", (long long)across);
    nest_print_positions(p, from, 0, b->step->outer_rank, b->lane, true);
    text_line(p->out, "const %s c = unit %% %lld;", b->index, (long long)across);
    for (int kind = 0; kind < 3; kind++) {
        if (!counts[kind])
            continue;
        body_printer tile = *p;
        tile.width = kind < 2 ? width : 1;
        tile.tile = (int)(columns[kind] / tile.width);
        snprintf(head, sizeof head, "if (c >= %lld && c < %lld)", (long long)before,
                 (long long)(before + counts[kind]));
        snprintf(place, sizeof place, "%lld + (c - %lld) * %lld", (long long)start, (long long)before,
                 (long long)columns[kind]);
        text_open(p->out, head);
        print_tile(n, &tile, place);
        text_close(p->out);
        before += counts[kind];
        start += counts[kind] * columns[kind];
    }
}

/* A map: a unit is a run along the last dimension. */
static void print_run_units(nest *n, const body_printer *p, int64_t rows)
{
    const char *index = n->body.index;
    const int lane = n->body.lane, width = p->width;
    int64_t extent = n->body.step->extent[lane], parts = SHARES_EACH * n->target->compute_units;
    int64_t pieces = smaller(divide_up(parts, rows), divide_up(extent, SHARE_WORK / 4));
    int64_t run = round_up(divide_up(extent, pieces), width), across = divide_up(extent, run);
    char from[64], head[96];
    n->units = rows * across;
    snprintf(from, sizeof from, across > 1 ? "unit / %lld" : "unit", (long long)across);
    nest_print_positions(p, from, 0, n->body.step->outer_rank, lane, true);
    if (across > 1)
        text_line(p->out, "%s p%d = unit %% %lld * %lld;", index, lane, (long long)across, (long long)run);
    else
        text_line(p->out, "%s p%d = 0;", index, lane);
    text_line(p->out, "const %s end = min((%s)%lld, p%d + %lld);", index, index, (long long)extent, lane,
              (long long)run);
    if (width > 1) {
        snprintf(head, sizeof head, "for (; p%d + %d <= end; p%d += %d)", lane, width, lane, width);
        text_open(p->out, head);
        body_print_sections(p, SECTION_OUTER);
        text_close(p->out);
    }
    if (extent % width || width == 1) {
        body_printer single = *p;
        single.width = 1;
        if (width > 1)
            text_line(p->out, "ROLLED");
        snprintf(head, sizeof head, "for (; p%d < end; p%d++)", lane, lane);
        text_open(p->out, head);
        body_print_sections(&single, SECTION_OUTER);
        text_close(p->out);
    }
}

/* ---------------------------------------------------------------- kernels */

static void print_units(nest *n, const body_printer *p)
{
    const plan_step *step = n->body.step;
    int64_t positions = step->outer_count * step->splits;
    n->units = positions;
    if (n->lanes_inner) {
        print_row_unit(n, p);
    } else if (nest_has_sweep(n)) {
        nest_print_sweep(n, p);
    } else if (n->body.lane < 0) {
        nest_print_positions(p, "unit", 0, step->outer_rank, -1, true);
        print_tile(n, p, "");
    } else if (has_inner(step)) {
        print_column_units(n, p, positions / step->extent[n->body.lane]);
    } else {
        print_run_units(n, p, positions / step->extent[n->body.lane]);
    }
}

/* Parts of the work: work-groups, or shares that they draw. */
static int64_t part_count(const nest *n)
{
    const plan_step *step = n->body.step;
    if (n->gpu)
        return smaller(n->lanes_inner ? n->units : divide_up(n->units, n->group), n->target->compute_units * 32);
    int64_t work = step->outer_count * larger(step->inner_count, 1) * (step->instr_count > 0 ? step->instr_count : 1);
    return smaller(smaller(n->units, SHARES_EACH * n->target->compute_units), 1 + work / SHARE_WORK);
}

/* Work-items of a GPU's group: where there are rows for all units, few for a row, since they wait for each other. */
static int choose_group(const nest *n, const plan_step *step)
{
    enum { ROWS_EACH = 16, POSITIONS = 8, LEAST = 32 };
    int group = n->group;
    if (!n->gpu)
        return group;
    if (!n->lanes_inner) /* idle work-items would load what is evaluated once, maybe where this one stores */
        return step->outer_count * step->splits == 1 ? 1 : group;
    while (group > LEAST && step->outer_count * step->splits >= ROWS_EACH * n->target->compute_units &&
           group * POSITIONS > smaller(step->inner_count, step->inner_piece))
        group /= 2;
    return group;
}

/* The dimension along which lanes run; -1: none. */
static int choose_lane(const nest *n, const plan_step *step)
{
    if (n->lanes_inner)
        return step->inner_rank > 0 ? step->outer_rank + step->inner_rank - 1 : -1;
    return n->gpu ? -1 : step->outer_rank - 1;
}

clg_status loop_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    plan_step own = schedule->steps[number];
    const plan_step *step = &own;
    if (step->outer_count == 0)
        return CLG_OK;
    if (own.kind == STEP_CONTRACT) { /* the body alone knows nothing of the sum's dimensions */
        own.inner_rank = 0;
        own.inner_count = own.inner_piece = 1;
    }
    nest n = nest_new(target);
    n.lanes_inner = has_inner(step) && plan_lanes_inner(step);
    n.group = choose_group(&n, step);
    clg_status status = body_open(&n.body, schedule, step, choose_lane(&n, step));
    if (status == CLG_OK && n.lanes_inner && !n.gpu)
        status = body_plan_rows(&n.body);
    if (status == CLG_OK) {
        body_printer p = body_print_to(&n.body, &n.unit);
        p.width = n.gpu || n.body.lane < 0 ? 1 : nest_vector_width(step->extent[n.body.lane]);
        print_units(&n, &p);
        status = nest_add_kernel(&n, part_count(&n), list);
    }
    nest_close(&n);
    return status;
}
