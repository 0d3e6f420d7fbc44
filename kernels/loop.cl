/* A LOOP step: this work-item's (or work-group's) part of the step's units. What a unit is, and the code of its
 * body, the host prints into the marked lines (src/host/backend/opencl/codegen/nest.c):
 *   CPU devices   one work-item a group, which draws shares of units; a unit is a run of positions along the lane
 *                 dimension, a tile of columns, or one row to reduce
 *   GPU devices   a unit is one outer position, of one work-item or (rows to reduce) of one work-group, whose
 *                 work-items all take part in every barrier */
#ifndef KERNEL
#define KERNEL loop_example
#define PARAMETERS global float *b0
#define INDEX int
#define UNITS for (int unit = (int)get_global_id(0); unit < 1024; unit += (int)get_global_size(0))
#define SCRATCH
#endif

kernel void KERNEL(PARAMETERS)
{
    SCRATCH
    //@ once
    UNITS
    {
        //@ unit
    }
}
#undef PARAMETERS
#undef INDEX
#undef UNITS
#undef SCRATCH
