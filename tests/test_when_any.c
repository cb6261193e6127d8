/* SPDX-License-Identifier: MIT */
/*
 * vow_when_any, vow_race, vow_any and vow_some: who wins, what becomes of the others,
 * what they say when all fail. And for all combinators: cancelling, the flags.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"
#include "support/inputs.h"
#include "support/prints.h"

/* A cancel hook that does nothing: the promise stays pending. */
static struct inputs *hooked;

static void
note_request(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    ++*(int *)ctx;
    hooked->told = vow_error_code(vow_error_cause(reason));
    assert_int_equal(vow_error_code(reason), VOW_E_CANCELLED);
}

static void
hook_all(struct inputs *in)
{
    hooked = in;
    for (size_t i = 0; i < in->n; i++)
        vow_promise_on_cancel(in->promise[i], NULL, note_request, vow_ptr(&in->asked[i]));
}

typedef vow_future *combine_fn(vow_future *const *fs, size_t n);
typedef vow_future *combine_with_fn(const vow_combine_options *opt, vow_future *const *fs,
                                    size_t n);

static vow_future *
one_of(vow_future *const *fs, size_t n)
{
    return vow_some(1, fs, n);
}

static vow_future *
one_of_with(const vow_combine_options *opt, vow_future *const *fs, size_t n)
{
    return vow_some_with(opt, 1, fs, n);
}

static combine_fn *const first_wins[] = {vow_when_any, vow_race, vow_any, one_of};
static combine_with_fn *const first_wins_with[] = {vow_when_any_with, vow_race_with,
                                                   vow_any_with, one_of_with};
static combine_with_fn *const all_with[] = {vow_when_any_with, vow_race_with,
                                            vow_any_with,      one_of_with,
                                            vow_when_all_with, vow_when_all_settled_with};

#define EACH(table, i) for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++)

/* The first one. */

VOW_CASE(first_of_none_is_empty_at_once)
{
    EACH(first_wins, i)
    {
        vow_future *f = first_wins[i](NULL, 0);

        assert_int_equal(vow_future_status(f), VOW_REJECTED);
        assert_int_equal(code_of(f), VOW_E_EMPTY);
        vow_unref(f);
    }
}

VOW_CASE(any_settled_says_which_and_how)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_when_any(in.future, 3);

    fulfill(&in, 1);

    assert_int_equal(vow_get_winner(f)->index, 1);
    assert_ptr_equal(vow_get_winner(f)->result.value.as.ptr, &in.drop[1]);
    assert_false(fulfill(&in, 0));
    inputs_free(&in);
    assert_int_equal(drop_count(&in.drop[1]), 0);
    vow_unref(f);
    assert_int_equal(drop_count(&in.drop[1]), 1);
}

VOW_CASE(any_settled_is_fulfilled_by_a_failure)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_any(in.future, 2);

    reject(&in, 1, EIO);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get_winner(f)->index, 1);
    assert_int_equal(vow_error_code(vow_get_winner(f)->result.error), EIO);
    inputs_free(&in);
    vow_unref(f);
}

VOW_CASE(race_is_settled_as_the_first_one)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_race(in.future, 3);

    fulfill(&in, 2);
    assert_ptr_equal(vow_get(f).value.as.ptr, &in.drop[2]);
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 1);

    in = inputs_new(3);
    f = vow_race(in.future, 3);
    reject(&in, 0, EIO);
    assert_int_equal(code_of(f), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), -1);
    inputs_free(&in);
    vow_unref(f);
}

VOW_CASE(race_moves_a_value_that_nobody_else_holds)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_race(in.future, 2);
    vow_result out;

    fulfill(&in, 0);
    inputs_free(&in);
    assert_true(vow_take(f, &out));

    assert_ptr_equal(out.value.as.ptr, &in.drop[0]);
    vow_result_drop(out);
    assert_int_equal(drops_of(&in), 1);
}

