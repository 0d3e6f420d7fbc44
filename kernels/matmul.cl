/* A matrix product on a CPU device. Work-groups draw shares: tiles_each x panels_each register tiles of TM rows by NV
 * vectors of W columns (so many columns are a panel), row of tiles by row of tiles; the step's body runs on each (the
 * epilogue: bias, activation, ...) while it is in the first cache. Sizes and strides are arguments, so that steps of
 * several shapes share a kernel.
 *
 * Element (b, r, c) of A is a[a_offset + b a_batch + r a_stride + c], with A_TRANSPOSED
 * a[a_offset + b a_batch + c a_stride + r]; of B, b[b_offset + b b_batch + r b_stride + c], with B_TRANSPOSED
 * b[b_offset + b b_batch + c b_stride + r]. PACK_B: B's panels are copied to local memory first, densely; columns past
 * the matrix then hold anything. PACK_A: so are the rows of a tile. Elements may be of another type in memory, A_T and
 * B_T, of which A_VALUE, A_VECTOR, ... make what is computed with: once for each copy, if there is one. The last tile
 * of a column of tiles (without PACK_B: of a row, too) is moved back to fit, so loads never leave the matrices; its
 * epilogue runs only on what no other tile covers. */
#ifndef KERNEL
#include "prelude.cl"
#define KERNEL matmul_example
#define T float
#define V float16
#define W 16
#define AT(space, p) (*(space float16 *)(p))
#define TM 2
#define NV 2
#define EACH_ROW(F) F(0) F(1)
#define EACH_VECTOR(F, i) F(i, 0) F(i, 1)
#define PARAMETERS
#define INDEX int
#define A_TRANSPOSED 0
#define PACK_A 0
#define PAD 16
#define PACK_B 1
#define PANELS 65536
#define B_TRANSPOSED 0
#define A_T float
#define A_VALUE(x) x
#define A_VECTOR(p) (*(global const float16 *)(p))
#define B_T float
#define B_VALUE(x) x
#define B_VECTOR(p) (*(global const float16 *)(p))
#define BLOCK_VECTOR(p) (*(global const float8 *)(p))
#define BLOCK_V float8
#define BLOCK_AT(space, p) (*(space float8 *)(p))
#endif

#define BLOCK 8
#define NAME_OF(kernel, part) kernel##_##part
#define NAME(kernel, part) NAME_OF(kernel, part)
#define pack_b NAME(KERNEL, pack_b)
#if PACK_A
#define A_VECTORS ((TM + W - 1) / W)
#define A_ELEMENTS local const T
#define A_FACTOR(x) x
#define A_ROW (A_TRANSPOSED ? 1 : PACK_A + PAD) /* not a power of two: rows would be in the same lines of the cache */
#define A_COLUMN (A_TRANSPOSED ? A_VECTORS * W : 1)
#else
#define A_ELEMENTS global const A_T
#define A_FACTOR(x) A_VALUE(x)
#define A_ROW (A_TRANSPOSED ? 1 : a_stride)
#define A_COLUMN (A_TRANSPOSED ? a_stride : 1)
#endif
#if PACK_B
#define B_ELEMENTS local const T
#define B_NEXT(p) AT(local const, p)
#define MOVED_BACK(first) first
#else
#define B_ELEMENTS global const B_T
#define B_NEXT(p) B_VECTOR(p)
#define MOVED_BACK(first) min(first, columns - NV * W)
#endif
#define DECLARE_VECTOR(i, v) V c##i##_##v = (V)(0);
#define DECLARE_ROW(i) EACH_VECTOR(DECLARE_VECTOR, i)
#define LOAD_VECTOR(from, v) const V b##v = B_NEXT(from + v * W);
#define PACK_VECTOR(from, v) AT(local, to + v * W) = B_VECTOR(from + v * W);
/* one chain of fused multiply-adds over k for each element, as on the CPU path: the same bits; not mad(), which
 * PoCL makes a multiplication and an addition */
