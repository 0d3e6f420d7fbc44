/* A matrix product on a GPU: a group of SIDE x SIDE work-items computes a tile of (4 SIDE) x (4 SIDE), each work-item
 * 4 x 4 elements, from blocks of A and B in local memory; then each runs the step's body on its elements. Columns of
 * a work-item are SIDE apart, so that neighbours load and store neighbouring elements. */
#ifndef KERNEL
#define KERNEL matmul_gpu_example
#define T float
#define SIDE 16
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
#define B_COLUMN 1
#endif
#define TILE (4 * SIDE)

kernel void KERNEL(global const T *a, global const T *b PARAMETERS)
{
    local T block_a[SIDE][TILE + 1], block_b[SIDE][TILE + 1];
    const int x = (int)get_local_id(0), y = (int)get_local_id(1), id = y * SIDE + x;
    const INDEX p0 = (INDEX)get_group_id(2);
    const INDEX row = (INDEX)get_group_id(1) * TILE, column = (INDEX)get_group_id(0) * TILE;
    global const T *ma = a + A_OFFSET + p0 * A_BATCH;
    global const T *mb = b + B_OFFSET + p0 * B_BATCH;
    T sum[16];
    for (int i = 0; i < 16; i++)
        sum[i] = 0;
    for (INDEX k0 = 0; k0 < K; k0 += SIDE) {
        for (int e = id; e < SIDE * TILE; e += SIDE * SIDE) {
            /* along whichever direction is contiguous in memory */
            const int ka = A_COLUMN == 1 ? e % SIDE : e / TILE, ra = A_COLUMN == 1 ? e / SIDE : e % TILE;
            const int kb = B_COLUMN == 1 ? e / TILE : e % SIDE, cb = B_COLUMN == 1 ? e % TILE : e / SIDE;
            block_a[ka][ra] =
                k0 + ka < K && row + ra < M ? ma[(row + ra) * (INDEX)A_ROW + (k0 + ka) * (INDEX)A_COLUMN] : (T)0;
            block_b[kb][cb] =
                k0 + kb < K && column + cb < N ? mb[(k0 + kb) * (INDEX)B_ROW + (column + cb) * (INDEX)B_COLUMN] : (T)0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < SIDE; k++) {
#pragma unroll
            for (int i = 0; i < 16; i++)
                sum[i] = fma(block_a[k][y + i / 4 * SIDE], block_b[k][x + i % 4 * SIDE], sum[i]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    //@ once
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const INDEX p1 = row + y + i / 4 * SIDE, p2 = column + x + i % 4 * SIDE;
        if (p1 < M && p2 < N) {
            //@ epilogue
        }
    }
}
#undef TILE
#undef T
#undef SIDE
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
#undef B_COLUMN
