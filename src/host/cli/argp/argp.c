/* A command line by a table of options, as glibc's argp does it. */
#define _POSIX_C_SOURCE 200809L
#include "argp.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int argp_err_exit_status = 64; /* EX_USAGE */

enum { KEY_USAGE = -3, MOST_OPTIONS = 64 };
enum { SHORT_COLUMN = 2, LONG_COLUMN = 6, DOC_COLUMN = 29, USAGE_INDENT = 12, RIGHT_MARGIN = 79 };

static const struct argp_option own[] = {{"help", '?', NULL, 0, "Give this help list", -1},
                                         {"usage", KEY_USAGE, NULL, 0, "Give a short usage message", -1}};
enum { OWN = sizeof own / sizeof own[0] };

static int short_of(const struct argp_option *o) { return o->key > 32 && o->key < 127 ? o->key : 0; }

/* ---------------------------------------------------------------- texts */

/* A printer that breaks lines between words. */
typedef struct filler {
    FILE *out;
    int column, indent;
} filler;

static void put(filler *f, const char *text, int length)
{
    fprintf(f->out, "%.*s", length, text);
    f->column += length;
}

static void new_line(filler *f)
{
    fprintf(f->out, "\n%*s", f->indent, "");
    f->column = f->indent;
}

static void put_word(filler *f, const char *text, int length)
{
    if (f->column > f->indent && f->column + 1 + length > RIGHT_MARGIN)
        new_line(f);
    else if (f->column > f->indent)
        put(f, " ", 1);
    put(f, text, length);
}

/* Words of a text; its own line ends stay. */
static void put_text(filler *f, const char *text, const char *end)
{
    while (text < end) {
        if (*text == '\n')
            new_line(f);
        if (*text == '\n' || *text == ' ') {
            text++;
            continue;
        }
        int length = (int)strcspn(text, " \n");
        length = length < end - text ? length : (int)(end - text);
        put_word(f, text, length);
        text += length;
    }
}

static int compare(const void *a, const void *b)
{
    const struct argp_option *x = *(const struct argp_option *const *)a, *y = *(const struct argp_option *const *)b;
    int s = short_of(x), t = short_of(y);
    if (x->group != y->group) /* 0 before -1 */
        return y->group - x->group;
    int letters = tolower(s ? s : x->name[0]) - tolower(t ? t : y->name[0]);
    if (letters)
        return letters;
    return !s != !t ? !t - !s : strcasecmp(x->name, y->name);
}

/* The options that are shown, in the order in which they are; returns how many. */
static int shown(const struct argp *p, const struct argp_option *list[MOST_OPTIONS])
{
    int count = 0;
    for (const struct argp_option *o = p->options; o && o->name && count < MOST_OPTIONS - OWN; o++)
        if (!(o->flags & OPTION_HIDDEN))
            list[count++] = o;
    for (int i = 0; i < OWN; i++)
        list[count++] = &own[i];
    qsort(list, (size_t)count, sizeof *list, compare);
    return count;
}

