/* Messages of failed calls: one text per thread. */
#ifndef CLG_ERROR_H
#define CLG_ERROR_H

#include <clgrad/clgrad.h>

/* Keeps the formatted message for clg_last_error and returns status. */
clg_status clg_fail(clg_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
clg_status clg_fail_memory(void); /* CLG_ERROR_MEMORY, "out of memory" */
#endif