VOW_CASE(any_passes_over_failures)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_any(in.future, 3);

    reject(&in, 0, EIO);
    reject(&in, 2, EPERM);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    fulfill(&in, 1);

    assert_ptr_equal(vow_get(f).value.as.ptr, &in.drop[1]);
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 1);
}

VOW_CASE(any_of_failures_alone_lists_them)
{
    struct inputs in = inputs_new(3);
    vow_future *fs[] = {in.future[0], in.future[1], in.future[2], NULL};
    vow_future *f = vow_any(fs, 4);
    vow_error *e;

    reject(&in, 2, EPERM);
    reject(&in, 0, EIO);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    reject(&in, 1, EBUSY);

    assert_int_equal(code_of(f), VOW_E_AGGREGATE);
    e = vow_error_ref(vow_get(f).error);
    vow_unref(f);
    inputs_free(&in);
    assert_int_equal(vow_error_count(e), 4);
    assert_int_equal(vow_error_code(vow_error_at(e, 0)), EIO);
    assert_int_equal(vow_error_code(vow_error_at(e, 1)), EBUSY);
    assert_int_equal(vow_error_code(vow_error_at(e, 2)), EPERM);
    assert_int_equal(vow_error_code(vow_error_at(e, 3)), VOW_E_NOMEM);
    assert_null(vow_error_at(e, 4));
    assert_null(vow_error_cause(e));
    assert_int_equal(vow_error_index(e), -1);
    vow_error_unref(e);
}

VOW_CASE(lowest_index_wins_among_what_is_ready)
{
    EACH(first_wins, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f;

        fulfill(&in, 2);
        fulfill(&in, 1);
        f = first_wins[i](in.future, 3);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        if (first_wins[i] == vow_when_any)
            assert_int_equal(vow_get_winner(f)->index, 1);
        else if (first_wins[i] == one_of)
            assert_int_equal(vow_results_index(vow_get_results(f), 0), 1);
        else
            assert_ptr_equal(vow_get(f).value.as.ptr, &in.drop[1]);
        assert_false(fulfill(&in, 0));
        inputs_free(&in);
        vow_unref(f);
    }
}

