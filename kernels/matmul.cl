/* A matrix product on a CPU device: one work-item computes a register tile of TM rows by NV vectors of W columns, and
 * runs the step's body on it (the epilogue: bias, activation, ...) while it is in the first cache.
 *
 * Element (b, r, c) of A is a[A_OFFSET + b A_BATCH + r A_ROW + c A_COLUMN]; the same for B, whose columns are
 * neighbours (B_COLUMN is 1). The last tile of a row or column of tiles is moved back to fit, so loads never leave
 * the matrices; its epilogue runs only on what no other tile covers. */
#ifndef KERNEL
#define KERNEL matmul_example
#define T float
#define V float16
#define W 16
#define VLOAD vload16
#define VSTORE vstore16
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
#endif

#define DECLARE_VECTOR(i, v) V c##i##_##v = (V)(0);
#define DECLARE_ROW(i) EACH_VECTOR(DECLARE_VECTOR, i)
#define LOAD_VECTOR(i, v) const V b##v = VLOAD(0, mb + v * W);
#define MULTIPLY_VECTOR(i, v) c##i##_##v = mad((V)(x), b##v, c##i##_##v);
#define MULTIPLY_ROW(i)                                                                                                \
    {                                                                                                                  \
        const T x = ma[i * A_ROW];                                                                                     \
        EACH_VECTOR(MULTIPLY_VECTOR, i)                                                                                \
    }
#define KEEP_VECTOR(i, v) VSTORE(c##i##_##v, 0, tile + (i * NV + v) * W);
#define KEEP_ROW(i) EACH_VECTOR(KEEP_VECTOR, i)

kernel void KERNEL(global const T *a, global const T *b PARAMETERS)
{
    const INDEX p0 = (INDEX)get_group_id(2);
    const INDEX first_row = (INDEX)get_group_id(0) * TM, row = min(first_row, (INDEX)(M - TM));
    const INDEX first_column = (INDEX)get_group_id(1) * (NV * W), column = min(first_column, (INDEX)(N - NV * W));
    global const T *ma = a + A_OFFSET + p0 * A_BATCH + row * A_ROW;
    global const T *mb = b + B_OFFSET + p0 * B_BATCH + column;
    EACH_ROW(DECLARE_ROW)
    for (INDEX k = 0; k < K; k++) {
        EACH_VECTOR(LOAD_VECTOR, 0)
        EACH_ROW(MULTIPLY_ROW)
        ma += A_COLUMN;
        mb += B_ROW;
    }
    T tile[TM * NV * W];
    EACH_ROW(KEEP_ROW)
    //@ once
    for (int i = (int)(first_row - row); i < TM; i++) {
        const INDEX p1 = row + i;
        //@ epilogue
    }
}
#undef DECLARE_VECTOR
#undef DECLARE_ROW
#undef LOAD_VECTOR
#undef MULTIPLY_VECTOR
#undef MULTIPLY_ROW
#undef KEEP_VECTOR
#undef KEEP_ROW
#undef T
#undef V
#undef W
#undef VLOAD
#undef VSTORE
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
