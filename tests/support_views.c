/* Random chains of views against plain index arithmetic: the arrays and the views. */
#include "support_views.h"

#include "support_dtype.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- arrays in plain C */

void views_put(void *element, size_t size, uint64_t bits)
{
    const uint8_t byte = (uint8_t)bits;
    const uint16_t half = (uint16_t)bits;
    const uint32_t word = (uint32_t)bits;
    memcpy(element,
           size == 8   ? (const void *)&bits
           : size == 4 ? (const void *)&word
           : size == 2 ? (const void *)&half
                       : &byte,
           size);
}

uint64_t views_get(const void *element, size_t size)
{
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t bits;
    memcpy(size == 8 ? (void *)&bits : size == 4 ? (void *)&word : size == 2 ? (void *)&half : &byte, element, size);
    return size == 8 ? bits : size == 4 ? word : size == 2 ? half : byte;
}

double views_from_bits(clg_dtype dtype, uint64_t bits)
{
    char element[8];
    views_put(element, clg_dtype_size(dtype), bits);
    return support_decode(dtype, element);
}

/* A number as an element: integers truncate and saturate, and have 0 for NaN. */
uint64_t views_to_bits(clg_dtype dtype, double value)
{
    char element[8];
    support_encode(dtype, support_cast(CLG_F64, dtype, value), element);
    return views_get(element, clg_dtype_size(dtype));
}

void views_cast(host *h, clg_dtype dtype)
{
    for (int64_t i = 0; i < clg_shape_count(h->shape) && dtype != h->dtype; i++)
        h->bits[i] = views_to_bits(dtype, views_from_bits(h->dtype, h->bits[i]));
    h->dtype = dtype;
}

int64_t views_flat(clg_shape shape, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < shape.rank; d++)
        i = i * shape.dim[d] + at[d];
    return i;
}

void views_unflat(clg_shape shape, int64_t i, int64_t *at)
{
    for (int d = shape.rank - 1; d >= 0; d--) {
        at[d] = i % shape.dim[d];
        i /= shape.dim[d];
    }
}

/* ---------------------------------------------------------------- a chain of views */

uint32_t views_below(chain *c, uint32_t bound) { return clg_random_below(c->random, bound); }
bool views_chance(chain *c, uint32_t one_in) { return views_below(c, one_in) == 0; }

void views_note(chain *c, const char *format, ...)
{
    size_t used = strlen(c->log);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->log + used, sizeof c->log - used, format, arguments);
    va_end(arguments);
}

const char *views_text(clg_shape shape)
{
    static char texts[4][200];
    static int next;
    next = (next + 1) % 4;
    return clg_shape_format(shape, texts[next], sizeof texts[next]);
}

bool views_fit(clg_shape shape) { return shape.rank <= CLG_MAX_RANK && clg_shape_count(shape) <= VIEWS_MAX_ELEMENTS; }

static uint64_t random_element(chain *c, clg_dtype dtype)
{
    static const double wild[] = {-0.0, INFINITY, -INFINITY, INT32_MIN, INT32_MAX, 255};
    if (views_chance(c, 8) && dtype != CLG_U8 && dtype != CLG_BOOL)
        return views_to_bits(dtype, wild[views_below(c, 6)]);
    if (views_chance(c, 16) && (dtype == CLG_F32 || dtype == CLG_F64)) /* a quiet NaN with a payload */
        return dtype == CLG_F32 ? 0x7fc00000u + views_below(c, 1000) : 0x7ff8000000000000u + views_below(c, 1000);
    double value = dtype == CLG_U8     ? views_below(c, 256)
                   : dtype == CLG_BOOL ? views_below(c, 2)
                                       : (double)views_below(c, 100) - 50;
    return views_to_bits(dtype, clg_dtype_is_real(dtype) ? value / 8 : value);
}

clg_dtype views_dtype(chain *c)
{
    clg_dtype dtype = (clg_dtype)views_below(c, CLG_DTYPE_COUNT);
    return dtype == CLG_F64 && !clg_device_get_info(clg_graph_device(c->g))->has_f64 ? CLG_F32 : dtype;
}

static clg_var random_leaf(chain *c, clg_dtype dtype, clg_shape shape, bool original, host *h)
{
    char data[VIEWS_MAX_ELEMENTS * 8];
    size_t size = clg_dtype_size(dtype);
    h->dtype = dtype;
    h->shape = shape;
    for (int64_t i = 0; i < clg_shape_count(shape); i++) {
        h->bits[i] = random_element(c, dtype);
        h->origin[i] = original ? i : -1;
        h->slope[i] = original;
        views_put(data + (size_t)i * size, size, h->bits[i]);
    }
    return clg_array(c->g, dtype, shape, data);
}

