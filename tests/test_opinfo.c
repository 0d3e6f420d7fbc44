/* clgrad against PyTorch's own sample inputs: outputs, gradients and second gradients on the CPU path and on OpenCL.
 *
 * tests/oracle/opinfo.gz holds the samples and what PyTorch answered (CLGRAD_OPINFO_FILE: another file of that kind);
 * each entry of PyTorch's list has a row in a table of opinfo_*.c or a reason in tests/oracle/reasons.txt. On OpenCL,
 * where every kernel has to be built, the smallest samples of each entry are compared; with CLGRAD_OPINFO_FULL=1 all of
 * them are. CLGRAD_OPINFO_ONLY=name,... picks entries, CLGRAD_OPINFO_VERBOSE=1 prints what was skipped. */
#include "support.h"

#include "opinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS = 2 };

typedef struct entry {
    const char *name;
    const opinfo_row *row;
    const char *group; /* of its reason; NULL: none is listed */
    int first, count;  /* its samples */
    int passed[PATHS], skipped[PATHS], failed[PATHS], gradients[PATHS], second[PATHS];
    int smallest; /* of the samples that passed on the CPU path, the one to compare elsewhere; -1: none */
    bool sloped;  /* and whether its gradients were compared */
} entry;

static opinfo_file *file;
static entry *entries;
static int entry_count;
static char *reasons; /* the text of the file, cut into words */
static bool on_opencl;

static bool flag(const char *name)
{
    const char *value = getenv(name);
    return value && strcmp(value, "1") == 0;
}

static bool wanted(const char *name)
{
    const char *only = getenv("CLGRAD_OPINFO_ONLY");
    const size_t length = strlen(name);
    for (const char *at = only; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && memcmp(at, name, length) == 0)
            return true;
    return !only;
}

/* ---------------------------------------------------------------- the list */

static void gather_entries(void)
{
    const cJSON *list = cJSON_GetObjectItem(file->header, "entries"), *item;
    entries = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *entries);
    assert_non_null(entries);
    int at = 0;
    cJSON_ArrayForEach(item, list)
    {
        entry *e = &entries[entry_count];
        e->name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));
        assert_non_null(e->name);
        e->first = at;
        while (at < file->count && strcmp(file->samples[at].op, e->name) == 0)
            at++;
        e->count = at - e->first;
        e->row = opinfo_find(e->name);
        e->smallest = -1;
        entry_count += wanted(e->name);
    }
    assert_int_equal(at, file->count);
}

