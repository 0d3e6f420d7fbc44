/* Programs: compiled for outputs that the caller names, each with a buffer of its own for as long as the program
 * lives. */
#include "engine.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- compiling */

static clg_status allocate_outputs(clg_program *p)
{
    const clg_device *device = p->graph->device;
    const subgraph *s = &p->compiled.s;
    for (int32_t i = 0; i < s->count; i++) {
        const sub_node *n = &s->nodes[i];
        if (!n->output || n->op == OP_INPUT)
            continue;
        clg_status status = device->b->allocate(device->d, n->count * (int64_t)clg_dtype_size((clg_dtype)n->dtype),
                                                &p->bindings[n->binding]);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status prepare(clg_program *p)
{
    const subgraph *s = &p->compiled.s;
    p->bindings = calloc((size_t)s->binding_count + 1, sizeof *p->bindings);
    if (!p->bindings)
        return clg_fail_memory();
    clg_status status = engine_bind_leaves(p->graph, s, p->bindings);
    if (status == CLG_OK)
        status = allocate_outputs(p);
    if (status == CLG_OK)
        status = compiled_bind(&p->compiled, p->bindings);
    return status == CLG_OK ? CLG_OK : compiled_explain(&p->compiled, status);
}

static clg_status compile(clg_program *p, const clg_var *outputs, int count)
{
    subgraph s;
    p->output_nodes = malloc((size_t)count * sizeof *p->output_nodes);
    if (!p->output_nodes)
        return clg_fail_memory();
    for (int i = 0; i < count; i++)
        p->output_nodes[i] = outputs[i].id;
    clg_status status = constants_compute(p->graph, p->output_nodes, count);
    if (status == CLG_OK)
        status = subgraph_collect(p->graph, p->output_nodes, count, constants_is_leaf, p->graph, &s);
    if (status == CLG_OK)
        status = compiled_plan(&p->compiled, p->graph, &s);
    return status == CLG_OK ? prepare(p) : status;
}

clg_program *clg_compile(clg_graph *graph, const clg_var *outputs, int count)
{
    if (count < 1 || !outputs) {
        graph_fail(graph, CLG_ERROR_ARGUMENT, "compile: needs at least one output");
        return NULL;
    }
    if (!graph_check("compile", outputs, count))
        return NULL;
    if (outputs[0].graph != graph) {
        graph_fail(graph, CLG_ERROR_ARGUMENT, "compile: the outputs belong to another graph");
        return NULL;
    }
    clg_program *p = calloc(1, sizeof *p);
    if (!p) {
        clg_fail_memory();
        return NULL;
    }
    p->graph = graph;
    if (compile(p, outputs, count) != CLG_OK) {
        clg_program_free(p);
        return NULL;
    }
    debug_print(p);
    return p;
}

void clg_program_free(clg_program *program)
{
    if (!program)
        return;
    const clg_device *device = program->graph->device;
    const int32_t outputs = program->compiled.s.leaf_count, count = program->compiled.s.binding_count;
    engine_forget(program->graph, 0, program);
    compiled_free(&program->compiled);
    for (int32_t i = outputs; program->bindings && i < count; i++)
        if (program->bindings[i])
            device->b->free(device->d, program->bindings[i]);
    free(program->bindings);
    free(program->output_nodes);
    free(program);
}

/* ---------------------------------------------------------------- running */

static clg_status remember_outputs(clg_program *p)
{
    const subgraph *s = &p->compiled.s;
    for (int32_t i = 0; i < s->output_count; i++) {
        const sub_node *n = &s->nodes[s->outputs[i]];
        if (n->op == OP_INPUT)
            continue; /* read from the leaf itself */
        clg_status status = engine_remember(p->graph, p->output_nodes[i], p->bindings[n->binding], p);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status check_leaves(clg_program *p)
{
    clg_status status = p->checked ? CLG_OK : engine_check_written(p->graph, &p->compiled.s);
    p->checked = status == CLG_OK;
    return status;
}

clg_status clg_run(clg_program *program)
{
    if (!program)
        return clg_fail(CLG_ERROR_ARGUMENT, "run: program is NULL (see the error of clg_compile)");
    clg_status status = check_leaves(program);
    if (status == CLG_OK)
        status = compiled_run(&program->compiled);
    return status == CLG_OK ? remember_outputs(program) : status;
}

clg_status clg_program_profile(clg_program *program, clg_step_profile *steps, int count, int *filled)
{
    if (filled)
        *filled = 0;
    if (!program)
        return clg_fail(CLG_ERROR_ARGUMENT, "program_profile: program is NULL (see the error of clg_compile)");
    if (count < 0 || (count > 0 && !steps))
        return clg_fail(CLG_ERROR_ARGUMENT, "program_profile: no room for %d steps; right is an array of that many",
                        count);
    const int32_t step_count = program->compiled.p->step_count;
    backend_span *spans = malloc(((size_t)step_count + 1) * sizeof *spans);
    if (!spans)
        return clg_fail_memory();
    clg_status status = check_leaves(program);
    if (status == CLG_OK)
        status = compiled_profile(&program->compiled, spans);
    if (status == CLG_OK)
        status = remember_outputs(program);
    count = count < step_count ? count : step_count;
    for (int i = 0; status == CLG_OK && i < count; i++)
        steps[i] = profile_step(&program->compiled, i, &spans[i]);
    if (status == CLG_OK && filled)
        *filled = count;
    free(spans);
    return status;
}

/* ---------------------------------------------------------------- questions */

clg_program_info clg_program_get_info(const clg_program *program)
{
    const plan *p = program->compiled.p;
    clg_program_info info = {.nodes = program->compiled.s.count,
                             .steps = p->step_count,
                             .launches = program->graph->device->b->launches(program->compiled.prepared),
                             .arena_bytes = p->arena_bytes,
                             .arena_lower_bound = p->arena_lower_bound};
    for (int32_t i = 0; i < p->step_count; i++) {
        const plan_step *step = &p->steps[i];
        info.bytes += cost_step_bytes(p, step);
        info.flops += cost_step_flops(step);
        info.matmuls += step->kind == STEP_CONTRACT;
    }
    for (int32_t i = 0; i < p->buffer_count; i++) {
        info.parameter_bytes += p->buffers[i].kind == BUFFER_LEAF ? p->buffers[i].bytes : 0;
        info.output_bytes += p->buffers[i].kind == BUFFER_OUTPUT ? p->buffers[i].bytes : 0;
    }
    return info;
}
