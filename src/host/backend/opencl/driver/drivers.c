/* Which drivers the OpenCL loader is told of and cannot load. A loader passes over them in silence, and the user sees
 * no device and no reason. Where drivers are registered, as ocl-icd and Khronos' loader have it: a folder of .icd
 * files, each the path of a library (OCL_ICD_VENDORS, OPENCL_VENDOR_PATH, else /etc/OpenCL/vendors), and libraries by
 * name (OCL_ICD_FILENAMES). */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Adds a line if a library cannot be loaded. source: the file that names it. */
static void try_library(text *problems, const char *source, const char *library)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (handle) {
        dlclose(handle); /* the loader has its own */
        return;
    }
    const char *why = dlerror();
    text_add(problems, "%s: %s\n", source, why ? why : "it cannot be loaded");
}

static bool ends_with(const char *string, const char *end)
{
    size_t length = strlen(string), n = strlen(end);
    return length >= n && strcmp(string + length - n, end) == 0;
}

/* The library that an .icd file names in its first line. */
static void try_icd(text *problems, const char *path)
{
    char library[1024] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fgets(library, sizeof library, file))
        library[strcspn(library, "\r\n")] = '\0';
    fclose(file);
    if (*library)
        try_library(problems, path, library);
    else
        text_add(problems, "%s: it names no library\n", path);
}

static void try_folder(text *problems, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        text path = {0};
        text_add(&path, "%s/%s", folder, entries[i]->d_name);
        if (ends_with(entries[i]->d_name, ".icd") && !path.failed)
            try_icd(problems, path.data);
        text_free(&path);
        free(entries[i]);
    }
    free(entries);
}

static void try_names(text *problems, const char *list)
{
    char *copy = strdup(list), *rest = NULL;
    for (char *name = copy ? strtok_r(copy, ":", &rest) : NULL; name; name = strtok_r(NULL, ":", &rest))
        ends_with(name, ".icd") ? try_icd(problems, name) : try_library(problems, "OCL_ICD_FILENAMES", name);
    free(copy);
}

char *backend_opencl_problems(void)
{
    const char *vendors = getenv("OCL_ICD_VENDORS"), *names = getenv("OCL_ICD_FILENAMES");
    text problems = {0};
    vendors = vendors && *vendors ? vendors : getenv("OPENCL_VENDOR_PATH");
    vendors = vendors && *vendors ? vendors : "/etc/OpenCL/vendors";
    if (names && *names)
        try_names(&problems, names);
    if (ends_with(vendors, ".icd"))
        try_icd(&problems, vendors);
    else
        try_folder(&problems, vendors);
    if (problems.failed)
        text_free(&problems);
    return problems.data;
}
