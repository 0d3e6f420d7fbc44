/* The elements of an array as those of another type, in scratch memory from out_offset on: the operand of a contraction
 * that reads it in place more often than it has elements. One work-item casts CHUNK of them. */
#ifndef KERNEL
#include "prelude.cl"
#define KERNEL cast_example
#define T float
#define W 8
#define AT(space, p) (*(space float8 *)(p))
#define IN_T float
#define IN_VALUE(x) x
#define IN_VECTOR(p) (*(global const float8 *)(p))
#define INDEX int
#define CHUNK 4096
#endif

kernel void KERNEL(global const IN_T *in, global T *restrict out, const INDEX count, const INDEX out_offset,
                   const int idle)
{
    if (idle)
        return;
    INDEX i = (INDEX)get_group_id(0) * CHUNK;
    const INDEX end = min(count, i + CHUNK);
    ROLLED
    for (; i + W <= end; i += W)
        AT(global, out + out_offset + i) = IN_VECTOR(in + i);
    for (; i < end; i++)
        out[out_offset + i] = IN_VALUE(in[i]);
}
#undef T
#undef W
#undef AT
#undef IN_T
#undef IN_VALUE
#undef IN_VECTOR
#undef INDEX
#undef CHUNK
