/* The CPU backend on hand-made and random plans, against the plain interpreter of plan_rig.h. Lanes run where
 * plan_lanes_inner says. FUZZ_SEED=N in the environment runs one random plan. */
#include "plan_rig.h"

#include "support.h"

#include "backend/cpu/pool.h"

#include <stdatomic.h>

static backend_traits traits;

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

/* ---------------------------------------------------------------- loops */

static void test_every_map(void **state)
{
    (void)state;
#define NUMERIC 4
#define FLOATING 2
#define COMPARE -4
#define SELECT 5
#define CAST 0
    static const struct {
        clg_op op;
        int arity, types;
        double lo, hi;
    } rows[] = {
#define MAP(ID, name, builder, arity, types, expr, cost, gradient, lo, hi, formula) {OP_##ID, arity, types, lo, hi},
#include "../src/host/core/ops.def"
    };
    static const int64_t counts[] = {1, 7, 1500};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
            for (int k = 0; k < 3; k++) {
                if (rows[i].types == FLOATING && dtype > CLG_F64)
                    continue;
                if (rows[i].types == CAST)
                    continue;
                rig *r = rig_new();
                plan_step *s = step_new(r, 1, 0, &counts[k]);
                bool select = rows[i].types == SELECT;
                int32_t in[3] = {-1, -1, -1};
                section(s, SECTION_OUTER);
                for (int a = 0; a < rows[i].arity; a++)
                    in[a] = load(
                        r, s, leaf(r, select && a == 0 ? CLG_U8 : (clg_dtype)dtype, counts[k], rows[i].lo, rows[i].hi),
                        dense(s, 1));
                clg_dtype out = rows[i].types == COMPARE ? CLG_U8 : (clg_dtype)dtype;
                int32_t y = apply(s, rows[i].op, out, in[0], in[1], in[2]);
                store(s, y, leaf(r, out, counts[k], 0, 1), dense(s, 1));
                check(r, dtype == CLG_F32 ? 4e-6 : 1e-14);
            }
}

static void test_casts(void **state)
{
    (void)state;
    for (int from = 0; from < CLG_DTYPE_COUNT; from++)
        for (int to = 0; to < CLG_DTYPE_COUNT; to++) {
            rig *r = rig_new();
            int64_t count = 999;
            plan_step *s = step_new(r, 1, 0, &count);
            section(s, SECTION_OUTER);
            int32_t x = load(r, s, leaf(r, (clg_dtype)from, count, -400, 400), dense(s, 1));
            int32_t y = apply(s, OP_CAST, (clg_dtype)to, x, -1, -1);
            store(s, y, leaf(r, (clg_dtype)to, count, 0, 1), dense(s, 1));
            check(r, 0);
        }
}

static plan_map random_map(const plan_step *s, int first, int count, int64_t *size);

/* Rounding grows along a random body: f64 is compared closely, f32 loosely. Random bodies over random dimensions: loads
 * dense, permuted, broadcast, strided or masked, iota, constants, maps, reductions, and stores, in all three kinds of
 * sections, with and without splits. This is such a step while it is being made. */
typedef struct fuzz {
    rig *r;
    plan_step *s;
    clg_dtype real;
    int32_t visible[MAX_INSTRS], count; /* registers that may be read, of dtype real */
    int32_t row;                        /* an i32 register that all inner positions share, -1: none yet */
    int32_t outs;
} fuzz;

static plan_step *fuzz_space(rig *r)
{
    static const int64_t extents[] = {1, 2, 3, 5, 7, 17, 33, 130, 600};
    int outer = random_below(4), inner = random_below(3);
    int64_t extent[CLG_MAX_RANK], total = 1;
    for (int d = 0; d < outer + inner; d++) {
        extent[d] = extents[random_below(9)];
        if (total * extent[d] > 60000)
            extent[d] = 2;
        total *= extent[d];
    }
    if (random_below(40) == 0 && outer + inner > 0)
        extent[random_below(outer + inner)] = 0;
    plan_step *s = step_new(r, outer, inner, extent);
    if (inner > 0 && s->inner_count > 4 && random_below(4) == 0) {
        s->inner_piece = 1 + random_below((int)s->inner_count - 1);
        if (s->inner_count / s->inner_piece >= 50)
            s->inner_piece = s->inner_count / 2;
        s->splits = (s->inner_count + s->inner_piece - 1) / s->inner_piece;
    }
    return s;
}

