/* The OpenCL backend: the plans of plan_cases.h under both device strategies and both matrix product providers,
 * whatever the device; the disk cache, errors, leaks. Without an OpenCL device the test says that it is skipped; with
 * CLGRAD_REQUIRE_OPENCL=1 that is a failure. */
#define _GNU_SOURCE
#include "plan_cases.h"
#include "support.h"

#include "backend/opencl/driver/driver.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---------------------------------------------------------------- the device */

static plan_target target = {.backend = &backend_opencl, .compiles = true};
static backend_device *device; /* the target's */
static int live_before;        /* objects when the device was opened: not 0 after a failed test */

static void open_device(const char *strategy, const char *matmul)
{
    enum { CHAIN = 512 };
    bool found = false;
    clg_device_info info;
    live_before = opencl_live_objects();
    setenv("CLGRAD_OPENCL_STRATEGY", strategy, 1);
    setenv("CLGRAD_OPENCL_MATMUL", matmul, 1);
    clg_status status = backend_opencl_open("", &device, &target.traits, &info, &found);
    if (status != CLG_OK)
        fail_msg("open: %s", clg_last_error());
    assert_true(found);
    target.device = device;
    target.has_f64 = info.has_f64;
    /* Chains of at most CHAIN elements, whose sums are added in f64 where the device has it. Roundings add up like
     * steps of a random walk: four times its spread is allowed. */
    double others = info.has_f64 ? 0 : (double)plan_long_sum(&target) / 4 / CHAIN;
    target.long_sum_error = 4 * sqrt(CHAIN + others) * 0x1p-24;
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

/* ---------------------------------------------------------------- plans */

#define PLAN_TEST(name)                                                                                                \
    static void run_##name(const char *strategy)                                                                       \
    {                                                                                                                  \
        open_device(strategy, "generated");                                                                            \
        plan_case_##name(&target);                                                                                     \
        close_device();                                                                                                \
    }                                                                                                                  \
    static void test_##name##_cpu(void **state)                                                                        \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        run_##name("cpu");                                                                                             \
    }                                                                                                                  \
    static void test_##name##_gpu(void **state)                                                                        \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        run_##name("gpu");                                                                                             \
    }
PLAN_CASES(PLAN_TEST)

/* Devices with less local memory, or narrower registers, than the one of this machine: what a choice takes must fit. */
static void test_tiles_fit(void **state)
{
    (void)state;
    static const int64_t memory[] = {16384, 32768, 65536, 262144, 2097152}, sizes[] = {1, 10, 100, 512, 2048};
    for (int i = 0; i < 5 * 3 * 125 * 4; i++) {
        const kernel_target other = {
            .compute_units = 2, .local_memory = memory[i % 5], .vector_bytes = 16 << i / 5 % 3};
        int64_t m = sizes[i / 15 % 5], n = sizes[i / 75 % 5], k = sizes[i / 375 % 5];
        bool ta = i / 1875 & 1, tb = i / 1875 & 2;
        clg_dtype dtype = i & 1 ? CLG_F32 : CLG_F64;
        const plan_matmul x = {.dtype = dtype,
                               .batch = 1,
                               .m = m,
                               .n = n,
                               .k = k,
                               .a = {.row_stride = ta ? 1 : k, .column_stride = ta ? m : 1},
                               .b = {.row_stride = tb ? 1 : n, .column_stride = tb ? k : 1}};
        product_tile t = tile_choose(&other, &x);
        int64_t size = (int64_t)clg_dtype_size(dtype), taken = t.packed_b ? tile_panel_limit(&other, &x) * size : 0;
        if (t.packed_b)
            assert_true(k * t.panels_each * t.vectors * t.width <= tile_panel_limit(&other, &x));
        if (t.packed_a)
            taken += tile_rows_depth(&x) * ((t.rows + t.width - 1) / t.width * t.width) * size;
        assert_true(taken <= other.local_memory && tile_is_legal(&other, &x, &t));
        assert_true(t.tiles_each >= 1 && t.panels_each >= 1);
    }
}

