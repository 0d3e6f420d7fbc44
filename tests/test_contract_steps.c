/* How many steps programs of contractions have: what fuses into them, and that nothing is copied. */
#include "support.h"
#include "support_schedule.h"

#include <stdlib.h>

static clg_device *device; /* of the group that runs now */

static clg_var random_leaf(clg_graph *g, clg_shape shape, clg_random *random)
{
    double *values = support_spread(clg_shape_count(shape), -1, 1, random);
    clg_var x = support_leaf(g, CLG_F32, shape, values);
    free(values);
    return x;
}

/* relu(conv + bias), and the same with a residual: one step; with gradients at most four more than the loss alone. A
 * strided one's gradient for x: one step. */
static void test_conv_programs(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 3);
    clg_graph *g = clg_graph_new(device);
    const clg_conv_options padded = {.before = CLG_SHAPE(1, 1), .after = CLG_SHAPE(1, 1)};
    clg_var x = random_leaf(g, CLG_SHAPE(2, 8, 9, 10), &random), w = random_leaf(g, CLG_SHAPE(8, 8, 3, 3), &random),
            bias = random_leaf(g, CLG_SHAPE(8, 1, 1), &random), r = random_leaf(g, CLG_SHAPE(2, 8, 9, 10), &random),
            y = clg_relu(clg_add(clg_conv(x, w, padded), bias)), both = clg_add(y, x), out[4];
    schedule_expect(&y, 1, 1, "conv, bias, relu");
    schedule_expect(&both, 1, 1, "conv, bias, relu, residual");
    for (int residual = 0; residual < 2; residual++) {
        int loss_steps;
        out[0] = clg_sum(clg_mul(residual ? both : y, r), CLG_ALL_AXES, false);
        clg_gradients(out[0], (clg_var[]){x, w, bias}, 3, out + 1);
        free(schedule_text(out, 1, &loss_steps));
        schedule_expect(out, 3, loss_steps + 4, "gradients of x and w");
        schedule_expect(out, 4, loss_steps + 5, "gradients of x, w and bias");
    }
    /* of every other element, whatever the padding: no row too many that a copy would leave out */
    for (int64_t before = 0; before < 2; before++) {
        const clg_conv_options strided = {
            .stride = CLG_SHAPE(2, 2), .before = CLG_SHAPE(before, before), .after = CLG_SHAPE(1, 1)};
        clg_var wide = random_leaf(g, CLG_SHAPE(2, 8, 10, 32), &random), few = clg_conv(wide, w, strided);
        clg_var gy = random_leaf(g, clg_shape_of(few), &random);
        clg_gradients(clg_sum(clg_mul(few, gy), CLG_ALL_AXES, false), &wide, 1, out);
        schedule_expect(out, 1, 1, "gradient of x, stride 2");
    }
    clg_graph_free(g);
}

/* Heads are axes of (batch, time, heads, depth): scores and outputs need no copy of them, nor do gradients. */
static void test_attention_programs(void **state)
{
    (void)state;
    clg_random random = clg_random_new(support_seed(), 4);
    clg_graph *g = clg_graph_new(device);
    const clg_shape heads = CLG_SHAPE(2, 7, 3, 8);
    clg_var q = random_leaf(g, heads, &random), k = random_leaf(g, heads, &random), v = random_leaf(g, heads, &random),
            r = random_leaf(g, heads, &random), out[4];
    clg_var scores = clg_einsum("bthd,bshd->bhts", (clg_var[]){q, k}, 2);
    clg_var y = clg_einsum("bhts,bshd->bthd", (clg_var[]){clg_softmax(scores, -1), v}, 2);
    schedule_expect(&scores, 1, 1, "scores");
    schedule_expect(&y, 1, 3, "attention");
    out[0] = clg_sum(clg_mul(y, r), CLG_ALL_AXES, false);
    clg_gradients(out[0], (clg_var[]){q, k, v}, 3, out + 1);
    schedule_expect(out, 4, 9, "attention with gradients");
    clg_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_programs),
        cmocka_unit_test(test_attention_programs),
    };
    return support_run_on_devices(&device, tests, sizeof tests / sizeof *tests);
}
