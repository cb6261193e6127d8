/* SPDX-License-Identifier: MIT */
/*
 * Time: bare timers, work after a delay, sleeping. In virtual time where it can be;
 * the timer thread of the process where it must.
 */
#include "vow_test.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../executors/timekeeper.h"
#include "base/sys.h"
#include "base/time.h"
#include "drops.h"
#include "queue/wheel.h"
#include "sanitizer.h"
#include "sync/lock.h"

/* ---- a failing thread ---------------------------------------------------- */

int __real_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                                  void *arg);
int __real_vowi_sys_cond_init(pthread_cond_t *cond);
int __wrap_vowi_sys_cond_init(pthread_cond_t *cond);

static int no_thread; /* what the start of a thread gives instead; 0: a thread */
static int no_cond;

int
__wrap_vowi_sys_thread_create(pthread_t *thread, size_t stack, void *(*run)(void *),
                              void *arg)
{
    if (no_thread != 0)
        return no_thread;
    return __real_vowi_sys_thread_create(thread, stack, run, arg);
}

int
__wrap_vowi_sys_cond_init(pthread_cond_t *cond)
{
    return no_cond != 0 ? no_cond : __real_vowi_sys_cond_init(cond);
}

/* ---- between two steps of others ------------------------------------------ */

void __real_vowi_lock_sleep(struct vowi_lock *l, pthread_cond_t *cond, vow_ns deadline);
void __wrap_vowi_lock_sleep(struct vowi_lock *l, pthread_cond_t *cond, vow_ns deadline);
vow_ns __real_vowi_monotonic_now(void);
vow_ns __wrap_vowi_monotonic_now(void);

bool __real_vowi_wheel_ahead(struct vowi_wheel *w);
bool __wrap_vowi_wheel_ahead(struct vowi_wheel *w);

static _Thread_local bool finds_a_crowd; /* this thread, of timers that are due next */
static atomic_int thread_sleeps;         /* of the timer thread */
static _Atomic(vow_ns) sleeps_until;     /* the last of them */
static atomic_int stoppers;              /* that wait for the end of the timer thread */
static _Thread_local bool stops; /* what this thread does is to stop the timer thread */
static _Thread_local bool
    loses_it; /* the timer thread, as this one next reads the clock */

void
__wrap_vowi_lock_sleep(struct vowi_lock *l, pthread_cond_t *cond, vow_ns deadline)
{
    if (stops) {
        atomic_fetch_add(&stoppers, 1);
    } else {
        atomic_store(&sleeps_until, deadline);
        atomic_fetch_add(&thread_sleeps, 1);
    }
    __real_vowi_lock_sleep(l, cond, deadline);
}

vow_ns
__wrap_vowi_monotonic_now(void)
{
    vow_ns now = __real_vowi_monotonic_now();

    if (loses_it) {
        loses_it = false;
        vowi_timer_thread_stop();
    }
    return now;
}

bool
__wrap_vowi_wheel_ahead(struct vowi_wheel *w)
{
    return __real_vowi_wheel_ahead(w) || finds_a_crowd;
}

static atomic_int has_stopped;

static void *
stop_timer_thread(void *unused)
{
    stops = true;
    vowi_timer_thread_stop();
    atomic_store(&has_stopped, 1);
    return unused;
}

/* Returns when it waits. */
static pthread_t
stopper_start(void)
{
    pthread_t thread;

    atomic_store(&stoppers, 0);
    atomic_store(&has_stopped, 0);
    assert_int_equal(pthread_create(&thread, NULL, stop_timer_thread, NULL), 0);
    while (atomic_load(&stoppers) == 0 && atomic_load(&has_stopped) == 0)
        sched_yield();
    assert_int_equal(atomic_load(&has_stopped), 0);
    return thread;
}

/* ---- timers that are watched --------------------------------------------- */

/* A timer that notes what happened to it. */
struct alarm {
    vow_timer timer; /* first: the task is all that its run gets */
    atomic_int ran;
    int why;
    vow_executor *current;
    vow_removal answer; /* to a disarm inside its run */
    vow_ns at;
    atomic_bool go_on; /* a run waits for it, if it asks for that */
    bool waits;
};

static void
ring(vow_task *task, int why)
{
    struct alarm *a = (struct alarm *)(void *)task;
    bool waits = a->waits;

    a->why = why;
    a->current = vow_executor_current();
    a->at = vow_now();
    a->answer = vow_timer_disarm(&a->timer);
    atomic_fetch_add(&a->ran, 1);
    while (waits && !atomic_load(&a->go_on))
        sched_yield();
}

static struct alarm
alarm_new(void)
{
    return (struct alarm){.timer.task.run = ring, .why = -1};
}

static void
await_ran(struct alarm *a)
{
    while (atomic_load(&a->ran) == 0)
        sched_yield();
}

static vow_executor *
pool_new(unsigned threads)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = threads));

    assert_non_null(pool);
    return pool;
}

static void
pool_free(vow_executor *pool)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vowi_timer_thread_stop(); /* it lets go of what it posted to */
    vow_executor_unref(pool);
}

/* A manual executor whose clock is the process's until virtual_end. */
static vow_manual *
virtual_begin(void)
{
    vow_manual *m = vow_manual_new();

    assert_non_null(m);
    assert_null(vow_clock_use(vow_manual_clock(m)));
    return m;
}

static void
virtual_end(vow_manual *m)
{
    assert_ptr_equal(vow_clock_use(NULL), vow_manual_clock(m));
    vow_manual_unref(m);
}

static vow_result
from_delay(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

/* ---- bare timers on the manual executor ---------------------------------- */

VOW_CASE(timer_on_an_executor_with_timers_runs_there)
{
    vow_manual *m = vow_manual_new();
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(vow_manual_executor(m), &a.timer, 10), 0);
    assert_int_equal(vow_manual_advance(m, 9), 0);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, 0);
    assert_int_equal(a.at, 10);
    assert_ptr_equal(a.current, vow_manual_executor(m));
    assert_int_equal(a.answer, VOW_RUNNING);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    vow_manual_unref(m);
}

VOW_CASE(disarmed_timer_never_runs)
{
    vow_manual *m = vow_manual_new();
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN); /* never armed */
    assert_int_equal(vow_timer_arm(vow_manual_executor(m), &a.timer, 10), 0);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_REMOVED);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    assert_int_equal(vow_manual_advance(m, 20), 0);
    assert_int_equal(vow_timer_arm(vow_manual_executor(m), &a.timer, 30), 0);
    assert_int_equal(vow_manual_advance(m, 20), 1);
    assert_int_equal(vow_timer_disarm(NULL), VOW_RAN);
    vow_manual_unref(m);
}

VOW_CASE(rearmed_timer_runs_at_its_new_time_only)
{
    vow_manual *m = vow_manual_new();
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(vow_manual_executor(m), &a.timer, 10), 0);
    assert_int_equal(vow_timer_rearm(&a.timer, 20), VOW_REMOVED);
    assert_int_equal(vow_manual_advance(m, 19), 0);
    assert_int_equal(vow_timer_rearm(&a.timer, 5), VOW_REMOVED); /* past */
    assert_int_equal(vow_manual_advance(m, 0), 1);
    assert_int_equal(a.at, 19);
    assert_int_equal(vow_timer_rearm(&a.timer, 50), VOW_RAN);
    assert_int_equal(vow_manual_advance(m, 100), 0);
    vow_manual_unref(m);
}

VOW_CASE(timer_on_a_closed_executor_is_refused_and_an_armed_one_ends)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_executor_ref(vow_manual_executor(m));
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(on, &a.timer, 10), 0);
    vow_unref(vow_executor_close(on, VOW_DRAIN));
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(vow_timer_arm(on, &a.timer, 10), VOW_E_CLOSED);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    vow_executor_unref(on);
    vow_manual_unref(m);
}

/* ---- the timers of others, on a virtual clock ---------------------------- */

VOW_CASE(timer_for_a_pool_is_on_the_clock_in_force)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, vow_seconds(30)), 0);
    assert_int_equal(vow_manual_advance(m, vow_seconds(30) - 1), 0);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    await_ran(&a);
    assert_ptr_equal(a.current, pool);
    assert_int_equal(a.answer, VOW_RUNNING);
    pool_free(pool);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    virtual_end(m);
}

VOW_CASE(timer_that_was_refused_is_not_on_its_way)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_timer_arm(pool, &a.timer, 1), VOW_E_CLOSED);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    assert_int_equal(vow_manual_advance(m, 2), 0);
    assert_int_equal(a.ran, 0);
    pool_free(pool);
    virtual_end(m);
}

VOW_CASE(armed_timer_keeps_its_clock)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, 10), 0);
    vow_clock_use(NULL);
    assert_int_equal(vow_manual_advance(m, 10), 1);
    await_ran(&a);
    pool_free(pool);
    vow_manual_unref(m);
}

VOW_CASE(close_ends_a_timer_whose_clock_is_in_force_no_more)
{
    vow_manual *before = virtual_begin();
    vow_executor *pool = pool_new(1), *other = pool_new(1);
    struct alarm a = alarm_new(), b = alarm_new(), c = alarm_new();
    vow_manual *m = vow_manual_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, 10), 0);
    assert_int_equal(vow_timer_arm(other, &c.timer, 10), 0);
    vow_clock_use(vow_manual_clock(m));
    assert_int_equal(vow_timer_arm(pool, &b.timer, 10), 0);
    pool_free(pool);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    assert_int_equal(b.ran, 1);
    assert_int_equal(b.why, VOW_E_CLOSED);
    assert_int_equal(vow_manual_advance(before, 10), 1);
    await_ran(&c);
    assert_int_equal(c.why, 0);
    pool_free(other);
    virtual_end(m);
    vow_manual_unref(before);
}

