/* What the reverse sweep asks of regions that are computed again (checkpoint.c). */
#ifndef CLG_CHECKPOINT_H
#define CLG_CHECKPOINT_H

#include "graph.h"

typedef struct checkpoint {
    int32_t *copy; /* of each node that was there at the beginning: what stands for it in the region; -1: nothing yet */
    int32_t count;
    int32_t region; /* the last one that begins at or before the node reached, its number + 1; 0: none */
    int32_t made;   /* the one that has copies now, likewise */
    bool inside;    /* the node reached is in that region */
} checkpoint;

/* Before a sweep over the first nodes, so many; false: out of memory. */
bool checkpoint_begin(const clg_graph *g, int32_t count, checkpoint *c);
void checkpoint_end(checkpoint *c);
/* The sweep has come down to a node whose rule will run; false if copies cannot be made (recorded). */
bool checkpoint_reach(clg_graph *g, checkpoint *c, int32_t node);
/* The node whose values the rule of the node reached reads in place of a node. */
int32_t checkpoint_value(const clg_graph *g, const checkpoint *c, int32_t node);
#endif
