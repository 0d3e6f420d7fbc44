/* From a plan's step to a tape: slots given to registers by one scan over the straight-line body, loads turned into
 * views and results computed straight into their destination where nothing else touches that memory meanwhile,
 * uniform values spread over a block once. Linear in the length of the body. */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

typedef struct builder {
    const plan *p;
    const plan_step *step;
    char *const *address;
    const cpu_vectors *vectors;
    cpu_tape *tape;
    /* for each register */
    int32_t *slot;     /* -1: none */
    int32_t *fill;     /* slot of its one value's copies over a block, for readers that want lanes; -1: none */
    int32_t *last_use; /* instruction that reads it last; -1 */
    int32_t *direct;   /* the STORE that its MAP does: into the destination, or a copy right after it; -1 */
    int32_t *join;     /* the instruction with which it shares an entry; -1 */
    uint8_t *flags;    /* uses.c */
    /* slots that are free, as lists through next */
    int32_t *next;
    int32_t next_capacity;
    int32_t free[SLOT_KINDS];
    cpu_spans spans;
    plan_section_kind section; /* being compiled */
    int32_t section_first, section_end;
    bool wide; /* the section has lanes */
} builder;

static int dtype_bytes(int dtype) { return (int)clg_dtype_size((clg_dtype)dtype); }

/* ---------------------------------------------------------------- slots and entries */

/* A slot that nothing else uses: for values that are written before the first section runs, and stay. */
static clg_status new_slot(builder *b, cpu_slot_kind kind, int32_t *slot)
{
    cpu_tape *t = b->tape;
    if (!ARRAY_ROOM(t->slot_kind, t->slot_count, t->slot_capacity) ||
        !ARRAY_ROOM(b->next, t->slot_count, b->next_capacity))
        return clg_fail_memory();
    t->slot_kind[t->slot_count] = (uint8_t)kind;
    *slot = t->slot_count++;
    return CLG_OK;
}

static clg_status take_slot(builder *b, cpu_slot_kind kind, int32_t *slot)
{
    if (b->free[kind] < 0)
        return new_slot(b, kind, slot);
    *slot = b->free[kind];
    b->free[kind] = b->next[*slot];
    return CLG_OK;
}

static void give_slot(builder *b, int32_t slot)
{
    cpu_slot_kind kind = b->tape->slot_kind[slot];
    b->next[slot] = b->free[kind];
    b->free[kind] = slot;
}

static clg_status emit_once(builder *b, cpu_entry entry)
{
    cpu_tape *t = b->tape;
    if (!ARRAY_ROOM(t->once, t->once_count, t->once_capacity))
        return clg_fail_memory();
    t->once[t->once_count++] = entry;
    return CLG_OK;
}

static clg_status emit(builder *b, cpu_entry entry)
{
    cpu_tape *t = b->tape;
    if (b->section == SECTION_ONCE)
        return emit_once(b, entry);
    if (!ARRAY_ROOM(t->entries, t->entry_count, t->entry_capacity))
        return clg_fail_memory();
    t->entries[t->entry_count++] = entry;
    return CLG_OK;
}

/* Registers that may die: all uses within the section that defines them, or before it runs again. */
static bool is_local(const builder *b, int32_t reg)
{
    if (b->tape->straight)
        return !(b->flags[reg] & CPU_STAYS) && b->step->instrs[reg].kind != INSTR_REDUCE;
    return reg >= b->section_first && b->last_use[reg] < b->section_end && b->step->instrs[reg].kind != INSTR_REDUCE;
}

/* Frees the sources whose last use is instruction i's entry and whose elements have a size (0: any). */
static void free_sources(builder *b, int32_t i, int size)
{
    const int32_t *src = b->step->instrs[i].src, *joined = b->join[i] >= 0 ? b->step->instrs[b->join[i]].src : src;
    for (int s = 0; s < 6; s++) {
        int32_t reg = s < 3 ? src[s] : joined[s - 3];
        if (reg < 0 || b->last_use[reg] != i || !is_local(b, reg) || b->slot[reg] < 0)
            continue;
        if (size == 0 || dtype_bytes(b->step->instrs[reg].dtype) == size) {
            give_slot(b, b->slot[reg]);
            b->slot[reg] = -1;
        }
    }
}

/* The slot from which the section being compiled reads a register. */
static int32_t source(const builder *b, int32_t reg)
{
    if (reg < 0)
        return -1;
    return b->wide && b->fill[reg] >= 0 ? b->fill[reg] : b->slot[reg];
}

