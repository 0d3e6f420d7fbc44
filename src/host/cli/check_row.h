/* What comes of one row of `clgrad check`. */
#ifndef CLG_CLI_CHECK_ROW_H
#define CLG_CLI_CHECK_ROW_H

#include "check_ops.h"

typedef struct check_verdict {
    double forward, gradient; /* worst error, ULP; -1: there was nothing to compare */
    bool passed;
    char message[256]; /* "" or why it could not be run */
} check_verdict;

/* Builds the row on both devices, runs it and compares. The same seed gives the same data. */
check_verdict check_row_run(const check_row *row, clg_device *device, clg_device *cpu, uint64_t seed);
#endif
