/* Operations on whole arrays for one dtype: part of vector_dtype.h, which defines S, TYPE, T and INIT. */

/* ---------------------------------------------------------------- scans */

/* Lines whose elements are neighbours: few at a time, so that additions need not wait for each other, and lines that
 * are a power of two apart still fit the first-level cache. */
#define SCAN_ABREAST 4
#define SCAN_ROWS(ID, has_c, count)                                                                                    \
    {                                                                                                                  \
        T a[count], f[count];                                                                                          \
        for (int r = 0; r < (count); r++) {                                                                            \
            a[r] = carry[lane + r];                                                                                    \
            f[r] = 1;                                                                                                  \
        }                                                                                                              \
        const T *b = x + lane * l->lane_step, *m = (has_c) ? c + lane * l->lane_step : b;                              \
        T *d = y ? y + lane * l->lane_step : NULL;                                                                     \
        for (int64_t t = 0; t < l->length; t++) {                                                                      \
            const int64_t at = t * l->step;                                                                            \
            UNROLL for (int r = 0; r < (count); r++)                                                                   \
            {                                                                                                          \
                a[r] = FN(TYPE, ID##_next)(a[r], b[at + r * l->lane_step], m[at + r * l->lane_step]);                  \
                if ((has_c) && !d)                                                                                     \
                    f[r] = (T)(f[r] * m[at + r * l->lane_step]);                                                       \
                if (d)                                                                                                 \
                    d[at + r * l->lane_step] = a[r];                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < (count); r++) {                                                                            \
            carry[lane + r] = a[r];                                                                                    \
            if ((has_c) && !d)                                                                                         \
                ((T *)l->factor)[lane + r] = f[r];                                                                     \
        }                                                                                                              \
    }
#define SCAN_LINES(ID, arity, expr)                                                                                    \
    static inline T FN(TYPE, ID##_next)(T a, T b, T c)                                                                 \
    {                                                                                                                  \
        (void)c;                                                                                                       \
        return (T)(expr);                                                                                              \
    }                                                                                                                  \
    static void FN(TYPE, ID##_scan)(const cpu_lines *l)                                                                \
    {                                                                                                                  \
        const T *x = l->x, *c = l->c;                                                                                  \
        T *y = l->y, *carry = l->carry;                                                                                \
        int64_t lane = 0;                                                                                              \
        if (l->lane_step == 1 && y) { /* columns side by side */                                                       \
            const T *before = carry;                                                                                   \
            for (int64_t t = 0; t < l->length; t++) {                                                                  \
                const T *b = x + t * l->step, *m = (arity) > 1 ? c + t * l->step : b;                                  \
                T *d = y + t * l->step;                                                                                \
                LANES for (int64_t i = 0; i < l->lanes; i++) d[i] = FN(TYPE, ID##_next)(before[i], b[i], m[i]);        \
                before = d;                                                                                            \
            }                                                                                                          \
            if (before != carry)                                                                                       \
                memcpy(carry, before, (size_t)l->lanes * sizeof *carry);                                               \
            return;                                                                                                    \
        }                                                                                                              \
        for (; lane + SCAN_ABREAST <= l->lanes; lane += SCAN_ABREAST)                                                  \
            SCAN_ROWS(ID, (arity) > 1, SCAN_ABREAST)                                                                   \
        for (; lane < l->lanes; lane++)                                                                                \
            SCAN_ROWS(ID, (arity) > 1, 1)                                                                              \
    }
#define SCAN_LINES_NUMERIC(ID, arity, expr) SCAN_LINES(ID, arity, expr)
#ifdef REAL
#define SCAN_LINES_FLOATING(ID, arity, expr) SCAN_LINES(ID, arity, expr)
#else
#define SCAN_LINES_FLOATING(ID, arity, expr)
#endif
#define SCAN(ID, name, builder, arity, types, expr, ...) SCAN_LINES_##types(ID, arity, expr)
#include "../../core/ops.def"

/* ---------------------------------------------------------------- rows brought together by index */

/* What is long goes past the caches: most of it is not touched again soon. */
static void FN(TYPE, fill)(T *to, int64_t count, T value)
{
    int64_t i = 0;
#ifdef STREAM
    enum { LINE = 64 / sizeof(T), LEAST = 1 << 20 };
    T line[LINE];
    if (count * (int64_t)sizeof(T) >= LEAST) {
        for (int k = 0; k < LINE; k++)
            line[k] = value;
        for (; (intptr_t)(to + i) & 63; i++)
            to[i] = value;
        for (; i + LINE <= count; i += LINE)
            for (int b = 0; b < 64; b += STREAM_BYTES)
                STREAM((char *)(to + i) + b, (const char *)line + b);
        _mm_sfence();
    }
#endif
    for (; i < count; i++)
        to[i] = value;
}

#define REDUCE(ID, name, builder, expr, real, i32, u8, ...)                                                            \
    static inline T FN(TYPE, ID##_start)(void) { return (T)INIT(real, i32, u8); }                                      \
    static inline T FN(TYPE, ID##_together)(T a, T b) { return (T)(expr); }
#include "../../core/ops.def"

#define SCATTER(ID, name, combine, ...)                                                                                \
    static void FN(TYPE, ID##_begin)(void *to, int64_t count)                                                          \
    {                                                                                                                  \
        FN(TYPE, fill)(to, count, FN(TYPE, combine##_start)());                                                        \
    }                                                                                                                  \
    static void FN(TYPE, ID##_scatter)(const plan_array *s, const int32_t *indices, const void *updates, void *result, \
                                       cpu_area part)                                                                  \
    {                                                                                                                  \
        const T *from = (const T *)updates + part.column_first;                                                        \
        T *to = (T *)result + part.column_first;                                                                       \
        const int64_t columns = part.column_last - part.column_first;                                                  \
        for (int64_t i = 0; columns == 1 && i < s->length; i++) {                                                      \
            const int64_t at = indices[i];                                                                             \
            if (at >= part.row_first && at < part.row_last)                                                            \
                to[at * s->inner] = FN(TYPE, combine##_together)(to[at * s->inner], from[i * s->inner]);               \
        }                                                                                                              \
        for (int64_t i = 0; columns > 1 && i < s->length; i++) {                                                       \
            if (indices[i] < part.row_first || indices[i] >= part.row_last)                                            \
                continue;                                                                                              \
            const T *u = from + i * s->inner;                                                                          \
            T *d = to + indices[i] * s->inner;                                                                         \
            LANES for (int64_t c = 0; c < columns; c++) d[c] = FN(TYPE, combine##_together)(d[c], u[c]);               \
        }                                                                                                              \
    }
#include "../../core/ops.def"

#undef SCAN_ABREAST
#undef SCAN_ROWS
#undef SCAN_LINES
#undef SCAN_LINES_NUMERIC
#undef SCAN_LINES_FLOATING
