/* Elements of every dtype as numbers and back, from their definitions: what tests compare with. */
#ifndef CLG_SUPPORT_DTYPE_H
#define CLG_SUPPORT_DTYPE_H

#include <clgrad/dtypes.h>

/* A number that f64 has, as an element of a dtype: reals rounded to the nearest, of two the even one. Integers must be
 * in range. */
void support_encode(clg_dtype dtype, double value, void *element);
double support_decode(clg_dtype dtype, const void *element);
/* What a cast makes of a number. */
double support_cast(clg_dtype from, clg_dtype to, double value);
/* Whether a device computes with it: not a dtype of storage alone. */
bool support_computes(clg_dtype dtype);
#endif