VOW_CASE(disarm_tells_a_timer_on_its_way_from_one_that_has_run)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm first = alarm_new();
    struct alarm second = alarm_new();

    first.waits = true;
    assert_int_equal(vow_timer_arm(pool, &first.timer, 1), 0);
    assert_int_equal(vow_timer_arm(pool, &second.timer, 2), 0);
    vow_manual_advance(m, 1);
    await_ran(&first);
    vow_manual_advance(m, 1);
    assert_int_equal(vow_timer_disarm(&first.timer), VOW_RUNNING);
    assert_int_equal(vow_timer_disarm(&second.timer), VOW_RUNNING); /* queued */
    atomic_store(&first.go_on, true);
    pool_free(pool);
    assert_int_equal(vow_timer_disarm(&first.timer), VOW_RAN);
    assert_int_equal(vow_timer_disarm(&second.timer), VOW_RAN);
    assert_int_equal(second.ran, 1);
    virtual_end(m);
}

static void
check_close_with_timers(vow_close_mode mode)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    vow_executor *other = pool_new(1);
    struct alarm a[4] = {alarm_new(), alarm_new(), alarm_new(), alarm_new()};

    for (int i = 0; i < 4; i++)
        assert_int_equal(vow_timer_arm(i == 2 ? other : pool, &a[i].timer, i), 0);
    assert_int_equal(vow_timer_disarm(&a[1].timer), VOW_REMOVED);
    vow_unref(vow_executor_close(pool, mode));
    for (int i = 0; i < 4; i++)
        assert_int_equal(a[i].ran, i == 0 || i == 3);
    assert_int_equal(a[3].why, VOW_E_CLOSED);
    assert_int_equal(vow_timer_disarm(&a[3].timer), VOW_RAN);
    assert_int_equal(vow_timer_arm(pool, &a[1].timer, 5), VOW_E_CLOSED);
    assert_int_equal(vow_manual_advance(m, 10), 1);
    await_ran(&a[2]);
    pool_free(pool);
    pool_free(other);
    virtual_end(m);
}

VOW_CASE(executor_is_closed_from_its_close_on)
{
    vow_manual *m = vow_manual_new();

    assert_false(vow_executor_is_closed(NULL));
    assert_false(vow_executor_is_closed(vow_inline()));
    assert_false(vow_executor_is_closed(vow_manual_executor(m)));
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    assert_true(vow_executor_is_closed(vow_manual_executor(m)));
    vow_manual_unref(m);
}

VOW_CASE(close_ends_the_timers_of_that_executor_at_once)
{
    check_close_with_timers(VOW_DRAIN);
    check_close_with_timers(VOW_CANCEL_QUEUED);
}

VOW_CASE(last_reference_ends_the_timers_too)
{
    size_t live = counting_live();
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, 10), 0);
    vow_executor_unref(pool);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    virtual_end(m);
    while (counting_live() != live)
        sched_yield(); /* its worker is on the way out */
}

VOW_CASE(timers_of_others_end_with_the_executor_that_fires_them)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, 10), 0);
    virtual_end(m);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    pool_free(pool);
}

/* ---- an executor that refuses -------------------------------------------- */

static int
refuse_post(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_LIMIT;
}

static const vow_executor_ops refusing_ops = {
    .size = sizeof(vow_executor_ops),
    .name = "refusing",
    .post = refuse_post,
};

VOW_CASE(due_timer_that_is_refused_ends_with_the_code)
{
    vow_manual *m = virtual_begin();
    vow_executor refusing = {&refusing_ops, NULL};
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(&refusing, &a.timer, 1), 0);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_LIMIT);
    assert_int_equal(a.answer, VOW_RUNNING);
    virtual_end(m);
}

/* Takes timers, and gives them up, as often as it is told. */
static int arms;

static int
arm_now_and_then(vow_executor *self, vow_timer *timer)
{
    timer->home = self;
    return arms-- > 0 ? 0 : VOW_E_LIMIT;
}

static vow_removal
disarm_always(vow_executor *self, vow_timer *timer)
{
    (void)self;
    (void)timer;
    return VOW_REMOVED;
}

VOW_CASE(timer_that_cannot_be_armed_again_ends_with_the_code)
{
    static const vow_executor_ops ops = {
        .size = sizeof(vow_executor_ops),
        .name = "fickle",
        .post = refuse_post,
        .arm = arm_now_and_then,
        .disarm = disarm_always,
    };
    vow_executor fickle = {&ops, NULL};
    struct alarm a = alarm_new();

    arms = 1;
    assert_int_equal(vow_timer_arm(&fickle, &a.timer, 1), 0);
    assert_int_equal(vow_timer_rearm(&a.timer, 2), VOW_REMOVED);
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_LIMIT);
}

/* Who can arm and not disarm has no timers. */
VOW_CASE(timer_on_an_executor_with_half_of_it_is_armed_elsewhere)
{
    static const vow_executor_ops ops = {
        .size = sizeof(vow_executor_ops),
        .name = "half",
        .post = refuse_post,
        .arm = arm_now_and_then,
    };
    vow_manual *m = virtual_begin();
    vow_executor half = {&ops, NULL};
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(&half, &a.timer, 1), 0);
    assert_int_equal(vow_manual_advance(m, 1), 1);
    assert_int_equal(a.why, VOW_E_LIMIT);
    virtual_end(m);
}

/* A serial one has the clock of what it is on, and that fires its timers. */
VOW_CASE(close_ends_timers_though_another_clock_is_in_force)
{
    vow_manual *own = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(own));
    struct alarm a = alarm_new();
    vow_manual *m = virtual_begin();

    assert_int_equal(vow_timer_arm(serial, &a.timer, 5), 0);
    vow_unref(vow_executor_close(serial, VOW_DRAIN));
    assert_int_equal(a.ran, 1);
    assert_int_equal(a.why, VOW_E_CLOSED);
    vow_executor_unref(serial);
    vow_manual_unref(own);
    virtual_end(m);
}

static void
exit_thread(vow_task *task, int why)
{
    ring(task, why);
    pthread_exit(NULL);
}

VOW_CASE(timer_may_end_its_thread)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    a.timer.task.run = exit_thread;
    assert_int_equal(vow_timer_arm(pool, &a.timer, 1), 0);
    vow_manual_advance(m, 1);
    await_ran(&a);
    pool_free(pool);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
    virtual_end(m);
}

/* One has run while another runs. */
VOW_CASE(disarm_tells_one_that_runs_from_another)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(2);
    struct alarm first = alarm_new(), second = alarm_new();
    vow_removal removal;

    first.waits = true;
    assert_int_equal(vow_timer_arm(pool, &first.timer, 1), 0);
    vow_manual_advance(m, 1);
    await_ran(&first);
    assert_int_equal(vow_timer_arm(pool, &second.timer, 2), 0);
    vow_manual_advance(m, 1);
    do { /* it may be about to say that it has */
        removal = vow_timer_disarm(&second.timer);
        sched_yield();
    } while (removal != VOW_RAN);
    assert_int_equal(vow_timer_disarm(&first.timer), VOW_RUNNING);
    atomic_store(&first.go_on, true);
    pool_free(pool);
    virtual_end(m);
}

VOW_CASE(delay_without_a_default_pool_ends_with_no_memory)
{
    struct alarm a = alarm_new();
    vow_task task = {.run = a.timer.task.run};
    vow_future *f, *g;

    counting_fail_at(2, COUNTING_ONWARDS);
    f = vow_submit_after(NULL, 5, from_delay, VOW_NIL);
    counting_fail_at(1, COUNTING_ONWARDS);
    assert_int_equal(vow_timer_arm(NULL, &a.timer, 5), VOW_E_NOMEM);
    assert_int_equal(vow_timer_arm(vow_inline(), &a.timer, 5), VOW_E_NOMEM);
    assert_int_equal(vow_post_task(vowi_timer_thread(), &task), VOW_E_NOMEM);
    counting_fail_at(3, COUNTING_ONWARDS);
    g = vow_submit_every(NULL, 5, VOW_MISSED_SKIP, from_delay, VOW_NIL);
    counting_fail_at(0, COUNTING_ONCE);
    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
    vow_ignore(g);
}

VOW_CASE(due_timer_that_is_refused_does_not_run_on_the_timer_thread)
{
    static vow_executor refusing = {&refusing_ops, NULL}; /* looked at to the last */
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(&refusing, &a.timer, vow_now()), 0);
    await_ran(&a);
    assert_int_equal(a.why, VOW_E_LIMIT);
    assert_ptr_equal(a.current, vow_default_pool());
}

/* Likewise one of which nobody asks. */
VOW_CASE(due_delay_that_is_refused_does_not_end_on_the_timer_thread)
{
    static vow_executor refusing = {&refusing_ops, NULL}; /* looked at to the last */
    vow_future *f = vow_submit_after(&refusing, 1, from_delay, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_LIMIT);
    vow_unref(f);
}

/* ---- the timer thread ---------------------------------------------------- */