/* Rows of a table, by an index of each position or of each outer one. */
static int32_t fuzz_rows(fuzz *f, plan_section_kind kind, int dims, plan_map map, int64_t size)
{
    int32_t row = f->row;
    if (kind != SECTION_INNER || row < 0 || random_below(2)) {
        int64_t count;
        plan_map index_map = random_map(f->s, 0, dims, &count);
        bool outside = random_below(4) == 0; /* seldom: NaN hides what else is wrong */
        row = load(f->r, f->s, leaf(f->r, CLG_I32, count, outside ? -1.5 : 0, outside ? 7.99 : 6.99), index_map);
    }
    if (kind != SECTION_INNER)
        f->row = row;
    return load_rows(f->r, f->s, leaf(f->r, f->real, size * 7, -1, 1), map, row, size, 7);
}

static int32_t fuzz_source(fuzz *f, plan_section_kind kind)
{
    plan_step *s = f->s;
    int dims = kind == SECTION_ONCE ? 0 : kind == SECTION_OUTER ? s->outer_rank : s->outer_rank + s->inner_rank;
    int64_t size;
    plan_map map = random_map(s, 0, dims, &size);
    int what = random_below(8);
    if (what == 0)
        return constant(s, f->real, 0.75);
    if (what == 1) {
        map.masked = false;
        int32_t place = emit(s, (plan_instr){INSTR_IOTA, 0, CLG_I32, {-1, -1, -1}, -1, add_map(s, map), 0, 0, 0});
        int32_t real = apply(s, OP_CAST, f->real, place, -1, -1);
        return apply(s, OP_MUL, f->real, real, constant(s, f->real, 1e-5), -1);
    }
    if (what == 2)
        return fuzz_rows(f, kind, dims, map, size);
    return load(f->r, s, leaf(f->r, f->real, size, -1, 1), map);
}

static void fuzz_map(fuzz *f)
{
    static const clg_op binary[] = {OP_ADD, OP_SUB, OP_MUL, OP_MAXIMUM, OP_MINIMUM};
    static const clg_op unary[] = {OP_NEG, OP_RELU, OP_TANH, OP_SIGMOID, OP_ABS, OP_SIN};
    int32_t a = f->visible[random_below(f->count)], b = f->visible[random_below(f->count)];
    f->visible[f->count++] = random_below(2) ? apply(f->s, binary[random_below(5)], f->real, a, b, -1)
                                             : apply(f->s, unary[random_below(6)], f->real, a, -1, -1);
    if (random_below(5) == 0) { /* through u8 and a choice */
        int32_t less = apply(f->s, OP_LESS, CLG_U8, a, b, -1);
        f->visible[f->count++] =
            apply(f->s, OP_WHERE, f->real, less, b, a); /* the larger: no jump to magnify rounding */
    }
}

