/* OpenCL platforms and devices: listing, choosing, opening; buffers, reads and writes. */
#define _POSIX_C_SOURCE 200809L
#include "tuning.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLATFORMS 32
#define MAX_DEVICES 64                   /* of all platforms together */
#define STAGING_LIMIT ((int64_t)4 << 20) /* larger writes wait for the device instead of being copied */
#define COMMIT_BYTES ((int64_t)16 << 20) /* from here on an allocation is made to happen at once */

static atomic_int live_objects;

int opencl_live_objects(void) { return atomic_load(&live_objects); }
void opencl_count_object(int change) { atomic_fetch_add(&live_objects, change); }

static bool environment_is(const char *name, const char *value)
{
    const char *string = getenv(name);
    return string && strcmp(string, value) == 0;
}

/* ---------------------------------------------------------------- finding devices */

typedef struct found_device {
    cl_platform_id platform;
    cl_device_id id;
    clg_device_info info;
} found_device;

typedef struct found_devices {
    found_device item[MAX_DEVICES];
    int count;
} found_devices;

/* Facts that a driver refuses to tell stay "" or 0. */
static void device_text(cl_device_id id, cl_device_info what, char *out, size_t size)
{
    char value[1024] = "";
    if (clGetDeviceInfo(id, what, sizeof value - 1, value, NULL) != CL_SUCCESS)
        value[0] = '\0';
    const char *start = value;
    while (*start == ' ')
        start++;
    snprintf(out, size, "%s", start);
    for (size_t n = strlen(out); n > 0 && out[n - 1] == ' '; n--)
        out[n - 1] = '\0';
}

static void platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t size)
{
    char value[1024] = "";
    if (clGetPlatformInfo(platform, what, sizeof value - 1, value, NULL) != CL_SUCCESS)
        value[0] = '\0';
    snprintf(out, size, "%s", value);
}

static uint64_t device_number(cl_device_id id, cl_device_info what, size_t size)
{
    cl_ulong large = 0;
    cl_uint small = 0;
    if (size == sizeof small)
        return clGetDeviceInfo(id, what, sizeof small, &small, NULL) == CL_SUCCESS ? small : 0;
    return clGetDeviceInfo(id, what, sizeof large, &large, NULL) == CL_SUCCESS ? large : 0;
}

static const char *type_name(cl_device_type type)
{
    if (type & CL_DEVICE_TYPE_GPU)
        return "gpu";
    return type & CL_DEVICE_TYPE_CPU ? "cpu" : "accelerator";
}

static clg_device_info describe(cl_platform_id platform, cl_device_id id, int number)
{
    clg_device_info info = {0};
    char name[128], version[128];
    cl_device_type type = 0;
    if (clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL) != CL_SUCCESS)
        type = 0;
    snprintf(info.spec, sizeof info.spec, "opencl:%d", number);
    device_text(id, CL_DEVICE_NAME, info.name, sizeof info.name);
    platform_text(platform, CL_PLATFORM_NAME, name, sizeof name);
    platform_text(platform, CL_PLATFORM_VERSION, version, sizeof version);
    snprintf(info.platform, sizeof info.platform, "%s, %.120s", name, version);
    device_text(id, CL_DRIVER_VERSION, info.driver, sizeof info.driver);
    snprintf(info.type, sizeof info.type, "%s", type_name(type));
    info.compute_units = (unsigned)device_number(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    info.compute_units += !info.compute_units; /* it has one, even if the driver refuses to tell */
    info.global_memory = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    info.max_allocation = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    info.has_f64 = device_number(id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof(cl_device_fp_config)) != 0 &&
                   !environment_is("CLGRAD_OPENCL_F64", "off"); /* to test what devices without it do */
    return info;
}

