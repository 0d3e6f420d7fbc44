/* Products by CLBlast: their parameters, their scratch memory, their calls. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#ifdef CLG_WITH_CLBLAST
#include <clblast_c.h>
#include <pthread.h>

/* A matrix in the words of BLAS. */
typedef struct blas_matrix {
    CLBlastTranspose transpose;
    size_t offset, leading, stride;
} blas_matrix;

static blas_matrix to_blas(const plan_matrix *x, int64_t rows, int64_t columns)
{
    bool plain = x->column_stride == 1 || columns == 1;
    return (blas_matrix){plain ? CLBlastTransposeNo : CLBlastTransposeYes, (size_t)x->offset,
                         (size_t)(plain ? larger(x->row_stride, columns) : larger(x->column_stride, rows)),
                         (size_t)x->batch_stride};
}

bool clblast_serves(const plan_step *step)
{
    return step->product >= 0 && step->inner_count > 0 && (step->dtype == CLG_F32 || step->dtype == CLG_F64);
}

/* Its kernel cache is not safe across threads before 1.6.1. */
static pthread_mutex_t clblast_lock = PTHREAD_MUTEX_INITIALIZER;

clg_status clblast_override(backend_device *device, const clblast_parameters *p)
{
    CLBlastPrecision precision = p->dtype == CLG_F64 ? CLBlastPrecisionDouble : CLBlastPrecisionSingle;
    const char *names[CLBLAST_MAX_PARAMETERS];
    for (int i = 0; i < p->count; i++)
        names[i] = p->names[i];
    pthread_mutex_lock(&clblast_lock);
    int code = CLBlastOverrideParameters(device->id, p->kernel, precision, (size_t)p->count, names, p->values);
    pthread_mutex_unlock(&clblast_lock);
    return status_check_clblast(code, "CLBlastOverrideParameters");
}

clg_status clblast_scratch(const backend_device *device, const plan_step *step, int64_t *bytes)
{
    const plan_matmul x = plan_step_matmul(step);
    blas_matrix a = to_blas(&x.a, x.m, x.k), b = to_blas(&x.b, x.k, x.n);
    cl_command_queue queue = device->queue;
    size_t m = (size_t)x.m, n = (size_t)x.n, k = (size_t)x.k, size = 0;
    pthread_mutex_lock(&clblast_lock);
    int code = step->dtype == CLG_F64
                   ? CLBlastDGemmTempBufferSize(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, a.offset,
                                                a.leading, b.offset, b.leading, 0, n, &queue, &size)
                   : CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, a.offset,
                                                a.leading, b.offset, b.leading, 0, n, &queue, &size);
    pthread_mutex_unlock(&clblast_lock);
    *bytes = (int64_t)size;
    return status_check_clblast(code, "CLBlastGemmTempBufferSize");
}

bool clblast_is_all(const plan_step *step)
{
    const plan_matmul x = plan_step_matmul(step);
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *instr = &step->instrs[i];
        if (instr->kind == INSTR_PRODUCT)
            continue;
        if (instr->kind != INSTR_STORE || instr->buffer != step->product ||
            step->instrs[instr->src[0]].kind != INSTR_PRODUCT)
            return false;
        const plan_access *access = &step->accesses[instr->access];
        if (access->offset != 0 || (x.n > 1 && access->stride[2] != 1) || (x.m > 1 && access->stride[1] != x.n) ||
            (x.batch > 1 && access->stride[0] != x.m * x.n))
            return false;
    }
    return true;
}

static int run_single(const plan_matmul *x, blas_matrix a, blas_matrix b, cl_mem ma, cl_mem mb, cl_mem product,
                      cl_mem scratch, cl_command_queue *queue)
{
    size_t m = (size_t)x->m, n = (size_t)x->n, k = (size_t)x->k;
    if (x->dtype == CLG_F64)
        return CLBlastDgemmWithTempBuffer(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                          a.leading, mb, b.offset, b.leading, 0, product, 0, n, queue, NULL, scratch);
    return CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                      a.leading, mb, b.offset, b.leading, 0, product, 0, n, queue, NULL, scratch);
}

static int run_batch(const plan_matmul *x, blas_matrix a, blas_matrix b, cl_mem ma, cl_mem mb, cl_mem product,
                     cl_command_queue *queue)
{
    size_t m = (size_t)x->m, n = (size_t)x->n, k = (size_t)x->k, batch = (size_t)x->batch;
    if (x->dtype == CLG_F64)
        return CLBlastDgemmStridedBatched(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                          a.leading, a.stride, mb, b.offset, b.leading, b.stride, 0, product, 0, n,
                                          m * n, batch, queue, NULL);
    return CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, a.transpose, b.transpose, m, n, k, 1, ma, a.offset,
                                      a.leading, a.stride, mb, b.offset, b.leading, b.stride, 0, product, 0, n, m * n,
                                      batch, queue, NULL);
}

clg_status clblast_run(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                       cl_mem scratch)
{
    const plan_matmul x = plan_step_matmul(step);
    blas_matrix ba = to_blas(&x.a, x.m, x.k), bb = to_blas(&x.b, x.k, x.n);
    pthread_mutex_lock(&clblast_lock);
    int code = x.batch == 1 ? run_single(&x, ba, bb, a, b, product, scratch, &device->queue)
                            : run_batch(&x, ba, bb, a, b, product, &device->queue);
    pthread_mutex_unlock(&clblast_lock);
    return code == CLBlastSuccess ? CLG_OK : status_check_clblast(code, "CLBlastGemm");
}

#else

static clg_status fail_without(void) { return clg_fail(CLG_ERROR_UNSUPPORTED, "this build has no CLBlast"); }

bool clblast_serves(const plan_step *step)
{
    (void)step;
    return false;
}

bool clblast_is_all(const plan_step *step)
{
    (void)step;
    return false;
}

clg_status clblast_scratch(const backend_device *device, const plan_step *step, int64_t *bytes)
{
    (void)device, (void)step, (void)bytes;
    return fail_without();
}

clg_status clblast_override(backend_device *device, const clblast_parameters *parameters)
{
    (void)device, (void)parameters;
    return fail_without();
}

clg_status clblast_run(backend_device *device, const plan_step *step, cl_mem a, cl_mem b, cl_mem product,
                       cl_mem scratch)
{
    (void)device, (void)step, (void)a, (void)b, (void)product, (void)scratch;
    return fail_without();
}

#endif
