/* SPDX-License-Identifier: MIT */
/*
 * Following: a promise that settles as another future does, what it refuses while it
 * waits for that, rings, and recursion that must not grow.
 */
#include "support/vow_test.h"

#include <errno.h>
#include <stdio.h>

#include "support/drops.h"

/* A promise and one future of it. */
struct pair {
    vow_promise *promise;
    vow_future *future;
};

static struct pair
pair_new(void)
{
    struct pair x = {.promise = vow_promise_new()};

    x.future = vow_promise_future(x.promise);
    return x;
}

static void
pair_free(struct pair *x)
{
    vow_promise_unref(x->promise);
    vow_ignore(x->future);
}

/* Makes one promise follow the future of another. */
static bool
follow(struct pair *x, struct pair *y)
{
    return vow_promise_resolve(x->promise, vow_follow(vow_ref(y->future)));
}

VOW_CASE(follow_of_a_settled_future_settles_at_once)
{
    struct pair x = pair_new();
    struct pair y = pair_new();

    assert_true(vow_promise_resolve(x.promise, vow_follow(vow_resolved(vow_i64(3)))));
    assert_true(vow_promise_resolve(y.promise,
                                    vow_follow(vow_rejected(vow_error_of(VOW_E_LIMIT)))));

    assert_int_equal(vow_future_status(x.future), VOW_FULFILLED);
    assert_int_equal(vow_get(x.future).value.as.i64, 3);
    assert_int_equal(code_of(y.future), VOW_E_LIMIT);
    pair_free(&x);
    pair_free(&y);
}

VOW_CASE(follow_of_null_is_out_of_memory)
{
    struct pair x = pair_new();

    assert_true(vow_promise_resolve(x.promise, vow_follow(NULL)));

    assert_int_equal(code_of(x.future), VOW_E_NOMEM);
    pair_free(&x);
}

