#include "contract.h"
#include "copy.h"

#include <stdlib.h>
#include <string.h>

typedef uint32_t __attribute__((may_alias)) word4;
typedef uint64_t __attribute__((may_alias)) word8;

/* ---------------------------------------------------------------- from a step */

static int64_t count_of(const contract_dims *dims)
{
    int64_t count = 1;
    for (int i = 0; i < dims->rank; i++)
        count *= dims->extent[i];
    return count;
}

/* What a side has of a step: its access's bounds and the operand's axes. */
typedef struct forms {
    const plan_bound *bounds;
    const plan_axis *axes;
    int bound_count, axis_count;
} forms;

/* Appends dimension d; joins it with the one before where both are walked through as one. */
static void append(contract_dims *dims, int64_t extent, int64_t stride, const forms *f, int d, bool may_join)
{
    int last = dims->rank - 1;
    if (extent == 1)
        return;
    bool joins = may_join && last >= 0 && dims->stride[last] == stride * extent;
    for (int i = 0; i < f->bound_count; i++)
        joins = joins && dims->coef[i][last] == f->bounds[i].coef[d] * extent;
    for (int i = 0; i < f->axis_count; i++)
        joins = joins && dims->axis[i][last] == f->axes[i].coef[d] * extent;
    if (joins)
        dims->extent[last] *= extent;
    else
        dims->extent[last = dims->rank++] = extent;
    dims->stride[last] = stride;
    for (int i = 0; i < f->bound_count; i++)
        dims->coef[i][last] = f->bounds[i].coef[d];
    for (int i = 0; i < f->axis_count; i++)
        dims->axis[i][last] = f->axes[i].coef[d];
}

static bool depends(const plan_step *step, int operand, int d) { return step->operand[operand].dims >> d & 1; }

static void find_plain(contract_side *s)
{
    s->own_stride = s->own.rank ? s->own.stride[0] : 1;
    s->depth_stride = s->depth.rank ? s->depth.stride[0] : 1;
    s->plain = s->bound_count == 0 && s->own.rank <= 1 && s->depth.rank <= 1 && s->own_stride >= 1 &&
               s->depth_stride >= 1 && (s->own_stride == 1 || s->depth_stride == 1);
    if (s->own.rank == 0 && s->depth.rank) /* never taken: what the kernels expect beside a stride of 1 */
        s->own_stride = s->depth_stride == 1 ? s->depth.extent[0] : 1;
    if (s->depth.rank == 0 && s->own.rank)
        s->depth_stride = s->own_stride == 1 ? s->own.extent[0] : 1;
}

static void cut_step(cpu_contract *c, const plan_step *step)
{
    const plan_access *at[2] = {&step->accesses[step->operand[0].access], &step->accesses[step->operand[1].access]};
    int first_column = step->outer_rank, outer = step->outer_rank;
    while (first_column > 0 && !depends(step, 0, first_column - 1) && depends(step, 1, first_column - 1))
        first_column--;
    int64_t lanes[PLAN_MAX_DIMS], lane = 1;
    for (int d = outer; d-- > 0; lane *= step->extent[d])
        lanes[d] = lane;
    for (int d = 0; d < first_column; d++) {
        bool row = depends(step, 0, d) && !depends(step, 1, d);
        append(row ? &c->row_lanes : &c->batch_lanes, step->extent[d], lanes[d], &(forms){0}, 0, true);
    }
    for (int o = 0; o < 2; o++) {
        contract_side *s = &c->side[o];
        const plan_operand *operand = &step->operand[o];
        const plan_bound *bounds = step->bounds + at[o]->first_bound;
        const forms f = {bounds, operand->axis, at[o]->bound_count, operand->axis_count};
        *s = (contract_side){.buffer = operand->buffer,
                             .offset = at[o]->offset,
                             .bound_count = at[o]->bound_count,
                             .axis = operand->axis,
                             .axis_count = operand->axis_count};
        for (int i = 0; i < s->bound_count; i++) {
            s->lo[i] = bounds[i].lo;
            s->hi[i] = bounds[i].hi;
        }
        for (int d = 0; d < outer + step->inner_rank; d++) {
            bool row = d < first_column && depends(step, 0, d) && !depends(step, 1, d);
            bool own = o == 0 ? row : d >= first_column && d < outer;
            contract_dims *dims = d >= outer ? &s->depth : own ? &s->own : d < first_column && !row ? &s->batch : NULL;
            if (dims)
                append(dims, step->extent[d], at[o]->stride[d], &f, d, dims != &s->depth);
        }
    }
    c->batch = count_of(&c->batch_lanes);
    c->m = count_of(&c->row_lanes);
    c->k = step->inner_count;
    c->n = c->batch > 0 && c->m > 0 ? step->outer_count / (c->batch * c->m) : 0;
}

