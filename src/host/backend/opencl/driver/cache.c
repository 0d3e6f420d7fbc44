/* Built programs: a table in memory, so that equal kernels are built once a device, and a folder of binaries on
 * disk, so that they are built once a machine. A disk entry that is damaged, truncated or of another device is
 * ignored and written anew; a folder that cannot be written is silently done without. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- what an entry depends on */

static const char *build_options(const backend_device *device)
{
    return device->rounds_division ? "-cl-std=CL1.2 -w -cl-fp32-correctly-rounded-divide-sqrt" : "-cl-std=CL1.2 -w";
}

/* PoCL keeps compiled kernels on disk by itself, and to hand out a binary it compiles every kernel a second time: its
 * programs are stored only in a folder that the user names. */
static bool keeps_own_cache(const backend_device *device) { return strstr(device->info.platform, "PoCL") != NULL; }

clg_status cache_open(backend_device *device)
{
    char vendor[256] = "";
    if (clGetDeviceInfo(device->id, CL_DEVICE_VENDOR, sizeof vendor - 1, vendor, NULL) != CL_SUCCESS)
        vendor[0] = '\0';
    text key = {0};
    text_add(&key, "clgrad %s\n%s\n%s\n%s\n%s\n%s\n", CLG_VERSION, build_options(device), vendor, device->info.name,
             device->info.platform, device->info.driver);
    if (key.failed) {
        text_free(&key);
        return clg_fail_memory();
    }
    device->cache_key = key.data;
    device->cache_folder = getenv("CLGRAD_CACHE_DIR") || !keeps_own_cache(device) ? store_user_folder() : NULL;
    return CLG_OK;
}

/* ---------------------------------------------------------------- files */

/* A file is this header, the key (device and source) and the binary. */
typedef struct cache_header {
    char magic[8];
    uint64_t key_size, binary_size;
    uint64_t checksum[2]; /* of key and binary */
} cache_header;

static const char cache_magic[8] = {'C', 'L', 'G', 'K', 'R', 'N', '0', '1'};

typedef struct cache_item {
    text key, path, binary;
} cache_item;

static void free_item(cache_item *item)
{
    text_free(&item->key);
    text_free(&item->path);
    text_free(&item->binary);
}

static bool name_item(const backend_device *device, const char *source, cache_item *item)
{
    *item = (cache_item){0};
    if (!device->cache_folder)
        return false;
    text_append(&item->key, device->cache_key, strlen(device->cache_key));
    text_append(&item->key, source, strlen(source));
    if (item->key.failed)
        return false;
    text_add(&item->path, "%s/%s.clk", device->cache_folder, store_digest_of(item->key.data, item->key.size).digits);
    return !item->path.failed;
}

static cache_header make_header(const cache_item *item)
{
    cache_header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, cache_magic, sizeof header.magic);
    header.key_size = item->key.size;
    header.binary_size = item->binary.size;
    store_hash hash = store_hash_bytes(store_hash_start(), item->key.data, item->key.size);
    hash = store_hash_bytes(hash, item->binary.data, item->binary.size);
    header.checksum[0] = hash.high;
    header.checksum[1] = hash.low;
    return header;
}

/* Fills item->binary from its file. False if there is no sound entry for exactly this key. */
static bool load_item(cache_item *item)
{
    FILE *file = fopen(item->path.data, "rb");
    if (!file)
        return false;
    cache_header header;
    text rest = {0};
    bool sound = fread(&header, sizeof header, 1, file) == 1;
    if (sound)
        store_read_rest(file, &rest);
    fclose(file);
    sound = sound && !rest.failed && memcmp(header.magic, cache_magic, sizeof cache_magic) == 0 &&
            header.key_size == item->key.size && header.binary_size > 0 && rest.size >= header.key_size &&
            rest.size - header.key_size == header.binary_size && memcmp(rest.data, item->key.data, item->key.size) == 0;
    if (sound) {
        text_append(&item->binary, rest.data + header.key_size, (size_t)header.binary_size);
        cache_header expected = {0};
        if (!item->binary.failed)
            expected = make_header(item);
        sound = memcmp(&expected, &header, sizeof header) == 0;
    }
    if (!sound)
        text_free(&item->binary);
    text_free(&rest);
    return sound;
}

static void store_item(const cache_item *item)
{
    cache_header header = make_header(item);
    text whole = {0};
    text_append(&whole, (const char *)&header, sizeof header);
    text_append(&whole, item->key.data, item->key.size);
    text_append(&whole, item->binary.data, item->binary.size);
    if (!whole.failed)
        (void)store_write_file(item->path.data, whole.data, whole.size);
    text_free(&whole);
}

/* ---------------------------------------------------------------- building */

static void release_program(cl_program program)
{
    if (!program)
        return;
    clReleaseProgram(program);
    opencl_count_object(-1);
}

/* NULL if the driver refuses the binary. */
static cl_program load_binary(const backend_device *device, const text *binary)
{
    const unsigned char *bytes = (const unsigned char *)binary->data;
    cl_int code, binary_code;
    cl_program program =
        clCreateProgramWithBinary(device->context, 1, &device->id, &binary->size, &bytes, &binary_code, &code);
    if (code != CL_SUCCESS)
        return NULL;
    opencl_count_object(1);
    if (binary_code == CL_SUCCESS &&
        clBuildProgram(program, 1, &device->id, build_options(device), NULL, NULL) == CL_SUCCESS)
        return program;
    release_program(program);
    return NULL;
}

