/* Dtype names, byte order and argument checks for safetensors files. */
#include "io/safetensors.h"

#include "core/error.h"

#include <string.h>

static const char *const names_of[CLG_DTYPE_COUNT] = {
    [CLG_F32] = "F32", [CLG_F64] = "F64",   [CLG_I32] = "I32", [CLG_U8] = "U8",
    [CLG_I64] = "I64", [CLG_BOOL] = "BOOL", [CLG_F16] = "F16", [CLG_BF16] = "BF16"};

const char *safetensors_dtype_name(clg_dtype dtype) { return names_of[dtype]; }

size_t safetensors_dtype_size(const char *name)
{
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                 {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                 {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (strcmp(sizes[i].name, name) == 0)
            return sizes[i].size;
    return 0;
}

void safetensors_swap(void *data, size_t bytes, size_t size)
{
    const uint16_t probe = 1;
    if (size == 1 || *(const unsigned char *)&probe == 1)
        return;
    unsigned char *p = data;
    for (size_t i = 0; i < bytes; i += size)
        for (size_t j = 0; j < size / 2; j++) {
            unsigned char swap = p[i + j];
            p[i + j] = p[i + size - 1 - j];
            p[i + size - 1 - j] = swap;
        }
}

clg_status safetensors_check_names(const char *caller, const char *const *names, const clg_var *vars, int count)
{
    if (count < 0 || (count > 0 && (!names || !vars)))
        return clg_fail(CLG_ERROR_ARGUMENT, "%s: %d variables; right is a count >= 0 with names and variables", caller,
                        count);
    for (int i = 0; i < count; i++) {
        if (!names[i])
            return clg_fail(CLG_ERROR_ARGUMENT, "%s: name %d is NULL", caller, i);
        if (strcmp(names[i], SAFETENSORS_METADATA) == 0)
            return clg_fail(CLG_ERROR_ARGUMENT, "%s: the name \"%s\" is reserved by the format", caller, names[i]);
        if (!clg_is_valid(vars[i])) {
            const char *why = vars[i].graph ? clg_graph_error(vars[i].graph) : NULL;
            return clg_fail(CLG_ERROR_ARGUMENT, "%s: the variable of \"%s\" is poisoned: %s", caller, names[i],
                            why ? why : "an earlier operation failed");
        }
        for (int j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return clg_fail(CLG_ERROR_ARGUMENT, "%s: the name \"%s\" is given twice", caller, names[i]);
    }
    return CLG_OK;
}
