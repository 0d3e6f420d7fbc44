/* A step's dimensions and accesses: those of a group in the step's order, dimensions merged where everything walks
 * through them as through one. */
#include "lower.h"

#include <string.h>

/* The step's dimensions: the group's outer ones, then its inner ones. */
int lower_dimensions(const space *sp, int order[PLAN_MAX_DIMS])
{
    int count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int d = 0; d < sp->rank; d++)
            if ((int)(sp->inner >> d & 1) == pass)
                order[count++] = d;
    return count;
}

int32_t lower_add_access(lowering *l, plan_access access)
{
    if (!ARRAY_ROOM(l->step->accesses, l->step->access_count, l->access_capacity)) {
        l->status = CLG_ERROR_MEMORY;
        return -1;
    }
    l->step->accesses[l->step->access_count] = access;
    return l->step->access_count++;
}

/* A form of a space's dimensions as one of the step's, by order. */
static void reorder(const int64_t *coef, const int *order, int count, int64_t *out)
{
    for (int i = 0; i < count; i++)
        out[i] = coef[order[i]];
}

/* The step's access for one over a space. */
int32_t lower_access_over(lowering *l, const space *sp, const node_access *from)
{
    plan_step *step = l->step;
    int order[PLAN_MAX_DIMS], count = lower_dimensions(sp, order);
    affine address = access_address(from);
    plan_access to = {.offset = address.offset, .first_bound = step->bound_count, .bound_count = from->bound_count};
    reorder(address.coef, order, count, to.stride);
    for (int i = 0; i < from->bound_count; i++) {
        if (!ARRAY_ROOM(step->bounds, step->bound_count, l->bound_capacity)) {
            l->status = CLG_ERROR_MEMORY;
            return -1;
        }
        plan_bound *bound = &step->bounds[step->bound_count++];
        *bound = (plan_bound){.lo = from->bound[i].lo, .hi = from->bound[i].hi};
        reorder(from->bound[i].coef, order, count, bound->coef);
    }
    return lower_add_access(l, to);
}

/* The step's access for an interned one of the group. */
int32_t lower_access(lowering *l, int32_t interned)
{
    int32_t before = l->access_of_capacity;
    if (!array_reserve(&l->access_of, (int64_t)interned + 1, &l->access_of_capacity, sizeof *l->access_of)) {
        l->status = CLG_ERROR_MEMORY;
        return -1;
    }
    memset(l->access_of + before, 0, (size_t)(l->access_of_capacity - before) * sizeof *l->access_of);
    if (!l->access_of[interned])
        l->access_of[interned] = lower_access_over(l, &l->g->sp, &l->f->accesses.items[interned]) + 1;
    return l->access_of[interned] - 1;
}

void lower_operand_axes(const space *sp, const node_access *from, plan_operand *to)
{
    int order[PLAN_MAX_DIMS], count = lower_dimensions(sp, order);
    int64_t stride = 1;
    for (int k = from->rank; k-- > 0; stride *= from->extent[k]) {
        to->axis[k] = (plan_axis){.offset = from->axis[k].offset, .stride = stride, .hi = from->extent[k]};
        reorder(from->axis[k].coef, order, count, to->axis[k].coef);
    }
    for (int i = 0; i < from->bound_count; i++) {
        int k = 0;
        while (k < from->rank && memcmp(from->axis[k].coef, from->bound[i].coef, sizeof from->bound[i].coef) != 0)
            k++;
        if (k == from->rank)
            return;
        to->axis[k].lo = larger(to->axis[k].lo, from->bound[i].lo + to->axis[k].offset);
        to->axis[k].hi = smaller(to->axis[k].hi, from->bound[i].hi + to->axis[k].offset);
    }
    bool windows = from->bound_count > 0;
    for (int k = 0; k < from->rank; k++) {
        int terms = 0;
        for (int d = 0; d < count; d++)
            terms += to->axis[k].coef[d] != 0;
        windows |= terms > 1;
    }
    to->axis_count = windows ? from->rank : 0;
}

/* ---------------------------------------------------------------- merging dimensions */

static bool walked_as_one(const plan_step *step, const int64_t *stride, int d)
{
    return stride[d] == stride[d + 1] * step->extent[d + 1];
}

static bool mergeable(const plan_step *step, int d)
{
    for (int32_t i = 0; i < step->access_count; i++)
        if (!walked_as_one(step, step->accesses[i].stride, d))
            return false;
    for (int32_t i = 0; i < step->bound_count; i++)
        if (!walked_as_one(step, step->bounds[i].coef, d))
            return false;
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < step->operand[o].axis_count; k++)
            if (!walked_as_one(step, step->operand[o].axis[k].coef, d))
                return false;
    return true;
}

/* Dimension d goes; the others behind it move up. */
static void drop_dimension(int64_t *values, int rank, int d)
{
    for (int k = d; k + 1 < rank; k++)
        values[k] = values[k + 1];
    values[rank - 1] = 0;
}

/* Merges dimensions d and d + 1 where every access walks through both as through one. */
void lower_coalesce(plan_step *step)
{
    for (int d = 0; d + 1 < step->outer_rank + step->inner_rank;) {
        if (d == step->outer_rank - 1 || !mergeable(step, d)) {
            d++;
            continue;
        }
        int rank = step->outer_rank + step->inner_rank;
        step->extent[d + 1] *= step->extent[d];
        drop_dimension(step->extent, rank, d);
        for (int32_t i = 0; i < step->access_count; i++)
            drop_dimension(step->accesses[i].stride, rank, d);
        for (int32_t i = 0; i < step->bound_count; i++)
            drop_dimension(step->bounds[i].coef, rank, d);
        for (int o = 0; o < 2; o++)
            for (int k = 0; k < step->operand[o].axis_count; k++)
                drop_dimension(step->operand[o].axis[k].coef, rank, d);
        *(d < step->outer_rank ? &step->outer_rank : &step->inner_rank) -= 1;
        d = d > 0 ? d - 1 : 0;
    }
}
