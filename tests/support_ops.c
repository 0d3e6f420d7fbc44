/* The operations and awkward shapes that `clgrad check` uses serve the tests too: one table. */
#include "../src/host/cli/check_ops.c"
