/* Random equations of einsum, and their sums as plain loops over all letters; the same for matrix products. */
#ifndef SUPPORT_EINSUM_H
#define SUPPORT_EINSUM_H

#include "support_form.h"

/* At most letters, and behind them the axes of "...", counted from the last. */
enum { EINSUM_LETTERS = 6, EINSUM_DOTS = 2, EINSUM_LABELS = EINSUM_LETTERS + EINSUM_DOTS };

typedef struct einsum_case {
    char equation[160], text[400];
    form form; /* freed by whoever has the case */
} einsum_case;

void einsum_random(einsum_case *c, int round, clg_random *random);
clg_var einsum_build(const clg_var *operands, const void *einsum_case);

/* A product of operands of ranks 1 or more, with batch axes that broadcast. */
form matmul_form(int left, int right, clg_random *random);
clg_var matmul_build(const clg_var *operands, const void *data);
#endif
