/* Loads and stores of the CPU backend: from positions of a step to addresses, a block of lanes at a time. An
 * access whose lanes are contiguous becomes a view: the slot points into the buffer. Others walk runs of the last lane
 * dimension, so that blocks span any number of dimensions. */
#include "copy.h"
#include "cpu.h"

#include <math.h>
#include <string.h>

static const cpu_access *access_of(const cpu_runner *r, int32_t index) { return &r->tape->accesses[index]; }

/* The part of the address that depends on the loop. */
static int64_t loop_part(const cpu_runner *r, const cpu_access *x)
{
    const cpu_dim *dims = r->tape->dims + x->loop_first;
    int64_t sum = x->offset;
    for (int i = 0; i < x->loop_rank; i++)
        sum += dims[i].stride * r->coord[i];
    return sum;
}

/* n elements of what the access gives outside its bounds. */
static void fill_outside(char *d, const cpu_access *x, int64_t n)
{
    if (x->fill == 0 && !signbit(x->fill)) {
        memset(d, 0, (size_t)(n * x->size));
        return;
    }
    const dtype_element value = dtype_encode(x->dtype, x->fill);
    for (int64_t k = 0; k < n; k++)
        memcpy(d + k * x->size, value.bytes, (size_t)x->size);
}

/* ---------------------------------------------------------------- walking runs of lanes */

typedef struct walk {
    const cpu_dim *dims;
    const cpu_bound *bounds;
    int rank, bound_count;
    int64_t coord[PLAN_MAX_DIMS];
    int64_t offset;              /* element of the current lane */
    int64_t left;                /* lanes still to do */
    int64_t base[PLAN_MAX_DIMS]; /* of each bound's form, what depends on the loop */
} walk;

static void walk_begin(walk *w, const cpu_runner *r, const cpu_access *x, int64_t offset, int64_t n)
{
    w->dims = r->tape->dims + x->lane_first;
    w->rank = x->lane_rank;
    w->bounds = r->tape->bounds + x->bound_first;
    w->bound_count = x->bound_count;
    w->offset = offset;
    w->left = n;
    for (int k = 0; k < w->bound_count; k++) {
        w->base[k] = 0;
        for (int i = 0; i < x->loop_rank; i++)
            w->base[k] += w->bounds[k].coef[x->lane_rank + i] * r->coord[i];
    }
    int64_t rest = r->lane;
    for (int i = w->rank - 1; i >= 0; i--) {
        w->coord[i] = i > 0 ? rest % w->dims[i].extent : rest;
        rest /= w->dims[i].extent;
        w->offset += w->coord[i] * w->dims[i].stride;
    }
}

/* The lanes up to the end of the last dimension's row. */
static int64_t walk_run(const walk *w)
{
    if (w->rank == 0)
        return w->left;
    int64_t run = w->dims[w->rank - 1].extent - w->coord[w->rank - 1];
    return run < w->left ? run : w->left;
}

static int64_t walk_stride(const walk *w) { return w->rank ? w->dims[w->rank - 1].stride : 0; }

static void walk_advance(walk *w, int64_t run)
{
    w->left -= run;
    int i = w->rank - 1;
    if (w->left == 0 || i < 0)
        return;
    w->coord[i] += run;
    w->offset += run * w->dims[i].stride;
    while (i > 0 && w->coord[i] == w->dims[i].extent) {
        w->offset -= w->coord[i] * w->dims[i].stride;
        w->coord[i] = 0;
        i--;
        w->coord[i]++;
        w->offset += w->dims[i].stride;
    }
}

