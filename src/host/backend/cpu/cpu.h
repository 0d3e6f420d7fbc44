/* Inside the CPU backend: tapes, what runs them, and the tables of vector loops.
 *
 * A step becomes a tape: an array of entries, each a function over a block of n lanes whose operands are slots.
 * A slot is a pointer that each thread keeps in a table: to block-sized scratch, to one scalar, or straight into a
 * buffer (a view). Lanes run over the step's outer positions or its inner ones (plan_lanes_inner); the loop walks
 * the others. */
#ifndef CLG_CPU_H
#define CLG_CPU_H

#include "../../core/array.h"
#include "../../core/ops.h"
#include "../backend.h"
#include "gemm.h"
#include "pool.h"

typedef struct cpu_entry cpu_entry;
typedef struct cpu_contract cpu_contract; /* contract.h */
typedef struct cpu_runner cpu_runner;
typedef struct cpu_tape cpu_tape;
typedef struct cpu_sweep cpu_sweep; /* sweep.c */
typedef struct cpu_dot cpu_dot;     /* dot.c */
typedef void (*cpu_fn)(cpu_runner *, const cpu_entry *, int64_t n);

struct cpu_entry {
    cpu_fn run;
    int32_t d, a, b, c, x; /* slots, or indices into the tape's accesses and constants */
};

/* One dimension of an access. Lane dimensions are merged where the access allows it. */
typedef struct cpu_dim {
    int64_t extent, stride;
} cpu_dim;

/* A plan_bound over the dimensions of an access: lanes, then the loop. */
typedef struct cpu_bound {
    int64_t lo, hi, coef[PLAN_MAX_DIMS];
} cpu_bound;

/* A plan_access, cut into its part over lanes and its part over the loop. */
typedef struct cpu_access {
    int32_t buffer; /* of the plan; -1: IOTA */
    clg_dtype dtype;
    int32_t size; /* of an element */
    int32_t lane_first, lane_rank;
    int32_t loop_first, loop_rank;
    int32_t bound_first, bound_count;
    int64_t offset, row_stride, row_count;
    double fill; /* outside the bounds */
    bool fetch;  /* plan_fact.fetch */
} cpu_access;

typedef struct cpu_range {
    int32_t first, count;
} cpu_range;

/* A section. INNER: init, then body for each block or position, flush every CPU_FLUSH positions (lanes over outer
 * positions only) and at the end, then finish. Others: body. */
typedef struct cpu_phase {
    plan_section_kind kind;
    cpu_range init, body, flush, finish;
    cpu_sweep *sweep; /* INNER: what is done instead, NULL: nothing; owned */
    cpu_dot *dot;     /* the same, lanes over inner positions */
} cpu_phase;

#define CPU_FLUSH 128
#define CPU_PROLOGUE_BYTES 4096  /* of a line of a prologue's plan, at most */
#define CPU_CHUNK 256            /* lanes of a block for which maps of f32 have loops of fixed length */
#define CPU_PIECE 1024           /* lanes of a row that are reduced together; blocks of a row are multiples of it */
#define CPU_CACHED (1024 * 1024) /* a step that touches less finds it in the second-level cache */

typedef enum cpu_slot_kind { SLOT_VIEW, SLOT_SCALAR, SLOT_BLOCK, SLOT_WIDE, SLOT_KINDS } cpu_slot_kind;

struct cpu_tape {
    const plan_step *step;
    plan_step *shared; /* what step is then, if sections share values; owned */
    bool lanes_inner;
    bool straight;             /* lanes are inner, and a row is one block: each section runs once for a row */
    int64_t lanes, loops;      /* positions of each kind */
    int64_t block;             /* most lanes at a time */
    cpu_entry *entries, *once; /* once: evaluated when a thread begins the step */
    cpu_access *accesses;
    cpu_dim *dims;
    cpu_bound *bounds;
    double *constants;
    cpu_phase *phases;
    uint8_t *slot_kind;
    int32_t entry_count, once_count, access_count, dim_count, bound_count, constant_count, phase_count, slot_count;
    int32_t entry_capacity, once_capacity, access_capacity, dim_capacity, bound_capacity, constant_capacity,
        slot_capacity;
    int64_t slot_bytes[SLOT_KINDS];
    int64_t scratch_bytes;            /* a thread, pointer table included */
    int64_t work;                     /* element operations a run, about */
    int64_t touched;                  /* bytes that a run loads and stores, about */
    bool serial;                      /* has effects in its ONCE sections */
    bool streams;                     /* has stores that go past the caches */
    cpu_contract *contract;           /* CONTRACT: the step as products; owned */
    cpu_tape *prologue[2];            /* CONTRACT: of the operands, NULL: none; owned, cpu.c's */
    int32_t product_store;            /* CONTRACT: the STORE into whose buffer the product goes, -1: scratch */
    int32_t ahead[PLAN_MOST_FETCHES]; /* accesses of which the next task's part is fetched while one computes */
    int ahead_count;
};

