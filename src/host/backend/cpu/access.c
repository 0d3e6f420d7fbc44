/* Loads and stores of the CPU backend: from positions of a step to addresses, a block of lanes at a time. A map
 * whose lanes are contiguous becomes a view: the slot points into the buffer. Others walk runs of the last lane
 * dimension, so that blocks span any number of dimensions. */
#include "cpu.h"

#include <math.h>
#include <string.h>

#define MATH_DTYPE 2
#include "kernels/math.h"
#define MATH_DTYPE 3
#include "kernels/math.h"

/* Elements are moved by size; buffers hold any dtype. */
typedef uint32_t __attribute__((may_alias)) word4;
typedef uint64_t __attribute__((may_alias)) word8;

static const cpu_access *access_of(const cpu_runner *r, int32_t index) { return &r->tape->accesses[index]; }

/* The part of the map that depends on the loop; false where the loop is outside the mask. */
static bool loop_part(const cpu_runner *r, const cpu_access *x, int64_t *offset)
{
    const cpu_dim *dims = r->tape->dims + x->loop_first;
    int64_t sum = x->offset;
    bool valid = true;
    for (int i = 0; i < x->loop_rank; i++) {
        int64_t at = r->coord[i];
        sum += dims[i].stride * at;
        valid &= at >= dims[i].lo && at < dims[i].hi;
    }
    *offset = sum;
    return valid;
}

/* ---------------------------------------------------------------- walking runs of lanes */

typedef struct walk {
    const cpu_dim *dims;
    int rank;
    int64_t coord[CLG_MAX_RANK];
    int64_t offset; /* element of the current lane */
    int64_t left;   /* lanes still to do */
} walk;

static void walk_begin(walk *w, const cpu_runner *r, const cpu_access *x, int64_t offset, int64_t n)
{
    w->dims = r->tape->dims + x->lane_first;
    w->rank = x->lane_rank;
    w->offset = offset;
    w->left = n;
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

/* The part [*begin, *end) of the run that the mask lets through. */
static void walk_valid(const walk *w, int64_t run, int64_t *begin, int64_t *end)
{
    *begin = 0;
    *end = run;
    for (int i = 0; i < w->rank - 1; i++)
        if (w->coord[i] < w->dims[i].lo || w->coord[i] >= w->dims[i].hi)
            *end = 0;
    if (w->rank == 0 || *end == 0)
        return;
    const cpu_dim *last = &w->dims[w->rank - 1];
    int64_t at = w->coord[w->rank - 1];
    if (last->lo > at)
        *begin = last->lo - at < run ? last->lo - at : run;
    if (last->hi - at < run)
        *end = last->hi - at;
    if (*end < *begin)
        *end = *begin;
}

/* n elements of a size from s, stride apart, to consecutive d; and the reverse. */
#define COPIES(name, word)                                                                                             \
    static void gather_##name(word *d, const word *s, int64_t stride, int64_t n)                                       \
    {                                                                                                                  \
        if (stride == 1 && n >= 32) {                                                                                  \
            memcpy(d, s, (size_t)n * sizeof *d);                                                                       \
        } else if (stride == 0) {                                                                                      \
            word value = *s;                                                                                           \
            for (int64_t i = 0; i < n; i++)                                                                            \
                d[i] = value;                                                                                          \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                                            \
                d[i] = s[i * stride];                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    /* the last two dimensions, rows of extent elements; the first row begins at its element number phase */           \
    static void rows_##name(word *d, const word *s, const cpu_dim *dims, int64_t phase, int64_t n)                     \
    {                                                                                                                  \
        int64_t extent = dims[1].extent, stride = dims[1].stride, step = dims[0].stride;                               \
        for (int64_t i = 0, j = phase; i < n; s += step, j = 0)                                                        \
            for (; j < extent && i < n; j++)                                                                           \
                d[i++] = s[j * stride];                                                                                \
    }                                                                                                                  \
    static void scatter_##name(word *d, const word *s, int64_t stride, int64_t n)                                      \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            d[i * stride] = s[i];                                                                                      \
    }
COPIES(1, uint8_t)
COPIES(4, word4)
COPIES(8, word8)

static void gather(void *d, const void *s, int64_t stride, int64_t n, int size)
{
    if (size == 4)
        gather_4(d, s, stride, n);
    else if (size == 8)
        gather_8(d, s, stride, n);
    else
        gather_1(d, s, stride, n);
}

static void gather_short_rows(void *d, const void *s, const walk *w, int size)
{
    if (size == 4)
        rows_4(d, s, w->dims, w->coord[1], w->left);
    else if (size == 8)
        rows_8(d, s, w->dims, w->coord[1], w->left);
    else
        rows_1(d, s, w->dims, w->coord[1], w->left);
}

static void scatter(void *d, const void *s, int64_t stride, int64_t n, int size)
{
    if (stride == 1)
        memmove(d, s, (size_t)(n * size)); /* the same place, when a step copies a buffer onto itself */
    else if (size == 4)
        scatter_4(d, s, stride, n);
    else if (size == 8)
        scatter_8(d, s, stride, n);
    else
        scatter_1(d, s, stride, n);
}

/* ---------------------------------------------------------------- loads */

void cpu_load_view(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->a);
    int64_t offset;
    loop_part(r, x, &offset);
    if (x->lane_rank) /* a stride of 1, or of 0: one value for all lanes */
        offset += r->lane * r->tape->dims[x->lane_first].stride;
    r->slot[e->d] = r->address[x->buffer] + offset * x->size;
}

void cpu_load_one(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->a);
    int64_t offset;
    loop_part(r, x, &offset);
    gather(r->slot[e->d], r->address[x->buffer] + offset * x->size, 0, 1, x->size);
}