clg_var views_other(chain *c, clg_dtype dtype, clg_shape shape, host *h)
{
    return random_leaf(c, dtype, shape, false, h);
}

/* An extent, seldom 0. */
static int64_t extent(chain *c, uint32_t most) { return views_chance(c, 100) ? 0 : 1 + views_below(c, most); }

chain *views_chain(clg_device *device, clg_random *random)
{
    chain *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->g = clg_graph_new(device);
    c->random = random;
    c->now = &c->arrays[0];
    c->next = &c->arrays[1];
    clg_shape shape = {.rank = (int)views_below(c, CLG_MAX_RANK + 1)};
    do
        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = extent(c, shape.rank > 4 ? 3 : 7);
    while (clg_shape_count(shape) > 300);
    clg_dtype dtype = views_dtype(c);
    if (views_chance(c, 2)) /* more of those that have gradients */
        dtype = views_dtype(c) == CLG_F64 ? CLG_F64 : CLG_F32;
    c->leaf = c->x = random_leaf(c, dtype, shape, true, c->now);
    views_note(c, "%s %s", clg_dtype_name(c->now->dtype), views_text(shape));
    return c;
}

/* ---------------------------------------------------------------- one view: where each element comes from */

typedef struct view {
    clg_shape from, to;
    int axis;
    int64_t a[CLG_MAX_DIMS], b[CLG_MAX_DIMS];
    uint32_t mask;
    clg_pad_mode mode;
    uint64_t fill;
} view;

/* The operand's position for one of the result; false: the fill. */
typedef bool source(const view *v, const int64_t *at, int64_t *from);

void views_take(chain *c, clg_var x)
{
    host *old = c->now;
    c->now = c->next;
    c->next = old;
    c->x = x;
    views_note(c, " -> %s", views_text(c->now->shape));
}

/* Takes over a view of x, by a source. */
static void take(chain *c, clg_var x, const view *v, source *from_where)
{
    int64_t at[CLG_MAX_DIMS] = {0}, from[CLG_MAX_DIMS] = {0};
    host *old = c->now, *new = c->next;
    new->shape = v->to;
    new->dtype = old->dtype;
    for (int64_t i = 0; i < clg_shape_count(v->to); i++) {
        views_unflat(v->to, i, at);
        bool inside = from_where(v, at, from);
        int64_t j = inside ? views_flat(v->from, from) : 0;
        new->bits[i] = inside ? old->bits[j] : v->fill;
        new->origin[i] = inside ? old->origin[j] : -1;
        new->slope[i] = inside ? old->slope[j] : 0;
    }
    views_take(c, x);
}

static bool same_order(const view *v, const int64_t *at, int64_t *from)
{
    views_unflat(v->from, views_flat(v->to, at), from);
    return true;
}

/* Axes in the order a. */
static bool reordered(const view *v, const int64_t *at, int64_t *from)
{
    for (int i = 0; i < v->from.rank; i++)
        from[v->a[i]] = at[i];
    return true;
}

/* Of an axis that was broadcast the one element; the last axes are the operand's. */
static bool broadcast(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0; k < v->from.rank; k++)
        from[k] = v->from.dim[k] == 1 ? 0 : at[k + v->to.rank - v->from.rank];
    return true;
}

/* a + b at, along each axis; an element b more for each of a window's in the trailing axes. */
static bool strided(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0; k < v->from.rank; k++)
        from[k] = v->a[k] + v->b[k] * at[k];
    return true;
}

static bool modulo(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0; k < v->from.rank; k++)
        from[k] = at[k] % v->from.dim[k];
    return true;
}

static bool divided(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0; k < v->from.rank; k++)
        from[k] = k == v->axis ? at[k] / v->a[0] : at[k];
    return true;
}

/* Without the axes of a mask, at index a. */
static bool without(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0, i = 0; k < v->from.rank; k++)
        from[k] = v->mask >> k & 1 ? v->a[0] : at[i++];
    return true;
}

static bool padded(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0; k < v->from.rank; k++) {
        int64_t n = v->from.dim[k], i = at[k] - v->a[k];
        if (v->mode == CLG_PAD_CONSTANT && (i < 0 || i >= n))
            return false;
        while (v->mode == CLG_PAD_WRAP && i < 0)
            i += n;
        if (v->mode == CLG_PAD_WRAP)
            i %= n;
        if (v->mode == CLG_PAD_REFLECT)
            i = i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
        from[k] = i < 0 ? 0 : i >= n ? n - 1 : i;
    }
    return true;
}

