/* Tuning on OpenCL: every candidate of a product computes it, against an f64 oracle; what was measured is kept, found
 * again and used; what is no good is ignored. Without an OpenCL device: skipped; a failure with
 * CLGRAD_REQUIRE_OPENCL=1. */
#define _GNU_SOURCE
#include "support.h"

#include "backend/opencl/tuning/tuning.h"
#include "run/engine.h"

#include <clgrad/tune.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char cache_folder[] = "/tmp/clgrad-tuning-XXXXXX";
static clg_random numbers;
static int64_t draw(int64_t most) { return 1 + (int64_t)clg_random_below(&numbers, (uint64_t)most); }

/* A device whose file of measurements is in the test's folder. */
static clg_device *open_device(const char *strategy, const char *matmul)
{
    setenv("CLGRAD_CACHE_DIR", cache_folder, 1);
    setenv("CLGRAD_OPENCL_STRATEGY", strategy, 1);
    setenv("CLGRAD_OPENCL_MATMUL", matmul, 1);
    clg_device *device = support_open("opencl");
    /* The folder is for the measurements alone: PoCL would compile each kernel twice to keep it. */
    free(device->d->cache_folder);
    device->d->cache_folder = NULL;
    return device;
}

static void check(clg_status status)
{
    if (status != CLG_OK)
        fail_msg("%s: %s", clg_status_name(status), clg_last_error());
}

/* ---------------------------------------------------------------- a product and its oracle */

typedef struct product {
    clg_graph *graph;
    clg_tune_shape shape;
    clg_var y;
    double *want;
    size_t bytes; /* of y */
} product;

static double *random_values(int64_t count)
{
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (double)(float)(2 * clg_random_uniform(&numbers) - 1);
    return values;
}

/* relu(A B + bias) */
static product make_product(clg_device *device, clg_tune_shape s)
{
    product p = {.graph = clg_graph_new(device), .shape = s};
    double *a = random_values(s.batch * s.m * s.k), *b = random_values(s.batch * s.k * s.n), *bias = random_values(s.n);
    clg_var va =
        support_leaf(p.graph, s.dtype, s.transpose_a ? CLG_SHAPE(s.batch, s.k, s.m) : CLG_SHAPE(s.batch, s.m, s.k), a);
    clg_var vb =
        support_leaf(p.graph, s.dtype, s.transpose_b ? CLG_SHAPE(s.batch, s.n, s.k) : CLG_SHAPE(s.batch, s.k, s.n), b);
    clg_var vbias = support_leaf(p.graph, s.dtype, CLG_SHAPE(s.n), bias);
    p.y = clg_relu(
        clg_add(clg_matmul(s.transpose_a ? clg_transpose(va) : va, s.transpose_b ? clg_transpose(vb) : vb), vbias));
    assert_true(clg_is_valid(p.y));
    p.bytes = (size_t)(s.batch * s.m * s.n) * clg_dtype_size(s.dtype);
    p.want = malloc((size_t)(s.batch * s.m * s.n) * sizeof *p.want);
    assert_non_null(p.want);
    for (int64_t q = 0; q < s.batch; q++)
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.n; j++) {
                double sum = bias[j];
                for (int64_t l = 0; l < s.k; l++)
                    sum += a[q * s.m * s.k + (s.transpose_a ? l * s.m + i : i * s.k + l)] *
                           b[q * s.k * s.n + (s.transpose_b ? j * s.k + l : l * s.n + j)];
                p.want[(q * s.m + i) * s.n + j] = sum > 0 ? sum : 0;
            }
    free(a);
    free(b);
    free(bias);
    return p;
}

static void free_product(product *p)
{
    free(p->want);
    clg_graph_free(p->graph);
}

static const plan_step *matmul_step(const clg_program *program)
{
    for (int32_t i = 0; i < program->compiled.p->step_count; i++)
        if (program->compiled.p->steps[i].is_matmul)
            return &program->compiled.p->steps[i];
    fail_msg("the program has no product");
    return NULL;
}

static clg_program *compile(const product *p)
{
    clg_program *program = clg_compile(p->graph, &p->y, 1);
    check(program ? CLG_OK : CLG_ERROR_ARGUMENT);
    return program;
}

