/* A growing text, lines of C at an indent, and the skeletons of kernels/ into which they are set. */
#define _POSIX_C_SOURCE 200809L
#include "text.h"

#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(text *t, size_t more)
{
    if (t->failed)
        return false;
    size_t needed = t->size + more + 1;
    if (needed <= t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity : 1024;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_append(text *t, const char *bytes, size_t size)
{
    if (!reserve(t, size))
        return;
    memcpy(t->data + t->size, bytes, size);
    t->size += size;
    t->data[t->size] = '\0';
}

static pthread_once_t plain_once = PTHREAD_ONCE_INIT;
static locale_t plain;

static void make_plain(void) { plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* The C locale for this thread; returns what it had before. */
static locale_t begin_plain(void)
{
    pthread_once(&plain_once, make_plain);
    return plain ? uselocale(plain) : (locale_t)0;
}

static void end_plain(locale_t before)
{
    if (before)
        uselocale(before);
}

int text_scan(const char *from, const char *format, ...)
{
    locale_t before = begin_plain();
    va_list arguments;
    va_start(arguments, format);
    int count = vsscanf(from, format, arguments);
    va_end(arguments);
    end_plain(before);
    return count;
}

static void add(text *t, const char *format, va_list arguments)
{
    char line[512];
    locale_t before = begin_plain();
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(line, sizeof line, format, arguments);
    if (length < 0) {
        t->failed = true;
    } else if ((size_t)length < sizeof line) {
        text_append(t, line, (size_t)length);
    } else if (reserve(t, (size_t)length)) {
        vsnprintf(t->data + t->size, (size_t)length + 1, format, again);
        t->size += (size_t)length;
    }
    va_end(again);
    end_plain(before);
}

void text_add(text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(t, format, arguments);
    va_end(arguments);
}

void text_indent(text *t) { text_add(t, "%*s", t->indent, ""); }

void text_line(text *t, const char *format, ...)
{
    va_list arguments;
    text_indent(t);
    va_start(arguments, format);
    add(t, format, arguments);
    va_end(arguments);
    text_append(t, "\n", 1);
}

void text_open(text *t, const char *head)
{
    text_line(t, "%s%s{", head, *head ? " " : "");
    t->indent += TEXT_LEVEL;
}

void text_close(text *t)
{
    t->indent -= TEXT_LEVEL;
    text_line(t, "}");
}

void text_free(text *t)
{
    free(t->data);
    *t = (text){0};
}

const char *kernel_file_text(const char *name)
{
    for (const kernel_file *file = clg_kernel_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return file->text;
    return "";
}

/* The name on a line "    //@ NAME", or NULL. */
static const char *marker_name(const char *line, const char *end, size_t *length)
{
    while (line < end && *line == ' ')
        line++;
    if (end - line < 4 || memcmp(line, "//@ ", 4) != 0)
        return NULL;
    *length = (size_t)(end - line - 4);
    return line + 4;
}

/* What follows a block, if the text starts with one. */
static const char *skip_block(const char *start, const char *first, const char *last)
{
    const char *end = strncmp(start, first, strlen(first)) == 0 ? strstr(start, last) : NULL;
    return end ? end + strlen(last) : start;
}

void text_add_skeleton(text *t, const char *file, const char *const *names, const char *const *bodies, int count)
{
    /* The comment and the defaults that open a skeleton make the file compile as it stands; a generated program
     * does without. */
    const char *line = skip_block(skip_block(kernel_file_text(file), "/*", "*/\n"), "#ifndef KERNEL\n", "#endif\n");
    while (*line) {
        const char *end = strchr(line, '\n');
        const char *next = end ? end + 1 : line + strlen(line);
        if (!end)
            end = next;
        size_t length = 0;
        const char *name = marker_name(line, end, &length);
        if (!name)
            text_append(t, line, (size_t)(next - line));
        for (int i = 0; name && i < count; i++)
            if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0 && bodies[i])
                text_append(t, bodies[i], strlen(bodies[i]));
        line = next;
    }
}
