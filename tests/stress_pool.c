/* SPDX-License-Identifier: MIT */
/*
 * Pools under everything at once: producers that submit at every priority, to queues with
 * and without room, tasks in turns, tasks that wait, post, or end their thread, cancels,
 * and a close in the middle. Each context is dropped once, each future settles, each
 * function runs as often as it should, and every thread's hooks come in pairs.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may take
 * (default 2000).
 */
#include "support/vow_test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/drops.h"
#include "support/stress.h"

enum { PRODUCERS = 4, EACH = 60 };

static uint64_t seed;

/* ---- what is submitted ------------------------------------------------------------------- */

enum kind { PLAIN, TURNS, NESTS, POSTS, LEAVES, KINDS };

struct item {
    struct drop d; /* first: its context is the item */
    vow_executor *pool;
    enum kind kind;
    int priority;
    int turns;  /* left */
    int inside; /* another thread is inside: never two at once */
    vow_future *f;
};

static atomic_int errands;

static void
count_errand(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&errands, 1);
}

static vow_result
give_one(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(1));
}

static int
post_all_priorities(vow_executor *pool)
{
    int refused = 0;

    for (int i = 0; i < 3; i++)
        refused += vow_post(pool, count_errand, VOW_NIL) != 0;
    return refused;
}

/* Waits for a task of its own pool. It may be refused, or be closed. */
static vow_result
nest(struct item *it)
{
    vow_future *f =
        vow_submit_with(it->pool, &VOW_SUBMIT_OPTIONS(.priority = (it->priority + 1) % 5),
                        give_one, VOW_NIL);
    int code = code_of(f);

    assert_true(code == 0 || code == VOW_E_CLOSED);
    vow_unref(f);
    return vow_ok(VOW_NIL);
}

static vow_result
run_item(void *ctx)
{
    struct item *it = ctx;
    vow_result r = vow_ok(VOW_NIL);

    assert_int_equal(it->inside++, 0); /* plain: turns are ordered, or a sanitizer says */
    assert_int_equal(drop_count(&it->d), 0);
    if (it->kind == NESTS)
        r = nest(it);
    if (it->kind == POSTS)
        (void)post_all_priorities(it->pool);
    it->inside--;
    if (it->kind == TURNS && it->turns-- > 0)
        return vow_yield_task();
    if (it->kind == LEAVES && vow_executor_current() == it->pool) /* not in the caller */
        pthread_exit(NULL);
    return r;
}

static void
submit_item(struct item *it, struct dice *d)
{
    it->kind = (enum kind)roll(d, KINDS);
    if (it->kind == LEAVES && roll(d, 20) != 0)
        it->kind = PLAIN;
    it->priority = (int)roll(d, 5);
    it->turns = (int)roll(d, 6);
    it->f = vow_submit_with(it->pool, &VOW_SUBMIT_OPTIONS(.priority = it->priority),
                            run_item, vow_own(it, drop_it));
    if (roll(d, 8) == 0)
        vow_future_cancel(it->f, NULL);
}

/* ---- a round ------------------------------------------------------------------------------ */

struct producer {
    vow_executor *pool;
    pthread_t thread;
    struct dice dice;
    struct item items[EACH];
};

static void *
produce(void *arg)
{
    struct producer *p = arg;

    for (int i = 0; i < EACH; i++) {
        p->items[i].pool = p->pool;
        submit_item(&p->items[i], &p->dice);
    }
    return NULL;
}

static void
check(struct producer *p)
{
    for (int i = 0; i < EACH; i++) {
        struct item *it = &p->items[i];
        int code = code_of(it->f);

        if (code != 0 && code != VOW_E_CLOSED && code != VOW_E_LIMIT &&
            code != VOW_E_CANCELLED && code != VOW_E_BROKEN)
            fail_msg("code %d", code);
        if (code == VOW_E_BROKEN)
            assert_int_equal(it->kind, LEAVES);
        vow_unref(it->f);
        assert_int_equal(drop_count(&it->d), 1);
    }
}

static atomic_int running;

static void
note_start(unsigned worker, void *ctx)
{
    (void)worker;
    (void)ctx;
    atomic_fetch_add(&running, 1);
}

static void
note_stop(unsigned worker, void *ctx)
{
    (void)worker;
    (void)ctx;
    atomic_fetch_sub(&running, 1);
}

static vow_executor *
random_pool(struct dice *d)
{
    vow_executor *pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 1 + roll(d, 3),
                          .queue_limit = roll(d, 3) == 0 ? 0 : 1 + roll(d, 40),
                          .when_full = (vow_when_full)roll(d, 4), .on_start = note_start,
                          .on_stop = note_stop));

    assert_non_null(pool);
    return pool;
}

static void
play_round(struct dice *d)
{
    static struct producer producers[PRODUCERS];
    vow_executor *pool = random_pool(d);
    vow_close_mode mode = roll(d, 2) == 0 ? VOW_DRAIN : VOW_CANCEL_QUEUED;
    bool early = roll(d, 2) == 0;

    memset(producers, 0, sizeof producers);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].pool = pool;
        producers[i].dice.state = d->state + (uint64_t)i * 7919 + 1;
        assert_int_equal(
            pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = early ? roll(d, 50) : 0; i > 0; i--)
        sched_yield();
    if (early)
        vow_unref(vow_executor_close(pool, mode));
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    vow_unref(vow_executor_close(pool, mode));
    assert_int_equal(vow_executor_join(pool), 0);
    for (int i = 0; i < PRODUCERS; i++)
        check(&producers[i]);
    vow_executor_unref(pool);
    assert_int_equal(running, 0);
}

VOW_CASE(pools_under_everything_lose_nothing)
{
    vow_ns until = vow_clock_now(NULL) + stress_duration(2000);
    struct dice dice = {seed | 1};
    int rounds = 0;

    for (; vow_clock_now(NULL) < until || rounds == 0; rounds++)
        play_round(&dice);
    print_message("%d rounds\n", rounds);
}

static void
ignore_unhandled(const vow_unhandled *u, void *ctx)
{
    (void)u;
    (void)ctx;
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(pools_under_everything_lose_nothing),
    };

    vow_on_unhandled(ignore_unhandled, NULL);
    seed = stress_seed();
    return vow_test_run(cases);
}
