/* SPDX-License-Identifier: MIT */
/*
 * Tokens and work: tasks that have one, what runs and looks whether it should stop,
 * futures that a token cuts short, and shields.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

enum { TURNS = 2000 };

struct pair {
    vow_source *source;
    vow_token *token;
};

static struct pair
pair_new(void)
{
    struct pair p = {.source = vow_source_new()};

    p.token = vow_source_token(p.source);
    return p;
}

static void
pair_cancel(struct pair *p)
{
    vow_source_cancel(p->source, vow_error_new(EINTR, "enough"));
}

static void
pair_free(struct pair *p)
{
    vow_source_unref(p->source);
    vow_token_unref(p->token);
}

/* A cancellation whose reason was EINTR; consumes the future. */
static void
assert_interrupted(vow_future *f)
{
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_error_cause(vow_get(f).error)), EINTR);
    vow_unref(f);
}

static vow_result
never_task(void *ctx)
{
    (void)ctx;
    fail_msg("a task ran whose token had fired");
    return vow_ok(VOW_NIL);
}

static vow_result
value_task(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(5));
}

static vow_future *
submit_with_token(vow_executor *on, vow_token *t, vow_task_fn *fn, vow_value ctx)
{
    return vow_submit_with(on, &VOW_SUBMIT_OPTIONS(.token = t), fn, ctx);
}

/* Tasks with a token. */

VOW_CASE(task_whose_token_fires_before_it_starts_settles_at_once)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_future *f =
        submit_with_token(vow_manual_executor(m), p.token, never_task, drop_value(&ctx));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    pair_cancel(&p);
    assert_int_equal(drop_count(&ctx), 1);
    assert_interrupted(f);
    vow_manual_run(m);

    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(task_whose_token_has_fired_is_not_even_queued)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();

    pair_cancel(&p);
    assert_interrupted(
        submit_with_token(vow_manual_executor(m), p.token, never_task, drop_value(&ctx)));
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_manual_run(m), 0);
    assert_interrupted(submit_with_token(NULL, p.token, never_task, VOW_NIL));

    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(task_whose_token_never_fires_runs_and_leaves_nothing_on_it)
{
    struct drop ctx = {0};
    struct pair p = pair_new();
    vow_future *f = submit_with_token(NULL, p.token, value_task, drop_value(&ctx));
    size_t live;

    assert_int_equal(vow_get(f).value.as.i64, 5);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    live = counting_live();
    for (int i = 0; i < TURNS; i++)
        vow_unref(submit_with_token(NULL, p.token, value_task, VOW_NIL));

    assert_int_equal(counting_live(), live);
    pair_free(&p);
}

VOW_CASE(task_that_is_dropped_keeps_its_token_until_it_has_run)
{
    vow_manual *m = vow_manual_new();
    struct drop ctx = {0};
    struct pair p = pair_new();

    vow_unref(
        submit_with_token(vow_manual_executor(m), p.token, value_task, drop_value(&ctx)));
    pair_free(&p);
    vow_manual_run(m);

    assert_int_equal(ctx.ran, 1);
    assert_int_equal(drop_count(&ctx), 1);
    vow_manual_unref(m);
}

VOW_CASE(task_with_a_token_and_a_name_has_both)
{
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_future *f = vow_submit_with(vow_manual_executor(m),
                                    &VOW_SUBMIT_OPTIONS(.name = "it", .token = p.token),
                                    never_task, VOW_NIL);

    assert_string_equal(vow_future_name(f), "it");
    assert_non_null(vow_future_site(f));
    pair_cancel(&p);
    assert_interrupted(f);

    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(task_with_a_token_that_is_refused_gives_the_refusal)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_future *f;

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    f = submit_with_token(vow_manual_executor(m), p.token, never_task, drop_value(&ctx));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);

    pair_cancel(&p);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(options_of_an_older_program_have_no_token)
{
    struct pair p = pair_new();
    vow_submit_options old = VOW_SUBMIT_OPTIONS(.token = p.token);
    vow_future *f;

    pair_cancel(&p);
    old.size = offsetof(vow_submit_options, token);
    f = vow_submit_with(NULL, &old, value_task, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 5);
    vow_unref(f);
    pair_free(&p);
}

/* What runs looks. */

