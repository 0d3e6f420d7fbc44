/* Builds a sample on a device, differentiates it twice and compares everything with what PyTorch found. */
#include "opinfo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Relative tolerances of outputs; f32: where an array of that dtype is compared. noise: an absolute one, where
 * PyTorch's own answer is rounding of what is 0. Gradients may be off 10 times as much, second ones 100 times: they are
 * sums of larger terms. */
static const double usual = 2e-9, usual_f32 = 2e-5, noise = 1e-12;

const opinfo_row *opinfo_find(const char *name)
{
    static const opinfo_row *const tables[] = {
        opinfo_elementwise, opinfo_reductions, opinfo_views,    opinfo_joins,   opinfo_products, opinfo_layers,
        opinfo_losses,      opinfo_masked,     opinfo_makers,   opinfo_special, opinfo_pictures, opinfo_indices,
        opinfo_scans,       opinfo_sorts,      opinfo_scatters, opinfo_solvers, opinfo_resizes};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const opinfo_row *row = tables[t]; row->name; row++)
            if (strcmp(row->name, name) == 0)
                return row;
    return NULL;
}

/* ---------------------------------------------------------------- building */

/* What says where and how an array is stored changes no value. */
static bool of_storage(const char *name)
{
    static const char *const names[] = {"device", "layout", "pin_memory", "memory_format", "requires_grad"};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool all_used(call *c, char *message, size_t size)
{
    const char *const lists[] = {"args", "kwargs"};
    for (int l = 0; l < 2; l++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(c->sample->json, lists[l]))
        {
            bool used = of_storage(item->string) || cJSON_IsNull(item);
            for (int i = 0; i < c->used_count; i++)
                used |= c->used[i] == item;
            if (!used) {
                snprintf(message, size, "argument %s is not expressed", item->string ? item->string : "by position");
                return false;
            }
        }
    }
    return true;
}

static void build(const opinfo_row *row, call *c)
{
    clg_var y = CLG_NONE;
    if (row->unary)
        y = row->unary(arg_var(c, 0, NULL));
    else if (row->binary) {
        clg_var a = arg_var(c, 0, NULL), b = arg_var(c, 1, "other");
        y = row->binary(a, b);
    } else
        y = row->build(c);
    if (!c->output_count && y.id != CLG_NONE.id)
        put(c, y);
}

/* The numbers with which elements are weighted, as opinfo.py has them. */
static clg_var weights(clg_var like, int number)
{
    const int64_t count = clg_shape_count(clg_shape_of(like));
    const bool wide = clg_dtype_of(like) == CLG_F64;
    double *f64 = malloc(((size_t)count + 1) * sizeof *f64);
    float *f32 = malloc(((size_t)count + 1) * sizeof *f32);
    clg_var w = CLG_NONE;
    if (f64 && f32) {
        for (int64_t i = 0; i < count; i++) {
            f64[i] = ((double)((i * 37 + number * 11) % 29) - 14.5) / 16;
            f32[i] = (float)f64[i];
        }
        w = clg_array(like.graph, wide ? CLG_F64 : CLG_F32, clg_shape_of(like),
                      wide ? (const void *)f64 : (const void *)f32);
    }
    free(f64);
    free(f32);
    return w;
}

/* The weighted sum of arrays of which PyTorch has a gradient. */
static clg_var weighted(call *c, const clg_var *arrays, int count, const cJSON *flags, int first)
{
    clg_var sum = clg_full(c->graph, CLG_F64, CLG_SCALAR, 0);
    for (int i = 0; i < count; i++)
        if (!flags || cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(flags, i), "grad")))
            sum = clg_add(sum, clg_sum(clg_mul(arrays[i], weights(arrays[i], first + i)), CLG_ALL_AXES, false));
    return sum;
}

/* ---------------------------------------------------------------- comparing */

/* How far a number may be off: relative to the wanted one, or to the largest of its array where that is below 1; and
 * absolutely. */
