/* The matrix product of gemm.c for one dtype. Before each inclusion: TYPE the suffix (f32, f64), T the type. */

#define WIDTH WIDTH_OF(T)
#define COLUMNS (GEMM_PANEL_VECTORS * WIDTH) /* of a tile and a panel */
#define DEPTH DEPTH_OF(T)
#define ROW_STEP ROW_STEP_OF(T)
#define COLUMN_STEP COLUMN_STEP_OF(T)
#define TILE_SPACE TILE_SPACE_OF(T)
#define LANE (16 / (int)sizeof(T)) /* elements in 16 bytes */
#define V FN(TYPE, vector)
#define U FN(TYPE, unaligned)

typedef T V __attribute__((vector_size(VECTOR_BYTES)));
typedef T U __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(T)), may_alias));

INLINE V FN(TYPE, load)(const T *from) { return *(const U *)from; }
INLINE void FN(TYPE, store)(T *to, V x) { *(U *)to = x; }

/* ---------------------------------------------------------------- a tile */

/* One tile of c: a block of k, on top of what c has if resume. Element (i, p) of a is at p * a_step + i, BY_ROW at
 * i * a_step + p, BY_TABLE at i * a_step + depth[p]. Row p of b is at p * b_step, B_BY_TABLE at depth[p]. */
typedef void (*FN(TYPE, tile))(int64_t k, const T *a, int64_t a_step, const int64_t *depth, const T *b, int64_t b_step,
                               T *c, int64_t ldc, bool resume);

INLINE void FN(TYPE, tile_body)(const int height, const int vectors, const int layout, int64_t k, const T *a,
                                int64_t a_step, const int64_t *depth, const T *b, int64_t b_step, T *c, int64_t ldc,
                                bool resume)
{
    const bool by_row = layout != BY_COLUMN;
    V sum[ROWS_MAX][ROW_VECTORS];
    UNROLL for (int i = 0; i < height; i++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
        {
            sum[i][v] = resume ? FN(TYPE, load)(c + i * ldc + v * WIDTH) : (V){0};
        }
    }
    /* a pointer for three rows: an address is one and twice or four times the step */
    const T *row[(ROWS_MAX + 2) / 3];
    UNROLL for (int i = 0; i < (height + 2) / 3; i++)
    {
        row[i] = a + (by_row ? 3 * i * a_step : 0);
        KEEP(row[i]);
    }
    for (int64_t p = 0; p < k; p++) {
        V x[ROW_VECTORS];
        const int64_t at = layout == BY_TABLE ? depth[p] : 0;
        const T *from = b + (layout == B_BY_TABLE ? depth[p] : 0);
        UNROLL for (int v = 0; v < vectors; v++) x[v] = FN(TYPE, load)(from + v * WIDTH);
        UNROLL for (int i = 0; i < height; i++)
        {
            /* copies of one element; minus 0 keeps the sign of 0 */
            const V y = (by_row ? row[i / 3][i % 3 * a_step + at] : row[0][i]) - (V){0};
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = FN(FMA, TYPE)(y, x[v], sum[i][v]);
        }
        const int64_t next = layout == BY_TABLE ? 0 : by_row ? 1 : a_step;
        UNROLL for (int i = 0; i < (height + 2) / 3; i++) row[i] += next;
        b += b_step;
    }
    UNROLL for (int i = 0; i < height; i++)
    {
        UNROLL for (int v = 0; v < vectors; v++) FN(TYPE, store)(c + i * ldc + v * WIDTH, sum[i][v]);
    }
}

#define TILE(height, vectors, layout)                                                                                  \
    static void FN(TYPE, tile_##height##_##vectors##_##layout)(int64_t k, const T *a, int64_t a_step,                  \
                                                               const int64_t *depth, const T *b, int64_t b_step, T *c, \
                                                               int64_t ldc, bool resume)                               \
    {                                                                                                                  \
        FN(TYPE, tile_body)(height, vectors, layout, k, a, a_step, depth, b, b_step, c, ldc, resume);                  \
    }
