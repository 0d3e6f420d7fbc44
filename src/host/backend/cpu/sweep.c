/* INNER sections that only add up (or take the largest of) what they load, or products of two loads, over few inner
 * positions: depthwise convolution, pooling. Lanes run over outer positions, and each result stays in a register from
 * the first inner position to the last: no slots, no bounds looked at where all terms exist. A term that is outside
 * its bounds changes nothing: 0 in a sum, -inf among what the largest is taken of; elsewhere the section stays a tape.
 *
 * A row is the lanes of the last outer dimension. A bound depends on the lane alone (then terms have a range of lanes,
 * the same in all rows) or on the row alone (then a row has the term or not). */
#include "sweep.h"

#include <stdlib.h>

enum { MOST_TERMS = CPU_FLUSH }; /* as many as a tape adds up before it rounds */

typedef struct row_bound { /* one of a row, with its part that depends on the term */
    const plan_bound *bound;
    int64_t least, most; /* of the parts */
} row_bound;

struct cpu_sweep {
    const plan_step *step;
    int32_t slot; /* of the result */
    cpu_sweep_fn run;
    int32_t buffer[2];
    int32_t size;
    const plan_access *access[2]; /* the second NULL: there is one load */
    int64_t elements[2];          /* of the buffers */
    int64_t lane_stride[2];
    int count, bound_count;
    int64_t *at[2], *begin, *end;   /* of the terms: element offsets, lanes */
    int64_t least[2], most[2];      /* of the offsets of all terms and lanes */
    int64_t whole_begin, whole_end; /* lanes that all terms have */
    bool is_vector;                 /* the lanes' strides are what the loop is for */
    row_bound *bounds;
    int64_t *parts; /* bound_count x count */
    int64_t *memory;
};

/* ---------------------------------------------------------------- terms */

int64_t cpu_inner_part(const plan_step *step, const int64_t *coef, int64_t q)
{
    int64_t sum = 0;
    for (int d = step->outer_rank + step->inner_rank; d-- > step->outer_rank;) {
        sum += q % step->extent[d] * coef[d];
        q /= step->extent[d];
    }
    return sum;
}

/* The part of a form that depends on a row: on the outer dimensions but the last. */
static int64_t row_part(const plan_step *step, const int64_t *coef, const int64_t *coord)
{
    int64_t sum = 0;
    for (int d = 0; d + 1 < step->outer_rank; d++)
        sum += coord[d] * coef[d];
    return sum;
}

static bool depends_on_row(const plan_step *step, const int64_t *coef)
{
    for (int d = 0; d + 1 < step->outer_rank; d++)
        if (coef[d] && step->extent[d] > 1)
            return true;
    return false;
}

/* Sorts the bounds of an access into those of lanes, which narrow the terms, and those of rows. false: neither. */
static bool sort_bounds(cpu_sweep *s)
{
    const plan_step *step = s->step;
    const int last = step->outer_rank - 1;
    for (int32_t i = 0; i < s->access[0]->bound_count; i++) {
        const plan_bound *bound = &step->bounds[s->access[0]->first_bound + i];
        const bool row = depends_on_row(step, bound->coef);
        if (row && bound->coef[last] && step->extent[last] > 1)
            return false;
        if (!row) {
            for (int q = 0; q < s->count; q++) {
                int64_t part = cpu_inner_part(step, bound->coef, q);
                cpu_narrow_run(bound->lo - part, bound->hi - part, bound->coef[last], &s->begin[q], &s->end[q]);
            }
            continue;
        }
        row_bound *of_row = &s->bounds[s->bound_count];
        int64_t *parts = s->parts + (ptrdiff_t)s->bound_count++ * s->count;
        *of_row = (row_bound){bound, INT64_MAX, INT64_MIN};
        for (int q = 0; q < s->count; q++) {
            parts[q] = cpu_inner_part(step, bound->coef, q);
            of_row->least = smaller(of_row->least, parts[q]);
            of_row->most = larger(of_row->most, parts[q]);
        }
    }
    return true;
}

