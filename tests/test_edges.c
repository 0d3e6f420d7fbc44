/* The edges: calls that are refused, constants that fold, arrays without elements. */
#define _GNU_SOURCE
#include "support.h"

#include <clgrad/nn.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static clg_device *device; /* of the group that runs now */

/* What a caller can get wrong while there is nothing wrong with the graph. */
static void test_calls_that_are_refused(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t indices[] = {1, 5};
    const float rows[] = {1, 2};
    const int64_t widths[] = {4, -1, 3};
    clg_random random = clg_random_new(1, 1);
    clg_var x = clg_scalar(g, 1), table = clg_array(g, CLG_F32, CLG_SHAPE(2), rows),
            index = clg_array(g, CLG_I32, CLG_SHAPE(2), indices);
    assert_int_equal(clg_read(x, NULL, sizeof(float)), CLG_ERROR_ARGUMENT);
    assert_string_equal(clg_last_error(), "read: data is NULL");
    clg_var twice[] = {clg_assign(x, clg_scalar(g, 2)), clg_assign(x, clg_scalar(g, 3))};
    assert_null(clg_compile(g, twice, 2));
    assert_non_null(strstr(clg_last_error(), "is assigned two values"));
    clg_graph_clear_error(g);
    support_expect_error(clg_gather(table, index), "gather: index 5 of input");
    support_expect_error(clg_gather(table, clg_reshape(index, CLG_SHAPE(1, 2))), "is out of range: 0..1");
    support_expect_error(clg_scatter_add(index, table, 3), "scatter_add: index 5 of input");
    assert_true(clg_is_valid(clg_scatter_add(index, table, 6)));
    /* what a program assigns is not known when a graph is built */
    const int32_t in_range[] = {0, 1}, out_of_range[] = {7, 8};
    clg_var moved = clg_array(g, CLG_I32, CLG_SHAPE(2), in_range),
            back = clg_assign(moved, clg_array(g, CLG_I32, CLG_SHAPE(2), in_range));
    assert_int_equal(clg_write(moved, out_of_range, sizeof out_of_range), CLG_OK);
    clg_program *program = clg_compile(g, &back, 1);
    assert_int_equal(clg_run(program), CLG_OK);
    assert_true(clg_item(clg_sum(clg_gather(table, moved), CLG_ALL_AXES, false)) == 3);
    clg_program_free(program);
    assert_null(clg_mlp_new(g, widths, 3, &random));
    support_expect_error(clg_input(g, CLG_F32, CLG_SHAPE(4, -1)), "has a negative extent");
    clg_var zero = clg_full(g, CLG_U8, CLG_SCALAR, 0);
    support_expect_error(clg_argmax(clg_broadcast_to(zero, CLG_SHAPE((int64_t)3 << 30)), 0),
                         "has more elements than an i32 index counts");
    support_expect_error(clg_arange(g, CLG_I32, (int64_t)3 << 30), "arange: ");
    clg_graph_free(g);
}

/* What an effect changes was read before, with what was computed from it. */
static void test_effects_on_what_was_read(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float three = 3;
    clg_var x = clg_array(g, CLG_F32, CLG_SCALAR, &three), y = clg_mul(x, clg_scalar(g, 2));
    clg_var z = clg_after(clg_reshape(y, CLG_SHAPE(1)), clg_assign(x, clg_add(x, x))), moved = clg_assign(x, y);
    assert_true(clg_item(y) == 6);
    assert_true(clg_item(z) == 6 && clg_item(x) == 6 && clg_item(y) == 12);
    assert_true(clg_item(z) == 6 && clg_item(x) == 6); /* known by now */
    assert_true(clg_item(moved) == 12 && clg_item(x) == 12 && clg_item(y) == 24);
    assert_true(clg_item(clg_after(x, clg_assign(x, clg_add(y, y)))) == 48 && clg_item(x) == 48);
    clg_graph_free(g);
}

/* Constants give what leaves of the same values give. */
static void test_folding_is_running(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t integers[] = {300, -1, 255, -300, INT32_MAX, INT32_MIN};
    const double reals[] = {-1.5, 256.7, 1e10, -1e10, NAN, INFINITY, -0.0};
    const float zero = -0.0f;
    float got;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        clg_var leaf = clg_array(g, CLG_I32, CLG_SCALAR, &integers[i]),
                constant = clg_full(g, CLG_I32, CLG_SCALAR, integers[i]);
        const double want = (uint8_t)integers[i];
        assert_true(clg_item(clg_cast(leaf, CLG_U8)) == want && clg_item(clg_cast(constant, CLG_U8)) == want);
    }
    const bool f64 = clg_device_get_info(device)->has_f64;
    for (size_t i = 0; i < sizeof reals / sizeof *reals && f64; i++)
        for (int to = 0; to < 2; to++) {
            clg_var leaf = clg_array(g, CLG_F64, CLG_SCALAR, &reals[i]),
                    constant = clg_full(g, CLG_F64, CLG_SCALAR, reals[i]);
            const clg_dtype dtype = to ? CLG_U8 : CLG_I32;
            assert_true(clg_item(clg_cast(leaf, dtype)) == clg_item(clg_cast(constant, dtype)));
        }
    clg_var difference = clg_sub(clg_array(g, CLG_F32, CLG_SCALAR, &zero), clg_full(g, CLG_F32, CLG_SCALAR, -0.0));
    assert_int_equal(clg_read(difference, &got, sizeof got), CLG_OK);
    assert_true(got == 0 && !signbit(got)); /* -0 - -0 */
    clg_graph_free(g);
}

