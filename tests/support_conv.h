/* Random convolutions, and their sums as plain loops. */
#ifndef SUPPORT_CONV_H
#define SUPPORT_CONV_H

#include "support_form.h"

enum { CONV_SPATIAL = 3 };

/* The axes of an array: 0 batch (of the weights: output channels), 1 channels (input channels), then the spatial ones
 * in the order in which x has them. */
typedef struct conv_case {
    bool transposed;
    clg_conv_options options;
    char layout[32];
    int spatial;
    int order[3][2 + CONV_SPATIAL];   /* of the result, x and the weights: which axis each is */
    int64_t batch, groups, outs, ins; /* channels a group: of the small array and the large one */
    /* the large array is a convolution's x, the small one its result; transposed: the other way round */
    int64_t large[CONV_SPATIAL], small[CONV_SPATIAL], size[CONV_SPATIAL], stride[CONV_SPATIAL], dilation[CONV_SPATIAL],
        before[CONV_SPATIAL];
} conv_case;

void conv_random(conv_case *c, bool transposed, clg_random *random);

/* One that is written down: windows of a spatial axis in the order in which x has them. */
typedef struct conv_axis {
    int64_t n, size, stride, dilation, before, after;
} conv_axis;

/* layout: three spatial axes at most. */
void conv_given(conv_case *c, bool transposed, const char *layout, const int64_t *batch_groups_outs_ins,
                const conv_axis *axes);
/* Plain loops; its arrays are the result, x and the weights. */
form conv_form(const conv_case *c);
const char *conv_text(const conv_case *c, int round);
/* clg_conv or clg_conv_transpose of a case's options. */
clg_var conv_build(const clg_var *operands, const void *conv_case);
#endif