static clg_status define(builder *b, int32_t i, cpu_slot_kind kind) { return take_slot(b, kind, &b->slot[i]); }

/* Where a register's value is, if not in a buffer. */
static cpu_slot_kind memory_kind(const builder *b, int32_t reg)
{
    return b->flags[reg] & CPU_ONE ? SLOT_SCALAR : SLOT_BLOCK;
}

/* After a register has its value: spreads it over a block for readers that want lanes of it. */
static clg_status spread(builder *b, int32_t reg, bool once)
{
    if (!(b->flags[reg] & CPU_SPREAD))
        return CLG_OK;
    cpu_entry entry = {cpu_fill, -1, b->slot[reg], dtype_bytes(b->step->instrs[reg].dtype), -1, -1};
    clg_status status = once ? new_slot(b, SLOT_BLOCK, &b->fill[reg]) : take_slot(b, SLOT_BLOCK, &b->fill[reg]);
    entry.d = b->fill[reg];
    return status != CLG_OK ? status : once ? emit_once(b, entry) : emit(b, entry);
}

/* ---------------------------------------------------------------- what is known before the scan */

static clg_status bad_body(int32_t i, const char *what)
{
    return clg_fail(CLG_ERROR_ARGUMENT, "plan: instruction %d: %s", (int)i, what);
}

static bool is_contiguous(const cpu_tape *t, const cpu_access *x)
{
    return x->bound_count == 0 && (x->lane_rank == 0 || (x->lane_rank == 1 && t->dims[x->lane_first].stride == 1));
}

/* A MAP can do the STORE of its result, in the same section, if nothing reads or writes that memory between the two. */
static void find_direct(builder *b, int32_t i)
{
    const plan_instr *store = &b->step->instrs[i];
    int32_t reg = store->src[0], count;
    if (reg < b->section_first || b->step->instrs[reg].kind != INSTR_MAP || b->direct[reg] >= 0 ||
        (b->wide && b->tape->lanes > 1 && b->flags[reg] & CPU_ONE))
        return;
    const cpu_span *span = cpu_spans_find(&b->spans, b->p, b->address, store->buffer, &count);
    if (count == 1 && span->stores == 1 && span->load_last <= reg)
        b->direct[reg] = i;
}

/* ---------------------------------------------------------------- instructions */

/* Whether a load's register may point into the buffer: no store there between the load and its last use. */
static bool may_view(const builder *b, int32_t i)
{
    int32_t count;
    const cpu_span *span = cpu_spans_find(&b->spans, b->p, b->address, b->step->instrs[i].buffer, &count);
    for (; count > 0; count--, span++)
        if (span->last > i && span->first < b->last_use[i])
            return false;
    return true;
}

static clg_status compile_load(builder *b, int32_t i)
{
    const plan_instr *instr = &b->step->instrs[i];
    cpu_tape *t = b->tape;
    int32_t index, met;
    clg_status status = cpu_access_add(t, instr, b->section, &index);
    if (status != CLG_OK)
        return status;
    const cpu_access *x = &t->accesses[index];
    bool rows = instr->kind == INSTR_LOAD && instr->src[0] >= 0, whole = x->bound_count == 0, once = false;
    bool one = b->wide && t->lanes > 1 && b->flags[i] & CPU_ONE;
    cpu_entry entry = {cpu_load_walk, -1, index, source(b, rows ? instr->src[0] : -1), -1, -1};
    cpu_slot_kind kind = memory_kind(b, i);
    if (instr->kind == INSTR_IOTA) {
        entry.run = cpu_iota;
        once = t->straight && b->wide && x->loop_rank == 0; /* the same in every row */
        entry.c = once;
    } else if (cpu_loads_one_row(b->step, b->flags, i)) {
        entry.run = cpu_load_row;
        entry.b = b->slot[instr->src[0]];
    } else if (rows) {
        entry.run = cpu_load_rows;
    } else if (whole) {
        cpu_spans_find(&b->spans, b->p, b->address, instr->buffer, &met);
        once = one && x->loop_rank == 0 && met == 0; /* one value for the whole step */
        if ((one || is_contiguous(t, x)) && may_view(b, i))
            entry.run = cpu_load_view, kind = SLOT_VIEW;
        else if (one)
            entry.run = cpu_load_one;
    }
    status = once ? new_slot(b, kind, &b->slot[i]) : define(b, i, kind);
    entry.d = b->slot[i];
    if (once)
        b->flags[i] |= CPU_STAYS, b->last_use[i] = b->step->instr_count; /* never freed */
    if (status == CLG_OK)
        status = once ? emit_once(b, entry) : emit(b, entry);
    return status == CLG_OK ? spread(b, i, once) : status;
}

