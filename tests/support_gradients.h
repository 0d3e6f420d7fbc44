/* First and second gradients of a result against central differences. */
#ifndef SUPPORT_GRADIENTS_H
#define SUPPORT_GRADIENTS_H

#include "support.h"

/* Fails the test, naming what, if gradients of a scalar that depends on every element of y, and not linearly, or those
 * of a scalar made of the gradients are wrong. leaves: at most 5, f64. */
void support_expect_gradients(clg_var y, const clg_var *leaves, int count, clg_random *random, const char *what);
#endif
