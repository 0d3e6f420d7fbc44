/* A data set in the memory of a device, and the nodes that take batches from it. */
#include <clgrad/data.h>

#include "core/error.h"

#include <stdlib.h>

static clg_status write_input(clg_graph *graph, clg_dtype dtype, clg_shape shape, const void *data, clg_var *input)
{
    int64_t count = clg_shape_count(shape), size = (int64_t)clg_dtype_size(dtype);
    if (count > PTRDIFF_MAX / size) /* no array of the host is so large: of 32 bits, for example */
        return clg_fail(CLG_ERROR_DEVICE_MEMORY, "clg_batches_new: %lld elements of %s do not fit in memory",
                        (long long)count, clg_dtype_name(dtype));
    *input = clg_input(graph, dtype, shape);
    return clg_write(*input, data, (size_t)(count * size));
}

clg_status clg_batches_new(clg_graph *graph, const clg_dataset *dataset, clg_batches *batches)
{
    if (!graph || !dataset || !batches)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_batches_new: %s is NULL",
                        !graph     ? "graph"
                        : !dataset ? "dataset"
                                   : "batches");
    int64_t count = dataset->count;
    if (count > INT32_MAX)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_batches_new: %lld examples; right is at most %d", (long long)count,
                        INT32_MAX);
    int32_t mark = clg_graph_mark(graph);
    clg_shape images = CLG_SHAPE(count, dataset->rows * dataset->columns);
    clg_status status = write_input(graph, CLG_U8, images, dataset->images, &batches->images);
    if (status == CLG_OK)
        status = write_input(graph, CLG_I32, CLG_SHAPE(count), dataset->labels, &batches->labels);
    batches->order = clg_input(graph, CLG_I32, CLG_SHAPE(count));
    batches->position = clg_input(graph, CLG_I32, CLG_SCALAR);
    if (status == CLG_OK)
        status = clg_batches_start(batches, NULL);
    if (status != CLG_OK)
        clg_graph_rewind(graph, mark);
    return status;
}

/* The order 0, 1, 2, ...; the caller frees it. */
static int32_t *as_they_lie(int64_t count)
{
    int32_t *order = malloc((size_t)(count ? count : 1) * sizeof *order);
    for (int64_t i = 0; order && i < count; i++)
        order[i] = (int32_t)i;
    return order;
}

clg_status clg_batches_start(const clg_batches *batches, const int32_t *order)
{
    if (!batches)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_batches_start: batches is NULL");
    int64_t count = clg_shape_count(clg_shape_of(batches->order));
    for (int64_t i = 0; order && i < count; i++)
        if (order[i] < 0 || order[i] >= count)
            return clg_fail(CLG_ERROR_ARGUMENT, "clg_batches_start: example %d at position %lld is outside 0..%lld",
                            (int)order[i], (long long)i, (long long)count - 1);
    int32_t *plain = order ? NULL : as_they_lie(count), zero = 0;
    if (!order && !plain)
        return clg_fail_memory();
    clg_status status = clg_write(batches->order, order ? order : plain, (size_t)count * sizeof *order);
    if (status == CLG_OK)
        status = clg_write(batches->position, &zero, sizeof zero);
    free(plain);
    return status;
}

clg_var clg_batches_next(const clg_batches *batches, int64_t size, clg_var *images, clg_var *labels)
{
    clg_graph *g = batches->position.graph;
    clg_var place = clg_add(batches->position, clg_arange(g, CLG_I32, size));
    clg_var example = clg_gather(batches->order, place);
    double count = (double)clg_shape_count(clg_shape_of(batches->order));
    clg_var end = clg_full(g, CLG_I32, CLG_SCALAR, count), inside = clg_less(place, end);
    *images = clg_gather(batches->images, example);
    *labels = clg_where(inside, clg_gather(batches->labels, example), clg_full(g, CLG_I32, CLG_SCALAR, -1));
    /* no further than the end, so that it never overflows */
    clg_var next = clg_add(batches->position, clg_full(g, CLG_I32, CLG_SCALAR, (double)size));
    return clg_assign(batches->position, clg_minimum(next, end));
}
