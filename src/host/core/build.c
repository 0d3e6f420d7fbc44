/* Builders of leaves, maps and reductions: dtype and shape rules by kind. */
#include "build.h"

#include "fold.h"

/* ---------------------------------------------------------------- leaves */

clg_var clg_input(clg_graph *graph, clg_dtype dtype, clg_shape shape) { return graph_leaf(graph, dtype, shape); }

clg_var clg_full(clg_graph *graph, clg_dtype dtype, clg_shape shape, double value)
{
    if (!graph_check_leaf(graph, "full", dtype, shape))
        return POISON(graph);
    return graph_constant(graph, dtype, graph_shape(graph, "full", shape), value);
}

clg_var clg_arange(clg_graph *graph, clg_dtype dtype, int64_t count)
{
    if (!graph_check_leaf(graph, "arange", dtype, CLG_SHAPE(count)))
        return POISON(graph);
    const clg_dtype own = clg_dtypes[dtype].arithmetic;
    if (own == CLG_I32 && count - 1 > INT32_MAX)
        return graph_fail(graph, CLG_ERROR_ARGUMENT, "arange: %lld is more than i32 counts, %d", (long long)count - 1,
                          INT32_MAX);
    return clg_cast(graph_node(graph, OP_IOTA, own, graph_shape(graph, "arange", CLG_SHAPE(count)),
                               (int32_t[]){-1, -1, -1}, (graph_record){.attr.integer = 0}),
                    dtype);
}

/* ---------------------------------------------------------------- maps */

clg_dtype build_common_dtype(const clg_var *x, int count, bool floating)
{
    clg_dtype dtype = (clg_dtype)graph_at(x[0])->dtype;
    for (int i = 1; i < count; i++)
        dtype = clg_dtype_promote(dtype, (clg_dtype)graph_at(x[i])->dtype);
    return floating && !clg_dtype_is_real(dtype) ? CLG_F32 : dtype;
}

clg_dtype build_sum_dtype(clg_op op, clg_dtype dtype)
{
    const op_identity identity = clg_ops[op].identity;
    const bool adds_up = identity == IDENTITY_ZERO || identity == IDENTITY_ONE;
    return adds_up && !clg_dtype_is_real(dtype) ? CLG_I64 : dtype;
}

/* The node of an operation over operands of one shape, or what is simpler. Gradient rules call the builders that
 * everybody calls, so that their mode is the graph's: here it becomes an argument. */
static clg_var map_node(clg_graph *g, fold_form form, clg_dtype dtype, int32_t shape)
{
    form = fold_map(form, dtype, g->in_gradient);
    if (form.op == OP_SAME)
        return form.x[0];
    if (form.op == OP_CONST)
        return graph_constant(g, dtype, shape, form.value);
    int32_t src[3] = {-1, -1, -1};
    for (int i = 0; i < clg_ops[form.op].arity; i++)
        src[i] = form.x[i].id;
    return graph_node(g, form.op, dtype, shape, src, (graph_record){0});
}

/* Casts from and to a dtype of storage go by way of that in which it is computed with. */
static clg_var cast_to(clg_var x, clg_dtype dtype)
{
    if (x.id < 0 || graph_at(x)->dtype == dtype)
        return x;
    const clg_dtype from = clg_dtypes[graph_at(x)->dtype].arithmetic, by = clg_dtypes[dtype].arithmetic;
    if (dtype == CLG_BOOL)
        return clg_not_equal(x, graph_like(x, 0));
    if (graph_at(x)->dtype != CLG_BOOL && graph_at(x)->dtype != from)
        x = map_node(x.graph, (fold_form){.op = OP_CAST, .x = {x, x, x}}, from, graph_at(x)->shape);
    if (by != dtype)
        x = cast_to(x, by);
    if (x.id < 0 || graph_at(x)->dtype == dtype)
        return x;
    return map_node(x.graph, (fold_form){.op = OP_CAST, .x = {x, x, x}}, dtype, graph_at(x)->shape);
}