/* Runs and compares with the oracle; returns the bytes of the result. */
static void *run_and_compare(const product *p, clg_program *program, const char *name)
{
    void *got = malloc(p->bytes);
    assert_non_null(got);
    check(clg_run(program));
    check(clg_read(p->y, got, p->bytes));
    double tolerance = (p->shape.dtype == CLG_F64 ? 4e-16 : 2e-7) * (double)(p->shape.k + 10);
    for (int64_t i = 0; i < p->shape.batch * p->shape.m * p->shape.n; i++) {
        double value = p->shape.dtype == CLG_F64 ? ((double *)got)[i] : (double)((float *)got)[i];
        if (!support_close(value, p->want[i], tolerance))
            fail_msg("%s, %lldx%lldx%lld: element %lld is %.9g, not %.9g", name, (long long)p->shape.m,
                     (long long)p->shape.n, (long long)p->shape.k, (long long)i, value, p->want[i]);
    }
    return got;
}

/* The choice that a program of the product gets, which computes it; and the one that is built in. */
static product_choice choice_for(clg_device *device, clg_tune_shape shape, product_choice *builtin)
{
    product p = make_product(device, shape);
    clg_program *program = compile(&p);
    product_choice choice = tuning_choose(device->d, matmul_step(program));
    if (builtin)
        *builtin = choice_builtin(device->d, matmul_step(program));
    free(run_and_compare(&p, program, "the choice"));
    clg_program_free(program);
    free_product(&p);
    return choice;
}

static void assert_same(product_choice a, product_choice b)
{
    char x[64], y[64];
    tuning_format_choice(&a, x, sizeof x);
    tuning_format_choice(&b, y, sizeof y);
    assert_string_equal(x, y);
}

static void assert_builtin(clg_device *device, clg_tune_shape shape)
{
    product_choice builtin, choice = choice_for(device, shape, &builtin);
    assert_same(choice, builtin);
}

static tuning_entry entry_of(clg_tune_shape shape, product_choice choice)
{
    return (tuning_entry){.shape = shape, .choice = choice, .seconds = 1e-3, .builtin_seconds = 2e-3};
}

/* ---------------------------------------------------------------- candidates */

/* Each candidate (every stride-th) computes the product, and on CPUs the very bits of the built-in choice. */
static void try_candidates(clg_device *device, clg_tune_shape shape, int stride)
{
    product p = make_product(device, shape);
    clg_program *program = compile(&p);
    product_choice list[40];
    int count = choice_candidates(device->d, matmul_step(program), list, 40);
    assert_true(count >= 1 && count <= 40);
    void *builtin = run_and_compare(&p, program, "built in");
    for (int i = (int)draw(stride) - 1; i < count; i += stride) {
        char name[64];
        tuning_format_choice(&list[i], name, sizeof name);
        clg_program_free(program);
        tuning_entry entry = entry_of(shape, list[i]); /* as if it had been measured to be the best */
        check(tuning_keep_product(device->d, &entry));
        program = compile(&p);
        assert_same(tuning_choose(device->d, matmul_step(program)), list[i]);
        void *got = run_and_compare(&p, program, name);
        assert_memory_equal(got, builtin, p.bytes);
        free(got);
    }
    check(clg_tune_reset(device));
    free(builtin);
    clg_program_free(program), free_product(&p);
}

/* One whose operands are matrices: with an extent of 1 it may be a step of another kind. */
static clg_tune_shape draw_shape(int64_t most, int layout)
{
    return (clg_tune_shape){CLG_F32, draw(2), 1 + draw(most), 1 + draw(most), 1 + draw(40), layout & 1, layout & 2};
}

static void test_candidates_cpu(void **state)
{
    (void)state;
    clg_device *device = open_device("cpu", "generated");
    try_candidates(device, (clg_tune_shape){CLG_F32, 1, 30 + draw(40), 20 + draw(60), 1 + draw(40), false, false}, 1);
    for (int layout = 0; layout < 4; layout++)
        try_candidates(device, draw_shape(70, layout), 5);
    if (clg_device_get_info(device)->has_f64)
        try_candidates(device, (clg_tune_shape){CLG_F64, 1, 1 + draw(50), 1 + draw(50), 1 + draw(20), false, true}, 8);
    clg_device_close(device);
}

static void test_candidates_gpu(void **state)
{
    (void)state;
    clg_device *device = open_device("gpu", "generated");
    for (int layout = 0; layout < 4; layout++)
        try_candidates(device, draw_shape(90, layout), 2);
    clg_device_close(device);
}

