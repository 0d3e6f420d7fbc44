/* A SCATTER_ADD step: kernels/scatter_add.cl with the work cut into columns times ranges of rows. */
#include "opencl.h"

clg_status scatter_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->rows == 0 || step->columns == 0)
        return CLG_OK;
    bool gpu = list->device->strategy == STRATEGY_GPU;
    int64_t compute_units = list->device->info.compute_units;
    /* Every range of rows walks over all indices again: cut rows only as far as columns do not suffice. */
    int64_t wanted = gpu ? compute_units * 512 : compute_units * 2;
    int64_t columns_each = gpu ? 1 : step->columns < 1024 ? step->columns : 1024;
    int64_t column_units = divide_up(step->columns, columns_each);
    int64_t ranges = divide_up(wanted, column_units);
    if (ranges > step->rows)
        ranges = step->rows;
    int64_t rows_each = divide_up(step->rows, ranges), units = column_units * divide_up(step->rows, rows_each);
    int64_t largest = (step->count > step->rows ? step->count : step->rows) * step->columns;
    text source = {0};
    text_add(&source, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             largest >= INDEX32_LIMIT ? "long" : "int");
    text_add(&source, "#define ROWS %lld\n#define COLUMNS %lld\n#define COUNT %lld\n", (long long)step->rows,
             (long long)step->columns, (long long)step->count);
    text_add(&source, "#define ROWS_EACH %lld\n#define COLUMNS_EACH %lld\n", (long long)rows_each,
             (long long)columns_each);
    text_add(&source, "#define COLUMN_UNITS %lld\n#define UNITS %lld\n", (long long)column_units, (long long)units);
    text_add_skeleton(&source, "scatter_add.cl", NULL, NULL, 0);
    launch *added = NULL;
    clg_status status =
        launch_add(list, number, &source, (int32_t[]){step->indices, step->updates, step->result}, 3, &added);
    if (status != CLG_OK)
        return status;
    int64_t local = gpu ? (list->device->group_limit < 64 ? (int64_t)list->device->group_limit : 64) : 1;
    added->local[0] = (size_t)local;
    added->global[0] = (size_t)(divide_up(units, local) * local);
    return CLG_OK;
}
