/* The table of measured choices. Its file is text, a line for each thing measured, written whole by each change:
 *
 *   clgrad tuning 1
 *   device NAME, DRIVER
 *   key DIGITS                            of device, driver, version and kernels: what the measurements hold for
 *   product f32 1x128x512x784 nn SECONDS BUILTIN_SECONDS generated 8x3x16 packed B
 *   clblast f32 Xgemm SECONDS BEFORE_SECONDS NAME=VALUE ...
 *   end DIGITS                            of everything above
 *
 * A file of which anything is not so is ignored as a whole; a choice that a step does not allow, for that step. */
#define _POSIX_C_SOURCE 200809L
#include "tuning.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was measured serves shapes near by, too: by a factor of 1.5 in all (a sum of logarithms), unless the tile then
 * computes more in vain than the built-in one, by a sixteenth. */
#define NEAR 0.4055
#define MORE_WASTE (17.0 / 16)

/* ---------------------------------------------------------------- choices as text */

/* Of a tile that is computed from copies of A's rows, of B's panels, of both. */
static const char *const copies[] = {"", " packed A", " packed B", " packed AB"};

void tuning_format_choice(const product_choice *choice, char *out, size_t size)
{
    const product_tile *t = &choice->tile;
    if (choice->provider == MATMUL_CLBLAST)
        snprintf(out, size, "CLBlast");
    else
        snprintf(out, size, "generated %dx%dx%d%s", t->rows, t->vectors, t->width,
                 copies[t->packed_a + 2 * t->packed_b]);
}

static bool parse_choice(const char *word, tuning_entry *entry)
{
    product_tile *t = &entry->choice.tile;
    int length = 0;
    entry->builtin = strcmp(word, "builtin") == 0;
    if (entry->builtin)
        return true;
    if (strcmp(word, "CLBlast") == 0) {
        entry->choice.provider = MATMUL_CLBLAST;
        return true;
    }
    entry->choice.provider = MATMUL_GENERATED;
    if (sscanf(word, "generated %4dx%4dx%4d%n", &t->rows, &t->vectors, &t->width, &length) != 3)
        return false;
    for (int i = 0; i < 4; i++)
        if (strcmp(word + length, copies[i]) == 0) {
            t->packed_a = i & 1;
            t->packed_b = i & 2;
            return true;
        }
    return false;
}

static bool parse_dtype(const char *name, clg_dtype *dtype)
{
    *dtype = strcmp(name, clg_dtype_name(CLG_F64)) == 0 ? CLG_F64 : CLG_F32; /* of products there are no others */
    return strcmp(name, clg_dtype_name(*dtype)) == 0;
}

static void add_product(text *out, const tuning_entry *e)
{
    char choice[64] = "builtin";
    const clg_tune_shape *s = &e->shape;
    if (!e->builtin)
        tuning_format_choice(&e->choice, choice, sizeof choice);
    text_add(out, "product %s %lldx%lldx%lldx%lld %c%c %.9g %.9g %s\n", clg_dtype_name(s->dtype), (long long)s->batch,
             (long long)s->m, (long long)s->n, (long long)s->k, s->transpose_a ? 't' : 'n', s->transpose_b ? 't' : 'n',
             e->seconds, e->builtin_seconds, choice);
}

static bool parse_product(const char *line, tuning_entry *e)
{
    char dtype[8], a, b;
    long long batch, m, n, k;
    int length = 0;
    if (text_scan(line, "product %7s %lldx%lldx%lldx%lld %c%c %lf %lf %n", dtype, &batch, &m, &n, &k, &a, &b,
                  &e->seconds, &e->builtin_seconds, &length) != 9 ||
        !length || batch < 1 || m < 1 || n < 1 || k < 1 || !strchr("nt", a) || !strchr("nt", b))
        return false;
    e->shape = (clg_tune_shape){CLG_F32, batch, m, n, k, a == 't', b == 't'};
    return parse_dtype(dtype, &e->shape.dtype) && parse_choice(line + length, e);
}

static void add_setting(text *out, const clblast_setting *s)
{
    char values[CLBLAST_MAX_TEXT];
    clblast_setting_format(s, values);
    text_add(out, "clblast %s %s %.9g %.9g %s\n", clg_dtype_name(s->dtype), clblast_kernels[s->kernel].name, s->seconds,
             s->before_seconds, values);
}

static bool parse_setting(const char *line, clblast_setting *s)
{
    char dtype[8], name[32];
    int length = 0;
    if (text_scan(line, "clblast %7s %31s %lf %lf %n", dtype, name, &s->seconds, &s->before_seconds, &length) != 4 ||
        !length || !parse_dtype(dtype, &s->dtype))
        return false;
    for (s->kernel = 0; s->kernel < CLBLAST_KERNELS; s->kernel++)
        if (strcmp(name, clblast_kernels[s->kernel].name) == 0)
            return clblast_setting_parse(s, line + length);
    return false;
}

/* ---------------------------------------------------------------- the table */

static bool same_shape(const clg_tune_shape *a, const clg_tune_shape *b)
{
    return a->dtype == b->dtype && a->batch == b->batch && a->m == b->m && a->n == b->n && a->k == b->k &&
           a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b;
}