/* Moves on by lanes within the last two dimensions, to the end of which they go at the most. */
static void walk_skip(walk *w, int64_t lanes)
{
    int last = w->rank - 1;
    int64_t inner = w->coord[last] + lanes, rows = inner / w->dims[last].extent;
    int64_t moved = inner % w->dims[last].extent - w->coord[last];
    w->left -= lanes;
    if (w->left == 0)
        return;
    w->coord[last] += moved;
    w->offset += moved * w->dims[last].stride;
    w->coord[last - 1] += rows;
    w->offset += rows * w->dims[last - 1].stride;
    for (int i = last - 1; i > 0 && w->coord[i] == w->dims[i].extent; i--) {
        w->offset -= w->coord[i] * w->dims[i].stride;
        w->coord[i] = 0;
        w->coord[i - 1]++;
        w->offset += w->dims[i - 1].stride;
    }
}

/* The part [*begin, *end) of the run that the bounds let through. */
static void walk_valid(const walk *w, int64_t run, int64_t *begin, int64_t *end)
{
    *begin = 0;
    *end = run;
    for (int k = 0; k < w->bound_count; k++) {
        const cpu_bound *b = &w->bounds[k];
        int64_t at = w->base[k], step = w->rank > 0 ? b->coef[w->rank - 1] : 0;
        for (int i = 0; i < w->rank; i++)
            at += b->coef[i] * w->coord[i];
        cpu_narrow_run(b->lo - at, b->hi - at, step, begin, end);
    }
}

/* Lanes up to the end of the last dimension but one: rows that are too short to be walked one by one. Moves on behind
 * them, and returns how many there are. */
static int64_t gather_short_rows(void *d, const char *base, walk *w, int size)
{
    const cpu_dim *dims = w->dims + w->rank - 2;
    int64_t phase = w->coord[w->rank - 1], rows = w->rank > 2 ? dims[0].extent - w->coord[w->rank - 2] : w->left;
    int64_t run = smaller(rows * dims[1].extent - phase, w->left);
    const char *s = base + (w->offset - phase * dims[1].stride) * size;
    if (w->rank == 2) /* the first dimension has no end of its own */
        run = w->left;
    cpu_copy_rows(d, s, dims, phase, run, size);
    walk_skip(w, run);
    return run;
}

/* ---------------------------------------------------------------- loads */

void cpu_load_view(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->a);
    int64_t offset = loop_part(r, x);
    if (x->lane_rank) /* a stride of 1, or of 0: one value for all lanes */
        offset += r->lane * r->tape->dims[x->lane_first].stride;
    r->slot[e->d] = r->address[x->buffer] + offset * x->size;
}

void cpu_load_one(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->a);
    int64_t offset = loop_part(r, x);
    cpu_copy_from(r->slot[e->d], r->address[x->buffer] + offset * x->size, 0, 1, x->size);
}

/* Lanes that repeat every period elements: the first period is copied on, doubling. */
static void repeat(char *d, int64_t period, int64_t n)
{
    for (int64_t done = period; done < n; done *= 2)
        memcpy(d + done, d, (size_t)(done < n - done ? done : n - done));
}

/* n lanes of an access whose part that depends on the loop is offset. */
static void load_lanes(const cpu_runner *r, const cpu_access *x, char *d, int64_t offset, int64_t n)
{
    walk w;
    walk_begin(&w, r, x, offset, n);
    const char *base = r->address[x->buffer];
    if (w.rank == 2 && w.dims[0].stride == 0 && x->bound_count == 0 && w.dims[1].extent < n) {
        w.left = w.dims[1].extent; /* one period, from whatever phase the block begins at */
    }
    if (w.rank >= 2 && x->bound_count == 0 && w.dims[w.rank - 1].extent < 32) {
        int64_t period = w.left;
        for (char *to = d; w.left > 0;)
            to += gather_short_rows(to, base, &w, x->size) * x->size;
        if (period < n)
            repeat(d, period * x->size, n * x->size);
        return;
    }
    int64_t period = w.left;
    char *to = d;
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run;
        if (x->bound_count > 0) {
            walk_valid(&w, run, &begin, &end);
            fill_outside(to, x, begin);
            fill_outside(to + end * x->size, x, run - end);
        }
        if (begin < end)
            cpu_copy_from(to + begin * x->size, base + (w.offset + begin * walk_stride(&w)) * x->size, walk_stride(&w),
                          end - begin, x->size);
        to += run * x->size;
        walk_advance(&w, run);
    }
    if (period < n)
        repeat(d, period * x->size, n * x->size);
}

