/* The scheduler's promises: what is one launch stays one launch. Steps and launches are counted, printed plans are
 * compared with golden text, and memory plans are checked for overlap. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clg_program *compile(clg_graph *g, const clg_var *outputs, int count)
{
    clg_program *p = clg_compile(g, outputs, count);
    if (!p)
        fail_msg("compile: %s (%s)", clg_last_error(), clg_graph_error(g) ? clg_graph_error(g) : "");
    return p;
}

/* ---------------------------------------------------------------- launches */

static void chain(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var a = clg_input(g, CLG_F32, CLG_SHAPE(1000)), b = clg_input(g, CLG_F32, CLG_SHAPE(1000)), gx[2];
    clg_var y = clg_sigmoid(clg_mul(clg_relu(clg_add(clg_mul(a, b), a)), b));
    clg_gradients(y, (clg_var[]){a, b}, 2, gx);
    clg_program *p = compile(g, (clg_var[]){y, gx[0], gx[1]}, 3);
    assert_int_equal(clg_program_get_info(p).launches, 1);
    assert_int_equal(clg_program_get_info(p).bytes, 5 * 1000 * 4); /* the fewest: two in, three out */
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_chain_with_gradient_is_one_launch(void **state)
{
    (void)state;
    support_each_device(chain);
}

/* The training step of a two-layer perceptron. */
static clg_program *mlp_step(clg_graph *g, clg_optimizer **optimizer, clg_mlp **mlp)
{
    clg_random random = clg_random_new(1, 0);
    int count;
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(128, 784)), labels = clg_input(g, CLG_I32, CLG_SHAPE(128));
    *mlp = clg_mlp_new(g, (int64_t[]){784, 512, 10}, 3, &random);
    clg_var loss = clg_softmax_cross_entropy(clg_mlp_apply(*mlp, x), labels);
    const clg_var *params = clg_mlp_parameters(*mlp, &count);
    *optimizer = clg_sgd(params, count, NULL);
    assert_non_null(*optimizer);
    clg_var updated = clg_minimize(*optimizer, loss);
    return compile(g, &updated, 1);
}

static bool step_reads(const plan_step *step, int32_t buffer)
{
    if (step->kind == STEP_CONTRACT && (step->operand[0].buffer == buffer || step->operand[1].buffer == buffer))
        return true;
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_LOAD && step->instrs[i].buffer == buffer)
            return true;
    return false;
}

static bool step_writes(const plan_step *step, int32_t buffer)
{
    if (step->kind == STEP_CONTRACT && step->product == buffer)
        return true;
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_STORE && step->instrs[i].buffer == buffer)
            return true;
    return false;
}

static bool depends(const plan *p, int32_t later, int32_t earlier)
{
    for (int32_t b = 0; b < p->buffer_count; b++)
        if (step_writes(&p->steps[earlier], b) && step_reads(&p->steps[later], b))
            return true;
    return false;
}

static void mlp_launches(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_optimizer *optimizer;
    clg_mlp *mlp;
    clg_program *program = mlp_step(g, &optimizer, &mlp);
    const plan *p = program->compiled.p;
    int32_t between[64], loops = 0;
    assert_int_equal(clg_program_get_info(program).matmuls, 5); /* no gradient for the images */
    assert_true(p->step_count <= 64);
    /* between[i]: most loop steps on a path from a matrix product to step i, not counting i */
    for (int32_t i = 0; i < p->step_count; i++) {
        between[i] = -1;
        for (int32_t j = 0; j < i; j++) {
            if (!depends(p, i, j))
                continue;
            int32_t path = p->steps[j].kind == STEP_CONTRACT ? 0 : between[j] < 0 ? -1 : between[j] + 1;
            between[i] = path > between[i] ? path : between[i];
        }
        if (p->steps[i].kind == STEP_CONTRACT && between[i] > 1)
            fail_msg("%d launches between dependent matrix products", (int)between[i]);
        loops += p->steps[i].kind == STEP_LOOP;
    }
    assert_true(loops <= 4 + 4); /* softmax with its gradient, loss, two bias gradients; epilogues where not fused */
    clg_program_free(program);
    clg_optimizer_free(optimizer);
    clg_mlp_free(mlp);
    clg_graph_free(g);
}

