/* SPDX-License-Identifier: MIT */
/* The rate limit: buckets, windows, waiting, reserving. All of it in virtual time. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "drops.h"
#include "manual_fixture.h"

#define RATE(...)                                                                        \
    vow_rate_limit_new(&VOW_RATE_LIMIT_OPTIONS(.clock = vow_manual_clock(m), __VA_ARGS__))

static vow_ns
now(void)
{
    return vow_clock_now(vow_manual_clock(m));
}

static bool
allows(vow_rate_limit *l)
{
    return vow_rate_limit_reserve(l, 0, NULL) == 0;
}

static vow_result
note_time(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(vow_i64(now()));
}

VOW_CASE(rate_bucket_allows_a_burst_and_then_the_rate)
{
    vow_rate_limit *l = RATE(.calls = 4, .burst = 2); /* one each 250 ms */

    assert_true(allows(l));
    assert_true(allows(l));
    assert_false(allows(l));
    vow_manual_advance(m, vow_ms(250) - 1);
    assert_false(allows(l));
    vow_manual_advance(m, 1);
    assert_true(allows(l));
    assert_false(allows(l));
    vow_manual_advance(m, vow_seconds(10));
    assert_true(allows(l));
    assert_true(allows(l));
    assert_false(allows(l));

    vow_rate_limit_unref(l);
}

/* In each stretch of a second, wherever it begins, at most three. */
VOW_CASE(rate_window_never_allows_more_in_any_stretch)
{
    vow_rate_limit *l = RATE(.kind = VOW_RATE_WINDOW, .calls = 3);
    vow_ns times[1000];
    int used = 0;
    unsigned random = 1;

    while (used < 1000) {
        random = random * 1664525 + 1013904223;
        vow_manual_advance(m, (vow_ns)(random >> 8) * 20); /* up to a third of a second */
        if (allows(l))
            times[used++] = now();
    }
    for (int i = 3; i < used; i++)
        assert_true(times[i] - times[i - 3] >= vow_seconds(1));
    assert_true(times[999] < vow_seconds(400)); /* it allows what it may */

    vow_rate_limit_unref(l);
}

VOW_CASE(rate_window_allows_again_when_the_oldest_is_old_enough)
{
    vow_rate_limit *l = RATE(.kind = VOW_RATE_WINDOW, .calls = 2);
    vow_ns wait;

    assert_true(allows(l)); /* at 0 */
    vow_manual_advance(m, vow_ms(400));
    assert_true(allows(l)); /* at 400 ms */
    assert_int_equal(vow_rate_limit_reserve(l, 0, &wait), VOW_E_LIMIT);
    assert_int_equal(wait, vow_ms(600));
    vow_manual_advance(m, vow_ms(600));
    assert_true(allows(l));
    assert_int_equal(vow_rate_limit_reserve(l, 0, &wait), VOW_E_LIMIT);
    assert_int_equal(wait, vow_ms(400));

    vow_rate_limit_unref(l);
}

VOW_CASE(rate_without_end_of_its_time_allows_no_more_and_says_so)
{
    static const vow_rate_kind kinds[] = {VOW_RATE_BUCKET, VOW_RATE_WINDOW};

    for (int i = 0; i < 2; i++) {
        vow_rate_limit *l = RATE(.kind = kinds[i], .calls = 1, .per = VOW_FOREVER,
                                 .max_wait = VOW_FOREVER, .name = "the gate");
        vow_future *f;

        assert_true(allows(l));
        vow_manual_advance(m, vow_seconds(1000));
        f = vow_rate_limit_call(l, NULL, note_time, VOW_NIL);
        assert_string_equal(vow_error_message(vow_peek(f).error),
                            "the gate allows no more calls");
        assert_int_equal(vow_error_retry_after(vow_peek(f).error), VOW_FOREVER);
        vow_unref(f);
        vow_rate_limit_unref(l);
    }
}

VOW_CASE(rate_reservations_queue_up)
{
    static const vow_rate_kind kinds[] = {VOW_RATE_BUCKET, VOW_RATE_WINDOW};

    for (int k = 0; k < 2; k++) {
        vow_rate_limit *l = RATE(.kind = kinds[k], .calls = 1, .burst = 1);
        vow_ns wait;

        for (int i = 0; i < 5; i++) {
            assert_int_equal(vow_rate_limit_reserve(l, vow_seconds(10), &wait), 0);
            assert_in_range(wait, vow_seconds(i), vow_seconds(i) + 10);
        }
        assert_int_equal(vow_rate_limit_reserve(l, vow_seconds(4), &wait), VOW_E_LIMIT);
        assert_in_range(wait, vow_seconds(5), vow_seconds(5) + 10);
        vow_rate_limit_unref(l);
    }
}

