/* SPDX-License-Identifier: MIT */
/* Hedged calls and the record of latencies that may say when. In virtual time. */
#include "vow_test.h"

#include <errno.h>
#include <stdlib.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"

#define EXACTLY(...)                                                                     \
    &VOW_HEDGE_OPTIONS(.clock = vow_manual_clock(m), .delay = vow_ms(50), __VA_ARGS__)

enum { ATTEMPTS = 4 };

/* Each attempt follows a promise of its own. */
struct work {
    struct drop d; /* first: its context */
    int attempts;
    vow_ns times[ATTEMPTS];
    vow_promise *p[ATTEMPTS];
};

static vow_result
begin_attempt(void *ctx)
{
    struct work *w = (struct work *)ctx;

    w->times[w->attempts] = vow_clock_now(vow_manual_clock(m));
    return vow_follow(vow_promise_future(w->p[w->attempts++]));
}

static vow_future *
hedge(struct work *w, const vow_hedge_options *opt)
{
    for (int i = 0; i < ATTEMPTS; i++)
        w->p[i] = vow_promise_new();
    return vow_hedge(on, opt, begin_attempt, drop_value(&w->d));
}

static void
finish_work(struct work *w)
{
    for (int i = 0; i < ATTEMPTS; i++)
        vow_promise_unref(w->p[i]);
    assert_int_equal(drop_count(&w->d), 1);
}

/* Whether an attempt was asked to stop: then its promise has settled already. */
static bool
was_stopped(struct work *w, int i)
{
    return !vow_promise_fulfill(w->p[i], VOW_NIL);
}

VOW_CASE(hedge_of_a_quick_call_is_one_call)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 3));

    vow_manual_advance(m, vow_ms(49));
    vow_promise_fulfill(w.p[0], vow_i64(1));
    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_int_equal(vow_manual_advance(m, vow_seconds(1)), 0); /* no timer is left */
    assert_int_equal(w.attempts, 1);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_starts_another_after_each_delay)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 3));

    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(w.attempts, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w.times[i], i * vow_ms(50));
    vow_promise_fulfill(w.p[1], vow_i64(2));
    assert_int_equal(vow_get(f).value.as.i64, 2);
    assert_true(was_stopped(&w, 0));
    assert_true(was_stopped(&w, 2));
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_replaces_an_attempt_that_failed_at_once)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 2));

    vow_manual_advance(m, vow_ms(10));
    vow_promise_reject(w.p[0], vow_error_new(EIO, "no"));
    vow_manual_run(m);
    assert_int_equal(w.attempts, 2);
    assert_int_equal(w.times[1], vow_ms(10));
    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(w.p[1], vow_i64(2));
    assert_int_equal(vow_get(f).value.as.i64, 2);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_gives_a_replacement_its_whole_delay)
{
    static const int times[] = {0, 40, 90, 140};
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 4));

    vow_manual_advance(m, vow_ms(40));
    vow_promise_reject(w.p[0], vow_error_new(EIO, "no"));
    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(w.attempts, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(w.times[i], vow_ms(times[i]));
    vow_promise_fulfill(w.p[3], VOW_NIL);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_one_that_fails_does_not_end_the_others)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 2));

    vow_manual_advance(m, vow_ms(50));
    vow_promise_reject(w.p[1], vow_error_new(EIO, "no"));
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(w.p[0], vow_i64(1));
    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_of_which_all_fail_has_the_last_error)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 2));

    vow_manual_advance(m, vow_ms(50));
    vow_promise_reject(w.p[1], vow_error_new(EIO, "no"));
    vow_promise_reject(w.p[0], vow_error_new(ENOENT, "no"));
    assert_int_equal(code_of(f), ENOENT);
    assert_int_equal(w.attempts, 2);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_tries_no_other_after_an_error_that_says_nothing_would_change)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 4));

    vow_manual_run(m);
    vow_promise_reject(w.p[0], vow_error_of(VOW_E_CLOSED));
    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(code_of(f), VOW_E_CLOSED);
    assert_int_equal(w.attempts, 1);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_cancelled_stops_all)
{
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.max_attempts = 3));

    vow_manual_advance(m, vow_ms(60));
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_true(vow_error_is(vow_peek(f).error, EINTR));
    assert_true(was_stopped(&w, 0));
    assert_true(was_stopped(&w, 1));
    assert_int_equal(vow_manual_advance(m, vow_seconds(1)), 0);
    assert_int_equal(w.attempts, 2);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_stops_with_its_token)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);
    struct work w = {.attempts = 0};
    vow_future *f = hedge(&w, EXACTLY(.token = t));

    vow_token_unref(t);
    vow_manual_run(m);
    vow_source_cancel(s, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_true(was_stopped(&w, 0));
    vow_source_unref(s);
    vow_unref(f);
    finish_work(&w);
}

VOW_CASE(hedge_delay_follows_what_calls_take)
{
    vow_latency *l = vow_latency_new();
    struct work w = {.attempts = 0}, v = {.attempts = 0};
    vow_future *f;

    f = hedge(&w, EXACTLY(.latency = l, .quantile = 0.95)); /* knows nothing yet */
    vow_manual_advance(m, vow_ms(30));
    vow_promise_fulfill(w.p[0], VOW_NIL);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    finish_work(&w);
    assert_in_range(vow_latency_quantile(l, 0.95), vow_ms(30), vow_ms(34));

    f = hedge(&v, EXACTLY(.latency = l, .quantile = 0.95));
    vow_manual_advance(m, vow_ms(29));
    assert_int_equal(v.attempts, 1);
    vow_manual_advance(m, vow_ms(5));
    assert_int_equal(v.attempts, 2);
    vow_promise_fulfill(v.p[1], VOW_NIL);
    assert_int_equal(code_of(f), 0);
    vow_unref(f);
    finish_work(&v);
    vow_latency_unref(l);
}

