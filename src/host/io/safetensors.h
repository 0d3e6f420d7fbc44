/* What the writer and the reader of safetensors files share: the names and sizes of dtypes. */
#ifndef CLG_SAFETENSORS_H
#define CLG_SAFETENSORS_H

#include <clgrad/io.h>

#define SAFETENSORS_METADATA "__metadata__" /* a header entry that is not a tensor */
#define SAFETENSORS_MAX_HEADER (100 << 20)  /* bytes; the limit of the format's reference implementation */

/* The format's name of a dtype. */
const char *safetensors_dtype_name(clg_dtype dtype);
/* Bytes an element for a dtype name of the format, those that clgrad lacks included; 0 if unknown. */
size_t safetensors_dtype_size(const char *name);
/* Files are little-endian: swaps the bytes of each element on other machines. */
void safetensors_swap(void *data, size_t bytes, size_t size);
/* count >= 0, no NULL, no invalid variable, no name twice. caller: for the message. */
clg_status safetensors_check_names(const char *caller, const char *const *names, const clg_var *vars, int count);
#endif
