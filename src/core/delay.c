/* SPDX-License-Identifier: MIT */
/*
 * core/delay.c - work after a delay, and sleeping.
 *
 * One block: a timer, the state of the result, and for work its function. Like a job it
 * has a hold of the memory until its task has come, and whoever claims it decides: the
 * task when it runs, or a canceller, who disarms the timer and, if that was in time, gives
 * the hold back himself. Home, the executor where the timer is armed, is held by the
 * claim, since a canceller asks it to disarm.
 */
#include "core/delay.h"

#include <vow/delayed.h>

#include "base/mem.h"
#include "base/time.h"
#include "core/block.h"
#include "core/executor.h"
#include "core/refs.h"
#include "core/submit.h"
#include "core/timer.h"
#include "core/trampoline.h"

static vow_task_fn *
function_of(struct vowi_delay *d)
{
    return vowi_kind(&d->state) == VOWI_DELAY ? d->fn.run : NULL;
}

static void
run_delay(vow_task *task, int why)
{
    struct vowi_thread *t = vowi_self();
    struct vowi_delay *d = vowi_container_of(task, struct vowi_delay, as.task.task);
    vow_executor *home = d->as.timer.home;
    bool outermost = vowi_enter(t);

    if (vowi_claim_task(&d->state)) {
        if (vowi_take_task_turn(t, &d->state, function_of(d), why))
            vowi_executor_release(t, home);
    } else {
        vowi_hold_release(t, &d->state);
    }
    vowi_leave(t, outermost);
}

void
vowi_delay_stopped(struct vowi_thread *t, struct vow_state *s)
{
    uint64_t kind = vowi_kind(s);
    struct vowi_delay *d = vowi_delay(s);
    vow_executor *home;

    if (kind != VOWI_DELAY && kind != VOWI_SLEEP)
        return;
    home = d->as.timer.home;
    if (vow_timer_disarm(&d->as.timer) == VOW_REMOVED)
        vowi_hold_release(t, s);
    vowi_executor_release(t, home);
}

static struct vowi_delay *
delay_new(uint64_t kind, size_t size, void *site)
{
    static const vow_timer zero;
    struct vowi_delay *d = vowi_alloc(size);

    if (d == NULL)
        return NULL;
    d->as.timer = zero;
    d->as.timer.task.run = run_delay;
    atomic_init(&d->state.word, 0);
    atomic_init(&d->state.refs, VOWI_CONSUMER | VOWI_HOLD | VOWI_ASKED | kind);
    d->state.extra = site;
    vowi_set_value(&d->state, VOW_NIL);
    return d;
}

/* Arms it, if it could be placed, and returns its future. It may have run before this
 * returns. */
static vow_future *
start(struct vowi_delay *d, int why, vow_ns when)
{
    if (why == 0) {
        vowi_executor_hold(vowi_self(), d->as.timer.home);
        why = vowi_timer_start(&d->as.timer, when, false);
    }
    if (why != 0)
        run_delay(&d->as.timer.task, why);
    return vowi_future(&d->state);
}

static vow_future *
submit_at(vow_executor *on, vow_ns when, vow_task_fn *fn, vow_value ctx, void *site)
{
    struct vowi_delay *d = delay_new(VOWI_DELAY, sizeof *d, site);

    if (d == NULL) {
        vow_value_drop(ctx);
        return NULL;
    }
    d->fn.run = fn;
    vowi_set_value(&d->state, ctx);
    return start(d, vowi_timer_place(on, &d->as.timer), when);
}

vow_future *
vow_submit_at(vow_executor *on, vow_ns when, vow_task_fn *fn, vow_value ctx)
{
    return submit_at(on, when, fn, ctx, __builtin_return_address(0));
}

vow_future *
vow_submit_after(vow_executor *on, vow_ns delay, vow_task_fn *fn, vow_value ctx)
{
    vow_ns when = vowi_time_add(vowi_timer_now(on), delay);

    return submit_at(on, when, fn, ctx, __builtin_return_address(0));
}

vow_future *
vow_sleep(vow_clock *clock, vow_ns duration)
{
    struct vowi_delay *d =
        delay_new(VOWI_SLEEP, VOWI_SLEEP_SIZE, __builtin_return_address(0));

    if (clock == NULL)
        clock = vowi_clock_here();
    if (d == NULL)
        return NULL;
    return start(d, vowi_timer_place_by(clock, &d->as.timer),
                 vowi_time_add(vow_clock_now(clock), duration));
}
