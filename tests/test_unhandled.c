/* SPDX-License-Identifier: MIT */
/*
 * Errors that nobody looked at: which of them are reported, how often, with what; and
 * what the default report on stderr does, seen from outside in a process of its own.
 */
#include "support/vow_test.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/drops.h"

/* What the hook saw. */
static struct {
    atomic_int count;
    int code;
    char name[32];
    char site[256];
    pthread_t thread;
    void *ctx;
} reports;

static void
copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from == NULL ? "(null)" : from);
}

static void
record(const vow_unhandled *u, void *ctx)
{
    reports.code = vow_error_code(u->error);
    copy_text(reports.name, sizeof reports.name, u->name);
    copy_text(reports.site, sizeof reports.site, u->site);
    reports.thread = pthread_self();
    reports.ctx = ctx;
    atomic_fetch_add(&reports.count, 1);
}

static int
begin(void **state)
{
    memset(&reports, 0, sizeof reports);
    vow_on_unhandled(record, &reports);
    return counting_begin(state);
}

static int
end(void **state)
{
    vow_on_unhandled(NULL, NULL);
    return counting_end(state);
}

static vow_future *
failed(void)
{
    return vow_rejected(vow_error_new(EIO, "nobody looks"));
}

static vow_result
return_in(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

static vow_result
recover(const vow_error *error, void *ctx)
{
    (void)error;
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static vow_result
recover_view(vow_view in, void *ctx)
{
    return recover(in.error, ctx);
}

static void
nothing(void *ctx)
{
    (void)ctx;
}

static void
nothing_settled(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
}

VOW_CASE(error_dropped_unread_is_reported_once)
{
    vow_future *f = failed();

    assert_int_equal(reports.count, 0);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, EIO);
    assert_string_equal(reports.name, "(null)");
    assert_string_not_equal(reports.site, "(null)");
    assert_true(strlen(reports.site) > 0);
    assert_ptr_equal(reports.ctx, &reports);
    assert_true(pthread_equal(reports.thread, pthread_self()));
}

VOW_CASE(error_is_reported_with_the_name_of_its_future)
{
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.name = "reply"));
    vow_future *f = vow_promise_future(p);

    vow_promise_reject(p, vow_error_new(EIO, "no"));
    vow_promise_unref(p);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
    assert_string_equal(reports.name, "reply");
}

static vow_result
fail_task(void *ctx)
{
    (void)ctx;
    return vow_fail(EDOM, "task");
}