VOW_CASE(follow_of_a_pending_future_waits_for_it)
{
    struct drop value = {0};
    struct pair x = pair_new();
    struct pair y = pair_new();

    assert_true(follow(&x, &y));
    assert_int_equal(vow_future_status(x.future), VOW_PENDING);
    assert_true(vow_promise_fulfill(y.promise, drop_value(&value)));

    assert_ptr_equal(vow_get(x.future).value.as.ptr, &value);
    assert_ptr_equal(vow_get(y.future).value.as.ptr, &value);
    pair_free(&y);
    assert_int_equal(drop_count(&value), 0);
    pair_free(&x);
    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(follow_passes_the_error_pointer_on)
{
    struct drop payload = {0};
    vow_error *e = drop_error(&payload, EIO);
    struct pair x = pair_new();
    struct pair y = pair_new();

    assert_true(follow(&x, &y));
    assert_true(vow_promise_reject(y.promise, e));

    assert_ptr_equal(vow_get(x.future).error, e);
    pair_free(&y);
    assert_int_equal(drop_count(&payload), 0);
    pair_free(&x);
    assert_int_equal(drop_count(&payload), 1);
}

VOW_CASE(follow_moves_the_value_of_a_future_nobody_else_holds)
{
    struct drop value = {0};
    vow_result r = {0};
    struct pair x = pair_new();
    vow_promise *inner = vow_promise_new();

    assert_true(vow_promise_resolve(x.promise, vow_follow(vow_promise_future(inner))));
    assert_true(vow_promise_fulfill(inner, drop_value(&value)));
    vow_promise_unref(inner);
    vow_promise_unref(x.promise);

    assert_true(vow_take(x.future, &r));
    assert_ptr_equal(r.value.as.ptr, &value);
    assert_int_equal(drop_count(&value), 0);
    vow_result_drop(r);
    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(follow_of_a_promise_that_breaks_is_broken)
{
    struct pair x = pair_new();
    vow_promise *inner = vow_promise_new();

    assert_true(vow_promise_resolve(x.promise, vow_follow(vow_promise_future(inner))));
    vow_promise_unref(inner);

    assert_int_equal(code_of(x.future), VOW_E_BROKEN);
    pair_free(&x);
}

VOW_CASE(follower_refuses_every_other_outcome)
{
    struct drop value = {0};
    struct drop payload = {0};
    struct drop other = {0};
    struct pair x = pair_new();
    struct pair y = pair_new();

    assert_true(follow(&x, &y));

    assert_false(vow_promise_fulfill(x.promise, drop_value(&value)));
    assert_false(vow_promise_reject(x.promise, drop_error(&payload, EIO)));
    assert_false(
        vow_promise_resolve(x.promise, vow_follow(vow_resolved(drop_value(&other)))));
    assert_int_equal(drop_count(&value), 1);
    assert_int_equal(drop_count(&payload), 1);
    assert_int_equal(drop_count(&other), 1);
    assert_int_equal(vow_future_status(x.future), VOW_PENDING);
    vow_promise_fulfill(y.promise, vow_i64(1));
    assert_int_equal(vow_get(x.future).value.as.i64, 1);
    pair_free(&x);
    pair_free(&y);
}

VOW_CASE(followers_of_one_future_share_its_value)
{
    struct drop value = {0};
    struct pair x[20];
    vow_promise *inner = vow_promise_new();
    vow_future *f = vow_promise_future(inner);

    for (int i = 0; i < 20; i++) {
        x[i] = pair_new();
        assert_true(vow_promise_resolve(x[i].promise, vow_follow(vow_ref(f))));
    }
    vow_unref(f);
    assert_true(vow_promise_fulfill(inner, drop_value(&value)));
    vow_promise_unref(inner);
    for (int i = 0; i < 20; i++) {
        assert_ptr_equal(vow_get(x[i].future).value.as.ptr, &value);
        assert_int_equal(drop_count(&value), 0);
        pair_free(&x[i]);
    }

    assert_int_equal(drop_count(&value), 1);
}

VOW_CASE(follower_nobody_holds_lets_go_of_the_value)
{
    struct drop value = {0};
    vow_promise *x = vow_promise_new();
    vow_promise *inner = vow_promise_new();

    assert_true(vow_promise_resolve(x, vow_follow(vow_promise_future(inner))));
    vow_promise_unref(x);
    assert_true(vow_promise_fulfill(inner, drop_value(&value)));
    vow_promise_unref(inner);

    assert_int_equal(drop_count(&value), 1);
}

enum { LINKS = 20000 };

VOW_CASE(followers_of_followers_settle_together)
{
    static struct pair x[LINKS];

    for (int i = 0; i < LINKS; i++)
        x[i] = pair_new();
    for (int i = 1; i < LINKS; i++)
        assert_true(follow(&x[i], &x[i - 1]));
    vow_promise_fulfill(x[0].promise, vow_i64(9));

    for (int i = 0; i < LINKS; i++) {
        assert_int_equal(vow_future_status(x[i].future), VOW_FULFILLED);
        assert_int_equal(vow_get(x[i].future).value.as.i64, 9);
        pair_free(&x[i]);
    }
}

VOW_CASE(followers_chained_from_the_other_end_settle_together)
{
    static struct pair x[LINKS];

    for (int i = 0; i < LINKS; i++)
        x[i] = pair_new();
    for (int i = LINKS - 1; i > 0; i--)
        assert_true(follow(&x[i], &x[i - 1]));
    vow_promise_reject(x[0].promise, vow_error_of(VOW_E_TIMEDOUT));

    for (int i = 0; i < LINKS; i++) {
        assert_int_equal(code_of(x[i].future), VOW_E_TIMEDOUT);
        pair_free(&x[i]);
    }
}

static vow_result
add_one(vow_value in, void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(in.as.i64 + 1));
}

VOW_CASE(follow_of_the_result_of_a_step_waits_for_that_step)
{
    vow_manual *m = vow_manual_new();
    struct pair x = pair_new();
    vow_future *f =
        vow_then(vow_resolved(vow_i64(1)), vow_manual_executor(m), add_one, VOW_NIL);

    assert_true(vow_promise_resolve(x.promise, vow_follow(f)));
    assert_int_equal(vow_future_status(x.future), VOW_PENDING);
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(vow_get(x.future).value.as.i64, 2);
    pair_free(&x);
    vow_manual_unref(m);
}

/* Rings. */

VOW_CASE(follow_of_oneself_is_a_deadlock)
{
    struct pair x = pair_new();

    assert_true(follow(&x, &x));

    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_false(vow_promise_fulfill(x.promise, VOW_NIL));
    pair_free(&x);
}

VOW_CASE(ring_of_two_rejects_the_one_that_closes_it)
{
    struct pair x = pair_new();
    struct pair y = pair_new();

    assert_true(follow(&x, &y));
    assert_int_equal(vow_future_status(x.future), VOW_PENDING);
    assert_true(follow(&y, &x));

    assert_int_equal(code_of(y.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_ptr_equal(vow_get(x.future).error, vow_get(y.future).error);
    pair_free(&x);
    pair_free(&y);
}

VOW_CASE(ring_of_three_rejects_all_with_one_error)
{
    struct pair x = pair_new();
    struct pair y = pair_new();
    struct pair z = pair_new();

    assert_true(follow(&x, &y));
    assert_true(follow(&y, &z));
    assert_true(follow(&z, &x));

    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(y.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(z.future), VOW_E_DEADLOCK);
    pair_free(&x);
    pair_free(&y);
    pair_free(&z);
}

VOW_CASE(ring_through_steps_is_a_deadlock)
{
    struct drop ctx = {0};
    struct pair x = pair_new();
    vow_future *g = vow_then(vow_ref(x.future), NULL, add_one, drop_value(&ctx));

    g = vow_then(g, NULL, add_one, drop_value(&ctx));
    assert_true(vow_promise_resolve(x.promise, vow_follow(vow_ref(g))));

    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(g), VOW_E_DEADLOCK);
    assert_int_equal(drop_count(&ctx), 2);
    vow_unref(g);
    pair_free(&x);
}

VOW_CASE(ring_through_a_step_and_a_follower_is_a_deadlock)
{
    struct pair x = pair_new();
    struct pair y = pair_new();
    vow_future *g = vow_then(vow_ref(x.future), NULL, add_one, VOW_NIL);

    assert_true(vow_promise_resolve(y.promise, vow_follow(g)));
    assert_true(follow(&x, &y));

    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(y.future), VOW_E_DEADLOCK);
    pair_free(&x);
    pair_free(&y);
}

static vow_result
follow_slot(vow_value in, void *slot)
{
    vow_future **f = slot;

    (void)in;
    return vow_follow(vow_ref(*f));
}

VOW_CASE(step_that_follows_its_own_result_is_a_deadlock)
{
    vow_manual *m = vow_manual_new();
    vow_future *g = NULL;

    g = vow_then(vow_resolved(VOW_NIL), vow_manual_executor(m), follow_slot, vow_ptr(&g));
    assert_int_equal(vow_manual_run(m), 1);

    assert_int_equal(code_of(g), VOW_E_DEADLOCK);
    vow_unref(g);
    vow_manual_unref(m);
}

static vow_result
follow_slot_task(void *slot)
{
    return follow_slot(VOW_NIL, slot);
}

VOW_CASE(tasks_that_follow_each_other_are_a_deadlock)
{
    vow_manual *m = vow_manual_new();
    vow_future *f = NULL;
    vow_future *g = NULL;

    f = vow_submit(vow_manual_executor(m), follow_slot_task, vow_ptr(&g));
    g = vow_submit(vow_manual_executor(m), follow_slot_task, vow_ptr(&f));
    assert_int_equal(vow_manual_run(m), 2);

    assert_int_equal(code_of(f), VOW_E_DEADLOCK);
    assert_int_equal(code_of(g), VOW_E_DEADLOCK);
    vow_unref(f);
    vow_unref(g);
    vow_manual_unref(m);
}

VOW_CASE(follow_without_a_ring_is_no_deadlock)
{
    struct pair x = pair_new();
    struct pair y = pair_new();
    vow_future *g = vow_then(vow_ref(x.future), NULL, add_one, VOW_NIL);

    assert_true(follow(&y, &x));
    assert_int_equal(vow_future_status(y.future), VOW_PENDING);
    vow_promise_fulfill(x.promise, vow_i64(1));

    assert_int_equal(vow_get(y.future).value.as.i64, 1);
    assert_int_equal(vow_get(g).value.as.i64, 2);
    vow_unref(g);
    pair_free(&x);
    pair_free(&y);
}

struct closer {
    struct pair *x;
    struct pair *y;
    pthread_barrier_t *start;
};

static void *
close_ring(void *ctx)
{
    struct closer *c = ctx;

    pthread_barrier_wait(c->start);
    follow(c->x, c->y);
    return NULL;
}

static void
race_for_a_ring(pthread_barrier_t *start)
{
    struct pair x = pair_new();
    struct pair y = pair_new();
    struct closer a = {&x, &y, start};
    struct closer b = {&y, &x, start};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, close_ring, &a), 0);
    close_ring(&b);
    pthread_join(thread, NULL);

    assert_int_equal(vow_future_status(x.future), VOW_REJECTED);
    assert_int_equal(vow_future_status(y.future), VOW_REJECTED);
    assert_int_equal(code_of(x.future), VOW_E_DEADLOCK);
    assert_int_equal(code_of(y.future), VOW_E_DEADLOCK);
    pair_free(&x);
    pair_free(&y);
}