#define MULTIPLY_VECTOR(i, v) c##i##_##v = fma((V)(x), b##v, c##i##_##v);
#define MULTIPLY_ROW(i)                                                                                                \
    {                                                                                                                  \
        const T x = A_FACTOR(ma[i * A_ROW]);                                                                           \
        EACH_VECTOR(MULTIPLY_VECTOR, i)                                                                                \
    }
#define KEEP_VECTOR(i, v) AT(private, tile + (i * NV + v) * W) = c##i##_##v;
#define KEEP_ROW(i) EACH_VECTOR(KEEP_VECTOR, i)

#if PACK_B
/* Copies panels, each depth rows. */
static void pack_b(local T *packed_b, global const B_T *all_b, const INDEX b_stride, const INDEX depth,
                   const INDEX columns, const INDEX first_panel, const INDEX end_panel)
{
    ROLLED
    for (INDEX number = first_panel; number < end_panel; number++) {
        const INDEX column = number * (NV * W);
        global const B_T *const from = all_b + (B_TRANSPOSED ? column * b_stride : column);
        local T *const panel = packed_b + (number - first_panel) * depth * (NV * W);
#if B_TRANSPOSED
        const int whole = (int)min(columns - column, (INDEX)(NV * W)); /* columns, in memory */
        ROLLED
        for (int c = 0; c < NV * W; c += BLOCK) {
            global const B_T *const block = from + c * b_stride;
            INDEX k = 0;
            ROLLED
            for (; c + BLOCK <= whole && k + BLOCK <= depth; k += BLOCK) {
                BLOCK_V x[BLOCK];
#pragma unroll
                for (int i = 0; i < BLOCK; i++)
                    x[i] = BLOCK_VECTOR(block + i * b_stride + k);
                TRANSPOSE_8(BLOCK_V, x);
#pragma unroll
                for (int i = 0; i < BLOCK; i++)
                    BLOCK_AT(local, panel + (k + i) * (NV * W) + c) = x[i];
            }
            const int end = min(c + BLOCK, NV * W);
            ROLLED
            for (; k < depth; k++) {
                ROLLED
                for (int i = c; i < end; i++)
                    panel[k * (NV * W) + i] = i < whole ? B_VALUE(from[i * b_stride + k]) : 0;
            }
        }
#else
        const INDEX last = (depth - 1) * b_stride + columns - column - NV * W;
        ROLLED
        for (INDEX k = 0; k < depth; k++) {
            global const B_T *row = from + k * b_stride;
            local T *to = panel + k * (NV * W);
            if (k * b_stride <= last) {
                EACH_VECTOR(PACK_VECTOR, row)
            } else {
                ROLLED
                for (int c = 0; c < NV * W; c++)
                    to[c] = column + c < columns ? B_VALUE(row[c]) : 0;
            }
        }
#endif
    }
}
#endif

