/* What the kernels of a program share: math for the dtypes and widths that they name, operations, folds. */
#include "body.h"
#include "codegen.h"

#include <string.h>

/* Whether a source names a suffix: "f32" is not named by "f32x16". */
static bool names_suffix(const char *source, const char *suffix)
{
    size_t length = strlen(suffix);
    for (const char *at = strstr(source, suffix); at; at = strstr(at + 1, suffix)) {
        char next = at[length];
        if (next != 'x' && !(next >= '0' && next <= '9'))
            return true;
    }
    return false;
}

/* fold_sum_f32(a, b), ...: reductions as functions, whose arguments may be long. */
static void print_folds(const char *const *sources, int count, text *out)
{
    for (int op = 0; op < OP_COUNT; op++)
        for (int dtype = 0; clg_ops[op].kind == KIND_REDUCE && dtype < CLG_DTYPE_COUNT; dtype++) {
            body_suffix_text suffix = body_suffix(dtype, 1);
            const char *s = suffix.s;
            char name[64];
            snprintf(name, sizeof name, "fold_%s_%s(", clg_ops[op].name, s);
            bool named = false;
            for (int i = 0; i < count && !named; i++)
                named = strstr(sources[i], name) != NULL;
            if (named)
                text_add(out, "static inline %s_t %s%s_t a, %s_t b) { return op_%s(%s, a, b); }\n", s, name, s, s,
                         clg_ops[op].name, s);
        }
}

/* Marks the operations that a source applies: "op_NAME(". */
static void find_operations(const char *source, bool found[OP_COUNT])
{
    for (const char *at = strstr(source, "op_"); at; at = strstr(at, "op_")) {
        at += 3;
        const size_t length = strcspn(at, "(");
        for (int op = 0; op < OP_COUNT; op++)
            if (strncmp(clg_ops[op].name, at, length) == 0 && !clg_ops[op].name[length])
                found[op] = true;
    }
}

/* Whether an operation's expression calls a function of math_special.h. */
static bool is_special(const op_row *row)
{
    const char *call = strstr(row->expr, "FN(S, ");
    char definition[96];
    if (!call)
        return false;
    snprintf(definition, sizeof definition, "%.*s)(", (int)strcspn(call, ")"), call);
    return strstr(kernel_file_text("math_special.h"), definition) != NULL;
}

void prelude_print(const char *const *sources, int count, text *out)
{
    static const int widths[] = {1, 4, 8, 16};
    static const char *const part_names[] = {"convert", "special"};
    bool used[OP_COUNT] = {false};
    const char *parts[] = {kernel_file_text("math_convert.h"), NULL};
    for (int i = 0; i < count; i++)
        find_operations(sources[i], used);
    for (int op = 0; op < OP_COUNT && !parts[1]; op++)
        if (used[op] && is_special(&clg_ops[op]))
            parts[1] = kernel_file_text("math_special.h");
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            body_suffix_text suffix = body_suffix(dtype, widths[w]);
            bool named = false;
            for (int i = 0; i < count && !named; i++)
                named = names_suffix(sources[i], suffix.s);
            if (!named)
                continue;
            text_add(out, "#define MATH_DTYPE %d\n#define MATH_WIDTH %d\n", dtype, widths[w]);
            text_add_skeleton(out, "math.h", part_names, parts, 2);
            text_add(out, "typedef struct __attribute__((packed)) { %s_t vector; } %s_packed_t;\n", suffix.s, suffix.s);
        }
    for (int op = 0; op < OP_COUNT; op++) {
        const op_row *row = &clg_ops[op];
        static const char *const operands[] = {"", "a", "a, b", "a, b, c"};
        if (row->kind == KIND_MAP && used[op] && row->types != TYPES_CAST)
            text_add(out, "#define op_%s(S, %s) (%s)\n", row->name, operands[row->arity], row->expr);
        if (row->kind == KIND_SCAN && used[op])
            text_add(out, "#define op_%s(S, a, b, c) (%s)\n", row->name, row->expr);
        if (row->kind == KIND_REDUCE)
            text_add(out, "#define op_%s(S, a, b) (%s)\n", row->name, row->expr);
    }
    text_add(out, "#define SHARE_STEP %d\n", SHARE_STEP);
    text_add_skeleton(out, "prelude.cl", NULL, NULL, 0);
    print_folds(sources, count, out);
}
