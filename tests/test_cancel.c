/* SPDX-License-Identifier: MIT */
/*
 * Asking futures to stop: what settles at once, what goes on, how far up the request
 * travels, and what a promise does that is no longer wanted.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

/* A promise, one future of it, and what its cancel hook saw. */
struct work {
    vow_promise *promise;
    vow_future *future;
    struct drop ctx; /* of the hook */
    vow_executor *current;
    atomic_int asked;
    bool told; /* the reason was EINTR, itself or along its causes */
    bool obey; /* the hook rejects with VOW_E_CANCELLED */
};

static void
hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    struct drop *d = ctx;
    struct work *w = (struct work *)(void *)((char *)d - offsetof(struct work, ctx));

    w->asked++;
    w->told = vow_error_is(reason, EINTR);
    w->current = vow_executor_current();
    assert_int_equal(drop_count(d), 0);
    if (w->obey)
        vow_promise_reject(p, vow_error_of(VOW_E_CANCELLED));
}

static struct work
work_new(void)
{
    struct work w = {.promise = vow_promise_new()};

    w.future = vow_promise_future(w.promise);
    return w;
}

static void
work_hook(struct work *w, vow_executor *on)
{
    assert_non_null(vow_promise_on_cancel(w->promise, on, hook, drop_value(&w->ctx)));
}

static void
work_free(struct work *w)
{
    vow_promise_unref(w->promise);
    vow_ignore(w->future);
}

static vow_result
count_then(vow_value in, void *ctx)
{
    atomic_int *count = ctx;

    if (count != NULL)
        atomic_fetch_add(count, 1);
    return vow_ok(vow_i64(in.as.i64 + 1));
}

static vow_result
never_then(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail_msg("a step ran that was cancelled");
    return vow_ok(VOW_NIL);
}

static vow_result
never_task(void *ctx)
{
    return never_then(VOW_NIL, ctx);
}

static vow_result
seen_code(const vow_error *error, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(vow_error_code(error)));
}

/* Promises. */

VOW_CASE(cancel_of_a_promise_without_hook_settles_at_once)
{
    struct drop payload = {0};
    struct drop late = {0};
    struct work w = work_new();

    vow_future_cancel(w.future, drop_error(&payload, EINTR));

    assert_int_equal(vow_future_status(w.future), VOW_REJECTED);
    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_error_cause(vow_get(w.future).error)), EINTR);
    assert_false(vow_promise_fulfill(w.promise, drop_value(&late)));
    assert_int_equal(drop_count(&late), 1);
    assert_int_equal(drop_count(&payload), 0);
    work_free(&w);
    assert_int_equal(drop_count(&payload), 1);
}

VOW_CASE(cancel_without_reason_has_no_cause)
{
    struct work w = work_new();

    vow_future_cancel(w.future, NULL);

    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_null(vow_error_cause(vow_get(w.future).error));
    work_free(&w);
}

VOW_CASE(cancel_of_a_settled_future_changes_nothing)
{
    struct drop payload = {0};
    struct work w = work_new();

    vow_promise_fulfill(w.promise, vow_i64(3));
    vow_future_cancel(w.future, drop_error(&payload, EINTR));

    assert_int_equal(vow_get(w.future).value.as.i64, 3);
    assert_int_equal(drop_count(&payload), 1);
    work_free(&w);
}

VOW_CASE(cancel_hook_is_called_once_and_decides)
{
    struct work w = work_new();

    work_hook(&w, NULL);
    vow_future_cancel(w.future, vow_error_new(EINTR, "enough"));
    assert_int_equal(w.asked, 1);
    assert_true(w.told);
    assert_int_equal(drop_count(&w.ctx), 1);
    assert_int_equal(vow_future_status(w.future), VOW_PENDING);
    vow_future_cancel(w.future, NULL);
    assert_int_equal(w.asked, 1);
    assert_int_equal(vow_future_status(w.future), VOW_PENDING);
    assert_true(vow_promise_fulfill(w.promise, vow_i64(9)));

    assert_int_equal(vow_get(w.future).value.as.i64, 9);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
}

