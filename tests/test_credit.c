/* SPDX-License-Identifier: MIT */
/*
 * Holds that a thread counts in advance, and when it gives them back: that may destroy an
 * executor, whose `destroy` may be a user's and do what it likes.
 */
#include "support/vow_test.h"

#include <pthread.h>
#include <string.h>

#include "support/drops.h"

/* Where everything runs: the test steps it. */
static vow_manual *steps;

/* An executor whose end does something. */
struct room {
    vow_executor base;
    void (*leaves)(void *ctx); /* NULL: nothing */
    void *ctx;
    atomic_int destroys;
};

static int
room_post(vow_executor *self, vow_task *task)
{
    (void)self;
    return vow_post_task(vow_manual_executor(steps), task);
}

static void
room_destroy(vow_executor *self)
{
    struct room *r = (struct room *)(void *)self;

    if (r->leaves != NULL)
        r->leaves(r->ctx);
    atomic_fetch_add(&r->destroys, 1);
}

static const vow_executor_ops room_ops = {.size = sizeof(vow_executor_ops),
                                          .name = "room",
                                          .post = room_post,
                                          .destroy = room_destroy};

static void
room_init(struct room *r, void (*leaves)(void *ctx), void *ctx)
{
    memset(r, 0, sizeof *r);
    r->leaves = leaves;
    r->ctx = ctx;
    assert_int_equal(vow_executor_init(&r->base, &room_ops), 0);
}

static vow_result
forward(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(in);
}

/* Attaches a step and delivers it: what this thread counted in advance stays with it. */
static void
count_in_advance(void *room)
{
    struct room *r = room;
    vow_promise *p = vow_promise_new();

    vow_unref(vow_then(vow_promise_future(p), &r->base, forward, VOW_NIL));
    vow_promise_fulfill(p, VOW_NIL);
    vow_promise_unref(p);
}

static void *
let_go(void *room)
{
    vow_executor_unref(&((struct room *)room)->base);
    return NULL;
}

/* On another thread, which has counted nothing in advance. */
static void
let_go_elsewhere(struct room *r)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, let_go, r), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
begin_steps(void)
{
    steps = vow_manual_new();
    assert_non_null(steps);
}

static void
end_steps(void)
{
    vow_manual_run(steps);
    vow_manual_unref(steps);
    vow_trim();
}

/* ---- an end that counts in advance ------------------------------------------------ */

VOW_CASE(turning_to_another_executor_gives_back_what_that_counts)
{
    struct room first, second, third;

    begin_steps();
    room_init(&second, NULL, NULL);
    room_init(&third, NULL, NULL);
    room_init(&first, count_in_advance, &second);
    count_in_advance(&first);
    let_go_elsewhere(&first);
    vow_manual_run(steps);
    assert_int_equal(first.destroys, 0);
    count_in_advance(&third);
    assert_int_equal(first.destroys, 1);
    vow_manual_run(steps);

    let_go_elsewhere(&second);
    assert_int_equal(second.destroys, 1);
    vow_executor_unref(&third.base);
    assert_int_equal(third.destroys, 1);
    end_steps();
}

VOW_CASE(trim_gives_back_what_that_counts)
{
    struct room first, second;

    begin_steps();
    room_init(&second, NULL, NULL);
    room_init(&first, count_in_advance, &second);
    count_in_advance(&first);
    let_go_elsewhere(&first);
    vow_manual_run(steps);
    vow_trim();
    assert_int_equal(first.destroys, 1);
    vow_manual_run(steps);

    let_go_elsewhere(&second);
    assert_int_equal(second.destroys, 1);
    end_steps();
}

static atomic_int counted, may_exit;

static void *
count_and_exit(void *room)
{
    count_in_advance(room);
    atomic_store(&counted, 1);
    await_flag(&may_exit, 1);
    return NULL;
}

