/* SPDX-License-Identifier: MIT */
/*
 * The executor that a test steps.
 *
 * Tasks wait in one queue, first in, first out. Timers wait in a wheel and only
 * vow_manual_advance looks at it: also one that was armed when it was already due
 * waits for the next advance. One timer runs at a time, and all that is queued
 * after it, before the next is looked for; so whatever a timer does to another one
 * of the same deadline still counts.
 *
 * The end. While it drains it takes steps, and what its own tasks post; no timers.
 * Once told to cancel it takes nothing. `busy` counts the threads that run a task
 * of it or that settle what a close left over: when that is zero, nothing is queued
 * and it is closed, it has finished, and whoever saw that says so. Saying so is the
 * last touch: the memory may be gone then.
 *
 * A timer that runs is in `firing`, in the record of whoever runs it, since its own
 * memory may be gone before its run returns. A close settles timers one by one, so
 * that at any moment each is either armed or firing or has run: what disarm answers
 * is exact.
 *
 * Whoever is busy has a record on its stack, and the records of a thread are a chain: it
 * may step inside a step. In a forked child those of the thread that forked are left, of
 * which each will be over, and the timers that they run.
 */
#include <vow/manual.h>

#include <pthread.h>

#include <vow/delayed.h>
#include <vow/future.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "queue/fifo.h"
#include "queue/wheel.h"
#include "sync/lock.h"

/* In the order in which it goes. */
enum life { OPEN, DRAINING, CANCELLING, FINISHED };

struct manual_clock {
    vow_clock clock;     /* first: what users of the clock know */
    _Atomic vow_ns time; /* written by the thread that steps; relaxed: a number alone */
};

struct vow_manual {
    vow_executor executor; /* first: what users of the executor know */
    struct manual_clock clock;

    struct vowi_lock lock;
    vow_task *first;         /* guarded by lock, like all that follows */
    vow_task **end;          /* where the next task is hung */
    struct vowi_list firing; /* timers whose run has not returned */
    unsigned busy;
    enum life life;
    struct vowi_wheel timers; /* what is armed here */
};

/* On the stack of a thread that is busy. */
struct vowi_stay {
    struct vowi_stay *outer; /* of the same thread, here or at another one */
    vow_manual *at;
    const vow_timer *timer; /* that it runs; NULL: none */
    struct vowi_link link;  /* if it runs one */
    vow_executor *before;   /* current outside, if it is one of ours inside */
};

static vow_manual *
manual_of(vow_executor *self)
{
    return (vow_manual *)(void *)self;
}

/* ---- being busy ---------------------------------------------------------- */

static void
stay_locked(vow_manual *m, struct vowi_stay *s, const vow_timer *timer)
{
    struct vowi_thread *t = vowi_self();

    s->at = m;
    s->timer = timer;
    if (timer != NULL)
        vowi_list_push(&m->firing, &s->link);
    s->outer = t->stay;
    t->stay = s;
    m->busy++;
}

/* The last touch of a thread that was busy, or exits. */
static void
leave(void *stay)
{
    struct vowi_stay *s = stay;
    vow_manual *m = s->at;
    bool finished;

    vowi_self()->stay = s->outer;
    vowi_lock_acquire(&m->lock);
    if (s->timer != NULL)
        vowi_list_remove(&s->link);
    m->busy--;
    finished = m->busy == 0 && m->first == NULL &&
               (m->life == DRAINING || m->life == CANCELLING);
    if (finished)
        m->life = FINISHED;
    vowi_lock_release(&m->lock);
    if (finished)
        vow_executor_finished(&m->executor);
}

static void
go_in(struct vowi_stay *s)
{
    s->before = vow_executor_enter(&s->at->executor);
}

static void
go_out(void *stay)
{
    const struct vowi_stay *s = stay;

    vow_executor_enter(s->before);
    leave(stay);
}

/* ---- tasks --------------------------------------------------------------- */

static bool
accepts_locked(const vow_manual *m, bool step)
{
    if (m->life == DRAINING)
        return step || vow_executor_current() == &m->executor;
    return m->life == OPEN;
}

