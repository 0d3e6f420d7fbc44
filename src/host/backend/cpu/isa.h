/* The instruction sets for which the CPU path's loops and products are compiled, and which of them the processor has.
 *
 * What is compiled for an instruction set may run only where the processor has it: not even a function that computes a
 * size. So its objects export data alone, the two tables of a row; isa.c alone names them, and hands out a row only
 * when the processor has been asked (tests/test_isa.sh looks at the objects). */
#ifndef CLG_CPU_ISA_H
#define CLG_CPU_ISA_H

#include <clgrad/clgrad.h>

struct cpu_vectors;
struct gemm_table;

typedef struct cpu_isa {
    const char *name;
    const struct cpu_vectors *vectors; /* vector.c */
    const struct gemm_table *gemm;     /* gemm.c */
} cpu_isa;

enum { CPU_ISA_MOST = 4 };

/* The rows that this processor can run, the fastest last; returns how many. */
size_t cpu_isa_list(const cpu_isa *list[CPU_ISA_MOST]);
/* The fastest one, or the one that the environment variable CLGRAD_CPU_ISA names. */
clg_status cpu_isa_choose(const cpu_isa **isa);
#endif
