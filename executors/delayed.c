/* SPDX-License-Identifier: MIT */
/*
 * The timer thread: it fires the timers of executors that have none of their own.
 *
 * One for the process, started when the first timer is armed. It sleeps until the first
 * deadline, and an arm wakes it only if its own is earlier. It takes what is due, as much at
 * once as it then hands over with one post: so each timer is at any moment either armed or
 * gone, and who arms and disarms meanwhile meets it once for many. It hands them over with
 * no lock held; it runs no user code but an executor's post.
 *
 * A worker of a pool that falls asleep while a timer is due soon does the same in its place: it
 * keeps the time, sleeps until then, takes what is due and posts it, most often to itself.
 * So nothing is handed from a thread that was woken to one that has to be. One at a time
 * does. The thread comes for what is left: what is due before the keeper is to be
 * awake, and what was due a while ago. It has GRACE until then, so that where timers are
 * dense the thread sleeps while workers fire, and the thread is as good as late by that where
 * a keeper has got other work. An arm wakes the thread if neither of the two comes in time.
 * (A thread that has nothing to do waits for time and work at once: the schedulers of Go,
 * since 1.14, and of Tokio.)
 *
 * As an executor it is static and never closes. What is posted to it runs on the default
 * pool.
 */
#include <vow/delayed.h>

#include <errno.h>

#include <vow/pool.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/warn.h"
#include "queue/wheel.h"
#include "sync/lock.h"
#include "timekeeper.h"

#define FIRE_AT_ONCE 32      /* at most: those are taken under one hold of the lock */
#define GRACE        50000   /* for how long the thread leaves what is due to a keeper */
#define NEAR         1000000 /* what is due later is left to the thread */

/*
 * Timers that a close is about to end, on the stack of who closes. In a child that is used
 * again, and so these are armed there as before.
 */
struct closing {
    struct vowi_link link;
    vow_timer list;
};

static struct {
    struct vowi_lock lock;
    pthread_cond_t cond; /* the thread sleeps on it */
    bool has_cond;       /* guarded by lock, like all that follows */
    bool runs;           /* there is a thread */
    bool stops;          /* it has been told to end */
    bool kept;           /* a worker keeps the time, and sleeps */
    vow_ns kept_until;   /* when it will be awake; if there is none: when one last was */
    unsigned firing;     /* workers that fire what they have taken */
    /* INT64_MIN: the thread is awake, and looks before it sleeps. Read as a hint as well. */
    _Atomic(vow_ns) sleeps_until;
    struct vowi_wheel wheel;
    struct vowi_list closing;
} timers = {.lock = VOWI_LOCK_INIT(VOWI_RANK_TIMERS),
            .kept_until = INT64_MIN,
            .sleeps_until = VOW_FOREVER,
            .closing = {{&timers.closing.head, &timers.closing.head}}};

/* relaxed, here and below: it is guarded by the lock, but for those who take it as a hint */
static void
set_sleeps_until_locked(vow_ns until)
{
    vowi_store_relaxed(&timers.sleeps_until, until);
}

/* ---- the thread ---------------------------------------------------------- */

static void
sleep_locked(vow_ns until)
{
    set_sleeps_until_locked(until);
    vowi_lock_sleep(&timers.lock, &timers.cond, until);
    set_sleeps_until_locked(INT64_MIN);
}

/* There is a keeper, or there was one a moment ago that may be back. */
static bool
is_kept_locked(vow_ns now)
{
    return timers.kept || timers.kept_until > now - GRACE;
}

/* Up to when the thread takes what is due. A keeper comes at some time; what is due then or
 * later is left to it for a while. */
static vow_ns
taken_by_thread_locked(vow_ns now)
{
    vow_ns late = now - GRACE;

    if (!is_kept_locked(now) || timers.kept_until > now)
        return now;
    return timers.kept_until > late ? timers.kept_until - 1 : late;
}

