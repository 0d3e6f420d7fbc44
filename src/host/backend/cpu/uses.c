/* What is known of a body's registers before it is compiled: where each is read last, and which of them hold one value
 * for all lanes. Such a value stays a scalar, which most operations take as it is; only readers that want lanes make
 * the tape spread it over a block. */
#include "cpu.h"

bool cpu_section_is_wide(const cpu_tape *t, plan_section_kind kind)
{
    return kind == SECTION_INNER || (kind == SECTION_OUTER && !t->lanes_inner);
}

/* The dimensions along which lanes run. */
static uint32_t lane_dims(const cpu_tape *t)
{
    const uint32_t outer = (1u << t->step->outer_rank) - 1;
    return t->lanes_inner ? ~outer : outer;
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
    return in->kind == INSTR_LOAD && in->src[0] >= 0 && flags[in->src[0]] & CPU_ONE &&
           step->accesses[in->access].bound_count == 0;
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
        return in->src[0] < 0 && t->step->accesses[in->access].bound_count == 0 &&
               !(t->step->facts[i].dims & lane_dims(t));
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

/* ---------------------------------------------------------------- pairs of maps in one entry */

cpu_fn cpu_join_find(const plan_step *step, const cpu_vectors *vectors, const uint8_t *flags, int32_t first,
                     int32_t second, int32_t src[4])
{
    const plan_instr *a = &step->instrs[first], *b = &step->instrs[second];
    const cpu_join *row = vectors->joins, *end = row + vectors->join_count;
    while (row < end && !(row->first == a->op && row->second == b->op && b->src[row->operand] == first))
        row++;
    if (row == end)
        return NULL;
    int count = 0;
    uint32_t form = 0;
    for (int k = 0; k < clg_ops[a->op].arity; k++)
        src[count++] = a->src[k];
    for (int k = 0; k < clg_ops[b->op].arity; k++)
        if (k != row->operand)
            src[count++] = b->src[k];
    for (int k = 0; k < count; k++)
        form |= flags[src[k]] & CPU_ONE ? 1u << k : 0;
    while (count < 4)
        src[count++] = -1;
    return form < CPU_JOIN_FORMS ? row->form[form] : NULL;
}

enum { NOBODY = -1, SEVERAL = -2 };

/* Of each register: NOBODY, SEVERAL or the one instruction that reads it, once. */
static void find_readers(const plan_step *step, int32_t *reader)
{
    for (int32_t i = 0; i < step->instr_count; i++)
        for (int k = 0; k < 3; k++) {
            int32_t reg = step->instrs[i].src[k];
            if (reg >= 0)
                reader[reg] = reader[reg] == NOBODY ? i : SEVERAL;
        }
}

static bool maps_f32(const plan_step *step, int32_t i)
{
    const plan_instr *in = &step->instrs[i];
    return in->kind == INSTR_MAP && step->instrs[in->src[clg_ops[in->op].arity - 1]].dtype == CLG_F32;
}

/* Joins maps of a section with lanes to their only readers; each takes part in one pair. */
static void join_section(const plan_step *step, const cpu_vectors *vectors, const plan_section *section,
                         const uint8_t *flags, const int32_t *reader, int32_t *join)
{
    int32_t src[4], end = section->first + section->count;
    for (int32_t i = section->first; i < end; i++) {
        int32_t by = reader[i];
        if (by < 0 || by >= end || join[i] >= 0 || join[by] >= 0 || (flags[i] | flags[by]) & CPU_ONE)
            continue;
        if (maps_f32(step, i) && maps_f32(step, by) && cpu_join_find(step, vectors, flags, i, by, src))
            join[i] = by, join[by] = i;
    }
}

/* ---------------------------------------------------------------- the whole body */

/* Notes that instruction i, in a section from first to end, reads its operands. */
static void note_reads(const cpu_tape *t, const cpu_vectors *vectors, const plan_section *section, int32_t i,
                       int32_t *last_use, uint8_t *flags, const int32_t *join)
{
    const plan_instr *in = &t->step->instrs[i];
    bool lanes =
        cpu_section_is_wide(t, section->kind) && t->lanes > 1 && !(in->kind == INSTR_MAP && flags[i] & CPU_ONE);
    uint32_t uniform = lanes && in->kind == INSTR_MAP ? cpu_uniform_operands(t->step, vectors, flags, i)
                                                      : cpu_loads_one_row(t->step, flags, i);
    int32_t when = join[i] > i ? join[i] : i; /* it happens */
    for (int k = 0; k < 3; k++) {
        int32_t reg = in->src[k];
        if (reg < 0)
            continue;
        bool local = reg >= section->first && t->step->instrs[reg].kind != INSTR_REDUCE;
        int32_t use = local || t->straight ? when : section->first + section->count;
        last_use[reg] = use > last_use[reg] ? use : last_use[reg];
        if (lanes && join[i] < 0 && flags[reg] & CPU_ONE && !(uniform >> k & 1))
            flags[reg] |= CPU_SPREAD;
    }
}

clg_status cpu_uses_find(const cpu_tape *t, const cpu_vectors *vectors, int32_t *last_use, uint8_t *flags,
                         int32_t *join)
{
    const plan_step *step = t->step;
    clg_status status = CLG_OK;
    int32_t *reader = last_use; /* until it is known where each is read last */
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
        }
    }
    if (t->lanes > 1) {
        find_readers(step, reader);
        for (int32_t s = 0; s < step->section_count; s++)
            if (cpu_section_is_wide(t, step->sections[s].kind))
                join_section(step, vectors, &step->sections[s], flags, reader, join);
        for (int32_t i = 0; i < step->instr_count; i++)
            last_use[i] = NOBODY;
    }
    for (int32_t s = 0; s < step->section_count; s++) {
        const plan_section *section = &step->sections[s];
        for (int32_t i = section->first; i < section->first + section->count; i++)
            note_reads(t, vectors, section, i, last_use, flags, join);
    }
    return CLG_OK;
}
