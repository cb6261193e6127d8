/* SPDX-License-Identifier: MIT */
/* The timing wheel: against a sorted array, in virtual time. */
#include "vow_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "queue/wheel.h"
#include "sanitizer.h"

#if defined(UNDER_ASAN) || defined(UNDER_TSAN)
#define STEPS 200000
#else
#define STEPS 10000000
#endif
#define TIMERS 300

/* A step of splitmix64: the same sequence everywhere. */
static uint64_t
next_random(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct vowi_wheel *
wheel_at(vow_ns now)
{
    static struct vowi_wheel w;

    vowi_wheel_init(&w, now);
    return &w;
}

static void
add(struct vowi_wheel *w, vow_timer *t, vow_ns when)
{
    t->when = when;
    vowi_wheel_add(w, t);
}

/* ---- one by one ---------------------------------------------------------- */

VOW_CASE(empty_wheel_has_nothing_due)
{
    struct vowi_wheel *w = wheel_at(0);

    assert_null(vowi_wheel_take_due(w, VOW_FOREVER - 1));
    assert_int_equal(vowi_wheel_next(w), VOW_FOREVER);
    assert_int_equal(vowi_wheel_count(w), 0);
}

VOW_CASE(timer_of_any_delay_is_taken_at_its_time_and_not_before)
{
    for (int bit = 0; bit < 62; bit++) {
        vow_ns when = (vow_ns)1 << bit;
        struct vowi_wheel *w = wheel_at(0);
        vow_timer t = {.home = NULL};

        add(w, &t, when);
        assert_int_equal(vowi_wheel_next(w), when);
        assert_null(vowi_wheel_take_due(w, when - 1));
        assert_true(vowi_timer_is_armed(&t));
        assert_int_equal(vowi_wheel_next(w), when);
        assert_ptr_equal(vowi_wheel_take_due(w, when), &t);
        assert_false(vowi_timer_is_armed(&t));
        assert_true(vowi_timer_was_taken(&t));
        assert_int_equal(vowi_wheel_count(w), 0);
    }
}

VOW_CASE(times_below_zero_and_at_both_ends_are_in_order)
{
    const vow_ns when[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    vow_timer t[7] = {{.home = NULL}};
    struct vowi_wheel *w = wheel_at(INT64_MIN);

    for (int i = 6; i >= 0; i--)
        add(w, &t[i], when[i]);
    for (int i = 0; i < 7; i++) {
        if (i > 0)
            assert_null(vowi_wheel_take_due(w, when[i] - 1));
        assert_ptr_equal(vowi_wheel_take_due(w, when[i]), &t[i]);
    }
}

VOW_CASE(equal_deadlines_come_in_the_order_of_adding_through_every_level)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer t[40] = {{.home = NULL}};

    for (int i = 0; i < 40; i++) {
        add(w, &t[i], vow_seconds(90));
        assert_null(vowi_wheel_take_due(w, vow_seconds(90) - 1 - (vow_seconds(80) >> i)));
    }
    for (int i = 0; i < 40; i++)
        assert_ptr_equal(vowi_wheel_take_due(w, vow_seconds(90)), &t[i]);
}

VOW_CASE(overdue_ones_come_first_by_deadline_then_by_adding)
{
    const vow_ns when[] = {50, 30, 50, 30, 99, 100};
    const int order[] = {1, 3, 0, 2, 4, 5};
    struct vowi_wheel *w = wheel_at(100);
    vow_timer t[6] = {{.home = NULL}};

    for (int i = 0; i < 6; i++)
        add(w, &t[i], when[i]);
    assert_int_equal(vowi_wheel_next(w), 30);
    assert_null(vowi_wheel_take_due(w, 29)); /* a reader whose clock is behind */
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(vowi_wheel_take_due(w, 100), &t[order[i]]);
}

VOW_CASE(removed_one_leaves_the_others)
{
    struct vowi_wheel *w = wheel_at(100);
    vow_timer t[6] = {{.home = NULL}};

    for (int i = 0; i < 6; i++)
        add(w, &t[i], i < 3 ? 50 : 200);
    vowi_wheel_remove(w, &t[0]);
    vowi_wheel_remove(w, &t[3]);
    vowi_wheel_remove(w, &t[5]);
    assert_int_equal(vowi_wheel_count(w), 3);
    assert_ptr_equal(vowi_wheel_take_due(w, 300), &t[1]);
    assert_ptr_equal(vowi_wheel_take_due(w, 300), &t[2]);
    assert_ptr_equal(vowi_wheel_take_due(w, 300), &t[4]);
    assert_null(vowi_wheel_take_due(w, 300));
}

VOW_CASE(next_is_early_at_most_until_the_slot_is_entered)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer t[100] = {{.home = NULL}};
    int looks = 0;

    for (int i = 0; i < 100; i++)
        add(w, &t[i], vow_seconds(3) + i * 10000);
    while (vowi_wheel_next(w) < vow_seconds(3)) {
        assert_null(vowi_wheel_take_due(w, vowi_wheel_next(w)));
        looks++;
    }
    assert_in_range(looks, 1, VOWI_WHEEL_LEVELS);
    assert_ptr_equal(vowi_wheel_take_due(w, vowi_wheel_next(w)), &t[0]);
}

