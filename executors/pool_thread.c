/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_thread.c - a worker's thread: started, named, ended, replaced.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/warn.h"
#include "pool_internal.h"

/* ---- starting --------------------------------------------------------------------------- */

static void *worker_main(void *worker);

static int
start_thread(struct vowi_worker *w)
{
    return vowi_sys_thread_create(&w->thread, w->pool->stack_size, worker_main, w);
}

void
vowi_worker_free(struct vowi_worker *w)
{
    if (w == NULL)
        return;
    vowi_deque_fini(&w->deque);
    vowi_free_aligned(w, sizeof *w);
}

static struct vowi_worker *
worker_new(struct vowi_pool *p, bool spare)
{
    struct vowi_worker *w = vowi_alloc_aligned(sizeof *w, VOWI_CACHE_LINE);

    if (w == NULL)
        return NULL;
    memset(w, 0, sizeof *w);
    w->pool = p;
    w->spare = spare;
    if (vowi_deque_init(&w->deque))
        return w;
    vowi_worker_free(w);
    return NULL;
}

/* The caller counted it as live and awake. */
static int
start_counted(struct vowi_pool *p, struct vowi_worker *w)
{
    unsigned count = vowi_load_relaxed(&p->count); /* relaxed: written under the lock */
    int rc = EAGAIN;

    if (w != NULL && count < p->slots) {
        w->index = count;
        w->random = count * 2654435761u + 1;
        p->workers[count] = w;
        rc = start_thread(w);
    }
    if (rc == 0)
        vowi_store_release(&p->count, count + 1); /* [workers] */
    return rc;
}

int
vowi_pool_start_worker(struct vowi_pool *p, bool spare)
{
    struct vowi_worker *w = worker_new(p, spare); /* not under the lock: hooks */
    int rc;

    vowi_lock_acquire(&p->lock);
    rc = start_counted(p, w);
    if (rc != 0) {
        p->live--;
        p->awake--;
    }
    vowi_lock_release(&p->lock);
    if (rc != 0 && w == NULL)
        rc = ENOMEM;
    if (rc != 0)
        vowi_worker_free(w);
    return rc;
}

/* ---- the thread ------------------------------------------------------------------------- */

/* What runs in here, a step on the close future, can wait for all but this thread. */
static void
finish(struct vowi_pool *p)
{
    struct vowi_thread *t = vowi_self();

    t->ending = &p->executor;
    vow_executor_finished(&p->executor);
    t->ending = NULL;
}

/*
 * This thread is on its way out. Each joins the one before it, so that only the last
 * remains to be joined; and that one touches the pool no more.
 */
static void
exit_pool(struct vowi_pool *p, bool lost)
{
    pthread_t before;
    bool has_before, last;

    vowi_lock_acquire(&p->lock);
    has_before = p->has_exited;
    before = p->exited;
    p->has_exited = true;
    p->exited = pthread_self();
    p->live--;
    if (lost)
        p->lost--;
    last = p->live == 0;
    vowi_lock_release(&p->lock);
    if (has_before)
        vowi_sys_join(before);
    if (last)
        finish(p);
}

/* No thread can be had in the place of one that ended. Without any, what is queued
 * ends here, and nothing more is taken. Several may be here at once: the last of them
 * sees that there are no others. */
static void
lose_worker(struct vowi_pool *p, int why)
{
    bool last;

    vowi_lock_acquire(&p->lock);
    p->awake--;
    p->lost++;
    last = p->live == p->lost;
    p->closing = p->closing || last;
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    vowi_warn(why, "a thread of pool %s ended in a task and could not be replaced",
              p->name);
    if (last) {
        /* relaxed: as pool_close */
        vowi_or_relaxed(&p->inbox, VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED);
        vowi_bound_turn_away(p);
        vowi_pool_cancel_queued(p);
    }
    exit_pool(p, true);
}

/*
 * Runs what the user has for a thread that ends. It is a worker no more, so that the pool
 * refuses what is posted here once it has ended; but its executor is still the pool, which
 * keeps it from waiting for room and lets no wait begin (vowi_pool_block_begin). That may
 * end the thread, unless a task has.
 */
static void
stop(struct vowi_worker *w)
{
    struct vowi_pool *p = w->pool;

    vowi_self()->worker = NULL;
    vowi_self()->stolen = NULL;
    if (p->on_stop != NULL)
        p->on_stop(w->index, p->hook_ctx);
}

/* After it. */
static void
leave(void *worker)
{
    const struct vowi_worker *w = worker;

    vow_executor_enter(NULL);
    exit_pool(w->pool, false);
}

/* pthread_exit in a task: another thread carries on with this worker's queue. */
static void
thread_exits(void *worker)
{
    struct vowi_worker *w = worker;
    struct vowi_pool *p = w->pool;
    int rc;

    /* relaxed: compared only */
    if (vowi_load_relaxed(&w->stolen) == &vowi_pool_left_behind)
        return;
    vowi_assert(w->next == NULL);     /* without a thread nobody would run it */
    vow_executor_enter(&p->executor); /* the task may have been of one on top of it */
    stop(w);
    vow_executor_enter(NULL);
    vowi_lock_acquire(&p->lock);
    w->predecessor = pthread_self();
    w->has_predecessor = true;
    rc = start_thread(w);
    vowi_lock_release(&p->lock);
    if (rc != 0)
        lose_worker(p, rc);
}

static void
begin(struct vowi_worker *w)
{
    char name[32];

    snprintf(name, sizeof name, "%s/%u", w->pool->name, w->index % 10000);
    vowi_sys_thread_begins(name);
    vowi_cpus_apply(w->pool);
    if (w->has_predecessor)
        vowi_sys_join(w->predecessor);
    w->has_predecessor = false;
    vowi_self()->worker = w;
    vowi_self()->stolen = &w->stolen;
    vow_executor_enter(&w->pool->executor);
}

/* Whether a task has forked, and this is the child: the pool is not ours. */
static bool
is_left_behind(const struct vowi_worker *w)
{
    /* relaxed: compared only */
    return vowi_load_relaxed(&w->stolen) == &vowi_pool_left_behind;
}

static void *
worker_main(void *worker)
{
    struct vowi_worker *w = worker;
    struct vowi_pool *p = w->pool;
    vow_task *task;

    begin(w);
    pthread_cleanup_push(thread_exits, w);
    if (p->on_start != NULL)
        p->on_start(w->index, p->hook_ctx);
    while ((task = vowi_worker_next_task(p, w)) != NULL) {
        vowi_worker_run(p, w, task);
        if (is_left_behind(w))
            break;
    }
    pthread_cleanup_pop(0);
    if (is_left_behind(w))
        return NULL;
    pthread_cleanup_push(leave, w);
    stop(w);
    pthread_cleanup_pop(1);
    return NULL;
}
