/* Convolutions, as contractions: the result's spatial position o and the weights' i read x at stride o + dilation i -
 * before. */
#include "array.h"
#include "build.h"

#include <string.h>

enum { MOST_SPATIAL = 3 };
#define GROUPS '#' /* the name of the axis of groups, which no layout has */

/* What the axes of an array are: one letter each, from a layout. */
typedef struct axes_names {
    int rank;
    char name[CLG_MAX_DIMS];
} axes_names;

typedef struct convolution {
    const char *op, *layout;
    axes_names x, w, y;
    int spatial; /* how many axes, by name: */
    char letter[MOST_SPATIAL];
    int64_t stride[MOST_SPATIAL], dilation[MOST_SPATIAL], before[MOST_SPATIAL], after[MOST_SPATIAL];
    int64_t groups;
} convolution;

static int find_axis(const axes_names *axes, char name)
{
    for (int k = 0; k < axes->rank; k++)
        if (axes->name[k] == name)
            return k;
    return -1;
}

/* ---------------------------------------------------------------- layouts */

/* Reads letters up to an end; false if one occurs twice or there are too many. */
static bool read_axes(const char **at, const char *end, axes_names *axes)
{
    size_t length = strcspn(*at, end);
    axes->rank = 0;
    for (size_t i = 0; i < length; i++) {
        char c = (*at)[i];
        if (c < 'A' || c > 'Z' || find_axis(axes, c) >= 0 || axes->rank == MOST_SPATIAL + 2)
            return false;
        axes->name[axes->rank++] = c;
    }
    *at += length;
    return true;
}

/* Whether a layout's arrays have the axes that they must have, and the same spatial ones, which are then in the order
 * of x's. */
static bool read_layout(const char *layout, convolution *c)
{
    const char *at = layout;
    if (!read_axes(&at, ",", &c->x) || *at++ != ',' || !read_axes(&at, "-", &c->w) || strncmp(at, "->", 2) != 0)
        return false;
    at += 2;
    if (!read_axes(&at, "", &c->y) || c->x.rank != c->w.rank || c->x.rank != c->y.rank)
        return false;
    if (find_axis(&c->x, 'N') < 0 || find_axis(&c->x, 'C') < 0 || find_axis(&c->y, 'N') < 0 ||
        find_axis(&c->y, 'C') < 0 || find_axis(&c->w, 'O') < 0 || find_axis(&c->w, 'I') < 0)
        return false;
    c->spatial = 0;
    for (int k = 0; k < c->x.rank; k++) {
        char name = c->x.name[k];
        if (name == 'N' || name == 'C')
            continue;
        if (name == 'O' || name == 'I' || c->spatial == MOST_SPATIAL || find_axis(&c->w, name) < 0 ||
            find_axis(&c->y, name) < 0)
            return false;
        c->letter[c->spatial++] = name;
    }
    return c->spatial >= 1;
}

/* ---------------------------------------------------------------- options */

/* An option's extents for the spatial axes, or a default if its rank is 0; false if it does not fit. */
static bool read_extents(const clg_shape *option, const convolution *c, int64_t least, int64_t usual, int64_t *out)
{
    if (option->rank != 0 && option->rank != c->spatial)
        return false;
    for (int i = 0; i < c->spatial; i++) {
        out[i] = option->rank ? option->dim[i] : usual;
        if (out[i] < least || out[i] > INT32_MAX)
            return false;
    }
    return true;
}

static bool read_options(clg_graph *g, const clg_conv_options *o, clg_shape x, clg_shape w, convolution *c)
{
    static const char *const usual[] = {"NCW,OIW->NCW", "NCHW,OIHW->NCHW", "NCDHW,OIDHW->NCDHW"};
    c->layout = o->layout ? o->layout : x.rank >= 3 && x.rank <= 5 ? usual[x.rank - 3] : "";
    c->groups = o->groups ? o->groups : 1;
    if (!read_layout(c->layout, c) || c->x.rank != x.rank || c->w.rank != w.rank) {
        graph_fail(
            g, CLG_ERROR_ARGUMENT,
            "%s: layout \"%s\" does not describe x %s and weights %s: it is like \"NCHW,OIHW->NCHW\", with one to "
            "%d spatial axes",
            c->op, o->layout ? o->layout : "(usual)", shape_text(x), shape_text(w), MOST_SPATIAL);
        return false;
    }
    if (!read_extents(&o->stride, c, 1, 1, c->stride) || !read_extents(&o->dilation, c, 1, 1, c->dilation) ||
        !read_extents(&o->before, c, 0, 0, c->before) || !read_extents(&o->after, c, 0, 0, c->after)) {
        graph_fail(
            g, CLG_ERROR_ARGUMENT,
            "%s: stride %s, dilation %s (at least 1), before %s and after %s (at least 0) need an extent for each "
            "of %d spatial axes, or none",
            c->op, shape_text(o->stride), shape_text(o->dilation), shape_text(o->before), shape_text(o->after),
            c->spatial);
        return false;
    }
    if (o->same && (o->before.rank || o->after.rank)) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: same chooses the padding: before %s and after %s must have rank 0",
                   c->op, shape_text(o->before), shape_text(o->after));
        return false;
    }
    if (c->groups < 1 || w.dim[find_axis(&c->w, 'O')] % c->groups != 0) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: %lld groups do not divide the output channels of weights %s", c->op,
                   (long long)c->groups, shape_text(w));
        return false;
    }
    return true;
}

