/* SPDX-License-Identifier: MIT */
/*
 * base/fork.c - what fork does to the library.
 *
 * Before it, the thread that forks takes all global locks, and those of objects that live
 * long (sync/kept.c); so nobody else is in the middle of what they guard, and afterwards
 * both processes let go of them. The child then takes
 * the nodes of threads that sleep no more off the states they hung on, and marks the
 * executors (core/fork.c).
 *
 * Other locks may be held for ever in the child: those of executors, whose operations are
 * replaced until they are revived; lock bits of states, which whoever waits for one takes
 * over after a while (sync/spin.c); those of one call, which is the parent's.
 *
 * The handlers are tied to the object that they are linked into, and go with it should
 * that be unloaded (the library itself never is: -z nodelete).
 */
#include "base/fork.h"

#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"

/* relaxed: under the lock under which it was set */
static void
kept_at_fork(bool before)
{
    void (*kept)(bool) = vowi_load_relaxed(&vowi_globals.kept_at_fork);

    if (kept != NULL)
        kept(before);
}

/* In the order in which they are taken elsewhere: an object's may be held where a global
 * one is taken, that of the timers where an object's is. */
static void
before_fork(void)
{
    vowi_global_lock(VOWI_GLOBAL_KEPT);
    vowi_timer_thread_before_fork();
    kept_at_fork(true);
    for (int i = VOWI_GLOBAL_KEPT + 1; i < VOWI_GLOBAL_LOCKS; i++)
        pthread_mutex_lock(&vowi_globals.locks[i]);
}

static void
let_go(bool in_child)
{
    for (int i = VOWI_GLOBAL_LOCKS - 1; i > VOWI_GLOBAL_KEPT; i--)
        pthread_mutex_unlock(&vowi_globals.locks[i]);
    kept_at_fork(false);
    vowi_timer_thread_after_fork(in_child);
    vowi_global_unlock(VOWI_GLOBAL_KEPT);
}

static void
in_parent(void)
{
    let_go(false);
}

/* The threads that are listed are this one, or none: their memory is used again. */
static void
forget_threads(void)
{
    struct vowi_thread *t = vowi_self();

    vowi_globals.threads = t->registered ? t : NULL;
    t->next = NULL;
    t->prev = NULL;
}

/* While there is one thread; relaxed for that reason. */
static void
in_child(void)
{
    void (*core)(void) = vowi_load_relaxed(&vowi_globals.in_child);

    let_go(true);
    vowi_globals.forks++;
    vowi_store_relaxed(&vowi_globals.doze_until, 0); /* whoever it was is not here */
    vowi_store_relaxed(&vowi_globals.dozer, NULL);
    vowi_self()->parker.ready =
        false; /* whoever woke it last may not have let go of it */
    if (core != NULL)
        core();
    forget_threads();
}

bool
vowi_fork_watch(void)
{
    static bool watched; /* guarded by VOWI_GLOBAL_EXECUTORS */
    bool now;

    vowi_global_lock(VOWI_GLOBAL_EXECUTORS);
    if (!watched)
        watched = vowi_sys_atfork(before_fork, in_parent, in_child) == 0;
    now = watched;
    vowi_global_unlock(VOWI_GLOBAL_EXECUTORS);
    return now;
}
