/* SPDX-License-Identifier: MIT */
/* A worker that is woken again and again gives way, and who posts lets it run. */
#include "vow_test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vow/vow.h>

#include "../executors/pool_internal.h"
#include "base/sys.h"
#include "base/time.h"
#include "sync/yield.h"
#include "yields.h"

/* ---- yields that were late ------------------------------------------------------------- */

VOW_CASE(yields_are_left_out_for_many_times_as_long_as_one_was_late)
{
    let_yields_from(0);
    vowi_yield_lasted(1000, 1000 + 3000000);
    assert_false(vowi_may_yield(3001000 + 64 * 3000000LL));
    assert_true(vowi_may_yield(3001000 + 128 * 3000000LL));
    let_yields_from(0);
}

VOW_CASE(yields_in_time_keep_from_none)
{
    let_yields_from(0);
    vowi_yield_lasted(1000, 1000 + 100000);
    assert_true(vowi_may_yield(1000));
    vowi_yield(vowi_monotonic_now() + 1000000000); /* it ends before that */
    assert_true(vowi_may_yield(1000));
}

VOW_CASE(yield_in_which_the_process_was_stopped_keeps_from_them_for_seconds_only)
{
    let_yields_from(0);
    vowi_yield_lasted(0, 1000 * 1000000000LL);
    assert_true(vowi_may_yield(1003 * 1000000000LL));
    let_yields_from(0);
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
    let_yields_from(0);
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

VOW_CASE(woken_worker_is_not_nowhere_while_yields_are_late)
{
    make_rushed();
    let_yields_from(INT64_MAX);
    assert_int_equal(vowi_pool_waker_cpu(), -1);
    worker.waker_cpu = -1;
    vowi_worker_note_wake(&bare, &worker);
    assert_int_equal(worker.rush, 0);
    let_yields_from(0);
    assert_int_not_equal(vowi_pool_waker_cpu(), -1);
}

/* A wake is soon if the one before was; how long it takes to say so is not known here. */
VOW_CASE(wakes_on_the_cpu_of_the_waker_are_counted_if_they_are_soon)
{
    make_rushed();
    worker.rush = 0;
    while (worker.rush == 0) {
        vowi_store_relaxed(&bare.idle, VOWI_SEARCHING + VOWI_NOWHERE);
        worker.waker_cpu = vowi_sys_cpu();
        worker.woken_at = vowi_monotonic_now();
        vowi_worker_note_wake(&bare, &worker);
        assert_int_equal(vowi_load_relaxed(&bare.idle), VOWI_SEARCHING);
    }
    worker.waker_cpu = INT_MAX;
    vowi_worker_note_wake(&bare, &worker);
    assert_int_equal(worker.rush, 0);
}

VOW_CASE(worker_does_not_give_way_while_yields_are_late)
{
    make_rushed();
    let_yields_from(INT64_MAX);
    assert_false(vowi_worker_gives_way(&bare, &worker));
    let_yields_from(0);
    assert_true(vowi_worker_gives_way(&bare, &worker));
}

/* ---- who posts --------------------------------------------------------------------------- */

static _Atomic(unsigned) yielded;

/* In the place of libc's. */
int
sched_yield(void)
{
    vowi_add_relaxed(&yielded, 1); /* relaxed: a count */
    return (int)syscall(SYS_sched_yield);
}

/* Posts as many as there are between two such yields. Returns how many. */
static unsigned
post_a_piece(void)
{
    const struct vowi_thread *t = vowi_self();
    unsigned posts = 0;

    do {
        vowi_pool_let_search();
        posts++;
    } while (t->until_let > 0);
    return posts;
}

static void
begin_to_post(void)
{
    struct vowi_thread *t = vowi_self();

    let_yields_from(INT64_MAX); /* that they are late changes nothing here */
    t->until_let = 0;
    t->let_at = INT64_MIN / 2;
}

VOW_CASE(thread_that_posts_while_nobody_is_at_a_search_lets_it_run_after_some_dozens)
{
    begin_to_post();
    assert_int_equal(post_a_piece(), 65); /* the first one asks */
    assert_int_equal(vowi_self()->piece, 64);
    let_yields_from(0);
    vowi_pool_let_search();
    assert_in_range(vowi_self()->until_let, 64, 68);
}

/* It may be on no CPU before this thread leaves its own, and nobody else is woken. */
VOW_CASE(thread_that_posts_lets_a_search_run_also_while_yields_are_late)
{
    begin_to_post();
    vowi_store_relaxed(&yielded, 0);
    vowi_pool_let_search();
    assert_int_equal(vowi_load_relaxed(&yielded), 1);
    vowi_pool_let_search(); /* not each time */
    assert_int_equal(vowi_load_relaxed(&yielded), 1);
    let_yields_from(0);
}

VOW_CASE(pieces_grow_while_a_rush_lasts_but_not_for_ever)
{
    struct vowi_thread *t = vowi_self();

    begin_to_post();
    vowi_pool_let_search();
    assert_int_equal(t->piece, 64);
    for (unsigned last = 64; last < 1024; last = t->piece) {
        t->until_let = 0;
        t->let_at = INT64_MAX / 2; /* however long this takes */
        vowi_pool_let_search();
        assert_int_equal(t->piece, last + last / 16 < 1024 ? last + last / 16 : 1024);
    }
    t->let_at = INT64_MAX / 2;
    t->until_let = 0;
    vowi_pool_let_search();
    assert_int_equal(t->piece, 1024);
    t->let_at = INT64_MIN / 2;
    t->until_let = 0;
    vowi_pool_let_search(); /* another rush */
    assert_int_equal(t->piece, 64);
    let_yields_from(0);
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
        vow_test(yields_are_left_out_for_many_times_as_long_as_one_was_late),
        vow_test(yields_in_time_keep_from_none),
        vow_test(yield_in_which_the_process_was_stopped_keeps_from_them_for_seconds_only),
        vow_test(worker_gives_way_and_still_searches),
        vow_test(worker_that_finds_nothing_gives_way_no_more),
        vow_test(worker_gives_way_only_as_it_searches_and_only_one_at_a_time),
        vow_test(woken_worker_is_not_nowhere_while_yields_are_late),
        vow_test(wakes_on_the_cpu_of_the_waker_are_counted_if_they_are_soon),
        vow_test(worker_does_not_give_way_while_yields_are_late),
        vow_test(
            thread_that_posts_while_nobody_is_at_a_search_lets_it_run_after_some_dozens),
        vow_test(thread_that_posts_lets_a_search_run_also_while_yields_are_late),
        vow_test(pieces_grow_while_a_rush_lasts_but_not_for_ever),
        vow_test(bursts_from_outside_are_run),
    };

    return vow_test_run(cases);
}