VOW_CASE(cancel_hook_may_settle_its_promise)
{
    struct work w = work_new();

    w.obey = true;
    work_hook(&w, NULL);
    vow_future_cancel(w.future, NULL);

    assert_int_equal(w.asked, 1);
    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
}

VOW_CASE(cancel_hook_runs_on_its_executor)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();

    w.obey = true;
    work_hook(&w, vow_manual_executor(m));
    vow_future_cancel(w.future, vow_error_new(EINTR, "enough"));
    assert_int_equal(w.asked, 0);
    assert_int_equal(vow_future_status(w.future), VOW_PENDING);
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(w.asked, 1);
    assert_true(w.told);
    assert_ptr_equal(w.current, vow_manual_executor(m));
    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    work_free(&w);
    assert_int_equal(drop_count(&w.ctx), 1);
    vow_manual_unref(m);
}

VOW_CASE(cancel_hook_posted_is_not_called_once_the_promise_has_settled)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();

    work_hook(&w, vow_manual_executor(m));
    vow_future_cancel(w.future, NULL);
    assert_true(vow_promise_fulfill(w.promise, vow_i64(1)));
    vow_manual_run(m);

    assert_int_equal(w.asked, 0);
    assert_int_equal(drop_count(&w.ctx), 1);
    assert_int_equal(vow_get(w.future).value.as.i64, 1);
    work_free(&w);
    vow_manual_unref(m);
}

VOW_CASE(cancel_hook_is_dropped_when_the_promise_settles)
{
    struct work w = work_new();

    work_hook(&w, NULL);
    vow_promise_fulfill(w.promise, VOW_NIL);
    assert_int_equal(drop_count(&w.ctx), 1);
    vow_future_cancel(w.future, NULL);

    assert_int_equal(w.asked, 0);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
}

VOW_CASE(cancel_hook_is_dropped_when_the_promise_breaks)
{
    struct work w = work_new();

    work_hook(&w, NULL);
    vow_promise_unref(w.promise);
    w.promise = NULL;

    assert_int_equal(w.asked, 0);
    assert_int_equal(drop_count(&w.ctx), 1);
    assert_int_equal(code_of(w.future), VOW_E_BROKEN);
    work_free(&w);
}

VOW_CASE(cancel_hook_is_one_a_promise)
{
    struct drop second = {0};
    struct drop late = {0};
    struct work w = work_new();

    work_hook(&w, NULL);
    assert_null(vow_promise_on_cancel(w.promise, NULL, hook, drop_value(&second)));
    assert_int_equal(drop_count(&second), 1);
    vow_promise_fulfill(w.promise, VOW_NIL);
    assert_null(vow_promise_on_cancel(w.promise, NULL, hook, drop_value(&late)));

    assert_int_equal(drop_count(&late), 1);
    work_free(&w);
    assert_int_equal(drop_count(&w.ctx), 1);
}

/* Tasks. */

VOW_CASE(cancel_of_a_queued_task_settles_it_now_and_it_never_runs)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), never_task, drop_value(&ctx));

    vow_future_cancel(f, NULL);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_run(m);

    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(cancel_of_a_queued_task_that_nobody_holds_any_more_frees_it_when_popped)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), never_task, drop_value(&ctx));

    vow_future_cancel(f, NULL);
    vow_unref(f);
    vow_manual_unref(m);

    assert_int_equal(drop_count(&ctx), 1);
}

struct self {
    vow_future *future;
    int status;
};

static vow_result
cancel_itself(void *ctx)
{
    struct self *s = ctx;

    vow_future_cancel(s->future, vow_error_new(EINTR, "from inside"));
    s->status = (int)vow_future_status(s->future);
    return vow_ok(vow_i64(8));
}

VOW_CASE(cancel_of_a_running_task_lets_it_settle_as_it_returns)
{
    struct self s = {.status = -1};
    vow_manual *m = vow_manual_new();

    s.future = vow_submit(vow_manual_executor(m), cancel_itself, vow_ptr(&s));
    vow_manual_run(m);

    assert_int_equal(s.status, VOW_PENDING);
    assert_int_equal(vow_get(s.future).value.as.i64, 8);
    vow_unref(s.future);
    vow_manual_unref(m);
}

