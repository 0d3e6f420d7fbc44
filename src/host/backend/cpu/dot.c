/* INNER sections that only add up what they load, or products of two loads, over many inner positions that lie in
 * memory as short rows, or with bounds: the gradient of a depthwise convolution's weights. One result at a time, its
 * partial sums in registers from row to row.
 *
 * A row is the last inner dimension. A bound depends on the lane alone, at an outer position (then all rows have the
 * same lanes), or not on the lane (then the outer position has the row or not). */
#include "sweep.h"

#include <stdlib.h>

enum {
    ROWS_AT_ONCE = 128,  /* of a list of rows that exist */
    PARTIAL_LANES = 2048 /* that are added up in the dtype before they join the total */
};

typedef struct row_bound {
    const plan_bound *bound;
    int64_t *parts; /* by row; NULL: a bound of lanes */
} row_bound;

struct cpu_dot {
    const plan_step *step;
    int32_t slot; /* of the result */
    cpu_dot_fn run;
    bool wide; /* f64 */
    int32_t buffer[2];
    const plan_access *access[2]; /* the second NULL: there is one load */
    int64_t rows, lanes;
    int64_t *at[2]; /* of the rows: element offsets */
    row_bound *bounds;
    int bound_count;
    int64_t *memory;
};

/* The part of a form that depends on the outer position. */
static int64_t outer_part(const plan_step *step, const int64_t *coef, const int64_t *coord)
{
    int64_t sum = 0;
    for (int d = 0; d < step->outer_rank; d++)
        sum += coord[d] * coef[d];
    return sum;
}

/* Whether rows are short, or have bounds: what is one long row is a view for the tape. */
static bool is_worth_it(const plan_step *step, const plan_reduction *found)
{
    const int last = step->outer_rank + step->inner_rank - 1;
    if (found->reduce->op != OP_SUM || step->accesses[found->load[0]->access].stride[last] != 1)
        return false;
    if (found->load[1] && (uint64_t)step->accesses[found->load[1]->access].stride[last] > 1) /* neither 0 nor 1 */
        return false;
    return step->inner_rank > 1 || step->accesses[found->load[0]->access].bound_count > 0;
}

/* Bounds of lanes and bounds of rows; false if one is both. */
static bool sort_bounds(cpu_dot *s, int64_t *parts)
{
    const plan_step *step = s->step;
    const int last = step->outer_rank + step->inner_rank - 1;
    s->bound_count = s->access[0]->bound_count;
    for (int i = 0; i < s->bound_count; i++, parts += s->rows) {
        const plan_bound *bound = &step->bounds[s->access[0]->first_bound + i];
        bool of_rows = false, of_lanes = bound->coef[last] && s->lanes > 1;
        for (int d = step->outer_rank; d < last; d++)
            of_rows |= bound->coef[d] && step->extent[d] > 1;
        if (of_rows && of_lanes)
            return false;
        s->bounds[i] = (row_bound){bound, of_lanes ? NULL : parts};
        for (int64_t q = 0; q < s->rows; q++)
            parts[q] = cpu_inner_part(step, bound->coef, q * s->lanes);
    }
    return true;
}

void cpu_dot_free(cpu_dot *s)
{
    if (!s)
        return;
    free(s->memory);
    free(s->bounds);
    free(s);
}

