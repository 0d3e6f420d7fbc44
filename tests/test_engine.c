/* The engine through its public interface, on every device: the textbook examples, gradients that accumulate, eager
 * reads, rewinding, assignments, errors, many shapes and dtypes against plain C. */
#include "support.h"
#include "support_dtype.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static void expect_item(clg_var x, double want)
{
    double got = clg_item(x);
    if (!support_close(got, want, 1e-6))
        fail_msg("got %.9g, want %.9g (%s)", got, want, isnan(got) ? clg_last_error() : "");
}

/* ---------------------------------------------------------------- the textbook */

static void test_apples_and_oranges(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var apple = clg_scalar(g, 100), count = clg_scalar(g, 2), tax = clg_scalar(g, 1.1);
    clg_var price = clg_mul(clg_mul(apple, count), tax);
    assert_int_equal(clg_backward(price), CLG_OK);
    expect_item(price, 220);
    expect_item(clg_grad(apple), 2.2);
    expect_item(clg_grad(count), 110);
    expect_item(clg_grad(tax), 200);
    clg_cleargrads(g);
    clg_var orange = clg_scalar(g, 150), oranges = clg_scalar(g, 3);
    price = clg_mul(clg_add(clg_mul(apple, count), clg_mul(orange, oranges)), tax);
    assert_int_equal(clg_backward(price), CLG_OK);
    expect_item(price, 715);
    expect_item(clg_grad(apple), 2.2);
    expect_item(clg_grad(count), 110);
    expect_item(clg_grad(orange), 3.3);
    expect_item(clg_grad(oranges), 165);
    expect_item(clg_grad(tax), 650);
    clg_graph_free(g);
}

static void test_variables_that_accumulate(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_scalar(g, 2), y = clg_scalar(g, 3);
    clg_var z = clg_add(clg_square(x), clg_square(y));
    clg_backward(z);
    expect_item(z, 13);
    expect_item(clg_grad(x), 4);
    expect_item(clg_grad(y), 6);
    clg_cleargrad(x);
    clg_backward(clg_add(x, x));
    expect_item(clg_grad(x), 2);
    clg_cleargrad(x);
    clg_backward(clg_add(clg_add(x, x), x));
    expect_item(clg_grad(x), 3);
    clg_cleargrad(x);
    clg_backward(clg_add(x, x));
    clg_backward(clg_add(clg_add(x, x), x));
    expect_item(clg_grad(x), 5);
    clg_var w = clg_scalar(g, 100), three = clg_full(g, CLG_F32, CLG_SCALAR, 3);
    clg_var doubled = clg_mul(w, clg_full(g, CLG_F32, CLG_SCALAR, 2)), six = clg_mul(doubled, three);
    clg_backward(six);
    expect_item(six, 600);
    expect_item(clg_grad(w), 6);
    clg_graph_free(g);
}

static void test_diamond_and_shared_branches(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_scalar(g, 2), a = clg_square(x);
    clg_var y = clg_add(clg_square(a), clg_square(a)); /* 2 x^4 */
    clg_backward(y);
    expect_item(y, 32);
    expect_item(clg_grad(x), 64);
    clg_graph_free(g);
}

static void test_relu_mask_and_second_derivative(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float data[] = {1, -0.5f, -2, 3, 0, NAN};
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(2, 3), data), y = clg_relu(x), gx;
    clg_gradients(y, &x, 1, &gx);
    double *values = support_values(y), *mask = support_values(gx);
    const double want[] = {1, 0, 0, 3, 0}, want_mask[] = {1, 0, 0, 1, 0};
    for (int i = 0; i < 5; i++) {
        assert_true(values[i] == want[i]);
        assert_true(mask[i] == want_mask[i]);
    }
    assert_true(isnan(values[5]));
    free(values);
    free(mask);
    clg_var u = clg_scalar(g, 2), four = clg_full(g, CLG_F32, CLG_SCALAR, 4), two = clg_full(g, CLG_F32, CLG_SCALAR, 2);
    clg_var f = clg_sub(clg_pow(u, four), clg_mul(two, clg_square(u))), first, second;
    clg_gradients(f, &u, 1, &first);
    clg_gradients(first, &u, 1, &second);
    expect_item(first, 24);
    expect_item(second, 44);
    clg_graph_free(g);
}

