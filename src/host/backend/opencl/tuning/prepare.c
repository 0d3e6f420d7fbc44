/* Programs whose products are computed as was measured. */
#define _POSIX_C_SOURCE 200809L
#include "tuning.h"

#include <pthread.h>
#include <stdlib.h>

/* Sets CLBlast's parameters as measured before the library's first use on a device. Parameters hold for the whole
 * process, and planned scratch depends on them: they are never changed later, also not when the device is opened
 * again. */
static void apply_settings(backend_device *device)
{
    enum { KNOWN = 64 };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static cl_device_id known[KNOWN];
    static int count;
    pthread_mutex_lock(&lock);
    bool is_known = count == KNOWN;
    for (int i = 0; i < count; i++)
        is_known |= known[i] == device->id;
    if (!is_known)
        known[count++] = device->id;
    for (int i = 0; !is_known && i < device->tuned->setting_count; i++) {
        const clblast_setting *setting = &device->tuned->settings[i];
        const clblast_parameters parameters = clblast_setting_parameters(setting);
        if (clblast_setting_is_legal(device, setting))
            (void)clblast_override(device, &parameters); /* refused: the library keeps its own */
    }
    pthread_mutex_unlock(&lock);
}

clg_status tuning_prepare(backend_device *device, const plan *schedule, const product_choice *all,
                          backend_buffer *const *bindings, backend_program **prepared)
{
    bool library = false;
    *prepared = NULL;
    product_choice *choices = calloc((size_t)schedule->step_count + 1, sizeof *choices);
    if (!choices)
        return clg_fail_memory();
    for (int32_t i = 0; i < schedule->step_count; i++) {
        if (!schedule->steps[i].is_matmul || schedule->steps[i].outer_count == 0)
            continue;
        choices[i] = all ? *all : tuning_choose(device, &schedule->steps[i]);
        library |= choices[i].provider == MATMUL_CLBLAST;
    }
    if (library)
        apply_settings(device);
    clg_status status = program_prepare(device, schedule, choices, bindings, prepared);
    free(choices);
    return status;
}