/* When the thread has to come. While a keeper is late it does not look again and again. */
static vow_ns
next_for_thread_locked(void)
{
    vow_ns now = vowi_monotonic_now();
    vow_ns next = vowi_wheel_next(&timers.wheel);

    if (!is_kept_locked(now) || next < timers.kept_until)
        return next;
    if (!timers.kept)
        return now + GRACE;
    return vowi_time_add(timers.kept_until > now ? timers.kept_until : next, GRACE);
}

/* Takes what is due, linked by the tasks: several only if their executor takes lists. */
static vow_timer *
take_due_locked(vow_ns now, size_t *n)
{
    vow_timer *first = vowi_wheel_take_due(&timers.wheel, now);
    vow_timer *last = first;
    vow_timer *next;

    *n = first != NULL;
    if (first == NULL || first->on == NULL || first->on->ops->post_many == NULL)
        return first;
    while (*n < FIRE_AT_ONCE &&
           (next = vowi_wheel_take_due_on(&timers.wheel, now, first->on)) != NULL) {
        last->task.next = &next->task;
        last = next;
        ++*n;
    }
    last->task.next = NULL;
    return first;
}

/* Hands over what is due. The lock is given up meanwhile. Returns whether any was. */
static bool
fire_due_locked(void)
{
    size_t n;
    vow_ns now = vowi_monotonic_now();
    vow_timer *first = take_due_locked(taken_by_thread_locked(now), &n);

    if (first == NULL)
        return false;
    vowi_lock_release(&timers.lock);
    vowi_timers_fire(first, n);
    vowi_thread_idle(vowi_self()); /* it may sleep long */
    vowi_lock_acquire(&timers.lock);
    return true;
}

/* Spreads a few timers ahead. If there are more, others get the lock meanwhile, and what is
 * due by now comes first: returns true. */
static bool
prepare_locked(void)
{
    if (is_kept_locked(vowi_monotonic_now()) || !vowi_wheel_ahead(&timers.wheel))
        return false;
    vowi_lock_release(&timers.lock);
    vowi_lock_acquire(&timers.lock);
    return true;
}

static void
begin(void)
{
    vowi_sys_thread_begins("vow/timers");
    vowi_sys_sleep_exactly();
    vow_executor_enter(vowi_timer_thread());
}

static void
end_locked(void)
{
    timers.runs = false;
    set_sleeps_until_locked(VOW_FOREVER);
    pthread_cond_broadcast(&timers.cond);
}

static int start_locked(void);

/* pthread_exit in an executor's post: another thread carries on, from the next arm on if
 * none can be had now. In a child there is none until then. */
static void
thread_exits(void *forks)
{
    const unsigned *before = forks;
    int rc = 0;

    vowi_thread_idle(vowi_self());
    vowi_lock_acquire(&timers.lock);
    if (*before == vowi_globals.forks) {
        end_locked();
        if (!timers.stops)
            rc = start_locked();
    }
    vowi_lock_release(&timers.lock);
    if (rc != 0)
        vowi_warn(rc, "the timer thread ended in an executor and could not be replaced");
}

static void *
thread_main(void *unused)
{
    unsigned forks = vowi_globals.forks;

    (void)unused;
    begin();
    pthread_cleanup_push(thread_exits, &forks);
    vowi_lock_acquire(&timers.lock);
    while (!timers.stops) {
        bool fired = fire_due_locked();

        if (!prepare_locked() && !fired)
            sleep_locked(next_for_thread_locked());
    }
    end_locked();
    vowi_lock_release(&timers.lock);
    pthread_cleanup_pop(0);
    return NULL;
}

static int
start_locked(void)
{
    pthread_t thread;
    int rc = 0;

    if (!timers.has_cond) {
        rc = vowi_sys_cond_init(&timers.cond);
        if (rc != 0)
            return rc;
        timers.has_cond = true;
    }
    if (vowi_wheel_count(&timers.wheel) == 0)
        vowi_wheel_init(&timers.wheel, vowi_monotonic_now());
    rc = vowi_sys_thread_create(&thread, 0, thread_main, NULL);
    if (rc != 0)
        return rc;
    pthread_detach(thread);
    set_sleeps_until_locked(INT64_MIN);
    timers.runs = true;
    return 0;
}

