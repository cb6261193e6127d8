/* SPDX-License-Identifier: MIT */
/*
 * Serial executors under threads that post, close and let go, on a pool, inline, and on
 * an executor that refuses now and then: each task ends once, in order, none at once.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long all cases may
 * take together (default 1000).
 */
#include "support/vow_test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/drops.h"
#include "support/pool_fixture.h"
#include "support/stress.h"

enum { PRODUCERS = 3, EACH = 300, CASES = 3 };

/* Of the whole run; each thread has its own, made from them. */
static struct dice dice;

/* ---- an executor that refuses now and then ---------------------------------------------- */

struct moody {
    vow_executor base;
    vow_executor *pool;
    atomic_uint posts;
};

static int
post_moody(vow_executor *self, vow_task *task)
{
    struct moody *m = (struct moody *)(void *)self;

    if (atomic_fetch_add(&m->posts, 1) % 3 == 0)
        return VOW_E_LIMIT;
    return vow_post_task(m->pool, task);
}

static const vow_executor_ops moody_ops = {
    .size = sizeof(vow_executor_ops), .name = "moody", .post = post_moody};

/* ---- a round ------------------------------------------------------------------------------ */

struct round;

struct job {
    vow_task task;
    struct round *round;
    int producer, number;
    atomic_int ended; /* runs, and refusals */
};

struct producer {
    struct round *round;
    int index;
    struct dice dice;
    pthread_t thread;
};

struct round {
    vow_executor *serial;
    struct producer producers[PRODUCERS];
    struct job jobs[PRODUCERS][EACH];
    int last[PRODUCERS]; /* what ran last: written by tasks alone */
    int ran;             /* likewise */
    atomic_int inside, refused, ended;
};

static struct round
    round_now; /* not on the stack: a case that fails leaves its threads */

static void
run_job(vow_task *task, int why)
{
    struct job *j = (struct job *)(void *)task;
    struct round *r = j->round;

    atomic_fetch_add(&j->ended, 1);
    if (why != 0) {
        atomic_fetch_add(&r->ended, 1);
        return;
    }
    assert_int_equal(atomic_fetch_add(&r->inside, 1), 0);
    assert_true(j->number > r->last[j->producer]);
    r->last[j->producer] = j->number;
    r->ran++;
    atomic_fetch_sub(&r->inside, 1);
}

static void *
produce(void *arg)
{
    struct producer *p = arg;
    struct round *r = p->round;

    for (int i = 0; i < EACH; i++) {
        struct job *j = &r->jobs[p->index][i];

        if (vow_post_task(r->serial, &j->task) != 0) {
            atomic_fetch_add(&r->refused, 1);
            atomic_fetch_add(&j->ended, 1);
        }
        if (roll(&p->dice, 16) == 0)
            sched_yield();
    }
    vow_executor_unref(r->serial);
    return NULL;
}

static void
prepare(struct round *r, vow_executor *on)
{
    static const struct round empty;

    *r = empty;
    r->serial = vow_serial_new(on);
    assert_non_null(r->serial);
    for (int p = 0; p < PRODUCERS; p++) {
        r->last[p] = -1;
        r->producers[p] = (struct producer){
            .round = r, .index = p, .dice = {dice.state * 2654435761u + (uint64_t)p + 1}};
        for (int i = 0; i < EACH; i++)
            r->jobs[p][i] =
                (struct job){.task.run = run_job, .round = r, .producer = p, .number = i};
    }
}

static void
join_producers(struct round *r)
{
    for (int p = 0; p < PRODUCERS; p++)
        pthread_join(r->producers[p].thread, NULL);
}

/* Closes it after a while, sometimes in two steps. */
static vow_future *
close_somehow(struct round *r)
{
    for (unsigned n = roll(&dice, 400); n > 0; n--)
        sched_yield();
    if (roll(&dice, 2) == 0)
        vow_unref(vow_executor_close(r->serial, VOW_DRAIN));
    return vow_executor_close(r->serial,
                              roll(&dice, 3) == 0 ? VOW_DRAIN : VOW_CANCEL_QUEUED);
}

static void
check(struct round *r)
{
    for (int p = 0; p < PRODUCERS; p++)
        for (int i = 0; i < EACH; i++)
            assert_int_equal(atomic_load(&r->jobs[p][i].ended), 1);
    assert_int_equal(r->ran + atomic_load(&r->refused) + atomic_load(&r->ended),
                     PRODUCERS * EACH);
}

static void
run_round(vow_executor *on)
{
    struct round *r = &round_now;
    vow_future *closed;

    prepare(r, on);
    for (int p = 0; p < PRODUCERS; p++) {
        struct producer *producer = &r->producers[p];

        vow_executor_ref(r->serial);
        assert_int_equal(pthread_create(&producer->thread, NULL, produce, producer), 0);
    }
    if (roll(&dice, 2) == 0) {
        closed = close_somehow(r);
        join_producers(r);
    } else {
        join_producers(r);
        closed = close_somehow(r);
    }
    vow_executor_unref(r->serial);
    assert_int_equal(code_of(closed), 0);
    vow_unref(closed);
    check(r);
}

static void
run_rounds(vow_executor *on)
{
    vow_ns until = vow_clock_now(NULL) + stress_duration(1000) / CASES;
    int rounds = 0;

    do {
        run_round(on);
        rounds++;
    } while (vow_clock_now(NULL) < until);
    printf("%d rounds\n", rounds);
}

static vow_executor *
pool_new(void)
{
    vow_executor *pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));

    assert_non_null(pool);
    return pool;
}

VOW_CASE(tasks_on_a_pool_end_once_in_order)
{
    vow_executor *pool = pool_new();

    run_rounds(pool);
    pool_free(pool);
}

VOW_CASE(tasks_inline_end_once_in_order)
{
    run_rounds(NULL);
}

VOW_CASE(tasks_on_an_executor_that_refuses_end_once_in_order)
{
    struct moody m = {.base.ops = &moody_ops, .pool = pool_new()};

    run_rounds(&m.base);
    pool_free(m.pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(tasks_on_a_pool_end_once_in_order),
        vow_test(tasks_inline_end_once_in_order),
        vow_test(tasks_on_an_executor_that_refuses_end_once_in_order),
    };

    dice.state = stress_seed() | 1;
    return vow_test_run(cases);
}
