/* Prints what a body reads, and the bounds of accesses, as OpenCL C. */
#include "body.h"

#include <math.h>
#include <string.h>

/* " * 512" or, where strides are arguments, " * n1"; nothing for 1. */
static void add_stride(const body_printer *p, text *t, int64_t stride)
{
    if (stride == 1)
        return;
    text_add(t, " * ");
    if (!p->stride_numbers || !body_add_number(p->body, t, (kernel_number){.kind = NUMBER_STRIDE, .index = stride}))
        text_add(t, "%lld", (long long)stride);
}

/* Which of the step's accesses it is; -1: one made of others. */
static int64_t number_of(const plan_step *step, const plan_access *access)
{
    for (int32_t i = 0; i < step->access_count; i++)
        if (access == &step->accesses[i])
            return i;
    return -1;
}

void body_add_address(const body_printer *p, text *t, const plan_access *access)
{
    const plan_step *step = p->body->step;
    int terms = 0;
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++) {
        if (access->stride[d] == 0 || step->extent[d] <= 1)
            continue;
        text_add(t, "%sp%d", terms++ ? " + " : "", d);
        add_stride(p, t, access->stride[d]);
    }
    if (terms && access->offset)
        text_add(t, " + ");
    if ((terms && !access->offset) ||
        (access->offset &&
         body_add_number(
             p->body, t,
             (kernel_number){.kind = NUMBER_OFFSET, .index = access->offset, .of = number_of(step, access)})))
        return;
    text_add(t, "%lld", (long long)access->offset);
}

/* "3 * p1 + p2", with a constant added; "5" if there is no position. */
static void add_form(const body_printer *p, text *t, const plan_bound *bound, int64_t constant)
{
    const plan_step *step = p->body->step;
    int terms = 0;
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++) {
        if (bound->coef[d] == 0 || step->extent[d] <= 1)
            continue;
        text_add(t, terms++ ? " + " : "");
        if (bound->coef[d] == 1)
            text_add(t, "p%d", d);
        else
            text_add(t, "%lld * p%d", (long long)bound->coef[d], d);
    }
    if (constant || !terms)
        text_add(t, terms ? " + %lld" : "%lld", (long long)constant);
}

static void form_range(const plan_step *step, const plan_bound *bound, int64_t *least, int64_t *most)
{
    *least = *most = 0;
    for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
        *(bound->coef[d] < 0 ? least : most) += bound->coef[d] * larger(step->extent[d] - 1, 0);
}

static int64_t lane_step(const body_printer *p, const plan_bound *bound)
{
    return p->body->lane >= 0 ? bound->coef[p->body->lane] : 0;
}

/* The condition under which lane..lane+lanes-1 are within a bound, each term with " && " behind it. What holds
 * everywhere is left out. */
static void add_bound(const body_printer *p, text *t, const plan_bound *bound, int lane, int lanes)
{
    int64_t least, most, step = lane_step(p, bound);
    form_range(p->body->step, bound, &least, &most);
    int64_t first = step * lane, last = step * (lane + lanes - 1);
    if (bound->lo >= bound->hi || least >= bound->hi || most < bound->lo) {
        text_add(t, "false && "); /* nowhere */
        return;
    }
    if (least < bound->lo) {
        add_form(p, t, bound, smaller(first, last));
        text_add(t, " >= %lld && ", (long long)bound->lo);
    }
    if (most >= bound->hi) {
        add_form(p, t, bound, larger(first, last));
        text_add(t, " < %lld && ", (long long)bound->hi);
    }
}

static void add_bounds(const body_printer *p, text *t, const plan_access *access, int lane, int lanes)
{
    for (int32_t i = 0; i < access->bound_count; i++)
        add_bound(p, t, &p->body->step->bounds[access->first_bound + i], lane, lanes);
}

/* Numbers that compilers make something of, or that are in a formula: not one of many that a user may have. */
static bool is_plain(double value) { return !isfinite(value) || value == 0 || fabs(value) == 1; }