static void test_mlp_step(void **state)
{
    (void)state;
    support_each_device(mlp_launches);
}

/* Whether so many rows, or columns in blocks of 128 lanes, keep all units of a device busy. Where they do not, a
 * reduction is cut into pieces: a second launch combines them. */
static bool feed(const clg_device *device, int64_t rows, int64_t columns)
{
    return (rows ? rows : columns / 128 + 1) >= device->traits.units;
}

static void reductions(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(1 << 22)), m = clg_input(g, CLG_F32, CLG_SHAPE(8192, 1024));
    const clg_var cases[] = {clg_sum(clg_square(x), CLG_ALL_AXES, false),
                             clg_mean(x, CLG_ALL_AXES, false),
                             clg_sum(m, CLG_AXES(0), false),
                             clg_sum(m, CLG_AXES(1), false),
                             clg_softmax(m, 1),
                             clg_softmax(m, 0),
                             clg_max(m, CLG_ALL_AXES, false)};
    const bool rows = feed(device, 8192, 0), columns = feed(device, 0, 1024);
    const int softmax = 2 + 2 + 1; /* in pieces: two reductions, each with what combines it, and the rest */
    const int most[] = {2, 2, columns ? 1 : 2, rows ? 1 : 2, rows ? 1 : softmax, columns ? 1 : softmax, 2};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clg_program *p = compile(g, &cases[i], 1);
        if (clg_program_get_info(p).launches > most[i])
            fail_msg("case %zu: %d launches, at most %d expected", i, (int)clg_program_get_info(p).launches, most[i]);
        clg_program_free(p);
    }
    clg_graph_free(g);
}

static void test_reductions_take_few_launches(void **state)
{
    (void)state;
    support_each_device(reductions);
}

/* A contraction with few results is a contraction of pieces and what adds them up, with what follows; others are one
 * launch. */
static void contractions(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var a = clg_input(g, CLG_F32, CLG_SHAPE(8192, 8)), b = clg_input(g, CLG_F32, CLG_SHAPE(8192, 8));
    const clg_var few = clg_matmul(clg_transpose(a), b), many = clg_matmul(a, clg_transpose(b));
    const clg_var cases[] = {few, clg_relu(clg_mul(few, few)), many};
    const int launches[] = {2, 2, 1};
    assert_true(device->traits.units > 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clg_program *p = compile(g, &cases[i], 1);
        assert_int_equal(clg_program_get_info(p).launches, launches[i]);
        clg_program_free(p);
    }
    clg_graph_free(g);
}

static void test_contractions_in_pieces(void **state)
{
    (void)state;
    support_each_device(contractions);
}

/* With its gradients: one launch over rows, one over columns; and what divides is the same for a whole row. */
static void layer_norm(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var v[3] = {clg_input(g, CLG_F32, CLG_SHAPE(8192, 1024)), clg_input(g, CLG_F32, CLG_SHAPE(1024)),
                    clg_input(g, CLG_F32, CLG_SHAPE(1024))};
    clg_var outputs[4] = {clg_layer_norm(v[0], v[1], v[2], 1e-5)};
    clg_gradients(clg_mul(outputs[0], clg_input(g, CLG_F32, CLG_SHAPE(8192, 1024))), v, 3, outputs + 1);
    clg_program *program = compile(g, outputs, 4);
    const plan *p = program->compiled.p;
    int divisions = 0;
    assert_int_equal(clg_program_get_info(program).launches, feed(device, 0, 1024) ? 2 : 3);
    for (int32_t i = 0; i < p->step_count; i++)
        for (int32_t k = 0; k < p->steps[i].section_count; k++) {
            const plan_section *section = &p->steps[i].sections[k];
            for (int32_t n = section->first; n < section->first + section->count; n++) {
                bool divides = p->steps[i].instrs[n].kind == INSTR_MAP && p->steps[i].instrs[n].op == OP_DIV;
                divisions += divides;
                assert_false(divides && section->kind == SECTION_INNER);
            }
        }
    assert_true(divisions > 0);
    assert_int_equal(p->steps[0].outer_count, 8192); /* outer positions of the step that divides are rows */
    clg_program_free(program);
    clg_graph_free(g);
}

