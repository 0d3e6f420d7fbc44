/* Searches the parameters of CLBlast's kernels at random. */
#include "tuning.h"

#include <math.h>

enum { QUICK_ROUNDS = 3 };

const char *tune_clblast_kernel(const backend_device *device, int kernel)
{
    bool used = device->matmul == MATMUL_CLBLAST && kernel >= 0 && kernel < CLBLAST_KERNELS;
    return used ? clblast_kernels[kernel].name : NULL;
}

/* The search for parameters. The library does not tell its own, so that they cannot be brought back to be timed in turn
 * with others: what is compared is the time over that of a generated kernel, which runs in turn with all. */
typedef struct clblast_search {
    tune_rig *rig;
    contender clblast, reference;
    clblast_setting best;
    double seconds, ratio, best_seconds, best_ratio; /* with the parameters in use; the best so far */
    bool replaced;                                   /* the parameters in use */
} clblast_search;

static clg_status override(backend_device *device, const clblast_setting *setting)
{
    const clblast_parameters parameters = clblast_setting_parameters(setting);
    return clblast_override(device, &parameters);
}

/* Seconds, and the ratio to the reference: medians. The plan of a program depends on the parameters. */
static clg_status time_clblast(clblast_search *s, int rounds, double *seconds, double *ratio)
{
    double samples[TUNE_ROUNDS], ratios[TUNE_ROUNDS];
    clg_status status = contender_begin(s->rig, &s->clblast);
    for (int i = 0; i < rounds && status == CLG_OK; i++) {
        double reference = 0;
        status = rig_time(s->rig, s->clblast.program, s->clblast.runs, &samples[i]);
        if (status == CLG_OK)
            status = rig_time(s->rig, s->reference.program, s->reference.runs, &reference);
        ratios[i] = samples[i] / reference;
    }
    contender_release(&s->clblast);
    if (status != CLG_OK)
        return status;
    *seconds = tune_median(samples, rounds);
    *ratio = tune_median(ratios, rounds);
    return CLG_OK;
}

static void try_settings(clblast_search *s, double budget, uint64_t seed, clg_tune_watch watch, void *context,
                         clg_tune_result *result)
{
    double start = tune_now();
    for (double spent = 0; spent < budget; spent = tune_now() - start) {
        clblast_setting setting = s->best;
        double seconds = 0, ratio = INFINITY;
        if (watch)
            watch(context, (int)(1000 * spent / budget), 1000);
        if (!clblast_setting_draw(s->rig->device, &setting, &seed))
            return;
        s->replaced = true;
        clg_status status = override(s->rig->device, &setting);
        if (status == CLG_OK)
            status = time_clblast(s, QUICK_ROUNDS, &seconds, &ratio);
        result->tried += status == CLG_OK;
        result->rejected += status != CLG_OK;
        if (status == CLG_OK && ratio < s->best_ratio) {
            s->best = setting;
            s->best_seconds = seconds;
            s->best_ratio = ratio;
        }
    }
}

/* Whether the parameters in use are right for all four layouts, in a shape that no tile fits: the library has kernels
 * for each. */
static clg_status check_layouts(backend_device *device, const clblast_setting *setting)
{
    const int64_t size = clblast_kernels[setting->kernel].size;
    clg_status status = CLG_OK;
    for (int layout = 0; layout < 4 && status == CLG_OK; layout++) {
        const clg_tune_shape shape = {setting->dtype, 1, size - 3, size + 7, size - 1, layout & 1, layout & 2};
        contender c = {.choice.provider = MATMUL_CLBLAST};
        tune_rig r;
        status = rig_new(device, &shape, &r);
        if (status != CLG_OK)
            return status;
        status = contender_prepare(&r, &c);
        if (status == CLG_OK)
            status = rig_check(&r, c.program);
        contender_release(&c);
        rig_free(&r);
    }
    return status;
}

