/* Element functions shared by the two paths, in the common subset of C11 and OpenCL C: the same polynomials
 * give the same values, within ULPs, on every backend.
 *
 * A template without an include guard. Before each inclusion (C) or copy of the text (OpenCL) define
 *
 *     MATH_DTYPE   0 f32, 1 f64, 2 i32, 3 u8, 4 i64, 5 b8, 6 f16, 7 bf16 (the values of clg_dtype)
 *     MATH_WIDTH   1; in OpenCL also 4, 8, 16
 *
 * which gives the functions of one suffix S: f32, f64, i32, u8, ... at width 1, f32x16, u8x4, ... at others. Both
 * macros are undefined again at the end. No inclusion needs another one before it. Defined for each suffix:
 *
 *     S_t                  the element type, as typedef: f32_t is float, f32x16_t is float16
 *     FN(S, f)             the function f of suffix S. f32, f64: exp log sin cos tanh erf gelu sigmoid sqrt abs
 *                          sign; i32, i64, u8: abs sign. All others are in math_special.h, of which a program of OpenCL
 * gets a copy only if it names one SEL(S, cond, x, y)   x where cond, else y. cond: what comparing two S_t gives; x, y:
 * S_t, or scalar constants BOOL(S, comparison)  the comparison as b8 of the same width, 0 or 1 COND(S, b8) nonzero
 * values of a b8 of the same width as a comparison result FN(S, from_D)(x)     conversion from dtype D (f32, f64, i32,
 * u8, i64, b8; for f32 f16 and bf16) of the same width, D == S included
 *
 * b8, f16 and bf16 are stored, not computed with: they have S_t, SEL and, f16 and bf16, from_f32.
 *
 * S itself is not defined outside: expressions of ops.def name it, so define it (or substitute it) there. OpenCL:
 * f64 and the conversions from it exist where cl_khr_fp64 is defined. Vectors of width 1 are scalars.
 *
 * The f32 functions are branch-free, need neither fused multiply-add nor its absence, and stay within 4 ULP of
 * the true value for all arguments (tests/test_math.c measures them). */

#ifndef FN
#define FN(s, f) FN_(s, f)
#define FN_(s, f) s##_##f
#define SEL(s, cond, x, y) FN(s, select)((cond), (FN(s, t))(x), (FN(s, t))(y))
#define BOOL(s, comparison) FN(s, bool)(comparison)
#define COND(s, u8) FN(s, cond)(u8)
#define MATH_JOIN(a, b) MATH_JOIN_(a, b)
#define MATH_JOIN_(a, b) a##b
#define MATH_FN static inline __attribute__((unused))
#ifdef __OPENCL_C_VERSION__
/* Both paths round at the same places: fused multiply-adds where they are written, and nowhere else. */
#pragma OPENCL FP_CONTRACT OFF
#define MATH_ABS(x) fabs(x)
#define MATH_FMA(a, b, c) fma(a, b, c)
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define MATH_HAS_F64
#endif
#ifndef INT32_MIN
#define INT32_MIN INT_MIN
#define INT32_MAX INT_MAX
#define INT64_MIN LONG_MIN
#define INT64_MAX LONG_MAX
#endif
#else
#include <limits.h>
#include <math.h>
#include <stdint.h>
#define MATH_C_float float
#define MATH_C_double double
#define MATH_C_int int32_t
#define MATH_C_long int64_t
#define MATH_C_uchar uint8_t
#define MATH_C_ushort uint16_t
#define MATH_HAS_F64
#define MATH_ABS(x) __builtin_fabsf(x)
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
#define MATH_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MATH_FMA(a, b, c) ((a) * (b) + (c))
#endif
#endif
#endif

#ifndef MATH_DTYPE
#define MATH_DTYPE 0
#endif
#ifndef MATH_WIDTH
#define MATH_WIDTH 1
#endif

/* ---------------------------------------------------------------- types of this inclusion
 *
 * MATH_T element, MATH_C comparison result, MATH_I and MATH_U integers of the f32's shape (of i64: of its own),
 * MATH_B b8 of the shape.
 * MATH_IF chooses between values of type MATH_T, MATH_IFU of type MATH_U; MATH_ANY: whether a lane's condition holds.
 */

