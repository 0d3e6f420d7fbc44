/* The order of a line of elements: of integer keys that compare as the elements do, by counting digits from the last to
 * the first (least significant digit radix sort, Knuth, The Art of Computer Programming 3, 5.2.5), which is stable. The
 * first few of many are inserted into a short list instead. */
#include "cpu.h"

#include <string.h>

enum {
    FEW = 128,   /* results: are inserted */
    FEW_OF = 4,  /* ... if the line has so many times as many elements */
    SHORT = 24,  /* elements: are inserted */
    LONG = 3000, /* elements: digits of 11 bits pay; below, of 8 */
    LONG_DIGIT = 11,
    SHORT_DIGIT = 8,
    MOST_DIGITS = 8
};

/* A key of a dtype, and the element's index. */
#define KEY_TYPES(BITS)                                                                                                \
    typedef struct item##BITS {                                                                                        \
        uint##BITS##_t key;                                                                                            \
        int32_t index;                                                                                                 \
    } item##BITS;
KEY_TYPES(32)
KEY_TYPES(64)

/* NaN is the largest, and -0 is 0. */
static uint32_t key_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return UINT32_MAX;
    bits = bits == 0x80000000 ? 0 : bits;
    return bits ^ (bits >> 31 ? UINT32_MAX : 0x80000000);
}

static uint64_t key_f64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & INT64_MAX) > UINT64_C(0x7ff) << 52)
        return UINT64_MAX;
    bits = bits == UINT64_C(1) << 63 ? 0 : bits;
    return bits ^ (bits >> 63 ? UINT64_MAX : UINT64_C(1) << 63);
}

static uint32_t key_i32(int32_t x) { return (uint32_t)x ^ 0x80000000; }
static uint32_t key_u8(uint8_t x) { return x; }
static uint64_t key_i64(int64_t x) { return (uint64_t)x ^ UINT64_C(1) << 63; }

/* dtype, C type, bits of the key, how many of them differ */
#define SORTS(SORT)                                                                                                    \
    SORT(f32, float, 32, 32)                                                                                           \
    SORT(f64, double, 64, 64) SORT(i32, int32_t, 32, 32) SORT(u8, uint8_t, 32, 8) SORT(i64, int64_t, 64, 64)

/* Items in order, among which a new one comes behind its equals. */
#define INSERT(BITS)                                                                                                   \
    static void insert##BITS(item##BITS *list, int64_t count, item##BITS item)                                         \
    {                                                                                                                  \
        for (; count > 0 && list[count - 1].key > item.key; count--)                                                   \
            list[count] = list[count - 1];                                                                             \
        list[count] = item;                                                                                            \
    }
INSERT(32)
INSERT(64)

/* Sorts items by so many bits of their keys; other is as long. Returns which of the two has the result. */
#define RADIX(BITS)                                                                                                    \
    static item##BITS *radix##BITS(item##BITS *items, item##BITS *other, int64_t count, int bits)                      \
    {                                                                                                                  \
        uint32_t place[MOST_DIGITS][1 << LONG_DIGIT];                                                                  \
        const int digit = count >= LONG && bits > SHORT_DIGIT ? LONG_DIGIT : SHORT_DIGIT;                              \
        const int digits = (bits + digit - 1) / digit, mask = (1 << digit) - 1;                                        \
        for (int d = 0; d < digits; d++)                                                                               \
            memset(place[d], 0, sizeof *place[d] << digit);                                                            \
        for (int64_t i = 0; i < count; i++)                                                                            \
            for (int d = 0; d < digits; d++)                                                                           \
                place[d][(int)(items[i].key >> d * digit) & mask]++;                                                   \
        for (int d = 0; d < digits; d++) {                                                                             \
            uint32_t *at = place[d], sum = 0;                                                                          \
            if (at[(int)(items[0].key >> d * digit) & mask] == (uint32_t)count)                                        \
                continue; /* all have this digit */                                                                    \
            for (int i = 0; i <= mask; i++) {                                                                          \
                const uint32_t those = at[i];                                                                          \
                at[i] = sum;                                                                                           \
                sum += those;                                                                                          \
            }                                                                                                          \
            for (int64_t i = 0; i < count; i++)                                                                        \
                other[at[(int)(items[i].key >> d * digit) & mask]++] = items[i];                                       \
            item##BITS *sorted = other;                                                                                \
            other = items;                                                                                             \
            items = sorted;                                                                                            \
        }                                                                                                              \
        return items;                                                                                                  \
    }
