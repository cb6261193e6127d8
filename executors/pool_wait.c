/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_wait.c - a worker that waits: it helps, or a spare takes its place.
 *
 * A worker steals one task at a time, with its own deque empty. So what the task's
 * function posts, and what that posts, is all there is in its deque, and whoever waits for
 * the stolen task may run it too (leapfrogging: Wagner and Calder, PPoPP 1993). Other
 * tasks a waiter must not run: they may want a lock that it holds. So
 *
 *     only what somebody may wait for is shown in `stolen`;
 *     its run forgets it when the function has returned;
 *     before a step is posted, which comes from whoever hung it there, or runs inline in
 *     a wait and may post, or an executor on top is started, nothing is shown any more,
 *     until the worker steals again (vowi_stolen_mixed);
 *     and a waiter looks at `stolen` again when it has seen what it would take.
 *
 * What a task waits for counts as its own: while it waits its worker may run that here, in
 * place or on account of its thief, and what that leaves behind whoever waits for the
 * task may run as well.
 */
#include "base/warn.h"
#include "pool_internal.h"

/* ---- helping ------------------------------------------------------------------------------ */

void
vowi_worker_run(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    vowi_count(&w->tasks);
    /* relaxed: what slipped in before is run as well */
    task->run(task, vowi_load_relaxed(&p->cancelling) ? VOW_E_CLOSED : 0);
}

/* Only what has a run that forgets it, and if the deque has nothing older. relaxed: see
 * vowi_deque_steal_while, and core's part is set before there is an executor. */
void
vowi_worker_show_stolen(struct vowi_worker *w, const vow_task *task)
{
    bool (*is_awaitable)(const vow_task *) =
        vowi_load_relaxed(&vowi_globals.is_awaitable);
    bool shown = vowi_deque_count(&w->deque) <= 0 && is_awaitable(task);

    vowi_store_relaxed(&w->stolen, shown ? task : NULL);
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

        /* relaxed: asked again */
        if (thief == w || vowi_load_relaxed(&thief->stolen) != awaited)
            continue;
        task = vowi_deque_steal_while(&thief->deque, &thief->stolen, awaited);
        if (task == NULL)
            return false;
        vowi_worker_show_stolen(w, task);
        vowi_worker_run(p, w, task);
        if (vowi_load_relaxed(&w->stolen) == NULL) /* not mixed, nor left behind */
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
    vowi_assert(w->next == NULL); /* nobody would run it */
    if (vowi_deque_take_if(&w->deque, awaited))
        vowi_worker_run(p, w, awaited);
    else if (!leapfrog(p, w, awaited))
        return false;
    vowi_count(&w->helped);
    return true;
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

/* A spare that replaces nobody any more rests. Its deque is empty: it found no task, and
 * it alone puts some there. Returns false if it is to exit. */
bool
vowi_worker_rest(struct vowi_pool *p, struct vowi_worker *w)
{
    bool exits;

    vowi_assert(vowi_deque_count(&w->deque) == 0);
    if (!w->spare || vowi_load_relaxed(&p->surplus) == 0) /* relaxed: a hint */
        return true;
    if (w->searching)
        vowi_worker_stop_searching(p, w);
    vowi_lock_acquire(&p->lock);
    if (runnable_locked(p) <= p->threads) {
        vowi_lock_release(&p->lock);
        return true;
    }
    w->woken = false;
    vowi_gate_shut(&w->gate);
    w->next_asleep = p->resting;
    p->resting = w;
    p->awake--;
    note_surplus_locked(p);
    vowi_pool_end_if_done_locked(p);
    vowi_lock_release(&p->lock);
    (void)vowi_gate_pass(&w->gate);
    w->woken = true;
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
    if (runnable_locked(p) >= p->threads)
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

/* All threads wait, and none can be added. */
static int
stall(const struct vowi_pool *p, int why)
{
    vowi_warn(why, "all threads of pool %s wait, and no spare can be started", p->name);
    return VOW_E_LIMIT;
}

int
vowi_pool_block_begin(vow_executor *self)
{
    struct vowi_pool *p = vowi_container_of(self, struct vowi_pool, executor);
    struct vowi_worker *rested = NULL;
    enum replacement how;
    int rc = 0, why;

    if (vowi_pool_worker(p) == NULL)
        return VOW_E_DEADLOCK; /* a thread on its way out */
    vowi_lock_acquire(&p->lock);
    p->blocked++;
    how = replace_locked(p, &rested);
    vowi_lock_release(&p->lock);
    if (how == RESTING)
        vowi_gate_open(&rested->gate);
    if (how == FRESH) {
        why = vowi_pool_start_worker(p, true);
        if (why == 0)
            vowi_add_relaxed(&p->spares_started, 1); /* relaxed: a statistic */
        else if (is_exhausted(p))
            rc = stall(p, why);
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
