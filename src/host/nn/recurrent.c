/* Recurrent networks, unrolled over time. */
#include "helpers.h"

#include <stdlib.h>

/* What the layers of a network carry from one step to the next. */
typedef struct memory {
    clg_var h, c;
} memory;

/* A step of one layer: given (b, gates h) is what comes from the inputs and from both biases, but that a GRU adds its
 * bias_hh itself. */
typedef memory recurrent_step(clg_var given, const clg_recurrent_weights *w, memory before);

typedef struct network {
    const char *op;
    recurrent_step *step;
    int gates;
    bool has_cell, own_bias; /* own_bias: the step adds bias_hh */
    int layers, directions;
    int64_t time, batch, hidden;
    clg_var live; /* u8 (t, b, 1): whether a row is that long; 0: all are */
} network;

/* ---------------------------------------------------------------- steps */

static clg_var product(clg_var x, clg_var weight) { return clg_matmul(x, clg_transpose(weight)); }

/* Gate number i of (b, gates h). */
static clg_var gate(clg_var all, int i, int64_t hidden) { return clg_slice(all, 1, i * hidden, (i + 1) * hidden, 1); }

static int64_t hidden_of(const clg_recurrent_weights *w) { return clg_shape_of(w->weight_hh).dim[1]; }

static memory tanh_step(clg_var given, const clg_recurrent_weights *w, memory before)
{
    return (memory){clg_tanh(clg_add(given, product(before.h, w->weight_hh))), CLG_NONE};
}

static memory relu_step(clg_var given, const clg_recurrent_weights *w, memory before)
{
    return (memory){clg_relu(clg_add(given, product(before.h, w->weight_hh))), CLG_NONE};
}

static memory lstm_step(clg_var given, const clg_recurrent_weights *w, memory before)
{
    const int64_t n = hidden_of(w);
    clg_var all = clg_add(given, product(before.h, w->weight_hh));
    clg_var in = clg_sigmoid(gate(all, 0, n)), forget = clg_sigmoid(gate(all, 1, n));
    clg_var cell = clg_tanh(gate(all, 2, n)), out = clg_sigmoid(gate(all, 3, n));
    clg_var c = clg_add(clg_mul(forget, before.c), clg_mul(in, cell));
    return (memory){clg_mul(out, clg_tanh(c)), c};
}

static memory gru_step(clg_var given, const clg_recurrent_weights *w, memory before)
{
    const int64_t n = hidden_of(w);
    clg_var own = product(before.h, w->weight_hh);
    if (w->bias_hh.graph)
        own = clg_add(own, w->bias_hh);
    clg_var reset = clg_sigmoid(clg_add(gate(given, 0, n), gate(own, 0, n)));
    clg_var keep = clg_sigmoid(clg_add(gate(given, 1, n), gate(own, 1, n)));
    clg_var fresh = clg_tanh(clg_add(gate(given, 2, n), clg_mul(reset, gate(own, 2, n))));
    return (memory){clg_add(clg_mul(clg_sub(before.h, fresh), keep), fresh), CLG_NONE};
}

/* ---------------------------------------------------------------- layers */

/* One layer in one direction over x (t, b, in): (t, b, h), in the order of time. It starts and ends with *state.
 * outputs: room for t variables. */
static clg_var run(const network *n, clg_var x, const clg_recurrent_weights *w, bool back, memory *state,
                   clg_var *outputs)
{
    clg_var rows = clg_reshape(x, CLG_SHAPE(n->time * n->batch, clg_shape_of(x).dim[2]));
    clg_var given = product(rows, w->weight_ih); /* of all steps, as one product */
    if (w->bias_ih.graph)
        given = clg_add(given, w->bias_ih);
    if (w->bias_hh.graph && !n->own_bias)
        given = clg_add(given, w->bias_hh);
    given = clg_reshape(given, CLG_SHAPE(n->time, n->batch, n->gates * n->hidden));
    for (int64_t i = 0; i < n->time; i++) {
        const int64_t t = back ? n->time - 1 - i : i;
        memory next = n->step(clg_index(given, 0, t), w, *state);
        outputs[t] = next.h;
        if (n->live.graph) { /* backwards a state stays as it was at the start until the row's last element */
            clg_var live = clg_index(n->live, 0, t);
            outputs[t] = clg_where(live, next.h, zero_like(next.h));
            next.h = clg_where(live, next.h, state->h);
            if (n->has_cell)
                next.c = clg_where(live, next.c, state->c);
        }
        *state = next;
    }
    return clg_stack(outputs, (int)n->time, 0);
}

