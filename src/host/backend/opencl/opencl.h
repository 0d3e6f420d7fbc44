/* What the files of the OpenCL backend share. Only this folder includes CL/cl.h (and clblast_c.h).
 *
 *   status.c   names of status codes         source.c        a body's instructions as OpenCL C
 *   text.c     a growing text, skeletons     loop.c, sums.c  a LOOP step as a kernel
 *   device.c   platforms, devices, buffers   matmul.c        a MATMUL step: the choice, generated kernels
 *   cache.c    built programs: table, disk   tile.c          how a CPU device cuts a product up
 *   program.c  prepare, bind, run, profile   rows.c          rows on CPU devices: what keeps them near
 *   tuning.c   measured choices, on disk     clblast*.c      a MATMUL step by CLBlast, and its parameters
 *   tune*.c    measure them (tuning.h)       scatter.c       a SCATTER_ADD step */
#ifndef CLG_OPENCL_H
#define CLG_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "../backend.h"
#include "../../core/array.h"
#include "../../core/ops.h"

/* ---------------------------------------------------------------- status.c */

const char *status_cl_name(cl_int code); /* "CL_OUT_OF_RESOURCES"; "unknown code" */
/* CLG_OK for CL_SUCCESS, else an error whose message is "CALL: CL_NAME (code)". */
clg_status status_check(cl_int code, const char *call);
#ifdef CLG_WITH_CLBLAST
clg_status status_check_clblast(int code, const char *call);
#endif

/* ---------------------------------------------------------------- text.c */

/* A growing text. Failure to grow is remembered, so that only the end of a long print is checked. */
typedef struct text {
    char *data; /* terminated; NULL while empty */
    size_t size, capacity;
    bool failed;
} text;

/* Numbers have a decimal point, whatever the program's locale. */
void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append(text *t, const char *bytes, size_t size);
void text_free(text *t);
/* sscanf that reads numbers likewise. */
int text_scan(const char *from, const char *format, ...) __attribute__((format(scanf, 2, 3)));

/* ---------------------------------------------------------------- the embedded kernels/ (EmbedKernels.cmake) */

typedef struct kernel_file {
    const char *name; /* "loop.cl" */
    const char *text;
} kernel_file;

extern const kernel_file clg_kernel_files[]; /* ends with a NULL name */
const char *kernel_file_text(const char *name);

/* Appends a skeleton. A line of it that reads "//@ NAME" is replaced by bodies[i], where names[i] is NAME. */
void text_add_skeleton(text *t, const char *file, const char *const *names, const char *const *bodies, int count);

/* ---------------------------------------------------------------- device.c */

struct backend_buffer {
    cl_mem memory;
    int64_t bytes;
};

typedef enum device_strategy { STRATEGY_CPU, STRATEGY_GPU } device_strategy;

typedef enum product_provider { MATMUL_GENERATED, MATMUL_CLBLAST } product_provider;

/* How a CPU device cuts a product up: into register tiles of rows x vectors of width columns (so many columns are a
 * panel), of which a share is tiles_each rows and panels_each columns. packed_b: from a copy of the panels, which may
 * then be padded; packed_a: the rows of a tile are copied, too. With the GPU strategy only: rows x vectors
 * elements a work-item, width work-items along each side of a group. */
typedef struct product_tile {
    int rows, vectors, width;
    bool packed_a, packed_b;
    int64_t tiles_each, panels_each;
} product_tile;

/* How a product is computed. */
typedef struct product_choice {
    product_provider provider;
    product_tile tile; /* MATMUL_GENERATED */
} product_choice;

#define SHARE_STEP 16 /* ints from a counter of shares to the next: a cache line */
#define STAGING_SLOTS 4

/* A host copy of a small write, so that write need not wait for the device. */
typedef struct device_staging {
    void *data;
    size_t capacity;
    cl_event written; /* NULL: free */
} device_staging;

typedef struct program_entry program_entry;
typedef struct tuning tuning;

