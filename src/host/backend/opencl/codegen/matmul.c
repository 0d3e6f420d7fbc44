/* A matrix product on a CPU device: kernels/matmul.cl, by the tiles of tile.c, with the body as epilogue. */
#include "body.h"
#include "codegen.h"

#define BLOCK 8   /* of a transposition in registers; 16 takes three times as long to compile */
#define LEADING 3 /* buffers before those of the body */

static void define(text *t, const char *name, int64_t value)
{
    text_add(t, "#define %s %lld\n", name, (long long)value);
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

/* A product being made. */
typedef struct product {
    const kernel_target *target;
    const plan_step *step;
    kernel_list *list;
    int32_t number;
    product_tile tile;
    body body;
    plan_matmul of;
    plan_matrix a, b; /* as the kernel sees them */
    bool b_in_scratch;
    text once, epilogue, source;
} product;

static void print_once(product *x)
{
    body_printer p = body_print_to(&x->body, &x->once);
    p.stride_numbers = true;
    x->once.indent = TEXT_LEVEL;
    body_print_idle(&x->body, &x->once);
    body_print_sections(&p, SECTION_ONCE);
}

/* The columns of a vector that is not all in the matrix, or in part another tile's. */
static void print_edge(const body_printer *p)
{
    body_printer single = *p;
    single.width = 1;
    single.product = "tile[i * (NV * W) + (int)(p2 - column)]";
    text_line(p->out, "const INDEX start = max(p2, first_column), end = min(p2 + W, columns);");
    text_line(p->out, "ROLLED");
    text_open(p->out, "for (INDEX p2 = start; p2 < end; p2++)");
    body_print_sections(&single, SECTION_OUTER);
    text_close(p->out);
}

/* The body over one row of the tile: vectors, and single columns at the edge. */
static void print_epilogue(product *x)
{
    bool edge = x->of.n % (x->tile.vectors * x->tile.width) != 0;
    text *out = &x->epilogue;
    body_printer p = body_print_to(&x->body, out);
    p.stride_numbers = true;
    p.width = x->tile.width;
    p.product = "AT(private, tile + (i * NV + v) * W)";
    out->indent = 5 * TEXT_LEVEL;
    text_line(out, "ROLLED");
    text_open(out, "for (int v = 0; v < NV; v++)");
    text_line(out, "const INDEX p2 = column + v * W;");
    if (edge)
        text_open(out, "if (p2 >= first_column && p2 + W <= columns)");
    body_print_sections(&p, SECTION_OUTER);
    if (edge) {
        out->indent -= TEXT_LEVEL;
        text_open(out, "} else");
        print_edge(&p);
        text_close(out);
    }
    text_close(out);
}

static void print_head(product *x)
{
    text *t = &x->source;
    text_add(t, "#define T %s_t\n#define INDEX %s\n#define PARAMETERS %s", body_suffix(x->of.dtype, 1).s, x->body.index,
             x->body.argument_count ? ", " : "");
    body_parameters(&x->body, t);
    text_add(t, "\n");
}

/* Numbers that the kernel's own text names. */
static void add_sizes(kernel_numbers *to, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++)
        to->items[to->count++] = (kernel_number){.kind = NUMBER_SIZE, .index = values[i]};
}

static clg_status add_product(product *x, const kernel_numbers *numbers, kernel_launch **added)
{
    static const char *const names[] = {"once", "epilogue"};
    const char *bodies[] = {x->once.data, x->epilogue.data};
    const int32_t leading[LEADING] = {x->a.buffer, x->b_in_scratch ? ARGUMENT_SCRATCH : x->b.buffer, ARGUMENT_SHARES};
    text_add_skeleton(&x->source, "matmul.cl", names, bodies, 2);
    x->source.failed |= x->once.failed || x->epilogue.failed;
    return kernel_add(x->list, &x->source, leading, LEADING, x->body.arguments, x->body.argument_count, numbers, added);
}

/* A matrix whose rows are neighbours, replaced by a dense (batch, rows, columns) copy in scratch memory. */
static clg_status add_transpose(product *x, plan_matrix *matrix, int stored, int64_t rows, int64_t columns)
{
    const plan_matmul *of = &x->of;
    int64_t batch = matrix->batch_stride ? of->batch : 1;
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n", body_suffix(of->dtype, 1).s, x->body.index);
    define_vector(&t, "", of->dtype, BLOCK);
    body_define_operand(&t, "IN", stored, of->dtype, BLOCK);
    define(&t, "W", BLOCK);
    text_add_skeleton(&t, "transpose.cl", NULL, NULL, 0);
    kernel_launch *added = NULL;
    kernel_numbers numbers = {.wide = x->body.index[0] == 'l'};
    add_sizes(&numbers, (int64_t[]){rows, columns, matrix->offset, matrix->batch_stride, matrix->column_stride, 0}, 6);
    numbers.items[numbers.count++] = (kernel_number){.kind = NUMBER_IDLE};
    clg_status status =
        kernel_add(x->list, &t, (int32_t[]){matrix->buffer, ARGUMENT_SCRATCH}, 2, NULL, 0, &numbers, &added);
    if (status != CLG_OK)
        return status;
    added->dimensions = 2;
    added->global[0] = (size_t)divide_up(rows, BLOCK);
    added->global[1] = (size_t)batch;
    *matrix = (plan_matrix){.batch_stride = batch > 1 ? rows * columns : 0, .row_stride = columns, .column_stride = 1};
    x->list->scratch_bytes =
        larger(x->list->scratch_bytes, batch * rows * columns * (int64_t)clg_dtype_size(of->dtype));
    return CLG_OK;
}