void body_add_constant(const body_printer *p, text *t, int dtype, double value)
{
    if (!is_plain(value) && body_add_number(p->body, t, (kernel_number){.kind = dtype, .constant = value}))
        return;
    const dtype_element element = dtype_encode((clg_dtype)dtype, value);
    uint16_t bits;
    int64_t whole;
    switch ((clg_dtype)dtype) {
    case CLG_F32:
    case CLG_F64:
        value = dtype_decode((clg_dtype)dtype, element.bytes);
        if (isnan(value))
            text_add(t, "NAN");
        else if (isinf(value))
            text_add(t, value > 0 ? "INFINITY" : "-INFINITY");
        else
            text_add(t, dtype == CLG_F32 ? "%af" : "%a", value);
        break;
    case CLG_I64: /* the lowest one has no literal */
        memcpy(&whole, element.bytes, sizeof whole);
        text_add(t, whole == INT64_MIN ? "LONG_MIN" : "%lldL", (long long)whole);
        break;
    case CLG_F16:
    case CLG_BF16:
        memcpy(&bits, element.bytes, sizeof bits);
        text_add(t, "%u", (unsigned)bits);
        break;
    default:
        value = dtype_decode((clg_dtype)dtype, element.bytes);
        text_add(t, value <= -2147483648.0 ? "INT_MIN" : "%d", value <= -2147483648.0 ? 0 : (int)value);
        break;
    }
}

/* An element of a row that does not exist: NaN, of integers 0. */
static const char *outside_rows(int dtype)
{
    if (!clg_dtype_is_real((clg_dtype)dtype))
        return "0";
    return dtype == CLG_F16 ? "0x7e00" : dtype == CLG_BF16 ? "0x7fc0" : "NAN";
}

/* The row that a load with a row register takes in one lane: "r4" or "r4.s7". */
static void add_row(const body_printer *p, text *t, const plan_instr *instr, int lane)
{
    body_add_operand(p, t, instr->src[0], 1);
    if (body_register_width(p, instr->src[0]) > 1)
        text_add(t, ".s%x", (unsigned)lane);
}

/* " : value" of an instruction outside its bounds. */
static void add_outside(const body_printer *p, text *t, const plan_instr *instr, int width)
{
    text_add(t, " : (%s_t)(", body_suffix(instr->dtype, width).s);
    body_add_constant(p, t, instr->dtype, instr->value);
    text_add(t, ")");
}

/* One lane of a load or iota, guarded by its bounds and its row. e%d holds the address of lane 0. */
static void add_lane(const body_printer *p, text *t, int32_t reg, int lane)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    const plan_access *access = &p->body->step->accesses[instr->access];
    int64_t shift = p->body->lane >= 0 ? access->stride[p->body->lane] * lane : 0;
    body_suffix_text s = body_suffix(instr->dtype, 1);
    text guard = {0};
    add_bounds(p, &guard, access, lane, 1);
    if (guard.size)
        text_add(t, "(%.*s) ? ", (int)guard.size - 4, guard.data);
    if (instr->kind == INSTR_IOTA) {
        text_add(t, "(%s_t)(e%d + %lld)", s.s, reg, (long long)shift);
    } else if (instr->src[0] >= 0) {
        text row = {0};
        add_row(p, &row, instr, lane);
        const char *name = row.data ? row.data : "";
        text_add(t, "(%s >= 0 && %s < %lld ? b%d[e%d + %lld + (%s)%s * %lld] : (%s_t)(%s))", name, name,
                 (long long)instr->row_count, body_argument(p->body, instr->buffer), reg, (long long)shift,
                 p->body->index, name, (long long)instr->row_stride, s.s, outside_rows(instr->dtype));
        t->failed |= row.failed;
        text_free(&row);
    } else {
        text_add(t, "b%d[e%d + %lld]", body_argument(p->body, instr->buffer), reg, (long long)shift);
    }
    if (guard.size)
        add_outside(p, t, instr, 1);
    t->failed |= guard.failed;
    text_free(&guard);
}

/* All lanes, one by one. */
static void add_lanes(const body_printer *p, text *t, int32_t reg, int width)
{
    if (width == 1) {
        add_lane(p, t, reg, 0);
        return;
    }
    text_add(t, "(%s_t)(", body_suffix(p->body->step->instrs[reg].dtype, width).s);
    for (int lane = 0; lane < width; lane++) {
        text_add(t, lane ? ", " : "");
        add_lane(p, t, reg, lane);
    }
    text_add(t, ")");
}

