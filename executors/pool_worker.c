/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_worker.c - what a worker does: pick, run, search, sleep, help, wait.
 *
 * Between tasks a worker takes the oldest of its deque, then the injected, then
 * steals one from another. Only a wait takes the young end: last in, first out
 * between tasks would starve what is older for ever. Every VOWI_INJECT_EVERY picks
 * the injected come first, so that a deque which feeds itself starves nobody.
 *
 * A worker steals one task at a time, with its own deque empty. So all that is in
 * its deque while it runs a stolen task descends from that, and whoever waits for
 * the stolen task may run it too (leapfrogging: Wagner and Calder, PPoPP 1993).
 * Other tasks a waiter must not run: they may want a lock that it holds.
 */
#include <stdio.h>

#include "pool_internal.h"

#ifdef __linux__
#define set_thread_name(name) pthread_setname_np(pthread_self(), (name))
#else
#define set_thread_name(name) ((void)(name))
#endif

struct vowi_worker *
vowi_pool_worker(const struct vowi_pool *p)
{
    struct vowi_worker *w = vowi_self()->worker;

    return w != NULL && w->pool == p ? w : NULL;
}

/* relaxed: a statistic, and the worker's own. */
static void
count(_Atomic(uint64_t) *counter)
{
    vowi_store_relaxed(counter, vowi_load_relaxed(counter) + 1);
}

/* ---- queues ------------------------------------------------------------------------------ */

/* Empties the inbox. Returns what was in it, oldest first. */
static vow_task *
empty_inbox(struct vowi_pool *p)
{
    uintptr_t inbox = vowi_load_relaxed(&p->inbox); /* relaxed: the CAS orders it */
    vow_task *reversed = NULL;
    vow_task *task;

    while (!vowi_cas_acquire(&p->inbox, &inbox, inbox & ~VOWI_INBOX_TASKS)) /* [item] */
        ;
    task = (vow_task *)(inbox & VOWI_INBOX_TASKS);
    while (task != NULL) {
        vow_task *next = task->next;

        task->next = reversed;
        reversed = task;
        task = next;
    }
    return reversed;
}

/* Moves tasks to a deque; returns those that stay. The last push is loud, so that a
 * worker going to sleep and this one, which looks at idle next, see each other. */
static vow_task *
share_batch(struct vowi_worker *w, vow_task *task)
{
    int64_t room = vowi_deque_room(&w->deque); /* under a lock it must not grow */

    if (room > VOWI_INJECT_BATCH - 1)
        room = VOWI_INJECT_BATCH - 1;
    while (room > 0 && task != NULL) {
        vow_task *next = task->next;

        vowi_deque_push(&w->deque, task, --room == 0 || next == NULL);
        task = next;
    }
    return task;
}

/* Takes the oldest of the injected; for a worker also a batch into its deque. */
vow_task *
vowi_pool_take_injected(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task;
    vow_task *rest = NULL;
    bool more;

    /* relaxed: a hint; whoever goes to sleep asks again in order */
    if (vowi_load_relaxed(&p->injected) == NULL &&
        (vowi_load_relaxed(&p->inbox) & VOWI_INBOX_TASKS) == 0)
        return NULL;
    vowi_lock_acquire(&p->inject_lock);
    task = vowi_load_relaxed(&p->injected); /* relaxed: written under the lock */
    if (task == NULL)
        task = empty_inbox(p);
    if (task != NULL) {
        more = task->next != NULL;
        rest = w != NULL ? share_batch(w, task->next) : task->next;
        vowi_store_seq_cst(&p->injected, rest); /* [idle] */
    } else {
        more = false;
    }
    vowi_lock_release(&p->inject_lock);
    if (more)
        vowi_pool_wake(p);
    return task;
}

static uint32_t
next_random(struct vowi_worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return w->random;
}

static vow_task *
steal(struct vowi_pool *p, struct vowi_worker *w)
{
    unsigned n = vowi_load_acquire(&p->count); /* [workers] */
    unsigned start = n > 1 ? next_random(w) % n : 0;

    for (unsigned i = 0; i < n; i++) {
        struct vowi_worker *victim = p->workers[(start + i) % n];
        vow_task *task = victim != w ? vowi_deque_steal(&victim->deque) : NULL;

        if (task != NULL) {
            /* relaxed: compared only; what is stolen on its account is ordered itself */
            vowi_store_relaxed(&w->stolen, task);
            count(&w->steals);
            return task;
        }
    }
    return NULL;
}