static clg_status set_product(tuning *t, const tuning_entry *entry)
{
    int at = 0;
    while (at < t->count && !same_shape(&t->entries[at].shape, &entry->shape))
        at++;
    if (!array_reserve(&t->entries, (int64_t)at + 1, &t->capacity, sizeof *t->entries))
        return CLG_ERROR_MEMORY;
    t->entries[at] = *entry;
    t->count += at == t->count;
    return CLG_OK;
}

static void set_setting(tuning *t, const clblast_setting *setting)
{
    int at = 0;
    while (at < t->setting_count &&
           (t->settings[at].kernel != setting->kernel || t->settings[at].dtype != setting->dtype))
        at++;
    t->settings[at] = *setting;
    t->setting_count += at == t->setting_count;
}

static void clear(tuning *t)
{
    free(t->entries);
    t->entries = NULL;
    t->count = t->capacity = t->setting_count = 0;
}

/* ---------------------------------------------------------------- the file */

/* Measurements hold for a device with its driver, and for the kernels that were measured. */
static void add_head(text *out, const backend_device *device)
{
    text key = {0};
    text_add(&key, "%s%d\n", device->cache_key, (int)device->target.strategy);
    static const char *const kernels[] = {"prelude.cl", "matmul.cl", "contract_gpu.cl"};
    for (int i = 0; i < 3; i++)
        text_append(&key, kernel_file_text(kernels[i]), strlen(kernel_file_text(kernels[i])));
    out->failed |= key.failed;
    if (!key.failed)
        text_add(out, "clgrad tuning 1\ndevice %s, %s\nkey %s\n", device->info.name, device->info.driver,
                 store_digest_of(key.data, key.size).digits);
    text_free(&key);
}

static char *file_path(const backend_device *device)
{
    char *folder = store_user_folder();
    text path = {0}, head = {0};
    add_head(&head, device);
    if (folder && !head.failed) {
        text_add(&path, "%s/tune-", folder);
        for (const char *c = device->info.name; *c && c < device->info.name + 40; c++)
            text_add(&path, "%c", isalnum((unsigned char)*c) ? *c : '-');
        text_add(&path, "-%.16s.txt", store_digest_of(head.data, head.size).digits);
    }
    if (path.failed)
        text_free(&path);
    text_free(&head);
    free(folder);
    return path.data;
}

/* Whether the text ends in a line with the digest of what is above it, which is then cut off. */
static bool cut_end(text *t)
{
    enum { LENGTH = sizeof "end \n" - 1 + 32 };
    if (t->size < LENGTH)
        return false;
    char *end = t->data + t->size - LENGTH, expected[LENGTH + 1];
    snprintf(expected, sizeof expected, "end %s\n", store_digest_of(t->data, t->size - LENGTH).digits);
    if (memcmp(end, expected, LENGTH) != 0)
        return false;
    *end = '\0';
    return true;
}

