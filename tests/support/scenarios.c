/* SPDX-License-Identifier: MIT */
/*
 * What a user does with the library, a scenario each: all of its public face. Each is
 * written so that any call may fail: what it checks is true with and without failures.
 */
#include "scenarios.h"

#include <errno.h>
#include <string.h>

#include "vow_test.h"

/* Reads a future that should have this code, or ran out of memory; consumes it. */
static void
finish(vow_future *f, int code)
{
    int seen = code_of(f);

    if (seen != code && seen != VOW_E_NOMEM)
        fail_msg("code %d, neither %d nor out of memory", seen, code);
    vow_unref(f);
}

/* Steps of every kind. Their contexts count how often they run and are dropped. */

static vow_result
give_value(vow_value in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    return vow_ok(vow_i64(1));
}

static vow_result
pass_value(vow_value in, void *ctx)
{
    drop_ran(ctx);
    return vow_ok(in);
}

static vow_result
fail_value(vow_value in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    return vow_fail(EIO, "step %d", 1);
}

static vow_result
recover(const vow_error *error, void *ctx)
{
    (void)error;
    drop_ran(ctx);
    return vow_ok(vow_i64(2));
}

static vow_result
pass_view(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    return vow_forward();
}

static void
nothing(void *ctx)
{
    drop_ran(ctx);
}

static void
nothing_settled(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
}

static vow_result
task_value(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(3));
}

static vow_result
task_fail(void *ctx)
{
    drop_ran(ctx);
    return vow_fail(EIO, "task");
}

/* One step of each kind, one after the other. */
static vow_future *
every_step(vow_future *f, vow_executor *on, struct drop_set *d)
{
    f = vow_then(f, on, pass_value, drop_set_new(d));
    f = vow_catch(f, on, recover, drop_set_new(d));
    f = vow_then(f, on, fail_value, drop_set_new(d));
    f = vow_catch_if(f, EPERM, on, recover, drop_set_new(d));
    f = vow_finally(f, on, nothing, drop_set_new(d));
    f = vow_handle(f, on, pass_view, drop_set_new(d));
    return vow_catch_if(f, EIO, on, recover, drop_set_new(d));
}

/* The scenarios. */

static void
promise_fulfilled(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_int_equal(vow_promise_fulfill(p, drop_set_new(d)), p != NULL);
    assert_false(vow_promise_fulfill(p, drop_set_new(d)));
    vow_promise_unref(p);
    finish(f, 0);
}

static void
promise_with_options_broken(struct drop_set *d)
{
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "p"));
    vow_future *f = vow_promise_future(p);

    f = vow_finally(f, NULL, nothing, drop_set_new(d));
    vow_promise_unref(p);
    finish(f, VOW_E_BROKEN);
}

static void
promise_rejected(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_error *e = vow_error_new(EIO, "number %d", 5);

    e = vow_error_attach(e, drop_set_new(d));
    vow_promise_reject(p, e);
    vow_promise_unref(p);
    finish(f, EIO);
}

static void
settled_at_once(struct drop_set *d)
{
    finish(vow_resolved(drop_set_new(d)), 0);
    finish(vow_rejected(vow_error_attach(vow_error_new(EIO, "e"), drop_set_new(d))), EIO);
    finish(vow_rejected(NULL), VOW_E_NOMEM);
}

static void
steps_on_ready(struct drop_set *d)
{
    finish(every_step(vow_resolved(drop_set_new(d)), NULL, d), 0);
    finish(every_step(vow_rejected(vow_error_new(EIO, "e")), NULL, d), 0);
}

static void
steps_on_pending(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = every_step(vow_promise_future(p), NULL, d);

    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    finish(f, 0);
}

static void
manual_run(vow_manual *m)
{
    if (m != NULL)
        vow_manual_run(m);
}

static void
steps_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = every_step(vow_promise_future(p), vow_manual_executor(m), d);

    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    manual_run(m);
    finish(f, 0);
    vow_manual_unref(m);
}

static void
steps_left_in_a_manual_that_goes(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = every_step(vow_resolved(VOW_NIL), vow_manual_executor(m), d);
    bool had = m != NULL;

    vow_manual_unref(m);
    finish(f, had ? VOW_E_CLOSED : 0);
}

