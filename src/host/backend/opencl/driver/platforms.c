/* OpenCL platforms and their devices: listing, choosing. */
#include "driver.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLATFORMS 32
#define MAX_DEVICES 64 /* of all platforms together */

bool platforms_environment_is(const char *name, const char *value)
{
    const char *string = getenv(name);
    return string && strcmp(string, value) == 0;
}

/* ---------------------------------------------------------------- finding devices */

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

uint64_t platforms_number(cl_device_id id, cl_device_info what, size_t size)
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
    info.compute_units = (unsigned)platforms_number(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    info.compute_units += !info.compute_units; /* it has one, even if the driver refuses to tell */
    info.global_memory = platforms_number(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    info.max_allocation = platforms_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    info.has_f64 = platforms_number(id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof(cl_device_fp_config)) != 0 &&
                   !platforms_environment_is("CLGRAD_OPENCL_F64", "off"); /* to test what devices without it do */
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

clg_status platforms_find(const char *selector, found_device *device, bool *any)
{
    found_devices *found = malloc(sizeof *found);
    if (!found)
        return clg_fail_memory();
    find_devices(found);
    *any = found->count > 0;
    int chosen = *any ? match(found, selector) : -1;
    clg_status status = *any && chosen < 0 ? fail_no_match(found, selector) : CLG_OK;
    if (chosen >= 0)
        *device = found->item[chosen];
    free(found);
    return status;
}
