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
    assert_in_range(looks, 1, 2 * VOWI_WHEEL_LEVELS); /* one ahead, one to enter it */
    assert_ptr_equal(vowi_wheel_take_due(w, vowi_wheel_next(w)), &t[0]);
}

/* ---- ahead --------------------------------------------------------------- */

#define UNIT4 ((vow_ns)1 << 4 * VOWI_WHEEL_BITS) /* of a level that is spread ahead */
#define UNIT5 ((vow_ns)1 << 5 * VOWI_WHEEL_BITS)

/* All in the next slot of the level of 34 ms, most of them at one time. */
#define CROWD 100
static vow_timer *
crowd(struct vowi_wheel *w)
{
    static vow_timer t[CROWD];

    memset(t, 0, sizeof t);
    for (int i = 0; i < CROWD; i++)
        add(w, &t[i], UNIT5 + (i % 3 == 2 ? 5000 + i * 1000 : 5000));
    return t;
}

static int
length_of(const vow_timer *ring)
{
    const vow_timer *t = ring;
    int n = 0;

    if (ring != NULL)
        do
            n++;
        while ((t = t->next) != ring);
    return n;
}

VOW_CASE(slot_is_spread_ahead_a_few_timers_at_a_time)
{
    struct vowi_wheel *w = wheel_at(0);
    int calls = 0, left = CROWD;

    crowd(w);
    assert_int_equal(length_of(w->slots[5][1]), CROWD);
    for (bool more = true; more; calls++) {
        int before = left;

        more = vowi_wheel_ahead(w);
        left = length_of(w->slots[5][1]);
        assert_in_range(before - left, 1, 32);
    }
    assert_int_equal(left, 0);
    assert_in_range(calls, 1 + CROWD / 32, 2 + CROWD / 32);
    assert_int_equal(vowi_wheel_count(w), CROWD);
    assert_in_range(vowi_wheel_next(w), 1, UNIT5 + 5000);
}

VOW_CASE(nothing_is_to_be_spread_ahead_of_a_wheel_that_has_nothing_near)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer t = {.home = NULL};

    assert_false(vowi_wheel_ahead(w));
    add(w, &t, 2 * UNIT5);
    assert_false(vowi_wheel_ahead(w));
    assert_ptr_equal(w->slots[5][2], &t);
    assert_ptr_equal(vowi_wheel_take_due(w, 2 * UNIT5), &t);
}

/* Those armed later stay behind those of the same deadline that are not yet spread, and
 * when all are they do not wait in the upper slot. */
VOW_CASE(equal_deadlines_keep_their_order_while_their_slot_is_spread)
{
    for (int calls = 0; calls < 6; calls++) {
        struct vowi_wheel *w = wheel_at(0);
        vow_timer later[2] = {{.home = NULL}};
        vow_timer *t = crowd(w);
        bool more = true;

        for (int i = 0; i < calls; i++)
            more = vowi_wheel_ahead(w);
        add(w, &later[0], UNIT5 + 5000);
        assert_true((w->slots[5][1] != NULL) == more);
        vowi_wheel_ahead(w);
        add(w, &later[1], UNIT5 + 5000);
        for (int i = 0; i < CROWD; i++)
            if (t[i].when <= UNIT5 + 5000)
                assert_ptr_equal(vowi_wheel_take_due(w, UNIT5 + 5000), &t[i]);
        assert_ptr_equal(vowi_wheel_take_due(w, UNIT5 + 5000), &later[0]);
        assert_ptr_equal(vowi_wheel_take_due(w, UNIT5 + 5000), &later[1]);
        assert_null(vowi_wheel_take_due(w, UNIT5 + 5000));
    }
}

/* Whatever is taken out, first or last of either ring, the rest are all there. */
VOW_CASE(disarming_in_the_middle_of_a_spread_leaves_the_others)
{
    for (int gone = 0; gone < CROWD; gone++) {
        struct vowi_wheel *w = wheel_at(0);
        vow_timer *t = crowd(w);
        vow_ns last = 0;
        int taken = 0;

        vowi_wheel_ahead(w);
        vowi_wheel_remove(w, &t[gone]);
        vowi_wheel_ahead(w);
        vowi_wheel_remove(w, &t[(gone + 50) % CROWD]);
        for (vow_timer *one; (one = vowi_wheel_take_due(w, VOW_FOREVER)) != NULL;
             taken++) {
            assert_true(one->when >= last);
            last = one->when;
        }
        assert_int_equal(taken, CROWD - 2);
        assert_int_equal(vowi_wheel_count(w), 0);
        assert_int_equal(vowi_wheel_next(w), VOW_FOREVER);
    }
}

