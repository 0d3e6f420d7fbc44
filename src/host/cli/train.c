/* clgrad train: trains a classifier of images, shows how it goes, and writes a log and the parameters. */
#define _GNU_SOURCE
#include "cli.h"
#include "profile.h"
#include "progress.h"
#include "trainer.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DATA "/usr/share/datasets/fashion-mnist" /* where Debian's dataset-fashion-mnist puts it */

typedef struct train_options {
    const char *data, *device, *log, *save, *profile, *losses;
    int64_t epochs, limit;
    bool lr_given;
    trainer_options trainer;
} train_options;

/* ---------------------------------------------------------------- options */

enum {
    KEY_DATASET = 256, /* above the characters: no short form */
    KEY_DATA,
    KEY_MODEL,
    KEY_HIDDEN,
    KEY_DTYPE,
    KEY_OPTIMIZER,
    KEY_LR,
    KEY_SEED,
    KEY_LOG,
    KEY_SAVE,
    KEY_LIMIT,
    KEY_RESIDENT,
    KEY_PROFILE,
    KEY_LOSSES
};

static const struct argp_option options[] = {
    {"dataset", KEY_DATASET, "NAME", 0, "The data set (fashion-mnist)", 0},
    {"data", KEY_DATA, "DIR", 0, "Folder with its IDX files, plain or .gz (" DEFAULT_DATA ")", 0},
    {"model", KEY_MODEL, "NAME", 0,
     "The model: mlp, dense layers with relu between them, or cnn, two 3 x 3 convolutions to 32 and 64 channels, each "
     "with relu and a 2 x 2 maximum pool, before them (mlp)",
     0},
    {"hidden", KEY_HIDDEN, "N,N,...", 0, "Widths of its hidden dense layers (512,512)", 0},
    {"dtype", KEY_DTYPE, "NAME", 0,
     "The type of what the model computes: f32, bf16, or f16 with a scaled loss; its parameters are f32 (f32)", 0},
    {"epochs", 'e', "N", 0, "Passes over the training set (5)", 0},
    {"batch-size", 'b', "N", 0, "Examples in a step (128)", 0},
    {"optimizer", KEY_OPTIMIZER, "NAME", 0, "adam or sgd (adam)", 0},
    {"lr", KEY_LR, "X", 0, "Learning rate (adam 1e-3, sgd 1e-2)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the initial values and of the order of the examples (0)", 0},
    {"device", 'd', "SPEC", 0, "auto, cpu, opencl, opencl:N or opencl:NAME ($CLGRAD_DEVICE, else auto)", 0},
    {"log", KEY_LOG, "FILE", 0, "Write one line of JSON an epoch", 0},
    {"save", KEY_SAVE, "FILE", 0, "Write the parameters as safetensors at the end", 0},
    {"limit", KEY_LIMIT, "N", 0, "Train on the first N examples only", 0},
    {"resident", KEY_RESIDENT, "WHERE", 0,
     "yes: the data set lies in the device's memory; no: each step's batch is sent there; auto: yes on a GPU, where it "
     "takes no more than a quarter of the memory (auto)",
     0},
    {"profile", KEY_PROFILE, "FILE", 0,
     "At the end, run the training step 20 times more: a table of where its time goes, and a trace for Perfetto", 0},
    {"losses", KEY_LOSSES, "FILE", OPTION_HIDDEN, "Write the loss of every step", 0},
    {0}};

static void parse_hidden(struct argp_state *state, const char *text, trainer_options *model)
{
    char *copy = strdup(text), *rest = copy;
    model->hidden_count = 0;
    while (rest) {
        char *width = strsep(&rest, ",");
        if (model->hidden_count == TRAINER_MAX_HIDDEN)
            cli_usage(state, "--hidden has more than %d widths", TRAINER_MAX_HIDDEN);
        model->hidden[model->hidden_count++] = cli_integer(state, "--hidden", width, 1, 1 << 20);
    }
    free(copy);
}

