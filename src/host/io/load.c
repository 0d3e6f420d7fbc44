/* Reads safetensors files. Nothing of the file is trusted: the header's length, every dtype, shape and offset are
 * checked, and all values are in host memory before the first leaf is written. */
#define _POSIX_C_SOURCE 200809L
#include "io/safetensors.h"

#include "core/error.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_EXACT 9007199254740992.0 /* 2^53: JSON numbers are doubles here */

typedef struct tensor {
    const char *name;
    const char *dtype;
    clg_shape shape;
    int rank; /* may be more than shape can hold */
    uint64_t begin, end;
} tensor;

typedef struct reader {
    const char *path;
    FILE *file;
    uint64_t data_start, data_bytes;
    cJSON *header;
    tensor *tensors; /* sorted by begin */
    int count;
} reader;

static clg_status read_at(reader *r, uint64_t offset, void *data, size_t bytes)
{
    if (fseeko(r->file, (off_t)offset, SEEK_SET) != 0)
        return clg_fail(CLG_ERROR_IO, "%s: cannot seek: %s", r->path, strerror(errno));
    if (fread(data, 1, bytes, r->file) == bytes)
        return CLG_OK;
    if (ferror(r->file))
        return clg_fail(CLG_ERROR_IO, "%s: cannot read: %s", r->path, strerror(errno));
    return clg_fail(CLG_ERROR_FORMAT, "%s: truncated while it was being read", r->path);
}

/* Reads and parses the header. */
static clg_status read_header(reader *r)
{
    struct stat facts;
    if (fstat(fileno(r->file), &facts) != 0)
        return clg_fail(CLG_ERROR_IO, "%s: cannot read its size: %s", r->path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return clg_fail(CLG_ERROR_IO, "%s: not a regular file", r->path);
    uint64_t size = (uint64_t)facts.st_size, length = 0;
    unsigned char prefix[8];
    if (size < sizeof prefix)
        return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: a safetensors file begins with 8 bytes, found %llu", r->path,
                        (unsigned long long)size);
    clg_status status = read_at(r, 0, prefix, sizeof prefix);
    if (status != CLG_OK)
        return status;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | prefix[i];
    if (length > SAFETENSORS_MAX_HEADER)
        return clg_fail(CLG_ERROR_FORMAT, "%s: a header of %llu bytes is announced; the format allows %d", r->path,
                        (unsigned long long)length, SAFETENSORS_MAX_HEADER);
    if (length > size - 8)
        return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: expected a header of %llu bytes, found %llu", r->path,
                        (unsigned long long)length, (unsigned long long)size - 8);
    char *text = malloc((size_t)length + 1);
    if (!text)
        return clg_fail_memory();
    status = read_at(r, 8, text, (size_t)length);
    text[length] = 0;
    if (status == CLG_OK) {
        r->header = cJSON_ParseWithLengthOpts(text, (size_t)length + 1, NULL, 1);
        if (!cJSON_IsObject(r->header))
            status = clg_fail(CLG_ERROR_FORMAT, "%s: the header is not a JSON object", r->path);
    }
    free(text);
    r->data_start = 8 + length;
    r->data_bytes = size - r->data_start;
    return status;
}

/* A JSON number that is an integer from 0 to 2^53. */
static bool read_integer(const cJSON *item, uint64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= MAX_EXACT))
        return false;
    *value = (uint64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

/* Reads the shape; *bytes is the size that it and the dtype call for, UINT64_MAX if that overflows. */
static bool read_shape(const cJSON *shape, size_t element, tensor *t, uint64_t *bytes)
{
    bool overflow = false, empty = false;
    const cJSON *item;
    *bytes = element;
    t->rank = 0;
    if (!cJSON_IsArray(shape))
        return false;
    cJSON_ArrayForEach(item, shape)
    {
        uint64_t extent;
        if (!read_integer(item, &extent))
            return false;
        if (t->rank < CLG_MAX_RANK)
            t->shape.dim[t->rank] = (int64_t)extent;
        t->rank++;
        empty |= extent == 0;
        if (extent != 0 && *bytes > UINT64_MAX / 2 / extent)
            overflow = true;
        else
            *bytes *= extent ? extent : 1;
    }
    t->shape.rank = t->rank <= CLG_MAX_RANK ? t->rank : CLG_MAX_RANK;
    *bytes = empty ? 0 : overflow ? UINT64_MAX : *bytes;
    return true;
}

/* Reads and checks one entry of the header. */
static clg_status read_tensor(const reader *r, const cJSON *entry, tensor *t)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    uint64_t bytes;
    *t = (tensor){.name = entry->string};
    if (!cJSON_IsString(dtype))
        return clg_fail(CLG_ERROR_FORMAT, "%s: tensor \"%s\" has no dtype", r->path, t->name);
    t->dtype = dtype->valuestring;
    size_t element = safetensors_dtype_size(t->dtype);
    if (!read_shape(cJSON_GetObjectItemCaseSensitive(entry, "shape"), element, t, &bytes))
        return clg_fail(CLG_ERROR_FORMAT, "%s: tensor \"%s\" has no shape of integers >= 0", r->path, t->name);
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !read_integer(cJSON_GetArrayItem(offsets, 0), &t->begin) ||
        !read_integer(cJSON_GetArrayItem(offsets, 1), &t->end) || t->begin > t->end)
        return clg_fail(CLG_ERROR_FORMAT, "%s: tensor \"%s\" has no data_offsets [begin, end]", r->path, t->name);
    if (t->end > r->data_bytes)
        return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: the data of \"%s\" end at byte %llu, the file's at %llu",
                        r->path, t->name, (unsigned long long)t->end, (unsigned long long)r->data_bytes);
    if (element && bytes != t->end - t->begin)
        return clg_fail(CLG_ERROR_FORMAT, "%s: tensor \"%s\" spans %llu bytes, but its dtype and shape need %llu",
                        r->path, t->name, (unsigned long long)(t->end - t->begin), (unsigned long long)bytes);
    return CLG_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const tensor *s = a, *t = b;
    if (s->begin != t->begin)
        return s->begin < t->begin ? -1 : 1;
    return (s->end > t->end) - (s->end < t->end);
}

