/* clgrad tune: measures which kernels suit a device best (clgrad/tune.h), and shows what was measured. */
#define _GNU_SOURCE
#include "cli.h"
#include "progress.h"

#include <clgrad/tune.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_SECONDS = 256, KEY_SEARCH, KEY_SEED };

typedef struct tune_options {
    const char *device;
    bool show, reset, search; /* search: the process that tries CLBlast's parameters */
    clg_dtype dtype;
    const char *seconds_text;
    double seconds;
    uint64_t seed;
    clg_tune_shape *shapes;
    int count;
} tune_options;

/* ---------------------------------------------------------------- shapes */

/* "128x512x784", "8x128x512x784", either with ":tn" behind it. */
static bool parse_shape(const char *text, clg_tune_shape *shape)
{
    enum { MOST = 4 };
    long long extent[MOST];
    char layout[3] = "nn";
    int count = 0, length = 0;
    do {
        length = 0;
        if (count == MOST || sscanf(text, "%7lld%n", &extent[count], &length) != 1 || extent[count] < 1)
            return false;
        text += length;
        count++;
    } while (*text++ == 'x');
    text--;
    if (*text == ':') {
        if (strlen(text) != 3 || !strchr("nt", text[1]) || !strchr("nt", text[2]))
            return false;
        memcpy(layout, text + 1, 2);
        text += 3;
    }
    if (*text || count < 3)
        return false;
    const long long *last = extent + count - 3;
    *shape = (clg_tune_shape){.batch = count == MOST ? extent[0] : 1,
                              .m = last[0],
                              .n = last[1],
                              .k = last[2],
                              .transpose_a = layout[0] == 't',
                              .transpose_b = layout[1] == 't'};
    return shape->batch <= 1 << 20 && shape->m <= 1 << 20 && shape->n <= 1 << 20 && shape->k <= 1 << 20;
}

static void format_shape(const clg_tune_shape *s, char *text, size_t size)
{
    char batch[24] = "";
    if (s->batch > 1)
        snprintf(batch, sizeof batch, "%lldx", (long long)s->batch);
    snprintf(text, size, "%s%lldx%lldx%lld:%c%c", batch, (long long)s->m, (long long)s->n, (long long)s->k,
             s->transpose_a ? 't' : 'n', s->transpose_b ? 't' : 'n');
}

static bool same_shape(const clg_tune_shape *a, const clg_tune_shape *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->transpose_a == b->transpose_a &&
           a->transpose_b == b->transpose_b;
}

/* A product and those of its gradients, each once. */
static int add_layer(clg_tune_shape *list, int count, int64_t m, int64_t n, int64_t k)
{
    const clg_tune_shape wanted[] = {{.batch = 1, .m = m, .n = n, .k = k},
                                     {.batch = 1, .m = m, .n = k, .k = n, .transpose_b = true},
                                     {.batch = 1, .m = k, .n = n, .k = m, .transpose_a = true}};
    for (int w = 0; w < 3; w++) {
        bool known = false;
        for (int i = 0; i < count; i++)
            known |= same_shape(&list[i], &wanted[w]);
        if (!known)
            list[count++] = wanted[w];
    }
    return count;
}

/* What `clgrad train` computes at several sizes of batch, and squares. */
static int default_shapes(clg_tune_shape *list)
{
    static const int64_t batches[] = {1, 32, 128, 1024}, layers[][2] = {{784, 512}, {512, 512}, {512, 10}},
                         squares[] = {100, 256, 1000};
    int count = 0;
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
            count = add_layer(list, count, batches[b], layers[l][1], layers[l][0]);
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++)
        count = add_layer(list, count, squares[i], squares[i], squares[i]);
    return count;
}

/* ---------------------------------------------------------------- output */

static void format_seconds(char *text, size_t size, double seconds)
{
    if (seconds >= 1)
        snprintf(text, size, "%.3f s", seconds);
    else if (seconds >= 1e-3)
        snprintf(text, size, "%.3f ms", seconds * 1e3);
    else
        snprintf(text, size, "%.2f us", seconds * 1e6);
}

static void print_heading(void)
{
    printf("%-22s %-26s %12s   %-26s %12s   %s\n", "product", "built in", "time", "best", "time", "gain");
}

static void print_product(const clg_tune_shape *shape, const clg_tune_result *r)
{
    char name[64], builtin[32], best[32];
    format_shape(shape, name, sizeof name);
    format_seconds(builtin, sizeof builtin, r->builtin_seconds);
    format_seconds(best, sizeof best, r->best_seconds);
    printf("%-22s %-26s %12s   ", name, r->builtin, builtin);
    if (r->better)
        printf("%-26s %12s   %.2f\n", r->best, best, r->builtin_seconds / r->best_seconds);
    else
        printf("%-26s\n", "the same");
    fflush(stdout);
}

