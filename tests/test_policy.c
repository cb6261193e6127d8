/* SPDX-License-Identifier: MIT */
/* Policies: layers in order, their warnings, their metrics; and chaos. In virtual time. */
#include "vow_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"
#include "warnings.h"

static vow_manual *m;
static vow_executor *on;
static vow_clock *real;

static int
begin(void **state)
{
    int bad = counting_begin(state);

    m = vow_manual_new();
    on = vow_manual_executor(m);
    real = vow_clock_use(vow_manual_clock(m));
    warnings_begin();
    return bad != 0 || m == NULL ? 1 : 0;
}

static int
end(void **state)
{
    warnings_end();
    vow_clock_use(real);
    vow_manual_unref(m);
    return counting_end(state);
}

#define policy_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Work that fails a number of times, and may hang. */
struct work {
    struct drop d; /* first: its context */
    int failures;
    int attempts;
    int hangs;         /* as many attempts never end by themselves */
    vow_promise *hang; /* not NULL: it follows that */
};

static vow_result
do_work(void *ctx)
{
    struct work *w = (struct work *)ctx;

    w->attempts++;
    if (w->attempts <= w->hangs)
        return vow_follow(vow_sleep(NULL, VOW_FOREVER));
    if (w->hang != NULL)
        return vow_follow(vow_promise_future(w->hang));
    if (w->attempts <= w->failures)
        return vow_fail(EIO, "attempt %d", w->attempts);
    return vow_ok(vow_i64(w->attempts));
}

static vow_future *
call(vow_policy *p, struct work *w)
{
    return vow_policy_call(p, on, do_work, drop_value(&w->d));
}

static const vow_retry_options three_attempts = {
    .size = sizeof three_attempts, .max_attempts = 3, .backoff = VOW_BACKOFF_NONE};

static vow_policy_metrics
metrics_of(const vow_policy *p)
{
    vow_policy_metrics seen = {.size = sizeof seen};

    vow_policy_read(p, &seen);
    return seen;
}

VOW_CASE(policy_without_layers_passes_calls_through)
{
    vow_policy *p = vow_policy_new(NULL, 0);
    struct work w = {.failures = 0};
    vow_future *f = call(p, &w), *g;

    assert_int_equal(vow_manual_run(m), 1);
    assert_int_equal(vow_peek(f).value.as.i64, 1);
    assert_int_equal(drop_count(&w.d), 1);
    vow_policy_unref(p);
    g = call(NULL, &w);
    vow_manual_run(m);
    assert_int_equal(vow_peek(g).value.as.i64, 2);
    vow_unref(f);
    vow_unref(g);
}

VOW_CASE(policy_call_is_not_over_while_what_it_follows_has_not_settled)
{
    vow_policy *p = vow_policy_new(NULL, 0);
    struct work w = {.hang = vow_promise_new()};
    vow_future *f = call(p, &w);

    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(metrics_of(p).running, 1);
    assert_int_equal(drop_count(&w.d), 0);
    vow_promise_fulfill(w.hang, vow_i64(3));
    vow_promise_unref(w.hang);
    assert_int_equal(vow_get(f).value.as.i64, 3);
    assert_int_equal(metrics_of(p).running, 0);
    assert_int_equal(drop_count(&w.d), 1);
    vow_unref(f);
    vow_policy_unref(p);
}

VOW_CASE(policy_retry_outside_of_a_breaker_calls_through_it_each_time)
{
    vow_breaker *b = vow_breaker_new(&VOW_BREAKER_OPTIONS(.consecutive = 2));
    const vow_layer layers[] = {VOW_LAYER_RETRY(&three_attempts), VOW_LAYER_BREAKER(b)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.failures = 9};
    vow_future *f = call(p, &w);

    vow_manual_run(m);
    assert_int_equal(w.attempts, 2); /* then it is open, which is worth no retry */
    assert_int_equal(code_of(f), VOW_E_OPEN);
    assert_int_equal(metrics_of(p).entered[0], 1);
    assert_int_equal(metrics_of(p).entered[1], 3);
    assert_int_equal(metrics_of(p).attempts, 2);
    assert_int_equal(metrics_of(p).running, 0);
    assert_int_equal(drop_count(&w.d), 1);
    assert_int_equal(warnings, 0);
    vow_unref(f);
    vow_policy_unref(p);
    vow_breaker_unref(b);
}