static void place_terms(cpu_sweep *s)
{
    const plan_step *step = s->step;
    const int64_t lanes = step->extent[step->outer_rank - 1] - 1;
    for (int k = 0; k < 2 && s->access[k]; k++) {
        s->least[k] = INT64_MAX;
        s->most[k] = INT64_MIN;
        s->lane_stride[k] = lanes > 0 ? s->access[k]->stride[step->outer_rank - 1] : 0;
        for (int q = 0; q < s->count; q++) {
            s->at[k][q] = cpu_inner_part(step, s->access[k]->stride, q);
            s->least[k] = smaller(s->least[k], s->at[k][q]);
            s->most[k] = larger(s->most[k], s->at[k][q]);
        }
        s->least[k] += smaller(0, lanes * s->lane_stride[k]);
        s->most[k] += larger(0, lanes * s->lane_stride[k]);
    }
}

/* Which of two factors is the one whose lanes may be anything: the other is one value or neighbours. */
static void order_factors(const plan_step *step, plan_reduction *found)
{
    const int last = step->outer_rank - 1;
    if (!found->load[1] || step->accesses[found->load[1]->access].stride[last] == 0)
        return;
    const int64_t first = step->accesses[found->load[0]->access].stride[last];
    if (first == 0 || (first == 1 && step->accesses[found->load[1]->access].stride[last] != 1)) {
        const plan_instr *other = found->load[0];
        found->load[0] = found->load[1];
        found->load[1] = other;
    }
}

/* The loop for what the lanes' strides are. */
static cpu_sweep_fn choose(const cpu_sweep *s, const cpu_vectors *vectors, const plan_reduction *found)
{
    int form = !found->load[1] ? SWEEP_PLAIN : s->lane_stride[1] == 0 ? SWEEP_BY_ONE : SWEEP_BY_LANES;
    const cpu_sweeps *table = &vectors->sweep[found->reduce->dtype == CLG_F64];
    return found->reduce->op == OP_MAX ? table->max[s->lane_stride[0] == 2] : table->sum[form][s->lane_stride[0] == 2];
}

/* The lanes that all terms have. */
static void common_lanes(const int64_t *begin, const int64_t *end, int count, int64_t *first, int64_t *behind)
{
    *first = 0;
    *behind = INT64_MAX;
    for (int q = 0; q < count; q++) {
        *first = larger(*first, begin[q]);
        *behind = smaller(*behind, end[q]);
    }
}

static bool take_memory(cpu_sweep *s, int32_t bounds)
{
    const size_t count = (size_t)s->count;
    s->memory = malloc((4 + (size_t)bounds) * count * sizeof *s->memory);
    s->bounds = malloc(((size_t)bounds + 1) * sizeof *s->bounds);
    if (!s->memory || !s->bounds)
        return false;
    s->at[0] = s->memory;
    s->at[1] = s->memory + count;
    s->begin = s->memory + 2 * count;
    s->end = s->memory + 3 * count;
    s->parts = s->memory + 4 * count;
    return true;
}

void cpu_sweep_free(cpu_sweep *s)
{
    if (!s)
        return;
    free(s->memory);
    free(s->bounds);
    free(s);
}

