/* Which instruction sets there are: CMakeLists.txt compiles the tables and says so by CLG_ISA_*. */
#define _GNU_SOURCE
#include "isa.h"

#include "../../core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(CLG_ISA_sve256)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

static bool has_baseline(void) { return true; }

#if defined(CLG_ISA_avx2)
static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
}
#endif

#if defined(CLG_ISA_sve256)
/* The tables are compiled for one length of vectors, which the kernel sets. */
static bool has_sve(int bytes)
{
    const unsigned long sve = 1ul << 22; /* HWCAP_SVE, arm64's ABI */
    const int get_length = 51;           /* PR_SVE_GET_VL */
    if (!(getauxval(AT_HWCAP) & sve))
        return false;
    int length = prctl(get_length);
    return length >= 0 && (length & 0xffff) == bytes;
}
static bool has_sve256(void) { return has_sve(32); }
static bool has_sve512(void) { return has_sve(64); }
#endif

#if defined(__aarch64__)
#define BASELINE_NAME "neon" /* every such processor has it */
#else
#define BASELINE_NAME "baseline"
#endif

/* isa, name: from the slowest to the fastest */
#define ALWAYS(ISA) ISA(baseline, BASELINE_NAME)
#if defined(CLG_ISA_avx2)
#define SOME(ISA) ISA(avx2, "avx2") ISA(avx512, "avx512")
#elif defined(CLG_ISA_sve256)
#define SOME(ISA) ISA(sve256, "sve256") ISA(sve512, "sve512")
#else
#define SOME(ISA)
#endif

#define DECLARE(isa, name)                                                                                             \
    extern const struct cpu_vectors cpu_vectors_##isa;                                                                 \
    extern const struct gemm_table gemm_##isa;
ALWAYS(DECLARE)
SOME(DECLARE)

#define ROW(isa, name) {has_##isa, {name, &cpu_vectors_##isa, &gemm_##isa}},
static const struct {
    bool (*runs)(void);
    cpu_isa isa;
} rows[] = {ALWAYS(ROW) SOME(ROW)};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(sizeof rows / sizeof rows[0] <= CPU_ISA_MOST, "CPU_ISA_MOST");

size_t cpu_isa_list(const cpu_isa *list[CPU_ISA_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].runs())
            list[count++] = &rows[i].isa;
    return count;
}

clg_status cpu_isa_choose(const cpu_isa **isa)
{
    const char *wanted = getenv("CLGRAD_CPU_ISA"); /* to test the slower ones */
    const cpu_isa *list[CPU_ISA_MOST];
    size_t count = cpu_isa_list(list);
    char names[CPU_ISA_MOST * 16] = "";
    *isa = list[count - 1];
    if (!wanted || !*wanted)
        return CLG_OK;
    for (size_t i = 0; i < count; i++) {
        *isa = list[i];
        if (strcmp(wanted, list[i]->name) == 0)
            return CLG_OK;
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", list[i]->name);
    }
    return clg_fail(CLG_ERROR_ARGUMENT, "CLGRAD_CPU_ISA is '%s'; this processor has %s", wanted, names);
}