struct looker {
    struct pair pair;
    vow_future *future;
    bool before, after;
    int code, cause;
    vow_token *own;
    vow_registration *r;
    struct drop told;
};

static void
note_told(void *ctx)
{
    drop_ran(ctx);
}

static void
look(struct looker *l)
{
    vow_result r = vow_check_cancelled();

    l->after = vow_cancelled();
    l->code = vow_error_code(r.error);
    l->cause = vow_error_code(vow_error_cause(r.error));
    vow_result_drop(r);
}

static vow_result
cancel_token_and_look(void *ctx)
{
    struct looker *l = ctx;

    l->before = vow_cancelled();
    pair_cancel(&l->pair);
    look(l);
    return vow_check_cancelled();
}

VOW_CASE(task_that_runs_sees_its_token_fire)
{
    struct looker l = {.pair = pair_new()};

    l.future = submit_with_token(NULL, l.pair.token, cancel_token_and_look, vow_ptr(&l));

    assert_false(l.before);
    assert_true(l.after);
    assert_int_equal(l.code, VOW_E_CANCELLED);
    assert_int_equal(l.cause, EINTR);
    assert_interrupted(l.future);
    pair_free(&l.pair);
}

static vow_result
cancel_self_and_look(void *ctx)
{
    struct looker *l = ctx;

    l->before = vow_cancelled();
    vow_future_cancel(l->future, vow_error_new(EINTR, "enough"));
    vow_future_cancel(l->future, vow_error_new(EIO, "too late"));
    look(l);
    return vow_ok(vow_i64(1));
}

static void
assert_told(const struct looker *l)
{
    assert_false(l->before);
    assert_true(l->after);
    assert_int_equal(l->code, VOW_E_CANCELLED);
    assert_int_equal(l->cause, EINTR);
}

VOW_CASE(task_that_runs_sees_a_request_and_settles_as_it_returns)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future = vow_submit(vow_manual_executor(m), cancel_self_and_look, vow_ptr(&l));
    vow_manual_run(m);

    assert_told(&l);
    assert_int_equal(vow_get(l.future).value.as.i64, 1);
    assert_non_null(vow_future_site(l.future));
    assert_null(vow_future_name(l.future));
    vow_unref(l.future);
    vow_manual_unref(m);
}

static vow_result
cancel_self_and_look_then(vow_value in, void *ctx)
{
    (void)in;
    return cancel_self_and_look(ctx);
}

VOW_CASE(step_that_runs_sees_a_request)
{
    vow_promise *p = vow_promise_new();
    struct looker l = {0};

    l.future =
        vow_then(vow_promise_future(p), NULL, cancel_self_and_look_then, vow_ptr(&l));
    vow_promise_fulfill(p, VOW_NIL);

    assert_told(&l);
    vow_unref(l.future);
    vow_promise_unref(p);
}

static vow_result
close_and_look(void *ctx)
{
    struct looker *l = ctx;

    l->own = vow_token_current();
    l->before = vow_cancelled() || vow_token_cancelled(l->own);
    vow_unref(vow_executor_close(vow_executor_current(), VOW_CANCEL_QUEUED));
    look(l);
    assert_true(vow_token_cancelled(l->own));
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), VOW_E_CLOSED);
    vow_token_unref(l->own);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_runs_sees_its_executor_cancel)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future = vow_submit(vow_manual_executor(m), close_and_look, vow_ptr(&l));
    vow_manual_run(m);

    assert_false(l.before);
    assert_true(l.after);
    assert_int_equal(l.code, VOW_E_CANCELLED);
    assert_int_equal(l.cause, VOW_E_CLOSED);
    vow_unref(l.future);
    vow_manual_unref(m);
}

static vow_result
drain_and_look(void *ctx)
{
    vow_unref(vow_executor_close(vow_executor_current(), VOW_DRAIN));
    look(ctx);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_runs_is_not_told_of_a_drain)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future = vow_submit(vow_manual_executor(m), drain_and_look, vow_ptr(&l));
    vow_manual_run(m);

    assert_false(l.after);
    assert_int_equal(l.code, 0);
    vow_unref(l.future);
    vow_manual_unref(m);
}