void cpu_load_walk(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    load_lanes(r, x, r->slot[e->d], loop_part(r, x), n);
}

/* NaN for floating point, 0 for integers: the value of a row that does not exist. */
static void no_row(char *d, const cpu_access *x)
{
    const dtype_element value = dtype_encode(x->dtype, clg_dtype_is_real(x->dtype) ? NAN : 0);
    memcpy(d, value.bytes, (size_t)x->size);
}

/* How many of n numbers are equal to the first one: more of them at a time as long as they are. */
static int64_t equal_ones(const int32_t *rows, int64_t n)
{
    enum { LEAST = 8 };
    int64_t count = 1, step = LEAST;
    while (step >= LEAST) {
        if (count < n && rows[count] != rows[0])
            return count;
        const bool more = count + step <= n && memcmp(rows + count - 1, rows + count, (size_t)step * sizeof *rows) == 0;
        count += more ? step : 0;
        step = more ? step * 2 : step / 2;
    }
    while (count < n && rows[count] == rows[0])
        count++;
    return count;
}

/* One run of a load by rows. Lanes that share a row (a whole run of a table's columns, often) are copied together. */
static void gather_rows(char *d, const char *base, const int32_t *rows, int64_t offset, int64_t stride, int64_t n,
                        const cpu_access *x)
{
    for (int64_t i = 0; i < n;) {
        int32_t row = rows[i];
        const int64_t end = i + equal_ones(rows + i, n - i);
        if (row >= 0 && row < x->row_count)
            cpu_copy_from(d + i * x->size, base + (offset + row * x->row_stride + i * stride) * x->size, stride,
                          end - i, x->size);
        else
            for (int64_t j = i; j < end; j++)
                no_row(d + j * x->size, x);
        i = end;
    }
}

/* One row for all lanes; the access has no bounds. */
void cpu_load_row(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    int32_t row = *(const int32_t *)r->slot[e->b];
    int64_t offset = loop_part(r, x);
    if (row >= 0 && row < x->row_count) {
        load_lanes(r, x, d, offset + row * x->row_stride, n);
    } else {
        no_row(d, x);
        repeat(d, x->size, n * x->size);
    }
}

void cpu_load_rows(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    const int32_t *rows = r->slot[e->b];
    walk w;
    walk_begin(&w, r, x, loop_part(r, x), n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run, stride = walk_stride(&w);
        if (x->bound_count > 0) {
            walk_valid(&w, run, &begin, &end);
            fill_outside(d, x, begin);
            fill_outside(d + end * x->size, x, run - end);
        }
        gather_rows(d + begin * x->size, r->address[x->buffer], rows + begin, w.offset + begin * stride, stride,
                    end - begin, x);
        d += run * x->size;
        rows += run;
        walk_advance(&w, run);
    }
}

#define SEQUENCE(type)                                                                                                 \
    do {                                                                                                               \
        type *d = to;                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            d[i] = (type)(first + i * stride);                                                                         \
    } while (0)

static void sequence(void *to, clg_dtype dtype, int64_t first, int64_t stride, int64_t n)
{
    if (dtype == CLG_F32)
        SEQUENCE(float);
    else if (dtype == CLG_F64)
        SEQUENCE(double);
    else if (dtype == CLG_I32)
        SEQUENCE(int32_t);
    else if (dtype == CLG_I64)
        SEQUENCE(int64_t);
    else
        SEQUENCE(uint8_t);
}