VOW_CASE(timer_thread_is_never_early_and_takes_an_earlier_one_first)
{
    vow_executor *pool = pool_new(1);
    struct alarm late = alarm_new();
    struct alarm a = alarm_new();
    vow_ns when = vow_now() + vow_ms(2);

    assert_int_equal(vow_timer_arm(pool, &late.timer, when + vow_seconds(3600)), 0);
    assert_int_equal(vow_timer_arm(pool, &a.timer, when), 0);
    await_ran(&a);
    assert_true(a.at >= when);
    assert_ptr_equal(a.current, pool);
    assert_int_equal(late.ran, 0);
    assert_int_equal(vow_timer_disarm(&late.timer), VOW_REMOVED);
    pool_free(pool);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_RAN);
}

/* More than it spreads at once, and all in a slot that begins later. */
VOW_CASE(crowd_of_timers_comes_of_the_timer_thread)
{
    enum { CROWD = 500 };
    vow_executor *pool = pool_new(1);
    vow_future *f[CROWD];

    for (int i = 0; i < CROWD; i++)
        f[i] = vow_submit_after(pool, vow_ms(120), from_delay, VOW_NIL);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(code_of(f[i]), 0);
        vow_unref(f[i]);
    }
    pool_free(pool);
}

/* As what is posted there may do, for the executor that it runs on. */
VOW_CASE(timer_of_the_timer_thread_itself_runs_there)
{
    struct alarm a = alarm_new();

    assert_int_equal(vow_timer_arm(vowi_timer_thread(), &a.timer, vow_now()), 0);
    await_ran(&a);
    assert_ptr_equal(a.current, vowi_timer_thread());
    assert_int_equal(a.why, 0);
    vowi_timer_thread_stop(); /* it has left the timer */
}

VOW_CASE(close_ends_what_the_timer_thread_has)
{
    vow_executor *pool = pool_new(1);
    struct alarm a[3] = {alarm_new(), alarm_new(), alarm_new()};

    for (int i = 0; i < 3; i++)
        assert_int_equal(
            vow_timer_arm(pool, &a[i].timer, vow_now() + vow_seconds(i * 9 + 9)), 0);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].ran, 1);
        assert_int_equal(a[i].why, VOW_E_CLOSED);
    }
    pool_free(pool);
}

VOW_CASE(timer_thread_that_cannot_start_is_an_error_and_is_tried_again)
{
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();
    vow_future *f;

    vowi_timer_thread_stop();
    no_thread = EAGAIN;
    assert_int_equal(vow_timer_arm(pool, &a.timer, 0), EAGAIN);
    f = vow_submit_after(pool, 0, NULL, VOW_NIL);
    assert_int_equal(vow_error_code(vow_peek(f).error), EAGAIN);
    vow_unref(f);
    no_thread = 0;
    assert_int_equal(a.ran, 0);
    assert_int_equal(vow_timer_arm(pool, &a.timer, 0), 0);
    await_ran(&a);
    pool_free(pool);
}

VOW_CASE(timer_thread_that_stops_starts_again_with_what_is_armed)
{
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();
    struct alarm b = alarm_new();

    assert_int_equal(vow_timer_arm(pool, &a.timer, vow_now() + vow_ms(1)), 0);
    vowi_timer_thread_stop();
    vowi_timer_thread_stop();
    assert_int_equal(vow_timer_arm(pool, &b.timer, 0), 0);
    await_ran(&a);
    await_ran(&b);
    pool_free(pool);
}

/* ---- a post that ends the timer thread ------------------------------------ */

static struct {
    bool stops;   /* first somebody waits for the end of the thread */
    pthread_t by; /* who that is */
    atomic_int warned;
} exits;

static int
exit_in_post(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    if (exits.stops)
        exits.by = stopper_start();
    else
        no_thread = EAGAIN;
    pthread_exit(NULL);
}

static const vow_executor_ops exits_in_post = {
    .size = sizeof exits_in_post, .name = "exits", .post = exit_in_post};
static vow_executor exiting = {&exits_in_post, NULL}; /* looked at to the last */

static void
note_no_thread(int code, const char *message, void *ctx)
{
    (void)message;
    (void)ctx;
    assert_int_equal(code, EAGAIN);
    atomic_store(&exits.warned, 1);
}

static void
run_task(struct alarm *a)
{
    a->timer.task.run(&a->timer.task, 0);
    assert_int_equal(a->ran, 1);
}

VOW_CASE(timer_thread_that_exits_and_cannot_be_had_anew_is_there_at_the_next_arm)
{
    struct alarm a = alarm_new(), b = alarm_new();
    vow_executor *pool;

    vow_on_warning(note_no_thread, NULL);
    exits.stops = false;
    assert_int_equal(vow_timer_arm(&exiting, &a.timer, vow_now()), 0);
    await_flag(&exits.warned, 1);
    no_thread = 0;
    vow_on_warning(NULL, NULL);
    pool = pool_new(1); /* not before: a worker of its own might have fired that */
    assert_int_equal(vow_timer_arm(pool, &b.timer, vow_now()), 0);
    await_ran(&b);
    run_task(&a);
    pool_free(pool);
}

VOW_CASE(timer_thread_that_exits_when_it_has_to_stop_has_stopped)
{
    struct alarm a = alarm_new();

    exits.stops = true;
    atomic_store(&has_stopped, 0);
    assert_int_equal(vow_timer_arm(&exiting, &a.timer, vow_now()), 0);
    while (atomic_load(&has_stopped) == 0)
        sched_yield();
    pthread_join(exits.by, NULL);
    run_task(&a);
}

/* ---- keepers: threads that fire timers in its place ---------------------- */

static atomic_int posted;
static pthread_t posted_by;

static int
note_poster(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    posted_by = pthread_self();
    atomic_fetch_add(&posted, 1);
    return 0;
}

static const vow_executor_ops notes_poster = {
    .size = sizeof notes_poster, .name = "notes", .post = note_poster};
static vow_executor noting = {&notes_poster, NULL}; /* looked at to the last */

/* What it has begun to keep. */
static void
keep_until(vow_ns until)
{
    vow_timer *first;
    size_t fired = 0;
    size_t n;

    assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER); /* there is one */
    while (until > vow_now())
        sched_yield();
    while ((first = vowi_timekeeper_take(fired, &n)) != NULL) {
        vowi_timers_fire(first, n);
        fired += n;
    }
}

/* Arms one and keeps the time for it. Returns whether this thread has fired it, which it
 * does not if it comes too late. */
static bool
keeps_time(void)
{
    struct alarm a = alarm_new();
    vow_ns until;

    atomic_store(&posted, 0);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + 500000), 0);
    until = vowi_timekeeper_begin();
    if (until != VOW_FOREVER)
        keep_until(until);
    while (atomic_load(&posted) == 0)
        sched_yield();
    vowi_timer_thread_stop();
    assert_int_equal(atomic_load(&posted), 1);
    a.timer.task.run(&a.timer.task, 0);
    assert_true(a.at >= a.timer.when);
    return pthread_equal(posted_by, pthread_self());
}

VOW_CASE(keeper_fires_what_is_due_in_the_timer_thread_s_place)
{
    while (!keeps_time())
        sched_yield();
}

VOW_CASE(timer_that_is_due_later_is_left_to_the_timer_thread)
{
    struct alarm a = alarm_new();

    vowi_timer_thread_stop();
    assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + vow_seconds(900)), 0);
    assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_REMOVED);
}

/* Stopped before it has fired that: what is armed stays armed. */
static void
arm_and_stop(struct alarm *a)
{
    for (;;) {
        *a = alarm_new();
        atomic_store(&posted, 0);
        assert_int_equal(vow_timer_arm(&noting, &a->timer, vow_now() + vow_ms(20)), 0);
        vowi_timer_thread_stop();
        if (atomic_load(&posted) == 0)
            return;
        a->timer.task.run(&a->timer.task, 0); /* it came too late */
    }
}

VOW_CASE(stop_of_the_timer_thread_waits_for_a_keeper_that_fires)
{
    struct alarm a;
    pthread_t stopper;
    size_t n;

    arm_and_stop(&a);
    while (vow_now() < a.timer.when)
        sched_yield();
    assert_ptr_equal(vowi_timekeeper_take(0, &n), &a.timer);
    assert_int_equal(n, 1);
    stopper = stopper_start();
    vowi_timers_fire(&a.timer, n);
    assert_int_equal(atomic_load(&posted), 1);
    assert_int_equal(atomic_load(&has_stopped), 0);
    assert_null(vowi_timekeeper_take(1, &n));
    pthread_join(stopper, NULL);
    a.timer.task.run(&a.timer.task, 0);
    assert_int_equal(a.ran, 1);
}

VOW_CASE(nobody_keeps_the_time_when_the_timer_thread_has_stopped)
{
    struct alarm a, b = alarm_new();

    for (;;) {
        a = alarm_new();
        atomic_store(&posted, 0);
        assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + 900000), 0);
        loses_it = true;
        assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER);
        if (!loses_it)
            break;
        await_flag(&posted, 1); /* it came too late */
        a.timer.task.run(&a.timer.task, 0);
    }
    assert_int_equal(vow_timer_arm(&noting, &b.timer, vow_now()), 0);
    await_flag(&posted, 2);
    a.timer.task.run(&a.timer.task, 0);
    b.timer.task.run(&b.timer.task, 0);
    vowi_timer_thread_stop();
}

/* What a worker arms as the last it does, so that it may keep the time for it. */
struct soon {
    struct alarm alarm;
    pthread_t worker;
    atomic_int armed;
};

static void
arm_soon(void *soon)
{
    struct soon *s = soon;

    s->worker = pthread_self();
    atomic_store(&s->armed,
                 vow_timer_arm(&noting, &s->alarm.timer, vow_now() + 500000) == 0 ? 1
                                                                                  : -1);
}

