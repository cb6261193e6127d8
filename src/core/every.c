/* SPDX-License-Identifier: MIT */
/*
 * core/every.c - work that is done again and again, until it fails or is cancelled.
 *
 * One timer, armed anew for each turn once the turn before has ended; its function may
 * return a future, and then the turn lasts until that has settled. At any moment one
 * party has the timer: its home while it is armed, else the turn. Who has it ends it all.
 *
 * A cancel says `stopped`, then disarms; a turn arms, then looks whether it is stopped.
 * Both go through the lock of home, so one of them gets the timer, and only one, since
 * only one disarm says VOW_REMOVED. What a turn waits for is found in the same way
 * [stopped].
 *
 * Two references: that of the promise's hook, and that of whoever has the timer. As long as
 * there is one, its executor and its home are held: a cancel that comes as it ends goes to
 * home to disarm.
 *
 * Edges:
 *     [stopped]  of a cancel and a turn one sees the other, or what it left
 *     [release]  all uses of it, from each release to the one that frees it
 */
#include <vow/delayed.h>

#include <vow/future.h>

#include "base/atomic.h"
#include "base/error.h"
#include "base/mark.h"
#include "base/mem.h"
#include "base/time.h"
#include "core/caller.h"
#include "core/executor.h"
#include "core/frame.h"
#include "core/submit.h"
#include "core/timer.h"
#include "core/trampoline.h"

struct every {
    vow_timer timer;
    vow_promise *promise;
    vow_task_fn *fn;
    vow_value ctx;
    vow_ns period;
    vow_missed missed;
    vow_future *turn;  /* what it returned, while the turn lasts; a reference */
    vow_error *reason; /* written before stopped */
    _Atomic(uint32_t) refs;
    atomic_bool stopped;
    _Atomic(vow_future *) waits_for; /* the same, for a cancel; who takes it out has it */
};

static void
every_unref(void *every)
{
    struct vowi_thread *t = vowi_self();
    struct every *e = every;

    if (vowi_sub_acq_rel(&e->refs, 1) != 1) /* [release] */
        return;
    vowi_executor_release(t, e->timer.on);
    vowi_executor_release(t, e->timer.home);
    vow_error_unref(e->reason);
    vowi_free(e, sizeof *e);
}

/* ---- the end --------------------------------------------------------------------- */

struct ending {
    struct every *e;
    vow_error *error;
};

static void
context_is_gone(void *ending)
{
    const struct ending *end = ending;
    vow_promise *p = end->e->promise;

    vow_promise_reject(p, end->error);
    vow_promise_unref(p);
    every_unref(end->e);
}

/* Whoever has the timer ends it all. Consumes the error. */
static void
end(struct every *e, vow_error *error)
{
    struct ending ending = {e, error};

    pthread_cleanup_push(context_is_gone, &ending);
    vow_value_drop(e->ctx);
    pthread_cleanup_pop(1);
}

/* Its executor has taken it, and does so no more. */
static void
end_refused(struct every *e, int why)
{
    end(e,
        why == VOW_E_CLOSED ? vowi_error_of_end(VOWI_END_OF_EVERY) : vowi_refusal(why));
}

static bool
is_stopped(struct every *e)
{
    return vowi_load_acquire(&e->stopped); /* [stopped] */
}

static void
cancel_waited_for(struct every *e)
{
    vow_future *f = vowi_swap_acq_rel(&e->waits_for, NULL); /* [stopped] */

    if (f == NULL)
        return;
    vow_future_cancel(f, vow_error_ref(e->reason));
    vow_unref(f);
}

/* The hook of the promise: somebody asks it to stop. */
static void
stop(vow_promise *p, const vow_error *reason, void *every)
{
    struct every *e = every;

    (void)p;
    e->reason = vow_error_ref(reason);
    vowi_store_release(&e->stopped, true); /* [stopped] */
    if (vow_timer_disarm(&e->timer) == VOW_REMOVED)
        end(e, vow_error_ref(reason));
    else
        cancel_waited_for(e);
}

/* ---- one turn after the other ---------------------------------------------------- */

/* When it is due next: one period later, unless that has been missed. */
static vow_ns
next_due(const struct every *e)
{
    vow_executor *home = e->timer.home;
    vow_ns now = vowi_timer_now(e->timer.on != NULL ? e->timer.on : home);
    vow_ns due = e->timer.when;
    vow_ns next = vowi_time_add(due, e->period);

    if (next >= now || e->missed == VOW_MISSED_BURST)
        return next;
    if (e->missed == VOW_MISSED_DELAY)
        return vowi_time_add(now, e->period);
    return vowi_time_add(now, e->period - 1 - vowi_time_sub(now, due + 1) % e->period);
}

static void
arm_next(struct every *e)
{
    int why;

    vowi_add_relaxed(&e->refs, 1); /* relaxed: the turn has one. For after the arm */
    why = vowi_timer_start(&e->timer, next_due(e), false);
    if (why != 0)
        end_refused(e, why);
    else if (is_stopped(e) && vow_timer_disarm(&e->timer) == VOW_REMOVED)
        end(e, vow_error_ref(e->reason));
    every_unref(e);
}