static void test_matmul_clblast(void **state)
{
    (void)state;
#ifdef CLG_WITH_CLBLAST
    open_device("gpu", "clblast");
    /* PoCL needs many seconds for each of CLBlast's kernels */
    plan_few_products(&target, getenv("CLGRAD_TEST_LONG") ? 4 : 1);
    close_device();
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
    plan_check(&target, b, 1e-6, 0);
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
        plan_check(&target, b, 1e-6, 0);
    }
    assert_non_null(device->programs);
    assert_null(device->programs->next); /* the second program built nothing */
    assert_int_equal(device->programs->count, 3);
    close_device();
}

static void test_errors(void **state)
{
    (void)state;
    bool found;
    clg_device_info info;
    open_device("cpu", "generated");
    backend_buffer *buffer;
    assert_int_equal(backend_opencl.allocate(device, INT64_MAX / 2, &buffer), CLG_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(clg_last_error(), "4611686018427387903"));
    plan_check_status(backend_opencl.allocate(device, 0, &buffer));
    plan_check_status(backend_opencl.write(device, buffer, 0, NULL, 0));
    assert_int_equal(backend_opencl.write(device, buffer, 0, "x", 1), CLG_ERROR_ARGUMENT);
    backend_opencl.free(device, buffer);
    device->target.has_f64 = false; /* a device without it */
    plan_builder *b = plan_new_builder();
    backend_program *program;
    plan_add_leaf(b, CLG_F64, 1, 0, 1);
    assert_int_equal(plan_prepare(&backend_opencl, device, b, NULL, &program), CLG_ERROR_UNSUPPORTED);
    plan_free_builder(b);
    close_device();
    backend_device *none;
    assert_int_equal(backend_opencl_open("no such device", &none, &target.traits, &info, &found), CLG_ERROR_DEVICE);
    assert_true(found);
    assert_non_null(strstr(clg_last_error(), "opencl:0"));
    assert_int_equal(backend_opencl_open("999", &none, &target.traits, &info, &found), CLG_ERROR_DEVICE);
    assert_int_equal(opencl_live_objects(), live_before);
}

/* FNV-1a of 128 bits: the value that its authors give for "a". */
static void test_digest(void **state)
{
    (void)state;
    assert_string_equal(store_digest_of("a", 1).digits, "d228cb696f1a8caf78912b704e4a8964");
}

static void test_list(void **state)
{
    (void)state;
    clg_device_info *infos = NULL;
    size_t count = 0;
    plan_check_status(backend_opencl_list(&infos, &count));
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
    plan_check_status(backend_opencl.allocate(device, 400, &buffer));
    for (int i = 0; i < 50; i++) {
        int values[100], got[100];
        for (int k = 0; k < 100; k++)
            values[k] = i * 100 + k;
        plan_check_status(backend_opencl.write(device, buffer, 0, values, sizeof values));
        memset(values, 0, sizeof values); /* the write has its own copy */
        if (i % 7 == 0) {
            plan_check_status(backend_opencl.read(device, buffer, 0, got, sizeof got));
            assert_int_equal(got[99], i * 100 + 99);
        }
    }
    plan_check_status(backend_opencl.sync(device));
    backend_opencl.free(device, buffer);
    close_device();
}

int main(void)
{
    setenv("CLGRAD_CACHE_DIR", "off", 1);
    int status;
    if (!support_has_opencl("test_backend_opencl", &status))
        return status;
    if (!mkdtemp(cache_folder))
        return 1;
#define PLAN_UNIT_TESTS(name) cmocka_unit_test(test_##name##_cpu), cmocka_unit_test(test_##name##_gpu),
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),      cmocka_unit_test(test_list),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_write_order), cmocka_unit_test(test_sharing),   cmocka_unit_test(test_matmul_clblast),
        cmocka_unit_test(test_disk_cache),  cmocka_unit_test(test_tiles_fit), PLAN_CASES(PLAN_UNIT_TESTS)};
    cmocka_set_test_filter(getenv("CLGRAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