/* No name twice; the tensors cover the data without overlaps or holes, as the format demands. */
static clg_status check_tensors(reader *r)
{
    qsort(r->tensors, (size_t)r->count, sizeof *r->tensors, by_name);
    for (int i = 1; i < r->count; i++)
        if (strcmp(r->tensors[i - 1].name, r->tensors[i].name) == 0)
            return clg_fail(CLG_ERROR_FORMAT, "%s: the name \"%s\" appears twice", r->path, r->tensors[i].name);
    qsort(r->tensors, (size_t)r->count, sizeof *r->tensors, by_place);
    uint64_t end = 0;
    for (int i = 0; i < r->count; i++) {
        const tensor *t = &r->tensors[i];
        if (t->begin < end)
            return clg_fail(CLG_ERROR_FORMAT, "%s: the data of \"%s\" and \"%s\" overlap", r->path, t[-1].name,
                            t->name);
        if (t->begin > end)
            return clg_fail(CLG_ERROR_FORMAT, "%s: bytes %llu to %llu before \"%s\" belong to no tensor", r->path,
                            (unsigned long long)end, (unsigned long long)t->begin, t->name);
        end = t->end;
    }
    if (end != r->data_bytes)
        return clg_fail(CLG_ERROR_FORMAT, "%s: %llu bytes after the last tensor", r->path,
                        (unsigned long long)(r->data_bytes - end));
    return CLG_OK;
}

static clg_status read_tensors(reader *r)
{
    int size = cJSON_GetArraySize(r->header);
    r->tensors = calloc((size_t)(size ? size : 1), sizeof *r->tensors);
    if (!r->tensors)
        return clg_fail_memory();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, r->header)
    {
        if (strcmp(entry->string, SAFETENSORS_METADATA) == 0)
            continue;
        clg_status status = read_tensor(r, entry, &r->tensors[r->count++]);
        if (status != CLG_OK)
            return status;
    }
    return check_tensors(r);
}

/* The file's tensor for a leaf, checked against the leaf's dtype and shape. */
static clg_status find_tensor(const reader *r, const char *name, clg_var leaf, const tensor **found)
{
    char is[160], want[160];
    clg_shape shape = clg_shape_of(leaf);
    const char *dtype = safetensors_dtype_name(clg_dtype_of(leaf));
    if (strcmp(clg_creator(leaf), "input") != 0)
        return clg_fail(CLG_ERROR_ARGUMENT,
                        "clg_safetensors_load: the variable of \"%s\" is the result of %s, not a leaf", name,
                        clg_creator(leaf));
    for (int i = 0; i < r->count; i++) {
        const tensor *t = *found = &r->tensors[i];
        if (strcmp(t->name, name) != 0)
            continue;
        if (strcmp(t->dtype, dtype) == 0 && t->rank == shape.rank && clg_shape_equal(t->shape, shape))
            return CLG_OK;
        return clg_fail(CLG_ERROR_FORMAT, "%s: tensor \"%s\" is %s %s; the variable is %s %s", r->path, name, t->dtype,
                        clg_shape_format(t->shape, is, sizeof is), dtype, clg_shape_format(shape, want, sizeof want));
    }
    return clg_fail(CLG_ERROR_FORMAT, "%s: no tensor \"%s\"", r->path, name);
}

/* Reads the values of all leaves, then writes them. */
static clg_status load_leaves(reader *r, const char *const *names, const clg_var *leaves, int count)
{
    void **values = calloc((size_t)(count ? count : 1), sizeof *values);
    clg_status status = values ? CLG_OK : clg_fail_memory();
    for (int i = 0; status == CLG_OK && i < count; i++) {
        const tensor *t = NULL;
        if ((status = find_tensor(r, names[i], leaves[i], &t)) != CLG_OK)
            break;
        size_t bytes = (size_t)(t->end - t->begin);
        if (!(values[i] = malloc(bytes ? bytes : 1)))
            status =
                clg_fail(CLG_ERROR_MEMORY, "%s: out of memory for the %zu bytes of \"%s\"", r->path, bytes, names[i]);
        else if ((status = read_at(r, r->data_start + t->begin, values[i], bytes)) == CLG_OK)
            safetensors_swap(values[i], bytes, clg_dtype_size(clg_dtype_of(leaves[i])));
    }
    for (int i = 0; status == CLG_OK && i < count; i++)
        status = clg_write(leaves[i], values[i],
                           (size_t)clg_shape_count(clg_shape_of(leaves[i])) * clg_dtype_size(clg_dtype_of(leaves[i])));
    for (int i = 0; values && i < count; i++)
        free(values[i]);
    free(values);
    return status;
}

clg_status clg_safetensors_load(const char *path, const char *const *names, const clg_var *leaves, int count)
{
    if (!path)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_safetensors_load: no path");
    clg_status status = safetensors_check_names("clg_safetensors_load", names, leaves, count);
    if (status != CLG_OK)
        return status;
    reader r = {.path = path, .file = fopen(path, "rb")};
    if (!r.file)
        return clg_fail(CLG_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    status = read_header(&r);
    if (status == CLG_OK)
        status = read_tensors(&r);
    if (status == CLG_OK)
        status = load_leaves(&r, names, leaves, count);
    free(r.tensors);
    cJSON_Delete(r.header);
    fclose(r.file);
    return status;
}
