/* A dense copy of a matrix (or a batch of them) whose rows are neighbours in memory: out (batch, rows, columns) at
 * out_offset from element (b, r, c) at offset + b batch_stride + r + c column_stride. One work-item copies 8 rows: 8 x
 * 8 blocks are transposed in registers by three rounds of interleaving the upper half of the vectors with the lower.
 * The elements of in may be of another type, IN_T. */
#ifndef KERNEL
#include "prelude.cl"
#define KERNEL transpose_example
#define T float
#define V float8
#define W 8
#define AT(space, p) (*(space float8 *)(p))
#define IN_T float
#define IN_VALUE(x) x
#define IN_VECTOR(p) (*(global const float8 *)(p))
#define INDEX int
#endif

kernel void KERNEL(global const IN_T *in, global T *restrict out, const INDEX rows, const INDEX columns,
                   const INDEX offset, const INDEX batch_stride, const INDEX column_stride, const INDEX out_offset,
                   const int idle)
{
    if (idle)
        return;
    const INDEX batch = (INDEX)get_group_id(1), row = (INDEX)get_group_id(0) * W;
    global const IN_T *from = in + offset + batch * batch_stride + row;
    global T *restrict to = out + out_offset + (batch * rows + row) * columns;
    INDEX column = 0;
    if (row + W <= rows) {
        for (; column + W <= columns; column += W) {
            V x[W];
#pragma unroll
            for (int i = 0; i < W; i++)
                x[i] = IN_VECTOR(from + (column + i) * column_stride);
            TRANSPOSE_8(V, x);
#pragma unroll
            for (int i = 0; i < W; i++)
                AT(global, to + i * columns + column) = x[i];
        }
    }
    const int left = (int)min((INDEX)W, rows - row);
    for (; column < columns; column++)
        for (int r = 0; r < left; r++)
            to[r * columns + column] = IN_VALUE(from[column * column_stride + r]);
}
#undef T
#undef V
#undef W
#undef AT
#undef IN_T
#undef IN_VALUE
#undef IN_VECTOR
#undef INDEX
