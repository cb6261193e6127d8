/* SPDX-License-Identifier: MIT */
/* The circuit breaker: each rule alone, calls through it, and all of it against a model. */
#include "vow_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"
#include "warnings.h"

/* ---- what a case is made of ---------------------------------------------- */

/* Options on the manual clock, with nothing left to chance. */
#define EXACTLY(...)                                                                     \
    &VOW_BREAKER_OPTIONS(.clock = vow_manual_clock(m),                                   \
                         .open_jitter = VOW_BREAKER_NO_JITTER, __VA_ARGS__)

/* One call by hand; returns what acquire did. */
static int
one(vow_breaker *b, vow_outcome outcome, vow_ns takes)
{
    vow_permit permit;
    int rc = vow_breaker_acquire(b, &permit);

    if (rc != 0)
        return rc;
    vow_manual_advance(m, takes);
    vow_breaker_report(b, &permit, outcome);
    return 0;
}

static void
some(vow_breaker *b, unsigned n, vow_outcome outcome)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(one(b, outcome, 0), 0);
}

static vow_breaker_metrics
metrics_of(const vow_breaker *b)
{
    vow_breaker_metrics seen = {.size = sizeof seen};

    vow_breaker_read(b, &seen);
    return seen;
}

#define assert_state(b, state) assert_int_equal(vow_breaker_state_of(b), (state))

/* ---- tripping -------------------------------------------------------------- */

VOW_CASE(breaker_trips_at_the_failure_rate_and_not_before)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 10, .min_calls = 4));

    some(b, 3, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_CLOSED); /* too few to judge */
    some(b, 1, VOW_OUTCOME_SUCCESS);     /* three of four */
    assert_state(b, VOW_BREAKER_OPEN);
    assert_int_equal(metrics_of(b).trips, 1);
    vow_breaker_reset(b);
    some(b, 3, VOW_OUTCOME_SUCCESS);
    some(b, 2, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_CLOSED); /* two of five */
    some(b, 1, VOW_OUTCOME_FAILURE);     /* three of six */
    assert_state(b, VOW_BREAKER_OPEN);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_below_the_rate_stays_closed)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 10, .min_calls = 4));

    for (int i = 0; i < 100; i++) {
        some(b, 2, VOW_OUTCOME_SUCCESS);
        some(b, 1, VOW_OUTCOME_FAILURE);
    }
    assert_state(b, VOW_BREAKER_CLOSED);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_window_by_count_forgets_the_oldest)
{
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.window_calls = 4, .min_calls = 4, .failure_rate = 0.75));

    some(b, 2, VOW_OUTCOME_FAILURE);
    some(b, 2, VOW_OUTCOME_SUCCESS);
    some(b, 2, VOW_OUTCOME_FAILURE); /* S S F F */
    assert_int_equal(metrics_of(b).window_calls, 4);
    assert_int_equal(metrics_of(b).window_failures, 2);
    some(b, 1, VOW_OUTCOME_FAILURE); /* S F F F */
    assert_state(b, VOW_BREAKER_OPEN);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_window_by_time_forgets_by_tenths)
{
    vow_breaker *b = vow_breaker_new(
        EXACTLY(.window_time = vow_seconds(10), .min_calls = 5, .failure_rate = 1));

    some(b, 4, VOW_OUTCOME_FAILURE);
    vow_manual_advance(m, vow_seconds(9));
    assert_int_equal(metrics_of(b).window_calls, 4);
    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(metrics_of(b).window_calls, 0);
    some(b, 4, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_CLOSED);
    some(b, 1, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_OPEN);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_trips_on_failures_in_a_row)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.consecutive = 3, .min_calls = 100));

    some(b, 2, VOW_OUTCOME_FAILURE);
    some(b, 1, VOW_OUTCOME_SUCCESS);
    some(b, 2, VOW_OUTCOME_FAILURE);
    some(b, 1, VOW_OUTCOME_CANCELLED); /* ends no row */
    assert_state(b, VOW_BREAKER_CLOSED);
    some(b, 1, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_OPEN);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_trips_on_slow_calls)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 4, .min_calls = 4,
                                             .slow_after = vow_ms(10), .slow_rate = 0.5));

    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, vow_ms(10)), 0); /* not longer */
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, vow_ms(11)), 0);
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, 0), 0);
    assert_state(b, VOW_BREAKER_CLOSED);
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, vow_ms(11)), 0);
    assert_state(b, VOW_BREAKER_OPEN);
    assert_int_equal(metrics_of(b).slow, 2);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_cancelled_calls_count_as_neither)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 4, .min_calls = 2));

    some(b, 50, VOW_OUTCOME_CANCELLED);
    some(b, 1, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_CLOSED);
    assert_int_equal(metrics_of(b).window_calls, 1);
    assert_int_equal(metrics_of(b).cancelled, 50);

    vow_breaker_unref(b);
}

/* ---- open, half open --------------------------------------------------------- */

static vow_breaker *
tripped(const vow_breaker_options *opt)
{
    vow_breaker *b = vow_breaker_new(opt);

    while (vow_breaker_state_of(b) == VOW_BREAKER_CLOSED)
        some(b, 1, VOW_OUTCOME_FAILURE);
    return b;
}