/* The first lines of the build log, for a message. */
static clg_status fail_build(const backend_device *device, cl_program program, cl_int code)
{
    size_t size = 0;
    char *log = NULL;
    if (clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) == CL_SUCCESS && size > 0)
        log = calloc(1, size + 1);
    if (log && clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL) != CL_SUCCESS)
        log[0] = '\0';
    clg_status status = clg_fail(CLG_ERROR_DEVICE, "clBuildProgram on %s: %s (%d): %.700s", device->info.spec,
                                 status_cl_name(code), code, log ? log : "no build log");
    free(log);
    return status;
}

static clg_status build_source(const backend_device *device, const char *source, cl_program *program)
{
    cl_int code;
    cl_program made = clCreateProgramWithSource(device->context, 1, &source, NULL, &code);
    if (code != CL_SUCCESS)
        return status_check(code, "clCreateProgramWithSource");
    opencl_count_object(1);
    code = clBuildProgram(made, 1, &device->id, build_options(device), NULL, NULL);
    if (code != CL_SUCCESS) {
        clg_status status = fail_build(device, made, code);
        release_program(made);
        return status;
    }
    *program = made;
    return CLG_OK;
}

/* The binary of a program of one device; empty if the driver gives none. */
static void get_binary(cl_program program, text *binary)
{
    size_t size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS || size == 0)
        return;
    char *bytes = malloc(size);
    if (bytes && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) == CL_SUCCESS)
        text_append(binary, bytes, size);
    free(bytes);
}

static clg_status build_cached(backend_device *device, const char *source, cl_program *program)
{
    cache_item item;
    bool named = name_item(device, source, &item);
    *program = named && load_item(&item) ? load_binary(device, &item.binary) : NULL;
    clg_status status = CLG_OK;
    if (*program) {
        device->cache_hits++;
    } else {
        device->cache_misses++;
        text_free(&item.binary);
        status = build_source(device, source, program);
        if (status == CLG_OK && named)
            get_binary(*program, &item.binary);
        if (item.binary.size && !item.binary.failed)
            store_item(&item);
    }
    free_item(&item);
    return status;
}

/* ---------------------------------------------------------------- the table in memory */

static void free_entry(program_entry *entry)
{
    for (int i = 0; i < entry->count; i++)
        free(entry->kernels[i].source);
    free(entry->kernels);
    release_program(entry->program);
    free(entry);
}

void cache_close(backend_device *device)
{
    while (device->programs) {
        program_entry *next = device->programs->next;
        free_entry(device->programs);
        device->programs = next;
    }
    free(device->cache_key);
    free(device->cache_folder);
    device->cache_key = device->cache_folder = NULL;
}

/* FNV-1a, 64 bits. */
uint64_t cache_hash(const char *source)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = source; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return hash;
}

program_entry *cache_find(backend_device *device, const char *source, program_kernel **kernel)
{
    uint64_t hash = cache_hash(source);
    for (program_entry *entry = device->programs; entry; entry = entry->next)
        for (int i = 0; i < entry->count; i++)
            if (entry->kernels[i].hash == hash && strcmp(entry->kernels[i].source, source) == 0) {
                *kernel = &entry->kernels[i];
                return entry;
            }
    return NULL;
}

void cache_trim(backend_device *device, int keep)
{
    program_entry **link = &device->programs;
    for (int count = 0; *link;) {
        program_entry *entry = *link;
        if (entry->users == 0 && count >= keep) {
            *link = entry->next;
            free_entry(entry);
        } else {
            count++;
            link = &entry->next;
        }
    }
}

static clg_status fill_entry(program_entry *entry, const char *const *sources, int count)
{
    entry->kernels = calloc((size_t)count, sizeof *entry->kernels);
    if (!entry->kernels)
        return clg_fail_memory();
    for (int i = 0; i < count; i++) {
        entry->kernels[i].source = strdup(sources[i]);
        if (!entry->kernels[i].source)
            return clg_fail_memory();
        entry->kernels[i].hash = cache_hash(sources[i]);
        entry->count = i + 1;
        snprintf(entry->kernels[i].name, sizeof entry->kernels[i].name, "k%d", i);
    }
    return CLG_OK;
}

clg_status cache_build(backend_device *device, const char *prelude, const char *const *sources, int count,
                       program_entry **built)
{
    program_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return clg_fail_memory();
    clg_status status = fill_entry(entry, sources, count);
    text whole = {0};
    text_append(&whole, prelude, strlen(prelude));
    for (int i = 0; i < count; i++) {
        text_add(&whole, "\n#define KERNEL k%d\n", i);
        text_append(&whole, sources[i], strlen(sources[i]));
        text_add(&whole, "#undef KERNEL\n");
    }
    if (status == CLG_OK && whole.failed)
        status = clg_fail_memory();
    if (status == CLG_OK)
        status = build_cached(device, whole.data, &entry->program);
    text_free(&whole);
    if (status != CLG_OK) {
        free_entry(entry);
        return status;
    }
    entry->next = device->programs;
    device->programs = entry;
    *built = entry;
    return CLG_OK;
}
