/* The memory order of intermediates: random networks of convolutions, whose intermediates may have their channels
 * last, against the same networks whose intermediates are all outputs, which stay as users see them. */
#include "run/engine.h"
#include "support.h"
#include "support_schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 60, OPENCL_ROUNDS = 3, MOST_NODES = 64 };

static clg_device *device; /* of the group that runs now */

/* A network being made: the activation, and all that were made before. */
typedef struct network {
    clg_graph *g;
    clg_random *random;
    clg_dtype dtype; /* f64 where there is, so that sums in another order are the same, about */
    clg_var x, made[MOST_NODES], weights[MOST_NODES];
    int made_count, weight_count;
    char log[512];
} network;

static int below(network *n, int count) { return (int)clg_random_below(n->random, (uint32_t)count); }

static void note(network *n, const char *what)
{
    strncat(n->log, what, sizeof n->log - strlen(n->log) - 1);
    n->made[n->made_count++] = n->x;
}

static clg_var leaf(network *n, clg_shape shape)
{
    double *values = support_spread(clg_shape_count(shape), -1, 1, n->random);
    clg_var x = support_leaf(n->g, n->dtype, shape, values);
    free(values);
    return x;
}

static void convolve(network *n, int64_t outputs)
{
    const clg_shape shape = clg_shape_of(n->x);
    const int64_t window = below(n, 2) ? 3 : 1, stride = 1 + (below(n, 4) == 0);
    const clg_conv_options options = {.stride = CLG_SHAPE(stride, stride),
                                      .before = CLG_SHAPE(window / 2, window / 2),
                                      .after = CLG_SHAPE(window / 2, window / 2)};
    clg_var w = leaf(n, CLG_SHAPE(outputs, shape.dim[1], window, window));
    n->weights[n->weight_count++] = w;
    n->x = clg_conv(n->x, w, options);
    note(n, window == 3 ? " conv3" : " conv1");
}

/* What goes between convolutions, in terms of logical axes. */
static void between(network *n)
{
    const clg_shape shape = clg_shape_of(n->x);
    const int64_t channels = shape.dim[1];
    switch (below(n, 10)) {
    case 0:
        n->x = clg_relu(clg_add(n->x, clg_reshape(leaf(n, CLG_SHAPE(channels)), CLG_SHAPE(channels, 1, 1))));
        note(n, " bias,relu");
        break;
    case 1:
        n->x = clg_max_pool(n->x, (clg_pool_options){.size = CLG_SHAPE(2, 2), .same = true});
        note(n, " maxpool");
        break;
    case 2:
        n->x = clg_avg_pool(n->x, (clg_pool_options){.size = CLG_SHAPE(2, 2), .stride = CLG_SHAPE(1, 1), .same = true});
        note(n, " avgpool");
        break;
    case 3:
        n->x = clg_batch_norm(n->x, leaf(n, CLG_SHAPE(channels)), leaf(n, CLG_SHAPE(channels)), 1, 1e-3, NULL, NULL);
        note(n, " batchnorm");
        break;
    case 4:
        n->x = clg_add(clg_flip(n->x, CLG_AXES(2)), n->x);
        note(n, " flip");
        break;
    case 5:
        n->x = clg_swap_axes(n->x, 2, 3);
        note(n, " swap");
        break;
    case 6:
        n->x = clg_mul(n->x, clg_mean(n->x, CLG_AXES(2, 3), true));
        note(n, " scale");
        break;
    case 7:
        n->x = clg_add(n->x, leaf(n, shape)); /* a leaf stays as it is, and what it is added to */
        note(n, " leaf");
        break;
    case 8:
        n->x = clg_concat((clg_var[]){n->x, clg_neg(n->x)}, 2, 1);
        note(n, " concat");
        break;
    default:
        n->x = clg_softmax(n->x, 1);
        note(n, " softmax");
    }
}

/* The values of a program's outputs, each freed with free(). */
static void run(clg_graph *g, const clg_var *all, int all_count, const clg_var *outputs, int count, double **values)
{
    clg_program *program = clg_compile(g, all, all_count);
    assert_non_null(program);
    assert_int_equal(clg_run(program), CLG_OK);
    for (int i = 0; i < count; i++)
        values[i] = support_values(outputs[i]);
    clg_program_free(program);
}

static void test_random_networks(void **state)
{
    (void)state;
    const bool cpu = !strcmp(clg_device_get_info(device)->type, "host");
    device->traits.channels_last = true; /* whatever the device likes */
    const clg_dtype real = clg_device_get_info(device)->has_f64 ? CLG_F64 : CLG_F32;
    for (int round = 0, rounds = support_rounds(cpu ? ROUNDS : OPENCL_ROUNDS); round < rounds; round++) {
        clg_random random = clg_random_new(support_seed(), (uint64_t)round);
        network n = {.g = clg_graph_new(device), .random = &random, .dtype = real};
        clg_var outputs[MOST_NODES + 1], all[3 * MOST_NODES];
        double *seen[MOST_NODES + 1], *own[MOST_NODES + 1];
        n.x = leaf(&n, CLG_SHAPE(2, 3, 8 + below(&n, 3), 7));
        for (int layers = 2 + below(&n, 3); layers > 0; layers--) {
            convolve(&n, 8 + 4 * below(&n, 3));
            for (int steps = below(&n, 3); steps > 0; steps--)
                between(&n);
        }
        outputs[0] = clg_mean(clg_square(n.x), CLG_ALL_AXES, false);
        clg_gradients(outputs[0], n.weights, n.weight_count, outputs + 1);
        const int count = n.weight_count + 1;
        memcpy(all, outputs, (size_t)count * sizeof *all);
        memcpy(all + count, n.made, (size_t)n.made_count * sizeof *all);
        run(n.g, all, count + n.made_count, outputs, count, seen);
        run(n.g, outputs, count, outputs, count, own);
        for (int i = 0; i < count; i++) {
            for (int64_t k = 0; k < clg_shape_count(clg_shape_of(outputs[i])); k++)
                if (!support_close(own[i][k], seen[i][k], real == CLG_F64 ? 1e-6 : 1e-2))
                    fail_msg("round %d:%s: output %d, element %" PRId64 " is %.9g, not %.9g", round, n.log, i, k,
                             own[i][k], seen[i][k]);
            free(own[i]);
            free(seen[i]);
        }
        clg_graph_free(n.g);
    }
}

/* What lies between two convolutions has its channels last, and is as users see it where they see it. */
static void test_channels_are_last(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 0);
    network n = {.g = clg_graph_new(device), .random = &random};
    const clg_conv_options padded = {.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)};
    device->traits.channels_last = true;
    clg_var x = leaf(&n, CLG_SHAPE(2, 3, 5, 7)), between = clg_conv(x, leaf(&n, CLG_SHAPE(8, 3, 3, 3)), padded);
    clg_var y = clg_conv(clg_relu(between), leaf(&n, CLG_SHAPE(9, 8, 3, 3)), padded), both[] = {y, between};
    for (int seen = 0; seen < 2; seen++) {
        int steps;
        char *text = schedule_text(both, 1 + seen, &steps);
        if (!strstr(text, "[0 +280i0 +56i1 +8i2 +1i3]") == !seen || !strstr(text, "[0 +315i0 +7i1 +1i2 +35i3]"))
            fail_msg("seen %d:\n%s", seen, text);
        free(text);
    }
    clg_graph_free(n.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_networks),
                                       cmocka_unit_test(test_channels_are_last)};
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
