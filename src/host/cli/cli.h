/* What the commands of the program share. A command is one file with one function; main.c has the table. */
#ifndef CLG_CLI_H
#define CLG_CLI_H

#include <argp.h>
#include <clgrad/clgrad.h>

enum { EXIT_USAGE = 2 }; /* exit status for a bad command line; 1 for everything that fails later */

/* Each takes the command's own arguments (argv[0] is "clgrad COMMAND") and returns the exit status. */
int cli_train(int argc, char **argv);
int cli_devices(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_tune(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_ops(int argc, char **argv);

/* Prints one line, "clgrad COMMAND: message", on stderr and returns the exit status 1. */
int cli_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with the library's last message. */
int cli_library_error(const char *command);

/* Option values; a bad one ends the program with EXIT_USAGE and a line that says what is right. */
int64_t cli_integer(struct argp_state *state, const char *option, const char *text, int64_t low, int64_t high);
uint64_t cli_seed(struct argp_state *state, const char *option, const char *text);
double cli_positive(struct argp_state *state, const char *option, const char *text);
void cli_usage(struct argp_state *state, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* Opens a device and prints its name (and the library's notice, such as a fallback) on stderr. Returns an exit
 * status: EXIT_USAGE for a spec that means nothing. */
int cli_open_device(const char *command, const char *spec, clg_device **device);

/* The path of this program, to start it again: what the system says, or without /proc as it was called. */
const char *cli_program_path(void);
void cli_set_program_path(const char *called);

double cli_now(void); /* seconds of a clock that never jumps */
/* "12,345" into text (at least 32 bytes). */
const char *cli_group_digits(char *text, double value);
#endif