/* The check that candidates must pass sees one wrong element, a swap of two columns, and a NaN. */
static void test_check_notices(void **state)
{
    (void)state;
    clg_device *device = open_device("cpu", "generated");
    const int64_t n = 64;
    const clg_tune_shape shape = {CLG_F32, 1, 48, n, 32, false, false};
    tune_rig rig;
    check(rig_new(device->d, &shape, &rig));
    contender c = {.choice = choice_builtin(device->d, &rig.step)};
    check(contender_prepare(&rig, &c));
    float row[64], changed[64];
    const int64_t bytes = (int64_t)sizeof row, offset = (draw(32) - 1) * bytes;
    for (int fault = 0; fault < 3; fault++) {
        check(rig_check(&rig, c.program));
        check(backend_opencl.read(device->d, rig.bindings[BUFFER_B], offset, row, bytes));
        memcpy(changed, row, sizeof row);
        int64_t at = draw(n - 1) - 1;
        if (fault == 0)
            changed[at] += 0.25f;
        else if (fault == 1)
            changed[at] = row[at + 1], changed[at + 1] = row[at];
        else
            changed[at] = NAN;
        check(backend_opencl.write(device->d, rig.bindings[BUFFER_B], offset, changed, bytes));
        assert_int_equal(rig_check(&rig, c.program), CLG_ERROR_DEVICE);
        check(backend_opencl.write(device->d, rig.bindings[BUFFER_B], offset, row, bytes));
    }
    contender_release(&c);
    rig_free(&rig);
    clg_device_close(device);
}

/* ---------------------------------------------------------------- the file */

/* A choice that the built-in model does not make. */
static product_choice odd_choice(const clg_device *device)
{
    return (product_choice){MATMUL_GENERATED, {5, 3, device->d->target.vector_bytes / 4, false, true, 1, 1}};
}

static void test_round_trip(void **state)
{
    (void)state;
    clg_device *device = open_device("cpu", "generated");
    const product_choice odd = odd_choice(device); /* of the device's own width */
    const int64_t columns = odd.tile.vectors * odd.tile.width;
    const clg_tune_shape shape = {CLG_F32, 1, 100, 2 * columns, 40, false, true};
    assert_string_equal(clg_tune_file_state(device), "not there");
    check(
        tuning_keep_product(device->d, &(tuning_entry){.shape = {CLG_F32, 1, 9, 9, 9, false, false}, .builtin = true}));
    tuning_entry entry = entry_of(shape, odd);
    for (int i = 0; i < 2; i++) /* the second in place of the first */
        check(tuning_keep_product(device->d, &entry));
    clg_device_close(device);
    device = open_device("cpu", "generated");
    assert_string_equal(clg_tune_file_state(device), "read");
    assert_int_equal(device->d->tuned->count, 2);
    assert_same(choice_for(device, shape, NULL), odd);
    clg_tune_shape other = shape;
    other.m = 125; /* near: and the tile fits as well */
    assert_same(choice_for(device, other, NULL), odd);
    other.m = 200; /* not near any more */
    assert_builtin(device, other);
    other = shape;
    other.n += columns / 12; /* near, but a third tile would compute much in vain */
    assert_builtin(device, other);
    other = shape;
    other.transpose_b = false;
    assert_builtin(device, other);
    if (clg_device_get_info(device)->has_f64) {
        other = shape;
        other.dtype = CLG_F64;
        assert_builtin(device, other);
    }

    product p = make_product(device, shape); /* and the kernel is the one that was chosen */
    clg_program *program = compile(&p);
    char *source = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&source, &size);
    check(clg_program_print(program, out, CLG_PRINT_KERNELS));
    fclose(out);
    assert_non_null(strstr(source, "#define TM 5\n"));
    assert_non_null(strstr(source, "#define NV 3\n"));
    free(source);
    clg_program_free(program);
    free_product(&p);

    char path[512];
    snprintf(path, sizeof path, "%s", clg_tune_file(device));
    assert_int_equal(access(path, F_OK), 0);
    check(clg_tune_reset(device));
    assert_int_equal(access(path, F_OK), -1);
    assert_builtin(device, shape);
    check(clg_tune_reset(device));
    clg_device_close(device);
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file of the given content is ignored, and a device with it works. */
static void assert_ignored(const char *path, const char *bytes, size_t size, bool run)
{
    write_file(path, bytes, size);
    clg_device *device = open_device("cpu", "generated");
    assert_int_equal(strncmp(clg_tune_file_state(device), "ignored: ", 9), 0);
    assert_int_equal(clg_tune_print(device, stdout), 0);
    if (run) {
        const clg_tune_shape shape = {CLG_F32, 1, 20, 20, 20, false, false};
        assert_builtin(device, shape);
    }
    clg_device_close(device);
}

