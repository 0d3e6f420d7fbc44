/* The operations of the table by number. */
#include "build.h"

clg_var clg_apply(int op, const clg_var *x, clg_axes axes)
{
    op_kind kind = op >= 0 && op < OP_COUNT ? clg_ops[op].kind : KIND_LEAF;
    if (kind == KIND_MAP && clg_ops[op].types == TYPES_SELECT)
        return clg_where(x[0], x[1], x[2]);
    if (kind == KIND_MAP && clg_ops[op].types != TYPES_CAST)
        return build_map((clg_op)op, x[0], x[clg_ops[op].arity > 1], x[clg_ops[op].arity > 2 ? 2 : 0]);
    if (kind == KIND_REDUCE)
        return build_reduction((clg_op)op, x[0], axes, false);
    if (kind == KIND_SCAN)
        return scan_apply((clg_op)op, x, axes);
    return graph_fail(x[0].graph, CLG_ERROR_ARGUMENT,
                      "apply: operation %d (%s) is not elementwise with one dtype, a reduction or a scan", op,
                      clg_op_get_info(op).name);
}
