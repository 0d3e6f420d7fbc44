/* Arrays that are 0 but for a part of them: gradients of slices, and what is joined in a concatenation. */
#ifndef CLG_PARTS_H
#define CLG_PARTS_H

#include "subgraph.h"

/* Whether two nodes have one shape, and not only as many elements. */
bool parts_same_shape(const subgraph *s, int32_t a, int32_t b);
bool parts_is_zero(const subgraph *s, int32_t node);
/* Whether a node is 0 but for all elements of its operand, in their order: the operand's part of it. */
bool parts_is_padded(const subgraph *s, int32_t node, sub_part *part);
/* Whether a node is a choice between two such ones (or zeros), each 0 where the other is chosen. */
bool parts_is_choice(const subgraph *s, int32_t node);
#endif
