/* SPDX-License-Identifier: MIT */
/*
 * sync/doze.h - a sleep for some time that somebody who is awake ends.
 *
 * To set the kernel's timer, and to be interrupted by it, costs five times what a wake
 * costs, at least in a virtual machine, which each of the two leaves. So who dozes says
 * until when, and workers look between two tasks whether it is time, and wake it. The timer
 * is for the case that none looks, and may be much later: one that is due after the next
 * tick of the kernel and is taken back before is never set. They look after one thread
 * at a time; others doze by the timer.
 *
 * Edge:
 *     [doze]  what was done before a thread dozes, to whoever wakes it
 */
#ifndef VOWI_SYNC_DOZE_H
#define VOWI_SYNC_DOZE_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/thread.h"

/* Sleeps until somebody who looks finds that a time on the monotonic clock has come, or
 * until the latest time. Returns whether somebody has ended it. */
bool vowi_doze(vow_ns until, vow_ns latest);

/* Wakes whoever dozes: if its time has come, or in any case. */
void vowi_doze_end_if_due(vow_ns until);
void vowi_doze_end(void);

/* relaxed: a hint; who dozes is woken by the timer at the latest */
static inline vow_ns
vowi_doze_until(void)
{
    return vowi_load_relaxed(&vowi_globals.doze_until);
}

/* Between two tasks. */
static inline void
vowi_doze_look(void)
{
    vow_ns until = vowi_doze_until();

    if (vowi_unlikely(until != 0))
        vowi_doze_end_if_due(until);
}

#endif
