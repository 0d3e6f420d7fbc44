/* A MATMUL step, by the first provider that serves it:
 *
 *   CLBlast     GPUs: the product goes to step->product, the body runs as a kernel of its own
 *   generated   kernels/matmul.cl (CPU devices) or kernels/matmul_gpu.cl, with the body as epilogue */
#define _POSIX_C_SOURCE 200809L
#include "opencl.h"

#include <math.h>
#include <stdlib.h>

#ifdef CLG_WITH_CLBLAST
#include <clblast_c.h>
#include <pthread.h>
#endif

#define DEPTH 4 /* spaces of one level */
#define BLOCK 8 /* of a transposition in registers; 16 takes three times as long to compile */

typedef struct provider {
    bool (*serves)(const launch_list *list, const plan_step *step);
    clg_status (*add)(launch_list *list, int32_t step);
} provider;

static int64_t divide_up(int64_t a, int64_t by) { return (a + by - 1) / by; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---------------------------------------------------------------- CLBlast */

#ifdef CLG_WITH_CLBLAST

/* A matrix in the words of BLAS. */
typedef struct blas_matrix {
    CLBlastTranspose transpose;
    size_t offset, leading, stride;
} blas_matrix;

static blas_matrix to_blas(const plan_matrix *x, int64_t rows, int64_t columns)
{
    bool plain = x->column_stride == 1 || columns == 1;
    return (blas_matrix){plain ? CLBlastTransposeNo : CLBlastTransposeYes, (size_t)x->offset,
                         (size_t)(plain ? larger(x->row_stride, columns) : larger(x->column_stride, rows)),
                         (size_t)x->batch_stride};
}

static bool clblast_serves(const launch_list *list, const plan_step *step)
{
    return list->device->matmul == MATMUL_CLBLAST && step->product >= 0 && step->k > 0 &&
           (step->dtype == CLG_F32 || step->dtype == CLG_F64);
}

/* Its kernel cache is not safe across threads before 1.6.1. */
static pthread_mutex_t clblast_lock = PTHREAD_MUTEX_INITIALIZER;

static clg_status clblast_scratch(const backend_device *device, const plan_step *step, int64_t *bytes)
{
    blas_matrix a = to_blas(&step->a, step->m, step->k), b = to_blas(&step->b, step->k, step->n);
    cl_command_queue queue = device->queue;
    size_t m = (size_t)step->m, n = (size_t)step->n, k = (size_t)step->k, size = 0;
    pthread_mutex_lock(&clblast_lock);
    int code = step->dtype == CLG_F64
                   ? CLBlastDGemmTempBufferSize(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, a.offset,
                                                a.leading, b.offset, b.leading, 0, n, &queue, &size)
                   : CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, a.offset,
                                                a.leading, b.offset, b.leading, 0, n, &queue, &size);
    pthread_mutex_unlock(&clblast_lock);
    *bytes = (int64_t)size;
    return status_check_clblast(code, "CLBlastGemmTempBufferSize");
}

/* Whether the body does no more than store the product where CLBlast has put it. */
static bool body_is_store(const plan_step *step)
{
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *instr = &step->instrs[i];
        if (instr->kind == INSTR_PRODUCT)
            continue;
        if (instr->kind != INSTR_STORE || instr->buffer != step->product ||
            step->instrs[instr->src[0]].kind != INSTR_PRODUCT)
            return false;
        const plan_map *map = &step->maps[instr->map];
        if (map->offset != 0 || (step->n > 1 && map->stride[2] != 1) || (step->m > 1 && map->stride[1] != step->n) ||
            (step->batch > 1 && map->stride[0] != step->m * step->n))
            return false;
    }
    return true;
}

static clg_status clblast_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->batch == 1) {
        int64_t bytes = 0;
        clg_status status = clblast_scratch(list->device, step, &bytes);
        if (status != CLG_OK)
            return status;
        list->scratch_bytes = larger(list->scratch_bytes, bytes);
    }
    launch *added = NULL;
    clg_status status = launch_add(list, number, NULL, NULL, 0, &added);
    return status == CLG_OK && !body_is_store(step) ? loop_add(list, number) : status;
}

