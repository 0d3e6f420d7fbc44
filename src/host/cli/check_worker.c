/* The other process: it sends a message for each row through a pipe. */
#define _GNU_SOURCE
#include "check_worker.h"

#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct message {
    check_event event;
    check_verdict verdict;
} message;
_Static_assert(sizeof(message) <= _POSIX_PIPE_BUF, "messages are whole");

static void send_message(int to, const message *m)
{
    if (write(to, m, sizeof *m) != (ssize_t)sizeof *m)
        exit(EXIT_FAILURE);
}

static int open_device(const char *spec, bool quiet, clg_device **device)
{
    if (quiet)
        return clg_device_open(spec, device) == CLG_OK ? EXIT_SUCCESS : cli_library_error("check");
    return cli_open_device("check", spec, device);
}

static int run_rows(const check_job *job, int first, bool quiet, int to)
{
    clg_device *device = NULL, *cpu = NULL;
    int status = open_device(job->device, quiet, &device);
    if (status == EXIT_SUCCESS && clg_device_open("cpu", &cpu) != CLG_OK)
        status = cli_library_error("check");
    if (status == EXIT_SUCCESS) {
        bool has_f64 = clg_device_get_info(device)->has_f64;
        send_message(to, &(message){.event = CHECK_OPENED});
        for (int i = first; i < job->count; i++) {
            message m = {.event = CHECK_SKIPPED};
            if (!(job->rows[i]->flags & CHECK_F64) || has_f64)
                m = (message){CHECK_ROW, check_row_run(job->rows[i], device, cpu, job->seed)};
            send_message(to, &m);
        }
    }
    clg_device_close(cpu);
    clg_device_close(device);
    return status;
}

int check_worker_start(check_worker *w, const check_job *job, int first, bool quiet)
{
    int ends[2];
    if (pipe(ends) != 0)
        return cli_error("check", "cannot make a pipe: %s", strerror(errno));
    fflush(NULL); /* or both processes print what is waiting */
    w->pid = fork();
    if (w->pid == 0) {
        close(ends[0]);
        exit(run_rows(job, first, quiet, ends[1]));
    }
    close(ends[1]);
    w->from = ends[0];
    if (w->pid < 0) {
        close(ends[0]);
        return cli_error("check", "cannot start a process: %s", strerror(errno));
    }
    return EXIT_SUCCESS;
}

/* Waits for the process's end and says how it was. */
static void reap(check_worker *w, check_verdict *v, int *status)
{
    int how = 0;
    close(w->from);
    while (waitpid(w->pid, &how, 0) < 0 && errno == EINTR)
        ;
    *status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how); /* as shells have it */
    if (WIFSIGNALED(how))
        snprintf(v->message, sizeof v->message, "the driver ended the process: %s", strsignal(WTERMSIG(how)));
    else if (*status != EXIT_SUCCESS)
        snprintf(v->message, sizeof v->message, "the driver ended the process with exit status %d", *status);
}

check_event check_worker_wait(check_worker *w, int64_t seconds, check_verdict *v, int *status)
{
    struct pollfd one = {.fd = w->from, .events = POLLIN};
    double end = cli_now() + (double)seconds, left;
    message m;
    int ready = 0;
    *v = (check_verdict){.forward = -1, .gradient = -1};
    while ((left = end - cli_now()) > 0 && (ready = poll(&one, 1, left < 1e6 ? (int)(1e3 * left) + 1 : INT_MAX)) <= 0)
        if (ready < 0 && errno != EINTR)
            break;
    if (ready > 0 && read(w->from, &m, sizeof m) == (ssize_t)sizeof m) {
        *v = m.verdict;
        return m.event;
    }
    if (ready > 0) { /* the other end is closed */
        reap(w, v, status);
        return CHECK_ENDED;
    }
    kill(w->pid, SIGKILL);
    reap(w, v, status);
    snprintf(v->message, sizeof v->message, "not done after %lld s (--limit)", (long long)seconds);
    return CHECK_LATE;
}
