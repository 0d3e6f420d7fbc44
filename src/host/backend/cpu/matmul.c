/* Matrix products of the CPU backend. Each thread computes a part of the product (rows, columns or batches) by
 * single-threaded library calls, chunk by chunk, and runs the step's body on each chunk while it is in cache: bias,
 * activation and gradient masks cost no trip to memory. Without CBLAS the loop of vector.c does the products. */
#include "cpu.h"

#include <limits.h>
#include <string.h>

#ifdef CLG_WITH_BLAS
#include <cblas.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* A chunk of the product should stay in the second-level cache until the body has read it. */
#define CHUNK_BYTES (512 * 1024)

#ifdef CLG_WITH_BLAS
/* OpenBLAS has its own threads; ours are enough. Weak: other libraries do not have the function. */
extern void openblas_set_num_threads(int) __attribute__((weak));
#endif

void cpu_matmul_open(void)
{
#ifdef CLG_WITH_BLAS
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
#endif
}

/* One thread's part: rows and columns of the batches batch_first ... batch_last - 1. */
typedef struct part {
    int64_t batch_first, batch_last, row_first, row_last, column_first, column_last;
} part;

typedef struct job {
    const cpu_tape *tape;
    char *const *address;
    char *const *scratch;
    const cpu_vectors *vectors;
    int64_t element; /* bytes */
} job;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Batches if there are enough; else the longer side of the product: what all threads then read is the smaller
 * operand. */
static part part_of(const plan_step *s, int thread, int threads)
{
    part p = {0, s->batch, 0, s->m, 0, s->n};
    if (s->batch >= 2 * threads || s->batch % threads == 0)
        cpu_share(s->batch, 1, thread, threads, &p.batch_first, &p.batch_last);
    else if (s->n > s->m)
        cpu_share(s->n, 32, thread, threads, &p.column_first, &p.column_last);
    else
        cpu_share(s->m, s->m >= 32 * threads ? 16 : 1, thread, threads, &p.row_first, &p.row_last);
    return p;
}

/* Rows of a part that are computed before the body runs on them. */
static int64_t chunk_rows(int64_t rows, int64_t columns, int64_t element)
{
    int64_t fit = CHUNK_BYTES / (columns * element);
    fit = fit < 64 ? 64 : fit / 64 * 64;
    return smaller(fit, rows);
}

int64_t cpu_matmul_scratch(const cpu_tape *t, int threads)
{
    const plan_step *s = t->step;
    int64_t element = (int64_t)clg_dtype_size(s->dtype), most = 0;
    if (t->product_store >= 0)
        return 0;
    for (int count = 1; count <= threads; count++) /* small products run on fewer threads */
        for (int i = 0; i < count; i++) {
            part p = part_of(s, i, count);
            int64_t rows = p.row_last - p.row_first, columns = p.column_last - p.column_first;
            if (rows == 0 || columns == 0)
                continue;
            int64_t bytes = chunk_rows(rows, columns, element) * columns * element;
            most = bytes > most ? bytes : most;
        }
    return most;
}

/* ---------------------------------------------------------------- one product */

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

static bool blas_product(const plan_step *s, int64_t m, int64_t n, const char *a, const char *b, char *c, int64_t ldc)
{
    CBLAS_TRANSPOSE ta, tb;
    int64_t lda, ldb;
    if (m > INT_MAX || n > INT_MAX || s->k > INT_MAX || ldc > INT_MAX || !blas_layout(&s->a, s->m, s->k, &ta, &lda) ||
        !blas_layout(&s->b, s->k, s->n, &tb, &ldb))
        return false;
    if (s->dtype == CLG_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)s->k, 1.0f, (const void *)a, (int)lda, (const void *)b,
                    (int)ldb, 0.0f, (void *)c, (int)ldc);
    else
        cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)s->k, 1.0, (const void *)a, (int)lda, (const void *)b,
                    (int)ldb, 0.0, (void *)c, (int)ldc);
    return true;
}
#endif

