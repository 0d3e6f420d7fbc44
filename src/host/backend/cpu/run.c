/* Runs tapes: threads share the step's tasks (pieces of the inner range x blocks of lanes, or rows), each with its own
 * scratch. What a lane computes depends neither on the number of threads nor on how lanes are cut into blocks; rows
 * are combined from blocks in order. */
#include "cpu.h"

/* Blocks as long as the slots stay in the first-level cache, within bounds: long enough to hide the calls, short
 * enough for the second level when there are many slots. Maps that come from memory take the length for which there are
 * the fastest loops: the bursts of loads and stores that a block makes are short then, so that the processor's
 * prefetchers reach into the next block while this one is computed, and its stores drain meanwhile. */
void cpu_tape_measure(cpu_tape *t)
{
    enum { FIRST_LEVEL = 24 * 1024, SECOND_LEVEL = 64 * 1024 }; /* of a cache for slots */
    const plan_step *step = t->step;
    int64_t count[SLOT_KINDS] = {0}, positions[3] = {0, step->outer_count, step->outer_count * step->inner_count};
    for (int32_t i = 0; i < t->slot_count; i++)
        count[t->slot_kind[i]]++;
    int element = 1;
    for (int32_t i = 0; i < step->instr_count; i++)
        element = (int)larger(element, (int64_t)clg_dtype_size((clg_dtype)step->instrs[i].dtype));
    int64_t live = (count[SLOT_BLOCK] ? count[SLOT_BLOCK] : 1) * element + count[SLOT_WIDE] * 8;
    t->block = t->straight ? t->lanes : 2048;
    /* sums of columns that come from memory: short runs of long rows, each on a page of its own, are slow to get */
    const bool long_runs =
        step->kind == STEP_LOOP && step->inner_rank > 0 && !t->lanes_inner && t->touched > CPU_CACHED;
    const int64_t budget = long_runs ? SECOND_LEVEL : FIRST_LEVEL, least = t->lanes_inner ? CPU_PIECE : 128;
    while (!t->straight && t->block > least && t->block * live > budget)
        t->block /= 2;
    if (step->kind == STEP_LOOP && step->inner_rank == 0 && t->touched > CPU_CACHED && t->block > CPU_CHUNK)
        t->block = CPU_CHUNK;
    if (t->block > t->lanes)
        t->block = t->lanes > 16 ? round_up(t->lanes, 16) : t->lanes > 0 ? t->lanes : 1;
    /* 64 bytes more: slots that are a multiple of 4096 bytes apart get in each other's way */
    int64_t pad = t->block > 16 ? 64 : 0;
    t->slot_bytes[SLOT_SCALAR] = 8;
    t->slot_bytes[SLOT_BLOCK] = round_up(t->block * element, t->block > 1 ? 64 : 8) + pad;
    t->slot_bytes[SLOT_WIDE] = round_up(t->block * 8, t->block > 1 ? 64 : 8) + pad;
    t->scratch_bytes = round_up(t->slot_count * (int64_t)sizeof(void *), 64);
    for (int kind = SLOT_SCALAR; kind < SLOT_KINDS; kind++)
        t->scratch_bytes += round_up(count[kind] * t->slot_bytes[kind], 64);
    for (int32_t s = 0; s < t->phase_count; s++)
        t->work += t->phases[s].body.count * positions[t->phases[s].kind];
}

/* ---------------------------------------------------------------- a runner */

static void execute(cpu_runner *r, cpu_range range, int64_t n)
{
    const cpu_entry *e = r->tape->entries + range.first;
    for (int32_t i = 0; i < range.count; i++, e++) {
        e->run(r, e, n);
        if (r->ahead_count > 0)
            cpu_ahead_fetch(r);
    }
}

