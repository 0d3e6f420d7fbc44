/* kernels/math.h on the C side: the error of every f32 function in ULP against libm in f64, over floats strided
 * through all bit patterns, then special values and conversions. The OpenCL side is compared with this one
 * elsewhere. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MATH_DTYPE 0
#include "kernels/math.h"
#define MATH_DTYPE 1
#include "kernels/math.h"
#define MATH_DTYPE 2
#include "kernels/math.h"
#define MATH_DTYPE 3
#include "kernels/math.h"

#define MAX_ULP 4.0
#define BLOCK 1024 /* functions are called in plain loops, so that the vectorised code is what is tested */

static double sigmoid_f64(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double gelu_f64(double x) { return x == -INFINITY ? -0.0 : x * erfc(x * -sqrt(0.5)) / 2; }
static double sqrt_f64(double x) { return sqrt(x); }

#define LOOP(name)                                                                                                     \
    static void name##_loop(const float *restrict x, float *restrict y)                                                \
    {                                                                                                                  \
        for (int i = 0; i < BLOCK; i++)                                                                                \
            y[i] = FN(f32, name)(x[i]);                                                                                \
    }
LOOP(exp)
LOOP(log)
LOOP(sin)
LOOP(cos)
LOOP(tanh)
LOOP(erf)
LOOP(gelu)
LOOP(sigmoid)
LOOP(sqrt)

LOOP(exp2)
LOOP(expm1)
LOOP(log2)
LOOP(log10)
LOOP(log1p)
LOOP(cbrt)
LOOP(tan)
LOOP(asin)
LOOP(acos)
LOOP(atan)
LOOP(sinh)
LOOP(cosh)
LOOP(asinh)
LOOP(acosh)
LOOP(atanh)
LOOP(erfc)
LOOP(lgamma)
LOOP(digamma)
LOOP(erfinv)
LOOP(floor)
LOOP(round)

static void pow_loop(const float *restrict x, const float *restrict y, float *restrict z)
{
    for (int i = 0; i < BLOCK; i++)
        z[i] = f32_pow(x[i], y[i]);
}

/* |got - want| in units of the last place of want as a float (2^-149 for subnormals); infinity for a wrong NaN,
 * a wrong infinity or a wrong sign of zero. */
static double ulp_error(float got, double want)
{
    float rounded = (float)want;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (isinf(rounded) || isinf(got)) {
        /* a result just below the overflow bound may come out as infinity, and the reverse */
        if (rounded == got)
            return 0;
        return fabs(want) > 3.4028230e38 && fabsf(got) > 3.4028230e38f && (want > 0) == (got > 0) ? 1 : INFINITY;
    }
    if (want == 0 && got == 0)
        return !signbit(want) == !signbit(got) ? 0 : INFINITY;
    int exponent;
    frexp(want, &exponent);
    if (exponent < -125)
        exponent = -125;
    return fabs((double)got - want) / ldexp(1, exponent - 24);
}

typedef struct sweep {
    const char *name;
    void (*loop)(const float *, float *);
    double (*reference)(double);
    double limit;
    bool cancels; /* it has zeros where parts of it cancel: there in units of the last place of 1 */
} sweep;

static void test_ulp(void **state)
{
    (void)state;
    static const sweep sweeps[] = {
        {"exp", exp_loop, exp, MAX_ULP, false},        {"log", log_loop, log, MAX_ULP, false},
        {"sin", sin_loop, sin, MAX_ULP, false},        {"cos", cos_loop, cos, MAX_ULP, false},
        {"tanh", tanh_loop, tanh, MAX_ULP, false},     {"erf", erf_loop, erf, MAX_ULP, false},
        {"sqrt", sqrt_loop, sqrt_f64, MAX_ULP, false}, {"sigmoid", sigmoid_loop, sigmoid_f64, MAX_ULP, false},
        {"gelu", gelu_loop, gelu_f64, MAX_ULP, false}, {"exp2", exp2_loop, exp2, MAX_ULP, false},
        {"expm1", expm1_loop, expm1, MAX_ULP, false},  {"log2", log2_loop, log2, MAX_ULP, false},
        {"log10", log10_loop, log10, MAX_ULP, false},  {"log1p", log1p_loop, log1p, MAX_ULP, false},
        {"cbrt", cbrt_loop, cbrt, MAX_ULP, false},     {"tan", tan_loop, tan, MAX_ULP, false},
        {"asin", asin_loop, asin, MAX_ULP, false},     {"acos", acos_loop, acos, MAX_ULP, false},
        {"atan", atan_loop, atan, MAX_ULP, false},     {"sinh", sinh_loop, sinh, MAX_ULP, false},
        {"cosh", cosh_loop, cosh, MAX_ULP, false},     {"asinh", asinh_loop, asinh, MAX_ULP, false},
        {"acosh", acosh_loop, acosh, MAX_ULP, false},  {"atanh", atanh_loop, atanh, MAX_ULP, false},
        {"erfc", erfc_loop, erfc, MAX_ULP, false},     {"erfinv", erfinv_loop, f64_erfinv, MAX_ULP, false},
        {"floor", floor_loop, floor, MAX_ULP, false},  {"round", round_loop, rint, MAX_ULP, false},
        {"lgamma", lgamma_loop, lgamma, 8, true},      {"digamma", digamma_loop, f64_digamma, 32, true},
    };
    /* 3.1 million floats by an odd stride, once around */
    const int blocks = support_rounds(3072);
    const uint32_t stride = UINT32_MAX / (uint32_t)(blocks * BLOCK) | 1;
    for (size_t s = 0; s < sizeof sweeps / sizeof sweeps[0]; s++) {
        double worst = 0;
        float where = 0, x[BLOCK], y[BLOCK];
        uint32_t bits = 0x123;
        for (int block = 0; block < blocks; block++) {
            for (int i = 0; i < BLOCK; i++, bits += stride)
                x[i] = f32_from_bits(bits);
            sweeps[s].loop(x, y);
            for (int i = 0; i < BLOCK; i++) {
                double want = sweeps[s].reference(x[i]), error = ulp_error(y[i], want);
                if (sweeps[s].cancels && fabs(want) < 1 && isfinite(y[i]))
                    error = fabs((double)y[i] - want) / FLT_EPSILON;
                if (!(error <= worst)) {
                    worst = error;
                    where = x[i];
                }
            }
        }
        print_message("%-8s %.2f ULP at %.9g\n", sweeps[s].name, worst, (double)where);
        assert_true(worst <= sweeps[s].limit);
    }
}

/* Pairs: random bits for both, then bases and exponents whose power is a finite float, then bases near 1. */
static void test_pow_ulp(void **state)
{
    (void)state;
    double worst = 0;
    float where[2] = {0, 0}, x[BLOCK], y[BLOCK], z[BLOCK];
    uint64_t random = 88172645463325252u;
    for (int block = 0; block < support_rounds(3000); block++) {
        for (int i = 0; i < BLOCK; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            x[i] = f32_from_bits((uint32_t)random);
            y[i] = f32_from_bits((uint32_t)(random >> 32));
            if (block % 3 == 1) {
                x[i] = fabsf(x[i]);
                y[i] = (float)(300.0 * ((double)(random >> 40) / (1 << 24) - 0.5) / fmax(fabs(log2(x[i])), 1e-6));
            } else if (block % 3 == 2) {
                x[i] = 1.0f + (float)((int)(random & 0xffff) - 0x8000) * 1.1920929e-7f;
                y[i] = (float)((double)(random >> 40) * 0.01);
            }
        }
        pow_loop(x, y, z);
        for (int i = 0; i < BLOCK; i++) {
            double error = ulp_error(z[i], pow(x[i], y[i]));
            if (!(error <= worst)) {
                worst = error;
                where[0] = x[i];
                where[1] = y[i];
            }
        }
    }
    print_message("pow      %.2f ULP at %.9g ** %.9g\n", worst, (double)where[0], (double)where[1]);
    assert_true(worst <= MAX_ULP);
}

static void same(double got, double want)
{
    if (isnan(want) ? !isnan(got) : !(got == want && !signbit(got) == !signbit(want)))
        fail_msg("got %.9g, want %.9g", got, want);
}

static void test_special_values(void **state)
{
    (void)state;
    const float inf = INFINITY, nan = NAN;
    same(f32_exp(-inf), 0), same(f32_exp(inf), inf), same(f32_exp(nan), nan), same(f32_exp(0), 1),
        same(f32_exp(89), inf);
    same(f32_exp(-103.9f), 1.40129846e-45f), same(f32_exp(-105), 0);
    same(f32_log(0), -inf), same(f32_log(-0.0f), -inf), same(f32_log(-1), nan), same(f32_log(inf), inf);
    same(f32_log(nan), nan), same(f32_log(1), 0), same(f32_log(-inf), nan);
    same(f32_sin(inf), nan), same(f32_cos(-inf), nan), same(f32_sin(nan), nan), same(f32_sin(-0.0f), -0.0f);
    same(f32_sin(0), 0), same(f32_cos(0), 1), same(f32_sin(1e-40f), 1e-40f);
    same(f32_tanh(inf), 1), same(f32_tanh(-inf), -1), same(f32_tanh(-0.0f), -0.0f), same(f32_tanh(nan), nan);
    same(f32_erf(inf), 1), same(f32_erf(-inf), -1), same(f32_erf(-0.0f), -0.0f), same(f32_erf(nan), nan);
    same(f32_sigmoid(inf), 1), same(f32_sigmoid(-inf), 0), same(f32_sigmoid(0), 0.5), same(f32_sigmoid(nan), nan);
    same(f64_sigmoid(-inf), 0), same(f64_sigmoid(inf), 1), same(f64_sigmoid(nan), nan);
    same(f32_gelu(inf), inf), same(f32_gelu(-inf), -0.0f), same(f32_gelu(nan), nan), same(f32_gelu(-14.5f), -0.0f);
    same(f32_gelu(0), 0), same(f32_gelu(-0.0f), -0.0f), same(f32_gelu(3e38f), 3e38f),
        same(f32_gelu(0x1p-140f), 0x1p-141f);
    same(f64_gelu(inf), inf), same(f64_gelu(-inf), -0.0), same(f64_gelu(nan), nan);
    same(f64_gelu(-0.0), -0.0), same(f64_gelu(0), 0), same(f64_gelu(-40), -0.0);
    same(f32_sqrt(-1), nan), same(f32_sqrt(-0.0f), -0.0f), same(f32_abs(-0.0f), 0), same(f32_abs(-inf), inf);
    same(f32_sign(-3), -1), same(f32_sign(2), 1), same(f32_sign(0), 0), same(f32_sign(nan), nan);
    same(f64_sign(-3), -1), same(f64_sign(nan), nan), same(f64_abs(-2), 2);
    assert_int_equal(i32_abs(-5), 5);
    assert_int_equal(i32_abs(INT32_MIN), INT32_MIN);
    assert_int_equal(i32_sign(-5), -1);
    assert_int_equal(u8_sign(200), 1);
    assert_int_equal(u8_abs(200), 200);
}

/* x Phi(x) computed with 40 decimal digits: libm's erfc is no judge of what is made of it. */
static void test_gelu_f64(void **state)
{
    (void)state;
    static const double cases[][2] = {{-37.25, -1.9734635705229076e-302}, {-30.5, -3.9739606351931329e-203},
                                      {-20.3, -1.3051366269427644e-90},   {-12.7, -3.7547364133621034e-36},
                                      {-8.1, -2.2258471078425650e-15},    {-5.25, -3.9926042711565750e-07},
                                      {-3.3, -1.5952996698664657e-03},    {-1.7, -7.5761286689523172e-02},
                                      {-0.75, -1.6997051428265115e-01},   {-0.1, -4.6017216272297104e-02},
                                      {-1e-10, -4.9999999996010579e-11},  {1e-300, 5.0000000000000001e-301},
                                      {0.3, 1.8537342665668578e-01},      {1.9, 1.8454385363495965e+00},
                                      {6.1, 6.0999999967649115e+00},      {9, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = f64_gelu(cases[i][0]), want = cases[i][1];
        if (!(fabs(got - want) <= 4 * DBL_EPSILON * fabs(want)))
            fail_msg("gelu(%.17g): got %.17g, want %.17g", cases[i][0], got, want);
    }
}

/* The same of derivatives of the gamma function's logarithm, below 0 for orders up to 7. */
static void test_polygamma_f64(void **state)
{
    (void)state;
    static const double cases[][3] = {
        {1, -0.5, 8.9348022005446793},    {1, -3.3, 14.817739525515929},     {2, -0.5, -0.82879664423432},
        {2, -0.3, 67.63908119988316},     {2, -7.9, -1998.6737828651746},    {3, -1.1, 60013.837094825754},
        {3, -20.625, 345.72476823359081}, {4, -0.125, 786384.00707585036},   {4, -3.5, -0.022300753478290833},
        {4, -9.7, -9738.7608517725917},   {5, -0.75, 492226.75245080886},    {5, -2.0001, 1.1999999999848058e+26},
        {6, -1.4, 413773.42951607589},    {6, -5.5, -0.0024537507916641974}, {6, -100.25, 11791224.761240596},
        {7, -1.1, 504000014090.20004},    {3, 2.5, 0.22390584881725205},     {9, 0.5, 371595452.38509743}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got = f64_polygamma(cases[i][0], cases[i][1]), want = cases[i][2];
        if (!(fabs(got - want) <= 64 * DBL_EPSILON * fabs(want)))
            fail_msg("polygamma(%g, %.17g): got %.17g, want %.17g", cases[i][0], cases[i][1], got, want);
    }
    same(f64_polygamma(8, -0.5), NAN), same(f64_polygamma(1, -INFINITY), INFINITY);
    same(f64_polygamma(3, -2), INFINITY), same(f64_polygamma(4, -2), -INFINITY);
}

/* f32 against f64, in units of the last place of the larger one of the result and what is reflected, which may cancel.
 */
static void test_polygamma_ulp(void **state)
{
    (void)state;
    double worst = 0;
    float where[2] = {0, 0};
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < support_rounds(300000); i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const float n = (float)(1 + i % 7), x = (float)(random >> 40) * (40.0f / (1 << 24)) - 20;
        const double want = f64_polygamma(n, x), other = x < 0 ? f64_polygamma(n, 1 - (double)x) : 0;
        const double most = fmax(fabs(want), fabs(other)), error = fabs((double)f32_polygamma(n, x) - want) / most;
        if (isfinite(want) && most < 1e30 && !(error / FLT_EPSILON <= worst)) {
            worst = error / FLT_EPSILON;
            where[0] = n;
            where[1] = x;
        }
    }
    print_message("polygamma %.2f ULP at %g, %.9g\n", worst, (double)where[0], (double)where[1]);
    assert_true(worst <= 32);
}

static double f64_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Remainders are exact: of any two numbers, of some of similar size, of some with a bit or two, of subnormal ones. */
static void test_fmod_f64(void **state)
{
    (void)state;
    static const double special[] = {0,   -0.0,     1,         -1,     3,         5e-324,  -5e-324, 1.5e-323, 0x1p-1022,
                                     NAN, INFINITY, -INFINITY, 0x1p52, 0x1.8p105, DBL_MAX, 0.1,     1e300,    0x1p1023};
    enum { SPECIAL = sizeof special / sizeof *special };
    for (int i = 0; i < SPECIAL * SPECIAL; i++)
        same(f64_fmod(special[i / SPECIAL], special[i % SPECIAL]), fmod(special[i / SPECIAL], special[i % SPECIAL]));
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < support_rounds(200000); i++) {
        uint64_t word[2];
        for (int k = 0; k < 2; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            word[k] = random;
        }
        if (i % 4 == 1) /* quotients up to 2^63 */
            word[1] = (word[1] & ~(UINT64_C(0x7ff) << 52)) | ((word[0] & UINT64_C(0x7c0) << 52) + (word[1] >> 12));
        if (i % 4 == 2) /* often multiples of each other */
            word[0] &= UINT64_C(0xfff8) << 48, word[1] &= UINT64_C(0xfff8) << 48;
        if (i % 4 == 3)
            word[1] &= UINT64_MAX >> (12 + word[0] % 40);
        same(f64_fmod(f64_from_bits(word[0]), f64_from_bits(word[1])),
             fmod(f64_from_bits(word[0]), f64_from_bits(word[1])));
    }
}

