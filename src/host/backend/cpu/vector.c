/* Vector loops of the CPU backend: for every operation of ops.def and every dtype, one function over n lanes.
 * Compiled once for each instruction set (CLG_ISA names the table); which one runs is chosen when a device opens.
 * vector_dtype.h is the part that depends on the dtype. */
#include "cpu.h"
#include "simd.h"

#include <math.h>
#include <string.h>

#if defined(__GNUC__)
/* the integer instances of expressions such as a < 0 or a != a are constant, and meant to be */
#pragma GCC diagnostic ignored "-Wtype-limits"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wtautological-compare"
#pragma GCC diagnostic ignored "-Wtautological-constant-out-of-range-compare"
#pragma GCC diagnostic ignored "-Wpass-failed" /* f64: libm is called element by element */
#endif
#endif

/* Lanes are independent: a destination is either apart from the operands or equal to one of them. */
#if defined(__clang__)
#define LANES _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define LANES _Pragma("GCC ivdep")
#else
#define LANES
#endif

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

/* The identities of reductions and scans, by the dtype's suffix. */
#define DTYPE(ID, name, suffix, element, lanes, kind, rank, arithmetic, lowest, highest)                               \
    enum { suffix##_ZERO = 0, suffix##_ONE = 1 };                                                                      \
    static const element suffix##_LOWEST __attribute__((unused)) = lowest;                                             \
    static const element suffix##_HIGHEST __attribute__((unused)) = highest;
#include "../../core/dtypes.def"
#define START(suffix, identity) FN(suffix, identity)

/* An operand k of an expression: lanes, or one value for all of them where U. */
#define OPERAND(A, k, U)                                                                                               \
    const A *p##k = r->slot[e->k];                                                                                     \
    const A one_##k = (U) ? *p##k : (A)0;
#define VALUE(A, k, U) A k = (U) ? one_##k : p##k[i];
#define OPERANDS_1(A, T, U) OPERAND(A, a, (U)&1)
#define OPERANDS_2(A, T, U) OPERANDS_1(A, T, U) OPERAND(T, b, (U)&2)
#define OPERANDS_3(A, T, U) OPERANDS_2(A, T, U) OPERAND(T, c, (U)&4)
#define OPERANDS_4(A, T, U) OPERANDS_3(A, T, U) OPERAND(T, x, (U)&8)
#define VALUES_1(A, T, U) VALUE(A, a, (U)&1)
#define VALUES_2(A, T, U) VALUES_1(A, T, U) VALUE(T, b, (U)&2)
#define VALUES_3(A, T, U) VALUES_2(A, T, U) VALUE(T, c, (U)&4)
#define VALUES_4(A, T, U) VALUES_3(A, T, U) VALUE(T, x, (U)&8)

/* A constant. */
#define IS_F32(T) (sizeof(T) == 4 && (T)0.5 != 0)

/* The form U of a map, and the one that has a single value. */
#define LANES_FORM(name, arity, A, T, R, expr, U)                                                                      \
    static void FN(name, U)(cpu_runner * r, const cpu_entry *e, int64_t n)                                             \
    {                                                                                                                  \
        R *d = r->slot[e->d];                                                                                          \
        OPERANDS_##arity(A, T, U) if (IS_F32(T) && n == CPU_CHUNK)                                                     \
        {                                                                                                              \
            LANES for (int64_t i = 0; i < CPU_CHUNK; i++) { VALUES_##arity(A, T, U) d[i] = (R)(expr); }                \
            return;                                                                                                    \
        }                                                                                                              \
        LANES for (int64_t i = 0; i < n; i++) { VALUES_##arity(A, T, U) d[i] = (R)(expr); }                            \
    }
#define ONE_FORM(name, arity, A, T, R, expr)                                                                           \
    static void FN(name, one)(cpu_runner * r, const cpu_entry *e, int64_t n)                                           \
    {                                                                                                                  \
        const int64_t i = 0;                                                                                           \
        R *d = r->slot[e->d];                                                                                          \
        (void)n;                                                                                                       \
        OPERANDS_##arity(A, T, 0) VALUES_##arity(A, T, 0) d[i] = (R)(expr);                                            \
    }
#define FORMS_1(name, A, T, R, expr) LANES_FORM(name, 1, A, T, R, expr, 0) ONE_FORM(name, 1, A, T, R, expr)
#define FORMS_2(name, A, T, R, expr)                                                                                   \
    LANES_FORM(name, 2, A, T, R, expr, 0)                                                                              \
    LANES_FORM(name, 2, A, T, R, expr, 1) LANES_FORM(name, 2, A, T, R, expr, 2) ONE_FORM(name, 2, A, T, R, expr)
#define FORMS_3(name, A, T, R, expr)                                                                                   \
    LANES_FORM(name, 3, A, T, R, expr, 0)                                                                              \
    LANES_FORM(name, 3, A, T, R, expr, 2)                                                                              \
    LANES_FORM(name, 3, A, T, R, expr, 4) LANES_FORM(name, 3, A, T, R, expr, 6) ONE_FORM(name, 3, A, T, R, expr)
#define TABLE_1(name)                                                                                                  \
    {                                                                                                                  \
        name##_0, name##_one                                                                                           \
    }
#define TABLE_2(name)                                                                                                  \
    {                                                                                                                  \
        name##_0, name##_1, name##_2, name##_one                                                                       \
    }
#define TABLE_3(name)                                                                                                  \
    {                                                                                                                  \
        name##_0, NULL, name##_2, NULL, name##_4, NULL, name##_6, name##_one                                           \
    }
#define KERNEL(ID, arity, A, T, R, expr) FORMS_##arity(FN(S, ID), A, T, R, expr)

/* Stores of whole lines that go to memory without reading what was there; the rest is copied. They are ordered among
 * other stores only by a fence (run.c). */
#if defined(__AVX512F__)
#define STREAM(d, s) _mm512_stream_si512((__m512i *)(d), _mm512_loadu_si512(s))
#define STREAM_BYTES 64
#elif defined(__AVX__)
#define STREAM(d, s) _mm256_stream_si256((__m256i *)(d), _mm256_loadu_si256((const __m256i *)(s)))
#define STREAM_BYTES 32
#elif defined(__SSE2__)
#define STREAM(d, s) _mm_stream_si128((__m128i *)(d), _mm_loadu_si128((const __m128i *)(s)))
#define STREAM_BYTES 16
#endif

#define TYPE f32
#define WIDE f64
#define SCAN_INDEX int32_t
#define REAL
#include "vector_dtype.h"
#undef SCAN_INDEX
#define TYPE f64
#define WIDE f64
#define SCAN_INDEX int64_t
#define REAL
#include "vector_dtype.h"
#define TYPE i32
#define WIDE i32
#define BITS
#define WORDS
#include "vector_dtype.h"
#undef WORDS
#define TYPE i64
#define WIDE i64
#include "vector_dtype.h"
#undef BITS
#define TYPE u8
#define WIDE u8
#include "vector_dtype.h"

/* What is stored and not computed with is chosen; f16 is bf16 to that. */
#define S bf16
#define SELECT_NUMERIC(...)
#define SELECT_FLOATING(...)
#define SELECT_INTEGER(...)
#define SELECT_WORD(...)
#define SELECT_COMPARE(...)
#define SELECT_CAST(...)
#define SELECT_SELECT(ID, arity, expr) KERNEL(ID, arity, uint8_t, uint16_t, uint16_t, expr)
#define MAP(ID, name, builder, arity, types, expr, ...) SELECT_##types(ID, arity, expr)
#include "../../core/ops.def"
#undef S

#include "vector_join.h"

#define TYPE f32
#define T float
#define LANE int32_t
#include "sweep_dtype.h"
#define TYPE f64
#define T double
#define LANE int64_t
#include "sweep_dtype.h"

#define CAST_KERNEL(from, to) FORMS_1(from##_to_##to, FN(from, t), FN(from, t), FN(to, t), FN(to, from_##from)(a))
#define CAST_KERNELS(from)                                                                                             \
    CAST_KERNEL(from, f32)                                                                                             \
    CAST_KERNEL(from, f64) CAST_KERNEL(from, i32) CAST_KERNEL(from, u8) CAST_KERNEL(from, i64)
CAST_KERNELS(f32)
CAST_KERNELS(f64)
CAST_KERNELS(i32)
CAST_KERNELS(u8)
CAST_KERNELS(i64)
CAST_KERNEL(f32, f16)
CAST_KERNEL(f32, bf16)
CAST_KERNEL(f16, f32)
CAST_KERNEL(bf16, f32)

static void stream(cpu_runner *r, const cpu_entry *e, int64_t n)
{
    char *d = r->slot[e->d];
    const char *s = r->slot[e->a];
    int64_t i = 0, end = n * e->b;
#ifdef STREAM
    int64_t head = -(intptr_t)d & 63;
    if (head + 64 <= end) {
        memcpy(d, s, (size_t)head);
        int64_t lines = (end - head) & -64;
        for (i = head; i < head + lines; i += STREAM_BYTES)
            STREAM(d + i, s + i);
    }
#endif
    memcpy(d + i, s + i, (size_t)(end - i));
}

#ifndef CLG_ISA
#define CLG_ISA baseline
#endif
#define THIS MATH_JOIN(cpu_vectors_, CLG_ISA)
extern const cpu_vectors THIS;

#define ROW_NUMERIC(ID, arity)                                                                                         \
    {                                                                                                                  \
        TABLE_##arity(f32_##ID), TABLE_##arity(f64_##ID), TABLE_##arity(i32_##ID), TABLE_##arity(u8_##ID),             \
            TABLE_##arity(i64_##ID)                                                                                    \
    }
#define ROW_FLOATING(ID, arity)                                                                                        \
    {                                                                                                                  \
        TABLE_##arity(f32_##ID), TABLE_##arity(f64_##ID)                                                               \
    }
#define ROW_INTEGER(ID, arity)                                                                                         \
    {                                                                                                                  \
        [CLG_I32] = TABLE_##arity(i32_##ID), [CLG_I64] = TABLE_##arity(i64_##ID)                                       \
    }
#define ROW_WORD(ID, arity)                                                                                            \
    {                                                                                                                  \
        [CLG_I32] = TABLE_##arity(i32_##ID)                                                                            \
    }
#define ROW_COMPARE(ID, arity)                                                                                         \
    {                                                                                                                  \
        TABLE_##arity(f32_##ID), TABLE_##arity(f64_##ID), TABLE_##arity(i32_##ID), TABLE_##arity(u8_##ID),             \
            TABLE_##arity(i64_##ID), TABLE_##arity(u8_##ID)                                                            \
    }
#define ROW_SELECT(ID, arity)                                                                                          \
    {                                                                                                                  \
        TABLE_##arity(f32_##ID), TABLE_##arity(f64_##ID), TABLE_##arity(i32_##ID), TABLE_##arity(u8_##ID),             \
            TABLE_##arity(i64_##ID), TABLE_##arity(u8_##ID), TABLE_##arity(bf16_##ID), TABLE_##arity(bf16_##ID)        \
    }
#define ROW_CAST(ID, arity)                                                                                            \
    {                                                                                                                  \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }
#define SCANS_NUMERIC(ID)                                                                                              \
    {                                                                                                                  \
        f32_##ID##_scan, f64_##ID##_scan, i32_##ID##_scan, u8_##ID##_scan, i64_##ID##_scan                             \
    }
#define SCANS_FLOATING(ID)                                                                                             \
    {                                                                                                                  \
        f32_##ID##_scan, f64_##ID##_scan                                                                               \
    }
#define REDUCER(T, ID)                                                                                                 \
    {                                                                                                                  \
        T##_##ID##_tile_init, T##_##ID##_tile_add, T##_##ID##_tile_flush, T##_##ID##_tile_finish, T##_##ID##_row_init, \
            T##_##ID##_row_add, T##_##ID##_row_finish                                                                  \
    }
#define CAST_ROW(from)                                                                                                 \
    {                                                                                                                  \
        TABLE_1(from##_to_f32), TABLE_1(from##_to_f64), TABLE_1(from##_to_i32), TABLE_1(from##_to_u8),                 \
            TABLE_1(from##_to_i64)                                                                                     \
    }

#define SWEEPS(T)                                                                                                      \
    {                                                                                                                  \
        {{T##_sweep_sum_1, T##_sweep_sum_2},                                                                           \
         {T##_sweep_by_one_1, T##_sweep_by_one_2},                                                                     \
         {T##_sweep_by_lanes_1, T##_sweep_by_lanes_2}},                                                                \
            {T##_sweep_max_1, T##_sweep_max_2}, {T##_dot_plain, T##_dot_by_one, T##_dot_by_lanes},                     \
    }

const cpu_vectors THIS = {
    .map =
        {
#define MAP(ID, name, builder, arity, types, ...) [OP_##ID] = ROW_##types(ID, arity),
#include "../../core/ops.def"
        },
    .scan =
        {
#define SCAN(ID, name, builder, arity, types, ...) [OP_##ID] = SCANS_##types(ID),
#include "../../core/ops.def"
        },
    .scatter =
        {
#define SCATTER(ID, ...)                                                                                               \
    [OP_##ID] = {f32_##ID##_scatter, f64_##ID##_scatter, i32_##ID##_scatter, u8_##ID##_scatter, i64_##ID##_scatter},
#include "../../core/ops.def"
        },
    .scatter_begin =
        {
#define SCATTER(ID, ...)                                                                                               \
    [OP_##ID] = {f32_##ID##_begin, f64_##ID##_begin, i32_##ID##_begin, u8_##ID##_begin, i64_##ID##_begin},
#include "../../core/ops.def"
        },
    .joins = joins,
    .join_count = sizeof joins / sizeof joins[0],
    .sweep = {SWEEPS(f32), SWEEPS(f64)},
    .stream = stream,
    .cast = {{TABLE_1(f32_to_f32), TABLE_1(f32_to_f64), TABLE_1(f32_to_i32), TABLE_1(f32_to_u8),
              TABLE_1(f32_to_i64), [CLG_F16] = TABLE_1(f32_to_f16), [CLG_BF16] = TABLE_1(f32_to_bf16)},
             CAST_ROW(f64),
             CAST_ROW(i32),
             CAST_ROW(u8),
             CAST_ROW(i64),
             CAST_ROW(u8),
             {TABLE_1(f16_to_f32)},
             {TABLE_1(bf16_to_f32)}},
    .reduce =
        {
#define REDUCE(ID, ...)                                                                                                \
    [OP_##ID] = {REDUCER(f32, ID), REDUCER(f64, ID), REDUCER(i32, ID), REDUCER(u8, ID), REDUCER(i64, ID)},
#include "../../core/ops.def"
        },
};
