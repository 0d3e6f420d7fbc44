/* The OpenCL backend against a slow f64 interpreter of plans (plan_reference.c), under both device strategies and both
 * matrix product providers, whatever the device: hand-made plans, random ones, the disk cache, errors, leaks. Without
 * an OpenCL device the test says that it is skipped; with CLGRAD_REQUIRE_OPENCL=1 that is a failure. */
#define _GNU_SOURCE
#include "plan_reference.h"
#include "support_plan.h"

#include "backend/backend.h"
#include "backend/opencl/opencl.h"
#include "core/ops.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define GUARD_BYTES 64

/* ---------------------------------------------------------------- running and comparing */

static backend_device *device;
static backend_traits traits;
static clg_device_info info;
static int live_before; /* objects when the device was opened: not 0 after a failed test */

static void open_device(const char *strategy, const char *matmul)
{
    bool found = false;
    live_before = opencl_live_objects();
    setenv("CLGRAD_OPENCL_STRATEGY", strategy, 1);
    setenv("CLGRAD_OPENCL_MATMUL", matmul, 1);
    clg_status status = backend_opencl_open("", &device, &traits, &info, &found);
    if (status != CLG_OK)
        fail_msg("open: %s", clg_last_error());
    assert_true(found);
}

/* Kernels leave the counters of shares as they found them. */
static void check_shares(void)
{
    cl_int counters[SHARE_STEP * 2];
    if (!device->shares)
        return;
    assert_int_equal(
        clEnqueueReadBuffer(device->queue, device->shares, CL_TRUE, 0, sizeof counters, counters, 0, NULL, NULL),
        CL_SUCCESS);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        assert_int_equal(counters[i], 0);
}

static void close_device(void)
{
    check_shares();
    backend_opencl.close(device);
    device = NULL;
    assert_int_equal(opencl_live_objects(), live_before);
}

static void check(clg_status status)
{
    if (status != CLG_OK)
        fail_msg("%s: %s", clg_status_name(status), clg_last_error());
}

typedef struct run_state {
    double *values[MAX_BUFFERS];
    backend_buffer *bindings[MAX_BUFFERS];
    uint8_t *image; /* of the largest buffer with its guard */
} run_state;

static double draw(const plan_builder *b, int i)
{
    if (b->buffers[i].dtype == CLG_U8)
        return plan_below(256);
    if (b->buffers[i].dtype == CLG_I32)
        return plan_below(2 * (int)b->range[i] + 3) - (int)b->range[i] / 2 - 1;
    return (double)(float)plan_uniform(-b->range[i], b->range[i]);
}

/* The values in memory order with a guard behind them. */
static void encode(const plan_builder *b, int i, const run_state *r)
{
    const plan_buffer *buffer = &b->buffers[i];
    size_t size = clg_dtype_size(buffer->dtype);
    for (int64_t e = 0; e < buffer->count; e++)
        plan_reference_encode(buffer->dtype, r->values[i][e], r->image + (size_t)e * size);
    memset(r->image + buffer->bytes, 0xA5, GUARD_BYTES);
}

