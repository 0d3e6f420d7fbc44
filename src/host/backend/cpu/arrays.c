/* ARRAY steps: what each thread does of a scan, a sort, a scatter. No result depends on the number of threads. */
#include "cpu.h"

#include <string.h>

typedef struct job {
    const plan_step *step;
    const plan_array *a;
    const char *operand[2];
    char *result;
    char *const *scratch;
    char *shared; /* of the first thread's scratch: what pieces give */
    cpu_pool *pool;
    const cpu_vectors *vectors;
} job;

/* ---------------------------------------------------------------- scans
 *
 * A unit is some lines next to each other, or one piece of them. */

enum { LINES_ABREAST = 64, LONG = 16 * 1024 * 1024 };

typedef struct units {
    int64_t blocks; /* of lines: in each of the outer ones of inner lines, or of outer lines of neighbours */
    int64_t count;
} units;

static units scan_units(const plan_array *a)
{
    units u = {.blocks = divide_up(a->inner > 1 ? a->inner : a->outer, LINES_ABREAST)};
    u.count = u.blocks * (a->inner > 1 ? a->outer : 1) * a->pieces;
    return u;
}

/* The lines of a unit. */
static void scan_lines(const job *j, int64_t unit, cpu_lines *l)
{
    const plan_array *a = j->a;
    const units u = scan_units(a);
    const int64_t size = (int64_t)clg_dtype_size(j->step->dtype);
    const int64_t piece = unit % a->pieces, block = unit / a->pieces % u.blocks, outer = unit / a->pieces / u.blocks;
    const int64_t first = block * LINES_ABREAST, begin = piece * a->piece;
    const bool columns = a->inner > 1;
    const int64_t length = smaller(a->piece, a->length - begin), start = a->reverse ? a->length - 1 - begin : begin;
    const int64_t at = columns ? (outer * a->length + start) * a->inner + first : first * a->length + start;
    *l = (cpu_lines){.x = j->operand[0] + at * size,
                     .c = j->operand[1] ? j->operand[1] + at * size : NULL,
                     .y = j->result + at * size,
                     .length = length,
                     .step = a->reverse ? -a->inner : a->inner,
                     .lanes = smaller(LINES_ABREAST, (columns ? a->inner : a->outer) - first),
                     .lane_step = columns ? 1 : a->length};
    const int64_t line = 64, all = a->outer * a->length * a->inner * size;
    l->streams = !columns && all >= LONG && length % (line / size) == 0 && a->length * size % line == 0 &&
                 a->piece * size % line == 0 && (intptr_t)j->result % line == 0;
}

/* What a unit of pieces gives: 0 of each line what it adds up to, later what comes before it; 1 the product of its
 * factors. */
static char *total_of(const job *j, int64_t unit, int which)
{
    return j->shared + (unit * 2 + which) * LINES_ABREAST * (int64_t)clg_dtype_size(j->step->dtype);
}

/* What each piece gives by itself, from the start on. */
static void total_pieces(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const int64_t count = scan_units(j->a).count;
    (void)threads;
    for (int64_t unit; (unit = cpu_pool_next(j->pool, thread, count)) >= 0;) {
        cpu_lines l;
        if (unit % j->a->pieces == j->a->pieces - 1)
            continue; /* nobody needs it */
        scan_lines(j, unit, &l);
        l.y = NULL;
        l.carry = total_of(j, unit, 0);
        l.factor = total_of(j, unit, 1);
        l.begins = true;
        j->vectors->scan[j->a->op][j->step->dtype](&l);
    }
}

/* Totals become what comes before each piece: one line of pieces, an element each. */
static void join_pieces(const job *j)
{
    const plan_array *a = j->a;
    const cpu_scan_fn scan = j->vectors->scan[a->op][j->step->dtype];
    const int64_t count = scan_units(a).count, size = (int64_t)clg_dtype_size(j->step->dtype);
    for (int64_t first = 0; first < count; first += a->pieces) {
        double carry[LINES_ABREAST], next[LINES_ABREAST], before[LINES_ABREAST]; /* of any dtype */
        cpu_lines lines, one = {.y = next, .lane_step = 1, .carry = carry, .begins = true};
        scan_lines(j, first, &lines);
        one.lanes = lines.lanes;
        scan(&one); /* of no element: the accumulators before the first piece */
        one.begins = false;
        one.length = 1;
        for (int64_t p = 0; p < a->pieces; p++) {
            const size_t bytes = (size_t)(one.lanes * size);
            memcpy(before, carry, bytes);
            one.x = total_of(j, first + p, 0);
            one.c = total_of(j, first + p, 1);
            if (p + 1 < a->pieces) /* the last one's was not made */
                scan(&one);
            memcpy(total_of(j, first + p, 0), before, bytes);
        }
    }
}