static vow_result
cancel_itself_then(vow_value in, void *ctx)
{
    (void)in;
    return cancel_itself(ctx);
}

VOW_CASE(cancel_of_a_running_step_lets_it_settle_as_it_returns)
{
    struct self s = {.status = -1};
    vow_promise *p = vow_promise_new();

    s.future = vow_then(vow_promise_future(p), NULL, cancel_itself_then, vow_ptr(&s));
    vow_promise_fulfill(p, VOW_NIL);

    assert_int_equal(s.status, VOW_PENDING);
    assert_int_equal(vow_get(s.future).value.as.i64, 8);
    vow_unref(s.future);
    vow_promise_unref(p);
}

/* Steps. */

VOW_CASE(cancel_of_a_step_settles_it_and_goes_on_to_its_source)
{
    struct drop ctx = {0};
    struct work w = work_new();
    vow_future *f;

    work_hook(&w, NULL);
    f = vow_then(w.future, NULL, never_then, drop_value(&ctx));
    w.future = NULL;
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_error_cause(vow_get(f).error)), EINTR);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(w.asked, 1);
    vow_promise_fulfill(w.promise, VOW_NIL);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    work_free(&w);
}

VOW_CASE(cancel_of_a_posted_step_settles_it_and_it_never_runs)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_then(vow_resolved(VOW_NIL), vow_manual_executor(m), never_then,
                             drop_value(&ctx));

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_run(m);

    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    vow_manual_unref(m);
}

