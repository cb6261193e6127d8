/* SPDX-License-Identifier: MIT */
/* A loop that many posts keep busy steps aside, and who posts lets it run. */
#include "vow_test.h"

#include <pthread.h>

#include <vow/vow.h>

#include "../executors/loop_internal.h"
#include "base/sys.h"
#include "sync/yield.h"
#include "yields.h"

enum { PIECE = 1024, RUSH = 64, MS = 1000000 };

static int ran;

static void
runs(void *unused)
{
    (void)unused;
    ran++;
}

/* A loop that nobody runs, awake, after so many tasks that were posted from here. */
static vow_loop *
loop_after(uint64_t tasks)
{
    vow_loop *l = vow_loop_new(NULL);

    assert_non_null(l);
    vowi_loop_stay_awake(l);
    vowi_store_relaxed(&l->tasks, tasks);
    vowi_store_relaxed(&l->poster_cpu, vowi_sys_cpu());
    let_yields_from(0);
    return l;
}

static void
end_loop(vow_loop *l)
{
    vowi_loop_fall_asleep(l);
    assert_int_equal(vow_loop_run_once(l, 0) & ~VOW_E_TIMEDOUT, 0);
    vow_loop_unref(l);
    vowi_self()->until_yield = 0;
    let_yields_from(0);
}

/* The thread may go to another CPU at any time. */
static bool
gives_way_at_last(vow_loop *l)
{
    for (int i = 0; i < 1000; i++) {
        l->tasks_rested = 0;
        vowi_store_relaxed(&l->poster_cpu, vowi_sys_cpu());
        let_yields_from(0);
        if (vowi_loop_gives_way(l))
            return true;
    }
    return false;
}

VOW_CASE(loop_that_has_run_many_tasks_gives_way)
{
    vow_loop *l = loop_after(RUSH);

    assert_true(gives_way_at_last(l));
    assert_null(vowi_load_relaxed(&l->tail)); /* it is back */
    end_loop(l);
}

/* Threads inherit it. */
static void
stay_on_one_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)vowi_sys_cpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

/* Returns false if its time had come before it looked. */
static bool
gives_way_and_sleeps(vow_loop *l)
{
    vow_ns until = vowi_monotonic_now() + MS;

    vowi_loop_sleep(l, until);
    assert_true(vowi_monotonic_now() >= until);
    return l->tasks_rested == RUSH;
}

VOW_CASE(loop_that_has_given_way_sleeps_until_its_time)
{
    cpu_set_t before;
    bool gave_way = false;
    vow_loop *l;

    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    stay_on_one_cpu();
    l = loop_after(RUSH);
    for (int i = 0; i < 1000 && !gave_way; i++)
        gave_way = gives_way_and_sleeps(l);
    assert_true(gave_way);
    assert_int_equal(l->poll_error, 0);
    assert_null(vowi_load_relaxed(&l->tail)); /* awake */
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    end_loop(l);
}

VOW_CASE(loop_that_has_run_few_since_then_does_not)
{
    vow_loop *l = loop_after(RUSH - 1);

    assert_false(vowi_loop_gives_way(l));
    vowi_store_relaxed(&l->tasks, 2 * RUSH - 2);
    assert_false(vowi_loop_gives_way(l));
    end_loop(l);
}

VOW_CASE(loop_on_another_cpu_than_who_posts_does_not)
{
    vow_loop *l = loop_after(RUSH);

    vowi_store_relaxed(&l->poster_cpu, INT_MAX);
    assert_false(vowi_loop_gives_way(l));
    end_loop(l);
}

VOW_CASE(loop_does_not_give_way_while_yields_are_late)
{
    vow_loop *l = loop_after(RUSH);

    let_yields_from(INT64_MAX);
    assert_false(vowi_loop_gives_way(l));
    end_loop(l);
}

VOW_CASE(loop_with_posts_does_not_step_aside)
{
    vow_loop *l = loop_after(RUSH);

    assert_int_equal(vow_post(vow_loop_executor(l), runs, VOW_NIL), 0);
    assert_false(vowi_loop_gives_way(l));
    end_loop(l);
}

