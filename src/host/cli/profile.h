/* Where the time of a program's run goes, for the commands that train. */
#ifndef CLG_CLI_PROFILE_H
#define CLG_CLI_PROFILE_H

#include <clgrad/clgrad.h>

/* Runs the program some more times, prints the table on stdout and writes the trace to path. On the CPU path and on
 * CPUs the machine's ceilings are measured first, for about half a second. Returns the exit status. */
int profile_program(clg_device *device, clg_program *program, const char *path);
#endif
