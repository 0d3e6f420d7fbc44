/* The arguments of a sample, as builders ask for them. */
#include "opinfo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void mark_used(call *c, const cJSON *value)
{
    for (int i = 0; i < c->used_count; i++)
        if (c->used[i] == value)
            return;
    if (value && c->used_count < OPINFO_LIST)
        c->used[c->used_count++] = value;
}

const cJSON *arg(call *c, int position, const char *name)
{
    const cJSON *value = NULL;
    if (position >= 0)
        value = cJSON_GetArrayItem(cJSON_GetObjectItem(c->sample->json, "args"), position);
    if (!value && name)
        value = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(c->sample->json, "kwargs"), name);
    mark_used(c, value);
    return value;
}

bool has_arg(call *c, int position, const char *name)
{
    const cJSON *value = arg(c, position, name);
    return value && !cJSON_IsNull(value);
}

int arg_count(const call *c) { return cJSON_GetArraySize(cJSON_GetObjectItem(c->sample->json, "args")); }

clg_var tensor_var(call *c, int i)
{
    if (i < 0 || i >= c->sample->tensor_count)
        return skip_sample(c, "a tensor that is not there");
    const opinfo_tensor *t = &c->sample->tensors[i];
    if (c->leaves[i].id == CLG_NONE.id)
        c->leaves[i] = clg_array(c->graph, t->dtype, t->shape, t->data);
    return c->leaves[i];
}

static bool number_in(const cJSON *value, double *found)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(value, "float"));
    if (cJSON_IsNumber(value))
        *found = value->valuedouble;
    else if (cJSON_IsBool(value))
        *found = cJSON_IsTrue(value);
    else if (text)
        *found = strcmp(text, "inf") == 0 ? INFINITY : strcmp(text, "-inf") == 0 ? -INFINITY : NAN;
    else
        return false;
    return true;
}

clg_var json_var(call *c, const cJSON *value)
{
    const cJSON *tensor = cJSON_GetObjectItem(value, "tensor");
    double x;
    if (!value || cJSON_IsNull(value))
        return CLG_NONE;
    if (tensor)
        return tensor_var(c, tensor->valueint);
    if (number_in(value, &x))
        return number(c, x);
    return skip_sample(c, "an argument that is no array");
}

clg_var arg_var(call *c, int position, const char *name) { return json_var(c, arg(c, position, name)); }

double arg_number(call *c, int position, const char *name, double otherwise)
{
    const cJSON *value = arg(c, position, name), *tensor = cJSON_GetObjectItem(value, "tensor");
    double x = otherwise;
    if (tensor && tensor->valueint < c->sample->tensor_count) {
        const opinfo_tensor *t = &c->sample->tensors[tensor->valueint];
        if (t->leaf || clg_shape_count(t->shape) != 1)
            skip_sample(c, "an array where clgrad takes a number");
        else
            return opinfo_element(t, 0);
    } else if (value && !cJSON_IsNull(value) && !number_in(value, &x))
        skip_sample(c, "an argument that is no number");
    return x;
}

int64_t arg_int(call *c, int position, const char *name, int64_t otherwise)
{
    double x = arg_number(c, position, name, (double)otherwise);
    return x >= 9007199254740992.0 ? INT64_MAX : (int64_t)x;
}

bool arg_bool(call *c, int position, const char *name, bool otherwise)
{
    return arg_number(c, position, name, otherwise) != 0;
}

const char *arg_string(call *c, int position, const char *name, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(arg(c, position, name));
    return text ? text : otherwise;
}

int arg_ints(call *c, int position, const char *name, int64_t values[OPINFO_LIST])
{
    const cJSON *value = arg(c, position, name), *item;
    int count = 0;
    double x;
    if (!value || cJSON_IsNull(value))
        return -1;
    if (cJSON_IsArray(value)) {
        cJSON_ArrayForEach(item, value) if (count < OPINFO_LIST && number_in(item, &x)) values[count++] = (int64_t)x;
        return count;
    }
    if (!number_in(value, &x)) {
        skip_sample(c, "an argument that is no list of integers");
        return -1;
    }
    values[count++] = (int64_t)x;
    while (!name && count < OPINFO_LIST && number_in(arg(c, position + count, NULL), &x))
        values[count++] = (int64_t)x;
    return count;
}

