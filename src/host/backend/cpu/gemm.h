/* Matrix products of the CPU path: gemm.c, compiled once for each instruction set like vector.c.
 *
 * Every element of a product is one chain of operations in the order of k,
 *
 *     c[i][j] = 0;  for (p = 0; p < k; p++)  c[i][j] = fma(a[i][p], b[p][j], c[i][j])
 *
 * whatever the tiles, the blocks and the threads are, so that results have the same bits for every cut of the work, on
 * every instruction set with a fused multiply-add, and on OpenCL devices whose kernel does the same. */
#ifndef CLG_GEMM_H
#define CLG_GEMM_H

#include "../../core/array.h"

/* Copies of an operand that is no matrix, by whoever knows it: `count` rows of a (columns of b) from `first` on, over k
 * positions of depth from p on. Element (i, q) of them goes to to[i * step + q * depth_step]. */
typedef void gemm_pack(const void *operand, int64_t first, int64_t count, int64_t p, int64_t k, void *to, int64_t step,
                       int64_t depth_step);

/* Part of an operand that is no matrix: element p of a block of depth of its row i (of a; of b: column i) is at
 * base[row[i] + depth[p]], and consecutive rows are step apart within runs. */
typedef struct gemm_window {
    const void *base;
    const int64_t *row, *depth;
    int64_t step, run;
} gemm_window;

/* What knows such an operand. */
typedef struct gemm_windows {
    /* The end of the block of depth that begins at p, of at most `most` positions; of the block of rows, which may be
     * behind the last one. */
    int64_t (*depth_end)(const void *operand, int64_t p, int64_t most);
    int64_t (*row_end)(const void *operand, int64_t row, int64_t p, int64_t k);
    /* Sees to it that a block can be read. It can until the next call. */
    void (*open)(void *operand, int64_t row, int64_t m, int64_t p, int64_t k, gemm_window *window);
} gemm_windows;

/* c (m, n), rows ldc apart = a (m, k) b (k, n), k >= 1. a_stride: from row to row and from column to column, one of
 * them 1 (or its extent 1); the same for b. c shares memory with neither. */
typedef struct gemm_product {
    int64_t m, n, k;
    const void *a, *b;
    int64_t a_stride[2], b_stride[2];
    void *c;
    int64_t ldc;
    void *scratch; /* 64-byte aligned, gemm_scratch_bytes */
    /* Called for blocks of c as they are finished: rows row ... row + m - 1, columns column ... column + n - 1. Each
     * element is in one block. NULL: not called. */
    void (*done)(void *context, int64_t row, int64_t m, int64_t column, int64_t n);
    void *context;
    gemm_pack *pack_a, *pack_b;  /* not NULL: the operand is what they take; of its strides only counts whether the last
                                    one is 1, as in a matrix */
    const gemm_windows *windows; /* not NULL: a is what they know, and is not packed; */
    bool window_columns;         /* or b, whose step is 1 */
} gemm_product;

/* Index: CLG_F32 or CLG_F64. */
typedef struct gemm_table {
    bool fused;                 /* the chain is one of fused multiply-adds; else each step rounds twice */
    int width[2];               /* lanes of a vector: columns are best cut at multiples */
    int tile_rows, block_tiles; /* most rows of a tile, most tiles of a that are packed at a time */
    int tile_space[2];          /* elements of a packed tile of a */
    int column_space[2];        /* elements of a packed column of b */
    void (*run[2])(const gemm_product *);
} gemm_table;

/* A panel of packed b is two vectors wide; so many columns are packed at a time. */
enum { GEMM_PANEL_VECTORS = 2, GEMM_BLOCK_COLUMNS = 512 };

/* The scratch of a product: packed tiles of m rows of a, then packed panels of n columns of b, in elements. Enough for
 * smaller products, too. */
static inline int64_t gemm_tiles_space(const gemm_table *t, clg_dtype dtype, int64_t m)
{
    return smaller(divide_up(m, t->tile_rows), t->block_tiles) * t->tile_space[dtype];
}

static inline int64_t gemm_panels_space(const gemm_table *t, clg_dtype dtype, int64_t n)
{
    return round_up(smaller(n, GEMM_BLOCK_COLUMNS), GEMM_PANEL_VECTORS * t->width[dtype]) * t->column_space[dtype];
}

static inline int64_t gemm_scratch_bytes(const gemm_table *t, clg_dtype dtype, int64_t m, int64_t n)
{
    int64_t few = smaller(n, t->width[dtype]); /* then rows and columns may change places */
    int64_t plain = gemm_tiles_space(t, dtype, m) + gemm_panels_space(t, dtype, n);
    int64_t swapped = gemm_tiles_space(t, dtype, few) + gemm_panels_space(t, dtype, m);
    return larger(plain, swapped) * (int64_t)clg_dtype_size(dtype);
}
#endif
