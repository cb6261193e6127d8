/* SPDX-License-Identifier: MIT */
/*
 * Promises: who settles, what the loser's value comes to, what happens when nobody
 * settles, and what letting go without running anything does.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

VOW_CASE(promise_when_new_is_pending)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_non_null(p);
    assert_non_null(f);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_INVALID);
    assert_false(vow_wait(f, 0));

    assert_true(vow_promise_fulfill(p, VOW_NIL));
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(fulfill_settles_with_the_value)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(p, vow_i64(-7)));

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_null(vow_peek(f).error);
    assert_int_equal(vow_peek(f).value.as.i64, -7);
    assert_int_equal(vow_get(f).value.as.i64, -7);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(fulfill_lends_a_value_without_its_drop)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(p, drop_value(&d)));
    vow_promise_unref(p);

    assert_ptr_equal(vow_get(f).value.as.ptr, &d);
    assert_true(vow_get(f).value.drop == NULL);
    assert_int_equal(drop_count(&d), 0);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(fulfill_of_every_kind_of_scalar_arrives_unchanged)
{
    const vow_value in[] = {vow_i64(INT64_MIN), vow_u64(UINT64_MAX), vow_f64(-0.5),
                            vow_ptr(&in), VOW_NIL};

    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        vow_future *f = vow_resolved(in[i]);

        assert_int_equal(vow_future_status(f), VOW_FULFILLED);
        assert_true(vow_get(f).value.as.u64 == in[i].as.u64);
        assert_int_equal(vow_is_nil(vow_get(f).value), vow_is_nil(in[i]));
        vow_unref(f);
    }
}

VOW_CASE(reject_settles_with_the_error)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_error *e = vow_error_new(VOW_E_USER + 3, "number %d", 3);

    assert_true(vow_promise_reject(p, e));

    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_ptr_equal(vow_get(f).error, e);
    assert_true(vow_is_nil(vow_get(f).value));
    assert_string_equal(vow_error_message(vow_peek(f).error), "number 3");
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(reject_with_null_is_out_of_memory)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_reject(p, NULL));

    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(fulfill_twice_keeps_the_first_and_drops_the_second)
{
    struct drop first = {0};
    struct drop second = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(p, drop_value(&first)));
    assert_false(vow_promise_fulfill(p, drop_value(&second)));

    assert_int_equal(drop_count(&second), 1);
    assert_int_equal(drop_count(&first), 0);
    assert_ptr_equal(vow_get(f).value.as.ptr, &first);
    vow_promise_unref(p);
    vow_unref(f);
    assert_int_equal(drop_count(&first), 1);
    assert_int_equal(drop_count(&second), 1);
}

VOW_CASE(reject_after_fulfill_loses_and_frees_its_error)
{
    struct drop payload = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(p, vow_i64(1)));
    assert_false(vow_promise_reject(p, drop_error(&payload, EIO)));

    assert_int_equal(drop_count(&payload), 1);
    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(fulfill_after_reject_loses_and_drops_its_value)
{
    struct drop payload = {0};
    struct drop late = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_reject(p, drop_error(&payload, EIO)));
    assert_false(vow_promise_fulfill(p, drop_value(&late)));

    assert_int_equal(drop_count(&late), 1);
    assert_int_equal(code_of(f), EIO);
    assert_int_equal(drop_count(&payload), 0);
    vow_unref(f);
    vow_promise_unref(p);
    assert_int_equal(drop_count(&payload), 1);
}

VOW_CASE(resolve_settles_as_the_result_says)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_promise_future(q);

    assert_true(vow_promise_resolve(p, vow_ok(vow_i64(5))));
    assert_true(vow_promise_resolve(q, vow_fail(EILSEQ, "no")));

    assert_int_equal(vow_get(f).value.as.i64, 5);
    assert_int_equal(code_of(g), EILSEQ);
    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

VOW_CASE(resolve_after_settling_loses_and_releases_its_result)
{
    struct drop value = {0};
    struct drop payload = {0};
    struct drop followed = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(p, VOW_NIL));

    assert_false(vow_promise_resolve(p, vow_ok(drop_value(&value))));
    assert_false(vow_promise_resolve(p, vow_err(drop_error(&payload, EIO))));
    assert_false(vow_promise_resolve(p, vow_follow(vow_resolved(drop_value(&followed)))));
    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(drop_count(&payload), 1);
    assert_int_equal(drop_count(&followed), 1);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(resolve_with_several_members_takes_follow_then_error)
{
    struct drop value = {0};
    struct drop payload = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_result r = {.value = drop_value(&value),
                    .error = drop_error(&payload, EIO),
                    .follow = vow_resolved(vow_i64(8))};

    assert_true(vow_promise_resolve(p, r));

    assert_int_equal(vow_get(f).value.as.i64, 8);
    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(drop_count(&payload), 1);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(resolve_with_an_error_and_a_value_takes_the_error)
{
    struct drop value = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_result r = {.value = drop_value(&value), .error = vow_error_of(VOW_E_LIMIT)};

    assert_true(vow_promise_resolve(p, r));

    assert_int_equal(code_of(f), VOW_E_LIMIT);
    assert_int_equal(drop_count(&value), 1);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(resolve_with_forward_outside_a_step_is_invalid)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_resolve(p, vow_forward()));

    assert_int_equal(code_of(f), VOW_E_INVALID);
    vow_result_drop(vow_forward());
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(resolve_with_no_error_at_all_is_out_of_memory)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_resolve(p, vow_err(NULL)));

    assert_int_equal(code_of(f), VOW_E_NOMEM);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(result_drop_releases_all_three_members)
{
    struct drop value = {0};
    struct drop payload = {0};
    struct drop followed = {0};

    vow_result_drop((vow_result){.value = drop_value(&value),
                                 .error = drop_error(&payload, EIO),
                                 .follow = vow_resolved(drop_value(&followed))});

    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(drop_count(&payload), 1);
    assert_int_equal(drop_count(&followed), 1);
    vow_result_drop(vow_ok(VOW_NIL));
}

VOW_CASE(value_without_readers_is_dropped_once)
{
    struct drop before = {0};
    struct drop after = {0};
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();

    vow_unref(vow_promise_future(p));
    assert_true(vow_promise_fulfill(p, drop_value(&before)));
    vow_promise_unref(p);
    assert_true(vow_promise_fulfill(q, drop_value(&after)));
    vow_promise_unref(q);

    assert_int_equal(drop_count(&before), 1);
    assert_int_equal(drop_count(&after), 1);
}

VOW_CASE(value_lives_until_the_last_future_goes)
{
    struct drop d = {0};
    vow_future *f = vow_resolved(drop_value(&d));
    vow_future *g = vow_ref(f);

    assert_ptr_equal(g, f);
    vow_unref(f);
    assert_int_equal(drop_count(&d), 0);
    assert_ptr_equal(vow_get(g).value.as.ptr, &d);
    vow_unref(g);
    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(promise_dropped_unsettled_breaks_its_future)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_unref(p);

    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

VOW_CASE(promise_with_another_handle_does_not_break)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_ptr_equal(vow_promise_ref(p), p);
    vow_promise_unref(p);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_true(vow_promise_fulfill(p, vow_i64(2)));
    vow_promise_unref(p);

    assert_int_equal(vow_get(f).value.as.i64, 2);
    vow_unref(f);
}

VOW_CASE(promise_that_follows_does_not_break)
{
    vow_promise *inner = vow_promise_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_resolve(p, vow_follow(vow_promise_future(inner))));
    vow_promise_unref(p);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(inner, vow_i64(3));

    assert_int_equal(vow_get(f).value.as.i64, 3);
    vow_unref(f);
    vow_promise_unref(inner);
}

static vow_result
unref_promise_step(vow_value in, void *ctx)
{
    (void)in;
    vow_promise_unref(ctx);
    return vow_ok(vow_i64(1));
}

VOW_CASE(promise_dropped_in_a_callback_breaks)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_then(vow_resolved(VOW_NIL), NULL, unref_promise_step, vow_ptr(p));

    assert_int_equal(vow_get(g).value.as.i64, 1);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
    vow_unref(g);
}

static void
unref_promise_drop(void *p)
{
    vow_promise_unref(p);
}

VOW_CASE(promise_owned_by_a_value_breaks_when_that_is_dropped)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *owner = vow_resolved(vow_own(p, unref_promise_drop));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_unref(owner);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

static vow_result
never_task(void *ctx)
{
    (void)ctx;
    fail_msg("a task ran that was cancelled");
    return vow_ok(VOW_NIL);
}

VOW_CASE(promise_owned_by_a_queued_task_breaks_at_close)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *task =
        vow_submit(vow_manual_executor(m), never_task, vow_own(p, unref_promise_drop));

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_CANCEL_QUEUED));

    assert_int_equal(code_of(task), VOW_E_CLOSED);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(task);
    vow_unref(f);
    vow_manual_unref(m);
}

static pthread_key_t promise_key;

static void *
leave_promise_to_thread_exit(void *p)
{
    pthread_setspecific(promise_key, p);
    return NULL;
}

VOW_CASE(promise_dropped_at_thread_exit_breaks)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    pthread_t thread;

    assert_int_equal(pthread_key_create(&promise_key, unref_promise_drop), 0);
    assert_int_equal(pthread_create(&thread, NULL, leave_promise_to_thread_exit, p), 0);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    pthread_join(thread, NULL);
    pthread_key_delete(promise_key);
    vow_unref(f);
}

/* All that a step may free while it runs: its promise, its source, its result. */
struct own_things {
    vow_promise *promise;
    vow_future *source;
    vow_future *result;
};

