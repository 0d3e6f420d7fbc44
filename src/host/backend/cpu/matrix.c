/* One matrix: its Cholesky factor, solutions of triangular and, by elimination with row pivoting (Golub and Van Loan,
 * Matrix Computations, 3.4), of general systems, the determinant. Rows are contiguous, and inner loops run along them.
 */
#include "cpu.h"

#include <math.h>
#include <string.h>

#define MATRIX(S, T, sqrt_T, fabs_T, log_T)                                                                            \
    static void cholesky_##S(int64_t n, const T *a, T *l)                                                              \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            for (int64_t j = 0; j <= i; j++) {                                                                         \
                T sum = a[i * n + j];                                                                                  \
                for (int64_t k = 0; k < j; k++)                                                                        \
                    sum -= l[i * n + k] * l[j * n + k];                                                                \
                l[i * n + j] = i == j ? sqrt_T(sum) : sum / l[j * n + j];                                              \
            }                                                                                                          \
            for (int64_t j = i + 1; j < n; j++)                                                                        \
                l[i * n + j] = 0;                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void subtract_##S(int64_t m, T factor, const T *from, T *to)                                                \
    {                                                                                                                  \
        for (int64_t c = 0; c < m; c++)                                                                                \
            to[c] -= factor * from[c];                                                                                 \
    }                                                                                                                  \
    static void triangle_##S(int64_t n, int64_t m, bool upper, const T *a, T *x)                                       \
    {                                                                                                                  \
        for (int64_t r = 0; r < n; r++) {                                                                              \
            const int64_t i = upper ? n - 1 - r : r;                                                                   \
            for (int64_t k = upper ? i + 1 : 0; k < (upper ? n : i); k++)                                              \
                subtract_##S(m, a[i * n + k], x + k * m, x + i * m);                                                   \
            for (int64_t c = 0; c < m; c++)                                                                            \
                x[i * m + c] /= a[i * n + i];                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void swap_##S(int64_t m, T *a, T *b)                                                                        \
    {                                                                                                                  \
        for (int64_t c = 0; c < m; c++) {                                                                              \
            const T kept = a[c];                                                                                       \
            a[c] = b[c];                                                                                               \
            b[c] = kept;                                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    /* a becomes an upper triangle, x (m columns) goes along; the sign of the swaps. */                                \
    static T eliminate_##S(int64_t n, int64_t m, T *a, T *x)                                                           \
    {                                                                                                                  \
        T sign = 1;                                                                                                    \
        for (int64_t k = 0; k < n; k++) {                                                                              \
            int64_t pivot = k;                                                                                         \
            for (int64_t i = k + 1; i < n; i++)                                                                        \
                pivot = fabs_T(a[i * n + k]) > fabs_T(a[pivot * n + k]) ? i : pivot;                                   \
            if (pivot != k) {                                                                                          \
                swap_##S(n - k, a + k * n + k, a + pivot * n + k);                                                     \
                swap_##S(m, x + k * m, x + pivot * m);                                                                 \
                sign = -sign;                                                                                          \
            }                                                                                                          \
            for (int64_t i = k + 1; i < n && a[k * n + k] != 0; i++) { /* 0: so is all below */                        \
                const T factor = a[i * n + k] / a[k * n + k];                                                          \
                subtract_##S(n - k - 1, factor, a + k * n + k + 1, a + i * n + k + 1);                                 \
                subtract_##S(m, factor, x + k * m, x + i * m);                                                         \
            }                                                                                                          \
        }                                                                                                              \
        return sign;                                                                                                   \
    }                                                                                                                  \
    static T determinant_##S(int64_t n, int mode, T *a)                                                                \
    {                                                                                                                  \
        T sign = eliminate_##S(n, 0, a, a), product = sign, sum = 0;                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T d = a[i * n + i];                                                                                  \
            product *= d;                                                                                              \
            sum += log_T(fabs_T(d));                                                                                   \
            sign *= d != d ? d : (T)((d > 0) - (d < 0));                                                               \
        }                                                                                                              \
        return mode == DETERMINANT_LOG ? sum : mode == DETERMINANT_SIGN ? sign + 0 : product;                          \
    }                                                                                                                  \
    static void matrix_##S(const plan_array *a, const T *matrix, const T *side, T *result, T *scratch)                 \
    {                                                                                                                  \
        const int64_t n = a->length, m = a->inner;                                                                     \
        const size_t square = (size_t)(n * n) * sizeof(T);                                                             \
        if (side)                                                                                                      \
            memcpy(result, side, (size_t)(n * m) * sizeof(T));                                                         \
        if (a->op == OP_CHOLESKY)                                                                                      \
            cholesky_##S(n, matrix, result);                                                                           \
        else if (a->op == OP_SOLVE_TRIANGULAR)                                                                         \
            triangle_##S(n, m, a->mode, matrix, result);                                                               \
        else {                                                                                                         \
            memcpy(scratch, matrix, square);                                                                           \
            if (a->op == OP_DETERMINANT) {                                                                             \
                *result = determinant_##S(n, a->mode, scratch);                                                        \
                return;                                                                                                \
            }                                                                                                          \
            eliminate_##S(n, m, scratch, result);                                                                      \
            triangle_##S(n, m, true, scratch, result);                                                                 \
        }                                                                                                              \
    }
MATRIX(f32, float, sqrtf, fabsf, logf)
MATRIX(f64, double, sqrt, fabs, log)

int64_t cpu_matrix_scratch(clg_dtype dtype, const plan_array *a)
{
    const bool eliminates = a->op == OP_SOLVE || a->op == OP_DETERMINANT;
    return eliminates ? a->length * a->length * (int64_t)clg_dtype_size(dtype) : 0;
}

void cpu_matrix(clg_dtype dtype, const plan_array *a, const void *matrix, const void *side, void *result, char *scratch)
{
    if (dtype == CLG_F32)
        matrix_f32(a, matrix, side, result, (void *)scratch);
    else
        matrix_f64(a, matrix, side, result, (void *)scratch);
}
