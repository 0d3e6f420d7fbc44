/* Scans against plain loops; their gradients against differences, and those of products with zeros against exact
 * derivatives; what they do with infinities, NaN, ties and integers. */
#include "support_gradients.h"

#include <clgrad/functions.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static clg_device *device; /* of the group that runs now */

static bool on_the_cpu(void) { return !strcmp(clg_device_get_info(device)->type, "host"); }
static clg_dtype real(void) { return clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32; }
static double tolerance(clg_dtype dtype) { return dtype == CLG_F64 ? 1e-10 : 1e-4; }

typedef enum kind { SUM, PROD, MAX, MIN, LOG, RECURRENCE, KINDS } kind;
static const char *const names[KINDS] = {"cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "recurrence"};

static clg_var build(kind k, clg_var x, clg_var coefficient, int axis, int flags)
{
    static clg_var (*const builders[])(clg_var, int, int) = {clg_cumsum, clg_cumprod, clg_cummax, clg_cummin,
                                                             clg_logcumsumexp};
    return k == RECURRENCE ? clg_recurrence(x, coefficient, axis, flags) : builders[k](x, axis, flags);
}

/* ---------------------------------------------------------------- plain loops */

static double start_of(kind k)
{
    static const double starts[KINDS] = {0, 1, -INFINITY, INFINITY, -INFINITY, 0};
    return starts[k];
}

static double combined(kind k, double a, double b, double c)
{
    const double most = fmax(a, b);
    switch (k) {
    case SUM:
        return a + b;
    case PROD:
        return a * b;
    case MAX:
        return most;
    case MIN:
        return fmin(a, b);
    case LOG:
        return isinf(most) ? most : most + log1p(exp(fmin(a, b) - most));
    default:
        return c * a + b;
    }
}

static void plain(kind k, const double *x, const double *c, clg_shape shape, int axis, int flags, double *y)
{
    int64_t inner = 1;
    const int64_t length = shape.dim[axis], count = clg_shape_count(shape);
    for (int d = axis + 1; d < shape.rank; d++)
        inner *= shape.dim[d];
    for (int64_t line = 0; line < count / length; line++) {
        double a = start_of(k);
        for (int64_t t = 0; t < length; t++) {
            const int64_t place = flags & CLG_SCAN_REVERSE ? length - 1 - t : t;
            const int64_t at = (line / inner * length + place) * inner + line % inner;
            const double before = a;
            a = combined(k, a, x[at], c[at]);
            y[at] = flags & CLG_SCAN_EXCLUSIVE ? before : a;
        }
    }
}

/* Random values of such a size that nothing overflows along a line. */
static double *random_values(kind k, int64_t count, int64_t length, clg_random *random)
{
    double *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) {
        const double u = 2 * clg_random_uniform(random) - 1;
        x[i] = k == PROD ? (1 + u / sqrt((double)length)) * (u < -0.5 ? -1 : 1) : 3 * u;
    }
    return x;
}

/* ---------------------------------------------------------------- values */

typedef struct trial {
    kind k;
    clg_shape shape;
    int axis, flags;
    double *want;
} trial;

static void set_trial(trial *t, clg_graph *g, clg_dtype dtype, clg_random *random, clg_var *y)
{
    const int64_t count = clg_shape_count(t->shape);
    double *x = random_values(t->k, count, t->shape.dim[t->axis], random), *c = malloc((size_t)count * sizeof *c);
    t->want = malloc((size_t)count * sizeof *t->want);
    assert_true(c && t->want);
    for (int64_t i = 0; i < count; i++) {
        c[i] = 1.8 * clg_random_uniform(random) - 0.9;
        if (dtype == CLG_F32) {
            x[i] = (float)x[i];
            c[i] = (float)c[i];
        }
    }
    plain(t->k, x, c, t->shape, t->axis, t->flags, t->want);
    *y = build(t->k, support_leaf(g, dtype, t->shape, x), support_leaf(g, dtype, t->shape, c),
               t->axis - (t->flags ? t->shape.rank : 0), t->flags);
    free(x);
    free(c);
}