static vow_result
take_turn(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static bool
take_none(vow_value *item, void *ctx)
{
    (void)item;
    (void)ctx;
    return false;
}

static vow_result
fail_once(void *ctx)
{
    (void)ctx;
    return vow_fail(EIO, "once more");
}

static vow_result
fold_none(vow_value left, vow_value right, void *ctx)
{
    (void)right;
    (void)ctx;
    return vow_ok(left);
}

enum { MADE = 16 };

/* The futures of what the library makes a promise for, and how many. */
static size_t
make_one_of_each(vow_loop *l, vow_channel *c, vow_token *t, vow_pace *pace,
                 vow_future *fs[MADE])
{
    const vow_case cases[] = {VOW_CASE_RECEIVE(c)};
    const vow_stage stage[] = {VOW_STAGE(.fn = return_in)};
    vow_executor *on = vow_loop_executor(l);
    vow_group *g = vow_group_new(NULL);
    size_t n = 0;

    fs[n++] = vow_submit(on, take_turn, VOW_NIL); /* the first is what it was always */
    fs[n++] = vow_loop_ready(l, vow_loop_fd(l), VOW_FD_READ);
    fs[n++] = vow_loop_signal(l, SIGUSR2);
    fs[n++] = vow_submit_every(on, vow_seconds(1), VOW_MISSED_SKIP, take_turn, VOW_NIL);
    fs[n++] = vow_channel_receive(c);
    fs[n++] = vow_select(cases, 1);
    vow_callback_drop(vow_callback_new(&fs[n++], NULL));
    fs[n++] = vow_map(on, &VOW_MAP_OPTIONS(.token = t), (vow_value[]){VOW_NIL}, 1,
                      return_in, VOW_NIL);
    fs[n++] = vow_map_reduce_from(NULL, NULL, take_none, VOW_NIL, return_in, fold_none,
                                  VOW_NIL);
    fs[n++] = vow_retry(on, &VOW_RETRY_OPTIONS(.token = t), fail_once, VOW_NIL);
    fs[n++] = vow_hedge(on, &VOW_HEDGE_OPTIONS(.token = t), take_turn, VOW_NIL);
    fs[n++] = vow_pace_call(pace, on, take_turn, VOW_NIL);
    fs[n++] = vow_pipeline_run(NULL, NULL, stage, 1);
    fs[n++] = vow_group_join(g);
    return n;
}

/* They are near each other: in the function that called for them, not in the library. */
static void
assert_made_together(vow_future *const *fs, size_t n)
{
    uintptr_t first = (uintptr_t)vow_future_site(fs[0]);

    for (size_t i = 0; i < n; i++) {
        uintptr_t site = (uintptr_t)vow_future_site(fs[i]);

        if (fs[i] != NULL && (site < first - 256 || site > first + 8192))
            fail_msg("the future with number %zu was made elsewhere", i);
        vow_future_cancel(fs[i], NULL);
        vow_ignore(fs[i]);
    }
}

VOW_CASE(future_names_the_call_of_the_user_that_made_it)
{
    vow_manual *m = vow_manual_new();
    vow_clock *before = vow_clock_use(vow_manual_clock(m));
    vow_loop *l = vow_loop_new(NULL);
    vow_channel *c = vow_channel_new(0);
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_pace *pace = vow_debounce_new(NULL);
    vow_future *fs[MADE];

    assert_made_together(fs, make_one_of_each(l, c, t, pace, fs));
    vow_pace_unref(pace);
    vow_token_unref(t);
    vow_source_unref(s);
    vow_channel_unref(c);
    vow_loop_unref(l);
    vow_clock_use(before);
    vow_manual_unref(m);
}

/* Of one that calls, and one that joins it. */
VOW_CASE(future_of_a_shared_call_names_that_call)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_cache *c = vow_cache_new(NULL);
    vow_singleflight *s = vow_singleflight_new();
    vow_future *fs[8];
    size_t n = 0;

    fs[n++] = vow_submit(on, take_turn, VOW_NIL);
    fs[n++] = vow_cache_get(NULL, "key", 3, on, take_turn, VOW_NIL);
    fs[n++] = vow_cache_get(c, "key", 3, on, take_turn, VOW_NIL);
    fs[n++] = vow_cache_get(c, "key", 3, on, take_turn, VOW_NIL);
    fs[n++] = vow_singleflight_call(s, "key", 3, on, take_turn, VOW_NIL);
    fs[n++] = vow_singleflight_call(s, "key", 3, on, take_turn, VOW_NIL);
    vow_manual_run(m);
    fs[n++] = vow_cache_get(c, "key", 3, on, take_turn, VOW_NIL);
    assert_made_together(fs, n);
    vow_singleflight_unref(s);
    vow_cache_unref(c);
    vow_manual_unref(m);
}

/* Of one that runs, one that waits, one that is refused. */
VOW_CASE(future_of_a_protected_call_names_that_call)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_breaker *b = vow_breaker_new(NULL);
    vow_bulkhead *h = vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 1, .queue = 1));
    vow_future *fs[8];
    size_t n = 0;

    fs[n++] = vow_submit(on, take_turn, VOW_NIL);
    fs[n++] = vow_bulkhead_call(NULL, on, take_turn, VOW_NIL);
    for (int i = 0; i < 3; i++)
        fs[n++] = vow_bulkhead_call(h, on, take_turn, VOW_NIL);
    fs[n++] = vow_breaker_call(NULL, on, take_turn, VOW_NIL);
    fs[n++] = vow_breaker_call(b, on, take_turn, VOW_NIL);
    vow_breaker_force(b, VOW_BREAKER_FORCED_OPEN);
    fs[n++] = vow_breaker_call(b, on, take_turn, VOW_NIL);
    assert_made_together(fs, n);
    vow_bulkhead_unref(h);
    vow_breaker_unref(b);
    vow_manual_unref(m);
}

