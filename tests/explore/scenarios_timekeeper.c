/* SPDX-License-Identifier: MIT */
/*
 * scenarios_timekeeper.c - timers of a pool, whose workers fire them in the timer thread's
 * place: as they fall asleep, are woken, have other work, are told to end.
 */
#include <stdatomic.h>

#include <vow/vow.h>

#include "base/time.h"
#include "explore.h"

/* Due so soon that a worker waits for it. */
#define SOON 500000

struct alarm {
    vow_timer timer; /* first: the task is all that its run gets */
    int ran, why;    /* plain: who has waited for told has seen them */
    vow_promise *tells;
    vow_future *told;
};

static vow_executor *pool;
static vow_timer never;
static struct alarm first, second;
static vow_removal removal;
static atomic_int worked;

static void
must_not_ring(vow_task *task, int code)
{
    (void)task;
    require(code == VOW_E_CLOSED);
}

static void
rings(vow_task *task, int code)
{
    struct alarm *a = (struct alarm *)(void *)task;

    require(code != 0 || vow_now() >= a->timer.when);
    a->ran++;
    a->why = code;
    vow_promise_fulfill(a->tells, VOW_NIL);
}

/* Only while a spare runs the other one. */
static void
rings_when_the_first_has(vow_task *task, int code)
{
    require(vow_wait(first.told, VOW_FOREVER));
    rings(task, code);
}

static void
make_alarm(struct alarm *a)
{
    a->timer.task.run = rings;
    a->tells = vow_promise_new();
    a->told = vow_promise_future(a->tells);
}

/* The timer thread runs and sleeps for ever, and so does the worker. */
static void
make(void)
{
    pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .spares = 1));
    require(pool != NULL);
    make_alarm(&first);
    make_alarm(&second);
    never.task.run = must_not_ring;
    require(vow_timer_arm(pool, &never, VOW_FOREVER) == 0);
}

static void
unmake_alarm(struct alarm *a)
{
    vow_promise_unref(a->tells);
    vow_unref(a->told);
}

static void
closes(void)
{
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
}

static void
ends(void)
{
    closes();
    require(vow_executor_join(pool) == 0);
    vow_executor_unref(pool);
    vowi_timer_thread_stop();
    unmake_alarm(&first);
    unmake_alarm(&second);
    vow_trim();
}

static void
arms_first(void)
{
    require(vow_timer_arm(pool, &first.timer, vow_now() + SOON) == 0);
}

static void
arms_second(void)
{
    require(vow_timer_arm(pool, &second.timer, vow_now() + 2 * SOON / 3) == 0);
}

static void
works(void *ctx)
{
    (void)ctx;
    atomic_fetch_add_explicit(&worked, 1, memory_order_relaxed);
}

static void
posts(void)
{
    require(vow_post(pool, works, VOW_NIL) == 0);
}

static void
waits_for(const struct alarm *a)
{
    require(vow_wait(a->told, VOW_FOREVER));
}

/* Until the keeper's time has come as well. */
static void
waits_a_time(void)
{
    require(!vow_wait(second.told, SOON));
}

static void
closes_in_time(void)
{
    waits_a_time();
    closes();
}

static void
posts_in_time(void)
{
    waits_a_time();
    posts();
}

/* The worker is the keeper: it was woken after the timer was armed. */
static void
arms_first_and_wakes(void)
{
    arms_first();
    posts();
}

SCENARIO(keeper_or_thread_fires, 0, "a timer is armed as a worker falls asleep",
         EXPECTED("ran=1", "by the one or the other"))
{
    explore_calmly(make);
    run_threads(arms_first, posts);
    waits_for(&first);
    outcome("ran=%d", first.ran);
    explore_calmly(ends);
}

SCENARIO(keeper_fires_or_is_woken, 0, "a keeper's time comes as a task is posted",
         EXPECTED("ran=1 worked=2", "it is woken, and not lost, or wakes itself"))
{
    explore_calmly(make);
    explore_calmly(arms_first_and_wakes);
    run_threads(posts_in_time);
    waits_for(&first);
    explore_calmly(ends);
    outcome("ran=%d worked=%d", first.ran, worked);
}

SCENARIO(keeper_has_other_work, 0, "what is fired first waits for what is due next",
         EXPECTED("ran=1 ran=1", "the thread takes over"))
{
    explore_calmly(make);
    second.timer.task.run = rings_when_the_first_has;
    explore_calmly(arms_second);
    explore_calmly(arms_first_and_wakes);
    waits_for(&second);
    outcome("ran=%d ran=%d", first.ran, second.ran);
    explore_calmly(ends);
}

SCENARIO(keeper_and_earlier_arm, 0, "an earlier timer is armed while a keeper sleeps",
         EXPECTED("ran=1 ran=1", "in their order"))
{
    explore_calmly(make);
    explore_calmly(arms_first_and_wakes);
    run_threads(arms_second);
    waits_for(&second);
    waits_for(&first);
    outcome("ran=%d ran=%d", first.ran, second.ran);
    explore_calmly(ends);
}

/* Which gets what the thread takes, and the pool no more. */
static void
ends_default_pool(void)
{
    vow_unref(vow_executor_close(vow_default_pool(), VOW_DRAIN));
    require(vow_executor_join(vow_default_pool()) == 0);
    vow_executor_unref(vow_default_pool());
    vow_trim();
}

SCENARIO(keeper_fires_or_is_closed, 0, "a pool closes as its keeper's time comes",
         EXPECTED("ran=1 code=0", "fired"), EXPECTED("ran=1 code=4099", "given up"))
{
    explore_calmly(make);
    explore_calmly(arms_first_and_wakes);
    run_threads(closes_in_time);
    waits_for(&first);
    explore_calmly(ends);
    explore_calmly(ends_default_pool);
    outcome("ran=%d code=%d", first.ran, first.why);
}

static void
disarms_in_time(void)
{
    waits_a_time();
    removal = vow_timer_disarm(&first.timer);
}

SCENARIO(keeper_fires_or_is_disarmed, 0, "a timer is disarmed as its keeper's time comes",
         EXPECTED("ran=0 removed", "in time"), EXPECTED("ran=1 fired", "or not"))
{
    explore_calmly(make);
    explore_calmly(arms_first_and_wakes);
    run_threads(disarms_in_time);
    explore_calmly(ends);
    outcome("ran=%d %s", first.ran, removal == VOW_REMOVED ? "removed" : "fired");
}