clg_status cpu_sweep_new(const plan *p, const cpu_tape *tape, const plan_section *section, const cpu_vectors *vectors,
                         const int32_t *slot, cpu_sweep **result)
{
    const plan_step *step = tape->step;
    plan_reduction found;
    *result = NULL;
    if (tape->lanes_inner || step->splits > 1 || step->outer_rank == 0 || step->inner_count == 0 ||
        step->inner_count > MOST_TERMS || !plan_reduction_find(step, section, &found))
        return CLG_OK;
    if (step->accesses[found.load[0]->access].bound_count > PLAN_MAX_DIMS)
        return CLG_OK;
    order_factors(step, &found);
    cpu_sweep *s = malloc(sizeof *s);
    if (!s)
        return clg_fail_memory();
    *s = (cpu_sweep){.step = step, .slot = slot[found.result], .count = (int)step->inner_count};
    s->size = found.reduce->dtype == CLG_F64 ? 8 : 4;
    for (int k = 0; k < 2 && found.load[k]; k++) {
        s->buffer[k] = found.load[k]->buffer;
        s->access[k] = &step->accesses[found.load[k]->access];
        s->elements[k] = p->buffers[s->buffer[k]].count;
    }
    if (!take_memory(s, s->access[0]->bound_count)) {
        cpu_sweep_free(s);
        return clg_fail_memory();
    }
    for (int q = 0; q < s->count; q++) {
        s->begin[q] = 0;
        s->end[q] = step->extent[step->outer_rank - 1];
    }
    if (!sort_bounds(s)) {
        cpu_sweep_free(s);
        return CLG_OK;
    }
    place_terms(s);
    common_lanes(s->begin, s->end, s->count, &s->whole_begin, &s->whole_end);
    s->is_vector =
        (s->lane_stride[0] == 1 || s->lane_stride[0] == 2) && s->lane_stride[1] >= 0 && s->lane_stride[1] <= 1;
    s->run = choose(s, vectors, &found);
    *result = s;
    return CLG_OK;
}

/* ---------------------------------------------------------------- a block */

/* The terms that a row has: all of them, or a list of those whose bounds hold. */
typedef struct terms {
    int64_t at[2][MOST_TERMS], begin[MOST_TERMS], end[MOST_TERMS];
} terms;

/* Whether the row has every term. */
static bool has_all(const cpu_sweep *s, const int64_t *part)
{
    for (int i = 0; i < s->bound_count; i++)
        if (part[i] + s->bounds[i].least < s->bounds[i].bound->lo ||
            part[i] + s->bounds[i].most >= s->bounds[i].bound->hi)
            return false;
    return true;
}

static int select_terms(const cpu_sweep *s, const int64_t *part, terms *list)
{
    int count = 0;
    for (int q = 0; q < s->count; q++) {
        bool has = true;
        for (int i = 0; i < s->bound_count; i++) {
            int64_t at = part[i] + s->parts[(ptrdiff_t)i * s->count + q];
            has &= at >= s->bounds[i].bound->lo && at < s->bounds[i].bound->hi;
        }
        if (!has)
            continue;
        list->at[0][count] = s->at[0][q];
        list->at[1][count] = s->at[1][q];
        list->begin[count] = s->begin[q];
        list->end[count++] = s->end[q];
    }
    return count;
}

/* A row, and what of it depends on its outer position. */
typedef struct cursor {
    int64_t coord[PLAN_MAX_DIMS], base[2], part[PLAN_MAX_DIMS];
} cursor;

static void seek(const cpu_sweep *s, cursor *at)
{
    for (int k = 0; k < 2 && s->access[k]; k++)
        at->base[k] = s->access[k]->offset + row_part(s->step, s->access[k]->stride, at->coord);
    for (int i = 0; i < s->bound_count; i++)
        at->part[i] = row_part(s->step, s->bounds[i].bound->coef, at->coord);
}

/* The rows from here on, of so many, that are alike: whole ones along the last outer dimension but the lanes', which
 * have all terms. */
static int64_t rows_alike(const cpu_sweep *s, const cursor *at, int64_t most)
{
    const int d = s->step->outer_rank - 2;
    if (d < 0 || at->coord[d + 1] != 0 || most <= 1)
        return 1;
    int64_t begin = 0, end = smaller(most, s->step->extent[d] - at->coord[d]);
    for (int i = 0; i < s->bound_count; i++) {
        const plan_bound *bound = s->bounds[i].bound;
        cpu_narrow_run(bound->lo - at->part[i] - s->bounds[i].least, bound->hi - at->part[i] - s->bounds[i].most,
                       bound->coef[d], &begin, &end);
    }
    return begin == 0 ? larger(end, 1) : 1;
}

