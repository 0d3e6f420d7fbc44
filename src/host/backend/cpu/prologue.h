/* The prologue of a contraction's operand (plan_operand) on the CPU path; internal to the backend. */
#ifndef CLG_CPU_PROLOGUE_H
#define CLG_CPU_PROLOGUE_H

#include "cpu.h"

/* A thread's. */
typedef struct cpu_prologue {
    const cpu_tape *tape; /* NULL: none */
    cpu_runner runner;
    char *address[2], *line[2];
} cpu_prologue;

/* Of a thread's scratch for those of a contraction; it is 64-byte aligned. */
int64_t cpu_prologue_bytes(const cpu_tape *contraction);
void cpu_prologue_begin(cpu_prologue x[2], const cpu_tape *contraction, char *scratch);
/* n elements, stride apart from `from` on, to places that are step apart; sizes in bytes. */
void cpu_prologue_line(cpu_prologue *x, const char *from, int64_t stride, int64_t from_size, char *to, int64_t step,
                       int64_t to_size, int64_t n);
#endif
