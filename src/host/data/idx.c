/* Reads IDX files, plain or gzip-compressed: 2 zero bytes, a type code, the rank, the extents and the elements, all
 * big-endian. A header is not trusted: memory grows with what the file really holds. */
#include <clgrad/data.h>

#include "core/error.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct idx_type {
    unsigned code;
    const char *name;
    clg_dtype dtype;
} idx_type;

static const idx_type types[] = {
    {0x08, "unsigned byte", CLG_U8}, {0x0C, "int", CLG_I32}, {0x0D, "float", CLG_F32}, {0x0E, "double", CLG_F64}};

static const idx_type *find_type(unsigned code)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].code == code)
            return &types[i];
    return NULL;
}

/* An open file. cut: its compressed stream stops early, maybe behind the last element, inside the checksum. */
typedef struct source {
    gzFile file;
    const char *path;
    bool cut;
} source;

/* Up to bytes bytes; *found says how many there were before the end of the file. An error is damage, not an end. */
static clg_status read_some(source *s, void *data, size_t bytes, size_t *found)
{
    *found = 0;
    while (*found < bytes) {
        size_t left = bytes - *found;
        int n = gzread(s->file, (char *)data + *found, left < (1u << 30) ? (unsigned)left : 1u << 30), code;
        const char *message = gzerror(s->file, &code);
        /* Asked after every read: zlib 1.3.2 reports a stream that stops early on the read that meets its end, and on
         * no later one, whatever that read found. */
        s->cut |= code == Z_BUF_ERROR;
        if (code == Z_ERRNO)
            return clg_fail(CLG_ERROR_IO, "%s: cannot read: %s", s->path, strerror(errno));
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return clg_fail(CLG_ERROR_FORMAT, "%s: damaged gzip data: %s", s->path, message);
        if (n <= 0)
            break; /* the caller says how much was missing */
        *found += (size_t)n;
    }
    return CLG_OK;
}

static clg_status check_magic(const char *path, const unsigned char magic[4], const idx_type **type)
{
    if (magic[0] != 0 || magic[1] != 0)
        return clg_fail(CLG_ERROR_FORMAT,
                        "%s: not an IDX file: it begins with %02x %02x %02x %02x; right is 00 00, a type code "
                        "(08 for unsigned bytes) and the rank",
                        path, magic[0], magic[1], magic[2], magic[3]);
    *type = find_type(magic[2]);
    if (!*type)
        return clg_fail(CLG_ERROR_FORMAT,
                        "%s: unsupported IDX type code 0x%02x; right is 0x08 (unsigned byte), 0x0C (int), 0x0D "
                        "(float) or 0x0E (double)",
                        path, magic[2]);
    if (magic[3] > CLG_MAX_RANK)
        return clg_fail(CLG_ERROR_FORMAT, "%s: rank %d is more than the %d that clgrad supports", path, magic[3],
                        CLG_MAX_RANK);
    return CLG_OK;
}

/* Reads the header; *bytes is the size of the elements that should follow. */
static clg_status read_header(source *s, clg_idx *idx, size_t *bytes)
{
    const char *path = s->path;
    unsigned char magic[4], extents[4 * CLG_MAX_RANK];
    size_t found;
    clg_status status = read_some(s, magic, sizeof magic, &found);
    if (status != CLG_OK)
        return status;
    if (found < sizeof magic)
        return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: an IDX file begins with 4 bytes, found %zu", path, found);
    const idx_type *type = NULL;
    if ((status = check_magic(path, magic, &type)) != CLG_OK)
        return status;
    size_t need = 4u * magic[3];
    if ((status = read_some(s, extents, need, &found)) != CLG_OK)
        return status;
    if (found < need)
        return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: expected %zu bytes of extents (rank %d), found %zu", path,
                        need, magic[3], found);

    idx->dtype = type->dtype;
    idx->shape = (clg_shape){.rank = magic[3]};
    int64_t total = (int64_t)clg_dtype_size(type->dtype);
    bool too_large = false, empty = false;
    for (int d = 0; d < magic[3]; d++) {
        const unsigned char *e = extents + 4 * d;
        uint32_t extent = (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 | (uint32_t)e[2] << 8 | e[3];
        idx->shape.dim[d] = extent;
        empty |= extent == 0;
        too_large |= extent != 0 && total > INT64_MAX / extent;
        total = too_large ? total : total * (extent ? extent : 1);
    }
    too_large |= !empty && total > PTRDIFF_MAX;
    if (too_large) { /* even beside an extent of 0: sizes of such shapes could not be computed safely */
        char text[128];
        return clg_fail(CLG_ERROR_FORMAT, "%s: the extents %s of %s do not fit in memory: the header is damaged", path,
                        clg_shape_format(idx->shape, text, sizeof text), clg_dtype_name(idx->dtype));
    }
    *bytes = empty ? 0 : (size_t)total;
    return CLG_OK;
}

