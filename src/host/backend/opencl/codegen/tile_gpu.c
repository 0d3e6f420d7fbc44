/* How a GPU cuts a product up: the elements of a work-item, and the work-items of a group along rows and columns. The
 * choice is the least of an estimate in cycles of a compute unit that does LANES multiply-adds, or reads local memory
 * for one group of so many work-items less, in a cycle. */
#include "tile.h"

#include <math.h>

#define MOST_ELEMENTS 8
#define REGISTERS 256 /* bytes of accumulators that it may have, at the most */
#define LANES 128     /* multiply-adds in a cycle */
#define WARP 32       /* work-items that read local memory together */
#define FETCH 0.3     /* cycles to bring an element of a block to local memory, address included */
#define START 1500.0  /* cycles to begin and end a tile */
#define ALONE 2.0     /* how much slower a group is that has its compute unit for itself: nothing hides its waits */

int64_t tile_gpu_columns(const product_tile *t) { return (int64_t)t->vectors * t->width; }

int64_t tile_gpu_rows(const kernel_target *target, const product_tile *t)
{
    return (int64_t)t->rows * (kernel_group(target) / t->width);
}

static bool is_count(int elements)
{
    return elements >= 1 && elements <= MOST_ELEMENTS && !(elements & (elements - 1));
}

bool tile_gpu_is_legal(const kernel_target *target, clg_dtype dtype, const product_tile *t)
{
    const int64_t bytes = (int64_t)clg_dtype_size(dtype);
    const bool items = t->width >= 1 && t->width <= kernel_group(target) && !(t->width & (t->width - 1));
    return items && is_count(t->rows) && is_count(t->vectors) && !t->packed_a && !t->packed_b &&
           t->rows * t->vectors * bytes <= REGISTERS &&
           GPU_DEPTH * (tile_gpu_rows(target, t) + tile_gpu_columns(t) + 2 * GPU_PAD) * bytes <= target->local_memory;
}

/* Cycles of the whole product. */
static double cycles(const kernel_target *target, clg_dtype dtype, const gpu_product *x, const product_tile *t)
{
    const double group = kernel_group(target), rows = (double)tile_gpu_rows(target, t),
                 columns = (double)tile_gpu_columns(t), wide = clg_dtype_size(dtype) == 8 ? 2 : 1;
    const double multiplies = rows * columns / LANES * wide;
    const double reads = group / WARP * (ceil(t->rows / 4.0) + t->vectors) * wide, fetches = (rows + columns) * FETCH;
    const double tile = START + ceil((double)x->k / GPU_DEPTH) * GPU_DEPTH * (fmax(multiplies, reads) + fetches);
    const double tiles = (double)x->batch * ceil((double)x->m / rows) * ceil((double)x->n / columns);
    const double waves = tiles / (double)target->compute_units;
    return tile * fmax(ALONE, (waves + ceil(waves)) / 2);
}

/* Inserts into a list sorted by cost; the worst falls out of a full one. */
static void insert(product_tile *tiles, double *costs, int *count, int capacity, const product_tile *tile, double cost)
{
    if (capacity == 0 || (*count == capacity && costs[capacity - 1] <= cost))
        return;
    int at = *count < capacity ? (*count)++ : capacity - 1;
    for (; at > 0 && costs[at - 1] > cost; at--) {
        tiles[at] = tiles[at - 1];
        costs[at] = costs[at - 1];
    }
    tiles[at] = *tile;
    costs[at] = cost;
}

int tile_gpu_candidates(const kernel_target *target, clg_dtype dtype, const gpu_product *x, product_tile *tiles,
                        int capacity)
{
    enum { MOST = 64 };
    double costs[MOST];
    int count = 0;
    capacity = capacity < MOST ? capacity : MOST;
    for (int rows = MOST_ELEMENTS; rows >= 1; rows /= 2)
        for (int columns = MOST_ELEMENTS; columns >= 1; columns /= 2)
            for (int width = kernel_group(target); width >= 1; width /= 2) {
                const product_tile t = {.rows = rows, .vectors = columns, .width = width};
                if (tile_gpu_is_legal(target, dtype, &t))
                    insert(tiles, costs, &count, capacity, &t, cycles(target, dtype, x, &t));
            }
    return count;
}

product_tile tile_gpu_choose(const kernel_target *target, clg_dtype dtype, const gpu_product *x)
{
    product_tile best = {.rows = 1, .vectors = 1, .width = 1};
    tile_gpu_candidates(target, dtype, x, &best, 1);
    return best;
}
