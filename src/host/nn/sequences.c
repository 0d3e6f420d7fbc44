/* Attention and what goes with it, made of other functions. */
#include "helpers.h"

#include <math.h>

clg_var clg_rms_norm(clg_var x, clg_var gain, double epsilon)
{
    x = as_float(x);
    clg_var size = affine(clg_mean(clg_square(x), CLG_AXES(-1), true), 1, epsilon);
    clg_var y = clg_div(x, clg_sqrt(size));
    return gain.graph ? clg_mul(y, gain) : y;
}

/* u8 (t, s): whether query t looks at key s. */
static clg_var not_later(clg_graph *graph, int64_t t, int64_t s)
{
    clg_var query = clg_reshape(clg_arange(graph, CLG_I32, t), CLG_SHAPE(t, 1));
    return clg_less_equal(clg_arange(graph, CLG_I32, s),
                          clg_add(query, clg_full(graph, CLG_I32, CLG_SCALAR, (double)(s - t))));
}

/* Scores (b, g, r, t, s) where a condition holds that broadcasts to (b, h, t, s), -infinity else. */
static clg_var shown(clg_var scores, clg_var condition)
{
    return clg_where(condition, scores, clg_scalar_like(scores, -INFINITY));
}

/* A mask as it broadcasts to (b, g, r, t, s). */
static clg_var grouped(clg_var mask, int64_t groups)
{
    while (clg_shape_of(mask).rank < 4)
        mask = clg_expand_dims(mask, CLG_AXES(0));
    const clg_shape shape = clg_shape_of(mask);
    const int64_t heads = shape.dim[1], g = heads == 1 ? 1 : groups;
    return clg_reshape(mask, CLG_SHAPE(shape.dim[0], g, heads / g, shape.dim[2], shape.dim[3]));
}

static bool is_mask(clg_var mask, int64_t heads)
{
    const clg_shape s = clg_shape_of(mask);
    const int64_t own = s.rank < 3 ? 1 : s.dim[s.rank - 3];
    return clg_dtype_of(mask) != CLG_I32 && clg_dtype_of(mask) != CLG_I64 && s.rank >= 1 && s.rank <= 4 &&
           (own == 1 || own == heads);
}

clg_var clg_attention(clg_var q, clg_var k, clg_var v, const clg_attention_options *options)
{
    static const clg_attention_options none = {0};
    const clg_attention_options *o = options ? options : &none;
    const clg_shape a = clg_shape_of(q), b = clg_shape_of(k), c = clg_shape_of(v);
    const bool masked = o->mask.graph != NULL;
    if (!are_operands("attention", (clg_var[]){q, k, v, o->mask}, masked ? 4 : 3))
        return poisoned(q.graph);
    bool good = a.rank == 4 && b.rank == 4 && c.rank == 4 && b.dim[2] > 0 && a.dim[2] % b.dim[2] == 0;
    good = good && a.dim[0] == b.dim[0] && a.dim[3] == b.dim[3];
    for (int d = 0; d < 3 && good; d++)
        good = b.dim[d] == c.dim[d];
    if (!good)
        return clg_refuse(q.graph,
                          "attention: q %s, k %s and v %s must be (b, t, h, d), (b, s, g, d) and (b, s, g, e), h "
                          "a multiple of g",
                          words_of(a).text, words_of(b).text, words_of(c).text);
    const int64_t groups = b.dim[2];
    if (masked && !is_mask(o->mask, a.dim[2]))
        return clg_refuse(q.graph, "attention: mask %s %s must be bool, u8 or real, of 1 or %lld heads in axis -3",
                          clg_dtype_name(clg_dtype_of(o->mask)), words_of(clg_shape_of(o->mask)).text,
                          (long long)a.dim[2]);
    const int64_t shared = a.dim[2] / groups, t = a.dim[1], s = b.dim[1];
    const double scale = o->scale != 0 ? o->scale : 1 / sqrt((double)a.dim[3]);
    clg_var heads = clg_reshape(q, CLG_SHAPE(a.dim[0], t, groups, shared, a.dim[3]));
    clg_var scores = times(clg_einsum("btgrd,bsgd->bgrts", (clg_var[]){heads, k}, 2), scale);
    if (masked) {
        clg_var mask = grouped(o->mask, groups);
        scores = !clg_dtype_is_real(clg_dtype_of(o->mask)) ? shown(scores, mask) : clg_add(scores, mask);
    }
    if (o->causal)
        scores = shown(scores, not_later(q.graph, t, s));
    clg_var y = clg_einsum("bgrts,bsge->btgre", (clg_var[]){clg_softmax(scores, -1), v}, 2);
    const clg_shape shape = clg_shape_of(y);
    return clg_reshape(y, CLG_SHAPE(a.dim[0], t, a.dim[2], shape.rank == 5 ? shape.dim[4] : 0));
}

clg_var clg_rotary(clg_var x, int axis, double base, double offset)
{
    const clg_shape shape = clg_shape_of(x);
    const int rank = shape.rank, d = axis < 0 ? axis + rank : axis;
    if (!are_operands("rotary", &x, 1))
        return poisoned(x.graph);
    if (rank < 2 || d < 0 || d >= rank - 1 || shape.dim[rank - 1] % 2)
        return clg_refuse(x.graph, "rotary: x %s must have an axis %d before the last one, whose extent is even",
                          words_of(shape).text, axis);
    if (!(base > 0))
        return clg_refuse(x.graph, "rotary: base is %g; it must be above 0", base);
    const int64_t half = shape.dim[rank - 1] / 2;
    clg_shape along = {.rank = rank};
    for (int i = 0; i < rank; i++)
        along.dim[i] = i == d ? shape.dim[d] : 1;
    x = as_float(x);
    clg_var place = affine(clg_reshape(clg_arange(x.graph, clg_dtype_of(x), shape.dim[d]), along), 1, offset);
    clg_var pair = clg_arange(x.graph, clg_dtype_of(x), half);
    clg_var angle = clg_mul(place, clg_exp(times(pair, -log(base) / (double)half)));
    clg_var c = clg_cos(angle), s = clg_sin(angle);
    clg_var a = clg_slice(x, -1, 0, half, 1), b = clg_slice(x, -1, half, 2 * half, 1);
    clg_var turned[2] = {clg_sub(clg_mul(a, c), clg_mul(b, s)), clg_add(clg_mul(a, s), clg_mul(b, c))};
    return clg_concat(turned, 2, -1);
}
