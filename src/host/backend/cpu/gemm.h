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

#include <clgrad/clgrad.h>

/* c (m, n), rows ldc apart = a (m, k) b (k, n), k >= 1. a_stride: from row to row and from column to column, one of
 * them 1 (or its extent 1); the same for b. c shares memory with neither. */
typedef struct gemm_product {
    int64_t m, n, k;
    const void *a, *b;
    int64_t a_stride[2], b_stride[2];
    void *c;
    int64_t ldc;
    void *scratch; /* 64-byte aligned, gemm_table.scratch bytes */
    /* Called for blocks of c as they are finished: rows row ... row + m - 1, columns column ... column + n - 1. Each
     * element is in one block. NULL: not called. */
    void (*done)(void *context, int64_t row, int64_t m, int64_t column, int64_t n);
    void *context;
} gemm_product;

/* Index: CLG_F32 or CLG_F64. */
typedef struct gemm_table {
    bool fused;   /* the chain is one of fused multiply-adds; else each step rounds twice */
    int width[2]; /* lanes of a vector: columns are best cut at multiples */
    void (*run[2])(const gemm_product *);
    int64_t (*scratch[2])(int64_t m, int64_t n); /* bytes, enough for smaller products too */
} gemm_table;

extern const gemm_table gemm_baseline;
#if defined(__x86_64__)
extern const gemm_table gemm_avx2, gemm_avx512;
#endif
#endif
