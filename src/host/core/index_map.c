#include "index_map.h"

affine affine_of(int d)
{
    affine form = {0};
    form.coef[d] = 1;
    return form;
}

index_map index_map_identity(int rank)
{
    index_map map = {0};
    for (int d = 0; d < rank; d++)
        map.axis[d] = affine_of(d);
    return map;
}

affine affine_compose(const affine *f, int rank, const affine *axis)
{
    affine result = {.offset = f->offset};
    for (int d = 0; d < rank; d++) {
        if (!f->coef[d])
            continue;
        result.offset += f->coef[d] * axis[d].offset;
        for (int e = 0; e < CLG_MAX_DIMS; e++)
            result.coef[e] += f->coef[d] * axis[d].coef[e];
    }
    return result;
}

void affine_range(const affine *f, int rank, const int64_t *extent, int64_t *least, int64_t *most)
{
    *least = *most = f->offset;
    for (int d = 0; d < rank; d++)
        *(f->coef[d] < 0 ? least : most) += f->coef[d] * (extent[d] - 1);
}

/* ---------------------------------------------------------------- solving */

static int64_t modulo(int64_t a, int64_t b) { return (a % b + b) % b; } /* b > 0: 0..b-1 */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A map being solved. The new space's free dimensions are numbered behind all parts only at the end: until then they
 * are kept from the end of the arrays backwards. */
typedef struct solver {
    inverse_map *out;
    int rank;
    const int64_t *extent;
    bool solved[CLG_MAX_DIMS]; /* dimensions of the old space */
    int free_rank;
} solver;

static int add_part(solver *s, int axis, int64_t extent)
{
    inverse_map *out = s->out;
    if (out->part_rank + s->free_rank == CLG_MAX_DIMS)
        return -1;
    out->extent[out->part_rank] = extent;
    out->part_count[axis]++;
    return out->part_rank++;
}

static int add_free(solver *s, int64_t extent)
{
    if (s->out->part_rank + s->free_rank == CLG_MAX_DIMS)
        return -1;
    int d = CLG_MAX_DIMS - 1 - s->free_rank++;
    s->out->extent[d] = extent;
    return d;
}

/* form = offset + stride x of dimension x, which counts up: the elements that are read, and those between them; an
 * operand of many slices has a gradient in many parts. */
static bool solve_run(solver *s, int axis, int64_t extent, int64_t offset, int x, int64_t stride)
{
    inverse_map *out = s->out;
    const int64_t skipped = offset < 0 ? (stride - 1 - offset) / stride : 0; /* positions before the first element */
    const int64_t first = offset + stride * skipped;
    int64_t count = first < extent ? (extent - 1 - first) / stride + 1 : 0;
    if (count > s->extent[x] - skipped)
        count = s->extent[x] - skipped > 0 ? s->extent[x] - skipped : 0;
    out->base[axis] = count > 0 ? first : 0;
    const int q = add_part(s, axis, count), rest = stride > 1 ? add_part(s, axis, stride) : 0;
    if (q < 0 || rest < 0)
        return false;
    out->position[x] = affine_of(q);
    out->position[x].offset = skipped;
    if (stride > 1)
        out->condition[out->condition_count++] = affine_of(rest);
    return true;
}

