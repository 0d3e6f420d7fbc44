/* Making plans, and running them on a backend. */
#include "support_plan.h"
#include "support_dtype.h"

#include "core/ops.h"
#include "plan_reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD 5        /* elements; odd, so that nothing in a buffer is aligned */
#define GUARD_BYTES 64 /* of a binding, behind the buffer */

/* ---------------------------------------------------------------- random numbers */

static uint64_t random_state = 1;

void plan_seed(uint64_t seed) { random_state = seed; }

static uint32_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

int plan_below(int bound) { return (int)(next_random() % (uint32_t)bound); }
double plan_uniform(double lo, double hi) { return lo + (hi - lo) * (double)next_random() / 2147483648.0; }

/* ---------------------------------------------------------------- building plans */

plan_builder *plan_new_builder(void)
{
    plan_builder *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->plan.steps = b->steps;
    b->plan.buffers = b->buffers;
    b->guard = GUARD;
    return b;
}

void plan_free_builder(plan_builder *b)
{
    for (int i = 0; i < b->plan.step_count; i++)
        for (int o = 0; o < 2; o++)
            free(b->functions[i][o].plan.facts);
    free(b->plan.facts);
    free(b);
}

clg_status plan_prepare(const backend *of, backend_device *device, plan_builder *b, backend_buffer *const *bindings,
                        backend_program **program)
{
    clg_status status = plan_analyse(&b->plan);
    for (int i = 0; i < b->plan.step_count; i++)
        for (int o = 0; o < 2 && status == CLG_OK; o++)
            if (b->steps[i].operand[o].prologue)
                status = plan_analyse(b->steps[i].operand[o].prologue);
    return status == CLG_OK ? of->prepare(device, &b->plan, bindings, program) : status;
}

static int add_buffer(plan_builder *b, plan_buffer_kind kind, clg_dtype dtype, int64_t count)
{
    int i = b->plan.buffer_count++;
    assert_true(i < MAX_BUFFERS);
    count += 2 * b->guard;
    b->buffers[i] = (plan_buffer){.kind = kind,
                                  .dtype = dtype,
                                  .count = count,
                                  .bytes = count * (int64_t)clg_dtype_size(dtype),
                                  .binding = kind == BUFFER_ARENA ? -1 : b->plan.binding_count++,
                                  .node = -1};
    b->guards[i] = b->guard;
    b->steps_seeds[i] = b->step_seed;
    return i;
}

void plan_raise_diagonals(plan_builder *b, int leaf, int64_t order, double by)
{
    b->order[leaf] = order;
    b->raised[leaf] = by;
}

int plan_add_leaf(plan_builder *b, clg_dtype dtype, int64_t count, double lo, double hi)
{
    int i = add_buffer(b, BUFFER_LEAF, dtype, count);
    b->lo[i] = lo;
    b->hi[i] = hi;
    b->seeds[i] = ++b->next_seed;
    return i;
}

int plan_add_output(plan_builder *b, clg_dtype dtype, int64_t count)
{
    int i = add_buffer(b, BUFFER_OUTPUT, dtype, count);
    b->lo[i] = b->hi[i] = 77;
    return i;
}

