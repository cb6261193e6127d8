/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.c - mutexes that know their place in the order.
 *
 * Who finds one held sleeps. Where it is held for some hundred instructions that costs
 * more than it lasts, so who finds a brief one held looks again for a moment first, about
 * as often as it took lately (Karlin, Li, Manasse and Owicki, "Empirical Studies of
 * Competitive Spinning for a Shared-Memory Multiprocessor", SOSP 1991): glibc has a kind
 * of mutex that does, and musl's all do.
 */
#include "sync/lock.h"

#include "base/check.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"

#ifdef NDEBUG
#define push_rank(rank) ((void)(rank))
#define pop_rank(rank)  ((void)(rank))
#else
/* One bit for each rank held by this thread. */
static void
push_rank(enum vowi_rank rank)
{
    struct vowi_thread *t = vowi_self();

    if (t->ranks >> rank != 0)
        vowi_fatal("a lock is taken out of order");
    t->ranks |= 1u << rank;
}

static void
pop_rank(enum vowi_rank rank)
{
    vowi_self()->ranks &= ~(1u << rank);
}
#endif

int
vowi_lock_init(struct vowi_lock *l, enum vowi_rank rank)
{
    l->rank = rank;
    return vowi_sys_mutex_init(&l->mutex);
}

int
vowi_lock_init_brief(struct vowi_lock *l, enum vowi_rank rank)
{
    int rc = vowi_lock_init(l, rank);

#if defined(PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP) && !defined(VOWI_EXPLORE)
    if (rc == 0)
        l->mutex = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
#endif
    return rc;
}

void
vowi_lock_fini(struct vowi_lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

void
vowi_lock_acquire(struct vowi_lock *l)
{
    push_rank(l->rank);
    pthread_mutex_lock(&l->mutex);
}

void
vowi_lock_release(struct vowi_lock *l)
{
    enum vowi_rank rank = l->rank; /* first: whoever waits for the lock may free it */

    pthread_mutex_unlock(&l->mutex);
    pop_rank(rank);
}

void
vowi_locks_acquire(struct vowi_lock *const *locks, size_t n)
{
    if (n != 0)
        push_rank(locks[0]->rank);
    for (size_t i = 0; i < n; i++)
        pthread_mutex_lock(&locks[i]->mutex);
}

void
vowi_locks_release(struct vowi_lock *const *locks, size_t n)
{
    enum vowi_rank rank;

    if (n == 0)
        return;
    rank = locks[0]->rank; /* first: whoever waits for the locks may free them */
    for (size_t i = 0; i < n; i++)
        pthread_mutex_unlock(&locks[i]->mutex);
    pop_rank(rank);
}

void
vowi_lock_sleep(struct vowi_lock *l, pthread_cond_t *cond, vow_ns deadline)
{
    struct timespec until;

    if (deadline == VOW_FOREVER) {
        pthread_cond_wait(cond, &l->mutex);
        return;
    }
    until = vowi_timespec(deadline);
    pthread_cond_timedwait(cond, &l->mutex, &until);
}

bool
vowi_lock_inherit(struct vowi_lock *l)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    if (pthread_mutex_trylock(&l->mutex) == 0) {
        pthread_mutex_unlock(&l->mutex);
        return true;
    }
    l->mutex = fresh;
    return false;
}
