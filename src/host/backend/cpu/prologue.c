/* What is done with an operand's elements as they are copied: a tape over lines of them. */
#include "prologue.h"
#include "copy.h"

#include <string.h>

/* Two lines: elements from memory, and results, where they do not lie side by side there. */
static int64_t line_bytes(const cpu_tape *tape) { return round_up(tape->block * (int64_t)sizeof(double), 64); }

static int64_t scratch_bytes(const cpu_tape *tape)
{
    return tape ? round_up(tape->scratch_bytes, 64) + 2 * line_bytes(tape) : 0;
}

int64_t cpu_prologue_bytes(const cpu_tape *contraction)
{
    return scratch_bytes(contraction->prologue[0]) + scratch_bytes(contraction->prologue[1]);
}

void cpu_prologue_begin(cpu_prologue x[2], const cpu_tape *contraction, char *scratch)
{
    for (int o = 0; o < 2; o++) {
        const cpu_tape *tape = x[o].tape = contraction->prologue[o];
        if (!tape)
            continue;
        x[o].line[0] = scratch + round_up(tape->scratch_bytes, 64);
        x[o].line[1] = x[o].line[0] + line_bytes(tape);
        memcpy(x[o].address, x[o].line, sizeof x[o].address);
        cpu_runner_begin(&x[o].runner, tape, x[o].address, scratch);
        scratch += scratch_bytes(tape);
    }
}

void cpu_prologue_line(cpu_prologue *x, const char *from, int64_t stride, int64_t from_size, char *to, int64_t step,
                       int64_t to_size, int64_t n)
{
    const int64_t block = x->tape->block;
    for (int64_t done = 0; done < n; done += block) {
        const int64_t count = smaller(block, n - done);
        const char *source = from + done * stride * from_size;
        char *result = to + done * step * to_size;
        if (stride != 1)
            cpu_copy_from(x->line[0], source, stride, count, (int)from_size);
        x->address[0] = stride != 1 ? x->line[0] : (char *)(uintptr_t)source;
        x->address[1] = step != 1 ? x->line[1] : result;
        cpu_runner_block(&x->runner, 0, count);
        if (step != 1)
            cpu_copy_to(result, x->line[1], step, count, (int)to_size);
    }
}
