/* A matrix product on a CPU device. A work-item computes TILES_EACH register tiles, one below the other, of TM rows by
 * NV vectors of W columns, and runs the step's body on each (the epilogue: bias, activation, ...) while it is in the
 * first cache. With PACK the first tile leaves B's columns in local memory, densely, for the others.
 *
 * Element (b, r, c) of A is a[A_OFFSET + b A_BATCH + r A_ROW + c A_COLUMN]; the same for B, whose columns are
 * neighbours (B_COLUMN is 1). The last tile of a row or column of tiles is moved back to fit, so loads never leave
 * the matrices; its epilogue runs only on what no other tile covers. */
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
#define M 8
#define N 32
#define K 8
#define A_OFFSET 0
#define A_BATCH 0
#define A_ROW 8
#define A_COLUMN 1
#define B_OFFSET 0
#define B_BATCH 0
#define B_ROW 32
#define ROW_TILES 4
#define TILES_EACH 2
#define PACK 1
#endif

#define DECLARE_VECTOR(i, v) V c##i##_##v = (V)(0);
#define DECLARE_ROW(i) EACH_VECTOR(DECLARE_VECTOR, i)
#define LOAD_GLOBAL(from, v) const V b##v = AT(global const, from + v * W);
#define LOAD_LOCAL(from, v) const V b##v = AT(local const, from + v * W);
#define PACK_VECTOR(to, v) AT(local, to + v * W) = b##v;
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

kernel void KERNEL(global const T *a, global const T *b PARAMETERS)
{
#if PACK
    local T panel[K * NV * W];
#endif
    const INDEX p0 = (INDEX)get_group_id(2);
    const INDEX first_tile = (INDEX)get_group_id(0) * TILES_EACH;
    const INDEX end_tile = min(first_tile + TILES_EACH, (INDEX)ROW_TILES);
    const INDEX first_column = (INDEX)get_group_id(1) * (NV * W), column = min(first_column, (INDEX)(N - NV * W));
    //@ once
    for (INDEX row_tile = first_tile; row_tile < end_tile; row_tile++) {
        const INDEX first_row = row_tile * TM, row = min(first_row, (INDEX)(M - TM));
        global const T *ma = a + A_OFFSET + p0 * A_BATCH + row * A_ROW;
        EACH_ROW(DECLARE_ROW)
#if PACK
        if (row_tile > first_tile) {
            local const T *mb = panel;
#pragma unroll 1
            for (INDEX k = 0; k < K; k++) {
                EACH_VECTOR(LOAD_LOCAL, mb)
                EACH_ROW(MULTIPLY_ROW)
                ma += A_COLUMN;
                mb += NV * W;
            }
        } else
#endif
        {
            global const T *mb = b + B_OFFSET + p0 * B_BATCH + column;
#if PACK
            local T *to = panel;
#endif
#pragma unroll 1
            for (INDEX k = 0; k < K; k++) {
                EACH_VECTOR(LOAD_GLOBAL, mb)
#if PACK
                EACH_VECTOR(PACK_VECTOR, to)
                to += NV * W;
#endif
                EACH_ROW(MULTIPLY_ROW)
                ma += A_COLUMN;
                mb += B_ROW;
            }
        }
        T tile[TM * NV * W];
        EACH_ROW(KEEP_ROW)
#pragma unroll 1
        for (int i = (int)(first_row - row); i < TM; i++) {
            const INDEX p1 = row + i;
            //@ epilogue
        }
    }
}
#undef DECLARE_VECTOR
#undef DECLARE_ROW
#undef LOAD_GLOBAL
#undef LOAD_LOCAL
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
#undef M
#undef N
#undef K
#undef A_OFFSET
#undef A_BATCH
#undef A_ROW
#undef A_COLUMN
#undef B_OFFSET
#undef B_BATCH
#undef B_ROW
#undef ROW_TILES
#undef TILES_EACH
#undef PACK