VOW_CASE(listing_in_the_middle_of_a_spread_takes_all_of_both_rings)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer *t = crowd(w);
    vow_timer list;
    int listed[2] = {0};

    for (int i = 0; i < CROWD; i++)
        t[i].on = i % 2 == 0 ? vow_inline() : NULL;
    vowi_wheel_ahead(w);
    vowi_wheel_list(w, vow_inline(), &list);
    vowi_wheel_ahead(w);
    for (vow_timer *one; (one = vowi_wheel_unlist(w, &list)) != NULL; listed[0]++)
        assert_ptr_equal(one->on, vow_inline());
    while (vowi_wheel_take_due(w, VOW_FOREVER) != NULL)
        listed[1]++;
    assert_int_equal(listed[0], CROWD / 2);
    assert_int_equal(listed[1], CROWD / 2);
}

/* What is left of a slot comes before what was spread already, if it is due earlier. */
VOW_CASE(slot_that_is_entered_when_partly_spread_is_in_order)
{
    struct vowi_wheel *w = wheel_at(0);
    vow_timer t[40] = {{.home = NULL}};

    for (int i = 0; i < 40; i++)
        add(w, &t[i], UNIT5 + (40 - i) * UNIT4 / 2);
    assert_true(vowi_wheel_ahead(w));
    assert_int_equal(vowi_wheel_next(w), UNIT5 + UNIT4 / 2);
    for (int i = 39; i >= 0; i--) {
        assert_null(vowi_wheel_take_due(w, t[i].when - 1));
        assert_ptr_equal(vowi_wheel_take_due(w, t[i].when), &t[i]);
    }
}

/* Timers in slots of 1 ms and more that begin at a time or before. */
static int
to_be_spread_at(const struct vowi_wheel *w, vow_ns now)
{
    int n = 0;

    for (unsigned level = 4; level < VOWI_WHEEL_LEVELS; level++)
        n += length_of(w->slots[level][((uint64_t)now >> level * VOWI_WHEEL_BITS) %
                                       VOWI_WHEEL_SLOTS]);
    return n;
}