/* ---------------------------------------------------------------- random views; none if this x is not for it */

static void try_permute(chain *c)
{
    view v = {.from = c->now->shape, .to = {.rank = c->now->shape.rank}};
    clg_axes order = {.count = v.from.rank};
    int32_t axes[CLG_MAX_DIMS] = {0, 1, 2, 3, 4, 5, 6, 7};
    clg_random_shuffle(c->random, axes, (size_t)order.count);
    views_note(c, "; permute");
    for (int i = 0; i < order.count; i++) {
        v.a[i] = axes[i];
        v.to.dim[i] = v.from.dim[axes[i]];
        order.axis[i] = axes[i] - (views_chance(c, 4) ? order.count : 0);
        views_note(c, " %d", order.axis[i]);
    }
    take(c, clg_permute(c->x, order), &v, reordered);
}

static void try_swap_axes(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape};
    int rank = v.from.rank;
    if (rank < 2)
        return;
    int a = views_chance(c, 3) ? rank - 2 : (int)views_below(c, (uint32_t)rank), b = rank - 1;
    for (int i = 0; i < rank; i++) {
        v.a[i] = i == a ? b : i == b ? a : i;
        v.to.dim[i] = v.from.dim[v.a[i]];
    }
    views_note(c, "; swap_axes %d %d", a, b);
    take(c, a == rank - 2 ? clg_transpose(c->x) : clg_swap_axes(c->x, a - rank, b), &v, reordered);
}

static void try_reshape(chain *c)
{
    view v = {.from = c->now->shape, .to = {.rank = (int)views_below(c, CLG_MAX_RANK + 1)}};
    int64_t rest = clg_shape_count(v.from);
    if (rest == 0 || (v.to.rank == 0 && rest > 1))
        return;
    for (int d = 0; d < v.to.rank; d++) {
        int64_t n = d == v.to.rank - 1 ? rest : 1 + views_below(c, 8);
        v.to.dim[d] = rest % n ? 1 : n;
        rest /= v.to.dim[d];
    }
    clg_shape given = v.to;
    if (given.rank && views_chance(c, 2))
        given.dim[views_below(c, (uint32_t)given.rank)] = -1;
    views_note(c, "; reshape");
    take(c, clg_reshape(c->x, given), &v, same_order);
}

static void try_broadcast(chain *c)
{
    view v = {.from = c->now->shape, .to = {0}};
    int lead = (int)views_below(c, 3);
    for (int d = 0; d < lead; d++)
        v.to.dim[v.to.rank++] = extent(c, 3);
    for (int d = 0; d < v.from.rank && v.to.rank < CLG_MAX_DIMS; d++)
        v.to.dim[v.to.rank++] = v.from.dim[d] == 1 ? extent(c, 4) : v.from.dim[d];
    if (!views_fit(v.to))
        return;
    views_note(c, "; broadcast_to");
    take(c, clg_broadcast_to(c->x, v.to), &v, broadcast);
}

/* Where Python's slice begins, and how many elements it has. */
static int64_t slice_of(int64_t n, int64_t *start, int64_t stop, int64_t step)
{
    int64_t first = step < 0 ? -1 : 0, last = step < 0 ? n - 1 : n;
    *start = *start < 0 ? (*start + n < first ? first : *start + n) : *start > last ? last : *start;
    stop = stop < 0 ? (stop + n < first ? first : stop + n) : stop > last ? last : stop;
    int64_t count = 0;
    for (int64_t i = *start; step < 0 ? i > stop : i < stop; count++)
        if (__builtin_add_overflow(i, step, &i))
            return count + 1;
    return count;
}

/* A number at either side of an axis of n elements, or far beyond. */
static int64_t slice_end(chain *c, int64_t n, bool last)
{
    int64_t far = last ? INT64_MAX : INT64_MIN;
    return views_chance(c, 2) ? far : (int64_t)views_below(c, (uint32_t)(2 * n + 5)) - n - 2;
}

