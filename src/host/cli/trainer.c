/* Training and evaluation. Forward, backward, update and the running sums are one program; each batch costs the host
 * two writes and a run, and the sums are read once in a while. */
#include "trainer.h"

#include <clgrad/io.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_EVERY = 50,  /* steps between two reads of the running loss */
    TEST_BATCH = 1000 /* evaluation keeps nothing for a backward pass: larger batches are cheaper */
};

/* ---------------------------------------------------------------- programs */

/* images (n, pixels) u8, as inputs for batches of n examples, and the model's logits (n, classes). */
static clg_var apply_model(const trainer *t, trainer_batch *batch, int64_t size)
{
    const clg_dataset *set = t->train_set;
    batch->size = size;
    batch->images = clg_input(t->graph, CLG_U8, CLG_SHAPE(size, set->rows * set->columns));
    batch->labels = clg_input(t->graph, CLG_I32, CLG_SHAPE(size));
    clg_var scale = clg_full(t->graph, CLG_F32, CLG_SCALAR, 1.0 / 255);
    return clg_mlp_apply(t->mlp, clg_mul(clg_cast(batch->images, CLG_F32), scale));
}

/* When the program runs, sum grows by size * mean. */
static clg_var add_to(clg_var sum, clg_var mean, int64_t size)
{
    return clg_assign(sum, clg_add(sum, clg_mul(mean, clg_full(sum.graph, CLG_F32, CLG_SCALAR, (double)size))));
}

static clg_status compile(trainer *t, trainer_batch *batch, const clg_var *outputs, int count)
{
    batch->program = clg_compile(t->graph, outputs, count);
    return batch->program ? CLG_OK : CLG_ERROR_DEVICE;
}

static clg_status compile_train(trainer *t, trainer_batch *batch, int64_t size)
{
    if (size == 0)
        return CLG_OK;
    clg_var logits = apply_model(t, batch, size);
    batch->loss = clg_softmax_cross_entropy(logits, batch->labels);
    clg_var step = clg_minimize(t->optimizer, batch->loss);
    return compile(t, batch, (clg_var[]){batch->loss, step, add_to(t->train_sums.loss, batch->loss, size)}, 3);
}

static clg_status compile_test(trainer *t, trainer_batch *batch, int64_t size)
{
    if (size == 0)
        return CLG_OK;
    clg_var logits = apply_model(t, batch, size);
    batch->loss = clg_softmax_cross_entropy(logits, batch->labels);
    clg_var accuracy = clg_accuracy(logits, batch->labels);
    clg_var loss_sum = add_to(t->test_sums.loss, batch->loss, size);
    clg_var correct = add_to(t->test_sums.correct, accuracy, size);
    return compile(t, batch, (clg_var[]){loss_sum, correct}, 2);
}

static clg_status build_model(trainer *t, const trainer_options *options)
{
    int64_t widths[TRAINER_MAX_HIDDEN + 2];
    int count = 0;
    widths[count++] = t->train_set->rows * t->train_set->columns;
    for (int i = 0; i < options->hidden_count; i++)
        widths[count++] = options->hidden[i];
    widths[count++] = t->train_set->classes;
    clg_random random = clg_random_new(options->seed, 0);
    t->mlp = clg_mlp_new(t->graph, widths, count, &random);
    if (!t->mlp)
        return CLG_ERROR_ARGUMENT;
    int parameter_count;
    const clg_var *parameters = clg_mlp_parameters(t->mlp, &parameter_count);
    t->optimizer = options->adam ? clg_adam(parameters, parameter_count, &(clg_adam_options){.lr = options->lr})
                                 : clg_sgd(parameters, parameter_count, &(clg_sgd_options){.lr = options->lr});
    t->train_sums.loss = clg_scalar(t->graph, 0);
    t->test_sums = (trainer_sums){clg_scalar(t->graph, 0), clg_scalar(t->graph, 0)};
    return t->optimizer ? CLG_OK : CLG_ERROR_ARGUMENT;
}

static clg_status build(trainer *t, const trainer_options *options)
{
    int64_t train = t->train_set->count, test = t->test_set->count;
    int64_t train_size = options->batch_size < train ? options->batch_size : train;
    int64_t test_size = TEST_BATCH < test ? TEST_BATCH : test;
    int64_t size = train_size > test_size ? train_size : test_size;
    t->order = malloc((size_t)train * sizeof *t->order);
    t->images = malloc((size_t)(size * t->train_set->rows * t->train_set->columns));
    t->labels = malloc((size_t)size * sizeof *t->labels);
    if (!t->order || !t->images || !t->labels)
        return CLG_ERROR_MEMORY;
    clg_status status = build_model(t, options);
    if (status == CLG_OK)
        status = compile_train(t, &t->train[0], train_size);
    if (status == CLG_OK)
        status = compile_train(t, &t->train[1], train % train_size);
    if (status == CLG_OK)
        status = compile_test(t, &t->test[0], test_size);
    if (status == CLG_OK)
        status = compile_test(t, &t->test[1], test % test_size);
    return status;
}

