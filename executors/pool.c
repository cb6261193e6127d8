/* SPDX-License-Identifier: MIT */
/*
 * executors/pool.c - a pool's life: made, given work, closed, destroyed.
 *
 * The protocol is in pool_internal.h, the worker's loop in pool_worker.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "pool_internal.h"

#define MAX_THREADS 1024
#define DEFAULT_SPARES 64

static struct vowi_pool *
pool_of(vow_executor *self)
{
    return vowi_container_of(self, struct vowi_pool, executor);
}

/* ---- threads ------------------------------------------------------------------------------ */

/* Signals are for the application's own threads; only faults stay where they are. */
static void
block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_SETMASK, &set, before);
}

int
vowi_worker_start_thread(struct vowi_worker *w)
{
    sigset_t before;
    int rc;

    block_signals(&before);
    rc = vowi_sys_thread_create(&w->thread, w->pool->stack_size, vowi_worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void
worker_free(struct vowi_worker *w)
{
    if (w == NULL)
        return;
    if (w->parker.ready) {
        pthread_cond_destroy(&w->parker.cond);
        pthread_mutex_destroy(&w->parker.mutex);
    }
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
    if (vowi_deque_init(&w->deque) && vowi_parker_init(&w->parker) == 0)
        return w;
    worker_free(w);
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
        rc = vowi_worker_start_thread(w);
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
        worker_free(w);
    return rc;
}

/* ---- posting ---------------------------------------------------------------------------------- */

/* Adds a chain to the inbox, `first` being the newest, unless one of the bits is set. */
static int
push_inbox(struct vowi_pool *p, vow_task *first, vow_task *last, uintptr_t unless)
{
    uintptr_t inbox = vowi_load_relaxed(&p->inbox); /* relaxed: the CAS orders it */

    do {
        if (inbox & unless)
            return VOW_E_CLOSED;
        last->next = (vow_task *)(inbox & VOWI_INBOX_TASKS);
        /* [item] to whoever empties it; [idle]: before the load in vowi_pool_wake */
    } while (!vowi_cas_seq_cst(&p->inbox, &inbox,
                               (uintptr_t)first | (inbox & ~VOWI_INBOX_TASKS)));
    return 0;
}

/* A pool that drains takes no new work, but steps of what it has taken. */
static uintptr_t
refusal(const vow_task *task)
{
    return task->flags & VOW_TASK_STEP ? VOWI_INBOX_ENDED
                                       : VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED;
}

/*
 * Nobody needs to be woken for one step that a worker posts when its task has
 * returned and its deque is empty: it is what the worker does next.
 */
static bool
is_next(const struct vowi_thread *t, struct vowi_worker *w)
{
    return t->returning && t->frames == NULL && t->fifo_head == NULL &&
           vowi_deque_count(&w->deque) <= 0;
}

static int
post_own(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    bool loud = !is_next(vowi_self(), w);

    if (vowi_load_relaxed(&p->cancelling)) /* relaxed: what slips in ends likewise */
        return VOW_E_CLOSED;
    if (!vowi_deque_push(&w->deque, task, loud)) {
        push_inbox(p, task, task, 0);
        loud = true;
    }
    if (loud)
        vowi_pool_wake(p);
    return 0;
}

static int
post(vow_executor *self, vow_task *task)
{
    struct vowi_pool *p = pool_of(self);
    struct vowi_worker *w = vowi_pool_worker(p);
    int rc;

    if (w != NULL)
        return post_own(p, w, task);
    rc = push_inbox(p, task, task, refusal(task));
    if (rc == 0)
        vowi_pool_wake(p);
    return rc;
}

/* The inbox wants the newest first. Returns the newest of a list. */
static vow_task *
reverse(vow_task *task)
{
    vow_task *reversed = NULL;

    while (task != NULL) {
        vow_task *next = task->next;

        task->next = reversed;
        reversed = task;
        task = next;
    }
    return reversed;
}

static int
post_many(vow_executor *self, vow_task *first, size_t n)
{
    struct vowi_pool *p = pool_of(self);
    vow_task *newest;
    int rc;

    (void)n;
    /* relaxed: what slips in ends likewise */
    if (vowi_pool_worker(p) != NULL && vowi_load_relaxed(&p->cancelling))
        return VOW_E_CLOSED;
    newest = reverse(first);
    rc = push_inbox(p, newest, first, vowi_pool_worker(p) != NULL ? 0 : refusal(first));
    if (rc != 0) {
        first->next = NULL;
        reverse(newest); /* as it was: the list is the caller's again */
        return rc;
    }
    vowi_pool_wake(p);
    return 0;
}

/* ---- closing ------------------------------------------------------------------------------------ */

static vow_task *
take_any(struct vowi_pool *p)
{
    unsigned count = vowi_load_acquire(&p->count); /* [workers] */
    vow_task *task = vowi_pool_take_injected(p, NULL);

    for (unsigned i = 0; task == NULL && i < count; i++)
        task = vowi_deque_steal(&p->workers[i]->deque);
    return task;
}

void
vowi_pool_cancel_queued(struct vowi_pool *p)
{
    vow_task *task;

    while ((task = take_any(p)) != NULL)
        task->run(task, VOW_E_CLOSED);
}

static void
pool_close(vow_executor *self, vow_close_mode mode)
{
    struct vowi_pool *p = pool_of(self);

    if (mode == VOW_CANCEL_QUEUED) {
        vowi_store_seq_cst(&p->cancelling, true);
        vowi_or_acq_rel(&p->inbox, VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED);
        vowi_pool_cancel_queued(p);
    } else {
        vowi_or_acq_rel(&p->inbox, VOWI_INBOX_CLOSED);
    }
    vowi_lock_acquire(&p->lock);
    p->closing = true;
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
}

/* The close future has settled, so that the last thread is on its way out. */
static void
join(vow_executor *self)
{
    struct vowi_pool *p = pool_of(self);

    vowi_lock_acquire(&p->join_lock);
    if (!p->joined)
        pthread_join(p->exited, NULL);
    p->joined = true;
    vowi_lock_release(&p->join_lock);
}

static void
pool_free(struct vowi_pool *p)
{
    unsigned count = vowi_load_relaxed(&p->count); /* relaxed: nobody else is left */

    for (unsigned i = 0; i < count; i++)
        worker_free(p->workers[i]);
    vowi_free_aligned(p->workers, p->slots * sizeof *p->workers);
    vowi_lock_fini(&p->join_lock);
    vowi_lock_fini(&p->inject_lock);
    vowi_lock_fini(&p->lock);
    vowi_free_aligned(p, sizeof *p);
}

static void
destroy(vow_executor *self)
{
    struct vowi_pool *p = pool_of(self);

    if (!p->joined && pthread_equal(p->exited, pthread_self()))
        pthread_detach(p->exited); /* the last worker out: nobody joins itself */
    else
        join(self);
    pool_free(p);
}

/* ---- making ---------------------------------------------------------------------------------------- */

static bool
is_current(vow_executor *self)
{
    return vowi_pool_worker(pool_of(self)) != NULL;
}

static const vow_executor_ops pool_ops = {
    .size = sizeof pool_ops,
    .name = "pool",
    .post = post,
    .post_many = post_many,
    .is_current = is_current,
    .help = vowi_pool_help,
    .block_begin = vowi_pool_block_begin,
    .block_end = vowi_pool_block_end,
    .close = pool_close,
    .join = join,
    .destroy = destroy,
};

static void
configure(struct vowi_pool *p, const vow_pool_options *opt)
{
    static const vow_pool_options defaults;
    const char *name;

    if (opt == NULL)
        opt = &defaults;
    name = opt->name != NULL ? opt->name : "vow";
    p->threads = opt->threads != 0 ? opt->threads : vow_cpu_count();
    p->spares = opt->spares != 0 ? opt->spares : DEFAULT_SPARES;
    p->slots = p->threads + p->spares;
    p->stack_size = opt->stack_size;
    snprintf(p->name, sizeof p->name, "%.10s", name);
}

/* All but the threads. On failure errno says why and nothing is left. */
static struct vowi_pool *
pool_prepare(const vow_pool_options *opt)
{
    struct vowi_pool *p = vowi_alloc_aligned(sizeof *p, VOWI_CACHE_LINE);
    size_t size;

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    configure(p, opt);
    size = p->slots * sizeof *p->workers;
    if (vowi_lock_init(&p->lock, VOWI_RANK_POOL) != 0)
        goto free_pool;
    if (vowi_lock_init(&p->inject_lock, VOWI_RANK_INJECT) != 0)
        goto fini_lock;
    if (vowi_lock_init(&p->join_lock, VOWI_RANK_JOIN) != 0)
        goto fini_inject_lock;
    p->workers = vowi_alloc_aligned(size, 16);
    if (p->workers == NULL)
        goto fini_join_lock;
    return p;

fini_join_lock:
    vowi_lock_fini(&p->join_lock);
fini_inject_lock:
    vowi_lock_fini(&p->inject_lock);
fini_lock:
    vowi_lock_fini(&p->lock);
free_pool:
    vowi_free_aligned(p, sizeof *p);
    return NULL;
}

/* One thread less than was asked for; those that run read it under the lock. */
static void
lower_threads(struct vowi_pool *p)
{
    vowi_lock_acquire(&p->lock);
    p->threads--;
    vowi_lock_release(&p->lock);
}

/* As many as can be had; 0 if at least one. */
static int
start_threads(struct vowi_pool *p)
{
    unsigned wanted = p->threads;
    int rc = 0;

    p->live = wanted;
    p->awake = wanted;
    for (unsigned i = 0; i < wanted; i++) {
        int one = vowi_pool_start_worker(p, false);

        if (one != 0) {
            rc = one;
            lower_threads(p);
        }
    }
    return vowi_load_relaxed(&p->count) != 0 ? 0 : rc; /* relaxed: ours so far */
}

vow_executor *
vow_pool_new(const vow_pool_options *opt)
{
    struct vowi_pool *p;
    int rc;

    if (opt != NULL && (opt->threads > MAX_THREADS || opt->spares > MAX_THREADS)) {
        errno = EINVAL;
        return NULL;
    }
    p = pool_prepare(opt);
    if (p == NULL || vow_executor_init(&p->executor, &pool_ops) != 0) {
        if (p != NULL)
            pool_free(p);
        errno = ENOMEM;
        return NULL;
    }
    rc = start_threads(p);
    if (rc == 0)
        return &p->executor;
    p->joined = true; /* there was never a thread */
    vow_executor_finished(&p->executor);
    vow_executor_unref(&p->executor);
    errno = rc;
    return NULL;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

unsigned
vow_pool_threads(const vow_executor *pool)
{
    if (pool == NULL || pool->ops != &pool_ops)
        return 0;
    return pool_of(vow_ptr(pool).as.ptr)->threads;
}

/* relaxed: statistics. */
int
vow_pool_read_stats(const vow_executor *pool, vow_pool_stats *stats)
{
    vow_pool_stats now = {.size = sizeof now};
    struct vowi_pool *p;
    unsigned count;

    if (pool == NULL || pool->ops != &pool_ops)
        return VOW_E_INVALID;
    p = pool_of(vow_ptr(pool).as.ptr);
    count = vowi_load_acquire(&p->count); /* [workers] */
    for (unsigned i = 0; i < count; i++) {
        struct vowi_worker *w = p->workers[i];

        now.tasks += vowi_load_relaxed(&w->tasks);
        now.steals += vowi_load_relaxed(&w->steals);
        now.wakes_for_nothing += vowi_load_relaxed(&w->wakes_for_nothing);
        now.helped += vowi_load_relaxed(&w->helped);
    }
    now.wakes = vowi_load_relaxed(&p->wakes);
    now.spares = vowi_load_relaxed(&p->spares_started);
    now.size = stats->size;
    memcpy(stats, &now, stats->size < sizeof now ? stats->size : sizeof now);
    return 0;
}

vow_executor *
vow_default_pool(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static vow_executor *pool;
    vow_executor *made;

    pthread_mutex_lock(&mutex);
    if (pool == NULL)
        pool = vow_pool_new(NULL);
    made = pool;
    pthread_mutex_unlock(&mutex);
    return made;
}
