/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_turn.c - what a loop does in a turn, and until when it does turns.
 *
 * The phases are those of vow/loop.h. The kernel is asked once a turn: with nothing
 * else to do before phase 1, and then it may sleep; else in phase 4.
 *
 * Turns nest, by vow_loop_run_until inside a callback. Everything that a turn works
 * off is in the loop and not on the stack of the turn: an inner one goes on where the
 * outer one was, order kept, and the outer one finds done what the inner one did.
 */
#include <errno.h>
#include <pthread.h>

#include "loop_internal.h"
#include "sync/spin.h"

/* ---- callbacks ---------------------------------------------------------------------------- */

/* Inside a step of this stack, inline steps wait for its end; who waits here does not. */
static void
drain_trampoline(struct vow_loop *l)
{
    if (vowi_self()->fifo_head != NULL && l->awaited != NULL)
        vow_wait(l->awaited, 1); /* which on this thread never sleeps */
}

void
vowi_loop_after_callback_slow(struct vow_loop *l)
{
    vow_task *step;

    for (unsigned n = 0;
         l->steps.first != NULL && n < VOWI_LOOP_STEPS && l->turn_steps != 0; n++) {
        step = vowi_tasks_pop(&l->steps);
        l->turn_steps--;
        step->run(step, 0);
        vowi_loop_count(&l->microtasks);
    }
    drain_trampoline(l);
    if (vowi_loop_life(l) >= VOWI_LOOP_CANCELLING)
        vowi_loop_end_queued(l);
}

static void
run_task(struct vow_loop *l, vow_task *task)
{
    task->run(task, 0);
    vowi_loop_count(&l->tasks);
    l->ran = true;
    vowi_loop_after_callback(l);
}

/* ---- phases ------------------------------------------------------------------------------- */

static bool
is_for_idle(const vow_task *task)
{
    return task->priority == VOW_IDLE && (task->flags & VOW_TASK_STEP) == 0;
}

static void
run_posts(struct vow_loop *l)
{
    vow_task *task;

    if (vowi_loop_has_posts(l)) {
        vowi_lock_acquire(&l->lock);
        if (vowi_loop_life(l) < VOWI_LOOP_CANCELLING)
            vowi_loop_take_posts_locked(l);
        vowi_lock_release(&l->lock);
    }
    while ((task = vowi_tasks_pop(&l->ready)) != NULL)
        if (is_for_idle(task))
            vowi_tasks_push(&l->idle, task);
        else
            run_task(l, task);
}

/* First what an outer turn was about, or one whose thread has exited. */
static void
dispatch(struct vow_loop *l)
{
    if (l->dispatched_fd >= 0)
        vowi_loop_finish_fd(l);
    if (l->dispatches_signal)
        vowi_loop_dispatch_signals(l);
    vowi_loop_poll(l);
    while (l->event_at < l->event_count) {
        struct vowi_fd_watch *w = l->taken[l->event_at];
        struct epoll_event e = l->events[l->event_at++];

        if (w != NULL)
            vowi_loop_dispatch_watch(l, w, e.events);
        else if (e.data.u64 == VOWI_LOOP_SIGNAL)
            vowi_loop_dispatch_signals(l);
        else if (e.data.u64 < VOWI_LOOP_SIGNAL)
            vowi_loop_dispatch_fd(l, e.data.u64, e.events);
    }
}

static void
run_idle(struct vow_loop *l)
{
    vow_task *task;

    if (l->idle.first == NULL)
        return;
    if (l->ran && ++l->idle_skips < VOWI_LOOP_IDLE_EVERY)
        return;
    l->idle_skips = 0;
    task = vowi_tasks_pop(&l->idle);
    run_task(l, task);
}

static bool
has_work(const struct vow_loop *l)
{
    return vowi_loop_has_queued(l) || vowi_loop_has_posts(l) || vowi_loop_has_events(l);
}

/* relaxed: a hint, and the swap orders it. */
static unsigned
take_wake(struct vow_loop *l)
{
    return vowi_load_relaxed(&l->woken) != 0
               ? vowi_swap_acquire(&l->woken, 0) /* [woken] */
               : 0;
}

/* What this thread gives back may settle something, post here, or arm a timer: only then
 * one sees whether there is something to do. What is awaited may settle without a post. */
