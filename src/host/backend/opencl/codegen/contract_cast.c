/* A CONTRACT step on a CPU device that is no matrix product and has operands that are casts: they are cast into scratch
 * memory before, and read there. The kernels of contract.c and contract_lines.c read an operand's elements once for
 * each vector that they meet, where casts would take longer than the rest. Scratch memory is all steps', so that what
 * is kept between them stays as small as its dtype. */
#include "body.h"
#include "codegen.h"

#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 8,
    CHUNK = 4096, /* elements that a work-item casts */
    ALIGNED = 16  /* elements to which operands in scratch memory are aligned */
};

/* The step as if its operands were in a buffer more of the plan. */
typedef struct casts {
    plan schedule;
    plan_step step;
    int64_t count; /* elements of that buffer */
} casts;

static clg_status add_cast(casts *c, const plan_buffer *from, int32_t buffer, kernel_list *list)
{
    const bool wide = c->count + from->count + CHUNK >= INDEX32_LIMIT;
    const body_suffix_text v = body_suffix(c->step.dtype, WIDTH);
    kernel_numbers numbers = {.wide = wide};
    kernel_launch *added = NULL;
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n#define W %d\n#define CHUNK %d\n", body_suffix(c->step.dtype, 1).s,
             wide ? "long" : "int", WIDTH, CHUNK);
    text_add(&t, "#define AT(space, p) VECTOR_AT(space, %s, p)\n", v.s);
    body_define_operand(&t, "IN", from->dtype, c->step.dtype, WIDTH);
    text_add_skeleton(&t, "cast.cl", NULL, NULL, 0);
    numbers.items[numbers.count++] = (kernel_number){.kind = NUMBER_SIZE, .index = from->count};
    numbers.items[numbers.count++] = (kernel_number){.kind = NUMBER_SIZE, .index = c->count};
    numbers.items[numbers.count++] = (kernel_number){.kind = NUMBER_IDLE};
    clg_status status = kernel_add(list, &t, (int32_t[]){buffer, ARGUMENT_SCRATCH}, 2, NULL, 0, &numbers, &added);
    if (status == CLG_OK)
        added->global[0] = (size_t)divide_up(from->count, CHUNK);
    return status;
}

/* Casts the operands, and lets the step read them at other accesses. */
static clg_status add_casts(casts *c, const plan *schedule, kernel_list *list)
{
    const int32_t scratch = schedule->buffer_count;
    clg_status status = CLG_OK;
    for (int o = 0; o < 2 && status == CLG_OK; o++) {
        plan_operand *operand = &c->step.operand[o];
        if (!operand->prologue)
            continue;
        status = add_cast(c, &schedule->buffers[operand->buffer], operand->buffer, list);
        plan_access *access = &c->step.accesses[c->step.access_count];
        *access = c->step.accesses[operand->access];
        access->offset += c->count;
        c->count += divide_up(schedule->buffers[operand->buffer].count, ALIGNED) * ALIGNED;
        *operand = (plan_operand){.buffer = scratch, .access = c->step.access_count++, .dims = operand->dims};
    }
    const int64_t bytes = c->count * (int64_t)clg_dtype_size(c->step.dtype);
    c->schedule.buffers[scratch] =
        (plan_buffer){.kind = BUFFER_ARENA, .dtype = c->step.dtype, .count = c->count, .bytes = bytes};
    c->schedule.buffer_count++;
    list->scratch_bytes = larger(list->scratch_bytes, bytes);
    return status;
}

clg_status contract_cast_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    const size_t buffers = (size_t)schedule->buffer_count, accesses = (size_t)step->access_count;
    casts c = {.schedule = *schedule, .step = *step};
    c.schedule.buffers = malloc((buffers + 1) * sizeof *c.schedule.buffers);
    c.step.accesses = malloc((accesses + 2) * sizeof *c.step.accesses);
    c.schedule.steps = &c.step;
    clg_status status = c.schedule.buffers && c.step.accesses ? CLG_OK : clg_fail_memory();
    if (status == CLG_OK) {
        memcpy(c.schedule.buffers, schedule->buffers, buffers * sizeof *c.schedule.buffers);
        memcpy(c.step.accesses, step->accesses, accesses * sizeof *c.step.accesses);
        status = add_casts(&c, schedule, list);
    }
    if (status == CLG_OK)
        status = contract_has_lines(target, &c.step) ? contract_lines_kernels(target, &c.schedule, 0, list)
                                                     : contract_kernels(target, &c.schedule, 0, list);
    for (int32_t i = 0; i < list->count; i++)
        for (int a = 0; a < list->items[i].argument_count; a++)
            if (list->items[i].arguments[a] == schedule->buffer_count)
                list->items[i].arguments[a] = ARGUMENT_SCRATCH;
    free(c.schedule.buffers);
    free(c.step.accesses);
    return status;
}