/* Reads the lines behind the head. */
static clg_status parse_lines(tuning *t, char *line)
{
    for (char *end; *line; line = end + 1) {
        tuning_entry entry = {0};
        clblast_setting setting = {0};
        end = strchr(line, '\n');
        if (!end)
            return CLG_ERROR_FORMAT;
        *end = '\0';
        clg_status status = CLG_OK;
        if (parse_product(line, &entry))
            status = set_product(t, &entry);
        else if (parse_setting(line, &setting))
            set_setting(t, &setting);
        else
            status = CLG_ERROR_FORMAT;
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

/* Fills the table from its file, and says in t->state how that went. */
static clg_status read_file(const backend_device *device, tuning *t)
{
    FILE *file = t->path ? fopen(t->path, "rb") : NULL;
    if (!file) {
        snprintf(t->state, sizeof t->state, "%s",
                 !t->path          ? "the cache is off"
                 : errno == ENOENT ? "not there"
                                   : strerror(errno));
        return CLG_OK;
    }
    text content = {0}, head = {0};
    store_read_rest(file, &content);
    fclose(file);
    add_head(&head, device);
    clg_status status = CLG_OK;
    if (content.failed || head.failed)
        snprintf(t->state, sizeof t->state, "ignored: cannot be read");
    else if (!cut_end(&content))
        snprintf(t->state, sizeof t->state, "ignored: damaged or truncated");
    else if (strncmp(content.data, head.data, head.size) != 0)
        snprintf(t->state, sizeof t->state, "ignored: of another device, driver or version");
    else if ((status = parse_lines(t, content.data + head.size)) == CLG_ERROR_FORMAT)
        snprintf(t->state, sizeof t->state, "ignored: a line is not understood");
    else
        snprintf(t->state, sizeof t->state, "read");
    if (strcmp(t->state, "read") != 0)
        clear(t);
    text_free(&content);
    text_free(&head);
    return status == CLG_ERROR_MEMORY ? status : CLG_OK;
}

static clg_status write_file(backend_device *device)
{
    tuning *t = device->tuned;
    if (!t->path)
        return clg_fail(CLG_ERROR_IO, "what was measured cannot be kept: the cache is off (CLGRAD_CACHE_DIR)");
    text out = {0};
    add_head(&out, device);
    for (int i = 0; i < t->count; i++)
        add_product(&out, &t->entries[i]);
    for (int i = 0; i < t->setting_count; i++)
        add_setting(&out, &t->settings[i]);
    if (!out.failed)
        text_add(&out, "end %s\n", store_digest_of(out.data, out.size).digits);
    clg_status status = out.failed ? clg_fail_memory() : CLG_OK;
    if (status == CLG_OK && !store_write_file(t->path, out.data, out.size))
        status = clg_fail(CLG_ERROR_IO, "%s: cannot write: %s", t->path, strerror(errno));
    if (status == CLG_OK)
        snprintf(t->state, sizeof t->state, "read");
    text_free(&out);
    return status;
}

/* ---------------------------------------------------------------- opening, keeping */

clg_status tuning_open(backend_device *device)
{
    device->tuned = calloc(1, sizeof *device->tuned);
    if (!device->tuned)
        return clg_fail_memory();
    device->tuned->path = file_path(device);
    return read_file(device, device->tuned);
}

void tuning_close(backend_device *device)
{
    if (!device->tuned)
        return;
    clear(device->tuned);
    free(device->tuned->path);
    free(device->tuned);
    device->tuned = NULL;
}

clg_status tuning_keep_product(backend_device *device, const tuning_entry *entry)
{
    clg_status status = set_product(device->tuned, entry);
    return status == CLG_OK ? write_file(device) : status;
}

clg_status tuning_keep_setting(backend_device *device, const clblast_setting *setting)
{
    set_setting(device->tuned, setting);
    return write_file(device);
}

clg_status tuning_reset(backend_device *device)
{
    tuning *t = device->tuned;
    clear(t);
    if (t->path && unlink(t->path) != 0 && errno != ENOENT)
        return clg_fail(CLG_ERROR_IO, "%s: cannot remove: %s", t->path, strerror(errno));
    snprintf(t->state, sizeof t->state, t->path ? "not there" : "the cache is off");
    return CLG_OK;
}

int tuning_print(const backend_device *device, FILE *out)
{
    const tuning *t = device->tuned;
    text lines = {0};
    for (int i = 0; i < t->count; i++)
        add_product(&lines, &t->entries[i]);
    for (int i = 0; i < t->setting_count; i++)
        add_setting(&lines, &t->settings[i]);
    if (lines.data && !lines.failed)
        fputs(lines.data, out);
    text_free(&lines);
    return t->count + t->setting_count;
}

/* ---------------------------------------------------------------- choosing */

static bool is_transposed(const plan_matrix *x, int64_t columns) { return x->column_stride != 1 && columns > 1; }

static clg_tune_shape shape_of(const plan_matmul *x)
{
    return (clg_tune_shape){
        x->dtype, x->batch, x->m, x->n, x->k, is_transposed(&x->a, x->k), is_transposed(&x->b, x->n)};
}

static double apart(int64_t a, int64_t b) { return fabs(log((double)a / (double)b)); }

/* 0 for equal shapes, infinity for those of other dtypes or layouts. */
static double distance(const clg_tune_shape *a, const clg_tune_shape *b)
{
    if (a->dtype != b->dtype || a->transpose_a != b->transpose_a || a->transpose_b != b->transpose_b)
        return INFINITY;
    return apart(a->batch, b->batch) + apart(a->m, b->m) + apart(a->n, b->n) + apart(a->k, b->k);
}

/* The nearest entry; NULL if none is near. */
static const tuning_entry *find(const tuning *t, const clg_tune_shape *shape)
{
    const tuning_entry *nearest = NULL;
    double least = NEAR;
    for (int i = 0; i < t->count; i++) {
        double d = distance(&t->entries[i].shape, shape);
        if (d <= least && (!nearest || d < least)) {
            nearest = &t->entries[i];
            least = d;
        }
    }
    return nearest;
}

product_choice tuning_choose(const backend_device *device, const plan_step *step)
{
    product_choice builtin = choice_builtin(device, step);
    const plan_matmul of = plan_step_matmul(step);
    clg_tune_shape shape = shape_of(&of);
    const tuning_entry *entry = of.k > 0 ? find(device->tuned, &shape) : NULL;
    if (!entry || entry->builtin || !choice_is_allowed(device, step, &entry->choice))
        return builtin;
    bool tiles = builtin.provider == MATMUL_GENERATED && entry->choice.provider == MATMUL_GENERATED;
    bool wasteful = tiles && !same_shape(&shape, &entry->shape) &&
                    choice_waste(device, step, &entry->choice) > MORE_WASTE * choice_waste(device, step, &builtin);
    if (wasteful)
        return builtin;
    product_choice choice = entry->choice;
    bool shared = choice.provider == MATMUL_GENERATED && device->target.strategy == STRATEGY_CPU;
    bool possible =
        !shared || isfinite(tile_share_out(&device->target, &of, &choice.tile)); /* of a work-group, in this shape */
    return possible ? choice : builtin;
}
