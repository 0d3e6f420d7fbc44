/* Pictures at other sizes and at other places, and their gradients, against PyTorch 2.15 in f64 and differences. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(void) { return real() == CLG_F64 ? 1e-9 : 2e-4; }

/* scale sin(step i + square i i + phase) at the elements i. */
static clg_var curve(clg_graph *g, clg_dtype dtype, clg_shape shape, double scale, double step, double square,
                     double phase)
{
    enum { MOST = 512 };
    double values[MOST];
    const int count = (int)clg_shape_count(shape);
    assert_true(count <= MOST);
    for (int i = 0; i < count; i++)
        values[i] = scale * sin(step * i + square * i * i + phase);
    return support_leaf(g, dtype, shape, values);
}

static clg_var wave(clg_graph *g, clg_dtype dtype, clg_shape shape, double phase)
{
    return curve(g, dtype, shape, 1, 1.7, 0, phase);
}

/* Places within pictures and around them. */
static clg_var places(clg_graph *g, clg_dtype dtype, clg_shape shape)
{
    return curve(g, dtype, shape, 1.3, 0, 0.7, 0.2);
}

/* Elements times sin(2.3 i + 1), added up: what is wanted of an array. */
static double mixed(clg_var x)
{
    double *values = support_values(x), sum = 0;
    for (int i = 0; i < clg_shape_count(clg_shape_of(x)); i++)
        sum += values[i] * sin(2.3 * i + 1);
    free(values);
    return sum;
}

/* y, and the gradients of sum(y sin(1.7 i + 0.4)) for leaves, against what is wanted of each. */
static void expect(clg_var y, const clg_var *leaves, int count, const double *want, const char *what, int number)
{
    clg_var outputs[3] = {y};
    clg_var loss = clg_sum(clg_mul(y, wave(y.graph, clg_dtype_of(y), clg_shape_of(y), 0.4)), CLG_ALL_AXES, false);
    clg_gradients(loss, leaves, count, outputs + 1);
    clg_program *p = clg_compile(y.graph, outputs, 1 + count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s %d: %s", what, number, clg_graph_error(y.graph) ? clg_graph_error(y.graph) : clg_last_error());
    for (int i = 0; i < 1 + count; i++) {
        const double got = mixed(outputs[i]);
        if (!support_close(got, want[i], tolerance()))
            fail_msg("%s %d, output %d: %.12g, not %.12g", what, number, i, got, want[i]);
    }
    clg_program_free(p);
}

/* ---------------------------------------------------------------- other sizes */

typedef struct size_case {
    clg_interpolation mode;
    bool align_corners;
    clg_shape in, out;
    double want[2];
} size_case;

static const size_case sizes[] = {
    {CLG_INTERPOLATE_NEAREST, false, {3, {2, 2, 7}}, {1, {3}}, {-4.95022580478, 0.368259303247}},
    {CLG_INTERPOLATE_NEAREST, false, {3, {2, 2, 3}}, {1, {7}}, {-0.360758696378, 6.59409037854}},
    {CLG_INTERPOLATE_NEAREST, false, {4, {2, 2, 4, 6}}, {2, {8, 2}}, {0.523697871125, -0.257897494355}},
    {CLG_INTERPOLATE_NEAREST, false, {5, {2, 2, 3, 2, 5}}, {3, {5, 4, 3}}, {16.9472900316, 0.498672282479}},
    {CLG_INTERPOLATE_NEAREST_EXACT, false, {3, {2, 2, 7}}, {1, {3}}, {3.75071936141, 0.938691524849}},
    {CLG_INTERPOLATE_NEAREST_EXACT, false, {3, {2, 2, 5}}, {1, {8}}, {-0.124559201757, 3.52075089088}},
    {CLG_INTERPOLATE_NEAREST_EXACT, false, {4, {2, 2, 4, 6}}, {2, {8, 2}}, {3.50014397473, 0.407484258722}},
    {CLG_INTERPOLATE_LINEAR, false, {3, {2, 2, 5}}, {1, {8}}, {-0.161417894437, 2.23744973601}},
    {CLG_INTERPOLATE_LINEAR, true, {3, {2, 2, 5}}, {1, {8}}, {-0.206911645133, 1.35953169994}},
    {CLG_INTERPOLATE_LINEAR, false, {3, {2, 2, 7}}, {1, {3}}, {3.04255347152, 0.584875229268}},
    {CLG_INTERPOLATE_LINEAR, true, {3, {2, 2, 5}}, {1, {1}}, {1.03933008231, 1.39531518336}},
    {CLG_INTERPOLATE_LINEAR, true, {3, {2, 2, 1}}, {1, {4}}, {-0.551217135115, 0.100350100643}},
    {CLG_INTERPOLATE_LINEAR, false, {3, {2, 2, 5}}, {1, {1}}, {-1.5027285562, -1.37562739815}},
    {CLG_INTERPOLATE_LINEAR, false, {4, {2, 2, 4, 3}}, {2, {7, 5}}, {-1.72764376332, 0.877426497809}},
    {CLG_INTERPOLATE_LINEAR, true, {4, {2, 2, 4, 3}}, {2, {2, 5}}, {-1.91819206524, -0.177436019996}},
    {CLG_INTERPOLATE_LINEAR, false, {5, {2, 2, 3, 2, 5}}, {3, {5, 4, 3}}, {2.10763335262, -0.192730027171}},
    {CLG_INTERPOLATE_CUBIC, false, {4, {2, 2, 5, 4}}, {2, {8, 7}}, {-0.585531252177, 2.30598236157}},
    {CLG_INTERPOLATE_CUBIC, true, {4, {2, 2, 5, 4}}, {2, {8, 7}}, {-0.519573998719, 1.37003274144}},
    {CLG_INTERPOLATE_CUBIC, false, {4, {2, 2, 6, 7}}, {2, {2, 3}}, {-1.43262279891, 0.0197145829267}},
    {CLG_INTERPOLATE_CUBIC, true, {4, {2, 2, 1, 4}}, {2, {3, 1}}, {0.736539420244, 0.260403781805}},
    {CLG_INTERPOLATE_CUBIC, false, {4, {2, 2, 2, 1}}, {2, {5, 4}}, {-1.21417065295, 0.0889071835282}},
    {CLG_INTERPOLATE_AREA, false, {4, {2, 2, 6, 7}}, {2, {3, 5}}, {-6.08143681077, -0.0337839962535}},
};

static void test_sizes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_case *c = &sizes[i];
        clg_var x = wave(g, real(), c->in, 0.1), y = clg_interpolate(x, c->out, c->mode, c->align_corners);
        expect(y, &x, 1, c->want, "interpolate", (int)i);
    }
    clg_graph_free(g);
}

