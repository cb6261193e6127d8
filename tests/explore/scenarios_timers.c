/* SPDX-License-Identifier: MIT */
/*
 * scenarios_timers.c - timers on the manual executor and on the timer thread: armed,
 * fired, disarmed and given up at the same time.
 *
 * `there` is an executor without timers, as a user may write it: what is posted to it
 * lies in a stack until a thread of the scenario runs it.
 */
#include <stdatomic.h>

#include <vow/vow.h>

#include "base/time.h"
#include "explore.h"

static _Atomic(vow_task *) posted;
static vow_executor there;
static atomic_int destroyed;
static vow_timer timer, other, never;
static vow_promise *p; /* fulfilled when `other` is posted */
static vow_future *f;

static int
there_push(vow_executor *self, vow_task *first, vow_task *last)
{
    vow_task *before = atomic_load_explicit(&posted, memory_order_relaxed);

    if (vow_executor_is_closed(self))
        return VOW_E_CLOSED;
    do
        last->next = before;
    while (!atomic_compare_exchange_strong_explicit(
        &posted, &before, first, memory_order_acq_rel, memory_order_relaxed));
    return 0;
}

static int
there_post(vow_executor *self, vow_task *task)
{
    if (there_push(self, task, task) != 0)
        return VOW_E_CLOSED;
    if (p != NULL && task == &other.task) {
        vow_promise_fulfill(p, VOW_NIL);
        vow_promise_unref(p);
    }
    return 0;
}

static int
there_post_many(vow_executor *self, vow_task *first, size_t n)
{
    vow_task *last = first;

    while (--n > 0)
        last = last->next;
    return there_push(self, first, last);
}

static void
there_destroy(vow_executor *self)
{
    (void)self;
    atomic_fetch_add_explicit(&destroyed, 1, memory_order_relaxed);
}

static const vow_executor_ops there_ops = {
    .size = sizeof there_ops,
    .name = "there",
    .post = there_post,
    .destroy = there_destroy,
};

static const vow_executor_ops lists_ops = {
    .size = sizeof lists_ops,
    .name = "lists",
    .post = there_post,
    .post_many = there_post_many,
    .destroy = there_destroy,
};

static void
runs_posted(void)
{
    vow_task *task = atomic_exchange_explicit(&posted, NULL, memory_order_acq_rel);

    while (task != NULL) {
        vow_task *next = task->next;

        task->run(task, 0);
        task = next;
    }
}

/* What disarm says in a word that outcomes can show. */
static const char *
word(vow_removal removal)
{
    static const char *const words[] = {"removed", "ran", "running"};

    return words[removal];
}

/* ---- timers of the scenario ------------------------------------------------------------ */

static int ran, ran_other, why; /* plain: who says that it has run has seen it */
static vow_removal removal;
static int armed;

static void
rings(vow_task *task, int code)
{
    (void)task;
    require(code != 0 || vow_now() >= timer.when);
    ran++;
    why = code;
}

static void
rings_other(vow_task *task, int code)
{
    (void)task;
    require(code != 0 || vow_now() >= other.when);
    ran_other++;
}

static void
must_not_ring(vow_task *task, int code)
{
    (void)task;
    require(code == VOW_E_CLOSED);
}

static bool
made_with(const vow_executor_ops *ops)
{
    timer.task.run = rings;
    other.task.run = rings_other;
    never.task.run = must_not_ring;
    return vow_executor_init(&there, ops) == 0;
}

static bool
made(void)
{
    return made_with(&there_ops);
}

static void
make(void)
{
    require(made());
}

/* The timer thread runs, and sleeps for ever. */
static void
starts_thread(void)
{
    require(vow_timer_arm(&there, &never, VOW_FOREVER) == 0);
}

static void
ends(void)
{
    vow_unref(vow_executor_close(&there, VOW_DRAIN));
    runs_posted();
    vowi_timer_thread_stop();
    vow_executor_unref(&there);
    vow_trim();
    require(destroyed == 1);
}