static entry *entry_named(const char *name)
{
    for (int i = 0; i < entry_count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

/* A line is "## group" or "name", maybe with a remark behind it; other lines that begin with # are text. */
static void read_reasons(void)
{
    FILE *in = fopen(CLGRAD_OPINFO_REASONS, "rb");
    size_t size = 0;
    assert_non_null(in);
    reasons = calloc(1, 1 << 20);
    assert_non_null(reasons);
    size = fread(reasons, 1, (1 << 20) - 1, in);
    assert_true(size < (1 << 20) - 1);
    fclose(in);
    const char *group = NULL;
    for (char *line = reasons, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (strncmp(line, "## ", 3) == 0)
            group = line + 3;
        else if (*line && *line != '#') {
            line[strcspn(line, " ")] = 0;
            entry *e = entry_named(line);
            if (e && e->group)
                fail_msg("%s is listed twice in reasons.txt", line);
            if (e)
                e->group = group;
        }
    }
}

/* ---------------------------------------------------------------- comparing */

static int64_t size_of(const opinfo_sample *s)
{
    int64_t elements = 0;
    for (int i = 0; i < s->tensor_count; i++)
        elements += clg_shape_count(s->tensors[i].shape);
    return elements;
}

/* Whether a sample is better to compare than an entry's, where only one is: not empty, with gradients, small. */
static bool better(const opinfo_sample *a, bool sloped, const entry *e)
{
    const opinfo_sample *b = &file->samples[e->smallest];
    const bool slopes_a = cJSON_GetObjectItem(a->json, "second"), slopes_b = cJSON_GetObjectItem(b->json, "second");
    const bool full_a = size_of(a) > 8, full_b = size_of(b) > 8;
    return full_a != full_b       ? full_a
           : sloped != e->sloped  ? sloped
           : slopes_a != slopes_b ? slopes_a
                                  : size_of(a) < size_of(b);
}

static void compare_entry(entry *e, clg_device *device, int path, bool all)
{
    for (int i = e->first; i < e->first + e->count; i++) {
        if (path && !all && i != e->smallest)
            continue;
        if (e->passed[path] >= support_rounds(e->count))
            break;
        const opinfo_result result = opinfo_run(e->row, &file->samples[i], device);
        const bool passed = result.outcome == OPINFO_PASSED;
        e->passed[path] += passed;
        e->gradients[path] += passed && result.gradients;
        e->second[path] += passed && result.second;
        e->skipped[path] += result.outcome == OPINFO_SKIPPED;
        e->failed[path] += result.outcome == OPINFO_FAILED;
        if (!path && passed && (e->smallest < 0 || better(&file->samples[i], result.gradients, e))) {
            e->smallest = i;
            e->sloped = result.gradients;
        }
        if (result.outcome == OPINFO_FAILED && e->failed[path] <= 3)
            printf("%s, sample %d: %s\n", e->name, i - e->first, result.message);
        else if (*result.message && flag("CLGRAD_OPINFO_VERBOSE"))
            printf("%s, sample %d: %s: %s\n", e->name, i - e->first, passed ? "passed" : "skipped", result.message);
    }
}

static void compare_all(const char *spec, int path, bool all)
{
    clg_device *device = support_open(spec);
    int passed = 0, skipped = 0, failed = 0, gradients = 0, second = 0;
    if (!clg_device_get_info(device)->has_f64) {
        clg_device_close(device);
        on_opencl &= !path;
        print_message("%s: skipped: the samples are of f64, which the device does not have\n", spec);
        return;
    }
    for (int i = 0; i < entry_count; i++) {
        entry *e = &entries[i];
        if (e->row)
            compare_entry(e, device, path, all);
        passed += e->passed[path];
        skipped += e->skipped[path];
        failed += e->failed[path];
        gradients += e->gradients[path];
        second += e->second[path];
    }
    clg_device_close(device);
    printf("%s: %d samples passed (%d with gradients, %d with second ones), %d skipped, %d failed\n", spec, passed,
           gradients, second, skipped, failed);
    assert_int_equal(failed, 0);
}

static void test_cpu(void **state)
{
    (void)state;
    compare_all("cpu", 0, true);
}

static void test_opencl(void **state)
{
    (void)state;
    const char *const *devices = support_devices();
    on_opencl = devices[1] != NULL;
    if (on_opencl)
        compare_all(devices[1], 1, flag("CLGRAD_OPINFO_FULL"));
}

/* Samples of it have passed on both paths, with gradients where PyTorch has some, and none has failed. */
static bool has_passed(const entry *e)
{
    bool slopes = false;
    for (int i = e->first; i < e->first + e->count; i++)
        slopes |= cJSON_GetObjectItem(file->samples[i].json, "gradients") != NULL;
    for (int path = 0; path <= (on_opencl ? 1 : 0); path++)
        if (!e->passed[path] || e->failed[path] || (slopes && !e->gradients[path]))
            return false;
    return true;
}

/* Every entry has passed on both paths, or there is a reason why not; never both. */
static void test_list(void **state)
{
    (void)state;
    int passed = 0, listed = 0, wrong = 0, partly = 0;
    for (int i = 0; i < entry_count; i++) {
        const entry *e = &entries[i];
        const bool good = e->row && has_passed(e);
        passed += good;
        partly += good && e->skipped[0];
        listed += e->group != NULL;
        if (e->row && e->group)
            printf("%s has a row and is listed in reasons.txt (%s)\n", e->name, e->group);
        else if (e->row && !good)
            printf("%s has a row, but of its %d samples none has passed with gradients on every path, or one failed\n",
                   e->name, e->count);
        else if (!e->row && !e->group)
            printf("%s has neither a row nor a reason in reasons.txt\n", e->name);
        else
            continue;
        wrong++;
    }
    printf("PyTorch %s: of %d entries %d passed (%d of them with samples that were skipped), %d listed\n",
           cJSON_GetStringValue(cJSON_GetObjectItem(file->header, "torch")), entry_count, passed, partly, listed);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const char *path = getenv("CLGRAD_OPINFO_FILE");
    file = opinfo_read(path && *path ? path : CLGRAD_OPINFO_DUMP);
    if (!file)
        return 1;
    gather_entries();
    read_reasons();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpu), cmocka_unit_test(test_opencl),
                                       cmocka_unit_test(test_list)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    opinfo_free(file);
    free(entries);
    free(reasons);
    return failed;
}