static bool is_usable(cl_device_id id)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE, little = CL_FALSE;
    return clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL) == CL_SUCCESS && available &&
           clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL) == CL_SUCCESS &&
           compiler && clGetDeviceInfo(id, CL_DEVICE_ENDIAN_LITTLE, sizeof little, &little, NULL) == CL_SUCCESS &&
           little == (*(const char *)&(const int){1} == 1);
}

/* How much a device is to be preferred: GPUs, then accelerators, then CPUs. */
static int preference(const clg_device_info *info)
{
    return strcmp(info->type, "gpu") == 0 ? 2 : strcmp(info->type, "accelerator") == 0 ? 1 : 0;
}

static int best_device(const found_devices *found)
{
    int best = 0;
    for (int i = 1; i < found->count; i++)
        if (preference(&found->item[i].info) > preference(&found->item[best].info))
            best = i;
    return best;
}

/* All usable devices of all platforms, platform by platform. A platform that fails is passed over. */
static void find_devices(found_devices *found)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint platform_count = 0;
    found->count = 0;
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &platform_count) != CL_SUCCESS)
        return;
    for (cl_uint i = 0; i < platform_count && i < MAX_PLATFORMS; i++) {
        cl_device_id ids[MAX_DEVICES];
        cl_uint count = 0;
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &count) != CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < count && j < MAX_DEVICES && found->count < MAX_DEVICES; j++) {
            if (!is_usable(ids[j]))
                continue;
            found_device *item = &found->item[found->count];
            *item = (found_device){platforms[i], ids[j], describe(platforms[i], ids[j], found->count)};
            found->count++;
        }
    }
    if (found->count)
        found->item[best_device(found)].info.is_auto = true;
}

clg_status backend_opencl_list(clg_device_info **infos, size_t *count)
{
    found_devices *found = malloc(sizeof *found);
    if (!found)
        return clg_fail_memory();
    find_devices(found);
    clg_device_info *grown = *infos;
    if (found->count) {
        grown = realloc(*infos, (*count + (size_t)found->count) * sizeof *grown);
        if (!grown) {
            free(found);
            return clg_fail_memory();
        }
    }
    *infos = grown;
    for (int i = 0; i < found->count; i++)
        grown[(*count)++] = found->item[i].info;
    free(found);
    return CLG_OK;
}

/* ---------------------------------------------------------------- choosing */

static bool contains_ignoring_case(const char *string, const char *part)
{
    for (; *string; string++) {
        size_t n = 0;
        while (part[n] && tolower((unsigned char)string[n]) == tolower((unsigned char)part[n]))
            n++;
        if (!part[n])
            return true;
    }
    return !*part;
}

static bool is_number(const char *string)
{
    for (const char *c = string; *c; c++)
        if (!isdigit((unsigned char)*c))
            return false;
    return *string != '\0';
}

static int match(const found_devices *found, const char *selector)
{
    if (!*selector)
        return best_device(found);
    if (is_number(selector)) {
        char *end;
        long number = strtol(selector, &end, 10);
        return number < found->count ? (int)number : -1;
    }
    for (int i = 0; i < found->count; i++)
        if (contains_ignoring_case(found->item[i].info.name, selector) ||
            contains_ignoring_case(found->item[i].info.platform, selector))
            return i;
    return -1;
}

static clg_status fail_no_match(const found_devices *found, const char *selector)
{
    text list = {0};
    for (int i = 0; i < found->count; i++)
        text_add(&list, "%s%s (%s)", i ? "; " : "", found->item[i].info.spec, found->item[i].info.name);
    clg_status status = clg_fail(CLG_ERROR_DEVICE, "device \"opencl:%s\": no OpenCL device matches; there are: %s",
                                 selector, list.data ? list.data : "");
    text_free(&list);
    return status;
}

/* ---------------------------------------------------------------- opening and closing */

