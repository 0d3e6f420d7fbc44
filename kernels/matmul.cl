/* A matrix product on a CPU device. A work-item computes tiles_each register tiles, one below the other, of TM rows by
 * NV vectors of W columns, and runs the step's body on each (the epilogue: bias, activation, ...) while it is in the
 * first cache. With PACK it first copies B's columns to local memory, densely; columns past the matrix then hold
 * anything. Sizes and strides are arguments, so that steps of several shapes share a kernel.
 *
 * Element (b, r, c) of A is a[a_offset + b a_batch + r A_ROW + c A_COLUMN], where one of A_ROW and A_COLUMN is 1 and the
 * other a_stride; of B, b[b_offset + b b_batch + r b_stride + c]; with B_TRANSPOSED (which needs PACK) it is
 * b[b_offset + b b_batch + c b_stride + r], and the copy transposes. The last tile of a column of tiles (without PACK: of a
 * row, too) is moved back to fit, so loads never leave the matrices; its epilogue runs only on what no other tile
 * covers. */
#ifndef KERNEL
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
#define A_ROW a_stride
#define A_COLUMN 1
#define PACK 1
#define PANEL 65536
#define B_TRANSPOSED 0
#define BLOCK_V float8
#define BLOCK_AT(space, p) (*(space float8 *)(p))
#endif

#define BLOCK 8
#if PACK
#define SPACE local
#define MOVED_BACK(first) first
#else
#define SPACE global
#define MOVED_BACK(first) min(first, columns - NV * W)
#endif
#define DECLARE_VECTOR(i, v) V c##i##_##v = (V)(0);
#define DECLARE_ROW(i) EACH_VECTOR(DECLARE_VECTOR, i)
#define LOAD_VECTOR(from, v) const V b##v = AT(SPACE const, from + v * W);
#define PACK_VECTOR(from, v) AT(local, to + v * W) = AT(global const, from + v * W);
/* one chain of fused multiply-adds over k for each element, as on the CPU path: the same bits; not mad(), which
 * PoCL makes a multiplication and an addition */
#define MULTIPLY_VECTOR(i, v) c##i##_##v = fma((V)(x), b##v, c##i##_##v);
#define MULTIPLY_ROW(i)                                                                                                \
    {                                                                                                                  \
        const T x = ma[i * A_ROW];                                                                                     \
        EACH_VECTOR(MULTIPLY_VECTOR, i)                                                                                \
    }
#define KEEP_VECTOR(i, v) AT(private, tile + (i * NV + v) * W) = c##i##_##v;
#define KEEP_ROW(i) EACH_VECTOR(KEEP_VECTOR, i)

kernel void KERNEL(global const T *a, global const T *b PARAMETERS, const INDEX rows, const INDEX columns,
                   const INDEX depth, const INDEX a_offset, const INDEX a_batch, const INDEX a_stride,
                   const INDEX b_offset, const INDEX b_batch, const INDEX b_stride, const INDEX row_tiles,
                   const INDEX tiles_each)
{
    const INDEX p0 = (INDEX)get_group_id(2);
    const INDEX first_tile = (INDEX)get_group_id(0) * tiles_each, end_tile = min(first_tile + tiles_each, row_tiles);
    const INDEX first_column = (INDEX)get_group_id(1) * (NV * W), column = MOVED_BACK(first_column);
    global const T *const from = b + b_offset + p0 * b_batch + (B_TRANSPOSED ? column * b_stride : column);
#if PACK
    local T panel[PANEL] __attribute__((aligned(64)));
#if B_TRANSPOSED
    const int whole = (int)min(columns - column, (INDEX)(NV * W)); /* columns, in memory */
#pragma unroll 1
    for (int c = 0; c < NV * W; c += BLOCK) {
        global const T *const block = from + c * b_stride;
        INDEX k = 0;
#pragma unroll 1
        for (; c + BLOCK <= whole && k + BLOCK <= depth; k += BLOCK) {
            BLOCK_V x[BLOCK], y[BLOCK];
#pragma unroll
            for (int i = 0; i < BLOCK; i++)
                x[i] = BLOCK_AT(global const, block + i * b_stride + k);
#pragma unroll
            for (int round = 0; round < 3; round++) {
#pragma unroll
                for (int i = 0; i < BLOCK / 2; i++) {
                    y[2 * i].even = x[i].lo;
                    y[2 * i].odd = x[i + BLOCK / 2].lo;
                    y[2 * i + 1].even = x[i].hi;
                    y[2 * i + 1].odd = x[i + BLOCK / 2].hi;
                }
#pragma unroll
                for (int i = 0; i < BLOCK; i++)
                    x[i] = y[i];
            }
#pragma unroll
            for (int i = 0; i < BLOCK; i++)
                BLOCK_AT(local, panel + (k + i) * (NV * W) + c) = x[i];
        }
        const int end = min(c + BLOCK, NV * W);
#pragma unroll 1
        for (; k < depth; k++)
            for (int i = c; i < end; i++)
                panel[k * (NV * W) + i] = i < whole ? from[i * b_stride + k] : 0;
    }
#else
    const INDEX last = (depth - 1) * b_stride + columns - column - NV * W;
#pragma unroll 1
    for (INDEX k = 0; k < depth; k++) {
        global const T *row = from + k * b_stride;
        local T *to = panel + k * (NV * W);
        if (k * b_stride <= last) {
            EACH_VECTOR(PACK_VECTOR, row)
        } else {
#pragma unroll 1
            for (int c = 0; c < NV * W; c++)
                to[c] = column + c < columns ? row[c] : 0;
        }
    }
#endif
#endif
    //@ once
#pragma unroll 1
    for (INDEX row_tile = first_tile; row_tile < end_tile; row_tile++) {
        const INDEX first_row = row_tile * TM, row = min(first_row, rows - TM);
        global const T *ma = a + a_offset + p0 * a_batch + row * A_ROW;
#if PACK
        local const T *mb = panel;
#else
        global const T *mb = from;
#endif
        EACH_ROW(DECLARE_ROW)
#pragma unroll 1
        for (INDEX k = 0; k < depth; k++) {
            EACH_VECTOR(LOAD_VECTOR, mb)
            EACH_ROW(MULTIPLY_ROW)
            ma += A_COLUMN;
            mb += PACK ? NV * W : b_stride;
        }
        T tile[TM * NV * W] __attribute__((aligned(64)));
        EACH_ROW(KEEP_ROW)
#pragma unroll 1
        for (int i = (int)(first_row - row); i < TM; i++) {
            const INDEX p1 = row + i;
            //@ epilogue
        }
    }
}
#undef BLOCK
#undef BLOCK_V
#undef BLOCK_AT
#undef B_TRANSPOSED
#undef SPACE
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
#undef A_ROW
#undef A_COLUMN
#undef PACK
#undef PANEL
