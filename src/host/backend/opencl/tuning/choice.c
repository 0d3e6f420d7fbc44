/* The ways in which a device can compute a product: the one that is built in, those that are legal, those worth
 * measuring. */
#include "tuning.h"

#define GPU_SIDE 16 /* most work-items along a side of a group */

static product_tile gpu_tile(const backend_device *device)
{
    int side = GPU_SIDE;
    while (side > 1 && (size_t)side * (size_t)side > device->target.group_limit)
        side /= 2;
    return (product_tile){.rows = GPU_TILE, .vectors = GPU_TILE, .width = side};
}

static bool is_legal_gpu(const backend_device *device, const product_tile *t)
{
    size_t side = (size_t)t->width;
    return t->rows == GPU_TILE && t->vectors == GPU_TILE && !t->packed_a && !t->packed_b && t->width >= 1 &&
           t->width <= GPU_SIDE && side * side <= device->target.group_limit;
}

product_tile choice_builtin_tile(const backend_device *device, const plan_step *step)
{
    return device->target.strategy == STRATEGY_GPU ? gpu_tile(device) : tile_choose(&device->target, step);
}

product_choice choice_builtin(const backend_device *device, const plan_step *step)
{
    if (device->matmul == MATMUL_CLBLAST && clblast_serves(step))
        return (product_choice){.provider = MATMUL_CLBLAST};
    return (product_choice){MATMUL_GENERATED, choice_builtin_tile(device, step)};
}

bool choice_is_legal(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    if (choice->provider == MATMUL_CLBLAST)
        return clblast_serves(step);
    return device->target.strategy == STRATEGY_GPU ? is_legal_gpu(device, &choice->tile)
                                                   : tile_is_legal(&device->target, step, &choice->tile);
}

bool choice_is_allowed(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    bool other = device->matmul_fixed && choice->provider != choice_builtin(device, step).provider;
    return !other && choice_is_legal(device, step, choice);
}

double choice_waste(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    if (choice->provider == MATMUL_CLBLAST || step->m == 0 || step->n == 0)
        return 1;
    int64_t columns = choice->tile.vectors * choice->tile.width;
    int64_t rows = choice->tile.rows * (device->target.strategy == STRATEGY_GPU ? choice->tile.width : 1);
    return (double)(divide_up(step->m, rows) * rows) * (double)(divide_up(step->n, columns) * columns) /
           ((double)step->m * (double)step->n);
}

int choice_candidates(const backend_device *device, const plan_step *step, product_choice *choices, int capacity)
{
    enum { MOST_TILES = 64 };
    product_tile tiles[MOST_TILES];
    int count = 0, tile_count = 0;
    product_choice clblast = {.provider = MATMUL_CLBLAST};
    if (device->matmul == MATMUL_CLBLAST && choice_is_allowed(device, step, &clblast) && count < capacity)
        choices[count++] = clblast;
    if (device->target.strategy == STRATEGY_CPU)
        tile_count = tile_candidates(&device->target, step, tiles,
                                     capacity - count < MOST_TILES ? capacity - count : MOST_TILES);
    else
        for (int side = GPU_SIDE; side >= GPU_SIDE / 4; side /= 2)
            tiles[tile_count++] = (product_tile){.rows = GPU_TILE, .vectors = GPU_TILE, .width = side};
    for (int i = 0; i < tile_count && count < capacity; i++) {
        choices[count] = (product_choice){MATMUL_GENERATED, tiles[i]};
        count += choice_is_allowed(device, step, &choices[count]);
    }
    return count;
}