VOW_CASE(ring_closed_by_two_threads_is_never_left_pending)
{
    pthread_barrier_t start;

    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    for (int i = 0; i < 300; i++)
        race_for_a_ring(&start);
    pthread_barrier_destroy(&start);
}

/* Recursion. Every turn follows the next one; memory must stay where it is. */

enum { TURNS = 1000000, LOOK_EVERY = 1000, FEW_BLOCKS = 64 };

struct recursion {
    vow_executor *on;
    int64_t left;
    size_t most; /* blocks alive at any look */
};

static void
look_at_memory(struct recursion *r)
{
    size_t live;

    if (r->left % LOOK_EVERY != 0)
        return;
    live = counting_live();
    if (live > r->most)
        r->most = live;
}

static vow_result
turn_on_ready(vow_value in, void *ctx)
{
    struct recursion *r = ctx;

    look_at_memory(r);
    if (r->left-- == 0)
        return vow_ok(in);
    return vow_follow(
        vow_then(vow_resolved(vow_i64(in.as.i64 + 1)), r->on, turn_on_ready, vow_ptr(r)));
}

VOW_CASE(recursion_of_a_million_inline_turns_stays_flat)
{
    struct recursion r = {.left = TURNS};
    size_t before = counting_live();
    vow_future *f = vow_then(vow_resolved(vow_i64(0)), NULL, turn_on_ready, vow_ptr(&r));

    assert_int_equal(vow_get(f).value.as.i64, TURNS);
    assert_in_range(r.most - before, 0, FEW_BLOCKS);
    vow_unref(f);
}

