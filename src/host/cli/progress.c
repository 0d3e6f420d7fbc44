/* The progress line: drawn over itself with a carriage return, cut to the width of the terminal. The cursor stays
 * visible, so there is nothing to restore when the program is killed. */
#define _GNU_SOURCE
#include "progress.h"

#include "cli.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };

progress progress_new(void)
{
    const char *term = getenv("TERM");
    progress p = {.live = isatty(STDOUT_FILENO) && !(term && strcmp(term, "dumb") == 0)};
    /* Only character handling follows the locale: numbers keep their point. */
    p.utf8 = p.live && setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    return p;
}

void progress_start(progress *p)
{
    p->start = cli_now();
    p->drawn = 0;
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void format_time(char *text, size_t size, double seconds)
{
    long s = seconds < 360000 ? lround(seconds) : 359999;
    if (s < 3600)
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

/* The bar in eighths of a cell where the terminal can show them. */
static void format_bar(char *text, bool utf8, double share)
{
    static const char *const parts[] = {" ", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
    int eighths = (int)(share * BAR_CELLS * 8);
    *text = 0;
    for (int i = 0; i < BAR_CELLS; i++) {
        int fill = eighths - 8 * i;
        if (fill >= 8)
            strcat(text, utf8 ? "\u2588" : "#");
        else
            strcat(text, utf8 && fill > 0 ? parts[fill] : utf8 ? " " : ".");
    }
}

/* Whether it is time to draw again. */
static bool is_due(progress *p)
{
    double now = cli_now();
    bool due = p->live && now - p->drawn >= 0.1;
    if (due)
        p->drawn = now;
    return due;
}

/* detail: between the share done and the time left. */
static void draw(progress *p, const char *label, double share, const char *detail)
{
    double seconds = p->drawn - p->start;
    char bar[4 * BAR_CELLS + 1], left[32], head[192], tail[128];
    format_bar(bar, p->utf8, share);
    format_time(left, sizeof left, share > 0 ? seconds * (1 - share) / share : 0);
    int used = snprintf(head, 64, "%.60s ", label);
    used += snprintf(tail, sizeof tail, " %3.0f%%%.80s  ETA %s", floor(100 * share), detail, left);
    int room = terminal_width() - 1;
    /* A terminal too narrow for the bar does without; one too narrow for the text gets what fits. */
    if (used + BAR_CELLS + 2 <= room)
        printf("\r%s%s%s%s%s", head, p->utf8 ? "\u2595" : "[", bar, p->utf8 ? "\u258f" : "]", tail);
    else
        printf("\r%.*s", room, strcat(head, tail));
    printf("\033[K");
    fflush(stdout);
    p->shown = true;
}

void progress_update(progress *p, const char *label, int64_t done, int64_t total, double loss)
{
    if (!is_due(p))
        return;
    double seconds = p->drawn - p->start;
    char digits[32], detail[96];
    snprintf(detail, sizeof detail, "  loss %.4f  %s images/s", loss,
             cli_group_digits(digits, seconds > 0 ? (double)done / seconds : 0));
    draw(p, label, total > 0 ? (double)done / (double)total : 1, detail);
}

void progress_share(progress *p, const char *label, double share)
{
    if (is_due(p))
        draw(p, label, share, "");
}

void progress_clear(progress *p)
{
    if (p->shown)
        printf("\r\033[K");
    fflush(stdout);
    p->shown = false;
}