#define TILES_OF(height, vectors)                                                                                      \
    TILE(height, vectors, 0) TILE(height, vectors, 1) TILE(height, vectors, 2) TILE(height, vectors, 3)
#define TILES(height) TILES_OF(height, 1) TILES_OF(height, 2)
#define TILE_ROW(height)                                                                                               \
    {                                                                                                                  \
        {FN(TYPE, tile_##height##_1_0), FN(TYPE, tile_##height##_1_1), FN(TYPE, tile_##height##_1_2),                  \
         FN(TYPE, tile_##height##_1_3)},                                                                               \
        {                                                                                                              \
            FN(TYPE, tile_##height##_2_0), FN(TYPE, tile_##height##_2_1), FN(TYPE, tile_##height##_2_2),               \
                FN(TYPE, tile_##height##_2_3)                                                                          \
        }                                                                                                              \
    }
TILES(1)
TILE(1, 8, 0)
TILES(2)
TILES(4)
#if ROWS_MAX >= 6
TILES(6)
#endif
#if ROWS_MAX >= 12
TILES(8)
TILES(10)
TILES(12)
#endif
#if ROWS_MAX >= 14
TILES(14)
#endif

/* [height / 2][vectors - 1][layout] */
static const FN(TYPE, tile) FN(TYPE, tiles)[ROWS_MAX / 2 + 1][2][LAYOUTS] = {
    TILE_ROW(1),  TILE_ROW(2),  TILE_ROW(4),
#if ROWS_MAX >= 6
    TILE_ROW(6),
#endif
#if ROWS_MAX >= 12
    TILE_ROW(8),  TILE_ROW(10), TILE_ROW(12),
#endif
#if ROWS_MAX >= 14
    TILE_ROW(14),
#endif
};

/* A tile of which c has only some rows or columns, or which is c's transposed: through memory of the full size. */
static void FN(TYPE, edge)(FN(TYPE, tile) run, int rows, int columns, int64_t k, const T *a, int64_t a_step,
                           const int64_t *depth, const T *b, int64_t b_step, T *c, int64_t c_row, int64_t c_column,
                           bool resume)
{
    T part[ROWS_MAX * COLUMNS];
    if (resume) {
        memset(part, 0, sizeof part);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                part[i * COLUMNS + j] = c[i * c_row + j * c_column];
    }
    run(k, a, a_step, depth, b, b_step, part, COLUMNS, resume);
    if (c_column != 1) {
        for (int j = 0; j < columns; j++)
            for (int i = 0; i < rows; i++)
                c[i + j * c_column] = part[i * COLUMNS + j];
        return;
    }
    for (int i = 0; i < rows; i++) {
        int j = 0;
        for (; j + WIDTH <= columns; j += WIDTH)
            FN(TYPE, store)(c + i * c_row + j, FN(TYPE, load)(part + i * COLUMNS + j));
        for (; j < columns; j++)
            c[i * c_row + j] = part[i * COLUMNS + j];
    }
}

/* ---------------------------------------------------------------- packing */

/* k rows of width elements, of which have are the matrix's and the rest is never used. */
INLINE void FN(TYPE, copy_rows)(int64_t k, int64_t have, const int width, const T *from, int64_t step, T *to)
{
    int64_t readable = rows_readable(k, step, have, width), p = 0;
    for (; p < readable; p++)
        for (int j = 0; j < width; j += WIDTH)
            FN(TYPE, store)(to + p * width + j, FN(TYPE, load)(from + p * step + j));
    for (; p < k; p++)
        for (int j = 0; j < width; j++)
            to[p * width + j] = j < have ? from[p * step + j] : 0;
}

/* Columns of a block of b, as vectors, from memory where columns are neighbours. */
static void FN(TYPE, pack_columns)(int64_t k, int columns, int vectors, const T *b, int64_t step, T *panel)
{
    if (vectors == 2)
        FN(TYPE, copy_rows)(k, columns, 2 * WIDTH, b, step, panel);
    else
        FN(TYPE, copy_rows)(k, columns, WIDTH, b, step, panel);
}

/* The same from memory where rows are neighbours, columns step apart. Columns too many repeat the last one. */
static void FN(TYPE, pack_transposed)(int64_t k, int columns, int vectors, const T *b, int64_t step, T *panel)
{
    int64_t p = 0;
    int width = vectors * WIDTH;
#ifdef TURN_BYTES
    enum { TURN = TURN_BYTES / sizeof(T) };
    for (int first = 0; first < width; first += TURN) {
        const char *from[LANE][TURN / LANE];
        for (int j = 0; j < TURN; j++)
            from[j % LANE][j / LANE] = (const char *)(b + smaller(first + j, columns - 1) * step);
        for (p = 0; p + LANE <= k; p += LANE) {
            turn_vector r[LANE];
            UNROLL for (int q = 0; q < LANE; q++)
            {
                r[q] = load_lanes(from[q]);
                UNROLL for (int l = 0; l < TURN / LANE; l++) from[q][l] += 16;
            }
            FN(TYPE, transpose)(r);
            UNROLL for (int q = 0; q < LANE; q++) memcpy(panel + (p + q) * width + first, &r[q], TURN_BYTES);
        }
    }
#endif
    for (; p < k; p++)
        for (int j = 0; j < width; j++)
            panel[p * width + j] = b[smaller(j, columns - 1) * step + p];
}

/* A tile of a: rows, and zeros up to height. */
static void FN(TYPE, pack_rows)(int64_t k, int rows, int height, const T *a, int64_t step, T *tile)
{
    for (int i = 0; i < rows; i++)
        memcpy(tile + i * ROW_STEP, a + i * step, (size_t)k * sizeof(T));
    for (int i = rows; i < height; i++)
        memset(tile + i * ROW_STEP, 0, (size_t)k * sizeof(T));
}

/* ---------------------------------------------------------------- blocks */

typedef struct FN(TYPE, block) {
    const gemm_product *g;
    T *tiles, *panels; /* packed a and b */

    int64_t p, k; /* the block of k */
    int64_t row, m;
    bool transposed;    /* c is */
    gemm_window window; /* of the block, if an operand is one */
} FN(TYPE, block);

/* A tile of a and its step: packed, or where it lies if it is read a few times only. Tiles of an odd height are packed:
 * behind the last row there may be nothing. Nor are rows left where they would fall on the same cache sets. */
static const T *FN(TYPE, tile_of_a)(const FN(TYPE, block) * x, int64_t i, int rows, T *to, bool pack, int64_t *step)
{
    const gemm_product *g = x->g;
    if (g->windows) {
        *step = x->window.step;
        return (const T *)x->window.base + x->window.row[i];
    }
    if (g->pack_a) {
        bool rows_apart = g->a_stride[1] == 1;
        *step = rows_apart ? ROW_STEP : COLUMN_STEP;
        if (pack) {
            g->pack_a(g->a, x->row + i, rows, x->p, x->k, to, rows_apart ? ROW_STEP : 1, rows_apart ? 1 : COLUMN_STEP);
            for (int64_t r = rows; r < tile_height(rows); r++)
                for (int64_t q = 0; q < x->k; q++)
                    to[rows_apart ? r * ROW_STEP + q : q * COLUMN_STEP + r] = 0;
        }
        return to;
    }
    const T *a = (const T *)g->a + (x->row + i) * g->a_stride[0] + x->p * g->a_stride[1];
    bool by_row = g->a_stride[1] == 1;
    int64_t apart = g->a_stride[by_row ? 0 : 1];
    if (g->n <= IN_PLACE * COLUMNS && rows == tile_height(rows) &&
        (!by_row || !same_sets(apart * (int64_t)sizeof(T)))) {
        *step = apart;
        return a;
    }
    *step = by_row ? ROW_STEP : COLUMN_STEP;
    if (pack && by_row)
        FN(TYPE, pack_rows)(x->k, rows, tile_height(rows), a, apart, to);
    else if (pack)
        FN(TYPE, copy_rows)(x->k, g->m - x->row - i, COLUMN_STEP, a, apart, to);
    return to;
}

/* A panel of b in sequence: packed, or where it lies if it is read once. step: from row to row. */
static const T *FN(TYPE, panel)(const FN(TYPE, block) * x, int64_t column, int columns, int vectors, T *to,
                                int64_t *step)
{
    const gemm_product *g = x->g;
    if (g->pack_b) {
        *step = vectors * WIDTH;
        if (x->row == 0) {
            g->pack_b(g->b, column, columns, x->p, x->k, to, 1, *step);
            for (int64_t q = 0; q < x->k && columns < *step; q++)
                memset(to + q * *step + columns, 0, (size_t)(*step - columns) * sizeof(T));
        }
        return to;
    }
    const T *b = (const T *)g->b + x->p * g->b_stride[0] + column * g->b_stride[1];
    *step = vectors * WIDTH;
    if (g->b_stride[1] != 1 && g->n > 1) {
        if (x->row == 0)
            FN(TYPE, pack_transposed)(x->k, columns, vectors, b, g->b_stride[1], to);
    } else if (columns == vectors * WIDTH &&
               (g->m <= ROWS_MAX || (g->m <= IN_PLACE * ROWS_MAX && !same_sets(g->b_stride[0] * (int64_t)sizeof(T))))) {
        *step = g->b_stride[0];
        return b;
    } else if (x->row == 0) {
        FN(TYPE, pack_columns)(x->k, columns, vectors, b, g->b_stride[0], to);
    }
    return to;
}

/* The tile of c after this one, so that it has come when its turn has. */
INLINE void FN(TYPE, fetch)(T *c, int64_t ldc, int rows, int width)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < width; j += 64 / (int)sizeof(T))
            __builtin_prefetch(c + i * ldc + j, 1);
}

/* One row, whose few accumulators would wait for each other: more columns at once, from where b lies. Returns how many
 * columns are done. */
static int64_t FN(TYPE, run_row)(const FN(TYPE, block) * x, int64_t column, int64_t n)
{
    const gemm_product *g = x->g;
    if (g->m > 1 || g->b_stride[1] != 1 || x->transposed || g->pack_a || g->pack_b || g->windows)
        return 0;
    FN(TYPE, tile) run = FN(TYPE, tile_1_8_0);
    const T *a = (const T *)g->a + x->p * g->a_stride[1], *b = (const T *)g->b + x->p * g->b_stride[0] + column;
    T *c = (T *)g->c + column;
    int64_t j = 0;
    for (; j + ROW_VECTORS * WIDTH <= n; j += ROW_VECTORS * WIDTH)
        run(x->k, a, g->a_stride[1], NULL, b + j, g->b_stride[0], c + j, g->ldc, x->p > 0);
    return j;
}

/* A block of rows of c, over n columns from column on. */
static void FN(TYPE, run_block)(const FN(TYPE, block) * x, int64_t column, int64_t n)
{
    const gemm_product *g = x->g;
    int layout = g->windows ? BY_TABLE : g->a_stride[1] == 1 ? BY_ROW : BY_COLUMN;
    bool resume = x->p > 0;
    int64_t c_row = x->transposed ? 1 : g->ldc, c_column = x->transposed ? g->ldc : 1;
    for (int64_t j = FN(TYPE, run_row)(x, column, n); j < n; j += COLUMNS) {
        int columns = (int)smaller(COLUMNS, n - j), vectors = columns > WIDTH ? 2 : 1, width = vectors * WIDTH;
        int64_t b_step;
        const T *b = FN(TYPE, panel)(x, column + j, columns, vectors, x->panels + j * DEPTH, &b_step);
        T *tile = x->tiles;
        T *c = (T *)g->c + x->row * c_row + (column + j) * c_column;
        for (int64_t i = 0; i < x->m; tile += TILE_SPACE) {
            int64_t left = x->m - i;
            if (g->windows) /* a tile is within a run */
                left = smaller(left, x->window.run - i % x->window.run);
            int rows = tile_rows(left), height = tile_height(rows);
            int64_t a_step;
            const T *a = FN(TYPE, tile_of_a)(x, i, rows, tile, j < COLUMNS || g->m == 1, &a_step);
            if (c_column == 1)
                FN(TYPE, fetch)(c + (i + rows) * c_row, c_row, tile_rows(x->m - i - rows), width);
            FN(TYPE, tile) run = FN(TYPE, tiles)[height / 2][vectors - 1][layout];
            if (rows == height && columns == width && c_column == 1)
                run(x->k, a, a_step, x->window.depth, b, b_step, c + i * c_row, c_row, resume);
            else
                FN(TYPE, edge)
            (run, rows, columns, x->k, a, a_step, x->window.depth, b, b_step, c + i * c_row, c_row, c_column, resume);
            i += rows;
        }
    }
}

static void FN(TYPE, blocks)(const gemm_product *g, bool transposed)
{
    FN(TYPE, block) x = {.g = g, .tiles = g->scratch, .transposed = transposed};
    x.panels = x.tiles + gemm_tiles_space(&THIS, sizeof(T) == 4 ? CLG_F32 : CLG_F64, g->m);
    int64_t depth = divide_up(g->k, divide_up(g->k, DEPTH)), block = BLOCK_TILES * ROWS_MAX;
    for (int64_t column = 0; column < g->n; column += GEMM_BLOCK_COLUMNS) {
        int64_t n = smaller(GEMM_BLOCK_COLUMNS, g->n - column);
        for (x.p = 0; x.p < g->k; x.p += x.k) {
            x.k = g->windows ? g->windows->depth_end(g->a, x.p, DEPTH) - x.p : smaller(depth, g->k - x.p);
            for (x.row = 0; x.row < g->m; x.row += x.m) {
                int64_t end = g->windows ? g->windows->row_end(g->a, x.row, x.p, x.k) : x.row + block;
                x.m = smaller(end, g->m) - x.row;
                if (g->windows)
                    g->windows->open((void *)g->a, x.row, x.m, x.p, x.k, &x.window);
                FN(TYPE, run_block)(&x, column, n);
                if (g->done && x.p + x.k == g->k)
                    transposed ? g->done(g->context, column, n, x.row, x.m)
                               : g->done(g->context, x.row, x.m, column, n);
            }
        }
    }
}

/* ---------------------------------------------------------------- windows along columns */

/* All tiles of a block of rows, by row. */
static void FN(TYPE, pack_tiles)(const FN(TYPE, block) * x)
{
    const gemm_product *g = x->g;
    T *tile = x->tiles;
    for (int64_t i = 0; i < x->m; tile += TILE_SPACE) {
        int rows = tile_rows(x->m - i), height = tile_height(rows);
        if (g->pack_a) {
            g->pack_a(g->a, x->row + i, rows, x->p, x->k, tile, ROW_STEP, 1);
            for (int r = rows; r < height; r++)
                memset(tile + r * ROW_STEP, 0, (size_t)x->k * sizeof(T));
        } else if (g->a_stride[1] == 1) {
            const T *a = (const T *)g->a + (x->row + i) * g->a_stride[0] + x->p;
            FN(TYPE, pack_rows)(x->k, rows, height, a, g->a_stride[0], tile);
        } else {
            const T *a = (const T *)g->a + (x->row + i) * g->a_stride[0] + x->p * g->a_stride[1];
            for (int r = 0; r < height; r++)
                for (int64_t q = 0; q < x->k; q++)
                    tile[r * ROW_STEP + q] = r < rows ? a[r * g->a_stride[0] + q * g->a_stride[1]] : 0;
        }
        i += rows;
    }
}

/* A block of columns: vectors of b where they lie, each for all tiles of the rows. What a vector reads behind the end
 * of a run is not used. */
static void FN(TYPE, run_columns)(const FN(TYPE, block) * x, int64_t column, int64_t n)
{
    const gemm_product *g = x->g;
    const bool resume = x->p > 0;
    for (int64_t j = 0; j < n;) {
        int64_t left = smaller(n - j, x->window.run - j % x->window.run);
        int columns = (int)smaller(COLUMNS, left), vectors = columns > WIDTH ? 2 : 1;
        const T *b = (const T *)x->window.base + x->window.row[j], *tile = x->tiles;
        T *c = (T *)g->c + x->row * g->ldc + column + j;
        for (int64_t i = 0; i < x->m; tile += TILE_SPACE) {
            int rows = tile_rows(x->m - i), height = tile_height(rows);
            FN(TYPE, tile) run = FN(TYPE, tiles)[height / 2][vectors - 1][B_BY_TABLE];
            if (rows == height && columns == vectors * WIDTH)
                run(x->k, tile, ROW_STEP, x->window.depth, b, 0, c + i * g->ldc, g->ldc, resume);
            else
                FN(TYPE, edge)
            (run, rows, columns, x->k, tile, ROW_STEP, x->window.depth, b, 0, c + i * g->ldc, g->ldc, 1, resume);
            i += rows;
        }
        j += columns;
    }
}

static void FN(TYPE, column_blocks)(const gemm_product *g)
{
    FN(TYPE, block) x = {.g = g, .tiles = g->scratch};
    for (x.row = 0; x.row < g->m; x.row += x.m) {
        x.m = smaller(BLOCK_TILES * ROWS_MAX, g->m - x.row);
        for (x.p = 0; x.p < g->k; x.p += x.k) {
            x.k = g->windows->depth_end(g->b, x.p, DEPTH) - x.p;
            FN(TYPE, pack_tiles)(&x);
            for (int64_t column = 0, end; column < g->n; column = end) {
                end = smaller(g->windows->row_end(g->b, column, x.p, x.k), g->n);
                g->windows->open((void *)g->b, column, end - column, x.p, x.k, &x.window);
                FN(TYPE, run_columns)(&x, column, end - column);
                if (g->done && x.p + x.k == g->k)
                    g->done(g->context, x.row, x.m, column, end - column);
            }
        }
    }
}

static void FN(TYPE, gemm)(const gemm_product *product)
{
    gemm_product g = *product;
    if (g.window_columns) {
        FN(TYPE, column_blocks)(&g);
        return;
    }
    if (g.pack_a || g.pack_b || g.windows) {
        FN(TYPE, blocks)(&g, false);
        return;
    }
    if (g.k == 1) /* strides that are never taken */
        g.a_stride[1] = g.b_stride[0] = 1;
    if (g.n == 1)
        g.b_stride[1] = 1;
    /* A few columns fill their vectors badly: the rows do it better, where they are neighbours in memory. */
    bool swap = g.n < WIDTH && g.m >= COLUMNS && g.a_stride[1] != 1;
    if (swap) {
        g.m = product->n;
        g.n = product->m;
        g.a = product->b;
        g.b = product->a;
        for (int d = 0; d < 2; d++) {
            int64_t stride = g.a_stride[d];
            g.a_stride[d] = g.b_stride[1 - d];
            g.b_stride[1 - d] = stride;
        }
    }
    FN(TYPE, blocks)(&g, swap);
}

#undef WIDTH
#undef COLUMNS
#undef DEPTH
#undef ROW_STEP
#undef LANE
#undef COLUMN_STEP
#undef TILE_SPACE
#undef V
#undef U
#undef TILE
#undef TILES
#undef TILE_ROW
#undef TYPE
#undef T
