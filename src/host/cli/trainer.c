/* Training and evaluation. Forward, backward, update and the running sums are one program; a batch costs the host a
 * run, and two writes where the data set is not on the device. The sums are read once in a while. */
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

/* A 3 x 3 convolution, relu, and the largest of 2 x 2 each, twice: to 32 and 64 channels. x (n, pixels); the result has
 * two axes, too. */
static clg_var apply_convolutions(const trainer *t, const clg_dataset *set, clg_var x)
{
    const int64_t size = clg_shape_of(x).dim[0];
    if (t->convolutions == 0)
        return x;
    x = clg_reshape(x, CLG_SHAPE(size, 1, set->rows, set->columns));
    for (int i = 0; i < t->convolutions; i++) {
        clg_var weight = clg_cast(t->parameters[2 * i], t->dtype), bias = clg_cast(t->parameters[2 * i + 1], t->dtype);
        bias = clg_reshape(bias, CLG_SHAPE(-1, 1, 1));
        x = clg_relu(clg_add(clg_conv(x, weight, (clg_conv_options){.same = true}), bias));
        x = clg_max_pool(x, (clg_pool_options){.size = CLG_SHAPE(2, 2)});
    }
    return clg_reshape(x, CLG_SHAPE(size, -1));
}

/* A batch of n examples: images (n, pixels) u8 and labels (n). The model's logits (n, classes). *next: an effect to be
 * compiled with them, or nothing. */
static clg_var apply_model(const trainer *t, const trainer_source *source, trainer_batch *batch, int64_t size,
                           clg_var *next)
{
    const clg_dataset *set = source->set;
    batch->size = size;
    if (source->resident) {
        *next = clg_batches_next(&source->batches, size, &batch->images, &batch->labels);
    } else {
        batch->images = clg_input(t->graph, CLG_U8, CLG_SHAPE(size, set->rows * set->columns));
        batch->labels = clg_input(t->graph, CLG_I32, CLG_SHAPE(size));
    }
    clg_var scale = clg_full(t->graph, CLG_F32, CLG_SCALAR, 1.0 / 255);
    clg_var x = clg_cast(clg_mul(clg_cast(batch->images, CLG_F32), scale), t->dtype);
    return clg_mlp_apply(t->mlp, apply_convolutions(t, set, x));
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
    clg_var outputs[4], logits = apply_model(t, &t->train_source, batch, size, &outputs[3]);
    batch->loss = outputs[0] = clg_softmax_cross_entropy(logits, batch->labels);
    outputs[1] = t->dtype == CLG_F16 ? clg_minimize_scaled(t->optimizer, batch->loss, &t->scale)
                                     : clg_minimize(t->optimizer, batch->loss);
    outputs[2] = add_to(t->train_sums.loss, batch->loss, size);
    return compile(t, batch, outputs, t->train_source.resident ? 4 : 3);
}

static clg_status compile_test(trainer *t, trainer_batch *batch, int64_t size)
{
    if (size == 0)
        return CLG_OK;
    clg_var outputs[3], logits = apply_model(t, &t->test_source, batch, size, &outputs[2]);
    batch->loss = clg_softmax_cross_entropy(logits, batch->labels);
    clg_var accuracy = clg_accuracy(logits, batch->labels);
    outputs[0] = add_to(t->test_sums.loss, batch->loss, size);
    outputs[1] = add_to(t->test_sums.correct, accuracy, size);
    return compile(t, batch, outputs, t->test_source.resident ? 3 : 2);
}

/* Returns the width of what the dense layers get. */
static int64_t build_convolutions(trainer *t, clg_random *random)
{
    static const float zeros[64] = {0};
    static const int64_t channels[TRAINER_CONVOLUTIONS + 1] = {1, 32, 64};
    int64_t rows = t->train_source.set->rows, columns = t->train_source.set->columns;
    for (int i = 0; i < t->convolutions; i++) {
        const clg_shape shape = CLG_SHAPE(channels[i + 1], channels[i], 3, 3);
        t->parameters[2 * i] = clg_he_init(t->graph, shape, 9 * channels[i], random);
        t->parameters[2 * i + 1] = clg_array(t->graph, CLG_F32, CLG_SHAPE(channels[i + 1]), zeros);
        rows /= 2, columns /= 2;
    }
    return rows * columns * channels[t->convolutions];
}

static clg_status build_model(trainer *t, const trainer_options *options)
{
    int64_t widths[TRAINER_MAX_HIDDEN + 2];
    int count = 0;
    clg_random random = clg_random_new(options->seed, 0);
    t->dtype = options->dtype;
    t->convolutions = options->cnn ? TRAINER_CONVOLUTIONS : 0;
    widths[count++] = build_convolutions(t, &random);
    for (int i = 0; i < options->hidden_count; i++)
        widths[count++] = options->hidden[i];
    widths[count++] = t->train_source.set->classes;
    t->mlp = clg_mlp_new(t->graph, widths, count, &random);
    if (!t->mlp)
        return CLG_ERROR_ARGUMENT;
    const clg_var *dense = clg_mlp_parameters(t->mlp, &count);
    memcpy(t->parameters + 2 * t->convolutions, dense, (size_t)count * sizeof *dense);
    count = t->parameter_count = count + 2 * t->convolutions;
    clg_adam_options adam = clg_adam_defaults();
    clg_sgd_options sgd = clg_sgd_defaults();
    adam.lr = sgd.lr = options->lr;
    t->optimizer = options->adam ? clg_adam(t->parameters, count, &adam) : clg_sgd(t->parameters, count, &sgd);
    if (t->dtype == CLG_F16)
        t->scale = clg_loss_scale_new(t->graph, NULL);
    t->train_sums.loss = clg_scalar(t->graph, 0);
    t->test_sums = (trainer_sums){clg_scalar(t->graph, 0), clg_scalar(t->graph, 0)};
    return t->optimizer ? CLG_OK : CLG_ERROR_ARGUMENT;
}