static void fuzz_section(fuzz *f, plan_section_kind kind)
{
    plan_step *s = f->s;
    bool inner = kind == SECTION_INNER;
    int32_t start = f->count, reduced[2], reductions = inner ? 1 + random_below(2) : 0;
    section(s, kind);
    for (int i = kind == SECTION_ONCE ? 1 : 1 + random_below(3); i > 0 && f->r->p.buffer_count < 11; i--)
        f->visible[f->count++] = fuzz_source(f, kind);
    for (int i = f->count ? 1 + random_below(6) : 0; i > 0; i--)
        fuzz_map(f);
    for (int i = 0; i < reductions; i++)
        reduced[i] = reduce(s, random_below(2) ? OP_SUM : OP_MAX, f->visible[random_below(f->count)]);
    if (kind != SECTION_ONCE && f->outs < 3 && !(s->splits > 1 && inner)) {
        int64_t size = inner ? s->outer_count * s->inner_count : s->outer_count * s->splits;
        plan_map map = dense(s, inner ? all_bits(s) : outer_bits(s));
        int32_t from = f->visible[f->count - 1 - random_below(2) * (f->count > start + 1)];
        store(s, from, leaf(f->r, f->real, size, 0, 1), map);
        f->outs++;
    }
    if (inner) { /* only reductions are seen outside */
        f->count = start;
        for (int i = 0; i < reductions; i++)
            f->visible[f->count++] = reduced[i];
    }
}

static void fuzz_one(uint64_t seed)
{
    static const plan_section_kind orders[][4] = {{SECTION_ONCE, SECTION_OUTER, SECTION_INNER, SECTION_OUTER},
                                                  {SECTION_ONCE, SECTION_INNER, SECTION_INNER, SECTION_OUTER},
                                                  {SECTION_INNER, SECTION_OUTER, SECTION_INNER, SECTION_OUTER}};
    random_state = seed * 2654435761u + 88172645463325252u;
    for (int i = 0; i < 8; i++)
        random_u32();
    fuzz f = {.r = rig_new(), .real = seed % 2 ? CLG_F64 : CLG_F32, .row = -1};
    plan_step *s = f.s = fuzz_space(f.r);
    const plan_section_kind *order = orders[random_below(3)];
    for (int k = 0; k < 4; k++) {
        bool absent = order[k] == SECTION_INNER && s->inner_rank == 0;
        if (!absent && !(s->splits > 1 && k == 2 && order[1] == SECTION_INNER))
            fuzz_section(&f, order[k]);
    }
    for (int32_t i = 0; i < s->instr_count; i++) /* of nothing: -inf and nan arise; only that it runs is of interest */
        if ((s->inner_count == 0 || s->outer_count == 0) && s->instrs[i].kind == INSTR_REDUCE)
            s->instrs[i].op = OP_SUM;
    check(f.r, f.real == CLG_F64 ? 1e-9 : 5e-3);
}

static plan_map random_map(const plan_step *s, int first, int count, int64_t *size)
{
    plan_map map = {.offset = GUARD};
    int order[CLG_MAX_RANK];
    int64_t stride = 1, low = 0;
    for (int i = 0; i < count; i++)
        order[i] = first + i;
    if (random_below(3) == 0) /* permuted */
        for (int i = count - 1; i > 0; i--) {
            int j = random_below(i + 1), x = order[i];
            order[i] = order[j];
            order[j] = x;
        }
    int mask = random_below(5) == 0;
    for (int i = count - 1; i >= 0; i--) {
        int d = order[i];
        if (random_below(4) == 0)
            continue; /* broadcast */
        if (i == count - 1 && random_below(6) == 0)
            stride = 2;
        bool flip = random_below(8) == 0;
        map.stride[d] = flip ? -stride : stride;
        if (flip)
            low += stride * (s->extent[d] > 0 ? s->extent[d] - 1 : 0);
        stride *= s->extent[d] > 0 ? s->extent[d] : 1;
    }
    map.offset += low;
    map.masked = mask;
    for (int d = 0; d < CLG_MAX_RANK; d++) {
        int64_t extent = d < s->outer_rank + s->inner_rank ? s->extent[d] : 1;
        map.lo[d] = 0;
        map.hi[d] = d < first + count ? extent : INT64_MAX;
        if (mask && d >= first && d < first + count && extent > 1 && random_below(2)) {
            map.lo[d] = random_below((int)extent);
            map.hi[d] = map.lo[d] + random_below((int)(extent - map.lo[d]) + 1);
        }
    }
    *size = stride;
    return map;
}