int plan_add_arena(plan_builder *b, clg_dtype dtype, int64_t count, int64_t offset)
{
    int i = add_buffer(b, BUFFER_ARENA, dtype, count);
    b->buffers[i].offset = offset;
    int64_t end = offset + (b->buffers[i].bytes + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
    if (end > b->plan.arena_bytes)
        b->plan.arena_bytes = end;
    return i;
}

plan_step *plan_add_step(plan_builder *b, int outer_rank, int inner_rank, const int64_t *extent)
{
    int i = b->plan.step_count++;
    assert_true(i < MAX_STEPS && outer_rank + inner_rank <= PLAN_MAX_DIMS);
    plan_step *s = &b->steps[i];
    *s = (plan_step){.kind = STEP_LOOP,
                     .outer_rank = outer_rank,
                     .inner_rank = inner_rank,
                     .outer_count = 1,
                     .inner_count = 1,
                     .splits = 1,
                     .instrs = b->instrs[i],
                     .sections = b->sections[i],
                     .accesses = b->accesses[i],
                     .bounds = b->bounds[i],
                     .product = -1};
    for (int d = 0; d < outer_rank + inner_rank; d++) {
        s->extent[d] = extent[d];
        if (d < outer_rank)
            s->outer_count *= extent[d];
        else
            s->inner_count *= extent[d];
    }
    s->inner_piece = s->inner_count;
    return s;
}

void plan_begin_section(plan_step *s, plan_section_kind kind)
{
    assert_true(s->section_count < MAX_SECTIONS);
    s->sections[s->section_count++] = (plan_section){kind, s->instr_count, 0};
}

int plan_add_instr(plan_step *s, plan_instr instr)
{
    assert_true(s->instr_count < MAX_INSTRS);
    s->instrs[s->instr_count] = instr;
    s->sections[s->section_count - 1].count++;
    return s->instr_count++;
}

static int add_access(plan_step *s, plan_access access)
{
    assert_true(s->access_count < MAX_INSTRS);
    s->accesses[s->access_count] = access;
    return s->access_count++;
}

/* Of a buffer's elements between its guards. */
static int add_buffer_access(const plan_builder *b, plan_step *s, int buffer, plan_access access)
{
    access.offset += b->guards[buffer];
    return add_access(s, access);
}

void plan_set_operand(const plan_builder *b, plan_step *s, int which, int buffer, plan_access access)
{
    s->operand[which] = (plan_operand){.buffer = buffer, .access = add_buffer_access(b, s, buffer, access)};
}

void plan_set_prologue(plan_builder *b, plan_step *s, int which, double scale, double shift)
{
    enum { LINE = 64 };
    plan_function *f = &b->functions[s - b->steps][which];
    const clg_dtype from = b->buffers[s->operand[which].buffer].dtype;
    f->plan = (plan){.steps = &f->step, .step_count = 1, .buffers = f->buffers, .buffer_count = 2};
    f->step = (plan_step){.outer_rank = 1,
                          .extent = {LINE},
                          .outer_count = LINE,
                          .inner_count = 1,
                          .inner_piece = 1,
                          .splits = 1,
                          .instrs = f->instrs,
                          .sections = f->sections,
                          .accesses = &f->access,
                          .access_count = 1,
                          .product = -1};
    f->access.stride[0] = 1;
    for (int i = 0; i < 2; i++) {
        const clg_dtype dtype = i ? s->dtype : from;
        f->buffers[i] =
            (plan_buffer){BUFFER_ARENA, dtype, LINE, LINE * (int64_t)clg_dtype_size(dtype), 0, -1, -1, 0, 0};
    }
    const bool casts = scale == 1 && shift == 0;
    if (!casts)
        plan_begin_section(&f->step, SECTION_ONCE);
    const int by = casts ? -1 : plan_emit_constant(&f->step, s->dtype, scale),
              to = casts ? -1 : plan_emit_constant(&f->step, s->dtype, shift);
    plan_begin_section(&f->step, SECTION_OUTER);
    int x = plan_add_instr(&f->step, (plan_instr){.kind = INSTR_LOAD, .dtype = (uint8_t)from, .src = {-1, -1, -1}});
    if (from != s->dtype)
        x = plan_emit_op(&f->step, OP_CAST, s->dtype, x, -1, -1);
    if (!casts) {
        x = plan_emit_op(&f->step, OP_MUL, s->dtype, x, by, -1);
        x = plan_emit_op(&f->step, OP_ADD, s->dtype, x, to, -1);
    }
    plan_add_instr(&f->step,
                   (plan_instr){.kind = INSTR_STORE, .dtype = (uint8_t)s->dtype, .src = {x, -1, -1}, .buffer = 1});
    s->operand[which].prologue = &f->plan;
}

int plan_emit_constant(plan_step *s, clg_dtype dtype, double value)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_CONST, .dtype = (uint8_t)dtype, .src = {-1, -1, -1}, .value = value});
}

int plan_emit_op(plan_step *s, int op, clg_dtype dtype, int x, int y, int z)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_MAP, .op = (uint8_t)op, .dtype = (uint8_t)dtype, .src = {x, y, z}});
}

int plan_emit_reduce(plan_step *s, int op, int x)
{
    return plan_add_instr(
        s, (plan_instr){.kind = INSTR_REDUCE, .op = (uint8_t)op, .dtype = s->instrs[x].dtype, .src = {x, -1, -1}});
}

int plan_emit_iota(plan_step *s, clg_dtype dtype, plan_access access, double outside)
{
    return plan_add_instr(s, (plan_instr){.kind = INSTR_IOTA,
                                          .dtype = (uint8_t)dtype,
                                          .src = {-1, -1, -1},
                                          .buffer = -1,
                                          .access = add_access(s, access),
                                          .value = outside});
}

int plan_emit_load_row(plan_builder *b, plan_step *s, int buffer, plan_access access, double outside, int row,
                       int64_t stride, int64_t count)
{
    return plan_add_instr(s, (plan_instr){.kind = INSTR_LOAD,
                                          .dtype = (uint8_t)b->buffers[buffer].dtype,
                                          .src = {row, -1, -1},
                                          .buffer = buffer,
                                          .access = add_buffer_access(b, s, buffer, access),
                                          .value = outside,
                                          .row_stride = stride,
                                          .row_count = count});
}

