/* SPDX-License-Identifier: MIT */
/*
 * vow_when_all and vow_when_all_settled: what they settle with and when, what becomes
 * of the inputs, who frees what.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/join.h"
#include "support/drops.h"
#include "support/inputs.h"
#include "support/prints.h"

/* All of them. */

VOW_CASE(all_of_none_is_fulfilled_at_once)
{
    vow_future *f = vow_when_all(NULL, 0);
    const vow_results *r = vow_get_results(f);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_non_null(r);
    assert_int_equal(vow_results_count(r), 0);
    assert_int_equal(vow_error_code(vow_results_at(r, 0).error), VOW_E_INVALID);
    vow_unref(f);
}

VOW_CASE(all_has_the_values_in_the_order_of_the_inputs)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_when_all(in.future, 3);
    const vow_results *r;

    fulfill(&in, 2);
    fulfill(&in, 0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    fulfill(&in, 1);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    r = vow_get_results(f);
    assert_int_equal(vow_results_count(r), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(vow_results_at(r, i).value.as.ptr, &in.drop[i]);
        assert_true(vow_results_at(r, i).value.drop == NULL);
        assert_int_equal(vow_results_index(r, i), i);
    }
    assert_int_equal(vow_results_index(r, 3), SIZE_MAX);
    inputs_free(&in);
    assert_int_equal(drops_of(&in), 0);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 3);
}

VOW_CASE(all_of_what_is_ready_is_ready)
{
    vow_future *f =
        vow_when_all(VOW_FUTURES(vow_resolved(vow_i64(1)), vow_resolved(vow_i64(2))));

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_results_at(vow_get_results(f), 1).value.as.i64, 2);
    vow_unref(f);
}

static int evaluated;

static vow_future *
evaluate(void)
{
    return vow_resolved(vow_i64(++evaluated));
}

VOW_CASE(list_form_evaluates_each_once)
{
    vow_future *f;

    evaluated = 0;
    f = vow_when_all(VOW_FUTURES(evaluate(), evaluate(), evaluate()));

    assert_int_equal(evaluated, 3);
    assert_int_equal(vow_results_count(vow_get_results(f)), 3);
    vow_unref(f);
}

VOW_CASE(all_takes_one_allocation)
{
    struct inputs in = inputs_new(8);
    size_t before = counting_calls();
    vow_future *f = vow_when_all(in.future, 8);

    assert_int_equal(counting_calls(), before + 1);
    for (size_t i = 0; i < 7; i++)
        fulfill(&in, i);
    vow_promise_reject(in.promise[7], vow_error_of(VOW_E_TIMEDOUT));
    assert_int_equal(code_of(f), VOW_E_TIMEDOUT);
    vow_unref(f);
    assert_int_equal(counting_calls(), before + 1);
    inputs_free(&in);
}

VOW_CASE(all_without_memory_lets_go_of_its_inputs)
{
    struct inputs in = inputs_new(3);
    vow_future *f;

    fulfill(&in, 0);
    counting_fail_at(1, COUNTING_ONCE);
    f = vow_when_all(in.future, 3);
    counting_fail_at(0, COUNTING_ONCE);

    assert_null(f);
    inputs_free(&in);
    assert_int_equal(drops_of(&in), 1);
}

/* One of n fails, at each place. */

static void
fail_at(size_t n, size_t at)
{
    struct inputs in = inputs_new(n);
    vow_future *f = vow_when_all(in.future, n);
    const vow_error *e;

    for (size_t i = 0; i < at; i++)
        fulfill(&in, i);
    reject(&in, at, EIO);

    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    e = vow_get(f).error;
    assert_int_equal(vow_error_code(e), EIO);
    assert_int_equal(vow_error_index(e), (int64_t)at);
    assert_int_equal(vow_error_code(vow_error_cause(e)), EIO);
    assert_string_equal(vow_error_message(e), vow_error_message(vow_error_cause(e)));
    assert_null(vow_get_results(f));
    for (size_t i = at + 1; i < n; i++)
        assert_false(fulfill(&in, i)); /* it was asked to stop */
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), n - 1);
}

VOW_CASE(all_fails_with_the_first_error_and_its_index)
{
    for (size_t at = 0; at < 5; at++)
        fail_at(5, at);
}

VOW_CASE(error_of_all_outlives_it)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_all(in.future, 2);
    vow_error *e;

    reject(&in, 1, EIO);
    e = vow_error_ref(vow_get(f).error);
    vow_unref(f);
    inputs_free(&in);

    assert_int_equal(vow_error_index(e), 1);
    assert_int_equal(vow_error_code(e), EIO);
    vow_error_unref(e);
}

