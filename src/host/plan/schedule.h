/* From subgraph to groups to steps. fuse.c decides which nodes share a step (a group); lower.c turns groups into
 * steps with bodies; schedule.c is the sequence of both. Internal to plan/. */
#ifndef CLG_SCHEDULE_H
#define CLG_SCHEDULE_H

#include "../core/array.h"
#include "access.h"

/* What the scheduler must know of a device; see backend_traits. */
typedef struct schedule_traits {
    bool fuses_epilogue, evaluates_all, window_columns, dense_columns, channels_last;
    plan_prologues prologues;
    int32_t max_body, units, contract_block;
} schedule_traits;

enum { NO_MASK = -2 };

/* What a contraction reads: nodes in memory, and how. */
typedef struct contract_operands {
    space whole; /* the result's dimensions without those of extent 1, then the summed ones, which are inner */
    int place[PLAN_MAX_DIMS]; /* of each of the contraction's dimensions: where it is in whole; -1: extent 1 */
    int32_t node[2];          /* -1: none */
    int32_t access[2];        /* over whole */
    int32_t function[2];      /* not -1: the operand, a function of that node: prologue.c */
    int32_t mask;             /* an access over whole, outside whose bounds the result is 0; NO_MASK: none */
    bool is_matmul;
    plan_matmul matmul; /* without its buffers */
    int32_t arranged;   /* the buffer that operand 1 is copied to before; -1: none */
} contract_operands;

/* A group: nodes evaluated in one step. Groups run in the order of their indices. */
typedef struct group {
    plan_step_kind kind;
    space sp;
    int64_t full_count, outer_count;
    int32_t full_access, outer_access; /* the two canonical accesses: where values of the group live */
    int32_t cost;                      /* instructions so far, about */
    bool split;                 /* too few outer positions for the device: partial reductions, then a second step */
    int32_t node;               /* CONTRACT, ARRAY: the node */
    int32_t first_store;        /* list of stores, by store.next */
    int32_t first_walked;       /* list of what the group evaluates, by walked.next */
    contract_operands operands; /* CONTRACT */
    int32_t copy_from, copy_to; /* >= 0: the group only copies one buffer to another */
    int32_t copy_access, copy_to_access;
} group;

typedef struct store {
    int32_t node, next;
    int32_t buffer; /* of the plan */
    int32_t access; /* in the buffer; -1: the one at which the node's value lives in the group */
} store;

/* Side table: one entry a subgraph node. */
typedef struct node_state {
    int32_t group; /* first group that evaluates the node at its canonical access, -1: none yet */
    bool stored;   /* kept in memory (buffer) by its group; leaves always are */
    int32_t buffer;
    uint16_t cost, loads;      /* of evaluating it inline: instructions, full-size loads; saturating */
    int32_t reader, strays;    /* INPUT: last group that reads it; last that reads it at another access than its own */
    int32_t seen, seen_access; /* walk stamp */
    double times;              /* each element is evaluated, in this walk so far */
    int32_t source;            /* of an operand that is computed as it is read: the node in memory, -1: it is not */
} node_state;

/* A node's value at an access. */
typedef struct located {
    int32_t node, access;
} located;

/* A value that a group evaluates, and what it reads: found by the walk that put it there. */
typedef struct walked {
    located at;
    located operand[3]; /* node -1: none */
    int32_t row;        /* of a gather: the access of the element in its row */
    bool masked;        /* outside the access's bounds it is not what the operands give there */
    int32_t next;       /* of the same group, -1: none */
    int32_t value;      /* lowering's: the value in the step's body, -1: not made yet */
} walked;

/* A walk of the tree under a node. */
typedef struct walk {
    const group *g;    /* the space to evaluate in */
    int32_t index;     /* the group's index; the number of groups if it is a new one */
    bool commit;       /* record what was found */
    bool fits;         /* for a new group: once the scheduler's blockers are in memory, of which there are none now */
    int32_t latest;    /* latest group among what is read */
    bool inside;       /* reads a value that the group itself makes */
    bool inside_outer; /* ... one that is the same for all inner positions */
    int32_t cost;      /* new instructions */
    clg_status status;
} walk;