static int
append(vow_manual *m, vow_task *first, vow_task *last, bool step)
{
    bool accepted;

    vowi_lock_acquire(&m->lock);
    accepted = accepts_locked(m, step);
    if (accepted) {
        last->next = NULL;
        *m->end = first;
        m->end = &last->next;
    }
    vowi_lock_release(&m->lock);
    return accepted ? 0 : VOW_E_CLOSED;
}

static bool
is_step(const vow_task *task)
{
    return (task->flags & VOW_TASK_STEP) != 0;
}

static int
manual_post(vow_executor *self, vow_task *task)
{
    return append(manual_of(self), task, task, is_step(task));
}

static int
manual_post_many(vow_executor *self, vow_task *first, size_t n)
{
    vow_task *last = first;
    bool steps = n > 0 && is_step(first);

    if (n == 0)
        return 0;
    while (--n > 0) {
        last = last->next;
        steps = steps && is_step(last);
    }
    return append(manual_of(self), first, last, steps);
}

/* Makes the caller busy if it returns a task. */
static vow_task *
take_task(vow_manual *m, struct vowi_stay *s)
{
    vow_task *task;

    vowi_lock_acquire(&m->lock);
    task = m->first;
    if (task != NULL) {
        m->first = task->next;
        if (m->first == NULL)
            m->end = &m->first;
        stay_locked(m, s, NULL);
    }
    vowi_lock_release(&m->lock);
    return task;
}

bool
vow_manual_step(vow_manual *m)
{
    struct vowi_stay s;
    vow_task *task = take_task(m, &s);

    if (task == NULL)
        return false;
    go_in(&s);
    pthread_cleanup_push(go_out, &s);
    task->run(task, 0);
    pthread_cleanup_pop(1);
    return true;
}

size_t
vow_manual_run(vow_manual *m)
{
    size_t ran = 0;

    while (vow_manual_step(m))
        ran++;
    return ran;
}

/* ---- timers -------------------------------------------------------------- */

static int
manual_arm(vow_executor *self, vow_timer *timer)
{
    vow_manual *m = manual_of(self);
    bool accepted;

    vowi_lock_acquire(&m->lock);
    accepted = m->life == OPEN && !vow_executor_is_closed(timer->on);
    if (accepted) {
        if (timer->home != self) /* else others may read it just now */
            timer->home = self;
        vowi_wheel_add(&m->timers, timer);
    }
    vowi_lock_release(&m->lock);
    return accepted ? 0 : VOW_E_CLOSED;
}

static bool
is_firing_locked(const vow_manual *m, const vow_timer *timer)
{
    vowi_list_each (link, &m->firing)
        if (vowi_container_of(link, struct vowi_stay, link)->timer == timer)
            return true;
    return false;
}

/* Of one for elsewhere it is not known here whether it has ended (vow_timer_disarm). */
static bool
has_begun_locked(const vow_manual *m, const vow_timer *timer)
{
    return (timer->on != NULL && vowi_timer_was_taken(timer)) ||
           is_firing_locked(m, timer);
}

static vow_removal
manual_disarm(vow_executor *self, vow_timer *timer)
{
    vow_manual *m = manual_of(self);
    vow_removal removal = VOW_REMOVED;

    vowi_lock_acquire(&m->lock);
    if (!vowi_wheel_disarm(&m->timers, timer))
        removal = has_begun_locked(m, timer) ? VOW_RUNNING : VOW_RAN;
    vowi_lock_release(&m->lock);
    return removal;
}

static vow_ns
time_of(const vow_manual *m)
{
    return vowi_load_relaxed(&m->clock.time);
}

static void
move_clock(vow_manual *m, vow_ns to)
{
    if (to > time_of(m))
        vowi_store_relaxed(&m->clock.time, to);
}

