/* Matrix products in registers, after Goto and van de Geijn ("Anatomy of high-performance matrix multiplication",
 * 2008): a tile of c stays in registers over a block of k, panels of a and b are packed to be read in sequence.
 * Compiled once for each instruction set (CLG_ISA names the table). gemm_dtype.h is the part that depends on the dtype.
 *
 * ROWS_MAX x 2 vectors of accumulators, two of b and one of a fill the vector registers. Multiply-adds are written as
 * intrinsics: whether a compiler fuses an expression depends on its version and tuning, and the bits on that. */
#include "gemm.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define ROWS_MAX 14
#define FMA_f32(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FMA_f64(a, b, c) _mm512_fmadd_pd(a, b, c)
#elif defined(__AVX2__) && defined(__FMA__)
#define VECTOR_BYTES 32
#define ROWS_MAX 6
#define FMA_f32(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FMA_f64(a, b, c) _mm256_fmadd_pd(a, b, c)
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define VECTOR_BYTES 16
#define ROWS_MAX 12
#define FMA_f32(a, b, c) vfmaq_f32(c, a, b)
#define FMA_f64(a, b, c) vfmaq_f64(c, a, b)
#else
#define VECTOR_BYTES 16
#define ROWS_MAX 4
#define UNFUSED
#define FMA_f32(a, b, c) ((a) * (b) + (c))
#define FMA_f64(a, b, c) ((a) * (b) + (c))
#endif

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b
#define FN(dtype, name) JOIN(dtype, JOIN(_, name))

/* A block of k: a panel of b (DEPTH_BYTES x 2 vectors) should stay in the first-level cache while a's tiles pass by. A
 * block of rows and a block of columns: packed a, packed b should stay in the second-level cache. */
#define DEPTH_BYTES 1536
#define PAD_BYTES 64 /* behind a row of packed a, so that rows do not fall on the same cache sets */
#define BLOCK_TILES ((224 + ROWS_MAX - 1) / ROWS_MAX)
#define BLOCK_COLUMNS 512

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t divide_up(int64_t a, int64_t by) { return (a + by - 1) / by; }

/* Rows of the next tile of those that are left: no short tile behind full ones, whose few accumulators would wait for
 * each other. */
static int tile_rows(int64_t left)
{
    return left >= 2 * ROWS_MAX ? ROWS_MAX : left > ROWS_MAX ? (int)(left + 1) / 2 : (int)left;
}

/* What is computed with: an even number of rows, or one. The rows too many are discarded. */
static int tile_height(int rows) { return rows == 1 ? 1 : (rows + 1) / 2 * 2; }

#define TYPE f32
#define T float
#include "gemm_dtype.h"
#define TYPE f64
#define T double
#include "gemm_dtype.h"

#ifndef CLG_ISA
#define CLG_ISA baseline
#endif

const gemm_table JOIN(gemm_, CLG_ISA) = {
#ifndef UNFUSED
    .fused = true,
#endif
    .width = {VECTOR_BYTES / 4, VECTOR_BYTES / 8},
    .run = {f32_gemm, f64_gemm},
    .scratch = {f32_gemm_scratch, f64_gemm_scratch},
};
