/* SPDX-License-Identifier: MIT */
/*
 * Which waits provably cannot end, asked of the list of waits itself: what executors
 * with threads of their own cannot be brought to do on demand.
 */
#include "support/vow_test.h"

#include "core/arrive.h"
#include "core/deadlock.h"
#include "core/trampoline.h"
#include "core/word.h"
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

/* Two executors without a thread: that the last wait may end is known once it is known of
 * the second one, and of that once it is known of the first. */
VOW_CASE(hope_spreads_from_one_wait_to_the_next)
{
    struct scene near = scene_new(), far = scene_new();
    struct vowi_wait first = wait_for(far.outside, far.on, true);
    struct vowi_wait second = wait_for(far.task, near.on, true);
    struct vowi_wait third = wait_for(near.task, NULL, false);

    assert_int_equal(vowi_wait_begin(&first), 0);
    assert_int_equal(vowi_wait_begin(&second), 0);
    assert_int_equal(vowi_wait_begin(&third), 0);
    vowi_wait_end(&third);
    vowi_wait_end(&second);
    vowi_wait_end(&first);
    scene_free(&near);
    scene_free(&far);
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

/* A token's deadline may come before anything else. */
VOW_CASE(what_a_token_may_stop_may_end)
{
    struct scene s = scene_new();
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_future *queued =
        vow_submit_with(s.on, &VOW_SUBMIT_OPTIONS(.token = token), seven, VOW_NIL);
    vow_future *guarded = vow_with_token(vow_ref(s.task), token);
    vow_future *f[] = {queued, guarded, vow_then(vow_ref(queued), NULL, pass, VOW_NIL),
                       vow_then(vow_ref(guarded), NULL, pass, VOW_NIL)};

    for (int i = 0; i < 4; i++) {
        struct vowi_wait w = wait_for(f[i], s.on, true);

        assert_int_equal(vowi_wait_begin(&w), 0);
        vowi_wait_end(&w);
    }
    vow_manual_run(s.manual);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(vow_get(f[i]).value.as.i64, 7);
        vow_unref(f[i]);
    }
    vow_token_unref(token);
    vow_source_unref(source);
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

/* ---- joins ------------------------------------------------------------------------------ */

/* Of a wait for f, consumed, on an executor whose only thread waits. */
static int
begin_alone(const struct scene *s, vow_future *f)
{
    struct vowi_wait w = wait_for(f, s->on, true);
    int rc = vowi_wait_begin(&w);

    if (rc == 0)
        vowi_wait_end(&w);
    vow_ignore(f);
    return rc;
}

static vow_future *
task_of(const struct scene *s)
{
    return vow_ref(s->task);
}

static vow_future *
outside_of(const struct scene *s)
{
    return vow_ref(s->outside);
}

VOW_CASE(join_of_what_never_runs_never_settles)
{
    struct scene s = scene_new();

    assert_int_equal(begin_alone(&s, vow_when_all(VOW_FUTURES(task_of(&s)))),
                     VOW_E_DEADLOCK);
    assert_int_equal(begin_alone(&s, vow_race(VOW_FUTURES(task_of(&s), task_of(&s)))),
                     VOW_E_DEADLOCK);
    assert_int_equal(
        begin_alone(&s, vow_then(vow_any(VOW_FUTURES(task_of(&s))), NULL, pass, VOW_NIL)),
        VOW_E_DEADLOCK);
    scene_free(&s);
}

VOW_CASE(join_whose_other_inputs_have_settled_waits_for_those_that_have_not)
{
    struct scene s = scene_new();
    vow_future *all =
        vow_when_all(VOW_FUTURES(vow_resolved(VOW_NIL), task_of(&s), NULL, task_of(&s)));
    vow_future *settled = vow_when_all_settled(
        VOW_FUTURES(vow_resolved(VOW_NIL), task_of(&s), NULL, task_of(&s)));

    assert_int_equal(code_of(all), VOW_E_NOMEM);
    vow_unref(all);
    assert_int_equal(begin_alone(&s, settled), VOW_E_DEADLOCK);
    scene_free(&s);
}

/* That it would take both to fulfill it is not looked at: one may fail. */
VOW_CASE(join_one_of_whose_inputs_may_settle_may)
{
    struct scene s = scene_new();

    assert_int_equal(
        begin_alone(&s, vow_when_all(VOW_FUTURES(task_of(&s), outside_of(&s)))), 0);
    assert_int_equal(begin_alone(&s, vow_race(VOW_FUTURES(outside_of(&s), task_of(&s)))),
                     0);
    scene_free(&s);
}

/* One has failed; the join settles with that when the other has ended. */
VOW_CASE(join_that_is_decided_and_waits_is_given_the_benefit_of_the_doubt)
{
    struct scene s = scene_new();
    vow_future *failed = vow_rejected(vow_error_of(VOW_E_CANCELLED));

    assert_int_equal(
        begin_alone(&s, vow_when_all_with(
                            &VOW_COMBINE_OPTIONS(.flags = VOW_WAIT | VOW_KEEP_OTHERS),
                            VOW_FUTURES(failed, task_of(&s)))),
        0);
    scene_free(&s);
}

VOW_CASE(join_that_a_token_may_stop_may_settle)
{
    struct scene s = scene_new();
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    assert_int_equal(
        begin_alone(&s, vow_when_all_with(&VOW_COMBINE_OPTIONS(.token = token),
                                          VOW_FUTURES(task_of(&s)))),
        0);
    vow_token_unref(token);
    vow_source_unref(source);
    scene_free(&s);
}

VOW_CASE(joins_inside_each_other_are_asked_as_far_as_sixteen_deep)
{
    struct scene s = scene_new();

    for (int depth = 15; depth <= 17; depth++) {
        vow_future *f = task_of(&s);

        for (int i = 0; i < depth; i++)
            f = vow_when_all(&f, 1);
        assert_int_equal(begin_alone(&s, f), depth <= 16 ? VOW_E_DEADLOCK : 0);
    }
    scene_free(&s);
}

VOW_CASE(join_of_more_than_a_thousand_is_not_asked)
{
    struct scene s = scene_new();
    vow_future *inputs[1001];

    for (size_t n = 1000; n <= 1001; n++) {
        for (size_t i = 0; i < n; i++)
            inputs[i] = task_of(&s);
        assert_int_equal(begin_alone(&s, vow_when_all(inputs, n)),
                         n <= 1000 ? VOW_E_DEADLOCK : 0);
    }
    scene_free(&s);
}

/* Two, each of which has the one before twice: more ways than there is time. */
VOW_CASE(more_than_a_thousand_joins_are_not_asked)
{
    struct scene s = scene_new();
    vow_future *f = task_of(&s);

    for (int i = 0; i < 12; i++) {
        vow_future *twice[] = {vow_ref(f), f};

        f = vow_when_all(twice, 2);
    }
    assert_int_equal(begin_alone(&s, f), 0);
    scene_free(&s);
}

/* What a join was asked by, and what settles meanwhile. */
static vow_promise *meanwhile;

static bool
settle_meanwhile(struct vow_state *input)
{
    (void)input;
    vow_promise_fulfill(meanwhile, VOW_NIL);
    return false;
}

VOW_CASE(join_whose_last_input_settles_as_it_is_asked_settles_after_that)
{
    struct vowi_thread *t = vowi_self();
    vow_future *all;

    meanwhile = vow_promise_new();
    all = vow_when_all(VOW_FUTURES(vow_promise_future(meanwhile)));
    vowi_lock_word(vowi_state(all));
    assert_true(vowi_join_may_end(t, vowi_state(all), settle_meanwhile));
    assert_int_equal(vow_future_status(all), VOW_PENDING);
    vowi_drain_all(t);
    assert_int_equal(vow_future_status(all), VOW_FULFILLED);
    vow_unref(all);
    vow_promise_unref(meanwhile);
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

/* As if a join had been left to be done while others were asked. */
VOW_CASE(what_waits_on_the_trampoline_is_done_before_anybody_sleeps)
{
    struct vowi_thread *t = vowi_self();
    struct scene s = scene_new();
    struct vowi_wait w = wait_for(s.task, s.on, true);
    vow_future *f = vow_finally(outside_of(&s), NULL, nothing, VOW_NIL);
    bool outermost = vowi_enter(t);

    vow_promise_fulfill(s.promise, VOW_NIL);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(vowi_wait_begin(&w), VOW_E_DEADLOCK);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vowi_leave(t, outermost);
    vow_unref(f);
    scene_free(&s);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(task_queued_where_a_thread_is_left_may_run),
        vow_test(task_queued_where_no_thread_is_left_may_run_once_one_wakes),
        vow_test(hope_spreads_from_one_wait_to_the_next),
        vow_test(task_queued_where_no_thread_is_left_or_wakes_never_runs),
        vow_test(wait_that_ends_leaves_its_executor_a_thread),
        vow_test(what_a_token_may_stop_may_end),
        vow_test(chain_of_more_than_a_million_steps_is_not_walked_to_its_end),
        vow_test(join_of_what_never_runs_never_settles),
        vow_test(join_whose_other_inputs_have_settled_waits_for_those_that_have_not),
        vow_test(join_one_of_whose_inputs_may_settle_may),
        vow_test(join_that_is_decided_and_waits_is_given_the_benefit_of_the_doubt),
        vow_test(join_that_a_token_may_stop_may_settle),
        vow_test(joins_inside_each_other_are_asked_as_far_as_sixteen_deep),
        vow_test(join_of_more_than_a_thousand_is_not_asked),
        vow_test(more_than_a_thousand_joins_are_not_asked),
        vow_test(join_whose_last_input_settles_as_it_is_asked_settles_after_that),
        vow_test(what_waits_on_the_trampoline_is_done_before_anybody_sleeps),
    };

    return vow_test_run(cases);
}
