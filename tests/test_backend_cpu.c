/* The CPU backend: the plans of plan_cases.h, its threads, its buffers. Lanes run where plan_lanes_inner says.
 * FUZZ_SEED=N in the environment runs one random plan. */
#include "plan_cases.h"
#include "support.h"

#include "backend/cpu/pool.h"
#include "core/ops.h"

#include <stdatomic.h>
#include <stdlib.h>

static plan_target target = {.backend = &backend_cpu, .has_f64 = true, .long_sum_error = 5e-7};

/* ---------------------------------------------------------------- threads */

enum { PARTS = 1000 };

typedef struct parts {
    cpu_pool *pool;
    int64_t count;
    atomic_int drawn[PARTS];
} parts;

static void draw_parts(const void *argument, int thread, int threads)
{
    parts *p = *(parts *const *)argument;
    (void)threads;
    for (int64_t i = cpu_pool_next(p->pool, thread, p->count); i >= 0; i = cpu_pool_next(p->pool, thread, p->count))
        atomic_fetch_add(&p->drawn[i], 1);
}

/* Every part is drawn once, run after run, whatever the number of threads and parts. */
static void test_parts_of_a_run(void **state)
{
    (void)state;
    static parts p;
    const parts *argument = &p;
    assert_int_equal(cpu_pool_new(5, &p.pool), CLG_OK);
    for (int run = 0; run < 2000; run++) {
        p.count = run * 7 % PARTS;
        for (int i = 0; i < PARTS; i++)
            atomic_store(&p.drawn[i], 0);
        cpu_pool_run(p.pool, 1 + run % 6, draw_parts, &argument);
        for (int i = 0; i < PARTS; i++)
            assert_int_equal(atomic_load(&p.drawn[i]), i < p.count);
    }
    cpu_pool_free(p.pool);
}

/* ---------------------------------------------------------------- plans */

#define PLAN_TEST(name)                                                                                                \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        plan_case_##name(&target);                                                                                     \
    }
PLAN_CASES(PLAN_TEST)

/* ---------------------------------------------------------------- buffers and errors */

static void test_buffers(void **state)
{
    (void)state;
    backend_buffer *buffer;
    char text[4] = "abc";
    assert_int_equal(backend_cpu.allocate(target.device, 0, &buffer), CLG_OK);
    assert_int_equal(backend_cpu.write(target.device, buffer, 0, text, 0), CLG_OK);
    assert_int_equal(backend_cpu.write(target.device, buffer, 0, text, 1), CLG_ERROR_ARGUMENT);
    backend_cpu.free(target.device, buffer);
    assert_int_equal(backend_cpu.allocate(target.device, 10, &buffer), CLG_OK);
    assert_int_equal(backend_cpu.write(target.device, buffer, 6, "wxyz", 4), CLG_OK);
    assert_int_equal(backend_cpu.read(target.device, buffer, 7, text, 3), CLG_OK);
    assert_memory_equal(text, "xyz", 3);
    assert_int_equal(backend_cpu.read(target.device, buffer, 8, text, 3), CLG_ERROR_ARGUMENT);
    backend_cpu.free(target.device, buffer);
    assert_int_equal(backend_cpu.allocate(target.device, INT64_MAX, &buffer), CLG_ERROR_DEVICE_MEMORY);
    assert_int_equal(backend_cpu.allocate(target.device, -1, &buffer), CLG_ERROR_ARGUMENT);
    backend_cpu.free(target.device, NULL);
    assert_int_equal(backend_cpu.sync(target.device), CLG_OK);
}

/* Bindings that were two buffers stay two; each may be another one. */
static void test_bind_one_buffer_twice(void **state)
{
    (void)state;
    plan_memory first, second;
    plan_builder *b = plan_new_builder();
    int64_t count = 3;
    int x = plan_add_leaf(b, CLG_F32, count, 0, 1), y = plan_add_output(b, CLG_F32, count);
    plan_step *s = plan_add_step(b, 1, 0, &count);
    plan_begin_section(s, SECTION_OUTER);
    x = plan_emit_load(b, s, x, plan_dense_all(s));
    plan_emit_store(b, s, y, plan_dense_all(s), plan_emit_op(s, OP_NEG, CLG_F32, x, -1, -1));
    plan_set_up(&target, b, &first);
    b->seeds[0]++;
    plan_set_up(&target, b, &second);
    backend_program *program;
    assert_int_equal(plan_prepare(&backend_cpu, target.device, b, first.bindings, &program), CLG_OK);
    assert_int_equal(backend_cpu.launches(program), 1);
    backend_buffer *swapped[2] = {second.bindings[0], first.bindings[1]};
    assert_int_equal(backend_cpu.bind(program, swapped), CLG_OK);
    assert_int_equal(backend_cpu.run(program), CLG_OK);
    for (int64_t i = b->guard; i < b->guard + count; i++)
        first.values[1][i] = -second.values[0][i];
    plan_compare(&target, b, &first, 0, 0);
    swapped[0] = first.bindings[1];
    assert_int_equal(backend_cpu.bind(program, swapped), CLG_ERROR_ARGUMENT);
    backend_cpu.release(program);
    backend_cpu.release(NULL);
    plan_tear_down(&target, b, &first);
    plan_tear_down(&target, b, &second);
    plan_free_builder(b);
}

static int open_device(void **state)
{
    (void)state;
    clg_device_info info;
    if (backend_cpu_open(&target.device, &target.traits, &info) != CLG_OK)
        return -1;
    print_message("%s, %s\n", info.name, info.driver);
    return target.traits.fuses_epilogue && info.has_f64 && info.compute_units > 0 ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    backend_cpu.close(target.device);
    return 0;
}

int main(void)
{
#define PLAN_UNIT_TEST(name) cmocka_unit_test(test_##name),
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts_of_a_run), cmocka_unit_test(test_buffers),
                                       cmocka_unit_test(test_bind_one_buffer_twice), PLAN_CASES(PLAN_UNIT_TEST)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
