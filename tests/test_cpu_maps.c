/* How the CPU path evaluates maps: pairs that share an entry give the bits of the two apart, in random programs and in
 * each table that the machine can run; stores past the caches write what they should, and nothing else. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <clgrad/clgrad.h>

#include "../src/host/backend/cpu/cpu.h"
#include "../src/host/backend/cpu/isa.h"
#include "support_plan.h"

static float random_f32(void)
{
    static const float special[] = {0, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, 1e-40f, -1e-40f, 3e38f, -3e38f};
    return plan_below(12) == 0 ? special[plan_below(11)] : (float)plan_uniform(-3, 3);
}

/* ---------------------------------------------------------------- random programs */

enum { LOADS = 3, MAPS = 16, KEPT = 3, MOST_LANES = 2600 };

/* Whether buffers hold f32 or u8, and their memory. */
typedef struct memory {
    char *address[MAX_BUFFERS];
} memory;

static const int first_ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_LESS, OP_LESS_EQUAL, OP_EQUAL, OP_NOT_EQUAL};
static const int other_ops[] = {OP_ADD, OP_SUB,    OP_MUL,  OP_DIV,     OP_NEG,
                                OP_ABS, OP_SQUARE, OP_RELU, OP_MAXIMUM, OP_WHERE};

/* An operand: often the newest value, so that chains arise. */
static int operand(const int *values, int count)
{
    return plan_below(2) ? values[count - 1] : values[plan_below(count)];
}

/* Some maps over n lanes of three buffers, one value for all lanes and two constants. The last values are stored;
 * apart: all others, too, so that each has two readers and none is joined. The same seed gives the same maps. */
static plan_builder *random_program(uint64_t seed, int64_t n, bool apart)
{
    plan_builder *b = plan_new_builder();
    b->guard = 0; /* the memory is the test's own */
    plan_step *s = plan_add_step(b, 1, 0, &n);
    int values[LOADS + 3 + MAPS], count = 0, results[MAPS], masks[MAPS], mask_count = 0;
    plan_seed(seed);
    plan_begin_section(s, SECTION_ONCE);
    values[count++] = plan_emit_constant(s, CLG_F32, 0);
    values[count++] = plan_emit_constant(s, CLG_F32, 1.5);
    plan_begin_section(s, SECTION_OUTER);
    for (int i = 0; i <= LOADS; i++) {
        plan_access access = plan_dense_outer(s);
        access.stride[0] = i > 0; /* the first: one value */
        values[count++] = plan_emit_load(b, s, plan_add_leaf(b, CLG_F32, n, -3, 3), access);
    }
    for (int i = 0; i < MAPS; i++) {
        int op = plan_below(2) ? first_ops[plan_below(7)] : other_ops[plan_below(10)], arity = clg_ops[op].arity;
        int x = operand(values, count), y = operand(values, count), z = operand(values, count);
        if (op == OP_WHERE && mask_count == 0)
            op = OP_MAXIMUM, arity = 2;
        if (op == OP_WHERE)
            x = masks[mask_count - 1];
        bool compare = clg_ops[op].types == TYPES_COMPARE;
        results[i] = plan_emit_op(s, op, compare ? CLG_U8 : CLG_F32, x, arity > 1 ? y : -1, arity > 2 ? z : -1);
        if (compare)
            masks[mask_count++] = results[i];
        else
            values[count++] = results[i];
    }
    for (int i = MAPS - 1, kept = 0; i >= 0; i--) {
        bool keep = kept < KEPT && s->instrs[results[i]].dtype == CLG_F32;
        kept += keep;
        if (keep || apart)
            plan_emit_store(b, s, plan_add_output(b, (clg_dtype)s->instrs[results[i]].dtype, n), plan_dense_outer(s),
                            results[i]);
    }
    return b;
}

static void fill(const plan_builder *b, uint64_t seed, memory *m)
{
    plan_seed(seed + 1);
    for (int i = 0; i < b->plan.buffer_count; i++) {
        m->address[i] = NULL;
        assert_int_equal(posix_memalign((void **)&m->address[i], 64, (size_t)b->buffers[i].bytes + 64), 0);
        memset(m->address[i], 0x5a, (size_t)b->buffers[i].bytes);
        for (int64_t k = 0; i <= LOADS && k < b->buffers[i].count; k++)
            ((float *)(void *)m->address[i])[k] = random_f32();
    }
}

