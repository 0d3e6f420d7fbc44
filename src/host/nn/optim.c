/* Optimizers: their update is a graph. State and learning rate are leaves; the update assigns to them. */
#include "helpers.h"

#include <clgrad/optim.h>

#include <stdlib.h>

typedef enum optimizer_kind { KIND_SGD, KIND_ADAM } optimizer_kind;

struct clg_optimizer {
    optimizer_kind kind;
    int count;
    clg_var *params;
    clg_var *first, *second; /* moments (SGD: first is the velocity), made when first needed */
    clg_var lr, steps;       /* scalars: learning rate, f64 if a parameter is; number of updates so far, f32 */
    clg_sgd_options sgd;
    clg_adam_options adam;
};

static clg_var zeros_leaf(clg_var like)
{
    clg_shape shape = clg_shape_of(like);
    size_t bytes = (size_t)clg_shape_count(shape) * clg_dtype_size(clg_dtype_of(like));
    void *zeros = calloc(1, bytes ? bytes : 1);
    clg_var x = clg_input(like.graph, clg_dtype_of(like), shape);
    if (zeros && clg_is_valid(x) && clg_write(x, zeros, bytes) != CLG_OK)
        x.id = -1;
    free(zeros);
    return x;
}

static clg_status write_lr(clg_optimizer *o, double lr)
{
    const float value = (float)lr;
    return clg_dtype_of(o->lr) == CLG_F64 ? clg_write(o->lr, &lr, sizeof lr) : clg_write(o->lr, &value, sizeof value);
}

static clg_optimizer *make(optimizer_kind kind, const clg_var *params, int count, double lr, bool first, bool second)
{
    clg_optimizer *o = calloc(1, sizeof *o);
    if (!o || count < 1 || !params) {
        free(o);
        return NULL;
    }
    o->kind = kind;
    o->count = count;
    o->params = calloc((size_t)count * 3, sizeof *o->params);
    if (!o->params) {
        free(o);
        return NULL;
    }
    o->first = o->params + count;
    o->second = o->first + count;
    memcpy(o->params, params, (size_t)count * sizeof *params);
    bool good = true;
    clg_dtype dtype = CLG_F32;
    for (int i = 0; i < count && good; i++) {
        good = clg_is_valid(params[i]) && !strcmp(clg_creator(params[i]), "input") &&
               (clg_dtype_of(params[i]) == CLG_F32 || clg_dtype_of(params[i]) == CLG_F64);
        if (good && clg_dtype_of(params[i]) == CLG_F64)
            dtype = CLG_F64;
        if (good && first)
            o->first[i] = zeros_leaf(params[i]);
        if (good && second)
            o->second[i] = zeros_leaf(params[i]);
    }
    if (good) {
        o->lr = clg_input(params[0].graph, dtype, CLG_SCALAR);
        good = clg_is_valid(o->lr) && write_lr(o, lr) == CLG_OK;
        o->steps = clg_scalar(params[0].graph, 0);
    }
    if (!good || !clg_is_valid(o->lr) || !clg_is_valid(o->steps)) {
        clg_optimizer_free(o);
        return NULL;
    }
    return o;
}

clg_sgd_options clg_sgd_defaults(void) { return (clg_sgd_options){.lr = 0.01}; }

clg_adam_options clg_adam_defaults(void) { return (clg_adam_options){1e-3, 0.9, 0.999, 1e-8}; }

clg_optimizer *clg_sgd(const clg_var *params, int count, const clg_sgd_options *options)
{
    clg_sgd_options chosen = options ? *options : clg_sgd_defaults();
    clg_optimizer *o = make(KIND_SGD, params, count, chosen.lr, chosen.momentum != 0, false);
    if (o)
        o->sgd = chosen;
    return o;
}

clg_optimizer *clg_adam(const clg_var *params, int count, const clg_adam_options *options)
{
    clg_adam_options chosen = options ? *options : clg_adam_defaults();
    clg_optimizer *o = make(KIND_ADAM, params, count, chosen.lr, true, true);
    if (o)
        o->adam = chosen;
    return o;
}

void clg_optimizer_free(clg_optimizer *optimizer)
{
    if (optimizer)
        free(optimizer->params);
    free(optimizer);
}

clg_status clg_optimizer_set_lr(clg_optimizer *optimizer, double lr)
{
    optimizer->sgd.lr = optimizer->adam.lr = lr;
    return write_lr(optimizer, lr);
}

/* ---------------------------------------------------------------- updates */