/* Rows and columns of one batch of the product, to c. */
static void product(const job *j, int64_t batch, int64_t row, int64_t m, int64_t column, int64_t n, char *c,
                    int64_t ldc)
{
    const plan_step *s = j->tape->step;
    const plan_matrix *x = &s->a, *y = &s->b;
    if (s->k == 0) {
        for (int64_t i = 0; i < m; i++)
            memset(c + i * ldc * j->element, 0, (size_t)(n * j->element));
        return;
    }
    const char *a = j->address[x->buffer] + (x->offset + batch * x->batch_stride + row * x->row_stride) * j->element;
    const char *b =
        j->address[y->buffer] + (y->offset + batch * y->batch_stride + column * y->column_stride) * j->element;
#ifdef CLG_WITH_BLAS
    if (blas_product(s, m, n, a, b, c, ldc))
        return;
#endif
    int64_t a_stride[2] = {x->row_stride, x->column_stride}, b_stride[2] = {y->row_stride, y->column_stride};
    if (s->dtype == CLG_F32)
        j->vectors->gemm_f32(m, n, s->k, (const void *)a, a_stride, (const void *)b, b_stride, (void *)c, ldc);
    else
        j->vectors->gemm_f64(m, n, s->k, (const void *)a, a_stride, (const void *)b, b_stride, (void *)c, ldc);
}

/* ---------------------------------------------------------------- the body on a chunk */

static bool has_body(const cpu_tape *t)
{
    for (int32_t i = 0; i < t->entry_count; i++)
        if (t->entries[i].run != cpu_product)
            return true;
    return false;
}

/* count consecutive positions from lane, whose product is at data. */
static void body_run(cpu_runner *r, int64_t lane, int64_t count, char *data, int64_t element)
{
    for (int64_t done = 0; done < count; done += r->tape->block) {
        r->product = data + done * element;
        cpu_runner_block(r, lane + done, smaller(r->tape->block, count - done));
    }
}

static void work(const job *j, int thread, int threads)
{
    const cpu_tape *t = j->tape;
    const plan_step *s = t->step;
    part p = part_of(s, thread, threads);
    int64_t rows = p.row_last - p.row_first, columns = p.column_last - p.column_first;
    if (p.batch_first == p.batch_last || rows == 0 || columns == 0)
        return;
    cpu_runner r;
    cpu_runner_begin(&r, t, j->address, j->scratch[thread]);
    bool body = has_body(t);
    int64_t chunk = body ? chunk_rows(rows, columns, j->element) : rows;
    char *space = j->scratch[thread] + (t->scratch_bytes + 63) / 64 * 64, *whole = NULL;
    if (t->product_store >= 0) {
        const plan_instr *store = &s->instrs[t->product_store];
        whole = j->address[store->buffer] + s->maps[store->map].offset * j->element;
    }
    for (int64_t batch = p.batch_first; batch < p.batch_last; batch++)
        for (int64_t row = p.row_first; row < p.row_last; row += chunk) {
            int64_t m = smaller(chunk, p.row_last - row), lane = (batch * s->m + row) * s->n + p.column_first;
            char *c = whole ? whole + lane * j->element : space;
            int64_t ldc = whole ? s->n : columns;
            product(j, batch, row, m, p.column_first, columns, c, ldc);
            if (!body)
                continue;
            if (columns == s->n)
                body_run(&r, lane, m * columns, c, j->element);
            else
                for (int64_t i = 0; i < m; i++)
                    body_run(&r, lane + i * s->n, columns, c + i * ldc * j->element, j->element);
        }
}

void cpu_run_matmul(const cpu_tape *tape, char *const *address, char *const *scratch, int threads,
                    const cpu_vectors *vectors)
{
    const plan_step *s = tape->step;
    if (s->batch == 0 || s->m == 0 || s->n == 0)
        return;
    job j = {tape, address, scratch, vectors, (int64_t)clg_dtype_size(s->dtype)};
#ifdef _OPENMP
    if (threads > 1 && s->batch * s->m * s->n * (s->k + 8 + tape->entry_count) >= 8 * CPU_PARALLEL_WORK) {
#pragma omp parallel num_threads(threads)
        work(&j, omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#endif
    (void)threads;
    work(&j, 0, 1);
}
