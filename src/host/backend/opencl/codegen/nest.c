/* The loops around a body: positions from a flattened index, tiles of vectors, and the kernel as a whole. */
#include "nest.h"

nest nest_new(const kernel_target *target)
{
    return (nest){.target = target,
                  .gpu = target->strategy == STRATEGY_GPU,
                  .group = kernel_group(target),
                  .unit = {.indent = 2 * TEXT_LEVEL}};
}

void nest_close(nest *n)
{
    text_free(&n->unit);
    body_close(&n->body);
}

/* The width for which a row of the extent is the fewest vectors and single elements; of long ones the widest. */
int nest_vector_width(int64_t extent)
{
    enum { LONG = 64, WIDE = 2, SINGLE = 1 }; /* times what a vector costs: the widest one, an element */
    int best = 1;
    int64_t least = SINGLE * extent;
    for (int width = 4; width <= smaller(extent, 16); width *= 2) {
        const int64_t cost = extent / width * (width == 16 ? WIDE : 1) + extent % width * SINGLE;
        if (cost <= least || extent >= LONG) {
            best = width;
            least = cost;
        }
    }
    return best;
}

void nest_print_positions(const body_printer *p, const char *from, int first, int end, int skip, bool with_piece)
{
    const plan_step *step = p->body->step;
    const char *index = p->body->index;
    int left = with_piece && step->splits > 1;
    for (int d = first; d < end; d++)
        left += d != skip && step->extent[d] > 1;
    const char *rest = from;
    if (left > 1) {
        text_line(p->out, "%s q%d = %s;", index, first, from);
        rest = NULL;
    }
    char name[16];
    snprintf(name, sizeof name, "q%d", first);
    for (int d = end - 1; d >= first; d--) {
        if (d == skip || step->extent[d] <= 1)
            continue;
        if (left == 1)
            text_line(p->out, "const %s p%d = %s;", index, d, rest ? rest : name);
        else
            text_line(p->out, "const %s p%d = %s %% %lld; %s /= %lld;", index, d, name, (long long)step->extent[d],
                      name, (long long)step->extent[d]);
        left--;
    }
    if (with_piece && step->splits > 1)
        text_line(p->out, "const %s piece = %s;", index, rest ? rest : name);
}

void nest_open_tile(const body_printer *p, bool unrolled)
{
    if (p->tile <= 1)
        return;
    text_line(p->out, unrolled ? "#pragma unroll" : "#pragma unroll 1");
    nest_open_vectors(p);
    text_line(p->out, "const %s p%d = tile + t * %d;", p->body->index, p->body->lane, p->width);
}

void nest_open_vectors(const body_printer *p)
{
    char head[64];
    snprintf(head, sizeof head, "for (int t = 0; t < %d; t++)", p->tile);
    text_open(p->out, head);
}

void nest_close_tile(const body_printer *p)
{
    if (p->tile > 1)
        text_close(p->out);
}

/* ---------------------------------------------------------------- the kernel */

/* Local memory for group folds, one array a dtype. */
static void add_scratch(const nest *n, text *t)
{
    for (int dtype = 0; dtype < CLG_DTYPE_COUNT; dtype++)
        if (n->scratch[dtype])
            text_add(t, " local %s_t scratch_%s[%d];", body_suffix(dtype, 1).s, body_suffix(dtype, 1).s, n->group);
}

static void print_kernel(const nest *n, text *out, int64_t parts, bool shared)
{
    static const char *const names[] = {"once", "unit"};
    text once = {.indent = TEXT_LEVEL};
    const body_printer p = body_print_to(&n->body, &once);
    if (!n->gpu) /* there are barriers in what work-items of a group share */
        body_print_idle(&n->body, &once);
    body_print_sections(&p, SECTION_ONCE);
    const char *bodies[] = {once.data, n->unit.data};
    text_add(out, "#define PARAMETERS %s", shared ? "volatile global int *shares_taken, " : "");
    body_parameters(&n->body, out);
    text_add(out, "\n#define INDEX %s\n#define SCRATCH", n->body.index);
    add_scratch(n, out);
    if (n->gpu)
        text_add(out, "\n#define UNITS for (INDEX unit = (INDEX)get_%s_id(0); unit < %lld; unit += (INDEX)%s(0))\n",
                 n->lanes_inner ? "group" : "global", (long long)n->units,
                 n->lanes_inner ? "get_num_groups" : "get_global_size");
    else if (shared)
        text_add(out, "\n#define UNITS EACH_SHARED_UNIT(INDEX, unit, %lld, %lld)\n", (long long)n->units,
                 (long long)parts);
    else
        text_add(out, "\n#define UNITS for (INDEX unit = 0; unit < %lld; unit++)\n", (long long)n->units);
    text_add_skeleton(out, "loop.cl", names, bodies, 2);
    out->failed |= once.failed || n->unit.failed;
    text_free(&once);
}

clg_status nest_add_kernel(const nest *n, int64_t parts, kernel_list *list)
{
    static const int32_t shares[] = {ARGUMENT_SHARES};
    bool shared = !n->gpu && parts > 1;
    text source = {0};
    print_kernel(n, &source, parts, shared);
    kernel_launch *added = NULL;
    clg_status status = kernel_add(list, &source, shares, shared ? 1 : 0, n->body.arguments, n->body.argument_count,
                                   body_numbers(&n->body), &added);
    if (status != CLG_OK)
        return status;
    added->local[0] = (size_t)n->group;
    added->global[0] = (size_t)(n->gpu ? parts * n->group : kernel_groups(n->target, parts));
    return CLG_OK;
}
