/* An operand that is read through windows: rows of a product, or columns, at row[i] + depth[p] of an array. Where its
 * borders are padded, a block's part of it is copied first, with zeros around it: all windows of the block then lie
 * within the copy, and an element that several windows read is copied once. */
#include "contract.h"

#include <string.h>

enum { COPY_BYTES = 192 * 1024, MOST_ROWS = 512, MOST_DEPTH = 1024 };

/* The least and greatest index of each axis. */
typedef struct box {
    int64_t lo[PLAN_MAX_DIMS], hi[PLAN_MAX_DIMS]; /* hi: the greatest + 1 */
} box;

/* Adds to a box what count consecutive positions from index on move along the axes: dimensions before the first one
 * along which they differ stand still, those behind it move from end to end. */
static void widen(const contract_side *s, const contract_dims *dims, const int64_t *extent, int64_t index,
                  int64_t count, box *b)
{
    int64_t first[PLAN_MAX_DIMS], last[PLAN_MAX_DIMS], end = index + count - 1;
    for (int i = dims->rank; i-- > 0; index /= extent[i], end /= extent[i]) {
        first[i] = index % extent[i];
        last[i] = end % extent[i];
    }
    bool differs = false;
    for (int i = 0; i < dims->rank; i++) {
        int64_t from = differs ? 0 : first[i], to = differs ? extent[i] - 1 : last[i];
        differs |= first[i] != last[i];
        for (int k = 0; k < s->axis_count; k++) {
            int64_t step = dims->axis[k][i];
            b->lo[k] += step * (step < 0 ? to : from);
            b->hi[k] += step * (step < 0 ? from : to);
        }
    }
}

static box box_of(const contract_windows *w, int64_t row, int64_t m, int64_t p, int64_t k)
{
    const contract_side *s = w->block->side;
    box b;
    for (int i = 0; i < s->axis_count; i++) {
        b.lo[i] = w->block->index[i];
        b.hi[i] = w->block->index[i] + 1;
    }
    widen(s, &s->own, s->own.extent, w->first + row, m, &b);
    widen(s, &s->depth, w->block->extent, p, k, &b);
    return b;
}

static int64_t elements(const contract_side *s, const box *b)
{
    int64_t count = 1;
    for (int k = 0; k < s->axis_count; k++)
        count *= b->hi[k] - b->lo[k];
    return count;
}

/* ---------------------------------------------------------------- blocks */

/* Of positions over some extents, so many from index on, at most, that only the dimension moves whose positions are so
 * many whole runs of those behind it; in parts of about the same length. */
static int64_t aligned(const int64_t *extent, int rank, int64_t index, int64_t most)
{
    int64_t unit = 1;
    int d = rank - 1;
    for (; d > 0 && unit * extent[d] <= most; d--)
        unit *= extent[d];
    if (d < 0)
        return index + 1;
    int64_t fit = larger(most / unit, 1), parts = divide_up(extent[d], fit), each = divide_up(extent[d], parts);
    int64_t at = index / unit % extent[d];
    return index + (smaller(at + each, extent[d]) - at) * unit - index % unit;
}

static int64_t depth_end(const void *operand, int64_t p, int64_t most)
{
    const contract_windows *w = operand;
    return aligned(w->block->extent, w->block->side->depth.rank, p, smaller(most, MOST_DEPTH));
}

static int64_t row_end(const void *operand, int64_t row, int64_t p, int64_t k)
{
    const contract_windows *w = operand;
    const contract_side *s = w->block->side;
    int64_t most = MOST_ROWS, end, run = w->contract->run, in_run = (w->first + row) % run;
    if (in_run > 0) /* where a part begins within a run, the rest of that comes first: runs of a block are equal */
        most = run - in_run;
    do {
        end = in_run > 0 ? row + most : aligned(s->own.extent, s->own.rank, w->first + row, most) - w->first;
        box b = box_of(w, row, end - row, p, k);
        if (elements(s, &b) * s->size <= COPY_BYTES)
            break;
        most = (end - row + 1) / 2;
    } while (end - row > 1);
    return end;
}

/* ---------------------------------------------------------------- reading */

/* Lines are short: calls of the C library's functions would take longer than the copy itself. */
typedef uint32_t __attribute__((may_alias)) word;

static void copy_line(word *to, const word *from, int64_t begin, int64_t end, int64_t length)
{
    for (int64_t i = 0; i < begin; i++)
        to[i] = 0;
    for (int64_t i = begin; i < end; i++)
        to[i] = from[i - begin];
    for (int64_t i = end; i < length; i++)
        to[i] = 0;
}

