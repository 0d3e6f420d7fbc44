/* Prints the instructions of a step's body as OpenCL C. The operations' expressions come from ops.def, their functions
 * from kernels/math.h. */
#include "body.h"

/* The product, from the register tile of a matrix kernel or from the buffer that a library filled. */
static void print_product(const body_printer *p, int32_t reg)
{
    const plan_step *step = p->body->step;
    body_begin_value(p, reg);
    if (p->product) {
        text_add(p->out, "%s;\n", p->product);
        return;
    }
    const plan_access dense = {.stride = {step->extent[1] * step->extent[2], step->extent[2], 1}};
    text address = {0};
    body_add_address(p, &address, &dense);
    if (p->width == 1)
        text_add(p->out, "b%d[%s];\n", body_argument(p->body, step->product), address.data ? address.data : "0");
    else
        text_add(p->out, "VECTOR_AT(global, %s, b%d + %s);\n", body_suffix(step->instrs[reg].dtype, p->width).s,
                 body_argument(p->body, step->product), address.data ? address.data : "0");
    p->out->failed |= address.failed;
    text_free(&address);
}

static void print_map(const body_printer *p, int32_t reg)
{
    const plan_step *step = p->body->step;
    const plan_instr *instr = &step->instrs[reg];
    const op_row *row = &clg_ops[instr->op];
    int width = body_register_width(p, reg);
    int source = step->instrs[instr->src[0]].dtype;
    body_begin_value(p, reg);
    if (row->types == TYPES_CAST) {
        text value = {0};
        body_add_operand(p, &value, instr->src[0], width);
        body_add_cast(p->out, source, instr->dtype, width, value.data ? value.data : "");
        text_add(p->out, ";\n");
        p->out->failed |= value.failed;
        text_free(&value);
        return;
    }
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
    const plan_step *step = p->body->step;
    const plan_instr *instr = &step->instrs[reg];
    /* folded registers count as uniform, but their accumulators have all lanes */
    int width = p->body->lane >= step->outer_rank ? p->width : body_register_width(p, reg);
    char name[40];
    snprintf(name, sizeof name, "a%d%s%s", reg, p->accumulator, p->tile > 1 ? "[t]" : "");
    text_indent(p->out);
    text_add(p->out, "%s = op_%s(%s, %s, ", name, clg_ops[instr->op].name, body_suffix(instr->dtype, width).s, name);
    body_add_operand(p, p->out, instr->src[0], width);
    text_add(p->out, ");\n");
}

static void print_store(const body_printer *p, int32_t reg)
{
    const plan_step *step = p->body->step;
    const plan_instr *instr = &step->instrs[reg];
    const plan_access *access = &step->accesses[instr->access];
    int buffer = body_argument(p->body, instr->buffer);
    int64_t stride = p->body->lane >= 0 ? access->stride[p->body->lane] : 0;
    text value = {0};
    body_add_operand(p, &value, instr->src[0], p->width);
    const char *name = value.data ? value.data : "";
    body_print_address(p, reg, access, true);
    if (p->width == 1) {
        text_line(p->out, "b%d[e%d] = %s;", buffer, reg, name);
    } else if (stride == 1) {
        text_line(p->out, "%s(%s, b%d + e%d, %s);", step->facts[reg].streams ? "STREAM" : "STORE",
                  body_suffix(instr->dtype, p->width).s, buffer, reg, name);
    } else {
        text_line(p->out, "const %s_t v%d = %s;", body_suffix(instr->dtype, p->width).s, reg, name);
        for (int lane = 0; lane < p->width; lane++)
            text_line(p->out, "b%d[e%d + %lld] = v%d.s%x;", buffer, reg, (long long)(stride * lane), reg,
                      (unsigned)lane);
    }
    p->out->failed |= value.failed;
    text_free(&value);
}

/* The place of the printer's lanes in the array that keeps a register. */
static void add_kept(const body_printer *p, int32_t reg)
{
    if (p->width == 1)
        text_add(p->out, "k%d[p%d]", reg, p->body->lane);
    else
        text_add(p->out, "VECTOR_AT(private, %s, k%d + p%d)", body_suffix(p->body->step->instrs[reg].dtype, p->width).s,
                 reg, p->body->lane);
}

static void print_kept(const body_printer *p, int32_t reg)
{
    bool first = p->body->kept[reg] == reg;
    if (first)
        text_indent(p->out);
    else
        body_begin_value(p, reg);
    add_kept(p, p->body->kept[reg]);
    if (first)
        text_add(p->out, " = r%d", reg);
    text_add(p->out, ";\n");
}

static void print_instr(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    if (p->body->kept && p->body->kept[reg] >= 0 && p->body->kept[reg] != reg) {
        print_kept(p, reg);
        return;
    }
    switch ((plan_instr_kind)instr->kind) {
    case INSTR_CONST:
        body_begin_value(p, reg);
        body_add_constant(p, p->out, instr->dtype, instr->value);
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
    if (p->body->kept && p->body->kept[reg] == reg)
        print_kept(p, reg);
}

void body_print_section(const body_printer *p, const plan_section *section)
{
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        bool store = p->body->step->instrs[i].kind == INSTR_STORE;
        if (p->part == PART_ALL || store == (p->part == PART_STORES))
            print_instr(p, i);
    }
}

void body_print_sections(const body_printer *p, plan_section_kind kind)
{
    for (int32_t s = 0; s < p->body->step->section_count; s++)
        if (p->body->step->sections[s].kind == kind)
            body_print_section(p, &p->body->step->sections[s]);
}
