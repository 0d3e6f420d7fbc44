/* Random programs as C: the text of each call, and of the program around them. */
#define SUPPORT_PROGRAM_SOURCE_PLAIN
#include "support_program_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 1 << 16 };

static FILE *out;
static bool known[MOST]; /* variables that the text has */

/* ---------------------------------------------------------------- text */

static void shape(clg_shape s)
{
    fprintf(out, s.rank ? "CLG_SHAPE(" : "CLG_SCALAR");
    for (int d = 0; d < s.rank; d++)
        fprintf(out, "%s%lld", d ? ", " : "", (long long)s.dim[d]);
    fprintf(out, s.rank ? ")" : "");
}

static void axes(clg_axes a)
{
    if (a.count < 0) {
        fprintf(out, "CLG_ALL_AXES");
        return;
    }
    fprintf(out, "(clg_axes){%d, {%s", a.count, a.count ? "" : "0");
    for (int i = 0; i < a.count; i++)
        fprintf(out, "%s%d", i ? ", " : "", a.axis[i]);
    fprintf(out, "}}");
}

static void var(clg_var x)
{
    if (x.graph)
        fprintf(out, "v%d", (int)x.id);
    else
        fprintf(out, "CLG_NONE");
}

static void number(double value)
{
    fprintf(out, isfinite(value) ? "%a" : isnan(value) ? "NAN" : value > 0 ? "INFINITY" : "-INFINITY", value);
}

static void integer(int64_t value)
{
    if (value == INT64_MIN || value == INT64_MAX)
        fprintf(out, value < 0 ? "INT64_MIN" : "INT64_MAX");
    else
        fprintf(out, "%lld", (long long)value);
}

static const char *truth(bool value) { return value ? "true" : "false"; }

static const char *name_of(clg_dtype dtype)
{
    static const char *const names[CLG_DTYPE_COUNT] = {
        [CLG_F32] = "CLG_F32", [CLG_F64] = "CLG_F64",   [CLG_I32] = "CLG_I32", [CLG_U8] = "CLG_U8",
        [CLG_I64] = "CLG_I64", [CLG_BOOL] = "CLG_BOOL", [CLG_F16] = "CLG_F16", [CLG_BF16] = "CLG_BF16"};
    return names[dtype];
}

/* Whether a call that made y is to be noted: then "clg_var v7 = " is. */
static bool begins(clg_var y)
{
    if (!out || y.id < 0 || y.id >= MOST || known[y.id])
        return false;
    known[y.id] = true;
    fprintf(out, "    clg_var v%d = ", (int)y.id);
    return true;
}

/* "clg_add(v3" */
static void call(const char *name, clg_var a)
{
    fprintf(out, "clg_%s(", name);
    var(a);
}

static clg_var end(clg_var y)
{
    fprintf(out, ");\n");
    return y;
}

/* ", v3" */
static void also(clg_var x)
{
    fprintf(out, ", ");
    var(x);
}

static void also_shape(clg_shape s)
{
    fprintf(out, ", ");
    shape(s);
}

static void also_integer(int64_t value)
{
    fprintf(out, ", ");
    integer(value);
}

static void list(const clg_var *x, int count)
{
    fprintf(out, "(const clg_var[]){");
    for (int i = 0; i < count; i++)
        fprintf(out, "%sv%d", i ? ", " : "", (int)x[i].id);
    fprintf(out, "}");
}

/* ---------------------------------------------------------------- the program around the calls */

void source_begin(FILE *to)
{
    out = to;
    memset(known, 0, sizeof known);
    if (out)
        fprintf(out, "/* What is compiled as a whole against what is read node by node: cc this.c -lclgrad -lm */\n"
                     "#include <clgrad/functions.h>\n\n#include <math.h>\n#include <stdlib.h>\n\n"
                     "static clg_var leaf(clg_graph *g, clg_dtype dtype, clg_shape shape, const double *values)\n{\n"
                     "    int64_t count = clg_shape_count(shape);\n"
                     "    void *data = calloc((size_t)count + 1, 8);\n"
                     "    clg_dtype_convert(CLG_F64, values, dtype, data, count);\n"
                     "    clg_var x = clg_array(g, dtype, shape, data);\n    free(data);\n    return x;\n}\n\n"
                     "static int make(clg_graph *g, clg_var *y)\n{\n");
}

