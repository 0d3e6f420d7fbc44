/* Training and evaluation of a classifier of images: the programs, the batches and their order. */
#ifndef CLG_CLI_TRAINER_H
#define CLG_CLI_TRAINER_H

#include <clgrad/data.h>
#include <clgrad/nn.h>
#include <clgrad/optim.h>

enum { TRAINER_MAX_HIDDEN = 16, TRAINER_CONVOLUTIONS = 2 };

/* Where the data sets are during the training: in the device's memory, or on the host, from where each step's batch is
 * sent. AUTO: on devices with memory of their own (GPUs) if they take no more than a quarter of it. A device that
 * shares the host's memory gains nothing: reading the rows is what costs, and that is done either way. */
typedef enum trainer_resident { TRAINER_AUTO, TRAINER_DEVICE, TRAINER_HOST } trainer_resident;

typedef struct trainer_options {
    int64_t hidden[TRAINER_MAX_HIDDEN]; /* widths of the hidden layers */
    int hidden_count;
    bool cnn;        /* convolutions before the dense layers */
    clg_dtype dtype; /* f32, f16 or bf16, in which the model computes; parameters are f32 */
    int64_t batch_size;
    bool adam; /* else sgd */
    double lr;
    uint64_t seed;
    trainer_resident resident;
} trainer_options;

/* A compiled program for batches of one size. */
typedef struct trainer_batch {
    int64_t size; /* 0: not needed */
    clg_var images, labels, loss;
    clg_program *program;
} trainer_batch;

/* A data set and where batches of it come from. */
typedef struct trainer_source {
    const clg_dataset *set;
    bool resident;
    clg_batches batches; /* if resident */
} trainer_source;

/* Sums over the batches since they were last taken, kept on the device so that a step waits for nothing. */
typedef struct trainer_sums {
    clg_var loss, correct;
} trainer_sums;

typedef struct trainer {
    clg_graph *graph;
    clg_dtype dtype;
    int convolutions;
    clg_mlp *mlp;
    clg_var parameters[2 * (TRAINER_CONVOLUTIONS + TRAINER_MAX_HIDDEN + 1)]; /* weight, bias, weight, bias, ... */
    int parameter_count;
    clg_optimizer *optimizer;
    clg_loss_scale scale; /* of f16 */
    trainer_sums train_sums, test_sums;
    trainer_batch train[2], test[2]; /* full batches, and the rest of the examples */
    uint64_t seed;
    trainer_source train_source, test_source;
    int32_t *order;  /* of the training examples in this epoch */
    uint8_t *images; /* one batch, on its way to the device, where data sets stay on the host */
    int32_t *labels;
} trainer;

typedef struct trainer_result {
    double loss, accuracy;
} trainer_result;

/* Called after each training step with the number of examples done and the mean loss so far in this epoch; false
 * stops the training. */
typedef bool trainer_watch(void *context, int64_t done, double loss);

/* Functions return a status; the message is clg_last_error(). The data sets must outlive the trainer. */
clg_status trainer_new(clg_device *device, const clg_dataset *train, const clg_dataset *test,
                       const trainer_options *options, trainer *t);
void trainer_free(trainer *t);
/* One pass over the training set in the order that (seed, epoch) gives; the last, smaller batch is trained on too.
 * losses: NULL, or a file that gets the loss of every step. *mean_loss: over the examples done. */
clg_status trainer_epoch(trainer *t, int64_t epoch, FILE *losses, trainer_watch *watch, void *context,
                         double *mean_loss);
/* Back to the first batch of the epoch: the program of a step can be run on its own from there. */
clg_status trainer_rewind(trainer *t);
clg_status trainer_evaluate(trainer *t, trainer_result *result);
/* Writes the parameters as "layers.0.weight", "layers.0.bias", ... */
clg_status trainer_save(const trainer *t, const char *path);
#endif