VOW_CASE(policy_breaker_outside_of_a_retry_sees_one_call)
{
    vow_breaker *b = vow_breaker_new(&VOW_BREAKER_OPTIONS(.consecutive = 2));
    const vow_layer layers[] = {VOW_LAYER_BREAKER(b), VOW_LAYER_RETRY(&three_attempts)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.failures = 2};
    vow_future *f = call(p, &w);
    vow_breaker_metrics seen = {.size = sizeof seen};

    vow_manual_run(m);
    assert_int_equal(vow_peek(f).value.as.i64, 3);
    vow_breaker_read(b, &seen);
    assert_int_equal(seen.successes, 1);
    assert_int_equal(seen.failures, 0);
    vow_unref(f);
    vow_policy_unref(p);
    vow_breaker_unref(b);
}

/* Each attempt has a second, and its place in the bulkhead is free when it is over. */
VOW_CASE(policy_of_five_layers_stands_a_service_that_hangs)
{
    vow_breaker *b = vow_breaker_new(&VOW_BREAKER_OPTIONS(.min_calls = 100));
    vow_bulkhead *h = vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 1));
    const vow_layer layers[] = {VOW_LAYER_TIMEOUT(vow_seconds(10)),
                                VOW_LAYER_RETRY(&three_attempts), VOW_LAYER_BREAKER(b),
                                VOW_LAYER_TIMEOUT(vow_seconds(1)), VOW_LAYER_BULKHEAD(h)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.hangs = 2}, quick = {.failures = 0};
    vow_bulkhead_metrics places = {.size = sizeof places};
    vow_breaker_metrics seen = {.size = sizeof seen};
    vow_future *f = call(p, &w), *g;

    vow_manual_advance(m, vow_seconds(2));
    assert_int_equal(w.attempts, 3);
    assert_int_equal(vow_peek(f).value.as.i64, 3);
    vow_breaker_read(b, &seen);
    assert_int_equal(seen.failures, 2);
    assert_int_equal(seen.successes, 1);
    vow_bulkhead_read(h, &places);
    assert_int_equal(places.running, 0);
    g = call(p, &quick);
    vow_manual_run(m);
    assert_int_equal(vow_peek(g).value.as.i64, 1);
    vow_unref(f);
    vow_unref(g);
    vow_policy_unref(p);
    vow_breaker_unref(b);
    vow_bulkhead_unref(h);
}

static vow_result
last_resort(const vow_error *error, void *ctx)
{
    assert_int_equal(vow_error_code(error), EIO);
    return vow_ok(vow_i64(*(int *)ctx));
}

VOW_CASE(policy_falls_back_when_all_else_failed)
{
    static int value = 42;
    vow_rate_limit *l = vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.calls = 100));
    const vow_layer layers[] = {VOW_LAYER_FALLBACK(NULL, last_resort, &value),
                                VOW_LAYER_RETRY(&three_attempts),
                                VOW_LAYER_RATE_LIMIT(l),
                                {.kind = VOW_LAYER_NONE}};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.failures = 9};
    vow_future *f = call(p, &w);

    vow_manual_run(m);
    assert_int_equal(w.attempts, 3);
    assert_int_equal(vow_peek(f).value.as.i64, 42);
    vow_unref(f);
    vow_policy_unref(p);
    vow_rate_limit_unref(l);
}