clg_status trainer_new(clg_device *device, const clg_dataset *train, const clg_dataset *test,
                       const trainer_options *options, trainer *t)
{
    *t = (trainer){.graph = clg_graph_new(device), .train_set = train, .test_set = test, .seed = options->seed};
    clg_status status = t->graph ? build(t, options) : CLG_ERROR_MEMORY;
    if (status != CLG_OK)
        trainer_free(t);
    return status;
}

void trainer_free(trainer *t)
{
    for (int i = 0; i < 2; i++) {
        clg_program_free(t->train[i].program);
        clg_program_free(t->test[i].program);
    }
    clg_optimizer_free(t->optimizer);
    clg_mlp_free(t->mlp);
    clg_graph_free(t->graph);
    free(t->order);
    free(t->images);
    free(t->labels);
    *t = (trainer){0};
}

/* ---------------------------------------------------------------- batches */

/* Runs a program on the batch->size examples from place first on. order: which examples; NULL: as they lie. */
static clg_status run_batch(trainer *t, const trainer_batch *batch, const clg_dataset *set, const int32_t *order,
                            int64_t first)
{
    size_t pixels = (size_t)(set->rows * set->columns), size = (size_t)batch->size;
    const uint8_t *images = set->images + (size_t)first * pixels;
    const int32_t *labels = set->labels + first;
    if (order) {
        for (size_t i = 0; i < size; i++) {
            size_t example = (size_t)order[(size_t)first + i];
            memcpy(t->images + i * pixels, set->images + example * pixels, pixels);
            t->labels[i] = set->labels[example];
        }
        images = t->images;
        labels = t->labels;
    }
    clg_status status = clg_write(batch->images, images, size * pixels);
    if (status == CLG_OK)
        status = clg_write(batch->labels, labels, size * sizeof *labels);
    if (status == CLG_OK)
        status = clg_run(batch->program);
    return status;
}

/* Adds a sum of the device to *total and clears it: f32 sums stay short, and so precise. */
static clg_status take(clg_var sum, double *total)
{
    float value, zero = 0;
    clg_status status = clg_read(sum, &value, sizeof value);
    if (status == CLG_OK)
        status = clg_write(sum, &zero, sizeof zero);
    *total += value;
    return status;
}

static void shuffle(trainer *t, int64_t epoch)
{
    size_t count = (size_t)t->train_set->count;
    for (size_t i = 0; i < count; i++)
        t->order[i] = (int32_t)i;
    clg_random random = clg_random_new(t->seed, (uint64_t)epoch);
    clg_random_shuffle(&random, t->order, count);
}

clg_status trainer_epoch(trainer *t, int64_t epoch, FILE *losses, trainer_watch *watch, void *context,
                         double *mean_loss)
{
    double sum = 0;
    int64_t done = 0;
    clg_status status = CLG_OK;
    bool go_on = true;
    shuffle(t, epoch);
    *mean_loss = NAN;
    for (int64_t step = 1; go_on && done < t->train_set->count; step++) {
        const trainer_batch *batch = &t->train[done + t->train[0].size > t->train_set->count];
        if ((status = run_batch(t, batch, t->train_set, t->order, done)) != CLG_OK)
            return status;
        if (losses) { /* before any write: a write makes the results of this run stale */
            float loss;
            if ((status = clg_read(batch->loss, &loss, sizeof loss)) != CLG_OK)
                return status;
            fprintf(losses, "%.9g\n", loss);
        }
        done += batch->size;
        /* At first more often, so that a slow device's first numbers are not those of an untrained model. */
        bool read = step < READ_EVERY ? (step & (step - 1)) == 0 : step % READ_EVERY == 0;
        if (read || done == t->train_set->count) {
            if ((status = take(t->train_sums.loss, &sum)) != CLG_OK)
                return status;
            *mean_loss = sum / (double)done;
        }
        go_on = watch(context, done, *mean_loss);
    }
    return CLG_OK;
}

clg_status trainer_evaluate(trainer *t, trainer_result *result)
{
    const clg_dataset *set = t->test_set;
    double loss = 0, correct = 0;
    clg_status status = CLG_OK;
    for (int64_t done = 0; status == CLG_OK && done < set->count;) {
        const trainer_batch *batch = &t->test[done + t->test[0].size > set->count];
        status = run_batch(t, batch, set, NULL, done);
        done += batch->size;
    }
    if (status == CLG_OK)
        status = take(t->test_sums.loss, &loss);
    if (status == CLG_OK)
        status = take(t->test_sums.correct, &correct);
    /* The number of right answers is whole; the device's sum of fractions is that up to rounding. */
    *result = (trainer_result){loss / (double)set->count, nearbyint(correct) / (double)set->count};
    return status;
}

/* ---------------------------------------------------------------- parameters */

clg_status trainer_save(const trainer *t, const char *path)
{
    enum { MAX = 2 * (TRAINER_MAX_HIDDEN + 1) };
    char text[MAX][32];
    const char *names[MAX];
    int count;
    const clg_var *parameters = clg_mlp_parameters(t->mlp, &count);
    for (int i = 0; i < count && i < MAX; i++) {
        snprintf(text[i], sizeof text[i], "layers.%d.%s", i / 2, i % 2 ? "bias" : "weight");
        names[i] = text[i];
    }
    return clg_safetensors_save(path, names, parameters, count);
}
