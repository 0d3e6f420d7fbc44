/* Opening devices by name. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

const char *clg_version(void) { return CLG_VERSION; }

static clg_status open_cpu(clg_device *device)
{
    device->b = &backend_cpu;
    return backend_cpu_open(&device->d, &device->traits, &device->info);
}

static clg_status open_opencl(clg_device *device, const char *selector, bool *found)
{
#ifdef CLG_WITH_OPENCL
    clg_status status = fork_use_drivers();
    device->b = &backend_opencl;
    return status != CLG_OK ? status : backend_opencl_open(selector, &device->d, &device->traits, &device->info, found);
#else
    (void)device, (void)selector;
    *found = false;
    return CLG_OK;
#endif
}

char *clg_driver_problems(void)
{
#ifdef CLG_WITH_OPENCL
    return backend_opencl_problems();
#else
    return NULL;
#endif
}

/* What to say where there is no OpenCL device: the first driver that cannot be loaded, or nothing. */
static void explain_none(char *out, size_t size)
{
    char *problems = clg_driver_problems();
    if (problems)
        snprintf(out, size, "; a driver cannot be loaded: %.*s", (int)strcspn(problems, "\n"), problems);
    else
        *out = '\0';
    free(problems);
}

static clg_status open_auto(clg_device *device)
{
    bool found = false;
    clg_status status = open_opencl(device, "", &found);
    if (status == CLG_OK && found)
        return CLG_OK;
    char reason[160];
    if (status == CLG_OK)
        explain_none(reason, sizeof reason);
    else
        snprintf(reason, sizeof reason, "%s", clg_last_error());
    if (status == CLG_OK)
        snprintf(device->notice, sizeof device->notice, "no OpenCL device found: running on the CPU path%s", reason);
    else
        snprintf(device->notice, sizeof device->notice, "OpenCL failed (%s): running on the CPU path", reason);
    return open_cpu(device);
}

static clg_status open_spec(clg_device *device, const char *spec)
{
    bool found = false;
    if (!strcmp(spec, "auto"))
        return open_auto(device);
    if (!strcmp(spec, "cpu"))
        return open_cpu(device);
    if (strncmp(spec, "opencl", 6) || (spec[6] && spec[6] != ':'))
        return clg_fail(CLG_ERROR_ARGUMENT,
                        "device \"%s\" is not known; use auto, cpu, opencl, opencl:N or opencl:SUBSTRING", spec);
    clg_status status = open_opencl(device, spec[6] ? spec + 7 : "", &found);
    if (status != CLG_OK || found)
        return status;
    char reason[160];
    explain_none(reason, sizeof reason);
    return clg_fail(CLG_ERROR_DEVICE,
                    "device \"%s\": no OpenCL device found (is an ICD such as pocl-opencl-icd installed?); use cpu for "
                    "the CPU path%s",
                    spec, reason);
}

clg_status clg_device_open(const char *spec, clg_device **device)
{
    if (!device)
        return clg_fail(CLG_ERROR_ARGUMENT, "device_open: device is NULL");
    *device = NULL;
    if (!spec || !spec[0])
        spec = getenv("CLGRAD_DEVICE");
    if (!spec || !spec[0])
        spec = "auto";
    clg_device *made = calloc(1, sizeof *made);
    if (!made)
        return clg_fail_memory();
    clg_status status = open_spec(made, spec);
    if (status == CLG_OK && (status = fork_watch(made)) != CLG_OK)
        made->b->close(made->d);
    if (status != CLG_OK) {
        free(made);
        return status;
    }
    *device = made;
    return CLG_OK;
}

void clg_device_close(clg_device *device)
{
    if (!device)
        return;
    fork_forget(device);
    device->b->close(device->d);
    free(device);
}

const clg_device_info *clg_device_get_info(const clg_device *device) { return &device->info; }
const char *clg_device_notice(const clg_device *device) { return device->notice[0] ? device->notice : NULL; }
void clg_device_on_build(clg_device *device, clg_build_watch watch, void *context)
{
    if (device->b->on_build)
        device->b->on_build(device->d, watch, context);
}

clg_status clg_device_sync(clg_device *device) { return device->b->sync(device->d); }

/* The rank of auto: GPU, accelerator, any other OpenCL device, the CPU path. */
static int preference(const clg_device_info *info)
{
    static const char *const types[] = {"host", "cpu", "accelerator", "gpu"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(info->type, types[i]))
            return i;
    return 1;
}

clg_status clg_device_list(clg_device_info **infos, size_t *count)
{
    *infos = NULL;
    *count = 0;
#ifdef CLG_WITH_OPENCL
    clg_status listed = fork_use_drivers();
    if (listed == CLG_OK)
        listed = backend_opencl_list(infos, count);
    if (listed != CLG_OK && listed != CLG_ERROR_DEVICE)
        return listed;
#endif
    clg_device_info *longer = realloc(*infos, (*count + 1) * sizeof *longer);
    if (!longer) {
        free(*infos);
        *infos = NULL;
        return clg_fail_memory();
    }
    *infos = longer;
    clg_device cpu = {0};
    clg_status status = open_cpu(&cpu);
    if (status != CLG_OK) {
        free(*infos);
        *infos = NULL;
        return status;
    }
    longer[(*count)++] = cpu.info;
    cpu.b->close(cpu.d);
    size_t best = 0;
    for (size_t i = 0; i < *count; i++) {
        longer[i].is_auto = false;
        if (preference(&longer[i]) > preference(&longer[best]))
            best = i;
    }
    longer[best].is_auto = true;
    return CLG_OK;
}