/* Of one that runs, one that waits, one that is refused; and each that goes wrong. */
VOW_CASE(future_of_a_call_that_is_put_off_names_that_call)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_rate_limit *l =
        vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.calls = 1, .max_wait = vow_ms(1500),
                                                   .clock = vow_manual_clock(m)));
    vow_chaos *fails = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 1));
    vow_chaos *hangs =
        vow_chaos_new(&VOW_CHAOS_OPTIONS(.hang_rate = 1, .clock = vow_manual_clock(m)));
    vow_chaos *delays =
        vow_chaos_new(&VOW_CHAOS_OPTIONS(.delay_rate = 1, .clock = vow_manual_clock(m)));
    vow_future *fs[8];
    size_t n = 0;

    fs[n++] = vow_submit(on, take_turn, VOW_NIL);
    for (int i = 0; i < 3; i++)
        fs[n++] = vow_rate_limit_call(l, on, take_turn, VOW_NIL);
    fs[n++] = vow_chaos_call(NULL, on, take_turn, VOW_NIL);
    fs[n++] = vow_chaos_call(fails, on, take_turn, VOW_NIL);
    fs[n++] = vow_chaos_call(hangs, on, take_turn, VOW_NIL);
    fs[n++] = vow_chaos_call(delays, on, take_turn, VOW_NIL);
    assert_made_together(fs, n);
    vow_chaos_unref(fails);
    vow_chaos_unref(hangs);
    vow_chaos_unref(delays);
    vow_rate_limit_unref(l);
    vow_manual_unref(m);
}

/* Of one that runs, one that waits for its turn, one that is refused. */
VOW_CASE(future_of_a_child_names_the_call_that_added_it)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    vow_group *g = vow_group_new(&VOW_GROUP_OPTIONS(.limit = 3));
    vow_future *fs[8];
    size_t n = 0;

    fs[n++] = vow_submit(on, take_turn, VOW_NIL);
    fs[n++] = vow_group_submit(g, on, take_turn, VOW_NIL);
    fs[n++] = vow_group_submit_with(g, on, NULL, take_turn, VOW_NIL);
    fs[n++] =
        vow_group_submit_with(g, on, &VOW_SUBMIT_OPTIONS(.token = t), take_turn, VOW_NIL);
    fs[n++] = vow_group_submit(g, on, take_turn, VOW_NIL);
    vow_group_cancel(g, NULL);
    fs[n++] = vow_group_submit(g, on, take_turn, VOW_NIL);
    vow_group_close(g);
    fs[n++] = vow_group_submit(g, on, take_turn, VOW_NIL);
    assert_made_together(fs, n);
    vow_ignore(vow_group_join(g));
    vow_token_unref(t);
    vow_source_unref(s);
    vow_manual_unref(m);
}

VOW_CASE(promise_made_for_another_names_that)
{
    static const char there;
    vow_promise *p = vow_promise_new_with(&VOW_PROMISE_OPTIONS(.site = &there));
    vow_promise *q =
        vow_promise_new_with(&VOW_PROMISE_OPTIONS(.site = &there, .name = "q"));
    vow_future *f = vow_promise_future(p), *g = vow_promise_future(q);

    assert_ptr_equal(vow_future_site(f), &there);
    assert_ptr_equal(vow_future_site(g), &there);
    vow_ignore(f);
    vow_ignore(g);
    vow_promise_unref(p);
    vow_promise_unref(q);
}

VOW_CASE(error_of_a_named_task_is_reported_with_that_name)
{
    vow_unref(
        vow_submit_with(NULL, &VOW_SUBMIT_OPTIONS(.name = "resize"), fail_task, VOW_NIL));

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, EDOM);
    assert_string_equal(reports.name, "resize");
}