#if MATH_DTYPE == 0
#define MATH_NAME f32
#define MATH_BASE float
#define MATH_CBASE int
#elif MATH_DTYPE == 1
#define MATH_NAME f64
#define MATH_BASE double
#define MATH_CBASE long
#elif MATH_DTYPE == 2
#define MATH_NAME i32
#define MATH_BASE int
#define MATH_CBASE int
#elif MATH_DTYPE == 3
#define MATH_NAME u8
#define MATH_BASE uchar
#define MATH_CBASE char
#elif MATH_DTYPE == 4
#define MATH_NAME i64
#define MATH_BASE long
#define MATH_CBASE long
#elif MATH_DTYPE == 5
#define MATH_NAME b8
#define MATH_BASE uchar
#define MATH_CBASE char
#elif MATH_DTYPE == 6
#define MATH_NAME f16
#define MATH_BASE ushort
#define MATH_CBASE short
#else
#define MATH_NAME bf16
#define MATH_BASE ushort
#define MATH_CBASE short
#endif

#if MATH_WIDTH == 1
#define S MATH_NAME
#define MATH_SHAPE(type) type
#define MATH_C int
#else
#define S MATH_JOIN(MATH_NAME, MATH_JOIN(x, MATH_WIDTH))
#define MATH_SHAPE(type) MATH_JOIN(type, MATH_WIDTH)
#define MATH_C MATH_SHAPE(MATH_CBASE)
#endif

#ifdef __OPENCL_C_VERSION__
#define MATH_FROM(type) MATH_SHAPE(type)
#define MATH_T MATH_SHAPE(MATH_BASE)
#if MATH_DTYPE == 4
#define MATH_I MATH_SHAPE(long)
#define MATH_U MATH_SHAPE(ulong)
#else
#define MATH_I MATH_SHAPE(int)
#define MATH_U MATH_SHAPE(uint)
#endif
#define MATH_B MATH_SHAPE(uchar)
#define MATH_BITS(x) MATH_JOIN(as_, MATH_U)(x)
#define MATH_FLOAT(bits) MATH_JOIN(as_, MATH_T)(bits)
#define MATH_SIGNED(u) MATH_JOIN(as_, MATH_I)(u)
#define MATH_UNSIGNED(i) MATH_JOIN(as_, MATH_U)(i)
#define MATH_REAL(i) MATH_JOIN(convert_, MATH_T)(i)
#define MATH_INT(x) MATH_JOIN(convert_, MATH_I)(x)
#define MATH_MULHI(a, b) mul_hi(a, b)
#else
#define MATH_FROM(type) MATH_JOIN(MATH_C_, type)
#define MATH_T MATH_FROM(MATH_BASE)
#if MATH_DTYPE == 4
#define MATH_I int64_t
#define MATH_U uint64_t
#else
#define MATH_I int32_t
#define MATH_U uint32_t
#endif
#define MATH_B uint8_t
#define MATH_BITS(x) f32_bits(x)
#define MATH_FLOAT(bits) f32_from_bits(bits)
#define MATH_SIGNED(u) ((MATH_I)(u))
#define MATH_UNSIGNED(i) ((MATH_U)(i))
#define MATH_REAL(i) ((MATH_T)(i))
#define MATH_INT(x) ((int32_t)(x))
#define MATH_MULHI(a, b) ((uint32_t)(((uint64_t)(a) * (b)) >> 32))
#endif

#if MATH_WIDTH == 1
#define MATH_IF(cond, x, y) ((cond) ? (MATH_T)(x) : (MATH_T)(y))
#define MATH_IFU(cond, x, y) ((cond) ? (MATH_U)(x) : (MATH_U)(y))
#define MATH_ANY(cond) (cond)
#else
#define MATH_IF(cond, x, y) select((MATH_T)(y), (MATH_T)(x), (cond))
#define MATH_IFU(cond, x, y) select((MATH_U)(y), (MATH_U)(x), (cond))
#define MATH_ANY(cond) any(cond)
#endif

#if MATH_DTYPE != 1 || defined(MATH_HAS_F64)
typedef MATH_T FN(S, t);

MATH_FN MATH_T FN(S, select)(MATH_C cond, MATH_T x, MATH_T y) { return MATH_IF(cond, x, y); }