VOW_CASE(breaker_open_refuses_until_its_time_has_passed)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(5)));

    assert_int_equal(vow_breaker_open_remaining(b), vow_seconds(5));
    vow_manual_advance(m, vow_seconds(5) - 1);
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, 0), VOW_E_OPEN);
    assert_int_equal(vow_breaker_open_remaining(b), 1);
    vow_manual_advance(m, 1);
    assert_state(b, VOW_BREAKER_OPEN); /* nobody has called */
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, 0), 0);
    assert_state(b, VOW_BREAKER_CLOSED);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_open_time_grows_with_each_trip_in_a_row)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1), .open_factor = 3,
                                     .open_max = vow_seconds(5)));
    static const int expected[] = {1, 3, 5, 5};

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(vow_breaker_open_remaining(b), vow_seconds(expected[i]));
        vow_manual_advance(m, vow_seconds(expected[i]));
        assert_int_equal(one(b, VOW_OUTCOME_FAILURE, 0), 0);
    }
    vow_manual_advance(m, vow_seconds(5));
    some(b, 1, VOW_OUTCOME_SUCCESS);
    assert_state(b, VOW_BREAKER_CLOSED);
    while (vow_breaker_state_of(b) == VOW_BREAKER_CLOSED)
        some(b, 1, VOW_OUTCOME_FAILURE);
    assert_int_equal(vow_breaker_open_remaining(b), vow_seconds(1)); /* from the start */

    vow_breaker_unref(b);
}

/* Each reckoned from the one before, and not from the first: or else this takes days. */
VOW_CASE(breaker_that_trips_a_million_times_takes_each_time_as_long)
{
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.open_for = vow_seconds(1), .open_factor = 1));

    for (int i = 0; i < 1000000; i++)
        vow_breaker_force(b, VOW_BREAKER_OPEN);
    assert_int_equal(vow_breaker_open_remaining(b), vow_seconds(1));
    vow_breaker_unref(b);
}

/* A uniform share of 10 % either way: bounds always; the mean of 10,000 draws has a
 * standard error of 0.1 / sqrt(3) / 100 = 0.06 %, so that 0.3 % is five of them. */
VOW_CASE(breaker_open_time_varies_within_its_jitter)
{
    vow_breaker *b =
        vow_breaker_new(&VOW_BREAKER_OPTIONS(.clock = vow_manual_clock(m),
                                             .open_for = vow_seconds(1), .seed = 7));
    double sum = 0;
    vow_ns least = VOW_FOREVER, most = 0;

    for (int i = 0; i < 10000; i++) {
        vow_ns left;

        vow_breaker_reset(b);
        vow_breaker_force(b, VOW_BREAKER_OPEN);
        left = vow_breaker_open_remaining(b);
        assert_in_range(left, vow_ms(900), vow_ms(1100));
        least = left < least ? left : least;
        most = left > most ? left : most;
        sum += (double)left;
    }
    assert_true(sum / 10000 > 0.997e9 && sum / 10000 < 1.003e9);
    assert_true(least < vow_ms(901) && most > vow_ms(1099)); /* all of it is used */

    vow_breaker_unref(b);
}

VOW_CASE(breaker_half_open_lets_as_many_through_as_it_has_probes)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1), .probes = 2,
                                     .probe_results = 3, .failure_rate = 0.5));
    vow_permit first, second, third;

    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(vow_breaker_acquire(b, &first), 0);
    assert_int_equal(vow_breaker_acquire(b, &second), 0);
    assert_int_equal(vow_breaker_acquire(b, &third), VOW_E_OPEN);
    vow_breaker_report(b, &first, VOW_OUTCOME_CANCELLED); /* its place is free again */
    assert_int_equal(vow_breaker_acquire(b, &third), 0);
    vow_breaker_report(b, &second, VOW_OUTCOME_SUCCESS);
    vow_breaker_report(b, &third, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_HALF_OPEN); /* two results of three */
    some(b, 1, VOW_OUTCOME_SUCCESS);
    assert_state(b, VOW_BREAKER_CLOSED); /* a third failed, which is less than half */

    vow_breaker_unref(b);
}

VOW_CASE(breaker_late_result_decides_nothing)
{
    vow_breaker *b = vow_breaker_new(
        EXACTLY(.window_calls = 4, .min_calls = 2, .open_for = vow_seconds(1)));
    vow_permit old;

    assert_int_equal(vow_breaker_acquire(b, &old), 0);
    some(b, 2, VOW_OUTCOME_FAILURE);
    vow_manual_advance(m, vow_seconds(1));
    some(b, 1, VOW_OUTCOME_SUCCESS); /* the probe */
    assert_state(b, VOW_BREAKER_CLOSED);
    vow_breaker_report(b, &old, VOW_OUTCOME_FAILURE);
    assert_int_equal(metrics_of(b).late, 1);
    assert_int_equal(metrics_of(b).failures, 3);
    assert_int_equal(metrics_of(b).window_calls, 0);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_hung_probe_is_a_failure_at_its_deadline)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1), .open_factor = 1,
                                     .probe_timeout = vow_seconds(2)));
    vow_permit hung, next;

    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(vow_breaker_acquire(b, &hung), 0);
    vow_manual_advance(m, vow_seconds(2) - 1);
    assert_int_equal(vow_breaker_acquire(b, &next), VOW_E_OPEN);
    assert_state(b, VOW_BREAKER_HALF_OPEN);
    vow_manual_advance(m, vow_seconds(1)); /* a second and less past its deadline */
    assert_int_equal(vow_breaker_acquire(b, &next), VOW_E_OPEN);
    assert_state(b, VOW_BREAKER_OPEN);
    assert_int_equal(vow_breaker_open_remaining(b), 1); /* from the deadline on */
    vow_breaker_report(b, &hung, VOW_OUTCOME_SUCCESS);
    assert_state(b, VOW_BREAKER_OPEN);
    assert_int_equal(metrics_of(b).late, 1);
    assert_int_equal(metrics_of(b).hung, 1);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_hung_probe_long_ago_lets_the_same_call_through)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1), .open_factor = 1));
    vow_permit hung, next;

    vow_manual_advance(m, vow_seconds(1));
    assert_int_equal(vow_breaker_acquire(b, &hung), 0);
    vow_manual_advance(m, vow_seconds(2)); /* its time, and the open time after it */
    assert_int_equal(vow_breaker_acquire(b, &next), 0);
    assert_state(b, VOW_BREAKER_HALF_OPEN);
    vow_breaker_report(b, &next, VOW_OUTCOME_SUCCESS);
    assert_state(b, VOW_BREAKER_CLOSED);

    vow_breaker_unref(b);
}