/* A turn has ended, with an error or without. Consumes it. */
static void
turn_ended(struct every *e, vow_error *error)
{
    if (error != NULL)
        end(e, error);
    else if (is_stopped(e))
        end(e, vow_error_ref(e->reason));
    else
        arm_next(e);
}

/* ---- a turn that waits ----------------------------------------------------------- */

static void
look_on(vow_view outcome, void *every)
{
    (void)outcome;
    (void)every;
}

/*
 * What a turn returned has settled. As a drop it is called in any case, last: a turn whose
 * future is pending by then could not be watched, for want of memory.
 */
static void
waited(void *every)
{
    struct every *e = every;
    vow_future *f = e->turn;
    vow_error *error = vow_error_of(VOW_E_NOMEM);

    if (vow_future_status(f) != VOW_PENDING)
        error = vow_error_ref(vow_peek(f).error);
    vow_ignore(f);
    /* relaxed: what was put there settled, and was seen to; one takes it out [stopped] */
    vow_unref(vowi_swap_relaxed(&e->waits_for, NULL));
    turn_ended(e, error);
}

/* Consumes the future. */
static void
wait_for(struct every *e, vow_future *f)
{
    vowi_add_relaxed(&e->refs, 1); /* relaxed: the turn has one. For after the wait */
    e->turn = vow_ref(f);
    vowi_swap_acq_rel(&e->waits_for, vow_ref(f)); /* [stopped] */
    vow_on_settled(f, NULL, look_on, vow_own(e, waited));
    if (is_stopped(e))
        cancel_waited_for(e);
    every_unref(e);
}

/* ---- a turn ---------------------------------------------------------------------- */

static void
thread_exits_in_turn(void *every)
{
    struct vowi_thread *t = vowi_frame_exited();

    end(every, vowi_thread_exit_error());
    vowi_leave_exiting(t);
}

static vow_result
call(struct vowi_thread *t, struct every *e)
{
    struct vowi_frame frame;
    vow_result r;

    VOWI_USER_CODE(t, frame, vowi_promise_state(e->promise), r = e->fn(e->ctx.as.ptr),
                   thread_exits_in_turn, e);
    return r;
}

static void
take_turn(struct vowi_thread *t, struct every *e)
{
    vow_result r = call(t, e);

    if (vowi_marks_turn(&r)) {
        turn_ended(e, vow_error_of(VOW_E_INVALID));
        return;
    }
    if (r.follow != NULL) {
        wait_for(e, r.follow);
        vow_value_drop(r.value);
        vow_error_unref(r.error);
        return;
    }
    vow_value_drop(r.value);
    turn_ended(e, r.error);
}

static void
run_every(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct every *e = vowi_container_of(task, struct every, timer.task);
    bool outermost = vowi_enter(t);

    if (why != 0)
        end_refused(e, why);
    else if (is_stopped(e))
        end(e, vow_error_ref(e->reason));
    else
        take_turn(t, e);
    vowi_leave(t, outermost);
}

/* ---- the beginning ---------------------------------------------------------------- */

static struct every *
every_new(vow_ns period, vow_missed missed, vow_task_fn *fn, const void *site)
{
    static const struct every zero;
    struct every *e = vowi_alloc(sizeof *e);

    if (e == NULL)
        return NULL;
    *e = zero;
    e->timer.task.run = run_every;
    e->fn = fn;
    e->period = period;
    e->missed = missed;
    atomic_init(&e->refs, 2);
    atomic_init(&e->stopped, false);
    atomic_init(&e->waits_for, NULL);
    e->promise = vowi_promise_new_at(site);
    if (e->promise == NULL) {
        vowi_free(e, sizeof *e);
        return NULL;
    }
    return e;
}

/* Decides where it runs, and keeps that. */
static int
settle_down(struct every *e, vow_executor *on)
{
    struct vowi_thread *t = vowi_self();
    int why;

    if (e->period <= 0)
        return VOW_E_INVALID;
    if (vow_executor_is_closed(on))
        return VOW_E_CLOSED;
    e->timer.when = vowi_timer_now(on);
    why = vowi_timer_place(on, &e->timer);
    if (why == 0) {
        vowi_executor_hold(t, e->timer.home);
        if (e->timer.on != NULL)
            vowi_executor_hold(t, e->timer.on);
    }
    return why;
}

vow_future *
vow_submit_every(vow_executor *on, vow_ns period, vow_missed missed, vow_task_fn *fn,
                 vow_value ctx)
{
    struct every *e = every_new(period, missed, fn, __builtin_return_address(0));
    vow_future *f;
    int why;

    if (e == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    f = vow_promise_future(e->promise);
    e->ctx = ctx;
    why = settle_down(e, on);
    if (vow_promise_on_cancel(e->promise, NULL, stop, vow_own(e, every_unref)) == NULL)
        why = VOW_E_NOMEM;
    if (why != 0)
        end(e, vowi_refusal(why));
    else
        arm_next(e);
    return f;
}
