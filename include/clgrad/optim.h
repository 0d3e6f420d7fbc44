/* Optimizers. Their state and their updates live in the graph, so that forward, backward and update are one
 * program. */
#ifndef CLGRAD_OPTIM_H
#define CLGRAD_OPTIM_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clg_optimizer clg_optimizer;

typedef struct clg_sgd_options {
    double lr;           /* 0: 0.01 */
    double momentum;     /* 0: none. v = momentum v + g; p -= lr v */
    double weight_decay; /* g += weight_decay p */
} clg_sgd_options;

/* Adam (Kingma and Ba 2015, algorithm 1). Zero fields take the defaults. */
typedef struct clg_adam_options {
    double lr;      /* 1e-3 */
    double beta1;   /* 0.9 */
    double beta2;   /* 0.999 */
    double epsilon; /* 1e-8 */
} clg_adam_options;

/* params: floating-point leaves of one graph. options may be NULL. NULL on error. Free before the graph. */
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