static vow_result
free_own_things(vow_value in, void *ctx)
{
    struct own_things *own = ctx;

    vow_promise_unref(own->promise);
    vow_unref(own->source);
    vow_unref(own->result);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(callback_may_free_its_own_promise_source_and_result)
{
    struct drop ctx = {0};
    struct own_things own = {.promise = vow_promise_new()};
    vow_future *last;

    own.source = vow_promise_future(own.promise);
    own.result = vow_then(vow_ref(own.source), NULL, free_own_things, vow_ptr(&own));
    last = vow_finally(vow_ref(own.result), NULL, drop_it, vow_ptr(&ctx));
    assert_true(vow_promise_fulfill(own.promise, vow_i64(4)));

    assert_int_equal(vow_get(last).value.as.i64, 5);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(last);
}

static vow_result
settle_again_step(vow_value in, void *ctx)
{
    vow_promise *p = ctx;

    (void)in;
    assert_false(vow_promise_fulfill(p, vow_i64(99)));
    assert_false(vow_promise_reject(p, vow_error_of(VOW_E_LIMIT)));
    return vow_ok(vow_i64(1));
}

VOW_CASE(promise_settled_again_from_its_own_step_stays_as_it_was)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_then(vow_ref(f), NULL, settle_again_step, vow_ptr(p));

    assert_true(vow_promise_fulfill(p, vow_i64(10)));

    assert_int_equal(vow_get(f).value.as.i64, 10);
    assert_int_equal(vow_get(g).value.as.i64, 1);
    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
}