#if MATH_WIDTH == 1
MATH_FN MATH_B FN(S, bool)(MATH_C comparison) { return (MATH_B)(comparison != 0); }
MATH_FN MATH_C FN(S, cond)(MATH_B u) { return u != 0; }
#else /* a comparison of vectors gives 0 and -1 */
MATH_FN MATH_B FN(S, bool)(MATH_C comparison) { return MATH_JOIN(convert_, MATH_B)(comparison & (MATH_C)(1)); }
MATH_FN MATH_C FN(S, cond)(MATH_B u) { return MATH_JOIN(convert_, MATH_C)(u) != (MATH_C)(0); }
#endif
#endif

/* ---------------------------------------------------------------- f32 */
#if MATH_DTYPE == 0

#ifndef __OPENCL_C_VERSION__
MATH_FN uint32_t f32_bits(float x)
{
    union {
        float f;
        uint32_t u;
    } pun = {.f = x};
    return pun.u;
}
MATH_FN float f32_from_bits(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } pun = {.u = bits};
    return pun.f;
}
#endif

/* p 2^n for -252 <= n <= 254, in two factors so that a subnormal result is rounded once. */
MATH_FN MATH_T FN(S, scale)(MATH_T p, MATH_I n)
{
    MATH_I half_n = n >> 1;
    MATH_T low = MATH_FLOAT(0x3f800000u + (MATH_UNSIGNED(half_n) << 23));
    MATH_T high = MATH_FLOAT(0x3f800000u + (MATH_UNSIGNED(n - half_n) << 23));
    return p * low * high;
}

/* exp(r) - 1 for |r| <= ln(2)/2 */
MATH_FN MATH_T FN(S, expm1_near_0)(MATH_T r)
{
    MATH_T p = (MATH_T)(0.00138142239f);
    p = MATH_FMA(p, r, (MATH_T)(0.00836889818f));
    p = MATH_FMA(p, r, (MATH_T)(0.0416684039f));
    p = MATH_FMA(p, r, (MATH_T)(0.166665196f));
    p = MATH_FMA(p, r, (MATH_T)(0.49999994f));
    return MATH_FMA(r * r, p, r);
}

/* x = n ln 2 + r, n = rint(x / ln 2); near_x is x or close to it. ln 2 in two parts, so that n times the first is
 * exact. n as an integer comes out of adding 1.5 2^23, without a conversion that NaN would break. */
MATH_FN MATH_T FN(S, exp_reduce)(MATH_T x, MATH_T near_x, MATH_I *n)
{
    MATH_T shifted = MATH_FMA(near_x, (MATH_T)(1.44269504f), (MATH_T)(12582912.0f));
    MATH_T k = shifted - 12582912.0f;
    *n = MATH_SIGNED(MATH_BITS(shifted) - 0x4b400000u);
    return MATH_FMA(k, (MATH_T)(2.12194440e-4f), MATH_FMA(k, (MATH_T)(-0.693359375f), x));
}

/* exp(x) = 2^n exp(r) */
MATH_FN MATH_T FN(S, exp)(MATH_T x)
{
    MATH_T t = MATH_IF(x > 89.0f, 89.0f, x);
    t = MATH_IF(t < -104.0f, -104.0f, t);
    MATH_I n;
    MATH_T r = FN(S, exp_reduce)(t, t, &n);
    return FN(S, scale)(FN(S, expm1_near_0)(r) + 1.0f, n);
}

/* The same for x <= 0: one bound, and one factor that depends on n, 2^(n + 64), which is a normal number. */
MATH_FN MATH_T FN(S, exp_down)(MATH_T x)
{
    MATH_T t = MATH_IF(x < -104.0f, -104.0f, x);
    MATH_I n;
    MATH_T r = FN(S, exp_reduce)(t, t, &n);
    MATH_T power = MATH_FLOAT(0x5f800000u + (MATH_UNSIGNED(n) << 23));
    return (FN(S, expm1_near_0)(r) + 1.0f) * power * 5.42101086e-20f;
}

/* x = m 2^k with sqrt(1/2) <= m < sqrt(2), for x > 0; scaled says that x was subnormal and is multiplied by 2^23. */
MATH_FN MATH_T FN(S, split)(MATH_T x, MATH_T *k)
{
    MATH_C subnormal = x < 1.17549435e-38f;
    MATH_U bits = MATH_BITS(MATH_IF(subnormal, x * 8388608.0f, x));
    MATH_I n = MATH_SIGNED(bits - 0x3f3504f3u) >> 23;
    *k = MATH_REAL(n) + MATH_IF(subnormal, -23.0f, 0.0f);
    return MATH_FLOAT(bits - (MATH_UNSIGNED(n) << 23));
}