/* ---- by hand ------------------------------------------------------------------ */

VOW_CASE(breaker_forced_into_no_state_says_so_and_stays)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 4));
    static const int none[] = {-1, VOW_BREAKER_COUNT_ONLY + 1};

    vow_breaker_force(b, VOW_BREAKER_FORCED_OPEN);
    for (int i = 0; i < 2; i++) {
        warnings_begin();
        vow_breaker_force(b, (vow_breaker_state)none[i]);
        assert_int_equal(warnings, 1);
        assert_int_equal(warning_code, VOW_E_INVALID);
        assert_non_null(strstr(warning, "vow_breaker_force: there is no state"));
        assert_state(b, VOW_BREAKER_FORCED_OPEN);
        warnings_end();
    }
    vow_breaker_unref(b);
}

VOW_CASE(breaker_forced_states_obey)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 4, .min_calls = 2));

    vow_breaker_force(b, VOW_BREAKER_FORCED_OPEN);
    vow_manual_advance(m, vow_seconds(1000));
    assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, 0), VOW_E_OPEN);
    assert_int_equal(vow_breaker_open_remaining(b), VOW_FOREVER);
    vow_breaker_force(b, VOW_BREAKER_FORCED_CLOSED);
    some(b, 10, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_FORCED_CLOSED);
    assert_int_equal(metrics_of(b).window_calls, 0);
    vow_breaker_force(b, VOW_BREAKER_COUNT_ONLY);
    some(b, 10, VOW_OUTCOME_FAILURE);
    assert_state(b, VOW_BREAKER_COUNT_ONLY);
    assert_int_equal(metrics_of(b).window_failures, 4);
    vow_breaker_reset(b);
    assert_state(b, VOW_BREAKER_CLOSED);
    assert_int_equal(metrics_of(b).window_calls, 0);
    assert_int_equal(metrics_of(b).failures, 20);
    assert_int_equal(metrics_of(b).trips, 0);

    vow_breaker_unref(b);
}

struct change_log {
    size_t used;
    char text[256];
    bool nests;
};

static void
log_change(vow_breaker *b, vow_breaker_state from, vow_breaker_state to, void *ctx)
{
    struct change_log *log = (struct change_log *)ctx;

    log->used += (size_t)snprintf(log->text + log->used, sizeof log->text - log->used,
                                  "%d%d ", (int)from, (int)to);
    if (log->nests) { /* a listener may use the breaker, and is told of it later */
        log->nests = false;
        vow_breaker_force(b, VOW_BREAKER_FORCED_OPEN);
        vow_breaker_force(b, VOW_BREAKER_CLOSED);
        log->used +=
            (size_t)snprintf(log->text + log->used, sizeof log->text - log->used, "| ");
    }
}

VOW_CASE(breaker_tells_of_each_change_in_order)
{
    struct change_log log = {.nests = true};
    vow_breaker *b = vow_breaker_new(
        EXACTLY(.min_calls = 2, .on_change = log_change, .on_change_ctx = &log));

    some(b, 2, VOW_OUTCOME_FAILURE);
    assert_string_equal(log.text, "01 | 13 30 ");

    vow_breaker_unref(b);
}

VOW_CASE(breaker_put_into_the_state_that_it_is_in_tells_of_no_change)
{
    struct change_log log = {0};
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.on_change = log_change, .on_change_ctx = &log));

    vow_breaker_reset(b);
    assert_string_equal(log.text, "");
    vow_breaker_force(b, VOW_BREAKER_OPEN);
    vow_breaker_force(b, VOW_BREAKER_OPEN); /* opens it anew, for longer */
    assert_string_equal(log.text, "01 ");
    vow_breaker_unref(b);
}

VOW_CASE(breaker_tells_of_more_changes_than_it_keeps_as_one)
{
    struct change_log log = {0};
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.on_change = log_change, .on_change_ctx = &log));

    vow_defer_begin();
    for (int i = 0; i < 10; i++) {
        vow_breaker_force(b, VOW_BREAKER_FORCED_OPEN);
        vow_breaker_force(b, VOW_BREAKER_CLOSED);
    }
    assert_string_equal(log.text, "");
    vow_breaker_unref(b); /* what is to be told keeps it */
    vow_defer_end();
    assert_string_equal(log.text, "03 30 03 30 03 30 03 30 03 30 03 30 03 30 03 30 ");
}

/* Gives the breaker up as it goes from open to half-open, which a call makes it do. */
static void
give_up_breaker(vow_breaker *b, vow_breaker_state from, vow_breaker_state to, void *ctx)
{
    (void)from;
    (void)ctx;
    if (to == VOW_BREAKER_HALF_OPEN)
        vow_breaker_unref(b);
}

static vow_result
return_one(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(1));
}

