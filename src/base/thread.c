/* SPDX-License-Identifier: MIT */
/* base/thread.c - the one thread-local, the one global, and a thread's end. */
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/fork.h"
#include "base/mem.h"

_Thread_local struct vowi_thread vowi_thread_self;

const vow_task vowi_stolen_mixed;

#ifdef VOW_COUNT_RMW
_Thread_local unsigned long vowi_rmw_count;
#endif

struct vowi_globals vowi_globals = {
    .key_once = PTHREAD_ONCE_INIT,
    .locks = {
        [VOWI_GLOBAL_KEPT] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_DEFAULT_POOL] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_WAITS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_REMOVALS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_RUNNING] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_CALLBACKS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_EXECUTORS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_UNHANDLED] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_WARNINGS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_THREADS] = PTHREAD_MUTEX_INITIALIZER,
        [VOWI_GLOBAL_DEPOT] = PTHREAD_MUTEX_INITIALIZER,
    }};

/* Until nothing is left: what that destroys may attach a step to another executor.
 * relaxed: set once, before the first hold, by the thread that takes it. */
static void
release_credit(struct vowi_thread *t)
{
    while (t->credit_of != NULL)
        vowi_load_relaxed (&vowi_globals.release_credit)(t);
}

static void
list_thread(struct vowi_thread *t)
{
    vowi_global_lock(VOWI_GLOBAL_THREADS);
    t->prev = NULL;
    t->next = vowi_globals.threads;
    if (t->next != NULL)
        t->next->prev = t;
    vowi_globals.threads = t;
    vowi_global_unlock(VOWI_GLOBAL_THREADS);
}

static void
unlist_thread(struct vowi_thread *t)
{
    vowi_global_lock(VOWI_GLOBAL_THREADS);
    if (t->next != NULL)
        t->next->prev = t->prev;
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        vowi_globals.threads = t->next;
    vowi_global_unlock(VOWI_GLOBAL_THREADS);
}

static void
thread_exits(void *thread)
{
    struct vowi_thread *t = thread;

    unlist_thread(t);
    t->registered = false; /* a destructor after ours may use the library again */
    release_credit(t);
    vowi_cache_flush(t);
    if (t->parker.ready) {
        pthread_cond_destroy(&t->parker.cond);
        pthread_mutex_destroy(&t->parker.mutex);
        t->parker.ready = false;
    }
}

static void
make_key(void)
{
    vowi_globals.has_key = pthread_key_create(&vowi_globals.key, thread_exits) == 0;
    (void)vowi_fork_watch(); /* who makes an executor tries again */
}

bool
vowi_thread_register(struct vowi_thread *t)
{
    if (t->registered)
        return true;
    pthread_once(&vowi_globals.key_once, make_key);
    if (vowi_globals.has_key)
        t->registered = pthread_setspecific(vowi_globals.key, t) == 0;
    if (t->registered)
        list_thread(t);
    return t->registered;
}

void
vowi_thread_idle(struct vowi_thread *t)
{
    release_credit(t);
}

/* relaxed: set before there was an executor. */
void
vowi_thread_unload(struct vowi_thread *t)
{
    void (*drain)(struct vowi_thread *) = vowi_load_relaxed(&vowi_globals.drain);

    do {
        release_credit(t);
        if (drain != NULL)
            drain(t);
    } while (t->credit_of != NULL);
}

_Noreturn void
vowi_fatal(const char *message)
{
    fprintf(stderr, "vow: fatal: %s\n", message);
    abort();
}