/* A load whose lanes are neighbours: one vector load where the guards hold for all of them. */
static bool add_vector_load(const body_printer *p, text *t, int32_t reg, int width)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    if (instr->kind != INSTR_LOAD || width == 1 || p->body->step->accesses[instr->access].stride[p->body->lane] != 1 ||
        (instr->src[0] >= 0 && !p->body->uniform[instr->src[0]]))
        return false;
    text guard = {0};
    add_bounds(p, &guard, &p->body->step->accesses[instr->access], 0, width);
    char row[96] = "";
    if (instr->src[0] >= 0) {
        text name = {0};
        add_row(p, &name, instr, 0);
        text_add(&guard, "%s >= 0 && %s < %lld && ", name.data ? name.data : "", name.data ? name.data : "",
                 (long long)instr->row_count);
        snprintf(row, sizeof row, " + (%s)%s * %lld", p->body->index, name.data ? name.data : "",
                 (long long)instr->row_stride);
        t->failed |= name.failed;
        text_free(&name);
    }
    if (guard.size)
        text_add(t, "(%.*s) ? ", (int)guard.size - 4, guard.data);
    text_add(t, "VECTOR_AT(global, %s, b%d + e%d%s)", body_suffix(instr->dtype, width).s,
             body_argument(p->body, instr->buffer), reg, row);
    if (guard.size && p->body->step->accesses[instr->access].bound_count > 0) {
        text_add(t, " : ");
        add_lanes(p, t, reg, width);
    } else if (guard.size) {
        text_add(t, " : (%s_t)(%s)", body_suffix(instr->dtype, width).s, outside_rows(instr->dtype));
    }
    t->failed |= guard.failed;
    text_free(&guard);
    return true;
}

static bool stores_to(const plan_step *step, int32_t buffer)
{
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_STORE && step->instrs[i].buffer == buffer)
            return true;
    return false;
}

/* A load of every other element: of two vectors, neither of which reaches behind the last lane's. Compilers (LLVM 15)
 * gather them one by one else. */
static bool add_alternate_load(const body_printer *p, text *t, int32_t reg, int width)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    const plan_access *access = &p->body->step->accesses[instr->access];
    if (instr->kind != INSTR_LOAD || width == 1 || access->stride[p->body->lane] != 2 || instr->src[0] >= 0 ||
        access->bound_count > 0 || stores_to(p->body->step, instr->buffer))
        return false;
    const body_suffix_text s = body_suffix(instr->dtype, width);
    const int argument = body_argument(p->body, instr->buffer);
    text_add(t, "(%s_t)(VECTOR_AT(global, %s, b%d + e%d).even, VECTOR_AT(global, %s, b%d + e%d + %d).odd)", s.s, s.s,
             argument, reg, s.s, argument, reg, width - 1);
    return true;
}

/* Whether the lanes within an access's bounds follow each other: those that depend on the lane count up or down. */
static bool has_lane_range(const body_printer *p, const plan_instr *instr, int width)
{
    const plan_access *access = &p->body->step->accesses[instr->access];
    bool ranges = false;
    if (instr->kind != INSTR_LOAD || width == 1 || instr->src[0] >= 0 || access->stride[p->body->lane] < 0 ||
        access->stride[p->body->lane] > 1)
        return false;
    for (int32_t i = 0; i < access->bound_count; i++) {
        const int64_t step = lane_step(p, &p->body->step->bounds[access->first_bound + i]);
        if (step < -1 || step > 1)
            return false;
        ranges |= step != 0;
    }
    return ranges;
}

/* The lanes within the bounds that depend on the lane: lo%d ... hi%d - 1. */
static void print_lane_range(const body_printer *p, int32_t reg, const plan_access *access, int width)
{
    const char *index = p->body->index;
    text_line(p->out, "%s lo%d = 0, hi%d = %d;", index, reg, reg, width);
    for (int32_t i = 0; i < access->bound_count; i++) {
        const plan_bound *bound = &p->body->step->bounds[access->first_bound + i];
        const bool up = lane_step(p, bound) > 0;
        int64_t least, most;
        text form = {0};
        form_range(p->body->step, bound, &least, &most);
        add_form(p, &form, bound, 0);
        const char *at = form.data ? form.data : "0";
        if (lane_step(p, bound) != 0 && least < bound->lo)
            text_line(p->out, up ? "lo%d = max(lo%d, %lld - (%s));" : "hi%d = min(hi%d, 1 - %lld + (%s));", reg, reg,
                      (long long)bound->lo, at);
        if (lane_step(p, bound) != 0 && most >= bound->hi)
            text_line(p->out, up ? "hi%d = min(hi%d, %lld - (%s));" : "lo%d = max(lo%d, 1 - %lld + (%s));", reg, reg,
                      (long long)bound->hi, at);
        p->out->failed |= form.failed;
        text_free(&form);
    }
}

/* The value in the lanes from lo%d to hi%d, what is outside in the others. */
static void add_selected(const body_printer *p, text *t, int32_t reg, int width, const char *value)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    const char *index = p->body->index;
    text_add(t, "select((%s_t)(", body_suffix(instr->dtype, width).s);
    body_add_constant(p, t, instr->dtype, instr->value);
    text_add(t, "), %s, WITHIN(%s, %d, min(lo%d, (%s)%d), max(hi%d, (%s)0)))", value, clg_dtypes[instr->dtype].lanes,
             width, reg, index, width, reg, index);
}

/* A load of which some lanes may be outside: what is read is a vector within the buffer, or the one value of all lanes.
 */
