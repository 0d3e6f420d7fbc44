/* IDX files: what is read from good ones, plain and compressed, and what is said about bad ones. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <clgrad/data.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/clgrad-data-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Writes folder/name; mode "wb" compresses, "wT" does not. */
static const char *put(const char *name, const void *data, size_t bytes, const char *mode)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile file = gzopen(path, mode);
    assert_non_null(file);
    if (bytes)
        assert_int_equal(gzwrite(file, data, (unsigned)bytes), (int)bytes);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

#define PUT(mode, ...) put("file", (unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}), mode)

static void expect_failure(const char *file, clg_status status, const char *part)
{
    clg_idx idx;
    assert_int_equal(clg_idx_read(file, &idx), status);
    assert_null(idx.data);
    if (!strstr(clg_last_error(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, clg_last_error());
    if (!strstr(clg_last_error(), file))
        fail_msg("the file's name is not in \"%s\"", clg_last_error());
}

static void reads_plain_and_compressed(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        clg_idx idx;
        PUT(compressed ? "wb" : "wT", 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255);
        assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
        assert_int_equal(idx.dtype, CLG_U8);
        assert_true(clg_shape_equal(idx.shape, CLG_SHAPE(2, 3)));
        assert_memory_equal(idx.data, ((unsigned char[]){1, 2, 3, 4, 5, 255}), 6);
        clg_idx_free(&idx);
        assert_null(idx.data);
    }
}

static void converts_big_endian(void **state)
{
    (void)state;
    clg_idx idx;
    PUT("wT", 0, 0, 0x0C, 1, 0, 0, 0, 2, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe);
    assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
    assert_int_equal(idx.dtype, CLG_I32);
    assert_int_equal(((int32_t *)idx.data)[0], 258);
    assert_int_equal(((int32_t *)idx.data)[1], -2);
    clg_idx_free(&idx);
    PUT("wT", 0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0);
    assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
    assert_true(idx.dtype == CLG_F32 && *(float *)idx.data == 1.5f);
    clg_idx_free(&idx);
    PUT("wb", 0, 0, 0x0E, 1, 0, 0, 0, 1, 0xc0, 0x04, 0, 0, 0, 0, 0, 0);
    assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
    assert_true(idx.dtype == CLG_F64 && *(double *)idx.data == -2.5);
    clg_idx_free(&idx);
}

static void reads_scalars_and_empty_arrays(void **state)
{
    (void)state;
    clg_idx idx;
    PUT("wT", 0, 0, 8, 0, 7);
    assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
    assert_int_equal(idx.shape.rank, 0);
    assert_int_equal(*(uint8_t *)idx.data, 7);
    clg_idx_free(&idx);
    PUT("wT", 0, 0, 8, 3, 0, 0, 0, 3, 255, 255, 255, 255, 0, 0, 0, 0);
    assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
    assert_int_equal(clg_shape_count(idx.shape), 0);
    assert_non_null(idx.data);
    clg_idx_free(&idx);
}

static void reads_more_than_one_chunk(void **state)
{
    (void)state;
    enum { COUNT = (5 << 20) + 3 };
    unsigned char *data = malloc(8 + COUNT);
    assert_non_null(data);
    memcpy(data, (unsigned char[]){0, 0, 8, 1, COUNT >> 24 & 255, COUNT >> 16 & 255, COUNT >> 8 & 255, COUNT & 255}, 8);
    for (int i = 0; i < COUNT; i++)
        data[8 + i] = (unsigned char)(i * 7 >> 3);
    for (int compressed = 0; compressed < 2; compressed++) {
        clg_idx idx;
        put("file", data, 8 + COUNT, compressed ? "wb1" : "wT");
        assert_int_equal(clg_idx_read(path, &idx), CLG_OK);
        assert_int_equal(clg_shape_count(idx.shape), COUNT);
        assert_memory_equal(idx.data, data + 8, COUNT);
        clg_idx_free(&idx);
    }
    free(data);
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    char none[sizeof folder + 16];
    snprintf(none, sizeof none, "%s/none", folder);
    expect_failure(none, CLG_ERROR_IO, "No such file");
    expect_failure(folder, CLG_ERROR_IO, "Is a directory");
    for (int compressed = 0; compressed < 2; compressed++) {
        const char *mode = compressed ? "wb" : "wT";
        expect_failure(put("file", "", 0, mode), CLG_ERROR_FORMAT,
                       "truncated: an IDX file begins with 4 bytes, found 0");
        expect_failure(PUT(mode, 0, 0, 8), CLG_ERROR_FORMAT, "found 3");
        expect_failure(PUT(mode, 'P', 'K', 3, 4, 0, 0), CLG_ERROR_FORMAT, "50 4b 03 04; right is 00 00");
        expect_failure(PUT(mode, 0, 0, 9, 1, 0, 0, 0, 1, 1), CLG_ERROR_FORMAT, "unsupported IDX type code 0x09");
        expect_failure(PUT(mode, 0, 0, 8, 9, 0, 0, 0, 1), CLG_ERROR_FORMAT, "rank 9 is more than the 8");
        expect_failure(PUT(mode, 0, 0, 8, 3, 0, 0, 0, 1), CLG_ERROR_FORMAT,
                       "expected 12 bytes of extents (rank 3), found 4");
        expect_failure(PUT(mode, 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4), CLG_ERROR_FORMAT,
                       "truncated: expected 6 bytes of data for u8 (2, 3), found 4");
        expect_failure(PUT(mode, 0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3), CLG_ERROR_FORMAT, "more data than the 2 bytes");
        /* 4 GiB promised, 2 bytes there: must neither ask for the memory nor crash. */
        expect_failure(PUT(mode, 0, 0, 8, 1, 255, 255, 255, 255, 1, 2), CLG_ERROR_FORMAT,
                       PTRDIFF_MAX > UINT32_MAX ? "expected 4294967295 bytes of data for u8 (4294967295,), found 2"
                                                : "(4294967295,) of u8 do not fit in memory");
        expect_failure(PUT(mode, 0, 0, 8, 4, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255),
                       CLG_ERROR_FORMAT, "do not fit in memory");
        expect_failure(PUT(mode, 0, 0, 14, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
                       CLG_ERROR_FORMAT, "do not fit in memory");
    }
    assert_int_equal(clg_idx_read(NULL, &(clg_idx){0}), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_idx_read("x", NULL), CLG_ERROR_ARGUMENT);
}

/* Every prefix of a good compressed file, and the file with each byte changed, must fail or give the same array. */
static void survives_damage(void **state)
{
    (void)state;
    unsigned char good[600];
    PUT("wb", 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(good, 1, sizeof good, file);
    fclose(file);
    for (size_t cut = 0; cut < size; cut++) {
        clg_idx idx;
        assert_int_equal(clg_idx_read(put("cut", good, cut, "wT"), &idx), CLG_ERROR_FORMAT);
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char bad[600];
        clg_idx idx;
        memcpy(bad, good, size);
        bad[i] ^= 0x5a;
        if (clg_idx_read(put("changed", bad, size, "wT"), &idx) == CLG_OK)
            assert_memory_equal(idx.data, ((unsigned char[]){1, 2, 3, 4, 5, 255}), 6);
        clg_idx_free(&idx);
    }
}

static void put_set(const char *prefix, int images, int labels, int largest, const char *suffix, const char *mode)
{
    unsigned char data[256] = {0, 0, 8, 3, 0, 0, 0, (unsigned char)images, 0, 0, 0, 2, 0, 0, 0, 3};
    char name[64];
    for (int i = 0; i < images * 6; i++)
        data[16 + i] = (unsigned char)i;
    snprintf(name, sizeof name, "%s-images-idx3-ubyte%s", prefix, suffix);
    put(name, data, 16 + 6 * (size_t)images, mode);
    unsigned char text[64] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)labels};
    for (int i = 0; i < labels; i++)
        text[8 + i] = (unsigned char)(i == labels - 1 ? largest : i % 3);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte%s", prefix, suffix);
    put(name, text, 8 + (size_t)labels, mode);
}

static void reads_a_data_set(void **state)
{
    (void)state;
    put_set("plain", 5, 5, 2, "", "wT");
    put_set("packed", 5, 5, 2, ".gz", "wb");
    const char *const prefixes[] = {"plain", "packed"};
    for (int i = 0; i < 2; i++) {
        clg_dataset set;
        assert_int_equal(clg_dataset_read(folder, prefixes[i], 3, &set), CLG_OK);
        assert_true(set.count == 5 && set.rows == 2 && set.columns == 3 && set.classes == 3);
        assert_int_equal(set.images[29], 29);
        assert_memory_equal(set.labels, ((int32_t[]){0, 1, 2, 0, 2}), 20);
        clg_dataset_free(&set);
        assert_null(set.images);
    }
}

static void expect_bad_set(const char *prefix, clg_status status, const char *part)
{
    clg_dataset set;
    assert_int_equal(clg_dataset_read(folder, prefix, 3, &set), status);
    assert_null(set.images);
    assert_null(set.labels);
    if (!strstr(clg_last_error(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, clg_last_error());
}

static void refuses_bad_data_sets(void **state)
{
    (void)state;
    clg_dataset set;
    expect_bad_set("none", CLG_ERROR_IO, "none-images-idx3-ubyte: neither this file nor its .gz");
    put_set("counts", 5, 4, 2, "", "wT");
    expect_bad_set("counts", CLG_ERROR_FORMAT, "holds 5 images, but");
    put_set("label", 5, 5, 3, "", "wT");
    expect_bad_set("label", CLG_ERROR_FORMAT, "label 3 of example 4 is outside 0..2");
    put("ranks-images-idx3-ubyte", (unsigned char[]){0, 0, 8, 1, 0, 0, 0, 1, 9}, 9, "wT");
    expect_bad_set("ranks", CLG_ERROR_FORMAT, "holds u8 (1,); right is u8 of rank 3");
    assert_int_equal(clg_dataset_read(folder, "plain", 0, &set), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_dataset_read(NULL, "plain", 3, &set), CLG_ERROR_ARGUMENT);
    clg_idx_free(NULL);
    clg_dataset_free(NULL);
}

/* ---------------------------------------------------------------- batches on a device */

/* Example i is an image of pixels i, i + 1, ... and has label i % 3. */
static clg_dataset make_set(int64_t count)
{
    clg_dataset set = {.count = count, .rows = 2, .columns = 40, .classes = 3};
    set.images = malloc((size_t)(count * 80));
    set.labels = malloc((size_t)count * sizeof *set.labels);
    assert_true(set.images && set.labels);
    for (int64_t i = 0; i < count * 80; i++)
        set.images[i] = (uint8_t)(i / 80 + i % 80);
    for (int64_t i = 0; i < count; i++)
        set.labels[i] = (int32_t)(i % 3);
    return set;
}

static void expect_batch(clg_program *p, clg_var images, clg_var labels, const int32_t *examples, int count)
{
    uint8_t pixels[8 * 80];
    int32_t classes[8];
    assert_int_equal(clg_run(p), CLG_OK);
    assert_int_equal(clg_read(images, pixels, (size_t)count * 80), CLG_OK);
    assert_int_equal(clg_read(labels, classes, (size_t)count * 4), CLG_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(classes[i], examples[i] < 0 ? -1 : examples[i] % 3);
        for (int j = 0; j < 80 && examples[i] >= 0; j++)
            assert_int_equal(pixels[i * 80 + j], examples[i] + j);
    }
}

static void takes_batches(void **state)
{
    (void)state;
    const int32_t order[] = {10, 3, 3, 0, 9, 8, 7, 1, 2, 5, 6}, wrong[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11};
    clg_device *device;
    clg_batches batches;
    clg_var images[2], labels[2], next[2];
    clg_program *programs[2];
    clg_dataset set = make_set(11);
    assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
    clg_graph *g = clg_graph_new(device);
    assert_int_equal(clg_batches_new(g, &set, &batches), CLG_OK);
    for (int i = 0; i < 2; i++) { /* four examples, and three */
        next[i] = clg_batches_next(&batches, 4 - i, &images[i], &labels[i]);
        programs[i] = clg_compile(g, (clg_var[]){images[i], labels[i], next[i]}, 3);
        assert_non_null(programs[i]);
    }
    expect_batch(programs[0], images[0], labels[0], (int32_t[]){0, 1, 2, 3}, 4);
    assert_int_equal(clg_batches_start(&batches, order), CLG_OK);
    expect_batch(programs[0], images[0], labels[0], order, 4);
    expect_batch(programs[0], images[0], labels[0], order + 4, 4);
    expect_batch(programs[1], images[1], labels[1], order + 8, 3);
    for (int i = 0; i < 3; i++) /* beyond the end, where the position stays */
        expect_batch(programs[1], images[1], labels[1], (int32_t[]){-1, -1, -1}, 3);
    int32_t position;
    assert_int_equal(clg_read(batches.position, &position, sizeof position), CLG_OK);
    assert_int_equal(position, 11);
    assert_int_equal(clg_batches_start(&batches, wrong), CLG_ERROR_ARGUMENT);
    assert_non_null(strstr(clg_last_error(), "example 11 at position 10 is outside 0..10"));
    assert_int_equal(clg_batches_start(&batches, NULL), CLG_OK);
    expect_batch(programs[1], images[1], labels[1], (int32_t[]){0, 1, 2}, 3);
    expect_batch(programs[0], images[0], labels[0], (int32_t[]){3, 4, 5, 6}, 4);
    for (int i = 0; i < 2; i++)
        clg_program_free(programs[i]);
    clg_graph_free(g);
    clg_device_close(device);
    clg_dataset_free(&set);
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    clg_device *device;
    clg_batches batches;
    clg_dataset huge = {.count = INT32_MAX, .rows = 1 << 16, .columns = 1 << 10, .images = (uint8_t[]){0}};
    assert_int_equal(clg_device_open("cpu", &device), CLG_OK);
    clg_graph *g = clg_graph_new(device);
    assert_int_equal(clg_batches_new(g, &huge, &batches), CLG_ERROR_DEVICE_MEMORY);
    assert_int_equal(clg_graph_size(g), 0);
    huge.count++;
    assert_int_equal(clg_batches_new(g, &huge, &batches), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_batches_new(g, NULL, &batches), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_batches_start(NULL, NULL), CLG_ERROR_ARGUMENT);
    clg_graph_free(g);
    clg_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_plain_and_compressed),
                                       cmocka_unit_test(converts_big_endian),
                                       cmocka_unit_test(reads_scalars_and_empty_arrays),
                                       cmocka_unit_test(reads_more_than_one_chunk),
                                       cmocka_unit_test(names_what_is_wrong),
                                       cmocka_unit_test(survives_damage),
                                       cmocka_unit_test(reads_a_data_set),
                                       cmocka_unit_test(refuses_bad_data_sets),
                                       cmocka_unit_test(takes_batches),
                                       cmocka_unit_test(refuses_what_does_not_fit)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
