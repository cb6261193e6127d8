/* SPDX-License-Identifier: MIT */
/* What the user is told: failures, progress, the summary. */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reason.h"

enum { BAR_WIDTH = 32 };

static const double redraw_seconds = 0.1; /* on a terminal */
static const double repeat_seconds = 1;   /* elsewhere */

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
report_begin(struct report *r, bool quiet, bool silent)
{
    *r = (struct report){.quiet = quiet || silent,
                         .silent = silent,
                         .terminal = isatty(STDERR_FILENO),
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .began = now()};
}

/* Whether a byte moves a cursor or does worse; before is the one before it. */
static bool
is_control(unsigned char before, unsigned char c)
{
    bool second = before == 0xc2 && c >= 0x80 && c < 0xa0; /* UTF-8 of U+0080 to U+009F */

    return c < 0x20 || c == 0x7f || second;
}

void
report_line(const char *text)
{
    unsigned char before = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        putc(is_control(before, c) ? '?' : c, stderr);
        before = c;
    }
    putc('\n', stderr);
}

static void
clear_bar_locked(struct report *r)
{
    if (r->bar)
        fputs("\r\033[K", stderr);
    r->bar = false;
}

static void
count_reason_locked(struct report *r, int code)
{
    unsigned i = 0;

    while (i < r->reason_count && r->reasons[i].code != code)
        i++;
    if (i == REASONS_MAX)
        i--;
    if (i == r->reason_count)
        r->reasons[r->reason_count++].code = code;
    r->reasons[i].count++;
}

void
report_outcome(struct report *r, int code, const char *text)
{
    pthread_mutex_lock(&r->lock);
    if (code == 0) {
        r->made++;
    } else {
        r->failed++;
        count_reason_locked(r, code);
        if (!r->silent) {
            clear_bar_locked(r);
            report_line(text);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

static void
draw_bar(unsigned long done, unsigned long expected)
{
    unsigned long full = expected == 0 ? 0 : BAR_WIDTH * done / expected;

    putc('[', stderr);
    for (unsigned long i = 0; i < BAR_WIDTH; i++)
        putc(i < full ? '#' : '.', stderr);
    fputs("] ", stderr);
}

static void
print_progress_locked(struct report *r, unsigned long expected)
{
    unsigned long done = r->made + r->failed;
    double seconds = r->shown - r->began;
    double rate = seconds > 0 ? (double)done / seconds : 0;

    clear_bar_locked(r);
    if (r->terminal)
        draw_bar(done, expected);
    fprintf(stderr, "%lu of %lu pictures, %.1f a second", done, expected, rate);
    if (r->failed > 0)
        fprintf(stderr, ", %lu failed", r->failed);
    if (r->terminal)
        r->bar = true;
    else
        putc('\n', stderr);
    fflush(stderr);
}

void
report_progress(struct report *r, unsigned long expected)
{
    double interval = r->terminal ? redraw_seconds : repeat_seconds;
    double time = now();

    if (r->quiet)
        return;
    pthread_mutex_lock(&r->lock);
    if (time - r->shown >= interval) {
        r->shown = time;
        print_progress_locked(r, expected);
    }
    pthread_mutex_unlock(&r->lock);
}

int64_t
report_interval_ms(const struct report *r)
{
    return (int64_t)((r->terminal ? redraw_seconds : repeat_seconds) * 1000);
}

/* Returns the most memory that this process ever used, in MB; 0 if nobody says. */
static double
peak_memory(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];
    long kilobytes = 0;

    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kilobytes = strtol(line + 6, NULL, 10);
    fclose(status);
    return (double)kilobytes / 1024;
}

static const char *
reason_text(int code, char *room, size_t size)
{
    switch (code) {
    case EMPTY_FILE:
        return "empty file";
    case NOT_A_FILE:
        return "not a regular file";
    case NOT_A_PICTURE:
        return "not a picture";
    case DAMAGED:
        return "damaged";
    case TOO_LARGE:
        return "too large";
    case VOW_E_NOMEM:
        return strerror_r(ENOMEM, room, size);
    default:
        return strerror_r(code, room, size);
    }
}

static void
print_failures(const struct report *r)
{
    char room[128];

    if (r->failed > 0)
        printf("%lu failed:\n", r->failed);
    for (unsigned i = 0; i < r->reason_count; i++)
        printf("%7lu %s%s\n", r->reasons[i].count,
               reason_text(r->reasons[i].code, room, sizeof room),
               i == REASONS_MAX - 1 ? ", or something else" : "");
}

void
report_end(struct report *r, unsigned long files, bool over)
{
    pthread_mutex_lock(&r->lock);
    r->seconds = now() - r->began;
    clear_bar_locked(r);
    pthread_mutex_unlock(&r->lock);
    if (r->quiet)
        return;
    printf(
        "%s%lu thumbnails of %lu files in %.2f s, %.1f a second, peak memory %.1f MB\n",
        over ? "" : "stopped: ", r->made, files, r->seconds,
        (double)(r->made + r->failed) / r->seconds, peak_memory());
    print_failures(r);
    fflush(stdout);
}