static vow_result
fulfill_the_others(vow_value v, void *ctx)
{
    struct inputs *in = ctx;

    (void)v;
    fulfill(in, 2);
    fulfill(in, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(order_of_settling_decides_also_inside_a_step)
{
    struct inputs in = inputs_new(3);
    vow_future *fs[] = {in.future[1], in.future[2]};
    vow_future *step = vow_then(in.future[0], NULL, fulfill_the_others, vow_ptr(&in));
    vow_future *f = vow_when_any(fs, 2);

    fulfill(&in, 0);

    assert_int_equal(vow_get_winner(f)->index, 1); /* of fs: promise 2 */
    vow_unref(step);
    vow_unref(f);
    inputs_free(&in);
}

/* Some. */

VOW_CASE(some_has_the_first_ones_in_the_order_they_came)
{
    struct inputs in = inputs_new(5);
    vow_future *f = vow_some(3, in.future, 5);
    const vow_results *r;

    fulfill(&in, 4);
    reject(&in, 1, EIO);
    fulfill(&in, 0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    fulfill(&in, 3);

    r = vow_get_results(f);
    assert_int_equal(vow_results_count(r), 3);
    assert_int_equal(vow_results_index(r, 0), 4);
    assert_int_equal(vow_results_index(r, 1), 0);
    assert_int_equal(vow_results_index(r, 2), 3);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(vow_results_at(r, i).value.as.ptr,
                         &in.drop[vow_results_index(r, i)]);
    assert_false(fulfill(&in, 2));
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 4);
}

VOW_CASE(some_fails_as_soon_as_it_must)
{
    struct inputs in = inputs_new(5);
    vow_future *f = vow_some(3, in.future, 5);
    const vow_error *e;

    reject(&in, 4, EIO);
    fulfill(&in, 2);
    reject(&in, 0, EPERM);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    reject(&in, 3, EBUSY);

    e = vow_get(f).error;
    assert_int_equal(vow_error_code(e), VOW_E_AGGREGATE);
    assert_int_equal(vow_error_count(e), 5);
    assert_int_equal(vow_error_code(vow_error_at(e, 0)), EPERM);
    assert_null(vow_error_at(e, 1));
    assert_null(vow_error_at(e, 2));
    assert_int_equal(vow_error_code(vow_error_at(e, 3)), EBUSY);
    assert_int_equal(vow_error_code(vow_error_at(e, 4)), EIO);
    assert_false(fulfill(&in, 1));
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 2);
}

VOW_CASE(print_of_failures_alone_lists_them)
{
    vow_future *f =
        vow_some(2, VOW_FUTURES(vow_rejected(vow_error_new_at("a:1", 5, "one")),
                                vow_resolved(VOW_NIL),
                                vow_rejected(vow_error_new_at("a:2", 6, "two"))));

    assert_prints(vow_get(f).error,
                  "error 4107 (VOW_E_AGGREGATE): several operations failed\n"
                  "  input 0: error 5 at a:1: one\n"
                  "  input 2: error 6 at a:2: two\n");
    vow_unref(f);
}

VOW_CASE(some_counts_a_null_among_the_failures)
{
    vow_future *f = vow_some(2, VOW_FUTURES(vow_resolved(VOW_NIL), NULL));
    const vow_error *e = vow_get(f).error;

    assert_int_equal(vow_error_code(e), VOW_E_AGGREGATE);
    assert_null(vow_error_at(e, 0));
    assert_int_equal(vow_error_code(vow_error_at(e, 1)), VOW_E_NOMEM);
    vow_unref(f);
}

VOW_CASE(some_that_is_decided_from_the_start_leaves_all)
{
    struct inputs in = inputs_new(2);
    vow_future *f;

    hook_all(&in);
    f = vow_some(3, in.future, 2);
    assert_string_equal(vow_error_message(vow_get(f).error),
                        "vow_some: 3 are wanted of 2 futures");
    assert_int_equal(code_of(f), VOW_E_INVALID);
    vow_unref(f);
    assert_int_equal(in.asked[0] + in.asked[1], 2);
    inputs_free(&in);

    in = inputs_new(2);
    hook_all(&in);
    f = vow_some(0, in.future, 2);
    assert_int_equal(vow_results_count(vow_get_results(f)), 0);
    vow_unref(f);
    assert_int_equal(in.asked[0] + in.asked[1], 2);
    inputs_free(&in);
}

VOW_CASE(some_without_memory_lets_go_of_its_inputs)
{
    struct inputs in = inputs_new(2);
    vow_future *f;

    fulfill(&in, 0);
    fulfill(&in, 1);
    counting_fail_at(1, COUNTING_ONCE);
    f = vow_some(1, in.future, 2);
    counting_fail_at(0, COUNTING_ONCE);
    assert_null(f);
    inputs_free(&in);
    assert_int_equal(drops_of(&in), 2);
}

/* Those who lose. */

VOW_CASE(losers_are_asked_to_stop_because_they_lost)
{
    EACH(first_wins, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f;

        hook_all(&in);
        f = first_wins[i](in.future, 3);
        fulfill(&in, 1);

        assert_int_equal(in.asked[0], 1);
        assert_int_equal(in.asked[1], 0);
        assert_int_equal(in.asked[2], 1);
        assert_int_equal(in.told, VOW_E_LOST);
        assert_true(fulfill(&in, 0)); /* it had better things to do */
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

VOW_CASE(losers_that_others_hold_go_on)
{
    EACH(first_wins, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *held = vow_ref(in.future[0]);
        vow_future *f = first_wins[i](in.future, 2);

        fulfill(&in, 1);

        assert_int_equal(vow_future_status(held), VOW_PENDING);
        assert_true(fulfill(&in, 0));
        inputs_free(&in);
        vow_unref(f);
        vow_unref(held);
        assert_int_equal(drops_of(&in), 2);
    }
}

VOW_CASE(losers_go_on_if_they_are_kept)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *f = first_wins_with[i](&VOW_COMBINE_OPTIONS(.flags = VOW_KEEP_OTHERS),
                                           in.future, 2);

        fulfill(&in, 1);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        assert_true(fulfill(&in, 0));
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

static vow_result
never(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail_msg("a step ran that was left");
    return vow_ok(VOW_NIL);
}

VOW_CASE(leaving_goes_up_a_chain_of_steps)
{
    struct inputs in = inputs_new(2);
    vow_future *fs[] = {in.future[0], in.future[1]};
    vow_future *f;

    hook_all(&in);
    fs[0] = vow_then(fs[0], NULL, never, VOW_NIL);
    fs[0] = vow_then(fs[0], NULL, never, VOW_NIL);
    f = vow_race(fs, 2);
    fulfill(&in, 1);

    assert_int_equal(in.asked[0], 1);
    inputs_free(&in);
    vow_unref(f);
}

VOW_CASE(leaving_stops_combinators_below)
{
    struct inputs in = inputs_new(4);
    vow_future *inner = vow_when_all(in.future, 3);
    vow_future *f;

    hook_all(&in);
    f = vow_race(VOW_FUTURES(inner, in.future[3]));
    fulfill(&in, 3);

    assert_int_equal(in.asked[0] + in.asked[1] + in.asked[2], 3);
    assert_int_equal(in.told, VOW_E_LOST);
    inputs_free(&in);
    vow_unref(f);
}

static void
count_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    ++*(int *)ctx;
}

VOW_CASE(errors_of_losers_count_as_handled)
{
    int unhandled = 0;

    vow_on_unhandled(count_unhandled, &unhandled);
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f = first_wins_with[i](&VOW_COMBINE_OPTIONS(.flags = VOW_KEEP_OTHERS),
                                           in.future, 3);

        fulfill(&in, 1);
        assert_true(reject(&in, 0, EIO));
        assert_true(reject(&in, 2, EIO));
        inputs_free(&in);
        vow_unref(f);
    }
    assert_int_equal(unhandled, 0);
    vow_on_unhandled(NULL, NULL);
}

VOW_CASE(immortal_loser_holds_nothing)
{
    struct inputs in = inputs_new(1);
    size_t before = counting_live();

    for (int i = 0; i < 1000; i++) {
        vow_future *f =
            vow_race(VOW_FUTURES(vow_ref(in.future[0]), vow_resolved(vow_i64(i))));

        assert_int_equal(vow_get(f).value.as.i64, i);
        vow_unref(f);
    }
    for (int i = 0; i < 1000; i++) {
        vow_promise *p = vow_promise_new();
        vow_future *f =
            vow_race(VOW_FUTURES(vow_ref(in.future[0]), vow_promise_future(p)));

        vow_promise_fulfill(p, VOW_NIL);
        vow_promise_unref(p);
        vow_unref(f);
    }

    assert_int_equal(counting_live(), before);
    vow_unref(in.future[0]);
    in.future[0] = NULL;
    vow_promise_fulfill(in.promise[0], VOW_NIL);
    inputs_free(&in);
}

/* Asking the result to stop. */

VOW_CASE(cancel_settles_at_once_and_leaves_all)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f;

        hook_all(&in);
        f = all_with[i](NULL, in.future, 3);
        vow_future_cancel(f, vow_error_new(EINTR, "enough"));

        assert_int_equal(vow_future_status(f), VOW_REJECTED);
        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        assert_true(vow_error_is(vow_get(f).error, EINTR));
        assert_int_equal(in.asked[0] + in.asked[1] + in.asked[2], 3);
        assert_int_equal(in.told, EINTR);
        vow_future_cancel(f, NULL);
        assert_true(fulfill(&in, 1));
        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        inputs_free(&in);
        vow_unref(f);
    }
}

