/* A live progress line on a terminal; nothing elsewhere. */
#ifndef CLG_CLI_PROGRESS_H
#define CLG_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    bool live; /* stdout is a terminal */
    bool utf8;
    bool shown; /* a line is on the screen */
    double start, drawn;
} progress;

progress progress_new(void);
/* Starts the clock of a stretch of work, such as an epoch. */
void progress_start(progress *p);
/* Redraws, at most ten times a second: label, bar, share done, loss, rate and time left. */
void progress_update(progress *p, const char *label, int64_t done, int64_t total, double loss);
/* The same with label, bar, share done (0 to 1) and time left. */
void progress_share(progress *p, const char *label, double share);
/* Erases the line, so that ordinary output can follow. */
void progress_clear(progress *p);
#endif
