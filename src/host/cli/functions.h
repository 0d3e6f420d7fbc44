/* The functions of variables that the public headers declare. */
#ifndef CLG_CLI_FUNCTIONS_H
#define CLG_CLI_FUNCTIONS_H

/* Prototypes; ends with NULL. Made by cmake/ListFunctions.cmake. */
extern const char *const cli_functions[];
#endif
