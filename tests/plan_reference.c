/* A slow, independent interpreter of plans: no vectors, no blocks, registers are doubles. */
#include "plan_reference.h"

#include "core/dtypes.h"
#include "core/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct interpreter {
    const plan *plan;
    const plan_step *step;
    double **values, **before; /* buffers, and copies of them from before the step */
    double *registers;
    int64_t position[PLAN_MAX_DIMS];
    int64_t piece;
    double product;
    bool outside; /* a load or a store was not in its buffer */
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
    const dtype_element half = dtype_encode(dtype, value);
    const void *from[CLG_DTYPE_COUNT] = {&f, &value, &i, &u, [CLG_F16] = &half, [CLG_BF16] = &half};
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
    case CLG_F16:
    case CLG_BF16:
        return dtype_decode(dtype, element);
    default:
        return *(const uint8_t *)element;
    }
}

/* ---------------------------------------------------------------- operations */

static double ref_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double ref_gelu(double x) { return x * erfc(x * -sqrt(0.5)) / 2; }
static double ref_shift_left(int32_t a, int32_t b) { return b < 0 || b > 31 ? 0 : (double)(int32_t)((int64_t)a << b); }
static double ref_shift_right(int32_t a, int32_t b) { return b < 0 || b > 31 ? -(a < 0) : floor(ldexp(a, -b)); }
/* As the article has it: four rounds between additions of the key. */
static double ref_threefry(int32_t counter, int32_t key0, int32_t key1)
{
    static const int rotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
    const uint32_t key[3] = {(uint32_t)key0, (uint32_t)key1, (uint32_t)key0 ^ (uint32_t)key1 ^ 0x1bd11bdau};
    uint32_t x[2] = {(uint32_t)counter + key[0], key[1]};
    for (int round = 0; round < 20; round++) {
        const int by = rotations[round % 8];
        x[0] += x[1];
        x[1] = (x[1] << by | x[1] >> (32 - by)) ^ x[0];
        if (round % 4 == 3) {
            x[0] += key[(round + 1) / 4 % 3];
            x[1] += key[(round + 5) / 4 % 3] + (uint32_t)(round + 1) / 4;
        }
    }
    return (int32_t)x[0];
}
static double ref_softplus(double x) { return x > 700 ? x : log1p(exp(x)); }
static double ref_logaddexp(double x, double y) { return x == y ? x + log(2) : fmax(x, y) + log1p(exp(-fabs(x - y))); }
static double ref_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double ref_remainder(double x, double y)
{
    double r = fmod(x, y);
    return r == 0 ? copysign(r, y) : (r < 0) == (y < 0) ? r : r + y;
}

/* By bisection. */
static double ref_erfinv(double x)
{
    double lo = 0, hi = 6, a = fabs(x);
    if (!(a < 1))
        return a == 1 ? copysign(INFINITY, x) : NAN;
    for (int i = 0; i < 200; i++)
        *((a < 0.5 ? erf((lo + hi) / 2) < a : erfc((lo + hi) / 2) > 1 - a) ? &lo : &hi) = (lo + hi) / 2;
    return copysign(lo, x);
}

static double ref_digamma(double x)
{
    double sum = 0;
    if (x <= 0)
        return x == 0 ? -1 / x : x == floor(x) ? NAN : ref_digamma(1 - x) - acos(-1) / tan(acos(-1) * (x - rint(x)));
    for (; x < 40; x++)
        sum -= 1 / x;
    const double z = 1 / (x * x);
    return log(x) - 1 / (2 * x) - z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z / 240))) + sum;
}

/* The sum of (x + k)^-s over k = 0, 1, ..., for x > 0. */
static double ref_zeta(double s, double x)
{
    double sum = 0;
    for (; x < 300; x++)
        sum += pow(x, -s);
    return sum + pow(x, -s) * (0.5 + x / (s - 1) + s / (12 * x) - s * (s + 1) * (s + 2) / (720 * x * x * x));
}

