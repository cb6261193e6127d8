/* SPDX-License-Identifier: MIT */
/*
 * resilience/backoff.h - how long to pause before the next attempt.
 *
 * Reckoned in doubles, which neither overflow nor need to be exact: a pause is rounded
 * down to a nanosecond at its end.
 */
#ifndef VOWI_RESILIENCE_BACKOFF_H
#define VOWI_RESILIENCE_BACKOFF_H

#include <vow/retry.h>

#include "resilience/random.h"

struct vowi_backoff {
    vow_backoff growth;
    vow_jitter jitter;
    double base, most, factor;
    struct vowi_random random;
    double grown;    /* the next pause before jitter; 0: none yet */
    double previous; /* the last one of decorrelated jitter */
};

void vowi_backoff_init(struct vowi_backoff *b, vow_backoff growth, vow_jitter jitter,
                       vow_ns base, vow_ns most, double factor, uint64_t seed);

/* The next pause: 0 or more, at most `most`. */
vow_ns vowi_backoff_next(struct vowi_backoff *b);

#endif