/* Returns whether it was the worker who fired it, or it came too late. */
static bool
worker_keeps_time(vow_executor *pool)
{
    struct soon s = {.alarm = alarm_new()};

    atomic_store(&posted, 0);
    assert_int_equal(vow_post(pool, arm_soon, vow_ptr(&s)), 0);
    while (atomic_load(&s.armed) == 0 || atomic_load(&posted) == 0) {
        assert_int_not_equal(atomic_load(&s.armed), -1);
        sched_yield();
    }
    return pthread_equal(posted_by, s.worker);
}

VOW_CASE(worker_that_keeps_time_fires_for_other_executors_as_well)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));

    while (!worker_keeps_time(pool))
        sched_yield();
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/* An executor that keeps what it is given, one by one or as lists. The first of all it keeps
 * the timer thread waiting for, so that more become due meanwhile. */
enum { LISTED = 40, FIRED_AT_ONCE = 32 };

static struct {
    atomic_bool waits, go_on;
    atomic_int taken;
    vow_task *tasks[1 + LISTED + 3];
    int lists[8]; /* how long each post was; 0: no list */
    int posts;
    vow_task *refused; /* a list, or this task */
} keeper;

static int
keep(vow_executor *self, vow_task *task)
{
    (void)self;
    if (task == keeper.refused)
        return VOW_E_LIMIT;
    keeper.lists[keeper.posts++] = 0;
    keeper.tasks[keeper.taken] = task;
    if (atomic_fetch_add(&keeper.taken, 1) > 0)
        return 0;
    atomic_store(&keeper.waits, true);
    while (!atomic_load(&keeper.go_on))
        sched_yield();
    return 0;
}

static int
keep_list(vow_executor *self, vow_task *first, size_t n)
{
    (void)self;
    if (keeper.refused != NULL)
        return VOW_E_LIMIT;
    keeper.lists[keeper.posts++] = (int)n;
    for (; first != NULL; first = first->next) {
        keeper.tasks[keeper.taken] = first;
        atomic_fetch_add(&keeper.taken, 1);
        n--;
    }
    assert_int_equal(n, 0);
    return 0;
}

static const vow_executor_ops keeps_each = {
    .size = sizeof keeps_each, .name = "keeps", .post = keep};
static const vow_executor_ops keeps_lists = {
    .size = sizeof keeps_lists, .name = "keeps", .post = keep, .post_many = keep_list};
static vow_executor each = {&keeps_each, NULL}; /* looked at to the last */
static vow_executor lists = {&keeps_lists, NULL};

/* Those of the default pool, so that none of them fires timers in the timer thread's place. */
static struct {
    atomic_int held, done;
    atomic_bool go_on;
} workers;

static void
hold_one(void *unused)
{
    (void)unused;
    atomic_fetch_add(&workers.held, 1);
    while (!atomic_load(&workers.go_on))
        sched_yield();
    atomic_fetch_add(&workers.done, 1);
}

static void
hold_workers(void)
{
    vow_executor *pool = vow_default_pool();
    int n = (int)vow_pool_threads(pool);

    memset(&workers, 0, sizeof workers);
    for (int i = 0; i < n; i++)
        assert_int_equal(vow_post(pool, hold_one, VOW_NIL), 0);
    while (atomic_load(&workers.held) < n)
        sched_yield();
}

static void
let_workers_go(void)
{
    atomic_store(&workers.go_on, true);
    while (atomic_load(&workers.done) < atomic_load(&workers.held))
        sched_yield();
}

static void
keep_timer_thread(struct alarm *a)
{
    memset(&keeper, 0, sizeof keeper);
    assert_int_equal(vow_timer_arm(&each, &a->timer, vow_now()), 0);
    while (!atomic_load(&keeper.waits))
        sched_yield();
}

/* Until a number has been taken; runs those in their order, which is that of the alarms. */
static void
run_kept(struct alarm *a, int n)
{
    atomic_store(&keeper.go_on, true);
    while (atomic_load(&keeper.taken) < n)
        sched_yield();
    let_workers_go();
    for (int i = 0; i < n; i++) {
        assert_ptr_equal(keeper.tasks[i], &a[i].timer.task);
        keeper.tasks[i]->run(keeper.tasks[i], 0);
        assert_int_equal(a[i].ran, 1);
        assert_int_equal(a[i].answer, VOW_RUNNING);
        assert_int_equal(vow_timer_disarm(&a[i].timer), VOW_RAN);
    }
    vowi_timer_thread_stop(); /* it has let go of what it posted */
}

VOW_CASE(due_timers_of_one_executor_are_posted_together)
{
    static struct alarm a[1 + LISTED + 3];

    for (int i = 0; i < 1 + LISTED + 3; i++)
        a[i] = alarm_new();
    keep_timer_thread(a);
    for (int i = 1; i < 1 + LISTED + 3; i++)
        assert_int_equal(vow_timer_arm(i == LISTED + 1 ? &each : &lists, &a[i].timer, i),
                         0);
    run_kept(a, 1 + LISTED + 3);
    assert_int_equal(keeper.posts, 5);
    assert_int_equal(keeper.lists[1], FIRED_AT_ONCE);
    assert_int_equal(keeper.lists[2], LISTED - FIRED_AT_ONCE);
    assert_int_equal(keeper.lists[3], 0);
    assert_int_equal(keeper.lists[4], 2);
}

VOW_CASE(nobody_keeps_the_time_when_the_timer_thread_is_told_to_stop)
{
    struct alarm a = alarm_new();
    pthread_t stopper;

    keep_timer_thread(&a);
    stopper = stopper_start();
    assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    assert_int_equal(atomic_load(&has_stopped), 0);
    run_kept(&a, 1);
    pthread_join(stopper, NULL);
}

static void
fire_all_due(size_t fired)
{
    vow_timer *first;
    size_t n;

    while ((first = vowi_timekeeper_take(fired, &n)) != NULL) {
        vowi_timers_fire(first, n);
        fired += n;
    }
}

static void
run_posted(struct alarm *a)
{
    a->timer.task.run(&a->timer.task, 0);
    assert_true(a->at >= a->timer.when);
}

/* The timer thread is kept waiting, so that what comes is for keepers. */
VOW_CASE(another_may_begin_to_keep_the_time_while_one_fires)
{
    struct alarm held = alarm_new(), a = alarm_new(), b = alarm_new();
    size_t n;

    atomic_store(&posted, 0);
    keep_timer_thread(&held);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now()), 0);
    assert_ptr_equal(vowi_timekeeper_take(0, &n), &a.timer);
    assert_int_equal(vow_timer_arm(&noting, &b.timer, vow_now() + 900000), 0);
    assert_int_not_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    vowi_timers_fire(&a.timer, n);
    fire_all_due(n);
    assert_int_equal(vowi_timekeeper_begin(), VOW_FOREVER); /* there is one still */
    while (vow_now() < b.timer.when)
        sched_yield();
    fire_all_due(0);
    assert_int_equal(atomic_load(&posted), 2);
    run_posted(&a);
    run_posted(&b);
    run_kept(&held, 1);
}

VOW_CASE(keeper_of_a_crowd_does_not_sleep_and_takes_nothing_too_early)
{
    struct alarm held = alarm_new(), a = alarm_new();

    atomic_store(&posted, 0);
    keep_timer_thread(&held);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + vow_ms(20)), 0);
    finds_a_crowd = true;
    assert_int_equal(vowi_timekeeper_begin(), INT64_MIN);
    finds_a_crowd = false;
    fire_all_due(0);
    while (vow_now() < a.timer.when)
        sched_yield();
    fire_all_due(0);
    assert_int_equal(atomic_load(&posted), 1);
    run_posted(&a);
    run_kept(&held, 1);
}

VOW_CASE(keeper_leaves_the_rest_of_a_crowd_to_the_timer_thread)
{
    static struct alarm a[1 + LISTED];
    size_t n;

    for (int i = 0; i < 1 + LISTED; i++)
        a[i] = alarm_new();
    keep_timer_thread(a);
    for (int i = 1; i < 1 + LISTED; i++)
        assert_int_equal(vow_timer_arm(&lists, &a[i].timer, i), 0);
    assert_ptr_equal(vowi_timekeeper_take(0, &n), &a[1].timer);
    assert_int_equal(n, FIRED_AT_ONCE);
    vowi_timers_fire(&a[1].timer, n);
    assert_null(vowi_timekeeper_take(n, &n)); /* it has its own work to look after */
    assert_int_equal(atomic_load(&keeper.taken), 1 + FIRED_AT_ONCE);
    run_kept(a, 1 + LISTED);
    assert_int_equal(keeper.posts, 3);
    assert_int_equal(keeper.lists[2], LISTED - FIRED_AT_ONCE);
}

VOW_CASE(timer_thread_leaves_a_keeper_what_is_due_when_that_wakes)
{
    struct alarm held = alarm_new(), a = alarm_new();

    atomic_store(&posted, 0);
    keep_timer_thread(&held);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + 900000), 0);
    assert_int_not_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    atomic_store(&thread_sleeps, 0);
    atomic_store(&keeper.go_on, true);
    await_flag(&thread_sleeps, 1); /* it has looked, and does not come for that */
    assert_true(atomic_load(&sleeps_until) > a.timer.when);
    while (vow_now() < a.timer.when)
        sched_yield();
    fire_all_due(0);
    await_flag(&posted, 1);
    run_kept(&held, 1);
    run_posted(&a);
}

