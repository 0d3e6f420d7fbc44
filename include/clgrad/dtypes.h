/* Types of elements, and how they meet. */
#ifndef CLGRAD_DTYPES_H
#define CLGRAD_DTYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define CLG_API
#else
#define CLG_API __attribute__((visibility("default")))
#endif

/* In memory: f32 and f64 as C's float and double; i32 and i64 two's complement; u8; bool a byte, 0 or 1; f16 (IEEE 754
 * binary16) and bf16 (the upper half of an f32) as uint16_t.
 *
 * f16 and bf16 are types of storage: operations compute in f32 and round what they give (to the nearest, of two the
 * even one; what is too large becomes infinite), and sums of products are f32 until the end. */
typedef enum clg_dtype {
    CLG_F32 = 0,
    CLG_F64,
    CLG_I32,
    CLG_U8,
    CLG_I64,
    CLG_BOOL,
    CLG_F16,
    CLG_BF16,
    CLG_DTYPE_COUNT
} clg_dtype;

CLG_API size_t clg_dtype_size(clg_dtype dtype);      /* bytes an element */
CLG_API const char *clg_dtype_name(clg_dtype dtype); /* "f32", "f64", "i32", "u8", "i64", "bool", "f16", "bf16" */
CLG_API bool clg_dtype_is_real(clg_dtype dtype);     /* f32, f64, f16, bf16: what has gradients */

/* The dtype to which operands of two dtypes are cast, before an operation takes them:
 *
 *           bool  u8    i32   i64   f16   bf16  f32   f64
 *     bool  bool  u8    i32   i64   f16   bf16  f32   f64
 *     u8    u8    u8    i32   i64   f16   bf16  f32   f64
 *     i32   i32   i32   i32   i64   f16   bf16  f32   f64
 *     i64   i64   i64   i64   i64   f16   bf16  f32   f64
 *     f16   f16   f16   f16   f16   f16   f32   f32   f64
 *     bf16  bf16  bf16  bf16  bf16  f32   bf16  f32   f64
 *     f32   f32   f32   f32   f32   f32   f32   f32   f64
 *     f64   f64   f64   f64   f64   f64   f64   f64   f64
 *
 * As PyTorch and JAX have it; NumPy makes f64 of integers and f32. Functions of real variables (exp, divide, mean, ...)
 * make f32 of integers. Comparisons give bool. Sums and products of integers and bool, running ones too, are i64, as
 * NumPy's. Arithmetic of bool is that of u8, as bool again: add is "or", multiply "and", subtract "xor".
 * CLG_DTYPE_COUNT if one of them is none. */
CLG_API clg_dtype clg_dtype_promote(clg_dtype a, clg_dtype b);

/* count elements of x, of dtype from, as dtype to in y, as clg_cast makes them. The arrays must not overlap. */
CLG_API void clg_dtype_convert(clg_dtype from, const void *x, clg_dtype to, void *y, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
