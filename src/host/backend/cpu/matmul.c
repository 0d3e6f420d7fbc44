/* Matrix products of the CPU backend. The product is cut into parts (batches, rows, columns), one a thread; a thread
 * computes its part block by block and runs the step's body on each block while it is in cache: bias, activation and
 * gradient masks cost no trip to memory.
 *
 * Two providers compute parts: gemm.c ("native"), and a CBLAS ("blas"), which the environment variable
 * CLGRAD_CPU_MATMUL chooses for tests and comparison. Where gemm.c has fused multiply-adds it is the default: libraries
 * that do not know a new processor fall back to kernels of an old one, and their bits are their own affair. */
#include "cpu.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef CLG_WITH_BLAS
#include <cblas.h>
#endif

/* A piece of the product that has no buffer of its own should stay in the second-level cache until the body has read
 * it. */
#define PIECE_BYTES (1024 * 1024)
/* The body's operands are fetched that many rows ahead. */
#define BODY_AHEAD 4
/* Products of fewer cycles are done sooner by one thread: a parallel region costs about 3500, measured with two. */
#define PARALLEL_CYCLES 10000

#ifdef CLG_WITH_BLAS
/* OpenBLAS has its own threads; ours are enough. Weak: other libraries do not have the function. */
extern void openblas_set_num_threads(int) __attribute__((weak));
#endif

enum { PROVIDER_DEFAULT, PROVIDER_NATIVE, PROVIDER_BLAS };
static atomic_int wanted = PROVIDER_DEFAULT; /* what the environment said when a device was last opened */

void cpu_matmul_open(void)
{
    const char *name = getenv("CLGRAD_CPU_MATMUL");
    if (!name)
        name = "";
    atomic_store(&wanted, strcmp(name, "native") == 0 ? PROVIDER_NATIVE
                          : strcmp(name, "blas") == 0 ? PROVIDER_BLAS
                                                      : PROVIDER_DEFAULT);
#ifdef CLG_WITH_BLAS
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
#endif
}

typedef struct job {
    const cpu_tape *tape;
    char *const *address;
    char *const *scratch;
    const gemm_table *table;
    int64_t element;                          /* bytes */
    int batch_parts, row_parts, column_parts; /* their product: the number of parts */
    bool body;                                /* the step does more than store the product */
    char *whole;                              /* the product's buffer, NULL: pieces in scratch */
} job;

/* ---------------------------------------------------------------- cutting */

/* About the time of the largest part in cycles. Packing an element costs about a fifth of a cycle, transposing it half
 * of one, and a body's entry a tenth of one for each element. */
static double part_cost(const plan_step *s, const gemm_table *table, int row_parts, int column_parts, int32_t entries)
{
    double k = (double)s->k, width = table->width[s->dtype];
    double rows = (double)((s->m + row_parts - 1) / row_parts);
    double columns = (double)round_up((s->n + column_parts - 1) / column_parts, table->width[s->dtype]);
    double a = s->a.column_stride == 1 || s->k == 1 ? 0.1 : 0.2, b = s->b.column_stride == 1 || s->n == 1 ? 0.2 : 0.5;
    return rows * columns * (k / (2 * width) + 0.1 * entries) + rows * k * a + k * columns * b;
}

/* Cuts among count threads: batches if there are enough, else rows x columns in the way that costs least. */
static void cut(job *j, int count)
{
    const plan_step *s = j->tape->step;
    j->batch_parts = j->row_parts = j->column_parts = 1;
    if (s->batch >= 2 * count || s->batch % count == 0) {
        j->batch_parts = count;
        return;
    }
    double best = -1;
    for (int rows = 1; rows <= count; rows++) {
        if (count % rows != 0)
            continue;
        double cost = part_cost(s, j->table, rows, count / rows, j->tape->entry_count);
        if (best < 0 || cost < best) {
            best = cost;
            j->row_parts = rows;
            j->column_parts = count / rows;
        }
    }
}

/* Rows of a part that are computed before the body runs on them, where the product has no buffer of its own. */
static int64_t piece_rows(int64_t rows, int64_t columns, int64_t element)
{
    int64_t fit = PIECE_BYTES / (columns * element);
    return smaller(fit < 64 ? 64 : fit / 64 * 64, rows);
}

