/* Sums of products as a list of their terms: what matrix products, einsum and convolutions are checked against. */
#ifndef SUPPORT_FORM_H
#define SUPPORT_FORM_H

#include "support.h"

enum { FORM_ARRAYS = 5 };

/* result[term[t][0]] is the sum over all such terms t of operand 1[term[t][1]] * operand 2[term[t][2]] * ... */
typedef struct form {
    int arrays; /* the result, number 0, and the operands */
    clg_shape shape[FORM_ARRAYS];
    int32_t (*term)[FORM_ARRAYS];
    int64_t count, capacity;
} form;

/* at: the element of each array. */
void form_add(form *f, const int64_t *at);
void form_free(form *f);

/* values[k]: of array k, values[0] what the result is multiplied by; dtype: of operands 1 and on. whole: small whole
 * numbers, whose sums are exact. Each array is freed with free(). */
void form_values(const form *f, const clg_dtype *dtypes, bool whole, clg_random *random, double **values);

/* Array number `which` as the sum over all terms of the product of the values of the others: the result of the
 * operands, or the gradient of sum(result * values[0]) with respect to an operand. values[0] is not read for the
 * result. */
double *form_sum(const form *f, int which, double *const *values);

/* How many elements are wrong, and the first of them. */
typedef struct form_fault {
    int64_t count, element;
    double got, want, tolerance;
} form_fault;

/* The elements of got that are not that sum, but for rounding in dtype (whole: not at all). Infinities and NaN must be
 * where the sum has them. */
form_fault form_compare(const form *f, int which, double *const *values, const double *got, clg_dtype dtype,
                        bool whole);

typedef clg_var form_builder(const clg_var *operands, const void *data);

typedef struct form_options {
    clg_dtype dtype[FORM_ARRAYS]; /* of operands 1 and on */
    bool whole;                   /* small whole numbers: every result is exact */
    bool result_only;             /* no gradients */
    double special;               /* not 0: a random element of array number `marked` has this value */
    int marked;
    const char *what; /* names the case in messages */
} form_options;

/* Fails the test if what build makes of leaves has not the form's result, or not its gradients and those of a gradient,
 * which are closed forms too. Results come from one program or from one each. */
void form_check(const form *f, clg_device *device, form_builder *build, const void *data, const form_options *options,
                clg_random *random);

/* Fails the test, naming its line, if x has not this shape and exactly these values. */
void form_expect(clg_var x, clg_shape shape, const double *want, int line);
#endif