void source_end(const clg_var *outputs, int count)
{
    if (!out)
        return;
    for (int i = 0; i < count; i++)
        fprintf(out, "    y[%d] = v%d;\n", i, (int)outputs[i].id);
    fprintf(
        out,
        "    return %d;\n}\n\nstatic double *values(clg_var x)\n{\n"
        "    int64_t count = clg_shape_count(clg_shape_of(x));\n    size_t size = clg_dtype_size(clg_dtype_of(x));\n"
        "    char *data = calloc((size_t)count + 1, size);\n    double *y = calloc((size_t)count + 1, sizeof *y);\n"
        "    if (clg_read(x, data, (size_t)count * size) != CLG_OK)\n        puts(clg_last_error());\n"
        "    clg_dtype_convert(clg_dtype_of(x), data, CLG_F64, y, count);\n    free(data);\n    return y;\n}\n\n"
        "int main(int argc, char **argv)\n{\n    clg_device *device = NULL, *cpu = NULL;\n"
        "    if (clg_device_open(argc > 1 ? argv[1] : \"cpu\", &device) || clg_device_open(\"cpu\", &cpu))\n"
        "        return puts(clg_last_error()), 1;\n"
        "    clg_graph *whole = clg_graph_new(device), *apart = clg_graph_new(cpu);\n"
        "    clg_var y[%d], z[%d];\n    int count = make(whole, y);\n    make(apart, z);\n"
        "    clg_program *program = clg_compile(whole, y, count);\n"
        "    if (!program || clg_run(program) != CLG_OK)\n        return puts(clg_last_error()), 1;\n"
        "    for (int32_t i = 0; i < clg_graph_size(apart); i++)\n        free(values((clg_var){apart, i}));\n"
        "    for (int i = 0; i < count; i++) {\n        double *a = values(y[i]), *b = values(z[i]), most = 0;\n"
        "        for (int64_t k = 0; k < clg_shape_count(clg_shape_of(y[i])); k++)\n"
        "            most = fabs(a[k] - b[k]) <= most ? most : fabs(a[k] - b[k]);\n"
        "        printf(\"output %%d: %%g\\n\", i, most);\n        free(a);\n        free(b);\n    }\n"
        "    return 0;\n}\n",
        count, count + 1, count + 1);
    out = NULL;
}

/* ---------------------------------------------------------------- calls */

clg_var source_leaf(clg_var x, const double *values)
{
    if (!begins(x))
        return x;
    fprintf(out, "leaf(g, %s, ", name_of(clg_dtype_of(x)));
    shape(clg_shape_of(x));
    fprintf(out, ", (const double[]){");
    for (int64_t i = 0; i < clg_shape_count(clg_shape_of(x)); i++) {
        fprintf(out, i == 0 ? "" : i % 4 ? ", " : ",\n        ");
        number(values[i]);
    }
    fprintf(out, "}");
    return end(x);
}

clg_var source_v(const char *name, clg_var (*f)(clg_var), clg_var a)
{
    clg_var y = f(a);
    if (!begins(y))
        return y;
    call(name, a);
    return end(y);
}

clg_var source_vv(const char *name, clg_var (*f)(clg_var, clg_var), clg_var a, clg_var b)
{
    clg_var y = f(a, b);
    if (!begins(y))
        return y;
    call(name, a);
    also(b);
    return end(y);
}

clg_var source_vvv(const char *name, clg_var (*f)(clg_var, clg_var, clg_var), clg_var a, clg_var b, clg_var c)
{
    clg_var y = f(a, b, c);
    if (!begins(y))
        return y;
    call(name, a);
    also(b);
    also(c);
    return end(y);
}

clg_var source_vi(const char *name, clg_var (*f)(clg_var, int), clg_var a, int axis)
{
    clg_var y = f(a, axis);
    if (!begins(y))
        return y;
    call(name, a);
    also_integer(axis);
    return end(y);
}

clg_var source_vii(const char *name, clg_var (*f)(clg_var, int, int), clg_var a, int axis, int flags)
{
    clg_var y = f(a, axis, flags);
    if (!begins(y))
        return y;
    call(name, a);
    fprintf(out, ", %d, %d", axis, flags);
    return end(y);
}

clg_var source_vib(const char *name, clg_var (*f)(clg_var, int, bool), clg_var a, int axis, bool flag)
{
    clg_var y = f(a, axis, flag);
    if (!begins(y))
        return y;
    call(name, a);
    fprintf(out, ", %d, %s", axis, truth(flag));
    return end(y);
}

clg_var source_vil(const char *name, clg_var (*f)(clg_var, int, int64_t), clg_var a, int axis, int64_t n)
{
    clg_var y = f(a, axis, n);
    if (!begins(y))
        return y;
    call(name, a);
    also_integer(axis);
    also_integer(n);
    return end(y);
}