static clg_var constant(clg_var like, double value)
{
    return clg_full(like.graph, clg_dtype_of(like), CLG_SCALAR, value);
}

/* leaf becomes value, where condition holds. Returns token, tied to that. */
static clg_var set(clg_var token, clg_var leaf, clg_var value, clg_var condition)
{
    if (condition.id != CLG_NONE.id)
        value = clg_where(condition, value, leaf);
    return clg_after(token, clg_assign(leaf, value));
}

/* Each update returns token, tied to its assignments. */
static clg_var update_sgd(clg_optimizer *o, int i, clg_var grad, clg_var condition, clg_var token)
{
    clg_var p = o->params[i], lr = clg_cast(o->lr, clg_dtype_of(p));
    if (o->sgd.weight_decay != 0)
        grad = clg_add(grad, clg_mul(constant(p, o->sgd.weight_decay), p));
    if (o->sgd.momentum != 0) {
        clg_var velocity = clg_add(clg_mul(constant(p, o->sgd.momentum), o->first[i]), grad);
        token = set(token, o->first[i], velocity, condition);
        grad = velocity;
    }
    return set(token, p, clg_sub(p, clg_mul(lr, grad)), condition);
}

/* Kingma and Ba 2015, algorithm 1, with the corrections folded into the step size as at the end of section 2 (epsilon
 * is then scaled likewise, so that the result is the algorithm's). count: updates including this one. */
static clg_var update_adam(clg_optimizer *o, int i, clg_var grad, clg_var count, clg_var condition, clg_var token)
{
    clg_var p = o->params[i], b1 = constant(p, o->adam.beta1), b2 = constant(p, o->adam.beta2), one = constant(p, 1);
    count = clg_cast(count, clg_dtype_of(p));
    clg_var m = clg_add(clg_mul(b1, o->first[i]), clg_mul(clg_sub(one, b1), grad));
    clg_var v = clg_add(clg_mul(b2, o->second[i]), clg_mul(clg_sub(one, b2), clg_square(grad)));
    clg_var root = clg_sqrt(clg_sub(one, clg_pow(b2, count)));
    clg_var rate = clg_div(clg_mul(clg_cast(o->lr, clg_dtype_of(p)), root), clg_sub(one, clg_pow(b1, count)));
    clg_var step = clg_div(clg_mul(rate, m), clg_add(clg_sqrt(v), clg_mul(constant(p, o->adam.epsilon), root)));
    token = set(token, o->first[i], m, condition);
    token = set(token, o->second[i], v, condition);
    return set(token, p, clg_sub(p, step), condition);
}

clg_var clg_optimizer_step(clg_optimizer *optimizer, clg_var x, const clg_var *grads, clg_var condition)
{
    clg_optimizer *o = optimizer;
    if (condition.id != CLG_NONE.id && clg_is_valid(condition) && clg_shape_of(condition).rank != 0)
        return clg_refuse(x.graph, "optimizer_step: the condition has shape %s; right is a scalar",
                          words_of(clg_shape_of(condition)).text);
    clg_var count = clg_add(o->steps, constant(o->steps, 1));
    for (int i = 0; i < o->count; i++)
        x = o->kind == KIND_SGD ? update_sgd(o, i, grads[i], condition, x)
                                : update_adam(o, i, grads[i], count, condition, x);
    return set(x, o->steps, count, condition);
}

/* clg_minimize; with a scale, on the scaled loss. */
static clg_var minimize(clg_optimizer *o, clg_var loss, const clg_loss_scale *scale)
{
    clg_var finite = CLG_NONE, result = {loss.graph, -1}, *grads = malloc((size_t)o->count * sizeof *grads);
    clg_status status = CLG_ERROR_MEMORY;
    if (grads)
        status = scale ? clg_loss_scale_gradients(scale, loss, o->params, o->count, grads, &finite)
                       : clg_gradients(loss, o->params, o->count, grads);
    if (status == CLG_OK)
        result = clg_optimizer_step(o, loss, grads, finite);
    if (status == CLG_OK && scale)
        result = clg_loss_scale_update(scale, result, finite);
    free(grads);
    return result;
}

clg_var clg_minimize(clg_optimizer *optimizer, clg_var loss) { return minimize(optimizer, loss, NULL); }

clg_var clg_minimize_scaled(clg_optimizer *optimizer, clg_var loss, const clg_loss_scale *scale)
{
    return minimize(optimizer, loss, scale);
}