static void
look_in_errand(void *ctx)
{
    struct looker *l = ctx;

    l->before = vow_cancelled() || vow_token_cancelled(NULL);
    l->own = vow_token_current();
    vow_unref(vow_executor_close(vow_executor_current(), VOW_CANCEL_QUEUED));
    look(l);
    assert_true(vow_token_cancelled(l->own));
    vow_token_unref(l->own);
}

VOW_CASE(errand_that_runs_sees_its_executor_cancel)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    assert_int_equal(vow_post(vow_manual_executor(m), look_in_errand, vow_ptr(&l)), 0);
    vow_manual_run(m);

    assert_false(l.before);
    assert_true(l.after);
    vow_manual_unref(m);
}

VOW_CASE(outside_a_task_nothing_is_cancelled)
{
    vow_result r = vow_check_cancelled();

    assert_false(vow_cancelled());
    assert_null(r.error);
    assert_null(vow_token_current());
}

struct periodic {
    vow_future *future;
    vow_token *own;
    bool before, after;
    int code;
};

static vow_result
cancel_turn_and_look(void *ctx)
{
    struct periodic *p = ctx;
    vow_result r;

    p->own = vow_token_current();
    p->before = vow_cancelled() || vow_token_cancelled(p->own);
    vow_future_cancel(p->future, vow_error_new(EINTR, "enough"));
    p->after = vow_cancelled() && vow_token_cancelled(p->own);
    r = vow_check_cancelled();
    p->code = vow_error_code(vow_error_cause(r.error));
    return r;
}

VOW_CASE(periodic_work_that_runs_sees_a_request)
{
    vow_manual *m = vow_manual_new();
    struct periodic p = {.before = true};

    p.future = vow_submit_every(vow_manual_executor(m), 10, VOW_MISSED_SKIP,
                                cancel_turn_and_look, vow_ptr(&p));
    vow_manual_advance(m, 100);

    assert_non_null(p.own);
    assert_false(p.before);
    assert_true(p.after);
    assert_int_equal(p.code, EINTR);
    assert_int_equal(vow_error_code(vow_token_reason(p.own)), EINTR);
    assert_interrupted(p.future);
    vow_token_unref(p.own);
    vow_manual_unref(m);
}

static vow_result
cancel_delayed_and_look(void *ctx)
{
    struct looker *l = ctx;

    l->own = vow_token_current();
    vow_future_cancel(l->future, vow_error_new(EINTR, "enough"));
    assert_true(vow_token_cancelled(l->own));
    vow_token_unref(l->own);
    look(l);
    return vow_ok(VOW_NIL);
}

VOW_CASE(delayed_work_that_runs_sees_a_request)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future =
        vow_submit_after(vow_manual_executor(m), 5, cancel_delayed_and_look, vow_ptr(&l));
    vow_manual_advance(m, 5);

    assert_told(&l);
    vow_unref(l.future);
    vow_manual_unref(m);
}

/* A context that is dropped in the middle of a cancel, and looks. */
static void
look_in_drop(void *ctx)
{
    look(ctx);
}

static vow_result
cancel_with_others_in_line(void *ctx)
{
    struct looker *l = ctx;

    l->before = vow_cancelled();
    pair_cancel(&l->pair);
    return vow_ok(VOW_NIL);
}

VOW_CASE(task_that_runs_sees_its_token_before_its_own_turn_in_the_cancel)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {.pair = pair_new()};
    vow_future *queued = submit_with_token(vow_manual_executor(m), l.pair.token,
                                           never_task, vow_own(&l, look_in_drop));

    vow_unref(
        submit_with_token(NULL, l.pair.token, cancel_with_others_in_line, vow_ptr(&l)));

    assert_told(&l);
    assert_interrupted(queued);
    pair_free(&l.pair);
    vow_manual_unref(m);
}

static vow_result
make_own_without_memory(void *ctx)
{
    struct looker *l = ctx;

    for (size_t k = 1; k <= 2; k++) {
        counting_fail_at(k, COUNTING_ONWARDS);
        assert_null(vow_token_current());
        counting_fail_at(0, COUNTING_ONCE);
    }
    l->own = vow_token_current();
    assert_non_null(l->own);
    vow_token_unref(l->own);
    return vow_ok(VOW_NIL);
}

VOW_CASE(own_token_without_memory_never_fires_and_is_made_later)
{
    struct looker l = {0};
    vow_future *f = vow_submit(NULL, make_own_without_memory, vow_ptr(&l));

    assert_int_equal(code_of(f), 0);
    vow_unref(f);
}

