/* Lines of (outer, length, inner) combined element by element along the middle axis. NEXT(a, b, c) combines the
 * accumulator a and the element b; c is the second operand's element, the factor of a, where HAS_C.
 *
 * PHASE 0 scans; where there are pieces, from what `carry` says of each. PHASE 1 makes of each piece what it gives by
 * itself and the product of its factors; PHASE 2 makes of these what comes before each piece. Of line n and piece p
 * carry has these two at (n * PIECES + p) * 2.
 *
 * GROUPED: a line or piece is shared by the items of a group, EACH elements an item at a time; else a work-item has
 * ABREAST lines or columns. */
#ifndef KERNEL
#define KERNEL scan_example
#define T float
#define INDEX int
#define START 0
#define NEXT(a, b, c) ((a) + (b))
#define OUTER 10
#define LENGTH 100
#define INNER 1
#define REVERSE 0
#define PIECES 2
#define PIECE 50
#define HAS_C 0
#define PHASE 0
#define GROUPED 0
#define ABREAST 4
#define EACH 4
#define GROUP 1
#endif

#define LINES ((INDEX)(OUTER) * (INNER))
#if REVERSE
#define STEP (-(INDEX)(INNER))
#else
#define STEP ((INDEX)(INNER))
#endif

kernel void KERNEL(global const T *x,
#if HAS_C
                   global const T *factors,
#endif
#if PHASE == 0
                   global T *restrict y,
#endif
#if PIECES > 1
                   global T *restrict carry,
#endif
                   const int idle)
{
#if GROUPED
    local T totals[GROUP];
#if HAS_C
    local T products[GROUP];
#endif
#endif
    if (idle)
        return;
#if PHASE == 2
    const INDEX line = (INDEX)get_global_id(0);
    if (line < LINES) {
        T a = START;
        for (INDEX p = 0; p < PIECES; p++) {
            global T *const at = carry + (line * PIECES + p) * 2;
            const T before = a;
            if (p + 1 < PIECES)
                a = NEXT(a, at[0], at[1]);
            at[0] = before;
        }
    }
#elif GROUPED
    const INDEX unit = (INDEX)get_group_id(0), line = unit / PIECES, piece = unit % PIECES;
    const INDEX begin = piece * PIECE, length = min((INDEX)PIECE, (INDEX)LENGTH - begin);
    const INDEX from = line / INNER * LENGTH * INNER + line % INNER + (REVERSE ? LENGTH - 1 - begin : begin) * INNER;
    const int id = (int)get_local_id(0);
#if PHASE == 0 && PIECES > 1
    T before = carry[unit * 2];
#else
    T before = START;
#endif
    T product = 1;
    for (INDEX chunk = 0; chunk < length; chunk += GROUP * EACH) {
        const INDEX first = chunk + id * EACH, end = min(first + EACH, length);
        T a = START, f = 1;
        for (INDEX t = first; t < end; t++) {
#if HAS_C
            f = f * factors[from + t * STEP];
            a = NEXT(a, x[from + t * STEP], factors[from + t * STEP]);
#else
            a = NEXT(a, x[from + t * STEP], 1);
#endif
        }
        totals[id] = a;
#if HAS_C
        products[id] = f;
#endif
        for (int apart = 1; apart < GROUP; apart *= 2) { /* Hillis and Steele 1986 */
            barrier(CLK_LOCAL_MEM_FENCE);
            if (id >= apart) {
                a = NEXT(totals[id - apart], a, f);
#if HAS_C
                f = products[id - apart] * f;
#endif
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            totals[id] = a;
#if HAS_C
            products[id] = f;
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#if PHASE == 0
        a = before;
        if (id > 0) {
#if HAS_C
            a = NEXT(before, totals[id - 1], products[id - 1]);
#else
            a = NEXT(before, totals[id - 1], 1);
#endif
        }
        for (INDEX t = first; t < end; t++) {
#if HAS_C
            a = NEXT(a, x[from + t * STEP], factors[from + t * STEP]);
#else
            a = NEXT(a, x[from + t * STEP], 1);
#endif
            y[from + t * STEP] = a;
        }
#endif
#if HAS_C
        before = NEXT(before, totals[GROUP - 1], products[GROUP - 1]);
        product = product * products[GROUP - 1];
#else
        before = NEXT(before, totals[GROUP - 1], 1);
#endif
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#if PHASE == 1
    if (id == 0) {
        carry[unit * 2] = before;
        carry[unit * 2 + 1] = product;
    }
#endif
#else
    /* lanes of a unit: columns next to each other, or lines of neighbours */
    const INDEX wide = INNER > 1 ? INNER : OUTER, blocks = (wide + ABREAST - 1) / ABREAST;
    const INDEX unit = (INDEX)get_global_id(0);
    if (unit < blocks * (INNER > 1 ? OUTER : 1) * PIECES) {
        const INDEX piece = unit % PIECES, block = unit / PIECES % blocks, outer = unit / PIECES / blocks;
        const INDEX begin = piece * PIECE, length = min((INDEX)PIECE, (INDEX)LENGTH - begin);
        const INDEX lane = block * ABREAST, lane_step = INNER > 1 ? 1 : LENGTH;
        const INDEX start = REVERSE ? LENGTH - 1 - begin : begin;
        const INDEX from = INNER > 1 ? (outer * LENGTH + start) * INNER + lane : lane * LENGTH + start;
        const int lanes = (int)min((INDEX)ABREAST, wide - lane);
        T a[ABREAST];
#if HAS_C
        T f[ABREAST];
#endif
        for (int l = 0; l < ABREAST; l++) {
            a[l] = START;
#if HAS_C
            f[l] = 1;
#endif
#if PHASE == 0 && PIECES > 1
            /* of lanes that there are not: any; a load under a condition is miscompiled by PoCL 3.1 */
            a[l] = carry[(((INNER > 1 ? outer * INNER : 0) + lane + min(l, lanes - 1)) * PIECES + piece) * 2];
#endif
        }
#if HAS_C && PHASE == 0
#define ONE(l, at) a[l] = NEXT(a[l], x[at], factors[at]);
#elif HAS_C
#define ONE(l, at)                                                                                                     \
    a[l] = NEXT(a[l], x[at], factors[at]);                                                                             \
    f[l] = f[l] * factors[at];
#else
#define ONE(l, at) a[l] = NEXT(a[l], x[at], 1);
#endif
#if PHASE == 0
#define KEEP(l, at) y[at] = a[l];
#else
#define KEEP(l, at)
#endif
        if (lanes == ABREAST) {
            for (INDEX t = 0; t < length; t++) {
#if INNER == 1
#pragma unroll
#elif defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#endif
                for (int l = 0; l < ABREAST; l++) {
                    const INDEX at = from + t * STEP + l * lane_step;
                    ONE(l, at)
                    KEEP(l, at)
                }
            }
        } else {
            for (INDEX t = 0; t < length; t++)
                for (int l = 0; l < lanes; l++) {
                    const INDEX at = from + t * STEP + l * lane_step;
                    ONE(l, at)
                    KEEP(l, at)
                }
        }
#if PHASE == 1
        for (int l = 0; l < lanes; l++) {
            global T *const to = carry + ((INNER > 1 ? outer * INNER + lane + l : lane + l) * PIECES + piece) * 2;
            to[0] = a[l];
#if HAS_C
            to[1] = f[l];
#else
            to[1] = 1;
#endif
        }
#endif
#undef ONE
#undef KEEP
    }
#endif
}
#undef LINES
#undef STEP
#undef T
#undef INDEX
#undef START
#undef NEXT
#undef OUTER
#undef LENGTH
#undef INNER
#undef REVERSE
#undef PIECES
#undef PIECE
#undef HAS_C
#undef PHASE
#undef GROUPED
#undef ABREAST
#undef EACH
#undef GROUP
