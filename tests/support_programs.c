/* Random programs: how one is put together. */
#include "support_programs.h"

#include "support_program_source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 150 }; /* one program in so many has an array of some 100,000 elements */

uint32_t programs_below(random_program *p, uint32_t bound) { return clg_random_below(&p->random, bound); }
bool programs_chance(random_program *p, uint32_t one_in) { return programs_below(p, one_in) == 0; }
clg_var programs_scaled(clg_var x, double factor)
{
    return clg_mul(x, clg_full(x.graph, clg_dtype_of(x), CLG_SCALAR, factor));
}

int64_t programs_axis(random_program *p, clg_var x)
{
    return (int64_t)programs_below(p, (uint32_t)clg_shape_of(x).rank);
}

/* ---------------------------------------------------------------- what steps begin with */

/* Multiples of 2^-20, or of 2^-40: f32 has the first. */
static clg_var new_leaf(random_program *p, clg_shape shape, bool fine)
{
    int64_t count = clg_shape_count(shape);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (double)programs_below(p, 1u << 21) * 0x1p-20 - 1;
        values[i] += fine ? (double)programs_below(p, 1u << 20) * 0x1p-40 : 0;
    }
    clg_var x = source_leaf(support_leaf(p->g, p->real, shape, values), values);
    free(values);
    assert_true(p->leaf_count < PROGRAM_LEAVES);
    p->leaves[p->leaf_count++] = x;
    return x;
}

clg_var programs_leaf(random_program *p, clg_shape shape) { return new_leaf(p, shape, false); }

clg_var programs_pick(random_program *p)
{
    int recent = p->count < 4 ? p->count : 4;
    int i = programs_chance(p, 3) ? (int)programs_below(p, (uint32_t)p->count)
                                  : p->count - 1 - (int)programs_below(p, (uint32_t)recent);
    p->pure = p->pure && p->exact[i];
    return p->vars[i];
}

/* As many elements of x, over and over, as a shape has. */
static clg_var cut(clg_var x, clg_shape shape)
{
    int64_t have = clg_shape_count(clg_shape_of(x)), need = clg_shape_count(shape);
    clg_var row = clg_reshape(x, CLG_SHAPE(have));
    if (have * 4 < need)
        row = clg_tile(row, CLG_SHAPE((need + have - 1) / have));
    else if (have < need)
        row = clg_pad(row, CLG_SHAPE(0), CLG_SHAPE(need - have), CLG_PAD_WRAP, 0);
    return clg_reshape(clg_slice(row, 0, 0, need, 1), shape);
}

clg_var programs_operand(random_program *p, clg_shape shape)
{
    if (p->leaf_count < PROGRAM_LEAVES / 2 && programs_chance(p, 2))
        return programs_leaf(p, shape);
    return cut(programs_pick(p), shape);
}

static clg_var exact_operand(random_program *p, clg_shape shape)
{
    int i = (int)programs_below(p, (uint32_t)p->count);
    while (!p->exact[i]) /* variable 0 is a leaf */
        i--;
    return cut(p->vars[i], shape);
}

clg_var programs_apart(random_program *p, clg_var x)
{
    if (p->pure)
        return x;
    if (p->real != CLG_F64 || p->leaf_count >= PROGRAM_LEAVES - 8)
        return exact_operand(p, clg_shape_of(x));
    return clg_add(x, new_leaf(p, clg_shape_of(x), true));
}

clg_var programs_indices(random_program *p, clg_shape shape, int64_t bound)
{
    clg_var x = clg_abs(exact_operand(p, shape));
    return clg_cast(programs_scaled(x, 0.999 * (double)bound), CLG_I32);
}

/* A random factor of n, seldom a large one. */
static int64_t factor(random_program *p, int64_t n)
{
    int64_t f = 1 + programs_below(p, 9);
    while (n % f)
        f--;
    return f;
}

clg_var programs_ranked(random_program *p, int rank)
{
    clg_var x = programs_pick(p);
    int64_t rest = clg_shape_count(clg_shape_of(x));
    clg_shape shape = {.rank = rank};
    for (int d = 0; d < rank; d++) {
        shape.dim[d] = d == rank - 1 ? rest : factor(p, rest);
        rest /= shape.dim[d];
    }
    int d = rank ? (int)programs_below(p, (uint32_t)rank) : 0; /* the rest anywhere */
    int64_t last = rank ? shape.dim[rank - 1] : 1;
    if (rank) {
        shape.dim[rank - 1] = shape.dim[d];
        shape.dim[d] = last;
    }
    return rank == 0 && clg_shape_count(clg_shape_of(x)) != 1 ? clg_mean(x, CLG_ALL_AXES, false)
                                                              : clg_reshape(x, shape);
}