typedef struct node_list {
    int32_t *items;
    int32_t count, capacity;
} node_list;

typedef struct scheduler {
    const subgraph *s;
    schedule_traits traits;
    plan *p;
    node_state *state;
    uint8_t *dense; /* of each node: whether it will be stored, see fuse_mark_dense */
    access_table accesses;
    group *groups;
    int32_t group_count, group_capacity;
    store *stores;
    int32_t store_count, store_capacity;
    walked *walked;
    int32_t walked_count, walked_capacity;
    struct {
        located *items;
        int32_t count, capacity;
    } stack;
    struct { /* (node, access) pairs seen in this walk beyond the first access of a node */
        uint64_t *key;
        int32_t *stamp, *value;
        int32_t count, capacity;
    } seen;
    int32_t stamp;
    node_list blockers;               /* nodes that must be in memory before what was walked can be evaluated */
    node_list pending;                /* of fuse_place: nodes to be placed, each for the sake of one before it */
    int32_t latest_capacity, *latest; /* hash of element count -> latest group with that full or outer count */
} scheduler;

/* Fills the scheduler's groups, states, buffers and stores. */
clg_status fuse(scheduler *f);
/* Appends the steps of all groups to the plan. */
clg_status lower(scheduler *f);

/* Whether a node's value is in memory from the start: a leaf's, and what has no elements. */
static inline bool schedule_is_given(const sub_node *n) { return n->op == OP_INPUT || n->count == 0; }

/* groups.c */
space group_space(clg_shape shape, uint32_t inner); /* without extents of 1; inner: mask of reduced axes */
/* A group that a node opens in a space, and what follows from that. Matrix products keep all three dimensions. */
bool group_fill(scheduler *f, group *g, plan_step_kind kind, space sp);
int32_t group_append(scheduler *f, const group *g);
/* The latest group of so many elements, full or outer; -1: none. A hash: it may be one of others. */
int32_t *group_latest(scheduler *f, int64_t count);
/* How many workers a reducing group can keep busy without being split. */
int64_t group_workers(const group *g);
/* Of an elementwise group: the last dimensions that may be inner, for the sake of what depends on the outer ones, and
 * how many positions they have; 0: none, rows would be too short, or too few for the device. */
uint32_t group_row(const scheduler *f, const space *sp, uint32_t outer, int64_t *row);
/* Whether an access is the one at which a node's value lives in a group. */
bool group_canonical(const scheduler *f, const group *g, int32_t node, int32_t access);
/* Stores the value of a node that a group evaluates; access: see store. */
clg_status group_store(scheduler *f, int32_t node, int32_t group_index, int32_t buffer, int32_t access);
bool group_buffer(scheduler *f, int32_t node);     /* gives a node a buffer to be kept in; false: out of memory */
clg_status group_keep(scheduler *f, int32_t node); /* keeps the value of a placed node in memory */
/* Records that a group reads a node's buffer; stray: at another access than the group's own. */
void group_read(scheduler *f, int32_t node, int32_t index, bool stray);
/* walk.c */
bool walk_is_reduction(const sub_node *n); /* made by adding up over inner positions */
void walk_tree(scheduler *f, walk *w, int32_t root, int32_t access);
/* contract.c: what a contraction reads: nodes that have to be in memory. */
clg_status contract_place(scheduler *f, int32_t node, contract_operands *operands);
/* arrange.c. Lets operand 1 be copied before, if its columns are better neighbours. */
clg_status contract_arrange(scheduler *f, int32_t node, contract_operands *x);
/* The access of the result's elements over the space of its dimensions. */
node_access contract_result(const scheduler *f, int32_t node, const contract_operands *operands);
/* The access of operand number which of contraction node over a space: the result's dimensions, then the summed ones.
 */
