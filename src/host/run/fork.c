/* Devices and fork. A child process has neither the threads of a device that its parent opened, nor its driver's: to
 * use it would hang. So in a child the backend of each such device becomes one that refuses everything, and frees
 * nothing: what there is belongs to the parent. */
#define _GNU_SOURCE
#include "engine.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows, up to the handlers */
static clg_device *devices;                              /* open ones, by next */
static bool drivers_are_loaded, drivers_are_lost;

/* ---------------------------------------------------------------- the backend in a child */

static clg_status refuse(void)
{
    return clg_fail(CLG_ERROR_DEVICE, "the device was opened by the parent of this process, before fork: open another");
}

static void lost_close(backend_device *device) { (void)device; }

static clg_status lost_sync(backend_device *device)
{
    (void)device;
    return refuse();
}

static clg_status lost_allocate(backend_device *device, int64_t bytes, backend_buffer **buffer)
{
    (void)device, (void)bytes, (void)buffer;
    return refuse();
}

static void lost_free(backend_device *device, backend_buffer *buffer) { (void)device, (void)buffer; }

static clg_status lost_write(backend_device *device, backend_buffer *buffer, int64_t offset, const void *data,
                             int64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return refuse();
}

static clg_status lost_read(backend_device *device, backend_buffer *buffer, int64_t offset, void *data, int64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return refuse();
}

static clg_status lost_prepare(backend_device *device, const plan *p, backend_buffer *const *bindings,
                               backend_program **program)
{
    (void)device, (void)p, (void)bindings, (void)program;
    return refuse();
}

static clg_status lost_bind(backend_program *program, backend_buffer *const *bindings)
{
    (void)program, (void)bindings;
    return refuse();
}

static clg_status lost_run(backend_program *program)
{
    (void)program;
    return refuse();
}

static clg_status lost_profile(backend_program *program, backend_span *spans)
{
    (void)program, (void)spans;
    return refuse();
}

static void lost_release(backend_program *program) { (void)program; }

static int32_t lost_launches(const backend_program *program)
{
    (void)program;
    return 0;
}

static clg_status lost_print(const backend_program *program, FILE *out)
{
    (void)program, (void)out;
    return refuse();
}

static const backend lost = {
    .name = "lost",
    .close = lost_close,
    .sync = lost_sync,
    .allocate = lost_allocate,
    .free = lost_free,
    .write = lost_write,
    .read = lost_read,
    .prepare = lost_prepare,
    .bind = lost_bind,
    .run = lost_run,
    .profile = lost_profile,
    .release = lost_release,
    .launches = lost_launches,
    .print = lost_print,
};

/* ---------------------------------------------------------------- handlers */

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

static void in_child(void)
{
    for (clg_device *device = devices; device; device = device->next)
        device->b = &lost;
    drivers_are_lost = drivers_are_loaded;
    pthread_mutex_unlock(&lock);
}

clg_status fork_watch(clg_device *device)
{
    static bool installed;
    pthread_mutex_lock(&lock);
    installed = installed || pthread_atfork(before_fork, after_fork, in_child) == 0;
    const bool watched = installed;
    if (watched) {
        device->next = devices;
        devices = device;
    }
    pthread_mutex_unlock(&lock);
    return watched ? CLG_OK : clg_fail_memory();
}

void fork_forget(const clg_device *device)
{
    pthread_mutex_lock(&lock);
    for (clg_device **link = &devices; *link; link = &(*link)->next)
        if (*link == device) {
            *link = device->next;
            break;
        }
    pthread_mutex_unlock(&lock);
}

clg_status fork_use_drivers(void)
{
    pthread_mutex_lock(&lock);
    const bool gone = drivers_are_lost;
    drivers_are_loaded = true;
    pthread_mutex_unlock(&lock);
    return !gone ? CLG_OK
                 : clg_fail(CLG_ERROR_DEVICE, "the parent of this process used OpenCL before fork, and its drivers do "
                                              "not work in both: use cpu, or fork before");
}
