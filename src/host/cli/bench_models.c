/* The cases of `clgrad bench` that are models: one training step each, cross-entropy and Adam, built with the public
 * functions; and causal attention by itself. bench/peers/harness.py says what each computes. */
#include "bench.h"

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include <math.h>

enum { MAX_PARAMETERS = 80, CLASSES = 10 };

/* The products that a training step needs for one of the forward pass: it, the gradient for the weights and, where the
 * operand is not given data, that for the operand. */
enum products { OF_DATA = 2, OF_VARIABLE = 3 };

typedef struct model {
    clg_graph *graph;
    clg_random random;
    clg_var parameters[MAX_PARAMETERS];
    int count;
    double flops;    /* of the products in a training step */
    clg_dtype dtype; /* in which it computes; parameters are f32 */
} model;

/* ---------------------------------------------------------------- parameters */

static clg_var parameter(model *m, clg_var leaf)
{
    if (m->count == MAX_PARAMETERS)
        return (clg_var){m->graph, -1};
    m->parameters[m->count++] = leaf;
    return clg_cast(leaf, m->dtype);
}

static clg_var weights(model *m, clg_shape shape, int64_t inputs)
{
    return parameter(m, clg_he_init(m->graph, shape, inputs, &m->random));
}

/* Of a bias or a gain. */
static clg_var vector(model *m, int64_t count, float value)
{
    enum { MOST = 512 };
    float values[MOST];
    if (count > MOST)
        return (clg_var){m->graph, -1};
    for (int64_t i = 0; i < count; i++)
        values[i] = value;
    return parameter(m, clg_array(m->graph, CLG_F32, CLG_SHAPE(count), values));
}

static int64_t extent(clg_var x, int axis) { return clg_shape_of(x).dim[axis]; }

/* ---------------------------------------------------------------- layers */

/* x W of x (n, in). */
static clg_var product(model *m, clg_var x, int64_t outputs, enum products products)
{
    int64_t inputs = extent(x, 1);
    m->flops += products * 2.0 * (double)(extent(x, 0) * inputs * outputs);
    return clg_matmul(x, weights(m, CLG_SHAPE(inputs, outputs), inputs));
}

static clg_var dense(model *m, clg_var x, int64_t outputs)
{
    clg_var y = product(m, x, outputs, OF_VARIABLE);
    return clg_add(y, vector(m, outputs, 0));
}

/* Of pictures (n, c, h, w), with half the window as padding, no bias. */
static clg_var convolve(model *m, clg_var x, int64_t outputs, int64_t window, int64_t stride, enum products products)
{
    int64_t inputs = extent(x, 1), taps = inputs * window * window;
    clg_shape padding = CLG_SHAPE(window / 2, window / 2);
    clg_var w = weights(m, CLG_SHAPE(outputs, inputs, window, window), taps);
    clg_var y =
        clg_conv(x, w, (clg_conv_options){.stride = CLG_SHAPE(stride, stride), .before = padding, .after = padding});
    m->flops += products * 2.0 * (double)(clg_shape_count(clg_shape_of(y)) * taps);
    return y;
}

static clg_var batch_norm(model *m, clg_var x)
{
    clg_var gain = vector(m, extent(x, 1), 1), bias = vector(m, extent(x, 1), 0);
    return clg_batch_norm(x, gain, bias, 1, 1e-5, NULL, NULL);
}

static clg_var layer_norm(model *m, clg_var x)
{
    clg_var gain = vector(m, extent(x, 1), 1), bias = vector(m, extent(x, 1), 0);
    return clg_layer_norm(x, gain, bias, 1e-5);
}

/* Of q, k and v (batch, length, heads, width): a position sees itself and those before it. */
static clg_var causal_attention(clg_var q, clg_var k, clg_var v)
{
    clg_graph *g = q.graph;
    int64_t length = extent(q, 1), width = extent(q, 3);
    clg_var position = clg_arange(g, CLG_I32, length);
    clg_var seen = clg_less_equal(position, clg_reshape(position, CLG_SHAPE(length, 1)));
    clg_var scores = clg_einsum("bthd,bshd->bhts", (clg_var[]){q, k}, 2);
    scores = clg_mul(scores, clg_full(g, CLG_F32, CLG_SCALAR, 1 / sqrt((double)width)));
    scores = clg_where(seen, scores, clg_full(g, CLG_F32, CLG_SCALAR, -1e9));
    return clg_einsum("bhts,bshd->bthd", (clg_var[]){clg_softmax(scores, -1), v}, 2);
}