VOW_CASE(cancel_of_what_has_settled_changes_nothing)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(1);
        vow_future *f = all_with[i](NULL, in.future, 1);

        fulfill(&in, 0);
        vow_future_cancel(f, NULL);

        assert_int_equal(code_of(f), 0);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 1);
    }
}

VOW_CASE(cancel_after_some_have_arrived_drops_their_values)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_when_all(in.future, 3);

    fulfill(&in, 0);
    fulfill(&in, 1);
    vow_future_cancel(f, NULL);
    assert_int_equal(drops_of(&in), 0); /* the promises hold them */
    inputs_free(&in);

    assert_int_equal(drops_of(&in), 2);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
}

VOW_CASE(cancel_with_others_kept_asks_nobody)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *f =
            all_with[i](&VOW_COMBINE_OPTIONS(.flags = VOW_KEEP_OTHERS), in.future, 2);

        vow_future_cancel(f, NULL);

        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        assert_true(fulfill(&in, 0));
        assert_true(fulfill(&in, 1));
        inputs_free(&in);
        vow_unref(f);
    }
}

/* A step that cancels a result that one of the inputs has decided already. */
static vow_result
fulfill_then_cancel(vow_value v, void *ctx)
{
    struct inputs *in = ctx;

    (void)v;
    fulfill(in, 1);
    vow_future_cancel(in->future[2], NULL);
    return vow_ok(VOW_NIL);
}

