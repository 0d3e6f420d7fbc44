#include "access.h"

#include "../core/array.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- interning */

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t form_hash(uint64_t h, const affine *f)
{
    h = mix(h, (uint64_t)f->offset);
    for (int d = 0; d < PLAN_MAX_DIMS; d++)
        h = mix(h, (uint64_t)f->coef[d]);
    return h;
}

static uint64_t access_hash(const node_access *a)
{
    affine address = access_address(a);
    uint64_t h = form_hash((uint64_t)a->bound_count, &address);
    for (int i = 0; i < a->bound_count; i++)
        h = mix(mix(h, (uint64_t)a->bound[i].lo), (uint64_t)a->bound[i].hi);
    return h;
}

static int64_t elements(const node_access *a)
{
    int64_t count = 1;
    for (int k = 0; k < a->rank; k++)
        count *= a->extent[k];
    return count;
}

/* An address alone says which digits an index has in its own space only: i0 is (0, i0) of (2, 3) where i0 < 3, and not
 * where i0 < 6. */
static bool access_equal(const node_access *a, const node_access *b)
{
    if (a->bound_count != b->bound_count)
        return false;
    if (a->bound_count == 0) {
        affine x = access_address(a), y = access_address(b);
        return elements(a) == elements(b) && !memcmp(&x, &y, sizeof x) &&
               !memcmp(a->position, b->position, sizeof a->position);
    }
    return a->rank == b->rank && !memcmp(&a->fill, &b->fill, sizeof a->fill) &&
           !memcmp(a->extent, b->extent, (size_t)a->rank * sizeof *a->extent) &&
           !memcmp(a->axis, b->axis, (size_t)a->rank * sizeof *a->axis) &&
           !memcmp(a->bound, b->bound, (size_t)a->bound_count * sizeof *a->bound);
}

clg_status access_table_init(access_table *t)
{
    *t = (access_table){.bucket_count = 64};
    t->buckets = malloc((size_t)t->bucket_count * sizeof *t->buckets);
    if (!t->buckets)
        return clg_fail_memory();
    memset(t->buckets, 0xff, (size_t)t->bucket_count * sizeof *t->buckets);
    return CLG_OK;
}

void access_table_free(access_table *t)
{
    free(t->items);
    free(t->buckets);
    *t = (access_table){0};
}

static bool grow_buckets(access_table *t)
{
    int32_t count = t->bucket_count * 2, *buckets = realloc(t->buckets, (size_t)count * sizeof *buckets);
    if (!buckets)
        return false;
    t->buckets = buckets;
    t->bucket_count = count;
    memset(buckets, 0xff, (size_t)count * sizeof *buckets);
    for (int32_t i = 0; i < t->count; i++) {
        uint32_t slot = (uint32_t)access_hash(&t->items[i]) & (uint32_t)(count - 1);
        while (buckets[slot] >= 0)
            slot = (slot + 1) & (uint32_t)(count - 1);
        buckets[slot] = i;
    }
    return true;
}

int32_t access_intern(access_table *t, const node_access *a)
{
    if (!ARRAY_ROOM(t->items, t->count, t->capacity) || (t->count * 2 >= t->bucket_count && !grow_buckets(t))) {
        clg_fail_memory();
        return -1;
    }
    uint32_t mask = (uint32_t)(t->bucket_count - 1), slot = (uint32_t)access_hash(a) & mask;
    for (; t->buckets[slot] >= 0; slot = (slot + 1) & mask)
        if (access_equal(&t->items[t->buckets[slot]], a))
            return t->buckets[slot];
    t->items[t->count] = *a;
    t->buckets[slot] = t->count;
    return t->count++;
}

void access_set_space(const space *sp, node_access *a)
{
    memset(a->position, 0, sizeof a->position);
    memcpy(a->position, sp->extent, (size_t)sp->rank * sizeof *sp->extent);
}

node_access access_identity(const space *sp, bool outer)
{
    node_access a = {0};
    access_set_space(sp, &a);
    for (int d = 0; d < sp->rank; d++) {
        if ((outer && sp->inner >> d & 1) || sp->extent[d] == 1)
            continue;
        a.axis[a.rank] = affine_of(d);
        a.extent[a.rank++] = sp->extent[d];
    }
    return a;
}

affine access_address(const node_access *a)
{
    affine address = {0};
    int64_t stride = 1;
    for (int k = a->rank; k-- > 0; stride *= a->extent[k]) {
        address.offset += stride * a->axis[k].offset;
        for (int d = 0; d < PLAN_MAX_DIMS; d++)
            address.coef[d] += stride * a->axis[k].coef[d];
    }
    return address;
}

