/* SPDX-License-Identifier: MIT */
/* executors/fibers_queue.c - what comes from outside: tasks, and fibers that are woken. */
#include "fibers_internal.h"
#include "queue/fifo.h"

/* ---- handing over ------------------------------------------------------------------------ */

/* relaxed: a hint, written under the lock */
static void
note_news_locked(struct vowi_fibers *x)
{
    vowi_store_relaxed(&x->news, x->tasks.first != NULL || x->woken != NULL);
}

/* There is news. Returns whether the gate is to be opened, and by whom but the caller. */
static bool
tell_locked(struct vowi_fibers *x)
{
    bool asleep = x->asleep;

    note_news_locked(x);
    x->asleep = false;
    return asleep;
}

/* While it drains it takes steps, and what its own tasks post; then nothing. */
static bool
accepts_locked(const struct vowi_fibers *x, const vow_task *task)
{
    if (x->ended || x->cancelling)
        return false;
    return !x->closing || (task->flags & VOW_TASK_STEP) != 0 ||
           vow_executor_current() == &x->executor;
}

static int
post_list(struct vowi_fibers *x, vow_task *first, vow_task *last)
{
    bool accepted, asleep = false;

    vowi_lock_acquire(&x->lock);
    accepted = accepts_locked(x, first);
    if (accepted) {
        vowi_fifo_append(&x->tasks, first, last);
        asleep = tell_locked(x);
    }
    vowi_lock_release(&x->lock);
    if (asleep)
        vowi_gate_open(&x->gate);
    return accepted ? 0 : VOW_E_CLOSED;
}

int
vowi_fibers_post(vow_executor *self, vow_task *task)
{
    return post_list(vowi_fibers_of(self), task, task);
}

int
vowi_fibers_post_many(vow_executor *self, vow_task *first, size_t n)
{
    vow_task *last = first;

    if (n == 0)
        return 0;
    while (--n > 0)
        last = last->next;
    return post_list(vowi_fibers_of(self), first, last);
}

/* It may be gone as soon as the lock is free, or, if its thread sleeps, the gate is open. */
static void
wake_from_elsewhere(struct vowi_fibers *x, struct vowi_fiber *f)
{
    bool asleep;

    vowi_lock_acquire(&x->lock);
    f->next_woken = NULL;
    *x->woken_end = f;
    x->woken_end = &f->next_woken;
    asleep = tell_locked(x);
    vowi_lock_release(&x->lock);
    if (asleep)
        vowi_gate_open(&x->gate);
}

/* In a child none goes on, and its thread may have been in the middle of anything. */
void
vowi_fiber_wake(struct vowi_fiber *f)
{
    if (vowi_fibers_left_behind(f->of))
        return;
    if (f->of->thread == vowi_self())
        vowi_fiber_ready(f);
    else
        wake_from_elsewhere(f->of, f);
}

/* ---- taking over --------------------------------------------------------------------------- */

static struct vowi_fiber *
take_woken_locked(struct vowi_fibers *x)
{
    struct vowi_fiber *woken = x->woken;

    x->woken = NULL;
    x->woken_end = &x->woken;
    return woken;
}

vow_task *
vowi_fibers_look(struct vowi_fibers *x, bool takes)
{
    struct vowi_fiber *woken;
    vow_task *task;

    vowi_lock_acquire(&x->lock);
    woken = take_woken_locked(x);
    task = takes ? vowi_fifo_pop(&x->tasks) : NULL;
    x->queued = x->tasks.first != NULL;
    note_news_locked(x);
    vowi_lock_release(&x->lock);
    while (woken != NULL) {
        struct vowi_fiber *next = woken->next_woken;

        vowi_fiber_ready(woken);
        woken = next;
    }
    return task;
}

/* ---- sleeping ------------------------------------------------------------------------------- */

/* Whether nothing is left, and nothing will come. */
static bool
may_end_locked(const struct vowi_fibers *x)
{
    return x->closing && x->closers == 0 && x->tasks.first == NULL && x->woken == NULL &&
           x->begun == 0;
}

/* Whether it sleeps: there is nothing that it has not seen. */
static bool
lies_down_locked(struct vowi_fibers *x)
{
    if (x->woken != NULL || (x->tasks.first != NULL) != x->queued || may_end_locked(x))
        return false;
    x->asleep = true;
    vowi_gate_shut(&x->gate);
    return true;
}

/* Its time has come. Returns whether nobody is on the way to wake it. */
static bool
gets_up(struct vowi_fibers *x)
{
    bool asleep;

    vowi_lock_acquire(&x->lock);
    asleep = x->asleep;
    x->asleep = false;
    vowi_lock_release(&x->lock);
    return asleep;
}

void
vowi_fibers_idle(struct vowi_fibers *x, vow_ns until)
{
    bool sleeps;

    vowi_lock_acquire(&x->lock);
    sleeps = lies_down_locked(x);
    vowi_lock_release(&x->lock);
    if (!sleeps)
        return;
    if (until != VOW_FOREVER && (vowi_gate_pass_until(&x->gate, until) || gets_up(x)))
        return;
    (void)vowi_gate_pass(&x->gate); /* its waker is on the way, or will be */
}

bool
vowi_fibers_end(struct vowi_fibers *x)
{
    vowi_lock_acquire(&x->lock);
    x->ended = may_end_locked(x);
    x->over = x->ended;
    vowi_lock_release(&x->lock);
    return x->over;
}

/* ---- closing ---------------------------------------------------------------------------------- */

/* Counts as one that ends what it took. Returns what that is. */
static vow_task *
begin_close(struct vowi_fibers *x, vow_close_mode mode)
{
    vow_task *refused = NULL;

    vowi_lock_acquire(&x->lock);
    x->closers++;
    x->closing = true;
    if (mode == VOW_CANCEL_QUEUED) {
        x->cancelling = true;
        refused = x->tasks.first;
        x->tasks.first = NULL;
    }
    vowi_lock_release(&x->lock);
    return refused;
}

static void
end_close(struct vowi_fibers *x)
{
    bool asleep;

    vowi_lock_acquire(&x->lock);
    x->closers--;
    asleep = tell_locked(x);
    vowi_lock_release(&x->lock);
    if (asleep)
        vowi_gate_open(&x->gate);
}

/* What is ended may end the thread: then it goes on from there. */
struct closing {
    struct vowi_fibers *x;
    vow_task *refused;
    unsigned forks; /* before it: in a child it has no thread */
};

static void
finish_close(void *closing)
{
    struct closing *c = closing;

    pthread_cleanup_push(finish_close, c);
    vowi_end_tasks(&c->refused, VOW_E_CLOSED);
    pthread_cleanup_pop(0);
    if (c->forks == vowi_globals.forks)
        end_close(c->x);
}

void
vowi_fibers_close(vow_executor *self, vow_close_mode mode)
{
    struct closing c = {.x = vowi_fibers_of(self), .forks = vowi_globals.forks};

    c.refused = begin_close(c.x, mode);
    finish_close(&c);
}

/* ---- looked at -------------------------------------------------------------------------------- */

void
vowi_fibers_queued(vow_executor *self, bool (*each)(const vow_task *task, void *ctx),
                   void *ctx)
{
    struct vowi_fibers *x = vowi_fibers_of(self);
    const vow_task *task;

    vowi_lock_acquire(&x->lock);
    task = x->tasks.first;
    while (task != NULL && each(task, ctx))
        task = task->next;
    vowi_lock_release(&x->lock);
}
