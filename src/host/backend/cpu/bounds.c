/* Which of the lanes of a run lie within a bound. */
#include "cpu.h"

int64_t cpu_ceil(int64_t a, int64_t b) { return a / b + (a % b > 0); }

void cpu_narrow_run(int64_t lo, int64_t hi, int64_t step, int64_t *begin, int64_t *end)
{
    if (step < 0) { /* 1 - hi <= -step * lane < 1 - lo */
        int64_t swap = 1 - hi;
        hi = 1 - lo;
        lo = swap;
        step = -step;
    }
    if (step > 1) {
        lo = cpu_ceil(lo, step);
        hi = cpu_ceil(hi, step);
    }
    if (step > 0) {
        *begin = larger(lo, *begin);
        *end = smaller(hi, *end);
    } else if (lo > 0 || hi <= 0) {
        *end = 0;
    }
    if (*end < *begin)
        *begin = *end = 0;
}