VOW_CASE(error_is_reported_by_the_last_future_alone)
{
    vow_future *f = failed();
    vow_future *g = vow_ref(f);

    vow_unref(f);
    assert_int_equal(reports.count, 0);
    vow_unref(g);

    assert_int_equal(reports.count, 1);
}

static void *
unref_future(void *f)
{
    vow_unref(f);
    return NULL;
}

VOW_CASE(error_is_reported_on_the_thread_that_lets_go)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, unref_future, failed()), 0);
    pthread_join(thread, NULL);

    assert_int_equal(reports.count, 1);
    assert_true(pthread_equal(reports.thread, thread));
}

VOW_CASE(error_that_comes_after_its_last_future_went_is_reported)
{
    vow_promise *p = vow_promise_new();

    vow_unref(vow_promise_future(p));
    assert_int_equal(reports.count, 0);
    vow_promise_reject(p, vow_error_new(EIO, "too late"));
    assert_int_equal(reports.count, 1);
    vow_promise_unref(p);

    assert_int_equal(reports.count, 1);
}

VOW_CASE(error_read_by_get_is_not_reported)
{
    vow_future *f = failed();

    assert_int_equal(code_of(f), EIO);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_read_by_peek_is_not_reported)
{
    vow_future *f = failed();

    assert_int_equal(vow_error_code(vow_peek(f).error), EIO);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_taken_is_not_reported)
{
    vow_result r = {0};

    assert_true(vow_take(failed(), &r));
    vow_result_drop(r);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_whose_status_alone_was_asked_is_reported)
{
    vow_future *f = failed();

    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
}

VOW_CASE(value_dropped_unread_is_not_reported)
{
    vow_unref(vow_resolved(vow_i64(1)));

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_caught_late_is_not_reported)
{
    vow_future *f = failed();
    vow_future *held = vow_ref(f);

    f = vow_catch(f, NULL, recover, VOW_NIL);
    vow_unref(held);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_that_a_step_received_is_not_reported)
{
    vow_unref(vow_catch(failed(), NULL, recover, VOW_NIL));
    vow_unref(vow_catch_if(failed(), EIO, NULL, recover, VOW_NIL));
    vow_unref(vow_handle(failed(), NULL, recover_view, VOW_NIL));
    assert_true(vow_on_settled(failed(), NULL, nothing_settled, VOW_NIL));

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_that_a_catch_if_let_pass_is_reported)
{
    vow_unref(vow_catch_if(failed(), EPERM, NULL, recover, VOW_NIL));

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, EIO);
}

VOW_CASE(error_that_finally_passes_on_is_reported_once_downstream)
{
    vow_future *f = failed();
    vow_future *held = vow_ref(f);

    vow_unref(vow_finally(f, NULL, nothing, VOW_NIL));
    assert_int_equal(reports.count, 1);
    vow_unref(held);

    assert_int_equal(reports.count, 1);
}

VOW_CASE(error_of_a_dropped_chain_is_reported_once_not_once_a_link)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    for (int i = 0; i < 5; i++)
        f = vow_then(f, NULL, return_in, VOW_NIL);
    vow_unref(f);
    vow_promise_reject(p, vow_error_new(EIO, "at the root"));
    vow_promise_unref(p);

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, EIO);
}

VOW_CASE(error_of_a_settled_chain_is_reported_once)
{
    vow_future *f = failed();

    for (int i = 0; i < 5; i++)
        f = vow_then(f, NULL, return_in, VOW_NIL);
    assert_int_equal(reports.count, 0);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
}

VOW_CASE(error_read_at_the_end_of_a_chain_is_not_reported)
{
    vow_future *f = failed();

    for (int i = 0; i < 5; i++)
        f = vow_then(f, NULL, return_in, VOW_NIL);
    assert_int_equal(code_of(f), EIO);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

static vow_result
want_a_turn(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_yield_task(); /* as only a task may */
}

VOW_CASE(error_that_the_result_of_a_step_became_is_reported)
{
    vow_promise *p = vow_promise_new();

    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, want_a_turn, VOW_NIL));
    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, VOW_E_INVALID);
    vow_unref(vow_then(vow_promise_future(p), NULL, want_a_turn, VOW_NIL));
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);

    assert_int_equal(reports.count, 2);
}

