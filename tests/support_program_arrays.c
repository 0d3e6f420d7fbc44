/* Random programs: views and joins, contractions, pools. */
#include "support_programs.h"

#include "support_program_source.h"

#include <math.h>
#include <string.h>

static bool fits(clg_shape shape) { return shape.rank <= CLG_MAX_RANK && clg_shape_count(shape) <= PROGRAM_ELEMENTS; }

/* ---------------------------------------------------------------- views */

static clg_var reordered(random_program *p, clg_var x)
{
    clg_axes order = {.count = clg_shape_of(x).rank};
    int32_t axes[CLG_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    clg_random_shuffle(&p->random, axes, (size_t)order.count);
    for (int d = 0; d < order.count; d++)
        order.axis[d] = axes[d];
    return clg_permute(x, order);
}

static clg_var sliced(random_program *p, clg_var x)
{
    static const int64_t steps[] = {1, 1, 2, 3, -1, -1, -2};
    int axis = (int)programs_axis(p, x);
    int64_t n = clg_shape_of(x).dim[axis], step = steps[programs_below(p, 7)];
    int64_t first = programs_below(p, (uint32_t)n), last = programs_below(p, (uint32_t)n), begin = first, end = last;
    if ((step > 0) != (first <= last)) {
        begin = last;
        end = first;
    }
    end += step > 0 ? 1 : -1;
    if (begin == end) /* one element, which step -1 reaches too */
        end += step > 0 ? 1 : -1;
    return clg_slice(x, axis, begin, end < 0 ? INT64_MIN : end, step);
}

static clg_var flipped(random_program *p, clg_var x)
{
    clg_axes axes = {0};
    for (int d = 0; d < clg_shape_of(x).rank; d++)
        if (programs_chance(p, 2))
            axes.axis[axes.count++] = d;
    return clg_flip(x, axes);
}

static clg_var padded(random_program *p, clg_var x)
{
    static const double values[] = {0, 0, 0.5, -1};
    clg_shape shape = clg_shape_of(x), before = {.rank = shape.rank}, after = before;
    clg_pad_mode mode = (clg_pad_mode)programs_below(p, 4);
    double value = values[programs_below(p, 4)];
    for (int d = 0; d < shape.rank; d++) {
        uint32_t most = mode == CLG_PAD_REFLECT && shape.dim[d] < 4 ? (uint32_t)shape.dim[d] : 4;
        before.dim[d] = programs_chance(p, 2) ? 0 : programs_below(p, most);
        after.dim[d] = programs_chance(p, 2) ? 0 : programs_below(p, most);
        shape.dim[d] += before.dim[d] + after.dim[d];
    }
    return fits(shape) ? clg_pad(x, before, after, mode, value) : CLG_NONE;
}

static clg_var windowed(random_program *p, clg_var x)
{
    clg_shape shape = clg_shape_of(x), to = shape, size = {0}, stride = {0}, dilation = {0};
    clg_axes axes = {0};
    for (int d = 0; d < shape.rank && to.rank < CLG_MAX_RANK - 1; d++) {
        if (programs_chance(p, 2))
            continue;
        int64_t apart = 1 + programs_below(p, 2), step = 1 + programs_below(p, 3);
        int64_t most = (shape.dim[d] - 1) / apart + 1, length = 1 + programs_below(p, most > 4 ? 4 : (uint32_t)most);
        axes.axis[axes.count++] = d;
        size.dim[size.rank++] = length;
        stride.dim[stride.rank++] = step;
        dilation.dim[dilation.rank++] = apart;
        to.dim[d] = (shape.dim[d] - 1 - apart * (length - 1)) / step + 1;
        to.dim[to.rank++] = length;
    }
    return axes.count && fits(to) ? clg_window(x, axes, size, stride, dilation) : CLG_NONE;
}

/* Elements more often: tile, repeat, broadcast. */
static clg_var repeated(random_program *p, clg_var x)
{
    clg_shape shape = clg_shape_of(x), to = shape, times = {.rank = shape.rank};
    int axis = (int)programs_axis(p, x), kind = (int)programs_below(p, 3);
    for (int d = 0; d < shape.rank; d++)
        times.dim[d] = d == axis ? 2 + programs_below(p, 2) : 1;
    to.dim[axis] *= times.dim[axis];
    if (!fits(to))
        return CLG_NONE;
    if (kind == 0)
        return clg_tile(x, times);
    if (kind == 1)
        return clg_repeat(x, axis, times.dim[axis]);
    to = shape;
    for (int d = to.rank++; d > 0; d--)
        to.dim[d] = to.dim[d - 1];
    to.dim[0] = times.dim[axis];
    return fits(to) ? clg_broadcast_to(x, to) : CLG_NONE;
}

static clg_var part(random_program *p, clg_var x)
{
    int axis = (int)programs_axis(p, x);
    int64_t n = clg_shape_of(x).dim[axis], first = programs_below(p, (uint32_t)n), which = first < n - first;
    clg_var parts[2];
    if (first == 0)
        return clg_index(x, axis, programs_below(p, (uint32_t)n));
    clg_split(x, axis, (const int64_t[]){first, n - first}, 2, parts);
    return parts[which];
}

clg_var programs_move(random_program *p)
{
    int kind = (int)programs_below(p, 11);
    if (kind < 2)
        return programs_ranked(p, kind ? 1 + (int)programs_below(p, 6) : 1 + (int)programs_below(p, 3));
    clg_var x = programs_pick(p);
    int rank = clg_shape_of(x).rank;
    if (rank == 0)
        return CLG_NONE;
    switch (kind) {
    case 2:
        return reordered(p, x);
    case 3:
        return sliced(p, x);
    case 4:
        return flipped(p, x);
    case 5:
    case 6:
        return padded(p, x);
    case 7:
    case 8:
        return windowed(p, x);
    case 9:
        return programs_chance(p, 3) && rank < CLG_MAX_RANK ? clg_squeeze(clg_expand_dims(x, CLG_AXES(0)), CLG_ALL_AXES)
                                                            : repeated(p, x);
    default:
        return part(p, x);
    }
}

clg_var programs_join(random_program *p)
{
    clg_var parts[3] = {programs_pick(p)};
    clg_shape shape = clg_shape_of(parts[0]), total = shape;
    int count = 1 + (int)programs_below(p, 3), axis = shape.rank ? (int)programs_axis(p, parts[0]) : 0;
    bool stack = shape.rank == 0 || programs_chance(p, 3);
    total.dim[axis] = stack ? 1 : shape.dim[axis];
    for (int i = 1; i < count; i++) {
        clg_shape other = shape;
        if (!stack)
            other.dim[axis] = 1 + programs_below(p, 4);
        total.dim[axis] += stack ? 1 : other.dim[axis];
        parts[i] = programs_chance(p, 3) ? parts[0] : programs_operand(p, other);
        if (parts[i].id == parts[0].id)
            total.dim[axis] += stack ? 0 : shape.dim[axis] - other.dim[axis];
    }
    bool small = stack ? shape.rank < CLG_MAX_RANK && clg_shape_count(shape) * count <= PROGRAM_ELEMENTS : fits(total);
    return !small ? CLG_NONE : stack ? clg_stack(parts, count, axis) : clg_concat(parts, count, axis);
}

/* ---------------------------------------------------------------- contractions */

/* Of terms products each: their sum is near 1 again. */
static clg_var tamed(clg_var y, int64_t terms) { return clg_tanh(programs_scaled(y, 1 / sqrt((double)terms))); }

clg_var programs_matmul(random_program *p)
{
    clg_var a = programs_ranked(p, 1 + (int)programs_below(p, 3));
    clg_shape left = clg_shape_of(a), right = {0};
    int64_t k = left.dim[left.rank - 1], n = 1 + programs_below(p, programs_chance(p, 4) ? 40 : 6);
    if (left.rank == 3 && programs_chance(p, 2))
        right.dim[right.rank++] = programs_chance(p, 3) ? 1 : left.dim[0];
    right.dim[right.rank++] = k;
    bool turned = programs_chance(p, 3), column = right.rank == 1 && programs_chance(p, 4);
    if (!column)
        right.dim[right.rank++] = n;
    if (clg_shape_count(left) / k * n > PROGRAM_ELEMENTS || clg_shape_count(right) > PROGRAM_ELEMENTS)
        return CLG_NONE;
    if (turned && !column) {
        right.dim[right.rank - 2] = n;
        right.dim[right.rank - 1] = k;
    }
    clg_var b = programs_operand(p, right);
    return tamed(clg_matmul(a, turned && !column ? clg_transpose(b) : b), k);
}

/* Two operands, whose axes have letters; the result has some of all of them, in any order. */
clg_var programs_einsum(random_program *p)
{
    clg_var operands[2] = {programs_ranked(p, 1 + (int)programs_below(p, 4)), CLG_NONE};
    clg_shape left = clg_shape_of(operands[0]), right = {.rank = 1 + (int)programs_below(p, 3)};
    char equation[32] = "abcd", letters[] = "efgh", all[16];
    int used = left.rank, count = 0;
    int64_t extent[128] = {0}, size = 1, terms = 1;
    for (int d = 0; d < left.rank; d++)
        extent[(int)equation[d]] = left.dim[d];
    memcpy(all, equation, (size_t)left.rank);
    equation[used++] = ',';
    count = left.rank;
    for (int d = 0; d < right.rank; d++) {
        char letter = programs_chance(p, 3) ? letters[d] : equation[programs_below(p, (uint32_t)left.rank)];
        for (int k = left.rank + 1; k < used; k++) /* once in an operand */
            if (equation[k] == letter)
                letter = letters[d];
        if (!extent[(int)letter]) {
            extent[(int)letter] = 1 + programs_below(p, 5);
            all[count++] = letter;
        }
        right.dim[d] = extent[(int)letter];
        equation[used++] = letter;
    }
    equation[used++] = '-';
    equation[used++] = '>';
    for (int i = 0, first = (int)programs_below(p, (uint32_t)count); i < count; i++) {
        char letter = all[(first + i) % count];
        bool kept = programs_chance(p, 2);
        size *= kept ? extent[(int)letter] : 1;
        terms *= kept ? 1 : extent[(int)letter];
        if (kept)
            equation[used++] = letter;
    }
    equation[used] = 0;
    if (size > PROGRAM_ELEMENTS || terms > 4 * PROGRAM_ELEMENTS || !fits(right))
        return CLG_NONE;
    operands[1] = programs_operand(p, right);
    return tamed(clg_einsum(equation, operands, 2), terms);
}

/* What a convolution has along its spatial axes. */
static bool draw_windows(random_program *p, clg_conv_options *o, clg_shape *weights, clg_shape x)
{
    o->same = programs_chance(p, 4);
    o->stride.rank = o->dilation.rank = x.rank - 2;
    o->before.rank = o->after.rank = o->same ? 0 : x.rank - 2;
    for (int d = 0; d < x.rank - 2; d++) {
        int64_t size = 1 + programs_below(p, 3), apart = 1 + programs_below(p, 2);
        int64_t before = programs_below(p, 3), after = programs_below(p, 3);
        if (!o->same && x.dim[d + 2] + before + after < apart * (size - 1) + 1)
            size = 1;
        o->stride.dim[d] = 1 + programs_below(p, 3);
        o->dilation.dim[d] = apart;
        o->before.dim[d] = o->same ? 0 : before;
        o->after.dim[d] = o->same ? 0 : after;
        weights->dim[d + 2] = size;
    }
    return fits(*weights);
}

/* (N, channels, spatial) */
static clg_var image(random_program *p)
{
    return programs_ranked(p, 3 + (programs_chance(p, 2) ? 1 : (int)programs_below(p, 3)));
}

clg_var programs_conv(random_program *p)
{
    clg_var x = image(p);
    clg_shape shape = clg_shape_of(x), weights = {.rank = shape.rank};
    clg_conv_options o = {.groups = shape.dim[1] % 2 == 0 && programs_chance(p, 2) ? 2 : 1};
    weights.dim[0] = o.groups * (1 + programs_below(p, 3));
    weights.dim[1] = shape.dim[1] / o.groups;
    int64_t most = shape.dim[0] * weights.dim[0];
    if (!draw_windows(p, &o, &weights, shape))
        return CLG_NONE;
    for (int d = 2; d < shape.rank; d++)
        most *= shape.dim[d] + 4;
    if (most > 4 * PROGRAM_ELEMENTS)
        return CLG_NONE;
    int64_t terms = clg_shape_count(weights) / weights.dim[0];
    if (shape.rank == 4 && programs_chance(p, 2)) { /* channels innermost */
        o.layout = "NHWC,HWIO->NHWC";
        x = clg_permute(x, CLG_AXES(0, 2, 3, 1));
        weights = CLG_SHAPE(weights.dim[2], weights.dim[3], weights.dim[1], weights.dim[0]);
    }
    clg_var y = clg_conv(x, programs_operand(p, weights), o);
    return tamed(o.layout && programs_chance(p, 2) ? clg_permute(y, CLG_AXES(0, 3, 1, 2)) : y, terms);
}

clg_var programs_conv_transpose(random_program *p)
{
    clg_var x = image(p);
    clg_shape shape = clg_shape_of(x), weights = {.rank = shape.rank};
    clg_conv_options o = {.groups = shape.dim[1] % 2 == 0 && programs_chance(p, 2) ? 2 : 1};
    weights.dim[0] = shape.dim[1];
    weights.dim[1] = 1 + programs_below(p, 3);
    int64_t most = shape.dim[0] * weights.dim[1] * o.groups;
    if (!draw_windows(p, &o, &weights, shape))
        return CLG_NONE;
    o.output_padding.rank = shape.rank - 2;
    for (int d = 0; d < shape.rank - 2; d++) {
        int64_t extent = (shape.dim[d + 2] - 1) * o.stride.dim[d] + o.dilation.dim[d] * (weights.dim[d + 2] - 1) + 1;
        while (!o.same && extent - o.before.dim[d] - o.after.dim[d] < 1)
            (o.before.dim[d] ? o.before.dim : o.after.dim)[d]--;
        o.output_padding.dim[d] = o.same ? 0 : programs_below(p, (uint32_t)o.stride.dim[d]);
        most *= extent + o.stride.dim[d];
    }
    if (most > 2 * PROGRAM_ELEMENTS)
        return CLG_NONE;
    return tamed(clg_conv_transpose(x, programs_operand(p, weights), o), clg_shape_count(weights) / weights.dim[1]);
}

/* ---------------------------------------------------------------- pools */

/* Padding is narrower than a window, so that none lies in it alone. */
static clg_pool_options draw_pool(random_program *p, clg_shape x)
{
    clg_pool_options o = {.same = programs_chance(p, 4), .count_padding = programs_chance(p, 2)};
    o.size.rank = x.rank - 2;
    o.stride.rank = programs_chance(p, 3) ? 0 : x.rank - 2;
    o.before.rank = o.after.rank = o.same ? 0 : x.rank - 2;
    for (int d = 0; d < x.rank - 2; d++) {
        int64_t n = x.dim[d + 2];
        o.size.dim[d] = 1 + programs_below(p, n > 3 ? 3 : (uint32_t)n);
        o.stride.dim[d] = o.stride.rank ? 1 + programs_below(p, 3) : 0;
        o.before.dim[d] = o.same ? 0 : programs_below(p, (uint32_t)o.size.dim[d]);
        o.after.dim[d] = o.same ? 0 : programs_below(p, (uint32_t)o.size.dim[d]);
    }
    return o;
}

static clg_shape adaptive_size(random_program *p, clg_shape x)
{
    clg_shape size = {.rank = x.rank - 2};
    for (int d = 0; d < size.rank; d++)
        size.dim[d] = 1 + programs_below(p, x.dim[d + 2] > 3 ? 3 : (uint32_t)x.dim[d + 2]);
    return size;
}

clg_var programs_max_pool(random_program *p)
{
    clg_var x = image(p);
    x = programs_apart(p, x);
    if (programs_chance(p, 4))
        return clg_global_max_pool(x, NULL);
    if (programs_chance(p, 3))
        return clg_adaptive_max_pool(x, adaptive_size(p, clg_shape_of(x)), NULL);
    return clg_max_pool(x, draw_pool(p, clg_shape_of(x)));
}

clg_var programs_avg_pool(random_program *p)
{
    clg_var x = image(p);
    if (programs_chance(p, 4))
        return clg_global_avg_pool(x, NULL);
    if (programs_chance(p, 3))
        return clg_adaptive_avg_pool(x, adaptive_size(p, clg_shape_of(x)), NULL);
    return clg_avg_pool(x, draw_pool(p, clg_shape_of(x)));
}
