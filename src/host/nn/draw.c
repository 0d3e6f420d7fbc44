/* Random numbers in programs: Threefry's words for the elements' numbers, in a stream of 64 bits for each draw and run,
 * which are such words of the seed, the draw's number and the run's. */
#include "helpers.h"

#include <clgrad/random.h>

#include <math.h>

enum { SEED_LOW, SEED_HIGH, RUN, KEY_WORDS };

clg_generator clg_generator_new(clg_graph *graph, uint64_t seed)
{
    const int32_t words[KEY_WORDS] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), 0};
    return (clg_generator){.key = clg_array(graph, CLG_I32, CLG_SHAPE(KEY_WORDS), words)};
}

static clg_var word(clg_var like, int32_t value) { return clg_full(like.graph, CLG_I32, CLG_SCALAR, value); }

/* What a draw takes its words from. */
typedef struct stream {
    clg_var key[2];
} stream;

/* A stream that (a, b) and a number tell from others. */
static stream derive(clg_var number, clg_var a, clg_var b)
{
    clg_var other = clg_bit_xor(number, word(number, INT32_MIN));
    return (stream){{clg_random_bits(number, a, b), clg_random_bits(other, a, b)}};
}

static stream next_stream(clg_generator *g)
{
    clg_var key = g->key, number = word(key, g->draws++);
    stream of_draw = derive(number, clg_index(key, 0, SEED_LOW), clg_index(key, 0, SEED_HIGH));
    return derive(clg_index(key, 0, RUN), of_draw.key[0], of_draw.key[1]);
}

/* What is drawn, with the change of the key that follows. */
static clg_var drawn(const clg_generator *g, clg_var x)
{
    clg_var run = clg_equal(clg_arange(g->key.graph, CLG_I32, KEY_WORDS), word(g->key, RUN));
    return clg_after(x, clg_assign(g->key, clg_add(g->key, run)));
}

/* Words for elements 0, 1, ..., of a shape: the first or the second ones. */
static clg_var words(stream s, clg_shape shape, bool second)
{
    clg_var number = clg_reshape(clg_arange(s.key[0].graph, CLG_I32, clg_shape_count(shape)), shape);
    return clg_random_bits(number, s.key[second], s.key[!second]);
}

/* count of a word's bits, as an integer. */
static clg_var bits(clg_var x, int count)
{
    const int32_t mask = (int32_t)((1u << count) - 1);
    return clg_bit_and(clg_shift_right(x, word(x, 32 - count)), word(x, mask));
}

/* Multiples of 2^-24, or of 2^-53, in [0, 1). */
static clg_var uniform(stream s, clg_dtype dtype, clg_shape shape)
{
    if (dtype != CLG_F64)
        return times(clg_cast(bits(words(s, shape, false), 24), dtype), ldexp(1, -24));
    clg_var high = clg_cast(bits(words(s, shape, false), 27), dtype),
            low = clg_cast(bits(words(s, shape, true), 26), dtype);
    return times(clg_add(times(high, ldexp(1, 26)), low), ldexp(1, -53));
}

static bool takes(const clg_generator *g, const char *op, clg_dtype dtype)
{
    const bool real = dtype == CLG_F32 || dtype == CLG_F64;
    if (!real)
        clg_refuse(g->key.graph, "%s: dtype must be f32 or f64, not number %d", op, (int)dtype);
    return real;
}

clg_var clg_draw_uniform(clg_generator *generator, clg_dtype dtype, clg_shape shape)
{
    if (!takes(generator, "draw_uniform", dtype))
        return poisoned(generator->key.graph);
    return drawn(generator, uniform(next_stream(generator), dtype, shape));
}

/* Box and Muller 1958: sqrt(-2 log(1 - u)) cos(2 pi v) */
clg_var clg_draw_normal(clg_generator *generator, clg_dtype dtype, clg_shape shape)
{
    if (!takes(generator, "draw_normal", dtype))
        return poisoned(generator->key.graph);
    clg_var u = uniform(next_stream(generator), dtype, shape);
    clg_var v = uniform(next_stream(generator), dtype, shape);
    clg_var radius = clg_sqrt(times(clg_log1p(clg_neg(u)), -2));
    return drawn(generator, clg_mul(radius, clg_cos(times(v, 2 * acos(-1)))));
}

clg_var clg_draw_bernoulli(clg_generator *generator, double probability, clg_shape shape)
{
    if (!(probability >= 0 && probability <= 1))
        return clg_refuse(generator->key.graph, "draw_bernoulli: probability %g is not in 0..1", probability);
    clg_var x = bits(words(next_stream(generator), shape, false), 24);
    return drawn(generator, clg_less(x, word(x, (int32_t)rint(probability * ldexp(1, 24)))));
}

clg_var clg_draw_integers(clg_generator *generator, int32_t low, int32_t high, clg_shape shape)
{
    const int64_t count = (int64_t)high - low;
    if (count < 1 || count > 1 << 24)
        return clg_refuse(generator->key.graph, "draw_integers: there must be 1 to %d numbers from %d to %d", 1 << 24,
                          (int)low, (int)high);
    clg_var u = uniform(next_stream(generator), CLG_F32, shape);
    clg_var number = clg_cast(clg_floor(times(u, (double)count)), CLG_I32);
    clg_var most = word(number, (int32_t)(count - 1)); /* where the product is rounded up to the bound */
    return drawn(generator, clg_add(clg_minimum(number, most), word(number, low)));
}

clg_var clg_dropout(clg_generator *generator, clg_var x, double probability)
{
    if (!are_operands("dropout", (clg_var[]){x, generator->key}, 2))
        return poisoned(x.graph);
    x = as_float(x);
    clg_var dropped = clg_draw_bernoulli(generator, probability, clg_shape_of(x));
    clg_var kept = times(x, probability < 1 ? 1 / (1 - probability) : 0);
    return clg_where(dropped, zero_like(kept), kept);
}