void
vowi_timer_thread_stop(void)
{
    vowi_lock_acquire(&timers.lock);
    timers.stops = true;
    if (timers.runs)
        pthread_cond_broadcast(&timers.cond);
    while (timers.runs || timers.firing != 0)
        vowi_lock_sleep(&timers.lock, &timers.cond, VOW_FOREVER);
    timers.stops = false;
    vowi_lock_release(&timers.lock);
}

/* ---- arming -------------------------------------------------------------- */

/* A keeper comes for it; or if that is late the thread does, for what it leaves to one. */
static bool
is_left_to_keeper_locked(vow_ns when)
{
    return timers.kept && when >= timers.kept_until &&
           vowi_load_relaxed(&timers.sleeps_until) <= vowi_time_add(when, GRACE);
}

/* Returns whether the thread has to be woken. */
static bool
add_locked(vow_timer *timer)
{
    vowi_wheel_add(&timers.wheel, timer);
    if (timer->when >= vowi_load_relaxed(&timers.sleeps_until) ||
        is_left_to_keeper_locked(timer->when))
        return false;
    set_sleeps_until_locked(timer->when); /* later ones need not wake it again */
    return true;
}

static void
release_and_wake(bool wake)
{
    vowi_lock_release(&timers.lock);
    if (wake)
        pthread_cond_signal(&timers.cond);
}

/* ---- keepers ------------------------------------------------------------- */

/* If there is something to be spread ahead it does not sleep, and comes again. */
static vow_ns
begin_keeping_locked(vow_ns now)
{
    vow_ns next = now;

    if (!timers.runs || timers.stops || timers.kept)
        return VOW_FOREVER;
    if (!vowi_wheel_ahead(&timers.wheel))
        next = vowi_wheel_next(&timers.wheel);
    if (next >= vowi_time_add(now, NEAR))
        return VOW_FOREVER;
    timers.kept = true;
    timers.kept_until = next > now ? next : now;
    return next > now ? next : INT64_MIN;
}

vow_ns
vowi_timekeeper_begin(void)
{
    vow_ns until = vowi_load_relaxed(&timers.sleeps_until); /* relaxed: a hint */
    vow_ns now;

    if (until == VOW_FOREVER)
        return VOW_FOREVER;
    now = vowi_monotonic_now();
    if (until >= vowi_time_add(now, NEAR))
        return VOW_FOREVER;
    vowi_lock_acquire(&timers.lock);
    until = begin_keeping_locked(now);
    vowi_lock_release(&timers.lock);
    return until;
}

/* It has fired what it took; who stops the thread waits for that as well. */
static void
end_firing_locked(void)
{
    timers.firing--;
    if (timers.stops)
        pthread_cond_broadcast(&timers.cond);
}

vow_timer *
vowi_timekeeper_take(size_t fired, size_t *n)
{
    vow_ns now = vowi_monotonic_now();
    vow_timer *first = NULL;

    vowi_lock_acquire(&timers.lock);
    if (fired == 0)
        timers.kept = false;
    else
        end_firing_locked();
    if (!timers.kept)
        timers.kept_until = now;
    if (fired < FIRE_AT_ONCE)
        first = take_due_locked(now, n);
    timers.firing += first != NULL;
    vowi_lock_release(&timers.lock);
    return first;
}

void
vowi_timekeeper_exits(void)
{
    vowi_lock_acquire(&timers.lock);
    end_firing_locked();
    vowi_lock_release(&timers.lock);
}

void
vowi_timekeeper_end(void)
{
    vowi_lock_acquire(&timers.lock);
    timers.kept = false;
    timers.kept_until = INT64_MIN;
    vowi_lock_release(&timers.lock);
}

