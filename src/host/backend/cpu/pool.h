/* A team of threads for the CPU path's steps. */
#ifndef CLG_CPU_POOL_H
#define CLG_CPU_POOL_H

#include <clgrad/clgrad.h>

typedef struct cpu_pool cpu_pool;

/* How many threads to use: CLGRAD_THREADS, else OMP_NUM_THREADS, else the processors this process may run on. */
int cpu_pool_default_threads(void);
/* A pool of threads - 1 threads beside the caller's. */
clg_status cpu_pool_new(int threads, cpu_pool **pool);
void cpu_pool_free(cpu_pool *pool);
int cpu_pool_threads(const cpu_pool *pool);
/* Calls work(argument, i, threads) for i = 0..threads-1, each on its own thread (0 on the caller's), and returns when
 * all have returned. threads is at most the pool's. One caller at a time. */
void cpu_pool_run(cpu_pool *pool, int threads, void (*work)(const void *, int, int), const void *argument);
/* Called by work: the next part, of 0..count-1, for this thread; -1: none is left. Parts are drawn when a thread needs
 * them, since cores are shared with other work: equal parts would wait for the slowest. A thread draws those of its own
 * range first, which are neighbours. All threads of a run give the same count. */
int64_t cpu_pool_next(cpu_pool *pool, int thread, int64_t count);
#endif
