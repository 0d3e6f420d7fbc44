/* A contraction on a GPU as a batch of matrix products, (M, K) x (K, N), whose operands are read where they lie: a row,
 * a column and a depth each stand for several dimensions, and the host prints (codegen/contract_gpu.c) what each adds to
 * an operand's address and to the forms that bound it. A group of work-items computes a tile of TILE_M x TILE_N from
 * blocks of the operands in local memory, DEPTH deep, of which the next is on its way while one is used; then each runs
 * the step's body on its ROWS x COLUMNS elements. Along the direction in which results are neighbours in memory (FAST)
 * neighbouring work-items have neighbouring elements; along the other each has runs of 4, if it has so many, which it
 * reads at once. */
#ifndef KERNEL
#define KERNEL contract_gpu_example
#define T float
#define T4 float4
#define PARAMETERS
#define INDEX int
#define M 8
#define N 32
#define K 8
#define TILES_M 1
#define TILES_N 1
#define DEPTH 16
#define PAD 4
#define ROWS 4
#define COLUMNS 4
#define ROW_ITEMS 16
#define COLUMN_ITEMS 16
#define ROWS_FAST 0
#define A_ALONG_DEPTH 1
#define B_ALONG_DEPTH 0
#define PLACE(x) contract_gpu_example_place_##x
#define OUTER(x) contract_gpu_example_outer_##x
#define INNER(x) contract_gpu_example_inner_##x
#define GET_A(outer, inner) (T)(outer.at + inner.at)
#define GET_B(outer, inner) (T)(outer.at - inner.at)
typedef struct contract_gpu_example_place {
    int at;
} PLACE(a), PLACE(b);
static inline PLACE(a) OUTER(a)(const int batch, const int q) { return (PLACE(a)){batch + q}; }
static inline PLACE(a) INNER(a)(const int q) { return (PLACE(a)){q}; }
static inline PLACE(b) OUTER(b)(const int batch, const int q) { return (PLACE(b)){batch - q}; }
static inline PLACE(b) INNER(b)(const int q) { return (PLACE(b)){-q}; }
#endif
#define GROUP (ROW_ITEMS * COLUMN_ITEMS)
#define TILE_M (ROWS * ROW_ITEMS)
#define TILE_N (COLUMNS * COLUMN_ITEMS)
#define COUNT(tile) ((DEPTH * (tile) + GROUP - 1) / GROUP)
/* Element number i of a work-item, of so many, apart or in runs; of a block, its depth and its row or column. */
#define APART(item, i, items) ((item) + (i) * (items))
#define IN_RUNS(item, i, items) ((item)*4 + (i) % 4 + (i) / 4 * 4 * (items))
#define RUN_ROWS (!ROWS_FAST && ROWS % 4 == 0)
#define RUN_COLUMNS (ROWS_FAST && COLUMNS % 4 == 0)
#define ROW(i) (RUN_ROWS ? IN_RUNS(y, i, ROW_ITEMS) : APART(y, i, ROW_ITEMS))
#define COLUMN(i) (RUN_COLUMNS ? IN_RUNS(x, i, COLUMN_ITEMS) : APART(x, i, COLUMN_ITEMS))
#define DEPTH_OF(e, tile, along) ((along) ? (e) % DEPTH : (e) / (tile))
#define PLACE_OF(e, tile, along) ((along) ? (e) / DEPTH : (e) % (tile))
#define WITHIN(e, tile) (DEPTH * (tile) % GROUP == 0 || (e) < DEPTH * (tile))
/* What element number i of the next block is: 0 beyond K, where nothing may be read. */
#define NEXT(which, GET, i, k) (K % DEPTH == 0 || (k) < K ? GET(at_##which[i], INNER(which)(min(k, (INDEX)(K - 1)))) : (T)0)
#define READ_APART(to, block, item, count, items)                                                                      \
    _Pragma("unroll") for (int i = 0; i < (count); i++) to[i] = (block)[APART(item, i, items)];
#define READ_RUNS(to, block, item, count, items)                                                                       \
    _Pragma("unroll") for (int i = 0; i < (count); i += 4)                                                             \
    {                                                                                                                  \
        const T4 run = *(local const T4 *)((block) + IN_RUNS(item, i, items));                                         \
        to[i] = run.s0, to[i + 1] = run.s1, to[i + 2] = run.s2, to[i + 3] = run.s3;                                    \
    }