VOW_CASE(cancel_comes_too_late_for_what_is_decided)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *step =
            vow_then(in.future[0], NULL, fulfill_then_cancel, vow_ptr(&in));

        in.future[2] = all_with[i](NULL, &in.future[1], 1);
        fulfill(&in, 0);

        assert_int_equal(code_of(in.future[2]), 0);
        inputs_free(&in);
        vow_unref(step);
        vow_unref(in.future[2]);
        assert_int_equal(drops_of(&in), 2);
    }
}

/* Waiting for all of them. */

static const vow_combine_options wait_for_all = {.size = sizeof(vow_combine_options),
                                                 .flags = VOW_WAIT};
static const vow_combine_options wait_and_keep = {.size = sizeof(vow_combine_options),
                                                  .flags = VOW_WAIT | VOW_KEEP_OTHERS};

VOW_CASE(wait_settles_after_the_losers_have)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f;

        hook_all(&in);
        f = first_wins_with[i](&wait_for_all, in.future, 3);
        fulfill(&in, 1);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        assert_int_equal(in.asked[0] + in.asked[2], 2);
        reject(&in, 0, EIO);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        vow_future_cancel(f, NULL); /* it is decided */
        fulfill(&in, 2);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        if (first_wins_with[i] == vow_race_with)
            assert_ptr_equal(vow_get(f).value.as.ptr, &in.drop[1]);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

VOW_CASE(wait_needs_no_more_if_losers_stop_at_once)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f = first_wins_with[i](&wait_for_all, in.future, 3);

        fulfill(&in, 1);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        assert_false(fulfill(&in, 0));
        inputs_free(&in);
        vow_unref(f);
    }
}

VOW_CASE(wait_and_keep_lets_all_run_to_their_end)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *f = first_wins_with[i](&wait_and_keep, in.future, 2);

        fulfill(&in, 1);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        assert_true(fulfill(&in, 0));

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

VOW_CASE(wait_holds_back_what_was_ready_at_the_call)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(3);
        vow_future *f;

        hook_all(&in);
        fulfill(&in, 0);
        f = first_wins_with[i](&wait_for_all, in.future, 3);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        fulfill(&in, 1);
        fulfill(&in, 2);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 3);
    }
}