VOW_CASE(recursion_of_a_million_posted_turns_stays_flat)
{
    vow_manual *m = vow_manual_new();
    struct recursion r = {.on = vow_manual_executor(m), .left = TURNS};
    size_t before = counting_live();
    vow_future *f = vow_then(vow_resolved(vow_i64(0)), r.on, turn_on_ready, vow_ptr(&r));

    assert_int_equal(vow_manual_run(m), TURNS + 1);
    assert_int_equal(vow_get(f).value.as.i64, TURNS);
    assert_in_range(r.most - before, 0, FEW_BLOCKS);
    vow_unref(f);
    vow_manual_unref(m);
}

static vow_result
turn_by_task(void *ctx)
{
    struct recursion *r = ctx;

    look_at_memory(r);
    if (r->left-- == 0)
        return vow_ok(vow_i64(77));
    return vow_follow(vow_submit(r->on, turn_by_task, vow_ptr(r)));
}

VOW_CASE(recursion_of_a_million_submitted_tasks_stays_flat)
{
    vow_manual *m = vow_manual_new();
    struct recursion r = {.on = vow_manual_executor(m), .left = TURNS};
    size_t before = counting_live();
    vow_future *f = vow_submit(r.on, turn_by_task, vow_ptr(&r));

    assert_int_equal(vow_manual_run(m), TURNS + 1);
    assert_int_equal(vow_get(f).value.as.i64, 77);
    assert_in_range(r.most - before, 0, FEW_BLOCKS);
    vow_unref(f);
    vow_manual_unref(m);
}

/* A chain of promises, each following the next, of which only the first is held. */
VOW_CASE(recursion_of_a_million_promises_stays_flat)
{
    struct recursion r = {.left = TURNS};
    vow_promise *p = vow_promise_new();
    vow_future *f = vow_promise_future(p);
    size_t before = counting_live();

    while (r.left-- > 0) {
        vow_promise *next = vow_promise_new();

        assert_true(vow_promise_resolve(p, vow_follow(vow_promise_future(next))));
        vow_promise_unref(p);
        p = next;
        look_at_memory(&r);
    }
    vow_promise_fulfill(p, vow_i64(5));
    vow_promise_unref(p);

    assert_int_equal(vow_get(f).value.as.i64, 5);
    assert_in_range(r.most - before, 0, FEW_BLOCKS);
    vow_unref(f);
}

/* Abandoned. */

static vow_result
never_then(vow_value in, void *ctx)
{
    (void)in;
    (void)ctx;
    fail_msg("a step ran whose source was abandoned");
    return vow_ok(VOW_NIL);
}

