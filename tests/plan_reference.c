/* A slow, independent interpreter of plans: no vectors, no blocks, registers are doubles. */
#include "plan_reference.h"

#include "core/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct interpreter {
    const plan *plan;
    const plan_step *step;
    double **values, **before; /* buffers, and copies of them from before the step */
    double *registers;
    int64_t position[CLG_MAX_RANK];
    int64_t piece;
    double product;
} interpreter;

/* ---------------------------------------------------------------- values */

static double wrap_integer(clg_dtype dtype, double value)
{
    if (dtype == CLG_U8)
        return (double)(uint8_t)(int64_t)value;
    if (dtype == CLG_I32)
        return (double)(int32_t)(uint32_t)(int64_t)value;
    return value;
}

static double convert(clg_dtype from, clg_dtype to, double value)
{
    bool real = from == CLG_F32 || from == CLG_F64;
    if (to == CLG_F32)
        return (double)(float)value;
    if (to == CLG_F64)
        return value;
    if (real) { /* truncates toward zero, saturates; NaN is 0 */
        double low = to == CLG_U8 ? 0 : INT32_MIN, high = to == CLG_U8 ? 255 : INT32_MAX;
        return isnan(value) ? 0 : value <= low ? low : value >= high ? high : trunc(value);
    }
    return wrap_integer(to, value);
}

void plan_reference_encode(clg_dtype dtype, double value, void *element)
{
    float f = (float)value;
    int32_t i = dtype == CLG_I32 ? (int32_t)value : 0;
    uint8_t u = dtype == CLG_U8 ? (uint8_t)value : 0;
    const void *from[CLG_DTYPE_COUNT] = {&f, &value, &i, &u};
    memcpy(element, from[dtype], clg_dtype_size(dtype));
}

double plan_reference_decode(clg_dtype dtype, const void *element)
{
    float f;
    double d;
    int32_t i;
    switch (dtype) {
    case CLG_F32:
        memcpy(&f, element, sizeof f);
        return (double)f;
    case CLG_F64:
        memcpy(&d, element, sizeof d);
        return d;
    case CLG_I32:
        memcpy(&i, element, sizeof i);
        return i;
    default:
        return *(const uint8_t *)element;
    }
}

/* ---------------------------------------------------------------- operations */

static double ref_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double ref_gelu(double x) { return x * erfc(x * -sqrt(0.5)) / 2; }
static double ref_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

#define FN(S, f) ref_##f
#define ref_t double
#define ref_exp exp
#define ref_log log
#define ref_sin sin
#define ref_cos cos
#define ref_tanh tanh
#define ref_erf erf
#define ref_sqrt sqrt
#define ref_pow pow
#define ref_abs fabs
#define SEL(S, cond, x, y) ((cond) ? (double)(x) : (double)(y))
#define BOOL(S, comparison) ((comparison) ? 1.0 : 0.0)
#define COND(S, u) ((u) != 0)

typedef double (*ref_function)(double a, double b, double c);

#define UNUSED(a, b, c) (void)(a), (void)(b), (void)(c)
#define MAP(ID, name, builder, arity, types, expr, ...)                                                                \
    static double ref_op_##ID(double a, double b, double c)                                                            \
    {                                                                                                                  \
        UNUSED(a, b, c);                                                                                               \
        return expr;                                                                                                   \
    }
#define REDUCE(ID, name, builder, expr, ...)                                                                           \
    static double ref_op_##ID(double a, double b, double c)                                                            \
    {                                                                                                                  \
        UNUSED(a, b, c);                                                                                               \
        return expr;                                                                                                   \
    }
#include "core/ops.def"

static const ref_function functions[OP_COUNT] = {
#define MAP(ID, ...) [OP_##ID] = ref_op_##ID,
#define REDUCE(ID, ...) [OP_##ID] = ref_op_##ID,
#include "core/ops.def"
};

static double initial(const plan_instr *instr) { return clg_ops[instr->op].identity_value[instr->dtype]; }

/* ---------------------------------------------------------------- instructions */

static bool inside(const interpreter *x, const plan_map *map)
{
    for (int d = 0; map->masked && d < x->step->outer_rank + x->step->inner_rank; d++)
        if (x->position[d] < map->lo[d] || x->position[d] >= map->hi[d])
            return false;
    return true;
}

static int64_t address(const interpreter *x, const plan_map *map)
{
    int64_t at = map->offset;
    for (int d = 0; d < x->step->outer_rank + x->step->inner_rank; d++)
        at += map->stride[d] * x->position[d];
    return at;
}

static double load(const interpreter *x, const plan_instr *instr)
{
    const plan_map *map = &x->step->maps[instr->map];
    if (!inside(x, map))
        return 0;
    int64_t at = address(x, map);
    if (instr->src[0] >= 0) {
        int64_t row = (int64_t)x->registers[instr->src[0]];
        if (row < 0 || row >= instr->row_count)
            return instr->dtype == CLG_F32 || instr->dtype == CLG_F64 ? NAN : 0;
        at += row * instr->row_stride;
    }
    return x->before[instr->buffer][at];
}

static double map_value(const interpreter *x, const plan_instr *instr)
{
    double operand[3] = {0, 0, 0};
    for (int i = 0; i < clg_ops[instr->op].arity; i++)
        operand[i] = x->registers[instr->src[i]];
    if (clg_ops[instr->op].types == TYPES_CAST)
        return convert((clg_dtype)x->step->instrs[instr->src[0]].dtype, (clg_dtype)instr->dtype, operand[0]);
    return wrap_integer((clg_dtype)instr->dtype, functions[instr->op](operand[0], operand[1], operand[2]));
}