static void set_up(plan_builder *b, run_state *r)
{
    int64_t largest = 0;
    for (int i = 0; i < b->plan.buffer_count; i++)
        largest = b->buffers[i].bytes > largest ? b->buffers[i].bytes : largest;
    r->image = malloc((size_t)largest + GUARD_BYTES);
    assert_non_null(r->image);
    for (int i = 0; i < b->plan.buffer_count; i++) {
        const plan_buffer *buffer = &b->buffers[i];
        r->values[i] = calloc((size_t)buffer->count + 1, sizeof(double));
        assert_non_null(r->values[i]);
        for (int64_t e = 0; e < buffer->count; e++)
            r->values[i][e] = b->outputs[i] ? 77 : draw(b, i);
        if (buffer->kind == BUFFER_ARENA)
            continue;
        check(backend_opencl.allocate(device, buffer->bytes + GUARD_BYTES, &r->bindings[buffer->binding]));
        encode(b, i, r);
        check(backend_opencl.write(device, r->bindings[buffer->binding], 0, r->image, buffer->bytes + GUARD_BYTES));
    }
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

static void compare(const plan_builder *b, int i, run_state *r, double tolerance)
{
    const plan_buffer *buffer = &b->buffers[i];
    size_t size = clg_dtype_size(buffer->dtype);
    check(backend_opencl.read(device, r->bindings[buffer->binding], 0, r->image, buffer->bytes + GUARD_BYTES));
    double allowed = buffer->dtype == CLG_I32 || buffer->dtype == CLG_U8 ? 0 : tolerance;
    for (int64_t e = 0; e < buffer->count; e++) {
        double got = plan_reference_decode(buffer->dtype, r->image + (size_t)e * size);
        if (!close_enough(got, r->values[i][e], allowed))
            fail_msg("buffer %d element %lld: %.9g, expected %.9g", i, (long long)e, got, r->values[i][e]);
    }
    for (int k = 0; k < GUARD_BYTES; k++)
        if (r->image[buffer->bytes + k] != 0xA5)
            fail_msg("buffer %d: written %d bytes behind its end", i, k);
}

static void finish(const plan_builder *b, run_state *r)
{
    for (int i = 0; i < b->plan.buffer_count; i++)
        free(r->values[i]);
    for (int i = 0; i < b->plan.binding_count; i++)
        backend_opencl.free(device, r->bindings[i]);
    free(r->image);
}

/* Runs the plan once on the device and once in the interpreter; frees it. */
static void run_and_compare(plan_builder *b, double tolerance)
{
    run_state r = {0};
    backend_program *program;
    set_up(b, &r);
    clg_status status = backend_opencl.prepare(device, &b->plan, r.bindings, &program);
    if (status != CLG_OK)
        fail_msg("prepare: %s", clg_last_error());
    if (getenv("CLGRAD_TEST_PRINT"))
        check(backend_opencl.print(program, stderr));
    check(backend_opencl.run(program));
    assert_true(plan_reference_run(&b->plan, r.values));
    for (int i = 0; i < b->plan.buffer_count; i++)
        if (b->buffers[i].kind != BUFFER_ARENA)
            compare(b, i, &r, tolerance);
    backend_opencl.release(program);
    finish(b, &r);
    free(b);
}

static void random_programs(const char *strategy)
{
    open_device(strategy, "generated");
    for (int round = 0; round < 2; round++) {
        plan_seed(1000 + (uint64_t)round);
        plan_builder *b = plan_new_builder();
        for (int i = 0; i < 14; i++)
            plan_random_step(b, i % 7 == 6 && info.has_f64 ? CLG_F64 : CLG_F32);
        for (int i = 0; i < 3; i++)
            plan_random_split(b);
        run_and_compare(b, 2e-4);
    }
    close_device();
}

static void test_random_cpu(void **state)
{
    (void)state;
    random_programs("cpu");
}

static void test_random_gpu(void **state)
{
    (void)state;
    random_programs("gpu");
}

/* ---------------------------------------------------------------- hand-made steps */

static void hand_made(const char *strategy)
{
    open_device(strategy, "generated");
    plan_builder *b = plan_new_builder();
    plan_add_softmax(b, 7, 1000);
    plan_add_softmax(b, 100, 10);
    plan_add_softmax(b, 3, 1);
    plan_add_column_sum(b, 777, 300);
    plan_add_column_sum(b, 2000, 10);
    plan_add_column_sum(b, 5, 1);
    plan_add_chain(b, 1000);
    plan_add_chain(b, 1);
    plan_add_scatter(b, 10, 7, 50);
    plan_add_scatter(b, 1, 300, 20);
    plan_add_scatter(b, 5, 3, 0);
    plan_add_odd_steps(b);
    run_and_compare(b, 1e-4);
    close_device();
}

static void test_hand_made_cpu(void **state)
{
    (void)state;
    hand_made("cpu");
}

static void test_hand_made_gpu(void **state)
{
    (void)state;
    hand_made("gpu");
}

/* The sum of many positive numbers, by rows and by columns: chains of at most 512, whose sums are added in f64 where the
 * device has it. Roundings add up like steps of a random walk: four times its spread is allowed. */
static void long_sums(const char *strategy)
{
    enum { COUNT = 1 << 22, CHAIN = 512 };
    open_device(strategy, "generated");
    plan_builder *b = plan_new_builder();
    int x = plan_add_buffer(b, CLG_F32, COUNT, false, 1);
    int outs[2];
    for (int i = 0; i < 2; i++) {
        plan_step *s = plan_add_step(b, 1, 1, i ? (int64_t[]){4, COUNT / 4} : (int64_t[]){1, COUNT});
        plan_map map = i ? (plan_map){.stride = {1, 4}} : (plan_map){.stride = {0, 1}};
        plan_begin_section(s, SECTION_INNER);
        int y = plan_emit_op(s, OP_ABS, CLG_F32, plan_emit_load(b, s, x, map), -1, -1);
        int sum = plan_emit_reduce(s, OP_SUM, y);
        plan_begin_section(s, SECTION_OUTER);
        outs[i] = plan_add_buffer(b, CLG_F32, s->outer_count, true, 0);
        plan_emit_store(b, s, outs[i], plan_dense_outer(s), sum);
    }
    run_and_compare(b, 4 * sqrt(CHAIN + (info.has_f64 ? 0 : COUNT / 4.0 / CHAIN)) * 0x1p-24);
    close_device();
}

static void test_long_sums(void **state)
{
    (void)state;
    long_sums("cpu");
    long_sums("gpu");
}

/* ---------------------------------------------------------------- matrix products */

static plan_matrix matrix(int buffer, int64_t rows, int64_t columns, bool transposed, bool repeated)
{
    return (plan_matrix){.buffer = buffer,
                         .offset = 3,
                         .batch_stride = repeated ? 0 : rows * columns,
                         .row_stride = transposed ? 1 : columns,
                         .column_stride = transposed ? rows : 1};
}

/* relu(product + bias) or just the product. layout: bit 0 A transposed, bit 1 B transposed, bit 2 B repeated. */
static void add_matmul(plan_builder *b, clg_dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, int layout,
                       bool epilogue)
{
    plan_step *s = plan_add_step(b, 3, 0, (int64_t[]){batch, m, n});
    s->kind = STEP_MATMUL;
    s->dtype = dtype;
    s->batch = batch, s->m = m, s->n = n, s->k = k;
    s->a = matrix(plan_add_buffer(b, dtype, 3 + batch * m * k, false, 1), m, k, layout & 1, false);
    s->b = matrix(plan_add_buffer(b, dtype, 3 + batch * n * k, false, 1), k, n, layout & 2, layout & 4);
    int out = plan_add_buffer(b, dtype, batch * m * n, true, 0);
    if (!traits.fuses_epilogue)
        s->product = out;
    if (epilogue) {
        plan_begin_section(s, SECTION_ONCE);
        int scale = plan_emit_constant(s, dtype, 0.5);
        plan_begin_section(s, SECTION_OUTER);
        int x = plan_add_instr(s, (plan_instr){.kind = INSTR_PRODUCT, .dtype = (uint8_t)dtype, .src = {-1, -1, -1}});
        x = plan_emit_op(s, OP_MUL, dtype, x, scale, -1);
        int bias = plan_emit_load(b, s, plan_add_buffer(b, dtype, n, false, 1), (plan_map){.stride = {0, 0, 1}});
        int side = plan_emit_load(b, s, plan_add_buffer(b, dtype, m, false, 1), (plan_map){.stride = {0, 1, 0}});
        x = plan_emit_op(s, OP_ADD, dtype, plan_emit_op(s, OP_ADD, dtype, x, bias, -1), side, -1);
        plan_emit_store(b, s, out, plan_dense_all(s), plan_emit_op(s, OP_RELU, dtype, x, -1, -1));
    } else {
        plan_begin_section(s, SECTION_OUTER);
        int x = plan_add_instr(s, (plan_instr){.kind = INSTR_PRODUCT, .dtype = (uint8_t)dtype, .src = {-1, -1, -1}});
        plan_emit_store(b, s, out, plan_dense_all(s), x);
    }
}

static void matrix_products(const char *strategy, const char *provider, bool few)
{
    static const int64_t shapes[][4] = {{1, 1, 1, 1},     {1, 8, 32, 16}, {1, 13, 37, 29}, {2, 9, 10, 5},
                                        {1, 1, 200, 30},  {1, 50, 1, 40}, {3, 2, 3, 4},    {1, 33, 70, 3},
                                        {2, 20, 17, 1},   {1, 5, 6, 0},   {1, 70, 65, 20}, {1, 3, 5, 7},
                                        {1, 200, 100, 40}};
    open_device(strategy, provider);
    plan_builder *b = plan_new_builder();
    /* PoCL needs many seconds for each of CLBlast's kernels: two of them, or all with CLGRAD_TEST_LONG=1 */
    int count = few ? (getenv("CLGRAD_TEST_LONG") ? 5 : 2) : (int)(sizeof shapes / sizeof *shapes);
    for (int i = few ? 1 : 0; i < count; i++) {
        const int64_t *s = shapes[i];
        int layout = few ? i & 3 : i % 8;
        add_matmul(b, CLG_F32, s[0], s[1], s[2], s[3], layout, i % 3 != 0);
    }
    if (!few && info.has_f64) {
        add_matmul(b, CLG_F64, 2, 11, 19, 13, 3, true);
        add_matmul(b, CLG_F64, 1, 300, 40, 2100, 3, true); /* deeper than rows of A are copied */
    }
    if (!few) { /* A and B both copied, and then by the kernel of another shape */
        add_matmul(b, CLG_F32, 2, 520, 66, 512, 3, true);
        add_matmul(b, CLG_F32, 1, 530, 66, 515, 3, true);
    }
    run_and_compare(b, 1e-5);
    close_device();
}

static void test_matmul_cpu(void **state)
{
    (void)state;
    matrix_products("cpu", "generated", false);
}

/* Devices with less local memory, or narrower registers, than the one of this machine: what a choice takes must fit. */
static void test_tiles_fit(void **state)
{
    (void)state;
    static const int64_t memory[] = {16384, 32768, 65536, 262144, 2097152}, sizes[] = {1, 10, 100, 512, 2048};
    for (int i = 0; i < 5 * 3 * 125 * 4; i++) {
        backend_device other = {.local_memory = memory[i % 5], .vector_bytes = 16 << i / 5 % 3};
        other.info.compute_units = 2;
        int64_t m = sizes[i / 15 % 5], n = sizes[i / 75 % 5], k = sizes[i / 375 % 5];
        bool ta = i / 1875 & 1, tb = i / 1875 & 2;
        clg_dtype dtype = i & 1 ? CLG_F32 : CLG_F64;
        plan_step step = {.kind = STEP_MATMUL, .dtype = dtype, .batch = 1, .m = m, .n = n, .k = k};
        step.a = (plan_matrix){.row_stride = ta ? 1 : k, .column_stride = ta ? m : 1};
        step.b = (plan_matrix){.row_stride = tb ? 1 : n, .column_stride = tb ? k : 1};
        product_tile t = tile_choose(&other, &step);
        int64_t size = (int64_t)clg_dtype_size(dtype), taken = t.packed_b ? tile_panel_limit(&other, &step) * size : 0;
        if (t.packed_b)
            assert_true(k * t.panels_each * t.vectors * t.width <= tile_panel_limit(&other, &step));
        if (t.packed_a)
            taken += tile_rows_depth(&step) * ((t.rows + t.width - 1) / t.width * t.width) * size;
        assert_true(taken <= other.local_memory && tile_is_legal(&other, &step, &t));
        assert_true(t.tiles_each >= 1 && t.panels_each >= 1);
    }
}

static void test_matmul_gpu(void **state)
{
    (void)state;
    matrix_products("gpu", "generated", false);
}

static void test_matmul_clblast(void **state)
{
    (void)state;
#ifdef CLG_WITH_CLBLAST
    matrix_products("gpu", "clblast", true);
#else
    skip();
#endif
}

/* ---------------------------------------------------------------- disk cache */

static char cache_folder[] = "/tmp/clgrad-cache-XXXXXX";

/* Runs a little program on a fresh device and says whether its kernels came from the disk. */
static bool from_disk(void)
{
    open_device("cpu", "generated");
    plan_builder *b = plan_new_builder();
    plan_add_chain(b, 100);
    run_and_compare(b, 1e-5);
    assert_int_equal(device->cache_hits + device->cache_misses, 1);
    bool hit = device->cache_hits == 1;
    close_device();
    return hit;
}

static void cache_file(char path[512])
{
    DIR *folder = opendir(cache_folder);
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') {
            snprintf(path, 512, "%s/%s", cache_folder, entry->d_name);
            count++;
        }
    closedir(folder);
    assert_int_equal(count, 1);
}