/* Below 0 the sum over all integers k, without those below 0. */
static double ref_polygamma(double n, double x)
{
    const double s = rint(n) + 1, near = x - floor(x), sign = fmod(s, 2) == 0 ? 1 : -1;
    n = rint(n);
    if (n == 0)
        return ref_digamma(x);
    if (!(n > 0 && (x >= 0 || n <= 7)))
        return NAN;
    if (x < 0 && near == 0)
        return sign * INFINITY;
    double sum = x < 0 ? ref_zeta(s, near) + sign * (ref_zeta(s, 1 - near) - ref_zeta(s, 1 - x)) : ref_zeta(s, x);
    return sign * exp(lgamma(s)) * sum;
}

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
#define ref_exp2 exp2
#define ref_expm1 expm1
#define ref_log2 log2
#define ref_log10 log10
#define ref_log1p log1p
#define ref_cbrt cbrt
#define ref_hypot hypot
#define ref_tan tan
#define ref_asin asin
#define ref_acos acos
#define ref_atan atan
#define ref_atan2 atan2
#define ref_sinh sinh
#define ref_cosh cosh
#define ref_asinh asinh
#define ref_acosh acosh
#define ref_atanh atanh
#define ref_erfc erfc
#define ref_lgamma lgamma
#define ref_floor floor
#define ref_ceil ceil
#define ref_round rint
#define ref_trunc trunc
#define ref_fmod fmod
#define ref_copysign copysign
#define SEL(S, cond, x, y) ((cond) ? (double)(x) : (double)(y))
#define BOOL(S, comparison) ((comparison) ? 1.0 : 0.0)
#define COND(S, u) ((u) != 0)

typedef double (*ref_function)(double a, double b, double c);

#define UNUSED(a, b, c) (void)(a), (void)(b), (void)(c)
#define FUNCTION(name, T, expr)                                                                                        \
    static double name(double a_, double b_, double c_)                                                                \
    {                                                                                                                  \
        const T a = (T)a_, b = (T)b_, c = (T)c_;                                                                       \
        UNUSED(a, b, c);                                                                                               \
        return expr;                                                                                                   \
    }
#define FUNCTION_NUMERIC(name, expr) FUNCTION(name, double, expr)
#define FUNCTION_FLOATING(name, expr) FUNCTION(name, double, expr)
#define FUNCTION_COMPARE(name, expr) FUNCTION(name, double, expr)
#define FUNCTION_SELECT(name, expr) FUNCTION(name, double, expr)
#define FUNCTION_CAST(name, expr) FUNCTION(name, double, expr)
#define FUNCTION_INTEGER(name, expr) FUNCTION(name, int32_t, expr)
#define FUNCTION_WORD(name, expr) FUNCTION(name, int32_t, expr)
#define MAP(ID, operation, builder, arity, types, expr, ...) FUNCTION_##types(ref_op_##ID, expr)
#define SCAN(ID, name, builder, arity, types, expr, ...) FUNCTION_##types(ref_op_##ID, expr)
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
#define SCAN(ID, ...) [OP_##ID] = ref_op_##ID,
#include "core/ops.def"
};

static double initial(const plan_instr *instr)
{
    return ops_identity_value((clg_op)instr->op, (clg_dtype)instr->dtype);
}

/* ---------------------------------------------------------------- instructions */

static int dims(const plan_step *step) { return step->outer_rank + step->inner_rank; }

static bool inside(const interpreter *x, const plan_access *access)
{
    for (int32_t i = access->first_bound; i < access->first_bound + access->bound_count; i++) {
        const plan_bound *bound = &x->step->bounds[i];
        int64_t sum = 0;
        for (int d = 0; d < dims(x->step); d++)
            sum += bound->coef[d] * x->position[d];
        if (sum < bound->lo || sum >= bound->hi)
            return false;
    }
    return true;
}