clg_shape arg_shape(call *c, int position, const char *name)
{
    int64_t values[OPINFO_LIST];
    clg_shape shape = {0};
    shape.rank = arg_ints(c, position, name, values);
    if (shape.rank > CLG_MAX_RANK) {
        skip_sample(c, "a rank above 8");
        shape.rank = 0;
    }
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = values[i];
    return shape;
}

clg_axes axes_of(const int64_t *axes, int count)
{
    clg_axes found = {.count = count};
    for (int i = 0; i < count && i < CLG_MAX_RANK; i++)
        found.axis[i] = (int)axes[i];
    return found;
}

clg_axes arg_axes(call *c, int position, const char *name)
{
    int64_t values[OPINFO_LIST];
    int count = arg_ints(c, position, name, values);
    return count <= 0 || count > CLG_MAX_RANK ? CLG_ALL_AXES : axes_of(values, count);
}

int arg_axis(call *c, int position, const char *name, int otherwise)
{
    return (int)arg_int(c, position, name, otherwise);
}

int arg_vars(call *c, int position, const char *name, clg_var values[OPINFO_LIST])
{
    const cJSON *value = arg(c, position, name), *item;
    int count = 0;
    if (cJSON_IsArray(value)) {
        cJSON_ArrayForEach(item, value) if (count < OPINFO_LIST) values[count++] = json_var(c, item);
        return count;
    }
    for (; count < OPINFO_LIST && (value = arg(c, position + count, NULL)); count++)
        values[count] = json_var(c, value);
    return count;
}

clg_dtype arg_dtype(call *c, int position, const char *name, clg_dtype otherwise)
{
    const cJSON *value = arg(c, position, name);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(value, "name"));
    static const struct {
        const char *name;
        clg_dtype dtype;
    } known[] = {{"float64", CLG_F64}, {"float32", CLG_F32}, {"int32", CLG_I32},
                 {"int64", CLG_I64},   {"uint8", CLG_U8},    {"bool", CLG_BOOL}};
    if (!value || cJSON_IsNull(value))
        return otherwise;
    for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, text) == 0)
            return known[i].dtype;
    skip_sample(c, "a dtype that clgrad does not have");
    return otherwise;
}

/* ---------------------------------------------------------------- what builders are made of */

clg_var number(call *c, double value) { return clg_full(c->graph, c->dtype, CLG_SCALAR, value); }
int rank_of(clg_var x) { return clg_shape_of(x).rank; }
int axis_in(clg_var x, int64_t axis) { return (int)(axis < 0 ? axis + rank_of(x) : axis); }
bool is_real(clg_var x) { return clg_dtype_of(x) == CLG_F32 || clg_dtype_of(x) == CLG_F64; }

int64_t extent(clg_var x, int axis)
{
    clg_shape shape = clg_shape_of(x);
    axis = axis_in(x, axis);
    return axis >= 0 && axis < shape.rank ? shape.dim[axis] : 1;
}

clg_shape shape_with(clg_var x, int axis, int64_t size)
{
    clg_shape shape = clg_shape_of(x);
    axis = axis_in(x, axis);
    if (axis >= 0 && axis < shape.rank)
        shape.dim[axis] = size;
    return shape;
}

void put(call *c, clg_var output)
{
    if (c->output_count < OPINFO_OUTPUTS)
        c->outputs[c->output_count++] = output;
    else
        skip_sample(c, "too many outputs");
}

clg_var skip_sample(call *c, const char *why)
{
    if (!c->skipped)
        c->skipped = why;
    return (clg_var){c->graph, -1};
}

void skip_gradients(call *c, const char *why) { c->no_gradients = why; }
void skip_second(call *c, const char *why) { c->no_second = why; }