/* All of them in one program. */
static void expect_trials(trial *trials, int count, clg_dtype dtype)
{
    enum { MOST = 128 };
    clg_random random = clg_random_new(support_seed(), 1);
    clg_graph *g = clg_graph_new(device);
    clg_var y[MOST];
    assert_true(count <= MOST);
    for (int i = 0; i < count; i++)
        set_trial(&trials[i], g, dtype, &random, &y[i]);
    clg_program *p = clg_compile(g, y, count);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    for (int i = 0; i < count; i++) {
        const trial *t = &trials[i];
        char text[64], what[128];
        snprintf(what, sizeof what, "%s of %s, axis %d, flags %d", names[t->k],
                 clg_shape_format(t->shape, text, sizeof text), t->axis, t->flags);
        assert_true(clg_shape_equal(clg_shape_of(y[i]), t->shape) && clg_dtype_of(y[i]) == dtype);
        support_expect(y[i], t->want, tolerance(dtype), what);
        free(trials[i].want);
    }
    clg_program_free(p);
    clg_graph_free(g);
}

/* Along each axis on the CPU; elsewhere kernels take time to build, and each kind has two of them. */
static void test_small(void **state)
{
    (void)state;
    trial trials[KINDS * 3 * 4];
    int count = 0;
    for (kind k = 0; k < KINDS; k++)
        for (int axis = 0; axis < 3; axis++)
            for (int flags = 0; flags < 4; flags++)
                if (on_the_cpu() || ((int)k + flags) % 3 == axis)
                    trials[count++] = (trial){.k = k, .shape = CLG_SHAPE(3, 7, 5), .axis = axis, .flags = flags};
    expect_trials(trials, count, real());
}

static void test_f32(void **state)
{
    (void)state;
    trial trials[KINDS];
    for (kind k = 0; k < KINDS; k++)
        trials[k] = (trial){.k = k, .shape = CLG_SHAPE(2, 33), .axis = 1, .flags = k % 4};
    expect_trials(trials, on_the_cpu() ? KINDS : 2, CLG_F32);
}

/* Lines that are cut into pieces: one, a few, a few next to each other. */
static void test_long(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    const clg_shape one = CLG_SHAPE(LONG), rows = CLG_SHAPE(3, LONG), columns = CLG_SHAPE(LONG, 3);
    trial some[] = {{.k = SUM, .shape = one, .axis = 0, .flags = 0},
                    {.k = RECURRENCE, .shape = rows, .axis = 1, .flags = CLG_SCAN_REVERSE},
                    {.k = MAX, .shape = columns, .axis = 0, .flags = CLG_SCAN_REVERSE},
                    {.k = RECURRENCE, .shape = columns, .axis = 0, .flags = CLG_SCAN_EXCLUSIVE}};
    trial all[KINDS * 3 * 2];
    int count = 0;
    for (kind k = 0; k < KINDS; k++)
        for (int reverse = 0; reverse < 2; reverse++)
            for (int i = 0; i < 3; i++)
                all[count++] = (trial){.k = k,
                                       .shape = i == 0   ? one
                                                : i == 1 ? rows
                                                         : columns,
                                       .axis = i == 1,
                                       .flags = reverse ? CLG_SCAN_REVERSE : 0};
    if (on_the_cpu())
        expect_trials(all, count, real());
    else
        expect_trials(some, 4, real());
}

/* Lengths about those of vectors and groups. */
static void test_lengths(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 15, 17, 255, 257, 1023, 1025, 4097, 9001};
    trial trials[40];
    int count = 0;
    for (int i = 0; i < 10 && (on_the_cpu() || i < 1); i++)
        for (int j = 0; j < 4; j++)
            trials[count++] = (trial){.k = j % 2 ? RECURRENCE : SUM,
                                      .shape = j < 2 ? CLG_SHAPE(5, lengths[i]) : CLG_SHAPE(lengths[i], 37),
                                      .axis = j < 2,
                                      .flags = j};
    expect_trials(trials, count, real());
}

/* ---------------------------------------------------------------- edges */

