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

/* From WIDTH - n on: n lanes that a term has, or lacks. */
static const LANE FN(TYPE, sweep_has)[2 * WIDTH] = {[0 ... WIDTH - 1] = -1};
static const LANE FN(TYPE, sweep_lacks)[2 * WIDTH] = {[WIDTH... 2 * WIDTH - 1] = -1};

INLINE I FN(TYPE, sweep_mask)(const LANE *table, int64_t lanes)
{
    I mask;
    memcpy(&mask, table + WIDTH - lanes, sizeof mask);
    return mask;
}

/* What does not change a result where a term has no such lane. */
INLINE V FN(TYPE, sweep_masked)(const bool max, I has, V y)
{
    const V none = (max ? (T)-INFINITY : 0) - (V){0};
    return max ? (V)(((I)y & has) | ((I)none & ~has)) : (V)((I)y & has);
}

#define SWEEP_VECTORS 4

/* The lanes that terms have in the first and in the last vector of a row. */
typedef struct FN(TYPE, sweep_edges) {
    I first[CPU_FLUSH], last[CPU_FLUSH];
} FN(TYPE, sweep_edges);

INLINE void FN(TYPE, sweep_find_edges)(const cpu_row *row, int64_t at, int64_t at_last, FN(TYPE, sweep_edges) * edges)
{
    for (int64_t q = 0; q < row->count; q++) {
        edges->first[q] = FN(TYPE, sweep_mask)(FN(TYPE, sweep_lacks), smaller(larger(row->begin[q] - at, 0), WIDTH));
        edges->last[q] = FN(TYPE, sweep_mask)(FN(TYPE, sweep_has), smaller(larger(row->end[q] - at_last, 0), WIDTH));
    }
}

/* Of row number r: vectors side by side from lane at on, the last one from lane at_last; each term is met once. edges:
 * some terms begin within the first vector or end within the last one; those between are whole. NULL: none does. */
INLINE void FN(TYPE, sweep_vectors)(const cpu_row *row, int64_t r, const bool max, const int form, const int stride,
                                    const int vectors, const FN(TYPE, sweep_edges) * edges, int64_t at, int64_t at_last,
                                    T *d)
{
    V sum[SWEEP_VECTORS];
    const T *const all_x = (const T *)row->x + (row->x_from + r * row->x_step);
    const T *const all_w = form == SWEEP_PLAIN ? NULL : (const T *)row->w + (row->w_from + r * row->w_step);
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = (max ? (T)-INFINITY : 0) - (V){0};
    for (int64_t q = 0; q < row->count; q++) {
        const T *const x = all_x + row->x_at[q];
        const T *const w = form == SWEEP_PLAIN ? NULL : all_w + row->w_at[q];
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const int64_t lane = v + 1 == vectors ? at_last : at + v * WIDTH;
            V y = FN(TYPE, sweep_load)(x + lane * stride, stride);
            if (form == SWEEP_BY_ONE)
                y *= *w - (V){0};
            if (form == SWEEP_BY_LANES)
                y *= *(const U *)(w + lane);
            if (edges && v == 0)
                y = FN(TYPE, sweep_masked)(max, edges->first[q], y);
            if (edges && v + 1 == vectors)
                y = FN(TYPE, sweep_masked)(max, edges->last[q], y);
            sum[v] = FN(TYPE, sweep_combine)(max, sum[v], y);
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) * (U *)(d + (v + 1 == vectors ? at_last - at : v * WIDTH)) = sum[v];
}

INLINE T FN(TYPE, sweep_one)(const cpu_row *row, int64_t r, const bool max, const int form, int64_t at)
{
    T result = max ? (T)-INFINITY : 0;
    for (int64_t q = 0; q < row->count; q++) {
        if (at < row->begin[q] || at >= row->end[q])
            continue;
        T y = ((const T *)row->x)[row->x_from + r * row->x_step + row->x_at[q] + at * row->x_stride];
        if (form != SWEEP_PLAIN)
            y *= ((const T *)row->w)[row->w_from + r * row->w_step + row->w_at[q] +
                                     (form == SWEEP_BY_LANES ? at * row->w_stride : 0)];
        result = max ? FN(TYPE, MAX_combine)(result, y) : result + y;
    }
    return result;
}

#define SWEEP_CASES(vectors)                                                                                           \
    case 2 * (vectors):                                                                                                \
        for (int64_t r = 0; r < row->rows; r++)                                                                        \
            FN(TYPE, sweep_vectors)(row, r, max, form, stride, vectors, NULL, at, at_last, d + r * row->n);            \
        break;                                                                                                         \
    case 2 * (vectors) + 1:                                                                                            \
        for (int64_t r = 0; r < row->rows; r++)                                                                        \
            FN(TYPE, sweep_vectors)(row, r, max, form, stride, vectors, &masks, at, at_last, d + r * row->n);          \
        break;

INLINE void FN(TYPE, sweep_row)(const cpu_row *row, const bool max, const int form, const int stride)
{
    T *const first = row->d; /* lane row->lane */
    const int64_t last = row->lane + row->n;
    FN(TYPE, sweep_edges) masks;
    if (!row->readable || row->n < WIDTH) {
        for (int64_t r = 0; r < row->rows; r++)
            for (int64_t at = row->lane; at < last; at++)
                first[r * row->n + at - row->lane] = FN(TYPE, sweep_one)(row, r, max, form, at);
        return;
    }
    for (int64_t i = row->lane, at_last; i < last; i = at_last + WIDTH) {
        int vectors = (int)smaller(divide_up(last - i, WIDTH), SWEEP_VECTORS);
        const int64_t at = smaller(i, last - WIDTH); /* the last vector does some lanes again */
        at_last = smaller(i + (vectors - 1) * WIDTH, last - WIDTH);
        const bool edges = at < row->whole_begin || at_last + WIDTH > row->whole_end;
        const bool within = row->whole_begin <= at + WIDTH && row->whole_begin <= at_last &&
                            row->whole_end >= at_last && row->whole_end >= at + (vectors - 1) * WIDTH;
        if (edges && !within) { /* one by one */
            vectors = 1;
            at_last = at;
        }
        if (edges)
            FN(TYPE, sweep_find_edges)(row, at, at_last, &masks);
        T *const d = first + (at - row->lane);
        switch (2 * vectors + edges) {
            SWEEP_CASES(1)
            SWEEP_CASES(2)
            SWEEP_CASES(3)
            SWEEP_CASES(4)
        }
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
#undef SWEEP_CASES
#undef SWEEP_VECTORS

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
    int64_t left = rows->flush; /* rows before the partial sums join the total */
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
        if (--left == 0 || q + 1 == rows->count) {
            left = rows->flush;
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
