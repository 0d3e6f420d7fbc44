/* How a CPU device cuts a matrix product up: the register tile, whether B's columns are copied first, and how many
 * tiles a work-group computes. The choice is the least of an estimate in cycles of a core that starts two fused
 * multiply-adds or two loads in a cycle; what it rests on are the sizes of things, not the network. */
#include "opencl.h"

#include <math.h>

#define TILE_ROWS 16         /* at the most */
#define TILE_VECTORS 8       /* at the most */
#define LATENCY 4            /* cycles from a multiply-add to the next of its chain */
#define POINTERS 10          /* addresses of rows that stay in registers */
#define NEAR_BYTES 24576     /* of a copy that stays in the first cache beside A */
#define FAR_LOAD 1.0         /* further cycles of a vector that comes from the second cache */
#define APART_LOAD 1.5       /* of one whose neighbours above and below are on other pages, which nothing hides */
#define APART_BYTES 1024     /* from which on that is so */
#define FIRST_VECTOR 2.0     /* cycles that the first tile waits for a vector from afar, where there is no copy */
#define PACK_VECTOR 6.0      /* cycles to copy it */
#define TRANSPOSE_VECTOR 8.0 /* the same, transposed */
#define STORE_VECTOR 4.0     /* cycles of the epilogue for a vector */
#define STORE_ROW 12.0       /* and for a row of them */
#define TILE_START 120.0     /* cycles */
#define GROUP_START 1000.0   /* cycles */

static int64_t divide_up(int64_t a, int64_t by) { return (a + by - 1) / by; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t tile_panel_limit(const backend_device *device, const plan_step *step)
{
    return device->local_memory / 2 / (int64_t)clg_dtype_size(step->dtype);
}

bool tile_b_transposed(const plan_step *step) { return step->b.column_stride != 1 && step->n > 1 && step->k > 0; }

/* Lanes of a vector: the narrowest that holds a row, the widest that fits in one if rows cannot be padded. */
static int tile_width(const backend_device *device, const plan_step *step, bool packed)
{
    static const int widths[] = {1, 4, 8, 16};
    int full = device->vector_bytes / (int)clg_dtype_size(step->dtype), best = 1;
    for (int i = 0; i < 4 && widths[i] <= full; i++) {
        if (packed ? best >= step->n : widths[i] > step->n)
            break;
        best = widths[i];
    }
    return best;
}

/* Cycles of one register tile. */
static double tile_cycles(const plan_step *step, const product_tile *t)
{
    double rows = t->rows, vectors = t->vectors;
    double panel = (double)step->k * vectors * t->width * (double)clg_dtype_size(step->dtype);
    bool by_columns = step->a.column_stride != 1;
    double loads = rows + vectors + (by_columns || rows <= POINTERS ? 0 : rows - POINTERS);
    double multiplies = rows * vectors / 2;
    bool apart = !t->packed && step->b.row_stride * (int64_t)clg_dtype_size(step->dtype) >= APART_BYTES;
    double far = panel <= NEAR_BYTES && !apart ? 0 : vectors * FAR_LOAD;
    double each = fmax(fmax(multiplies, loads / 2 + far), LATENCY) + (apart ? vectors * APART_LOAD : 0);
    return (double)step->k * each + rows * (vectors * STORE_VECTOR + STORE_ROW) + TILE_START;
}

/* Cycles of the whole product where work-groups compute tiles_each tiles. */
static double total_cycles(const backend_device *device, const plan_step *step, const product_tile *t)
{
    int64_t units = device->info.compute_units ? device->info.compute_units : 1;
    int64_t tiles = divide_up(step->m, t->rows), panels = divide_up(step->n, t->vectors * t->width);
    int64_t groups = divide_up(tiles, t->tiles_each) * panels * step->batch;
    double first = (double)step->k * t->vectors *
                   (!t->packed                ? FIRST_VECTOR
                    : tile_b_transposed(step) ? TRANSPOSE_VECTOR
                                              : PACK_VECTOR);
    double group = (double)t->tiles_each * tile_cycles(step, t) + first + GROUP_START;
    return (double)divide_up(groups, units) * group;
}

/* The best number of tiles for a work-group: from all rows, halved as often as that helps. */
static double share_out(const backend_device *device, const plan_step *step, product_tile *t)
{
    int64_t tiles = divide_up(step->m, t->rows);
    double best = INFINITY;
    int64_t chosen = tiles;
    for (int64_t parts = 1; parts <= tiles; parts *= 2) {
        t->tiles_each = divide_up(tiles, parts);
        double cycles = total_cycles(device, step, t);
        if (cycles < best) {
            best = cycles;
            chosen = t->tiles_each;
        }
    }
    t->tiles_each = chosen;
    return best;
}

static void try_tiles(const backend_device *device, const plan_step *step, bool packed, product_tile *best,
                      double *best_cycles)
{
    int registers = device->vector_bytes == 32 ? 16 : 32, width = tile_width(device, step, packed);
    int64_t vectors = packed ? divide_up(step->n, width) : step->n / width;
    for (int across = 1; across <= smaller(vectors, TILE_VECTORS); across++) {
        for (int64_t most = 1; most <= smaller(step->m, TILE_ROWS); most++) {
            product_tile t = {(int)divide_up(step->m, divide_up(step->m, most)), across, width, packed, 1};
            if (t.rows * across + across + 2 > registers ||
                (packed && step->k * across * width > tile_panel_limit(device, step)))
                continue;
            double cycles = share_out(device, step, &t);
            if (cycles < *best_cycles) {
                *best_cycles = cycles;
                *best = t;
            }
        }
    }
}

product_tile tile_choose(const backend_device *device, const plan_step *step)
{
    product_tile best = {1, 1, tile_width(device, step, false), false, divide_up(step->m, 1)};
    double cycles = INFINITY;
    if (step->n > 1 && step->k > 0)
        try_tiles(device, step, true, &best, &cycles);
    if (!tile_b_transposed(step) || cycles == INFINITY)
        try_tiles(device, step, false, &best, &cycles);
    return best;
}