/* Brings operands to one shape; false (with an error) if they do not broadcast. */
static bool broadcast_all(const char *name, clg_var *x, int count, int32_t *shape)
{
    clg_graph *g = x[0].graph;
    *shape = graph_at(x[0])->shape;
    bool same = true;
    for (int i = 1; i < count; i++)
        same &= graph_at(x[i])->shape == *shape;
    if (same)
        return true;
    clg_shape all = clg_shape_of(x[0]);
    for (int i = 1; i < count; i++)
        if (!shape_broadcast(all, clg_shape_of(x[i]), &all)) {
            graph_fail(g, CLG_ERROR_ARGUMENT, "%s: shapes do not broadcast: %s and %s", name,
                       shape_text(clg_shape_of(x[0])), shape_text(clg_shape_of(x[i])));
            return false;
        }
    for (int i = 0; i < count; i++) {
        x[i] = views_broadcast(x[i], all);
        if (x[i].id < 0)
            return false;
    }
    *shape = graph_at(x[0])->shape;
    return true;
}

/* The dtype in which a row is computed, of operands of a dtype; CLG_DTYPE_COUNT: it does not take them. */
static clg_dtype dtype_of_row(const op_row *row, clg_dtype dtype)
{
    switch (row->types) {
    case TYPES_SELECT: /* it only chooses */
        return dtype;
    case TYPES_COMPARE:
        return dtype == CLG_BOOL ? dtype : clg_dtypes[dtype].arithmetic;
    case TYPES_INTEGER:
        return clg_dtypes[dtype].real ? CLG_DTYPE_COUNT : dtype == CLG_I64 ? CLG_I64 : CLG_I32;
    case TYPES_WORD:
        return clg_dtypes[dtype].real ? CLG_DTYPE_COUNT : CLG_I32;
    default:
        return clg_dtypes[dtype].arithmetic;
    }
}

clg_var build_map(clg_op op, clg_var a, clg_var b, clg_var c)
{
    const op_row *row = &clg_ops[op];
    clg_var x[3] = {a, b, c};
    int32_t shape;
    if (!graph_check(row->name, x, row->arity))
        return POISON(a.graph);
    clg_graph *g = a.graph;
    int first = row->types == TYPES_SELECT ? 1 : 0; /* the condition keeps its own dtype */
    clg_dtype dtype = build_common_dtype(x + first, row->arity - first, row->types == TYPES_FLOATING);
    const clg_dtype own = dtype_of_row(row, dtype);
    if (own == CLG_DTYPE_COUNT)
        return graph_fail(g, CLG_ERROR_ARGUMENT, "%s: operands must be integers or bool, not %s", row->name,
                          clg_dtype_name(dtype));
    for (int i = first; i < row->arity; i++)
        x[i] = cast_to(x[i], own);
    if (!broadcast_all(row->name, x, row->arity, &shape))
        return POISON(g);
    const fold_form form = {.op = op, .x = {x[0], x[1], x[2]}};
    if (row->types == TYPES_COMPARE)
        return map_node(g, form, CLG_BOOL, shape);
    return cast_to(map_node(g, form, own, shape), row->types == TYPES_WORD ? own : dtype);
}

/* The builders of the table's rows. */
#define BUILD_1(builder, ID)                                                                                           \
    clg_var clg_##builder(clg_var x) { return build_map(OP_##ID, x, x, x); }
#define BUILD_2(builder, ID)                                                                                           \
    clg_var clg_##builder(clg_var a, clg_var b) { return build_map(OP_##ID, a, b, a); }
#define BUILD_3(builder, ID)                                                                                           \
    clg_var clg_##builder(clg_var a, clg_var b, clg_var c) { return build_map(OP_##ID, a, b, c); }
#define BUILD_INTEGER(arity, builder, ID) BUILD_##arity(builder, ID)
#define BUILD_WORD(arity, builder, ID) BUILD_##arity(builder, ID)
#define BUILD_NUMERIC(arity, builder, ID) BUILD_##arity(builder, ID)
#define BUILD_FLOATING(arity, builder, ID) BUILD_##arity(builder, ID)
#define BUILD_COMPARE(arity, builder, ID) BUILD_##arity(builder, ID)
#define BUILD_SELECT(arity, builder, ID)
#define BUILD_CAST(arity, builder, ID)
#define MAP(ID, name, builder, arity, types, ...) BUILD_##types(arity, builder, ID)
#include "ops.def"
clg_var clg_greater(clg_var a, clg_var b) { return clg_less(b, a); }
clg_var clg_greater_equal(clg_var a, clg_var b) { return clg_less_equal(b, a); }