/* The token of its own. */

static vow_result
register_on_own(void *ctx)
{
    struct looker *l = ctx;

    l->own = vow_token_current();
    assert_non_null(l->own);
    l->r = vow_token_on_cancel(l->own, NULL, note_told, drop_value(&l->told));
    vow_token_unref(vow_token_current());
    l->before = vow_token_cancelled(l->own);
    if (l->future != NULL)
        vow_future_cancel(l->future, vow_error_new(EINTR, "enough"));
    else
        pair_cancel(&l->pair);
    look(l);
    assert_true(vow_token_cancelled(l->own));
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), EINTR);
    return vow_ok(VOW_NIL);
}

static void
assert_own_was_told(struct looker *l)
{
    assert_told(l);
    assert_int_equal(l->told.ran, 1);
    assert_int_equal(vow_registration_remove(l->r), VOW_RAN);
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), EINTR);
    vow_token_unref(l->own);
}

VOW_CASE(own_token_fires_at_a_request)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future = vow_submit(vow_manual_executor(m), register_on_own, vow_ptr(&l));
    vow_manual_run(m);

    vow_unref(l.future);
    assert_own_was_told(&l);
    vow_manual_unref(m);
}

VOW_CASE(own_token_fires_with_the_one_it_was_given)
{
    struct looker l = {.pair = pair_new()};

    vow_unref(submit_with_token(NULL, l.pair.token, register_on_own, vow_ptr(&l)));

    assert_own_was_told(&l);
    pair_free(&l.pair);
}

static vow_result
fire_own_twice(void *ctx)
{
    struct looker *l = ctx;

    l->own = vow_token_current();
    vow_future_cancel(l->future, NULL);
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), VOW_E_CANCELLED);
    vow_unref(vow_executor_close(vow_executor_current(), VOW_CANCEL_QUEUED));
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), VOW_E_CANCELLED);
    vow_token_unref(l->own);
    return vow_check_cancelled();
}

static vow_result
close_then_cancel(void *ctx)
{
    struct looker *l = ctx;

    l->own = vow_token_current();
    vow_unref(vow_executor_close(vow_executor_current(), VOW_CANCEL_QUEUED));
    vow_future_cancel(l->future, vow_error_new(EINTR, "too late"));
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), VOW_E_CLOSED);
    vow_token_unref(l->own);
    return vow_ok(VOW_NIL);
}

VOW_CASE(own_token_fires_once_for_the_first_reason)
{
    vow_task_fn *const tasks[] = {fire_own_twice, close_then_cancel};

    for (int i = 0; i < 2; i++) {
        vow_manual *m = vow_manual_new();
        struct looker l = {0};

        l.future = vow_submit(vow_manual_executor(m), tasks[i], vow_ptr(&l));
        vow_manual_run(m);
        assert_int_equal(code_of(l.future), i == 0 ? VOW_E_CANCELLED : 0);
        vow_unref(l.future);
        vow_manual_unref(m);
    }
}

static vow_result
ask_after_the_request(void *ctx)
{
    struct looker *l = ctx;

    vow_future_cancel(l->future, vow_error_new(EINTR, "enough"));
    l->own = vow_token_current();
    assert_true(vow_token_cancelled(l->own));
    assert_int_equal(vow_error_code(vow_token_reason(l->own)), EINTR);
    vow_token_unref(l->own);
    return vow_ok(VOW_NIL);
}

VOW_CASE(own_token_made_after_the_request_has_fired)
{
    vow_manual *m = vow_manual_new();
    struct looker l = {0};

    l.future = vow_submit(vow_manual_executor(m), ask_after_the_request, vow_ptr(&l));
    vow_manual_run(m);

    assert_int_equal(code_of(l.future), 0);
    vow_unref(l.future);
    vow_manual_unref(m);
}

static vow_result
keep_own(void *ctx)
{
    *(vow_token **)ctx = vow_token_current();
    return vow_ok(VOW_NIL);
}

static vow_result
keep_own_then(vow_value in, void *ctx)
{
    (void)in;
    return keep_own(ctx);
}