static int64_t data_bytes(const clg_dataset *set)
{
    return set->count * (set->rows * set->columns + 2 * (int64_t)sizeof(int32_t));
}

static bool pays(const trainer *t)
{
    const clg_device_info *info = clg_device_get_info(clg_graph_device(t->graph));
    int64_t train = data_bytes(t->train_source.set), test = data_bytes(t->test_source.set);
    bool shared = strcmp(info->type, "host") == 0 || strcmp(info->type, "cpu") == 0;
    return !shared && (uint64_t)train <= info->max_allocation && (uint64_t)(train + test) <= info->global_memory / 4;
}

/* Copies the data sets to the device, or makes room for a batch on the host. */
static clg_status place_data(trainer *t, trainer_resident where, int64_t batch_size)
{
    if (where == TRAINER_DEVICE || (where == TRAINER_AUTO && pays(t))) {
        int32_t mark = clg_graph_mark(t->graph);
        clg_status status = clg_batches_new(t->graph, t->train_source.set, &t->train_source.batches);
        if (status == CLG_OK)
            status = clg_batches_new(t->graph, t->test_source.set, &t->test_source.batches);
        t->train_source.resident = t->test_source.resident = status == CLG_OK;
        if (status == CLG_OK || where == TRAINER_DEVICE || status != CLG_ERROR_DEVICE_MEMORY)
            return status;
        status = clg_graph_rewind(t->graph, mark); /* the device needs the room */
        if (status != CLG_OK)
            return status;
    }
    const clg_dataset *set = t->train_source.set;
    t->images = malloc((size_t)(batch_size * set->rows * set->columns));
    t->labels = malloc((size_t)batch_size * sizeof *t->labels);
    return t->images && t->labels ? CLG_OK : CLG_ERROR_MEMORY;
}

static clg_status build(trainer *t, const trainer_options *options)
{
    int64_t train = t->train_source.set->count, test = t->test_source.set->count;
    int64_t train_size = options->batch_size < train ? options->batch_size : train;
    int64_t test_size = TEST_BATCH < test ? TEST_BATCH : test;
    t->order = malloc((size_t)train * sizeof *t->order);
    if (!t->order)
        return CLG_ERROR_MEMORY;
    clg_status status = place_data(t, options->resident, train_size > test_size ? train_size : test_size);
    if (status == CLG_OK)
        status = build_model(t, options);
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
    *t = (trainer){
        .graph = clg_graph_new(device), .train_source.set = train, .test_source.set = test, .seed = options->seed};
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

/* Sends the batch->size examples from place first on. order: which examples; NULL: as they lie. */
static clg_status send_batch(trainer *t, const trainer_batch *batch, const clg_dataset *set, const int32_t *order,
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
    return status == CLG_OK ? clg_write(batch->labels, labels, size * sizeof *labels) : status;
}

/* Runs a program on the next batch of its source, whose place in this pass is first. */
static clg_status run_batch(trainer *t, const trainer_batch *batch, const trainer_source *source, const int32_t *order,
                            int64_t first)
{
    clg_status status = source->resident ? CLG_OK : send_batch(t, batch, source->set, order, first);
    return status == CLG_OK ? clg_run(batch->program) : status;
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
    size_t count = (size_t)t->train_source.set->count;
    for (size_t i = 0; i < count; i++)
        t->order[i] = (int32_t)i;
    clg_random random = clg_random_new(t->seed, (uint64_t)epoch);
    clg_random_shuffle(&random, t->order, count);
}

clg_status trainer_rewind(trainer *t)
{
    return t->train_source.resident ? clg_batches_start(&t->train_source.batches, t->order) : CLG_OK;
}

clg_status trainer_epoch(trainer *t, int64_t epoch, FILE *losses, trainer_watch *watch, void *context,
                         double *mean_loss)
{
    double sum = 0;
    int64_t done = 0, count = t->train_source.set->count;
    bool go_on = true;
    shuffle(t, epoch);
    clg_status status = trainer_rewind(t);
    *mean_loss = NAN;
    if (status != CLG_OK)
        return status;
    for (int64_t step = 1; go_on && done < count; step++) {
        const trainer_batch *batch = &t->train[done + t->train[0].size > count];
        if ((status = run_batch(t, batch, &t->train_source, t->order, done)) != CLG_OK)
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
        if (read || done == count) {
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
    const clg_dataset *set = t->test_source.set;
    double loss = 0, correct = 0;
    clg_status status = t->test_source.resident ? clg_batches_start(&t->test_source.batches, NULL) : CLG_OK;
    for (int64_t done = 0; status == CLG_OK && done < set->count;) {
        const trainer_batch *batch = &t->test[done + t->test[0].size > set->count];
        status = run_batch(t, batch, &t->test_source, NULL, done);
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
    enum { MAX = sizeof t->parameters / sizeof *t->parameters };
    char text[MAX][32];
    const char *names[MAX];
    for (int i = 0; i < t->parameter_count; i++) {
        snprintf(text[i], sizeof text[i], "layers.%d.%s", i / 2, i % 2 ? "bias" : "weight");
        names[i] = text[i];
    }
    return clg_safetensors_save(path, names, t->parameters, t->parameter_count);
}