typedef struct allowance {
    double relative, absolute;
} allowance;

static bool close_to(double got, double want, allowance allowed, double scale)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return got == want;
    return fabs(got - want) <= allowed.relative * fmax(scale, fabs(want)) + allowed.absolute;
}

static double read_element(const char *data, clg_dtype dtype, int64_t i)
{
    const opinfo_tensor t = {.dtype = dtype, .data = data};
    return opinfo_element(&t, i);
}

/* Whether a variable is what PyTorch found; if not, a message. */
static bool same(clg_var got, const opinfo_tensor *want, allowance allowed, const char *what, opinfo_result *result)
{
    const clg_shape shape = clg_shape_of(got);
    const int64_t count = clg_shape_count(want->shape);
    const bool real = want->dtype == CLG_F32 || want->dtype == CLG_F64;
    char a[80], b[80];
    if (!clg_shape_equal(shape, want->shape) || is_real(got) != real) {
        snprintf(result->message, sizeof result->message, "%s is %s %s, not %s %s", what,
                 clg_dtype_name(clg_dtype_of(got)), clg_shape_format(shape, a, sizeof a), clg_dtype_name(want->dtype),
                 clg_shape_format(want->shape, b, sizeof b));
        return false;
    }
    const size_t bytes = (size_t)count * clg_dtype_size(clg_dtype_of(got));
    char *data = malloc(bytes + 1);
    bool good = data && clg_read(got, data, bytes) == CLG_OK;
    if (!good)
        snprintf(result->message, sizeof result->message, "%s: %s", what, clg_last_error());
    double scale = 0;
    for (int64_t i = 0; i < count; i++)
        scale = isfinite(opinfo_element(want, i)) ? fmax(scale, fabs(opinfo_element(want, i))) : scale;
    scale = fmin(scale, 1);
    if (want->dtype == CLG_F32 || clg_dtype_of(got) == CLG_F32)
        allowed.relative = fmax(allowed.relative, usual_f32);
    if (!real)
        allowed = (allowance){0};
    for (int64_t i = 0; good && i < count; i++) {
        double x = read_element(data, clg_dtype_of(got), i), y = opinfo_element(want, i);
        good = close_to(x, y, allowed, scale);
        if (!good)
            snprintf(result->message, sizeof result->message, "%s: element %lld of %lld is %.12g, not %.12g", what,
                     (long long)i, (long long)count, x, y);
    }
    free(data);
    return good;
}

/* A list of {"tensor": i}. */
static bool same_list(call *c, const clg_var *got, const char *key, allowance allowed, opinfo_result *result)
{
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(c->sample->json, key))
    {
        char what[60];
        snprintf(what, sizeof what, "%s %d", key, i);
        const cJSON *tensor = cJSON_GetObjectItem(item, "tensor");
        if (!tensor || tensor->valueint >= c->sample->tensor_count)
            return false;
        if (got[i++].id != CLG_NONE.id &&
            !same(got[i - 1], &c->sample->tensors[tensor->valueint], allowed, what, result))
            return false;
    }
    return true;
}

/* The variables that are differentiated by; a leaf that the builder did not use gets zeros. */
static int differentiable(call *c, clg_var *leaves)
{
    int count = 0;
    for (int i = 0; i < c->sample->tensor_count; i++)
        if (c->sample->tensors[i].leaf && count < OPINFO_OUTPUTS)
            leaves[count++] = tensor_var(c, i);
    return count;
}

static opinfo_outcome fail(opinfo_result *result, const char *what, const char *why)
{
    snprintf(result->message, sizeof result->message, "%s: %s", what, why ? why : "no reason is given");
    return OPINFO_FAILED;
}

