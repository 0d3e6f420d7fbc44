/* The node array: hash-consing, interned shapes, leaves, mark and rewind, errors. */
#include "graph.h"

#include "array.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- hashing */

static int32_t *new_buckets(int32_t count)
{
    int32_t *buckets = malloc((size_t)count * sizeof *buckets);
    if (buckets)
        memset(buckets, 0xff, (size_t)count * sizeof *buckets); /* all -1 */
    return buckets;
}

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
    return h ^ h >> 32;
}

/* ---------------------------------------------------------------- life */

clg_status graph_init(clg_graph *g, clg_device *device)
{
    *g = (clg_graph){.device = device, .bucket_count = 256};
    g->buckets = new_buckets(g->bucket_count);
    if (!g->buckets) {
        graph_destroy(g);
        return clg_fail_memory();
    }
    return CLG_OK;
}

void graph_destroy(clg_graph *g)
{
    free(g->nodes);
    free(g->buckets);
    free(g->shapes);
    free(g->shape_table.buckets);
    free(g->maps);
    free(g->map_table.buckets);
    free(g->contractions);
    free(g->contraction_table.buckets);
    free(g->leaves);
    free(g->regions);
}

/* ---------------------------------------------------------------- errors */

clg_var graph_fail(clg_graph *g, clg_status status, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (g && !g->error[0])
        memcpy(g->error, text, sizeof text);
    clg_fail(status, "%s", text);
    return POISON(g);
}

clg_var clg_refuse(clg_graph *graph, const char *format, ...)
{
    char text[sizeof graph->error];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return graph_fail(graph, CLG_ERROR_ARGUMENT, "%s", text);
}

const char *clg_graph_error(const clg_graph *graph) { return graph->error[0] ? graph->error : NULL; }
void clg_graph_clear_error(clg_graph *graph) { graph->error[0] = 0; }

bool graph_check(const char *op, const clg_var *vars, int count)
{
    clg_graph *g = vars[0].graph;
    for (int i = 0; i < count; i++) {
        if (!vars[i].graph) {
            graph_fail(g, CLG_ERROR_ARGUMENT, "%s: operand %d is not a variable of any graph", op, i);
            return false;
        }
        if (vars[i].graph != g) {
            graph_fail(g, CLG_ERROR_ARGUMENT, "%s: operands 0 and %d belong to different graphs", op, i);
            return false;
        }
        if (vars[i].id < 0) {
            if (!g->error[0])
                graph_fail(g, CLG_ERROR_ARGUMENT, "%s: operand %d is poisoned", op, i);
            return false;
        }
        if (vars[i].id >= g->count) {
            graph_fail(g, CLG_ERROR_ARGUMENT, "%s: operand %d was released by clg_graph_rewind", op, i);
            return false;
        }
    }
    return true;
}

int graph_axis(const char *op, clg_var x, int axis)
{
    if (!graph_check(op, &x, 1))
        return -1;
    int rank = clg_shape_of(x).rank;
    if (axis >= -rank && axis < rank)
        return axis < 0 ? axis + rank : axis;
    graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: axis %d is not an axis of shape %s", op, axis,
               shape_text(clg_shape_of(x)));
    return -1;
}

bool graph_axes(const char *op, clg_var x, clg_axes axes, uint32_t *mask)
{
    if (!graph_check(op, &x, 1))
        return false;
    const clg_shape shape = clg_shape_of(x);
    if (axes_mask(axes, shape.rank, mask))
        return true;
    if (axes.count < -1 || axes.count > shape.rank)
        graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: %d axes of shape %s; there are 0 to %d, or CLG_ALL_AXES", op,
                   axes.count, shape_text(shape), shape.rank);
    else
        graph_fail(x.graph, CLG_ERROR_ARGUMENT, "%s: an axis is repeated or not in -%d..%d of shape %s", op, shape.rank,
                   shape.rank - 1, shape_text(shape));
    return false;
}

/* ---------------------------------------------------------------- interned attributes */

static int32_t interned(clg_graph *g, void *items, intern_table *t, const void *item, size_t size)
{
    int32_t index = intern(items, t, item, size);
    if (index < 0)
        graph_fail(g, CLG_ERROR_MEMORY, "out of memory");
    return index;
}

