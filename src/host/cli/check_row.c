/* One row of `clgrad check`: an operation, forward and gradient, on a device in f32 against the CPU path in f64, with
 * fresh random data. The same builder makes both graphs. */
#define _GNU_SOURCE
#include "check_row.h"

#include <clgrad/nn.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OUTPUTS = CHECK_MAX_CASES * (1 + CHECK_MAX_OPERANDS),
    MAP_LIMIT = 8,   /* ULP a scalar function may be off: each of ours is within 4 */
    OTHER_LIMIT = 64 /* ULP of the largest terms, for sums and gradients */
};

/* What one row made on one device: results of all its cases, forward and gradient, in one program. */
typedef struct build {
    clg_graph *graph;
    clg_dtype real;
    clg_program *program;
    clg_var outputs[MAX_OUTPUTS];
    bool gradient[MAX_OUTPUTS]; /* the output is a gradient */
    int count;
} build;

/* ---------------------------------------------------------------- operands */

static double draw(clg_random *random, double lo, double hi)
{
    double value = lo + (hi - lo) * clg_random_uniform(random);
    /* A quarter lies on a coarse grid, so that ties and zeros occur. */
    if (clg_random_below(random, 4) == 0)
        value = fmin(fmax(round(value * 2) / 2, lo), hi);
    return (float)value; /* both precisions get the same number */
}

static clg_var random_leaf(clg_graph *graph, clg_dtype dtype, clg_shape shape, double lo, double hi, clg_random *random)
{
    size_t count = (size_t)clg_shape_count(shape), size = clg_dtype_size(dtype);
    char *data = malloc(count ? count * size : 1);
    if (!data)
        return (clg_var){graph, -1};
    for (size_t i = 0; i < count; i++) {
        double real = draw(random, lo, hi);
        float f32 = (float)real;
        int32_t i32 = (int32_t)clg_random_below(random, CHECK_TABLE_ROWS);
        uint8_t u8 = i32 % 2 == 0;
        const void *from = dtype == CLG_F32 ? (void *)&f32 : dtype == CLG_F64 ? (void *)&real : (void *)&i32;
        memcpy(data + i * size, dtype == CLG_U8 ? &u8 : from, size);
    }
    clg_var leaf = clg_array(graph, dtype, shape, data);
    free(data);
    return leaf;
}

/* Makes the leaf of an operand and the view of it that the operation reads. */
static clg_var make_operand(const check_row *row, int n, check_operand operand, build *b, clg_random *random,
                            clg_var *leaf)
{
    char letter = row->operands[n];
    clg_dtype dtype = letter == 'r' ? b->real : letter == 'c' ? CLG_U8 : CLG_I32;
    clg_shape shape = operand.shape;
    int last = shape.rank - 1;
    if (operand.view == CHECK_TRANSPOSED) {
        shape.dim[last] = operand.shape.dim[last - 1];
        shape.dim[last - 1] = operand.shape.dim[last];
    } else if (operand.view == CHECK_SLICED)
        shape.dim[last] = 2 * shape.dim[last] + 1;
    *leaf = random_leaf(b->graph, dtype, shape, row->lo, row->hi, random);
    return operand.view == CHECK_TRANSPOSED ? clg_transpose(*leaf)
           : operand.view == CHECK_SLICED   ? clg_slice(*leaf, -1, 1, INT64_MAX, 2)
                                            : *leaf;
}

/* ---------------------------------------------------------------- one row on one device */

static void add_output(build *b, clg_var x, bool gradient)
{
    b->gradient[b->count] = gradient;
    b->outputs[b->count++] = x;
}

/* The result of one case, and the gradients of its sum under random weights: plain sums would hide errors that
 * cancel. */
static void build_case(const check_row *row, const check_case *which, build *b, clg_random *random)
{
    clg_var operands[CHECK_MAX_OPERANDS], reals[CHECK_MAX_OPERANDS], gradients[CHECK_MAX_OPERANDS];
    int real_count = 0;
    for (int i = 0; row->operands[i]; i++) {
        clg_var leaf;
        operands[i] = make_operand(row, i, which->operands[i], b, random, &leaf);
        if (row->operands[i] == 'r')
            reals[real_count++] = leaf;
    }
    clg_var y = check_build(row, operands);
    add_output(b, y, false);
    if (row->flags & CHECK_NO_GRADIENT)
        return;
    clg_var weights = random_leaf(b->graph, b->real, clg_shape_of(y), 0.5, 1.5, random);
    clg_gradients(clg_mul(y, weights), reals, real_count, gradients);
    for (int i = 0; i < real_count; i++)
        add_output(b, gradients[i], true);
}