/* What its two products and the four of their gradients need: half of the scores are not seen. */
static double attention_flops(clg_var q)
{
    double length = (double)extent(q, 1), count = (double)clg_shape_count(clg_shape_of(q));
    return OF_VARIABLE * 2 * 2.0 * count * (length + 1) / 2;
}

/* ---------------------------------------------------------------- a training step */

static bool begin(bench_context *c, model *m)
{
    *m = (model){.graph = clg_graph_new(c->device), .random = clg_random_new(1, 0)};
    return m->graph != NULL;
}

/* Times a step and ends the case. */
static bool train(bench_context *c, model *m, clg_var loss, bench_result *r)
{
    clg_optimizer *adam = clg_adam(m->parameters, m->count, NULL);
    clg_var output = adam ? clg_minimize(adam, loss) : loss;
    bool good = adam && bench_against_sgemm(c, m->graph, &output, 1, m->flops, r);
    clg_optimizer_free(adam);
    return bench_end(c, m->graph, good);
}

/* ---------------------------------------------------------------- cases */

bool bench_attention(bench_context *c, const bench_case *which, bench_result *r)
{
    clg_graph *g = clg_graph_new(c->device);
    clg_shape shape = CLG_SHAPE(which->m, 256, 8, 64);
    clg_var qkv[3], results[4];
    for (int i = 0; i < 3; i++)
        qkv[i] = bench_random_leaf(g, shape);
    results[0] = causal_attention(qkv[0], qkv[1], qkv[2]);
    clg_gradients(clg_mul(results[0], bench_random_leaf(g, shape)), qkv, 3, results + 1);
    return bench_end(c, g, bench_against_sgemm(c, g, results, 4, attention_flops(qkv[0]), r));
}

bool bench_cnn(bench_context *c, const bench_case *which, bench_result *r)
{
    model m;
    if (!begin(c, &m))
        return bench_end(c, NULL, false);
    m.dtype = which->variant ? CLG_BF16 : CLG_F32;
    clg_var x = clg_cast(bench_random_leaf(m.graph, CLG_SHAPE(which->m, 1, 28, 28)), m.dtype);
    clg_var labels = bench_label_leaf(m.graph, CLG_SHAPE(which->m), 7, CLASSES);
    for (int i = 0; i < 2; i++) {
        int64_t channels = i == 0 ? 32 : 64;
        x = convolve(&m, x, channels, 3, 1, i == 0 ? OF_DATA : OF_VARIABLE);
        x = clg_relu(clg_add(x, clg_reshape(vector(&m, channels, 0), CLG_SHAPE(channels, 1, 1))));
        x = clg_max_pool(x, (clg_pool_options){.size = CLG_SHAPE(2, 2)});
    }
    x = clg_relu(dense(&m, clg_reshape(x, CLG_SHAPE(which->m, -1)), 128));
    return train(c, &m, clg_softmax_cross_entropy(dense(&m, x, CLASSES), labels), r);
}

/* Two 3 x 3 convolutions and what goes past them; where the number of channels changes, the first one has stride 2. */
static clg_var residual_block(model *m, clg_var x, int64_t channels)
{
    int64_t stride = extent(x, 1) == channels ? 1 : 2;
    clg_var y = clg_relu(batch_norm(m, convolve(m, x, channels, 3, stride, OF_VARIABLE)));
    y = batch_norm(m, convolve(m, y, channels, 3, 1, OF_VARIABLE));
    if (stride != 1)
        x = batch_norm(m, convolve(m, x, channels, 1, stride, OF_VARIABLE));
    return clg_relu(clg_add(y, x));
}

bool bench_resnet(bench_context *c, const bench_case *which, bench_result *r)
{
    enum { STAGES = 3, BLOCKS = 3 };
    model m;
    if (!begin(c, &m))
        return bench_end(c, NULL, false);
    clg_var x = bench_random_leaf(m.graph, CLG_SHAPE(which->m, 3, 32, 32));
    clg_var labels = bench_label_leaf(m.graph, CLG_SHAPE(which->m), 7, CLASSES);
    x = clg_relu(batch_norm(&m, convolve(&m, x, 16, 3, 1, OF_DATA)));
    for (int i = 0; i < STAGES * BLOCKS; i++)
        x = residual_block(&m, x, 16 << i / BLOCKS);
    x = dense(&m, clg_mean(x, CLG_AXES(2, 3), false), CLASSES);
    return train(c, &m, clg_softmax_cross_entropy(x, labels), r);
}