struct backend_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue; /* in order */
    cl_command_queue timed; /* in order, with profiling; NULL until it is needed */
    clg_device_info info;
    device_strategy strategy;
    product_provider matmul;      /* where nothing was measured */
    bool matmul_fixed;            /* by the environment: measurements choose no other */
    const product_choice *forced; /* of every product, while choices are measured; else NULL */
    tuning *tuned;                /* what was measured */
    bool has_f64, rounds_division;
    int64_t base_alignment; /* bytes */
    int64_t local_memory;   /* bytes */
    int vector_bytes;       /* of a register: 16, 32 or 64 */
    size_t group_limit;     /* work-items in a group */
    cl_mem shares;          /* counters of the shares that work-groups draw (kernels/prelude.cl); NULL: GPU strategy */
    char *cache_key;        /* what a disk cache entry depends on beside the source */
    char *cache_folder;     /* NULL: no disk cache */
    program_entry *programs;
    int64_t cache_hits, cache_misses; /* of the disk cache, since the device was opened */
    device_staging staging[STAGING_SLOTS];
    int next_staging;
};

/* OpenCL objects that this backend has made and not released, in the whole process (for tests). */
int opencl_live_objects(void);
void opencl_count_object(int change);

clg_status device_create_memory(backend_device *device, int64_t bytes, cl_mem *memory);
void device_release_memory(cl_mem memory);
/* Makes device->shares if it is not there, and sets the counters to 0: kernels leave them so unless one was aborted. */
clg_status device_clear_shares(backend_device *device);
/* Makes device->timed, if it is not there. CLG_ERROR_UNSUPPORTED: the device cannot time commands. */
clg_status device_open_timed_queue(backend_device *device);

/* ---------------------------------------------------------------- cache.c */

/* One built kernel source, shared by the launches whose source is equal. */
typedef struct program_kernel {
    char *source; /* without its name */
    uint64_t hash;
    char name[16];
} program_kernel;

/* A cl_program in the device's table. */
struct program_entry {
    cl_program program;
    program_kernel *kernels;
    int count;
    int users; /* programs that use it; unused entries go when there are many */
    program_entry *next;
};

/* Where a user's caches are, malloc'ed; NULL: nowhere. */
char *cache_user_folder(void);
/* A file's new content, written aside and renamed, so that a reader sees all of it or nothing; makes the folders. False
 * with errno set. */
bool cache_write_file(const char *path, const char *bytes, size_t size);
/* Appends the rest of a file; t->failed if it cannot be read. */
void cache_read_rest(FILE *file, text *t);
/* 128 bits of bytes as 32 hexadecimal digits. */
typedef struct cache_digest {
    char digits[33];
} cache_digest;
cache_digest cache_digest_of(const char *bytes, size_t size);

clg_status cache_open(backend_device *device);
void cache_close(backend_device *device);
/* Finds a built kernel in the device's table: its entry, NULL if there is none. */
program_entry *cache_find(backend_device *device, const char *source, const program_kernel **kernel);
uint64_t cache_hash(const char *source);
/* Builds kernel sources (each uses the macro KERNEL as its name) behind a prelude, from the disk cache if it has
 * them, and adds them to the device's table as one entry. */
clg_status cache_build(backend_device *device, const char *prelude, const char *const *sources, int count,
                       program_entry **entry);
/* Releases entries without users while there are more than keep entries. */
void cache_trim(backend_device *device, int keep);

/* ---------------------------------------------------------------- source.c */

#define MAX_LANES 16
#define MAX_STRIDES 16

typedef enum body_part { PART_ALL, PART_VALUES, PART_STORES } body_part;

/* Strides that are arguments of a kernel, s0, s1, ..., so that steps of several shapes share it. */
typedef struct stride_names {
    int64_t value[MAX_STRIDES];
    int count;
} stride_names;

/* How a body is printed. A register is a scalar when it does not depend on the lane dimension, else a vector of
 * width elements. With tile > 1 registers that outlive their section are arrays indexed by t. */