static void test_disk_cache(void **state)
{
    (void)state;
    char path[512], before[16] = "";
    snprintf(before, sizeof before, "%s", "off");
    setenv("CLGRAD_CACHE_DIR", cache_folder, 1);
    assert_false(from_disk());
    assert_true(from_disk());
    cache_file(path);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);

    FILE *file = fopen(path, "r+b"); /* one damaged byte in the binary */
    assert_non_null(file);
    fseek(file, (long)facts.st_size - 9, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, (long)facts.st_size - 9, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
    assert_false(from_disk());
    assert_true(from_disk());

    assert_int_equal(truncate(path, facts.st_size / 2), 0);
    assert_false(from_disk());
    assert_int_equal(truncate(path, 5), 0);
    assert_false(from_disk());
    assert_int_equal(truncate(path, 0), 0);
    assert_false(from_disk());

    file = fopen(path, "wb"); /* something else altogether */
    assert_non_null(file);
    fputs("this is not a kernel, but it is longer than a header would be, by far", file);
    fclose(file);
    assert_false(from_disk());
    assert_true(from_disk());
    assert_int_equal(unlink(path), 0);

    setenv("CLGRAD_CACHE_DIR", "/proc/no-such-folder", 1); /* cannot be written */
    assert_false(from_disk());
    setenv("CLGRAD_CACHE_DIR", before, 1);
    assert_false(from_disk());
    rmdir(cache_folder);
}