static bool
has_nothing_to_do(struct vow_loop *l)
{
    if (has_work(l))
        return false;
    if (l->awaited != NULL)
        vowi_thread_unload(vowi_self()); /* as in drain_trampoline */
    else
        vowi_thread_idle(vowi_self());
    return !has_work(l) &&
           (l->awaited == NULL || vow_future_status(l->awaited) == VOW_PENDING);
}

/* Sleeps first if there is nothing to do, until a monotonic time. */
static void
turn(struct vow_loop *l, vow_ns until)
{
    l->turn_steps = VOWI_LOOP_TURN_STEPS;
    l->ran = false;
    l->polled = false;
    if (has_nothing_to_do(l))
        vowi_loop_sleep(l, until);
    if (take_wake(l) & VOWI_LOOP_ASKED)
        l->ran = true;
    vowi_loop_fire_due(l);
    run_posts(l);
    dispatch(l);
    vowi_loop_run_frame(l);
    run_idle(l);
    vowi_loop_carry_over(l);
    vowi_loop_count(&l->turns);
}

/* ---- running ------------------------------------------------------------------------------- */

/* One run of the loop, on the stack of the runner. */
struct visit {
    struct vow_loop *loop;
    vow_executor *before;
    vow_future *awaited_before;
};

/* Returns 0, or why the turns have to end. */
static int
why_end(struct vow_loop *l)
{
    if (vowi_loop_is_forked(l)) /* by a callback, and this is the child */
        return VOW_E_FORKED;
    if (vowi_load_acquire(&l->stopping)) /* [woken] */
        return ECANCELED;
    if (l->poll_error != 0)
        return l->poll_error;
    if (vowi_loop_life(l) == VOWI_LOOP_OPEN)
        return 0;
    vowi_loop_close_fds(l); /* a close by another thread has left them to this one */
    return vowi_loop_try_end(l) ? VOW_E_CLOSED : 0;
}

static void
thread_exits(void *arg)
{
    struct visit *v = arg;

    v->loop->awaited = v->awaited_before;
    vowi_loop_go_out(v->loop, v->before, true);
}

typedef int turns_fn(struct vow_loop *l, vow_future *f, vow_ns until);

/* Comes in, does turns, and goes out. */
static int
visit(struct vow_loop *l, bool nested, turns_fn *turns, vow_future *f, vow_ns until)
{
    struct visit v = {.loop = l};
    int rc = vowi_loop_come_in(l, nested, &v.before);

    if (rc != 0)
        return rc;
    v.awaited_before = l->awaited;
    l->awaited = f;
    pthread_cleanup_push(thread_exits, &v);
    rc = turns(l, f, until);
    pthread_cleanup_pop(0);
    l->awaited = v.awaited_before;
    /* the outermost has heard it; relaxed: a stop that comes now is the same */
    if (rc == ECANCELED && l->entered == 1)
        vowi_store_relaxed(&l->stopping, false);
    vowi_loop_go_out(l, v.before, false);
    return rc;
}

static int
turns_for_ever(struct vow_loop *l, vow_future *f, vow_ns until)
{
    int rc = why_end(l);

    (void)f;
    while (rc == 0) {
        turn(l, until);
        rc = why_end(l);
    }
    return rc;
}

int
vow_loop_run(vow_loop *l)
{
    int rc = visit(l, false, turns_for_ever, NULL, VOW_FOREVER);

    return rc == ECANCELED || rc == VOW_E_CLOSED ? 0 : rc;
}

static int
turns_until_something_ran(struct vow_loop *l, vow_future *f, vow_ns until)
{
    int rc = why_end(l);

    (void)f;
    while (rc == 0) {
        turn(l, until);
        rc = why_end(l);
        if (l->ran)
            return rc;
        if (rc == 0 && until != VOW_FOREVER && vowi_monotonic_now() >= until)
            return VOW_E_TIMEDOUT;
    }
    return rc;
}

int
vow_loop_run_once(vow_loop *l, vow_ns timeout)
{
    vow_ns until = INT64_MIN;

    if (timeout == VOW_FOREVER)
        until = VOW_FOREVER;
    else if (timeout > 0)
        until = vowi_time_add(vowi_monotonic_now(), timeout);
    return visit(l, false, turns_until_something_ran, NULL, until);
}