static void print_option(FILE *out, const struct argp_option *o)
{
    filler f = {out, 0, DOC_COLUMN};
    int width = fprintf(out, "%*s", SHORT_COLUMN, "");
    width += short_of(o) ? fprintf(out, "-%c, ", short_of(o)) : fprintf(out, "%*s", LONG_COLUMN - SHORT_COLUMN, "");
    width += fprintf(out, "--%s%s%s", o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
    if (width > DOC_COLUMN + 3)
        new_line(&f);
    else
        f.column = f.indent =
            width >= DOC_COLUMN ? width + fprintf(out, "   ") : width + fprintf(out, "%*s", DOC_COLUMN - width, "");
    f.indent = DOC_COLUMN;
    put_text(&f, o->doc, o->doc + strlen(o->doc));
    fputc('\n', out);
}

static void print_help(const struct argp *p, const char *name)
{
    const struct argp_option *list[MOST_OPTIONS];
    int count = shown(p, list);
    bool both = false; /* a short option whose argument is named with the long one only */
    const char *end = p->doc + strcspn(p->doc, "\v");
    filler f = {stdout, 0, 0};
    printf("Usage: %s [OPTION...]%s%s\n", name, p->args_doc ? " " : "", p->args_doc ? p->args_doc : "");
    put_text(&f, p->doc, end);
    printf("\n\n");
    for (int i = 0; i < count; i++) {
        print_option(stdout, list[i]);
        both |= list[i]->arg && short_of(list[i]);
    }
    if (both)
        printf("\nMandatory or optional arguments to long options are also mandatory or optional\nfor any "
               "corresponding short options.\n");
    if (*end) {
        f.column = 0;
        printf("\n");
        put_text(&f, end + 1, end + strlen(end));
        printf("\n");
    }
}

static void print_usage(const struct argp *p, const char *name)
{
    const struct argp_option *list[MOST_OPTIONS];
    int count = shown(p, list), length = 0;
    char text[MOST_OPTIONS + 128];
    filler f = {stdout, 0, USAGE_INDENT};
    f.column = printf("Usage: %s", name);
    for (int i = 0; i < count; i++)
        if (short_of(list[i]) && !list[i]->arg)
            text[length++] = (char)short_of(list[i]);
    text[length] = 0;
    char flags[sizeof text + 4];
    put_word(&f, flags, snprintf(flags, sizeof flags, "[-%s]", text));
    for (int i = 0; i < count; i++)
        if (short_of(list[i]) && list[i]->arg)
            put_word(&f, text, snprintf(text, sizeof text, "[-%c %s]", short_of(list[i]), list[i]->arg));
    for (int i = 0; i < count; i++)
        put_word(&f, text,
                 snprintf(text, sizeof text, "[--%s%s%s]", list[i]->name, list[i]->arg ? "=" : "",
                          list[i]->arg ? list[i]->arg : ""));
    if (p->args_doc)
        put_word(&f, p->args_doc, (int)strlen(p->args_doc));
    printf("\n");
}

/* ---------------------------------------------------------------- parsing */

typedef struct reader {
    const struct argp *p;
    struct argp_state state;
    int at; /* the next element of argv */
} reader;

static void fail(const reader *r, const char *before, const char *what, const char *after)
{
    const char *name = r->state.name;
    fprintf(stderr, "%s: %s%s%s\nTry `%s --help' or `%s --usage' for more information.\n", name, before, what, after,
            name, name);
    exit(argp_err_exit_status);
}

static const struct argp_option *find_short(const reader *r, char letter)
{
    for (const struct argp_option *o = r->p->options; o && o->name; o++)
        if (short_of(o) == letter)
            return o;
    return letter == '?' ? &own[0] : NULL;
}

/* The option that a text of a length names, whole or in part; NULL: none, or several of which *several gets the names.
 */
static const struct argp_option *find_long(const reader *r, const char *text, size_t length, char *several, size_t size)
{
    const struct argp_option *found = NULL;
    bool more = false;
    size_t used = 0;
    several[0] = 0;
    for (const struct argp_option *o = r->p->options; o != own + OWN; o++) {
        if (!o || !o->name) /* the table's end: ours follow */
            o = own;
        if (strncmp(o->name, text, length) != 0)
            continue;
        if (o->name[length] == 0) {
            several[0] = 0;
            return o;
        }
        more |= found != NULL;
        found = o;
        if (used < size)
            used += (size_t)snprintf(several + used, size - used, " '--%s'", o->name);
    }
    if (more)
        return NULL;
    several[0] = 0;
    return found;
}

static void take(reader *r, const struct argp_option *o, char *argument)
{
    if (o == &own[0])
        print_help(r->p, r->state.name);
    else if (o == &own[1])
        print_usage(r->p, r->state.name);
    if (o == &own[0] || o == &own[1])
        exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    r->p->parser(o->key, argument, &r->state);
}

static void take_long(reader *r, char *text)
{
    size_t length = strcspn(text + 2, "=");
    char several[512], after[600], name[128], *argument = text[2 + length] ? text + 2 + length + 1 : NULL;
    const struct argp_option *o = find_long(r, text + 2, length, several, sizeof several);
    snprintf(after, sizeof after, "' is ambiguous; possibilities:%s", several);
    if (!o)
        fail(r, several[0] ? "option '" : "unrecognized option '", text, several[0] ? after : "'");
    snprintf(name, sizeof name, "--%s", o->name);
    if (argument && !o->arg)
        fail(r, "option '", name, "' doesn't allow an argument");
    if (o->arg && !argument && !(argument = r->at < r->state.argc ? r->state.argv[r->at++] : NULL))
        fail(r, "option '", name, "' requires an argument");
    take(r, o, argument);
}

static void take_short(reader *r, char *text)
{
    for (char *at = text + 1; *at; at++) {
        const struct argp_option *o = find_short(r, *at);
        char letter[2] = {*at, 0}, *argument = NULL;
        if (!o)
            fail(r, "invalid option -- '", letter, "'");
        if (o->arg) {
            argument = at[1] ? at + 1 : r->at < r->state.argc ? r->state.argv[r->at++] : NULL;
            if (!argument)
                fail(r, "option requires an argument -- '", letter, "'");
        }
        take(r, o, argument);
        if (o->arg)
            return;
    }
}

error_t argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *index, void *input)
{
    reader r = {argp, {argc, argv, argc, input, argc > 0 ? argv[0] : ""}, 1};
    char **rest = malloc(((size_t)argc + 1) * sizeof *rest);
    int count = 0;
    (void)flags, (void)index;
    if (!rest)
        fail(&r, "out of memory", "", "");
    while (r.at < argc) {
        char *text = argv[r.at++];
        if (strcmp(text, "--") == 0)
            while (r.at < argc)
                rest[count++] = argv[r.at++];
        else if (strncmp(text, "--", 2) == 0)
            take_long(&r, text);
        else if (text[0] == '-' && text[1])
            take_short(&r, text);
        else
            rest[count++] = text;
    }
    r.state.next = argc - count; /* arguments go last, as getopt leaves them: they stay when this returns */
    for (int i = 0; i < count; i++)
        argv[r.state.next + i] = rest[i];
    free(rest);
    for (int i = 0; i < count; i++) {
        if (argp->parser(ARGP_KEY_ARG, argv[r.state.next + i], &r.state) != ARGP_ERR_UNKNOWN)
            continue;
        r.state.next += i;
        argp->parser(ARGP_KEY_ARGS, NULL, &r.state);
        break;
    }
    return 0;
}