static void test_specials(void **state)
{
    (void)state;
    const clg_dtype dtype = real();
    const double inf = INFINITY, one = log1p(exp(1)), two = log(2);
    const double x[] = {-inf, -inf, 0, 1, -inf, -inf, -inf, -inf, 1000, 1000, -1000, 1000, -1000, -1000, 1000, -inf};
    const double logs[] = {-inf, -inf,       0,          one,           -inf,  -inf,       -inf, -inf,
                           1000, 1000 + two, 1000 + two, 1000 + log(3), -1000, two - 1000, 1000, 1000};
    /* a result of -infinity passes its gradient to its own element, where PyTorch has NaN */
    const double to_logs[] = {
        1, 1, 1 + 1 / (1 + exp(1)), 1 / (1 + exp(-1)), 1, 1, 1, 1, 7.0 / 3, 4.0 / 3, 0, 1.0 / 3, 1.5, 0.5, 2, 0};
    const double a[] = {1, 3, 3, 2, 3, NAN, 1, NAN, -inf, -inf, 2, inf, inf, 1, -inf, 2};
    const double most[] = {1, 3, 3, 3, 3, NAN, NAN, NAN, -inf, -inf, 2, inf, inf, inf, inf, inf};
    const double least[] = {1, 1, 1, 1, 1, NAN, NAN, NAN, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf};
    /* the last of equal extremes takes what comes behind it, until there is a new one */
    const double to_most[] = {1, 1, 2, 0, 1, 2, 0, 1, 1, 1, 1, 1, 4, 0, 0, 0};
    const double to_least[] = {5, 0, 0, 0, 0, 2, 0, 1, 1, 5, 0, 0, 0, 0, 2, 0};
    clg_graph *g = clg_graph_new(device);
    clg_var v = support_leaf(g, dtype, CLG_SHAPE(4, 4), x), w = support_leaf(g, dtype, CLG_SHAPE(2, 8), a);
    clg_var log_sum = clg_logcumsumexp(v, 1, 0), max = clg_cummax(w, 1, 0), min = clg_cummin(w, 1, 0);
    clg_var log_gradient, max_gradient, min_gradient;
    clg_gradients(log_sum, &v, 1, &log_gradient);
    clg_gradients(max, &w, 1, &max_gradient);
    clg_gradients(min, &w, 1, &min_gradient);
    clg_program *p = clg_compile(g, (clg_var[]){log_sum, max, min, log_gradient, max_gradient, min_gradient}, 6);
    assert_true(p && clg_run(p) == CLG_OK);
    support_expect(log_sum, logs, 1e-6, "logcumsumexp");
    support_expect(max, most, 0, "cummax");
    support_expect(min, least, 0, "cummin");
    support_expect(max_gradient, to_most, 0, "gradient of cummax");
    support_expect(min_gradient, to_least, 0, "gradient of cummin");
    support_expect(log_gradient, to_logs, 1e-4, "gradient of logcumsumexp");
    clg_program_free(p);
    clg_graph_free(g);
}

/* 2, 0, 3: the gradient of the sum of the products is (1 + 0 + 0, 2 + 2 3, 0). */
static void test_a_zero_factor(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    clg_var x = support_leaf(g, real(), CLG_SHAPE(3), (const double[]){2, 0, 3}), gx;
    clg_gradients(clg_cumprod(x, 0, 0), &x, 1, &gx);
    support_expect(gx, (double[]){1, 8, 0}, 0, "gradient of cumprod at a zero");
    clg_graph_free(g);
}

/* An infinity takes all that comes from results that are infinite. */
static void test_infinite_sums(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const double x[] = {INFINITY, -INFINITY, 1, 1, INFINITY, INFINITY};
    clg_var v = support_leaf(g, real(), CLG_SHAPE(2, 3), x), gv;
    clg_gradients(clg_logcumsumexp(v, 1, 0), &v, 1, &gv);
    support_expect(gv, (double[]){3, 0, 0, 1, 2, 1}, 1e-6, "gradient of logcumsumexp at infinity");
    clg_graph_free(g);
}