VOW_CASE(policy_call_cancelled_stops_all_of_it)
{
    vow_bulkhead *h = vow_bulkhead_new(&VOW_BULKHEAD_OPTIONS(.limit = 1));
    const vow_hedge_options hedge = VOW_HEDGE_OPTIONS(.delay = vow_ms(10));
    const vow_layer layers[] = {VOW_LAYER_TIMEOUT(vow_seconds(10)),
                                VOW_LAYER_RETRY(&three_attempts), VOW_LAYER_HEDGE(&hedge),
                                VOW_LAYER_BULKHEAD(h)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.hang = vow_promise_new()};
    vow_bulkhead_metrics places = {.size = sizeof places};
    vow_future *f = call(p, &w);

    vow_manual_advance(m, vow_ms(50));
    assert_int_equal(w.attempts, 1); /* the second one waits for a place */
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_false(vow_promise_fulfill(w.hang, VOW_NIL));
    assert_int_equal(vow_manual_advance(m, vow_seconds(20)), 0);
    assert_int_equal(drop_count(&w.d), 1);
    vow_bulkhead_read(h, &places);
    assert_int_equal(places.running + places.waiting, 0);
    assert_int_equal(metrics_of(p).running, 0);
    vow_promise_unref(w.hang);
    vow_unref(f);
    vow_policy_unref(p);
    vow_bulkhead_unref(h);
}

VOW_CASE(policy_refuses_nonsense)
{
    const vow_layer bad[] = {
        VOW_LAYER_TIMEOUT(0),     VOW_LAYER_RETRY(NULL),
        VOW_LAYER_HEDGE(NULL),    VOW_LAYER_BREAKER(NULL),
        VOW_LAYER_BULKHEAD(NULL), VOW_LAYER_RATE_LIMIT(NULL),
        VOW_LAYER_CHAOS(NULL),    VOW_LAYER_FALLBACK(NULL, NULL, NULL)};
    const vow_layer many[VOW_POLICY_LAYERS + 1] = {{.kind = VOW_LAYER_NONE}};

    for (size_t i = 0; i < COUNT(bad); i++) {
        errno = 0;
        assert_null(vow_policy_new(&bad[i], 1));
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_null(vow_policy_new(many, COUNT(many)));
    assert_int_equal(errno, EINVAL);
}

static void
assert_warned(const vow_layer *layers, size_t n, const char *of)
{
    vow_policy *p;

    warnings = 0;
    p = vow_policy_new(layers, n);
    assert_non_null(p); /* told, not refused */
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, of));
    vow_policy_unref(p);
}

VOW_CASE(policy_warns_of_an_order_that_is_seldom_meant)
{
    vow_breaker *b = vow_breaker_new(NULL);
    vow_bulkhead *h = vow_bulkhead_new(NULL);
    const vow_retry_options endless =
        VOW_RETRY_OPTIONS(.max_attempts = VOW_RETRY_FOREVER);
    const vow_layer never[] = {VOW_LAYER_BREAKER(b), VOW_LAYER_RETRY(&endless)};
    const vow_layer keeps[] = {VOW_LAYER_BULKHEAD(h), VOW_LAYER_RETRY(&three_attempts)};
    const vow_layer later[] = {VOW_LAYER_TIMEOUT(5), VOW_LAYER_BREAKER(b),
                               VOW_LAYER_TIMEOUT(5)};
    const vow_layer twice[] = {VOW_LAYER_BREAKER(b), VOW_LAYER_BREAKER(b)};
    const vow_layer itself[] = {VOW_LAYER_BULKHEAD(h), VOW_LAYER_BULKHEAD(h)};

    assert_warned(never, COUNT(never), "never sees a failure");
    assert_warned(keeps, COUNT(keeps), "through every pause");
    assert_warned(later, COUNT(later), "never comes");
    assert_warned(twice, COUNT(twice), "counts each call twice");
    assert_warned(itself, COUNT(itself), "wait in it for themselves");
    vow_breaker_unref(b);
    vow_bulkhead_unref(h);
}