void cpu_iota(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    if (e->c > 0)
        n = r->fill;
    walk w;
    walk_begin(&w, r, x, loop_part(r, x), n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run, stride = walk_stride(&w);
        if (x->bound_count > 0) {
            walk_valid(&w, run, &begin, &end);
            fill_outside(d, x, begin);
            fill_outside(d + end * x->size, x, run - end);
        }
        sequence(d + begin * x->size, x->dtype, w.offset + begin * stride, stride, end - begin);
        d += run * x->size;
        walk_advance(&w, run);
    }
}

void cpu_mask(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    const char *s = r->slot[e->b];
    walk w;
    walk_begin(&w, r, x, loop_part(r, x), n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin, end;
        walk_valid(&w, run, &begin, &end);
        if (d != s)
            memcpy(d + begin * x->size, s + begin * x->size, (size_t)((end - begin) * x->size));
        fill_outside(d, x, begin);
        fill_outside(d + end * x->size, x, run - end);
        d += run * x->size;
        s += run * x->size;
        walk_advance(&w, run);
    }
}

void cpu_product(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    r->slot[e->d] = r->product;
}

void cpu_constant(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const clg_dtype dtype = (clg_dtype)e->b;
    const dtype_element value = dtype_encode(dtype, r->tape->constants[e->a]);
    memcpy(r->slot[e->d], value.bytes, clg_dtype_size(dtype));
}

void cpu_fill(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    cpu_copy_from(r->slot[e->d], r->slot[e->a], 0, r->fill, e->b);
}

/* ---------------------------------------------------------------- stores */

void cpu_store_view(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->b);
    int64_t offset = loop_part(r, x);
    offset += r->store_shift + (x->lane_rank ? r->lane : 0);
    r->slot[e->d] = r->address[x->buffer] + offset * x->size;
}

/* Whole rows from here on that are near each other in memory, while their elements are not; 0: there are none. */
static int64_t whole_rows(const walk *w)
{
    enum { NEAR = 4 };
    const int64_t step = w->rank < 2 ? 0 : w->dims[w->rank - 2].stride;
    if (step < 1 || step > NEAR || w->dims[w->rank - 1].stride <= step || w->coord[w->rank - 1])
        return 0;
    int64_t rows = w->rank > 2 ? w->dims[w->rank - 2].extent - w->coord[w->rank - 2] : INT64_MAX;
    return smaller(rows, w->left / w->dims[w->rank - 1].extent);
}

void cpu_store_walk(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->b);
    const char *s = r->slot[e->a];
    char *base = r->address[x->buffer];
    walk w;
    walk_begin(&w, r, x, loop_part(r, x) + r->store_shift, n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), rows = whole_rows(&w);
        if (rows > 1) {
            cpu_copy_turned(base + w.offset * x->size, s, walk_stride(&w), w.dims[w.rank - 2].stride, run, rows,
                            x->size);
            s += rows * run * x->size;
            walk_skip(&w, rows * run);
            continue;
        }
        cpu_copy_to(base + w.offset * x->size, s, walk_stride(&w), run, x->size);
        s += run * x->size;
        walk_advance(&w, run);
    }
}

/* ---------------------------------------------------------------- from a plan's access */

/* Whether a bound of the access depends on dimension d. */
static bool is_bounded(const plan_step *step, const plan_access *from, int d)
{
    for (int32_t i = 0; i < from->bound_count; i++)
        if (step->bounds[from->first_bound + i].coef[d] && step->extent[d] > 1)
            return true;
    return false;
}

static void set_coef(cpu_bound *bounds, const plan_step *step, const plan_access *from, int to, int d)
{
    for (int32_t i = 0; i < from->bound_count; i++)
        bounds[i].coef[to] = step->bounds[from->first_bound + i].coef[d];
}

/* The loop's dimensions as they are: the runner counts them. None if the access does not depend on them. */
static void loop_dims(cpu_dim *dims, cpu_bound *bounds, cpu_access *x, const plan_step *step, const plan_access *from,
                      int first, int count)
{
    bool depends = false;
    for (int i = 0; i < count; i++) {
        int d = first + i;
        dims[i] = (cpu_dim){step->extent[d], from->stride[d]};
        set_coef(bounds, step, from, x->lane_rank + i, d);
        depends |= is_bounded(step, from, d) || (from->stride[d] != 0 && step->extent[d] > 1);
    }
    x->loop_rank = depends ? count : 0;
}

