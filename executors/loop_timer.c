/* SPDX-License-Identifier: MIT */
/*
 * executors/loop_timer.c - timers armed at a loop, from any thread.
 *
 * Phase 2 first takes off what is due at the time of the turn, and then runs those
 * one by one: what they arm is for the next turn, however early it is due. A timer
 * in that list can still be disarmed. One that runs is in `firing`, in a record on
 * the stack of whoever runs it, so that at any moment a timer is armed, or firing, or
 * has run, and what disarm answers is exact.
 */
#include <pthread.h>

#include "loop_internal.h"

/* ---- those that are due ------------------------------------------------------------------ */

static bool
is_due(const struct vow_loop *l, const vow_timer *timer)
{
    return timer->task.next == &l->due.mark;
}

static void
push_due(struct vowi_due *due, vow_timer *timer)
{
    timer->task.next = &due->mark;
    timer->next = NULL;
    timer->prev = due->first != NULL ? due->last : NULL;
    if (due->first == NULL)
        due->first = timer;
    else
        due->last->next = timer;
    due->last = timer;
}

static void
remove_due(struct vowi_due *due, vow_timer *timer)
{
    timer->task.next = NULL;
    if (timer->prev == NULL)
        due->first = timer->next;
    else
        timer->prev->next = timer->next;
    if (timer->next == NULL)
        due->last = timer->prev;
    else
        timer->next->prev = timer->prev;
}

/* ---- arming ------------------------------------------------------------------------------ */

int
vowi_loop_arm(vow_executor *self, vow_timer *timer)
{
    struct vow_loop *l = vowi_loop_of(self);
    bool accepted, sooner = false;

    vowi_lock_acquire(&l->lock);
    accepted = vowi_loop_life(l) == VOWI_LOOP_OPEN;
    if (accepted) {
        vowi_wheel_add(&l->timers, timer);
        timer->home = self;
        sooner = vowi_loop_is_sooner_locked(l, timer->when);
    }
    vowi_lock_release(&l->lock);
    if (sooner)
        vowi_loop_nudge(l);
    return accepted ? 0 : VOW_E_CLOSED;
}

/* Takes off one that is armed. */
static void
unhang_locked(struct vow_loop *l, vow_timer *timer)
{
    if (is_due(l, timer))
        remove_due(&l->due, timer);
    else
        vowi_wheel_remove(&l->timers, timer);
    timer->home = NULL;
}

static bool
is_firing_locked(const struct vow_loop *l, const vow_timer *timer)
{
    vowi_list_each (link, &l->firing)
        if (vowi_container_of(link, struct vowi_firing, link)->timer == timer)
            return true;
    return false;
}

vow_removal
vowi_loop_disarm(vow_executor *self, vow_timer *timer)
{
    struct vow_loop *l = vowi_loop_of(self);
    vow_removal removal = VOW_REMOVED;

    vowi_lock_acquire(&l->lock);
    if (timer->home == self)
        unhang_locked(l, timer);
    else
        removal = is_firing_locked(l, timer) ? VOW_RUNNING : VOW_RAN;
    vowi_lock_release(&l->lock);
    return removal;
}

vow_ns
vowi_loop_next_timer_locked(const struct vow_loop *l)
{
    return l->due.first != NULL ? INT64_MIN : vowi_wheel_next(&l->timers);
}

/* ---- running ------------------------------------------------------------------------------ */

/* One that was taken off. */
static void
begin_firing_locked(struct vow_loop *l, struct vowi_firing *f, vow_timer *timer)
{
    timer->home = NULL;
    f->timer = timer;
    f->loop = l;
    vowi_list_push(&l->firing, &f->link);
}

/* The first of those that are due; if told, else the first that is armed. */
static vow_timer *
take_first(struct vow_loop *l, struct vowi_firing *f, bool any)
{
    vow_timer *timer;

    vowi_lock_acquire(&l->lock);
    timer = l->due.first;
    if (timer != NULL)
        remove_due(&l->due, timer);
    else if (any)
        timer = vowi_wheel_take_due(&l->timers, VOW_FOREVER);
    if (timer != NULL)
        begin_firing_locked(l, f, timer);
    vowi_lock_release(&l->lock);
    return timer;
}

/* It has run, or its thread exits inside it. */
static void
end_firing(void *firing)
{
    struct vowi_firing *f = firing;

    vowi_lock_acquire(&f->loop->lock);
    vowi_list_remove(&f->link);
    vowi_lock_release(&f->loop->lock);
}

static void
run_timer(struct vowi_firing *f, vow_timer *timer, int why)
{
    pthread_cleanup_push(end_firing, f);
    timer->task.run(&timer->task, why);
    pthread_cleanup_pop(1);
}

/* Phase 1, and what is due then. */
static void
collect_due(struct vow_loop *l)
{
    vow_timer *timer;
    vow_ns now;

    vowi_lock_acquire(&l->lock);
    if (vowi_wheel_count(&l->timers) != 0) {
        now = vowi_loop_now(l);
        while ((timer = vowi_wheel_take_due(&l->timers, now)) != NULL)
            push_due(&l->due, timer);
    }
    vowi_lock_release(&l->lock);
}

void
vowi_loop_fire_due(struct vow_loop *l)
{
    struct vowi_firing f;
    vow_timer *timer;

    collect_due(l);
    while ((timer = take_first(l, &f, false)) != NULL) {
        run_timer(&f, timer, 0);
        vowi_loop_count(&l->fired_timers);
        l->ran = true;
        vowi_loop_after_callback(l);
    }
}

void
vowi_loop_close_timers(struct vow_loop *l)
{
    struct vowi_firing f;
    vow_timer *timer;

    while ((timer = take_first(l, &f, true)) != NULL)
        run_timer(&f, timer, VOW_E_CLOSED);
}