/* ---- waiting for a future -------------------------------------------------------------------- */

struct notice {
    vow_notice notice; /* first: all that its call gets */
    struct vow_loop *loop;
    struct vowi_awaited here; /* for a child, which has to take it off */
    atomic_bool called;       /* the last touch of who calls it */
};

static void
settled(vow_notice *notice)
{
    struct notice *n = (struct notice *)(void *)notice;

    if (!vowi_loop_is_runner(n->loop))
        vowi_loop_nudge(n->loop);
    vowi_store_release(&n->called, true); /* [notice] */
}

/* The child finds it noted, or it does not hang yet. */
static bool
attach(struct notice *n)
{
    struct vowi_thread *t = vowi_self();

    vowi_thread_register(t);
    n->here.notice = &n->notice;
    n->here.outer = vowi_load_relaxed(&t->awaited); /* relaxed: this thread's own */
    vowi_store_release(&t->awaited, &n->here);      /* [awaited] */
    if (vow_notice_attach(n->here.f, &n->notice))
        return true;
    vowi_store_release(&t->awaited, n->here.outer); /* [awaited] */
    return false;
}

/*
 * If it is too late for that, whoever settled it is about to call, or has; unless that was
 * a thread which fork left behind.
 */
static void
call_off(void *arg)
{
    struct notice *n = arg;
    unsigned round = 0;

    if (!vow_notice_detach(n->here.f, &n->notice))
        while (!vowi_load_acquire(&n->called) && /* [notice] */
               vowi_spin_wait(&round))
            ;
    vowi_store_release(&vowi_self()->awaited, n->here.outer); /* [awaited] */
}

/* Whether it is this loop's close future, which waits for the callback that asks. */
static bool
is_own_end(struct vow_loop *l, vow_future *f)
{
    vow_future *closing;

    if (vowi_loop_life(l) == VOWI_LOOP_OPEN)
        return false;
    closing = vow_executor_close(&l->executor, VOW_DRAIN); /* it is closed already */
    vow_ignore(closing); /* in a forked child it is a refusal */
    return closing == f;
}

/* relaxed: its own thread wrote it. */
static int
why_not_wait(struct vow_loop *l, vow_future *f, bool inside)
{
    if (inside && is_own_end(l, f))
        return VOW_E_DEADLOCK;
    if (inside && vowi_loop_life(l) >= VOWI_LOOP_CANCELLING)
        return VOW_E_CLOSED;
    return why_end(l);
}

static int
turns_until_settled(struct vow_loop *l, vow_future *f, vow_ns until)
{
    bool inside = l->entered > 1;
    int rc = 0;

    while (
        !vow_wait(f, 1)) { /* which runs inline steps, and on this thread never sleeps */
        rc = why_not_wait(l, f, inside);
        if (rc != 0)
            break;
        turn(l, until);
    }
    if (rc == 0 && vow_future_status(f) == VOW_PENDING)
        return VOW_E_FORKED; /* nothing will come of it, which ends a wait as well */
    return rc;
}

static int
turns_with_notice(struct vow_loop *l, vow_future *f, vow_ns until)
{
    struct notice n = {.loop = l, .here.f = f};
    int rc;

    n.notice.settled = settled;
    atomic_init(&n.called, false);
    if (f == NULL || !attach(&n))
        return 0;
    pthread_cleanup_push(call_off, &n);
    rc = turns_until_settled(l, f, until);
    pthread_cleanup_pop(1);
    return rc;
}

int
vow_loop_run_until(vow_loop *l, vow_future *f)
{
    int rc;

    if (vowi_self()->deferred != 0 && vow_future_status(f) == VOW_PENDING)
        return VOW_E_DEADLOCK;
    rc = visit(l, true, turns_with_notice, f, VOW_FOREVER);
    if (rc == VOW_E_CLOSED && vow_future_status(f) != VOW_PENDING)
        return 0; /* the close future, say */
    return rc;
}

/* ---- from outside ----------------------------------------------------------------------------- */

void
vow_loop_stop(vow_loop *l)
{
    if (l == NULL)
        return;
    vowi_store_release(&l->stopping, true); /* [woken] */
    vowi_loop_nudge(l);
}
