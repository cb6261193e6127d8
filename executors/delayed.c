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
 * As an executor it is static and never closes. What is posted to it runs on the default
 * pool.
 */
#include <vow/delayed.h>

#include <errno.h>
#include <signal.h>

#include <vow/pool.h>

#include "base/list.h"
#include "base/sys.h"
#include "base/thread.h"
#include "base/time.h"
#include "queue/wheel.h"
#include "sync/lock.h"

#define FIRE_AT_ONCE 32 /* at most: those are taken under one hold of the lock */

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
    vow_ns sleeps_until; /* INT64_MIN: it is awake, and looks before it sleeps */
    struct vowi_wheel wheel;
    struct vowi_list closing;
} timers = {.lock = VOWI_LOCK_INIT(VOWI_RANK_TIMERS),
            .closing = {{&timers.closing.head, &timers.closing.head}}};

/* ---- the thread ---------------------------------------------------------- */

static void
sleep_locked(vow_ns until)
{
    timers.sleeps_until = until;
    vowi_lock_sleep(&timers.lock, &timers.cond, until);
    timers.sleeps_until = INT64_MIN;
}

/* Takes what is due, linked by the tasks: several only if their executor takes lists. */
static vow_timer *
take_due_locked(size_t *n)
{
    vow_ns now = vowi_monotonic_now();
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
    vow_timer *first = take_due_locked(&n);

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
    if (!vowi_wheel_ahead(&timers.wheel))
        return false;
    vowi_lock_release(&timers.lock);
    vowi_lock_acquire(&timers.lock);
    return true;
}

static void
begin(void)
{
    int old;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
#ifdef __linux__
    pthread_setname_np(pthread_self(), "vow/timers");
#endif
    vowi_sys_sleep_exactly();
    vow_executor_enter(vowi_timer_thread());
}

static void *
thread_main(void *unused)
{
    (void)unused;
    begin();
    vowi_lock_acquire(&timers.lock);
    while (!timers.stops) {
        bool fired = fire_due_locked();

        if (!prepare_locked() && !fired)
            sleep_locked(vowi_wheel_next(&timers.wheel));
    }
    timers.runs = false;
    pthread_cond_broadcast(&timers.cond);
    vowi_lock_release(&timers.lock);
    return NULL;
}

/* Signals are for the application's own threads; only faults stay where they are. */
static int
create(pthread_t *thread)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                 SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set, before;
    int rc;

    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_SETMASK, &set, &before);
    rc = vowi_sys_thread_create(thread, 0, thread_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
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
    timers.sleeps_until = INT64_MIN;
    rc = create(&thread);
    if (rc != 0)
        return rc;
    pthread_detach(thread);
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
    while (timers.runs)
        vowi_lock_sleep(&timers.lock, &timers.cond, VOW_FOREVER);
    timers.stops = false;
    vowi_lock_release(&timers.lock);
}

/* ---- arming -------------------------------------------------------------- */

/* Returns whether the thread has to be woken. */
static bool
add_locked(vow_timer *timer)
{
    vowi_wheel_add(&timers.wheel, timer);
    if (timer->when >= timers.sleeps_until)
        return false;
    timers.sleeps_until = timer->when; /* later ones need not wake it again */
    return true;
}

static void
release_and_wake(bool wake)
{
    vowi_lock_release(&timers.lock);
    if (wake)
        pthread_cond_signal(&timers.cond);
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

/* Returns whether the thread has to be woken. */
static bool
arm_again_locked(struct closing *c)
{
    bool wake = false;
    vow_timer *timer;

    while ((timer = vowi_wheel_unlist(&timers.wheel, &c->list)) != NULL)
        wake = add_locked(timer) || wake;
    return wake;
}

/* All of them have ended, or its thread exits inside one. */
static void
end_closing(void *closing)
{
    struct closing *c = closing;
    bool wake;

    vowi_lock_acquire(&timers.lock);
    wake = arm_again_locked(c);
    vowi_list_remove(&c->link);
    release_and_wake(wake);
}

static void
end_those_of(vow_executor *self, vow_executor *on)
{
    struct closing c;
    vow_timer *timer;

    (void)self;
    vowi_lock_acquire(&timers.lock);
    list_those_of_locked(&c, on);
    vowi_lock_release(&timers.lock);
    pthread_cleanup_push(end_closing, &c);
    while ((timer = unlist(&c)) != NULL)
        vow_timer_fire(timer, VOW_E_CLOSED);
    pthread_cleanup_pop(1);
}

/* ---- fork ------------------------------------------------------------------ */

/* One that this thread is about goes on with an empty list. */
static void
forget_closing_locked(void)
{
    struct vowi_link *link;

    while ((link = vowi_list_pop(&timers.closing)) != NULL) {
        (void)arm_again_locked(vowi_container_of(link, struct closing, link));
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