static void store(interpreter *x, const plan_instr *instr)
{
    int64_t at = address(x, &x->step->maps[instr->map]) + x->piece * x->step->outer_count;
    clg_dtype dtype = x->plan->buffers[instr->buffer].dtype;
    x->values[instr->buffer][at] = convert(CLG_F64, dtype, x->registers[instr->src[0]]);
}

static void execute(interpreter *x, const plan_section *section)
{
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        const plan_instr *instr = &x->step->instrs[i];
        switch ((plan_instr_kind)instr->kind) {
        case INSTR_CONST:
            x->registers[i] = convert(CLG_F64, (clg_dtype)instr->dtype, instr->value);
            break;
        case INSTR_IOTA: {
            const plan_map *map = &x->step->maps[instr->map];
            x->registers[i] = inside(x, map) ? wrap_integer((clg_dtype)instr->dtype, (double)address(x, map)) : 0;
            break;
        }
        case INSTR_LOAD:
            x->registers[i] = load(x, instr);
            break;
        case INSTR_PRODUCT:
            x->registers[i] = x->product;
            break;
        case INSTR_MAP:
            x->registers[i] = map_value(x, instr);
            break;
        case INSTR_REDUCE:
            x->registers[i] = wrap_integer((clg_dtype)instr->dtype,
                                           functions[instr->op](x->registers[i], x->registers[instr->src[0]], 0));
            break;
        case INSTR_STORE:
            store(x, instr);
            break;
        }
    }
}

/* ---------------------------------------------------------------- steps */

static void set_position(interpreter *x, int first, int end, int64_t flat)
{
    for (int d = end - 1; d >= first; d--) {
        x->position[d] = flat % x->step->extent[d];
        flat /= x->step->extent[d];
    }
}

static void execute_inner(interpreter *x, const plan_section *section)
{
    const plan_step *step = x->step;
    int64_t from = x->piece * step->inner_piece, to = from + step->inner_piece;
    if (step->splits <= 1)
        from = 0, to = step->inner_count;
    for (int32_t i = section->first; i < section->first + section->count; i++)
        if (step->instrs[i].kind == INSTR_REDUCE)
            x->registers[i] = initial(&step->instrs[i]);
    for (int64_t j = from; j < to && j < step->inner_count; j++) {
        set_position(x, step->outer_rank, step->outer_rank + step->inner_rank, j);
        execute(x, section);
    }
}

static double dot(const interpreter *x, int64_t b, int64_t r, int64_t c)
{
    const plan_step *s = x->step;
    const double *a_data = x->before[s->a.buffer], *b_data = x->before[s->b.buffer];
    double sum = 0;
    for (int64_t k = 0; k < s->k; k++)
        sum += a_data[s->a.offset + b * s->a.batch_stride + r * s->a.row_stride + k * s->a.column_stride] *
               b_data[s->b.offset + b * s->b.batch_stride + k * s->b.row_stride + c * s->b.column_stride];
    return sum;
}

static void execute_positions(interpreter *x)
{
    const plan_step *step = x->step;
    for (int32_t s = 0; s < step->section_count; s++)
        if (step->sections[s].kind == SECTION_ONCE)
            execute(x, &step->sections[s]);
    for (x->piece = 0; x->piece < (step->splits > 1 ? step->splits : 1); x->piece++)
        for (int64_t i = 0; i < step->outer_count; i++) {
            set_position(x, 0, step->outer_rank, i);
            if (step->kind == STEP_MATMUL)
                x->product = dot(x, x->position[0], x->position[1], x->position[2]);
            for (int32_t s = 0; s < step->section_count; s++) {
                if (step->sections[s].kind == SECTION_OUTER)
                    execute(x, &step->sections[s]);
                else if (step->sections[s].kind == SECTION_INNER)
                    execute_inner(x, &step->sections[s]);
            }
        }
}

static void execute_scatter(interpreter *x)
{
    const plan_step *s = x->step;
    double *result = x->values[s->result];
    for (int64_t i = 0; i < s->rows * s->columns; i++)
        result[i] = 0;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t row = (int64_t)x->before[s->indices][i];
        for (int64_t c = 0; row >= 0 && row < s->rows && c < s->columns; c++) {
            double *sum = &result[row * s->columns + c];
            *sum = wrap_integer(s->dtype, *sum + x->before[s->updates][i * s->columns + c]);
            if (s->dtype == CLG_F32)
                *sum = (double)(float)*sum;
        }
    }
}

static bool run_step(interpreter *x)
{
    int32_t n = x->plan->buffer_count;
    x->registers = calloc((size_t)x->step->instr_count + 1, sizeof *x->registers);
    x->before = calloc((size_t)n + 1, sizeof *x->before);
    bool sound = x->registers && x->before;
    for (int32_t i = 0; sound && i < n; i++) {
        size_t bytes = (size_t)x->plan->buffers[i].count * sizeof(double);
        x->before[i] = malloc(bytes + 1);
        sound = x->before[i] != NULL;
        if (sound)
            memcpy(x->before[i], x->values[i], bytes);
    }
    if (sound && x->step->kind == STEP_SCATTER_ADD)
        execute_scatter(x);
    else if (sound)
        execute_positions(x);
    for (int32_t i = 0; x->before && i < n; i++)
        free(x->before[i]);
    free(x->before);
    free(x->registers);
    return sound;
}

bool plan_reference_run(const plan *p, double **values)
{
    for (int32_t i = 0; i < p->step_count; i++) {
        interpreter x = {.plan = p, .step = &p->steps[i], .values = values};
        if (!run_step(&x))
            return false;
    }
    return true;
}