static int64_t packing_bytes(const plan_step *s, const gemm_table *table)
{
    return round_up(gemm_scratch_bytes(table, s->dtype, s->m, s->n), 64);
}

/* Packed operands, then a piece of the product. */
int64_t cpu_matmul_scratch(const cpu_tape *t, const gemm_table *table)
{
    const plan_step *s = t->step;
    int64_t element = (int64_t)clg_dtype_size(s->dtype);
    if (s->batch == 0 || s->m == 0 || s->n == 0)
        return 0;
    int64_t piece = smaller(s->m * s->n * element, larger(PIECE_BYTES, 64 * s->n * element));
    return packing_bytes(s, table) + (t->product_store >= 0 ? 0 : piece);
}

/* ---------------------------------------------------------------- CBLAS */

#ifdef CLG_WITH_BLAS
/* How CBLAS sees an operand of rows x columns: false if it cannot. */
static bool blas_layout(const plan_matrix *x, int64_t rows, int64_t columns, CBLAS_TRANSPOSE *transpose, int64_t *ld)
{
    bool plain = x->column_stride == 1 || columns == 1;
    if (!plain && x->row_stride != 1 && rows != 1)
        return false;
    int64_t least = plain ? columns : rows;
    *transpose = plain ? CblasNoTrans : CblasTrans;
    *ld = plain ? x->row_stride : x->column_stride;
    if ((plain ? rows : columns) == 1 || *ld < least)
        *ld = least > *ld ? least : *ld;
    return *ld <= INT_MAX && (plain ? rows == 1 || x->row_stride >= columns : columns == 1 || x->column_stride >= rows);
}

/* false: not a product for CBLAS. */
static bool blas_product(const plan_step *s, const gemm_product *g)
{
    CBLAS_TRANSPOSE ta, tb;
    int64_t lda, ldb;
    if (g->m > INT_MAX || g->n > INT_MAX || g->k > INT_MAX || g->ldc > INT_MAX ||
        !blas_layout(&s->a, s->m, s->k, &ta, &lda) || !blas_layout(&s->b, s->k, s->n, &tb, &ldb))
        return false;
    int m = (int)g->m, n = (int)g->n, k = (int)g->k, ldc = (int)g->ldc;
    if (s->dtype == CLG_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, g->a, (int)lda, g->b, (int)ldb, 0.0f, g->c, ldc);
    else
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, g->a, (int)lda, g->b, (int)ldb, 0.0, g->c, ldc);
    return true;
}
#endif

static bool use_blas(const job *j)
{
#ifdef CLG_WITH_BLAS
    int provider = atomic_load_explicit(&wanted, memory_order_relaxed);
    return provider == PROVIDER_BLAS || (provider == PROVIDER_DEFAULT && !j->table->fused);
#else
    (void)j;
    return false;
#endif
}

/* ---------------------------------------------------------------- a piece */

/* A piece of the product, in memory at c from row and column on. */
typedef struct piece {
    const job *job;
    cpu_runner *runner;
    int64_t batch, row, column;
    char *c;
    int64_t ldc;
} piece;

/* count consecutive positions from lane, whose product is at data. */
static void body_run(cpu_runner *r, int64_t lane, int64_t count, char *data, int64_t element)
{
    for (int64_t done = 0; done < count; done += r->tape->block) {
        r->product = data + done * element;
        cpu_runner_block(r, lane + done, smaller(r->tape->block, count - done));
    }
}

/* The body on a block of the piece. */
static void body_block(void *context, int64_t row, int64_t m, int64_t column, int64_t n)
{
    const piece *p = context;
    const plan_step *s = p->job->tape->step;
    int64_t element = p->job->element, lane = (p->batch * s->m + p->row + row) * s->n + p->column + column;
    char *c = p->c + (row * p->ldc + column) * element;
    if (n == s->n && n == p->ldc) {
        body_run(p->runner, lane, m * n, c, element);
        return;
    }
    int32_t entries = p->runner->tape->entry_count;
    for (int64_t i = 0; i < m; i++) {
        if (i + BODY_AHEAD < m)
            cpu_ahead_begin(p->runner, NULL, lane + (i + BODY_AHEAD) * s->n, n, entries);
        body_run(p->runner, lane + i * s->n, n, c + i * p->ldc * element, element);
    }
}