static void test_layer_norm_divides_once_a_row(void **state)
{
    (void)state;
    support_each_device(layer_norm);
}

/* How often a program evaluates an operation. */
static int64_t evaluations(clg_program *program, clg_op op)
{
    const plan *p = program->compiled.p;
    int64_t count = 0;
    for (int32_t i = 0; i < p->step_count; i++)
        for (int32_t s = 0; s < p->steps[i].section_count; s++) {
            const plan_section *section = &p->steps[i].sections[s];
            const int64_t times = section->kind == SECTION_ONCE ? 1 : p->steps[i].outer_count;
            for (int32_t n = section->first; n < section->first + section->count; n++)
                if (p->steps[i].instrs[n].kind == INSTR_MAP && p->steps[i].instrs[n].op == op)
                    count += times * (section->kind == SECTION_INNER ? p->steps[i].inner_count : 1);
        }
    return count;
}

/* A function of some axes, used along all: it is evaluated about once for each of its elements, or for each row of many
 * elements, whatever axes they are, long ones and short ones. */
static void test_broadcast_functions_are_evaluated_once(void **state)
{
    enum { AXES = 4, ROW = 64 };
    (void)state;
    clg_device *device = support_open("cpu");
    static const int64_t shapes[][AXES] = {{40, 50, 30, 9}, {9, 300, 8, 40}, {70, 3, 5, 600}, {3, 4, 500, 64}};
    for (int s = 0; s < (int)(sizeof shapes / sizeof *shapes); s++)
        for (int axes = 1; axes < (1 << AXES) - 1; axes++) {
            clg_graph *g = clg_graph_new(device);
            clg_shape all = {.rank = AXES}, some = {.rank = AXES};
            for (int d = 0; d < AXES; d++) {
                all.dim[d] = shapes[s][d];
                some.dim[d] = axes >> d & 1 ? shapes[s][d] : 1;
            }
            clg_var x = clg_input(g, CLG_F32, all), b = clg_input(g, CLG_F32, some), y = clg_mul(clg_sin(b), x);
            clg_program *p = compile(g, &y, 1);
            const int64_t count = evaluations(p, OP_SIN), once = clg_shape_count(some), every = clg_shape_count(all);
            if (count > 4 * once && count > every / ROW && every > 4 * once)
                fail_msg("shape %d, axes %d: sin is evaluated %lld times for %lld elements", s, axes, (long long)count,
                         (long long)once);
            clg_program_free(p);
            clg_graph_free(g);
        }
    clg_device_close(device);
}

/* A batch of a data set on the device: gather, cast and scale are one launch, the next place another. */
static void batch_by_index(clg_device *device)
{
    clg_graph *g = clg_graph_new(device);
    clg_var table = clg_input(g, CLG_U8, CLG_SHAPE(1000, 784)), order = clg_input(g, CLG_I32, CLG_SHAPE(1000));
    clg_var place = clg_input(g, CLG_I32, CLG_SCALAR);
    clg_var index = clg_gather(order, clg_add(place, clg_arange(g, CLG_I32, 128)));
    clg_var x = clg_mul(clg_cast(clg_gather(table, index), CLG_F32), clg_full(g, CLG_F32, CLG_SCALAR, 1.0 / 255));
    clg_program *p = compile(g, &x, 1);
    assert_int_equal(clg_program_get_info(p).launches, 1);
    clg_program_free(p);
    clg_var next = clg_assign(place, clg_add(place, clg_full(g, CLG_I32, CLG_SCALAR, 128)));
    p = compile(g, (clg_var[]){x, next}, 2);
    assert_int_equal(clg_program_get_info(p).launches, 2);
    clg_program_free(p);
    clg_graph_free(g);
}

