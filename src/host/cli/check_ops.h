/* The operations as `clgrad check` exercises them: for each, how to build it and what operands to give it. */
#ifndef CLG_CLI_CHECK_OPS_H
#define CLG_CLI_CHECK_OPS_H

#include <clgrad/clgrad.h>

enum { CHECK_MAX_OPERANDS = 3, CHECK_MAX_CASES = 6 };

/* How the leaf of an operand becomes the operand: as it is, transposed, or every second column of a wider one. */
typedef enum check_view { CHECK_PLAIN, CHECK_TRANSPOSED, CHECK_SLICED } check_view;

typedef struct check_operand {
    clg_shape shape;
    check_view view;
} check_operand;

typedef struct check_case {
    check_operand operands[CHECK_MAX_OPERANDS];
} check_case;

typedef struct check_shapes {
    int count;
    check_case cases[CHECK_MAX_CASES];
} check_shapes;

enum {
    CHECK_NO_GRADIENT = 1, /* the operation, or what surrounds it here, has no gradient */
    CHECK_F64 = 2          /* needs a device with f64 */
};

typedef struct check_row {
    const char *op;                     /* name in the library's table */
    const char *variant;                /* "" or what is special */
    clg_var (*build)(const clg_var *x); /* NULL: clg_apply of number and axes */
    const char *operands; /* one letter each: r real, c condition (u8), i index (i32, 0..CHECK_TABLE_ROWS-1) */
    double lo, hi;        /* of the reals */
    const check_shapes *shapes;
    unsigned flags;
    int number; /* of the operation, -1: it has a function of its own */
    clg_axes axes;
} check_row;

enum { CHECK_TABLE_ROWS = 5 };

/* All rows. */
const check_row *check_table(int *count);
/* The row's operation over operands. */
clg_var check_build(const check_row *row, const clg_var *operands);
#endif