static void
never_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    (void)ctx;
    fail_msg("a cancel hook ran that nobody asked for");
}

VOW_CASE(promise_null_is_accepted_everywhere)
{
    struct drop value = {0};
    struct drop payload = {0};
    struct drop ctx = {0};

    assert_null(vow_promise_future(NULL));
    assert_null(vow_promise_ref(NULL));
    assert_false(vow_promise_fulfill(NULL, drop_value(&value)));
    assert_false(vow_promise_reject(NULL, drop_error(&payload, EIO)));
    assert_false(vow_promise_reject(NULL, NULL));
    assert_false(vow_promise_resolve(NULL, vow_ok(VOW_NIL)));
    assert_null(vow_promise_on_cancel(NULL, NULL, never_hook, drop_value(&ctx)));
    vow_promise_unref(NULL);
    vow_promise_abandon(NULL);

    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(drop_count(&payload), 1);
    assert_int_equal(drop_count(&ctx), 1);
}

VOW_CASE(future_null_reads_as_out_of_memory)
{
    vow_result r = {0};

    assert_int_equal(vow_future_status(NULL), VOW_REJECTED);
    assert_int_equal(vow_error_code(vow_get(NULL).error), VOW_E_NOMEM);
    assert_int_equal(vow_error_code(vow_peek(NULL).error), VOW_E_NOMEM);
    assert_true(vow_wait(NULL, 0));
    assert_true(vow_wait_until(NULL, 0));
    assert_true(vow_take(NULL, &r));
    assert_int_equal(vow_error_code(r.error), VOW_E_NOMEM);
    vow_result_drop(r);
    assert_null(vow_ref(NULL));
    assert_null(vow_future_name(NULL));
    assert_null(vow_future_site(NULL));
    vow_unref(NULL);
    vow_detach(NULL);
    vow_ignore(NULL);
    vow_future_cancel(NULL, NULL);
    vow_future_cancel(NULL, vow_error_new(EINTR, "nobody is there"));
}