VOW_CASE(cancel_skips_then_and_is_caught_downstream)
{
    struct drop ctx = {0};
    struct work w = work_new();
    vow_future *f = vow_then(vow_ref(w.future), NULL, never_then, drop_value(&ctx));

    f = vow_catch(f, NULL, seen_code, VOW_NIL);
    vow_future_cancel(w.future, NULL);

    assert_int_equal(vow_get(f).value.as.i64, VOW_E_CANCELLED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    work_free(&w);
}

enum { LINKS = 5 };

/*
 * A chain of five steps on a promise. What is cancelled is the result of step `at`;
 * all steps above it are only wanted by it, so the request reaches the promise.
 */
static void
cancel_chain_at(int at)
{
    struct drop ctx[LINKS] = {0};
    struct work w = work_new();
    vow_future *f = w.future;
    vow_future *victim = NULL;

    work_hook(&w, NULL);
    w.future = NULL;
    for (int i = 0; i < LINKS; i++) {
        f = vow_then(f, NULL, never_then, drop_value(&ctx[i]));
        if (i == at)
            victim = vow_ref(f);
    }
    vow_future_cancel(victim, vow_error_new(EINTR, "at %d", at));

    assert_int_equal(w.asked, 1);
    assert_int_equal(code_of(victim), VOW_E_CANCELLED);
    assert_ptr_equal(vow_get(f).error, vow_get(victim).error);
    for (int i = 0; i < LINKS; i++)
        assert_int_equal(drop_count(&ctx[i]), 1);
    assert_true(vow_promise_fulfill(w.promise, VOW_NIL));
    for (int i = 0; i < LINKS; i++)
        assert_int_equal(drop_count(&ctx[i]), 1);
    vow_unref(victim);
    vow_unref(f);
    work_free(&w);
}

VOW_CASE(cancel_in_a_chain_of_five_reaches_the_promise_from_every_position)
{
    for (int at = 0; at < LINKS; at++)
        cancel_chain_at(at);
}

/* The same, but the result of step `held` is held by another as well. */
static void
cancel_end_of_chain_held_at(int held)
{
    atomic_int ran = 0;
    struct work w = work_new();
    vow_future *f = w.future;
    vow_future *other = NULL;

    work_hook(&w, NULL);
    w.future = NULL;
    for (int i = 0; i < LINKS; i++) {
        f = vow_then(f, NULL, count_then, vow_ptr(&ran));
        if (i == held)
            other = vow_ref(f);
    }
    vow_future_cancel(f, NULL);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(w.asked, 0);
    assert_int_equal(vow_future_status(other), VOW_PENDING);
    vow_promise_fulfill(w.promise, vow_i64(0));
    assert_int_equal(ran, held + 1);
    assert_int_equal(vow_get(other).value.as.i64, held + 1);
    vow_unref(other);
    vow_unref(f);
    work_free(&w);
}

VOW_CASE(cancel_stops_where_another_holds_the_chain)
{
    for (int held = 0; held < LINKS - 1; held++)
        cancel_end_of_chain_held_at(held);
}

VOW_CASE(cancel_by_one_of_two_consumers_spares_the_source)
{
    struct drop ctx = {0};
    struct work w = work_new();
    vow_future *a;
    vow_future *b;

    work_hook(&w, NULL);
    a = vow_then(vow_ref(w.future), NULL, never_then, drop_value(&ctx));
    b = vow_then(w.future, NULL, count_then, VOW_NIL);
    w.future = NULL;
    vow_future_cancel(a, NULL);
    assert_int_equal(code_of(a), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(w.asked, 0);
    vow_promise_fulfill(w.promise, vow_i64(1));

    assert_int_equal(vow_get(b).value.as.i64, 2);
    assert_int_equal(w.asked, 0);
    vow_unref(a);
    vow_unref(b);
    work_free(&w);
}

VOW_CASE(cancel_by_both_consumers_asks_the_source_once)
{
    struct work w = work_new();
    vow_future *a;
    vow_future *b;

    work_hook(&w, NULL);
    a = vow_then(vow_ref(w.future), NULL, never_then, VOW_NIL);
    b = vow_then(w.future, NULL, never_then, VOW_NIL);
    w.future = NULL;
    vow_future_cancel(a, NULL);
    vow_future_cancel(b, vow_error_new(EINTR, "the last one"));

    assert_int_equal(w.asked, 1);
    assert_int_equal(code_of(a), VOW_E_CANCELLED);
    assert_int_equal(code_of(b), VOW_E_CANCELLED);
    vow_promise_fulfill(w.promise, VOW_NIL);
    vow_unref(a);
    vow_unref(b);
    work_free(&w);
}

VOW_CASE(cancel_after_the_other_consumer_was_dropped_is_no_leave_of_it)
{
    atomic_int ran = 0;
    struct work w = work_new();
    vow_future *a;

    work_hook(&w, NULL);
    vow_unref(vow_then(vow_ref(w.future), NULL, count_then, vow_ptr(&ran)));
    a = vow_then(w.future, NULL, never_then, VOW_NIL);
    w.future = NULL;
    vow_future_cancel(a, NULL);

    assert_int_equal(w.asked, 0);
    vow_promise_fulfill(w.promise, vow_i64(1));
    assert_int_equal(ran, 1);
    vow_unref(a);
    work_free(&w);
}

VOW_CASE(cancel_in_a_diamond_asks_the_tip_when_both_sides_left)
{
    struct work w = work_new();
    vow_future *left;
    vow_future *right;

    work_hook(&w, NULL);
    left = vow_then(vow_ref(w.future), NULL, never_then, VOW_NIL);
    left = vow_then(left, NULL, never_then, VOW_NIL);
    right = vow_then(w.future, NULL, never_then, VOW_NIL);
    right = vow_then(right, NULL, never_then, VOW_NIL);
    w.future = NULL;
    vow_future_cancel(left, NULL);
    assert_int_equal(w.asked, 0);
    vow_future_cancel(right, NULL);

    assert_int_equal(w.asked, 1);
    vow_promise_fulfill(w.promise, VOW_NIL);
    vow_unref(left);
    vow_unref(right);
    work_free(&w);
}

VOW_CASE(cancel_of_a_step_cancels_the_queued_task_above_it)
{
    struct drop task_ctx = {0};
    struct drop step_ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), never_task, drop_value(&task_ctx));

    f = vow_then(f, NULL, never_then, drop_value(&step_ctx));
    vow_future_cancel(f, NULL);
    assert_int_equal(drop_count(&task_ctx), 1);
    assert_int_equal(drop_count(&step_ctx), 1);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_manual_run(m);

    vow_unref(f);
    vow_manual_unref(m);
}