/* Memory that the next task will touch. */
typedef struct cpu_ahead {
    const char *at, *end;
} cpu_ahead;

struct cpu_runner {
    void **slot;
    const cpu_tape *tape;
    char *const *address;               /* of the plan's buffers */
    char *product;                      /* CONTRACT: the product at the block's first lane */
    int64_t lane;                       /* first lane of the block */
    int64_t fill;                       /* lanes that a uniform value is spread over */
    int64_t store_shift;                /* elements added to stores: the piece's place */
    int64_t coord[PLAN_MAX_DIMS];       /* of the loop */
    cpu_ahead ahead[PLAN_MOST_FETCHES]; /* what is left to fetch, the last one first */
    int ahead_count;
    int64_t ahead_lines; /* to fetch with each entry */
};

/* ---------------------------------------------------------------- vector.c, one table an instruction set (isa.h) */

/* A reduction of one dtype. Entries: d the result (tiles: also the partial values), a the total, in the wide dtype
 * (f64 for f32), b the source. Tile: n results side by side. Row: one result of n lanes. */
typedef struct cpu_reducer {
    cpu_fn tile_init, tile_add, tile_flush, tile_finish;
    cpu_fn row_init, row_add, row_finish;
} cpu_reducer;

/* The forms of a map: bit k says that operand k is one value for all lanes. With all bits set so is the result: one
 * element. Not every combination exists for three operands. */
#define CPU_FORMS 8

/* Two maps of f32 in one loop: the second's operand number operand is the first's result. Entries: a, b the operands
 * of the first, then the others of the second. Forms as of a map, over all of them; NULL where there is none. */
#define CPU_JOIN_FORMS 11
typedef struct cpu_join {
    uint8_t first, second, operand;
    cpu_fn form[CPU_JOIN_FORMS];
} cpu_join;

/* Rows of results, each reduced from some terms: x at a lane, or that times w. */
typedef struct cpu_row {
    int64_t rows, x_step, w_step;   /* elements from row to row */
    void *d;                        /* the first lane's; rows of n follow each other */
    const void *x, *w;              /* buffers */
    int64_t x_from, w_from;         /* the element that offsets count from */
    const int64_t *x_at, *w_at;     /* of each term: the offset of its lane 0 */
    const int64_t *begin, *end;     /* the lanes that it has */
    int64_t x_stride, w_stride;     /* of lanes */
    int64_t lane, n;                /* lanes lane ... lane + n - 1 */
    int64_t whole_begin, whole_end; /* lanes that all terms have */
    int count;
    bool readable; /* all lanes of all terms are in the buffers, strides are what the loop is for */
} cpu_row;
typedef void (*cpu_sweep_fn)(const cpu_row *);

/* Rows that are added up to one result: lanes begin ... end - 1 of each, of x or of x times w. */
typedef struct cpu_rows {
    const void *x, *w;          /* buffers */
    int64_t x_from, w_from;     /* the element that offsets count from */
    const int64_t *x_at, *w_at; /* of each row: the offset of its lane 0 */
    int64_t begin, end, flush;  /* flush: rows that are added up in the dtype */
    int count;
} cpu_rows;
typedef double (*cpu_dot_fn)(const cpu_rows *);

/* Rows by form: x alone, times one value, times neighbours. And by x's stride: 1 or any, 2. */
enum { SWEEP_PLAIN, SWEEP_BY_ONE, SWEEP_BY_LANES, SWEEP_FORMS };
typedef struct cpu_sweeps {
    cpu_sweep_fn sum[SWEEP_FORMS][2], max[2];
    cpu_dot_fn dot[SWEEP_FORMS]; /* x's stride is 1 */
} cpu_sweeps;

/* Lines that are scanned side by side, lane_step elements apart; the elements of each are step apart. */
typedef struct cpu_lines {
    const void *x, *c; /* the first element of the first line, of both operands */
    void *y;           /* NULL: only what the lines give is wanted */
    int64_t length, step, lanes, lane_step;
    void *carry;  /* of each line: the accumulator before, and then after it */
    bool begins;  /* the accumulators are those before a first element */
    void *factor; /* y NULL: of each line, the product of c's elements */
    bool streams; /* elements are neighbours; y is long, and starts at cache lines wherever 64 bytes of elements do */
} cpu_lines;
typedef void (*cpu_scan_fn)(const cpu_lines *);

/* Some rows and columns of a SCATTER step's result. */
typedef struct cpu_area {
    int64_t row_first, row_last, column_first, column_last;
} cpu_area;
typedef void (*cpu_scatter_fn)(const plan_array *, const int32_t *indices, const void *updates, void *result,
                               cpu_area part);

