/* Copies of elements by their size in bytes, whatever their dtype; internal to the CPU backend. */
#ifndef CLG_CPU_COPY_H
#define CLG_CPU_COPY_H

#include "cpu.h"

/* n elements, stride apart from s on, to consecutive d. */
void cpu_copy_from(void *d, const void *s, int64_t stride, int64_t n, int size);
/* Consecutive ones from s on to d, stride apart; d may be s where that is 1. */
void cpu_copy_to(void *d, const void *s, int64_t stride, int64_t n, int size);
/* n elements of short rows: dims are those from row to row and in a row. The first one is number phase of its row, s
 * where that row begins. */
void cpu_copy_rows(void *d, const void *s, const cpu_dim dims[2], int64_t phase, int64_t n, int size);
/* Consecutive rows of extent elements to where rows are only step apart and their elements stride: transposed. */
void cpu_copy_turned(void *d, const void *s, int64_t stride, int64_t step, int64_t extent, int64_t rows, int size);
/* count lines of n elements, transposed: to d the first elements of all, stride behind them the second ones, ... */
void cpu_copy_lines(void *d, int64_t stride, const void *const *line, int64_t count, int64_t n, int size);
#endif