VOW_CASE(breaker_may_be_let_go_by_whom_it_tells)
{
    vow_breaker *b = vow_breaker_new(
        EXACTLY(.open_for = vow_seconds(1), .on_change = give_up_breaker));
    vow_future *f;

    vow_breaker_force(b, VOW_BREAKER_OPEN);
    vow_manual_advance(m, vow_seconds(1));
    f = vow_breaker_call(b, NULL, return_one, VOW_NIL);
    assert_int_equal(vow_get(f).value.as.i64, 1);
    vow_unref(f);
}

/* Exits as the breaker opens. */
static void
exit_or_count(vow_breaker *b, vow_breaker_state from, vow_breaker_state to, void *told)
{
    (void)b;
    (void)from;
    ++*(int *)told;
    if (to == VOW_BREAKER_OPEN)
        pthread_exit(NULL);
}

static void *
open_it(void *b)
{
    vow_breaker_force((vow_breaker *)b, VOW_BREAKER_OPEN);
    return b;
}

VOW_CASE(breaker_tells_on_after_a_thread_that_exited_as_it_was_told)
{
    int told = 0;
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.on_change = exit_or_count, .on_change_ctx = &told));
    pthread_t thread;
    void *result;

    assert_int_equal(pthread_create(&thread, NULL, open_it, b), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(told, 1);
    vow_breaker_reset(b);
    assert_int_equal(told, 2);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_options_without_sense_are_refused)
{
    const vow_breaker_options bad[] = {
        VOW_BREAKER_OPTIONS(.failure_rate = 1.5),
        VOW_BREAKER_OPTIONS(.slow_rate = -1),
        VOW_BREAKER_OPTIONS(.open_factor = 0.5),
        VOW_BREAKER_OPTIONS(.open_jitter = 2),
        VOW_BREAKER_OPTIONS(.open_for = -1),
        VOW_BREAKER_OPTIONS(.window_time = -1),
        VOW_BREAKER_OPTIONS(.slow_after = -1),
        VOW_BREAKER_OPTIONS(.probe_timeout = -1),
        VOW_BREAKER_OPTIONS(.probes = 1025),
        VOW_BREAKER_OPTIONS(.window_calls = 65537),
        VOW_BREAKER_OPTIONS(.window_calls = 20, .min_calls = 21),
        VOW_BREAKER_OPTIONS(.open_for = 10, .open_max = 9),
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_null(vow_breaker_new(&bad[i]));
        assert_int_equal(errno, EINVAL);
    }
}

/* ---- calls ---------------------------------------------------------------------- */

static vow_result
succeed(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(42));
}

static vow_result
refuse(void *ctx)
{
    drop_ran(ctx);
    return vow_fail(VOW_E_USER, "no");
}

static vow_result
follow(void *ctx)
{
    return vow_follow(vow_promise_future((vow_promise *)ctx));
}

VOW_CASE(breaker_call_gives_the_outcome_and_counts_it)
{
    struct drop d = {0};
    vow_breaker *b = vow_breaker_new(EXACTLY(.min_calls = 10));
    vow_future *f = vow_breaker_call(b, on, succeed, drop_value(&d));
    vow_future *g = vow_breaker_call(b, NULL, refuse, VOW_NIL);

    vow_manual_run(m);
    assert_int_equal(vow_peek(f).value.as.i64, 42);
    assert_int_equal(d.ran, 1);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_error_code(vow_peek(g).error), VOW_E_USER);
    assert_int_equal(metrics_of(b).successes, 1);
    assert_int_equal(metrics_of(b).failures, 1);

    vow_unref(f);
    vow_unref(g);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_is_refused_with_the_time_left)
{
    struct drop d = {0};
    vow_breaker *b = tripped(EXACTLY(.name = "prices", .open_for = vow_seconds(5)));
    vow_future *f = vow_breaker_call(b, on, succeed, drop_value(&d));
    const vow_error *e = vow_peek(f).error;

    assert_int_equal(vow_error_code(e), VOW_E_OPEN);
    assert_string_equal(vow_error_message(e),
                        "prices is open: the next call may try in 5000 ms");
    assert_int_equal(vow_error_retry_after(e), vow_seconds(5));
    assert_int_equal(d.ran, 0);
    assert_int_equal(drop_count(&d), 1);
    assert_int_equal(vow_manual_run(m), 0);

    vow_unref(f);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_beside_the_probes_is_told_that_it_is_half_open)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.name = "prices"));
    vow_permit probe;
    vow_future *f;

    vow_breaker_force(b, VOW_BREAKER_HALF_OPEN);
    assert_int_equal(vow_breaker_acquire(b, &probe), 0);
    f = vow_breaker_call(b, on, succeed, VOW_NIL);
    assert_int_equal(code_of(f), VOW_E_OPEN);
    assert_string_equal(vow_error_message(vow_peek(f).error),
                        "prices is half open: a call may try when a probe has ended");
    vow_unref(f);
    vow_breaker_report(b, &probe, VOW_OUTCOME_SUCCESS);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_lasts_until_what_it_follows_has_settled)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.slow_after = vow_ms(10)));
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_breaker_call(b, on, follow, vow_ptr(p));

    vow_manual_advance(m, vow_seconds(1)); /* it ran at the start of that second */
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    assert_int_equal(metrics_of(b).successes, 0);
    vow_promise_fulfill(p, vow_i64(7));
    assert_int_equal(vow_peek(f).value.as.i64, 7);
    assert_int_equal(metrics_of(b).successes, 1);
    assert_int_equal(metrics_of(b).slow, 1);

    vow_unref(f);
    vow_promise_unref(p);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_that_waits_in_a_queue_is_not_slow)
{
    vow_breaker *b = vow_breaker_new(EXACTLY(.slow_after = vow_ms(10)));
    vow_manual *other = vow_manual_new(); /* its queue waits while the clock goes on */
    vow_future *f = vow_breaker_call(b, vow_manual_executor(other), succeed, VOW_NIL);

    vow_manual_advance(m, vow_seconds(1));
    vow_manual_run(other);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    assert_int_equal(metrics_of(b).slow, 0);

    vow_unref(f);
    vow_manual_unref(other);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_that_never_ran_counts_as_neither)
{
    struct drop d = {0};
    vow_breaker *b = vow_breaker_new(EXACTLY(.min_calls = 10));
    vow_future *cancelled = vow_breaker_call(b, on, succeed, drop_value(&d));
    vow_future *closed = vow_breaker_call(b, on, succeed, drop_value(&d));

    vow_future_cancel(cancelled, NULL);
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    assert_int_equal(vow_error_code(vow_peek(cancelled).error), VOW_E_CANCELLED);
    assert_int_equal(vow_error_code(vow_peek(closed).error), VOW_E_CLOSED);
    assert_int_equal(drop_count(&d), 2);
    assert_int_equal(d.ran, 0);
    assert_int_equal(metrics_of(b).cancelled, 2);
    assert_int_equal(metrics_of(b).window_calls, 0);

    vow_unref(cancelled);
    vow_unref(closed);
    vow_breaker_unref(b);
}