clg_status cpu_dot_new(const cpu_tape *tape, const plan_section *section, const cpu_vectors *vectors,
                       const int32_t *slot, cpu_dot **result)
{
    enum { MOST_NUMBERS = 1 << 20 }; /* of a table of rows */
    const plan_step *step = tape->step;
    plan_reduction found;
    *result = NULL;
    if (!tape->lanes_inner || step->splits > 1 || step->inner_count == 0 || !plan_reduction_find(step, section, &found))
        return CLG_OK;
    if (found.load[1] && step->accesses[found.load[0]->access].stride[step->outer_rank + step->inner_rank - 1] == 0) {
        const plan_instr *other = found.load[0];
        found.load[0] = found.load[1];
        found.load[1] = other;
    }
    const int64_t lanes = step->extent[step->outer_rank + step->inner_rank - 1], rows = step->inner_count / lanes;
    const int bounds = step->accesses[found.load[0]->access].bound_count;
    if (!is_worth_it(step, &found) || bounds > PLAN_MAX_DIMS || rows > MOST_NUMBERS / (2 + bounds))
        return CLG_OK;
    cpu_dot *s = malloc(sizeof *s);
    if (!s)
        return clg_fail_memory();
    *s = (cpu_dot){.step = step, .slot = slot[found.result], .rows = rows, .lanes = lanes};
    s->wide = found.reduce->dtype == CLG_F64;
    s->memory = malloc((size_t)(rows * (2 + bounds)) * sizeof *s->memory);
    s->bounds = malloc(((size_t)bounds + 1) * sizeof *s->bounds);
    if (!s->memory || !s->bounds) {
        cpu_dot_free(s);
        return clg_fail_memory();
    }
    for (int k = 0; k < 2; k++) {
        const plan_instr *load = found.load[k] ? found.load[k] : found.load[0];
        s->buffer[k] = load->buffer;
        s->access[k] = &step->accesses[load->access];
        s->at[k] = s->memory + k * rows;
        for (int64_t q = 0; q < rows; q++)
            s->at[k][q] = cpu_inner_part(step, s->access[k]->stride, q * lanes);
    }
    if (!sort_bounds(s, s->memory + 2 * rows)) {
        cpu_dot_free(s);
        return CLG_OK;
    }
    const bool one = s->access[1]->stride[step->outer_rank + step->inner_rank - 1] == 0;
    s->run = vectors->sweep[s->wide].dot[!found.load[1] ? SWEEP_PLAIN : one ? SWEEP_BY_ONE : SWEEP_BY_LANES];
    *result = s;
    return CLG_OK;
}

/* Which of the rows from number first on the outer position has, as a list. */
static int select_rows(const cpu_dot *s, const int64_t *part, int64_t first, int64_t count, int64_t at[2][ROWS_AT_ONCE])
{
    int have = 0;
    for (int64_t q = first; q < first + count; q++) {
        bool has = true;
        for (int i = 0; i < s->bound_count; i++)
            if (s->bounds[i].parts) {
                int64_t value = part[i] + s->bounds[i].parts[q];
                has &= value >= s->bounds[i].bound->lo && value < s->bounds[i].bound->hi;
            }
        if (!has)
            continue;
        at[0][have] = s->at[0][q];
        at[1][have++] = s->at[1][q];
    }
    return have;
}

void cpu_dot_run(cpu_runner *r, const cpu_dot *s)
{
    const plan_step *step = s->step;
    int64_t part[PLAN_MAX_DIMS], list[2][ROWS_AT_ONCE];
    cpu_rows rows = {.end = s->lanes, .flush = larger(PARTIAL_LANES / s->lanes, 1)};
    double total = 0;
    rows.x = r->address[s->buffer[0]];
    rows.w = r->address[s->buffer[1]];
    rows.x_from = s->access[0]->offset + outer_part(step, s->access[0]->stride, r->coord);
    rows.w_from = s->access[1]->offset + outer_part(step, s->access[1]->stride, r->coord);
    for (int i = 0; i < s->bound_count; i++) {
        const plan_bound *bound = s->bounds[i].bound;
        part[i] = outer_part(step, bound->coef, r->coord);
        if (!s->bounds[i].parts)
            cpu_narrow_run(bound->lo - part[i], bound->hi - part[i],
                           bound->coef[step->outer_rank + step->inner_rank - 1], &rows.begin, &rows.end);
    }
    rows.x_at = list[0];
    rows.w_at = list[1];
    for (int64_t q = 0; q < s->rows && rows.begin < rows.end; q += ROWS_AT_ONCE) {
        rows.count = select_rows(s, part, q, smaller(s->rows - q, ROWS_AT_ONCE), list);
        total += s->run(&rows);
    }
    if (s->wide)
        *(double *)r->slot[s->slot] = total;
    else
        *(float *)r->slot[s->slot] = (float)total;
}