static void
steps_on_null(struct drop_set *d)
{
    finish(vow_then(NULL, NULL, give_value, drop_set_new(d)), VOW_E_NOMEM);
    finish(vow_catch(NULL, NULL, recover, drop_set_new(d)), 0);
    finish(vow_handle(NULL, NULL, pass_view, drop_set_new(d)), VOW_E_NOMEM);
    finish(vow_finally(NULL, NULL, nothing, drop_set_new(d)), VOW_E_NOMEM);
    (void)vow_on_settled(NULL, NULL, nothing_settled, drop_set_new(d));
}

static void
called_when_settled(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    bool on_pending =
        vow_on_settled(vow_promise_future(p), NULL, nothing_settled, drop_set_new(d));
    bool on_ready = vow_on_settled(vow_resolved(drop_set_new(d)), NULL, nothing_settled,
                                   drop_set_new(d));

    if (!on_pending)
        assert_true(scenario_failed());
    if (!on_ready)
        assert_true(scenario_failed());
    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
}

static void
one_source_of_many(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_then(vow_ref(f), NULL, pass_value, drop_set_new(d));
    vow_future *h = vow_handle(vow_ref(f), NULL, pass_view, drop_set_new(d));

    vow_unref(vow_finally(f, NULL, nothing, drop_set_new(d)));
    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    finish(g, 0);
    finish(h, 0);
}

static void
following(struct drop_set *d)
{
    vow_promise *outer = vow_promise_new();
    vow_promise *inner = vow_promise_new();
    vow_future *f = vow_promise_future(outer);

    vow_promise_resolve(outer,
                        vow_follow(every_step(vow_promise_future(inner), NULL, d)));
    assert_false(vow_promise_fulfill(outer, drop_set_new(d)));
    vow_promise_fulfill(inner, drop_set_new(d));
    vow_promise_unref(inner);
    vow_promise_unref(outer);
    finish(f, 0);
}

static vow_result
follow_task(void *ctx)
{
    drop_ran(ctx);
    return vow_follow(vow_then(vow_resolved(VOW_NIL), NULL, give_value, VOW_NIL));
}

static void
following_from_tasks(struct drop_set *d)
{
    finish(vow_submit(NULL, follow_task, drop_set_new(d)), 0);
}

static void
ring_of_two(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *g = vow_then(vow_promise_future(q), NULL, pass_value, drop_set_new(d));

    vow_promise_resolve(p, vow_follow(vow_ref(g)));
    vow_promise_resolve(q, vow_follow(vow_ref(f)));
    vow_promise_unref(p);
    vow_promise_unref(q);
    finish(f, VOW_E_DEADLOCK);
    finish(g, VOW_E_DEADLOCK);
}

static void
submitting_inline(struct drop_set *d)
{
    int posted = vow_post(NULL, nothing, drop_set_new(d));

    assert_true(posted == 0 || posted == VOW_E_NOMEM);
    finish(vow_submit(NULL, task_value, drop_set_new(d)), 0);
    finish(vow_submit(NULL, task_fail, drop_set_new(d)), EIO);
    finish(vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.name = "t"), task_value,
                           drop_set_new(d)),
           0);
}

static void
submitting_many_to(vow_executor *on, vow_manual *m, struct drop_set *d)
{
    enum { N = 5 };
    vow_value ctxs[N];
    vow_future *out[N];
    int code;

    for (int i = 0; i < N; i++)
        ctxs[i] = drop_set_new(d);
    memset(out, 1, sizeof out);
    code = vow_submit_many(on, task_value, ctxs, N, out);
    assert_true(code == 0 || code == VOW_E_NOMEM);
    manual_run(m);
    for (int i = 0; i < N; i++) {
        assert_int_equal(out[i] == NULL, code != 0);
        finish(out[i], 0);
    }
}

static void
submitting_many(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();

    submitting_many_to(NULL, NULL, d);
    submitting_many_to(vow_manual_executor(m), m, d);
    vow_manual_unref(m);
}