/* Whether columns are windows: some move along an axis with what is summed, and the last ones are neighbours. */
static bool has_window_columns(const contract_side *s)
{
    const int last = s->own.rank - 1;
    bool windows = false;
    if (s->plain || s->axis_count == 0 || last < 0)
        return false;
    for (int k = 0; k < s->axis_count; k++) {
        bool own = false, depth = false;
        for (int d = 0; d < s->own.rank; d++)
            own |= s->own.axis[k][d] != 0;
        for (int d = 0; d < s->depth.rank; d++)
            depth |= s->depth.axis[k][d] != 0;
        windows |= own && depth;
        if (s->own.axis[k][last] != (k == s->axis_count - 1))
            return false;
    }
    return windows;
}

cpu_contract *cpu_contract_new(const plan *p, const plan_step *step)
{
    cpu_contract *c = calloc(1, sizeof *c);
    if (!c) {
        clg_fail_memory();
        return NULL;
    }
    cut_step(c, step);
    for (int o = 0; o < 2; o++) {
        const plan_buffer *buffer = &p->buffers[c->side[o].buffer];
        c->side[o].size = (int64_t)clg_dtype_size(step->dtype);
        c->side[o].stored = (int64_t)clg_dtype_size(buffer->dtype);
        c->side[o].count = buffer->count;
        find_plain(&c->side[o]);
    }
    c->windowed = has_window_columns(&c->side[1]) ? 1 : !c->side[0].plain && c->side[0].axis_count > 0 ? 0 : -1;
    const contract_dims *own = &c->side[larger(c->windowed, 0)].own;
    c->run = own->rank > 0 ? own->extent[own->rank - 1] : 1;
    c->dense = c->row_lanes.rank == 0 || (c->row_lanes.rank == 1 && c->row_lanes.stride[0] == c->n);
    for (int o = 0; o < 2; o++)
        c->side[o].plain &= !step->operand[o].prologue;
    return c;
}

int64_t contract_lane(const contract_dims *dims, int64_t index)
{
    int64_t sum = 0;
    for (int i = dims->rank; i-- > 0; index /= dims->extent[i])
        sum += index % dims->extent[i] * dims->stride[i];
    return sum;
}

/* ---------------------------------------------------------------- packing */

/* A position of some dimensions: its address, and its part of each bound's and axis's form. */
typedef struct cursor {
    int64_t coord[PLAN_MAX_DIMS], offset, form[CONTRACT_BOUNDS];
} cursor;

static void seek(cursor *c, const contract_dims *dims, const int64_t *extent, int bounds, int64_t index)
{
    *c = (cursor){.offset = 0};
    for (int i = dims->rank; i-- > 0; index /= extent[i]) {
        c->coord[i] = index % extent[i];
        c->offset += c->coord[i] * dims->stride[i];
        for (int b = 0; b < bounds; b++)
            c->form[b] += c->coord[i] * dims->coef[b][i];
    }
}

/* Moves on along the last dimension, within its extent or to its end, from where the next ones are counted up. */
static void advance(cursor *c, const contract_dims *dims, const int64_t *extent, int bounds, int64_t by)
{
    for (int i = dims->rank - 1; i >= 0; i--, by = 1) {
        c->coord[i] += by;
        c->offset += by * dims->stride[i];
        for (int b = 0; b < bounds; b++)
            c->form[b] += by * dims->coef[b][i];
        if (c->coord[i] < extent[i] || i == 0)
            return;
        c->offset -= c->coord[i] * dims->stride[i];
        for (int b = 0; b < bounds; b++)
            c->form[b] -= c->coord[i] * dims->coef[b][i];
        c->coord[i] = 0;
    }
}

/* Of a run of positions along one dimension, those within the bounds. */
static void valid_part(const contract_side *s, const int64_t *form, const contract_dims *dims, int64_t run,
                       int64_t *begin, int64_t *end)
{
    *begin = 0;
    *end = run;
    for (int b = 0; b < s->bound_count; b++)
        cpu_narrow_run(s->lo[b] - form[b], s->hi[b] - form[b], dims->rank ? dims->coef[b][dims->rank - 1] : 0, begin,
                       end);
}