VOW_CASE(own_token_outlives_its_task_and_does_not_fire_any_more)
{
    vow_token *own = NULL, *of_step = NULL;
    vow_future *f = vow_submit(NULL, keep_own, vow_ptr(&own));

    vow_future_cancel(f, NULL);
    f = vow_then(f, NULL, keep_own_then, vow_ptr(&of_step));
    vow_unref(f);

    assert_false(vow_token_cancelled(own));
    assert_non_null(of_step);
    vow_token_unref(own);
    vow_token_unref(of_step);
}

/* Waits inside a task: what is run meanwhile has a token of its own. */
static vow_result
look_in_step(vow_value in, void *ctx)
{
    (void)in;
    look(ctx);
    return vow_ok(VOW_NIL);
}

struct nested {
    struct looker outer, inner;
};

static vow_result
cancel_and_wait(void *ctx)
{
    struct nested *n = ctx;
    vow_future *f =
        vow_then(vow_resolved(VOW_NIL), NULL, look_in_step, vow_ptr(&n->inner));

    pair_cancel(&n->outer.pair);
    vow_get(f);
    vow_unref(f);
    look(&n->outer);
    return vow_ok(VOW_NIL);
}

VOW_CASE(step_run_while_a_task_waits_does_not_have_the_tasks_token)
{
    struct nested n = {.outer.pair = pair_new()};

    vow_unref(submit_with_token(NULL, n.outer.pair.token, cancel_and_wait, vow_ptr(&n)));

    assert_true(n.outer.after);
    assert_false(n.inner.after);
    pair_free(&n.outer.pair);
}

/* A task that returned a future. */

static vow_result
follow_given(void *ctx)
{
    return vow_follow(vow_ref(ctx));
}

VOW_CASE(token_of_a_task_that_follows_asks_whom_it_follows)
{
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *source = vow_promise_future(promise);
    vow_future *f = submit_with_token(NULL, p.token, follow_given, vow_ptr(source));

    assert_int_equal(vow_future_status(f), VOW_PENDING);
    pair_cancel(&p);

    assert_interrupted(f);
    assert_interrupted(source);
    vow_promise_unref(promise);
    pair_free(&p);
}

struct loop {
    vow_executor *on;
    vow_token *token;
    int left;
};

static vow_result
next_turn(void *ctx)
{
    struct loop *l = ctx;

    if (l->left-- == 0)
        return vow_ok(vow_i64(77));
    return vow_follow(submit_with_token(l->on, l->token, next_turn,
                                        ctx != NULL ? vow_ptr(ctx) : VOW_NIL));
}