static void
submitting_to_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_future *f = vow_submit(on, task_value, drop_set_new(d));
    vow_future *g = vow_submit_with(
        on, &VOW_SUBMIT_OPTIONS(.name = "t", .flags = VOW_STOP_WHEN_UNWANTED), task_fail,
        drop_set_new(d));
    int posted = vow_post(on, nothing, drop_set_new(d));

    assert_true(posted == 0 || posted == VOW_E_NOMEM);
    manual_run(m);
    finish(f, 0);
    finish(g, EIO);
    vow_manual_unref(m);
}

/* One that runs, one that is cancelled, one that its executor leaves. */
static void
submitting_for_later(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_future *f, *cancelled, *left, *pause;

    if (m == NULL)
        return;
    f = vow_submit_after(on, 5, task_value, drop_set_new(d));
    cancelled = vow_submit_at(on, 6, task_value, drop_set_new(d));
    left = vow_submit_after(on, 700, task_value, drop_set_new(d));
    pause = vow_sleep(vow_manual_clock(m), 8);
    vow_future_cancel(cancelled, NULL);
    vow_manual_advance(m, 10);
    finish(f, 0);
    finish(cancelled, VOW_E_CANCELLED);
    finish(pause, 0);
    vow_manual_unref(m);
    finish(left, VOW_E_CLOSED);
}

static vow_result
take_turn(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_resolved(VOW_NIL));
}

/* One that is cancelled, one that its executor leaves. */
static void
submitting_again_and_again(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_future *cancelled, *left;

    if (m == NULL)
        return;
    cancelled = vow_submit_every(on, 3, VOW_MISSED_BURST, take_turn, drop_set_new(d));
    left = vow_submit_every(on, 4, VOW_MISSED_SKIP, take_turn, drop_set_new(d));
    vow_manual_advance(m, 10);
    vow_future_cancel(cancelled, NULL);
    finish(cancelled, VOW_E_CANCELLED);
    vow_manual_unref(m);
    finish(left, VOW_E_CLOSED);
}

static void
refused_by_a_closed_executor(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    int posted;

    vow_ignore(vow_executor_close(on, VOW_DRAIN));
    posted = vow_post(on, nothing, drop_set_new(d));
    assert_true(posted == VOW_E_CLOSED || posted == VOW_E_NOMEM || m == NULL);
    finish(vow_submit(on, task_value, drop_set_new(d)), m != NULL ? VOW_E_CLOSED : 0);
    finish(vow_then(vow_resolved(drop_set_new(d)), on, pass_value, drop_set_new(d)),
           m != NULL ? VOW_E_CLOSED : 0);
    vow_manual_unref(m);
}

static void
never_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    (void)ctx;
    fail_msg("a cancel hook ran that nobody asked for");
}

static void
obey_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    drop_ran(ctx);
    vow_promise_reject(p, vow_error_wrap(reason, VOW_E_CANCELLED, "as you wish"));
}

static void
hooked_and_not_cancelled(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_registration *r = vow_promise_on_cancel(p, NULL, never_hook, drop_set_new(d));

    if (r == NULL)
        assert_true(scenario_failed());
    assert_null(
        vow_promise_on_cancel(r != NULL ? p : NULL, NULL, never_hook, drop_set_new(d)));
    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    finish(f, 0);
}

static void
cancelled_with_a_hook(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_error *reason = vow_error_new(EINTR, "enough");

    (void)vow_promise_on_cancel(p, vow_manual_executor(m), obey_hook, drop_set_new(d));
    f = vow_finally(f, NULL, nothing, drop_set_new(d));
    vow_future_cancel(f, reason);
    manual_run(m);
    vow_promise_fulfill(p, drop_set_new(d)); /* wins only where the step was lost */
    vow_promise_unref(p);
    finish(f, VOW_E_CANCELLED);
    vow_manual_unref(m);
}

static void
cancelled_in_a_queue(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), task_value, drop_set_new(d));
    bool queued = m != NULL;

    f = every_step(f, vow_manual_executor(m), d);
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    manual_run(m);
    finish(f, queued ? VOW_E_CANCELLED : 0);
    vow_manual_unref(m);
}

/* Two sources, a token linked to both, and callbacks on each and on a manual executor. */
struct tokens {
    vow_source *sources[2];
    vow_token *tokens[3];
    vow_registration *registrations[4];
};

