/* Rows of updates combined into the rows of result that indices name, which start from a reduction's identity. A
 * work-item owns some columns of some rows and walks over all indices, so the order is always the same. */
#ifndef KERNEL
#define KERNEL scatter_example
#define T float
#define INDEX int
#define START 0
#define TOGETHER(a, b) ((a) + (b))
#define ROWS 10
#define COLUMNS 8
#define COUNT 100
#define ROWS_EACH 10
#define COLUMNS_EACH 4
#define COLUMN_UNITS 2
#define UNITS 2
#endif

kernel void KERNEL(global const int *indices, global const T *updates, global T *restrict result, const int idle)
{
    if (idle)
        return;
    const INDEX unit = (INDEX)get_global_id(0);
    if (unit < UNITS) {
        const INDEX first_row = unit / COLUMN_UNITS * ROWS_EACH, end_row = min((INDEX)ROWS, first_row + ROWS_EACH);
        const INDEX first = unit % COLUMN_UNITS * COLUMNS_EACH, end = min((INDEX)COLUMNS, first + COLUMNS_EACH);
        for (INDEX row = first_row; row < end_row; row++)
            for (INDEX c = first; c < end; c++)
                result[row * COLUMNS + c] = START;
        for (INDEX i = 0; i < COUNT; i++) {
            const INDEX row = indices[i];
            if (row >= first_row && row < end_row)
                for (INDEX c = first; c < end; c++)
                    result[row * COLUMNS + c] = TOGETHER(result[row * COLUMNS + c], updates[i * COLUMNS + c]);
        }
    }
}
#undef T
#undef INDEX
#undef START
#undef TOGETHER
#undef ROWS
#undef COLUMNS
#undef COUNT
#undef ROWS_EACH
#undef COLUMNS_EACH
#undef COLUMN_UNITS
#undef UNITS