static vow_task *
pick(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = NULL;

    if (++w->picks % VOWI_INJECT_EVERY == 0)
        task = vowi_pool_take_injected(p, w);
    if (task == NULL)
        task = vowi_deque_steal(&w->deque);
    if (task == NULL)
        task = vowi_pool_take_injected(p, w);
    if (task == NULL)
        task = steal(p, w);
    return task;
}

/* [idle]: after a seq_cst step of the caller. */
bool
vowi_pool_has_work(struct vowi_pool *p)
{
    unsigned n = vowi_load_acquire(&p->count); /* [workers] */

    if (vowi_load_seq_cst(&p->injected) != NULL ||
        (vowi_load_seq_cst(&p->inbox) & VOWI_INBOX_TASKS) != 0)
        return true;
    for (unsigned i = 0; i < n; i++)
        if (!vowi_deque_is_empty(&p->workers[i]->deque))
            return true;
    return false;
}

/* ---- waking and sleeping ---------------------------------------------------------------- */

static bool
wants_wake(uint32_t idle)
{
    return (idle & VOWI_ASLEEP_MASK) != 0 && idle < VOWI_SEARCHING;
}

/* The last asleep is the warmest. Whoever wakes it counts it as searching. */
static void
wake_sleeper(struct vowi_pool *p)
{
    struct vowi_worker *w = NULL;

    vowi_lock_acquire(&p->lock);
    if (wants_wake(vowi_load_seq_cst(&p->idle)) && p->asleep != NULL) { /* [idle] */
        w = p->asleep;
        p->asleep = w->next_asleep;
        p->awake++;
        vowi_add_seq_cst(&p->idle, VOWI_SEARCHING - VOWI_ASLEEP);
    }
    vowi_lock_release(&p->lock);
    if (w == NULL)
        return;
    vowi_add_relaxed(&p->wakes, 1); /* relaxed: a statistic */
    vowi_unpark(&w->parker, &w->woken);
}

void
vowi_pool_wake(struct vowi_pool *p)
{
    if (wants_wake(vowi_load_seq_cst(&p->idle))) /* [idle] */
        wake_sleeper(p);
}

static void
wake_all_locked(struct vowi_worker *w)
{
    while (w != NULL) {
        struct vowi_worker *next = w->next_asleep;

        vowi_unpark(&w->parker, &w->woken);
        w = next;
    }
}

/* Ends the inbox if it is empty; else whoever filled it wakes somebody. [ended] */
static bool
end_inbox(struct vowi_pool *p)
{
    uintptr_t empty = VOWI_INBOX_CLOSED;

    return vowi_cas_strong_seq_cst(&p->inbox, &empty,
                                   VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED) ||
           empty == (VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED);
}

void
vowi_pool_end_if_done_locked(struct vowi_pool *p)
{
    if (!p->closing || p->exiting || p->awake != 0 || vowi_pool_has_work(p) ||
        !end_inbox(p))
        return;
    p->exiting = true;
    wake_all_locked(p->asleep);
    wake_all_locked(p->resting);
    p->asleep = NULL;
    p->resting = NULL;
}

/* Ends this worker's search. If it found something it looks for more, and wakes the
 * next one for that. */
static void
stop_searching(struct vowi_pool *p, struct vowi_worker *w)
{
    w->searching = false;
    vowi_sub_seq_cst(&p->idle, VOWI_SEARCHING); /* [idle] */
    if (vowi_pool_has_work(p))
        vowi_pool_wake(p);
}

static void
start_searching(struct vowi_pool *p, struct vowi_worker *w)
{
    uint32_t idle = vowi_load_relaxed(&p->idle); /* relaxed: the CAS orders it */

    if (idle < VOWI_SEARCHING)
        w->searching = vowi_cas_strong_seq_cst(&p->idle, &idle, idle + VOWI_SEARCHING);
}

/* Goes to sleep unless there is work after all. Returns false if it is to exit. */
static bool
sleep_for_work(struct vowi_pool *p, struct vowi_worker *w)
{
    bool exits;

    vowi_lock_acquire(&p->lock);
    w->woken = false;
    w->next_asleep = p->asleep;
    p->asleep = w;
    p->awake--;
    vowi_add_seq_cst(&p->idle, VOWI_ASLEEP - (w->searching ? VOWI_SEARCHING : 0));
    w->searching = false;
    if (vowi_pool_has_work(p)) { /* [idle] */
        p->asleep = w->next_asleep;
        p->awake++;
        vowi_sub_seq_cst(&p->idle, VOWI_ASLEEP);
        vowi_lock_release(&p->lock);
        return true;
    }
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    vowi_park(&w->parker, &w->woken, VOW_FOREVER);
    vowi_lock_acquire(&p->lock);
    exits = p->exiting;
    vowi_lock_release(&p->lock);
    w->searching = !exits;
    return !exits;
}