VOW_CASE(policy_prints_what_it_has_seen)
{
    vow_breaker *b = vow_breaker_new(NULL);
    vow_bulkhead *h = vow_bulkhead_new(NULL);
    vow_rate_limit *l = vow_rate_limit_new(NULL);
    const vow_layer layers[] = {VOW_LAYER_RETRY(&three_attempts), VOW_LAYER_BREAKER(b),
                                VOW_LAYER_RATE_LIMIT(l), VOW_LAYER_BULKHEAD(h)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));
    struct work w = {.failures = 1};
    vow_future *f = call(p, &w);
    char text[1024] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");

    vow_manual_run(m);
    assert_non_null(stream);
    vow_policy_print(p, stream);
    fclose(stream);
    assert_string_equal(
        text, "policy: 1 calls, 0 running, 2 attempts\n"
              "retry: 1 calls\n"
              "breaker: 2 calls, closed, 1 succeeded, 1 failed, 0 counted as neither, "
              "0 refused, 0 trips\n"
              "rate limit: 2 calls, 2 at once, 0 delayed, 0 refused\n"
              "bulkhead: 2 calls, 0 running, 0 waiting, 0 refused, 0 timed out\n");
    vow_unref(f);
    vow_policy_unref(p);
    vow_breaker_unref(b);
    vow_bulkhead_unref(h);
    vow_rate_limit_unref(l);
}

VOW_CASE(policy_without_memory_loses_nothing)
{
    vow_breaker *b = vow_breaker_new(NULL);
    vow_bulkhead *h = vow_bulkhead_new(NULL);
    const vow_layer layers[] = {VOW_LAYER_TIMEOUT(vow_seconds(10)),
                                VOW_LAYER_RETRY(&three_attempts), VOW_LAYER_BREAKER(b),
                                VOW_LAYER_TIMEOUT(vow_seconds(1)), VOW_LAYER_BULKHEAD(h)};
    vow_bulkhead_metrics places = {.size = sizeof places};

    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_policy *p = vow_policy_new(layers, COUNT(layers));
        struct work w = {.failures = 1};
        vow_future *f = call(p, &w);

        vow_manual_advance(m, vow_seconds(20));
        assert_int_not_equal(vow_future_status(f), VOW_PENDING);
        assert_int_equal(drop_count(&w.d), 1);
        vow_ignore(f);
        vow_policy_unref(p);
    }
    vow_bulkhead_read(h, &places);
    assert_int_equal(places.running + places.waiting, 0);
    vow_breaker_unref(b);
    vow_bulkhead_unref(h);
}

/* ---- chaos ------------------------------------------------------------------------ */

VOW_CASE(chaos_draws_as_often_as_it_says)
{
    enum { CALLS = 20000 };
    vow_chaos *c = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 0.2, .error = EPERM,
                                                    .hang_rate = 0.1, .delay_rate = 0.3,
                                                    .delay = vow_ms(100), .seed = 3));
    int failed = 0, hung = 0, late = 0;

    for (int i = 0; i < CALLS; i++) {
        struct work w = {.failures = 0};
        vow_future *f = vow_chaos_call(c, on, do_work, drop_value(&w.d));

        vow_manual_run(m);
        failed += vow_future_status(f) == VOW_REJECTED;
        if (vow_future_status(f) == VOW_PENDING) {
            vow_manual_advance(m, vow_ms(100));
            late += vow_future_status(f) == VOW_FULFILLED;
            hung += vow_future_status(f) == VOW_PENDING;
        }
        vow_future_cancel(f, NULL); /* also what hangs */
        assert_int_not_equal(vow_future_status(f), VOW_PENDING);
        assert_int_equal(drop_count(&w.d), 1);
        vow_ignore(f);
    }
    /* Four standard errors of a share of 0.3 in 20,000 draws are 0.013. */
    assert_in_range(failed, (0.2 - 0.013) * CALLS, (0.2 + 0.013) * CALLS);
    assert_in_range(hung, (0.1 - 0.013) * CALLS, (0.1 + 0.013) * CALLS);
    assert_in_range(late, (0.3 - 0.013) * CALLS, (0.3 + 0.013) * CALLS);
    vow_chaos_unref(c);
}

