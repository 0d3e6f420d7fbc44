#include "intern.h"

#include "array.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const void *item, size_t size)
{
    uint64_t h = size, word;
    const char *at = item;
    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
        h ^= h >> 32;
    }
    return h;
}

static bool grow(intern_table *t, const char *items, size_t size)
{
    int32_t count = t->bucket_count ? t->bucket_count * 2 : 64, *buckets = malloc((size_t)count * sizeof *buckets);
    if (!buckets) {
        clg_fail_memory();
        return false;
    }
    memset(buckets, 0xff, (size_t)count * sizeof *buckets);
    for (int32_t i = 0; i < t->count; i++) {
        uint32_t slot = (uint32_t)hash(items + (size_t)i * size, size) & (uint32_t)(count - 1);
        while (buckets[slot] >= 0)
            slot = (slot + 1) & (uint32_t)(count - 1);
        buckets[slot] = i;
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
    return true;
}

int32_t intern(void *items, intern_table *t, const void *item, size_t size)
{
    char **array = items;
    if (t->count * 2 >= t->bucket_count && !grow(t, *array, size))
        return -1;
    uint32_t mask = (uint32_t)(t->bucket_count - 1), slot = (uint32_t)hash(item, size) & mask;
    for (; t->buckets[slot] >= 0; slot = (slot + 1) & mask)
        if (!memcmp(*array + (size_t)t->buckets[slot] * size, item, size))
            return t->buckets[slot];
    if (!array_reserve(items, (int64_t)t->count + 1, &t->capacity, size))
        return -1;
    memcpy(*array + (size_t)t->count * size, item, size);
    t->buckets[slot] = t->count;
    return t->count++;
}
