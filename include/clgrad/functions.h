/* Functions made of the operations of clgrad.h, which give them their gradients, of any order. Operands broadcast and
 * mix dtypes as there; functions of a real variable take integers as f32. Names and meanings are those of PyTorch 2 and
 * of NumPy, where they have them. */
#ifndef CLGRAD_FUNCTIONS_H
#define CLGRAD_FUNCTIONS_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A constant of x's dtype and shape (), rounded to it: clg_mul(x, clg_scalar_like(x, 0.1)) is computed in f64 where x
 * is f64. */
CLG_API clg_var clg_scalar_like(clg_var x, double value);

/* ---------------------------------------------------------------- elementwise */

CLG_API clg_var clg_reciprocal(clg_var x); /* 1 / x */
CLG_API clg_var clg_rsqrt(clg_var x);      /* 1 / sqrt(x) */
/* x where it lies in low..high, else the nearer bound (high of all, if that is below low); NaN for NaN. Gradient 1
 * between them, 0 at and beyond them. */
CLG_API clg_var clg_clip(clg_var x, double low, double high);
CLG_API clg_var clg_lerp(clg_var a, clg_var b, clg_var weight); /* a + weight (b - a) */
CLG_API clg_var clg_xlogy(clg_var x, clg_var y);                /* x log(y); 0 where x is 0 and y is not NaN */
CLG_API clg_var clg_logaddexp(clg_var a, clg_var b);            /* log(exp(a) + exp(b)) without overflow */
CLG_API clg_var clg_logit(clg_var x);                           /* log(x / (1 - x)) */
CLG_API clg_var clg_radians(clg_var degrees);
CLG_API clg_var clg_degrees(clg_var radians);

/* bool; what is not 0 is true, NaN included. No gradient. */
CLG_API clg_var clg_logical_and(clg_var a, clg_var b);
CLG_API clg_var clg_logical_or(clg_var a, clg_var b);
CLG_API clg_var clg_logical_xor(clg_var a, clg_var b);
CLG_API clg_var clg_logical_not(clg_var x);
CLG_API clg_var clg_is_nan(clg_var x);
CLG_API clg_var clg_is_inf(clg_var x);
CLG_API clg_var clg_is_finite(clg_var x);
/* x with NaN, infinity and -infinity replaced; no gradient flows through what is. */
CLG_API clg_var clg_nan_to_num(clg_var x, double nan, double infinity, double minus_infinity);

/* ---------------------------------------------------------------- activations
 *
 * Where a derivative jumps, that from the left is taken, as PyTorch does, unless it says otherwise. */

CLG_API clg_var clg_leaky_relu(clg_var x, double slope); /* x where x > 0, else slope x */
CLG_API clg_var clg_prelu(clg_var x, clg_var slope);     /* the same with a variable that broadcasts (He et al. 2015) */
CLG_API clg_var clg_elu(clg_var x, double alpha);  /* x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015) */
CLG_API clg_var clg_celu(clg_var x, double alpha); /* the same of x / alpha, times alpha (Barron 2017); alpha > 0 */
CLG_API clg_var clg_selu(clg_var x);               /* 1.0507 elu(x, 1.6733) (Klambauer et al. 2017) */
CLG_API clg_var clg_relu6(clg_var x);              /* relu(x), 6 at the most; derivative 0 at 6 */
CLG_API clg_var clg_hard_tanh(clg_var x);          /* x within -1..1, else the nearer; derivative 0 at both */
CLG_API clg_var clg_hard_sigmoid(clg_var x);       /* x / 6 + 1/2 within 0..1; derivative 0 where that is 0 or 1 */
CLG_API clg_var clg_hard_swish(clg_var x);         /* x hard_sigmoid(x) (Howard et al. 2019) */
CLG_API clg_var clg_silu(clg_var x);               /* x sigmoid(x), "swish" */
CLG_API clg_var clg_mish(clg_var x);               /* x tanh(softplus(x)) (Misra 2019) */
CLG_API clg_var clg_gelu_tanh(clg_var x);          /* gelu by x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 */
CLG_API clg_var clg_log_sigmoid(clg_var x);        /* log(sigmoid(x)) = -softplus(-x) */
CLG_API clg_var clg_softsign(clg_var x);           /* x / (1 + |x|) */
CLG_API clg_var clg_tanh_shrink(clg_var x);        /* x - tanh(x) */
CLG_API clg_var clg_soft_shrink(clg_var x, double bound); /* x drawn towards 0 by bound >= 0, 0 within it */
CLG_API clg_var clg_hard_shrink(clg_var x, double bound); /* x where |x| > bound, else 0 */
/* The first half of x along an axis times the sigmoid of the second half (Dauphin et al. 2016); its extent is even. */
CLG_API clg_var clg_glu(clg_var x, int axis);

