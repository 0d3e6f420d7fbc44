/* Profiles, on every device: what they say of a training step, that they change nothing, and the files. */
#define _GNU_SOURCE
#include "support.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 32, RUNS = 3, RECORDED = 20 }; /* the latter as clgrad.h says of CLGRAD_PROFILE */

static const int64_t widths[] = {20, 16, 12, 10};

static clg_device *device; /* of the group that runs now */
static char folder[] = "/tmp/clgrad-profile-XXXXXX";

/* A small network with a training step. */
typedef struct network {
    clg_graph *graph;
    clg_mlp *mlp;
    clg_optimizer *optimizer;
    clg_var loss;
    clg_program *step;
} network;

static network make_network(void)
{
    network n = {.graph = clg_graph_new(device)};
    clg_random random = clg_random_new(7, 0);
    float values[BATCH * 20];
    int32_t classes[BATCH];
    for (int i = 0; i < BATCH * 20; i++)
        values[i] = (float)clg_random_uniform(&random);
    for (int i = 0; i < BATCH; i++)
        classes[i] = i % 10;
    clg_var x = clg_array(n.graph, CLG_F32, CLG_SHAPE(BATCH, 20), values);
    clg_var labels = clg_array(n.graph, CLG_I32, CLG_SHAPE(BATCH), classes);
    int count;
    n.mlp = clg_mlp_new(n.graph, widths, 4, &random);
    const clg_var *parameters = clg_mlp_parameters(n.mlp, &count);
    clg_adam_options options = clg_adam_defaults();
    options.lr = 1e-2;
    n.optimizer = clg_adam(parameters, count, &options);
    n.loss = clg_softmax_cross_entropy(clg_mlp_apply(n.mlp, x), labels);
    n.step = clg_compile(n.graph, (clg_var[]){n.loss, clg_minimize(n.optimizer, n.loss)}, 2);
    if (!n.step)
        fail_msg("compile: %s", clg_last_error());
    return n;
}

static void free_network(network *n)
{
    clg_program_free(n->step);
    clg_optimizer_free(n->optimizer);
    clg_mlp_free(n->mlp);
    clg_graph_free(n->graph);
}

static clg_step_profile *take(network *n, int runs, int *count)
{
    *count = clg_program_get_info(n->step).steps;
    clg_step_profile *steps = calloc((size_t)(*count * runs), sizeof *steps);
    assert_non_null(steps);
    for (int r = 0; r < runs; r++) {
        int filled = -1;
        if (clg_program_profile(n->step, steps + r * *count, *count, &filled) != CLG_OK)
            fail_msg("profile: %s", clg_last_error());
        assert_int_equal(filled, *count);
    }
    return steps;
}

/* ---------------------------------------------------------------- the numbers */

static void test_steps_are_in_order_and_add_up(void **state)
{
    (void)state;
    network n = make_network();
    clg_program_info info = clg_program_get_info(n.step);
    int count, matmuls = 0;
    int64_t flops = 0, bytes = 0, launches = 0, products = 0;
    clg_step_profile *steps = take(&n, RUNS, &count);
    for (int i = 0; i < count * RUNS; i++) {
        const clg_step_profile *p = &steps[i];
        assert_true(p->end >= p->begin && p->begin >= (i % count ? steps[i - 1].end : 0));
        assert_true(p->end < 100);
        bool matmul = !strcmp(p->kind, "matmul");
        assert_true(matmul || !strcmp(p->kind, "loop") || !strcmp(p->kind, "array"));
        assert_true((p->flops > 0) == matmul && p->bytes > 0 && p->name[0]);
        assert_true(memchr(p->name, 0, sizeof p->name) && strchr(p->name, '('));
        if (i < count) {
            matmuls += matmul;
            flops += p->flops;
            bytes += p->bytes;
            launches += p->launches;
        }
    }
    /* forward and weights' gradients of every layer, the input's gradient of all but the first */
    for (int l = 0; l < 3; l++)
        products += (l ? 3 : 2) * 2 * BATCH * widths[l] * widths[l + 1];
    assert_int_equal(flops, products);
    assert_int_equal(flops, info.flops);
    assert_int_equal(bytes, info.bytes);
    assert_int_equal(launches, info.launches);
    assert_int_equal(matmuls, info.matmuls);
    free(steps);
    free_network(&n);
}

