/* A SCATTER_ADD step: kernels/scatter_add.cl with the work cut into columns times ranges of rows. */
#include "body.h"
#include "codegen.h"

/* How the table is cut up. */
typedef struct cut {
    int64_t rows_each, columns_each, column_units, units;
} cut;

/* Every range of rows walks over all indices again: rows are cut only as far as columns do not suffice. */
static cut choose_cut(const kernel_target *target, const plan_step *step)
{
    bool gpu = target->strategy == STRATEGY_GPU;
    int64_t wanted = target->compute_units * (gpu ? 512 : 2);
    cut c = {.columns_each = gpu ? 1 : smaller(step->columns, 1024)};
    c.column_units = divide_up(step->columns, c.columns_each);
    int64_t ranges = smaller(divide_up(wanted, c.column_units), step->rows);
    c.rows_each = divide_up(step->rows, ranges);
    c.units = c.column_units * divide_up(step->rows, c.rows_each);
    return c;
}

static void print_kernel(const plan_step *step, const cut *c, text *out)
{
    int64_t largest = larger(step->count, step->rows) * step->columns;
    text_add(out, "#define T %s_t\n#define INDEX %s\n", body_suffix(step->dtype, 1).s,
             largest >= INDEX32_LIMIT ? "long" : "int");
    text_add(out, "#define ROWS %lld\n#define COLUMNS %lld\n#define COUNT %lld\n", (long long)step->rows,
             (long long)step->columns, (long long)step->count);
    text_add(out, "#define ROWS_EACH %lld\n#define COLUMNS_EACH %lld\n", (long long)c->rows_each,
             (long long)c->columns_each);
    text_add(out, "#define COLUMN_UNITS %lld\n#define UNITS %lld\n", (long long)c->column_units, (long long)c->units);
    text_add_skeleton(out, "scatter_add.cl", NULL, NULL, 0);
}

clg_status scatter_kernels(const kernel_target *target, const plan *schedule, int32_t number, kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    if (step->rows == 0 || step->columns == 0)
        return CLG_OK;
    const cut c = choose_cut(target, step);
    const int32_t arguments[] = {step->indices, step->updates, step->result};
    text source = {0};
    print_kernel(step, &c, &source);
    kernel_launch *added = NULL;
    const kernel_numbers numbers = {.items = {{.kind = NUMBER_IDLE}}, .count = 1};
    clg_status status = kernel_add(list, &source, arguments, 3, NULL, 0, &numbers, &added);
    if (status != CLG_OK)
        return status;
    int64_t local = target->strategy == STRATEGY_GPU ? smaller((int64_t)target->group_limit, 64) : 1;
    added->local[0] = (size_t)local;
    added->global[0] = (size_t)(divide_up(c.units, local) * local);
    return CLG_OK;
}
