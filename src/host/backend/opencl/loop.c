/* A LOOP step as an OpenCL C kernel, set into kernels/loop.cl. Three shapes:
 *
 *   lanes over outer, no inner   a map: vectors along the last outer dimension
 *   lanes over outer, inner      column sums: a tile of columns side by side, the inner positions one by one
 *   lanes over inner             row sums: one outer position at a time, vectors (CPU) or a group's work-items (GPU)
 *                                along the inner dimension
 */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#define SHARE_WORK 4096 /* instructions' elements that make a share worth drawing */
#define SHARES_EACH 8   /* for a compute unit */
#define TILE_VECTORS 8  /* 8 x 16 f32 columns: 512 bytes of each row */
#define TILE_INSTRS 24  /* instructions that the loop over a tile's vectors may unroll to */
#define LOOP_DEPTH 4    /* spaces of one level */

int loop_vector_width(int64_t extent) { return extent >= 16 ? 16 : extent >= 8 ? 8 : extent >= 4 ? 4 : 1; }

void loop_open(loop *l, const char *head)
{
    body_line(&l->p, "%s%s{", head, *head ? " " : "");
    l->p.indent += LOOP_DEPTH;
}

void loop_close(loop *l)
{
    l->p.indent -= LOOP_DEPTH;
    body_line(&l->p, "}");
}

/* ---------------------------------------------------------------- positions */

void loop_print_positions(loop *l, const char *from, int first, int end, int skip, bool with_piece)
{
    const plan_step *step = l->step;
    int left = with_piece && step->splits > 1;
    for (int d = first; d < end; d++)
        left += d != skip && step->extent[d] > 1;
    const char *rest = from;
    if (left > 1) {
        body_line(&l->p, "%s q%d = %s;", l->p.index, first, from);
        rest = NULL;
    }
    char name[16];
    snprintf(name, sizeof name, "q%d", first);
    for (int d = end - 1; d >= first; d--) {
        if (d == skip || step->extent[d] <= 1)
            continue;
        if (left == 1)
            body_line(&l->p, "const %s p%d = %s;", l->p.index, d, rest ? rest : name);
        else
            body_line(&l->p, "const %s p%d = %s %% %lld; %s /= %lld;", l->p.index, d, name, (long long)step->extent[d],
                      name, (long long)step->extent[d]);
        left--;
    }
    if (with_piece && step->splits > 1)
        body_line(&l->p, "const %s piece = %s;", l->p.index, rest ? rest : name);
}

void loop_open_tile(loop *l, bool unrolled)
{
    if (l->p.tile <= 1)
        return;
    body_line(&l->p, unrolled ? "#pragma unroll" : "#pragma unroll 1");
    char head[64];
    snprintf(head, sizeof head, "for (int t = 0; t < %d; t++)", l->p.tile);
    loop_open(l, head);
    body_line(&l->p, "const %s p%d = tile + t * %d;", l->p.index, l->last, l->p.width);
}

void loop_open_vectors(loop *l)
{
    char head[64];
    snprintf(head, sizeof head, "for (int t = 0; t < %d; t++)", l->p.tile);
    loop_open(l, head);
}

void loop_close_tile(loop *l)
{
    if (l->p.tile > 1)
        loop_close(l);
}

/* ---------------------------------------------------------------- units */

/* An OUTER section where lanes run over inner positions: scalars. The work-items of a GPU group all compute it; one
 * stores it, after all have read what the store may replace. */
static void print_outer_of_rows(loop *l, const plan_section *section)
{
    body_printer scalar = l->p;
    bool stores = false;
    scalar.width = 1;
    for (int32_t i = section->first; i < section->first + section->count; i++)
        stores |= l->step->instrs[i].kind == INSTR_STORE;
    if (!l->gpu || !stores) {
        body_print_section(&scalar, section);
        return;
    }
    scalar.part = PART_VALUES;
    body_print_section(&scalar, section);
    scalar.part = PART_STORES;
    body_line(&scalar, "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);");
    body_line(&scalar, "if (get_local_id(0) == 0) {");
    scalar.indent += LOOP_DEPTH;
    body_print_section(&scalar, section);
    scalar.indent -= LOOP_DEPTH;
    body_line(&scalar, "}");
}

