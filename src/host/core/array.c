#include "array.h"

#include <stdlib.h>
#include <string.h>

bool array_reserve(void *array, int64_t wanted, int32_t *capacity, size_t size)
{
    enum { LEAST = 16 };
    void *items;
    if (wanted <= *capacity)
        return true;
    int64_t room = larger(larger(wanted, 2 * (int64_t)*capacity), LEAST);
    memcpy(&items, array, sizeof items); /* whatever type it points to */
    if (room > INT32_MAX || (size_t)room > SIZE_MAX / size || !(items = realloc(items, (size_t)room * size))) {
        clg_fail_memory();
        return false;
    }
    memcpy(array, &items, sizeof items);
    *capacity = (int32_t)room;
    return true;
}