/* ---------------------------------------------------------------- the program */

static clg_random stream(uint64_t seed, uint64_t number) { return clg_random_new(seed, 1000 + number); }

int programs_steps(uint64_t seed)
{
    clg_random random = stream(seed, 200);
    return 1 + (int)clg_random_below(&random, PROGRAM_STEPS);
}

clg_dtype programs_dtype(uint64_t seed, bool has_f64)
{
    clg_random random = stream(seed, 201);
    return has_f64 && clg_random_below(&random, 3) ? CLG_F64 : CLG_F32;
}

static void begin(random_program *p)
{
    for (int i = 0; i < 3; i++) {
        clg_shape shape = {.rank = (int)programs_below(p, 5)};
        bool row = shape.rank == 1 && programs_chance(p, 2);
        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = 1 + programs_below(p, row ? PROGRAM_ELEMENTS : shape.rank > 3 ? 4 : 7);
        if (i == 1 && programs_chance(p, LARGE)) /* whose sums are split where few rows are many units' work */
            shape = programs_chance(p, 2) ? CLG_SHAPE(3, 1 << 17) : CLG_SHAPE(1 << 15, 9);
        p->vars[p->count] = programs_leaf(p, shape);
        p->exact[p->count++] = true;
    }
}

static void add_step(random_program *p)
{
    for (int tries = 0; tries < 8; tries++) {
        const program_step *step = &program_steps[programs_below(p, (uint32_t)program_step_count)];
        p->pure = true;
        clg_var x = step->make(p);
        if (clg_graph_error(p->g))
            return;
        if (!clg_is_valid(x))
            continue;
        p->vars[p->count] = x;
        p->exact[p->count++] = step->moves && p->pure;
        size_t used = strlen(p->log);
        snprintf(p->log + used, sizeof p->log - used, " %s", step->name);
        return;
    }
}

/* The last variables, a scalar of them, and its gradient with respect to every leaf; at times that of the gradient. */
static void end(random_program *p)
{
    int kept = p->count < 4 ? p->count : 4;
    clg_var loss = clg_full(p->g, p->real, CLG_SCALAR, 0);
    for (int i = 0; i < kept; i++) {
        clg_var x = p->vars[p->count - 1 - (i ? (int)programs_below(p, (uint32_t)p->count) : 0)];
        clg_var weights = programs_leaf(p, clg_shape_of(x));
        p->outputs[p->output_count++] = x;
        loss = clg_add(loss, clg_mean(clg_mul(x, weights), CLG_ALL_AXES, false));
    }
    p->outputs[p->output_count++] = loss;
    clg_var *gradients = p->outputs + p->output_count;
    clg_gradients(loss, p->leaves, p->leaf_count, gradients);
    p->output_count += p->leaf_count;
    if (p->count <= 8 && programs_chance(p, 3)) {
        clg_var again = clg_mean(clg_square(gradients[0]), CLG_ALL_AXES, false);
        clg_gradients(again, p->leaves, 2, p->outputs + p->output_count);
        p->output_count += 2;
    }
}

void programs_make(random_program *p, clg_device *device, clg_dtype real, uint64_t seed, uint32_t steps)
{
    *p = (random_program){.g = clg_graph_new(device), .real = real, .random = stream(seed, 100)};
    begin(p);
    for (int i = 0; i < PROGRAM_STEPS; i++) {
        p->random = stream(seed, (uint64_t)i);
        if (steps >> i & 1 && p->count < PROGRAM_VARS && !clg_graph_error(p->g))
            add_step(p);
    }
    p->random = stream(seed, 101);
    if (!clg_graph_error(p->g))
        end(p);
    source_end(p->outputs, p->output_count);
    if (clg_graph_error(p->g))
        fail_msg("seed %llu, steps %x:%s: %s", (unsigned long long)seed, steps, p->log, clg_graph_error(p->g));
}