static clg_status compile_mask(builder *b, int32_t i)
{
    const plan_instr *instr = &b->step->instrs[i];
    int32_t index, from = instr->src[0] < 0 ? -1 : source(b, instr->src[0]);
    if (from < 0 || b->step->instrs[instr->src[0]].dtype != instr->dtype)
        return bad_body(i, "a mask needs a register of its dtype");
    clg_status status = cpu_access_add(b->tape, instr, b->section, &index);
    free_sources(b, i, dtype_bytes(instr->dtype)); /* the result may take the operand's place */
    if (status == CLG_OK)
        status = define(b, i, memory_kind(b, i));
    if (status == CLG_OK)
        status = emit(b, (cpu_entry){cpu_mask, b->slot[i], index, from, -1, -1});
    return status == CLG_OK ? spread(b, i, false) : status;
}

/* Constants are written once a thread. */
static clg_status compile_const(builder *b, int32_t i)
{
    const plan_instr *instr = &b->step->instrs[i];
    cpu_tape *t = b->tape;
    if (!ARRAY_ROOM(t->constants, t->constant_count, t->constant_capacity))
        return clg_fail_memory();
    int32_t index = t->constant_count++;
    t->constants[index] = instr->value;
    clg_status status = new_slot(b, SLOT_SCALAR, &b->slot[i]);
    b->last_use[i] = b->step->instr_count; /* never freed */
    if (status == CLG_OK)
        status = emit_once(b, (cpu_entry){cpu_constant, b->slot[i], index, instr->dtype, -1, -1});
    return status == CLG_OK ? spread(b, i, true) : status;
}

/* Two bindings may be one piece of memory, of which the plan knows nothing. */
static bool may_stream(const builder *b, int32_t i)
{
    const plan_instr *store = &b->step->instrs[i];
    return b->wide && b->step->facts[i].streams && cpu_spans_alone(&b->spans, b->p, b->address, store->buffer);
}

/* From its register to a view of the destination. */
static clg_status stream(builder *b, int32_t i, int32_t access)
{
    int32_t view = -1, size = dtype_bytes(b->step->instrs[i].dtype);
    b->tape->streams = true;
    clg_status status = take_slot(b, SLOT_VIEW, &view);
    if (status == CLG_OK)
        status = emit(b, (cpu_entry){cpu_store_view, view, -1, access, -1, -1});
    if (status == CLG_OK)
        status = emit(b, (cpu_entry){b->vectors->stream, view, source(b, b->step->instrs[i].src[0]), size, -1, -1});
    if (status == CLG_OK)
        give_slot(b, view);
    return status;
}

/* The entry of a MAP, joined or not, without its destination. */
static clg_status map_entry(const builder *b, int32_t i, cpu_entry *entry)
{
    const plan_instr *instr = &b->step->instrs[i];
    const op_row *row = &clg_ops[instr->op];
    clg_dtype from = (clg_dtype)b->step->instrs[instr->src[row->arity - 1]].dtype;
    int32_t src[4] = {instr->src[0], instr->src[1], instr->src[2], -1};
    uint32_t form = cpu_uniform_operands(b->step, b->vectors, b->flags, i);
    if (b->join[i] >= 0)
        entry->run = cpu_join_find(b->step, b->vectors, b->flags, b->join[i], i, src);
    else
        entry->run = row->types == TYPES_CAST ? b->vectors->cast[from][instr->dtype][form]
                                              : b->vectors->map[instr->op][from][form];
    if (!entry->run)
        return clg_fail(CLG_ERROR_UNSUPPORTED, "%s is not defined for %s", row->name, clg_dtype_name(from));
    for (int k = 0; k < 4; k++) {
        bool one = src[k] >= 0 && (b->join[i] >= 0 ? b->flags[src[k]] & CPU_ONE : form >> k & 1);
        src[k] = one ? b->slot[src[k]] : source(b, src[k]);
    }
    entry->a = src[0], entry->b = src[1], entry->c = src[2], entry->x = src[3];
    return CLG_OK;
}

