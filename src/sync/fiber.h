/* SPDX-License-Identifier: MIT */
/*
 * sync/fiber.h - where a task sleeps that holds no thread.
 *
 * Whoever sleeps does so at a parker (sync/park.h). That of a fiber is no mutex: to park is
 * to leave the stack (executors/fibers_turn.c), and to unpark is to hand it to its thread.
 */
#ifndef VOWI_SYNC_FIBER_H
#define VOWI_SYNC_FIBER_H

#include <vow/executor.h>

#include "base/thread.h"
#include "sync/stack.h"

struct vowi_fibers;

/* In its stack. What a switch touches is together, at the end. */
struct vowi_fiber {
    struct vowi_parker parker;
    bool sleeps;     /* it is in neither of the lists below, and neither does it run */
    bool woken;      /* since it last went to sleep */
    bool timed;      /* timer is armed */
    vow_timer timer; /* ends its sleep */
    struct vowi_fiber *next_woken; /* guarded by the lock of its executor */

    _Alignas(VOWI_CACHE_LINE) struct vowi_fibers *of;
    vow_executor *on;        /* the same, as its tasks know it */
    struct vowi_fiber *next; /* of those that are ready, or of those that do nothing */
    _Alignas(16) char kept[VOWI_OF_STACK_SIZE]; /* while it does not run; base/thread.h */
    struct vowi_stack stack;
};

/* Sleeps until it is woken or until a time on the monotonic clock. Returns whether it was
 * woken, once for each time. By the fiber itself. */
bool vowi_fiber_sleep(struct vowi_fiber *f, vow_ns deadline);

/* Once for each sleep, which may not have begun; from any thread. */
void vowi_fiber_wake(struct vowi_fiber *f);

/* Where what runs here sleeps. Under another executor, a loop that a task runs, say, that
 * is the thread: it is in the middle of that. */
static inline struct vowi_parker *
vowi_parker_here(struct vowi_thread *t)
{
    if (vowi_likely(t->fiber == NULL) || t->executor != t->fiber->on)
        return &t->parker;
    return &t->fiber->parker;
}

/* Who runs here, to be told from others: a fiber, or the thread. */
static inline const void *
vowi_runner_here(const struct vowi_thread *t)
{
    if (vowi_likely(t->fiber == NULL))
        return t;
    return t->fiber;
}

#endif
