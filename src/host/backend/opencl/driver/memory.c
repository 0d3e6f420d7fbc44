/* Memory of a device: buffers, reads, and writes that do not wait for it. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#define STAGING_LIMIT ((int64_t)4 << 20) /* larger writes wait for the device instead of being copied */
#define COMMIT_BYTES ((int64_t)16 << 20) /* from here on an allocation is made to happen at once */

static clg_status fail_allocation(const backend_device *device, int64_t bytes, const char *call, cl_int code)
{
    return clg_fail(CLG_ERROR_DEVICE_MEMORY,
                    "allocation of %lld bytes on %s: the device has %llu bytes, at most %llu in one allocation "
                    "(%s: %s (%d))",
                    (long long)bytes, device->info.spec, (unsigned long long)device->info.global_memory,
                    (unsigned long long)device->info.max_allocation, call, status_cl_name(code), code);
}

clg_status memory_create(backend_device *device, int64_t bytes, cl_mem *memory)
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
            memory_release(made);
            return fail_allocation(device, bytes, "clEnqueueMigrateMemObjects", code);
        }
    }
    *memory = made;
    return CLG_OK;
}

void memory_release(cl_mem memory)
{
    if (!memory)
        return;
    clReleaseMemObject(memory);
    opencl_count_object(-1);
}

clg_status memory_allocate(backend_device *device, int64_t bytes, backend_buffer **buffer)
{
    *buffer = NULL;
    if (bytes < 0)
        return clg_fail(CLG_ERROR_ARGUMENT, "allocation of %lld bytes", (long long)bytes);
    backend_buffer *made = calloc(1, sizeof *made);
    if (!made)
        return clg_fail_memory();
    made->bytes = bytes;
    clg_status status = memory_create(device, bytes, &made->memory);
    if (status != CLG_OK) {
        free(made);
        return status;
    }
    *buffer = made;
    return CLG_OK;
}

void memory_free(backend_device *device, backend_buffer *buffer)
{
    (void)device; /* the driver keeps memory that queued kernels use */
    if (!buffer)
        return;
    memory_release(buffer->memory);
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

clg_status memory_write(backend_device *device, backend_buffer *buffer, int64_t offset, const void *data, int64_t bytes)
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

clg_status memory_read(backend_device *device, backend_buffer *buffer, int64_t offset, void *data, int64_t bytes)
{
    clg_status status = check_range(buffer, offset, bytes, "read");
    if (status != CLG_OK || bytes == 0)
        return status;
    return status_check(
        clEnqueueReadBuffer(device->queue, buffer->memory, CL_TRUE, (size_t)offset, (size_t)bytes, data, 0, NULL, NULL),
        "clEnqueueReadBuffer");
}

void memory_close(backend_device *device)
{
    for (int i = 0; i < STAGING_SLOTS; i++) {
        if (device->staging[i].written) {
            clReleaseEvent(device->staging[i].written);
            opencl_count_object(-1);
        }
        free(device->staging[i].data);
    }
}