clg_var clg_where(clg_var condition, clg_var a, clg_var b)
{
    if (clg_is_valid(condition) && clg_dtype_of(condition) != CLG_BOOL)
        condition = clg_cast(condition, CLG_BOOL);
    return build_map(OP_WHERE, condition, a, b);
}

clg_var clg_cast(clg_var x, clg_dtype dtype)
{
    if (!graph_check("cast", &x, 1))
        return POISON(x.graph);
    if ((unsigned)dtype >= CLG_DTYPE_COUNT)
        return graph_fail(x.graph, CLG_ERROR_ARGUMENT, "cast: %d is not a dtype", (int)dtype);
    return cast_to(x, dtype);
}

clg_var build_as_float(clg_var x) { return clg_dtype_is_real(clg_dtype_of(x)) ? x : clg_cast(x, CLG_F32); }

clg_var build_wide(clg_var x)
{
    x = build_as_float(x);
    return clg_is_valid(x) ? cast_to(x, clg_dtypes[clg_dtype_of(x)].arithmetic) : x;
}

clg_var build_back(clg_var y, clg_var x)
{
    const clg_dtype dtype = clg_dtype_of(x);
    return dtype_is_half(dtype) ? clg_cast(y, dtype) : y;
}

clg_var build_index(clg_var x)
{
    if (clg_is_valid(x) && clg_dtype_of(x) == CLG_I64) /* what i32 does not have is out of range, and stays so */
        x = clg_minimum(clg_maximum(x, graph_like(x, INT32_MIN)), graph_like(x, INT32_MAX));
    return clg_cast(x, CLG_I32);
}

/* ---------------------------------------------------------------- reductions */

clg_var build_reduce(clg_op op, clg_var x, uint32_t mask)
{
    clg_graph *g = x.graph;
    clg_shape shape = clg_shape_of(x);
    const clg_dtype result = build_sum_dtype(op, clg_dtype_of(x)), dtype = clg_dtypes[result].arithmetic;
    x = cast_to(x, dtype);
    if (x.id < 0)
        return x;
    for (int d = 0; d < shape.rank; d++)
        if (mask >> d & 1) {
            if (shape.dim[d] == 1)
                mask &= ~(1u << d); /* nothing to reduce */
            shape.dim[d] = 1;
        }
    if (!mask)
        return cast_to(x, result);
    int32_t id = graph_shape(g, clg_ops[op].name, shape);
    if (id < 0)
        return POISON(g);
    fold_form form;
    clg_var y = fold_reduce(op, x, mask, shape, &form)
                    ? map_node(g, form, dtype, id)
                    : graph_node(g, op, dtype, id, (int32_t[]){x.id, -1, -1}, (graph_record){.attr.integer = mask});
    return cast_to(y, result);
}

clg_var build_reduction(clg_op op, clg_var x, clg_axes axes, bool keepdims)
{
    const char *name = clg_ops[op].name;
    uint32_t mask;
    if (!graph_axes(name, x, axes, &mask))
        return POISON(x.graph);
    clg_shape shape = clg_shape_of(x), kept = {0};
    clg_var y = build_reduce(op, x, mask);
    if (keepdims)
        return y;
    for (int d = 0; d < shape.rank; d++)
        if (!(mask >> d & 1))
            kept.dim[kept.rank++] = shape.dim[d];
    return clg_reshape(y, kept);
}

#define REDUCE(ID, name, builder, ...)                                                                                 \
    clg_var clg_##builder(clg_var x, clg_axes axes, bool keepdims)                                                     \
    {                                                                                                                  \
        return build_reduction(OP_##ID, x, axes, keepdims);                                                            \
    }
#include "ops.def"

clg_var clg_mean(clg_var x, clg_axes axes, bool keepdims)
{
    if (!graph_check("mean", &x, 1))
        return POISON(x.graph);
    const clg_var wide = build_wide(x), total = clg_sum(wide, axes, keepdims);
    if (total.id < 0)
        return total;
    double count = (double)clg_shape_count(clg_shape_of(x)) / (double)clg_shape_count(clg_shape_of(total));
    return build_back(clg_mul(total, graph_like(total, 1 / count)), x); /* 0/0: NaN, as NumPy's mean of nothing */
}