static struct tokens
tokens_new(vow_executor *on, struct drop_set *d)
{
    struct tokens t = {.sources = {vow_source_new(), vow_source_new()}};

    for (int i = 0; i < 2; i++)
        t.tokens[i] = vow_source_token(t.sources[i]);
    t.tokens[2] = vow_token_any(t.tokens, 2);
    for (int i = 0; i < 3; i++)
        t.registrations[i] =
            vow_token_on_cancel(t.tokens[i], NULL, nothing, drop_set_new(d));
    t.registrations[3] = vow_token_on_cancel(t.tokens[2], on, nothing, drop_set_new(d));
    return t;
}

static void
tokens_free(struct tokens *t)
{
    for (int i = 0; i < 3; i++)
        vow_token_unref(t->tokens[i]);
    for (int i = 0; i < 2; i++)
        vow_source_unref(t->sources[i]);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal(vow_registration_remove_wait(t->registrations[i]),
                             VOW_RUNNING);
}

static void
tokens_cancelled(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    struct tokens t = tokens_new(vow_manual_executor(m), d);

    vow_source_cancel(t.sources[1],
                      vow_error_attach(vow_error_new(EINTR, "x"), drop_set_new(d)));
    vow_source_cancel(t.sources[0], NULL);
    for (int i = 0; i < 3; i++) {
        assert_true(vow_token_cancelled(t.tokens[i]) || scenario_failed());
        (void)vow_token_reason(t.tokens[i]);
        (void)vow_token_cancelled_at(t.tokens[i]);
        (void)vow_token_deadline_of(t.tokens[i], NULL);
    }
    tokens_free(&t);
    vow_manual_unref(m);
}

static void
tokens_left_alone(struct drop_set *d)
{
    struct tokens t = tokens_new(NULL, d);

    vow_token_unref(vow_token_ref(t.tokens[2]));
    vow_source_unref(vow_source_ref(t.sources[0]));
    tokens_free(&t);
}

/* Asks as work does that can be stopped, and registers on the token of its own. */
static vow_result
look_and_return(void *ctx)
{
    vow_token *own = vow_token_current();
    vow_registration *r = vow_token_on_cancel(own, NULL, nothing, VOW_NIL);
    vow_result stop = vow_check_cancelled();

    drop_ran(ctx);
    assert_true(stop.error == NULL || vow_cancelled());
    vow_registration_remove(r);
    vow_token_unref(own);
    return stop;
}

static void
tasks_with_a_token(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_submit_options opt = VOW_SUBMIT_OPTIONS(.token = t, .name = "short");
    vow_future *f = vow_submit_with(on, &opt, look_and_return, drop_set_new(d));
    vow_future *g;

    if (m != NULL)
        vow_manual_run(m);
    g = vow_submit_with(on, &opt, look_and_return, drop_set_new(d));
    g = vow_shield(vow_with_token(g, t));
    vow_source_cancel(s, vow_error_new(EINTR, "x"));
    if (m != NULL)
        vow_manual_run(m);
    finish(f, 0);
    if (g != NULL && s != NULL && m != NULL)
        finish(g, VOW_E_CANCELLED);
    else
        vow_unref(g);
    vow_token_unref(t);
    vow_source_unref(s);
    vow_manual_unref(m);
}

static void
deadlines_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_token *t = m != NULL ? vow_token_deadline(vow_manual_clock(m), 10) : NULL;
    vow_submit_options opt = VOW_SUBMIT_OPTIONS(.token = t, .deadline = 5);
    vow_registration *r = vow_token_on_cancel(t, NULL, nothing, drop_set_new(d));
    vow_future *f;

    if (m != NULL) {
        f = vow_submit_with(vow_manual_executor(m), &opt, task_value, drop_set_new(d));
        vow_manual_advance(m, 20);
        finish(f, 0);
    }
    vow_registration_remove(r);
    vow_token_unref(t);
    vow_manual_unref(m);
}

static void
unwanted(struct drop_set *d)
{
    vow_promise *p =
        vow_promise_new_with(&VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED));
    vow_promise *q =
        vow_promise_new_with(&VOW_PROMISE_OPTIONS(.flags = VOW_STOP_WHEN_UNWANTED));

    (void)vow_promise_on_cancel(p, NULL, obey_hook, drop_set_new(d));
    vow_unref(vow_promise_future(p));
    vow_unref(vow_promise_future(q));
    assert_false(vow_promise_fulfill(p, drop_set_new(d)));
    assert_false(vow_promise_fulfill(q, drop_set_new(d)));
    vow_promise_unref(p);
    vow_promise_unref(q);
}

