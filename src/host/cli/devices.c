/* clgrad devices: every OpenCL device of every platform, the CPU path, and which one `auto` takes. */
#include "cli.h"

#include <stdlib.h>

static error_t parse(int key, char *argument, struct argp_state *state)
{
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    cli_usage(state, "unexpected argument '%s'", argument);
}

static void print_device(const clg_device_info *info)
{
    printf("%c %-10s %-11s %s\n", info->is_auto ? '*' : ' ', info->spec, info->type, info->name);
    printf("  %-22s platform %s%s%s\n", "", info->platform, info->driver[0] ? ", driver " : "", info->driver);
    printf("  %-22s %u compute units, %.1f GiB memory (%.1f GiB in one allocation), f64: %s\n", "", info->compute_units,
           (double)info->global_memory / (1 << 30), (double)info->max_allocation / (1 << 30),
           info->has_f64 ? "yes" : "no");
}

int cli_devices(int argc, char **argv)
{
    static const struct argp parser = {
        NULL, parse, NULL, "List the devices. The one that --device auto takes is marked with *.", NULL, NULL, NULL};
    argp_parse(&parser, argc, argv, 0, NULL, NULL);
    clg_device_info *infos = NULL;
    size_t count = 0;
    if (clg_device_list(&infos, &count) != CLG_OK)
        return cli_library_error("devices");
    printf("  %-10s %-11s %s\n", "spec", "type", "device");
    for (size_t i = 0; i < count; i++)
        print_device(&infos[i]);
    free(infos);
    char *problems = clg_driver_problems();
    if (problems)
        printf("\nOpenCL drivers that cannot be loaded:\n%s", problems);
    free(problems);
    return EXIT_SUCCESS;
}
