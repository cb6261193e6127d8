/* SPDX-License-Identifier: MIT */
/* Pauses between attempts against their definitions, and the budget of many callers. */
#include "vow_test.h"

#include <errno.h>

#include <vow/vow.h>

#include "resilience/backoff.h"
#include "resilience/bucket.h"

enum { DRAWS = 1000000 };

static struct vowi_backoff
make(vow_backoff growth, vow_jitter jitter, vow_ns most)
{
    struct vowi_backoff b;

    vowi_backoff_init(&b, growth, jitter, vow_ms(100), most, 3, 42);
    return b;
}

/* ---- growth ------------------------------------------------------------------ */

static void
assert_pauses(vow_backoff growth, vow_ns most, const int expected_ms[5])
{
    struct vowi_backoff b = make(growth, VOW_JITTER_NONE, most);

    for (int i = 0; i < 5; i++)
        assert_int_equal(vowi_backoff_next(&b), vow_ms(expected_ms[i]));
}

VOW_CASE(backoff_grows_as_it_is_named)
{
    assert_pauses(VOW_BACKOFF_NONE, VOW_FOREVER, (int[]){0, 0, 0, 0, 0});
    assert_pauses(VOW_BACKOFF_CONSTANT, VOW_FOREVER, (int[]){100, 100, 100, 100, 100});
    assert_pauses(VOW_BACKOFF_LINEAR, VOW_FOREVER, (int[]){100, 200, 300, 400, 500});
    assert_pauses(VOW_BACKOFF_EXPONENTIAL, VOW_FOREVER,
                  (int[]){100, 300, 900, 2700, 8100});
}

VOW_CASE(backoff_never_exceeds_its_cap)
{
    assert_pauses(VOW_BACKOFF_LINEAR, vow_ms(250), (int[]){100, 200, 250, 250, 250});
    assert_pauses(VOW_BACKOFF_EXPONENTIAL, vow_ms(1000),
                  (int[]){100, 300, 900, 1000, 1000});
    assert_pauses(VOW_BACKOFF_CONSTANT, vow_ms(50), (int[]){50, 50, 50, 50, 50});
}

VOW_CASE(backoff_grows_for_ever_without_overflow)
{
    struct vowi_backoff b = make(VOW_BACKOFF_EXPONENTIAL, VOW_JITTER_NONE, VOW_FOREVER);
    vow_ns before = 0;

    for (int i = 0; i < 10000; i++) {
        vow_ns pause = vowi_backoff_next(&b);

        assert_true(pause >= before);
        before = pause;
    }
    assert_int_equal(before, VOW_FOREVER);
}

/* ---- jitter -------------------------------------------------------------------- */

/* Each draw is within bounds; their mean is within 1 % of what it should be. The mean of
 * a million uniform draws is off by less than 0.06 %, one standard error. */
static void
assert_uniform(vow_jitter jitter, double from, double to)
{
    struct vowi_backoff b = make(VOW_BACKOFF_CONSTANT, jitter, VOW_FOREVER);
    double sum = 0;

    for (int i = 0; i < DRAWS; i++) {
        double ms = (double)vowi_backoff_next(&b) / 1e6;

        if (ms < from || ms > to)
            fail_msg("%f ms is not from %f to %f", ms, from, to);
        sum += ms;
    }
    assert_true(sum / DRAWS > 0.99 * (from + to) / 2);
    assert_true(sum / DRAWS < 1.01 * (from + to) / 2);
}

VOW_CASE(backoff_full_jitter_is_from_nothing_to_the_pause)
{
    assert_uniform(VOW_JITTER_FULL, 0, 100);
}

VOW_CASE(backoff_equal_jitter_is_from_half_to_the_pause)
{
    assert_uniform(VOW_JITTER_EQUAL, 50, 100);
}

/*
 * The first pause is uniform from base to 3 base: mean 2 base. The second, given the
 * first one x, from base to 3 x, mean (base + 3 x) / 2: altogether (1 + 6) / 2 base.
 */
VOW_CASE(backoff_decorrelated_jitter_depends_on_the_pause_before)
{
    double first = 0, second = 0;

    for (int i = 0; i < DRAWS; i++) {
        struct vowi_backoff b;
        double x, y;

        vowi_backoff_init(&b, VOW_BACKOFF_EXPONENTIAL, VOW_JITTER_DECORRELATED,
                          vow_ms(100), VOW_FOREVER, 2, (uint64_t)i);
        x = (double)vowi_backoff_next(&b) / 1e6;
        y = (double)vowi_backoff_next(&b) / 1e6;
        if (x < 99.9 || x > 300 || y < 99.9 || y > 3 * x + 0.1)
            fail_msg("%f ms, then %f ms", x, y);
        first += x;
        second += y;
    }
    assert_true(first / DRAWS > 198 && first / DRAWS < 202);
    assert_true(second / DRAWS > 346.5 && second / DRAWS < 353.5);
}

VOW_CASE(backoff_decorrelated_jitter_never_exceeds_its_cap)
{
    struct vowi_backoff b =
        make(VOW_BACKOFF_EXPONENTIAL, VOW_JITTER_DECORRELATED, vow_seconds(1));
    int capped = 0;

    for (int i = 0; i < 10000; i++) {
        vow_ns pause = vowi_backoff_next(&b);

        assert_in_range(pause, vow_ms(100) - 1, vow_seconds(1));
        capped += pause == vow_seconds(1);
    }
    assert_true(capped > 1000);
}