/* And is woken for what comes, since nobody else may be. */
VOW_CASE(timer_thread_sleeps_while_a_keeper_is_late_for_nothing)
{
    struct alarm held = alarm_new(), a = alarm_new(), b = alarm_new();

    atomic_store(&posted, 0);
    keep_timer_thread(&held);
    assert_int_equal(vow_timer_arm(&noting, &a.timer, vow_now() + 900000), 0);
    assert_int_not_equal(vowi_timekeeper_begin(), VOW_FOREVER);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_REMOVED);
    while (vow_now() <= a.timer.when)
        sched_yield();
    atomic_store(&thread_sleeps, 0);
    atomic_store(&keeper.go_on, true);
    await_flag(&thread_sleeps, 1);
    assert_int_equal(atomic_load(&sleeps_until), VOW_FOREVER);
    assert_int_equal(vow_timer_arm(&noting, &b.timer, vow_now()), 0);
    await_flag(&posted, 1);
    fire_all_due(0);
    run_kept(&held, 1);
    run_posted(&b);
}

VOW_CASE(timer_thread_comes_for_what_is_due_before_a_keeper_wakes)
{
    bool slept = false;

    while (!slept) { /* else it looked when that was due already */
        struct alarm held = alarm_new(), a = alarm_new(), b = alarm_new();

        atomic_store(&posted, 0);
        keep_timer_thread(&held);
        assert_int_equal(vow_timer_arm(&noting, &b.timer, vow_now() + 900000), 0);
        assert_int_not_equal(vowi_timekeeper_begin(), VOW_FOREVER);
        assert_int_equal(vow_timer_arm(&noting, &a.timer, b.timer.when - 100000), 0);
        atomic_store(&thread_sleeps, 0);
        atomic_store(&keeper.go_on, true);
        await_flag(&thread_sleeps, 1);
        slept = atomic_load(&sleeps_until) == a.timer.when;
        await_flag(&posted, 1); /* though the keeper sleeps */
        assert_true(a.timer.when <= vow_now());
        fire_all_due(0);
        await_flag(&posted, 2);
        run_kept(&held, 1);
        run_posted(&a);
        run_posted(&b);
    }
}

/* Those that are taken one by one all the same run, the others end with the code. */
VOW_CASE(due_timers_that_are_refused_together_are_posted_one_by_one)
{
    static struct alarm a[4], refused;

    for (int i = 0; i < 4; i++)
        a[i] = alarm_new();
    refused = alarm_new();
    hold_workers();
    keep_timer_thread(a);
    keeper.refused = &refused.timer.task;
    assert_int_equal(vow_timer_arm(&lists, &a[1].timer, 1), 0);
    assert_int_equal(vow_timer_arm(&lists, &refused.timer, 2), 0);
    assert_int_equal(vow_timer_arm(&lists, &a[2].timer, 3), 0);
    assert_int_equal(vow_timer_arm(&lists, &a[3].timer, 4), 0);
    run_kept(a, 4);
    assert_int_equal(keeper.posts, 4);
    await_ran(&refused);
    assert_int_equal(refused.why, VOW_E_LIMIT);
    assert_ptr_equal(refused.current, vow_default_pool());
}

#ifndef UNDER_TSAN
static vow_result
from_child(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(5));
}

/* The child's own: a timer that is armed there, on an executor that is made there. */
static int
in_child(struct alarm *before)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_future *f = vow_submit_after(pool, vow_ms(1), from_child, VOW_NIL);

    if (vow_get(f).value.as.i64 != 5)
        return 1;
    return vow_timer_disarm(&before->timer) == VOW_REMOVED ? 0 : 2;
}

VOW_CASE(timer_thread_is_started_anew_in_a_forked_child)
{
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();
    pid_t child;
    int status;

    assert_int_equal(vow_timer_arm(pool, &a.timer, vow_now() + vow_seconds(100)), 0);
    child = fork();
    if (child == 0)
        _exit(in_child(&a));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(vow_timer_disarm(&a.timer), VOW_REMOVED);
    pool_free(pool);
}
#endif

/* First of all cases: later ones find it there. */
VOW_CASE(timer_thread_without_a_condition_variable_is_an_error)
{
    vow_executor *pool = pool_new(1);
    struct alarm a = alarm_new();

    no_cond = ENOMEM;
    assert_int_equal(vow_timer_arm(pool, &a.timer, 0), ENOMEM);
    no_cond = 0;
    pool_free(pool);
}

/* What runs on it is somebody's task that it was asked to post. */
VOW_CASE(post_to_the_timer_thread_runs_on_the_default_pool)
{
    struct alarm a = alarm_new();

    assert_int_equal(vow_post_task(vowi_timer_thread(), &a.timer.task), 0);
    await_ran(&a);
    assert_ptr_equal(a.current, vow_default_pool());
}

/* ---- work after a delay -------------------------------------------------- */

static vow_result
forty_two(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(42));
}

VOW_CASE(submit_after_runs_when_its_time_has_come)
{
    vow_manual *m = vow_manual_new();
    struct drop d = {0};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), vow_ms(5), forty_two, drop_value(&d));

    vow_manual_advance(m, vow_ms(5) - 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 1);
    assert_int_equal(vow_get(f).value.as.i64, 42);
    assert_int_equal(d.ran, 1);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(submit_after_no_time_runs_not_before_it_returns)
{
    vow_manual *m = vow_manual_new();
    struct drop d = {0};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), -7, forty_two, drop_value(&d));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 0);
    assert_int_equal(vow_get(f).value.as.i64, 42);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(submit_after_for_ever_never_runs)
{
    vow_manual *m = vow_manual_new();
    struct drop d = {0};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), VOW_FOREVER, forty_two, drop_value(&d));

    vow_manual_advance(m, VOW_FOREVER);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_unref(m);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(d.ran, 0);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
}

VOW_CASE(submit_at_takes_points_in_time)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    struct journal j = {0};
    struct drop d[3] = {{.journal = &j, .mark = 'c'},
                        {.journal = &j, .mark = 'b'},
                        {.journal = &j, .mark = 'a'}};
    vow_future *f[3];

    vow_manual_advance(m, 10);
    f[0] = vow_submit_at(on, 30, forty_two, drop_value(&d[0]));
    f[1] = vow_submit_at(on, 20, forty_two, drop_value(&d[1]));
    f[2] = vow_submit_at(on, 3, forty_two, drop_value(&d[2]));
    vow_manual_advance(m, 20);
    assert_string_equal(j.text, "abc");
    for (int i = 0; i < 3; i++)
        vow_unref(f[i]);
    vow_manual_unref(m);
}

VOW_CASE(submit_after_on_a_pool_and_on_null_use_the_clock_in_force)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    vow_future *f = vow_submit_after(pool, vow_seconds(9), forty_two, VOW_NIL);
    vow_future *g = vow_submit_after(NULL, vow_seconds(9), forty_two, VOW_NIL);

    assert_int_equal(vow_manual_advance(m, vow_seconds(9)), 2);
    assert_int_equal(vow_future_status(g), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.i64, 42);
    vow_unref(f);
    vow_unref(g);
    pool_free(pool);
    virtual_end(m);
}

static vow_result
follow_it(void *f)
{
    return vow_follow(f);
}

VOW_CASE(submit_after_may_return_a_future)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    struct drop d = {0};
    vow_future *f = vow_submit_after(vow_manual_executor(m), 1, follow_it,
                                     vow_ptr(vow_promise_future(p)));
    vow_future *g =
        vow_submit_after(vow_manual_executor(m), 1, follow_it, vow_ptr(vow_ref(f)));

    vow_manual_advance(m, 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, drop_value(&d));
    vow_promise_unref(p);
    assert_ptr_equal(vow_get(f).value.as.ptr, &d);
    assert_ptr_equal(vow_get(g).value.as.ptr, &d);
    vow_unref(f);
    vow_unref(g);
    assert_int_equal(drop_count(&d), 1);
    vow_manual_unref(m);
}

/* Each turn follows what the next one makes. */
struct turns {
    vow_executor *on;
    int left;
};

static vow_result
next_turn(void *ctx)
{
    struct turns *t = ctx;

    if (t->left-- == 0)
        return vow_ok(vow_i64(7));
    return vow_follow(vow_submit_after(t->on, 1, next_turn, vow_ptr(t)));
}