static void
arms(void)
{
    armed = vow_timer_arm(&there, &timer, vow_now());
}

static void
arms_other_later(void)
{
    require(vow_timer_arm(&there, &other, vow_now() + vow_seconds(1)) == 0);
}

static void
disarms(void)
{
    removal = vow_timer_disarm(&timer);
}

static void
arms_and_disarms(void)
{
    arms();
    disarms();
}

static int told; /* plain: who is turned away by a close sees what came before that */

static void
closes(void)
{
    told = 1;
    vow_unref(vow_executor_close(&there, VOW_DRAIN));
}

/* ---- the timer thread ---------------------------------------------------------------------- */

SCENARIO(timer_thread_starts, CAN_FAIL, "the first timer of the process, which is due",
         EXPECTED("ran=1", "never lost"), ALLOWED("refused", "no thread to be had"))
{
    if (!made()) {
        outcome("refused");
        return;
    }
    arms();
    explore_wait_until_quiet();
    runs_posted();
    ends();
    require(ran == (armed == 0));
    if (armed == 0)
        outcome("ran=%d", ran);
    else
        outcome("refused");
}

SCENARIO(timer_arm_wakes_sleeper, 0, "the timer thread sleeps for ever as one is due",
         EXPECTED("ran=1", "it was woken, or had not slept"))
{
    make();
    explore_calmly(starts_thread);
    run_threads(arms);
    explore_wait_until_quiet();
    runs_posted();
    outcome("ran=%d", ran);
    explore_calmly(ends);
}

SCENARIO(timer_two_arms_wake_sleeper, 0,
         "one due now and one later, armed by two threads",
         EXPECTED("ran=1 other=1", "each, and not early"))
{
    make();
    p = vow_promise_new();
    f = vow_promise_future(p);
    explore_calmly(starts_thread);
    run_threads(arms_other_later, arms);
    require(vow_wait(f, VOW_FOREVER)); /* time passes only while all sleep */
    explore_wait_until_quiet();
    runs_posted();
    outcome("ran=%d other=%d", ran, ran_other);
    vow_unref(f);
    explore_calmly(ends);
}

SCENARIO(timer_fires_or_is_disarmed, 0, "a due timer is disarmed at once",
         EXPECTED("ran=0 removed", "in time"), EXPECTED("ran=1 running", "on its way"))
{
    make();
    explore_calmly(starts_thread);
    run_threads(arms_and_disarms);
    explore_wait_until_quiet();
    runs_posted();
    outcome("ran=%d %s", ran, word(removal));
    explore_calmly(ends);
}

static void
arms_both_and_disarms(void)
{
    arms();
    require(vow_timer_arm(&there, &other, timer.when) == 0);
    disarms();
}

SCENARIO(timer_list_fires_or_is_disarmed, 0,
         "two are due at once, and one of them is disarmed",
         EXPECTED("ran=0 other=1 removed", "in time"),
         EXPECTED("ran=1 other=1 running", "on its way, alone or with the other"))
{
    require(made_with(&lists_ops));
    explore_calmly(starts_thread);
    run_threads(arms_both_and_disarms);
    explore_wait_until_quiet();
    runs_posted();
    outcome("ran=%d other=%d %s", ran, ran_other, word(removal));
    explore_calmly(ends);
}

SCENARIO(timer_runs_or_has_run, 0, "disarmed while it runs somewhere else",
         EXPECTED("ran=1 running", "before or during its run"),
         EXPECTED("ran=1 ran", "after it"))
{
    make();
    explore_calmly(starts_thread);
    explore_calmly(arms);
    run_threads(runs_posted, disarms);
    outcome("ran=%d %s", ran, word(removal));
    explore_calmly(ends);
}

