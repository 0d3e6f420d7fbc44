/* The driver: devices and their memory, built programs, launches. Only this room includes CL/cl.h and clblast_c.h. It
 * calls code generation; what was measured, it is told of.
 *
 *   status.c     names of status codes              store.c     files of a user's cache
 *   objects.c    how many OpenCL objects there are  cache.c     built programs: table, disk
 *   drivers.c    drivers that cannot be loaded      clblast.c   products by CLBlast
 *   platforms.c  devices: listing, choosing         launches.c  the steps of a plan as launches
 *   device.c     a device: opening, closing         build.c     kernels of launches: built, started
 *   memory.c     buffers, reads and writes          program.c   prepare, bind, run
 *                                                   profile.c   a run that is timed */
#ifndef CLG_OPENCL_DRIVER_H
#define CLG_OPENCL_DRIVER_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "../codegen/codegen.h"

#include "../../backend.h"

/* ---------------------------------------------------------------- status.c */

const char *status_cl_name(cl_int code); /* "CL_OUT_OF_RESOURCES"; "unknown code" */
/* CLG_OK for CL_SUCCESS, else an error whose message is "CALL: CL_NAME (code)". */
clg_status status_check(cl_int code, const char *call);
#ifdef CLG_WITH_CLBLAST
clg_status status_check_clblast(int code, const char *call);
#endif

/* ---------------------------------------------------------------- objects.c */

/* OpenCL objects that this backend has made and not released, in the whole process (for tests). */
int opencl_live_objects(void);
void opencl_count_object(int change);

/* ---------------------------------------------------------------- platforms.c */

/* A device that was found. */
typedef struct found_device {
    cl_platform_id platform;
    cl_device_id id;
    clg_device_info info;
} found_device;

/* The device that a selector means; *any: there are devices at all, else it is CLG_OK and none is found. */
clg_status platforms_find(const char *selector, found_device *device, bool *any);
/* A fact of cl_uint's or cl_ulong's size; 0 if the driver does not tell. */
uint64_t platforms_number(cl_device_id id, cl_device_info what, size_t size);
bool platforms_environment_is(const char *name, const char *value);

/* ---------------------------------------------------------------- device.c */

struct backend_buffer {
    cl_mem memory;
    int64_t bytes;
};

typedef enum product_provider { MATMUL_GENERATED, MATMUL_CLBLAST } product_provider;

/* How a product is computed. */
typedef struct product_choice {
    product_provider provider;
    product_tile tile; /* MATMUL_GENERATED */
} product_choice;

#define STAGING_SLOTS 4

/* A host copy of a small write, so that write need not wait for the device. */
typedef struct device_staging {
    void *data;
    size_t capacity;
    cl_event written; /* NULL: free */
} device_staging;

typedef struct program_entry program_entry;
typedef struct tuning tuning;

struct backend_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue; /* in order */
    cl_command_queue timed; /* in order, with profiling; NULL until it is needed */
    clg_device_info info;
    kernel_target target;
    product_provider matmul; /* where nothing was measured */
    bool matmul_fixed;       /* by the environment: measurements choose no other */
    tuning *tuned;           /* what was measured; of the tuning room, which makes, reads and frees it */
    bool rounds_division;
    int64_t base_alignment; /* bytes */
    cl_mem shares;          /* counters of the shares that work-groups draw (kernels/prelude.cl); NULL: GPU strategy */
    char *cache_key;        /* what a disk cache entry depends on beside the source */
    char *cache_folder;     /* NULL: no disk cache */
    program_entry *programs;
    int64_t cache_hits, cache_misses; /* of the disk cache, since the device was opened */
    clg_build_watch watch;            /* NULL: nobody watches builds */
    void *watch_context;
    device_staging staging[STAGING_SLOTS];
    int next_staging;
};

/* *opened stays NULL, with CLG_OK, if there is no device (*any). */
clg_status device_open(const char *selector, backend_device **opened, bool *any);
void device_close(backend_device *device);
clg_status device_sync(backend_device *device);
/* Makes device->shares if it is not there, and sets the counters to 0: kernels leave them so unless one was aborted. */
clg_status device_clear_shares(backend_device *device);
/* Makes device->timed, if it is not there. CLG_ERROR_UNSUPPORTED: the device cannot time commands. */
clg_status device_open_timed_queue(backend_device *device);