/* ---------------------------------------------------------------- the rest of the interface */

static void test_sharing(void **state)
{
    (void)state;
    open_device("cpu", "generated");
    for (int i = 0; i < 2; i++) {
        plan_builder *b = plan_new_builder();
        plan_add_chain(b, 200);
        plan_add_chain(b, 200);
        run_and_compare(b, 1e-5);
    }
    assert_non_null(device->programs);
    assert_null(device->programs->next); /* the second program built nothing */
    assert_int_equal(device->programs->count, 3);
    close_device();
}

static void test_bind(void **state)
{
    (void)state;
    open_device("cpu", "generated");
    plan_builder *b = plan_new_builder();
    plan_add_chain(b, 50);
    run_state first = {0}, second = {0};
    backend_program *program;
    set_up(b, &first);
    set_up(b, &second);
    check(backend_opencl.prepare(device, &b->plan, first.bindings, &program));
    assert_int_equal(backend_opencl.launches(program), 3);
    check(backend_opencl.bind(program, second.bindings));
    check(backend_opencl.run(program));
    assert_true(plan_reference_run(&b->plan, second.values));
    compare(b, 4, &second, 1e-5);
    compare(b, 4, &first, 0); /* untouched */
    backend_opencl.release(program);
    finish(b, &first);
    finish(b, &second);
    free(b);
    close_device();
}