static int run_single(const plan_step *step, blas_matrix a, blas_matrix b, cl_mem ma, cl_mem mb, cl_mem product,
                      cl_mem scratch, cl_command_queue *queue)
{
    size_t m = (size_t)step->m, n = (size_t)step->n, k = (size_t)step->k;
    if (step->dtype == CLG_F64)
        return CLBlastDgemmWithTempBuffer(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                          a.leading, mb, b.offset, b.leading, 0, product, 0, n, queue, NULL, scratch);
    return CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                      a.leading, mb, b.offset, b.leading, 0, product, 0, n, queue, NULL, scratch);
}

static int run_batch(const plan_step *step, blas_matrix a, blas_matrix b, cl_mem ma, cl_mem mb, cl_mem product,
                     cl_command_queue *queue)
{
    size_t m = (size_t)step->m, n = (size_t)step->n, k = (size_t)step->k, batch = (size_t)step->batch;
    if (step->dtype == CLG_F64)
        return CLBlastDgemmStridedBatched(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                          a.leading, a.stride, mb, b.offset, b.leading, b.stride, 0, product, 0, n,
                                          m * n, batch, queue, NULL);
    return CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                      a.leading, a.stride, mb, b.offset, b.leading, b.stride, 0, product, 0, n, m * n,
                                      batch, queue, NULL);
}

clg_status matmul_run_clblast(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                              cl_mem scratch)
{
    blas_matrix ba = to_blas(&step->a, step->m, step->k), bb = to_blas(&step->b, step->k, step->n);
    pthread_mutex_lock(&clblast_lock);
    int code = step->batch == 1 ? run_single(step, ba, bb, a, b, product, scratch, &device->queue)
                                : run_batch(step, ba, bb, a, b, product, &device->queue);
    pthread_mutex_unlock(&clblast_lock);
    return code == CLBlastSuccess ? CLG_OK : status_check_clblast(code, "CLBlastGemm");
}

#else

clg_status matmul_run_clblast(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                              cl_mem scratch)
{
    (void)device, (void)step, (void)a, (void)b, (void)product, (void)scratch;
    return clg_fail(CLG_ERROR_UNSUPPORTED, "this build has no CLBlast");
}

#endif

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
    body_printer p;
    stride_names strides; /* of the body, where they are arguments */
    text once, epilogue, source;
    int32_t *arguments; /* of the body, behind a and b */
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
    p->indent = 4 * DEPTH;
    p->width = tile.width;
    p->product = "AT(private, tile + (i * NV + v) * W)";
    text_add(p->out, "#pragma unroll 1\n");
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
        text_add(p->out, "#pragma unroll 1\n");
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