static void test_fuzz(void **state)
{
    (void)state;
    const char *only = getenv("FUZZ_SEED");
    for (uint64_t seed = 1; seed <= (uint64_t)support_rounds(1500); seed++)
        if (!only || strtoull(only, NULL, 10) == seed) {
            if (only || getenv("FUZZ_VERBOSE"))
                print_message("seed %d\n", (int)seed);
            fuzz_one(seed);
        }
}

/* softmax over the last axis: four sections, in place */
static void test_softmax_in_place(void **state)
{
    (void)state;
    static const int64_t extents[][2] = {{128, 10}, {3, 5000}, {1, 1}, {4000, 3}, {2, 70000}};
    for (int i = 0; i < 5; i++) {
        rig *r = rig_new();
        plan_step *s = step_new(r, 1, 1, extents[i]);
        int32_t x = leaf(r, CLG_F32, extents[i][0] * extents[i][1], -3, 3);
        plan_map map = dense(s, 3);
        section(s, SECTION_INNER);
        int32_t max = reduce(s, OP_MAX, load(r, s, x, map));
        section(s, SECTION_INNER);
        int32_t shifted = apply(s, OP_SUB, CLG_F32, load(r, s, x, map), max, -1);
        int32_t sum = reduce(s, OP_SUM, apply(s, OP_EXP, CLG_F32, shifted, -1, -1));
        section(s, SECTION_OUTER);
        int32_t one = constant(s, CLG_F32, 1), scale = apply(s, OP_DIV, CLG_F32, one, sum, -1);
        section(s, SECTION_INNER);
        shifted = apply(s, OP_SUB, CLG_F32, load(r, s, x, map), max, -1);
        int32_t e = apply(s, OP_EXP, CLG_F32, shifted, -1, -1);
        store(s, apply(s, OP_MUL, CLG_F32, e, scale, -1), x, map);
        check(r, 1e-6);
    }
}

/* A buffer overwritten while it is still being read: every value of the old contents must be the one used. */
static void test_in_place_hazards(void **state)
{
    (void)state;
    rig *r = rig_new();
    int64_t count = 5000;
    int32_t x = leaf(r, CLG_F32, count, -1, 1), y = leaf(r, CLG_F32, count, -1, 1), z = leaf(r, CLG_F32, count, -1, 1);
    plan_step *s = step_new(r, 1, 0, &count);
    plan_map map = dense(s, 1);
    section(s, SECTION_OUTER);
    int32_t a = load(r, s, x, map), b = load(r, s, y, map);
    int32_t sum = apply(s, OP_ADD, CLG_F32, a, b, -1);
    store(s, sum, x, map);
    store(s, apply(s, OP_MUL, CLG_F32, a, sum, -1), y, map); /* reads the old x after x is stored */
    store(s, apply(s, OP_SUB, CLG_F32, b, a, -1), z, map);
    check(r, 1e-6);

    r = rig_new(); /* two buffers of the arena at one place */
    x = leaf(r, CLG_F32, count, -1, 1);
    int32_t first = arena(r, CLG_F32, count, 256), second = arena(r, CLG_F32, count, 256);
    s = step_new(r, 1, 0, &count);
    section(s, SECTION_OUTER);
    store(s, apply(s, OP_SQUARE, CLG_F32, load(r, s, x, map), -1, -1), first, map);
    s = step_new(r, 1, 0, &count);
    section(s, SECTION_OUTER);
    a = load(r, s, first, map);
    b = apply(s, OP_EXP, CLG_F32, a, -1, -1);
    store(s, apply(s, OP_ADD, CLG_F32, a, b, -1), second, map);
    s = step_new(r, 1, 0, &count);
    section(s, SECTION_OUTER);
    store(s, load(r, s, second, map), leaf(r, CLG_F32, count, 0, 1), map);
    check(r, 1e-6);
}

