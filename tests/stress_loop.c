/* SPDX-License-Identifier: MIT */
/*
 * A loop under threads that do at random what any thread may: post, submit, hang steps
 * on what another settles, arm and disarm timers, request frames, cancel futures of
 * descriptors, wake, stop, run until something settles, and at last close it, or let go
 * of it. Each thing ends exactly once, and every future settles.
 *
 * The seed is printed; VOW_STRESS_SEED sets it, VOW_STRESS_MS says how long the cases
 * may take together (default 1500).
 */
#include "support/vow_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/drops.h"
#include "support/stress.h"

enum { THREADS = 3, EACH = 60, CASES = 3 };

/* Of the whole run; each thread has its own, made from them. */
static struct dice dice;

/* ---- a round ------------------------------------------------------------------------------ */

/* A thing that a thread did, and what has to come of it. */
struct thing {
    vow_timer timer;
    atomic_int ended;   /* its run was called, or its context dropped */
    int expected;       /* 1: it was accepted; 0: it was not, or was disarmed */
    vow_future *future; /* NULL, or has to settle */
};

struct actor {
    pthread_t thread;
    struct dice dice;
    struct thing things[EACH];
};

static struct actor actors[THREADS]; /* not on the stack: a case that fails leaves them */
static vow_loop *loop;
static vow_executor *on;
static vow_promise *shared; /* settled by some actor */
static vow_future *settles;
static int ends[2];
static atomic_int running;

static void
end_thing(vow_task *task, int why)
{
    (void)why;
    atomic_fetch_add(&((struct thing *)(void *)task)->ended, 1);
}

static void
drop_thing(void *thing)
{
    atomic_fetch_add(&((struct thing *)thing)->ended, 1);
}

static void
do_nothing(void *ctx)
{
    (void)ctx;
}

static vow_result
return_nothing(void *ctx)
{
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static vow_result
step(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    return vow_ok(VOW_NIL);
}

static void
frame(vow_ns time, void *ctx)
{
    (void)time;
    (void)ctx;
}

static void
post_task(struct thing *t, struct dice *d)
{
    t->timer.task.run = end_thing;
    if (roll(d, 8) == 0)
        t->timer.task.priority = VOW_IDLE;
    t->expected = vow_post_task(on, &t->timer.task) == 0;
}

static void
arm_timer(struct thing *t, struct dice *d)
{
    vow_ns when = vow_clock_now(NULL) + (vow_ns)roll(d, 200000);

    t->timer.task.run = end_thing;
    t->expected = vow_timer_arm(on, &t->timer, when) == 0;
    if (t->expected && roll(d, 2) && vow_timer_disarm(&t->timer) == VOW_REMOVED)
        t->expected = 0;
}

/* What the owner alone may do, done by the loop. */
static vow_result
wait_for_pipe(void *ctx)
{
    (void)ctx;
    return vow_follow(vow_loop_ready(loop, ends[0], VOW_FD_READ));
}

static void
do_with_context(struct thing *t, unsigned what)
{
    vow_value ctx = vow_own(t, drop_thing);
    int rc = 0;

    t->expected = 1;
    switch (what) {
    case 0:
        rc = vow_post(on, do_nothing, ctx);
        break;
    case 1:
        t->future = vow_submit(on, return_nothing, ctx);
        break;
    case 2:
        t->future = vow_then(vow_ref(settles), on, step, ctx);
        break;
    case 3:
        t->future = vow_submit_after(on, vow_us(50), return_nothing, ctx);
        break;
    default:
        rc = vow_loop_request_frame(loop, frame, ctx);
        break;
    }
    assert_true(rc == 0 || rc == VOW_E_CLOSED);
}

static void
do_without(struct thing *t, struct dice *d, unsigned what)
{
    switch (what) {
    case 0:
        post_task(t, d);
        break;
    case 1:
        arm_timer(t, d);
        break;
    case 2:
        t->future = vow_submit(on, wait_for_pipe, VOW_NIL);
        if (roll(d, 2))
            vow_future_cancel(t->future, NULL);
        break;
    case 3:
        assert_int_equal(write(ends[1], "x", 1), 1);
        break;
    case 4:
        vow_loop_wake(loop);
        break;
    case 5:
        vow_loop_stop(loop);
        break;
    default:
        vow_promise_fulfill(shared, VOW_NIL);
        break;
    }
}

static void *
act(void *arg)
{
    struct actor *a = arg;

    for (int i = 0; i < EACH; i++)
        if (roll(&a->dice, 2))
            do_with_context(&a->things[i], roll(&a->dice, 5));
        else
            do_without(&a->things[i], &a->dice, roll(&a->dice, 7));
    atomic_fetch_sub(&running, 1);
    vow_loop_wake(loop);
    return NULL;
}

/* ---- its beginning and its end ------------------------------------------------------------ */

static void
begin_round(void)
{
    loop = vow_loop_new(&VOW_LOOP_OPTIONS(.frame_rate = 5000));
    assert_non_null(loop);
    on = vow_loop_executor(loop);
    shared = vow_promise_new();
    settles = vow_promise_future(shared);
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < EACH; k++)
            actors[i].things[k] = (struct thing){.expected = 0};
        actors[i].dice.state = dice.state + (uint64_t)i * 77 + 1;
        roll(&dice, 2);
    }
}