static void choose_strategies(backend_device *device)
{
    bool cpu = strcmp(device->info.type, "cpu") == 0;
    if (environment_is("CLGRAD_OPENCL_STRATEGY", "cpu"))
        cpu = true;
    else if (environment_is("CLGRAD_OPENCL_STRATEGY", "gpu"))
        cpu = false;
    device->strategy = cpu ? STRATEGY_CPU : STRATEGY_GPU;
    device->matmul = MATMUL_GENERATED;
    device->matmul_fixed = environment_is("CLGRAD_OPENCL_MATMUL", "generated");
#ifdef CLG_WITH_CLBLAST
    bool clblast = environment_is("CLGRAD_OPENCL_MATMUL", "clblast");
    if (clblast || (!cpu && !device->matmul_fixed))
        device->matmul = MATMUL_CLBLAST;
    device->matmul_fixed |= clblast;
#endif
}

static void ask_limits(backend_device *device)
{
    size_t group = 1;
    if (clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL) != CL_SUCCESS)
        group = 1;
    device->group_limit = group;
    device->base_alignment = (int64_t)device_number(device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint)) / 8;
    device->local_memory = (int64_t)device_number(device->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    cl_uint lanes = (cl_uint)device_number(device->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof lanes);
    device->vector_bytes = lanes >= 16 ? 64 : lanes >= 8 ? 32 : 16;
    device->has_f64 = device->info.has_f64;
    cl_device_fp_config config = device_number(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config);
    device->rounds_division = config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
}

static clg_status open_queue(backend_device *device)
{
    cl_int code;
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    device->context = clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
    if (code != CL_SUCCESS) {
        device->context = NULL;
        return clg_fail(CLG_ERROR_DEVICE, "%s (%s): clCreateContext: %s (%d)", device->info.spec, device->info.name,
                        status_cl_name(code), code);
    }
    opencl_count_object(1);
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    if (code != CL_SUCCESS) {
        device->queue = NULL;
        return clg_fail(CLG_ERROR_DEVICE, "%s (%s): clCreateCommandQueue: %s (%d)", device->info.spec,
                        device->info.name, status_cl_name(code), code);
    }
    opencl_count_object(1);
    return CLG_OK;
}

/* The counters of shares: one for each work-group, one more, a cache line apart. */
static size_t shares_bytes(const backend_device *device)
{
    return (size_t)(launch_groups(device, INT64_MAX) + 1) * SHARE_STEP * sizeof(cl_int);
}

clg_status device_clear_shares(backend_device *device)
{
    if (device->strategy != STRATEGY_CPU)
        return CLG_OK;
    clg_status status = CLG_OK;
    if (!device->shares)
        status = device_create_memory(device, (int64_t)shares_bytes(device), &device->shares);
    if (status != CLG_OK)
        return status;
    cl_int zero = 0;
    return status_check(
        clEnqueueFillBuffer(device->queue, device->shares, &zero, sizeof zero, 0, shares_bytes(device), 0, NULL, NULL),
        "clEnqueueFillBuffer");
}

clg_status device_open_timed_queue(backend_device *device)
{
    cl_int code;
    if (device->timed)
        return CLG_OK;
    cl_command_queue made = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
    if (code != CL_SUCCESS)
        return clg_fail(CLG_ERROR_UNSUPPORTED, "%s (%s) cannot time its commands: clCreateCommandQueue: %s (%d)",
                        device->info.spec, device->info.name, status_cl_name(code), code);
    device->timed = made;
    opencl_count_object(1);
    return CLG_OK;
}

static void release_queue(cl_command_queue queue)
{
    if (!queue)
        return;
    clReleaseCommandQueue(queue);
    opencl_count_object(-1);
}

static void close_device(backend_device *device)
{
    if (!device)
        return;
    if (device->queue)
        clFinish(device->queue);
    for (int i = 0; i < STAGING_SLOTS; i++) {
        if (device->staging[i].written) {
            clReleaseEvent(device->staging[i].written);
            opencl_count_object(-1);
        }
        free(device->staging[i].data);
    }
    tuning_close(device);
    cache_close(device);
    if (device->shares)
        device_release_memory(device->shares);
    release_queue(device->queue);
    release_queue(device->timed);
    if (device->context) {
        clReleaseContext(device->context);
        opencl_count_object(-1);
    }
    free(device);
}

