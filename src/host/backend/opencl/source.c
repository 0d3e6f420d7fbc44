/* Prints a step's body, its straight-line instructions, as OpenCL C: one line an instruction, scalar or vector.
 * The operations' expressions come from ops.def, their functions from kernels/math.h. */
#include "opencl.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (8 << 20) /* of a buffer */

void body_line(const body_printer *p, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text_add(p->out, "%*s%s\n", p->indent, "", line);
}

body_suffix_text body_suffix(int dtype, int width)
{
    static const char *const names[CLG_DTYPE_COUNT] = {"f32", "f64", "i32", "u8"};
    body_suffix_text suffix;
    if (width == 1)
        snprintf(suffix.s, sizeof suffix.s, "%s", names[dtype]);
    else
        snprintf(suffix.s, sizeof suffix.s, "%sx%d", names[dtype], width);
    return suffix;
}

/* ---------------------------------------------------------------- what is known before printing */

/* Whether all lanes have the same element, or are all outside. */
static bool access_uniform(const body_printer *p, const plan_access *access)
{
    bool uniform = p->lane < 0 || access->stride[p->lane] == 0;
    for (int32_t i = 0; i < access->bound_count && p->lane >= 0; i++)
        uniform &= p->step->bounds[access->first_bound + i].coef[p->lane] == 0;
    return uniform;
}

static bool instr_uniform(const body_printer *p, const plan_instr *instr)
{
    switch ((plan_instr_kind)instr->kind) {
    case INSTR_CONST:
        return true;
    case INSTR_IOTA:
        return access_uniform(p, &p->step->accesses[instr->access]);
    case INSTR_LOAD:
        return access_uniform(p, &p->step->accesses[instr->access]) && (instr->src[0] < 0 || p->uniform[instr->src[0]]);
    case INSTR_MASK:
        return access_uniform(p, &p->step->accesses[instr->access]) && p->uniform[instr->src[0]];
    case INSTR_PRODUCT:
        return p->lane < 0;
    case INSTR_REDUCE:
        /* where lanes run over inner positions the lanes' partial results are folded into a scalar */
        return p->lane >= p->step->outer_rank || p->uniform[instr->src[0]];
    case INSTR_MAP:
        for (int i = 0; i < clg_ops[instr->op].arity; i++)
            if (!p->uniform[instr->src[i]])
                return false;
        return true;
    case INSTR_STORE:
        break;
    }
    return false;
}

clg_status body_analyse(body_printer *p)
{
    const plan_step *step = p->step;
    size_t n = (size_t)step->instr_count + 1;
    p->uniform = calloc(n, sizeof *p->uniform);
    p->crossing = calloc(n, sizeof *p->crossing);
    if (!p->uniform || !p->crossing)
        return clg_fail_memory();
    for (int32_t i = 0; i < step->instr_count; i++)
        p->uniform[i] = instr_uniform(p, &step->instrs[i]);
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        for (int32_t i = section->first; i < section->first + section->count; i++)
            for (int k = 0; k < 3; k++)
                if (step->instrs[i].src[k] >= 0 && step->instrs[i].src[k] < section->first)
                    p->crossing[step->instrs[i].src[k]] = true;
    }
    for (int32_t s = 0; s < step->section_count; s++)
        for (int32_t i = 0; step->sections[s].kind == SECTION_ONCE && i < step->sections[s].count; i++)
            p->crossing[step->sections[s].first + i] = false;
    for (int32_t i = 0; i < step->instr_count; i++)
        p->crossing[i] |= step->instrs[i].kind == INSTR_REDUCE;
    return CLG_OK;
}

void body_free(body_printer *p)
{
    free(p->uniform);
    free(p->crossing);
    free(p->kept);
    p->uniform = p->crossing = NULL;
    p->kept = NULL;
}

static int64_t reach_of(const plan_step *step, int64_t offset, const int64_t *stride)
{
    int64_t reach = llabs(offset);
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        reach += llabs(stride[d]) * (step->extent[d] > 0 ? step->extent[d] - 1 : 0);
    return reach;
}

const char *body_index_type(const plan *schedule, const plan_step *step)
{
    bool large = step->outer_count * step->splits >= INDEX32_LIMIT || step->inner_count >= INDEX32_LIMIT ||
                 step->batch * step->m * step->n >= INDEX32_LIMIT;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *instr = &step->instrs[i];
        if (instr->kind == INSTR_LOAD || instr->kind == INSTR_STORE)
            large = large || schedule->buffers[instr->buffer].count >= INDEX32_LIMIT ||
                    instr->row_count * llabs(instr->row_stride) >= INDEX32_LIMIT;
    }
    for (int32_t i = 0; i < step->access_count; i++)
        large = large || reach_of(step, step->accesses[i].offset, step->accesses[i].stride) >= INDEX32_LIMIT;
    for (int32_t i = 0; i < step->bound_count; i++)
        large = large || reach_of(step, 0, step->bounds[i].coef) + llabs(step->bounds[i].lo) >= INDEX32_LIMIT ||
                llabs(step->bounds[i].hi) >= INDEX32_LIMIT;
    return large ? "long" : "int";
}