VOW_CASE(error_that_the_result_of_a_step_became_is_not_reported_once_read)
{
    vow_future *f = vow_then(vow_resolved(VOW_NIL), NULL, want_a_turn, VOW_NIL);

    assert_int_equal(code_of(f), VOW_E_INVALID);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_that_a_follower_got_is_its_question_now)
{
    vow_promise *inner = vow_promise_new();
    vow_promise *outer = vow_promise_new();
    vow_future *f = vow_promise_future(outer);

    vow_promise_resolve(outer, vow_follow(vow_promise_future(inner)));
    vow_promise_reject(inner, vow_error_new(EIO, "inner"));
    vow_promise_unref(inner);
    vow_promise_unref(outer);
    assert_int_equal(reports.count, 0);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
}

VOW_CASE(error_of_a_dropped_follow_counts_as_handled)
{
    vow_promise *inner = vow_promise_new();
    vow_promise *outer = vow_promise_new();
    vow_future *f = vow_promise_future(outer);

    vow_promise_fulfill(outer, VOW_NIL);
    assert_false(vow_promise_resolve(outer, vow_follow(vow_promise_future(inner))));
    vow_promise_reject(inner, vow_error_new(EIO, "lost"));
    vow_promise_unref(inner);
    vow_promise_unref(outer);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(error_passed_on_by_a_refused_step_is_reported_once)
{
    vow_manual *m = vow_manual_new();

    vow_unref(vow_executor_close(vow_manual_executor(m), VOW_DRAIN));
    vow_unref(vow_handle(failed(), vow_manual_executor(m), recover_view, VOW_NIL));

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, EIO);
    vow_manual_unref(m);
}

VOW_CASE(cancellation_is_never_reported)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    vow_error *cause = vow_error_new(EIO, "why");

    vow_future_cancel(f, cause);
    vow_unref(f);
    vow_unref(vow_rejected(vow_error_of(VOW_E_CANCELLED)));
    vow_promise_unref(p);

    assert_int_equal(reports.count, 0);
}

static void
ignore_view(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
}

VOW_CASE(wait_that_a_close_has_ended_is_not_reported)
{
    vow_loop *l = vow_loop_new(NULL);
    vow_executor *on = vow_loop_executor(l);
    vow_future *f = vow_loop_signal(l, SIGUSR2);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    vow_detach(vow_then(f, on, return_in, VOW_NIL));
    assert_true(vow_on_settled(vow_loop_ready(l, ends[0], VOW_FD_READ), on, ignore_view,
                               VOW_NIL));
    vow_detach(vow_submit_every(on, vow_seconds(1), VOW_MISSED_SKIP, take_turn, VOW_NIL));
    vow_loop_unref(l);
    close(ends[0]);
    close(ends[1]);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(periodic_work_that_was_refused_is_reported)
{
    vow_manual *m = vow_manual_new();
    vow_executor *on = vow_manual_executor(m);

    vow_unref(vow_executor_close(on, VOW_DRAIN));
    vow_detach(vow_submit_every(on, 1, VOW_MISSED_SKIP, take_turn, VOW_NIL));
    vow_manual_unref(m);

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, VOW_E_CLOSED);
}

VOW_CASE(broken_after_cancel_is_not_reported)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_then(vow_promise_future(p), NULL, return_in, VOW_NIL);

    vow_future_cancel(f, NULL);
    vow_promise_unref(p);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(broken_promise_that_nobody_reads_is_reported)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_unref(p);
    vow_unref(f);

    assert_int_equal(reports.count, 1);
    assert_int_equal(reports.code, VOW_E_BROKEN);
}

