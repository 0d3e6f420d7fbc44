/* Normalisation over channels and groups of them, against plain loops in f64; gradients against central differences;
 * errors. (Over rows: test_engine.c, test_gradients.c.) */
#include "support_gradients.h"
#include "support_dtype.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 200, OPENCL_ROUNDS = 4, CHANNELS = 8 };

static clg_device *device; /* of the group that runs now */

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

static double *new_values(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

/* ---------------------------------------------------------------- normalisation as plain loops */

enum { BATCH_NORM, GROUP_NORM, INSTANCE_NORM, INFERENCE };

typedef struct norm_case {
    int kind, axis;
    int64_t groups, channels;
    double epsilon;
    clg_shape shape;
    clg_dtype dtype;
    double *x, *y, *condition; /* of each element: what relative errors of the mean come to */
    double gain[CHANNELS], bias[CHANNELS], mean[CHANNELS], variance[CHANNELS];
    bool has_gain, has_bias;
} norm_case;

static void position(clg_shape shape, int64_t i, int64_t *at)
{
    for (int d = shape.rank - 1; d >= 0; d--) {
        at[d] = i % shape.dim[d];
        i /= shape.dim[d];
    }
}

/* Whose statistics those of an element are: one of this many sets. */
static int64_t set_of(const norm_case *c, int64_t i)
{
    int64_t at[CLG_MAX_DIMS];
    position(c->shape, i, at);
    if (c->kind == BATCH_NORM || c->kind == INFERENCE)
        return at[c->axis];
    return at[0] * c->groups + at[c->axis] / (c->channels / c->groups);
}

static void normalise(norm_case *c)
{
    enum { MAX_SETS = 64 };
    double mean[MAX_SETS] = {0}, variance[MAX_SETS] = {0}, n[MAX_SETS] = {0};
    int64_t count = clg_shape_count(c->shape), at[CLG_MAX_DIMS];
    for (int64_t i = 0; i < count; i++) {
        mean[set_of(c, i)] += c->x[i];
        n[set_of(c, i)]++;
    }
    for (int s = 0; s < MAX_SETS; s++)
        mean[s] = c->kind == INFERENCE && s < CHANNELS ? c->mean[s] : mean[s] / n[s];
    for (int64_t i = 0; i < count; i++)
        variance[set_of(c, i)] += pow(c->x[i] - mean[set_of(c, i)], 2);
    for (int s = 0; s < MAX_SETS; s++)
        variance[s] = c->kind == INFERENCE && s < CHANNELS ? c->variance[s] : variance[s] / n[s];
    for (int64_t i = 0; i < count; i++) {
        position(c->shape, i, at);
        int64_t s = set_of(c, i), channel = at[c->axis];
        double factor = (c->has_gain ? c->gain[channel] : 1) / sqrt(variance[s] + c->epsilon);
        c->y[i] = (c->x[i] - mean[s]) * factor + (c->has_bias ? c->bias[channel] : 0);
        c->condition[i] = fabs(mean[s] * factor);
    }
    for (int s = 0; s < CHANNELS && c->kind == BATCH_NORM; s++) {
        c->mean[s] = mean[s];
        c->variance[s] = variance[s];
    }
}

static clg_dtype random_dtype(clg_random *random)
{
    clg_dtype dtype = (clg_dtype)below(random, CLG_DTYPE_COUNT);
    const bool has = dtype != CLG_F64 || clg_device_get_info(device)->has_f64;
    return has && support_computes(dtype) ? dtype : CLG_F32; /* of halves: test_dtypes.c */
}

static norm_case random_norm(clg_random *random, int kind)
{
    norm_case c = {.kind = kind, .dtype = random_dtype(random), .has_gain = below(random, 2)};
    c.shape.rank = 2 + (int)below(random, 4);
    c.axis = kind == BATCH_NORM || kind == INFERENCE ? (int)below(random, (uint32_t)c.shape.rank)
                                                     : 1 + (int)below(random, (uint32_t)c.shape.rank - 1);
    c.has_bias = below(random, 2);
    c.epsilon = below(random, 2) ? 0.1 : 1e-5;
    c.groups = 1 + below(random, 3);
    for (int d = 0; d < c.shape.rank; d++)
        c.shape.dim[d] = 1 + below(random, c.shape.rank > 3 ? 3 : 6);
    c.channels = c.shape.dim[c.axis] = kind == GROUP_NORM ? c.groups * (1 + below(random, 2)) : c.shape.dim[c.axis];
    c.groups = kind == INSTANCE_NORM ? c.channels : c.groups;
    int64_t count = clg_shape_count(c.shape);
    c.x = new_values(count);
    c.y = new_values(count);
    c.condition = new_values(count);
    for (int64_t i = 0; i < count; i++)
        c.x[i] = below(random, 200);
    for (int i = 0; i < CHANNELS; i++) { /* numbers that f32 has too */
        c.gain[i] = (double)below(random, 64) / 16 - 2;
        c.bias[i] = (double)below(random, 64) / 16 - 2;
        c.mean[i] = (double)below(random, 64);
        c.variance[i] = (double)below(random, 64) / 16;
    }
    return c;
}

typedef struct norm_vars {
    clg_var x, gain, bias, mean, variance, y;
} norm_vars;

static norm_vars build_norm(clg_graph *g, const norm_case *c)
{
    clg_dtype real = c->dtype == CLG_F64 ? CLG_F64 : CLG_F32;
    clg_shape row = CLG_SHAPE(c->channels);
    int axis = c->channels % 2 ? c->axis : c->axis - c->shape.rank;
    norm_vars v = {.x = support_leaf(g, c->dtype, c->shape, c->x), .gain = CLG_NONE, .bias = CLG_NONE};
    if (c->has_gain)
        v.gain = support_leaf(g, real, row, c->gain);
    if (c->has_bias)
        v.bias = support_leaf(g, real, row, c->bias);
    if (c->kind == BATCH_NORM) {
        v.y = clg_batch_norm(v.x, v.gain, v.bias, axis, c->epsilon, &v.mean, &v.variance);
    } else if (c->kind == INFERENCE) {
        v.mean = support_leaf(g, real, row, c->mean);
        v.variance = support_leaf(g, real, row, c->variance);
        v.y = clg_batch_norm_inference(v.x, v.gain, v.bias, v.mean, v.variance, axis, c->epsilon);
    } else if (c->kind == GROUP_NORM) {
        v.y = clg_group_norm(v.x, v.gain, v.bias, c->groups, axis, c->epsilon);
    } else {
        v.y = clg_instance_norm(v.x, v.gain, v.bias, axis, c->epsilon);
    }
    return v;
}

static void free_norm(clg_graph *g, norm_case *c)
{
    clg_graph_free(g);
    free(c->x);
    free(c->y);
    free(c->condition);
}

/* ---------------------------------------------------------------- values */

static const char *const names[] = {"batch_norm", "group_norm", "instance_norm", "batch_norm_inference"};

static void expect_close(const norm_case *c, clg_var y, const double *want, const double *condition, int round)
{
    double *got = support_values(y), unit = clg_dtype_of(y) == CLG_F64 ? 1e-12 : 2e-6;
    for (int64_t i = 0; i < clg_shape_count(clg_shape_of(y)); i++)
        if (!support_close(got[i], want[i], unit * (1 + (condition ? condition[i] : 0))))
            fail_msg("round %d: %s: element %lld is %.9g, the definition says %.9g", round, names[c->kind],
                     (long long)i, got[i], want[i]);
    free(got);
}

static void test_definitions(void **state)
{
    (void)state;
    bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    for (int round = 0, rounds = support_rounds(cpu ? ROUNDS : OPENCL_ROUNDS); round < rounds; round++) {
        clg_random random = clg_random_new(support_seed(), (uint64_t)round);
        norm_case c = random_norm(&random, round % 4);
        clg_graph *g = clg_graph_new(device);
        norm_vars v = build_norm(g, &c);
        if (!clg_is_valid(v.y))
            fail_msg("round %d: %s: %s", round, names[c.kind], clg_last_error());
        assert_true(clg_shape_equal(clg_shape_of(v.y), c.shape));
        assert_int_equal(clg_dtype_of(v.y), c.dtype == CLG_F64 ? CLG_F64 : CLG_F32);
        normalise(&c);
        expect_close(&c, v.y, c.y, c.condition, round);
        if (c.kind == BATCH_NORM) {
            assert_true(clg_shape_equal(clg_shape_of(v.mean), CLG_SHAPE(c.channels)));
            assert_true(clg_shape_equal(clg_shape_of(v.variance), CLG_SHAPE(c.channels)));
            expect_close(&c, v.mean, c.mean, NULL, round);
            expect_close(&c, v.variance, c.variance, NULL, round);
            clg_var same = clg_batch_norm_inference(v.x, v.gain, v.bias, v.mean, v.variance, c.axis, c.epsilon);
            expect_close(&c, same, c.y, c.condition, round);
            assert_true(clg_is_valid(clg_batch_norm(v.x, v.gain, v.bias, c.axis, c.epsilon, NULL, NULL)));
        }
        free_norm(g, &c);
    }
}

/* Statistics of one batch, and running averages of several: the header's recipe. */
static void test_running_averages(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float zero = 0;
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(4, 1)), running = clg_array(g, CLG_F32, CLG_SHAPE(1), &zero), mean;
    clg_var y = clg_batch_norm(x, CLG_NONE, CLG_NONE, 1, 1e-5, &mean, NULL);
    clg_var kept = clg_full(g, CLG_F32, CLG_SCALAR, 0.75), added = clg_full(g, CLG_F32, CLG_SCALAR, 0.25);
    clg_var next = clg_add(clg_mul(kept, running), clg_mul(added, clg_stop_gradient(mean)));
    clg_var all = clg_after(y, clg_assign(running, next));
    clg_program *program = clg_compile(g, &all, 1);
    assert_non_null(program);
    double want = 0;
    for (int i = 0; i < 5; i++) {
        const float data[] = {(float)i, (float)i + 1, (float)i + 2, (float)i + 3};
        assert_int_equal(clg_write(x, data, sizeof data), CLG_OK);
        assert_int_equal(clg_run(program), CLG_OK);
        want = 0.75 * want + 0.25 * (i + 1.5);
        assert_true(support_close(clg_item(running), want, 1e-6));
    }
    clg_program_free(program);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- gradients */

static void test_gradients(void **state)
{
    (void)state;
    if (!clg_device_get_info(device)->has_f64)
        skip();
    bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    for (int round = 0, rounds = support_rounds(cpu ? 16 : 2); round < rounds; round++) {
        clg_random random = clg_random_new(support_seed(), 1000 + (uint64_t)round);
        norm_case c = random_norm(&random, round % 4);
        clg_graph *g = clg_graph_new(device);
        clg_var leaves[5];
        int count = 1;
        c.dtype = CLG_F64;
        c.epsilon = 0.1;
        for (int64_t i = 0; i < clg_shape_count(c.shape); i++)
            c.x[i] = 4 * clg_random_uniform(&random) - 2;
        for (int i = 0; i < CHANNELS; i++) {
            c.mean[i] /= 64;
            c.variance[i] = 0.5 + c.variance[i] / 4;
        }
        norm_vars v = build_norm(g, &c);
        leaves[0] = v.x;
        if (c.has_gain)
            leaves[count++] = v.gain;
        if (c.has_bias)
            leaves[count++] = v.bias;
        if (c.kind == INFERENCE) {
            leaves[count++] = v.mean;
            leaves[count++] = v.variance;
        }
        support_expect_gradients(v.y, leaves, count, &random, names[c.kind]);
        if (c.kind == BATCH_NORM) { /* through the statistics */
            support_expect_gradients(clg_mul(v.mean, clg_square(v.variance)), leaves, 1, &random, "batch statistics");
        }
        free_norm(g, &c);
    }
}

/* ---------------------------------------------------------------- errors */

static void test_errors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(2, 6, 3)), row = clg_input(g, CLG_F32, CLG_SHAPE(6)), mean, variance;
    clg_var three = clg_input(g, CLG_F32, CLG_SHAPE(3)), foreign = clg_input(other, CLG_F32, CLG_SHAPE(6)),
            none = CLG_NONE;
    support_expect_error(clg_batch_norm(x, three, none, 1, 1, NULL, NULL),
                         "batch_norm: gain (3,) must be (6,), as long as axis 1 of (2, 6, 3)");
    support_expect_error(clg_batch_norm(x, none, three, -2, 1, &mean, &variance), "batch_norm: bias (3,) must be (6,)");
    assert_false(clg_is_valid(mean) || clg_is_valid(variance));
    support_expect_error(clg_batch_norm(x, none, none, 3, 1, NULL, NULL),
                         "batch_norm: axis 3 is not an axis of shape (2, 6, 3)");
    support_expect_error(clg_batch_norm(x, foreign, none, 1, 1, NULL, NULL),
                         "batch_norm: operands 0 and 1 belong to different");
    support_expect_error(clg_batch_norm(x, none, none, 1, 0, NULL, NULL),
                         "batch_norm: epsilon 0 must be positive and finite in f32");
    support_expect_error(clg_batch_norm_inference(x, none, none, row, none, 1, 1),
                         "batch_norm_inference: mean and variance cannot be CLG_NONE");
    support_expect_error(clg_batch_norm_inference(x, none, none, row, three, 1, 1),
                         "batch_norm_inference: variance (3,) must be");
    support_expect_error(clg_group_norm(x, row, row, 4, 1, 1),
                         "group_norm: the 6 channels of (2, 6, 3) cannot be cut into 4 groups");
    support_expect_error(clg_group_norm(x, row, row, 0, 1, 1), "cannot be cut into 0 groups");
    support_expect_error(clg_group_norm(x, none, none, 1, 0, 1), "group_norm: axis 0 of x (2, 6, 3) is the batch");
    support_expect_error(clg_instance_norm(x, none, none, -3, 1), "instance_norm: axis 0 of x (2, 6, 3) is the batch");
    support_expect_error(clg_instance_norm(x, none, none, 1, -1), "instance_norm: epsilon -1 must be positive");
    const clg_shape empties[] = {CLG_SHAPE(0, 4, 2), CLG_SHAPE(2, 0, 3), CLG_SHAPE(2, 4, 0)};
    for (int i = 0; i < 3; i++) {
        clg_var e = clg_array(g, CLG_F32, empties[i], "");
        free(support_values(clg_batch_norm(e, none, none, 1, 1, NULL, NULL)));
        free(support_values(clg_group_norm(e, none, none, 2, 1, 1)));
        free(support_values(clg_instance_norm(e, none, none, 1, 1)));
    }
    assert_null(clg_graph_error(g));
    clg_graph_free(g);
    clg_graph_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_definitions), cmocka_unit_test(test_running_averages),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_errors)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