static void print_row_unit(loop *l)
{
    loop_print_positions(l, "unit", 0, l->step->outer_rank, -1, true);
    body_declare_kept(&l->p);
    for (int32_t s = 0; s < l->step->section_count; s++) {
        const plan_section *section = &l->step->sections[s];
        if (section->kind == SECTION_OUTER)
            print_outer_of_rows(l, section);
        else if (section->kind == SECTION_INNER)
            loop_print_inner(l, section);
    }
}

/* All sections for l->p.tile vectors of columns that start at an expression (or, without lanes, for one position). */
static void print_tile(loop *l, const char *start)
{
    if (l->last >= 0 && l->p.tile > 1)
        body_line(&l->p, "const %s tile = %s;", l->p.index, start);
    else if (l->last >= 0)
        body_line(&l->p, "const %s p%d = %s;", l->p.index, l->last, start);
    for (int32_t s = 0; s < l->step->section_count; s++) {
        const plan_section *section = &l->step->sections[s];
        if (section->kind == SECTION_INNER)
            loop_print_inner(l, section);
        if (section->kind != SECTION_OUTER)
            continue;
        for (int32_t i = section->first; l->p.tile > 1 && i < section->first + section->count; i++)
            if (l->p.crossing[i])
                body_line(&l->p, "%s_t r%d[%d];",
                          body_suffix(l->step->instrs[i].dtype, body_register_width(&l->p, i)).s, i, l->p.tile);
        loop_open_tile(l, false);
        body_print_section(&l->p, section);
        loop_close_tile(l);
    }
}

/* Whether some buffer is read in runs along the lane dimension. */
static bool loads_runs(const loop *l)
{
    for (int32_t i = 0; l->last >= 0 && i < l->step->instr_count; i++)
        if (l->step->instrs[i].kind == INSTR_LOAD && l->step->accesses[l->step->instrs[i].access].stride[l->last] == 1)
            return true;
    return false;
}

/* Instructions of the longest INNER section. */
static int inner_length(const loop *l)
{
    int longest = 0;
    for (int32_t s = 0; s < l->step->section_count; s++)
        if (l->step->sections[s].kind == SECTION_INNER && l->step->sections[s].count > longest)
            longest = l->step->sections[s].count;
    return longest;
}

/* Column sums: tiles of several vectors, then one narrower tile of vectors, then one of single columns. */
static void print_column_units(loop *l, int64_t rows)
{
    int64_t extent = l->last >= 0 ? l->step->extent[l->last] : 1;
    int width = l->p.width, vectors = loads_runs(l) ? TILE_VECTORS : 1;
    while (vectors > 1 && (rows * (extent / (vectors * width)) < (int64_t)l->device->info.compute_units ||
                           vectors * inner_length(l) > TILE_INSTRS))
        vectors /= 2;
    int64_t columns[3] = {(int64_t)vectors * width, extent % (vectors * width) / width * width, extent % width};
    int64_t counts[3] = {extent / columns[0], columns[1] > 0, columns[2] > 0};
    int64_t across = counts[0] + counts[1] + counts[2], start = 0, before = 0;
    l->units = rows * across;
    char from[64], head[96], place[96];
    snprintf(from, sizeof from, "unit / %lld", (long long)across);
    loop_print_positions(l, from, 0, l->step->outer_rank, l->last, true);
    body_line(&l->p, "const %s c = unit %% %lld;", l->p.index, (long long)across);
    for (int kind = 0; kind < 3; kind++) {
        if (!counts[kind])
            continue;
        l->p.width = kind < 2 ? width : 1;
        l->p.tile = (int)(columns[kind] / l->p.width);
        snprintf(head, sizeof head, "if (c >= %lld && c < %lld)", (long long)before,
                 (long long)(before + counts[kind]));
        snprintf(place, sizeof place, "%lld + (c - %lld) * %lld", (long long)start, (long long)before,
                 (long long)columns[kind]);
        loop_open(l, head);
        print_tile(l, place);
        loop_close(l);
        before += counts[kind];
        start += counts[kind] * columns[kind];
    }
    l->p.width = width;
    l->p.tile = 1;
}

