/* The order of lines of elements, the first RESULTS indices of each: stable, NaN the largest. Elements become unsigned
 * keys K that compare as they do. Scratch memory has two keys, and behind all of them two indices, for each element: of
 * the lines of a work-item on CPU devices, else of all.
 *
 * PHASE 0, CPU devices, a group of one work-item draws lines: the first RESULTS, if they are FEW, are inserted into a
 * list, else keys are sorted digit by digit.
 * Groups of a GPU: PHASE 1 sorts runs of RUN elements in local memory; PHASE 2 merges runs of WIDTH two by two, each
 * element finding its place among those of the other run; the last one has one run. PHASE 3 stores the indices. */
#ifndef KERNEL
#define KERNEL sort_example
#define T float
#define K uint
#define BITS 32
#define DIFFERENT 32
#define REAL_KEY 1
#define OFFSET 0
#define INDEX int
#define LINES 10
#define LENGTH 100
#define RESULTS 100
#define DESCENDING 0
#define FEW 0
#define PHASE 0
#define RUN 128
#define WIDTH 128
#define ODD 0
#define EACH_SHARE(type, share, count) for (type share = (type)get_global_id(0); share < (count); share += 1024)
#endif
#define KEY_OF_(kernel) kernel##_key
#define KEY_OF(kernel) KEY_OF_(kernel)

#define ALL ((K) ~(K)0 >> (BITS - DIFFERENT))
#define TOP ((K)1 << (BITS - 1))

/* The bits of an element: of reals, of integers with an offset of their sign. */
static inline K KEY_OF(KERNEL)(const T x)
{
#if REAL_KEY == 1
    K bits = as_uint(x);
#elif REAL_KEY == 2
    K bits = as_ulong(x);
#else
    K bits = (K)x ^ (K)OFFSET;
#endif
#if REAL_KEY
    bits = bits == TOP ? 0 : bits;
    bits = x != x ? ~(K)0 : bits ^ (bits & TOP ? ~(K)0 : TOP);
#endif
    return DESCENDING ? bits ^ ALL : bits;
}
#define KEY(x) KEY_OF(KERNEL)(x)
#define LINE_OF_(kernel) kernel##_line
#define LINE_OF(kernel) LINE_OF_(kernel)
#define SORT_LINE LINE_OF(KERNEL)

#if PHASE == 0
static inline void SORT_LINE(global const T *from, global int *to, global uint *scratch)
{
#if FEW
    K key[RESULTS];
    int index[RESULTS];
    int count = 0;
    for (int i = 0; i < LENGTH; i++) {
        const K k = KEY(from[i]);
        if (count == RESULTS && k >= key[RESULTS - 1])
            continue;
        int at = count < RESULTS ? count++ : RESULTS - 1;
        for (; at > 0 && key[at - 1] > k; at--) {
            key[at] = key[at - 1];
            index[at] = index[at - 1];
        }
        key[at] = k;
        index[at] = i;
    }
    for (int i = 0; i < RESULTS; i++)
        to[i] = index[i];
#else
    global K *keys = (global K *)scratch + (INDEX)get_group_id(0) * LENGTH * 2, *other_keys = keys + LENGTH;
    global int *places = (global int *)((global K *)scratch + (INDEX)get_num_groups(0) * LENGTH * 2);
    places += (INDEX)get_group_id(0) * LENGTH * 2;
    global int *other_places = places + LENGTH;
    for (int i = 0; i < LENGTH; i++) {
        keys[i] = KEY(from[i]);
        places[i] = i;
    }
    for (int digit = 0; digit < DIFFERENT; digit += 8) {
        int at[256];
        for (int i = 0; i < 256; i++)
            at[i] = 0;
        for (int i = 0; i < LENGTH; i++)
            at[(int)(keys[i] >> digit & 255)]++;
        int sum = 0;
        for (int i = 0; i < 256; i++) {
            const int those = at[i];
            at[i] = sum;
            sum += those;
        }
        for (int i = 0; i < LENGTH; i++) {
            const K k = keys[i];
            const int place = at[(int)(k >> digit & 255)]++;
            other_keys[place] = k;
            other_places[place] = places[i];
        }
        global K *const k = keys;
        global int *const p = places;
        keys = other_keys, places = other_places;
        other_keys = k, other_places = p;
    }
    for (int i = 0; i < RESULTS; i++)
        to[i] = places[i];
#endif
}

