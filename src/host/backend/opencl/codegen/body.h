/* A step's body, its straight-line instructions, and how it is printed: one line an instruction, scalar or vector.
 *
 * e%d is the address of an instruction, r%d its value, a%d its accumulator, p%d a position, b%d a buffer, n%d a number
 * that is an argument. */
#ifndef CLG_OPENCL_BODY_H
#define CLG_OPENCL_BODY_H

#include "kernels.h"

#include "../../../core/ops.h"

#define BODY_NUMBERS 48 /* at the most: what a kernel adds itself has room, too */

/* What holds of a body wherever in its kernel it is printed. */
typedef struct body {
    const plan *plan;
    const plan_step *step;
    int lane;           /* dimension along which lanes run; -1: none */
    const char *index;  /* C type of indices: "int" or "long" */
    int32_t *arguments; /* buffers of the plan, in the order of the kernel's arguments */
    int argument_count;
    kernel_numbers *numbers; /* that were printed so far; NULL: they are in the text */
    bool *uniform;           /* of each register: the same for all lanes */
    bool *crossing;          /* of each register: read by later sections, and not of a ONCE section */
    int32_t *kept; /* of each register: itself if an array keeps it for later sections, else the register whose array
                      it is read from; -1: neither. NULL: none is kept */
    const plan_section *ahead; /* fetches the next row; NULL: none does */
} body;

typedef enum body_part { PART_ALL, PART_VALUES, PART_STORES } body_part;

/* How a body is printed at one place of its kernel. Nobody changes a printer: elsewhere there is another one, a copy
 * that differs. A register is a scalar when it does not depend on the lane dimension, else a vector of width elements.
 * With tile > 1 registers that outlive their section are arrays indexed by t. */
typedef struct body_printer {
    const body *body;
    text *out;
    int width; /* lanes of vectors: 1, 4, 8, 16 */
    int tile;  /* vectors side by side */
    body_part part;
    const char *accumulator; /* ending of the names of accumulators */
    const char *product;     /* expression of INSTR_PRODUCT; NULL: loaded from step->product */
    bool stride_numbers;     /* strides are arguments, too */
} body_printer;

/* ---------------------------------------------------------------- body.c */

/* Describes the body of a step whose lanes run along a dimension. */
clg_status body_open(body *b, const plan *schedule, const plan_step *step, int lane);
/* A contraction's operands become arguments, too, where the body's kernel reads them. */
void body_add_operands(body *b);
void body_close(body *b);
/* Whether all lanes have the same element of an access, or are all outside. */
bool body_access_uniform(const body *b, const plan_access *access);
/* Scalars, not side by side, to a text. */
body_printer body_print_to(const body *b, text *out);

/* The suffix of kernels/math.h: "f32x16", "u8", ... */
typedef struct body_suffix_text {
    char s[16];
} body_suffix_text;
body_suffix_text body_suffix(int dtype, int width);
/* Lanes of a register where the printer stands. */
int body_register_width(const body_printer *p, int32_t reg);
/* The number of a buffer among the kernel's arguments. */
int body_argument(const body *b, int32_t buffer);
/* "global f32_t *b0, global i32_t *b1, const INDEX n0"; once all is printed. */
void body_parameters(const body *b, text *out);
/* "if (n1) return;", see NUMBER_IDLE. */
void body_print_idle(const body *b, text *out);
/* All of them, for kernel_add. */
const kernel_numbers *body_numbers(const body *b);
/* The name of a number as an argument, "n0"; false: it is to be in the text. */
bool body_add_number(const body *b, text *t, kernel_number number);
/* A register as an operand of so many lanes; "const f32x16_t r7 = ", or "r7[t] = " for an element of an array. */
void body_add_operand(const body_printer *p, text *t, int32_t reg, int width);
void body_begin_value(const body_printer *p, int32_t reg);
/* A value of one dtype as another, "FN(f32x16, from_bf16)(r7)"; of the same dtype the value. */
void body_add_cast(text *t, int from, int to, int width, const char *value);
/* Macros that read an operand: A_T, the type of its elements in memory; A_VALUE(x), A_VECTOR(p), what is computed with.
 */
void body_define_operand(text *t, const char *prefix, int stored, int dtype, int width);
/* The dtype in memory of a contraction's operand, from which it is cast as it is read. */
int body_operand_dtype(const body *b, int which);

/* ---------------------------------------------------------------- loads.c: instructions that have an access */

/* The index of an access's element where the printer stands. */
void body_add_address(const body_printer *p, text *t, const plan_access *access);
/* The address in lane 0; with_piece: of a split step's piece. */
void body_print_address(const body_printer *p, int32_t reg, const plan_access *access, bool with_piece);
void body_print_load(const body_printer *p, int32_t reg);
void body_print_mask(const body_printer *p, int32_t reg);
void body_add_constant(const body_printer *p, text *t, int dtype, double value);

/* ---------------------------------------------------------------- instrs.c */

void body_print_section(const body_printer *p, const plan_section *section);
void body_print_sections(const body_printer *p, plan_section_kind kind);

/* ---------------------------------------------------------------- rows.c, for CPU devices */

/* For lanes that run over the inner positions of a row. Finds what arrays keep between sections and which section
 * fetches the next row; declares the arrays; prints the fetches of a vector. */
clg_status body_plan_rows(body *b);
void body_declare_kept(const body *b, text *out);
void body_print_ahead(const body_printer *p);

#endif