/* Lanes that repeat every period elements: the first period is copied on, doubling. */
static void repeat(char *d, int64_t period, int64_t n)
{
    for (int64_t done = period; done < n; done *= 2)
        memcpy(d + done, d, (size_t)(done < n - done ? done : n - done));
}

/* n lanes of a map whose part that depends on the loop is offset. */
static void load_lanes(const cpu_runner *r, const cpu_access *x, char *d, int64_t offset, int64_t n)
{
    walk w;
    walk_begin(&w, r, x, offset, n);
    const char *base = r->address[x->buffer];
    if (w.rank == 2 && w.dims[0].stride == 0 && !x->masked && w.dims[1].extent < n) {
        w.left = w.dims[1].extent; /* one period, from whatever phase the block begins at */
    }
    if (w.rank == 2 && !x->masked && w.dims[1].extent < 32) {
        gather_short_rows(d, base + (w.offset - w.coord[1] * w.dims[1].stride) * x->size, &w, x->size);
        if (w.left < n)
            repeat(d, w.left * x->size, n * x->size);
        return;
    }
    int64_t period = w.left;
    char *to = d;
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run;
        if (x->masked) {
            walk_valid(&w, run, &begin, &end);
            memset(to, 0, (size_t)(run * x->size));
        }
        if (begin < end)
            gather(to + begin * x->size, base + (w.offset + begin * walk_stride(&w)) * x->size, walk_stride(&w),
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
    int64_t offset;
    if (loop_part(r, x, &offset))
        load_lanes(r, x, r->slot[e->d], offset, n);
    else
        memset(r->slot[e->d], 0, (size_t)(n * x->size));
}

/* NaN for floating point, 0 for integers: the value of a row that does not exist. */
static void no_row(char *d, const cpu_access *x)
{
    if (x->dtype == CLG_F32)
        memcpy(d, &(float){NAN}, sizeof(float));
    else if (x->dtype == CLG_F64)
        memcpy(d, &(double){NAN}, sizeof(double));
    else
        memset(d, 0, (size_t)x->size);
}

/* One run of a load by rows. Lanes that share a row (a whole run of a table's columns, often) are copied together. */
static void gather_rows(char *d, const char *base, const int32_t *rows, int64_t offset, int64_t stride, int64_t n,
                        const cpu_access *x)
{
    for (int64_t i = 0; i < n;) {
        int32_t row = rows[i];
        int64_t end = i + 1;
        while (end < n && rows[end] == row)
            end++;
        if (row >= 0 && row < x->row_count)
            gather(d + i * x->size, base + (offset + row * x->row_stride + i * stride) * x->size, stride, end - i,
                   x->size);
        else
            for (int64_t j = i; j < end; j++)
                no_row(d + j * x->size, x);
        i = end;
    }
}

/* One row for all lanes; the map has no mask. */
void cpu_load_row(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    int32_t row = *(const int32_t *)r->slot[e->b];
    int64_t offset;
    loop_part(r, x, &offset);
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
    int64_t offset;
    if (!loop_part(r, x, &offset)) {
        memset(d, 0, (size_t)(n * x->size));
        return;
    }
    walk w;
    walk_begin(&w, r, x, offset, n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run, stride = walk_stride(&w);
        if (x->masked) {
            walk_valid(&w, run, &begin, &end);
            memset(d, 0, (size_t)(run * x->size));
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
    else
        SEQUENCE(uint8_t);
}

void cpu_iota(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->a);
    char *d = r->slot[e->d];
    int64_t offset;
    if (e->c > 0)
        n = r->fill;
    if (!loop_part(r, x, &offset)) {
        memset(d, 0, (size_t)(n * x->size));
        return;
    }
    walk w;
    walk_begin(&w, r, x, offset, n);
    while (w.left > 0) {
        int64_t run = walk_run(&w), begin = 0, end = run, stride = walk_stride(&w);
        if (x->masked) {
            walk_valid(&w, run, &begin, &end);
            memset(d, 0, (size_t)(run * x->size));
        }
        sequence(d + begin * x->size, x->dtype, w.offset + begin * stride, stride, end - begin);
        d += run * x->size;
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
    double value = r->tape->constants[e->a];
    void *to = r->slot[e->d];
    if (e->b == CLG_F32)
        *(float *)to = (float)value;
    else if (e->b == CLG_F64)
        *(double *)to = value;
    else if (e->b == CLG_I32)
        *(int32_t *)to = i32_from_f64(value);
    else
        *(uint8_t *)to = u8_from_f64(value);
}

void cpu_fill(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    gather(r->slot[e->d], r->slot[e->a], 0, r->fill, e->b);
}

/* ---------------------------------------------------------------- stores */

void cpu_store_view(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    (void)n;
    const cpu_access *x = access_of(r, e->b);
    int64_t offset;
    loop_part(r, x, &offset);
    offset += r->store_shift + (x->lane_rank ? r->lane : 0);
    r->slot[e->d] = r->address[x->buffer] + offset * x->size;
}

void cpu_store_walk(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    const cpu_access *x = access_of(r, e->b);
    const char *s = r->slot[e->a];
    char *base = r->address[x->buffer];
    int64_t offset;
    loop_part(r, x, &offset);
    walk w;
    walk_begin(&w, r, x, offset + r->store_shift, n);
    while (w.left > 0) {
        int64_t run = walk_run(&w);
        scatter(base + w.offset * x->size, s, walk_stride(&w), run, x->size);
        s += run * x->size;
        walk_advance(&w, run);
    }
}

/* ---------------------------------------------------------------- from a plan's map to an access */

static bool partly_masked(const plan_map *map, int d, int64_t extent)
{
    return map->masked && (map->lo[d] > 0 || map->hi[d] < extent);
}

/* The loop's dimensions as they are: the runner counts them. None if the map does not depend on them. */
static void loop_dims(cpu_dim *dims, cpu_access *x, const plan_step *step, const plan_map *map, int first, int count)
{
    bool depends = false;
    for (int i = 0; i < count; i++) {
        int d = first + i;
        bool masked = partly_masked(map, d, step->extent[d]);
        dims[i] =
            (cpu_dim){step->extent[d], map->stride[d], masked ? map->lo[d] : 0, masked ? map->hi[d] : step->extent[d]};
        depends |= masked || (map->stride[d] != 0 && step->extent[d] > 1);
    }
    x->loop_rank = depends ? count : 0;
}

/* Dimensions of lanes: those of extent 1 go, neighbours that are one run in the buffer become one. */
static void lane_dims(cpu_dim *dims, cpu_access *x, const plan_step *step, const plan_map *map, int first, int count)
{
    int rank = 0;
    for (int d = first; d < first + count; d++) {
        bool masked = partly_masked(map, d, step->extent[d]);
        cpu_dim dim = {step->extent[d], map->stride[d], masked ? map->lo[d] : 0, masked ? map->hi[d] : step->extent[d]};
        if (dim.extent == 1 && !masked)
            continue;
        x->masked |= masked;
        cpu_dim *last = rank > 0 ? &dims[rank - 1] : NULL;
        bool last_masked = last && (last->lo > 0 || last->hi < last->extent);
        if (last && !masked && !last_masked && last->stride == dim.stride * dim.extent)
            *last = (cpu_dim){last->extent * dim.extent, dim.stride, 0, last->extent * dim.extent};
        else
            dims[rank++] = dim;
    }
    x->lane_rank = rank;
}

clg_status cpu_access_add(cpu_tape *tape, const plan_instr *instr, plan_section_kind section, int32_t *index)
{
    static const int sizes[CLG_DTYPE_COUNT] = {[CLG_F32] = 4, [CLG_F64] = 8, [CLG_I32] = 4, [CLG_U8] = 1};
    const plan_step *step = tape->step;
    const plan_map *map = &step->maps[instr->map];
    if (!ARRAY_ROOM(tape->accesses, tape->access_count, tape->access_capacity) ||
        !array_reserve(&tape->dims, tape->dim_count + CLG_MAX_RANK, &tape->dim_capacity, sizeof *tape->dims))
        return clg_fail_memory();
    cpu_access *x = &tape->accesses[tape->access_count];
    *x = (cpu_access){.buffer = instr->kind == INSTR_IOTA ? -1 : instr->buffer,
                      .dtype = (clg_dtype)instr->dtype,
                      .size = sizes[instr->dtype],
                      .offset = map->offset,
                      .row_stride = instr->row_stride,
                      .row_count = instr->row_count,
                      .lane_first = tape->dim_count,
                      .loop_first = tape->dim_count};
    bool inner = section == SECTION_INNER, lanes_inner = tape->lanes_inner;
    int outer_rank = step->outer_rank, inner_rank = step->inner_rank;
    if (section != SECTION_ONCE && (lanes_inner ? inner : true))
        lane_dims(tape->dims + x->lane_first, x, step, map, lanes_inner ? outer_rank : 0,
                  lanes_inner ? inner_rank : outer_rank);
    tape->dim_count += x->lane_rank;
    x->loop_first = tape->dim_count;
    if (section != SECTION_ONCE && (lanes_inner || inner))
        loop_dims(tape->dims + x->loop_first, x, step, map, lanes_inner ? 0 : outer_rank,
                  lanes_inner ? outer_rank : inner_rank);
    tape->dim_count += x->loop_rank;
    *index = tape->access_count++;
    return CLG_OK;
}