/* Reads the elements, doubling the memory as they come: a damaged header must not make us ask for terabytes. */
static clg_status read_elements(source *s, clg_idx *idx, size_t bytes)
{
    const char *path = s->path;
    size_t capacity = 0, size = 0;
    do {
        size_t next = capacity == 0 ? (size_t)1 << 20 : capacity <= bytes / 2 ? capacity * 2 : bytes;
        next = next < bytes ? next : bytes;
        void *data = realloc(idx->data, next ? next : 1);
        if (!data)
            return clg_fail(CLG_ERROR_MEMORY, "%s: out of memory for %zu bytes", path, next);
        idx->data = data;
        capacity = next;
        size_t found;
        clg_status status = read_some(s, (char *)idx->data + size, capacity - size, &found);
        if (status != CLG_OK)
            return status;
        size += found;
        if (size < capacity) {
            char text[128];
            return clg_fail(CLG_ERROR_FORMAT, "%s: truncated: expected %zu bytes of data for %s %s, found %zu", path,
                            bytes, clg_dtype_name(idx->dtype), clg_shape_format(idx->shape, text, sizeof text), size);
        }
    } while (size < bytes);

    char extra;
    size_t found;
    clg_status status = read_some(s, &extra, 1, &found);
    if (status == CLG_OK && found)
        status = clg_fail(CLG_ERROR_FORMAT, "%s: more data than the %zu bytes that its header announces", path, bytes);
    return status;
}

/* Big-endian elements to host byte order. */
static void to_host(void *data, size_t bytes, size_t size)
{
    unsigned char *p = data;
    for (size_t i = 0; size > 1 && i < bytes; i += size) {
        uint64_t value = 0;
        for (size_t j = 0; j < size; j++)
            value = value << 8 | p[i + j];
        uint32_t narrow = (uint32_t)value;
        memcpy(p + i, size == 4 ? (void *)&narrow : (void *)&value, size);
    }
}

clg_status clg_idx_read(const char *path, clg_idx *idx)
{
    if (!path || !idx)
        return clg_fail(CLG_ERROR_ARGUMENT, "clg_idx_read: %s is NULL", path ? "idx" : "path");
    *idx = (clg_idx){0};
    errno = 0;
    source s = {gzopen(path, "rb"), path, false};
    if (!s.file)
        return errno ? clg_fail(CLG_ERROR_IO, "%s: cannot open: %s", path, strerror(errno)) : clg_fail_memory();
    gzbuffer(s.file, 1u << 17);
    size_t bytes = 0;
    clg_status status = read_header(&s, idx, &bytes);
    if (status == CLG_OK)
        status = read_elements(&s, idx, bytes);
    /* Complete data may still lack the checksum that follows them. */
    int closed = gzclose(s.file);
    if ((s.cut || closed == Z_BUF_ERROR) && status == CLG_OK)
        status = clg_fail(CLG_ERROR_FORMAT, "%s: truncated: the gzip checksum at its end is missing", path);
    if (status != CLG_OK) {
        clg_idx_free(idx);
        return status;
    }
    to_host(idx->data, bytes, clg_dtype_size(idx->dtype));
    return CLG_OK;
}

void clg_idx_free(clg_idx *idx)
{
    if (!idx)
        return;
    free(idx->data);
    *idx = (clg_idx){0};
}
