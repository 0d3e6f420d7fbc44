/* Pairs of f32 maps in one loop: the second reads the first's result from a register instead of a block. Part of
 * vector.c. Which pairs exist is said here and nowhere else; each rounds exactly as the two loops do. */

/* The maps as functions. */
#define S f32
#define VALUE_1(ID, A, R, expr)                                                                                        \
    static inline __attribute__((unused)) R value_##ID(A a) { return (R)(expr); }
#define VALUE_2(ID, A, R, expr)                                                                                        \
    static inline __attribute__((unused)) R value_##ID(A a, float b) { return (R)(expr); }
#define VALUE_3(ID, A, R, expr)                                                                                        \
    static inline __attribute__((unused)) R value_##ID(A a, float b, float c) { return (R)(expr); }
#define VALUE_NUMERIC(ID, arity, expr) VALUE_##arity(ID, float, float, expr)
#define VALUE_FLOATING(ID, arity, expr) VALUE_##arity(ID, float, float, expr)
#define VALUE_COMPARE(ID, arity, expr) VALUE_##arity(ID, float, uint8_t, expr)
#define VALUE_SELECT(ID, arity, expr) VALUE_##arity(ID, uint8_t, float, expr)
#define VALUE_CAST(ID, arity, expr)
#define VALUE_INTEGER(ID, arity, expr)
#define VALUE_WORD(ID, arity, expr)
#define MAP(ID, name, builder, arity, types, expr, ...) VALUE_##types(ID, arity, expr)
#include "../../core/ops.def"
#undef S

/* LEFT second(first(a, b), c), RIGHT second(c, first(a, b)), UNARY second(first(a, b)), SELECT WHERE(first(a, b), c,
 * x). Sums and products take the first's result on either side. */
#define AFTER_ARITHMETIC(J, second) J(ADD, second) J(SUB, second) J(MUL, second)
#define JOINS_EITHER(J) AFTER_ARITHMETIC(J, ADD) AFTER_ARITHMETIC(J, MUL)
#define JOINS_LEFT(J) AFTER_ARITHMETIC(J, SUB) AFTER_ARITHMETIC(J, DIV)
#define JOINS_RIGHT(J) AFTER_ARITHMETIC(J, SUB)
#define JOINS_UNARY(J) AFTER_ARITHMETIC(J, NEG) AFTER_ARITHMETIC(J, SQUARE) AFTER_ARITHMETIC(J, RELU)
#define JOINS_SELECT(J) J(LESS, WHERE) J(LESS_EQUAL, WHERE) J(EQUAL, WHERE) J(NOT_EQUAL, WHERE)

/* The forms: one value for all lanes never reaches both operands of the first. */
#define JOIN_FORM(name, arity, expr, U) LANES_FORM(name, arity, float, float, float, expr, U)
#define JOIN_FORMS_2(name, arity, expr)                                                                                \
    JOIN_FORM(name, arity, expr, 0) JOIN_FORM(name, arity, expr, 1) JOIN_FORM(name, arity, expr, 2)
#define JOIN_FORMS_3(name, arity, expr)                                                                                \
    JOIN_FORMS_2(name, arity, expr)                                                                                    \
    JOIN_FORM(name, arity, expr, 4) JOIN_FORM(name, arity, expr, 5) JOIN_FORM(name, arity, expr, 6)
#define JOIN_FORMS_4(name, arity, expr)                                                                                \
    JOIN_FORMS_3(name, arity, expr)                                                                                    \
    JOIN_FORM(name, arity, expr, 8) JOIN_FORM(name, arity, expr, 9) JOIN_FORM(name, arity, expr, 10)
#define JOIN_LEFT(first, second) JOIN_FORMS_3(first##_left_##second, 3, value_##second(value_##first(a, b), c))
#define JOIN_RIGHT(first, second) JOIN_FORMS_3(first##_right_##second, 3, value_##second(c, value_##first(a, b)))
#define JOIN_UNARY(first, second) JOIN_FORMS_2(first##_then_##second, 2, value_##second(value_##first(a, b)))
#define JOIN_SELECT(first, second) JOIN_FORMS_4(first##_then_##second, 4, value_##second(value_##first(a, b), c, x))
JOINS_EITHER(JOIN_LEFT)
JOINS_LEFT(JOIN_LEFT)
JOINS_RIGHT(JOIN_RIGHT)
JOINS_UNARY(JOIN_UNARY)
JOINS_SELECT(JOIN_SELECT)

#define JOIN_TABLE_2(name) name##_0, name##_1, name##_2
#define JOIN_TABLE_3(name) JOIN_TABLE_2(name), NULL, name##_4, name##_5, name##_6
#define JOIN_TABLE_4(name) JOIN_TABLE_3(name), NULL, name##_8, name##_9, name##_10
#define JOIN_ROW(first, second, operand, forms) {OP_##first, OP_##second, operand, {forms}},
#define LEFT_ROW(first, second) JOIN_ROW(first, second, 0, JOIN_TABLE_3(first##_left_##second))
#define EITHER_ROW(first, second) JOIN_ROW(first, second, 1, JOIN_TABLE_3(first##_left_##second))
#define RIGHT_ROW(first, second) JOIN_ROW(first, second, 1, JOIN_TABLE_3(first##_right_##second))
#define UNARY_ROW(first, second) JOIN_ROW(first, second, 0, JOIN_TABLE_2(first##_then_##second))
#define SELECT_ROW(first, second) JOIN_ROW(first, second, 0, JOIN_TABLE_4(first##_then_##second))
static const cpu_join joins[] = {JOINS_EITHER(LEFT_ROW) JOINS_EITHER(EITHER_ROW) JOINS_LEFT(LEFT_ROW)
                                     JOINS_RIGHT(RIGHT_ROW) JOINS_UNARY(UNARY_ROW) JOINS_SELECT(SELECT_ROW)};
