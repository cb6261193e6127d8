/* SPDX-License-Identifier: MIT */
/*
 * resilience/bucket.h - a token bucket: tokens come at a steady rate, up to a depth.
 *
 * Nothing ticks: what has come since the last look is reckoned at the next. The count
 * may be below zero, when tokens were taken in advance: a reservation, which says how
 * long to wait until it is paid for. It locks nothing: its owner says what guards it.
 */
#ifndef VOWI_RESILIENCE_BUCKET_H
#define VOWI_RESILIENCE_BUCKET_H

#include <stdbool.h>

#include <vow/base.h>

struct vowi_bucket {
    double per_ns; /* tokens that come; 0: none do */
    double depth;  /* tokens that it holds */
    double left;   /* tokens at `at`; below 0 if some are owed */
    vow_ns at;
};

void vowi_bucket_init(struct vowi_bucket *b, double per_second, double depth, vow_ns now);

/* Lets tokens come up to a time. A time before an earlier one changes nothing. */
void vowi_bucket_move(struct vowi_bucket *b, vow_ns now);

/* Adds tokens, at most up to the depth. */
void vowi_bucket_add(struct vowi_bucket *b, double tokens);

/* Takes tokens if they are there. */
bool vowi_bucket_take(struct vowi_bucket *b, double tokens);

/* How long until so many are there, if nobody takes any; VOW_FOREVER: never. */
vow_ns vowi_bucket_wait(const struct vowi_bucket *b, double tokens);

#endif
