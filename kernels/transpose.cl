/* A dense copy of a matrix (or a batch of them) whose rows are neighbours in memory: out (BATCH, ROWS, COLUMNS) from
 * element (b, r, c) at OFFSET + b BATCH_STRIDE + r + c COLUMN_STRIDE. One work-item copies W rows: W x W blocks are
 * transposed in registers by log2(W) rounds of interleaving the upper half of the vectors with the lower. */
#ifndef KERNEL
#define KERNEL transpose_example
#define T float
#define V float16
#define W 16
#define ROUNDS 4
#define AT(space, p) (*(space float16 *)(p))
#define INDEX int
#define ROWS 64
#define COLUMNS 64
#define OFFSET 0
#define BATCH_STRIDE 0
#define COLUMN_STRIDE 64
#endif

kernel void KERNEL(global const T *in, global T *restrict out)
{
    const INDEX batch = (INDEX)get_group_id(1), row = (INDEX)get_group_id(0) * W;
    global const T *from = in + OFFSET + batch * BATCH_STRIDE + row;
    global T *restrict to = out + (batch * ROWS + row) * COLUMNS;
    INDEX column = 0;
    if (row + W <= ROWS) {
        for (; column + W <= COLUMNS; column += W) {
            V x[W], y[W];
#pragma unroll
            for (int i = 0; i < W; i++)
                x[i] = AT(global const, from + (column + i) * (INDEX)COLUMN_STRIDE);
#pragma unroll
            for (int round = 0; round < ROUNDS; round++) {
#pragma unroll
                for (int i = 0; i < W / 2; i++) {
                    y[2 * i].even = x[i].lo;
                    y[2 * i].odd = x[i + W / 2].lo;
                    y[2 * i + 1].even = x[i].hi;
                    y[2 * i + 1].odd = x[i + W / 2].hi;
                }
#pragma unroll
                for (int i = 0; i < W; i++)
                    x[i] = y[i];
            }
#pragma unroll
            for (int i = 0; i < W; i++)
                AT(global, to + i * (INDEX)COLUMNS + column) = x[i];
        }
    }
    const int rows = (int)min((INDEX)W, (INDEX)ROWS - row);
    for (; column < COLUMNS; column++)
        for (int r = 0; r < rows; r++)
            to[r * (INDEX)COLUMNS + column] = from[column * (INDEX)COLUMN_STRIDE + r];
}
#undef T
#undef V
#undef W
#undef ROUNDS
#undef AT
#undef INDEX
#undef ROWS
#undef COLUMNS
#undef OFFSET
#undef BATCH_STRIDE
#undef COLUMN_STRIDE
