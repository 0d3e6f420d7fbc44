/* Writes safetensors files: the length of the header (8 bytes), a JSON header padded with spaces, the data. The file
 * appears under its name only when all of it is on the disk. */
#define _POSIX_C_SOURCE 200809L
#include "io/safetensors.h"

#include "core/error.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t size_of(clg_var x) { return (size_t)clg_shape_count(clg_shape_of(x)) * clg_dtype_size(clg_dtype_of(x)); }

/* The order of the data: larger elements first, so that each tensor is aligned to its elements. The caller frees. */
static int *data_order(const clg_var *vars, int count)
{
    int *order = malloc((size_t)(count ? count : 1) * sizeof *order);
    int n = 0;
    for (size_t size = 8; order && size > 0; size /= 2)
        for (int i = 0; i < count; i++)
            if (clg_dtype_size(clg_dtype_of(vars[i])) == size)
                order[n++] = i;
    return order;
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}; NULL when memory runs out. */
static cJSON *entry_of(clg_var x, size_t begin)
{
    clg_shape shape = clg_shape_of(x);
    cJSON *entry = cJSON_CreateObject();
    cJSON *dtype = cJSON_AddStringToObject(entry, "dtype", safetensors_dtype_name(clg_dtype_of(x)));
    cJSON *extents = cJSON_AddArrayToObject(entry, "shape");
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    bool good = dtype && extents && offsets;
    for (int d = 0; good && d < shape.rank; d++)
        good = cJSON_AddItemToArray(extents, cJSON_CreateNumber((double)shape.dim[d]));
    good = good && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + size_of(x))));
    if (!good) {
        cJSON_Delete(entry);
        return NULL;
    }
    return entry;
}

/* The header's text; the caller frees it with cJSON_free. NULL when memory runs out. */
static char *header_text(const char *const *names, const clg_var *vars, int count, const int *order)
{
    cJSON *header = cJSON_CreateObject();
    size_t begin = 0;
    bool good = header;
    for (int i = 0; good && i < count; i++) {
        clg_var x = vars[order[i]];
        cJSON *entry = entry_of(x, begin);
        good = entry && cJSON_AddItemToObject(header, names[order[i]], entry);
        if (entry && !good)
            cJSON_Delete(entry);
        begin += size_of(x);
    }
    char *text = good ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

static clg_status write_all(int file, const char *path, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(file, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return clg_fail(CLG_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
        done += (size_t)n;
    }
    return CLG_OK;
}

static clg_status write_header(int file, const char *path, const char *text)
{
    static const char spaces[] = "        ";
    unsigned char prefix[8];
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    if (padded > SAFETENSORS_MAX_HEADER)
        return clg_fail(CLG_ERROR_ARGUMENT, "%s: a header of %zu bytes is more than the %d that the format allows",
                        path, padded, SAFETENSORS_MAX_HEADER);
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    clg_status status = write_all(file, path, prefix, sizeof prefix);
    if (status == CLG_OK)
        status = write_all(file, path, text, length);
    if (status == CLG_OK)
        status = write_all(file, path, spaces, padded - length);
    return status;
}

static clg_status write_values(int file, const char *path, clg_var x)
{
    size_t bytes = size_of(x);
    void *data = malloc(bytes ? bytes : 1);
    if (!data)
        return clg_fail(CLG_ERROR_MEMORY, "%s: out of memory for %zu bytes", path, bytes);
    clg_status status = clg_read(x, data, bytes);
    if (status == CLG_OK) {
        safetensors_swap(data, bytes, clg_dtype_size(clg_dtype_of(x)));
        status = write_all(file, path, data, bytes);
    }
    free(data);
    return status;
}

static clg_status write_file(int file, const char *path, const char *const *names, const clg_var *vars, int count)
{
    int *order = data_order(vars, count);
    char *text = order ? header_text(names, vars, count, order) : NULL;
    clg_status status = text ? write_header(file, path, text) : clg_fail_memory();
    for (int i = 0; status == CLG_OK && i < count; i++)
        status = write_values(file, path, vars[order[i]]);
    if (status == CLG_OK && fsync(file) != 0)
        status = clg_fail(CLG_ERROR_IO, "%s: cannot write to the disk: %s", path, strerror(errno));
    cJSON_free(text);
    free(order);
    return status;
}

/* Opens a new file beside path; its name goes into temporary (size bytes). -1 on error. */
static int open_temporary(const char *path, char *temporary, size_t size)
{
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(temporary, size, "%s.%ld-%u.tmp", path, (long)getpid(), attempt);
        int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* Makes the rename itself durable. Not every file system can; the file is whole either way, so errors are ignored. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int file = folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        (void)fsync(file);
        close(file);
    }
    free(folder);
}

clg_status clg_safetensors_save(const char *path, const char *const *names, const clg_var *vars, int count)
{
    if (!path || !*path)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_safetensors_save: no path");
    clg_status status = safetensors_check_names("clg_safetensors_save", names, vars, count);
    if (status != CLG_OK)
        return status;
    size_t size = strlen(path) + 48;
    char *temporary = malloc(size);
    if (!temporary)
        return clg_fail_memory();
    int file = open_temporary(path, temporary, size);
    if (file < 0) {
        status = clg_fail(CLG_ERROR_IO, "%s: cannot create a file beside it: %s", path, strerror(errno));
        free(temporary);
        return status;
    }
    status = write_file(file, path, names, vars, count);
    if (close(file) != 0 && status == CLG_OK)
        status = clg_fail(CLG_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    if (status == CLG_OK && rename(temporary, path) != 0)
        status = clg_fail(CLG_ERROR_IO, "%s: cannot rename %s to it: %s", path, temporary, strerror(errno));
    if (status == CLG_OK)
        sync_folder(path);
    else
        unlink(temporary);
    free(temporary);
    return status;
}
