/* Names of OpenCL and CLBlast status codes, so that an error says "CL_OUT_OF_RESOURCES (-5)", not "-5". */
#include "driver.h"

#ifdef CLG_WITH_CLBLAST
#include <clblast_c.h>
#endif

typedef struct code_name {
    int code;
    const char *name;
} code_name;

#define ROW(code)                                                                                                      \
    {                                                                                                                  \
        code, #code                                                                                                    \
    }

static const code_name cl_names[] = {
    ROW(CL_SUCCESS),
    ROW(CL_DEVICE_NOT_FOUND),
    ROW(CL_DEVICE_NOT_AVAILABLE),
    ROW(CL_COMPILER_NOT_AVAILABLE),
    ROW(CL_MEM_OBJECT_ALLOCATION_FAILURE),
    ROW(CL_OUT_OF_RESOURCES),
    ROW(CL_OUT_OF_HOST_MEMORY),
    ROW(CL_PROFILING_INFO_NOT_AVAILABLE),
    ROW(CL_MEM_COPY_OVERLAP),
    ROW(CL_IMAGE_FORMAT_MISMATCH),
    ROW(CL_IMAGE_FORMAT_NOT_SUPPORTED),
    ROW(CL_BUILD_PROGRAM_FAILURE),
    ROW(CL_MAP_FAILURE),
    ROW(CL_MISALIGNED_SUB_BUFFER_OFFSET),
    ROW(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
    ROW(CL_COMPILE_PROGRAM_FAILURE),
    ROW(CL_LINKER_NOT_AVAILABLE),
    ROW(CL_LINK_PROGRAM_FAILURE),
    ROW(CL_DEVICE_PARTITION_FAILED),
    ROW(CL_KERNEL_ARG_INFO_NOT_AVAILABLE),
    ROW(CL_INVALID_VALUE),
    ROW(CL_INVALID_DEVICE_TYPE),
    ROW(CL_INVALID_PLATFORM),
    ROW(CL_INVALID_DEVICE),
    ROW(CL_INVALID_CONTEXT),
    ROW(CL_INVALID_QUEUE_PROPERTIES),
    ROW(CL_INVALID_COMMAND_QUEUE),
    ROW(CL_INVALID_HOST_PTR),
    ROW(CL_INVALID_MEM_OBJECT),
    ROW(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
    ROW(CL_INVALID_IMAGE_SIZE),
    ROW(CL_INVALID_SAMPLER),
    ROW(CL_INVALID_BINARY),
    ROW(CL_INVALID_BUILD_OPTIONS),
    ROW(CL_INVALID_PROGRAM),
    ROW(CL_INVALID_PROGRAM_EXECUTABLE),
    ROW(CL_INVALID_KERNEL_NAME),
    ROW(CL_INVALID_KERNEL_DEFINITION),
    ROW(CL_INVALID_KERNEL),
    ROW(CL_INVALID_ARG_INDEX),
    ROW(CL_INVALID_ARG_VALUE),
    ROW(CL_INVALID_ARG_SIZE),
    ROW(CL_INVALID_KERNEL_ARGS),
    ROW(CL_INVALID_WORK_DIMENSION),
    ROW(CL_INVALID_WORK_GROUP_SIZE),
    ROW(CL_INVALID_WORK_ITEM_SIZE),
    ROW(CL_INVALID_GLOBAL_OFFSET),
    ROW(CL_INVALID_EVENT_WAIT_LIST),
    ROW(CL_INVALID_EVENT),
    ROW(CL_INVALID_OPERATION),
    ROW(CL_INVALID_GL_OBJECT),
    ROW(CL_INVALID_BUFFER_SIZE),
    ROW(CL_INVALID_MIP_LEVEL),
    ROW(CL_INVALID_GLOBAL_WORK_SIZE),
    ROW(CL_INVALID_PROPERTY),
    ROW(CL_INVALID_IMAGE_DESCRIPTOR),
    ROW(CL_INVALID_COMPILER_OPTIONS),
    ROW(CL_INVALID_LINKER_OPTIONS),
    ROW(CL_INVALID_DEVICE_PARTITION_COUNT),
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
};

static const char *find(const code_name *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code)
            return rows[i].name;
    return "unknown code";
}

const char *status_cl_name(cl_int code) { return find(cl_names, sizeof cl_names / sizeof *cl_names, code); }

clg_status status_check(cl_int code, const char *call)
{
    if (code == CL_SUCCESS)
        return CLG_OK;
    bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return clg_fail(memory ? CLG_ERROR_DEVICE_MEMORY : CLG_ERROR_DEVICE, "%s: %s (%d)", call, status_cl_name(code),
                    code);
}

#ifdef CLG_WITH_CLBLAST
/* Only the codes of its own; the others are OpenCL's. */
static const code_name clblast_names[] = {
    ROW(CLBlastNotImplemented),        ROW(CLBlastInvalidMatrixA),           ROW(CLBlastInvalidMatrixB),
    ROW(CLBlastInvalidMatrixC),        ROW(CLBlastInvalidLeadDimA),          ROW(CLBlastInvalidLeadDimB),
    ROW(CLBlastInvalidLeadDimC),       ROW(CLBlastInsufficientMemoryA),      ROW(CLBlastInsufficientMemoryB),
    ROW(CLBlastInsufficientMemoryC),   ROW(CLBlastInsufficientMemoryTemp),   ROW(CLBlastInvalidBatchCount),
    ROW(CLBlastInvalidOverrideKernel), ROW(CLBlastMissingOverrideParameter), ROW(CLBlastInvalidLocalMemUsage),
    ROW(CLBlastNoHalfPrecision),       ROW(CLBlastNoDoublePrecision),        ROW(CLBlastDatabaseError),
    ROW(CLBlastUnknownError),          ROW(CLBlastUnexpectedError),
};

clg_status status_check_clblast(int code, const char *call)
{
    if (code == CLBlastSuccess)
        return CLG_OK;
    for (size_t i = 0; i < sizeof clblast_names / sizeof *clblast_names; i++)
        if (clblast_names[i].code == code)
            return clg_fail(CLG_ERROR_DEVICE, "%s: %s (%d)", call, clblast_names[i].name, code);
    return status_check(code, call);
}
#endif