static void test_row_loads(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++) {
        rig *r = rig_new();
        int64_t extent[2] = {300, 11};
        plan_step *s = step_new(r, 2, 0, extent);
        int32_t table = leaf(r, (clg_dtype)dtype, 20 * 11, 0, 90), rows = leaf(r, CLG_I32, 300, -3, 23);
        section(s, SECTION_OUTER);
        int32_t row = load(r, s, rows, dense(s, 1));
        store(s, load_rows(r, s, table, dense(s, 2), row, 11, 20), leaf(r, (clg_dtype)dtype, 3300, 0, 1), dense(s, 3));
        check(r, 0);
    }
}

static void test_integer_reductions(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (int order = 0; order < 2; order++) {
            rig *r = rig_new();
            int64_t extent[2] = {37, 1111};
            plan_step *s = step_new(r, 1, 1, extent);
            plan_map map = {.offset = GUARD, .stride = {order ? 1 : 1111, order ? 37 : 1}};
            section(s, SECTION_INNER);
            int32_t x = load(r, s, leaf(r, (clg_dtype)dtype, 37 * 1111, -100, 200), map);
            int32_t sum = reduce(s, OP_SUM, x), max = reduce(s, OP_MAX, x);
            section(s, SECTION_OUTER);
            store(s, sum, leaf(r, (clg_dtype)dtype, 37, 0, 1), dense(s, 1));
            store(s, max, leaf(r, (clg_dtype)dtype, 37, 0, 1), dense(s, 1));
            check(r, dtype == CLG_F32 ? 1e-6 : 1e-13);
        }
}

/* 16 million ones and a bit: a plain f32 sum would stop growing */
static void test_long_sums(void **state)
{
    (void)state;
    for (int columns = 1; columns <= 16; columns += 15) {
        rig *r = rig_new();
        int64_t extent[2] = {columns, (1 << 24) / columns};
        plan_step *s = step_new(r, 1, 1, extent);
        plan_map map = {.offset = GUARD, .stride = {1, columns}};
        section(s, SECTION_INNER);
        int32_t sum = reduce(s, OP_SUM, load(r, s, leaf(r, CLG_F32, extent[0] * extent[1], 0, 1.1), map));
        section(s, SECTION_OUTER);
        store(s, sum, leaf(r, CLG_F32, columns, 0, 1), dense(s, 1));
        check(r, 5e-7);
    }
}

/* ---------------------------------------------------------------- products and scatter */

typedef struct product_case {
    int64_t batch, m, n, k;
    clg_dtype dtype;
    bool a_transposed, b_transposed, a_shared;
    int epilogue; /* 0: store, 1: relu(product + bias), 2: product read after the store of its mask; two stores */
} product_case;

static plan_matrix matrix(rig *r, const product_case *c, int64_t rows, int64_t columns, bool transposed, bool shared)
{
    int64_t pad = random_below(3), ld = (transposed ? rows : columns) + pad, lines = transposed ? columns : rows;
    int32_t buffer = leaf(r, c->dtype, (shared ? 1 : c->batch) * ld * lines, -1, 1);
    return (plan_matrix){buffer, GUARD, shared ? 0 : ld * lines, transposed ? 1 : ld, transposed ? ld : 1};
}