static void test_creators_are_remembered(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_scalar(g, 2), y = clg_exp(clg_square(x));
    assert_string_equal(clg_creator(y), "exp");
    assert_string_equal(clg_creator(clg_operand(y, 0)), "square");
    assert_int_equal(clg_operand(clg_operand(y, 0), 0).id, x.id);
    assert_false(clg_is_valid(clg_operand(y, 1)));
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- running */

static void test_replay_with_new_inputs(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(5)), y = clg_sum(clg_square(x), CLG_ALL_AXES, false);
    clg_program *p = clg_compile(g, &y, 1);
    assert_non_null(p);
    assert_int_equal(clg_run(p), CLG_ERROR_ARGUMENT); /* x was never written */
    assert_non_null(strstr(clg_last_error(), "never been written"));
    for (int i = 1; i < 4; i++) {
        const float data[] = {(float)i, 1, 2, 3, 4};
        assert_int_equal(clg_write(x, data, sizeof data), CLG_OK);
        assert_int_equal(clg_run(p), CLG_OK);
        expect_item(y, i * i + 30);
    }
    clg_program_free(p);
    expect_item(y, 39); /* computed again, eagerly */
    clg_graph_free(g);
}

/* Newton's method in C control flow: values are kept between reads, and rewinding keeps the graph small. */
static void test_define_by_run_loop(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_scalar(g, 2);
    int32_t mark = clg_graph_mark(g), most = 0;
    for (int i = 0; i < 8; i++) {
        clg_var f = clg_sub(clg_pow(x, clg_full(g, CLG_F32, CLG_SCALAR, 4)), clg_add(clg_square(x), clg_square(x)));
        clg_var first, second;
        clg_gradients(f, &x, 1, &first);
        clg_gradients(first, &x, 1, &second);
        float next = (float)clg_item(clg_sub(x, clg_div(first, second)));
        most = clg_graph_size(g) > most ? clg_graph_size(g) : most;
        assert_int_equal(clg_graph_rewind(g, mark), CLG_OK);
        clg_write(x, &next, sizeof next);
    }
    assert_true(most < 40);
    expect_item(x, 1);
    clg_var y = x; /* and without rewinding: each value feeds the next */
    for (int i = 0; i < 50; i++) {
        y = clg_mul(clg_add(y, x), clg_full(g, CLG_F32, CLG_SCALAR, 0.5));
        expect_item(y, 1);
    }
    clg_graph_free(g);
}

