/* Optimizers. Their state and their updates live in the graph, so that forward, backward and update are one
 * program. */
#ifndef CLGRAD_OPTIM_H
#define CLGRAD_OPTIM_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clg_optimizer clg_optimizer;

/* Every field means what it says: 0 is 0. Begin with the defaults and change what shall be different:
 *
 *     clg_adam_options options = clg_adam_defaults();
 *     options.lr = 3e-4;
 */
typedef struct clg_sgd_options {
    double lr;
    double momentum;     /* 0: none. v = momentum v + g; p -= lr v */
    double weight_decay; /* g += weight_decay p */
} clg_sgd_options;

/* Adam (Kingma and Ba 2015, algorithm 1). */
typedef struct clg_adam_options {
    double lr, beta1, beta2, epsilon;
} clg_adam_options;

CLG_API clg_sgd_options clg_sgd_defaults(void);   /* 0.01, 0, 0 */
CLG_API clg_adam_options clg_adam_defaults(void); /* 1e-3, 0.9, 0.999, 1e-8 */

/* params: floating-point leaves of one graph; their updates are computed in their dtype. options may be NULL: the
 * defaults. NULL on error. Free before the graph. */
CLG_API clg_optimizer *clg_sgd(const clg_var *params, int count, const clg_sgd_options *options);
CLG_API clg_optimizer *clg_adam(const clg_var *params, int count, const clg_adam_options *options);
CLG_API void clg_optimizer_free(clg_optimizer *optimizer);

/* A variable that, in a program, updates the parameters and the state by one step on loss. Its value is the
 * loss. */
CLG_API clg_var clg_minimize(clg_optimizer *optimizer, clg_var loss);

/* The same with gradients that the caller made (clipped, accumulated, unscaled, ...): grads[i] has the shape and the
 * dtype of parameter i. condition: a scalar; where it is 0 when the program runs, parameters and state stay as they
 * are, whatever is in the gradients. CLG_NONE: each run is a step. The result has the values of x. Poisoned if a
 * gradient is. */
CLG_API clg_var clg_optimizer_step(clg_optimizer *optimizer, clg_var x, const clg_var *grads, clg_var condition);

/* Changes the learning rate of later runs; no recompilation. */
CLG_API clg_status clg_optimizer_set_lr(clg_optimizer *optimizer, double lr);

/* ---------------------------------------------------------------- mixed precision
 *
 * Parameters stay f32 ("master weights"); the model casts them and its input to f16 or bf16 (clg_cast; layers of nn.h
 * do that by themselves for an input of such a dtype), and the loss is f32. With bf16 that is all. Small gradients
 * become 0 in f16: there the loss is multiplied by a scale first, and the gradients are divided by it (Micikevicius et
 * al. 2018, "Mixed Precision Training", section 3.2):
 *
 *     clg_loss_scale scale = clg_loss_scale_new(g, NULL);
 *     clg_program *step = clg_compile(g, (clg_var[]){clg_minimize_scaled(opt, loss, &scale)}, 1);
 *
 * The scale is found while training: a step whose gradients are not all finite is left out and makes the scale smaller,
 * some good steps in a row make it larger (PyTorch's GradScaler). All of that is in the program; the host looks at
 * nothing. */
typedef struct clg_loss_scale_options {
    double initial;
    double growth, backoff; /* factors; powers of 2 keep gradients exact */
    int64_t interval;       /* good steps in a row until the scale grows */
} clg_loss_scale_options;

CLG_API clg_loss_scale_options clg_loss_scale_defaults(void); /* 65536, 2, 0.5, 2000 */

/* Two scalar leaves of the graph, which may be read, written and saved. */
typedef struct clg_loss_scale {
    clg_var scale;      /* f32 */
    clg_var good_steps; /* i32: in a row, since the scale last changed */
    clg_loss_scale_options options;
} clg_loss_scale;

/* options may be NULL: the defaults. The leaves are poisoned if one is wrong: initial, growth and backoff are positive
 * and finite, the interval is in 1..2147483647. */
CLG_API clg_loss_scale clg_loss_scale_new(clg_graph *graph, const clg_loss_scale_options *options);

/* clg_minimize on a scaled loss, without the steps that are not finite. Its value is the loss, not scaled. */
CLG_API clg_var clg_minimize_scaled(clg_optimizer *optimizer, clg_var loss, const clg_loss_scale *scale);

/* The parts of it, for those who do something with the gradients in between.
 *
 * clg_gradients of loss times the scale, divided by the scale again, in f32 at least (f64 of f64). *finite: a bool
 * scalar, whether all elements of all of them are. On error they are poisoned. */
CLG_API clg_status clg_loss_scale_gradients(const clg_loss_scale *scale, clg_var loss, const clg_var *xs, int count,
                                            clg_var *gxs, clg_var *finite);
/* A variable with the values of x that, in a program, updates the scale: once a run, with that run's finite. */
CLG_API clg_var clg_loss_scale_update(const clg_loss_scale *scale, clg_var x, clg_var finite);

#ifdef __cplusplus
}
#endif
#endif