/* Dimensions of lanes: those of extent 1 go, neighbours that are one run in the buffer and in all bounds become one. */
static void lane_dims(cpu_dim *dims, cpu_bound *bounds, cpu_access *x, const plan_step *step, const plan_access *from,
                      int first, int count)
{
    int rank = 0;
    for (int d = first; d < first + count; d++) {
        cpu_dim dim = {step->extent[d], from->stride[d]};
        if (dim.extent == 1)
            continue;
        cpu_dim *last = rank > 0 ? &dims[rank - 1] : NULL;
        bool joins = last && last->stride == dim.stride * dim.extent;
        for (int32_t i = 0; i < from->bound_count && joins; i++)
            joins = bounds[i].coef[rank - 1] == step->bounds[from->first_bound + i].coef[d] * dim.extent;
        if (joins)
            *last = (cpu_dim){last->extent * dim.extent, dim.stride};
        else
            dims[rank++] = dim;
        set_coef(bounds, step, from, rank - 1, d);
    }
    x->lane_rank = rank;
}

clg_status cpu_access_add(cpu_tape *tape, const plan_instr *instr, plan_section_kind section, int32_t *index)
{
    const plan_step *step = tape->step;
    const plan_access *from = &step->accesses[instr->access];
    if (!ARRAY_ROOM(tape->accesses, tape->access_count, tape->access_capacity) ||
        !array_reserve(&tape->dims, tape->dim_count + PLAN_MAX_DIMS, &tape->dim_capacity, sizeof *tape->dims) ||
        !array_reserve(&tape->bounds, tape->bound_count + from->bound_count + 1, &tape->bound_capacity,
                       sizeof *tape->bounds))
        return clg_fail_memory();
    cpu_access *x = &tape->accesses[tape->access_count];
    cpu_bound *bounds = tape->bounds + tape->bound_count;
    *x = (cpu_access){.buffer = instr->kind == INSTR_IOTA || instr->kind == INSTR_MASK ? -1 : instr->buffer,
                      .dtype = (clg_dtype)instr->dtype,
                      .size = (int)clg_dtype_size((clg_dtype)instr->dtype),
                      .offset = from->offset,
                      .fill = instr->value,
                      .row_stride = instr->row_stride,
                      .row_count = instr->row_count,
                      .fetch = step->facts[instr - step->instrs].fetch,
                      .bound_first = tape->bound_count,
                      .bound_count = from->bound_count,
                      .lane_first = tape->dim_count,
                      .loop_first = tape->dim_count};
    for (int32_t i = 0; i < from->bound_count; i++)
        bounds[i] = (cpu_bound){step->bounds[from->first_bound + i].lo, step->bounds[from->first_bound + i].hi, {0}};
    tape->bound_count += from->bound_count;
    bool inner = section == SECTION_INNER, lanes_inner = tape->lanes_inner;
    int outer_rank = step->outer_rank, inner_rank = step->inner_rank;
    if (section != SECTION_ONCE && (lanes_inner ? inner : true))
        lane_dims(tape->dims + x->lane_first, bounds, x, step, from, lanes_inner ? outer_rank : 0,
                  lanes_inner ? inner_rank : outer_rank);
    tape->dim_count += x->lane_rank;
    x->loop_first = tape->dim_count;
    if (section != SECTION_ONCE && (lanes_inner || inner))
        loop_dims(tape->dims + x->loop_first, bounds, x, step, from, lanes_inner ? 0 : outer_rank,
                  lanes_inner ? outer_rank : inner_rank);
    tape->dim_count += x->loop_rank;
    *index = tape->access_count++;
    return CLG_OK;
}
