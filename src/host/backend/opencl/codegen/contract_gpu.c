/* A CONTRACT step on a GPU: kernels/contract_gpu.cl. A dimension of the result is a batch (of both operands,
 * of none, or a phase), a row (of operand 0 alone) or a column (of operand 1 alone); those of a kind are walked through
 * as one, the last fastest, as are the summed ones. What each kind adds to an operand's address and to the forms of its
 * bounds is a function of the kernel, so that operands with windows, padding and any strides are read where they lie.
 */
#include "body.h"
#include "codegen.h"

#include <stdlib.h>

enum { OPERANDS = 2 };

typedef enum role { ROLE_BATCH, ROLE_ROW, ROLE_COLUMN, ROLE_DEPTH, ROLES } role;

typedef struct product {
    const kernel_target *target;
    const plan_step *step;
    role role[PLAN_MAX_DIMS];
    int64_t extent[ROLES];
    product_tile tile;
    body body;
    text source;
} product;

static const char letters[OPERANDS] = {'a', 'b'};

/* ---------------------------------------------------------------- the step */

static const plan_access *operand(const product *x, int which)
{
    return &x->step->accesses[x->step->operand[which].access];
}

static const plan_bound *bound(const product *x, int which, int32_t i)
{
    return &x->step->bounds[operand(x, which)->first_bound + i];
}

/* Whether what is summed of operand 1 differs along a dimension of the result: one that says which part of a window
 * it is, a phase. */
static bool is_phase(const product *x, int d)
{
    for (int32_t i = 0; i < operand(x, 1)->bound_count; i++)
        for (int e = x->step->outer_rank; e < x->step->outer_rank + x->step->inner_rank; e++)
            if (bound(x, 1, i)->coef[d] && bound(x, 1, i)->coef[e])
                return true;
    return false;
}

static void find_roles(product *x)
{
    for (int r = 0; r < ROLES; r++)
        x->extent[r] = 1;
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++) {
        const bool a = x->step->operand[0].dims >> d & 1, b = x->step->operand[1].dims >> d & 1;
        const bool batch = a == b || (b && is_phase(x, d));
        x->role[d] = d >= x->step->outer_rank ? ROLE_DEPTH : batch ? ROLE_BATCH : a ? ROLE_ROW : ROLE_COLUMN;
        x->extent[x->role[d]] *= x->step->extent[d];
    }
}

gpu_product contract_gpu_product(const plan_step *step)
{
    product x = {.step = step};
    find_roles(&x);
    return (gpu_product){x.extent[ROLE_BATCH], x.extent[ROLE_ROW], x.extent[ROLE_COLUMN], x.extent[ROLE_DEPTH]};
}

/* ---------------------------------------------------------------- directions in memory */

/* The last dimension of a role with more than one position; -1: none. */
static int last_of(const product *x, role of)
{
    int last = -1;
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++)
        last = x->role[d] == of && x->step->extent[d] > 1 ? d : last;
    return last;
}

/* Whether an access moves less along dimension d than along e, or as far and d is longer. */
static bool is_faster(const product *x, const plan_access *access, int d, int e)
{
    const int64_t by_d = d < 0 ? 0 : llabs(access->stride[d]), by_e = e < 0 ? 0 : llabs(access->stride[e]);
    if (by_d == 0 || by_e == 0)
        return by_d != 0;
    return by_d < by_e || (by_d == by_e && x->step->extent[d] > x->step->extent[e]);
}

/* Whether the first store's neighbours are rows. */
static bool rows_are_fast(const product *x)
{
    for (int32_t i = 0; i < x->step->instr_count; i++)
        if (x->step->instrs[i].kind == INSTR_STORE)
            return is_faster(x, &x->step->accesses[x->step->instrs[i].access], last_of(x, ROLE_ROW),
                             last_of(x, ROLE_COLUMN));
    return false;
}

/* ---------------------------------------------------------------- text */

/* The positions of a role's dimensions, from q or another name, which is used up. */
static void print_positions(const product *x, text *out, role of, const char *from)
{
    int left = 0;
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++)
        left += x->role[d] == of && x->step->extent[d] > 1;
    if (left > 1)
        text_line(out, "%s q%d = %s;", x->body.index, (int)of, from);
    for (int d = x->step->outer_rank + x->step->inner_rank; d-- > 0 && left > 0;) {
        const long long extent = (long long)x->step->extent[d];
        if (x->role[d] != of || extent <= 1)
            continue;
        if (last_of(x, of) == d && left == 1)
            text_line(out, "const %s p%d = %s;", x->body.index, d, from);
        else if (left == 1)
            text_line(out, "const %s p%d = q%d;", x->body.index, d, (int)of);
        else
            text_line(out, "const %s p%d = q%d %% %lld; q%d /= %lld;", x->body.index, d, (int)of, extent, (int)of,
                      extent);
        left--;
    }
}

/* Whether a bound says anything. */
static bool is_needed(const product *x, const plan_bound *b)
{
    int64_t least = 0, most = 0;
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++)
        *(b->coef[d] < 0 ? &least : &most) += b->coef[d] * larger(x->step->extent[d] - 1, 0);
    return least < b->lo || most >= b->hi;
}

