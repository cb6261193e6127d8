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
    struct vow_state *awaited; /* NULL: the end of a callback */
    const struct vowi_thread *thread;
    struct vowi_frame *frames; /* of the thread as it begins to wait */
    vow_executor *on;
    unsigned forks; /* how often had been forked when it was listed */
    bool ends;      /* by a deadline, or by what is not looked at here; or it goes on */
    bool exhausted; /* its executor has no thread left that could run something */
    bool overtaken; /* a wait on its executor has ended since it was listed */
    unsigned long live_in; /* the last look that found that something may yet end it */
};

/* On a thread of no executor. VOW_E_DEADLOCK, and it is not noted, if it provably cannot
 * end. */
int vowi_wait_begin(struct vowi_wait *w);

/* On a thread of an executor, before that counts the thread as one that waits. It is listed
 * as one that ends. */
void vowi_wait_list(struct vowi_wait *w);

/*
 * Then, unless it has a deadline or ends for sure: the executor has counted, and says
 * whether a thread is left. False, and it still is one that ends: it must not sleep, since
 * it provably cannot end, or since there is something on the trampoline now that is to run
 * first.
 */
bool vowi_wait_counted(struct vowi_wait *w, bool exhausted);

/* After its executor counts the thread as one that runs. */
void vowi_wait_end(struct vowi_wait *w);

/*
 * Lists it and has the executor count the thread as one that waits. Returns what block_begin
 * does; VOW_E_DEADLOCK, and it is not listed: the executor refuses.
 */
int vowi_wait_block(struct vowi_wait *w);

/* Has the executor count the thread as one that runs, and ends it. */
void vowi_wait_unblock(struct vowi_wait *w);

/* Calls fn for each wait on a thread of an executor, under the lock. */
void vowi_waits_each(const vow_executor *on,
                     void (*fn)(const struct vowi_wait *w, void *ctx), void *ctx);

/* In a forked child nobody waits. */
void vowi_waits_in_child(void);

#endif
