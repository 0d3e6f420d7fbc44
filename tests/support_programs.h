/* Random programs: graphs of every kind of operation over arrays of any shape, with the gradients of a scalar. */
#ifndef SUPPORT_PROGRAMS_H
#define SUPPORT_PROGRAMS_H

#include "support.h"

enum {
    PROGRAM_STEPS = 16, /* most */
    PROGRAM_VARS = 40,
    PROGRAM_LEAVES = 40,
    PROGRAM_OUTPUTS = 16,
    PROGRAM_ELEMENTS = 700 /* most of an array */
};

typedef struct random_program {
    clg_graph *g;
    clg_dtype real;    /* of all variables below */
    clg_random random; /* of the step that is being made */
    clg_var vars[PROGRAM_VARS];
    bool exact[PROGRAM_VARS]; /* elements of leaves, moved or compared but not computed: the same bits however they are
                                 computed, at most 1 in size */
    bool pure;                /* what the step has picked so far is exact */
    int count;
    clg_var leaves[PROGRAM_LEAVES];
    int leaf_count;
    clg_var outputs[PROGRAM_OUTPUTS + PROGRAM_LEAVES];
    int output_count;
    char log[PROGRAM_STEPS * 24]; /* names of the steps */
} random_program;

/* How many steps the program of a seed has; bit i of a mask is its step i. Each step draws from a stream of its own, so
 * that a program without some of them is a program as well: a failing one can be shrunk. */
int programs_steps(uint64_t seed);
clg_dtype programs_dtype(uint64_t seed, bool has_f64);
/* The same arguments make the same program. Its graph is the caller's; fails the test if the library refuses it. */
void programs_make(random_program *p, clg_device *device, clg_dtype real, uint64_t seed, uint32_t steps);

/* ---------------------------------------------------------------- for the steps (support_program_steps.c) */

uint32_t programs_below(random_program *p, uint32_t bound);
bool programs_chance(random_program *p, uint32_t one_in);
/* One of the variables; one of a shape, made from elements of one or a new leaf; a new leaf with values in [-1, 1]. */
clg_var programs_pick(random_program *p);
clg_var programs_operand(random_program *p, clg_shape shape);
clg_var programs_leaf(random_program *p, clg_shape shape);
/* For functions that jump, or whose derivatives do: x if it is exact, else moved off where two ways to compute it could
 * fall on different sides; in f32, where that is too likely, it is another array of the shape, which is exact. */
clg_var programs_apart(random_program *p, clg_var x);
/* i32 indices 0..bound-1, computed. */
clg_var programs_indices(random_program *p, clg_shape shape, int64_t bound);
/* One of the variables, reshaped to a rank. */
clg_var programs_ranked(random_program *p, int rank);
clg_var programs_scaled(clg_var x, double factor);
int64_t programs_axis(random_program *p, clg_var x); /* one of x's; its rank must not be 0 */

typedef struct program_step {
    const char *name;
    clg_var (*make)(random_program *p); /* CLG_NONE: what was picked is not for this one */
    bool moves;                         /* the result is exact if what was picked is */
} program_step;

extern const program_step program_steps[];
extern const int program_step_count;
/* The other files' steps. */
clg_var programs_move(random_program *p); /* a view */
clg_var programs_join(random_program *p); /* concat, stack */
clg_var programs_matmul(random_program *p);
clg_var programs_einsum(random_program *p);
clg_var programs_conv(random_program *p);
clg_var programs_conv_transpose(random_program *p);
clg_var programs_scan(random_program *p);
clg_var programs_sort(random_program *p); /* elements moved */
clg_var programs_take(random_program *p); /* the same */
clg_var programs_put(random_program *p);
clg_var programs_max_pool(random_program *p);
clg_var programs_avg_pool(random_program *p);
#endif
