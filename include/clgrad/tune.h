/* Tuning: an OpenCL device's own measurements decide how it computes its matrix products.
 *
 * Without them a built-in model chooses for each product by which tile a generated kernel computes it; with
 * CLGRAD_OPENCL_MATMUL=clblast CLBlast does. The functions here measure the choices and keep what they find in a small
 * text file, one a device and driver, in the folder of the kernel cache; devices opened later read it. A file that is
 * damaged, or was measured with other kernels, is ignored. With one file the same program gets the same kernels, run
 * after run. `clgrad tune` is these functions with a table around them.
 *
 * The CPU path has nothing to tune: for it these functions fail with CLG_ERROR_UNSUPPORTED. */
#ifndef CLGRAD_TUNE_H
#define CLGRAD_TUNE_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* batch products (m, k) x (k, n). transpose_a: A's columns, not its rows, are contiguous in memory; B likewise. */
typedef struct clg_tune_shape {
    clg_dtype dtype; /* CLG_F32 or CLG_F64 */
    int64_t batch, m, n, k;
    bool transpose_a, transpose_b;
} clg_tune_shape;

typedef struct clg_tune_result {
    /* "CLBlast", or "generated 8x3x16 packed B": a tile of rows x vectors x columns of a vector, from a copy of B; on a
     * GPU "generated 8x4x16": rows x columns of a work-item, and how many of a group lie along the columns */
    char builtin[200], best[200];
    double builtin_seconds, best_seconds;
    int tried, rejected; /* choices that were measured; of all, those that did not build or computed something wrong */
    bool better;         /* best is used from now on; else it is the built-in choice */
} clg_tune_result;

/* Called while something is measured: done of total. */
typedef void (*clg_tune_watch)(void *context, int done, int total);

/* Measures a product with a bias added to it, as a layer has it: every candidate is verified on random data, the
 * fastest are timed in turn with the built-in choice, and then the fastest of these alone. The outcome is written to
 * the file: a candidate only if it was faster by more than 5 % both times, else that the built-in choice is best.
 * watch: NULL, or what is told of the progress. CLG_ERROR_IO: measured and used by this device, but the file could not
 * be written. */
CLG_API clg_status clg_tune_product(clg_device *device, const clg_tune_shape *shape, clg_tune_watch watch,
                                    void *context, clg_tune_result *result);

/* CLBlast's kernels that have parameters to tune: 0, 1, ... until NULL; NULL for 0: the device does not use CLBlast. */
CLG_API const char *clg_tune_clblast_kernel(const clg_device *device, int kernel);

/* Searches the parameters of one of them for about so many seconds: random ones that its constraints allow, each
 * verified. They are kept if they are faster than those in use by more than 5 %; builtin and best of the result say
 * which parameters. They hold for the whole process, where the search leaves the best right ones that it saw: programs
 * compiled before must be compiled again. CLG_ERROR_DEVICE: it saw none, and CLBlast cannot go back to its own. A
 * driver that fails on one of them may take the process with it: `clgrad tune` searches in a process of its own. */
CLG_API clg_status clg_tune_clblast(clg_device *device, clg_dtype dtype, int kernel, double seconds, uint64_t seed,
                                    clg_tune_watch watch, void *context, clg_tune_result *result);

/* The path of the device's file, which may not exist; NULL if the cache is off, or nothing can be tuned. Valid while
 * the device is open. */
CLG_API const char *clg_tune_file(const clg_device *device);
/* What the device found there when it was opened: "read", "not there", or why it was ignored. */
CLG_API const char *clg_tune_file_state(const clg_device *device);
/* Prints what was measured, a line each; returns the number of lines. */
CLG_API int clg_tune_print(const clg_device *device, FILE *out);
/* Forgets what was measured and removes the file. */
CLG_API clg_status clg_tune_reset(clg_device *device);

#ifdef __cplusplus
}
#endif
#endif
