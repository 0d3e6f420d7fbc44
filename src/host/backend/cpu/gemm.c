/* Matrix products in registers, after Goto and van de Geijn ("Anatomy of high-performance matrix multiplication",
 * 2008): a tile of c stays in registers over a block of k, panels of a and b are packed to be read in sequence.
 * Compiled once for each instruction set (CLG_ISA names the table). gemm_dtype.h is the part that depends on the dtype.
 *
 * ROWS_MAX x 2 vectors of accumulators, two of b and one of a fill the vector registers. Multiply-adds are written as
 * intrinsics: whether a compiler fuses an expression depends on its version and tuning, and the bits on that. */
#include "gemm.h"
#include "simd.h"

#include <string.h>

#if defined(__AVX512F__)
#define ROWS_MAX 14
#define FMA_f32(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FMA_f64(a, b, c) _mm512_fmadd_pd(a, b, c)
#elif defined(__AVX2__) && defined(__FMA__)
#define ROWS_MAX 6
#define FMA_f32(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FMA_f64(a, b, c) _mm256_fmadd_pd(a, b, c)
#elif defined(SVE)
#define ROWS_MAX 12
#define FMA_f32(a, b, c) svmla_x(svptrue_b32(), c, a, b)
#define FMA_f64(a, b, c) svmla_x(svptrue_b64(), c, a, b)
#elif defined(__aarch64__)
#define ROWS_MAX 12
#define FMA_f32(a, b, c) vfmaq_f32(c, a, b)
#define FMA_f64(a, b, c) vfmaq_f64(c, a, b)
#else
#define ROWS_MAX 4
#define UNFUSED
#define FMA_f32(a, b, c) ((a) * (b) + (c))
#define FMA_f64(a, b, c) ((a) * (b) + (c))
#endif

/* What blocks are transposed in: vectors of TURN_BYTES, whose lanes of 16 bytes come from as many addresses. */
#if defined(__AVX512F__)
#define TURN_BYTES 64
#define X86(name) _mm512_##name
typedef __m512 turn_vector;
static inline turn_vector load_lanes(const char *const *from)
{
    turn_vector x = _mm512_castps128_ps512(_mm_loadu_ps((const float *)from[0]));
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)from[1]), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)from[2]), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps((const float *)from[3]), 3);
}
#elif defined(__AVX2__)
#define TURN_BYTES 32
#define X86(name) _mm256_##name
typedef __m256 turn_vector;
static inline turn_vector load_lanes(const char *const *from)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps((const float *)from[0])),
                                _mm_loadu_ps((const float *)from[1]), 1);
}
#elif defined(__SSE2__)
#define TURN_BYTES 16
#define X86(name) _mm_##name
typedef __m128 turn_vector;
static inline turn_vector load_lanes(const char *const *from) { return _mm_loadu_ps((const float *)from[0]); }
#elif defined(__aarch64__)
#define TURN_BYTES 16
typedef float32x4_t turn_vector;
static inline turn_vector load_lanes(const char *const *from) { return vld1q_f32((const float *)from[0]); }
#endif

#define ROW_VECTORS 8 /* of a tile of one row */
/* How a tile's rows lie; the last: by row, and b by table. */
enum { BY_COLUMN, BY_ROW, BY_TABLE, B_BY_TABLE, LAYOUTS };

#define KEEP(pointer) __asm__("" : "+r"(pointer)) /* in a register, not computed from others */
#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b
#define FN(dtype, name) JOIN(dtype, JOIN(_, name))

/* A block of k: a panel of b (DEPTH_BYTES x 2 vectors) should stay in the first-level cache while a's tiles pass by. A
 * block of rows and a block of columns: packed a, packed b should stay in the second-level cache. */
#define DEPTH_BYTES 1536
#define PAD_BYTES 64 /* behind a row of packed a, so that rows do not fall on the same cache sets */
#define BLOCK_TILES ((56 + ROWS_MAX - 1) / ROWS_MAX)
#define DEPTH_OF(T) (DEPTH_BYTES / (int)sizeof(T))
#define ROW_STEP_OF(T) (DEPTH_OF(T) + PAD_BYTES / (int)sizeof(T)) /* from row to row of packed a */
/* from column to column, where a's rows are neighbours */
#define COLUMN_STEP_OF(T) ((ROWS_MAX + WIDTH_OF(T) - 1) / WIDTH_OF(T) * WIDTH_OF(T))
#define TILE_SPACE_OF(T) (COLUMN_STEP_OF(T) * ROW_STEP_OF(T)) /* elements of a packed tile */
/* Not packed: tiles of a that meet only so many panels, panels of b that meet only so many tiles. */
#define IN_PLACE 8

