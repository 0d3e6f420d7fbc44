/* clgrad ops: the operations, as the library's own table has them, and the functions made of them. */
#include "cli.h"
#include "functions.h"

#include <stdlib.h>
#include <string.h>

static error_t parse(int key, char *argument, struct argp_state *state)
{
    bool *markdown = state->input;
    if (key == 'm')
        *markdown = true;
    else if (key == ARGP_KEY_ARG)
        cli_usage(state, "unexpected argument '%s'", argument);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* In a Markdown table a | would end the cell. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

static void print_markdown(void)
{
    printf("| operation | kind | operands | meaning | gradient |\n|---|---|---|---|---|\n");
    for (int i = 0; i < clg_op_count(); i++) {
        clg_op_info op = clg_op_get_info(i);
        printf("| %s | %s | %d | ", op.name, op.kind, op.arity);
        print_cell(op.formula);
        printf(" | %s |\n", *op.gradient ? "yes" : "none");
    }
}

static void print_plain(void)
{
    int functions = 0;
    printf("%-17s %-9s %-8s %-8s %s\n", "operation", "kind", "operands", "gradient", "meaning");
    for (int i = 0; i < clg_op_count(); i++) {
        clg_op_info op = clg_op_get_info(i);
        printf("%-17s %-9s %-8d %-8s %s\n", op.name, op.kind, op.arity, *op.gradient ? "yes" : "none", op.formula);
    }
    while (cli_functions[functions])
        functions++;
    printf("\n%d operations. Functions of variables, of which an operation or several become:\n\n", clg_op_count());
    for (int i = 0; i < functions; i++)
        printf("%s\n", cli_functions[i]);
    printf("\n%d functions; include/clgrad/ says what they do.\n", functions);
}

int cli_ops(int argc, char **argv)
{
    static const struct argp_option options[] = {{"markdown", 'm', NULL, 0, "A Markdown table", 0}, {0}};
    static const struct argp parser = {
        options, parse, NULL, "List the operations, and the functions that are made of them.", NULL, NULL, NULL};
    bool markdown = false;
    argp_parse(&parser, argc, argv, 0, NULL, &markdown);
    if (markdown)
        print_markdown();
    else
        print_plain();
    return EXIT_SUCCESS;
}