/* ---------------------------------------------------------------- reductions */

/* Variance, standard deviation: the mean square distance from the mean, times n / (n - correction) for n elements:
 * correction 0 is NumPy's, 1 is PyTorch's default. NaN where n <= correction. */
CLG_API clg_var clg_variance(clg_var x, clg_axes axes, double correction, bool keepdims);
CLG_API clg_var clg_std(clg_var x, clg_axes axes, double correction, bool keepdims);
/* log(sum(exp(x))) without overflow; -infinity of nothing, and where all elements are. */
CLG_API clg_var clg_logsumexp(clg_var x, clg_axes axes, bool keepdims);
/* sum(|x|^p)^(1/p); the largest |x| for p infinite, the number of elements that are not 0 for p = 0. Gradient 0 where
 * the norm is. */
CLG_API clg_var clg_norm(clg_var x, double p, clg_axes axes, bool keepdims);
/* The product, 1 of nothing; of pairs, of pairs of pairs, ..., so that its derivatives of any order are right at zeros.
 */
CLG_API clg_var clg_prod(clg_var x, clg_axes axes, bool keepdims);
CLG_API clg_var clg_count_nonzero(clg_var x, clg_axes axes, bool keepdims); /* i64 */
CLG_API clg_var clg_any(clg_var x, clg_axes axes, bool keepdims); /* bool: whether one is not 0; 0 of nothing */
CLG_API clg_var clg_all(clg_var x, clg_axes axes, bool keepdims); /* bool: whether none is 0; 1 of nothing */
CLG_API clg_var clg_argmin(clg_var x, int axis);                  /* as clg_argmax, of the first minimum */

/* ---------------------------------------------------------------- arrays and matrices
 *
 * Matrices are the last two axes. */

/* start, ..., stop, count of them at equal distances. f32 or f64. */
CLG_API clg_var clg_linspace(clg_graph *graph, clg_dtype dtype, double start, double stop, int64_t count);
CLG_API clg_var clg_eye(clg_graph *graph, clg_dtype dtype, int64_t rows, int64_t columns);
/* A new last axis: 1 at the index that the labels (i32, i64, u8) say, 0 elsewhere (all 0 for one out of range). */
CLG_API clg_var clg_one_hot(clg_var labels, int64_t classes, clg_dtype dtype);
/* 0 above, respectively below, diagonal number k (0 the main one, 1 the one above it). */
CLG_API clg_var clg_tril(clg_var x, int64_t k);
CLG_API clg_var clg_triu(clg_var x, int64_t k);
CLG_API clg_var clg_diagonal(clg_var x);                   /* (..., n, n) to (..., n); f32 or f64 */
CLG_API clg_var clg_trace(clg_var x);                      /* its sum */
CLG_API clg_var clg_outer(clg_var a, clg_var b);           /* (m) and (n) to (m, n) */
CLG_API clg_var clg_kron(clg_var a, clg_var b);            /* Kronecker's product of two matrices (rank 2) */
CLG_API clg_var clg_cross(clg_var a, clg_var b, int axis); /* of three-vectors along an axis of extent 3 */

/* ---------------------------------------------------------------- elements by index
 *
 * Indices are i32, i64 or u8; negative ones count from the end. One that is out of range takes NaN (0 of integers), and
 * puts nothing. Gradients flow to what was taken, and to what was put and is left. */