/* C's pow has NumPy's special cases: compare on all pairs of awkward numbers. */
static void test_pow_special_values(void **state)
{
    (void)state;
    static const float values[] = {0,     -0.0f,  1,        -1,       2,     -2,         3,
                                   -3,    0.5f,   -0.5f,    2.5f,     -2.5f, INFINITY,   -INFINITY,
                                   NAN,   1e-40f, 16777215, 16777216, 1e10f, -1e10f,     16777214,
                                   3e38f, -3e38f, 1e-38f,   8388607,  -7,    0.99999994f};
    int count = sizeof values / sizeof values[0];
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            float got = f32_pow(values[i], values[j]);
            double want = pow(values[i], values[j]);
            if (!(ulp_error(got, want) <= MAX_ULP))
                fail_msg("%.9g ** %.9g: got %.9g, want %.9g", (double)values[i], (double)values[j], (double)got, want);
        }
}

static void test_conversions(void **state)
{
    (void)state;
    assert_int_equal(i32_from_f32(-2.9f), -2);
    assert_int_equal(i32_from_f32(1e10f), INT32_MAX);
    assert_int_equal(i32_from_f32(-1e10f), INT32_MIN);
    assert_int_equal(i32_from_f32(2147483648.0f), INT32_MAX);
    assert_int_equal(i32_from_f32(-2147483648.0f), INT32_MIN);
    assert_int_equal(i32_from_f32(INFINITY), INT32_MAX);
    assert_int_equal(i32_from_f32(NAN), 0);
    assert_int_equal(i32_from_f64(2147483647.9), INT32_MAX);
    assert_int_equal(i32_from_f64(-2147483648.9), INT32_MIN);
    assert_int_equal(i32_from_f64(NAN), 0);
    assert_int_equal(i32_from_u8(255), 255);
    assert_int_equal(u8_from_f32(255.9f), 255);
    assert_int_equal(u8_from_f32(1e30f), 255);
    assert_int_equal(u8_from_f32(-0.5f), 0);
    assert_int_equal(u8_from_f32(-1e30f), 0);
    assert_int_equal(u8_from_f32(NAN), 0);
    assert_int_equal(u8_from_f64(NAN), 0);
    assert_int_equal(u8_from_f64(77.7), 77);
    assert_int_equal(u8_from_f64(INFINITY), 255);
    assert_int_equal(u8_from_i32(-1), 255);
    assert_int_equal(u8_from_i32(0x1234), 0x34);
    same(f32_from_f64(1e300), INFINITY);
    same(f32_from_i32(-16777217), -16777216);
    same(f64_from_i32(INT32_MIN), -2147483648.0);
    same(f64_from_f32(0.1f), 0.1f);
}

static void test_choices(void **state)
{
    (void)state;
    float a = 2, b = NAN;
    same(SEL(f32, (a > b) | (a != a), a, b), NAN);
    same(SEL(f32, a < 0, 0, a), 2);
    same(SEL(f64, COND(f64, 0), 3, 4), 4);
    assert_int_equal(BOOL(f32, a == 2), 1);
    assert_int_equal(BOOL(i32, a > b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ulp),
                                       cmocka_unit_test(test_pow_ulp),
                                       cmocka_unit_test(test_special_values),
                                       cmocka_unit_test(test_gelu_f64),
                                       cmocka_unit_test(test_polygamma_f64),
                                       cmocka_unit_test(test_polygamma_ulp),
                                       cmocka_unit_test(test_fmod_f64),
                                       cmocka_unit_test(test_pow_special_values),
                                       cmocka_unit_test(test_conversions),
                                       cmocka_unit_test(test_choices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
