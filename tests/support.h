/* What the engine's tests share: devices, random data, comparisons that reject NaN, gradient checks. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <clgrad/clgrad.h>
#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Opens a device or fails the test with the library's message. */
clg_device *support_open(const char *spec);
/* The specs that tests run on: "cpu", and "opencl" where there is such a device (CLGRAD_REQUIRE_OPENCL=1 makes its
 * absence a failure). Ends with NULL. */
const char *const *support_devices(void);
/* For the main of a test of OpenCL alone: whether there is a device. If not, says that the test is skipped, and sets
 * what main returns: 1 with CLGRAD_REQUIRE_OPENCL=1, else 0. */
bool support_has_opencl(const char *test, int *status);

/* Runs a program's tests on each of these devices, of which *device is open meanwhile. Returns how many failed. */
int support_run_on_devices(clg_device **device, const struct CMUnitTest *tests, size_t count);

/* Calls a test's body with each of these devices, opened. */
void support_each_device(void (*body)(clg_device *));

/* A fresh seed for this run, printed so that a failure can be repeated (CLGRAD_TEST_SEED sets it). */
uint64_t support_seed(void);

/* usual, or as much of it as CLGRAD_TEST_EFFORT says (percent; at least 1): for machines that are emulated. */
int support_rounds(int usual);

/* x is poisoned, and its graph's first error, which is cleared, contains the message; without a graph the last error.
 */
void support_expect_error(clg_var x, const char *message);

/* |got - want| <= tolerance * max(1, |want|); false for NaN unless both are NaN, which must be wanted. */
bool support_close(double got, double want, double tolerance);
/* Fails the test where an element of a variable is not close to the wanted one. */
void support_expect(clg_var x, const double *want, double tolerance, const char *what);

/* All values of a variable as doubles, malloc'ed; fails the test on error. */
double *support_values(clg_var x);

/* Values for leaves that keep a distance from each other and from 0, so that no kink lies between x - h and x + h. */
double *support_spread(int64_t count, double lo, double hi, clg_random *random);

/* An f64 (or, for letters c and i, u8 and i32) leaf with the given values. */
clg_var support_leaf(clg_graph *g, clg_dtype dtype, clg_shape shape, const double *values);

/* Number of elements of grads[i] that central differences of the scalar f64 variable loss contradict. leaves are f64;
 * at most `samples` elements of each are tried. */
int support_gradient_errors(clg_var loss, const clg_var *leaves, const clg_var *grads, int count, int samples,
                            clg_random *random);
#endif
