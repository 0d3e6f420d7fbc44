/* The table of dtypes (dtypes.def) as C data, and single elements as f64. */
#ifndef CLG_DTYPES_H
#define CLG_DTYPES_H

#include <clgrad/dtypes.h>

typedef struct dtype_row {
    const char *name, *suffix, *lanes;
    size_t size;
    bool real;
    int rank;
    clg_dtype arithmetic;
    const char *lowest, *highest;
} dtype_row;

extern const dtype_row clg_dtypes[CLG_DTYPE_COUNT];

/* f16 and bf16: real, and smaller than what they are computed in. */
static inline bool dtype_is_half(clg_dtype dtype)
{
    return clg_dtypes[dtype].real && clg_dtypes[dtype].arithmetic != dtype;
}

/* Room for an element of any dtype. */
typedef struct dtype_element {
    _Alignas(8) unsigned char bytes[8];
} dtype_element;

/* What a dtype makes of a number: as clg_cast of an f64. */
double dtype_round(clg_dtype dtype, double value);
/* What a cast makes of an element: as dtype_round, except that of integers the low bits are kept. */
double dtype_convert(clg_dtype from, clg_dtype to, double value);
/* An element from a number, rounded, and back. i64 that f64 does not have are rounded. */
dtype_element dtype_encode(clg_dtype dtype, double value);
double dtype_decode(clg_dtype dtype, const void *element);
#endif