/* Slices of x along an axis: its shape with the axis replaced by those of indices (ONNX Gather, NumPy's take). */
CLG_API clg_var clg_take(clg_var x, clg_var indices, int axis);
/* y[i, j, k] = x[i, indices[i, j, k], k] for axis 1 and so on; y has the shape of indices, which have the axes of x
 * (ONNX GatherElements, PyTorch's gather; along the other axes indices may have fewer elements than x). */
CLG_API clg_var clg_gather_elements(clg_var x, clg_var indices, int axis);
/* Indices (..., k) into k axes of x behind the first `batch`, which both have (ONNX GatherND): indices.shape[:-1] +
 * x.shape[batch + k:]. */
CLG_API clg_var clg_gather_nd(clg_var x, clg_var indices, int batch);

/* What becomes of an element of x and the updates for it: the last update, or the sum or an extreme of all. */
typedef enum clg_scatter_mode { CLG_SCATTER_SET, CLG_SCATTER_ADD, CLG_SCATTER_MAX, CLG_SCATTER_MIN } clg_scatter_mode;
/* x with updates put at indices. clg_scatter: slices along an axis, of the shape of x but as many as there are indices
 * (one axis of them). clg_scatter_elements, clg_scatter_nd: where clg_gather_elements and clg_gather_nd (batch 0) of x
 * would take them (ONNX ScatterElements, ScatterND). Of equal extremes x gets half of the gradient, the updates share
 * the rest. Updates are cast to x's dtype. An element of x that equals the
 * extreme of its updates takes half of the gradient; equal updates share theirs evenly. */
CLG_API clg_var clg_scatter(clg_var x, clg_var indices, clg_var updates, int axis, clg_scatter_mode mode);
CLG_API clg_var clg_scatter_elements(clg_var x, clg_var indices, clg_var updates, int axis, clg_scatter_mode mode);
CLG_API clg_var clg_scatter_nd(clg_var x, clg_var indices, clg_var updates, clg_scatter_mode mode);

/* x sorted along an axis, as clg_argsort says. */
CLG_API clg_var clg_sort(clg_var x, int axis, bool descending);
/* The k largest or smallest elements along an axis, in order, and their indices (NULL is allowed). */
CLG_API clg_var clg_topk(clg_var x, int64_t k, int axis, bool largest, clg_var *indices);

/* ---------------------------------------------------------------- sequences and pictures */

/* x / sqrt(mean(x^2) + epsilon) along the last axis, times gain (its extent; CLG_NONE: none) (Zhang and Sennrich 2019).
 */
CLG_API clg_var clg_rms_norm(clg_var x, clg_var gain, double epsilon);

typedef struct clg_attention_options {
    clg_var mask; /* 0 or CLG_NONE: none. bool, u8: 0 where a key is not looked at; real: added to the scores.
                     Broadcasts to (b, h, t, s) */
    bool causal;  /* query i of n looks at keys 0 ... i + m - n of m */
    double scale; /* of the scores; 0: 1 / sqrt(d) */
} clg_attention_options;

/* Scaled dot-product attention (Vaswani et al. 2017): softmax(scale q k^T + mask) v, for queries (b, t, h, d), keys
 * (b, s, g, d), values (b, s, g, e), where h is a multiple of g: as many heads of queries each share one of keys and
 * values (Ainslie et al. 2023). (b, t, h, e). A query that looks at no key gets NaN. options may be NULL. */
CLG_API clg_var clg_attention(clg_var q, clg_var k, clg_var v, const clg_attention_options *options);

/* Rotary position embedding (Su et al. 2021): the pairs (x[i], x[i + d/2]) of the last axis, of even extent d, turned
 * by the angle (offset + t) base^(-2 i / d), t the place along an axis. base: usually 10000. */
CLG_API clg_var clg_rotary(clg_var x, int axis, double base, double offset);

/* The weights of one layer in one direction of a recurrent network, whose gates have a row for each of h elements, gate
 * after gate. As PyTorch has them. */