/* State number k of those given, or zeros. */
static clg_var start(const network *n, clg_var x, clg_var given, int k)
{
    if (given.graph)
        return clg_index(given, 0, k);
    return clg_full(x.graph, clg_dtype_of(x), CLG_SHAPE(n->batch, n->hidden), 0);
}

static clg_recurrent run_all(const network *n, clg_var x, const clg_recurrent_weights *weights, clg_var h, clg_var c)
{
    const int count = n->layers * n->directions;
    clg_var *outputs = malloc((size_t)(n->time + 2 * count) * sizeof *outputs);
    if (!outputs) {
        clg_var none = clg_refuse(x.graph, "%s: no memory for %lld steps", n->op, (long long)n->time);
        return (clg_recurrent){none, none, none};
    }
    clg_var *last_h = outputs + n->time, *last_c = last_h + count;
    for (int layer = 0; layer < n->layers; layer++) {
        clg_var sides[2];
        for (int d = 0; d < n->directions; d++) {
            const int k = layer * n->directions + d;
            memory state = {start(n, x, h, k), n->has_cell ? start(n, x, c, k) : CLG_NONE};
            sides[d] = run(n, x, &weights[k], d == 1, &state, outputs);
            last_h[k] = state.h;
            last_c[k] = state.c;
        }
        x = n->directions == 2 ? clg_concat(sides, 2, 2) : sides[0];
    }
    clg_recurrent result = {x, clg_stack(last_h, count, 0), n->has_cell ? clg_stack(last_c, count, 0) : CLG_NONE};
    free(outputs);
    return result;
}

/* ---------------------------------------------------------------- checks */

/* Whether an operand is real and has the shape that it must have; else an error. */
static bool fits(const char *op, clg_var x, const char *name, clg_var given, clg_shape shape)
{
    const clg_shape s = clg_shape_of(given);
    if (!are_operands(op, (clg_var[]){x, given}, 2))
        return false;
    const bool real = clg_dtype_of(given) == CLG_F32 || clg_dtype_of(given) == CLG_F64;
    if (real && clg_shape_equal(s, shape))
        return true;
    clg_refuse(x.graph, "%s: %s %s %s must be f32 or f64 %s", op, name, clg_dtype_name(clg_dtype_of(given)),
               words_of(s).text, words_of(shape).text);
    return false;
}

static bool weights_fit(const network *n, clg_var x, const clg_recurrent_weights *weights)
{
    const int64_t rows = n->gates * n->hidden;
    int64_t in = clg_shape_of(x).dim[2];
    for (int k = 0; k < n->layers * n->directions; k++) {
        const clg_recurrent_weights *w = &weights[k];
        const clg_var given[4] = {w->weight_ih, w->weight_hh, w->bias_ih, w->bias_hh};
        static const char *const names[4] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
        if (k >= n->directions)
            in = n->directions * n->hidden;
        for (int i = 0; i < 4; i++) {
            const clg_shape shape = i > 1 ? CLG_SHAPE(rows) : CLG_SHAPE(rows, i ? n->hidden : in);
            char name[48];
            snprintf(name, sizeof name, "weights[%d].%s", k, names[i]);
            if ((i < 2 || given[i].graph) && !fits(n->op, x, name, given[i], shape))
                return false;
        }
    }
    return true;
}