static void
abandoned(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_future *held = every_step(vow_ref(f), vow_manual_executor(m), d);

    (void)vow_promise_on_cancel(p, NULL, never_hook, drop_set_new(d));
    (void)vow_on_settled(f, NULL, nothing_settled, drop_set_new(d));
    vow_promise_abandon(p);
    manual_run(m);
    vow_ignore(held);
    vow_manual_unref(m);
}

static void
dropped_unread(struct drop_set *d)
{
    vow_future *f = vow_rejected(
        vow_error_attach(vow_error_new(EIO, "nobody looks"), drop_set_new(d)));

    f = vow_then(f, NULL, pass_value, drop_set_new(d));
    vow_unref(vow_finally(f, NULL, nothing, drop_set_new(d)));
}

static void
taken(struct drop_set *d)
{
    vow_future *f = vow_then(vow_resolved(drop_set_new(d)), NULL, pass_value, VOW_NIL);
    vow_result r = {0};

    assert_true(vow_take(f, &r));
    assert_true(r.error == NULL || vow_error_code(r.error) == VOW_E_NOMEM);
    vow_result_drop(r);
}

static void
deferred(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_finally(vow_promise_future(p), NULL, nothing, drop_set_new(d));

    vow_defer_begin();
    vow_promise_fulfill(p, drop_set_new(d));
    f = every_step(f, NULL, d);
    vow_defer_end();
    vow_promise_unref(p);
    finish(f, 0);
}

static void *
fulfill_with_1(void *p)
{
    vow_promise_fulfill(p, vow_i64(1));
    vow_promise_unref(p);
    return NULL;
}

static void
waited_for(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, give_value, drop_set_new(d));
    pthread_t thread;

    (void)vow_wait(f, vow_us(10));
    assert_int_equal(pthread_create(&thread, NULL, fulfill_with_1, p), 0);
    finish(f, 0);
    pthread_join(thread, NULL);
}

static void
errors_of_every_make(struct drop_set *d)
{
    vow_error *cause = vow_error_new(EIO, "a message of %s length", "some");
    vow_error *e = vow_error_wrap(cause, VOW_E_USER + 1, "on top");
    vow_error *builtin = vow_error_of(VOW_E_TIMEDOUT);
    int code = vow_error_code(e);

    assert_true(code == VOW_E_USER + 1 || code == VOW_E_NOMEM);
    code = vow_error_code(cause);
    assert_true(code == EIO || code == VOW_E_NOMEM);
    vow_error_unref(cause);
    e = vow_error_retry(vow_error_with(e, "key", "value"), vow_ms(5));
    e = vow_error_attach(e, drop_set_new(d));
    e = vow_error_attach(e, drop_set_new(d));
    builtin = vow_error_attach(vow_error_with(builtin, "key", "value"), drop_set_new(d));
    builtin = vow_error_retry(builtin, 0);
    assert_int_equal(vow_error_code(builtin), VOW_E_TIMEDOUT);
    vow_error_unref(e);
    vow_error_unref(builtin);
}

static void
settled_without_errors_to_be_had(struct drop_set *d)
{
    vow_result r = vow_fail(EIO, "step %d", 1);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    assert_non_null(r.error);
    r.value = drop_set_new(d);
    vow_promise_resolve(p, r);
    vow_promise_unref(p);
    finish(f, EIO);
}

/* A pool, with work that submits and waits inside. */

static vow_result
fork_task(void *ctx)
{
    vow_executor *pool = ctx;
    vow_future *f = vow_submit(pool, task_value, VOW_NIL);
    vow_future *g =
        vow_then(vow_submit(pool, task_value, VOW_NIL), pool, give_value, VOW_NIL);
    vow_error *e = vow_error_ref(vow_get(f).error);

    if (e == NULL)
        e = vow_error_ref(vow_get(g).error);
    vow_unref(f);
    vow_unref(g);
    return e != NULL ? vow_err(e) : vow_ok(vow_i64(1));
}