/* The content with another line in it, and the right digest behind. */
static void assert_line_ignored(const char *path, const char *content, const char *line)
{
    const char *end = strstr(content, "\nend ");
    assert_non_null(end);
    char changed[4096];
    int length = snprintf(changed, sizeof changed, "%.*s%s\n", (int)(end + 1 - content), content, line);
    length += snprintf(changed + length, sizeof changed - (size_t)length, "end %s\n",
                       store_digest_of(changed, (size_t)length).digits);
    assert_ignored(path, changed, (size_t)length, false);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const char *const lines[] = {"",
                                        "product",
                                        "product f32 1x20x20x20 nn 1 1 generated 5x3",
                                        "product f32 1x20x20x20 nn 1 1 generated 5x3x16 packed C",
                                        "product f32 1x20x0x20 nn 1 1 builtin",
                                        "product f16 1x20x20x20 nn 1 1 builtin",
                                        "product f32 1x20x20x20 nx 1 1 builtin",
                                        "product f32 1x20x20x20 nn 1 1 ",
                                        "clblast f32 Xaxpy 1 1 WGS=64",
                                        "clblast f32 XgemmDirect 1 1 KWID=2",
                                        "end 0123"};
    char content[4096], path[512];
    clg_device *device = open_device("cpu", "generated");
    tuning_entry entry = entry_of((clg_tune_shape){CLG_F32, 1, 20, 20, 20, false, false}, odd_choice(device));
    check(tuning_keep_product(device->d, &entry));
    snprintf(path, sizeof path, "%s", clg_tune_file(device));
    clg_device_close(device);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof content - 1, file);
    content[size] = '\0';
    fclose(file);

    for (int i = 0; i < 20; i++) { /* a bit of any byte; any length */
        size_t at = (size_t)clg_random_below(&numbers, size);
        char bit = (char)(1 << clg_random_below(&numbers, 7));
        content[at] ^= bit;
        assert_ignored(path, content, size, i == 0);
        content[at] ^= bit;
        assert_ignored(path, content, (size_t)clg_random_below(&numbers, size), i == 0);
    }
    device = open_device("cpu", "generated"); /* a new file takes a bad one's place */
    check(tuning_keep_product(device->d, &entry));
    clg_device_close(device);
    device = open_device("cpu", "generated");
    assert_string_equal(clg_tune_file_state(device), "read");
    clg_device_close(device);
    assert_ignored(path, "", 0, true);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line_ignored(path, content, lines[i]);
    char *key = strstr(content, "\nkey "); /* sound, but of another device */
    assert_non_null(key);
    key[5] = key[5] == '0' ? '1' : '0';
    assert_line_ignored(path, content, "product f32 1x20x20x20 nn 1 1 builtin");
    assert_int_equal(unlink(path), 0);
}

/* Choices that the product does not allow: the built-in one takes their place. */
static void test_illegal_choices(void **state)
{
    (void)state;
    static const product_choice illegal[] = {
        {MATMUL_GENERATED, {21, 1, 16, false, true, 1, 1}}, /* more rows than there are */
        {MATMUL_GENERATED, {4, 1, 16, true, true, 1, 1}},   /* a copy of rows that are dense already */
        {MATMUL_GENERATED, {5, 2, 16, false, false, 1, 1}}, /* more columns, not packed */
        {MATMUL_GENERATED, {0, 1, 16, false, true, 1, 1}},  {MATMUL_GENERATED, {1, 0, 16, false, true, 1, 1}},
        {MATMUL_GENERATED, {4, 1, 3, false, true, 1, 1}},   {MATMUL_GENERATED, {4, 1, 32, false, true, 1, 1}},
        {MATMUL_GENERATED, {4, 9, 16, false, true, 1, 1}},  {MATMUL_GENERATED, {20, 8, 16, false, true, 1, 1}},
        {MATMUL_GENERATED, {-4, 1, 16, false, true, 1, 1}}, {.provider = MATMUL_CLBLAST}, /* the plan has no room */
    };
    const clg_tune_shape shape = {CLG_F32, 1, 20, 20, 20, false, false};
    clg_device *device = open_device("cpu", "generated");
    for (size_t i = 0; i < sizeof illegal / sizeof *illegal; i++) {
        tuning_entry entry = entry_of(shape, illegal[i]);
        check(tuning_keep_product(device->d, &entry));
        assert_builtin(device, shape);
    }
    clg_tune_shape deep = {CLG_F32, 1, 20, 128, 0, false, false}; /* a panel that local memory does not hold */
    deep.k = device->d->target.local_memory / 2 / 4 / 128 + 1;
    if (deep.k < 1 << 20) {
        tuning_entry entry = entry_of(deep, (product_choice){MATMUL_GENERATED, {2, 8, 16, false, true, 1, 1}});
        check(tuning_keep_product(device->d, &entry));
        assert_builtin(device, deep);
    }
    check(clg_tune_reset(device));
    clg_device_close(device);
}

