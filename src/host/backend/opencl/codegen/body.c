/* What is known of a step's body before it is printed, and the names of what is in it. */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define MORE_BUFFERS 3 /* than instructions: the operands of a contraction */

bool body_access_uniform(const body *b, const plan_access *access)
{
    bool uniform = b->lane < 0 || access->stride[b->lane] == 0;
    for (int32_t i = 0; i < access->bound_count && b->lane >= 0; i++)
        uniform &= b->step->bounds[access->first_bound + i].coef[b->lane] == 0;
    return uniform;
}

static clg_status analyse(body *b)
{
    const plan_step *step = b->step;
    size_t n = (size_t)step->instr_count + 1;
    b->uniform = calloc(n, sizeof *b->uniform);
    b->crossing = calloc(n, sizeof *b->crossing);
    if (!b->uniform || !b->crossing)
        return clg_fail_memory();
    for (int32_t i = 0; i < step->instr_count; i++)
        b->uniform[i] = b->lane < 0 || !(step->facts[i].dims >> b->lane & 1);
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        for (int32_t i = section->first; i < section->first + section->count; i++)
            for (int k = 0; k < 3; k++)
                if (step->instrs[i].src[k] >= 0 && step->instrs[i].src[k] < section->first)
                    b->crossing[step->instrs[i].src[k]] = true;
    }
    for (int32_t s = 0; s < step->section_count; s++)
        for (int32_t i = 0; step->sections[s].kind == SECTION_ONCE && i < step->sections[s].count; i++)
            b->crossing[step->sections[s].first + i] = false;
    for (int32_t i = 0; i < step->instr_count; i++)
        b->crossing[i] |= step->instrs[i].kind == INSTR_REDUCE;
    return CLG_OK;
}

static int64_t reach_of(const plan_step *step, int64_t offset, const int64_t *stride)
{
    int64_t reach = llabs(offset);
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        reach += llabs(stride[d]) * (step->extent[d] > 0 ? step->extent[d] - 1 : 0);
    return reach;
}

/* "int" where all index arithmetic of a step fits 31 bits with room to spare, else "long". */
static const char *index_type(const plan *schedule, const plan_step *step)
{
    bool large = step->outer_count * step->splits >= INDEX32_LIMIT || step->inner_count >= INDEX32_LIMIT;
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

/* The buffers of a step's body in order of first use. */
static int list_buffers(const plan_step *step, int32_t *buffers)
{
    int count = 0;
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_LOAD || step->instrs[i].kind == INSTR_STORE)
            count = add_buffer(buffers, count, step->instrs[i].buffer);
        else if (step->instrs[i].kind == INSTR_PRODUCT && step->product >= 0)
            count = add_buffer(buffers, count, step->product);
    return count;
}

clg_status body_open(body *b, const plan *schedule, const plan_step *step, int lane)
{
    *b = (body){.plan = schedule, .step = step, .lane = lane, .index = index_type(schedule, step)};
    b->arguments = malloc(((size_t)step->instr_count + MORE_BUFFERS) * sizeof *b->arguments);
    b->numbers = calloc(1, sizeof *b->numbers);
    if (!b->arguments || !b->numbers)
        return clg_fail_memory();
    b->argument_count = list_buffers(step, b->arguments);
    return analyse(b);
}

void body_add_operands(body *b)
{
    for (int o = 0; o < 2; o++)
        b->argument_count = add_buffer(b->arguments, b->argument_count, b->step->operand[o].buffer);
}

void body_close(body *b)
{
    free(b->arguments);
    free(b->numbers);
    free(b->uniform);
    free(b->crossing);
    free(b->kept);
    *b = (body){0};
}

body_printer body_print_to(const body *b, text *out)
{
    return (body_printer){.body = b, .out = out, .width = 1, .tile = 1, .accumulator = ""};
}

/* ---------------------------------------------------------------- names */

body_suffix_text body_suffix(int dtype, int width)
{
    const char *name = clg_dtypes[dtype].suffix;
    body_suffix_text suffix;
    if (width == 1)
        snprintf(suffix.s, sizeof suffix.s, "%s", name);
    else
        snprintf(suffix.s, sizeof suffix.s, "%sx%d", name, width);
    return suffix;
}