clg_var source_vvi(const char *name, clg_var (*f)(clg_var, clg_var, int), clg_var a, clg_var b, int axis)
{
    clg_var y = f(a, b, axis);
    if (!begins(y))
        return y;
    call(name, a);
    also(b);
    also_integer(axis);
    return end(y);
}

clg_var source_vvl(const char *name, clg_var (*f)(clg_var, clg_var, int64_t), clg_var a, clg_var b, int64_t n)
{
    clg_var y = f(a, b, n);
    if (!begins(y))
        return y;
    call(name, a);
    also(b);
    also_integer(n);
    return end(y);
}

clg_var source_vs(const char *name, clg_var (*f)(clg_var, clg_shape), clg_var a, clg_shape s)
{
    clg_var y = f(a, s);
    if (!begins(y))
        return y;
    call(name, a);
    also_shape(s);
    return end(y);
}

clg_var source_va(const char *name, clg_var (*f)(clg_var, clg_axes), clg_var a, clg_axes x)
{
    clg_var y = f(a, x);
    if (!begins(y))
        return y;
    call(name, a);
    fprintf(out, ", ");
    axes(x);
    return end(y);
}

clg_var source_vab(const char *name, clg_var (*f)(clg_var, clg_axes, bool), clg_var a, clg_axes x, bool keep)
{
    clg_var y = f(a, x, keep);
    if (!begins(y))
        return y;
    call(name, a);
    fprintf(out, ", ");
    axes(x);
    fprintf(out, ", %s", truth(keep));
    return end(y);
}

clg_var source_parts(const char *name, clg_var (*f)(const clg_var *, int, int), const clg_var *parts, int count,
                     int axis)
{
    clg_var y = f(parts, count, axis);
    if (!begins(y))
        return y;
    fprintf(out, "clg_%s(", name);
    list(parts, count);
    fprintf(out, ", %d, %d", count, axis);
    return end(y);
}

clg_var source_put(const char *name, clg_var (*f)(clg_var, clg_var, clg_var, int, clg_scatter_mode), clg_var a,
                   clg_var b, clg_var c, int axis, clg_scatter_mode mode)
{
    clg_var y = f(a, b, c, axis, mode);
    if (!begins(y))
        return y;
    call(name, a);
    also(b);
    also(c);
    fprintf(out, ", %d, (clg_scatter_mode)%d", axis, (int)mode);
    return end(y);
}

static void field(const char *name, clg_shape s)
{
    fprintf(out, ".%s = ", name);
    shape(s);
    fprintf(out, ", ");
}

clg_var source_conv(const char *name, clg_var (*f)(clg_var, clg_var, clg_conv_options), clg_var x, clg_var w,
                    clg_conv_options o)
{
    clg_var y = f(x, w, o);
    if (!begins(y))
        return y;
    call(name, x);
    also(w);
    fprintf(out, ", (clg_conv_options){");
    field("stride", o.stride);
    field("dilation", o.dilation);
    field("before", o.before);
    field("after", o.after);
    field("output_padding", o.output_padding);
    if (o.layout)
        fprintf(out, ".layout = \"%s\", ", o.layout);
    fprintf(out, ".same = %s, .groups = %lld}", truth(o.same), (long long)o.groups);
    return end(y);
}

clg_var source_pool(const char *name, clg_var (*f)(clg_var, clg_pool_options), clg_var x, clg_pool_options o)
{
    clg_var y = f(x, o);
    if (!begins(y))
        return y;
    call(name, x);
    fprintf(out, ", (clg_pool_options){");
    field("size", o.size);
    field("stride", o.stride);
    field("before", o.before);
    field("after", o.after);
    fprintf(out, ".same = %s, .count_padding = %s}", truth(o.same), truth(o.count_padding));
    return end(y);
}

clg_var source_global(const char *name, clg_var (*f)(clg_var, const char *), clg_var x)
{
    clg_var y = f(x, NULL);
    if (!begins(y))
        return y;
    call(name, x);
    fprintf(out, ", NULL");
    return end(y);
}

clg_var source_adaptive(const char *name, clg_var (*f)(clg_var, clg_shape, const char *), clg_var x, clg_shape size)
{
    clg_var y = f(x, size, NULL);
    if (!begins(y))
        return y;
    call(name, x);
    also_shape(size);
    fprintf(out, ", NULL");
    return end(y);
}

clg_var source_cast(clg_var x, clg_dtype dtype)
{
    clg_var y = clg_cast(x, dtype);
    if (!begins(y))
        return y;
    call("cast", x);
    fprintf(out, ", %s", name_of(dtype));
    return end(y);
}