static void test_assignments_see_old_values(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float one[] = {1, 2, 3}, two[] = {10, 20, 30};
    clg_var a = clg_array(g, CLG_F32, CLG_SHAPE(3), one), b = clg_array(g, CLG_F32, CLG_SHAPE(3), two);
    clg_var sum = clg_sum(clg_add(a, b), CLG_ALL_AXES, false);
    clg_var swapped = clg_after(clg_after(sum, clg_assign(a, b)), clg_assign(b, a));
    clg_program *p = clg_compile(g, &swapped, 1);
    assert_non_null(p);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(clg_run(p), CLG_OK);
        expect_item(swapped, 66);
        double *values = support_values(a);
        assert_true(values[0] == (i % 2 ? 1 : 10) && values[2] == (i % 2 ? 3 : 30));
        free(values);
    }
    clg_program_free(p);
    /* a leaf that is both updated and reversed: the reversal must see the old values */
    clg_var reversed = clg_slice(a, 0, -1, INT64_MIN, -1);
    clg_var both = clg_after(clg_add(reversed, clg_add(a, a)), clg_assign(a, clg_add(clg_add(a, a), reversed)));
    double *before = support_values(a);
    p = clg_compile(g, &both, 1);
    assert_int_equal(clg_run(p), CLG_OK);
    double *after = support_values(a), *read = support_values(both);
    for (int i = 0; i < 3; i++) {
        assert_true(after[i] == 2 * before[i] + before[2 - i]);
        assert_true(read[i] == after[i]);
    }
    free(before);
    free(after);
    free(read);
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_same_seed_same_bits(void **state)
{
    (void)state;
    float losses[2][10];
    for (int round = 0; round < 2; round++) {
        clg_graph *g = clg_graph_new(device);
        clg_random random = clg_random_new(7, 0);
        clg_mlp *mlp = clg_mlp_new(g, (int64_t[]){20, 33, 5}, 3, &random);
        clg_var x = clg_uniform_init(g, CLG_SHAPE(50, 20), 1, &random);
        int32_t labels[50];
        for (int i = 0; i < 50; i++)
            labels[i] = (int32_t)clg_random_below(&random, 5);
        clg_var t = clg_array(g, CLG_I32, CLG_SHAPE(50), labels);
        int count;
        const clg_var *params = clg_mlp_parameters(mlp, &count);
        clg_var loss = clg_softmax_cross_entropy(clg_mlp_apply(mlp, x), t);
        clg_optimizer *adam = clg_adam(params, count, NULL);
        clg_var step = clg_minimize(adam, loss);
        clg_program *p = clg_compile(g, &step, 1);
        assert_non_null(p);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(clg_run(p), CLG_OK);
            losses[round][i] = (float)clg_item(step);
        }
        assert_true(losses[round][9] < losses[round][0]);
        clg_program_free(p);
        clg_optimizer_free(adam);
        clg_mlp_free(mlp);
        clg_graph_free(g);
    }
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
}

/* Adam against the algorithm as the paper prints it, in f64. */
static void test_adam_follows_the_paper(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float start[] = {1, -2, 0.5f};
    clg_var p = clg_array(g, CLG_F32, CLG_SHAPE(3), start);
    clg_adam_options options = {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3};
    clg_optimizer *adam = clg_adam(&p, 1, &options);
    clg_var loss = clg_sum(clg_mul(clg_square(p), clg_square(p)), CLG_ALL_AXES, false);
    clg_var step = clg_minimize(adam, loss);
    clg_program *program = clg_compile(g, &step, 1);
    double x[] = {1, -2, 0.5}, m[3] = {0}, v[3] = {0};
    for (int t = 1; t <= 20; t++) {
        assert_int_equal(clg_run(program), CLG_OK);
        double *got = support_values(p);
        for (int i = 0; i < 3; i++) {
            double gradient = 4 * x[i] * x[i] * x[i];
            m[i] = 0.8 * m[i] + 0.2 * gradient;
            v[i] = 0.95 * v[i] + 0.05 * gradient * gradient;
            x[i] -= 0.1 * (m[i] / (1 - pow(0.8, t))) / (sqrt(v[i] / (1 - pow(0.95, t))) + 1e-3);
            if (!support_close(got[i], x[i], 2e-5))
                fail_msg("step %d, element %d: %.9g, the algorithm says %.9g", t, i, got[i], x[i]);
        }
        free(got);
    }
    clg_program_free(program);
    clg_optimizer_free(adam);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- values against plain C */

static void test_long_sums_are_accurate(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    enum { N = 1 << 22, ROWS = 4096 };
    clg_random random = clg_random_new(support_seed(), 5);
    float *data = malloc(N * sizeof *data);
    double total = 0, columns[N / ROWS] = {0};
    for (int i = 0; i < N; i++) {
        data[i] = (float)clg_random_uniform(&random);
        total += (double)data[i];
        columns[i % (N / ROWS)] += (double)data[i];
    }
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(ROWS, N / ROWS), data);
    double got = clg_item(clg_sum(x, CLG_ALL_AXES, false));
    assert_true(fabs(got - total) <= 1e-6 * total);
    double *sums = support_values(clg_sum(x, CLG_AXES(0), false));
    for (int i = 0; i < N / ROWS; i++)
        assert_true(fabs(sums[i] - columns[i]) <= 2e-6 * columns[i]);
    free(sums);
    free(data);
    clg_graph_free(g);
}