/* Copies a box, zeros where the axes are outside. */
static void fill(const contract_windows *w, const box *b, char *to)
{
    const contract_side *s = w->block->side;
    int last = s->axis_count - 1;
    int64_t at[PLAN_MAX_DIMS], length = b->hi[last] - b->lo[last];
    int64_t begin = smaller(larger(s->axis[last].lo - b->lo[last], 0), length);
    int64_t end = larger(smaller(s->axis[last].hi - b->lo[last], length), begin);
    const char *base = w->block->base;
    for (int k = 0; k < s->axis_count; k++) { /* base is where index is */
        base -= w->block->index[k] * s->axis[k].stride * s->stored;
        at[k] = b->lo[k];
    }
    for (int64_t lines = elements(s, b) / length; lines > 0; lines--, to += length * s->size) {
        const char *from = base + (b->lo[last] + begin) * s->axis[last].stride * s->stored;
        bool inside = begin < end;
        for (int k = 0; k < last; k++) {
            inside &= at[k] >= s->axis[k].lo && at[k] < s->axis[k].hi;
            from += at[k] * s->axis[k].stride * s->stored;
        }
        int64_t words = s->size / (int64_t)sizeof(word), first = inside ? begin * words : 0;
        if (w->block->prologue) {
            memset(to, 0, (size_t)(length * s->size));
            cpu_prologue_line(w->block->prologue, from, 1, s->stored, to + begin * s->size, 1, s->size,
                              inside ? end - begin : 0);
        } else {
            copy_line((word *)(void *)to, (const word *)(const void *)from, first, inside ? end * words : first,
                      length * words);
        }
        for (int k = last - 1; k >= 0 && ++at[k] == b->hi[k]; k--)
            at[k] = b->lo[k];
    }
}

/* Offsets of consecutive positions, by strides of dimensions. */
static void offsets(const int64_t *extent, const int64_t *stride, int rank, int64_t index, int64_t count, int64_t *to)
{
    int64_t coord[PLAN_MAX_DIMS], sum = 0;
    for (int i = rank; i-- > 0; index /= extent[i]) {
        coord[i] = index % extent[i];
        sum += coord[i] * stride[i];
    }
    for (int64_t n = 0; n < count; n++) {
        to[n] = sum;
        for (int i = rank - 1; i >= 0; i--) {
            sum += stride[i];
            if (++coord[i] < extent[i])
                break;
            sum -= coord[i] * stride[i];
            coord[i] = 0;
        }
    }
}

static void open_window(void *operand, int64_t row, int64_t m, int64_t p, int64_t k, gemm_window *window)
{
    contract_windows *w = operand;
    const contract_side *s = w->block->side;
    box b = box_of(w, row, m, p, k);
    int64_t stride[PLAN_MAX_DIMS], own[PLAN_MAX_DIMS] = {0}, depth[PLAN_MAX_DIMS] = {0}, origin = 0, all = 1;
    for (int i = s->axis_count; i-- > 0;) {
        stride[i] = all;
        all *= b.hi[i] - b.lo[i];
        origin += stride[i] * (w->block->index[i] - b.lo[i]);
        for (int d = 0; d < s->own.rank; d++)
            own[d] += stride[i] * s->own.axis[i][d];
        for (int d = 0; d < s->depth.rank; d++)
            depth[d] += stride[i] * s->depth.axis[i][d];
    }
    int64_t step = s->own.rank > 0 ? own[s->own.rank - 1] : 0, in_run = (w->first + row) % w->contract->run,
            slack = step < 0 ? -step : step;
    char *copy = w->copy + slack * s->size; /* a tile of an odd height reads a row more, a vector more columns */
    fill(w, &b, copy);
    offsets(s->own.extent, own, s->own.rank, w->first + row, m, w->row);
    offsets(w->block->extent, depth, s->depth.rank, p, k, w->depth);
    *window = (gemm_window){copy + origin * s->size, w->row, w->depth, step, w->contract->run - in_run};
}

const gemm_windows contract_window_functions = {depth_end, row_end, open_window};

/* ---------------------------------------------------------------- scratch */

/* A single row and a whole block of depth are copied even where that is more than is good. */
static int64_t copy_bytes(const cpu_contract *c)
{
    const contract_side *s = &c->side[c->windowed];
    int64_t most = 1;
    for (int k = 0; k < s->axis_count; k++) {
        int64_t span = 1;
        for (int d = 0; d < s->depth.rank; d++) {
            int64_t move = s->depth.axis[k][d] < 0 ? -s->depth.axis[k][d] : s->depth.axis[k][d];
            span += move * (smaller(s->depth.extent[d], MOST_DEPTH) - 1);
        }
        most *= span;
    }
    return round_up(3 * larger(most * s->size, COPY_BYTES), 64); /* and a row more on either side, less than the box */
}

int64_t contract_windows_bytes(const cpu_contract *c)
{
    return c->windowed >= 0 ? copy_bytes(c) + (MOST_ROWS + MOST_DEPTH) * (int64_t)sizeof(int64_t) : 0;
}

void contract_windows_begin(contract_windows *w, const cpu_contract *c, const contract_block *block, int64_t first,
                            char *scratch)
{
    *w = (contract_windows){.contract = c, .block = block, .first = first};
    w->row = (int64_t *)(void *)scratch;
    w->depth = w->row + MOST_ROWS;
    w->copy = (char *)(w->depth + MOST_DEPTH);
}
