/* SPDX-License-Identifier: MIT */
/* Times: arithmetic that saturates, and what the kernel is told. */
#include "support/vow_test.h"

#include <vow/vow.h>

#include "base/time.h"

VOW_CASE(units_saturate_at_both_ends)
{
    assert_true(vow_seconds(2) == 2000000000);
    assert_true(vow_ms(-3) == -3000000);
    assert_true(vow_us(4) == 4000);
    assert_true(vow_seconds(INT64_MAX) == VOW_FOREVER);
    assert_true(vow_seconds(INT64_MIN) == INT64_MIN);
}

VOW_CASE(sums_saturate_at_both_ends)
{
    assert_true(vowi_time_add(1, 2) == 3);
    assert_true(vowi_time_add(VOW_FOREVER, 1) == VOW_FOREVER);
    assert_true(vowi_time_add(1, VOW_FOREVER) == VOW_FOREVER);
    assert_true(vowi_time_add(INT64_MIN, -1) == INT64_MIN);
}

VOW_CASE(differences_saturate_at_both_ends)
{
    assert_true(vowi_time_sub(1, 2) == -1);
    assert_true(vowi_time_sub(VOW_FOREVER, -1) == VOW_FOREVER);
    assert_true(vowi_time_sub(INT64_MIN, 1) == INT64_MIN);
}

VOW_CASE(time_before_the_zero_of_the_clock_is_its_zero)
{
    struct timespec t = vowi_timespec(-5);

    assert_int_equal(t.tv_sec, 0);
    assert_int_equal(t.tv_nsec, 0);
    t = vowi_timespec(1500000000);
    assert_int_equal(t.tv_sec, 1);
    assert_int_equal(t.tv_nsec, 500000000);
}

/* In a time_t of 32 bits there is no room for it. */
VOW_CASE(time_far_from_the_zero_of_the_clock_is_as_far_as_it_can_be_said)
{
    static const int64_t years_of[] = {68, 69, 100, 136, 137, 272, 292};

    for (size_t i = 0; i < sizeof years_of / sizeof *years_of; i++) {
        int64_t seconds = years_of[i] * 31557600;
        struct timespec t = vowi_timespec(vow_seconds(seconds));

        if (sizeof t.tv_sec >= sizeof seconds || seconds <= INT32_MAX)
            assert_true(t.tv_sec == seconds);
        else
            assert_true(t.tv_sec == INT32_MAX);
    }
    assert_true(vowi_timespec(VOW_FOREVER).tv_sec >= INT32_MAX);
}

VOW_CASE(monotonic_time_never_goes_back)
{
    vow_ns before = vowi_monotonic_now();

    assert_true(vowi_monotonic_now() >= before);
    assert_true(vow_clock_now(NULL) >= before);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(units_saturate_at_both_ends),
        vow_test(sums_saturate_at_both_ends),
        vow_test(differences_saturate_at_both_ends),
        vow_test(time_before_the_zero_of_the_clock_is_its_zero),
        vow_test(time_far_from_the_zero_of_the_clock_is_as_far_as_it_can_be_said),
        vow_test(monotonic_time_never_goes_back),
    };

    return vow_test_run(cases);
}