/* ---------------------------------------------------------------- measuring */

/* What a measurement's progress is shown by: part of the whole, and how much of it that is. */
typedef struct tune_watch {
    progress bar;
    char label[80];
    double before, part;
} tune_watch;

static void watch(void *context, int done, int total)
{
    tune_watch *w = context;
    progress_share(&w->bar, w->label, w->before + w->part * done / total);
}

static int tune_products(const tune_options *o, clg_device *device)
{
    int gains = 0, rejected = 0;
    tune_watch w = {.bar = progress_new(), .part = 1.0 / o->count};
    progress_start(&w.bar);
    print_heading();
    for (int i = 0; i < o->count; i++) {
        clg_tune_result r;
        char name[64];
        format_shape(&o->shapes[i], name, sizeof name);
        snprintf(w.label, sizeof w.label, "%d/%d %s", i + 1, o->count, name);
        w.before = (double)i / o->count;
        clg_status status = clg_tune_product(device, &o->shapes[i], watch, &w, &r);
        progress_clear(&w.bar);
        if (status != CLG_OK)
            return cli_error("tune", "%s: %s", name, clg_last_error());
        print_product(&o->shapes[i], &r);
        gains += r.better;
        rejected += r.rejected;
    }
    printf("%d of %d products have a better kernel than the built-in one; kept in %s\n", gains, o->count,
           clg_tune_file(device));
    if (rejected)
        printf("%d candidates did not build or computed something wrong, and were left out: `clgrad check` says more "
               "about the device\n",
               rejected);
    return EXIT_SUCCESS;
}

/* In the process of its own. */
static int search_parameters(const tune_options *o, clg_device *device)
{
    const char *name;
    for (int i = 0; (name = clg_tune_clblast_kernel(device, i)); i++) {
        tune_watch w = {.bar = progress_new(), .part = 1};
        clg_tune_result r;
        snprintf(w.label, sizeof w.label, "CLBlast %s", name);
        progress_start(&w.bar);
        clg_status status = clg_tune_clblast(device, o->dtype, i, o->seconds, o->seed, watch, &w, &r);
        progress_clear(&w.bar);
        if (status != CLG_OK)
            return cli_error("tune", "CLBlast %s: %s", name, clg_last_error());
        printf("CLBlast %s: %d sets of parameters tried, %d rejected: ", name, r.tried, r.rejected);
        if (r.better)
            printf("%.2f times as fast with %s\n", r.builtin_seconds / r.best_seconds, r.best);
        else
            printf("none better than those in use\n");
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}

/* Searches in another process, since parameters hold for a whole one, and a driver may crash over some. */
static int start_search(const tune_options *o)
{
    const char *self = cli_program_path();
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        execlp(self, "clgrad", "tune", "--search", "--device", o->device ? o->device : "", "--dtype",
               clg_dtype_name(o->dtype), "--seconds", o->seconds_text, "--seed", seed, (char *)NULL);
        _exit(127);
    }
    int state = 0;
    if (child < 0 || waitpid(child, &state, 0) != child)
        return cli_error("tune", "cannot search CLBlast's parameters: %s", strerror(errno));
    if (WIFSIGNALED(state))
        return cli_error("tune", "the search of CLBlast's parameters was ended by signal %d (%s); going on without",
                         WTERMSIG(state), strsignal(WTERMSIG(state)));
    return WEXITSTATUS(state) == 127 ? cli_error("tune", "cannot start %s for the search", self) : WEXITSTATUS(state);
}

/* ---------------------------------------------------------------- the command */

static int show(clg_device *device)
{
    const char *file = clg_tune_file(device);
    printf("file: %s\nstate: %s\n", file ? file : "none", clg_tune_file_state(device));
    if (clg_tune_print(device, stdout) == 0)
        printf("nothing was measured: every product gets the built-in choice\n");
    return EXIT_SUCCESS;
}

static int reset(clg_device *device)
{
    if (clg_tune_reset(device) != CLG_OK)
        return cli_library_error("tune");
    printf("forgotten: every product gets the built-in choice\n");
    return EXIT_SUCCESS;
}