int plan_emit_load_or(plan_builder *b, plan_step *s, int buffer, plan_access access, double outside)
{
    return plan_emit_load_row(b, s, buffer, access, outside, -1, 0, 0);
}

int plan_emit_load(plan_builder *b, plan_step *s, int buffer, plan_access access)
{
    return plan_emit_load_or(b, s, buffer, access, 0);
}

int plan_emit_mask(plan_step *s, int x, plan_access bounds, double outside)
{
    return plan_add_instr(s, (plan_instr){.kind = INSTR_MASK,
                                          .dtype = s->instrs[x].dtype,
                                          .src = {x, -1, -1},
                                          .buffer = -1,
                                          .access = add_access(s, bounds),
                                          .value = outside});
}

int plan_emit_product(plan_step *s)
{
    return plan_add_instr(s, (plan_instr){.kind = INSTR_PRODUCT, .dtype = (uint8_t)s->dtype, .src = {-1, -1, -1}});
}

void plan_emit_store(plan_builder *b, plan_step *s, int buffer, plan_access access, int x)
{
    assert_int_equal(access.bound_count, 0);
    plan_add_instr(s, (plan_instr){.kind = INSTR_STORE,
                                   .dtype = (uint8_t)b->buffers[buffer].dtype,
                                   .src = {x, -1, -1},
                                   .buffer = buffer,
                                   .access = add_buffer_access(b, s, buffer, access)});
}

plan_access plan_dense(const plan_step *s, unsigned dims)
{
    plan_access access = {0};
    int64_t stride = 1;
    for (int d = s->outer_rank + s->inner_rank - 1; d >= 0; d--)
        if (dims >> d & 1) {
            access.stride[d] = stride;
            stride *= s->extent[d];
        }
    return access;
}

plan_access plan_dense_outer(const plan_step *s) { return plan_dense(s, (1u << s->outer_rank) - 1); }
plan_access plan_dense_all(const plan_step *s) { return plan_dense(s, (1u << (s->outer_rank + s->inner_rank)) - 1); }

void plan_add_bound(plan_step *s, plan_access *access, plan_bound bound)
{
    assert_true(s->bound_count < MAX_BOUNDS);
    if (access->bound_count == 0)
        access->first_bound = s->bound_count;
    assert_int_equal(access->first_bound + access->bound_count, s->bound_count);
    s->bounds[s->bound_count++] = bound;
    access->bound_count++;
}

/* ---------------------------------------------------------------- running and comparing */

void plan_check_status(clg_status status)
{
    if (status != CLG_OK)
        fail_msg("%s: %s", clg_status_name(status), clg_last_error());
}

static double draw(const plan_builder *b, int i, int64_t element)
{
    double value = plan_uniform(b->lo[i], b->hi[i]);
    if (b->order[i] > 0 && element % (b->order[i] * b->order[i]) % (b->order[i] + 1) == 0)
        value += b->raised[i];
    const clg_dtype dtype = b->buffers[i].dtype;
    return dtype == CLG_U8 || dtype == CLG_BOOL ? (double)((int64_t)value & (dtype == CLG_U8 ? 255 : 1)) : value;
}

#define NO_GUARD 99 /* of guards in values: whoever reads one gets another result than the target, where it is NaN */

/* A buffer's first contents, as elements and as doubles. Guards are NaN, or all ones. */
static void fill(const plan_builder *b, int i, uint8_t *image, double *values)
{
    const plan_buffer *buffer = &b->buffers[i];
    size_t size = clg_dtype_size(buffer->dtype);
    int64_t first = b->guards[i], end = buffer->count - first;
    memset(image, 0xff, (size_t)buffer->bytes + GUARD_BYTES);
    plan_seed(b->seeds[i] * 2654435761u);
    for (int64_t e = 0; e < buffer->count; e++) {
        values[e] = NO_GUARD;
        if (e < first || e >= end)
            continue;
        support_encode(buffer->dtype, draw(b, i, e - first), image + (size_t)e * size);
        values[e] = support_decode(buffer->dtype, image + (size_t)e * size);
    }
}

static void write_bindings(const plan_target *t, const plan_builder *b, const plan_memory *m)
{
    for (int i = 0; i < b->plan.buffer_count; i++)
        if (m->image[i])
            plan_check_status(t->backend->write(t->device, m->bindings[b->buffers[i].binding], 0, m->image[i],
                                                b->buffers[i].bytes + GUARD_BYTES));
}

