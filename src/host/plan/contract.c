/* Contractions: what their operands read, and which of them are plain matrix products. */
#include "schedule.h"

#include <string.h>

space contract_space(const scheduler *f, int32_t node)
{
    const contraction *c = subgraph_contraction(f->s, node);
    space sp = {0};
    for (int d = 0; d < c->rank; d++) {
        if (c->extent[d] == 1)
            continue;
        sp.inner |= (uint32_t)(d >= c->result_rank) << sp.rank;
        sp.extent[sp.rank++] = c->extent[d];
    }
    return sp;
}

/* place: where each dimension is in the space. */
static bool operand_access(const scheduler *f, int32_t node, int which, const space *whole, const int *place,
                           node_access *result)
{
    const contraction *c = subgraph_contraction(f->s, node);
    clg_shape operand = f->s->shapes[f->s->nodes[node].in_shape[which]];
    affine position[PLAN_MAX_DIMS] = {{0}}, axis[PLAN_MAX_DIMS];
    for (int d = 0; d < c->rank; d++)
        if (place[d] >= 0)
            position[d] = affine_of(place[d]);
    for (int k = 0; k < operand.rank; k++)
        axis[k] = affine_compose(&c->axis[which][k], c->rank, position);
    return access_of_map(whole, axis, operand, result);
}

/* Dimensions in the contraction's order, without those of extent 1. */
static void in_order(const contraction *c, int *place)
{
    for (int d = 0, k = 0; d < PLAN_MAX_DIMS; d++)
        place[d] = d >= c->rank || c->extent[d] == 1 ? -1 : k++;
}

bool contract_access(const scheduler *f, int32_t node, int which, const space *whole, node_access *result)
{
    int place[PLAN_MAX_DIMS];
    in_order(subgraph_contraction(f->s, node), place);
    return operand_access(f, node, which, whole, place, result);
}

node_access contract_result(const scheduler *f, int32_t node, const contract_operands *x)
{
    const contraction *c = subgraph_contraction(f->s, node);
    node_access result = {0};
    access_set_space(&x->whole, &result);
    for (int d = 0; d < c->result_rank; d++) {
        if (x->place[d] < 0)
            continue;
        result.axis[result.rank] = affine_of(x->place[d]);
        result.extent[result.rank++] = c->extent[d];
    }
    return result;
}

/* ---------------------------------------------------------------- roles */

/* What a dimension of the result is: of both operands, or of the one alone. */
typedef enum role { ROLE_BATCH, ROLE_ROW, ROLE_COLUMN, ROLE_DEPTH } role;

static bool depends(const contraction *c, int which, int rank, int d)
{
    for (int k = 0; k < rank; k++)
        if (c->axis[which][k].coef[d])
            return true;
    return false;
}

bool contract_is_windowed(const contraction *c, const affine *form, int64_t extent)
{
    int64_t least, most;
    int terms = 0;
    for (int d = 0; d < c->rank; d++)
        terms += form->coef[d] != 0;
    affine_range(form, c->rank, c->extent, &least, &most);
    return terms > 1 || least < 0 || most >= extent;
}

/* Whether an operand has such an axis. */
static bool is_windowed(const subgraph *s, int32_t node, int which)
{
    const contraction *c = subgraph_contraction(s, node);
    const clg_shape shape = s->shapes[s->nodes[node].in_shape[which]];
    for (int k = 0; k < shape.rank; k++)
        if (contract_is_windowed(c, &c->axis[which][k], shape.dim[k]))
            return true;
    return false;
}

bool contract_has_windows(const subgraph *s, int32_t node)
{
    return is_windowed(s, node, 0) || is_windowed(s, node, 1);
}

/* Whether an operand has windows, and all are phases: a dimension of the result, of few elements, says which of the
 * elements some way apart are summed. *windows: whether it has some that are not. Pieces, of which a dimension of the
 * result says which of the runs that follow each other is summed (split_contract.c), are neither. */
static bool has_phases(const scheduler *f, int32_t node, int which, bool *windows)
{
    bool phases = false;
    const contraction *c = subgraph_contraction(f->s, node);
    int rank = f->s->shapes[f->s->nodes[node].in_shape[which]].rank;
    for (int k = 0; k < rank; k++) {
        const int64_t *coef = c->axis[which][k].coef;
        int64_t summed = 0, own = 0, reach = 0, run = 0;
        int terms = 0;
        for (int d = 0; d < c->rank; d++) {
            int64_t step = coef[d] < 0 ? -coef[d] : coef[d];
            terms += step != 0;
            if (d < c->result_rank && step)
                own = step, reach = step * c->extent[d];
            else if (step)
                summed = step, run = step * c->extent[d];
        }
        bool phase = terms == 2 && own && reach <= summed, piece = terms == 2 && summed && run <= own;
        phases |= phase;
        *windows |= terms > 1 && !phase && !piece;
    }
    return phases && !*windows;
}