/* ---------------------------------------------------------------- measuring */

typedef struct watched {
    int calls, last, total;
} watched;

static void watch(void *context, int done, int total)
{
    watched *w = context;
    assert_true(done > w->last || w->calls == 0);
    assert_true(done >= 1 && done <= total);
    assert_true(w->calls == 0 || w->total == total);
    w->last = done;
    w->total = total;
    w->calls++;
}

static void test_tune(void **state)
{
    (void)state;
    const clg_tune_shape shape = {CLG_F32, 1, 2, 6, 5, false, false};
    clg_device *device = open_device("cpu", "generated");
    clg_tune_result result;
    watched w = {0};
    check(clg_tune_product(device, &shape, watch, &w, &result));
    assert_int_equal(w.last, w.total);
    assert_int_equal(result.rejected, 0);
    assert_true(result.tried > 1);
    assert_true(result.builtin_seconds > 0 && result.best_seconds > 0);
    assert_true(!result.better || strcmp(result.best, result.builtin) != 0);
    clg_device_close(device);

    device = open_device("cpu", "generated");
    assert_string_equal(clg_tune_file_state(device), "read");
    assert_int_equal(device->d->tuned->count, 1);
    assert_int_equal(device->d->tuned->entries[0].builtin, !result.better);
    product_choice choice = choice_for(device, shape, NULL);
    char name[64];
    tuning_format_choice(&choice, name, sizeof name);
    assert_string_equal(name, result.better ? result.best : result.builtin);
    check(clg_tune_reset(device));

    setenv("CLGRAD_CACHE_DIR", "off", 1); /* measured, but nowhere to keep it */
    clg_device *other = support_open("opencl");
    assert_null(clg_tune_file(other));
    assert_int_equal(clg_tune_product(other, &shape, NULL, NULL, &result), CLG_ERROR_IO);
    assert_int_equal(other->d->tuned->count, 1);
    clg_device_close(other);
    clg_device_close(device);
}

static void test_tune_errors(void **state)
{
    (void)state;
    clg_tune_shape shape = {CLG_F32, 1, 8, 8, 8, false, false};
    clg_tune_result result;
    clg_device *device = open_device("cpu", "generated"), *cpu = support_open("cpu");
    assert_int_equal(clg_tune_product(cpu, &shape, NULL, NULL, &result), CLG_ERROR_UNSUPPORTED);
    assert_int_equal(clg_tune_reset(cpu), CLG_ERROR_UNSUPPORTED);
    assert_null(clg_tune_file(cpu));
    assert_int_equal(clg_tune_product(NULL, &shape, NULL, NULL, &result), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_tune_product(device, NULL, NULL, NULL, &result), CLG_ERROR_ARGUMENT);
    shape = (clg_tune_shape){CLG_F32, 1 << 20, 1 << 20, 1 << 20, 1 << 20, false, false};
    assert_int_equal(clg_tune_product(device, &shape, NULL, NULL, &result), CLG_ERROR_DEVICE_MEMORY);
    shape = (clg_tune_shape){CLG_F32, 1, 8, 8, 8, false, false};
    shape.n = 0;
    assert_int_equal(clg_tune_product(device, &shape, NULL, NULL, &result), CLG_ERROR_ARGUMENT);
    shape.n = 8;
    shape.dtype = CLG_I32;
    assert_int_equal(clg_tune_product(device, &shape, NULL, NULL, &result), CLG_ERROR_ARGUMENT);
    assert_null(clg_tune_clblast_kernel(device, 0)); /* the environment chose otherwise */
    assert_int_equal(clg_tune_clblast(device, CLG_F32, 0, 1, 0, NULL, NULL, &result), CLG_ERROR_UNSUPPORTED);
    clg_device_close(cpu);
    clg_device_close(device);
}

