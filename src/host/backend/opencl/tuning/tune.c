/* Chooses among the ways to compute a product by measuring: all roughly, then the fastest in turn with the built-in
 * one. */
#include "tuning.h"

#include <stdlib.h>

enum {
    MOST_CANDIDATES = 30,
    FINALISTS = 4, /* beside the built-in choice */
    WINS = 8       /* of TUNE_ROUNDS that a better choice must win: chance alone gives that in 1 of 50 */
};

static bool same_choice(const product_choice *a, const product_choice *b)
{
    return a->provider == b->provider &&
           (a->provider == MATMUL_CLBLAST ||
            (a->tile.rows == b->tile.rows && a->tile.vectors == b->tile.vectors && a->tile.width == b->tile.width &&
             a->tile.packed_a == b->tile.packed_a && a->tile.packed_b == b->tile.packed_b));
}

/* The built-in choice first, then the others. */
static int list_contenders(const tune_rig *r, contender *list)
{
    product_choice choices[MOST_CANDIDATES];
    int count = choice_candidates(r->device, &r->step, choices, MOST_CANDIDATES), used = 1;
    list[0] = (contender){.choice = choice_builtin(r->device, &r->step)};
    for (int i = 0; i < count; i++)
        if (!same_choice(&choices[i], &list[0].choice))
            list[used++] = (contender){.choice = choices[i]};
    return used;
}

static int by_time(const void *a, const void *b)
{
    const contender *x = a, *y = b;
    return (x->quick > y->quick) - (x->quick < y->quick);
}

/* Times all roughly, keeps the built-in choice and the fastest others. *count becomes how many those are. A candidate
 * that fails is left out; the built-in choice must not. */
static clg_status hold_heats(tune_rig *r, contender *list, int *count, clg_tune_watch watch, void *context,
                             clg_tune_result *result)
{
    int total = *count, kept = 0;
    for (int i = 0; i < total; i++) {
        clg_status status = contender_begin(r, &list[i]);
        contender_release(&list[i]);
        if (status != CLG_OK && i == 0) {
            tuning_format_choice(&list[0].choice, result->builtin, sizeof result->builtin);
            return clg_fail(status, "the built-in choice, %s: %s", result->builtin, clg_last_error());
        }
        if (status == CLG_ERROR_MEMORY)
            return status;
        if (status == CLG_OK)
            list[kept++] = list[i];
        else
            result->rejected++;
        result->tried += status == CLG_OK;
        if (watch)
            watch(context, i + 1, total);
    }
    qsort(list + 1, (size_t)(kept - 1), sizeof *list, by_time);
    *count = kept < 1 + FINALISTS ? kept : 1 + FINALISTS;
    return CLG_OK;
}

/* Times a few in turn: a change of the machine's speed meets all. Who begins changes, samples are of as many runs. */
static clg_status hold_final(tune_rig *r, contender *list, int count)
{
    clg_status status = CLG_OK;
    int runs = 1;
    for (int i = 0; i < count && status == CLG_OK; i++) {
        runs = list[i].runs > runs ? list[i].runs : runs;
        status = contender_prepare(r, &list[i]);
    }
    for (int round = -1; round < TUNE_ROUNDS && status == CLG_OK; round++) /* the first warms up */
        for (int i = 0; i < count && status == CLG_OK; i++) {
            contender *c = &list[(i + round + 1) % count];
            status = rig_time(r, c->program, runs, &c->samples[round < 0 ? 0 : round]);
        }
    for (int i = 0; i < count; i++)
        contender_release(&list[i]);
    return status;
}

/* The fastest; 0, the built-in choice, unless that one is clearly slower. */
static int judge(contender *list, int count, double *seconds)
{
    int wins[1 + FINALISTS] = {0}, best = 0;
    for (int i = 0; i < count; i++)
        for (int round = 0; round < TUNE_ROUNDS; round++)
            wins[i] += list[i].samples[round] < list[0].samples[round];
    for (int i = 0; i < count; i++) {
        seconds[i] = tune_median(list[i].samples, TUNE_ROUNDS);
        best = seconds[i] < seconds[best] ? i : best;
    }
    return wins[best] >= WINS && seconds[best] < TUNE_GAIN * seconds[0] ? best : 0;
}

/* Heats, a final, and a duel of its winner with the built-in choice: the fastest of several is in part the luckiest. */
static clg_status measure(tune_rig *r, const clg_tune_shape *shape, clg_tune_watch watch, void *context,
                          clg_tune_result *result)
{
    contender list[1 + MOST_CANDIDATES];
    double seconds[1 + FINALISTS] = {0};
    int count = list_contenders(r, list), best = 0;
    clg_status status = hold_heats(r, list, &count, watch, context, result);
    if (status == CLG_OK)
        status = hold_final(r, list, count);
    if (status == CLG_OK)
        best = judge(list, count, seconds);
    if (status == CLG_OK && best != 0) {
        list[1] = list[best];
        status = hold_final(r, list, 2);
        best = status == CLG_OK ? judge(list, 2, seconds) : 0;
    }
    if (status != CLG_OK)
        return status;
    result->builtin_seconds = seconds[0];
    result->best_seconds = seconds[best];
    result->better = best != 0;
    tuning_format_choice(&list[0].choice, result->builtin, sizeof result->builtin);
    tuning_format_choice(&list[best].choice, result->best, sizeof result->best);
    return tuning_keep_product(r->device, &(tuning_entry){.shape = *shape,
                                                          .builtin = best == 0,
                                                          .choice = list[best].choice,
                                                          .seconds = seconds[best],
                                                          .builtin_seconds = seconds[0]});
}

static clg_status tune_product(backend_device *device, const clg_tune_shape *shape, clg_tune_watch watch, void *context,
                               clg_tune_result *result)
{
    tune_rig r;
    clg_status status = rig_new(device, shape, &r);
    if (status != CLG_OK)
        return status;
    status = measure(&r, shape, watch, context, result);
    rig_free(&r);
    return status;
}

/* ---------------------------------------------------------------- the table */

static const char *file(const backend_device *device) { return device->tuned->path; }
static const char *file_state(const backend_device *device) { return device->tuned->state; }

const backend_tuner opencl_tuner = {.product = tune_product,
                                    .clblast_kernel = tune_clblast_kernel,
                                    .clblast = tune_clblast,
                                    .file = file,
                                    .file_state = file_state,
                                    .print = tuning_print,
                                    .reset = tuning_reset};
