/* Contractions with what follows them, as matrix products and as others, and scatter-adds. */
#include "plan_cases.h"

#include "core/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FLUSH 20 /* steps of a plan */

typedef struct product_case {
    int64_t batch, m, n, k;
    clg_dtype dtype;
    bool a_transposed, b_transposed, a_shared, b_shared;
    bool general;  /* the device is not told that it is a matrix product */
    int functions; /* bits: operands that are functions of what is in memory, 1: a, 2: b; 4: of bytes; 8: casts of f16
                      or bf16 instead, to f32 */
    enum { STORE, RELU, STORES, ACCUMULATE, MASK, EPILOGUES } epilogue;
} product_case;

static plan_matrix add_matrix(plan_builder *b, const product_case *c, int which, int64_t rows, int64_t columns,
                              bool transposed, bool shared)
{
    const bool own = c->functions >> which & 1;
    const clg_dtype half = (c->m + which) % 2 ? CLG_F16 : CLG_BF16, dtype = own && c->functions & 8   ? half
                                                                            : own && c->functions & 4 ? CLG_U8
                                                                                                      : c->dtype;
    const bool bytes = dtype == CLG_U8;
    int64_t pad = plan_below(3), ld = (transposed ? rows : columns) + pad, lines = transposed ? columns : rows;
    int64_t count = (shared ? 1 : c->batch) * ld * lines;
    int buffer = bytes ? plan_add_leaf(b, CLG_U8, count, 0, 255) : plan_add_leaf(b, dtype, count, -1, 1);
    return (plan_matrix){buffer, 0, shared ? 0 : ld * lines, transposed ? 1 : ld, transposed ? ld : 1};
}

/* product / 2, and something of each row and of each column added. */
static int emit_sum(plan_builder *b, plan_step *s, int product, int half)
{
    int scaled = plan_emit_op(s, OP_MUL, s->dtype, product, half, -1);
    int bias = plan_emit_load(b, s, plan_add_leaf(b, s->dtype, s->extent[2], -1, 1), plan_dense(s, 4));
    int side = plan_emit_load(b, s, plan_add_leaf(b, s->dtype, s->extent[1], -1, 1), plan_dense(s, 2));
    return plan_emit_op(s, OP_ADD, s->dtype, plan_emit_op(s, OP_ADD, s->dtype, scaled, bias, -1), side, -1);
}

static void emit_store_new(plan_builder *b, plan_step *s, int x)
{
    int buffer = plan_add_output(b, (clg_dtype)s->instrs[x].dtype, s->outer_count);
    plan_emit_store(b, s, buffer, plan_dense_outer(s), x);
}

static void emit_epilogue(plan_builder *b, plan_step *s, int epilogue, int out)
{
    plan_access all = plan_dense_outer(s);
    const int64_t m = s->extent[1], n = s->extent[2];
    plan_begin_section(s, SECTION_ONCE);
    int half = plan_emit_constant(s, s->dtype, 0.5);
    plan_begin_section(s, SECTION_OUTER);
    int p = plan_emit_product(s);
    if (epilogue == STORE) {
        plan_emit_store(b, s, out, all, p);
        return;
    }
    int sum = emit_sum(b, s, p, half);
    if (epilogue == MASK) { /* above the diagonal another row's elements; below it at least those */
        plan_access triangle = {0}, shifted = {.offset = -1, .stride = {0, 0, 1}};
        plan_add_bound(s, &triangle, (plan_bound){.coef = {0, 1, -1}, .lo = 0, .hi = m + 1});
        plan_add_bound(s, &shifted, (plan_bound){.coef = {0, 0, 1}, .lo = 1, .hi = n});
        int x = plan_emit_load_or(b, s, plan_add_leaf(b, s->dtype, n, -1, 1), shifted, 7);
        sum = plan_emit_mask(s, sum, triangle, -INFINITY);
        plan_emit_store(b, s, out, all, plan_emit_op(s, OP_MAXIMUM, s->dtype, sum, x, -1));
        return;
    }
    if (epilogue == ACCUMULATE) { /* onto what is there; and a transposed copy */
        int y = plan_emit_op(s, OP_ADD, s->dtype, plan_emit_load(b, s, out, all), sum, -1);
        plan_emit_store(b, s, out, all, y);
        plan_emit_store(b, s, plan_add_output(b, s->dtype, s->outer_count), (plan_access){.stride = {m * n, 1, m}},
                        plan_emit_op(s, OP_RELU, s->dtype, sum, -1, -1));
        return;
    }
    int y = plan_emit_op(s, OP_RELU, s->dtype, sum, -1, -1);
    plan_emit_store(b, s, out, all, y);
    if (epilogue == STORES) { /* the product is read after the store */
        emit_store_new(b, s, plan_emit_op(s, OP_MUL, s->dtype, p, y, -1));
        int zero = plan_emit_constant(s, s->dtype, 0);
        emit_store_new(b, s, plan_emit_op(s, OP_LESS, CLG_BOOL, zero, y, -1));
    }
}

