/* The list of kernels that code generation makes of a step, and the sizes of groups. */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ITEMS 256 /* of a group: more gain nothing, and few devices have them */

clg_status kernel_add(kernel_list *list, text *source, const int32_t *leading, int leading_count,
                      const int32_t *arguments, int argument_count, const kernel_numbers *numbers,
                      kernel_launch **added)
{
    char *data = source->data;
    bool failed = source->failed || !data;
    *source = (text){0};
    failed = failed || !ARRAY_ROOM(list->items, list->count, list->capacity);
    int count = leading_count + argument_count, number_count = numbers ? numbers->count : 0;
    int32_t *all = failed ? NULL : malloc(((size_t)count + 1) * sizeof *all);
    kernel_number *own = failed ? NULL : malloc(((size_t)number_count + 1) * sizeof *own);
    if (!all || !own) {
        free(data);
        free(all);
        free(own);
        return clg_fail_memory();
    }
    if (number_count)
        memcpy(own, numbers->items, (size_t)number_count * sizeof *own);
    if (leading_count)
        memcpy(all, leading, (size_t)leading_count * sizeof *all);
    if (argument_count)
        memcpy(all + leading_count, arguments, (size_t)argument_count * sizeof *all);
    *added = &list->items[list->count++];
    **added = (kernel_launch){.source = data,
                              .arguments = all,
                              .argument_count = count,
                              .numbers = own,
                              .number_count = number_count,
                              .wide = numbers && numbers->wide,
                              .dimensions = 1,
                              .global = {1, 1, 1},
                              .local = {1, 1, 1}};
    return CLG_OK;
}

void kernel_free(kernel_launch *k)
{
    free(k->source);
    free(k->arguments);
    free(k->numbers);
    k->source = NULL;
    k->arguments = NULL;
    k->numbers = NULL;
}

int64_t kernel_groups(const kernel_target *target, int64_t shares) { return smaller(shares, target->compute_units); }

int kernel_group(const kernel_target *target)
{
    int group = 1;
    while (target->strategy == STRATEGY_GPU && group * 2 <= MOST_ITEMS && (size_t)group * 2 <= target->group_limit)
        group *= 2;
    return group;
}