/* Whether it says the same for all rows and columns. */
static bool is_common(const product *x, const plan_bound *b)
{
    for (int d = 0; d < x->step->outer_rank; d++)
        if (b->coef[d] && x->role[d] != ROLE_BATCH)
            return false;
    return true;
}

/* Bound number i of those that guard an operand's element, NULL: there are no more. Its own; and those of the other
 * that say of a depth that all of it is outside: then both are 0, since what is outside adds nothing to what is
 * infinite. */
static const plan_bound *guard(const product *x, int which, int i)
{
    for (int o = 0; o < OPERANDS; o++) {
        const int of = o == 0 ? which : 1 - which;
        for (int32_t k = 0; k < operand(x, of)->bound_count; k++)
            if (is_needed(x, bound(x, of, k)) && (o == 0 || is_common(x, bound(x, of, k))) && i-- == 0)
                return bound(x, of, k);
    }
    return NULL;
}

/* Strides of the dimensions of a role, or (outer) of all but the summed ones. */
static void add_part(const product *x, text *t, const int64_t *stride, bool inner)
{
    const body_printer p = body_print_to(&x->body, t);
    plan_access part = {0};
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++)
        part.stride[d] = (x->role[d] == ROLE_DEPTH) == inner ? stride[d] : 0;
    body_add_address(&p, t, &part);
}

/* A place of an operand: what its outer or its inner positions add to its address, and to the forms of its bounds. */
static void print_place(product *x, int which, bool inner)
{
    text *t = &x->source;
    const char *index = x->body.index, letter = letters[which];
    if (inner)
        text_add(t, "static inline PLACE(%c) INNER(%c)(const %s q)\n", letter, letter, index);
    else
        text_add(t, "static inline PLACE(%c) OUTER(%c)(const %s batch, const %s q)\n", letter, letter, index, index);
    text_open(t, "");
    if (inner)
        print_positions(x, t, ROLE_DEPTH, "q");
    else {
        print_positions(x, t, ROLE_BATCH, "batch");
        print_positions(x, t, which == 0 ? ROLE_ROW : ROLE_COLUMN, "q");
    }
    text_indent(t);
    text_add(t, "return (PLACE(%c)){", letter);
    add_part(x, t, operand(x, which)->stride, inner);
    for (int i = 0; guard(x, which, i); i++) {
        text_add(t, ", ");
        add_part(x, t, guard(x, which, i)->coef, inner);
    }
    text_add(t, "};\n");
    text_close(t);
}

/* The function of an operand's elements in memory that its prologue is. */
static clg_status print_prologue(product *x, int which)
{
    text *t = &x->source;
    const plan *p = x->step->operand[which].prologue;
    const plan_step *own = p->steps;
    body b;
    int32_t load = 0;
    clg_status status = body_open(&b, p, own, -1);
    const body_printer out = body_print_to(&b, t);
    while (own->instrs[load].kind != INSTR_LOAD)
        load++;
    const plan_section rest = {SECTION_OUTER, load + 1, own->instr_count - load - 2}; /* without the load, the store */
    if (status == CLG_OK) {
        free(b.numbers); /* a function does not see the kernel's arguments */
        b.numbers = NULL;
        text_add(t, "static inline T VALUE(%c)(const %s_t r%d)\n", letters[which],
                 body_suffix(own->instrs[load].dtype, 1).s, (int)load);
        text_open(t, "");
        body_print_sections(&out, SECTION_ONCE);
        body_print_section(&out, &rest);
        text_line(t, "return r%d;", (int)own->instrs[own->instr_count - 1].src[0]);
        text_close(t);
    }
    body_close(&b);
    return status;
}

/* The type of an operand's places, the functions that make them, and the macro that reads the element at two. */
static clg_status print_operand(product *x, int which)
{
    text *t = &x->source;
    const bool prologue = x->step->operand[which].prologue != NULL;
    const char letter = letters[which];
    text_add(t, "typedef struct NAME(KERNEL, place_%c) {\n    %s at;\n", letter, x->body.index);
    for (int i = 0; guard(x, which, i); i++)
        text_add(t, "    %s f%d;\n", x->body.index, i);
    text_add(t, "} PLACE(%c);\n", letter);
    print_place(x, which, false);
    print_place(x, which, true);
    text_add(t, "#define GET_%c(outer, inner) (", which == 0 ? 'A' : 'B');
    for (int i = 0; guard(x, which, i); i++)
        text_add(t, "outer.f%d + inner.f%d >= %lld && outer.f%d + inner.f%d < %lld && ", i, i,
                 (long long)guard(x, which, i)->lo, i, i, (long long)guard(x, which, i)->hi);
    text_add(t, "true ? ");
    if (prologue)
        text_add(t, "VALUE(%c)", letter);
    text_add(t, "(b%d[outer.at + inner.at + ", body_argument(&x->body, x->step->operand[which].buffer));
    const kernel_number offset = {
        .kind = NUMBER_OFFSET, .index = operand(x, which)->offset, .of = x->step->operand[which].access};
    if (offset.index == 0 || !body_add_number(&x->body, t, offset))
        text_add(t, "%lld", (long long)offset.index);
    text_add(t, "]) : (T)0)\n");
    return prologue ? print_prologue(x, which) : CLG_OK;
}