void cpu_runner_begin(cpu_runner *r, const cpu_tape *t, char *const *address, char *scratch)
{
    *r = (cpu_runner){.slot = (void **)scratch, .tape = t, .address = address};
    int64_t count[SLOT_KINDS] = {0};
    for (int32_t i = 0; i < t->slot_count; i++)
        count[t->slot_kind[i]]++;
    char *at[SLOT_KINDS];
    char *end = scratch + round_up(t->slot_count * (int64_t)sizeof(void *), 64);
    for (int kind = SLOT_SCALAR; kind < SLOT_KINDS; kind++) {
        at[kind] = end;
        end += round_up(count[kind] * t->slot_bytes[kind], 64);
    }
    at[SLOT_VIEW] = scratch; /* until a load sets it */
    for (int32_t i = 0; i < t->slot_count; i++) {
        r->slot[i] = at[t->slot_kind[i]];
        at[t->slot_kind[i]] += t->slot_bytes[t->slot_kind[i]];
    }
    r->fill = t->block < t->lanes ? t->block : t->lanes;
    for (int32_t i = 0; i < t->once_count; i++)
        t->once[i].run(r, &t->once[i], 1);
}

/* The loop's position number at, over dimensions first ... first + rank - 1 of the step. */
static void loop_seek(const plan_step *step, int64_t *coord, int first, int rank, int64_t at)
{
    const int64_t *extent = step->extent + first;
    for (int i = rank - 1; i >= 0; i--) {
        coord[i] = at % extent[i];
        at /= extent[i];
    }
}

static void loop_next(const plan_step *step, int64_t *coord, int first, int rank)
{
    const int64_t *extent = step->extent + first;
    for (int i = rank - 1; i >= 0; i--) {
        if (++coord[i] < extent[i])
            return;
        coord[i] = 0;
    }
}

/* An INNER section over positions begin ... end - 1, lanes over n outer positions: one inner position at a time. */
static void inner_positions(cpu_runner *r, const cpu_phase *phase, int64_t n, int64_t begin, int64_t end)
{
    enum { DISTANCE = 4 };
    const plan_step *step = r->tape->step;
    int first = step->outer_rank, rank = step->inner_rank;
    int64_t later[PLAN_MAX_DIMS];
    execute(r, phase->init, n);
    if (begin < end) { /* an empty range may have extents of 0 */
        loop_seek(step, r->coord, first, rank, begin);
        loop_seek(step, later, first, rank, begin + DISTANCE);
    }
    for (int64_t q = begin; q < end; q++) {
        if (r->tape->ahead_count > 0 && q + DISTANCE < end) {
            cpu_ahead_begin(r, later, r->lane, n, phase->body.count);
            loop_next(step, later, first, rank);
        }
        execute(r, phase->body, n);
        if ((q - begin) % CPU_FLUSH == CPU_FLUSH - 1)
            execute(r, phase->flush, n);
        loop_next(step, r->coord, first, rank);
    }
    execute(r, phase->flush, n);
    execute(r, phase->finish, n);
}

/* The same for one outer position, lanes over inner positions: a block at a time. */
static void inner_row(cpu_runner *r, const cpu_phase *phase, int64_t begin, int64_t end)
{
    execute(r, phase->init, 1);
    for (int64_t q = begin; q < end; q += r->tape->block) {
        r->lane = q;
        execute(r, phase->body, end - q < r->tape->block ? end - q : r->tape->block);
    }
    execute(r, phase->finish, 1);
}

/* All sections over n outer positions (1 if lanes are inner) and the inner positions begin ... end - 1. */
static void run_sections(cpu_runner *r, int64_t n, int64_t begin, int64_t end)
{
    const cpu_tape *t = r->tape;
    for (int32_t s = 0; s < t->phase_count; s++) {
        const cpu_phase *phase = &t->phases[s];
        if (phase->kind != SECTION_INNER)
            execute(r, phase->body, n);
        else if (phase->dot)
            cpu_dot_run(r, phase->dot);
        else if (phase->sweep)
            cpu_sweep_run(r, phase->sweep, n);
        else if (t->lanes_inner)
            inner_row(r, phase, begin, end);
        else
            inner_positions(r, phase, n, begin, end);
    }
}

void cpu_runner_block(cpu_runner *r, int64_t lane, int64_t n)
{
    r->lane = lane;
    for (int32_t s = 0; s < r->tape->phase_count; s++)
        execute(r, r->tape->phases[s].body, n);
}

/* ---------------------------------------------------------------- a step */

void cpu_share(int64_t total, int64_t grain, int i, int count, int64_t *first, int64_t *last)
{
    int64_t grains = (total + grain - 1) / grain;
    *first = grains * i / count * grain;
    *last = grains * (i + 1) / count * grain;
    *first = *first < total ? *first : total;
    *last = *last < total ? *last : total;
}

