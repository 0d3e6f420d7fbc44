/* How a CPU device cuts a matrix product up: the register tile, whether B's columns are copied first, and how many
 * tiles are a share. The choice is the least of an estimate in cycles of a core that starts two fused
 * multiply-adds or two loads in a cycle; what it rests on are the sizes of things, not the network. */
#include "tile.h"

#include <math.h>

#define TILE_ROWS 28     /* at the most */
#define TILE_VECTORS 8   /* at the most */
#define LEGAL_ROWS 32    /* and of what was measured: registers are counted by the model alone */
#define LEGAL_VECTORS 32 /* of a tile */
#define RANKED 6         /* candidates of a kind */
#define POINTERS 10      /* addresses of rows that stay in registers */
#define NEAR_BYTES 32768 /* of a panel that stays in the first cache beside the rows of A */
#define APART_BYTES 1024 /* from which on a stride goes to another page often */
#define PAGES 256        /* whose addresses the processor has at hand */
#define STRAGGLE 0.5     /* of a share for which the others wait for the last */

/* In cycles: */
#define ISSUE 3.5            /* instructions in one: of six, but another thread may share the core */
#define LOOP 3               /* instructions of the loop over k */
#define LATENCY 4            /* from a multiply-add to the next of its chain */
#define FAR_LOAD 2.0         /* more for a vector that comes from the second cache */
#define APART_LOAD 1.5       /* more for one that is on another page than the one before, which nothing hides */
#define FIRST_VECTOR 2.0     /* that the first tile waits for a vector of B, where there is no copy */
#define PACK_VECTOR 6.0      /* to copy it: it comes from afar */
#define TRANSPOSE_VECTOR 8.0 /* the same, transposed */
#define NEAR_ROWS 0.5        /* to get one column of the rows of A */
#define APART_ROWS 4.0       /* the same, where it is on another page than the one before */
#define PACK_ROWS 3.0        /* to copy it */
#define STORE_VECTOR 4.0     /* of the epilogue for a vector */
#define STORE_ROW 12.0       /* and for a row of them */
#define TILE_START 120.0
#define SHARE_START 1000.0
#define WAKE 20000.0 /* until another core joins in */

int64_t tile_panel_limit(const kernel_target *target, const plan_matmul *x)
{
    return target->local_memory / 2 / (int64_t)clg_dtype_size(x->dtype);
}

bool tile_a_transposed(const plan_matmul *x) { return x->a.column_stride != 1 && x->k > 1; }
bool tile_b_transposed(const plan_matmul *x) { return x->b.column_stride != 1 && x->n > 1 && x->k > 0; }

/* Whether the steps of a stride are on different pages. */
static bool is_apart(const plan_matmul *x, int64_t stride)
{
    return stride * (int64_t)clg_dtype_size(x->dtype) >= APART_BYTES;
}

int64_t tile_rows_depth(const plan_matmul *x)
{
    int64_t depth = 64; /* few sizes, so that steps of several shapes share a kernel */
    while (depth < x->k)
        depth *= 2;
    return depth;
}

bool tile_rows_fit(const kernel_target *target, const plan_matmul *x, const product_tile *t)
{
    const int64_t lanes = divide_up(t->rows, t->width) * t->width, depth = tile_rows_depth(x);
    const int64_t elements = tile_a_transposed(x) ? depth * lanes : (depth + TILE_PAD) * t->rows;
    int64_t room = target->local_memory / (int64_t)clg_dtype_size(x->dtype);
    return x->k <= TILE_DEPTH && elements <= room - (t->packed_b ? tile_panel_limit(target, x) : 0);
}

/* Lanes of a vector: the narrowest that holds a row, the widest that fits in one if rows cannot be padded. */
static int tile_width(const kernel_target *target, const plan_matmul *x, bool packed)
{
    static const int widths[] = {1, 4, 8, 16};
    int full = target->vector_bytes / (int)clg_dtype_size(x->dtype), best = 1;
    for (int i = 0; i < 4 && widths[i] <= full; i++) {
        if (packed ? best >= x->n : widths[i] > x->n)
            break;
        best = widths[i];
    }
    return best;
}