static clg_status compile_map(builder *b, int32_t i)
{
    const plan_instr *instrs = b->step->instrs;
    cpu_entry entry;
    if (b->join[i] > i)
        return CLG_OK; /* the other one computes it */
    clg_status status = map_entry(b, i, &entry);
    int32_t store = b->direct[i], access = -1;
    if (status == CLG_OK && store >= 0)
        status = cpu_access_add(b->tape, &instrs[store], b->section, &access);
    if (status != CLG_OK)
        return status;
    if (store >= 0 && !is_contiguous(b->tape, &b->tape->accesses[access])) { /* not a view after all */
        b->direct[i] = store = -1;
        b->tape->access_count--;
    }
    bool streamed = store >= 0 && may_stream(b, store), in_place = store >= 0 && !streamed;
    if (in_place)
        status = define(b, i, SLOT_VIEW);
    if (in_place && status == CLG_OK)
        status = emit(b, (cpu_entry){cpu_store_view, b->slot[i], -1, access, -1, -1});
    free_sources(b, i, dtype_bytes(instrs[i].dtype)); /* a result may take the place of an operand of its size */
    if (!in_place && status == CLG_OK)
        status = define(b, i, memory_kind(b, i));
    entry.d = b->slot[i];
    if (status == CLG_OK)
        status = emit(b, entry);
    if (status == CLG_OK && streamed)
        status = stream(b, store, access);
    return status == CLG_OK ? spread(b, i, false) : status;
}

static clg_status compile_store(builder *b, int32_t i)
{
    const plan_instr *instr = &b->step->instrs[i];
    int32_t reg = instr->src[0], access;
    if (reg < 0 || b->step->instrs[reg].dtype != instr->dtype)
        return bad_body(i, "a store needs a register of the buffer's dtype");
    if (b->direct[reg] == i || (b->step->instrs[reg].kind == INSTR_PRODUCT && b->tape->product_store == i))
        return CLG_OK; /* it is there already */
    if (b->section == SECTION_ONCE)
        b->tape->serial = true;
    clg_status status = cpu_access_add(b->tape, instr, b->section, &access);
    if (status == CLG_OK && may_stream(b, i) && is_contiguous(b->tape, &b->tape->accesses[access]))
        return stream(b, i, access);
    return status != CLG_OK ? status : emit(b, (cpu_entry){cpu_store_walk, -1, source(b, reg), access, -1, -1});
}

/* A reduction in the body: add. Its slots exist since the section began. */
static clg_status compile_reduce(builder *b, int32_t i, int32_t total)
{
    const plan_instr *instr = &b->step->instrs[i];
    const cpu_reducer *reducer = &b->vectors->reduce[instr->op][instr->dtype];
    cpu_fn run = b->tape->lanes_inner ? reducer->row_add : reducer->tile_add;
    return emit(b, (cpu_entry){run, b->slot[i], total, source(b, instr->src[0]), -1, -1});
}

static clg_status compile_instr(builder *b, int32_t i)
{
    clg_status status = CLG_OK;
    switch ((plan_instr_kind)b->step->instrs[i].kind) {
    case INSTR_CONST:
        status = compile_const(b, i);
        break;
    case INSTR_IOTA:
    case INSTR_LOAD:
        status = compile_load(b, i);
        break;
    case INSTR_MASK:
        status = compile_mask(b, i);
        break;
    case INSTR_PRODUCT:
        status = define(b, i, SLOT_VIEW);
        if (status == CLG_OK)
            status = emit(b, (cpu_entry){cpu_product, b->slot[i], -1, -1, -1, -1});
        break;
    case INSTR_MAP:
        status = compile_map(b, i);
        break;
    case INSTR_STORE:
        status = compile_store(b, i);
        break;
    case INSTR_REDUCE:
        return bad_body(i, "a reduction outside an inner section");
    }
    if (status != CLG_OK)
        return status;
    free_sources(b, i, 0);
    if (b->last_use[i] < 0 && b->slot[i] >= 0)
        give_slot(b, b->slot[i]); /* nobody reads it */
    return CLG_OK;
}

/* ---------------------------------------------------------------- sections */

static cpu_range range_from(const builder *b, int32_t first)
{
    return (cpu_range){first, b->tape->entry_count - first};
}

typedef enum reduce_part { PART_INIT, PART_FLUSH, PART_FINISH } reduce_part;