VOW_CASE(loop_of_delays_stays_flat)
{
    vow_manual *m = vow_manual_new();
    struct turns turns = {vow_manual_executor(m), 1000};
    vow_future *f = vow_submit_after(turns.on, 1, next_turn, vow_ptr(&turns));
    size_t live;

    vow_manual_advance(m, 10);
    live = counting_live();
    vow_manual_advance(m, 900);
    assert_int_equal(counting_live(), live);
    vow_manual_advance(m, 100);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(submit_after_on_a_closed_executor_is_rejected)
{
    vow_executor *pool = pool_new(1);
    vow_manual *m = virtual_begin();
    struct drop d = {0};
    vow_future *f;

    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    f = vow_submit_after(pool, 5, forty_two, drop_value(&d));
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
    virtual_end(m);
    pool_free(pool);
}

VOW_CASE(dropped_future_of_a_delay_does_not_stop_it)
{
    vow_manual *m = vow_manual_new();
    struct drop d = {0};

    vow_unref(vow_submit_after(vow_manual_executor(m), 5, forty_two, drop_value(&d)));
    assert_int_equal(drop_count(&d), 0);
    vow_manual_advance(m, 5);
    assert_int_equal(d.ran, 1);
    assert_int_equal(drop_count(&d), 1);
    vow_manual_unref(m);
}

/* ---- cancelling ---------------------------------------------------------- */

VOW_CASE(cancelled_delay_settles_now_and_frees_its_timer)
{
    vow_manual *m = vow_manual_new();
    size_t live = counting_live();
    struct drop d = {0};
    vow_future *f =
        vow_submit_after(vow_manual_executor(m), 5, forty_two, drop_value(&d));

    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
    assert_int_equal(counting_live(), live);
    assert_int_equal(vow_manual_advance(m, 10), 0);
    assert_int_equal(d.ran, 0);
    vow_manual_unref(m);
}

struct cancel_other {
    vow_timer timer;
    vow_future *f;
};

static void
cancel_it(vow_task *task, int why)
{
    struct cancel_other *c = (struct cancel_other *)(void *)task;

    (void)why;
    vow_future_cancel(c->f, NULL);
}

VOW_CASE(cancel_in_the_same_tick_counts_if_it_comes_first)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    struct cancel_other first = {.timer.task.run = cancel_it};
    struct cancel_other last = {.timer.task.run = cancel_it};
    struct drop d = {0};

    assert_int_equal(vow_timer_arm(on, &first.timer, 5), 0);
    first.f = vow_submit_at(on, 5, forty_two, drop_value(&d));
    last.f = vow_submit_at(on, 5, forty_two, VOW_NIL);
    assert_int_equal(vow_timer_arm(on, &last.timer, 5), 0);
    vow_manual_advance(m, 5);
    assert_int_equal(vow_error_code(vow_peek(first.f).error), VOW_E_CANCELLED);
    assert_int_equal(d.ran, 0);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_get(last.f).value.as.i64, 42);
    vow_unref(first.f);
    vow_unref(last.f);
    vow_manual_unref(m);
}

VOW_CASE(cancel_of_one_on_its_way_settles_it_too)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct alarm busy = alarm_new();
    struct drop d = {0};
    vow_future *f = vow_submit_after(pool, 5, forty_two, drop_value(&d));

    busy.waits = true;
    assert_int_equal(vow_post_task(pool, &busy.timer.task), 0);
    await_ran(&busy);
    vow_manual_advance(m, 5);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    atomic_store(&busy.go_on, true);
    pool_free(pool);
    assert_int_equal(d.ran, 0);
    vow_unref(f);
    virtual_end(m);
}

VOW_CASE(cancel_after_the_executor_has_gone_does_nothing)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit_after(vow_manual_executor(m), 5, forty_two, VOW_NIL);

    vow_manual_unref(m);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    vow_unref(f);
}

/* ---- again and again ----------------------------------------------------- */

/* What a turn does, and what it did. */
struct beat {
    struct drop ctx;
    vow_manual *m;
    vow_ns takes; /* the turn that is `slow` lasts so long */
    int slow;
    int fails;   /* the turn that does */
    int cancels; /* the turn that cancels it all */
    int waits;   /* the turn that returns a future */
    int exits;   /* the turn that ends its thread */
    int turns;
    vow_ns at[32];
    vow_future *f;
    vow_promise *p;
};

static vow_result
take_turn(void *ctx)
{
    struct beat *b = ctx;

    b->at[b->turns % 32] = vow_now();
    b->turns++;
    if (b->turns == b->slow)
        vow_manual_advance(b->m, b->takes);
    if (b->turns == b->cancels)
        vow_future_cancel(b->f, NULL);
    if (b->turns == b->exits)
        pthread_exit(NULL);
    if (b->turns == b->fails)
        return vow_fail(EIO, "turn");
    if (b->turns == b->waits)
        return vow_follow(vow_promise_future(b->p));
    return vow_ok(vow_own(&b->ctx, drop_it)); /* a value that nobody wants */
}

static vow_future *
beat_begin(struct beat *b, vow_missed missed)
{
    b->m = vow_manual_new();
    b->f = vow_submit_every(vow_manual_executor(b->m), 10, missed, take_turn, vow_ptr(b));
    return b->f;
}

static void
beat_end(struct beat *b, int code)
{
    vow_manual_unref(b->m);
    assert_int_equal(vow_error_code(vow_peek(b->f).error), code);
    vow_unref(b->f);
}

static void
assert_times(const struct beat *b, const vow_ns *times, int n)
{
    assert_int_equal(b->turns, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(b->at[i], times[i]);
}

VOW_CASE(periodic_work_runs_once_each_period_until_its_executor_closes)
{
    struct beat b = {.slow = -1};
    vow_future *f = beat_begin(&b, VOW_MISSED_SKIP);

    vow_manual_advance(b.m, 9);
    assert_int_equal(b.turns, 0);
    vow_manual_advance(b.m, 26);
    assert_times(&b, (vow_ns[]){10, 20, 30}, 3);
    assert_int_equal(drop_count(&b.ctx), 3); /* a value each */
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    beat_end(&b, VOW_E_CLOSED);
    assert_int_equal(b.turns, 3);
}

VOW_CASE(missed_times_are_skipped)
{
    struct beat b = {.slow = 2, .takes = 25};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 60);
    assert_times(&b, (vow_ns[]){10, 20, 50, 60}, 4);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(time_that_has_just_come_is_not_missed)
{
    struct beat b = {.slow = 2, .takes = 20};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 50);
    assert_times(&b, (vow_ns[]){10, 20, 40, 50}, 4);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(missed_times_are_made_up_for_in_a_burst)
{
    struct beat b = {.slow = 2, .takes = 25};

    beat_begin(&b, VOW_MISSED_BURST);
    vow_manual_advance(b.m, 60);
    assert_times(&b, (vow_ns[]){10, 20, 45, 45, 50, 60}, 6);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(missed_times_delay_the_later_ones)
{
    struct beat b = {.slow = 2, .takes = 25};

    beat_begin(&b, VOW_MISSED_DELAY);
    vow_manual_advance(b.m, 70);
    assert_times(&b, (vow_ns[]){10, 20, 55, 65}, 4);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(periodic_work_ends_with_its_own_failure)
{
    struct beat b = {.fails = 3};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 100);
    assert_int_equal(b.turns, 3);
    beat_end(&b, EIO);
}

VOW_CASE(cancel_between_two_turns_ends_it_at_once)
{
    struct beat b = {.slow = -1};
    size_t live = counting_live();
    vow_future *f = beat_begin(&b, VOW_MISSED_SKIP);

    vow_manual_advance(b.m, 10);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CANCELLED);
    assert_int_equal(vow_manual_advance(b.m, 100), 0);
    assert_int_equal(b.turns, 1);
    beat_end(&b, VOW_E_CANCELLED);
    assert_int_equal(counting_live(), live);
}

VOW_CASE(cancel_during_a_turn_ends_it_after_that)
{
    struct beat b = {.cancels = 2};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 100);
    assert_int_equal(b.turns, 2);
    beat_end(&b, VOW_E_CANCELLED);
}

/* Turns on a pool, cancelled by another thread while one is on its way or runs. */
struct watched {
    vow_executor *pool;
    vow_manual *m;
    atomic_int begun, go_on;
    bool follows; /* its turn returns a future, which is never fulfilled */
    vow_promise *p;
};

static vow_result
turn_that_waits(void *ctx)
{
    struct watched *w = ctx;

    atomic_fetch_add(&w->begun, 1);
    await_flag(&w->go_on, 1);
    return w->follows ? vow_follow(vow_promise_future(w->p)) : vow_ok(VOW_NIL);
}

static vow_future *
watched_begin(struct watched *w)
{
    w->m = virtual_begin();
    w->pool = pool_new(1);
    w->p = vow_promise_new();
    return vow_submit_every(w->pool, 10, VOW_MISSED_SKIP, turn_that_waits, vow_ptr(w));
}

static void
watched_end(struct watched *w, vow_future *f, int turns)
{
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    pool_free(w->pool);
    assert_int_equal(w->begun, turns);
    vow_promise_unref(w->p);
    virtual_end(w->m);
}

VOW_CASE(cancel_by_another_thread_during_a_turn_ends_it_after_that)
{
    for (int follows = 0; follows < 2; follows++) {
        struct watched w = {.follows = follows != 0};
        vow_future *f = watched_begin(&w);

        vow_manual_advance(w.m, 10);
        await_flag(&w.begun, 1);
        vow_future_cancel(f, NULL);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        atomic_store(&w.go_on, 1);
        watched_end(&w, f, 1);
    }
}

VOW_CASE(cancel_of_a_turn_on_its_way_is_obeyed_when_it_comes)
{
    struct watched w = {.begun = 0}, before = {.begun = 0};
    vow_future *f = watched_begin(&w);
    vow_future *busy;

    before.pool = w.pool;
    busy = vow_submit(w.pool, turn_that_waits, vow_ptr(&before));
    await_flag(&before.begun, 1);
    vow_manual_advance(w.m, 10);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    atomic_store(&before.go_on, 1);
    vow_unref(busy);
    watched_end(&w, f, 0);
}

static vow_result
close_own(void *ctx)
{
    (void)ctx;
    vow_unref(vow_executor_close(vow_executor_current(), VOW_DRAIN));
    return vow_ok(VOW_NIL);
}

VOW_CASE(turn_that_closes_its_executor_is_the_last)
{
    vow_manual *m = vow_manual_new();
    vow_future *f =
        vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP, close_own, VOW_NIL);

    vow_manual_advance(m, 100);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(turn_that_returns_a_future_lasts_until_it_settles)
{
    struct beat b = {.waits = 2, .p = vow_promise_new()};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 34);
    assert_int_equal(b.turns, 2);
    vow_promise_fulfill(b.p, VOW_NIL);
    vow_promise_unref(b.p);
    vow_manual_advance(b.m, 10);
    assert_times(&b, (vow_ns[]){10, 20, 40}, 3);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(turn_whose_future_fails_ends_it_all)
{
    struct beat b = {.waits = 1, .p = vow_promise_new()};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 10);
    vow_promise_unref(b.p);
    assert_int_equal(b.turns, 1);
    beat_end(&b, VOW_E_BROKEN);
}

