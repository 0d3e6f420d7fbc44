/* A MATMUL step as it was chosen (tuning.c: what was measured, else the built-in choice here):
 *
 *   CLBlast     GPUs: clblast.c
 *   generated   kernels/matmul.cl (CPU devices, tile.c) or kernels/matmul_gpu.cl, with the body as epilogue */
#include "tuning.h"

#include <stdlib.h>

#define DEPTH 4     /* spaces of one level */
#define BLOCK 8     /* of a transposition in registers; 16 takes three times as long to compile */
#define GPU_TILE 4  /* rows, and columns, of a work-item's tile in kernels/matmul_gpu.cl */
#define GPU_SIDE 16 /* most work-items along a side of a group */
#define LEADING 3   /* most buffers before those of the body */

/* ---------------------------------------------------------------- choices */

static product_tile gpu_tile(const backend_device *device)
{
    int side = GPU_SIDE;
    while (side > 1 && (size_t)side * (size_t)side > device->group_limit)
        side /= 2;
    return (product_tile){.rows = GPU_TILE, .vectors = GPU_TILE, .width = side};
}

static bool is_legal_gpu(const backend_device *device, const product_tile *t)
{
    size_t side = (size_t)t->width;
    return t->rows == GPU_TILE && t->vectors == GPU_TILE && !t->packed_a && !t->packed_b && t->width >= 1 &&
           t->width <= GPU_SIDE && side * side <= device->group_limit;
}

product_tile matmul_builtin_tile(const backend_device *device, const plan_step *step)
{
    return device->strategy == STRATEGY_GPU ? gpu_tile(device) : tile_choose(device, step);
}

product_choice matmul_builtin(const backend_device *device, const plan_step *step)
{
    if (device->matmul == MATMUL_CLBLAST && clblast_serves(step))
        return (product_choice){.provider = MATMUL_CLBLAST};
    return (product_choice){MATMUL_GENERATED, matmul_builtin_tile(device, step)};
}

bool matmul_is_legal(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    if (choice->provider == MATMUL_CLBLAST)
        return clblast_serves(step);
    return device->strategy == STRATEGY_GPU ? is_legal_gpu(device, &choice->tile)
                                            : tile_is_legal(device, step, &choice->tile);
}

bool matmul_is_allowed(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    bool other = device->matmul_fixed && choice->provider != matmul_builtin(device, step).provider;
    return !other && matmul_is_legal(device, step, choice);
}

double matmul_waste(const backend_device *device, const plan_step *step, const product_choice *choice)
{
    if (choice->provider == MATMUL_CLBLAST || step->m == 0 || step->n == 0)
        return 1;
    int64_t columns = choice->tile.vectors * choice->tile.width;
    int64_t rows = choice->tile.rows * (device->strategy == STRATEGY_GPU ? choice->tile.width : 1);
    return (double)(divide_up(step->m, rows) * rows) * (double)(divide_up(step->n, columns) * columns) /
           ((double)step->m * (double)step->n);
}

int matmul_candidates(const backend_device *device, const plan_step *step, product_choice *choices, int capacity)
{
    enum { MOST_TILES = 64 };
    product_tile tiles[MOST_TILES];
    int count = 0, tile_count = 0;
    product_choice clblast = {.provider = MATMUL_CLBLAST};
    if (device->matmul == MATMUL_CLBLAST && matmul_is_allowed(device, step, &clblast) && count < capacity)
        choices[count++] = clblast;
    if (device->strategy == STRATEGY_CPU)
        tile_count =
            tile_candidates(device, step, tiles, capacity - count < MOST_TILES ? capacity - count : MOST_TILES);
    else
        for (int side = GPU_SIDE; side >= GPU_SIDE / 4; side /= 2)
            tiles[tile_count++] = (product_tile){.rows = GPU_TILE, .vectors = GPU_TILE, .width = side};
    for (int i = 0; i < tile_count && count < capacity; i++) {
        choices[count] = (product_choice){MATMUL_GENERATED, tiles[i]};
        count += matmul_is_allowed(device, step, &choices[count]);
    }
    return count;
}

