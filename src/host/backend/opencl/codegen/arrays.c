/* ARRAY steps: kernels/scan.cl, sort.cl and scatter.cl, with the work cut up for the device. */
#include "body.h"
#include "codegen.h"

static const char *index_type(int64_t largest) { return largest >= INDEX32_LIMIT ? "long" : "int"; }

static void define(text *t, const char *name, int64_t value)
{
    text_add(t, "#define %s %lld\n", name, (long long)value);
}

static const kernel_numbers idle = {.items = {{.kind = NUMBER_IDLE}}, .count = 1};

/* Adds a kernel of so many items, in groups of local ones. */
static clg_status add(kernel_list *list, text *source, const int32_t *arguments, int count, int64_t items,
                      int64_t local)
{
    kernel_launch *added = NULL;
    const clg_status status = kernel_add(list, source, arguments, count, NULL, 0, &idle, &added);
    if (status != CLG_OK)
        return status;
    added->local[0] = (size_t)local;
    added->global[0] = (size_t)round_up(items, local);
    return CLG_OK;
}

/* ---------------------------------------------------------------- rows brought together by index */

/* How the table is cut up. */
typedef struct cut {
    int64_t rows_each, columns_each, column_units, units;
} cut;

/* Every range of rows walks over all indices again: rows are cut only as far as columns do not suffice. */
static cut choose_cut(const kernel_target *target, const plan_array *a)
{
    bool gpu = target->strategy == STRATEGY_GPU;
    int64_t wanted = target->compute_units * (gpu ? 512 : 2);
    cut c = {.columns_each = gpu ? 1 : smaller(a->inner, 1024)};
    c.column_units = divide_up(a->inner, c.columns_each);
    int64_t ranges = smaller(divide_up(wanted, c.column_units), a->results);
    c.rows_each = divide_up(a->results, ranges);
    c.units = c.column_units * divide_up(a->results, c.rows_each);
    return c;
}

static clg_status scatter(const kernel_target *target, const plan_step *step, kernel_list *list)
{
    const plan_array *a = &step->array;
    const op_row *row = &clg_ops[clg_ops[a->op].combine];
    const cut c = choose_cut(target, a);
    const int32_t arguments[] = {a->operand[0], a->operand[1], a->result};
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             index_type(larger(a->length, a->results) * a->inner));
    text_add(&t, "#define START %s\n#define TOGETHER(a, b) op_%s(%s, a, b)\n",
             ops_identity(clg_ops[a->op].combine, step->dtype), row->name, body_suffix(step->dtype, 1).s);
    define(&t, "ROWS", a->results);
    define(&t, "COLUMNS", a->inner);
    define(&t, "COUNT", a->length);
    define(&t, "ROWS_EACH", c.rows_each);
    define(&t, "COLUMNS_EACH", c.columns_each);
    define(&t, "COLUMN_UNITS", c.column_units);
    define(&t, "UNITS", c.units);
    const bool gpu = target->strategy == STRATEGY_GPU;
    if (!gpu && c.columns_each == a->inner)
        text_add(&t, "#define VECTOR %s\n", body_suffix(step->dtype, 16).s);
    text_add_skeleton(&t, "scatter.cl", NULL, NULL, 0);
    return add(list, &t, arguments, 3, c.units, gpu ? smaller((int64_t)target->group_limit, 64) : 1);
}

/* ---------------------------------------------------------------- scans */

enum { COLUMNS_ABREAST = 64, LINES_ABREAST = 4, EACH = 4 };