static void print_masked_load(const body_printer *p, int32_t reg, int width)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    const plan_access *access = &p->body->step->accesses[instr->access];
    const body_suffix_text s = body_suffix(instr->dtype, width);
    const int argument = body_argument(p->body, instr->buffer);
    text guard = {0}, value = {0};
    for (int32_t i = 0; i < access->bound_count; i++)
        if (lane_step(p, &p->body->step->bounds[access->first_bound + i]) == 0)
            add_bound(p, &guard, &p->body->step->bounds[access->first_bound + i], 0, 1);
    const char *common = guard.data ? guard.data : "";
    print_lane_range(p, reg, access, width);
    body_begin_value(p, reg);
    if (access->stride[p->body->lane] == 0) {
        text_add(&value, "(%s_t)(b%d[e%d])", s.s, argument, reg);
        text_add(p->out, "%slo%d < hi%d ? ", common, reg, reg);
        add_selected(p, p->out, reg, width, value.data ? value.data : "");
        add_outside(p, p->out, instr, width);
    } else {
        text_add(&value, "VECTOR_AT(global, %s, b%d + e%d)", s.s, argument, reg);
        text_add(p->out, "%slo%d <= 0 && hi%d >= %d ? %s : %slo%d < hi%d && e%d >= 0 && e%d <= %lld ? ", common, reg,
                 reg, width, value.data ? value.data : "", common, reg, reg, reg, reg,
                 (long long)(p->body->plan->buffers[instr->buffer].count - width));
        add_selected(p, p->out, reg, width, value.data ? value.data : "");
        text_add(p->out, " : ");
        add_lanes(p, p->out, reg, width);
    }
    text_add(p->out, ";\n");
    p->out->failed |= guard.failed || value.failed;
    text_free(&guard);
    text_free(&value);
}

void body_print_address(const body_printer *p, int32_t reg, const plan_access *access, bool with_piece)
{
    text address = {0};
    body_add_address(p, &address, access);
    if (with_piece && p->body->step->splits > 1)
        text_add(&address, " + piece * %lld", (long long)p->body->step->outer_count);
    text_line(p->out, "const %s e%d = %s;", p->body->index, reg, address.data ? address.data : "0");
    p->out->failed |= address.failed;
    text_free(&address);
}

void body_print_load(const body_printer *p, int32_t reg)
{
    int width = body_register_width(p, reg);
    body_print_address(p, reg, &p->body->step->accesses[p->body->step->instrs[reg].access], false);
    if (has_lane_range(p, &p->body->step->instrs[reg], width)) {
        print_masked_load(p, reg, width);
        return;
    }
    body_begin_value(p, reg);
    if (!add_vector_load(p, p->out, reg, width) && !add_alternate_load(p, p->out, reg, width))
        add_lanes(p, p->out, reg, width);
    text_add(p->out, ";\n");
}

/* A register where the bounds hold, another value elsewhere. */
void body_print_mask(const body_printer *p, int32_t reg)
{
    const plan_instr *instr = &p->body->step->instrs[reg];
    const plan_access *access = &p->body->step->accesses[instr->access];
    int width = body_register_width(p, reg), from = body_register_width(p, instr->src[0]);
    bool lanes = false;
    for (int32_t i = 0; i < access->bound_count; i++)
        lanes |= width > 1 && p->body->step->bounds[access->first_bound + i].coef[p->body->lane] != 0;
    text guard = {0};
    add_bounds(p, &guard, access, 0, width);
    body_begin_value(p, reg);
    if (guard.size)
        text_add(p->out, "(%.*s) ? ", (int)guard.size - 4, guard.data);
    body_add_operand(p, p->out, instr->src[0], width);
    if (guard.size && !lanes)
        add_outside(p, p->out, instr, width);
    for (int lane = 0; guard.size && lanes && lane < width; lane++) { /* those within one by one */
        text one = {0};
        add_bounds(p, &one, access, lane, 1);
        text_add(p->out, lane ? ", " : " : (%s_t)(", body_suffix(instr->dtype, width).s);
        text_add(p->out, one.size ? "(%.*s) ? " : "%.*s", (int)larger((int64_t)one.size - 4, 0),
                 one.data ? one.data : "");
        body_add_operand(p, p->out, instr->src[0], 1);
        if (from > 1)
            text_add(p->out, ".s%x", (unsigned)lane);
        if (one.size)
            add_outside(p, p->out, instr, 1);
        p->out->failed |= one.failed;
        text_free(&one);
    }
    text_add(p->out, guard.size && lanes ? ");\n" : ";\n");
    p->out->failed |= guard.failed;
    text_free(&guard);
}