static void test_empty_and_scalar_shapes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var empty = clg_array(g, CLG_F32, CLG_SHAPE(0, 3), ""), gx;
    expect_item(clg_sum(empty, CLG_ALL_AXES, false), 0);
    assert_true(clg_item(clg_max(empty, CLG_ALL_AXES, false)) == -INFINITY);
    double *columns = support_values(clg_sum(empty, CLG_AXES(0), false));
    assert_true(columns[0] == 0 && columns[2] == 0);
    free(columns);
    clg_gradients(clg_sum(clg_exp(empty), CLG_ALL_AXES, false), &empty, 1, &gx);
    free(support_values(gx));
    clg_var none = clg_array(g, CLG_F32, CLG_SHAPE(4, 0), ""), product = clg_matmul(none, empty);
    double *zeros = support_values(product);
    for (int i = 0; i < 12; i++)
        assert_true(zeros[i] == 0);
    free(zeros);
    assert_null(clg_graph_error(g));
    clg_graph_free(g);
}

static void test_integers(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t data[] = {7, -3, 2147483647, 0};
    const uint8_t small[] = {250, 10, 3, 255};
    clg_var x = clg_array(g, CLG_I32, CLG_SHAPE(4), data), u = clg_array(g, CLG_U8, CLG_SHAPE(4), small);
    double *sum = support_values(clg_add(x, clg_full(g, CLG_I32, CLG_SCALAR, 1)));
    assert_true(sum[0] == 8 && sum[2] == -2147483648.0);
    double *wrapped = support_values(clg_add(u, u));
    assert_true(wrapped[0] == 244 && wrapped[1] == 20 && wrapped[3] == 254);
    double *quotient = support_values(clg_div(x, u));
    assert_true(support_close(quotient[0], 7.0 / 250, 1e-7));
    double *mixed = support_values(clg_mul(x, u));
    assert_true(clg_dtype_of(clg_mul(x, u)) == CLG_I32 && mixed[1] == -30);
    double *index = support_values(clg_argmax(clg_reshape(u, CLG_SHAPE(2, 2)), 1));
    assert_true(index[0] == 0 && index[1] == 1);
    free(sum);
    free(wrapped);
    free(quotient);
    free(mixed);
    free(index);
    clg_graph_free(g);
}

/* One row from the definition (NULL: no gain, no bias), and by what each element would change, relative to it, if the
 * mean changed relative to itself: rows far from 0 and close together are ill-conditioned. */
static void layer_norm_f64(const double *x, const double *gain, const double *bias, double epsilon, int64_t n,
                           double *y, double *condition)
{
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double factor = (gain ? gain[i] : 1) / sqrt(variance + epsilon);
        y[i] = (x[i] - mean) * factor + (bias ? bias[i] : 0);
        condition[i] = fabs(mean * factor);
    }
}