/* log(x) = k ln 2 + log(1 + f) */
MATH_FN MATH_T FN(S, log)(MATH_T x)
{
    MATH_T k;
    MATH_T f = FN(S, split)(x, &k) - 1.0f;
    MATH_T z = f * f;
    MATH_T p = (MATH_T)(0.0693728626f);
    p = MATH_FMA(p, f, (MATH_T)(-0.118467301f));
    p = MATH_FMA(p, f, (MATH_T)(0.118887983f));
    p = MATH_FMA(p, f, (MATH_T)(-0.123774879f));
    p = MATH_FMA(p, f, (MATH_T)(0.142171174f));
    p = MATH_FMA(p, f, (MATH_T)(-0.166694835f));
    p = MATH_FMA(p, f, (MATH_T)(0.200021878f));
    p = MATH_FMA(p, f, (MATH_T)(-0.249999836f));
    p = MATH_FMA(p, f, (MATH_T)(0.333333135f));
    p = p * f * z;
    p = MATH_FMA(k, (MATH_T)(-2.12194440e-4f), p);
    p = MATH_FMA(z, (MATH_T)(-0.5f), p);
    p = MATH_FMA(k, (MATH_T)(0.693359375f), f + p);
    p = MATH_IF(x == INFINITY, x, p);
    p = MATH_IF(x == 0.0f, -INFINITY, p);
    return MATH_IF((x < 0.0f) | (x != x), NAN, p);
}

/* The first 12 bits of x: products of two heads are exact. */
MATH_FN MATH_T FN(S, head)(MATH_T x) { return MATH_FLOAT(MATH_BITS(x) & 0xfffff000u); }

/* |x| = q pi/2 + r with |r| <= pi/4 (q mod 4), exactly for every finite x: Payne and Hanek 1983. The 24 bits of x
 * times the 96 bits of 2/pi that matter at x's exponent, modulo whole turns, in 64-bit fixed point. */
MATH_FN MATH_T FN(S, quadrant)(MATH_T x, MATH_U *q)
{
    MATH_U bits = MATH_BITS(x) & 0x7fffffffu;
    MATH_U mantissa = (bits & 0x007fffffu) | 0x00800000u;
    MATH_U place = (bits >> 23) - 120u; /* of the first bit, in words 0, 2/pi; wraps for |x| < pi/4, not used then */
    /* words place/32 ... place/32 + 3, without a table look-up: halve the distance three times */
    MATH_C skip = (place & 128u) != 0u;
    MATH_U w0 = MATH_IFU(skip, 0xf534ddc0u, 0u), w1 = MATH_IFU(skip, 0xdb629599u, 0xa2f9836eu);
    MATH_U w2 = MATH_IFU(skip, 0x3c439041u, 0x4e441529u), w3 = MATH_IFU(skip, 0xfe5163abu, 0xfc2757d1u);
    skip = (place & 64u) != 0u;
    w0 = MATH_IFU(skip, w2, w0);
    w1 = MATH_IFU(skip, w3, w1);
    w2 = MATH_IFU(skip, 0xf534ddc0u, w2);
    w3 = MATH_IFU(skip, 0xdb629599u, w3);
    skip = (place & 32u) != 0u;
    MATH_U w4 = MATH_IFU((place & 64u) != 0u, 0x3c439041u, 0xf534ddc0u);
    w0 = MATH_IFU(skip, w1, w0);
    w1 = MATH_IFU(skip, w2, w1);
    w2 = MATH_IFU(skip, w3, w2);
    w3 = MATH_IFU(skip, w4, w3);
    MATH_U left = place & 31u, right = 31u - left;
    w0 = (w0 << left) | ((w1 >> 1) >> right);
    w1 = (w1 << left) | ((w2 >> 1) >> right);
    w2 = (w2 << left) | ((w3 >> 1) >> right);
    /* turns, modulo 1: high 2^-32 + low 2^-64 */
    MATH_U middle = mantissa * w1;
    MATH_U low = middle + MATH_MULHI(mantissa, w2);
    MATH_U high = mantissa * w0 + MATH_MULHI(mantissa, w1) + MATH_IFU(low < middle, 1u, 0u);
    MATH_U quarter = (high + 0x20000000u) >> 30;
    MATH_I turn = MATH_SIGNED(high - (quarter << 30));
    /* to radians: turn = a + rest, a with 24 bits */
    MATH_T a = MATH_REAL(turn);
    MATH_T rest = MATH_REAL(turn - MATH_INT(a)) + MATH_REAL(MATH_SIGNED(low >> 8)) * 5.96046448e-8f;
    /* pi/2 2^-30 = 1.46246748e-9 + 4.50598814e-13, the first of 12 bits as the head of a: their product is exact */
    MATH_T head = FN(S, head)(a);
    MATH_T r =
        MATH_FMA(head, (MATH_T)(4.50598814e-13f), MATH_FMA(a - head, (MATH_T)(1.46291807e-9f), rest * 1.46291807e-9f));
    r = MATH_FMA(head, (MATH_T)(1.46246748e-9f), r);
    MATH_C small = MATH_FLOAT(bits) < 0.785398f;
    *q = MATH_IFU(small, 0u, quarter);
    return MATH_IF(small, MATH_FLOAT(bits), r);
}

