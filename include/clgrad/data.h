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

/* A data set in the memory of a graph's device. A program takes its batches itself, so that the host has nothing to do
 * for a step but run it:
 *
 *     clg_batches_new(graph, &dataset, &batches);
 *     clg_var images, labels, next = clg_batches_next(&batches, 128, &images, &labels);
 *     ... loss, step ...
 *     clg_program *program = clg_compile(graph, (clg_var[]){loss, step, next}, 3);
 *     for (each epoch) { clg_batches_start(&batches, order); for (each batch) clg_run(program); } */
typedef struct clg_batches {
    clg_var images;   /* (count, rows * columns) u8 */
    clg_var labels;   /* (count) i32 */
    clg_var order;    /* (count) i32: the examples in the order of this pass */
    clg_var position; /* () i32: how many this pass has taken */
} clg_batches;

/* Copies the data set to the device, which takes count * (rows * columns + 8) bytes, and starts a pass over the
 * examples as they lie. The graph owns the memory. CLG_ERROR_DEVICE_MEMORY: it does not fit, and nothing is left of it.
 */
CLG_API clg_status clg_batches_new(clg_graph *graph, const clg_dataset *dataset, clg_batches *batches);
/* Starts a pass. order: count indices of examples; NULL: as they lie. */
CLG_API clg_status clg_batches_start(const clg_batches *batches, const int32_t *order);
/* The next size examples: images (size, rows * columns) u8, labels (size) i32. The result is an effect, to be compiled
 * with what uses them: it moves the pass on. Programs for batches of several sizes may share a pass. Beyond its end
 * labels are -1 (a cross-entropy is NaN there) and images are those of some example. */
CLG_API clg_var clg_batches_next(const clg_batches *batches, int64_t size, clg_var *images, clg_var *labels);

#ifdef __cplusplus
}
#endif
#endif
