/* SPDX-License-Identifier: MIT */
/*
 * Which waits provably cannot end, asked of the list of waits itself: what executors
 * with threads of their own cannot be brought to do on demand.
 */
#include "support/vow_test.h"

#include "core/deadlock.h"
#include "support/drops.h"

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
pass(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

/* An executor with a task in its queue, and a promise that somebody may settle. */
struct scene {
    vow_manual *manual;
    vow_executor *on;
    vow_future *task;
    vow_promise *promise;
    vow_future *outside;
};

static struct scene
scene_new(void)
{
    struct scene s = {.manual = vow_manual_new(), .promise = vow_promise_new()};

    s.on = vow_manual_executor(s.manual);
    s.task = vow_submit(s.on, seven, VOW_NIL);
    s.outside = vow_promise_future(s.promise);
    return s;
}

static void
scene_free(struct scene *s)
{
    vow_promise_unref(s->promise);
    vow_ignore(s->outside);
    vow_manual_run(s->manual);
    assert_int_equal(vow_get(s->task).value.as.i64, 7);
    vow_unref(s->task);
    vow_manual_unref(s->manual);
}

static struct vowi_wait
wait_for(vow_future *f, vow_executor *on, bool exhausted)
{
    struct vowi_wait w = {.awaited = vowi_state(f),
                          .thread = vowi_self(),
                          .on = on,
                          .exhausted = exhausted};

    return w;
}

VOW_CASE(task_queued_where_a_thread_is_left_may_run)
{
    struct scene s = scene_new();
    struct vowi_wait asleep = wait_for(s.outside, s.on, false);
    struct vowi_wait w = wait_for(s.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&asleep), 0);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&w);
    vowi_wait_end(&asleep);
    scene_free(&s);
}

VOW_CASE(task_queued_where_no_thread_is_left_may_run_once_one_wakes)
{
    struct scene s = scene_new();
    struct vowi_wait asleep = wait_for(s.outside, s.on, true);
    struct vowi_wait w = wait_for(s.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&asleep), 0);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&asleep);
    vowi_wait_end(&w);
    scene_free(&s);
}

VOW_CASE(task_queued_where_no_thread_is_left_or_wakes_never_runs)
{
    struct scene s = scene_new();
    struct vowi_wait w = wait_for(s.task, s.on, true);

    assert_int_equal(vowi_wait_begin(&w), VOW_E_DEADLOCK);
    scene_free(&s);
}

/* The thread that wakes makes its executor one with a thread again. */
VOW_CASE(wait_that_ends_leaves_its_executor_a_thread)
{
    struct scene s = scene_new();
    struct vowi_wait first = wait_for(s.outside, s.on, true);
    struct vowi_wait second = wait_for(s.outside, s.on, true);

    assert_int_equal(vowi_wait_begin(&first), 0);
    assert_int_equal(vowi_wait_begin(&second), 0);
    vowi_wait_end(&first);
    assert_false(second.exhausted);
    vowi_wait_end(&second);
    scene_free(&s);
}

/* Chains longer than it walks are given the benefit of the doubt. */
VOW_CASE(chain_of_more_than_a_million_steps_is_not_walked_to_its_end)
{
    enum { LINKS = 1000001 };
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), seven, VOW_NIL);
    struct vowi_wait w;

    for (int i = 0; i < LINKS; i++)
        f = vow_then(f, NULL, pass, VOW_NIL);
    w = wait_for(f, vow_manual_executor(m), true);
    assert_int_equal(vowi_wait_begin(&w), 0);
    vowi_wait_end(&w);
    vow_manual_run(m);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    vow_manual_unref(m);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(task_queued_where_a_thread_is_left_may_run),
        vow_test(task_queued_where_no_thread_is_left_may_run_once_one_wakes),
        vow_test(task_queued_where_no_thread_is_left_or_wakes_never_runs),
        vow_test(wait_that_ends_leaves_its_executor_a_thread),
        vow_test(chain_of_more_than_a_million_steps_is_not_walked_to_its_end),
    };

    return vow_test_run(cases);
}