VOW_CASE(promise_options_give_it_a_name)
{
    vow_promise *named = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "reply"));
    vow_promise *plain = vow_promise_new_with(NULL);
    vow_future *f = vow_promise_future(named);
    vow_future *g = vow_promise_future(plain);

    assert_string_equal(vow_future_name(f), "reply");
    assert_null(vow_future_name(g));
    assert_int_equal(vow_future_status(g), VOW_PENDING);
    vow_promise_fulfill(named, VOW_NIL);
    assert_string_equal(vow_future_name(f), "reply");
    vow_promise_unref(named);
    vow_promise_unref(plain);
    assert_int_equal(code_of(g), VOW_E_BROKEN);
    vow_unref(f);
    vow_unref(g);
}

static vow_promise *
make_here(const vow_promise_options *opt, const void **after)
{
    vow_promise *p = opt != NULL ? vow_promise_new_with(opt) : vow_promise_new();

    *after = __builtin_return_address(0);
    return p;
}

/* Neither inlined nor copied for its callers. */
static vow_promise *(*volatile make)(const vow_promise_options *,
                                     const void **) = make_here;

VOW_CASE(future_site_is_the_call_that_made_it)
{
    const void *after = NULL;
    vow_promise *p = make(NULL, &after);
    vow_promise *q = make(&VOW_PROMISE_OPTIONS(.name = "q"), &after);
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_promise_future(q);
    uintptr_t start = (uintptr_t)make_here;

    assert_non_null(after);
    assert_in_range((uintptr_t)vow_future_site(f), start, start + 512);
    assert_in_range((uintptr_t)vow_future_site(g), start, start + 512);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_fulfill(q, VOW_NIL);
    vow_promise_unref(p);
    vow_promise_unref(q);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(resolved_and_rejected_have_settled_at_once)
{
    struct drop payload = {0};
    vow_future *f = vow_resolved(vow_i64(6));
    vow_future *g = vow_rejected(drop_error(&payload, EPERM));
    vow_future *h = vow_rejected(NULL);

    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(vow_get(f).value.as.i64, 6);
    assert_int_equal(code_of(g), EPERM);
    assert_int_equal(code_of(h), VOW_E_NOMEM);
    assert_non_null(vow_future_site(f));
    vow_unref(f);
    vow_unref(g);
    vow_unref(h);
    assert_int_equal(drop_count(&payload), 1);
}

/* A drop that calls back into the library on another future. */
static void
fulfill_drop(void *p)
{
    vow_promise_fulfill(p, vow_i64(11));
    vow_promise_unref(p);
}

VOW_CASE(drop_may_settle_another_promise)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_true(vow_promise_fulfill(q, VOW_NIL));
    assert_false(vow_promise_fulfill(q, vow_own(p, fulfill_drop)));

    assert_int_equal(vow_get(f).value.as.i64, 11);
    vow_unref(f);
    vow_promise_unref(q);
}