static void test_integers(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const uint8_t bytes[] = {200, 100, 0, 7};
    const int32_t numbers[] = {INT32_MAX, 2, -3, 65536};
    clg_var b = clg_array(g, CLG_U8, CLG_SHAPE(4), bytes), n = clg_array(g, CLG_I32, CLG_SHAPE(4), numbers);
    const clg_var y[] = {clg_cumsum(b, 0, 0),
                         clg_cumprod(b, 0, CLG_SCAN_EXCLUSIVE),
                         clg_cummax(b, 0, CLG_SCAN_EXCLUSIVE),
                         clg_cummin(b, 0, CLG_SCAN_EXCLUSIVE | CLG_SCAN_REVERSE),
                         clg_cumsum(n, 0, 0),
                         clg_cumprod(n, 0, 0),
                         clg_cummax(n, 0, CLG_SCAN_EXCLUSIVE),
                         clg_cummin(n, 0, CLG_SCAN_EXCLUSIVE),
                         clg_recurrence(b, clg_scalar_like(n, 2), 0, 0),
                         clg_logcumsumexp(n, 0, 0)};
    const double want[][4] = {{200, 300, 300, 307},
                              {1, 200, 20000, 0},
                              {0, 200, 200, 200},
                              {0, 0, 7, 255},
                              {2147483647, 2147483649.0, 2147483646, 2147549182.0},
                              {2147483647, 4294967294.0, -12884901882.0, -844424929738752.0},
                              {INT32_MIN, INT32_MAX, INT32_MAX, INT32_MAX},
                              {INT32_MAX, INT32_MAX, 2, -3},
                              {200, 500, 1000, 2007},
                              {2147483648.0, 2147483648.0, 2147483648.0, 2147483648.0}};
    clg_program *p = clg_compile(g, y, 10);
    assert_true(p && clg_run(p) == CLG_OK);
    for (int i = 0; i < 10; i++) {
        const bool sum = i < 2 || i == 4 || i == 5;
        assert_int_equal(clg_dtype_of(y[i]), sum ? CLG_I64 : i < 4 ? CLG_U8 : i < 8 ? CLG_I32 : CLG_F32);
        support_expect(y[i], want[i], 0, clg_creator(y[i]));
    }
    clg_program_free(p);
    /* nothing to combine */
    clg_var none = clg_full(g, CLG_F32, CLG_SHAPE(3, 0), 1);
    for (kind k = 0; k < KINDS; k++) {
        clg_var rows = build(k, none, none, 1, k % 4), columns = build(k, none, none, 0, k % 4);
        assert_true(clg_is_valid(rows) && clg_is_valid(columns));
        assert_true(clg_shape_equal(clg_shape_of(rows), CLG_SHAPE(3, 0)));
        free(support_values(rows));
        free(support_values(columns));
    }
    clg_graph_free(g);
}

static void test_refusals(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device), *other = clg_graph_new(device);
    clg_var x = clg_full(g, CLG_F32, CLG_SHAPE(2, 3), 1), y = clg_full(g, CLG_F32, CLG_SHAPE(2, 2), 1);
    support_expect_error(clg_cumsum(x, 2, 0), "cumsum: axis 2 is not an axis of shape (2, 3)");
    support_expect_error(clg_cummax(x, -3, 0), "cummax: axis -3 is not an axis of shape (2, 3)");
    support_expect_error(clg_cumprod(clg_scalar(g, 1), 0, 0), "cumprod: axis 0");
    support_expect_error(clg_cummin(x, 0, 4), "cummin: flags are 4, not of CLG_SCAN_REVERSE");
    support_expect_error(clg_logcumsumexp(x, 0, -1), "logcumsumexp: flags are -1");
    support_expect_error(clg_recurrence(x, y, 0, 0), "recurrence: shapes do not broadcast: (2, 3) and (2, 2)");
    support_expect_error(clg_recurrence(x, clg_full(other, CLG_F32, CLG_SCALAR, 1), 0, 0), "recurrence");
    support_expect_error(clg_recurrence(x, CLG_NONE, 0, 0), "recurrence");
    assert_true(clg_shape_equal(clg_shape_of(clg_recurrence(clg_index(x, 0, 0), x, 0, 0)), CLG_SHAPE(2, 3)));
    clg_graph_free(g);
    clg_graph_free(other);
}