/* Makes the caller busy if it returns a timer, which is then listed as firing. */
static vow_timer *
take_timer(vow_manual *m, struct vowi_stay *s, vow_ns due)
{
    vow_timer *timer;

    vowi_lock_acquire(&m->lock);
    timer = vowi_wheel_take_due(&m->timers, due);
    if (timer != NULL)
        stay_locked(m, s, timer);
    vowi_lock_release(&m->lock);
    return timer;
}

static bool
fire_due(vow_manual *m, vow_ns due)
{
    struct vowi_stay s;
    vow_timer *timer = take_timer(m, &s, due);

    if (timer == NULL)
        return false;
    move_clock(m, timer->when);
    go_in(&s);
    pthread_cleanup_push(go_out, &s);
    vow_timer_fire(timer, 0);
    pthread_cleanup_pop(1);
    return true;
}

size_t
vow_manual_advance(vow_manual *m, vow_ns by)
{
    vow_ns to = vowi_time_add(time_of(m), by > 0 ? by : 0);
    size_t ran = vow_manual_run(m);

    if (to == VOW_FOREVER) /* which is never reached */
        to--;
    while (fire_due(m, to))
        ran += 1 + vow_manual_run(m);
    move_clock(m, to);
    return ran;
}

static vow_ns
read_clock(const vow_clock *self)
{
    return vowi_load_relaxed(&((const struct manual_clock *)(const void *)self)->time);
}

/* ---- its end ------------------------------------------------------------- */

/* Makes the caller busy. Returns what it has to refuse. */
static vow_task *
begin_close(vow_manual *m, struct vowi_stay *s, vow_close_mode mode)
{
    vow_task *refused = NULL;
    enum life life = mode == VOW_DRAIN ? DRAINING : CANCELLING;

    vowi_lock_acquire(&m->lock);
    stay_locked(m, s, NULL);
    if (life > m->life)
        m->life = life;
    if (m->life == CANCELLING) {
        refused = m->first;
        m->first = NULL;
        m->end = &m->first;
    }
    vowi_lock_release(&m->lock);
    return refused;
}

static void
end_timer(struct vowi_stay *s, vow_timer *timer)
{
    pthread_cleanup_push(leave, s);
    vow_timer_fire(timer, VOW_E_CLOSED);
    pthread_cleanup_pop(1);
}

/* What is ended may end the thread: then it goes on from there, and below. */
struct closing {
    struct vowi_stay stay;
    vow_task *refused;
};

static void
finish_close(void *closing)
{
    struct closing *c = closing;
    struct vowi_stay s;
    vow_timer *timer;

    pthread_cleanup_push(finish_close, c);
    vowi_end_tasks(&c->refused, VOW_E_CLOSED);
    while ((timer = take_timer(c->stay.at, &s, VOW_FOREVER)) != NULL)
        end_timer(&s, timer);
    pthread_cleanup_pop(0);
    leave(&c->stay);
}

static void
manual_close(vow_executor *self, vow_close_mode mode)
{
    struct closing c;

    c.refused = begin_close(manual_of(self), &c.stay, mode);
    finish_close(&c);
}

/* Timers of another executor. */
struct revoking {
    vow_manual *m;
    vow_timer list;
    unsigned forks; /* before it: in a child nothing is armed here */
};

/* Makes the caller busy if it returns a timer. */
static vow_timer *
unlist_timer(struct revoking *r, struct vowi_stay *s)
{
    vow_manual *m = r->m;
    vow_timer *timer = NULL;

    vowi_lock_acquire(&m->lock);
    if (r->forks == vowi_globals.forks)
        timer = vowi_wheel_unlist(&m->timers, &r->list);
    if (timer != NULL)
        stay_locked(m, s, timer);
    vowi_lock_release(&m->lock);
    return timer;
}

static void
end_listed(void *revoking)
{
    struct vowi_stay s;
    vow_timer *timer;

    pthread_cleanup_push(end_listed, revoking);
    while ((timer = unlist_timer(revoking, &s)) != NULL)
        end_timer(&s, timer);
    pthread_cleanup_pop(0);
}

