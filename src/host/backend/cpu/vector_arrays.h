/* Operations on whole arrays for one dtype: part of vector_dtype.h, which defines S, TYPE, T and START, and each
 * reduction's ID##_combine. */

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
/* Of what is long: as many lines as a vector has lanes, a square of them at a time, turned so that a vector has one
 * element of each; whole cache lines of results go past the caches. Slower than the above where memory is not the
 * limit, and of no use where a vector is less than a cache line. */
#if defined(REAL) && defined(STREAM) && VECTOR_BYTES == 64
#define WIDTH WIDTH_OF(T)
#define V FN(TYPE, scan_vector)
typedef T V __attribute__((vector_size(VECTOR_BYTES), may_alias));

INLINE V FN(TYPE, interleave)(V a, V b, const int from)
{
#if defined(__clang__)
    V y;
    for (int l = 0; l < WIDTH; l++)
        y[l] = l % 2 ? b[from + l / 2] : a[from + l / 2];
    return y;
#else
    SCAN_INDEX __attribute__((vector_size(VECTOR_BYTES))) order;
    UNROLL for (int l = 0; l < WIDTH; l++) order[l] = from + l / 2 + (l % 2 ? WIDTH : 0);
    return __builtin_shuffle(a, b, order);
#endif
}

INLINE void FN(TYPE, turn)(V *x)
{
    UNROLL for (int round = 1; round < WIDTH; round *= 2)
    {
        V y[WIDTH];
        UNROLL for (int i = 0; i < WIDTH / 2; i++)
        {
            y[2 * i] = FN(TYPE, interleave)(x[i], x[i + WIDTH / 2], 0);
            y[2 * i + 1] = FN(TYPE, interleave)(x[i], x[i + WIDTH / 2], WIDTH / 2);
        }
        memcpy(x, y, sizeof y);
    }
}

INLINE void FN(TYPE, load_square)(V *square, const T *from, int64_t apart)
{
    UNROLL for (int r = 0; r < WIDTH; r++) memcpy(&square[r], from + r * apart, sizeof *square);
    FN(TYPE, turn)(square);
}

#define SCAN_SQUARES(ID, has_c)                                                                                        \
    for (; y && l->streams && lane + WIDTH <= l->lanes; lane += WIDTH) {                                               \
        T a[WIDTH];                                                                                                    \
        int64_t t = 0;                                                                                                 \
        memcpy(a, carry + lane, sizeof a);                                                                             \
        for (; t + WIDTH <= l->length; t += WIDTH) {                                                                   \
            const int64_t at = lane * l->lane_step + (l->step > 0 ? t : -(t + WIDTH - 1));                             \
            V b[WIDTH], m[WIDTH];                                                                                      \
            FN(TYPE, load_square)(b, x + at, l->lane_step);                                                            \
            if (has_c)                                                                                                 \
                FN(TYPE, load_square)(m, c + at, l->lane_step);                                                        \
            for (int r = 0; r < WIDTH; r++) {                                                                          \
                T *element = (T *)&b[l->step > 0 ? r : WIDTH - 1 - r];                                                 \
                const T *factor = (has_c) ? (const T *)&m[l->step > 0 ? r : WIDTH - 1 - r] : element;                  \
                LANES for (int i = 0; i < WIDTH; i++) a[i] = FN(TYPE, ID##_next)(a[i], element[i], factor[i]);         \
                memcpy(element, a, sizeof a);                                                                          \
            }                                                                                                          \
            FN(TYPE, turn)(b);                                                                                         \
            UNROLL for (int r = 0; r < WIDTH; r++) STREAM(y + at + r * l->lane_step, &b[r]);                           \
        }                                                                                                              \
        for (; t < l->length; t++)                                                                                     \
            for (int r = 0; r < WIDTH; r++) {                                                                          \
                const int64_t at = (lane + r) * l->lane_step + t * l->step;                                            \
                y[at] = a[r] = FN(TYPE, ID##_next)(a[r], x[at], (has_c) ? c[at] : x[at]);                              \
            }                                                                                                          \
        memcpy(carry + lane, a, sizeof a);                                                                             \
        _mm_sfence();                                                                                                  \
    }
#else
#define SCAN_SQUARES(ID, has_c)
#endif
#define SCAN_LINES(ID, arity, expr, start)                                                                             \
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
        for (int64_t i = 0; l->begins && i < l->lanes; i++)                                                            \
            carry[i] = (T)(start);                                                                                     \
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
        SCAN_SQUARES(ID, (arity) > 1)                                                                                  \
        for (; lane + SCAN_ABREAST <= l->lanes; lane += SCAN_ABREAST)                                                  \
            SCAN_ROWS(ID, (arity) > 1, SCAN_ABREAST)                                                                   \
        for (; lane < l->lanes; lane++)                                                                                \
            SCAN_ROWS(ID, (arity) > 1, 1)                                                                              \
    }
#define SCAN_LINES_NUMERIC(ID, arity, expr, start) SCAN_LINES(ID, arity, expr, start)
#ifdef REAL
#define SCAN_LINES_FLOATING(ID, arity, expr, start) SCAN_LINES(ID, arity, expr, start)
#else
#define SCAN_LINES_FLOATING(ID, arity, expr, start)
#endif
#define SCAN(ID, name, builder, arity, types, expr, identity, ...)                                                     \
    SCAN_LINES_##types(ID, arity, expr, START(TYPE, identity))
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

#define REDUCE(ID, name, builder, expr, identity, ...)                                                                 \
    static inline T FN(TYPE, ID##_start)(void) { return (T)START(TYPE, identity); }
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
                to[at * s->inner] = FN(TYPE, combine##_combine)(to[at * s->inner], from[i * s->inner]);                \
        }                                                                                                              \
        for (int64_t i = 0; columns > 1 && i < s->length; i++) {                                                       \
            if (indices[i] < part.row_first || indices[i] >= part.row_last)                                            \
                continue;                                                                                              \
            const T *u = from + i * s->inner;                                                                          \
            T *d = to + indices[i] * s->inner;                                                                         \
            LANES for (int64_t c = 0; c < columns; c++) d[c] = FN(TYPE, combine##_combine)(d[c], u[c]);                \
        }                                                                                                              \
    }
#include "../../core/ops.def"

#undef SCAN_ABREAST
#undef SCAN_SQUARES
#undef WIDTH
#undef V
#undef SCAN_ROWS
#undef SCAN_LINES
#undef SCAN_LINES_NUMERIC
#undef SCAN_LINES_FLOATING