/* A map: a unit is a run along the last dimension. */
static void print_run_units(loop *l, int64_t rows)
{
    const char *index = l->p.index;
    int64_t extent = l->step->extent[l->last], parts = SHARES_EACH * (int64_t)l->device->info.compute_units;
    int64_t pieces = smaller((parts + rows - 1) / rows, (extent + SHARE_WORK / 4 - 1) / (SHARE_WORK / 4));
    int64_t run = round_up((extent + pieces - 1) / pieces, l->p.width);
    int64_t across = (extent + run - 1) / run;
    int width = l->p.width;
    char from[64], head[96];
    l->units = rows * across;
    snprintf(from, sizeof from, across > 1 ? "unit / %lld" : "unit", (long long)across);
    loop_print_positions(l, from, 0, l->step->outer_rank, l->last, true);
    if (across > 1)
        body_line(&l->p, "%s p%d = unit %% %lld * %lld;", index, l->last, (long long)across, (long long)run);
    else
        body_line(&l->p, "%s p%d = 0;", index, l->last);
    body_line(&l->p, "const %s end = min((%s)%lld, p%d + %lld);", index, index, (long long)extent, l->last,
              (long long)run);
    if (width > 1) {
        snprintf(head, sizeof head, "for (; p%d + %d <= end; p%d += %d)", l->last, width, l->last, width);
        loop_open(l, head);
        body_print_sections(&l->p, SECTION_OUTER);
        loop_close(l);
    }
    if (extent % width || width == 1) {
        l->p.width = 1;
        if (width > 1)
            body_line(&l->p, "ROLLED");
        snprintf(head, sizeof head, "for (; p%d < end; p%d++)", l->last, l->last);
        loop_open(l, head);
        body_print_sections(&l->p, SECTION_OUTER);
        loop_close(l);
        l->p.width = width;
    }
}

/* ---------------------------------------------------------------- kernels */

static void print_units(loop *l)
{
    const plan_step *step = l->step;
    int64_t positions = step->outer_count * step->splits;
    int64_t rows = l->last >= 0 && !l->lanes_inner ? positions / step->extent[l->last] : positions;
    l->units = positions;
    if (l->lanes_inner) {
        print_row_unit(l);
    } else if (l->gpu || l->last < 0) {
        loop_print_positions(l, "unit", 0, step->outer_rank, -1, true);
        l->last = -1;
        print_tile(l, "");
    } else if (l->has_inner) {
        print_column_units(l, rows);
    } else {
        print_run_units(l, rows);
    }
}

/* Local memory for group folds, one array a dtype. */
static void add_scratch(const loop *l, text *t)
{
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        if (l->scratch[dtype])
            text_add(t, " local %s_t scratch_%s[%d];", body_suffix(dtype, 1).s, body_suffix(dtype, 1).s, l->group);
}

/* Parts of the work: work-groups, or shares that they draw. */
static int64_t part_count(const loop *l)
{
    int64_t units = l->units;
    if (l->gpu && l->lanes_inner)
        return smaller(units, (int64_t)l->device->info.compute_units * 32);
    if (l->gpu)
        return smaller((units + l->group - 1) / l->group, (int64_t)l->device->info.compute_units * 32);
    int64_t work = l->step->outer_count * (l->step->inner_count > 0 ? l->step->inner_count : 1) *
                   (l->step->instr_count > 0 ? l->step->instr_count : 1);
    return smaller(smaller(units, SHARES_EACH * (int64_t)l->device->info.compute_units), 1 + work / SHARE_WORK);
}