static vow_task *
search(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = NULL;

    if (!w->searching)
        start_searching(p, w);
    for (unsigned round = 0; w->searching && round < VOWI_SEARCH_ROUNDS; round++) {
        task = pick(p, w);
        if (task != NULL)
            break;
        vowi_relax();
    }
    return task;
}

/* ---- spares: threads in the place of those that wait ---------------------------------------- */

/* How many could run if there was work. */
static unsigned
runnable_locked(const struct vowi_pool *p)
{
    unsigned asleep = vowi_load_relaxed(&p->idle) & VOWI_ASLEEP_MASK;

    return p->awake - p->blocked + asleep; /* relaxed: asleep changes under the lock */
}

static void
note_surplus_locked(struct vowi_pool *p)
{
    unsigned runnable = runnable_locked(p);

    /* relaxed: a hint; whoever takes it asks again under the lock */
    vowi_store_relaxed(&p->surplus, runnable > p->threads ? runnable - p->threads : 0);
}

/* A spare that replaces nobody any more rests. Returns false if it is to exit. */
static bool
rest_if_surplus(struct vowi_pool *p, struct vowi_worker *w)
{
    bool exits;

    if (!w->spare || vowi_load_relaxed(&p->surplus) == 0 || /* relaxed: a hint */
        vowi_deque_count(&w->deque) > 0)
        return true;
    if (w->searching)
        stop_searching(p, w);
    vowi_lock_acquire(&p->lock);
    if (runnable_locked(p) <= p->threads) {
        vowi_lock_release(&p->lock);
        return true;
    }
    w->woken = false;
    w->next_asleep = p->resting;
    p->resting = w;
    p->awake--;
    note_surplus_locked(p);
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    vowi_park(&w->parker, &w->woken, VOW_FOREVER);
    vowi_lock_acquire(&p->lock);
    exits = p->exiting;
    vowi_lock_release(&p->lock);
    return !exits;
}

/* What takes the place of a thread that waits. */
enum replacement { NOBODY, RESTING, FRESH };

static enum replacement
replace_locked(struct vowi_pool *p, struct vowi_worker **rested)
{
    if (p->asleep != NULL || runnable_locked(p) >= p->threads)
        return NOBODY;
    p->awake++;
    *rested = p->resting;
    if (*rested != NULL) {
        p->resting = (*rested)->next_asleep;
        return RESTING;
    }
    p->live++;
    return FRESH;
}

static bool
is_exhausted(struct vowi_pool *p)
{
    bool exhausted;

    vowi_lock_acquire(&p->lock);
    exhausted = runnable_locked(p) == 0;
    vowi_lock_release(&p->lock);
    return exhausted;
}

int
vowi_pool_block_begin(vow_executor *self)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *rested = NULL;
    enum replacement how;
    int rc = 0;

    vowi_lock_acquire(&p->lock);
    p->blocked++;
    how = replace_locked(p, &rested);
    vowi_lock_release(&p->lock);
    if (how == RESTING)
        vowi_unpark(&rested->parker, &rested->woken);
    if (how == FRESH) {
        if (vowi_pool_start_worker(p, true) == 0)
            vowi_add_relaxed(&p->spares_started, 1); /* relaxed: a statistic */
        else if (is_exhausted(p))
            rc = VOW_E_LIMIT;
    }
    if (vowi_pool_has_work(p))
        vowi_pool_wake(p);
    return rc;
}

void
vowi_pool_block_end(vow_executor *self)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);

    vowi_lock_acquire(&p->lock);
    p->blocked--;
    note_surplus_locked(p);
    vowi_lock_release(&p->lock);
}

/* ---- running ------------------------------------------------------------------------------------ */

static void
run(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    count(&w->tasks);
    /* relaxed: what slipped in before is run as well */
    task->run(task, vowi_load_relaxed(&p->cancelling) ? VOW_E_CLOSED : 0);
}

