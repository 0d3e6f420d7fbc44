/* A LOOP step: this work-item's (or work-group's) share of the step's units. What a unit is, and the code of its
 * body, the host prints into the marked lines (src/host/backend/opencl/loop.c):
 *   CPU devices   one work-item a group; a unit is a run of positions along the lane dimension, a tile of columns,
 *                 or one row to reduce
 *   GPU devices   a unit is one outer position, of one work-item or (rows to reduce) of one work-group, whose
 *                 work-items all take part in every barrier */
#ifndef KERNEL
#define KERNEL loop_example
#define PARAMETERS global float *b0
#define INDEX int
#define UNIT_FIRST ((int)get_global_id(0))
#define UNIT_END 1024
#define UNIT_STEP ((int)get_global_size(0))
#define SCRATCH
#endif

kernel void KERNEL(PARAMETERS)
{
    SCRATCH
    //@ once
    for (INDEX unit = UNIT_FIRST; unit < UNIT_END; unit += UNIT_STEP) {
        //@ unit
    }
}
#undef PARAMETERS
#undef INDEX
#undef UNIT_FIRST
#undef UNIT_END
#undef UNIT_STEP
#undef SCRATCH