kernel void KERNEL(global const T *x, global int *restrict order, global uint *restrict scratch,
                   volatile global int *shares_taken, const int idle)
{
    if (idle)
        return;
    EACH_SHARE(int, line, LINES) { SORT_LINE(x + (INDEX)line * LENGTH, order + (INDEX)line * RESULTS, scratch); }
}
#elif PHASE == 1
/* Runs in local memory, by a bitonic network (Batcher 1968) over a power of two; behind the end all is larger. */
kernel void KERNEL(global const T *x, global uint *restrict scratch, const int idle)
{
    local K key[RUN];
    local int index[RUN];
    if (idle)
        return;
    const INDEX runs = (LENGTH + RUN - 1) / RUN;
    const INDEX line = (INDEX)get_group_id(0) / runs, first = (INDEX)get_group_id(0) % runs * RUN;
    global K *const keys = (global K *)scratch + line * LENGTH;
    global int *const places = (global int *)((global K *)scratch + (INDEX)LINES * LENGTH * 2) + line * LENGTH;
    const int id = (int)get_local_id(0), size = (int)get_local_size(0);
    for (int i = id; i < RUN; i += size) {
        const bool is = first + i < LENGTH;
        key[i] = is ? KEY(x[line * LENGTH + (is ? first + i : 0)]) : ~(K)0;
        index[i] = (int)(first + i);
    }
    for (int span = 2; span <= RUN; span *= 2)
        for (int apart = span / 2; apart > 0; apart /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int i = id; i < RUN / 2; i += size) {
                const int low = i / apart * apart * 2 + i % apart, high = low + apart;
                const bool up = (low & span) == 0;
                const bool after = key[low] > key[high] || (key[low] == key[high] && index[low] > index[high]);
                if (after == up) {
                    const K k = key[low];
                    const int p = index[low];
                    key[low] = key[high], index[low] = index[high];
                    key[high] = k, index[high] = p;
                }
            }
        }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = id; i < RUN; i += size)
        if (first + i < LENGTH) {
            keys[first + i] = key[i];
            places[first + i] = index[i];
        }
}
#elif PHASE == 2
kernel void KERNEL(global uint *restrict scratch, const int idle)
{
    if (idle)
        return;
    const INDEX number = (INDEX)get_global_id(0), all = (INDEX)LINES * LENGTH;
    if (number >= all)
        return;
    const INDEX line = number / LENGTH, i = number % LENGTH;
    /* every second pass goes back */
    global K *const keys = (global K *)scratch + (ODD ? all : 0) + line * LENGTH;
    global K *const to_keys = (global K *)scratch + (ODD ? 0 : all) + line * LENGTH;
    global int *const all_places = (global int *)((global K *)scratch + all * 2);
    global int *const places = all_places + (ODD ? all : 0) + line * LENGTH;
    global int *const to_places = all_places + (ODD ? 0 : all) + line * LENGTH;
    const INDEX pair = i / (2 * (INDEX)WIDTH) * 2 * WIDTH, middle = min(pair + (INDEX)WIDTH, (INDEX)LENGTH);
    const bool left = i < middle;
    const K k = keys[i];
    INDEX low = left ? middle : pair, high = left ? min(middle + (INDEX)WIDTH, (INDEX)LENGTH) : middle;
    const INDEX begin = low;
    while (low < high) { /* those of the other run that come before: on the left also equal ones */
        const INDEX at = (low + high) / 2;
        if (left ? keys[at] < k : keys[at] <= k)
            low = at + 1;
        else
            high = at;
    }
    const INDEX place = pair + (left ? i - pair : i - middle) + low - begin;
    to_keys[place] = k;
    to_places[place] = places[i];
}
#else
kernel void KERNEL(global int *restrict order, global uint *restrict scratch, const int idle)
{
    if (idle)
        return;
    const INDEX number = (INDEX)get_global_id(0), all = (INDEX)LINES * LENGTH;
    global const int *const places = (global const int *)((global K *)scratch + all * 2) + (ODD ? all : 0);
    if (number < (INDEX)LINES * RESULTS)
        order[number] = places[number / RESULTS * LENGTH + number % RESULTS];
}
#endif
#undef ALL
#undef TOP
#undef KEY
#undef KEY_OF
#undef KEY_OF_
#undef LINE_OF
#undef LINE_OF_
#undef SORT_LINE
#undef T
#undef K
#undef BITS
#undef DIFFERENT
#undef REAL_KEY
#undef OFFSET
#undef INDEX
#undef LINES
#undef LENGTH
#undef RESULTS
#undef DESCENDING
#undef FEW
#undef PHASE
#undef RUN
#undef WIDTH
#undef ODD