VOW_CASE(hedge_options_without_sense_are_refused)
{
    const vow_hedge_options bad[] = {
        VOW_HEDGE_OPTIONS(.delay = -1), VOW_HEDGE_OPTIONS(.quantile = 2),
        VOW_HEDGE_OPTIONS(.quantile = -1), VOW_HEDGE_OPTIONS(.max_attempts = 17)};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct drop d = {0};
        vow_future *f = vow_hedge(on, &bad[i], begin_attempt, drop_value(&d));

        assert_int_equal(code_of(f), VOW_E_INVALID);
        assert_int_equal(drop_count(&d), 1);
        vow_unref(f);
    }
}

static vow_result
give_seven(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(7));
}

VOW_CASE(hedge_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d = {0};
        vow_future *f =
            vow_hedge(on, EXACTLY(.max_attempts = 2), give_seven, drop_value(&d));

        vow_manual_advance(m, vow_seconds(1));
        assert_true(code_of(f) == 0 || code_of(f) == VOW_E_NOMEM);
        assert_int_equal(drop_count(&d), 1);
        vow_ignore(f);
    }
}

VOW_CASE(hedge_with_a_token_runs_nothing_that_cannot_be_stopped)
{
    vow_source *s = vow_source_new();
    vow_token *t = vow_source_token(s);

    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d = {0};
        vow_future *f = vow_hedge(on, EXACTLY(.token = t), give_seven, drop_value(&d));

        vow_manual_advance(m, vow_seconds(1));
        if (f == NULL)
            assert_int_equal(d.ran, 0);
        assert_true(f == NULL || code_of(f) == 0 || code_of(f) == VOW_E_NOMEM);
        assert_int_equal(drop_count(&d), 1);
        vow_ignore(f);
    }
    vow_token_unref(t);
    vow_source_unref(s);
}

/* ---- latencies --------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    vow_ns x = *(const vow_ns *)a, y = *(const vow_ns *)b;

    return (x > y) - (x < y);
}

/* No less than the exact one, and at most an eighth more. */
VOW_CASE(latency_quantiles_are_at_most_an_eighth_too_long)
{
    enum { CALLS = 2000 };
    static vow_ns times[CALLS];
    static const double quantiles[] = {0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    vow_latency *l = vow_latency_new();
    uint64_t random = 1;

    assert_int_equal(vow_latency_quantile(l, 0.5), 0);
    for (int i = 0; i < CALLS; i++) { /* over ten powers of two */
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        times[i] = (vow_ns)((random >> 44) >> (random >> 33) % 10);
        vow_latency_add(l, times[i]);
    }
    qsort(times, CALLS, sizeof *times, compare);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        vow_ns exact = times[(int)(quantiles[i] * CALLS + 0.999999) - 1];
        vow_ns told = vow_latency_quantile(l, quantiles[i]);

        assert_true(told >= exact);
        assert_true(told <= exact + exact / 8 + 1);
    }
    vow_latency_unref(l);
}

VOW_CASE(latency_of_long_ago_fades)
{
    vow_latency *l = vow_latency_new();

    for (int i = 0; i < 4096; i++)
        vow_latency_add(l, vow_seconds(1));
    assert_true(vow_latency_quantile(l, 0.5) >= vow_seconds(1));
    for (int i = 0; i < 4096; i++)
        vow_latency_add(l, vow_ms(1));
    assert_true(vow_latency_quantile(l, 0.5) < vow_ms(2));
    vow_latency_unref(l);
}

VOW_CASE(latency_takes_any_duration)
{
    static const vow_ns times[] = {INT64_MIN,     -1,       0, 1, 7, 8, 15, 16,
                                   INT64_MAX - 1, INT64_MAX};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        vow_latency *l = vow_latency_new();
        vow_ns least = times[i] > 0 ? times[i] : 0, told;

        vow_latency_add(l, times[i]);
        told = vow_latency_quantile(l, 1);
        assert_true(told >= least);
        assert_true(told - least <= least / 8 + 1);
        vow_latency_unref(l);
    }
    vow_latency_add(NULL, 1);
    assert_int_equal(vow_latency_quantile(NULL, 1), 0);
    assert_null(vow_latency_ref(NULL));
    vow_latency_unref(NULL);
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_latency *l = vow_latency_new();

        assert_int_equal(l == NULL, counting_failed());
        vow_latency_unref(l);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        manual_test(hedge_of_a_quick_call_is_one_call),
        manual_test(hedge_starts_another_after_each_delay),
        manual_test(hedge_replaces_an_attempt_that_failed_at_once),
        manual_test(hedge_gives_a_replacement_its_whole_delay),
        manual_test(hedge_one_that_fails_does_not_end_the_others),
        manual_test(hedge_of_which_all_fail_has_the_last_error),
        manual_test(hedge_tries_no_other_after_an_error_that_says_nothing_would_change),
        manual_test(hedge_cancelled_stops_all),
        manual_test(hedge_stops_with_its_token),
        manual_test(hedge_delay_follows_what_calls_take),
        manual_test(hedge_options_without_sense_are_refused),
        manual_test(hedge_without_memory_loses_nothing),
        manual_test(hedge_with_a_token_runs_nothing_that_cannot_be_stopped),
        manual_test(latency_quantiles_are_at_most_an_eighth_too_long),
        manual_test(latency_of_long_ago_fades),
        manual_test(latency_takes_any_duration),
    };

    return vow_test_run(cases);
}