static void *
cancels_future(void *future)
{
    vow_future_cancel(future, NULL);
    return NULL;
}

/* The drop of a context: another thread cancels meanwhile. */
static void
cancel_elsewhere(void *future)
{
    vow_future *const *f = future;
    pthread_t thread;

    if (pthread_create(&thread, NULL, cancels_future, *f) == 0)
        pthread_join(thread, NULL);
}

static vow_promise *endless;

static vow_result
wait_for_endless(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_promise_future(endless));
}

VOW_CASE(cancel_as_the_context_goes_finds_the_executor_that_has_gone)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = NULL;

    endless = vow_promise_new();
    f = vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP, wait_for_endless,
                         vow_own(&f, cancel_elsewhere));
    vow_manual_advance(m, 10);
    vow_manual_unref(m);
    vow_trim();
    vow_promise_fulfill(endless, VOW_NIL); /* the turn ends, and so does it all */
    vow_promise_unref(endless);

    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    vow_unref(f);
    vow_trim();
}

VOW_CASE(turn_whose_future_is_abandoned_ends_it_all)
{
    struct beat b = {.waits = 1, .p = vow_promise_new()};

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 10);
    vow_promise_abandon(b.p);
    beat_end(&b, VOW_E_BROKEN);
}

VOW_CASE(cancel_is_passed_on_to_what_a_turn_returned)
{
    struct beat b = {.waits = 1, .p = vow_promise_new()};
    vow_future *f = beat_begin(&b, VOW_MISSED_SKIP);

    vow_manual_advance(b.m, 10);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_false(vow_promise_fulfill(b.p, VOW_NIL));
    vow_promise_unref(b.p);
    beat_end(&b, VOW_E_CANCELLED);
}

VOW_CASE(periodic_work_without_a_period_is_invalid)
{
    struct drop d = {0};
    vow_future *f = vow_submit_every(NULL, 0, VOW_MISSED_SKIP, forty_two, drop_value(&d));

    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_INVALID);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
}

static vow_result
want_another_turn(void *ctx)
{
    (void)ctx;
    return vow_yield_task();
}

VOW_CASE(periodic_work_that_yields_is_invalid)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP,
                                     want_another_turn, VOW_NIL);

    vow_manual_advance(m, 10);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_INVALID);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(periodic_work_takes_no_more_memory_as_it_goes_on)
{
    struct beat b = {.slow = -1};
    size_t calls;

    beat_begin(&b, VOW_MISSED_SKIP);
    vow_manual_advance(b.m, 100);
    calls = counting_calls();
    vow_manual_advance(b.m, 100000);
    assert_int_equal(counting_calls(), calls);
    assert_int_equal(b.turns, 10010);
    beat_end(&b, VOW_E_CLOSED);
}

VOW_CASE(periodic_work_on_a_pool_ends_when_it_closes)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct drop d = {0};
    vow_future *f =
        vow_submit_every(pool, 10, VOW_MISSED_SKIP, forty_two, drop_value(&d));

    while (atomic_load(&d.ran) < 3) { /* the next one is armed by a worker, in its time */
        vow_manual_advance(m, 10);
        sched_yield();
    }
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_true(vow_wait(f, VOW_FOREVER));
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 1);
    vow_unref(f);
    pool_free(pool);
    virtual_end(m);
}

VOW_CASE(turn_that_ends_its_thread_breaks_it)
{
    vow_manual *m = virtual_begin();
    vow_executor *pool = pool_new(1);
    struct beat b = {.exits = 1};
    vow_future *f = vow_submit_every(pool, 10, VOW_MISSED_SKIP, take_turn, vow_ptr(&b));

    vow_manual_advance(m, 10);
    assert_true(vow_wait(f, VOW_FOREVER));
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_BROKEN);
    vow_unref(f);
    pool_free(pool);
    virtual_end(m);
}

VOW_CASE(periodic_work_without_memory_is_null_or_ends_and_drops_its_context)
{
    vow_manual *m = vow_manual_new();

    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d = {0};
        vow_future *f = vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP,
                                         forty_two, drop_value(&d));

        vow_manual_advance(m, 10);
        assert_int_equal(d.ran, vow_future_status(f) == VOW_PENDING);
        vow_future_cancel(f, NULL);
        assert_int_equal(drop_count(&d), 1);
        vow_ignore(f);
    }
    vow_manual_unref(m);
}

VOW_CASE(turn_that_cannot_be_waited_for_ends_with_no_memory)
{
    struct beat b = {.waits = 1, .p = vow_promise_new()};

    beat_begin(&b, VOW_MISSED_SKIP);
    counting_fail_at(1, COUNTING_ONCE);
    vow_manual_advance(b.m, 10);
    assert_true(counting_failed());
    counting_fail_at(0, COUNTING_ONCE);
    vow_promise_unref(b.p);
    beat_end(&b, VOW_E_NOMEM);
}

/* ---- sleeping ------------------------------------------------------------ */

VOW_CASE(sleep_is_fulfilled_in_time)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_sleep(vow_manual_clock(m), vow_ms(5));

    assert_int_equal(vow_manual_advance(m, vow_ms(5) - 1), 0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 1);
    assert_true(vow_is_nil(vow_get(f).value));
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(cancelled_sleep_frees_its_timer_at_once)
{
    vow_manual *m = vow_manual_new();
    size_t live = counting_live();
    vow_future *f = vow_sleep(vow_manual_clock(m), vow_ms(5));

    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CANCELLED);
    vow_unref(f);
    assert_int_equal(counting_live(), live);
    vow_manual_unref(m);
}

static vow_result
sleep_here(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_sleep(NULL, vow_ms(3)));
}

VOW_CASE(sleep_in_a_task_is_on_the_clock_of_its_executor)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), sleep_here, VOW_NIL);

    vow_manual_run(m);
    vow_manual_advance(m, vow_ms(3) - 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_manual_advance(m, 1);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    vow_manual_unref(m);
}

static vow_ns
real_now(const vow_clock *self)
{
    (void)self;
    return vow_clock_now(NULL);
}

static vow_ns
read_real(const vow_clock *self)
{
    (void)self;
    return __real_vowi_monotonic_now();
}

/* It says of nobody that fires its timers: it goes as the real one does, also while another
 * clock is used, which stands still. */
VOW_CASE(sleep_on_a_clock_without_timers_goes_on_though_another_clock_is_used)
{
    vow_clock real = {.now = read_real};
    vow_manual *m = virtual_begin();
    vow_loop *loop = vow_loop_new(&VOW_LOOP_OPTIONS(.clock = &real));
    vow_future *f = vow_sleep(&real, vow_ms(2));
    vow_executor *before;
    vow_token *token;
    vow_future *g;

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    before = vow_executor_enter(vow_loop_executor(loop));
    g = vow_submit_after(NULL, vow_ms(2), forty_two, VOW_NIL);
    vow_executor_enter(before);
    assert_int_equal(vow_get(g).value.as.i64, 42);
    vow_unref(g);
    token = vow_token_deadline(&real, vow_clock_now(&real) + vow_ms(2));
    while (!vow_token_cancelled(token))
        sched_yield();
    vow_token_unref(token);
    vow_loop_unref(loop);
    virtual_end(m);
}

VOW_CASE(sleep_on_the_real_clock_is_never_early)
{
    vow_clock own = {.now = real_now};
    vow_ns begin = vow_now();
    vow_future *f = vow_sleep(NULL, vow_ms(2));
    vow_future *g = vow_sleep(&own, vow_ms(2));

    assert_true(vow_wait(f, VOW_FOREVER));
    assert_true(vow_wait(g, VOW_FOREVER));
    assert_true(vow_now() - begin >= vow_ms(2));
    vow_unref(f);
    vow_unref(g);
}

/* ---- memory -------------------------------------------------------------- */

#if defined(UNDER_ASAN) || defined(UNDER_TSAN)
#define MANY 10000
#else
#define MANY 1000000
#endif

VOW_CASE(million_armed_timers_take_64_bytes_each_beyond_their_future)
{
    static vow_future *f[MANY];
    vow_manual *m = vow_manual_new();
    size_t bytes = counting_live_bytes();
    size_t calls = counting_calls();

    for (int i = 0; i < MANY; i++)
        f[i] = vow_sleep(vow_manual_clock(m), vow_seconds(1 + i % 60));
    assert_int_equal(counting_calls() - calls, MANY);
    assert_true(counting_live_bytes() - bytes <= (size_t)MANY * (40 + 64));
    calls = counting_calls();
    for (int i = 0; i < MANY; i++) {
        if (i % 2 == 0)
            vow_future_cancel(f[i], NULL);
    }
    vow_manual_advance(m, vow_seconds(61));
    assert_int_equal(counting_calls(), calls); /* nothing more to cancel or to fire */
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(vow_future_status(f[i]),
                         i % 2 == 0 ? VOW_REJECTED : VOW_FULFILLED);
        vow_unref(f[i]);
    }
    vow_manual_unref(m);
}