/* So many rows further along the last outer dimension but the lanes', or to the beginning of the next ones. */
static void advance(const cpu_sweep *s, cursor *at, int64_t rows)
{
    const int d = s->step->outer_rank - 2;
    at->coord[d + 1] = 0;
    if (d < 0)
        return;
    at->coord[d] += rows;
    if (at->coord[d] == s->step->extent[d]) {
        at->coord[d] = 0;
        for (int e = d - 1; e >= 0 && ++at->coord[e] == s->step->extent[e] && e > 0; e--)
            at->coord[e] = 0;
        seek(s, at);
        return;
    }
    for (int k = 0; k < 2 && s->access[k]; k++)
        at->base[k] += rows * s->access[k]->stride[d];
    for (int i = 0; i < s->bound_count; i++)
        at->part[i] += rows * s->bounds[i].bound->coef[d];
}

/* Whether vectors of all terms can be read for all lanes of the rows: none begins before its buffer or ends behind it.
 */
static bool is_readable(const cpu_sweep *s, const cursor *at, const cpu_row *row)
{
    for (int k = 0; k < 2 && s->access[k]; k++) {
        const int64_t moved = (row->rows - 1) * (k == 0 ? row->x_step : row->w_step);
        if (at->base[k] + smaller(moved, 0) + s->least[k] < 0 ||
            at->base[k] + larger(moved, 0) + s->most[k] >= s->elements[k])
            return false;
    }
    return s->is_vector;
}

/* Lanes row->lane ... row->lane + n - 1 of each row. The first row of a buffer, or the last one, may be alone. */
static void run_rows(const cpu_sweep *s, const cursor *at, cpu_row *row, terms *list)
{
    row->readable = is_readable(s, at, row);
    if (!row->readable && row->rows > 1) {
        const int64_t but_last = row->rows - 1;
        row->rows = 1;
        row->readable = is_readable(s, at, row);
        if (row->readable) {
            row->rows = but_last;
            row->rows = is_readable(s, at, row) ? but_last : 1;
        }
    }
    row->x_from = at->base[0];
    row->w_from = at->base[1];
    if (has_all(s, at->part)) {
        row->count = s->count;
        row->x_at = s->at[0], row->w_at = s->at[1], row->begin = s->begin, row->end = s->end;
        row->whole_begin = s->whole_begin, row->whole_end = s->whole_end;
    } else {
        row->count = select_terms(s, at->part, list);
        row->x_at = list->at[0], row->w_at = list->at[1], row->begin = list->begin, row->end = list->end;
        common_lanes(row->begin, row->end, row->count, &row->whole_begin, &row->whole_end);
    }
    s->run(row);
}

void cpu_sweep_run(cpu_runner *r, const cpu_sweep *s, int64_t n)
{
    const plan_step *step = s->step;
    const int last = step->outer_rank - 1;
    int64_t rest = r->lane;
    cursor at = {.coord = {0}};
    terms list;
    cpu_row row = {.d = r->slot[s->slot],
                   .x = r->address[s->buffer[0]],
                   .w = r->address[s->buffer[1]],
                   .x_stride = s->lane_stride[0],
                   .w_stride = s->lane_stride[1]};
    for (int d = last; d >= 0; d--) {
        at.coord[d] = rest % step->extent[d];
        rest /= step->extent[d];
    }
    for (int k = 0; k < 2 && s->access[k] && last > 0; k++)
        *(k == 0 ? &row.x_step : &row.w_step) = s->access[k]->stride[last - 1];
    seek(s, &at);
    while (n > 0) {
        row.lane = at.coord[last];
        row.n = smaller(step->extent[last] - row.lane, n);
        row.rows = rows_alike(s, &at, n / step->extent[last]);
        run_rows(s, &at, &row, &list);
        row.d = (char *)row.d + row.rows * row.n * s->size;
        n -= row.rows * row.n;
        advance(s, &at, row.rows);
    }
}