/* Numbers that the dtype holds; in the third row all are equal. which: bit 0 a gain, bit 1 a bias. */
static void layer_norm_case(clg_random *random, clg_dtype dtype, clg_shape shape, int which, double epsilon)
{
    clg_graph *g = clg_graph_new(device);
    int64_t n = shape.dim[shape.rank - 1], count = clg_shape_count(shape);
    double *x = malloc((size_t)(3 * count + 2 * n + 1) * sizeof *x), *want = x + count, *condition = want + count;
    double *gain = condition + count, *bias = gain + n;
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) {
        gain[i] = 4 * clg_random_uniform(random) - 2;
        bias[i] = 4 * clg_random_uniform(random) - 2;
    }
    for (int64_t i = 0; i < count; i++)
        x[i] = i / n == 2 ? 5 : (double)(clg_random_below(random, 4096) / (dtype == CLG_U8 ? 16 : 1));
    for (int64_t i = 0; i < count; i += n)
        layer_norm_f64(x + i, which & 1 ? gain : NULL, which & 2 ? bias : NULL, epsilon, n, want + i, condition + i);
    clg_dtype real = dtype == CLG_F64 ? CLG_F64 : CLG_F32;
    clg_var y = clg_layer_norm(support_leaf(g, dtype, shape, x),
                               which & 1 ? support_leaf(g, real, CLG_SHAPE(n), gain) : CLG_NONE,
                               which & 2 ? support_leaf(g, real, CLG_SHAPE(n), bias) : CLG_NONE, epsilon);
    assert_int_equal(clg_dtype_of(y), real);
    assert_true(clg_shape_equal(clg_shape_of(y), shape));
    double *got = support_values(y);
    for (int64_t i = 0; i < count; i++)
        if (!support_close(got[i], want[i], (real == CLG_F64 ? 1e-12 : 2e-6) * (1 + condition[i])))
            fail_msg("%s, rows of %lld, element %lld: %.9g, the definition says %.9g", clg_dtype_name(dtype),
                     (long long)n, (long long)i, got[i], want[i]);
    free(got);
    free(x);
    clg_graph_free(g);
}

static void test_layer_norm(void **state)
{
    (void)state;
    const clg_shape shapes[] = {CLG_SHAPE(9),  CLG_SHAPE(1),    CLG_SHAPE(7, 1),    CLG_SHAPE(5, 3, 61),
                                CLG_SHAPE(33), CLG_SHAPE(0, 4), CLG_SHAPE(3, 1025), CLG_SHAPE(4, 0)};
    clg_random random = clg_random_new(support_seed(), 6);
    bool has_f64 = clg_device_get_info(device)->has_f64;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
            if ((dtype != CLG_F64 || has_f64) && support_computes((clg_dtype)dtype))
                layer_norm_case(&random, (clg_dtype)dtype, shapes[s], (int)s % 4, s % 2 ? 1e-5 : 0.5);
    for (int which = 0; which < 4; which++)
        layer_norm_case(&random, CLG_F32, CLG_SHAPE(3, 100), which, 1e-5);
}

/* Odd functions, and those that are x or 0 near 0, keep the sign of a zero. Compilers of kernels may think otherwise.
 */
static void test_zeros_keep_their_sign(void **state)
{
    (void)state;
    enum { N = 67 }; /* with lanes left over after the vectors */
    clg_var (*const functions[])(clg_var) = {clg_gelu, clg_tanh, clg_erf, clg_sin, clg_sqrt, clg_relu};
    bool has_f64 = clg_device_get_info(device)->has_f64;
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++)
        for (int wide = 0; wide <= (has_f64 ? 1 : 0); wide++) {
            clg_graph *g = clg_graph_new(device);
            double values[N];
            for (int i = 0; i < N; i++)
                values[i] = i % 3 == 1 ? -0.0 : 0.0;
            clg_var y = functions[f](support_leaf(g, wide ? CLG_F64 : CLG_F32, CLG_SHAPE(N), values));
            double *got = support_values(y);
            for (int i = 0; i < N; i++)
                if (!(got[i] == 0 && !signbit(got[i]) == !signbit(values[i])))
                    fail_msg("%s(%g) is %g", clg_creator(y), values[i], got[i]);
            free(got);
            clg_graph_free(g);
        }
}

/* Results of 8 MiB and more are stored past the caches, where their vectors are aligned: rows of an odd length, a value
 * that is stored and used again, and one that the next step reads at once. Small integers: exact. */
