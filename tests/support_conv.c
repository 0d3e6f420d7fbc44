/* Random convolutions. */
#include "support_conv.h"

#include <stdio.h>
#include <string.h>

enum { MOST_TERMS = 60000 };

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---------------------------------------------------------------- layouts */

static void write_axes(char *text, const int *order, int rank, char first, char second, const char *letters)
{
    for (int k = 0; k < rank; k++)
        text[k] = order[k] == 0 ? first : order[k] == 1 ? second : letters[order[k] - 2];
}

static void choose_layout(conv_case *c, clg_random *random)
{
    char letters[] = "ABDEFGHJKLMPQRSTUVWXYZ"; /* no names of something else */
    int rank = 2 + c->spatial, kind = (int)below(random, 3);
    for (int a = 0; a < 3; a++) {
        int32_t order[2 + CONV_SPATIAL] = {0, 1, 2, 3, 4};
        if (kind == 1) /* NHWC, HWIO */
            for (int k = 0; k < rank; k++)
                order[k] = a < 2 ? (k == 0 ? 0 : k == rank - 1 ? 1 : k + 1) : (k < c->spatial ? k + 2 : rank - 1 - k);
        else if (kind == 2)
            clg_random_shuffle(random, order, (size_t)rank);
        for (int k = 0; k < rank; k++)
            c->order[a][k] = order[k];
    }
    for (int k = 0, next = 2; k < rank; k++) /* spatial axes are numbered by x */
        if (c->order[1][k] >= 2)
            c->order[1][k] = next++;
    if (kind == 0)
        return;
    for (int i = 0; i < c->spatial; i++) {
        int j = i + (int)below(random, (uint32_t)(sizeof letters - 1) - (uint32_t)i);
        char letter = letters[j];
        letters[j] = letters[i];
        letters[i] = letter;
    }
    write_axes(c->layout, c->order[1], rank, 'N', 'C', letters);
    c->layout[rank] = ',';
    write_axes(c->layout + rank + 1, c->order[2], rank, 'O', 'I', letters);
    c->layout[2 * rank + 1] = '-';
    c->layout[2 * rank + 2] = '>';
    write_axes(c->layout + 2 * rank + 3, c->order[0], rank, 'N', 'C', letters);
    c->options.layout = c->layout;
}

/* ---------------------------------------------------------------- windows */

enum padding { PADDING_NONE, PADDING_SAME, PADDING_GIVEN };

static void set_axis(conv_case *c, int i, const conv_axis *a, int64_t extra)
{
    int64_t span = a->dilation * (a->size - 1) + 1, padding = a->before + a->after;
    c->large[i] = c->transposed ? (a->n - 1) * a->stride - padding + span + extra : a->n;
    c->small[i] = c->transposed ? a->n : (a->n + padding - span) / a->stride + 1;
    c->size[i] = a->size;
    c->options.stride.dim[i] = c->stride[i] = a->stride;
    c->options.dilation.dim[i] = c->dilation[i] = a->dilation;
    c->options.before.dim[i] = c->before[i] = a->before;
    c->options.after.dim[i] = a->after;
    c->options.output_padding.dim[i] = extra;
}

/* Extents along axis i, and padding: given, or none where there would be no result. */
static void choose_axis(conv_case *c, int i, enum padding padding, bool strided, bool dilated, clg_random *random)
{
    /* some rows are longer than several vectors */
    int64_t n = 1 + below(random, c->spatial == 3 ? 5 : below(random, 4) ? 8 : below(random, 3) ? 16 : 70);
    int64_t before = 0, after = 0, extra = 0;
    int64_t size = 1 + below(random, c->spatial == 3 ? 3 : 4), stride = strided ? 1 + below(random, 3) : 1;
    int64_t dilation = dilated ? 1 + below(random, 3) : 1;
    if (c->transposed && dilation > 1 && (i > 0 || c->spatial == 3) && (stride > 1 || c->groups > 1))
        dilation = 1; /* a gradient is taken apart position by position: along one axis will do */
    if (padding == PADDING_GIVEN) {
        before = below(random, 4);
        after = below(random, 4);
    }
    if (padding == PADDING_SAME && c->transposed) { /* nothing is said of windows shorter than a stride */
        while (dilation * (size - 1) + 1 < stride)
            size++;
        before = (dilation * (size - 1) + 1 - stride) / 2;
        after = dilation * (size - 1) + 1 - stride - before;
    } else if (padding == PADDING_SAME) {
        int64_t missing = ((n + stride - 1) / stride - 1) * stride + dilation * (size - 1) + 1 - n;
        before = missing > 0 ? missing / 2 : 0;
        after = missing > 0 ? missing - before : 0;
    } else if (!c->transposed) {
        if (padding == PADDING_GIVEN && below(random, 20) == 0)
            n = before + after ? 0 : n;
        while (dilation * (size - 1) + 1 > n + before + after)
            if (dilation > 1 && dilated)
                dilation--;
            else
                size--;
    } else {
        extra = below(random, (uint32_t)larger(stride, dilation));
        while ((n - 1) * stride - before - after + dilation * (size - 1) + 1 + extra < 1)
            n++;
    }
    set_axis(c, i, &(conv_axis){n, size, stride, dilation, before, after}, extra);
    if (padding == PADDING_SAME) {
        int64_t full = c->transposed ? n * stride : (n + stride - 1) / stride;
        assert_int_equal(c->transposed ? c->large[i] : c->small[i], full);
    }
}

