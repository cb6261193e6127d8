/* SPDX-License-Identifier: MIT */
/*
 * executors/pool_queue.c - where a pool's tasks come in, and where they are picked.
 *
 * Between tasks a worker takes the oldest of its deque, then the injected, then
 * steals one from another. Only a wait takes the young end: last in, first out
 * between tasks would starve what is older for ever. Once in a round the injected come
 * first. A round is what the worker's own deque held when the last one ended: so who
 * feeds that deque from inside is served no sooner than who posts from outside, whose
 * turn would be the later the longer those tasks are, were it counted in picks alone. A
 * long deque is cut into rounds of VOWI_INJECT_EVERY. A task in another turn
 * (vow_yield_task) comes after all of them. All that is of normal work; other priorities
 * are in pool_levels.c.
 */
#include "base/buggify.h"
#include "pool_internal.h"

static struct vowi_pool *
pool_of(vow_executor *self)
{
    return vowi_container_of(self, struct vowi_pool, executor);
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

/* Steps, and what has had a turn. */
static bool
is_admitted(const vow_task *task)
{
    return (task->flags & (VOW_TASK_STEP | VOW_TASK_AGAIN)) != 0;
}

/* A pool that drains takes no new work, but what goes on with what it has taken. */
static uintptr_t
refusal(const vow_task *task)
{
    return is_admitted(task) ? VOWI_INBOX_ENDED : VOWI_INBOX_CLOSED | VOWI_INBOX_ENDED;
}

/*
 * Nobody needs to be woken for one step that a worker posts when its task has
 * returned and its deque is empty: it is what the worker does next, unless that was a
 * task of an executor on top of the pool, which may have more to run before.
 */
static bool
is_next(const struct vowi_thread *t, struct vowi_worker *w)
{
    return t->frames == NULL && t->fifo_head == NULL && w->next == NULL &&
           t->executor == &w->pool->executor && vowi_deque_count(&w->deque) <= 0;
}

/* Whether something came from outside. relaxed: a hint; who posts it wakes somebody. */
static bool
has_shared(const struct vowi_pool *p)
{
    return (vowi_load_relaxed(&p->inbox) & VOWI_INBOX_TASKS) != 0 ||
           vowi_load_relaxed(&p->injected) != NULL || vowi_load_relaxed(&p->levels) != 0;
}

/*
 * What a worker does next need not be where others could take it: nothing of a user runs
 * on this thread before it. But what came from outside has a turn before it, and then it
 * does. What comes too late for that is seen by the next of these at the latest.
 */
static bool
take_next(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    if (has_shared(p))
        return false;
    w->next = task;
    w->round = 0;
    return true;
}

static int
wake_if_posted(struct vowi_pool *p, int rc)
{
    if (rc == 0)
        vowi_pool_wake(p);
    return rc;
}

/* What refuses a task that the calling thread posts: bits of the inbox. A worker's own
 * posts are always in, but for a pool that cancels, whose inbox has ended. */
static uintptr_t
refusal_here(const struct vowi_pool *p, const vow_task *task)
{
    return vowi_pool_worker(p) != NULL ? VOWI_INBOX_ENDED : refusal(task);
}

/* To where what comes from outside is: behind all that waits there. */
static int
post_shared(struct vowi_pool *p, vow_task *task)
{
    task->next = NULL;
    if (task->priority != VOW_NORMAL || p->limit != 0)
        return vowi_level_post(p, task, refusal_here(p, task));
    return push_inbox(p, task, task, refusal_here(p, task));
}

/* Without memory for its deque a worker puts its task where those from outside are. */
static int
push_own(struct vowi_pool *p, struct vowi_worker *w, vow_task *task, bool loud)
{
    if (vowi_load_relaxed(&p->cancelling)) /* relaxed: what slips in ends likewise */
        return VOW_E_CLOSED;
    if (task->flags & VOW_TASK_STEP) /* relaxed: see vowi_deque_steal_while */
        vowi_store_relaxed(&w->stolen, &vowi_stolen_mixed);
    if (!loud && take_next(p, w, task))
        return 0;
    if (VOWI_BUGGIFY("the deque refuses") || !vowi_deque_push(&w->deque, task, loud))
        return wake_if_posted(p, post_shared(p, task));
    if (loud)
        vowi_pool_wake(p);
    return 0;
}

/*
 * A worker's task that has had a turn and wants another. If nothing else waits it is what
 * the worker does next, and nobody is woken. Else what waits in all queues comes before.
 */
static int
post_again(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    bool next = is_next(vowi_self(), w) && !vowi_pool_has_work(p);
    int rc;

    if (next && task->priority == VOW_NORMAL)
        return push_own(p, w, task, false);
    w->again = true;
    rc = post_shared(p, task);
    return next ? rc : wake_if_posted(p, rc);
}

/* What wants another turn is posted as its task returns, and never else. */
static int
post_own(struct vowi_pool *p, struct vowi_worker *w, vow_task *task)
{
    struct vowi_thread *t = vowi_self();

    if (!t->returning)
        return push_own(p, w, task, true);
    if (task->flags & VOW_TASK_AGAIN)
        return post_again(p, w, task);
    return push_own(p, w, task, !is_next(t, w));
}

/* Of a priority, or for a pool with a limit. */
static int
post_by_level(struct vowi_pool *p, vow_task *task)
{
    struct vowi_worker *w = vowi_pool_worker(p);

    if (w != NULL && (task->priority == VOW_NORMAL || task->flags & VOW_TASK_AGAIN))
        return post_own(p, w, task);
    if (w == NULL && p->limit != 0 && !is_admitted(task)) {
        task->next = NULL;
        return vowi_bound_post(p, task, 1);
    }
    return wake_if_posted(p, post_shared(p, task));
}

int
vowi_pool_post(vow_executor *self, vow_task *task)
{
    struct vowi_pool *p = pool_of(self);
    struct vowi_worker *w;
    int rc;

    if (vowi_unlikely(task->priority != VOW_NORMAL || p->limit != 0))
        return post_by_level(p, task);
    w = vowi_pool_worker(p);
    if (w != NULL)
        return post_own(p, w, task);
    rc = push_inbox(p, task, task, refusal(task));
    if (rc == 0)
        vowi_pool_wake_outside(p);
    return rc;
}

/* The inbox wants the newest first. Returns the newest of a list. */
static vow_task *
reverse(vow_task *task, unsigned *priorities)
{
    vow_task *reversed = NULL;

    *priorities = 0;
    while (task != NULL) {
        vow_task *next = task->next;

        *priorities |= task->priority;
        task->next = reversed;
        reversed = task;
        task = next;
    }
    return reversed;
}

/* A worker's own list is shared as well. */
static int
post_many_by_level(struct vowi_pool *p, vow_task *first, size_t n)
{
    if (p->limit != 0 && vowi_pool_worker(p) == NULL && !is_admitted(first))
        return vowi_bound_post(p, first, n);
    return wake_if_posted(p, vowi_level_post(p, first, refusal_here(p, first)));
}

int
vowi_pool_post_many(vow_executor *self, vow_task *first, size_t n)
{
    struct vowi_pool *p = pool_of(self);
    unsigned priorities;
    vow_task *newest;
    int rc;

    if (p->limit != 0)
        return post_many_by_level(p, first, n);
    newest = reverse(first, &priorities);
    rc = priorities == VOW_NORMAL ? push_inbox(p, newest, first, refusal_here(p, first))
                                  : VOW_E_CLOSED;
    if (rc == 0) {
        vowi_pool_wake(p);
        return 0;
    }
    first->next = NULL;
    reverse(newest, &priorities); /* as it was: the list is the caller's again */
    return priorities == VOW_NORMAL ? rc : post_many_by_level(p, first, n);
}

/* ---- picking ------------------------------------------------------------------------------ */

/* Empties the inbox. Returns what was in it, oldest first. */
static vow_task *
empty_inbox(struct vowi_pool *p)
{
    uintptr_t inbox = vowi_load_relaxed(&p->inbox); /* relaxed: the CAS orders it */
    unsigned priorities;

    /* [item] */
    while (!vowi_cas_acquire_or_relaxed(&p->inbox, &inbox, inbox & ~VOWI_INBOX_TASKS))
        ;
    return reverse((vow_task *)(inbox & VOWI_INBOX_TASKS), &priorities);
}

/* Moves tasks to a deque, which under a lock must not grow; returns those that stay. */
static vow_task *
share_batch(struct vowi_worker *w, vow_task *task)
{
    if (task == NULL)
        return NULL;
    return vowi_deque_push_list(&w->deque, task, VOWI_INJECT_BATCH - 1);
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
        vowi_store_seq_cst(&p->injected,
                           rest); /* [idle]; of the batch in the deque, too */
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
            vowi_worker_show_stolen(w, task);
            vowi_count(&w->steals);
            return task;
        }
    }
    return NULL;
}