/* What each of the result's dimensions is, of operands in an order. */
static void find_roles(const subgraph *s, int32_t node, bool swap, role *roles)
{
    const contraction *c = subgraph_contraction(s, node);
    const sub_node *n = &s->nodes[node];
    for (int d = 0; d < c->result_rank; d++) {
        bool in[2];
        for (int o = 0; o < 2; o++)
            in[o] = depends(c, o, s->shapes[n->in_shape[o]].rank, d);
        roles[d] = in[0] == in[1] ? ROLE_BATCH : in[0] != swap ? ROLE_ROW : ROLE_COLUMN;
    }
}

bool contract_as_loop(const subgraph *s, int32_t node)
{
    enum { FEW = 3 };
    const contraction *c = subgraph_contraction(s, node);
    role roles[PLAN_MAX_DIMS];
    int64_t extent[3] = {1, 1, 1};
    bool last_shared = false, windowed = contract_has_windows(s, node);
    find_roles(s, node, false, roles);
    for (int d = 0; d < c->result_rank; d++) {
        extent[roles[d]] *= c->extent[d];
        last_shared = c->extent[d] > 1 ? roles[d] == ROLE_BATCH : last_shared;
    }
    int64_t rows = extent[ROLE_ROW], columns = extent[ROLE_COLUMN];
    return (last_shared && !windowed) || (rows == 1 && columns == 1) || (windowed && (rows < FEW || columns < FEW));
}

/* ---------------------------------------------------------------- operands */

/* Follows an operand through views to what is in memory, or will be. */
static void find_operand(scheduler *f, int32_t node, const node_access *start, const space *whole, int32_t *base,
                         node_access *at)
{
    *base = node;
    *at = *start;
    while (clg_ops[f->s->nodes[*base].op].kind == KIND_VIEW && !f->state[*base].stored) {
        node_access next;
        if (access_through_view(f->s, &f->s->nodes[*base], whole, at, &next) != ACCESS_DONE || next.fill != 0)
            break;
        *at = next;
        *base = f->s->nodes[*base].src[0];
    }
}

/* ---------------------------------------------------------------- matrix products */

/* Runs of dimensions that every operand walks through as through one; roles are equal in a run. */
typedef struct merged {
    int rank;
    int64_t extent[PLAN_MAX_DIMS], stride[2][PLAN_MAX_DIMS];
    role role[PLAN_MAX_DIMS];
} merged;

static role role_of(const space *whole, const affine address[2], int d)
{
    bool a = address[0].coef[d] != 0, b = address[1].coef[d] != 0;
    return whole->inner >> d & 1 ? ROLE_DEPTH : a == b ? ROLE_BATCH : a ? ROLE_ROW : ROLE_COLUMN;
}

static merged merge(const space *whole, const affine address[2])
{
    merged m = {0};
    for (int d = 0; d < whole->rank; d++) {
        role own = role_of(whole, address, d);
        int last = m.rank - 1;
        bool joins = m.rank > 0 && m.role[last] == own;
        for (int o = 0; o < 2; o++)
            joins &= m.rank > 0 && m.stride[o][last] == address[o].coef[d] * whole->extent[d];
        if (joins) {
            m.extent[last] *= whole->extent[d];
        } else {
            last = m.rank++;
            m.extent[last] = whole->extent[d];
            m.role[last] = own;
        }
        for (int o = 0; o < 2; o++)
            m.stride[o][last] = address[o].coef[d];
    }
    return m;
}

/* A matrix of r x c whose strides the kernels take: one of them 1, the other at least the extent. */
static bool is_matrix(plan_matrix *x, int64_t r, int64_t c)
{
    int64_t sr = x->row_stride, sc = x->column_stride;
    bool by_rows = (sc == 1 || c <= 1) && (sr >= c || r <= 1), by_columns = (sr == 1 || r <= 1) && (sc >= r || c <= 1);
    if ((!by_rows && !by_columns) || x->batch_stride < 0)
        return false;
    x->row_stride = by_rows ? (r <= 1 || sr < c ? c : sr) : 1;
    x->column_stride = by_rows ? 1 : (c <= 1 || sc < r ? r : sc);
    return true;
}

