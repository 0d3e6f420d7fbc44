/* The functions of math.h that few programs use: powers, logarithms to other bases, inverse and hyperbolic ones, roots,
 * the gamma function's family, rounding, remainders, shifts, random bits. Part of its template, at the end: see there.
 *
 *     f32, f64      pow exp2 expm1 log2 log10 log1p tan asin acos atan atan2 sinh cosh asinh acosh atanh cbrt hypot
 *                   copysign erfc erfinv softplus lgamma digamma polygamma
 *     i32, i64      shift_left shift_right; i32 threefry
 *     all dtypes    floor ceil round trunc fmod remainder
 *
 * Special values are those of C's Annex F. Coefficients are minimax fits to relative errors of 2^-24 and less. */

/* ---------------------------------------------------------------- every dtype */
#if MATH_DTYPE == 0 || (MATH_DTYPE == 1 && defined(MATH_HAS_F64))
#ifdef __OPENCL_C_VERSION__
#define MATH_CALL(name) name
#elif MATH_DTYPE == 0
#define MATH_CALL(name) __builtin_##name##f
#else
#define MATH_CALL(name) __builtin_##name
#endif
MATH_FN MATH_T FN(S, floor)(MATH_T x) { return MATH_CALL(floor)(x); }
MATH_FN MATH_T FN(S, ceil)(MATH_T x) { return MATH_CALL(ceil)(x); }
MATH_FN MATH_T FN(S, round)(MATH_T x) { return MATH_CALL(rint)(x); }
MATH_FN MATH_T FN(S, trunc)(MATH_T x) { return MATH_CALL(trunc)(x); }
#if MATH_DTYPE == 0
MATH_FN MATH_T FN(S, fmod)(MATH_T x, MATH_T y) { return MATH_CALL(fmod)(x, y); }
#else
/* Long division by b 2^52k, k downwards: quotients are right or 1 too large; what they leave is exact. */
MATH_FN MATH_T FN(S, fmod)(MATH_T x, MATH_T y)
{
    MATH_T a = MATH_CALL(fabs)(x), b = MATH_CALL(fabs)(y);
    MATH_C usual = (a < INFINITY) & (b > 0.0) & (b < INFINITY);
    MATH_T r = MATH_IF(usual, a, 0.0), last = MATH_IF(usual, b, 1.0), c = last;
    while (MATH_ANY(c * 0x1p52 <= r))
        c = MATH_IF(c * 0x1p52 <= r, c * 0x1p52, c);
    for (;; c = MATH_IF(c > last, c * 0x1p-52, c)) {
        r = MATH_CALL(fma)(-MATH_CALL(trunc)(r / c), c, r);
        r = MATH_IF(r < 0.0, r + c, r);
        if (!MATH_ANY(c > last))
            break;
    }
    r = MATH_IF(usual, r, MATH_IF((a < INFINITY) & (b == INFINITY), a, NAN));
    return MATH_CALL(copysign)(r, x);
}
#endif
/* fmod of y's sign, a zero, too */
MATH_FN MATH_T FN(S, remainder)(MATH_T x, MATH_T y)
{
    MATH_T r = FN(S, fmod)(x, y);
    return MATH_IF(r == 0, MATH_CALL(copysign)(r, y), MATH_IF((r < 0) != (y < 0), r + y, r));
}
#undef MATH_CALL
#elif MATH_DTYPE >= 2 && MATH_DTYPE <= 4
MATH_FN MATH_T FN(S, floor)(MATH_T x) { return x; }
MATH_FN MATH_T FN(S, ceil)(MATH_T x) { return x; }
MATH_FN MATH_T FN(S, round)(MATH_T x) { return x; }
MATH_FN MATH_T FN(S, trunc)(MATH_T x) { return x; }
#if MATH_DTYPE != 3
#define MATH_LAST (MATH_DTYPE == 4 ? 63 : 31)
MATH_FN MATH_T FN(S, shift_left)(MATH_T x, MATH_T n)
{
    return MATH_IF((n < 0) | (n > MATH_LAST), 0, MATH_SIGNED(MATH_UNSIGNED(x) << MATH_UNSIGNED(n & MATH_LAST)));
}
MATH_FN MATH_T FN(S, shift_right)(MATH_T x, MATH_T n)
{
    return x >> MATH_IF((n < 0) | (n > MATH_LAST), MATH_LAST, n & MATH_LAST);
}
#undef MATH_LAST
/* 0 for a divisor of 0, and without overflow for -1 */
MATH_FN MATH_T FN(S, fmod)(MATH_T x, MATH_T y) { return x % MATH_IF((y == 0) | (y == -1), 1, y); }
MATH_FN MATH_T FN(S, remainder)(MATH_T x, MATH_T y)
{
    MATH_T r = FN(S, fmod)(x, y);
    return MATH_IF((r != 0) & ((r < 0) != (y < 0)), r + y, r);
}
#else
MATH_FN MATH_T FN(S, fmod)(MATH_T x, MATH_T y) { return x % MATH_IF(y == (MATH_T)(0), 1, y); }
MATH_FN MATH_T FN(S, remainder)(MATH_T x, MATH_T y) { return FN(S, fmod)(x, y); }
#endif
#if MATH_DTYPE == 2
/* Threefry 2x32 of 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11): the first word of
 * what it makes of the counter (i, 0) and a key. */
