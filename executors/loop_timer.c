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

#include <vow/delayed.h>

#include "loop_internal.h"

/* ---- arming ------------------------------------------------------------------------------ */

int
vowi_loop_arm(vow_executor *self, vow_timer *timer)
{
    struct vow_loop *l = vowi_loop_of(self);
    bool accepted, sooner = false;

    vowi_lock_acquire(&l->lock);
    accepted = vowi_loop_life(l) == VOWI_LOOP_OPEN && !vow_executor_is_closed(timer->on);
    if (accepted) {
        if (timer->home != self) /* else others may read it just now */
            timer->home = self;
        vowi_wheel_add(&l->timers, timer);
        vowi_loop_set_timed_locked(l, true);
        sooner = vowi_loop_is_sooner_locked(l, timer->when);
    }
    vowi_lock_release(&l->lock);
    if (sooner)
        vowi_loop_nudge(l);
    return accepted ? 0 : VOW_E_CLOSED;
}

static bool
is_firing_locked(const struct vow_loop *l, const vow_timer *timer)
{
    vowi_list_each (link, &l->firing)
        if (vowi_container_of(link, struct vowi_firing, link)->timer == timer)
            return true;
    return false;
}

/* Of one for elsewhere it is not known here whether it has ended (vow_timer_disarm). */
static bool
has_begun_locked(const struct vow_loop *l, const vow_timer *timer)
{
    return (timer->on != NULL && vowi_timer_was_taken(timer)) ||
           is_firing_locked(l, timer);
}

vow_removal
vowi_loop_disarm(vow_executor *self, vow_timer *timer)
{
    struct vow_loop *l = vowi_loop_of(self);
    vow_removal removal = VOW_REMOVED;

    vowi_lock_acquire(&l->lock);
    if (!vowi_wheel_disarm(&l->timers, timer))
        removal = has_begun_locked(l, timer) ? VOW_RUNNING : VOW_RAN;
    vowi_lock_release(&l->lock);
    return removal;
}

vow_ns
vowi_loop_next_timer_locked(const struct vow_loop *l)
{
    return l->due.next != &l->due ? INT64_MIN : vowi_wheel_next(&l->timers);
}

/* ---- running ------------------------------------------------------------------------------ */

static vow_timer *
fires_locked(struct vow_loop *l, struct vowi_firing *f, vow_timer *timer)
{
    if (timer == NULL)
        return NULL;
    f->timer = timer;
    f->loop = l;
    f->forks = vowi_globals.forks;
    vowi_list_push(&l->firing, &f->link);
    return timer;
}

/* It has run, or its thread exits inside it. */
static void
end_firing(void *firing)
{
    struct vowi_firing *f = firing;

    vowi_lock_acquire(&f->loop->lock);
    if (f->forks == vowi_globals.forks)
        vowi_list_remove(&f->link);
    vowi_lock_release(&f->loop->lock);
}

static void
run_timer(struct vowi_firing *f, vow_timer *timer, int why)
{
    pthread_cleanup_push(end_firing, f);
    vow_timer_fire(timer, why);
    pthread_cleanup_pop(1);
}

/* Phase 1, and what is due then. Returns whether any is armed. */
static bool
collect_due(struct vow_loop *l)
{
    bool any;

    vowi_lock_acquire(&l->lock);
    any = vowi_wheel_count(&l->timers) != 0;
    if (any)
        vowi_wheel_list_due(&l->timers, vowi_loop_now(l), &l->due);
    vowi_lock_release(&l->lock);
    return any;
}

/* Also of a loop that never sleeps. */
static void
spread_ahead(struct vow_loop *l)
{
    vowi_lock_acquire(&l->lock);
    vowi_wheel_ahead(&l->timers);
    vowi_lock_release(&l->lock);
}

/* Makes the caller the one who runs it, if it returns one. */
static vow_timer *
take_listed(struct vow_loop *l, struct vowi_firing *f, vow_timer *list)
{
    vow_timer *timer;

    vowi_lock_acquire(&l->lock);
    timer = fires_locked(l, f, vowi_wheel_unlist(&l->timers, list));
    vowi_lock_release(&l->lock);
    return timer;
}

void
vowi_loop_fire_due(struct vow_loop *l)
{
    struct vowi_firing f;
    vow_timer *timer;

    if (!vowi_loop_is_timed(l) || !collect_due(l))
        return;
    while ((timer = take_listed(l, &f, &l->due)) != NULL) {
        run_timer(&f, timer, 0);
        vowi_loop_count(&l->fired_timers);
        l->ran = true;
        vowi_loop_after_callback(l);
    }
    spread_ahead(l);
}

/* ---- ending -------------------------------------------------------------------------------- */

static void
close_due(struct vow_loop *l)
{
    struct vowi_firing f;
    vow_timer *timer;

    while ((timer = take_listed(l, &f, &l->due)) != NULL)
        run_timer(&f, timer, VOW_E_CLOSED);
}

/* When it is closed nothing is armed any more. */
void
vowi_loop_close_timers(struct vow_loop *l)
{
    vowi_lock_acquire(&l->lock);
    vowi_wheel_list_due(&l->timers, VOW_FOREVER, &l->due);
    vowi_lock_release(&l->lock);
    close_due(l);
}

/* One for another executor, of those that are due. */
static vow_timer *
take_due_for(struct vow_loop *l, struct vowi_firing *f, const vow_executor *on)
{
    vow_timer *timer;

    vowi_lock_acquire(&l->lock);
    timer = l->due.next;
    while (timer != &l->due && timer->on != on)
        timer = timer->next;
    if (timer != &l->due)
        vowi_wheel_take(&l->timers, timer);
    timer = fires_locked(l, f, timer != &l->due ? timer : NULL);
    vowi_lock_release(&l->lock);
    return timer;
}

/* Those for another executor, on the stack of who closes that. */
struct revoking {
    struct vow_loop *l;
    const vow_executor *on;
    vow_timer list;
    unsigned forks; /* before it: in a child nothing is armed here */
};

static vow_timer *
take_revoked(struct revoking *r, struct vowi_firing *f)
{
    vow_timer *timer = NULL;

    if (r->forks == vowi_globals.forks)
        timer = take_listed(r->l, f, &r->list);
    return timer != NULL ? timer : take_due_for(r->l, f, r->on);
}

/* A run may end the thread: the others end all the same. */
static void
end_revoked(void *revoking)
{
    struct vowi_firing f;
    vow_timer *timer;

    pthread_cleanup_push(end_revoked, revoking);
    while ((timer = take_revoked(revoking, &f)) != NULL)
        run_timer(&f, timer, VOW_E_CLOSED);
    pthread_cleanup_pop(0);
}

void
vowi_loop_revoke(vow_executor *self, vow_executor *on)
{
    struct vow_loop *l = vowi_loop_of(self);
    struct revoking r = {.l = l, .on = on, .forks = vowi_globals.forks};

    vowi_lock_acquire(&l->lock);
    vowi_wheel_list(&l->timers, on, &r.list);
    vowi_lock_release(&l->lock);
    end_revoked(&r);
}