static void
manual_revoke(vow_executor *self, vow_executor *on)
{
    vow_manual *m = manual_of(self);
    struct revoking r = {.m = m, .forks = vowi_globals.forks};

    vowi_lock_acquire(&m->lock);
    vowi_wheel_list(&m->timers, on, &r.list);
    vowi_lock_release(&m->lock);
    end_listed(&r);
}

static void
manual_destroy(vow_executor *self)
{
    vow_manual *m = manual_of(self);

    vowi_assert(m->busy == 0 && m->first == NULL && m->timers.count == 0);
    vowi_lock_fini(&m->lock);
    vowi_free(m, sizeof *m);
}

void
vow_manual_unref(vow_manual *m)
{
    if (m == NULL)
        return;
    vow_unref(vow_executor_close(&m->executor, VOW_CANCEL_QUEUED));
    vow_executor_unref(&m->executor);
}

/* ---- its beginning ------------------------------------------------------- */

static bool
manual_is_current(vow_executor *self)
{
    return vow_executor_current() == self;
}

static vow_clock *
manual_clock(vow_executor *self)
{
    return &manual_of(self)->clock.clock;
}

static const vow_error *
cannot_wait(vow_executor *self)
{
    (void)self;
    return vowi_error_of_wait(VOWI_WAIT_IN_MANUAL);
}

/* ---- looked at ------------------------------------------------------------- */

static void
manual_queued(vow_executor *self, bool (*each)(const vow_task *task, void *ctx),
              void *ctx)
{
    vow_manual *m = manual_of(self);
    const vow_task *task;

    vowi_lock_acquire(&m->lock);
    task = m->first;
    while (task != NULL && each(task, ctx))
        task = task->next;
    vowi_lock_release(&m->lock);
}

/* ---- in a forked child ----------------------------------------------------- */

/* What was queued or armed is the parent's; what this thread is about is the child's. */
static void
manual_forked(vow_executor *self)
{
    vow_manual *m = manual_of(self);
    struct vowi_stay *s = vowi_self()->stay;

    (void)vowi_lock_inherit(&m->lock);
    vowi_wheel_renew(&m->timers, time_of(m));
    vowi_list_init(&m->firing);
    m->first = NULL;
    m->end = &m->first;
    m->busy = 0;
    for (; s != NULL; s = s->outer)
        if (s->at == m) {
            m->busy++;
            if (s->timer != NULL)
                vowi_list_push(&m->firing, &s->link);
        }
}

static int
manual_revive(vow_executor *self)
{
    manual_of(self)->life = OPEN;
    return 0;
}

/* No block_begin: while a task runs here, nobody else would step. */
static const vow_executor_ops ops = {
    .size = sizeof ops,
    .name = "manual",
    .post = manual_post,
    .post_many = manual_post_many,
    .arm = manual_arm,
    .disarm = manual_disarm,
    .is_current = manual_is_current,
    .clock = manual_clock,
    .close = manual_close,
    .destroy = manual_destroy,
    .cannot_wait = cannot_wait,
    .revoke = manual_revoke,
    .forked = manual_forked,
    .revive = manual_revive,
    .queued = manual_queued,
};

vow_manual *
vow_manual_new(void)
{
    vow_manual *m = vowi_alloc(sizeof *m);

    if (m == NULL)
        return NULL;
    *m = (vow_manual){.clock.clock.now = read_clock, .end = &m->first};
    vowi_list_init(&m->firing);
    vowi_wheel_init(&m->timers, 0);
    m->clock.clock.timers = &m->executor;
    if (vowi_lock_init(&m->lock, VOWI_RANK_MANUAL) != 0)
        goto fail_memory;
    if (vow_executor_init(&m->executor, &ops) != 0)
        goto fail_lock;
    return m;

fail_lock:
    vowi_lock_fini(&m->lock);
fail_memory:
    vowi_free(m, sizeof *m);
    return NULL;
}

vow_executor *
vow_manual_executor(vow_manual *m)
{
    return m != NULL ? &m->executor : NULL;
}

vow_clock *
vow_manual_clock(vow_manual *m)
{
    return m != NULL ? &m->clock.clock : NULL;
}