int32_t graph_shape(clg_graph *g, const char *op, clg_shape shape)
{
    clg_shape clean;
    if (!graph_check_count(g, op, shape))
        return -1;
    memset(&clean, 0, sizeof clean); /* what is behind its fields, too */
    clean.rank = shape.rank;
    for (int d = 0; d < shape.rank; d++)
        clean.dim[d] = shape.dim[d];
    return interned(g, &g->shapes, &g->shape_table, &clean, sizeof clean);
}

int32_t graph_map(clg_graph *g, const index_map *map) { return interned(g, &g->maps, &g->map_table, map, sizeof *map); }

int32_t graph_contraction(clg_graph *g, const contraction *c)
{
    return interned(g, &g->contractions, &g->contraction_table, c, sizeof *c);
}

/* ---------------------------------------------------------------- nodes */

static uint64_t node_hash(const graph_record *n)
{
    uint64_t attr;
    memcpy(&attr, &n->attr, sizeof attr);
    uint64_t h = mix(attr, (uint64_t)n->op << 40 | (uint64_t)n->dtype << 32 | (uint32_t)n->src[0]);
    return mix(h, (uint64_t)(uint32_t)n->src[1] << 32 | (uint32_t)n->src[2]) + (uint64_t)n->shape * 0x9e3779b1u;
}

static bool node_equal(const graph_record *a, const graph_record *b)
{
    return a->op == b->op && a->dtype == b->dtype && a->shape == b->shape && a->src[0] == b->src[0] &&
           a->src[1] == b->src[1] && a->src[2] == b->src[2] && !memcmp(&a->attr, &b->attr, sizeof a->attr);
}

static bool grow_buckets(clg_graph *g)
{
    int32_t count = g->bucket_count * 4, *buckets = new_buckets(count);
    if (!buckets)
        return false;
    for (int32_t i = 0; i < g->count; i++) {
        uint32_t slot = (uint32_t)node_hash(&g->nodes[i]) & (uint32_t)(count - 1);
        g->nodes[i].next = buckets[slot];
        buckets[slot] = i;
    }
    free(g->buckets);
    g->buckets = buckets;
    g->bucket_count = count;
    return true;
}

clg_var graph_node(clg_graph *g, clg_op op, clg_dtype dtype, int32_t shape, const int32_t src[3], graph_record attr)
{
    graph_record n = attr;
    n.op = (uint8_t)op;
    n.dtype = (uint8_t)dtype;
    n.shape = shape;
    if (shape < 0)
        return POISON(g);
    memcpy(n.src, src, sizeof n.src);
    uint32_t slot = (uint32_t)node_hash(&n) & (uint32_t)(g->bucket_count - 1);
    for (int32_t i = g->buckets[slot]; i >= 0; i = g->nodes[i].next)
        if (node_equal(&g->nodes[i], &n))
            return graph_var(g, i);
    if (!ARRAY_ROOM(g->nodes, g->count, g->capacity) || (g->count >= g->bucket_count && !grow_buckets(g)))
        return graph_fail(g, CLG_ERROR_MEMORY, "out of memory");
    slot = (uint32_t)node_hash(&n) & (uint32_t)(g->bucket_count - 1);
    n.next = g->buckets[slot];
    g->nodes[g->count] = n;
    g->buckets[slot] = g->count;
    return graph_var(g, g->count++);
}

bool graph_check_count(clg_graph *g, const char *op, clg_shape shape)
{
    enum { LARGEST = 8 }; /* bytes of an element */
    if (shape.rank < 0 || shape.rank > CLG_MAX_DIMS) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: rank %d is not in 0..%d", op, shape.rank, CLG_MAX_DIMS);
        return false;
    }
    for (int d = 0; d < shape.rank; d++)
        if (shape.dim[d] < 0) {
            graph_fail(g, CLG_ERROR_ARGUMENT, "%s: axis %d of shape %s has a negative extent", op, d,
                       shape_text(shape));
            return false;
        }
    if (clg_shape_count(shape) > INT64_MAX / (2 * LARGEST)) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: shape %s has too many elements; at most %lld", op, shape_text(shape),
                   (long long)(INT64_MAX / (2 * LARGEST)));
        return false;
    }
    return true;
}

