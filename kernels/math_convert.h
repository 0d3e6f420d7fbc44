/* Conversions between dtypes: part of the template math.h, at its end, see there.
 *
 * Real to integer: toward zero, saturating, NaN to 0. Integers among themselves: the low bits. */
#ifdef __OPENCL_C_VERSION__
#define MATH_CONVERT(x) MATH_JOIN(convert_, MATH_T)(x)
#define MATH_LOW_BYTE(x) MATH_CONVERT((x)&255)
#define MATH_SATURATE(x) MATH_JOIN(convert_, MATH_JOIN(MATH_T, _sat))(x)
#define MATH_HALF_BITS(x) MATH_JOIN(convert_, MATH_U)(x)
#if MATH_WIDTH == 1
#define MATH_NUMBER(x, type) ((x) == (x) ? (x) : 0)
#else
#define MATH_NUMBER(x, type) select((type)(0), (x), (x) == (x))
#endif
#else
#define MATH_CONVERT(x) ((MATH_T)(x))
#define MATH_LOW_BYTE(x) ((uint8_t)((x)&255))
#define MATH_HALF_BITS(x) ((uint32_t)(x))
#define MATH_NUMBER(x, type) ((x) == (x) ? (x) : 0)
#if MATH_DTYPE == 2 /* 2147483647 is not a float: compare with 2^31, which no int32_t reaches */
#define MATH_SATURATE(x)                                                                                               \
    ((x) >= 2147483648.0f ? INT32_MAX : (x) < -2147483648.0f ? INT32_MIN : (int32_t)((x) >= 2147483648.0f ? 0 : (x)))
#elif MATH_DTYPE == 4
#define MATH_SATURATE(x) ((x) >= 0x1p63f ? INT64_MAX : (x) < -0x1p63f ? INT64_MIN : (int64_t)((x) >= 0x1p63f ? 0 : (x)))
#else
#define MATH_SATURATE(x) ((uint8_t)(int32_t)((x) < 0 ? 0 : (x) > 255 ? 255 : (x)))
#endif
#endif

#if MATH_DTYPE == 0 || (MATH_DTYPE == 1 && defined(MATH_HAS_F64))
MATH_FN MATH_T FN(S, from_f32)(MATH_FROM(float) x) { return MATH_CONVERT(x); }
#ifdef MATH_HAS_F64
MATH_FN MATH_T FN(S, from_f64)(MATH_FROM(double) x) { return MATH_CONVERT(x); }
#endif
#elif MATH_DTYPE >= 2 && MATH_DTYPE <= 4
MATH_FN MATH_T FN(S, from_f32)(MATH_FROM(float) x) { return MATH_SATURATE(MATH_NUMBER(x, MATH_FROM(float))); }
#ifdef MATH_HAS_F64
MATH_FN MATH_T FN(S, from_f64)(MATH_FROM(double) x) { return MATH_SATURATE(MATH_NUMBER(x, MATH_FROM(double))); }
#endif
#endif
#if MATH_DTYPE == 3
MATH_FN MATH_T FN(S, from_i32)(MATH_FROM(int) x) { return MATH_LOW_BYTE(x); }
MATH_FN MATH_T FN(S, from_i64)(MATH_FROM(long) x) { return MATH_LOW_BYTE(x); }
#elif MATH_DTYPE <= 4 && (MATH_DTYPE != 1 || defined(MATH_HAS_F64))
MATH_FN MATH_T FN(S, from_i32)(MATH_FROM(int) x) { return MATH_CONVERT(x); }
MATH_FN MATH_T FN(S, from_i64)(MATH_FROM(long) x) { return MATH_CONVERT(x); }
#endif
#if MATH_DTYPE <= 4 && (MATH_DTYPE != 1 || defined(MATH_HAS_F64))
MATH_FN MATH_T FN(S, from_u8)(MATH_FROM(uchar) x) { return MATH_CONVERT(x); }
MATH_FN MATH_T FN(S, from_b8)(MATH_FROM(uchar) x) { return MATH_CONVERT(x); }
#endif

/* Halves, by their bits: the same on every device. */
#if MATH_DTYPE == 0
MATH_FN MATH_T FN(S, from_bf16)(MATH_FROM(ushort) x) { return MATH_FLOAT(MATH_HALF_BITS(x) << 16); }
/* A subnormal number is its bits times 2^-24; of others the exponent moves by 112, of infinity and NaN by 224. */
MATH_FN MATH_T FN(S, from_f16)(MATH_FROM(ushort) x)
{
    MATH_U bits = MATH_HALF_BITS(x), size = bits & 0x7fffu;
    MATH_U moved = (size << 13) + MATH_IFU(size < 0x7c00u, 0x38000000u, 0x70000000u);
    MATH_U small = MATH_BITS(MATH_REAL(MATH_SIGNED(size)) * 5.96046448e-8f);
    return MATH_FLOAT(MATH_IFU(size < 0x0400u, small, moved) | ((bits & 0x8000u) << 16));
}
#elif MATH_DTYPE >= 6
#ifdef __OPENCL_C_VERSION__
#define MATH_WORD(x) MATH_JOIN(as_, MATH_U)(x)
#define MATH_AS_REAL(u) MATH_JOIN(as_, MATH_SHAPE(float))(u)
#else
#define MATH_WORD(x) FN(MATH_NAME, word)(x)
#define MATH_AS_REAL(u) FN(MATH_NAME, real)(u)
MATH_FN uint32_t FN(S, word)(float x)
{
    union {
        float f;
        uint32_t u;
    } pun = {.f = x};
    return pun.u;
}
MATH_FN float FN(S, real)(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } pun = {.u = bits};
    return pun.f;
}
#endif
/* To the nearest, of two the even one; NaN stays one, quiet. */
#if MATH_DTYPE == 7
MATH_FN MATH_T FN(S, from_f32)(MATH_FROM(float) x)
{
    MATH_U bits = MATH_WORD(x), rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return MATH_CONVERT(MATH_IFU((bits & 0x7fffffffu) > 0x7f800000u, bits | 0x00400000u, rounded) >> 16);
}
#else
/* What is subnormal as f16 is rounded by adding 2^23, of which it becomes the last digits. */
MATH_FN MATH_T FN(S, from_f32)(MATH_FROM(float) x)
{
    MATH_U bits = MATH_WORD(x), size = bits & 0x7fffffffu;
    MATH_U normal = (size - 0x38000000u + 0x0fffu + ((size >> 13) & 1u)) >> 13;
    MATH_U small = MATH_WORD(MATH_AS_REAL(MATH_IFU(size < 0x38800000u, size, 0u)) * 16777216.0f + 8388608.0f);
    MATH_U y = MATH_IFU(size < 0x38800000u, small - 0x4b000000u, normal);
    y = MATH_IFU(size >= 0x47800000u, 0x7c00u, y);
    y = MATH_IFU(size > 0x7f800000u, 0x7e00u, y);
    return MATH_CONVERT(y | ((bits >> 16) & 0x8000u));
}
#endif
#undef MATH_WORD
#undef MATH_AS_REAL
#endif
