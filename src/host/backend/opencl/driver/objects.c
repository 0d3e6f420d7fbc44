/* How many OpenCL objects there are. */
#include "driver.h"

#include <stdatomic.h>

static atomic_int live_objects;

int opencl_live_objects(void) { return atomic_load(&live_objects); }
void opencl_count_object(int change) { atomic_fetch_add(&live_objects, change); }