static void *
unref_future(void *f)
{
    vow_unref(f);
    return NULL;
}

VOW_CASE(drop_runs_where_the_last_reference_goes)
{
    struct drop d = {0};
    vow_future *f = vow_resolved(drop_value(&d));
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, unref_future, f), 0);
    pthread_join(thread, NULL);

    assert_int_equal(drop_count(&d), 1);
    assert_true(pthread_equal(d.thread, thread));
}

/* Abandoning. Each of these must never run. */

static vow_result
never_then(vow_value in, void *ctx)
{
    (void)in;
    journal_add(ctx, 't');
    return vow_ok(VOW_NIL);
}

static vow_result
never_catch(const vow_error *error, void *ctx)
{
    (void)error;
    journal_add(ctx, 'c');
    return vow_ok(VOW_NIL);
}

static vow_result
never_handle(vow_view in, void *ctx)
{
    (void)in;
    journal_add(ctx, 'h');
    return vow_ok(VOW_NIL);
}

static void
never_finally(void *ctx)
{
    journal_add(ctx, 'f');
}

static void
never_settled(vow_view in, void *ctx)
{
    (void)in;
    journal_add(ctx, 's');
}

VOW_CASE(abandon_runs_no_step)
{
    struct journal ran = {0};
    vow_value ctx = vow_ptr(&ran);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_unref(vow_then(vow_ref(f), NULL, never_then, ctx));
    vow_unref(vow_catch(vow_ref(f), NULL, never_catch, ctx));
    vow_unref(vow_catch_if(vow_ref(f), VOW_E_BROKEN, NULL, never_catch, ctx));
    vow_unref(vow_handle(vow_ref(f), NULL, never_handle, ctx));
    vow_unref(vow_finally(vow_ref(f), NULL, never_finally, ctx));
    assert_true(vow_on_settled(f, NULL, never_settled, ctx));
    vow_promise_abandon(p);

    assert_string_equal(ran.text, "");
}

/* A context that is no journal: the steps above would write past it. */
static vow_result
count_handle(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail_msg("a step ran that hangs on an abandoned promise");
    return vow_ok(VOW_NIL);
}

VOW_CASE(abandon_drops_contexts_once_all_the_way_down)
{
    struct drop_set ctxs = {0};
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    for (int i = 0; i < 4; i++)
        f = vow_handle(f, i % 2 == 0 ? NULL : vow_manual_executor(m), count_handle,
                       drop_set_new(&ctxs));
    vow_unref(f);
    assert_int_equal(drop_count(&ctxs.slots[0]), 0);
    vow_promise_abandon(p);

    assert_int_equal(drop_set_wrong(&ctxs), 0);
    assert_int_equal(vow_manual_run(m), 0);
    vow_manual_unref(m);
}

VOW_CASE(abandon_leaves_a_held_result_broken_and_unrun)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_handle(vow_ref(f), NULL, count_handle, drop_value(&ctx));

    vow_promise_abandon(p);

    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(g), VOW_E_BROKEN);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(abandon_with_another_handle_changes_nothing)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_abandon(vow_promise_ref(p));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_true(vow_promise_fulfill(p, vow_i64(1)));
    vow_promise_abandon(p);

    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
}

VOW_CASE(abandon_drops_the_value_of_a_settled_promise_once)
{
    struct drop d = {0};
    vow_promise *p = vow_promise_new();

    assert_true(vow_promise_fulfill(p, drop_value(&d)));
    vow_promise_abandon(p);

    assert_int_equal(drop_count(&d), 1);
}

VOW_CASE(abandon_drops_the_cancel_hook_without_calling_it)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_non_null(vow_promise_on_cancel(p, NULL, never_hook, drop_value(&ctx)));
    vow_promise_abandon(p);

    assert_int_equal(drop_count(&ctx), 1);
    vow_ignore(f);
}