typedef struct clg_recurrent_weights {
    clg_var weight_ih;        /* (gates h, in), of what comes from the inputs */
    clg_var weight_hh;        /* (gates h, h), of what comes from the state before */
    clg_var bias_ih, bias_hh; /* (gates h); 0 or CLG_NONE: none */
} clg_recurrent_weights;

typedef struct clg_recurrent_options {
    int layers;      /* 0: 1. The second one's inputs are the first one's outputs, and so on */
    bool both_ways;  /* each layer in two directions, the second from the last step to the first */
    bool relu;       /* clg_rnn: relu in place of tanh */
    clg_var lengths; /* i32 (b): the steps that each row has, at most t count; 0 or CLG_NONE: t of all */
    clg_var h, c;    /* (layers directions, b, h): states at the start, c of clg_lstm alone; 0 or CLG_NONE: zeros */
} clg_recurrent_options;

typedef struct clg_recurrent {
    clg_var y; /* (t, b, directions h): the last layer's h after each step, the directions side by side */
    clg_var h; /* (layers directions, b, h): the states at the end */
    clg_var c; /* of clg_lstm; else CLG_NONE */
} clg_recurrent;

/* Recurrent networks over sequences x (t, b, in) of t steps, time first: with i = W_ih x + b_ih and s = W_hh h + b_hh,
 * of which gates are parts in this order, each step makes of the state h (and c) before it
 *     clg_rnn   h = tanh(i + s)                                                  (Elman 1990)
 *     clg_lstm  c = sigmoid(f) c + sigmoid(j) tanh(g), h = sigmoid(o) tanh(c)     for (j, f, g, o) = i + s
 *               (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)
 *     clg_gru   h = (1 - z) n + z h    for r, z = sigmoid of the first two parts of i + s, n = tanh(i_n + r s_n)
 *               (Cho et al. 2014, with the reset after the product, as PyTorch has it)
 * weights: as many as layers times directions, layer by layer, forwards before backwards. Graphs are unrolled: their
 * size grows with t; what the inputs give to all steps is one product. With lengths, what x has beyond a row's is not
 * read, outputs there are 0, states stay, and backwards each row starts at its own last element (PyTorch's
 * pack_padded_sequence); a length of 0 or less leaves a row's state as it was. Operands are f32 or f64, x may be of
 * integers. options may be NULL. What has another shape or dtype is refused: the results are poisoned. */
CLG_API clg_recurrent clg_rnn(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options);
CLG_API clg_recurrent clg_lstm(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options);
CLG_API clg_recurrent clg_gru(clg_var x, const clg_recurrent_weights *weights, const clg_recurrent_options *options);

/* The windows of pictures (n, c, h, w) as columns, (n, c p q, l) for windows of size (p, q), l of them in rows,
 * "im2col": stride and dilation (rank 0: 1), padding with zeros on either side (rank 0: none) for each axis.
 * Convolutions do not need it: clg_conv copies nothing. */
CLG_API clg_var clg_unfold(clg_var x, clg_shape size, clg_shape stride, clg_shape dilation, clg_shape padding);
/* Columns (n, c p q, l) added up where they come from in pictures of (h, w), "col2im": the adjoint of clg_unfold. */
CLG_API clg_var clg_fold(clg_var x, clg_shape picture, clg_shape size, clg_shape stride, clg_shape dilation,
                         clg_shape padding);
/* (n, c r^2, h, w) to (n, c, h r, w r) (Shi et al. 2016), and back. */
CLG_API clg_var clg_pixel_shuffle(clg_var x, int64_t r);
CLG_API clg_var clg_pixel_unshuffle(clg_var x, int64_t r);

/* How values between elements are made. */
typedef enum clg_interpolation {
    CLG_INTERPOLATE_NEAREST, /* clg_interpolate: element floor(o in / out); clg_grid_sample: of two, the even one */
    CLG_INTERPOLATE_NEAREST_EXACT, /* element floor((o + 1/2) in / out) */
    CLG_INTERPOLATE_LINEAR,        /* between the two nearest along each axis */
    CLG_INTERPOLATE_CUBIC,         /* of four along each axis, by cubic convolution with a = -3/4 (Keys 1981) */
    CLG_INTERPOLATE_AREA           /* the mean of the elements that it is made of: clg_adaptive_avg_pool */
} clg_interpolation;