static void check_product(product_case c)
{
    rig *r = rig_new();
    int64_t extent[3] = {c.batch, c.m, c.n};
    plan_step *s = step_new(r, 3, 0, extent);
    s->kind = STEP_MATMUL;
    s->dtype = c.dtype;
    s->batch = c.batch, s->m = c.m, s->n = c.n, s->k = c.k;
    s->a = matrix(r, &c, c.m, c.k, c.a_transposed, c.a_shared);
    s->b = matrix(r, &c, c.k, c.n, c.b_transposed, false);
    int32_t out = leaf(r, c.dtype, c.batch * c.m * c.n, -1, 1);
    section(s, SECTION_OUTER);
    int32_t p = emit(s, (plan_instr){INSTR_PRODUCT, 0, (uint8_t)c.dtype, {-1, -1, -1}, -1, -1, 0, 0, 0});
    if (c.epilogue == 0) {
        store(s, p, out, dense(s, 7));
    } else {
        int32_t bias = load(r, s, leaf(r, c.dtype, c.n, -1, 1), dense(s, 4));
        int32_t sum = apply(s, OP_ADD, c.dtype, p, bias, -1);
        int32_t y = apply(s, OP_RELU, c.dtype, sum, -1, -1);
        if (c.epilogue == 1) {
            store(s, y, out, dense(s, 7));
        } else if (c.epilogue == 2) {
            store(s, y, out, dense(s, 7));
            store(s, apply(s, OP_MUL, c.dtype, p, y, -1), leaf(r, c.dtype, c.batch * c.m * c.n, -1, 1), dense(s, 7));
            int32_t zero = constant(s, c.dtype, 0);
            store(s, apply(s, OP_LESS, CLG_U8, zero, y, -1), leaf(r, CLG_U8, c.batch * c.m * c.n, 0, 1), dense(s, 7));
        } else { /* accumulates onto what is there, and a transposed copy */
            store(s, apply(s, OP_ADD, c.dtype, load(r, s, out, dense(s, 7)), sum, -1), out, dense(s, 7));
            plan_map transposed = {.offset = GUARD, .stride = {c.m * c.n, 1, c.m}};
            store(s, y, leaf(r, c.dtype, c.batch * c.m * c.n, -1, 1), transposed);
        }
    }
    check(r, c.dtype == CLG_F32 ? 2e-5 : 1e-13);
}

static void test_products(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {{1, 1, 1, 1},   {1, 5, 7, 3},   {1, 128, 10, 64}, {1, 64, 130, 50},
                                       {3, 17, 9, 20}, {2, 33, 65, 1}, {1, 200, 3, 40},  {1, 3, 200, 40},
                                       {1, 4, 6, 0},   {4, 8, 8, 300}, {1, 0, 4, 3},     {0, 4, 4, 4},
                                       {1, 1, 50, 60}, {1, 50, 1, 60}, {5, 1, 1, 9}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int bits = 0; bits < 16; bits++)
            for (int epilogue = 0; epilogue < 4; epilogue++)
                check_product((product_case){sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3],
                                             bits & 1 ? CLG_F64 : CLG_F32, bits & 2, bits & 4, bits & 8, epilogue});
    check_product((product_case){1, 700, 300, 64, CLG_F32, false, false, false, 2}); /* several chunks */
}

static void test_scatter_add(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{10, 4, 50}, {3, 300, 700}, {1000, 1, 5000}, {5, 5, 0}, {0, 4, 3}, {7, 0, 3}};
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            rig *r = rig_new();
            plan_step *s = step_new(r, 0, 0, NULL);
            s->kind = STEP_SCATTER_ADD;
            s->dtype = (clg_dtype)dtype;
            s->rows = sizes[i][0], s->columns = sizes[i][1], s->count = sizes[i][2];
            s->indices = leaf(r, CLG_I32, s->count, -1.99, (double)s->rows + 0.99);
            s->updates = leaf(r, s->dtype, s->count * s->columns, -90, 90);
            s->result = leaf(r, s->dtype, s->rows * s->columns, -1, 1);
            check(r, dtype == CLG_F32 ? 1e-4 : 1e-12);
        }
}

/* ---------------------------------------------------------------- buffers and errors */