/* What bounded steps are for: that little is left to do when the time of a slot comes. */
VOW_CASE(slot_is_spread_when_its_time_comes_if_its_owner_sleeps_as_it_is_told)
{
    static vow_timer t[5000];
    struct vowi_wheel *w = wheel_at(0);
    uint64_t seed = 5;
    int taken = 0, looks = 0;

    memset(t, 0, sizeof t);
    for (int i = 0; i < 5000; i++)
        add(w, &t[i], vow_ms(40) + (vow_ns)(next_random(&seed) % (uint64_t)vow_ms(3000)));
    for (vow_ns now = 0; taken < 5000; now = vowi_wheel_next(w), looks++) {
        assert_true(to_be_spread_at(w, now) <= 16);
        while (vowi_wheel_take_due(w, now) != NULL)
            taken++;
        while (vowi_wheel_ahead(w))
            assert_null(vowi_wheel_take_due(w, now));
    }
    assert_true(looks < 2 * 5000);
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
    bool crowded; /* delays of some milliseconds, many of them to the same deadlines */
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

/* Mostly in the next two units of one level, for some thousand steps: so many more of them than
 * are spread at once, and few deadlines. */
static vow_ns
random_deadline(struct model *m)
{
    unsigned shift = VOWI_WHEEL_BITS * (3 + (unsigned)(m->fired >> 12 & 3));
    uint64_t r = next_random(&m->seed);
    vow_ns unit = ((m->now >> shift) + 1 + (r % 8 == 0)) << shift;

    if (!m->crowded || r % 16 == 1)
        return m->now + random_delay(m);
    return unit + ((vow_ns)(r >> 8 & 7) << (r >> 11 & 31));
}

static void
arm_or_cancel(struct vowi_wheel *w, struct model *m, vow_timer *t)
{
    if (vowi_timer_is_armed(t)) {
        model_remove(m, t);
        vowi_wheel_remove(w, t);
        return;
    }
    t->when = random_deadline(m);
    if (next_random(&m->seed) % 16 == 0)
        t->when = m->now - random_delay(m); /* past */
    model_add(m, t);
    vowi_wheel_add(w, t);
}

static void
advance(struct vowi_wheel *w, struct model *m)
{
    size_t due;

    if (m->crowded)
        m->now += (vow_ns)(next_random(&m->seed) >> (34 + next_random(&m->seed) % 30));
    else
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

/* Lists all of one executor, and disarms or takes them. */
static void
revoke(struct vowi_wheel *w, struct model *m)
{
    vow_timer list;
    vow_timer *t;
    size_t left = 0;

    vowi_wheel_list(w, vow_inline(), &list);
    assert_int_equal(vowi_wheel_count(w), m->used);
    while ((t = list.next) != &list) {
        assert_ptr_equal(t->on, vow_inline());
        if (next_random(&m->seed) % 2 == 0)
            vowi_wheel_remove(w, t);
        else
            assert_ptr_equal(vowi_wheel_unlist(w, &list), t);
        model_remove(m, t);
    }
    for (size_t i = 0; i < m->used; i++)
        left += m->sorted[i]->on == vow_inline();
    assert_int_equal(left, 0);
}

static void
step(struct vowi_wheel *w, struct model *m, vow_timer *timers)
{
    uint64_t r = next_random(&m->seed);

    if (r % 8 == 0)
        advance(w, m);
    else if (r % 8 == 1)
        vowi_wheel_ahead(w);
    else if (r % 4096 == 2)
        revoke(w, m);
    else
        arm_or_cancel(w, m, &timers[next_random(&m->seed) % TIMERS]);
}

static void
compare(struct model *m, int steps)
{
    static vow_timer timers[TIMERS];
    struct vowi_wheel *w = wheel_at(m->now);

    memset(timers, 0, sizeof timers);
    for (int i = 0; i < TIMERS; i++)
        timers[i].on = i % 16 == 0 ? vow_inline() : NULL;
    for (int i = 0; i < steps; i++) {
        if (m->now > INT64_MAX / 2) { /* once more round the clock */
            m->now = 0;
            while (m->used > 0)
                vowi_wheel_remove(w, m->sorted[--m->used]);
            vowi_wheel_init(w, 0);
        }
        step(w, m, timers);
    }
    assert_true(m->fired > (uint64_t)steps / 50);
}

VOW_CASE(millions_of_random_steps_agree_with_a_sorted_array)
{
    static struct model m = {.seed = 20231};

    compare(&m, STEPS);
}

VOW_CASE(millions_of_steps_in_crowded_slots_agree_with_a_sorted_array)
{
    static struct model m = {.seed = 7, .crowded = true};

    compare(&m, STEPS / 2);
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
        vow_test(slot_is_spread_ahead_a_few_timers_at_a_time),
        vow_test(nothing_is_to_be_spread_ahead_of_a_wheel_that_has_nothing_near),
        vow_test(equal_deadlines_keep_their_order_while_their_slot_is_spread),
        vow_test(disarming_in_the_middle_of_a_spread_leaves_the_others),
        vow_test(listing_in_the_middle_of_a_spread_takes_all_of_both_rings),
        vow_test(slot_that_is_entered_when_partly_spread_is_in_order),
        vow_test(slot_is_spread_when_its_time_comes_if_its_owner_sleeps_as_it_is_told),
        vow_test(list_of_what_is_due_grows_at_its_end_and_disarms_there_too),
        vow_test(list_takes_those_of_one_executor_and_disarms_there_too),
        vow_test(renewed_wheel_has_nothing_and_takes_again_what_it_had),
        vow_test(list_of_another_life_is_empty),
        vow_test(disarmed_one_has_its_reserved_bytes_zero_whatever_life_it_was_of),
        vow_test(millions_of_random_steps_agree_with_a_sorted_array),
        vow_test(millions_of_steps_in_crowded_slots_agree_with_a_sorted_array),
    };

    return vow_test_run(cases);
}
