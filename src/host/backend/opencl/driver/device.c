/* An OpenCL device: opening and closing it, its queues, its limits, its counters of shares. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

static void choose_strategies(backend_device *device)
{
    bool cpu = strcmp(device->info.type, "cpu") == 0;
    if (platforms_environment_is("CLGRAD_OPENCL_STRATEGY", "cpu"))
        cpu = true;
    else if (platforms_environment_is("CLGRAD_OPENCL_STRATEGY", "gpu"))
        cpu = false;
    device->target.strategy = cpu ? STRATEGY_CPU : STRATEGY_GPU;
    device->matmul = MATMUL_GENERATED;
    device->matmul_fixed = platforms_environment_is("CLGRAD_OPENCL_MATMUL", "generated");
#ifdef CLG_WITH_CLBLAST
    /* not of itself: its kernels take what follows a product as a step more, and on an H200 twice the time */
    if (platforms_environment_is("CLGRAD_OPENCL_MATMUL", "clblast"))
        device->matmul = MATMUL_CLBLAST;
#endif
}

static void ask_limits(backend_device *device)
{
    size_t group = 1;
    if (clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL) != CL_SUCCESS)
        group = 1;
    device->target.group_limit = group;
    device->base_alignment = (int64_t)platforms_number(device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint)) / 8;
    device->target.local_memory = (int64_t)platforms_number(device->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    cl_uint lanes = (cl_uint)platforms_number(device->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof lanes);
    device->target.vector_bytes = lanes >= 16 ? 64 : lanes >= 8 ? 32 : 16;
    device->target.has_f64 = device->info.has_f64;
    device->target.compute_units = device->info.compute_units;
    cl_device_fp_config config = platforms_number(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config);
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
    return (size_t)(kernel_groups(&device->target, INT64_MAX) + 1) * SHARE_STEP * sizeof(cl_int);
}

clg_status device_clear_shares(backend_device *device)
{
    if (device->target.strategy != STRATEGY_CPU)
        return CLG_OK;
    clg_status status = CLG_OK;
    if (!device->shares)
        status = memory_create(device, (int64_t)shares_bytes(device), &device->shares);
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

void device_close(backend_device *device)
{
    if (!device)
        return;
    if (device->queue)
        clFinish(device->queue);
    memory_close(device);
    cache_close(device);
    if (device->shares)
        memory_release(device->shares);
    release_queue(device->queue);
    release_queue(device->timed);
    if (device->context) {
        clReleaseContext(device->context);
        opencl_count_object(-1);
    }
    free(device);
}

static clg_status open_found(backend_device *device, const found_device *found)
{
    device->platform = found->platform;
    device->id = found->id;
    device->info = found->info;
    ask_limits(device);
    choose_strategies(device);
    clg_status status = open_queue(device);
    if (status == CLG_OK)
        status = device_clear_shares(device);
    return status == CLG_OK ? cache_open(device) : status;
}

clg_status device_open(const char *selector, backend_device **opened, bool *any)
{
    *opened = NULL;
    *any = false;
    found_device found;
    clg_status status = platforms_find(selector, &found, any);
    if (status != CLG_OK || !*any)
        return status;
    backend_device *device = calloc(1, sizeof *device);
    if (!device)
        return clg_fail_memory();
    status = open_found(device, &found);
    if (status != CLG_OK) {
        device_close(device);
        return status;
    }
    *opened = device;
    return CLG_OK;
}

clg_status device_sync(backend_device *device) { return status_check(clFinish(device->queue), "clFinish"); }