node_access access_unbounded(const node_access *a)
{
    node_access result = *a;
    result.bound_count = 0;
    result.fill = 0;
    memset(result.axis, 0, sizeof result.axis);
    return result;
}

uint32_t access_bound_dims(const node_access *a, int rank)
{
    uint32_t dims = 0;
    for (int i = 0; i < a->bound_count; i++)
        for (int d = 0; d < rank; d++)
            dims |= a->bound[i].coef[d] ? 1u << d : 0;
    return dims;
}

/* ---------------------------------------------------------------- bounds */

/* Adds the bound 0 <= form < extent where the space's positions do not all meet it. false: there is no room. */
static bool add_bound(const space *sp, const affine *form, int64_t extent, node_access *a)
{
    plan_bound bound = {.lo = -form->offset, .hi = extent - form->offset};
    memcpy(bound.coef, form->coef, sizeof bound.coef);
    int64_t least, most;
    affine_range(form, sp->rank, sp->extent, &least, &most);
    if (least >= 0 && most < extent)
        return true;
    for (int i = 0; i < a->bound_count; i++)
        if (!memcmp(a->bound[i].coef, bound.coef, sizeof bound.coef)) {
            a->bound[i].lo = larger(a->bound[i].lo, bound.lo);
            a->bound[i].hi = smaller(a->bound[i].hi, bound.hi);
            return true;
        }
    if (a->bound_count == ACCESS_BOUNDS)
        return false;
    a->bound[a->bound_count++] = bound;
    return true;
}

/* The positions of dimension d at which bounds on it alone may hold. */
static void valid_range(const space *sp, const node_access *a, int d, int64_t *first, int64_t *last)
{
    *first = 0;
    *last = sp->extent[d] - 1;
    for (int i = 0; i < a->bound_count; i++) {
        const plan_bound *b = &a->bound[i];
        bool alone = b->coef[d] == 1;
        for (int e = 0; e < sp->rank; e++)
            alone &= e == d || !b->coef[e];
        if (alone) {
            *first = larger(*first, b->lo);
            *last = smaller(*last, b->hi - 1);
        }
    }
}

/* ---------------------------------------------------------------- reshape: digits */

/* An index taken apart into digits: axes of count extents. Strides and the lowest corner's offset are divided by the
 * axes' strides; where no digit carries over the whole valid range that is exact. */
static bool take_apart(const space *sp, const node_access *a, const affine *index, const int64_t *extent, int count,
                       affine *axis)
{
    int64_t row[PLAN_MAX_DIMS], low[PLAN_MAX_DIMS], span[PLAN_MAX_DIMS], corner = index->offset, stride = 1;
    for (int k = count; k-- > 0; stride *= extent[k])
        row[k] = stride;
    memset(axis, 0, (size_t)count * sizeof *axis);
    for (int d = 0; d < sp->rank; d++) {
        int64_t first, last, rest = index->coef[d];
        valid_range(sp, a, d, &first, &last);
        if (last < first)
            return true; /* nothing is ever read */
        for (int k = 0; k < count; k++) {
            axis[k].coef[d] = rest / row[k];
            rest %= row[k];
        }
        low[d] = index->coef[d] >= 0 ? first : last;
        span[d] = last - first;
        corner += index->coef[d] * low[d];
    }
    for (int k = 0; k < count; k++) {
        int64_t digit = corner / row[k], top = digit;
        corner %= row[k];
        axis[k].offset = digit;
        for (int d = 0; d < sp->rank; d++) {
            int64_t step = axis[k].coef[d];
            /* a step against the direction of its dimension's stride would leave the digit's range */
            if (step && (step > 0) != (index->coef[d] > 0))
                return false;
            top += (step > 0 ? step : -step) * span[d];
            axis[k].offset -= step * low[d];
        }
        if (digit < 0 || top >= extent[k])
            return false;
    }
    return corner == 0;
}

/* The same access over other axes of the same elements: runs of axes with the same product are put together, and taken
 * apart where the new ones are several. */