static void test_errors(void **state)
{
    (void)state;
    bool found;
    open_device("cpu", "generated");
    backend_buffer *buffer;
    assert_int_equal(backend_opencl.allocate(device, INT64_MAX / 2, &buffer), CLG_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(clg_last_error(), "4611686018427387903"));
    check(backend_opencl.allocate(device, 0, &buffer));
    check(backend_opencl.write(device, buffer, 0, NULL, 0));
    assert_int_equal(backend_opencl.write(device, buffer, 0, "x", 1), CLG_ERROR_ARGUMENT);
    backend_opencl.free(device, buffer);
    device->has_f64 = false; /* a device without it */
    plan_builder *b = plan_new_builder();
    backend_program *program;
    plan_add_buffer(b, CLG_F64, 1, false, 1);
    assert_int_equal(backend_opencl.prepare(device, &b->plan, NULL, &program), CLG_ERROR_UNSUPPORTED);
    free(b);
    close_device();
    backend_device *none;
    assert_int_equal(backend_opencl_open("no such device", &none, &traits, &info, &found), CLG_ERROR_DEVICE);
    assert_true(found);
    assert_non_null(strstr(clg_last_error(), "opencl:0"));
    assert_int_equal(backend_opencl_open("999", &none, &traits, &info, &found), CLG_ERROR_DEVICE);
    assert_int_equal(opencl_live_objects(), live_before);
}