/* Brings back the parameters from before the search, for want of good ones. */
static clg_status put_back(const clblast_search *s)
{
    const tuning *t = s->rig->device->tuned;
    if (!s->replaced)
        return CLG_OK;
    for (int i = 0; i < t->setting_count; i++)
        if (t->settings[i].kernel == s->best.kernel && t->settings[i].dtype == s->best.dtype)
            return override(s->rig->device, &t->settings[i]);
    return clg_fail(CLG_ERROR_DEVICE,
                    "CLBlast cannot go back to its own parameters of %s, and the search has found no right ones: "
                    "this process should compute no more products with it",
                    clblast_kernels[s->best.kernel].name);
}

/* Times the best ones again, with care, and keeps them if they deserve it. */
static clg_status settle(clblast_search *s, clg_tune_result *result)
{
    clg_status status = s->best_ratio < INFINITY ? override(s->rig->device, &s->best) : CLG_ERROR_DEVICE;
    if (status == CLG_OK)
        status = time_clblast(s, TUNE_ROUNDS, &s->best_seconds, &s->best_ratio);
    if (status == CLG_OK)
        status = check_layouts(s->rig->device, &s->best);
    if (status != CLG_OK && status != CLG_ERROR_MEMORY) {
        result->rejected += s->best_ratio < INFINITY;
        return put_back(s);
    }
    if (status != CLG_OK)
        return status;
    clblast_setting_format(&s->best, result->best);
    result->better = s->best_ratio < TUNE_GAIN * s->ratio;
    result->best_seconds = s->best_ratio / s->ratio * s->seconds;
    s->best.seconds = result->best_seconds;
    s->best.before_seconds = s->seconds;
    return result->better ? tuning_keep_setting(s->rig->device, &s->best) : CLG_OK;
}

static clg_status search(clblast_search *s, double budget, uint64_t seed, clg_tune_watch watch, void *context,
                         clg_tune_result *result)
{
    clg_status status = contender_begin(s->rig, &s->reference);
    if (status == CLG_OK)
        status = time_clblast(s, TUNE_ROUNDS, &s->seconds, &s->ratio);
    if (status == CLG_OK) {
        result->builtin_seconds = result->best_seconds = s->seconds;
        s->best_ratio = INFINITY;
        try_settings(s, budget, seed, watch, context, result);
        status = settle(s, result);
    }
    contender_release(&s->reference);
    return status;
}

static void describe_settings_in_use(const backend_device *device, const clblast_setting *of, clg_tune_result *result)
{
    const tuning *t = device->tuned;
    snprintf(result->builtin, sizeof result->builtin, "CLBlast's own");
    for (int i = 0; i < t->setting_count; i++)
        if (t->settings[i].kernel == of->kernel && t->settings[i].dtype == of->dtype)
            clblast_setting_format(&t->settings[i], result->builtin);
    snprintf(result->best, sizeof result->best, "%s", result->builtin);
}

clg_status tune_clblast(backend_device *device, clg_dtype dtype, int kernel, double seconds, uint64_t seed,
                        clg_tune_watch watch, void *context, clg_tune_result *result)
{
    if (!tune_clblast_kernel(device, kernel))
        return clg_fail(CLG_ERROR_UNSUPPORTED, "tune_clblast: %s does not use CLBlast, or it has no kernel %d",
                        device->info.spec, kernel);
    tune_rig r;
    int64_t size = clblast_kernels[kernel].size;
    clg_status status = rig_new(device, &(clg_tune_shape){dtype, 1, size, size, size, false, false}, &r);
    if (status != CLG_OK)
        return status;
    clblast_search s = {.rig = &r, .best = {.kernel = kernel, .dtype = dtype}};
    s.clblast.choice.provider = MATMUL_CLBLAST;
    s.reference.choice = (product_choice){MATMUL_GENERATED, choice_builtin_tile(device, &r.step)};
    describe_settings_in_use(device, &s.best, result);
    status = search(&s, seconds, seed, watch, context, result);
    rig_free(&r);
    return status;
}
