/* SPDX-License-Identifier: MIT */
/*
 * pthread_exit in user code that has no result: a hook, a watch, an errand; and in a
 * task that its waiter runs in its place. What would have followed still happens.
 */
#include "support/vow_test.h"

#include <errno.h>

#include "support/drops.h"

static void
on_a_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    pthread_join(thread, NULL);
}

/* ---- a hook ----------------------------------------------------------------------------- */

static void
exit_in_hook(vow_promise *p, const vow_error *reason, void *ctx)
{
    (void)p;
    assert_true(vow_error_is(reason, EINTR));
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
cancel(void *f)
{
    vow_future_cancel(f, vow_error_new(EINTR, "enough"));
    return NULL;
}

VOW_CASE(exit_in_a_cancel_hook_drops_its_context_and_lets_go_of_the_promise)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);

    vow_promise_on_cancel(p, NULL, exit_in_hook, drop_value(&ctx));
    on_a_thread(cancel, f);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_future_status(f), VOW_PENDING);

    vow_promise_unref(p);
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    vow_unref(f);
}

/* ---- a watch ----------------------------------------------------------------------------- */

static void
exit_in_watch(vow_view in, void *ctx)
{
    (void)in;
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
fulfill(void *p)
{
    vow_promise_fulfill(p, vow_i64(1));
    return NULL;
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(exit_in_a_watch_drops_its_context_and_the_steps_after_it_run)
{
    struct drop ctx = {0};
    vow_promise *p = vow_promise_new();
    vow_future *f;

    vow_on_settled(vow_promise_future(p), NULL, exit_in_watch, drop_value(&ctx));
    f = vow_then(vow_promise_future(p), NULL, add_one, VOW_NIL);
    on_a_thread(fulfill, p);

    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
    assert_int_equal(vow_peek(f).value.as.i64, 2);
    vow_promise_unref(p);
    vow_unref(f);
}

/* ---- an errand ----------------------------------------------------------------------------- */

static void
exit_in_errand(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

static void *
post_inline(void *ctx)
{
    if (vow_post(NULL, exit_in_errand, drop_value(ctx)) != 0)
        drop_ran(ctx); /* it never returns */
    return NULL;
}

VOW_CASE(exit_in_an_errand_drops_its_context)
{
    struct drop ctx = {0};

    on_a_thread(post_inline, &ctx);
    assert_int_equal(atomic_load(&ctx.ran), 1);
    assert_int_equal(drop_count(&ctx), 1);
}

/* ---- a task run in its place ------------------------------------------------------------------ */

struct place {
    vow_executor *pool;
    struct drop ctx;
    vow_future *older; /* in the worker's queue below a younger one */
    vow_future *younger;
};

static vow_result
exit_in_task(void *ctx)
{
    drop_ran(ctx);
    pthread_exit(NULL);
}

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
wait_for_the_older(void *ctx)
{
    struct place *at = ctx;

    at->older = vow_submit(at->pool, exit_in_task, drop_value(&at->ctx));
    at->younger = vow_submit(at->pool, seven, VOW_NIL);
    return vow_ok(vow_get(at->older).value);
}

VOW_CASE(exit_in_a_task_run_by_its_waiter_breaks_both_and_spares_others)
{
    struct place at = {.pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1))};
    vow_future *f;

    assert_non_null(at.pool);
    f = vow_submit(at.pool, wait_for_the_older, vow_ptr(&at));
    assert_int_equal(code_of(f), VOW_E_BROKEN);
    assert_int_equal(code_of(at.older), VOW_E_BROKEN);
    assert_int_equal(vow_get(at.younger).value.as.i64, 7);
    assert_int_equal(atomic_load(&at.ctx.ran), 1);
    assert_int_equal(drop_count(&at.ctx), 1);

    vow_unref(f);
    vow_unref(at.older);
    vow_unref(at.younger);
    vow_unref(vow_executor_close(at.pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(at.pool), 0);
    vow_executor_unref(at.pool);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(exit_in_a_cancel_hook_drops_its_context_and_lets_go_of_the_promise),
        vow_test(exit_in_a_watch_drops_its_context_and_the_steps_after_it_run),
        vow_test(exit_in_an_errand_drops_its_context),
        vow_test(exit_in_a_task_run_by_its_waiter_breaks_both_and_spares_others),
    };

    return vow_test_run(cases);
}