/* Fills in the matrix product if the dimensions merge to those of one. */
static void find_matmul(scheduler *f, contract_operands *x)
{
    const node_access *at[2] = {&f->accesses.items[x->access[0]], &f->accesses.items[x->access[1]]};
    affine address[2] = {access_address(at[0]), access_address(at[1])};
    merged m = merge(&x->whole, address);
    int at_role[4] = {-1, -1, -1, -1}, before = -1;
    for (int d = 0, last = -1; d < PLAN_MAX_DIMS; d++) { /* positions in another order than the result's elements */
        if (x->place[d] >= 0 && x->place[d] < last)
            return;
        last = x->place[d] >= 0 ? x->place[d] : last;
    }
    if (at[0]->bound_count > 0 || at[1]->bound_count > 0)
        return;
    for (int i = 0; i < m.rank; i++) {
        if ((int)m.role[i] <= before)
            return; /* twice, or in another order */
        before = (int)m.role[i];
        at_role[before] = i;
    }
    int64_t extent[4], stride[2][4];
    for (int r = 0; r < 4; r++) {
        extent[r] = at_role[r] < 0 ? 1 : m.extent[at_role[r]];
        for (int o = 0; o < 2; o++)
            stride[o][r] = at_role[r] < 0 ? 0 : m.stride[o][at_role[r]];
    }
    plan_matmul *p = &x->matmul;
    *p = (plan_matmul){
        .batch = extent[ROLE_BATCH],
        .m = extent[ROLE_ROW],
        .n = extent[ROLE_COLUMN],
        .k = extent[ROLE_DEPTH],
        .a = {-1, address[0].offset, stride[0][ROLE_BATCH], stride[0][ROLE_ROW], stride[0][ROLE_DEPTH]},
        .b = {-1, address[1].offset, stride[1][ROLE_BATCH], stride[1][ROLE_DEPTH], stride[1][ROLE_COLUMN]}};
    x->is_matmul = is_matrix(&p->a, p->m, p->k) && is_matrix(&p->b, p->k, p->n);
}

/* Whether dimension d moves along an axis of an operand together with a summed one, or leaves it. */
static bool is_phase(const contraction *c, int which, clg_shape shape, int d)
{
    for (int k = 0; k < shape.rank; k++) {
        int64_t least, most;
        const affine *form = &c->axis[which][k];
        affine_range(form, c->rank, c->extent, &least, &most);
        bool phase = least < 0 || most >= shape.dim[k];
        for (int e = c->result_rank; e < c->rank; e++)
            phase |= form->coef[e] != 0;
        if (form->coef[d] && phase)
            return true;
    }
    return false;
}

/* Whether an operand's windows are to be columns: its neighbours in memory are those of the result, a vector of them
 * follow each other, and what the other operand has alone would not fill one; or the result is in phases, and the
 * device reads operands where they lie. */
static bool has_window_columns(const scheduler *f, int32_t node, int which)
{
    enum { VECTOR = 8 };
    const contraction *c = subgraph_contraction(f->s, node);
    const int rank = f->s->shapes[f->s->nodes[node].in_shape[which]].rank;
    const clg_shape other = f->s->shapes[f->s->nodes[node].in_shape[1 - which]];
    role roles[PLAN_MAX_DIMS];
    int64_t rows = 1;
    int last = -1;
    bool windows = false;
    const bool in_phases = f->traits.dense_columns && has_phases(f, node, 1 - which, &windows);
    find_roles(f->s, node, which == 0, roles);
    for (int d = 0; d < c->result_rank; d++) {
        last = c->extent[d] > 1 && roles[d] != ROLE_BATCH ? d : last;
        rows *= roles[d] == ROLE_ROW ? c->extent[d] : 1;
        if (roles[d] == ROLE_ROW && c->extent[d] > 1 && is_phase(c, 1 - which, other, d))
            return false; /* such rows would multiply what is outside */
    }
    if (!f->traits.window_columns || last < 0 || roles[last] != ROLE_COLUMN || c->extent[last] < VECTOR ||
        (rows >= VECTOR && !in_phases))
        return false;
    for (int k = 0; k < rank; k++)
        if (c->axis[which][k].coef[last] != (k == rank - 1))
            return false;
    return true;
}

/* Whether the last dimension of the result that has more than one element is a's, and b has some, too: then the
 * operands change places, so that columns are b's. Windows are a's, unless they are columns, and phases b's, in any
 * case. */
