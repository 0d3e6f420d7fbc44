/* The process in which `clgrad check` runs its rows: a driver that hangs or crashes costs a row, not the check. */
#ifndef CLG_CLI_CHECK_WORKER_H
#define CLG_CLI_CHECK_WORKER_H

#include "check_row.h"

#include <sys/types.h>

typedef struct check_job {
    const check_row **rows;
    int count;
    const char *device;
    uint64_t seed;
} check_job;

typedef struct check_worker {
    pid_t pid;
    int from; /* the pipe */
} check_worker;

typedef enum check_event {
    CHECK_OPENED,  /* the device is open */
    CHECK_ROW,     /* a row is done */
    CHECK_SKIPPED, /* a row needs what the device does not have */
    CHECK_LATE,    /* nothing came in time; the process is ended */
    CHECK_ENDED    /* the process has ended */
} check_event;

/* Starts a process that opens the device and runs the rows from first on. quiet: it does not print the device's name.
 * Returns an exit status. The caller's process must not have used a device: what a driver has begun does not survive.
 */
int check_worker_start(check_worker *w, const check_job *job, int first, bool quiet);
/* Waits up to so many seconds for the next event. CHECK_ROW: *v; CHECK_LATE, CHECK_ENDED: v->message says how it ended,
 * "" if all was well, and *status is the exit status. Then the worker is gone. */
check_event check_worker_wait(check_worker *w, int64_t seconds, check_verdict *v, int *status);
#endif
