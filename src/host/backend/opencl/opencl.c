/* The OpenCL backend as the engine sees it: a device with what was measured on it, and programs whose products are
 * computed so. Its three rooms, of which each calls only those before it:
 *
 *   codegen/  prints OpenCL C from the steps of a plan
 *   driver/   devices, memory, built programs, launches
 *   tuning/   how products are computed: measures, keeps and finds it */
#include "driver/program.h"
#include "tuning/tuning.h"

static backend_traits describe_traits(const backend_device *device)
{
    enum { CPU_UNITS = 64, GPU_UNITS = 1024 };
    backend_traits traits = {0};
    traits.fuses_epilogue = device->matmul == MATMUL_GENERATED;
    if (traits.fuses_epilogue)
        traits.prologues = device->target.strategy == STRATEGY_GPU ? PROLOGUES_ALL : PROLOGUES_CASTS;
    traits.dense_columns = device->target.strategy == STRATEGY_CPU;
    traits.window_columns = device->target.strategy == STRATEGY_CPU;
    traits.channels_last = device->target.strategy == STRATEGY_CPU;
    traits.max_body = 256;
    traits.units = device->target.strategy == STRATEGY_CPU ? CPU_UNITS : GPU_UNITS;
    traits.contract_block = 2048;
    return traits;
}

static void close_device(backend_device *device)
{
    if (device)
        tuning_close(device);
    device_close(device);
}

clg_status backend_opencl_open(const char *selector, backend_device **opened, backend_traits *traits,
                               clg_device_info *info, bool *found_any)
{
    *opened = NULL;
    backend_device *device;
    clg_status status = device_open(selector ? selector : "", &device, found_any);
    if (status == CLG_OK && device)
        status = tuning_open(device);
    if (status != CLG_OK || !device) {
        close_device(device);
        return status;
    }
    *traits = describe_traits(device);
    *info = device->info;
    *opened = device;
    return CLG_OK;
}

static void on_build(backend_device *device, clg_build_watch watch, void *context)
{
    device->watch = watch;
    device->watch_context = context;
}

static clg_status prepare(backend_device *device, const plan *schedule, backend_buffer *const *bindings,
                          backend_program **prepared)
{
    return tuning_prepare(device, schedule, NULL, bindings, prepared);
}

const backend backend_opencl = {
    .name = "opencl",
    .close = close_device,
    .sync = device_sync,
    .on_build = on_build,
    .allocate = memory_allocate,
    .free = memory_free,
    .write = memory_write,
    .read = memory_read,
    .prepare = prepare,
    .bind = program_bind,
    .run = program_run,
    .profile = program_profile,
    .release = program_release,
    .launches = program_launches,
    .print = program_print,
    .tuner = &opencl_tuner,
};