/* ---------------------------------------------------------------- gradients */

static void test_gradients(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 2);
    if (real() != CLG_F64)
        return;
    for (kind k = 0; k < KINDS; k++)
        for (int flags = 0; flags < 4; flags++) {
            if (!on_the_cpu() && (k != RECURRENCE || flags != 3))
                continue;
            clg_graph *g = clg_graph_new(device);
            double *a = support_spread(24, -2, 2, &random), *b = support_spread(24, -2, 2, &random);
            const clg_var x[] = {support_leaf(g, CLG_F64, CLG_SHAPE(2, 4, 3), a),
                                 support_leaf(g, CLG_F64, CLG_SHAPE(2, 4, 3), b)};
            clg_var y = build(k, x[0], x[1], 1, flags);
            /* infinities that are there without any element are left away */
            if (flags & CLG_SCAN_REVERSE)
                y = clg_slice(y, 1, 0, 3, 1);
            else
                y = clg_slice(y, 1, 1, 4, 1);
            support_expect_gradients(y, x, k == RECURRENCE ? 2 : 1, &random, names[k]);
            free(a);
            free(b);
            clg_graph_free(g);
        }
}

/* A coefficient for all, and one for each place. */
static void test_broadcast_gradients(void **state)
{
    (void)state;
    if (!on_the_cpu())
        return;
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    double *a = support_spread(12, -2, 2, &random);
    const clg_var x[] = {support_leaf(g, CLG_F64, CLG_SHAPE(3, 4), a), support_leaf(g, CLG_F64, CLG_SCALAR, a),
                         support_leaf(g, CLG_F64, CLG_SHAPE(3, 1), a + 1)};
    support_expect_gradients(clg_recurrence(x[0], x[1], 1, 0), x, 2, &random, "one coefficient");
    support_expect_gradients(clg_recurrence(x[0], x[2], 0, 1), (clg_var[]){x[0], x[2]}, 2, &random, "coefficients");
    support_expect_gradients(clg_recurrence(x[2], x[0], 1, 2), (clg_var[]){x[2], x[0]}, 2, &random, "elements");
    free(a);
    clg_graph_free(g);
}

/* Long lines: the gradient of a weighted sum of results, by loops in the other direction. */
static void test_long_gradients(void **state)
{
    (void)state;
    enum { LONG = 30000 };
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    double *x = random_values(SUM, LONG, LONG, &random), *c = random_values(SUM, LONG, LONG, &random);
    double *w = random_values(SUM, LONG, LONG, &random), *y = malloc(LONG * sizeof *y);
    double *for_x = malloc(LONG * sizeof *for_x), *for_c = malloc(LONG * sizeof *for_c);
    assert_true(y && for_x && for_c);
    for (int i = 0; i < LONG; i++) {
        x[i] = (float)x[i];
        c[i] = (float)(c[i] * 0.3);
        w[i] = (float)w[i];
    }
    plain(RECURRENCE, x, c, CLG_SHAPE(LONG), 0, 0, y);
    for (int i = LONG - 1; i >= 0; i--) {
        for_x[i] = w[i] + (i + 1 < LONG ? c[i + 1] * for_x[i + 1] : 0);
        for_c[i] = i ? for_x[i] * y[i - 1] : 0;
    }
    const clg_dtype dtype = real();
    const clg_var of[] = {support_leaf(g, dtype, CLG_SHAPE(LONG), x), support_leaf(g, dtype, CLG_SHAPE(LONG), c)};
    clg_var gradients[2], weights = support_leaf(g, dtype, CLG_SHAPE(LONG), w);
    clg_gradients(clg_mul(clg_recurrence(of[0], of[1], 0, 0), weights), of, 2, gradients);
    support_expect(gradients[0], for_x, tolerance(dtype), "for x");
    support_expect(gradients[1], for_c, tolerance(dtype), "for the coefficients");
    double *const all[] = {x, c, w, y, for_x, for_c};
    for (int i = 0; i < 6; i++)
        free(all[i]);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- products with zeros
 *
 * A sum of results w[i] x[0] ... x[i] is linear in each element: its derivative for some of them is the same sum
 * without these factors, of those results that had them all. */

enum { N = 6, LINES = 5 };

typedef struct products {
    const double *x, *w;
    bool exclusive;
} products;

static double without(const products *p, const int *left_out, int count)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        const int last = p->exclusive ? i - 1 : i;
        double product = p->w[i];
        int found = 0;
        for (int j = 0; j <= last; j++) {
            bool out = false;
            for (int k = 0; k < count; k++)
                out |= left_out[k] == j;
            found += out;
            product *= out ? 1 : p->x[j];
        }
        sum += found == count ? product : 0;
    }
    return sum;
}