static void try_slice(chain *c)
{
    static const int64_t steps[] = {1, 2, 3, -1, -2, -3, 7, -1000, INT64_MAX, -INT64_MAX};
    view v = {.from = c->now->shape, .to = c->now->shape};
    if (v.from.rank == 0)
        return;
    int axis = (int)views_below(c, (uint32_t)v.from.rank);
    int64_t n = v.from.dim[axis], step, start, stop, first;
    do { /* seldom nothing */
        step = steps[views_below(c, views_chance(c, 4) ? 10 : 6)];
        first = start = slice_end(c, n, step < 0);
        stop = slice_end(c, n, step > 0);
        v.to.dim[axis] = slice_of(n, &first, stop, step);
    } while (v.to.dim[axis] == 0 && n > 0 && !views_chance(c, 40));
    for (int d = 0; d < v.from.rank; d++) {
        v.a[d] = d == axis ? first : 0;
        v.b[d] = d == axis && v.to.dim[d] > 1 ? step : 1;
    }
    views_note(c, "; slice axis %d, %" PRId64 ":%" PRId64 ":%" PRId64, axis, start, stop, step);
    take(c, clg_slice(c->x, axis, start, stop, step), &v, strided);
}

static void try_split(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape};
    clg_var parts[4];
    int64_t sizes[4], rest, start = 0;
    if (v.from.rank == 0)
        return;
    int axis = (int)views_below(c, (uint32_t)v.from.rank), count = 1 + (int)views_below(c, 4),
        which = (int)views_below(c, (uint32_t)count);
    rest = v.from.dim[axis];
    for (int i = 0; i < count; i++) {
        sizes[i] = i == count - 1 ? rest : (int64_t)views_below(c, (uint32_t)rest + 1);
        rest -= sizes[i];
        start += i < which ? sizes[i] : 0;
    }
    if (sizes[which] == 0 && !views_chance(c, 8))
        return;
    v.to.dim[axis] = sizes[which];
    for (int d = 0; d < v.from.rank; d++) {
        v.a[d] = d == axis ? start : 0;
        v.b[d] = 1;
    }
    views_note(c, "; split axis %d, part %d of %d", axis, which, count);
    assert_int_equal(clg_split(c->x, axis - v.from.rank, sizes, count, parts), CLG_OK);
    take(c, parts[which], &v, strided);
}

static clg_axes axes_of(uint32_t mask)
{
    clg_axes axes = {0};
    for (int d = 0; d < CLG_MAX_RANK; d++)
        if (mask >> d & 1)
            axes.axis[axes.count++] = d;
    return axes;
}

static void try_flip(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape, .mask = views_below(c, 1u << c->now->shape.rank)};
    for (int d = 0; d < v.from.rank; d++) {
        v.a[d] = v.mask >> d & 1 ? v.from.dim[d] - 1 : 0;
        v.b[d] = v.mask >> d & 1 ? -1 : 1;
    }
    views_note(c, "; flip %x", v.mask);
    take(c, clg_flip(c->x, axes_of(v.mask)), &v, strided);
}

static void try_index(chain *c)
{
    view v = {.from = c->now->shape, .to = {0}};
    int axis = v.from.rank ? (int)views_below(c, (uint32_t)v.from.rank) : 0;
    if (v.from.rank == 0 || v.from.dim[axis] == 0)
        return;
    v.mask = 1u << axis;
    v.a[0] = views_below(c, (uint32_t)v.from.dim[axis]);
    for (int d = 0; d < v.from.rank; d++)
        if (d != axis)
            v.to.dim[v.to.rank++] = v.from.dim[d];
    views_note(c, "; index axis %d, %d", axis, (int)v.a[0]);
    take(c, clg_index(c->x, axis, v.a[0] - (views_chance(c, 2) ? v.from.dim[axis] : 0)), &v, without);
}

static void try_squeeze(chain *c)
{
    view v = {.from = c->now->shape, .to = {0}};
    bool all = views_chance(c, 2);
    for (int d = 0; d < v.from.rank; d++) {
        if (v.from.dim[d] == 1 && (all || views_chance(c, 2)))
            v.mask |= 1u << d;
        else
            v.to.dim[v.to.rank++] = v.from.dim[d];
    }
    views_note(c, "; squeeze %x", v.mask);
    take(c, clg_squeeze(c->x, all ? CLG_ALL_AXES : axes_of(v.mask)), &v, without);
}

static void try_expand_dims(chain *c)
{
    view v = {.from = c->now->shape, .to = {0}};
    uint32_t mask = 0;
    for (int k = 0; k < v.from.rank || (v.to.rank < CLG_MAX_RANK && views_chance(c, 2));) {
        if (v.to.rank + v.from.rank - k < CLG_MAX_RANK && (k == v.from.rank || views_chance(c, 3))) {
            mask |= 1u << v.to.rank;
            v.to.dim[v.to.rank++] = 1;
        } else if (k < v.from.rank) {
            v.to.dim[v.to.rank++] = v.from.dim[k++];
        }
    }
    views_note(c, "; expand_dims %x", mask);
    take(c, clg_expand_dims(c->x, axes_of(mask)), &v, same_order);
}

