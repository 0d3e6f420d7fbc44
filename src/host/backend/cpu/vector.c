/* Vector loops of the CPU backend: for every operation of ops.def and every dtype, one function over n lanes.
 * Compiled once for each instruction set (CLG_ISA names the table); which one runs is chosen when a device opens.
 * vector_dtype.h is the part that depends on the dtype. */
#include "cpu.h"

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

/* Operands of an expression, by arity and by the types column. */
#define OPERANDS_1(A, T) const A *pa = r->slot[e->a];
#define OPERANDS_2(A, T) OPERANDS_1(A, T) const T *pb = r->slot[e->b];
#define OPERANDS_3(A, T) OPERANDS_2(A, T) const T *pc = r->slot[e->c];
#define VALUES_1(A, T) A a = pa[i];
#define VALUES_2(A, T) VALUES_1(A, T) T b = pb[i];
#define VALUES_3(A, T) VALUES_2(A, T) T c = pc[i];

#define KERNEL(ID, arity, A, T, R, expr)                                                                               \
    static void FN(S, ID)(cpu_runner * r, const cpu_entry *e, int64_t n)                                               \
    {                                                                                                                  \
        R *d = r->slot[e->d];                                                                                          \
        OPERANDS_##arity(A, T) LANES for (int64_t i = 0; i < n; i++) { VALUES_##arity(A, T) d[i] = (R)(expr); }        \
    }

#define TYPE f32
#define WIDE f64
#define REAL
#define INIT(real, i32, u8) real
#include "vector_dtype.h"
#define TYPE f64
#define WIDE f64
#define REAL
#define INIT(real, i32, u8) real
#include "vector_dtype.h"
#define TYPE i32
#define WIDE i32
#define INIT(real, i32, u8) i32
#include "vector_dtype.h"
#define TYPE u8
#define WIDE u8
#define INIT(real, i32, u8) u8
#include "vector_dtype.h"

#define CAST_KERNEL(from, to)                                                                                          \
    static void from##_to_##to(cpu_runner *r, const cpu_entry *e, int64_t n)                                           \
    {                                                                                                                  \
        FN(to, t) *d = r->slot[e->d];                                                                                  \
        const FN(from, t) *a = r->slot[e->a];                                                                          \
        LANES for (int64_t i = 0; i < n; i++) d[i] = FN(to, from_##from)(a[i]);                                        \
    }
#define CAST_KERNELS(from) CAST_KERNEL(from, f32) CAST_KERNEL(from, f64) CAST_KERNEL(from, i32) CAST_KERNEL(from, u8)
CAST_KERNELS(f32)
CAST_KERNELS(f64)
CAST_KERNELS(i32)
CAST_KERNELS(u8)

#ifndef CLG_ISA
#define CLG_ISA baseline
#endif
#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x

#define ROW_NUMERIC(ID)                                                                                                \
    {                                                                                                                  \
        f32_##ID, f64_##ID, i32_##ID, u8_##ID                                                                          \
    }
#define ROW_FLOATING(ID)                                                                                               \
    {                                                                                                                  \
        f32_##ID, f64_##ID, NULL, NULL                                                                                 \
    }
#define ROW_COMPARE(ID) ROW_NUMERIC(ID)
#define ROW_SELECT(ID) ROW_NUMERIC(ID)
#define ROW_CAST(ID)                                                                                                   \
    {                                                                                                                  \
        NULL                                                                                                           \
    }
#define REDUCER(T, ID)                                                                                                 \
    {                                                                                                                  \
        T##_##ID##_tile_init, T##_##ID##_tile_add, T##_##ID##_tile_flush, T##_##ID##_tile_finish, T##_##ID##_row_init, \
            T##_##ID##_row_add, T##_##ID##_row_finish                                                                  \
    }
#define CAST_ROW(from)                                                                                                 \
    {                                                                                                                  \
        from##_to_f32, from##_to_f64, from##_to_i32, from##_to_u8                                                      \
    }

const cpu_vectors MATH_JOIN(cpu_vectors_, CLG_ISA) = {
    .name = TEXT(CLG_ISA),
    .map =
        {
#define MAP(ID, name, arity, types, ...) [OP_##ID] = ROW_##types(ID),
#include "../../core/ops.def"
        },
    .cast = {CAST_ROW(f32), CAST_ROW(f64), CAST_ROW(i32), CAST_ROW(u8)},
    .reduce =
        {
#define REDUCE(ID, ...) [OP_##ID] = {REDUCER(f32, ID), REDUCER(f64, ID), REDUCER(i32, ID), REDUCER(u8, ID)},
#include "../../core/ops.def"
        },
};