static void scan_units_of(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const int64_t count = scan_units(j->a).count;
    (void)threads;
    for (int64_t unit; (unit = cpu_pool_next(j->pool, thread, count)) >= 0;) {
        double carry[LINES_ABREAST]; /* of any dtype */
        cpu_lines l;
        scan_lines(j, unit, &l);
        l.begins = j->a->pieces == 1;
        l.carry = l.begins ? (void *)carry : total_of(j, unit, 0);
        j->vectors->scan[j->a->op][j->step->dtype](&l);
    }
}

/* ---------------------------------------------------------------- sorts */

static void sort_lines(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const plan_array *a = j->a;
    const int64_t size = (int64_t)clg_dtype_size(j->step->dtype);
    (void)threads;
    for (int64_t line; (line = cpu_pool_next(j->pool, thread, a->outer)) >= 0;)
        cpu_sort_line(j->step->dtype, j->operand[0] + line * a->length * size, a->length, a->reverse,
                      (int32_t *)j->result + line * a->results, a->results, j->scratch[thread]);
}

/* ---------------------------------------------------------------- matrices */

static void each_matrix(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const plan_array *a = j->a;
    const int64_t size = (int64_t)clg_dtype_size(j->step->dtype), square = a->length * a->length * size;
    const int64_t side = a->length * a->inner * size, result = a->op == OP_DETERMINANT ? size : side;
    (void)threads;
    for (int64_t i; (i = cpu_pool_next(j->pool, thread, a->outer)) >= 0;)
        cpu_matrix(j->step->dtype, a, j->operand[0] + i * square, j->operand[1] ? j->operand[1] + i * side : NULL,
                   j->result + i * result, j->scratch[thread]);
}

/* ---------------------------------------------------------------- rows brought together by index
 *
 * Threads share the columns, or the rows when there are few columns; every element is combined in the order of the
 * updates. */

/* The rows as they are without updates: neighbours, whoever works on them later. */
static void begin_scatter(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const int64_t size = (int64_t)clg_dtype_size(j->step->dtype);
    int64_t first, last;
    cpu_share(j->a->results * j->a->inner, 64 / size, thread, threads, &first, &last);
    j->vectors->scatter_begin[j->a->op][j->step->dtype](j->result + first * size, last - first);
}

static void scatter_part(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const plan_array *a = j->a;
    cpu_area part = {0, a->results, 0, a->inner};
    int64_t line = 64 / (int64_t)clg_dtype_size(j->step->dtype); /* elements: threads do not share cache lines */
    if (a->inner >= line * threads)
        cpu_share(a->inner, line, thread, threads, &part.column_first, &part.column_last);
    else
        cpu_share(a->results, 1, thread, threads, &part.row_first, &part.row_last);
    j->vectors->scatter[a->op][j->step->dtype](a, (const void *)j->operand[0], j->operand[1], j->result, part);
}

/* ---------------------------------------------------------------- steps */

int64_t cpu_array_scratch(const plan_step *step)
{
    const plan_array *a = &step->array;
    const op_kind kind = clg_ops[a->op].kind;
    if (kind == KIND_SORT)
        return cpu_sort_scratch(step->dtype, a->length, a->results);
    if (kind == KIND_MATRIX)
        return cpu_matrix_scratch(step->dtype, a);
    if (kind == KIND_SCAN && a->pieces > 1)
        return scan_units(a).count * 2 * LINES_ABREAST * (int64_t)clg_dtype_size(step->dtype);
    return 0;
}

void cpu_run_array(const plan_step *step, char *const *address, char *const *scratch, cpu_pool *pool,
                   const cpu_vectors *vectors)
{
    const plan_array *a = &step->array;
    const job j = {step,
                   a,
                   {address[a->operand[0]], a->operand[1] < 0 ? NULL : address[a->operand[1]]},
                   address[a->result],
                   scratch,
                   scratch[0],
                   pool,
                   vectors};
    const op_kind kind = clg_ops[a->op].kind;
    const int64_t work = a->outer * (a->length + a->results) * a->inner;
    const int threads = work < CPU_PARALLEL_WORK ? 1 : cpu_pool_threads(pool);
    if (a->outer * a->results * a->inner == 0)
        return;
    if (kind == KIND_SCATTER) {
        cpu_pool_run(pool, threads, begin_scatter, &j);
        cpu_pool_run(pool, threads, scatter_part, &j);
    } else if (kind == KIND_MATRIX) {
        cpu_pool_run(pool, work * a->length < CPU_PARALLEL_WORK ? 1 : cpu_pool_threads(pool), each_matrix, &j);
    } else if (kind == KIND_SORT) {
        cpu_pool_run(pool, threads, sort_lines, &j);
    } else {
        if (a->pieces > 1) {
            cpu_pool_run(pool, threads, total_pieces, &j);
            join_pieces(&j);
        }
        cpu_pool_run(pool, threads, scan_units_of, &j);
    }
}