//@ operands

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void KERNEL(PARAMETERS)
{
    local T block_a[DEPTH][TILE_M + PAD] __attribute__((aligned(32)));
    local T block_b[DEPTH][TILE_N + PAD] __attribute__((aligned(32)));
    const uint id = (uint)get_local_id(0);
#if ROWS_FAST
    const int y = (int)(id % ROW_ITEMS), x = (int)(id / ROW_ITEMS);
#else
    const int x = (int)(id % COLUMN_ITEMS), y = (int)(id / COLUMN_ITEMS);
#endif
    const INDEX tile = (INDEX)get_group_id(0);
    const INDEX batch = tile / (TILES_M * TILES_N);
    const INDEX row0 = tile / TILES_N % TILES_M * TILE_M, column0 = tile % TILES_N * TILE_N;
    PLACE(a) at_a[COUNT(TILE_M)];
    PLACE(b) at_b[COUNT(TILE_N)];
    T next_a[COUNT(TILE_M)], next_b[COUNT(TILE_N)];
    T sum[ROWS * COLUMNS];
#pragma unroll
    for (int i = 0; i < ROWS * COLUMNS; i++)
        sum[i] = 0;
#pragma unroll
    for (int i = 0; i < COUNT(TILE_M); i++)
        at_a[i] = OUTER(a)(batch, min(row0 + (INDEX)PLACE_OF(id + i * GROUP, TILE_M, A_ALONG_DEPTH), (INDEX)(M - 1)));
#pragma unroll
    for (int i = 0; i < COUNT(TILE_N); i++)
        at_b[i] =
            OUTER(b)(batch, min(column0 + (INDEX)PLACE_OF(id + i * GROUP, TILE_N, B_ALONG_DEPTH), (INDEX)(N - 1)));
    for (INDEX k0 = -DEPTH; k0 < K; k0 += DEPTH) {
        if (k0 + DEPTH < K) {
#pragma unroll
            for (int i = 0; i < COUNT(TILE_M); i++)
                next_a[i] = NEXT(a, GET_A, i, k0 + DEPTH + (INDEX)DEPTH_OF(id + i * GROUP, TILE_M, A_ALONG_DEPTH));
#pragma unroll
            for (int i = 0; i < COUNT(TILE_N); i++)
                next_b[i] = NEXT(b, GET_B, i, k0 + DEPTH + (INDEX)DEPTH_OF(id + i * GROUP, TILE_N, B_ALONG_DEPTH));
        }
        if (k0 >= 0) {
#pragma unroll 4
            for (int k = 0; k < DEPTH; k++) {
                T a[ROWS], b[COLUMNS];
#if RUN_ROWS
                READ_RUNS(a, block_a[k], y, ROWS, ROW_ITEMS)
#else
                READ_APART(a, block_a[k], y, ROWS, ROW_ITEMS)
#endif
#if RUN_COLUMNS
                READ_RUNS(b, block_b[k], x, COLUMNS, COLUMN_ITEMS)
#else
                READ_APART(b, block_b[k], x, COLUMNS, COLUMN_ITEMS)
#endif
#pragma unroll
                for (int i = 0; i < ROWS * COLUMNS; i++)
                    sum[i] = fma(a[i / COLUMNS], b[i % COLUMNS], sum[i]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (k0 + DEPTH < K) {
#pragma unroll
            for (int i = 0; i < COUNT(TILE_M); i++) {
                const uint e = id + i * GROUP;
                if (WITHIN(e, TILE_M))
                    block_a[DEPTH_OF(e, TILE_M, A_ALONG_DEPTH)][PLACE_OF(e, TILE_M, A_ALONG_DEPTH)] = next_a[i];
            }
#pragma unroll
            for (int i = 0; i < COUNT(TILE_N); i++) {
                const uint e = id + i * GROUP;
                if (WITHIN(e, TILE_N))
                    block_b[DEPTH_OF(e, TILE_N, B_ALONG_DEPTH)][PLACE_OF(e, TILE_N, B_ALONG_DEPTH)] = next_b[i];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    //@ once
    //@ batch
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const INDEX row = row0 + ROW(i);
        if (row < M) {
            //@ row
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) {
                const INDEX column = column0 + COLUMN(j);
                if (column < N) {
                    //@ column
                }
            }
        }
    }
}
#undef T
#undef T4
#undef PARAMETERS
#undef INDEX
#undef M
#undef N
#undef K
#undef TILES_M
#undef TILES_N
#undef DEPTH
#undef ROWS
#undef COLUMNS
#undef ROW_ITEMS
#undef COLUMN_ITEMS
#undef ROWS_FAST
#undef A_ALONG_DEPTH
#undef B_ALONG_DEPTH
#undef PLACE
#undef OUTER
#undef INNER
#undef VALUE
#undef GET_A
#undef GET_B
#undef GROUP
#undef TILE_M
#undef TILE_N
#undef PAD
#undef COUNT
#undef APART
#undef IN_RUNS
#undef RUN_ROWS
#undef RUN_COLUMNS
#undef ROW
#undef COLUMN
#undef DEPTH_OF
#undef PLACE_OF
#undef WITHIN
#undef NEXT
#undef READ_APART
#undef READ_RUNS