/* Some elements, and what stays as it is. */
static void test_elements(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double line[] = {1, 4, 9, -2},
                 between[] = {1, 15.0 / 7 - 1.0 / 14, 53.0 / 14, 6.5, 115.0 / 14, 27.0 / 14, -2};
    const double cubic[] = {0.7395833333333341, 2.03125, 5.16898148148148,
                            9.289351851851851,  3.96875, -2.954861111111114};
    clg_var x = support_leaf(g, real(), CLG_SHAPE(1, 1, 4), line);
    support_expect(clg_interpolate(x, CLG_SHAPE(7), CLG_INTERPOLATE_LINEAR, false), between, tolerance(), "linear");
    support_expect(clg_interpolate(x, CLG_SHAPE(6), CLG_INTERPOLATE_CUBIC, false), cubic, tolerance(), "cubic");
    for (int mode = CLG_INTERPOLATE_NEAREST; mode <= CLG_INTERPOLATE_AREA; mode++)
        support_expect(clg_interpolate(x, CLG_SHAPE(4), (clg_interpolation)mode, false), line, 0, "of the same size");
    /* floor(o in / out) for all sizes, f32 or not */
    for (int in = 2; in < 40; in += 4) {
        const int out = 141;
        double want[141], exact[141];
        for (int o = 0; o < out; o++) {
            want[o] = o * in / out;
            exact[o] = (2 * o + 1) * in / (2 * out);
        }
        clg_var numbers = clg_reshape(clg_arange(g, CLG_I32, in), CLG_SHAPE(1, 1, in));
        clg_var y = clg_interpolate(numbers, CLG_SHAPE(out), CLG_INTERPOLATE_NEAREST, false);
        assert_true(clg_dtype_of(y) == CLG_F32);
        support_expect(y, want, 0, "nearest");
        support_expect(clg_interpolate(numbers, CLG_SHAPE(out), CLG_INTERPOLATE_NEAREST_EXACT, false), exact, 0,
                       "exact");
    }
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- places of a grid */

typedef struct grid_case {
    clg_interpolation mode;
    clg_grid_padding padding;
    bool align_corners, on_elements; /* on_elements: with places at corners, elements and half-way between */
    double want[3];
} grid_case;

static const grid_case grids[] = {
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_ZEROS, false, false, {0.67234757406, -1.75042857368, 0}},
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_ZEROS, true, false, {1.861751353, 4.25499084934, 0}},
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_BORDER, false, false, {2.37322969109, -0.653833242537, 0}},
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_BORDER, true, false, {2.09866855803, 3.72658493616, 0}},
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_REFLECTION, false, false, {2.37322969109, -0.653833242537, 0}},
    {CLG_INTERPOLATE_NEAREST, CLG_GRID_REFLECTION, true, false, {0.514543099084, 3.35195684895, 0}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, false, false, {0.342931765882, 0.532991266772, -5.16345293706}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, false, true, {1.61679077064, -0.304356488035, -0.7815671163}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, true, false, {0.625425118315, 1.26399061385, -2.87808279143}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, true, true, {2.72231269684, 2.20914355541, -5.09296744049}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_BORDER, false, false, {1.2515862382, 0.876600596743, -7.14837897982}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_BORDER, false, true, {2.21746405272, 0.725785935744, 0.113179102915}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_BORDER, true, false, {1.0460503468, 0.77873420911, -4.99330232149}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_BORDER, true, true, {2.72231269684, 2.20914355541, 1.70405836537}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_REFLECTION, false, false, {0.891385891474, 0.918715034726, -10.5962947773}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_REFLECTION, false, true, {2.21746405272, 0.725785935744, 0.113179102915}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_REFLECTION, true, false, {-0.238166318177, 0.601431197111, -10.0962171616}},
    {CLG_INTERPOLATE_LINEAR, CLG_GRID_REFLECTION, true, true, {2.72231269684, 2.20914355541, 1.70405836537}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_ZEROS, false, false, {0.17779287103, 0.527233455859, -6.87643803828}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_ZEROS, false, true, {1.69710861613, -0.728668253293, 2.02445420113}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_ZEROS, true, false, {0.973149290393, 2.02649323302, -0.795050716157}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_ZEROS, true, true, {2.94164277025, 2.37806802654, 1.28064038284}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_BORDER, false, false, {1.40888530993, 0.905836356654, -8.51118441306}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_BORDER, false, true, {2.14540082663, 0.730489515774, 2.51157920434}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_BORDER, true, false, {1.39690677847, 1.14755759587, -3.91604049816}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_BORDER, true, true, {2.89209729962, 2.56030764782, 1.65421051076}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_REFLECTION, false, false, {1.19282915634, 0.867734668134, -12.6707612628}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_REFLECTION, false, true, {1.88825498902, 0.832763104076, 1.38016014931}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_REFLECTION, true, false, {0.0420278308242, 0.936584134493, -10.4268908889}},
    {CLG_INTERPOLATE_CUBIC, CLG_GRID_REFLECTION, true, true, {2.84603953826, 2.14938986461, 2.88784734771}},
};