/* Outputs, then gradients, then second gradients, all in one program. */
static opinfo_outcome compare(call *c, double tolerance, opinfo_result *result)
{
    const cJSON *json = c->sample->json, *outputs = cJSON_GetObjectItem(json, "outputs");
    const int count = c->output_count;
    if (cJSON_GetArraySize(outputs) != count)
        return fail(result, "outputs", "another number of them");
    const bool first = cJSON_GetObjectItem(json, "gradients") && !c->no_gradients;
    const bool second = first && cJSON_GetObjectItem(json, "second") && !c->no_second;
    clg_var all[3 * OPINFO_OUTPUTS], leaves[OPINFO_OUTPUTS];
    memcpy(all, c->outputs, (size_t)count * sizeof *all);
    int used = count, n = 0;
    if (first) {
        n = differentiable(c, leaves);
        if (n != cJSON_GetArraySize(cJSON_GetObjectItem(json, "gradients")))
            return fail(result, "gradients", "another number of them");
        clg_gradients(weighted(c, c->outputs, count, outputs, 0), leaves, n, &all[used]);
        used += n;
        if (second) {
            clg_gradients(weighted(c, &all[used - n], n, NULL, 100), leaves, n, &all[used]);
            used += n;
        }
    }
    if (clg_graph_error(c->graph))
        return fail(result, "graph", clg_graph_error(c->graph));
    if (!used) /* PyTorch has no outputs either */
        return OPINFO_PASSED;
    clg_var needed[3 * OPINFO_OUTPUTS];
    int compared = 0;
    for (int i = 0; i < used; i++)
        if (all[i].id != CLG_NONE.id)
            needed[compared++] = all[i];
    clg_program *program = clg_compile(c->graph, needed, compared);
    if (!program)
        return fail(result, "compile", clg_last_error());
    bool good = clg_run(program) == CLG_OK;
    if (!good)
        fail(result, "run", clg_last_error());
    const allowance outputs_may = {tolerance, noise}, first_may = {10 * tolerance, 10 * noise},
                    second_may = {100 * tolerance, 100 * noise};
    good = good && same_list(c, all, "outputs", outputs_may, result) &&
           (!first || same_list(c, all + count, "gradients", first_may, result)) &&
           (!second || same_list(c, all + count + n, "second", second_may, result));
    result->gradients = first;
    result->second = second;
    if (good && (c->no_gradients || c->no_second))
        snprintf(result->message, sizeof result->message, "%sgradients are not compared: %s",
                 c->no_gradients ? "" : "second ", c->no_gradients ? c->no_gradients : c->no_second);
    clg_program_free(program);
    return good ? OPINFO_PASSED : OPINFO_FAILED;
}

opinfo_result opinfo_run(const opinfo_row *row, const opinfo_sample *sample, clg_device *device)
{
    opinfo_result result = {.outcome = OPINFO_SKIPPED};
    call c = {.sample = sample, .graph = clg_graph_new(device), .dtype = CLG_F64};
    c.leaves = malloc(((size_t)sample->tensor_count + 1) * sizeof *c.leaves);
    if (!sample->readable)
        c.skipped = "a rank above 8";
    for (int i = 0; c.leaves && i < sample->tensor_count; i++)
        c.leaves[i] = CLG_NONE;
    const cJSON *input = cJSON_GetArrayItem(cJSON_GetObjectItem(sample->json, "args"), 0);
    if (cJSON_GetObjectItem(input, "tensor") && sample->tensor_count)
        c.dtype = sample->tensors[0].dtype;
    if (!c.skipped && c.graph && c.leaves)
        build(row, &c);
    if (c.skipped)
        snprintf(result.message, sizeof result.message, "%s", c.skipped);
    else if (clg_graph_error(c.graph))
        result.outcome = fail(&result, "build", clg_graph_error(c.graph));
    else if (all_used(&c, result.message, sizeof result.message))
        result.outcome = compare(&c, row->tolerance > 0 ? row->tolerance : usual, &result);
    free(c.leaves);
    clg_graph_free(c.graph);
    return result;
}
