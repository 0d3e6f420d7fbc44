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
    n.optimizer = clg_adam(parameters, count, &(clg_adam_options){.lr = 1e-2});
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
        assert_true(matmul || !strcmp(p->kind, "loop") || !strcmp(p->kind, "scatter_add"));
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
    int32_t mark = clg_graph_mark(g), rows[] = {2, 0, 2};
    clg_var a = clg_full(g, CLG_F32, CLG_SCALAR, 2), table = clg_scalar(g, 3);
    clg_var x = clg_mul(clg_broadcast_to(table, CLG_SHAPE(3, 5)), a), index = clg_array(g, CLG_I32, CLG_SHAPE(3), rows);
    clg_var y = clg_scatter_add(index, clg_exp(x), 4);
    clg_program *program = clg_compile(g, &y, 1);
    assert_non_null(program);
    assert_int_equal(clg_graph_rewind(g, mark), CLG_OK == 0 ? CLG_OK : CLG_OK);
    clg_step_profile steps[8];
    int filled;
    /* the leaves are gone with the nodes: only the names of the program's own copy may be used */
    clg_program_free(program);
    table = clg_scalar(g, 3);
    index = clg_array(g, CLG_I32, CLG_SHAPE(3), rows);
    y = clg_scatter_add(index, clg_exp(clg_broadcast_to(table, CLG_SHAPE(3, 5))), 4);
    program = clg_compile(g, &y, 1);
    assert_int_equal(clg_program_profile(program, steps, 8, &filled), CLG_OK);
    assert_int_equal(filled, clg_program_get_info(program).steps);
    assert_string_equal(steps[filled - 1].kind, "scatter_add");
    assert_string_equal(steps[filled - 1].name, "scatter_add (4, 5)");
    clg_program_free(program);
    clg_graph_free(g);
}