static clg_status add_cpu(product *x)
{
    const plan_matmul *of = &x->of;
    const product_tile tile = x->tile;
    clg_status status = CLG_OK;
    const int stored_a = body_operand_dtype(&x->body, 0);
    int stored_b = body_operand_dtype(&x->body, 1);
    /* B is read along its rows */
    x->b_in_scratch = tile_b_transposed(of) && !tile.packed_b;
    if (x->b_in_scratch) {
        status = add_transpose(x, &x->b, stored_b, of->k, of->n);
        stored_b = (int)of->dtype;
    }
    if (status != CLG_OK)
        return status;
    int64_t row_tiles = divide_up(of->m, tile.rows), panels = divide_up(of->n, tile.vectors * tile.width);
    int64_t row_parts = divide_up(row_tiles, tile.tiles_each), panel_parts = divide_up(panels, tile.panels_each);
    int64_t shares = of->batch * row_parts * panel_parts;
    if (shares > INT32_MAX)
        return clg_fail(CLG_ERROR_UNSUPPORTED,
                        "step %d: a product of batch %lld is more than an OpenCL device counts, %d", x->number,
                        (long long)of->batch, INT32_MAX);
    bool a_transposed = tile_a_transposed(of), b_transposed = tile.packed_b && tile_b_transposed(of);
    /* each element of A is met by few vectors of B: it is not to be cast for each again */
    const bool packed_a = tile.packed_a || (stored_a != (int)of->dtype && tile_rows_fit(x->target, of, &tile));
    print_once(x);
    print_epilogue(x);
    print_head(x);
    define_tile(&x->source, tile, of->dtype);
    define(&x->source, "A_TRANSPOSED", a_transposed);
    define(&x->source, "B_TRANSPOSED", b_transposed);
    define(&x->source, "PACK_A", packed_a ? tile_rows_depth(of) : 0);
    define(&x->source, "PAD", TILE_PAD);
    define(&x->source, "PACK_B", tile.packed_b);
    define(&x->source, "PANELS", tile_panel_limit(x->target, of));
    body_define_operand(&x->source, "A", stored_a, of->dtype, tile.width);
    body_define_operand(&x->source, "B", stored_b, of->dtype, tile.width);
    if (b_transposed) {
        define_vector(&x->source, "BLOCK_", of->dtype, BLOCK);
        body_define_operand(&x->source, "BLOCK", stored_b, of->dtype, BLOCK);
    }
    const int64_t values[] = {of->m,
                              of->n,
                              of->k,
                              x->a.offset,
                              x->a.batch_stride,
                              a_transposed ? x->a.column_stride : x->a.row_stride,
                              x->b.offset,
                              x->b.batch_stride,
                              b_transposed ? x->b.column_stride : x->b.row_stride,
                              row_tiles,
                              tile.tiles_each,
                              row_parts,
                              panels,
                              tile.panels_each,
                              panel_parts,
                              shares};
    kernel_numbers numbers = *body_numbers(&x->body);
    kernel_launch *added = NULL;
    add_sizes(&numbers, values, sizeof values / sizeof *values);
    status = add_product(x, &numbers, &added);
    if (status == CLG_OK)
        added->global[0] = (size_t)kernel_groups(x->target, shares);
    return status;
}

/* The largest index that a kernel computes from a matrix. */
static int64_t matrix_reach(const plan_matrix *x, int64_t batch, int64_t rows, int64_t columns)
{
    return x->offset + batch * x->batch_stride + rows * x->row_stride + columns * x->column_stride;
}

clg_status matmul_kernels(const kernel_target *target, const plan *schedule, int32_t number, product_tile tile,
                          kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    const plan_matmul of = plan_step_matmul(step);
    product x = {.target = target, .step = step, .list = list, .number = number, .tile = tile, .of = of};
    x.a = of.a;
    x.b = of.b;
    int64_t reach =
        matrix_reach(&of.a, of.batch, of.m, of.k) + matrix_reach(&of.b, of.batch, of.k, of.n) + of.batch * of.k * of.n;
    clg_status status = body_open(&x.body, schedule, step, 2);
    if (status == CLG_OK) {
        if (reach >= INDEX32_LIMIT)
            x.body.index = "long";
        status = add_cpu(&x);
    }
    text_free(&x.once);
    text_free(&x.epilogue);
    text_free(&x.source);
    body_close(&x.body);
    return status;
}