static vow_result
follow_it(void *f)
{
    return vow_follow(vow_ref(f));
}

static vow_result
then_follow_it(vow_value in, void *f)
{
    (void)in;
    return vow_follow(vow_ref(f));
}

VOW_CASE(followers_of_what_is_abandoned_are_abandoned)
{
    struct drop ctx = {0};
    struct pair x = pair_new();
    struct pair y = pair_new();
    vow_future *task = vow_submit(NULL, follow_it, vow_ptr(y.future));
    vow_future *step =
        vow_then(vow_resolved(VOW_NIL), NULL, then_follow_it, vow_ptr(y.future));
    vow_future *after = vow_then(vow_ref(x.future), NULL, never_then, drop_value(&ctx));

    follow(&x, &y);
    vow_promise_abandon(y.promise);
    y.promise = NULL;

    assert_int_equal(code_of(x.future), VOW_E_BROKEN);
    assert_int_equal(code_of(task), VOW_E_BROKEN);
    assert_int_equal(code_of(step), VOW_E_BROKEN);
    assert_int_equal(code_of(after), VOW_E_BROKEN);
    assert_int_equal(drop_count(&ctx), 1);
    vow_unref(task);
    vow_unref(step);
    vow_unref(after);
    pair_free(&x);
    pair_free(&y);
}

/* A task that its waiter runs, though it lies below another in the queue. */

struct place {
    vow_executor *pool;
    vow_future *waiter;
    vow_future *lower;
    vow_future *upper;
    vow_task_fn *fn;  /* of the lower one */
    struct pair x;    /* nobody settles it */
    atomic_int known; /* waiter is set */
};

static vow_result
seven(void *ctx)
{
    (void)ctx;
    return vow_ok(vow_i64(7));
}

static vow_result
wait_for_the_lower(void *ctx)
{
    struct place *at = ctx;

    await_flag(&at->known, 1);
    at->lower = vow_submit(at->pool, at->fn, vow_ptr(at));
    at->upper = vow_submit(at->pool, seven, VOW_NIL);
    return vow_ok(vow_i64(vow_error_code(vow_get(at->lower).error)));
}

/* Returns the code of the lower task, which its waiter saw as well. */
static int
run_lower(struct place *at, vow_task_fn *fn)
{
    int code;

    at->pool = vow_pool_new(&VOW_POOL_OPTIONS(.threads = 1));
    assert_non_null(at->pool);
    at->fn = fn;
    at->x = pair_new();
    at->waiter = vow_submit(at->pool, wait_for_the_lower, vow_ptr(at));
    atomic_store(&at->known, 1);
    code = (int)vow_get(at->waiter).value.as.i64;
    assert_int_equal(code_of(at->lower), code);
    return code;
}

static void
place_free(struct place *at)
{
    assert_int_equal(vow_get(at->upper).value.as.i64, 7);
    vow_unref(at->waiter);
    vow_unref(at->lower);
    vow_unref(at->upper);
    pair_free(&at->x);
    vow_unref(vow_executor_close(at->pool, VOW_DRAIN));
    assert_int_equal(vow_executor_join(at->pool), 0);
    vow_executor_unref(at->pool);
}

static vow_result
follow_the_upper(void *at)
{
    return vow_follow(vow_ref(((struct place *)at)->upper));
}

VOW_CASE(task_run_by_its_waiter_follows_another)
{
    struct place at = {.known = 0};

    assert_int_equal(run_lower(&at, follow_the_upper), 0);
    assert_int_equal(vow_get(at.lower).value.as.i64, 7);
    place_free(&at);
}

static vow_result
follow_the_waiter(void *at)
{
    return vow_follow(vow_ref(((struct place *)at)->waiter));
}

VOW_CASE(task_run_by_its_waiter_cannot_follow_that)
{
    struct place at = {.known = 0};

    assert_int_equal(run_lower(&at, follow_the_waiter), VOW_E_DEADLOCK);
    place_free(&at);
}

static vow_result
cancel_and_follow(void *ctx)
{
    struct place *at = ctx;

    vow_future_cancel(at->lower, NULL);
    return vow_follow(vow_ref(at->x.future));
}

VOW_CASE(task_run_by_its_waiter_hands_a_request_to_stop_on)
{
    struct place at = {.known = 0};

    assert_int_equal(run_lower(&at, cancel_and_follow), VOW_E_CANCELLED);
    assert_int_equal(code_of(at.x.future), VOW_E_CANCELLED);
    place_free(&at);
}

