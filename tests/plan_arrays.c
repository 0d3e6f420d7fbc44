/* Plans of ARRAY steps: scans, sorts and scatters of every operation and dtype, over awkward shapes. */
#include "core/ops.h"
#include "support_dtype.h"
#include "plan_cases.h"

typedef struct array_sizes {
    int64_t outer, length, inner, results;
} array_sizes;

static plan_step *add_array(plan_builder *b, clg_op op, clg_dtype dtype, array_sizes n)
{
    plan_step *s = plan_add_step(b, 0, 0, NULL);
    s->kind = STEP_ARRAY;
    s->dtype = dtype;
    s->array = (plan_array){.op = (uint8_t)op,
                            .operand = {-1, -1},
                            .result = -1,
                            .outer = n.outer,
                            .length = n.length,
                            .inner = n.inner,
                            .results = n.results,
                            .pieces = 1,
                            .piece = n.length};
    return s;
}

static plan_builder *new_arrays(void)
{
    plan_builder *b = plan_new_builder();
    b->guard = 0; /* arrays are dense from the beginning of their buffers */
    return b;
}

static bool takes(const plan_target *t, int op, int dtype)
{
    return (dtype != CLG_F64 || t->has_f64) && support_computes((clg_dtype)dtype) &&
           (clg_dtype_is_real((clg_dtype)dtype) || clg_ops[op].types != TYPES_FLOATING);
}

void plan_case_scatters(const plan_target *t)
{
    static const array_sizes sizes[] = {{1, 50, 4, 10}, {1, 700, 300, 3}, {1, 5000, 1, 1000},
                                        {1, 0, 5, 5},   {1, 3, 4, 0},     {1, 3, 0, 7},
                                        {1, 50, 7, 10}, {1, 20, 300, 1},  {1, 0, 3, 5}};
    for (int op = 0; op < OP_COUNT; op++)
        for (int dtype = 0; clg_ops[op].kind == KIND_SCATTER && dtype < CLG_DTYPE_COUNT; dtype++) {
            if (!takes(t, op, dtype))
                continue;
            plan_builder *b = new_arrays();
            for (int i = 0; i < (t->compiles && (dtype || op != OP_SCATTER_ADD) ? 2 : 9); i++) {
                plan_step *s = add_array(b, (clg_op)op, (clg_dtype)dtype, sizes[i]);
                const array_sizes n = sizes[i];
                s->array.operand[0] = plan_add_leaf(b, CLG_I32, n.length, -1.99, (double)n.results + 0.99);
                s->array.operand[1] = plan_add_leaf(b, s->dtype, n.length * n.inner, -90, 90);
                s->array.result = plan_add_leaf(b, s->dtype, n.results * n.inner, -1, 1);
            }
            plan_check(t, b, 1e-4, 1e-12);
        }
}

void plan_case_scans(const plan_target *t)
{
    static const array_sizes sizes[] = {{3, 7, 1, 7},     {5, 70, 1, 70}, {2, 9, 3, 9}, {1, 40, 70, 40},
                                        {1, 1, 1, 1},     {0, 5, 3, 5},   {3, 0, 2, 0}, {9, 300, 1, 300},
                                        {2, 33, 129, 33}, {2, 5, 64, 5}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int op = 0; op < OP_COUNT; op++)
        for (int dtype = 0; clg_ops[op].kind == KIND_SCAN && dtype < CLG_DTYPE_COUNT; dtype++) {
            if (!takes(t, op, dtype))
                continue;
            plan_builder *b = new_arrays();
            for (int i = 0; i < (t->compiles && (dtype || op != OP_RECURRENCE) ? 3 : 2 * SIZES); i++) {
                const array_sizes n = sizes[i % SIZES];
                plan_step *s = add_array(b, (clg_op)op, (clg_dtype)dtype, n);
                const int64_t count = n.outer * n.length * n.inner;
                const bool product = op == OP_CUMPROD;
                s->array.reverse = (i + op) % 2;
                if (i >= SIZES && n.length > 3) { /* in pieces, of which the last may be short */
                    s->array.piece = n.length / 3;
                    s->array.pieces = (n.length + s->array.piece - 1) / s->array.piece;
                }
                for (int k = 0; k < clg_ops[op].arity; k++)
                    s->array.operand[k] = plan_add_leaf(b, s->dtype, count,
                                                        product ? 0.9
                                                        : k     ? -1
                                                                : -3,
                                                        product ? 1.1
                                                        : k     ? 1
                                                                : 3);
                s->array.result = plan_add_leaf(b, s->dtype, count, -1, 1);
            }
            plan_check(t, b, 2e-4, 1e-12);
        }
}

/* Of values with many ties. */
void plan_case_sorts(const plan_target *t)
{
    static const array_sizes sizes[] = {{3, 7, 1, 7},      {2, 600, 1, 600},   {5, 40, 1, 3},      {1, 5000, 1, 5000},
                                        {2, 3000, 1, 100}, {1, 2100, 1, 2000}, {2, 1024, 1, 1024}, {4, 1, 1, 1},
                                        {2, 5, 1, 0},      {0, 5, 1, 5}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++) {
        if (!takes(t, OP_ARGSORT, dtype))
            continue;
        plan_builder *b = new_arrays();
        for (int i = 0; i < (t->compiles && dtype ? 4 : 2 * SIZES); i++) {
            const array_sizes n = sizes[i % SIZES];
            plan_step *s = add_array(b, OP_ARGSORT, (clg_dtype)dtype, n);
            const bool narrow = !clg_dtype_is_real((clg_dtype)dtype);
            s->array.reverse = i % 2 != i / SIZES;
            s->array.operand[0] =
                plan_add_leaf(b, s->dtype, n.outer * n.length, dtype == CLG_U8 ? 0 : -90, narrow ? 90 : 9);
            s->array.result = plan_add_leaf(b, CLG_I32, n.outer * n.results, -1, 1);
        }
        plan_check(t, b, 0, 0);
    }
}

/* Of matrices with large diagonals. */
void plan_case_matrices(const plan_target *t)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 2}, {2, 17, 33}, {1, 40, 1}, {0, 3, 3}, {2, 0, 3}, {2, 3, 0}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    static const uint8_t ops[] = {OP_CHOLESKY, OP_SOLVE_TRIANGULAR, OP_SOLVE, OP_DETERMINANT};
    for (int dtype = 0; dtype < 2; dtype++) {
        if (!takes(t, OP_SOLVE, dtype))
            continue;
        plan_builder *b = new_arrays();
        for (int i = 0; i < 4 * (t->compiles ? 3 : SIZES); i++) {
            const bool sides = i % 4 == 1 || i % 4 == 2;
            const int64_t *size = sizes[i / 4], n = size[1], m = sides ? size[2] : n;
            if (i % 4 == 3 && n == 0)
                continue; /* a constant */
            plan_step *s = add_array(b, (clg_op)ops[i % 4], (clg_dtype)dtype, (array_sizes){size[0], n, m, n});
            s->array.mode = (uint8_t)(i / 4 % (i % 4 == 3 ? 3 : 2));
            s->array.operand[0] = plan_add_leaf(b, s->dtype, size[0] * n * n, -1, 1);
            plan_raise_diagonals(b, s->array.operand[0], n, 6);
            if (sides)
                s->array.operand[1] = plan_add_leaf(b, s->dtype, size[0] * n * m, -1, 1);
            s->array.result = plan_add_leaf(b, s->dtype, i % 4 == 3 ? size[0] : size[0] * n * m, -1, 1);
        }
        plan_check(t, b, 1e-3, 1e-11);
    }
}