/* ---------------------------------------------------------------- generated kernels */

static void define(text *t, const char *name, int64_t value)
{
    text_add(t, "#define %s %lld\n", name, (long long)value);
}

static void define_matrix(text *t, char letter, const plan_matrix *x)
{
    text_add(t, "#define %c_OFFSET %lld\n#define %c_BATCH %lld\n#define %c_ROW %lld\n#define %c_COLUMN %lld\n", letter,
             (long long)x->offset, letter, (long long)x->batch_stride, letter, (long long)x->row_stride, letter,
             (long long)x->column_stride);
}

static void define_vector(text *t, const char *prefix, int dtype, int width)
{
    const body_suffix_text s = body_suffix(dtype, width);
    text_add(t, "#define %sV %s_t\n#define %sAT(space, p) VECTOR_AT(space, %s, p)\n", prefix, s.s, prefix, s.s);
}

/* The macros that walk over a tile: F(0) F(1) ... */
static void define_tile(text *t, product_tile tile, int dtype)
{
    define_vector(t, "", dtype, tile.width);
    define(t, "W", tile.width);
    define(t, "TM", tile.rows);
    define(t, "NV", tile.vectors);
    text_add(t, "#define EACH_ROW(F)");
    for (int i = 0; i < tile.rows; i++)
        text_add(t, " F(%d)", i);
    text_add(t, "\n#define EACH_VECTOR(F, i)");
    for (int i = 0; i < tile.vectors; i++)
        text_add(t, " F(i, %d)", i);
    text_add(t, "\n");
}

/* A generated product being made. */
typedef struct product {
    launch_list *list;
    const plan_step *step;
    int32_t number;
    product_tile tile;
    body_printer p;
    stride_names strides; /* of the body, where they are arguments */
    text once, epilogue, source;
    int32_t *arguments; /* of the body, behind room for LEADING others */
    plan_matrix a, b;   /* as the kernel sees them */
    bool b_in_scratch;
} product;

static void print_once(product *x)
{
    body_printer once = x->p;
    once.out = &x->once;
    once.width = 1;
    once.indent = DEPTH;
    body_print_sections(&once, SECTION_ONCE);
}

/* The body over one row of the tile: vectors, and single columns of one that is not all in the matrix, or in part
 * another tile's. */
static void print_epilogue(product *x, product_tile tile)
{
    bool edge = x->step->n % (tile.vectors * tile.width) != 0;
    body_printer *p = &x->p;
    p->out = &x->epilogue;
    p->indent = 5 * DEPTH;
    p->width = tile.width;
    p->product = "AT(private, tile + (i * NV + v) * W)";
    body_line(p, "ROLLED");
    body_line(p, "for (int v = 0; v < NV; v++) {");
    p->indent += DEPTH;
    body_line(p, "const INDEX p2 = column + v * W;");
    if (edge) {
        body_line(p, "if (p2 >= first_column && p2 + W <= columns) {");
        p->indent += DEPTH;
    }
    body_print_sections(p, SECTION_OUTER);
    if (edge) {
        p->indent -= DEPTH;
        body_line(p, "} else {");
        p->indent += DEPTH;
        body_line(p, "const INDEX start = max(p2, first_column), end = min(p2 + W, columns);");
        body_line(p, "ROLLED");
        body_line(p, "for (INDEX p2 = start; p2 < end; p2++) {");
        p->indent += DEPTH;
        p->width = 1;
        p->product = "tile[i * (NV * W) + (int)(p2 - column)]";
        body_print_sections(p, SECTION_OUTER);
        p->indent -= DEPTH;
        body_line(p, "}");
        p->indent -= DEPTH;
        body_line(p, "}");
    }
    p->indent -= DEPTH;
    body_line(p, "}");
}

static void print_head(product *x)
{
    text *t = &x->source;
    text_add(t, "#define T %s_t\n#define INDEX %s\n#define PARAMETERS %s", body_suffix(x->step->dtype, 1).s, x->p.index,
             x->p.argument_count ? ", " : "");
    body_parameters(&x->p, t);
    for (int i = 0; i < x->strides.count; i++)
        text_add(t, ", const INDEX s%d", i);
    text_add(t, "\n");
}