#define MATH_ROUND(bits)                                                                                               \
    x = x + y;                                                                                                         \
    y = (y << bits##u) | (y >> (32u - bits##u));                                                                       \
    y = y ^ x;
#define MATH_ROUNDS_EVEN MATH_ROUND(13) MATH_ROUND(15) MATH_ROUND(26) MATH_ROUND(6)
#define MATH_ROUNDS_ODD MATH_ROUND(17) MATH_ROUND(29) MATH_ROUND(16) MATH_ROUND(24)
MATH_FN MATH_T FN(S, threefry)(MATH_T i, MATH_T key0, MATH_T key1)
{
    MATH_U k0 = MATH_UNSIGNED(key0), k1 = MATH_UNSIGNED(key1), k2 = k0 ^ k1 ^ 0x1bd11bdau;
    MATH_U x = MATH_UNSIGNED(i) + k0, y = k1;
    MATH_ROUNDS_EVEN x = x + k1, y = y + k2 + 1u;
    MATH_ROUNDS_ODD x = x + k2, y = y + k0 + 2u;
    MATH_ROUNDS_EVEN x = x + k0, y = y + k1 + 3u;
    MATH_ROUNDS_ODD x = x + k1, y = y + k2 + 4u;
    MATH_ROUNDS_EVEN return MATH_SIGNED(x + k2);
}
#undef MATH_ROUND
#undef MATH_ROUNDS_EVEN
#undef MATH_ROUNDS_ODD
#endif
#endif

/* ---------------------------------------------------------------- f32 */
#if MATH_DTYPE == 0
#define MATH_PI 3.14159274f

/* log2(x) as high + low, high with 12 bits, to a relative error of about 2^-31; x > 0 and finite.
 * log2(m) = (2/ln 2) atanh(s), s = (m - 1) / (m + 1): its first term in two parts, the others in one. */
MATH_FN MATH_T FN(S, log2_parts)(MATH_T x, MATH_T *low)
{
    MATH_T k;
    MATH_T f = FN(S, split)(x, &k) - 1.0f;
    MATH_T d = 2.0f + f, d_rest = f - (d - 2.0f);
    MATH_T s = FN(S, head)(f / d);
    MATH_T d_head = FN(S, head)(d), d_low = (d - d_head) + d_rest;
    MATH_T s_rest = ((f - s * d_head) - s * d_low) / d;
    MATH_T t = s + s_rest, z = t * t;
    MATH_T p = MATH_FMA((MATH_T)(0.340935022f), z, (MATH_T)(0.411677778f));
    p = MATH_FMA(p, z, (MATH_T)(0.577083051f));
    p = MATH_FMA(p, z, (MATH_T)(0.961796701f));
    MATH_T first = s * 2.88476562f; /* 2/ln 2 = 2.88476562 + 6.24457e-4; the product of 12 bits each is exact */
    MATH_T rest = MATH_FMA(t, (MATH_T)(6.24456778e-4f), s_rest * 2.88476562f);
    rest = MATH_FMA(p * z, t, rest);
    MATH_T a = k + first, b = a + rest;
    MATH_T lost = (first - (a - k)) + (rest - (b - a));
    MATH_T high = FN(S, head)(b);
    *low = (b - high) + lost;
    return high;
}

/* 2^(y log2|x|), then NumPy's special cases. */
MATH_FN MATH_T FN(S, pow)(MATH_T x, MATH_T y)
{
    MATH_T ax = MATH_ABS(x);
    MATH_T low, high = FN(S, log2_parts)(ax, &low);
    /* beyond 2^33 every base but 1 over- or underflows; clamping keeps the products finite */
    MATH_T w = MATH_IF(y > 8589934592.0f, 8589934592.0f, y);
    w = MATH_IF(w < -8589934592.0f, -8589934592.0f, w);
    MATH_T w_high = FN(S, head)(w), w_low = w - w_high;
    MATH_T e = w_high * high;
    MATH_T e_rest = MATH_FMA(w_high, low, w_low * (high + low));
    MATH_T sum = e + e_rest;
    MATH_C big = (sum > 160.0f) | (sum < -160.0f);
    e = MATH_IF(big, MATH_IF(sum > 0.0f, 160.0f, -160.0f), e);
    e_rest = MATH_IF(big, 0.0f, e_rest);
    MATH_T shifted = (e + e_rest) + 12582912.0f;
    MATH_T f = (e - (shifted - 12582912.0f)) + e_rest;
    MATH_T p = (MATH_T)(0.000154702633f);
    p = MATH_FMA(p, f, (MATH_T)(0.00134106143f));
    p = MATH_FMA(p, f, (MATH_T)(0.009618029f));
    p = MATH_FMA(p, f, (MATH_T)(0.0555029549f));
    p = MATH_FMA(p, f, (MATH_T)(0.240226507f));
    p = MATH_FMA(p, f, (MATH_T)(0.693147242f));
    p = MATH_FMA(p, f, (MATH_T)(1.0f));
    p = FN(S, scale)(p, MATH_SIGNED(MATH_BITS(shifted) - 0x4b400000u));
    /* a base of 0 or infinity */
    p = MATH_IF((ax == 0.0f) | (ax == INFINITY), MATH_IF((ax == 0.0f) == (y > 0.0f), 0.0f, INFINITY), p);
    /* a negative base: y must be an integer, and an odd one keeps the sign; 2^24 and more are even */
    MATH_T ay = MATH_ABS(y);
    ay = MATH_IF(ay < 16777216.0f, ay, 16777216.0f);
    MATH_I n = MATH_INT(ay);
    MATH_U odd = MATH_IFU(MATH_REAL(n) == ay, MATH_UNSIGNED(n) << 31, 0u);
    p = MATH_FLOAT(MATH_BITS(p) | (odd & MATH_BITS(x)));
    p = MATH_IF((x < 0.0f) & (x > -INFINITY) & (MATH_REAL(n) != ay), NAN, p);
    p = MATH_IF((x != x) | (y != y), NAN, p);
    return MATH_IF((y == 0.0f) | (x == 1.0f), 1.0f, p);
}

/* 2^x = 2^n 2^f */
MATH_FN MATH_T FN(S, exp2)(MATH_T x)
{
    MATH_T t = MATH_IF(x > 129.0f, 129.0f, x);
    t = MATH_IF(t < -151.0f, -151.0f, t);
    MATH_T shifted = t + 12582912.0f;
    MATH_T f = t - (shifted - 12582912.0f);
    MATH_T p = (MATH_T)(0.000154035064f);
    p = MATH_FMA(p, f, (MATH_T)(0.00133907585f));
    p = MATH_FMA(p, f, (MATH_T)(0.00961823761f));
    p = MATH_FMA(p, f, (MATH_T)(0.0555035733f));
    p = MATH_FMA(p, f, (MATH_T)(0.240226492f));
    p = MATH_FMA(p, f, (MATH_T)(0.693147182f));
    return FN(S, scale)(MATH_FMA(p, f, (MATH_T)(1.0f)), MATH_SIGNED(MATH_BITS(shifted) - 0x4b400000u));
}

/* 2^n (exp(r) - 1) + (2^n - 1), by halves for n = 128 */
MATH_FN MATH_T FN(S, expm1)(MATH_T x)
{
    MATH_T t = MATH_IF(x > 89.0f, 89.0f, x);
    t = MATH_IF(t < -30.0f, -30.0f, t);
    MATH_I n;
    MATH_T r = FN(S, exp_reduce)(t, t, &n), p = FN(S, expm1_near_0)(r);
    MATH_T whole = 2.0f * (FN(S, scale)(p, n - 1) + (FN(S, scale)((MATH_T)(1.0f), n - 1) - 0.5f));
    return FN(S, copysign)(MATH_IF(MATH_ABS(x) < 0.34f, p, whole), x);
}

/* exp(x) / 2 for x >= 0, finite where exp(x) is not yet */
MATH_FN MATH_T FN(S, half_exp)(MATH_T x)
{
    MATH_T t = MATH_IF(x > 90.0f, 90.0f, x);
    MATH_I n;
    MATH_T r = FN(S, exp_reduce)(t, t, &n);
    return FN(S, scale)(FN(S, expm1_near_0)(r) + 1.0f, n - 1);
}

/* log(1 + x) = log(u) + what u, 1 + x rounded, lacks of it */
MATH_FN MATH_T FN(S, log1p)(MATH_T x)
{
    MATH_T u = 1.0f + x, y = FN(S, log)(u), lack = (x - (u - 1.0f)) / u;
    return FN(S, copysign)(MATH_IF((u == 0.0f) | (u == INFINITY), y, y + lack), x);
}

/* max(x, 0) + log(1 + exp(-|x|)) */
MATH_FN MATH_T FN(S, softplus)(MATH_T x)
{
    return MATH_IF(x < 0.0f, 0.0f, x) + FN(S, log1p)(FN(S, exp_down)(-MATH_ABS(x)));
}

MATH_FN MATH_T FN(S, logarithm_specials)(MATH_T x, MATH_T y)
{
    y = MATH_IF(x == INFINITY, x, y);
    y = MATH_IF(x == 0.0f, -INFINITY, y);
    return MATH_IF((x < 0.0f) | (x != x), NAN, y);
}

MATH_FN MATH_T FN(S, log2)(MATH_T x)
{
    MATH_T low, high = FN(S, log2_parts)(x, &low);
    return FN(S, logarithm_specials)(x, high + low);
}

/* log10(2) = 0.301025391 + 4.60503907e-6, the first of 12 bits as high is */
MATH_FN MATH_T FN(S, log10)(MATH_T x)
{
    MATH_T low, high = FN(S, log2_parts)(x, &low);
    MATH_T rest = MATH_FMA(high, (MATH_T)(4.60503907e-6f), low * 0.30103001f);
    return FN(S, logarithm_specials)(x, MATH_FMA(high, (MATH_T)(0.301025391f), rest));
}

MATH_FN MATH_T FN(S, tan)(MATH_T x)
{
    MATH_U q;
    MATH_T r = FN(S, quadrant)(x, &q), s = FN(S, sin_near_0)(r), c = FN(S, cos_near_0)(r);
    MATH_T y = MATH_IF((q & 1u) != 0u, -c, s) / MATH_IF((q & 1u) != 0u, s, c);
    y = MATH_FLOAT(MATH_BITS(y) ^ (MATH_BITS(x) & 0x80000000u));
    return MATH_IF(MATH_ABS(x) < INFINITY, y, NAN);
}

/* asin(t), 0 <= t <= 1/2 */
MATH_FN MATH_T FN(S, asin_near_0)(MATH_T t)
{
    MATH_T z = t * t, p = (MATH_T)(0.0422305502f);
    p = MATH_FMA(p, z, (MATH_T)(0.0241409857f));
    p = MATH_FMA(p, z, (MATH_T)(0.045478344f));
    p = MATH_FMA(p, z, (MATH_T)(0.0749523267f));
    p = MATH_FMA(p, z, (MATH_T)(0.166667536f));
    return MATH_FMA(p * z, t, t);
}

/* asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)); pi/2 = 1.57079637 - 4.37113883e-8 */
MATH_FN MATH_T FN(S, asin)(MATH_T x)
{
    MATH_T a = MATH_ABS(x);
    MATH_T p = FN(S, asin_near_0)(MATH_IF(a > 0.5f, FN(S, sqrt)(0.5f - 0.5f * a), a));
    return FN(S, copysign)(MATH_IF(a > 0.5f, 1.57079637f - (2.0f * p + 4.37113883e-8f), p), x);
}

MATH_FN MATH_T FN(S, acos)(MATH_T x)
{
    MATH_T a = MATH_ABS(x);
    MATH_T p = FN(S, asin_near_0)(MATH_IF(a > 0.5f, FN(S, sqrt)(0.5f - 0.5f * a), a));
    MATH_T far = MATH_IF(x < 0.0f, 3.14159274f - (2.0f * p + 8.74227766e-8f), 2.0f * p);
    return MATH_IF(a > 0.5f, far, 1.57079637f - (FN(S, copysign)(p, x) + 4.37113883e-8f));
}

/* atan(t), 0 <= t <= 1 */
MATH_FN MATH_T FN(S, atan_to_1)(MATH_T t)
{
    MATH_T z = t * t, p = (MATH_T)(-0.00182722439f);
    p = MATH_FMA(p, z, (MATH_T)(0.0110644903f));
    p = MATH_FMA(p, z, (MATH_T)(-0.0314557888f));
    p = MATH_FMA(p, z, (MATH_T)(0.058234632f));
    p = MATH_FMA(p, z, (MATH_T)(-0.0841946378f));
    p = MATH_FMA(p, z, (MATH_T)(0.109575778f));
    p = MATH_FMA(p, z, (MATH_T)(-0.142652452f));
    p = MATH_FMA(p, z, (MATH_T)(0.199986383f));
    p = MATH_FMA(p, z, (MATH_T)(-0.333333015f));
    return MATH_FMA(p * z, t, t);
}

MATH_FN MATH_T FN(S, atan)(MATH_T x)
{
    MATH_T a = MATH_ABS(x), p = FN(S, atan_to_1)(MATH_IF(a > 1.0f, 1.0f / a, a));
    return FN(S, copysign)(MATH_IF(a > 1.0f, 1.57079637f - (p + 4.37113883e-8f), p), x);
}

/* The angle of (x, y). */
MATH_FN MATH_T FN(S, atan2)(MATH_T y, MATH_T x)
{
    MATH_T ax = MATH_ABS(x), ay = MATH_ABS(y);
    MATH_C steep = ay > ax;
    MATH_T t = MATH_IF(steep, ax, ay) / MATH_IF(steep, ay, ax);
    t = MATH_IF((ax == 0.0f) & (ay == 0.0f), 0.0f, MATH_IF((ax == INFINITY) & (ay == INFINITY), 1.0f, t));
    MATH_T p = FN(S, atan_to_1)(t);
    p = MATH_IF(steep, 1.57079637f - (p + 4.37113883e-8f), p);
    p = MATH_IF((MATH_BITS(x) & 0x80000000u) != 0u, 3.14159274f - (p + 8.74227766e-8f), p);
    return MATH_IF((x != x) | (y != y), NAN, FN(S, copysign)(p, y));
}

MATH_FN MATH_T FN(S, sinh)(MATH_T x)
{
    MATH_T a = MATH_ABS(x), e = FN(S, expm1)(MATH_IF(a > 10.0f, 10.0f, a));
    return FN(S, copysign)(MATH_IF(a > 10.0f, FN(S, half_exp)(a), 0.5f * (e + e / (e + 1.0f))), x);
}

MATH_FN MATH_T FN(S, cosh)(MATH_T x)
{
    MATH_T e = FN(S, half_exp)(MATH_ABS(x));
    return e + 0.25f / e;
}

/* Beyond 4096, log(2 a) is near enough. */
MATH_FN MATH_T FN(S, asinh)(MATH_T x)
{
    MATH_T a = MATH_ABS(x), b = MATH_IF(a > 4096.0f, 4096.0f, a);
    MATH_T y = FN(S, log1p)(b + b * b / (1.0f + FN(S, sqrt)(b * b + 1.0f)));
    return FN(S, copysign)(MATH_IF(a > 4096.0f, FN(S, log)(a) + 0.693147182f, y), x);
}

MATH_FN MATH_T FN(S, acosh)(MATH_T x)
{
    MATH_T t = MATH_IF(x > 4096.0f, 4096.0f, x) - 1.0f, y = FN(S, log1p)(t + FN(S, sqrt)(t * (t + 2.0f)));
    return MATH_IF(x < 1.0f, NAN, MATH_IF(x > 4096.0f, FN(S, log)(x) + 0.693147182f, y));
}

MATH_FN MATH_T FN(S, atanh)(MATH_T x)
{
    MATH_T a = MATH_ABS(x);
    return FN(S, copysign)(0.5f * FN(S, log1p)(2.0f * a / (1.0f - a)), x);
}

/* A third of the exponent's bits, then Newton's steps. */
MATH_FN MATH_T FN(S, cbrt)(MATH_T x)
{
    MATH_T a = MATH_ABS(x);
    MATH_C subnormal = a < 1.17549435e-38f;
    MATH_T b = MATH_IF(subnormal, a * 16777216.0f, a);
    MATH_T y = MATH_FLOAT(MATH_BITS(b) / 3u + 0x2a5137a0u);
    y = y - (y - b / (y * y)) * 0.333333343f;
    y = y - (y - b / (y * y)) * 0.333333343f;
    y = y - (y - b / (y * y)) * 0.333333343f;
    y = MATH_IF(subnormal, y * 0.00390625f, y);
    return MATH_IF((a > 0.0f) & (a < INFINITY), FN(S, copysign)(y, x), x);
}

/* sqrt(x^2 + y^2), finite where it can be; infinite with any infinite side, though the other be NaN */
MATH_FN MATH_T FN(S, hypot)(MATH_T x, MATH_T y)
{
    MATH_T ax = MATH_ABS(x), ay = MATH_ABS(y);
    MATH_T most = MATH_IF(ax > ay, ax, ay), least = MATH_IF(ax > ay, ay, ax);
    MATH_T r = MATH_IF(most > 0.0f, least / most, least);
    MATH_T h = MATH_IF((x != x) | (y != y), NAN, most * FN(S, sqrt)(r * r + 1.0f));
    return MATH_IF((ax == INFINITY) | (ay == INFINITY), INFINITY, h);
}

/* 2 Q(sqrt(2) |x|), and 2 minus that on the other side */
MATH_FN MATH_T FN(S, erfc)(MATH_T x)
{
    MATH_T z = MATH_ABS(x);
    z = MATH_IF(z > 10.25f, 10.25f, z);
    MATH_T a = z * 1.41421354f;
    MATH_T y = FN(S, times_bell)(2.0f * FN(S, tail)(a / (a + 2.5f)) / (a + 2.5f), z, 1.0f);
    return MATH_IF(x < 0.0f, 2.0f - y, y);
}

/* x P(w), w = -log(1 - x^2), in two parts, as Giles has it (Approximating the erfinv function, 2011) */
MATH_FN MATH_T FN(S, erfinv)(MATH_T x)
{
    MATH_T a = MATH_ABS(x), w = -FN(S, log)((1.0f - a) * (1.0f + a)), t = w - 2.5f;
    MATH_T p = (MATH_T)(-8.79096795e-09f);
    p = MATH_FMA(p, t, (MATH_T)(2.32324648e-08f));
    p = MATH_FMA(p, t, (MATH_T)(4.6616961e-07f));
    p = MATH_FMA(p, t, (MATH_T)(-3.46270281e-06f));
    p = MATH_FMA(p, t, (MATH_T)(-4.9633436e-06f));
    p = MATH_FMA(p, t, (MATH_T)(0.00021834443f));
    p = MATH_FMA(p, t, (MATH_T)(-0.0012527419f));
    p = MATH_FMA(p, t, (MATH_T)(-0.00417738687f));
    p = MATH_FMA(p, t, (MATH_T)(0.24664028f));
    p = MATH_FMA(p, t, (MATH_T)(1.50140941f));
    t = FN(S, sqrt)(w) - 3.0f;
    MATH_T q = (MATH_T)(-0.000198790585f);
    q = MATH_FMA(q, t, (MATH_T)(0.000102229373f));
    q = MATH_FMA(q, t, (MATH_T)(0.00134726672f));
    q = MATH_FMA(q, t, (MATH_T)(-0.0036752515f));
    q = MATH_FMA(q, t, (MATH_T)(0.0057402933f));
    q = MATH_FMA(q, t, (MATH_T)(-0.00762174884f));
    q = MATH_FMA(q, t, (MATH_T)(0.00943881739f));
    q = MATH_FMA(q, t, (MATH_T)(1.00167406f));
    q = MATH_FMA(q, t, (MATH_T)(2.83297682f));
    return MATH_IF(a == 1.0f, FN(S, copysign)((MATH_T)(INFINITY), x), MATH_IF(w < 5.0f, p, q) * x);
}

/* |sin(pi x)| and cos(pi x), of the same sign where the tangent is positive, exactly 0 and 1 at integers */
MATH_FN MATH_T FN(S, sin_pi)(MATH_T x, MATH_T *cosine)
{
    MATH_T a = MATH_ABS(x);
    MATH_T d = MATH_IF(a < 8388608.0f, a - ((a + 8388608.0f) - 8388608.0f), 0.0f), b = MATH_ABS(d);
    MATH_T s = FN(S, sin_near_0)(MATH_PI * MATH_IF(b < 0.25f, b, 0.5f - b));
    MATH_T c = FN(S, cos_near_0)(MATH_PI * MATH_IF(b < 0.25f, b, 0.5f - b));
    MATH_T sine = MATH_IF(b < 0.25f, s, c);
    *cosine = MATH_IF((d < 0.0f) != (x < 0.0f), -1.0f, 1.0f) * MATH_IF(b < 0.25f, c, s);
    return sine;
}

/* log |gamma(x)|: (x - 1) (x - 2) P near those zeros, Stirling's series from 3 on, the next integer's value or the
 * reflection below. */
MATH_FN MATH_T FN(S, lgamma)(MATH_T x)
{
    MATH_C below = x < -0.1f;
    MATH_T a = MATH_IF(below, -x, x);
    MATH_C small = a < 0.9f;
    MATH_T y = MATH_IF(small, a + 1.0f, a);
    MATH_T t = (y - 2.0f) / (y + 2.0f);
    MATH_T p = (MATH_T)(-0.143269837f);
    p = MATH_FMA(p, t, (MATH_T)(0.0242759157f));
    p = MATH_FMA(p, t, (MATH_T)(-0.0581847355f));
    p = MATH_FMA(p, t, (MATH_T)(0.0648060143f));
    p = MATH_FMA(p, t, (MATH_T)(-0.0872495919f));
    p = MATH_FMA(p, t, (MATH_T)(0.0828650445f));
    p = MATH_FMA(p, t, (MATH_T)(-0.138977468f));
    p = MATH_FMA(p, t, (MATH_T)(0.126171514f));
    p = MATH_FMA(p, t, (MATH_T)(-0.401269197f));
    p = MATH_FMA(p, t, (MATH_T)(0.422784328f));
    p = p * MATH_IF(small, a, a - 1.0f) * MATH_IF(small, a - 1.0f, a - 2.0f) + 0.0f;
    MATH_T logarithm = FN(S, log)(MATH_ABS(a)), z = 1.0f / (a * a);
    MATH_T r = (MATH_T)(0.000507278193f);
    r = MATH_FMA(r, z, (MATH_T)(-0.000567795243f));
    r = MATH_FMA(r, z, (MATH_T)(0.000792654231f));
    r = MATH_FMA(r, z, (MATH_T)(-0.00277776481f));
    r = MATH_FMA(r, z, (MATH_T)(0.0833333358f)) / a + 0.418938533f;
    r = (a - 0.5f) * (logarithm - 1.0f) + r;
    MATH_T g = MATH_IF(a < 3.0f, MATH_IF(small, p - logarithm, p), r), cosine;
    MATH_T sine = FN(S, sin_pi)(a, &cosine);
    MATH_T reflected = -(g + FN(S, log)(sine * 0.318309873f) + logarithm);
    g = MATH_IF(below, MATH_IF(sine == 0.0f, INFINITY, reflected), g);
    return MATH_IF(a == INFINITY, INFINITY, g);
}

/* The logarithmic derivative of the gamma function, x > 0: up to 6 by its recurrence, there its asymptotic series. */
MATH_FN MATH_T FN(S, digamma_above_0)(MATH_T x)
{
    MATH_T sum = (MATH_T)(0.0f);
    for (int i = 0; i < 6; i++) {
        sum = sum + MATH_IF(x < 6.0f, 1.0f / x, 0.0f);
        x = MATH_IF(x < 6.0f, x + 1.0f, x);
    }
    MATH_T z = 1.0f / (x * x), q = (MATH_T)(-0.0037869669f);
    q = MATH_FMA(q, z, (MATH_T)(0.00396189885f));
    q = MATH_FMA(q, z, (MATH_T)(-0.00833329838f));
    q = MATH_FMA(q, z, (MATH_T)(0.0833333358f));
    return FN(S, log)(x) - 0.5f / x - MATH_IF(z > 0.0f, q * z, 0.0f) - sum;
}

#endif /* f32 */

/* ---------------------------------------------------------------- f64 */
#if MATH_DTYPE == 1 && defined(MATH_HAS_F64)
#define MATH_PI 3.14159265358979323846

/* clang-format off */
#define MATH_SAME(name)                                                                                                \
    MATH_FN MATH_T FN(S, name)(MATH_T x) { return name(x); }
MATH_SAME(exp2) MATH_SAME(expm1) MATH_SAME(log1p) MATH_SAME(log2) MATH_SAME(log10) MATH_SAME(cbrt) MATH_SAME(tan)
MATH_SAME(asin) MATH_SAME(acos) MATH_SAME(atan) MATH_SAME(sinh) MATH_SAME(cosh) MATH_SAME(asinh) MATH_SAME(acosh)
MATH_SAME(atanh) MATH_SAME(erfc)
#undef MATH_SAME
MATH_FN MATH_T FN(S, pow)(MATH_T x, MATH_T y) { return pow(x, y); }
/* clang-format on */
MATH_FN MATH_T FN(S, atan2)(MATH_T y, MATH_T x) { return atan2(y, x); }
MATH_FN MATH_T FN(S, hypot)(MATH_T x, MATH_T y) { return hypot(x, y); }
MATH_FN MATH_T FN(S, copysign)(MATH_T y, MATH_T x) { return copysign(y, x); }
MATH_FN MATH_T FN(S, softplus)(MATH_T x) { return MATH_IF(x < 0.0, 0.0, x) + log1p(exp(-fabs(x))); }
#ifdef __OPENCL_C_VERSION__
MATH_FN MATH_T FN(S, lgamma)(MATH_T x) { return lgamma(x); }
#else
double lgamma_r(double, int *); /* POSIX; lgamma would write to a variable of all threads */
MATH_FN MATH_T FN(S, lgamma)(MATH_T x)
{
    int sign;
    return lgamma_r(x, &sign);
}
#endif

/* As in f32, then two of Halley's steps on erf(y) = a, or on erfc(y) = 1 - a. */
MATH_FN MATH_T FN(S, erfinv)(MATH_T x)
{
    MATH_T a = fabs(x), w = -log((1.0 - a) * (1.0 + a)), t = w - 2.5;
    MATH_T p = (MATH_T)(3.43730477e-07);
    p = p * t - 3.52881352e-06;
    p = p * t - 4.39681298e-06;
    p = p * t + 0.000218602028;
    p = p * t - 0.00125370745;
    p = p * t - 0.00417770771;
    p = p * t + 0.246640727;
    p = p * t + 1.50140941;
    t = sqrt(w) - 4.0;
    MATH_T q = (MATH_T)(0.000170362764);
    q = q * t - 0.000529253914;
    q = q * t + 0.00014642498;
    q = q * t - 1.25963879e-06;
    q = q * t + 0.00138716784;
    q = q * t + 1.00906157;
    q = q * t + 3.83975029;
    MATH_T y = MATH_IF(w < 5.0, p, q) * a;
    for (int i = 0; i < 2; i++) {
        MATH_T over = MATH_IF(a < 0.5, erf(y) - a, (1.0 - a) - erfc(y)) * 0.8862269254527580 * exp(y * y);
        y = y - over / (1.0 + y * over);
    }
    y = MATH_IF(a == 1.0, INFINITY, MATH_IF(a < 1e-100, a * 0.8862269254527580, y));
    return copysign(y, x);
}

/* |sin(pi x)| and cos(pi x), as in f32 */
MATH_FN MATH_T FN(S, sin_pi)(MATH_T x, MATH_T *cosine)
{
    MATH_T a = fabs(x), d = MATH_IF(a < 4503599627370496.0, a - rint(a), 0.0), b = fabs(d);
    MATH_T near = MATH_PI * MATH_IF(b < 0.25, b, 0.5 - b), s = sin(near), c = cos(near);
    *cosine = MATH_IF((d < 0.0) != (x < 0.0), -1.0, 1.0) * MATH_IF(b < 0.25, c, s);
    return MATH_IF(b < 0.25, s, c);
}

MATH_FN MATH_T FN(S, digamma_above_0)(MATH_T x)
{
    MATH_T sum = (MATH_T)(0.0);
    for (int i = 0; i < 10; i++) {
        sum = sum + MATH_IF(x < 10.0, 1.0 / x, 0.0);
        x = MATH_IF(x < 10.0, x + 1.0, x);
    }
    MATH_T z = 1.0 / (x * x), q = (MATH_T)(1.0 / 12);
    q = q * z - 691.0 / 32760;
    q = q * z + 1.0 / 132;
    q = q * z - 1.0 / 240;
    q = q * z + 1.0 / 252;
    q = q * z - 1.0 / 120;
    q = q * z + 1.0 / 12;
    return log(x) - 0.5 / x - MATH_IF(z > 0.0, q * z, 0.0) - sum;
}
#endif /* f64 */

/* ---------------------------------------------------------------- f32 and f64 */
#if MATH_DTYPE == 0 || (MATH_DTYPE == 1 && defined(MATH_HAS_F64))

/* pi / tan(pi x), by a tangent of half its period; infinite at integers */
MATH_FN MATH_T FN(S, digamma)(MATH_T x)
{
    MATH_T cosine, sine = FN(S, sin_pi)(x, &cosine);
    MATH_T y = FN(S, digamma_above_0)(MATH_IF(x > 0, x, 1 - x));
    y = MATH_IF(x > 0, y, y - MATH_PI * cosine / sine);
    return MATH_IF((x <= 0) & (sine == 0), MATH_IF(x == 0, -1 / x, NAN), y);
}

/* log(exp(x) + exp(y)): nothing overflows, and infinities have no distance from themselves. */
MATH_FN MATH_T FN(S, logaddexp)(MATH_T x, MATH_T y)
{
    MATH_T gap = MATH_IF(x == y, 0, FN(S, abs)(x - y));
    return MATH_IF((x > y) | (x != x), x, y) + FN(S, log1p)(FN(S, exp)(-gap));
}

/* (-1)^(n + 1) n! zeta(n + 1, x) for integers n > 0 and x > 0: 10 terms of the sum, then Euler and Maclaurin's. For x <
 * 0 and n <= 7 reflected: -pi times the nth derivative of cot(pi x) is (-1)^(n + 1) (pi / sin)^(n + 1) Q(cos), where
 * from Q = 1 on the next Q is sin^2 Q' + (n + 1) cos Q, of positive coefficients. n = 0 is the digamma function. */
MATH_FN MATH_T FN(S, polygamma)(MATH_T n, MATH_T x)
{
    n = FN(S, round)(n);
    MATH_T s = n + 1, sum = (MATH_T)(0), c, sine = FN(S, sin_pi)(x, &c), d = c * c, half_n = n * 0.5f;
    MATH_C reflect = (n <= 7) & (x < 0), even = FN(S, floor)(half_n) == half_n;
    MATH_T a = MATH_IF(reflect, 1 - x, x);
#ifdef __OPENCL_C_VERSION__
#pragma unroll 1 /* ten powers take compilers long */
#endif
    for (int i = 0; i < 10; i++, a = a + 1)
        sum = sum + FN(S, pow)(a, -s);
    MATH_T term = FN(S, pow)(a, -s), z = 1 / (a * a), t = s / a;
    MATH_T tail = 0.5f + a / (s - 1) + t / 12;
    t = t * (s + 1) * (s + 2) * z, tail = tail - t / 720;
    t = t * (s + 3) * (s + 4) * z, tail = tail + t / 30240;
    t = t * (s + 5) * (s + 6) * z, tail = tail - t / 1209600;
    t = t * (s + 7) * (s + 8) * z, tail = tail + t / 47900160;
    sum = sum + MATH_IF(term > 0, term * tail, 0);
    MATH_T y = FN(S, exp)(FN(S, lgamma)(s)) * sum;
    MATH_T q = MATH_IF(n == 1, 1, MATH_IF(n == 2, 2, MATH_IF(n == 3, 2 + 4 * d, 16 + 8 * d)));
    q = MATH_IF(n == 5, 16 + d * (88 + 16 * d), MATH_IF(n == 6, 272 + d * (416 + 32 * d), q));
    q = MATH_IF(n == 7, 272 + d * (2880 + d * (1824 + 64 * d)), q) * MATH_IF(even, c, 1);
    y = MATH_IF(reflect, FN(S, pow)(MATH_PI / sine, s) * q + MATH_IF(even, y, -y), y);
    y = MATH_IF((x == 0) | (reflect & (sine == 0)), INFINITY, y);
    y = MATH_IF((x >= 0) | reflect, MATH_IF(even, -y, y), NAN);
    return MATH_IF(n == 0, FN(S, digamma)(x), MATH_IF(n > 0, y, NAN));
}
#undef MATH_PI
#endif