static void test_names_say_what_a_step_computes(void **state)
{
    (void)state;
    clg_graph *g = clg_graph_new(device);
    const int32_t rows[] = {2, 0, 2};
    float values[24];
    for (int i = 0; i < 24; i++)
        values[i] = 0.5f;
    clg_var index = clg_array(g, CLG_I32, CLG_SHAPE(3), rows), a = clg_array(g, CLG_F32, CLG_SHAPE(4, 6), values);
    clg_var x = clg_relu(clg_matmul(a, clg_array(g, CLG_F32, CLG_SHAPE(6, 4), values))), y = clg_exp(a);
    for (int i = 0; i < 30; i++)
        y = clg_sin(clg_mul(y, y));
    clg_var outputs[] = {x, y, clg_scatter_add(index, clg_array(g, CLG_F32, CLG_SHAPE(3, 8), values), 5)};
    static const char *const names[] = {"contract relu (4, 4) over 6", NULL, "scatter_add (5, 8)"};
    for (int i = 0; i < 3; i++) {
        clg_step_profile steps[8];
        int filled;
        clg_program *program = clg_compile(g, &outputs[i], 1);
        assert_int_equal(clg_program_profile(program, steps, 8, &filled), CLG_OK);
        assert_true(filled >= 1 && filled <= 8);
        assert_int_equal(filled, clg_program_get_info(program).steps);
        const char *name = steps[filled - 1].name;
        if (!names[i]) /* as many as there is room for */
            assert_true(!strncmp(name, ".. ", 3) && strlen(name) > 45 && strstr(name, " multiply sin (4, 6)"));
        else
            assert_string_equal(name, names[i]);
        clg_program_free(program);
    }
    clg_graph_free(g);
}

static void test_a_profiled_run_is_a_run(void **state)
{
    (void)state;
    network a = make_network(), b = make_network();
    int count = clg_program_get_info(a.step).steps, filled;
    clg_step_profile first[2];
    for (int i = 0; i < 10; i++) {
        assert_int_equal(clg_run(a.step), CLG_OK);
        if (i % 2)
            assert_int_equal(clg_program_profile(b.step, first, i % 3, &filled), CLG_OK);
        else
            assert_int_equal(clg_run(b.step), CLG_OK);
        assert_true(!(i % 2) || filled == (i % 3 < count ? i % 3 : count));
        float x, y;
        assert_int_equal(clg_read(a.loss, &x, sizeof x), CLG_OK);
        assert_int_equal(clg_read(b.loss, &y, sizeof y), CLG_OK);
        assert_memory_equal(&x, &y, sizeof x);
    }
    free_network(&a);
    free_network(&b);
}

static void test_errors(void **state)
{
    (void)state;
    clg_step_profile step = {.kind = "loop"};
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(3)), y = clg_exp(x);
    clg_program *program = clg_compile(g, &y, 1);
    assert_int_equal(clg_program_profile(NULL, &step, 1, NULL), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_program_profile(program, NULL, 1, NULL), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_program_profile(program, &step, -1, NULL), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_program_profile(program, &step, 1, NULL), CLG_ERROR_ARGUMENT);
    assert_non_null(strstr(clg_last_error(), "has never been written"));
    assert_int_equal(clg_profile_print(&step, 1, 0, 0, 0, stdout), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_profile_print(&step, 1, 1, 0, 0, NULL), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_profile_save(NULL, 1, 1, "x"), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_profile_save(&step, 1, 1, ""), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_profile_save(&step, 1, 1, "/nowhere/x"), CLG_ERROR_IO);
    assert_non_null(strstr(clg_last_error(), "/nowhere/x: cannot write: No such file"));
    clg_program_free(program);
    clg_graph_free(g);
}

/* ---------------------------------------------------------------- the files */

/* A path in the test's folder; the caller frees. */
static char *path_of(const char *name)
{
    char *path;
    assert_true(asprintf(&path, "%s/%s-%s", folder, clg_device_get_info(device)->type, name) > 0);
    return path;
}

/* The file's text, NULL if there is none; the caller frees. */
static char *read_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    if (file) {
        assert_true(getdelim(&text, &size, 0, file) > 0);
        fclose(file);
    }
    return text;
}

/* Checks a trace; returns how many steps it shows. */
static int count_steps(const char *path)
{
    char *text = read_text(path);
    assert_non_null(text);
    cJSON *trace = cJSON_Parse(text), *events = cJSON_GetObjectItem(trace, "traceEvents"), *event;
    assert_true(cJSON_IsArray(events));
    int count = 0;
    double last = 0;
    cJSON_ArrayForEach(event, events)
    {
        assert_true(cJSON_IsString(cJSON_GetObjectItem(event, "name")));
        assert_true(cJSON_IsNumber(cJSON_GetObjectItem(event, "pid")));
        double track = cJSON_GetNumberValue(cJSON_GetObjectItem(event, "tid"));
        assert_true(track >= 1);
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(event, "ph")), "X")) {
            last = 0;
            continue;
        }
        double start = cJSON_GetNumberValue(cJSON_GetObjectItem(event, "ts"));
        double length = cJSON_GetNumberValue(cJSON_GetObjectItem(event, "dur"));
        assert_true(start >= last - 1e-3 && length >= 0); /* one after the other, but for the rounding of sums */
        last = start + length;
        assert_true(cJSON_IsString(cJSON_GetObjectItem(event, "cat")));
        assert_true(cJSON_IsNumber(cJSON_GetObjectItem(cJSON_GetObjectItem(event, "args"), "bytes")));
        count++;
    }
    cJSON_Delete(trace);
    free(text);
    return count;
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void test_table_and_trace(void **state)
{
    (void)state;
    network n = make_network();
    int count;
    clg_step_profile *steps = take(&n, RUNS, &count);
    char *path = path_of("saved.json"), *table = NULL;
    size_t size;
    assert_int_equal(clg_profile_save(steps, count, RUNS, path), CLG_OK);
    assert_int_equal(count_steps(path), count * RUNS);
    FILE *out = open_memstream(&table, &size);
    assert_int_equal(clg_profile_print(steps, count, RUNS, 1e12, 1e12, out), CLG_OK);
    fclose(out);
    assert_int_equal(count_lines(table), count + 2);
    assert_non_null(strstr(table, "GFLOP/s"));
    free(table);
    free(path);
    free(steps);
    free_network(&n);
}