static int tune(const tune_options *o, clg_device **device)
{
    int searched = EXIT_SUCCESS, status = EXIT_SUCCESS;
    if (!clg_tune_file(*device))
        return cli_error("tune", "nowhere to keep what is measured: the cache is off (CLGRAD_CACHE_DIR)");
    if (o->seconds > 0 && clg_tune_clblast_kernel(*device, 0)) {
        clg_device_close(*device);
        *device = NULL;
        searched = start_search(o);
        if (clg_device_open(o->device, device) != CLG_OK)
            return cli_library_error("tune");
    }
    status = tune_products(o, *device);
    return status ? status : searched;
}

static int run(const tune_options *o)
{
    clg_device *device = NULL;
    int status = EXIT_SUCCESS;
    if (o->search)
        status = clg_device_open(o->device, &device) == CLG_OK ? search_parameters(o, device) : EXIT_FAILURE;
    else
        status = cli_open_device("tune", o->device, &device);
    if (status || o->search) {
        clg_device_close(device);
        return status;
    }
    if (strcmp(clg_device_get_info(device)->type, "host") == 0)
        printf("The CPU path has nothing to tune: its kernels suit the processor that they run on.\n");
    else if (o->show)
        status = show(device);
    else if (o->reset)
        status = reset(device);
    else
        status = tune(o, &device);
    clg_device_close(device);
    return status;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    tune_options *o = state->input;
    if (key == 'd')
        o->device = argument;
    else if (key == 's')
        o->show = true;
    else if (key == 'r')
        o->reset = true;
    else if (key == KEY_SEARCH)
        o->search = true;
    else if (key == KEY_SEED)
        o->seed = cli_seed(state, "--seed", argument);
    else if (key == 't') {
        o->dtype = strcmp(argument, "f64") == 0 ? CLG_F64 : CLG_F32;
        if (strcmp(argument, clg_dtype_name(o->dtype)) != 0)
            cli_usage(state, "--dtype is '%s'; right is f32 or f64", argument);
    } else if (key == KEY_SECONDS) {
        o->seconds_text = argument;
        o->seconds = strcmp(argument, "0") == 0 ? 0 : cli_positive(state, "--seconds", argument);
    } else if (key == ARGP_KEY_ARG) {
        if (!parse_shape(argument, &o->shapes[o->count++]))
            cli_usage(state,
                      "'%s' is no product; right is MxNxK or BATCHxMxNxK, extents 1 to 1048576, and :nn, :nt, "
                      ":tn or :tt behind it if A or B is transposed",
                      argument);
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const struct argp_option options[] = {
    {"device", 'd', "SPEC", 0, "auto, cpu, opencl, opencl:N or opencl:NAME ($CLGRAD_DEVICE, else auto)", 0},
    {"dtype", 't', "TYPE", 0, "f32 or f64 (f32)", 0},
    {"show", 's', NULL, 0, "Show what was measured and where it is kept; measure nothing", 0},
    {"reset", 'r', NULL, 0, "Forget what was measured; measure nothing", 0},
    {"seconds", KEY_SECONDS, "N", 0,
     "Where CLBlast is used: search each of its kernels' parameters for so long (60; 0: not at all)", 0},
    {"seed", KEY_SEED, "N", 0, "Of that search (0)", 0},
    {"search", KEY_SEARCH, NULL, OPTION_HIDDEN, "Only the search, in this process", 0},
    {0}};

static const struct argp parser = {
    options,
    parse,
    "[PRODUCT...]",
    "Measure which kernels compute matrix products fastest on an OpenCL device, and keep that for later programs. "
    "Every candidate is checked, and kept only if it is more than 5 % faster than the built-in choice.\v"
    "A PRODUCT is MxNxK, (M, K) times (K, N), or BATCHxMxNxK; :tn behind it says that A is transposed, :nt B, :tt "
    "both. Without any: the products of `clgrad train` and their gradients at batches of 1, 32, 128 and 1024, and "
    "squares; that takes some minutes on a CPU. Shapes near a measured one share its choice.\n\n"
    "What is measured is kept in $CLGRAD_CACHE_DIR, else $XDG_CACHE_HOME/clgrad, else ~/.cache/clgrad, for the device "
    "with its driver and this version of clgrad. A damaged file is ignored; --show says so.",
    NULL,
    NULL,
    NULL};

int cli_tune(int argc, char **argv)
{
    tune_options o = {.seconds = 60, .seconds_text = "60"};
    o.shapes = calloc((size_t)argc + 64, sizeof *o.shapes);
    if (!o.shapes)
        return cli_error("tune", "out of memory");
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    if (!o.count)
        o.count = default_shapes(o.shapes);
    for (int i = 0; i < o.count; i++)
        o.shapes[i].dtype = o.dtype;
    int status = run(&o);
    free(o.shapes);
    return status;
}