/* Rows of the next tile of those that are left: no short tile behind full ones, whose few accumulators would wait for
 * each other. */
static int tile_rows(int64_t left)
{
    return left >= 2 * ROWS_MAX ? ROWS_MAX : left > ROWS_MAX ? (int)(left + 3) / 4 * 2 : (int)left;
}

/* What is computed with: an even number of rows, or one. The rows too many are discarded. */
static int tile_height(int rows) { return rows == 1 ? 1 : (rows + 1) / 2 * 2; }

/* Whether lines that many bytes apart fall on the same sets of a first-level cache. */
static bool same_sets(int64_t apart) { return (apart + 128) % 4096 <= 256; }

/* Of k rows step apart, the first ones of which want elements can be read though only have are the rows' own: what is
 * behind them must still be in the matrix. */
static int64_t rows_readable(int64_t k, int64_t step, int64_t have, int64_t want)
{
    int64_t lack = have < want ? divide_up(want - have, step) : 0;
    return k > lack ? k - lack : 0;
}

/* Blocks of 4 x 4 floats, or 2 x 2 doubles, in each lane: transposed. */
#if defined(X86)
static inline void f32_transpose(turn_vector r[4])
{
#define HALVES(how, a, b) X86(castpd_ps)(X86(how)(X86(castps_pd)(a), X86(castps_pd)(b)))
    turn_vector a = X86(unpacklo_ps)(r[0], r[1]), b = X86(unpackhi_ps)(r[0], r[1]);
    turn_vector c = X86(unpacklo_ps)(r[2], r[3]), d = X86(unpackhi_ps)(r[2], r[3]);
    r[0] = HALVES(unpacklo_pd, a, c);
    r[1] = HALVES(unpackhi_pd, a, c);
    r[2] = HALVES(unpacklo_pd, b, d);
    r[3] = HALVES(unpackhi_pd, b, d);
}

static inline void f64_transpose(turn_vector r[2])
{
    turn_vector a = r[0];
    r[0] = HALVES(unpacklo_pd, a, r[1]);
    r[1] = HALVES(unpackhi_pd, a, r[1]);
}
#elif defined(__aarch64__)
static inline void f32_transpose(turn_vector r[4])
{
    turn_vector a = vzip1q_f32(r[0], r[2]), b = vzip2q_f32(r[0], r[2]);
    turn_vector c = vzip1q_f32(r[1], r[3]), d = vzip2q_f32(r[1], r[3]);
    r[0] = vzip1q_f32(a, c);
    r[1] = vzip2q_f32(a, c);
    r[2] = vzip1q_f32(b, d);
    r[3] = vzip2q_f32(b, d);
}

static inline void f64_transpose(turn_vector r[2])
{
    float64x2_t a = vreinterpretq_f64_f32(r[0]), b = vreinterpretq_f64_f32(r[1]);
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(a, b));
    r[1] = vreinterpretq_f32_f64(vzip2q_f64(a, b));
}
#endif

#ifndef CLG_ISA
#define CLG_ISA baseline
#endif
#define THIS JOIN(gemm_, CLG_ISA)
extern const gemm_table THIS;

#define TYPE f32
#define T float
#include "gemm_dtype.h"
#define TYPE f64
#define T double
#include "gemm_dtype.h"

const gemm_table THIS = {
#ifndef UNFUSED
    .fused = true,
#endif
    .width = {WIDTH_OF(float), WIDTH_OF(double)},
    .tile_rows = ROWS_MAX,
    .block_tiles = BLOCK_TILES,
    .tile_space = {TILE_SPACE_OF(float), TILE_SPACE_OF(double)},
    .column_space = {DEPTH_OF(float), DEPTH_OF(double)},
    .run = {f32_gemm, f64_gemm},
};
