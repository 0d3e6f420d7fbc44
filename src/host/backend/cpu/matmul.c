/* Contractions of the CPU backend: batches of matrix products. The product is cut into parts (batches, rows, columns),
 * one a thread; a thread computes its part block by block and runs the step's body on each block while it is in cache:
 * bias, activation and gradient masks cost no trip to memory.
 *
 * Two providers compute parts: gemm.c ("native"), and a CBLAS ("blas"), which the environment variable
 * CLGRAD_CPU_MATMUL chooses for tests and comparison. Where gemm.c has fused multiply-adds it is the default: libraries
 * that do not know a new processor fall back to kernels of an old one, and their bits are their own affair. */
#include "contract.h"

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

/* A product goes straight into the buffer of a STORE of its dtype that covers it densely, if the body
 * loads nothing from there and reads the product no more after that STORE. */
void cpu_product_find_store(const plan *p, cpu_tape *tape, char *const *address, const int32_t *last_use,
                            cpu_spans *spans)
{
    const plan_step *step = tape->step;
    int32_t product_last = -1;
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_PRODUCT && last_use[i] > product_last)
            product_last = last_use[i];
    int64_t dense[PLAN_MAX_DIMS], stride = 1;
    if (!tape->contract->dense) /* rows of the product are to be consecutive */
        return;
    for (int d = step->outer_rank; d-- > 0; stride *= step->extent[d])
        dense[d] = stride;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *instr = &step->instrs[i];
        if (instr->kind != INSTR_STORE || instr->dtype != (uint8_t)step->dtype || product_last > i)
            continue;
        const plan_access *access = &step->accesses[instr->access];
        bool identity = true;
        for (int d = 0; d < step->outer_rank; d++)
            identity &= step->extent[d] <= 1 || access->stride[d] == dense[d];
        int32_t count;
        cpu_span *span = cpu_spans_find(spans, p, address, instr->buffer, &count);
        if (identity && count == 1 && span->stores == 1 && span->load_last < 0) {
            tape->product_store = i;
            span->load_last = product_last; /* reading the product is loading from there */
            return;
        }
    }
}

typedef struct job {
    const cpu_tape *tape;
    char *const *address;
    char *const *scratch;
    const gemm_table *table;
    const cpu_contract *contract;
    clg_dtype dtype;
    int64_t element;                          /* bytes */
    int batch_parts, row_parts, column_parts; /* their product: the number of parts */
    bool body;                                /* the step does more than store the product */
    char *whole;                              /* the product's buffer, NULL: pieces in scratch */
} job;

/* ---------------------------------------------------------------- cutting */

/* Cycles that packing an element takes, about; transposing, and gathering what is no matrix, take longer. */
static double pack_cost(const contract_side *s, bool b)
{
    bool dense = b ? s->own_stride == 1 : s->depth_stride == 1;
    return !s->plain ? 1 : b ? (dense ? 0.2 : 0.5) : dense ? 0.1 : 0.2;
}

/* About the time of the largest part in cycles. A body's entry takes a tenth of one for each element. */
static double part_cost(const cpu_contract *c, int vector, int row_parts, int column_parts, int32_t entries)
{
    double k = (double)c->k, width = vector;
    double rows = (double)((c->m + row_parts - 1) / row_parts);
    double columns = (double)round_up((c->n + column_parts - 1) / column_parts, vector);
    return rows * columns * (k / (2 * width) + 0.1 * entries) + rows * k * pack_cost(&c->side[0], false) +
           k * columns * pack_cost(&c->side[1], true);
}

/* Cuts among count threads: batches if there are enough, else rows x columns in the way that costs least. */
static void cut(job *j, int count)
{
    const cpu_contract *c = j->contract;
    j->batch_parts = j->row_parts = j->column_parts = 1;
    if (c->batch >= 2 * count || c->batch % count == 0) {
        j->batch_parts = count;
        return;
    }
    double best = -1;
    for (int rows = 1; rows <= count; rows++) {
        if (count % rows != 0)
            continue;
        double cost = part_cost(c, j->table->width[j->dtype], rows, count / rows, j->tape->entry_count);
        if (best < 0 || cost < best) {
            best = cost;
            j->row_parts = rows;
            j->column_parts = count / rows;
        }
    }
}

/* Of a part of m x n, what is computed before the body runs on it where the product has no buffer of its own: some of
 * the rows; or some of the columns, where these are windows and the rows are packed. */
static void cut_piece(const cpu_contract *c, int64_t element, int64_t *m, int64_t *n)
{
    if (c->windowed == 1) {
        int64_t fit = PIECE_BYTES / (*m * element);
        *n = smaller(fit < c->run ? c->run : fit / c->run * c->run, *n);
    } else {
        int64_t fit = PIECE_BYTES / (*n * element);
        *m = smaller(fit < 64 ? 64 : fit / 64 * 64, *m);
    }
}