/* sin(r) and cos(r) for |r| <= pi/4 */
MATH_FN MATH_T FN(S, sin_near_0)(MATH_T r)
{
    MATH_T z = r * r;
    MATH_T s = MATH_FMA((MATH_T)(2.71731142e-06f), z, (MATH_T)(-0.000198392576f));
    s = MATH_FMA(s, z, (MATH_T)(0.00833332911f));
    s = MATH_FMA(s, z, (MATH_T)(-0.166666672f));
    return MATH_FMA(s * z, r, r);
}

MATH_FN MATH_T FN(S, cos_near_0)(MATH_T r)
{
    MATH_T z = r * r;
    MATH_T c = MATH_FMA((MATH_T)(2.44635012e-05f), z, (MATH_T)(-0.00138876517f));
    c = MATH_FMA(c, z, (MATH_T)(0.041666653f));
    return MATH_FMA(z, (MATH_T)(-0.5f), c * z * z) + 1.0f;
}

/* sin(r + q pi/2) with sign (a sign bit) applied; NaN where x is not finite */
MATH_FN MATH_T FN(S, sine_of)(MATH_T x, MATH_T r, MATH_U q, MATH_U sign)
{
    MATH_T y = MATH_IF((q & 1u) != 0u, FN(S, cos_near_0)(r), FN(S, sin_near_0)(r));
    y = MATH_FLOAT(MATH_BITS(y) ^ sign ^ ((q & 2u) << 30));
    return MATH_IF(MATH_ABS(x) < INFINITY, y, NAN);
}

MATH_FN MATH_T FN(S, sin)(MATH_T x)
{
    MATH_U q;
    MATH_T r = FN(S, quadrant)(x, &q);
    return FN(S, sine_of)(x, r, q, MATH_BITS(x) & 0x80000000u);
}

MATH_FN MATH_T FN(S, cos)(MATH_T x)
{
    MATH_U q;
    MATH_T r = FN(S, quadrant)(x, &q);
    return FN(S, sine_of)(x, r, q + 1u, (MATH_U)(0u));
}

/* |y| with the sign of x, whatever sign a driver's arithmetic gave y: some say -0 where +0 was meant. */
MATH_FN MATH_T FN(S, copysign)(MATH_T y, MATH_T x)
{
    return MATH_FLOAT((MATH_BITS(y) & 0x7fffffffu) | (MATH_BITS(x) & 0x80000000u));
}

/* Near 0 an odd polynomial, else 1 - 2 / (exp(2|x|) + 1). */
MATH_FN MATH_T FN(S, tanh)(MATH_T x)
{
    MATH_T a = MATH_ABS(x), z = x * x, p = (MATH_T)(-0.00566478353f);
    p = MATH_FMA(p, z, (MATH_T)(0.0206160042f));
    p = MATH_FMA(p, z, (MATH_T)(-0.0537386276f));
    p = MATH_FMA(p, z, (MATH_T)(0.133315414f));
    p = MATH_FMA(p, z, (MATH_T)(-0.333332926f));
    p = MATH_FMA(p * z, a, a);
    p = MATH_IF(a < 0.625f, p, 1.0f - 2.0f / (FN(S, exp)(2.0f * a) + 1.0f));
    return FN(S, copysign)(p, x);
}

