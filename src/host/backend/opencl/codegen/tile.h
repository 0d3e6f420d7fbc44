/* How a product is cut up into tiles. */
#ifndef CLG_OPENCL_TILE_H
#define CLG_OPENCL_TILE_H

#include "kernels.h"

/* On a CPU device: register tiles of rows x vectors of width columns (so many columns are a panel), of which a share is
 * tiles_each rows and panels_each columns. packed_b: from a copy of the panels, which may then be padded; packed_a: the
 * rows of a tile are copied, too. With the GPU strategy only: rows x vectors elements a work-item, width work-items
 * of a group along the columns and the others along the rows. */
typedef struct product_tile {
    int rows, vectors, width;
    bool packed_a, packed_b;
    int64_t tiles_each, panels_each;
} product_tile;

/* For CPU devices. */
#define TILE_DEPTH 2048 /* of a product of which rows are copied, at the most */
#define TILE_PAD 16     /* elements between the copied rows of an A that is not transposed */

product_tile tile_choose(const kernel_target *target, const plan_matmul *x);
/* Sets tiles_each and panels_each; INFINITY if no share is possible, else the cycles that it may take. */
double tile_share_out(const kernel_target *target, const plan_matmul *x, product_tile *tile);
/* Whether the kernel can compute it by such tiles, whatever their share. */
bool tile_is_legal(const kernel_target *target, const plan_matmul *x, const product_tile *tile);
int tile_candidates(const kernel_target *target, const plan_matmul *x, product_tile *tiles, int capacity);
/* Elements of local memory that the copy of panels may take. */
int64_t tile_panel_limit(const kernel_target *target, const plan_matmul *x);
/* Columns of A for which a copy of the rows of a tile has room. */
int64_t tile_rows_depth(const plan_matmul *x);
/* Whether the rows of a tile can be copied to local memory, beside the panels. */
bool tile_rows_fit(const kernel_target *target, const plan_matmul *x, const product_tile *tile);
/* Whether columns, not rows, are dense in memory. */
bool tile_a_transposed(const plan_matmul *x);
bool tile_b_transposed(const plan_matmul *x);

/* For GPUs (tile_gpu.c): tiles of kernels/contract_gpu.cl. */
#define GPU_DEPTH 16 /* of a block in local memory */
#define GPU_PAD 4    /* elements between its rows */

/* What a CONTRACT step is: a batch of products (m, k) x (k, n). */
typedef struct gpu_product {
    int64_t batch, m, n, k;
} gpu_product;

product_tile tile_gpu_choose(const kernel_target *target, clg_dtype dtype, const gpu_product *x);
bool tile_gpu_is_legal(const kernel_target *target, clg_dtype dtype, const product_tile *tile);
/* The most promising first. */
int tile_gpu_candidates(const kernel_target *target, clg_dtype dtype, const gpu_product *x, product_tile *tiles,
                        int capacity);
/* Rows, and columns, of a group's tile. */
int64_t tile_gpu_rows(const kernel_target *target, const product_tile *tile);
int64_t tile_gpu_columns(const product_tile *tile);

#endif