VOW_CASE(chaos_of_one_seed_repeats)
{
    char fates[2][101] = {"", ""};

    for (int k = 0; k < 2; k++) {
        vow_chaos *c = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 0.5, .seed = 11));

        for (int i = 0; i < 100; i++) {
            struct work w = {.failures = 0};
            vow_future *f = vow_chaos_call(c, NULL, do_work, vow_ptr(&w));

            fates[k][i] = vow_future_status(f) == VOW_REJECTED ? 'x' : '.';
            vow_ignore(f);
        }
        vow_chaos_unref(c);
    }
    assert_string_equal(fates[0], fates[1]);
}

VOW_CASE(chaos_in_a_policy_is_what_retries_are_tested_with)
{
    vow_chaos *c = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 0.5, .seed = 1));
    const vow_retry_options ten =
        VOW_RETRY_OPTIONS(.max_attempts = 20, .backoff = VOW_BACKOFF_NONE);
    const vow_layer layers[] = {VOW_LAYER_RETRY(&ten), VOW_LAYER_CHAOS(c)};
    vow_policy *p = vow_policy_new(layers, COUNT(layers));

    for (int i = 0; i < 100; i++) { /* one in a million fails twenty times */
        struct work w = {.failures = 0};
        vow_future *f = call(p, &w);

        vow_manual_run(m);
        assert_int_equal(code_of(f), 0);
        vow_unref(f);
    }
    assert_in_range(metrics_of(p).entered[1], 150, 250); /* two each, on average */
    vow_policy_unref(p);
    vow_chaos_unref(c);
}

static void
let_go_of_chaos(void *c)
{
    vow_chaos_unref((vow_chaos *)c);
}

VOW_CASE(chaos_fails_a_call_whose_context_has_the_last_handle)
{
    vow_chaos *c = vow_chaos_new(&VOW_CHAOS_OPTIONS(.error_rate = 1, .error = EPIPE));
    vow_future *f = vow_chaos_call(c, NULL, do_work, vow_own(c, let_go_of_chaos));

    assert_int_equal(code_of(f), EPIPE);
    vow_unref(f);
}

VOW_CASE(chaos_options_without_sense_are_refused)
{
    const vow_chaos_options bad[] = {
        VOW_CHAOS_OPTIONS(.error_rate = -1), VOW_CHAOS_OPTIONS(.hang_rate = -1),
        VOW_CHAOS_OPTIONS(.delay_rate = -1), VOW_CHAOS_OPTIONS(.delay = -1),
        VOW_CHAOS_OPTIONS(.error_rate = 0.7, .hang_rate = 0.7)};

    for (size_t i = 0; i < COUNT(bad); i++) {
        errno = 0;
        assert_null(vow_chaos_new(&bad[i]));
        assert_int_equal(errno, EINVAL);
    }
    assert_null(vow_chaos_ref(NULL));
    vow_chaos_unref(NULL);
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_chaos *c = vow_chaos_new(NULL);

        assert_int_equal(c == NULL, counting_failed());
        vow_chaos_unref(c);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        policy_test(policy_without_layers_passes_calls_through),
        policy_test(policy_call_is_not_over_while_what_it_follows_has_not_settled),
        policy_test(policy_retry_outside_of_a_breaker_calls_through_it_each_time),
        policy_test(policy_breaker_outside_of_a_retry_sees_one_call),
        policy_test(policy_of_five_layers_stands_a_service_that_hangs),
        policy_test(policy_falls_back_when_all_else_failed),
        policy_test(policy_call_cancelled_stops_all_of_it),
        policy_test(policy_refuses_nonsense),
        policy_test(policy_warns_of_an_order_that_is_seldom_meant),
        policy_test(policy_prints_what_it_has_seen),
        policy_test(policy_without_memory_loses_nothing),
        policy_test(chaos_draws_as_often_as_it_says),
        policy_test(chaos_of_one_seed_repeats),
        policy_test(chaos_in_a_policy_is_what_retries_are_tested_with),
        policy_test(chaos_fails_a_call_whose_context_has_the_last_handle),
        policy_test(chaos_options_without_sense_are_refused),
    };

    return vow_test_run(cases);
}
