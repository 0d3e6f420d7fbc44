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
#ifdef VECTOR /* whole rows, on a CPU device: past the caches, since most of them are not touched again soon */
#define FILL_(s, p) STREAM(s, p, (s##_t)(START))
#define FILL(s, p) FILL_(s, p)
        INDEX at = first_row * COLUMNS;
        for (; at < end_row * COLUMNS && (ulong)(result + at) % (16 * sizeof(T)); at++)
            result[at] = START;
        for (; at + 16 <= end_row * COLUMNS; at += 16)
            FILL(VECTOR, result + at);
        for (; at < end_row * COLUMNS; at++)
            result[at] = START;
#undef FILL
#undef FILL_
#else
        for (INDEX row = first_row; row < end_row; row++)
            for (INDEX c = first; c < end; c++)
                result[row * COLUMNS + c] = START;
#endif
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
#undef VECTOR
#undef TOGETHER
#undef ROWS
#undef COLUMNS
#undef COUNT
#undef ROWS_EACH
#undef COLUMNS_EACH
#undef COLUMN_UNITS
#undef UNITS
