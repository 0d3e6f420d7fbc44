/* Sums of products as a list of their terms. */
#include "support_form.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void form_add(form *f, const int64_t *at)
{
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 1024;
        f->term = realloc(f->term, (size_t)f->capacity * sizeof *f->term);
        assert_non_null(f->term);
    }
    for (int k = 0; k < f->arrays; k++) {
        assert_true(at[k] >= 0 && at[k] < clg_shape_count(f->shape[k]));
        f->term[f->count][k] = (int32_t)at[k];
    }
    f->count++;
}

void form_free(form *f)
{
    free(f->term);
    *f = (form){0};
}

static double *new_array(clg_shape shape)
{
    double *values = calloc((size_t)clg_shape_count(shape) + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static double *random_array(clg_shape shape, clg_dtype dtype, bool whole, clg_random *random)
{
    double *values = new_array(shape);
    for (int64_t i = 0; i < clg_shape_count(shape); i++) {
        double value = whole ? (double)clg_random_below(random, 5) - 2 : 2 * clg_random_uniform(random) - 1;
        values[i] = dtype == CLG_F64 ? value : (double)(float)value;
    }
    return values;
}

static clg_dtype result_dtype(const form *f, const clg_dtype *dtypes)
{
    clg_dtype dtype = CLG_F32;
    for (int k = 1; k < f->arrays; k++)
        dtype = dtypes[k] == CLG_F64 ? CLG_F64 : dtype;
    return dtype;
}

void form_values(const form *f, const clg_dtype *dtypes, bool whole, clg_random *random, double **values)
{
    for (int k = 0; k < f->arrays; k++)
        values[k] = random_array(f->shape[k], k ? dtypes[k] : result_dtype(f, dtypes), whole, random);
}

static double product(const form *f, int64_t t, int which, double *const *values)
{
    double all = 1;
    for (int k = 0; k < f->arrays; k++)
        if (k != which)
            all *= values[k][f->term[t][k]];
    return all;
}

double *form_sum(const form *f, int which, double *const *values)
{
    double *sum = new_array(f->shape[which]);
    for (int64_t t = 0; t < f->count; t++)
        sum[f->term[t][which]] += product(f, t, which, values);
    return sum;
}

form_fault form_compare(const form *f, int which, double *const *values, const double *got, clg_dtype dtype, bool whole)
{
    double *want = form_sum(f, which, values), *size = new_array(f->shape[which]), *length = new_array(f->shape[which]);
    double unit = dtype == CLG_F64 ? 1.2e-16 : 6e-8;
    form_fault fault = {0};
    for (int64_t t = 0; t < f->count; t++) {
        size[f->term[t][which]] += fabs(product(f, t, which, values));
        length[f->term[t][which]]++;
    }
    for (int64_t i = 0; i < clg_shape_count(f->shape[which]); i++) {
        double tolerance = whole ? 0 : unit * (2 * length[i] + 4 * f->arrays) * size[i];
        bool good = isnan(want[i])   ? isnan(got[i])
                    : isinf(want[i]) ? got[i] == want[i]
                                     : fabs(got[i] - want[i]) <= tolerance;
        if (!good && fault.count++ == 0)
            fault = (form_fault){1, i, got[i], want[i], tolerance};
    }
    free(want);
    free(size);
    free(length);
    return fault;
}

/* ---------------------------------------------------------------- the library */

enum { MOST_RESULTS = 2 * FORM_ARRAYS };

/* What is compared: an array, or zeros, from operands of which one may be replaced by another. */
typedef struct expectation {
    clg_var got;
    int which, replaced; /* -1: none */
    bool zero;
    const char *name;
} expectation;

static void compare(const form *f, const expectation *e, double **values, double *other, const form_options *o)
{
    double *all[FORM_ARRAYS];
    memcpy(all, values, sizeof all);
    if (e->replaced >= 0)
        all[e->replaced] = other;
    if (!clg_is_valid(e->got))
        fail_msg("%s: %s: %s", o->what, e->name, clg_last_error());
    clg_shape shape = clg_shape_of(e->got);
    clg_dtype dtype = e->which ? o->dtype[e->which] : result_dtype(f, o->dtype);
    if (!clg_shape_equal(shape, f->shape[e->which]) || clg_dtype_of(e->got) != dtype) {
        char text[2][128];
        fail_msg("%s: %s: %s %s, not %s %s", o->what, e->name, clg_dtype_name(clg_dtype_of(e->got)),
                 clg_shape_format(shape, text[0], sizeof text[0]), clg_dtype_name(dtype),
                 clg_shape_format(f->shape[e->which], text[1], sizeof text[1]));
    }
    double *got = support_values(e->got);
    form_fault fault = {0};
    if (!e->zero)
        fault = form_compare(f, e->which, all, got, dtype, o->whole);
    for (int64_t i = 0; i < clg_shape_count(shape) && e->zero; i++)
        if (!(got[i] == 0) && fault.count++ == 0)
            fault = (form_fault){1, i, got[i], 0, 0};
    free(got);
    if (fault.count)
        fail_msg("%s: %s, array %d (gradient of that of array %d): %lld elements are wrong, first %lld: %.9g, not %.9g "
                 "(+- %.1g)",
                 o->what, e->name, e->which, e->replaced, (long long)fault.count, (long long)fault.element, fault.got,
                 fault.want, fault.tolerance);
}

/* The gradients of sum(y * weights); then those of the sum of one of them times another array. */
static int differentiate(const form *f, clg_var y, clg_var weights, const clg_var *leaf, clg_var other, int i,
                         expectation *list)
{
    clg_var gx[FORM_ARRAYS], again[FORM_ARRAYS], from[FORM_ARRAYS];
    int count = 0;
    clg_gradients(clg_mul(y, weights), leaf + 1, f->arrays - 1, gx + 1);
    for (int k = 1; k < f->arrays; k++)
        list[count++] = (expectation){gx[k], k, -1, false, "gradient"};
    memcpy(from, leaf, sizeof from);
    from[0] = weights;
    clg_gradients(clg_mul(gx[i], other), from, f->arrays, again);
    for (int k = 0; k < f->arrays; k++) /* sum(gx * other) is linear in the weights and in every other operand */
        list[count++] = (expectation){again[k], k, i, k == i, "second gradient"};
    return count;
}

void form_check(const form *f, clg_device *device, form_builder *build, const void *data, const form_options *options,
                clg_random *random)
{
    clg_graph *g = clg_graph_new(device);
    clg_var leaf[FORM_ARRAYS], all[MOST_RESULTS];
    double *values[FORM_ARRAYS];
    expectation list[MOST_RESULTS];
    clg_program *program = NULL;
    int i = 1 + (int)clg_random_below(random, (uint32_t)f->arrays - 1), count = 0;
    form_values(f, options->dtype, options->whole, random, values);
    int64_t elements = clg_shape_count(f->shape[options->marked]);
    if (options->special != 0 && elements)
        values[options->marked][clg_random_below(random, (uint32_t)elements)] = options->special;
    double *replacement = random_array(f->shape[i], options->dtype[i], options->whole, random);
    for (int k = 1; k < f->arrays; k++)
        leaf[k] = support_leaf(g, options->dtype[k], f->shape[k], values[k]);
    leaf[0] = support_leaf(g, result_dtype(f, options->dtype), f->shape[0], values[0]);
    clg_var other = support_leaf(g, options->dtype[i], f->shape[i], replacement), y = build(leaf + 1, data);
    list[count++] = (expectation){y, 0, -1, false, "result"};
    if (clg_is_valid(y) && clg_shape_equal(clg_shape_of(y), f->shape[0]) && !options->result_only)
        count += differentiate(f, y, leaf[0], leaf, other, i, list + count);
    for (int k = 0; k < count; k++)
        all[k] = list[k].got;
    if (clg_random_below(random, 2) && !clg_graph_error(g)) {
        program = clg_compile(g, all, count);
        if (!program || clg_run(program) != CLG_OK)
            fail_msg("%s: %s", options->what, clg_last_error());
    }
    for (int k = 0; k < count; k++)
        compare(f, &list[k], values, replacement, options);
    clg_program_free(program);
    clg_graph_free(g);
    for (int k = 0; k < f->arrays; k++)
        free(values[k]);
    free(replacement);
}

void form_expect(clg_var x, clg_shape shape, const double *want, int line)
{
    if (!clg_is_valid(x) || !clg_shape_equal(clg_shape_of(x), shape))
        fail_msg("line %d: rank %d: %s", line, clg_shape_of(x).rank, clg_last_error());
    double *got = support_values(x);
    for (int64_t i = 0; i < clg_shape_count(shape); i++)
        if (!support_close(got[i], want[i], 0))
            fail_msg("line %d: element %lld is %.9g, not %.9g", line, (long long)i, got[i], want[i]);
    free(got);
}