static bool must_swap(const scheduler *f, int32_t node)
{
    const contraction *c = subgraph_contraction(f->s, node);
    role roles[PLAN_MAX_DIMS];
    bool last_is_a = false, columns = false, windowed[2] = {false, false}, phases[2];
    for (int o = 0; o < 2; o++)
        phases[o] = has_phases(f, node, o, &windowed[o]);
    if (windowed[0] != windowed[1])
        return windowed[1] != has_window_columns(f, node, windowed[1]);
    if (phases[0] != phases[1])
        return phases[0];
    find_roles(f->s, node, false, roles);
    for (int d = 0; d < c->result_rank; d++) {
        last_is_a = c->extent[d] == 1 ? last_is_a : roles[d] != ROLE_COLUMN;
        columns |= c->extent[d] > 1 && roles[d] == ROLE_COLUMN;
    }
    return last_is_a && columns;
}

/* The space of a contraction with windows: what both operands have comes first, then rows, then columns. A dimension
 * of the other operand that says which part of a window is summed (a phase of a strided gradient) comes first, too:
 * what is summed differs; and columns that are windows and lie before the last row (the pictures of a batch), so that
 * elements stay in the result's order. Rows of few elements come before longer ones, which make better tiles. */
static void order_windows(const scheduler *f, int32_t node, bool swap, contract_operands *x)
{
    enum { FEW = 4, PASSES = 4 };
    const contraction *c = subgraph_contraction(f->s, node);
    const int b = swap ? 0 : 1;
    const bool columns = is_windowed(f->s, node, b) && has_window_columns(f, node, b);
    const int other = columns ? 1 - b : b;
    clg_shape shape = f->s->shapes[f->s->nodes[node].in_shape[other]];
    role roles[PLAN_MAX_DIMS];
    int last_row = -1;
    find_roles(f->s, node, swap, roles);
    for (int d = 0; d < c->result_rank; d++)
        last_row = columns && roles[d] == ROLE_ROW && c->extent[d] > 1 ? d : last_row;
    x->whole = (space){0};
    for (int pass = 0; pass <= PASSES; pass++)
        for (int d = 0; d < c->rank; d++) {
            bool summed = d >= c->result_rank, row = !summed && roles[d] == ROLE_ROW,
                 outside = columns && !row && d < last_row;
            bool early =
                !summed && (roles[d] == ROLE_BATCH || outside || ((row == columns) && is_phase(c, other, shape, d)));
            int own = summed ? PASSES : early ? 0 : row ? 1 + (c->extent[d] >= FEW) : 3;
            if (own != pass)
                continue;
            x->place[d] = c->extent[d] == 1 ? -1 : x->whole.rank;
            if (c->extent[d] == 1)
                continue;
            x->whole.inner |= (uint32_t)summed << x->whole.rank;
            x->whole.extent[x->whole.rank++] = c->extent[d];
        }
}

/* Where an operand is outside whatever is summed, the result is 0, also where the other operand is not finite. */
static int32_t outside_mask(scheduler *f, const contract_operands *x)
{
    node_access mask = {0};
    for (int o = 0; o < 2; o++) {
        const node_access *at = &f->accesses.items[x->access[o]];
        for (int i = 0; i < at->bound_count; i++) {
            bool summed = false;
            for (int d = 0; d < x->whole.rank; d++)
                summed |= at->bound[i].coef[d] && x->whole.inner >> d & 1;
            if (!summed && mask.bound_count < ACCESS_BOUNDS)
                mask.bound[mask.bound_count++] = at->bound[i];
        }
    }
    return mask.bound_count > 0 ? access_intern(&f->accesses, &mask) : NO_MASK;
}

clg_status contract_place(scheduler *f, int32_t node, contract_operands *x)
{
    const sub_node *n = &f->s->nodes[node];
    bool swap = must_swap(f, node);
    *x = (contract_operands){.whole = contract_space(f, node), .arranged = -1};
    in_order(subgraph_contraction(f->s, node), x->place);
    if (contract_has_windows(f->s, node))
        order_windows(f, node, swap, x);
    for (int o = 0; o < 2; o++) {
        int which = swap ? 1 - o : o;
        node_access start, at;
        if (!operand_access(f, node, which, &x->whole, x->place, &start))
            return clg_fail(CLG_ERROR_UNSUPPORTED, "schedule: a contraction has more than %d bounds", ACCESS_BOUNDS);
        find_operand(f, n->src[which], &start, &x->whole, &x->node[o], &at);
        x->access[o] = access_intern(&f->accesses, &at);
        if (x->access[o] < 0)
            return CLG_ERROR_MEMORY;
    }
    find_matmul(f, x);
    x->mask = outside_mask(f, x);
    return x->mask == -1 ? CLG_ERROR_MEMORY : CLG_OK;
}