static void test_buffers(void **state)
{
    (void)state;
    backend_buffer *buffer;
    char text[4] = "abc";
    assert_int_equal(backend_cpu.allocate(device, 0, &buffer), CLG_OK);
    assert_int_equal(backend_cpu.write(device, buffer, 0, text, 0), CLG_OK);
    assert_int_equal(backend_cpu.write(device, buffer, 0, text, 1), CLG_ERROR_ARGUMENT);
    backend_cpu.free(device, buffer);
    assert_int_equal(backend_cpu.allocate(device, 10, &buffer), CLG_OK);
    assert_int_equal(backend_cpu.write(device, buffer, 6, "wxyz", 4), CLG_OK);
    assert_int_equal(backend_cpu.read(device, buffer, 7, text, 3), CLG_OK);
    assert_memory_equal(text, "xyz", 3);
    assert_int_equal(backend_cpu.read(device, buffer, 8, text, 3), CLG_ERROR_ARGUMENT);
    backend_cpu.free(device, buffer);
    assert_int_equal(backend_cpu.allocate(device, INT64_MAX, &buffer), CLG_ERROR_DEVICE_MEMORY);
    assert_int_equal(backend_cpu.allocate(device, -1, &buffer), CLG_ERROR_ARGUMENT);
    backend_cpu.free(device, NULL);
    assert_int_equal(backend_cpu.sync(device), CLG_OK);
}

static void test_bind(void **state)
{
    (void)state;
    rig *r = rig_new();
    int64_t count = 3;
    int32_t x = leaf(r, CLG_F32, count, 0, 1), y = leaf(r, CLG_F32, count, 0, 1), other = leaf(r, CLG_F32, count, 0, 1);
    r->p.binding_count = 2;
    plan_step *s = step_new(r, 1, 0, &count);
    section(s, SECTION_OUTER);
    store(s, apply(s, OP_NEG, CLG_F32, load(r, s, x, dense(s, 1)), -1, -1), y, dense(s, 1));
    r->p.buffer_count = 2;
    backend_program *program;
    assert_int_equal(backend_cpu.prepare(device, &r->p, r->bindings, &program), CLG_OK);
    assert_int_equal(backend_cpu.launches(program), 1);
    assert_int_equal(backend_cpu.write(device, r->bindings[2], 0, r->before[other], r->buffers[2].bytes), CLG_OK);
    backend_buffer *swapped[2] = {r->bindings[2], r->bindings[1]};
    assert_int_equal(backend_cpu.bind(program, swapped), CLG_OK);
    assert_int_equal(backend_cpu.run(program), CLG_OK);
    float got[3];
    assert_int_equal(backend_cpu.read(device, r->bindings[1], GUARD * 4, got, sizeof got), CLG_OK);
    for (int i = 0; i < 3; i++)
        assert_true(got[i] == -((float *)r->before[other])[GUARD + i]);
    swapped[0] = r->bindings[1];
    assert_int_equal(backend_cpu.bind(program, swapped), CLG_ERROR_ARGUMENT);
    backend_cpu.release(program);
    backend_cpu.release(NULL);
    for (int i = 0; i < 3; i++) {
        backend_cpu.free(device, r->bindings[i]);
        free(r->before[i]);
        free(r->want[i]);
    }
    free(r);
}

static int open_device(void **state)
{
    (void)state;
    clg_device_info info;
    backend_under_test = &backend_cpu;
    if (backend_cpu_open(&device, &traits, &info) != CLG_OK)
        return -1;
    print_message("%s, %s\n", info.name, info.driver);
    return traits.fuses_epilogue && info.has_f64 && info.compute_units > 0 ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    backend_cpu.close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts_of_a_run),
                                       cmocka_unit_test(test_buffers),
                                       cmocka_unit_test(test_every_map),
                                       cmocka_unit_test(test_casts),
                                       cmocka_unit_test(test_fuzz),
                                       cmocka_unit_test(test_softmax_in_place),
                                       cmocka_unit_test(test_in_place_hazards),
                                       cmocka_unit_test(test_row_loads),
                                       cmocka_unit_test(test_integer_reductions),
                                       cmocka_unit_test(test_long_sums),
                                       cmocka_unit_test(test_products),
                                       cmocka_unit_test(test_scatter_add),
                                       cmocka_unit_test(test_bind)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
