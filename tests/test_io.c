/* safetensors files: what is saved comes back bit for bit; what is damaged is refused and changes nothing. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <clgrad/io.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/clgrad-io-XXXXXX";
static char path[128];
static clg_device *device;
static clg_graph *graph;

static int open_all(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || clg_device_open("cpu", &device) != CLG_OK)
        return -1;
    snprintf(path, sizeof path, "%s/file.safetensors", folder);
    graph = clg_graph_new(device);
    return graph ? 0 : -1;
}

static int close_all(void **state)
{
    char command[128];
    (void)state;
    clg_graph_free(graph);
    clg_device_close(device);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void expect_message(const char *part)
{
    if (!strstr(clg_last_error(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, clg_last_error());
}

/* Writes a file with a given header text and data; length: what the first 8 bytes say, -1 for the truth. */
static void put(const char *header, int64_t length, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    uint64_t announced = length < 0 ? strlen(header) : (uint64_t)length;
    for (int i = 0; i < 8; i++)
        fputc((int)(announced >> 8 * i & 255), file);
    fwrite(header, 1, strlen(header), file);
    fwrite(data, 1, bytes, file);
    assert_int_equal(fclose(file), 0);
}

static void values_come_back(void **state)
{
    (void)state;
    uint32_t bits[6] = {0x3f800000, 0x80000000, 0x7fc12345, 0x7f800000, 0x00000001, 0xff7fffff};
    float f32[6];
    memcpy(f32, bits, sizeof f32);
    double f64[1] = {-0.1};
    int32_t i32[3] = {INT32_MIN, 0, INT32_MAX};
    uint8_t u8[5] = {0, 1, 127, 128, 255};
    int64_t i64[2] = {INT64_MIN, INT64_MAX - 1};
    uint16_t f16[3] = {0x3c00, 0x8001, 0x7e01}, bf16[2] = {0x3f80, 0x7f81};
    uint8_t truth[3] = {1, 0, 1};
    clg_var saved[] = {clg_array(graph, CLG_U8, CLG_SHAPE(5), u8),     clg_array(graph, CLG_F32, CLG_SHAPE(2, 3), f32),
                       clg_array(graph, CLG_F64, CLG_SCALAR, f64),     clg_array(graph, CLG_I32, CLG_SHAPE(3, 1), i32),
                       clg_array(graph, CLG_F32, CLG_SHAPE(0, 4), ""), clg_array(graph, CLG_I64, CLG_SHAPE(2), i64),
                       clg_array(graph, CLG_F16, CLG_SHAPE(3), f16),   clg_array(graph, CLG_BF16, CLG_SHAPE(2), bf16),
                       clg_array(graph, CLG_BOOL, CLG_SHAPE(3), truth)};
    const char *const names[] = {
        "bytes", "a \"quoted\" name", "scalar", "gr\u00fc\u00dfe", "empty", "longs", "halves", "brains", "truth"};
    assert_int_equal(clg_safetensors_save(path, names, saved, 9), CLG_OK);

    clg_var loaded[] = {clg_input(graph, CLG_U8, CLG_SHAPE(5)),     clg_input(graph, CLG_F32, CLG_SHAPE(2, 3)),
                        clg_input(graph, CLG_F64, CLG_SCALAR),      clg_input(graph, CLG_I32, CLG_SHAPE(3, 1)),
                        clg_input(graph, CLG_F32, CLG_SHAPE(0, 4)), clg_input(graph, CLG_I64, CLG_SHAPE(2)),
                        clg_input(graph, CLG_F16, CLG_SHAPE(3)),    clg_input(graph, CLG_BF16, CLG_SHAPE(2)),
                        clg_input(graph, CLG_BOOL, CLG_SHAPE(3))};
    if (clg_safetensors_load(path, names, loaded, 9) != CLG_OK)
        fail_msg("%s", clg_last_error());
    unsigned char back[24];
    const void *const want[] = {u8, f32, f64, i32, "", i64, f16, bf16, truth};
    const size_t sizes[] = {5, 24, 8, 12, 0, 16, 6, 4, 3};
    for (int i = 0; i < 9; i++) {
        assert_int_equal(clg_read(loaded[i], back, sizes[i]), CLG_OK);
        assert_memory_equal(back, want[i], sizes[i]);
    }
}

/* The layout that other readers expect: padded header, data aligned to their elements, nothing before or after. */
static void layout_is_the_formats(void **state)
{
    (void)state;
    clg_var vars[] = {clg_array(graph, CLG_U8, CLG_SHAPE(1), &(uint8_t){7}),
                      clg_array(graph, CLG_F32, CLG_SHAPE(1), &(float){1}),
                      clg_array(graph, CLG_F64, CLG_SCALAR, &(double){2})};
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){"a", "b", "c"}, vars, 3), CLG_OK);
    char text[512] = "";
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    size_t header = (unsigned char)text[0];
    assert_int_equal(header % 8, 0);
    assert_int_equal(size, 8 + header + 13);
    assert_non_null(strstr(text + 8, "\"c\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}"));
    assert_non_null(strstr(text + 8, "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}"));
    assert_non_null(strstr(text + 8, "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[12,13]}"));
    assert_int_equal(text[8 + header + 12], 7);
    /* Only the file itself is left in the folder. */
    char command[128];
    snprintf(command, sizeof command, "test \"$(ls -A %s)\" = file.safetensors", folder);
    assert_int_equal(system(command), 0);
}

