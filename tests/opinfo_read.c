/* Reads the file that tests/oracle/opinfo.py writes. */
#include "opinfo.h"

#include "io/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The next line without its end, malloc'ed; NULL at the end of the file. */
static char *read_line(gzFile file)
{
    size_t size = 1 << 16, length = 0;
    char *line = malloc(size);
    while (line && gzgets(file, line + length, (int)(size - length))) {
        length += strlen(line + length);
        if (length && line[length - 1] == '\n') {
            line[length - 1] = 0;
            return line;
        }
        size *= 2;
        char *longer = realloc(line, size);
        if (!longer)
            break;
        line = longer;
    }
    free(line);
    return NULL;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
    return text ? text : "";
}

static clg_dtype dtype_named(const char *name)
{
    for (int d = 0; d < CLG_DTYPE_COUNT; d++)
        if (strcmp(clg_dtype_name((clg_dtype)d), name) == 0)
            return (clg_dtype)d;
    return CLG_DTYPE_COUNT;
}

/* Fills the tensors' places in the sample's data. Whether what the line says fits its number of bytes. */
static bool place_tensors(opinfo_sample *s, size_t bytes)
{
    const cJSON *list = cJSON_GetObjectItem(s->json, "tensors"), *item;
    s->tensors = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *s->tensors);
    if (!s->tensors)
        return false;
    size_t at = 0;
    s->readable = true;
    cJSON_ArrayForEach(item, list)
    {
        opinfo_tensor *t = &s->tensors[s->tensor_count++];
        const cJSON *shape = cJSON_GetObjectItem(item, "shape"), *extent;
        size_t count = 1;
        t->dtype = dtype_named(text_of(item, "dtype"));
        t->leaf = cJSON_IsTrue(cJSON_GetObjectItem(item, "grad"));
        s->readable &= cJSON_GetArraySize(shape) <= CLG_MAX_RANK;
        cJSON_ArrayForEach(extent, shape)
        {
            count *= (size_t)extent->valuedouble;
            if (t->shape.rank < CLG_MAX_RANK)
                t->shape.dim[t->shape.rank++] = (int64_t)extent->valuedouble;
        }
        if (t->dtype == CLG_DTYPE_COUNT)
            return false;
        t->data = s->data + at;
        at += count * clg_dtype_size(t->dtype);
    }
    for (int i = 0; i < s->tensor_count && at == bytes; i++) {
        char *data = s->data + (s->tensors[i].data - s->data);
        const char *end = i + 1 < s->tensor_count ? s->tensors[i + 1].data : s->data + bytes;
        safetensors_swap(data, (size_t)(end - data), clg_dtype_size(s->tensors[i].dtype));
    }
    return at == bytes;
}

static bool read_sample(gzFile file, char *line, opinfo_sample *s)
{
    s->json = cJSON_Parse(line);
    const cJSON *bytes = cJSON_GetObjectItem(s->json, "bytes");
    size_t size = cJSON_IsNumber(bytes) ? (size_t)bytes->valuedouble : 0;
    s->op = text_of(s->json, "op");
    s->data = malloc(size + 1);
    return cJSON_IsNumber(bytes) && s->data && size < INT32_MAX && gzread(file, s->data, (unsigned)size) == (int)size &&
           place_tensors(s, size);
}

opinfo_file *opinfo_read(const char *path)
{
    gzFile gz = gzopen(path, "rb");
    opinfo_file *file = calloc(1, sizeof *file);
    char *line = gz && file ? read_line(gz) : NULL;
    bool good = line != NULL;
    int room = 0;
    if (good) {
        file->header = cJSON_Parse(line);
        good = cJSON_IsArray(cJSON_GetObjectItem(file->header, "entries"));
        free(line);
    }
    while (good && (line = read_line(gz))) {
        if (file->count == room) {
            room = room ? 2 * room : 1024;
            opinfo_sample *more = realloc(file->samples, (size_t)room * sizeof *more);
            if (!more) {
                free(line);
                good = false;
                break;
            }
            file->samples = more;
        }
        file->samples[file->count] = (opinfo_sample){0};
        good = read_sample(gz, line, &file->samples[file->count++]);
        free(line);
    }
    if (gz)
        gzclose(gz);
    if (good)
        return file;
    fprintf(stderr, "%s: cannot be read, or is not what tests/oracle/opinfo.py writes\n", path);
    opinfo_free(file);
    return NULL;
}

void opinfo_free(opinfo_file *file)
{
    for (int i = 0; file && i < file->count; i++) {
        cJSON_Delete(file->samples[i].json);
        free(file->samples[i].tensors);
        free(file->samples[i].data);
    }
    if (file) {
        cJSON_Delete(file->header);
        free(file->samples);
    }
    free(file);
}

/* Memory that holds lines as well as numbers is not aligned: elements are copied out. */
double opinfo_element(const opinfo_tensor *t, int64_t i)
{
    const char *at = t->data + (size_t)i * clg_dtype_size(t->dtype);
    float f32;
    double f64;
    int32_t i32;
    switch (t->dtype) {
    case CLG_F32:
        memcpy(&f32, at, sizeof f32);
        return (double)f32;
    case CLG_F64:
        memcpy(&f64, at, sizeof f64);
        return f64;
    case CLG_I32:
        memcpy(&i32, at, sizeof i32);
        return i32;
    default:
        return *(const unsigned char *)at;
    }
}
