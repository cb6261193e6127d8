/* SPDX-License-Identifier: MIT */
/*
 * resilience/breaker_internal.h - what the two files of the breaker share.
 *
 * breaker.c is the machine: it is told what happens and when, under the lock, and
 * calls nothing. breaker_face.c is what users see: it reads clocks and asks predicates
 * before it takes the lock, and tells listeners after it.
 */
#ifndef VOWI_RESILIENCE_BREAKER_INTERNAL_H
#define VOWI_RESILIENCE_BREAKER_INTERNAL_H

#include <vow/breaker.h>

#include "resilience/random.h"
#include "resilience/window.h"
#include "sync/kept.h"
#include "sync/lock.h"
#include "sync/refs.h"

/* Changes of state that a listener has not been told of; the last ones of more are
 * told as one. */
#define VOWI_BREAKER_CHANGES 16

struct vowi_probe {
    uint64_t id; /* 0: its place is free */
    vow_ns deadline;
};

struct vow_breaker {
    struct vowi_refs refs;
    vow_breaker_options options; /* with the defaults filled in; not written again */

    struct vowi_lock lock;
    struct vowi_kept at_fork;
    vow_breaker_metrics seen; /* guarded by lock, like all that follows */
    vow_breaker_state state;
    uint64_t epoch;
    struct vowi_window window;
    unsigned failures_in_row;

    vow_ns opened;    /* when */
    vow_ns open_time; /* for how long, this time */
    double grown;     /* that before jitter; 0: it has closed since it was open */
    struct vowi_random random;

    struct vowi_probe *probes; /* options.probes places */
    unsigned flying;           /* of them, taken */
    uint64_t last_probe;
    struct vowi_sums results; /* of the probes of this epoch */

    struct {
        vow_breaker_state from, to;
    } changes[VOWI_BREAKER_CHANGES]; /* not told yet, oldest first */
    unsigned untold;
    bool telling; /* the task below is on its way */
    vow_task tell;
};

/* Whether a call may go through now. */
bool vowi_breaker_admit_locked(vow_breaker *b, vow_ns now, vow_permit *permit);

/* How a call ended that took so long. */
void vowi_breaker_record_locked(vow_breaker *b, const vow_permit *permit, vow_ns now,
                                vow_outcome outcome);

void vowi_breaker_force_locked(vow_breaker *b, vow_ns now, vow_breaker_state state);

vow_ns vowi_breaker_remaining_locked(const vow_breaker *b, vow_ns now);

/* ---- breaker_face.c: for a policy, whose layers call each other without a task between -- */

/* The future of a call that was not let through. */
vow_future *vowi_breaker_refuse(vow_breaker *b, const void *site);

/* Reports how a call settles that was let through. Consumes its future; returns one that
 * settles likewise, NULL without memory. */
vow_future *vowi_breaker_watch(vow_breaker *b, const vow_permit *permit, vow_future *f);

#endif