static int add_buffer(int32_t *buffers, int count, int32_t buffer)
{
    for (int i = 0; i < count; i++)
        if (buffers[i] == buffer)
            return count;
    buffers[count] = buffer;
    return count + 1;
}

int body_buffers(const plan_step *step, int32_t *buffers)
{
    int count = 0;
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_LOAD || step->instrs[i].kind == INSTR_STORE)
            count = add_buffer(buffers, count, step->instrs[i].buffer);
        else if (step->instrs[i].kind == INSTR_PRODUCT && step->product >= 0)
            count = add_buffer(buffers, count, step->product);
    for (int o = 0; o < 2 && step->kind == STEP_CONTRACT; o++)
        count = add_buffer(buffers, count, step->operand[o].buffer);
    return count;
}

void body_parameters(const body_printer *p, text *out)
{
    for (int i = 0; i < p->argument_count; i++)
        text_add(out, "%sglobal %s_t *b%d", i ? ", " : "", body_suffix(p->plan->buffers[p->arguments[i]].dtype, 1).s,
                 i);
}

int body_argument(const body_printer *p, int32_t buffer)
{
    for (int i = 0; i < p->argument_count; i++)
        if (p->arguments[i] == buffer)
            return i;
    return 0;
}

/* ---------------------------------------------------------------- expressions */

int body_register_width(const body_printer *p, int32_t reg) { return p->uniform[reg] ? 1 : p->width; }

void body_add_operand(const body_printer *p, text *t, int32_t reg, int width)
{
    const char *element = p->tile > 1 && p->crossing[reg] ? "[t]" : "";
    if (width > body_register_width(p, reg))
        text_add(t, "(%s_t)(r%d%s)", body_suffix(p->step->instrs[reg].dtype, width).s, reg, element);
    else
        text_add(t, "r%d%s", reg, element);
}

/* ---------------------------------------------------------------- instructions */

void body_begin_value(const body_printer *p, int32_t reg)
{
    bool element = p->tile > 1 && p->crossing[reg];
    text_add(p->out, "%*s", p->indent, "");
    if (element)
        text_add(p->out, "r%d[t] = ", reg);
    else
        text_add(p->out, "const %s_t r%d = ", body_suffix(p->step->instrs[reg].dtype, body_register_width(p, reg)).s,
                 reg);
}

/* The product, from the register tile of a matrix kernel or from the buffer that a library filled. */
static void print_product(const body_printer *p, int32_t reg)
{
    body_begin_value(p, reg);
    if (p->product) {
        text_add(p->out, "%s;\n", p->product);
        return;
    }
    const plan_access dense = {.stride = {p->step->m * p->step->n, p->step->n, 1}};
    text address = {0};
    body_add_address(p, &address, &dense);
    if (p->width == 1)
        text_add(p->out, "b%d[%s];\n", body_argument(p, p->step->product), address.data ? address.data : "0");
    else
        text_add(p->out, "VECTOR_AT(global, %s, b%d + %s);\n", body_suffix(p->step->instrs[reg].dtype, p->width).s,
                 body_argument(p, p->step->product), address.data ? address.data : "0");
    p->out->failed |= address.failed;
    text_free(&address);
}

static void print_map(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->step->instrs[reg];
    const op_row *row = &clg_ops[instr->op];
    int width = body_register_width(p, reg);
    int source = p->step->instrs[instr->src[0]].dtype;
    body_begin_value(p, reg);
    if (row->types == TYPES_CAST)
        text_add(p->out, "FN(%s, from_%s)(", body_suffix(instr->dtype, width).s, body_suffix(source, 1).s);
    else
        text_add(p->out, "op_%s(%s, ", row->name,
                 body_suffix(row->types == TYPES_COMPARE ? source : instr->dtype, width).s);
    for (int i = 0; i < row->arity; i++) {
        text_add(p->out, i ? ", " : "");
        body_add_operand(p, p->out, instr->src[i], width);
    }
    text_add(p->out, ");\n");
}

static void print_reduce(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->step->instrs[reg];
    /* folded registers count as uniform, but their accumulators have all lanes */
    int width = p->lane >= p->step->outer_rank ? p->width : body_register_width(p, reg);
    char name[40];
    snprintf(name, sizeof name, "a%d%s%s", reg, p->accumulator, p->tile > 1 ? "[t]" : "");
    text_add(p->out, "%*s%s = op_%s(%s, %s, ", p->indent, "", name, clg_ops[instr->op].name,
             body_suffix(instr->dtype, width).s, name);
    body_add_operand(p, p->out, instr->src[0], width);
    text_add(p->out, ");\n");
}

/* Whether a map's result goes past the caches: it is too long to stay there, and an ordinary store would read it first.
 * Not rows: their kernels took a third longer so. */
static bool streams(const body_printer *p, int32_t reg)
{
    const plan_step *step = p->step;
    bool inner = false, loaded = false;
    for (int32_t s = 0; s < step->section_count; s++)
        inner |= step->sections[s].kind == SECTION_INNER;
    for (int32_t i = 0; i < step->instr_count; i++)
        loaded |= step->instrs[i].kind == INSTR_LOAD && step->instrs[i].buffer == step->instrs[reg].buffer;
    return step->kind == STEP_LOOP && !inner && !loaded &&
           p->plan->buffers[step->instrs[reg].buffer].bytes >= STREAM_BYTES;
}

