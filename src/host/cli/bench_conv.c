/* The cases of `clgrad bench` that are convolutions and pools, forward and their gradients alone. */
#include "bench.h"

static const struct shape {
    int64_t batch, size, inputs, outputs, window, stride, padding, groups;
} shapes[] = {
    [BENCH_CONV_3X3_C16_32] = {64, 32, 16, 16, 3, 1, 1, 1},
    [BENCH_CONV_3X3_C64_56] = {16, 56, 64, 64, 3, 1, 1, 1},
    [BENCH_CONV_1X1_C256_14] = {32, 14, 256, 256, 1, 1, 0, 1},
    [BENCH_CONV_3X3S2_C32_32] = {64, 32, 32, 64, 3, 2, 1, 1},
    [BENCH_CONV_7X7S2_C3_224] = {8, 224, 3, 64, 7, 2, 3, 1},
    [BENCH_CONV_DW3X3_C128_28] = {32, 28, 128, 128, 3, 1, 1, 128},
};

/* The shape of an array of pictures. */
static clg_shape pictures(int64_t batch, int64_t channels, int64_t size, bool channels_last)
{
    return channels_last ? CLG_SHAPE(batch, size, size, channels) : CLG_SHAPE(batch, channels, size, size);
}

static clg_shape filters(const struct shape *s, bool channels_last)
{
    int64_t inputs = s->inputs / s->groups;
    return channels_last ? CLG_SHAPE(s->window, s->window, inputs, s->outputs)
                         : CLG_SHAPE(s->outputs, inputs, s->window, s->window);
}

static double bytes_of(clg_var x) { return 4.0 * (double)clg_shape_count(clg_shape_of(x)); }

bool bench_conv(bench_context *c, const bench_case *which, bench_result *r)
{
    const struct shape *s = &shapes[which->m];
    bool channels_last = which->n != 0;
    int64_t out = (s->size + 2 * s->padding - s->window) / s->stride + 1;
    clg_conv_options options = {
        .stride = CLG_SHAPE(s->stride, s->stride),
        .before = CLG_SHAPE(s->padding, s->padding),
        .after = CLG_SHAPE(s->padding, s->padding),
        .groups = s->groups,
        .layout = channels_last ? "NHWC,HWIO->NHWC" : "NCHW,OIHW->NCHW",
    };
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, pictures(s->batch, s->inputs, s->size, channels_last));
    clg_var w = bench_random_leaf(g, filters(s, channels_last));
    clg_var y = clg_conv(x, w, options), result = y;
    if (which->variant != 0) {
        clg_var gy = bench_random_leaf(g, pictures(s->batch, s->outputs, out, channels_last));
        clg_gradients(clg_mul(y, gy), which->variant == 1 ? &x : &w, 1, &result);
    }
    double bytes = bytes_of(x) + bytes_of(w) + bytes_of(y); /* each, or its gradient, once */
    double flops = 2.0 * (double)(s->batch * out * out * s->outputs * (s->inputs / s->groups) * s->window * s->window);
    bool good = s->groups == s->inputs ? bench_against_triad(c, g, &result, 1, bytes, r)
                                       : bench_against_sgemm(c, g, &result, 1, flops, r);
    return bench_end(c, g, good);
}

bool bench_max_pool(bench_context *c, const bench_case *which, bench_result *r)
{
    enum { CHANNELS = 64, SIZE = 56, WINDOW = 2 };
    clg_graph *g = clg_graph_new(c->device);
    clg_var x = bench_random_leaf(g, pictures(which->m, CHANNELS, SIZE, false));
    clg_var results[2] = {clg_max_pool(x, (clg_pool_options){.size = CLG_SHAPE(WINDOW, WINDOW)})};
    double bytes = bytes_of(x) + bytes_of(results[0]);
    if (which->variant == 1) {
        clg_var gy = bench_random_leaf(g, pictures(which->m, CHANNELS, SIZE / WINDOW, false));
        clg_gradients(clg_mul(results[0], gy), &x, 1, &results[1]);
        bytes *= 2; /* gy in, the gradient of x out */
    }
    return bench_end(c, g, bench_against_triad(c, g, results, 1 + which->variant, bytes, r));
}
