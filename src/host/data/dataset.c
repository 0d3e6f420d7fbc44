/* A data set of labelled images: two IDX files that must agree with each other. */
#define _POSIX_C_SOURCE 200809L
#include <clgrad/data.h>

#include "core/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of FOLDER/PREFIX-KIND, or of its .gz where the plain file is missing. The caller frees it. */
static clg_status find_file(const char *folder, const char *prefix, const char *kind, char **path)
{
    size_t size = strlen(folder) + strlen(prefix) + strlen(kind) + 8;
    *path = malloc(size);
    if (!*path)
        return clg_fail_memory();
    int length = snprintf(*path, size, "%s/%s-%s", folder, prefix, kind);
    if (access(*path, F_OK) == 0)
        return CLG_OK;
    strcpy(*path + length, ".gz");
    if (access(*path, F_OK) == 0)
        return CLG_OK;
    clg_status status = clg_fail(CLG_ERROR_IO, "%s/%s-%s: neither this file nor its .gz can be found: %s", folder,
                                 prefix, kind, strerror(errno));
    free(*path);
    *path = NULL;
    return status;
}

/* Reads one of the two files and checks its dtype and rank. The caller frees idx and path. */
static clg_status read_file(const char *folder, const char *prefix, const char *kind, int rank, clg_idx *idx,
                            char **path)
{
    clg_status status = find_file(folder, prefix, kind, path);
    if (status == CLG_OK)
        status = clg_idx_read(*path, idx);
    if (status != CLG_OK)
        return status;
    char text[128];
    if (idx->dtype != CLG_U8 || idx->shape.rank != rank)
        return clg_fail(CLG_ERROR_FORMAT, "%s: holds %s %s; right is u8 of rank %d", *path, clg_dtype_name(idx->dtype),
                        clg_shape_format(idx->shape, text, sizeof text), rank);
    return CLG_OK;
}

static clg_status convert_labels(const char *path, const clg_idx *labels, int64_t classes, int32_t **result)
{
    int64_t count = labels->shape.dim[0];
    const uint8_t *values = labels->data;
    *result = malloc((size_t)(count ? count : 1) * sizeof **result);
    if (!*result)
        return clg_fail_memory();
    for (int64_t i = 0; i < count; i++) {
        if (values[i] >= classes)
            return clg_fail(CLG_ERROR_FORMAT, "%s: label %d of example %lld is outside 0..%lld", path, values[i],
                            (long long)i, (long long)classes - 1);
        (*result)[i] = values[i];
    }
    return CLG_OK;
}

/* Moves what was read into the data set. */
static clg_status combine(clg_idx *images, const clg_idx *labels, const char *images_path, const char *labels_path,
                          int64_t classes, clg_dataset *dataset)
{
    if (images->shape.dim[0] != labels->shape.dim[0])
        return clg_fail(CLG_ERROR_FORMAT, "%s holds %lld images, but %s holds %lld labels", images_path,
                        (long long)images->shape.dim[0], labels_path, (long long)labels->shape.dim[0]);
    dataset->count = images->shape.dim[0];
    dataset->rows = images->shape.dim[1];
    dataset->columns = images->shape.dim[2];
    dataset->classes = classes;
    dataset->images = images->data;
    images->data = NULL;
    return convert_labels(labels_path, labels, classes, &dataset->labels);
}

clg_status clg_dataset_read(const char *folder, const char *prefix, int64_t classes, clg_dataset *dataset)
{
    if (!folder || !prefix || !dataset)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_dataset_read: %s is NULL",
                        !folder   ? "folder"
                        : !prefix ? "prefix"
                                  : "dataset");
    *dataset = (clg_dataset){0};
    if (classes < 1)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_dataset_read: %lld classes; right is at least 1", (long long)classes);
    clg_idx images = {0}, labels = {0};
    char *images_path = NULL, *labels_path = NULL;
    clg_status status = read_file(folder, prefix, "images-idx3-ubyte", 3, &images, &images_path);
    if (status == CLG_OK)
        status = read_file(folder, prefix, "labels-idx1-ubyte", 1, &labels, &labels_path);
    if (status == CLG_OK)
        status = combine(&images, &labels, images_path, labels_path, classes, dataset);
    if (status != CLG_OK)
        clg_dataset_free(dataset);
    clg_idx_free(&images);
    clg_idx_free(&labels);
    free(images_path);
    free(labels_path);
    return status;
}

void clg_dataset_free(clg_dataset *dataset)
{
    if (!dataset)
        return;
    free(dataset->images);
    free(dataset->labels);
    *dataset = (clg_dataset){0};
}