/* Near 0 an odd polynomial, else 1 - exp(-P(|x|)), where P fits -log(erfc). */
MATH_FN MATH_T FN(S, erf)(MATH_T x)
{
    MATH_T z = x * x, p = (MATH_T)(7.88908364e-05f);
    p = MATH_FMA(p, z, (MATH_T)(-0.000802080205f));
    p = MATH_FMA(p, z, (MATH_T)(0.00518952683f));
    p = MATH_FMA(p, z, (MATH_T)(-0.0268544368f));
    p = MATH_FMA(p, z, (MATH_T)(0.112835996f));
    p = MATH_FMA(p, z, (MATH_T)(-0.37612626f));
    p = MATH_FMA(p, z, (MATH_T)(0.128379167f)) * x + x;
    MATH_T t = MATH_ABS(x);
    t = MATH_IF(t > 4.0f, 4.0f, t);
    MATH_T e = (MATH_T)(1.56624483e-05f);
    e = MATH_FMA(e, t, (MATH_T)(-0.000357215264f));
    e = MATH_FMA(e, t, (MATH_T)(0.00371432863f));
    e = MATH_FMA(e, t, (MATH_T)(-0.0236651916f));
    e = MATH_FMA(e, t, (MATH_T)(0.105589278f));
    e = MATH_FMA(e, t, (MATH_T)(0.636239231f));
    e = MATH_FMA(e, t, (MATH_T)(1.12784231f));
    e = MATH_FMA(e, t, (MATH_T)(0.000227066077f));
    return FN(S, copysign)(MATH_IF(MATH_ABS(x) < 1.0f, p, 1.0f - FN(S, exp)(-e)), x);
}

/* 1 / (1 + exp(-x)), written so that nothing overflows and small results keep their digits */
MATH_FN MATH_T FN(S, sigmoid)(MATH_T x)
{
    MATH_T e = FN(S, exp_down)(-MATH_ABS(x));
    return MATH_IF(x < 0.0f, e, 1.0f) / (1.0f + e);
}

/* exp(a^2 / 2) Q(a) (a + 5/2), Q the upper tail of the normal distribution, for 0 <= a <= 15: a polynomial of u - 1/4,
 * u = a / (a + 5/2). */
MATH_FN MATH_T FN(S, tail)(MATH_T u)
{
    MATH_T t = u - 0.25f;
    MATH_T g = (MATH_T)(-0.0807435885f);
    g = MATH_FMA(g, t, (MATH_T)(0.101897642f));
    g = MATH_FMA(g, t, (MATH_T)(0.0654826239f));
    g = MATH_FMA(g, t, (MATH_T)(-0.0254078079f));
    g = MATH_FMA(g, t, (MATH_T)(-0.148480237f));
    g = MATH_FMA(g, t, (MATH_T)(-0.106497042f));
    g = MATH_FMA(g, t, (MATH_T)(0.268254787f));
    g = MATH_FMA(g, t, (MATH_T)(0.38951993f));
    g = MATH_FMA(g, t, (MATH_T)(-1.10288739f));
    return MATH_FMA(g, t, (MATH_T)(0.954403996f));
}

/* value exp(-factor a^2). a^2 is needed to more bits than a float has: head^2 + (a - head) (a + head). */
MATH_FN MATH_T FN(S, times_bell)(MATH_T value, MATH_T a, const float factor)
{
    MATH_T head = FN(S, head)(a), rest = (a - head) * (a + head);
    MATH_I n;
    MATH_T r = FN(S, exp_reduce)(head * head * -factor, a * a * -factor, &n);
    MATH_T e = FN(S, expm1_near_0)(MATH_FMA(rest, (MATH_T)(-factor), r));
    return FN(S, scale)(MATH_FMA(value, e, value), n);
}

/* x Phi(x) = max(x, 0) - a Q(a), a = |x|: nothing cancels. Beyond 15, a Q(a) is 0 in f32. The sign is set at the end,
 * for the zeros: compilers (LLVM 14) take x < 0 ? -0 : x for x <= 0 ? -0 : x. */
MATH_FN MATH_T FN(S, gelu)(MATH_T x)
{
    MATH_T a = MATH_ABS(x);
    a = MATH_IF(a > 15.0f, 15.0f, a);
    MATH_T u = a / (a + 2.5f);
    MATH_T below = FN(S, times_bell)(FN(S, tail)(u) * u, a, 0.5f);
    return FN(S, copysign)(MATH_IF(x < 0.0f, 0.0f, x) - below, x);
}