VOW_CASE(thread_that_exits_gives_back_what_that_counts)
{
    struct room first, second;
    pthread_t thread;

    begin_steps();
    room_init(&second, NULL, NULL);
    room_init(&first, count_in_advance, &second);
    atomic_store(&counted, 0);
    atomic_store(&may_exit, 0);
    assert_int_equal(pthread_create(&thread, NULL, count_and_exit, &first), 0);
    await_flag(&counted, 1);
    vow_executor_unref(&first.base);
    assert_int_equal(first.destroys, 0);
    atomic_store(&may_exit, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vow_manual_run(steps);
    assert_int_equal(first.destroys, 1);

    let_go_elsewhere(&second);
    assert_int_equal(second.destroys, 1);
    end_steps();
}

/* ---- an end that matters to whoever is about to sleep ------------------------------------ */

static vow_promise *told; /* fulfilled by the end of a room */
static struct room leaving;

static void
tell(void *unused)
{
    (void)unused;
    vow_promise_fulfill(told, vow_i64(7));
}

/* A room whose memory only this thread keeps, until it is about to sleep. */
static void
keep_a_room(void (*leaves)(void *ctx), void *ctx)
{
    room_init(&leaving, leaves, ctx);
    count_in_advance(&leaving);
    vow_manual_run(steps);
    let_go_elsewhere(&leaving);
    assert_int_equal(leaving.destroys, 0);
}

static void
begin_told(void)
{
    begin_steps();
    told = vow_promise_new();
}

static void
end_told(void)
{
    assert_int_equal(leaving.destroys, 1);
    vow_promise_unref(told);
    end_steps();
}

/* Runs a function inside an inline step: there such steps wait for its end. */
static void
run_in_step(vow_then_fn *fn)
{
    vow_future *f = vow_then(vow_resolved(VOW_NIL), NULL, fn, VOW_NIL);

    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
}

static struct room another;

static vow_result
count_again(vow_value in, void *ctx)
{
    (void)ctx;
    count_in_advance(&another);
    return vow_ok(in);
}

static vow_result
wait_for_told(vow_value in, void *ctx)
{
    vow_future *f = vow_then(vow_promise_future(told), NULL, count_again, VOW_NIL);

    (void)in;
    (void)ctx;
    keep_a_room(tell, NULL);
    return vow_follow(vow_wait(f, VOW_FOREVER) ? f : NULL);
}

VOW_CASE(wait_inside_a_step_runs_what_its_sleep_settles)
{
    begin_told();
    room_init(&another, NULL, NULL);
    run_in_step(wait_for_told);
    vow_manual_run(steps);
    let_go_elsewhere(&another); /* nor is anything left of what that step counted */
    assert_int_equal(another.destroys, 1);
    end_told();
}

VOW_CASE(wait_outside_sees_what_its_sleep_settles)
{
    vow_future *f;

    begin_told();
    f = vow_promise_future(told);
    keep_a_room(tell, NULL);
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    end_told();
}

/* What ends when the step on `told` has run. */
static atomic_int begun, released;

static vow_result
release(vow_value in, void *ctx)
{
    (void)ctx;
    atomic_store(&released, 1);
    return vow_ok(in);
}

static void
stay_until_released(void *ctx)
{
    (void)ctx;
    atomic_store(&begun, 1);
    await_flag(&released, 1);
}

static void
release_all(void *unused)
{
    (void)unused;
    atomic_store(&released, 1);
}

static void *
fire(void *source)
{
    vow_source_cancel(source, NULL);
    return NULL;
}

static vow_result
remove_while_it_runs(vow_value in, void *ctx)
{
    vow_future *f = vow_then(vow_promise_future(told), NULL, release, VOW_NIL);
    vow_source *source = vow_source_new();
    vow_token *token = vow_source_token(source);
    vow_registration *r = vow_token_on_cancel(token, NULL, stay_until_released, VOW_NIL);
    pthread_t thread;

    (void)in;
    (void)ctx;
    keep_a_room(tell, NULL);
    assert_int_equal(pthread_create(&thread, NULL, fire, source), 0);
    await_flag(&begun, 1);
    assert_int_equal(vow_registration_remove_wait(r), VOW_RAN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vow_token_unref(token);
    vow_source_unref(source);
    return vow_follow(f);
}

VOW_CASE(removal_that_waits_inside_a_step_runs_what_its_sleep_settles)
{
    atomic_store(&begun, 0);
    atomic_store(&released, 0);
    begin_told();
    run_in_step(remove_while_it_runs);
    end_told();
}

static void
occupy(void *unused)
{
    (void)unused;
    atomic_store(&begun, 1);
    await_flag(&released, 1);
}

static void
do_nothing(void *unused)
{
    (void)unused;
}

static vow_result
post_into_a_full_pool(vow_value in, void *ctx)
{
    vow_future *f = vow_then(vow_promise_future(told), NULL, release, VOW_NIL);
    vow_executor *pool = ctx;

    (void)in;
    assert_int_equal(vow_post(pool, occupy, VOW_NIL), 0);
    await_flag(&begun, 1);
    assert_int_equal(vow_post(pool, do_nothing, VOW_NIL), 0);
    keep_a_room(tell, NULL);
    assert_int_equal(vow_post(pool, do_nothing, VOW_NIL), 0);
    return vow_follow(f);
}

VOW_CASE(post_that_waits_inside_a_step_runs_what_its_sleep_settles)
{
    vow_executor *pool = vow_pool_new(
        &VOW_POOL_OPTIONS(.threads = 1, .queue_limit = 1, .when_full = VOW_FULL_BLOCK));
    vow_future *f;

    assert_non_null(pool);
    atomic_store(&begun, 0);
    atomic_store(&released, 0);
    begin_told();
    f = vow_then(vow_resolved(VOW_NIL), NULL, post_into_a_full_pool, vow_ptr(pool));
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    end_told();
    vow_unref(vow_executor_close(pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(pool), 0);
    vow_executor_unref(pool);
}

/* ---- a worker that is about to sleep ------------------------------------------------------ */

static vow_executor *guests_pool;

static int
guest_post(vow_executor *self, vow_task *task)
{
    (void)self;
    return vow_post_task(guests_pool, task);
}

static const vow_executor_ops guest_ops = {.size = sizeof(vow_executor_ops),
                                           .name = "guest",
                                           .post = guest_post,
                                           .destroy = room_destroy};

static void
post_a_release(void *unused)
{
    (void)unused;
    assert_int_equal(vow_post(guests_pool, release_all, VOW_NIL), 0);
}

static vow_result
count_on_worker(void *room)
{
    count_in_advance(room);
    atomic_store(&counted, 1);
    await_flag(&may_exit, 1);
    return vow_ok(VOW_NIL);
}

VOW_CASE(worker_that_sleeps_gives_back_and_does_what_that_posts)
{
    struct room guest = {.leaves = post_a_release};
    vow_future *f;

    guests_pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    assert_non_null(guests_pool);
    assert_int_equal(vow_executor_init(&guest.base, &guest_ops), 0);
    atomic_store(&counted, 0);
    atomic_store(&may_exit, 0);
    atomic_store(&released, 0);
    f = vow_submit(guests_pool, count_on_worker, vow_ptr(&guest));
    await_flag(&counted, 1);
    vow_executor_unref(&guest.base); /* while the worker keeps it */
    assert_int_equal(guest.destroys, 0);
    atomic_store(&may_exit, 1);
    await_flag(&released, 1);
    vow_unref(f);
    assert_int_equal(guest.destroys, 1);
    vow_unref(vow_executor_close(guests_pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(guests_pool), 0);
    vow_executor_unref(guests_pool);
}

/* ---- a loop that is about to sleep ------------------------------------------------------- */

static void
stop_loop(void *loop)
{
    vow_loop_stop(loop);
}

static void
post_the_end(void *loop)
{
    assert_int_equal(vow_post(vow_loop_executor(loop), stop_loop, vow_ptr(loop)), 0);
}

VOW_CASE(loop_does_what_its_sleep_posts)
{
    vow_loop *loop = vow_loop_new(NULL);

    begin_told();
    keep_a_room(post_the_end, loop);
    assert_int_equal(vow_loop_run(loop), 0);
    vow_loop_unref(loop);
    end_told();
}

static vow_result
turn_until_told(vow_value in, void *loop)
{
    vow_future *f = vow_then(vow_promise_future(told), NULL, forward, VOW_NIL);

    (void)in;
    keep_a_room(tell, NULL);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    return vow_follow(f);
}

VOW_CASE(loop_inside_a_step_runs_what_its_sleep_settles)
{
    vow_loop *loop = vow_loop_new(NULL);
    vow_future *f;

    begin_told();
    f = vow_then(vow_resolved(VOW_NIL), NULL, turn_until_told, vow_ptr(loop));
    assert_int_equal(vow_get(f).value.as.i64, 7);
    vow_unref(f);
    vow_loop_unref(loop);
    end_told();
}

VOW_CASE(loop_outside_sees_what_its_sleep_settles)
{
    vow_loop *loop = vow_loop_new(NULL);
    vow_future *f;

    begin_told();
    f = vow_promise_future(told);
    keep_a_room(tell, NULL);
    assert_int_equal(vow_loop_run_until(loop, f), 0);
    vow_unref(f);
    vow_loop_unref(loop);
    end_told();
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(turning_to_another_executor_gives_back_what_that_counts),
        vow_test(trim_gives_back_what_that_counts),
        vow_test(thread_that_exits_gives_back_what_that_counts),
        vow_test(wait_inside_a_step_runs_what_its_sleep_settles),
        vow_test(wait_outside_sees_what_its_sleep_settles),
        vow_test(removal_that_waits_inside_a_step_runs_what_its_sleep_settles),
        vow_test(post_that_waits_inside_a_step_runs_what_its_sleep_settles),
        vow_test(worker_that_sleeps_gives_back_and_does_what_that_posts),
        vow_test(loop_does_what_its_sleep_posts),
        vow_test(loop_inside_a_step_runs_what_its_sleep_settles),
        vow_test(loop_outside_sees_what_its_sleep_settles),
    };

    return vow_test_run(cases);
}