VOW_CASE(tail_loop_of_tasks_with_one_token_is_flat)
{
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    struct loop l = {vow_manual_executor(m), p.token, TURNS};
    vow_future *f = submit_with_token(l.on, p.token, next_turn, vow_ptr(&l));
    size_t live = 0;

    for (int i = 0; i < TURNS; i++) {
        vow_manual_step(m);
        if (i == 10)
            live = counting_live();
    }
    assert_int_equal(counting_live(), live);
    vow_manual_run(m);

    assert_int_equal(vow_get(f).value.as.i64, 77);
    vow_unref(f);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(tail_loop_of_tasks_with_one_token_stops_when_it_fires)
{
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    struct loop l = {vow_manual_executor(m), p.token, TURNS};
    vow_future *f = submit_with_token(l.on, p.token, next_turn, vow_ptr(&l));

    for (int i = 0; i < 10; i++)
        vow_manual_step(m);
    pair_cancel(&p);
    vow_manual_run(m);

    assert_interrupted(f);
    assert_in_range(l.left, TURNS - 11, TURNS - 10);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(tail_loop_of_tasks_with_tokens_in_turn_is_asked_by_each)
{
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    struct pair q = pair_new();
    struct loop l = {vow_manual_executor(m), p.token, TURNS};
    vow_future *f = vow_submit(l.on, next_turn, vow_ptr(&l));

    vow_manual_step(m);
    l.token = q.token;
    vow_manual_step(m);
    vow_manual_step(m);
    pair_cancel(&p);
    vow_manual_run(m);

    assert_interrupted(f);
    pair_free(&p);
    pair_free(&q);
    vow_manual_unref(m);
}

/* Futures cut short. */

VOW_CASE(with_token_gives_the_outcome_if_that_is_first)
{
    struct drop value = {0};
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *f = vow_with_token(vow_promise_future(promise), p.token);

    vow_promise_fulfill(promise, drop_value(&value));
    assert_ptr_equal(vow_get(f).value.as.ptr, &value);
    pair_cancel(&p);
    vow_promise_unref(promise);
    assert_int_equal(drop_count(&value), 0);
    vow_unref(f);

    assert_int_equal(drop_count(&value), 1);
    pair_free(&p);
}

VOW_CASE(with_token_rejects_as_soon_as_it_fires_and_leaves_the_source)
{
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *source = vow_promise_future(promise);
    vow_future *f = vow_with_token(vow_ref(source), p.token);

    pair_cancel(&p);
    assert_interrupted(f);
    assert_int_equal(vow_future_status(source), VOW_PENDING);
    vow_promise_fulfill(promise, vow_i64(3));

    assert_int_equal(vow_get(source).value.as.i64, 3);
    vow_unref(source);
    vow_promise_unref(promise);
    pair_free(&p);
}

VOW_CASE(with_token_asks_a_source_that_nobody_else_wants)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_future *f = vow_with_token(
        vow_submit(vow_manual_executor(m), never_task, drop_value(&ctx)), p.token);

    pair_cancel(&p);
    assert_int_equal(drop_count(&ctx), 1);
    assert_interrupted(f);
    vow_manual_run(m);

    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(with_token_that_has_fired_rejects_at_once_unless_there_is_an_outcome)
{
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *f;

    pair_cancel(&p);
    assert_interrupted(vow_with_token(vow_promise_future(promise), p.token));
    vow_promise_unref(promise);
    f = vow_with_token(vow_resolved(vow_i64(4)), p.token);

    assert_int_equal(vow_get(f).value.as.i64, 4);
    vow_unref(f);
    pair_free(&p);
}

VOW_CASE(with_token_passes_an_error_on)
{
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *f = vow_with_token(vow_promise_future(promise), p.token);

    vow_promise_reject(promise, vow_error_new(EIO, "x"));
    vow_promise_unref(promise);

    assert_int_equal(code_of(f), EIO);
    vow_unref(f);
    pair_free(&p);
}

VOW_CASE(with_token_null_only_passes_on)
{
    vow_promise *promise = vow_promise_new();
    vow_future *source = vow_promise_future(promise);
    vow_future *f = vow_with_token(vow_ref(source), NULL);

    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_future_status(source), VOW_PENDING);
    assert_null(vow_with_token(NULL, NULL));

    vow_unref(f);
    vow_promise_unref(promise);
    vow_ignore(source);
}

VOW_CASE(with_token_leaves_nothing_on_an_immortal_one)
{
    struct pair p = pair_new();
    size_t live = counting_live();

    for (int i = 0; i < TURNS; i++) {
        vow_promise *promise = vow_promise_new();
        vow_future *f = vow_with_token(vow_promise_future(promise), p.token);

        if (i % 3 == 0)
            vow_promise_fulfill(promise, VOW_NIL);
        if (i % 3 == 1)
            vow_future_cancel(f, NULL);
        vow_promise_unref(promise);
        vow_ignore(f);
    }

    assert_int_equal(counting_live(), live);
    pair_free(&p);
}

VOW_CASE(with_token_on_what_is_abandoned_runs_nothing)
{
    struct pair p = pair_new();
    vow_promise *promise = vow_promise_new();
    vow_future *f = vow_with_token(vow_promise_future(promise), p.token);

    vow_promise_abandon(promise);

    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
    pair_free(&p);
}

/* Shields. */

VOW_CASE(shield_passes_the_outcome_on)
{
    vow_promise *promise = vow_promise_new();
    vow_future *f = vow_shield(vow_promise_future(promise));
    vow_future *settled;

    vow_promise_fulfill(promise, vow_i64(6));
    vow_promise_unref(promise);
    assert_int_equal(vow_get(f).value.as.i64, 6);
    settled = vow_shield(f);

    assert_int_equal(vow_get(settled).value.as.i64, 6);
    vow_unref(settled);
    assert_null(vow_shield(NULL));
}

VOW_CASE(shield_that_is_cancelled_lets_its_source_go_on)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    vow_future *f =
        vow_shield(vow_submit(vow_manual_executor(m), value_task, drop_value(&ctx)));

    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_interrupted(f);
    vow_manual_run(m);

    assert_int_equal(ctx.ran, 1);
    vow_manual_unref(m);
}