/* A scan's phase: 0 the scan, 1 what pieces give, 2 what comes before them. */
static clg_status scan_phase(const kernel_target *target, const plan_step *step, int phase, kernel_list *list)
{
    const plan_array *a = &step->array;
    const op_row *row = &clg_ops[a->op];
    const bool gpu = target->strategy == STRATEGY_GPU, grouped = gpu && a->inner == 1;
    const int64_t lines = a->outer * a->inner, group = grouped ? kernel_group(target) : 1;
    const int64_t abreast = gpu ? 1 : a->inner > 1 ? COLUMNS_ABREAST : LINES_ABREAST;
    int32_t arguments[4];
    int count = 0;
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             index_type(lines * a->length + (int64_t)EACH * group));
    text_add(&t, "#define START ((%s_t)(%s))\n", body_suffix(step->dtype, 1).s, ops_identity(a->op, step->dtype));
    text_add(&t, "#define NEXT(a, b, c) op_%s(%s, a, b, c)\n", row->name, body_suffix(step->dtype, 1).s);
    define(&t, "OUTER", a->outer);
    define(&t, "LENGTH", a->length);
    define(&t, "INNER", a->inner);
    define(&t, "REVERSE", a->reverse);
    define(&t, "PIECES", a->pieces);
    define(&t, "PIECE", a->piece);
    define(&t, "HAS_C", row->arity > 1);
    define(&t, "PHASE", phase);
    define(&t, "GROUPED", grouped);
    define(&t, "ABREAST", abreast);
    define(&t, "EACH", EACH);
    define(&t, "GROUP", group);
    arguments[count++] = a->operand[0];
    if (row->arity > 1)
        arguments[count++] = a->operand[1];
    if (phase == 0)
        arguments[count++] = a->result;
    if (a->pieces > 1)
        arguments[count++] = ARGUMENT_SCRATCH;
    text_add_skeleton(&t, "scan.cl", NULL, NULL, 0);
    const int64_t blocks = divide_up(a->inner > 1 ? a->inner : a->outer, abreast) * (a->inner > 1 ? a->outer : 1);
    int64_t items = grouped ? lines * a->pieces * group : blocks * a->pieces;
    if (phase == 2)
        items = lines;
    return add(list, &t, arguments, count, items,
               grouped && phase != 2 ? group
               : gpu                 ? smaller((int64_t)target->group_limit, 64)
                                     : 1);
}

static clg_status scan(const kernel_target *target, const plan_step *step, kernel_list *list)
{
    const plan_array *a = &step->array;
    clg_status status = CLG_OK;
    if (a->pieces > 1) {
        status = scan_phase(target, step, 1, list);
        if (status == CLG_OK)
            status = scan_phase(target, step, 2, list);
        list->scratch_bytes =
            larger(list->scratch_bytes, a->outer * a->inner * a->pieces * 2 * (int64_t)clg_dtype_size(step->dtype));
    }
    return status == CLG_OK ? scan_phase(target, step, 0, list) : status;
}

/* ---------------------------------------------------------------- sorts */

enum { FEW = 128, FEW_OF = 4, RUN = 1024 };

/* What all phases are told. */
static void print_sort(const plan_step *step, int phase, int64_t run, int64_t width, bool odd, text *t)
{
    static const struct {
        const char *key;
        int bits, different, real;
        const char *offset;
    } keys[CLG_DTYPE_COUNT] = {[CLG_F32] = {"uint", 32, 32, 1, "0"},
                               [CLG_F64] = {"ulong", 64, 64, 2, "0"},
                               [CLG_I32] = {"uint", 32, 32, 0, "0x80000000u"},
                               [CLG_U8] = {"uint", 32, 8, 0, "0"},
                               [CLG_I64] = {"ulong", 64, 64, 0, "0x8000000000000000ul"}};
    const plan_array *a = &step->array;
    text_add(t, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             index_type(a->outer * a->length * 2));
    text_add(t, "#define K %s\n#define OFFSET %s\n", keys[step->dtype].key, keys[step->dtype].offset);
    define(t, "BITS", keys[step->dtype].bits);
    define(t, "DIFFERENT", keys[step->dtype].different);
    define(t, "REAL_KEY", keys[step->dtype].real);
    define(t, "LINES", a->outer);
    define(t, "LENGTH", a->length);
    define(t, "RESULTS", a->results);
    define(t, "DESCENDING", a->reverse);
    define(t, "FEW", a->results <= FEW && a->results * FEW_OF <= a->length);
    define(t, "PHASE", phase);
    define(t, "RUN", run);
    define(t, "WIDTH", width);
    define(t, "ODD", odd);
    text_add_skeleton(t, "sort.cl", NULL, NULL, 0);
}