/* ---- all of one executor ------------------------------------------------- */

VOW_CASE(list_of_what_is_due_grows_at_its_end_and_disarms_there_too)
{
    struct vowi_wheel *w = wheel_at(100);
    vow_timer t[5] = {{.when = 0}};
    vow_timer list;

    vowi_wheel_list_init(&list);
    add(w, &t[0], 120);
    add(w, &t[1], 110);
    add(w, &t[2], 110);
    add(w, &t[3], 90);
    vowi_wheel_list_due(w, 110, &list);
    add(w, &t[4], 80);
    vowi_wheel_list_due(w, 130, &list);
    assert_int_equal(vowi_wheel_next(w), VOW_FOREVER);
    assert_int_equal(vowi_wheel_count(w), 5);
    vowi_wheel_remove(w, &t[2]);
    assert_ptr_equal(vowi_wheel_unlist(w, &list), &t[3]);
    assert_ptr_equal(vowi_wheel_unlist(w, &list), &t[1]);
    assert_ptr_equal(vowi_wheel_unlist(w, &list), &t[4]);
    assert_ptr_equal(vowi_wheel_unlist(w, &list), &t[0]);
    assert_null(vowi_wheel_unlist(w, &list));
    assert_int_equal(vowi_wheel_count(w), 0);
}

VOW_CASE(list_takes_those_of_one_executor_and_disarms_there_too)
{
    vow_executor *on = vow_inline();
    struct vowi_wheel *w = wheel_at(100);
    vow_timer t[40] = {{.home = NULL}};
    vow_timer list;
    int listed = 0;

    for (int i = 0; i < 40; i++) {
        t[i].on = i % 4 == 3 ? NULL : on;
        add(w, &t[i], i < 8 ? i : 100 + ((vow_ns)1 << i / 2));
    }
    vowi_wheel_list(w, on, &list);
    assert_int_equal(vowi_wheel_count(w), 40);
    vowi_wheel_remove(w, &t[0]);
    vowi_wheel_remove(w, &t[38]);
    for (vow_timer *one; (one = vowi_wheel_unlist(w, &list)) != NULL; listed++)
        assert_ptr_equal(one->on, on);
    assert_int_equal(listed, 28);
    for (int i = 3; i < 40; i += 4)
        assert_ptr_equal(vowi_wheel_take_due(w, VOW_FOREVER), &t[i]);
    assert_int_equal(vowi_wheel_count(w), 0);
}

/* ---- against a model ----------------------------------------------------- */

/* What is armed, sorted by deadline, then by adding. */
struct model {
    vow_timer *sorted[TIMERS];
    size_t used;
    vow_ns now;
    uint64_t seed;
    uint64_t fired;
};

