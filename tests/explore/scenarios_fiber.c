/* SPDX-License-Identifier: MIT */
/*
 * scenarios_fiber.c - fibers that wait while another thread settles, posts and closes.
 *
 * What tasks touch is no atomic: it is their thread's alone. Stacks are blocks of the
 * heap here, of which all that is done is seen.
 */
#include <vow/vow.h>

#include "explore.h"

static vow_executor *on;
static vow_promise *p;
static vow_future *answer, *done;
static int got, ran, in_time, told;

static vow_result
gets(void *unused)
{
    (void)unused;
    got = (int)vow_get(answer).value.as.i64;
    return vow_ok(VOW_NIL);
}

static void
waits_a_moment(void *unused)
{
    (void)unused;
    in_time = vow_wait(answer, 1000);
}

static void
runs(void *unused)
{
    (void)unused;
    ran++;
}

static void
make(void)
{
    on = vow_fibers_new(&VOW_FIBERS_OPTIONS(.stack_size = 16384));
    p = vow_promise_new();
    answer = vow_promise_future(p);
    require(on != NULL);
}

static void
make_with_one_that_waits(void)
{
    make();
    done = vow_submit(on, gets, VOW_NIL);
}

static void
fulfills(void)
{
    require(vow_promise_fulfill(p, vow_i64(42)));
    vow_promise_unref(p);
}

static void
submits_get(void)
{
    done = vow_submit(on, gets, VOW_NIL);
}

static void
posts_wait(void)
{
    require(vow_post(on, waits_a_moment, VOW_NIL) == 0);
}

static void
posts(void)
{
    told = vow_post(on, runs, VOW_NIL);
}

static void
drains(void)
{
    vow_unref(vow_executor_close(on, VOW_DRAIN));
}

static void
cancels(void)
{
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
}

/* Before the end, which would wake its thread. */
static void
end(void)
{
    if (done != NULL)
        require(vow_error_code(vow_get(done).error) == 0);
    vow_unref(done);
    drains();
    require(vow_executor_join(on) == 0);
    vow_executor_unref(on);
    vow_unref(answer);
}

SCENARIO(fiber_settle_wait, 0, "a future settles as a fiber begins to wait for it",
         EXPECTED("got 42", "awake in time, or not asleep yet"))
{
    explore_calmly(make);
    run_threads(fulfills, submits_get);
    explore_calmly(end);
    outcome("got %d", got);
}

SCENARIO(fiber_settle_sleep, 0,
         "a future settles for a fiber that waits, as a task is posted",
         EXPECTED("got 42, ran 1", "both are seen"))
{
    explore_calmly(make_with_one_that_waits);
    run_threads(fulfills, posts);
    explore_calmly(end);
    outcome("got %d, ran %d", got, ran);
}

SCENARIO(fiber_deadline, 0, "a future settles as the deadline of a fiber comes",
         EXPECTED("in time 1", "it settled first"), ALLOWED("in time 0", "it was late"))
{
    explore_calmly(make);
    run_threads(fulfills, posts_wait);
    explore_calmly(end);
    outcome("in time %d", in_time);
}

SCENARIO(fiber_close_wait, 0, "one closes and one settles, with a fiber that waits",
         EXPECTED("got 42", "it is waited for"))
{
    explore_calmly(make_with_one_that_waits);
    run_threads(fulfills, drains);
    explore_calmly(end);
    outcome("got %d", got);
}

SCENARIO(fiber_cancel_post, 0, "one posts and one cancels, with a fiber that waits",
         EXPECTED("ran 1", "it ran first"), EXPECTED("ran 0", "refused, or ended"))
{
    explore_calmly(make_with_one_that_waits);
    run_threads(posts, cancels);
    explore_calmly(fulfills);
    explore_calmly(end);
    require(told == 0 || ran == 0);
    outcome("ran %d", ran);
}