/* Padding so that a convolution of an axis of n elements gives ceil(n / stride). */
static void pad_same(convolution *c, int i, int64_t n, int64_t size)
{
    int64_t count = (n + c->stride[i] - 1) / c->stride[i];
    int64_t total = (count - 1) * c->stride[i] + c->dilation[i] * (size - 1) + 1 - n;
    c->before[i] = total > 0 ? total / 2 : 0;
    c->after[i] = total > 0 ? total - c->before[i] : 0;
}

/* ---------------------------------------------------------------- groups */

/* The channel axis of a shape cut in two where there are several groups: (.., G, channels / G, ..); GROUPS is its name
 * among the axes. */
static clg_shape cut_shape(clg_shape shape, axes_names *axes, char channels, int64_t groups)
{
    int at = find_axis(axes, channels);
    if (groups == 1)
        return shape;
    for (int k = shape.rank; k > at; k--) {
        shape.dim[k] = shape.dim[k - 1];
        axes->name[k] = axes->name[k - 1];
    }
    shape.dim[at] = groups;
    shape.dim[at + 1] /= groups;
    axes->name[at] = GROUPS;
    shape.rank++;
    axes->rank++;
    return shape;
}

static clg_var cut_groups(clg_var x, axes_names *axes, char channels, int64_t groups)
{
    return x.id < 0 ? x : views_reshape(x, cut_shape(clg_shape_of(x), axes, channels, groups));
}

/* ---------------------------------------------------------------- the contraction */

/* The contraction of x and w, both cut into groups, to y of a shape. Summed dimensions are in the order of x's axes. */
static contraction describe(const convolution *c, clg_shape y, clg_shape w)
{
    contraction k = {.rank = c->y.rank, .result_rank = c->y.rank};
    int inner[CLG_MAX_DIMS]; /* of each axis of x: the summed dimension */
    memcpy(k.extent, y.dim, sizeof k.extent);
    for (int a = 0; a < c->x.rank; a++) {
        char name = c->x.name[a];
        if (name == 'N' || name == GROUPS)
            continue;
        inner[a] = k.rank;
        k.extent[k.rank++] = w.dim[find_axis(&c->w, name == 'C' ? 'I' : name)];
    }
    for (int a = 0; a < c->x.rank; a++) {
        char name = c->x.name[a];
        int out = find_axis(&c->y, name);
        if (name == 'N' || name == GROUPS) {
            k.axis[0][a] = affine_of(out);
            continue;
        }
        k.axis[0][a] = affine_of(inner[a]);
        int weights = find_axis(&c->w, name == 'C' ? 'I' : name);
        k.axis[1][weights] = affine_of(inner[a]);
        for (int i = 0; i < c->spatial; i++)
            if (c->letter[i] == name) {
                k.axis[0][a].offset = -c->before[i];
                k.axis[0][a].coef[inner[a]] = c->dilation[i];
                k.axis[0][a].coef[out] = c->stride[i];
            }
    }
    k.axis[1][find_axis(&c->w, 'O')] = affine_of(find_axis(&c->y, 'C'));
    if (c->groups > 1)
        k.axis[1][find_axis(&c->w, GROUPS)] = affine_of(find_axis(&c->y, GROUPS));
    return k;
}

/* The result's shape of a convolution of an array of shape x. False, with an error: a window does not fit. */
static bool result_shape(clg_graph *g, convolution *c, bool same, clg_shape x, clg_shape w, clg_shape *y)
{
    *y = (clg_shape){.rank = c->y.rank};
    for (int k = 0; k < c->y.rank; k++) {
        char name = c->y.name[k];
        y->dim[k] = name == 'N' ? x.dim[find_axis(&c->x, 'N')] : name == 'C' ? w.dim[find_axis(&c->w, 'O')] : 0;
        for (int i = 0; i < c->spatial; i++) {
            if (c->letter[i] != name)
                continue;
            int64_t n = x.dim[find_axis(&c->x, name)], size = w.dim[find_axis(&c->w, name)];
            if (same)
                pad_same(c, i, n, size);
            int64_t room = n + c->before[i] + c->after[i] - c->dilation[i] * (size - 1) - 1;
            if (room < 0 || size < 1) {
                graph_fail(g, CLG_ERROR_ARGUMENT,
                           "%s: weights %s (dilation %lld) do not fit x %s, padded by %lld and %lld, along %c", c->op,
                           shape_text(w), (long long)c->dilation[i], shape_text(x), (long long)c->before[i],
                           (long long)c->after[i], name);
                return false;
            }
            y->dim[k] = room / c->stride[i] + 1;
        }
    }
    return graph_check_count(g, c->op, *y);
}