/* A value from a list of words; the position of the word. */
static int parse_word(struct argp_state *state, const char *option, const char *text, const char *const *words)
{
    char right[128] = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0)
            return i;
        size_t used = strlen(right);
        snprintf(right + used, sizeof right - used, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    cli_usage(state, "%s is '%s'; right is %s", option, text, right);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    static const char *const datasets[] = {"fashion-mnist", NULL}, *const models[] = {"mlp", "cnn", NULL},
                             *const optimizers[] = {"adam", "sgd", NULL}, *const places[] = {"auto", "yes", "no", NULL},
                             *const dtypes[] = {"f32", "bf16", "f16", NULL};
    static const clg_dtype dtype_of[] = {CLG_F32, CLG_BF16, CLG_F16};
    train_options *o = state->input;
    switch (key) {
    case KEY_DATASET:
        parse_word(state, "--dataset", argument, datasets);
        break;
    case KEY_DATA:
        o->data = argument;
        break;
    case KEY_MODEL:
        o->trainer.cnn = parse_word(state, "--model", argument, models) == 1;
        break;
    case KEY_DTYPE:
        o->trainer.dtype = dtype_of[parse_word(state, "--dtype", argument, dtypes)];
        break;
    case KEY_HIDDEN:
        parse_hidden(state, argument, &o->trainer);
        break;
    case 'e':
        o->epochs = cli_integer(state, "--epochs", argument, 1, 1000000);
        break;
    case 'b':
        o->trainer.batch_size = cli_integer(state, "--batch-size", argument, 1, INT32_MAX);
        break;
    case KEY_OPTIMIZER:
        o->trainer.adam = parse_word(state, "--optimizer", argument, optimizers) == 0;
        break;
    case KEY_LR:
        o->trainer.lr = cli_positive(state, "--lr", argument), o->lr_given = true;
        break;
    case KEY_SEED:
        o->trainer.seed = cli_seed(state, "--seed", argument);
        break;
    case 'd':
        o->device = argument;
        break;
    case KEY_LOG:
        o->log = argument;
        break;
    case KEY_SAVE:
        o->save = argument;
        break;
    case KEY_LIMIT:
        o->limit = cli_integer(state, "--limit", argument, 1, INT32_MAX);
        break;
    case KEY_RESIDENT:
        o->trainer.resident = (trainer_resident)parse_word(state, "--resident", argument, places);
        break;
    case KEY_PROFILE:
        o->profile = argument;
        break;
    case KEY_LOSSES:
        o->losses = argument;
        break;
    case ARGP_KEY_ARG:
        cli_usage(state, "unexpected argument '%s'", argument);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static train_options parse_options(int argc, char **argv)
{
    static const struct argp parser = {
        options,
        parse,
        NULL,
        "Train a classifier on Fashion-MNIST: one line an epoch, with a progress bar on a terminal.\v"
        "The same seed gives the same result, bit for bit, on one device with one build.",
        NULL,
        NULL,
        NULL};
    train_options o = {.data = DEFAULT_DATA,
                       .epochs = 5,
                       .trainer = {.hidden = {512, 512}, .hidden_count = 2, .batch_size = 128, .adam = true}};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    if (!o.lr_given)
        o.trainer.lr = o.trainer.adam ? 1e-3 : 1e-2;
    return o;
}

/* ---------------------------------------------------------------- one training */

typedef struct session {
    const train_options *options;
    clg_dataset train_set, test_set;
    FILE *log, *losses;
    clg_device *device;
    trainer trainer;
    progress progress;
    char label[32];
} session;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) { interrupted = number; }

/* The first Ctrl-C ends the training after the current step; a second one ends the program. */
static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
}

static int read_data(session *s)
{
    const train_options *o = s->options;
    if (clg_dataset_read(o->data, "train", 10, &s->train_set) != CLG_OK ||
        clg_dataset_read(o->data, "t10k", 10, &s->test_set) != CLG_OK)
        return cli_library_error("train");
    const clg_dataset *train = &s->train_set, *test = &s->test_set;
    if (train->rows != test->rows || train->columns != test->columns)
        return cli_error("train", "%s: training images are %lld x %lld, test images %lld x %lld", o->data,
                         (long long)train->rows, (long long)train->columns, (long long)test->rows,
                         (long long)test->columns);
    if (train->count == 0 || test->count == 0 || train->rows * train->columns == 0)
        return cli_error("train", "%s: the %s set is empty", o->data, test->count == 0 ? "test" : "training");
    if (o->limit && o->limit < s->train_set.count)
        s->train_set.count = o->limit;
    return EXIT_SUCCESS;
}

/* Opens a file for writing, if one was named. */
static bool open_output(const char *path, FILE **file)
{
    if (path && !(*file = fopen(path, "w")))
        cli_error("train", "%s: cannot open for writing: %s", path, strerror(errno));
    return !path || *file;
}

/* Whether a file can be made at path: found out now, not after hours of training. */
static bool can_save(const char *path)
{
    struct stat facts;
    if (!path)
        return true;
    if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        cli_error("train", "%s: cannot save: it is a folder", path);
        return false;
    }
    char *probe = NULL;
    int file = asprintf(&probe, "%s.XXXXXX", path) > 0 ? mkstemp(probe) : -1;
    if (file < 0)
        cli_error("train", "%s: cannot save: %s", path, strerror(errno));
    else {
        close(file);
        unlink(probe);
    }
    free(probe);
    return file >= 0;
}

static bool watch(void *context, int64_t done, double loss)
{
    session *s = context;
    progress_update(&s->progress, s->label, done, s->train_set.count, loss);
    return !interrupted;
}

/* JSON has no NaN or infinity: a diverged loss is null. */
static void log_number(FILE *log, const char *key, double value)
{
    if (isfinite(value))
        fprintf(log, "\"%s\": %.9g, ", key, value);
    else
        fprintf(log, "\"%s\": null, ", key);
}