static void add_product(const plan_target *t, plan_builder *b, product_case c)
{
    plan_step *s = plan_add_step(b, 3, 1, (int64_t[]){c.batch, c.m, c.n, c.k});
    const plan_matmul x = {c.dtype,
                           c.batch,
                           c.m,
                           c.n,
                           c.k,
                           add_matrix(b, &c, 0, c.m, c.k, c.a_transposed, c.a_shared),
                           add_matrix(b, &c, 1, c.k, c.n, c.b_transposed, c.b_shared)};
    const bool apart = !t->traits.fuses_epilogue && !c.general;
    s->kind = STEP_CONTRACT;
    s->dtype = c.dtype;
    s->is_matmul = !c.general;
    plan_set_operand(b, s, 0, x.a.buffer, plan_matmul_access(&x, 0));
    plan_set_operand(b, s, 1, x.b.buffer, plan_matmul_access(&x, 1));
    for (int o = 0; o < 2; o++)
        if (c.functions >> o & 1)
            plan_set_prologue(b, s, o,
                              c.functions & 8   ? 1
                              : c.functions & 4 ? -0.75 / 255
                                                : -0.75,
                              c.functions & 8 ? 0 : 0.25);
    int guard = b->guard;
    if (apart) /* the product is dense in its buffer, from its beginning */
        b->guard = 0;
    int out = plan_add_leaf(b, c.dtype, c.batch * c.m * c.n, -1, 1);
    b->guard = guard;
    if (apart)
        s->product = out;
    emit_epilogue(b, s, c.epilogue, out);
}

/* Which operands of a product of a number are functions, of those that the device takes. */
static int functions_of(const plan_target *t, clg_dtype dtype, int number)
{
    if (t->traits.prologues == PROLOGUES_CASTS)
        return dtype == CLG_F32 ? 8 | number % 4 : 0;
    if (t->traits.prologues == PROLOGUES_ALL)
        return number % (dtype == CLG_F32 ? 12 : 8);
    return 0;
}

static plan_builder *checked(const plan_target *t, plan_builder *b)
{
    if (b->plan.step_count < FLUSH)
        return b;
    plan_check(t, b, 1e-5, 1e-13);
    return plan_new_builder();
}

/* Each layout of each shape, or where products are compiled one layout of each of the first ones. */
void plan_case_products(const plan_target *t)
{
    enum { FEW = 14 };
    static const int64_t sizes[][4] = {
        {1, 1, 1, 1},      {1, 8, 32, 16},  {1, 13, 37, 29}, {2, 9, 10, 5},    {1, 1, 50, 60},   {1, 50, 1, 60},
        {3, 2, 3, 4},      {1, 33, 70, 3},  {2, 20, 17, 1},  {1, 4, 6, 0},     {1, 70, 65, 20},  {1, 3, 5, 7},
        {1, 200, 100, 40}, {1, 0, 4, 3},    {1, 5, 7, 3},    {1, 128, 10, 64}, {1, 64, 130, 50}, {3, 17, 9, 20},
        {2, 33, 65, 1},    {1, 200, 3, 40}, {1, 3, 200, 40}, {4, 8, 8, 300},   {0, 4, 4, 4},     {5, 1, 1, 9}};
    int count = t->compiles ? FEW : (int)(sizeof sizes / sizeof sizes[0]);
    plan_builder *b = plan_new_builder();
    for (int i = 0; i < count; i++)
        for (int bits = 0; bits < 32; bits++)
            for (int epilogue = 0; epilogue < EPILOGUES; epilogue++) {
                clg_dtype dtype = bits & 16 ? CLG_F64 : CLG_F32;
                int layouts = sizes[i][0] > 1 ? 31 : 19; /* one product shares its operand with no other */
                if ((bits & ~layouts) || (t->compiles && (epilogue != i % EPILOGUES || bits != (i * 5 & layouts & 15))))
                    continue;
                for (int general = 0; general < 2; general++)
                    add_product(t, b,
                                (product_case){sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], dtype, bits & 1,
                                               bits & 2, bits & 4, bits & 8, general,
                                               functions_of(t, dtype, i * 5 + bits + epilogue), epilogue});
                b = checked(t, b);
            }
    plan_check(t, b, 1e-5, 1e-13);

    b = plan_new_builder();
    if (!t->compiles)
        add_product(t, b, (product_case){1, 700, 300, 64, CLG_F32, .epilogue = STORES}); /* several chunks */
    /* A and B both copied, and then by the kernel of another shape */
    add_product(t, b, (product_case){2, 520, 66, 512, CLG_F32, true, true, .epilogue = RELU});
    add_product(t, b, (product_case){1, 530, 66, 515, CLG_F32, true, true, .epilogue = RELU});
    if (t->has_f64) {
        add_product(t, b, (product_case){2, 11, 19, 13, CLG_F64, true, true, .epilogue = RELU});
        add_product(t, b, (product_case){1, 300, 40, 2100, CLG_F64, true, true, .epilogue = RELU}); /* deep */
    }
    plan_check(t, b, 1e-5, 1e-12);

    if (t->traits.prologues == PROLOGUES_NONE)
        return;
    b = plan_new_builder(); /* long sums of halves, which are copied as they are cast, or too deep for that */
    for (int layout = 0; layout < 4; layout++) {
        add_product(t, b, (product_case){2, 130, 70, 515, CLG_F32, layout & 1, layout & 2, .functions = 8 | 3});
        add_product(t, b, (product_case){1, 21, 35, 2100, CLG_F32, layout & 1, layout & 2, .functions = 8 | 3});
    }
    plan_check(t, b, 1e-4, 0);
}

void plan_few_products(const plan_target *t, int count)
{
    static const int64_t sizes[][4] = {{1, 8, 32, 16}, {1, 13, 37, 29}, {2, 9, 10, 5}, {1, 1, 200, 30}};
    plan_builder *b = plan_new_builder();
    for (int i = 0; i < count; i++)
        add_product(t, b,
                    (product_case){sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], CLG_F32, (i + 1) & 1,
                                   (i + 1) & 2, .epilogue = i == 2 ? STORE : RELU});
    plan_check(t, b, 1e-5, 0);
}