/* One part of every reduction of the section. totals[]: the slots of their totals, in order. */
static clg_status emit_reduce_part(builder *b, const int32_t *totals, reduce_part part)
{
    bool rows = b->tape->lanes_inner;
    clg_status status = CLG_OK;
    for (int32_t i = b->section_first, k = 0; i < b->section_end && status == CLG_OK; i++) {
        const plan_instr *instr = &b->step->instrs[i];
        if (instr->kind != INSTR_REDUCE)
            continue;
        const cpu_reducer *reducer = &b->vectors->reduce[instr->op][instr->dtype];
        cpu_fn run = part == PART_INIT    ? (rows ? reducer->row_init : reducer->tile_init)
                     : part == PART_FLUSH ? (rows ? NULL : reducer->tile_flush)
                                          : (rows ? reducer->row_finish : reducer->tile_finish);
        if (run)
            status = emit(b, (cpu_entry){run, b->slot[i], totals[k], -1, -1, -1});
        if (status == CLG_OK && part == PART_FINISH)
            status = spread(b, i, false);
        k++;
    }
    return status;
}

static clg_status take_reduce_slots(builder *b, int32_t **totals)
{
    bool rows = b->tape->lanes_inner;
    int32_t count = 0;
    for (int32_t i = b->section_first; i < b->section_end; i++)
        count += b->step->instrs[i].kind == INSTR_REDUCE;
    *totals = malloc((size_t)(count ? count : 1) * sizeof **totals);
    if (!*totals)
        return clg_fail_memory();
    clg_status status = CLG_OK;
    for (int32_t i = b->section_first, k = 0; i < b->section_end && status == CLG_OK; i++) {
        const plan_instr *instr = &b->step->instrs[i];
        if (instr->kind != INSTR_REDUCE)
            continue;
        if (instr->op >= OP_COUNT || !b->vectors->reduce[instr->op][instr->dtype].row_add || instr->src[0] < 0 ||
            b->step->instrs[instr->src[0]].dtype != instr->dtype)
            return bad_body(i, "not a reduction of a register of its dtype");
        status = take_slot(b, rows ? SLOT_SCALAR : SLOT_BLOCK, &b->slot[i]);
        if (status == CLG_OK)
            status = take_slot(b, rows ? SLOT_SCALAR : SLOT_WIDE, &(*totals)[k++]);
    }
    return status;
}

static clg_status compile_inner(builder *b, cpu_phase *phase)
{
    cpu_tape *t = b->tape;
    int32_t *totals = NULL, first = t->entry_count;
    clg_status status = take_reduce_slots(b, &totals);
    if (status == CLG_OK)
        status = emit_reduce_part(b, totals, PART_INIT);
    phase->init = range_from(b, first);
    first = t->entry_count;
    bool empty = b->step->inner_count == 0;
    for (int32_t i = b->section_first, k = 0; i < b->section_end && status == CLG_OK && !empty; i++) {
        if (b->step->instrs[i].kind != INSTR_REDUCE) {
            status = compile_instr(b, i);
        } else {
            status = compile_reduce(b, i, totals[k++]);
            free_sources(b, i, 0);
        }
    }
    phase->body = range_from(b, first);
    first = t->entry_count;
    if (status == CLG_OK)
        status = emit_reduce_part(b, totals, PART_FLUSH);
    phase->flush = range_from(b, first);
    first = t->entry_count;
    if (status == CLG_OK)
        status = emit_reduce_part(b, totals, PART_FINISH);
    phase->finish = range_from(b, first);
    free(totals);
    return status;
}

/* What is done instead of the body, if the section only reduces what it loads, and nothing else reads that. */
static clg_status compile_reduction(builder *b, const plan_section *section, cpu_phase *phase)
{
    const int32_t result = section->first + section->count - 1;
    clg_status status = CLG_OK;
    for (int32_t i = section->first; i < result; i++)
        if (b->last_use[i] > result)
            return CLG_OK;
    if (!(b->flags[result] & CPU_ONE))
        status = cpu_sweep_new(b->p, b->tape, section, b->vectors, b->slot, &phase->sweep);
    if (status == CLG_OK && !(b->flags[result] & CPU_SPREAD))
        status = cpu_dot_new(b->tape, section, b->vectors, b->slot, &phase->dot);
    return status;
}

static clg_status compile_section(builder *b, const plan_section *section, cpu_phase *phase)
{
    b->section = section->kind;
    b->wide = cpu_section_is_wide(b->tape, section->kind);
    b->section_first = section->first;
    b->section_end = section->first + section->count;
    *phase = (cpu_phase){.kind = section->kind};
    for (int32_t i = b->section_first; i < b->section_end; i++)
        if (b->step->instrs[i].kind == INSTR_STORE && b->step->instrs[i].src[0] >= 0)
            find_direct(b, i);
    int32_t first = b->tape->entry_count;
    clg_status status = CLG_OK;
    if (section->kind == SECTION_INNER) {
        status = compile_inner(b, phase);
        return status == CLG_OK ? compile_reduction(b, section, phase) : status;
    }
    for (int32_t i = b->section_first; i < b->section_end && status == CLG_OK; i++)
        status = compile_instr(b, i);
    phase->body = range_from(b, first);
    return status;
}