static void test_grids(void **state)
{
    (void)state;
    enum { COUNT = 48 };
    static const double places_on[] = {-1, -0.5, 0, 0.5, 1};
    double on[COUNT];
    for (int i = 0; i < COUNT; i++)
        on[i] = places_on[(3 * i + i * i / 7) % 5];
    clg_graph *g = clg_graph_new(device);
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        const grid_case *c = &grids[i];
        const clg_shape shape = CLG_SHAPE(2, 3, 4, 2);
        clg_var x = wave(g, real(), CLG_SHAPE(2, 2, 5, 3), 0.1);
        clg_var grid = c->on_elements ? support_leaf(g, real(), shape, on) : places(g, real(), shape);
        clg_var y = clg_grid_sample(x, grid, c->mode, c->padding, c->align_corners);
        assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(2, 2, 3, 4)));
        expect(y, (clg_var[]){x, grid}, 2, c->want, "grid_sample", (int)i);
    }
    clg_graph_free(g);
}

/* What is far outside is 0, whatever is at the edge, and in a picture of one element there is nothing to mirror. */
static void test_far_places(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double wild[] = {INFINITY, NAN, 1, 2}, far[] = {1e30, -1e30, -3e9, 7, 0, -1e30, 1, 1};
    clg_var x = support_leaf(g, CLG_F32, CLG_SHAPE(1, 1, 2, 2), wild);
    clg_var grid = support_leaf(g, CLG_F32, CLG_SHAPE(1, 1, 4, 2), far),
            one = clg_full(g, CLG_F32, CLG_SHAPE(1, 1, 1, 1), 7);
    support_expect(clg_grid_sample(x, grid, CLG_INTERPOLATE_NEAREST, CLG_GRID_ZEROS, true), (double[]){0, 0, 0, 2}, 0,
                   "nearest, far");
    support_expect(clg_grid_sample(x, grid, CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, true), (double[]){0, 0, 0, 2}, 0,
                   "linear, far");
    clg_var near = clg_slice(grid, 2, 2, 4, 1);
    support_expect(clg_grid_sample(one, near, CLG_INTERPOLATE_LINEAR, CLG_GRID_REFLECTION, true), (double[]){7, 7}, 0,
                   "one element");
    support_expect(clg_grid_sample(one, grid, CLG_INTERPOLATE_NEAREST, CLG_GRID_BORDER, false), (double[]){7, 7, 7, 7},
                   0, "one element, far");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- affine grids */

typedef struct affine_case {
    int64_t h, w;
    bool align_corners;
    double want[2];
} affine_case;

static const affine_case affines[] = {
    {3, 4, true, {-0.762323479829, 0.0087010293886}},
    {3, 4, false, {-0.735437248548, -0.349290447719}},
    {1, 5, true, {-0.786924368318, -0.0173938289744}},
    {2, 1, false, {0.345874024087, 2.09964812316}},
};

static void test_affine_grid(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    for (size_t i = 0; i < sizeof affines / sizeof *affines; i++) {
        const affine_case *c = &affines[i];
        clg_var theta = wave(g, real(), CLG_SHAPE(2, 2, 3), 0.1),
                y = clg_affine_grid(theta, c->h, c->w, c->align_corners);
        assert_true(clg_shape_equal(clg_shape_of(y), CLG_SHAPE(2, c->h, c->w, 2)));
        expect(y, &theta, 1, c->want, "affine_grid", (int)i);
    }
    /* the map that changes nothing */
    const double same[] = {1, 0, 0, 0, 1, 0};
    clg_var x = wave(g, real(), CLG_SHAPE(1, 2, 4, 5), 0.1), theta = support_leaf(g, real(), CLG_SHAPE(1, 2, 3), same);
    double *values = support_values(x);
    for (int aligned = 0; aligned < 2; aligned++) {
        clg_var grid = clg_affine_grid(theta, 4, 5, aligned);
        support_expect(clg_grid_sample(x, grid, CLG_INTERPOLATE_LINEAR, CLG_GRID_ZEROS, aligned), values, tolerance(),
                       "the same picture");
    }
    free(values);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- gradients of both orders */

static void test_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    clg_var x = wave(g, CLG_F64, CLG_SHAPE(2, 2, 5, 4), 0.1), grid = places(g, CLG_F64, CLG_SHAPE(2, 3, 4, 2));
    for (int mode = CLG_INTERPOLATE_NEAREST; mode <= CLG_INTERPOLATE_AREA; mode++)
        support_expect_gradients(clg_interpolate(x, CLG_SHAPE(7, 3), (clg_interpolation)mode, false), &x, 1, &random,
                                 "interpolate");
    for (int padding = CLG_GRID_ZEROS; padding <= CLG_GRID_REFLECTION; padding++)
        for (int i = 0; i < 2; i++) {
            const clg_interpolation mode = i ? CLG_INTERPOLATE_CUBIC : CLG_INTERPOLATE_LINEAR;
            const clg_var leaves[] = {x, grid};
            support_expect_gradients(clg_grid_sample(x, grid, mode, (clg_grid_padding)padding, i), leaves, 2, &random,
                                     "grid_sample");
        }
    clg_var theta = wave(g, CLG_F64, CLG_SHAPE(2, 2, 3), 0.1);
    support_expect_gradients(clg_affine_grid(theta, 2, 3, false), &theta, 1, &random, "affine_grid");
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- refusals */

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    const clg_interpolation linear = CLG_INTERPOLATE_LINEAR, nearest = CLG_INTERPOLATE_NEAREST;
    clg_var x = wave(g, CLG_F32, CLG_SHAPE(2, 2, 5, 4), 0.1), grid = places(g, CLG_F32, CLG_SHAPE(2, 3, 4, 2));
    support_expect_error(clg_interpolate(x, CLG_SHAPE(3), linear, false),
                         "interpolate: x (2, 2, 5, 4) must be (n, c, ");
    support_expect_error(clg_interpolate(x, CLG_SHAPE(3, 0), linear, false), "size (3, 0) have an extent");
    support_expect_error(clg_interpolate(clg_index(clg_index(x, 0, 0), 0, 0), CLG_SCALAR, linear, false), "x (5, 4)");
    support_expect_error(clg_interpolate(clg_slice(x, 2, 0, 0, 1), CLG_SHAPE(2, 2), linear, false), "all positive");
    support_expect_error(clg_interpolate(x, CLG_SHAPE(2, (int64_t)1 << 28), linear, false), "the product below 2^30");
    support_expect_error(clg_interpolate(x, CLG_SHAPE(3, 3), nearest, true), "align_corners is of the modes LINEAR");
    support_expect_error(clg_interpolate(x, CLG_SHAPE(3, 3), (clg_interpolation)9, false), "there is no mode 9");
    support_expect_error(clg_interpolate(CLG_NONE, CLG_SHAPE(3, 3), linear, false), "interpolate: operand 0");
    support_expect_error(clg_grid_sample(x, clg_slice(grid, 0, 0, 1, 1), linear, CLG_GRID_ZEROS, false),
                         "grid_sample: x (2, 2, 5, 4) and grid (1, 3, 4, 2) must be (n, c, h, w) and (n, ho, wo, 2)");
    support_expect_error(clg_grid_sample(x, clg_swap_axes(grid, 1, 3), linear, CLG_GRID_ZEROS, false), "(2, 2, 4, 3)");
    support_expect_error(clg_grid_sample(clg_slice(x, 2, 0, 0, 1), grid, linear, CLG_GRID_ZEROS, false), "positive");
    support_expect_error(clg_grid_sample(x, grid, CLG_INTERPOLATE_AREA, CLG_GRID_ZEROS, false),
                         "mode 4 must be NEAREST");
    support_expect_error(clg_grid_sample(x, grid, linear, (clg_grid_padding)3, false), "padding 3 be ZEROS");
    support_expect_error(
        clg_grid_sample(x, clg_full(other, CLG_F32, CLG_SHAPE(2, 3, 4, 2), 0), linear, CLG_GRID_ZEROS, false),
        "grid_sample: operand 1 is not a variable");
    support_expect_error(clg_affine_grid(x, 2, 2, false), "affine_grid: theta (2, 2, 5, 4) must be (n, 2, 3)");
    clg_var theta = wave(g, CLG_F32, CLG_SHAPE(2, 2, 3), 0.1);
    support_expect_error(clg_affine_grid(theta, 0, 2, false), "h 0 and w 2 positive");
    clg_graph_free(g);
    clg_graph_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes),       cmocka_unit_test(test_elements),
                                       cmocka_unit_test(test_grids),       cmocka_unit_test(test_far_places),
                                       cmocka_unit_test(test_affine_grid), cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_refusals)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