static void run(const cpu_tape *t, const memory *m, cpu_pool *pool)
{
    char *scratch[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(posix_memalign((void **)&scratch[i], 64, (size_t)t->scratch_bytes), 0);
    cpu_run_loop(t, m->address, scratch, pool);
    free(scratch[0]);
    free(scratch[1]);
}

/* NaN is NaN: which operand's payload it carries is the compiler's choice. */
static bool same_f32(const float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&x[i], &y[i], sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i])))
            return false;
    return true;
}

/* The values that both programs store. The one with pairs stores nothing else. */
static bool same_results(const plan_builder *joined, const memory *m, const plan_builder *apart, const memory *k)
{
    bool same = true;
    for (int i = LOADS + 1, j = LOADS + 1; i < joined->plan.buffer_count; i++, j++) {
        while (apart->buffers[j].dtype != CLG_F32)
            j++;
        same &= same_f32((const void *)m->address[i], (const void *)k->address[j], joined->buffers[i].count);
    }
    return same;
}

static void release(plan_builder *b, memory *m, cpu_tape *t)
{
    for (int i = 0; i < b->plan.buffer_count; i++)
        free(m->address[i]);
    cpu_tape_free(t);
    plan_free_builder(b);
}

/* The row of vectors->joins from which an entry is; -1. */
static int row_of(const cpu_vectors *vectors, const cpu_entry *e)
{
    for (int j = 0; j < vectors->join_count; j++)
        for (int k = 0; k < CPU_JOIN_FORMS; k++)
            if (vectors->joins[j].form[k] == e->run)
                return j;
    return -1;
}

/* Another pair's function for the same operands: the wrong one. */
static cpu_fn wrong_pair(const cpu_vectors *vectors, int row, cpu_fn right)
{
    const cpu_join *of = &vectors->joins[row];
    int form = 0;
    while (of->form[form] != right)
        form++;
    for (int j = 0; j < vectors->join_count; j++) {
        bool shape = true; /* as many operands: the same forms exist */
        for (int k = 0; k < CPU_JOIN_FORMS; k++)
            shape &= !vectors->joins[j].form[k] == !of->form[k];
        if (shape && vectors->joins[j].form[form] != right)
            return vectors->joins[j].form[form];
    }
    return right;
}

/* Entries of pairs; with fault the last becomes a wrong one, which must be noticed. */
static int count_joined(cpu_tape *t, const cpu_vectors *vectors, bool *rows, bool fault)
{
    int count = 0;
    for (int32_t i = t->entry_count - 1; i >= 0; i--) {
        cpu_entry *e = &t->entries[i];
        int j = row_of(vectors, e);
        if (j < 0)
            continue;
        rows[j] = true;
        if (fault && count == 0)
            e->run = wrong_pair(vectors, j, e->run);
        count++;
    }
    return count;
}

/* Whether a program with pairs gives what it gives without. joined: how many pairs it has. */
static bool check_program(uint64_t seed, int64_t n, const cpu_vectors *vectors, cpu_pool *pool, bool fault, bool *rows,
                          int *joined)
{
    bool none[64] = {false};
    plan_builder *b[2] = {random_program(seed, n, false), random_program(seed, n, true)};
    memory m[2];
    cpu_tape t[2];
    for (int i = 0; i < 2; i++) {
        fill(b[i], seed, &m[i]);
        assert_int_equal(plan_analyse(&b[i]->plan), CLG_OK);
        assert_int_equal(cpu_tape_build(&b[i]->plan, b[i]->steps, m[i].address, vectors, &t[i]), CLG_OK);
        int count = count_joined(&t[i], vectors, i ? none : rows, i == 0 && fault);
        if (i == 0)
            *joined = count;
        else
            assert_int_equal(count, 0);
        run(&t[i], &m[i], pool);
    }
    bool same = same_results(b[0], &m[0], b[1], &m[1]);
    for (int i = 0; i < 2; i++)
        release(b[i], &m[i], &t[i]);
    return same;
}

