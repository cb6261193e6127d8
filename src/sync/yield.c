/* SPDX-License-Identifier: MIT */
/* sync/yield.c - giving the CPU to others, and when not to. */
#include "sync/yield.h"

#include <sched.h>

#include "base/time.h"

enum {
    CROWDED = 8,       /* yields left out after a late one, at least */
    CROWDED_MAX = 1024 /* and at most */
};

/* Each that is soon after the last such one keeps from it for longer. */
void
vowi_yield_was_late(struct vowi_thread *t)
{
    unsigned next = 2 * t->crowd > CROWDED ? 2 * t->crowd : CROWDED;

    t->crowd = next < CROWDED_MAX ? next : CROWDED_MAX;
    t->crowded = t->crowd;
}

void
vowi_yield_lasted(struct vowi_thread *t, vow_ns ns)
{
    if (ns > VOWI_YIELD_TOO_LATE)
        vowi_yield_was_late(t);
    else
        vowi_yield_was_calm(t);
}

void
vowi_yield(struct vowi_thread *t)
{
    vow_ns start;

    if (vowi_yield_is_crowded(t))
        return;
    start = vowi_monotonic_now();
    sched_yield();
    vowi_yield_lasted(t, vowi_monotonic_now() - start);
}