VOW_CASE(error_of_all_can_be_built_upon)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_all(in.future, 2);
    vow_error *e;

    vow_promise_reject(in.promise[1], vow_error_retry(vow_error_new(EAGAIN, "x"), 5));
    e = vow_error_wrap(vow_get(f).error, EIO, "no pages");
    vow_unref(f);
    inputs_free(&in);

    assert_int_equal(vow_error_index(e), 1);
    assert_true(vow_error_retryable(e));
    assert_int_equal(vow_error_retry_after(e), 5);
    assert_true(vow_error_is(e, EAGAIN));
    assert_int_equal(vow_error_count(e), 0);
    assert_null(vow_error_at(e, 0));
    vow_error_unref(e);
}

VOW_CASE(nested_errors_have_the_index_of_the_outer_one_first)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_all(in.future, 2);
    const vow_error *e;

    f = vow_when_all(VOW_FUTURES(vow_resolved(VOW_NIL), vow_resolved(VOW_NIL), f));
    reject(&in, 1, EIO);

    e = vow_get(f).error;
    assert_int_equal(vow_error_index(e), 2);
    assert_int_equal(vow_error_index(vow_error_cause(e)), 1);
    assert_int_equal(vow_error_index(vow_error_cause(vow_error_cause(e))), -1);
    vow_unref(f);
    inputs_free(&in);
}

VOW_CASE(all_with_a_ready_error_leaves_the_rest_alone_at_once)
{
    struct inputs in = inputs_new(3);
    vow_future *f;

    reject(&in, 1, EIO);
    f = vow_when_all(in.future, 3);

    assert_int_equal(vow_error_index(vow_get(f).error), 1);
    assert_false(fulfill(&in, 0));
    assert_false(fulfill(&in, 2));
    vow_unref(f);
    inputs_free(&in);
}

VOW_CASE(null_inputs_have_no_memory)
{
    vow_future *f = vow_when_all(VOW_FUTURES(vow_resolved(VOW_NIL), NULL));
    const vow_results *r;

    assert_int_equal(code_of(f), VOW_E_NOMEM);
    assert_int_equal(vow_error_index(vow_get(f).error), 1);
    vow_unref(f);
    f = vow_when_all_settled(VOW_FUTURES(NULL, vow_resolved(vow_i64(3))));
    r = vow_get_results(f);
    assert_int_equal(vow_error_code(vow_results_at(r, 0).error), VOW_E_NOMEM);
    assert_int_equal(vow_results_at(r, 1).value.as.i64, 3);
    vow_unref(f);
}

VOW_CASE(same_future_may_be_there_twice)
{
    struct inputs in = inputs_new(1);
    vow_future *twice[] = {in.future[0], vow_ref(in.future[0]), vow_ref(in.future[0])};
    vow_future *f = vow_when_all(twice, 3);

    fulfill(&in, 0);

    assert_int_equal(vow_results_count(vow_get_results(f)), 3);
    assert_ptr_equal(vow_results_at(vow_get_results(f), 2).value.as.ptr, &in.drop[0]);
    inputs_free(&in);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 1);
}

VOW_CASE(same_future_twice_is_stopped_when_all_of_it_was_left)
{
    struct inputs in = inputs_new(2);
    vow_future *fs[] = {in.future[0], vow_ref(in.future[0]), in.future[1]};
    vow_future *f = vow_when_all(fs, 3);

    reject(&in, 1, EIO);

    assert_false(fulfill(&in, 0));
    assert_int_equal(vow_error_index(vow_get(f).error), 2);
    inputs_free(&in);
    vow_unref(f);
}

/* However they settle. */

VOW_CASE(settled_never_fails)
{
    struct inputs in = inputs_new(3);
    vow_future *f = vow_when_all_settled(in.future, 3);
    const vow_results *r;

    reject(&in, 1, EIO);
    fulfill(&in, 0);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_unref(in.promise[2]);
    in.promise[2] = NULL;

    r = vow_get_results(f);
    assert_non_null(r);
    assert_ptr_equal(vow_results_at(r, 0).value.as.ptr, &in.drop[0]);
    assert_int_equal(vow_error_code(vow_results_at(r, 1).error), EIO);
    assert_int_equal(vow_error_code(vow_results_at(r, 2).error), VOW_E_BROKEN);
    vow_unref(f);
    inputs_free(&in);
    assert_int_equal(drops_of(&in), 1);
}

static void
count_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    ++*(int *)ctx;
}