static void
start_actors(void)
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
}

static void
join_actors(void)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(actors[i].thread, NULL);
}

static void
check(const struct thing *t)
{
    assert_int_equal(atomic_load(&t->ended), t->expected);
    if (t->future != NULL)
        assert_true(vow_future_status(t->future) != VOW_PENDING);
    vow_ignore(t->future);
}

/* The loop is closed, and gone or about to go. */
static void
end_round(void)
{
    vow_promise_fulfill(shared, VOW_NIL);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < EACH; k++)
            check(&actors[i].things[k]);
    vow_promise_unref(shared);
    vow_unref(settles);
    close(ends[0]);
    close(ends[1]);
}

static void
empty_pipe(void)
{
    char bytes[64];

    while (read(ends[0], bytes, sizeof bytes) > 0)
        ;
}

static void
run_until_all_have_acted(void)
{
    while (atomic_load(&running) != 0) {
        int rc = vow_loop_run_until(loop, settles);

        assert_true(rc == 0 || rc == ECANCELED);
        rc = vow_loop_run_once(loop, vow_ms(1));
        assert_true(rc == 0 || rc == ECANCELED || rc == VOW_E_TIMEDOUT);
        empty_pipe();
        vow_promise_fulfill(shared, VOW_NIL);
    }
}

static void
repeat(void (*round)(void))
{
    vow_ns until = vow_clock_now(NULL) + stress_duration(1500) / CASES;
    int rounds = 0;

    do {
        round();
        rounds++;
    } while (vow_clock_now(NULL) < until);
    printf("%d rounds\n", rounds);
}

/* ---- cases ------------------------------------------------------------------------------------ */

static void
round_that_lets_go(void)
{
    begin_round();
    start_actors();
    run_until_all_have_acted();
    join_actors();
    vow_loop_unref(loop);
    end_round();
}

VOW_CASE(all_that_was_given_ends_when_the_loop_goes)
{
    repeat(round_that_lets_go);
}

static void
round_that_drains(void)
{
    vow_future *closed;

    begin_round();
    start_actors();
    run_until_all_have_acted();
    join_actors();
    vow_promise_fulfill(shared, VOW_NIL);
    closed = vow_executor_close(on, VOW_DRAIN);
    while (vow_loop_run_until(loop, closed) == ECANCELED)
        ;
    assert_null(vow_get(closed).error);
    vow_unref(closed);
    vow_loop_unref(loop);
    end_round();
}

VOW_CASE(all_that_was_given_ends_when_it_drains)
{
    repeat(round_that_drains);
}

static void *
close_at_some_time(void *mode)
{
    for (unsigned i = roll(&dice, 2000); i > 0; i--)
        sched_yield();
    vow_unref(vow_executor_close(on, *(vow_close_mode *)mode));
    return NULL;
}

/* Somebody closes it while everything goes on. */
static void
round_that_is_closed(void)
{
    vow_close_mode mode = roll(&dice, 2) ? VOW_DRAIN : VOW_CANCEL_QUEUED;
    vow_future *closed;
    pthread_t closer;

    begin_round();
    start_actors();
    assert_int_equal(pthread_create(&closer, NULL, close_at_some_time, &mode), 0);
    for (int rc = 0; rc == 0 || rc == ECANCELED || rc == VOW_E_TIMEDOUT;)
        rc = vow_loop_run_once(loop, vow_ms(1));
    pthread_join(closer, NULL);
    join_actors();
    closed = vow_executor_close(on, VOW_DRAIN);
    assert_true(vow_future_status(closed) == VOW_FULFILLED);
    vow_unref(closed);
    vow_loop_unref(loop);
    end_round();
}

VOW_CASE(all_that_was_given_ends_when_it_is_closed_meanwhile)
{
    repeat(round_that_is_closed);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(all_that_was_given_ends_when_the_loop_goes),
        vow_test(all_that_was_given_ends_when_it_drains),
        vow_test(all_that_was_given_ends_when_it_is_closed_meanwhile),
    };

    dice.state = stress_seed() | 1;
    return vow_test_run(cases);
}