static void set_values(const product *x, launch *added, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++)
        added->values[added->value_count++] = values[i];
    added->long_values = x->p.index[0] == 'l';
}

static clg_status add_product(product *x, const char *skeleton, bool shared, launch **added)
{
    static const char *const names[] = {"once", "epilogue"};
    const char *bodies[] = {x->once.data, x->epilogue.data};
    text_add_skeleton(&x->source, skeleton, names, bodies, 2);
    x->source.failed |= x->once.failed || x->epilogue.failed;
    int leading = shared ? LEADING : LEADING - 1;
    int32_t *arguments = x->arguments + LEADING - leading;
    arguments[0] = x->step->a.buffer;
    arguments[1] = x->b_in_scratch ? ARGUMENT_SCRATCH : x->step->b.buffer;
    if (shared)
        arguments[2] = ARGUMENT_SHARES;
    return launch_add(x->list, x->number, &x->source, arguments, x->p.argument_count + leading, added);
}

/* A matrix whose rows are neighbours, replaced by a dense (batch, rows, columns) copy in scratch memory. */
static clg_status add_transpose(product *x, plan_matrix *matrix, int64_t rows, int64_t columns)
{
    const plan_step *step = x->step;
    int64_t batch = matrix->batch_stride ? step->batch : 1;
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s, x->p.index);
    define_vector(&t, "", step->dtype, BLOCK);
    define(&t, "W", BLOCK);
    text_add_skeleton(&t, "transpose.cl", NULL, NULL, 0);
    launch *added = NULL;
    clg_status status = launch_add(x->list, x->number, &t, (int32_t[]){matrix->buffer, ARGUMENT_SCRATCH}, 2, &added);
    if (status != CLG_OK)
        return status;
    const int64_t values[] = {rows, columns, matrix->offset, matrix->batch_stride, matrix->column_stride, 0};
    set_values(x, added, values, 6);
    added->dimensions = 2;
    added->global[0] = (size_t)divide_up(rows, BLOCK);
    added->global[1] = (size_t)batch;
    *matrix = (plan_matrix){.batch_stride = batch > 1 ? rows * columns : 0, .row_stride = columns, .column_stride = 1};
    x->list->scratch_bytes =
        larger(x->list->scratch_bytes, batch * rows * columns * (int64_t)clg_dtype_size(step->dtype));
    return CLG_OK;
}

static clg_status add_cpu(product *x)
{
    const plan_step *step = x->step;
    const backend_device *device = x->list->device;
    const product_tile tile = x->tile;
    clg_status status = CLG_OK;
    /* B is read along its rows */
    x->b_in_scratch = tile_b_transposed(step) && !tile.packed_b;
    if (x->b_in_scratch)
        status = add_transpose(x, &x->b, step->k, step->n);
    if (status != CLG_OK)
        return status;
    int64_t row_tiles = divide_up(step->m, tile.rows), panels = divide_up(step->n, tile.vectors * tile.width);
    int64_t row_parts = divide_up(row_tiles, tile.tiles_each), panel_parts = divide_up(panels, tile.panels_each);
    int64_t shares = step->batch * row_parts * panel_parts;
    if (shares > INT32_MAX)
        return clg_fail(CLG_ERROR_UNSUPPORTED,
                        "step %d: a product of batch %lld is more than an OpenCL device counts, %d", x->number,
                        (long long)step->batch, INT32_MAX);
    bool a_transposed = tile_a_transposed(step), b_transposed = tile.packed_b && tile_b_transposed(step);
    x->p.strides = &x->strides;
    print_once(x);
    print_epilogue(x, tile);
    print_head(x);
    define_tile(&x->source, tile, step->dtype);
    define(&x->source, "A_TRANSPOSED", a_transposed);
    define(&x->source, "B_TRANSPOSED", b_transposed);
    define(&x->source, "PACK_A", tile.packed_a ? tile_rows_depth(step) : 0);
    define(&x->source, "PACK_B", tile.packed_b);
    define(&x->source, "PANELS", tile_panel_limit(device, step));
    if (b_transposed)
        define_vector(&x->source, "BLOCK_", step->dtype, BLOCK);
    launch *added = NULL;
    status = add_product(x, "matmul.cl", true, &added);
    if (status != CLG_OK)
        return status;
    const int64_t values[] = {step->m,     step->n,           step->k,
                              x->a.offset, x->a.batch_stride, a_transposed ? x->a.column_stride : x->a.row_stride,
                              x->b.offset, x->b.batch_stride, b_transposed ? x->b.column_stride : x->b.row_stride,
                              row_tiles,   tile.tiles_each,   row_parts,
                              panels,      tile.panels_each,  panel_parts,
                              shares};
    set_values(x, added, x->strides.value, x->strides.count);
    set_values(x, added, values, sizeof values / sizeof *values);
    added->global[0] = (size_t)launch_groups(device, shares);
    return CLG_OK;
}