/* Of the derivative for element m: of the sum itself, of sum(v gradient), of sum(u gradient of that). */
static void derivatives(const products *p, const double *v, const double *u, int m, double *want)
{
    want[0] = without(p, &m, 1);
    want[1] = want[2] = 0;
    for (int k = 0; k < N; k++) {
        if (k == m)
            continue;
        want[1] += v[k] * without(p, (int[]){k, m}, 2);
        for (int l = 0; l < N; l++)
            if (l != m && l != k)
                want[2] += u[l] * v[k] * without(p, (int[]){k, l, m}, 3);
    }
}

static void expect_products(int flags, clg_random *random)
{
    static const int zeros[LINES][3] = {{-1, -1, -1}, {2, -1, -1}, {1, 4, -1}, {0, 3, 4}, {0, 1, 5}};
    const bool reverse = flags & CLG_SCAN_REVERSE;
    const clg_dtype dtype = real();
    clg_graph *g = clg_graph_new(device);
    double values[4][LINES * N], want[3][LINES * N]; /* values: x, and the weights w, v, u of results and gradients */
    for (int i = 0; i < 4 * LINES * N; i++)
        values[i / (LINES * N)][i % (LINES * N)] = (float)(0.5 + clg_random_uniform(random));
    for (int i = 0; i < LINES * 3; i++)
        if (zeros[i / 3][i % 3] >= 0)
            values[0][i / 3 * N + zeros[i / 3][i % 3]] = 0;
    for (int line = 0; line < LINES; line++) {
        double turned[4][N], one[3];
        for (int i = 0; i < 4 * N; i++)
            turned[i / N][i % N] = values[i / N][line * N + (reverse ? N - 1 - i % N : i % N)];
        const products p = {turned[0], turned[1], flags & CLG_SCAN_EXCLUSIVE};
        for (int m = 0; m < N; m++) {
            derivatives(&p, turned[2], turned[3], m, one);
            for (int order = 0; order < 3; order++)
                want[order][line * N + (reverse ? N - 1 - m : m)] = one[order];
        }
    }
    clg_var leaf[4], gradient[3];
    for (int i = 0; i < 4; i++)
        leaf[i] = support_leaf(g, dtype, CLG_SHAPE(LINES, N), values[i]);
    clg_var y = clg_cumprod(leaf[0], 1, flags);
    for (int order = 0; order < 3; order++) {
        clg_gradients(clg_mul(y, leaf[order + 1]), leaf, 1, &gradient[order]);
        y = gradient[order];
    }
    clg_program *p = clg_compile(g, gradient, 3);
    if (!p || clg_run(p) != CLG_OK)
        fail_msg("%s", clg_graph_error(g) ? clg_graph_error(g) : clg_last_error());
    for (int order = 0; order < 3; order++)
        support_expect(gradient[order], want[order], tolerance(dtype), "a derivative of a product");
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_zeros(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 5);
    for (int flags = 0; flags < 4; flags++)
        if (on_the_cpu() || flags == CLG_SCAN_REVERSE)
            expect_products(flags, &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small),
                                       cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_specials),
                                       cmocka_unit_test(test_infinite_sums),
                                       cmocka_unit_test(test_a_zero_factor),
                                       cmocka_unit_test(test_integers),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_broadcast_gradients),
                                       cmocka_unit_test(test_long_gradients),
                                       cmocka_unit_test(test_zeros)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