static void define(text *t, const char *name, int64_t value)
{
    text_add(t, "#define %s %lld\n", name, (long long)value);
}

static int64_t tiles_along_rows(const product *x)
{
    return divide_up(x->extent[ROLE_ROW], tile_gpu_rows(x->target, &x->tile));
}

static int64_t tiles_along_columns(const product *x)
{
    return divide_up(x->extent[ROLE_COLUMN], tile_gpu_columns(&x->tile));
}

static clg_status print_head(product *x)
{
    text *t = &x->source;
    const char *type = x->step->dtype == CLG_F64 ? "double" : "float";
    text_add(t, "#define T %s\n#define T4 %s4\n#define INDEX %s\n", type, type, x->body.index);
    text_add(t, "#define NAME_OF(kernel, part) kernel##_##part\n#define NAME(kernel, part) NAME_OF(kernel, part)\n"
                "#define PLACE(x) NAME(KERNEL, place_##x##_t)\n#define OUTER(x) NAME(KERNEL, outer_##x)\n"
                "#define INNER(x) NAME(KERNEL, inner_##x)\n#define VALUE(x) NAME(KERNEL, value_##x)\n");
    define(t, "M", x->extent[ROLE_ROW]);
    define(t, "N", x->extent[ROLE_COLUMN]);
    define(t, "K", x->extent[ROLE_DEPTH]);
    define(t, "TILES_M", tiles_along_rows(x));
    define(t, "TILES_N", tiles_along_columns(x));
    define(t, "DEPTH", GPU_DEPTH);
    define(t, "PAD", GPU_PAD);
    define(t, "ROWS", x->tile.rows);
    define(t, "COLUMNS", x->tile.vectors);
    define(t, "ROW_ITEMS", kernel_group(x->target) / x->tile.width);
    define(t, "COLUMN_ITEMS", x->tile.width);
    define(t, "ROWS_FAST", rows_are_fast(x));
    define(t, "A_ALONG_DEPTH", is_faster(x, operand(x, 0), last_of(x, ROLE_DEPTH), last_of(x, ROLE_ROW)));
    define(t, "B_ALONG_DEPTH", is_faster(x, operand(x, 1), last_of(x, ROLE_DEPTH), last_of(x, ROLE_COLUMN)));
    clg_status status = CLG_OK;
    for (int o = 0; o < OPERANDS && status == CLG_OK; o++)
        status = print_operand(x, o);
    text_add(t, "#define PARAMETERS ");
    body_parameters(&x->body, t);
    text_add(t, "\n");
    return status;
}

static clg_status add_kernel(product *x, kernel_list *list)
{
    static const char *const names[] = {"once", "batch", "row", "column"};
    text parts[] = {
        {.indent = TEXT_LEVEL}, {.indent = TEXT_LEVEL}, {.indent = 3 * TEXT_LEVEL}, {.indent = 5 * TEXT_LEVEL}};
    const body_printer once = body_print_to(&x->body, &parts[0]);
    body_printer column = body_print_to(&x->body, &parts[3]);
    column.product = "sum[i * COLUMNS + j]";
    body_print_sections(&once, SECTION_ONCE);
    print_positions(x, &parts[1], ROLE_BATCH, "batch");
    print_positions(x, &parts[2], ROLE_ROW, "row");
    print_positions(x, &parts[3], ROLE_COLUMN, "column");
    body_print_sections(&column, SECTION_OUTER);
    clg_status status = print_head(x);
    const char *bodies[] = {parts[0].data, parts[1].data, parts[2].data, parts[3].data};
    text_add_skeleton(&x->source, "contract_gpu.cl", names, bodies, 4);
    text_add(&x->source, "#undef NAME_OF\n#undef NAME\n");
    for (int i = 0; i < 4; i++) {
        x->source.failed |= parts[i].failed;
        text_free(&parts[i]);
    }
    kernel_launch *added = NULL;
    if (status == CLG_OK)
        status = kernel_add(list, &x->source, NULL, 0, x->body.arguments, x->body.argument_count,
                            body_numbers(&x->body), &added);
    if (status != CLG_OK)
        return status;
    added->local[0] = (size_t)kernel_group(x->target);
    added->global[0] = added->local[0] * (size_t)(x->extent[ROLE_BATCH] * tiles_along_rows(x) * tiles_along_columns(x));
    return CLG_OK;
}

clg_status contract_gpu_kernels(const kernel_target *target, const plan *schedule, int32_t number, product_tile tile,
                                kernel_list *list)
{
    const plan_step *step = &schedule->steps[number];
    if (step->outer_count == 0)
        return CLG_OK;
    product x = {.target = target, .step = step, .tile = tile};
    find_roles(&x);
    clg_status status = body_open(&x.body, schedule, step, -1);
    if (status == CLG_OK) {
        body_add_operands(&x.body);
        status = add_kernel(&x, list);
    }
    text_free(&x.source);
    body_close(&x.body);
    return status;
}
