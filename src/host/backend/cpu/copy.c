#include "copy.h"

#include <string.h>

typedef uint16_t __attribute__((may_alias)) word2;
typedef uint32_t __attribute__((may_alias)) word4;
typedef uint64_t __attribute__((may_alias)) word8;

enum {
    LONG = 32,     /* elements for which a call of the C library is no loss */
    REPEATED = 16, /* that are stored at a time where they are one value */
    TURNED = 16    /* rows that are transposed at a time */
};

/* ---------------------------------------------------------------- transposed */

typedef uint32_t four __attribute__((vector_size(16)));
typedef uint32_t four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__clang__)
#define LOWS(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGHS(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define LOWS(a, b) __builtin_shuffle(a, b, (four){0, 4, 1, 5})
#define HIGHS(a, b) __builtin_shuffle(a, b, (four){2, 6, 3, 7})
#endif

static four four_from(const word4 *from) { return *(const four_anywhere *)(const void *)from; }
static void four_to(word4 *to, four x) { *(four_anywhere *)(void *)to = x; }

/* Four elements of four lines. */
static void turn_four(word4 *d, int64_t stride, const word4 *const *line, int64_t at)
{
    const four a = four_from(line[0] + at), b = four_from(line[1] + at);
    const four c = four_from(line[2] + at), e = four_from(line[3] + at);
    const four even = LOWS(a, c), odd = LOWS(b, e), even_high = HIGHS(a, c), odd_high = HIGHS(b, e);
    four_to(d, LOWS(even, odd));
    four_to(d + stride, HIGHS(even, odd));
    four_to(d + 2 * stride, LOWS(even_high, odd_high));
    four_to(d + 3 * stride, HIGHS(even_high, odd_high));
}

static void lines_4(word4 *d, int64_t stride, const word4 *const *line, int64_t count, int64_t n)
{
    int64_t at = 0;
    for (; at + 4 <= n; at += 4, d += 4 * stride) {
        int64_t i = 0;
        for (; i + 4 <= count; i += 4)
            turn_four(d + i, stride, line + i, at);
        for (; i < count; i++)
            for (int k = 0; k < 4; k++)
                d[k * stride + i] = line[i][at + k];
    }
    for (; at < n; at++, d += stride)
        for (int64_t i = 0; i < count; i++)
            d[i] = line[i][at];
}

#define LINES(name, word)                                                                                              \
    static void lines_##name(word *d, int64_t stride, const word *const *line, int64_t count, int64_t n)               \
    {                                                                                                                  \
        for (int64_t at = 0; at < n; at++, d += stride)                                                                \
            for (int64_t i = 0; i < count; i++)                                                                        \
                d[i] = line[i][at];                                                                                    \
    }
LINES(1, uint8_t)
LINES(2, word2)
LINES(8, word8)

/* ---------------------------------------------------------------- rows */

