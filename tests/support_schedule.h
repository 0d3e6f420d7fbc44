/* What the schedule of a program says. */
#ifndef SUPPORT_SCHEDULE_H
#define SUPPORT_SCHEDULE_H

#include "support.h"

/* The text of the schedule of a program of some outputs, freed with free(), and its number of steps. */
char *schedule_text(const clg_var *outputs, int count, int *steps);
/* Fails the test, with the schedule, if there are more steps than that, or loops that only load and store. */
void schedule_expect(const clg_var *outputs, int count, int most, const char *what);
#endif