/* What came from outside, of normal priority. */
static vow_task *
take_shared(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = vowi_pool_take_injected(p, w);

    return task != NULL ? task : vowi_level_take(p, VOW_NORMAL);
}

/* A round ends with what comes from outside. What a task posts as it returns is next, also
 * if the deque was empty before it. */
static vow_task *
end_round(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = take_shared(p, w);
    int64_t own = vowi_deque_count(&w->deque);

    if (own < 1)
        own = 1;
    w->round = own < VOWI_INJECT_EVERY ? (unsigned)own : VOWI_INJECT_EVERY - 1;
    return task;
}

/* After a task that wants another turn: it waits behind what the others have, too. */
static vow_task *
pick_from_others(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = vowi_deque_steal(&w->deque);

    w->again = false;
    return task != NULL ? task : steal(p, w);
}

vow_task *
vowi_worker_pick_normal(struct vowi_pool *p, struct vowi_worker *w)
{
    vow_task *task = NULL;

    if (vowi_unlikely(w->again))
        task = pick_from_others(p, w);
    else if (w->round == 0)
        task = end_round(p, w);
    else
        w->round--;
    if (task == NULL)
        task = vowi_deque_steal(&w->deque);
    if (task == NULL)
        task = end_round(p, w);
    if (task == NULL)
        task = steal(p, w);
    return task;
}

vow_task *
vowi_worker_pick(struct vowi_pool *p, struct vowi_worker *w)
{
    /* relaxed: a hint; whoever goes to sleep asks again in order */
    uint32_t waiting = vowi_load_relaxed(&p->levels);
    vow_task *next = w->next;

    if (next != NULL) {
        w->next = NULL;
        return next;
    }
    if (vowi_likely(waiting == 0))
        return vowi_worker_pick_normal(p, w);
    return vowi_worker_pick_by_level(p, w, waiting);
}

/*
 * [idle]: after a seq_cst step of the caller. The injected come first: who has moved some
 * to its deque says so by storing the rest, and that is acquired before its deque is read.
 */
bool
vowi_pool_has_work(struct vowi_pool *p)
{
    unsigned n = vowi_load_acquire(&p->count); /* [workers] */

    /* [idle] */
    if (vowi_load_seq_cst(&p->injected) != NULL || vowi_load_seq_cst(&p->levels) != 0 ||
        (vowi_load_seq_cst(&p->inbox) & VOWI_INBOX_TASKS) != 0)
        return true;
    for (unsigned i = 0; i < n; i++)
        if (!vowi_deque_is_empty(&p->workers[i]->deque))
            return true;
    return false;
}