/* Parts of a side begin at multiples: of runs where it is read through windows and there are enough. */
static int64_t grain_of(const cpu_contract *c, int side, int64_t count, int parts, int64_t otherwise)
{
    return c->windowed == side && count / c->run >= 4 * parts ? c->run : otherwise;
}

static int64_t packing_bytes(const cpu_contract *c, clg_dtype dtype, const gemm_table *table)
{
    return round_up(gemm_scratch_bytes(table, dtype, c->m, c->n), 64);
}

/* Prologues, packed operands, then a piece of the product. */
int64_t cpu_matmul_scratch(const cpu_tape *t, const gemm_table *table)
{
    const cpu_contract *c = t->contract;
    int64_t element = (int64_t)clg_dtype_size(t->step->dtype);
    if (c->batch == 0 || c->m == 0 || c->n == 0)
        return 0;
    int64_t least = c->windowed == 1 ? c->m * c->run : 64 * c->n;
    int64_t piece = smaller(c->m * c->n * element, larger(PIECE_BYTES, least * element));
    return cpu_prologue_bytes(t) + packing_bytes(c, t->step->dtype, table) + contract_windows_bytes(c) +
           (t->product_store >= 0 ? 0 : piece);
}

/* ---------------------------------------------------------------- CBLAS */

#ifdef CLG_WITH_BLAS
/* How CBLAS sees an operand of rows x columns: false if it cannot. */
static bool blas_layout(const int64_t stride[2], int64_t rows, int64_t columns, CBLAS_TRANSPOSE *transpose, int64_t *ld)
{
    bool plain = stride[1] == 1 || columns == 1;
    if (!plain && stride[0] != 1 && rows != 1)
        return false;
    int64_t least = plain ? columns : rows;
    *transpose = plain ? CblasNoTrans : CblasTrans;
    *ld = plain ? stride[0] : stride[1];
    if ((plain ? rows : columns) == 1 || *ld < least)
        *ld = least > *ld ? least : *ld;
    return *ld <= INT_MAX && (plain ? rows == 1 || stride[0] >= columns : columns == 1 || stride[1] >= rows);
}

/* false: not a product for CBLAS. */
static bool blas_product(clg_dtype dtype, const gemm_product *g)
{
    CBLAS_TRANSPOSE ta, tb;
    int64_t lda, ldb;
    if (g->m > INT_MAX || g->n > INT_MAX || g->k > INT_MAX || g->ldc > INT_MAX || g->pack_a || g->pack_b ||
        g->windows || !blas_layout(g->a_stride, g->m, g->k, &ta, &lda) ||
        !blas_layout(g->b_stride, g->k, g->n, &tb, &ldb))
        return false;
    int m = (int)g->m, n = (int)g->n, k = (int)g->k, ldc = (int)g->ldc;
    if (dtype == CLG_F32)
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
    cpu_prologue *prologue; /* of both operands */
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
    const cpu_contract *k = p->job->contract;
    int64_t element = p->job->element, batch = contract_lane(&k->batch_lanes, p->batch);
    int64_t lane = batch + p->column + column;
    char *c = p->c + (row * p->ldc + column) * element;
    if (k->dense && n == k->n && n == p->ldc) {
        body_run(p->runner, lane + (p->row + row) * n, m * n, c, element);
        return;
    }
    int32_t entries = p->runner->tape->entry_count;
    for (int64_t i = 0; i < m; i++) {
        if (k->dense && i + BODY_AHEAD < m)
            cpu_ahead_begin(p->runner, NULL, lane + (p->row + row + i + BODY_AHEAD) * k->n, n, entries);
        int64_t at = lane + (k->dense ? (p->row + row + i) * k->n : contract_lane(&k->row_lanes, p->row + row + i));
        body_run(p->runner, at, n, c + i * p->ldc * element, element);
    }
}

/* An operand that is packed from its row or column `first` on. */
typedef struct shifted_block {
    const contract_block *block;
    int64_t first;
} shifted_block;

static void pack_shifted(const void *operand, int64_t first, int64_t count, int64_t p, int64_t k, void *to,
                         int64_t step, int64_t depth_step)
{
    const shifted_block *s = operand;
    contract_pack(s->block, s->first + first, count, p, k, to, step, depth_step);
}

