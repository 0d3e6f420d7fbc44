/* One matrix (N, N) a work-group: OP 0 its Cholesky factor, 1 the solution x (N, M) of a triangular system, 2 of a
 * general one, 3 its determinant; see src/host/backend/cpu/matrix.c. MODE: whether the triangle is the upper one; what
 * of the determinant (0 itself, 1 the log of its size, 2 its sign). Items share rows and columns; ITEMS of them. */
#ifndef KERNEL
#define KERNEL matrix_example
#define T float
#define INDEX int
#define N 10
#define M 3
#define OP 2
#define MODE 0
#define ITEMS 1
#endif

#if ITEMS > 1
#define TOGETHER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#else
#define TOGETHER()
#endif
#define EACH(i, first, end) for (INDEX i = (first) + id; i < (end); i += ITEMS)

kernel void KERNEL(global const T *matrices,
#if OP == 1 || OP == 2
                   global const T *sides,
#endif
                   global T *results,
#if OP >= 2
                   global T *scratch,
#endif
                   const int idle)
{
    if (idle)
        return;
    const INDEX number = (INDEX)get_group_id(0);
    const int id = (int)get_local_id(0);
    global const T *const a = matrices + number * N * N;
#if OP == 0
    global T *const l = results + number * N * N;
    for (INDEX j = 0; j < N; j++) { /* column by column */
        if (id == 0) {
            T sum = a[j * N + j];
            for (INDEX k = 0; k < j; k++)
                sum -= l[j * N + k] * l[j * N + k];
            l[j * N + j] = sqrt(sum);
        }
        TOGETHER();
        EACH(i, 0, N)
        {
            if (i > j) {
                T sum = a[i * N + j];
                for (INDEX k = 0; k < j; k++)
                    sum -= l[i * N + k] * l[j * N + k];
                l[i * N + j] = sum / l[j * N + j];
            } else if (i < j) {
                l[i * N + j] = 0;
            }
        }
        TOGETHER();
    }
#else
#if OP == 1 || OP == 2
    global T *const x = results + number * N * M;
    EACH(i, 0, (INDEX)N * M) x[i] = sides[number * N * M + i];
#endif
#if OP >= 2
    global T *const work = scratch + number * N * N;
    EACH(i, 0, (INDEX)N * N) work[i] = a[i];
    T sign = 1;
    TOGETHER();
    for (INDEX k = 0; k < N; k++) {
        INDEX pivot = k; /* all items find it */
        for (INDEX i = k + 1; i < N; i++)
            pivot = fabs(work[i * N + k]) > fabs(work[pivot * N + k]) ? i : pivot;
        TOGETHER();
        if (pivot != k) {
            sign = -sign;
            EACH(c, k, N)
            {
                const T kept = work[k * N + c];
                work[k * N + c] = work[pivot * N + c];
                work[pivot * N + c] = kept;
            }
#if OP == 2
            EACH(c, 0, M)
            {
                const T kept = x[k * M + c];
                x[k * M + c] = x[pivot * M + c];
                x[pivot * M + c] = kept;
            }
#endif
        }
        TOGETHER();
        EACH(i, k + 1, work[k * N + k] == 0 ? 0 : N) /* 0: so is all below */
        {
            const T factor = work[i * N + k] / work[k * N + k];
            for (INDEX c = k + 1; c < N; c++)
                work[i * N + c] -= factor * work[k * N + c];
#if OP == 2
            for (INDEX c = 0; c < M; c++)
                x[i * M + c] -= factor * x[k * M + c];
#endif
        }
        TOGETHER();
    }
#define TRIANGLE work
#define UPPER 1
#else
#define TRIANGLE a
#define UPPER MODE
#endif
#if OP == 3
    if (id == 0) {
        T product = sign, sum = 0;
        for (INDEX i = 0; i < N; i++) {
            const T d = work[i * N + i];
            product *= d;
            sum += log(fabs(d));
            sign *= d != d ? d : (T)((d > 0) - (d < 0));
        }
        results[number] = MODE == 1 ? sum : MODE == 2 ? sign + 0 : product;
    }
#else
    TOGETHER();
    for (INDEX r = 0; r < N; r++) { /* each its columns; without the barrier PoCL 3.1 fails */
        const INDEX i = UPPER ? N - 1 - r : r;
        EACH(c, 0, M)
        {
            T sum = x[i * M + c];
            for (INDEX k = UPPER ? i + 1 : 0; k < (UPPER ? N : i); k++)
                sum -= TRIANGLE[i * N + k] * x[k * M + c];
            x[i * M + c] = sum / TRIANGLE[i * N + i];
        }
        TOGETHER();
    }
#endif
#undef TRIANGLE
#undef UPPER
#endif
}
#undef TOGETHER
#undef EACH
#undef T
#undef INDEX
#undef N
#undef M
#undef OP
#undef MODE
#undef ITEMS