static void test_table_of_known_times(void **state)
{
    (void)state;
    /* two steps, three runs: medians 2 and 30 microseconds */
    const double lengths[] = {1e-6, 30e-6, 2e-6, 29e-6, 9e-6, 77e-6};
    clg_step_profile steps[6];
    for (int i = 0; i < 6; i++) {
        steps[i] = (clg_step_profile){"loop", "copy (4,)", 1, 0, lengths[i], 0, 1000};
        if (i % 2)
            steps[i] = (clg_step_profile){"matmul", "matmul (2, 2) over 3", 2, 1e-5, 1e-5 + lengths[i], 60000, 6000};
    }
    char *table = NULL, *line;
    size_t size;
    FILE *out = open_memstream(&table, &size);
    assert_int_equal(clg_profile_print(steps, 2, 3, 4e9, 1e9, out), CLG_OK);
    fclose(out);
    line = strchr(table, '\n') + 1;
    assert_int_equal(strncmp(line,
                             "    1  matmul             30.0   93.8%        2     0.006      0.06     2.0 GFLOP/s"
                             "    0.50  matmul (2, 2) over 3\n",
                             108),
                     0);
    line = strchr(line, '\n') + 1;
    assert_non_null(
        strstr(line, "    0  loop                2.0    6.2%        1     0.001      0.00        0.5 GB/s"));
    line = strchr(line, '\n') + 1;
    assert_non_null(strstr(line, "  all                     32.0  100.0%        3"));
    free(table);
}

/* The losses of some steps of training, as they lie in memory. */
static void train(float *losses, int steps)
{
    network n = make_network();
    for (int i = 0; i < steps; i++) {
        assert_int_equal(clg_run(n.step), CLG_OK);
        assert_int_equal(clg_read(n.loss, &losses[i], sizeof losses[i]), CLG_OK);
    }
    free_network(&n);
}

static void test_environment_variable(void **state)
{
    (void)state;
    float plain[30], profiled[30];
    network n = make_network();
    int count = clg_program_get_info(n.step).steps;
    free_network(&n);
    train(plain, 30);
    char *path = path_of("environment.json"), *table_path;
    assert_true(asprintf(&table_path, "%s.txt", path) > 0);
    setenv("CLGRAD_PROFILE", path, 1);
    train(profiled, 30);
    assert_memory_equal(plain, profiled, sizeof plain);
    assert_int_equal(count_steps(path), count * RECORDED);
    train(profiled, 5); /* another program is added */
    assert_int_equal(count_steps(path), count * RECORDED + count * 4);
    train(profiled, 1); /* nothing to tell of it */
    assert_int_equal(count_steps(path), count * RECORDED + count * 4);
    char *table = read_text(table_path);
    assert_int_equal(count_lines(table), 2 * (count + 3) + 1);
    assert_non_null(strstr(table, ", 20 runs\n"));
    assert_non_null(strstr(table, "\n\n"));
    free(table);
    /* programs of clg_read are programs too */
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_scalar(g, 1), zero = clg_full(g, CLG_F32, CLG_SCALAR, 0);
    for (int i = 0; i < 3; i++) {
        int32_t mark = clg_graph_mark(g);
        float value = (float)i;
        assert_int_equal(clg_write(x, &value, sizeof value), CLG_OK);
        assert_true(support_close(clg_item(clg_exp(clg_add(x, clg_sin(zero)))), exp(i), 1e-6));
        assert_int_equal(clg_graph_rewind(g, mark), CLG_OK);
    }
    clg_graph_free(g);
    assert_int_equal(count_steps(path), count * RECORDED + count * 4 + 2);
    setenv("CLGRAD_PROFILE", "/nowhere/x", 1);
    train(profiled, 30);
    assert_memory_equal(plain, profiled, sizeof plain);
    assert_non_null(strstr(clg_last_error(), "/nowhere/x.txt: cannot write"));
    unsetenv("CLGRAD_PROFILE");
    free(path);
    free(table_path);
}

static void remove_folder(void)
{
    char *command;
    if (asprintf(&command, "rm -rf '%s'", folder) > 0) {
        if (system(command) != 0)
            fprintf(stderr, "cannot remove %s\n", folder);
        free(command);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_in_order_and_add_up),
        cmocka_unit_test(test_names_say_what_a_step_computes),
        cmocka_unit_test(test_a_profiled_run_is_a_run),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_table_and_trace),
        cmocka_unit_test(test_table_of_known_times),
        cmocka_unit_test(test_environment_variable),
    };
    unsetenv("CLGRAD_PROFILE");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    int failed = support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
    remove_folder();
    return failed;
}