VOW_CASE(errors_of_inputs_count_as_handled)
{
    struct inputs in = inputs_new(3);
    int unhandled = 0;
    vow_future *f;

    vow_on_unhandled(count_unhandled, &unhandled);
    f = vow_when_all_settled(in.future, 3);
    for (size_t i = 0; i < 3; i++)
        reject(&in, i, EIO);
    vow_unref(f);
    inputs_free(&in);
    assert_int_equal(unhandled, 0);

    in = inputs_new(3);
    f = vow_when_all_with(&VOW_COMBINE_OPTIONS(.flags = VOW_KEEP_OTHERS), in.future, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(reject(&in, i, EIO));
    assert_int_equal(unhandled, 0);
    vow_unref(f); /* the result's own was not looked at */
    assert_int_equal(unhandled, 1);
    vow_on_unhandled(NULL, NULL);
    inputs_free(&in);
}

/* Where the results go. */

VOW_CASE(results_can_be_taken_one_by_one)
{
    struct inputs in = inputs_new(2);
    vow_future *held = vow_ref(in.future[1]);
    vow_future *f = vow_when_all(in.future, 2);
    vow_results *r;
    vow_result out;

    fulfill(&in, 0);
    fulfill(&in, 1);
    inputs_free(&in);
    r = vow_get(f).value.as.ptr;
    assert_true(vow_results_take(r, 0, &out));
    assert_ptr_equal(out.value.as.ptr, &in.drop[0]);
    assert_false(vow_results_take(r, 0, &out));
    assert_int_equal(vow_error_code(vow_results_at(r, 0).error), VOW_E_INVALID);
    assert_false(vow_results_take(r, 1, &out));
    assert_false(vow_results_take(r, 2, &out));
    assert_false(vow_results_take(NULL, 0, &out));

    assert_int_equal(drops_of(&in), 0);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 0);
    vow_result_drop(vow_ok(drop_value(&in.drop[0])));
    vow_unref(held);
    assert_int_equal(drops_of(&in), 2);
}

VOW_CASE(results_can_be_taken_as_a_whole)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_all(in.future, 2);
    vow_result out;

    fulfill(&in, 0);
    fulfill(&in, 1);
    inputs_free(&in);
    assert_true(vow_take(f, &out));

    assert_ptr_equal(vow_results_at(out.value.as.ptr, 1).value.as.ptr, &in.drop[1]);
    assert_int_equal(drops_of(&in), 0);
    vow_result_drop(out);
    assert_int_equal(drops_of(&in), 2);
}

static vow_result
forward(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_forward();
}

VOW_CASE(results_are_passed_on_by_steps)
{
    struct inputs in = inputs_new(2);
    vow_future *f = vow_when_all(in.future, 2);
    vow_future *shared = vow_ref(f);

    f = vow_then(f, NULL, forward, VOW_NIL);
    f = vow_then(f, NULL, forward, VOW_NIL);
    fulfill(&in, 0);
    fulfill(&in, 1);
    inputs_free(&in);

    assert_ptr_equal(vow_get_results(f), vow_get_results(shared));
    vow_unref(shared);
    assert_ptr_equal(vow_results_at(vow_get_results(f), 0).value.as.ptr, &in.drop[0]);
    vow_unref(f);
    assert_int_equal(drops_of(&in), 2);
}

VOW_CASE(results_nobody_waits_for_are_freed)
{
    struct inputs in = inputs_new(2);

    vow_unref(vow_when_all(in.future, 2));
    assert_true(fulfill(&in, 0));
    assert_true(fulfill(&in, 1));
    inputs_free(&in);
    assert_int_equal(drops_of(&in), 2);
}

VOW_CASE(typed_readers_and_counts_accept_null)
{
    assert_null(vow_get_results(NULL));
    assert_null(vow_get_winner(NULL));
    assert_int_equal(vow_results_count(NULL), 0);
    assert_int_equal(vow_error_code(vow_results_at(NULL, 0).error), VOW_E_INVALID);
    assert_int_equal(vow_error_index(NULL), -1);
    assert_int_equal(vow_error_count(NULL), 0);
    assert_null(vow_error_at(NULL, 0));
}

/* Many. */

enum { MILLION = 1000000 };

VOW_CASE(all_of_a_million)
{
    vow_promise *p = vow_promise_new();
    vow_future **fs = malloc(MILLION * sizeof(vow_future *));
    vow_future *f;

    assert_non_null(fs);
    for (size_t i = 0; i < MILLION; i++)
        fs[i] = vow_promise_future(p);
    f = vow_when_all(fs, MILLION);
    free(fs);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(p, vow_i64(7));
    vow_promise_unref(p);

    assert_int_equal(vow_results_at(vow_get_results(f), MILLION - 1).value.as.i64, 7);
    vow_unref(f);
}

VOW_CASE(all_of_a_million_that_is_cancelled_leaves_them)
{
    vow_promise *p = vow_promise_new();
    vow_future **fs = malloc(MILLION * sizeof(vow_future *));
    vow_future *f;

    assert_non_null(fs);
    for (size_t i = 0; i < MILLION; i++)
        fs[i] = vow_promise_future(p);
    f = vow_when_all(fs, MILLION);
    free(fs);
    vow_future_cancel(f, NULL);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_false(vow_promise_fulfill(p, VOW_NIL));
    vow_promise_unref(p);
    vow_unref(f);
}

