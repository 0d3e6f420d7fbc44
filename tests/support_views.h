/* A chain of views as the library has it and as plain C has it. */
#ifndef SUPPORT_VIEWS_H
#define SUPPORT_VIEWS_H

#include "support.h"

enum { VIEWS_MAX_ELEMENTS = 4096, VIEWS_MAX_PARTS = 5 };

/* An array in plain C. Bits, so that a NaN keeps its payload and -0 its sign; and which element of the leaf each is,
 * times what. */
typedef struct host {
    clg_shape shape;
    clg_dtype dtype;
    uint64_t bits[VIEWS_MAX_ELEMENTS];
    int64_t origin[VIEWS_MAX_ELEMENTS]; /* -1: of no element of the leaf */
    double slope[VIEWS_MAX_ELEMENTS];
} host;

typedef struct chain {
    clg_graph *g;
    clg_random *random;
    clg_var leaf, x;
    host *now, *next; /* x's elements; where those of a view of x go */
    bool lenient;     /* a NaN may have become another */
    bool approximate; /* there was a function whose results are rounded as it turns out */
    host arrays[2], parts[VIEWS_MAX_PARTS];
    char log[4000]; /* what was done */
} chain;

/* A chain with a random leaf, freed with free() when its graph has been. */
chain *views_chain(clg_device *device, clg_random *random);
/* A random view of x, or nothing if the one that was drawn cannot be had of this x. */
void views_step(chain *c);

/* For steps that are no views of one array. */
uint32_t views_below(chain *c, uint32_t bound);
bool views_chance(chain *c, uint32_t one_in);
void views_note(chain *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool views_fit(clg_shape shape); /* neither rank nor count too large */
clg_dtype views_dtype(chain *c);
/* A leaf that x does not depend on. */
clg_var views_other(chain *c, clg_dtype dtype, clg_shape shape, host *h);
/* next becomes now, x's elements. */
void views_take(chain *c, clg_var x);

/* An element of so many bytes as a word, and back. */
void views_put(void *element, size_t size, uint64_t bits);
uint64_t views_get(const void *element, size_t size);
double views_from_bits(clg_dtype dtype, uint64_t bits);
uint64_t views_to_bits(clg_dtype dtype, double value);
/* dtype may only be larger (u8 < i32 < f32 < f64) */
void views_cast(host *h, clg_dtype dtype);
int64_t views_flat(clg_shape shape, const int64_t *at);
void views_unflat(clg_shape shape, int64_t i, int64_t *at);
const char *views_text(clg_shape shape);
#endif