typedef struct body_printer {
    text *out;
    const plan *plan;
    const plan_step *step;
    int width; /* lanes of vectors: 1, 4, 8, 16 */
    int lane;  /* dimension along which lanes run; -1: none */
    int tile;  /* vectors side by side */
    body_part part;
    const char *accumulator;  /* ending of the names of accumulators */
    int indent;               /* spaces in front of each line */
    const char *product;      /* expression of INSTR_PRODUCT; NULL: loaded from step->product */
    const int32_t *arguments; /* buffers of the plan, in the order of the kernel's arguments */
    int argument_count;
    const char *index;     /* C type of indices: "int" or "long" */
    stride_names *strides; /* NULL: strides are printed as numbers */
    bool *uniform;         /* of each register: the same for all lanes */
    bool *crossing;        /* of each register: read by later sections, and not of a ONCE section */
    int32_t *kept; /* of each register: itself if an array keeps it for later sections, else the register whose array it
                      is read from; -1: neither. NULL: none is kept */
    const plan_section *ahead; /* fetches the next row; NULL: none does */
} body_printer;

/* Allocates and fills uniform and crossing for the printer's lane dimension. */
clg_status body_analyse(body_printer *p);
void body_free(body_printer *p);
/* The index of an access's element where the printer stands; the number of a buffer among the kernel's arguments. */
void body_add_address(const body_printer *p, text *t, const plan_access *access);
int body_argument(const body_printer *p, int32_t buffer);
/* A register as an operand of so many lanes; "const f32x16_t r7 = ", or "r7[t] = " for an element of an array; a
 * constant. */
void body_add_operand(const body_printer *p, text *t, int32_t reg, int width);
void body_begin_value(const body_printer *p, int32_t reg);
void body_add_constant(text *t, int dtype, double value);
/* loads.c: instructions that have an access. e%d is the address, in lane 0; with_piece: of a split step's piece. */
void body_print_address(const body_printer *p, int32_t reg, const plan_access *access, bool with_piece);
void body_print_load(const body_printer *p, int32_t reg);
void body_print_mask(const body_printer *p, int32_t reg);
/* rows.c, for printers on CPU devices whose lanes run over the inner positions of a row. Finds what arrays keep between
 * sections and which section fetches the next row; declares the arrays; prints the fetches of a vector. */
