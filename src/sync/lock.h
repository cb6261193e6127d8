/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.h - mutexes with a rank.
 *
 * A thread takes a lock only of higher rank than every lock it holds; debug builds
 * check it. No code of a user's runs under one.
 */
#ifndef VOWI_SYNC_LOCK_H
#define VOWI_SYNC_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <vow/base.h>

enum vowi_rank {
    VOWI_RANK_JOIN = 1, /* executors/pool.c: joining the last thread */
    VOWI_RANK_POOL,     /* executors/pool.c: threads, and their coming and going */
    VOWI_RANK_FIBERS,   /* executors/fibers.c: tasks, and fibers woken elsewhere */
    VOWI_RANK_MANUAL,   /* executors/manual.c: its queue and timers */
    VOWI_RANK_SERIAL,   /* executors/serial.c: its list and who runs it */
    VOWI_RANK_TIMERS,   /* executors/delayed.c: the timer thread's wheel */
    VOWI_RANK_RUNNING,  /* core/timer.c: timers that run away from home */
    VOWI_RANK_LOOP,     /* executors/loop.c: timers, descriptors, its life */
    VOWI_RANK_INJECT,   /* executors/pool.c: the order of what came from outside */
    VOWI_RANK_LEVELS,   /* executors/pool_levels.c: tasks by priority */
    VOWI_RANK_BREAKER,  /* resilience/breaker.c: one breaker */
    VOWI_RANK_BUDGET,   /* resilience/budget.c: one budget */
    VOWI_RANK_RETRY,    /* resilience/retry.c: one call */
    VOWI_RANK_HEDGE,    /* resilience/hedge.c: one call */
    VOWI_RANK_LATENCY,  /* resilience/latency.c: one record */
    VOWI_RANK_CACHE,    /* resilience/cache.c: one cache */
    VOWI_RANK_LIMIT,    /* resilience/bulkhead.c, rate.c: one limiter */
    VOWI_RANK_CHANNEL,  /* combine/channel.c: one channel, or several in their order */
    VOWI_RANK_MAP,      /* combine/map.c: one map */
    VOWI_RANK_GROUP,    /* combine/group.c: one group */
    VOWI_RANK_FOLD,     /* combine/fold.c: values that wait for their neighbours */
    VOWI_RANK_REMOVALS, /* core/registration.c: who waits for a callback to return */
};

struct vowi_lock {
    pthread_mutex_t mutex;
    enum vowi_rank rank;
};

#define VOWI_LOCK_INIT(r)                                                                \
    {                                                                                    \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (r)                                  \
    }

/* Returns 0 or an errno value. */
int vowi_lock_init(struct vowi_lock *l, enum vowi_rank rank);

/* The same, of one that is held for some hundred instructions, by threads that come back
 * for it at once: who finds it held looks again for a moment before it sleeps. */
int vowi_lock_init_brief(struct vowi_lock *l, enum vowi_rank rank);
void vowi_lock_fini(struct vowi_lock *l);
void vowi_lock_acquire(struct vowi_lock *l);
void vowi_lock_release(struct vowi_lock *l);

/*
 * Takes several locks of one rank: sorted by their addresses, each once. That order is what
 * keeps two threads with some of the same from waiting for each other.
 */
void vowi_locks_acquire(struct vowi_lock *const *locks, size_t n);
void vowi_locks_release(struct vowi_lock *const *locks, size_t n);

/*
 * Gives a lock up, sleeps until a condition variable is signalled or until a time on the
 * monotonic clock, and takes it again. May return before either.
 */
void vowi_lock_sleep(struct vowi_lock *l, pthread_cond_t *cond, vow_ns deadline);

/* In a forked child, while there is one thread: makes it free. Returns whether it was, so
 * that what it guards is as it should be. */
bool vowi_lock_inherit(struct vowi_lock *l);

#endif