/* x (n, c, ...) with one to three axes more at another size, an extent for each of these axes (PyTorch's
 * interpolate, given size). Element o of out is at the place (o + 1/2) in / out - 1/2 of in, or with align_corners at
 * o (in - 1) / (out - 1); beyond the outer elements these stand. align_corners is of LINEAR and CUBIC alone. LINEAR and
 * CUBIC are a product with a matrix (out, in) along each axis whose extent changes, so that an infinity or NaN in x is
 * NaN in all that it shares that axis with. Places are exact: for a few sizes, with NEAREST in
 * f32, PyTorch rounds in / out so that it takes the element beside. Integers are taken as f32. */
CLG_API clg_var clg_interpolate(clg_var x, clg_shape size, clg_interpolation mode, bool align_corners);

/* What is outside pictures: zeros; the nearest element of the edge; the picture mirrored at its edge, which is the
 * middle of the outer elements with align_corners and their outer side without. */
typedef enum clg_grid_padding { CLG_GRID_ZEROS, CLG_GRID_BORDER, CLG_GRID_REFLECTION } clg_grid_padding;

/* Pictures x (n, c, h, w) at the places that grid (n, ho, wo, 2) says: (n, c, ho, wo). The last axis of grid is x, then
 * y, in -1..1 from edge to edge of the picture: with align_corners from the middle of the outer elements, without from
 * their outer sides. mode: NEAREST, LINEAR or CUBIC (PyTorch's grid_sample of nearest, bilinear and bicubic). Gradients
 * flow to x and, but for NEAREST, to grid; where BORDER or REFLECTION hold a place at the edge the latter are 0. */
CLG_API clg_var clg_grid_sample(clg_var x, clg_var grid, clg_interpolation mode, clg_grid_padding padding,
                                bool align_corners);
/* For clg_grid_sample, the grid (n, h, w, 2) of places theta (x, y, 1), for affine maps theta (n, 2, 3) and the places
 * (x, y) of the elements of a picture (h, w) (Jaderberg et al. 2015, eq. 1; PyTorch's affine_grid). */
CLG_API clg_var clg_affine_grid(clg_var theta, int64_t h, int64_t w, bool align_corners);

/* ---------------------------------------------------------------- losses
 *
 * Of a prediction and a target, elementwise, then as the reduction says. */

typedef enum clg_reduction { CLG_REDUCE_MEAN, CLG_REDUCE_SUM, CLG_REDUCE_NONE } clg_reduction;

/* What may be left out of clg_cross_entropy is 0: no weights, no smoothing, the mean. */
typedef struct clg_cross_entropy_options {
    clg_var weight; /* (classes), of each class; 0 or CLG_NONE: 1 of all */
    bool ignores;   /* rows whose label is ignored count nothing */
    int32_t ignored;
    double label_smoothing;  /* the part of the target that is spread over all classes, 0..1 (Szegedy et al. 2016) */
    clg_reduction reduction; /* MEAN: over the sum of the rows' weights */
} clg_cross_entropy_options;

/* -log softmax(logits) along axis 1 at the labels. logits (n, classes, ...), labels (n, ...) i32, i64 or u8; NaN for a
 * label out of range. options may be NULL. clg_nll_loss takes logarithms of probabilities in place of logits. */