static clg_status add_gpu(product *x)
{
    const plan_step *step = x->step;
    const size_t side = (size_t)x->tile.width;
    print_once(x);
    x->p.out = &x->epilogue;
    x->p.indent = 3 * DEPTH;
    x->p.product = "sum[i]";
    body_print_sections(&x->p, SECTION_OUTER);
    print_head(x);
    define(&x->source, "M", step->m);
    define(&x->source, "N", step->n);
    define(&x->source, "K", step->k);
    define_matrix(&x->source, 'A', &step->a);
    define_matrix(&x->source, 'B', &step->b);
    define(&x->source, "SIDE", (int64_t)side);
    launch *added = NULL;
    clg_status status = add_product(x, "matmul_gpu.cl", false, &added);
    if (status != CLG_OK)
        return status;
    added->dimensions = 3;
    added->local[0] = added->local[1] = side;
    added->global[0] = (size_t)divide_up(step->n, 4 * (int64_t)side) * side;
    added->global[1] = (size_t)divide_up(step->m, 4 * (int64_t)side) * side;
    added->global[2] = (size_t)step->batch;
    return CLG_OK;
}

/* The largest index that a kernel computes from a matrix. */
static int64_t matrix_reach(const plan_matrix *x, int64_t batch, int64_t rows, int64_t columns)
{
    return x->offset + batch * x->batch_stride + rows * x->row_stride + columns * x->column_stride;
}

static clg_status generated_add(launch_list *list, int32_t number, product_tile tile)
{
    const plan_step *step = &list->plan->steps[number];
    bool gpu = list->device->strategy == STRATEGY_GPU;
    product x = {.list = list, .step = step, .number = number, .tile = tile, .a = step->a, .b = step->b};
    x.p = (body_printer){
        .plan = list->plan, .step = step, .width = 1, .lane = gpu ? -1 : 2, .tile = 1, .accumulator = ""};
    int64_t reach = matrix_reach(&step->a, step->batch, step->m, step->k) +
                    matrix_reach(&step->b, step->batch, step->k, step->n) + step->batch * step->k * step->n;
    x.p.index = reach >= INDEX32_LIMIT ? "long" : body_index_type(list->plan, step);
    x.arguments = malloc(((size_t)step->instr_count + LEADING + 1) * sizeof *x.arguments);
    clg_status status = x.arguments ? body_analyse(&x.p) : clg_fail_memory();
    if (status == CLG_OK) {
        x.p.arguments = x.arguments + LEADING;
        x.p.argument_count = body_buffers(step, x.arguments + LEADING);
        status = gpu ? add_gpu(&x) : add_cpu(&x);
    }
    text_free(&x.once);
    text_free(&x.epilogue);
    text_free(&x.source);
    body_free(&x.p);
    free(x.arguments);
    return status;
}

/* ---------------------------------------------------------------- */

clg_status matmul_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->batch == 0 || step->m == 0 || step->n == 0)
        return CLG_OK;
    product_choice choice = tuning_choose(list->device, step);
    return choice.provider == MATMUL_CLBLAST ? clblast_add(list, number) : generated_add(list, number, choice.tile);
}
