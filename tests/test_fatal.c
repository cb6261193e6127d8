/* SPDX-License-Identifier: MIT */
/*
 * What ends the process in every build: a count below zero, a stretch that never began,
 * and, where locks know their order, a lock out of it.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "core/refs.h"
#include "core/token.h"
#include "support/death.h"
#include "support/drops.h"
#include "sync/lock.h"
#include "sync/refs.h"

static void
unref_a_future_twice(void *promise)
{
    vow_future *f = vow_promise_future(promise);

    vow_unref(f);
    vow_unref(f);
}

VOW_CASE(future_released_more_often_than_referenced_is_fatal)
{
    vow_promise *p = vow_promise_new();

    assert_true(death_is_of(unref_a_future_twice, p, "a future was released more often"));
    vow_promise_unref(p);
}

static void
unref_a_promise_twice(void *promise)
{
    vow_future *f = vow_promise_future(promise);

    vow_promise_unref(promise);
    vow_promise_unref(promise);
    vow_unref(f);
}

VOW_CASE(promise_released_more_often_than_referenced_is_fatal)
{
    vow_promise *p = vow_promise_new();

    assert_true(
        death_is_of(unref_a_promise_twice, p, "a promise was released more often"));
    vow_promise_unref(p);
}

static void
drop_refs_twice(void *refs)
{
    (void)vowi_refs_drop(refs);
    (void)vowi_refs_drop(refs);
}

static void
take_refs(void *refs)
{
    vowi_refs_take(refs);
}

VOW_CASE(object_released_more_often_than_referenced_is_fatal)
{
    struct vowi_refs refs;

    vowi_refs_init(&refs);
    assert_true(death_is_of(drop_refs_twice, &refs, "an object was released more often"));
}

VOW_CASE(object_referenced_without_end_is_fatal)
{
    struct vowi_refs refs;

    atomic_init(&refs.count, UINT_MAX / 2);
    assert_true(death_is_of(take_refs, &refs, "referenced two thousand million times"));
}

static void
unref_a_token_twice(void *token)
{
    struct vow_token *t = token;

    t->holds++; /* so that its memory is there for the second */
    vow_token_unref(t);
    vow_token_unref(t);
}

VOW_CASE(token_released_more_often_than_referenced_is_fatal)
{
    vow_source *s = vow_source_new();

    assert_true(death_is_of(unref_a_token_twice, s, "a token was released more often"));
    vow_source_unref(s);
}

static void
release_a_hold(void *promise)
{
    vowi_hold_release(vowi_self(), vowi_promise_state(promise));
}

VOW_CASE(state_released_more_often_than_held_is_fatal)
{
    vow_promise *p = vow_promise_new();

    assert_true(death_is_of(release_a_hold, p, "a state's memory was released"));
    vow_promise_unref(p);
}

static int
refuse(vow_executor *self, vow_task *task)
{
    (void)self;
    (void)task;
    return VOW_E_LIMIT;
}

static const vow_executor_ops ops = {
    .size = sizeof(vow_executor_ops), .name = "full", .post = refuse};

static void
ignore(vow_view in, void *ctx)
{
    (void)in;
    (void)ctx;
}

/* A pending step keeps its memory, so that the second release finds it. */
static void
unref_an_executor_twice(void *promise)
{
    vow_executor e = {.ops = NULL};

    if (vow_executor_init(&e, &ops) != 0)
        return;
    vow_on_settled(vow_promise_future(promise), &e, ignore, VOW_NIL);
    vow_executor_unref(&e);
    vow_executor_unref(&e);
}

VOW_CASE(executor_released_more_often_than_referenced_is_fatal)
{
    vow_promise *p = vow_promise_new();

    assert_true(
        death_is_of(unref_an_executor_twice, p, "an executor was released more often"));
    vow_promise_unref(p);
}

/* More holds than there are: this thread says that it counted a thousand in advance. */
static void
give_back_too_much(void *unused)
{
    vow_executor e = {.ops = NULL};

    (void)unused;
    if (vow_executor_init(&e, &ops) != 0)
        return;
    vowi_self()->credit_of = &e;
    vowi_self()->credit = 1000;
    vow_executor_unref(&e);
}

VOW_CASE(executor_given_back_more_holds_than_it_has_is_fatal)
{
    assert_true(
        death_is_of(give_back_too_much, NULL, "an executor was released more often"));
}

static void
end_what_never_began(void *unused)
{
    (void)unused;
    vow_defer_end();
}

VOW_CASE(defer_end_without_begin_is_fatal)
{
    assert_true(
        death_is_of(end_what_never_began, NULL, "vow_defer_end without vow_defer_begin"));
}

static void
drop_an_error(void *unused)
{
    (void)unused;
    setenv("VOW_UNHANDLED", "abort", 1);
    vow_unref(vow_rejected(vow_error_new(EIO, "lost")));
}

VOW_CASE(unhandled_error_is_fatal_if_the_environment_says_so)
{
    assert_true(death_is_of(drop_an_error, NULL, "lost"));
}

#ifndef NDEBUG
static void
lock_out_of_order(void *unused)
{
    struct vowi_lock low, high;

    (void)unused;
    if (vowi_lock_init(&low, VOWI_RANK_POOL) != 0 ||
        vowi_lock_init(&high, VOWI_RANK_INJECT) != 0)
        return;
    vowi_lock_acquire(&high);
    vowi_lock_acquire(&low);
}

VOW_CASE(lock_out_of_order_is_fatal)
{
    assert_true(death_is_of(lock_out_of_order, NULL, "a lock is taken out of order"));
}
#endif

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(future_released_more_often_than_referenced_is_fatal),
        vow_test(promise_released_more_often_than_referenced_is_fatal),
        vow_test(object_released_more_often_than_referenced_is_fatal),
        vow_test(object_referenced_without_end_is_fatal),
        vow_test(token_released_more_often_than_referenced_is_fatal),
        vow_test(state_released_more_often_than_held_is_fatal),
        vow_test(executor_released_more_often_than_referenced_is_fatal),
        vow_test(executor_given_back_more_holds_than_it_has_is_fatal),
        vow_test(defer_end_without_begin_is_fatal),
        vow_test(unhandled_error_is_fatal_if_the_environment_says_so),
#ifndef NDEBUG
        vow_test(lock_out_of_order_is_fatal),
#endif
    };

    return vow_test_run(cases);
}
