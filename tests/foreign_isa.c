/* A planted fault, not a test: one product with the table that the argument names, without asking the processor. Where
 * the processor lacks the instruction set, this must end by SIGILL; .ci/run looks that its emulators see to it. */
#define _POSIX_C_SOURCE 200809L
#include "../src/host/backend/cpu/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const gemm_table gemm_baseline, gemm_avx2, gemm_avx512;

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "baseline";
    const gemm_table *table = !strcmp(name, "avx512") ? &gemm_avx512
                              : !strcmp(name, "avx2") ? &gemm_avx2
                                                      : &gemm_baseline;
    float a[16 * 16], b[16 * 16], c[16 * 16], worst = 0;
    for (int i = 0; i < 256; i++)
        a[i] = (float)(i % 7), b[i] = (float)(i % 5);
    void *scratch = NULL;
    if (posix_memalign(&scratch, 64, (size_t)gemm_scratch_bytes(table, CLG_F32, 16, 16)) != 0)
        return EXIT_FAILURE;
    table->run[CLG_F32](
        &(gemm_product){16, 16, 16, a, b, {16, 1}, {16, 1}, c, 16, scratch, NULL, NULL, NULL, NULL, NULL, false});
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float want = 0;
            for (int k = 0; k < 16; k++)
                want += a[i * 16 + k] * b[k * 16 + j];
            worst = want != c[i * 16 + j] ? 1 : worst;
        }
    free(scratch);
    printf("%s: %s\n", name, worst == 0 ? "right" : "wrong");
    return worst == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