enum { DEEP = 100000 };

/* A combinator of a combinator, and so on. */
static vow_future *
nest(vow_future *f, vow_future *(*combine)(vow_future *const *, size_t))
{
    for (int i = 0; i < DEEP; i++)
        f = combine(&f, 1);
    return f;
}

VOW_CASE(deep_nesting_is_flat_on_the_stack)
{
    vow_future *(*const combines[])(vow_future *const *, size_t) = {
        vow_when_all, vow_when_all_settled, vow_when_any, vow_race, vow_any};

    for (size_t i = 0; i < sizeof combines / sizeof *combines; i++) {
        vow_promise *p = vow_promise_new();
        vow_promise *q = vow_promise_new();
        vow_promise *r = vow_promise_new();
        vow_future *f = nest(vow_promise_future(p), combines[i]);
        vow_future *g = nest(vow_promise_future(q), combines[i]);
        vow_future *h = nest(vow_promise_future(r), combines[i]);

        vow_promise_fulfill(p, vow_i64(1));
        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        vow_promise_reject(q, vow_error_new(EIO, "deep"));
        assert_int_not_equal(vow_future_status(g), VOW_PENDING);
        vow_future_cancel(h, NULL);
        assert_int_equal(code_of(h), VOW_E_CANCELLED);
        assert_false(vow_promise_fulfill(r, VOW_NIL));
        vow_unref(f);
        vow_ignore(g);
        vow_unref(h);
        vow_promise_unref(p);
        vow_promise_unref(q);
        vow_promise_unref(r);
    }
}

VOW_CASE(print_of_an_error_says_which_input_it_was)
{
    vow_future *f = vow_when_all(VOW_FUTURES(
        vow_resolved(VOW_NIL), vow_rejected(vow_error_new_at("here:1", 4109, "not me"))));

    assert_prints(vow_get(f).error,
                  "error 4109 (VOW_E_LOST) at here:1: not me [input 1]\n");
    vow_unref(f);
}

static bool
never_concludes(struct vowi_join *j, size_t by)
{
    (void)j;
    (void)by;
    return false;
}

VOW_CASE(join_with_a_token_that_is_never_started_leaves_nothing)
{
    const struct vowi_join_kind kind = {.conclude = never_concludes};
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    const struct vowi_join_options options = {.token = t};
    struct vowi_join *j = vowi_join_new(&kind, 2, 0, &options);

    assert_non_null(j);
    vowi_join_discard(j);
    vow_token_unref(t);
    vow_source_unref(s);
}

VOW_CASE(join_of_more_inputs_than_there_is_memory_is_null)
{
    const struct vowi_join_kind kind = {.conclude = never_concludes};
    const struct vowi_join_options options = {.flags = 0};

    assert_null(vowi_join_new(&kind, SIZE_MAX / 4, 0, &options));
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(print_of_an_error_says_which_input_it_was),
        vow_test(join_with_a_token_that_is_never_started_leaves_nothing),
        vow_test(join_of_more_inputs_than_there_is_memory_is_null),
        vow_test(all_of_none_is_fulfilled_at_once),
        vow_test(all_has_the_values_in_the_order_of_the_inputs),
        vow_test(all_of_what_is_ready_is_ready),
        vow_test(list_form_evaluates_each_once),
        vow_test(all_takes_one_allocation),
        vow_test(all_without_memory_lets_go_of_its_inputs),
        vow_test(all_fails_with_the_first_error_and_its_index),
        vow_test(error_of_all_outlives_it),
        vow_test(error_of_all_can_be_built_upon),
        vow_test(nested_errors_have_the_index_of_the_outer_one_first),
        vow_test(all_with_a_ready_error_leaves_the_rest_alone_at_once),
        vow_test(null_inputs_have_no_memory),
        vow_test(same_future_may_be_there_twice),
        vow_test(same_future_twice_is_stopped_when_all_of_it_was_left),
        vow_test(settled_never_fails),
        vow_test(errors_of_inputs_count_as_handled),
        vow_test(results_can_be_taken_one_by_one),
        vow_test(results_can_be_taken_as_a_whole),
        vow_test(results_are_passed_on_by_steps),
        vow_test(results_nobody_waits_for_are_freed),
        vow_test(typed_readers_and_counts_accept_null),
        vow_test(all_of_a_million),
        vow_test(all_of_a_million_that_is_cancelled_leaves_them),
        vow_test(deep_nesting_is_flat_on_the_stack),
    };

    return vow_test_run(cases);
}