/* m x n elements of one batch from row and column on, to c. */
static void piece_run(const piece *p, int64_t m, int64_t n, void *scratch)
{
    const job *j = p->job;
    const plan_step *s = j->tape->step;
    const plan_matrix *x = &s->a, *y = &s->b;
    int64_t element = j->element;
    if (s->k == 0) {
        for (int64_t i = 0; i < m; i++)
            memset(p->c + i * p->ldc * element, 0, (size_t)(n * element));
    } else {
        gemm_product g = {
            .m = m,
            .n = n,
            .k = s->k,
            .a = j->address[x->buffer] + (x->offset + p->batch * x->batch_stride + p->row * x->row_stride) * element,
            .b = j->address[y->buffer] +
                 (y->offset + p->batch * y->batch_stride + p->column * y->column_stride) * element,
            .a_stride = {x->row_stride, x->column_stride},
            .b_stride = {y->row_stride, y->column_stride},
            .c = p->c,
            .ldc = p->ldc,
            .scratch = scratch,
            .done = j->body ? body_block : NULL,
            .context = (void *)p,
        };
#ifdef CLG_WITH_BLAS
        if (!use_blas(j) || !blas_product(s, &g))
#endif
        {
            j->table->run[s->dtype](&g);
            return;
        }
    }
    if (j->body)
        body_block((void *)p, 0, m, 0, n);
}

/* ---------------------------------------------------------------- parts */

static void run_part(const job *j, cpu_runner *r, char *scratch, int number)
{
    const cpu_tape *t = j->tape;
    const plan_step *s = t->step;
    int64_t batch, batch_end, row_first, row_end, column, column_end, width = j->table->width[s->dtype];
    int rows = number / j->column_parts % j->row_parts;
    cpu_share(s->batch, 1, number / (j->column_parts * j->row_parts), j->batch_parts, &batch, &batch_end);
    cpu_share(s->m, s->m >= 8 * j->row_parts ? 2 : 1, rows, j->row_parts, &row_first, &row_end);
    cpu_share(s->n, s->n >= j->column_parts * width ? width : 1, number % j->column_parts, j->column_parts, &column,
              &column_end);
    int64_t n = column_end - column, most = row_end - row_first;
    if (n == 0 || most == 0)
        return;
    if (!j->whole || use_blas(j))
        most = piece_rows(most, n, j->element);
    for (; batch < batch_end; batch++)
        for (int64_t row = row_first; row < row_end; row += most) {
            piece p = {j, r, batch, row, column, scratch + packing_bytes(s, j->table), n};
            if (j->whole) {
                p.c = j->whole + ((batch * s->m + row) * s->n + column) * j->element;
                p.ldc = s->n;
            }
            piece_run(&p, smaller(most, row_end - row), n, scratch);
        }
}

static void work(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const cpu_tape *t = j->tape;
    int parts = j->batch_parts * j->row_parts * j->column_parts;
    if (thread >= parts)
        return;
    cpu_runner r;
    cpu_runner_begin(&r, t, j->address, j->scratch[thread]);
    for (int i = thread; i < parts; i += threads)
        run_part(j, &r, j->scratch[thread] + round_up(t->scratch_bytes, 64), i);
}

static bool has_body(const cpu_tape *t)
{
    for (int32_t i = 0; i < t->entry_count; i++)
        if (t->entries[i].run != cpu_product)
            return true;
    return false;
}

void cpu_run_matmul(const cpu_tape *tape, char *const *address, char *const *scratch, cpu_pool *pool,
                    const gemm_table *table)
{
    const plan_step *s = tape->step;
    if (s->batch == 0 || s->m == 0 || s->n == 0)
        return;
    job j = {.tape = tape,
             .address = address,
             .scratch = scratch,
             .table = table,
             .element = (int64_t)clg_dtype_size(s->dtype),
             .body = has_body(tape)};
    if (tape->product_store >= 0) {
        const plan_instr *store = &s->instrs[tape->product_store];
        j.whole = address[store->buffer] + s->maps[store->map].offset * j.element;
    }
    double cost = (double)s->batch * part_cost(s, j.table, 1, 1, tape->entry_count);
    int threads = cost >= PARALLEL_CYCLES ? cpu_pool_threads(pool) : 1;
    cut(&j, threads);
    cpu_pool_run(pool, threads, work, &j);
}