/* Cycles of one register tile. */
static double tile_cycles(const plan_matmul *x, const product_tile *t)
{
    double rows = t->rows, vectors = t->vectors;
    double panel = (double)x->k * vectors * t->width * (double)clg_dtype_size(x->dtype);
    bool apart = !t->packed_b && is_apart(x, x->b.row_stride);
    double addresses = tile_a_transposed(x) || rows <= POINTERS ? 0 : rows - POINTERS;
    double loads = rows + vectors + addresses, multiplies = rows * vectors;
    double issued = (multiplies + loads + LOOP) / ISSUE;
    double far = panel <= NEAR_BYTES && !apart ? 0 : vectors * FAR_LOAD;
    double each =
        fmax(fmax(multiplies / 2, loads / 2 + far), fmax(issued, LATENCY)) + (apart ? vectors * APART_LOAD : 0);
    return (double)x->k * each + rows * (vectors * STORE_VECTOR + STORE_ROW) + TILE_START;
}

/* Cycles to get the rows of a tile. */
static double rows_cycles(const plan_matmul *x, const product_tile *t)
{
    bool apart = x->k > PAGES && is_apart(x, x->a.column_stride);
    return (double)x->k * (t->packed_a ? PACK_ROWS : apart ? APART_ROWS : NEAR_ROWS);
}

/* Cycles to get a panel. */
static double panel_cycles(const plan_matmul *x, const product_tile *t)
{
    double vector = !t->packed_b ? FIRST_VECTOR : tile_b_transposed(x) ? TRANSPOSE_VECTOR : PACK_VECTOR;
    return (double)x->k * t->vectors * vector;
}

/* Cycles of the whole product. */
static double total_cycles(const kernel_target *target, const plan_matmul *x, const product_tile *t)
{
    int64_t tiles = divide_up(x->m, t->rows), panels = divide_up(x->n, t->vectors * t->width);
    int64_t panel_parts = divide_up(panels, t->panels_each) * x->batch;
    double shares = (double)(divide_up(tiles, t->tiles_each) * panel_parts);
    double units = fmin(shares, (double)target->compute_units);
    double rows = (double)t->panels_each * tile_cycles(x, t) + rows_cycles(x, t);
    double share = (double)t->tiles_each * rows + SHARE_START;
    /* a group copies panels once for all their shares, and once more where it helps another */
    double copy = (double)t->panels_each * panel_cycles(x, t);
    double work = shares * share + ((double)panel_parts + (units - 1) / 2) * copy;
    return units > 1 ? (work + (units - 1) * WAKE) / units + STRAGGLE * share : work;
}

/* The best share: of the rows and of the panels all, halved as often as that helps. */
double tile_share_out(const kernel_target *target, const plan_matmul *x, product_tile *t)
{
    int64_t tiles = divide_up(x->m, t->rows), panels = divide_up(x->n, t->vectors * t->width);
    product_tile best = *t;
    double best_cycles = INFINITY;
    /* the last of each loop: one panel, one tile */
    for (int64_t across = 1; across < 2 * panels; across *= 2) {
        t->panels_each = divide_up(panels, smaller(across, panels));
        if (t->packed_b && x->k * t->panels_each * t->vectors * t->width > tile_panel_limit(target, x))
            continue;
        for (int64_t parts = 1; parts < 2 * tiles; parts *= 2) {
            t->tiles_each = divide_up(tiles, smaller(parts, tiles));
            double cycles = total_cycles(target, x, t);
            if (cycles < best_cycles) {
                best_cycles = cycles;
                best = *t;
            }
        }
    }
    *t = best;
    return best_cycles;
}

static void try_tiles(const kernel_target *target, const plan_matmul *x, bool packed_b, product_tile *best,
                      double *best_cycles)
{
    int registers = target->vector_bytes == 32 ? 16 : 32, width = tile_width(target, x, packed_b);
    bool packs_a = tile_a_transposed(x) && is_apart(x, x->a.column_stride);
    int64_t vectors = packed_b ? divide_up(x->n, width) : x->n / width;
    for (int across = 1; across <= smaller(vectors, TILE_VECTORS); across++) {
        int64_t before = 0;
        for (int64_t most = 1; most <= smaller(x->m, TILE_ROWS); most++) {
            int64_t rows = divide_up(x->m, divide_up(x->m, most));
            if (rows == before || rows * across + across + 2 > registers)
                continue;
            before = rows;
            product_tile t = {.rows = (int)rows, .vectors = across, .width = width, .packed_b = packed_b};
            for (int copy = 0; copy <= (packs_a && tile_rows_fit(target, x, &t)); copy++) {
                t.packed_a = copy;
                double cycles = tile_share_out(target, x, &t);
                if (cycles < *best_cycles) {
                    *best_cycles = cycles;
                    *best = t;
                }
            }
        }
    }
}