VOW_CASE(promise_whose_future_was_never_asked_for_is_not_reported)
{
    vow_promise *p = vow_promise_new();
    vow_promise *q = vow_promise_new();

    vow_promise_reject(p, vow_error_new(EIO, "nobody asked"));
    vow_promise_unref(p);
    vow_promise_unref(q);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(ignore_reports_nothing_whenever_it_fails)
{
    vow_promise *p = vow_promise_new();

    vow_ignore(failed());
    vow_ignore(vow_promise_future(p));
    vow_promise_reject(p, vow_error_new(EIO, "ignored"));
    vow_promise_unref(p);

    assert_int_equal(reports.count, 0);
}

VOW_CASE(detach_still_reports)
{
    vow_promise *p = vow_promise_new();

    vow_detach(failed());
    assert_int_equal(reports.count, 1);
    vow_detach(vow_promise_future(p));
    vow_promise_reject(p, vow_error_new(EIO, "detached"));
    vow_promise_unref(p);

    assert_int_equal(reports.count, 2);
}

static void
hook_that_calls_back(const vow_unhandled *u, void *ctx)
{
    vow_promise *p = ctx;

    vow_promise_reject(p, vow_error_ref(u->error));
    vow_unref(vow_then(vow_resolved(VOW_NIL), NULL, return_in, VOW_NIL));
    vow_on_unhandled(record, NULL);
}

VOW_CASE(hook_may_call_the_library)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_on_unhandled(hook_that_calls_back, p);
    vow_unref(failed());
    assert_int_equal(code_of(f), EIO);
    vow_unref(failed());

    assert_int_equal(reports.count, 1);
    vow_unref(f);
    vow_promise_unref(p);
}

/* The default, in a process of its own. */

enum { MANY = 500 };

static int
child(void)
{
    for (int i = 0; i < MANY; i++)
        vow_unref(vow_rejected(vow_error_new(VOW_E_LIMIT, "the dog ate page %d", i)));
    return 0;
}

struct outcome {
    int status;
    size_t lines;
    bool tells_the_first;
};

static struct outcome
run_child(const char *setting)
{
    char command[512];
    char path[400] = "";
    char line[1024];
    struct outcome o = {0};
    FILE *f;

    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    snprintf(command, sizeof command, "%s exec '%s' child 2>&1", setting, path);
    f = popen(command, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        o.lines++;
        o.tells_the_first |=
            strstr(line, "error 4103 (VOW_E_LIMIT): the dog ate page 0 (") != NULL;
    }
    o.status = pclose(f);
    return o;
}

VOW_CASE(default_prints_a_few_lines_and_goes_on)
{
    struct outcome o = run_child("unset VOW_UNHANDLED;");

    assert_int_equal(o.status, 0);
    assert_true(o.tells_the_first);
    assert_in_range(o.lines, 1, MANY / 4);
}

VOW_CASE(environment_log_prints)
{
    struct outcome o = run_child("VOW_UNHANDLED=log");

    assert_int_equal(o.status, 0);
    assert_true(o.tells_the_first);
}

VOW_CASE(environment_ignore_prints_nothing)
{
    struct outcome o = run_child("VOW_UNHANDLED=ignore");

    assert_int_equal(o.status, 0);
    assert_int_equal(o.lines, 0);
}

VOW_CASE(environment_abort_tells_and_aborts)
{
    struct outcome o = run_child("ulimit -c 0; VOW_UNHANDLED=abort");

    assert_true(WIFSIGNALED(o.status) || WEXITSTATUS(o.status) != 0);
    assert_true(o.tells_the_first);
}

#define unhandled_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void
pay_no_attention(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    (void)reason;
    (void)ctx;
}

VOW_CASE(broken_by_a_promise_that_was_asked_to_stop_is_not_reported)
{
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_on_cancel(p, NULL, pay_no_attention, VOW_NIL);
    vow_future_cancel(f, NULL);
    vow_promise_unref(p);
    assert_int_equal(vow_future_status(f), VOW_REJECTED);
    vow_unref(f);

    assert_int_equal(reports.count, 0);
}