void body_parameters(const body *b, text *out)
{
    for (int i = 0; i < b->argument_count; i++)
        text_add(out, "%sglobal %s_t *b%d", i ? ", " : "", body_suffix(b->plan->buffers[b->arguments[i]].dtype, 1).s,
                 i);
    for (int i = 0; i < b->numbers->count; i++) {
        const int kind = b->numbers->items[i].kind;
        if (kind < CLG_DTYPE_COUNT)
            text_add(out, ", const %s_t n%d", body_suffix(kind, 1).s, i);
        else
            text_add(out, ", const %s n%d", kind == NUMBER_IDLE ? "int" : b->index, i);
    }
}

bool body_add_number(const body *b, text *t, kernel_number number)
{
    kernel_numbers *all = b->numbers;
    int i = 0;
    if (!all)
        return false;
    while (i < all->count &&
           (all->items[i].kind != number.kind || all->items[i].index != number.index || all->items[i].of != number.of ||
            memcmp(&all->items[i].constant, &number.constant, sizeof number.constant) != 0))
        i++;
    if (i == (number.kind == NUMBER_IDLE ? BODY_NUMBERS : BODY_NUMBERS - 1)) /* for that one there is room always */
        return false;
    if (i == all->count)
        all->items[all->count++] = number;
    text_add(t, "n%d", i);
    return true;
}

void body_print_idle(const body *b, text *out)
{
    text name = {0};
    if (body_add_number(b, &name, (kernel_number){.kind = NUMBER_IDLE}))
        text_line(out, "if (%s) return;", name.data ? name.data : "");
    out->failed |= name.failed;
    text_free(&name);
}

const kernel_numbers *body_numbers(const body *b)
{
    b->numbers->wide = b->index[0] == 'l';
    return b->numbers;
}

int body_argument(const body *b, int32_t buffer)
{
    for (int i = 0; i < b->argument_count; i++)
        if (b->arguments[i] == buffer)
            return i;
    return -1; /* cannot be: b-1 does not build, another buffer would */
}

int body_register_width(const body_printer *p, int32_t reg) { return p->body->uniform[reg] ? 1 : p->width; }

void body_add_operand(const body_printer *p, text *t, int32_t reg, int width)
{
    const char *element = p->tile > 1 && p->body->crossing[reg] ? "[t]" : "";
    if (width > body_register_width(p, reg))
        text_add(t, "(%s_t)(r%d%s)", body_suffix(p->body->step->instrs[reg].dtype, width).s, reg, element);
    else
        text_add(t, "r%d%s", reg, element);
}

void body_add_cast(text *t, int from, int to, int width, const char *value)
{
    if (from == to)
        text_add(t, "%s", value);
    else
        text_add(t, "FN(%s, from_%s)(%s)", body_suffix(to, width).s, body_suffix(from, 1).s, value);
}

void body_define_operand(text *t, const char *prefix, int stored, int dtype, int width)
{
    char vector[64];
    snprintf(vector, sizeof vector, "VECTOR_AT(global const, %s, p)", body_suffix(stored, width).s);
    text_add(t, "#define %s_T %s_t\n#define %s_VALUE(x) ", prefix, body_suffix(stored, 1).s, prefix);
    body_add_cast(t, stored, dtype, 1, "x");
    text_add(t, "\n#define %s_VECTOR(p) ", prefix);
    body_add_cast(t, stored, dtype, width, vector);
    text_add(t, "\n");
}

int body_operand_dtype(const body *b, int which) { return b->plan->buffers[b->step->operand[which].buffer].dtype; }

void body_begin_value(const body_printer *p, int32_t reg)
{
    bool element = p->tile > 1 && p->body->crossing[reg];
    text_indent(p->out);
    if (element)
        text_add(p->out, "r%d[t] = ", reg);
    else
        text_add(p->out,
                 "const %s_t r%d = ", body_suffix(p->body->step->instrs[reg].dtype, body_register_width(p, reg)).s,
                 reg);
}
