/* What PyTorch answers to its own sample inputs, as tests/oracle/opinfo.py writes it, and the same calls made of
 * clgrad's functions. A row of a table names an entry of PyTorch's list and says how it is called here; a sample that
 * the row cannot express is skipped with a reason. */
#ifndef OPINFO_H
#define OPINFO_H

#include <clgrad/clgrad.h>
#include <clgrad/functions.h>

#include <cjson/cJSON.h>

/* ---------------------------------------------------------------- what the file holds */

typedef struct opinfo_tensor {
    clg_dtype dtype;
    clg_shape shape;
    bool leaf; /* gradients are with respect to it */
    const char *data;
} opinfo_tensor;

typedef struct opinfo_sample {
    cJSON *json;
    const char *op;
    opinfo_tensor *tensors;
    int tensor_count;
    char *data;
    bool readable; /* no array of too high a rank */
} opinfo_sample;

typedef struct opinfo_file {
    cJSON *header;
    opinfo_sample *samples;
    int count;
} opinfo_file;

/* NULL and a message on stderr if it cannot be read. */
opinfo_file *opinfo_read(const char *path);
void opinfo_free(opinfo_file *file);
double opinfo_element(const opinfo_tensor *t, int64_t i);

/* ---------------------------------------------------------------- a call */

enum { OPINFO_OUTPUTS = 64, OPINFO_LIST = 64 };

/* A sample that is being built in a graph. */
typedef struct call {
    const opinfo_sample *sample;
    clg_graph *graph;
    clg_var *leaves; /* of tensors, those that were asked for */
    clg_dtype dtype; /* that numbers get where an array is asked for: the first tensor's */
    clg_var outputs[OPINFO_OUTPUTS];
    int output_count;
    const char *skipped; /* why the sample is left out */
    const cJSON *used[OPINFO_LIST];
    int used_count;
    const char *no_gradients, *no_second; /* why they are not compared */
} call;

/* An argument by its position (-1: only by its name) or its name (NULL: only by its position); NULL: there is none.
 * Arguments that a builder has not asked for make the sample skipped, but for those that say where and how an array is
 * stored. */
const cJSON *arg(call *c, int position, const char *name);
bool has_arg(call *c, int position, const char *name);    /* and it is not None */
clg_var arg_var(call *c, int position, const char *name); /* CLG_NONE: none; of numbers: a constant */
double arg_number(call *c, int position, const char *name, double otherwise);
int64_t arg_int(call *c, int position, const char *name, int64_t otherwise);
bool arg_bool(call *c, int position, const char *name, bool otherwise);
const char *arg_string(call *c, int position, const char *name, const char *otherwise);
/* A list of integers, or one, or (rest) all positional arguments from this one on. Their number; -1: None or none. */
int arg_ints(call *c, int position, const char *name, int64_t values[OPINFO_LIST]);
clg_shape arg_shape(call *c, int position, const char *name); /* rank -1: none */
clg_axes arg_axes(call *c, int position, const char *name);   /* None, none, empty: all */
int arg_axis(call *c, int position, const char *name, int otherwise);
int arg_vars(call *c, int position, const char *name, clg_var values[OPINFO_LIST]);
clg_dtype arg_dtype(call *c, int position, const char *name, clg_dtype otherwise);
int arg_count(const call *c); /* positional ones */
/* The variable that is number i of the sample's tensors, made when it is asked for first. */
clg_var tensor_var(call *c, int i);
clg_var json_var(call *c, const cJSON *value);

clg_var number(call *c, double value); /* a constant of the call's dtype, shape () */
int rank_of(clg_var x);
int64_t extent(clg_var x, int axis);                     /* negative axes count from the end */
int axis_in(clg_var x, int64_t axis);                    /* as 0 and above */
clg_shape shape_with(clg_var x, int axis, int64_t size); /* x's shape with another extent */
clg_axes axes_of(const int64_t *axes, int count);
bool is_real(clg_var x);

void put(call *c, clg_var output); /* CLG_NONE: this output is not compared */
/* The sample cannot be expressed: why. Returns a poisoned variable. */
clg_var skip_sample(call *c, const char *why);
/* Its values are compared, its gradients (or only its second gradients) are not: why. */
void skip_gradients(call *c, const char *why);
void skip_second(call *c, const char *why);

/* ---------------------------------------------------------------- rows */

/* One of unary, binary and build is there. A row with a tolerance of its own is written out, with the reason. unary and
 * binary take the first one or two arguments. build returns the only output, or anything once it has called put for
 * each. */
typedef struct opinfo_row {
    const char *name;
    clg_var (*unary)(clg_var);
    clg_var (*binary)(clg_var, clg_var);
    clg_var (*build)(call *);
    double tolerance; /* 0: the usual one */
    const char *why;  /* it is not the usual one */
} opinfo_row;

#define UNARY(name, function)                                                                                          \
    {                                                                                                                  \
        name, function, NULL, NULL, 0, NULL                                                                            \
    }
#define BINARY(name, function)                                                                                         \
    {                                                                                                                  \
        name, NULL, function, NULL, 0, NULL                                                                            \
    }
#define BUILD(name, function)                                                                                          \
    {                                                                                                                  \
        name, NULL, NULL, function, 0, NULL                                                                            \
    }

/* Each ends with a row without a name. */
extern const opinfo_row opinfo_elementwise[], opinfo_reductions[], opinfo_views[], opinfo_joins[], opinfo_products[],
    opinfo_layers[], opinfo_losses[], opinfo_masked[], opinfo_makers[], opinfo_special[], opinfo_pictures[],
    opinfo_indices[], opinfo_scans[], opinfo_sorts[], opinfo_scatters[], opinfo_solvers[], opinfo_resizes[];
const opinfo_row *opinfo_find(const char *name);

/* ---------------------------------------------------------------- comparing */

typedef enum opinfo_outcome { OPINFO_PASSED, OPINFO_SKIPPED, OPINFO_FAILED } opinfo_outcome;

typedef struct opinfo_result {
    opinfo_outcome outcome;
    bool gradients, second; /* what was compared beside the outputs */
    char message[600];      /* why it, or its gradients, were skipped, or how it failed */
} opinfo_result;

opinfo_result opinfo_run(const opinfo_row *row, const opinfo_sample *sample, clg_device *device);

#endif