VOW_CASE(breaker_call_cancelled_while_it_follows_frees_its_probe)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1)));
    vow_promise *p = vow_promise_new();
    vow_future *f, *g;

    vow_manual_advance(m, vow_seconds(1));
    f = vow_breaker_call(b, NULL, follow, vow_ptr(p));
    g = vow_breaker_call(b, NULL, succeed, VOW_NIL);
    assert_int_equal(vow_error_code(vow_peek(g).error), VOW_E_OPEN);
    vow_unref(g);
    vow_future_cancel(f, NULL);
    assert_int_equal(vow_error_code(vow_peek(f).error), VOW_E_CANCELLED);
    assert_int_equal(metrics_of(b).cancelled, 1);
    g = vow_breaker_call(b, NULL, succeed, VOW_NIL);
    assert_int_equal(vow_future_status(g), VOW_FULFILLED);
    assert_state(b, VOW_BREAKER_CLOSED);

    vow_unref(f);
    vow_unref(g);
    vow_promise_unref(p);
    vow_breaker_unref(b);
}

static bool
not_found_is_none(const vow_error *error, void *ctx)
{
    ++*(int *)ctx;
    return vow_error_code(error) != ENOENT && vow_error_code(error) != VOW_E_LIMIT;
}

static vow_result
fail_with(void *ctx)
{
    return vow_fail(*(int *)ctx, "code %d", *(int *)ctx);
}

VOW_CASE(breaker_open_for_ever_says_so_and_what_ends_it)
{
    static const double jitters[] = {VOW_BREAKER_NO_JITTER, 1};

    for (int i = 0; i < 2; i++) {
        vow_breaker *b = vow_breaker_new(
            &VOW_BREAKER_OPTIONS(.clock = vow_manual_clock(m), .name = "the mill",
                                 .open_for = VOW_FOREVER, .open_jitter = jitters[i]));
        vow_future *f;

        vow_breaker_force(b, VOW_BREAKER_OPEN);
        vow_manual_advance(m, vow_seconds(1000));
        assert_int_equal(vow_breaker_open_remaining(b), VOW_FOREVER);
        f = vow_breaker_call(b, NULL, fail_with, VOW_NIL);
        assert_int_equal(code_of(f), VOW_E_OPEN);
        assert_string_equal(vow_error_message(vow_peek(f).error),
                            "the mill is open until vow_breaker_reset");
        assert_int_equal(vow_error_retry_after(vow_peek(f).error), VOW_FOREVER);
        vow_unref(f);
        vow_breaker_reset(b);
        assert_int_equal(one(b, VOW_OUTCOME_SUCCESS, 0), 0);
        vow_breaker_unref(b);
    }
}

VOW_CASE(breaker_asks_which_errors_are_failures)
{
    int asked = 0, codes[] = {ENOENT, VOW_E_LIMIT, VOW_E_CANCELLED, EIO};
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.min_calls = 10, .is_failure = not_found_is_none,
                                .is_failure_ctx = &asked));

    for (size_t i = 0; i < 4; i++)
        vow_ignore(vow_breaker_call(b, NULL, fail_with, vow_ptr(&codes[i])));
    assert_int_equal(asked, 4);
    assert_int_equal(metrics_of(b).successes, 1); /* the callee had an answer */
    assert_int_equal(metrics_of(b).cancelled, 1); /* no leave to call: says nothing */
    assert_int_equal(metrics_of(b).failures, 2);  /* as the predicate says */

    vow_breaker_unref(b);
}

VOW_CASE(breaker_takes_no_error_of_this_process_for_a_failure)
{
    int codes[] = {VOW_E_CANCELLED, VOW_E_LIMIT, VOW_E_OPEN,
                   VOW_E_CLOSED,    VOW_E_NOMEM, VOW_E_FORKED};
    vow_breaker *b = vow_breaker_new(EXACTLY(.min_calls = 10));

    for (size_t i = 0; i < 6; i++)
        vow_ignore(vow_breaker_call(b, NULL, fail_with, vow_ptr(&codes[i])));
    assert_int_equal(metrics_of(b).cancelled, 6);

    vow_breaker_unref(b);
}

