/* Rows of results for one dtype (sweep.c): what each lane reduces stays in a register from the first term to the last.
 * Before each inclusion: TYPE the suffix (f32, f64), T the type, LANE the integer of its size. */

#define WIDTH WIDTH_OF(T)
#define V FN(TYPE, sweep_vector)
#define U FN(TYPE, sweep_unaligned)
#define I FN(TYPE, sweep_lanes)

typedef T V __attribute__((vector_size(VECTOR_BYTES)));
typedef T U __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));
typedef LANE I __attribute__((vector_size(VECTOR_BYTES)));

/* Elements at from, stride (1 or 2) apart; none behind the last one is read. */
INLINE V FN(TYPE, sweep_load)(const T *from, const int stride)
{
    const V first = *(const U *)from;
    if (stride == 1)
        return first;
    const V last = *(const U *)(from + WIDTH - 1);
#if defined(__clang__)
    V both;
    for (int l = 0; l < WIDTH; l++)
        both[l] = l < WIDTH / 2 ? first[2 * l] : last[2 * l - WIDTH + 1];
    return both;
#else
    I from_two;
    UNROLL for (int l = 0; l < WIDTH; l++) from_two[l] = 2 * l + (l >= WIDTH / 2);
    return __builtin_shuffle(first, last, from_two);
#endif
}

INLINE V FN(TYPE, sweep_combine)(const bool max, V a, V b)
{
    if (!max)
        return a + b;
    const I greater = (b > a) | (b != b);
    return (V)(((I)b & greater) | ((I)a & ~greater));
}

/* Lanes at ... at + WIDTH - 1 of term q. */
INLINE V FN(TYPE, sweep_term)(const cpu_row *row, const int form, const int stride, int64_t q, int64_t at)
{
    V y = FN(TYPE, sweep_load)((const T *)row->x + (row->x_from + row->x_at[q] + at * stride), stride);
    if (form == SWEEP_BY_ONE)
        y *= ((const T *)row->w)[row->w_from + row->w_at[q]] - (V){0};
    if (form == SWEEP_BY_LANES)
        y *= *(const U *)((const T *)row->w + (row->w_from + row->w_at[q] + at));
    return y;
}

/* What does not change a result where a term has no such lane. */
INLINE V FN(TYPE, sweep_masked)(const cpu_row *row, const bool max, int64_t q, int64_t at, I lane, V y)
{
    const LANE begin = (LANE)smaller(larger(row->begin[q] - at, 0), WIDTH);
    const LANE end = (LANE)smaller(larger(row->end[q] - at, 0), WIDTH);
    const I has = (lane >= begin) & (lane < end);
    const V none = (max ? (T)-INFINITY : 0) - (V){0};
    return (V)(((I)y & has) | ((I)none & ~has));
}

INLINE T FN(TYPE, sweep_one)(const cpu_row *row, const bool max, const int form, int64_t at)
{
    T result = max ? (T)-INFINITY : 0;
    for (int64_t q = 0; q < row->count; q++) {
        if (at < row->begin[q] || at >= row->end[q])
            continue;
        T y = ((const T *)row->x)[row->x_from + row->x_at[q] + at * row->x_stride];
        if (form != SWEEP_PLAIN)
            y *= ((const T *)row->w)[row->w_from + row->w_at[q] + (form == SWEEP_BY_LANES ? at * row->w_stride : 0)];
        result = max ? FN(TYPE, MAX_combine)(result, y) : result + y;
    }
    return result;
}

INLINE void FN(TYPE, sweep_row)(const cpu_row *row, const bool max, const int form, const int stride)
{
    T *const first = row->d; /* lane row->lane */
    const int64_t last = row->lane + row->n;
    const V start = (max ? (T)-INFINITY : 0) - (V){0};
    I lane;
    UNROLL for (int l = 0; l < WIDTH; l++) lane[l] = l;
    if (!row->readable || row->n < WIDTH) {
        for (int64_t at = row->lane; at < last; at++)
            first[at - row->lane] = FN(TYPE, sweep_one)(row, max, form, at);
        return;
    }
    for (int64_t i = row->lane; i < last; i += WIDTH) {
        V result = start, second = start;
        i = smaller(i, last - WIDTH); /* the last vector does some lanes again */
        T *const d = first + (i - row->lane);
        if (i < row->whole_begin || i + WIDTH > row->whole_end) {
            for (int64_t q = 0; q < row->count; q++) {
                V y = FN(TYPE, sweep_term)(row, form, stride, q, i);
                if (i < row->begin[q] || i + WIDTH > row->end[q])
                    y = FN(TYPE, sweep_masked)(row, max, q, i, lane, y);
                result = FN(TYPE, sweep_combine)(max, result, y);
            }
        } else if (i + 2 * WIDTH <= smaller(row->whole_end, last)) {
            for (int64_t q = 0; q < row->count; q++) {
                result = FN(TYPE, sweep_combine)(max, result, FN(TYPE, sweep_term)(row, form, stride, q, i));
                second = FN(TYPE, sweep_combine)(max, second, FN(TYPE, sweep_term)(row, form, stride, q, i + WIDTH));
            }
            *(U *)(d + WIDTH) = second;
            *(U *)d = result;
            i += WIDTH;
            continue;
        } else {
            for (int64_t q = 0; q < row->count; q++)
                result = FN(TYPE, sweep_combine)(max, result, FN(TYPE, sweep_term)(row, form, stride, q, i));
        }
        *(U *)d = result;
    }
}

