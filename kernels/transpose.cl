/* A dense copy of a matrix (or a batch of them) whose rows are neighbours in memory: out (BATCH, ROWS, COLUMNS) from
 * element (b, r, c) at OFFSET + b BATCH_STRIDE + r + c COLUMN_STRIDE. One work-item copies a block of TILE by TILE, which
 * keeps both its reads and its writes in the first cache. */
#ifndef KERNEL
#define KERNEL transpose_example
#define T float
#define INDEX int
#define ROWS 64
#define COLUMNS 64
#define OFFSET 0
#define BATCH_STRIDE 0
#define COLUMN_STRIDE 64
#endif
#define TILE 16

kernel void KERNEL(global const T *in, global T *restrict out)
{
    const INDEX batch = (INDEX)get_group_id(2);
    const INDEX row = (INDEX)get_group_id(0) * TILE, column = (INDEX)get_group_id(1) * TILE;
    global const T *from = in + OFFSET + batch * BATCH_STRIDE + row + column * COLUMN_STRIDE;
    global T *restrict to = out + (batch * ROWS + row) * COLUMNS + column;
    if (row + TILE <= ROWS && column + TILE <= COLUMNS) {
        T block[TILE * TILE];
        for (int c = 0; c < TILE; c++)
            for (int r = 0; r < TILE; r++)
                block[r * TILE + c] = from[c * (INDEX)COLUMN_STRIDE + r];
        for (int r = 0; r < TILE; r++)
            for (int c = 0; c < TILE; c++)
                to[r * (INDEX)COLUMNS + c] = block[r * TILE + c];
    } else {
        const int rows = (int)min((INDEX)TILE, (INDEX)ROWS - row), columns = (int)min((INDEX)TILE, (INDEX)COLUMNS - column);
        for (int c = 0; c < columns; c++)
            for (int r = 0; r < rows; r++)
                to[r * (INDEX)COLUMNS + c] = from[c * (INDEX)COLUMN_STRIDE + r];
    }
}
#undef TILE
#undef T
#undef INDEX
#undef ROWS
#undef COLUMNS
#undef OFFSET
#undef BATCH_STRIDE
#undef COLUMN_STRIDE