/* A task that begins to follow, with something hanging on it already. */

VOW_CASE(task_with_a_step_on_it_may_follow)
{
    struct pair y = pair_new();
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), follow_it, vow_ptr(y.future));

    f = vow_then(f, NULL, add_one, VOW_NIL);
    vow_manual_run(m);
    assert_int_equal(vow_future_status(f), VOW_PENDING);
    vow_promise_fulfill(y.promise, vow_i64(1));

    assert_int_equal(vow_get(f).value.as.i64, 2);
    vow_unref(f);
    pair_free(&y);
    vow_manual_unref(m);
}

VOW_CASE(task_that_another_holds_keeps_its_follower)
{
    struct pair x = pair_new();
    struct pair y = pair_new();
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), follow_it, vow_ptr(y.future));

    vow_promise_resolve(x.promise, vow_follow(vow_ref(f)));
    vow_manual_run(m);
    vow_promise_fulfill(y.promise, vow_i64(1));

    assert_int_equal(vow_get(f).value.as.i64, 1);
    assert_int_equal(vow_get(x.future).value.as.i64, 1);
    vow_unref(f);
    pair_free(&x);
    pair_free(&y);
    vow_manual_unref(m);
}

VOW_CASE(task_with_two_steps_on_it_may_follow)
{
    struct pair y = pair_new();
    vow_manual *m = vow_manual_new();
    vow_future *f = vow_submit(vow_manual_executor(m), follow_it, vow_ptr(y.future));
    vow_future *g = vow_then(vow_ref(f), NULL, add_one, VOW_NIL);
    vow_future *h = vow_then(f, NULL, add_one, VOW_NIL);

    vow_manual_run(m);
    vow_promise_fulfill(y.promise, vow_i64(1));

    assert_int_equal(vow_get(g).value.as.i64, 2);
    assert_int_equal(vow_get(h).value.as.i64, 2);
    vow_unref(g);
    vow_unref(h);
    pair_free(&y);
    vow_manual_unref(m);
}

int
main(void)
{
    const struct CMUnitTest cases[] = {
        vow_test(follow_of_a_settled_future_settles_at_once),
        vow_test(follow_of_null_is_out_of_memory),
        vow_test(follow_of_a_pending_future_waits_for_it),
        vow_test(follow_passes_the_error_pointer_on),
        vow_test(follow_moves_the_value_of_a_future_nobody_else_holds),
        vow_test(follow_of_a_promise_that_breaks_is_broken),
        vow_test(follower_refuses_every_other_outcome),
        vow_test(followers_of_one_future_share_its_value),
        vow_test(follower_nobody_holds_lets_go_of_the_value),
        vow_test(followers_of_followers_settle_together),
        vow_test(followers_chained_from_the_other_end_settle_together),
        vow_test(follow_of_the_result_of_a_step_waits_for_that_step),
        vow_test(follow_of_oneself_is_a_deadlock),
        vow_test(ring_of_two_rejects_the_one_that_closes_it),
        vow_test(ring_of_three_rejects_all_with_one_error),
        vow_test(ring_through_steps_is_a_deadlock),
        vow_test(ring_through_a_step_and_a_follower_is_a_deadlock),
        vow_test(step_that_follows_its_own_result_is_a_deadlock),
        vow_test(tasks_that_follow_each_other_are_a_deadlock),
        vow_test(follow_without_a_ring_is_no_deadlock),
        vow_test(ring_closed_by_two_threads_is_never_left_pending),
        vow_test(recursion_of_a_million_inline_turns_stays_flat),
        vow_test(recursion_of_a_million_posted_turns_stays_flat),
        vow_test(recursion_of_a_million_submitted_tasks_stays_flat),
        vow_test(recursion_of_a_million_promises_stays_flat),
        vow_test(followers_of_what_is_abandoned_are_abandoned),
        vow_test(task_run_by_its_waiter_follows_another),
        vow_test(task_run_by_its_waiter_cannot_follow_that),
        vow_test(task_run_by_its_waiter_hands_a_request_to_stop_on),
        vow_test(task_with_a_step_on_it_may_follow),
        vow_test(task_that_another_holds_keeps_its_follower),
        vow_test(task_with_two_steps_on_it_may_follow),
    };

    return vow_test_run(cases);
}