/* form = offset + u x + v y of dimensions x and y, both counting up: the axis's elements are base + stride q + r. */
static bool solve_window(solver *s, int axis, int64_t extent, int64_t offset, int x, int64_t u, int y, int64_t v)
{
    inverse_map *out = s->out;
    int64_t measure = common_divisor(u, v);
    u /= measure;
    v /= measure;
    if (v > u) {
        int z = x;
        int64_t w = u;
        x = y, u = v;
        y = z, v = w;
    }
    if (v > 1)
        return false;
    if (u == 1 && v == 1 && y < x) { /* the result's dimensions come first: those of a sum stay free */
        int z = x;
        x = y;
        y = z;
    }
    if (measure == 1 && v == 1 && u > 1 && y < x) { /* dilated: the same */
        int i = add_part(s, axis, extent), k = add_free(s, s->extent[x]);
        if (i < 0 || k < 0)
            return false;
        out->position[x] = affine_of(k);
        out->position[y] = affine_of(i);
        out->position[y].offset = -offset;
        out->position[y].coef[k] = -u;
        return true;
    }
    int64_t stride = u * measure; /* of x, in elements; y's is measure */
    if (stride == 1) {
        int i = add_part(s, axis, extent), k = add_free(s, s->extent[y]);
        if (i < 0 || k < 0)
            return false;
        out->position[x] = affine_of(i);
        out->position[x].offset = -offset;
        out->position[x].coef[k] = -1;
        out->position[y] = affine_of(k);
        return true;
    }
    /* elements base + stride q + measure r + rest: x = q - j (and how far base lies from offset), y = u j + r, rest 0.
     * Of every other element with an odd offset the parities change places instead: x = q + r - j, y = 2 j + 1 - r, and
     * the elements are those of the axis, without one before it. */
    int64_t base = modulo(offset, stride) ? modulo(offset, stride) - stride : 0;
    const int64_t shift = (base - offset) / stride;
    const bool swap = base != 0 && stride == 2 && measure == 1;
    out->base[axis] = base = swap ? 0 : base;
    int64_t span = extent - base;
    int q = add_part(s, axis, span > 0 ? (span + stride - 1) / stride : 0), r = 0, rest = 0;
    if (u > 1)
        r = add_part(s, axis, u);
    if (measure > 1)
        rest = add_part(s, axis, measure);
    const int j = add_free(s, (s->extent[y] + u - 1) / u);
    if (q < 0 || r < 0 || rest < 0 || j < 0)
        return false;
    out->position[x] = affine_of(q);
    out->position[x].offset = shift;
    out->position[x].coef[j] = -1;
    out->position[y] = (affine){0};
    out->position[y].coef[j] = u;
    if (u > 1)
        out->position[y].coef[r] = swap ? -1 : 1;
    if (swap) {
        out->position[y].offset = 1;
        out->position[x].coef[r] = 1;
    }
    if (measure > 1)
        out->condition[out->condition_count++] = affine_of(rest);
    return true;
}

/* One axis: which dimensions its form has; those that count down are turned round first. */
static bool solve_form(solver *s, int axis, affine form, int64_t extent)
{
    int terms[2], count = 0;
    for (int d = 0; d < s->rank; d++) {
        if (!form.coef[d] || s->extent[d] == 1)
            continue;
        if (count == 2 || s->solved[d])
            return false;
        terms[count++] = d;
        s->solved[d] = true;
    }
    if (count == 0) {
        s->out->base[axis] = form.offset;
        return add_part(s, axis, 1) >= 0;
    }
    bool down[2] = {false, false};
    int64_t stride[2] = {0, 0};
    for (int t = 0; t < count; t++) {
        stride[t] = form.coef[terms[t]];
        down[t] = stride[t] < 0;
        if (down[t]) {
            form.offset += stride[t] * (s->extent[terms[t]] - 1);
            stride[t] = -stride[t];
        }
    }
    if (count == 1 ? !solve_run(s, axis, extent, form.offset, terms[0], stride[0])
                   : !solve_window(s, axis, extent, form.offset, terms[0], stride[0], terms[1], stride[1]))
        return false;
    for (int t = 0; t < count; t++) {
        affine *position = &s->out->position[terms[t]];
        if (!down[t])
            continue;
        position->offset = s->extent[terms[t]] - 1 - position->offset;
        for (int e = 0; e < CLG_MAX_DIMS; e++)
            position->coef[e] = -position->coef[e];
    }
    return true;
}

/* Moves the free dimensions, which are at the end in reverse order, to where the parts end. */
static void close_gap(solver *s)
{
    inverse_map *out = s->out;
    int order[CLG_MAX_DIMS], rank = out->part_rank + s->free_rank;
    int64_t extent[CLG_MAX_DIMS];
    for (int d = 0; d < rank; d++) {
        order[d] = d < out->part_rank ? d : CLG_MAX_DIMS - 1 - (d - out->part_rank);
        extent[d] = out->extent[order[d]];
    }
    for (int d = 0; d < rank; d++)
        out->extent[d] = extent[d];
    out->rank = rank;
    for (int i = 0; i < s->rank + out->condition_count; i++) {
        affine *f = i < s->rank ? &out->position[i] : &out->condition[i - s->rank], old = *f;
        for (int d = 0; d < CLG_MAX_DIMS; d++)
            f->coef[d] = d < rank ? old.coef[order[d]] : 0;
    }
}

bool index_map_solve(const affine *axis, int rank, const int64_t *extent, clg_shape operand, inverse_map *inverse)
{
    solver s = {.out = inverse, .rank = rank, .extent = extent};
    *inverse = (inverse_map){0};
    for (int k = 0; k < operand.rank; k++)
        if (!solve_form(&s, k, axis[k], operand.dim[k]))
            return false;
    for (int d = 0; d < rank; d++) { /* what the operand does not depend on */
        if (s.solved[d] || extent[d] == 1)
            continue;
        int k = add_free(&s, extent[d]);
        if (k < 0)
            return false;
        inverse->position[d] = affine_of(k);
    }
    close_gap(&s);
    return true;
}
