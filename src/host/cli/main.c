/* The program `clgrad`: a table of commands. */
#define _GNU_SOURCE
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"train", "train a model on Fashion-MNIST", cli_train},
    {"devices", "list the devices and which one `auto` takes", cli_devices},
    {"check", "compare every operation on a device with the CPU path", cli_check},
    {"tune", "measure which kernels suit a device, for later programs", cli_tune},
    {"bench", "measure this machine and clgrad on it", cli_bench},
    {"ops", "list the operations", cli_ops},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(out, "Usage: clgrad COMMAND [OPTION...]\n"
                 "Gradients by backpropagation on any OpenCL device, or on the plain CPU.\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n  clgrad COMMAND --help   the options of a command\n"
                 "  clgrad --version        the version\n");
}

/* What was printed must have arrived: a full disk is a failure. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "clgrad: cannot write the output: %s\n", strerror(errno));
        return status ? status : EXIT_FAILURE;
    }
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof name, "clgrad %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = EXIT_USAGE;
    cli_set_program_path(argc > 0 ? argv[0] : "clgrad");
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "-?") || !strcmp(name, "help")) {
        print_help(stdout);
        return finish(EXIT_SUCCESS);
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("clgrad %s\n", clg_version());
        return finish(EXIT_SUCCESS);
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(name, commands[i].name))
            return finish(run(&commands[i], argc - 1, argv + 1));
    fprintf(stderr, "clgrad: unknown %s '%s' (clgrad --help lists the commands)\n",
            name[0] == '-' ? "option" : "command", name);
    return EXIT_USAGE;
}
