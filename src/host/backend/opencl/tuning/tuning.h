/* How products are computed: measured choices, and what measures them. Calls the driver, which knows nothing of it.
 *
 *   choice.c         the ways to compute a product: built in, legal, worth measuring
 *   clblast_space.c  CLBlast's kernels with their parameters: what is legal, random draws, text
 *   tuning.c         the table of choices: found by shape, read from and written to its file
 *   prepare.c        programs with their choices
 *   tune_rig.c       a product to be measured: data, check, clock
 *   tune.c           chooses among candidates
 *   tune_clblast.c   searches CLBlast's parameters */
#ifndef CLG_TUNING_H
#define CLG_TUNING_H

#include "../driver/program.h"

/* ---------------------------------------------------------------- choice.c */

/* The choice where nothing was measured. */
product_choice choice_builtin(const backend_device *device, const plan_step *step);
product_tile choice_builtin_tile(const backend_device *device, const plan_step *step);
/* Whether the device can compute the step so, and the environment lets it. */
bool choice_is_allowed(const backend_device *device, const plan_step *step, const product_choice *choice);
/* Choices worth measuring, the most promising first; returns how many. */
int choice_candidates(const backend_device *device, const plan_step *step, product_choice *choices, int capacity);
/* Multiply-adds of the choice over those of the product: what edges compute twice or in vain. */
double choice_waste(const backend_device *device, const plan_step *step, const product_choice *choice);

/* ---------------------------------------------------------------- clblast_space.c */

#define CLBLAST_MAX_VALUES 6
#define CLBLAST_MAX_TEXT 200

/* A parameter and the values that a search tries. */
typedef struct clblast_parameter {
    const char *name;
    int values[CLBLAST_MAX_VALUES], count;
} clblast_parameter;

typedef struct clblast_kernel {
    const char *name;
    int64_t size; /* of the square product that uses it */
    int count;
    clblast_parameter parameters[CLBLAST_MAX_PARAMETERS];
    /* The constraints that its documentation and its own tuner state. */
    bool (*fits)(const int *value);
    int (*group)(const int *value);          /* work-items in a group */
    int (*local_elements)(const int *value); /* of local memory */
} clblast_kernel;

enum { CLBLAST_KERNELS = 2 };
extern const clblast_kernel clblast_kernels[CLBLAST_KERNELS];

/* The parameters of one kernel for one dtype. */
typedef struct clblast_setting {
    int kernel; /* of clblast_kernels */
    clg_dtype dtype;
    int value[CLBLAST_MAX_PARAMETERS];
    double seconds, before_seconds; /* when it was measured; those in use before */
} clblast_setting;

bool clblast_setting_is_legal(const backend_device *device, const clblast_setting *setting);
/* Draws values until they are legal; false if that does not happen. state: of the random numbers. */
bool clblast_setting_draw(const backend_device *device, clblast_setting *setting, uint64_t *state);
/* "MWG=64 NWG=64 ..." */
void clblast_setting_format(const clblast_setting *setting, char out[CLBLAST_MAX_TEXT]);
bool clblast_setting_parse(clblast_setting *setting, const char *line);
/* As the library is told of them. */
clblast_parameters clblast_setting_parameters(const clblast_setting *setting);

/* ---------------------------------------------------------------- tuning.c */

/* What was measured of one product. */
typedef struct tuning_entry {
    clg_tune_shape shape;
    bool builtin; /* the built-in choice was best */
    product_choice choice;
    double seconds, builtin_seconds;
} tuning_entry;

struct tuning {
    char *path;      /* NULL: no cache */
    char state[160]; /* "read", "not there", or why the file was ignored */
    tuning_entry *entries;
    int32_t count, capacity;
    clblast_setting settings[CLBLAST_KERNELS * CLG_DTYPE_COUNT];
    int setting_count;
};

/* Reads the device's file. A file that is no good is ignored: only want of memory is an error. */
clg_status tuning_open(backend_device *device);
void tuning_close(backend_device *device);
/* The choice for a step: measured at its shape or a near one, or built in. */
product_choice tuning_choose(const backend_device *device, const plan_step *step);
/* Adds what was measured, in place of what was known of the same, and writes the file. */
clg_status tuning_keep_product(backend_device *device, const tuning_entry *entry);
clg_status tuning_keep_setting(backend_device *device, const clblast_setting *setting);
clg_status tuning_reset(backend_device *device);
/* "generated 8x3x16 packed B" */
void tuning_format_choice(const product_choice *choice, char *out, size_t size);
int tuning_print(const backend_device *device, FILE *out);

/* ---------------------------------------------------------------- prepare.c */

/* Prepares a program. all: how to compute every product; NULL: each as tuning_choose says. */
clg_status tuning_prepare(backend_device *device, const plan *schedule, const product_choice *all,
                          backend_buffer *const *bindings, backend_program **prepared);

/* ---------------------------------------------------------------- tune_rig.c */

enum { TUNE_ROUNDS = 9 }; /* of samples in turn */
#define TUNE_GAIN 0.95    /* of the time, below which a change is worth keeping */

enum { BUFFER_A, BUFFER_B, BUFFER_BIAS, BUFFER_C, BUFFER_PRODUCT, RIG_BUFFERS };

/* The program that is timed, its data, and what the check needs. */
typedef struct tune_rig {
    backend_device *device;
    plan plan;
    plan_step step;
    plan_instr instrs[4];
    plan_section section;
    plan_access accesses[4];
    plan_buffer buffers[RIG_BUFFERS];
    backend_buffer *bindings[RIG_BUFFERS]; /* of the leaves and C */
    double *x, *expected;                  /* n; batch m: A (B x) + bias x */
    double tolerance;
    void *image; /* of C */
} tune_rig;

clg_status rig_new(backend_device *device, const clg_tune_shape *shape, tune_rig *r);
void rig_free(tune_rig *r);
/* Runs once and compares: every element of C is written, and rightly. */
clg_status rig_check(tune_rig *r, backend_program *program);
/* Seconds a run. */
clg_status rig_time(const tune_rig *r, backend_program *program, int runs, double *seconds);

/* A choice ready to run. */
typedef struct contender {
    product_choice choice;
    backend_program *program;
    double quick; /* seconds a run, roughly */
    int runs;     /* in a sample */
    double samples[TUNE_ROUNDS];
} contender;

clg_status contender_prepare(tune_rig *r, contender *c);
void contender_release(contender *c);
/* Prepares, checks and times roughly. */
clg_status contender_begin(tune_rig *r, contender *c);

/* Sorts the samples. */
double tune_median(double *samples, int count);
double tune_now(void); /* seconds of a clock that never jumps */

/* ---------------------------------------------------------------- tune.c, tune_clblast.c */

extern const backend_tuner opencl_tuner;
const char *tune_clblast_kernel(const backend_device *device, int kernel);
clg_status tune_clblast(backend_device *device, clg_dtype dtype, int kernel, double seconds, uint64_t seed,
                        clg_tune_watch watch, void *context, clg_tune_result *result);

#endif