clg_var clg_conv(clg_var x, clg_var weights, clg_conv_options options)
{
    convolution c = {.op = "conv"};
    clg_dtype result;
    if (!contract_operands(c.op, &x, &weights, &result))
        return POISON(x.graph);
    clg_graph *g = x.graph;
    clg_shape from = clg_shape_of(x), w = clg_shape_of(weights), shape;
    if (!read_options(g, &options, from, w, &c))
        return POISON(g);
    int64_t channels = from.dim[find_axis(&c.x, 'C')], inputs = w.dim[find_axis(&c.w, 'I')];
    if (channels != inputs * c.groups)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "conv: x %s has %lld channels, weights %s in %lld groups take %lld",
                          shape_text(from), (long long)channels, shape_text(w), (long long)c.groups,
                          (long long)(inputs * c.groups));
    if (!result_shape(g, &c, options.same, from, w, &shape))
        return POISON(g);
    x = cut_groups(x, &c.x, 'C', c.groups);
    weights = cut_groups(weights, &c.w, 'O', c.groups);
    clg_shape cut = cut_shape(shape, &c.y, 'C', c.groups);
    contraction k = describe(&c, cut, clg_shape_of(weights));
    return clg_cast(views_reshape(contract_node(x, weights, &k), shape), result);
}

/* ---------------------------------------------------------------- transposed */

/* The result's shape of a transposed convolution of an array of shape x, whose axes c->x names. False, with an error:
 * there is none. */
static bool transposed_shape(clg_graph *g, convolution *c, bool same, const int64_t *extra, clg_shape x, clg_shape w,
                             clg_shape *y)
{
    *y = (clg_shape){.rank = c->y.rank};
    for (int k = 0; k < c->y.rank; k++) {
        char name = c->y.name[k];
        y->dim[k] = name == 'N' ? x.dim[find_axis(&c->x, 'N')] : w.dim[find_axis(&c->w, 'I')] * c->groups;
        for (int i = 0; i < c->spatial; i++) {
            if (c->letter[i] != name)
                continue;
            int64_t n = x.dim[find_axis(&c->x, name)], size = w.dim[find_axis(&c->w, name)];
            if (same)
                pad_same(c, i, n * c->stride[i], size);
            int64_t reach = (n - 1) * c->stride[i] - c->before[i] - c->after[i] + c->dilation[i] * (size - 1) + 1;
            y->dim[k] = (same ? n * c->stride[i] : reach) + extra[i];
            if (n == 0 || y->dim[k] < 0 || extra[i] >= larger(c->stride[i], c->dilation[i])) {
                graph_fail(g, CLG_ERROR_ARGUMENT,
                           "%s: no result along %c of x %s: weights %s, stride %lld, padding %lld and %lld, "
                           "output_padding %lld (below stride or dilation)",
                           c->op, name, shape_text(x), shape_text(w), (long long)c->stride[i], (long long)c->before[i],
                           (long long)c->after[i], (long long)extra[i]);
                return false;
            }
        }
    }
    return graph_check_count(g, c->op, *y);
}

/* The gradient of the convolution whose x has the result's shape and whose result has x's. */
clg_var clg_conv_transpose(clg_var x, clg_var weights, clg_conv_options options)
{
    convolution c = {.op = "conv_transpose"};
    clg_dtype result;
    if (!contract_operands(c.op, &x, &weights, &result))
        return POISON(x.graph);
    clg_graph *g = x.graph;
    clg_shape from = clg_shape_of(x), w = clg_shape_of(weights), shape;
    int64_t extra[MOST_SPATIAL];
    if (!read_options(g, &options, from, w, &c))
        return POISON(g);
    if (!read_extents(&options.output_padding, &c, 0, 0, extra))
        return graph_fail(g, CLG_ERROR_ARGUMENT,
                          "conv_transpose: output_padding %s needs an extent for each of %d spatial axes",
                          shape_text(options.output_padding), c.spatial);
    if (from.dim[find_axis(&c.x, 'C')] != w.dim[find_axis(&c.w, 'O')])
        return graph_fail(g, CLG_ERROR_ARGUMENT, "conv_transpose: x %s and weights %s differ in channels (O)",
                          shape_text(from), shape_text(w));
    if (!transposed_shape(g, &c, options.same, extra, from, w, &shape))
        return POISON(g);
    axes_names small = c.x; /* of the convolution: x is its result */
    c.x = c.y;
    c.y = small;
    clg_shape cut = cut_shape(shape, &c.x, 'C', c.groups);
    x = cut_groups(x, &c.y, 'C', c.groups);
    weights = cut_groups(weights, &c.w, 'O', c.groups);
    contraction k = describe(&c, clg_shape_of(x), clg_shape_of(weights));
    clg_var like = graph_constant(g, clg_dtype_of(x), graph_shape(g, c.op, cut), 0);
    if (like.id < 0 || x.id < 0 || weights.id < 0)
        return POISON(g);
    return clg_cast(views_reshape(contract_adjoint(&k, like, weights, 0, x), shape), result);
}