VOW_CASE(breaker_null_lets_all_through)
{
    vow_breaker_metrics seen = {.size = sizeof seen};
    vow_permit permit;
    vow_future *f = vow_breaker_call(NULL, NULL, succeed, VOW_NIL);

    assert_int_equal(vow_peek(f).value.as.i64, 42);
    assert_int_equal(vow_breaker_acquire(NULL, &permit), 0);
    vow_breaker_report(NULL, &permit, VOW_OUTCOME_FAILURE);
    assert_state(NULL, VOW_BREAKER_CLOSED);
    assert_int_equal(vow_breaker_open_remaining(NULL), 0);
    vow_breaker_force(NULL, VOW_BREAKER_FORCED_OPEN);
    vow_breaker_reset(NULL);
    vow_breaker_read(NULL, &seen);
    assert_int_equal(seen.admitted, 0);
    assert_null(vow_breaker_ref(NULL));
    vow_breaker_unref(NULL);

    vow_unref(f);
}

VOW_CASE(breaker_without_memory_says_so_and_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONWARDS)
    {
        vow_breaker *b = vow_breaker_new(EXACTLY(.window_calls = 4));

        if (counting_failed()) {
            assert_null(b);
            assert_int_equal(errno, ENOMEM);
        }
        vow_breaker_unref(b);
    }
}

VOW_CASE(breaker_call_without_memory_gives_its_place_back)
{
    vow_breaker *b = tripped(EXACTLY(.open_for = vow_seconds(1)));

    counting_each_failure(k, COUNTING_ONWARDS)
    {
        struct drop d = {0};
        vow_future *f;

        vow_breaker_force(b, VOW_BREAKER_OPEN);
        vow_manual_advance(m, vow_seconds(60));
        f = vow_breaker_call(b, NULL, succeed, drop_value(&d));
        assert_int_equal(drop_count(&d), 1);
        if (counting_failed()) {
            assert_null(f);
            assert_int_equal(d.ran, 0);
            counting_fail_at(0, COUNTING_ONCE);
            some(b, 1, VOW_OUTCOME_SUCCESS); /* the probe's place was free */
        }
        assert_state(b, VOW_BREAKER_CLOSED);
        vow_unref(f);
    }
    vow_breaker_unref(b);
}

/* ---- threads --------------------------------------------------------------------- */

enum { THREADS = 8, PROBES = 3, ROUNDS = 200 };

static pthread_barrier_t barrier;
static atomic_int admitted;