static bool windowed(const view *v, const int64_t *at, int64_t *from)
{
    for (int k = 0, i = v->from.rank; k < v->from.rank; k++)
        from[k] = at[k] * v->a[k] + (v->mask >> k & 1 ? v->b[k] * at[i++] : 0);
    return true;
}

static void try_window(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape};
    clg_shape size = {0}, stride = {0}, dilation = {0};
    for (int d = 0; d < v.from.rank; d++) {
        int64_t n = v.from.dim[d], room = v.from.rank + size.rank;
        v.a[d] = 1;
        if (n == 0 || room >= CLG_MAX_RANK || views_chance(c, 2))
            continue;
        v.mask |= 1u << d;
        v.a[d] = stride.dim[stride.rank++] = 1 + views_below(c, 3);
        v.b[d] = dilation.dim[dilation.rank++] = 1 + views_below(c, 3);
        size.dim[size.rank] = 1 + views_below(c, (uint32_t)((n - 1) / v.b[d] + 1));
        v.to.dim[d] = (n - 1 - v.b[d] * (size.dim[size.rank] - 1)) / v.a[d] + 1;
        v.to.dim[v.from.rank + size.rank] = size.dim[size.rank];
        size.rank++;
    }
    v.to.rank += size.rank;
    if (!v.mask || !views_fit(v.to))
        return;
    views_note(c, "; window %x, size %s, stride %s, dilation %s", v.mask, views_text(size), views_text(stride),
               views_text(dilation));
    take(c, clg_window(c->x, axes_of(v.mask), size, stride, dilation), &v, windowed);
}

static void try_pad(chain *c)
{
    static const double values[] = {0, 0, -0.0, 1, -7, 2.75, 300, INFINITY, NAN};
    view v = {.from = c->now->shape, .to = c->now->shape, .mode = (clg_pad_mode)views_below(c, 4)};
    clg_shape before = {.rank = v.from.rank}, after = before;
    double value = values[views_below(c, 9)];
    for (int d = 0; d < v.from.rank; d++) {
        uint32_t n = (uint32_t)v.from.dim[d];
        uint32_t most = v.mode == CLG_PAD_CONSTANT ? 4 : n == 0 ? 1 : v.mode == CLG_PAD_REFLECT ? (n > 4 ? 4 : n) : 6;
        before.dim[d] = views_chance(c, 2) ? 0 : views_below(c, most);
        after.dim[d] = views_chance(c, 2) ? 0 : views_below(c, most);
        v.a[d] = before.dim[d];
        v.to.dim[d] += before.dim[d] + after.dim[d];
    }
    if (!views_fit(v.to))
        return;
    v.fill = views_to_bits(c->now->dtype, value);
    c->lenient |= isnan(value);
    views_note(c, "; pad mode %d (%g), %s, %s", v.mode, value, views_text(before), views_text(after));
    take(c, clg_pad(c->x, before, after, v.mode, value), &v, padded);
}

static void try_tile(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape};
    clg_shape repeats = {.rank = v.from.rank};
    for (int d = 0; d < v.from.rank; d++) {
        repeats.dim[d] = views_chance(c, 2) ? 1 : extent(c, 3);
        v.to.dim[d] *= repeats.dim[d];
    }
    if (!views_fit(v.to))
        return;
    views_note(c, "; tile %s", views_text(repeats));
    take(c, clg_tile(c->x, repeats), &v, modulo);
}

static void try_repeat(chain *c)
{
    view v = {.from = c->now->shape, .to = c->now->shape, .a = {extent(c, 3)}};
    if (v.from.rank == 0)
        return;
    v.axis = (int)views_below(c, (uint32_t)v.from.rank);
    v.to.dim[v.axis] *= v.a[0];
    if (!views_fit(v.to))
        return;
    views_note(c, "; repeat axis %d, %d", v.axis, (int)v.a[0]);
    take(c, clg_repeat(c->x, v.axis, v.a[0]), &v, divided);
}

void views_step(chain *c)
{
    static void (*const steps[])(chain *) = {try_permute, try_swap_axes,   try_reshape, try_broadcast, try_slice,
                                             try_split,   try_flip,        try_index,   try_squeeze,   try_tile,
                                             try_repeat,  try_expand_dims, try_window,  try_pad,       try_slice,
                                             try_pad,     try_window};
    steps[views_below(c, sizeof steps / sizeof steps[0])](c);
}