/* The place after all that are due at a time or before. */
static size_t
place_after(const struct model *m, vow_ns when)
{
    size_t low = 0;
    size_t high = m->used;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (m->sorted[middle]->when <= when)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
model_add(struct model *m, vow_timer *t)
{
    size_t at = place_after(m, t->when);

    memmove(&m->sorted[at + 1], &m->sorted[at], (m->used - at) * sizeof *m->sorted);
    m->sorted[at] = t;
    m->used++;
}

static void
model_remove(struct model *m, const vow_timer *t)
{
    size_t at = place_after(m, t->when) - 1;

    while (m->sorted[at] != t)
        at--;
    m->used--;
    memmove(&m->sorted[at], &m->sorted[at + 1], (m->used - at) * sizeof *m->sorted);
}

/* Of any size, short ones as often as long ones. */
static vow_ns
random_delay(struct model *m)
{
    uint64_t r = next_random(&m->seed);

    return (vow_ns)(r >> 1 >> (20 + r % 43));
}

static void
arm_or_cancel(struct vowi_wheel *w, struct model *m, vow_timer *t)
{
    if (vowi_timer_is_armed(t)) {
        model_remove(m, t);
        vowi_wheel_remove(w, t);
        return;
    }
    t->when = m->now + random_delay(m);
    if (next_random(&m->seed) % 16 == 0)
        t->when = m->now - random_delay(m); /* past */
    model_add(m, t);
    vowi_wheel_add(w, t);
}

static void
advance(struct vowi_wheel *w, struct model *m)
{
    size_t due;

    m->now += random_delay(m) >> next_random(&m->seed) % 16;
    due = place_after(m, m->now);
    for (size_t i = 0; i < due; i++)
        assert_ptr_equal(vowi_wheel_take_due(w, m->now), m->sorted[i]);
    assert_null(vowi_wheel_take_due(w, m->now));
    m->fired += due;
    m->used -= due;
    memmove(m->sorted, &m->sorted[due], m->used * sizeof *m->sorted);
    assert_true(vowi_wheel_next(w) > m->now);
    assert_true(m->used == 0 || vowi_wheel_next(w) <= m->sorted[0]->when);
    assert_int_equal(vowi_wheel_count(w), m->used);
}

VOW_CASE(renewed_wheel_has_nothing_and_takes_again_what_it_had)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer slot = {.home = NULL}, overdue = {.home = NULL}, fresh = {.home = NULL};

    add(w, &slot, 100);
    add(w, &overdue, -5);
    vowi_wheel_renew(w, 50);
    assert_int_equal(vowi_wheel_count(w), 0);
    assert_null(vowi_wheel_take_due(w, 1000));
    assert_true(vowi_wheel_disarm(w, &slot));
    assert_false(vowi_wheel_disarm(w, &slot));
    add(w, &overdue, 2000); /* whoever knows better need not disarm it */
    add(w, &fresh, 2001);
    assert_true(vowi_wheel_disarm(w, &fresh));
    assert_ptr_equal(vowi_wheel_take_due(w, 3000), &overdue);
    assert_false(vowi_wheel_disarm(w, &overdue));
    assert_int_equal(vowi_wheel_count(w), 0);
}

VOW_CASE(list_of_another_life_is_empty)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer list, listed = {.home = NULL};

    vowi_wheel_list_init(&list);
    add(w, &listed, 100);
    vowi_wheel_list_due(w, 100, &list);
    vowi_wheel_renew(w, 0);
    assert_null(vowi_wheel_unlist(w, &list));
    assert_int_equal(vowi_wheel_count(w), 0);
    assert_true(vowi_wheel_disarm(w, &listed));
}

/* They are a task's, which is posted with zeros in them. */
VOW_CASE(disarmed_one_has_its_reserved_bytes_zero_whatever_life_it_was_of)
{
    const vow_timer fresh = {.home = NULL};
    struct vowi_wheel *w = wheel_at(0);
    vow_timer earlier = {.home = NULL}, now = {.home = NULL};

    vowi_wheel_renew(w, 0);
    add(w, &earlier, 100);
    vowi_wheel_renew(w, 0);
    add(w, &now, 100);
    assert_true(earlier.task.reserved[2] != 0 && now.task.reserved[2] != 0);
    assert_true(vowi_wheel_disarm(w, &earlier));
    assert_true(vowi_wheel_disarm(w, &now));
    assert_memory_equal(earlier.task.reserved, fresh.task.reserved, 6);
    assert_memory_equal(now.task.reserved, fresh.task.reserved, 6);
}

VOW_CASE(millions_of_random_steps_agree_with_a_sorted_array)
{
    static struct model m = {.seed = 20231};
    static vow_timer timers[TIMERS];
    struct vowi_wheel *w = wheel_at(0);

    for (int step = 0; step < STEPS; step++) {
        if (m.now > INT64_MAX / 2) { /* once more round the clock */
            m.now = 0;
            m.used = 0;
            memset(timers, 0, sizeof timers);
            vowi_wheel_init(w, 0);
        }
        if (next_random(&m.seed) % 8 == 0)
            advance(w, &m);
        else
            arm_or_cancel(w, &m, &timers[next_random(&m.seed) % TIMERS]);
    }
    assert_true(m.fired > STEPS / 50);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(empty_wheel_has_nothing_due),
        vow_test(timer_of_any_delay_is_taken_at_its_time_and_not_before),
        vow_test(times_below_zero_and_at_both_ends_are_in_order),
        vow_test(equal_deadlines_come_in_the_order_of_adding_through_every_level),
        vow_test(overdue_ones_come_first_by_deadline_then_by_adding),
        vow_test(removed_one_leaves_the_others),
        vow_test(next_is_early_at_most_until_the_slot_is_entered),
        vow_test(list_of_what_is_due_grows_at_its_end_and_disarms_there_too),
        vow_test(list_takes_those_of_one_executor_and_disarms_there_too),
        vow_test(renewed_wheel_has_nothing_and_takes_again_what_it_had),
        vow_test(list_of_another_life_is_empty),
        vow_test(disarmed_one_has_its_reserved_bytes_zero_whatever_life_it_was_of),
        vow_test(millions_of_random_steps_agree_with_a_sorted_array),
    };

    return vow_test_run(cases);
}