static void *
rush(void *breaker)
{
    vow_breaker *b = (vow_breaker *)breaker;

    for (int i = 0; i < ROUNDS; i++) {
        vow_permit permit;

        pthread_barrier_wait(&barrier);
        if (vow_breaker_acquire(b, &permit) == 0)
            atomic_fetch_add(&admitted, 1);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

VOW_CASE(breaker_edge_admits_exactly_as_many_as_it_has_probes)
{
    vow_breaker *b =
        vow_breaker_new(EXACTLY(.open_for = vow_seconds(1), .probes = PROBES));
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rush, b), 0);
    for (int i = 0; i < ROUNDS; i++) {
        vow_breaker_reset(b);
        vow_breaker_force(b, VOW_BREAKER_OPEN);
        vow_manual_advance(m, vow_seconds(1));
        atomic_store(&admitted, 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        assert_int_equal(atomic_load(&admitted), PROBES);
        assert_state(b, VOW_BREAKER_HALF_OPEN);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);

    vow_breaker_unref(b);
}

/* ---- against a model ---------------------------------------------------------------- */

/*
 * The rules once more, as slowly and plainly as can be: a log of all results since the
 * last change of state, counted anew each time; probes in a list with their deadlines.
 */
enum { MOST_LOGGED = 4096, MOST_PERMITS = 24 };

struct result {
    vow_ns at;
    bool failed, slow;
};

struct model {
    const vow_breaker_options *o;
    vow_breaker_state state;
    uint64_t epoch;
    struct result log[MOST_LOGGED]; /* closed or counting: since then */
    int logged;
    int row; /* failures in a row */
    vow_ns opened, open_time;
    int trips_in_row;
    struct {
        uint64_t id;
        vow_ns deadline;
    } flying[8]; /* half open: probes out */
    int out;
    int results, failed, slow;
    uint64_t ids;
};

struct model_permit {
    uint64_t epoch, id;
    vow_ns since;
};

static void
model_change(struct model *x, vow_breaker_state to)
{
    x->state = to;
    x->epoch++;
    x->logged = x->row = x->out = x->results = x->failed = x->slow = 0;
}

static void
model_open(struct model *x, vow_ns at)
{
    model_change(x, VOW_BREAKER_OPEN);
    x->opened = at;
    x->open_time = x->o->open_for;
    for (int i = 0; i < x->trips_in_row; i++)
        if (x->open_time < x->o->open_max)
            x->open_time *= 2;
    if (x->open_time > x->o->open_max)
        x->open_time = x->o->open_max;
    x->trips_in_row++;
}

static void
model_close(struct model *x)
{
    model_change(x, VOW_BREAKER_CLOSED);
    x->trips_in_row = 0;
}

/* Which of the logged calls are in the window at a time: a tenth counts as a whole. */
static bool
model_in_window(const struct model *x, int i, vow_ns now)
{
    vow_ns tenth = x->o->window_time / 10;

    if (x->o->window_time == 0)
        return i >= x->logged - (int)x->o->window_calls;
    return x->log[i].at / tenth > now / tenth - 10;
}

static void
model_window(const struct model *x, vow_ns now, int sums[3])
{
    sums[0] = sums[1] = sums[2] = 0;
    for (int i = 0; i < x->logged; i++)
        if (model_in_window(x, i, now)) {
            sums[0]++;
            sums[1] += x->log[i].failed;
            sums[2] += x->log[i].slow;
        }
}

/* Rates of a half and a quarter, so that there is nothing to round. */
static bool
model_is_bad(int calls, int failed, int slow)
{
    return 2 * failed >= calls || 4 * slow >= 3 * calls;
}

static void
model_probe(struct model *x, vow_ns at, bool failed, bool slow)
{
    x->results++;
    x->failed += failed;
    x->slow += slow;
    if (x->results < (int)x->o->probe_results)
        return;
    if (model_is_bad(x->results, x->failed, x->slow))
        model_open(x, at);
    else
        model_close(x);
}

static void
model_land(struct model *x, int i)
{
    x->flying[i] = x->flying[--x->out];
}

static void
model_judge_hung(struct model *x, vow_ns now)
{
    for (;;) {
        int first = -1;

        for (int i = 0; i < x->out; i++)
            if (x->flying[i].deadline <= now &&
                (first < 0 || x->flying[i].deadline < x->flying[first].deadline))
                first = i;
        if (first < 0)
            return;
        vow_ns at = x->flying[first].deadline;

        model_land(x, first);
        model_probe(x, at, true, false);
    }
}

static bool
model_acquire(struct model *x, vow_ns now, struct model_permit *permit)
{
    model_judge_hung(x, now);
    if (x->state == VOW_BREAKER_OPEN && now >= x->opened + x->open_time)
        model_change(x, VOW_BREAKER_HALF_OPEN);
    *permit = (struct model_permit){.epoch = x->epoch, .since = now};
    if (x->state == VOW_BREAKER_OPEN || x->state == VOW_BREAKER_FORCED_OPEN)
        return false;
    if (x->state != VOW_BREAKER_HALF_OPEN)
        return true;
    if (x->out == (int)x->o->probes)
        return false;
    permit->id = ++x->ids;
    x->flying[x->out].id = permit->id;
    x->flying[x->out++].deadline = now + x->o->probe_timeout;
    return true;
}

static void
model_watch(struct model *x, vow_ns now, bool failed, bool slow)
{
    int sums[3];

    if (x->logged == MOST_LOGGED) { /* what is older is in no window */
        memmove(x->log, x->log + MOST_LOGGED / 2, sizeof x->log / 2);
        x->logged = MOST_LOGGED / 2;
    }
    x->log[x->logged++] = (struct result){now, failed, slow};
    x->row = failed ? x->row + 1 : 0;
    model_window(x, now, sums);
    if (x->state == VOW_BREAKER_CLOSED &&
        (x->row >= (int)x->o->consecutive ||
         (sums[0] >= (int)x->o->min_calls && model_is_bad(sums[0], sums[1], sums[2]))))
        model_open(x, now);
}

static void
model_report(struct model *x, vow_ns now, const struct model_permit *permit,
             vow_outcome outcome)
{
    bool failed = outcome == VOW_OUTCOME_FAILURE;
    bool slow = now - permit->since > x->o->slow_after;

    if (permit->epoch != x->epoch)
        return;
    if (permit->id != 0) {
        int i = 0;

        while (i < x->out && x->flying[i].id != permit->id)
            i++;
        if (i == x->out)
            return;
        model_land(x, i);
    }
    if (outcome == VOW_OUTCOME_CANCELLED)
        return;
    if (x->state == VOW_BREAKER_HALF_OPEN)
        model_probe(x, now, failed, slow);
    else if (x->state == VOW_BREAKER_CLOSED || x->state == VOW_BREAKER_COUNT_ONLY)
        model_watch(x, now, failed, slow);
}

struct world {
    uint64_t random;
    vow_breaker *b;
    struct model x;
    vow_permit permits[MOST_PERMITS];
    struct model_permit twins[MOST_PERMITS];
    int out;
    long admitted, seen[6]; /* how often each state was seen */
};

static unsigned
draw(struct world *w, unsigned below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(w->random >> 33) % below;
}

static void
step_acquire(struct world *w, vow_ns now)
{
    vow_permit permit;
    struct model_permit twin;
    bool real;

    if (w->out == MOST_PERMITS)
        return;
    real = vow_breaker_acquire(w->b, &permit) == 0;
    assert_int_equal(real, model_acquire(&w->x, now, &twin));
    if (!real)
        return;
    w->admitted++;
    w->permits[w->out] = permit;
    w->twins[w->out++] = twin;
}

static void
step_report(struct world *w, vow_ns now, vow_outcome outcome)
{
    int i;

    if (w->out == 0)
        return;
    i = (int)draw(w, (unsigned)w->out);
    vow_breaker_report(w->b, &w->permits[i], outcome);
    model_report(&w->x, now, &w->twins[i], outcome);
    w->permits[i] = w->permits[--w->out];
    w->twins[i] = w->twins[w->out];
}

static void
step_force(struct world *w, vow_ns now)
{
    vow_breaker_state to = (vow_breaker_state)draw(w, 6);

    vow_breaker_force(w->b, to);
    if (to == VOW_BREAKER_CLOSED)
        model_close(&w->x);
    else if (to == VOW_BREAKER_OPEN)
        model_open(&w->x, now);
    else
        model_change(&w->x, to);
}

static void
step(struct world *w)
{
    vow_ns now = vow_clock_now(vow_manual_clock(m));
    unsigned what = draw(w, 1000);

    if (what < 400)
        step_acquire(w, now);
    else if (what < 600)
        step_report(w, now, VOW_OUTCOME_SUCCESS);
    else if (what < 680)
        step_report(w, now, VOW_OUTCOME_FAILURE);
    else if (what < 720)
        step_report(w, now, VOW_OUTCOME_CANCELLED);
    else if (what < 900)
        vow_manual_advance(m, draw(w, (unsigned)vow_ms(20)));
    else if (what < 997)
        vow_manual_advance(m, draw(w, (unsigned)vow_ms(900))); /* probes hang meanwhile */
    else if (what < 998)
        step_force(w, now);
    else { /* back to what users have */
        vow_breaker_reset(w->b);
        model_close(&w->x);
    }
}

static void
compare(struct world *w)
{
    vow_ns now = vow_clock_now(vow_manual_clock(m));
    vow_breaker_metrics seen = metrics_of(w->b);
    int sums[3];

    model_window(&w->x, now, sums);
    assert_int_equal(seen.state, w->x.state);
    assert_int_equal(seen.epoch, w->x.epoch);
    assert_int_equal(seen.window_calls, sums[0]);
    assert_int_equal(seen.window_failures, sums[1]);
    assert_int_equal(seen.window_slow, sums[2]);
    if (w->x.state == VOW_BREAKER_OPEN) {
        vow_ns left = w->x.opened + w->x.open_time - now;

        assert_int_equal(seen.open_remaining, left > 0 ? left : 0);
    }
    w->seen[seen.state]++;
}

static void
run_against_model(const vow_breaker_options *opt, uint64_t seed, long steps)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->random = seed;
    w->b = vow_breaker_new(opt);
    w->x.o = opt;
    for (long i = 0; i < steps; i++) {
        step(w);
        compare(w);
    }
    for (int i = 0; i < 6; i++) /* a run that never gets anywhere shows nothing */
        assert_true(w->seen[i] > steps / 2000);
    assert_true(w->admitted > steps / 100);
    vow_breaker_unref(w->b);
    free(w);
}