clg_var source_full(clg_graph *g, clg_dtype dtype, clg_shape s, double value)
{
    clg_var y = clg_full(g, dtype, s, value);
    if (!begins(y))
        return y;
    fprintf(out, "clg_full(g, %s", name_of(dtype));
    also_shape(s);
    fprintf(out, ", ");
    number(value);
    return end(y);
}

clg_var source_arange(clg_graph *g, clg_dtype dtype, int64_t count)
{
    clg_var y = clg_arange(g, dtype, count);
    if (!begins(y))
        return y;
    fprintf(out, "clg_arange(g, %s, %lld", name_of(dtype), (long long)count);
    return end(y);
}

clg_var source_slice(clg_var x, int axis, int64_t start, int64_t stop, int64_t step)
{
    clg_var y = clg_slice(x, axis, start, stop, step);
    if (!begins(y))
        return y;
    call("slice", x);
    also_integer(axis);
    also_integer(start);
    also_integer(stop);
    also_integer(step);
    return end(y);
}

clg_var source_pad(clg_var x, clg_shape before, clg_shape after, clg_pad_mode mode, double value)
{
    clg_var y = clg_pad(x, before, after, mode, value);
    if (!begins(y))
        return y;
    call("pad", x);
    also_shape(before);
    also_shape(after);
    fprintf(out, ", (clg_pad_mode)%d, ", (int)mode);
    number(value);
    return end(y);
}

clg_var source_window(clg_var x, clg_axes a, clg_shape size, clg_shape stride, clg_shape dilation)
{
    clg_var y = clg_window(x, a, size, stride, dilation);
    if (!begins(y))
        return y;
    call("window", x);
    fprintf(out, ", ");
    axes(a);
    also_shape(size);
    also_shape(stride);
    also_shape(dilation);
    return end(y);
}

clg_var source_recurrence(clg_var x, clg_var c, int axis, int flags)
{
    clg_var y = clg_recurrence(x, c, axis, flags);
    if (!begins(y))
        return y;
    call("recurrence", x);
    also(c);
    fprintf(out, ", %d, %d", axis, flags);
    return end(y);
}

clg_var source_topk(clg_var x, int64_t k, int axis, bool largest)
{
    clg_var y = clg_topk(x, k, axis, largest, NULL);
    if (!begins(y))
        return y;
    call("topk", x);
    fprintf(out, ", %lld, %d, %s, NULL", (long long)k, axis, truth(largest));
    return end(y);
}

clg_var source_einsum(const char *equation, const clg_var *operands, int count)
{
    clg_var y = clg_einsum(equation, operands, count);
    if (!begins(y))
        return y;
    fprintf(out, "clg_einsum(\"%s\", ", equation);
    list(operands, count);
    fprintf(out, ", %d", count);
    return end(y);
}

clg_var source_norm(const char *name, clg_var y, clg_var x, clg_var gain, clg_var bias, int64_t groups, int axis,
                    double epsilon)
{
    if (!begins(y))
        return y;
    fprintf(out, "clg_%s_norm(", name);
    var(x);
    also(gain);
    also(bias);
    if (groups)
        also_integer(groups);
    if (strcmp(name, "layer"))
        also_integer(axis);
    fprintf(out, ", ");
    number(epsilon);
    if (!strcmp(name, "batch"))
        fprintf(out, ", NULL, NULL");
    return end(y);
}

/* As slices: they are the same variables. */
void source_split(clg_var x, int axis, const int64_t *lengths, int count, clg_var *parts)
{
    int64_t at = 0;
    clg_split(x, axis, lengths, count, parts);
    for (int i = 0; i < count; at += lengths[i++])
        if (begins(parts[i])) {
            call("slice", x);
            fprintf(out, ", %d, %lld, %lld, 1", axis, (long long)at, (long long)(at + lengths[i]));
            end(parts[i]);
        }
}

clg_status source_gradients(clg_var y, const clg_var *xs, int count, clg_var *gxs)
{
    static int number_of;
    const clg_status status = clg_gradients(y, xs, count, gxs);
    if (!out || status != CLG_OK)
        return status;
    fprintf(out, "    clg_var g%d[%d];\n    clg_gradients(v%d, ", number_of, count, (int)y.id);
    list(xs, count);
    fprintf(out, ", %d, g%d);\n", count, number_of);
    for (int i = 0; i < count; i++)
        if (begins(gxs[i]))
            fprintf(out, "g%d[%d];\n", number_of, i);
    number_of++;
    return status;
}