bool graph_check_leaf(clg_graph *g, const char *op, clg_dtype dtype, clg_shape shape)
{
    if (!g) {
        graph_fail(NULL, CLG_ERROR_ARGUMENT, "%s: there is no graph", op);
        return false;
    }
    if ((unsigned)dtype >= CLG_DTYPE_COUNT) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: %d is not a dtype", op, (int)dtype);
        return false;
    }
    if (shape.rank < 0 || shape.rank > CLG_MAX_RANK) {
        graph_fail(g, CLG_ERROR_ARGUMENT, "%s: rank %d is not in 0..%d", op, shape.rank, CLG_MAX_RANK);
        return false;
    }
    return graph_check_count(g, op, shape);
}

clg_var graph_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape)
{
    if (!graph_check_leaf(g, "input", dtype, shape))
        return POISON(g);
    if (!ARRAY_ROOM(g->leaves, g->leaf_count, g->leaf_capacity))
        return graph_fail(g, CLG_ERROR_MEMORY, "out of memory");
    graph_record attr = {.attr.integer = g->leaf_count};
    clg_var x = graph_node(g, OP_INPUT, dtype, graph_shape(g, "input", shape), (int32_t[]){-1, -1, -1}, attr);
    if (x.id >= 0)
        g->leaves[g->leaf_count++] = (leaf_record){.node = x.id, .grad = -1, .most = -1};
    return x;
}

clg_var graph_constant(clg_graph *g, clg_dtype dtype, int32_t shape, double value)
{
    graph_record attr = {.attr.value = dtype_round(dtype, value)};
    return graph_node(g, OP_CONST, dtype, shape, (int32_t[]){-1, -1, -1}, attr);
}

clg_var graph_like(clg_var x, double value)
{
    if (x.id < 0)
        return x;
    return graph_constant(x.graph, (clg_dtype)graph_at(x)->dtype, graph_at(x)->shape, value);
}

int32_t clg_graph_mark(const clg_graph *graph) { return graph->count; }
int32_t clg_graph_size(const clg_graph *graph) { return graph->count; }

void graph_truncate(clg_graph *g, int32_t mark)
{
    while (g->count > mark) {
        graph_record *n = &g->nodes[--g->count];
        g->buckets[(uint32_t)node_hash(n) & (uint32_t)(g->bucket_count - 1)] = n->next;
        if (n->op == OP_INPUT)
            g->leaf_count--; /* leaves are made in id order */
    }
    while (g->region_count > 0 && g->regions[g->region_count - 1].last >= mark)
        g->region_count--;
    for (int32_t i = 0; i < g->leaf_count; i++)
        if (g->leaves[i].grad >= mark)
            g->leaves[i].grad = -1;
}

/* ---------------------------------------------------------------- questions about variables */

bool clg_is_valid(clg_var x) { return x.graph && x.id >= 0 && x.id < x.graph->count; }
clg_shape clg_shape_of(clg_var x) { return clg_is_valid(x) ? *graph_shape_of(x.graph, x.id) : CLG_SCALAR; }
clg_dtype clg_dtype_of(clg_var x) { return clg_is_valid(x) ? (clg_dtype)graph_at(x)->dtype : CLG_F32; }
const char *clg_creator(clg_var x) { return clg_is_valid(x) ? clg_ops[graph_at(x)->op].name : "poisoned"; }
clg_device *clg_graph_device(const clg_graph *graph) { return graph->device; }

clg_var clg_operand(clg_var x, int n)
{
    if (!clg_is_valid(x) || n < 0 || n > 2)
        return POISON(x.graph);
    return graph_var(x.graph, graph_at(x)->src[n]);
}

clg_status clg_graph_print(const clg_graph *graph, FILE *out)
{
    char shape[200];
    for (int32_t i = 0; i < graph->count; i++) {
        const graph_record *n = &graph->nodes[i];
        fprintf(out, "%%%-5d %-14s %-4s %-16s", (int)i, clg_ops[n->op].name, clg_dtype_name((clg_dtype)n->dtype),
                clg_shape_format(graph->shapes[n->shape], shape, sizeof shape));
        for (int s = 0; s < 3; s++)
            if (n->src[s] >= 0)
                fprintf(out, " %%%d", (int)n->src[s]);
        if (n->op == OP_CONST)
            fprintf(out, " %.9g", n->attr.value);
        fputc('\n', out);
    }
    return ferror(out) ? clg_fail(CLG_ERROR_IO, "graph_print: cannot write") : CLG_OK;
}