/* ---------------------------------------------------------------- CLBlast's parameters */

static void test_parameters(void **state)
{
    (void)state;
    clg_device *device = open_device("gpu", "generated");
    uint64_t random = support_seed();
    for (int kernel = 0; kernel < CLBLAST_KERNELS; kernel++)
        for (int i = 0; i < 50; i++) {
            clblast_setting s = {.kernel = kernel, .dtype = i % 2 ? CLG_F64 : CLG_F32}, read = s;
            char line[CLBLAST_MAX_TEXT];
            assert_true(clblast_setting_draw(device->d, &s, &random));
            assert_true(clblast_setting_is_legal(device->d, &s));
            /* a tile is whole vectors of so many work-items: MWG, MDIMC, VWM; NWG, NDIMC, VWN; and so on */
            const int *v = s.value;
            assert_int_equal(kernel ? v[9] % (v[2] * v[7]) : v[6] % (v[5] * v[14]), 0);
            assert_int_equal(kernel ? v[9] % (v[4] * v[8]) : v[9] % (v[8] * v[15]), 0);
            clblast_setting_format(&s, line);
            assert_true(clblast_setting_parse(&read, line));
            assert_memory_equal(read.value, s.value, (size_t)clblast_kernels[kernel].count * sizeof *s.value);
            s.value[draw(clblast_kernels[kernel].count) - 1] = 3; /* no parameter takes that */
            assert_false(clblast_setting_is_legal(device->d, &s));
        }
    clblast_setting s = {.kernel = 0, .dtype = CLG_F32}, read;
    assert_true(clblast_setting_draw(device->d, &s, &random));
    check(tuning_keep_setting(device->d, &s));
    clg_device_close(device);
    device = open_device("gpu", "generated");
    assert_int_equal(device->d->tuned->setting_count, 1);
    read = device->d->tuned->settings[0];
    assert_memory_equal(read.value, s.value, (size_t)clblast_kernels[0].count * sizeof *s.value);
    device->d->target.local_memory = 0; /* a device that cannot have them */
    s.value[10] = 1;                    /* SA */
    assert_false(clblast_setting_is_legal(device->d, &s));
    check(clg_tune_reset(device));
    clg_device_close(device);
}

/* Parameters that were kept are used, and what CLBlast computes with them is right. PoCL compiles for half a minute. */
static void test_clblast(void **state)
{
    (void)state;
#ifdef CLG_WITH_CLBLAST
    if (!getenv("CLGRAD_TEST_LONG"))
        skip();
    clg_device *device = open_device("gpu", "clblast");
    assert_string_equal(clg_tune_clblast_kernel(device, 1), "XgemmDirect");
    assert_null(clg_tune_clblast_kernel(device, CLBLAST_KERNELS));
    clg_tune_result result;
    check(clg_tune_clblast(device, CLG_F32, 1, 10, support_seed(), NULL, NULL, &result));
    assert_true(result.tried > 0 && result.rejected == 0);
    assert_true(result.builtin_seconds > 0 && result.best_seconds > 0);
    assert_int_equal(device->d->tuned->setting_count, result.better);
    for (int layout = 0; layout < 4; layout++)
        choice_for(device, draw_shape(90, layout), NULL);
    check(clg_tune_reset(device));
    clg_device_close(device);
#else
    skip();
#endif
}

int main(void)
{
    int status;
    if (!support_has_opencl("test_opencl_tuning", &status))
        return status;
    if (!mkdtemp(cache_folder))
        return 1;
    numbers = clg_random_new(support_seed(), 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_illegal_choices),
        cmocka_unit_test(test_check_notices),
        cmocka_unit_test(test_candidates_cpu),
        cmocka_unit_test(test_candidates_gpu),
        cmocka_unit_test(test_tune),
        cmocka_unit_test(test_tune_errors),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_clblast),
    };
    cmocka_set_test_filter(getenv("CLGRAD_TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (rmdir(cache_folder) != 0 && !failed) {
        perror(cache_folder);
        failed = 1;
    }
    return failed;
}
