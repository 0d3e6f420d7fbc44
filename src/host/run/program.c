/* Compiled programs: the whole pipeline from variables to something a backend replays. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- memory that does not fit */

static int by_bytes(const void *x, const void *y)
{
    const plan_buffer *a = *(const plan_buffer *const *)x, *b = *(const plan_buffer *const *)y;
    return a->bytes < b->bytes ? 1 : a->bytes > b->bytes ? -1 : a->node - b->node;
}

/* Adds to the message of a failed allocation which tensors are the largest. */
static clg_status explain_memory(const clg_graph *g, const plan *p, clg_status status)
{
    char text[600];
    size_t used = 0;
    const plan_buffer **list = malloc(((size_t)p->buffer_count + 1) * sizeof *list);
    if (status != CLG_ERROR_DEVICE_MEMORY || !list) {
        free(list);
        return status;
    }
    for (int32_t i = 0; i < p->buffer_count; i++)
        list[i] = &p->buffers[i];
    qsort(list, (size_t)p->buffer_count, sizeof *list, by_bytes);
    text[0] = 0;
    for (int32_t i = 0; i < p->buffer_count && i < 3 && used < sizeof text && list[i]->bytes >= list[0]->bytes / 100;
         i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%%%d %s %s %s (%.1f MB)", i ? ", " : "",
                                 (int)list[i]->node, clg_ops[g->nodes[list[i]->node].op].name,
                                 clg_dtype_name(list[i]->dtype), shape_text(*graph_shape_of(g, list[i]->node)),
                                 (double)list[i]->bytes / 1e6);
    free(list);
    return clg_fail(status, "%s; the program needs %.1f MB of intermediate memory; largest tensors: %s",
                    clg_last_error(), (double)p->arena_bytes / 1e6, text);
}

/* ---------------------------------------------------------------- compiling */

static bool is_realised(void *context, int32_t node) { return engine_value(context, node) != NULL; }

