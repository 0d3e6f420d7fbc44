/* Helpers of generated kernels. */

/* The vector of suffix s at an element's address, to read or to assign. Not vload and vstore: PoCL's are many narrow
 * loads and shuffles, which take longer to compile than the rest of a kernel. */
#define VECTOR_AT(space, s, p) (((space s##_packed_t *)(p))->vector)

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

/* Folds value over the work-items of a group into result, in the same order on every run. R is a reduction
 * "op_sum", s its suffix, scratch local memory with one element a work-item; the group size is a power of two.
 * All work-items of the group must get here. */
#define GROUP_FOLD(R, s, result, value, scratch)                                                                       \
    do {                                                                                                               \
        const int fold_id = (int)get_local_id(0);                                                                      \
        scratch[fold_id] = (value);                                                                                    \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                  \
        for (int fold_half = (int)get_local_size(0) / 2; fold_half > 0; fold_half /= 2) {                              \
            if (fold_id < fold_half)                                                                                   \
                scratch[fold_id] = R(s, scratch[fold_id], scratch[fold_id + fold_half]);                               \
            barrier(CLK_LOCAL_MEM_FENCE);                                                                              \
        }                                                                                                              \
        result = scratch[0];                                                                                           \
        barrier(CLK_LOCAL_MEM_FENCE);                                                                                  \
    } while (0)
