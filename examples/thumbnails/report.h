/* SPDX-License-Identifier: MIT */
/* What the user is told: failures, progress, the summary. */
#ifndef THUMBNAILS_REPORT_H
#define THUMBNAILS_REPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { REASONS_MAX = 24 };

struct report {
    bool quiet;    /* no progress */
    bool silent;   /* no failures either: they have been told of */
    bool terminal; /* progress is a bar that is drawn again and again */

    pthread_mutex_t lock; /* guards what follows, and stderr */
    double began;
    double seconds; /* that it took; 0 until it has ended */
    double shown;   /* when progress was last printed */
    bool bar;       /* the cursor is behind a bar */
    unsigned long made;
    unsigned long failed;
    struct {
        int code;
        unsigned long count;
    } reasons[REASONS_MAX]; /* the last one stands for all others too */
    unsigned reason_count;
};

/* Begins to count, and to measure the time. */
void report_begin(struct report *r, bool quiet, bool silent);

/* Counts a picture. code: 0, or why it has no thumbnail, which text says. Any thread. */
void report_outcome(struct report *r, int code, const char *text);

/* Prints how far it is, of so many thumbnails, if it is time to. */
void report_progress(struct report *r, unsigned long expected);

/* Returns how long to wait between two calls of report_progress. */
int64_t report_interval_ms(const struct report *r);

/* Stops the time and, unless it is quiet, prints the summary. over: nothing was left. */
void report_end(struct report *r, unsigned long files, bool over);

/* Prints what happened to a path: "path: what", with nothing in it that upsets terminals. */
void report_line(const char *text);

#endif
