/* Composition of index maps with views. A map is kept over the flat (row-major) index of an array; to pass a view
 * that permutes, repeats, slices or pads, it is decomposed into one affine map for each axis of the array. */
#include "maps.h"

#include "../core/array.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- interning */

static uint64_t map_hash(const plan_map *map)
{
    uint64_t h = (uint64_t)map->offset + (map->masked ? 77 : 0);
    for (int d = 0; d < CLG_MAX_RANK; d++) {
        h = (h ^ (uint64_t)map->stride[d]) * 0x9e3779b97f4a7c15u;
        if (map->masked)
            h = (h ^ (uint64_t)map->lo[d] ^ (uint64_t)map->hi[d] << 32) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

bool maps_equal(const plan_map *a, const plan_map *b)
{
    return a->offset == b->offset && a->masked == b->masked && !memcmp(a->stride, b->stride, sizeof a->stride) &&
           (!a->masked || (!memcmp(a->lo, b->lo, sizeof a->lo) && !memcmp(a->hi, b->hi, sizeof a->hi)));
}

clg_status maps_init(map_table *t)
{
    *t = (map_table){.bucket_count = 64};
    t->buckets = malloc((size_t)t->bucket_count * sizeof *t->buckets);
    if (!t->buckets)
        return clg_fail_memory();
    memset(t->buckets, 0xff, (size_t)t->bucket_count * sizeof *t->buckets);
    return CLG_OK;
}

void maps_free(map_table *t)
{
    free(t->maps);
    free(t->buckets);
    *t = (map_table){0};
}

static bool grow_buckets(map_table *t)
{
    int32_t count = t->bucket_count * 2, *buckets = realloc(t->buckets, (size_t)count * sizeof *buckets);
    if (!buckets)
        return false;
    t->buckets = buckets;
    t->bucket_count = count;
    memset(buckets, 0xff, (size_t)count * sizeof *buckets);
    for (int32_t i = 0; i < t->count; i++) {
        uint32_t slot = (uint32_t)map_hash(&t->maps[i]) & (uint32_t)(count - 1);
        while (buckets[slot] >= 0)
            slot = (slot + 1) & (uint32_t)(count - 1);
        buckets[slot] = i;
    }
    return true;
}

int32_t maps_intern(map_table *t, const plan_map *map)
{
    if (!ARRAY_ROOM(t->maps, t->count, t->capacity) || (t->count * 2 >= t->bucket_count && !grow_buckets(t))) {
        clg_fail_memory();
        return -1;
    }
    uint32_t mask = (uint32_t)(t->bucket_count - 1), slot = (uint32_t)map_hash(map) & mask;
    for (; t->buckets[slot] >= 0; slot = (slot + 1) & mask)
        if (maps_equal(&t->maps[t->buckets[slot]], map))
            return t->buckets[slot];
    t->maps[t->count] = *map;
    t->buckets[slot] = t->count;
    return t->count++;
}

plan_map maps_identity(const space *sp, bool outer)
{
    plan_map map = {0};
    int64_t stride = 1;
    for (int d = sp->rank; d-- > 0;) {
        if (outer && sp->inner >> d & 1)
            continue;
        map.stride[d] = sp->extent[d] == 1 ? 0 : stride;
        stride *= sp->extent[d];
    }
    return map;
}

/* ---------------------------------------------------------------- decomposition */

/* One affine map for each axis of an array: index[k] = base[k] + sum over d of step[k][d] * position[d]. */
typedef struct axes_map {
    int rank;
    int64_t base[CLG_MAX_RANK], step[CLG_MAX_RANK][CLG_MAX_RANK];
} axes_map;

/* The positions at which a map is valid, per dimension. */
static int64_t first(const space *sp, const plan_map *map, int d)
{
    (void)sp;
    return map->masked && map->lo[d] > 0 ? map->lo[d] : 0;
}
static int64_t last(const space *sp, const plan_map *map, int d)
{
    int64_t end = map->masked && map->hi[d] < sp->extent[d] ? map->hi[d] : sp->extent[d];
    return end - 1;
}

/* Finds the axis maps by taking strides and the lowest corner's offset apart into digits of the shape, and checks that
 * no digit carries over the whole valid range: then the decomposition is exact. */
static bool decompose(const space *sp, const plan_map *map, clg_shape shape, axes_map *out)
{
    int64_t row[CLG_MAX_RANK], corner = map->offset, low[CLG_MAX_RANK];
    *out = (axes_map){.rank = shape.rank};
    bool empty = clg_shape_count(shape) == 0;
    for (int d = 0; d < sp->rank; d++)
        empty |= last(sp, map, d) < first(sp, map, d);
    for (int64_t k = shape.rank, stride = 1; k-- > 0; stride *= shape.dim[k])
        row[k] = stride;
    for (int d = 0; d < sp->rank; d++) {
        int64_t rest = map->stride[d];
        for (int k = 0; k < shape.rank && rest && !empty; k++)
            if (shape.dim[k] > 1) {
                out->step[k][d] = rest / row[k];
                rest %= row[k];
            }
        low[d] = map->stride[d] >= 0 ? first(sp, map, d) : last(sp, map, d);
        corner += map->stride[d] * low[d];
    }
    if (empty)
        return true; /* nothing is ever read */
    for (int k = 0; k < shape.rank; k++) {
        int64_t digit = corner / row[k], top = digit;
        corner %= row[k];
        out->base[k] = digit;
        for (int d = 0; d < sp->rank; d++) {
            int64_t span = last(sp, map, d) - first(sp, map, d), step = out->step[k][d];
            /* a step against the direction of its dimension's stride would leave the digit's range */
            if (step && (step > 0) != (map->stride[d] > 0))
                return false;
            top += (step > 0 ? step : -step) * span;
            out->base[k] -= step * low[d];
        }
        if (digit < 0 || top >= shape.dim[k])
            return false;
    }
    return corner == 0;
}

static plan_map flatten(const space *sp, const axes_map *axes, clg_shape shape, const plan_map *like)
{
    plan_map map = *like;
    int64_t row = 1;
    map.offset = 0;
    memset(map.stride, 0, sizeof map.stride);
    for (int k = shape.rank; k-- > 0; row *= shape.dim[k]) {
        map.offset += axes->base[k] * row;
        for (int d = 0; d < sp->rank; d++)
            map.stride[d] += sp->extent[d] == 1 ? 0 : axes->step[k][d] * row;
    }
    return map;
}

/* ---------------------------------------------------------------- views */

static int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); } /* b > 0 */