static int64_t address(const interpreter *x, const plan_access *access)
{
    int64_t at = access->offset;
    for (int d = 0; d < dims(x->step); d++)
        at += access->stride[d] * x->position[d];
    return at;
}

static bool is_in_buffer(interpreter *x, int32_t buffer, int64_t at)
{
    bool in = at >= 0 && at < x->plan->buffers[buffer].count;
    x->outside |= !in;
    return in;
}

/* The value of an instruction, rounded to its dtype: a constant's, and what others give outside their bounds. */
static double value_of(const plan_instr *instr) { return convert(CLG_F64, (clg_dtype)instr->dtype, instr->value); }

static double iota(const interpreter *x, const plan_instr *instr)
{
    const plan_access *access = &x->step->accesses[instr->access];
    if (!inside(x, access))
        return value_of(instr);
    return convert(CLG_I32, (clg_dtype)instr->dtype, (double)address(x, access));
}

static double load(interpreter *x, const plan_instr *instr)
{
    const plan_access *access = &x->step->accesses[instr->access];
    if (!inside(x, access))
        return value_of(instr);
    int64_t at = address(x, access);
    if (instr->src[0] >= 0) {
        int64_t row = (int64_t)x->registers[instr->src[0]];
        if (row < 0 || row >= instr->row_count)
            return instr->dtype == CLG_F32 || instr->dtype == CLG_F64 ? NAN : 0;
        at += row * instr->row_stride;
    }
    return is_in_buffer(x, instr->buffer, at) ? x->before[instr->buffer][at] : NAN;
}

static double map_value(const interpreter *x, const plan_instr *instr)
{
    double from[3] = {0, 0, 0};
    for (int i = 0; i < clg_ops[instr->op].arity; i++)
        from[i] = x->registers[instr->src[i]];
    if (clg_ops[instr->op].types == TYPES_CAST)
        return convert((clg_dtype)x->step->instrs[instr->src[0]].dtype, (clg_dtype)instr->dtype, from[0]);
    return wrap_integer((clg_dtype)instr->dtype, functions[instr->op](from[0], from[1], from[2]));
}

static void store(interpreter *x, const plan_instr *instr)
{
    int64_t at = address(x, &x->step->accesses[instr->access]) + x->piece * x->step->outer_count;
    clg_dtype dtype = x->plan->buffers[instr->buffer].dtype;
    if (is_in_buffer(x, instr->buffer, at))
        x->values[instr->buffer][at] = convert(CLG_F64, dtype, x->registers[instr->src[0]]);
}