static backend_traits describe_traits(const backend_device *device)
{
    int units = (int)device->info.compute_units;
    backend_traits traits = {0};
    traits.fuses_epilogue = device->matmul == MATMUL_GENERATED;
    traits.max_body = 256;
    traits.units = device->strategy == STRATEGY_CPU ? 4 * units : 8 * units;
    return traits;
}

clg_status backend_opencl_open(const char *selector, backend_device **opened, backend_traits *traits,
                               clg_device_info *info, bool *found_any)
{
    *opened = NULL;
    *found_any = false;
    found_devices *found = malloc(sizeof *found);
    backend_device *device = calloc(1, sizeof *device);
    clg_status status = found && device ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK) {
        find_devices(found);
        *found_any = found->count > 0;
    }
    if (*found_any) {
        int chosen = match(found, selector ? selector : "");
        if (chosen < 0) {
            status = fail_no_match(found, selector);
        } else {
            device->platform = found->item[chosen].platform;
            device->id = found->item[chosen].id;
            device->info = found->item[chosen].info;
            ask_limits(device);
            choose_strategies(device);
            status = open_queue(device);
            if (status == CLG_OK)
                status = device_clear_shares(device);
            if (status == CLG_OK)
                status = cache_open(device);
            if (status == CLG_OK)
                status = tuning_open(device);
        }
    }
    free(found);
    if (status != CLG_OK || !*found_any) {
        close_device(device);
        return status;
    }
    *traits = describe_traits(device);
    *info = device->info;
    *opened = device;
    return CLG_OK;
}

static clg_status sync_device(backend_device *device) { return status_check(clFinish(device->queue), "clFinish"); }

/* ---------------------------------------------------------------- memory */

static clg_status fail_allocation(const backend_device *device, int64_t bytes, const char *call, cl_int code)
{
    return clg_fail(CLG_ERROR_DEVICE_MEMORY,
                    "allocation of %lld bytes on %s: the device has %llu bytes, at most %llu in one allocation "
                    "(%s: %s (%d))",
                    (long long)bytes, device->info.spec, (unsigned long long)device->info.global_memory,
                    (unsigned long long)device->info.max_allocation, call, status_cl_name(code), code);
}