VOW_CASE(rate_call_runs_when_its_time_has_come)
{
    vow_rate_limit *l = RATE(.calls = 1, .max_wait = vow_seconds(2));
    struct drop d[4] = {{0}};
    vow_future *f[4];

    for (int i = 0; i < 4; i++)
        f[i] = vow_rate_limit_call(l, on, note_time, drop_value(&d[i]));
    assert_int_equal(code_of(f[3]), VOW_E_LIMIT); /* three seconds are too long */
    assert_in_range(vow_error_retry_after(vow_peek(f[3]).error), vow_seconds(3),
                    vow_seconds(3) + 10);
    assert_int_equal(drop_count(&d[3]), 1);
    vow_manual_advance(m, vow_seconds(5));
    for (int i = 0; i < 3; i++) {
        assert_in_range(vow_peek(f[i]).value.as.i64, vow_seconds(i), vow_seconds(i) + 10);
        assert_int_equal(d[i].ran, 1);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(drop_count(&d[i]), 1);
        vow_unref(f[i]);
    }
    vow_rate_limit_unref(l);
}

VOW_CASE(rate_call_cancelled_while_it_waits_never_starts)
{
    vow_rate_limit *l = RATE(.calls = 1, .max_wait = vow_seconds(2));
    struct drop d = {0};
    vow_future *f;

    assert_true(allows(l));
    f = vow_rate_limit_call(l, on, note_time, drop_value(&d));
    vow_rate_limit_unref(l); /* it has its time already */
    vow_future_cancel(f, NULL);
    assert_int_equal(code_of(f), VOW_E_CANCELLED);
    assert_int_equal(drop_count(&d), 1);
    vow_manual_advance(m, vow_seconds(5));
    assert_int_equal(d.ran, 0);
    vow_unref(f);
}

VOW_CASE(rate_limit_counts)
{
    vow_rate_limit_metrics seen = {.size = sizeof seen};
    vow_rate_limit *l = RATE(.calls = 1);

    assert_true(allows(l));
    assert_false(allows(l));
    assert_false(allows(l));
    assert_int_equal(vow_rate_limit_reserve(l, vow_seconds(1), NULL), 0);
    vow_rate_limit_read(l, &seen);
    assert_int_equal(seen.allowed, 1);
    assert_int_equal(seen.delayed, 1);
    assert_int_equal(seen.refused, 2);

    vow_rate_limit_unref(l);
}

VOW_CASE(rate_null_allows_all)
{
    vow_rate_limit_metrics seen = {.size = sizeof seen};
    vow_ns wait = 1;
    vow_future *f = vow_rate_limit_call(NULL, on, note_time, VOW_NIL);

    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_FULFILLED);
    vow_unref(f);
    assert_int_equal(vow_rate_limit_reserve(NULL, 0, &wait), 0);
    assert_int_equal(wait, 0);
    vow_rate_limit_read(NULL, &seen);
    assert_int_equal(seen.allowed, 0);
    assert_null(vow_rate_limit_ref(NULL));
    vow_rate_limit_unref(NULL);
}

VOW_CASE(rate_options_without_sense_are_refused)
{
    const vow_rate_limit_options bad[] = {
        VOW_RATE_LIMIT_OPTIONS(.per = -1), VOW_RATE_LIMIT_OPTIONS(.max_wait = -1),
        VOW_RATE_LIMIT_OPTIONS(.kind = VOW_RATE_WINDOW, .calls = 1048577)};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_null(vow_rate_limit_new(&bad[i]));
        assert_int_equal(errno, EINVAL);
    }
}

VOW_CASE(rate_limit_without_memory_loses_nothing)
{
    counting_each_failure(k, COUNTING_ONCE)
    {
        struct drop d[2] = {{0}};
        vow_rate_limit *l =
            RATE(.kind = VOW_RATE_WINDOW, .calls = 1, .max_wait = vow_seconds(1));

        for (int i = 0; i < 2; i++) {
            vow_future *f = vow_rate_limit_call(l, on, note_time, drop_value(&d[i]));

            vow_manual_advance(m, i * vow_seconds(1));
            assert_true(code_of(f) == 0 || code_of(f) == VOW_E_NOMEM);
            assert_int_equal(d[i].ran, code_of(f) == 0);
            assert_int_equal(drop_count(&d[i]), 1);
            vow_ignore(f);
        }
        vow_rate_limit_unref(l);
    }
}

static void
let_go_of_limit(void *l)
{
    vow_rate_limit_unref((vow_rate_limit *)l);
}

VOW_CASE(rate_refuses_a_call_whose_context_has_the_last_handle)
{
    vow_rate_limit *l = RATE(.calls = 1, .name = "the gate");
    vow_future *f;

    assert_true(allows(l));
    f = vow_rate_limit_call(l, NULL, note_time, vow_own(l, let_go_of_limit));
    assert_string_equal(vow_error_message(vow_peek(f).error),
                        "the gate allows the next call in 1000 ms");
    vow_unref(f);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        manual_test(rate_bucket_allows_a_burst_and_then_the_rate),
        manual_test(rate_window_never_allows_more_in_any_stretch),
        manual_test(rate_window_allows_again_when_the_oldest_is_old_enough),
        manual_test(rate_without_end_of_its_time_allows_no_more_and_says_so),
        manual_test(rate_reservations_queue_up),
        manual_test(rate_call_runs_when_its_time_has_come),
        manual_test(rate_call_cancelled_while_it_waits_never_starts),
        manual_test(rate_limit_counts),
        manual_test(rate_null_allows_all),
        manual_test(rate_options_without_sense_are_refused),
        manual_test(rate_limit_without_memory_loses_nothing),
        manual_test(rate_refuses_a_call_whose_context_has_the_last_handle),
    };

    return vow_test_run(cases);
}