static void print_store(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->step->instrs[reg];
    const plan_access *access = &p->step->accesses[instr->access];
    int buffer = body_argument(p, instr->buffer);
    int64_t stride = p->lane >= 0 ? access->stride[p->lane] : 0;
    text value = {0};
    body_add_operand(p, &value, instr->src[0], p->width);
    const char *name = value.data ? value.data : "";
    body_print_address(p, reg, access, true);
    if (p->width == 1) {
        body_line(p, "b%d[e%d] = %s;", buffer, reg, name);
    } else if (stride == 1) {
        body_line(p, "%s(%s, b%d + e%d, %s);", streams(p, reg) ? "STREAM" : "STORE",
                  body_suffix(instr->dtype, p->width).s, buffer, reg, name);
    } else {
        body_line(p, "const %s_t v%d = %s;", body_suffix(instr->dtype, p->width).s, reg, name);
        for (int lane = 0; lane < p->width; lane++)
            body_line(p, "b%d[e%d + %lld] = v%d.s%x;", buffer, reg, (long long)(stride * lane), reg, (unsigned)lane);
    }
    p->out->failed |= value.failed;
    text_free(&value);
}

/* The place of the printer's lanes in the array that keeps a register. */
static void add_kept(const body_printer *p, int32_t reg)
{
    if (p->width == 1)
        text_add(p->out, "k%d[p%d]", reg, p->lane);
    else
        text_add(p->out, "VECTOR_AT(private, %s, k%d + p%d)", body_suffix(p->step->instrs[reg].dtype, p->width).s, reg,
                 p->lane);
}

static void print_kept(const body_printer *p, int32_t reg)
{
    bool first = p->kept[reg] == reg;
    if (first)
        text_add(p->out, "%*s", p->indent, "");
    else
        body_begin_value(p, reg);
    add_kept(p, p->kept[reg]);
    if (first)
        text_add(p->out, " = r%d", reg);
    text_add(p->out, ";\n");
}

static void print_instr(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->step->instrs[reg];
    if (p->kept && p->kept[reg] >= 0 && p->kept[reg] != reg) {
        print_kept(p, reg);
        return;
    }
    switch ((plan_instr_kind)instr->kind) {
    case INSTR_CONST:
        body_begin_value(p, reg);
        body_add_constant(p->out, instr->dtype, instr->value);
        text_add(p->out, ";\n");
        break;
    case INSTR_IOTA:
    case INSTR_LOAD:
        body_print_load(p, reg);
        break;
    case INSTR_MASK:
        body_print_mask(p, reg);
        break;
    case INSTR_PRODUCT:
        print_product(p, reg);
        break;
    case INSTR_MAP:
        print_map(p, reg);
        break;
    case INSTR_REDUCE:
        print_reduce(p, reg);
        break;
    case INSTR_STORE:
        print_store(p, reg);
        break;
    }
    if (p->kept && p->kept[reg] == reg)
        print_kept(p, reg);
}

void body_print_section(const body_printer *p, const plan_section *section)
{
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        bool store = p->step->instrs[i].kind == INSTR_STORE;
        if (p->part == PART_ALL || store == (p->part == PART_STORES))
            print_instr(p, i);
    }
}

void body_print_sections(const body_printer *p, plan_section_kind kind)
{
    for (int32_t s = 0; s < p->step->section_count; s++)
        if (p->step->sections[s].kind == kind)
            body_print_section(p, &p->step->sections[s]);
}

/* ---------------------------------------------------------------- what kernels share */

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

void source_prelude(const char *const *sources, int count, text *out)
{
    static const int widths[] = {1, 4, 8, 16};
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            body_suffix_text suffix = body_suffix(dtype, widths[w]);
            bool named = false;
            for (int i = 0; i < count && !named; i++)
                named = names_suffix(sources[i], suffix.s);
            if (!named)
                continue;
            text_add(out, "#define MATH_DTYPE %d\n#define MATH_WIDTH %d\n", dtype, widths[w]);
            text_add_skeleton(out, "math.h", NULL, NULL, 0);
            text_add(out, "typedef struct __attribute__((packed)) { %s_t vector; } %s_packed_t;\n", suffix.s, suffix.s);
        }
    for (int op = 0; op < OP_COUNT; op++) {
        const op_row *row = &clg_ops[op];
        static const char *const operands[] = {"", "a", "a, b", "a, b, c"};
        if (row->kind == KIND_MAP && row->types != TYPES_CAST)
            text_add(out, "#define op_%s(S, %s) (%s)\n", row->name, operands[row->arity], row->expr);
        if (row->kind == KIND_REDUCE)
            text_add(out, "#define op_%s(S, a, b) (%s)\n", row->name, row->expr);
    }
    text_add(out, "#define SHARE_STEP %d\n", SHARE_STEP);
    text_add_skeleton(out, "prelude.cl", NULL, NULL, 0);
    print_folds(sources, count, out);
}