static void test_pairs(void **state)
{
    enum { FAULTS = 60 }; /* programs with a planted fault, for each table */
    static const int64_t sizes[] = {2, 17, 255, CPU_CHUNK, 1000, MOST_LANES};
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    cpu_pool *pool;
    int joined, faults = 0, noticed = 0;
    (void)state;
    assert_int_equal(cpu_pool_new(2, &pool), CLG_OK);
    for (size_t v = 0; v < count; v++) {
        bool rows[64] = {false};
        assert_true(list[v]->vectors->join_count < 64);
        for (uint64_t seed = 1; seed <= 1500; seed++)
            if (!check_program(seed * 2654435761u, sizes[seed % 6], list[v]->vectors, pool, false, rows, &joined))
                fail_msg("%s, seed %d: maps in one entry differ from maps apart", list[v]->name, (int)seed);
        for (int j = 0; j < list[v]->vectors->join_count; j++) /* of two rows with one function the first is found */
            if (!rows[j] && row_of(list[v]->vectors, &(cpu_entry){.run = list[v]->vectors->joins[j].form[0]}) == j)
                fail_msg("no program had %s before %s (operand %d)", clg_ops[list[v]->vectors->joins[j].first].name,
                         clg_ops[list[v]->vectors->joins[j].second].name, (int)list[v]->vectors->joins[j].operand);
        for (uint64_t seed = 1; seed <= FAULTS; seed++) { /* a fault may not reach a result that is stored */
            bool same = check_program(seed * 2654435761u, 1000, list[v]->vectors, pool, true, rows, &joined);
            faults += joined > 0;
            noticed += !same;
        }
    }
    cpu_pool_free(pool);
    /* most programs have a pair to spoil */
    if (!(faults > FAULTS * (int)count / 2 && noticed > faults / 2))
        fail_msg("of %d wrong pairs %d were noticed", faults, noticed);
}

/* ---------------------------------------------------------------- stores past the caches */

static void test_stream(void **state)
{
    enum { MOST = 1200, GUARD_BYTES = 128 };
    static const int64_t sizes[] = {0, 1, 15, 16, 31, 64, 127, 128, 129, 256, 1000};
    static char from[MOST], to[MOST + 2 * GUARD_BYTES] __attribute__((aligned(64)));
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    (void)state;
    for (int i = 0; i < MOST; i++)
        from[i] = (char)plan_below(256);
    for (size_t v = 0; v < count; v++)
        for (int element = 1; element <= 8; element *= element == 1 ? 4 : 2)
            for (int shift = 0; shift < 72; shift += element)
                for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
                    int64_t n = sizes[k] / element, bytes = n * element;
                    char *d = to + GUARD_BYTES + shift;
                    void *slots[] = {d, from + (shift & 8)};
                    cpu_runner r = {.slot = slots};
                    const cpu_entry e = {list[v]->vectors->stream, 0, 1, element, -1, -1};
                    memset(to, 0x77, sizeof to);
                    e.run(&r, &e, n);
                    __atomic_thread_fence(__ATOMIC_SEQ_CST);
                    assert_memory_equal(d, slots[1], (size_t)bytes);
                    for (const char *at = to; at < to + sizeof to; at++)
                        assert_true((at >= d && at < d + bytes) || *at == 0x77);
                }
}

/* How many stores of a step over n f32 go past the caches. The step is y = x z, or with copy y = z; then, with second,
 * w = x z - x, too. Memory of x, z, y and w begins at address[]. */
static int streamed_stores(int64_t n, bool copy, bool second, char *const address[4], const cpu_vectors *vectors)
{
    plan_builder *b = plan_new_builder();
    b->guard = 0;
    plan_step *s = plan_add_step(b, 1, 0, &n);
    cpu_tape t;
    for (int i = 0; i < 4; i++)
        plan_add_leaf(b, CLG_F32, n, -3, 3);
    plan_begin_section(s, SECTION_OUTER);
    int x = plan_emit_load(b, s, 0, plan_dense_outer(s)), z = plan_emit_load(b, s, 1, plan_dense_outer(s));
    int product = plan_emit_op(s, OP_MUL, CLG_F32, x, z, -1);
    plan_emit_store(b, s, 2, plan_dense_outer(s), copy ? z : product);
    if (second)
        plan_emit_store(b, s, 3, plan_dense_outer(s), plan_emit_op(s, OP_SUB, CLG_F32, product, x, -1));
    assert_int_equal(plan_analyse(&b->plan), CLG_OK);
    assert_int_equal(cpu_tape_build(&b->plan, b->steps, address, vectors, &t), CLG_OK);
    int count = 0;
    for (int32_t i = 0; i < t.entry_count; i++)
        count += t.entries[i].run == vectors->stream;
    assert_int_equal(t.streams, count > 0);
    cpu_tape_free(&t);
    plan_free_builder(b);
    return count;
}