enum { GPT_VOCABULARY = 256, GPT_LENGTH = 128, GPT_WIDTH = 128, GPT_HEADS = 4, GPT_LAYERS = 4 };

/* x (n, width): the positions of all sequences. */
static clg_var self_attention(model *m, clg_var x)
{
    clg_var qkv = dense(m, x, 3 * GPT_WIDTH), part[3];
    for (int i = 0; i < 3; i++)
        part[i] = clg_reshape(clg_slice(qkv, 1, i * GPT_WIDTH, (i + 1) * GPT_WIDTH, 1),
                              CLG_SHAPE(-1, GPT_LENGTH, GPT_HEADS, GPT_WIDTH / GPT_HEADS));
    m->flops += attention_flops(part[0]);
    return dense(m, clg_reshape(causal_attention(part[0], part[1], part[2]), clg_shape_of(x)), GPT_WIDTH);
}

bool bench_gpt(bench_context *c, const bench_case *which, bench_result *r)
{
    model m;
    if (!begin(c, &m))
        return bench_end(c, NULL, false);
    clg_var tokens = bench_label_leaf(m.graph, CLG_SHAPE(which->m, GPT_LENGTH), 31, GPT_VOCABULARY);
    clg_var labels = bench_label_leaf(m.graph, CLG_SHAPE(which->m * GPT_LENGTH), 7, GPT_VOCABULARY);
    clg_var x = clg_gather(weights(&m, CLG_SHAPE(GPT_VOCABULARY, GPT_WIDTH), GPT_WIDTH), tokens);
    x = clg_add(x, weights(&m, CLG_SHAPE(GPT_LENGTH, GPT_WIDTH), GPT_WIDTH));
    x = clg_reshape(x, CLG_SHAPE(-1, GPT_WIDTH));
    for (int i = 0; i < GPT_LAYERS; i++) {
        x = clg_add(x, self_attention(&m, layer_norm(&m, x)));
        clg_var hidden = clg_gelu(dense(&m, layer_norm(&m, x), 4 * GPT_WIDTH));
        x = clg_add(x, dense(&m, hidden, GPT_WIDTH));
    }
    x = product(&m, layer_norm(&m, x), GPT_VOCABULARY, OF_VARIABLE);
    return train(c, &m, clg_softmax_cross_entropy(x, labels), r);
}

bool bench_lstm(bench_context *c, const bench_case *which, bench_result *r)
{
    enum { STEPS = 28, FEATURES = 28, HIDDEN = 128 };
    model m;
    if (!begin(c, &m))
        return bench_end(c, NULL, false);
    int64_t batch = which->m;
    clg_var x = bench_random_leaf(m.graph, CLG_SHAPE(batch, STEPS, FEATURES));
    clg_var labels = bench_label_leaf(m.graph, CLG_SHAPE(batch), 7, CLASSES);
    /* what the gates get from the input, of all steps at once */
    clg_var inputs = product(&m, clg_reshape(x, CLG_SHAPE(-1, FEATURES)), 4 * HIDDEN, OF_DATA);
    inputs = clg_reshape(clg_add(inputs, vector(&m, 4 * HIDDEN, 0)), CLG_SHAPE(batch, STEPS, 4 * HIDDEN));
    clg_var w = weights(&m, CLG_SHAPE(HIDDEN, 4 * HIDDEN), HIDDEN);
    clg_var h = clg_full(m.graph, CLG_F32, CLG_SHAPE(batch, HIDDEN), 0), cell = h;
    for (int t = 0; t < STEPS; t++) {
        clg_var gates = clg_add(clg_index(inputs, 1, t), clg_matmul(h, w)), gate[4];
        clg_split(gates, 1, (int64_t[]){HIDDEN, HIDDEN, HIDDEN, HIDDEN}, 4, gate);
        cell = clg_add(clg_mul(clg_sigmoid(gate[1]), cell), clg_mul(clg_sigmoid(gate[0]), clg_tanh(gate[2])));
        h = clg_mul(clg_sigmoid(gate[3]), clg_tanh(cell));
    }
    /* the first state is zero: its product needs nothing */
    m.flops += OF_VARIABLE * 2.0 * (STEPS - 1) * (double)(batch * HIDDEN * 4 * HIDDEN);
    return train(c, &m, clg_softmax_cross_entropy(dense(&m, h, CLASSES), labels), r);
}
