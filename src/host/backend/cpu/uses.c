/* What is known of a body's registers before it is compiled: where each is read last, and which of them hold one value
 * for all lanes. Such a value stays a scalar, which most operations take as it is; only readers that want lanes make
 * the tape spread it over a block. */
#include "cpu.h"

bool cpu_section_is_wide(const cpu_tape *t, plan_section_kind kind)
{
    return kind == SECTION_INNER || (kind == SECTION_OUTER && !t->lanes_inner);
}

/* Whether a map of a section with lanes gives them all the same element. */
static bool is_uniform(const cpu_tape *t, const plan_map *map)
{
    const plan_step *step = t->step;
    int first = t->lanes_inner ? step->outer_rank : 0;
    int end = t->lanes_inner ? step->outer_rank + step->inner_rank : step->outer_rank;
    for (int d = first; d < end; d++)
        if (map->stride[d] != 0 && step->extent[d] > 1)
            return false;
    return !map->masked;
}

uint32_t cpu_uniform_operands(const plan_step *step, const cpu_vectors *vectors, const uint8_t *flags, int32_t i)
{
    const plan_instr *in = &step->instrs[i];
    int arity = clg_ops[in->op].arity;
    uint32_t mask = 0;
    for (int k = 0; k < arity; k++)
        if (flags[in->src[k]] & CPU_ONE)
            mask |= 1u << k;
    if (mask == (1u << arity) - 1 || clg_ops[in->op].types == TYPES_CAST)
        return mask;
    const cpu_fn *forms = vectors->map[in->op][step->instrs[in->src[arity - 1]].dtype];
    while (mask && !forms[mask])
        mask &= mask - 1;
    return mask;
}

bool cpu_loads_one_row(const plan_step *step, const uint8_t *flags, int32_t i)
{
    const plan_instr *in = &step->instrs[i];
    return in->kind == INSTR_LOAD && in->src[0] >= 0 && flags[in->src[0]] & CPU_ONE && !step->maps[in->map].masked;
}

/* Whether instruction i of a section with lanes has one value for all of them. */
static bool is_one(const cpu_tape *t, const cpu_vectors *vectors, const uint8_t *flags, int32_t i)
{
    const plan_instr *in = &t->step->instrs[i];
    if (t->lanes <= 1)
        return true;
    switch ((plan_instr_kind)in->kind) {
    case INSTR_CONST:
        return true;
    case INSTR_LOAD:
        return in->src[0] < 0 && is_uniform(t, &t->step->maps[in->map]);
    case INSTR_MAP:
        return cpu_uniform_operands(t->step, vectors, flags, i) == (1u << clg_ops[in->op].arity) - 1;
    case INSTR_REDUCE:
        return t->lanes_inner;
    default:
        return false;
    }
}

static clg_status bad_body(int32_t i, const char *what)
{
    return clg_fail(CLG_ERROR_ARGUMENT, "plan: instruction %d: %s", (int)i, what);
}

static clg_status check(const plan_step *step, int32_t i)
{
    const plan_instr *in = &step->instrs[i];
    for (int k = 0; k < 3; k++)
        if (in->src[k] >= i)
            return bad_body(i, "reads a register that is defined later");
    if (in->kind == INSTR_MAP && (in->op >= OP_COUNT || clg_ops[in->op].kind != KIND_MAP || in->src[0] < 0 ||
                                  in->src[clg_ops[in->op].arity - 1] < 0))
        return bad_body(i, "not a map operation with its operands");
    return CLG_OK;
}

/* Notes that instruction i, in a section from first to end, reads its operands. */
static void note_reads(const cpu_tape *t, const cpu_vectors *vectors, const plan_section *section, int32_t i,
                       int32_t *last_use, uint8_t *flags)
{
    const plan_instr *in = &t->step->instrs[i];
    bool lanes =
        cpu_section_is_wide(t, section->kind) && t->lanes > 1 && !(in->kind == INSTR_MAP && flags[i] & CPU_ONE);
    uint32_t uniform = lanes && in->kind == INSTR_MAP ? cpu_uniform_operands(t->step, vectors, flags, i)
                                                      : cpu_loads_one_row(t->step, flags, i);
    for (int k = 0; k < 3; k++) {
        int32_t reg = in->src[k];
        if (reg < 0)
            continue;
        bool local = reg >= section->first && t->step->instrs[reg].kind != INSTR_REDUCE;
        last_use[reg] = local || t->straight ? i : section->first + section->count;
        if (lanes && flags[reg] & CPU_ONE && !(uniform >> k & 1))
            flags[reg] |= CPU_SPREAD;
    }
}

clg_status cpu_uses_find(const cpu_tape *t, const cpu_vectors *vectors, int32_t *last_use, uint8_t *flags)
{
    const plan_step *step = t->step;
    clg_status status = CLG_OK;
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        bool wide = cpu_section_is_wide(t, section->kind);
        for (int32_t i = section->first; i < section->first + section->count && status == CLG_OK; i++) {
            status = check(step, i);
            if (status != CLG_OK)
                return status;
            if (!wide || is_one(t, vectors, flags, i))
                flags[i] |= CPU_ONE;
            if (section->kind == SECTION_ONCE)
                flags[i] |= CPU_STAYS;
            note_reads(t, vectors, section, i, last_use, flags);
        }
    }
    return CLG_OK;
}
