/* Equal things once: items of a fixed size without padding between their fields, each with a small number. */
#ifndef CLG_INTERN_H
#define CLG_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct intern_table {
    int32_t count, capacity;
    int32_t *buckets, bucket_count;
} intern_table;

/* The number of the item that is equal to this one, byte for byte, in an array of theirs; it is appended if there is
 * none. items: the address of the array's pointer. -1, with the message "out of memory", when there is none. */
int32_t intern(void *items, intern_table *t, const void *item, size_t size);
#endif