/* FNV-1a of 128 bits: the value that its authors give for "a". */
static void test_digest(void **state)
{
    (void)state;
    assert_string_equal(cache_digest_of("a", 1).digits, "d228cb696f1a8caf78912b704e4a8964");
}

static void test_list(void **state)
{
    (void)state;
    clg_device_info *infos = NULL;
    size_t count = 0;
    check(backend_opencl_list(&infos, &count));
    assert_true(count > 0);
    int automatic = 0;
    for (size_t i = 0; i < count; i++) {
        char spec[32];
        snprintf(spec, sizeof spec, "opencl:%zu", i);
        assert_string_equal(infos[i].spec, spec);
        automatic += infos[i].is_auto;
    }
    assert_int_equal(automatic, 1);
    free(infos);
}

/* Many small writes in a row, each to be seen by the run queued after it. */
static void test_write_order(void **state)
{
    (void)state;
    open_device("cpu", "generated");
    backend_buffer *buffer;
    check(backend_opencl.allocate(device, 400, &buffer));
    for (int i = 0; i < 50; i++) {
        int values[100], got[100];
        for (int k = 0; k < 100; k++)
            values[k] = i * 100 + k;
        check(backend_opencl.write(device, buffer, 0, values, sizeof values));
        memset(values, 0, sizeof values); /* the write has its own copy */
        if (i % 7 == 0) {
            check(backend_opencl.read(device, buffer, 0, got, sizeof got));
            assert_int_equal(got[99], i * 100 + 99);
        }
    }
    check(backend_opencl.sync(device));
    backend_opencl.free(device, buffer);
    close_device();
}

int main(void)
{
    setenv("CLGRAD_CACHE_DIR", "off", 1);
    clg_device_info *infos = NULL;
    size_t count = 0;
    const char *skip_reason = NULL;
    if (backend_opencl_list(&infos, &count) != CLG_OK || count == 0)
        skip_reason = "no OpenCL device";
    free(infos);
    const char *required = getenv("CLGRAD_REQUIRE_OPENCL");
    if (skip_reason && required && strcmp(required, "1") == 0) {
        fprintf(stderr, "test_backend_opencl: %s, and CLGRAD_REQUIRE_OPENCL=1\n", skip_reason);
        return 1;
    }
    if (skip_reason) {
        printf("test_backend_opencl: skipped: %s\n", skip_reason);
        return 0;
    }
    if (!mkdtemp(cache_folder))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_list),           cmocka_unit_test(test_errors),        cmocka_unit_test(test_write_order),
        cmocka_unit_test(test_hand_made_cpu),  cmocka_unit_test(test_hand_made_gpu), cmocka_unit_test(test_bind),
        cmocka_unit_test(test_sharing),        cmocka_unit_test(test_random_cpu),    cmocka_unit_test(test_random_gpu),
        cmocka_unit_test(test_long_sums),      cmocka_unit_test(test_matmul_cpu),    cmocka_unit_test(test_matmul_gpu),
        cmocka_unit_test(test_matmul_clblast), cmocka_unit_test(test_disk_cache),    cmocka_unit_test(test_tiles_fit),
    };
    cmocka_set_test_filter(getenv("CLGRAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