static clg_status compile(builder *b)
{
    const plan_step *step = b->step;
    clg_status status = cpu_uses_find(b->tape, b->vectors, b->last_use, b->flags, b->join);
    if (status == CLG_OK)
        status = cpu_spans_build(b->p, step, b->address, &b->spans);
    if (status == CLG_OK)
        cpu_spans_add_loads(b->p, step, b->address, b->last_use, &b->spans);
    if (status == CLG_OK && step->kind == STEP_CONTRACT)
        cpu_product_find_store(b->p, b->tape, b->address, b->last_use, &b->spans);
    for (int32_t s = 0; s < step->section_count && status == CLG_OK; s++)
        status = compile_section(b, &step->sections[s], &b->tape->phases[s]);
    if (status == CLG_OK) {
        cpu_ahead_find(b->tape);
        cpu_tape_measure(b->tape);
    }
    return status;
}

/* Compiles tape->step, of which the tape knows how it runs. */
static clg_status build(const plan *p, char *const *address, const cpu_vectors *vectors, cpu_tape *tape)
{
    const plan_step *step = tape->step;
    size_t count = step->instr_count ? (size_t)step->instr_count : 1;
    size_t sections = step->section_count ? (size_t)step->section_count : 1;
    builder b = {.p = p, .step = step, .address = address, .vectors = vectors, .tape = tape, .free = {-1, -1, -1, -1}};
    int32_t *numbers = malloc(5 * count * sizeof *numbers);
    b.flags = calloc(count, 1);
    tape->phases = calloc(sections, sizeof *tape->phases);
    clg_status status = CLG_OK;
    if (!numbers || !b.flags || !tape->phases) {
        status = clg_fail_memory();
    } else {
        memset(numbers, -1, 5 * count * sizeof *numbers);
        b.slot = numbers;
        b.fill = numbers + count;
        b.last_use = numbers + 2 * count;
        b.direct = numbers + 3 * count;
        b.join = numbers + 4 * count;
        status = compile(&b);
    }
    free(numbers);
    free(b.flags);
    free(b.next);
    free(b.spans.span);
    if (status != CLG_OK)
        cpu_tape_free(tape);
    return status;
}

/* Rows whose slots stay well within the second-level cache, all at once. */
#define ROW_SCRATCH (192 * 1024)

clg_status cpu_tape_build(const plan *p, const plan_step *step, char *const *address, const cpu_vectors *vectors,
                          cpu_tape *tape)
{
    bool inner = step->kind == STEP_LOOP && step->inner_rank > 0 && plan_lanes_inner(step);
    cpu_tape plain = {.step = step, .lanes_inner = inner, .product_store = -1, .phase_count = step->section_count};
    plain.lanes = inner ? step->inner_count : step->outer_count;
    if (step->kind == STEP_CONTRACT) {
        plain.contract = cpu_contract_new(p, step);
        if (!plain.contract)
            return CLG_ERROR_MEMORY;
    }
    *tape = plain;
    if (inner && step->splits <= 1 && step->inner_count <= ROW_SCRATCH / 16) {
        clg_status status = cpu_share_sections(step, &tape->shared);
        if (status != CLG_OK)
            return status;
        tape->step = tape->shared;
        tape->straight = true;
        status = build(p, address, vectors, tape);
        if (status != CLG_OK || tape->scratch_bytes <= ROW_SCRATCH)
            return status;
        cpu_tape_free(tape);
        *tape = plain;
    }
    return build(p, address, vectors, tape);
}

void cpu_tape_free(cpu_tape *tape)
{
    free(tape->entries);
    free(tape->once);
    free(tape->accesses);
    free(tape->dims);
    free(tape->bounds);
    free(tape->constants);
    for (int32_t s = 0; tape->phases && s < tape->phase_count; s++) {
        cpu_sweep_free(tape->phases[s].sweep);
        cpu_dot_free(tape->phases[s].dot);
    }
    free(tape->phases);
    free(tape->slot_kind);
    free(tape->shared);
    free(tape->contract);
    *tape = (cpu_tape){0};
}