static bool regroup(const space *sp, const node_access *a, clg_shape shape, node_access *result)
{
    node_access to = *a;
    to.rank = 0;
    for (int k = 0; k < shape.rank; k++)
        if (shape.dim[k] != 1)
            to.extent[to.rank++] = shape.dim[k];
    if (clg_shape_count(shape) == 0) { /* nothing is ever read */
        memset(to.axis, 0, sizeof to.axis);
        *result = to;
        return true;
    }
    for (int from = 0, k = 0; k < to.rank;) {
        int first_from = from++, first = k++;
        int64_t have = a->extent[first_from], want = to.extent[first];
        while (have != want)
            have < want ? (have *= a->extent[from++]) : (want *= to.extent[k++]);
        node_access run = {.rank = from - first_from};
        memcpy(run.extent, a->extent + first_from, (size_t)run.rank * sizeof *run.extent);
        memcpy(run.axis, a->axis + first_from, (size_t)run.rank * sizeof *run.axis);
        affine index = access_address(&run);
        if (k - first == 1)
            to.axis[first] = index;
        else if (run.rank == k - first && !memcmp(run.extent, to.extent + first, (size_t)run.rank * sizeof *run.extent))
            memcpy(to.axis + first, run.axis, (size_t)run.rank * sizeof *run.axis);
        else if (!take_apart(sp, a, &index, to.extent + first, k - first, to.axis + first))
            return false;
    }
    *result = to;
    return true;
}

/* ---------------------------------------------------------------- views */

/* The axes of an operand, of which forms are given; those of extent 1 go, once they are bounded. */
static bool set_axes(const space *sp, const affine *axis, clg_shape operand, node_access *result)
{
    result->rank = 0;
    for (int k = 0; k < operand.rank; k++) {
        if (!add_bound(sp, &axis[k], operand.dim[k], result))
            return false;
        if (operand.dim[k] == 1)
            continue;
        result->extent[result->rank] = operand.dim[k];
        result->axis[result->rank++] = axis[k];
    }
    return true;
}

bool access_of_map(const space *sp, const affine *axis, clg_shape operand, node_access *result)
{
    *result = (node_access){0};
    access_set_space(sp, result);
    return set_axes(sp, axis, operand, result);
}

access_outcome access_through_view(const subgraph *s, const sub_node *v, const space *sp, const node_access *a,
                                   node_access *result)
{
    const index_map *map = &s->maps[v->attr.integer];
    clg_shape shape = s->shapes[v->shape], operand = s->shapes[v->in_shape[0]];
    node_access own;
    affine axis[PLAN_MAX_DIMS], position[PLAN_MAX_DIMS] = {{0}};
    if (!regroup(sp, a, shape, &own))
        return ACCESS_BLOCKED;
    for (int d = 0, k = 0; d < shape.rank; d++)
        if (shape.dim[d] != 1)
            position[d] = own.axis[k++];
    for (int k = 0; k < operand.rank; k++)
        axis[k] = affine_compose(&map->axis[k], shape.rank, position);
    *result = own;
    if (!set_axes(sp, axis, operand, result))
        return ACCESS_BLOCKED;
    bool bounded = result->bound_count > 0, other = a->bound_count > 0 && memcmp(&map->fill, &a->fill, sizeof a->fill);
    bool same = result->bound_count == a->bound_count &&
                !memcmp(result->bound, a->bound, (size_t)a->bound_count * sizeof *a->bound);
    if (same)
        return ACCESS_DONE;
    result->fill = bounded ? map->fill : 0;
    return other ? ACCESS_OTHER_FILL : ACCESS_DONE;
}

bool access_split_row(const space *sp, const node_access *a, clg_shape shape, int index_rank, node_access *index,
                      node_access *rest)
{
    node_access own;
    int split = 0;
    if (!regroup(sp, a, shape, &own))
        return false;
    for (int k = 0; k < index_rank; k++)
        split += shape.dim[k] != 1;
    *index = *rest = own;
    index->rank = split;
    rest->rank = own.rank - split;
    memmove(rest->extent, own.extent + split, (size_t)rest->rank * sizeof *own.extent);
    memmove(rest->axis, own.axis + split, (size_t)rest->rank * sizeof *own.axis);
    return true;
}

bool access_in_whole(const space *sp, const node_access *a, clg_shape part, clg_shape whole, const int64_t *before,
                     node_access *result)
{
    node_access own;
    if (!regroup(sp, a, part, &own))
        return false;
    *result = own;
    result->rank = 0;
    for (int d = 0, k = 0; d < whole.rank; d++) {
        affine form = part.dim[d] == 1 ? (affine){0} : own.axis[k++];
        if (whole.dim[d] == 1)
            continue;
        form.offset += before[d];
        result->extent[result->rank] = whole.dim[d];
        result->axis[result->rank++] = form;
    }
    return true;
}