static void
pool_close(vow_executor *pool, vow_close_mode mode)
{
    vow_future *closed;

    if (pool == NULL)
        return;
    closed = vow_executor_close(pool, mode);
    assert_int_equal(vow_executor_join(pool), 0);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
    vow_executor_unref(pool);
}

static void
pool_working(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_future *f = vow_submit(pool, task_value, drop_set_new(d));
    vow_future *g = every_step(vow_resolved(drop_set_new(d)), pool, d);

    submitting_many_to(pool, NULL, d);
    finish(f, 0);
    finish(g, 0);
    if (pool != NULL)
        finish(vow_submit(pool, fork_task, vow_ptr(pool)), 0);
    pool_close(pool, VOW_DRAIN);
}

static void
pool_closed_at_once(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1, .name = "short"));
    vow_future *f[5];

    for (int i = 0; i < 5; i++)
        f[i] = vow_submit(pool, task_value, drop_set_new(d));
    pool_close(pool, VOW_CANCEL_QUEUED);
    for (int i = 0; i < 5; i++) {
        int code = code_of(f[i]);

        assert_true(code == 0 || code == VOW_E_CLOSED || code == VOW_E_NOMEM);
        vow_unref(f[i]);
    }
}

static void
dump(vow_executor *on)
{
    FILE *out = fopen("/dev/null", "w");

    assert_non_null(out);
    assert_int_equal(vow_executor_dump(on, out), on != NULL ? 0 : VOW_E_INVALID);
    fclose(out);
}

static void
serial_on_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    vow_executor *serial = vow_serial_new(pool);
    vow_future *f = vow_submit(serial, task_value, drop_set_new(d));
    vow_future *g = every_step(vow_resolved(drop_set_new(d)), serial, d);

    submitting_many_to(serial, NULL, d);
    dump(serial);
    finish(f, 0);
    finish(g, 0);
    pool_close(serial, VOW_DRAIN);
    pool_close(pool, VOW_DRAIN);
}

static void
serial_on_manual(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(m));
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(serial, task_value, drop_set_new(d));
    vow_executor_unref(serial);
    if (m != NULL)
        vow_manual_run(m);
    for (int i = 0; i < 3; i++)
        finish(f[i], 0);
    vow_manual_unref(m);
}

static void
serial_cancelled_before_its_turn(struct drop_set *d)
{
    vow_manual *m = vow_manual_new();
    vow_executor *serial = vow_serial_new(vow_manual_executor(m));
    vow_future *f = vow_submit(serial, task_value, drop_set_new(d));

    pool_close(serial, VOW_CANCEL_QUEUED);
    finish(f, serial != NULL && m != NULL ? VOW_E_CLOSED : 0);
    vow_manual_unref(m);
}

/* Two promises settle, one with a value and one with an error. */
static void
settle_two(vow_promise *p, vow_promise *q, struct drop_set *d)
{
    vow_promise_reject(q, vow_error_new(EIO, "one of two"));
    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    vow_promise_unref(q);
}

static void
all_of_several(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *f =
        vow_when_all(VOW_FUTURES(vow_promise_future(p), vow_promise_future(q)));

    f = vow_when_all_settled(VOW_FUTURES(f, vow_resolved(drop_set_new(d)), NULL));
    settle_two(p, q, d);
    finish(f, 0);
    finish(vow_when_all(VOW_FUTURES(vow_resolved(drop_set_new(d)))), 0);
    finish(vow_when_all(NULL, 0), 0);
}

static void
first_of_several(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();
    vow_future *loser = vow_promise_future(p);
    vow_future *f = vow_when_any(VOW_FUTURES(vow_ref(loser), vow_promise_future(q)));
    vow_future *g =
        vow_any(VOW_FUTURES(vow_ref(loser), vow_rejected(vow_error_new(1, "x"))));
    vow_future *h = vow_race(VOW_FUTURES(loser, vow_rejected(vow_error_new(EIO, "y"))));

    finish(h, EIO);
    settle_two(p, q, d);
    finish(f, 0);
    if (g != NULL && code_of(g) != 0)
        assert_true(p == NULL);
    vow_unref(g);
    finish(vow_any(VOW_FUTURES(vow_rejected(vow_error_new(EIO, "z")), NULL)),
           VOW_E_AGGREGATE);
}