static void results_can_be_saved(void **state)
{
    (void)state;
    clg_var sum = clg_add(clg_scalar(graph, 1), clg_scalar(graph, 2)), leaf = clg_scalar(graph, 0);
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){"sum"}, &sum, 1), CLG_OK);
    assert_int_equal(clg_safetensors_load(path, (const char *const[]){"sum"}, &leaf, 1), CLG_OK);
    assert_true(clg_item(leaf) == 3);
    assert_int_equal(clg_safetensors_load(path, (const char *const[]){"sum"}, &sum, 1), CLG_ERROR_ARGUMENT);
    expect_message("not a leaf");
    assert_int_equal(clg_safetensors_save(path, NULL, NULL, 0), CLG_OK);
    assert_int_equal(clg_safetensors_load(path, NULL, NULL, 0), CLG_OK);
}

static void refuses_to_save(void **state)
{
    (void)state;
    clg_var x[] = {clg_scalar(graph, 1), clg_scalar(graph, 2)};
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){"x", "x"}, x, 2), CLG_ERROR_ARGUMENT);
    expect_message("\"x\" is given twice");
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){"__metadata__"}, x, 1), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){NULL}, x, 1), CLG_ERROR_ARGUMENT);
    assert_int_equal(clg_safetensors_save(NULL, (const char *const[]){"x"}, x, 1), CLG_ERROR_ARGUMENT);
    char none[sizeof path + 16];
    snprintf(none, sizeof none, "%s/none/file", folder);
    assert_int_equal(clg_safetensors_save(none, (const char *const[]){"x"}, x, 1), CLG_ERROR_IO);
    expect_message("/none/file: cannot create");
    assert_int_equal(clg_safetensors_save(folder, (const char *const[]){"x"}, x, 1), CLG_ERROR_IO);
    expect_message("cannot rename");
    clg_var bad = {graph, -1};
    assert_int_equal(clg_safetensors_save(path, (const char *const[]){"bad"}, &bad, 1), CLG_ERROR_ARGUMENT);
    expect_message("\"bad\" is poisoned");
}

/* Files that must be refused, each with what the message must say. The data are 8 bytes. */
static const struct {
    const char *header;
    int64_t length;
    const char *part;
} damaged[] = {
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 500, "expected a header of 500 bytes, found"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", INT64_MAX, "the format allows"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", -1, "not a JSON object"},
    {"[1]", -1, "not a JSON object"},
    {"", -1, "not a JSON object"},
    {"{\"x\":3}", -1, "\"x\" has no dtype"},
    {"{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", -1, "\"x\" has no shape"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", -1, "\"x\" has no shape"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", -1, "\"x\" has no shape"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", -1, "no data_offsets"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", -1, "no data_offsets"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,1e300]}}", -1, "no data_offsets"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", -1, "end at byte 16, the file's at 8"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", -1,
     "spans 8 bytes, but its dtype and shape need 12"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[9007199254740992,9007199254740992],\"data_offsets\":[0,8]}}", -1,
     "spans 8 bytes"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     -1, "overlap"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", -1, "belong to no tensor"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, "4 bytes after the last tensor"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     -1, "\"x\" appears twice"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", -1,
     "\"x\" is F64 (1,); the variable is F32 (2,)"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}", -1,
     "\"x\" is F32 (2, 1); the variable is F32"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", -1,
     "the variable is F32 (2,)"},
    {"{\"z\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", -1, "no tensor \"x\""},
};

static void refuses_damaged_files(void **state)
{
    (void)state;
    const float before[2] = {5, 6}, other[2] = {7, 8};
    float after[2];
    clg_var leaf = clg_array(graph, CLG_F32, CLG_SHAPE(2), before);
    const char *const name[] = {"x"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        put(damaged[i].header, damaged[i].length, other, sizeof other);
        if (clg_safetensors_load(path, name, &leaf, 1) != CLG_ERROR_FORMAT)
            fail_msg("loaded %s", damaged[i].header);
        expect_message(damaged[i].part);
        expect_message(path);
        assert_int_equal(clg_read(leaf, after, sizeof after), CLG_OK);
        assert_memory_equal(after, before, sizeof before);
    }
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(clg_safetensors_load(path, name, &leaf, 1), CLG_ERROR_FORMAT);
    expect_message("begins with 8 bytes, found 5");
    assert_int_equal(clg_safetensors_load("/dev/null/none", name, &leaf, 1), CLG_ERROR_IO);
    assert_int_equal(clg_safetensors_load(folder, name, &leaf, 1), CLG_ERROR_IO);
}

/* The second tensor is missing: the first leaf must keep its values. */
static void an_error_changes_no_leaf(void **state)
{
    (void)state;
    const unsigned char other[8] = {0x00, 0x00, 0xe0, 0x40, 0x00, 0x00, 0x00, 0x41}; /* 7.0f, 8.0f as the file has it */
    clg_var leaves[] = {clg_scalar(graph, 5), clg_scalar(graph, 6)};
    put("{\"__metadata__\":{\"format\":\"pt\"},\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"h\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[4,8]}}   ",
        -1, other, sizeof other);
    assert_int_equal(clg_safetensors_load(path, (const char *const[]){"x", "y"}, leaves, 2), CLG_ERROR_FORMAT);
    expect_message("no tensor \"y\"");
    assert_true(clg_item(leaves[0]) == 5);
    assert_int_equal(clg_safetensors_load(path, (const char *const[]){"x"}, leaves, 1), CLG_OK);
    assert_true(clg_item(leaves[0]) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),      cmocka_unit_test(layout_is_the_formats),
        cmocka_unit_test(results_can_be_saved),  cmocka_unit_test(refuses_to_save),
        cmocka_unit_test(refuses_damaged_files), cmocka_unit_test(an_error_changes_no_leaf)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