/* Only long buffers from which the step loads nothing and into which nothing else is stored: of the others the caches
 * have the lines, and to write past them is slower, not wrong, so that no result would tell. The tape is not run. */
static void test_which_stores_stream(void **state)
{
    enum { N = 3 << 20, SHORT = 1000, BYTES = N * (int)sizeof(float) };
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    char *p[4], *block = malloc(4 * (size_t)BYTES);
    (void)state;
    assert_non_null(block);
    for (int i = 0; i < 4; i++)
        p[i] = block + (size_t)i * BYTES;
    for (size_t v = 0; v < count; v++)
        for (int copy = 0; copy < 2; copy++) {
            const cpu_vectors *t = list[v]->vectors;
            assert_int_equal(streamed_stores(N, copy, false, p, t), 1);
            assert_int_equal(streamed_stores(N, copy, true, p, t), 2);
            assert_int_equal(streamed_stores(SHORT, copy, true, p, t), 0);
            for (int from = 0; from < 2; from++) /* in place, of either operand; then over a part of it */
                for (int shift = -64; shift <= 64; shift += 64) {
                    char *y = from == 0 && shift < 0 ? p[0] : p[from] + shift;
                    assert_int_equal(streamed_stores(N, copy, false, (char *[]){p[0], p[1], y, p[3]}, t), 0);
                }
            assert_int_equal(streamed_stores(N, copy, true, (char *[]){p[0], p[1], p[2], p[0]}, t), 1);
            assert_int_equal(streamed_stores(N, copy, true, (char *[]){p[0], p[1], p[1], p[3]}, t), 1);
            assert_int_equal(streamed_stores(N, copy, true, (char *[]){p[0], p[1], p[2], p[2] + 64}, t), 0);
        }
    free(block);
}

/* y = sigmoid(relu(a b + a) b) and its gradients over part of a and b; then, in place, a = a b - y. */
static void maps_of(clg_device *device, const float *a, const float *b, int64_t n, float *out[4])
{
    clg_graph *g = clg_graph_new(device);
    clg_var x = clg_array(g, CLG_F32, CLG_SHAPE(n), a), z = clg_array(g, CLG_F32, CLG_SHAPE(n), b), v[4];
    v[0] = clg_sigmoid(clg_mul(clg_relu(clg_add(clg_mul(x, z), x)), z));
    clg_gradients(v[0], (clg_var[]){x, z}, 2, v + 1);
    v[3] = clg_assign(x, clg_sub(clg_mul(x, z), v[0]));
    clg_program *p = clg_compile(g, v, 4);
    assert_non_null(p);
    assert_int_equal(clg_run(p), CLG_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(clg_read(i < 3 ? v[i] : x, out[i], (size_t)n * sizeof(float)), CLG_OK);
    clg_program_free(p);
    clg_graph_free(g);
}

/* Long buffers, stored past the caches, against the same maps over short pieces. */
static void test_long_maps(void **state)
{
    enum { N = 2200037, PIECE = 1009 };
    float *data[6], *whole[4], *piece[4];
    clg_device *device;
    (void)state;
    for (int i = 0; i < 6; i++) {
        data[i] = malloc(N * sizeof(float));
        assert_non_null(data[i]);
    }
    for (int i = 0; i < 4; i++) {
        whole[i] = data[2 + i];
        piece[i] = malloc(PIECE * sizeof(float));
        assert_non_null(piece[i]);
    }
    for (int i = 0; i < N; i++)
        data[0][i] = (float)plan_uniform(-3, 3), data[1][i] = (float)plan_uniform(-3, 3);
    assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
    maps_of(device, data[0], data[1], N, whole);
    for (int at = 0; at < N; at += at < 20 * PIECE || at > N - 20 * PIECE ? PIECE : 37 * PIECE) {
        int n = N - at < PIECE ? N - at : PIECE;
        maps_of(device, data[0] + at, data[1] + at, n, piece);
        for (int i = 0; i < 4; i++)
            assert_memory_equal(piece[i], whole[i] + at, (size_t)n * sizeof(float));
    }
    clg_device_close(device);
    for (int i = 0; i < 6; i++)
        free(data[i]);
    for (int i = 0; i < 4; i++)
        free(piece[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_which_stores_stream),
        cmocka_unit_test(test_long_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