static void
some_of_several(struct drop_set *d)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_some(2, VOW_FUTURES(vow_resolved(drop_set_new(d)),
                                            vow_rejected(vow_error_new(EIO, "x")),
                                            vow_promise_future(p)));

    vow_promise_fulfill(p, drop_set_new(d));
    vow_promise_unref(p);
    if (f != NULL && code_of(f) == VOW_E_AGGREGATE) /* two had no memory */
        assert_true(scenario_failed());
    vow_unref(f);
}

static void
several_on_a_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    vow_future *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(pool, task_value, drop_set_new(d));
    finish(vow_race_with(&VOW_COMBINE_OPTIONS(.flags = VOW_WAIT), f, 3), 0);
    for (int i = 0; i < 3; i++)
        f[i] = vow_submit(pool, task_value, drop_set_new(d));
    finish(vow_when_all(f, 3), 0);
    pool_close(pool, VOW_DRAIN);
}

static void
several_with_a_token(struct drop_set *d)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_race_with(
        &VOW_COMBINE_OPTIONS(.token = token),
        VOW_FUTURES(vow_promise_future(p),
                    vow_then(vow_promise_future(p), NULL, give_value, drop_set_new(d))));

    vow_token_unref(token);
    vow_source_cancel(source, NULL);
    vow_source_unref(source);
    if (f != NULL && vow_future_status(f) == VOW_PENDING)
        assert_null(source);
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
    vow_ignore(f);
}

static vow_result
pass_number(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

static vow_result
fail_number(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_fail(EIO, "item");
}

enum { MAPPED = 5 };

static void
mapped_inline(struct drop_set *d)
{
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_value items[MAPPED];

    for (int i = 0; i < MAPPED; i++)
        items[i] = drop_set_new(d);
    finish(vow_map(NULL, &VOW_MAP_OPTIONS(.token = token), items, MAPPED, pass_number,
                   drop_set_new(d)),
           0);
    vow_token_unref(token);
    vow_source_unref(source);
    for (int i = 0; i < MAPPED; i++)
        items[i] = drop_set_new(d);
    finish(vow_map(NULL, NULL, items, MAPPED, fail_number, drop_set_new(d)), EIO);
}

static bool
give_next(vow_value *item, void *ctx)
{
    int *left = ctx;

    *item = vow_i64(*left);
    return (*left)-- > 0;
}

static void
mapped_on_a_pool(struct drop_set *d)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    int left = 100;

    finish(
        vow_map_from(pool, NULL, give_next, vow_ptr(&left), pass_number, drop_set_new(d)),
        0);
    pool_close(pool, VOW_DRAIN);
}

static bool
is_kept(vow_value item, void *ctx)
{
    (void)ctx;
    return item.as.ptr != NULL;
}

static void
filtered_and_in_sequence(struct drop_set *d)
{
    vow_value items[] = {drop_set_new(d), VOW_NIL, drop_set_new(d)};
    const vow_call calls[] = {{task_value, drop_set_new(d)},
                              {task_value, drop_set_new(d)}};

    finish(vow_filter(NULL, NULL, items, 3, is_kept, drop_set_new(d)), 0);
    finish(vow_sequence(NULL, calls, 2), 0);
    finish(vow_sequence(NULL, NULL, 0), 0);
}

static int
refuse_post(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_LIMIT;
}

static void
own_executor_that_refuses(struct drop_set *d)
{
    static const vow_executor_ops ops = {
        .size = sizeof(vow_executor_ops), .name = "full", .post = refuse_post};
    vow_executor e = {.ops = NULL};
    int code = vow_executor_init(&e, &ops);

    assert_true(code == 0 || code == VOW_E_NOMEM);
    if (code != 0)
        return;
    finish(vow_submit(&e, task_value, drop_set_new(d)), VOW_E_LIMIT);
    finish(every_step(vow_resolved(drop_set_new(d)), &e, d), VOW_E_LIMIT);
    vow_ignore(vow_executor_close(&e, VOW_DRAIN));
    vow_executor_unref(&e);
}

#define ROW(name) {#name, name},

const struct scenario scenarios[] = {SCENARIOS(ROW){NULL, NULL}};
