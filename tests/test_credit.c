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

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(turning_to_another_executor_gives_back_what_that_counts),
        vow_test(trim_gives_back_what_that_counts),
        vow_test(thread_that_exits_gives_back_what_that_counts),
    };

    return vow_test_run(cases);
}