static void test_batch_by_index_is_one_launch(void **state)
{
    (void)state;
    support_each_device(batch_by_index);
}

/* ---------------------------------------------------------------- golden text */

static void expect_printed(clg_program *p, int what, const char *want)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(clg_program_print(p, out, what), CLG_OK);
    fclose(out);
    assert_string_equal(text, want);
    free(text);
}

static void test_golden_softmax(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(64, 100)), y = clg_softmax(x, 1);
    clg_program *p = compile(g, &y, 1);
    expect_printed(p, CLG_PRINT_SCHEDULE,
                   "step 0: loop (64 | 100), by rows\n"
                   "    inner\n"
                   "      r0   f32 = load leaf %0[0 +100i0 +1i1]\n"
                   "      r1   f32 = reduce max r0\n"
                   "    inner\n"
                   "      r2   f32 = load leaf %0[0 +100i0 +1i1]\n"
                   "      r3   f32 = subtract r2 r1\n"
                   "      r4   f32 = exp r3\n"
                   "      r5   f32 = reduce sum r4\n"
                   "    inner\n"
                   "      r6   f32 = load leaf %0[0 +100i0 +1i1]\n"
                   "      r7   f32 = subtract r6 r1\n"
                   "      r8   f32 = exp r7\n"
                   "      r9   f32 = divide r8 r5\n"
                   "      store r9 to output %8[0 +100i0 +1i1]\n");
    clg_program_free(p);
    clg_graph_free(g);
    clg_device_close(device);
}

/* The index is evaluated once a row. */
static void test_golden_gather(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var table = clg_input(g, CLG_U8, CLG_SHAPE(1000, 4, 100)), index = clg_input(g, CLG_U8, CLG_SHAPE(256));
    clg_var y = clg_cast(clg_gather(table, clg_add(clg_cast(index, CLG_I32), clg_arange(g, CLG_I32, 256))), CLG_F32);
    clg_program *p = compile(g, &y, 1);
    expect_printed(p, CLG_PRINT_SCHEDULE,
                   "step 0: loop (256 | 400), by rows\n"
                   "    outer\n"
                   "      r0   i32 = position [0 +1i0 +0i1]\n"
                   "      r1   u8  = load leaf %1[0 +1i0 +0i1]\n"
                   "      r2   i32 = cast r1\n"
                   "      r3   i32 = add r2 r0\n"
                   "    inner\n"
                   "      r4   u8  = load leaf %0[0 +0i0 +1i1] row r3\n"
                   "      r5   f32 = cast r4\n"
                   "      store r5 to output %6[0 +400i0 +1i1]\n");
    clg_program_free(p);
    clg_graph_free(g);
    clg_device_close(device);
}

static void test_golden_memory(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var a = clg_input(g, CLG_F32, CLG_SHAPE(64, 64)), h = a;
    for (int i = 0; i < 4; i++) /* a chain: two buffers take turns */
        h = clg_matmul(h, a);
    clg_program *p = compile(g, &h, 1);
    expect_printed(p, CLG_PRINT_MEMORY,
                   "arena 32768 bytes, at least 32768 alive at once\n"
                   "node     dtype          bytes         offset  steps\n"
                   "%1       f32            16384              0  0-1\n"
                   "%2       f32            16384          16384  1-2\n"
                   "%3       f32            16384              0  2-3\n");
    clg_program_free(p);
    clg_graph_free(g);
    clg_device_close(device);
}

