/* Scatter-add: result (rows, columns) becomes zero, then each row of updates (count, columns) is added to the row
 * that its index names; indices outside 0..rows-1 add nothing. Threads share the columns, or the rows when there are
 * few columns; every element is summed in the order of the updates, whatever the number of threads. */
#include "cpu.h"

#include <string.h>

typedef struct area {
    int64_t row_first, row_last, column_first, column_last;
} area;

#define ADD(type)                                                                                                      \
    static void add_##type(const plan_step *s, const int32_t *indices, const void *updates, void *result, area part)   \
    {                                                                                                                  \
        const type *from = updates;                                                                                    \
        type *to = result;                                                                                             \
        for (int64_t r = part.row_first; r < part.row_last; r++)                                                       \
            memset(to + r * s->columns + part.column_first, 0,                                                         \
                   (size_t)(part.column_last - part.column_first) * sizeof(type));                                     \
        for (int64_t i = 0; i < s->count; i++) {                                                                       \
            if (indices[i] < part.row_first || indices[i] >= part.row_last)                                            \
                continue;                                                                                              \
            const type *u = from + i * s->columns;                                                                     \
            type *d = to + indices[i] * s->columns;                                                                    \
            for (int64_t c = part.column_first; c < part.column_last; c++)                                             \
                d[c] = (type)(d[c] + u[c]);                                                                            \
        }                                                                                                              \
    }
ADD(float)
ADD(double)
ADD(uint32_t) /* i32: wraps */
ADD(uint8_t)

typedef struct job {
    const plan_step *step;
    char *const *address;
} job;

static void add_part(const void *argument, int thread, int threads)
{
    const plan_step *step = ((const job *)argument)->step;
    char *const *address = ((const job *)argument)->address;
    static void (*const add[CLG_DTYPE_COUNT])(const plan_step *, const int32_t *, const void *, void *, area) = {
        [CLG_F32] = add_float, [CLG_F64] = add_double, [CLG_I32] = add_uint32_t, [CLG_U8] = add_uint8_t};
    area part = {0, step->rows, 0, step->columns};
    int64_t line = 64 / (int64_t)clg_dtype_size(step->dtype); /* elements: threads do not share cache lines */
    if (step->columns >= line * threads)
        cpu_share(step->columns, line, thread, threads, &part.column_first, &part.column_last);
    else
        cpu_share(step->rows, 1, thread, threads, &part.row_first, &part.row_last);
    add[step->dtype](step, (const void *)address[step->indices], address[step->updates], address[step->result], part);
}

void cpu_run_scatter_add(const plan_step *step, char *const *address, cpu_pool *pool)
{
    const job j = {step, address};
    if (step->rows == 0 || step->columns == 0)
        return;
    bool small = (step->count + step->rows) * step->columns < CPU_PARALLEL_WORK;
    cpu_pool_run(pool, small ? 1 : cpu_pool_threads(pool), add_part, &j);
}
