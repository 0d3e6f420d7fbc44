/* The table of dtypes; single elements as f64; conversion of arrays on the host. */
#include "dtypes.h"

#include <string.h>

#define MATH_DTYPE 0
#include "kernels/math.h"
#define MATH_DTYPE 1
#include "kernels/math.h"
#define MATH_DTYPE 2
#include "kernels/math.h"
#define MATH_DTYPE 3
#include "kernels/math.h"
#define MATH_DTYPE 4
#include "kernels/math.h"
#define MATH_DTYPE 5
#include "kernels/math.h"
#define MATH_DTYPE 6
#include "kernels/math.h"
#define MATH_DTYPE 7
#include "kernels/math.h"

#define REAL true
#define INTEGER false
const dtype_row clg_dtypes[CLG_DTYPE_COUNT] = {
#define DTYPE(ID, name, suffix, element, lanes, kind, rank, arithmetic, lowest, highest)                               \
    [CLG_##ID] = {#name, #suffix, #lanes, sizeof(element), kind, rank, CLG_##arithmetic, #lowest, #highest},
#include "dtypes.def"
};
#undef REAL
#undef INTEGER

size_t clg_dtype_size(clg_dtype dtype) { return (unsigned)dtype < CLG_DTYPE_COUNT ? clg_dtypes[dtype].size : 0; }

const char *clg_dtype_name(clg_dtype dtype)
{
    return (unsigned)dtype < CLG_DTYPE_COUNT ? clg_dtypes[dtype].name : "unknown dtype";
}

bool clg_dtype_is_real(clg_dtype dtype) { return (unsigned)dtype < CLG_DTYPE_COUNT && clg_dtypes[dtype].real; }

clg_dtype clg_dtype_promote(clg_dtype a, clg_dtype b)
{
    if (clg_dtype_size(a) == 0 || clg_dtype_size(b) == 0)
        return CLG_DTYPE_COUNT;
    const int difference = clg_dtypes[a].rank - clg_dtypes[b].rank;
    return a == b ? a : difference == 0 ? CLG_F32 : difference > 0 ? a : b;
}

/* ---------------------------------------------------------------- elements */

/* Of each dtype what it makes of a number, and its number. */
#define bool_of(value) ((uint8_t)((value) != 0))
#define f16_of(value) f16_from_f32(f32_from_f64(value))
#define bf16_of(value) bf16_from_f32(f32_from_f64(value))
#define f64_from_f16(x) ((double)f32_from_f16(x))
#define f64_from_bf16(x) ((double)f32_from_bf16(x))

dtype_element dtype_encode(clg_dtype dtype, double value)
{
    dtype_element to = {{0}};
#define ENCODE(ID, T, v)                                                                                               \
    case CLG_##ID: {                                                                                                   \
        const T x = (v);                                                                                               \
        memcpy(to.bytes, &x, sizeof x);                                                                                \
        break;                                                                                                         \
    }
    switch (dtype) {
        ENCODE(F32, float, f32_from_f64(value))
        ENCODE(F64, double, value)
        ENCODE(I32, int32_t, i32_from_f64(value))
        ENCODE(U8, uint8_t, u8_from_f64(value))
        ENCODE(I64, int64_t, i64_from_f64(value))
        ENCODE(BOOL, uint8_t, bool_of(value))
        ENCODE(F16, uint16_t, f16_of(value))
        ENCODE(BF16, uint16_t, bf16_of(value))
    case CLG_DTYPE_COUNT:
        break;
    }
    return to;
}

double dtype_decode(clg_dtype dtype, const void *element)
{
    double value = NAN;
#define DECODE(ID, suffix, T)                                                                                          \
    case CLG_##ID: {                                                                                                   \
        T x;                                                                                                           \
        memcpy(&x, element, sizeof x);                                                                                 \
        value = f64_from_##suffix(x);                                                                                  \
        break;                                                                                                         \
    }
    switch (dtype) {
#define DTYPE(ID, name, suffix, element, ...) DECODE(ID, suffix, element)
#include "dtypes.def"
    case CLG_DTYPE_COUNT:
        break;
    }
    return value;
}

double dtype_round(clg_dtype dtype, double value)
{
    const dtype_element x = dtype_encode(dtype, value);
    return dtype_decode(dtype, x.bytes);
}

double dtype_convert(clg_dtype from, clg_dtype to, double value)
{
    if (clg_dtypes[from].real || clg_dtypes[to].real || to == CLG_BOOL)
        return dtype_round(to, value);
    const int64_t x = i64_from_f64(value);
    return to == CLG_U8 ? (double)(uint8_t)x : to == CLG_I32 ? (double)(int32_t)(uint32_t)x : (double)x;
}

/* ---------------------------------------------------------------- arrays */

void clg_dtype_convert(clg_dtype from, const void *x, clg_dtype to, void *y, int64_t count)
{
    const size_t size = clg_dtype_size(from), result = clg_dtype_size(to);
    const bool integers = !clg_dtype_is_real(from) && !clg_dtype_is_real(to) && to != CLG_BOOL;
    if (size == 0 || result == 0)
        return;
    for (int64_t i = 0; i < count; i++) {
        const char *at = (const char *)x + (size_t)i * size;
        char *d = (char *)y + (size_t)i * result;
        int64_t whole = 0;
        if (from == to) {
            memcpy(d, at, size);
        } else if (integers) { /* f64 does not have every i64 */
            if (from == CLG_I64)
                memcpy(&whole, at, size);
            else
                whole = (int64_t)dtype_decode(from, at);
            const int32_t word = (int32_t)(uint32_t)whole;
            const uint8_t byte = (uint8_t)whole;
            memcpy(d, to == CLG_I64 ? (const void *)&whole : to == CLG_I32 ? (const void *)&word : &byte, result);
        } else {
            const dtype_element value = dtype_encode(to, dtype_decode(from, at));
            memcpy(d, value.bytes, result);
        }
    }
}
