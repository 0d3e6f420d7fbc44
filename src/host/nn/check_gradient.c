/* Gradients against central differences. */
#include <clgrad/nn.h>
#include <clgrad/transforms.h>

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A leaf while it is looked at: what it holds, what is written, its gradient. */
typedef struct leaf {
    clg_var x;
    int64_t count;
    size_t bytes;
    bool wide; /* f64 */
    char *held, *moved, *gradient;
} leaf;

typedef struct report {
    char *text;
    size_t size, used;
} report;

static void add(report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(report *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (r->text && r->used < r->size) {
        const int length = vsnprintf(r->text + r->used, r->size - r->used, format, list);
        r->used += length > 0 ? (size_t)length : 0;
    }
    va_end(list);
}

static double at(const leaf *l, const char *values, int64_t i)
{
    return l->wide ? ((const double *)(const void *)values)[i] : (double)((const float *)(const void *)values)[i];
}

static void put(const leaf *l, int64_t i, double value)
{
    if (l->wide)
        ((double *)(void *)l->moved)[i] = value;
    else
        ((float *)(void *)l->moved)[i] = (float)value;
}

/* The sum with element i at a value. */
static double sum_at(const leaf *l, int64_t i, double value, clg_var sum, clg_program *program, clg_status *status)
{
    put(l, i, value);
    if (*status == CLG_OK)
        *status = clg_write(l->x, l->moved, l->bytes);
    if (*status == CLG_OK)
        *status = clg_run(program);
    return *status == CLG_OK ? clg_item(sum) : NAN;
}

/* NaN is the worst. */
static bool is_worse(double error, double than) { return !isnan(than) && !(error <= than); }

static clg_status check_element(const leaf *l, int64_t i, const clg_check_options *o, clg_var sum, clg_program *program,
                                clg_check_result *found)
{
    clg_status status = CLG_OK;
    const double x = at(l, l->held, i), epsilon = l->wide ? DBL_EPSILON : (double)FLT_EPSILON;
    const double step = (o->step > 0 ? o->step : cbrt(epsilon)) * fmax(1, fabs(x));
    const double above = sum_at(l, i, x + step, sum, program, &status), high = at(l, l->moved, i);
    const double below = sum_at(l, i, x - step, sum, program, &status), low = at(l, l->moved, i);
    put(l, i, x);
    const double difference = (above - below) / (high - low), gradient = at(l, l->gradient, i);
    const double error = fabs(gradient - difference) / fmax(1, fmax(fabs(gradient), fabs(difference)));
    const double limit = o->tolerance > 0 ? o->tolerance : l->wide ? 1e-6 : 1e-2;
    found->checked++;
    found->wrong += !(error <= limit);
    if (found->checked == 1 || is_worse(error, found->error)) {
        found->element = i;
        found->gradient = gradient;
        found->difference = difference;
        found->error = error;
    }
    return status;
}

/* Some elements, or all of them; the leaf has its values back afterwards. */
static clg_status check_leaf(const leaf *l, const clg_check_options *o, clg_var sum, clg_program *program,
                             clg_random *random, clg_check_result *found)
{
    clg_status status = CLG_OK;
    const int64_t samples = o->samples > 0 ? o->samples : 32, tried = samples < l->count ? samples : l->count;
    memcpy(l->moved, l->held, l->bytes);
    for (int64_t k = 0; k < tried && status == CLG_OK; k++) {
        const uint32_t bound = l->count < UINT32_MAX ? (uint32_t)l->count : UINT32_MAX;
        const int64_t i = tried == l->count ? k : (int64_t)clg_random_below(random, bound);
        status = check_element(l, i, o, sum, program, found);
    }
    const clg_status back = clg_write(l->x, l->held, l->bytes);
    return status != CLG_OK ? status : back;
}

static void describe(report *r, int number, const leaf *l, const clg_check_result *found)
{
    add(r,
        "leaf %d, %lld of %s: %d of %d wrong; the worst, element %lld: gradient %.10g, difference %.10g, error %.2g\n",
        number, (long long)l->count, clg_dtype_name(clg_dtype_of(l->x)), found->wrong, found->checked,
        (long long)found->element, found->gradient, found->difference, found->error);
}

static clg_status take_leaf(leaf *l, clg_var x, clg_var gradient)
{
    *l = (leaf){.x = x, .count = clg_shape_count(clg_shape_of(x)), .wide = clg_dtype_of(x) == CLG_F64};
    l->bytes = (size_t)l->count * clg_dtype_size(clg_dtype_of(x));
    l->held = malloc(3 * l->bytes + 1);
    if (!l->held)
        return CLG_ERROR_MEMORY;
    l->moved = l->held + l->bytes;
    l->gradient = l->moved + l->bytes;
    clg_status status = clg_read(x, l->held, l->bytes);
    return status == CLG_OK ? clg_read(gradient, l->gradient, l->bytes) : status;
}

clg_status clg_check_gradient(clg_var y, const clg_var *xs, int count, const clg_check_options *options,
                              clg_check_result *result, char *text, size_t size)
{
    static const clg_check_options defaults = {0};
    const clg_check_options *o = options ? options : &defaults;
    report r = {text, size, 0};
    clg_check_result all = {0};
    clg_random random = clg_random_new(o->seed, 0);
    clg_var *slopes = malloc((size_t)(count > 0 ? count : 1) * sizeof *slopes);
    clg_status status = slopes ? clg_gradients(y, xs, count, slopes) : CLG_ERROR_MEMORY;
    clg_var sum = clg_sum(y, CLG_ALL_AXES, false);
    clg_program *program = status == CLG_OK ? clg_compile(y.graph, &sum, 1) : NULL;
    if (status == CLG_OK && !program)
        status = CLG_ERROR_ARGUMENT;
    if (text && size)
        text[0] = 0;
    for (int i = 0; i < count && status == CLG_OK; i++) {
        leaf l;
        clg_check_result found = {.leaf = i};
        status = take_leaf(&l, xs[i], slopes[i]);
        if (status == CLG_OK)
            status = check_leaf(&l, o, sum, program, &random, &found);
        if (status == CLG_OK)
            describe(&r, i, &l, &found);
        free(l.held);
        if (i == 0 || is_worse(found.error, all.error))
            all = (clg_check_result){all.checked,    all.wrong,        i,          found.element,
                                     found.gradient, found.difference, found.error};
        all.checked += found.checked;
        all.wrong += found.wrong;
    }
    clg_program_free(program);
    free(slopes);
    if (result)
        *result = all;
    return status;
}