static void test_long_maps(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 2100003}, {3, 700001}, {2050, 1024}};
    clg_random random = clg_random_new(support_seed(), 6);
    for (int s = 0; s < 3; s++) {
        const int64_t *dim = shapes[s], count = dim[0] * dim[1];
        double *a = malloc((size_t)count * sizeof *a), *b = malloc((size_t)dim[1] * sizeof *b);
        assert_non_null(a);
        assert_non_null(b);
        for (int64_t i = 0; i < count; i++)
            a[i] = (double)clg_random_below(&random, 201) - 100;
        for (int64_t i = 0; i < dim[1]; i++)
            b[i] = (double)clg_random_below(&random, 201) - 100;
        clg_graph *g = clg_graph_new(device);
        clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(dim[0], dim[1]), a);
        clg_var y = support_leaf(g, CLG_F32, CLG_SHAPE(dim[1]), b);
        clg_var product = clg_mul(x, y), sum = clg_add(product, x), total = clg_sum(sum, CLG_AXES(0), false);
        clg_program *program = clg_compile(g, (clg_var[]){product, sum, total}, 3);
        assert_non_null(program);
        assert_int_equal(clg_run(program), CLG_OK);
        double *got[] = {support_values(product), support_values(sum), support_values(total)};
        for (int64_t c = 0; c < dim[1]; c++) {
            double column = 0;
            for (int64_t r = 0; r < dim[0]; r++) {
                double p = a[r * dim[1] + c] * b[c];
                column += p + a[r * dim[1] + c];
                assert_true(got[0][r * dim[1] + c] == p && got[1][r * dim[1] + c] == p + a[r * dim[1] + c]);
            }
            if (dim[0] < 10) /* else f32 rounds */
                assert_true(got[2][c] == column);
        }
        for (int i = 0; i < 3; i++)
            free(got[i]);
        free(a);
        free(b);
        clg_program_free(program);
        clg_graph_free(g);
    }
}

/* ---------------------------------------------------------------- errors */

static void test_error_messages(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    clg_var a = clg_input(g, CLG_F32, CLG_SHAPE(128, 784)), b = clg_input(g, CLG_F32, CLG_SHAPE(512, 10));
    clg_var i = clg_input(g, CLG_I32, CLG_SHAPE(128)), foreign = clg_scalar(other, 1), out;
    support_expect_error(clg_matmul(a, b), "matmul: inner dimensions differ: (128, 784) x (512, 10)");
    support_expect_error(clg_add(a, b), "add: shapes do not broadcast: (128, 784) and (512, 10)");
    support_expect_error(clg_add(a, foreign), "different graphs");
    support_expect_error(clg_reshape(a, CLG_SHAPE(5, 5)),
                         "reshape: (128, 784) has 100352 elements and does not fit (5, 5)");
    support_expect_error(clg_sum(a, CLG_AXES(2), false), "sum: an axis is repeated or not in -2..1");
    support_expect_error(clg_permute(a, CLG_AXES(0, 0)), "permute");
    support_expect_error(clg_slice(a, 0, 0, 5, 0), "step must not be 0");
    support_expect_error(clg_gather(a, b), "indices must be i32, i64 or u8, not f32");
    support_expect_error(clg_softmax(a, 3), "softmax: axis 3");
    support_expect_error(clg_softmax_cross_entropy(a, b), "softmax_cross_entropy");
    support_expect_error(clg_grad(a), "has no gradient");
    support_expect_error(clg_assign(clg_exp(a), a), "must be a leaf");
    assert_int_not_equal(clg_gradients(i, &a, 1, &out), CLG_OK);
    support_expect_error(out, "cannot differentiate a result of dtype i32");
    clg_var bad = clg_matmul(a, b); /* poison spreads, the first message stays */
    bad = clg_add(clg_exp(bad), a);
    support_expect_error(bad, "inner dimensions differ");
    assert_int_equal(clg_write(a, "", 1), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_read(a, NULL, 3), CLG_ERROR_ARGUMENT);
    assert_null(clg_compile(g, NULL, 0));
    clg_graph_free(g);
    clg_graph_free(other);
}