static void execute(interpreter *x, const plan_section *section)
{
    for (int32_t i = section->first; i < section->first + section->count; i++) {
        const plan_instr *instr = &x->step->instrs[i];
        switch ((plan_instr_kind)instr->kind) {
        case INSTR_CONST:
            x->registers[i] = value_of(instr);
            break;
        case INSTR_IOTA:
            x->registers[i] = iota(x, instr);
            break;
        case INSTR_LOAD:
            x->registers[i] = load(x, instr);
            break;
        case INSTR_MASK:
            x->registers[i] =
                inside(x, &x->step->accesses[instr->access]) ? x->registers[instr->src[0]] : value_of(instr);
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

/* What a prologue makes of an element. */
static double function(const plan *prologue, double element)
{
    enum { MOST = 16 };
    double registers[MOST] = {0}, result = NAN, *before[] = {&element, NULL}, *values[] = {&element, &result};
    interpreter x = {
        .plan = prologue, .step = prologue->steps, .values = values, .before = before, .registers = registers};
    if (x.step->instr_count > MOST)
        return NAN;
    for (int32_t s = 0; s < x.step->section_count; s++)
        execute(&x, &x.step->sections[s]);
    return result;
}

static double operand(interpreter *x, const plan_operand *o)
{
    const plan_access *access = &x->step->accesses[o->access];
    if (!inside(x, access))
        return 0;
    int64_t at = address(x, access);
    const double element = is_in_buffer(x, o->buffer, at) ? x->before[o->buffer][at] : NAN;
    return o->prologue ? function(o->prologue, element) : element;
}

static double contract(interpreter *x)
{
    double sum = 0;
    for (int64_t j = 0; j < x->step->inner_count; j++) {
        set_position(x, x->step->outer_rank, dims(x->step), j);
        sum += operand(x, &x->step->operand[0]) * operand(x, &x->step->operand[1]);
    }
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
            if (step->kind == STEP_CONTRACT)
                x->product = contract(x);
            for (int32_t s = 0; s < step->section_count; s++) {
                if (step->sections[s].kind == SECTION_OUTER)
                    execute(x, &step->sections[s]);
                else if (step->sections[s].kind == SECTION_INNER)
                    execute_inner(x, &step->sections[s]);
            }
        }
}

/* One combination, rounded as the dtype is. */
static double combine(const interpreter *x, clg_op op, double a, double b, double c)
{
    const double y = functions[op](a, b, c);
    return x->step->dtype == CLG_F32 ? (double)(float)y : wrap_integer(x->step->dtype, y);
}

static void execute_scatter(interpreter *x)
{
    const plan_array *s = &x->step->array;
    const clg_op op = clg_ops[s->op].combine;
    double *result = x->values[s->result];
    for (int64_t i = 0; i < s->results * s->inner; i++)
        result[i] = ops_identity_value(op, x->step->dtype);
    for (int64_t i = 0; i < s->length; i++) {
        int64_t row = (int64_t)x->before[s->operand[0]][i];
        for (int64_t c = 0; row >= 0 && row < s->results && c < s->inner; c++) {
            double *sum = &result[row * s->inner + c];
            *sum = combine(x, op, *sum, x->before[s->operand[1]][i * s->inner + c], 0);
        }
    }
}

static void execute_scan(interpreter *x)
{
    const plan_array *s = &x->step->array;
    for (int64_t line = 0; line < s->outer * s->inner; line++) {
        double a = ops_identity_value(s->op, x->step->dtype);
        for (int64_t t = 0; t < s->length; t++) {
            const int64_t place = s->reverse ? s->length - 1 - t : t;
            const int64_t at = (line / s->inner * s->length + place) * s->inner + line % s->inner;
            const double c = s->operand[1] >= 0 ? x->before[s->operand[1]][at] : 0;
            x->values[s->result][at] = a = combine(x, (clg_op)s->op, a, x->before[s->operand[0]][at], c);
        }
    }
}

/* The place of each element: how many come before it. */
static void execute_sort(interpreter *x)
{
    const plan_array *s = &x->step->array;
    for (int64_t line = 0; line < s->outer; line++)
        for (int64_t i = 0; i < s->length; i++) {
            const double *of = x->before[s->operand[0]] + line * s->length, own = of[i];
            int64_t place = 0;
            for (int64_t k = 0; k < s->length; k++) {
                const bool equal = of[k] == own || (isnan(of[k]) && isnan(own));
                const bool less = !equal && (isnan(own) || of[k] < own);
                place += equal ? k < i : less != s->reverse;
            }
            if (place < s->results)
                x->values[s->result][line * s->results + place] = (double)i;
        }
}

/* By Gauss and Jordan's elimination of (a | b), in f64. */
static void execute_matrix(interpreter *x)
{
    const plan_array *s = &x->step->array;
    const int64_t n = s->length, m = s->inner, wide = n + m;
    double *row = calloc((size_t)(n * wide) + 1, sizeof *row);
    for (int64_t number = 0; row && number < s->outer; number++) {
        const double *a = x->before[s->operand[0]] + number * n * n;
        double *result = x->values[s->result] + number * n * m, product = 1;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < wide; j++) {
                const bool out = s->op == OP_SOLVE_TRIANGULAR && (s->mode ? j < i : j > i);
                row[i * wide + j] =
                    j >= n ? (s->operand[1] < 0 ? 0 : x->before[s->operand[1]][number * n * m + i * m + j - n])
                    : out  ? 0
                           : a[i * n + j];
            }
        for (int64_t k = 0; k < n && s->op != OP_CHOLESKY; k++) {
            int64_t pivot = k;
            for (int64_t i = k; i < n; i++)
                pivot = fabs(row[i * wide + k]) > fabs(row[pivot * wide + k]) ? i : pivot;
            for (int64_t j = 0; j < wide && pivot != k; j++) {
                const double kept = row[k * wide + j];
                row[k * wide + j] = row[pivot * wide + j];
                row[pivot * wide + j] = kept;
            }
            product *= pivot == k ? row[k * wide + k] : -row[k * wide + k];
            for (int64_t i = 0; i < n; i++) {
                const double f = row[i * wide + k] / row[k * wide + k];
                for (int64_t j = 0; j < wide && i != k; j++)
                    row[i * wide + j] -= f * row[k * wide + j];
            }
        }
        if (s->op == OP_DETERMINANT) {
            x->values[s->result][number] = s->mode == DETERMINANT_LOG    ? log(fabs(product))
                                           : s->mode == DETERMINANT_SIGN ? (product > 0) - (product < 0)
                                                                         : product;
            continue;
        }
        for (int64_t i = 0; i < n && s->op != OP_CHOLESKY; i++)
            for (int64_t j = 0; j < m; j++)
                result[i * m + j] = row[i * wide + n + j] / row[i * wide + i];
        for (int64_t i = 0; i < n && s->op == OP_CHOLESKY; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = a[i * n + j];
                for (int64_t k = 0; k < j; k++)
                    sum -= result[i * n + k] * result[j * n + k];
                result[i * n + j] = j > i ? 0 : i == j ? sqrt(sum) : sum / result[j * n + j];
            }
    }
    free(row);
}

static void execute_array(interpreter *x)
{
    const op_kind kind = clg_ops[x->step->array.op].kind;
    (kind == KIND_MATRIX ? execute_matrix
     : kind == KIND_SCAN ? execute_scan
     : kind == KIND_SORT ? execute_sort
                         : execute_scatter)(x);
}

/* Whether the step writes a buffer: what it reads there is kept from before. */
static bool is_written(const plan_step *step, int32_t buffer)
{
    for (int32_t i = 0; i < step->instr_count; i++)
        if (step->instrs[i].kind == INSTR_STORE && step->instrs[i].buffer == buffer)
            return true;
    return step->kind == STEP_ARRAY && step->array.result == buffer;
}

static bool keep_buffers(interpreter *x, double **copies)
{
    for (int32_t i = 0; i < x->plan->buffer_count; i++) {
        x->before[i] = x->values[i];
        if (!is_written(x->step, i))
            continue;
        size_t bytes = (size_t)x->plan->buffers[i].count * sizeof(double);
        x->before[i] = copies[i] = malloc(bytes + 1);
        if (!copies[i])
            return false;
        memcpy(copies[i], x->values[i], bytes);
    }
    return true;
}

static bool run_step(interpreter *x)
{
    size_t n = (size_t)x->plan->buffer_count + 1;
    double **copies = calloc(n, sizeof *copies);
    x->registers = calloc((size_t)x->step->instr_count + 1, sizeof *x->registers);
    x->before = calloc(n, sizeof *x->before);
    bool sound = copies && x->registers && x->before && keep_buffers(x, copies);
    if (sound && x->step->kind == STEP_ARRAY)
        execute_array(x);
    else if (sound)
        execute_positions(x);
    for (size_t i = 0; copies && i < n; i++)
        free(copies[i]);
    free(copies);
    free(x->before);
    free(x->registers);
    return sound && !x->outside;
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