/* A hundred thousand links: the request must not use the stack. */
VOW_CASE(cancel_at_the_end_of_a_long_chain_is_flat)
{
    struct drop ctx = {0};
    struct work w = work_new();
    vow_future *f;

    work_hook(&w, NULL);
    f = w.future;
    w.future = NULL;
    for (int i = 0; i < 100000; i++)
        f = vow_then(f, NULL, never_then, drop_value(&ctx));
    vow_future_cancel(f, NULL);

    assert_int_equal(w.asked, 1);
    assert_int_equal(drop_count(&ctx), 100000);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    work_free(&w);
}

/* Followers. */

VOW_CASE(cancel_of_a_follower_goes_to_what_it_follows)
{
    struct work inner = work_new();
    struct work outer = work_new();

    inner.obey = true;
    work_hook(&inner, NULL);
    vow_promise_resolve(outer.promise, vow_follow(inner.future));
    inner.future = NULL;
    vow_future_cancel(outer.future, vow_error_new(EINTR, "enough"));

    assert_int_equal(inner.asked, 1);
    assert_true(inner.told);
    assert_int_equal(code_of(outer.future), VOW_E_CANCELLED);
    work_free(&inner);
    work_free(&outer);
}

VOW_CASE(cancel_of_a_follower_stays_pending_until_the_hook_settles)
{
    struct work inner = work_new();
    struct work outer = work_new();

    work_hook(&inner, NULL);
    vow_promise_resolve(outer.promise, vow_follow(inner.future));
    inner.future = NULL;
    vow_future_cancel(outer.future, NULL);
    assert_int_equal(inner.asked, 1);
    assert_int_equal(vow_future_status(outer.future), VOW_PENDING);
    vow_promise_fulfill(inner.promise, vow_i64(6));

    assert_int_equal(vow_get(outer.future).value.as.i64, 6);
    work_free(&inner);
    work_free(&outer);
}

struct cancel_then_follow {
    vow_future *self;
    vow_future *inner;
};

static vow_result
cancel_then_follow(vow_value in, void *ctx)
{
    struct cancel_then_follow *c = ctx;

    (void)in;
    vow_future_cancel(c->self, vow_error_new(EINTR, "enough"));
    return vow_follow(c->inner);
}

VOW_CASE(cancel_of_a_running_step_is_forwarded_to_what_it_returns)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();
    struct cancel_then_follow c = {.inner = w.future};

    w.obey = true;
    work_hook(&w, NULL);
    w.future = NULL;
    c.self = vow_then(vow_resolved(VOW_NIL), vow_manual_executor(m), cancel_then_follow,
                      vow_ptr(&c));
    vow_manual_run(m);

    assert_int_equal(w.asked, 1);
    assert_true(w.told);
    assert_int_equal(code_of(c.self), VOW_E_CANCELLED);
    vow_unref(c.self);
    work_free(&w);
    vow_manual_unref(m);
}

/* A task that follows one which is asked to stop, through it, and returns a future. */
struct turns {
    vow_manual *on;
    vow_future *first, *inner;
};

static vow_result
last_turn(void *ctx)
{
    struct turns *turns = ctx;

    vow_future_cancel(turns->first, vow_error_new(EINTR, "enough"));
    return vow_follow(turns->inner);
}

static vow_result
first_turn(void *ctx)
{
    struct turns *turns = ctx;

    return vow_follow(
        vow_submit(vow_manual_executor(turns->on), last_turn, vow_ptr(turns)));
}

VOW_CASE(cancel_of_a_follower_is_forwarded_when_it_takes_the_place_of_what_ran)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();
    struct turns turns = {.on = m, .inner = w.future};

    w.obey = true;
    work_hook(&w, NULL);
    w.future = NULL;
    turns.first = vow_submit(vow_manual_executor(m), first_turn, vow_ptr(&turns));
    assert_int_equal(vow_manual_run(m), 2);

    assert_int_equal(w.asked, 1);
    assert_true(w.told);
    assert_int_equal(code_of(turns.first), VOW_E_CANCELLED);
    vow_unref(turns.first);
    work_free(&w);
    vow_manual_unref(m);
}

