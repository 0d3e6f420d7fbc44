/* Helpers of generated kernels. */

/* The vector of suffix s at an element's address, to read or to assign. Not vload and vstore: PoCL's are many narrow
 * loads and shuffles, which take longer to compile than the rest of a kernel. */
#define VECTOR_AT(space, s, p) (((space s##_packed_t *)(p))->vector)

/* Of the lanes of n integers of type t, those from lo to hi - 1, both within 0..n. */
#define LANES_4(t) ((t##4)(0, 1, 2, 3))
#define LANES_8(t) ((t##8)(0, 1, 2, 3, 4, 5, 6, 7))
#define LANES_16(t) ((t##16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define WITHIN(t, n, lo, hi) ((LANES_##n(t) >= (t##n)((t)(lo))) & (LANES_##n(t) < (t##n)((t)(hi))))

/* Before a loop that is compiled as it stands: unrolled or made of vectors it would only take longer to compile. */
#ifdef __clang__
#define ROLLED _Pragma("clang loop unroll(disable) vectorize(disable) interleave(disable)")
#else
#define ROLLED _Pragma("unroll 1")
#endif

/* Asks for the cache line of an address, to write if write, before it is needed; CPU devices. Not prefetch(), which
 * PoCL leaves empty. */
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if __has_builtin(__builtin_prefetch)
#define FETCH(p, write) __builtin_prefetch((const void *)(ulong)(p), write, 2)
#else
#define FETCH(p, write)
#endif

/* CPU devices: work-groups draw shares 0..count-1 of a kernel's work when they need them, since cores are shared and
 * start late: equal parts would wait for the slowest. Each group draws those of its own range first, which are
 * neighbours, then what others have left. taken: how many of each group's are drawn, then how many groups are done,
 * SHARE_STEP apart; the last group sets them back to 0 for the next kernel. */
#ifndef SHARE_STEP /* of the host */
#define SHARE_STEP 1
#endif
static inline int take_share(volatile global int *taken, const int count)
{
    const int groups = (int)get_num_groups(0);
    for (int i = 0; i < groups; i++) {
        const int owner = ((int)get_group_id(0) + i) % groups;
        const int first = (int)((long)count * owner / groups), end = (int)((long)count * (owner + 1) / groups);
        const int number = taken[owner * SHARE_STEP] < end - first ? atomic_inc(taken + owner * SHARE_STEP) : end;
        if (number < end - first)
            return first + number;
    }
    if (atomic_inc(taken + groups * SHARE_STEP) == groups - 1)
        for (int i = 0; i <= groups; i++)
            atomic_xchg(taken + i * SHARE_STEP, 0);
    return count;
}

#define EACH_SHARE(type, share, count)                                                                                 \
    ROLLED for (type share = take_share(shares_taken, (int)(count)); share < (count);                                  \
                share = take_share(shares_taken, (int)(count)))

/* Walks over units 0..count-1 in so many shares. */
#define EACH_SHARED_UNIT(type, unit, count, shares)                                                                    \
    EACH_SHARE(int, share, shares)                                                                                     \
    for (type unit = (type)((long)(count)*share / (shares)),                                                           \
              end_unit = (type)((long)(count) * (share + 1) / (shares));                                               \
         unit < end_unit; unit++)

/* Stores a vector of suffix s; STREAM on CPU devices past the caches, where the vector is aligned. */
#define STORE(s, p, value) VECTOR_AT(global, s, p) = value
#if __has_builtin(__builtin_nontemporal_store)
#define STREAM(s, p, value)                                                                                            \
    do {                                                                                                               \
        if ((ulong)(p) % sizeof(s##_t) == 0)                                                                           \
            __builtin_nontemporal_store(value, (global s##_t *)(p));                                                   \
        else                                                                                                           \
            STORE(s, p, value);                                                                                        \
    } while (0)
#else
#define STREAM(s, p, value) STORE(s, p, value)
#endif

/* Transposes 8 vectors x[0..7] of 8 elements of type V, by three rounds of interleaving the upper half of the vectors
 * with the lower. */
#define TRANSPOSE_8(V, x)                                                                                              \
    do {                                                                                                               \
        V transpose_y[8];                                                                                              \
        _Pragma("unroll") for (int round = 0; round < 3; round++)                                                      \
        {                                                                                                              \
            _Pragma("unroll") for (int i = 0; i < 4; i++)                                                              \
            {                                                                                                          \
                transpose_y[2 * i].even = x[i].lo;                                                                     \
                transpose_y[2 * i].odd = x[i + 4].lo;                                                                  \
                transpose_y[2 * i + 1].even = x[i].hi;                                                                 \
                transpose_y[2 * i + 1].odd = x[i + 4].hi;                                                              \
            }                                                                                                          \
            _Pragma("unroll") for (int i = 0; i < 8; i++) x[i] = transpose_y[i];                                       \
        }                                                                                                              \
    } while (0)

/* Folds value over the work-items of a group into result, in the same order on every run: the first few each fold what
 * lies as far apart as they are many, then all fold what those have. Few barriers, for which a GPU waits. R is a
 * reduction "op_sum", s its suffix, scratch local memory with one element a work-item; the group size is a power of
 * two. All work-items of the group must get here. */
#define FOLD_TERMS 16
#define GROUP_FOLD(R, s, result, value, scratch)                                                                       \
    do {                                                                                                               \
        const int fold_id = (int)get_local_id(0), fold_size = (int)get_local_size(0);                                  \
        const int fold_left = fold_size > FOLD_TERMS ? fold_size / FOLD_TERMS : fold_size;                             \
        scratch[fold_id] = (value);                                                                                    \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                  \
        if (fold_left < fold_size) {                                                                                   \
            if (fold_id < fold_left) {                                                                                 \
                for (int fold_at = fold_id + fold_left; fold_at < fold_size; fold_at += fold_left)                     \
                    scratch[fold_id] = R(s, scratch[fold_id], scratch[fold_at]);                                       \
            }                                                                                                          \
            barrier(CLK_LOCAL_MEM_FENCE);                                                                              \
        }                                                                                                              \
        result = scratch[0];                                                                                           \
        for (int fold_at = 1; fold_at < fold_left; fold_at++)                                                          \
            result = R(s, result, scratch[fold_at]);                                                                   \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                  \
    } while (0)
