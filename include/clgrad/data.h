/* Data sets: IDX files (the MNIST family), plain or gzip-compressed. */
#ifndef CLGRAD_DATA_H
#define CLGRAD_DATA_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An array read from an IDX file, in host memory. */
typedef struct clg_idx {
    clg_dtype dtype; /* CLG_U8 for the MNIST family */
    clg_shape shape;
    void *data; /* row-major, host byte order; owned */
} clg_idx;

/* Reads an IDX file (http://yann.lecun.com/exdb/mnist describes the format). Big-endian i32, f32 and f64 are
 * converted. Errors name the file, what was found and what was expected. */
CLG_API clg_status clg_idx_read(const char *path, clg_idx *idx);
CLG_API void clg_idx_free(clg_idx *idx);

/* Images and labels, as training programs want them. */
typedef struct clg_dataset {
    int64_t count;         /* examples */
    int64_t rows, columns; /* of an image */
    int64_t classes;
    uint8_t *images; /* (count, rows, columns) */
    int32_t *labels; /* (count) */
} clg_dataset;

/* Reads PREFIX-images-idx3-ubyte[.gz] and PREFIX-labels-idx1-ubyte[.gz] from a folder; prefix "train" or
 * "t10k". A label >= classes is an error that names it and its place. */
CLG_API clg_status clg_dataset_read(const char *folder, const char *prefix, int64_t classes, clg_dataset *dataset);
CLG_API void clg_dataset_free(clg_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