static void *
read_code(void *f)
{
    return (void *)(intptr_t)code_of(f);
}

VOW_CASE(abandon_wakes_a_blocked_reader_with_broken)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    pthread_t thread;
    void *code = NULL;

    assert_int_equal(pthread_create(&thread, NULL, read_code, f), 0);
    sched_yield();
    vow_promise_abandon(p);
    pthread_join(thread, &code);

    assert_int_equal((intptr_t)code, VOW_E_BROKEN);
    vow_unref(f);
}

/* ---- settling while another settles ---------------------------------------------------- */

static void
unwanted(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    (void)ctx;
    fail();
}

static void
resolve_another(void *other)
{
    assert_true(vow_promise_resolve(other, vow_ok(vow_i64(2))));
}

VOW_CASE(resolve_in_the_drop_of_a_hooks_context_settles_both_and_leaks_nothing)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_promise_future(q);

    assert_non_null(
        vow_promise_on_cancel(p, NULL, unwanted, vow_own(q, resolve_another)));
    assert_true(vow_promise_resolve(p, vow_ok(vow_i64(1))));

    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_int_equal(vow_get(g).value.as.i64, 2);
    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(promise_when_new_is_pending),
        vow_test(fulfill_settles_with_the_value),
        vow_test(fulfill_lends_a_value_without_its_drop),
        vow_test(fulfill_of_every_kind_of_scalar_arrives_unchanged),
        vow_test(reject_settles_with_the_error),
        vow_test(reject_with_null_is_out_of_memory),
        vow_test(fulfill_twice_keeps_the_first_and_drops_the_second),
        vow_test(reject_after_fulfill_loses_and_frees_its_error),
        vow_test(fulfill_after_reject_loses_and_drops_its_value),
        vow_test(resolve_settles_as_the_result_says),
        vow_test(resolve_after_settling_loses_and_releases_its_result),
        vow_test(resolve_with_several_members_takes_follow_then_error),
        vow_test(resolve_with_an_error_and_a_value_takes_the_error),
        vow_test(resolve_with_forward_outside_a_step_is_invalid),
        vow_test(resolve_with_no_error_at_all_is_out_of_memory),
        vow_test(result_drop_releases_all_three_members),
        vow_test(value_without_readers_is_dropped_once),
        vow_test(value_lives_until_the_last_future_goes),
        vow_test(promise_dropped_unsettled_breaks_its_future),
        vow_test(promise_with_another_handle_does_not_break),
        vow_test(promise_that_follows_does_not_break),
        vow_test(promise_dropped_in_a_callback_breaks),
        vow_test(promise_owned_by_a_value_breaks_when_that_is_dropped),
        vow_test(promise_owned_by_a_queued_task_breaks_at_close),
        vow_test(promise_dropped_at_thread_exit_breaks),
        vow_test(callback_may_free_its_own_promise_source_and_result),
        vow_test(promise_settled_again_from_its_own_step_stays_as_it_was),
        vow_test(promise_null_is_accepted_everywhere),
        vow_test(future_null_reads_as_out_of_memory),
        vow_test(promise_options_give_it_a_name),
        vow_test(future_site_is_the_call_that_made_it),
        vow_test(resolved_and_rejected_have_settled_at_once),
        vow_test(drop_may_settle_another_promise),
        vow_test(drop_runs_where_the_last_reference_goes),
        vow_test(abandon_runs_no_step),
        vow_test(abandon_drops_contexts_once_all_the_way_down),
        vow_test(abandon_leaves_a_held_result_broken_and_unrun),
        vow_test(abandon_with_another_handle_changes_nothing),
        vow_test(abandon_drops_the_value_of_a_settled_promise_once),
        vow_test(abandon_drops_the_cancel_hook_without_calling_it),
        vow_test(abandon_wakes_a_blocked_reader_with_broken),
        vow_test(resolve_in_the_drop_of_a_hooks_context_settles_both_and_leaks_nothing),
    };

    return vow_test_run(cases);
}
