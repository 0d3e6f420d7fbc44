/* clgrad/tune.h: checks what it is asked, and asks the device's backend. */
#include "engine.h"

static const backend_tuner *tuner_of(const clg_device *device) { return device ? device->b->tuner : NULL; }

static clg_status fail_nothing(const clg_device *device)
{
    if (!device)
        return clg_fail(CLG_ERROR_ARGUMENT, "tune: device is NULL");
    return clg_fail(CLG_ERROR_UNSUPPORTED, "tune: %s has nothing to tune; right is an OpenCL device",
                    device->info.spec);
}

static clg_status check_dtype(const clg_device *device, clg_dtype dtype)
{
    if (dtype != CLG_F32 && dtype != CLG_F64)
        return clg_fail(CLG_ERROR_ARGUMENT, "tune: dtype %s; right is f32 or f64", clg_dtype_name(dtype));
    if (dtype == CLG_F64 && !device->info.has_f64)
        return clg_fail(CLG_ERROR_UNSUPPORTED, "tune: %s does not have f64", device->info.spec);
    return CLG_OK;
}

clg_status clg_tune_product(clg_device *device, const clg_tune_shape *shape, clg_tune_watch watch, void *context,
                            clg_tune_result *result)
{
    enum { MOST = 1 << 20 };
    if (!tuner_of(device))
        return fail_nothing(device);
    if (!shape || !result)
        return clg_fail(CLG_ERROR_ARGUMENT, "tune_product: shape or result is NULL");
    const int64_t extents[] = {shape->batch, shape->m, shape->n, shape->k};
    for (int i = 0; i < 4; i++)
        if (extents[i] < 1 || extents[i] > MOST)
            return clg_fail(CLG_ERROR_ARGUMENT, "tune_product: extent %lld; right is 1 to %d", (long long)extents[i],
                            MOST);
    double elements =
        (double)shape->batch * ((double)shape->m * (double)shape->k + (double)shape->k * (double)shape->n +
                                (double)shape->m * (double)shape->n);
    uint64_t memory = device->info.global_memory; /* 0: the driver does not tell */
    if (elements * 8 > (memory ? (double)memory : 1e12))
        return clg_fail(CLG_ERROR_DEVICE_MEMORY, "tune_product: %.3g elements are more than %s can hold", elements,
                        device->info.spec);
    clg_status status = check_dtype(device, shape->dtype);
    *result = (clg_tune_result){0};
    return status == CLG_OK ? tuner_of(device)->product(device->d, shape, watch, context, result) : status;
}

const char *clg_tune_clblast_kernel(const clg_device *device, int kernel)
{
    return tuner_of(device) ? tuner_of(device)->clblast_kernel(device->d, kernel) : NULL;
}

clg_status clg_tune_clblast(clg_device *device, clg_dtype dtype, int kernel, double seconds, uint64_t seed,
                            clg_tune_watch watch, void *context, clg_tune_result *result)
{
    if (!tuner_of(device))
        return fail_nothing(device);
    if (!result || !(seconds >= 0))
        return clg_fail(CLG_ERROR_ARGUMENT, "tune_clblast: %g seconds, or result is NULL", seconds);
    clg_status status = check_dtype(device, dtype);
    *result = (clg_tune_result){0};
    return status == CLG_OK ? tuner_of(device)->clblast(device->d, dtype, kernel, seconds, seed, watch, context, result)
                            : status;
}

const char *clg_tune_file(const clg_device *device)
{
    return tuner_of(device) ? tuner_of(device)->file(device->d) : NULL;
}

const char *clg_tune_file_state(const clg_device *device)
{
    return tuner_of(device) ? tuner_of(device)->file_state(device->d) : "nothing to tune";
}

int clg_tune_print(const clg_device *device, FILE *out)
{
    return tuner_of(device) ? tuner_of(device)->print(device->d, out) : 0;
}

clg_status clg_tune_reset(clg_device *device)
{
    return tuner_of(device) ? tuner_of(device)->reset(device->d) : fail_nothing(device);
}