/* ---------------------------------------------------------------- memory.c */

clg_status memory_create(backend_device *device, int64_t bytes, cl_mem *memory);
void memory_release(cl_mem memory);
/* Frees the host copies of writes. */
void memory_close(backend_device *device);
/* As backend.h has them. */
clg_status memory_allocate(backend_device *device, int64_t bytes, backend_buffer **buffer);
void memory_free(backend_device *device, backend_buffer *buffer);
clg_status memory_write(backend_device *device, backend_buffer *buffer, int64_t offset, const void *data,
                        int64_t bytes);
clg_status memory_read(backend_device *device, backend_buffer *buffer, int64_t offset, void *data, int64_t bytes);

/* ---------------------------------------------------------------- store.c */

/* Where a user's caches are, malloc'ed; NULL: nowhere. */
char *store_user_folder(void);
/* A file's new content, written aside and renamed, so that a reader sees all of it or nothing; makes the folders. False
 * with errno set. */
bool store_write_file(const char *path, const char *bytes, size_t size);
/* Appends the rest of a file; t->failed if it cannot be read. */
void store_read_rest(FILE *file, text *t);

/* FNV-1a, 128 bits (Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv). */
typedef struct store_hash {
    uint64_t high, low;
} store_hash;
store_hash store_hash_start(void);
store_hash store_hash_bytes(store_hash hash, const char *bytes, size_t size);

/* The hash of bytes as 32 hexadecimal digits. */
typedef struct store_digest {
    char digits[33];
} store_digest;
store_digest store_digest_of(const char *bytes, size_t size);

/* ---------------------------------------------------------------- cache.c */

/* One built kernel source, shared by the launches whose source is equal. */
typedef struct program_kernel {
    char *source; /* without its name */
    uint64_t hash;
    char name[16];
    bool started; /* it was launched, idle: what a driver does at a first launch is done */
} program_kernel;

/* A cl_program in the device's table. */
struct program_entry {
    cl_program program;
    program_kernel *kernels;
    int count;
    int users; /* programs that use it; unused entries go when there are many */
    program_entry *next;
};

clg_status cache_open(backend_device *device);
void cache_close(backend_device *device);
/* Finds a built kernel in the device's table: its entry, NULL if there is none. */
program_entry *cache_find(backend_device *device, const char *source, program_kernel **kernel);
uint64_t cache_hash(const char *source);
/* Builds kernel sources (each uses the macro KERNEL as its name) behind a prelude, from the disk cache if it has
 * them, and adds them to the device's table as one entry. */
clg_status cache_build(backend_device *device, const char *prelude, const char *const *sources, int count,
                       program_entry **entry);
/* Releases entries without users while there are more than keep entries. */
void cache_trim(backend_device *device, int keep);

/* ---------------------------------------------------------------- clblast.c */

#define CLBLAST_MAX_PARAMETERS 16

/* Parameters of one of the library's kernels. */
typedef struct clblast_parameters {
    const char *kernel; /* "Xgemm" */
    clg_dtype dtype;
    int count;
    const char *names[CLBLAST_MAX_PARAMETERS];
    size_t values[CLBLAST_MAX_PARAMETERS];
} clblast_parameters;

/* Whether CLBlast can compute the step: the build has it and the plan has room for its product. */
bool clblast_serves(const plan_step *step);
/* Whether that leaves nothing to do: the body only stores the product where CLBlast puts it. */
bool clblast_is_all(const plan_step *step);
/* Scratch memory that it needs. */
clg_status clblast_scratch(const backend_device *device, const plan_step *step, int64_t *bytes);
/* Enqueues the product, which goes to the memory of step->product. */
clg_status clblast_run(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                       cl_mem scratch);
/* Makes parameters those of the device, in the whole process. */
clg_status clblast_override(backend_device *device, const clblast_parameters *parameters);

#endif
