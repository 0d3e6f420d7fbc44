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

/* Changes the learning rate of later runs; no recompilation. */
CLG_API clg_status clg_optimizer_set_lr(clg_optimizer *optimizer, double lr);

#ifdef __cplusplus
}
#endif
#endif
