/* Philox 4x32-10: counter-based random numbers (Salmon et al., SC'11, section 3.3; constants from table 2). The key
 * is the seed, the counter is (position, stream). Four outputs a block; the i-th number is word i % 4 of block
 * i / 4. */
#include <clgrad/nn.h>

#include <math.h>

static void round_once(uint32_t counter[4], const uint32_t key[2])
{
    uint64_t a = (uint64_t)0xD2511F53u * counter[0], b = (uint64_t)0xCD9E8D57u * counter[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ counter[1] ^ key[0], (uint32_t)b,
                        (uint32_t)(a >> 32) ^ counter[3] ^ key[1], (uint32_t)a};
    for (int i = 0; i < 4; i++)
        counter[i] = next[i];
}

static uint32_t word(uint64_t seed, uint64_t stream, uint64_t position)
{
    uint64_t block = position / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        round_once(counter, key);
        key[0] += 0x9E3779B9u; /* golden ratio */
        key[1] += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    return counter[position % 4];
}

clg_random clg_random_new(uint64_t seed, uint64_t stream) { return (clg_random){seed, stream, 0}; }

uint32_t clg_random_u32(clg_random *random) { return word(random->seed, random->stream, random->counter++); }

double clg_random_uniform(clg_random *random)
{
    uint64_t high = clg_random_u32(random) >> 5, low = clg_random_u32(random) >> 6; /* 27 + 26 bits */
    return ((double)(high << 26 | low)) * 0x1p-53;
}

double clg_random_normal(clg_random *random)
{
    double radius = sqrt(-2 * log(1 - clg_random_uniform(random))); /* the argument is in (0, 1] */
    return radius * cos(2 * acos(-1) * clg_random_uniform(random));
}

/* Lemire 2019, "Fast random integer generation in an interval", algorithm 5. */
uint32_t clg_random_below(clg_random *random, uint32_t bound)
{
    uint64_t product = (uint64_t)clg_random_u32(random) * bound;
    uint32_t threshold = bound ? (0u - bound) % bound : 0;
    while ((uint32_t)product < threshold)
        product = (uint64_t)clg_random_u32(random) * bound;
    return (uint32_t)(product >> 32);
}

void clg_random_shuffle(clg_random *random, int32_t *values, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = clg_random_below(random, (uint32_t)i);
        int32_t swap = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swap;
    }
}