/* Runs what a thief left behind: descendants of what it stole. */
static bool
leapfrog(struct vowi_pool *p, struct vowi_worker *w, const vow_task *awaited)
{
    unsigned n = vowi_load_acquire(&p->count); /* [workers] */

    for (unsigned i = 0; i < n; i++) {
        struct vowi_worker *thief = p->workers[i];
        const vow_task *outer = vowi_load_relaxed(&w->stolen); /* relaxed: own */
        vow_task *task;

        /* relaxed: compared only */
        if (thief == w || vowi_load_relaxed(&thief->stolen) != awaited)
            continue;
        task = vowi_deque_steal(&thief->deque);
        if (task == NULL)
            return false;
        vowi_store_relaxed(&w->stolen, vowi_deque_count(&w->deque) > 0 ? NULL : task);
        run(p, w, task);
        vowi_store_relaxed(&w->stolen, outer);
        return true;
    }
    return false;
}

bool
vowi_pool_help(vow_executor *self, vow_task *awaited)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *w = vowi_pool_worker(p);

    if (w == NULL)
        return false;
    if (vowi_deque_take_if(&w->deque, awaited))
        run(p, w, awaited);
    else if (!leapfrog(p, w, awaited))
        return false;
    count(&w->helped);
    return true;
}

/* ---- the thread ----------------------------------------------------------------------------------- */

/* The next task; NULL: exit. */
static vow_task *
next_task(struct vowi_pool *p, struct vowi_worker *w)
{
    for (;;) {
        bool woken = w->searching;
        vow_task *task = pick(p, w);

        if (task == NULL)
            task = search(p, w);
        if (task != NULL) {
            if (w->searching)
                stop_searching(p, w);
            return task;
        }
        if (woken)
            count(&w->wakes_for_nothing);
        if (!rest_if_surplus(p, w) || !sleep_for_work(p, w))
            return NULL;
    }
}

/*
 * This thread is on its way out. Each joins the one before it, so that only the last
 * remains to be joined; and that one touches the pool no more.
 */
static void
exit_pool(struct vowi_pool *p)
{
    pthread_t before;
    bool has_before, last;

    vowi_lock_acquire(&p->lock);
    has_before = p->has_exited;
    before = p->exited;
    p->has_exited = true;
    p->exited = pthread_self();
    p->live--;
    last = p->live == 0;
    vowi_lock_release(&p->lock);
    if (has_before)
        pthread_join(before, NULL);
    if (last)
        vow_executor_finished(&p->executor);
}

/* No thread can be had in the place of one that ended. Without any, what is queued
 * ends here, and nothing more is taken. */
static void
lose_worker(struct vowi_pool *p)
{
    bool last;

    vowi_lock_acquire(&p->lock);
    p->awake--;
    last = p->live == 1;
    p->closing = p->closing || last;
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    if (last) {
        vowi_or_acq_rel(&p->inbox, VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED);
        vowi_pool_cancel_queued(p);
    }
    exit_pool(p);
}

/* pthread_exit in a task: another thread carries on with this worker's queue. */
static void
thread_exits(void *worker)
{
    struct vowi_worker *w = worker;
    struct vowi_pool *p = w->pool;
    bool replaced;

    vowi_self()->worker = NULL;
    vow_executor_enter(NULL);
    vowi_store_relaxed(&w->stolen, NULL);
    vowi_lock_acquire(&p->lock);
    w->predecessor = pthread_self();
    w->has_predecessor = true;
    replaced = vowi_worker_start_thread(w) == 0;
    vowi_lock_release(&p->lock);
    if (!replaced)
        lose_worker(p);
}

static void
begin(struct vowi_worker *w)
{
    char name[32];
    int old;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    snprintf(name, sizeof name, "%s/%u", w->pool->name, w->index % 10000);
    set_thread_name(name);
    if (w->has_predecessor)
        pthread_join(w->predecessor, NULL);
    w->has_predecessor = false;
    vowi_self()->worker = w;
    vow_executor_enter(&w->pool->executor);
}

void *
vowi_worker_main(void *worker)
{
    struct vowi_worker *w = worker;
    struct vowi_pool *p = w->pool;
    vow_task *task;

    begin(w);
    pthread_cleanup_push(thread_exits, w);
    while ((task = next_task(p, w)) != NULL) {
        run(p, w, task);
        /* relaxed: compared only */
        if (vowi_load_relaxed(&w->stolen) != NULL)
            vowi_store_relaxed(&w->stolen, NULL);
    }
    pthread_cleanup_pop(0);
    vowi_self()->worker = NULL;
    vow_executor_enter(NULL);
    exit_pool(p);
    return NULL;
}