clg_status body_plan_rows(body_printer *p);
void body_declare_kept(const body_printer *p);
void body_print_ahead(const body_printer *p);
void body_print_section(const body_printer *p, const plan_section *section);
void body_print_sections(const body_printer *p, plan_section_kind kind);
/* Prints one line at the printer's indent. */
void body_line(const body_printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The suffix of kernels/math.h: "f32x16", "u8", ... */
typedef struct body_suffix_text {
    char s[16];
} body_suffix_text;
body_suffix_text body_suffix(int dtype, int width);
/* Lanes of a register where the printer stands. */
int body_register_width(const body_printer *p, int32_t reg);
/* A step all of whose index arithmetic stays below this counts in int: 31 bits, with room to spare. A test build lowers
 * it (CMakeLists.txt), so that small arrays run what is made for large ones. */
#ifdef CLGRAD_INDEX32_LIMIT
#define INDEX32_LIMIT ((int64_t)CLGRAD_INDEX32_LIMIT)
#else
#define INDEX32_LIMIT ((int64_t)1 << 30)
#endif
/* "int" or "long". */
const char *body_index_type(const plan *schedule, const plan_step *step);
/* The buffers of a step's body in order of first use, then those of a contraction's operands: fills buffers (room for
 * instr_count + 3), returns how many. */
int body_buffers(const plan_step *step, int32_t *buffers);
/* "global f32_t *b0, global i32_t *b1" */
void body_parameters(const body_printer *p, text *out);
/* What the kernels of a program share: math for the dtypes and widths they name, operations. */
void source_prelude(const char *const *sources, int count, text *out);

/* ---------------------------------------------------------------- launches (program.c) */

#define MAX_VALUES 40  /* numbers among a kernel's arguments */
#define MAX_OPERANDS 3 /* buffers of a library matrix product */

typedef enum launch_kind { LAUNCH_KERNEL, LAUNCH_CLBLAST } launch_kind;

/* One thing that a run enqueues. arguments are buffers of the plan, or ARGUMENT_*. */
typedef struct launch {
    launch_kind kind;
    int32_t step;
    char *source;      /* the kernel's source; until it is built */
    const char *built; /* then the same text in the device's table */
    const char *name;  /* and its name there */
    program_entry *entry;
    int32_t *arguments;
    int argument_count;
    int64_t values[MAX_VALUES]; /* numbers, the arguments after the buffers */
    int value_count;
    bool long_values; /* of C type long, else int */
    cl_uint dimensions;
    size_t global[3], local[3];
    cl_kernel kernel;
} launch;

#define ARGUMENT_SCRATCH (-1)
#define ARGUMENT_SHARES (-2) /* the device's counters of shares */

/* A program being prepared, as the generators see it. */
typedef struct launch_list {
    backend_device *device;
    const plan *plan;
    launch *launches;
    int32_t count, capacity;
    int64_t scratch_bytes; /* the most that any launch needs */
} launch_list;

/* Appends a launch; takes over source's memory (also on failure). arguments are copied. */
clg_status launch_add(launch_list *list, int32_t step, text *source, const int32_t *arguments, int argument_count,
                      launch **added);
/* Work-groups of a kernel on a CPU device that draw so many shares. */
int64_t launch_groups(const backend_device *device, int64_t shares);

clg_status program_prepare(backend_device *device, const plan *schedule, backend_buffer *const *bindings,
                           backend_program **prepared);
clg_status program_bind(backend_program *program, backend_buffer *const *bindings);
clg_status program_run(backend_program *program);
clg_status program_profile(backend_program *program, backend_span *spans);
void program_release(backend_program *program);
int32_t program_launches(const backend_program *program);
clg_status program_print(const backend_program *program, FILE *out);

/* clblast.c: enqueues the product of a LAUNCH_CLBLAST. */
clg_status clblast_run(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                       cl_mem scratch);

/* loop.c: a LOOP step, or the body of a MATMUL step run on its own with the product in a buffer. */
clg_status loop_add(launch_list *list, int32_t step);
/* contract.c */
clg_status contract_add(launch_list *list, int32_t step);
/* scatter.c */
clg_status scatter_add(launch_list *list, int32_t step);
/* matmul.c */
clg_status matmul_add(launch_list *list, int32_t step);
/* The choice where nothing was measured. */
product_choice matmul_builtin(const backend_device *device, const plan_step *step);
product_tile matmul_builtin_tile(const backend_device *device, const plan_step *step);
/* Whether the device can compute the step so; and whether the environment lets it. */
bool matmul_is_legal(const backend_device *device, const plan_step *step, const product_choice *choice);
bool matmul_is_allowed(const backend_device *device, const plan_step *step, const product_choice *choice);
/* Choices worth measuring, the most promising first; returns how many. */
int matmul_candidates(const backend_device *device, const plan_step *step, product_choice *choices, int capacity);
/* Multiply-adds of the choice over those of the product: what edges compute twice or in vain. */
double matmul_waste(const backend_device *device, const plan_step *step, const product_choice *choice);

/* tile.c, for CPU devices */
#define TILE_DEPTH 2048 /* of a product of which rows are copied, at the most */

product_tile tile_choose(const backend_device *device, const plan_step *step);
/* Sets tiles_each and panels_each; INFINITY if no share is possible, else the cycles that it may take. */
double tile_share_out(const backend_device *device, const plan_step *step, product_tile *tile);
/* Whether the kernel can compute the step by such tiles, whatever their share. */
bool tile_is_legal(const backend_device *device, const plan_step *step, const product_tile *tile);
int tile_candidates(const backend_device *device, const plan_step *step, product_tile *tiles, int capacity);
/* Elements of local memory that the copy of panels may take. */
int64_t tile_panel_limit(const backend_device *device, const plan_step *step);
/* Columns of A for which a copy of the rows of a tile has room. */
int64_t tile_rows_depth(const plan_step *step);
/* Whether columns, not rows, are dense in memory. */
bool tile_a_transposed(const plan_step *step);
bool tile_b_transposed(const plan_step *step);

#endif