VOW_CASE(wait_holds_back_the_error_of_all)
{
    struct inputs in = inputs_new(3);
    vow_future *f;

    hook_all(&in);
    f = vow_when_all_with(&wait_for_all, in.future, 3);
    fulfill(&in, 0);
    reject(&in, 1, EIO);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(in.asked[2], 1);
    fulfill(&in, 2);

    assert_int_equal(code_of(f), EIO);
    assert_int_equal(vow_error_index(vow_get(f).error), 1);
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 2);
}

VOW_CASE(wait_holds_back_a_cancel)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *f;

        hook_all(&in);
        f = all_with[i](&wait_for_all, in.future, 2);
        vow_future_cancel(f, NULL);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        assert_int_equal(in.asked[0] + in.asked[1], 2);
        fulfill(&in, 0);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        fulfill(&in, 1);

        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

VOW_CASE(wait_for_the_same_future_twice)
{
    EACH(first_wins_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *fs[] = {in.future[0], vow_ref(in.future[0]), in.future[1]};
        vow_future *f;

        hook_all(&in);
        f = first_wins_with[i](&wait_for_all, fs, 3);
        fulfill(&in, 1);
        assert_int_equal(in.asked[0], 1);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        fulfill(&in, 0);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        inputs_free(&in);
        vow_unref(f);
        assert_int_equal(drops_of(&in), 2);
    }
}

/* Promises whose collector lets go of them. */

static vow_result
never_handle(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail_msg("a step ran that was abandoned");
    return vow_ok(VOW_NIL);
}

VOW_CASE(input_that_is_abandoned_abandons_what_it_decides)
{
    struct inputs in = inputs_new(2);
    struct drop ctx = {0};
    vow_future *f = vow_when_all(in.future, 2);

    f = vow_handle(f, NULL, never_handle, drop_value(&ctx));
    vow_promise_abandon(in.promise[0]);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(drop_count(&ctx), 1);
    vow_promise_unref(in.promise[1]);
    vow_unref(f);
}

VOW_CASE(input_that_is_abandoned_counts_otherwise)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_any(in.future, 2);

    vow_promise_abandon(in.promise[0]);
    fulfill(&in, 1);

    assert_ptr_equal(vow_get(f).value.as.ptr, &in.drop[1]);
    vow_promise_unref(in.promise[1]);
    vow_unref(f);
}

/* Tokens. */

VOW_CASE(token_cancels_the_result)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_source *source = vow_source_new();
        vow_token *token = vow_source_token(source);
        vow_future *f;

        hook_all(&in);
        f = all_with[i](&VOW_COMBINE_OPTIONS(.token = token), in.future, 2);
        vow_token_unref(token);
        assert_int_equal(vow_future_status(f), VOW_PENDING);
        vow_source_cancel(source, vow_error_new(EINTR, "enough"));

        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        assert_true(vow_error_is(vow_get(f).error, EINTR));
        assert_int_equal(in.asked[0] + in.asked[1], 2);
        inputs_free(&in);
        vow_unref(f);
        vow_source_unref(source);
    }
}

VOW_CASE(token_that_has_fired_cancels_at_once)
{
    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_source *source = vow_source_new();
        vow_token *token = vow_source_token(source);
        vow_future *f;

        vow_source_cancel(source, NULL);
        vow_source_unref(source);
        f = all_with[i](&VOW_COMBINE_OPTIONS(.token = token), in.future, 2);

        assert_int_equal(code_of(f), VOW_E_CANCELLED);
        assert_false(fulfill(&in, 0));
        vow_token_unref(token);
        inputs_free(&in);
        vow_unref(f);
    }
}

