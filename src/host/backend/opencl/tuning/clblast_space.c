/* The parameters of CLBlast's matrix products: names and constraints as its documentation (doc/tuning.md) and its own
 * tuners have them. A set that breaks a constraint may compute something wrong, so nothing else reaches the library. */
#include "tuning.h"

#include <string.h>

enum { GEMMK, KREG, KWG, KWI, MDIMA, MDIMC, MWG, NDIMB, NDIMC, NWG, SA, SB, STRM, STRN, VWM, VWN };
enum { KWID, MDIMAD, MDIMCD, NDIMBD, NDIMCD, PADA, PADB, VWMD, VWND, WGD };

/* Whether a is a whole multiple of b. */
static bool divides(int b, int a) { return b > 0 && a % b == 0; }

/* Tiles of MWG x NWG over KWG, loaded by the group's work-items arranged anew: MDIMA x KDIMA, KDIMB x NDIMB. */
static bool fits_xgemm(const int *v)
{
    int group = v[MDIMC] * v[NDIMC];
    return v[GEMMK] == 0 && v[KREG] == 1 && divides(v[KWI], v[KWG]) && divides(v[MDIMC] * v[VWM], v[MWG]) &&
           divides(v[NDIMC] * v[VWN], v[NWG]) && divides(v[MDIMA] * v[VWM], v[MWG]) &&
           divides(v[NDIMB] * v[VWN], v[NWG]) && divides(v[MDIMA], group) && divides(v[NDIMB], group) &&
           divides(group / v[MDIMA], v[KWG]) && divides(group / v[NDIMB], v[KWG]);
}

static int group_xgemm(const int *v) { return v[MDIMC] * v[NDIMC]; }
static int local_xgemm(const int *v) { return v[SA] * v[KWG] * v[MWG] + v[SB] * v[KWG] * v[NWG]; }

static bool fits_direct(const int *v)
{
    int group = v[MDIMCD] * v[NDIMCD];
    return divides(v[KWID], v[WGD]) && divides(v[MDIMCD] * v[VWMD], v[WGD]) && divides(v[NDIMCD] * v[VWND], v[WGD]) &&
           divides(v[MDIMAD] * v[VWMD], v[WGD]) && divides(v[NDIMBD] * v[VWND], v[WGD]) && divides(v[MDIMAD], group) &&
           divides(v[NDIMBD], group) && divides(group / v[MDIMAD], v[WGD]) && divides(group / v[NDIMBD], v[WGD]);
}

static int group_direct(const int *v) { return v[MDIMCD] * v[NDIMCD]; }
static int local_direct(const int *v) { return v[WGD] * (2 * v[WGD] + v[PADA] + v[PADB]); }

const clblast_kernel clblast_kernels[CLBLAST_KERNELS] = {
    {.name = "Xgemm",
     .size = 1024,
     .count = 16,
     .parameters = {{"GEMMK", {0}, 1},
                    {"KREG", {1}, 1},
                    {"KWG", {16, 32}, 2},
                    {"KWI", {2, 8}, 2},
                    {"MDIMA", {4, 8, 16, 32}, 4},
                    {"MDIMC", {4, 8, 16, 32}, 4},
                    {"MWG", {16, 32, 64, 128}, 4},
                    {"NDIMB", {4, 8, 16, 32}, 4},
                    {"NDIMC", {4, 8, 16, 32}, 4},
                    {"NWG", {16, 32, 64, 128}, 4},
                    {"SA", {0, 1}, 2},
                    {"SB", {0, 1}, 2},
                    {"STRM", {0, 1}, 2},
                    {"STRN", {0, 1}, 2},
                    {"VWM", {1, 2, 4, 8}, 4},
                    {"VWN", {1, 2, 4, 8}, 4}},
     .fits = fits_xgemm,
     .group = group_xgemm,
     .local_elements = local_xgemm},
    {.name = "XgemmDirect",
     .size = 256,
     .count = 10,
     .parameters = {{"KWID", {2, 8, 16}, 3},
                    {"MDIMAD", {8, 16, 32}, 3},
                    {"MDIMCD", {8, 16, 32}, 3},
                    {"NDIMBD", {8, 16, 32}, 3},
                    {"NDIMCD", {8, 16, 32}, 3},
                    {"PADA", {0, 1}, 2},
                    {"PADB", {0, 1}, 2},
                    {"VWMD", {1, 2, 4, 8}, 4},
                    {"VWND", {1, 2, 4, 8}, 4},
                    {"WGD", {8, 16, 32, 64}, 4}},
     .fits = fits_direct,
     .group = group_direct,
     .local_elements = local_direct},
};

bool clblast_setting_is_legal(const backend_device *device, const clblast_setting *setting)
{
    const clblast_kernel *kernel = &clblast_kernels[setting->kernel];
    for (int p = 0; p < kernel->count; p++) {
        bool known = false;
        for (int i = 0; i < kernel->parameters[p].count; i++)
            known |= setting->value[p] == kernel->parameters[p].values[i];
        if (!known)
            return false;
    }
    int64_t bytes = kernel->local_elements(setting->value) * (int64_t)clg_dtype_size(setting->dtype);
    return kernel->fits(setting->value) && (size_t)kernel->group(setting->value) <= device->target.group_limit &&
           bytes <= device->target.local_memory;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool clblast_setting_draw(const backend_device *device, clblast_setting *setting, uint64_t *state)
{
    const clblast_kernel *kernel = &clblast_kernels[setting->kernel];
    for (int draw = 0; draw < 1000000; draw++) { /* about one in 100 is legal */
        for (int p = 0; p < kernel->count; p++)
            setting->value[p] =
                kernel->parameters[p].values[next_random(state) % (uint64_t)kernel->parameters[p].count];
        if (clblast_setting_is_legal(device, setting))
            return true;
    }
    return false;
}

void clblast_setting_format(const clblast_setting *setting, char out[CLBLAST_MAX_TEXT])
{
    const clblast_kernel *kernel = &clblast_kernels[setting->kernel];
    size_t used = 0;
    out[0] = '\0';
    for (int p = 0; p < kernel->count && used < CLBLAST_MAX_TEXT; p++)
        used += (size_t)snprintf(out + used, CLBLAST_MAX_TEXT - used, "%s%s=%d", p ? " " : "",
                                 kernel->parameters[p].name, setting->value[p]);
}

bool clblast_setting_parse(clblast_setting *setting, const char *line)
{
    const clblast_kernel *kernel = &clblast_kernels[setting->kernel];
    for (int p = 0; p < kernel->count; p++) {
        char name[16];
        int length = 0;
        if (sscanf(line, " %15[A-Z]=%5d%n", name, &setting->value[p], &length) != 2 ||
            strcmp(name, kernel->parameters[p].name) != 0)
            return false;
        line += length;
    }
    return *line == '\0';
}

clblast_parameters clblast_setting_parameters(const clblast_setting *setting)
{
    const clblast_kernel *kernel = &clblast_kernels[setting->kernel];
    clblast_parameters result = {.kernel = kernel->name, .dtype = setting->dtype, .count = kernel->count};
    for (int p = 0; p < kernel->count; p++) {
        result.names[p] = kernel->parameters[p].name;
        result.values[p] = (size_t)setting->value[p];
    }
    return result;
}