static int64_t key_bytes(clg_dtype dtype) { return clg_dtype_size(dtype) == 8 ? 8 : 4; }

static clg_status sort_by_lines(const kernel_target *target, const plan_step *step, kernel_list *list)
{
    const plan_array *a = &step->array;
    const int64_t groups = kernel_groups(target, a->outer);
    text t = {0};
    print_sort(step, 0, 1, 1, false, &t);
    list->scratch_bytes = larger(list->scratch_bytes, groups * a->length * 2 * (key_bytes(step->dtype) + 4));
    return add(list, &t, (int32_t[]){a->operand[0], a->result, ARGUMENT_SCRATCH, ARGUMENT_SHARES}, 4, groups, 1);
}

static clg_status sort_by_runs(const kernel_target *target, const plan_step *step, kernel_list *list)
{
    const plan_array *a = &step->array;
    const int64_t group = kernel_group(target), all = a->outer * a->length;
    int64_t run = 2;
    while (run < RUN && run < a->length)
        run *= 2;
    text t = {0};
    print_sort(step, 1, run, run, false, &t);
    list->scratch_bytes = larger(list->scratch_bytes, all * 2 * (key_bytes(step->dtype) + 4));
    clg_status status = add(list, &t, (int32_t[]){a->operand[0], ARGUMENT_SCRATCH}, 2,
                            a->outer * divide_up(a->length, run) * group, group);
    bool odd = false;
    for (int64_t width = run; width < a->length && status == CLG_OK; width *= 2, odd = !odd) {
        print_sort(step, 2, run, width, odd, &t);
        status = add(list, &t, (int32_t[]){ARGUMENT_SCRATCH}, 1, all, group);
    }
    if (status != CLG_OK)
        return status;
    print_sort(step, 3, run, run, odd, &t);
    return add(list, &t, (int32_t[]){a->result, ARGUMENT_SCRATCH}, 2, a->outer * a->results, group);
}

/* ---------------------------------------------------------------- matrices */

static clg_status matrices(const kernel_target *target, const plan_step *step, kernel_list *list)
{
    const plan_array *a = &step->array;
    const int which = a->op == OP_CHOLESKY ? 0 : a->op == OP_SOLVE_TRIANGULAR ? 1 : a->op == OP_SOLVE ? 2 : 3;
    const int64_t group = kernel_group(target), square = a->outer * a->length * a->length;
    int32_t arguments[4];
    int count = 0;
    text t = {0};
    text_add(&t, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             index_type(larger(square, a->outer * a->length * a->inner)));
    define(&t, "N", a->length);
    define(&t, "M", a->inner);
    define(&t, "OP", which);
    define(&t, "MODE", a->mode);
    define(&t, "ITEMS", group);
    text_add_skeleton(&t, "matrix.cl", NULL, NULL, 0);
    arguments[count++] = a->operand[0];
    if (a->operand[1] >= 0)
        arguments[count++] = a->operand[1];
    arguments[count++] = a->result;
    if (which >= 2) {
        arguments[count++] = ARGUMENT_SCRATCH;
        list->scratch_bytes = larger(list->scratch_bytes, square * (int64_t)clg_dtype_size(step->dtype));
    }
    return add(list, &t, arguments, count, a->outer * group, group);
}

clg_status array_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    const plan_array *a = &step->array;
    const op_kind kind = clg_ops[a->op].kind;
    if (a->outer * a->results * a->inner == 0)
        return CLG_OK;
    if (kind == KIND_SCATTER)
        return scatter(target, step, list);
    if (kind == KIND_MATRIX)
        return matrices(target, step, list);
    if (kind == KIND_SCAN)
        return scan(target, step, list);
    return target->strategy == STRATEGY_GPU ? sort_by_runs(target, step, list) : sort_by_lines(target, step, list);
}
