/* What functions made of operations are written with. */
#ifndef CLG_NN_HELPERS_H
#define CLG_NN_HELPERS_H

#include <clgrad/functions.h>

#include <stdio.h>
#include <string.h>

/* Integers as f32. */
static inline clg_var as_float(clg_var x)
{
    return clg_is_valid(x) && !clg_dtype_is_real(clg_dtype_of(x)) ? clg_cast(x, CLG_F32) : x;
}

/* What functions of several operations compute in, that round once at the end: f16 and bf16, too, as f32. */
static inline clg_var as_wide(clg_var x)
{
    const clg_dtype dtype = clg_dtype_of(x);
    return dtype == CLG_F16 || dtype == CLG_BF16 ? clg_cast(x, CLG_F32) : as_float(x);
}

/* y as given for x: rounded, if x is f16 or bf16. */
static inline clg_var as_given(clg_var y, clg_var x)
{
    const clg_dtype dtype = clg_dtype_of(x);
    return dtype == CLG_F16 || dtype == CLG_BF16 ? clg_cast(y, dtype) : y;
}

/* Whether a dtype may be that of indices; these as i32, where what i32 does not have stays out of every range. */
static inline bool is_index(clg_var x) { return !clg_dtype_is_real(clg_dtype_of(x)) && clg_dtype_of(x) != CLG_BOOL; }
static inline clg_var as_index(clg_var x)
{
    if (clg_is_valid(x) && clg_dtype_of(x) == CLG_I64)
        x = clg_minimum(clg_maximum(x, clg_scalar_like(x, INT32_MIN)), clg_scalar_like(x, INT32_MAX));
    return clg_cast(x, CLG_I32);
}

/* a x + b, x not an integer. */
static inline clg_var affine(clg_var x, double a, double b)
{
    return clg_add(clg_mul(x, clg_scalar_like(x, a)), clg_scalar_like(x, b));
}

static inline clg_var times(clg_var x, double a) { return clg_mul(x, clg_scalar_like(x, a)); }
static inline clg_var zero_like(clg_var x) { return clg_scalar_like(x, 0); }
static inline clg_var positive(clg_var x) { return clg_less(zero_like(x), x); }

/* What a function that looks at its operands' shapes asks first: whether they are variables of one graph. If not, that
 * graph has an error. */
static inline bool are_operands(const char *op, const clg_var *x, int count)
{
    for (int i = 0; i < count; i++) {
        if (!x[i].graph || x[i].graph != x[0].graph)
            clg_refuse(x[0].graph, "%s: operand %d is not a variable of the graph of operand 0", op, i);
        else if (!clg_is_valid(x[i]) && !clg_graph_error(x[i].graph))
            clg_refuse(x[i].graph, "%s: operand %d is poisoned", op, i);
        if (!clg_is_valid(x[i]) || x[i].graph != x[0].graph)
            return false;
    }
    return true;
}

static inline clg_var poisoned(clg_graph *graph) { return (clg_var){graph, -1}; }

/* "(2, 3)", for messages. */
typedef struct shape_words {
    char text[160];
} shape_words;

static inline shape_words words_of(clg_shape shape)
{
    shape_words w = {"("};
    for (int d = 0; d < shape.rank; d++) {
        const size_t used = strlen(w.text);
        snprintf(w.text + used, sizeof w.text - used, d ? ", %lld" : "%lld", (long long)shape.dim[d]);
    }
    strncat(w.text, ")", sizeof w.text - strlen(w.text) - 1);
    return w;
}

static inline clg_var one_minus(clg_var x) { return clg_sub(clg_scalar_like(x, 1), x); }
#endif