/* What nobody wants any more. */

static struct work
unwanted_new(void)
{
    struct work w = {.promise = vow_promise_new_with(
                         &VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED))};

    w.future = vow_promise_future(w.promise);
    return w;
}

VOW_CASE(unwanted_promise_is_asked_to_stop_once)
{
    struct work w = unwanted_new();
    vow_future *again;

    work_hook(&w, NULL);
    again = vow_ref(w.future);
    vow_unref(again);
    assert_int_equal(w.asked, 0);
    vow_unref(w.future);
    w.future = NULL;
    assert_int_equal(w.asked, 1);
    assert_int_equal(drop_count(&w.ctx), 1);

    assert_true(vow_promise_fulfill(w.promise, VOW_NIL));
    work_free(&w);
    assert_int_equal(w.asked, 1);
}

VOW_CASE(unwanted_promise_without_hook_settles)
{
    struct drop late = {0};
    struct work w = unwanted_new();

    vow_unref(w.future);
    w.future = NULL;

    assert_false(vow_promise_fulfill(w.promise, drop_value(&late)));
    assert_int_equal(drop_count(&late), 1);
    work_free(&w);
}

VOW_CASE(unwanted_promise_with_a_step_on_it_is_still_wanted)
{
    atomic_int ran = 0;
    struct work w = unwanted_new();

    work_hook(&w, NULL);
    vow_unref(vow_then(w.future, NULL, count_then, vow_ptr(&ran)));
    w.future = NULL;
    assert_int_equal(w.asked, 0);
    assert_true(vow_promise_fulfill(w.promise, VOW_NIL));

    assert_int_equal(ran, 1);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
}

VOW_CASE(unwanted_promise_that_has_settled_is_not_asked)
{
    struct work w = unwanted_new();

    work_hook(&w, NULL);
    vow_promise_fulfill(w.promise, VOW_NIL);
    vow_unref(w.future);
    w.future = NULL;

    assert_int_equal(w.asked, 0);
    work_free(&w);
}

VOW_CASE(promise_without_the_flag_goes_on_unwanted)
{
    struct work w = work_new();

    work_hook(&w, NULL);
    vow_unref(w.future);
    w.future = NULL;

    assert_int_equal(w.asked, 0);
    assert_true(vow_promise_fulfill(w.promise, VOW_NIL));
    work_free(&w);
}

VOW_CASE(unwanted_task_that_has_not_started_never_runs)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit_with(vow_manual_executor(m),
                                    &VOW_SUBMIT_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED),
                                    never_task, drop_value(&ctx));

    vow_unref(f);
    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_run(m);

    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_unref(m);
}

static vow_result
count_task(void *ctx)
{
    return count_then(VOW_NIL, ctx);
}

VOW_CASE(task_without_the_flag_runs_though_nobody_holds_it)
{
    atomic_int ran = 0;
    vow_manual *m = vow_manual_new();

    vow_unref(vow_submit(vow_manual_executor(m), count_task, vow_ptr(&ran)));
    assert_int_equal(ran, 0);
    vow_manual_run(m);

    assert_int_equal(ran, 1);
    vow_manual_unref(m);
}

VOW_CASE(leave_of_the_last_consumer_settles_an_unwanted_task)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit_with(vow_manual_executor(m),
                                    &VOW_SUBMIT_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED),
                                    never_task, drop_value(&ctx));

    f = vow_then(f, NULL, never_then, VOW_NIL);
    assert_int_equal(drop_count(&ctx), 0);
    vow_future_cancel(f, NULL);
    assert_int_equal(drop_count(&ctx), 1);

    vow_unref(f);
    vow_manual_run(m);
    vow_manual_unref(m);
}

/* From where one may not expect it. */

static void
cancel_drop(void *f)
{
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    vow_unref(f);
}

VOW_CASE(cancel_from_a_drop_works)
{
    struct work w = work_new();

    vow_unref(vow_resolved(vow_own(vow_ref(w.future), cancel_drop)));

    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    work_free(&w);
}