static void test_layer_norm_errors(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(8, 6)), row = clg_input(g, CLG_F32, CLG_SHAPE(6)), zero = {0};
    clg_var column = clg_input(g, CLG_F32, CLG_SHAPE(8, 1)), foreign = clg_input(other, CLG_F32, CLG_SHAPE(6));
    clg_var wide = clg_input(g, CLG_F64, CLG_SHAPE(8, 6)), scalar = clg_scalar(g, 1);
    support_expect_error(clg_layer_norm(scalar, CLG_NONE, CLG_NONE, 1), "layer_norm: x () must have an axis");
    support_expect_error(clg_layer_norm(x, column, row, 1),
                         "layer_norm: gain (8, 1) must be (6,), as long as the last axis of (8, 6)");
    support_expect_error(clg_layer_norm(x, row, scalar, 1), "layer_norm: bias () must be (6,)");
    support_expect_error(clg_layer_norm(x, foreign, CLG_NONE, 1),
                         "layer_norm: operands 0 and 1 belong to different graphs");
    support_expect_error(clg_layer_norm(x, row, zero, 1), "layer_norm: operand 2 is not a variable of any graph");
    const double wrong[] = {0, -1e-5, NAN, INFINITY, 1e-60};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        support_expect_error(clg_layer_norm(x, row, row, wrong[i]), "must be positive and finite in f32");
    assert_true(clg_is_valid(clg_layer_norm(wide, row, row, 1e-60)));
    clg_var bad = clg_add(row, clg_input(g, CLG_F32, CLG_SHAPE(5)));
    support_expect_error(clg_layer_norm(x, CLG_NONE, bad, 1), "add: shapes do not broadcast");
    support_expect_error(clg_add(x, CLG_NONE), "add: operand 1 is not a variable of any graph");
    assert_false(clg_is_valid(CLG_NONE));
    assert_false(clg_is_valid(clg_layer_norm(CLG_NONE, row, row, 1)));
    clg_graph_free(g);
    clg_graph_free(other);
}

static void test_labels_out_of_range(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var logits = clg_full(g, CLG_F32, CLG_SHAPE(2, 10), 0), labels = clg_input(g, CLG_I32, CLG_SHAPE(2));
    clg_var loss = clg_softmax_cross_entropy(logits, labels);
    const int32_t good[] = {0, 9}, bad[] = {3, 10};
    assert_int_equal(clg_write(labels, good, sizeof good), CLG_OK);
    expect_item(loss, log(10));
    assert_int_equal(clg_write(labels, bad, sizeof bad), CLG_ERROR_ARGUMENT);
    assert_non_null(
        strstr(clg_last_error(), "index 10 at position 1 is out of range: softmax_cross_entropy needs 0..9"));
    expect_item(loss, log(10)); /* the old labels stayed */
    clg_var computed = clg_add(labels, clg_full(g, CLG_I32, CLG_SCALAR, 1));
    assert_true(isnan(clg_item(clg_softmax_cross_entropy(logits, computed))));
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apples_and_oranges),
        cmocka_unit_test(test_variables_that_accumulate),
        cmocka_unit_test(test_diamond_and_shared_branches),
        cmocka_unit_test(test_relu_mask_and_second_derivative),
        cmocka_unit_test(test_creators_are_remembered),
        cmocka_unit_test(test_replay_with_new_inputs),
        cmocka_unit_test(test_define_by_run_loop),
        cmocka_unit_test(test_assignments_see_old_values),
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_adam_follows_the_paper),
        cmocka_unit_test(test_long_sums_are_accurate),
        cmocka_unit_test(test_empty_and_scalar_shapes),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_zeros_keep_their_sign),
        cmocka_unit_test(test_long_maps),
        cmocka_unit_test(test_error_messages),
        cmocka_unit_test(test_layer_norm_errors),
        cmocka_unit_test(test_labels_out_of_range),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
