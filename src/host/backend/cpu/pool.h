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
#endif