VOW_CASE(cancel_allocates_at_most_its_error)
{
    struct drop ctx = {0};
    struct work w = work_new();
    vow_future *f = w.future;
    size_t calls;

    for (int i = 0; i < 100; i++)
        f = vow_then(f, NULL, never_then, drop_value(&ctx));
    w.future = NULL;
    calls = counting_calls();
    vow_future_cancel(f, NULL);

    assert_in_range(counting_calls() - calls, 0, 1);
    assert_int_equal(drop_count(&ctx), 100);
    vow_unref(f);
    work_free(&w);
}

/* Names, refusals, and requests that come at an odd moment. */

VOW_CASE(cancel_hook_of_a_promise_with_a_name_is_called)
{
    struct drop second = {0};
    struct work w = {.promise = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "w"))};

    w.future = vow_promise_future(w.promise);
    work_hook(&w, NULL);
    assert_null(vow_promise_on_cancel(w.promise, NULL, hook, drop_value(&second)));
    vow_future_cancel(w.future, vow_error_new(EINTR, "enough"));

    assert_int_equal(w.asked, 1);
    assert_true(w.told);
    assert_int_equal(drop_count(&w.ctx), 1);
    assert_int_equal(drop_count(&second), 1);
    assert_string_equal(vow_future_name(w.future), "w");
    work_free(&w);
}

VOW_CASE(cancel_of_a_promise_with_a_name_and_no_hook_settles_at_once)
{
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "p"));
    vow_future *f = vow_promise_future(p);

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_promise_unref(p);
    vow_unref(f);
}

VOW_CASE(cancel_hook_that_comes_after_the_request_is_refused)
{
    struct drop late = {0};
    vow_manual *m = vow_manual_new();
    struct work w = work_new();

    work_hook(&w, vow_manual_executor(m));
    vow_future_cancel(w.future, NULL);
    assert_null(vow_promise_on_cancel(w.promise, NULL, hook, drop_value(&late)));
    assert_int_equal(drop_count(&late), 1);
    vow_manual_run(m);

    assert_int_equal(w.asked, 1);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
    vow_manual_unref(m);
}

/* The hook cannot run: the promise is rejected with the request itself. */
VOW_CASE(cancel_hook_that_its_executor_refuses_rejects_the_promise)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();

    work_hook(&w, vow_manual_executor(m));
    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    vow_future_cancel(w.future, vow_error_new(EINTR, "enough"));

    assert_int_equal(w.asked, 0);
    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(w.future).error, EINTR));
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
    vow_manual_unref(m);
}

VOW_CASE(cancel_hook_left_in_an_executor_that_goes_rejects_the_promise)
{
    vow_manual *m = vow_manual_new();
    struct work w = work_new();

    work_hook(&w, vow_manual_executor(m));
    vow_future_cancel(w.future, NULL);
    vow_manual_unref(m);

    assert_int_equal(w.asked, 0);
    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&w.ctx), 1);
    work_free(&w);
}

VOW_CASE(cancel_with_a_cancellation_as_its_reason_passes_that_on)
{
    struct work w = work_new();
    vow_error *reason = vow_error_new(VOW_E_CANCELLED, "by hand");

    vow_future_cancel(w.future, reason);
    assert_ptr_equal(vow_get(w.future).error, reason);
    work_free(&w);
}

/* Its outcome has been claimed, and is not known yet: what it follows is asked then. */
VOW_CASE(cancel_while_the_outcome_is_decided_is_sent_on)
{
    struct work w = work_new();
    struct work source = work_new();
    vow_result r = vow_follow(vow_ref(source.future));

    r.value = vow_own(vow_ref(w.future), cancel_drop);
    assert_true(vow_promise_resolve(w.promise, r));

    assert_int_equal(code_of(w.future), VOW_E_CANCELLED);
    assert_int_equal(code_of(source.future), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_get(source.future).error, EINTR));
    work_free(&w);
    work_free(&source);
}

static vow_result
own_value(void *value)
{
    return vow_ok(drop_value(value));
}

