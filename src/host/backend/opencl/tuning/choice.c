/* The ways in which a device can compute a product: the one that is built in, those that are legal, those worth
 * measuring. */
#include "tuning.h"

static bool is_gpu(const backend_device *device) { return device->target.strategy == STRATEGY_GPU; }

product_tile choice_builtin_tile(const backend_device *device, const plan_step *step)
{
    const plan_matmul of = plan_step_matmul(step);
    const gpu_product x = contract_gpu_product(step);
    return is_gpu(device) ? tile_gpu_choose(&device->target, step->dtype, &x) : tile_choose(&device->target, &of);
}

product_choice choice_builtin(const backend_device *device, const plan_step *step)
{
    if (device->matmul == MATMUL_CLBLAST && clblast_serves(step))
        return (product_choice){.provider = MATMUL_CLBLAST};
    return (product_choice){MATMUL_GENERATED, choice_builtin_tile(device, step)};
}

static bool is_legal(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    if (choice->provider == MATMUL_CLBLAST)
        return clblast_serves(step);
    const plan_matmul of = plan_step_matmul(step);
    return is_gpu(device) ? tile_gpu_is_legal(&device->target, step->dtype, &choice->tile)
                          : tile_is_legal(&device->target, &of, &choice->tile);
}

bool choice_is_allowed(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    bool other = device->matmul_fixed && choice->provider != choice_builtin(device, step).provider;
    return !other && is_legal(device, step, choice);
}

double choice_waste(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    const plan_matmul of = plan_step_matmul(step);
    if (choice->provider == MATMUL_CLBLAST || of.m == 0 || of.n == 0)
        return 1;
    const int64_t columns = choice->tile.vectors * choice->tile.width;
    const int64_t rows = is_gpu(device) ? tile_gpu_rows(&device->target, &choice->tile) : choice->tile.rows;
    return (double)(divide_up(of.m, rows) * rows) * (double)(divide_up(of.n, columns) * columns) /
           ((double)of.m * (double)of.n);
}

int choice_candidates(const backend_device *device, const plan_step *step, product_choice *choices, int capacity)
{
    enum { MOST_TILES = 64 };
    product_tile tiles[MOST_TILES];
    int count = 0, tile_count = 0;
    product_choice clblast = {.provider = MATMUL_CLBLAST};
    if (device->matmul == MATMUL_CLBLAST && choice_is_allowed(device, step, &clblast) && count < capacity)
        choices[count++] = clblast;
    const int most = capacity - count < MOST_TILES ? capacity - count : MOST_TILES;
    const plan_matmul of = plan_step_matmul(step);
    const gpu_product x = contract_gpu_product(step);
    tile_count = is_gpu(device) ? tile_gpu_candidates(&device->target, step->dtype, &x, tiles, most)
                                : tile_candidates(&device->target, &of, tiles, most);
    for (int i = 0; i < tile_count && count < capacity; i++) {
        choices[count] = (product_choice){MATMUL_GENERATED, tiles[i]};
        count += choice_is_allowed(device, step, &choices[count]);
    }
    return count;
}
