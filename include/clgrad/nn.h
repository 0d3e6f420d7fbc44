/* Layers, initialisers and models, built from the operations of clgrad.h. */
#ifndef CLGRAD_NN_H
#define CLGRAD_NN_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11): a counter-based
 * generator; the i-th number of (seed, stream) is the same on every machine. */
typedef struct clg_random {
    uint64_t seed, stream, counter;
} clg_random;

CLG_API clg_random clg_random_new(uint64_t seed, uint64_t stream);
CLG_API uint32_t clg_random_u32(clg_random *random);
CLG_API double clg_random_uniform(clg_random *random); /* in [0, 1) */
CLG_API double clg_random_normal(clg_random *random);  /* mean 0, variance 1 (Box-Muller) */
/* A uniform integer in 0..bound-1 without modulo bias; bound > 0. */
CLG_API uint32_t clg_random_below(clg_random *random, uint32_t bound);
/* Fisher-Yates. */
CLG_API void clg_random_shuffle(clg_random *random, int32_t *values, size_t count);

/* An f32 leaf with values uniform in [-bound, bound]. */
CLG_API clg_var clg_uniform_init(clg_graph *graph, clg_shape shape, double bound, clg_random *random);
/* An f32 leaf with values normal with standard deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10). */
CLG_API clg_var clg_he_init(clg_graph *graph, clg_shape shape, int64_t fan_in, clg_random *random);

/* A dense layer: y = x W + b. W (in, out) He-initialised, b (out) zero, both f32. Of an x of f16 or bf16 y is, too: W
 * and b are cast to its dtype (mixed precision: see optim.h). */
typedef struct clg_linear {
    clg_var weight, bias;
} clg_linear;
CLG_API clg_linear clg_linear_new(clg_graph *graph, int64_t in, int64_t out, clg_random *random);
CLG_API clg_var clg_linear_apply(clg_linear layer, clg_var x);

/* A multi-layer perceptron with relu between its layers. widths: input, hidden..., output; count of them. NULL if there
 * are fewer than two, or one is no extent of an array (clg_last_error). */
typedef struct clg_mlp clg_mlp;
CLG_API clg_mlp *clg_mlp_new(clg_graph *graph, const int64_t *widths, int count, clg_random *random);
CLG_API void clg_mlp_free(clg_mlp *mlp); /* the variables stay with the graph */
CLG_API clg_var clg_mlp_apply(const clg_mlp *mlp, clg_var x);
/* The parameters, weight before bias, layer by layer. Owned by the model. */
CLG_API const clg_var *clg_mlp_parameters(const clg_mlp *mlp, int *count);

/* Fraction of rows whose largest logit is at the label: f32 scalar. logits (n, classes), labels (n). */
CLG_API clg_var clg_accuracy(clg_var logits, clg_var labels);

#ifdef __cplusplus
}
#endif
#endif
