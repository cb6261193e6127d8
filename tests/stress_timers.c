/* SPDX-License-Identifier: MIT */
/*
 * Timers at random: three threads arm, disarm, re-arm and cancel on a pool and on a serial
 * executor behind it, by the timer thread, while a fourth closes one of them at some
 * moment. Every timer that was accepted runs once or is removed, none early; every future
 * settles; every context is dropped once.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long it may take
 * (default 2000).
 */
#include "support/vow_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "support/drops.h"
#include "support/stress.h"

enum { THREADS = 3, TIMERS = 64, STEPS = 400 };

/* A timer and what became of it. */
struct slot {
    vow_timer timer; /* first: the task is all that its run gets */
    atomic_int runs;
    atomic_int early;
    int accepted;
    int removed;
};

/* A future of a later task, which another thread may cancel. */
struct later {
    vow_future *f;
    struct drop ctx;
};

struct arena {
    vow_executor *pool;
    vow_executor *serial;
    struct slot slots[THREADS][TIMERS];
    struct later laters[THREADS][TIMERS];
    atomic_bool ready[THREADS][TIMERS]; /* of laters: made */
    pthread_barrier_t line;
    uint64_t seed;
};

struct actor {
    struct arena *arena;
    int lane;
    struct dice dice;
    pthread_t thread;
};

static vow_ns
soon(struct actor *a)
{
    return vow_clock_now(NULL) +
           (vow_ns)roll(&a->dice, 4) * (vow_ns)roll(&a->dice, 100000) - 1000;
}

static vow_executor *
either(struct actor *a)
{
    return roll(&a->dice, 2) == 0 ? a->arena->pool : a->arena->serial;
}

static void
ring(vow_task *task, int why)
{
    struct slot *s = (struct slot *)(void *)task;

    if (why == 0 && vow_clock_now(NULL) < s->timer.when)
        atomic_store(&s->early, 1);
    atomic_fetch_add(&s->runs, 1);
}

/* Arms a slot whose last timer has ended, and half the time takes it back. */
static void
use_slot(struct actor *a, struct slot *s)
{
    if (atomic_load(&s->runs) + s->removed != s->accepted)
        return;
    if (s->accepted != 0 && vow_timer_disarm(&s->timer) == VOW_RUNNING)
        return; /* its run has not returned */
    if (vow_timer_arm(either(a), &s->timer, soon(a)) != 0)
        return;
    s->accepted++;
    if (roll(&a->dice, 4) == 0)
        (void)vow_timer_rearm(&s->timer, soon(a));
    if (roll(&a->dice, 2) == 0)
        s->removed += vow_timer_disarm(&s->timer) == VOW_REMOVED;
}

static vow_result
run_later(void *ctx)
{
    drop_ran(ctx);
    return vow_ok(VOW_NIL);
}

static vow_result
run_often(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_sleep(NULL, 1000));
}

static void
run_after(void *ctx)
{
    drop_ran(ctx);
}

static void
make_later(struct actor *a, int i)
{
    struct later *l = &a->arena->laters[a->lane][i];
    vow_value ctx = drop_value(&l->ctx);

    if (i % 8 == 0)
        l->f = vow_submit_every(either(a), 20000, VOW_MISSED_SKIP, run_often, ctx);
    else if (i % 8 == 1)
        l->f = vow_finally(vow_sleep(NULL, (vow_ns)roll(&a->dice, 100000)), NULL,
                           run_after, ctx);
    else
        l->f = vow_submit_at(either(a), soon(a), run_later, ctx);
    atomic_store(&a->arena->ready[a->lane][i], true);
}

/* One of another thread's, if it is there already. */
static void
cancel_other(struct actor *a)
{
    int lane = (int)roll(&a->dice, THREADS);
    int i = (int)roll(&a->dice, TIMERS);

    if (atomic_load(&a->arena->ready[lane][i]))
        vow_future_cancel(a->arena->laters[lane][i].f, NULL);
}

static void *
act(void *actor)
{
    struct actor *a = actor;

    pthread_barrier_wait(&a->arena->line);
    for (int step = 0; step < STEPS; step++) {
        use_slot(a, &a->arena->slots[a->lane][roll(&a->dice, TIMERS)]);
        if (step % (STEPS / TIMERS) == 0 && step / (STEPS / TIMERS) < TIMERS)
            make_later(a, step / (STEPS / TIMERS));
        if (roll(&a->dice, 4) == 0)
            cancel_other(a);
    }
    return NULL;
}

static void
ends(vow_executor *on, vow_close_mode mode)
{
    vow_unref(vow_executor_close(on, mode));
    assert_int_equal(vow_executor_join(on), 0);
}

static void
check_slot(struct slot *s)
{
    while (s->accepted != 0 && vow_timer_disarm(&s->timer) == VOW_RUNNING)
        sched_yield();
    assert_int_equal(atomic_load(&s->early), 0);
    assert_int_equal(atomic_load(&s->runs) + s->removed, s->accepted);
}

static void
check_later(struct later *l)
{
    vow_future_cancel(l->f, NULL); /* a sleep names neither executor */
    assert_true(vow_wait(l->f, VOW_FOREVER));
    vow_ignore(l->f);
    while (drop_count(&l->ctx) == 0)
        sched_yield();
    assert_int_equal(drop_count(&l->ctx), 1);
}

static struct arena *
arena_new(uint64_t seed)
{
    struct arena *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->seed = seed;
    r->pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 2));
    r->serial = vow_serial_new(r->pool);
    assert_non_null(r->pool);
    assert_non_null(r->serial);
    for (int lane = 0; lane < THREADS; lane++)
        for (int i = 0; i < TIMERS; i++)
            r->slots[lane][i].timer.task.run = ring;
    pthread_barrier_init(&r->line, NULL, THREADS + 1);
    return r;
}

static void
play_round(uint64_t seed)
{
    struct arena *r = arena_new(seed);
    struct actor actors[THREADS + 1];
    struct actor *closer = &actors[THREADS];

    for (int i = 0; i <= THREADS; i++)
        actors[i] =
            (struct actor){.arena = r, .lane = i, .dice = {seed * 8 + (uint64_t)i + 1}};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    pthread_barrier_wait(&r->line);
    for (unsigned spins = roll(&closer->dice, 30); spins > 0; spins--)
        sched_yield();
    ends(r->serial, roll(&closer->dice, 2) == 0 ? VOW_DRAIN : VOW_CANCEL_QUEUED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
    ends(r->pool, VOW_DRAIN);
    for (int i = 0; i < THREADS * TIMERS; i++) {
        check_slot(&r->slots[i / TIMERS][i % TIMERS]);
        check_later(&r->laters[i / TIMERS][i % TIMERS]);
    }
    vow_executor_unref(r->serial);
    vow_executor_unref(r->pool);
    pthread_barrier_destroy(&r->line);
    free(r);
}

VOW_CASE(timers_run_once_or_are_removed)
{
    vow_ns end = vow_clock_now(NULL) + stress_duration(2000);
    uint64_t seed = stress_seed();

    do
        play_round(seed++);
    while (vow_clock_now(NULL) < end);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(timers_run_once_or_are_removed), /* it leaves the default pool */
    };

    return counting_install() != 0 ? 1 : cmocka_run_group_tests(cases, NULL, NULL);
}