VOW_CASE(backoff_repeats_from_its_seed_and_differs_between_seeds)
{
    struct vowi_backoff a = make(VOW_BACKOFF_CONSTANT, VOW_JITTER_FULL, VOW_FOREVER);
    struct vowi_backoff b = a;
    struct vowi_backoff c = a;
    int different = 0;

    c.random.state = 43;
    for (int i = 0; i < 100; i++) {
        vow_ns pause = vowi_backoff_next(&a);

        assert_int_equal(vowi_backoff_next(&b), pause);
        different += vowi_backoff_next(&c) != pause;
    }
    assert_true(different > 90);
}

/* ---- the bucket, the budget ---------------------------------------------------- */

VOW_CASE(bucket_fills_at_its_rate_up_to_its_depth)
{
    struct vowi_bucket b;

    vowi_bucket_init(&b, 4, 2, 0); /* one each 250 ms, at most two */
    assert_true(vowi_bucket_take(&b, 1));
    assert_true(vowi_bucket_take(&b, 1));
    assert_false(vowi_bucket_take(&b, 1));
    assert_in_range(vowi_bucket_wait(&b, 1), vow_ms(250), vow_ms(250) + 1);
    vowi_bucket_move(&b, vow_ms(249));
    assert_false(vowi_bucket_take(&b, 1));
    vowi_bucket_move(&b, vow_ms(250));
    assert_true(vowi_bucket_take(&b, 1));
    vowi_bucket_move(&b, vow_ms(100)); /* back: nothing happens */
    assert_false(vowi_bucket_take(&b, 1));
    vowi_bucket_move(&b, vow_seconds(100));
    assert_true(vowi_bucket_take(&b, 2));
    assert_false(vowi_bucket_take(&b, 1));
}

VOW_CASE(bucket_that_waits_as_it_says_is_never_too_early)
{
    struct vowi_bucket b;
    vow_ns now = 12345;

    vowi_bucket_init(&b, 7, 3, now);
    for (int i = 0; i < 10000; i++) {
        vow_ns wait = vowi_bucket_wait(&b, 1);

        if (wait > 0) {
            assert_true(wait < vow_seconds(1));
            now += wait;
            vowi_bucket_move(&b, now);
        }
        assert_true(vowi_bucket_take(&b, 1));
    }
    assert_in_range(now, 9997 * (vow_seconds(1) / 7) - vow_us(1),
                    9998 * (vow_seconds(1) / 7));
}

VOW_CASE(bucket_without_a_rate_waits_for_ever)
{
    struct vowi_bucket b;

    vowi_bucket_init(&b, 0, 1, 0);
    assert_true(vowi_bucket_take(&b, 1));
    vowi_bucket_move(&b, VOW_FOREVER);
    assert_false(vowi_bucket_take(&b, 1));
    assert_int_equal(vowi_bucket_wait(&b, 1), VOW_FOREVER);
}

VOW_CASE(budget_allows_a_share_of_the_calls)
{
    vow_manual *m = vow_manual_new();
    vow_budget *b =
        vow_budget_new(&VOW_BUDGET_OPTIONS(.ratio = 0.25, .per_second = 1, .most = 2,
                                           .clock = vow_manual_clock(m)));

    assert_true(vow_budget_withdraw(b));
    assert_true(vow_budget_withdraw(b));
    assert_false(vow_budget_withdraw(b)); /* what it began with is used up */
    for (int i = 0; i < 3; i++)
        vow_budget_deposit(b);
    assert_false(vow_budget_withdraw(b));
    vow_budget_deposit(b);
    assert_true(vow_budget_withdraw(b)); /* one for four calls */
    assert_false(vow_budget_withdraw(b));
    vow_manual_advance(m, vow_seconds(1));
    assert_true(vow_budget_withdraw(b)); /* and one each second */
    assert_false(vow_budget_withdraw(b));

    vow_budget_unref(vow_budget_ref(b));
    vow_budget_unref(b);
    vow_manual_unref(m);
}

VOW_CASE(budget_null_allows_all)
{
    vow_budget_deposit(NULL);
    assert_true(vow_budget_withdraw(NULL));
    assert_null(vow_budget_ref(NULL));
    vow_budget_unref(NULL);
}

VOW_CASE(budget_that_cannot_be_made_says_why)
{
    errno = 0;
    assert_null(vow_budget_new(&VOW_BUDGET_OPTIONS(.ratio = -1)));
    assert_int_equal(errno, EINVAL);
    counting_each_failure(k, COUNTING_ONCE)
    {
        vow_budget *b;

        errno = 0;
        b = vow_budget_new(NULL);
        assert_int_equal(b == NULL, counting_failed());
        assert_int_equal(errno, b == NULL ? ENOMEM : 0);
        vow_budget_unref(b);
    }
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(backoff_grows_as_it_is_named),
        vow_test(backoff_never_exceeds_its_cap),
        vow_test(backoff_grows_for_ever_without_overflow),
        vow_test(backoff_full_jitter_is_from_nothing_to_the_pause),
        vow_test(backoff_equal_jitter_is_from_half_to_the_pause),
        vow_test(backoff_decorrelated_jitter_depends_on_the_pause_before),
        vow_test(backoff_decorrelated_jitter_never_exceeds_its_cap),
        vow_test(backoff_repeats_from_its_seed_and_differs_between_seeds),
        vow_test(bucket_fills_at_its_rate_up_to_its_depth),
        vow_test(bucket_that_waits_as_it_says_is_never_too_early),
        vow_test(bucket_without_a_rate_waits_for_ever),
        vow_test(budget_allows_a_share_of_the_calls),
        vow_test(budget_null_allows_all),
        vow_test(budget_that_cannot_be_made_says_why),
    };

    return vow_test_run(cases);
}