#define SHARES_EACH 16 /* for a thread */

typedef struct job {
    const cpu_tape *tape;
    char *const *address;
    char *const *scratch;
    int64_t block;     /* lanes of a task; 1 if lanes are inner: a task is a row */
    int64_t per_piece; /* tasks of a piece */
    int32_t entries;   /* of all sections */
    cpu_pool *pool;
    int64_t shares; /* of the tasks, which threads draw */
} job;

/* The row is going to be followed by the one at position next: begins to fetch for that. */
static void row_ahead(const job *j, cpu_runner *r, int64_t next)
{
    const plan_step *step = j->tape->step;
    int64_t coord[PLAN_MAX_DIMS];
    loop_seek(step, coord, 0, step->outer_rank, next);
    cpu_ahead_begin(r, coord, 0, j->tape->lanes, j->entries);
}

/* Tasks first to last - 1. */
static void run_share(const job *j, cpu_runner *r, int64_t first, int64_t last)
{
    const plan_step *step = j->tape->step;
    int64_t splits = step->splits > 1 ? step->splits : 1;
    int64_t piece = first / j->per_piece, at = first % j->per_piece * j->block;
    for (int64_t task = first; task < last; task++, at += j->block) {
        if (at >= j->per_piece * j->block)
            piece++, at = 0;
        int64_t begin = splits > 1 ? piece * step->inner_piece : 0;
        int64_t end = splits > 1 ? begin + step->inner_piece : step->inner_count;
        end = end < step->inner_count ? end : step->inner_count;
        begin = begin < end ? begin : end;
        r->store_shift = piece * step->outer_count;
        r->lane = at;
        int64_t left = step->outer_count - at;
        if (j->tape->lanes_inner) {
            if (j->tape->ahead_count > 0 && task + 1 < last)
                row_ahead(j, r, at + 1);
            loop_seek(step, r->coord, 0, step->outer_rank, at);
        }
        run_sections(r, left < j->block ? left : j->block, begin, end);
    }
}

static void work(const void *argument, int thread, int threads)
{
    const job *j = argument;
    const plan_step *step = j->tape->step;
    int64_t tasks = j->per_piece * (step->splits > 1 ? step->splits : 1);
    int64_t share = cpu_pool_next(j->pool, thread, j->shares);
    (void)threads;
    if (share < 0)
        return;
    cpu_runner r;
    cpu_runner_begin(&r, j->tape, j->address, j->scratch[thread]);
    for (; share >= 0; share = cpu_pool_next(j->pool, thread, j->shares)) {
        int64_t first, last;
        cpu_share(tasks, 1, (int)share, (int)j->shares, &first, &last);
        run_share(j, &r, first, last);
    }
#if defined(__SSE2__)
    if (j->tape->streams) /* before another thread hears that this one is done */
        __builtin_ia32_sfence();
#endif
}

void cpu_run_loop(const cpu_tape *t, char *const *address, char *const *scratch, cpu_pool *pool)
{
    int threads = cpu_pool_threads(pool);
    const plan_step *step = t->step;
    if (step->outer_count == 0)
        return;
    if (t->serial || t->work < CPU_PARALLEL_WORK)
        threads = 1;
    job j = {.tape = t, .address = address, .scratch = scratch, .block = t->lanes_inner ? 1 : t->block, .pool = pool};
    for (int32_t s = 0; s < t->phase_count; s++)
        j.entries += t->phases[s].body.count;
    int64_t splits = step->splits > 1 ? step->splits : 1;
    if (threads > 1 && !t->lanes_inner) { /* shorter blocks if there are too few for the threads */
        int64_t fair = round_up((step->outer_count * splits + threads - 1) / threads, 64);
        j.block = fair < j.block ? fair : j.block;
    }
    j.per_piece = (step->outer_count + j.block - 1) / j.block;
    int64_t tasks = j.per_piece * splits;
    if (tasks < threads)
        threads = (int)tasks;
    j.shares = threads > 1 ? SHARES_EACH * threads : 1;
    j.shares = tasks < j.shares ? tasks : j.shares;
    cpu_pool_run(pool, threads, work, &j);
}
