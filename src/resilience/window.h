/* SPDX-License-Identifier: MIT */
/*
 * resilience/window.h - how the last calls ended: the last so many, or those of the
 * last so long.
 *
 * The sums are kept up to date, so that asking costs nothing. By count, a ring holds
 * two bits a call. By time, ten buckets hold sums of a tenth each, and the oldest goes
 * when a new one begins; so a call counts for between nine tenths of the time and all
 * of it. It locks nothing: its owner says what guards it.
 */
#ifndef VOWI_RESILIENCE_WINDOW_H
#define VOWI_RESILIENCE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <vow/base.h>

#define VOWI_WINDOW_BUCKETS 10

struct vowi_sums {
    uint64_t calls, failures, slow;
};

struct vowi_window {
    struct vowi_sums sums;

    /* By count: ring is not NULL. */
    unsigned char *ring;
    unsigned capacity, next;

    /* By time. The newest bucket is number % VOWI_WINDOW_BUCKETS. */
    vow_ns tenth;
    int64_t number;
    struct vowi_sums buckets[VOWI_WINDOW_BUCKETS];
};

/* By time if `time` is above 0, else by count. Returns false without memory. */
bool vowi_window_init(struct vowi_window *w, unsigned calls, vow_ns time);
void vowi_window_fini(struct vowi_window *w);

void vowi_window_clear(struct vowi_window *w);

/* Lets go of what is too old. A time before an earlier one changes nothing. */
void vowi_window_move(struct vowi_window *w, vow_ns now);

void vowi_window_add(struct vowi_window *w, vow_ns now, bool failed, bool slow);

#endif