static void choose_channels(conv_case *c, clg_random *random)
{
    c->batch = below(random, 20) ? 1 + below(random, 3) : 0;
    c->groups = 1;
    c->ins = below(random, 8) ? 1 + below(random, 20) : 33;
    c->outs = below(random, 8) ? 1 + below(random, 20) : 33;
    switch (below(random, 6)) {
    case 0:
        c->groups = 2 + below(random, 3);
        c->ins = 1 + below(random, 6);
        c->outs = 1 + below(random, 6);
        break;
    case 1: /* depthwise */
        c->groups = 2 + below(random, 19);
        c->ins = c->outs = 1;
        break;
    case 2: /* depthwise, with a multiplier */
        c->groups = 2 + below(random, 7);
        c->ins = 1;
        c->outs = 2 + below(random, 3);
        break;
    default:;
    }
}

static int64_t term_count(const conv_case *c)
{
    int64_t count = c->batch * c->groups * c->ins * c->outs;
    for (int i = 0; i < c->spatial; i++)
        count *= c->small[i] * c->size[i];
    return count;
}

void conv_random(conv_case *c, bool transposed, clg_random *random)
{
    *c = (conv_case){.transposed = transposed, .spatial = 1 + (int)below(random, CONV_SPATIAL)};
    bool strided = below(random, 2), dilated = below(random, 2);
    enum padding padding = (enum padding)below(random, 3);
    clg_conv_options *o = &c->options;
    choose_layout(c, random);
    choose_channels(c, random);
    for (int i = 0; i < c->spatial; i++)
        choose_axis(c, i, padding, strided, dilated, random);
    while (term_count(c) > MOST_TERMS)
        *(c->ins > 2 ? &c->ins : c->outs > 2 ? &c->outs : c->batch > 1 ? &c->batch : &c->groups) /= 2;
    if (!c->groups) {
        c->groups = 1;
        c->batch = 0;
    }
    o->groups = c->groups == 1 ? below(random, 2) : c->groups;
    o->stride.rank = strided ? c->spatial : 0;
    o->dilation.rank = dilated ? c->spatial : 0;
    o->before.rank = o->after.rank = padding == PADDING_GIVEN ? c->spatial : 0;
    o->same = padding == PADDING_SAME;
    o->output_padding.rank = transposed ? c->spatial : 0;
}

/* Which axis each letter of one array is; spatial: the letters of those of x. */
static void read_axes(const char *text, int rank, char first, char second, const char *spatial, int *order)
{
    for (int k = 0; k < rank; k++)
        order[k] = text[k] == first ? 0 : text[k] == second ? 1 : 2 + (int)(strchr(spatial, text[k]) - spatial);
}

void conv_given(conv_case *c, bool transposed, const char *layout, const int64_t *batch_groups_outs_ins,
                const conv_axis *axes)
{
    char spatial[CONV_SPATIAL + 1] = "";
    int rank = (int)strcspn(layout, ",");
    *c = (conv_case){.transposed = transposed, .spatial = rank - 2};
    snprintf(c->layout, sizeof c->layout, "%s", layout);
    c->options.layout = c->layout;
    for (int k = 0, next = 0; k < rank; k++)
        if (layout[k] != 'N' && layout[k] != 'C')
            spatial[next++] = layout[k];
    read_axes(layout, rank, 'N', 'C', spatial, c->order[1]);
    read_axes(layout + rank + 1, rank, 'O', 'I', spatial, c->order[2]);
    read_axes(layout + 2 * rank + 3, rank, 'N', 'C', spatial, c->order[0]);
    c->batch = batch_groups_outs_ins[0];
    c->options.groups = c->groups = batch_groups_outs_ins[1];
    c->outs = batch_groups_outs_ins[2];
    c->ins = batch_groups_outs_ins[3];
    c->options.stride.rank = c->options.dilation.rank = c->options.before.rank = c->options.after.rank = c->spatial;
    for (int i = 0; i < c->spatial; i++)
        set_axis(c, i, &axes[i], 0);
}