#define SWEEP(name, max, form)                                                                                         \
    static void FN(TYPE, sweep_##name##_1)(const cpu_row *row) { FN(TYPE, sweep_row)(row, max, form, 1); }             \
    static void FN(TYPE, sweep_##name##_2)(const cpu_row *row) { FN(TYPE, sweep_row)(row, max, form, 2); }
SWEEP(sum, false, SWEEP_PLAIN)
SWEEP(max, true, SWEEP_PLAIN)
SWEEP(by_one, false, SWEEP_BY_ONE)
SWEEP(by_lanes, false, SWEEP_BY_LANES)

#undef SWEEP

/* Lanes at ... at + WIDTH - 1 of a row whose lane 0 is x[x_at] and w[w_at]. */
INLINE V FN(TYPE, dot_term)(const T *x, int64_t x_at, const T *w, int64_t w_at, const int form, int64_t at)
{
    const V y = *(const U *)(x + (x_at + at));
    return form == SWEEP_PLAIN ? y : form == SWEEP_BY_ONE ? y * (w[w_at] - (V){0}) : y * *(const U *)(w + (w_at + at));
}

/* Adds up rows of products (or of x alone): FOUR vectors of partial sums, then their lanes in wider numbers. */
INLINE double FN(TYPE, dot_rows)(const cpu_rows *rows, const int form)
{
    enum { FOUR = 4 };
    const int64_t begin = rows->begin, end = rows->end, whole = begin + (end - begin) / WIDTH * WIDTH;
    const T *const x = rows->x, *const w = rows->w;
    V sum[FOUR] = {0};
    T rest = 0;
    double total = 0;
    I lane;
    UNROLL for (int l = 0; l < WIDTH; l++) lane[l] = l;
    /* the lanes of the last vector that no other one has; a row of less than a vector is added up lane by lane */
    const I behind = lane >= (LANE)(WIDTH - (end - whole));
    const bool masked = whole < end && whole > begin, scalar = whole == begin;
    for (int64_t q = 0; q < rows->count; q++) {
        const int64_t x_at = rows->x_from + rows->x_at[q], w_at = rows->w_from + rows->w_at[q];
        int64_t i = begin;
        for (; i + FOUR * WIDTH <= whole; i += FOUR * WIDTH)
            UNROLL for (int k = 0; k < FOUR; k++) sum[k] += FN(TYPE, dot_term)(x, x_at, w, w_at, form, i + k * WIDTH);
        UNROLL for (int k = 0; k < FOUR - 1; k++)
        {
            if (i + k * WIDTH < whole)
                sum[k] += FN(TYPE, dot_term)(x, x_at, w, w_at, form, i + k * WIDTH);
        }
        if (masked)
            sum[FOUR - 1] += (V)((I)FN(TYPE, dot_term)(x, x_at, w, w_at, form, end - WIDTH) & behind);
        for (; scalar && i < end; i++)
            rest += form == SWEEP_PLAIN ? x[x_at + i] : x[x_at + i] * w[w_at + (form == SWEEP_BY_ONE ? 0 : i)];
        if (q % rows->flush == rows->flush - 1 || q + 1 == rows->count) {
            sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            for (int l = 0; l < WIDTH; l++)
                total += (double)sum[0][l];
            total += (double)rest;
            UNROLL for (int k = 0; k < FOUR; k++) sum[k] = (V){0};
            rest = 0;
        }
    }
    return total;
}
static double FN(TYPE, dot_plain)(const cpu_rows *rows) { return FN(TYPE, dot_rows)(rows, SWEEP_PLAIN); }
static double FN(TYPE, dot_by_one)(const cpu_rows *rows) { return FN(TYPE, dot_rows)(rows, SWEEP_BY_ONE); }
static double FN(TYPE, dot_by_lanes)(const cpu_rows *rows) { return FN(TYPE, dot_rows)(rows, SWEEP_BY_LANES); }

#undef WIDTH
#undef V
#undef U
#undef I
#undef TYPE
#undef T
#undef LANE