clg_status device_create_memory(backend_device *device, int64_t bytes, cl_mem *memory)
{
    *memory = NULL;
    if (bytes < 16)
        bytes = 16; /* OpenCL has no empty buffers */
    if (device->info.global_memory && (uint64_t)bytes > device->info.global_memory)
        return fail_allocation(device, bytes, "not tried", CL_MEM_OBJECT_ALLOCATION_FAILURE);
    cl_int code;
    cl_mem made = clCreateBuffer(device->context, CL_MEM_READ_WRITE, (size_t)bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return fail_allocation(device, bytes, "clCreateBuffer", code);
    opencl_count_object(1);
    /* Drivers may allocate at first use; a large buffer that does not fit should fail here. */
    if (bytes >= COMMIT_BYTES) {
        code =
            clEnqueueMigrateMemObjects(device->queue, 1, &made, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, NULL, NULL);
        if (code != CL_SUCCESS) {
            device_release_memory(made);
            return fail_allocation(device, bytes, "clEnqueueMigrateMemObjects", code);
        }
    }
    *memory = made;
    return CLG_OK;
}

void device_release_memory(cl_mem memory)
{
    if (!memory)
        return;
    clReleaseMemObject(memory);
    opencl_count_object(-1);
}

static clg_status allocate_buffer(backend_device *device, int64_t bytes, backend_buffer **buffer)
{
    *buffer = NULL;
    if (bytes < 0)
        return clg_fail(CLG_ERROR_ARGUMENT, "allocation of %lld bytes", (long long)bytes);
    backend_buffer *made = calloc(1, sizeof *made);
    if (!made)
        return clg_fail_memory();
    made->bytes = bytes;
    clg_status status = device_create_memory(device, bytes, &made->memory);
    if (status != CLG_OK) {
        free(made);
        return status;
    }
    *buffer = made;
    return CLG_OK;
}

static void free_buffer(backend_device *device, backend_buffer *buffer)
{
    (void)device; /* the driver keeps memory that queued kernels use */
    if (!buffer)
        return;
    device_release_memory(buffer->memory);
    free(buffer);
}

/* A slot whose last write is done, with room for the bytes; NULL if memory runs out. */
static device_staging *take_staging(backend_device *device, int64_t bytes)
{
    device_staging *slot = &device->staging[device->next_staging];
    device->next_staging = (device->next_staging + 1) % STAGING_SLOTS;
    if (slot->written) {
        cl_int code = clWaitForEvents(1, &slot->written);
        clReleaseEvent(slot->written);
        opencl_count_object(-1);
        slot->written = NULL;
        if (code != CL_SUCCESS)
            return NULL;
    }
    if (slot->capacity < (size_t)bytes) {
        void *data = realloc(slot->data, (size_t)bytes);
        if (!data)
            return NULL;
        slot->data = data;
        slot->capacity = (size_t)bytes;
    }
    return slot;
}

static clg_status check_range(const backend_buffer *buffer, int64_t offset, int64_t bytes, const char *what)
{
    if (offset < 0 || bytes < 0 || bytes > buffer->bytes || offset > buffer->bytes - bytes)
        return clg_fail(CLG_ERROR_ARGUMENT, "%s of %lld bytes at %lld: the buffer has %lld bytes", what,
                        (long long)bytes, (long long)offset, (long long)buffer->bytes);
    return CLG_OK;
}

static clg_status write_buffer(backend_device *device, backend_buffer *buffer, int64_t offset, const void *data,
                               int64_t bytes)
{
    clg_status status = check_range(buffer, offset, bytes, "write");
    if (status != CLG_OK || bytes == 0)
        return status;
    device_staging *slot = bytes <= STAGING_LIMIT ? take_staging(device, bytes) : NULL;
    if (!slot)
        return status_check(clEnqueueWriteBuffer(device->queue, buffer->memory, CL_TRUE, (size_t)offset, (size_t)bytes,
                                                 data, 0, NULL, NULL),
                            "clEnqueueWriteBuffer");
    memcpy(slot->data, data, (size_t)bytes);
    cl_int code = clEnqueueWriteBuffer(device->queue, buffer->memory, CL_FALSE, (size_t)offset, (size_t)bytes,
                                       slot->data, 0, NULL, &slot->written);
    if (code != CL_SUCCESS) {
        slot->written = NULL;
        return status_check(code, "clEnqueueWriteBuffer");
    }
    opencl_count_object(1);
    return CLG_OK;
}

static clg_status read_buffer(backend_device *device, backend_buffer *buffer, int64_t offset, void *data, int64_t bytes)
{
    clg_status status = check_range(buffer, offset, bytes, "read");
    if (status != CLG_OK || bytes == 0)
        return status;
    return status_check(
        clEnqueueReadBuffer(device->queue, buffer->memory, CL_TRUE, (size_t)offset, (size_t)bytes, data, 0, NULL, NULL),
        "clEnqueueReadBuffer");
}

const backend backend_opencl = {
    .name = "opencl",
    .close = close_device,
    .sync = sync_device,
    .allocate = allocate_buffer,
    .free = free_buffer,
    .write = write_buffer,
    .read = read_buffer,
    .prepare = program_prepare,
    .bind = program_bind,
    .run = program_run,
    .profile = program_profile,
    .release = program_release,
    .launches = program_launches,
    .print = program_print,
    .tuner = &opencl_tuner,
};
