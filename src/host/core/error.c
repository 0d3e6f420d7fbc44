/* Messages of failed calls: one text per thread, so that no call needs an error argument. */
#include "error.h"

#include <stdarg.h>

static _Thread_local char last_message[1024];

const char *clg_last_error(void) { return last_message; }

clg_status clg_fail(clg_status status, const char *format, ...)
{
    /* The arguments may point into last_message (a caller adding context), so format aside first. */
    char text[sizeof last_message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(last_message, sizeof last_message, "%s", text);
    return status;
}

clg_status clg_fail_memory(void) { return clg_fail(CLG_ERROR_MEMORY, "out of memory"); }

const char *clg_status_name(clg_status status)
{
    static const char *const names[] = {"ok",
                                        "invalid argument",
                                        "out of memory",
                                        "device error",
                                        "out of device memory",
                                        "input/output error",
                                        "bad file format",
                                        "unsupported"};
    unsigned i = (unsigned)status;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown status";
}
