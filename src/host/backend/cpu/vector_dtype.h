/* The loops of vector.c for one dtype. Before each inclusion: TYPE the suffix (f32, f64, i32, u8, i64), WIDE the suffix
 * in which totals of reductions are kept, REAL if real, BITS if i32 or i64, WORDS if i32. */

#define S TYPE
#define T FN(TYPE, t)
#define W FN(WIDE, t)

#define KERNEL_NUMERIC(ID, arity, expr) KERNEL(ID, arity, T, T, T, expr)
#define KERNEL_COMPARE(ID, arity, expr) KERNEL(ID, arity, T, T, uint8_t, expr)
#define KERNEL_SELECT(ID, arity, expr) KERNEL(ID, arity, uint8_t, T, T, expr)
#define KERNEL_CAST(ID, arity, expr)
#ifdef BITS
#define KERNEL_INTEGER(ID, arity, expr) KERNEL(ID, arity, T, T, T, expr)
#else
#define KERNEL_INTEGER(ID, arity, expr)
#endif
#ifdef WORDS
#define KERNEL_WORD(ID, arity, expr) KERNEL(ID, arity, T, T, T, expr)
#else
#define KERNEL_WORD(ID, arity, expr)
#endif
#ifdef REAL
#define KERNEL_FLOATING(ID, arity, expr) KERNEL(ID, arity, T, T, T, expr)
#else
#define KERNEL_FLOATING(ID, arity, expr)
#endif
#define MAP(ID, name, builder, arity, types, expr, ...) KERNEL_##types(ID, arity, expr)
#include "../../core/ops.def"

/* Combining two values, in the dtype and in the wide one. */
#define REDUCE(ID, name, builder, expr, ...)                                                                           \
    static inline T FN(TYPE, ID##_combine)(T a, T b) { return (T)(expr); }
#include "../../core/ops.def"
#include "vector_arrays.h"

#undef S
#define S WIDE
#define REDUCE(ID, name, builder, expr, ...)                                                                           \
    static inline W FN(TYPE, ID##_combine_wide)(W a, W b) { return (W)(expr); }
#include "../../core/ops.def"

/* Tiles: n results side by side. Partial values in the dtype take CPU_FLUSH positions, then join the wide total. */
#define REDUCE(ID, name, builder, expr, identity, ...)                                                                 \
    static void FN(TYPE, ID##_tile_init)(cpu_runner * r, const cpu_entry *e, int64_t n)                                \
    {                                                                                                                  \
        T *partial = r->slot[e->d];                                                                                    \
        W *total = r->slot[e->a];                                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            partial[i] = (T)START(TYPE, identity);                                                                     \
            total[i] = (W)START(TYPE, identity);                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void FN(TYPE, ID##_tile_add)(cpu_runner * r, const cpu_entry *e, int64_t n)                                 \
    {                                                                                                                  \
        T *partial = r->slot[e->d];                                                                                    \
        const T *b = r->slot[e->b];                                                                                    \
        LANES for (int64_t i = 0; i < n; i++) partial[i] = FN(TYPE, ID##_combine)(partial[i], b[i]);                   \
    }                                                                                                                  \
    static void FN(TYPE, ID##_tile_flush)(cpu_runner * r, const cpu_entry *e, int64_t n)                               \
    {                                                                                                                  \
        T *partial = r->slot[e->d];                                                                                    \
        W *total = r->slot[e->a];                                                                                      \
        LANES for (int64_t i = 0; i < n; i++)                                                                          \
        {                                                                                                              \
            total[i] = FN(TYPE, ID##_combine_wide)(total[i], partial[i]);                                              \
            partial[i] = (T)START(TYPE, identity);                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    static void FN(TYPE, ID##_tile_finish)(cpu_runner * r, const cpu_entry *e, int64_t n)                              \
    {                                                                                                                  \
        T *partial = r->slot[e->d];                                                                                    \
        const W *total = r->slot[e->a];                                                                                \
        LANES for (int64_t i = 0; i < n; i++) partial[i] = (T)total[i];                                                \
    }
#include "../../core/ops.def"

/* Rows: one result of n lanes. A fixed number of partial results, combined in a fixed order for each piece, so that
 * blocks of whole pieces give the same bits whatever their length. */
#define ROW_LANES ((int)(256 / sizeof(T)))
#define FOLD(ID, half)                                                                                                 \
    for (int j = 0; j < (half) && (half) < ROW_LANES; j++)                                                             \
        v[j] = FN(TYPE, ID##_combine)(v[j], v[j + (half)]);
#define REDUCE(ID, name, builder, expr, identity, ...)                                                                 \
    static void FN(TYPE, ID##_row_init)(cpu_runner * r, const cpu_entry *e, int64_t n)                                 \
    {                                                                                                                  \
        (void)n;                                                                                                       \
        *(W *)r->slot[e->a] = (W)START(TYPE, identity);                                                                \
    }                                                                                                                  \
    static W FN(TYPE, ID##_piece)(W total, const T *b, int64_t n)                                                      \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        if (n >= ROW_LANES) {                                                                                          \
            T v[2 * (256 / sizeof(T))];                                                                                \
            for (int j = 0; j < ROW_LANES; j++)                                                                        \
                v[j] = b[j];                                                                                           \
            for (i = ROW_LANES; i + ROW_LANES <= n; i += ROW_LANES)                                                    \
                for (int j = 0; j < ROW_LANES; j++)                                                                    \
                    v[j] = FN(TYPE, ID##_combine)(v[j], b[i + j]);                                                     \
            FOLD(ID, 128)                                                                                              \
            FOLD(ID, 64)                                                                                               \
            FOLD(ID, 32)                                                                                               \
            FOLD(ID, 16)                                                                                               \
            FOLD(ID, 8) FOLD(ID, 4) FOLD(ID, 2) FOLD(ID, 1) total = FN(TYPE, ID##_combine_wide)(total, v[0]);          \
        }                                                                                                              \
        if (i < n) {                                                                                                   \
            T rest = b[i];                                                                                             \
            for (i++; i < n; i++)                                                                                      \
                rest = FN(TYPE, ID##_combine)(rest, b[i]);                                                             \
            total = FN(TYPE, ID##_combine_wide)(total, rest);                                                          \
        }                                                                                                              \
        return total;                                                                                                  \
    }                                                                                                                  \
    static void FN(TYPE, ID##_row_add)(cpu_runner * r, const cpu_entry *e, int64_t n)                                  \
    {                                                                                                                  \
        const T *b = r->slot[e->b];                                                                                    \
        W total = *(const W *)r->slot[e->a];                                                                           \
        for (int64_t i = 0; i < n; i += CPU_PIECE)                                                                     \
            total = FN(TYPE, ID##_piece)(total, b + i, n - i < CPU_PIECE ? n - i : CPU_PIECE);                         \
        *(W *)r->slot[e->a] = total;                                                                                   \
    }                                                                                                                  \
    static void FN(TYPE, ID##_row_finish)(cpu_runner * r, const cpu_entry *e, int64_t n)                               \
    {                                                                                                                  \
        (void)n;                                                                                                       \
        *(T *)r->slot[e->d] = (T) * (const W *)r->slot[e->a];                                                          \
    }
#include "../../core/ops.def"

#undef S
#undef T
#undef W
#undef TYPE
#undef WIDE
#undef REAL
#undef ROW_LANES
#undef FOLD
#undef KERNEL_NUMERIC
#undef KERNEL_COMPARE
#undef KERNEL_SELECT
#undef KERNEL_INTEGER
#undef KERNEL_WORD
#undef KERNEL_CAST
#undef KERNEL_FLOATING