VOW_CASE(delay_without_memory_is_null_and_drops_its_context)
{
    vow_manual *m = vow_manual_new();

    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d = {0};
        vow_future *f =
            vow_submit_after(vow_manual_executor(m), 5, forty_two, drop_value(&d));
        vow_future *g = vow_sleep(vow_manual_clock(m), 5);

        vow_manual_advance(m, 5);
        assert_int_equal(d.ran, f != NULL);
        assert_int_equal(drop_count(&d), 1);
        vow_unref(f);
        vow_unref(g);
    }
    vow_manual_unref(m);
}

/* ---- threads ------------------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 2000 };

static void
count_run(vow_task *task, int why)
{
    struct alarm *a = (struct alarm *)(void *)task;

    (void)why;
    atomic_fetch_add(&a->ran, 1);
}

/* Arms and disarms on a pool: each timer runs, or was removed. */
static void *
arm_and_disarm(void *pool)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct alarm a = {.timer.task.run = count_run};
        int why = vow_timer_arm(pool, &a.timer, vow_now() + (i % 7) * 3000);
        vow_removal removal;

        if (why != 0) {
            assert_int_equal(why, VOW_E_CLOSED);
            continue;
        }
        removal = vow_timer_disarm(&a.timer);
        while (removal == VOW_RUNNING) {
            sched_yield();
            removal = vow_timer_disarm(&a.timer);
        }
        assert_int_equal(atomic_load(&a.ran), removal == VOW_RAN);
    }
    return NULL;
}

/* One that is due as the pool closes is refused, on the default pool. */
VOW_CASE(timers_of_many_threads_run_or_are_removed_also_while_it_closes)
{
    vow_executor *pool = pool_new(2);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, arm_and_disarm, pool), 0);
    for (int i = 0; i < THREADS - 1; i++)
        pthread_join(threads[i], NULL);
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    pthread_join(threads[THREADS - 1], NULL);
    pool_free(pool);
}

static void *
sleep_and_cancel(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        vow_future *f = vow_sleep(NULL, (i % 7) * 3000);

        if (i % 2 == 0)
            vow_future_cancel(f, NULL);
        assert_true(vow_wait(f, VOW_FOREVER));
        vow_unref(f);
    }
    return NULL;
}

VOW_CASE(sleeps_of_many_threads_end_or_are_cancelled)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_and_cancel, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static int
close_default_pool(void **state)
{
    vow_executor *pool = vow_default_pool();

    (void)state;
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    return vow_executor_join(pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(timer_thread_without_a_condition_variable_is_an_error),
        vow_test(timer_on_an_executor_with_timers_runs_there),
        vow_test(disarmed_timer_never_runs),
        vow_test(rearmed_timer_runs_at_its_new_time_only),
        vow_test(timer_on_a_closed_executor_is_refused_and_an_armed_one_ends),
        vow_test(timer_for_a_pool_is_on_the_clock_in_force),
        vow_test(timer_that_was_refused_is_not_on_its_way),
        vow_test(armed_timer_keeps_its_clock),
        vow_test(close_ends_a_timer_whose_clock_is_in_force_no_more),
        vow_test(disarm_tells_a_timer_on_its_way_from_one_that_has_run),
        vow_test(executor_is_closed_from_its_close_on),
        vow_test(close_ends_the_timers_of_that_executor_at_once),
        vow_test(last_reference_ends_the_timers_too),
        vow_test(timers_of_others_end_with_the_executor_that_fires_them),
        vow_test(due_timer_that_is_refused_ends_with_the_code),
        vow_test(timer_that_cannot_be_armed_again_ends_with_the_code),
        vow_test(timer_on_an_executor_with_half_of_it_is_armed_elsewhere),
        vow_test(close_ends_timers_though_another_clock_is_in_force),
        vow_test(timer_may_end_its_thread),
        vow_test(disarm_tells_one_that_runs_from_another),
        vow_test(delay_without_a_default_pool_ends_with_no_memory),
        vow_test(timer_thread_is_never_early_and_takes_an_earlier_one_first),
        vow_test(crowd_of_timers_comes_of_the_timer_thread),
        vow_test(timer_of_the_timer_thread_itself_runs_there),
        vow_test(close_ends_what_the_timer_thread_has),
        vow_test(timer_thread_that_cannot_start_is_an_error_and_is_tried_again),
        vow_test(timer_thread_that_exits_and_cannot_be_had_anew_is_there_at_the_next_arm),
        vow_test(timer_thread_that_exits_when_it_has_to_stop_has_stopped),
        vow_test(keeper_fires_what_is_due_in_the_timer_thread_s_place),
        vow_test(timer_that_is_due_later_is_left_to_the_timer_thread),
        vow_test(stop_of_the_timer_thread_waits_for_a_keeper_that_fires),
        vow_test(nobody_keeps_the_time_when_the_timer_thread_has_stopped),
        vow_test(nobody_keeps_the_time_when_the_timer_thread_is_told_to_stop),
        vow_test(another_may_begin_to_keep_the_time_while_one_fires),
        vow_test(keeper_of_a_crowd_does_not_sleep_and_takes_nothing_too_early),
        vow_test(keeper_leaves_the_rest_of_a_crowd_to_the_timer_thread),
        vow_test(timer_thread_leaves_a_keeper_what_is_due_when_that_wakes),
        vow_test(timer_thread_sleeps_while_a_keeper_is_late_for_nothing),
        vow_test(timer_thread_comes_for_what_is_due_before_a_keeper_wakes),
        vow_test(worker_that_keeps_time_fires_for_other_executors_as_well),
        vow_test(timer_thread_that_stops_starts_again_with_what_is_armed),
        vow_test(due_timers_of_one_executor_are_posted_together),
#ifndef UNDER_TSAN /* which allows no thread in a child of many */
        vow_test(timer_thread_is_started_anew_in_a_forked_child),
#endif
        vow_test(submit_after_runs_when_its_time_has_come),
        vow_test(submit_after_no_time_runs_not_before_it_returns),
        vow_test(submit_after_for_ever_never_runs),
        vow_test(submit_at_takes_points_in_time),
        vow_test(submit_after_on_a_pool_and_on_null_use_the_clock_in_force),
        vow_test(submit_after_may_return_a_future),
        vow_test(loop_of_delays_stays_flat),
        vow_test(submit_after_on_a_closed_executor_is_rejected),
        vow_test(dropped_future_of_a_delay_does_not_stop_it),
        vow_test(cancelled_delay_settles_now_and_frees_its_timer),
        vow_test(cancel_in_the_same_tick_counts_if_it_comes_first),
        vow_test(cancel_of_one_on_its_way_settles_it_too),
        vow_test(cancel_after_the_executor_has_gone_does_nothing),
        vow_test(periodic_work_runs_once_each_period_until_its_executor_closes),
        vow_test(missed_times_are_skipped),
        vow_test(time_that_has_just_come_is_not_missed),
        vow_test(missed_times_are_made_up_for_in_a_burst),
        vow_test(missed_times_delay_the_later_ones),
        vow_test(periodic_work_ends_with_its_own_failure),
        vow_test(cancel_between_two_turns_ends_it_at_once),
        vow_test(cancel_during_a_turn_ends_it_after_that),
        vow_test(cancel_by_another_thread_during_a_turn_ends_it_after_that),
        vow_test(cancel_of_a_turn_on_its_way_is_obeyed_when_it_comes),
        vow_test(turn_that_closes_its_executor_is_the_last),
        vow_test(turn_that_returns_a_future_lasts_until_it_settles),
        vow_test(turn_whose_future_fails_ends_it_all),
        vow_test(cancel_as_the_context_goes_finds_the_executor_that_has_gone),
        vow_test(turn_whose_future_is_abandoned_ends_it_all),
        vow_test(cancel_is_passed_on_to_what_a_turn_returned),
        vow_test(periodic_work_without_a_period_is_invalid),
        vow_test(periodic_work_that_yields_is_invalid),
        vow_test(periodic_work_takes_no_more_memory_as_it_goes_on),
        vow_test(periodic_work_on_a_pool_ends_when_it_closes),
        vow_test(turn_that_ends_its_thread_breaks_it),
        vow_test(periodic_work_without_memory_is_null_or_ends_and_drops_its_context),
        vow_test(turn_that_cannot_be_waited_for_ends_with_no_memory),
        vow_test(sleep_is_fulfilled_in_time),
        vow_test(cancelled_sleep_frees_its_timer_at_once),
        vow_test(sleep_in_a_task_is_on_the_clock_of_its_executor),
        vow_test(million_armed_timers_take_64_bytes_each_beyond_their_future),
        vow_test(delay_without_memory_is_null_and_drops_its_context),
    };
    /* These leave the default pool behind, which lives as long as the process. */
    const struct CMUnitTest with_default_pool[] = {
        cmocka_unit_test(due_timer_that_is_refused_does_not_run_on_the_timer_thread),
        cmocka_unit_test(due_delay_that_is_refused_does_not_end_on_the_timer_thread),
        cmocka_unit_test(due_timers_that_are_refused_together_are_posted_one_by_one),
        cmocka_unit_test(post_to_the_timer_thread_runs_on_the_default_pool),
        cmocka_unit_test(
            sleep_on_a_clock_without_timers_goes_on_though_another_clock_is_used),
        cmocka_unit_test(sleep_on_the_real_clock_is_never_early),
        cmocka_unit_test(timers_of_many_threads_run_or_are_removed_also_while_it_closes),
        cmocka_unit_test(sleeps_of_many_threads_end_or_are_cancelled),
    };
    int failed = vow_test_run(cases);

    return failed != 0
               ? failed
               : cmocka_run_group_tests(with_default_pool, NULL, close_default_pool);
}