typedef struct cpu_vectors {
    cpu_scan_fn scan[OP_COUNT][CLG_DTYPE_COUNT];
    void (*scatter_begin[OP_COUNT][CLG_DTYPE_COUNT])(void *result,
                                                     int64_t count); /* elements of rows without updates */
    cpu_scatter_fn scatter[OP_COUNT][CLG_DTYPE_COUNT];
    cpu_fn map[OP_COUNT][CLG_DTYPE_COUNT][CPU_FORMS]; /* by the dtype of the last operand; NULL: not defined */
    cpu_fn cast[CLG_DTYPE_COUNT][CLG_DTYPE_COUNT][2]; /* [from][to], lanes or one value */
    cpu_reducer reduce[OP_COUNT][CLG_DTYPE_COUNT];
    const cpu_join *joins;
    int join_count;
    cpu_sweeps sweep[2]; /* f32, f64 */
    cpu_fn stream; /* d a view of the destination, a the source, b the size of an element: copied past the caches */
} cpu_vectors;

/* ---------------------------------------------------------------- the other files */

/* bounds.c. a / b rounded up, b > 0. */
int64_t cpu_ceil(int64_t a, int64_t b);
/* Narrows a run of lanes, from *begin to *end, to those where lo <= step * lane < hi; an empty one is 0 to 0. */
void cpu_narrow_run(int64_t lo, int64_t hi, int64_t step, int64_t *begin, int64_t *end);