static clg_status bind_leaves(clg_program *p)
{
    for (int32_t i = 0; i < p->s.leaf_count; i++) {
        int32_t node = p->s.leaves[i];
        realised *value = engine_value(p->graph, node);
        if (p->graph->nodes[node].op != OP_INPUT && value) {
            p->bindings[i] = value->buffer;
            continue;
        }
        clg_status status = engine_leaf(p->graph, node, &p->bindings[i]);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status allocate_outputs(clg_program *p)
{
    const clg_device *device = p->graph->device;
    for (int32_t i = 0; i < p->s.count; i++) {
        const sub_node *n = &p->s.nodes[i];
        if (!n->output || n->op == OP_INPUT)
            continue;
        clg_status status = device->b->allocate(device->d, n->count * (int64_t)clg_dtype_size((clg_dtype)n->dtype),
                                                &p->bindings[n->binding]);
        if (status != CLG_OK)
            return status;
    }
    return CLG_OK;
}

static clg_status compile(clg_program *p, const clg_var *outputs, int count, bool eager)
{
    const clg_device *device = p->graph->device;
    schedule_traits traits = {device->traits.fuses_epilogue, device->traits.dense_columns, device->traits.max_body,
                              device->traits.units};
    p->output_nodes = malloc(((size_t)count + 1) * sizeof *p->output_nodes);
    if (!p->output_nodes)
        return clg_fail_memory();
    for (int i = 0; i < count; i++)
        p->output_nodes[i] = outputs[i].id;
    clg_status status = subgraph_collect(p->graph, p->output_nodes, count, eager ? is_realised : NULL, p->graph, &p->s);
    if (status != CLG_OK)
        return status;
    for (int32_t i = 0; i < p->s.count; i++)
        p->has_effects |= p->s.nodes[i].op == OP_ASSIGN;
    status = schedule_plan(&p->s, traits, &p->p);
    if (status != CLG_OK)
        return status;
    p->bindings = calloc((size_t)p->s.binding_count + 1, sizeof(backend_buffer *));
    if (!p->bindings)
        return clg_fail_memory();
    status = bind_leaves(p);
    if (status == CLG_OK)
        status = allocate_outputs(p);
    if (status == CLG_OK)
        status = device->b->prepare(device->d, p->p, p->bindings, &p->prepared);
    return status == CLG_OK ? CLG_OK : explain_memory(p->graph, p->p, status);
}

clg_program *program_compile(clg_graph *g, const clg_var *outputs, int count, bool eager)
{
    clg_program *p = calloc(1, sizeof *p);
    if (!p) {
        clg_fail_memory();
        return NULL;
    }
    p->graph = g;
    p->owns_outputs = true;
    clg_status status = compile(p, outputs, count, eager);
    if (status == CLG_OK) {
        profile_begin(p);
        return p;
    }
    clg_program_free(p);
    return NULL;
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
    clg_program *program = program_compile(graph, outputs, count, false);
    if (program)
        debug_print(program);
    return program;
}

void clg_program_free(clg_program *program)
{
    if (!program)
        return;
    const clg_device *device = program->graph->device;
    profile_end(program);
    engine_forget(program->graph, 0, program);
    if (program->prepared)
        device->b->release(program->prepared);
    for (int32_t i = program->s.leaf_count; program->bindings && program->owns_outputs && i < program->s.binding_count;
         i++)
        if (program->bindings[i])
            device->b->free(device->d, program->bindings[i]);
    plan_free(program->p);
    subgraph_free(&program->s);
    free(program->bindings);
    free(program->output_nodes);
    free(program);
}

/* ---------------------------------------------------------------- running */

static clg_status check_leaves(clg_program *p)
{
    const clg_graph *g = p->graph;
    for (int32_t i = 0; i < p->s.leaf_count; i++) {
        const graph_record *n = &g->nodes[p->s.leaves[i]];
        if (n->op == OP_INPUT && !g->leaves[n->attr.integer].written)
            return clg_fail(CLG_ERROR_ARGUMENT, "run: input %%%d %s %s has never been written", (int)p->s.leaves[i],
                            clg_dtype_name((clg_dtype)n->dtype), shape_text(g->shapes[n->shape]));
    }
    p->checked = true;
    return CLG_OK;
}

clg_status clg_run(clg_program *program)
{
    if (!program)
        return clg_fail(CLG_ERROR_ARGUMENT, "run: program is NULL (see the error of clg_compile)");
    return program->record ? profile_run(program) : engine_run(program, NULL);
}

clg_status engine_run(clg_program *program, backend_span *spans)
{
    clg_graph *g = program->graph;
    const backend *b = g->device->b;
    clg_status status = program->checked ? CLG_OK : check_leaves(program);
    if (status == CLG_OK)
        status = spans ? b->profile(program->prepared, spans) : b->run(program->prepared);
    if (status != CLG_OK)
        return status;
    if (program->has_effects)
        engine_of(g)->epoch++;
    for (int32_t i = 0; i < program->s.output_count && status == CLG_OK; i++) {
        const sub_node *n = &program->s.nodes[program->s.outputs[i]];
        if (n->op == OP_INPUT)
            continue; /* read from the leaf itself */
        status = engine_remember(g, program->output_nodes[i], program->bindings[n->binding],
                                 program->owns_outputs ? program : NULL);
    }
    return status;
}

/* ---------------------------------------------------------------- questions */

/* Bytes that the step must move: each distinct buffer element range once; loads count their buffer at most once. */
int64_t engine_step_bytes(const plan *p, const plan_step *step)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < step->instr_count; i++) {
        const plan_instr *in = &step->instrs[i];
        bool first = in->kind == INSTR_LOAD || in->kind == INSTR_STORE;
        for (int32_t k = 0; first && in->kind == INSTR_LOAD && k < i && i < 4096; k++)
            first = step->instrs[k].kind != INSTR_LOAD || step->instrs[k].buffer != in->buffer;
        if (first && in->kind == INSTR_LOAD) {
            int64_t touched = 1;
            for (int d = 0; d < step->outer_rank + step->inner_rank; d++)
                touched *= step->accesses[in->access].stride[d] ? step->extent[d] : 1;
            int64_t whole = p->buffers[in->buffer].bytes;
            touched *= (int64_t)clg_dtype_size((clg_dtype)in->dtype);
            bytes += touched < whole ? touched : whole;
        } else if (first) {
            bytes += p->buffers[in->buffer].bytes;
        }
    }
    if (step->kind == STEP_MATMUL)
        bytes += (step->batch * (step->m * step->k + step->k * step->n)) * (int64_t)clg_dtype_size(step->dtype);
    for (int o = 0; step->kind == STEP_CONTRACT && o < 2; o++)
        bytes += p->buffers[step->operand[o].buffer].bytes;
    if (step->kind == STEP_SCATTER_ADD)
        bytes += p->buffers[step->indices].bytes + p->buffers[step->updates].bytes + p->buffers[step->result].bytes;
    return bytes;
}

int64_t engine_step_flops(const plan_step *step)
{
    return step->kind == STEP_MATMUL     ? 2 * step->batch * step->m * step->n * step->k
           : step->kind == STEP_CONTRACT ? 2 * step->outer_count * step->inner_count
                                         : 0;
}

clg_program_info clg_program_get_info(const clg_program *program)
{
    const plan *p = program->p;
    clg_program_info info = {.nodes = program->s.count,
                             .steps = p->step_count,
                             .launches = program->graph->device->b->launches(program->prepared),
                             .arena_bytes = p->arena_bytes,
                             .arena_lower_bound = p->arena_lower_bound};
    for (int32_t i = 0; i < p->step_count; i++) {
        const plan_step *step = &p->steps[i];
        info.bytes += engine_step_bytes(p, step);
        info.flops += engine_step_flops(step);
        info.matmuls += step->kind == STEP_MATMUL || step->kind == STEP_CONTRACT;
    }
    for (int32_t i = 0; i < p->buffer_count; i++) {
        info.parameter_bytes += p->buffers[i].kind == BUFFER_LEAF ? p->buffers[i].bytes : 0;
        info.output_bytes += p->buffers[i].kind == BUFFER_OUTPUT ? p->buffers[i].bytes : 0;
    }
    return info;
}

clg_status clg_program_print(const clg_program *program, FILE *out, int what)
{
    if (what & CLG_PRINT_SCHEDULE)
        plan_print_schedule(program->p, out);
    if (what & CLG_PRINT_MEMORY)
        plan_print_memory(program->p, out);
    clg_status status = CLG_OK;
    if (what & CLG_PRINT_KERNELS)
        status = program->graph->device->b->print(program->prepared, out);
    if (status == CLG_OK && ferror(out))
        status = clg_fail(CLG_ERROR_IO, "program_print: cannot write");
    return status;
}