product_tile tile_choose(const kernel_target *target, const plan_matmul *x)
{
    product_tile best = {1, 1, tile_width(target, x, false), false, false, x->m, 1};
    double cycles = INFINITY;
    if (x->n > 1 && x->k > 0)
        try_tiles(target, x, true, &best, &cycles);
    if (!tile_b_transposed(x) || cycles == INFINITY)
        try_tiles(target, x, false, &best, &cycles);
    return best;
}

/* ---------------------------------------------------------------- what is measured */

static int full_width(const kernel_target *target, const plan_matmul *x)
{
    return target->vector_bytes / (int)clg_dtype_size(x->dtype);
}

bool tile_is_legal(const kernel_target *target, const plan_matmul *x, const product_tile *t)
{
    int columns = t->vectors * t->width;
    bool lanes = t->width == 1 || t->width == 4 || t->width == 8 || t->width == 16;
    if (!lanes || (t->width > 1 && t->width > full_width(target, x)) || t->rows < 1 || t->rows > LEGAL_ROWS ||
        t->rows > x->m || t->vectors < 1 || t->vectors > TILE_VECTORS || t->rows * t->vectors > LEGAL_VECTORS)
        return false;
    if (t->packed_a && (!tile_a_transposed(x) || !tile_rows_fit(target, x, t)))
        return false;
    return t->packed_b ? x->n > 1 && x->k > 0 && x->k * columns <= tile_panel_limit(target, x) : columns <= x->n;
}

/* A candidate and what it is expected to cost. */
typedef struct ranked_tile {
    product_tile tile;
    double cycles;
} ranked_tile;

/* Inserts into a list sorted by cost; the worst falls out of a full one. */
static void rank(ranked_tile *list, int *count, int capacity, ranked_tile item)
{
    if (capacity == 0 || (*count == capacity && list[capacity - 1].cycles <= item.cycles))
        return;
    int at = *count < capacity ? (*count)++ : capacity - 1;
    for (; at > 0 && list[at - 1].cycles > item.cycles; at--)
        list[at] = list[at - 1];
    list[at] = item;
}

/* The tiles of range[0] to range[1] accumulators that the estimate likes best. */
static int add_kind(const kernel_target *target, const plan_matmul *x, bool packed_b, const int range[2],
                    product_tile *tiles, int capacity)
{
    ranked_tile list[RANKED];
    int count = 0;
    capacity = capacity < RANKED ? capacity : RANKED;
    for (int width = full_width(target, x); width >= 1; width = width == 4 ? 1 : width / 2)
        for (int vectors = 1; vectors <= TILE_VECTORS; vectors++)
            for (int64_t most = 1, before = 0; most <= smaller(x->m, LEGAL_ROWS); most++) {
                int64_t rows = divide_up(x->m, divide_up(x->m, most));
                if (rows == before || rows * vectors < range[0] || rows * vectors > range[1])
                    continue;
                before = rows;
                for (int packed_a = 0; packed_a < 2; packed_a++) {
                    ranked_tile item = {{(int)rows, vectors, width, packed_a, packed_b, 1, 1}, 0};
                    if (!tile_is_legal(target, x, &item.tile))
                        continue;
                    item.cycles = tile_share_out(target, x, &item.tile);
                    if (isfinite(item.cycles))
                        rank(list, &count, capacity, item);
                }
            }
    for (int i = 0; i < count; i++)
        tiles[i] = list[i].tile;
    return count;
}

int tile_candidates(const kernel_target *target, const plan_matmul *x, product_tile *tiles, int capacity)
{
    /* processors have 16 or 32 registers, and the estimate may be wrong of any: some tiles for each */
    static const int ranges[][2] = {{15, 28}, {8, 14}, {1, 7}};
    int count = 0;
    for (int i = 0; i < 6; i++)
        count += add_kind(target, x, i < 3, ranges[i % 3], tiles + count, (capacity - count) / (6 - i));
    return count;
}