/* In a function whose name the loader knows, and which the call returns to. */
vow_future *unhandled_test_site(void) __attribute__((__noinline__));

vow_future *
unhandled_test_site(void)
{
    vow_future *f = vow_rejected(vow_error_new(EIO, "from a place with a name"));

    assert_non_null(f);
    return f;
}

/* A static program may have no loader, which could know. */
static bool
names_are_known(void)
{
    union {
        vow_future *(*fn)(void);
        const void *address;
    } site = {.fn = unhandled_test_site};
    Dl_info info;

    return dladdr(site.address, &info) != 0 && info.dli_sname != NULL;
}

VOW_CASE(error_is_reported_with_the_name_of_the_function_that_made_it)
{
    if (!names_are_known())
        skip();
    vow_unref(unhandled_test_site());

    assert_int_equal(reports.count, 1);
    assert_non_null(strstr(reports.site, "(unhandled_test_site+0x"));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest cases[] = {
        unhandled_test(error_dropped_unread_is_reported_once),
        unhandled_test(error_is_reported_with_the_name_of_its_future),
        unhandled_test(future_names_the_call_of_the_user_that_made_it),
        unhandled_test(future_of_a_shared_call_names_that_call),
        unhandled_test(future_of_a_protected_call_names_that_call),
        unhandled_test(future_of_a_call_that_is_put_off_names_that_call),
        unhandled_test(future_of_a_child_names_the_call_that_added_it),
        unhandled_test(promise_made_for_another_names_that),
        unhandled_test(error_of_a_named_task_is_reported_with_that_name),
        unhandled_test(error_is_reported_by_the_last_future_alone),
        unhandled_test(error_is_reported_on_the_thread_that_lets_go),
        unhandled_test(error_that_comes_after_its_last_future_went_is_reported),
        unhandled_test(error_read_by_get_is_not_reported),
        unhandled_test(error_read_by_peek_is_not_reported),
        unhandled_test(error_taken_is_not_reported),
        unhandled_test(error_whose_status_alone_was_asked_is_reported),
        unhandled_test(value_dropped_unread_is_not_reported),
        unhandled_test(error_caught_late_is_not_reported),
        unhandled_test(error_that_a_step_received_is_not_reported),
        unhandled_test(error_that_a_catch_if_let_pass_is_reported),
        unhandled_test(error_that_finally_passes_on_is_reported_once_downstream),
        unhandled_test(error_of_a_dropped_chain_is_reported_once_not_once_a_link),
        unhandled_test(error_of_a_settled_chain_is_reported_once),
        unhandled_test(error_read_at_the_end_of_a_chain_is_not_reported),
        unhandled_test(error_that_the_result_of_a_step_became_is_reported),
        unhandled_test(error_that_the_result_of_a_step_became_is_not_reported_once_read),
        unhandled_test(error_that_a_follower_got_is_its_question_now),
        unhandled_test(error_of_a_dropped_follow_counts_as_handled),
        unhandled_test(error_passed_on_by_a_refused_step_is_reported_once),
        unhandled_test(cancellation_is_never_reported),
        unhandled_test(wait_that_a_close_has_ended_is_not_reported),
        unhandled_test(periodic_work_that_was_refused_is_reported),
        unhandled_test(broken_after_cancel_is_not_reported),
        unhandled_test(broken_promise_that_nobody_reads_is_reported),
        unhandled_test(promise_whose_future_was_never_asked_for_is_not_reported),
        unhandled_test(ignore_reports_nothing_whenever_it_fails),
        unhandled_test(detach_still_reports),
        unhandled_test(hook_may_call_the_library),
        vow_test(default_prints_a_few_lines_and_goes_on),
        vow_test(environment_log_prints),
        vow_test(environment_ignore_prints_nothing),
        vow_test(environment_abort_tells_and_aborts),
        unhandled_test(broken_by_a_promise_that_was_asked_to_stop_is_not_reported),
        unhandled_test(error_is_reported_with_the_name_of_the_function_that_made_it),
    };

    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return child();
    return vow_test_run(cases);
}