static clg_status add_product(product *x, const char *skeleton, launch **added)
{
    static const char *const names[] = {"once", "epilogue"};
    const char *bodies[] = {x->once.data, x->epilogue.data};
    text_add_skeleton(&x->source, skeleton, names, bodies, 2);
    x->source.failed |= x->once.failed || x->epilogue.failed;
    x->arguments[0] = x->step->a.buffer;
    x->arguments[1] = x->b_in_scratch ? ARGUMENT_SCRATCH : x->step->b.buffer;
    return launch_add(x->list, x->number, &x->source, x->arguments, x->p.argument_count + 2, added);
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
    product_tile tile = tile_choose(device, step);
    clg_status status = CLG_OK;
    /* B is read along its rows */
    x->b_in_scratch = tile_b_transposed(step) && !tile.packed_b;
    if (x->b_in_scratch)
        status = add_transpose(x, &x->b, step->k, step->n);
    if (status != CLG_OK)
        return status;
    int64_t row_tiles = divide_up(step->m, tile.rows), panels = divide_up(step->n, tile.vectors * tile.width);
    bool a_transposed = tile_a_transposed(step), b_transposed = tile.packed_b && tile_b_transposed(step);
    x->p.strides = &x->strides;
    print_once(x);
    print_epilogue(x, tile);
    print_head(x);
    define_tile(&x->source, tile, step->dtype);
    define(&x->source, "A_TRANSPOSED", a_transposed);
    define(&x->source, "B_TRANSPOSED", b_transposed);
    define(&x->source, "PACK_A", tile.packed_a ? TILE_DEPTH : 0);
    define(&x->source, "PACK_B", tile.packed_b);
    define(&x->source, "PANELS", tile_panel_limit(device, step));
    if (b_transposed)
        define_vector(&x->source, "BLOCK_", step->dtype, BLOCK);
    launch *added = NULL;
    status = add_product(x, "matmul.cl", &added);
    if (status != CLG_OK)
        return status;
    const int64_t values[] = {step->m,         step->n,           step->k,
                              x->a.offset,     x->a.batch_stride, a_transposed ? x->a.column_stride : x->a.row_stride,
                              x->b.offset,     x->b.batch_stride, b_transposed ? x->b.column_stride : x->b.row_stride,
                              row_tiles,       tile.tiles_each,   panels,
                              tile.panels_each};
    set_values(x, added, x->strides.value, x->strides.count);
    set_values(x, added, values, sizeof values / sizeof *values);
    added->dimensions = 3;
    added->global[0] = (size_t)divide_up(row_tiles, tile.tiles_each);
    added->global[1] = (size_t)divide_up(panels, tile.panels_each);
    added->global[2] = (size_t)step->batch;
    return CLG_OK;
}

static clg_status add_gpu(product *x)
{
    const plan_step *step = x->step;
    size_t side = 16;
    while (side > 1 && side * side > x->list->device->group_limit)
        side /= 2;
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
    clg_status status = add_product(x, "matmul_gpu.cl", &added);
    if (status != CLG_OK)
        return status;
    added->dimensions = 3;
    added->local[0] = added->local[1] = side;
    added->global[0] = (size_t)divide_up(step->n, 4 * (int64_t)side) * side;
    added->global[1] = (size_t)divide_up(step->m, 4 * (int64_t)side) * side;
    added->global[2] = (size_t)step->batch;
    return CLG_OK;
}

static bool generated_serves(const launch_list *list, const plan_step *step)
{
    (void)list, (void)step;
    return true;
}

/* The largest index that a kernel computes from a matrix. */
static int64_t matrix_reach(const plan_matrix *x, int64_t batch, int64_t rows, int64_t columns)
{
    return x->offset + batch * x->batch_stride + rows * x->row_stride + columns * x->column_stride;
}

static clg_status generated_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    bool gpu = list->device->strategy == STRATEGY_GPU;
    product x = {.list = list, .step = step, .number = number, .a = step->a, .b = step->b};
    x.p = (body_printer){
        .plan = list->plan, .step = step, .width = 1, .lane = gpu ? -1 : 2, .tile = 1, .accumulator = ""};
    int64_t reach = matrix_reach(&step->a, step->batch, step->m, step->k) +
                    matrix_reach(&step->b, step->batch, step->k, step->n) + step->batch * step->k * step->n;
    x.p.index = reach >= (int64_t)1 << 30 ? "long" : body_index_type(list->plan, step);
    x.arguments = malloc(((size_t)step->instr_count + 3) * sizeof *x.arguments);
    clg_status status = x.arguments ? body_analyse(&x.p) : clg_fail_memory();
    if (status == CLG_OK) {
        x.p.arguments = x.arguments + 2;
        x.p.argument_count = body_buffers(step, x.arguments + 2);
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

static const provider providers[] = {
#ifdef CLG_WITH_CLBLAST
    {clblast_serves, clblast_add},
#endif
    {generated_serves, generated_add},
};

clg_status matmul_add(launch_list *list, int32_t number)
{
    const plan_step *step = &list->plan->steps[number];
    if (step->batch == 0 || step->m == 0 || step->n == 0)
        return CLG_OK;
    size_t i = 0;
    while (!providers[i].serves(list, step))
        i++;
    return providers[i].add(list, number);
}