#define MODEL_STEPS 500000

VOW_CASE(breaker_by_count_does_as_the_rules_say)
{
    run_against_model(EXACTLY(.window_calls = 16, .min_calls = 6, .consecutive = 5,
                              .failure_rate = 0.5, .slow_rate = 0.75,
                              .slow_after = vow_ms(300), .open_for = vow_ms(400),
                              .open_factor = 2, .open_max = vow_ms(1600), .probes = 2,
                              .probe_results = 3, .probe_timeout = vow_ms(700)),
                      1, MODEL_STEPS);
}

VOW_CASE(breaker_by_time_does_as_the_rules_say)
{
    run_against_model(EXACTLY(.window_time = vow_seconds(2), .min_calls = 8,
                              .consecutive = 6, .failure_rate = 0.5, .slow_rate = 0.75,
                              .slow_after = vow_ms(300), .open_for = vow_ms(300),
                              .open_factor = 2, .open_max = vow_ms(2000), .probes = 3,
                              .probe_results = 4, .probe_timeout = vow_ms(500)),
                      2, MODEL_STEPS);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        manual_test(breaker_trips_at_the_failure_rate_and_not_before),
        manual_test(breaker_below_the_rate_stays_closed),
        manual_test(breaker_window_by_count_forgets_the_oldest),
        manual_test(breaker_window_by_time_forgets_by_tenths),
        manual_test(breaker_trips_on_failures_in_a_row),
        manual_test(breaker_trips_on_slow_calls),
        manual_test(breaker_cancelled_calls_count_as_neither),
        manual_test(breaker_open_refuses_until_its_time_has_passed),
        manual_test(breaker_open_time_grows_with_each_trip_in_a_row),
        manual_test(breaker_that_trips_a_million_times_takes_each_time_as_long),
        manual_test(breaker_open_time_varies_within_its_jitter),
        manual_test(breaker_half_open_lets_as_many_through_as_it_has_probes),
        manual_test(breaker_late_result_decides_nothing),
        manual_test(breaker_hung_probe_is_a_failure_at_its_deadline),
        manual_test(breaker_hung_probe_long_ago_lets_the_same_call_through),
        manual_test(breaker_forced_into_no_state_says_so_and_stays),
        manual_test(breaker_forced_states_obey),
        manual_test(breaker_tells_of_each_change_in_order),
        manual_test(breaker_put_into_the_state_that_it_is_in_tells_of_no_change),
        manual_test(breaker_tells_of_more_changes_than_it_keeps_as_one),
        manual_test(breaker_may_be_let_go_by_whom_it_tells),
        manual_test(breaker_tells_on_after_a_thread_that_exited_as_it_was_told),
        manual_test(breaker_options_without_sense_are_refused),
        manual_test(breaker_call_gives_the_outcome_and_counts_it),
        manual_test(breaker_call_is_refused_with_the_time_left),
        manual_test(breaker_call_beside_the_probes_is_told_that_it_is_half_open),
        manual_test(breaker_call_lasts_until_what_it_follows_has_settled),
        manual_test(breaker_call_that_waits_in_a_queue_is_not_slow),
        manual_test(breaker_call_that_never_ran_counts_as_neither),
        manual_test(breaker_call_cancelled_while_it_follows_frees_its_probe),
        manual_test(breaker_open_for_ever_says_so_and_what_ends_it),
        manual_test(breaker_asks_which_errors_are_failures),
        manual_test(breaker_takes_no_error_of_this_process_for_a_failure),
        manual_test(breaker_null_lets_all_through),
        manual_test(breaker_without_memory_says_so_and_loses_nothing),
        manual_test(breaker_call_without_memory_gives_its_place_back),
        manual_test(breaker_edge_admits_exactly_as_many_as_it_has_probes),
        manual_test(breaker_by_count_does_as_the_rules_say),
        manual_test(breaker_by_time_does_as_the_rules_say),
    };

    return vow_test_run(cases);
}