VOW_CASE(token_is_left_when_the_result_has_settled)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    size_t before = counting_live();

    EACH(all_with, i)
    {
        struct inputs in = inputs_new(2);
        vow_future *f = all_with[i](&VOW_COMBINE_OPTIONS(.token = token), in.future, 2);

        fulfill(&in, 0);
        fulfill(&in, 1);
        assert_int_equal(code_of(f), 0);
        inputs_free(&in);
        vow_unref(f);
    }

    assert_int_equal(counting_live(), before);
    vow_source_cancel(source, NULL);
    vow_source_unref(source);
    vow_token_unref(token);
}

VOW_CASE(token_without_memory_lets_go_of_the_inputs)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);

    counting_each_failure(k, COUNTING_ONCE)
    {
        struct inputs in = inputs_new(2);
        vow_future *f = vow_race_with(&VOW_COMBINE_OPTIONS(.token = token), in.future, 2);

        fulfill(&in, 0);
        assert_true(f != NULL || counting_failed());
        inputs_free(&in);
        vow_ignore(f);
    }
    vow_source_unref(source);
    vow_token_unref(token);
}

/* Options of another version. */

VOW_CASE(options_are_read_as_far_as_they_go)
{
    vow_combine_options old = {.size = sizeof old.size, .flags = VOW_KEEP_OTHERS};
    struct inputs in = inputs_new(2);
    vow_future *f = vow_race_with(&old, in.future, 2);

    fulfill(&in, 1);

    assert_false(fulfill(&in, 0)); /* the flags were not there */
    inputs_free(&in);
    vow_unref(f);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(first_of_none_is_empty_at_once),
        vow_test(any_settled_says_which_and_how),
        vow_test(any_settled_is_fulfilled_by_a_failure),
        vow_test(race_is_settled_as_the_first_one),
        vow_test(race_moves_a_value_that_nobody_else_holds),
        vow_test(any_passes_over_failures),
        vow_test(any_of_failures_alone_lists_them),
        vow_test(lowest_index_wins_among_what_is_ready),
        vow_test(order_of_settling_decides_also_inside_a_step),
        vow_test(some_has_the_first_ones_in_the_order_they_came),
        vow_test(some_fails_as_soon_as_it_must),
        vow_test(print_of_failures_alone_lists_them),
        vow_test(some_counts_a_null_among_the_failures),
        vow_test(some_that_is_decided_from_the_start_leaves_all),
        vow_test(some_without_memory_lets_go_of_its_inputs),
        vow_test(losers_are_asked_to_stop_because_they_lost),
        vow_test(losers_that_others_hold_go_on),
        vow_test(losers_go_on_if_they_are_kept),
        vow_test(leaving_goes_up_a_chain_of_steps),
        vow_test(leaving_stops_combinators_below),
        vow_test(errors_of_losers_count_as_handled),
        vow_test(immortal_loser_holds_nothing),
        vow_test(cancel_settles_at_once_and_leaves_all),
        vow_test(cancel_of_what_has_settled_changes_nothing),
        vow_test(cancel_after_some_have_arrived_drops_their_values),
        vow_test(cancel_with_others_kept_asks_nobody),
        vow_test(cancel_comes_too_late_for_what_is_decided),
        vow_test(wait_settles_after_the_losers_have),
        vow_test(wait_needs_no_more_if_losers_stop_at_once),
        vow_test(wait_and_keep_lets_all_run_to_their_end),
        vow_test(wait_holds_back_what_was_ready_at_the_call),
        vow_test(wait_holds_back_the_error_of_all),
        vow_test(wait_holds_back_a_cancel),
        vow_test(wait_for_the_same_future_twice),
        vow_test(input_that_is_abandoned_abandons_what_it_decides),
        vow_test(input_that_is_abandoned_counts_otherwise),
        vow_test(token_cancels_the_result),
        vow_test(token_that_has_fired_cancels_at_once),
        vow_test(token_is_left_when_the_result_has_settled),
        vow_test(token_without_memory_lets_go_of_the_inputs),
        vow_test(options_are_read_as_far_as_they_go),
    };

    return vow_test_run(cases);
}
