/* Random numbers in programs: variables that are drawn anew in each run, the same where they are used several times in
 * it (so in forward and backward), and the same bits on every device, for any number of threads. (The host's generator,
 * clg_random, is in nn.h.) */
#ifndef CLGRAD_RANDOM_H
#define CLGRAD_RANDOM_H

#include <clgrad/clgrad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A generator. Its key, an i32 leaf (3), holds the seed and the number of runs that drew from it: written to a file and
 * read back it makes a program go on as if it had never stopped. A program that uses a draw adds 1 to that number when
 * it has run (clg_assign). A copy of this struct would draw the same numbers again. */
typedef struct clg_generator {
    clg_var key;
    int32_t draws; /* made so far: each has a number of its own, so that those of one shape differ, too */
} clg_generator;

CLG_API clg_generator clg_generator_new(clg_graph *graph, uint64_t seed);

/* dtype: f32 (24 random bits for each number) or f64 (53). */
CLG_API clg_var clg_draw_uniform(clg_generator *generator, clg_dtype dtype, clg_shape shape); /* in 0 <= u < 1 */
CLG_API clg_var clg_draw_normal(clg_generator *generator, clg_dtype dtype, clg_shape shape);  /* mean 0, variance 1 */
/* bool: 1 with a probability (of which 24 bits count), else 0. */
CLG_API clg_var clg_draw_bernoulli(clg_generator *generator, double probability, clg_shape shape);
/* i32, low <= i < high, each as likely as the others but for one part in 2^24 of the whole; high - low at most 2^24. */
CLG_API clg_var clg_draw_integers(clg_generator *generator, int32_t low, int32_t high, clg_shape shape);
/* x / (1 - probability), or 0 with a probability, 0 <= probability <= 1 (Srivastava et al. 2014). */
CLG_API clg_var clg_dropout(clg_generator *generator, clg_var x, double probability);

#ifdef __cplusplus
}
#endif
#endif