/* Narrows the map to the positions where lo <= axis k < lo + n. False if that is not a range of one dimension. */
static bool narrow(const space *sp, const axes_map *axes, int k, int64_t lo, int64_t n, plan_map *map)
{
    int dim = -1;
    for (int d = 0; d < sp->rank; d++) {
        if (!axes->step[k][d] || sp->extent[d] <= 1)
            continue;
        if (dim >= 0)
            return false;
        dim = d;
    }
    if (!map->masked) {
        map->masked = true;
        for (int d = 0; d < CLG_MAX_RANK; d++) {
            map->lo[d] = 0;
            map->hi[d] = d < sp->rank ? sp->extent[d] : 1;
        }
    }
    int64_t from = lo - axes->base[k], to = from + n; /* from <= step * position < to */
    if (dim < 0) {
        if (from > 0 || to <= 0) /* never valid */
            map->hi[0] = map->lo[0];
        return true;
    }
    int64_t step = axes->step[k][dim];
    if (step < 0) { /* 1 - to <= -step * position < 1 - from */
        int64_t swap = 1 - to;
        to = 1 - from;
        from = swap;
        step = -step;
    }
    from = ceil_div(from, step);
    to = ceil_div(to, step);
    map->lo[dim] = from > map->lo[dim] ? from : map->lo[dim];
    map->hi[dim] = to < map->hi[dim] ? to : map->hi[dim];
    return true;
}

bool maps_through_view(const subgraph *s, const sub_node *v, const space *sp, const plan_map *map, plan_map *result)
{
    axes_map axes, operand;
    clg_shape shape = s->shapes[v->shape], from = s->shapes[v->in_shape[0]];
    if (sp->rank == 0 && v->op == OP_PAD)
        return false; /* no dimension to mask */
    if (!decompose(sp, map, shape, &axes))
        return false;
    plan_map masked = *map;
    operand = axes;
    for (int k = 0; k < shape.rank; k++) {
        if (v->op == OP_PERMUTE) {
            int to = permute_axis(v->attr.integer, k);
            operand.base[to] = axes.base[k];
            memcpy(operand.step[to], axes.step[k], sizeof axes.step[k]);
        } else if (v->op == OP_EXPAND && from.dim[k] == 1) {
            operand.base[k] = 0;
            memset(operand.step[k], 0, sizeof operand.step[k]);
        } else if (v->op == OP_SLICE) {
            const slice_attr *slice = &s->slices[v->attr.integer];
            operand.base[k] = slice->start[k] + slice->step[k] * axes.base[k];
            for (int d = 0; d < sp->rank; d++)
                operand.step[k][d] = slice->step[k] * axes.step[k][d];
        } else if (v->op == OP_PAD && from.dim[k] != shape.dim[k]) {
            int64_t start = s->slices[v->attr.integer].start[k];
            if (!narrow(sp, &axes, k, start, from.dim[k], &masked))
                return false;
            operand.base[k] -= start;
        }
    }
    *result = flatten(sp, &operand, from, &masked);
    return true;
}

bool maps_split_row(const space *sp, const plan_map *map, int64_t rows, int64_t row, plan_map *row_map, plan_map *rest)
{
    axes_map axes, one;
    if (!decompose(sp, map, CLG_SHAPE(rows, row), &axes))
        return false;
    one = axes;
    one.base[1] = 0;
    memset(one.step[1], 0, sizeof one.step[1]);
    *row_map = flatten(sp, &one, CLG_SHAPE(rows, 1), map);
    one = axes;
    one.base[0] = 0;
    memset(one.step[0], 0, sizeof one.step[0]);
    *rest = flatten(sp, &one, CLG_SHAPE(1, row), map);
    return true;
}
