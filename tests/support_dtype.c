#include "support_dtype.h"

#include <math.h>
#include <string.h>

/* Of the formats of two bytes: digits after the leading one, the least exponent of a normal number, the largest one. */
typedef struct half_format {
    int digits, least, most;
} half_format;

static half_format format_of(clg_dtype dtype)
{
    return dtype == CLG_F16 ? (half_format){10, -14, 15} : (half_format){7, -126, 127};
}

static double round_half(clg_dtype dtype, double value)
{
    const half_format f = format_of(dtype);
    int exponent;
    if (!isfinite(value) || value == 0)
        return value;
    frexp(value, &exponent); /* 0.5 <= |value| 2^-exponent < 1 */
    const int last = (exponent - 1 > f.least ? exponent - 1 : f.least) - f.digits;
    const double rounded = ldexp(rint(ldexp(value, -last)), last);
    return fabs(rounded) >= ldexp(1, f.most + 1) ? copysign(INFINITY, value) : rounded;
}

static uint16_t encode_half(clg_dtype dtype, double value)
{
    const half_format f = format_of(dtype);
    const uint32_t sign = signbit(value) ? 0x8000 : 0, top = (uint32_t)(f.most + 1 - f.least + 1) << f.digits;
    int exponent;
    value = fabs(round_half(dtype, value));
    if (isnan(value))
        return (uint16_t)(top | 1u << (f.digits - 1));
    if (isinf(value))
        return (uint16_t)(sign | top);
    frexp(value, &exponent);
    if (value == 0 || exponent - 1 < f.least)
        return (uint16_t)(sign | (uint32_t)ldexp(value, f.digits - f.least));
    const uint32_t digits = (uint32_t)ldexp(value, f.digits - (exponent - 1)); /* with the leading one */
    return (uint16_t)(sign | (((uint32_t)(exponent - 1 - f.least) << f.digits) + digits));
}

static double decode_half(clg_dtype dtype, uint16_t bits)
{
    const half_format f = format_of(dtype);
    const int exponent = (bits & 0x7fff) >> f.digits, digits = bits & ((1 << f.digits) - 1);
    double size = exponent == 0 ? ldexp(digits, f.least - f.digits)
                                : ldexp(digits + (1 << f.digits), f.least - f.digits + exponent - 1);
    if (exponent == f.most - f.least + 2)
        size = digits ? NAN : INFINITY;
    return bits & 0x8000 ? -size : size;
}

void support_encode(clg_dtype dtype, double value, void *element)
{
    const bool half = dtype == CLG_F16 || dtype == CLG_BF16, real = half || dtype == CLG_F32 || dtype == CLG_F64;
    const int64_t whole = real ? 0 : value >= 0x1p63 ? INT64_MAX : (int64_t)value;
    const float f32 = (float)value;
    const int32_t i32 = (int32_t)whole;
    const uint8_t u8 = dtype == CLG_BOOL ? value != 0 : (uint8_t)whole;
    const uint16_t bits = half ? encode_half(dtype, value) : 0;
    const void *const from[CLG_DTYPE_COUNT] = {
        [CLG_F32] = &f32,   [CLG_F64] = &value, [CLG_I32] = &i32,  [CLG_U8] = &u8,
        [CLG_I64] = &whole, [CLG_BOOL] = &u8,   [CLG_F16] = &bits, [CLG_BF16] = &bits};
    memcpy(element, from[dtype], clg_dtype_size(dtype));
}

double support_decode(clg_dtype dtype, const void *element)
{
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint16_t bits;
    switch (dtype) {
    case CLG_F32:
        memcpy(&f32, element, sizeof f32);
        return (double)f32;
    case CLG_F64:
        memcpy(&f64, element, sizeof f64);
        return f64;
    case CLG_I32:
        memcpy(&i32, element, sizeof i32);
        return i32;
    case CLG_I64:
        memcpy(&i64, element, sizeof i64);
        return (double)i64;
    case CLG_F16:
    case CLG_BF16:
        memcpy(&bits, element, sizeof bits);
        return decode_half(dtype, bits);
    default:
        return *(const uint8_t *)element;
    }
}

double support_cast(clg_dtype from, clg_dtype to, double value)
{
    const bool real = from == CLG_F32 || from == CLG_F64 || from == CLG_F16 || from == CLG_BF16;
    const double low = to == CLG_U8 ? 0 : to == CLG_I32 ? INT32_MIN : -0x1p63;
    const double high = to == CLG_U8 ? 255 : to == CLG_I32 ? INT32_MAX : 0x1p63;
    switch (to) {
    case CLG_F32:
        return (double)(float)value;
    case CLG_F64:
        return value;
    case CLG_F16:
    case CLG_BF16: /* by way of f32 */
        return round_half(to, (double)(float)value);
    case CLG_BOOL:
        return value != 0;
    default:
        if (real) /* truncates toward zero, saturates; NaN is 0 */
            return isnan(value) ? 0 : value <= low ? low : value >= high ? high : trunc(value);
        return to == CLG_U8    ? (double)(uint8_t)(int64_t)value
               : to == CLG_I32 ? (double)(int32_t)(uint32_t)(int64_t)value
                               : value;
    }
}

bool support_computes(clg_dtype dtype) { return dtype != CLG_BOOL && dtype != CLG_F16 && dtype != CLG_BF16; }