RADIX(32)
RADIX(64)

static bool is_few(int64_t length, int64_t results) { return results <= FEW && results * FEW_OF <= length; }

enum { BLOCK = 32 }; /* elements that are looked at together: most of them are none of the first few */

#define SORT_LINE(S, T, BITS, DIFFERENT)                                                                               \
    static void few_##S(const T *x, int64_t length, uint##BITS##_t flip, int32_t *order, int64_t results)              \
    {                                                                                                                  \
        item##BITS list[FEW + 1];                                                                                      \
        for (int64_t i = 0; i < results; i++)                                                                          \
            insert##BITS(list, i, (item##BITS){key_##S(x[i]) ^ flip, (int32_t)i});                                     \
        for (int64_t first = results; first < length; first += BLOCK) {                                                \
            const int64_t end = smaller(first + BLOCK, length);                                                        \
            const T last = x[list[results - 1].index];                                                                 \
            int any = 0;                                                                                               \
            if (flip)                                                                                                  \
                for (int64_t i = first; i < end; i++)                                                                  \
                    any |= !(x[i] <= last);                                                                            \
            else                                                                                                       \
                for (int64_t i = first; i < end; i++)                                                                  \
                    any |= !(x[i] >= last);                                                                            \
            for (int64_t i = first; any && i < end; i++) {                                                             \
                const uint##BITS##_t key = key_##S(x[i]) ^ flip;                                                       \
                if (key < list[results - 1].key)                                                                       \
                    insert##BITS(list, results - 1, (item##BITS){key, (int32_t)i});                                    \
            }                                                                                                          \
        }                                                                                                              \
        for (int64_t i = 0; i < results; i++)                                                                          \
            order[i] = list[i].index;                                                                                  \
    }                                                                                                                  \
    static void sort_##S(const void *line, int64_t length, bool descending, int32_t *order, int64_t results,           \
                         char *scratch)                                                                                \
    {                                                                                                                  \
        const T *x = line;                                                                                             \
        const uint##BITS##_t flip = descending ? (uint##BITS##_t)(UINT64_MAX >> (64 - (DIFFERENT))) : 0;               \
        item##BITS *items = (void *)scratch;                                                                           \
        if (is_few(length, results)) {                                                                                 \
            few_##S(x, length, flip, order, results);                                                                  \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < length; i++)                                                                           \
            items[i] = (item##BITS){key_##S(x[i]) ^ flip, (int32_t)i};                                                 \
        if (length > SHORT)                                                                                            \
            items = radix##BITS(items, items + length, length, DIFFERENT);                                             \
        for (int64_t i = 1; length <= SHORT && i < length; i++)                                                        \
            insert##BITS(items, i, items[i]);                                                                          \
        for (int64_t i = 0; i < results; i++)                                                                          \
            order[i] = items[i].index;                                                                                 \
    }
SORTS(SORT_LINE)

int64_t cpu_sort_scratch(clg_dtype dtype, int64_t length, int64_t results)
{
    static const int64_t size[CLG_DTYPE_COUNT] = {[CLG_F32] = (int64_t)sizeof(item32),
                                                  [CLG_F64] = (int64_t)sizeof(item64),
                                                  [CLG_I32] = (int64_t)sizeof(item32),
                                                  [CLG_U8] = (int64_t)sizeof(item32),
                                                  [CLG_I64] = (int64_t)sizeof(item64)};
    return is_few(length, results) ? 0 : 2 * length * size[dtype];
}

void cpu_sort_line(clg_dtype dtype, const void *x, int64_t length, bool descending, int32_t *order, int64_t results,
                   char *scratch)
{
    static void (*const sorts[CLG_DTYPE_COUNT])(const void *, int64_t, bool, int32_t *, int64_t, char *) = {
        [CLG_F32] = sort_f32, [CLG_F64] = sort_f64, [CLG_I32] = sort_i32, [CLG_U8] = sort_u8, [CLG_I64] = sort_i64};
    sorts[dtype](x, length, descending, order, results, scratch);
}