kernel void KERNEL(global const A_T *a, global const B_T *b, volatile global int *shares_taken PARAMETERS,
                   const INDEX rows, const INDEX columns, const INDEX depth, const INDEX a_offset, const INDEX a_batch,
                   const INDEX a_stride, const INDEX b_offset, const INDEX b_batch, const INDEX b_stride,
                   const INDEX row_tiles, const INDEX tiles_each, const INDEX row_parts, const INDEX all_panels,
                   const INDEX panels_each, const INDEX panel_parts, const INDEX shares)
{
#if PACK_B
    local T packed_b[PANELS] __attribute__((aligned(64)));
    INDEX packed = -1;
#endif
#if PACK_A
    local T packed_a[A_TRANSPOSED ? PACK_A * A_COLUMN : TM * A_ROW] __attribute__((aligned(64)));
#endif
    //@ once
    EACH_SHARE(INDEX, share, shares)
    {
        const INDEX panels = share / row_parts, p0 = panels / panel_parts;
        const INDEX first_tile = share % row_parts * tiles_each, end_tile = min(first_tile + tiles_each, row_tiles);
        const INDEX first_panel = panels % panel_parts * panels_each,
                    end_panel = min(first_panel + panels_each, all_panels);
        global const A_T *const all_a = a + a_offset + p0 * a_batch;
        global const B_T *const all_b = b + b_offset + p0 * b_batch;
#if PACK_B
        if (packed != panels)
            pack_b(packed_b, all_b, b_stride, depth, columns, first_panel, end_panel);
        packed = panels;
#endif
        ROLLED
        for (INDEX row_tile = first_tile; row_tile < end_tile; row_tile++) {
            const INDEX first_row = row_tile * TM, row = min(first_row, rows - TM);
#if PACK_A
            local const T *const tile_a = packed_a;
#if A_TRANSPOSED
            if (row + A_COLUMN <= rows) {
                ROLLED
                for (INDEX k = 0; k < depth; k++)
                    for (int v = 0; v < A_VECTORS; v++)
                        AT(local, packed_a + k * A_COLUMN + v * W) = A_VECTOR(all_a + k * a_stride + row + v * W);
            } else {
                ROLLED
                for (INDEX k = 0; k < depth; k++) {
                    ROLLED
                    for (int i = 0; i < TM; i++)
                        packed_a[k * A_COLUMN + i] = A_VALUE(all_a[k * a_stride + row + i]);
                }
            }
#else
            ROLLED
            for (int i = 0; i < TM; i++) {
                global const A_T *const from = all_a + (row + i) * a_stride;
                INDEX k = 0;
                ROLLED
                for (; k + W <= depth; k += W)
                    AT(local, packed_a + i * A_ROW + k) = A_VECTOR(from + k);
                ROLLED
                for (; k < depth; k++)
                    packed_a[i * A_ROW + k] = A_VALUE(from[k]);
            }
#endif
#else
            global const A_T *const tile_a = all_a + row * A_ROW;
#endif
            ROLLED
            for (INDEX number = first_panel; number < end_panel; number++) {
                const INDEX first_column = number * (NV * W), column = MOVED_BACK(first_column);
                A_ELEMENTS *ma = tile_a;
#if PACK_B
                B_ELEMENTS *mb = packed_b + (number - first_panel) * depth * (NV * W);
#else
                B_ELEMENTS *mb = all_b + column;
#endif
                EACH_ROW(DECLARE_ROW)
                ROLLED
                for (INDEX k = 0; k < depth; k++) {
                    EACH_VECTOR(LOAD_VECTOR, mb)
                    EACH_ROW(MULTIPLY_ROW)
                    ma += A_COLUMN;
                    mb += PACK_B ? NV * W : b_stride;
                }
                T tile[TM * NV * W] __attribute__((aligned(64)));
                EACH_ROW(KEEP_ROW)
                ROLLED
                for (int i = (int)(first_row - row); i < TM; i++) {
                    const INDEX p1 = row + i;
                    //@ epilogue
                }
            }
        }
    }
}
#undef BLOCK
#undef NAME_OF
#undef NAME
#undef pack_b
#undef BLOCK_V
#undef BLOCK_AT
#undef B_TRANSPOSED
#undef B_ELEMENTS
#undef B_NEXT
#undef A_T
#undef A_VALUE
#undef A_VECTOR
#undef B_T
#undef B_VALUE
#undef B_VECTOR
#undef BLOCK_T
#undef BLOCK_VALUE
#undef BLOCK_VECTOR
#undef MOVED_BACK
#undef DECLARE_VECTOR
#undef DECLARE_ROW
#undef LOAD_VECTOR
#undef PACK_VECTOR
#undef MULTIPLY_VECTOR
#undef MULTIPLY_ROW
#undef KEEP_VECTOR
#undef KEEP_ROW
#undef T
#undef V
#undef W
#undef AT
#undef TM
#undef NV
#undef EACH_ROW
#undef EACH_VECTOR
#undef PARAMETERS
#undef INDEX
#undef A_TRANSPOSED
#undef A_VECTORS
#undef A_ELEMENTS
#undef A_FACTOR
#undef A_ROW
#undef A_COLUMN
#undef PACK_A
#undef PAD
#undef PACK_B
#undef PANELS
