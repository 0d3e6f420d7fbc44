/* What the program uses of glibc's <argp.h>, for C libraries that lack it: the same tables, the same behaviour, the
 * same texts. CMakeLists.txt puts this folder into the search path only there. */
#ifndef CLG_ARGP_H
#define CLG_ARGP_H

#include <errno.h>

typedef int error_t;

enum { OPTION_HIDDEN = 2 };                           /* argp_option.flags */
enum { ARGP_KEY_ARG = 0, ARGP_KEY_ARGS = 0x1000006 }; /* an argument; all that are left, where ARG is not known */
#define ARGP_ERR_UNKNOWN E2BIG

/* name: NULL ends the table. key: the short option if it is printable. arg: the argument's name, NULL: it takes none.
 */
struct argp_option {
    const char *name;
    int key;
    const char *arg;
    int flags;
    const char *doc;
    int group; /* 0 */
};

struct argp_state {
    int argc;
    char **argv;
    int next; /* index of the first argument that is left (ARGP_KEY_ARGS) */
    void *input;
    const char *name;
};

/* doc: what stands before the options, then, behind \v, after them. */
struct argp {
    const struct argp_option *options;
    error_t (*parser)(int key, char *argument, struct argp_state *state);
    const char *args_doc, *doc;
    const void *children; /* NULL, like the two that follow */
    char *(*help_filter)(int key, const char *text, void *input);
    const char *argp_domain;
};

extern int argp_err_exit_status;

/* Calls the parser for each option and argument, options first; answers --help and --usage; a bad command line ends the
 * program with argp_err_exit_status. flags: 0. */
error_t argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *index, void *input);
#endif
