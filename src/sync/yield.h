/* SPDX-License-Identifier: MIT */
/*
 * sync/yield.h - giving the CPU to others, and when not to.
 *
 * A yield that comes back late says that others than those run here. Then this thread
 * does without for a while, and for longer if that happens again soon.
 */
#ifndef VOWI_SYNC_YIELD_H
#define VOWI_SYNC_YIELD_H

#include "base/thread.h"

/* ns after which a yield was somebody else's turn, even if it had what it was for. */
#define VOWI_YIELD_TOO_LATE 100000

/* A yield was late. */
void vowi_yield_was_late(struct vowi_thread *t);

/* Some time has gone by without a late one. */
static inline void
vowi_yield_was_calm(struct vowi_thread *t)
{
    if (t->crowded == 0 && t->crowd > 0)
        t->crowd--;
}

/* Whether this thread had better not yield. To ask brings the end of that nearer. */
static inline bool
vowi_yield_is_crowded(struct vowi_thread *t)
{
    bool crowded = t->crowded > 0;

    if (crowded)
        t->crowded--;
    return crowded;
}

/* A yield lasted so long. */
void vowi_yield_lasted(struct vowi_thread *t, vow_ns ns);

/* Yields, unless that was too late a short time ago. */
void vowi_yield(struct vowi_thread *t);

#endif