/* ---- closing ------------------------------------------------------------- */

static void
list_those_of_locked(struct closing *c, const vow_executor *on)
{
    vowi_wheel_list(&timers.wheel, on, &c->list);
    vowi_list_push(&timers.closing, &c->link);
}

/* Makes the caller the one who ends it, if it returns one. */
static vow_timer *
unlist(struct closing *c)
{
    vow_timer *timer;

    vowi_lock_acquire(&timers.lock);
    timer = vowi_wheel_unlist(&timers.wheel, &c->list);
    vowi_lock_release(&timers.lock);
    return timer;
}

/* A run may end the thread: the others end all the same. */
static void
end_listed(void *closing)
{
    struct closing *c = closing;
    vow_timer *timer;

    pthread_cleanup_push(end_listed, c);
    while ((timer = unlist(c)) != NULL)
        vow_timer_fire(timer, VOW_E_CLOSED);
    pthread_cleanup_pop(0);
    vowi_lock_acquire(&timers.lock);
    vowi_list_remove(&c->link);
    vowi_lock_release(&timers.lock);
}

static void
end_those_of(vow_executor *self, vow_executor *on)
{
    struct closing c;

    (void)self;
    vowi_lock_acquire(&timers.lock);
    list_those_of_locked(&c, on);
    vowi_lock_release(&timers.lock);
    end_listed(&c);
}

/* ---- fork ------------------------------------------------------------------ */

static void
arm_again_locked(struct closing *c)
{
    vow_timer *timer;

    while ((timer = vowi_wheel_unlist(&timers.wheel, &c->list)) != NULL)
        (void)add_locked(timer);
}

/* One that this thread is about goes on with an empty list. */
static void
forget_closing_locked(void)
{
    struct vowi_link *link;

    while ((link = vowi_list_pop(&timers.closing)) != NULL) {
        arm_again_locked(vowi_container_of(link, struct closing, link));
        link->next = link->prev = link;
    }
}

void
vowi_timer_thread_before_fork(void)
{
    vowi_lock_acquire(&timers.lock);
}

void
vowi_timer_thread_after_fork(bool in_child)
{
    if (in_child) {
        timers.runs = false;
        timers.kept = false;
        timers.kept_until = INT64_MIN;
        timers.firing = 0;
        set_sleeps_until_locked(VOW_FOREVER);
        timers.has_cond = false; /* it has sleepers that are no more: a new one */
        forget_closing_locked();
    }
    vowi_lock_release(&timers.lock);
}

/* ---- as an executor ------------------------------------------------------ */

static int
post(vow_executor *self, vow_task *task)
{
    vow_executor *pool = vow_default_pool();

    (void)self;
    return pool != NULL ? pool->ops->post(pool, task) : VOW_E_NOMEM;
}

static int
arm(vow_executor *self, vow_timer *timer)
{
    bool wake = false;
    int rc = 0;

    (void)self;
    vowi_lock_acquire(&timers.lock);
    if (!timers.runs)
        rc = start_locked();
    if (rc == 0 && vow_executor_is_closed(timer->on))
        rc = VOW_E_CLOSED;
    if (rc == 0)
        wake = add_locked(timer);
    release_and_wake(wake);
    return rc;
}

static vow_removal
disarm(vow_executor *self, vow_timer *timer)
{
    vow_removal removal = VOW_REMOVED;

    (void)self;
    vowi_lock_acquire(&timers.lock);
    if (!vowi_wheel_disarm(&timers.wheel, timer))
        removal = vowi_timer_was_taken(timer) ? VOW_RUNNING : VOW_RAN;
    vowi_lock_release(&timers.lock);
    return removal;
}

static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "timers",
    .post = post,
    .arm = arm,
    .disarm = disarm,
    .revoke = end_those_of,
};

vow_executor *
vowi_timer_thread(void)
{
    static vow_executor executor = {&ops, NULL};

    return &executor;
}