static vow_result
never_then(vow_value in, void *ctx)
{
    (void)in;
    return never_task(ctx);
}

VOW_CASE(shield_stops_a_leave_from_further_down)
{
    struct drop ctx = {0};
    vow_manual *m = vow_manual_new();
    struct pair p = pair_new();
    vow_future *f =
        vow_shield(vow_submit(vow_manual_executor(m), value_task, drop_value(&ctx)));

    f = vow_with_token(vow_then(f, NULL, never_then, VOW_NIL), p.token);
    pair_cancel(&p);
    assert_interrupted(f);
    vow_manual_run(m);

    assert_int_equal(ctx.ran, 1);
    pair_free(&p);
    vow_manual_unref(m);
}

VOW_CASE(shield_delivered_is_left_like_any_other)
{
    vow_promise *promise = vow_promise_new();
    vow_future *f = vow_shield(vow_promise_future(promise));

    vow_defer_begin();
    vow_promise_fulfill(promise, vow_i64(6));
    vow_future_cancel(f, NULL);
    vow_defer_end();

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    vow_unref(f);
    vow_promise_unref(promise);
}

/* The hook of a promise is a registration too. */

static void
hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)reason;
    drop_ran(ctx);
    vow_promise_reject(p, vow_error_of(VOW_E_CANCELLED));
}

VOW_CASE(hook_that_is_removed_is_not_called_and_makes_room)
{
    struct drop first = {0};
    struct drop second = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r = vow_promise_on_cancel(p, NULL, hook, drop_value(&first));

    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    assert_int_equal(drop_count(&first), 1);
    r = vow_promise_on_cancel(p, NULL, hook, drop_value(&second));
    vow_future_cancel(f, NULL);

    assert_int_equal(first.ran, 0);
    assert_int_equal(second.ran, 1);
    assert_int_equal(vow_registration_remove_wait(r), VOW_RAN);
    vow_unref(f);
    vow_promise_unref(p);
}

VOW_CASE(hook_that_is_removed_leaves_a_promise_that_settles_when_asked)
{
    vow_manual *m = vow_manual_new();
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r =
        vow_promise_on_cancel(p, vow_manual_executor(m), hook, drop_value(&ctx));

    assert_int_equal(vow_registration_remove_wait(r), VOW_REMOVED);
    vow_future_cancel(f, NULL);

    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(vow_manual_run(m), 0);
    vow_unref(f);
    vow_promise_unref(p);
    vow_manual_unref(m);
}

VOW_CASE(hook_that_was_asked_for_is_too_late_to_remove)
{
    vow_manual *m = vow_manual_new();
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r =
        vow_promise_on_cancel(p, vow_manual_executor(m), hook, drop_value(&ctx));

    vow_future_cancel(f, NULL);
    assert_int_equal(vow_registration_remove(r), VOW_RUNNING);
    vow_manual_run(m);
    assert_int_equal(vow_registration_remove(r), VOW_RAN);

    assert_int_equal(ctx.ran, 1);
    vow_unref(f);
    vow_promise_unref(p);
    vow_manual_unref(m);
}

VOW_CASE(hook_that_was_asked_for_and_is_overtaken_by_an_outcome_never_runs)
{
    vow_manual *m = vow_manual_new();
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r =
        vow_promise_on_cancel(p, vow_manual_executor(m), hook, drop_value(&ctx));

    vow_future_cancel(f, NULL);
    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(vow_registration_remove(r), VOW_RUNNING);
    vow_manual_run(m);
    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);

    assert_int_equal(ctx.ran, 0);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(f);
    vow_promise_unref(p);
    vow_manual_unref(m);
}

VOW_CASE(hook_of_a_promise_that_has_settled_is_removed)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "it"));
    vow_registration *r = vow_promise_on_cancel(p, NULL, hook, drop_value(&ctx));

    vow_promise_fulfill(p, VOW_NIL);
    assert_int_equal(drop_count(&ctx), 1);

    assert_int_equal(vow_registration_remove(r), VOW_REMOVED);
    vow_promise_unref(p);
}

/* Memory. */