/* n elements, zeros but for those from begin to end, which are stride apart from from on. */
#define COPY_RUN(name, word)                                                                                           \
    static void copy_run_##name(word *to, int64_t step, const word *from, int64_t stride, int64_t n, int64_t begin,    \
                                int64_t end)                                                                           \
    {                                                                                                                  \
        for (int64_t i = 0; i < begin; i++)                                                                            \
            to[i * step] = 0;                                                                                          \
        if (step == 1 && stride == 1)                                                                                  \
            for (int64_t i = begin; i < end; i++)                                                                      \
                to[i] = from[i];                                                                                       \
        else                                                                                                           \
            for (int64_t i = begin; i < end; i++)                                                                      \
                to[i * step] = from[i * stride];                                                                       \
        for (int64_t i = end; i < n; i++)                                                                              \
            to[i * step] = 0;                                                                                          \
    }
COPY_RUN(4, word4)
COPY_RUN(8, word8)

/* Of a line of n elements, those from begin to end, stride apart from `from` on, by the prologue; zeros else. */
static void pack_run(const contract_block *block, char *to, int64_t step, const char *from, int64_t stride, int64_t n,
                     int64_t begin, int64_t end)
{
    const contract_side *s = block->side;
    if (block->prologue) {
        for (int64_t i = 0; i < n; i++)
            if (i < begin || i >= end)
                memset(to + i * step * s->size, 0, (size_t)s->size);
        cpu_prologue_line(block->prologue, from + begin * stride * s->stored, stride, s->stored,
                          to + begin * step * s->size, step, s->size, end - begin);
    } else if (s->size == 4) {
        copy_run_4((word4 *)(void *)to, step, (const word4 *)(const void *)from, stride, n, begin, end);
    } else {
        copy_run_8((word8 *)(void *)to, step, (const word8 *)(const void *)from, stride, n, begin, end);
    }
}

/* Lines of `along` at each position of `across`. */
static void pack_lines(const contract_block *block, const contract_dims *across, const int64_t *across_extent,
                       int64_t first, int64_t count, int64_t across_step, const contract_dims *along,
                       const int64_t *along_extent, int64_t start, int64_t length, int64_t along_step, char *to)
{
    const contract_side *s = block->side;
    int last = along->rank - 1, bounds = s->bound_count;
    int64_t stride = last >= 0 ? along->stride[last] : 0, form[CONTRACT_BOUNDS];
    cursor outer, origin, inner;
    seek(&outer, across, across_extent, bounds, first);
    seek(&origin, along, along_extent, bounds, start);
    for (int64_t i = 0; i < count; i++, advance(&outer, across, across_extent, bounds, 1)) {
        char *line = to + i * across_step * s->size;
        inner = origin;
        for (int64_t done = 0; done < length;) {
            int64_t run = last >= 0 ? along_extent[last] - inner.coord[last] : length, begin, end;
            run = smaller(run, length - done);
            for (int b = 0; b < bounds; b++)
                form[b] = block->form[b] + outer.form[b] + inner.form[b];
            valid_part(s, form, along, run, &begin, &end);
            pack_run(block, line + done * along_step * s->size, along_step,
                     block->base + (outer.offset + inner.offset) * s->stored, stride, run, begin, end);
            done += run;
            if (done < length)
                advance(&inner, along, along_extent, bounds, run);
        }
    }
}

/* The same where lines are dense in memory and without bounds, and their elements are neighbours where they go. */
static void pack_turned(const contract_block *block, const contract_dims *across, const int64_t *across_extent,
                        int64_t first, int64_t count, const contract_dims *along, const int64_t *along_extent,
                        int64_t start, int64_t length, int64_t along_step, char *to)
{
    enum { LINES = 32 };
    const int64_t size = block->side->size;
    const void *line[LINES];
    int64_t offset[LINES];
    cursor outer, inner;
    seek(&outer, across, across_extent, 0, first);
    for (int64_t lines; count > 0; count -= lines, to += lines * size) {
        lines = smaller(count, LINES);
        for (int64_t i = 0; i < lines; i++, advance(&outer, across, across_extent, 0, 1))
            offset[i] = outer.offset;
        seek(&inner, along, along_extent, 0, start);
        for (int64_t done = 0, run; done < length; done += run) {
            run = smaller(along_extent[along->rank - 1] - inner.coord[along->rank - 1], length - done);
            for (int64_t i = 0; i < lines; i++)
                line[i] = block->base + (offset[i] + inner.offset) * size;
            cpu_copy_lines(to + done * along_step * size, along_step, line, lines, run, (int)size);
            if (done + run < length)
                advance(&inner, along, along_extent, 0, run);
        }
    }
}