SCENARIO(timer_fires_or_is_closed, 0, "its executor closes as it is armed, and due",
         EXPECTED("ran=1", "run, or given up: once"),
         EXPECTED("refused", "closed before"))
{
    make();
    explore_calmly(starts_thread);
    run_threads(arms, closes);
    explore_wait_until_quiet();
    runs_posted();
    explore_calmly(ends);
    vow_unref(vow_executor_close(vow_default_pool(), VOW_DRAIN));
    require(vow_executor_join(vow_default_pool()) == 0);
    vow_executor_unref(vow_default_pool());
    if (armed == 0)
        outcome("ran=%d", ran);
    else
        outcome("refused");
}

static void
arms_for_ever(void)
{
    armed = vow_timer_arm(&there, &timer, VOW_FOREVER); /* else it may be due meanwhile */
    if (armed == VOW_E_CLOSED)
        require(told == 1);
}

static void
arms_as_it_closes(void (*by)(void))
{
    run_threads(arms_for_ever, by);
    require(ran == (armed == 0));
    if (armed == 0)
        outcome(why == VOW_E_CLOSED ? "closed" : "fired");
    else
        outcome("refused");
    explore_calmly(ends);
}

SCENARIO(timer_is_armed_or_closed, 0, "its executor closes as it is armed, and not due",
         EXPECTED("closed", "given up at once"), EXPECTED("refused", "closed before"))
{
    make();
    explore_calmly(starts_thread);
    arms_as_it_closes(closes);
}

static void
disarms_never(void)
{
    require(vow_timer_disarm(&never) == VOW_REMOVED);
}

/* No other is armed, so that the close takes no lock unless it sees this one. */
SCENARIO(timer_is_first_or_closed, 0, "its executor closes as its first timer is armed",
         EXPECTED("closed", "given up at once"), EXPECTED("refused", "closed before"))
{
    make();
    explore_calmly(starts_thread);
    explore_calmly(disarms_never);
    arms_as_it_closes(closes);
}

SCENARIO(timer_is_disarmed_or_closed, 0, "its executor closes as it is disarmed",
         EXPECTED("ran=0 removed", "disarmed first"),
         EXPECTED("ran=1 running", "given up, as it says"),
         EXPECTED("ran=1 ran", "given up"))
{
    make();
    explore_calmly(starts_thread);
    explore_calmly(arms_for_ever);
    run_threads(disarms, closes);
    require(removal == VOW_REMOVED || why == VOW_E_CLOSED);
    outcome("ran=%d %s", ran, word(removal));
    explore_calmly(ends);
}

/* ---- tasks for later ------------------------------------------------------------------------ */

static vow_result
computes(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(vow_i64(7));
}

static void
submits_due(void)
{
    f = vow_submit_after(&there, 0, computes, VOW_NIL);
}

static void
cancels(void)
{
    vow_future_cancel(f, NULL);
}

SCENARIO(delay_runs_or_is_cancelled, 0, "a due task is cancelled as it comes to run",
         EXPECTED("ran=1 code=0", "too late"),
         EXPECTED("ran=0 code=4096", "in time: VOW_E_CANCELLED"))
{
    make();
    explore_calmly(starts_thread);
    explore_calmly(submits_due);
    run_threads(runs_posted, cancels);
    outcome("ran=%d code=%d", ran, vow_error_code(vow_peek(f).error));
    vow_unref(f);
    explore_calmly(ends);
}

static void
submits_and_cancels(void)
{
    submits_due();
    cancels();
    vow_unref(f);
}

SCENARIO(delay_fires_or_is_cancelled, 0,
         "a task is cancelled as the timer thread posts it",
         EXPECTED("ran=0", "it never runs, and its memory goes once"))
{
    make();
    explore_calmly(starts_thread);
    run_threads(submits_and_cancels);
    explore_wait_until_quiet();
    runs_posted();
    outcome("ran=%d", ran);
    explore_calmly(ends);
}

/* ---- the manual executor --------------------------------------------------------------------- */

static vow_manual *m;

static void
advances(void)
{
    vow_manual_advance(m, 5);
}

static void
makes_manual(void)
{
    m = vow_manual_new();
    timer.task.run = rings;
    require(m != NULL && vow_timer_arm(vow_manual_executor(m), &timer, 5) == 0);
}