/* ---------------------------------------------------------------- loops */

static int64_t element(const int *order, clg_shape shape, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < shape.rank; d++)
        i = i * shape.dim[d] + at[order[d]];
    return i;
}

static clg_shape ordered(const conv_case *c, int array, int64_t first, int64_t second, const int64_t *spatial)
{
    clg_shape shape = {.rank = 2 + c->spatial};
    for (int d = 0; d < shape.rank; d++) {
        int axis = c->order[array][d];
        shape.dim[d] = axis == 0 ? first : axis == 1 ? second : spatial[axis - 2];
    }
    return shape;
}

/* Small position o and element k of the weights meet at a position of the large array, or outside of it. */
static void add_taps(const conv_case *c, form *f, const int64_t *channel, const int64_t *o, const int64_t *k)
{
    int64_t batch = channel[0], in = channel[1] * c->ins + channel[3], out = channel[1] * c->outs + channel[2];
    int64_t large[2 + CONV_SPATIAL] = {batch, in}, small[2 + CONV_SPATIAL] = {batch, out},
                      weights[2 + CONV_SPATIAL] = {out, channel[3]};
    for (int i = 0; i < c->spatial; i++) {
        large[2 + i] = c->stride[i] * o[i] + c->dilation[i] * k[i] - c->before[i];
        if (large[2 + i] < 0 || large[2 + i] >= c->large[i])
            return;
        small[2 + i] = o[i];
        weights[2 + i] = k[i];
    }
    int y = 0, x = 1;
    form_add(f, (int64_t[]){element(c->order[y], f->shape[y], c->transposed ? large : small),
                            element(c->order[x], f->shape[x], c->transposed ? small : large),
                            element(c->order[2], f->shape[2], weights)});
}

form conv_form(const conv_case *c)
{
    form f = {.arrays = 3};
    int large = c->transposed ? 0 : 1;
    f.shape[large] = ordered(c, large, c->batch, c->groups * c->ins, c->large);
    f.shape[1 - large] = ordered(c, 1 - large, c->batch, c->groups * c->outs, c->small);
    f.shape[2] = ordered(c, 2, c->groups * c->outs, c->ins, c->size);
    int64_t o[CONV_SPATIAL], k[CONV_SPATIAL], most[2][CONV_SPATIAL], a[4];
    for (int i = 0; i < CONV_SPATIAL; i++) {
        most[0][i] = i < c->spatial ? c->small[i] : 1;
        most[1][i] = i < c->spatial ? c->size[i] : 1;
    }
    for (a[0] = 0; a[0] < c->batch; a[0]++)
        for (a[1] = 0; a[1] < c->groups; a[1]++)
            for (a[2] = 0; a[2] < c->outs; a[2]++)
                for (a[3] = 0; a[3] < c->ins; a[3]++)
                    for (o[0] = 0; o[0] < most[0][0]; o[0]++)
                        for (o[1] = 0; o[1] < most[0][1]; o[1]++)
                            for (o[2] = 0; o[2] < most[0][2]; o[2]++)
                                for (k[0] = 0; k[0] < most[1][0]; k[0]++)
                                    for (k[1] = 0; k[1] < most[1][1]; k[1]++)
                                        for (k[2] = 0; k[2] < most[1][2]; k[2]++)
                                            add_taps(c, &f, a, o, k);
    return f;
}

const char *conv_text(const conv_case *c, int round)
{
    static char text[512];
    char part[7][64];
    form f = conv_form(c);
    snprintf(
        text, sizeof text,
        "round %d: %s %s: x %s, w %s, groups %lld, stride %s, dilation %s, before %s, after %s, output_padding %s%s",
        round, c->transposed ? "conv_transpose" : "conv", c->options.layout ? c->layout : "(usual)",
        clg_shape_format(f.shape[1], part[0], sizeof part[0]), clg_shape_format(f.shape[2], part[1], sizeof part[1]),
        (long long)c->groups, clg_shape_format(c->options.stride, part[2], sizeof part[2]),
        clg_shape_format(c->options.dilation, part[3], sizeof part[3]),
        clg_shape_format(c->options.before, part[4], sizeof part[4]),
        clg_shape_format(c->options.after, part[5], sizeof part[5]),
        clg_shape_format(c->options.output_padding, part[6], sizeof part[6]), c->options.same ? ", same" : "");
    form_free(&f);
    return text;
}

clg_var conv_build(const clg_var *operands, const void *data)
{
    const conv_case *c = data;
    return c->transposed ? clg_conv_transpose(operands[0], operands[1], c->options)
                         : clg_conv(operands[0], operands[1], c->options);
}