/* Along what is dense in memory; if both are, along what is longer. */
void contract_pack(const void *context, int64_t first, int64_t count, int64_t p, int64_t k, void *to, int64_t step,
                   int64_t depth_step)
{
    const contract_block *block = context;
    const contract_side *s = block->side;
    int own = s->own.rank - 1, depth = s->depth.rank - 1;
    bool own_dense = own >= 0 && s->own.stride[own] == 1, depth_dense = depth >= 0 && s->depth.stride[depth] == 1;
    bool by_depth = depth_dense && (!own_dense || s->own.extent[own] < block->extent[depth]);
    if (by_depth && step == 1 && s->bound_count == 0 && !block->prologue)
        pack_turned(block, &s->own, s->own.extent, first, count, &s->depth, block->extent, p, k, depth_step, to);
    else if (by_depth)
        pack_lines(block, &s->own, s->own.extent, first, count, step, &s->depth, block->extent, p, k, depth_step, to);
    else
        pack_lines(block, &s->depth, block->extent, p, k, depth_step, &s->own, s->own.extent, first, count, step, to);
}

/* ---------------------------------------------------------------- a batch */

/* Narrows a summed dimension to where a bound holds that depends on it, and else at most on the batch. */
static void narrow(const contract_side *s, const int64_t *form, int d, int64_t *lo, int64_t *hi)
{
    for (int b = 0; b < s->bound_count; b++) {
        int64_t step = s->depth.coef[b][d];
        bool alone = step > 0;
        for (int e = 0; e < s->depth.rank; e++)
            alone &= e == d || !s->depth.coef[b][e];
        for (int e = 0; e < s->own.rank; e++)
            alone &= !s->own.coef[b][e];
        if (alone) {
            *lo = larger(*lo, cpu_ceil(s->lo[b] - form[b], step));
            *hi = smaller(*hi, cpu_ceil(s->hi[b] - form[b], step));
        }
    }
}

/* Whether a bound that depends on the batch alone does not hold: then all is outside. */
static bool is_outside(const contract_side *s, const int64_t *form)
{
    for (int b = 0; b < s->bound_count; b++) {
        bool alone = true;
        for (int e = 0; e < s->depth.rank; e++)
            alone &= !s->depth.coef[b][e];
        for (int e = 0; e < s->own.rank; e++)
            alone &= !s->own.coef[b][e];
        if (alone && (form[b] < s->lo[b] || form[b] >= s->hi[b]))
            return true;
    }
    return false;
}

int64_t contract_begin(const cpu_contract *c, char *const *address, cpu_prologue *prologue, int64_t batch,
                       contract_block block[2])
{
    int64_t count = 1;
    for (int o = 0; o < 2; o++) {
        const contract_side *s = &c->side[o];
        cursor at;
        seek(&at, &s->batch, s->batch.extent, s->bound_count, batch);
        block[o] = (contract_block){.side = s,
                                    .prologue = prologue[o].tape ? &prologue[o] : NULL,
                                    .base = address[s->buffer] + (s->offset + at.offset) * s->stored};
        memcpy(block[o].form, at.form, sizeof at.form);
        count = is_outside(s, at.form) ? 0 : count;
        for (int k = 0; k < s->axis_count; k++) {
            block[o].index[k] = s->axis[k].offset;
            for (int i = 0; i < s->batch.rank; i++)
                block[o].index[k] += s->batch.axis[k][i] * at.coord[i];
        }
    }
    for (int d = 0; d < c->side[0].depth.rank; d++) {
        int64_t lo = 0, hi = c->side[0].depth.extent[d];
        for (int o = 0; o < 2; o++)
            narrow(&c->side[o], block[o].form, d, &lo, &hi);
        count *= larger(hi - lo, 0);
        for (int o = 0; o < 2; o++) {
            const contract_side *s = &c->side[o];
            block[o].extent[d] = hi - lo;
            block[o].base += lo * s->depth.stride[d] * s->stored;
            for (int b = 0; b < s->bound_count; b++)
                block[o].form[b] += lo * s->depth.coef[b][d];
            for (int k = 0; k < s->axis_count; k++)
                block[o].index[k] += lo * s->depth.axis[k][d];
        }
    }
    return count;
}