bool contract_access(const scheduler *f, int32_t node, int which, const space *whole, node_access *result);
/* Whether an operand's axis of so many elements is read in windows: by several dimensions, or beyond its ends. */
bool contract_is_windowed(const contraction *c, const affine *form, int64_t extent);
bool contract_has_windows(const subgraph *s, int32_t node); /* in either operand */
space contract_space(const scheduler *f, int32_t node);
/* Whether it is done as a loop that adds up products: where a matrix product has nothing to reuse. */
bool contract_as_loop(const subgraph *s, int32_t node);
/* order.c. A copy of a subgraph in which intermediates have their channels last; count 0: it would be the same. */
clg_status order_axes(const subgraph *s, subgraph *to);
/* split_contract.c. A copy of a subgraph in which contractions with few results are sums of pieces; count 0: it would
 * be the same. */
clg_status contract_split(const subgraph *s, const schedule_traits *traits, subgraph *to);
/* join.c. A copy in which sums of arrays that are 0 but for a part, and choices between such ones, are JOIN nodes where
 * the parts do not overlap; without the nodes that nobody needs any more. */
clg_status join_parts(const subgraph *s, subgraph *to);
void join_free(subgraph *to);
/* arrays.c. Operations on whole arrays: whether one is such; its step. */
bool arrays_is_one(clg_op op);
void arrays_fill(const scheduler *f, int32_t node, plan_step *step);
/* fuse.c. Marks the nodes that steps of other kinds than loops, or callers, will read from memory; 0: the others. */
enum { DENSE_OPERAND = 1, /* of a contraction */ DENSE_OTHER = 2 };
void fuse_mark_dense(const subgraph *s, uint8_t *dense);
/* Whether a node is the f32 or f64 value of an f16 or bf16 one: better kept in memory as the latter. */
static inline bool schedule_widens(const subgraph *s, int32_t node)
{
    const sub_node *n = &s->nodes[node];
    return n->op == OP_CAST && dtype_is_half((clg_dtype)s->nodes[n->src[0]].dtype) &&
           !dtype_is_half((clg_dtype)n->dtype);
}
/* Whether a node is a sum of products, rounded to f16 or bf16: that is done where it is made, and only that is kept. */
static inline bool schedule_rounds(const subgraph *s, int32_t node)
{
    const sub_node *n = &s->nodes[node];
    return n->op == OP_CAST && dtype_is_half((clg_dtype)n->dtype) && s->nodes[n->src[0]].op == OP_CONTRACT;
}
/* prologue.c. Finds the operands of contractions that are computed as they are read, which are not dense then. */
void prologue_find(scheduler *f);
/* The plan that says how; freed with plan_free, also if it fails. */
clg_status prologue_plan(const scheduler *f, int32_t node, plan **out);
/* Puts a node into a group with an index of at least least. */
clg_status fuse_place(scheduler *f, int32_t root, int32_t least);
/* assign.c: after all other nodes. */
clg_status fuse_assignments(scheduler *f);

/* Shared helpers. */
bool schedule_push(scheduler *f, int32_t node, int32_t access);
bool schedule_add(node_list *list, int32_t node); /* false: out of memory */
/* Slot of a (node, access) pair in this stamp's table: *found tells whether it was there. NULL: out of memory. The
 * int32 belongs to the caller. */
int32_t *schedule_seen(scheduler *f, int32_t node, int32_t access, bool *found);
void schedule_new_stamp(scheduler *f);
int32_t schedule_buffer(scheduler *f, plan_buffer buffer);

/* The whole stage: subgraph to plan, with memory placed. The plan is freed with plan_free. */
clg_status schedule_plan(const subgraph *s, schedule_traits traits, plan **out);

/* memory.c */
clg_status plan_memory(plan *p);

/* print.c */
void plan_print_schedule(const plan *p, FILE *out);
void plan_print_memory(const plan *p, FILE *out);
#endif
