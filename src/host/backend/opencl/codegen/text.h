/* A growing text, lines of C at an indent, and the skeletons of kernels/ into which they are set. */
#ifndef CLG_OPENCL_TEXT_H
#define CLG_OPENCL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Failure to grow is remembered, so that only the end of a long print is checked. */
typedef struct text {
    char *data; /* terminated; NULL while empty */
    size_t size, capacity;
    int indent; /* spaces in front of a line */
    bool failed;
} text;

/* Numbers have a decimal point, whatever the program's locale. */
void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append(text *t, const char *bytes, size_t size);
void text_free(text *t);
/* sscanf that reads numbers likewise. */
int text_scan(const char *from, const char *format, ...) __attribute__((format(scanf, 2, 3)));

#define TEXT_LEVEL 4 /* spaces of an indent */

/* One line at the indent; the indent alone. */
void text_line(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_indent(text *t);
/* "HEAD {" and the matching "}", with the lines between indented. */
void text_open(text *t, const char *head);
void text_close(text *t);

/* The embedded kernels/ (EmbedKernels.cmake). */
typedef struct kernel_file {
    const char *name; /* "loop.cl" */
    const char *text;
} kernel_file;

extern const kernel_file clg_kernel_files[]; /* ends with a NULL name */
const char *kernel_file_text(const char *name);

/* Appends a skeleton. A line of it that reads "//@ NAME" is replaced by bodies[i], where names[i] is NAME. */
void text_add_skeleton(text *t, const char *file, const char *const *names, const char *const *bodies, int count);

#endif