/* m x n elements of one batch from row and column on, to c. */
static void piece_run(const piece *p, int64_t m, int64_t n, void *scratch)
{
    const job *j = p->job;
    const cpu_contract *c = j->contract;
    int64_t element = j->element;
    contract_block block[2];
    int64_t k = contract_begin(c, j->address, p->prologue, p->batch, block);
    if (k == 0) {
        for (int64_t i = 0; i < m; i++)
            memset(p->c + i * p->ldc * element, 0, (size_t)(n * element));
    } else {
        shifted_block shifted[2] = {{&block[0], p->row}, {&block[1], p->column}};
        gemm_product g = {.m = m,
                          .n = n,
                          .k = k,
                          .a_stride = {c->side[0].own_stride, c->side[0].depth_stride},
                          .b_stride = {c->side[1].depth_stride, c->side[1].own_stride},
                          .c = p->c,
                          .ldc = p->ldc,
                          .scratch = scratch,
                          .done = j->body ? body_block : NULL,
                          .context = (void *)p};
        for (int o = 0; o < 2; o++) {
            const contract_side *s = &c->side[o];
            const void **data = o == 0 ? &g.a : &g.b;
            *data = block[o].base + (s->plain ? shifted[o].first * s->own_stride * element : 0);
            if (s->plain || o == c->windowed)
                continue;
            *data = &shifted[o];
            *(o == 0 ? &g.pack_a : &g.pack_b) = pack_shifted;
        }
        contract_windows windows;
        if (c->windowed >= 0) {
            contract_windows_begin(&windows, c, &block[c->windowed], shifted[c->windowed].first,
                                   (char *)scratch + packing_bytes(c, j->dtype, j->table));
            *(c->windowed == 0 ? &g.a : &g.b) = &windows;
            g.windows = &contract_window_functions;
            g.window_columns = c->windowed == 1;
        }
        if (g.pack_a) /* packed tiles of a: by rows where depth is dense */
            g.a_stride[1] = c->side[0].depth.rank && c->side[0].depth.stride[c->side[0].depth.rank - 1] == 1 ? 1 : 2;
#ifdef CLG_WITH_BLAS
        if (!use_blas(j) || !blas_product(j->dtype, &g))
#endif
        {
            j->table->run[j->dtype](&g);
            return;
        }
    }
    if (j->body)
        body_block((void *)p, 0, m, 0, n);
}

/* ---------------------------------------------------------------- parts */

static void run_part(const job *j, cpu_runner *r, cpu_prologue *prologue, char *scratch, int number)
{
    const cpu_contract *c = j->contract;
    int64_t batch, batch_end, row_first, row_end, column_first, column_end, width = j->table->width[j->dtype];
    int rows = number / j->column_parts % j->row_parts;
    cpu_share(c->batch, 1, number / (j->column_parts * j->row_parts), j->batch_parts, &batch, &batch_end);
    int64_t row_grain = grain_of(c, 0, c->m, j->row_parts, c->m >= 8 * j->row_parts ? 2 : 1);
    int64_t column_grain = grain_of(c, 1, c->n, j->column_parts, c->n >= j->column_parts * width ? width : 1);
    cpu_share(c->m, row_grain, rows, j->row_parts, &row_first, &row_end);
    cpu_share(c->n, column_grain, number % j->column_parts, j->column_parts, &column_first, &column_end);
    int64_t n = column_end - column_first, m = row_end - row_first;
    if (n == 0 || m == 0)
        return;
    if (!j->whole || use_blas(j))
        cut_piece(c, j->element, &m, &n);
    if (c->windowed == 0 && m > c->run)
        m = m / c->run * c->run;
    for (; batch < batch_end; batch++)
        for (int64_t row = row_first; row < row_end; row += m)
            for (int64_t column = column_first; column < column_end; column += n) {
                int64_t columns = smaller(n, column_end - column);
                piece p = {j, r, prologue, batch, row, column, scratch + packing_bytes(c, j->dtype, j->table), columns};
                p.c += contract_windows_bytes(c);
                if (j->whole) {
                    p.c = j->whole + (contract_lane(&c->batch_lanes, batch) + row * c->n + column) * j->element;
                    p.ldc = c->n;
                }
                piece_run(&p, smaller(m, row_end - row), columns, scratch);
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
    cpu_prologue prologue[2];
    char *scratch = j->scratch[thread] + round_up(t->scratch_bytes, 64);
    cpu_runner_begin(&r, t, j->address, j->scratch[thread]);
    cpu_prologue_begin(prologue, t, scratch);
    scratch += cpu_prologue_bytes(t);
    for (int i = thread; i < parts; i += threads)
        run_part(j, &r, prologue, scratch, i);
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
    const cpu_contract *c = tape->contract;
    if (c->batch == 0 || c->m == 0 || c->n == 0)
        return;
    job j = {.tape = tape,
             .address = address,
             .scratch = scratch,
             .table = table,
             .contract = c,
             .dtype = s->dtype,
             .element = (int64_t)clg_dtype_size(s->dtype),
             .body = has_body(tape)};
    if (tape->product_store >= 0) {
        const plan_instr *store = &s->instrs[tape->product_store];
        j.whole = address[store->buffer] + s->accesses[store->access].offset * j.element;
    }
    double cost = (double)c->batch * part_cost(c, table->width[s->dtype], 1, 1, tape->entry_count);
    int threads = cost >= PARALLEL_CYCLES ? cpu_pool_threads(pool) : 1;
    cut(&j, threads);
    cpu_pool_run(pool, threads, work, &j);
}