VOW_CASE(work_without_memory_is_null_and_leaves_nothing)
{
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        struct drop ctx = {0};
        struct looker l = {0};
        vow_manual *m = vow_manual_new();
        struct pair p = pair_new();
        vow_future *f = vow_submit_with(
            vow_manual_executor(m), &VOW_SUBMIT_OPTIONS(.name = "it", .token = p.token),
            value_task, drop_value(&ctx));

        f = vow_shield(vow_with_token(f, p.token));
        pair_cancel(&p);
        if (m != NULL)
            vow_manual_run(m);
        assert_true(f == NULL || p.token == NULL || code_of(f) == VOW_E_CANCELLED);
        vow_unref(f);
        assert_int_equal(drop_count(&ctx), 1);
        l.future = vow_submit(vow_manual_executor(m), cancel_self_and_look, vow_ptr(&l));
        if (m != NULL)
            vow_manual_run(m);
        assert_true(l.future == NULL || m == NULL || l.after);
        vow_unref(l.future);
        pair_free(&p);
        vow_manual_unref(m);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(task_whose_token_fires_before_it_starts_settles_at_once),
        vow_test(task_whose_token_has_fired_is_not_even_queued),
        vow_test(task_whose_token_never_fires_runs_and_leaves_nothing_on_it),
        vow_test(task_that_is_dropped_keeps_its_token_until_it_has_run),
        vow_test(task_with_a_token_and_a_name_has_both),
        vow_test(task_with_a_token_that_is_refused_gives_the_refusal),
        vow_test(options_of_an_older_program_have_no_token),
        vow_test(task_that_runs_sees_its_token_fire),
        vow_test(task_that_runs_sees_a_request_and_settles_as_it_returns),
        vow_test(step_that_runs_sees_a_request),
        vow_test(task_that_runs_sees_its_executor_cancel),
        vow_test(task_that_runs_is_not_told_of_a_drain),
        vow_test(errand_that_runs_sees_its_executor_cancel),
        vow_test(outside_a_task_nothing_is_cancelled),
        vow_test(periodic_work_that_runs_sees_a_request),
        vow_test(delayed_work_that_runs_sees_a_request),
        vow_test(task_that_runs_sees_its_token_before_its_own_turn_in_the_cancel),
        vow_test(own_token_without_memory_never_fires_and_is_made_later),
        vow_test(own_token_fires_at_a_request),
        vow_test(own_token_fires_with_the_one_it_was_given),
        vow_test(own_token_fires_once_for_the_first_reason),
        vow_test(own_token_made_after_the_request_has_fired),
        vow_test(own_token_outlives_its_task_and_does_not_fire_any_more),
        vow_test(step_run_while_a_task_waits_does_not_have_the_tasks_token),
        vow_test(token_of_a_task_that_follows_asks_whom_it_follows),
        vow_test(tail_loop_of_tasks_with_one_token_is_flat),
        vow_test(tail_loop_of_tasks_with_one_token_stops_when_it_fires),
        vow_test(tail_loop_of_tasks_with_tokens_in_turn_is_asked_by_each),
        vow_test(with_token_gives_the_outcome_if_that_is_first),
        vow_test(with_token_rejects_as_soon_as_it_fires_and_leaves_the_source),
        vow_test(with_token_asks_a_source_that_nobody_else_wants),
        vow_test(with_token_that_has_fired_rejects_at_once_unless_there_is_an_outcome),
        vow_test(with_token_passes_an_error_on),
        vow_test(with_token_null_only_passes_on),
        vow_test(with_token_leaves_nothing_on_an_immortal_one),
        vow_test(with_token_on_what_is_abandoned_runs_nothing),
        vow_test(shield_passes_the_outcome_on),
        vow_test(shield_that_is_cancelled_lets_its_source_go_on),
        vow_test(shield_stops_a_leave_from_further_down),
        vow_test(shield_delivered_is_left_like_any_other),
        vow_test(hook_that_is_removed_is_not_called_and_makes_room),
        vow_test(hook_that_is_removed_leaves_a_promise_that_settles_when_asked),
        vow_test(hook_that_was_asked_for_is_too_late_to_remove),
        vow_test(hook_that_was_asked_for_and_is_overtaken_by_an_outcome_never_runs),
        vow_test(hook_of_a_promise_that_has_settled_is_removed),
        vow_test(work_without_memory_is_null_and_leaves_nothing),
    };

    return vow_test_run(cases);
}
