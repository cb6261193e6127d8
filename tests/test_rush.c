/* SPDX-License-Identifier: MIT */
/* A worker that is woken again and again gives way, and who posts lets it run. */
#include "vow_test.h"

#include <pthread.h>
#include <string.h>

#include <vow/vow.h>

#include "../executors/pool_internal.h"
#include "base/sys.h"
#include "base/time.h"
#include "sync/yield.h"

/* ---- yields that were late ------------------------------------------------------------- */

static void
forget_crowd(struct vowi_thread *t)
{
    t->crowd = t->crowded = 0;
}

VOW_CASE(yields_are_left_out_after_a_late_one)
{
    struct vowi_thread *t = vowi_self();

    forget_crowd(t);
    vowi_yield_lasted(t, VOWI_YIELD_TOO_LATE + 1);
    assert_int_equal(t->crowded, 8);
    for (unsigned left = 8; left-- > 0;) {
        vowi_yield(t);
        assert_int_equal(t->crowded, left);
    }
    assert_false(vowi_yield_is_crowded(t));
    forget_crowd(t);
}

VOW_CASE(yields_are_left_out_for_longer_if_that_happens_again)
{
    struct vowi_thread *t = vowi_self();

    forget_crowd(t);
    for (unsigned n = 8; n <= 1024; n *= 2) {
        vowi_yield_lasted(t, VOWI_YIELD_TOO_LATE + 1);
        assert_int_equal(t->crowded, n);
    }
    vowi_yield_lasted(t, VOWI_YIELD_TOO_LATE + 1);
    assert_int_equal(t->crowded, 1024);
    t->crowded = 0;
    vowi_yield_lasted(t, 1);
    assert_int_equal(t->crowd, 1023);
    forget_crowd(t);
}

/* ---- giving way ------------------------------------------------------------------------ */

static struct vowi_pool bare;
static struct vowi_worker worker;

static void
make_rushed(void)
{
    memset(&bare, 0, sizeof bare);
    memset(&worker, 0, sizeof worker);
    worker.searching = true;
    worker.rush = 1000;
    worker.gave_way_at = 1;
    vowi_store_relaxed(&bare.idle, VOWI_SEARCHING);
}

VOW_CASE(worker_gives_way_and_still_searches)
{
    make_rushed();
    assert_true(vowi_worker_gives_way(&bare, &worker));
    assert_true(worker.searching);
    assert_int_equal(vowi_load_relaxed(&bare.idle), VOWI_SEARCHING);
}

VOW_CASE(worker_that_finds_nothing_gives_way_no_more)
{
    make_rushed();
    assert_true(vowi_worker_gives_way(&bare, &worker));
    assert_false(vowi_worker_gives_way(&bare, &worker));
    vowi_count(&worker.tasks);
    vowi_count(&worker.tasks);
    assert_false(vowi_worker_gives_way(&bare, &worker));
}

VOW_CASE(worker_gives_way_only_as_it_searches_and_only_one_at_a_time)
{
    make_rushed();
    worker.searching = false;
    assert_false(vowi_worker_gives_way(&bare, &worker));
    worker.searching = true;
    vowi_store_relaxed(&bare.idle, VOWI_SEARCHING * 2 + VOWI_NOWHERE);
    assert_false(vowi_worker_gives_way(&bare, &worker));
    assert_true(worker.searching);
}

VOW_CASE(search_that_was_taken_over_is_not_taken_twice)
{
    make_rushed();
    vowi_store_relaxed(&bare.idle, VOWI_SEARCHING + VOWI_NOWHERE);
    assert_true(vowi_worker_is_back(&bare));
    assert_false(vowi_worker_is_back(&bare));
}

/* A wake is soon if the one before was; how long it takes to say so is not known here. */
VOW_CASE(wakes_on_the_cpu_of_the_waker_are_counted_if_they_are_soon)
{
    make_rushed();
    vowi_worker_note_wake(&worker); /* the first one is not */
    assert_int_equal(worker.rush, 0);
    while (worker.rush == 0) {
        worker.waker_cpu = vowi_sys_cpu();
        worker.woken_at = vowi_monotonic_now();
        vowi_worker_note_wake(&worker);
    }
    worker.waker_cpu = -1;
    vowi_worker_note_wake(&worker);
    assert_int_equal(worker.rush, 0);
}

VOW_CASE(thread_that_posts_much_while_nobody_is_at_a_search_yields)
{
    struct vowi_thread *t = vowi_self();

    forget_crowd(t);
    t->crowded = 10;
    t->unseen = 0;
    for (int i = 0; i < 63; i++)
        vowi_pool_let_search();
    assert_int_equal(t->crowded, 10);
    vowi_pool_let_search();
    assert_int_equal(t->crowded, 9); /* it would have */
    forget_crowd(t);
}

/* ---- all together ------------------------------------------------------------------------ */

enum { BURSTS = 200, TASKS = 500 };

static _Atomic(unsigned) ran;

static void
runs(void *unused)
{
    (void)unused;
    vowi_add_relaxed(&ran, 1); /* relaxed: read after the join */
}

static vow_result
ends(void *unused)
{
    (void)unused;
    return vow_ok(VOW_NIL);
}

VOW_CASE(bursts_from_outside_are_run)
{
    vow_executor *pool;

    vowi_store_relaxed(&ran, 0);
    pool = vow_pool_new(NULL);
    assert_non_null(pool);
    for (int i = 0; i < BURSTS; i++) {
        vow_future *last;

        for (int k = 1; k < TASKS; k++)
            assert_int_equal(vow_post(pool, runs, VOW_NIL), 0);
        last = vow_submit(pool, ends, VOW_NIL);
        assert_null(vow_get(last).error);
        vow_unref(last);
    }
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
    assert_int_equal(vowi_load_relaxed(&ran), BURSTS * (TASKS - 1));
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(yields_are_left_out_after_a_late_one),
        vow_test(yields_are_left_out_for_longer_if_that_happens_again),
        vow_test(worker_gives_way_and_still_searches),
        vow_test(worker_that_finds_nothing_gives_way_no_more),
        vow_test(worker_gives_way_only_as_it_searches_and_only_one_at_a_time),
        vow_test(search_that_was_taken_over_is_not_taken_twice),
        vow_test(wakes_on_the_cpu_of_the_waker_are_counted_if_they_are_soon),
        vow_test(thread_that_posts_much_while_nobody_is_at_a_search_yields),
        vow_test(bursts_from_outside_are_run),
    };

    return vow_test_run(cases);
}