/* Arrays without elements, made and read in every kind of step; and what is not empty beside them. */
static void test_empty_arrays(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(0)), w = clg_input(g, CLG_F32, CLG_SHAPE(0, 4)), one = clg_scalar(g, 1);
    assert_int_equal(clg_write(x, NULL, 0), CLG_OK);
    assert_int_equal(clg_write(w, NULL, 0), CLG_OK);
    clg_var products = clg_mul(x, clg_sum(w, CLG_AXES(1), false)), columns = clg_sum(clg_exp(w), CLG_AXES(0), false),
            largest = clg_max(w, CLG_AXES(0), false), next = clg_assign(x, clg_add(x, one)),
            joined = clg_concat((clg_var[]){clg_exp(x), clg_reshape(one, CLG_SHAPE(1)), x}, 3, 0), gw,
            outputs[] = {products, columns, largest, next, joined, clg_matmul(clg_transpose(w), clg_exp(w))};
    assert_int_equal(clg_gradients(clg_sum(clg_square(products), CLG_ALL_AXES, false), &w, 1, &gw), CLG_OK);
    clg_program *program = clg_compile(g, outputs, 6);
    assert_non_null(program);
    assert_int_equal(clg_run(program), CLG_OK);
    float values[16];
    assert_int_equal(clg_read(products, NULL, 0), CLG_OK);
    assert_int_equal(clg_read(gw, NULL, 0), CLG_OK);
    assert_int_equal(clg_read(columns, values, 4 * sizeof *values), CLG_OK);
    for (int i = 0; i < 4; i++)
        assert_true(values[i] == 0);
    assert_int_equal(clg_read(largest, values, 4 * sizeof *values), CLG_OK);
    for (int i = 0; i < 4; i++)
        assert_true(values[i] == -INFINITY);
    assert_int_equal(clg_read(outputs[5], values, sizeof values), CLG_OK);
    for (int i = 0; i < 16; i++)
        assert_true(values[i] == 0);
    assert_true(clg_item(joined) == 1);
    clg_program_free(program);
    clg_graph_free(g);
}

/* A child process: its parent's device refuses, at once; its own computes. */
static int use_in_child(clg_graph *g, clg_var x, clg_program *program)
{
    float value[3] = {1, 2, 3};
    clg_device *own;
    alarm(60); /* rather than hang */
    if (clg_read(x, value, sizeof value) != CLG_ERROR_DEVICE || !strstr(clg_last_error(), "before fork"))
        return 1;
    if (clg_run(program) != CLG_ERROR_DEVICE || clg_write(clg_operand(x, 0), value, sizeof value) != CLG_ERROR_DEVICE)
        return 2;
    clg_var y = clg_neg(x);
    if (clg_compile(g, &y, 1) || !strstr(clg_last_error(), "before fork"))
        return 3;
    clg_program_free(program);
    clg_graph_free(g);
    clg_device_close(device);
    if (clg_device_open("opencl", &own) == CLG_OK)
        return 4;
    if (clg_device_open("cpu", &own) != CLG_OK)
        return 5;
    g = clg_graph_new(own);
    x = clg_exp(clg_array(g, CLG_F32, CLG_SHAPE(3), value));
    if (clg_read(x, value, sizeof value) != CLG_OK || !(fabs((double)value[2] - exp(3)) < 1e-4))
        return 6;
    clg_graph_free(g);
    clg_device_close(own);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const float values[] = {1, 2, 3};
    float got[3];
    int status;
    clg_device_info *infos;
    size_t count;
    assert_int_equal(clg_device_list(&infos, &count), CLG_OK); /* OpenCL has been used, on the CPU path's turn, too */
    free(infos);
    clg_var x = clg_exp(clg_array(g, CLG_F32, CLG_SHAPE(3), values));
    clg_program *program = clg_compile(g, &x, 1);
    assert_non_null(program);
    assert_int_equal(clg_run(program), CLG_OK);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_in_child(g, x, program));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(clg_run(program), CLG_OK); /* the parent's goes on */
    assert_int_equal(clg_read(x, got, sizeof got), CLG_OK);
    assert_true(fabs((double)got[2] - exp(3)) < 1e-4);
    clg_program_free(program);
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_that_are_refused),
        cmocka_unit_test(test_effects_on_what_was_read),
        cmocka_unit_test(test_folding_is_running),
        cmocka_unit_test(test_empty_arrays),
        cmocka_unit_test(test_fork),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