VOW_CASE(poster_lets_a_loop_that_is_aside_run_after_a_piece)
{
    vow_loop *l = loop_after(RUSH);
    vow_executor *on = vow_loop_executor(l);
    const struct vowi_thread *t = vowi_self();

    ran = 0;
    assert_true(vowi_loop_step_aside(l));
    assert_false(vowi_loop_has_posts(l));
    assert_int_equal(vow_post(on, runs, VOW_NIL), 0);
    assert_int_equal(t->until_yield, PIECE);
    vowi_loop_come_back(l); /* with a post that is there */
    assert_true(vowi_loop_has_posts(l));
    for (int i = 0; i < PIECE; i++)
        assert_int_equal(vow_post(on, runs, VOW_NIL), 0);
    assert_int_equal(t->until_yield, 0);
    assert_int_equal(vow_post(on, runs, VOW_NIL), 0);
    assert_int_equal(t->until_yield, 0);
    assert_int_equal(vow_loop_run_once(l, 0), 0);
    assert_int_equal(ran, PIECE + 2);
    end_loop(l);
}

VOW_CASE(poster_that_wakes_a_loop_says_where_from_and_does_not_yield)
{
    vow_loop *l = vow_loop_new(NULL);

    assert_non_null(l);
    assert_int_equal(vowi_load_relaxed(&l->poster_cpu), -1);
    assert_int_equal(vow_post(vow_loop_executor(l), runs, VOW_NIL), 0);
    assert_in_range(vowi_load_relaxed(&l->poster_cpu), 0, INT_MAX);
    assert_int_equal(vowi_self()->until_yield, 0);
    assert_int_equal(vow_loop_run_once(l, 0), 0);
    vow_loop_unref(l);
}

VOW_CASE(loop_that_is_aside_can_be_closed)
{
    vow_loop *l = loop_after(RUSH);
    vow_executor *on = vow_loop_executor(l);

    assert_true(vowi_loop_step_aside(l));
    vow_unref(vow_executor_close(on, VOW_CANCEL_QUEUED));
    assert_int_equal(vow_post(on, runs, VOW_NIL), VOW_E_CLOSED);
    assert_false(vowi_loop_step_aside(l));
    vowi_loop_come_back(l);
    assert_int_equal(vow_post(on, runs, VOW_NIL), VOW_E_CLOSED);
    vow_loop_unref(l);
}

/* ---- all together ------------------------------------------------------------------------ */

enum { POSTS = 100000 };

static void *
post_all(void *loop)
{
    for (int i = 0; i < POSTS; i++)
        assert_int_equal(vow_post(vow_loop_executor(loop), runs, VOW_NIL), 0);
    vow_loop_stop(loop);
    return NULL;
}

VOW_CASE(posts_in_a_row_on_one_cpu_are_run)
{
    vow_loop *l = vow_loop_new(NULL);
    cpu_set_t before;
    pthread_t poster;

    assert_non_null(l);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    stay_on_one_cpu();
    ran = 0;
    assert_int_equal(pthread_create(&poster, NULL, post_all, l), 0);
    assert_int_equal(vow_loop_run(l), 0);
    assert_int_equal(pthread_join(poster, NULL), 0);
    vow_loop_run_once(l, 0); /* what was left as it was stopped */
    assert_int_equal(ran, POSTS);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    vow_loop_unref(l);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(loop_that_has_run_many_tasks_gives_way),
        vow_test(loop_that_has_given_way_sleeps_until_its_time),
        vow_test(loop_that_has_run_few_since_then_does_not),
        vow_test(loop_on_another_cpu_than_who_posts_does_not),
        vow_test(loop_does_not_give_way_while_yields_are_late),
        vow_test(loop_with_posts_does_not_step_aside),
        vow_test(poster_lets_a_loop_that_is_aside_run_after_a_piece),
        vow_test(poster_that_wakes_a_loop_says_where_from_and_does_not_yield),
        vow_test(loop_that_is_aside_can_be_closed),
        vow_test(posts_in_a_row_on_one_cpu_are_run),
    };

    return vow_test_run(cases);
}