SCENARIO(manual_fires_or_is_disarmed, 0, "a timer is disarmed as its time comes",
         EXPECTED("ran=0 removed", "in time"),
         EXPECTED("ran=1 running", "during its run"), EXPECTED("ran=1 ran", "after it"))
{
    makes_manual();
    run_threads(advances, disarms);
    outcome("ran=%d %s", ran, word(removal));
    vow_manual_unref(m);
}

static void
closes_manual(void)
{
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
}

SCENARIO(manual_fires_or_is_closed, 0, "a manual executor is closed as a timer is due",
         EXPECTED("ran=1 code=0", "fired"), EXPECTED("ran=1 code=4099", "given up"))
{
    makes_manual();
    run_threads(advances, closes_manual);
    outcome("ran=%d code=%d", ran, why);
    vow_manual_unref(m);
}

static void
uses_another_clock_and_closes(void)
{
    vow_clock_use(NULL);
    closes();
}

/* Whoever keeps it is then none that the close would ask but for what it has kept. */
SCENARIO(timer_is_armed_before_or_closed, 0,
         "its executor closes when another clock is in force than it is armed on",
         EXPECTED("closed", "given up at once"), EXPECTED("refused", "closed before"))
{
    make();
    explore_calmly(starts_thread);
    explore_calmly(disarms_never);
    m = vow_manual_new();
    require(m != NULL);
    vow_clock_use(vow_manual_clock(m));
    arms_as_it_closes(uses_another_clock_and_closes);
    vow_manual_unref(m);
}

static vow_result
beats(void *ctx)
{
    (void)ctx;
    ran++;
    return vow_ok(VOW_NIL);
}

SCENARIO(every_beats_or_is_cancelled, 0, "periodic work is cancelled as its time comes",
         EXPECTED("ran=0 code=4096", "before"),
         EXPECTED("ran=1 code=4096", "during or after"))
{
    m = vow_manual_new();
    require(m != NULL);
    f = vow_submit_every(vow_manual_executor(m), 5, VOW_MISSED_SKIP, beats, VOW_NIL);
    run_threads(advances, cancels);
    outcome("ran=%d code=%d", ran, vow_error_code(vow_peek(f).error));
    vow_unref(f);
    vow_manual_unref(m);
}

static vow_result
beats_and_waits(void *ctx)
{
    (void)ctx;
    ran++;
    p = vow_promise_new();
    return vow_follow(vow_promise_future(p));
}

SCENARIO(every_waits_or_is_cancelled, 0,
         "periodic work is cancelled as a turn begins to wait",
         EXPECTED("ran=0", "before it"),
         EXPECTED("ran=1", "what it waits for is cancelled"))
{
    m = vow_manual_new();
    f = vow_submit_every(vow_manual_executor(m), 5, VOW_MISSED_SKIP, beats_and_waits,
                         VOW_NIL);
    run_threads(advances, cancels);
    require(vow_error_code(vow_peek(f).error) == VOW_E_CANCELLED);
    require(!vow_promise_fulfill(p, VOW_NIL));
    vow_promise_unref(p);
    vow_unref(f);
    vow_manual_unref(m);
    outcome("ran=%d", ran);
}

static void
fulfills_turn(void)
{
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
}

SCENARIO(every_ends_or_is_cancelled, 0,
         "periodic work is cancelled as its turn ends, when its executor has gone",
         EXPECTED("code=4096", "cancelled before"),
         EXPECTED("code=4099", "refused before"))
{
    m = vow_manual_new();
    f = vow_submit_every(vow_manual_executor(m), 5, VOW_MISSED_SKIP, beats_and_waits,
                         VOW_NIL);
    advances();
    require(ran == 1);
    vow_manual_unref(m);
    vow_trim();
    run_threads(fulfills_turn, cancels);
    outcome("code=%d", vow_error_code(vow_peek(f).error));
    vow_unref(f);
}
