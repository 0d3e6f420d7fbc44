/* Files: safetensors (https://github.com/huggingface/safetensors describes the format). */
#ifndef CLGRAD_IO_H
#define CLGRAD_IO_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the variables' values under the given names. The file appears whole or not at all: it is written to a
 * temporary file in the same folder, then renamed. */
CLG_API clg_status clg_safetensors_save(const char *path, const char *const *names, const clg_var *vars, int count);

/* Writes a file's tensors into leaves of the same names, dtypes and shapes. A missing tensor, or another dtype or
 * shape, is an error that names it, and no leaf is changed. Tensors that no name asks for are ignored. */
CLG_API clg_status clg_safetensors_load(const char *path, const char *const *names, const clg_var *leaves, int count);

#ifdef __cplusplus
}
#endif
#endif