/* access.c. Entries: d slot, an access (b: slot of the rows), except stores: a slot, b access. */
void cpu_load_view(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_load_one(cpu_runner *, const cpu_entry *, int64_t n); /* one value for all lanes */
void cpu_load_walk(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_load_row(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_load_rows(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_iota(cpu_runner *, const cpu_entry *, int64_t n);       /* c 1: fill lanes */
void cpu_mask(cpu_runner *, const cpu_entry *, int64_t n);       /* b the source */
void cpu_store_view(cpu_runner *, const cpu_entry *, int64_t n); /* d becomes a view of the destination */
void cpu_store_walk(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_product(cpu_runner *, const cpu_entry *, int64_t n);
void cpu_constant(cpu_runner *, const cpu_entry *, int64_t n); /* d slot, a constant, b dtype */
void cpu_fill(cpu_runner *, const cpu_entry *, int64_t n);     /* d slot, a slot of a scalar, b element size */

/* Adds the access of a LOAD, STORE or IOTA in a section of a kind. */
clg_status cpu_access_add(cpu_tape *tape, const plan_instr *instr, plan_section_kind section, int32_t *index);

/* alias.c. Memory that a step stores into, as disjoint spans sorted by address. Which instruction is when: an index
 * into the body. */
typedef struct cpu_span {
    const char *lo, *hi;
    int32_t stores, first, last; /* how many STOREs, the first and the last of them */
    int32_t load_last;           /* the last use of what is loaded from there, -1: nothing is */
} cpu_span;
typedef struct cpu_spans {
    cpu_span *span;
    int32_t count;
} cpu_spans;
clg_status cpu_spans_build(const plan *p, const plan_step *step, char *const *address, cpu_spans *spans);
/* last_use[i]: when the register of instruction i is last read. */
void cpu_spans_add_loads(const plan *p, const plan_step *step, char *const *address, const int32_t *last_use,
                         cpu_spans *spans);
/* The spans that meet a buffer: the first one, and how many follow each other. */
cpu_span *cpu_spans_find(const cpu_spans *spans, const plan *p, char *const *address, int32_t buffer, int32_t *count);
/* Whether a buffer that is stored to meets no other load or store of the step. */
bool cpu_spans_alone(const cpu_spans *spans, const plan *p, char *const *address, int32_t buffer);

/* uses.c. Flags of a register. */
enum {
    CPU_ONE = 1,    /* one value for all lanes */
    CPU_SPREAD = 2, /* ONE, and wanted as lanes, too */
    CPU_STAYS = 4   /* through all positions of the step */
};
/* For each register its flags and the instruction that reads it last: the end of the reading section if that runs
 * several times and the value comes from elsewhere; -1 if there is none. join: the instruction with which one shares
 * an entry, -1: none. Of the two the later one computes both. Checks the operands of the instructions. */
clg_status cpu_uses_find(const cpu_tape *tape, const cpu_vectors *vectors, int32_t *last_use, uint8_t *flags,
                         int32_t *join);
/* The entry of instructions first and second: its function, NULL if there is none, and the registers that it reads. */
cpu_fn cpu_join_find(const plan_step *step, const cpu_vectors *vectors, const uint8_t *flags, int32_t first,
                     int32_t second, int32_t src[4]);
/* The form in which a MAP of a section with lanes takes its operands. */
uint32_t cpu_uniform_operands(const plan_step *step, const cpu_vectors *vectors, const uint8_t *flags, int32_t i);
/* Whether instruction i loads from one row of a table for all lanes. */
bool cpu_loads_one_row(const plan_step *step, const uint8_t *flags, int32_t i);
/* Whether a section's registers have lanes. */
bool cpu_section_is_wide(const cpu_tape *tape, plan_section_kind kind);

/* share.c. A copy of a step without the instructions of INNER sections that compute what an earlier one has: right
 * where every section runs once for a row. The caller frees it. */
clg_status cpu_share_sections(const plan_step *step, plan_step **result);

/* sweep.c. What an INNER section does, if that can be done row by row; NULL if not. slot: of the registers. */
clg_status cpu_sweep_new(const plan *p, const cpu_tape *tape, const plan_section *section, const cpu_vectors *vectors,
                         const int32_t *slot, cpu_sweep **result);
void cpu_sweep_free(cpu_sweep *sweep);
/* Does it for n outer positions. */
void cpu_sweep_run(cpu_runner *r, const cpu_sweep *sweep, int64_t n);

/* dot.c. The same for lanes over inner positions, one outer position at a time. */
clg_status cpu_dot_new(const cpu_tape *tape, const plan_section *section, const cpu_vectors *vectors,
                       const int32_t *slot, cpu_dot **result);
void cpu_dot_free(cpu_dot *dot);
void cpu_dot_run(cpu_runner *r, const cpu_dot *dot);

/* tape.c. address: of the plan's buffers, to see which share memory. */
clg_status cpu_tape_build(const plan *p, const plan_step *step, char *const *address, const cpu_vectors *vectors,
                          cpu_tape *tape);
void cpu_tape_free(cpu_tape *tape);

/* ahead.c. What the tape touches, and what of it to fetch ahead, when all accesses are known. */
void cpu_ahead_find(cpu_tape *tape);
/* The next task has n lanes from lane on at coord of the loop; this one has about so many entries to execute. */
void cpu_ahead_begin(cpu_runner *r, const int64_t *coord, int64_t lane, int64_t n, int32_t entries);
/* Fetches an entry's share of it. */
void cpu_ahead_fetch(cpu_runner *r);

/* run.c. Chooses the block and lays out the scratch, when all slots are known. */
void cpu_tape_measure(cpu_tape *tape);
/* scratch[t]: scratch_bytes of the tape for thread t, 64-byte aligned. */
void cpu_run_loop(const cpu_tape *tape, char *const *address, char *const *scratch, cpu_pool *pool);
/* A runner over scratch, its ONCE sections evaluated; then blocks of lanes of a tape without loop. */
void cpu_runner_begin(cpu_runner *runner, const cpu_tape *tape, char *const *address, char *scratch);
void cpu_runner_block(cpu_runner *runner, int64_t lane, int64_t n);

/* Splits total over count workers; worker i does [*first, *last), cut at multiples of grain. */
void cpu_share(int64_t total, int64_t grain, int i, int count, int64_t *first, int64_t *last);

/* matmul.c */
void cpu_matmul_open(void);
/* Sets tape->product_store. last_use: of the body's registers; spans: of the memory that it stores into. */
void cpu_product_find_store(const plan *p, cpu_tape *tape, char *const *address, const int32_t *last_use,
                            cpu_spans *spans);
/* Bytes of a thread's scratch for its part of the product. */
int64_t cpu_matmul_scratch(const cpu_tape *tape, const gemm_table *table);
void cpu_run_matmul(const cpu_tape *tape, char *const *address, char *const *scratch, cpu_pool *pool,
                    const gemm_table *table);
/* arrays.c. Bytes of a thread's scratch for an ARRAY step, and its run. */
int64_t cpu_array_scratch(const plan_step *step);
void cpu_run_array(const plan_step *step, char *const *address, char *const *scratch, cpu_pool *pool,
                   const cpu_vectors *vectors);
/* matrix.c. A MATRIX step on one of its matrices; scratch: cpu_matrix_scratch bytes. */
int64_t cpu_matrix_scratch(clg_dtype dtype, const plan_array *a);
void cpu_matrix(clg_dtype dtype, const plan_array *a, const void *matrix, const void *side, void *result,
                char *scratch);
/* sort.c. The first `results` indices of a line of `length` elements, sorted; scratch: cpu_sort_scratch bytes. */
int64_t cpu_sort_scratch(clg_dtype dtype, int64_t length, int64_t results);
void cpu_sort_line(clg_dtype dtype, const void *x, int64_t length, bool descending, int32_t *order, int64_t results,
                   char *scratch);

/* Work below this many element operations is not worth a parallel region. */
#define CPU_PARALLEL_WORK 32768
#endif