void loop_print_kernel(loop *l, text *out, int64_t parts, bool shared)
{
    static const char *const names[] = {"once", "unit"};
    const char *bodies[] = {l->once.data, l->unit.data};
    text_add(out, "#define PARAMETERS %s", shared ? "volatile global int *shares_taken, " : "");
    body_parameters(&l->p, out);
    text_add(out, "\n#define INDEX %s\n#define SCRATCH", l->p.index);
    add_scratch(l, out);
    if (l->gpu)
        text_add(out, "\n#define UNITS for (INDEX unit = (INDEX)get_%s_id(0); unit < %lld; unit += (INDEX)%s(0))\n",
                 l->lanes_inner ? "group" : "global", (long long)l->units,
                 l->lanes_inner ? "get_num_groups" : "get_global_size");
    else if (shared)
        text_add(out, "\n#define UNITS EACH_SHARED_UNIT(INDEX, unit, %lld, %lld)\n", (long long)l->units,
                 (long long)parts);
    else
        text_add(out, "\n#define UNITS for (INDEX unit = 0; unit < %lld; unit++)\n", (long long)l->units);
    text_add_skeleton(out, "loop.cl", names, bodies, 2);
    out->failed |= l->once.failed || l->unit.failed;
}

static void choose_lanes(loop *l)
{
    const plan_step *step = l->step;
    for (int32_t s = 0; s < step->section_count; s++)
        l->has_inner |= step->sections[s].kind == SECTION_INNER;
    l->lanes_inner = l->has_inner && plan_lanes_inner(step);
    int rank = step->outer_rank + (l->lanes_inner ? step->inner_rank : 0);
    l->last = rank > (l->lanes_inner ? step->outer_rank : 0) ? rank - 1 : -1;
    l->p.lane = l->gpu && !l->lanes_inner ? -1 : l->last;
    l->p.width = l->gpu || l->last < 0 ? 1 : loop_vector_width(step->extent[l->last]);
}

clg_status loop_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->outer_count == 0)
        return CLG_OK;
    loop l = {.device = list->device, .step = step, .gpu = list->device->strategy == STRATEGY_GPU, .group = 1};
    while (l.gpu && l.group * 2 <= 256 && (size_t)l.group * 2 <= list->device->group_limit)
        l.group *= 2;
    l.p = (body_printer){.plan = list->plan, .step = step, .tile = 1, .accumulator = "", .indent = LOOP_DEPTH};
    choose_lanes(&l);
    l.p.index = body_index_type(list->plan, step);
    int32_t *arguments = malloc(((size_t)step->instr_count + 2) * sizeof *arguments);
    clg_status status = arguments ? body_analyse(&l.p) : clg_fail_memory();
    if (status == CLG_OK && l.lanes_inner && !l.gpu)
        status = body_plan_rows(&l.p);
    text source = {0};
    if (status == CLG_OK) {
        arguments[0] = ARGUMENT_SHARES;
        l.p.arguments = arguments + 1;
        l.p.argument_count = body_buffers(step, arguments + 1);
        body_printer once = l.p;
        once.out = &l.once;
        once.width = 1;
        body_print_sections(&once, SECTION_ONCE);
        l.p.out = &l.unit;
        l.p.indent = 2 * LOOP_DEPTH;
        print_units(&l);
        if (l.gpu && !l.lanes_inner && l.units == 1)
            l.group = 1; /* idle work-items would load what is evaluated once, maybe where this one stores */
        int64_t parts = part_count(&l);
        bool shared = !l.gpu && parts > 1;
        loop_print_kernel(&l, &source, parts, shared);
        launch *added = NULL;
        status = launch_add(list, number, &source, arguments + !shared, l.p.argument_count + shared, &added);
        if (status == CLG_OK) {
            added->dimensions = 1;
            added->local[0] = (size_t)l.group;
            added->global[0] = (size_t)(l.gpu ? parts * l.group : launch_groups(list->device, parts));
        }
    }
    text_free(&l.once);
    text_free(&l.unit);
    body_free(&l.p);
    free(arguments);
    return status;
}