static bool make(const check_row *row, clg_device *device, clg_dtype real, uint64_t seed, build *b, check_verdict *v)
{
    int count;
    clg_random random = clg_random_new(seed, (uint64_t)(row - check_table(&count)));
    *b = (build){.graph = clg_graph_new(device), .real = real};
    if (b->graph) {
        for (int i = 0; i < row->shapes->count; i++)
            build_case(row, &row->shapes->cases[i], b, &random);
        b->program = clg_compile(b->graph, b->outputs, b->count);
        if (b->program && clg_run(b->program) == CLG_OK)
            return true;
    }
    const char *first = b->graph ? clg_graph_error(b->graph) : NULL;
    snprintf(v->message, sizeof v->message, "%s", first ? first : clg_last_error());
    return false;
}

static void discard(build *b)
{
    clg_program_free(b->program);
    clg_graph_free(b->graph);
}

/* ---------------------------------------------------------------- comparison */

/* The values of x as doubles; NULL on error. */
static double *values_of(clg_var x)
{
    size_t count = (size_t)clg_shape_count(clg_shape_of(x)), size = clg_dtype_size(clg_dtype_of(x));
    char *data = malloc(count ? count * size : 1);
    double *values = malloc(count ? count * sizeof *values : 1);
    if (!data || !values || clg_read(x, data, count * size) != CLG_OK) {
        free(data);
        free(values);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        switch (clg_dtype_of(x)) {
        case CLG_F32:
            values[i] = ((float *)(void *)data)[i];
            break;
        case CLG_F64:
            values[i] = ((double *)(void *)data)[i];
            break;
        case CLG_I32:
            values[i] = ((int32_t *)(void *)data)[i];
            break;
        default:
            values[i] = ((uint8_t *)data)[i];
        }
    free(data);
    return values;
}

/* The root mean square of outputs. gradient: of all gradients; else of output i alone. 0 where nothing can be read. */
static double mean_size(const build *b, int i, bool gradient)
{
    double square = 0, count = 0;
    for (int k = 0; k < b->count; k++) {
        if (gradient ? !b->gradient[k] : k != i)
            continue;
        double *values = values_of(b->outputs[k]);
        int64_t n = values ? clg_shape_count(clg_shape_of(b->outputs[k])) : 0;
        for (int64_t e = 0; e < n; e++)
            square += values[e] * values[e];
        count += (double)n;
        free(values);
    }
    return count > 0 ? sqrt(square / count) : 0;
}

/* The worst error in f32 ULP of the value, or of scale if that is larger. Integers must be equal. What cannot be
 * compared is infinitely wrong. */
static double worst_error(const double *got, const double *want, size_t count, bool exact, double scale)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        if (got[i] == want[i])
            continue;
        double unit = FLT_EPSILON * fmax(fmax(fabs(want[i]), scale), FLT_MIN);
        double error = fabs(got[i] - want[i]) / unit;
        worst = !exact && error < INFINITY ? fmax(worst, error) : INFINITY; /* NaN is not below infinity */
    }
    return worst;
}

/* Whether an operation is evaluated element by element. */
static bool is_map(const char *op)
{
    for (int i = 0; i < clg_op_count(); i++)
        if (strcmp(clg_op_get_info(i).name, op) == 0)
            return strcmp(clg_op_get_info(i).kind, "map") == 0;
    return false;
}

static double larger(double a, double b) { return a > b ? a : b; }

/* A function's value is judged by itself. A sum's error is that of its terms, about as large as its results; and a
 * gradient's that of the terms it is made of, which may cancel (1 - y where y is near 1): as large as the row's. */
static void compare(const build *device, const build *reference, bool map, check_verdict *v)
{
    double gradients = mean_size(reference, 0, true);
    for (int i = 0; i < device->count; i++) {
        clg_var x = device->outputs[i], y = reference->outputs[i];
        double *got = values_of(x), *want = values_of(y), error = INFINITY;
        bool exact = clg_dtype_of(x) == CLG_I32 || clg_dtype_of(x) == CLG_U8;
        if (!got || !want)
            snprintf(v->message, sizeof v->message, "%s", clg_last_error());
        else if (!clg_shape_equal(clg_shape_of(x), clg_shape_of(y)))
            snprintf(v->message, sizeof v->message, "the shapes differ");
        else
            error = worst_error(got, want, (size_t)clg_shape_count(clg_shape_of(x)), exact,
                                device->gradient[i] ? gradients
                                : map               ? 0
                                                    : mean_size(reference, i, false));
        free(got);
        free(want);
        double *worst = device->gradient[i] ? &v->gradient : &v->forward;
        *worst = larger(*worst, error);
    }
}

check_verdict check_row_run(const check_row *row, clg_device *device, clg_device *cpu, uint64_t seed)
{
    build on_device = {0}, reference = {0};
    check_verdict v = {.forward = -1, .gradient = -1};
    bool map = is_map(row->op);
    if (make(row, device, CLG_F32, seed, &on_device, &v) && make(row, cpu, CLG_F64, seed, &reference, &v))
        compare(&on_device, &reference, map, &v);
    discard(&on_device);
    discard(&reference);
    /* Written so that NaN fails. */
    v.passed =
        !*v.message && v.forward >= 0 && v.forward <= (map ? MAP_LIMIT : OTHER_LIMIT) && v.gradient <= OTHER_LIMIT;
    return v;
}