#define COPIES(name, word)                                                                                             \
    static void from_##name(word *restrict d, const word *restrict s, int64_t stride, int64_t n)                       \
    {                                                                                                                  \
        if (stride == 1 && n >= LONG) {                                                                                \
            memcpy(d, s, (size_t)n * sizeof *d);                                                                       \
        } else if (stride == 0) {                                                                                      \
            word value = *s;                                                                                           \
            for (int64_t i = 0; i < n; i++)                                                                            \
                d[i] = value;                                                                                          \
        } else if (stride == 2) {                                                                                      \
            for (int64_t i = 0; i < n; i++)                                                                            \
                d[i] = s[2 * i];                                                                                       \
        } else {                                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                                            \
                d[i] = s[i * stride];                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    static void to_##name(word *d, const word *s, int64_t stride, int64_t n)                                           \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            d[i * stride] = s[i];                                                                                      \
    }                                                                                                                  \
    /* Each of the elements step apart extent times, the first one phase times less. */                                \
    static void repeated_##name(word *restrict d, const word *restrict s, int64_t step, int64_t extent, int64_t phase, \
                                int64_t n)                                                                             \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        if (extent == 2 && phase == 0 && step == 1) { /* a loop of vectors */                                          \
            const int64_t pairs = n / 2;                                                                               \
            for (int64_t p = 0; p < pairs; p++)                                                                        \
                d[2 * p] = s[p], d[2 * p + 1] = s[p];                                                                  \
            i = 2 * pairs;                                                                                             \
            s += pairs;                                                                                                \
        }                                                                                                              \
        for (int64_t k = phase; i < n; s += step, k = 0) {                                                             \
            const word value = *s;                                                                                     \
            const int64_t end = i + extent - k;                                                                        \
            for (; i < end && i + REPEATED <= n; i += REPEATED) /* the next value replaces what is too much */         \
                for (int j = 0; j < REPEATED; j++)                                                                     \
                    d[i + j] = value;                                                                                  \
            for (; i < end && i < n; i++)                                                                              \
                d[i] = value;                                                                                          \
            i = smaller(end, n);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static void rows_##name(word *restrict d, const word *restrict s, const cpu_dim *dims, int64_t phase, int64_t n)   \
    {                                                                                                                  \
        int64_t extent = dims[1].extent, stride = dims[1].stride, step = dims[0].stride, i = 0;                        \
        if (extent == 2 && phase == 0)                                                                                 \
            for (; i + 2 <= n; s += step, i += 2)                                                                      \
                d[i] = s[0], d[i + 1] = s[stride];                                                                     \
        for (int64_t j = phase, run; i < n; s += step, j = 0, i += run) {                                              \
            run = smaller(extent - j, n - i);                                                                          \
            if (stride == 2)                                                                                           \
                for (int64_t k = 0; k < run; k++)                                                                      \
                    d[i + k] = s[2 * (j + k)];                                                                         \
            else                                                                                                       \
                for (int64_t k = 0; k < run; k++)                                                                      \
                    d[i + k] = s[(j + k) * stride];                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    static void turned_##name(word *d, const word *s, int64_t stride, int64_t step, int64_t extent, int64_t rows)      \
    {                                                                                                                  \
        const word *line[TURNED];                                                                                      \
        for (; rows >= TURNED; rows -= TURNED, d += TURNED * step, s += TURNED * extent) {                             \
            for (int i = 0; i < TURNED; i++)                                                                           \
                line[i] = s + i * extent;                                                                              \
            if (step == 1)                                                                                             \
                lines_##name(d, stride, line, TURNED, extent);                                                         \
            else                                                                                                       \
                for (int64_t j = 0; j < extent; j++)                                                                   \
                    for (int i = 0; i < TURNED; i++)                                                                   \
                        d[j * stride + i * step] = line[i][j];                                                         \
        }                                                                                                              \
        for (int64_t i = 0; i < rows; i++)                                                                             \
            to_##name(d + i * step, s + i * extent, stride, extent);                                                   \
    }
COPIES(1, uint8_t)
COPIES(2, word2)
COPIES(4, word4)
COPIES(8, word8)

/* The function for elements of a size. */
#define BY_SIZE(function, size, ...)                                                                                   \
    ((size) == 4   ? function##_4(__VA_ARGS__)                                                                         \
     : (size) == 8 ? function##_8(__VA_ARGS__)                                                                         \
     : (size) == 2 ? function##_2(__VA_ARGS__)                                                                         \
                   : function##_1(__VA_ARGS__))

void cpu_copy_from(void *d, const void *s, int64_t stride, int64_t n, int size)
{
    BY_SIZE(from, size, d, s, stride, n);
}

void cpu_copy_to(void *d, const void *s, int64_t stride, int64_t n, int size)
{
    if (stride == 1)
        memmove(d, s, (size_t)(n * size)); /* the same place, when a step copies a buffer onto itself */
    else
        BY_SIZE(to, size, d, s, stride, n);
}

void cpu_copy_rows(void *d, const void *s, const cpu_dim dims[2], int64_t phase, int64_t n, int size)
{
    if (dims[1].stride == 0)
        BY_SIZE(repeated, size, d, s, dims[0].stride, dims[1].extent, phase, n);
    else
        BY_SIZE(rows, size, d, s, dims, phase, n);
}

void cpu_copy_turned(void *d, const void *s, int64_t stride, int64_t step, int64_t extent, int64_t rows, int size)
{
    BY_SIZE(turned, size, d, s, stride, step, extent, rows);
}

void cpu_copy_lines(void *d, int64_t stride, const void *const *line, int64_t count, int64_t n, int size)
{
    BY_SIZE(lines, size, d, stride, (const void *)line, count, n);
}
