/* A team of threads that waits in two stages: it spins for a few microseconds, which is about the time between two
 * steps of a program, then sleeps. OpenMP's teams were measured first: on a machine whose cores are shared with other
 * work, libgomp's barriers spin through whole time slices, and a training step took 20 to 80 times as long; their
 * spinning can be bounded only by environment variables that are read before main. */
#define _GNU_SOURCE
#include "pool.h"

#include "../../core/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 400, MOST_THREADS = 256 };

/* Parts of a thread's range that are drawn; a cache line for each. */
typedef struct drawn {
    _Alignas(64) atomic_llong count;
} drawn;

struct cpu_pool {
    int threads; /* with the caller's */
    int started; /* threads that exist beside the caller's */
    pthread_t *ids;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    atomic_uint round; /* counts calls of cpu_pool_run; the workers wait for it to change */
    atomic_int left;   /* workers that have not finished this round */
    atomic_int sleepers;
    atomic_bool closing;
    int active; /* threads that work in this round, with the caller's */
    void (*work)(const void *, int, int);
    const void *argument;
    drawn *drawn; /* one a thread */
};

typedef struct worker {
    cpu_pool *pool;
    int index;
} worker;

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits until the round differs from the one seen; returns the new one. */
static unsigned await_round(cpu_pool *p, unsigned seen)
{
    unsigned round;
    for (int i = 0; i < SPINS; i++) {
        if ((round = atomic_load(&p->round)) != seen)
            return round;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while ((round = atomic_load(&p->round)) == seen)
        pthread_cond_wait(&p->begin, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return round;
}

static void *worker_main(void *argument)
{
    worker self = *(worker *)argument;
    cpu_pool *p = self.pool;
    unsigned seen = 0;
    free(argument);
    for (;;) {
        seen = await_round(p, seen);
        if (atomic_load(&p->closing))
            return NULL;
        if (self.index < p->active)
            p->work(p->argument, self.index, p->active);
        if (atomic_fetch_sub(&p->left, 1) == 1) { /* the last one: the caller may be asleep */
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->end);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

/* Starts a round for all workers. Sequentially consistent: a worker that goes to sleep either sees the new round or is
 * seen among the sleepers. */
static void begin_round(cpu_pool *p)
{
    atomic_store(&p->left, p->started);
    atomic_fetch_add(&p->round, 1);
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
}

void cpu_pool_run(cpu_pool *pool, int threads, void (*work)(const void *, int, int), const void *argument)
{
    cpu_pool *p = pool;
    if (threads > p->started + 1)
        threads = p->started + 1;
    if (threads < 1)
        threads = 1;
    p->active = threads;
    for (int i = 0; i < threads; i++)
        atomic_store_explicit(&p->drawn[i].count, 0, memory_order_relaxed);
    if (threads == 1) {
        work(argument, 0, 1);
        return;
    }
    p->work = work;
    p->argument = argument;
    begin_round(p);
    work(argument, 0, threads);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&p->left) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->left) != 0)
        pthread_cond_wait(&p->end, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

int64_t cpu_pool_next(cpu_pool *pool, int thread, int64_t count)
{
    for (int i = 0; i < pool->active; i++) {
        int owner = (thread + i) % pool->active;
        int64_t first = count * owner / pool->active, own = count * (owner + 1) / pool->active - first;
        atomic_llong *taken = &pool->drawn[owner].count;
        if (atomic_load_explicit(taken, memory_order_relaxed) >= own)
            continue;
        int64_t number = atomic_fetch_add_explicit(taken, 1, memory_order_relaxed);
        if (number < own)
            return first + number;
    }
    return -1;
}

/* ---------------------------------------------------------------- life */

int cpu_pool_threads(const cpu_pool *pool) { return pool->threads; }

int cpu_pool_default_threads(void)
{
    static const char *const names[] = {"CLGRAD_THREADS", "OMP_NUM_THREADS"};
    for (int i = 0; i < 2; i++) {
        const char *text = getenv(names[i]);
        int count = text ? atoi(text) : 0;
        if (count > 0)
            return count < MOST_THREADS ? count : MOST_THREADS;
    }
    long count = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        count = CPU_COUNT(&allowed);
#endif
    return count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : (int)count;
}

static bool start_worker(cpu_pool *p, int index)
{
    worker *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = (worker){p, index};
    if (pthread_create(&p->ids[p->started], NULL, worker_main, w) != 0) {
        free(w);
        return false;
    }
    p->started++;
    return true;
}

clg_status cpu_pool_new(int threads, cpu_pool **pool)
{
    cpu_pool *p = calloc(1, sizeof *p);
    if (!p)
        return clg_fail_memory();
    p->threads = threads;
    p->ids = calloc((size_t)threads, sizeof *p->ids);
    p->drawn = aligned_alloc(_Alignof(drawn), (size_t)threads * sizeof *p->drawn);
    if (!p->ids || !p->drawn) {
        free(p->ids);
        free(p->drawn);
        free(p);
        return clg_fail_memory();
    }
    for (int i = 0; i < threads; i++)
        atomic_init(&p->drawn[i].count, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->end, NULL);
    for (int i = 1; i < threads; i++)
        if (!start_worker(p, i)) {
            cpu_pool_free(p);
            return clg_fail(CLG_ERROR_MEMORY, "cannot start %d threads; set CLGRAD_THREADS lower", threads);
        }
    *pool = p;
    return CLG_OK;
}

void cpu_pool_free(cpu_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->closing, true);
    begin_round(pool);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->ids[i], NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ids);
    free(pool->drawn);
    free(pool);
}
