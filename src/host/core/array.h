/* Growing arrays, and the arithmetic of sizes. An array is a pointer, a count and a capacity of its owner. */
#ifndef CLG_ARRAY_H
#define CLG_ARRAY_H

#include "error.h"

/* Makes room for wanted elements of a size, at least doubling. array: the address of the pointer. false, with the
 * message "out of memory", when there is none: the array is as it was. */
bool array_reserve(void *array, int64_t wanted, int32_t *capacity, size_t size);

/* Makes room for one element more. */
#define ARRAY_ROOM(items, count, capacity) array_reserve(&(items), (int64_t)(count) + 1, &(capacity), sizeof *(items))

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* a / by, rounded up; a >= 0 and by > 0. */
static inline int64_t divide_up(int64_t a, int64_t by) { return (a + by - 1) / by; }
/* The least multiple of unit that is not below a. */
static inline int64_t round_up(int64_t a, int64_t unit) { return divide_up(a, unit) * unit; }
#endif
