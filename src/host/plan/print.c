/* Prints a plan for people and for golden tests: the schedule with its bodies, and the memory plan. */
#include "schedule.h"

#include <inttypes.h>

static void print_extents(const plan_step *step, FILE *out)
{
    fputc('(', out);
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        fprintf(out, "%s%" PRId64, d == 0 ? "" : d == step->outer_rank ? " | " : ", ", step->extent[d]);
    fputc(')', out);
}

static void print_buffer(const plan *p, int32_t buffer, FILE *out)
{
    static const char *const kinds[] = {"leaf", "output", "arena"};
    fprintf(out, "%s %%%d", kinds[p->buffers[buffer].kind], (int)p->buffers[buffer].node);
}

/* Over the first rank dimensions: an operand's are all. */
static void print_form(const plan_step *step, const plan_access *access, int rank, FILE *out)
{
    fprintf(out, "[%" PRId64, access->offset);
    for (int d = 0; d < rank; d++)
        fprintf(out, " %+" PRId64 "i%d", access->stride[d], d);
    for (int32_t i = 0; i < access->bound_count; i++) {
        const plan_bound *bound = &step->bounds[access->first_bound + i];
        fprintf(out, ", %" PRId64 "<=", bound->lo);
        for (int d = 0, terms = 0; d < rank; d++)
            if (bound->coef[d] == 1)
                fprintf(out, terms++ ? "+i%d" : "i%d", d);
            else if (bound->coef[d])
                fprintf(out, terms++ ? "%+" PRId64 "i%d" : "%" PRId64 "i%d", bound->coef[d], d);
        fprintf(out, "<%" PRId64, bound->hi);
    }
    fputc(']', out);
}

/* Of the body, which in a contraction knows no inner positions. */
static void print_access(const plan_step *step, const plan_access *access, FILE *out)
{
    print_form(step, access, step->outer_rank + (step->kind == STEP_LOOP ? step->inner_rank : 0), out);
}

static void print_instr(const plan *p, const plan_step *step, int32_t i, FILE *out)
{
    const plan_instr *in = &step->instrs[i];
    if (in->kind == INSTR_STORE) {
        fprintf(out, "      store r%d to ", (int)in->src[0]);
        print_buffer(p, in->buffer, out);
        print_access(step, &step->accesses[in->access], out);
        fputc('\n', out);
        return;
    }
    fprintf(out, "      r%-3d %-3s = ", (int)i, clg_dtype_name((clg_dtype)in->dtype));
    switch ((plan_instr_kind)in->kind) {
    case INSTR_CONST:
        fprintf(out, "%.9g", in->value);
        break;
    case INSTR_IOTA:
        fprintf(out, "position ");
        print_access(step, &step->accesses[in->access], out);
        break;
    case INSTR_LOAD:
        fprintf(out, "load ");
        print_buffer(p, in->buffer, out);
        print_access(step, &step->accesses[in->access], out);
        if (in->src[0] >= 0)
            fprintf(out, " row r%d", (int)in->src[0]);
        break;
    case INSTR_MASK:
        fprintf(out, "r%d or %.9g ", (int)in->src[0], in->value);
        print_access(step, &step->accesses[in->access], out);
        break;
    case INSTR_PRODUCT:
        fprintf(out, "product");
        break;
    default:
        fprintf(out, "%s%s", in->kind == INSTR_REDUCE ? "reduce " : "", clg_ops[in->op].name);
        for (int s = 0; s < 3; s++)
            if (in->src[s] >= 0)
                fprintf(out, " r%d", (int)in->src[s]);
    }
    fputc('\n', out);
}

static void print_prologues(const plan_step *step, FILE *out)
{
    for (int o = 0; o < 2; o++) {
        const plan *own = step->operand[o].prologue;
        if (own)
            fprintf(out, "    operand %d\n", o);
        for (int32_t k = 0; own && k < own->steps->instr_count; k++)
            print_instr(own, own->steps, k, out);
    }
}

static void print_matrix(const plan *p, const plan_matrix *m, FILE *out)
{
    print_buffer(p, m->buffer, out);
    fprintf(out, "[%" PRId64 " %+" PRId64 "b %+" PRId64 "i %+" PRId64 "j]", m->offset, m->batch_stride, m->row_stride,
            m->column_stride);
}

static void print_step(const plan *p, int32_t i, FILE *out)
{
    static const char *const sections[] = {"once", "outer", "inner"};
    const plan_step *step = &p->steps[i];
    fprintf(out, "step %d: %s ", (int)i, plan_step_name(step));
    if (step->is_matmul) {
        const plan_matmul x = plan_step_matmul(step);
        fprintf(out, "(%" PRId64 ", %" PRId64 ", %" PRId64 ") over %" PRId64 ": ", x.batch, x.m, x.n, x.k);
        print_matrix(p, &x.a, out);
        fprintf(out, " x ");
        print_matrix(p, &x.b, out);
    } else if (step->kind == STEP_CONTRACT) {
        print_extents(step, out);
        for (int o = 0; o < 2; o++) {
            fprintf(out, o ? " x " : ": ");
            print_buffer(p, step->operand[o].buffer, out);
            print_form(step, &step->accesses[step->operand[o].access], step->outer_rank + step->inner_rank, out);
        }
    } else if (step->kind == STEP_ARRAY) {
        const plan_array *a = &step->array;
        fprintf(out, "%s%s (%" PRId64 ", %" PRId64 ", %" PRId64 ")", clg_ops[a->op].name, a->reverse ? " reversed" : "",
                a->outer, a->length, a->inner);
        if (a->results != a->length)
            fprintf(out, " to %" PRId64, a->results);
        if (a->pieces > 1)
            fprintf(out, " in %" PRId64 " pieces", a->pieces);
        fprintf(out, ": ");
        print_buffer(p, a->result, out);
    } else {
        print_extents(step, out);
        if (step->splits > 1)
            fprintf(out, " in %" PRId64 " pieces", step->splits);
        if (step->inner_rank)
            fprintf(out, plan_lanes_inner(step) ? ", by rows" : ", by columns");
    }
    fputc('\n', out);
    print_prologues(step, out);
    for (int32_t s = 0; s < step->section_count; s++) {
        fprintf(out, "    %s\n", sections[step->sections[s].kind]);
        for (int32_t k = 0; k < step->sections[s].count; k++)
            print_instr(p, step, step->sections[s].first + k, out);
    }
}

void plan_print_schedule(const plan *p, FILE *out)
{
    for (int32_t i = 0; i < p->step_count; i++)
        print_step(p, i, out);
}

void plan_print_memory(const plan *p, FILE *out)
{
    fprintf(out, "arena %" PRId64 " bytes, at least %" PRId64 " alive at once\n", p->arena_bytes, p->arena_lower_bound);
    fprintf(out, "%-8s %-5s %14s %14s  %s\n", "node", "dtype", "bytes", "offset", "steps");
    for (int32_t b = 0; b < p->buffer_count; b++) {
        const plan_buffer *buffer = &p->buffers[b];
        if (buffer->kind == BUFFER_ARENA)
            fprintf(out, "%%%-7d %-5s %14" PRId64 " %14" PRId64 "  %d-%d\n", (int)buffer->node,
                    clg_dtype_name(buffer->dtype), buffer->bytes, buffer->offset, (int)buffer->first,
                    (int)buffer->last);
    }
}
