/* A run whose launches are timed by the device. */
#include "program.h"

#include <stdlib.h>

/* A kernel has an event of its own; a library's launch may be several kernels, and is between two markers. */
typedef struct launch_events {
    cl_event kernel, before, after;
} launch_events;

static clg_status enqueue_marker(const backend_program *program, cl_event *event)
{
    return status_check(clEnqueueMarkerWithWaitList(program->device->queue, 0, NULL, event),
                        "clEnqueueMarkerWithWaitList");
}

static clg_status enqueue_timed(const backend_program *program, launch_events *events)
{
    for (int i = 0; i < program->launches.count; i++) {
        const launch *l = &program->launches.items[i];
        bool library = l->kind == LAUNCH_CLBLAST;
        clg_status status = library ? enqueue_marker(program, &events[i].before) : CLG_OK;
        if (status == CLG_OK)
            status = program_enqueue(program, l, &events[i].kernel);
        if (status == CLG_OK && library)
            status = enqueue_marker(program, &events[i].after);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

/* Nanoseconds of the device's clock. */
static clg_status read_times(const launch_events *e, cl_ulong *begin, cl_ulong *end)
{
    cl_event first = e->kernel ? e->kernel : e->before, last = e->kernel ? e->kernel : e->after;
    cl_int code = clGetEventProfilingInfo(first, e->kernel ? CL_PROFILING_COMMAND_START : CL_PROFILING_COMMAND_END,
                                          sizeof *begin, begin, NULL);
    if (code == CL_SUCCESS)
        code = clGetEventProfilingInfo(last, CL_PROFILING_COMMAND_END, sizeof *end, end, NULL);
    return status_check(code, "clGetEventProfilingInfo");
}

static clg_status read_spans(const backend_program *program, const launch_events *events, backend_span *spans)
{
    cl_ulong begin, end, origin = 0;
    double now = 0;
    for (int32_t s = 0, i = 0; s < program->plan->step_count; s++) {
        spans[s] = (backend_span){now, now, 0};
        for (; i < program->launches.count && program->launches.items[i].step == s; i++) {
            clg_status status = read_times(&events[i], &begin, &end);
            if (status != CLG_OK)
                return status;
            origin = i ? origin : begin;
            /* the queue is in order: where a driver's clock says otherwise it is imprecise */
            double from = 1e-9 * (double)(int64_t)(begin - origin), to = 1e-9 * (double)(int64_t)(end - origin);
            from = from > now ? from : now;
            now = to > from ? to : from;
            spans[s].begin = spans[s].launches++ ? spans[s].begin : from;
            spans[s].end = now;
        }
    }
    return CLG_OK;
}

static void release_event(cl_event event)
{
    if (event)
        clReleaseEvent(event);
}

clg_status program_profile(backend_program *program, backend_span *spans)
{
    backend_device *device = program->device;
    clg_status status = device_open_timed_queue(device);
    if (status == CLG_OK)
        status = status_check(clFinish(device->queue), "clFinish");
    if (status != CLG_OK)
        return status;
    launch_events *events = calloc((size_t)program->launches.count + 1, sizeof *events);
    if (!events)
        return clg_fail_memory();
    cl_command_queue plain = device->queue;
    device->queue = device->timed; /* for all that enqueues */
    status = enqueue_timed(program, events);
    device->queue = plain;
    clg_status finished = status_check(clFinish(device->timed), "clFinish");
    if (status == CLG_OK)
        status = finished;
    if (status == CLG_OK)
        status = read_spans(program, events, spans);
    for (int i = 0; i < program->launches.count; i++) {
        release_event(events[i].kernel);
        release_event(events[i].before);
        release_event(events[i].after);
    }
    free(events);
    return status;
}
