/* The scheduling stage as a sequence: order axes, split contractions with few results, join parts, fuse nodes into
 * groups, lower groups to steps, place buffers in memory, analyse the steps. */
#include "schedule.h"

#include <stdlib.h>

static clg_status plan_whole(const subgraph *s, schedule_traits traits, plan **out)
{
    scheduler f = {.s = s, .traits = traits, .latest_capacity = 1024};
    f.p = calloc(1, sizeof *f.p);
    f.state = malloc(((size_t)s->count + 1) * sizeof *f.state);
    f.latest = malloc((size_t)f.latest_capacity * sizeof *f.latest);
    f.dense = calloc((size_t)s->count + 1, sizeof *f.dense);
    bool allocated = f.p && f.state && f.dense && f.latest;
    clg_status status = allocated ? access_table_init(&f.accesses) : clg_fail_memory();
    if (status == CLG_OK)
        status = fuse(&f);
    if (status == CLG_OK)
        status = fuse_assignments(&f);
    if (status == CLG_OK)
        status = lower(&f);
    if (status == CLG_OK)
        status = plan_memory(f.p);
    if (status == CLG_OK)
        status = plan_analyse(f.p);
    access_table_free(&f.accesses);
    free(f.state);
    free(f.dense);
    free(f.latest);
    free(f.groups);
    free(f.stores);
    free(f.walked);
    free(f.stack.items);
    free(f.blockers.items);
    free(f.pending.items);
    free(f.seen.key);
    free(f.seen.stamp);
    free(f.seen.value);
    if (status != CLG_OK) {
        plan_free(f.p);
        return status;
    }
    *out = f.p;
    return CLG_OK;
}

clg_status schedule_plan(const subgraph *s, schedule_traits traits, plan **out)
{
    subgraph ordered = {0}, pieces = {0}, joined = {0};
    clg_status status = traits.channels_last ? order_axes(s, &ordered) : CLG_OK;
    if (ordered.count)
        s = &ordered;
    if (status == CLG_OK)
        status = contract_split(s, &traits, &pieces);
    if (pieces.count)
        s = &pieces;
    if (status == CLG_OK)
        status = join_parts(s, &joined);
    if (joined.count)
        s = &joined;
    if (status == CLG_OK)
        status = plan_whole(s, traits, out);
    join_free(&joined);
    subgraph_free_copy(&pieces);
    subgraph_free_copy(&ordered);
    return status;
}