#endif /* f32 */

/* ---------------------------------------------------------------- f64 */
#if MATH_DTYPE == 1 && defined(MATH_HAS_F64)

MATH_FN MATH_T FN(S, exp)(MATH_T x) { return exp(x); }
MATH_FN MATH_T FN(S, log)(MATH_T x) { return log(x); }
MATH_FN MATH_T FN(S, sin)(MATH_T x) { return sin(x); }
MATH_FN MATH_T FN(S, cos)(MATH_T x) { return cos(x); }
MATH_FN MATH_T FN(S, tanh)(MATH_T x) { return tanh(x); }
MATH_FN MATH_T FN(S, erf)(MATH_T x) { return erf(x); }
MATH_FN MATH_T FN(S, sigmoid)(MATH_T x)
{
    MATH_T e = exp(-fabs(x));
    return MATH_IF(x < 0.0, e, 1.0) / (1.0 + e);
}
/* As in f32. z = a / sqrt(2) to twice the digits, z + rest, because erfc'(z) is nearly -2 z erfc(z). */
MATH_FN MATH_T FN(S, gelu)(MATH_T x)
{
    MATH_T a = fabs(x);
    a = MATH_IF(a > 39.0, 39.0, a);
    MATH_T z = a * 0.7071067811865476;
    MATH_T rest = fma(a, (MATH_T)(0.7071067811865476), -z) - a * 4.833646656726457e-17;
    return copysign(MATH_IF(x < 0.0, 0.0, x) - 0.5 * a * (erfc(z) * (1.0 - 2.0 * z * rest)), x);
}
#endif

/* ---------------------------------------------------------------- every dtype */
#if MATH_DTYPE == 0 || (MATH_DTYPE == 1 && defined(MATH_HAS_F64))
MATH_FN MATH_T FN(S, sqrt)(MATH_T x)
{
#if !defined(__OPENCL_C_VERSION__) && MATH_DTYPE == 0
    return __builtin_sqrtf(x);
#else
    return sqrt(x);
#endif
}
MATH_FN MATH_T FN(S, abs)(MATH_T x)
{
#if !defined(__OPENCL_C_VERSION__) && MATH_DTYPE == 0
    return __builtin_fabsf(x);
#else
    return fabs(x);
#endif
}
MATH_FN MATH_T FN(S, sign)(MATH_T x) { return MATH_IF(x > 0, 1, MATH_IF(x < 0, -1, MATH_IF(x == 0, 0, x))); }
#elif MATH_DTYPE == 2 || MATH_DTYPE == 4
MATH_FN MATH_T FN(S, abs)(MATH_T x) { return MATH_IF(x < 0, MATH_SIGNED(0u - MATH_UNSIGNED(x)), x); }
MATH_FN MATH_T FN(S, sign)(MATH_T x) { return MATH_IF(x > 0, 1, MATH_IF(x < 0, -1, 0)); }
#elif MATH_DTYPE == 3
MATH_FN MATH_T FN(S, abs)(MATH_T x) { return x; }
MATH_FN MATH_T FN(S, sign)(MATH_T x) { return MATH_IF(x > (MATH_T)(0), 1, 0); }
#endif

#ifndef __OPENCL_C_VERSION__
#include "math_convert.h"
#include "math_special.h"
#endif
//@ convert
//@ special

#undef S
#undef MATH_DTYPE
#undef MATH_WIDTH
#undef MATH_NAME
#undef MATH_BASE
#undef MATH_CBASE
#undef MATH_SHAPE
#undef MATH_C
#undef MATH_T
#undef MATH_I
#undef MATH_U
#undef MATH_B
#undef MATH_BITS
#undef MATH_FLOAT
#undef MATH_SIGNED
#undef MATH_UNSIGNED
#undef MATH_REAL
#undef MATH_INT
#undef MATH_MULHI
#undef MATH_IF
#undef MATH_IFU
#undef MATH_ANY
#undef MATH_FROM
#undef MATH_CONVERT
#undef MATH_LOW_BYTE
#undef MATH_HALF_BITS
#undef MATH_SATURATE
#undef MATH_NUMBER