static void test_golden_graph(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_input(g, CLG_F32, CLG_SHAPE(3)), gx;
    clg_gradients(clg_square(x), &x, 1, &gx);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(clg_graph_print(g, out), CLG_OK);
    fclose(out);
    assert_string_equal(text, "%0     input          f32  (3,)            \n"
                              "%1     square         f32  (3,)             %0\n"
                              "%2     constant       f32  (3,)             1\n"
                              "%3     constant       f32  (3,)             2\n"
                              "%4     multiply       f32  (3,)             %0 %3\n");
    free(text);
    clg_graph_free(g);
    clg_device_close(device);
}

/* ---------------------------------------------------------------- memory plans */

/* No two buffers alive at the same step may overlap, unless one took the other's place in that very step. */
static void check_arena(const plan *p)
{
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const plan_buffer *a = &p->buffers[i];
        if (a->kind != BUFFER_ARENA || a->first < 0)
            continue;
        assert_true(a->offset >= 0 && a->offset % PLAN_ALIGNMENT == 0 && a->offset + a->bytes <= p->arena_bytes);
        for (int32_t j = 0; j < i; j++) {
            const plan_buffer *b = &p->buffers[j];
            bool apart = b->kind != BUFFER_ARENA || b->first < 0 || a->offset + a->bytes <= b->offset ||
                         b->offset + b->bytes <= a->offset || a->last < b->first || b->last < a->first;
            bool in_place = a->offset == b->offset && (a->last == b->first || b->last == a->first);
            if (!apart && !in_place)
                fail_msg("buffers %d and %d share memory while both live", (int)i, (int)j);
        }
    }
}

static void test_random_memory_plans(void **state)
{
    (void)state;
    clg_device *device = support_open("cpu");
    clg_random random = clg_random_new(support_seed(), 9);
    double worst = 1;
    for (int round = 0; round < support_rounds(40); round++) {
        clg_graph *g = clg_graph_new(device);
        clg_var vars[64];
        int count = 2;
        vars[0] = clg_input(g, CLG_F32, CLG_SHAPE(32, 32));
        vars[1] = clg_input(g, CLG_F32, CLG_SHAPE(32, 32));
        for (; count < 40; count++) {
            clg_var a = vars[clg_random_below(&random, (uint32_t)count)];
            clg_var b = vars[count - 1 - (int)clg_random_below(&random, 2)];
            switch (clg_random_below(&random, 4)) {
            case 0:
                vars[count] = clg_matmul(a, b);
                break;
            case 1:
                vars[count] = clg_add(clg_sin(a), b);
                break;
            case 2:
                vars[count] = clg_softmax(clg_mul(a, b), (int)clg_random_below(&random, 2));
                break;
            default:
                vars[count] = clg_add(clg_transpose(a), clg_sum(b, CLG_AXES(1), true));
            }
        }
        clg_program *p = compile(g, &vars[count - 1], 1);
        check_arena(p->compiled.p);
        double ratio = p->compiled.p->arena_lower_bound
                           ? (double)p->compiled.p->arena_bytes / (double)p->compiled.p->arena_lower_bound
                           : 1;
        worst = ratio > worst ? ratio : worst;
        clg_program_free(p);
        clg_graph_free(g);
    }
    print_message("worst arena over lower bound: %.3f\n", worst);
    assert_true(worst <= 1.1);
    clg_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_with_gradient_is_one_launch),
        cmocka_unit_test(test_mlp_step),
        cmocka_unit_test(test_reductions_take_few_launches),
        cmocka_unit_test(test_contractions_in_pieces),
        cmocka_unit_test(test_layer_norm_divides_once_a_row),
        cmocka_unit_test(test_broadcast_functions_are_evaluated_once),
        cmocka_unit_test(test_batch_by_index_is_one_launch),
        cmocka_unit_test(test_golden_softmax),
        cmocka_unit_test(test_golden_gather),
        cmocka_unit_test(test_golden_memory),
        cmocka_unit_test(test_golden_graph),
        cmocka_unit_test(test_random_memory_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
