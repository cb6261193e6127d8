/* SPDX-License-Identifier: MIT */
/*
 * core/deadlock.h - who sleeps for what.
 */
#ifndef VOWI_CORE_DEADLOCK_H
#define VOWI_CORE_DEADLOCK_H

#include "base/thread.h"
#include "core/state.h"

/* A thread that is about to sleep and that others may wait for. */
struct vowi_wait {
    struct vowi_wait *next, *prev;
    struct vow_state *awaited;
    const struct vowi_thread *thread;
    vow_executor *on;
    bool exhausted; /* its executor has no thread left that could run something */
    bool live;      /* something may yet end it */
};

/* Notes a wait; VOW_E_DEADLOCK, and it is not noted, if it provably cannot end. */
int vowi_wait_begin(struct vowi_wait *w);
void vowi_wait_end(struct vowi_wait *w);

/* Calls fn for each wait on a thread of an executor, under the lock. */
void vowi_waits_each(const vow_executor *on,
                     void (*fn)(const struct vowi_wait *w, void *ctx), void *ctx);

/* In a forked child nobody waits. */
void vowi_waits_in_child(void);

#endif