/* The step was posted, with what it needs of its source, when it was cancelled. */
VOW_CASE(cancel_of_a_step_that_its_task_posted_frees_the_task)
{
    struct drop value = {0};
    vow_manual *m = vow_manual_new();
    vow_manual *n = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), own_value, vow_ptr(&value));

    f = vow_then(f, vow_manual_executor(n), never_then, VOW_NIL);
    vow_manual_run(m);
    vow_future_cancel(f, NULL);
    vow_manual_run(n);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&value), 1);
    vow_unref(f);
    vow_manual_unref(m);
    vow_manual_unref(n);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(cancel_of_a_promise_without_hook_settles_at_once),
        vow_test(cancel_without_reason_has_no_cause),
        vow_test(cancel_of_a_settled_future_changes_nothing),
        vow_test(cancel_hook_is_called_once_and_decides),
        vow_test(cancel_hook_may_settle_its_promise),
        vow_test(cancel_hook_runs_on_its_executor),
        vow_test(cancel_hook_posted_is_not_called_once_the_promise_has_settled),
        vow_test(cancel_hook_is_dropped_when_the_promise_settles),
        vow_test(cancel_hook_is_dropped_when_the_promise_breaks),
        vow_test(cancel_hook_is_one_a_promise),
        vow_test(cancel_of_a_queued_task_settles_it_now_and_it_never_runs),
        vow_test(cancel_of_a_queued_task_that_nobody_holds_any_more_frees_it_when_popped),
        vow_test(cancel_of_a_running_task_lets_it_settle_as_it_returns),
        vow_test(cancel_of_a_running_step_lets_it_settle_as_it_returns),
        vow_test(cancel_of_a_step_settles_it_and_goes_on_to_its_source),
        vow_test(cancel_of_a_posted_step_settles_it_and_it_never_runs),
        vow_test(cancel_skips_then_and_is_caught_downstream),
        vow_test(cancel_in_a_chain_of_five_reaches_the_promise_from_every_position),
        vow_test(cancel_stops_where_another_holds_the_chain),
        vow_test(cancel_by_one_of_two_consumers_spares_the_source),
        vow_test(cancel_by_both_consumers_asks_the_source_once),
        vow_test(cancel_after_the_other_consumer_was_dropped_is_no_leave_of_it),
        vow_test(cancel_in_a_diamond_asks_the_tip_when_both_sides_left),
        vow_test(cancel_of_a_step_cancels_the_queued_task_above_it),
        vow_test(cancel_at_the_end_of_a_long_chain_is_flat),
        vow_test(cancel_of_a_follower_goes_to_what_it_follows),
        vow_test(cancel_of_a_follower_stays_pending_until_the_hook_settles),
        vow_test(cancel_of_a_running_step_is_forwarded_to_what_it_returns),
        vow_test(cancel_of_a_follower_is_forwarded_when_it_takes_the_place_of_what_ran),
        vow_test(unwanted_promise_is_asked_to_stop_once),
        vow_test(unwanted_promise_without_hook_settles),
        vow_test(unwanted_promise_with_a_step_on_it_is_still_wanted),
        vow_test(unwanted_promise_that_has_settled_is_not_asked),
        vow_test(promise_without_the_flag_goes_on_unwanted),
        vow_test(unwanted_task_that_has_not_started_never_runs),
        vow_test(task_without_the_flag_runs_though_nobody_holds_it),
        vow_test(leave_of_the_last_consumer_settles_an_unwanted_task),
        vow_test(cancel_from_a_drop_works),
        vow_test(cancel_allocates_at_most_its_error),
        vow_test(cancel_hook_of_a_promise_with_a_name_is_called),
        vow_test(cancel_of_a_promise_with_a_name_and_no_hook_settles_at_once),
        vow_test(cancel_hook_that_comes_after_the_request_is_refused),
        vow_test(cancel_hook_that_its_executor_refuses_rejects_the_promise),
        vow_test(cancel_hook_left_in_an_executor_that_goes_rejects_the_promise),
        vow_test(cancel_with_a_cancellation_as_its_reason_passes_that_on),
        vow_test(cancel_while_the_outcome_is_decided_is_sent_on),
        vow_test(cancel_of_a_step_that_its_task_posted_frees_the_task),
    };

    return vow_test_run(cases);
}
