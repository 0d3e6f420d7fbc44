/* Shapes, axes and dtypes: pure functions, no graph. */
#include "graph.h"

#include <math.h>

int64_t clg_shape_count(clg_shape shape)
{
    int64_t count = 1;
    bool empty = false, overflow = false;
    for (int d = 0; d < shape.rank && d < CLG_MAX_DIMS; d++) { /* a rank may be anything that a caller writes */
        empty |= shape.dim[d] == 0;
        overflow |= __builtin_mul_overflow(count, shape.dim[d], &count);
    }
    return empty ? 0 : overflow ? INT64_MAX : count;
}

bool clg_shape_equal(clg_shape a, clg_shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int d = 0; d < a.rank; d++)
        if (a.dim[d] != b.dim[d])
            return false;
    return true;
}

char *clg_shape_format(clg_shape shape, char *text, size_t size)
{
    size_t used = 0;
    if (!size)
        return text;
    text[0] = 0;
    if (shape.rank < 0 || shape.rank > CLG_MAX_DIMS) {
        snprintf(text, size, "(rank %d)", shape.rank);
        return text;
    }
#define APPEND(...) used += used < size ? (size_t)snprintf(text + used, size - used, __VA_ARGS__) : 0
    APPEND("(");
    for (int d = 0; d < shape.rank; d++)
        APPEND(d ? ", %lld" : "%lld", (long long)shape.dim[d]);
    APPEND(shape.rank == 1 ? ",)" : ")");
#undef APPEND
    return text;
}

const char *shape_text(clg_shape shape)
{
    static _Thread_local char texts[4][200];
    static _Thread_local int next;
    next = (next + 1) % 4;
    return clg_shape_format(shape, texts[next], sizeof texts[next]);
}

bool shape_broadcast(clg_shape a, clg_shape b, clg_shape *out)
{
    out->rank = a.rank > b.rank ? a.rank : b.rank;
    for (int d = 1; d <= out->rank; d++) { /* from the last axis */
        int64_t m = d <= a.rank ? a.dim[a.rank - d] : 1, n = d <= b.rank ? b.dim[b.rank - d] : 1;
        if (m != n && m != 1 && n != 1)
            return false;
        out->dim[out->rank - d] = m == 1 ? n : m;
    }
    return true;
}

bool axes_mask(clg_axes axes, int rank, uint32_t *mask)
{
    if (axes.count < -1 || axes.count > rank)
        return false;
    *mask = axes.count < 0 ? (1u << rank) - 1 : 0;
    for (int i = 0; i < axes.count; i++) {
        int axis = axes.axis[i] < 0 ? axes.axis[i] + rank : axes.axis[i];
        if (axis < 0 || axis >= rank || *mask >> axis & 1)
            return false;
        *mask |= 1u << axis;
    }
    return true;
}