CLG_API clg_var clg_cross_entropy(clg_var logits, clg_var labels, const clg_cross_entropy_options *options);
CLG_API clg_var clg_nll_loss(clg_var log_probability, clg_var labels, const clg_cross_entropy_options *options);
/* The same against probabilities, of the shape of logits: -sum(target log softmax(logits)) along axis 1. */
CLG_API clg_var clg_cross_entropy_soft(clg_var logits, clg_var target, clg_reduction reduction);
CLG_API clg_var clg_l1_loss(clg_var prediction, clg_var target, clg_reduction reduction); /* |p - t| */
CLG_API clg_var clg_l2_loss(clg_var prediction, clg_var target, clg_reduction reduction); /* (p - t)^2 */
/* d^2 / 2 for d = |p - t| below delta, else delta (d - delta / 2) (Huber 1964); delta > 0. */
CLG_API clg_var clg_huber_loss(clg_var prediction, clg_var target, double delta, clg_reduction reduction);
/* huber_loss / beta (Girshick 2015); l1_loss for beta = 0. */
CLG_API clg_var clg_smooth_l1_loss(clg_var prediction, clg_var target, double beta, clg_reduction reduction);
/* -t log(p) - (1 - t) log(1 - p), each logarithm -100 at least, as PyTorch's; with logits: p = sigmoid(x), in which
 * nothing overflows. */
CLG_API clg_var clg_binary_cross_entropy(clg_var probability, clg_var target, clg_reduction reduction);
CLG_API clg_var clg_binary_cross_entropy_with_logits(clg_var x, clg_var target, clg_reduction reduction);
/* t (log t - p) for p = log of a probability; 0 where t is 0. */
CLG_API clg_var clg_kl_divergence(clg_var log_probability, clg_var target, clg_reduction reduction);
/* exp(x) - t x, for x = log of the rate. */
CLG_API clg_var clg_poisson_nll_loss(clg_var log_rate, clg_var target, clg_reduction reduction);
/* (log(v) + (p - t)^2 / v) / 2 for v = variance, at least 1e-6, through which bound no gradient is stopped. */
CLG_API clg_var clg_gaussian_nll_loss(clg_var prediction, clg_var target, clg_var variance, clg_reduction reduction);
/* max(0, 1 - t p), t = -1 or 1. */
CLG_API clg_var clg_hinge_loss(clg_var prediction, clg_var target, clg_reduction reduction);
/* a . b / (|a| |b|) along an axis of what a and b broadcast to, each norm at least 1e-8. */
CLG_API clg_var clg_cosine_similarity(clg_var a, clg_var b, int axis);
/* 1 - cosine_similarity where target is 1, max(0, cosine_similarity - margin) where it is -1; a, b (n, d), target (n).
 */
CLG_API clg_var clg_cosine_embedding_loss(clg_var a, clg_var b, clg_var target, double margin, clg_reduction reduction);
/* max(0, |anchor - positive| - |anchor - negative| + margin), 2-norms along the last axis (each difference + 1e-6, as
 * PyTorch's). */
CLG_API clg_var clg_triplet_margin_loss(clg_var anchor, clg_var positive, clg_var negative, double margin,
                                        clg_reduction reduction);

/* What may be left out of clg_ctc_loss is 0. */
typedef struct clg_ctc_options {
    int32_t blank;           /* the class that is no label */
    bool zero_infinity;      /* a row whose labels do not fit into its steps has loss 0, not infinity */
    clg_reduction reduction; /* MEAN: of the rows' losses, each over the number of its labels (at least 1) */
} clg_ctc_options;

/* Connectionist temporal classification (Graves et al. 2006, eq. 6 to 8): -log of the probability of all ways to spread
 * a row's labels over its steps, with blanks before, between and behind them, and between equal ones at least one.
 * log_probability (t, n, classes), as of clg_log_softmax along its last axis; labels (n, s), input_lengths (n): of t
 * steps, label_lengths (n): of s labels; these three i32, i64 or u8. Labels and steps beyond a row's lengths are not
 * read. NaN for a row with a label that is no class, or a length that is not in 0..t or 0..s; operands of other shapes
 * or dtypes, and a blank that is no class, are refused. The graph is unrolled: its size grows with t. Where a loss is
 * infinite no gradient flows. The gradient is that of the formula: PyTorch's for log_probability has
 * exp(log_probability) added, of which nothing is left in front of log_softmax. options may be NULL. */
CLG_API clg_var clg_ctc_loss(clg_var log_probability, clg_var labels, clg_var input_lengths, clg_var label_lengths,
                             const clg_ctc_options *options);

#ifdef __cplusplus
}
#endif
#endif