void plan_set_up(const plan_target *t, const plan_builder *b, plan_memory *m)
{
    *m = (plan_memory){0};
    for (int i = 0; i < b->plan.buffer_count; i++) {
        const plan_buffer *buffer = &b->buffers[i];
        m->values[i] = calloc((size_t)buffer->count + 1, sizeof(double));
        assert_non_null(m->values[i]);
        if (buffer->kind == BUFFER_ARENA)
            continue;
        m->image[i] = malloc((size_t)buffer->bytes + GUARD_BYTES);
        assert_non_null(m->image[i]);
        fill(b, i, m->image[i], m->values[i]);
        plan_check_status(t->backend->allocate(t->device, buffer->bytes + GUARD_BYTES, &m->bindings[buffer->binding]));
    }
    write_bindings(t, b, m);
}

static uint8_t *read_binding(const plan_target *t, const plan_builder *b, const plan_memory *m, int i)
{
    const plan_buffer *buffer = &b->buffers[i];
    uint8_t *got = malloc((size_t)buffer->bytes + GUARD_BYTES);
    assert_non_null(got);
    plan_check_status(t->backend->read(t->device, m->bindings[buffer->binding], 0, got, buffer->bytes + GUARD_BYTES));
    return got;
}

/* NaN equals only NaN, infinities only themselves. */
static bool close_enough(double got, double want, double tolerance)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(got - want) <= tolerance * (1 + fabs(want));
}

static void check_guard(const plan_builder *b, int i, const uint8_t *got, int64_t from, int64_t to)
{
    for (int64_t k = from; k < to; k++)
        if (got[k] != 0xff)
            fail_msg("buffer %d (random step %llu): byte %lld written, a guard from %lld to %lld", i,
                     (unsigned long long)b->steps_seeds[i], (long long)k, (long long)from, (long long)to);
}

static void compare_buffer(const plan_builder *b, const plan_memory *m, int i, const uint8_t *got, double tolerance)
{
    const plan_buffer *buffer = &b->buffers[i];
    int64_t size = (int64_t)clg_dtype_size(buffer->dtype), guard = b->guards[i], end = buffer->count - guard;
    for (int64_t e = guard; e < end; e++) {
        double value = support_decode(buffer->dtype, got + e * size), want = m->values[i][e];
        if (!close_enough(value, want, tolerance))
            fail_msg("buffer %d (random step %llu) element %lld of %lld: got %.9g, want %.9g", i,
                     (unsigned long long)b->steps_seeds[i], (long long)(e - guard), (long long)(end - guard), value,
                     want);
    }
    check_guard(b, i, got, 0, guard * size);
    check_guard(b, i, got, end * size, buffer->bytes + GUARD_BYTES);
}

void plan_compare(const plan_target *t, const plan_builder *b, const plan_memory *m, double f32, double f64)
{
    const double tolerance[CLG_DTYPE_COUNT] = {[CLG_F32] = f32, [CLG_F64] = f64};
    for (int i = 0; i < b->plan.buffer_count; i++)
        if (m->image[i]) {
            uint8_t *got = read_binding(t, b, m, i);
            compare_buffer(b, m, i, got, tolerance[b->buffers[i].dtype]);
            free(got);
        }
}

void plan_tear_down(const plan_target *t, const plan_builder *b, plan_memory *m)
{
    for (int i = 0; i < b->plan.buffer_count; i++) {
        free(m->values[i]);
        free(m->image[i]);
    }
    for (int i = 0; i < b->plan.binding_count; i++)
        t->backend->free(t->device, m->bindings[i]);
}

void plan_check(const plan_target *t, plan_builder *b, double f32, double f64)
{
    plan_memory m;
    uint8_t *first[MAX_BUFFERS] = {NULL};
    backend_program *program = NULL;
    plan_set_up(t, b, &m);
    plan_check_status(plan_prepare(t->backend, t->device, b, m.bindings, &program));
    if (getenv("CLGRAD_TEST_PRINT") && t->compiles)
        plan_check_status(t->backend->print(program, stderr));
    assert_true(plan_reference_run(&b->plan, m.values));
    plan_check_status(t->backend->run(program));
    plan_compare(t, b, &m, f32, f64);
    for (int i = 0; i < b->plan.buffer_count; i++)
        if (m.image[i])
            first[i] = read_binding(t, b, &m, i);
    write_bindings(t, b, &m);
    plan_check_status(t->backend->run(program));
    for (int i = 0; i < b->plan.buffer_count; i++)
        if (m.image[i]) {
            uint8_t *second = read_binding(t, b, &m, i);
            assert_memory_equal(first[i], second, (size_t)b->buffers[i].bytes + GUARD_BYTES);
            free(first[i]);
            free(second);
        }
    t->backend->release(program);
    plan_tear_down(t, b, &m);
    plan_free_builder(b);
}