static bool lengths_fit(const network *n, clg_var x, clg_var lengths)
{
    if (!are_operands(n->op, (clg_var[]){x, lengths}, 2))
        return false;
    if (clg_dtype_of(lengths) == CLG_I32 && clg_shape_equal(clg_shape_of(lengths), CLG_SHAPE(n->batch)))
        return true;
    clg_refuse(x.graph, "%s: lengths %s %s must be i32 (%lld), one for each row of x %s", n->op,
               clg_dtype_name(clg_dtype_of(lengths)), words_of(clg_shape_of(lengths)).text, (long long)n->batch,
               words_of(clg_shape_of(x)).text);
    return false;
}

/* Sizes of the network, which are taken from x, the first weights and the options; false (with an error) if they or
 * other operands are not right. */
static bool measure(network *n, clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *o)
{
    enum { MOST_LAYERS = 1024 };
    const clg_shape s = clg_shape_of(x);
    if (!are_operands(n->op, &x, 1))
        return false;
    n->layers = o->layers ? o->layers : 1;
    n->directions = o->both_ways ? 2 : 1;
    if (s.rank != 3 || s.dim[0] < 1 || s.dim[0] > INT32_MAX) {
        clg_refuse(x.graph, "%s: x %s must be (t, b, in) with at least one step of time", n->op, words_of(s).text);
        return false;
    }
    if (n->layers < 1 || n->layers > MOST_LAYERS || !weights) {
        clg_refuse(x.graph, "%s: %d layers and %s weights: must be 1 to %d layers, with weights", n->op, n->layers,
                   weights ? "their" : "no", MOST_LAYERS);
        return false;
    }
    if (!are_operands(n->op, (clg_var[]){x, weights[0].weight_hh}, 2))
        return false;
    const clg_shape own = clg_shape_of(weights[0].weight_hh);
    n->time = s.dim[0];
    n->batch = s.dim[1];
    n->hidden = own.rank == 2 ? own.dim[1] : 0;
    if (n->hidden < 1) {
        clg_refuse(x.graph, "%s: weights[0].weight_hh %s must be (%d h, h), h at least 1", n->op, words_of(own).text,
                   n->gates);
        return false;
    }
    const clg_shape states = CLG_SHAPE(n->layers * n->directions, n->batch, n->hidden);
    return weights_fit(n, x, weights) && (!o->h.graph || fits(n->op, x, "h", o->h, states)) &&
           (!o->c.graph || !n->has_cell || fits(n->op, x, "c", o->c, states)) &&
           (!o->lengths.graph || lengths_fit(n, x, o->lengths));
}

static clg_recurrent recurrent(network n, clg_var x, const clg_recurrent_weights *weights,
                               const clg_recurrent_options *options)
{
    static const clg_recurrent_options none = {0};
    const clg_recurrent_options *o = options ? options : &none;
    if (!measure(&n, x, weights, o))
        return (clg_recurrent){poisoned(x.graph), poisoned(x.graph), poisoned(x.graph)};
    x = as_float(x);
    if (o->lengths.graph) {
        clg_var t = clg_reshape(clg_arange(x.graph, CLG_I32, n.time), CLG_SHAPE(n.time, 1, 1));
        n.live = clg_less(t, clg_reshape(o->lengths, CLG_SHAPE(n.batch, 1)));
        x = clg_where(n.live, x, zero_like(x)); /* what lies beyond is not read: NaN would reach gradients */
    }
    return run_all(&n, x, weights, o->h, o->c);
}

/* ---------------------------------------------------------------- networks */

clg_recurrent clg_rnn(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options)
{
    recurrent_step *step = options && options->relu ? relu_step : tanh_step;
    return recurrent((network){.op = "rnn", .step = step, .gates = 1}, x, weights, options);
}

clg_recurrent clg_lstm(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options)
{
    return recurrent((network){.op = "lstm", .step = lstm_step, .gates = 4, .has_cell = true}, x, weights, options);
}

clg_recurrent clg_gru(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options)
{
    return recurrent((network){.op = "gru", .step = gru_step, .gates = 3, .own_bias = true}, x, weights, options);
}