static void log_text(FILE *log, const char *key, const char *text)
{
    fprintf(log, "\"%s\": \"", key);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ')
            fprintf(log, "\\u%04x", *c);
        else
            fprintf(log, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    fprintf(log, "\", ");
}

static int log_epoch(session *s, int64_t epoch, double train_loss, trainer_result test, double seconds)
{
    if (!s->log)
        return EXIT_SUCCESS;
    char device[300];
    const clg_device_info *info = clg_device_get_info(s->device);
    snprintf(device, sizeof device, "%s: %s", info->spec, info->name);
    fprintf(s->log, "{\"epoch\": %lld, ", (long long)epoch);
    log_number(s->log, "train_loss", train_loss);
    log_number(s->log, "test_loss", test.loss);
    log_number(s->log, "test_accuracy", test.accuracy);
    log_number(s->log, "seconds", seconds);
    log_number(s->log, "images_per_second", (double)s->train_set.count / seconds);
    log_text(s->log, "device", device);
    fprintf(s->log, "\"seed\": %llu}\n", (unsigned long long)s->options->trainer.seed);
    if (fflush(s->log) != 0)
        return cli_error("train", "%s: cannot write: %s", s->options->log, strerror(errno));
    return EXIT_SUCCESS;
}

static int run_epoch(session *s, int64_t epoch)
{
    double train_loss;
    trainer_result test;
    char rate[32];
    snprintf(s->label, sizeof s->label, "epoch %lld/%lld", (long long)epoch, (long long)s->options->epochs);
    progress_start(&s->progress);
    double start = cli_now();
    clg_status status = trainer_epoch(&s->trainer, epoch, s->losses, watch, s, &train_loss);
    double seconds = cli_now() - start;
    if (status == CLG_OK && !interrupted)
        status = trainer_evaluate(&s->trainer, &test);
    progress_clear(&s->progress);
    if (status != CLG_OK)
        return cli_library_error("train");
    if (interrupted)
        return cli_error("train", "interrupted in epoch %lld", (long long)epoch), 128 + SIGINT;
    printf("%5lld  %10.4f  %9.4f  %12.2f%%  %10s  %6.2f s\n", (long long)epoch, train_loss, test.loss,
           100 * test.accuracy, cli_group_digits(rate, (double)s->train_set.count / seconds), seconds);
    fflush(stdout);
    return log_epoch(s, epoch, train_loss, test, seconds);
}

/* What a training step takes of the device's memory. */
static void print_memory(const session *s)
{
    char values[32], leaves[32];
    const clg_program_info info = clg_program_get_info(s->trainer.train[0].program);
    printf("memory of a step: %s bytes of intermediate values, %s of parameters, their moments and data\n",
           cli_group_digits(values, (double)info.arena_bytes), cli_group_digits(leaves, (double)info.parameter_bytes));
    fflush(stdout);
}

static int train(session *s)
{
    const train_options *o = s->options;
    int status = cli_open_device("train", o->device, &s->device);
    if (status != EXIT_SUCCESS)
        return status;
    if (trainer_new(s->device, &s->train_set, &s->test_set, &o->trainer, &s->trainer) != CLG_OK)
        return cli_library_error("train");
    s->progress = progress_new();
    catch_interrupt();
    printf("epoch  train loss  test loss  test accuracy    images/s      time\n");
    fflush(stdout);
    for (int64_t epoch = 1; status == EXIT_SUCCESS && epoch <= o->epochs; epoch++)
        status = run_epoch(s, epoch);
    if (status == EXIT_SUCCESS)
        print_memory(s);
    if (status == EXIT_SUCCESS && o->save && trainer_save(&s->trainer, o->save) != CLG_OK)
        return cli_library_error("train");
    /* last, because it trains on */
    if (status == EXIT_SUCCESS && o->profile && trainer_rewind(&s->trainer) != CLG_OK)
        return cli_library_error("train");
    if (status == EXIT_SUCCESS && o->profile)
        status = profile_program(s->device, s->trainer.train[0].program, o->profile);
    return status;
}

/* Closes a file; what was written must have arrived. */
static int close_output(const char *path, FILE *file, int status)
{
    if (!file)
        return status;
    bool bad = ferror(file);
    if ((fclose(file) != 0 || bad) && status == EXIT_SUCCESS)
        return cli_error("train", "%s: cannot write: %s", path, strerror(errno));
    return status;
}

int cli_train(int argc, char **argv)
{
    train_options o = parse_options(argc, argv);
    session s = {.options = &o};
    int status = read_data(&s);
    if (status == EXIT_SUCCESS &&
        !(open_output(o.log, &s.log) && open_output(o.losses, &s.losses) && can_save(o.save) && can_save(o.profile)))
        status = EXIT_FAILURE;
    if (status == EXIT_SUCCESS)
        status = train(&s);
    status = close_output(o.log, s.log, status);
    status = close_output(o.losses, s.losses, status);
    trainer_free(&s.trainer);
    clg_device_close(s.device);
    clg_dataset_free(&s.train_set);
    clg_dataset_free(&s.test_set);
    return status;
}
