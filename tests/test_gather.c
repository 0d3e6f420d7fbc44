/* Rows taken from a table by index, fused with what is made of them, against plain loops in f64: every dtype, indices
 * that are written and indices that are computed, in range and out of range, on every device and strategy. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"
#include "support_dtype.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 60, OPENCL_ROUNDS = 12 }; /* each round is a kernel to be built */

static uint32_t below(clg_random *random, uint32_t bound) { return clg_random_below(random, bound); }

/* What a case is made of, with the values as doubles. */
typedef struct gather_case {
    clg_graph *g;
    clg_dtype dtype;
    clg_shape table_shape, index_shape;
    int64_t rows, row, count; /* of the table, elements of one, indices */
    double *table, *indices;
    clg_var gathered;
} gather_case;

static double *random_values(int64_t count, int64_t bound, clg_random *random)
{
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = below(random, (uint32_t)bound);
    return values;
}

/* Indices as an input, which must be in range, or as the result of a table look-up, which need not. */
static clg_var make_indices(gather_case *c, bool computed, clg_random *random)
{
    c->indices = random_values(c->count, c->rows, random);
    if (!computed)
        return support_leaf(c->g, CLG_I32, c->index_shape, c->indices);
    int64_t offset = below(random, 5);
    double *order = random_values(c->count + offset, c->rows, random);
    for (int64_t i = 0; i < c->count; i++) {
        if (below(random, 8) == 0)
            c->indices[i] = below(random, 2) ? (double)c->rows : -1;
        order[offset + i] = c->indices[i];
    }
    clg_var list = support_leaf(c->g, CLG_I32, CLG_SHAPE(c->count + offset), order);
    clg_var start = support_leaf(c->g, CLG_I32, CLG_SCALAR, &(double){(double)offset});
    clg_var place = clg_reshape(clg_add(clg_arange(c->g, CLG_I32, c->count), start), c->index_shape);
    free(order);
    return clg_gather(list, place);
}

static gather_case make_case(clg_device *device, clg_random *random)
{
    static const int64_t tails[] = {1, 3, 10, 28, 64, 100, 333, 784};
    gather_case c = {.g = clg_graph_new(device), .dtype = (clg_dtype)below(random, CLG_DTYPE_COUNT), .count = 1};
    if (!clg_device_get_info(device)->has_f64 && c.dtype == CLG_F64)
        c.dtype = CLG_F32;
    c.rows = 1 + below(random, 50);
    c.row = 1;
    c.table_shape = CLG_SHAPE(c.rows);
    for (int d = (int)below(random, 3); d > 0; d--)
        c.row *= c.table_shape.dim[c.table_shape.rank++] = tails[below(random, d == 2 ? 4 : 8)];
    for (int d = (int)below(random, 3); d > 0; d--)
        c.count *= c.index_shape.dim[c.index_shape.rank++] = 1 + below(random, 20);
    c.table = random_values(c.rows * c.row, c.dtype == CLG_BOOL ? 2 : 256, random);
    clg_var table = support_leaf(c.g, c.dtype, c.table_shape, c.table);
    c.gathered = clg_gather(table, make_indices(&c, below(random, 2), random));
    return c;
}

static double expected(const gather_case *c, int64_t i, int64_t j)
{
    if (c->indices[i] >= 0 && c->indices[i] < (double)c->rows)
        return c->table[(int64_t)c->indices[i] * c->row + j];
    return clg_dtype_is_real(c->dtype) ? NAN : 0;
}

/* The rows scaled, then with a value of each row and one of each column added, all in one program; and the columns'
 * sums, for which lanes run the other way. */
static void check_case(clg_device *device, clg_random *random)
{
    gather_case c = make_case(device, random);
    clg_shape flat = CLG_SHAPE(c.count, c.row);
    double *bias = random_values(c.row, 9, random), *level = random_values(c.count, 9, random);
    double *want[4];
    for (int k = 0; k < 4; k++)
        assert_non_null(want[k] = calloc((size_t)(c.count * c.row + 1), sizeof **want));
    for (int64_t i = 0; i < c.count; i++)
        for (int64_t j = 0; j < c.row; j++) {
            want[0][i * c.row + j] = expected(&c, i, j);
            want[1][i * c.row + j] = expected(&c, i, j) / 255;
            want[2][j * c.count + i] = expected(&c, i, j) / 255 * level[i] + bias[j];
            want[3][j] += expected(&c, i, j) / 255;
        }
    clg_var x = clg_reshape(clg_cast(c.gathered, CLG_F32), flat);
    clg_var scaled = clg_mul(x, clg_full(c.g, CLG_F32, CLG_SCALAR, 1.0 / 255));
    clg_var rows = support_leaf(c.g, CLG_F32, CLG_SHAPE(c.count, 1), level);
    clg_var shifted = clg_add(clg_mul(scaled, rows), support_leaf(c.g, CLG_F32, CLG_SHAPE(c.row), bias));
    const clg_var outputs[4] = {c.gathered, scaled, clg_transpose(shifted), clg_sum(scaled, CLG_AXES(0), false)};
    int chosen = (int)below(random, 5); /* one of them, or all together */
    clg_program *p = clg_compile(c.g, chosen < 4 ? &outputs[chosen] : outputs, chosen < 4 ? 1 : 4);
    if (!p)
        fail_msg("compile: %s", clg_last_error());
    assert_int_equal(clg_run(p), CLG_OK);
    static const char *const names[] = {"gather", "scaled", "shifted and transposed", "column sums"};
    for (int k = 0; k < 4; k++) {
        if (chosen == 4 || chosen == k)
            support_expect(outputs[k], want[k], k == 3 ? 1e-5 : 1e-6, names[k]); /* k == 3: sums in f32 */
        free(want[k]);
    }
    clg_program_free(p);
    clg_graph_free(c.g);
    free(bias);
    free(level);
    free(c.table);
    free(c.indices);
}

static void check_device(const char *spec, uint64_t stream)
{
    clg_device *device = support_open(spec);
    clg_random random = clg_random_new(support_seed(), stream);
    for (int round = 0; round < support_rounds(strcmp(spec, "cpu") == 0 ? ROUNDS : OPENCL_ROUNDS); round++)
        check_case(device, &random);
    clg_device_close(device);
}

static void test_random_gathers(void **state)
{
    (void)state;
    for (const char *const *spec = support_devices(); *spec; spec++) {
        check_device(*spec, 1);
        if (strcmp(*spec, "cpu") == 0)
            continue;
        setenv("CLGRAD_OPENCL_STRATEGY", "gpu", 1);
        check_device(*spec, 2);
        unsetenv("CLGRAD_OPENCL_STRATEGY");
    }
}

/* Written indices are checked when they are written. */
static void test_refuses_written_indices(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var table = clg_input(g, CLG_U8, CLG_SHAPE(5, 70)), index = clg_input(g, CLG_I32, CLG_SHAPE(2));
    assert_true(clg_is_valid(clg_gather(table, index)));
    assert_int_equal(clg_write(index, (int32_t[]){4, 0}, 8), CLG_OK);
    assert_int_equal(clg_write(index, (int32_t[]){4, 5}, 8), CLG_ERROR_ARGUMENT);
    assert_non_null(strstr(clg_last_error(), "index 5 at position 1 is out of range"));
    clg_graph_free(g);
    clg_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_gathers),
                                       cmocka_unit_test(test_refuses_written_indices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
